//! Reads of single actions on the thread that asks: to hand such a read to another thread costs more
//! than the read itself, as long as the pages are in memory. When they are not, the reads that follow
//! go to the reading thread for a while, so that a slow disk does not hold up who asks.
//!
//! A reader keeps its snapshot until something was written: where the index of the log is a file, to take a new
//! one costs several calls to the operating system. Snapshots hold up checkpoints ([`super::checkpoint`]), so whoever makes one
//! has them let go first.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::read::Reader;

/// A read that takes longer had to wait for the disk, or its thread for the processor.
const SLOW: Duration = Duration::from_micros(500);
/// How many reads go to the reading thread after a slow one.
const PASSED_ON: u32 = 32;

/// The readers that whoever asks may use.
#[derive(Debug)]
pub(super) struct ReaderPool {
    /// `None` once it is closed.
    readers: Vec<Mutex<Option<Pooled>>>,
    /// How often something was written that has been acknowledged or will be.
    changes: AtomicU64,
    to_pass_on: AtomicU32,
}

#[derive(Debug)]
struct Pooled {
    reader: Reader,
    /// After how many changes its snapshot was taken, if it holds one.
    of: Option<u64>,
}

impl ReaderPool {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        let pooled = |reader| Mutex::new(Some(Pooled { reader, of: None }));
        Self {
            readers: readers.into_iter().map(pooled).collect(),
            changes: AtomicU64::new(0),
            to_pass_on: AtomicU32::new(0),
        }
    }

    /// Notes that something was written. After it can be read, and before it is acknowledged: whoever
    /// was told of a change must see it.
    pub(super) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Reads at once; `None` where the reading thread had better do it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Reader) -> T) -> Option<T> {
        let to_pass_on = self.to_pass_on.load(Ordering::Relaxed);
        if to_pass_on > 0 {
            // Two at once may count as one.
            self.to_pass_on.store(to_pass_on - 1, Ordering::Relaxed);
            return None;
        }
        let mut lent = self.lend()?;
        let pooled = lent.as_mut()?;
        let began = Instant::now();
        // Before the snapshot is taken, which then has all that is counted here.
        let changes = self.changes.load(Ordering::SeqCst);
        if pooled.of != Some(changes) {
            pooled.let_go();
            pooled.of = pooled.reader.begin().then_some(changes);
        }
        let answer = read(&pooled.reader);
        if began.elapsed() > SLOW {
            self.to_pass_on.store(PASSED_ON, Ordering::Relaxed);
        }
        Some(answer)
    }

    /// Has every snapshot let go that nobody reads now.
    pub(super) fn let_go(&self) {
        for mut free in self.readers.iter().filter_map(try_lock) {
            free.iter_mut().for_each(Pooled::let_go);
        }
    }

    /// Lends a reader that nobody uses, each thread the same one where it can: what a reader has read is in
    /// the memory of the core that it was used on.
    fn lend(&self) -> Option<MutexGuard<'_, Option<Pooled>>> {
        let first = SEAT.with(|seat| *seat) % self.readers.len().max(1);
        let (before, from) = self.readers.split_at(first);
        from.iter().chain(before).find_map(try_lock)
    }

    /// Lends no reader any more, and waits until all are back and closed: the last connection to be closed
    /// is to be the writer's.
    pub(super) fn close(&self) {
        for reader in &self.readers {
            *reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// Which thread this is of those that read, in the order of their first reads.
static SEATS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static SEAT: usize = SEATS.fetch_add(1, Ordering::Relaxed);
}

/// Nothing that holds one of these locks can leave its data half changed.
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Pooled {
    fn let_go(&mut self) {
        if self.of.take().is_some() {
            self.reader.end();
        }
    }
}
