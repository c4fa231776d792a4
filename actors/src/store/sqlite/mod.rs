//! The embedded store: one SQLite file, one thread that writes, one that makes checkpoints, two that read.
//!
//! - opening: `open`; tables and indexes: `schema`; the lock that keeps a second server away: `lock`;
//! - the threads and their jobs: `threads`, batches that wait for the writer: `store::pending`;
//! - the writer: transactions in `write`, each change in `changes`, `starts` and `attempts`, actions that may not start yet
//!   in `deferred`, deletion in `deletion`, that of old actions in `retention`, the parameters of waiting actions in `parameter_cache`;
//! - a full disk and other limits: disk space kept in reserve in `reserve`, limits of the system in `limits`;
//! - checks that nobody else moved or changed the files: `files`; files that this process must not open: `own_files`;
//! - the same in memory, written to the file now and then: `in_memory`;
//! - checkpoints of the write-ahead log: `checkpoint`;
//! - reads: single actions in `read` and `within`, by the reading thread or on the caller's (`reader_pool`); pages of
//!   listings in `list`, on damaged files in `salvage`; the order of waiting reads in `read_queue`; sizes in `size`; the oldest
//!   waiting actions in `waiting`;
//! - copies of the database while work goes on: `backup`; checks of such a copy: `check`; what takes the place of the database at a
//!   start: `restore`;
//! - rewriting a database that no server uses: `compact`;
//! - moving to and from another kind of store: `moving`;
//! - events for handlers: `outbox`; schedules: `schedules`;
//! - columns: `rows`; errors: `errors`.
//!
//! Group commit has no timer: everything that arrived while the last transaction was made durable goes
//! into the next one, from all queues together. Batches are sealed as the transaction begins. Reads
//! that wait share a snapshot in the same way.

mod attempts;
mod backup;
mod changes;
mod check;
mod checkpoint;
mod compact;
mod deferred;
mod deletion;
mod details;
mod errors;
mod files;
mod in_memory;
mod limits;
mod list;
mod lock;
mod many;
#[cfg(feature = "postgres")]
pub(in crate::store) mod moving;
mod open;
mod outbox;
#[cfg(unix)]
mod own_files;
mod parameter_cache;
mod read;
mod read_queue;
mod reader_pool;
mod reserve;
mod restore;
mod retention;
mod rows;
mod salvage;
mod schedules;
mod schema;
mod size;
mod starts;
mod threads;
mod waiting;
mod within;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

use crate::action::{ActionId, Parameters, Timestamp};
use crate::store::pending::PendingBatch;
use crate::store::query::{Cursor, IdPage, Page, PageLimit, Query};
use crate::store::{
    EventId, EventPage, HandlerId, OutboxState, PastAttempt, QueueId, QueueState, Record,
    RecordWithin, ScheduleState, Seal, Store, StoreError, StoreSize,
};
pub use backup::copy_database;
pub use check::{CopyContent, check_copy, check_whole, prepare_copy, settle};
pub use compact::Compacted;
use open::Source;
#[cfg(unix)]
pub use own_files::{OwnFiles, is_own_inode, look_at_own_files, was_own_inode};
use read::Reader;
use read_queue::ReadClass;
use reader_pool::ReaderPool;
pub use restore::{Restore, Unused};
use threads::{ReadJob, Threads, WriteJob, ask, read};
use write::SizeLimit;

/// Durability of an acknowledged change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The change is on disk (fsync) before it is acknowledged.
    #[default]
    Full,
    /// The operating system has the change: it survives a crash of the process, not of the machine.
    Normal,
}

/// A store in one SQLite file, `actions.db` in the data directory.
pub struct SqliteStore {
    source: Option<Source>,
    writer: mpsc::Sender<WriteJob>,
    /// For reads of one action on the caller's thread: they are many and short.
    pool: Arc<ReaderPool>,
    /// For reads of one action that might block the caller.
    single: mpsc::Sender<ReadJob>,
    /// For pages of listings: few and long. Their own thread keeps them from delaying polls.
    pages: mpsc::Sender<ReadJob>,
    durability: &'static str,
    size_limit: SizeLimit,
    /// True while the file of a database in memory can't be written.
    unsaved: Option<Arc<AtomicBool>>,
    threads: Arc<Mutex<Threads>>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("durability", &self.durability).finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        let name = name.to_owned();
        ask(&self.writer, |reply| WriteJob::Open(name, reply))
    }

    fn enlist(&self, seal: Seal) {
        // If the thread has ended, the batch comes back and is answered as it is dropped.
        drop(self.writer.send(WriteJob::Commit(PendingBatch::new(seal))));
    }

    fn open_handler(&self, name: &str) -> BoxFuture<'static, Result<HandlerId, StoreError>> {
        let name = name.to_owned();
        ask(&self.writer, |reply| WriteJob::OpenHandler(name, reply))
    }

    fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>> {
        read(&self.single, ReadClass::Short, move |reader| {
            reader.events(handler, after, &except, limit)
        })
    }

    fn outbox_state(
        &self,
        handler: HandlerId,
    ) -> BoxFuture<'static, Result<OutboxState, StoreError>> {
        read(&self.pages, ReadClass::Short, move |reader| reader.outbox_state(handler))
    }

    fn schedules(&self) -> BoxFuture<'static, Result<Vec<ScheduleState>, StoreError>> {
        read(&self.single, ReadClass::Short, Reader::schedules)
    }

    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        read(&self.single, ReadClass::Short, move |reader| reader.queue_state(queue))
    }

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        let record = move |reader: &Reader| reader.record(queue, id);
        match self.pool.read(record) {
            Some(record) => ready(record).boxed(),
            None => read(&self.single, ReadClass::Short, record),
        }
    }

    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>> {
        read(&self.single, ReadClass::Short, move |reader| reader.history(queue, id))
    }

    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>> {
        read(&self.single, ReadClass::Short, move |reader| reader.parameters(queue, id))
    }

    fn record_within(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> BoxFuture<'static, Result<Option<RecordWithin>, StoreError>> {
        let record = move |reader: &Reader| reader.record_up_to(queue, id, max_bytes);
        match self.pool.read(record) {
            Some(record) => ready(record).boxed(),
            None => read(&self.single, ReadClass::Short, record),
        }
    }

    fn parameters_within(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> BoxFuture<'static, Result<Option<Result<Parameters, usize>>, StoreError>> {
        read(&self.single, ReadClass::Short, move |reader| {
            reader.parameters_up_to(queue, id, max_bytes)
        })
    }

    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>> {
        let class = ReadClass::of(&cursor, limit);
        read(&self.pages, class, move |reader| reader.page(queue, &query, cursor, limit))
    }

    fn backup(&self, into: PathBuf) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let Some(source) = self.source.clone() else {
            return Some(ask(&self.writer, |reply| WriteJob::Copy(into, reply)));
        };
        let (reply, answer) = oneshot::channel();
        // It takes long, and a thread of its own holds nobody up. Who does not wait any more does not want it.
        let copy = move || {
            let copied =
                source().and_then(|source| backup::copy(&source, &into, &|| !reply.is_closed()));
            if reply.send(copied).is_err() {
                let _ = std::fs::remove_file(&into);
            }
        };
        let started = threads::spawn("actiond-backup", copy);
        let copied = async move {
            started?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        };
        Some(copied.boxed())
    }

    fn size(&self) -> BoxFuture<'static, Result<Option<StoreSize>, StoreError>> {
        read(&self.single, ReadClass::Short, |reader| reader.size().map(Some))
    }

    fn oldest_waiting(
        &self,
        queues: Vec<QueueId>,
    ) -> BoxFuture<'static, Result<Option<Vec<Option<Timestamp>>>, StoreError>> {
        read(&self.single, ReadClass::Short, move |reader| reader.oldest_waiting(&queues).map(Some))
    }

    fn page_of_ids(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        actions: usize,
    ) -> BoxFuture<'static, Result<IdPage, StoreError>> {
        let class = ReadClass::of(&cursor, actions.into());
        read(&self.pages, class, move |reader| reader.page_of_ids(queue, &query, cursor, actions))
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
            // The readers first: SQLite removes the log only if the connection that can write is closed last.
            // Each still does the reads that were queued before.
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

    fn is_available(&self) -> bool {
        self.unsaved.as_ref().is_none_or(|unsaved| !unsaved.load(Ordering::Relaxed))
    }

    fn limit_bytes(&self, limit: Option<u64>) {
        self.size_limit.set(limit);
    }

    fn durability(&self) -> &'static str {
        self.durability
    }
}
