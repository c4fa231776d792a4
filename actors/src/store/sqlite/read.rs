//! Reads: single actions here, pages of listings in [`super::list`]. They run on the callers' threads
//! ([`super::reader_pool`]) or on the reading threads ([`super::threads`]).

use std::cell::Cell;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::errors::{is_damage, store_error};
use super::list::ROW_BUDGET;
use super::rows::{counts_from_text, record};
use super::schema::in_by_state;
use crate::action::{ActionId, Parameters, State};
use crate::store::{QueueId, QueueState, Record, StoreError};

const RECORD: &str = "SELECT id, state, priority, attempt, queued_at, started_at, finished_at,
     processing_ms, percent, error, report, not_before, worker, origin FROM action WHERE id = ?1 AND queue = ?2";

const RECORD_WITHOUT_RESULT: &str =
    "SELECT id, state, priority, attempt, queued_at, started_at, finished_at,
     processing_ms, percent, NULL, NULL, not_before, worker, origin FROM action WHERE id = ?1 AND queue = ?2";

/// The same, with error and result only if they are not too large. Their sizes are in the row itself: SQLite reads no more
/// than that.
const RECORD_WITHIN: &str =
    "SELECT id, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent,
     CASE WHEN bytes <= ?3 THEN error END, CASE WHEN bytes <= ?3 THEN report END, not_before, worker, origin, bytes
     FROM (SELECT *, coalesce(octet_length(error), 0) + coalesce(octet_length(report), 0) AS bytes
         FROM action WHERE id = ?1 AND queue = ?2)";

/// Returns true if an action waits and is not deferred: it has a place in the queue.
pub(super) fn may_start(record: &Record) -> bool {
    record.state == State::Queued && record.not_before.is_none()
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Number of rows that a page may examine.
    pub(super) row_budget: Cell<u64>,
}

impl Reader {
    pub(super) fn new(connection: Connection, path: PathBuf) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "cache_size", -8_000)?;
        Ok(Self { connection, path, row_budget: Cell::new(ROW_BUDGET) })
    }

    /// Runs several reads on one snapshot, taken at the first of them.
    pub(super) fn in_snapshot(&self, reads: impl FnOnce()) {
        let began = self.begin();
        reads();
        if began {
            self.end();
        }
    }

    /// Begins a snapshot, taken at the next read; returns false if that failed.
    pub(super) fn begin(&self) -> bool {
        self.run("BEGIN").is_ok()
    }

    /// Ends the snapshot.
    pub(super) fn end(&self) {
        if let Err(error) = self.run("COMMIT") {
            log::warn!("{}: a read transaction did not end: {error}", self.path.display());
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute([])
    }

    pub(super) fn queue_state(&self, id: QueueId) -> Result<QueueState, StoreError> {
        let read = || -> rusqlite::Result<(bool, String)> {
            self.connection
                .prepare_cached("SELECT paused, counts FROM queue WHERE id = ?1")?
                .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        let (paused, text) = read().map_err(|e| store_error(&e, &self.path))?;
        let (counts, _) = counts_from_text(&text).ok_or_else(|| StoreError::Corrupt {
            path: self.path.clone(),
            reason: format!("the counts of queue number {} are unreadable", id.0),
        })?;
        Ok(QueueState { id, paused, counts })
    }

    pub(super) fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> Result<Option<Record>, StoreError> {
        let read = || -> rusqlite::Result<Option<Record>> {
            let Some(mut record) = self.record_of(queue, id)? else { return Ok(None) };
            if may_start(&record) {
                record.position = self.position(queue, &record)?;
            }
            Ok(Some(record))
        };
        read().map_err(|e| store_error(&e, &self.path))
    }

    pub(super) fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> Result<Option<Parameters>, StoreError> {
        let read = || -> rusqlite::Result<Option<String>> {
            self.connection
                .prepare_cached(
                    "SELECT p.value FROM parameters p JOIN action a ON a.id = p.id
                     WHERE p.id = ?1 AND a.queue = ?2",
                )?
                .query_row(params![id.get(), queue.0], |row| row.get(0))
                .optional()
        };
        let text = read().map_err(|e| store_error(&e, &self.path))?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|e| StoreError::Corrupt {
            path: self.path.clone(),
            reason: format!("the parameters of action {id} are unreadable: {e}"),
        })
    }

    fn record_of(&self, queue: QueueId, id: ActionId) -> rusqlite::Result<Option<Record>> {
        self.connection
            .prepare_cached(RECORD)?
            .query_row(params![id.get(), queue.0], record)
            .optional()
    }

    /// Reads one action and the number of bytes of its result and error; only the number, as an `Err`, if it is more than
    /// `max_bytes`.
    pub(super) fn record_within(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> rusqlite::Result<Option<Result<(Record, usize), usize>>> {
        // SQLite's numbers are signed.
        let limit = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let read = |row: &rusqlite::Row<'_>| {
            let bytes = row.get(14)?;
            Ok(if bytes <= max_bytes { Ok((record(row)?, bytes)) } else { Err(bytes) })
        };
        self.connection
            .prepare_cached(RECORD_WITHIN)?
            .query_row(params![id.get(), queue.0, limit], read)
            .optional()
    }

    /// Does the same; if the result can't be read, returns the rest of the action with an error that says so.
    pub(super) fn record_or_its_rest(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> rusqlite::Result<Option<Result<(Record, usize), usize>>> {
        match self.record_within(queue, id, max_bytes) {
            Err(error) if is_damage(&error) => {
                let mut statement = self.connection.prepare_cached(RECORD_WITHOUT_RESULT)?;
                let rest = statement.query_row(params![id.get(), queue.0], record).optional()?;
                let why = store_error(&error, &self.path);
                log::debug!("the result of action {id} can't be read: {why}");
                Ok(rest.map(|rest| {
                    let why = why.without_paths();
                    let error = format!("the result of this action can't be read: {why}");
                    let bytes = error.len();
                    Ok((Record { error: Some(error), ..rest }, bytes))
                }))
            }
            other => other,
        }
    }

    /// Returns the place of a waiting action in the queue, up to [`Record::MAX_POSITION`].
    pub(super) fn position(&self, queue: QueueId, of: &Record) -> rusqlite::Result<Option<u64>> {
        let ahead: u64 = self
            .connection
            .prepare_cached(concat!(
                "SELECT (SELECT count(*) FROM (SELECT 1 FROM action INDEXED BY by_state
                     WHERE queue = ?1 AND state = ?2 AND priority > ?3 AND ",
                in_by_state!(),
                " LIMIT ?5)) + (SELECT count(*) FROM (SELECT 1 FROM action INDEXED BY by_state
                     WHERE queue = ?1 AND state = ?2 AND priority = ?3 AND id < ?4 AND ",
                in_by_state!(),
                " LIMIT ?5))"
            ))?
            .query_row(
                params![
                    queue.0,
                    State::Queued as u8,
                    of.priority,
                    of.id.get(),
                    Record::MAX_POSITION
                ],
                |row| row.get(0),
            )?;
        Ok((ahead < Record::MAX_POSITION).then_some(ahead + 1))
    }
}
