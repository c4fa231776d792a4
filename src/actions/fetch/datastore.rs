//! What a task remembers: each file that Ingest has accepted, with its size and time.
//!
//! One SQLite file for each task. Every run has a number; a row keeps that of the last run in which
//! its file was seen, so what has vanished is what has an older one. Rows of files that are seen
//! unchanged are written in large transactions: what is lost of them is only found again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, TransactionBehavior, params};

use super::walk::{FoundFile, Moment};

/// How many rows are written before a commit.
const COMMIT_EVERY: usize = 2_000;

/// The version of the tables.
const VERSION: i64 = 2;

/// The tables of this version.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS documents (
        path BLOB PRIMARY KEY NOT NULL,
        size INTEGER NOT NULL,
        modified_s INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        run INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
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

/// What the datastore knows of a file.
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
}

impl fmt::Debug for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datastore")
            .field("path", &self.path)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// Returns the name of a task's file; what could lead out of the directory is replaced.
pub(crate) fn file_name(task: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    format!("connector_{}_datastore.db", task.chars().map(safe).collect::<String>())
}

impl Datastore {
    /// Opens the file, or makes it, and begins a run.
    ///
    /// # Errors
    ///
    /// Here and in every other function: a text that names the file and says what is wrong with it.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let named = |e| describe(path, &e);
        let connection = Connection::open(path).map_err(named)?;
        let mut store = Self { path: path.to_owned(), connection, run: 0, uncommitted: 0 };
        store.begin().map_err(named)?;
        Ok(store)
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(Duration::from_secs(5))?;
        // A loss of the last moments is harmless, so no commit waits for the disk.
        self.connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
        // Rolled back when it is dropped before its end.
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = change.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > VERSION {
            return Err(rusqlite::Error::ToSqlConversionFailure(
                format!("it has version {version}, this program knows {VERSION}").into(),
            ));
        }
        if version == 1 {
            change.execute_batch("ALTER TABLE documents RENAME TO documents_1")?;
        }
        change.execute_batch(TABLES)?;
        if version == 1 {
            change.execute_batch(FROM_VERSION_1)?;
        }
        change.execute_batch(&format!(
            "UPDATE runs SET last = last + 1; PRAGMA user_version = {VERSION};"
        ))?;
        change.commit()?;
        self.run = self.connection.query_row("SELECT last FROM runs", [], |row| row.get(0))?;
        Ok(())
    }

    /// Returns how many files it knows.
    pub(crate) fn count(&self) -> Result<u64, String> {
        let count =
            self.connection.query_row("SELECT count(*) FROM documents", [], |row| row.get(0));
        let count: i64 = self.named(count)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Tells what it knows of a file.
    pub(crate) fn look_up(&self, file: &FoundFile) -> Result<Known, String> {
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
    pub(crate) fn accept(&mut self, file: &FoundFile) -> Result<(), String> {
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

    /// Returns paths that have not been seen in this run, in order: at most `limit`, all behind `after`.
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
        result.map_err(|e| describe(&self.path, &e))
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn describe(path: &Path, error: &rusqlite::Error) -> String {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!(
            "the datastore {path} is damaged ({error}); move it away, and the next run sends every file again"
        ),
        _ => format!("the datastore {path} cannot be used: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: i64, seconds: i64) -> FoundFile {
        at(path, size, seconds, 7)
    }

    fn at(path: &str, size: i64, seconds: i64, nanoseconds: u32) -> FoundFile {
        FoundFile { path: path.into(), size, modified: Moment { seconds, nanoseconds } }
    }

    #[test]
    fn files_are_new_changed_unchanged_or_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(file_name("DIR1"));
        let mut store = Datastore::open(&path).unwrap();
        for name in ["/a", "/b", "/c", "/d"] {
            let found = file(name, 1, 1);
            assert_eq!(store.look_up(&found), Ok(Known::New));
            store.accept(&found).unwrap();
            assert_eq!(store.look_up(&found), Ok(Known::Seen));
        }
        store.commit().unwrap();
        drop(store);

        let mut store = Datastore::open(&path).unwrap();
        assert_eq!(store.count(), Ok(4));
        assert_eq!(store.look_up(&file("/a", 1, 1)), Ok(Known::Unchanged));
        assert_eq!(store.look_up(&file("/a", 2, 1)), Ok(Known::Changed));
        assert_eq!(store.look_up(&file("/a", 1, 2)), Ok(Known::Changed));
        assert_eq!(store.look_up(&at("/a", 1, 1, 8)), Ok(Known::Changed));
        store.keep(Path::new("/a")).unwrap();
        store.keep(Path::new("/none")).unwrap();
        store.accept(&file("/b", 2, 2)).unwrap();
        assert_eq!(store.not_seen(b"", 9), Ok(vec![b"/c".to_vec(), b"/d".to_vec()]));
        assert_eq!(store.not_seen(b"", 1), Ok(vec![b"/c".to_vec()]));
        assert_eq!(store.not_seen(b"/c", 9), Ok(vec![b"/d".to_vec()]));
        store.forget(b"/c").unwrap();
        store.commit().unwrap();
        drop(store);

        let store = Datastore::open(&path).unwrap();
        assert_eq!(store.count(), Ok(3));
        assert_eq!(store.look_up(&file("/b", 2, 2)), Ok(Known::Unchanged));
    }

    #[test]
    fn what_was_not_committed_is_only_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        let mut store = Datastore::open(&path).unwrap();
        store.accept(&file("/a", 1, 1)).unwrap();
        drop(store);
        assert_eq!(Datastore::open(&path).unwrap().look_up(&file("/a", 1, 1)), Ok(Known::New));
    }

    #[test]
    fn a_file_that_is_no_datastore_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        std::fs::write(&path, "no database, but long enough to be looked at".repeat(50)).unwrap();
        let error = Datastore::open(&path).unwrap_err();
        assert!(
            error.contains("is damaged") && error.contains(&*path.to_string_lossy()),
            "{error}"
        );

        let missing = directory.path().join("none/s.db");
        assert!(Datastore::open(&missing).unwrap_err().contains("cannot be used"));
    }

    #[test]
    fn a_newer_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 3").unwrap();
        let error = Datastore::open(&path).unwrap_err();
        assert!(error.contains("version 3"), "{error}");
    }

    /// What version 1 wrote, with all of a time in nanoseconds.
    const OLD: &str = "
        CREATE TABLE documents (
            path BLOB PRIMARY KEY NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
            run INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE runs (last INTEGER NOT NULL) STRICT;
        INSERT INTO runs VALUES (4);
        INSERT INTO documents VALUES
            (CAST('/now' AS BLOB), 1, 1700000000123456789, 4), (CAST('/gone' AS BLOB), 1, 1, 3),
            (CAST('/epoch' AS BLOB), 1, 0, 4), (CAST('/whole' AS BLOB), 1, -2000000000, 4),
            (CAST('/before' AS BLOB), 1, -1, 4), (CAST('/long before' AS BLOB), 1, -1500000000, 4),
            (CAST('/first' AS BLOB), 1, -9223372036854775808, 4),
            (CAST('/last' AS BLOB), 1, 9223372036854775807, 4);
        PRAGMA user_version = 1;";

    #[test]
    fn a_datastore_of_version_1_is_read_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        Connection::open(&path).unwrap().execute_batch(OLD).unwrap();
        for _ in 0..2 {
            let store = Datastore::open(&path).unwrap();
            assert_eq!(store.count(), Ok(8));
            for (path, seconds, nanoseconds) in [
                ("/now", 1_700_000_000, 123_456_789),
                ("/gone", 0, 1),
                ("/epoch", 0, 0),
                ("/whole", -2, 0),
                ("/before", -1, 999_999_999),
                ("/long before", -2, 500_000_000),
                ("/first", -9_223_372_037, 145_224_192),
                ("/last", 9_223_372_036, 854_775_807),
            ] {
                let known = store.look_up(&at(path, 1, seconds, nanoseconds));
                assert_eq!(known, Ok(Known::Unchanged), "{path}");
                let known = store.look_up(&at(path, 1, seconds, nanoseconds ^ 1));
                assert_eq!(known, Ok(Known::Changed), "{path}");
            }
            // What stood for every later time is no time of any file.
            assert_eq!(store.look_up(&at("/last", 1, 13_569_465_600, 0)), Ok(Known::Changed));
        }
        let mut store = Datastore::open(&path).unwrap();
        assert_eq!(store.run, 7);
        store.accept(&at("/last", 1, 13_569_465_600, 0)).unwrap();
        store.commit().unwrap();
        let store = Datastore::open(&path).unwrap();
        assert_eq!(store.look_up(&at("/last", 1, 13_569_465_600, 0)), Ok(Known::Unchanged));
        assert_eq!(store.look_up(&at("/last", 1, 13_601_001_600, 0)), Ok(Known::Changed));
    }

    #[test]
    fn a_datastore_that_can_not_be_brought_up_to_date_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        let before = Connection::open(&path).unwrap();
        before.execute_batch(OLD).unwrap();
        before.execute_batch("CREATE TABLE documents_1 (x)").unwrap();
        assert!(Datastore::open(&path).unwrap_err().contains("documents_1"));
        before.execute_batch("DROP TABLE documents_1").unwrap();
        assert_eq!(Datastore::open(&path).unwrap().count(), Ok(8));
    }

    #[test]
    fn no_task_name_leads_out_of_the_directory() {
        assert_eq!(file_name("DIR1"), "connector_DIR1_datastore.db");
        assert_eq!(file_name("../x y"), "connector_.._x_y_datastore.db");
    }
}
