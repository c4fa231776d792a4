//! The builder of a system: its parts, and the steps of a start.

use std::fmt;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

#[cfg(unix)]
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::actor_thread::ActorThread;
use super::lease::Tenure;
use super::shutdown::phase::Shutdown;
use super::{Alive, Inner, System};
use crate::clock::{Clock, SystemClock};
use crate::events::{Observer, Observers, log_unfinished};
use crate::outbox::{Deliver, HandlerSettings, HandlerShared};
use crate::perform::Perform;
use crate::queue::{MOST_SLOTS, QueueSettings};
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{Store, StoreError};
#[cfg(unix)]
use crate::worker::run::programs::{self, Programs};

/// Time that a start waits for the recovery of what ran before. Bounded, since a store that can't be written, say because
/// the disk is full, can still be read.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// Time that a start waits for the end of programs that outlived an earlier server. They are given up earlier, unless the
/// system does not answer.
#[cfg(unix)]
const SURVIVORS_WITHIN: Duration = Duration::from_secs(15);

/// A [`System`] to be started. Made by [`System::builder`].
#[derive(Debug)]
pub struct Builder {
    directory: PathBuf,
    source: StoreSource,
    clock: Arc<dyn Clock>,
    threads: Option<usize>,
    queues: Vec<NewQueue>,
    observers: Observers,
    log_unfinished: bool,
    adopt_orphans: bool,
    max_store_bytes: Option<u64>,
    handlers: Vec<NewHandler>,
}

#[derive(Debug)]
/// The store to use: one to be opened, or one that is open.
enum StoreSource {
    Directory(Durability),
    InMemory(Option<Duration>),
    Store(Arc<dyn Store>),
}

/// A queue to be added.
pub(super) struct NewQueue {
    pub(super) name: String,
    pub(super) settings: QueueSettings,
    pub(super) performer: Arc<dyn Perform>,
}

impl fmt::Debug for NewQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewQueue").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A handler of events to be added.
pub(super) struct NewHandler {
    pub(super) name: String,
    pub(super) settings: HandlerSettings,
    pub(super) deliver: Arc<dyn Deliver>,
}

impl fmt::Debug for NewHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewHandler").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The reason why a system could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("a thread can't be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Two queues have the same name, but for case.
    #[error("two queues are named {0}")]
    SameName(String),
    /// Two handlers of events have the same name, but for case.
    #[error("two handlers of events are named {0}")]
    SameHandler(String),
    /// A queue names a handler of events that was not added.
    #[error("queue {queue} names the handler {handler}, which there is not")]
    UnknownHandler {
        /// The queue.
        queue: String,
        /// The name of the handler.
        handler: String,
    },
}

impl Builder {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            source: StoreSource::Directory(Durability::Full),
            clock: Arc::new(SystemClock),
            threads: None,
            queues: Vec::new(),
            observers: Observers::default(),
            log_unfinished: true,
            adopt_orphans: false,
            max_store_bytes: None,
            handlers: Vec::new(),
        }
    }

    /// Keeps the actions in this store instead of an SQLite file. The directory is then used only to record the programs
    /// that run ([`Work::process`](crate::Work::process)): those belong to this machine. On a store that several servers share the system renews
    /// a lease, and ends what it runs where it has lost that: see [`crate::store`].
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.source = StoreSource::Store(store);
        self
    }

    /// Sets the durability of an acknowledged change in the SQLite file (default: [`Durability::Full`]).
    #[must_use]
    pub fn durability(mut self, wanted: Durability) -> Self {
        if let StoreSource::Directory(durability) = &mut self.source {
            *durability = wanted;
        }
        self
    }

    /// Keeps the actions in memory: see [`SqliteStore::open_in_memory`]. They are written to the directory when the system is shut
    /// down, and `every` so often if there were changes. Replaces what [`Builder::durability`] and [`Builder::store`] set.
    #[must_use]
    pub fn in_memory(mut self, every: Option<Duration>) -> Self {
        self.source = StoreSource::InMemory(every);
        self
    }

    /// Sets the number of bytes above which the store takes no more submissions (default: no limit): see
    /// [`Store::limit_bytes`]. [`System::limit_store_bytes`] changes it later.
    #[must_use]
    pub const fn max_store_bytes(mut self, limit: Option<u64>) -> Self {
        self.max_store_bytes = limit;
        self
    }

    /// Replaces the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the number of threads for the queues' actors (default: half of the cores, at most 4). At least one is
    /// started, and no more than there are queues.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Adds an observer, which is told of each change in all queues, once it is durable. There may be several.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.add(Arc::new(observer));
        self
    }

    /// Turns a line of the log, at level info with queue and id, for each action that does not finish on or off (default:
    /// on). An observer may write lines of its own in its place: see [`Unfinished`](crate::events::Unfinished).
    #[must_use]
    pub const fn log_unfinished(mut self, logged: bool) -> Self {
        self.log_unfinished = logged;
        self
    }

    /// Makes the whole process adopt the orphans among its descendants or not (default: not). It stays so until the process
    /// ends, for all systems in it. Linux only; elsewhere a line of the log says so.
    ///
    /// With it a process is found at the end of its program ([`Work::process`](crate::Work::process)) even if it has left the
    /// group of the program, has cleared its environment and has lost its parent, where the server can't make cgroups.
    /// Orphans become children of this process, are killed once no program runs that may have started them, and are waited
    /// for.
    ///
    /// Whatever else in this process starts programs must leave them in the process group of this process, as the standard
    /// library does, or they are taken for orphans. So it is for programs that are servers and nothing else.
    #[must_use]
    pub const fn adopt_orphans(mut self, adopted: bool) -> Self {
        self.adopt_orphans = adopted;
        self
    }

    /// Adds a queue. The case of ASCII letters in its name does not matter. A queue that the store holds and that is not
    /// added stays there, unseen, until it is added again.
    #[must_use]
    pub fn queue(
        self,
        name: impl Into<String>,
        settings: QueueSettings,
        performer: impl Perform,
    ) -> Self {
        self.queue_of(name, settings, Arc::new(performer))
    }

    /// Adds a queue as [`Builder::queue`] does, with a performer that was chosen at run time or is shared.
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

    /// Adds a handler, which queues may name in their settings: see [`outbox`](crate::outbox). The case of ASCII letters in its name
    /// does not matter. Events for a handler that is not added any more stay in the store until it is added again.
    #[must_use]
    pub fn handler(
        mut self,
        name: impl Into<String>,
        settings: HandlerSettings,
        deliver: Arc<dyn Deliver>,
    ) -> Self {
        self.handlers.push(NewHandler { name: name.into(), settings, deliver });
        self
    }

    /// Opens the store and starts the queues.
    ///
    /// Actions that waited when the store was last closed, or its server last crashed, wait again. Actions that ran then
    /// are recovered as their queue's settings say ([`OnRestart`](crate::OnRestart)); this returns once that is done, or
    /// after five seconds. Before that, programs that outlived that server are ended, with what they started
    /// ([`Work::process`](crate::Work::process)).
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
            let named = queue.settings.handlers.names();
            let is_there = |name: &&str| {
                self.handlers.iter().any(|handler| handler.name.eq_ignore_ascii_case(name))
            };
            if let Some(unknown) = named.into_iter().find(|name| !is_there(name)) {
                let (queue, handler) = (queue.name.clone(), unknown.to_owned());
                return Err(StartError::UnknownHandler { queue, handler });
            }
        }
        for (index, handler) in self.handlers.iter().enumerate() {
            let same = |other: &NewHandler| other.name.eq_ignore_ascii_case(&handler.name);
            if self.handlers.iter().skip(index + 1).any(same) {
                return Err(StartError::SameHandler(handler.name.clone()));
            }
        }
        let store: Arc<dyn Store> = match self.source {
            StoreSource::Store(store) => store,
            StoreSource::Directory(durability) => {
                Arc::new(SqliteStore::open(&self.directory, durability)?)
            }
            StoreSource::InMemory(every) => {
                Arc::new(SqliteStore::open_in_memory(&self.directory, every)?)
            }
        };
        store.limit_bytes(self.max_store_bytes);
        let tenure = Arc::new(Tenure::begin(&*store).await?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // A thread more than there are queues would have nothing to do.
        let most = self.queues.len().max(1);
        let threads = self.threads.unwrap_or((cores / 2).min(4)).clamp(1, most);
        let names = (0..threads).map(|number| format!("actiond-queue-{number}"));
        let mut actors: Vec<ActorThread> =
            names.map(ActorThread::start).collect::<Result<_, _>>()?;
        if !self.handlers.is_empty() {
            // A thread of their own: they delay no queue.
            actors.push(ActorThread::start("actiond-outbox".to_owned())?);
        }
        let mut handlers = Vec::new();
        for NewHandler { name, .. } in &self.handlers {
            let id = store.open_handler(name).await?;
            handlers.push(Arc::new(HandlerShared::new(name.clone(), id)));
        }
        let executor = tokio::runtime::Builder::new_multi_thread()
            .thread_name("actiond-run")
            .worker_threads(cores.max(2))
            // Every slot may hold work that blocks, and there may be more slots later; tokio's own bound would make some of it
            // wait.
            .max_blocking_threads(MOST_SLOTS)
            .enable_all()
            .build()?;
        #[cfg(not(unix))]
        if self.adopt_orphans {
            log::warn!("orphans of programs are not adopted on this system");
        }
        #[cfg(unix)]
        let programs = programs(&self.directory, self.adopt_orphans, executor.handle()).await;
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
            sharing: Mutex::default(),
            clock: self.clock,
            shutdown: Shutdown::new(),
            draining: watch::Sender::new(false),
            recorded: watch::Sender::new(false),
            queues: RwLock::new(Vec::new()),
            turns: Semaphore::new(1),
            observers,
            handlers,
            #[cfg(unix)]
            programs,
        });
        let alive = Arc::new(Alive(Arc::clone(&inner)));
        let system = System { inner, _alive: Some(alive) };
        system.pass_notices_on();
        for (queue, thread) in self.queues.into_iter().zip((0..threads).cycle()) {
            system.add(queue, thread).await?;
        }
        system.start_handlers(self.handlers, threads);
        system.keep_lease();
        system.show_others();
        if tokio::time::timeout(RECOVERED_WITHIN, system.recovered()).await.is_err() {
            log::warn!("what ran before is not recovered yet; that is tried on");
        }
        Ok(system)
    }
}

/// Ends the programs that an earlier server of this directory has left running, and takes in those to come.
#[cfg(unix)]
async fn programs(directory: &Path, adopt_orphans: bool, executor: &Handle) -> Arc<Programs> {
    if adopt_orphans && let Err(error) = programs::adopt_orphans() {
        log::warn!("orphans of programs are not adopted: {error}");
    }
    let programs = Arc::new(Programs::new(directory));
    let ends = Arc::clone(&programs);
    let ended = executor.spawn_blocking(move || ends.end_survivors());
    if tokio::time::timeout(SURVIVORS_WITHIN, ended).await.is_err() {
        log::error!("the programs that an earlier server left running are not ended yet");
    }
    programs
}
