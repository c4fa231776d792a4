//! The latest requests, for the action `GetRequestLog`.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// The latest requests of a server. Each front writes to a part of its own: what several threads write to in turn
/// costs each of them more than the rest of the log.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    /// How many there have been.
    total: AtomicU64,
    parts: Mutex<Vec<Arc<LogPart>>>,
}

/// What one front has written.
#[derive(Debug)]
pub(super) struct LogPart {
    /// The name of its thread.
    thread: Arc<str>,
    /// The newest last.
    entries: Mutex<VecDeque<Entry>>,
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

/// A request as it is remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// Which request of the server this was, from 0.
    number: u64,
    pub(super) action: String,
    pub(super) text: String,
    pub(super) client: Option<IpAddr>,
    pub(super) ended_ms: i64,
    pub(super) took: Duration,
    pub(super) success: bool,
}

impl RequestLog {
    /// Begins the part of another front, which lives on this thread.
    pub(super) fn part(&self) -> Arc<LogPart> {
        let thread = std::thread::current().name().unwrap_or_default().into();
        let part = Arc::new(LogPart { thread, entries: Mutex::default() });
        let oldest = self.oldest();
        let mut parts = lock(&self.parts);
        // Those of fronts that have gone are kept for as long as their requests are among the latest.
        parts.retain(|part| {
            let newest = lock(&part.entries).back().map(|entry| entry.number);
            Arc::strong_count(part) > 1 || newest >= Some(oldest)
        });
        parts.push(Arc::clone(&part));
        part
    }

    /// Returns how many requests there have been.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Writes a request down, in the place of one that is among the latest no more: what a request was read into is
    /// free at once for the next one, which costs less than to keep it.
    pub(super) fn push(&self, part: &LogPart, request: Logged<'_>) {
        let Logged { action, text, client, ended_ms, took, success } = request;
        let number = self.total.fetch_add(1, Ordering::Relaxed);
        let mut entries = lock(&part.entries);
        let is_old = |entry: &Entry| entry.number + CAPACITY as u64 <= number;
        let mut entry = Entry::default();
        while entries.front().is_some_and(is_old) {
            entry = entries.pop_front().unwrap_or_default();
        }
        entry.action.clear();
        entry.action.push_str(&shorten(action));
        entry.action.make_ascii_uppercase();
        let text = text.trim_start_matches(['/', '?']);
        entry.text.clear();
        let end = text.floor_char_boundary(REQUEST_BYTES);
        entry.text.push_str(text.get(..end).unwrap_or_default());
        entries.push_back(Entry { number, client, ended_ms, took, success, ..entry });
    }

    /// Returns the latest entries, the newest first, and on which thread each was worked on.
    pub(super) fn latest(&self, number: usize) -> Vec<(Arc<str>, Entry)> {
        let oldest = self.oldest();
        let mut latest = Vec::new();
        for part in &*lock(&self.parts) {
            let entries = lock(&part.entries);
            let kept = entries.iter().filter(|entry| entry.number >= oldest);
            latest.extend(kept.map(|entry| (Arc::clone(&part.thread), entry.clone())));
        }
        latest.sort_unstable_by_key(|(_, entry)| Reverse(entry.number));
        // Some may have come meanwhile.
        latest.truncate(number.min(CAPACITY));
        latest
    }

    /// Returns the number of the oldest that is among the latest.
    fn oldest(&self) -> u64 {
        self.total().saturating_sub(CAPACITY as u64)
    }
}

/// Nothing that holds one of these locks can leave its data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &RequestLog, number: usize) -> Vec<String> {
        log.latest(number).into_iter().map(|(_, entry)| entry.text).collect()
    }

    #[test]
    fn the_latest_are_those_of_all_parts_together() {
        let log = RequestLog::default();
        let (busy, calm) = (log.part(), log.part());
        let push = |part: &LogPart, text: &str| {
            let took = Duration::ZERO;
            log.push(
                part,
                Logged { action: "a", text, client: None, ended_ms: 0, took, success: true },
            );
        };
        push(&busy, "/?1");
        push(&calm, "2");
        push(&busy, "3");
        assert_eq!(texts(&log, 9), ["3", "2", "1"]);
        assert_eq!(texts(&log, 2), ["3", "2"]);
        for number in 4..=501 {
            push(&busy, &number.to_string());
        }
        assert_eq!((texts(&log, 999).len(), &*texts(&log, 999)[499]), (500, "2"));
        push(&busy, "502");
        assert_eq!((texts(&log, 999).len(), &*texts(&log, 999)[499]), (500, "3"));
        assert_eq!((lock(&busy.entries).len(), log.total()), (500, 502));
        push(&calm, &"ä".repeat(REQUEST_BYTES));
        assert_eq!((texts(&log, 1)[0].len(), lock(&calm.entries).len()), (REQUEST_BYTES, 1));

        // What a front wrote that has gone is there until it is old.
        drop(calm);
        let _next = log.part();
        assert_eq!((texts(&log, 1)[0].len(), lock(&log.parts).len()), (REQUEST_BYTES, 3));
        for number in 0..500 {
            push(&busy, &number.to_string());
        }
        let _third = log.part();
        assert_eq!(lock(&log.parts).len(), 3);
    }
}
