//! Reads of single actions on the thread that asks: to hand such a read to another thread costs more
//! than the read itself, as long as the pages are in memory. When they are not, the reads that follow
//! go to the reading thread for a while, so that a slow disk does not hold up who asks.
//!
//! A reader keeps its snapshot until something was written: to take a new one costs several calls to
//! the operating system. Snapshots hold up the folding of the log ([`super::fold`]), so whoever folds
//! has them let go first.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::read::Reader;

/// A read that takes longer had to wait for the disk, or its thread for the processor.
const SLOW: Duration = Duration::from_micros(500);
/// How many reads go to the reading thread after a slow one.
const PASSED_ON: u32 = 32;

/// The readers that whoever asks may use.
#[derive(Debug)]
pub(super) struct Points {
    readers: Mutex<Readers>,
    returned: Condvar,
    /// How often something was written that has been acknowledged or will be.
    changes: AtomicU64,
    to_pass_on: AtomicU32,
}

#[derive(Debug)]
struct Readers {
    free: Vec<Point>,
    lent: usize,
    closed: bool,
}

#[derive(Debug)]
struct Point {
    reader: Reader,
    /// After how many changes its snapshot was taken, if it holds one.
    of: Option<u64>,
}

impl Points {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        let free = readers.into_iter().map(|reader| Point { reader, of: None }).collect();
        Self {
            readers: Mutex::new(Readers { free, lent: 0, closed: false }),
            returned: Condvar::new(),
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
        let point = lent.point.as_mut()?;
        let began = Instant::now();
        // Before the snapshot is taken, which then has all that is counted here.
        let changes = self.changes.load(Ordering::SeqCst);
        if point.of != Some(changes) {
            point.let_go();
            point.of = point.reader.begin().then_some(changes);
        }
        let answer = read(&point.reader);
        if began.elapsed() > SLOW {
            self.to_pass_on.store(PASSED_ON, Ordering::Relaxed);
        }
        Some(answer)
    }

    /// Has every snapshot let go that nobody reads now.
    pub(super) fn let_go(&self) {
        for point in &mut self.lock().free {
            point.let_go();
        }
    }

    fn lend(&self) -> Option<Lent<'_>> {
        let mut readers = self.lock();
        let point = readers.free.pop()?;
        readers.lent += 1;
        Some(Lent { points: self, point: Some(point) })
    }

    /// Lends no reader any more, and waits until all are back and closed.
    pub(super) fn close(&self) {
        let mut readers = self.lock();
        readers.closed = true;
        readers.free.clear();
        while readers.lent > 0 {
            readers = self.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Readers> {
        // Nothing that holds the lock can leave it half changed.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Point {
    fn let_go(&mut self) {
        if self.of.take().is_some() {
            self.reader.end();
        }
    }
}

/// A reader that comes back however its use ends.
struct Lent<'p> {
    points: &'p Points,
    point: Option<Point>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut readers = self.points.lock();
        readers.lent -= 1;
        let point = self.point.take();
        if readers.closed {
            // Closed before the store is: the last connection to be closed is to be the writer's.
            drop(point);
            self.points.returned.notify_all();
        } else {
            readers.free.extend(point);
        }
    }
}
