//! The latest requests, for the action `GetRequestLog`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
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
    pub(super) thread: String,
}

impl RequestLog {
    pub(super) fn push(
        &self,
        action: &str,
        request: &str,
        client: Option<IpAddr>,
        ended_ms: i64,
        took: Duration,
        success: bool,
    ) {
        let request = request.trim_start_matches(['/', '?']);
        let cut = request.floor_char_boundary(REQUEST_BYTES);
        let entry = Entry {
            action: shorten(action).to_ascii_uppercase(),
            request: request.get(..cut).unwrap_or_default().to_owned(),
            client,
            ended_ms,
            took,
            success,
            thread: std::thread::current().name().unwrap_or_default().to_owned(),
        };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Returns the latest entries, the newest first.
    pub(super) fn latest(&self, number: usize) -> Vec<Entry> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().rev().take(number).cloned().collect()
    }
}
