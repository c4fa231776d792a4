//! What a scrape reads, all of it from memory but for the size of the database and the figures of the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actiond_actors::{Counts, Load, QueueHandle, Standing, StoreSize, System};

use super::process::Process;
use super::queues::Queue;
use super::{Counted, Metrics};

/// Time for which the size of the database counts as known: however often somebody scrapes, it is not read more often.
const SIZE_FOR: Duration = Duration::from_secs(5);

/// Time that a scrape waits for the size of the database. After that it has the latest one that is known.
const SIZE_WITHIN: Duration = Duration::from_millis(500);

/// All that one scrape writes.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) counted: Arc<Counted>,
    pub(super) uptime: Duration,
    pub(super) is_ready: bool,
    pub(super) is_draining: bool,
    pub(super) is_store_available: bool,
    /// Where servers share the store.
    pub(super) standing: Option<Standing>,
    pub(super) leases_lost: u64,
    pub(super) queues: Vec<OneQueue>,
    pub(super) size: Option<StoreSize>,
    pub(super) process: Option<Process>,
}

/// A queue at the time of the scrape.
#[derive(Debug)]
pub(super) struct OneQueue {
    pub(super) name: Box<str>,
    pub(super) counted: Arc<Queue>,
    pub(super) counts: Counts,
    pub(super) paused: bool,
    pub(super) load: Load,
    pub(super) limit: Option<u64>,
    pub(super) stale_reports: u64,
}

impl Snapshot {
    pub(super) async fn take(counted: &Arc<Counted>, system: &System) -> Self {
        let size = counted.size.read(system).await;
        let Metrics { queues } = &counted.metrics;
        let of = |queue: &QueueHandle| {
            let summary = queue.summary();
            OneQueue {
                name: queue.name().into(),
                counted: queues.of(queue.name()),
                counts: summary.counts,
                paused: summary.paused,
                load: queue.load(),
                limit: queue.settings().max_queue_size,
                stale_reports: queue.dropped_reports(),
            }
        };
        Self {
            uptime: counted.began.elapsed(),
            is_ready: system.is_ready(),
            is_draining: system.is_draining(),
            is_store_available: system.is_store_available(),
            standing: system.standing(),
            leases_lost: system.leases_lost(),
            queues: system.queues().iter().map(of).collect(),
            size,
            process: Process::read(),
            counted: Arc::clone(counted),
        }
    }
}

/// The size of the database, as it was read last.
#[derive(Debug, Default)]
pub(super) struct KnownSize(Mutex<Option<(Instant, Option<StoreSize>)>>);

impl KnownSize {
    /// Returns it, and reads it first if it is not fresh; `None` if the store has none, or none is known.
    pub(super) async fn read(&self, system: &System) -> Option<StoreSize> {
        let latest = *self.latest();
        let known = match latest {
            Some((at, size)) if at.elapsed() < SIZE_FOR => return size,
            latest => latest.and_then(|(_, size)| size),
        };
        // Before it is read: whoever asks meanwhile does not wait for it.
        *self.latest() = Some((Instant::now(), known));
        match tokio::time::timeout(SIZE_WITHIN, system.store_size()).await {
            Ok(Ok(size)) => {
                *self.latest() = Some((Instant::now(), size));
                size
            }
            Ok(Err(error)) => {
                log::debug!("the size of the database can't be read: {error}");
                known
            }
            Err(_) => known,
        }
    }

    /// Locks it. Nothing that holds the lock can leave it half changed.
    fn latest(&self) -> MutexGuard<'_, Option<(Instant, Option<StoreSize>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
