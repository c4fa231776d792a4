//! Ingest on another server, over ACI.

use std::time::Duration;

use super::deliver::NotDelivered;
use crate::aci::client::{Client, ClientError, Fault};

/// Time that a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes; one with a token has a few hundred.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// A server that ingests.
#[derive(Debug)]
pub(super) struct Remote(Client);

impl Remote {
    pub(super) fn new(host: &str, port: u16) -> Result<Self, NotDelivered> {
        let client = Client::builder(host, port).timeout(TIMEOUT).max_reply_bytes(MAX_REPLY_BYTES);
        Ok(Self(client.build()?))
    }

    /// Sends one Ingest action. It is accepted only with a token.
    pub(super) async fn ingest(&self, parameter: &str, value: String) -> Result<(), NotDelivered> {
        self.0.submit("Ingest", [(parameter, value)]).await?;
        Ok(())
    }
}

impl From<ClientError> for NotDelivered {
    fn from(error: ClientError) -> Self {
        match error.fault {
            Fault::Refused(_) | Fault::Lacks(_) => Self::Refused(error.to_string()),
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_was_asked_refuses() {
        let of = |fault| {
            let server = "h:1".to_owned();
            NotDelivered::from(ClientError { server, fault })
        };
        let refused = NotDelivered::Refused("h:1: it answered without a token".to_owned());
        assert_eq!(of(Fault::Lacks("a token")), refused);
        let said_no = "h:1: it answered with an error that says nothing".to_owned();
        assert_eq!(of(Fault::Refused(Box::default())), NotDelivered::Refused(said_no));
        for (fault, text) in [
            (Fault::TimedOut(TIMEOUT), "h:1: it did not answer to the end within 10 s"),
            (Fault::Status(403), "h:1: it answered with HTTP status 403"),
            (Fault::NotAci("x".to_owned()), "h:1: it did not answer as an ACI server: x"),
            (Fault::TooLong(9), "h:1: its answer has more than 9 bytes"),
        ] {
            assert_eq!(of(fault), NotDelivered::Unreachable(text.to_owned()));
        }
    }
}
