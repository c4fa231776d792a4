//! Those who hold memory while more is to come from their clients: who was silent for too long loses it to one that waits.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The time after which a silent one can lose its shares to one that waits (our choice).
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// The number of bytes that must come in that time; whoever sends fewer counts as silent too.
pub(super) const SOUND: usize = 4 << 10;

/// The time between two looks for silent ones.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The holders of one budget whose next bytes are waited for.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<Holders>);

#[derive(Debug, Default)]
struct Holders {
    last: u64,
    all: HashMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    since: Instant,
    shares: usize,
    lost: Arc<Notify>,
}

impl Listeners {
    fn holders(&self) -> MutexGuard<'_, Holders> {
        // It is whole whenever it is let go of.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists one that holds so many shares and was heard of last at `since`, until what is returned is dropped.
    pub(super) fn list(&self, since: Instant, shares: usize) -> Listed<'_> {
        let lost = Arc::new(Notify::new());
        let mut holders = self.holders();
        holders.last += 1;
        let id = holders.last;
        holders.all.insert(id, Holder { since, shares, lost: Arc::clone(&lost) });
        Listed { listeners: self, id, lost }
    }

    /// Takes their shares from those who were silent for the longest, as many as this, again and again.
    pub(super) async fn go_on_taking(&self, shares: usize) -> Infallible {
        loop {
            self.take_from_the_silent(shares);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn take_from_the_silent(&self, shares: usize) {
        let now = Instant::now();
        let mut holders = self.holders();
        let mut silent: Vec<_> = holders
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
            if let Some(holder) = holders.all.remove(&id) {
                taken += holder.shares;
                holder.lost.notify_one();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.holders().all.is_empty()
    }
}

/// A holder in the list, until this is dropped.
#[derive(Debug)]
pub(super) struct Listed<'l> {
    listeners: &'l Listeners,
    id: u64,
    lost: Arc<Notify>,
}

impl Listed<'_> {
    /// Waits until its shares are taken.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.listeners.holders().all.remove(&self.id);
    }
}
