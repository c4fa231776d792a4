//! What a queue does at the word of a store that others share: it keeps to its lease, begins nothing that may run
//! elsewhere, and looks again when something may start. The store is scripted; two real owners: `tests/memory`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actiond_actors::store::query::{Cursor, Page, PageLimit, Query};
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{
    BatchAnswer, EventId, EventPage, HandlerId, Notice, NoticeSink, OutboxState, OwnerId,
    PastAttempt, QueueId, QueueState, Record, Renewal, ScheduleState, Seal, Store, StoreError,
};
use actiond_actors::testing::{FaultyStore, Gate, Script, eventually};
use actiond_actors::{
    ActionId, Builder, OnRestart, Parameters, QueueError, QueueHandle, State, System, Wish,
};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tempfile::TempDir;

use crate::common::{SOON, at_gate, builder, end_state, nothing, state, submit, threads, to_do};
use crate::observing::{CHANGES, Notes};

pub(crate) const LEASE: Duration = Duration::from_millis(300);

/// A store of one server's own that says what the test has it say.
#[derive(Clone)]
pub(crate) struct Scripted {
    inner: Arc<dyn Store>,
    says: Arc<Mutex<Says>>,
    owner: Arc<AtomicI64>,
}

#[derive(Default)]
pub(crate) struct Says {
    /// It is another server that delivers events.
    pub(crate) follows: bool,
    lease: Option<Duration>,
    renewal: Option<Result<Renewal, StoreError>>,
    renewals: usize,
    /// Number of times that it was asked for the states of queues.
    asked: usize,
    /// Nothing starts yet; the first may in this time.
    due: Option<Duration>,
    sink: Option<NoticeSink>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(crate) fn new(directory: &TempDir, lease: Option<Duration>) -> Self {
        let inner = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
        let says = Arc::new(Mutex::new(Says { lease, ..Says::default() }));
        Self { inner: Arc::new(inner), says, owner: Arc::new(AtomicI64::new(1)) }
    }

    pub(crate) fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap()
    }

    fn tell(&self, notice: Notice) {
        let sink = self.says().sink.clone().unwrap();
        sink(notice);
    }
}

impl Store for Scripted {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        self.inner.open_queue(name)
    }

    fn enlist(&self, seal: Seal) {
        let script = self.clone();
        self.inner.enlist(Box::new(move || {
            let (mut batch, answer) = seal();
            let due = script.says().due;
            if due.is_some() {
                batch.claim = 0;
            }
            let owner = script.owner();
            let answer: BatchAnswer = Box::new(move |mut reply| {
                if let Ok(reply) = &mut reply {
                    reply.next_due = due;
                    // All that waits waits for that time.
                    reply.deferred = if due.is_some() { reply.counts.queued() } else { 0 };
                    reply.owner = owner;
                }
                answer(reply);
            });
            (batch, answer)
        }));
    }

    fn schedules(&self) -> BoxFuture<'static, Result<Vec<ScheduleState>, StoreError>> {
        self.inner.schedules()
    }

    fn open_handler(&self, name: &str) -> BoxFuture<'static, Result<HandlerId, StoreError>> {
        self.inner.open_handler(name)
    }

    fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>> {
        self.inner.events(handler, after, except, limit)
    }

    fn outbox_state(
        &self,
        handler: HandlerId,
    ) -> BoxFuture<'static, Result<OutboxState, StoreError>> {
        self.inner.outbox_state(handler)
    }

    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        self.inner.queue_state(queue)
    }

    fn queue_states(
        &self,
        queues: Vec<QueueId>,
    ) -> BoxFuture<'static, Result<Vec<QueueState>, StoreError>> {
        self.says().asked += 1;
        self.inner.queue_states(queues)
    }

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        self.inner.record(queue, id)
    }

    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>> {
        self.inner.history(queue, id)
    }

    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>> {
        self.inner.parameters(queue, id)
    }

    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>> {
        self.inner.page(queue, query, cursor, limit)
    }

    fn owner(&self) -> OwnerId {
        OwnerId(self.owner.load(Ordering::SeqCst))
    }

    fn lead(&self, _: HandlerId) -> BoxFuture<'static, Result<bool, StoreError>> {
        ready(Ok(!self.says().follows)).boxed()
    }

    fn lease(&self) -> Option<Duration> {
        self.says().lease
    }

    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        let mut says = self.says();
        says.renewals += 1;
        ready(says.renewal.clone().unwrap_or(Ok(Renewal::Holds))).boxed()
    }

    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        self.says().renewal = None;
        ready(Ok(OwnerId(self.owner.fetch_add(1, Ordering::SeqCst) + 1))).boxed()
    }

    fn notices(&self, sink: NoticeSink) {
        self.says().sink = Some(sink);
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.inner.close()
    }

    fn durability(&self) -> &'static str {
        self.inner.durability()
    }
}

/// A system with the queue `Work` on such a store, whose answers can be held as well.
struct Home {
    directory: TempDir,
    store: Scripted,
    faults: FaultyStore,
    system: System,
    work: QueueHandle,
    /// What its observer is told.
    notes: Notes,
}

impl Home {
    async fn new(lease: Option<Duration>, on_restart: OnRestart, script: &Script) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Scripted::new(&directory, lease);
        let faults = FaultyStore::new(Arc::new(store.clone()));
        let mut settings = threads(1);
        settings.on_restart = Some(on_restart);
        let notes = Notes::of(CHANGES);
        let system = builder(directory.path())
            .store(Arc::new(faults.clone()))
            .observer(notes.clone())
            .queue("Work", settings, script.clone())
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        Self { directory, store, faults, system, work, notes }
    }

    /// Submits an action that is started at once, and lets nobody hear of that.
    async fn start_unheard(&self) -> ActionId {
        self.faults.hold_answers();
        let work = self.work.clone();
        tokio::spawn(async move { work.submit(to_do("wait")).await });
        eventually("its start is durable", async || self.faults.held() == 1).await;
        ActionId::new(1).unwrap()
    }

    async fn end(self) {
        self.faults.release();
        self.system.shutdown(SOON).await;
        drop(self.directory);
    }
}

#[tokio::test]
async fn a_lease_is_renewed_by_a_timer_and_no_store_without_one_is_asked() {
    for lease in [Some(LEASE), None] {
        let home = Home::new(lease, OnRestart::Fail, &Script::always(nothing())).await;
        if lease.is_some() {
            eventually("it was renewed", async || home.store.says().renewals > 3).await;
        } else {
            tokio::time::sleep(LEASE * 2).await;
            assert_eq!(home.store.says().renewals, 0);
        }
        let store = home.store.clone();
        home.end().await;
        let before = store.says().renewals;
        tokio::time::sleep(LEASE).await;
        assert_eq!(store.says().renewals, before, "what is closed needs none");
    }
}

/// However many queues there are, and in whatever order: over a network each question takes its time.
#[tokio::test]
async fn the_counts_of_all_queues_are_asked_for_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Scripted::new(&directory, Some(LEASE));
    let names = ["a", "b", "c", "d"];
    let builder = builder(directory.path()).store(Arc::new(store.clone()));
    let add = |builder: Builder, name| builder.queue(name, threads(1), Script::always(nothing()));
    let system = names.into_iter().fold(builder, add).start().await.unwrap();
    let queues = ["d", "b", "a"].map(|name| system.queue(name).unwrap());
    queues[1].pause_queue().await.unwrap();
    for number in [1, 2] {
        let id = submit(&queues[1], "nothing").await;
        assert_eq!(queues[1].read_summary().await.unwrap().counts.queued(), number, "{id}");
    }
    let before = store.says().asked;
    let read = system.read_summaries(&queues).await.unwrap();
    assert_eq!(store.says().asked, before + 1);
    let seen: Vec<_> = read.iter().map(|one| (one.paused, one.counts.queued())).collect();
    assert_eq!(seen, [(false, 0), (true, 2), (false, 0)]);
    system.shutdown(SOON).await;
}

/// A start that is heard of after the lease may run elsewhere by then: it is put back, of whatever kind it is, and begins later.
#[tokio::test]
async fn a_start_that_is_heard_of_after_the_lease_is_given_back() {
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        let gate = Gate::new();
        let script = at_gate(&gate);
        let home = Home::new(Some(LEASE), on_restart, &script).await;
        let id = home.start_unheard().await;
        let away = StoreError::Unavailable("by a test".to_owned());
        home.store.says().renewal = Some(Err(away));
        tokio::time::sleep(LEASE * 2).await;
        home.faults.release();
        eventually("it waits again", async || state(&home.work, id).await == State::Queued).await;
        assert_eq!(script.started(), [], "it never began");
        home.store.says().renewal = None;
        gate.until_waiting(1).await;
        gate.open();
        assert_eq!(end_state(&home.work, id).await, State::Finished);
        assert_eq!(home.work.status(id).await.unwrap().record.attempt, 2);
        let told = home.notes.clone();
        home.end().await;
        // Nothing of the attempt that never began.
        assert_eq!(told.lines(), ["queued #1.0", "started #1.2", "Finished ByItself #1.2"]);
    }
}

/// A stop of it reaches it before it is given back: its end is told, as that of one that never ran.
#[tokio::test]
async fn a_start_that_is_given_back_may_have_been_stopped() {
    let gate = Gate::new();
    let home = Home::new(Some(LEASE), OnRestart::Requeue, &at_gate(&gate)).await;
    let id = home.start_unheard().await;
    let asked = home.faults.commits();
    let stops = tokio::spawn({
        let work = home.work.clone();
        async move { work.stop(id).await }
    });
    eventually("the stop waits its turn", async || home.faults.commits() > asked).await;
    home.store.says().renewal = Some(Err(StoreError::Unavailable("by a test".to_owned())));
    tokio::time::sleep(LEASE * 2).await;
    home.faults.release();
    assert_eq!(stops.await.unwrap(), Ok(State::Stopping));
    assert_eq!(end_state(&home.work, id).await, State::Stopped);
    home.notes.until_told("Stopped never ran #1.1").await;
    let told = home.notes.clone();
    home.end().await;
    assert_eq!(told.lines(), ["queued #1.0", "stopping #1.1", "Stopped never ran #1.1"]);
}

/// What was started for a former owner is not this one's any more.
#[tokio::test]
async fn a_start_of_a_former_owner_is_not_begun() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(Some(LEASE), OnRestart::Requeue, &script).await;
    home.start_unheard().await;
    home.store.says().renewal = Some(Ok(Renewal::Lost));
    eventually("it is another owner", async || home.store.owner() == OwnerId(2)).await;
    home.faults.release();
    let later = submit(&home.work, "").await;
    // One slot, which the former owner's start does not take.
    assert_eq!(end_state(&home.work, later).await, State::Finished);
    assert_eq!(script.started(), [later]);
    assert!(!home.notes.lines().contains(&"started #1.1".to_owned()), "it never began here");
    home.end().await;
}

/// Whatever ran under a lease that was lost is forced, also what may run only once: it is believed no more.
#[tokio::test]
async fn what_ran_under_a_lost_lease_is_forced() {
    let gate = Gate::new();
    let home = Home::new(Some(LEASE), OnRestart::Fail, &at_gate(&gate)).await;
    submit(&home.work, "deaf").await;
    gate.until_waiting(1).await;
    home.store.says().renewal = Some(Ok(Renewal::Lost));
    eventually("it ended", async || gate.waiting() == 0).await;
    eventually("it is another owner", async || home.store.owner() == OwnerId(2)).await;
    home.end().await;
}

#[tokio::test]
async fn notices_are_passed_on() {
    let gate = Gate::new();
    let home = Home::new(Some(Duration::from_secs(900)), OnRestart::Fail, &at_gate(&gate)).await;
    let queue = home.store.open_queue("Work").await.unwrap().id;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let steer = |attempt, wish| Notice::Steer { queue, id, attempt, wish };
    home.store.tell(steer(2, Wish::Stop));
    home.store.tell(Notice::Paused { queue, paused: true });
    eventually("the pause is known", async || home.work.summary().paused).await;
    home.notes.until_told("queue paused").await;
    assert_eq!(gate.waiting(), 1, "another attempt is not meant");
    home.store.tell(steer(1, Wish::Stop));
    assert_eq!(end_state(&home.work, id).await, State::Stopped);

    let before = home.faults.sealed();
    home.store.tell(Notice::Work(queue));
    eventually("the queue has looked", async || home.faults.sealed() > before).await;
    // Of a queue that this system has not.
    home.store.tell(Notice::Work(QueueId(77)));
    home.end().await;
}

/// A queue whose actions may not start yet rests until the first may, and looks then without being told.
#[tokio::test]
async fn what_is_due_later_is_looked_for_then() {
    let due = Duration::from_millis(900);
    let home = Home::new(None, OnRestart::Fail, &Script::always(nothing())).await;
    home.store.says().due = Some(due);
    let id = submit(&home.work, "").await;
    let asked = home.faults.commits();
    // Longer than it takes to try again where the store fails.
    tokio::time::sleep(due * 2 / 3).await;
    assert_eq!(home.faults.commits(), asked, "there is nothing to ask for");
    assert_eq!(state(&home.work, id).await, State::Queued);
    home.store.says().due = None;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    home.end().await;
}

/// A store that is away is an error of its own, for which nothing is given up.
#[tokio::test]
async fn a_store_that_is_away_for_a_while_keeps_nothing_from_ending() {
    let gate = Gate::new();
    let home = Home::new(None, OnRestart::Fail, &at_gate(&gate)).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let away = StoreError::Unavailable("the line is dead".to_owned());
    home.faults.fail_commits(away.clone());
    assert_eq!(home.work.submit(to_do("")).await, Err(QueueError::Store(away)));
    let unknown = StoreError::OutcomeUnknown("the line broke".to_owned());
    home.faults.fail_commits(unknown);
    assert_eq!(home.work.submit(to_do("")).await, Err(QueueError::NoAnswer));
    gate.open();
    eventually("its end was tried", async || home.faults.failures() > 1).await;
    assert_eq!(state(&home.work, id).await, State::Processing);
    home.faults.mend();
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    home.end().await;
}
