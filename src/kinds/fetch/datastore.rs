//! The datastore of a task: each file that Ingest has accepted, with its size and time, and the file systems of the task's
//! directories (`mounts`).
//!
//! Each task has one SQLite file. Every run has a number; a row has that of the last run in which its file was seen, so the
//! rows with an older one are the vanished files. Rows of unchanged files are written in large transactions: if some are
//! lost, the files are only found again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(unix)]
use actiond_actors::store::sqlite::OwnFiles;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, TransactionBehavior, params,
};

use super::source::{Item, Moment};

mod mounts;
pub(crate) use mounts::{MAX_MOUNTS, RememberedMount};
#[cfg(test)]
mod tests;

/// Number of rows that are written before a commit.
const COMMIT_EVERY: usize = 2_000;

/// The version of the tables.
const VERSION: i64 = 3;

/// The tables of this version.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS documents (
        path BLOB PRIMARY KEY NOT NULL,
        size INTEGER NOT NULL,
        modified_s INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        run INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS places (
        path BLOB PRIMARY KEY NOT NULL,
        device INTEGER NOT NULL,
        known INTEGER,
        more TEXT
    ) STRICT;
    CREATE TABLE IF NOT EXISTS runs (last INTEGER NOT NULL) STRICT;
    INSERT INTO runs SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM runs);";

/// Version 1 held all of a time in nanoseconds since 1970, the nearest one it could where that is too
/// much. Division cuts towards 0, and a rest has the sign of what is divided.
const FROM_VERSION_1: &str = "
    INSERT INTO documents
        SELECT path, size,
            modified_ns / 1000000000 - (modified_ns % 1000000000 < 0),
            (modified_ns % 1000000000 + 1000000000) % 1000000000,
            run
        FROM documents_1;
    DROP TABLE documents_1;";

/// Version 2 knew a file system by its device alone.
const FROM_VERSION_2: &str = "ALTER TABLE places ADD COLUMN more TEXT";

/// An item as the datastore knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Not there.
    New,
    /// There, with another size or time.
    Changed,
    /// There as it is.
    Unchanged,
    /// Seen before in this very run.
    Seen,
}

/// The datastore of one task, in one run.
pub(crate) struct Datastore {
    path: PathBuf,
    connection: Connection,
    run: i64,
    uncommitted: usize,
    /// After the connection, so that it is dropped after that.
    #[cfg(unix)]
    _own: OwnFiles,
}

impl fmt::Debug for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datastore")
            .field("path", &self.path)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// The file system of SQLite's that keeps the index of the log in memory, as for the actions: a mapped file that takes
/// no change any more, or is cut short, would end the whole process (`docs/adr/0020-the-index-of-the-log-is-in-memory.md`).
#[cfg(unix)]
const IN_ONE_PROCESS: Option<&str> = Some("unix-excl");
#[cfg(not(unix))]
const IN_ONE_PROCESS: Option<&str> = None;

/// Returns the name of a task's file; what could lead out of the directory is replaced.
pub(crate) fn file_name(task: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    format!("connector_{}_datastore.db", task.chars().map(safe).collect::<String>())
}

/// Makes the file, if there is none, so that it can be read by nobody else. If that fails SQLite says why.
#[cfg(unix)]
fn make_private(path: &Path) {
    // One that is there may be open, and would lose its locks.
    let _ = crate::files::private().write(true).create_new(true).open(path);
}

impl Datastore {
    /// Opens the file, or makes it, and begins a run.
    ///
    /// # Errors
    ///
    /// Here and in every other function: a text for the client, without the path of the file. The log gets all of it.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        #[cfg(unix)]
        let own = OwnFiles::of(path.parent().unwrap_or(Path::new("")));
        #[cfg(unix)]
        make_private(path);
        let connection = match IN_ONE_PROCESS {
            Some(vfs) => Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs),
            None => Connection::open(path),
        };
        let connection = connection.map_err(|e| fault(path, &e))?;
        let mut store = Self {
            path: path.to_owned(),
            connection,
            run: 0,
            uncommitted: 0,
            #[cfg(unix)]
            _own: own,
        };
        let version = store.begin().map_err(|e| fault(path, &e))?;
        if version > VERSION {
            let what = format!("has version {version}, and this program knows {VERSION}");
            log::warn!("the datastore {} {what}", path.display());
            return Err(format!("the datastore of the task {what}"));
        }
        Ok(store)
    }

    /// Begins a run, and returns the version that the tables had. If that is a newer one, nothing is changed.
    fn begin(&mut self) -> rusqlite::Result<i64> {
        self.connection.busy_timeout(Duration::from_secs(5))?;
        // A loss of the last moments is harmless, so no commit waits for the disk.
        self.connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
        // Rolled back when it is dropped before its end.
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = change.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > VERSION {
            return Ok(version);
        }
        if version == 1 {
            change.execute_batch("ALTER TABLE documents RENAME TO documents_1")?;
        }
        change.execute_batch(TABLES)?;
        match version {
            1 => change.execute_batch(FROM_VERSION_1)?,
            2 => change.execute_batch(FROM_VERSION_2)?,
            _ => {}
        }
        change.execute_batch(&format!(
            "UPDATE runs SET last = last + 1; PRAGMA user_version = {VERSION};"
        ))?;
        change.commit()?;
        self.run = self.connection.query_row("SELECT last FROM runs", [], |row| row.get(0))?;
        Ok(version)
    }

    /// Returns the number of known files.
    pub(crate) fn count(&self) -> Result<u64, String> {
        let count =
            self.connection.query_row("SELECT count(*) FROM documents", [], |row| row.get(0));
        let count: i64 = self.named(count)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Returns what is known of a file.
    pub(crate) fn look_up(&self, file: &Item) -> Result<Known, String> {
        let read = |row: &Row<'_>| {
            let modified = Moment { seconds: row.get(1)?, nanoseconds: row.get(2)? };
            Ok((row.get::<_, i64>(0)?, modified, row.get::<_, i64>(3)?))
        };
        let row = || {
            self.connection
                .prepare_cached(
                    "SELECT size, modified_s, modified_ns, run FROM documents WHERE path = ?1",
                )?
                .query_row([bytes(&file.path)], read)
                .optional()
        };
        Ok(match self.named(row())? {
            None => Known::New,
            Some((_, _, run)) if run == self.run => Known::Seen,
            Some((size, modified, _)) if (size, modified) == (file.size, file.modified) => {
                Known::Unchanged
            }
            Some(_) => Known::Changed,
        })
    }

    /// Notes that a known file is still there, whatever state it is in; what is known of it stays.
    pub(crate) fn keep(&mut self, path: &Path) -> Result<(), String> {
        let run = self.run;
        self.write("UPDATE documents SET run = ?2 WHERE path = ?1", params![bytes(path), run])
    }

    /// Notes that Ingest has accepted a file as it is.
    pub(crate) fn accept(&mut self, file: &Item) -> Result<(), String> {
        let run = self.run;
        self.write(
            "INSERT INTO documents (path, size, modified_s, modified_ns, run) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (path) DO UPDATE SET size = ?2, modified_s = ?3, modified_ns = ?4, run = ?5",
            params![
                bytes(&file.path),
                file.size,
                file.modified.seconds,
                file.modified.nanoseconds,
                run
            ],
        )
    }

    /// Notes that Ingest has removed a file.
    pub(crate) fn forget(&mut self, path: &[u8]) -> Result<(), String> {
        self.write("DELETE FROM documents WHERE path = ?1", params![path])
    }

    /// Returns paths that have not been seen in this run, in order: at most `limit`, all after `after`.
    pub(crate) fn not_seen(&self, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, String> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = || {
            self.connection
                .prepare_cached(
                    "SELECT path FROM documents WHERE path > ?1 AND run <> ?2 ORDER BY path LIMIT ?3",
                )?
                .query_map(params![after, self.run, limit], |row| row.get(0))?
                .collect()
        };
        self.named(rows())
    }

    /// Commits what has been noted.
    pub(crate) fn commit(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.uncommitted) > 0 {
            let done = self.connection.execute_batch("COMMIT");
            self.named(done)?;
        }
        Ok(())
    }

    fn write(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<(), String> {
        let connection = &self.connection;
        let first = self.uncommitted == 0;
        let write = || {
            if first {
                connection.execute_batch("BEGIN IMMEDIATE")?;
            }
            connection.prepare_cached(sql)?.execute(values)
        };
        let done = write();
        self.named(done)?;
        self.uncommitted += 1;
        if self.uncommitted >= COMMIT_EVERY {
            self.commit()?;
        }
        Ok(())
    }

    fn named<T>(&self, result: rusqlite::Result<T>) -> Result<T, String> {
        result.map_err(|e| fault(&self.path, &e))
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Tells the log of an error, with the path of the file and what SQLite says of it, which may name a path as well. Returns the
/// text for the client: one of few that are known to name none.
fn fault(path: &Path, error: &rusqlite::Error) -> String {
    log::warn!("the datastore {} cannot be used: {error}", path.display());
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            return "the datastore of the task is damaged; move it away, and the next run sends every file again"
                .to_owned();
        }
        Some(ErrorCode::CannotOpen) => "it cannot be opened",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program uses it",
        Some(ErrorCode::DiskFull) => "its disk is full",
        _ => "it cannot be read or written",
    };
    format!("the datastore of the task cannot be used: {reason}")
}
