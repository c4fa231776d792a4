//! actix-web glue: one service for every path, which hands requests to the front actor of its worker.
//!
//! - the service and how to mount it: here;
//! - which web pages may reach it: `browsers`;
//! - how the body of a request is read: `body`; how a reply is sent: `response`;
//! - what the reader of a connection and the service tell each other: `connection`;
//! - request targets that old clients send and HTTP parsers refuse: [`repair`];
//! - the server around it, with its limits: [`server`].

mod body;
pub(crate) mod browsers;
mod connection;
pub mod repair;
mod response;
pub mod server;

use std::rc::Rc;

use actix::{Actor as _, Addr};
use actix_web::http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, UPGRADE,
};
use actix_web::http::{Method, Uri};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::poll_immediate;

use connection::Connection;

use crate::aci::error::AciError;
use crate::front::{AciRequest, Endpoint, FrontActor};
pub use body::max_request;
pub use browsers::BrowserPolicy;

/// The header with a key under which the same submission may come again.
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Mounts the endpoint in an application: every path that nothing else serves is an ACI request.
///
/// Under a scope, say so with [`crate::front::EndpointBuilder::mounted_at`]. In an application of
/// your own, actix-http refuses a few request targets that [`server::serve`] takes: see [`repair`]. HTTP/2 and
/// sockets of Unix serve as well. Middleware sees each request first: `NormalizePath` changes values that hold `//` or
/// end with `/`, `Compress` replies to clients that take it.
///
/// Call it where the routes are made, in each worker or once for all, on a thread of actix: an actor starts there
/// (`#[actix_web::test]` is one, `#[tokio::test]` is not).
///
/// The end of the HTTP server does not end the system. While a client waits (`Wait`), `HttpServer` with its own signals
/// takes its `shutdown_timeout` to stop, and the client gets no reply: to answer it, `disable_signals`, and on a signal
/// await [`System::shutdown`](actiond_actors::System::shutdown) before the server is stopped.
///
/// Only [`server::serve`] tells the endpoint that a client has ended its side of a connection, so that nothing runs or waits
/// for it, and reads no further ahead than replies are owed. Elsewhere a request ends with its connection.
///
/// ```
/// use actix_web::{App, test, web};
/// use actiond::front::Endpoint;
/// use actiond_actors::{QueueSettings, System};
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let system = System::builder(directory.path())
///     .queue("Process", QueueSettings::default(), actiond::actions::echo::Echo)
///     .start()
///     .await?;
/// let endpoint = Endpoint::builder(system.clone()).mounted_at("/aci").build();
/// let app = test::init_service(
///     App::new()
///         .route("/", web::get().to(|| async { "my own page" }))
///         .service(web::scope("/aci").configure(actiond::http::configure(&endpoint))),
/// )
/// .await;
/// let request = test::TestRequest::get().uri("/aci/action=Process&Wait=5&Name=Ada").to_request();
/// let reply = test::call_and_read_body(&app, request).await;
/// assert!(String::from_utf8_lossy(&reply).contains("<status>Finished</status>"));
/// # system.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok(()) }
/// ```
pub fn configure(endpoint: &Endpoint) -> impl FnOnce(&mut web::ServiceConfig) + Clone + use<> {
    let endpoint = endpoint.clone();
    move |config| {
        // Called once in each worker: the front lives on the worker's own thread, no hop away.
        let front = FrontActor::new(endpoint.clone()).start();
        config.app_data(web::Data::new(Service { front, endpoint })).default_service(web::to(aci));
    }
}

struct Service {
    front: Addr<FrontActor>,
    endpoint: Endpoint,
}

async fn aci(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<Service>,
) -> HttpResponse {
    let allowed = service.endpoint.browsers().judge(&request, service.endpoint.host());
    if matches!(*request.method(), Method::HEAD | Method::OPTIONS) {
        // Those who only look whether somebody is there must not submit or stop anything by it.
        return response::without_action(&request, &allowed.unwrap_or_default());
    }
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    // Held until the reply: the body's parts are at work until then.
    let mut memory = service.endpoint.uploads().begin();
    let target = target(request.uri());
    let (allowed, refused) = match allowed {
        Ok(allowed) => (allowed, not_spoken(&request)),
        Err(error) => {
            log::warn!(
                "a request of {:?} was refused: {:?}",
                request.peer_addr(),
                error.description
            );
            (browsers::Allowed::default(), Some(error))
        }
    };
    let body = match refused {
        Some(error) => Err(error),
        None => {
            let connection = connection.as_ref();
            body::read(&request, payload, &service.endpoint, &mut memory, connection).await
        }
    };
    let body = too_long(&target).map_or(body, Err);
    // Something of the body may still be on its way then.
    let is_last = body.is_err();
    let message = AciRequest {
        target,
        content_type: text_of(&request, &CONTENT_TYPE).map(ToOwned::to_owned),
        body,
        peer: request.peer_addr().map(|peer| peer.ip()),
        idempotency_key: request.headers().get(&IDEMPOTENCY_KEY).and_then(key),
        wants_html: text_of(&request, &ACCEPT).is_some_and(|accept| accept.contains("text/html")),
        client: connection.map(|connection| connection.client()).unwrap_or_default(),
    };
    let Ok(mut answer) = service.front.send(message).await else {
        // The front does nothing that can end it; should it happen, the client may try again.
        return HttpResponse::ServiceUnavailable().finish();
    };
    // Dropped with this future, which is dropped when the connection ends.
    let reply = match poll_immediate(&mut answer).await {
        Some(reply) => {
            // Requests that came with this one are answered first, so that the replies leave together: a client
            // on the same machine would take this thread's core for each.
            tokio::task::yield_now().await;
            reply
        }
        None => answer.await,
    };
    response::of(&request, &allowed, reply, is_last)
}

/// Returns what is wrong with a request whose line [`repair`] has left out.
fn too_long(target: &str) -> Option<AciError> {
    let length = target.strip_prefix(repair::OVERSIZED)?.parse().unwrap_or(u64::MAX);
    Some(AciError::too_large("the request line", length, server::MAX_REQUEST_LINE as u64))
}

/// Returns what is wrong with a request that asks for more of HTTP than is spoken here. Its body is not read: that of a tunnel
/// or a web socket has no end.
fn not_spoken(request: &HttpRequest) -> Option<AciError> {
    let method = request.method();
    if !matches!(*method, Method::GET | Method::POST) {
        return Some(AciError::unsupported("HTTP method", method.as_str(), "GET or POST"));
    }
    // Other protocols are only offered, and the request stands.
    if text_of(request, &UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Some(AciError::unsupported(
            "Upgrade",
            "websocket",
            "none: there are no web sockets",
        ));
    }
    let encoding = text_of(request, &CONTENT_ENCODING)?;
    let allowed = "none, or identity: bodies are taken as they are";
    (!encoding.eq_ignore_ascii_case("identity"))
        .then(|| AciError::unsupported("Content-Encoding", encoding, allowed))
}

fn text_of<'a>(request: &'a HttpRequest, header: &HeaderName) -> Option<&'a str> {
    request.headers().get(header)?.to_str().ok().map(str::trim)
}

/// Writes the target as it was sent. Nearly all have no scheme and no host; those are copied at once.
fn target(uri: &Uri) -> String {
    match uri.path_and_query() {
        Some(path) if uri.authority().is_none() => path.as_str().to_owned(),
        _ => uri.to_string(),
    }
}

/// Reads the key of a submission. An empty one is none: it would make one action of all that carry it.
fn key(value: &HeaderValue) -> Option<String> {
    let bytes = value.as_bytes().trim_ascii();
    // Whatever its encoding, a key is only compared: each byte can stand for itself.
    let text = String::from_utf8(bytes.to_vec())
        .unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect());
    Some(text).filter(|text| !text.is_empty())
}
