//! Health of the server, for load balancers and orchestrators: `/health/live` and `/health/ready`.
//!
//! They are open to everyone and say nothing but yes (HTTP status 200) or no (503): no role is asked for, and no limit counts
//! them. The names are those that orchestrators' documentation uses.

use actix_web::http::Uri;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, Resource, guard, web};

use super::events;
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

/// Returns the answer to a path that was meant for one of these, for the metrics or for live events, and is none: an error of
/// ACI's would come with HTTP status 200, and whoever watches would take that for good health.
pub(super) fn misspelt(uri: &Uri) -> Option<HttpResponse> {
    let path = uri.path().trim_start_matches('/');
    let may_hold_action = match uri.query() {
        None => false,
        Some(query) => uri.path() != events::PATH || names_action(query),
    };
    if may_hold_action || path.contains(['=', '&']) {
        return None;
    }
    let first = path.split('/').next().unwrap_or_default();
    let (_, text) = MEANT.iter().find(|(meant, _)| first.eq_ignore_ascii_case(meant))?;
    Some(answer(HttpResponse::NotFound(), text))
}

/// Returns true if a query names an action.
fn names_action(query: &str) -> bool {
    let names = query.split('&').filter_map(|pair| pair.split('=').next());
    let mut named =
        names.filter(|name| ["action", "a"].iter().any(|it| name.eq_ignore_ascii_case(it)));
    named.next().is_some()
}

const OF_HEALTH: &str = "there is /health/live, /health/ready and /metrics, for GET and HEAD";
const OF_EVENTS: &str =
    "live events are at /events of the port for actions, where [Server] EventHistory is not 0";

/// The first parts of paths that are meant for these, with what is said of them. Those of other servers are among them.
const MEANT: [(&str, &str); 8] = [
    ("health", OF_HEALTH),
    ("healthz", OF_HEALTH),
    ("healthcheck", OF_HEALTH),
    ("livez", OF_HEALTH),
    ("readyz", OF_HEALTH),
    ("metrics", OF_HEALTH),
    ("metric", OF_HEALTH),
    ("events", OF_EVENTS),
];

fn resource(path: &str) -> Resource {
    web::resource(path).guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn answer(mut response: HttpResponseBuilder, text: &'static str) -> HttpResponse {
    // What was true a moment ago is of no use.
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.content_type("text/plain; charset=utf-8").body(text)
}
