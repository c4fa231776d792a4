//! Listings of a queue's actions, page by page.

use crate::action::{ActionId, Parameters, State};
use crate::queue::{ActionStatus, QueueError, QueueHandle};
use crate::store::StoreError;
use crate::store::query::{Cursor, PageLimit, Query};

impl QueueHandle {
    /// Begins a listing with the action at `start` (from 0) in the order of the query.
    #[must_use]
    pub fn list(&self, query: Query, start: u64) -> Listing {
        Listing { queue: self.clone(), query, cursor: Some(Cursor::start(start)), damage: None }
    }
}

/// The next action of a listing alone is larger than a page was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The size of its result and its error in bytes, as they are stored.
    pub bytes: usize,
}

/// A listing under way. Each page is a snapshot of its own, so that a long list holds up nobody:
/// an action that changes its place meanwhile may be missing or come twice.
#[derive(Debug, Clone)]
pub struct Listing {
    queue: QueueHandle,
    query: Query,
    cursor: Option<Cursor>,
    damage: Option<StoreError>,
}

impl Listing {
    /// Returns the next actions, at most `limit`, and fewer where they are large or the last; none only
    /// at the end. After an error it can be asked again.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn next_page(&mut self, limit: usize) -> Result<Vec<ActionStatus>, QueueError> {
        let mut limit = PageLimit::from(limit);
        loop {
            match self.next_page_within(limit).await? {
                Ok(page) => return Ok(page),
                Err(TooLarge { bytes }) => limit.bytes = bytes,
            }
        }
    }

    /// Returns the next actions as [`Listing::next_page`] does, but never more than the limit allows of what is stored:
    /// where the next action alone is larger, this says so and reads nothing of it.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn next_page_within(
        &mut self,
        limit: PageLimit,
    ) -> Result<Result<Vec<ActionStatus>, TooLarge>, QueueError> {
        let queue = &self.queue;
        let (mut cursor, mut left, mut listed) = (self.cursor, limit, Vec::new());
        // The store may stop early, so that other lists have their turn before this one goes on.
        while let Some(from) = cursor
            && left.actions > 0
        {
            let page = queue.store.page(queue.id, self.query.clone(), from, left).await?;
            left.actions = left.actions.saturating_sub(page.records.len());
            left.bytes = left.bytes.saturating_sub(page.bytes);
            listed.extend(page.records.into_iter().map(|record| queue.with_live(record)));
            cursor = page.next;
            self.damage = self.damage.take().or(page.damage);
            match page.too_large {
                Some(bytes) if listed.is_empty() => {
                    self.cursor = cursor;
                    return Ok(Err(TooLarge { bytes }));
                }
                Some(_) => break,
                None => {}
            }
        }
        self.cursor = cursor;
        Ok(Ok(listed))
    }

    /// Returns why actions may be missing from the pages so far: what could not be read of a damaged database is
    /// passed over. The first reason of several.
    #[must_use]
    pub const fn damage(&self) -> Option<&StoreError> {
        self.damage.as_ref()
    }

    /// Whether there may be another page.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.cursor.is_some()
    }

    /// Returns an action's parameters, for listings that show them.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn parameters(
        &self,
        id: ActionId,
    ) -> Result<(State, Option<Parameters>), QueueError> {
        self.queue.parameters(id).await
    }
}
