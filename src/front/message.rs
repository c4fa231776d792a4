//! The messages between HTTP and the front: a request, and the reply to it.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use actiond_actors::QueueError;
use actix::Message;
use bytes::Bytes;
use futures_util::Stream;

use super::client::Client;
use super::handover::Handover;
use super::reply_memory::{ReplyMemory, SMALL};
use crate::access::KeyHash;
use crate::aci::error::AciError;
use crate::metrics::Reason;

/// A request as it came over HTTP, sent by the HTTP service of the same worker. It gets one reply, also if it is refused
/// (Q11).
#[derive(Debug, Message)]
#[rtype(result = "AciAnswer")]
pub struct AciRequest {
    /// The target of the request line, as it was sent.
    pub target: String,
    /// The content type of the body.
    pub content_type: Option<String>,
    /// The body, or why it could not be read.
    pub body: Result<Bytes, AciError>,
    /// The reason for which HTTP refuses it, where the error in place of its body does not tell: for metrics alone.
    pub refused: Option<Reason>,
    /// A warning for the log about such a refusal, which is said with the id of the request.
    pub warning: Option<String>,
    /// The port by which it came, which says what actions there are.
    pub port: Port,
    /// The sender.
    pub caller: Caller,
    /// A key by which a submission can be repeated without a second action.
    pub idempotency_key: Option<String>,
    /// True if its method is `GET`.
    pub is_get: bool,
    /// True if the client is a browser, which prefers a page to XML where there is one.
    pub wants_html: bool,
    /// The client, by which work for it alone ends once it has left.
    pub client: Client,
}

/// A port of the server. Each has its own set of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Port {
    /// The one for actions (`[Server] Port`).
    Aci,
    /// The one by which programs watch and end the server (`[Service] ServicePort`).
    Service,
}

/// The sender of a request, as far as it is known.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Caller {
    /// The address that it was sent from; `None` over a socket of Unix.
    pub address: Option<IpAddr>,
    /// True if a proxy on this machine that is not trusted has passed it on, so that the address says nothing of the client.
    pub is_forwarded: bool,
    /// A key or password by which the caller is somebody.
    pub credential: Option<Credential>,
    /// The certificate of the caller's end of the connection.
    pub certificate: Option<Certificate>,
}

impl Caller {
    /// Makes a caller with nothing but an address.
    #[must_use]
    pub fn at(address: Option<IpAddr>) -> Self {
        Self { address, ..Self::default() }
    }
}

/// The words for a caller in a message to the log: `of 192.0.2.7`. They never have the text of a key.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "of {address}")?,
            None => f.write_str("of a local socket")?,
        }
        if self.is_forwarded {
            f.write_str(" (passed on by a proxy that does not say for whom, or is not trusted)")?;
        }
        match &self.credential {
            Some(Credential::Key(hash)) => write!(f, " with the key {hash:?}"),
            None => Ok(()),
        }
    }
}

/// The proof of who it is that a caller sent along.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credential {
    /// A key, of which only the hash goes further than HTTP.
    Key(KeyHash),
}

/// The certificate of a client, which was verified when its connection began.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<[String]>);

impl Certificate {
    /// Makes a certificate with these names: its subject, whole and as a common name, and its alternative names.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self(names.into())
    }

    /// Returns true if this is one of its names, in any case.
    #[must_use]
    pub fn is(&self, identity: &str) -> bool {
        self.0.iter().any(|name| name.eq_ignore_ascii_case(identity))
    }
}

/// The future of the reply to an [`AciRequest`]. Drop it when the client has gone, so that a wait of an hour does not outlive
/// its client; commands that a queue has got already are carried out.
pub type AciAnswer = Pin<Box<dyn Future<Output = AciReply> + Send>>;

/// The reply to an [`AciRequest`]. Its HTTP status is 200 unless it asks for a key: clients read no other (observed).
#[derive(Debug)]
pub struct AciReply {
    /// The content type, to the letter.
    pub content_type: &'static str,
    /// The body.
    pub body: AciBody,
    /// The memory that is reserved for a large body; a stream has its own.
    pub memory: ReplyMemory,
    /// The actions that are handed to a worker with it, until it was sent.
    pub handover: Handover,
    /// True if the request was refused for want of a role, of which the log has a line.
    pub is_refused: bool,
    /// True if the client is a browser that should ask its user for a key: HTTP status 401.
    pub asks_for_key: bool,
    /// Number of seconds after which the same request may succeed, if it may: HTTP has a header for that.
    pub retry_after: Option<u32>,
}

impl AciReply {
    pub(super) fn whole(content_type: &'static str, mut body: Vec<u8>) -> Self {
        if body.len() > SMALL {
            // It grew while it was written, and its spare capacity is not counted.
            body.shrink_to_fit();
        }
        Self {
            content_type,
            body: AciBody::Whole(body),
            memory: ReplyMemory::default(),
            handover: Handover::default(),
            is_refused: false,
            asks_for_key: false,
            retry_after: None,
        }
    }

    pub(super) fn html(page: String) -> Self {
        Self::whole("text/html; charset=utf-8", page.into_bytes())
    }

    pub(super) fn plain(text: String) -> Self {
        Self::whole("text/plain; charset=utf-8", text.into_bytes())
    }

    /// Returns the number of bytes in memory: for a whole body, all.
    pub(super) const fn len(&self) -> usize {
        match &self.body {
            AciBody::Whole(body) => body.len(),
            AciBody::Stream(_) => 0,
        }
    }
}

/// The body of an [`AciReply`].
pub enum AciBody {
    /// All of it.
    Whole(Vec<u8>),
    /// Written while it is sent; an error breaks the connection off, so that half a list is not
    /// taken for a whole one.
    Stream(ListStream),
}

/// A body that is written while it is sent.
pub type ListStream = Pin<Box<dyn Stream<Item = Result<Bytes, QueueError>> + Send>>;

impl fmt::Debug for AciBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(body) => f.debug_tuple("Whole").field(&body.len()).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
