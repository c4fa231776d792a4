//! Answers to requests for pages as HTTP responses.

use std::io::Write as _;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY, HeaderValue, LOCATION, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::text_of;
use super::cookies;
use crate::aci::error::AciError;
use crate::admin::{AdminPage, Answer, PageRequest, Session};
use crate::front::Endpoint;

/// A page has what this server sends, and nothing of its own that runs: text of users that got into one by mistake does no harm.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the headers that keep a browser from doing more with a response than to show it.
pub(super) fn protect(response: &mut HttpResponseBuilder) {
    response.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    response.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response.insert_header((X_FRAME_OPTIONS, "DENY"));
    response.insert_header((REFERRER_POLICY, "same-origin"));
    response.insert_header((CROSS_ORIGIN_OPENER_POLICY, "same-origin"));
}

/// Answers with the text of an error.
pub(super) fn said(mut response: HttpResponseBuilder, error: &AciError) -> HttpResponse {
    protect(&mut response);
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.content_type("text/plain; charset=utf-8").body(format!("{}\n", error.description))
}

/// Makes the response. The browser keeps the session if it is new to it.
pub(super) fn of(
    request: &HttpRequest,
    endpoint: &Endpoint,
    admin: &AdminPage,
    asked: &PageRequest,
    answer: Answer,
    is_fresh: bool,
) -> HttpResponse {
    let base = &asked.base;
    let keep = |response: &mut HttpResponse, session: &Session| {
        cookies::keep(response, request, endpoint, admin, session, base);
    };
    let mut response = match answer {
        Answer::Page { status, html } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let mut response = begun(status);
            response.content_type("text/html; charset=utf-8");
            with_body(request, response, html.into_bytes())
        }
        Answer::Download { name, content_type, body } => {
            let mut response = begun(StatusCode::OK);
            response.insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)));
            let disposition = format!("attachment; filename=\"{name}\"");
            response.insert_header((CONTENT_DISPOSITION, disposition));
            response.body(body)
        }
        Answer::SeeOther { path, said } => {
            let mut response = see_other(&path);
            if let Some(said) = said {
                cookies::say(&mut response, request, endpoint, base, &said);
            }
            response
        }
        Answer::SignedIn { key, path } => {
            let mut response = see_other(&path);
            let now = endpoint.now_ms().div_euclid(1_000);
            // Another session: what was known before is worth nothing.
            if let Some(session) = Session::begin(Some(key), now) {
                keep(&mut response, &session);
            }
            return response;
        }
        Answer::SignedOut { path } => {
            let mut response = see_other(&path);
            cookies::forget(&mut response, request, endpoint, base);
            return response;
        }
        Answer::SignIn => {
            let back = match asked.form {
                Some(_) => base.clone(),
                None => request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            };
            let back = utf8_percent_encode(&back, NON_ALPHANUMERIC);
            see_other(&format!("{base}/sign-in?back={back}"))
        }
    };
    if is_fresh {
        keep(&mut response, &asked.session);
    }
    response
}

/// Least number of bytes that are worth compressing.
const LEAST: usize = 1_000;

/// Returns a body compressed, if the browser takes that and it is worth it.
pub(super) fn compressed(request: &HttpRequest, body: &[u8]) -> Option<Vec<u8>> {
    let takes = |encoding: &str| {
        let mut parts = encoding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    };
    let accepted = text_of(request, &ACCEPT_ENCODING)?;
    if body.len() < LEAST || !accepted.split(',').any(takes) {
        return None;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory can't fail.
    gzip.write_all(body).ok()?;
    gzip.finish().ok()
}

/// Ends a response with a body, compressed where that is possible.
pub(super) fn with_body(
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    body: Vec<u8>,
) -> HttpResponse {
    response.insert_header((VARY, ACCEPT_ENCODING.as_str()));
    match compressed(request, &body) {
        Some(body) => response.insert_header((CONTENT_ENCODING, "gzip")).body(body),
        None => response.body(body),
    }
}

fn begun(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    protect(&mut response);
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response
}

fn see_other(path: &str) -> HttpResponse {
    begun(StatusCode::SEE_OTHER).insert_header((LOCATION, path)).finish()
}
