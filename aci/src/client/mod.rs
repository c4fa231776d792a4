//! A client of ACI servers: sends actions, and asks queues about them. Behind the feature `client`; HTTPS behind
//! `client-tls`.
//!
//! It works with any server of the protocol, and uses `Wait` where a server has it ([`Client::wait`]). It follows no
//! redirect, uses no proxy that the environment names, and limits the size of a reply. It needs a Tokio runtime with I/O and
//! time. To drop a future cancels the request: its connection is closed.
//!
//! ```
//! use std::time::Duration;
//! use actiond_aci::client::{Client, Status};
//!
//! # use std::io::{Read, Write};
//! # fn serve(replies: &'static [&'static str]) -> u16 {
//! #     let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! #     let port = listener.local_addr().unwrap().port();
//! #     std::thread::spawn(move || for reply in replies {
//! #         let mut stream = listener.accept().unwrap().0;
//! #         let mut head = Vec::new();
//! #         while !head.ends_with(b"\r\n\r\n") { let mut byte = [0]; stream.read_exact(&mut byte).unwrap(); head.push(byte[0]); }
//! #         let head = String::from_utf8(head).unwrap().to_lowercase();
//! #         let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
//! #         stream.read_exact(&mut vec![0; length]).unwrap();
//! #         let reply = format!("<autnresponse><action>X</action><response>SUCCESS</response><responsedata>{reply}</responsedata></autnresponse>");
//! #         write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{reply}", reply.len()).unwrap();
//! #     });
//! #     port
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), actiond_aci::client::ClientError> {
//! # let port = serve(&["<token>MTA=</token>", "<actions><action><status>Finished</status><greeting>Hello Ada</greeting><token>MTA=</token></action></actions>"]);
//! let client = Client::builder("127.0.0.1", port).timeout(Duration::from_secs(5)).build()?;
//! let token = client.submit("Greet", [("Name", "Ada")]).await?;
//! let action = client.wait(&token, Duration::from_secs(60)).await?;
//! assert_eq!(action.status, Status::Finished);
//! assert_eq!(action.results[0].name, "greeting");
//! # Ok(())
//! # }
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `commands`, `list`, `many`, `wait` | the methods of [`Client`] for queues and their actions |
//! | `server` | those about the server itself |
//! | `events` | live events |
//! | `queue_info` | the answers of queues |
//! | `fault` | errors |
//! | `body` | the body of a request |
//! | `reply`, [`tree`] | replies, and the search in them |
//! | `tls` | HTTPS |

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;

use crate::request::Pairs;

mod body;
mod commands;
mod events;
mod fault;
mod list;
mod many;
mod queue_info;
mod reply;
mod server;
#[cfg(test)]
mod tests;
#[cfg(feature = "client-tls")]
mod tls;
pub mod tree;
mod wait;

pub use body::Body;
pub use commands::About;
pub use events::{Listener, LiveEvent};
pub use fault::{ClientError, Fault, Refusal};
pub use list::List;
pub use many::{Commanded, ManyCommand, Reason, Selection};
pub use queue_info::{Action, Attempt, Progress, QueueStatus, Stage, Status, Time};
pub use reply::Reply;
pub use server::{ActionHelp, QueueCounts, ServerStatus};
#[cfg(feature = "client-tls")]
pub use tls::Trust;

/// Time after which an idle connection is closed: shorter than servers keep one, so that no request is sent over a connection
/// that its server is about to close.
const IDLE: Duration = Duration::from_secs(5);

/// A client of one server. Copies share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    server: String,
    timeout: Duration,
    max_reply: usize,
    /// The queue that is named beside tokens that tell none.
    queue: Option<Arc<str>>,
}

/// The settings of a [`Client`] to be built.
#[derive(Debug)]
pub struct Builder {
    host: String,
    port: u16,
    path: String,
    timeout: Duration,
    connect_timeout: Option<Duration>,
    max_reply: usize,
    headers: Vec<(String, String)>,
    #[cfg(feature = "client-tls")]
    trust: Option<Trust>,
}

impl Builder {
    /// Sets the time that a request may take, from the connection to the end of the reply; 10 seconds if not set. Waiting
    /// for the end of an action comes on top.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the path below which the server answers, where it is mounted in an application; `/` if not set.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the time that connecting may take, as part of that of the request.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Sets how many bytes a reply may have; 16 MB if not set. While it is read, a reply can take forty times its size.
    #[must_use]
    pub const fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply = bytes;
        self
    }

    /// Adds a header to each request. Its value is kept out of debug output.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Uses HTTPS, and trusts the servers with these certificates.
    #[cfg(feature = "client-tls")]
    #[must_use]
    pub fn https(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Makes the client; it connects when it is first used.
    ///
    /// # Errors
    /// [`Fault::NotConnected`] if the host is no name or address, the path no path, a header no header, or a certificate can't be
    /// trusted.
    pub fn build(self) -> Result<Client, ClientError> {
        // The colons of an IPv6 address are none of a port.
        let server = match self.host.contains(':') && !self.host.starts_with('[') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        };
        let wrong =
            |what: String| ClientError { server: server.clone(), fault: Fault::NotConnected(what) };
        let scheme = self.scheme();
        let url = Url::parse(&format!("{scheme}://{server}/"))
            .ok()
            .filter(|url| url.port_or_known_default() == Some(self.port))
            .filter(|url| url.path() == "/" && url.username().is_empty() && url.query().is_none())
            .ok_or_else(|| wrong("the host is no name or address".to_owned()))?;
        let path = format!("/{}/", self.path.trim_matches('/')).replace("//", "/");
        let url = url.join(&path).ok().filter(|url| url.path() == path);
        let url = url.ok_or_else(|| wrong(format!("{path} is no path of a server")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let (Ok(name), Ok(mut value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
            else {
                return Err(wrong(format!("{name} is no header that can be sent")));
            };
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let mut http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .pool_idle_timeout(IDLE)
            .default_headers(headers);
        if let Some(timeout) = self.connect_timeout {
            http = http.connect_timeout(timeout);
        }
        // Without a configuration of ours, one is made for the whole process.
        #[cfg(feature = "client-tls")]
        let http = {
            let config = tls::config(self.trust.as_ref()).map_err(&wrong)?;
            http.https_only(self.trust.is_some()).tls_backend_preconfigured(config)
        };
        let http = http.build().map_err(|error| wrong(root_cause(&error)))?;
        let Self { timeout, max_reply, .. } = self;
        Ok(Client { http, url, server, timeout, max_reply, queue: None })
    }

    #[cfg(feature = "client-tls")]
    const fn scheme(&self) -> &'static str {
        if self.trust.is_some() { "https" } else { "http" }
    }

    #[cfg(not(feature = "client-tls"))]
    const fn scheme(&self) -> &'static str {
        "http"
    }
}

impl Client {
    /// Begins a client of the server with this name or address and ACI port.
    #[must_use]
    pub fn builder(host: impl Into<String>, port: u16) -> Builder {
        Builder {
            host: host.into(),
            port,
            path: String::new(),
            timeout: Duration::from_secs(10),
            connect_timeout: None,
            max_reply: 16 << 20,
            headers: Vec::new(),
            #[cfg(feature = "client-tls")]
            trust: None,
        }
    }

    /// Returns the server as errors name it: `HOST:PORT`, or `[ADDRESS]:PORT` for an IPv6 address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Returns the same client, which names this queue beside tokens of which it can't read theirs. It shares the connections.
    #[must_use]
    pub fn for_queue(&self, queue: &str) -> Self {
        Self { queue: Some(queue.into()), ..self.clone() }
    }

    /// Sends an action and reads the reply. Parameters go as a form, or as a multipart form where one is bytes.
    ///
    /// A request that failed is not sent again: the server may have done what it was asked.
    ///
    /// # Errors
    /// [`ClientError`], with [`Fault::Refused`] if the server replied with an error.
    pub async fn send(
        &self,
        action: &str,
        parameters: impl Into<Pairs>,
    ) -> Result<Reply, ClientError> {
        self.send_and_wait(action, parameters.into(), Duration::ZERO).await
    }

    /// Does the same where the server may wait so long before it replies.
    async fn send_and_wait(
        &self,
        action: &str,
        parameters: Pairs,
        wait: Duration,
    ) -> Result<Reply, ClientError> {
        let patience = self.timeout.saturating_add(wait);
        let text = self.exchange(action, parameters, patience).await;
        text.and_then(|text| Reply::read(&text)).map_err(|fault| self.error(fault))
    }

    async fn exchange(
        &self,
        action: &str,
        parameters: Pairs,
        patience: Duration,
    ) -> Result<String, Fault> {
        let body = Body::new(action, parameters);
        let failed = |error: reqwest::Error| fault_of(&error, patience);
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, body.content_type)
            .timeout(patience)
            .body(body.bytes);
        let mut response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(Fault::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if bytes.len().saturating_add(piece.len()) > self.max_reply {
                return Err(Fault::TooLong(self.max_reply));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn error(&self, fault: Fault) -> ClientError {
        ClientError { server: self.server.clone(), fault }
    }
}

/// Tells apart the errors of HTTP, where the reply had so much time.
fn fault_of(error: &reqwest::Error, patience: Duration) -> Fault {
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => Fault::NotConnected(root_cause(error)),
        (false, true) => Fault::TimedOut(patience),
        (false, false) => Fault::Unreachable(root_cause(error)),
    }
}

/// Returns the innermost cause of an error: those around it only say that a request failed, and its address.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
