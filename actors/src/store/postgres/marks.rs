//! Marks: the places where claims and deletions begin while somebody holds an old snapshot.
//!
//! The database can't remove what was deleted after the oldest snapshot that is held anywhere: by a transaction that is left open, a
//! long report, a dump. All actions that were started since still stand in the index of those that wait, before all others, and
//! each claim walks past them: a queue that drains gets slower with each action. So claims begin behind the last action that was
//! claimed, in each priority; another connection looks for what stands before that, each second. The same holds for old actions
//! that are deleted in the order of their ends, and for events: `event_marks`.
//!
//! Marks are only kept while there is such a snapshot ([`Marks::note_old`]). Then an action that comes to stand before a mark
//! (because it is tried again, or another server was slower to commit it) may start later than others behind it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::event_marks::EventMarks;
use crate::store::Claimed;

/// Time by which a mark stays behind what was claimed. Actions that other servers take at the same time are mostly committed by
/// then, though their ids may be lower.
const LAG: Duration = Duration::from_millis(100);

/// Maximum number of priorities of a queue that have marks; others are searched from their beginnings.
const MAX_PRIORITIES: usize = 16;

/// The marks of all queues.
#[derive(Debug, Default)]
pub(super) struct Marks {
    is_old: AtomicBool,
    queues: Mutex<HashMap<i32, BTreeMap<i32, Mark>>>,
    /// When the last action had ended that was deleted, in milliseconds.
    pruned: Mutex<HashMap<i32, i64>>,
    pub(super) events: EventMarks,
}

/// A mark of one priority: ids up to it are passed over.
#[derive(Debug, Clone, Copy)]
struct Mark {
    id: i64,
    /// Its next value, for when the lag is over, and the moment since which that waits.
    next: i64,
    since: Instant,
}

/// A part of the order in which the actions of a queue start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The priorities between these two.
    Between { above: i64, below: i64 },
    /// One priority, behind an id.
    Behind { priority: i32, id: i64 },
}

impl Marks {
    /// Notes whether there is an old snapshot.
    pub(super) fn note_old(&self, is_old: bool) {
        self.is_old.store(is_old, Ordering::Relaxed);
        if !is_old {
            self.queues().clear();
            lock(&self.pruned).clear();
            self.events.clear();
        }
    }

    pub(super) fn is_old(&self) -> bool {
        self.is_old.load(Ordering::Relaxed)
    }

    /// Returns the parts of a queue that a claim searches, in their order; `None` if it searches all of it.
    pub(super) fn parts(&self, queue: i32) -> Option<Vec<Part>> {
        if !self.is_old() {
            return None;
        }
        let queues = self.queues();
        let marks = queues.get(&queue).filter(|marks| !marks.is_empty())?;
        let mut parts = Vec::with_capacity(2 * marks.len() + 1);
        let mut below = i64::from(i32::MAX) + 1;
        for (priority, mark) in marks.iter().rev() {
            parts.push(Part::Between { above: (*priority).into(), below });
            parts.push(Part::Behind { priority: *priority, id: mark.id });
            below = (*priority).into();
        }
        parts.push(Part::Between { above: i64::from(i32::MIN) - 1, below });
        Some(parts)
    }

    /// Notes what was claimed: all that stood before it is started, or locked by who starts it.
    pub(super) fn advance(&self, queue: i32, claimed: &[Claimed], now: Instant) {
        if claimed.is_empty() || !self.is_old() {
            return;
        }
        let mut queues = self.queues();
        let marks = queues.entry(queue).or_default();
        for claimed in claimed {
            let id = super::columns::id_number(claimed.id);
            let is_full = marks.len() >= MAX_PRIORITIES;
            match marks.get_mut(&claimed.priority) {
                Some(mark) => mark.advance(id, now),
                None if is_full => {}
                None => {
                    let id = id.saturating_sub(1);
                    marks.insert(claimed.priority, Mark { id, next: id, since: now });
                }
            }
        }
    }

    /// Notes that an action may start that has this id.
    pub(super) fn lower(&self, queue: i32, priority: i32, id: i64) {
        if !self.is_old() {
            return;
        }
        if let Some(mark) = self.queues().get_mut(&queue).and_then(|marks| marks.get_mut(&priority))
        {
            let before = id.saturating_sub(1);
            (mark.id, mark.next) = (mark.id.min(before), mark.next.min(before));
        }
    }

    /// Notes when the last action had ended that was deleted.
    pub(super) fn note_pruned(&self, queue: i32, ended: i64) {
        if self.is_old() {
            lock(&self.pruned).insert(queue, ended);
        }
    }

    /// Returns from when on actions have ended that may be deleted.
    pub(super) fn pruned_to(&self, queue: i32) -> i64 {
        if !self.is_old() {
            return i64::MIN;
        }
        let lag = i64::try_from(LAG.as_millis()).unwrap_or_default();
        lock(&self.pruned).get(&queue).map_or(i64::MIN, |ended| ended.saturating_sub(lag))
    }

    /// Returns all marks: queue, priority and id.
    pub(super) fn all(&self) -> Vec<(i32, i32, i64)> {
        let queues = self.queues();
        let of = |(queue, marks): (&i32, &BTreeMap<i32, Mark>)| {
            let queue = *queue;
            marks
                .iter()
                .map(move |(priority, mark)| (queue, *priority, mark.id))
                .collect::<Vec<_>>()
        };
        queues.iter().flat_map(of).collect()
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<i32, BTreeMap<i32, Mark>>> {
        lock(&self.queues)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds the lock can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mark {
    fn advance(&mut self, id: i64, now: Instant) {
        if id <= self.id {
            return;
        }
        if now.saturating_duration_since(self.since) >= LAG {
            (self.id, self.next, self.since) = (self.next.max(self.id), id, now);
        } else if self.next <= self.id {
            self.next = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{ActionId, Parameters, Timestamp};

    fn claimed(id: u64, priority: i32) -> Claimed {
        Claimed {
            id: ActionId::new(id).unwrap(),
            attempt: 1,
            queued_at: Timestamp(0),
            started_at: Timestamp(0),
            priority,
            parameters: Parameters::default(),
            failures: 0,
            restarts: 0,
            taken_by: None,
        }
    }

    fn mark_of(marks: &Marks, priority: i32) -> Option<i64> {
        marks.all().into_iter().find(|(_, of, _)| *of == priority).map(|(_, _, id)| id)
    }

    #[test]
    fn without_an_old_snapshot_everything_is_searched() {
        let marks = Marks::default();
        marks.advance(1, &[claimed(9, 0)], Instant::now());
        assert_eq!(marks.parts(1), None);
        marks.note_old(true);
        assert_eq!(marks.parts(1), None, "nothing was claimed since");
        marks.advance(1, &[claimed(9, 0)], Instant::now());
        assert!(marks.parts(1).is_some() && marks.parts(2).is_none());
        marks.note_old(false);
        marks.note_old(true);
        assert_eq!(marks.parts(1), None, "the marks are gone");
    }

    #[test]
    fn every_place_in_the_order_is_in_one_part_but_those_before_a_mark() {
        let marks = Marks::default();
        marks.note_old(true);
        let now = Instant::now();
        marks.advance(1, &[claimed(5, 7), claimed(3, -2), claimed(9, i32::MIN)], now);
        let parts = marks.parts(1).unwrap();
        let holds = |part: &Part, priority: i32, id: i64| match *part {
            Part::Between { above, below } => {
                above < priority.into() && i64::from(priority) < below
            }
            Part::Behind { priority: of, id: after } => of == priority && id > after,
        };
        for (priority, passed) in
            [(i32::MAX, 0), (8, 0), (7, 4), (6, 0), (-1, 0), (-2, 2), (-3, 0), (i32::MIN, 8)]
        {
            for id in 1..=12 {
                let count = parts.iter().filter(|part| holds(part, priority, id)).count();
                assert_eq!(count, usize::from(id > passed), "{priority} {id}: {parts:?}");
            }
        }
        let places: Vec<i64> = parts
            .iter()
            .map(|part| match *part {
                Part::Between { above, .. } => above * 2 + 1,
                Part::Behind { priority, .. } => i64::from(priority) * 2,
            })
            .collect();
        assert!(places.is_sorted_by(|a, b| a > b), "the highest first: {parts:?}");
    }

    #[test]
    fn a_mark_follows_behind_and_goes_back() {
        let marks = Marks::default();
        marks.note_old(true);
        let begin = Instant::now();
        let mut now = begin;
        for id in 10..20 {
            marks.advance(1, &[claimed(id, 0)], now);
            now += LAG / 20;
        }
        assert_eq!(mark_of(&marks, 0), Some(9), "others may commit what has a lower id");
        for id in 20..30 {
            now += LAG;
            marks.advance(1, &[claimed(id, 0)], now);
        }
        let mark = mark_of(&marks, 0).unwrap();
        assert!((20..29).contains(&mark), "{mark}");
        marks.lower(1, 0, 40);
        marks.lower(1, 1, 4);
        assert_eq!(mark_of(&marks, 0), Some(mark));
        marks.lower(1, 0, 4);
        assert_eq!(mark_of(&marks, 0), Some(3));
    }
}
