//! The budget, and what one request holds of it.

use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::poll_immediate;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::silence::{Listeners, SOUND};
use super::{FREE, PATIENCE, SHARE};

/// The time between two looks whether waiting has become useless: well within the time that HTTP has at a shutdown.
const USELESS_EVERY: Duration = Duration::from_millis(200);

/// Memory that requests share.
pub(crate) struct Budget {
    /// In shares.
    pub(super) common: Semaphore,
    /// Number of shares in common.
    all: usize,
    /// The one place set apart.
    pub(super) apart: Semaphore,
    pub(super) worth: Apart,
    /// Number of bytes that need no share.
    free: usize,
    /// Number of bytes that are free beside shares.
    beside: usize,
    pub(super) patience: Duration,
    pub(super) listeners: Listeners,
    /// Returns true if nobody should wait any more.
    is_useless: Box<dyn Fn() -> bool + Send + Sync>,
}

/// The worth of the place set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// So many shares of the memory: enough for the largest there may be. Whoever takes the place gives back what it held
    /// before.
    Shares(usize),
    /// As many as are needed, beyond the memory: for one that can't say beforehand how large it becomes. It keeps what it held
    /// before.
    Beyond,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("common", &self.common)
            .field("apart", &self.apart)
            .finish_non_exhaustive()
    }
}

/// What one request holds; given back when this is dropped. `B` is the way in which it knows the budget: bodies borrow it,
/// for a count that all workers change is slow for each of them.
#[derive(Debug)]
pub(crate) struct Held<B: Deref<Target = Budget>> {
    budget: B,
    shares: usize,
    apart: bool,
    /// Number of bytes that may come without asking again.
    covered: usize,
    /// Time for which it may still wait.
    patience: Duration,
    /// Since when fewer than [`SOUND`] bytes have come, and how many there were then; once some have.
    pub(super) heard: Option<(Instant, usize)>,
}

/// Others hold all the memory there is, and did so for as long as this one waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Nothing came for this one, and others waited for the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

impl Budget {
    /// Shares `memory` bytes among bodies of at most `largest` bytes each, at most half of it set apart. There is
    /// always memory for one such body, unless any size is allowed (`usize::MAX`).
    pub(crate) fn for_bodies(memory: usize, largest: usize) -> Self {
        let memory = if largest == usize::MAX { memory } else { memory.max(largest) };
        let all = memory.div_ceil(SHARE).clamp(2, Semaphore::MAX_PERMITS);
        let worth = largest.div_ceil(SHARE).clamp(1, all / 2);
        Self::new(all - worth, Apart::Shares(worth), FREE, FREE)
    }

    /// Shares `memory` bytes among replies. One that is larger has to be alone; one of a single share needs none:
    /// connections are counted elsewhere. Nobody waits any more once `is_useless`.
    pub(crate) fn for_replies(
        memory: usize,
        is_useless: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        // No more than can be taken at once.
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let all = memory.div_ceil(SHARE).clamp(1, most);
        Self { is_useless: Box::new(is_useless), ..Self::new(all, Apart::Beyond, SHARE, 0) }
    }

    fn new(all: usize, worth: Apart, free: usize, beside: usize) -> Self {
        Self {
            common: Semaphore::new(all),
            all,
            apart: Semaphore::new(1),
            worth,
            free,
            beside,
            patience: PATIENCE,
            listeners: Listeners::default(),
            is_useless: Box::new(|| false),
        }
    }

    /// Sets how long one request waits.
    #[cfg(test)]
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns how many bytes one can hold that is alone.
    pub(crate) fn most(&self) -> usize {
        match self.worth {
            Apart::Shares(worth) => (self.all + worth).saturating_mul(SHARE),
            Apart::Beyond => usize::MAX,
        }
    }

    /// Returns how many bytes these shares are room for.
    fn covered_by(&self, shares: usize) -> usize {
        match shares {
            0 => self.free,
            _ => shares.saturating_mul(SHARE).saturating_add(self.beside),
        }
    }

    /// Takes so many shares if there are as many.
    fn take_at_once(&self, shares: usize) -> bool {
        let Ok(number) = u32::try_from(shares) else { return false };
        self.common.try_acquire_many(number).map(SemaphorePermit::forget).is_ok()
    }

    /// Returns how many shares have room for so many bytes; what is larger than all has to be alone.
    fn needed(&self, bytes: usize) -> usize {
        if bytes <= self.free {
            return 0;
        }
        bytes.saturating_sub(self.beside).div_ceil(SHARE).min(self.all)
    }
}

impl<B: Deref<Target = Budget>> Held<B> {
    /// Begins with nothing but what is free.
    pub(crate) fn of(budget: B) -> Self {
        let (covered, patience) = (budget.free, budget.patience);
        Self { budget, shares: 0, apart: false, covered, patience, heard: None }
    }

    /// Returns true if anything is held.
    pub(crate) const fn is_some(&self) -> bool {
        self.shares > 0 || self.apart
    }

    /// Gives back all that is held.
    pub(crate) fn release(&mut self) {
        self.keep(0);
        if std::mem::take(&mut self.apart) {
            self.budget.apart.add_permits(1);
        }
    }

    /// Begins the time anew that may be waited.
    pub(crate) fn wait_anew(&mut self) {
        self.patience = self.budget.patience;
    }

    /// Takes room for so many bytes, all of it at once, if there is some; tells whether it did. What was held before and does
    /// not suffice is given back in any case: those who hold some and wait for more would wait for each other.
    pub(crate) fn try_reserve(&mut self, bytes: usize) -> bool {
        if bytes <= self.covered {
            return true;
        }
        self.release();
        let needed = self.budget.needed(bytes);
        let taken = self.budget.take_at_once(needed);
        if taken {
            self.has_reserved(needed);
        }
        taken
    }

    /// Waits for room for so many bytes, all of it at once. It is given in the order in which it was asked for: whoever is
    /// the first to wait gets all that becomes free. Nothing is held meanwhile, so what it is for must not be there yet.
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
        self.has_reserved(needed);
        Ok(())
    }

    fn has_reserved(&mut self, shares: usize) {
        self.shares = shares;
        // One that has it all is alone, and may be larger than all.
        let is_alone = shares == self.budget.all;
        self.covered = if is_alone { usize::MAX } else { self.budget.covered_by(shares) };
    }

    /// Gives back what so many bytes do not need.
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

    /// Waits for the next bytes from a client, while others may take what is held if none come.
    pub(crate) async fn next<T>(&self, bytes: impl Future<Output = T>) -> Result<T, Lost> {
        let apart = match self.budget.worth {
            Apart::Shares(worth) if self.apart => worth,
            _ => 0,
        };
        let shares = apart + self.shares;
        if shares == 0 {
            return Ok(bytes.await);
        }
        let mut bytes = pin!(bytes);
        if let Some(bytes) = poll_immediate(&mut bytes).await {
            return Ok(bytes);
        }
        let since = self.heard.map_or_else(Instant::now, |(since, _)| since);
        let listed = self.budget.listeners.list(since, shares);
        tokio::select! {
            biased;
            () = listed.lost() => Err(Lost),
            bytes = bytes => Ok(bytes),
        }
    }

    /// Takes memory for what has grown to this many bytes, of which `announced` are to be expected; waits for it if it
    /// must, and keeps what it holds.
    pub(crate) async fn grow_to(&mut self, size: usize, announced: usize) -> Result<(), Exhausted> {
        while size > self.covered {
            if self.budget.take_at_once(1) {
                self.has_one_more();
                continue;
            }
            let Budget { common, apart, listeners, is_useless, .. } = &*self.budget;
            let began = Instant::now();
            let set_apart = async {
                if self.apart { std::future::pending().await } else { apart.acquire().await }
            };
            let wanted = announced.max(size).saturating_sub(self.covered).div_ceil(SHARE);
            let one = async {
                tokio::select! {
                    biased;
                    place = set_apart => (place, false),
                    share = common.acquire() => (share, true),
                    never = listeners.go_on_taking(wanted) => match never {},
                }
            };
            let taken = in_time(one, self.patience, is_useless).await;
            let (permit, is_share) = taken.ok_or(Exhausted)?;
            // Never closed, so that neither fails but by time.
            permit.map_err(|_| Exhausted)?.forget();
            self.patience = self.patience.saturating_sub(began.elapsed());
            if is_share {
                self.has_one_more();
            } else {
                self.has_the_place();
            }
            // It was not its client that was silent.
            self.heard = Some((Instant::now(), size));
        }
        if self.heard.is_none_or(|(_, before)| size >= before.saturating_add(SOUND)) {
            self.heard = Some((Instant::now(), size));
        }
        Ok(())
    }

    fn has_one_more(&mut self) {
        self.shares += 1;
        // The place set apart counts, too, where it was taken.
        self.covered = match self.apart {
            true => self.covered.saturating_add(SHARE),
            false => self.budget.covered_by(self.shares),
        };
    }

    /// Has taken the place set apart.
    fn has_the_place(&mut self) {
        match self.budget.worth {
            Apart::Shares(worth) => {
                // It is enough for a whole body: what was held before is for the others.
                self.keep(0);
                self.covered = self.budget.covered_by(worth);
            }
            Apart::Beyond => self.covered = usize::MAX,
        }
        self.apart = true;
    }

    #[cfg(test)]
    pub(crate) const fn shares(&self) -> usize {
        self.shares
    }
}

impl<B: Deref<Target = Budget>> Drop for Held<B> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Waits for something for so long, and no longer than it is of use. Others may be served first, but it keeps its turn.
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
