//! Reads of single actions that are bounded by size. Of a value that is too large only the size is read, which is in the
//! row itself.

use rusqlite::{OptionalExtension as _, params};

use super::errors::store_error;
use super::read::{Reader, may_start};
use super::rows::record;
use crate::action::{ActionId, Parameters};
use crate::store::{QueueId, RecordWithin, StoreError};

/// Number of bytes of an action's error and result. Few actions have an error, and a test of that is cheaper for SQLite than a
/// function: this is part of every poll.
macro_rules! bytes {
    () => {
        "CASE WHEN error IS NULL THEN 0 ELSE octet_length(error) END + coalesce(octet_length(report), 0)"
    };
}

/// An action whose error and result are not too large, as nearly all are: one query is enough for them.
const RECORD: &str = concat!(
    "SELECT id, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent,
     error, report, not_before, worker, origin FROM action WHERE id = ?1 AND queue = ?2 AND ",
    bytes!(),
    " <= ?3"
);

/// An action without the two, and their size.
const REST: &str = concat!(
    "SELECT id, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent,
     NULL, NULL, not_before, worker, origin, ",
    bytes!(),
    " FROM action WHERE id = ?1 AND queue = ?2"
);

/// The size of an action's parameters, and the parameters if they are not too large.
const PARAMETERS: &str =
    "SELECT octet_length(p.value), CASE WHEN octet_length(p.value) <= ?3 THEN p.value END
     FROM parameters p JOIN action a ON a.id = p.id WHERE p.id = ?1 AND a.queue = ?2";

/// SQLite's numbers are signed.
fn limit(max_bytes: usize) -> i64 {
    i64::try_from(max_bytes).unwrap_or(i64::MAX)
}

impl Reader {
    /// Reads one action with its place in the queue, and its error and result if they have at most `max_bytes` bytes.
    pub(super) fn record_up_to(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> Result<Option<RecordWithin>, StoreError> {
        let read = || -> rusqlite::Result<Option<RecordWithin>> {
            let small = self
                .connection
                .prepare_cached(RECORD)?
                .query_row(params![id.get(), queue.0, limit(max_bytes)], record)
                .optional()?;
            let small = small.map(|record| RecordWithin { record, too_large: None });
            let read = match small {
                Some(small) => Some(small),
                None => self.rest(queue, id)?,
            };
            let Some(mut within) = read else { return Ok(None) };
            if may_start(&within.record) {
                within.record.position = self.position(queue, &within.record)?;
            }
            Ok(Some(within))
        };
        read().map_err(|e| store_error(&e, &self.path))
    }

    /// Reads one action without its error and its result, which are too large.
    fn rest(&self, queue: QueueId, id: ActionId) -> rusqlite::Result<Option<RecordWithin>> {
        let mut statement = self.connection.prepare_cached(REST)?;
        let rest = |row: &rusqlite::Row<'_>| {
            Ok(RecordWithin { record: record(row)?, too_large: Some(row.get(14)?) })
        };
        statement.query_row(params![id.get(), queue.0], rest).optional()
    }

    /// Reads an action's parameters if they have at most `max_bytes` bytes.
    pub(super) fn parameters_up_to(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> Result<Option<Result<Parameters, usize>>, StoreError> {
        let read = || -> rusqlite::Result<Option<(usize, Option<String>)>> {
            self.connection
                .prepare_cached(PARAMETERS)?
                .query_row(params![id.get(), queue.0, limit(max_bytes)], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
        };
        match read().map_err(|e| store_error(&e, &self.path))? {
            None => Ok(None),
            Some((bytes, None)) => Ok(Some(Err(bytes))),
            Some((_, Some(text))) => {
                let parameters = serde_json::from_str(&text).map_err(|e| StoreError::Corrupt {
                    path: self.path.clone(),
                    reason: format!("the parameters of action {id} are unreadable: {e}"),
                })?;
                Ok(Some(Ok(parameters)))
            }
        }
    }
}
