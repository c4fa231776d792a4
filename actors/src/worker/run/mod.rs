//! How an attempt's work is run, beside the actors.
//!
//! | as | paused by | asked to stop by | forced by | its slot is free |
//! |---|---|---|---|---|
//! | task | its checkpoints | its context | dropping it at its next await | once it is dropped |
//! | thread | its checkpoints | its context | nothing | once it ends by itself; until then it is retired |
//! | process | SIGSTOP to its group | SIGTERM to its group | SIGKILL to its group | once the whole group has gone |
//!
//! A force is awaited before the slot is free: what is left of one attempt never runs beside more attempts than the
//! queue may have (Q4).

#[cfg(unix)]
pub(crate) mod process;

use std::sync::Arc;

use crate::perform::{ActionContext, Failure, Perform, Work, WorkKind, WorkResult};
use crate::worker::{Wish, panic_text};

/// What the work of an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunAs {
    Task,
    Thread,
    #[cfg(unix)]
    Process,
}

/// What is done to work that does not stop. It has heard [`Wish::Force`] by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// Drop it; it comes back as cancelled once that is done.
    Drop,
    /// Wait for it: who runs it kills it, and comes back once that is done.
    Await,
    /// Nothing can be done: the attempt is given up, and its slot retired until the work comes back.
    Retire,
}

impl RunAs {
    pub(crate) const fn force(self) -> Force {
        match self {
            Self::Task => Force::Drop,
            Self::Thread => Force::Retire,
            #[cfg(unix)]
            Self::Process => Force::Await,
        }
    }
}

/// Runs one attempt's work to its end. `held` is let go of once the work has really ended: a thread and a process may
/// outlive this future.
pub(crate) async fn start(
    performer: Arc<dyn Perform>,
    context: ActionContext,
    held: impl Send + 'static,
) -> WorkResult {
    let attempt = Arc::clone(&context.attempt);
    let Work(kind) = performer.perform(context);
    let run_as = match &kind {
        WorkKind::Done(_) | WorkKind::Task(_) => RunAs::Task,
        WorkKind::Blocking(_) => RunAs::Thread,
        #[cfg(unix)]
        WorkKind::Process(_) => RunAs::Process,
    };
    if run_as != RunAs::Task {
        attempt.set_run_as(run_as);
        if attempt.wish() >= Wish::Stop {
            // Asked before it was said what it is: whoever forces it now takes it for a task.
            return Err(Failure::Stopped);
        }
    }
    let outlives = match kind {
        WorkKind::Done(result) => return result,
        WorkKind::Task(work) => return work.await,
        WorkKind::Blocking(work) => tokio::task::spawn_blocking(move || {
            let _held = held;
            work()
        }),
        #[cfg(unix)]
        WorkKind::Process(process) => process.start(attempt, held)?,
    };
    match outlives.await {
        Ok(result) => result,
        // Only the end of the whole system cuts it off, and this with it: the store will recover it.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => Err(Failure::Failed(panic_text(error))),
    }
}
