//! The actix-web side: one service for every path, which hands requests to the front actor of its worker. Start with
//! [`configure`] to mount the endpoint in an application of your own, or with [`server::serve`] for a whole server.
//!
//! | module | contents |
//! |---|---|
//! | here | the service |
//! | `browsers` | [`BrowserPolicy`]: the web pages that may reach the endpoint |
//! | `caller` | the sender of a request: address, key and certificate |
//! | `body` | the body of a request |
//! | `limits` | what one client may ask for: requests a second, connections at a time |
//! | `response` | the response with a reply |
//! | `memory` | the budgets of memory for bodies and for replies |
//! | [`connection`] | the stream under the HTTP parser: mended heads, deadlines, backpressure |
//! | `admin` | the admin page at `/admin` |
//! | `health`, `metrics`, `events` | what is answered beside actions: `/health/live`, `/health/ready`, `/metrics` and `/events` |
//! | `statuses` | the way into those routes: limits, web pages, keys, and how each is refused |
//! | `refused` | errors for requests that the stream has replaced |
//! | [`server`] | the HTTP server with its limits |

mod admin;
mod body;
pub(crate) mod browsers;
mod caller;
pub mod connection;
mod events;
mod health;
pub(crate) mod limits;
pub(crate) mod memory;
mod metrics;
mod refused;
mod response;
pub mod server;
mod statuses;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor as _, Addr};
use actix_web::http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use actix_web::http::{ConnectionType, Method, StatusCode, Uri};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::poll_immediate;

use browsers::{CorsHeaders, LastHost, Refused};
use connection::Connection;
use memory::{Budget, CurrentBudget, Reservation};

use crate::aci::error::AciError;
use crate::front::{AciRequest, Caller, Credential, Endpoint, FrontActor, Port, refused_unread};
use crate::metrics::Reason;
pub use body::max_request;
pub use browsers::BrowserPolicy;
pub use limits::ConnectionLimit;

/// The header with a key by which a submission can be repeated without a second action.
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Mounts the endpoint in an application: every path that nothing else serves is an ACI request.
///
/// Under a scope, say so with [`crate::front::EndpointBuilder::mounted_at`]. In an application of
/// your own, actix-http refuses a few request targets that [`server::serve`] takes: see [`connection`]. HTTP/2 and
/// sockets of Unix serve as well. Middleware sees each request first: `NormalizePath` changes values that hold `//` or
/// end with `/`, `Compress` replies to clients that take it.
///
/// Call it where the routes are made, in each worker or once for all, on a thread of actix: an actor starts there
/// (`#[actix_web::test]` is one, `#[tokio::test]` is not).
///
/// The end of the HTTP server does not end the system, and clients that wait (`Wait`) are only answered by the end of the
/// system. So end it first: `HttpServer::shutdown_signal` takes a future that waits for a signal and then awaits
/// [`System::shutdown`](actiond_actors::System::shutdown). With its own signals, `HttpServer` waits its
/// `shutdown_timeout` for such clients and then closes their connections without a reply. `examples/aci_app.rs` is a whole
/// program.
///
/// Only [`server::serve`] tells the endpoint that a client has ended its side of a connection, so that nothing runs or waits
/// for it, and limits how much is read ahead of the replies, and how many connections a client has. Elsewhere a request ends
/// with its connection.
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
///     .queue("Process", QueueSettings::default(), actiond::kinds::echo::Echo)
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
    configure_port(endpoint, Port::Aci)
}

/// Mounts the actions of a port in an application: those of the service port in one of their own, as
/// [`configure`] mounts the others. `Stop` there only notes the wish, for
/// [`Endpoint::stop_requested`](crate::front::Endpoint::stop_requested).
pub fn configure_port(
    endpoint: &Endpoint,
    port: Port,
) -> impl FnOnce(&mut web::ServiceConfig) + Clone + use<> {
    let endpoint = endpoint.clone();
    move |config| {
        if let Some(counted) = endpoint.counted() {
            counted.keep_history();
        }
        // Called once in each worker: the front lives on the worker's own thread, no hop away.
        let front = FrontActor::new(endpoint.clone()).start();
        let keep_alive = endpoint.idle_timeout().and_then(response::keep_alive);
        let service = Service {
            port,
            front,
            endpoint: endpoint.clone(),
            keep_alive,
            current: Current::of(&endpoint),
            wakes: endpoint.live_events().map(events::Wakes::new),
        };
        config
            .service(health::live())
            .service(health::ready(endpoint.clone()))
            .configure(metrics::route(&endpoint))
            .configure(events::route(&endpoint, port))
            .configure(admin::route(&endpoint, port))
            .app_data(web::Data::new(service))
            .default_service(web::to(aci));
    }
}

struct Service {
    port: Port,
    front: Addr<FrontActor>,
    endpoint: Endpoint,
    /// The header `Keep-Alive` of replies, if they have one. Each worker has its own, so that a copy costs nothing.
    keep_alive: Option<HeaderValue>,
    current: Current,
    /// Wakes those who listen to live events in this worker.
    wakes: Option<Rc<events::Wakes>>,
}

/// What a worker knows of the settings that may be replaced while it runs. Each has its own, so that a request changes no reference
/// count that the workers share: that is slow for each of them.
#[expect(
    clippy::redundant_allocation,
    reason = "the outer count is the worker's own, and that is the point"
)]
struct Current {
    browsers: RefCell<Arc<BrowserPolicy>>,
    /// By the policy above.
    last_host: LastHost,
    uploads: RefCell<Rc<Arc<Budget>>>,
}

impl Current {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            browsers: RefCell::new(Arc::clone(&endpoint.browsers())),
            last_host: LastHost::default(),
            uploads: RefCell::new(Rc::new(Arc::clone(&endpoint.uploads()))),
        }
    }

    /// Judges a request by the policy for web pages that is in force.
    fn judge(&self, request: &HttpRequest, endpoint: &Endpoint) -> Result<CorsHeaders, Refused> {
        let browsers = endpoint.browsers();
        if !Arc::ptr_eq(&browsers, &self.browsers.borrow()) {
            *self.browsers.borrow_mut() = Arc::clone(&browsers);
            self.last_host.forget();
        }
        browsers.judge(request, endpoint.host(), &self.last_host)
    }

    /// Returns the budget for bodies that is in force.
    fn uploads(&self, endpoint: &Endpoint) -> CurrentBudget {
        let uploads = endpoint.uploads();
        if !Arc::ptr_eq(&uploads, &self.uploads.borrow()) {
            *self.uploads.borrow_mut() = Rc::new(Arc::clone(&uploads));
        }
        CurrentBudget(Rc::clone(&self.uploads.borrow()))
    }
}

async fn aci(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<Service>,
) -> HttpResponse {
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    let target = whole(target(request.uri()), connection.as_deref());
    let replaced = refused::read(&target);
    let beyond = limits::beyond(&request, &service.endpoint, connection.as_deref());
    let judged = service.current.judge(&request, &service.endpoint);
    let is_served = replaced.is_none() && beyond.is_none();
    if is_served && let Some(mut response) = health::misspelt(request.uri()) {
        if has_body(&request) {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        return response;
    }
    if is_served && matches!(*request.method(), Method::HEAD | Method::OPTIONS) {
        // A request that only checks that the server is there must not submit or stop anything.
        let keep_alive = service.keep_alive.as_ref().filter(|_| !has_body(&request));
        return response::without_action(&request, &judged.unwrap_or_default(), keep_alive);
    }
    // Held until the reply: the parts of the body are in use until then.
    let mut memory = Reservation::of(service.current.uploads(&service.endpoint));
    let (mut is_ahead, is_foreign) = (false, judged.is_err());
    let (caller, wrong_key, is_known) = sender(&request, &service.endpoint);
    let wrong_key = wrong_key.filter(|_| beyond.is_none());
    if wrong_key.is_some() {
        caller::delay_wrong_key().await;
    }
    let ends_beyond = beyond.as_ref().map(|beyond| beyond.is_last);
    let is_web_page = is_foreign.then_some(Reason::WebPage);
    let refused_for = beyond.as_ref().map(|beyond| beyond.reason).or(is_web_page);
    let is_beyond = beyond.is_some();
    let mut warning = None;
    let (cors, refused) = match (judged, beyond) {
        // Nothing else that is wrong with it is told, nor logged.
        (judged, Some(beyond)) => (judged.unwrap_or_default(), Some(beyond.error)),
        (Ok(cors), None) => {
            let refused = not_spoken(&request).or_else(|| key(&request).err());
            let no_role = || {
                (!is_known).then(|| {
                    let (error, said) = refused_unread(&service.endpoint, &caller);
                    warning = Some(said);
                    error
                })
            };
            (cors, refused.or_else(no_role))
        }
        (Err(refused), None) => {
            is_ahead = refused.is_ahead;
            warning = Some(refusal(&request, &refused));
            (CorsHeaders::default(), Some(refused.error))
        }
    };
    let (target, body) = match (replaced, refused) {
        // The bytes after such a head are no body to be read.
        (Some((error, sent)), refused) => {
            let error = refused.filter(|_| is_beyond).unwrap_or(error);
            (sent.into_owned(), Err(error))
        }
        (None, Some(error)) => (target, Err(error)),
        (None, None) => {
            let connection = connection.as_ref();
            let body =
                body::read(&request, payload, &service.endpoint, &mut memory, connection).await;
            (target, body)
        }
    };
    // Something of the body may still be on its way then.
    let is_last = ends_beyond.unwrap_or(body.is_err());
    let message = AciRequest {
        target,
        content_type: text_of(&request, &CONTENT_TYPE).map(ToOwned::to_owned),
        body,
        refused: refused_for,
        warning,
        port: service.port,
        caller,
        idempotency_key: key(&request).ok().flatten(),
        is_get: *request.method() == Method::GET,
        wants_html: text_of(&request, &ACCEPT).is_some_and(takes_html),
        client: connection.as_deref().map(Connection::client).unwrap_or_default(),
    };
    let Ok(mut answer) = service.front.send(message).await else {
        // The front does nothing that can end it; should it happen, the client may retry.
        return HttpResponse::ServiceUnavailable().finish();
    };
    // Dropped with this future, which is dropped when the connection ends.
    let mut keep_alive = service.keep_alive.as_ref().filter(|_| !is_last);
    let reply = match poll_immediate(&mut answer).await {
        Some(reply) => {
            // Requests that came with this one are answered first, so that the replies leave together: a client
            // on the same machine would take this thread's core for each.
            tokio::task::yield_now().await;
            reply
        }
        None => {
            let reply = answer.await;
            // A client that waited until the shutdown finds the connection closed next.
            keep_alive = keep_alive.filter(|_| !service.endpoint.system().is_draining());
            reply
        }
    };
    // No key would help a page of another server.
    let (asks_for_key, retry_after) = (reply.asks_for_key && !is_foreign, reply.retry_after);
    // A request that was refused has a line of its own, with the key in it.
    if let Some(caller) = wrong_key.filter(|_| !reply.is_refused) {
        log::warn!("a request {caller}, which is not known here, was judged without it");
    }
    let mut response = response::of(&request, &cors, reply, is_last, keep_alive, connection);
    if asks_for_key {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(WWW_AUTHENTICATE, statuses::CHALLENGE);
    }
    if let Some(seconds) = retry_after.or(is_beyond.then_some(limits::RETRY_AFTER_SECS)) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if is_ahead {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// Returns the sender of a request, the words for it if its key is a wrong one, and true if it has any role.
fn sender(request: &HttpRequest, endpoint: &Endpoint) -> (Caller, Option<String>, bool) {
    let access = endpoint.access();
    let mut caller = caller::caller(request, &access);
    if caller.credential.is_none() && access.has_keys() {
        // Browsers send the cookie to the admin page alone.
        let key = admin::session(request, endpoint).and_then(|session| session.key);
        caller.credential = key.map(Credential::Key);
    }
    let wrong_key = access.is_wrong_key(&caller).then(|| caller.to_string());
    let is_known = access.knows(&caller);
    (caller, wrong_key, is_known)
}

/// Logs a request that was not let in, and returns the error for its client.
fn logged(request: &HttpRequest, refused: Refused) -> AciError {
    log::warn!("{}", refusal(request, &refused));
    refused.error
}

/// Returns the words for the log about a request that was not let in.
fn refusal(request: &HttpRequest, Refused { error, .. }: &Refused) -> String {
    let peer = request.peer_addr().map(|peer| format!(" of {peer}")).unwrap_or_default();
    format!("a request{peer} was refused: {:?}", error.description)
}

/// Applies the endpoint's [`BrowserPolicy`] to a request for a route of your own: the web pages that may send it, and the host
/// names that it may ask for.
///
/// A route that changes something needs this, or any page that is open in a browser on the same machine can make the browser
/// send a form to it.
///
/// ```
/// use actiond::front::Endpoint;
/// use actix_web::error::ErrorForbidden;
/// use actix_web::{HttpRequest, web};
///
/// async fn my_own_route(request: HttpRequest, endpoint: web::Data<Endpoint>) -> actix_web::Result<String> {
///     actiond::http::let_in(&endpoint, &request).map_err(ErrorForbidden)?;
///     Ok("done".to_owned())
/// }
/// ```
///
/// # Errors
///
/// The error for a client that is not let in. It is also logged.
pub fn let_in(endpoint: &Endpoint, request: &HttpRequest) -> Result<(), AciError> {
    let judged = endpoint.browsers().judge(request, endpoint.host(), &LastHost::default());
    judged.map(drop).map_err(|refused| logged(request, refused))
}

/// Returns true if the client announced a body. One that is not read ends the connection.
fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// Returns an error for a request that needs a part of HTTP that is not supported. Its body is not read: that of a tunnel or a
/// web socket has no end.
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

/// Returns true if a header `Accept` names HTML, unlike programs that take anything (`*/*`).
fn takes_html(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        let is_never = |weight: &str| weight.parse().is_ok_and(|weight: f32| weight <= 0.0);
        is_html && !parts.any(|part| part.strip_prefix("q=").is_some_and(is_never))
    })
}

fn text_of<'a>(request: &'a HttpRequest, header: &HeaderName) -> Option<&'a str> {
    request.headers().get(header)?.to_str().ok().map(str::trim)
}

/// Returns the target as it was sent. Nearly all have no scheme and no host; those are simply copied.
fn target(uri: &Uri) -> String {
    match uri.path_and_query() {
        Some(path) if uri.authority().is_none() => path.as_str().to_owned(),
        _ => uri.to_string(),
    }
}

/// Returns the kept target where this one is a marker for it.
fn whole(target: String, connection: Option<&Connection>) -> String {
    let number = target.strip_prefix(connection::KEPT).and_then(|number| number.parse().ok());
    number.and_then(|number| connection?.take_target(number)).unwrap_or(target)
}

/// Reads the key of a submission. An empty one counts as none: else all submissions with it would be one action.
fn key(request: &HttpRequest) -> Result<Option<String>, AciError> {
    let mut keys = request.headers().get_all(&IDEMPOTENCY_KEY).map(|value| {
        let bytes = value.as_bytes().trim_ascii();
        // A key is only compared, so its encoding does not matter.
        String::from_utf8(bytes.to_vec())
            .unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect())
    });
    let Some(first) = keys.next() else { return Ok(None) };
    match keys.find(|other| *other != first) {
        Some(other) => {
            let both = format!("{first}, {other}");
            Err(AciError::invalid("Idempotency-Key", &both, "one key"))
        }
        None => Ok(Some(first).filter(|key| !key.is_empty())),
    }
}
