//! The store that several servers share: PostgreSQL.
//!
//! - what it is opened with: `settings`; the connection string, passwords and TLS: `connect`; tables and their versions: `schema`;
//! - what a database must be and let this user do: `rights`;
//! - one connection: `connection`, what is sent in one message: `message`, columns: `columns`, errors: `errors`; all connections
//!   and tasks of a store: `setup`;
//! - batches: `write`, on one connection, the batches of all queues that wait in one transaction;
//! - old snapshots, and where claims begin meanwhile: `snapshots`, `marks`, `event_marks`; the clocks of server and database: `clocks`;
//! - reads: `read`, those of single actions grouped; pages of listings: `list`; both on a small pool of connections: `pool`;
//! - this server among others: `owner`, its lease: `lease`; what servers know of one another: `sites`,
//!   `servers`; what they show of attempts that run: `show`; the size of the database: `size`;
//! - events for handlers: written with the changes by `write`, read by `outbox`; schedules likewise, read by `schedules`;
//! - moving to and from another kind of store: `moving`;
//! - notices: sent by `notices`, heard by `listen`, each on a connection of its own.
//!
//! All connections belong to one thread. Callers are on others: they send it what is to be done, and await the answer.
//!
//! When the database goes away, also without a word, calls fail within about the settings' patience with
//! [`StoreError::Unavailable`], however many wait; those that come then fail at once, until it answers again. The log tells of the
//! beginning and the end of that (`owner`). The reasons for the larger decisions are in `docs/adr`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use actiond_actors::System;
//! use actiond_actors::store::Site;
//! use actiond_actors::store::postgres::{Connect, ConnectionString, PostgresStore, Settings};
//!
//! # async fn start() -> Result<System, Box<dyn std::error::Error>> {
//! let string: ConnectionString = "postgres://actiond@db1,db2/actiond?sslmode=verify-full".parse()?;
//! let mut settings = Settings::new(Connect::of_string(&string)?);
//! // The address in the tokens of this server, for those that others show of its actions.
//! settings.site = Site { name: "here".to_owned(), host: "here.example.org".to_owned(), port: 7000 };
//! let store = PostgresStore::open(settings).await?;
//! let system = System::builder("programs").store(Arc::new(store)).start().await?;
//! # Ok(system) }
//! ```

mod clocks;
mod columns;
mod connect;
mod connection;
mod errors;
mod event_marks;
mod lease;
mod list;
mod listen;
mod marks;
mod message;
pub(in crate::store) mod moving;
mod notices;
mod outbox;
mod owner;
mod pool;
mod read;
mod rights;
mod schedules;
mod schema;
mod servers;
mod settings;
mod setup;
mod show;
mod sites;
mod size;
mod snapshots;
mod write;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::action::{ActionId, Parameters};
pub use crate::moment::LeaseClock;
use crate::store::pending::PendingBatch;
use crate::store::query::{Cursor, IdPage, Page, PageLimit, Query};
use crate::store::{
    EventId, EventPage, HandlerId, NoticeSink, OutboxState, OwnerId, PastAttempt, QueueId,
    QueueState, Record, RecordWithin, Renewal, ScheduleState, Seal, Server, Shown, Site, SiteId,
    Store, StoreError, StoreSize,
};
pub use connect::{Connect, ConnectError, ConnectionString};
use connection::{Role, Task, begin_session, connect, within};
use errors::Failure;
use lease::Keeper;
use listen::{Audience, Ear};
use marks::Marks;
use notices::Peers;
use owner::Owner;
use read::{Asked, Reader};
pub use settings::Settings;
use setup::Setup;
use show::Showing;
use sites::Sites;
use size::Measured;
use write::{Job, Writer};

/// A store in a schema of a PostgreSQL database, which other servers may have open, too.
pub struct PostgresStore {
    writer: mpsc::UnboundedSender<Job>,
    single: mpsc::UnboundedSender<Asked>,
    shared: Arc<Shared>,
    runtime: Handle,
    lease: Duration,
    heartbeat: Duration,
    durability: &'static str,
    /// Ends the thread when it is dropped.
    thread: Arc<Mutex<Option<Thread>>>,
}

struct Thread {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

/// The parts that calls of the store need on its thread.
struct Shared {
    setup: Arc<Setup>,
    owner: Arc<Owner>,
    keeper: Keeper,
    reader: Reader,
    audience: Arc<Audience>,
    peers: Arc<Peers>,
    showing: Showing,
    measured: Measured,
}

/// The parts that are made on the store's thread when it is opened.
struct Opened {
    writer: mpsc::UnboundedSender<Job>,
    single: mpsc::UnboundedSender<Asked>,
    shared: Arc<Shared>,
    durability: &'static str,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("owner", &self.owner())
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store as a new owner. Creates the schema, or brings it to this version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the database can't be reached, [`StoreError::TooNew`] if a newer version has migrated the
    /// schema, and [`StoreError::Io`] if it can't be used for another reason.
    pub async fn open(settings: Settings) -> Result<Self, StoreError> {
        let (lease, heartbeat) = (settings.lease, settings.heartbeat);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| StoreError::Io(format!("no runtime: {e}")))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread =
            std::thread::Builder::new().name("postgres-store".to_owned()).spawn(move || {
                // The sender is dropped with the store, if that is not closed.
                drop(runtime.block_on(stopped));
                // A name that is being looked up is not waited for.
                runtime.shutdown_background();
            });
        let thread = thread.map_err(|e| StoreError::Io(format!("no thread: {e}")))?;
        let thread = Arc::new(Mutex::new(Some(Thread { stop, handle: thread })));
        let opened =
            handle.spawn(open(Arc::new(Setup::new(settings)))).await.unwrap_or_else(|error| {
                Err(Failure::Refused(StoreError::Io(format!("opening failed: {error}"))))
            });
        let Opened { writer, single, shared, durability } = opened.map_err(Failure::told)?;
        Ok(Self { writer, single, shared, runtime: handle, lease, heartbeat, durability, thread })
    }

    /// Does something on the store's thread. If that has ended, the answer is [`StoreError::Closed`].
    fn ask<T: Send + 'static>(
        &self,
        what: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let answer = self.runtime.spawn(what);
        async move { answer.await.unwrap_or(Err(StoreError::Closed)) }.boxed()
    }

    fn read_one(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> BoxFuture<'static, Result<Option<RecordWithin>, StoreError>> {
        let (reply, answer) = oneshot::channel();
        // If the thread has ended, it comes back and is dropped with its `reply`.
        drop(self.single.send(Asked { queue, id, max_bytes, reply }));
        answer.map(|answer| answer.unwrap_or(Err(StoreError::Closed))).boxed()
    }
}

/// Opens everything on the store's thread.
async fn open(setup: Arc<Setup>) -> Result<Opened, Failure> {
    if setup.schema.is_empty() || setup.schema.contains('\0') {
        let reason = format!("{:?} can't be the name of a schema", setup.schema);
        return Err(StoreError::Io(reason).into());
    }
    let (client, dialled) = connect(&setup).await?;
    let _task = Task::of(dialled, None);
    within(setup.patience, rights::check_version(&client)).await?;
    within(setup.patience, begin_session(&client, &setup, Role::Opens)).await?;
    within(setup.patience, rights::check(&client, &setup.schema)).await?;
    // A migration may take its time.
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
    schema::migrate(&client, &setup.schema).await?;
    let durable = client
        .query_one(
            "SELECT current_setting('synchronous_commit') <> 'off' AND current_setting('fsync')::bool",
            &[],
        )
        .await?;
    let durability = if durable.try_get(0)? { "full" } else { "normal" };
    let asked = setup.clock.now();
    let sites = Arc::new(Sites::open(&client, &setup.site).await?);
    let owner = lease::open(&client, &setup, &sites).await?;
    let owner = Arc::new(Owner::new(owner, asked, setup.lease, setup.clock.clone()));

    let ear = match Ear::open(&setup, &owner).await {
        Ok(ear) => ear,
        Err(failure) => {
            // Others would be shown a server that never was.
            if let Err(error) = within(setup.patience, lease::give_up(&client, owner.id())).await {
                log::debug!("the lease of this start was not given up: {error}");
            }
            return Err(failure);
        }
    };
    let (peers, audience) = (Arc::new(Peers::default()), Arc::new(Audience::default()));
    // Known after the first renewal. Until then others are told in vain.
    peers.note(true);
    let (succeeded, successions) = mpsc::unbounded_channel();
    setup.spawn(listen::listen(
        Arc::clone(&setup),
        Arc::clone(&owner),
        Arc::clone(&peers),
        Arc::clone(&audience),
        ear,
        successions,
    ));
    let (notices, outgoing) = mpsc::unbounded_channel();
    setup.spawn(notices::send(Arc::clone(&setup), Arc::clone(&peers), outgoing));
    let (writer, jobs) = mpsc::unbounded_channel();
    let marks = Arc::new(Marks::default());
    setup.spawn(snapshots::watch(Arc::clone(&setup), Arc::clone(&marks)));
    let (owner_of, sites_of) = (Arc::clone(&owner), Arc::clone(&sites));
    let writing = Writer::new(Arc::clone(&setup), owner_of, sites_of, notices, Arc::clone(&marks));
    tokio::spawn(writing.run(jobs));
    let reader = Reader::new(&setup, Arc::clone(&owner), Arc::clone(&sites), marks)?;
    let (single, asked) = mpsc::unbounded_channel();
    setup.spawn(reader.clone().read_groups(asked));
    let showing = Showing::new(Arc::clone(&setup), Arc::clone(&owner));
    let (owner_of, peers_of) = (Arc::clone(&owner), Arc::clone(&peers));
    let keeper = Keeper::new(Arc::clone(&setup), owner_of, sites, peers_of, succeeded);
    let measured = Measured::default();
    let shared =
        Arc::new(Shared { setup, owner, keeper, reader, audience, peers, showing, measured });
    Ok(Opened { writer, single, shared, durability })
}

impl Store for PostgresStore {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        let (reply, answer) = oneshot::channel();
        // If the thread has ended, it comes back and is dropped with its `reply`.
        drop(self.writer.send(Job::Open(name.to_owned(), reply)));
        let shared = Arc::clone(&self.shared);
        async move {
            let opened = answer.await.unwrap_or(Err(StoreError::Closed))?;
            shared.audience.add_queue(opened.id);
            Ok(opened)
        }
        .boxed()
    }

    fn open_handler(&self, name: &str) -> BoxFuture<'static, Result<HandlerId, StoreError>> {
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        self.ask(async move { shared.reader.open_handler(&name).await })
    }

    fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.events(handler, after, &except, limit).await })
    }

    fn outbox_state(
        &self,
        handler: HandlerId,
    ) -> BoxFuture<'static, Result<OutboxState, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.outbox_state(handler).await })
    }

    fn lead(&self, handler: HandlerId) -> BoxFuture<'static, Result<bool, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move {
            let owner = shared.owner.id();
            Ok(!shared.owner.is_given_up(owner) && shared.reader.lead(handler, owner).await?)
        })
    }

    fn schedules(&self) -> BoxFuture<'static, Result<Vec<ScheduleState>, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.schedules().await })
    }

    fn enlist(&self, seal: Seal) {
        // If the thread has ended, the batch comes back and is answered as it is dropped.
        drop(self.writer.send(Job::Commit(PendingBatch::new(seal))));
    }

    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        let states = self.queue_states(vec![queue]);
        // There is one for each queue that was asked for.
        states.map(|states| states?.pop().ok_or(StoreError::Closed)).boxed()
    }

    fn queue_states(
        &self,
        queues: Vec<QueueId>,
    ) -> BoxFuture<'static, Result<Vec<QueueState>, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.queue_states(&queues).await })
    }

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        let read = self.read_one(queue, id, usize::MAX);
        read.map(|read| Ok(read?.map(|within| within.record))).boxed()
    }

    fn record_within(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> BoxFuture<'static, Result<Option<RecordWithin>, StoreError>> {
        self.read_one(queue, id, max_bytes)
    }

    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>> {
        let read = self.parameters_within(queue, id, usize::MAX);
        read.map(|read| Ok(read?.and_then(Result::ok))).boxed()
    }

    fn parameters_within(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> BoxFuture<'static, Result<Option<Result<Parameters, usize>>, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.parameters(queue, id, max_bytes).await })
    }

    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.history(queue, id).await })
    }

    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.page(queue, &query, cursor, limit).await })
    }

    fn page_of_ids(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        actions: usize,
    ) -> BoxFuture<'static, Result<IdPage, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.page_of_ids(queue, &query, cursor, actions).await })
    }

    fn owner(&self) -> OwnerId {
        self.shared.owner.id()
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.lease)
    }

    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.keeper.renew().await.map_err(Failure::told) })
    }

    fn heartbeat(&self) -> Option<Duration> {
        Some(self.heartbeat)
    }

    fn site(&self, id: SiteId) -> Option<Arc<Site>> {
        self.shared.reader.sites().get(id)
    }

    fn servers(&self) -> BoxFuture<'static, Result<Vec<Server>, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.reader.servers().await })
    }

    fn is_available(&self) -> bool {
        self.shared.owner.is_reached()
    }

    fn away_ago(&self) -> Option<Duration> {
        self.shared.owner.away_ago()
    }

    fn set_slots(&self, slots: u32) {
        self.shared.keeper.set_slots(slots);
    }

    fn has_peers(&self) -> bool {
        self.shared.peers.are_there()
    }

    fn show(&self, shown: Vec<Shown>) -> BoxFuture<'static, Result<(), StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.showing.show(shown).await.map_err(Failure::told) })
    }

    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.keeper.new_owner().await.map_err(Failure::told) })
    }

    fn notices(&self, sink: NoticeSink) {
        self.shared.audience.set_sink(sink);
    }

    fn size(&self) -> BoxFuture<'static, Result<Option<StoreSize>, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.ask(async move { shared.measured.read(&shared.reader).await.map(Some) })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Thread { stop, handle }) = thread else { return ready(()).boxed() };
        let (reply, written) = oneshot::channel();
        drop(self.writer.send(Job::Close(reply)));
        let shared = Arc::clone(&self.shared);
        let given_up = self.ask(async move {
            // Batches that were enlisted before are written before.
            drop(written.await);
            let given_up = shared.keeper.give_up().await.map_err(Failure::told);
            shared.keeper.close().await;
            shared.showing.close().await;
            shared.reader.close();
            shared.setup.close().await;
            given_up
        });
        async move {
            if let Err(error) = given_up.await {
                log::warn!("the lease on the store was not given up, it expires: {error}");
            }
            // The thread has nothing else to do; reads that wait are answered as it ends.
            let _ = stop.send(());
            drop(handle.join());
        }
        .boxed()
    }

    fn durability(&self) -> &'static str {
        self.durability
    }
}
