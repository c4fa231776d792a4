//! The work of one kind of action: [`Perform`], which a user of the runtime implements.
//!
//! [`Perform::perform`] is called once for each attempt and returns its [`Work`]. The runtime runs that beside its actors,
//! never inside them (`worker`). Through its [`ActionContext`] the work reads its parameters, publishes its progress and
//! hears of pauses and stops.

mod failure;
mod function;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::action::{ActionId, Parameters, State};
use crate::events::ActionRef;
use crate::lifecycle::{Came, OnRestart};
use crate::queue::{QueueError, Relayed};
use crate::report::{Progress, Report};
use crate::system::System;
use crate::worker::Attempt;
#[cfg(unix)]
pub use crate::worker::run::process::ChildProcess;
#[cfg(unix)]
use crate::worker::run::process::ProcessWork;
#[cfg(unix)]
pub use crate::worker::run::programs::Bystander;
pub use crate::worker::{StopReason, Wish};
pub use failure::{Failure, StopRequested};
pub use function::{PerformFn, perform_blocking, perform_fn};

/// The work of one kind of action.
///
/// An async function or closure that takes an [`ActionContext`] is one, too: see [`perform_fn`].
///
/// # After a restart
///
/// **By default an action that was running when the server went down does not run again: it ends in Error**
/// ([`OnRestart::Fail`]), since nobody knows how much of it was done. Work that may be done twice says so by
/// [`Perform::on_restart`], or [`QueueSettings::on_restart`](crate::QueueSettings::on_restart) says so for the whole queue.
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
    /// Starts one attempt at an action and returns its work. Should return soon. A panic ends the action in Error.
    fn perform(&self, context: ActionContext) -> Work;

    /// Tells whether this kind of action can pause: whether its work calls [`ActionContext::checkpoint`] often.
    fn can_pause(&self) -> bool {
        false
    }

    /// Returns the fate of an action of this kind that was running when the server went down, unless the queue's settings
    /// say otherwise ([`QueueSettings::on_restart`](crate::QueueSettings::on_restart)).
    ///
    /// **The default is [`OnRestart::Fail`]: the action ends in Error and does not run again**, since nobody knows how much of it was
    /// done. A kind of action that may run twice returns [`OnRestart::Requeue`]. A shutdown that has to
    /// interrupt work treats it in the same way.
    fn on_restart(&self) -> OnRestart {
        OnRestart::Fail
    }

    /// Returns the number of actions that could begin now, beside those that have begun. By default there is no limit but
    /// the queue's slots. A kind of action that needs something else for each, such as a remote worker that asks for one,
    /// returns the number of those; when there is more, it calls [`QueueHandle::look_again`](crate::QueueHandle::look_again).
    ///
    /// This and the next two are called by threads that must not wait.
    fn demand(&self) -> usize {
        usize::MAX
    }

    /// Reserves what is needed for up to `most` actions to begin, and returns for how many, at most `most`. Each of them is then
    /// given to [`Perform::perform`], or given back. Nothing is reserved for an attempt that is resumed
    /// ([`OnRestart::Resume`]), and for an action that runs at once.
    fn reserve(&self, most: usize) -> usize {
        most
    }

    /// Takes back what was reserved for this number of actions, because there were fewer to begin.
    fn give_back(&self, unused: usize) {
        let _ = unused;
    }

    /// Returns the reason for which no action with these parameters is taken, or `None` if it is. Asked before an action is queued,
    /// or run at once, so it must be quick.
    fn refusal(&self, parameters: &Parameters) -> Option<String> {
        let _ = parameters;
        None
    }

    /// Tells whether the work takes commands that the rules refuse for an action that runs: see
    /// [`ActionContext::relayed`].
    fn relays(&self) -> bool {
        false
    }
}

/// The work of one attempt, as [`Perform::perform`] returns it.
pub struct Work(pub(crate) WorkKind);

/// Result of work, as it comes back.
pub(crate) type WorkResult = Result<Report, Failure>;

/// Kind of work; `worker::run` runs each in its own way.
pub(crate) enum WorkKind {
    Task(Pin<Box<dyn Future<Output = WorkResult> + Send>>),
    Blocking(Box<dyn FnOnce() -> WorkResult + Send>),
    #[cfg(unix)]
    Process(ProcessWork),
    Done(WorkResult),
}

impl Work {
    /// Makes work that awaits. It is asked to stop by its context, and forced by being dropped at its next await.
    ///
    /// It must not block: the tasks of all queues share one thread for each core, so a task that blocks holds up those of
    /// other queues, and can't be forced.
    pub fn task<F>(future: F) -> Self
    where
        F: Future<Output = Result<Report, Failure>> + Send + 'static,
    {
        Self(WorkKind::Task(Box::pin(future)))
    }

    /// Makes work that blocks, on a thread of its own. It is asked to stop by its context. A thread can't be forced, so
    /// work that calls no checkpoint keeps its slot until it ends.
    pub fn blocking<F>(work: F) -> Self
    where
        F: FnOnce() -> Result<Report, Failure> + Send + 'static,
    {
        Self(WorkKind::Blocking(Box::new(work)))
    }

    /// Makes work that another program does. Its process leads a process group of its own: a pause is SIGSTOP to that
    /// group, a stop SIGTERM, and a force SIGKILL. When the process has ended, by itself or not, all that it started and
    /// left behind is killed, and only once that has ended is the slot free, or ten seconds later. How the attempt came to
    /// its end ([`Came`]), its time limit and its processing time go by the end of the process, not by that of
    /// what it left behind.
    ///
    /// On Linux that includes processes that have left the group (`setsid`, daemons). They are known by their parents, by the
    /// variable `ACTIOND_PROCESS`, which is added to the environment of the program, and by a cgroup for each program
    /// where the server may make one. Without cgroups, a daemon that has cleared its environment is found only if this
    /// process adopts orphans: [`Builder::adopt_orphans`](crate::Builder::adopt_orphans). Elsewhere only the group is ended.
    /// What another service starts for the program is nowhere reached.
    ///
    /// If the server is killed, the program runs on. It is recorded below the directory of the system (`processes/`), and on
    /// Linux the next start of a system there ends it, with all that it started, before any action is recovered.
    ///
    /// The future that `accompany` returns feeds the program, reads its output and makes a result of it. If it fails, the
    /// program is killed. A failure after the program was asked to stop counts as a stop, and the partial result is kept;
    /// [`ChildProcess::came`] tells it apart before.
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
        Self::process_started_by(command, tokio::process::Command::spawn, accompany)
    }

    /// Makes work that runs a program as [`Work::process`] does, where `start` starts it: for something that must be done
    /// just before or after that, such as to hold a lock while a program inherits a file.
    ///
    /// It is given the command with what the runtime has added to it, and returns the child that this command started and
    /// nobody has waited for. It must not change the process group. It runs where futures do, so it must not block for long.
    ///
    /// If that fails for lack of descriptors or processes (`EMFILE`, `ENFILE`, `EAGAIN`), it is called again after a pause, until
    /// it works or the attempt is asked to stop. No time counts as worked meanwhile. It may put another command in the place of
    /// one that can't be used twice.
    ///
    /// ```
    /// use actiond_actors::{ActionContext, Perform, Work};
    /// use std::sync::Mutex;
    ///
    /// /// Held while a program is started that must not inherit what others are given.
    /// static STARTS: Mutex<()> = Mutex::new(());
    ///
    /// struct True;
    ///
    /// impl Perform for True {
    ///     fn perform(&self, _: ActionContext) -> Work {
    ///         let command = tokio::process::Command::new("true");
    ///         let start = |command: &mut tokio::process::Command| {
    ///             let _held = STARTS.lock().map_err(|_| std::io::ErrorKind::Other)?;
    ///             command.spawn()
    ///         };
    ///         Work::process_started_by(command, start, |mut child| async move {
    ///             child.exited().await?;
    ///             Ok(Vec::new())
    ///         })
    ///     }
    /// }
    /// ```
    #[cfg(unix)]
    pub fn process_started_by<F>(
        command: tokio::process::Command,
        start: impl FnMut(&mut tokio::process::Command) -> std::io::Result<tokio::process::Child>
        + Send
        + 'static,
        accompany: impl FnOnce(ChildProcess) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Report, Failure>> + Send + 'static,
    {
        Self(WorkKind::Process(ProcessWork::new(command, start, accompany)))
    }

    /// Makes work that is already done.
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

/// The context of one attempt: its action, its progress, and the pauses and stops that it is asked for. Cheap to clone.
#[derive(Clone)]
pub struct ActionContext {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) system: System,
}

impl fmt::Debug for ActionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionContext")
            .field("queue", &self.queue_name())
            .field("id", &self.id())
            .field("attempt", &self.attempt_number())
            .field("wish", &self.wish())
            .finish_non_exhaustive()
    }
}

impl ActionContext {
    /// Returns the action's id, or `None` if it runs at once without a queue.
    #[must_use]
    pub fn id(&self) -> Option<ActionId> {
        self.attempt.id()
    }

    /// Returns the action as events name it, or `None` if it runs at once without a queue.
    #[must_use]
    pub fn action(&self) -> Option<ActionRef> {
        self.attempt.action()
    }

    /// Returns the priority with which the attempt was started.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.attempt.priority()
    }

    /// Returns what the attempt is asked to do now.
    #[must_use]
    pub fn wish(&self) -> Wish {
        self.attempt.wish()
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue_name(&self) -> &str {
        self.attempt.queue_name()
    }

    /// Returns the attempt's number among those at the action, from 1.
    #[must_use]
    pub fn attempt_number(&self) -> u32 {
        self.attempt.number()
    }

    /// Returns the action's parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        self.attempt.parameters()
    }

    /// Returns the system that runs this attempt, for actions that submit others. An action that waits for another of its
    /// own queue needs a second slot: if the actions in all slots wait like that, they wait for ever.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Tells whether the attempt began in an earlier server, and its work goes on elsewhere ([`OnRestart::Resume`]). That server may
    /// have died before the work began: work that nobody hears of ends with [`Failure::Lost`].
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.attempt.is_resumed()
    }

    /// Returns the time since the store last did not answer, 0 while it does not; `None` if that never was. While it does not,
    /// words about the action that reach another server are refused there.
    #[must_use]
    pub fn store_away_ago(&self) -> Option<Duration> {
        self.system.store_away_ago()
    }

    /// Tells whether the server shuts down and lets go of the attempt, which the next one resumes.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.attempt.is_detached()
    }

    /// Returns the note that was kept last with this attempt, also by an earlier server.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        self.attempt.note()
    }

    /// Keeps a note with the attempt instead of the one before, so that a server that resumes it finds it. It is durable once
    /// this returns `Ok`. Nothing is kept of an action that runs at once.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] if this attempt does not run any more, [`QueueError::NoteTooLong`], or the store's.
    pub async fn keep_note(&self, note: impl Into<String>) -> Result<(), QueueError> {
        let Some(id) = self.id() else { return Ok(()) };
        let note = note.into();
        let queue = self.system.queue(self.queue_name()).ok_or(QueueError::ShuttingDown)?;
        queue.keep_note(id, self.attempt_number(), note.clone()).await?;
        self.attempt.set_note(note);
        Ok(())
    }

    /// Sets the name of the remote worker that has the attempt.
    pub fn set_worker(&self, name: impl Into<String>) {
        self.attempt.set_worker(name.into());
    }

    /// Returns the name of the remote worker that has the attempt, if it is known: also the one that another server has named.
    #[must_use]
    pub fn worker(&self) -> Option<String> {
        self.attempt.worker()
    }

    /// Returns a stream of the commands that the rules refuse because the action runs, from now on, where
    /// [`Perform::relays`] is true. Call it once.
    #[must_use]
    pub fn relayed(&self) -> BoxStream<'static, Relayed> {
        let commands = self.attempt.relayed();
        stream::unfold(commands, |mut commands| async move {
            commands.recv().await.map(|command| (command, commands))
        })
        .boxed()
    }

    /// Waits until the end of this attempt is durable, and returns the state of the action then; `None` if that end did not
    /// count, because another server had recovered the action.
    pub async fn settled(&self) -> Option<State> {
        let mut settled = self.attempt.settled();
        let state = settled.wait_for(Option::is_some).await;
        state.ok().and_then(|state| *state).flatten()
    }

    /// Publishes the attempt's progress. Cheap enough for every few milliseconds.
    pub fn set_progress(&self, progress: Progress) {
        self.attempt.set_progress(progress);
    }

    /// Publishes a partial result. Clients see it at once, and it is kept if the attempt ends without a result.
    pub fn set_partial(&self, report: Report) {
        self.attempt.set_partial(report);
    }

    /// Returns the partial result that was published last.
    #[must_use]
    pub fn partial(&self) -> Report {
        self.attempt.view().partial
    }

    /// Notes that the work was given up rather than that it ended, so that its end counts as forced ([`Came`]). For
    /// work that is done elsewhere and is not heard of any more.
    pub fn set_forced(&self) {
        self.attempt.set_came(Came::Forced);
    }

    /// Keeps a line of what the work says. The last 100 lines can be read while the attempt runs
    /// ([`QueueHandle::log_of`](crate::QueueHandle::log_of)); of each, 1,000 bytes are kept.
    pub fn log(&self, line: &str) {
        self.attempt.log(line);
    }

    /// Reports an error after which the work goes on, to the handlers that its queue has for that
    /// ([`EventKind::ErrorReport`](crate::store::EventKind::ErrorReport)). Secrets are masked in it, and 10,000 bytes are kept. While
    /// 100 reports of the attempt wait to be written, further ones are dropped.
    pub fn report_error(&self, error: &str) {
        if let Some(queue) = self.system.queue(self.queue_name()) {
            queue.shared.report_error(&self.attempt, error);
        }
    }

    /// Returns the lines that [`ActionContext::log`] has kept, the oldest first.
    #[must_use]
    pub fn logged(&self) -> Vec<Arc<str>> {
        self.attempt.log_lines()
    }

    /// Returns the reason for which the attempt is asked to stop, or `None` if it is not.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.attempt.stop_reason()
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

    /// Blocks while the attempt is paused: [`ActionContext::checkpoint`] for work that blocks.
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

    /// Returns a stream of what the attempt is asked to do: first the present wish, then each change. Of wishes that follow
    /// one another quickly only the latest may be seen. It ends with the attempt.
    ///
    /// For work that passes wishes on to something else; work that obeys them itself uses [`ActionContext::checkpoint`].
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
        // So that the present wish comes first.
        wishes.mark_changed();
        stream::unfold(wishes, |mut wishes| async move {
            wishes.changed().await.ok()?;
            let wish = *wishes.borrow_and_update();
            Some((wish, wishes))
        })
        .boxed()
    }

    /// Waits until the attempt is asked to stop. For `select!` beside slow work.
    pub async fn stop_requested(&self) {
        self.attempt.stop_requested().await;
    }

    /// Sleeps for this long, not counting the time for which the attempt is paused.
    ///
    /// # Errors
    ///
    /// [`StopRequested`] as soon as the attempt is asked to stop.
    pub async fn sleep(&self, duration: Duration) -> Result<(), StopRequested> {
        self.attempt.sleep(duration).await
    }

    /// Blocks the calling thread until the future is ready. For work that blocks.
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
