//! Reads of single actions on the caller's thread: handing such a read to another thread costs more
//! than the read itself, as long as the pages are in memory. After a slow read, the next ones
//! are diverted to the reading thread for a while, so that a slow disk does not block callers.
//!
//! A reader keeps its snapshot until something was written: if the index of the log is a file, each new snapshot
//! costs several system calls. Snapshots block checkpoints ([`super::checkpoint`]), so they are released before one.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::read::Reader;

/// Time after which a read is slow: it waited for the disk, or its thread for the processor.
const SLOW: Duration = Duration::from_micros(500);
/// Number of reads that are diverted to the reading thread after a slow one.
const DIVERTED_AFTER_SLOW: u32 = 32;

/// Readers for use on the callers' threads.
#[derive(Debug)]
pub(super) struct ReaderPool {
    /// Each is `None` once the pool is closed.
    readers: Vec<Mutex<Option<PooledReader>>>,
    /// Number of writes so far: snapshots from before the last one are outdated.
    changes: AtomicU64,
    /// Number of reads that are still to be diverted.
    to_divert: AtomicU32,
}

#[derive(Debug)]
struct PooledReader {
    reader: Reader,
    /// Value of `changes` when its snapshot was taken, if it holds one.
    snapshot: Option<u64>,
}

impl ReaderPool {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        let pooled = |reader| Mutex::new(Some(PooledReader { reader, snapshot: None }));
        Self {
            readers: readers.into_iter().map(pooled).collect(),
            changes: AtomicU64::new(0),
            to_divert: AtomicU32::new(0),
        }
    }

    /// Notes that something was written. Called when it can be read, and before it is acknowledged: a caller
    /// must see every change that was acknowledged.
    pub(super) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Reads on this thread; returns `None` if the read must go to the reading thread.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Reader) -> T) -> Option<T> {
        let to_divert = self.to_divert.load(Ordering::Relaxed);
        if to_divert > 0 {
            // Two concurrent reads may count as one.
            self.to_divert.store(to_divert - 1, Ordering::Relaxed);
            return None;
        }
        let mut acquired = self.acquire()?;
        let pooled = acquired.as_mut()?;
        let began = Instant::now();
        // Loaded before the snapshot is taken, which then includes all changes counted here.
        let changes = self.changes.load(Ordering::SeqCst);
        if pooled.snapshot != Some(changes) {
            pooled.end_snapshot();
            pooled.snapshot = pooled.reader.begin().then_some(changes);
        }
        let answer = read(&pooled.reader);
        if began.elapsed() > SLOW {
            self.to_divert.store(DIVERTED_AFTER_SLOW, Ordering::Relaxed);
        }
        Some(answer)
    }

    /// Releases all snapshots that are not in use now.
    pub(super) fn release_snapshots(&self) {
        for mut free in self.readers.iter().filter_map(try_lock) {
            free.iter_mut().for_each(PooledReader::end_snapshot);
        }
    }

    /// Acquires a free reader, for each thread the same one if possible: its pages are then in the caches of the
    /// thread's core.
    fn acquire(&self) -> Option<MutexGuard<'_, Option<PooledReader>>> {
        let first = THREAD_NUMBER.with(|number| *number) % self.readers.len().max(1);
        let (before, from) = self.readers.split_at(first);
        from.iter().chain(before).find_map(try_lock)
    }

    /// Waits until no reader is in use, and closes all of them: the writer's connection must be
    /// closed last.
    pub(super) fn close(&self) {
        for reader in &self.readers {
            *reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    /// Number of this thread, in the order of their first reads.
    static THREAD_NUMBER: usize = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
}

/// Locks if the mutex is free. Poison is ignored: a panic can't leave this data half changed.
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl PooledReader {
    fn end_snapshot(&mut self) {
        if self.snapshot.take().is_some() {
            self.reader.end();
        }
    }
}
