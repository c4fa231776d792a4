//! The writing thread on a full disk, or with a file that can't be written: it releases the [`Reserve`], checks if there
//! is space again, and limits the log and the database meanwhile.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Writer;
use super::transaction::{Cause, RolledBack};
use crate::store::StoreError;
use crate::store::sqlite::checkpoint::checkpoint;
use crate::store::sqlite::errors::store_error;
use crate::store::sqlite::limits::{file_size_limit, is_failed_write, unwritable};
use crate::store::sqlite::reserve::{Extent, PAGE, Reserve};
use crate::store::sqlite::schema::VERSION;

/// Minimum time between two checks of the system's limits.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl Writer<'_> {
    /// Releases the reserve because of this error; returns false if there was none to release.
    pub(super) fn release_reserve(&mut self, error: StoreError) -> bool {
        let released = self.reserve.release(&error);
        if released {
            self.submission_error = error;
            self.limit_log();
        }
        released
    }

    /// Checks before each transaction if the reserve must be released, or can be allocated again.
    pub(super) fn check_room(&mut self, now: Instant) {
        let was_released = self.reserve.is_released();
        if now.saturating_duration_since(self.limit_checked) >= CHECK_INTERVAL || was_released {
            self.limit_checked = now;
            if self.reserve.refresh_limit() {
                self.limit_log();
            }
        }
        if was_released {
            if self.submission_error == StoreError::Full || self.can_write() {
                self.reserve.reallocate(self.extent());
            }
            if !self.reserve.is_released() {
                self.limit_log();
            }
        } else if self.reserve.is_used_up(|| self.extent()) {
            self.release_reserve(StoreError::Full);
        }
    }

    fn extent(&self) -> Extent {
        let spare = self.number("PRAGMA freelist_count").saturating_mul(PAGE);
        Extent { pages: self.number("PRAGMA page_count"), spare }
    }

    /// Tries to write to the log and the database. After a failure for another reason than a full disk, there is no
    /// other way to find out.
    fn can_write(&self) -> bool {
        // This writes the page even though the value is the same.
        let change = self.connection.pragma_update(None, "user_version", VERSION);
        self.pool.release_snapshots();
        change.is_ok() && checkpoint(self.connection).is_ok()
    }

    /// Sets the maximum lengths of the write-ahead log and the database. On a full disk also makes a checkpoint if
    /// possible: the space of the copied log is then free for the next transactions.
    pub(super) fn limit_log(&mut self) {
        let file = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let growth = self.number("PRAGMA page_count").saturating_mul(PAGE).saturating_sub(file);
        let pages = self.reserve.log_pages(growth);
        self.max_log_pages = pages;
        // If these fail, the log gets too long, and the next transaction fails if that matters.
        let _ =
            self.connection
                .query_row(&format!("PRAGMA wal_autocheckpoint = {pages}"), [], |_| Ok(()));
        // SQLite reduces this to its own limit.
        let most = self.reserve.max_pages().unwrap_or(u64::from(u32::MAX));
        let _ =
            self.connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()));
        if self.reserve.is_released() && pages > 0 {
            self.checkpoint_here();
        }
    }

    pub(super) fn number(&self, pragma: &str) -> u64 {
        self.connection.query_row(pragma, [], |row| row.get(0)).unwrap_or_default()
    }

    /// Classifies the error of a transaction that was rolled back.
    pub(super) fn rolled_back(&self, sqlite_error: &rusqlite::Error) -> RolledBack {
        let error = store_error(sqlite_error, &self.path);
        if error == StoreError::Full {
            return RolledBack { error, cause: Cause::NoRoom };
        }
        if !is_failed_write(sqlite_error) {
            return RolledBack { error, cause: Cause::Other };
        }
        let log = self.log_path();
        let longest = [&self.path, &log].map(|path| std::fs::metadata(path).map_or(0, |f| f.len()));
        let limit = file_size_limit();
        if longest.into_iter().any(|bytes| Reserve::is_at_limit(bytes, limit)) {
            // This batch does not fit into the log. The size of the database is limited separately.
            return RolledBack { error: StoreError::Full, cause: Cause::Other };
        }
        let error = unwritable(&[&log, &self.path]).unwrap_or(error);
        RolledBack { error, cause: Cause::NoRoom }
    }

    pub(super) fn log_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        path.into()
    }
}
