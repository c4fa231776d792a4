//! The events of a queue: made from durable batches and told to observers, with sums of interrupted actions for the log.
//!
//! This outlives the queue actor, so its successor tells what has changed of the queue itself since the last event. An
//! event is made only if an observer wants it; the others cost a comparison each.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::level::{Level, Thresholds};
use super::lock;
use crate::action::State;
use crate::events::{ActionRef, Dropped, Interest, Observers, QueueEvent, Requeue};
use crate::lifecycle::{
    Command, Ended, GIVEN_UP, INTERRUPTED_BY_RESTART, INTERRUPTED_BY_SHUTDOWN, OnRestart, Recovery,
    Verdict,
};
use crate::store::{Affected, AttemptEnd, Claimed, Control, LevelChange, QueueLevel, Submitted};
use crate::worker::{Attempt, Wish};

/// A client's command, as far as the affected actions don't show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Priority(i32),
    PauseQueue,
    ResumeQueue,
    TakeOver,
    Other,
}

impl Asked {
    pub(super) const fn by(control: &Control) -> Self {
        match control {
            Control::Command { command: Command::ChangePriority(priority), .. }
            | Control::Many { command: Command::ChangePriority(priority), .. } => {
                Self::Priority(*priority)
            }
            Control::PauseQueue { .. } => Self::PauseQueue,
            Control::ResumeQueue => Self::ResumeQueue,
            Control::TakeOver { .. } => Self::TakeOver,
            Control::Command { .. }
            | Control::End(_)
            | Control::StopAll
            | Control::Recover { .. }
            | Control::Reclaim { .. }
            | Control::Note { .. }
            | Control::Schedule { .. }
            | Control::Tell(_)
            | Control::Outbox { .. }
            | Control::Many { .. } => Self::Other,
        }
    }
}

/// Numbers of interrupted actions, by their fate.
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

/// A queue's observers, what they were told last, and the interrupted actions that were not logged yet.
#[derive(Debug)]
pub(crate) struct Telling {
    observers: Observers,
    last: Mutex<Last>,
    interrupted: Mutex<Tally>,
}

/// State of the queue as observers were told last.
#[derive(Debug)]
struct Last {
    paused: bool,
    level: Level,
    /// By which the level is judged.
    thresholds: Option<Thresholds>,
}

/// Facts about an end that the store's answer does not hold.
struct End<'a> {
    of: Option<&'a AttemptEnd>,
    error: Option<&'a str>,
    /// The reason why the action was put back, if it was.
    requeue: Requeue<'a>,
}

impl Telling {
    pub(super) fn new(
        observers: Observers,
        thresholds: Option<Thresholds>,
        queued: u64,
        paused: bool,
    ) -> Self {
        let level = Level::at_start(queued, thresholds);
        let last = Mutex::new(Last { paused, level, thresholds });
        Self { observers, last, interrupted: Mutex::default() }
    }

    /// Judges the level by other thresholds from the next batch on.
    pub(super) fn set_thresholds(&self, thresholds: Option<Thresholds>) {
        lock(&self.last).thresholds = thresholds;
    }

    /// Tells whether an observer wants any of these events now. Ask before an event is made.
    pub(crate) fn want(&self, interest: Interest) -> bool {
        self.observers.want(interest)
    }

    /// Tells whether an observer wants any of these events now, or may do so later.
    pub(crate) const fn may_want(&self, interest: Interest) -> bool {
        self.observers.may_want(interest)
    }

    /// Tells of an action that was queued.
    pub(super) fn queued(&self, queue: &str, submitted: Submitted) {
        if self.want(Interest::QUEUED) {
            let Submitted { id, queued_at, taken_by } = submitted;
            let action = ActionRef { id, queued_at, attempt: 0, taken_by };
            self.observers.tell(queue, &QueueEvent::Queued { action });
        }
    }

    /// Tells of an attempt that is about to begin.
    pub(super) fn started(&self, queue: &str, claimed: &Claimed) {
        if self.want(Interest::STARTED) {
            let Claimed { id, attempt, queued_at, started_at, taken_by, .. } = *claimed;
            let action = ActionRef { id, queued_at, attempt, taken_by };
            self.observers.tell(queue, &QueueEvent::Started { action, started_at });
        }
    }

    /// Tells of an attempt's progress, unless it has ended.
    pub(super) fn progressed(&self, queue: &str, attempt: &Attempt) {
        let Some(action) = attempt.action() else { return };
        if attempt.ended().is_none() {
            let (progress, processing) = attempt.progress();
            let state = match attempt.wish() {
                Wish::Run => State::Processing,
                Wish::Pause => State::Paused,
                Wish::Stop | Wish::Force => State::Stopping,
            };
            let event = QueueEvent::Progressed { action, state, progress: &progress, processing };
            self.observers.tell(queue, &event);
        }
    }

    /// Tells of the effects of a client's command.
    pub(super) fn commanded(&self, queue: &str, affected: &[Affected], asked: Asked) {
        match asked {
            Asked::PauseQueue => self.paused(queue, true),
            Asked::ResumeQueue => self.paused(queue, false),
            Asked::Priority(_) | Asked::TakeOver | Asked::Other => {}
        }
        for action in affected {
            self.steered(queue, action, asked);
            let end = End { of: None, error: None, requeue: Requeue::Asked };
            self.ended_as(queue, action, &end);
        }
    }

    /// Tells of a pause, a resume, a stop or a new priority.
    fn steered(&self, queue: &str, of: &Affected, asked: Asked) {
        if !self.want(Interest::STEERED) {
            return;
        }
        let action = action(of);
        let event = match (of.verdict, asked) {
            (Verdict::Move(State::Paused), _) => QueueEvent::Paused { action },
            (Verdict::Move(State::Processing), _) => QueueEvent::Resumed { action },
            (Verdict::Move(State::Stopping), _) => QueueEvent::Stopping { action, forced: false },
            (Verdict::Force, _) => QueueEvent::Stopping { action, forced: true },
            (Verdict::Stay, Asked::Priority(priority)) => {
                QueueEvent::PriorityChanged { action, priority }
            }
            (
                Verdict::Move(_)
                | Verdict::Stay
                | Verdict::StatusOnly
                | Verdict::Delete
                | Verdict::Refused,
                _,
            ) => return,
        };
        self.observers.tell(queue, &event);
    }

    /// Tells of the end of an attempt.
    pub(super) fn ended(&self, queue: &str, affected: &[Affected], end: &AttemptEnd) {
        for action in affected {
            let mut error = end.error.as_deref();
            if let Ended::Interrupted(_) = end.ended
                && action.state != State::Finished
            {
                lock(&self.interrupted).add(action.state);
                if action.state == State::Error {
                    error = error.or(Some(INTERRUPTED_BY_SHUTDOWN));
                }
            }
            let requeue = match end.ended {
                Ended::Retry => {
                    Requeue::Failed { error, after: end.retry_after.unwrap_or_default() }
                }
                Ended::Released => Requeue::Released,
                _ => Requeue::Interrupted,
            };
            self.ended_as(queue, action, &End { of: Some(end), error, requeue });
        }
    }

    /// Tells of the end of an attempt that counts for nothing.
    pub(super) fn dropped(&self, queue: &str, action: ActionRef, why: Dropped) {
        if self.want(Interest::UNFINISHED) {
            self.observers.tell(queue, &QueueEvent::EndDropped { action, why });
        }
    }

    /// Tells of actions that were recovered in this way, and logs their numbers.
    pub(super) fn recovered(&self, queue: &str, affected: &[Affected], recovery: Recovery) {
        let lost = match recovery.on_restart {
            // Given up: it would have been put back otherwise.
            OnRestart::Requeue => GIVEN_UP,
            OnRestart::Fail | OnRestart::Resume => INTERRUPTED_BY_RESTART,
        };
        let mut tally = Tally::default();
        for action in affected {
            if let Verdict::Move(state) = action.verdict {
                tally.add(state);
                let error = (state == State::Error).then_some(lost);
                let end = End { of: None, error, requeue: Requeue::Interrupted };
                self.ended_as(queue, action, &end);
            }
        }
        let total = tally.total();
        if total > 0 {
            let actions = if total == 1 { "action that was" } else { "actions that were" };
            log::info!("queue {queue}: {total} {actions} interrupted recovered: {tally}");
        }
    }

    /// Tells of an action that ended because its parameters can't be read.
    pub(super) fn unread(&self, queue: &str, action: &Affected, error: &str) {
        let end = End { of: None, error: Some(error), requeue: Requeue::Interrupted };
        self.ended_as(queue, action, &end);
    }

    /// Tells of an action that this ended or requeued; of others nothing.
    fn ended_as(&self, queue: &str, of: &Affected, end: &End<'_>) {
        let state = of.state;
        let interest =
            if state == State::Finished { Interest::FINISHED } else { Interest::UNFINISHED };
        let is_news = state == State::Queued || state.is_final();
        if !self.want(interest) || !is_news || of.verdict != Verdict::Move(state) {
            return;
        }
        let action = action(of);
        let event = if state == State::Queued {
            QueueEvent::Requeued { action, why: end.requeue }
        } else {
            let millis = end.of.map_or(0, |end| u64::try_from(end.processing_ms).unwrap_or(0));
            QueueEvent::Ended {
                action,
                state,
                came: end.of.map(|end| end.came),
                started_at: of.started_at,
                // Set by every store that keeps its contract.
                finished_at: of.finished_at.or(of.started_at).unwrap_or(of.queued_at),
                processing: Duration::from_millis(millis),
                error: end.error,
            }
        };
        self.observers.tell(queue, &event);
    }

    /// Tells what is new of the queue itself after a batch, and of the batch if its time was measured. Returns the change of its
    /// fill level, if there is one and somebody wants it.
    pub(super) fn committed(
        &self,
        queue: &str,
        queued: u64,
        paused: bool,
        changes: usize,
        took: Option<Duration>,
        wants_level: bool,
    ) -> Option<LevelChange> {
        self.paused(queue, paused);
        let mut change = None;
        // Followed for those who may want it later, too: else they would be told of what is old as if it were new.
        if wants_level || self.may_want(Interest::LEVEL) {
            let (event, limit) = {
                let mut last = lock(&self.last);
                let thresholds = last.thresholds;
                (last.level.follow(queued, thresholds), thresholds.map(Thresholds::limit))
            };
            if let Some(event) = event {
                change = level_change(&event, limit);
                self.observers.tell(queue, &event);
            }
        }
        if let Some(duration) = took {
            self.observers.tell(queue, &QueueEvent::Committed { changes, duration });
        }
        change
    }

    /// Tells that the queue is paused or not, if that was not told before.
    pub(super) fn paused(&self, queue: &str, paused: bool) {
        // As with the level, those count who may want it later.
        if !self.may_want(Interest::QUEUE_PAUSED)
            || std::mem::replace(&mut lock(&self.last).paused, paused) == paused
        {
            return;
        }
        let event = if paused { QueueEvent::QueuePaused } else { QueueEvent::QueueResumed };
        self.observers.tell(queue, &event);
    }

    /// Takes the numbers of actions that a shutdown interrupted.
    pub(crate) fn take_interrupted(&self) -> Tally {
        std::mem::take(&mut *lock(&self.interrupted))
    }
}

/// Returns what handlers are told of a change of the fill level.
const fn level_change(event: &QueueEvent<'_>, limit: Option<u64>) -> Option<LevelChange> {
    let (level, queued) = match *event {
        QueueEvent::QueueFull { queued, .. } => (QueueLevel::Full, queued),
        QueueEvent::QueueFilling { queued, .. } => (QueueLevel::Filling, queued),
        QueueEvent::QueueEmptying { queued, .. } => (QueueLevel::Emptying, queued),
        QueueEvent::QueueEmpty => (QueueLevel::Empty, 0),
        _ => return None,
    };
    Some(LevelChange { level, queued, limit })
}

const fn action(of: &Affected) -> ActionRef {
    let Affected { id, queued_at, attempt, taken_by, .. } = *of;
    ActionRef { id, queued_at, attempt, taken_by }
}
