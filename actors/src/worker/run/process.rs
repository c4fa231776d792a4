//! Work that is a child process: in a process group of its own, which is steered, ended and waited for as a whole.
//!
//! A process that has ended but was not waited for keeps its number, and with it that of its group. So the end of the
//! first process of the group is only looked at until all others were killed: no signal can reach strangers.

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
use crate::worker::{Attempt, Wish, panicked};

/// How long is waited for processes that were killed. More than any needs that the system can end at all.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// The longest wait between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

type Accompany =
    Box<dyn FnOnce(ChildProcess) -> Pin<Box<dyn Future<Output = WorkResult> + Send>> + Send>;

/// A program to be run, and the future that accompanies it.
pub(crate) struct ProcessWork {
    command: Command,
    accompany: Accompany,
}

/// A child process, as the work sees that accompanies it. Its pipes are those that its command asks for
/// ([`Stdio::piped`](std::process::Stdio::piped)).
#[derive(Debug)]
#[non_exhaustive]
pub struct ChildProcess {
    /// Its number, and that of its process group.
    pub id: u32,
    /// Where it reads.
    pub stdin: Option<ChildStdin>,
    /// Where it writes results.
    pub stdout: Option<ChildStdout>,
    /// Where it writes what went wrong.
    pub stderr: Option<ChildStderr>,
    exit: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl ChildProcess {
    /// Waits until it and all of its process group have ended, and returns how it ended. Call it once, and read its pipes
    /// before or meanwhile: a process waits that finds a pipe full.
    ///
    /// # Errors
    ///
    /// If the system does not say how it ended.
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

    /// Lets go of something once the work has ended.
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

    /// Starts the program. What runs it hears what the attempt is asked, and ends once the whole group has gone; it is
    /// not to be dropped before.
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
        // Its beginning may panic, too.
        let work = async move { (self.accompany)(accompanied).await };
        Ok(tokio::spawn(async move {
            let result = run(child, group, exit, work, &attempt).await;
            drop(held);
            result
        }))
    }
}

/// Runs program and work to their end: first the program's, then the work's. Whatever the work does, nothing is left of
/// the program's group after this.
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
    // What it was asked before this.
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
                    // Nobody will know what to do with what the program does.
                    group.signal(Signal::KILL);
                }
                result = Some(output);
            }
        }
    }
    group.signal(Signal::KILL);
    // From here on the number may become another's.
    group.is_held = false;
    let status = child.wait().await;
    group.gone(attempt).await;
    // The work may have ended, or have no use for it.
    let _ = exit.send(status);
    let result = match result {
        Some(result) => result,
        None => tokio::select! {
            biased;
            result = &mut work => result,
            // It waits for something else, say a pipe that a process holds which has left the group.
            _ = wishes.wait_for(|wish| *wish == Wish::Force) => Err(Failure::Stopped),
        },
    };
    match result {
        // A program that was told to end mostly fails by that.
        Err(_) if asked => Err(Failure::Stopped),
        result => result,
    }
}

/// The processes of one group.
struct Group {
    id: Pid,
    /// Its first process has not been waited for, so the number is still its own.
    is_held: bool,
}

impl Group {
    fn steer(&self, wish: Wish) {
        match wish {
            Wish::Run => self.signal(Signal::CONT),
            Wish::Pause => self.signal(Signal::STOP),
            Wish::Stop => {
                self.signal(Signal::TERM);
                // One that is paused hears it only then.
                self.signal(Signal::CONT);
            }
            Wish::Force => self.signal(Signal::KILL),
        }
    }

    fn signal(&self, signal: Signal) {
        if self.is_held
            && let Err(error) = kill_process_group(self.id, signal)
            && error != Errno::SRCH
        {
            let id = self.id.as_raw_pid();
            log::warn!("process group {id} can't be sent signal {}: {error}", signal.as_raw());
        }
    }

    /// Is ready once the first process of the group has ended, which is not waited for by that.
    fn first_has_ended(&self) -> JoinHandle<()> {
        let id = self.id;
        tokio::task::spawn_blocking(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(id), options), Err(Errno::INTR)) {}
        })
    }

    /// Waits until nothing is left of a group whose processes were all killed.
    async fn gone(&self, attempt: &Attempt) {
        let since = Instant::now();
        let mut wait = Duration::from_millis(1);
        loop {
            // Orphans of the group are children of this program where it is the first of its container.
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

/// The whole system ends without a shutdown: nobody would stop what is left.
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
