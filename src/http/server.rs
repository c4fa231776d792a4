//! The HTTP/1 server: the sockets, the workers and the limits of a connection.
//!
//! It does what `HttpServer::listen` of actix-web does, from the same parts, with one addition: each connection is read
//! through [`MendedStream`] (`connection/mod.rs` says why). Under that a connection is a bare socket, or TLS over one
//! ([`crate::tls`]).

use std::{fmt, io, net::SocketAddr, net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_http::{ConnectionType, Request, Response, body::MessageBody, error::DispatchError};
use actix_server::{Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory,
    fn_service, map_config,
};
use actix_web::{dev::AppConfig, rt::net::TcpStream};
use futures_util::FutureExt as _;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;

use super::connection::{Connection, CountedBody, MendedStream};
use super::limits::{ConnectionLimit, TIME_BEYOND};
use crate::front::Certificate;
use crate::tls::{Stream, Tls};

/// The longest request line, in bytes as it is sent.
pub const MAX_REQUEST_LINE: usize = 65_000;

/// The timeouts of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Time for which an idle connection is kept for the next request (default 75 s).
    pub idle: Duration,
    /// Time that the client has to send the head of a request, and then its body, for which each 1,000 bytes add a second (default
    /// 30 s).
    pub request: Duration,
    /// Time for which the client may take nothing of a reply, and for which one that has ended its side of the connection still
    /// gets the reply that is under way (default 60 s). Work for that client alone ends a second after it has ended its side.
    pub reply: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(75),
            request: Duration::from_secs(30),
            reply: Duration::from_secs(60),
        }
    }
}

/// Time that a disconnect may take.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Largest number of connections that each worker serves at the same time; more wait to be accepted.
pub const MAX_CONNECTIONS: usize = 25_000;

/// Largest number of workers that `actix-server` takes.
const MAX_WORKERS: usize = 512;

/// The sockets of a port that wait for clients, and whether they speak TLS to it.
pub struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<Tls>,
    connections: ConnectionLimit,
    longest_request: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("sockets", &self.sockets)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Adds a socket at another address. All are served by the same workers.
    #[must_use]
    pub fn also(mut self, socket: TcpListener) -> Self {
        self.sockets.push(socket);
        self
    }

    /// Makes another one with the same sockets, which stay open when this one is closed.
    ///
    /// # Errors
    ///
    /// The system gives no more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        let sockets = self.sockets.iter().map(TcpListener::try_clone);
        Ok(Self {
            sockets: sockets.collect::<io::Result<_>>()?,
            tls: self.tls.clone(),
            connections: self.connections.clone(),
            longest_request: Arc::clone(&self.longest_request),
        })
    }

    /// Sets how many bytes the longest request has whose end is waited for (default: any number). It is asked for each connection.
    /// The part beyond the endpoint's own limit is only read to be thrown away: see [`super::max_request`].
    #[must_use]
    pub fn longest_request(mut self, bytes: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.longest_request = Arc::new(bytes);
        self
    }

    /// Sets how many connections a client may have (default: any number).
    #[must_use]
    pub fn connections(mut self, limit: ConnectionLimit) -> Self {
        self.connections = limit;
        self
    }

    /// Sets what clients must speak: TLS with these certificates, or plain HTTP where there are none.
    #[must_use]
    pub fn tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }
}

impl From<TcpListener> for Listener {
    /// Makes one for plain HTTP.
    fn from(socket: TcpListener) -> Self {
        Self {
            sockets: vec![socket],
            tls: None,
            connections: ConnectionLimit::default(),
            longest_request: Arc::new(|| u64::MAX),
        }
    }
}

/// Serves an actix-web application on `listener`, which is a [`TcpListener`] or, for TLS, a [`Listener`], in `workers` threads of
/// their own (1 to 512; others are clamped).
///
/// `app` is called once in each worker. No signal is handled: stop the server through its handle; a graceful stop
/// waits for running requests for at most `shutdown_timeout` (in whole seconds). The returned server runs once it is
/// awaited or spawned, inside an actix or tokio runtime. `connections` limits those of each client; all servers that hold
/// the limit of one endpoint count together.
///
/// Handlers see requests as [`MendedStream`] leaves them, among them the markers for those that were refused: see
/// [`Marked`](super::connection::Marked).
/// `AppConfig` is the default one: it does not know the address of `listener`.
///
/// # Errors
///
/// When the listener cannot be made non-blocking or asked for its address.
pub fn serve<F, I, S, B>(
    listener: impl Into<Listener>,
    timeouts: Timeouts,
    workers: usize,
    shutdown_timeout: Duration,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let Listener { sockets, tls, connections, longest_request } = listener.into();
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let service = move |address: SocketAddr| {
        let (app, stopping, tls) = (app.clone(), stopping.clone(), tls.clone());
        let (connections, longest_request) = (connections.clone(), Arc::clone(&longest_request));
        move || {
            let (stopping, tls) = (stopping.clone(), tls.clone());
            let ending = stopping.clone();
            let (connections, longest_request) =
                (connections.clone(), Arc::clone(&longest_request));
            let app = app().into_factory().map_err(|error| error.into().error_response());
            // Each connection learns which of its requests are answered.
            let app = apply_fn_factory(app, |request: Request, app: &_| {
                let connection = request.conn_data::<Rc<Connection>>();
                let is_last = connection.is_some_and(|connection| connection.is_beyond_limit());
                let answering = connection.map(Connection::begin);
                let reply = Service::call(app, request);
                async move {
                    let mut reply: Response<B> = reply.await?.into();
                    if is_last {
                        reply.head_mut().set_connection_type(ConnectionType::Close);
                    }
                    Ok(reply.map_body(|_, body| CountedBody { body, answering }))
                }
            });
            let http = actix_http::HttpService::build()
                // Lets idle connections end at once when the server stops.
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(timeouts.idle)
                .client_request_timeout(timeouts.request)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .local_addr(address)
                .on_connect_ext(|stream: &MendedStream<Stream>, data| {
                    if let Some(connection) = stream.connection() {
                        data.insert(Rc::clone(connection));
                    }
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(move |socket: TcpStream| {
                // First, so that it counts from here on, however long anything takes.
                let peer = socket.peer_addr().ok();
                let place = connections.enter(peer);
                let open = connections.connect();
                let tls = tls.clone().map(|tls| (tls, ending.clone()));
                let max_request = longest_request();
                async move {
                    // Its client has far more than it may: to close it is all that is done for it.
                    let place = place.map_err(|_| closed())?;
                    let beyond =
                        place.as_ref().filter(|place| place.is_beyond()).map(|_| TIME_BEYOND);
                    prepare(&socket);
                    let (stream, certificate) = match tls {
                        None => (Stream::Plain(socket), None),
                        // Boxed: a plain connection does not reserve the memory that a handshake needs.
                        Some((tls, ending)) => Box::pin(async move {
                            let within = beyond.unwrap_or(timeouts.request);
                            let accepted = tokio::select! {
                                accepted = tls.accept(socket, within) => accepted,
                                () = ending.notified() => None,
                            };
                            // It was told to the log.
                            accepted.ok_or_else(closed)
                        })
                        .await
                        .map(|accepted| {
                            let certificate = accepted.names.map(Certificate::new);
                            (Stream::Tls(Box::new(accepted.stream)), certificate)
                        })?,
                    };
                    let stream = MendedStream::new(stream, MAX_REQUEST_LINE, timeouts.request)
                        .limited(timeouts.reply, max_request)
                        .closed_after(beyond)
                        .answered_by(
                            Rc::new(Connection::of(place, certificate, open)),
                            is_closed_by_client,
                        );
                    Ok((stream, peer))
                }
            })
            .and_then(http)
        }
    };
    let builder = builder
        .workers(workers.clamp(1, MAX_WORKERS))
        .max_concurrent_connections(MAX_CONNECTIONS)
        .shutdown_timeout(shutdown_timeout.as_secs())
        .disable_signals();
    let listen = |builder: ServerBuilder, socket: TcpListener| {
        let address = socket.local_addr()?;
        builder.listen(address.to_string(), socket, service(address))
    };
    Ok(sockets.into_iter().try_fold(builder, listen)?.run())
}

/// Returns the error of a connection that ends before anything is read from it; actix-server drops it.
fn closed() -> DispatchError {
    DispatchError::Io(io::ErrorKind::ConnectionAborted.into())
}

/// Sets the options of a connection. A socket that refuses is only slower, or about to fail on its own.
fn prepare(socket: &TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        log::debug!("TCP_NODELAY was refused: {error}");
    }
    if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&keepalive()) {
        log::debug!("SO_KEEPALIVE was refused: {error}");
    }
}

/// Returns the TCP keepalive by which a client that has gone silently, such as one whose machine was switched off, is noticed
/// within a minute.
fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));
    keepalive.with_interval(Duration::from_secs(10)).with_retries(3)
}

/// Returns true if the client has ended its side of the connection, or reset it, though bytes may be left to read.
fn is_closed_by_client(stream: &Stream) -> bool {
    // This is what the runtime already knows of the socket, without a system call.
    let ready = stream.socket().ready(Interest::READABLE).now_or_never();
    ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "tls_tests.rs"]
mod tls_tests;
