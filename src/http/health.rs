//! Health of the server, for load balancers and orchestrators: `/health/live` and `/health/ready`.
//!
//! They are open to everyone and say nothing but yes (HTTP status 200) or no (503): no role is asked for, and no limit counts
//! them. The names are those that orchestrators' documentation uses.

use actix_web::http::Uri;
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

/// Returns the answer to a path that was meant for one of these, or for the metrics, and is none: an error of ACI's would come with
/// HTTP status 200, and whoever watches would take that for good health.
pub(super) fn misspelt(uri: &Uri) -> Option<HttpResponse> {
    let path = uri.path().trim_start_matches('/');
    // It may hold an action.
    if uri.query().is_some() || path.contains(['=', '&']) {
        return None;
    }
    let first = path.split('/').next().unwrap_or_default();
    let is_meant = MEANT.iter().any(|meant| first.eq_ignore_ascii_case(meant));
    let text = "there is /health/live, /health/ready and /metrics, for GET and HEAD";
    is_meant.then(|| answer(HttpResponse::NotFound(), text))
}

/// The first parts of paths that are meant for health or metrics. Those of other servers are among them.
const MEANT: [&str; 7] =
    ["health", "healthz", "healthcheck", "livez", "readyz", "metrics", "metric"];

fn resource(path: &str) -> Resource {
    web::resource(path).guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn answer(mut response: HttpResponseBuilder, text: &'static str) -> HttpResponse {
    // What was true a moment ago is of no use.
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.content_type("text/plain; charset=utf-8").body(text)
}
