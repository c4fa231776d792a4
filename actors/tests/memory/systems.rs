//! Two systems on one store, as two servers on one database.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::store::query::{Cursor, Page, PageLimit, Query};
use actiond_actors::store::{
    EventId, EventPage, HandlerId, NoticeSink, OutboxState, OwnerId, PastAttempt, QueueId,
    QueueState, Record, Renewal, ScheduleState, Seal, Store, StoreError,
};
use actiond_actors::testing::{Gate, Plan, Script, eventually};
use actiond_actors::{
    ActionId, Interest, OnRestart, Parameters, QueueEvent, QueueHandle, QueueSettings, State,
    Submission, System, observer,
};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use crate::Memory;
use crate::store::MemoryStore;

/// Long for a test that waits for a timer of a third of it, and the database's clock stands still meanwhile.
const LEASE: Duration = Duration::from_millis(600);
const SOON: Duration = Duration::from_secs(20);

/// One server's way to the store, which the test can cut, and which loses every notice if it is told to.
#[derive(Debug)]
struct Line {
    store: MemoryStore,
    cut: Gate,
    deaf: bool,
    renewed: AtomicUsize,
}

impl Line {
    fn to(memory: &Memory) -> Self {
        let store = memory.database.open().unwrap();
        Self { store, cut: Gate::opened(), deaf: false, renewed: AtomicUsize::new(0) }
    }

    fn away() -> StoreError {
        StoreError::Unavailable("by a test".to_owned())
    }
}

impl Store for Line {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        self.store.open_queue(name)
    }

    fn enlist(&self, seal: Seal) {
        if self.cut.is_open() {
            self.store.enlist(seal);
        } else {
            let (_, answer) = seal();
            answer(Err(Self::away()));
        }
    }

    fn schedules(&self) -> BoxFuture<'static, Result<Vec<ScheduleState>, StoreError>> {
        self.store.schedules()
    }

    fn open_handler(&self, name: &str) -> BoxFuture<'static, Result<HandlerId, StoreError>> {
        self.store.open_handler(name)
    }

    fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>> {
        self.store.events(handler, after, except, limit)
    }

    fn outbox_state(
        &self,
        handler: HandlerId,
    ) -> BoxFuture<'static, Result<OutboxState, StoreError>> {
        self.store.outbox_state(handler)
    }

    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        self.store.queue_state(queue)
    }

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        self.store.record(queue, id)
    }

    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>> {
        self.store.history(queue, id)
    }

    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>> {
        self.store.parameters(queue, id)
    }

    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>> {
        self.store.page(queue, query, cursor, limit)
    }

    fn owner(&self) -> OwnerId {
        self.store.owner()
    }

    fn lease(&self) -> Option<Duration> {
        self.store.lease()
    }

    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        if !self.cut.is_open() {
            return ready(Err(Self::away())).boxed();
        }
        self.renewed.fetch_add(1, Ordering::SeqCst);
        self.store.renew()
    }

    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        self.store.new_owner()
    }

    fn notices(&self, sink: NoticeSink) {
        if !self.deaf {
            self.store.notices(sink);
        }
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.store.close()
    }

    fn durability(&self) -> &'static str {
        self.store.durability()
    }
}

/// One server.
struct Server {
    system: System,
    work: QueueHandle,
    line: Arc<Line>,
    script: Script,
    /// Where its work waits.
    gate: Gate,
    /// What its observer is told of starts and ends.
    told: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(line: Line, on_restart: OnRestart) -> Self {
        let gate = Gate::new();
        let script = Script::always(Plan::Wait(gate.clone()));
        let settings = QueueSettings {
            on_restart: Some(on_restart),
            stop_grace: SOON,
            ..QueueSettings::default()
        };
        let line = Arc::new(line);
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&told);
        let interest = Interest::STARTED | Interest::ENDED | Interest::QUEUE_PAUSED;
        let notes = observer(interest, move |_, event| {
            let line = match event {
                QueueEvent::Started { action, .. } => format!("started {}", action.attempt),
                QueueEvent::Requeued { action, .. } => format!("requeued {}", action.attempt),
                QueueEvent::Ended { action, state, .. } => format!("{state} {}", action.attempt),
                other => format!("{other:?}"),
            };
            heard.lock().unwrap().push(line);
        });
        let system = System::builder("unused")
            .store(Arc::clone(&line) as Arc<dyn Store>)
            .observer(notes)
            .queue("Work", settings, script.clone())
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        Self { system, work, line, script, gate, told }
    }

    async fn submit(&self) -> ActionId {
        self.work.submit(Submission::default()).await.unwrap().id
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    async fn state(&self, id: ActionId) -> State {
        self.work.status(id).await.unwrap().record.state
    }

    /// Waits until its lease was renewed by a request that begins from now on, and its queues were told.
    async fn renewed(&self) {
        let before = self.line.renewed.load(Ordering::SeqCst);
        eventually("its lease was renewed", async || {
            self.line.renewed.load(Ordering::SeqCst) > before
        })
        .await;
    }
}

async fn two(memory: &Memory, on_restart: OnRestart) -> (Server, Server) {
    let a = Server::start(Line::to(memory), on_restart).await;
    (a, Server::start(Line::to(memory), on_restart).await)
}

/// Lets the leases of all run out but of this one, which keeps its own up.
async fn run_out(memory: &Memory, kept: &Server) {
    for _ in 0..3 {
        memory.advance(LEASE / 2);
        kept.renewed().await;
    }
}

#[tokio::test]
async fn what_is_sent_to_one_runs_on_either() {
    let memory = Memory::new(LEASE);
    let (a, b) = two(&memory, OnRestart::Requeue).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(a.submit().await);
    }
    // Each has one slot.
    a.gate.until_waiting(1).await;
    b.gate.until_waiting(1).await;
    assert_eq!(b.work.read_summary().await.unwrap().counts.running(), 2);
    for server in [&a, &b] {
        server.gate.open();
    }
    for id in ids {
        let ended = b.work.wait(id, SOON).await.unwrap();
        assert_eq!((ended.record.state, ended.record.attempt), (State::Finished, 1));
    }
    for server in [a, b] {
        assert!(!server.script.started().is_empty(), "it had its share");
        server.system.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn a_stop_reaches_what_runs_elsewhere_and_who_waits_is_woken() {
    let memory = Memory::new(LEASE);
    let (a, b) = two(&memory, OnRestart::Fail).await;
    let id = a.submit().await;
    a.gate.until_waiting(1).await;
    let waits = tokio::spawn({
        let work = b.work.clone();
        async move { work.wait(id, Duration::MAX).await }
    });
    assert_eq!(b.work.stop(id).await, Ok(State::Stopping));
    let ended = tokio::time::timeout(SOON, waits).await.expect("it is woken").unwrap().unwrap();
    assert_eq!(ended.record.state, State::Stopped);
    assert_eq!(a.gate.waiting(), 0);
    for server in [&a, &b] {
        server.system.shutdown(SOON).await;
    }
    // Each change by the one that made it.
    assert_eq!(a.told(), ["started 1", "Stopped 1"]);
    assert!(b.told().is_empty(), "{:?}", b.told());
}

/// What was not heard of is looked for with the next renewal: a stop, an end, work, a pause.
#[tokio::test]
async fn notices_that_are_lost_are_made_up_for() {
    let memory = Memory::new(LEASE);
    let deaf = || Line { deaf: true, ..Line::to(&memory) };
    let a = Server::start(deaf(), OnRestart::Fail).await;
    let b = Server::start(deaf(), OnRestart::Fail).await;
    let ids = [a.submit().await, a.submit().await];
    a.gate.until_waiting(1).await;
    b.gate.until_waiting(1).await;
    b.work.pause_queue().await.unwrap();
    eventually("the other sees the pause", async || a.work.summary().paused).await;
    eventually("its observers are told", async || a.told().contains(&"QueuePaused".to_owned()))
        .await;
    for (id, by) in [(ids[0], &b), (ids[1], &a)] {
        assert_eq!(by.work.stop(id).await, Ok(State::Stopping));
        let ended = tokio::time::timeout(SOON, by.work.wait(id, Duration::MAX)).await;
        assert_eq!(ended.expect("it is woken").unwrap().record.state, State::Stopped);
    }
    for server in [a, b] {
        server.system.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn what_a_dead_server_ran_runs_again_after_its_lease() {
    let memory = Memory::new(LEASE);
    let dies = Server::start(Line::to(&memory), OnRestart::Requeue).await;
    let id = dies.submit().await;
    dies.gate.until_waiting(1).await;
    let lives = Server::start(Line::to(&memory), OnRestart::Requeue).await;
    drop(dies);
    // It may be started again only after the lease.
    lives.renewed().await;
    lives.renewed().await;
    assert_eq!((lives.state(id).await, lives.gate.waiting()), (State::Processing, 0));
    run_out(&memory, &lives).await;
    lives.gate.until_waiting(1).await;
    lives.gate.open();
    let ended = lives.work.wait(id, SOON).await.unwrap();
    assert_eq!((ended.record.state, ended.record.attempt), (State::Finished, 2));
    lives.system.shutdown(SOON).await;
    assert_eq!(lives.told(), ["requeued 1", "started 2", "Finished 2"]);
}

/// A server that was cut off ends what may run elsewhere, finds that its lease is lost, and goes on as another owner.
#[tokio::test]
async fn a_server_that_was_cut_off_comes_back_as_another_owner() {
    let memory = Memory::new(LEASE);
    let a = Server::start(Line::to(&memory), OnRestart::Requeue).await;
    let id = a.submit().await;
    a.gate.until_waiting(1).await;
    let b = Server::start(Line::to(&memory), OnRestart::Requeue).await;
    let former = a.line.owner();
    a.line.cut.close();
    // Without a word from the store it knows by its own measure alone.
    eventually("what may run elsewhere is ended", async || a.gate.waiting() == 0).await;
    run_out(&memory, &b).await;
    b.gate.until_waiting(1).await;
    a.line.cut.open();
    eventually("it is another owner", async || a.line.owner() != former).await;
    assert_eq!(b.gate.waiting(), 1, "its late report stops nothing");
    let next = a.submit().await;
    a.gate.until_waiting(1).await;
    for server in [&a, &b] {
        server.gate.open();
    }
    for (id, attempt) in [(id, 2), (next, 1)] {
        let ended = a.work.wait(id, SOON).await.unwrap();
        assert_eq!((ended.record.state, ended.record.attempt), (State::Finished, attempt));
    }
    assert_eq!(a.work.dropped_reports(), 1);
    for server in [a, b] {
        server.system.shutdown(SOON).await;
    }
}

/// What may run only once goes on while nothing is known of the store, and its end counts if nobody has recovered it.
#[tokio::test]
async fn what_may_run_only_once_goes_on_without_the_store() {
    let memory = Memory::new(LEASE);
    let a = Server::start(Line::to(&memory), OnRestart::Fail).await;
    let id = a.submit().await;
    a.gate.until_waiting(1).await;
    a.line.cut.close();
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(a.gate.waiting(), 1, "nobody starts it again");
    a.gate.open();
    a.line.cut.open();
    let ended = a.work.wait(id, SOON).await.unwrap();
    assert_eq!((ended.record.state, ended.record.attempt), (State::Finished, 1));
    a.system.shutdown(SOON).await;
}
