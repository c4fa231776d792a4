//! The worker actor: one slot of a queue.
//!
//! It never runs user code itself: it starts the work elsewhere and watches it, so that it can take a [`Steer`] message at
//! any time. It ends the attempt exactly once, whatever happens to the work, and only then is its slot free (Q4).
//!
//! - [`attempt`]: the attempt, shared with its work (Q14);
//! - `log`: the last lines that it has logged;
//! - [`mod@outcome`]: the end of an attempt;
//! - [`run`]: the ways to run work, and to force it.

mod attempt;
mod log;
mod outcome;
pub(crate) mod run;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::task::{AbortHandle, JoinError};

use crate::action::ActionId;
use crate::lifecycle::Came;
use crate::perform::{ActionContext, Failure, Perform};
use crate::queue::{AttemptEnded, QueueLink, SlotFreed, WorkerLost};
use crate::report::Written;
use crate::subject::Subject;
use crate::system::WeakSystem;
pub(crate) use attempt::{Attempt, LiveView};
pub use attempt::{StopReason, Wish};
use outcome::{Outcome, came, record_end, stopped, worker_died, written};
pub(crate) use outcome::{outcome, record_loss};
use run::Forcing;
pub(crate) use run::{RunAs, start};

/// Start this attempt. Sent by the queue once the attempt's start is durable (Q5); answered by [`AttemptEnded`]. If the
/// worker dies, the queue ends the attempt.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run(pub(crate) Arc<Attempt>);

/// Pass a wish on, if it is still this attempt that runs. Sent by the queue.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Steer {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) wish: Wish,
}

/// Interrupt the attempt that runs: the server shuts down. Sent by the queue.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Interrupt;

/// Panic, for tests, and drop the sender.
#[cfg(feature = "testing")]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash(pub(crate) tokio::sync::oneshot::Sender<()>);

/// The actor of one slot.
pub(crate) struct WorkerActor {
    slot: Arc<SlotGuard>,
    performer: Arc<dyn Perform>,
    system: WeakSystem,
    queue: QueueLink,
    running: Option<Running>,
}

/// The attempt that a worker watches.
struct Running {
    attempt: Arc<Attempt>,
    work: AbortHandle,
    /// True if the attempt was given up while its thread still runs: the slot is retired until the thread ends.
    abandoned: bool,
}

/// Held by a worker and by the work that it started. Once all holders are gone the worker has died, and the queue is told.
/// That is not before a task is dropped and a thread has ended: beside them another attempt would be one too many (Q4).
struct SlotGuard {
    number: usize,
    queue: QueueLink,
}

/// May run while a panic unwinds, so it must not panic itself.
impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.queue.slots().note_lost(self.number);
        self.queue.tell(WorkerLost { slot: self.number });
    }
}

impl WorkerActor {
    pub(crate) fn new(
        slot: usize,
        performer: Arc<dyn Perform>,
        system: WeakSystem,
        queue: QueueLink,
    ) -> Self {
        let slot = Arc::new(SlotGuard { number: slot, queue: Arc::clone(&queue) });
        Self { slot, performer, system, queue, running: None }
    }

    /// Returns the time between asking an attempt to stop and forcing it.
    fn grace(&self) -> Duration {
        self.queue.settings().stop_grace
    }

    /// Ends the attempt: its work has come back, or was dropped by force.
    fn on_joined(&mut self, result: Result<Result<Written, Failure>, JoinError>) {
        let Some(running) = self.running.take() else { return };
        let cut_off = matches!(&result, Err(error) if error.is_cancelled());
        if cut_off && running.attempt.wish() < Wish::Stop {
            // Work that nobody asked to stop is only cut off by the end of the whole system: the store recovers it.
            return;
        }
        let slot = self.slot.number;
        if running.abandoned {
            ::log::info!("queue {}: retired slot {slot} is free again", self.queue.name());
            self.queue.slots().note_idle(slot);
            self.queue.tell(SlotFreed { slot });
        } else {
            let came = came(&running.attempt, cut_off);
            self.report(&running.attempt, came, outcome(&running.attempt, result), Some(slot));
        }
    }

    /// Reports the end of an attempt, and the slot that is free by that, if one is.
    fn report(
        &self,
        attempt: &Arc<Attempt>,
        came: Came,
        outcome: Outcome<Written>,
        freed: Option<usize>,
    ) {
        record_end(attempt, came, outcome);
        if let Some(slot) = freed {
            self.queue.slots().note_idle(slot);
        }
        // A queue that is being rebuilt finds the end in the attempt itself.
        self.queue.tell(AttemptEnded { attempt: Arc::clone(attempt), freed });
    }

    /// Forces the attempt if it is the one that runs.
    fn force(&mut self, attempt: &Arc<Attempt>) {
        let Some(running) = self.running.as_mut().filter(|r| Arc::ptr_eq(&r.attempt, attempt))
        else {
            return;
        };
        if attempt.is_detached() && attempt.run_as() == RunAs::Task {
            // First, so that the work sees no wish that is not meant for it: it goes on with another server.
            running.work.abort();
        }
        attempt.ask(Wish::Force);
        match attempt.run_as().forcing() {
            Forcing::Drop => running.work.abort(),
            Forcing::Await => {}
            Forcing::Retire if running.abandoned => {}
            Forcing::Retire => {
                running.abandoned = true;
                self.abandon(attempt);
            }
        }
    }

    /// Ends an attempt whose thread runs on.
    fn abandon(&self, attempt: &Arc<Attempt>) {
        let subject = attempt.subject();
        let _entered = subject.as_ref().map(Subject::enter);
        ::log::warn!(
            "queue {}: the work of action {} does not stop; slot {} is retired until it ends",
            self.queue.name(),
            attempt.id().map_or(0, ActionId::get),
            self.slot.number
        );
        let (ended, _) = stopped(attempt);
        // Another attempt would run beside this one (Q14).
        attempt.set_fatal();
        let text = "the work did not stop when asked and was abandoned; \
                    its slot stays taken until it ends by itself";
        let came = came(attempt, true);
        self.report(attempt, came, (ended, Some(text.to_owned()), None), None);
    }

    /// Asks the attempt to stop once it has worked for as long as the limit allows, of which `left` is left. Pauses don't count.
    fn watch_time(
        &self,
        attempt: Arc<Attempt>,
        limit: Duration,
        left: Duration,
        ctx: &mut Context<Self>,
    ) {
        ctx.run_later(left, move |worker, ctx| {
            let runs = worker.running.as_ref().is_some_and(|r| Arc::ptr_eq(&r.attempt, &attempt));
            if !runs || attempt.wish() >= Wish::Stop {
                return;
            }
            let (_, worked) = attempt.progress();
            if worked < limit {
                worker.watch_time(attempt, limit, limit - worked, ctx);
            } else {
                attempt.time_out_after(limit);
                ctx.run_later(worker.grace(), move |worker, _| worker.force(&attempt));
            }
        });
    }
}

impl Actor for WorkerActor {
    type Context = Context<Self>;
}

/// May run while a panic unwinds, so it must not panic itself.
impl Drop for WorkerActor {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.work.abort();
            if !running.abandoned {
                if running.attempt.run_as() != RunAs::Task {
                    // A thread or a process may go on for a while, and another attempt would run beside it (Q14).
                    running.attempt.set_fatal();
                }
                self.report(&running.attempt, Came::Forced, worker_died(), None);
                // A thread has to look at it, since nothing can force it; the task that runs a process kills it.
                running.attempt.ask(Wish::Force);
            }
        }
    }
}

impl Handler<Run> for WorkerActor {
    type Result = ();

    fn handle(&mut self, Run(attempt): Run, ctx: &mut Self::Context) {
        // The system has ended: the store recovers the attempt.
        let Some(system) = self.system.upgrade() else { return };
        let context = ActionContext { attempt: Arc::clone(&attempt), system: system.clone() };
        let work = start(Arc::clone(&self.performer), context, Arc::clone(&self.slot));
        let work = system.executor().spawn(async { written(work.await?) });
        let running = Arc::clone(&attempt);
        self.running =
            Some(Running { attempt: running, work: work.abort_handle(), abandoned: false });
        ctx.spawn(work.into_actor(self).map(|result, worker, _| worker.on_joined(result)));
        let limit = self.queue.settings().time_limit;
        if let Some(limit) = limit {
            self.watch_time(attempt, limit, limit, ctx);
        }
    }
}

impl Handler<Steer> for WorkerActor {
    type Result = ();

    fn handle(&mut self, Steer { attempt, wish }: Steer, ctx: &mut Self::Context) {
        if !self.running.as_ref().is_some_and(|r| Arc::ptr_eq(&r.attempt, &attempt)) {
            return;
        }
        if wish == Wish::Force {
            self.force(&attempt);
            return;
        }
        // The attempt was asked when the wish became durable; to ask it again here could undo a later wish. Only the grace
        // period is left to watch.
        if wish == Wish::Stop {
            ctx.run_later(self.grace(), move |worker, _| worker.force(&attempt));
        }
    }
}

impl Handler<Interrupt> for WorkerActor {
    type Result = ();

    fn handle(&mut self, _: Interrupt, ctx: &mut Self::Context) {
        if let Some(running) = &self.running {
            let attempt = Arc::clone(&running.attempt);
            attempt.interrupt();
            ctx.run_later(self.grace(), move |worker, _| worker.force(&attempt));
        }
    }
}

#[cfg(feature = "testing")]
impl Handler<Crash> for WorkerActor {
    type Result = ();

    #[expect(clippy::panic, reason = "this message exists to show what a panic does")]
    fn handle(&mut self, Crash(_sender): Crash, _: &mut Self::Context) {
        panic!("a planned crash of a worker");
    }
}
