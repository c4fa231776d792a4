//! The figures that a scrape reads, all of them from memory but for what it asks the store and the figures of the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actiond_actors::{
    Counts, Load, QueueHandle, Standing, StoreError, StoreSize, System, Timestamp,
};

use super::process::Process;
use super::queues::Queue;
use super::{Counted, Metrics};

/// Time for which what the store was asked counts as known: however often somebody scrapes, it is not asked more often.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// Time that a scrape waits for the store. After that it has the latest that is known.
const KNOWN_WITHIN: Duration = Duration::from_millis(500);

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
    pub(super) store: OfStore,
    pub(super) now: Timestamp,
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
        let store = counted.store.read(system).await;
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
            store,
            now: system.clock().now(),
            process: Process::read(),
            counted: Arc::clone(counted),
        }
    }
}

/// The answers of the store.
#[derive(Debug, Default, Clone)]
pub(super) struct OfStore {
    /// `None` if the store has none, or none is known.
    pub(super) size: Option<StoreSize>,
    /// When the oldest action was queued that waits in a queue; `None` if the store can't tell, or nothing is known.
    pub(super) oldest: Option<Arc<BTreeMap<String, Timestamp>>>,
}

impl OfStore {
    async fn ask(system: &System) -> Result<Self, StoreError> {
        let size = system.store_size().await?;
        let oldest = system.oldest_waiting().await?.map(Arc::new);
        Ok(Self { size, oldest })
    }
}

/// The latest answers of the store, and their time.
#[derive(Debug, Default)]
pub(super) struct KnownOfStore(Mutex<Option<(Instant, OfStore)>>);

impl KnownOfStore {
    /// Returns it, and asks first if it is not fresh.
    pub(super) async fn read(&self, system: &System) -> OfStore {
        let latest = self.latest().clone();
        let known = match latest {
            Some((at, known)) if at.elapsed() < KNOWN_FOR => return known,
            latest => latest.map(|(_, known)| known).unwrap_or_default(),
        };
        // Before it is asked: whoever scrapes meanwhile does not wait for it.
        *self.latest() = Some((Instant::now(), known.clone()));
        match tokio::time::timeout(KNOWN_WITHIN, OfStore::ask(system)).await {
            Ok(Ok(read)) => {
                *self.latest() = Some((Instant::now(), read.clone()));
                read
            }
            Ok(Err(error)) => {
                log::debug!("the database does not tell its size: {error}");
                known
            }
            Err(_) => known,
        }
    }

    /// Locks it. Nothing that holds the lock can leave it half changed.
    fn latest(&self) -> MutexGuard<'_, Option<(Instant, OfStore)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
