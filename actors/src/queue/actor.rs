//! The queue actor: its parts, how it is built, and when it enlists a batch.
//!
//! It holds nothing that can't be built anew from the store and from what still runs: its guardian
//! ([`crate::supervision`]) builds another where one has died. It enlists a batch as soon as there is something to write,
//! or a free slot and an action that waits, unless the queue is paused (Q12, Q13).

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::QueueLink;
use super::batch::{ReplyTo, UnsealedBatch, internal};
use super::due::Due;
use super::inbox::{Generation, Look};
#[cfg(feature = "testing")]
use super::messages::Crash;
use super::messages::{
    Change, Drain, EndAll, LookAgain, Progressed, SettingsChanged, Settle, Submissions,
};
use super::shared::Ending;
use super::telling::Asked;
use crate::clock::Clock;
use crate::lifecycle::{OnRestart, Recovery};
use crate::perform::Perform;
use crate::store::{Control, QueueId, Store};
use crate::supervision::ExitGuard;
use crate::system::{Standing, Tenure, WeakSystem};

/// Time before a queue tries again to write what it must, such as the end of an attempt.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// Time between two looks for actions that are older than a queue's settings allow.
const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// The only actor on its server that commands a queue's actions.
pub(crate) struct QueueActor {
    pub(super) shared: QueueLink,
    id: QueueId,
    pub(super) store: Arc<dyn Store>,
    pub(super) tenure: Arc<Tenure>,
    pub(super) performer: Arc<dyn Perform>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) system: WeakSystem,
    /// Tells the guardian that this actor is gone when it is dropped, for whatever reason.
    _exit: ExitGuard,

    generation: Generation,
    /// Number of batches whose answer has not come yet; at most one of them is not sealed.
    pub(super) in_flight: usize,
    /// True if the last batch that was answered could not be written.
    pub(super) is_failing: bool,
    /// The timer to wait for after a failed write, unless a client's message comes before.
    backing_off: Option<SpawnHandle>,
    /// True if there is more to delete than one batch took.
    pub(super) prune_more: bool,
    /// The timer that looks for actions that are too old to be kept, if there is such an age.
    pruning: Option<SpawnHandle>,
    /// True if something may wait that this actor can't know of, say because another server submitted it.
    pub(super) look: bool,
    pub(super) due: Due,
    /// Those to tell once nothing waits and nothing is in flight.
    settle: Vec<oneshot::Sender<()>>,
    /// Those to tell once so many batches are answered, or nothing is in flight.
    looks: Vec<(usize, oneshot::Sender<()>)>,
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
        // Before the address is published: submissions come with it.
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
            pruning: None,
            look: false,
            due: Due::default(),
            settle: Vec::new(),
            looks: Vec::new(),
        }
    }

    /// Returns the fate of actions that are interrupted: as the settings say, else as their kind does.
    pub(super) fn on_restart(&self) -> OnRestart {
        match self.performer.on_restart() {
            // Its work is done elsewhere, whatever the settings say.
            OnRestart::Resume => OnRestart::Resume,
            by_kind => self.shared.settings().on_restart.unwrap_or(by_kind),
        }
    }

    /// Returns the treatment of actions whose server has died.
    pub(super) fn recovery(&self) -> Recovery {
        let max_restarts = self.shared.settings().max_restarts;
        Recovery { on_restart: self.on_restart(), max_restarts }
    }

    /// Enlists a batch if there is something to write or to start, and no batch is enlisted that takes it.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        // With a batch in flight it is not known yet what that starts and deletes.
        let more = self.in_flight == 0 && (self.prune_more || self.look || self.can_start());
        match self.shared.inbox().look(more, self.backing_off.is_some()) {
            Look::Enlisted => {}
            Look::Enlist => {
                self.prune_more = false;
                self.look = false;
                self.in_flight += 1;
                let batch = UnsealedBatch {
                    queue: self.id,
                    shared: Arc::clone(&self.shared),
                    generation: self.generation,
                    clock: Arc::clone(&self.clock),
                    tenure: Arc::clone(&self.tenure),
                    performer: Arc::clone(&self.performer),
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

    /// Answers those who asked it to look, once it has. Called for each answer to a batch.
    pub(super) fn answer_looks(&mut self) {
        let rests = self.in_flight == 0;
        for (left, reply) in std::mem::take(&mut self.looks) {
            match left.saturating_sub(1) {
                left if left > 0 && !rests => self.looks.push((left, reply)),
                // The caller may have stopped waiting.
                _ => drop(reply.send(())),
            }
        }
    }

    /// Tells whether a batch could start an action (Q13).
    fn can_start(&self) -> bool {
        let (counts, paused) = self.shared.counts();
        !paused
            && self.due.has_ready(counts.queued(), &*self.clock)
            && self.tenure.standing() == Standing::Holds
            && self.shared.slots().available() > 0
            && !self.shared.inbox().is_draining()
            && self.performer.demand() > 0
    }

    /// Waits a while before the next batch, unless a client sends something.
    pub(super) fn back_off(&mut self, ctx: &mut Context<Self>) {
        self.end_back_off(ctx);
        self.backing_off = Some(ctx.run_later(RETRY_AFTER, |queue, ctx| {
            queue.backing_off = None;
            queue.pump(ctx);
        }));
    }

    /// Starts or ends the timer that looks for actions that are too old, as the settings want it.
    fn mind_ages(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.shared.settings().max_finished_age.is_some();
        match self.pruning {
            None if wanted => {
                let timer = ctx.run_interval(PRUNE_EVERY, |queue, ctx| {
                    queue.prune_more = true;
                    queue.pump(ctx);
                });
                self.pruning = Some(timer);
            }
            Some(timer) if !wanted => {
                ctx.cancel_future(timer);
                self.pruning = None;
            }
            _ => {}
        }
    }

    /// Ends the wait. The timer is cancelled too: else each failure would leave one more.
    pub(super) fn end_back_off(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.backing_off.take() {
            ctx.cancel_future(timer);
        }
    }
}

impl Actor for QueueActor {
    type Context = Context<Self>;

    /// Builds the queue from the store and from what still runs. It is always built like this, at the start of the server
    /// as after a crash of this actor.
    fn started(&mut self, ctx: &mut Self::Context) {
        // Messages to an actor that died are lost, so their meaning is read from the shared state.
        if self.is_ending() {
            self.shared.inbox().drain();
            self.detach_all();
        }
        match self.shared.ending() {
            Some(Ending::Interrupt) => ctx.notify(EndAll::Interrupt),
            Some(Ending::Force) => ctx.notify(EndAll::Force),
            None => {}
        }
        self.shared.slots().free_idle();
        let attempts = self.shared.slots().attempts();
        let live = attempts.iter().filter_map(|a| Some((a.id()?, a.number()))).collect();
        // Once this server has recovered what ran before it, what is claimed and not live never began: the actor that would have
        // begun it has died. What was let go of goes on elsewhere.
        let unbegun = self.shared.inbox().is_recovered()
            && !self.outlives_now()
            && self.tenure.standing() != Standing::Over;
        let recover = Control::Recover { live, recovery: self.recovery(), unbegun };
        self.shared.inbox().control(internal(recover));
        for attempt in attempts {
            self.end_of(&attempt);
            attempt.forget_error_reports();
            // Progress that the predecessor was to tell observers of is lost.
            if attempt.renew_progress() {
                ctx.notify(Progressed(attempt));
            }
        }
        for slot in self.shared.slots().lost() {
            self.replace_worker(slot);
        }
        self.mind_lease();
        self.mind_ages(ctx);
        self.pump(ctx);
    }
}

/// Callers must not wait for an actor that is gone.
impl Drop for QueueActor {
    fn drop(&mut self) {
        self.shared.inbox().close();
    }
}

impl Handler<Submissions> for QueueActor {
    type Result = ();

    fn handle(&mut self, _: Submissions, ctx: &mut Self::Context) {
        self.end_back_off(ctx);
        self.pump(ctx);
    }
}

impl Handler<Change> for QueueActor {
    type Result = ();

    fn handle(&mut self, Change { control, reply }: Change, ctx: &mut Self::Context) {
        let asked = Asked::by(&control);
        self.shared.inbox().control((control, ReplyTo::Client { reply, asked }));
        self.end_back_off(ctx);
        self.pump(ctx);
    }
}

impl Handler<SettingsChanged> for QueueActor {
    type Result = ();

    fn handle(&mut self, _: SettingsChanged, ctx: &mut Self::Context) {
        self.mind_ages(ctx);
        // Fewer may be kept than before.
        self.prune_more = true;
        self.pump(ctx);
    }
}

impl Handler<Drain> for QueueActor {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.shared.inbox().drain();
        self.detach_all();
    }
}

impl Handler<LookAgain> for QueueActor {
    type Result = ();

    fn handle(&mut self, LookAgain(reply): LookAgain, ctx: &mut Self::Context) {
        // What another server has taken may not be among the counts yet.
        self.look |= self.store.has_peers() && self.shared.slots().available() > 0;
        self.pump(ctx);
        // Of those in flight each may have been sealed before: the one after them is not.
        if self.in_flight > 0 && !reply.is_closed() {
            self.looks.push((self.in_flight + 1, reply));
        } else {
            // The caller may not wait.
            let _ = reply.send(());
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
