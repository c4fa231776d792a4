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

use super::check::check_whole;
use super::errors::store_error;
use super::open::connect;
use crate::store::StoreError;
use crate::store::directory::create_private;

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
    copy(&connect(path, flags, None)?, into, &|| true)
}

/// Copies the database of a connection to a file that is not there yet, checks the copy, and makes it durable. Asked between two
/// steps, `goes_on` may break it off; then the file is removed, as it is after any error.
pub(super) fn copy(
    source: &Connection,
    into: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), StoreError> {
    let copied = copy_whole(source, into, goes_on);
    if copied.is_err() {
        // It may not be there.
        let _ = std::fs::remove_file(into);
    }
    copied
}

fn copy_whole(
    source: &Connection,
    into: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), StoreError> {
    let failed = |error| store_error(&error, Path::new(source.path().unwrap_or_default()));
    source.execute_batch("BEGIN").map_err(failed)?;
    // Only a read takes the snapshot.
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    if !write(source, into, goes_on).map_err(|error| store_error(&error, into))? {
        return Err(StoreError::Closed);
    }
    complete(into)
}

/// Makes a copy that was written durable, and checks it.
pub(super) fn complete(copy: &Path) -> Result<(), StoreError> {
    let durable = File::open(copy).and_then(|file| file.sync_all());
    durable.map_err(|error| StoreError::Io(format!("{}: {error}", copy.display())))?;
    check_whole(copy)
}

/// Writes the copy, and returns false if it was broken off.
fn write(source: &Connection, into: &Path, goes_on: &dyn Fn() -> bool) -> rusqlite::Result<bool> {
    // If that fails, SQLite says why.
    drop(create_private(into));
    let mut copy = Connection::open(into)?;
    // It is synchronised once, at the end, and of no use before that.
    copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")?;
    let backup = Backup::new(source, &mut copy)?;
    loop {
        if !goes_on() {
            return Ok(false);
        }
        match backup.step(STEP)? {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => std::thread::sleep(PAUSE),
            _ => {}
        }
    }
    drop(backup);
    // One file, with no log beside it.
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(true)
}
