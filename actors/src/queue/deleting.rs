//! Deletion of actions that have ended: of one, or of all that a filter lists.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{QueueError, QueueHandle, Target};
use crate::action::State;
use crate::lifecycle::Command;
use crate::store::Control;
use crate::store::query::{Cursor, Query, States};

/// Result of a deletion of many actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// Number of actions that were deleted, durably.
    pub actions: u64,
    /// True if the deletion ended before all were deleted: the time was over, the system shuts down, or something failed. Another
    /// call goes on, or tells what fails.
    pub more: bool,
}

impl QueueHandle {
    /// Deletes an action that has ended, with all that is kept of it. Returns the state in which it was.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it has not ended, or the store's.
    pub async fn delete(&self, action: impl Into<Target>) -> Result<State, QueueError> {
        self.command(action.into(), Command::Delete).await
    }

    /// Deletes the actions that have ended and that this query lists, from the index `start` (from 0) on, at most `most` of them,
    /// in its order, until `patience` is over.
    ///
    /// It goes in small steps with the queue's other changes between them, and one deletion at a time, so that nobody waits for
    /// it. An action that is not as listed any more when it is its turn stays.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`], as long as nothing was deleted.
    pub async fn delete_listed(
        &self,
        query: Query,
        start: u64,
        most: u64,
        patience: Duration,
    ) -> Result<Deleted, QueueError> {
        let ended: States = State::ALL.into_iter().filter(|state| state.is_final()).collect();
        let query = Query { states: query.states.and(ended), ..query };
        let system = self.system.upgrade().ok_or(QueueError::ShuttingDown)?;
        let mut deleted = Deleted { actions: 0, more: true };
        let until = Instant::now().checked_add(patience);
        let permit = system.deleting().acquire();
        let permit = match until {
            Some(until) => tokio::time::timeout_at(until, permit).await,
            None => Ok(permit.await),
        };
        // It is never closed.
        let Ok(Ok(_permit)) = permit else { return Ok(deleted) };
        let (filter, mut cursor) = (Arc::new(query), Some(Cursor::start(start)));
        loop {
            let left = most.saturating_sub(deleted.actions);
            let Some(from) = cursor.filter(|_| left > 0) else {
                return Ok(Deleted { more: false, ..deleted });
            };
            let is_over = until.is_some_and(|until| until <= Instant::now());
            if is_over || self.shared.inbox().is_draining() {
                return Ok(deleted);
            }
            let number = usize::try_from(left).unwrap_or(usize::MAX).min(Control::MAX_DELETED);
            match self.delete_page(&filter, from, number).await {
                Ok((actions, next)) => {
                    deleted.actions = deleted.actions.saturating_add(actions);
                    cursor = next;
                }
                Err(error) if deleted.actions > 0 => {
                    log::warn!("queue {}: a deletion ended early: {error}", self.name());
                    return Ok(deleted);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes the actions of a page; returns their number, and the cursor of the next page.
    async fn delete_page(
        &self,
        filter: &Arc<Query>,
        cursor: Cursor,
        number: usize,
    ) -> Result<(u64, Option<Cursor>), QueueError> {
        let query = Query::clone(filter);
        let page = self.store.page_of_ids(self.id, query, cursor, number).await?;
        if page.ids.is_empty() {
            return Ok((0, page.next));
        }
        let control = Control::Delete { actions: page.ids, filter: Arc::clone(filter) };
        let deleted = self.send_control(control, None).await?;
        Ok((deleted.len() as u64, page.next))
    }
}
