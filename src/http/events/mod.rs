//! Live events at `/events`, as server-sent events (source: WHATWG, HTML, section 9.2). Limits, keys, certificates and the policy
//! for web pages hold as for actions; each refusal has a status, and an ACI error as its body.
//!
//! | module | contents |
//! |---|---|
//! | here | the route |
//! | `sending` | what is sent to one who listens |
//! | `wakes` | how those who listen are woken |

mod sending;
mod wakes;

use std::rc::Rc;

use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, Version};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::browsers::CorsHeaders;
use super::connection::Connection;
use super::{Service, statuses, text_of};
use crate::aci::error::AciError;
use crate::aci::request::{Pairs, parse_query};
use crate::aci::response::ResponseFormat;
use crate::front::events::error_body;
use crate::front::{Endpoint, Port};
use crate::metrics::Reason;
use sending::Sending;
pub(super) use wakes::Wakes;

pub(super) const PATH: &str = "/events";

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// By which a proxy (nginx) is told to pass each part on at once.
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

const METHODS: &str = "GET, HEAD, OPTIONS";

/// Mounts the route on the port for actions, if the endpoint has live events.
pub(super) fn route(
    endpoint: &Endpoint,
    port: Port,
) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let has_events = port == Port::Aci && endpoint.live_events().is_some();
    move |config| {
        if has_events {
            config.service(web::resource(PATH).to(events));
        }
    }
}

/// Mounts it once more below another path, for pages there.
pub(super) fn below(config: &mut web::ServiceConfig) {
    config.service(web::resource(PATH).to(events));
}

async fn events(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    let endpoint = &service.endpoint;
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    let parsed = parse_query(request.uri().query().unwrap_or_default());
    let format = format_of(parsed.as_ref().ok());
    let refused = |mut response: HttpResponseBuilder, error: &AciError| {
        response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        response.content_type(format.content_type()).body(error_body(endpoint, error, format))
    };
    let cors = match statuses::let_in(&request, &service, connection.as_deref()) {
        Ok(cors) => cors,
        Err(page) => {
            let (response, error) = *page;
            return refused(response, &error);
        }
    };
    // A page that may send requests may read why one was refused.
    let refused = |response, error: &AciError| {
        let mut response = refused(response, error);
        cors.add_to(response.headers_mut());
        response
    };
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => {
            let mut response = HttpResponse::Ok().insert_header((ALLOW, METHODS)).finish();
            cors.add_preflight_to(request.headers(), response.headers_mut());
            return response;
        }
        _ => {
            let (response, error) = statuses::no_method(endpoint, request.method(), METHODS);
            return refused(response, &error);
        }
    }
    let caller = statuses::sender_in_time(&request, endpoint).await;
    let has_credential = caller.credential.is_some();
    let (Some(live), Some(wakes)) = (endpoint.live_events(), &service.wakes) else {
        // The route is not there without them.
        return HttpResponse::NotFound().finish();
    };
    let last = text_of(&request, &LAST_EVENT_ID).filter(|id| !id.is_empty());
    let hearing = match parsed {
        Ok(pairs) => endpoint.listen(live, caller, &pairs, last),
        Err(error) => {
            statuses::count(endpoint, Reason::Invalid);
            Err(error)
        }
    };
    match hearing {
        Ok(hearing) => {
            let client = connection.as_deref().map(Connection::client).unwrap_or_default();
            let sending = Sending::new(hearing, wakes, client, endpoint.system().clone());
            // Without our own server, something around this may hold back what it compresses.
            let may_compress = connection.is_none();
            stream(&request, &cors, sending, may_compress)
        }
        Err(error) if error.is_permission() => {
            refused(statuses::no_role(endpoint, has_credential), &error)
        }
        Err(error) => match error.retry_after {
            Some(seconds) => {
                let mut response = HttpResponse::ServiceUnavailable();
                response.insert_header((RETRY_AFTER, HeaderValue::from(seconds)));
                refused(response, &error)
            }
            None => refused(HttpResponse::BadRequest(), &error),
        },
    }
}

/// Makes the response that goes on for as long as the client listens.
fn stream(
    request: &HttpRequest,
    cors: &CorsHeaders,
    sending: Sending,
    may_compress: bool,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")));
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    response.insert_header((X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")));
    if may_compress {
        response.insert_header((CONTENT_ENCODING, HeaderValue::from_static("identity")));
    }
    // An old client knows no chunks, and its stream ends with the connection.
    let is_unchunked = request.version() < Version::HTTP_11;
    if is_unchunked {
        response.force_close();
    }
    let mut response = match *request.method() {
        Method::HEAD => response.finish(),
        _ => response.streaming(sending.into_stream()),
    };
    response.head_mut().no_chunking(is_unchunked);
    cors.add_to(response.headers_mut());
    response
}

/// Returns the form of an error that a client asks for.
fn format_of(pairs: Option<&Pairs>) -> ResponseFormat {
    let given = pairs.and_then(|pairs| pairs.given("ResponseFormat"));
    given.and_then(ResponseFormat::parse).unwrap_or_default()
}
