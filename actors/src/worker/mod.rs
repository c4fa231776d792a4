//! The worker actor: one slot of a queue.
//!
//! It never runs user code itself: it starts the work elsewhere and watches it, so that it can take
//! a [`Steer`] message at any time. The attempt itself, shared with the work, is in [`attempt`].

mod attempt;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::task::{AbortHandle, JoinError};

use crate::action::ActionId;
use crate::lifecycle::Ended;
use crate::perform::{ActionContext, Failure, Perform, Work, WorkKind, WorkResult};
use crate::queue::{AttemptEnded, QueueLink, SlotFreed, WorkerLost};
use crate::report::{MAX_BYTES, Report, Written, dismantle};
use crate::store::AttemptEnd;
use crate::system::WeakSystem;
pub use attempt::Wish;
pub(crate) use attempt::{Attempt, LiveView};

/// Start this attempt. Sent by the queue once the attempt's start is durable; answered by
/// [`AttemptEnded`]. If the worker dies, the queue finds the attempt gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run(pub(crate) Arc<Attempt>);

/// Ask something of the attempt, if it is still this one that runs. Sent by the queue.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Steer {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) wish: Wish,
}

/// The server shuts down: ask what runs to stop, as an interruption.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Interrupt;

/// Die as a bug would make it, and drop what tells the sender.
#[cfg(feature = "testing")]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash(pub(crate) tokio::sync::oneshot::Sender<()>);

pub(crate) struct WorkerActor {
    slot: Arc<Slot>,
    performer: Arc<dyn Perform>,
    system: WeakSystem,
    queue: QueueLink,
    grace: Duration,
    running: Option<Running>,
}

struct Running {
    attempt: Arc<Attempt>,
    work: AbortHandle,
    /// Set once the attempt was given up while its thread still runs: the slot is retired until then.
    abandoned: bool,
}

/// Held by a worker and by the work that it began. Once neither is left the worker has died, and the queue is
/// told: not as long as a task is still being dropped or a thread still runs, beside which another would be one
/// too many.
struct Slot {
    number: usize,
    queue: QueueLink,
}

/// Runs perhaps while a panic unwinds: it must not panic itself.
impl Drop for Slot {
    fn drop(&mut self) {
        self.queue.note_lost(self.number);
        self.queue.tell(WorkerLost { slot: self.number });
    }
}

impl WorkerActor {
    pub(crate) fn new(
        slot: usize,
        performer: Arc<dyn Perform>,
        system: WeakSystem,
        queue: QueueLink,
        grace: Duration,
    ) -> Self {
        let slot = Arc::new(Slot { number: slot, queue: Arc::clone(&queue) });
        Self { slot, performer, system, queue, grace, running: None }
    }

    /// The work has come back, or was dropped by force.
    fn on_joined(&mut self, result: Result<Result<Written, Failure>, JoinError>) {
        let Some(running) = self.running.take() else { return };
        let cut_off = matches!(&result, Err(error) if error.is_cancelled());
        if cut_off && running.attempt.wish() < Wish::Stop {
            // Only the end of the whole system cuts off what nobody asked to stop: the store will
            // recover it.
            return;
        }
        let slot = self.slot.number;
        if running.abandoned {
            log::info!("queue {}: retired slot {slot} is free again", self.queue.name());
            self.queue.note_idle(slot);
            self.queue.tell(SlotFreed { slot });
        } else {
            self.report(&running.attempt, outcome(&running.attempt, result), Some(slot));
        }
    }

    /// Reports the end of an attempt, and the slot that it frees, if it does.
    fn report(&self, attempt: &Arc<Attempt>, outcome: Outcome<Written>, freed: Option<usize>) {
        record_end(attempt, outcome);
        if let Some(slot) = freed {
            self.queue.note_idle(slot);
        }
        // If the queue is being rebuilt now, it will find the end in the attempt itself.
        self.queue.tell(AttemptEnded { attempt: Arc::clone(attempt), freed });
    }

    fn force(&mut self, attempt: &Arc<Attempt>) {
        let Some(running) = self.running.as_mut().filter(|r| Arc::ptr_eq(&r.attempt, attempt))
        else {
            return;
        };
        attempt.ask(Wish::Force);
        if !attempt.is_on_thread() {
            running.work.abort();
            return;
        }
        if running.abandoned {
            return;
        }
        running.abandoned = true;
        log::warn!(
            "queue {}: the work of action {} does not stop; slot {} is retired until it ends",
            self.queue.name(),
            attempt.id().map_or(0, ActionId::get),
            self.slot.number
        );
        let ended = stopped(attempt);
        let text = "the work did not stop when asked and was abandoned; \
                    its slot stays taken until it ends by itself";
        self.report(attempt, (ended, Some(text.to_owned()), None), None);
    }
}

impl Actor for WorkerActor {
    type Context = Context<Self>;
}

/// Runs while the actor is dropped, perhaps by a panic: it must not panic itself.
impl Drop for WorkerActor {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.work.abort();
            if !running.abandoned {
                self.report(&running.attempt, worker_died(), None);
                // For a thread, which nothing can force and nobody watches any more.
                running.attempt.ask(Wish::Stop);
            }
        }
    }
}

impl Handler<Run> for WorkerActor {
    type Result = ();

    fn handle(&mut self, Run(attempt): Run, ctx: &mut Self::Context) {
        // Without a system there is nobody left to run it for: the store will recover it.
        let Some(system) = self.system.upgrade() else { return };
        let context = ActionContext { attempt: Arc::clone(&attempt), system: system.clone() };
        let work = start(Arc::clone(&self.performer), context, Arc::clone(&self.slot));
        let work = system.executor().spawn(async { written(work.await?) });
        self.running = Some(Running { attempt, work: work.abort_handle(), abandoned: false });
        ctx.spawn(work.into_actor(self).map(|result, worker, _| worker.on_joined(result)));
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
        // The attempt has been asked already, when the wish became durable; to ask it again here could
        // undo a later wish. What is left is to watch the time.
        if wish == Wish::Stop {
            ctx.run_later(self.grace, move |worker, _| worker.force(&attempt));
        }
    }
}

impl Handler<Interrupt> for WorkerActor {
    type Result = ();

    fn handle(&mut self, _: Interrupt, ctx: &mut Self::Context) {
        if let Some(running) = &self.running {
            let attempt = Arc::clone(&running.attempt);
            attempt.interrupt();
            ctx.run_later(self.grace, move |worker, _| worker.force(&attempt));
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

/// Runs one attempt's work to its end, beside the actors. `held` is let go of once the work has really ended: a
/// thread may outlive this future.
pub(crate) async fn start(
    performer: Arc<dyn Perform>,
    context: ActionContext,
    held: impl Send + 'static,
) -> WorkResult {
    let attempt = Arc::clone(&context.attempt);
    let Work(kind) = performer.perform(context);
    match kind {
        WorkKind::Done(result) => result,
        WorkKind::Task(work) => work.await,
        WorkKind::Blocking(work) => {
            attempt.set_on_thread();
            if attempt.wish() >= Wish::Stop {
                // Asked before it had a thread, which nothing could force.
                return Err(Failure::Stopped);
            }
            let work = move || {
                let _held = held;
                work()
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(result) => result,
                Err(error) => Err(Failure::Failed(panic_text(error))),
            }
        }
    }
}

/// Writes a result down, and lets go of it.
fn written(report: Report) -> Result<Written, Failure> {
    let written = Written::of(&report);
    if written.is_err() {
        dismantle(report);
    }
    Ok(written?)
}

/// Cuts a text to at most so many bytes.
fn cut_text(text: &mut String, max_bytes: usize) {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
    }
}

/// Writes into the attempt how it ended, with all that is to be kept of it.
fn record_end(attempt: &Attempt, (mut ended, mut error, report): Outcome<Written>) {
    let Some(id) = attempt.id() else { return };
    if let Some(text) = &mut error {
        cut_text(text, MAX_BYTES);
    }
    let view = attempt.view();
    let report =
        report.map_or_else(|| Written::of(&view.partial), Ok).unwrap_or_else(|unwritable| {
            (ended, error) = (Ended::Failed, Some(unwritable.to_string()));
            Written::default()
        });
    attempt.set_ended(AttemptEnd {
        id,
        attempt: attempt.number(),
        ended,
        error,
        report,
        percent: view.progress.percent(),
        processing_ms: i64::try_from(view.processing.as_millis()).unwrap_or(i64::MAX),
    });
}

/// How an attempt ends whose worker is gone.
fn worker_died() -> Outcome<Written> {
    (Ended::Failed, Some("the worker that ran the action died".to_owned()), None)
}

/// Ends an attempt whose worker died before it could.
pub(crate) fn record_loss(attempt: &Attempt) {
    record_end(attempt, worker_died());
}

/// How an attempt ended, its error text, and its result if that is not the partial one.
type Outcome<R> = (Ended, Option<String>, Option<R>);

pub(crate) fn outcome<R>(
    attempt: &Attempt,
    result: Result<Result<R, Failure>, JoinError>,
) -> Outcome<R> {
    match result {
        Ok(Ok(report)) => (Ended::Finished, None, Some(report)),
        Ok(Err(Failure::Stopped)) if attempt.wish() >= Wish::Stop => (stopped(attempt), None, None),
        Ok(Err(Failure::Stopped)) => {
            (Ended::Failed, Some("the work stopped without being asked to".to_owned()), None)
        }
        Ok(Err(Failure::Failed(text))) => (Ended::Failed, Some(text), None),
        Err(error) if error.is_cancelled() => (stopped(attempt), None, None),
        Err(error) => (Ended::Failed, Some(panic_text(error)), None),
    }
}

fn stopped(attempt: &Attempt) -> Ended {
    if attempt.is_interrupted() { Ended::Interrupted(attempt.on_restart()) } else { Ended::Stopped }
}

/// Drops what a panic left, which is the work's own too: another panic must not reach whoever asks about the first.
fn drop_quietly(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // To drop it would be to ask for one more.
        std::mem::forget(another);
    }
}

/// What a panic said, for the client: a panic in an action ends the action, not the queue.
fn panic_text(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => {
            let said = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            drop_quietly(payload);
            format!("the action panicked: {said}")
        }
        Err(_) => "the action was dropped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        for (max, left) in [(9, "größe"), (7, "größe"), (6, "größ"), (5, "grö"), (0, "")] {
            let mut text = "größe".to_owned();
            cut_text(&mut text, max);
            assert_eq!(text, left, "{max}");
        }
    }
}
