//! What the writing thread does where there is no room for more, or a file takes no change: it gives the reserve
//! ([`Reserve`]), looks whether that is over, and bounds the log and the database meanwhile.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Cause, Failed, Writer};
use crate::store::StoreError;
use crate::store::sqlite::checkpoint::checkpoint;
use crate::store::sqlite::errors::store_error;
use crate::store::sqlite::limits::{file_size_limit, is_failed_write, unwritable};
use crate::store::sqlite::reserve::{Extent, PAGE, Reserve};
use crate::store::sqlite::schema::VERSION;

/// How much time passes between two looks at what the system allows, at least.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Writer<'_> {
    /// Gives the reserve to what must be written, because of this; whether there was one.
    pub(super) fn give_reserve(&mut self, why: StoreError) -> bool {
        let given = self.reserve.give(&why);
        if given {
            self.why = why;
            self.limit_log();
        }
        given
    }

    /// Looks before each transaction whether the reserve must be given, or can be taken back.
    pub(super) fn look_at_room(&mut self, now: Instant) {
        let is_given = self.reserve.is_given();
        if now.saturating_duration_since(self.looked) >= LOOK_EVERY || is_given {
            self.looked = now;
            if self.reserve.look_at_limit() {
                self.limit_log();
            }
        }
        if is_given {
            if self.why == StoreError::Full || self.can_write() {
                self.reserve.refill(self.extent());
            }
            if !self.reserve.is_given() {
                self.limit_log();
            }
        } else if self.reserve.is_used_up(|| self.extent()) {
            self.give_reserve(StoreError::Full);
        }
    }

    fn extent(&self) -> Extent {
        let spare = self.number("PRAGMA freelist_count").saturating_mul(PAGE);
        Extent { pages: self.number("PRAGMA page_count"), spare }
    }

    /// Tries whether the log and the database take a change: where they did not for another reason than for want
    /// of room, nothing else tells.
    fn can_write(&self) -> bool {
        // It writes this page even if nothing on it is new.
        let change = self.connection.pragma_update(None, "user_version", VERSION);
        self.pool.let_go();
        change.is_ok() && checkpoint(self.connection).is_ok()
    }

    /// Says how long the write-ahead log may become, and on a full disk makes it short now if it can be:
    /// what is copied into the database leaves its room to the next transactions.
    pub(super) fn limit_log(&mut self) {
        let file = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let growth = self.number("PRAGMA page_count").saturating_mul(PAGE).saturating_sub(file);
        let pages = self.reserve.log_pages(growth);
        self.max_log_pages = pages;
        // Where these fail, the log is longer than wanted, and the next transaction tells if it matters.
        let _ =
            self.connection
                .query_row(&format!("PRAGMA wal_autocheckpoint = {pages}"), [], |_| Ok(()));
        // So many at most; SQLite takes its own limit for more than that.
        let most = self.reserve.max_pages().unwrap_or(u64::from(u32::MAX));
        let _ =
            self.connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()));
        if self.reserve.is_given() && pages > 0 {
            self.checkpoint_here();
        }
    }

    pub(super) fn number(&self, pragma: &str) -> u64 {
        self.connection.query_row(pragma, [], |row| row.get(0)).unwrap_or_default()
    }

    /// Says what an error of the database means for the transaction that it undid.
    pub(super) fn failed(&self, error: &rusqlite::Error) -> Failed {
        let known = store_error(error, &self.path);
        if known == StoreError::Full {
            return Failed { error: known, cause: Cause::NoRoom };
        }
        if !is_failed_write(error) {
            return Failed { error: known, cause: Cause::Other };
        }
        let log = self.log_path();
        let longest = [&self.path, &log].map(|path| std::fs::metadata(path).map_or(0, |f| f.len()));
        let limit = file_size_limit();
        if longest.into_iter().any(|bytes| Reserve::is_at_limit(bytes, limit)) {
            // The log has no room for it; what the database still takes is bounded apart from that.
            return Failed { error: StoreError::Full, cause: Cause::Other };
        }
        let error = unwritable(&[&log, &self.path]).unwrap_or(known);
        Failed { error, cause: Cause::NoRoom }
    }

    fn log_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        path.into()
    }
}
