//! Owners: the servers that share a store, and what they hear of each other through it.

use std::fmt;
use std::sync::Arc;

use crate::action::ActionId;
use crate::store::QueueId;
use crate::worker::Wish;

/// One incarnation of a server in one store. A server that begins anew, because it was restarted or has lost its
/// lease, is another owner; no number is ever used again.
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

/// What became of a lease that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It holds, for its whole time from the moment at which the renewal was asked for.
    Holds,
    /// It was over, and others have recovered what its owner ran: nothing that it ran is believed any more.
    Lost,
}

/// Something that another owner has changed. It only says where to look sooner: one that is lost costs time, one
/// that comes twice or late costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Something has come to wait in this queue that the owner whose batch it was did not start. Not said of what waited
    /// before: two owners without a free slot would tell each other for ever.
    Work(QueueId),
    /// An attempt that this owner runs is asked something.
    Steer {
        /// Its queue.
        queue: QueueId,
        /// The action.
        id: ActionId,
        /// The attempt; another one at the same action is not meant.
        attempt: u32,
        /// What is asked of it.
        wish: Wish,
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
        /// Whether it is paused.
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
            | Self::Ended { queue, .. }
            | Self::Paused { queue, .. } => *queue,
        }
    }
}

/// Takes notices. Called by any thread; it must not wait.
pub type NoticeSink = Arc<dyn Fn(Notice) + Send + Sync>;
