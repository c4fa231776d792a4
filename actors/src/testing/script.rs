//! A performer whose work is planned by the test.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::Gate;
use crate::action::ActionId;
use crate::lifecycle::OnRestart;
use crate::perform::{ActionContext, Failure, Perform, Work};
use crate::queue::lock;
use crate::report::Report;

/// The behaviour of one attempt.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Plan {
    /// Finishes at once, with this result.
    Finish(Report),
    /// Fails at once, with this text.
    Fail(String),
    /// Panics in `perform`.
    PanicInPerform(String),
    /// Panics in a task, after an await.
    PanicInTask(String),
    /// Panics on a thread.
    PanicOnThread(String),
    /// Waits in a task at the gate and then finishes; obeys stop and pause.
    Wait(Gate),
    /// Waits in a task at the gate and then finishes; holds no context, so ignores stop and pause.
    WaitDeaf(Gate),
    /// Waits on a thread at the gate and then finishes; obeys stop and pause.
    Block(Gate),
    /// Waits on a thread at the gate and then finishes; holds no context, so ignores stop and pause.
    BlockDeaf(Gate),
}

/// One attempt that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The action; `None` where it runs without a queue.
    pub id: Option<ActionId>,
    /// The attempt's number.
    pub attempt: u32,
}

/// A performer that follows a plan, records each attempt and counts how many run at once.
/// Its clones share plan, records and counts, so keep one when the other goes to a queue.
#[derive(Clone)]
pub struct Script {
    work: Arc<dyn Fn(ActionContext) -> Work + Send + Sync>,
    notes: Arc<Mutex<Notes>>,
    can_pause: bool,
    on_restart: OnRestart,
}

#[derive(Debug, Default)]
struct Notes {
    calls: Vec<Call>,
    running: usize,
    peak: usize,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("notes", &self.notes).finish_non_exhaustive()
    }
}

impl Script {
    /// Makes a performer of this closure.
    pub fn new(work: impl Fn(ActionContext) -> Work + Send + Sync + 'static) -> Self {
        Self {
            work: Arc::new(work),
            notes: Arc::default(),
            can_pause: false,
            on_restart: OnRestart::Fail,
        }
    }

    /// Makes a performer that chooses a plan for each attempt.
    pub fn choosing(plan: impl Fn(&ActionContext) -> Plan + Send + Sync + 'static) -> Self {
        Self::new(move |context| plan(&context).work(context))
    }

    /// Makes a performer whose attempts all do the same.
    #[must_use]
    pub fn always(plan: Plan) -> Self {
        Self::choosing(move |_| plan.clone())
    }

    /// Makes a performer whose attempts follow these plans in order; later ones finish at once.
    pub fn planned(plans: impl IntoIterator<Item = Plan>) -> Self {
        let plans: Mutex<VecDeque<Plan>> = Mutex::new(plans.into_iter().collect());
        Self::choosing(move |_| lock(&plans).pop_front().unwrap_or(Plan::Finish(Vec::new())))
    }

    /// Sets that its actions can pause.
    #[must_use]
    pub fn pausable(mut self) -> Self {
        self.can_pause = true;
        self
    }

    /// Sets the treatment of its actions when the server goes down.
    #[must_use]
    pub fn on_restart(mut self, on_restart: OnRestart) -> Self {
        self.on_restart = on_restart;
        self
    }

    /// Returns the attempts that were begun, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.notes).calls.clone()
    }

    /// Returns the actions that were begun, in order, once for each attempt.
    #[must_use]
    pub fn started(&self) -> Vec<ActionId> {
        lock(&self.notes).calls.iter().filter_map(|call| call.id).collect()
    }

    /// Returns the number of attempts that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        lock(&self.notes).running
    }

    /// Returns the highest number of attempts that ran at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        lock(&self.notes).peak
    }
}

impl Perform for Script {
    fn perform(&self, context: ActionContext) -> Work {
        let call = Call { id: context.id(), attempt: context.attempt_number() };
        let here = Here::begin(&self.notes, call);
        match (self.work)(context).0 {
            // The work holds the count until it ends.
            crate::perform::WorkKind::Task(work) => Work::task(async move {
                let _here = here;
                work.await
            }),
            crate::perform::WorkKind::Blocking(work) => Work::blocking(move || {
                let _here = here;
                work()
            }),
            #[cfg(unix)]
            crate::perform::WorkKind::Process(process) => {
                Work(crate::perform::WorkKind::Process(process.holding(here)))
            }
            crate::perform::WorkKind::Done(result) => Work::done(result),
        }
    }

    fn can_pause(&self) -> bool {
        self.can_pause
    }

    fn on_restart(&self) -> OnRestart {
        self.on_restart
    }
}

impl Plan {
    fn work(self, context: ActionContext) -> Work {
        match self {
            Self::Finish(report) => Work::done(Ok(report)),
            Self::Fail(text) => Work::done(Err(Failure::Failed(text))),
            Self::PanicInPerform(text) => panic!("{text}"),
            Self::PanicInTask(text) => Work::task(async move {
                tokio::task::yield_now().await;
                panic!("{text}")
            }),
            Self::PanicOnThread(text) => Work::blocking(move || panic!("{text}")),
            Self::Wait(gate) => Work::task(async move {
                tokio::select! {
                    () = gate.wait() => {}
                    () = context.stop_requested() => {}
                }
                context.checkpoint().await?;
                Ok(Vec::new())
            }),
            Self::WaitDeaf(gate) => {
                drop(context);
                Work::task(async move {
                    gate.wait().await;
                    Ok(Vec::new())
                })
            }
            Self::Block(gate) => Work::blocking(move || {
                context.wait_for(gate.wait())?;
                context.checkpoint_blocking()?;
                Ok(Vec::new())
            }),
            Self::BlockDeaf(gate) => {
                drop(context);
                Work::blocking(move || {
                    gate.wait_blocking();
                    Ok(Vec::new())
                })
            }
        }
    }
}

/// Counts one attempt that runs, until its work has ended or is dropped.
struct Here(Arc<Mutex<Notes>>);

impl Here {
    fn begin(notes: &Arc<Mutex<Notes>>, call: Call) -> Self {
        let mut noted = lock(notes);
        noted.calls.push(call);
        noted.running += 1;
        noted.peak = noted.peak.max(noted.running);
        Self(Arc::clone(notes))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        lock(&self.0).running -= 1;
    }
}
