//! Lines of a log about actions that did not finish.

use std::fmt;

use super::{ActionRef, Interest, Observer, QueueEvent, Requeue, observer};
use crate::action::{ActionId, State, Timestamp};
use crate::store::SiteId;

/// Number of characters of an error text in one line of a log.
const MAX_LOGGED_CHARS: usize = 500;

/// An action that ended otherwise than Finished, or was put back into the queue.
///
/// Displays as one line, such as `Error: no such file`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Unfinished<'a> {
    /// The action's id.
    pub id: ActionId,
    /// The time at which it was queued.
    pub queued_at: Timestamp,
    /// The server that took it, if that was another: see [`Record::taken_by`](crate::store::Record::taken_by).
    pub taken_by: Option<SiteId>,
    /// The action's state: Error, Cancelled or Stopped; or Queued if it was put back into the queue.
    pub state: State,
    /// The error text, if there is one: any text, of any length.
    pub error: Option<&'a str>,
    /// The reason why it was put back into the queue, if it was.
    pub requeued: Option<Requeue<'a>>,
}

impl<'a> Unfinished<'a> {
    /// Returns the unfinished action that an event is about, or `None` for other events. Needs [`Interest::UNFINISHED`].
    #[must_use]
    pub fn of(event: &QueueEvent<'a>) -> Option<Self> {
        let (action, state, error, requeued) = match *event {
            QueueEvent::Ended { action, state, error, .. } if state != State::Finished => {
                (action, state, error, None)
            }
            QueueEvent::Requeued { action, why } => {
                let error = if let Requeue::Failed { error, .. } = why { error } else { None };
                (action, State::Queued, error, Some(why))
            }
            _ => return None,
        };
        let ActionRef { id, queued_at, taken_by, .. } = action;
        Some(Self { id, queued_at, taken_by, state, error, requeued })
    }
}

impl fmt::Display for Unfinished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.requeued {
            Some(Requeue::Interrupted) => f.write_str("interrupted, it runs again")?,
            Some(Requeue::Failed { after, .. }) => {
                write!(f, "failed, it is tried again in {:.1} s", after.as_secs_f64())?;
            }
            Some(Requeue::Released) => f.write_str("given back undone, it runs again")?,
            Some(Requeue::Asked) => f.write_str("is tried again, as a client asked")?,
            None => f.write_str(self.state.name())?,
        }
        self.error.map_or(Ok(()), |error| write!(f, ": {}", OneLine(error)))
    }
}

/// A text that displays as one line of a log: at most 500 characters, control characters escaped.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::fmt::Write as _;

        let mut chars = self.0.chars();
        for c in chars.by_ref().take(MAX_LOGGED_CHARS) {
            // Line and paragraph separators, and characters that change the direction of text.
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

/// Makes the observer that a system has by default: it logs each unfinished action at level info, with queue and id.
pub(crate) fn log_unfinished() -> impl Observer {
    observer(Interest::UNFINISHED, |queue, event| {
        if let Some(unfinished) = Unfinished::of(event) {
            log::info!("queue {queue}: action {}: {unfinished}", unfinished.id);
        } else if let QueueEvent::EndDropped { action, why } = event {
            let ActionRef { id, attempt, .. } = action;
            log::warn!(
                "queue {queue}: action {id}: the end of attempt {attempt} was dropped: {why}"
            );
        }
    })
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
