//! A copy of the database as it stood at one moment, made by SQLite's own backup while work goes on.
//!
//! The copy has a connection of its own, which holds one snapshot from the first page to the last: without it, each change that
//! is written meanwhile would make SQLite begin anew. The log can't be shortened for as long as that takes.
//!
//! A database in memory has no log, so such a snapshot would hold up who writes. Its copy is made by the writer (`write/to_files`).

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::errors::store_error;
use super::open::connect;
use super::schema::{self, PrepareError};
use crate::store::StoreError;

/// Number of pages that are copied before others get a turn: 4 MB.
const STEP: i32 = 1_024;
/// Time for which a copy waits that another connection is in the way of.
const PAUSE: Duration = Duration::from_millis(20);

/// Copies a database of SQLite's to a file that is not there yet, as it stands at one moment, checks the copy, and makes it durable.
/// This process may have the database open, and write to it meanwhile; no other may.
///
/// # Errors
///
/// - [`StoreError::Corrupt`] if the database is damaged;
/// - [`StoreError::Io`] or [`StoreError::Full`] if it can't be read, or the copy can't be written.
pub fn copy_database(path: &Path, into: &Path) -> Result<(), StoreError> {
    // One that nobody has open may need its log to be made before it can be read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    copy(&connect(path, flags, None)?, into)
}

/// Copies the database of a connection to a file that is not there yet, checks the copy, and makes it durable.
pub(super) fn copy(source: &Connection, into: &Path) -> Result<(), StoreError> {
    let failed = |error| store_error(&error, Path::new(source.path().unwrap_or_default()));
    source.execute_batch("BEGIN").map_err(failed)?;
    // Only a read takes the snapshot.
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    write(source, into).map_err(|error| store_error(&error, into))?;
    complete(into)
}

/// Makes a copy that was written durable, and checks it.
pub(super) fn complete(copy: &Path) -> Result<(), StoreError> {
    let durable = File::open(copy).and_then(|file| file.sync_all());
    durable.map_err(|error| StoreError::Io(format!("{}: {error}", copy.display())))?;
    check_whole(copy)
}

fn write(source: &Connection, into: &Path) -> rusqlite::Result<()> {
    make_private(into);
    let mut copy = Connection::open(into)?;
    // It is synchronised once, at the end.
    copy.execute_batch("PRAGMA synchronous = OFF")?;
    let backup = Backup::new(source, &mut copy)?;
    loop {
        match backup.step(STEP)? {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => std::thread::sleep(PAUSE),
            _ => {}
        }
    }
    drop(backup);
    // One file, with no log beside it.
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)
}

/// Makes the file so that nobody else can read it. If that fails, SQLite says why.
pub(super) fn make_private(path: &Path) {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(path));
}

/// Checks that a database of SQLite's, which nobody has open, is not damaged.
///
/// # Errors
///
/// - [`StoreError::Corrupt`] if it is damaged, or no database;
/// - [`StoreError::Io`] if it can't be read.
pub fn check_whole(path: &Path) -> Result<(), StoreError> {
    let found = alone(path).and_then(|database| {
        database.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    });
    match found.map_err(|error| store_error(&error, path))?.as_str() {
        "ok" => Ok(()),
        reason => Err(StoreError::Corrupt { path: path.to_owned(), reason: reason.to_owned() }),
    }
}

/// The content of a copy of the store's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyContent {
    /// Number of its actions.
    pub actions: u64,
    /// Number of those that ran when it was made.
    pub running: u64,
}

/// Checks that a file, which nobody has open, is a whole database of actions that this version can open, and returns what it holds.
///
/// # Errors
///
/// - [`StoreError::Corrupt`] if it is damaged or not a database of actions;
/// - [`StoreError::TooNew`] if a newer version wrote it;
/// - [`StoreError::Io`] if it can't be read.
pub fn check_copy(path: &Path) -> Result<CopyContent, StoreError> {
    check_whole(path)?;
    let failed = |error| store_error(&error, path);
    let database = alone(path).map_err(failed)?;
    match schema::check(&database) {
        Ok(1..) => {}
        // An empty database has format 0.
        Ok(_) => return Err(PrepareError::Foreign.at(path)),
        Err(error) => return Err(error.at(path)),
    }
    let counted = "SELECT count(*), count(*) FILTER (WHERE state BETWEEN 1 AND 3) FROM action";
    let content = database.query_row(counted, [], |row| {
        Ok(CopyContent { actions: row.get(0)?, running: row.get(1)? })
    });
    content.map_err(failed)
}

fn alone(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}
