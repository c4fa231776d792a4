//! The latest requests, for the action `GetRequestLog`.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crate::aci::error::shorten;
use crate::aci::request::{PairValue, Pairs};

/// How many requests are remembered.
const CAPACITY: usize = 500;
/// How much of a request is remembered, in bytes: a query may hold a whole document.
const REQUEST_BYTES: usize = 1_000;

/// Writes a request whose parameters came in a body as if they had come in its target.
pub(super) fn text_of(action: &str, pairs: &Pairs) -> String {
    let mut text = format!("action={}", shorten(action));
    for (name, value) in pairs.iter() {
        if text.len() > REQUEST_BYTES {
            break;
        }
        let value = match value {
            PairValue::Text(value) => shorten(value),
            PairValue::Bytes(bytes) => format!("({} bytes)", bytes.len()).into(),
        };
        // Writing to a string can't fail.
        let _ = write!(text, "&{}={value}", shorten(name));
    }
    text
}

/// A ring of the latest requests.
#[derive(Debug, Default)]
pub(super) struct RequestLog(Mutex<VecDeque<Entry>>);

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) action: String,
    pub(super) request: String,
    pub(super) client: Option<IpAddr>,
    pub(super) ended_ms: i64,
    pub(super) took: Duration,
    pub(super) success: bool,
    pub(super) thread: Thread,
}

impl RequestLog {
    pub(super) fn push(
        &self,
        mut action: String,
        mut request: String,
        client: Option<IpAddr>,
        ended_ms: i64,
        took: Duration,
        success: bool,
    ) {
        if let Cow::Owned(short) = shorten(&action) {
            action = short;
        }
        action.make_ascii_uppercase();
        let begins = request.len() - request.trim_start_matches(['/', '?']).len();
        request.drain(..begins);
        request.truncate(request.floor_char_boundary(REQUEST_BYTES));
        // A long one was cut: it must not keep the room it had.
        request.shrink_to(REQUEST_BYTES);
        let entry = Entry {
            action,
            request,
            client,
            ended_ms,
            took,
            success,
            thread: std::thread::current(),
        };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if entries.len() < CAPACITY { None } else { entries.pop_front() };
        entries.push_back(entry);
        // All HTTP workers come by here: what can be done without the lock is.
        drop(entries);
        drop(oldest);
    }

    /// Returns the latest entries, the newest first.
    pub(super) fn latest(&self, number: usize) -> Vec<Entry> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().rev().take(number).cloned().collect()
    }
}
