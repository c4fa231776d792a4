//! Attempts that have ended without ending their action: what follows for the action, the same in every store here.

use std::time::Duration;

use crate::action::Timestamp;
use crate::lifecycle::{Ended, not_before};
use crate::store::{AttemptEnd, PastAttempt};

/// The numbers that an action counts: see [the contract](super#attempts).
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) failures: u32,
    pub(super) restarts: u32,
}

/// An attempt that has ended, and whose action goes back to the queue.
pub(super) struct Again<'a> {
    ended: Option<Ended>,
    pub(super) worker: Option<&'a str>,
    pub(super) error: Option<&'a str>,
    /// The numbers from now on.
    pub(super) counted: Counted,
    /// Time before which the next attempt must not start.
    pub(super) not_before: Option<Timestamp>,
}

impl<'a> Again<'a> {
    /// Makes that of an attempt that its worker has ended.
    pub(super) fn ended(now: Timestamp, counted: Counted, end: &'a AttemptEnd) -> Self {
        let failed = end.ended == Ended::Retry;
        let wait = end.retry_after.filter(|wait| failed && *wait >= Duration::from_millis(1));
        let Counted { failures, restarts } = counted;
        Self {
            ended: Some(end.ended),
            worker: end.worker.as_deref(),
            error: end.error.as_deref(),
            counted: Counted {
                failures: failures.saturating_add(u32::from(failed)),
                restarts: restarts.saturating_add(u32::from(end.ended == Ended::Lost)),
            },
            not_before: wait.map(|wait| {
                let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_add(wait))
            }),
        }
    }

    /// Makes that of an attempt that never began.
    pub(super) const fn unbegun(counted: Counted, ended: Ended) -> Self {
        Self { ended: Some(ended), worker: None, error: None, counted, not_before: None }
    }

    /// Makes that of an attempt whose server died.
    pub(super) const fn lost(counted: Counted) -> Self {
        let restarts = counted.restarts.saturating_add(1);
        let counted = Counted { restarts, ..counted };
        Self { ended: None, worker: None, error: None, counted, not_before: None }
    }

    /// Returns the attempt as it is kept.
    pub(super) fn past(&self, attempt: u32, started_at: Timestamp, now: Timestamp) -> PastAttempt {
        PastAttempt {
            attempt,
            started_at,
            ended_at: not_before(now, started_at),
            ended: self.ended,
            worker: self.worker.map(str::to_owned),
            error: self.error.map(|error| PastAttempt::cut(error).to_owned()),
        }
    }
}
