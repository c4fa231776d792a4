//! Errors of calls to a queue.

use std::time::Duration;

use crate::action::ActionId;
use crate::lifecycle::Refusal;
use crate::queue::QueueShared;
use crate::store::{Rejected, ScheduleRefusal, StoreError};

/// The reason why a call to a queue failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The queue has no action of this id: it never had, or no longer keeps it.
    #[error("there is no action {id} in the queue")]
    UnknownAction {
        /// The id.
        id: ActionId,
    },
    /// The action's state does not allow it; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The place where the action is done does not allow it; nothing was changed.
    #[error("{reason}")]
    RefusedElsewhere {
        /// The answer from there.
        reason: String,
    },
    /// Its kind takes no action with these parameters ([`Perform::refusal`](crate::Perform::refusal)); nothing was changed.
    #[error("{reason}")]
    NotTaken {
        /// The reason.
        reason: String,
    },
    /// The queue holds as many waiting actions as it may; nothing was changed.
    #[error("the queue is full: {limit} {} waiting", if *limit == 1 { "action is" } else { "actions are" })]
    QueueFull {
        /// Number of actions that may wait.
        limit: u64,
        /// Time after which there may be room, at the rate at which actions have left the queue in the last minute: from one
        /// second to one minute.
        retry_after: Duration,
    },
    /// Another submission has the same key, and its action is still kept; nothing was changed.
    #[error("something else was submitted under the same key before")]
    KeyTaken,
    /// The schedule does not allow it; nothing was changed.
    #[error(transparent)]
    Schedule(#[from] ScheduleRefusal),
    /// The note is too long to be kept; nothing was changed.
    #[error("a note of {bytes} bytes can't be kept: it may have {limit}")]
    NoteTooLong {
        /// Its length.
        bytes: usize,
        /// The maximum ([`Control::MAX_NOTE`](crate::store::Control::MAX_NOTE)).
        limit: usize,
    },
    /// The server shuts down and takes no new actions.
    #[error("the server is shutting down and takes no new actions")]
    ShuttingDown,
    /// The queue can't be used now.
    #[error("the queue is not available: {reason}")]
    Unavailable {
        /// The reason.
        reason: String,
    },
    /// The answer was lost or late. Look whether the change was made.
    #[error("the queue gave no answer in time; whether it did what was asked is not known")]
    NoAnswer,
    /// The store could not read or keep it; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueueError {
    /// Makes the caller's error of a store's refusal; `id` is that of the action that the change concerned.
    pub(super) fn of(rejected: Rejected, id: Option<ActionId>, queue: &QueueShared) -> Self {
        match (rejected, id) {
            (Rejected::Unknown | Rejected::Stale, Some(id)) => Self::UnknownAction { id },
            (Rejected::Unknown | Rejected::Stale, None) => Self::NoAnswer,
            (Rejected::Refused(refusal), _) => Self::Refused(refusal),
            (Rejected::QueueFull, _) => {
                let limit = queue.settings().max_queue_size.unwrap_or_default();
                Self::QueueFull { limit, retry_after: queue.room_after(limit) }
            }
            (Rejected::Schedule(refusal), _) => Self::Schedule(refusal),
            (Rejected::KeyTaken, _) => Self::KeyTaken,
            (Rejected::ShuttingDown, _) => Self::ShuttingDown,
            (Rejected::Store(StoreError::OutcomeUnknown(_)), _) => Self::NoAnswer,
            (Rejected::Store(error), _) => Self::Store(error),
        }
    }
}
