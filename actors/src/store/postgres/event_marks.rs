//! Marks of events: the places where their reading begins while somebody holds an old snapshot.
//!
//! All events that were delivered since then still stand before those that wait, and each look would walk past them. So a look begins
//! at the event that was the first one to wait some time ago: long enough for every transaction to have ended that had a lower number
//! then. What comes to stand before it all the same, because another server lets failed events be delivered again, is found by a look
//! at all of them once a minute.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time by which a mark stays behind. A transaction lasts some seconds at most.
const LAG: Duration = Duration::from_secs(30);

/// Time between two looks at all events.
const WHOLE: Duration = Duration::from_secs(60);

/// The marks by handler.
#[derive(Debug, Default)]
pub(super) struct EventMarks(Mutex<HashMap<i64, Mark>>);

/// A mark of one handler: events below it are passed over.
#[derive(Debug, Clone, Copy)]
struct Mark {
    from: i64,
    /// Its next value, and when that was the first event that waited.
    next: i64,
    since: Instant,
    /// The time of the last look at all events.
    whole: Instant,
}

impl EventMarks {
    /// Returns the number from which on the events of a handler are read now.
    pub(super) fn from(&self, handler: i64, now: Instant) -> i64 {
        let mut marks = self.marks();
        let Some(mark) = marks.get_mut(&handler) else { return i64::MIN };
        if now.saturating_duration_since(mark.whole) >= WHOLE {
            mark.whole = now;
            return i64::MIN;
        }
        mark.from
    }

    /// Notes the first event of a handler that waits, as a look has found it that began at this time.
    pub(super) fn note(&self, handler: i64, first: i64, now: Instant) {
        let mut marks = self.marks();
        let new = Mark { from: i64::MIN, next: first, since: now, whole: now };
        let mark = marks.entry(handler).or_insert(new);
        if now.saturating_duration_since(mark.since) >= LAG {
            (mark.from, mark.next, mark.since) = (mark.next, first, now);
        }
        (mark.from, mark.next) = (mark.from.min(first), mark.next.min(first));
    }

    /// Forgets the mark of a handler: an event may wait again that has any number.
    pub(super) fn forget(&self, handler: i64) {
        self.marks().remove(&handler);
    }

    /// Forgets all marks.
    pub(super) fn clear(&self) {
        self.marks().clear();
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<i64, Mark>> {
        // Nothing that holds the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_begins_at_what_waited_first_some_time_ago() {
        let (marks, begun) = (EventMarks::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(marks.from(1, at(0)), i64::MIN);
        marks.note(1, 100, at(0));
        marks.note(1, 150, at(29));
        assert_eq!(marks.from(1, at(29)), i64::MIN, "a transaction may still have a lower number");
        marks.note(1, 200, at(30));
        assert_eq!((marks.from(1, at(31)), marks.from(2, at(31))), (100, i64::MIN));
        marks.note(1, 90, at(32));
        assert_eq!(marks.from(1, at(33)), 90, "it was found by a look at all");
        assert_eq!(marks.from(1, at(60)), i64::MIN, "once a minute");
        assert_eq!(marks.from(1, at(61)), 90);
        marks.forget(1);
        assert_eq!(marks.from(1, at(62)), i64::MIN);
    }
}
