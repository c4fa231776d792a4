//! Health of the server, for load balancers and orchestrators: `/health/live` and `/health/ready`.
//!
//! They are open to everyone and say nothing but yes (HTTP status 200) or no (503): no role is asked for, and no limit counts
//! them. The names are those that orchestrators' documentation uses.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, Resource, guard, web};

use crate::front::Endpoint;

/// Makes the resource that tells whether the process answers.
pub(super) fn live() -> Resource {
    resource("/health/live").to(async || answer(HttpResponse::Ok(), "live"))
}

/// Makes the resource that tells whether actions are taken and run: what ran before is recovered, the store can be reached, and the
/// server does not shut down.
pub(super) fn ready(endpoint: Endpoint) -> Resource {
    resource("/health/ready").to(move || {
        let is_ready = endpoint.system().is_ready();
        async move {
            match is_ready {
                true => answer(HttpResponse::Ok(), "ready"),
                false => answer(HttpResponse::ServiceUnavailable(), "not ready"),
            }
        }
    })
}

fn resource(path: &str) -> Resource {
    web::resource(path).guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn answer(mut response: HttpResponseBuilder, text: &'static str) -> HttpResponse {
    // What was true a moment ago is of no use.
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.content_type("text/plain; charset=utf-8").body(text)
}
