//! The ways to run an attempt's work, beside the actors.
//!
//! | as | paused by | asked to stop by | forced by | its slot is free |
//! |---|---|---|---|---|
//! | task | its checkpoints | its context | dropping it at its next await | once it is dropped |
//! | thread | its checkpoints | its context | nothing | once it ends by itself; until then it is retired |
//! | process | SIGSTOP to its group | SIGTERM to its group | SIGKILL to its group and cgroup | once nothing that it started runs any more, or 10 s after that was killed (logged) |
//!
//! A slot is free only after forced work has ended: no more work runs than the queue has slots (Q4).
//!
//! A program may start others, which may leave its process group. When its first process has ended, what is left of it is
//! killed and waited for. What counts as left of it depends on the machine:
//!
//! | what a program has started | with a cgroup | Linux, orphans adopted | Linux | other Unix |
//! |---|---|---|---|---|
//! | is in its group | found | found | found | found |
//! | has left the group (`setsid`, `setpgid`, a daemon) | found | found | found by its environment | not found |
//! | and has cleared its environment, its parent lives | found | found | found | not found |
//! | and has cleared its environment, its parent has gone | found | found, at the end of the last program that ran when it began | only if it was seen before | not found |
//! | all that, and the server was killed (`kill -9`) | found by the next start | found, if it was adopted 0.1 s before | not found | not found |
//! | was started by another service for it (`systemctl`, `docker`, `at`) | not found | not found | not found | not found |
//!
//! After a `kill -9` of the server the next start finds the first processes, their groups, their descendants and all that
//! has their mark in its environment, on every Linux, and what was adopted or had left its group when it was last looked
//! at. A cgroup can be made by a server that may write in its own
//! (`cgroup`): as root, or where systemd delegates it (`Delegate=yes`).

#[cfg(unix)]
mod ended;
#[cfg(unix)]
mod group;
#[cfg(unix)]
pub(crate) mod process;
#[cfg(unix)]
#[cfg_attr(not(target_os = "linux"), path = "programs/elsewhere.rs")]
pub(crate) mod programs;
#[cfg(unix)]
mod scarce;

use std::sync::Arc;
#[cfg(unix)]
use std::time::Duration;

use crate::perform::{ActionContext, Failure, Perform, Work, WorkKind, WorkResult};
use crate::subject::{Subject, about};
use crate::worker::Wish;
use crate::worker::outcome::panic_text;

/// Time to wait for killed processes: more than any needs that the system can end at all.
#[cfg(unix)]
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Kind of an attempt's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunAs {
    Task,
    Thread,
    #[cfg(unix)]
    Process,
}

/// Way to force work that does not stop. It has been asked by [`Wish::Force`] before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forcing {
    /// Drop the task; it comes back as cancelled once it is dropped.
    Drop,
    /// Wait: the task that runs the process kills it, and comes back once its group is gone.
    Await,
    /// Give the attempt up, since nothing forces a thread. Its slot is retired until the work comes back.
    Retire,
}

impl RunAs {
    /// Returns the way to force work of this kind.
    pub(crate) const fn forcing(self) -> Forcing {
        match self {
            Self::Task => Forcing::Drop,
            Self::Thread => Forcing::Retire,
            #[cfg(unix)]
            Self::Process => Forcing::Await,
        }
    }
}

/// Runs one attempt's work to its end. `held` is dropped once the work has really ended: a thread and a process may outlive
/// this future.
pub(crate) async fn start(
    performer: Arc<dyn Perform>,
    context: ActionContext,
    held: impl Send + 'static,
) -> WorkResult {
    match context.attempt.subject() {
        None => run(performer, context, held).await,
        // Boxed: without a subject nothing reserves room for it a second time, or moves it there.
        subject => Box::pin(about(subject, run(performer, context, held))).await,
    }
}

async fn run(
    performer: Arc<dyn Perform>,
    context: ActionContext,
    held: impl Send + 'static,
) -> WorkResult {
    let (attempt, subject) = (Arc::clone(&context.attempt), context.attempt.subject());
    attempt.set_begun();
    #[cfg(unix)]
    let programs = Arc::clone(context.system.programs());
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
            // Asked to stop before its kind was set: a force takes it for a task, which is right once this returns.
            return Err(Failure::Stopped);
        }
    }
    let outlives = match kind {
        WorkKind::Done(result) => return result,
        WorkKind::Task(work) => return work.await,
        WorkKind::Blocking(work) => tokio::task::spawn_blocking(move || {
            let _held = held;
            let _entered = subject.as_ref().map(Subject::enter);
            work()
        }),
        #[cfg(unix)]
        WorkKind::Process(process) => process.start(attempt, &programs, held).await?,
    };
    match outlives.await {
        Ok(result) => result,
        // Only the end of the whole system cancels it, and this future with it: the store recovers the attempt.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => Err(Failure::Failed(panic_text(error))),
    }
}
