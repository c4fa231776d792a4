//! The embedded store: one SQLite file, one thread that writes, one that makes checkpoints, two that read.
//!
//! - opening, the threads and their channels: this file;
//! - what keeps a second server away: `lock`;
//! - tables and indexes: `schema`;
//! - what the writing thread does: transactions in `write`, each change in `changes` and `starts`, what is
//!   deleted in `retention`, what is kept in memory of actions that wait in `parameter_cache`, what is kept
//!   back for a full disk in `reserve`, what else the system refuses in `limits`, whether the file is still where it was in `files`;
//! - how the write-ahead log stays short: `checkpoint`;
//! - how actions are read: single ones in `read`, by the reading thread or by who asks (`reader_pool`),
//!   pages of listings in `list`, past what is damaged in `salvage`;
//! - what the columns hold: `rows`; what errors mean: `errors`.
//!
//! Group commit has no timer: whatever arrived while the last transaction was made durable goes
//! into the next one, from all queues together; their batches (`pending`) are sealed as it begins. Reads
//! that wait share a snapshot in the same way, and have their turns by how soon they are done (`turns`).

mod changes;
mod checkpoint;
mod errors;
mod files;
mod limits;
mod list;
mod lock;
#[cfg(unix)]
mod own_files;
mod parameter_cache;
mod pending;
mod read;
mod reader_pool;
mod reserve;
mod retention;
mod rows;
mod salvage;
mod schema;
mod starts;
mod turns;
mod within;
mod write;

use std::fs::File;
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::action::{ActionId, Parameters};
use crate::store::query::{Cursor, Page, PageLimit, Query};
use crate::store::{QueueId, QueueState, Record, RecordWithin, Seal, Store, StoreError};
use checkpoint::Checkpointer;
use errors::store_error;
use files::DatabaseFiles;
#[cfg(unix)]
pub use own_files::{OwnFiles, is_own_inode, look_at_own_files, was_own_inode};

use lock::Locks;
use pending::PendingBatch;
use read::Reader;
use reader_pool::ReaderPool;
use reserve::Reserve;
use turns::{Turn, Turns};
use write::{Known, Writer};

/// How safe an acknowledged change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// On disk (fsync) before it is acknowledged.
    #[default]
    Full,
    /// With the operating system: it survives a crash of the process, not of the machine.
    Normal,
}

/// A store in one SQLite file, `actions.db` in the data directory.
#[derive(Debug)]
pub struct SqliteStore {
    writer: mpsc::Sender<WriteJob>,
    /// Reads of one action: short, many. Who asks does them.
    pool: Arc<ReaderPool>,
    /// Those that had better not be done by who asks.
    single: mpsc::Sender<ReadJob>,
    /// Pages of listings: longer, few. A thread of their own keeps them from delaying polls.
    pages: mpsc::Sender<ReadJob>,
    durability: Durability,
    threads: Arc<Mutex<Threads>>,
}

#[derive(Debug, Default)]
struct Threads {
    reading: Vec<JoinHandle<()>>,
    writing: Option<JoinHandle<()>>,
}

enum WriteJob {
    Open(String, oneshot::Sender<Result<QueueState, StoreError>>),
    Commit(PendingBatch),
    Close(oneshot::Sender<()>),
}

enum ReadJob {
    Run(Turn, Box<dyn FnOnce(&Reader) + Send>),
    Close,
}

/// How many jobs one transaction takes at most, so that its first caller does not wait for ever.
const MAX_GROUP: usize = 256;

impl SqliteStore {
    /// Opens the store in this directory, making both if they are not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another server has it open, [`StoreError::Corrupt`] and
    /// [`StoreError::TooNew`] if the file can't be used as it is (it is left untouched), and
    /// [`StoreError::Io`] or [`StoreError::Full`] if it can't be read or written.
    pub fn open(directory: &Path, durability: Durability) -> Result<Self, StoreError> {
        Self::open_on(directory, durability, None)
    }

    /// Opens the store as [`SqliteStore::open`] does, but on the files of this virtual file system of
    /// SQLite's, and with a checkpoint as soon as the log has this many pages. If it is to keep `order`,
    /// nothing is done beside its writing and its reading threads.
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
        // The process may go to another directory meanwhile. An empty path, which stays as it is, is the one it is in.
        let directory = &std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        make_directory(directory)
            .map_err(|e| StoreError::Io(format!("{}: {e}", directory.display())))?;
        let path = directory.join("actions.db");
        let vfs = other.map(|(vfs, ..)| vfs);
        let locks = Locks::take(directory, &path, vfs.is_none())?;
        let prepared = || {
            let connection = connect(&path, OpenFlags::default(), vfs)?;
            schema::prepare(&connection, durability).map_err(|e| e.at(&path))?;
            Ok(connection)
        };
        let mut reserve = Reserve::find(directory);
        let connection = match prepared() {
            Err(StoreError::Full) if reserve.give(&StoreError::Full) => prepared(),
            other => other,
        }?;
        // Only now: a database that is not ours must find nothing of ours beside it.
        reserve.make();
        if vfs.is_none() && IN_ONE_PROCESS.is_some() {
            // Earlier versions mapped it. This process alone has the database open, so nobody needs it.
            let _ = std::fs::remove_file(directory.join("actions.db-shm"));
        }
        #[cfg(feature = "testing")]
        if let Some((_, pages, _)) = other {
            reserve.checkpoint_after(u64::from(pages));
        }
        let known = Known::read(&connection).map_err(|e| store_error(&e, &path))?;
        // The log is there since the connection has read; it is as much of the database as the file.
        let paths = [path.clone(), directory.join("actions.db-wal")];
        let mut files = DatabaseFiles::note(paths, Some(locks), Instant::now());
        let reader = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = connect(&path, flags, vfs)?;
            Reader::new(connection, path.clone()).map_err(|e| store_error(&e, &path))
        };
        let mut threads = Threads::default();
        let mut reading = |name| {
            let reader = reader()?;
            let (sender, jobs) = mpsc::channel();
            threads.reading.push(spawn(name, move || read_loop(&reader, &jobs))?);
            Ok::<_, StoreError>(sender)
        };
        let (single, pages) = (reading("actiond-read")?, reading("actiond-list")?);
        let beside = other.is_none_or(|(_, _, order)| !order);
        let at_once = if beside { available_parallelism().map_or(1, NonZero::get) } else { 0 };
        let pool = (0..at_once).map(|_| reader()).collect::<Result<_, _>>()?;
        let pool = Arc::new(ReaderPool::new(pool));
        let checkpointer = if beside {
            let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, vfs)?;
            Some(Checkpointer::start(connection)?)
        } else {
            None
        };
        let (write_sender, write_jobs) = mpsc::channel();
        threads.writing = Some(spawn("actiond-write", {
            let pool = Arc::clone(&pool);
            move || {
                let files = &mut files;
                let writer =
                    Writer::new(&connection, path, files, reserve, known, pool, checkpointer);
                write_loop(writer, &write_jobs);
                // Before the locks, which the files have.
                drop(connection);
            }
        })?);
        Ok(Self {
            writer: write_sender,
            pool,
            single,
            pages,
            durability,
            threads: Arc::new(Mutex::new(threads)),
        })
    }
}

/// Gives a thread something to do, and returns its answer: [`StoreError::Closed`] if the thread has ended.
fn ask<T: Send + 'static, Job>(
    thread: &mpsc::Sender<Job>,
    job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
) -> BoxFuture<'static, Result<T, StoreError>> {
    let (reply, answer) = oneshot::channel();
    // What can't be sent comes back and is dropped, and the sender of the answer with it.
    drop(thread.send(job(reply)));
    answer.map(|answer| answer.unwrap_or(Err(StoreError::Closed))).boxed()
}

fn read<T: Send + 'static>(
    thread: &mpsc::Sender<ReadJob>,
    turn: Turn,
    job: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
) -> BoxFuture<'static, Result<T, StoreError>> {
    // The caller may have gone; then nobody wants the answer.
    ask(thread, |reply| ReadJob::Run(turn, Box::new(move |reader| drop(reply.send(job(reader))))))
}

impl Store for SqliteStore {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        let name = name.to_owned();
        ask(&self.writer, |reply| WriteJob::Open(name, reply))
    }

    fn enlist(&self, seal: Seal) {
        // What can't be sent comes back, and is answered as it is dropped.
        drop(self.writer.send(WriteJob::Commit(PendingBatch::new(seal))));
    }

    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        read(&self.single, Turn::Short, move |reader| reader.queue_state(queue))
    }

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        let record = move |reader: &Reader| reader.record(queue, id);
        match self.pool.read(record) {
            Some(record) => ready(record).boxed(),
            None => read(&self.single, Turn::Short, record),
        }
    }

    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>> {
        read(&self.single, Turn::Short, move |reader| reader.parameters(queue, id))
    }

    fn record_within(
        &self,
        queue: QueueId,
        id: ActionId,
        most: usize,
    ) -> BoxFuture<'static, Result<Option<RecordWithin>, StoreError>> {
        let record = move |reader: &Reader| reader.record_up_to(queue, id, most);
        match self.pool.read(record) {
            Some(record) => ready(record).boxed(),
            None => read(&self.single, Turn::Short, record),
        }
    }

    fn parameters_within(
        &self,
        queue: QueueId,
        id: ActionId,
        most: usize,
    ) -> BoxFuture<'static, Result<Option<Result<Parameters, usize>>, StoreError>> {
        read(&self.single, Turn::Short, move |reader| reader.parameters_up_to(queue, id, most))
    }

    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>> {
        let turn = Turn::of(&cursor, limit);
        read(&self.pages, turn, move |reader| reader.page(queue, &query, cursor, limit))
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let _ = self.single.send(ReadJob::Close);
        let _ = self.pages.send(ReadJob::Close);
        let (writer, threads) = (self.writer.clone(), Arc::clone(&self.threads));
        let pool = Arc::clone(&self.pool);
        async move {
            pool.close();
            let threads =
                std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
            // The readers first: SQLite removes the log only if the connection that can write is the
            // last one. Each holds no more than the reads that were asked for before.
            for thread in threads.reading {
                let _ = thread.join();
            }
            let (reply, written) = oneshot::channel();
            if writer.send(WriteJob::Close(reply)).is_ok() {
                let _ = written.await;
            }
            if let Some(thread) = threads.writing {
                let _ = thread.join();
            }
        }
        .boxed()
    }

    fn durability(&self) -> &'static str {
        match self.durability {
            Durability::Full => "full",
            Durability::Normal => "normal",
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|e| StoreError::Io(format!("can't start the thread {name}: {e}")))
}

/// Takes whatever waits, writes it as one transaction, answers, and so on.
fn write_loop(mut writer: Writer<'_>, jobs: &mpsc::Receiver<WriteJob>) {
    loop {
        let next = if writer.something_runs() {
            jobs.recv_timeout(files::EVERY)
        } else {
            jobs.recv().map_err(RecvTimeoutError::from)
        };
        let first = match next {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                writer.look_at_files();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                WriteJob::Commit(due) => group.push(due),
                WriteJob::Open(name, reply) => {
                    // Order matters: a queue that is rebuilt must see its old batches applied.
                    writer.commit(&mut group);
                    let _ = reply.send(writer.open_queue(&name));
                }
                WriteJob::Close(reply) => {
                    writer.commit(&mut group);
                    writer.close();
                    let _ = reply.send(());
                    return;
                }
            }
            next = if group.len() < MAX_GROUP { jobs.try_recv().ok() } else { None };
        }
        writer.commit(&mut group);
    }
    writer.close();
}

/// Takes whatever waits, reads on one snapshot what has its turn, and so on. What was asked for after the close is
/// dropped.
fn read_loop(reader: &Reader, jobs: &mpsc::Receiver<ReadJob>) {
    let (mut open, mut turns) = (true, Turns::new());
    while open || !turns.is_empty() {
        let mut taken = 0;
        while open && taken < MAX_GROUP {
            let next = if turns.is_empty() {
                jobs.recv().unwrap_or(ReadJob::Close)
            } else {
                let Ok(next) = jobs.try_recv() else { break };
                next
            };
            match next {
                ReadJob::Run(turn, job) => turns.wait(turn, job),
                ReadJob::Close => open = false,
            }
            taken += 1;
        }
        // The snapshot is taken after the last of these jobs has arrived, so each of them sees
        // every change that was acknowledged before its caller asked.
        reader.in_snapshot(|| {
            for job in turns.next() {
                job(reader);
            }
        });
    }
}

/// Makes the directory and those above it, and their names durable: SQLite syncs only names in it.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    let parents = directory.ancestors().take_while(|path| !path.is_dir()).filter_map(Path::parent);
    let parents: Vec<&Path> = parents.collect();
    std::fs::create_dir_all(directory)?;
    for parent in parents {
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        // Not every system lets a directory be opened and synced; SQLite passes over that too.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    Ok(())
}

/// The file system of SQLite's that locks the database for this process alone, and so keeps the index of the log in this
/// process's memory. By its ordinary one that is a mapped file, `actions.db-shm`: where such a file takes no change any more, or
/// is cut short, the system ends the whole process: `docs/adr/0020-the-index-of-the-log-is-in-memory.md`.
#[cfg(unix)]
const IN_ONE_PROCESS: Option<&str> = Some("unix-excl");
#[cfg(not(unix))]
const IN_ONE_PROCESS: Option<&str> = None;

fn connect(path: &Path, flags: OpenFlags, vfs: Option<&str>) -> Result<Connection, StoreError> {
    let connection = match vfs.or(IN_ONE_PROCESS) {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }
    .map_err(|e| store_error(&e, path))?;
    connection.set_prepared_statement_cache_capacity(128);
    // Else a statement that could use a partial index is planned anew for each value that is bound to it.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|e| store_error(&e, path))?;
    Ok(connection)
}
