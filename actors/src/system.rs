//! The running system and its parts.
//!
//! - [`builder`]: what a system is made of, and how it starts;
//! - [`actor_thread`]: the threads on which the actors of queues live;
//! - [`lease`]: the lease on a store that several servers share (Q14);
//! - [`showing`]: what those are shown of the attempts that run here;
//! - [`shutdown`]: how a system ends.
//!
//! The actors have threads of their own, so a system works in any actix or tokio program, and a slow caller can't hold
//! them up.

mod actor_thread;
mod builder;
mod lease;
mod peers;
mod showing;
mod shutdown;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use actix::Actor as _;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use crate::action::Timestamp;
use crate::clock::Clock;
use crate::events::Observers;
use crate::outbox::{HandlerActor, HandlerShared, Outbox, QueueHandlers};
use crate::queue::{QueueActor, QueueHandle, QueueShared, Summary, lock};
use crate::store::{
    OwnerId, QueueState, ScheduleState, Server, Site, SiteId, Store, StoreError, StoreSize,
};
use crate::supervision::Guardian;
#[cfg(unix)]
use crate::worker::run::programs::Programs;
use actor_thread::ActorThread;
pub use builder::{Builder, StartError};
use builder::{NewHandler, NewQueue};
pub use lease::Standing;
pub(crate) use lease::Tenure;
use shutdown::phase::{Admitted, Shutdown};

/// A running set of queues. Cheap to clone.
///
/// End it with [`System::shutdown`]; then its directory can be opened again at once. When the last clone is dropped
/// without a shutdown, the queues end as in a crash: nothing acknowledged is lost, and the directory can be opened again a
/// moment later, but not while a [`QueueHandle`] still reads from it.
#[derive(Clone)]
pub struct System {
    inner: Arc<Inner>,
    /// None in the copies that its own actions hold: they do not keep it alive.
    _alive: Option<Arc<Alive>>,
}

/// Ends the system when the last of its users drops it.
struct Alive(Arc<Inner>);

impl Drop for Alive {
    fn drop(&mut self) {
        // The actors first: they must not take the end of the executor for that of an action.
        drop(std::mem::take(&mut *lock(&self.0.actors)));
        // No action ends any more: a caller that waits by a handle would wait for ever.
        for queue in &*self.0.queues() {
            queue.shared.waiters().end_waits();
        }
        if let Some(executor) = lock(&self.0.executor).take() {
            // In the background: a thread that does not end must not hold up the caller.
            executor.shutdown_background();
        }
    }
}

/// A weak reference to a system, for its own actors and handles.
#[derive(Clone)]
pub(crate) struct WeakSystem(Weak<Inner>);

impl WeakSystem {
    pub(crate) fn upgrade(&self) -> Option<System> {
        self.0.upgrade().map(|inner| System { inner, _alive: None })
    }
}

/// The parts of a system.
struct Inner {
    /// Runs the actions' own work. Taken by [`Alive`] when the last user drops the system.
    executor: Mutex<Option<Runtime>>,
    handle: Handle,
    actors: Mutex<Vec<ActorThread>>,
    store: Arc<dyn Store>,
    tenure: Arc<Tenure>,
    /// The tasks that renew the lease and show others what runs here, where servers share the store.
    sharing: Mutex<Vec<AbortHandle>>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    /// True once the shutdown has begun.
    draining: watch::Sender<bool>,
    /// True once nothing happens any more, because all that ran is recorded.
    recorded: watch::Sender<bool>,
    queues: RwLock<Vec<QueueHandle>>,
    /// Held by the command to many actions whose step it is: all queues share the writer.
    turns: Semaphore,
    observers: Observers,
    handlers: Vec<Arc<HandlerShared>>,
    #[cfg(unix)]
    programs: Arc<Programs>,
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
    /// Returns a builder of a system that keeps its actions in this directory, in an SQLite file.
    pub fn builder(directory: impl AsRef<Path>) -> Builder {
        Builder::new(directory.as_ref().to_owned())
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

    /// Reads the counts of these queues of the system from the store, in their order, as [`QueueHandle::read_summary`] does: all
    /// of them at once.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn read_summaries(
        &self,
        queues: impl IntoIterator<Item = &QueueHandle>,
    ) -> Result<Vec<Summary>, StoreError> {
        let ids = queues.into_iter().map(|queue| queue.id).collect();
        let states = self.inner.store.queue_states(ids).await?;
        let summary = |state: QueueState| Summary { paused: state.paused, counts: state.counts };
        Ok(states.into_iter().map(summary).collect())
    }

    /// Returns the clock that the queues go by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Returns the durability of an acknowledged change, `full` or `normal`: see [`Durability`](crate::Durability).
    #[must_use]
    pub fn durability(&self) -> &'static str {
        self.inner.store.durability()
    }

    /// Copies all actions, as they stand at one moment, to a database of SQLite's in a file that is not there yet, while work goes
    /// on; `None` if the store has means of its own for that ([`Store::backup`]). Dropping the future breaks it off.
    ///
    /// # Errors
    ///
    /// The store is damaged or closed, or the file can't be written.
    #[must_use]
    pub fn backup(
        &self,
        into: PathBuf,
    ) -> Option<impl Future<Output = Result<(), StoreError>> + Send + use<>> {
        self.inner.store.backup(into)
    }

    /// Sets the number of bytes above which the store takes no more submissions; `None` = no limit. See
    /// [`Store::limit_bytes`].
    pub fn limit_store_bytes(&self, limit: Option<u64>) {
        self.inner.store.limit_bytes(limit);
    }

    /// Returns the time since the store last did not answer: see [`Store::away_ago`].
    pub(crate) fn store_away_ago(&self) -> Option<Duration> {
        self.inner.store.away_ago()
    }

    /// Reads the schedules that are known, with the queue of the last action of each: see [`Store::schedules`].
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn schedules(&self) -> Result<Vec<(ScheduleState, Option<QueueHandle>)>, StoreError> {
        let states = self.inner.store.schedules().await?;
        let queues = self.queues();
        let with_queue = |state: ScheduleState| {
            let is_of_last =
                |queue: &&QueueHandle| state.last.is_some_and(|it| it.queue == queue.id);
            let queue = queues.iter().find(is_of_last).cloned();
            (state, queue)
        };
        Ok(states.into_iter().map(with_queue).collect())
    }

    /// Tells whether the store may be shared with other servers.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.inner.store.lease().is_some()
    }

    /// Returns the name, host and port of a server that an action of this system has named.
    #[must_use]
    pub fn site(&self, id: SiteId) -> Option<Arc<Site>> {
        self.inner.store.site(id)
    }

    /// Returns the standing of this server in a store that servers share; `None` in one that it has to itself, which has no
    /// leases.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.is_shared().then(|| self.inner.tenure.standing())
    }

    /// Returns the number of leases that this server has lost since its start.
    #[must_use]
    pub fn leases_lost(&self) -> u64 {
        self.inner.tenure.lost()
    }

    /// Tells whether the store answers, as far as is known: see [`Store::is_available`].
    #[must_use]
    pub fn is_store_available(&self) -> bool {
        self.inner.store.is_available()
    }

    /// Reads the size of the store: see [`Store::size`].
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn store_size(&self) -> Result<Option<StoreSize>, StoreError> {
        self.inner.store.size().await
    }

    /// Reads when the oldest action was queued of those that wait in a queue and may start, by the name of the queue; one in which
    /// there is none is left out. `None` if the store can't tell: see [`Store::oldest_waiting`].
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn oldest_waiting(&self) -> Result<Option<BTreeMap<String, Timestamp>>, StoreError> {
        let mut queues = self.queues();
        queues.retain(|queue| queue.summary().counts.queued() > 0);
        let ids = queues.iter().map(|queue| queue.id).collect();
        let oldest = self.inner.store.oldest_waiting(ids).await?;
        let named = queues.iter().map(|queue| queue.name().to_owned());
        let waiting = |oldest: Vec<Option<Timestamp>>| {
            named.zip(oldest).filter_map(|(name, at)| Some((name, at?))).collect()
        };
        Ok(oldest.map(waiting))
    }

    /// Reads the servers that share the store, this one too: see [`Store::servers`]. Empty if the store can't be shared.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.inner.store.servers().await
    }

    /// Returns the owner that this server is in the store.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.inner.store.owner()
    }

    /// Tells whether actions are taken and run: what ran before is recovered, the store answers, the lease on it holds, and no
    /// shutdown has begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let recovered = |queue: &QueueHandle| *queue.shared.recovered().borrow();
        !self.is_draining()
            && self.inner.store.is_available()
            && self.inner.tenure.standing() == Standing::Holds
            && self.inner.queues().iter().all(recovered)
    }

    /// Tells the store how many actions may run here now.
    pub(crate) fn show_slots(&self) {
        let queues = self.queues();
        let slots = queues.iter().map(|queue| queue.settings().maximum_threads);
        let slots = slots.fold(0, usize::saturating_add);
        self.inner.store.set_slots(u32::try_from(slots).unwrap_or(u32::MAX));
    }

    /// Tells whether the last user has dropped the system. Work that still runs may hold it even then.
    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.inner.actors).is_empty()
    }

    /// Returns the programs that its actions run.
    #[cfg(unix)]
    pub(crate) fn programs(&self) -> &Arc<Programs> {
        &self.inner.programs
    }

    /// Returns the runtime of the actions' own work.
    pub(crate) fn executor(&self) -> &Handle {
        &self.inner.handle
    }

    /// Blocks the calling thread of blocking work until the future is ready.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.executor().block_on(future)
    }

    /// Admits an action that is to run at once, or returns `None` because the system shuts down.
    pub(crate) fn admit(&self) -> Option<Admitted> {
        self.inner.shutdown.admit()
    }

    /// Returns the permit of the command to many actions whose step it is.
    pub(crate) fn turns(&self) -> &Semaphore {
        &self.inner.turns
    }

    /// Returns the handlers of events, to see and steer them.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox {
            handlers: self.inner.handlers.clone(),
            store: Arc::clone(&self.inner.store),
            clock: Arc::clone(&self.inner.clock),
            queue: self.inner.queues().first().map(|queue| queue.id),
        }
    }

    /// Starts the actors of the handlers on this thread, once all queues are there.
    fn start_handlers(&self, new: Vec<NewHandler>, thread: usize) {
        let queues: HashMap<_, _> = self
            .inner
            .queues()
            .iter()
            .map(|queue| (queue.id, queue.shared.name_shared()))
            .collect();
        for (NewHandler { settings, deliver, .. }, shared) in
            new.into_iter().zip(&self.inner.handlers)
        {
            let (shared, outbox, queues) = (Arc::clone(shared), self.outbox(), queues.clone());
            let executor = self.inner.handle.clone();
            if let Some(thread) = lock(&self.inner.actors).get(thread) {
                thread.run(move || {
                    HandlerActor::new(shared, outbox, settings, deliver, executor, queues).start();
                });
            }
        }
    }

    /// Finds the handlers of a queue again whose settings have changed.
    pub(crate) fn find_handlers(&self, queue: &QueueShared) {
        match QueueHandlers::find(&queue.settings().handlers, &self.inner.handlers) {
            Ok(told) => queue.set_handlers(told),
            Err(handler) => {
                let name = queue.name();
                log::error!(
                    "queue {name} names the handler {handler}, which there is not; its handlers stay as they are"
                );
            }
        }
    }

    fn downgrade(&self) -> WeakSystem {
        WeakSystem(Arc::downgrade(&self.inner))
    }

    /// Waits until each queue has recovered the actions that ran in an earlier server.
    async fn recovered(&self) {
        for queue in self.queues() {
            // The sender lives in the queue, so waiting can't fail.
            let _ = queue.shared.recovered().wait_for(|recovered| *recovered).await;
        }
    }

    async fn add(&self, new: NewQueue, thread: usize) -> Result<(), StartError> {
        let NewQueue { name, settings, performer } = new;
        let told = QueueHandlers::find(&settings.handlers, &self.inner.handlers)
            .map_err(|handler| StartError::UnknownHandler { queue: name.clone(), handler })?;
        let state = self.inner.store.open_queue(&name).await?;
        let observers = self.inner.observers.clone();
        let shared = QueueShared::new(&name, settings, state.counts, state.paused, observers);
        shared.set_handlers(told);
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
