//! The ledger of a storm: all that clients asked for and were told, written down apart from the servers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::storm::findings::Findings;

/// An action that was submitted.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its name: in its request, in its key, and in its diary.
    pub(super) mark: String,
    /// Its place in [`QUEUES`](super::QUEUES).
    pub(super) queue: usize,
    pub(super) request: String,
    /// None where no answer came yet.
    pub(super) token: Option<String>,
    /// True if a stop or a cancel of it was ever sent.
    pub(super) end_asked: bool,
    /// The final state that was shown, and by whom.
    pub(super) ended: Option<(String, String)>,
}

#[derive(Default)]
pub(super) struct Books {
    pub(super) entries: Vec<Entry>,
    findings: Findings,
}

#[derive(Default)]
pub(super) struct Ledger(Mutex<Books>);

impl Ledger {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // Somebody who failed fails the test; the others may go on until then.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an illegal outcome.
    pub(super) fn found(&self, wrong: &'static str, what: impl Into<String>) {
        self.books().findings.found(wrong, what.into());
    }

    pub(super) fn happened(&self, what: impl Into<String>) {
        self.books().findings.happened(what.into());
    }

    pub(super) fn has_happened(&self, all: &[&str]) -> bool {
        let books = self.books();
        all.iter().all(|what| books.findings.has_happened(what))
    }

    /// Notes a state that a server has shown. A final one never changes, whoever shows it.
    pub(super) fn shown(&self, index: usize, state: &str, by: &str) {
        let mut books = self.books();
        let entry = &mut books.entries[index];
        match &entry.ended {
            Some((ended, _)) if ended == state => {}
            // What was asked for before the end was shown may be answered after it; who asks makes sure that it was not.
            Some(_) => {
                let what = format!("{by} shows {state}: {entry:?}");
                books.findings.found("an end was taken back", what);
            }
            None if is_final(state) => entry.ended = Some((state.to_owned(), by.to_owned())),
            None => {}
        }
    }

    /// Prints what happened; fails if an illegal outcome was found, or if something did not happen that had to.
    pub(super) fn judge(&self, seed: u64, must: &[&str]) {
        let books = self.books();
        let title = format!(": {} actions", books.entries.len());
        let table = books.findings.judge(&title, seed);
        drop(books);
        assert!(self.has_happened(must), "not all of these happened: {must:?}\n{table}");
    }
}

pub(super) fn is_final(state: &str) -> bool {
    ["Finished", "Error", "Cancelled", "Stopped"].contains(&state)
}
