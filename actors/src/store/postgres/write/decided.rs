//! A batch that is decided: what is to be written of it, and its answer.

use std::time::Duration;

use super::begin::{Known, KnownQueue, queue_number};
use super::controls::Controls;
use super::events::handlers;
use super::row::Row;
use super::schedules::Schedules;
use super::submissions::Submissions;
use crate::action::{ActionId, State, Timestamp};
use crate::store::postgres::columns::{Tally, id_number};
use crate::store::postgres::errors::Failure;
use crate::store::postgres::notices::To;
use crate::store::{
    Affected, Batch, BatchReply, Claimed, EventKind, Notice, OwnerId, Rejected, Resumed, StoreError,
};

/// Maximum number of old actions that one batch deletes, besides two for each of its controls.
const PRUNE_STEP: i64 = 200;

/// A batch of which everything is decided but what it starts of those that waited.
pub(super) struct Decided<'b> {
    pub(super) batch: &'b Batch,
    pub(super) queue: i32,
    before: KnownQueue,
    pub(super) controls: Controls<'b>,
    answers: Vec<Result<Vec<Affected>, Rejected>>,
    pub(super) submissions: Submissions<'b>,
    /// The actions that start as they come.
    started: Vec<Claimed>,
    /// Number of those that waited that may start.
    pub(super) claim: usize,
    /// True if some may start for which a time was set.
    pub(super) has_due: bool,
    pub(super) prune: Prune,
    /// The schedules that the whole transaction has changed; in its last batch.
    pub(super) schedules: Schedules,
}

/// The deletion of old actions in a batch: maximum numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Prune {
    /// Because there are too many.
    pub(super) by_number: i64,
    /// Because they are too old.
    pub(super) by_age: i64,
    step: i64,
}

/// The answers to the second half of a transaction, for one batch.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) claimed: Vec<Claimed>,
    pub(super) resumed: Vec<Resumed>,
    /// Number of actions that may start now, and for which a time was set before.
    pub(super) due: i64,
    /// The first of them in each priority: priority and id.
    pub(super) first_queued: Vec<(i32, i64)>,
    /// The deleted actions.
    pub(super) pruned: Tally,
    /// When the last of them had ended, of those that had ended first.
    pub(super) pruned_to: Option<Timestamp>,
    pub(super) first_due: Option<Timestamp>,
    /// Number of events that were written for handlers.
    pub(super) events: usize,
    /// The counts, where the answer was lost, and they were read again.
    pub(super) stands: Option<Tally>,
}

impl<'b> Decided<'b> {
    /// Decides a batch of this owner's, which may start actions if it has its lease.
    pub(super) fn of(
        batch: &'b Batch,
        known: &mut Known<'b>,
        owner: OwnerId,
        is_leased: bool,
    ) -> Result<Self, Failure> {
        let queue = queue_number(batch);
        let before = known.queue(queue).ok_or_else(|| {
            StoreError::Io(format!("queue number {} was never opened", batch.queue.0))
        })?;
        let rows = known.take_rows(queue);
        let schedules = std::mem::take(&mut known.schedules);
        let mut controls =
            Controls::of(batch, owner, known.is_dead, rows, before.paused, schedules);
        let answers = controls.decide();
        known.schedules = std::mem::take(&mut controls.schedules);
        known.free_keys(queue, &controls.deleted);
        let tally = before.tally.plus(&controls.change());
        let has_due = before.first_due.is_some_and(|first| first <= batch.now);
        let queued = tally.of(State::Queued);
        let mut submissions = Submissions::decide(batch, known, &controls.rows, queued);
        let may_start = is_leased && !known.is_dead && !controls.paused;
        let slots = if may_start { batch.claim } else { 0 };
        // Where nothing waits, what comes starts at once and need not be written as waiting first.
        let at_once = tally.ready() <= 0 && !has_due && submissions.copied.is_empty();
        let started = if at_once { submissions.start(batch, slots) } else { Vec::new() };
        let waits = has_due || tally.plus(&submissions.change).ready() > 0;
        let claim = if at_once || !waits { 0 } else { slots };
        controls.arrived |= !submissions.given.is_empty() || !submissions.copied.is_empty();
        let prune = if known.prunes.contains(&queue) {
            Prune::of(batch, tally.counts().finished())
        } else {
            Prune::default()
        };
        Ok(Self {
            batch,
            queue,
            before,
            controls,
            answers,
            submissions,
            started,
            claim,
            has_due,
            prune,
            schedules: Schedules::default(),
        })
    }

    /// Returns the actions that stay in the table of those that wait or run, or are moved back to it, and are changed there.
    pub(super) fn updated(&self) -> impl Iterator<Item = &Row<'b>> {
        self.controls.rows.values().filter(|row| row.is_changed && !row.state.is_final())
    }

    /// Returns priority and id of those that wait (again) and may start.
    pub(super) fn queued_again(&self) -> impl Iterator<Item = (i32, i64)> {
        let waits = |row: &&Row<'b>| row.state == State::Queued && row.not_before.is_none();
        self.updated().filter(waits).map(|row| (row.priority, id_number(row.id)))
    }

    /// Returns the actions that have ended.
    pub(super) fn finished(&self) -> impl Iterator<Item = &Row<'b>> {
        self.controls.rows.values().filter(|row| row.is_changed && row.state.is_final())
    }

    /// Returns the change of the counts, without what is started or deleted.
    pub(super) fn change(&self) -> Tally {
        self.controls.change().plus(&self.submissions.change)
    }

    /// Returns true if there may be deferred actions after the batch.
    pub(super) fn may_be_deferred(&self) -> bool {
        self.before.tally.plus(&self.change()).deferred() > 0
    }

    /// Returns the actions that have started as they came.
    pub(super) fn started(&self) -> impl Iterator<Item = ActionId> {
        self.started.iter().map(|started| started.id)
    }

    /// Returns the number of events that were written if each that may be wanted was, at least one if so.
    pub(super) fn likely_events(&self, claimed: usize) -> usize {
        let starts = self.started.len() + claimed;
        let handlers = |kind| handlers(self.batch, kind).len();
        self.controls.told.len()
            + starts * handlers(EventKind::Start)
            + self.controls.levels.len() * handlers(EventKind::Queue)
    }

    /// Tells whether an action has started as it came.
    pub(super) fn has_started(&self, id: ActionId) -> bool {
        self.started.iter().any(|started| started.id == id)
    }

    /// Makes the answer, and adds the notices for other owners.
    pub(super) fn reply(
        self,
        brought: Brought,
        owner: OwnerId,
        notices: &mut Vec<(To, Notice)>,
    ) -> BatchReply {
        let Self { batch, before, mut controls, answers, submissions, mut started, prune, .. } =
            self;
        let mut tally = before.tally.plus(&controls.change()).plus(&submissions.change);
        let claimed = i64::try_from(brought.claimed.len()).unwrap_or_default();
        tally.add(State::Queued, -claimed);
        tally.add(State::Processing, claimed);
        tally.defer(-brought.due);
        let deleted = brought.pruned.counts().finished();
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            tally.add(state, -brought.pruned.of(state));
        }
        let more_to_prune = match brought.stands {
            Some(stands) => {
                tally = stands;
                prune.step > 0
            }
            None => prune.step > 0 && deleted >= prune.step.unsigned_abs(),
        };
        started.extend(brought.claimed);
        notices.append(&mut controls.notices);
        if (controls.arrived || brought.due > 0) && !controls.paused && tally.ready() > 0 {
            // This server has no slot for it; others may have.
            notices.push((To::Others, Notice::Work(batch.queue)));
        }
        let wait = |first: Timestamp| {
            let wait = first.0.saturating_sub(batch.now.0);
            Duration::from_millis(u64::try_from(wait).unwrap_or_default())
        };
        BatchReply {
            controls: answers,
            submissions: submissions.answers,
            repeats: submissions.repeats,
            claimed: started,
            resumed: brought.resumed,
            unread: Vec::new(),
            more_to_prune,
            counts: tally.counts(),
            paused: controls.paused,
            owner,
            deferred: tally.deferred(),
            next_due: brought.first_due.map(wait),
            events: brought.events,
        }
    }
}

impl Prune {
    fn of(batch: &Batch, finished: u64) -> Self {
        let controls = i64::try_from(batch.controls.len()).unwrap_or_default();
        let step = PRUNE_STEP.saturating_add(controls.saturating_mul(2));
        let max = batch.retention.max_finished.unwrap_or(u64::MAX);
        let too_many = i64::try_from(finished.saturating_sub(max)).unwrap_or(i64::MAX);
        let by_number = too_many.min(step);
        let by_age = batch.retention.finished_after.map_or(0, |_| step - by_number);
        Self { by_number, by_age, step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{QueueId, Retention};

    #[test]
    fn no_more_is_deleted_than_one_step() {
        let batch = |max_finished, finished_after: Option<i64>| Batch {
            retention: Retention { max_finished, finished_after: finished_after.map(Timestamp) },
            ..Batch::new(QueueId(1), Timestamp(9))
        };
        let table = [
            (None, None, 500, (0, 0)),
            (Some(100), None, 100, (0, 0)),
            (Some(100), None, 150, (50, 0)),
            (Some(0), None, 500, (200, 0)),
            (Some(0), Some(1), 150, (150, 50)),
            (None, Some(1), 500, (0, 200)),
        ];
        for (max, after, finished, (by_number, by_age)) in table {
            let prune = Prune::of(&batch(max, after), finished);
            assert_eq!((prune.by_number, prune.by_age), (by_number, by_age), "{max:?} {after:?}");
        }
    }
}
