//! Room on the disk that is kept back: what cancels, stops and the ends of attempts are written with
//! once the disk is full.
//!
//! A file beside the database holds the room while all is well. When a transaction finds the disk
//! full, the file is emptied; from then on submissions are refused without being tried, so that what
//! it held serves what must get through. Once there is room again the file is filled again.
//!
//! Where the system limits how large a file may become, room is kept in the database file as well: with
//! submissions it may not grow into the last of what it may have. Why all this is as it is:
//! `docs/adr/0006-control-on-a-full-disk.md`. Who asks for it: [`super::write`].

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use fs4::FileExt as _;

use super::limits::file_size_limit;
use crate::store::StoreError;

/// The largest reserve, in bytes. A checkpoint is made when the write-ahead log has half of
/// that (see [`Reserve::log_pages`]), so that this is room enough to make it and go on.
const MAX_SIZE: u64 = 32 << 20;
/// Which part of the whole disk it may take at most.
const PART_OF_DISK: u64 = 8;
/// And of the size that a file may have.
const PART_OF_FILE: u64 = 8;
/// A page of the database, in bytes: SQLite's default, which a file of ours has.
pub(super) const PAGE: u64 = 4096;
/// Number of pages that the log may have before a checkpoint, where there is a reserve of full size.
const LOG_PAGES: u64 = MAX_SIZE / 2 / PAGE;
/// The same on a full disk: the log grows into the room that is left, so it must stay short.
const LOG_PAGES_WHEN_FULL: u64 = 256;

/// The reserve of one data directory.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// How large it is meant to be, in bytes.
    size: u64,
    held: Held,
    /// How large a file may become here, in bytes, as of the last look.
    limit: Option<u64>,
    /// Number of pages of the log after which a checkpoint is made at the latest.
    max_log_pages: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// The file holds all of it.
    Whole,
    /// It was given away: the disk counts as full.
    Given,
    /// This file system keeps no room for a file: the store does what it can without.
    Impossible,
}

impl Reserve {
    /// Looks for the reserve of an earlier server; makes none yet.
    pub(super) fn find(directory: &Path) -> Self {
        let path = directory.join("actions.reserve");
        // Where the size of the disk can't be learned, the disk is taken for a large one.
        let size =
            fs4::total_space(directory).map_or(MAX_SIZE, |all| MAX_SIZE.min(all / PART_OF_DISK));
        let limit = file_size_limit();
        let size = limit.map_or(size, |limit| size.min(limit / PART_OF_FILE)) / PAGE * PAGE;
        let there = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() >= size);
        let held = if there { Held::Whole } else { Held::Given };
        Self { path, size, held, limit, max_log_pages: LOG_PAGES }
    }

    /// Has checkpoints made more often: what happens then is under test.
    #[cfg(feature = "testing")]
    pub(super) const fn checkpoint_after(&mut self, pages: u64) {
        self.max_log_pages = pages;
    }

    /// Makes the reserve if there is none and the disk has room for it.
    pub(super) fn make(&mut self) {
        // A disk may be nearly full at the start: the last of it is not taken from others.
        let room = self.free() >= self.size.saturating_add(self.size / 8);
        if room || self.held == Held::Whole {
            self.fill();
        }
        if self.is_given() {
            log::warn!(
                "the disk that holds the actions is nearly full ({} bytes are free): submissions are refused until there is room",
                self.free()
            );
        }
    }

    /// Whether it is given away: submissions must not be tried.
    pub(super) fn is_given(&self) -> bool {
        self.held == Held::Given
    }

    /// Gives the room back to the disk because of this; whether there was any to give.
    pub(super) fn give(&mut self, why: &StoreError) -> bool {
        if self.held != Held::Whole {
            return false;
        }
        self.held = Held::Given;
        if let Err(error) = self.empty() {
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

    /// Takes the room back if the disk has it twice, and the file that holds the database too.
    pub(super) fn refill(&mut self, extent: Extent) {
        let fits = self.limit.is_none_or(|limit| extent.left(limit) >= 2 * self.margin());
        if self.is_given() && fits && is_room(self.free(), extent.spare, self.size) {
            self.fill();
            if !self.is_given() {
                log::info!("actions can be written as before: submissions are taken");
            }
        }
    }

    /// Looks how large a file may become now; whether that has changed.
    pub(super) fn look_at_limit(&mut self) -> bool {
        let before = std::mem::replace(&mut self.limit, file_size_limit());
        before != self.limit
    }

    /// Whether a file of so many bytes is as large as it may be, up to what is written at a time. The limit is that of
    /// now: it may have come since the last look.
    pub(super) fn is_at_limit(bytes: u64, limit: Option<u64>) -> bool {
        limit.is_some_and(|limit| bytes.saturating_add(2 * PAGE) > limit)
    }

    /// Whether a database like this one must take no more submissions, though it might: what it holds that it
    /// does not use is all that is kept for control.
    pub(super) fn is_used_up(&self, extent: impl FnOnce() -> Extent) -> bool {
        let Some(limit) = self.limit else { return false };
        let (extent, margin) = (extent(), self.margin());
        extent.pages.saturating_mul(PAGE) > limit.saturating_sub(margin)
            && extent.left(limit) < margin
    }

    /// How many pages the database may have now, where that is limited.
    pub(super) fn max_pages(&self) -> Option<u64> {
        let kept = if self.held == Held::Whole { self.margin() } else { 0 };
        self.limit.map(|limit| (limit.saturating_sub(kept) / PAGE).max(1))
    }

    /// How much of what a file may have is kept for control.
    fn margin(&self) -> u64 {
        self.limit.map_or(self.size, |limit| self.size.min(limit / PART_OF_FILE))
    }

    /// Whether enough is left to start actions: each will want to write its result.
    pub(super) fn has_room_for_starts(&self) -> bool {
        self.free() >= self.size / 2
    }

    /// Number of pages of the log after which a checkpoint is to be made, if that makes the database `growth`
    /// bytes longer; 0 for never, where that would take all room and still not succeed.
    pub(super) fn log_pages(&self, growth: u64) -> u64 {
        let pages = match self.held {
            Held::Impossible => self.max_log_pages,
            Held::Whole => (self.size / 2 / PAGE).max(1).min(self.max_log_pages),
            Held::Given if growth < self.free() => LOG_PAGES_WHEN_FULL,
            Held::Given => 0,
        };
        // The log is a file too, and a transaction goes behind what is in it already.
        self.limit.map_or(pages, |limit| pages.min((limit / 4 / PAGE).max(1)))
    }

    /// How many bytes of the disk are free for us; 0 if that can't be learned, which leaves the reserve alone.
    fn free(&self) -> u64 {
        self.path.parent().and_then(|at| fs4::available_space(at).ok()).unwrap_or_default()
    }

    fn empty(&self) -> io::Result<()> {
        // Kept open by nobody and synced, so that the room is free when this returns.
        let file = File::options().write(true).create(true).truncate(true).open(&self.path)?;
        file.sync_all()
    }

    fn fill(&mut self) {
        self.held = match self.allocate() {
            Ok(()) => Held::Whole,
            Err(error) => {
                // Half a reserve would take room and be of no use.
                let _ = self.empty();
                if matches!(
                    error.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
                ) {
                    Held::Given
                } else {
                    log::warn!(
                        "{}: no room can be kept back for a full disk: {error}",
                        self.path.display()
                    );
                    Held::Impossible
                }
            }
        };
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(false).open(&self.path)?;
        match file.allocate(self.size) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            other => return other,
        }
        // No way to ask for room here but to write. Zeros might be kept as a hole.
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

/// How much of its file a database takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) pages: u64,
    /// How many bytes of them it does not use.
    pub(super) spare: u64,
}

impl Extent {
    /// How many bytes more it can hold in a file of at most so many.
    const fn left(self, limit: u64) -> u64 {
        limit.saturating_sub(self.pages.saturating_mul(PAGE)).saturating_add(self.spare)
    }
}

/// Whether a reserve of `size` bytes can be taken and leaves as much: on the disk, or in pages of the
/// database that deleted actions have left.
const fn is_room(free: u64, spare: u64, size: u64) -> bool {
    free >= 2 * size || (free >= size && spare >= 2 * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Extent = Extent { pages: 1, spare: 0 };

    /// Of files of a hundred pages an eighth is kept.
    fn limited(held: Held) -> Reserve {
        let limit = Some(100 * PAGE);
        Reserve { path: PathBuf::new(), size: 1000 * PAGE, held, limit, max_log_pages: LOG_PAGES }
    }

    #[test]
    fn a_limit_on_files_keeps_the_last_of_the_database_for_control() {
        let whole = limited(Held::Whole);
        assert_eq!(whole.max_pages(), Some(87));
        assert_eq!(limited(Held::Given).max_pages(), Some(100));
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
            let mut reserve = Reserve { path, size: 100 * PAGE, ..limited(Held::Given) };
            reserve.refill(Extent { pages, spare: spare * PAGE });
            assert_eq!(!reserve.is_given(), taken, "{pages} {spare}");
        }
    }

    #[test]
    fn it_is_taken_given_and_taken_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::find(directory.path());
        assert!(reserve.is_given());
        let path = directory.path().join("actions.reserve");
        assert!(!path.exists(), "looking for it made it");
        reserve.make();
        assert_eq!(reserve.held, Held::Whole);
        let file = File::open(&path).unwrap();
        assert!(file.allocated_size().unwrap() >= reserve.size, "it holds no room");
        assert!(reserve.give(&StoreError::Full));
        assert!(reserve.is_given() && !reserve.give(&StoreError::Full));
        assert_eq!(file.allocated_size().unwrap(), 0);
        reserve.refill(EMPTY);
        assert!(!reserve.is_given());
        assert!(file.allocated_size().unwrap() >= reserve.size);
        drop(reserve);
        assert_eq!(Reserve::find(directory.path()).held, Held::Whole);
    }

    #[test]
    fn a_directory_that_takes_no_file_has_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("actions.reserve")).unwrap();
        let mut reserve = Reserve::find(directory.path());
        reserve.make();
        assert_eq!(reserve.held, Held::Impossible);
        assert!(!reserve.give(&StoreError::Full) && !reserve.is_given());
        assert_eq!(reserve.log_pages(u64::MAX), LOG_PAGES);
    }

    #[test]
    fn when_there_is_room() {
        for (free, spare, wanted) in [
            (0, 0, false),
            (19, 1_000, true),
            (19, 19, false),
            (20, 0, true),
            (9, u64::MAX, false),
            (10, 20, true),
        ] {
            assert_eq!(is_room(free, spare, 10), wanted, "{free} {spare}");
        }
    }
}
