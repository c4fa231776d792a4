//! Mistakes about attempts, and about actions that may not start before a time.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::lifecycle::{Command, Ended, Recovery};
use actiond_actors::store::conformance::{self, run};
use actiond_actors::store::{
    AttemptEnd, Batch, BatchReply, Control, NewAction, PastAttempt, QueueId, Record, Store as _,
};
use actiond_actors::{ActionId, State};
use futures_util::FutureExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{LEASE, fails, wrong};
use crate::Memory;
use crate::store::MemoryStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// An action may start before its time.
    StartsEarly,
    /// The next attempt does not wait.
    WaitIgnored,
    /// A copy may start before its source may.
    CopyStartsEarly,
    /// The queue is not told when to look again.
    NothingIsDue,
    /// The queue is told to look again too late.
    DueLate,
    /// An action that may not start yet has a place.
    WaitingHasPlace,
    /// What is due starts in whichever order.
    DueInAnyOrder,
    /// A retry does not end a wait.
    WaitsAllTheSame,
    /// Failures are not counted.
    FailuresForgotten,
    /// What was given back counts as failed.
    ReleaseIsFailure,
    /// An attempt that nobody has heard of since a restart counts as failed.
    LossIsFailure,
    /// An attempt that nobody has heard of since a restart counts as nothing.
    LossIsFree,
    /// An action that was claimed and never began is recovered as one that ran.
    UnbegunIsRun,
    /// Restarts are not told with a claim.
    RestartsForgotten,
    /// Who asked for a stop gets another attempt.
    StopIsForgotten,
    /// The deaths with which an action ran are not counted.
    DeathsForgotten,
    /// The past is not kept.
    PastForgotten,
    /// The past is told backwards.
    PastReversed,
    /// More of the past is kept than may be.
    PastWithoutEnd,
    /// The error of a past attempt is kept in full, or not at all.
    PastWithoutErrors,
    /// What lost its server is told as a failure.
    DeathIsFailure,
    /// An error is gone once its action is tried again.
    ErrorForgotten,
    /// The attempts that go on are not named.
    ResumedForgotten,
    /// A note is lost.
    NoteLost,
    /// A note of any attempt is kept.
    NoteOfAny,
    /// An action that was cancelled elsewhere counts as stopped.
    CancelIsStop,
}

impl Mistake {
    /// Changes what the store is asked to do.
    pub(super) fn spoil(self, batch: &mut Batch, store: &MemoryStore) {
        for new in &mut batch.submissions {
            match (self, &mut *new) {
                (Self::StartsEarly, NewAction::Given { not_before, .. }) => *not_before = None,
                (Self::CopyStartsEarly, NewAction::CopyOf { id, queued_at }) => {
                    let parameters = store.parameters(batch.queue, *id).now_or_never();
                    let Some(parameters) = parameters.unwrap().unwrap() else { continue };
                    let (priority, queued_at) = (2, *queued_at);
                    let (key, not_before) = (None, None);
                    *new = NewAction::Given {
                        parameters,
                        priority,
                        key,
                        not_before,
                        queued_at,
                        origin: None,
                    };
                }
                _ => {}
            }
        }
        for control in &mut batch.controls {
            self.spoil_control(batch.queue, control, store);
        }
    }

    fn spoil_control(self, queue: QueueId, control: &mut Control, store: &MemoryStore) {
        let row = |id: ActionId| store.record(queue, id).now_or_never().unwrap().unwrap();
        match control {
            Control::End(end) => {
                let AttemptEnd { mut ended, mut retry_after, .. } = **end;
                let stopping = row(end.id).is_some_and(|row| row.state == State::Stopping);
                match (self, ended) {
                    (Self::WaitIgnored, Ended::Retry) => retry_after = None,
                    (Self::ReleaseIsFailure, Ended::Released) => ended = Ended::Retry,
                    (Self::LossIsFailure, Ended::Lost) => ended = Ended::Retry,
                    (Self::LossIsFree, Ended::Lost) => ended = Ended::Released,
                    (Self::StopIsForgotten, Ended::Released) if stopping => ended = Ended::Finished,
                    (Self::CancelIsStop, Ended::Cancelled) => ended = Ended::Stopped,
                    _ => return,
                }
                *end = Arc::new(AttemptEnd { ended, retry_after, ..AttemptEnd::clone(end) });
            }
            Control::Command { id, command, .. }
                if self == Self::WaitsAllTheSame && *command == Command::Retry =>
            {
                if let Some(row) = row(*id).filter(|row| row.state == State::Queued) {
                    *command = Command::ChangePriority(row.priority);
                }
            }
            Control::Recover { unbegun, .. } if self == Self::UnbegunIsRun => *unbegun = false,
            Control::Recover { recovery, .. } if self == Self::DeathsForgotten => {
                *recovery = Recovery { max_restarts: 0, ..*recovery };
            }
            Control::Note { id, attempt, .. } if self == Self::NoteOfAny => {
                if let Some(row) = row(*id) {
                    *attempt = row.attempt;
                }
            }
            _ => {}
        }
    }

    pub(super) fn spoil_reply(self, reply: &mut BatchReply) {
        match self {
            Self::NothingIsDue => reply.next_due = None,
            Self::DueLate => {
                reply.next_due = reply.next_due.map(|due| due + Duration::from_millis(1));
            }
            Self::DueInAnyOrder => reply.claimed.sort_by_key(|claimed| claimed.id),
            Self::FailuresForgotten => reply.claimed.iter_mut().for_each(|c| c.failures = 0),
            Self::RestartsForgotten => reply.claimed.iter_mut().for_each(|c| c.restarts = 0),
            Self::ResumedForgotten => reply.resumed.clear(),
            Self::NoteLost => reply.resumed.iter_mut().for_each(|resumed| resumed.note = None),
            _ => {}
        }
    }

    pub(super) fn spoil_record(self, record: Record) -> Record {
        match self {
            Self::WaitingHasPlace if record.not_before.is_some() => {
                Record { position: Some(1), ..record }
            }
            Self::ErrorForgotten if record.state == State::Queued => {
                Record { error: None, ..record }
            }
            _ => record,
        }
    }

    pub(super) fn spoil_history(self, mut past: Vec<PastAttempt>) -> Vec<PastAttempt> {
        match self {
            Self::PastForgotten => past.clear(),
            Self::PastReversed => past.reverse(),
            Self::PastWithoutEnd => {
                if let Some(first) = past.first().filter(|first| first.attempt > 1) {
                    let attempt = first.attempt - 1;
                    past.insert(0, PastAttempt { attempt, ..first.clone() });
                }
            }
            Self::PastWithoutErrors => past.iter_mut().for_each(|past| past.error = None),
            Self::DeathIsFailure => {
                past.iter_mut().for_each(|past| past.ended = past.ended.or(Some(Ended::Failed)));
            }
            _ => {}
        }
        past
    }
}

#[test]
fn each_is_noticed() {
    use super::Mistake::Attempts as Of;
    fails!(an_action_waits_for_its_time, Of(Mistake::StartsEarly));
    fails!(what_waits_for_a_time_is_in_nobodys_way, Of(Mistake::StartsEarly));
    fails!(a_clock_that_is_set_lets_no_time_go_back, Of(Mistake::StartsEarly));
    fails!(a_failure_that_is_tried_again_waits, Of(Mistake::WaitIgnored));
    fails!(a_copy_waits_for_the_same_time, Of(Mistake::CopyStartsEarly));
    fails!(an_action_waits_for_its_time, Of(Mistake::NothingIsDue));
    fails!(a_clock_that_is_set_lets_no_time_go_back, Of(Mistake::DueLate));
    fails!(an_action_waits_for_its_time, Of(Mistake::WaitingHasPlace));
    fails!(what_is_due_starts_in_order_of_priority, Of(Mistake::DueInAnyOrder));
    fails!(many_are_due_at_once, Of(Mistake::DueInAnyOrder));
    fails!(commands_reach_what_waits_for_a_time, Of(Mistake::WaitsAllTheSame));
    fails!(a_failure_that_is_tried_again_waits, Of(Mistake::FailuresForgotten));
    fails!(what_is_given_back_counts_no_failure, Of(Mistake::ReleaseIsFailure));
    for mistake in [Mistake::LossIsFailure, Mistake::LossIsFree, Mistake::RestartsForgotten] {
        fails!(what_is_lost_elsewhere_counts_as_a_restart, Of(mistake));
    }
    fails!(what_never_began_counts_as_nothing, Of(Mistake::UnbegunIsRun));
    fails!(a_stop_ends_all_attempts, Of(Mistake::StopIsForgotten));
    fails!(an_action_that_runs_at_each_death_is_given_up, Of(Mistake::DeathsForgotten));
    fails!(a_failure_that_is_tried_again_waits, Of(Mistake::PastForgotten));
    fails!(an_error_is_tried_again_when_asked, Of(Mistake::PastReversed));
    fails!(the_latest_past_attempts_are_kept, Of(Mistake::PastWithoutEnd));
    fails!(the_latest_past_attempts_are_kept, Of(Mistake::PastWithoutErrors));
    fails!(the_history_tells_how_an_error_came, Of(Mistake::DeathIsFailure));
    fails!(an_error_is_tried_again_when_asked, Of(Mistake::ErrorForgotten));
    fails!(attempts_go_on_after_a_restart, Of(Mistake::ResumedForgotten));
    fails!(who_recovers_an_attempt_runs_it, Of(Mistake::ResumedForgotten));
    fails!(a_note_belongs_to_its_attempt, Of(Mistake::NoteLost));
    fails!(a_note_belongs_to_its_attempt, Of(Mistake::NoteOfAny));
    fails!(what_is_cancelled_elsewhere_never_started, Of(Mistake::CancelIsStop));
    // Each random history meets some of them.
    fails!(random_histories, Of(Mistake::DueLate));
    fails!(every_cell_of_the_table, Of(Mistake::PastForgotten));
}
