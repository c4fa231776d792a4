//! Cookies that a browser keeps for the page: its session, and the words to be said with the next page. They belong to a host and not to a
//! port, so their names have the port.

use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::admin::{AdminPage, LASTS_SECS, Session};
use crate::front::Endpoint;

/// Largest number of bytes of what is said, encoded.
const MOST_SAID: usize = 3_000;

/// Seconds for which it is kept.
const SAID_SECS: i64 = 60;

/// Returns the value of a cookie.
fn value<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let headers = request.headers().get_all(COOKIE).filter_map(|header| header.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Returns the session of a browser, if it has one that this server knows.
pub(in crate::http) fn session(request: &HttpRequest, endpoint: &Endpoint) -> Option<Session> {
    let admin = endpoint.admin_page()?;
    let now = endpoint.now_ms().div_euclid(1_000);
    admin.signing.session(value(request, &session_name(endpoint))?, now)
}

/// Returns what is to be said with the page.
pub(super) fn said(request: &HttpRequest, endpoint: &Endpoint) -> Option<String> {
    let encoded = value(request, &said_name(endpoint))?;
    let said = percent_decode_str(encoded).decode_utf8().ok()?;
    Some(said.into_owned()).filter(|said| !said.is_empty())
}

fn session_name(endpoint: &Endpoint) -> String {
    format!("actiond-session-{}", endpoint.port())
}

fn said_name(endpoint: &Endpoint) -> String {
    format!("actiond-said-{}", endpoint.port())
}

/// Has a browser keep a session.
pub(super) fn keep(
    response: &mut HttpResponse,
    request: &HttpRequest,
    endpoint: &Endpoint,
    admin: &AdminPage,
    session: &Session,
    base: &str,
) {
    let value = admin.signing.cookie(session);
    set(response, request, base, &session_name(endpoint), &value, LASTS_SECS);
}

/// Has a browser forget its session.
pub(super) fn forget(
    response: &mut HttpResponse,
    request: &HttpRequest,
    endpoint: &Endpoint,
    base: &str,
) {
    set(response, request, base, &session_name(endpoint), "", 0);
}

/// Has the next page say something.
pub(super) fn say(
    response: &mut HttpResponse,
    request: &HttpRequest,
    endpoint: &Endpoint,
    base: &str,
    said: &str,
) {
    let mut value = String::new();
    for part in said.chars() {
        let encoded =
            utf8_percent_encode(part.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string();
        if value.len() + encoded.len() > MOST_SAID {
            value.push_str("%E2%80%A6");
            break;
        }
        value.push_str(&encoded);
    }
    set(response, request, base, &said_name(endpoint), &value, SAID_SECS);
}

/// Has a browser forget what was said.
pub(super) fn forget_said(
    response: &mut HttpResponse,
    request: &HttpRequest,
    endpoint: &Endpoint,
    base: &str,
) {
    set(response, request, base, &said_name(endpoint), "", 0);
}

/// Sets a cookie that no script reads, and no page of another server has sent with a form.
fn set(
    response: &mut HttpResponse,
    request: &HttpRequest,
    base: &str,
    name: &str,
    value: &str,
    seconds: i64,
) {
    let secure = if request.connection_info().scheme() == "https" { "; Secure" } else { "" };
    let cookie =
        format!("{name}={value}; Path={base}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
