//! The queue actor: the only one on its server that commands its actions.
//!
//! What is to be written waits in the [`inbox`]. The actor enlists a batch with the store, which seals it
//! when it begins to write it, and enlists the next one while that is being made durable: group commit without a
//! timer. Nothing is acknowledged, and no attempt handed to a worker, before the batch that holds it is
//! durable (Q2, Q5).
//!
//! - a batch from its sealing to its answer: [`batch`];
//! - what others hold of a queue, also while it is being rebuilt: [`shared`], with its [`slots`] and [`waiters`];
//! - what it does where other servers share its store: [`owners`];
//! - what observers are told of a batch: [`telling`], and [`level`] for how full the queue is;
//! - the messages to the actor: [`messages`];
//! - what users call: [`handle`], [`listing`], [`run_now`].

mod batch;
mod errors;
mod handle;
mod inbox;
mod level;
mod listing;
mod messages;
mod owners;
mod run_now;
mod settings;
mod shared;
mod slots;
mod status;
mod telling;
mod waiters;
mod within;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::action::State;
use crate::clock::Clock;
use crate::events::{ActionRef, Interest};
use crate::lifecycle::{OnRestart, Verdict};
use crate::perform::Perform;
use crate::store::{Affected, BatchReply, Claimed, Control, QueueId, Store, StoreError, Unread};
use crate::supervision::ExitGuard;
use crate::system::{Standing, Tenure, WeakSystem};
use crate::worker::{Attempt, Interrupt, Run, Wish, WorkerActor, record_loss};
use batch::{Committed, OnItsWay, Port, Ports, internal};
pub use errors::QueueError;
pub use handle::{QueueHandle, Submission, Target};
use inbox::{Generation, Look};
pub use listing::{Listing, TooLarge};
#[cfg(feature = "testing")]
pub(crate) use messages::Crash;
pub(crate) use messages::{
    AttemptEnded, Change, Drain, EndAll, Progressed, Settle, SlotFreed, Submissions, WorkerLost,
};
use owners::Due;
pub(crate) use owners::{LeaseState, Noticed};
pub use run_now::RunOutcome;
pub use settings::QueueSettings;
pub(crate) use shared::{Ending, Link, QueueLink, QueueShared, lock};
pub(crate) use slots::MOST_SLOTS;
pub use status::{ActionStatus, Summary};
use telling::Asked;
pub use within::StatusWithin;

/// How long a queue waits before it tries again to write down what it must (the end of an attempt).
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How often a queue with a limit of age looks for actions that are too old.
const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// How often at most each attempt's progress is told: four times a second.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

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
            && self.shared.slots().available() > 0
            && !self.shared.inbox().is_draining()
    }

    fn on_durable(&mut self, reply: BatchReply, ports: Ports) {
        self.prune_more = reply.more_to_prune;
        let shared = &*self.shared;
        let (telling, name) = (shared.telling(), shared.name());
        shared.set_counts(reply.counts, reply.paused);
        let mut changes = reply.claimed.len() + reply.unread.len();
        for (port, result) in ports.controls.into_iter().zip(reply.controls) {
            if let Ok(affected) = &result {
                changes += 1;
                for action in affected {
                    self.steer(action);
                }
                match &port {
                    Port::Internal(Control::End(end)) => telling.ended(name, affected, end),
                    Port::Internal(Control::Recover { .. } | Control::Reclaim { .. }) => {
                        telling.recovered(name, affected);
                    }
                    Port::Internal(_) => {}
                    Port::Client { asked, .. } => telling.commanded(name, affected, *asked),
                }
            }
            match &port {
                Port::Internal(Control::Recover { .. }) => {
                    self.adopt(result.as_deref().unwrap_or_default());
                    shared.set_recovered();
                }
                Port::Internal(Control::Reclaim { .. }) => {
                    self.remind(result.as_deref().unwrap_or_default());
                }
                _ => {}
            }
            port.answer(result, shared);
        }
        let submissions = ports.submissions.into_iter().zip(reply.submissions);
        for (index, (port, result)) in submissions.enumerate() {
            if let Ok(submitted) = &result {
                let is_new = !reply.repeats.contains(&index);
                changes += usize::from(is_new);
                if is_new {
                    telling.queued(name, *submitted);
                }
            }
            // A caller that has gone may send it again under its key.
            let _ = port.send(result);
        }
        for Unread { action, error } in &reply.unread {
            self.steer(action);
            telling.unread(name, action, error);
        }
        let started = reply.claimed.len();
        if started > 0 {
            match self.tenure.standing_of(reply.owner) {
                Standing::Holds => {
                    for claimed in reply.claimed {
                        telling.started(name, &claimed);
                        self.dispatch(claimed);
                    }
                }
                Standing::InDoubt => reply.claimed.iter().for_each(|c| self.give_back(c)),
                // Others have recovered what that owner was given.
                Standing::Over => {}
            }
        }
        shared.inbox().note_dispatched(started);
        telling.committed(name, reply.counts.queued(), reply.paused, changes, ports.took);
    }

    /// Passes on to the worker what the rules decided, and wakes those who wait for an end.
    fn steer(&self, action: &Affected) {
        let wish = match (action.verdict, action.state) {
            (Verdict::Force, _) => Wish::Force,
            (Verdict::Move(State::Stopping), _) => Wish::Stop,
            (Verdict::Move(State::Paused), _) => Wish::Pause,
            (Verdict::Move(State::Processing), _) => Wish::Run,
            (Verdict::Move(state), _) if state.is_final() => {
                self.shared.waiters().wake(action.id);
                return;
            }
            _ => return,
        };
        self.shared.slots().steer(action.id, action.attempt, wish);
    }

    /// Tells attempts that outlived an earlier actor what that one may not have passed on, and wakes
    /// all who wait: the end they wait for may have become durable without anybody learning of it.
    fn adopt(&self, recovered: &[Affected]) {
        for action in recovered.iter().filter(|action| action.verdict == Verdict::Stay) {
            self.shared.slots().steer(action.id, action.attempt, wish_of(action.state));
        }
        self.shared.waiters().wake_all();
    }

    fn dispatch(&self, claimed: Claimed) {
        let Claimed { id, attempt, queued_at, parameters, .. } = claimed;
        let attempt = Attempt::new(
            Some(ActionRef { id, queued_at, attempt }),
            self.shared.name_shared(),
            parameters,
            self.on_restart(),
        );
        let watched = self.shared.telling().want(Interest::PROGRESSED);
        let queue = watched.then(|| Arc::downgrade(&self.shared));
        let attempt = Arc::new(attempt.telling_progress(queue));
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
        self.shared.slots().occupy(&attempt, start, |worker| {
            worker.do_send(Run(Arc::clone(&attempt)));
            if ending == Some(Ending::Interrupt) {
                worker.do_send(Interrupt);
            }
        });
        if ending == Some(Ending::Force) {
            self.shared.slots().force(&attempt);
        }
    }

    /// Frees the slot of a worker that has died, unless that was seen to before. What it was given and did not
    /// begin ends first: a slot never counts as free while its attempt still counts as running (Q4).
    fn replace_worker(&self, slot: usize) {
        for attempt in self.shared.slots().orphans(slot) {
            record_loss(&attempt);
            self.end_of(&attempt);
        }
        self.shared.slots().forget_lost(slot);
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

/// The wish for an attempt whose action is in this state.
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
        self.shared.slots().free_idle();
        let attempts = self.shared.slots().attempts();
        let live = attempts.iter().filter_map(|a| Some((a.id()?, a.number()))).collect();
        let recover = Control::Recover { live, on_restart: self.on_restart() };
        self.shared.inbox().control(internal(recover));
        for attempt in attempts {
            self.end_of(&attempt);
            // What its predecessor was told, and waited to tell, is lost.
            if attempt.renew_progress() {
                ctx.notify(Progressed(attempt));
            }
        }
        for slot in self.shared.slots().lost() {
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
        let asked = Asked::by(&control);
        self.shared.inbox().control((control, Port::Client { reply, asked }));
        self.try_again(ctx);
        self.pump(ctx);
    }
}

impl Handler<AttemptEnded> for QueueActor {
    type Result = ();

    fn handle(&mut self, AttemptEnded { attempt, freed }: AttemptEnded, ctx: &mut Self::Context) {
        self.end_of(&attempt);
        if let Some(slot) = freed {
            self.shared.slots().free(slot);
        }
        self.pump(ctx);
    }
}

impl Handler<SlotFreed> for QueueActor {
    type Result = ();

    fn handle(&mut self, SlotFreed { slot }: SlotFreed, ctx: &mut Self::Context) {
        self.shared.slots().free(slot);
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

impl Handler<Progressed> for QueueActor {
    type Result = ();

    /// Tells it, and looks again later whether there is more by then.
    fn handle(&mut self, Progressed(attempt): Progressed, ctx: &mut Self::Context) {
        self.shared.telling().progressed(self.shared.name(), &attempt);
        ctx.run_later(PROGRESS_EVERY, move |_, ctx| {
            if attempt.has_more_progress() {
                ctx.notify(Progressed(attempt));
            }
        });
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
            EndAll::Interrupt => {
                self.shared.slots().each_busy_worker(|worker| worker.do_send(Interrupt));
            }
            EndAll::Force => {
                for attempt in self.shared.slots().attempts() {
                    self.shared.slots().force(&attempt);
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
