//! The store: a thread that applies batches one after the other, and reads under the lock of the data.

use std::fmt;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actiond_actors::store::query::{Cursor, Page, PageLimit, Query};
use actiond_actors::store::{
    BatchAnswer, EventId, EventPage, HandlerId, NoticeSink, OutboxState, OwnerId, PastAttempt,
    QueueId, QueueState, Record, Renewal, ScheduleState, Seal, Store, StoreError,
};
use actiond_actors::{ActionId, Parameters};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::data::Data;

/// A database that several stores may have open at once, as servers do. Clones are the same database.
#[derive(Clone)]
pub(crate) struct Database(Arc<Shared>);

struct Shared {
    data: Mutex<Data>,
    lease: Duration,
    /// The database's own clock, by which leases expire.
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Database {
    /// Makes an empty database, with leases of this length by this clock.
    #[must_use]
    pub(crate) fn new(
        lease: Duration,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared { data: Mutex::default(), lease, clock: Box::new(clock) }))
    }

    /// Opens it as a new owner.
    ///
    /// # Errors
    ///
    /// Fails if the writing thread can't be started.
    pub(crate) fn open(&self) -> Result<MemoryStore, StoreError> {
        let owner = self.0.data().new_owner(self.0.end_of_lease());
        let open = Arc::new(Mutex::new(Open { owner: Some(owner), last: owner }));
        let (jobs, received) = mpsc::channel();
        let thread = std::thread::Builder::new().name("memory-store".to_owned()).spawn({
            let (shared, open) = (Arc::clone(&self.0), Arc::clone(&open));
            move || write(&shared, &open, &received)
        });
        let thread = thread.map_err(|e| StoreError::Io(format!("no thread: {e}")))?;
        let thread = Mutex::new(Some(thread));
        Ok(MemoryStore { shared: Arc::clone(&self.0), open, jobs, thread })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Shared {
    fn data(&self) -> MutexGuard<'_, Data> {
        lock(&self.data)
    }

    fn end_of_lease(&self) -> Duration {
        (self.clock)().saturating_add(self.lease)
    }
}

/// One server's way to the database.
pub(crate) struct MemoryStore {
    shared: Arc<Shared>,
    open: Arc<Mutex<Open>>,
    jobs: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Open {
    /// The owner; `None` once the store is closed.
    owner: Option<OwnerId>,
    last: OwnerId,
}

enum Job {
    Batch(Enlisted),
    Close,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("owner", &self.owner()).finish_non_exhaustive()
    }
}

/// A batch that waits for its turn. If it is dropped before, it is answered with an error.
struct Enlisted(Option<Seal>);

impl Enlisted {
    fn seal(mut self) -> Option<(actiond_actors::store::Batch, BatchAnswer)> {
        self.0.take().map(|seal| seal())
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        if let Some(seal) = self.0.take() {
            let (_, answer) = seal();
            answer(Err(StoreError::Closed));
        }
    }
}

/// Applies batches one after the other: each is sealed when its turn comes, applied, answered, and only then are other
/// owners notified.
fn write(shared: &Shared, open: &Mutex<Open>, jobs: &mpsc::Receiver<Job>) {
    while let Ok(Job::Batch(enlisted)) = jobs.recv() {
        let Some((batch, answer)) = enlisted.seal() else { continue };
        let Some(owner) = lock(open).owner else {
            answer(Err(StoreError::Closed));
            continue;
        };
        let (reply, notices) = shared.data().apply(&batch, owner, (shared.clock)());
        answer(reply);
        for (sink, notice) in notices {
            sink(notice);
        }
    }
}

impl MemoryStore {
    /// Reads the data at once, unless the store is closed.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Data) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        ready(self.with(|_, data| Ok(read(data)))).boxed()
    }

    fn with<T>(
        &self,
        act: impl FnOnce(OwnerId, &mut Data) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let owner = lock(&self.open).owner.ok_or(StoreError::Closed)?;
        act(owner, &mut self.shared.data())
    }
}

impl Store for MemoryStore {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        ready(self.with(|_, data| Ok(data.open_queue(name)))).boxed()
    }

    fn enlist(&self, seal: Seal) {
        // If the thread has ended, the batch comes back and is answered as it is dropped.
        drop(self.jobs.send(Job::Batch(Enlisted(Some(seal)))));
    }

    fn schedules(&self) -> BoxFuture<'static, Result<Vec<ScheduleState>, StoreError>> {
        self.read(|data| data.schedules.values().cloned().collect())
    }

    fn open_handler(&self, name: &str) -> BoxFuture<'static, Result<HandlerId, StoreError>> {
        ready(self.with(|_, data| Ok(data.outbox.open(name)))).boxed()
    }

    fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>> {
        self.read(|data| data.outbox.page(handler, after, &except, limit))
    }

    fn outbox_state(
        &self,
        handler: HandlerId,
    ) -> BoxFuture<'static, Result<OutboxState, StoreError>> {
        self.read(|data| data.outbox.state(handler))
    }

    fn lead(&self, handler: HandlerId) -> BoxFuture<'static, Result<bool, StoreError>> {
        let now = (self.shared.clock)();
        ready(self.with(|owner, data| Ok(data.lead(handler, owner, now)))).boxed()
    }

    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        ready(self.with(|_, data| data.queue(queue).map(|found| found.state(queue)))).boxed()
    }

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        self.read(|data| data.queue(queue).ok().and_then(|queue| queue.record(id)))
    }

    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>> {
        self.read(|data| {
            let row = data.queue(queue).ok().and_then(|queue| queue.rows.get(&id));
            row.map(|row| row.past.clone()).unwrap_or_default()
        })
    }

    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>> {
        self.read(|data| {
            let row = data.queue(queue).ok().and_then(|queue| queue.rows.get(&id));
            row.and_then(|row| row.parameters.clone())
        })
    }

    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>> {
        ready(self.with(|_, data| Ok(data.queue(queue)?.page(&query, cursor, limit)))).boxed()
    }

    fn owner(&self) -> OwnerId {
        lock(&self.open).last
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.shared.lease)
    }

    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        let end = self.shared.end_of_lease();
        ready(self.with(|owner, data| Ok(data.renew(owner, end)))).boxed()
    }

    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        let end = self.shared.end_of_lease();
        let new = self.with(|former, data| Ok(data.succeed(former, end)));
        if let Ok(owner) = new {
            *lock(&self.open) = Open { owner: Some(owner), last: owner };
        }
        ready(new).boxed()
    }

    fn notices(&self, sink: NoticeSink) {
        let _ = self.with(|owner, data| {
            data.listen(owner, sink);
            Ok(())
        });
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        // Batches that were enlisted before are written before.
        drop(self.jobs.send(Job::Close));
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
        if let Some(owner) = lock(&self.open).owner.take() {
            self.shared.data().give_up(owner);
        }
        ready(()).boxed()
    }

    fn durability(&self) -> &'static str {
        "normal"
    }
}

/// Locks a mutex. Poison is ignored: a panic can't leave this data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
