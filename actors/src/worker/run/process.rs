//! Work that is a child process, in a process group of its own, which is paused, ended and waited for as a whole (Q4).
//!
//! A process that has ended but was not waited for keeps its number, and with it that of its group. So the group's leader
//! is waited for only after all others were killed: until then its end is only looked at, and no signal can reach a
//! process of somebody else.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, test_kill_process_group,
    waitid, waitpgid,
};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::perform::{Failure, WorkResult};
use crate::worker::outcome::panicked;
use crate::worker::{Attempt, Wish};

/// Time to wait for killed processes: more than any needs that the system can end at all. It is bounded because the number of
/// the group is free once its leader was waited for: what is seen there later may be somebody else's.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// Longest time between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Makes the future that accompanies a program.
type Accompany =
    Box<dyn FnOnce(ChildProcess) -> Pin<Box<dyn Future<Output = WorkResult> + Send>> + Send>;

/// A program to be run, and the maker of the future that accompanies it.
pub(crate) struct ProcessWork {
    command: Command,
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
    exit: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl ChildProcess {
    /// Waits until the process and all of its group have ended, and returns its exit status. Call it once. Read the pipes
    /// before or meanwhile, since a process blocks on a full pipe.
    ///
    /// # Errors
    ///
    /// If the exit status is not known, or was returned before.
    pub async fn exited(&mut self) -> Result<ExitStatus, Failure> {
        let unknown = || Failure::failed("how the program ended was told before");
        let status = (&mut self.exit).await.map_err(|_| unknown())?;
        status.map_err(|error| {
            Failure::Failed(format!("how the program ended is not known: {error}"))
        })
    }
}

impl fmt::Debug for ProcessWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessWork").field("command", &self.command).finish_non_exhaustive()
    }
}

impl ProcessWork {
    pub(crate) fn new<F>(
        command: Command,
        accompany: impl FnOnce(ChildProcess) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = WorkResult> + Send + 'static,
    {
        Self { command, accompany: Box::new(|child| accompany(child).boxed()) }
    }

    /// Drops something once the work has ended.
    #[cfg(feature = "testing")]
    pub(crate) fn holding(self, held: impl Send + 'static) -> Self {
        let Self { command, accompany } = self;
        Self::new(command, |child| {
            let work = accompany(child);
            async move {
                let _held = held;
                work.await
            }
        })
    }

    /// Starts the program, and a task that passes the attempt's wishes on to it. The task ends once the whole group is gone,
    /// and must not be aborted before.
    pub(super) fn start(
        mut self,
        attempt: Arc<Attempt>,
        held: impl Send + 'static,
    ) -> Result<JoinHandle<WorkResult>, Failure> {
        let cannot = |error| Failure::Failed(format!("the program can't be started: {error}"));
        let mut child = self.command.process_group(0).spawn().map_err(cannot)?;
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = Group { id: id.ok_or_else(|| cannot(Errno::SRCH.into()))?, is_held: true };
        let (exit, exited) = oneshot::channel();
        let accompanied = ChildProcess {
            id: group.id.as_raw_pid().cast_unsigned(),
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            exit: exited,
        };
        // Called within the future, where a panic is caught.
        let work = async move { (self.accompany)(accompanied).await };
        Ok(tokio::spawn(async move {
            let result = run(child, group, exit, work, &attempt).await;
            drop(held);
            result
        }))
    }
}

/// Runs the program to its end, and then the work. The program itself is gone after this, whatever the work does, and so is its
/// group, unless the system does not end a member of it within ten seconds of SIGKILL.
async fn run(
    mut child: tokio::process::Child,
    mut group: Group,
    exit: oneshot::Sender<io::Result<ExitStatus>>,
    work: impl Future<Output = WorkResult>,
    attempt: &Attempt,
) -> WorkResult {
    let work = AssertUnwindSafe(work).catch_unwind();
    let mut work = Box::pin(work.map(|result| match result {
        Ok(result) => result,
        Err(panic) => Err(Failure::Failed(panicked(panic))),
    }));
    let mut result = None;
    let mut asked = false;
    let mut wishes = attempt.watch();
    // So that a wish from before this is seen.
    wishes.mark_changed();
    let mut ended = group.first_has_ended();
    loop {
        tokio::select! {
            biased;
            _ = &mut ended => break,
            // The sender lives in the attempt.
            Ok(()) = wishes.changed() => {
                let wish = *wishes.borrow_and_update();
                asked |= wish >= Wish::Stop;
                group.steer(wish);
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
    group.signal(Signal::KILL);
    // The wait gives the number free for other processes.
    group.is_held = false;
    let status = child.wait().await;
    group.gone(attempt).await;
    // The work may have ended without reading it.
    let _ = exit.send(status);
    let result = match result {
        Some(result) => result,
        None => tokio::select! {
            biased;
            result = &mut work => result,
            // It may wait for something else, say a pipe held by a process that has left the group.
            _ = wishes.wait_for(|wish| *wish == Wish::Force) => Err(Failure::Stopped),
        },
    };
    match result {
        // Most programs fail when they are asked to end.
        Err(_) if asked => Err(Failure::Stopped),
        result => result,
    }
}

/// A process group.
struct Group {
    id: Pid,
    /// True until its leader is waited for: the number is still its own.
    is_held: bool,
}

impl Group {
    /// Passes a wish on as signals.
    fn steer(&self, wish: Wish) {
        match wish {
            Wish::Run => self.signal(Signal::CONT),
            Wish::Pause => self.signal(Signal::STOP),
            Wish::Stop => {
                self.signal(Signal::TERM);
                // A paused process gets it only then.
                self.signal(Signal::CONT);
            }
            Wish::Force => self.signal(Signal::KILL),
        }
    }

    /// Sends a signal to the whole group, while the number is still its own.
    fn signal(&self, signal: Signal) {
        if self.is_held
            && let Err(error) = kill_process_group(self.id, signal)
            && error != Errno::SRCH
        {
            let id = self.id.as_raw_pid();
            log::warn!("process group {id} can't be sent signal {}: {error}", signal.as_raw());
        }
    }

    /// Returns a task that ends once the group's leader has ended. It does not wait for the leader in the sense of `wait`.
    fn first_has_ended(&self) -> JoinHandle<()> {
        let id = self.id;
        tokio::task::spawn_blocking(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(id), options), Err(Errno::INTR)) {}
        })
    }

    /// Waits until nothing is left of a group whose processes were all killed (Q4).
    async fn gone(&self, attempt: &Attempt) {
        let since = Instant::now();
        let mut wait = Duration::from_millis(1);
        loop {
            // If this program is the first process of a container, orphans of the group become its children.
            while let Ok(Some(_)) = waitpgid(self.id, WaitOptions::NOHANG) {}
            if test_kill_process_group(self.id) == Err(Errno::SRCH) {
                return;
            }
            if since.elapsed() > GONE_WITHIN {
                let id = self.id.as_raw_pid();
                let queue = attempt.queue_name();
                log::warn!(
                    "queue {queue}: process group {id} was killed and is still there; it is not waited for any longer"
                );
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_EVERY);
        }
    }
}

/// For a system that ends without a shutdown: nothing else would end the group.
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
