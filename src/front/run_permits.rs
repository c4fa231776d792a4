//! RunPermits for what runs at once, outside of a queue's slots: a few for each queue, and a bounded wait for one.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::System;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::http::memory::PATIENCE;

/// How many actions of one queue may run at once outside of it, however few HTTP workers there are.
const FEWEST: usize = 4;

/// How often who waits looks whether the system shuts down: well within the time that HTTP has then.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A place, which is free again when the last of its holders has dropped it: the work, and the reply with its result.
pub(super) type RunPermit = Arc<OwnedSemaphorePermit>;

/// The places of one queue.
#[derive(Debug, Clone)]
pub(super) struct RunPermits(Arc<Semaphore>);

impl RunPermits {
    /// Makes as many as there are HTTP workers, and at least four.
    pub(super) fn new(workers: usize) -> Self {
        Self(Arc::new(Semaphore::new(workers.clamp(FEWEST, Semaphore::MAX_PERMITS))))
    }

    /// Waits some seconds for a place, and no longer than the system runs.
    pub(super) async fn one(&self, system: &System) -> Option<RunPermit> {
        let place = Arc::clone(&self.0).acquire_owned();
        // Never closed, so that it fails but by time.
        in_time(place, Instant::now() + PATIENCE, Some(system)).await?.ok().map(Arc::new)
    }
}

/// Waits for something until then, and no longer than the system runs. Others may be served first, but it keeps its turn.
pub(super) async fn in_time<T>(
    wanted: impl Future<Output = T>,
    until: Instant,
    system: Option<&System>,
) -> Option<T> {
    let mut wanted = pin!(wanted);
    loop {
        let look = until.min(Instant::now() + LOOK_EVERY);
        match tokio::time::timeout_at(look, &mut wanted).await {
            Ok(got) => return Some(got),
            Err(_) if look == until => return None,
            Err(_) if system.is_some_and(System::is_draining) => return None,
            Err(_) => {}
        }
    }
}
