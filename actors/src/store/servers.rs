//! Servers that share a store, as each other and their clients see them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{OwnerId, QueueId};
use crate::action::ActionId;
use crate::report::{Progress, Report};

/// A site's number within one store. It stands for the same [`Site`] for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiteId(pub i32);

/// A name of a server, and the host and port that its tokens carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// The host; empty if it gives out no tokens.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A server that has the store open, or had it until a short while ago. All times are by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The owner that it is.
    pub owner: OwnerId,
    /// Its name, host and port.
    pub site: Arc<Site>,
    /// Number of actions that it may run at a time.
    pub slots: u32,
    /// Number of actions that it runs.
    pub running: u64,
    /// Time since it opened the store, or became this owner.
    pub up: Duration,
    /// Time since it last renewed its lease.
    pub seen: Duration,
    /// Time left of its lease. None once that has expired, or the owner is dead.
    pub lease: Option<Duration>,
    /// True if it was declared dead because it has stopped answering, and was not ended in order.
    pub is_dead: bool,
}

/// Figures of an attempt that runs, for other servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The queue.
    pub queue: QueueId,
    /// The action.
    pub id: ActionId,
    /// The attempt.
    pub attempt: u32,
    /// The figures.
    pub figures: Figures,
    /// The partial result.
    pub partial: Report,
}

/// Figures of an attempt that are seen while it runs and are not kept, beside its partial result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Its progress.
    pub progress: Progress,
    /// Time for which it has worked, pauses left out.
    pub processing: Duration,
    /// Name of the remote worker that has it.
    pub worker: Option<String>,
    /// The last lines that it has logged, the oldest first.
    pub log: Vec<String>,
}
