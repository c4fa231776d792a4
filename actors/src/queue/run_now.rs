//! Actions that run at once, without a queue, a slot or a record.

use std::sync::Arc;

use crate::action::{Parameters, State};
use crate::lifecycle::{Ended, INTERRUPTED_BY_SHUTDOWN};
use crate::perform::ActionContext;
use crate::queue::{QueueError, QueueHandle};
use crate::report::{Report, shallow};
use crate::worker::{Attempt, Wish, outcome, start};

/// Outcome of an action that ran at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// [`State::Finished`], [`State::Error`] or [`State::Stopped`]; [`State::Cancelled`] if it was cancelled where it was to be
    /// done.
    pub state: State,
    /// The error text: of its failure, or that a shutdown interrupted it.
    pub error: Option<String>,
    /// The action's result, or its partial result if it did not finish.
    pub report: Report,
}

impl QueueHandle {
    /// Runs an action at once, without a queue, a slot or a record. If the returned future is dropped, the work is asked to stop, and
    /// forced after the grace period. A shutdown does the same, after it has given the work time to end.
    ///
    /// # Errors
    ///
    /// [`QueueError::NotTaken`] or [`QueueError::ShuttingDown`].
    pub async fn run_now(&self, parameters: Parameters) -> Result<RunOutcome, QueueError> {
        self.run_now_until(parameters, std::future::pending(), ()).await
    }

    /// Runs an action as [`QueueHandle::run_now`] does, and asks it to stop once `until` is ready; the outcome is returned
    /// even then. `held` is dropped once the work has really ended, even if the returned future was dropped before, so a
    /// permit in it bounds the number of actions that run.
    ///
    /// # Errors
    ///
    /// [`QueueError::NotTaken`] or [`QueueError::ShuttingDown`].
    pub async fn run_now_until(
        &self,
        parameters: Parameters,
        until: impl Future<Output = ()>,
        held: impl Send + 'static,
    ) -> Result<RunOutcome, QueueError> {
        self.check(&parameters)?;
        let system = self.system.upgrade().ok_or(QueueError::ShuttingDown)?;
        let admitted = system.admit().ok_or(QueueError::ShuttingDown)?;
        let attempt =
            Attempt::new(None, self.shared.name_shared(), parameters, self.performer.on_restart());
        let attempt = Arc::new(attempt.hiding(self.settings().secret_parameters.clone()));
        let asked = StopOnDrop(Arc::clone(&attempt));
        let context = ActionContext { attempt: Arc::clone(&attempt), system: system.clone() };
        let work = start(Arc::clone(&self.performer), context, held);
        let work = async { Ok(shallow(work.await?)?) };
        let work = admitted.run(Arc::clone(&attempt), self.settings(), work);
        let mut running = system.executor().spawn(work);
        let result = tokio::select! {
            biased;
            result = &mut running => result,
            () = until => {
                attempt.ask(Wish::Stop);
                running.await
            }
        };
        if matches!(&result, Err(error) if error.is_cancelled()) && attempt.wish() < Wish::Stop {
            // Work that nobody asked to stop is only cut off by the end of the whole system.
            attempt.interrupt();
        }
        let (ended, mut error, report) = outcome(&attempt, result);
        let state = match ended {
            Ended::Finished => State::Finished,
            // Nobody tries it again: it is in no queue.
            Ended::Failed | Ended::Retry | Ended::Lost => State::Error,
            Ended::Stopped => State::Stopped,
            Ended::Cancelled => State::Cancelled,
            Ended::Released => {
                error = Some("it was given back undone".to_owned());
                State::Error
            }
            Ended::Interrupted(_) => {
                error = Some(INTERRUPTED_BY_SHUTDOWN.to_owned());
                State::Stopped
            }
        };
        drop(asked);
        Ok(RunOutcome { state, error, report: report.unwrap_or_else(|| attempt.view().partial) })
    }
}

/// Asks the work to stop when its caller has gone.
struct StopOnDrop(Arc<Attempt>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.ask(Wish::Stop);
    }
}
