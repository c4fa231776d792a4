//! The suite can fail: a store that does one thing wrong fails the case that asks for it. Mistakes about attempts and earliest
//! starts are in `attempts`, those about events for handlers in `events`; the others are those of a store that several share.

mod attempts;
mod events;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::lifecycle::{OnRestart, Verdict};
use actiond_actors::store::conformance::{self, StoreFactory, run};
use actiond_actors::store::query::{Cursor, Page, PageLimit, Query};
use actiond_actors::store::{
    Affected, Batch, BatchAnswer, Control, EventId, EventPage, HandlerId, NoticeSink, OutboxState,
    OwnerId, PastAttempt, QueueId, QueueState, Record, Rejected, Renewal, ScheduleState, Seal,
    Store, StoreError,
};
use actiond_actors::{ActionId, Parameters, State, Timestamp};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use crate::Memory;
use crate::store::{Database, MemoryStore};

const LEASE: Duration = Duration::from_secs(9);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// A command is not held against the queue time that it names.
    AnyQueueTime,
    /// What others run is recovered whether their leases are over or not.
    RecoversEarly,
    /// Whoever asks for a start gets one, with a lease or without.
    ClaimsWithoutLease,
    /// A lease that was lost is renewed as if nothing had been.
    DeadRenewed,
    /// A new owner has the number of the former one.
    NumberUsedAgain,
    /// Nobody is told of what others want.
    NobodyTold,
    /// A store that is closed keeps its lease.
    LeaseKept,
    /// A dead owner may end what no one has recovered yet.
    DeadEnds,
    /// Who recovers makes every owner dead whose lease is over, itself as well.
    EndsItself,
    Attempts(attempts::Mistake),
    Events(events::Mistake),
}

/// A store that makes this mistake.
#[derive(Debug)]
struct Wrong {
    inner: MemoryStore,
    database: Database,
    /// The attempts that it has started.
    started: Arc<Mutex<Vec<(ActionId, u32)>>>,
    clock: Arc<Mutex<Duration>>,
    first: OwnerId,
    mistake: Mistake,
}

struct Factory(Memory, Mistake);

impl StoreFactory for Factory {
    fn open(&self) -> Arc<dyn Store> {
        let Self(memory, mistake) = self;
        let inner = memory.database.open().unwrap();
        let (first, clock) = (inner.owner(), Arc::clone(&memory.clock));
        let (database, started) = (memory.database.clone(), Arc::default());
        Arc::new(Wrong { inner, database, started, clock, first, mistake: *mistake })
    }

    fn open_beside(&self) -> Option<Arc<dyn Store>> {
        Some(self.open())
    }

    fn pass(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.0.pass(time)
    }
}

impl Wrong {
    /// Makes all owners dead whose leases are over, by one more of them that recovers in another queue.
    fn end_all_that_expired(&self) {
        let other = self.database.open().unwrap();
        let queue = other.open_queue("Nobody").now_or_never().unwrap().unwrap().id;
        let reclaim = Control::Reclaim { recovery: OnRestart::Requeue.into() };
        let batch = Batch { controls: vec![reclaim], ..Batch::new(queue, Timestamp(0)) };
        drop(other.commit(batch));
        // Once that is done.
        other.close().now_or_never().unwrap();
    }

    /// Answers that an end was taken if this store has started the attempt and it still stands as running.
    fn taking_ends(&self, batch: &Batch, answer: BatchAnswer) -> BatchAnswer {
        let ends = batch.controls.iter().map(|control| {
            let Control::End(end) = control else { return None };
            let row = self.inner.record(batch.queue, end.id).now_or_never()?.ok()??;
            let is_own = self.started.lock().unwrap().contains(&(row.id, end.attempt));
            let state = State::Finished;
            let taken = Affected {
                id: row.id,
                attempt: row.attempt,
                queued_at: row.queued_at,
                started_at: row.started_at,
                finished_at: row.started_at,
                state,
                verdict: Verdict::Move(state),
                taken_by: None,
            };
            (is_own && row.attempt == end.attempt && row.state.is_running()).then_some(taken)
        });
        let ends: Vec<_> = ends.collect();
        let started = Arc::clone(&self.started);
        Box::new(move |mut reply| {
            if let Ok(reply) = &mut reply {
                let claimed = reply.claimed.iter().map(|claimed| (claimed.id, claimed.attempt));
                started.lock().unwrap().extend(claimed);
                for (control, end) in reply.controls.iter_mut().zip(ends) {
                    if let (Err(Rejected::Stale), Some(end)) = (&control, end) {
                        *control = Ok(vec![end]);
                    }
                }
            }
            answer(reply);
        })
    }
}

impl Store for Wrong {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        self.inner.open_queue(name)
    }

    fn enlist(&self, seal: Seal) {
        let (mut batch, answer) = seal();
        for control in &mut batch.controls {
            match control {
                Control::Command { queued_at, .. } if self.mistake == Mistake::AnyQueueTime => {
                    *queued_at = None;
                }
                Control::Reclaim { .. } if self.mistake == Mistake::RecoversEarly => {
                    *self.clock.lock().unwrap() += LEASE;
                }
                Control::Reclaim { .. } | Control::Recover { .. }
                    if self.mistake == Mistake::EndsItself =>
                {
                    self.end_all_that_expired();
                }
                _ => {}
            }
        }
        if let Mistake::Events(mistake) = self.mistake {
            mistake.spoil(&mut batch);
        }
        let answer = match self.mistake {
            Mistake::DeadEnds => self.taking_ends(&batch, answer),
            Mistake::Attempts(mistake) => {
                mistake.spoil(&mut batch, &self.inner);
                Box::new(move |mut reply| {
                    if let Ok(reply) = &mut reply {
                        mistake.spoil_reply(reply);
                    }
                    answer(reply);
                })
            }
            _ => answer,
        };
        if self.mistake == Mistake::ClaimsWithoutLease {
            drop(self.inner.renew());
        }
        self.inner.enlist(Box::new(move || (batch, answer)));
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
        mut except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>> {
        let is_from_first = self.mistake == Mistake::Events(events::Mistake::FromTheFirst);
        let after = after.filter(|_| !is_from_first);
        if self.mistake == Mistake::Events(events::Mistake::NoneLeftOut) {
            except.clear();
        }
        let events = self.inner.events(handler, after, except, limit);
        let Mistake::Events(mistake) = self.mistake else { return events };
        let page = events.now_or_never().unwrap();
        ready(page.map(|page| mistake.spoil_page(page, &self.inner))).boxed()
    }

    fn lead(&self, handler: HandlerId) -> BoxFuture<'static, Result<bool, StoreError>> {
        if self.mistake == Mistake::Events(events::Mistake::AllLead) {
            return ready(Ok(true)).boxed();
        }
        self.inner.lead(handler)
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

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        let record = self.inner.record(queue, id);
        let Mistake::Attempts(mistake) = self.mistake else { return record };
        record.map(move |read| Ok(read?.map(|record| mistake.spoil_record(record)))).boxed()
    }

    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>> {
        let history = self.inner.history(queue, id);
        let Mistake::Attempts(mistake) = self.mistake else { return history };
        history.map(move |read| Ok(mistake.spoil_history(read?))).boxed()
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
        if self.mistake == Mistake::NumberUsedAgain { self.first } else { self.inner.owner() }
    }

    fn lease(&self) -> Option<Duration> {
        self.inner.lease()
    }

    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        let renewed = self.inner.renew();
        if self.mistake == Mistake::DeadRenewed {
            return ready(Ok(Renewal::Holds)).boxed();
        }
        renewed
    }

    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        let owner = self.inner.new_owner();
        if self.mistake == Mistake::NumberUsedAgain {
            return ready(Ok(self.first)).boxed();
        }
        owner
    }

    fn notices(&self, sink: NoticeSink) {
        if self.mistake != Mistake::NobodyTold {
            self.inner.notices(sink);
        }
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        if self.mistake == Mistake::LeaseKept {
            return ready(()).boxed();
        }
        self.inner.close()
    }

    fn durability(&self) -> &'static str {
        self.inner.durability()
    }
}

fn wrong(mistake: Mistake) -> Factory {
    Factory(Memory::new(LEASE), mistake)
}

/// The case passes on the store as it is, and fails on one that makes the mistake.
macro_rules! fails {
    ($case:ident, $mistake:expr) => {
        run(conformance::$case(&Memory::new(LEASE)));
        let wrong = wrong($mistake);
        let failed = catch_unwind(AssertUnwindSafe(|| run(conformance::$case(&wrong))));
        assert!(failed.is_err(), "{:?} was not noticed", $mistake);
    };
}

use fails;

#[test]
fn each_mistake_is_noticed() {
    fails!(a_command_means_the_action_of_that_time, Mistake::AnyQueueTime);
    fails!(only_expired_leases_are_recovered, Mistake::RecoversEarly);
    fails!(an_owner_without_a_lease_starts_nothing, Mistake::ClaimsWithoutLease);
    fails!(an_end_of_a_former_owner_is_stale, Mistake::DeadRenewed);
    fails!(an_end_of_a_former_owner_is_stale, Mistake::NumberUsedAgain);
    fails!(a_wish_reaches_the_owner_as_a_notice, Mistake::NobodyTold);
    fails!(a_closed_owner_gives_its_lease_up, Mistake::LeaseKept);
    fails!(a_dead_owner_is_dead_in_every_queue, Mistake::DeadEnds);
    fails!(an_expired_owner_does_not_end_itself, Mistake::EndsItself);
    // What other cases ask for is right of these.
    run(conformance::an_end_of_a_former_owner_is_stale(&wrong(Mistake::DeadEnds)));
    run(conformance::only_expired_leases_are_recovered(&wrong(Mistake::EndsItself)));
}
