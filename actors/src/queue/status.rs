//! How a queue and its actions stand, as they are shown to callers.

use std::time::Duration;

use crate::action::Timestamp;
use crate::report::Progress;
use crate::store::{Counts, Record};
use crate::worker::LiveView;

/// How many actions a queue holds, and whether it is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Whether the queue starts nothing for now.
    pub paused: bool,
    /// How many actions are in each state.
    pub counts: Counts,
}

/// An action as it stands: the stored row, with the live figures laid over it while it runs.
#[derive(Debug, Clone)]
pub struct ActionStatus {
    /// The row; its report is the partial result while it runs.
    pub record: Record,
    /// How far it has come. An action that Finished is at 100 %.
    pub progress: Progress,
    /// How long it has worked, pauses left out.
    pub processing: Duration,
}

impl ActionStatus {
    pub(super) fn new(mut record: Record, live: Option<LiveView>) -> Self {
        if let Some(live) = live {
            record.report = live.partial;
            return Self { record, progress: live.progress, processing: live.processing };
        }
        let millis = u64::try_from(record.processing_ms).unwrap_or_default();
        Self {
            progress: Progress::of_percent(record.percent),
            processing: Duration::from_millis(millis),
            record,
        }
    }

    /// Returns how long the action waited or has waited, as of `now`.
    #[must_use]
    pub fn in_queue(&self, now: Timestamp) -> Duration {
        let record = &self.record;
        // One that was cancelled waited until then; one that waits, until now.
        let until = record.started_at.or(record.finished_at).unwrap_or(now);
        let millis = until.0.saturating_sub(record.queued_at.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}
