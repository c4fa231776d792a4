//! Remote: actions that workers elsewhere do, in whatever language. They ask for them over HTTP (`QueueWork`), and report.
//!
//! Nothing of the work happens here: an attempt waits at the queue's [`Desk`] until its worker has said how it ended, or was
//! silent for too long. A worker outlives the server, so a restart takes nothing from it.

use std::sync::Arc;

use actiond_actors::{ActionContext, OnRestart, Perform, Work};

use super::{ConfiguredQueue, ConfiguredQueues, Kind, Site};
use crate::aci::catalog::{ANY, ParamKind, ParamSpec};
use crate::config::{Key, KindReader, ValueKind};
use crate::desk::Desk;

/// The parameters of a Remote action.
const PARAMS: &[ParamSpec] = &[ParamSpec::optional(
    ANY,
    ParamKind::Text,
    "Whatever the worker needs; it gets all of them as they were sent.",
)];

const LEASE_SECS: &Key = &Key::with_default(
    "LeaseSecs",
    ValueKind::from_to(1, 86_400),
    "30",
    "How many seconds a worker may be silent. After that its action is taken from it, which counts as a failed attempt.",
);

/// `Type=Remote`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoteKind;

impl Kind for RemoteKind {
    fn word(&self) -> &'static str {
        "Remote"
    }

    fn summary(&self) -> &'static str {
        "Is done by a worker elsewhere, which takes it over HTTP (QueueWork)."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Resume
    }

    fn keys(&self) -> &'static [&'static Key] {
        &[LEASE_SECS]
    }

    fn example(&self) -> (&'static str, &'static str) {
        ("Render", "A queue whose actions are done by workers elsewhere.")
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        config.each_queue(|section| Arc::new(RemoteQueue(Desk::new(section.seconds(LEASE_SECS)))))
    }
}

/// A queue with `Type=Remote`, and its performer.
#[derive(Debug, Clone)]
pub struct RemoteQueue(Desk);

impl ConfiguredQueue for RemoteQueue {
    fn desk(&self) -> Option<Desk> {
        Some(self.0.clone())
    }

    fn performer(&self, _: &Site<'_>) -> Arc<dyn Perform> {
        Arc::new(self.clone())
    }
}

impl Perform for RemoteQueue {
    fn perform(&self, context: ActionContext) -> Work {
        self.0.work(context)
    }

    fn can_pause(&self) -> bool {
        true
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Resume
    }

    fn demand(&self) -> usize {
        self.0.demand()
    }

    fn reserve(&self, most: usize) -> usize {
        self.0.reserve(most)
    }

    fn give_back(&self, unused: usize) {
        self.0.give_back(unused);
    }
}
