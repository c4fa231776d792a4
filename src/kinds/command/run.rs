//! One run of a program: it is fed and heard, and its end is made the action's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{ActionContext, Came, ChildProcess, Failure, Node, Report, StopReason, Wish};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::directory::{Before, Fresh};
use super::ear::{Ear, hear, so_far};
use super::end::End;
use super::lines::Lines;
use super::result;
use super::settings::CommandSettings;
use crate::kinds::results;

/// Time to read what is left in pipes that a process outside of the program's group still holds open.
const LEFT_WITHIN: Duration = Duration::from_millis(500);
/// Time to wait for the removal of a working directory: that of a large one goes on after the end of the action.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);

/// The directory in which a program works.
#[derive(Debug)]
pub(super) enum Workplace {
    /// One of its own.
    Fresh(Fresh),
    /// One for all actions of the queue.
    Common,
}

/// The parts of a program that are there once it was started.
#[derive(Debug)]
pub(super) struct Begun {
    /// The end of the pipe whose other end the program has.
    pub(super) progress: pipe::Receiver,
    /// The result files that were there before, in the directory of all.
    pub(super) before: Before,
}

/// All that is needed to accompany a program.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) settings: Arc<CommandSettings>,
    pub(super) context: ActionContext,
    pub(super) workplace: Workplace,
    /// The parameters as JSON.
    pub(super) input: Vec<u8>,
}

impl Run {
    /// Accompanies the program to its end.
    pub(super) async fn accompany(
        self,
        child: ChildProcess,
        begun: oneshot::Receiver<Begun>,
    ) -> Result<Report, Failure> {
        let Self { settings, context, workplace, input } = self;
        let unknown = |_| Failure::failed("how the program was started is not known");
        let Begun { progress, before } = begun.await.map_err(unknown)?;
        let ear = Ear::new(context.clone(), settings.max_output);
        let heard = hear_out(child, &context, &ear, &input, progress).await?;
        let HeardOut { end, came, stop } = heard;
        drop(input);

        let is_success = stop.is_none() && settings.is_success(end);
        let has_failed = !is_success && stop != Some(StopReason::Client);
        let (output, partial) = ear.take();
        let (made, making) = oneshot::channel();
        let task = tokio::task::spawn_blocking(move || {
            let found = match &workplace {
                Workplace::Fresh(fresh) => {
                    Before::default().read(fresh.path(), settings.max_output)
                }
                Workplace::Common => settings
                    .directory
                    .as_ref()
                    .and_then(|directory| before.read(directory, settings.max_output)),
            };
            let report = match found {
                Some((kept, form)) => result::read(&kept, form),
                None if is_success => result::read(&output, result::Form::Any),
                None => so_far(&output, partial),
            };
            let _ = made.send(report);
            if let Workplace::Fresh(fresh) = workplace {
                fresh.end(has_failed);
            }
        });
        let report = making.await.map_err(|_| Failure::failed("the result can't be read"))?;
        let result = if is_success {
            Ok(report)
        } else {
            let is_forced = came == Some(Came::Forced);
            context.set_partial(without_success(report, &context, stop, Some(end), is_forced));
            Err(match stop {
                Some(_) => Failure::Stopped,
                None => Failure::Failed(end.text(&context.logged())),
            })
        };
        let _ = tokio::time::timeout(REMOVED_WITHIN, task).await;
        result
    }
}

/// A program that has ended.
struct HeardOut {
    end: End,
    came: Option<Came>,
    /// Why it was asked to stop first. A shutdown after that changes nothing: the action is Stopped.
    stop: Option<StopReason>,
}

/// Feeds a program and hears it until it has ended.
async fn hear_out(
    mut child: ChildProcess,
    context: &ActionContext,
    ear: &Ear,
    input: &[u8],
    mut progress: pipe::Receiver,
) -> Result<HeardOut, Failure> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let fed = async {
        if let Some(mut stdin) = stdin {
            // It need not read it.
            let _ = stdin.write_all(input).await;
        }
    };
    let output = async {
        if let Some(mut stdout) = stdout {
            hear(&mut stdout, |bytes| ear.output(bytes)).await;
        }
    };
    let errors = async {
        if let Some(mut stderr) = stderr {
            let mut lines = Lines::of_errors(ear.most_told());
            hear(&mut stderr, |bytes| lines.push(bytes, |line| ear.line(line))).await;
            lines.end(|line| ear.line(line));
        }
    };
    let told = async {
        let mut lines = Lines::of_progress(ear.most_told());
        hear(&mut progress, |bytes| lines.push(bytes, |line| ear.line(line))).await;
        lines.end(|line| ear.line(line));
    };
    let mut heard = pin!(async { tokio::join!(fed, output, errors, told) });
    let mut wishes = context.wishes();
    let (mut is_heard, mut is_forced, mut stop) = (false, false, None);
    let status = {
        let mut exited = pin!(child.exited());
        loop {
            tokio::select! {
                biased;
                status = &mut exited => break status?,
                _ = &mut heard, if !is_heard => is_heard = true,
                Some(wish) = wishes.next(), if !is_forced => {
                    if wish >= Wish::Stop {
                        stop = stop.or_else(|| context.stop_reason());
                    }
                    if wish == Wish::Force {
                        is_forced = true;
                        // What follows may be cut off.
                        let so_far = without_success(ear.so_far(), context, stop, None, true);
                        context.set_partial(so_far);
                    }
                }
            }
        }
    };
    // It may have ended before the wish was seen.
    let stop = stop.or_else(|| context.stop_reason());
    let (end, came) = (End::of(status), child.came());
    let may_be_cut_off = matches!(came, Some(Came::Forced | Came::TimedOut));
    if may_be_cut_off && !is_forced {
        // As far as it is there now: what follows may be cut off.
        is_heard = is_heard || (&mut heard).now_or_never().is_some();
        let is_forced = came == Some(Came::Forced);
        let so_far = without_success(ear.so_far(), context, stop, Some(end), is_forced);
        context.set_partial(so_far);
    }
    if !is_heard {
        // All that the group has written is in the pipes.
        let _ = tokio::time::timeout(LEFT_WITHIN, heard).await;
    }
    Ok(HeardOut { end, came, stop })
}

/// Adds to a result how the program ended that gave it, and what it said if it failed.
fn without_success(
    mut report: Report,
    context: &ActionContext,
    stop: Option<StopReason>,
    end: Option<End>,
    is_forced: bool,
) -> Report {
    match stop {
        Some(StopReason::Client) => {
            report.push(stopped_by(if is_forced { "forced" } else { "asked" }));
        }
        // It goes on or fails, which says more.
        Some(StopReason::Shutdown) => {}
        _ => {
            report.extend(end.map(End::node));
            report.push(results::log(&context.logged()));
        }
    }
    report
}

fn stopped_by(how: &str) -> Node {
    Node::text(results::STOPPED_BY, how)
}

/// A program that is still to be started. If it is dropped instead, because the action is to stop, the action says so.
#[derive(Debug)]
pub(super) struct Unbegun(Option<ActionContext>);

impl Unbegun {
    pub(super) const fn of(context: ActionContext) -> Self {
        Self(Some(context))
    }

    /// Notes that it was started.
    pub(super) fn has_begun(mut self) {
        self.0 = None;
    }
}

impl Drop for Unbegun {
    fn drop(&mut self) {
        if let Some(context) = &self.0
            && context.stop_reason() == Some(StopReason::Client)
        {
            context.set_partial(vec![stopped_by("asked")]);
        }
    }
}
