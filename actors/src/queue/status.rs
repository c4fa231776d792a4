//! Status of a queue and of its actions, as callers see them.

use std::time::Duration;

use crate::action::Timestamp;
use crate::clock::Clock;
use crate::report::Progress;
use crate::store::{Counts, Record};
use crate::worker::LiveView;

/// Counts of a queue's actions, and its pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// True while the queue is paused and starts nothing (Q12).
    pub paused: bool,
    /// Number of actions in each state.
    pub counts: Counts,
}

/// Load of a queue on this server, from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Number of commands, ends of attempts and submissions that are in no batch yet.
    pub inbox: usize,
    /// Number of slots in use. A thread that was forced keeps its slot until it ends.
    pub slots_used: usize,
    /// Number of slots.
    pub slots: usize,
    /// False once the queue's actor was given up, because it died too often.
    pub is_up: bool,
}

/// Status of an action: the stored row, with the live figures laid over it while it runs.
#[derive(Debug, Clone)]
pub struct ActionStatus {
    /// The row. Its report is the partial result while the action runs.
    pub record: Record,
    /// The action's progress. One that is Finished is at 100 %.
    pub progress: Progress,
    /// Time for which it has worked, pauses left out.
    pub processing: Duration,
}

impl ActionStatus {
    pub(super) fn new(mut record: Record, live: Option<LiveView>, clock: &dyn Clock) -> Self {
        if let Some(live) = live {
            record.report = live.partial;
            record.worker = live.worker;
            return Self { record, progress: live.progress, processing: live.processing };
        }
        if let Some(figures) = &record.figures {
            // It runs on another server.
            record.worker.clone_from(&figures.worker);
            let (progress, processing) = (figures.progress.clone(), figures.processing);
            return Self { record, progress, processing };
        }
        let millis = match record.started_at {
            // Nothing is shown of it yet.
            Some(started_at) if record.state.is_running() => {
                clock.now().0.saturating_sub(started_at.0)
            }
            _ => record.processing_ms,
        };
        let millis = u64::try_from(millis).unwrap_or_default();
        Self {
            progress: Progress::of_percent(record.percent),
            processing: Duration::from_millis(millis),
            record,
        }
    }

    /// Returns the time for which the action waited in the queue, up to `now` if it still waits.
    #[must_use]
    pub fn in_queue(&self, now: Timestamp) -> Duration {
        let record = &self.record;
        // A cancelled action never started: it waited until it was cancelled.
        let until = record.started_at.or(record.finished_at).unwrap_or(now);
        let millis = until.0.saturating_sub(record.queued_at.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}
