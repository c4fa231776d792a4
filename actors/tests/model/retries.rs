//! Retries, restarts and starts that must wait for a time: what the laws count, and the queue's timer.

use actiond_actors::State;
use actiond_actors::lifecycle::OnRestart;

use crate::laws::Happened;
use crate::moves::Cause;
use crate::setup::{Fault, Setup};
use crate::steps::Step;
use crate::world::{Actor, Attempt, End, Id, Key, Row, Set, Wish, World};

/// Returns the failures and restarts of a row after this move, apart from what the store counts.
pub(crate) fn count(setup: &Setup, row: &Row, to: State, cause: Cause) -> (u8, u8) {
    let (failures, restarts) = row.counted;
    match (to, cause) {
        (State::Queued, Cause::Retry) => (0, 0),
        (State::Queued, Cause::Recovery) if setup.max_restarts > 0 => (failures, restarts + 1),
        _ => (failures, restarts),
    }
}

/// `NotBefore`.
pub(crate) fn nothing_starts_early(_: &Setup, _: &World, happened: &Happened) -> bool {
    !matches!(happened, Happened::Claimed { row } if row.waits)
}

/// `Tries`: what fails is tried again if and only if there are attempts left, and nobody has asked it to stop.
pub(crate) fn tries_are_counted(setup: &Setup, world: &World, happened: &Happened) -> bool {
    let Happened::Ended { reported, end, row, to } = happened else { return true };
    let left = row.counted.0 + 1 < setup.attempts;
    // Beside a thread that was given up there must be no other.
    let attempt = || world.server.as_ref()?.attempt(*reported);
    let given_up = || attempt().is_some_and(|a| a.timed_out && a.wish == Wish::Force);
    match (end, row.state) {
        (End::Retry, _) if *to == State::Queued => left,
        (End::Failed, State::Processing | State::Paused) => !left || given_up(),
        _ => true,
    }
}

/// `Retried`.
pub(crate) fn retries_wait_for_nothing(_: &Setup, _: &World, happened: &Happened) -> bool {
    match happened {
        Happened::Retried { row } => row.state == State::Queued && !row.waits,
        _ => true,
    }
}

/// `GivesUp`: what its server died with is recovered, and given up where that is enough; the death of an actor is none.
pub(crate) fn restarts_are_counted(setup: &Setup, world: &World, happened: &Happened) -> bool {
    let Happened::Moved { row, to, cause: Cause::Recovery } = happened else { return true };
    if world.spent.server_crashes + world.spent.shutdowns == 0 {
        return false;
    }
    if setup.on_restart != OnRestart::Requeue || row.state == State::Stopping {
        return true;
    }
    let last = setup.max_restarts > 0 && row.counted.1 + 1 >= setup.max_restarts;
    *to == if last { State::Error } else { State::Queued }
}

impl Attempt {
    /// Returns how a failure is reported, if so many attempts may fail.
    pub(crate) fn failure(&self, attempts: u8) -> End {
        let by_client = self.wish >= Wish::Stop && !self.interrupted && !self.timed_out;
        let left = self.failures + 1 < attempts;
        if left && !by_client { End::Retry } else { End::Failed }
    }
}

impl Step<'_> {
    /// The time has come before which an action must not start.
    pub(crate) fn time_comes(&mut self, id: Id) {
        if let Some(row) = self.world.durable.row_mut(id) {
            row.waits = false;
        }
    }

    /// Sets the timer for the next look, as the answer to a batch says.
    pub(crate) fn arm(&mut self, not_due: Set, recovers: bool, unclaimed: bool) {
        let lost = recovers && self.setup.has(Fault::TimerOfDeadLost);
        let unclaimed = unclaimed || self.setup.has(Fault::RestsUnclaimed);
        let rests =
            self.setup.has(Fault::RestsUnclaimed) || self.setup.has(Fault::RestsAfterFailure);
        let Some(server) = &mut self.world.server else { return };
        let Actor::Up(queue) = &mut server.actor else { return };
        queue.rests = rests && !not_due.is_empty() && unclaimed;
        queue.timer = !not_due.is_empty() && !lost;
        queue.not_due = not_due;
    }

    /// The timer fires.
    pub(crate) fn on_due(&mut self) {
        let in_vain = self.setup.has(Fault::TimerInVain);
        let Some(server) = &mut self.world.server else { return };
        let Actor::Up(queue) = &mut server.actor else { return };
        queue.timer = false;
        queue.rests = false;
        if !in_vain {
            self.pump(false);
        }
    }

    /// Returns how a failure of this attempt is reported.
    pub(crate) fn failure(&mut self, key: Key) -> End {
        let attempts = self.setup.attempts;
        self.attempt_mut(key).map_or(End::Failed, |attempt| attempt.failure(attempts))
    }

    /// An attempt has worked for longer than it may.
    pub(crate) fn times_out(&mut self, number: u8, key: Key) {
        if let Some(attempt) = self.attempt_mut(key) {
            attempt.timed_out = true;
        }
        self.set_wish(key, Wish::Stop);
        self.begin_grace(number, key);
    }
}
