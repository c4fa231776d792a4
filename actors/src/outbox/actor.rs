//! The actor of one handler: it reads events, has them delivered, and writes down what became of them.
//!
//! All that it holds is bounded and read from the store; it may be lost. An event is settled in the store only after it was
//! delivered or has failed for good, so whatever dies in between, it is read again.

mod down;
mod messages;

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::lanes::Lanes;
use super::receivers::{Receiver, Receivers};
use super::{Deliver, HandlerSettings, HandlerShared, Lane, Outbox, OutboxEvent, Undelivered};
use crate::action::Timestamp;
use crate::store::query::PageLimit;
use crate::store::{EventId, FailedEvent, OutboxChange, QueueId, StoreError};
use crate::supervision::drop_quietly;
pub(crate) use messages::Stop;
pub(super) use messages::Wake;
use messages::{Counted, Ended, Leads, Read, Settled};

/// Number of events that are held at most: those that wait here, are under way, or are not written down yet.
const MAX_HELD: usize = 2_048;
/// Number of bytes of their errors and results after which no more are read.
const MAX_HELD_BYTES: usize = 32 << 20;
/// Number of events, and of their bytes, that one read returns.
const PAGE: PageLimit = PageLimit { actions: 512, bytes: 4 << 20 };

/// Time between two looks at the number of events, and at those that only another server knows of.
const TICK: Duration = Duration::from_secs(1);
/// Time after which the store is asked again that could not be read or written.
const RETRY_STORE: Duration = Duration::from_millis(500);
/// Number of steps by which one batch drops events: the writer is held up no longer.
const MAX_TRIMS: u64 = 8;
/// Time between two lines of the log about events that failed, or were dropped.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Outcomes of events, to be written down.
#[derive(Debug, Default)]
struct Outcomes {
    delivered: Vec<EventId>,
    failed: Vec<FailedEvent>,
    /// Number of steps in which events beyond the maximum are dropped.
    trims: u64,
}

impl Outcomes {
    const fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.failed.is_empty() && self.trims == 0
    }
}

/// Lines of the log that would come too often: their number since the last one.
#[derive(Debug, Default)]
struct Seldom {
    at: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// Counts so many; returns the number of all since the last line, if there is to be one now.
    fn count(&mut self, number: u64) -> Option<u64> {
        self.since = self.since.saturating_add(number);
        if self.at.is_some_and(|at| at.elapsed() < TELL_AGAIN) || self.since == 0 {
            return None;
        }
        self.at = Some(Instant::now());
        Some(std::mem::take(&mut self.since))
    }
}

/// The actor of a handler.
pub(crate) struct HandlerActor {
    shared: Arc<HandlerShared>,
    outbox: Outbox,
    settings: HandlerSettings,
    deliver: Arc<dyn Deliver>,
    executor: Handle,
    queues: HashMap<QueueId, Arc<str>>,

    lanes: Lanes<Lane, Receiver, Arc<OutboxEvent>>,
    receivers: Receivers,
    /// The events that must not be read again, with their bytes.
    held: HashMap<EventId, usize>,
    held_bytes: usize,
    /// The lanes that go on once it is written down that their first event has failed. Before that a crash would have it told behind
    /// the next.
    failed_lanes: HashMap<EventId, Lane>,
    /// Number of failed attempts at each event that is to be tried again.
    failures: HashMap<EventId, u32>,
    /// Lanes whose first event waits for its next attempt, by time.
    due: BTreeMap<(Instant, EventId), Lane>,
    /// The timer of the first of them, or of the end of a pause.
    timer: Option<(Instant, SpawnHandle)>,
    in_flight: usize,
    outcomes: Outcomes,
    settling: Option<Outcomes>,
    is_reading: bool,
    is_counting: bool,
    /// True if events were written down as failed that were not counted.
    uncounted: bool,
    /// True if there may be events that were not read.
    look: bool,
    /// The last event that was read. While events of receivers that take nothing are left in the store, reading goes on behind it.
    read_to: Option<EventId>,
    /// True if all events are to be read again, from the first.
    reads_all: bool,
    /// Time of the last such look.
    read_all_at: Instant,
    /// True after another server was found to deliver, until all that was under way here has ended and is written down.
    starts_over: bool,
    /// True until this time after the store could not be read or written.
    store_is_away: bool,
    told_failed: Seldom,
    told_dropped: Seldom,
    dropped: Option<u64>,
    stopping: Option<oneshot::Sender<()>>,
}

impl HandlerActor {
    pub(crate) fn new(
        shared: Arc<HandlerShared>,
        outbox: Outbox,
        settings: HandlerSettings,
        deliver: Arc<dyn Deliver>,
        executor: Handle,
        queues: HashMap<QueueId, Arc<str>>,
    ) -> Self {
        Self {
            shared,
            outbox,
            settings,
            deliver,
            executor,
            queues,
            lanes: Lanes::default(),
            receivers: Receivers::default(),
            held: HashMap::new(),
            held_bytes: 0,
            failed_lanes: HashMap::new(),
            failures: HashMap::new(),
            due: BTreeMap::new(),
            timer: None,
            in_flight: 0,
            outcomes: Outcomes::default(),
            settling: None,
            is_reading: false,
            is_counting: false,
            uncounted: true,
            look: true,
            read_to: None,
            reads_all: false,
            read_all_at: Instant::now(),
            starts_over: false,
            store_is_away: false,
            told_failed: Seldom::default(),
            told_dropped: Seldom::default(),
            dropped: None,
            stopping: None,
        }
    }

    /// Does all that can be done now.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        self.let_due_go(ctx);
        self.deliver_next(ctx);
        self.settle(ctx);
        self.read(ctx);
        if self.in_flight == 0
            && self.settling.is_none()
            && (self.outcomes.is_empty() || self.store_is_away)
            && let Some(reply) = self.stopping.take()
        {
            // The caller may have stopped waiting.
            let _ = reply.send(());
            ctx.stop();
        }
    }

    /// Lets events be taken whose time has come, and sets the timer for what comes next.
    fn let_due_go(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now) {
            self.lanes.again(first.remove());
        }
        let next = self.due.keys().next().map(|(at, _)| *at);
        let next = next.into_iter().chain(self.receivers.next_end(now)).min();
        if self.timer.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = next.map(|at| {
            let wait = at.saturating_duration_since(now);
            let timer = ctx.run_later(wait, |handler, ctx| {
                handler.timer = None;
                handler.pump(ctx);
            });
            (at, timer)
        });
    }

    fn deliver_next(&mut self, ctx: &Context<Self>) {
        let most = self.settings.max_in_flight.max(1);
        let most_asked = most.div_ceil(2);
        let now = Instant::now();
        while self.in_flight < most && self.stopping.is_none() && self.shared.leads() {
            let may_be_sent = |receiver: &_| self.receivers.may_be_sent(receiver, now, most_asked);
            let Some((receiver, event)) = self.lanes.take(may_be_sent) else { break };
            self.in_flight += 1;
            self.receivers.begin(&receiver);
            self.begin(receiver, event, ctx.address());
        }
        self.shared.set_in_flight(self.in_flight);
    }

    /// Begins a delivery beside this actor.
    fn begin(&self, receiver: Receiver, event: Arc<OutboxEvent>, to: Addr<Self>) {
        let deliver = Arc::clone(&self.deliver);
        let delivered = async move {
            let attempt = AssertUnwindSafe(async { deliver.deliver(Arc::clone(&event)).await });
            let outcome = attempt.catch_unwind().await.unwrap_or_else(|panic| {
                drop_quietly(panic);
                Err(Undelivered::for_now("the handler panicked"))
            });
            to.do_send(Ended { receiver, event, outcome });
        };
        drop(self.executor.spawn(delivered));
    }

    /// Writes down what became of events, unless that is under way.
    fn settle(&mut self, ctx: &Context<Self>) {
        if self.settling.is_some() || self.outcomes.is_empty() || self.store_is_away {
            return;
        }
        let outcomes = std::mem::take(&mut self.outcomes);
        let mut changes = Vec::new();
        if !outcomes.delivered.is_empty() || !outcomes.failed.is_empty() {
            changes.push(OutboxChange::Settle {
                delivered: outcomes.delivered.as_slice().into(),
                failed: outcomes.failed.as_slice().into(),
            });
        }
        let keep = self.settings.max_pending;
        changes.extend((0..outcomes.trims).map(|_| OutboxChange::Trim { keep }));
        let Some(batch) = self.outbox.batch(self.shared.id(), changes) else { return };
        self.settling = Some(outcomes);
        let to = ctx.address();
        let answer = Box::new(move |answer| to.do_send(Settled(answer)));
        self.outbox.store.enlist(Box::new(move || (batch, answer)));
    }

    /// Reads more events, unless there are enough.
    fn read(&mut self, ctx: &Context<Self>) {
        self.look |= self.shared.take_wake();
        self.reads_all |= self.shared.take_reads_all();
        let has_room =
            self.held.len() <= MAX_HELD - PAGE.actions && self.held_bytes < MAX_HELD_BYTES;
        if !self.look
            || !has_room
            || self.is_reading
            || self.store_is_away
            || self.stopping.is_some()
            || !self.shared.leads()
        {
            return;
        }
        // Or what is under way would be read, and told, beside itself.
        if self.starts_over
            && (self.in_flight > 0 || self.settling.is_some() || !self.outcomes.is_empty())
        {
            return;
        }
        self.starts_over = false;
        (self.look, self.is_reading) = (false, true);
        let except = self.held.keys().copied().collect();
        if std::mem::take(&mut self.reads_all) {
            self.receivers.take_back(|receiver| self.lanes.held(receiver) > 0);
            (self.read_to, self.read_all_at) = (None, Instant::now());
        }
        let after = self.read_to.filter(|_| self.receivers.any_left(|_| true));
        let page = self.outbox.store.events(self.shared.id(), after, except, PAGE);
        let to = ctx.address();
        drop(self.executor.spawn(async move { to.do_send(Read(page.await)) }));
    }

    /// Notes that the store could not be read or written, and comes back to it later.
    fn store_failed(&mut self, error: &StoreError, ctx: &mut Context<Self>) {
        if self.store_is_away {
            return;
        }
        self.store_is_away = true;
        let level = match error {
            StoreError::Closed => log::Level::Debug,
            // The store itself says so.
            _ if !self.outbox.store.is_available() => log::Level::Debug,
            _ => log::Level::Warn,
        };
        log::log!(level, "handler {}: {error}; tried again", self.shared.name());
        ctx.run_later(RETRY_STORE, |handler, ctx| {
            handler.store_is_away = false;
            handler.look = true;
            handler.pump(ctx);
        });
    }

    fn let_go(&mut self, id: EventId) {
        self.held_bytes = self.held_bytes.saturating_sub(self.held.remove(&id).unwrap_or_default());
    }

    fn hold(&mut self, id: EventId, bytes: usize) {
        if self.held.insert(id, bytes).is_none() {
            self.held_bytes = self.held_bytes.saturating_add(bytes);
        }
    }

    /// Notes that an event failed for good.
    fn fail(&mut self, id: EventId, attempts: u32, error: String) {
        self.failures.remove(&id);
        if let Some(number) = self.told_failed.count(1) {
            let (name, s) = (self.shared.name(), if number == 1 { "" } else { "s" });
            log::warn!("handler {name}: {number} event{s} could not be delivered: {error}");
        }
        let at = self.now();
        self.outcomes.failed.push(FailedEvent { id, at, attempts, error });
    }

    fn now(&self) -> Timestamp {
        self.outbox.clock.now()
    }

    /// Asks how many events there are, if too many may wait.
    fn count(&mut self, ctx: &Context<Self>) {
        if self.is_counting || !self.shared.leads() || self.stopping.is_some() {
            return;
        }
        (self.is_counting, self.uncounted) = (true, false);
        let (to, state) = (ctx.address(), self.outbox.store.outbox_state(self.shared.id()));
        let counted = async move { to.do_send(Counted(state.await)) };
        drop(self.executor.spawn(counted));
    }

    /// Forgets the events before this one, which were dropped.
    fn forget_before(&mut self, oldest: EventId) {
        let gone: Vec<_> = self.due.keys().filter(|(_, id)| *id < oldest).copied().collect();
        for key in gone {
            if let Some(lane) = self.due.remove(&key) {
                self.failures.remove(&key.1);
                self.let_go(key.1);
                self.lanes.go_on(lane);
            }
        }
        let mut gone = Vec::new();
        self.lanes.remove(|event| {
            let is_gone = event.id < oldest;
            gone.extend(is_gone.then_some(event.id));
            is_gone
        });
        for id in gone {
            self.failures.remove(&id);
            self.let_go(id);
        }
        // One that was made pending again meanwhile is older, and is read once more.
        self.look = true;
    }

    /// Asks the store which server is to deliver.
    fn ask_to_lead(&self, ctx: &Context<Self>) {
        let (to, leads) = (ctx.address(), self.outbox.store.lead(self.shared.id()));
        // What can't be known is not delivered.
        let asked = async move { to.do_send(Leads(leads.await.unwrap_or(false))) };
        drop(self.executor.spawn(asked));
    }
}

impl Actor for HandlerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // The messages of one commit may be many.
        ctx.set_mailbox_capacity(1_024);
        self.shared.publish(Some(ctx.address()));
        self.ask_to_lead(ctx);
        ctx.run_interval(TICK, |handler, ctx| {
            if !handler.held.is_empty() || handler.look || handler.uncounted {
                handler.count(ctx);
            }
            // What other servers write is not told here.
            handler.look |= handler.outbox.store.has_peers();
            handler.look_at_all();
            handler.pump(ctx);
        });
        if let Some(heartbeat) = self.outbox.store.heartbeat() {
            ctx.run_interval(heartbeat, |handler, ctx| handler.ask_to_lead(ctx));
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.shared.publish(None);
        self.shared.set_leads(false);
    }
}
