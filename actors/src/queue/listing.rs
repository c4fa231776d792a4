//! Listings of a queue's actions, page by page.

use crate::action::{ActionId, Parameters, State};
use crate::queue::{ActionStatus, QueueError, QueueHandle};
use crate::store::query::{Cursor, PageLimit, Query};
use crate::store::{Record, StoreError};

impl QueueHandle {
    /// Begins a listing at the action with the index `start` (from 0) in the order of the query.
    #[must_use]
    pub fn list(&self, query: Query, start: u64) -> Listing {
        Listing { queue: self.clone(), query, cursor: Some(Cursor::start(start)), damage: None }
    }
}

impl Listing {
    /// Begins behind the place that an action has in the order of the query, whether the query selects it or not. The index at
    /// which the listing began counts from there.
    #[must_use]
    pub fn after(mut self, record: &Record) -> Self {
        let time = self.query.sort.time_of(record);
        if let Some(cursor) = &mut self.cursor {
            cursor.lacking = time.is_none();
            cursor.after = Some((time.unwrap_or(record.queued_at), record.id));
        }
        self
    }
}

/// Size of something that is larger than the caller allowed, and so was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The size in bytes, as it is stored: of an action's result and error, or of its parameters.
    pub bytes: usize,
}

/// A listing, read page by page. Made by [`QueueHandle::list`].
///
/// Each page is a snapshot of its own, so that a long list holds up nothing else. An action that changes its place
/// between two pages may be missing or come twice.
#[derive(Debug, Clone)]
pub struct Listing {
    queue: QueueHandle,
    query: Query,
    cursor: Option<Cursor>,
    damage: Option<StoreError>,
}

impl Listing {
    /// Returns the next actions: at most `limit`, fewer if they are large or the last, none only at the end. May be called
    /// again after an error.
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

    /// Returns the next actions as [`Listing::next_page`] does, but never more bytes of them than the limit allows. If the
    /// next action alone is larger, returns [`TooLarge`] and reads nothing of it.
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

    /// Returns the first error that was passed over in a damaged database: actions may be missing from the pages so far.
    #[must_use]
    pub const fn damage(&self) -> Option<&StoreError> {
        self.damage.as_ref()
    }

    /// Tells whether there may be another page.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.cursor.is_some()
    }

    /// Returns an action's parameters as [`QueueHandle::parameters`] does, for listings that show them.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn parameters(
        &self,
        id: ActionId,
        of_ended: bool,
    ) -> Result<(State, Option<Parameters>), QueueError> {
        self.queue.parameters(id, of_ended).await
    }
}
