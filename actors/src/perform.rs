//! What a user of the runtime writes: [`Perform`], the work of one kind of action.
//!
//! A performer is asked once for each attempt to start its [`Work`]; the runtime runs that work
//! beside its actors, never inside them (see `worker/`). The work sees itself, and what it is asked
//! to do, through its [`ActionContext`].

mod failure;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::action::{ActionId, Parameters};
use crate::lifecycle::OnRestart;
use crate::report::{Progress, Report};
use crate::system::System;
use crate::worker::Attempt;
pub use crate::worker::Wish;
#[cfg(unix)]
pub use crate::worker::run::process::ChildProcess;
#[cfg(unix)]
use crate::worker::run::process::ProcessWork;
pub use failure::{Failure, StopRequested};

/// The work of one kind of action.
///
/// ```
/// use actiond_actors::{ActionContext, Node, Perform, Work};
///
/// struct Greet;
///
/// impl Perform for Greet {
///     fn perform(&self, context: ActionContext) -> Work {
///         Work::task(async move {
///             let name = context.parameters().get("Name").unwrap_or("world").to_owned();
///             context.checkpoint().await?; // a stop takes effect here
///             Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
///         })
///     }
/// }
/// ```
pub trait Perform: Send + Sync + 'static {
    /// Starts one attempt at an action and returns its work; called beside the actors, so it may
    /// panic (the action then ends in Error), but it should return soon.
    fn perform(&self, context: ActionContext) -> Work;

    /// Tells whether this kind of action obeys a pause: that its work calls a checkpoint often.
    fn can_pause(&self) -> bool {
        false
    }

    /// Tells what becomes of an action of this kind that was running when the server went down, unless the queue's
    /// settings say otherwise. By default [`OnRestart::Fail`]: it ends in Error and does not run again, since nobody knows
    /// how much of it was done. A kind of action that may run twice says [`OnRestart::Requeue`].
    fn on_restart(&self) -> OnRestart {
        OnRestart::Fail
    }
}

/// One attempt's work, as handed to the runtime by [`Perform::perform`].
pub struct Work(pub(crate) WorkKind);

pub(crate) type WorkResult = Result<Report, Failure>;

pub(crate) enum WorkKind {
    Task(Pin<Box<dyn Future<Output = WorkResult> + Send>>),
    Blocking(Box<dyn FnOnce() -> WorkResult + Send>),
    #[cfg(unix)]
    Process(ProcessWork),
    Done(WorkResult),
}

impl Work {
    /// Work that awaits. Asked to stop by its context; forced by being dropped at its next await.
    ///
    /// It must not block: the tasks of all queues share a thread for each core, and whoever blocks one holds up
    /// those of other queues, and can't be forced.
    pub fn task<F>(future: F) -> Self
    where
        F: Future<Output = Result<Report, Failure>> + Send + 'static,
    {
        Self(WorkKind::Task(Box::pin(future)))
    }

    /// Work that blocks, on a thread of its own. Asked to stop by its context; a thread can't be
    /// forced, so work that looks at no checkpoint keeps its slot until it ends.
    pub fn blocking<F>(work: F) -> Self
    where
        F: FnOnce() -> Result<Report, Failure> + Send + 'static,
    {
        Self(WorkKind::Blocking(Box::new(work)))
    }

    /// Work of another program. Its process is the first of a process group of its own; a pause is SIGSTOP to that group,
    /// a stop SIGTERM, and a force SIGKILL. When the process has ended, by itself or not, what is left of its group is
    /// killed, and only then is the slot free. What leaves the group (`setsid`) is not reached; nor is it where the server
    /// itself is killed.
    ///
    /// The future that `accompany` returns feeds it, reads what it writes, and makes a result of it; one that
    /// fails has the program killed. Once the program was asked to stop, a failure counts as that.
    ///
    /// ```
    /// use actiond_actors::{ActionContext, Failure, Node, Perform, Work};
    /// use std::process::Stdio;
    /// use tokio::io::AsyncReadExt as _;
    ///
    /// struct Date;
    ///
    /// impl Perform for Date {
    ///     fn perform(&self, _: ActionContext) -> Work {
    ///         let mut command = tokio::process::Command::new("date");
    ///         command.stdin(Stdio::null()).stdout(Stdio::piped());
    ///         Work::process(command, |mut child| async move {
    ///             let mut said = String::new();
    ///             if let Some(mut stdout) = child.stdout.take() {
    ///                 stdout.read_to_string(&mut said).await?;
    ///             }
    ///             let status = child.exited().await?;
    ///             if !status.success() {
    ///                 return Err(Failure::failed(format!("date failed: {status}")));
    ///             }
    ///             Ok(vec![Node::text("date", said.trim())])
    ///         })
    ///     }
    ///
    ///     fn can_pause(&self) -> bool {
    ///         true
    ///     }
    /// }
    /// ```
    #[cfg(unix)]
    pub fn process<F>(
        command: tokio::process::Command,
        accompany: impl FnOnce(ChildProcess) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Report, Failure>> + Send + 'static,
    {
        Self(WorkKind::Process(ProcessWork::new(command, accompany)))
    }

    /// Work that is already done.
    #[must_use]
    pub fn done(result: Result<Report, Failure>) -> Self {
        Self(WorkKind::Done(result))
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            WorkKind::Task(_) => "Work::task",
            WorkKind::Blocking(_) => "Work::blocking",
            #[cfg(unix)]
            WorkKind::Process(_) => "Work::process",
            WorkKind::Done(_) => "Work::done",
        })
    }
}

/// What one attempt knows of itself, and how it hears what it is asked to do. Cheap to clone.
#[derive(Clone)]
pub struct ActionContext {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) system: System,
}

impl fmt::Debug for ActionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionContext").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl ActionContext {
    /// Returns the action's id, or `None` where it runs at once without a queue.
    #[must_use]
    pub fn id(&self) -> Option<ActionId> {
        self.attempt.id()
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue_name(&self) -> &str {
        self.attempt.queue_name()
    }

    /// Returns which attempt at the action this is, from 1.
    #[must_use]
    pub fn attempt_number(&self) -> u32 {
        self.attempt.number()
    }

    /// Returns what the action was given.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        self.attempt.parameters()
    }

    /// Returns the system that runs this attempt, for actions that submit others. To wait for one of the same queue
    /// takes a second slot: where all slots wait like that, nothing goes on.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Publishes how far the attempt has come; cheap enough for every few milliseconds.
    pub fn set_progress(&self, progress: Progress) {
        self.attempt.set_progress(progress);
    }

    /// Publishes a result so far: clients see it at once, and it is kept if the attempt does not
    /// end with a result of its own.
    pub fn set_partial(&self, report: Report) {
        self.attempt.set_partial(report);
    }

    /// Tells whether the attempt has been asked to stop.
    #[must_use]
    pub fn is_stop_requested(&self) -> bool {
        self.attempt.wish() >= Wish::Stop
    }

    /// Waits while the attempt is paused.
    ///
    /// # Errors
    ///
    /// [`StopRequested`] once it has been asked to stop, paused or not.
    pub async fn checkpoint(&self) -> Result<(), StopRequested> {
        self.attempt.checkpoint().await
    }

    /// The same for work that blocks: blocks while the attempt is paused.
    ///
    /// # Errors
    ///
    /// [`StopRequested`] once it has been asked to stop, paused or not.
    pub fn checkpoint_blocking(&self) -> Result<(), StopRequested> {
        match self.attempt.wish() {
            Wish::Run => Ok(()),
            Wish::Stop | Wish::Force => Err(StopRequested),
            Wish::Pause => self.system.block_on(self.checkpoint()),
        }
    }

    /// Returns what the attempt is asked to do, as a stream: first what holds now, then each change of it. Of wishes that
    /// follow one another quickly only the latest may be seen. For work that passes them on to something else;
    /// [`ActionContext::checkpoint`] is for work that obeys them itself. It ends with the attempt.
    ///
    /// ```
    /// # use actiond_actors::{ActionContext, Failure, Report, Wish};
    /// use futures_util::StreamExt as _;
    ///
    /// async fn steer(context: &ActionContext) {
    ///     let mut wishes = context.wishes();
    ///     while let Some(wish) = wishes.next().await {
    ///         match wish {
    ///             Wish::Run => { /* let the machine run */ }
    ///             Wish::Pause => { /* hold it */ }
    ///             Wish::Stop | Wish::Force => break,
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn wishes(&self) -> BoxStream<'static, Wish> {
        let mut wishes = self.attempt.watch();
        // What holds now comes first.
        wishes.mark_changed();
        stream::unfold(wishes, |mut wishes| async move {
            wishes.changed().await.ok()?;
            let wish = *wishes.borrow_and_update();
            Some((wish, wishes))
        })
        .boxed()
    }

    /// Waits until the attempt is asked to stop; for `select!` beside slow work.
    pub async fn stop_requested(&self) {
        self.attempt.stop_requested().await;
    }

    /// Sleeps for this long, not counting the time it is paused.
    ///
    /// # Errors
    ///
    /// [`StopRequested`] as soon as it is asked to stop.
    pub async fn sleep(&self, duration: Duration) -> Result<(), StopRequested> {
        self.attempt.sleep(duration).await
    }

    /// Blocks the calling thread until the future is ready; for work that blocks.
    ///
    /// # Errors
    ///
    /// [`StopRequested`] if the attempt is asked to stop before that, or the system was dropped; the future is
    /// then dropped.
    pub fn wait_for<F: Future>(&self, future: F) -> Result<F::Output, StopRequested> {
        self.system.block_on(async {
            let mut future = pin!(future);
            let output = poll_fn(|cx| {
                if self.system.has_ended() {
                    // There is no timer any more: a future that looks at one would panic.
                    return Poll::Ready(Err(StopRequested));
                }
                future.as_mut().poll(cx).map(Ok)
            });
            tokio::select! {
                output = output => output,
                () = self.stop_requested() => Err(StopRequested),
            }
        })
    }
}
