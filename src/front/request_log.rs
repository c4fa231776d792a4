//! The log of the latest requests, for the action `GetRequestLog`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actiond_actors::Subject;
use actiond_actors::secrets::{MASK, SecretNames};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::endpoint::Endpoint;
use super::message::AciRequest;
use super::secrets::of_filter;
use crate::aci::request::{PairValue, Pairs};
use crate::aci::words::shorten;
use crate::logging::RequestOutcome;
use crate::metrics::{Outcome, Place};

/// Number of requests that are remembered.
const CAPACITY: usize = 500;
/// Number of bytes of a request that are remembered: a query may hold a whole document.
const REQUEST_BYTES: usize = 1_000;

/// Characters that are encoded in a name or a value: those that have a meaning in a target, and those that no reply can carry.
const IN_VALUES: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'&').add(b'+').add(b'?').add(b'#');
const IN_NAMES: &AsciiSet = &IN_VALUES.add(b'=');

fn encoded(text: &str, what: &'static AsciiSet) -> String {
    utf8_percent_encode(&shorten(text), what).to_string()
}

/// Writes a request whose parameters came in a body as if they had come in its target, without the values of those that are secret.
pub(super) fn text_of(action: &str, pairs: &Pairs, secret: &SecretNames) -> String {
    let mut text = format!("action={}", encoded(action, IN_VALUES));
    for (name, value) in pairs.iter() {
        if text.len() > REQUEST_BYTES {
            break;
        }
        let value = match value {
            PairValue::Text(value) if secret.has(of_filter(name)) && !value.is_empty() => {
                MASK.to_owned()
            }
            PairValue::Text(value) => encoded(value, IN_VALUES),
            PairValue::Bytes(bytes) => format!("({} bytes)", bytes.len()),
        };
        // Writing to a string can't fail.
        let _ = write!(text, "&{}={value}", encoded(name, IN_NAMES));
    }
    text
}

/// The latest requests of a server.
#[derive(Debug, Default)]
pub(super) struct RequestLog(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    /// Number of requests so far.
    total: u64,
    /// The newest last.
    entries: VecDeque<LogEntry>,
}

/// A request that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged<'a> {
    pub(super) action: &'a str,
    pub(super) text: &'a str,
    pub(super) client: Option<IpAddr>,
    pub(super) ended_ms: i64,
    pub(super) took: Duration,
    pub(super) success: bool,
}

/// A request as the log keeps it.
#[derive(Debug, Clone, Default)]
pub(super) struct LogEntry {
    pub(super) action: String,
    pub(super) text: String,
    pub(super) client: Option<IpAddr>,
    pub(super) ended_ms: i64,
    pub(super) took: Duration,
    pub(super) success: bool,
    /// The name of the thread that worked on it.
    pub(super) thread: String,
}

impl RequestLog {
    /// Returns the number of requests so far.
    pub(super) fn total(&self) -> u64 {
        self.latest().total
    }

    /// Adds a request, in the memory of the oldest entry: to copy the texts there costs less than to keep the request's own.
    pub(super) fn push(&self, request: Logged<'_>) {
        let Logged { action, text, client, ended_ms, took, success } = request;
        let action = shorten(action);
        let text = text.trim_start_matches(['/', '?']);
        let text = text.get(..text.floor_char_boundary(REQUEST_BYTES)).unwrap_or_default();
        let thread = std::thread::current();

        let mut latest = self.latest();
        latest.total += 1;
        let is_full = latest.entries.len() >= CAPACITY;
        let oldest = if is_full { latest.entries.pop_front() } else { None };
        let mut entry = oldest.unwrap_or_default();
        write_over(&mut entry.action, &action);
        entry.action.make_ascii_uppercase();
        write_over(&mut entry.text, text);
        write_over(&mut entry.thread, thread.name().unwrap_or_default());
        latest.entries.push_back(LogEntry { client, ended_ms, took, success, ..entry });
    }

    /// Returns the latest entries, the newest first.
    pub(super) fn tail(&self, number: usize) -> Vec<LogEntry> {
        self.latest().entries.iter().rev().take(number).cloned().collect()
    }

    /// Locks the log. Nothing that holds the lock can leave it half changed.
    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request turned out to be.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// The text for the log where the target says nothing.
    pub(super) text: Option<String>,
    /// The place of its action in the metrics, if there is such an action.
    pub(super) place: Option<Place>,
    /// The subject of the lines of the log about it, if there are streams.
    pub(super) subject: Option<Arc<Subject>>,
    /// The values of its parameters that are not for other eyes.
    pub(super) secrets: Vec<String>,
}

impl Noted {
    /// Says something in the log about the request.
    pub(super) fn about<T>(&self, say: impl FnOnce() -> T) -> T {
        let _entered = self.subject.as_ref().map(Subject::enter);
        say()
    }
}

/// A request to be logged and counted, also if its client has gone before the reply.
pub(super) struct Logging {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) request: AciRequest,
    pub(super) noted: Noted,
    began: Instant,
    written: bool,
}

impl Logging {
    pub(super) fn new(endpoint: Arc<Endpoint>, request: AciRequest) -> Self {
        Self { endpoint, request, noted: Noted::default(), began: Instant::now(), written: false }
    }

    pub(super) fn text(&self) -> &str {
        self.noted.text.as_deref().unwrap_or(&self.request.target)
    }

    /// Logs and counts the request. `error` is the text for the log of one that was refused or failed.
    pub(super) fn write(&mut self, action: &str, outcome: Outcome, error: Option<&str>) {
        self.written = true;
        let took = self.began.elapsed();
        if let Some(subject) = &self.noted.subject {
            let outcome = match (outcome, error) {
                (Outcome::Success, _) => RequestOutcome::Success,
                (Outcome::Gone, _) => RequestOutcome::Gone,
                (_, error) => RequestOutcome::Error(error.unwrap_or("Error")),
            };
            self.endpoint.log_streams().end_request(subject, outcome, took);
        }
        if let Some(counted) = self.endpoint.counted() {
            let place =
                self.noted.place.or_else(|| counted.requests.place(self.request.port, None));
            if let Some(place) = place {
                counted.requests.count(place, outcome, took);
            }
        }
        let logged = Logged {
            action,
            text: self.text(),
            client: self.request.caller.address,
            ended_ms: self.endpoint.now_ms(),
            took,
            success: outcome == Outcome::Success,
        };
        self.noted.about(|| self.endpoint.log_request(logged));
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        if !self.written {
            self.noted.about(|| log::debug!("{:?}: the client has gone", self.text()));
            self.write("", Outcome::Gone, None);
        }
    }
}

fn write_over(old: &mut String, new: &str) {
    old.clear();
    old.push_str(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of a body means the same when it is read as a target.
    #[test]
    fn a_body_is_written_as_a_target() {
        let sent =
            [("n", "Ada+L 100%"), ("a&b=c", "x&y=z"), ("t", "a?b#c\0\u{FFFF}\nd"), ("u", "MTA=")];
        let mut pairs = Pairs::from_iter(sent);
        let none = SecretNames::default();
        let text = text_of("Grüß", &pairs, &none);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        let target = crate::aci::request::RawRequest {
            target: &format!("/{text}"),
            content_type: None,
            body: &[],
            max_input_string: 1_000,
            max_upload: 0,
        };
        let read = crate::aci::request::parse(&target).unwrap();
        assert_eq!((read.action.as_str(), &read.pairs), ("Grüß", &pairs));
        pairs.push("b", PairValue::Bytes(vec![0; 7]));
        assert!(text_of("x", &pairs, &none).ends_with("&u=MTA=&b=(7 bytes)"));
    }

    #[test]
    fn the_latest_are_kept_and_the_newest_come_first() {
        let log = RequestLog::default();
        let push = |text: &str| {
            let took = Duration::ZERO;
            log.push(Logged { action: "a", text, client: None, ended_ms: 0, took, success: true });
        };
        let texts = |number| -> Vec<String> {
            log.tail(number).into_iter().map(|entry| entry.text).collect()
        };
        push("/?1");
        push("2");
        push("3");
        assert_eq!(texts(9), ["3", "2", "1"]);
        assert_eq!(texts(2), ["3", "2"]);
        for number in 4..=CAPACITY + 1 {
            push(&number.to_string());
        }
        let kept: Vec<String> = (2..=CAPACITY + 1).rev().map(|number| number.to_string()).collect();
        assert_eq!(texts(usize::MAX), kept);
        assert_eq!(log.total(), CAPACITY as u64 + 1);
        let newest = &log.tail(1)[0];
        assert_eq!(newest.action, "A");
        assert_eq!(Some(&*newest.thread), std::thread::current().name());

        push(&"ä".repeat(REQUEST_BYTES));
        assert_eq!(texts(1)[0].len(), REQUEST_BYTES);
        for number in 0..CAPACITY {
            push(&number.to_string());
        }
        assert_eq!(texts(1), [(CAPACITY - 1).to_string()], "written over, nothing of it is left");
    }
}
