//! The messages to a queue actor; who sends them and what holds when they are answered stands with each.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::store::{Affected, Control, Rejected};
use crate::worker::Attempt;

/// Submissions wait in the [`super::inbox`]. From a handle that put one there which no batch will fetch; each is
/// answered once it is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Submissions;

/// Change actions that exist. From a handle; answered once the change is durable. It needs no room
/// in the queue and never waits behind submissions.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Change {
    pub(crate) control: Control,
    pub(crate) reply: oneshot::Sender<Result<Vec<Affected>, Rejected>>,
}

/// The attempt has ended, as it says itself, and its slot can take another one, if it is named here:
/// a slot never counts as free while its attempt still counts as running (Q4). Told by its worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AttemptEnded {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) freed: Option<usize>,
}

/// The attempt has published how far it is, which somebody wants to know, for the first time since that was told. Told
/// by its work.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Progressed(pub(crate) Arc<Attempt>);

/// A slot can take another attempt whose last one was given up long ago: its thread has ended at
/// last. Told by its worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SlotFreed {
    pub(crate) slot: usize,
}

/// The worker of this slot has died, and nothing that it began runs any more. Told while the last of them is
/// dropped, after the end of its attempt, if that had begun.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerLost {
    pub(crate) slot: usize,
}

/// Refuse submissions and start nothing more: the server shuts down. From the system.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// Ask all that runs to stop because the server shuts down, or force it. From the system.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum EndAll {
    Interrupt,
    Force,
}

/// Answer once nothing waits in the [`super::inbox`] and nothing is in flight. From the system, before it closes the store.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Settle(pub(crate) oneshot::Sender<()>);

/// Die as a bug would make it.
#[cfg(feature = "testing")]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;
