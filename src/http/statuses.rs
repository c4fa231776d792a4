//! Refusals of the routes that are not for actions, `/metrics` and `/events`: each begins with the status and the headers that
//! clients of HTTP know it by, and the route adds its body.

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::limits::{self, Beyond};
use crate::aci::error::AciError;
use crate::front::Endpoint;

/// The question for a key that a browser puts to its user: any name, and the key as the password.
pub(super) const CHALLENGE: HeaderValue = HeaderValue::from_static(
    "Basic realm=\"actiond: the password is your key\", charset=\"UTF-8\"",
);

/// Begins the refusal of a client that is beyond a limit.
pub(super) fn too_many(beyond: &Beyond) -> HttpResponseBuilder {
    let mut response = HttpResponse::TooManyRequests();
    response.insert_header((RETRY_AFTER, limits::RETRY_AFTER));
    if beyond.is_last {
        response.force_close();
    }
    response
}

/// Begins the refusal of a method by a route that is only read; `methods` are those that it has. Also returns the error.
pub(super) fn read_only(method: &Method, methods: &'static str) -> (HttpResponseBuilder, AciError) {
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
