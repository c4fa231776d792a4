//! The whole runtime as its users see it: [`Builder`] makes it, [`System`] holds it.
//!
//! The actors live on threads of their own, so a system can be used from any actix or tokio program,
//! and a slow user of it can't hold them up.

mod lease;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use actix::Actor as _;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::clock::{Clock, SystemClock};
use crate::events::{Observer, Observers, log_unfinished};
use crate::perform::Perform;
use crate::queue::{
    Drain, EndAll, Ending, MOST_SLOTS, Noticed, QueueActor, QueueHandle, QueueSettings,
    QueueShared, Settle, lock,
};
use crate::shutdown::still_runs::{self, StillRuns};
use crate::shutdown::{Admitted, Phase, Shutdown};
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{Store, StoreError};
use crate::supervision::Guardian;
pub(crate) use lease::{Standing, Tenure};

/// How long a start waits for the recovery of what ran before: a store that can't be written, say
/// because the disk is full, can still be read.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// How long a shutdown waits for what was forced to end, and for those who wait to have read their answers.
const FORCED_WITHIN: Duration = Duration::from_secs(2);

/// Makes a [`System`].
#[derive(Debug)]
pub struct Builder {
    source: StoreSource,
    clock: Arc<dyn Clock>,
    threads: Option<usize>,
    queues: Vec<NewQueue>,
    observers: Observers,
    log_unfinished: bool,
}

#[derive(Debug)]
enum StoreSource {
    Directory(PathBuf, Durability),
    Store(Arc<dyn Store>),
}

struct NewQueue {
    name: String,
    settings: QueueSettings,
    performer: Arc<dyn Perform>,
}

impl fmt::Debug for NewQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewQueue").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a system could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("a thread can't be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Two queues have names that differ at most in case.
    #[error("two queues are named {0}")]
    SameName(String),
}

impl Builder {
    /// Takes another store than the SQLite file. Where others may have it open as well, this system keeps up a lease on
    /// it, and ends what it runs where it has lost that: [`crate::store`] says how.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.source = StoreSource::Store(store);
        self
    }

    /// Sets how safe an acknowledged change is in the SQLite file.
    #[must_use]
    pub fn durability(mut self, wanted: Durability) -> Self {
        if let StoreSource::Directory(_, durability) = &mut self.source {
            *durability = wanted;
        }
        self
    }

    /// Takes another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets on how many threads the queues' actors live (default: half of the cores, at most 4): at
    /// least one, and no more than there are queues.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Adds an observer, who is told what happens in all queues, once it is durable. There may be several.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.add(Arc::new(observer));
        self
    }

    /// Sets whether each action that does not finish is a line of the log at level info, with queue and id (default:
    /// it is). An observer may write lines of its own in their place: [`Unfinished`](crate::events::Unfinished).
    #[must_use]
    pub const fn log_unfinished(mut self, logged: bool) -> Self {
        self.log_unfinished = logged;
        self
    }

    /// Adds a queue. Case does not matter in its name, of ASCII letters. What the store holds of a queue that is
    /// not added stays there, unseen, until one of that name is.
    #[must_use]
    pub fn queue(
        self,
        name: impl Into<String>,
        settings: QueueSettings,
        performer: impl Perform,
    ) -> Self {
        self.queue_of(name, settings, Arc::new(performer))
    }

    /// Adds a queue as [`Builder::queue`] does, whose performer was chosen at run time or is shared.
    #[must_use]
    pub fn queue_of(
        mut self,
        name: impl Into<String>,
        settings: QueueSettings,
        performer: Arc<dyn Perform>,
    ) -> Self {
        self.queues.push(NewQueue { name: name.into(), settings, performer });
        self
    }

    /// Opens the store and starts the queues. What waited when the store was last closed, or its
    /// server last crashed, waits again; what ran then has been recovered as its queue's settings
    /// say when this returns, unless the store takes more than some seconds for it.
    ///
    /// This and all calls that wait need a tokio runtime with timers around them, as `#[actix::main]`,
    /// `#[tokio::main]` and actix-web make it. The system has threads of its own and may outlive that runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing runs then.
    pub async fn start(self) -> Result<System, StartError> {
        for (index, queue) in self.queues.iter().enumerate() {
            let same = |other: &NewQueue| other.name.eq_ignore_ascii_case(&queue.name);
            if self.queues.iter().skip(index + 1).any(same) {
                return Err(StartError::SameName(queue.name.clone()));
            }
        }
        let store: Arc<dyn Store> = match self.source {
            StoreSource::Store(store) => store,
            StoreSource::Directory(directory, durability) => {
                Arc::new(SqliteStore::open(&directory, durability)?)
            }
        };
        let tenure = Arc::new(Tenure::begin(&*store).await?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // More than queues would have nothing to do.
        let most = self.queues.len().max(1);
        let threads = self.threads.unwrap_or((cores / 2).min(4)).clamp(1, most);
        let actors: Vec<ActorThread> =
            (0..threads).map(ActorThread::start).collect::<Result<_, _>>()?;
        let slots = self.queues.iter().map(|queue| queue.settings.maximum_threads.min(MOST_SLOTS));
        let slots = slots.fold(0, usize::saturating_add).min(MOST_SLOTS);
        let executor = tokio::runtime::Builder::new_multi_thread()
            .thread_name("actiond-run")
            .worker_threads(cores.max(2))
            // Every slot may hold work that blocks; tokio's own bound would make some of it wait.
            .max_blocking_threads(slots.max(64))
            .enable_all()
            .build()?;
        let mut observers = self.observers;
        if self.log_unfinished {
            observers.add(Arc::new(log_unfinished()));
        }
        let inner = Arc::new(Inner {
            handle: executor.handle().clone(),
            executor: Mutex::new(Some(executor)),
            actors: Mutex::new(actors),
            store,
            tenure,
            keeper: Mutex::new(None),
            clock: self.clock,
            shutdown: Shutdown::new(),
            queues: RwLock::new(Vec::new()),
            observers,
        });
        let alive = Arc::new(Alive(Arc::clone(&inner)));
        let system = System { inner, _alive: Some(alive) };
        system.pass_notices_on();
        for (queue, thread) in self.queues.into_iter().zip((0..threads).cycle()) {
            system.add(queue, thread).await?;
        }
        system.keep_lease();
        if tokio::time::timeout(RECOVERED_WITHIN, system.recovered()).await.is_err() {
            log::warn!("what ran before is not recovered yet; that is tried on");
        }
        Ok(system)
    }
}

/// A running set of queues. Cheap to clone; when the last clone is dropped without
/// [`System::shutdown`], the queues end as in a crash: nothing acknowledged is lost. The directory can be opened
/// again a moment later, but not while a [`QueueHandle`] still reads from it; after a shutdown it can at once.
#[derive(Clone)]
pub struct System {
    inner: Arc<Inner>,
    /// None in what its own actions hold: they do not keep it alive.
    _alive: Option<Arc<Alive>>,
}

/// Ends the system when the last of its users drops it.
struct Alive(Arc<Inner>);

impl Drop for Alive {
    fn drop(&mut self) {
        // The actors first: they must not take the end of the executor for that of an action.
        drop(std::mem::take(&mut *lock(&self.0.actors)));
        // Nothing ends any more: a handle may live on, and whoever waits by it would wait for ever.
        for queue in &*self.0.queues() {
            queue.shared.waiters().end_waits();
        }
        if let Some(executor) = lock(&self.0.executor).take() {
            // Work on a thread that does not end must not hold up whoever drops the system.
            executor.shutdown_background();
        }
    }
}

/// A system that does not keep itself alive: what its own actors hold.
#[derive(Clone)]
pub(crate) struct WeakSystem(Weak<Inner>);

impl WeakSystem {
    pub(crate) fn upgrade(&self) -> Option<System> {
        self.0.upgrade().map(|inner| System { inner, _alive: None })
    }
}

struct Inner {
    /// Runs the actions' own work. Taken by [`Alive`], when the last who holds the system lets go.
    executor: Mutex<Option<Runtime>>,
    handle: Handle,
    actors: Mutex<Vec<ActorThread>>,
    store: Arc<dyn Store>,
    tenure: Arc<Tenure>,
    /// Keeps up the lease on the store, if there is one.
    keeper: Mutex<Option<AbortHandle>>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    queues: RwLock<Vec<QueueHandle>>,
    observers: Observers,
}

impl Inner {
    fn queues(&self) -> RwLockReadGuard<'_, Vec<QueueHandle>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("queues", &self.queues()).finish_non_exhaustive()
    }
}

impl System {
    /// Begins a system whose actions are kept in this directory, in an SQLite file.
    pub fn builder(directory: impl AsRef<Path>) -> Builder {
        Builder {
            source: StoreSource::Directory(directory.as_ref().to_owned(), Durability::Full),
            clock: Arc::new(SystemClock),
            threads: None,
            queues: Vec::new(),
            observers: Observers::default(),
            log_unfinished: true,
        }
    }

    /// Returns the queue of this name; case does not matter.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueHandle> {
        self.inner.queues().iter().find(|queue| queue.name().eq_ignore_ascii_case(name)).cloned()
    }

    /// Returns all queues, in the order they were added.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueHandle> {
        self.inner.queues().clone()
    }

    /// Returns the clock that the queues go by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Returns what an acknowledgement means, `full` or `normal`: see [`Durability`].
    #[must_use]
    pub fn durability(&self) -> &'static str {
        self.inner.store.durability()
    }

    /// Tells whether the system takes nothing new because it shuts down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.shutdown.has_begun()
    }

    /// Begins a shutdown: from now on submissions are refused and nothing starts.
    pub fn drain(&self) {
        self.inner.shutdown.go_on_to(Phase::Draining);
        for queue in self.queues() {
            queue.shared.tell(Drain);
        }
    }

    /// Ends the system: refuses new work, gives what runs `patience` to end by itself, asks it to
    /// stop, forces it after its queue's grace period, writes the last changes and closes the store.
    ///
    /// Actions that were interrupted go back to the queue or end in Error, as after a crash. Who waits for
    /// the end of one is answered once all that ran is recorded. Actions that run at once are waited for,
    /// asked and forced in the same way.
    ///
    /// May be called again, also meanwhile. An action that calls it is interrupted like the others, and the
    /// shutdown with it before the store is closed: it has to leave that to a task outside. Calls after it answer
    /// [`QueueError::ShuttingDown`](crate::QueueError::ShuttingDown) or
    /// [`StoreError::Closed`](crate::StoreError::Closed).
    pub async fn shutdown(&self, patience: Duration) {
        self.drain();
        still_runs::reported(self.end_patiently(patience), || self.still_runs()).await;
        self.close().await;
    }

    async fn end_patiently(&self, patience: Duration) {
        // What is just being started counts as running once nothing is in flight.
        let idle = async {
            self.settle().await;
            self.idle().await;
        };
        let _ = tokio::time::timeout(patience, idle).await;
        if let Some(still) = self.still_runs() {
            log::info!("shutting down: {still}; all are asked to stop");
        }
        self.end_all(Ending::Interrupt, || EndAll::Interrupt);
        let grace = self.queues().iter().map(|q| q.settings().stop_grace).max().unwrap_or_default();
        let _ = tokio::time::timeout(grace.saturating_add(FORCED_WITHIN), self.idle()).await;
    }

    /// Says what has not ended durably; `None` if all has.
    fn still_runs(&self) -> Option<StillRuns> {
        let queues = self.queues();
        let live =
            queues.iter().map(|queue| (queue.name().to_owned(), queue.shared.slots().live_now()));
        StillRuns::new(live, self.inner.shutdown.running_at_once())
    }

    /// Ends the system without patience: forces all that runs, writes the last changes and closes
    /// the store. May be called while [`System::shutdown`] still waits.
    pub async fn shutdown_now(&self) {
        self.drain();
        self.end_all(Ending::Force, || EndAll::Force);
        let _ = tokio::time::timeout(FORCED_WITHIN, self.idle()).await;
        self.close().await;
    }

    /// Tells whether the last of its users has dropped it: what still runs may hold it as well.
    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.inner.actors).is_empty()
    }

    pub(crate) fn executor(&self) -> &Handle {
        &self.inner.handle
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.executor().block_on(future)
    }

    /// Admits an action that is to run at once; none once the system shuts down.
    pub(crate) fn admit(&self) -> Option<Admitted> {
        self.inner.shutdown.admit()
    }

    fn downgrade(&self) -> WeakSystem {
        WeakSystem(Arc::downgrade(&self.inner))
    }

    fn end_all(&self, ending: Ending, message: impl Fn() -> EndAll) {
        self.inner.shutdown.go_on_to(Phase::Ending(ending));
        for queue in self.queues() {
            queue.shared.set_ending(ending);
            queue.shared.tell(message());
        }
    }

    /// Waits until no queue shows any more as running what ran only in an earlier server.
    async fn recovered(&self) {
        for queue in self.queues() {
            // The sender lives in the queue, so waiting can't fail.
            let _ = queue.shared.recovered().wait_for(|recovered| *recovered).await;
        }
    }

    /// Waits until no attempt is left that has not durably ended, and none that runs at once.
    async fn idle(&self) {
        for queue in self.queues() {
            // The sender lives in the queue, so waiting can't fail.
            let _ = queue.shared.slots().live().wait_for(|live| *live == 0).await;
        }
        self.inner.shutdown.idle().await;
    }

    /// Waits until each queue has nothing gathered and nothing in flight.
    async fn settle(&self) {
        for queue in self.queues() {
            let (reply, settled) = oneshot::channel();
            queue.shared.tell(Settle(reply));
            let _ = tokio::time::timeout(FORCED_WITHIN, settled).await;
        }
    }

    async fn close(&self) {
        self.settle().await;
        // A start that came back just now was ended by its queue at once; its end is written too.
        let _ = tokio::time::timeout(FORCED_WITHIN, self.idle()).await;
        self.settle().await;
        self.sum_up();
        // Nothing ends any more. Who waits reads once more how its action stands, while that can be read.
        for queue in self.queues() {
            queue.shared.waiters().end_waits();
        }
        let _ = tokio::time::timeout(FORCED_WITHIN, self.waits_over()).await;
        if let Some(keeper) = lock(&self.inner.keeper).take() {
            keeper.abort();
        }
        self.inner.store.close().await;
    }

    /// Keeps up the lease on the store, if it has one.
    fn keep_lease(&self) {
        if let Some(time) = self.inner.store.lease() {
            let keeper = self.executor().spawn(lease::keep(self.downgrade(), time));
            *lock(&self.inner.keeper) = Some(keeper.abort_handle());
        }
    }

    /// Has the store tell the queues what other owners change.
    fn pass_notices_on(&self) {
        let system = self.downgrade();
        self.inner.store.notices(Arc::new(move |notice| {
            let Some(system) = system.upgrade() else { return };
            if let Some(queue) = system.inner.queues().iter().find(|q| q.id == notice.queue()) {
                queue.shared.tell(Noticed(notice));
            }
        }));
    }

    /// Says what the shutdown interrupted; once, however often it is called.
    fn sum_up(&self) {
        for queue in self.queues() {
            let interrupted = queue.shared.telling().take_interrupted();
            let total = interrupted.total();
            if total > 0 {
                let actions = if total == 1 { "action was" } else { "actions were" };
                log::info!("queue {}: {total} {actions} interrupted: {interrupted}", queue.name());
            }
        }
        if let Some(still) = self.still_runs() {
            log::warn!("shutting down: {still}; the next start recovers those of queues");
        }
    }

    /// Waits until nobody waits for the end of an action.
    async fn waits_over(&self) {
        for queue in self.queues() {
            queue.shared.waiters().waits_over().await;
        }
    }

    async fn add(&self, new: NewQueue, thread: usize) -> Result<(), StoreError> {
        let NewQueue { name, settings, performer } = new;
        let state = self.inner.store.open_queue(&name).await?;
        let observers = self.inner.observers.clone();
        let shared = QueueShared::new(&name, settings, state.counts, state.paused, observers);
        let shared = Arc::new(shared);
        let handle = QueueHandle {
            shared: Arc::clone(&shared),
            id: state.id,
            store: Arc::clone(&self.inner.store),
            clock: Arc::clone(&self.inner.clock),
            performer,
            system: self.downgrade(),
        };
        let mut queues = self.inner.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.push(handle.clone());
        drop(queues);
        let tenure = Arc::clone(&self.inner.tenure);
        let factory = move |exit| {
            let QueueHandle { shared, id, store, clock, performer, system } = handle.clone();
            let tenure = Arc::clone(&tenure);
            QueueActor::new(shared, id, store, tenure, performer, clock, system, exit)
        };
        if let Some(thread) = lock(&self.inner.actors).get(thread) {
            thread.run(move || {
                Guardian::new(shared, Box::new(factory)).start();
            });
        }
        Ok(())
    }
}

type Start = Box<dyn FnOnce() + Send>;

/// A thread on which actors live; it ends, and they with it, when this is dropped.
struct ActorThread {
    starts: mpsc::UnboundedSender<Start>,
}

impl ActorThread {
    fn start(number: usize) -> std::io::Result<Self> {
        let (starts, mut receiver) = mpsc::unbounded_channel::<Start>();
        // A runtime may be dropped only on a thread that has none, so it is made there.
        let (made, outcome) = std::sync::mpsc::channel();
        std::thread::Builder::new().name(format!("actiond-queue-{number}")).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(made.send(Err(error))),
            };
            drop(made.send(Ok(())));
            actix::System::with_tokio_rt(|| runtime).block_on(async move {
                while let Some(start) = receiver.recv().await {
                    start();
                }
            });
        })?;
        // Nobody would learn of it later.
        outcome.recv().unwrap_or_else(|_| Err(std::io::Error::other("it ended at once")))?;
        Ok(Self { starts })
    }

    fn run(&self, start: impl FnOnce() + Send + 'static) {
        // The thread only ends when this is dropped.
        let _ = self.starts.send(Box::new(start));
    }
}
