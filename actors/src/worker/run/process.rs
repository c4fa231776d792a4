//! Work that is a child process, in a process group of its own, which is paused and ended as a whole (Q4).
//!
//! A process that has ended but was not waited for keeps its number, and with it that of its group. So the group's leader
//! is waited for only after all others have ended: until then its end is only looked at, and no signal can reach a
//! process of somebody else.
//!
//! The end of the leader is that of the program. By it an attempt has ended by itself, when asked or by force, and the
//! time until all that it started is gone is none for which it works.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::ended::has_ended;
use super::group::Group;
use super::programs::{Program, Programs};
use super::scarce;
use crate::lifecycle::Came;
use crate::perform::{Failure, WorkResult};
use crate::worker::outcome::{came_of, panicked};
use crate::worker::{Attempt, Wish};

/// Time between two looks at those of a group that were asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Makes the future that accompanies a program.
type Accompany =
    Box<dyn FnOnce(ChildProcess) -> Pin<Box<dyn Future<Output = WorkResult> + Send>> + Send>;

/// Starts a program.
type Start = Box<dyn FnMut(&mut Command) -> io::Result<Child> + Send>;

/// A program to be run, and the maker of the future that accompanies it.
pub(crate) struct ProcessWork {
    command: Box<Command>,
    start: Start,
    accompany: Accompany,
}

/// A child process, for the work that accompanies it ([`Work::process`](crate::Work::process)). Its pipes are those that
/// its command asks for ([`Stdio::piped`](std::process::Stdio::piped)).
#[derive(Debug)]
#[non_exhaustive]
pub struct ChildProcess {
    /// The number of the process and of its process group.
    pub id: u32,
    /// The input of the process.
    pub stdin: Option<ChildStdin>,
    /// The output of the process.
    pub stdout: Option<ChildStdout>,
    /// The error output of the process.
    pub stderr: Option<ChildStderr>,
    exit: oneshot::Receiver<Exit>,
    came: Option<Came>,
}

/// The exit status of a program, and how its end came.
type Exit = (io::Result<ExitStatus>, Came);

impl ChildProcess {
    /// Waits until the process and all that it started have ended, and returns its exit status. Call it once. Read the
    /// pipes before or meanwhile, since a process blocks on a full pipe.
    ///
    /// # Errors
    ///
    /// If the exit status is not known, or was returned before.
    pub async fn exited(&mut self) -> Result<ExitStatus, Failure> {
        let unknown = || Failure::failed("how the program ended was told before");
        let (status, came) = (&mut self.exit).await.map_err(|_| unknown())?;
        self.came = Some(came);
        status.map_err(|error| {
            Failure::Failed(format!("how the program ended is not known: {error}"))
        })
    }

    /// Returns how the end of the process came, once [`exited`](Self::exited) has told of it: by itself, after it was
    /// asked to stop, by force, or because its time was over.
    ///
    /// A program that ends by itself just as it is asked to stop counts as asked.
    #[must_use]
    pub const fn came(&self) -> Option<Came> {
        self.came
    }
}

impl fmt::Debug for ProcessWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessWork").field("command", &self.command).finish_non_exhaustive()
    }
}

impl ProcessWork {
    pub(crate) fn new<F>(
        command: impl Into<Box<Command>>,
        start: impl FnMut(&mut Command) -> io::Result<Child> + Send + 'static,
        accompany: impl FnOnce(ChildProcess) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = WorkResult> + Send + 'static,
    {
        let accompany = Box::new(|child| accompany(child).boxed());
        Self { command: command.into(), start: Box::new(start), accompany }
    }

    /// Drops something once the work has ended.
    #[cfg(feature = "testing")]
    pub(crate) fn holding(self, held: impl Send + 'static) -> Self {
        let Self { command, start, accompany } = self;
        Self::new(command, start, |child| {
            let work = accompany(child);
            async move {
                let _held = held;
                work.await
            }
        })
    }

    /// Starts the program, and a task that passes the attempt's wishes on to it. The task ends once nothing of the program
    /// runs any more, and must not be aborted before. Where the system has no room for the program now, this waits for it.
    pub(super) async fn start(
        mut self,
        attempt: Arc<Attempt>,
        programs: &Arc<Programs>,
        held: impl Send + 'static,
    ) -> Result<JoinHandle<WorkResult>, Failure> {
        let cannot = |error| Failure::Failed(format!("the program can't be started: {error}"));
        let start = || {
            let program = programs.begin(&attempt);
            if let Some((variable, mark)) = program.mark() {
                self.command.env(variable, mark);
            }
            Ok(((self.start)(self.command.process_group(0))?, program))
        };
        let (mut child, mut program) = scarce::started(&attempt, start, cannot).await?;
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = Group::of(id.ok_or_else(|| cannot(Errno::SRCH.into()))?);
        program.started(group.id(), attempt.queue_name());
        let (exit, exited) = oneshot::channel();
        let accompanied = ChildProcess {
            id: group.id().as_raw_pid().cast_unsigned(),
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            exit: exited,
            came: None,
        };
        // Called within the future, where a panic is caught.
        let work = async move { (self.accompany)(accompanied).await };
        Ok(tokio::spawn(async move {
            let result = run(child, group, program, exit, work, &attempt).await;
            drop(held);
            result
        }))
    }
}

/// Runs the program to its end, and then the work. The program itself is gone after this, whatever the work does, and so is
/// what it has started, unless the system does not end a process of that within ten seconds of SIGKILL.
async fn run(
    mut child: Child,
    mut group: Group,
    mut program: Program,
    exit: oneshot::Sender<Exit>,
    work: impl Future<Output = WorkResult>,
    attempt: &Attempt,
) -> WorkResult {
    let work = AssertUnwindSafe(work).catch_unwind();
    let mut work = Box::pin(work.map(|result| match result {
        Ok(result) => result,
        Err(panic) => Err(Failure::Failed(panicked(panic))),
    }));
    let mut result = None;
    // The last wish that has reached the program.
    let mut wish = Wish::Run;
    let mut wishes = attempt.watch();
    // So that a wish from before this is seen.
    wishes.mark_changed();
    let mut ended = pin!(has_ended(group.id()));
    loop {
        tokio::select! {
            biased;
            _ = &mut ended => break,
            // The sender lives in the attempt.
            Ok(()) = wishes.changed() => {
                let before = std::mem::replace(&mut wish, *wishes.borrow_and_update());
                // Nobody has paused it: one that holds itself goes on when it wants to.
                if (before, wish) != (Wish::Run, Wish::Run) {
                    group.steer(wish);
                }
                if wish == Wish::Force {
                    program.kill();
                }
            }
            output = &mut work, if result.is_none() => {
                if output.is_err() {
                    // Nothing reads the program's output any more.
                    group.signal(Signal::KILL);
                }
                result = Some(output);
            }
        }
    }
    // The others of its group were asked to stop as well, and have as long for it.
    while wish == Wish::Stop && program.has_others(group.id()).await {
        tokio::select! {
            biased;
            Ok(()) = wishes.changed() => wish = *wishes.borrow_and_update(),
            output = &mut work, if result.is_none() => result = Some(output),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    let came = came_of(wish, attempt.has_timed_out());
    let ended = Ended { wish, came, work, result };
    group.signal(Signal::KILL);
    let gone = async {
        let queue = attempt.queue_name();
        let is_gone = program.gone(queue).await;
        // The wait gives the number free for other processes.
        group.let_go();
        let status = child.wait().await;
        if !is_gone {
            group.gone(queue).await;
        }
        // Only now: until it was waited for it must not be taken for an orphan.
        drop(program);
        // The work may have ended without reading it.
        let _ = exit.send((status, came));
    };
    ended.work_to_its_end(gone, attempt).await
}

/// A program that has ended.
struct Ended<W> {
    /// The last wish that had reached it.
    wish: Wish,
    /// How its end came.
    came: Came,
    work: W,
    /// The result of the work, if that has ended.
    result: Option<WorkResult>,
}

impl<W: Future<Output = WorkResult> + Unpin> Ended<W> {
    /// Goes on with the work until that has ended and `gone` has come, the end of the wait for the program's group. What is asked
    /// meanwhile reaches the work, but says nothing of how the program ended.
    async fn work_to_its_end(
        self,
        gone: impl Future<Output = ()>,
        attempt: &Attempt,
    ) -> WorkResult {
        let Self { wish, came, mut work, mut result } = self;
        attempt.hold_stopwatch();
        let mut gone = pin!(gone);
        loop {
            tokio::select! {
                biased;
                () = &mut gone => break,
                output = &mut work, if result.is_none() => result = Some(output),
            }
        }
        attempt.release_stopwatch();
        let mut wishes = attempt.watch();
        let wish_then = *wishes.borrow_and_update();
        let (result, asked_later) = match result {
            Some(result) => (result, false),
            None => tokio::select! {
                biased;
                result = &mut work => (result, attempt.wish() > wish_then),
                // It may wait for something else, say a pipe held by a process that has left the group.
                _ = wishes.wait_for(|wish| *wish == Wish::Force) => (Err(Failure::Stopped), true),
            },
        };
        let was_asked = wish >= Wish::Stop;
        let obeyed = matches!(result, Err(Failure::Stopped)) && !was_asked;
        if !asked_later && !obeyed {
            attempt.set_came(came);
        }
        match result {
            // Most programs fail when they are asked to end.
            Err(_) if was_asked => Err(Failure::Stopped),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests;
