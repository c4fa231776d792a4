//! The metrics at `/metrics`, for whoever has the role `ServiceStatus`: over HTTP as its clients know it, with a status for each
//! refusal. Limits, keys, certificates and the policy for web pages hold as for actions.

use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::connection::Connection;
use super::{Service, limits, response, statuses, text_of};
use crate::aci::error::AciError;
use crate::front::Endpoint;
use crate::metrics::Format;

const PATH: &str = "/metrics";

/// Mounts the route, if the endpoint has metrics.
pub(super) fn route(endpoint: &Endpoint) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let has_metrics = endpoint.counted().is_some();
    move |config| {
        if has_metrics {
            config.service(web::resource(PATH).to(metrics));
        }
    }
}

async fn metrics(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    let endpoint = &service.endpoint;
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    let cors = match statuses::let_in(&request, &service, connection.as_deref()) {
        Ok(cors) => cors,
        Err(refused) => {
            let (response, error) = *refused;
            return said(response, &error);
        }
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let (response, error) = statuses::no_method(endpoint, request.method(), "GET, HEAD");
        return said(response, &error);
    }
    let caller = statuses::sender_in_time(&request, endpoint).await;
    let format = Format::accepted(text_of(&request, &ACCEPT));
    match endpoint.scrape(&caller, format).await {
        Ok(reply) => {
            let keep_alive = service.keep_alive.as_ref();
            response::of(&request, &cors, reply, false, keep_alive, connection)
        }
        Err(error) if error.is_permission() => {
            said(statuses::no_role(endpoint, caller.credential.is_some()), &error)
        }
        Err(error) => {
            let mut response = HttpResponse::ServiceUnavailable();
            response.insert_header((RETRY_AFTER, limits::RETRY_AFTER));
            said(response, &error)
        }
    }
}

/// Answers with the text of an error.
fn said(mut response: HttpResponseBuilder, error: &AciError) -> HttpResponse {
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.content_type("text/plain; charset=utf-8").body(format!("{}\n", error.description))
}
