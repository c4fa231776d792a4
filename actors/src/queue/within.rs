//! Reads of single actions that are bounded by size, so that a caller can first reserve memory and then read. [`super::waiting`]
//! waits for them.

use super::{ActionStatus, QueueError, QueueHandle, TooLarge};
use crate::action::{ActionId, Parameters, State};
use crate::lifecycle::{Command, Verdict, decide};
use crate::store::RecordWithin;

/// Status of an action, as far as it was read.
#[derive(Debug, Clone)]
pub struct StatusWithin {
    /// The action's status, without its error and its result if they are too large.
    pub status: ActionStatus,
    /// The size of the two, if it is more than was allowed.
    pub too_large: Option<TooLarge>,
}

impl QueueHandle {
    /// Returns an action's status, with its error and its result (the partial one while it runs) only if they have at most
    /// `most` bytes.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn status_within(
        &self,
        id: ActionId,
        most: usize,
    ) -> Result<StatusWithin, QueueError> {
        let read = self.store.record_within(self.id, id, most).await?;
        let RecordWithin { record, too_large } = read.ok_or(QueueError::UnknownAction { id })?;
        let mut bytes = too_large;
        let live = self.live_attempt(&record).map(|attempt| {
            let (view, size) = attempt.view_within(most);
            bytes = (size > most).then_some(size);
            view
        });
        let status = ActionStatus::new(record, live, &*self.clock);
        Ok(StatusWithin { status, too_large: bytes.map(|bytes| TooLarge { bytes }) })
    }

    /// Returns an action's state and, unless it has ended, its parameters if they have at most `most` bytes; with `of_ended` also
    /// those of an action that has ended, if they are kept.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn parameters_within(
        &self,
        id: ActionId,
        most: usize,
        of_ended: bool,
    ) -> Result<(State, Result<Option<Parameters>, TooLarge>), QueueError> {
        let state = self.status_within(id, 0).await?.status.record.state;
        if !shows_parameters(state, of_ended) {
            return Ok((state, Ok(None)));
        }
        let given = self.store.parameters_within(self.id, id, most).await?.transpose();
        Ok((state, given.map_err(|bytes| TooLarge { bytes })))
    }
}

/// Tells whether the parameters of an action in this state are shown.
pub(super) fn shows_parameters(state: State, of_ended: bool) -> bool {
    let command = if of_ended { Command::ReadKeptParameters } else { Command::ReadParameters };
    matches!(decide(state, command), Ok(Verdict::Stay))
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::perform::{ActionContext, Perform, Work};
    use crate::queue::{QueueSettings, Submission};
    use crate::report::Node;
    use crate::system::System;
    use crate::testing::{Gate, eventually};

    /// Shows something large while it runs, and more of it at its end.
    struct Shows(Gate);

    impl Perform for Shows {
        fn perform(&self, context: ActionContext) -> Work {
            let gate = self.0.clone();
            Work::task(async move {
                context.set_partial(vec![Node::text("part", "x".repeat(1_000))]);
                gate.wait().await;
                Ok(vec![Node::text("all", "x".repeat(2_000))])
            })
        }
    }

    #[tokio::test]
    async fn a_partial_result_is_bounded_as_a_stored_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let gate = Gate::new();
        let system = System::builder(directory.path())
            .queue("Work", QueueSettings::default(), Shows(gate.clone()))
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        let given = Parameters::from_iter([("text", "y".repeat(500))]);
        let id = work.submit(Submission::new(given.clone())).await.unwrap().id;
        eventually("it shows a part", async || {
            !work.status(id).await.unwrap().record.report.is_empty()
        })
        .await;
        let part = work.status_within(id, 1_003).await.unwrap();
        assert_eq!(part.too_large, Some(TooLarge { bytes: 1_004 }));
        assert!(part.status.record.report.is_empty());
        assert_eq!(part.status.record.state, State::Processing);
        let part = work.status_within(id, 1_004).await.unwrap();
        assert_eq!((part.too_large, part.status.record.report.len()), (None, 1));
        let (_, none) = work.parameters_within(id, 10, false).await.unwrap();
        let bytes = none.unwrap_err().bytes;
        let (state, read) = work.parameters_within(id, bytes, false).await.unwrap();
        assert_eq!((state, read), (State::Processing, Ok(Some(given.clone()))));

        gate.open();
        let ended = work.wait_within(id, Duration::MAX, 1_000).await.unwrap();
        assert_eq!(ended.status.record.state, State::Finished);
        assert!(ended.status.record.report.is_empty());
        let bytes = ended.too_large.unwrap().bytes;
        let whole = work.status_within(id, bytes).await.unwrap();
        assert_eq!(whole.too_large, None);
        assert_eq!(whole.status.record, work.status(id).await.unwrap().record);
        let left_out = work.parameters_within(id, 0, false).await.unwrap();
        assert_eq!(left_out, (State::Finished, Ok(None)));
        let kept = work.parameters_within(id, usize::MAX, true).await.unwrap();
        assert_eq!(kept, (State::Finished, Ok(Some(given))));
        system.shutdown(Duration::from_secs(1)).await;
    }
}
