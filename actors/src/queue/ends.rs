//! What is told of actions that did not finish: of each as it becomes durable, and summed up for the log.
//!
//! An action that finished costs one comparison here.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::lock;
use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::{Ended, INTERRUPTED_BY_RESTART, INTERRUPTED_BY_SHUTDOWN, Verdict};
use crate::store::{Affected, AttemptEnd};

/// How much of an error text goes into one line of a log.
const MAX_LOGGED_CHARS: usize = 500;

/// An action that ended otherwise than Finished, or was interrupted and runs again; durable when it is told.
///
/// Displayed, it is one line that says what became of the action, such as `Error: no such file`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Unfinished<'a> {
    /// The name of its queue, as it was given to the builder.
    pub queue: &'a str,
    /// Its id.
    pub id: ActionId,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// Where it stands: Error, Cancelled or Stopped; or Queued, if it was interrupted and runs again.
    pub state: State,
    /// Why, where that is known: any text, of any length.
    pub error: Option<&'a str>,
}

impl fmt::Display for Unfinished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.state == State::Queued {
            return f.write_str("interrupted, it runs again");
        }
        f.write_str(self.state.name())?;
        self.error.map_or(Ok(()), |error| write!(f, ": {}", OneLine(error)))
    }
}

/// Displays a text on one line of a log: at most 500 characters, with whatever controls a terminal escaped.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::fmt::Write as _;

        let mut chars = self.0.chars();
        for c in chars.by_ref().take(MAX_LOGGED_CHARS) {
            // The line and paragraph separators, and what turns the direction of text round.
            let misleads = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if c.is_control() || misleads {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        if chars.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}

/// Whom a system tells of each.
#[derive(Clone)]
pub(crate) struct Listener(Arc<dyn Fn(&Unfinished<'_>) + Send + Sync>);

impl Listener {
    pub(crate) fn new(listener: impl Fn(&Unfinished<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self::new(|unfinished| {
            log::info!("queue {}: action {}: {unfinished}", unfinished.queue, unfinished.id);
        })
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// How many actions were interrupted, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    queued: usize,
    failed: usize,
    stopped: usize,
}

impl Tally {
    fn add(&mut self, state: State) {
        match state {
            State::Queued => self.queued += 1,
            State::Error => self.failed += 1,
            _ => self.stopped += 1,
        }
    }

    pub(crate) const fn total(&self) -> usize {
        self.queued + self.failed + self.stopped
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queued, failed, stopped } = self;
        write!(f, "{queued} to run again, {failed} ended in Error, {stopped} ended in Stopped")
    }
}

/// A queue's own: what has not been summed up yet, and who is told.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    listener: Listener,
    interrupted: Mutex<Tally>,
}

impl Ends {
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener, interrupted: Mutex::default() }
    }

    /// Tells of what clients' commands ended: what waited is cancelled.
    pub(super) fn commanded(&self, queue: &str, affected: &[Affected]) {
        for action in affected {
            self.tell(queue, action, None);
        }
    }

    /// Tells of the end of an attempt, unless it finished.
    pub(super) fn ended(&self, queue: &str, affected: &[Affected], end: &AttemptEnd) {
        for action in affected.iter().filter(|action| action.state != State::Finished) {
            let mut error = end.error.as_deref();
            if let Ended::Interrupted(_) = end.ended {
                lock(&self.interrupted).add(action.state);
                if action.state == State::Error {
                    error = error.or(Some(INTERRUPTED_BY_SHUTDOWN));
                }
            }
            self.tell(queue, action, error);
        }
    }

    /// Tells of what ran in an earlier server, and sums it up.
    pub(super) fn recovered(&self, queue: &str, affected: &[Affected]) {
        let mut tally = Tally::default();
        for action in affected {
            if let Verdict::Move(state) = action.verdict {
                tally.add(state);
                let error = (state == State::Error).then_some(INTERRUPTED_BY_RESTART);
                self.tell(queue, action, error);
            }
        }
        let total = tally.total();
        if total > 0 {
            let actions = if total == 1 { "action that was" } else { "actions that were" };
            log::info!("queue {queue}: {total} {actions} interrupted recovered: {tally}");
        }
    }

    /// Tells of an action, if this ended or requeued it.
    pub(super) fn tell(&self, queue: &str, action: &Affected, error: Option<&str>) {
        let Affected { id, queued_at, state, verdict, .. } = *action;
        // Finished is the end of an attempt only, and was left out there.
        let is_news = state == State::Queued || state.is_final();
        if verdict != Verdict::Move(state) || !is_news {
            return;
        }
        let unfinished = Unfinished { queue, id, queued_at, state, error };
        // Other people's code, and the actor that calls it has answers to give.
        if catch_unwind(AssertUnwindSafe(|| (self.listener.0)(&unfinished))).is_err() {
            log::error!("queue {queue}: who is told of unfinished actions panicked");
        }
    }

    /// Takes the sum of what a shutdown interrupted.
    pub(crate) fn take_interrupted(&self) -> Tally {
        std::mem::take(&mut *lock(&self.interrupted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_bounded_line() {
        let table = [
            ("", ""),
            ("plain \"text\" \\ é", "plain \"text\" \\ é"),
            ("a\nb\r\tc\u{1b}[0m", "a\\nb\\r\\tc\\u{1b}[0m"),
            ("a\u{2028}b\u{202e}c\u{85}", "a\\u{2028}b\\u{202e}c\\u{85}"),
        ];
        for (text, line) in table {
            assert_eq!(OneLine(text).to_string(), line);
        }
        let exact = "é".repeat(MAX_LOGGED_CHARS);
        assert_eq!(OneLine(&exact).to_string(), exact);
        assert_eq!(OneLine(&format!("{exact}x")).to_string(), format!("{exact}..."));
    }
}
