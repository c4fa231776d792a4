//! The store in memory: the same database, not in a file. It is read from the file `actions.db` of the data directory when it is
//! opened, and written to it when it is closed, and each interval ([`saving`]).
//!
//! All connections share one database of SQLite's virtual file system `memdb`. It has no write-ahead log, so whoever writes
//! waits for those who read, and they for it: short as that is, reads have threads of their own.

pub(super) mod saving;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::errors::store_error;
use super::files::DatabaseFiles;
use super::lock::Locks;
use super::open::{Opened, configure_connection, connect};
use super::read::Reader;
use super::reserve::Reserve;
use super::write::SizeLimit;
use super::{Durability, SqliteStore, restore, schema};
use crate::store::StoreError;
use crate::store::directory::make_directory;
use saving::Saving;

/// Maximum number of bytes of submissions and what becomes of them. SQLite has a limit of 1 GiB for such a database, and control
/// must get through.
const MAX_BYTES: u64 = 900_000_000;

/// Time between two tries of a connection that another one is in the way of, and the number of tries.
const TRY_EVERY: Duration = Duration::from_micros(100);
const TRIES: i32 = 100_000;

/// Number of pages that are read at a time.
const STEP_PAGES: i32 = 10_000;

/// Number of the databases in memory that this process has had.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl SqliteStore {
    /// Opens a store in memory. It begins with what the file `actions.db` in this directory holds, whichever store has written
    /// that, and writes that file anew when it is closed, and `every` so often if there were changes. The directory is locked.
    ///
    /// An acknowledged change is in memory alone: what came after the last time that it was written is lost if the
    /// process is killed.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteStore::open`].
    pub fn open_in_memory(directory: &Path, every: Option<Duration>) -> Result<Self, StoreError> {
        let directory = &std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        make_directory(directory)
            .map_err(|e| StoreError::Io(format!("{}: {e}", directory.display())))?;
        let path = directory.join("actions.db");
        // The file is open only while it is read or written, so it has no lock of its own.
        let locks = Locks::take(directory, &path, false)?;
        restore::complete(directory)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("file:/actiond-{number}?vfs=memdb");
        let open = move |flags: OpenFlags| {
            let connection =
                Connection::open_with_flags(&name, flags | OpenFlags::SQLITE_OPEN_URI)?;
            connection.busy_handler(Some(try_again))?;
            configure_connection(&connection)?;
            Ok(connection)
        };
        let failed = |e: rusqlite::Error| store_error(&e, &path);
        let mut connection = open(OpenFlags::default()).map_err(failed)?;
        saving::discard_half(&path);
        if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
            read_file(&path, &mut connection)?;
        }
        connection.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(())).map_err(failed)?;
        schema::prepare(&connection, Durability::Normal).map_err(|e| e.at(&path))?;
        let reader = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = open(flags).map_err(failed)?;
            Reader::new(connection, path.clone()).map_err(failed)
        };
        let files = DatabaseFiles::none(directory, locks, Instant::now());
        Self::run(
            Opened {
                connection,
                checkpointer: None,
                files,
                path: path.clone(),
                reserve: Reserve::none(directory),
                readers_at_once: 0,
                size_limit: SizeLimit::up_to(MAX_BYTES),
                saving: Some(Saving::new(path.clone(), every, Instant::now())),
                durability: "memory",
                source: None,
            },
            &reader,
        )
    }
}

/// Waits until another connection is done.
fn try_again(tries: i32) -> bool {
    std::thread::sleep(TRY_EVERY);
    tries < TRIES
}

/// Reads the database file into memory, whatever left it.
fn read_file(path: &Path, memory: &mut Connection) -> Result<(), StoreError> {
    let failed = |e: rusqlite::Error| store_error(&e, path);
    let file = connect(path, OpenFlags::default(), None)?;
    schema::prepare(&file, Durability::Full).map_err(|e| e.at(path))?;
    // What is in its log comes into the file, and the file says that it has none: there is none in memory.
    file.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(failed)?;
    let backup = Backup::new(&file, memory).map_err(failed)?;
    while backup.step(STEP_PAGES).map_err(failed)? != StepResult::Done {}
    Ok(())
}
