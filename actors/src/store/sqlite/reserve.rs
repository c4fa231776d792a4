//! Disk space kept in reserve, so that cancels, stops and the ends of attempts can be written on a full disk.
//!
//! Normally a file beside the database holds the space. When a transaction finds the disk full, the file
//! is truncated. From then on submissions are refused without being tried, so that the released space
//! is left for control. Once there is enough free space the file is allocated again.
//!
//! If the system limits the size of files, space is reserved in the database file as well: submissions
//! may not use the last part of it. The reasons are in `docs/adr/0006-control-on-a-full-disk.md`. Used by
//! [`super::write`].

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use fs4::FileExt as _;

use super::limits::file_size_limit;
use crate::store::StoreError;

/// Maximum size of the reserve, in bytes. A checkpoint is made when the write-ahead log has half of
/// that (see [`Reserve::log_pages`]), so this is enough space to make it and go on.
const MAX_SIZE: u64 = 32 << 20;
/// The reserve takes at most one part of this many of the whole disk.
const PART_OF_DISK: u64 = 8;
/// The reserve takes at most one part of this many of the maximum size of a file.
const PART_OF_FILE: u64 = 8;
/// Size of a page of the database, in bytes: SQLite's default, which our files have.
pub(super) const PAGE: u64 = 4096;
/// Maximum number of pages of the log before a checkpoint, with a reserve of full size.
const LOG_PAGES: u64 = MAX_SIZE / 2 / PAGE;
/// The same on a full disk: the log grows into the space that is left, so it must stay short.
const LOG_PAGES_WHEN_FULL: u64 = 256;

/// The reserve of one data directory.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// Its intended size, in bytes.
    size: u64,
    space: Space,
    /// Maximum size of a file, in bytes, when it was last read.
    limit: Option<u64>,
    /// Maximum number of pages of the log before a checkpoint.
    max_log_pages: u64,
    /// True if there are files that are limited.
    has_files: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// The file holds all of it.
    Allocated,
    /// The file is empty: the disk counts as full.
    Released,
    /// This file system can't allocate space for a file: the store works without a reserve.
    Unsupported,
}

impl Reserve {
    /// Looks for the reserve of an earlier server, without creating one.
    pub(super) fn find(directory: &Path) -> Self {
        let path = directory.join("actions.reserve");
        // A disk of unknown size is assumed to be large.
        let size =
            fs4::total_space(directory).map_or(MAX_SIZE, |all| MAX_SIZE.min(all / PART_OF_DISK));
        let limit = file_size_limit();
        let size = limit.map_or(size, |limit| size.min(limit / PART_OF_FILE)) / PAGE * PAGE;
        let there = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() >= size);
        let space = if there { Space::Allocated } else { Space::Released };
        Self { path, size, space, limit, max_log_pages: LOG_PAGES, has_files: true }
    }

    /// Makes that of a database that is not in a file: there is none.
    pub(super) fn none(directory: &Path) -> Self {
        let (path, space) = (directory.to_owned(), Space::Unsupported);
        let max_log_pages = LOG_PAGES;
        Self { path, size: 0, space, limit: None, max_log_pages, has_files: false }
    }

    /// Makes checkpoints more frequent, for tests.
    #[cfg(feature = "testing")]
    pub(super) const fn checkpoint_after(&mut self, pages: u64) {
        self.max_log_pages = pages;
    }

    /// Creates the reserve if there is none and the disk has space for it.
    pub(super) fn create(&mut self) {
        // A disk may be nearly full at the start: the last of its space is left to others.
        let room = self.free() >= self.size.saturating_add(self.size / 8);
        if room || self.space == Space::Allocated {
            self.allocate();
        }
        if self.is_released() {
            log::warn!(
                "the disk that holds the actions is nearly full ({} bytes are free): submissions are refused until there is room",
                self.free()
            );
        }
    }

    /// Returns true while the space is released: submissions must not be tried.
    pub(super) fn is_released(&self) -> bool {
        self.space == Space::Released
    }

    /// Releases the space because of this error; returns false if none was allocated.
    pub(super) fn release(&mut self, why: &StoreError) -> bool {
        if self.space != Space::Allocated {
            return false;
        }
        self.space = Space::Released;
        if let Err(error) = self.truncate() {
            log::error!("{}: can't be emptied: {error}", self.path.display());
        }
        log::error!(
            "{why}: submissions are refused until that is over, control has {} bytes kept for it{}",
            self.size,
            self.limit
                .map_or_else(String::new, |limit| format!("; a file may have {limit} bytes here"))
        );
        true
    }

    /// Allocates the space again if the disk has twice as much, and so has the database file within its limit.
    pub(super) fn reallocate(&mut self, extent: Extent) {
        let fits = self.limit.is_none_or(|limit| extent.left(limit) >= 2 * self.margin());
        if self.is_released() && fits && is_room(self.free(), extent.spare, self.size) {
            self.allocate();
            if !self.is_released() {
                log::info!("actions can be written as before: submissions are taken");
            }
        }
    }

    /// Reads the maximum size of a file again; returns true if it has changed.
    pub(super) fn refresh_limit(&mut self) -> bool {
        let now = if self.has_files { file_size_limit() } else { None };
        let before = std::mem::replace(&mut self.limit, now);
        before != self.limit
    }

    /// Returns true if a file of this size has no room for another write under the limit. The caller passes the limit
    /// as it is now, since it may have changed after it was last read.
    pub(super) fn is_at_limit(bytes: u64, limit: Option<u64>) -> bool {
        limit.is_some_and(|limit| bytes.saturating_add(2 * PAGE) > limit)
    }

    /// Returns true if a database of this extent must take no more submissions, because the rest of its space is
    /// reserved for control.
    pub(super) fn is_used_up(&self, extent: impl FnOnce() -> Extent) -> bool {
        let Some(limit) = self.limit else { return false };
        let (extent, margin) = (extent(), self.margin());
        extent.pages.saturating_mul(PAGE) > limit.saturating_sub(margin)
            && extent.left(limit) < margin
    }

    /// Returns the maximum number of pages of the database now, if it is limited.
    pub(super) fn max_pages(&self) -> Option<u64> {
        let kept = if self.space == Space::Allocated { self.margin() } else { 0 };
        self.limit.map(|limit| (limit.saturating_sub(kept) / PAGE).max(1))
    }

    /// Returns the number of bytes of the database file that are reserved for control.
    fn margin(&self) -> u64 {
        self.limit.map_or(self.size, |limit| self.size.min(limit / PART_OF_FILE))
    }

    /// Returns true if there is enough space for more than control: to start actions, each of which has to write its result, or to
    /// give space back.
    pub(super) fn has_room_for_work(&self) -> bool {
        self.free() >= self.size / 2
    }

    /// Returns the number of pages of the log after which a checkpoint is made, if the checkpoint makes the database
    /// `growth` bytes longer; 0 for never, if it would use up all space and still fail.
    pub(super) fn log_pages(&self, growth: u64) -> u64 {
        let pages = match self.space {
            Space::Unsupported => self.max_log_pages,
            Space::Allocated => (self.size / 2 / PAGE).max(1).min(self.max_log_pages),
            Space::Released if growth < self.free() => LOG_PAGES_WHEN_FULL,
            Space::Released => 0,
        };
        // The log is a file too, and a transaction is appended to it.
        self.limit.map_or(pages, |limit| pages.min((limit / 4 / PAGE).max(1)))
    }

    /// Returns the number of bytes that are free for us; 0 if unknown, which leaves the reserve as it is.
    fn free(&self) -> u64 {
        self.path.parent().and_then(|at| fs4::available_space(at).ok()).unwrap_or_default()
    }

    fn truncate(&self) -> io::Result<()> {
        // Closed and synced, so that the space is free when this returns.
        let file = File::options().write(true).create(true).truncate(true).open(&self.path)?;
        file.sync_all()
    }

    fn allocate(&mut self) {
        self.space = match self.allocate_file() {
            Ok(()) => Space::Allocated,
            Err(error) => {
                // Half a reserve would take space and be of no use.
                let _ = self.truncate();
                if matches!(
                    error.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
                ) {
                    Space::Released
                } else {
                    log::warn!(
                        "{}: no room can be kept back for a full disk: {error}",
                        self.path.display()
                    );
                    Space::Unsupported
                }
            }
        };
    }

    fn allocate_file(&self) -> io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(false).open(&self.path)?;
        match file.allocate(self.size) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            other => return other,
        }
        // Here only a write allocates space. Zeros might be stored as a hole.
        let piece = [0xAC; 1 << 16];
        let mut left = self.size;
        while left > 0 {
            let now = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.write_all(piece.get(..now).unwrap_or_default())?;
            left = left.saturating_sub(now as u64);
        }
        file.sync_all()
    }
}

/// Size of a database file and of its unused part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Number of all its pages.
    pub(super) pages: u64,
    /// Number of bytes of its free pages.
    pub(super) spare: u64,
}

impl Extent {
    /// Returns the number of bytes that the database can still take, if its file may have `limit` bytes.
    const fn left(self, limit: u64) -> u64 {
        limit.saturating_sub(self.pages.saturating_mul(PAGE)).saturating_add(self.spare)
    }
}

/// Returns true if a reserve of `size` bytes can be allocated and as much stays free: on the disk, or in free pages of the database
/// with some of the disk for the log, without which they are of no use.
fn is_room(free: u64, spare: u64, size: u64) -> bool {
    let log = (LOG_PAGES_WHEN_FULL * PAGE).min(size / 2);
    free >= 2 * size || (free >= size + log && spare >= 2 * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Extent = Extent { pages: 1, spare: 0 };

    /// Of files of a hundred pages an eighth is kept.
    fn limited(space: Space) -> Reserve {
        let limit = Some(100 * PAGE);
        Reserve {
            path: PathBuf::new(),
            size: 1000 * PAGE,
            space,
            limit,
            max_log_pages: LOG_PAGES,
            has_files: true,
        }
    }

    #[test]
    fn a_limit_on_files_keeps_the_last_of_the_database_for_control() {
        let whole = limited(Space::Allocated);
        assert_eq!(whole.max_pages(), Some(87));
        assert_eq!(limited(Space::Released).max_pages(), Some(100));
        assert_eq!(whole.log_pages(0), 25);
        for (pages, spare, used_up) in
            [(87, 0, false), (88, 0, true), (100, 12, true), (100, 13, false), (1_000, 0, true)]
        {
            let extent = Extent { pages, spare: spare * PAGE };
            assert_eq!(whole.is_used_up(|| extent), used_up, "{pages} {spare}");
        }
        assert!(!Reserve::is_at_limit(98 * PAGE, whole.limit));
        assert!(Reserve::is_at_limit(98 * PAGE + 1, whole.limit));
        assert!(!Reserve::is_at_limit(u64::MAX, None));
        let free = Reserve { limit: None, ..whole };
        assert_eq!(free.max_pages(), None);
        assert!(!free.is_used_up(|| EMPTY));
    }

    #[test]
    fn a_database_near_its_limit_takes_nothing_until_it_has_room() {
        for (pages, spare, taken) in
            [(76, 0, false), (75, 0, true), (100, 24, false), (100, 25, true), (200, 0, false)]
        {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("actions.reserve");
            let mut reserve = Reserve { path, size: 100 * PAGE, ..limited(Space::Released) };
            reserve.reallocate(Extent { pages, spare: spare * PAGE });
            assert_eq!(!reserve.is_released(), taken, "{pages} {spare}");
        }
    }

    #[test]
    fn it_is_allocated_released_and_allocated_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::find(directory.path());
        assert!(reserve.is_released());
        let path = directory.path().join("actions.reserve");
        assert!(!path.exists(), "looking for it made it");
        reserve.create();
        assert_eq!(reserve.space, Space::Allocated);
        let file = File::open(&path).unwrap();
        assert!(file.allocated_size().unwrap() >= reserve.size, "it holds no room");
        assert!(reserve.release(&StoreError::Full));
        assert!(reserve.is_released() && !reserve.release(&StoreError::Full));
        assert_eq!(file.allocated_size().unwrap(), 0);
        reserve.reallocate(EMPTY);
        assert!(!reserve.is_released());
        assert!(file.allocated_size().unwrap() >= reserve.size);
        drop(reserve);
        assert_eq!(Reserve::find(directory.path()).space, Space::Allocated);
    }

    #[test]
    fn a_directory_that_takes_no_file_has_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("actions.reserve")).unwrap();
        let mut reserve = Reserve::find(directory.path());
        reserve.create();
        assert_eq!(reserve.space, Space::Unsupported);
        assert!(!reserve.release(&StoreError::Full) && !reserve.is_released());
        assert_eq!(reserve.log_pages(u64::MAX), LOG_PAGES);
    }

    #[test]
    fn when_there_is_room() {
        for (free, spare, wanted) in [
            (0, 0, false),
            (19, 1_000, true),
            (19, 19, false),
            (20, 0, true),
            (14, u64::MAX, false),
            (15, 19, false),
            (15, 20, true),
        ] {
            assert_eq!(is_room(free, spare, 10), wanted, "{free} {spare}");
        }
        // The log needs a megabyte, however large the reserve is.
        assert!(is_room((33 << 20) + 1, 64 << 20, 32 << 20));
        assert!(!is_room((33 << 20) - 1, 64 << 20, 32 << 20));
    }
}
