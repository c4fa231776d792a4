//! Why a call to a queue did not do what it was to do.

use crate::action::ActionId;
use crate::lifecycle::Refusal;
use crate::queue::QueueSettings;
use crate::store::{Rejected, StoreError};

/// Why a call to a queue did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no action of this id in the queue: there never was, or it is no longer kept.
    #[error("there is no action {id} in the queue")]
    UnknownAction {
        /// The id.
        id: ActionId,
    },
    /// The action's state does not allow it; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The queue holds as many waiting actions as it may; nothing was changed.
    #[error("the queue is full: {limit} {} waiting", if *limit == 1 { "action is" } else { "actions are" })]
    QueueFull {
        /// How many may wait.
        limit: u64,
    },
    /// Something else was submitted before under the same key, and is still kept; nothing was changed.
    #[error("something else was submitted under the same key before")]
    KeyTaken,
    /// The server shuts down and takes nothing new.
    #[error("the server is shutting down and takes no new actions")]
    ShuttingDown,
    /// The queue can't be used now.
    #[error("the queue is not available: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The answer was lost or late: whether the change was made must be looked up.
    #[error("the queue gave no answer in time; whether it did what was asked is not known")]
    NoAnswer,
    /// The store could not read or keep it; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueueError {
    /// Says to the caller why a change was not made; `id` is that of the action that it concerned.
    pub(super) fn of(rejected: Rejected, id: Option<ActionId>, settings: &QueueSettings) -> Self {
        match (rejected, id) {
            (Rejected::Unknown | Rejected::Stale, Some(id)) => Self::UnknownAction { id },
            (Rejected::Unknown | Rejected::Stale, None) => Self::NoAnswer,
            (Rejected::Refused(refusal), _) => Self::Refused(refusal),
            (Rejected::QueueFull, _) => {
                Self::QueueFull { limit: settings.max_queue_size.unwrap_or_default() }
            }
            (Rejected::KeyTaken, _) => Self::KeyTaken,
            (Rejected::ShuttingDown, _) => Self::ShuttingDown,
            (Rejected::Store(StoreError::OutcomeUnknown(_)), _) => Self::NoAnswer,
            (Rejected::Store(error), _) => Self::Store(error),
        }
    }
}
