//! The queue actor: the only one on its server that commands its actions.
//!
//! What is to be written waits in the [`inbox`]. The actor enlists a batch with the store, which seals it
//! when it begins to write it, and enlists the next one while that is being made durable: group commit without a
//! timer. Nothing is acknowledged, and no attempt handed to a worker, before the batch that holds it is
//! durable (Q2, Q5).
//!
//! - a batch from its sealing to its answer: [`batch`];
//! - what others hold of a queue, also while it is being rebuilt: [`link`];
//! - what it does where other servers share its store: [`owners`];
//! - the messages: here; who sends them and what holds when they are answered stands with each.

mod batch;
mod ends;
mod handle;
mod inbox;
mod link;
mod owners;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::action::State;
use crate::clock::Clock;
use crate::lifecycle::{OnRestart, Verdict};
use crate::perform::Perform;
use crate::store::{
    Affected, BatchReply, Claimed, Control, QueueId, Rejected, Store, StoreError, Unread,
};
use crate::supervision::ExitGuard;
use crate::system::{Standing, Tenure, WeakSystem};
use crate::worker::{Attempt, Interrupt, Run, Wish, WorkerActor, record_loss};
use batch::{Committed, OnItsWay, Port, Ports, internal};
pub(crate) use ends::Listener;
pub use ends::{OneLine, Unfinished};
pub use handle::{
    ActionStatus, Listing, QueueError, QueueHandle, RunOutcome, Submission, Summary, Target,
    TooLarge,
};
use inbox::{Generation, Look};
pub(crate) use link::{Ending, Link, MOST_SLOTS, QueueLink, QueueShared, lock};
use owners::Due;
pub(crate) use owners::{Lease, Noticed};

/// How a queue works: given once, when it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// How many of its actions run at once, from 1 (`MaximumThreads`; default 1). 0 counts as 1.
    pub maximum_threads: usize,
    /// How many actions may wait; `None` = no limit (`MaxQueueSize`).
    pub max_queue_size: Option<u64>,
    /// How many final actions are kept, the oldest go first; `None` = all (`MaxFinishedSize`; default 100,000).
    pub max_finished_size: Option<u64>,
    /// How long final actions are kept; `None` = for ever (`MaxFinishedAge`).
    pub max_finished_age: Option<Duration>,
    /// What becomes of an action that was running when the server went down; `None` = what its kind says
    /// ([`Perform::on_restart`](crate::Perform::on_restart): by default it ends in Error).
    pub on_restart: Option<OnRestart>,
    /// How long lies between asking an action to stop and forcing it (`StopGraceSecs`; default 10 s).
    pub stop_grace: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            maximum_threads: 1,
            max_queue_size: None,
            max_finished_size: Some(100_000),
            max_finished_age: None,
            on_restart: None,
            stop_grace: Duration::from_secs(10),
        }
    }
}

/// Submissions wait in the [`inbox`]. From a handle that put one there which no batch will fetch; each is
/// answered once it is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Submissions;

/// Change actions that exist. From a handle; answered once the change is durable. It needs no room
/// in the queue and never waits behind submissions.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Change {
    pub(crate) control: Control,
    pub(crate) reply: oneshot::Sender<Result<Vec<Affected>, Rejected>>,
}

/// The attempt has ended, as it says itself, and its slot can take another one, if it is named here:
/// a slot never counts as free while its attempt still counts as running (Q4). Told by its worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AttemptEnded {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) freed: Option<usize>,
}

/// A slot can take another attempt whose last one was given up long ago: its thread has ended at
/// last. Told by its worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SlotFreed {
    pub(crate) slot: usize,
}

/// The worker of this slot has died, and nothing that it began runs any more. Told while the last of them is
/// dropped, after the end of its attempt, if that had begun.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerLost {
    pub(crate) slot: usize,
}

/// Refuse submissions and start nothing more: the server shuts down. From the system.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// Ask all that runs to stop because the server shuts down, or force it. From the system.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum EndAll {
    Interrupt,
    Force,
}

/// Answer once nothing waits in the [`inbox`] and nothing is in flight. From the system, before it closes the store.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Settle(pub(crate) oneshot::Sender<()>);

/// Die as a bug would make it.
#[cfg(feature = "testing")]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

/// How long a queue waits before it tries again to write down what it must (the end of an attempt).
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How often a queue with a limit of age looks for actions that are too old.
const PRUNE_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct QueueActor {
    shared: QueueLink,
    id: QueueId,
    store: Arc<dyn Store>,
    tenure: Arc<Tenure>,
    performer: Arc<dyn Perform>,
    clock: Arc<dyn Clock>,
    system: WeakSystem,
    /// Its drop tells the guardian that this actor is gone, however it went.
    _exit: ExitGuard,

    generation: Generation,
    /// How many batches have not been heard of again; at most one of them is not sealed.
    in_flight: usize,
    /// The last batch that was heard of could not be written.
    is_failing: bool,
    /// Set when what must be written could not be: wait for this timer, or for a client's message.
    backing_off: Option<SpawnHandle>,
    /// There is more to delete than one step took.
    prune_more: bool,
    /// Something may have come to wait that this actor can't know of.
    look: bool,
    due: Due,
    settle: Vec<oneshot::Sender<()>>,
}

impl QueueActor {
    #[expect(
        clippy::too_many_arguments,
        reason = "called in one place, with what a queue is made of"
    )]
    pub(crate) fn new(
        shared: QueueLink,
        id: QueueId,
        store: Arc<dyn Store>,
        tenure: Arc<Tenure>,
        performer: Arc<dyn Perform>,
        clock: Arc<dyn Clock>,
        system: WeakSystem,
        exit: ExitGuard,
    ) -> Self {
        // Before the address is published: whoever has it may submit.
        let generation = shared.inbox().open();
        Self {
            shared,
            id,
            store,
            tenure,
            performer,
            clock,
            system,
            _exit: exit,
            generation,
            in_flight: 0,
            is_failing: false,
            backing_off: None,
            prune_more: false,
            look: false,
            due: Due::default(),
            settle: Vec::new(),
        }
    }

    fn on_restart(&self) -> OnRestart {
        self.shared.settings().on_restart.unwrap_or_else(|| self.performer.on_restart())
    }

    /// Enlists a batch if there is something to write and none that will take it.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        // What others that are in flight start and delete is not known yet.
        let more = self.in_flight == 0 && (self.prune_more || self.look || self.can_start());
        match self.shared.inbox().look(more, self.backing_off.is_some()) {
            Look::Asked => {}
            Look::Enlist => {
                self.prune_more = false;
                self.look = false;
                self.in_flight += 1;
                let batch = OnItsWay {
                    queue: self.id,
                    shared: Arc::clone(&self.shared),
                    generation: self.generation,
                    clock: Arc::clone(&self.clock),
                    tenure: Arc::clone(&self.tenure),
                    actor: ctx.address(),
                };
                self.store.enlist(Box::new(|| batch.seal()));
            }
            Look::Rest => {
                if self.in_flight == 0 && !more && self.shared.inbox().is_empty() {
                    for settled in self.settle.drain(..) {
                        // The system may have stopped waiting.
                        let _ = settled.send(());
                    }
                }
            }
        }
    }

    fn can_start(&self) -> bool {
        let (counts, paused) = self.shared.counts();
        !paused
            && !self.due.rests
            && self.tenure.standing() == Standing::Holds
            && counts.queued() > 0
            && self.shared.free_slots() > 0
            && !self.shared.inbox().is_draining()
    }

    fn on_durable(&mut self, reply: BatchReply, ports: Ports) {
        self.shared.set_counts(reply.counts, reply.paused);
        self.prune_more = reply.more_to_prune;
        for (port, result) in ports.controls.into_iter().zip(reply.controls) {
            if let Ok(affected) = &result {
                for action in affected {
                    self.steer(action);
                }
                let (ends, name) = (self.shared.ends(), self.shared.name());
                match &port {
                    Port::Internal(Control::End(end)) => ends.ended(name, affected, end),
                    Port::Internal(Control::Recover { .. } | Control::Reclaim { .. }) => {
                        ends.recovered(name, affected);
                    }
                    _ => ends.commanded(name, affected),
                }
            }
            match &port {
                Port::Internal(Control::Recover { .. }) => {
                    self.adopt(result.as_deref().unwrap_or_default());
                    self.shared.set_recovered();
                }
                Port::Internal(Control::Reclaim { .. }) => {
                    self.remind(result.as_deref().unwrap_or_default());
                }
                _ => {}
            }
            port.answer(result, &self.shared);
        }
        for (port, result) in ports.submissions.into_iter().zip(reply.submissions) {
            // A caller that has gone may send it again under its key.
            let _ = port.send(result);
        }
        for Unread { action, error } in &reply.unread {
            self.steer(action);
            self.shared.ends().tell(self.shared.name(), action, Some(error));
        }
        let started = reply.claimed.len();
        if started > 0 {
            match self.tenure.standing_of(reply.owner) {
                Standing::Holds => reply.claimed.into_iter().for_each(|c| self.dispatch(c)),
                Standing::InDoubt => reply.claimed.into_iter().for_each(|c| self.give_back(&c)),
                // Others have recovered what that owner was given.
                Standing::Over => {}
            }
        }
        self.shared.inbox().note_dispatched(started);
    }

    /// Passes on to the worker what the rules decided, and wakes those who wait for an end.
    fn steer(&self, action: &Affected) {
        let wish = match (action.verdict, action.state) {
            (Verdict::Force, _) => Wish::Force,
            (Verdict::Move(State::Stopping), _) => Wish::Stop,
            (Verdict::Move(State::Paused), _) => Wish::Pause,
            (Verdict::Move(State::Processing), _) => Wish::Run,
            (Verdict::Move(state), _) if state.is_final() => {
                self.shared.wake(action.id);
                return;
            }
            _ => return,
        };
        self.shared.steer(action.id, action.attempt, wish);
    }

    /// Tells attempts that outlived an earlier actor what that one may not have passed on, and wakes
    /// all who wait: the end they wait for may have become durable without anybody learning of it.
    fn adopt(&self, recovered: &[Affected]) {
        for action in recovered.iter().filter(|action| action.verdict == Verdict::Stay) {
            self.shared.steer(action.id, action.attempt, wish_of(action.state));
        }
        self.shared.wake_all();
    }

    fn dispatch(&self, claimed: Claimed) {
        let attempt = Arc::new(Attempt::new(
            Some(claimed.id),
            claimed.attempt,
            self.shared.name_shared(),
            claimed.parameters,
            self.on_restart(),
        ));
        let start = |slot| {
            WorkerActor::new(
                slot,
                Arc::clone(&self.performer),
                self.system.clone(),
                Arc::clone(&self.shared),
                self.shared.settings().stop_grace,
            )
            .start()
        };
        // It was claimed before the shutdown, and its commit came back after.
        let ending = self.shared.ending();
        self.shared.occupy(&attempt, start, |worker| {
            worker.do_send(Run(Arc::clone(&attempt)));
            if ending == Some(Ending::Interrupt) {
                worker.do_send(Interrupt);
            }
        });
        if ending == Some(Ending::Force) {
            self.shared.force(&attempt);
        }
    }

    /// Frees the slot of a worker that has died, unless that was seen to before. What it was given and did not
    /// begin ends first: a slot never counts as free while its attempt still counts as running (Q4).
    fn replace_worker(&self, slot: usize) {
        for attempt in self.shared.orphans(slot) {
            record_loss(&attempt);
            self.end_of(&attempt);
        }
        self.shared.forget_lost(slot);
    }

    /// Puts in the end of an attempt, if it has ended.
    fn end_of(&self, attempt: &Attempt) {
        if let Some(end) = attempt.ended() {
            self.shared.inbox().control(internal(Control::End(end)));
        }
    }

    /// Waits a while before the next batch, unless a client sends something.
    fn back_off(&mut self, ctx: &mut Context<Self>) {
        self.try_again(ctx);
        self.backing_off = Some(ctx.run_later(RETRY_AFTER, |queue, ctx| {
            queue.backing_off = None;
            queue.pump(ctx);
        }));
    }

    /// Waits no longer. The timer goes, too: with each failure there would be one more.
    fn try_again(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.backing_off.take() {
            ctx.cancel_future(timer);
        }
    }
}

/// What is asked of an attempt whose action is in this state.
const fn wish_of(state: State) -> Wish {
    match state {
        State::Stopping => Wish::Stop,
        State::Paused => Wish::Pause,
        _ => Wish::Run,
    }
}

impl Actor for QueueActor {
    type Context = Context<Self>;

    /// Builds the queue from the store and from what still runs: the only way it is ever built, at
    /// the start of the server as after a crash of this actor.
    fn started(&mut self, ctx: &mut Self::Context) {
        // Messages to an actor that died are lost: read what they said.
        if self.system.upgrade().is_none_or(|system| system.is_draining()) {
            self.shared.inbox().drain();
        }
        match self.shared.ending() {
            Some(Ending::Interrupt) => ctx.notify(EndAll::Interrupt),
            Some(Ending::Force) => ctx.notify(EndAll::Force),
            None => {}
        }
        self.shared.free_idle();
        let attempts = self.shared.attempts();
        let live = attempts.iter().filter_map(|a| Some((a.id()?, a.number()))).collect();
        let recover = Control::Recover { live, on_restart: self.on_restart() };
        self.shared.inbox().control(internal(recover));
        for attempt in attempts {
            self.end_of(&attempt);
        }
        for slot in self.shared.lost() {
            self.replace_worker(slot);
        }
        self.mind_lease();
        if self.shared.settings().max_finished_age.is_some() {
            ctx.run_interval(PRUNE_EVERY, |queue, ctx| {
                queue.prune_more = true;
                queue.pump(ctx);
            });
        }
        self.pump(ctx);
    }
}

/// Nobody must wait for an actor that is gone.
impl Drop for QueueActor {
    fn drop(&mut self) {
        self.shared.inbox().close();
    }
}

impl Handler<Submissions> for QueueActor {
    type Result = ();

    fn handle(&mut self, _: Submissions, ctx: &mut Self::Context) {
        self.try_again(ctx);
        self.pump(ctx);
    }
}

impl Handler<Committed> for QueueActor {
    type Result = ();

    fn handle(&mut self, Committed(answer): Committed, ctx: &mut Self::Context) {
        self.in_flight -= 1;
        match answer {
            Ok((reply, ports)) => {
                self.is_failing = false;
                self.arm(&reply, ports.claim, ctx);
                let waits = ports.claim > 0 && !reply.paused && reply.counts.queued() > 0;
                if waits && reply.claimed.is_empty() && !self.due.rests {
                    // All but the starts was written: they must not be tried as fast as that fails.
                    self.back_off(ctx);
                }
                self.on_durable(reply, ports);
            }
            Err(error) => {
                // Once for as long as it lasts: clients may go on as fast as they are refused.
                let level = match &error {
                    _ if self.is_failing => log::Level::Debug,
                    // It passes by itself.
                    StoreError::Unavailable(_) => log::Level::Warn,
                    _ => log::Level::Error,
                };
                self.is_failing = true;
                log::log!(level, "queue {}: {error}", self.shared.name());
                // What a worker reported must be written down some time, and what waits must start
                // some time: but not as fast as the store can fail.
                self.back_off(ctx);
            }
        }
        self.pump(ctx);
    }
}

impl Handler<Change> for QueueActor {
    type Result = ();

    fn handle(&mut self, Change { control, reply }: Change, ctx: &mut Self::Context) {
        self.shared.inbox().control((control, Port::Client(reply)));
        self.try_again(ctx);
        self.pump(ctx);
    }
}

impl Handler<AttemptEnded> for QueueActor {
    type Result = ();

    fn handle(&mut self, AttemptEnded { attempt, freed }: AttemptEnded, ctx: &mut Self::Context) {
        self.end_of(&attempt);
        if let Some(slot) = freed {
            self.shared.free(slot);
        }
        self.pump(ctx);
    }
}

impl Handler<SlotFreed> for QueueActor {
    type Result = ();

    fn handle(&mut self, SlotFreed { slot }: SlotFreed, ctx: &mut Self::Context) {
        self.shared.free(slot);
        self.pump(ctx);
    }
}

impl Handler<WorkerLost> for QueueActor {
    type Result = ();

    fn handle(&mut self, WorkerLost { slot }: WorkerLost, ctx: &mut Self::Context) {
        log::error!("queue {}: a worker died", self.shared.name());
        self.replace_worker(slot);
        self.pump(ctx);
    }
}

impl Handler<Drain> for QueueActor {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.shared.inbox().drain();
    }
}

impl Handler<EndAll> for QueueActor {
    type Result = ();

    fn handle(&mut self, how: EndAll, _: &mut Self::Context) {
        match how {
            EndAll::Interrupt => self.shared.each_busy_worker(|worker| worker.do_send(Interrupt)),
            EndAll::Force => {
                for attempt in self.shared.attempts() {
                    self.shared.force(&attempt);
                }
            }
        }
    }
}

impl Handler<Settle> for QueueActor {
    type Result = ();

    fn handle(&mut self, Settle(reply): Settle, ctx: &mut Self::Context) {
        self.settle.push(reply);
        self.pump(ctx);
    }
}

#[cfg(feature = "testing")]
impl Handler<Crash> for QueueActor {
    type Result = ();

    #[expect(clippy::panic, reason = "this message exists to show what a panic does")]
    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("a planned crash of the queue actor");
    }
}
