//! Attempts as the queue sees them: given a slot and a worker, told of, and recorded when they have ended.
//!
//! A claimed action is handed to a worker after its start is durable (Q5). The end of an attempt is in the inbox before
//! its slot is free, so that no batch is sealed with one more free slot than there is (Q4).

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::QueueActor;
use super::batch::internal;
use super::messages::{AttemptEnded, EndAll, ErrorReported, Progressed, SlotFreed, WorkerLost};
use super::reserved::give_back;
use super::shared::Ending;
use crate::events::{ActionRef, Interest};
use crate::lifecycle::OnRestart;
use crate::report::Written;
use crate::store::{Claimed, Control, NewEvent};
use crate::worker::{Attempt, Interrupt, Run, WorkerActor, record_loss};

/// Least time between two events about one attempt's progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

impl QueueActor {
    /// Hands a claimed action to a worker. Its start is durable (Q5).
    pub(super) fn dispatch(&self, claimed: Claimed) {
        self.begin(&Arc::new(self.attempt_of(claimed)));
    }

    /// Makes the attempt at a claimed action.
    pub(super) fn attempt_of(&self, claimed: Claimed) -> Attempt {
        let taken_by = claimed.taken_by;
        let Claimed { id, attempt, queued_at, priority, parameters, failures, restarts, .. } =
            claimed;
        let attempt = Attempt::new(
            Some(ActionRef { id, queued_at, attempt, taken_by }),
            self.shared.name_shared(),
            parameters,
            self.on_restart(),
        );
        let watched = self.shared.telling().may_want(Interest::PROGRESSED);
        let queue = watched.then(|| Arc::downgrade(&self.shared));
        let settings = self.shared.settings();
        attempt
            .telling_progress(queue)
            .of_priority(priority)
            .retried(settings.retry, failures)
            .hiding(settings.secret_parameters.clone())
            .giving_up(self.recovery().gives_up(restarts))
    }

    /// Gives an attempt a slot and a worker.
    pub(super) fn begin(&self, attempt: &Arc<Attempt>) {
        let start = |slot| {
            WorkerActor::new(
                slot,
                Arc::clone(&self.performer),
                self.system.clone(),
                Arc::clone(&self.shared),
            )
            .start()
        };
        // The shutdown may have begun between the claim and its commit. What outlives the server is detached by the message
        // that tells this actor so.
        let ending = self.shared.ending().filter(|_| attempt.on_restart() != OnRestart::Resume);
        self.shared.slots().occupy(attempt, start, |worker| {
            worker.do_send(Run(Arc::clone(attempt)));
            if ending == Some(Ending::Interrupt) {
                worker.do_send(Interrupt);
            }
        });
        if ending == Some(Ending::Force) {
            self.shared.force(attempt);
        }
    }

    /// Frees the slot of a worker that has died, unless that was done before. An attempt that the worker never began is
    /// ended first: a slot never counts as free while its attempt still counts as running (Q4).
    pub(super) fn replace_worker(&self, slot: usize) {
        for attempt in self.shared.slots().orphans(slot) {
            if !attempt.is_resumed() && !attempt.has_begun() {
                give_back(&*self.performer, 1);
            }
            record_loss(&attempt);
            self.end_of(&attempt);
        }
        self.shared.slots().forget_lost(slot);
    }

    /// Puts the end of an attempt into the inbox, if it has ended.
    pub(super) fn end_of(&self, attempt: &Attempt) {
        if let Some(end) = attempt.ended() {
            self.shared.inbox().control(internal(Control::End(end)));
        }
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

    /// Tells observers, and looks later for further progress.
    fn handle(&mut self, Progressed(attempt): Progressed, ctx: &mut Self::Context) {
        self.shared.telling().progressed(self.shared.name(), &attempt);
        ctx.run_later(PROGRESS_EVERY, move |_, ctx| {
            if attempt.has_more_progress() {
                ctx.notify(Progressed(attempt));
            }
        });
    }
}

impl Handler<ErrorReported> for QueueActor {
    type Result = ();

    fn handle(&mut self, ErrorReported { attempt, error }: ErrorReported, ctx: &mut Self::Context) {
        let Some(id) = attempt.id() else { return };
        // A result that can't be written is told of at the end.
        let report = Written::of(&attempt.view().partial).unwrap_or_default();
        let event = NewEvent::ErrorReport { id, attempt: attempt.number(), error, report };
        self.shared.inbox().control(internal(Control::Tell(Box::new(event))));
        self.pump(ctx);
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
                    self.shared.force(&attempt);
                }
            }
        }
    }
}
