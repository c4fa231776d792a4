//! The ledger: all that clients of a storm have asked and were told, and what was found wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::findings::Findings;

/// An action that was submitted.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) mark: String,
    /// Its place in [`QUEUES`](super::QUEUES).
    pub(super) queue: usize,
    pub(super) request: String,
    pub(super) is_deaf: bool,
    /// None while the reply is on its way, or was lost with the server.
    pub(super) token: Option<String>,
    /// True if such a command was sent, accepted or not.
    pub(super) stop: bool,
    pub(super) cancel: bool,
    /// Its state when it was last shown.
    pub(super) seen: String,
    /// Number of those that were sent.
    pub(super) retries: usize,
    /// A final state that was shown, and how many retries had been sent before that was asked for.
    pub(super) ended: Option<(String, usize)>,
}

#[derive(Default)]
pub(super) struct Books {
    pub(super) lives: usize,
    pub(super) entries: Vec<Entry>,
    pub(super) requests: usize,
    findings: Findings,
}

#[derive(Default)]
pub(super) struct Ledger(Mutex<Books>);

/// The kinds of thing that a storm must have seen at least once to have shown anything.
const MUST: [&str; 13] = [
    "programs: Finished",
    "programs: Error",
    "workers: Finished",
    "workers: Error",
    "Stopped",
    "Cancelled",
    "attempt of programs: exit code 3",
    "attempt of programs: signal 9",
    "attempt of workers: lease",
    "interrupted by server restart",
    "begun again",
    "done finish",
    "done fail",
];

impl Ledger {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // Somebody who failed fails the test; the others may go on until then.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin_life(&self) {
        self.books().lives += 1;
    }

    /// Notes an illegal outcome.
    pub(super) fn found(&self, wrong: &'static str, what: impl Into<String>) {
        self.books().findings.found(wrong, what.into());
    }

    pub(super) fn happened(&self, what: impl Into<String>) {
        self.books().findings.happened(what.into());
    }

    /// Prints what happened; fails if an illegal outcome was found.
    pub(super) fn judge(&self, seed: u64) {
        let books = self.books();
        let title = format!(
            " over programs and workers: {} requests, {} actions, {} lives of the server",
            books.requests,
            books.entries.len(),
            books.lives
        );
        books.findings.judge(&title, seed);
    }

    /// A storm in which these did not happen shows nothing of them.
    pub(super) fn must_have_happened(&self) {
        let books = self.books();
        let missing: Vec<_> =
            MUST.iter().filter(|what| !books.findings.has_happened(what)).collect();
        assert!(missing.is_empty(), "these never happened: {missing:?}");
    }
}
