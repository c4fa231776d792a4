//! What goes wrong between a client and a server, as types.

use std::time::Duration;

use crate::element::Element;

use super::tree::{child, text_of};

/// A request that did not do what it was sent for, with the server that it was sent to.
///
/// It is shown as `HOST:PORT: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{server}: {fault}")]
pub struct ClientError {
    /// The server as `HOST:PORT`.
    pub server: String,
    /// What is wrong.
    pub fault: Fault,
}

/// The ways in which a request goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No connection came about, or it broke before the reply was whole. Whether the server has done what it was asked
    /// is not known in the second case.
    #[error("{0}")]
    Unreachable(String),
    /// The reply was not whole in time. The server may have done what it was asked, or may do it yet.
    #[error("it did not answer to the end within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The status was not one of success: an ACI server sends its errors with 200.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// The reply has more bytes than the client takes.
    #[error("its answer has more than {0} bytes")]
    TooLong(usize),
    /// The reply is none of ACI; what is shown of it is short.
    #[error("it did not answer as an ACI server: {0}")]
    NotAci(String),
    /// The server said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The server said yes, but its reply lacks what it must hold.
    #[error("it answered without {0}")]
    Lacks(&'static str),
    /// A list ended before its end, for the reason that the server gives.
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
