//! The way into the routes that are not for actions: `/metrics`, `/events` and the admin page. A request for one is judged as one for
//! an action is. A refusal begins with the status and the headers that clients of HTTP know it by, and the route adds its body.

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

use super::browsers::CorsHeaders;
use super::connection::Connection;
use super::limits::{self, Beyond};
use super::{Service, caller, logged, sender};
use crate::aci::error::AciError;
use crate::front::{Caller, Endpoint};
use crate::metrics::Reason;

/// The question for a key that a browser puts to its user: any name, and the key as the password.
pub(super) const CHALLENGE: HeaderValue = HeaderValue::from_static(
    "Basic realm=\"actiond: the password is your key\", charset=\"UTF-8\"",
);

/// The beginning of a refusal, and its error.
pub(super) type Refusal = (HttpResponseBuilder, AciError);

/// Judges a request by the limits of its client and by the policy for web pages. One that is not let in is counted, and its refusal
/// begun.
pub(super) fn let_in(
    request: &HttpRequest,
    service: &Service,
    connection: Option<&Connection>,
) -> Result<CorsHeaders, Box<Refusal>> {
    let endpoint = &service.endpoint;
    if let Some(beyond) = limits::beyond(request, endpoint, connection) {
        count(endpoint, beyond.reason);
        return Err(Box::new((too_many(&beyond), beyond.error)));
    }
    service.current.judge(request, endpoint).map_err(|refused| {
        count(endpoint, Reason::WebPage);
        Box::new((HttpResponse::Forbidden(), logged(request, refused)))
    })
}

/// Counts a refusal.
pub(super) fn count(endpoint: &Endpoint, reason: Reason) {
    if let Some(counted) = endpoint.counted() {
        counted.requests.refuse(reason);
    }
}

/// Returns the sender of a request, once one with a wrong key has waited.
pub(super) async fn sender_in_time(request: &HttpRequest, endpoint: &Endpoint) -> Caller {
    let (caller, wrong_key, _) = sender(request, endpoint);
    if wrong_key.is_some() {
        caller::delay_wrong_key().await;
    }
    caller
}

/// Begins the refusal of a client that is beyond a limit.
fn too_many(beyond: &Beyond) -> HttpResponseBuilder {
    let mut response = HttpResponse::TooManyRequests();
    response.insert_header((RETRY_AFTER, limits::RETRY_AFTER));
    if beyond.is_last {
        response.force_close();
    }
    response
}

/// Begins the refusal of a method by a route that has only these, and counts it. Also returns the error.
pub(super) fn no_method(endpoint: &Endpoint, method: &Method, methods: &'static str) -> Refusal {
    count(endpoint, Reason::Invalid);
    let mut response = HttpResponse::MethodNotAllowed();
    response.insert_header((ALLOW, methods));
    (response, AciError::unsupported("HTTP method", method.as_str(), "GET or HEAD"))
}

/// Begins the refusal of a caller without the role. One that sent no credential is asked for a key, if there are keys.
pub(super) fn no_role(endpoint: &Endpoint, has_credential: bool) -> HttpResponseBuilder {
    if has_credential || !endpoint.access().has_keys() {
        return HttpResponse::Forbidden();
    }
    let mut response = HttpResponse::Unauthorized();
    response.insert_header((WWW_AUTHENTICATE, CHALLENGE));
    response
}
