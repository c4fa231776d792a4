//! The budget, and the reservation of one request.

use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_immediate;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::eviction::{Holders, SOUND};
use super::{FREE, PATIENCE, SHARE};

/// Interval of the checks if waiting has become useless: well within the time that HTTP has at a shutdown.
const USELESS_EVERY: Duration = Duration::from_millis(200);

/// Memory that requests share.
pub(crate) struct Budget {
    /// The shares that are free.
    pub(super) common: Semaphore,
    /// Number of shares, free or not.
    all: usize,
    /// The one emergency slot.
    pub(super) emergency: Semaphore,
    pub(super) emergency_size: EmergencySize,
    /// Number of bytes that need no share, as long as no share is held.
    free: usize,
    /// Number of bytes that need no share, in addition to shares.
    beside: usize,
    pub(super) patience: Duration,
    pub(super) holders: Holders,
    /// Returns true once no request should wait any more.
    is_useless: Box<dyn Fn() -> bool + Send + Sync>,
}

/// The size of the emergency slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmergencySize {
    /// So many shares of the memory: enough for the largest body. Its holder gives back the shares that it had before.
    Shares(usize),
    /// Any size, beyond the memory: for a reply whose size is not known beforehand. Its holder keeps the shares that it had
    /// before.
    Beyond,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("common", &self.common)
            .field("emergency", &self.emergency)
            .finish_non_exhaustive()
    }
}

/// The budget for bodies that was in force when a request began. The reference is one of the worker's own: a count that all
/// workers change is slow for each of them.
#[expect(
    clippy::redundant_allocation,
    reason = "the outer count is the worker's own, and that is the point"
)]
pub(crate) struct CurrentBudget(pub(crate) Rc<Arc<Budget>>);

impl Deref for CurrentBudget {
    type Target = Budget;

    fn deref(&self) -> &Budget {
        &self.0
    }
}

/// The memory that one request holds; given back when this is dropped, to the budget from which it came. `B` refers to that.
#[derive(Debug)]
pub(crate) struct Reservation<B: Deref<Target = Budget>> {
    budget: B,
    shares: usize,
    has_emergency: bool,
    /// Number of bytes that it has memory for.
    covered: usize,
    /// Time for which it may still wait.
    patience: Duration,
    /// Time since which fewer than [`SOUND`] bytes have come, and the size at that time; once some have.
    pub(super) last_heard: Option<(Instant, usize)>,
}

/// Error: other requests held all the memory for as long as this one waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Error: the client was silent while others waited for memory, so it was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evicted;

impl Budget {
    /// Makes a budget of `memory` bytes for bodies of at most `largest` bytes each; the emergency slot is at most half of it.
    /// There is always memory for one such body, unless any size is allowed (`usize::MAX`).
    pub(crate) fn for_bodies(memory: usize, largest: usize) -> Self {
        let memory = if largest == usize::MAX { memory } else { memory.max(largest) };
        let all = memory.div_ceil(SHARE).clamp(2, Semaphore::MAX_PERMITS);
        let emergency_size = largest.div_ceil(SHARE).clamp(1, all / 2);
        Self::new(all - emergency_size, EmergencySize::Shares(emergency_size), FREE, FREE)
    }

    /// Makes a budget of `memory` bytes for replies. A larger reply has to be alone; one of at most a share needs none, because
    /// connections are limited elsewhere. No request waits any more once `is_useless`.
    pub(crate) fn for_replies(
        memory: usize,
        is_useless: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        // No more than can be taken at once.
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let all = memory.div_ceil(SHARE).clamp(1, most);
        Self { is_useless: Box::new(is_useless), ..Self::new(all, EmergencySize::Beyond, SHARE, 0) }
    }

    fn new(all: usize, emergency_size: EmergencySize, free: usize, beside: usize) -> Self {
        Self {
            common: Semaphore::new(all),
            all,
            emergency: Semaphore::new(1),
            emergency_size,
            free,
            beside,
            patience: PATIENCE,
            holders: Holders::default(),
            is_useless: Box::new(|| false),
        }
    }

    /// Sets how long one request waits.
    #[cfg(test)]
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the number of bytes that a request can hold if it is alone.
    pub(crate) fn most(&self) -> usize {
        match self.emergency_size {
            EmergencySize::Shares(size) => (self.all + size).saturating_mul(SHARE),
            EmergencySize::Beyond => usize::MAX,
        }
    }

    /// Returns the number of bytes that fit these shares.
    fn covered_by(&self, shares: usize) -> usize {
        match shares {
            0 => self.free,
            _ => shares.saturating_mul(SHARE).saturating_add(self.beside),
        }
    }

    /// Takes so many shares if they are free.
    fn take_at_once(&self, shares: usize) -> bool {
        let Ok(number) = u32::try_from(shares) else { return false };
        self.common.try_acquire_many(number).map(SemaphorePermit::forget).is_ok()
    }

    /// Returns the number of shares for so many bytes; at most all, which means to be alone.
    fn needed(&self, bytes: usize) -> usize {
        if bytes <= self.free {
            return 0;
        }
        bytes.saturating_sub(self.beside).div_ceil(SHARE).min(self.all)
    }
}

impl<B: Deref<Target = Budget>> Reservation<B> {
    /// Begins without any share.
    pub(crate) fn of(budget: B) -> Self {
        let (covered, patience) = (budget.free, budget.patience);
        Self { budget, shares: 0, has_emergency: false, covered, patience, last_heard: None }
    }

    /// Returns the number of bytes that it can hold if it is alone.
    pub(crate) fn most(&self) -> usize {
        self.budget.most()
    }

    /// Returns true if any share or the emergency slot is held.
    pub(crate) const fn holds_any(&self) -> bool {
        self.shares > 0 || self.has_emergency
    }

    /// Gives back everything.
    pub(crate) fn release(&mut self) {
        self.keep(0);
        if std::mem::take(&mut self.has_emergency) {
            self.budget.emergency.add_permits(1);
        }
    }

    /// Allows the full time for waiting again.
    pub(crate) fn reset_patience(&mut self) {
        self.patience = self.budget.patience;
    }

    /// Reserves so many bytes, all at once, if they are free; returns true if it did. Shares that were held before and do not
    /// suffice are given back in any case: requests that hold some and wait for more would wait for each other.
    pub(crate) fn try_reserve(&mut self, bytes: usize) -> bool {
        if bytes <= self.covered {
            return true;
        }
        self.release();
        let needed = self.budget.needed(bytes);
        let taken = self.budget.take_at_once(needed);
        if taken {
            self.took_reserved(needed);
        }
        taken
    }

    /// Reserves so many bytes, all at once, and waits for them if it must. Requests are served in the order in which they asked:
    /// the first one gets all that becomes free. Nothing is held meanwhile, so the data must not be in memory yet.
    pub(crate) async fn reserve(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if self.try_reserve(bytes) {
            return Ok(());
        }
        let needed = self.budget.needed(bytes);
        let number = u32::try_from(needed).map_err(|_| Exhausted)?;
        let began = Instant::now();
        let taken = self.budget.common.acquire_many(number);
        let taken = in_time(taken, self.patience, &self.budget.is_useless).await;
        self.patience = self.patience.saturating_sub(began.elapsed());
        // It fails but by time only where the memory is closed, which it never is.
        taken.and_then(Result::ok).ok_or(Exhausted)?.forget();
        self.took_reserved(needed);
        Ok(())
    }

    fn took_reserved(&mut self, shares: usize) {
        self.shares = shares;
        // One that has it all is alone, and may be larger than all.
        let is_alone = shares == self.budget.all;
        self.covered = if is_alone { usize::MAX } else { self.budget.covered_by(shares) };
    }

    /// Gives back the shares that so many bytes do not need.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let needed = self.budget.needed(bytes);
        if needed < self.shares {
            self.keep(needed);
        }
    }

    fn keep(&mut self, shares: usize) {
        self.budget.common.add_permits(self.shares - shares);
        self.shares = shares;
        self.covered = self.budget.covered_by(shares);
    }

    /// Waits for the next bytes of a client, and may be evicted meanwhile.
    pub(crate) async fn next<T>(&self, bytes: impl Future<Output = T>) -> Result<T, Evicted> {
        let emergency = match self.budget.emergency_size {
            EmergencySize::Shares(size) if self.has_emergency => size,
            _ => 0,
        };
        let shares = emergency + self.shares;
        if shares == 0 {
            return Ok(bytes.await);
        }
        let mut bytes = pin!(bytes);
        if let Some(bytes) = poll_immediate(&mut bytes).await {
            return Ok(bytes);
        }
        let since = self.last_heard.map_or_else(Instant::now, |(since, _)| since);
        let registration = self.budget.holders.register(since, shares);
        tokio::select! {
            biased;
            () = registration.evicted() => Err(Evicted),
            bytes = bytes => Ok(bytes),
        }
    }

    /// Grows the reservation to `size` bytes, where `announced` bytes are expected in the end; waits if it must, and keeps what
    /// it holds.
    pub(crate) async fn grow_to(&mut self, size: usize, announced: usize) -> Result<(), Exhausted> {
        while size > self.covered {
            if self.budget.take_at_once(1) {
                self.took_one_share();
                continue;
            }
            let Budget { common, emergency, holders, is_useless, .. } = &*self.budget;
            let began = Instant::now();
            let emergency_slot = async {
                if self.has_emergency {
                    std::future::pending().await
                } else {
                    emergency.acquire().await
                }
            };
            let wanted = announced.max(size).saturating_sub(self.covered).div_ceil(SHARE);
            let one = async {
                tokio::select! {
                    biased;
                    slot = emergency_slot => (slot, false),
                    share = common.acquire() => (share, true),
                    never = holders.keep_evicting(wanted) => match never {},
                }
            };
            let taken = in_time(one, self.patience, is_useless).await;
            let (permit, is_share) = taken.ok_or(Exhausted)?;
            // Never closed, so that neither fails but by time.
            permit.map_err(|_| Exhausted)?.forget();
            self.patience = self.patience.saturating_sub(began.elapsed());
            if is_share {
                self.took_one_share();
            } else {
                self.took_emergency_slot();
            }
            // It was not its client that was silent.
            self.last_heard = Some((Instant::now(), size));
        }
        if self.last_heard.is_none_or(|(_, before)| size >= before.saturating_add(SOUND)) {
            self.last_heard = Some((Instant::now(), size));
        }
        Ok(())
    }

    fn took_one_share(&mut self) {
        self.shares += 1;
        // The emergency slot counts, too.
        self.covered = match self.has_emergency {
            true => self.covered.saturating_add(SHARE),
            false => self.budget.covered_by(self.shares),
        };
    }

    /// Notes that the emergency slot was taken.
    fn took_emergency_slot(&mut self) {
        match self.budget.emergency_size {
            EmergencySize::Shares(size) => {
                // It is enough for a whole body: what was held before is for the others.
                self.keep(0);
                self.covered = self.budget.covered_by(size);
            }
            EmergencySize::Beyond => self.covered = usize::MAX,
        }
        self.has_emergency = true;
    }

    #[cfg(test)]
    pub(crate) const fn shares(&self) -> usize {
        self.shares
    }
}

impl<B: Deref<Target = Budget>> Drop for Reservation<B> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Waits for a future at most this long, and no longer once `is_useless`. The future is not restarted, so it keeps its turn in
/// a queue.
pub(crate) async fn in_time<T>(
    wanted: impl Future<Output = T>,
    patience: Duration,
    is_useless: impl Fn() -> bool,
) -> Option<T> {
    let mut wanted = pin!(wanted);
    let until = Instant::now() + patience;
    if patience.is_zero() {
        return poll_immediate(wanted).await;
    }
    loop {
        let look = until.min(Instant::now() + USELESS_EVERY);
        match tokio::time::timeout_at(look, &mut wanted).await {
            Ok(got) => return Some(got),
            Err(_) if look == until || is_useless() => return None,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
