//! The errors of the client, as types.

use std::time::Duration;

use crate::element::Element;

use super::tree::{child, text_of};

/// A request that failed, with the server that it was sent to.
///
/// It is shown as `HOST:PORT: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{server}: {fault}")]
pub struct ClientError {
    /// The server as `HOST:PORT`.
    pub server: String,
    /// The cause.
    pub fault: Fault,
}

/// The cause of a failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No connection was made, so the server did nothing.
    #[error("{0}")]
    NotConnected(String),
    /// The connection broke before the reply was whole. The server may have done what it was asked.
    #[error("{0}")]
    Unreachable(String),
    /// The reply was not whole in time. The server may have done what it was asked, or may still do it.
    #[error("it did not answer to the end within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The status was not one of success: an ACI server sends its errors with 200.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// The reply has more bytes than the client accepts.
    #[error("its answer has more than {0} bytes")]
    TooLong(usize),
    /// The reply is not one of ACI; a short part of it is shown.
    #[error("it did not answer as an ACI server: {0}")]
    NotAci(String),
    /// The server replied with an error.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The server replied with success, but the reply lacks something.
    #[error("it answered without {0}")]
    Lacks(&'static str),
    /// A list is not whole, for the reason that the server gives.
    #[error("its list is not whole: {0}")]
    Incomplete(String),
}

/// The error that a server replied with. Each field but the first is empty where the server left it out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The number at the end of the error id, 502 for example.
    pub number: Option<u32>,
    /// The whole error id, which names the product and the action too.
    pub id: String,
    /// The constant by which programs tell errors apart, `ERRORPARAMINVALID` for example.
    pub code: String,
    /// The short text, the same for all errors of a kind.
    pub string: String,
    /// The longer text.
    pub description: String,
}

impl Refusal {
    /// Reads the element `error` of a reply.
    pub(super) fn read(error: &Element) -> Self {
        let text = |name| child(error, name).map(text_of).unwrap_or_default().trim().to_owned();
        let (id, raw) = (text("errorid"), text("rawerrorid"));
        let digits = raw.strip_prefix("0x").or_else(|| raw.strip_prefix("0X"));
        let behind =
            id.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |last| last.saturating_add(1));
        let number = digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .or_else(|| id.get(behind..)?.parse().ok());
        Self {
            number,
            id,
            code: text("errorcode"),
            string: text("errorstring"),
            description: text("errordescription"),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let texts = [self.description.as_str(), self.string.as_str()];
        let text = texts.into_iter().find(|text| !text.is_empty());
        f.write_str(text.unwrap_or("it answered with an error that says nothing"))
    }
}
