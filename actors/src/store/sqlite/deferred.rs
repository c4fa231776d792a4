//! Deferred actions: those that are queued and may not start yet.
//!
//! They cost nothing while they wait: no claim sees them, and a queue keeps their number and the time of the first in memory.
//! Once that has come, they are moved into the order of those that may start, in steps, so that the writer is never busy with
//! them for long. Until all that are due have been moved, nothing is claimed: the highest priority may be among the last.

use std::time::Duration;

use rusqlite::params;

use super::schema::in_by_not_before;
use super::write::{Applied, Writer};
use crate::action::Timestamp;
use crate::store::{Batch, QueueId};

/// Maximum number of actions that one transaction moves: some tens of milliseconds.
pub(super) const STEP: u64 = 5_000;

/// Time after which a queue looks again if due actions could not be moved.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The deferred actions of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Deferred {
    number: u64,
    /// Time of the first of them; `None` if it has to be looked up.
    first: Option<Timestamp>,
}

impl Deferred {
    /// Makes that of a queue with this number of deferred actions.
    pub(super) const fn new(number: u64) -> Self {
        Self { number, first: None }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn add(&mut self, not_before: Timestamp) {
        self.first = match self.first {
            _ if self.number == 0 => Some(not_before),
            first => first.map(|first| first.min(not_before)),
        };
        self.number = self.number.saturating_add(1);
    }

    pub(super) fn take(&mut self, not_before: Timestamp) {
        self.number = self.number.saturating_sub(1);
        if self.first == Some(not_before) {
            self.first = None;
        }
    }
}

impl Writer<'_> {
    /// Moves actions whose time has come into the order of those that may start, up to a step; returns true if more of them
    /// are due.
    pub(super) fn move_due(&mut self, batch: &Batch) -> Applied<bool> {
        let deferred = self.queue_mut(batch.queue)?.deferred;
        if deferred.number == 0 || deferred.first.is_some_and(|first| first > batch.now) {
            return Ok(false);
        }
        let Some(left) = self.moves_left else { return Ok(true) };
        if left > 0 {
            let mut statement = self.connection.prepare_cached(concat!(
                "UPDATE action SET state = 0, not_before = NULL WHERE id IN
                 (SELECT id FROM action INDEXED BY by_not_before WHERE queue = ?1 AND not_before <= ?2 AND ",
                in_by_not_before!(),
                " ORDER BY not_before LIMIT ?3)"
            ))?;
            let moved = statement.execute(params![batch.queue.0, batch.now.0, left])? as u64;
            self.moves_left = Some(left.saturating_sub(moved));
            let queue = self.queue_mut(batch.queue)?;
            queue.deferred = Deferred::new(deferred.number.saturating_sub(moved));
            queue.dirty |= moved > 0;
        }
        Ok(self.first_due(batch.queue)?.is_some_and(|first| first <= batch.now))
    }

    /// Returns the time until the queue has to look for due actions.
    pub(super) fn next_due(&mut self, batch: &Batch, more_due: bool) -> Applied<Option<Duration>> {
        if more_due {
            return Ok(Some(self.moves_left.map_or(LOOK_AGAIN, |_| Duration::ZERO)));
        }
        let wait = |first: Timestamp| {
            Duration::from_millis(
                first.0.saturating_sub(batch.now.0).try_into().unwrap_or_default(),
            )
        };
        Ok(self.first_due(batch.queue)?.map(wait))
    }

    /// Returns the time of the queue's first deferred action.
    fn first_due(&mut self, queue: QueueId) -> Applied<Option<Timestamp>> {
        let Deferred { number, first } = self.queue_mut(queue)?.deferred;
        if number == 0 || first.is_some() {
            return Ok(first.filter(|_| number > 0));
        }
        let first: Option<i64> = self
            .connection
            .prepare_cached(concat!(
                "SELECT min(not_before) FROM action INDEXED BY by_not_before WHERE queue = ?1 AND ",
                in_by_not_before!()
            ))?
            .query_row([queue.0], |row| row.get(0))?;
        let first = first.map(Timestamp);
        self.queue_mut(queue)?.deferred.first = first;
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_known_as_long_as_it_stays() {
        let mut deferred = Deferred::default();
        let at = |first: i64, number| Deferred { number, first: Some(Timestamp(first)) };
        deferred.add(Timestamp(5));
        deferred.add(Timestamp(9));
        assert_eq!(deferred, at(5, 2));
        deferred.add(Timestamp(3));
        deferred.take(Timestamp(9));
        assert_eq!(deferred, at(3, 2));
        deferred.take(Timestamp(3));
        assert_eq!(deferred, Deferred::new(1));
        // Which of them is the first is not known, and another may not be.
        deferred.add(Timestamp(7));
        assert_eq!(deferred, Deferred::new(2));
        deferred.take(Timestamp(5));
        deferred.take(Timestamp(7));
        deferred.add(Timestamp(8));
        assert_eq!(deferred, at(8, 1));
    }
}
