//! Opening the store: directory, locks, schema, reserve, connections, threads.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::available_parallelism;
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::checkpoint::Checkpointer;
use super::errors::store_error;
use super::files::DatabaseFiles;
use super::in_memory::saving::Saving;
use super::lock::Locks;
use super::read::Reader;
use super::reader_pool::ReaderPool;
use super::reserve::Reserve;
use super::threads::{Threads, read_loop, spawn, write_loop};
use super::write::{CachedTables, Parts, SizeLimit, Writer};
use super::{Durability, SqliteStore, restore, schema};
use crate::store::StoreError;
use crate::store::directory::make_directory;

impl SqliteStore {
    /// Opens the store in this directory; creates both if they do not exist.
    ///
    /// # Errors
    ///
    /// - [`StoreError::InUse`] if another server has it open;
    /// - [`StoreError::Corrupt`] and [`StoreError::TooNew`] if the file can't be used (it is left untouched);
    /// - [`StoreError::Io`] or [`StoreError::Full`] if it can't be read or written.
    pub fn open(directory: &Path, durability: Durability) -> Result<Self, StoreError> {
        Self::open_on(directory, durability, None)
    }

    /// Opens the store as [`SqliteStore::open`] does, but on a virtual file system of SQLite's (`vfs`), and with
    /// a checkpoint as soon as the log has this many pages. With `order`, only the writing and the reading
    /// threads access the files, so that the order of accesses is the same in each run.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteStore::open`].
    #[cfg(feature = "testing")]
    pub fn open_with_vfs(
        directory: &Path,
        durability: Durability,
        vfs: &str,
        checkpoint_pages: u32,
        order: bool,
    ) -> Result<Self, StoreError> {
        Self::open_on(directory, durability, Some((vfs, checkpoint_pages, order)))
    }

    fn open_on(
        directory: &Path,
        durability: Durability,
        other: Option<(&str, u32, bool)>,
    ) -> Result<Self, StoreError> {
        // The process may change its directory later. An empty path stays as it is: it means the current directory.
        let directory = &std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        make_directory(directory)
            .map_err(|e| StoreError::Io(format!("{}: {e}", directory.display())))?;
        let path = directory.join("actions.db");
        let vfs = other.map(|(vfs, ..)| vfs);
        let mut locks = Locks::take(directory, &path, vfs.is_none())?;
        if vfs.is_none() && restore::complete(directory)? {
            locks = locks.of_new_database(directory, &path)?;
        }
        let prepared = || {
            let connection = connect(&path, OpenFlags::default(), vfs)?;
            schema::prepare(&connection, durability).map_err(|e| e.at(&path))?;
            Ok(connection)
        };
        let mut reserve = Reserve::find(directory);
        let connection = match prepared() {
            Err(StoreError::Full) if reserve.release(&StoreError::Full) => prepared(),
            other => other,
        }?;
        // Only now: nothing of ours must be put beside a database that is not ours.
        reserve.create();
        if vfs.is_none() && IN_ONE_PROCESS.is_some() {
            // Left by earlier versions, which mapped it. Only this process has the database open, so nobody needs it.
            let _ = std::fs::remove_file(directory.join("actions.db-shm"));
        }
        #[cfg(feature = "testing")]
        if let Some((_, pages, _)) = other {
            reserve.checkpoint_after(u64::from(pages));
        }
        // The log exists since the connection has read. It is as much a part of the database as the file.
        connection
            .query_row("SELECT count(*) FROM meta", [], |_| Ok(()))
            .map_err(|e| store_error(&e, &path))?;
        let paths = [path.clone(), directory.join("actions.db-wal")];
        let files = DatabaseFiles::watch(paths, Some(locks), Instant::now());
        let reader = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = connect(&path, flags, vfs)?;
            Reader::new(connection, path.clone()).map_err(|e| store_error(&e, &path))
        };
        let beside = other.is_none_or(|(_, _, order)| !order);
        let checkpointer = if beside {
            let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, vfs)?;
            Some(Checkpointer::start(connection)?)
        } else {
            None
        };
        let cores = || available_parallelism().map_or(1, NonZero::get);
        let opened = Opened {
            connection,
            checkpointer,
            files,
            path: path.clone(),
            reserve,
            readers_at_once: if beside { cores() } else { 0 },
            size_limit: SizeLimit::up_to(u64::MAX),
            saving: None,
            durability: match durability {
                Durability::Full => "full",
                Durability::Normal => "normal",
            },
            source: Some(Arc::new({
                let path = path.clone();
                move || connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, None)
            })),
        };
        Self::run(opened, &reader)
    }

    /// Starts the threads of a store; `reader` opens a connection that reads.
    pub(super) fn run(
        opened: Opened,
        reader: &dyn Fn() -> Result<Reader, StoreError>,
    ) -> Result<Self, StoreError> {
        let tables =
            CachedTables::read(&opened.connection).map_err(|e| store_error(&e, &opened.path))?;
        let mut threads = Threads::default();
        let mut reading = |name| {
            let reader = reader()?;
            let (sender, jobs) = mpsc::channel();
            threads.reading.push(spawn(name, move || read_loop(&reader, &jobs))?);
            Ok::<_, StoreError>(sender)
        };
        let (single, pages) = (reading("actiond-read")?, reading("actiond-list")?);
        let pool = (0..opened.readers_at_once).map(|_| reader()).collect::<Result<_, _>>()?;
        let pool = Arc::new(ReaderPool::new(pool));
        let (write_sender, write_jobs) = mpsc::channel();
        let source = opened.source.clone();
        let (size_limit, durability) = (opened.size_limit.clone(), opened.durability);
        let unsaved = opened.saving.as_ref().map(Saving::failed);
        threads.writing = Some(spawn("actiond-write", {
            let pool = Arc::clone(&pool);
            move || {
                let Opened { connection, checkpointer, mut files, path, reserve, saving, .. } =
                    opened;
                let writer = Writer::new(Parts {
                    connection: &connection,
                    path,
                    files: &mut files,
                    reserve,
                    tables,
                    pool,
                    checkpointer,
                    size_limit: opened.size_limit,
                    saving,
                });
                write_loop(writer, &write_jobs);
                // Before the locks, which `files` holds.
                drop(connection);
            }
        })?);
        Ok(Self {
            source,
            writer: write_sender,
            pool,
            single,
            pages,
            durability,
            size_limit,
            unsaved,
            threads: Arc::new(Mutex::new(threads)),
        })
    }
}

/// An open database, and what its threads need beside it. The connections are dropped before the locks, which `files` holds.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) checkpointer: Option<Checkpointer>,
    pub(super) files: DatabaseFiles,
    pub(super) path: PathBuf,
    pub(super) reserve: Reserve,
    /// Number of connections for reads on the callers' threads.
    pub(super) readers_at_once: usize,
    pub(super) size_limit: SizeLimit,
    pub(super) saving: Option<Saving>,
    pub(super) durability: &'static str,
    /// `None` if only the writer can copy the database while work goes on.
    pub(super) source: Option<Source>,
}

/// Opens a connection from which the database is copied.
pub(super) type Source = Arc<dyn Fn() -> Result<Connection, StoreError> + Send + Sync>;

/// The virtual file system of SQLite's that locks the database for this process alone, and so keeps the index of the log
/// in memory. The default one maps a file, `actions.db-shm`: if that can't be written any more, or is truncated, the
/// system kills the process. See `docs/adr/0020-the-index-of-the-log-is-in-memory.md`.
#[cfg(unix)]
const IN_ONE_PROCESS: Option<&str> = Some("unix-excl");
#[cfg(not(unix))]
const IN_ONE_PROCESS: Option<&str> = None;

pub(super) fn connect(
    path: &Path,
    flags: OpenFlags,
    vfs: Option<&str>,
) -> Result<Connection, StoreError> {
    let connection = match vfs.or(IN_ONE_PROCESS) {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }
    .map_err(|e| store_error(&e, path))?;
    configure_connection(&connection).map_err(|e| store_error(&e, path))?;
    Ok(connection)
}

pub(super) fn configure_connection(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(128);
    // Without it, a statement that could use a partial index is planned again for each value bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}
