//! The limit of requests: a token bucket for each client, kept as one number, and a bounded table of them.
//!
//! The number is the time at which the bucket will be full again (a leaky bucket as a meter, also known as GCRA). Each request
//! moves it on by the time that one token takes; one that would move it further away than a whole bucket takes is refused,
//! and moves nothing. A bucket whose time has come is full, as is that of a client that was never here, so it is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Client;
use super::refusals::Refusals;
use crate::aci::error::AciError;

/// Largest number of clients whose buckets are kept: some 10 MB of them.
const MAX_CLIENTS: usize = 100_000;

/// Number of parts of the table, each with a lock of its own, so that workers seldom wait for each other.
const SHARDS: usize = 64;

/// Largest number of full buckets that one request throws away. It adds at most one, so they never pile up.
const SWEPT: usize = 4;

/// `MaxRequestsPerSecondPerClient`.
#[derive(Debug)]
pub(crate) struct RequestLimit {
    per_second: u32,
    buckets: Buckets,
    began: Instant,
    refusals: Arc<Refusals>,
}

const KEY: &str = "MaxRequestsPerSecondPerClient";

impl RequestLimit {
    /// Makes a limit of so many requests a second, as many of them at once; `None` if it is 0, which is no limit.
    pub(crate) fn new(per_second: u32) -> Option<Self> {
        let rate = Rate::new(per_second)?;
        let refusals = Arc::new(Refusals::new("requests", KEY, per_second));
        let buckets = Buckets::new(rate, MAX_CLIENTS);
        Some(Self { per_second, buckets, began: Instant::now(), refusals })
    }

    /// Counts a request of this client.
    ///
    /// # Errors
    ///
    /// The error for a client that is beyond the limit. It is noted for the log, and does not count.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), AciError> {
        let client = Client::of(address);
        if self.buckets.take(client, self.began.elapsed()) {
            return Ok(());
        }
        self.refusals.note(client);
        let number = self.per_second;
        Err(AciError::unavailable(&format!(
            "a client may send {number} requests a second ({KEY}={number}), and this one has sent more; send it again after a \
             second"
        )))
    }
}

/// The time that tokens take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// Time in which a bucket gets a token, in nanoseconds; rounded up, so that a bucket never gets more than it may.
    token: u64,
    /// Time in which an empty bucket gets full.
    bucket: u64,
}

impl Rate {
    /// Makes a rate of so many tokens a second, which is also how many a bucket holds; `None` for 0.
    pub(super) fn new(per_second: u32) -> Option<Self> {
        let token = 1_000_000_000_u64.checked_div(u64::from(per_second))?;
        let is_exact = token * u64::from(per_second) == 1_000_000_000;
        let token = token + u64::from(!is_exact);
        Some(Self { token, bucket: token * u64::from(per_second) })
    }

    /// Takes a token at the time `now` from a bucket that is full at `full_at`, if it has one; else changes nothing.
    fn take(self, full_at: &mut u64, now: u64) -> bool {
        let later = now.max(*full_at).saturating_add(self.token);
        let has_one = later - now <= self.bucket;
        if has_one {
            *full_at = later;
        }
        has_one
    }
}

/// The buckets of all clients that have asked lately. Where there are too many, the one goes whose client has asked least
/// lately, among those of its shard.
pub(super) struct Buckets {
    rate: Rate,
    /// Chosen at random, so that nobody can choose addresses that share a shard.
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Buckets {
    /// Makes a table for at most so many clients.
    pub(super) fn new(rate: Rate, most: usize) -> Self {
        let shards = SHARDS.min(most).max(1);
        let most = (most / shards).max(1);
        let shards = (0..shards).map(|_| Mutex::new(Shard::new(most))).collect();
        Self { rate, hasher: RandomState::new(), shards }
    }

    /// Takes a token of a client, at a time since some start; returns false if there is none.
    pub(super) fn take(&self, client: Client, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let at = self.hasher.hash_one(client) % self.shards.len() as u64;
        let shard = usize::try_from(at).ok().and_then(|at| self.shards.get(at));
        // There always is one.
        let Some(shard) = shard else { return true };
        // Nothing that holds the lock can leave a shard half changed.
        shard.lock().unwrap_or_else(PoisonError::into_inner).take(client, now, self.rate)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().buckets.len()).sum()
    }
}

/// A part of the table.
#[derive(Debug)]
struct Shard {
    most: usize,
    buckets: HashMap<Client, Bucket>,
    /// The clients by when they asked last.
    by_use: BTreeMap<u64, Client>,
    /// Number of requests so far.
    uses: u64,
}

#[derive(Debug)]
struct Bucket {
    full_at: u64,
    /// The number of the client's last request in `by_use`.
    last_use: u64,
}

impl Shard {
    fn new(most: usize) -> Self {
        Self { most, buckets: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    fn take(&mut self, client: Client, now: u64, rate: Rate) -> bool {
        self.sweep(now);
        self.uses += 1;
        let last_use = self.uses;
        if !self.buckets.contains_key(&client) && self.buckets.len() >= self.most {
            self.forget_oldest();
        }
        let bucket = self.buckets.entry(client).or_insert(Bucket { full_at: 0, last_use });
        self.by_use.remove(&bucket.last_use);
        self.by_use.insert(last_use, client);
        bucket.last_use = last_use;
        rate.take(&mut bucket.full_at, now)
    }

    /// Forgets some buckets that are full, those first that were used least lately: a second after its last use each is full.
    fn sweep(&mut self, now: u64) {
        for _ in 0..SWEPT {
            let oldest = self.by_use.first_key_value().map(|(_, client)| client);
            let Some(bucket) = oldest.and_then(|client| self.buckets.get(client)) else { return };
            if bucket.full_at > now {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, client)) = self.by_use.pop_first() {
            self.buckets.remove(&client);
        }
    }
}
