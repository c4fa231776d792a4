//! State that SQLite shares between connections beside the files: the locks, and the
//! index of the log (in shared memory on a real system). All of it is lost with the power.
//!
//! The library behind [`super::vfs`] gives each connection a copy of the index and asks for it to be
//! fetched or put back at locks and barriers. Several connections change different words of one region
//! at the same time, each under a lock of its own, so only the words that were changed are put back.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use sqlite_vfs::LockKind;
use sqlite_vfs::wip::{WalIndex, WalIndexLock};

use super::disk::Disk;

const REGION: usize = 32_768;
const WORD: usize = 4;
/// Number of bytes that are compared at once.
const BLOCK: usize = 128;
/// The lock of the index that the writer of the log holds.
const WRITE_LOCK: u8 = 0;
/// The lock of the index that a checkpoint holds.
const CHECKPOINT_LOCK: u8 = 1;

pub(super) type Region = [u8; REGION];

/// Locks by the handle that holds them.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    next_handle: u64,
    of_file: BTreeMap<u64, LockKind>,
    of_index: BTreeMap<(u64, u8), Shared>,
    index: Vec<Box<Region>>,
    /// Number of changes to the index.
    changes: u64,
    users_of_index: usize,
    /// True while writers must wait, and true if one does.
    writers_held: bool,
    writer_waits: bool,
}

fn higher(one: LockKind, other: LockKind) -> LockKind {
    if one < other { other } else { one }
}

/// True if a lock may be held by several.
type Shared = bool;

impl Disk {
    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.locks.lock().unwrap()
    }

    pub(super) fn new_handle(&self) -> u64 {
        let mut locks = self.locks();
        locks.next_handle += 1;
        locks.next_handle
    }

    /// Lets the next who wants to write wait, until [`Disk::release_writers`].
    pub(crate) fn hold_writers(&self) {
        self.locks().writers_held = true;
    }

    /// Returns as soon as somebody waits so, or what it would wait for `is_over`: without power nobody does.
    pub(crate) fn until_writer_waits(&self, mut is_over: impl FnMut() -> bool) {
        let mut locks = self.locks();
        while !locks.writer_waits && !is_over() {
            (locks, _) = self.locks_changed.wait_timeout(locks, Duration::from_millis(1)).unwrap();
        }
    }

    pub(crate) fn release_writers(&self) {
        self.locks().writers_held = false;
        self.locks_changed.notify_all();
    }

    /// Returns as soon as at most one connection is left.
    pub(crate) fn until_one_is_left(&self) {
        let locks = self.locks();
        drop(self.locks_changed.wait_while(locks, |locks| locks.users_of_index > 1).unwrap());
    }

    /// Returns as soon as no connection reads or writes.
    pub(crate) fn until_idle(&self) {
        let locks = self.locks();
        drop(self.locks_changed.wait_while(locks, |locks| !locks.of_index.is_empty()).unwrap());
    }

    /// Takes a lock on the file; tells whether the others let it.
    pub(super) fn lock_file(&self, handle: u64, wanted: LockKind) -> bool {
        let mut locks = self.locks();
        let others = locks.of_file.iter().filter(|(of, _)| **of != handle);
        let highest = others.map(|(_, held)| *held).fold(LockKind::None, higher);
        let held = locks.of_file.get(&handle).copied().unwrap_or_default();
        if held >= wanted {
            return true;
        }
        let allowed = match wanted {
            LockKind::None => true,
            LockKind::Shared => highest < LockKind::Pending,
            LockKind::Reserved | LockKind::Pending => highest < LockKind::Reserved,
            LockKind::Exclusive => highest == LockKind::None,
        };
        if allowed {
            locks.of_file.insert(handle, wanted);
        }
        allowed
    }

    /// Gives a lock back, down to this one.
    pub(super) fn unlock_file(&self, handle: u64, left: LockKind) {
        self.locks().of_file.insert(handle, left);
    }

    pub(super) fn file_lock(&self, handle: u64) -> LockKind {
        self.locks().of_file.get(&handle).copied().unwrap_or_default()
    }

    pub(super) fn is_reserved(&self) -> bool {
        self.locks().of_file.values().any(|held| *held >= LockKind::Reserved)
    }
}

/// One connection's view of the log's index.
pub(super) struct Index {
    disk: Arc<Disk>,
    handle: u64,
    /// Its copy as it was last fetched or put back.
    last: BTreeMap<u32, Box<Region>>,
    /// After how many changes each region was fetched.
    fetched: BTreeMap<u32, u64>,
    /// Changes to be put back, in all regions at once, since the first one describes the others.
    changed: Vec<(usize, usize, [u8; WORD])>,
}

impl Index {
    pub(super) fn new(disk: Arc<Disk>) -> Self {
        let handle = disk.new_handle();
        disk.locks().users_of_index += 1;
        Self { disk, handle, last: BTreeMap::new(), fetched: BTreeMap::new(), changed: Vec::new() }
    }

    /// Returns true if the index was changed since it was fetched. The library fetches it before it asks for a lock and
    /// never while it holds an exclusive one: a checkpoint would see the log as it was before somebody else
    /// copied all of it and began it anew, and copy pages of the new log to where those of the old one belong. On a real
    /// system the index is the same memory for all.
    fn is_old(&self, locks: &Locks) -> bool {
        let holds_another =
            locks.of_index.iter().any(|((of, _), shared)| *of == self.handle && !shared);
        !holds_another && self.fetched.values().any(|at| *at != locks.changes)
    }

    fn put_back(&mut self, locks: &mut Locks) {
        if !self.changed.is_empty() {
            locks.changes += 1;
        }
        for (region, at, word) in self.changed.drain(..) {
            locks.region(region)[at..at + WORD].copy_from_slice(&word);
        }
    }
}

impl Locks {
    fn region(&mut self, number: usize) -> &mut Region {
        while self.index.len() <= number {
            self.index.push(Box::new([0; REGION]));
        }
        &mut self.index[number]
    }
}

impl WalIndex for Index {
    fn map(&mut self, region: u32) -> io::Result<Region> {
        self.disk.powered()?;
        let mut data = [0; REGION];
        self.pull(region, &mut data)?;
        Ok(data)
    }

    fn pull(&mut self, region: u32, data: &mut Region) -> io::Result<()> {
        let disk = Arc::clone(&self.disk);
        let mut locks = disk.locks();
        self.put_back(&mut locks);
        data.copy_from_slice(locks.region(region as usize));
        self.last.insert(region, Box::new(*data));
        self.fetched.insert(region, locks.changes);
        Ok(())
    }

    fn push(&mut self, region: u32, data: &Region) -> io::Result<()> {
        let last = self.last.entry(region).or_insert_with(|| Box::new([0; REGION]));
        let blocks = data.chunks_exact(BLOCK).zip(last.chunks_exact(BLOCK)).enumerate();
        for (block, (new, old)) in blocks.filter(|(_, (new, old))| new != old) {
            let words = new.chunks_exact(WORD).zip(old.chunks_exact(WORD)).enumerate();
            for (word, (new, _)) in words.filter(|(_, (new, old))| new != old) {
                let at = block * BLOCK + word * WORD;
                self.changed.push((region as usize, at, new.try_into().unwrap()));
            }
        }
        last.copy_from_slice(data);
        Ok(())
    }

    fn lock(&mut self, range: Range<u8>, kind: WalIndexLock) -> io::Result<bool> {
        self.disk.powered()?;
        let disk = Arc::clone(&self.disk);
        let mut locks = disk.locks();
        self.put_back(&mut locks);
        if kind == WalIndexLock::Exclusive && range.contains(&WRITE_LOCK) && locks.writers_held {
            locks.writer_waits = true;
            disk.locks_changed.notify_all();
            locks = disk.locks_changed.wait_while(locks, |locks| locks.writers_held).unwrap();
            locks.writer_waits = false;
        }
        if kind == WalIndexLock::Exclusive
            && range.contains(&CHECKPOINT_LOCK)
            && self.is_old(&locks)
        {
            return Ok(false);
        }
        let mut others = locks
            .of_index
            .iter()
            .filter(|((handle, place), _)| *handle != self.handle && range.contains(place));
        let allowed = match kind {
            WalIndexLock::None => true,
            WalIndexLock::Shared => others.all(|(_, shared)| *shared),
            WalIndexLock::Exclusive => others.next().is_none(),
        };
        if allowed {
            for place in range {
                let held = (self.handle, place);
                match kind {
                    WalIndexLock::None => locks.of_index.remove(&held),
                    _ => locks.of_index.insert(held, kind == WalIndexLock::Shared),
                };
            }
            disk.locks_changed.notify_all();
        }
        Ok(allowed)
    }

    fn delete(self) -> io::Result<()> {
        // Gone with the last who uses it.
        Ok(())
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let disk = Arc::clone(&self.disk);
        let mut locks = disk.locks();
        self.put_back(&mut locks);
        locks.of_index.retain(|(handle, _), _| *handle != self.handle);
        locks.users_of_index -= 1;
        if locks.users_of_index == 0 {
            locks.index.clear();
        }
        disk.locks_changed.notify_all();
    }
}
