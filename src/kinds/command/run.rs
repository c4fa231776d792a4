//! One run of a program: it is fed and heard, and its end is made the action's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{ActionContext, Came, ChildProcess, Failure, Node, Report, StopReason, Wish};
use futures_util::StreamExt as _;
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
    /// One for all actions of the queue, with the result files that were there before.
    Common(Before),
}

/// All that is needed to accompany a program.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) settings: Arc<CommandSettings>,
    pub(super) context: ActionContext,
    pub(super) workplace: Workplace,
    /// The parameters as JSON.
    pub(super) input: Vec<u8>,
    /// The end of the pipe whose other end the program has.
    pub(super) progress: pipe::Receiver,
}

impl Run {
    /// Accompanies the program to its end.
    pub(super) async fn accompany(self, child: ChildProcess) -> Result<Report, Failure> {
        let Self { settings, context, workplace, input, progress } = self;
        let ear = Ear::new(context.clone(), settings.max_output);
        let (end, came) = hear_out(child, &context, &ear, &input, progress).await?;
        drop(input);

        let stop = context.stop_reason();
        let is_success = stop.is_none() && settings.is_success(end);
        let has_failed = !is_success && stop != Some(StopReason::Client);
        let (output, partial) = ear.take();
        let (made, making) = oneshot::channel();
        let task = tokio::task::spawn_blocking(move || {
            let found = match &workplace {
                Workplace::Fresh(fresh) => {
                    Before::default().read(fresh.path(), settings.max_output)
                }
                Workplace::Common(before) => settings
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
            context.set_partial(without_success(report, &context, Some(end), is_forced));
            Err(match stop {
                Some(_) => Failure::Stopped,
                None => Failure::Failed(end.text(&context.logged())),
            })
        };
        let _ = tokio::time::timeout(REMOVED_WITHIN, task).await;
        result
    }
}

/// Feeds a program and hears it until it has ended.
async fn hear_out(
    mut child: ChildProcess,
    context: &ActionContext,
    ear: &Ear,
    input: &[u8],
    mut progress: pipe::Receiver,
) -> Result<(End, Option<Came>), Failure> {
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
    let mut forced = pin!(forced(context));
    let (mut is_heard, mut is_forced) = (false, false);
    let status = {
        let mut exited = pin!(child.exited());
        loop {
            tokio::select! {
                biased;
                status = &mut exited => break status?,
                _ = &mut heard, if !is_heard => is_heard = true,
                () = &mut forced, if !is_forced => {
                    is_forced = true;
                    // What follows may be cut off.
                    context.set_partial(without_success(ear.so_far(), context, None, true));
                }
            }
        }
    };
    if !is_heard {
        // All that the group has written is in the pipes.
        let _ = tokio::time::timeout(LEFT_WITHIN, heard).await;
    }
    Ok((End::of(status), child.came()))
}

/// Adds to a result how the program ended that gave it, and what it said if it failed.
fn without_success(
    mut report: Report,
    context: &ActionContext,
    end: Option<End>,
    is_forced: bool,
) -> Report {
    match context.stop_reason() {
        Some(StopReason::Client) => {
            let by = if is_forced { "forced" } else { "asked" };
            report.push(Node::text("stopped_by", by));
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

/// Waits until the attempt is forced.
async fn forced(context: &ActionContext) {
    let mut wishes = context.wishes();
    while let Some(wish) = wishes.next().await {
        if wish == Wish::Force {
            return;
        }
    }
    std::future::pending::<()>().await;
}
