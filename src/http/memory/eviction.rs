//! Eviction: a holder of memory whose client was silent for too long loses it to one that waits for memory.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Time of silence after which a holder can be evicted (our choice).
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// Number of bytes that must come in that time; a client that sends fewer counts as silent too.
pub(super) const SOUND: usize = 4 << 10;

/// Interval of the checks for silent holders.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The holders of one budget whose next bytes are waited for.
#[derive(Debug, Default)]
pub(super) struct Holders(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    all: HashMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    since: Instant,
    shares: usize,
    evicted: Arc<Notify>,
}

impl Holders {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the state half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a holder of so many shares whose client was last heard at `since`, until the result is dropped.
    pub(super) fn register(&self, since: Instant, shares: usize) -> Registration<'_> {
        let evicted = Arc::new(Notify::new());
        let mut state = self.lock();
        state.last += 1;
        let id = state.last;
        state.all.insert(id, Holder { since, shares, evicted: Arc::clone(&evicted) });
        Registration { holders: self, id, evicted }
    }

    /// Evicts the longest silent holders, for as many shares as this, again and again.
    pub(super) async fn keep_evicting(&self, shares: usize) -> Infallible {
        loop {
            self.evict_silent(shares);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn evict_silent(&self, shares: usize) {
        let now = Instant::now();
        let mut state = self.lock();
        let mut silent: Vec<_> = state
            .all
            .iter()
            .filter(|(_, holder)| now.saturating_duration_since(holder.since) >= SILENCE)
            .map(|(id, holder)| (holder.since, *id))
            .collect();
        silent.sort_unstable();
        let mut taken = 0;
        for (_, id) in silent {
            if taken >= shares {
                break;
            }
            if let Some(holder) = state.all.remove(&id) {
                taken += holder.shares;
                holder.evicted.notify_one();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().all.is_empty()
    }
}

/// A registered holder, until this is dropped.
#[derive(Debug)]
pub(super) struct Registration<'l> {
    holders: &'l Holders,
    id: u64,
    evicted: Arc<Notify>,
}

impl Registration<'_> {
    /// Waits until the holder is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.holders.lock().all.remove(&self.id);
    }
}
