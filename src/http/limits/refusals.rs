//! Refused requests and connections, for the log: one line for each client every few seconds, however much it sends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Client;

/// Time for which refusals are counted before they are logged.
const PERIOD: Duration = Duration::from_secs(5);

/// Largest number of clients that are told apart within a period.
const MAX_CLIENTS: usize = 1_000;

/// Largest number of clients with a line of their own: those with the most refusals.
const MAX_LINES: usize = 20;

/// The refusals of one limit that were not logged yet.
#[derive(Debug)]
pub(super) struct Refusals {
    /// The word for the things that are refused, in the plural.
    what: &'static str,
    key: &'static str,
    limit: AtomicU32,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    by_client: HashMap<Client, u64>,
    /// Those of more clients than are told apart.
    others: u64,
    /// True if somebody will log them.
    is_awaited: bool,
}

impl Refusals {
    /// Makes the counts of a limit, by the key that sets it.
    pub(super) fn new(what: &'static str, key: &'static str, limit: u32) -> Self {
        Self { what, key, limit: AtomicU32::new(limit), counts: Mutex::default() }
    }

    /// Returns the limit.
    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets the limit.
    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Notes a refusal. The first one of a period starts a task that ends it.
    pub(super) fn note(self: &Arc<Self>, client: Client) {
        if !self.count(client) {
            return;
        }
        let period = Period(Arc::clone(self));
        // Without a runtime it ends at once.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(PERIOD).await;
                drop(period);
            });
        }
    }

    /// Counts a refusal; returns true if it is the first one of a period.
    pub(super) fn count(&self, client: Client) -> bool {
        let mut counts = self.lock();
        if counts.by_client.len() < MAX_CLIENTS || counts.by_client.contains_key(&client) {
            *counts.by_client.entry(client).or_default() += 1;
        } else {
            counts.others += 1;
        }
        !std::mem::replace(&mut counts.is_awaited, true)
    }

    /// Ends a period, and returns the lines about it, those of the clients with the most refusals first.
    pub(super) fn lines(&self) -> Vec<String> {
        let Counts { by_client, mut others, .. } = std::mem::take(&mut *self.lock());
        let mut counts: Vec<_> = by_client.into_iter().collect();
        counts.sort_unstable_by_key(|(client, count)| (std::cmp::Reverse(*count), *client));
        let rest = counts.split_off(counts.len().min(MAX_LINES));
        others += rest.iter().map(|(_, count)| count).sum::<u64>();
        let (Self { what, key, .. }, limit) = (self, self.limit());
        let period = PERIOD.as_secs();
        let line = |who: &str, count: u64| {
            format!("{what} of {who} were refused: {count} within {period} s ({key}={limit})")
        };
        let mut lines: Vec<_> =
            counts.iter().map(|(client, count)| line(&client.to_string(), *count)).collect();
        if others > 0 {
            lines.push(line("other clients", others));
        }
        lines
    }

    /// Locks the counts. Nothing that holds the lock can leave them half changed.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A period, which ends when this is dropped: by time, or with the worker that waits for it.
struct Period(Arc<Refusals>);

impl Drop for Period {
    fn drop(&mut self) {
        for line in self.0.lines() {
            log::warn!("{line}");
        }
    }
}
