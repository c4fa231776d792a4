//! Live events, as server-sent events (source: WHATWG, HTML, section 9.2). Servers other than actiond have none.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use tokio::time::{sleep, timeout};

use super::{Client, ClientError, Fault, Reply, fault_of};

/// The header by which a client that comes back says what it has heard.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Time without a word after which a connection counts as dead: several of the comments that a server sends in between.
const SILENCE: Duration = Duration::from_secs(60);

/// Time before the next try, unless the server says another; and the longest to which it grows.
const RETRY: Duration = Duration::from_secs(3);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Number of bytes that one event may have.
const MAX_EVENT: usize = 1 << 20;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveEvent {
    /// The type, such as `started`; `reset` if some were missed.
    pub kind: String,
    /// The data: one line of JSON.
    pub data: String,
    /// The id of the latest event with one.
    pub id: String,
}

/// One who listens to the events of a server. It comes back by itself when the connection ends, and goes on after the last event.
#[derive(Debug)]
pub struct Listener {
    client: Client,
    filters: Vec<(String, String)>,
    response: Option<reqwest::Response>,
    parser: Parser,
    last_id: String,
    /// Number of tries since there was a connection.
    tries: u32,
    has_heard: bool,
}

impl Client {
    /// Begins to listen; these parameters, such as `Queue`, `Token` and `Types`, say to what. It connects when it is asked for
    /// an event.
    #[must_use]
    pub fn events(&self, filters: Vec<(String, String)>) -> Listener {
        Listener {
            client: self.clone(),
            filters,
            response: None,
            parser: Parser::default(),
            last_id: String::new(),
            tries: 0,
            has_heard: false,
        }
    }
}

impl Listener {
    /// Goes on after the event with this id.
    #[must_use]
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.last_id = id.into();
        self
    }

    /// Connects, if there is no connection: what happens from then on is heard.
    ///
    /// # Errors
    /// [`ClientError`], with [`Fault::Status`] of 404 if the server has no live events, or [`Fault::Refused`].
    pub async fn connect_now(&mut self) -> Result<(), ClientError> {
        if self.response.is_none() {
            let response = self.connect().await.map_err(|fault| self.client.error(fault))?;
            self.parser.begin(&self.last_id);
            self.response = Some(response);
            self.has_heard = true;
        }
        Ok(())
    }

    /// Waits for the next event. A connection that breaks is made again; only the first one has to succeed at once.
    ///
    /// # Errors
    /// [`ClientError`], with [`Fault::Status`] of 404 if the server has no live events, or [`Fault::Refused`].
    pub async fn next(&mut self) -> Result<LiveEvent, ClientError> {
        loop {
            while let Some(event) = self.parser.take() {
                self.last_id.clone_from(&event.id);
                if !event.data.is_empty() || !event.kind.is_empty() {
                    return Ok(event);
                }
            }
            if let Err(error) = self.hear().await {
                let may_pass = matches!(
                    error.fault,
                    Fault::NotConnected(_) | Fault::Unreachable(_) | Fault::TimedOut(_)
                ) || matches!(error.fault, Fault::Status(429 | 502 | 503 | 504));
                if !self.has_heard || !may_pass {
                    return Err(error);
                }
                let pause = self.parser.retry.unwrap_or(RETRY);
                sleep(pause.saturating_mul(1 << self.tries.min(4)).min(LONGEST_RETRY)).await;
                self.tries = self.tries.saturating_add(1);
            }
        }
    }

    /// Connects if that is needed, and reads what comes next.
    async fn hear(&mut self) -> Result<(), ClientError> {
        self.connect_now().await?;
        let Some(response) = &mut self.response else { return Ok(()) };
        let piece = match timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            ended => {
                self.response = None;
                let fault = match ended {
                    Ok(Ok(_)) => Fault::Unreachable("it has ended the connection".to_owned()),
                    Ok(Err(error)) => fault_of(&error, SILENCE),
                    Err(_) => Fault::TimedOut(SILENCE),
                };
                return Err(self.client.error(fault));
            }
        };
        self.tries = 0;
        let is_bounded = self.parser.push(&piece);
        if is_bounded { Ok(()) } else { Err(self.client.error(Fault::TooLong(MAX_EVENT))) }
    }

    async fn connect(&self) -> Result<reqwest::Response, Fault> {
        let Client { http, url, timeout: patience, .. } = &self.client;
        let wrong = |_| Fault::NotConnected("the address has no place for events".to_owned());
        let mut url = url.join("events").map_err(wrong)?;
        let filters = self.filters.iter();
        if !self.filters.is_empty() {
            url.query_pairs_mut().extend_pairs(filters);
        }
        let mut request = http.get(url).header(ACCEPT, "text/event-stream");
        if !self.last_id.is_empty() {
            request = request.header(LAST_EVENT_ID, &self.last_id);
        }
        // The reply has no end, so only its head has a time limit.
        let response = timeout(*patience, request.send()).await;
        let response = response.map_err(|_| Fault::TimedOut(*patience))?;
        let response = response.map_err(|error| fault_of(&error, *patience))?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        match response.status() {
            StatusCode::OK if is_stream => Ok(response),
            status => Err(refusal(response, status, *patience).await),
        }
    }
}

/// Reads why a server does not let a client listen: an ACI error in most cases, behind a status that says it, too.
async fn refusal(mut response: reqwest::Response, status: StatusCode, patience: Duration) -> Fault {
    let mut bytes = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MAX_EVENT {
                break;
            }
        }
    };
    let _ = timeout(patience, read).await;
    match Reply::read(&String::from_utf8_lossy(&bytes)) {
        // An ACI server without events takes the path for an action, and says with success that there is none.
        _ if status.is_success() => Fault::Status(StatusCode::NOT_FOUND.as_u16()),
        Err(refused @ Fault::Refused(_)) => refused,
        _ => Fault::Status(status.as_u16()),
    }
}

/// Makes events of the bytes of a stream.
#[derive(Debug, Default)]
struct Parser {
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
    event: LiveEvent,
    has_data: bool,
    events: std::collections::VecDeque<LiveEvent>,
    retry: Option<Duration>,
    /// True if the last byte was a carriage return, so that a line feed behind it ends nothing.
    after_return: bool,
}

impl Parser {
    /// Forgets what a connection that has ended has left undone.
    fn begin(&mut self, last_id: &str) {
        self.line.clear();
        self.event = LiveEvent { id: last_id.to_owned(), ..LiveEvent::default() };
        (self.has_data, self.after_return) = (false, false);
    }

    fn take(&mut self) -> Option<LiveEvent> {
        self.events.pop_front()
    }

    /// Reads what came; false if an event is longer than one may be.
    fn push(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            let is_second = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if is_second => {}
                b'\r' | b'\n' => self.end_line(),
                _ => self.line.push(byte),
            }
            if self.line.len().saturating_add(self.event.data.len()) > MAX_EVENT {
                return false;
            }
        }
        true
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let id = self.event.id.clone();
            let event =
                std::mem::replace(&mut self.event, LiveEvent { id, ..LiveEvent::default() });
            self.has_data = false;
            self.events.push_back(event);
            return;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.kind),
            "id" if !value.contains('\0') => value.clone_into(&mut self.event.id),
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, or what is not known.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String, String)> {
        let mut parser = Parser::default();
        assert!(pieces.iter().all(|piece| parser.push(piece)));
        let events = std::iter::from_fn(|| parser.take());
        events.map(|event| (event.kind, event.data, event.id)).collect()
    }

    fn event(kind: &str, data: &str, id: &str) -> (String, String, String) {
        (kind.to_owned(), data.to_owned(), id.to_owned())
    }

    const STREAM: &str = "retry: 2000\nid: a-0\n\n: hello\nevent: started\r\ndata:{\"x\":1}\r\nid: a-1\r\n\r\ndata: one\rdata: tw\u{f6}\r\r\
                          event: queued\ndata: cut";

    #[test]
    fn events_are_read_as_the_source_says() {
        let want = [
            event("", "", "a-0"),
            event("started", "{\"x\":1}", "a-1"),
            event("", "one\ntw\u{f6}", "a-1"),
        ];
        assert_eq!(read(&[STREAM.as_bytes()]), want);
    }

    #[test]
    fn an_event_is_bounded() {
        let mut parser = Parser::default();
        assert!(!parser.push(&vec![b'x'; MAX_EVENT + 1]));
        let mut parser = Parser::default();
        let mut line = vec![b'x'; MAX_EVENT / 4];
        line.splice(0..0, *b"data:");
        line.push(b'\n');
        assert!(!(0..5).all(|_| parser.push(&line)));
    }

    proptest! {
        #[test]
        fn it_is_the_same_however_the_bytes_come(cuts in proptest::collection::vec(0..STREAM.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[STREAM.as_bytes()]));
        }
    }
}
