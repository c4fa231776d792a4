//! Permits for actions that run at once, outside of a queue's slots: a few for each queue, with a bounded wait for one.

use std::sync::Arc;

use actiond_actors::System;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::memory::{PATIENCE, in_time};

/// Least number of actions of one queue that may run at once outside of it, however few HTTP workers there are.
const FEWEST: usize = 4;

/// A permit, which is free again once its last holder has dropped it: the work, and the reply with its result.
pub(super) type RunPermit = Arc<OwnedSemaphorePermit>;

/// The permits of one queue.
#[derive(Debug, Clone)]
pub(super) struct RunPermits(Arc<Semaphore>);

impl RunPermits {
    /// Makes as many as there are HTTP workers, and at least four.
    pub(super) fn new(workers: usize) -> Self {
        Self(Arc::new(Semaphore::new(workers.clamp(FEWEST, Semaphore::MAX_PERMITS))))
    }

    /// Waits some seconds for a permit, and not once the system shuts down.
    pub(super) async fn one(&self, system: &System) -> Option<RunPermit> {
        let permit = Arc::clone(&self.0).acquire_owned();
        // Never closed, so that it fails but by time.
        in_time(permit, PATIENCE, || system.is_draining()).await?.ok().map(Arc::new)
    }
}
