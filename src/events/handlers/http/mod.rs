//! `LibraryName=HttpHandler`: sends each event to a receiver, signed as the Standard Webhooks specification has it; and the
//! addresses that submissions name themselves (`CallbackURL`).
//!
//! | module | contents |
//! |---|---|
//! | here | the request |
//! | `answer` | what the answer of a receiver means |
//! | `client` | the client: proxies, TLS, connections |
//! | `signature` | signatures |

mod answer;
mod client;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::clock::{Clock as _, SystemClock};
use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url};

use super::hosts::{self, HostPattern};
use super::message::{Documents, Format, Message};
use actiond_actors::outbox::{Deliver, OutboxEvent, Undelivered};
pub use client::{Proxy, Trust};
pub use signature::SigningKey;

/// Number of bytes of an answer that are read; of a longer one the connection is closed.
const MAX_ANSWER: usize = 64 << 10;

/// The header that says which event it is, by the key of the configuration, such as `OnFinish`.
const EVENT: HeaderName = HeaderName::from_static("actiond-event");
/// The headers with the queue and with the token of the action.
const QUEUE: HeaderName = HeaderName::from_static("actiond-queue");
const TOKEN: HeaderName = HeaderName::from_static("actiond-token");
/// The headers of the Standard Webhooks specification.
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The settings of a handler that sends events by HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The receiver.
    pub receiver: Receiver,
    /// `Method`.
    pub method: Method,
    /// `Format`.
    pub format: Format,
    /// `TimeoutSecs`: from the connection to the end of the answer.
    pub timeout: Duration,
    /// `Headers`, with that of `BasicUser` or `BearerToken`. Those with secrets are marked so.
    pub headers: HeaderMap,
    /// `ProxyHost` and the keys beside it.
    pub proxy: Option<Proxy>,
    /// `SSLConfig`: the receivers that are trusted, and the certificate that is shown to them.
    pub trust: Trust,
    /// `Secret`: each of these signs; none without it.
    pub keys: Vec<SigningKey>,
    /// Number of connections that are kept, which is that of messages at a time.
    pub connections: usize,
}

/// The receiver of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// `URL`, for all events.
    One(Url),
    /// The address that each event names, if its host is one of these (`AllowedCallbackHosts`).
    OfEvent(Vec<HostPattern>),
}

/// Sends events by HTTP.
#[derive(Debug, Clone)]
pub struct HttpHandler(Arc<Inner>);

struct Inner {
    settings: HttpSettings,
    client: Client,
    documents: Arc<dyn Documents>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpHandler").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl HttpHandler {
    /// Makes the handler; it connects when it has something to send.
    ///
    /// # Errors
    ///
    /// The client can't be made, such as because the system trusts no authority.
    pub fn new(settings: HttpSettings, documents: Arc<dyn Documents>) -> Result<Self, String> {
        let client = client::client(&settings)?;
        Ok(Self(Arc::new(Inner { settings, client, documents })))
    }
}

impl Deliver for HttpHandler {
    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.deliver(&event).await })
    }

    /// Names scheme, host and port of the address that a submission has named.
    fn receiver(&self, event: &OutboxEvent) -> Option<String> {
        match &self.0.settings.receiver {
            Receiver::One(_) => None,
            Receiver::OfEvent(_) => {
                let url = hosts::target(event.callback()?).ok()?;
                Some(url.origin().ascii_serialization())
            }
        }
    }
}

impl Inner {
    async fn deliver(&self, event: &OutboxEvent) -> Result<(), Undelivered> {
        let url = self.url(event)?;
        let HttpSettings { method, format, timeout, keys, .. } = &self.settings;
        let message = Message::of(event, *format, &*self.documents);
        let now = SystemClock.now().millis();
        let headers = headers(&message, *format, keys, now.div_euclid(1000));
        let request = self
            .client
            .request(method.clone(), url)
            .headers(headers)
            .timeout(*timeout)
            .body(message.body);
        let mut response = request.send().await.map_err(|error| {
            let failed = self.failed(&error);
            // Who gives no answer at all gives none to others either.
            Undelivered { is_down: failed.may_retry, ..failed }
        })?;
        let judged = answer::judge(response.status(), response.headers(), now);
        // Whatever it says beside the status counts for nothing; but an answer that breaks off may come from a receiver that has
        // not done with the event, and a connection whose answer was read can be used again.
        let drained = drain(&mut response).await;
        judged?;
        drained.map_err(|error| self.failed(&error))
    }

    /// Returns the address to which an event goes.
    fn url(&self, event: &OutboxEvent) -> Result<Url, Undelivered> {
        let allowed = match &self.settings.receiver {
            Receiver::One(url) => return Ok(url.clone()),
            Receiver::OfEvent(allowed) => allowed,
        };
        let target = event.callback().unwrap_or_default();
        let url = hosts::target(target).map_err(|must_be| {
            Undelivered::for_good(format!("the CallbackURL must be {must_be}"))
        })?;
        // The configuration may be another one than that under which it was submitted.
        if !hosts::allows(allowed, &url) {
            let host = hosts::shown(&url);
            return Err(Undelivered::for_good(format!(
                "the host of the CallbackURL, {host}, is none of [Actions] AllowedCallbackHosts"
            )));
        }
        Ok(url)
    }

    fn failed(&self, error: &reqwest::Error) -> Undelivered {
        match (error.is_timeout(), error.is_connect(), error.is_builder()) {
            // An address or a header that can't be sent never can.
            (_, _, true) => {
                Undelivered::for_good(format!("it can't be sent: {}", root_cause(error)))
            }
            (true, ..) => {
                let seconds = self.settings.timeout.as_secs();
                Undelivered::for_now(format!("the receiver did not answer within {seconds} s"))
            }
            (_, true, _) => Undelivered::for_now(format!(
                "there is no connection to the receiver: {}",
                root_cause(error)
            )),
            _ => Undelivered::for_now(format!(
                "the receiver gave no whole answer: {}",
                root_cause(error)
            )),
        }
    }
}

/// Makes the headers of a message beside those of the settings.
fn headers(message: &Message, format: Format, keys: &[SigningKey], seconds: i64) -> HeaderMap {
    let Message { id, event, queue, token, body } = message;
    let signatures = signature::signatures(keys, id, seconds, body);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(EVENT, HeaderValue::from_static(event));
    headers.insert(TIMESTAMP, HeaderValue::from(seconds));
    let texts = [
        (QUEUE, Some(&**queue)),
        (TOKEN, token.as_deref()),
        (ID, Some(id.as_str())),
        (SIGNATURE, signatures.as_deref()),
    ];
    for (name, text) in texts {
        // A name of a queue that no header can have is in the body.
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Returns true for headers that a handler makes itself, or that belong to the connection.
pub(crate) fn is_own_header(name: &HeaderName) -> bool {
    use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
    [
        CONTENT_TYPE,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        CONNECTION,
        HOST,
        EVENT,
        QUEUE,
        TOKEN,
        ID,
        TIMESTAMP,
        SIGNATURE,
    ]
    .contains(name)
}

/// Reads an answer up to a bound, for as long as the request may take.
async fn drain(response: &mut Response) -> reqwest::Result<()> {
    let mut read = 0;
    while let Some(piece) = response.chunk().await? {
        read += piece.len();
        if read > MAX_ANSWER {
            break;
        }
    }
    Ok(())
}

/// Returns the innermost cause of an error: those around it only say that a request failed, and its address.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
