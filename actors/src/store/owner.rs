//! Owners: the servers that share a store, and the notices that they get of each other's changes.

use std::fmt;
use std::sync::Arc;

use crate::action::ActionId;
use crate::store::QueueId;
use crate::worker::Wish;

/// Number of one incarnation of a server in one store. A server that was restarted or has lost its lease is a new
/// owner; no number is ever used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerId(pub i64);

impl OwnerId {
    /// The owner of a store that one server has to itself.
    pub const SOLE: Self = Self(0);
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Outcome of the renewal of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It holds, for its full time from the moment of the request.
    Holds,
    /// It had expired, and another owner has recovered its owner's actions: their ends no longer count.
    Lost,
}

/// A change by another owner. It only tells a queue to look now: one that is lost costs time, one that comes twice or
/// late costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Actions came to wait in this queue that the owner of the batch did not start. Not sent for actions that waited
    /// before: two owners without a free slot would notify each other for ever.
    Work(QueueId),
    /// A wish for an attempt that this owner runs.
    Steer {
        /// Its queue.
        queue: QueueId,
        /// The action.
        id: ActionId,
        /// The attempt; a later one at the same action is not meant.
        attempt: u32,
        /// The wish.
        wish: Wish,
    },
    /// An attempt that this owner ran has been taken over by another ([`Control::TakeOver`](super::Control::TakeOver)).
    Moved {
        /// Its queue.
        queue: QueueId,
        /// The action.
        id: ActionId,
        /// The attempt.
        attempt: u32,
    },
    /// An action has reached a final state.
    Ended {
        /// Its queue.
        queue: QueueId,
        /// The action.
        id: ActionId,
    },
    /// The queue was paused, or resumed.
    Paused {
        /// The queue.
        queue: QueueId,
        /// True if it was paused, false if it was resumed.
        paused: bool,
    },
}

impl Notice {
    /// Returns the queue that it concerns.
    #[must_use]
    pub const fn queue(&self) -> QueueId {
        match self {
            Self::Work(queue)
            | Self::Steer { queue, .. }
            | Self::Moved { queue, .. }
            | Self::Ended { queue, .. }
            | Self::Paused { queue, .. } => *queue,
        }
    }
}

/// Callback for notices. Called on any thread; it must not block.
pub type NoticeSink = Arc<dyn Fn(Notice) + Send + Sync>;
