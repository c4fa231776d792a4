//! The writing thread gives space back that the database does not need any more, while no job waits.
//!
//! Deleted actions leave free pages in the file. Where they are much of it, the pages at its end are moved into them, a few at a
//! time in a transaction of their own, and the next checkpoint cuts the file. That needs pointer maps, which a file gets when it
//! is created. One without them is rewritten as a whole, if what it holds is little; then it has them.
//!
//! The write-ahead log keeps the length that it once needed. It is cut when nothing was written for a while.
//!
//! The reasons are in `docs/adr/0043-space-is-given-back-in-small-steps.md`.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Writer;
use crate::store::sqlite::files;
use crate::store::sqlite::in_memory::saving::Saving;
use crate::store::sqlite::reserve::PAGE;

/// Number of free bytes below which no space is given back: what comes next would need it.
const MUCH: u64 = 4 << 20;
/// The free pages are much if they are at least one part of this many of the file.
const PART: u64 = 4;
/// Number of free bytes that are left when space was given back.
const LEFT: u64 = 1 << 20;
/// Maximum time and number of pages of one step, which a job may have to wait for.
const STEP: Duration = Duration::from_millis(5);
const STEP_PAGES: u64 = 256;
/// Time without a job before a step, so that most jobs wait for none.
const PAUSE: Duration = Duration::from_millis(20);
/// Time between two steps while jobs leave no such pause: a twentieth of the time is enough to come to an end.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Time between two looks for free pages.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time to the next try after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Maximum number of bytes that are rewritten at once, in memory: some tenths of a second.
const MAX_REWRITTEN: u64 = 16 << 20;
/// Time without a commit before the log is cut, and the length in bytes that it may keep.
const LOG_RESTS: Duration = Duration::from_secs(10);
const LOG_KEPT: u64 = 4 << 20;
/// Time that a statement waits for another connection: SQLite's bindings set it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of giving space back.
#[derive(Debug)]
pub(super) struct Shrinking {
    /// True if actions were deleted since the last look for free pages.
    freed: bool,
    /// True while free pages are given back.
    active: bool,
    /// True if pages were given back, and the file is not cut yet.
    to_cut: bool,
    /// Time before which nothing is done.
    not_before: Instant,
    /// Time of the last step or look.
    stepped: Instant,
    /// Time of the last commit, until the log was looked at.
    log_used: Option<Instant>,
    /// Time of the last commit.
    committed: Option<Instant>,
    /// True once it was logged that a file of this size is not rewritten.
    told: bool,
}

impl Shrinking {
    /// Makes the state of a store that was opened now. Nobody knows what the server before has left.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            freed: true,
            active: false,
            to_cut: false,
            not_before: now,
            stepped: now,
            log_used: Some(now),
            committed: None,
            told: false,
        }
    }

    /// Notes that an action was deleted.
    pub(super) const fn note_freed(&mut self) {
        self.freed = true;
    }

    /// Notes that something was written.
    pub(super) const fn note_written(&mut self, now: Instant) {
        (self.log_used, self.committed) = (Some(now), Some(now));
    }

    /// Returns the time of the last commit.
    pub(super) const fn committed(&self) -> Option<Instant> {
        self.committed
    }
}

impl Writer<'_> {
    /// Returns the time after which this thread has something to do if no job arrives.
    pub(in crate::store::sqlite) fn rests(&self) -> Option<Duration> {
        let Shrinking { freed, active, to_cut, not_before, log_used, .. } = self.shrinking;
        let files = self.something_runs().then_some(files::CHECK_INTERVAL);
        let now = Instant::now();
        let left = |time: Instant| time.saturating_duration_since(now);
        let shrinks = (freed || active || to_cut).then(|| left(not_before).max(PAUSE));
        let log = log_used.map(|at| left(at + LOG_RESTS));
        let saves = self.saving.as_ref().and_then(Saving::due).map(left);
        [files, shrinks, log, saves].into_iter().flatten().min()
    }

    /// Does what is to be done while no job arrives.
    pub(in crate::store::sqlite) fn idle(&mut self) {
        let now = Instant::now();
        if self.something_runs() {
            self.check_files();
        }
        self.shrink(now, true);
        let rested = |at: Instant| now.saturating_duration_since(at) >= LOG_RESTS;
        if self.shrinking.log_used.is_some_and(rested) {
            self.shrinking.log_used = None;
            self.cut_log(now);
        }
    }

    /// Makes a step now and then also while jobs leave no pause. Called after each group of jobs.
    pub(super) fn shrink_beside(&mut self, now: Instant) {
        let Shrinking { freed, active, stepped, .. } = self.shrinking;
        let wait = if active { BUSY_PAUSE } else { INTERVAL };
        if (freed || active) && now.saturating_duration_since(stepped) >= wait {
            self.shrink(now, false);
        }
    }

    /// Looks for free pages, or makes the next step.
    fn shrink(&mut self, now: Instant, is_idle: bool) {
        if now < self.shrinking.not_before || self.is_saving {
            return;
        }
        self.shrinking.stepped = now;
        if self.reserve.is_released() && !self.reserve.has_room_for_work() {
            // What is left of the disk is for control.
            self.shrinking.not_before = now + INTERVAL;
            return;
        }
        if self.shrinking.freed && !self.shrinking.active {
            self.shrinking.freed = false;
            self.shrinking.active = self.is_much_free();
            self.shrinking.not_before = now + INTERVAL;
        }
        // A file that is gone, or that somebody else has written to, must take nothing.
        if !(self.shrinking.active || self.shrinking.to_cut) || self.files.check(now).is_err() {
            return;
        }
        let done = if self.shrinking.active { self.shrink_once(is_idle) } else { Ok(false) };
        match done {
            Ok(more) => {
                self.shrinking.active = more;
                self.shrinking.not_before = now + if more { PAUSE } else { INTERVAL };
                if more {
                    self.keep_log_short();
                } else if self.shrinking.to_cut {
                    // A reader with an older snapshot blocks it.
                    self.shrinking.to_cut = !self.checkpoint_here();
                }
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    // The step may have been rolled back already.
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                log::warn!("free space of the action database can't be given back now: {error}");
                self.shrinking.active = false;
                self.shrinking.freed = true;
                self.shrinking.not_before = now + RETRY_AFTER;
            }
        }
    }

    /// Returns the numbers of all pages and of the free ones.
    fn pages(&self) -> (u64, u64) {
        (self.number("PRAGMA page_count"), self.number("PRAGMA freelist_count"))
    }

    fn is_much_free(&self) -> bool {
        let (pages, free) = self.pages();
        is_much(pages, free)
    }

    /// Gives some of the free pages back; returns true if there are more to give back.
    fn shrink_once(&mut self, is_idle: bool) -> rusqlite::Result<bool> {
        let (pages, free) = self.pages();
        if self.is_checkpointed {
            // The log can then restart.
            self.pool.release_snapshots();
        }
        let more = if self.number("PRAGMA auto_vacuum") == INCREMENTAL {
            let left = LEFT / PAGE;
            give_back(self.connection, free.saturating_sub(left).min(STEP_PAGES))?;
            self.number("PRAGMA freelist_count") > left
        } else {
            let used = pages.saturating_sub(free).saturating_mul(PAGE);
            if used > MAX_REWRITTEN {
                if !std::mem::replace(&mut self.shrinking.told, true) {
                    log::info!(
                        "{} bytes of the action database are free, and its file keeps them: an earlier version has made it; \"actiond compact\" gives them back",
                        free.saturating_mul(PAGE)
                    );
                }
                return Ok(false);
            }
            if !is_idle {
                return Ok(true);
            }
            rewrite(self.connection, "MEMORY")?;
            false
        };
        let now_pages = self.number("PRAGMA page_count");
        self.files.shrinks_to(now_pages.saturating_mul(PAGE));
        self.shrinking.to_cut = true;
        self.shrinking.log_used = Some(Instant::now());
        if !more {
            log::info!(
                "space of the action database was given back: {} bytes are left",
                now_pages.saturating_mul(PAGE)
            );
        }
        Ok(more)
    }

    /// Cuts the write-ahead log if it is longer than it need be, and nobody reads from it.
    fn cut_log(&mut self, now: Instant) {
        let length = std::fs::metadata(self.log_path()).map_or(0, |log| log.len());
        if length <= LOG_KEPT || self.files.check(now).is_err() {
            return;
        }
        self.pool.release_snapshots();
        // Who reads is not waited for: jobs would wait, too.
        let cut = self.connection.busy_timeout(Duration::ZERO).and_then(|()| {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        });
        // It fails for no reason that matters here.
        let _ = self.connection.busy_timeout(BUSY_TIMEOUT);
        if cut == Ok(0) {
            self.files.cut_log();
            self.is_checkpointed = true;
            self.shrinking.to_cut = false;
        } else {
            self.shrinking.log_used = Some(now);
        }
    }
}

/// Number of SQLite's for files with pointer maps, whose free pages are given back on demand.
const INCREMENTAL: u64 = 2;

const fn is_much(pages: u64, free: u64) -> bool {
    free >= MUCH / PAGE && free.saturating_mul(PART) >= pages
}

/// Gives free pages back, up to this number and as long as a step may take, in a transaction of its own.
fn give_back(connection: &Connection, pages: u64) -> rusqlite::Result<()> {
    let began = Instant::now();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    {
        // Each row that it returns is a page.
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut given = statement.query([])?;
        while given.next()?.is_some() && began.elapsed() < STEP {}
    }
    connection.execute_batch("COMMIT")
}

/// Rewrites the whole database, without free pages and with pointer maps. Meanwhile it is in a temporary file (`FILE`) or in
/// memory (`MEMORY`), and in the log.
pub(in crate::store::sqlite) fn rewrite(
    connection: &Connection,
    temporary: &str,
) -> rusqlite::Result<()> {
    connection.pragma_update(None, "temp_store", temporary)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.execute_batch("VACUUM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_much() {
        let much = MUCH / PAGE;
        for (pages, free, expected) in [
            (0, 0, false),
            (much, much, true),
            (much * 4, much, true),
            (much * 4 + 1, much, false),
            (much, much - 1, false),
            (much * 100, much * 25, true),
        ] {
            assert_eq!(is_much(pages, free), expected, "{free} of {pages}");
        }
    }

    #[test]
    fn a_step_ends_after_its_pages_and_nothing_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join("a.db")).unwrap();
        connection
            .execute_batch(
                "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
                 CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                 INSERT INTO t SELECT i, zeroblob(5000) FROM n;
                 DELETE FROM t WHERE id % 10 > 0;",
            )
            .unwrap();
        let number = |pragma: &str| -> u64 {
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
        };
        let (mut steps, free) = (0, number("freelist_count"));
        assert!(free > 2_000, "{free}");
        while number("freelist_count") > 100 {
            let before = number("freelist_count");
            give_back(&connection, 50).unwrap();
            let given = before - number("freelist_count");
            assert!((1..=52).contains(&given), "{given}");
            steps += 1;
        }
        assert!(steps >= (free - 100) / 52, "{steps}");
        let sum = "SELECT count(*), sum(length(x)) FROM t";
        let rows =
            connection.query_row(sum, [], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)));
        assert_eq!(rows, Ok((200, 1_000_000)));
        let check: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
}
