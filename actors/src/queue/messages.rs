//! The messages to a queue actor, each with its sender and with what an answer to it means.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::store::{Affected, Control, Rejected};
use crate::worker::Attempt;

/// Submissions wait in the [`super::inbox`], and no enlisted batch will take them. From the handle that put the first of
/// them there; each is answered once it is durable (Q2).
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Submissions;

/// Change actions that exist. From a handle; answered once the change is durable (Q2). It needs no room in the queue and
/// never waits behind submissions.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Change {
    pub(crate) control: Control,
    pub(crate) reply: oneshot::Sender<Result<Vec<Affected>, Rejected>>,
}

/// Look whether something can start: something that the queue's performer waited for is there. From a handle; answered once a
/// batch that was sealed after this is durable, or there is none to make.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LookAgain(pub(crate) oneshot::Sender<()>);

/// An attempt has ended, and `freed`, if it is set, is free by that. One message for both: a slot never counts as free
/// while its attempt still counts as running (Q4). From its worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AttemptEnded {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) freed: Option<usize>,
}

/// An attempt has published progress that an observer wants, for the first time since observers were told. From its work.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Progressed(pub(crate) Arc<Attempt>);

/// A retired slot is free again: the thread of its last attempt has ended. From its worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SlotFreed {
    pub(crate) slot: usize,
}

/// The worker of a slot has died, and no work that it started runs any more. From the drop of the last of them, after the
/// end of its attempt, if one had begun.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerLost {
    pub(crate) slot: usize,
}

/// The work of an attempt reports an error after which it goes on. From its context.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ErrorReported {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) error: String,
}

/// The queue's settings were replaced: start what they allow to start now, and delete what they no longer keep. From a handle.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SettingsChanged;

/// Refuse submissions and start nothing more, because the server shuts down. From the system.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// Interrupt or force all that runs, because the server shuts down. From the system.
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

/// Panic, for tests.
#[cfg(feature = "testing")]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;
