//! Reading a data directory from its start to its end.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, Row, params};

use crate::store::StoreError;
use crate::store::moving::{
    Cursor, Moved, Outline, PAGE_BYTES, PAGE_ROWS, Page, Past, QueueOutline,
};
use crate::store::sqlite::errors::store_error;
use crate::store::sqlite::rows::counts_from_text;
use crate::store::sqlite::schedules;
use crate::store::sqlite::write::CachedTables;

use super::Ids;
use super::events::handlers;

/// The actions after an id, each with the number of its queue.
const ACTIONS: &str = "
    SELECT a.queue, a.id, a.state, a.priority, a.attempt, a.failures, a.restarts, a.queued_at, a.started_at, a.finished_at,
        a.not_before, a.processing_ms, a.percent, a.worker, a.error, a.note, p.submission_key, p.value, a.report, a.action_id,
        a.origin
    FROM action a LEFT JOIN parameters p ON p.id = a.id WHERE a.id > ?1 ORDER BY a.id LIMIT ?2";

const HISTORY: &str = "
    SELECT id, attempt, started_at, ended_at, ended, worker, error FROM history
    WHERE id BETWEEN ?1 AND ?2 ORDER BY id, attempt";

/// Reads the queues and handlers; also returns their numbers in the same order.
pub(super) fn outline(connection: &Connection, path: &Path) -> Result<(Ids, Outline), StoreError> {
    let read = || -> rusqlite::Result<Vec<(i64, String, bool, String)>> {
        connection
            .prepare("SELECT id, name, paused, counts FROM queue")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect()
    };
    let mut rows = read().map_err(|e| store_error(&e, path))?;
    rows.sort_by_key(|(_, name, ..)| name.to_ascii_lowercase());
    let (mut ids, mut queues) = (Vec::new(), Vec::new());
    for (id, name, paused, text) in rows {
        let (counts, deferred) = counts_from_text(&text)
            .ok_or_else(|| corrupt(path, format!("the counts of queue {name} are unreadable")))?;
        ids.push(id);
        queues.push(QueueOutline::new(name, paused, &counts, deferred));
    }
    let tables = CachedTables::read(connection).map_err(|e| store_error(&e, path))?;
    let last_id = i64::try_from(tables.last_id).unwrap_or(i64::MAX);
    let (handler_ids, handlers) = handlers(connection).map_err(|e| store_error(&e, path))?;
    let schedules = schedules::all(connection).map_err(|e| store_error(&e, path))?;
    let schedules = Outline::schedules_from(schedules, &ids);
    let outline = Outline { queues, handlers, schedules, last_id, last_event: tables.last_event };
    Ok((Ids { queues: ids, handlers: handler_ids }, outline))
}

/// Reads the actions behind a place, and their past attempts.
pub(super) fn page(
    connection: &Connection,
    path: &Path,
    queues: &[i64],
    from: Cursor,
) -> Result<Page, StoreError> {
    if from.part != Cursor::START.part {
        return Ok(Page { rows: Vec::new(), next: None });
    }
    let failed = |error: rusqlite::Error| store_error(&error, path);
    let places: HashMap<i64, usize> =
        queues.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut statement = connection.prepare_cached(ACTIONS).map_err(failed)?;
    let limit = i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX);
    let mut found = statement.query(params![from.after, limit]).map_err(failed)?;
    let (mut rows, mut bytes) = (Vec::<Moved>::new(), 0);
    while rows.len() < PAGE_ROWS && bytes < PAGE_BYTES {
        let Some(row) = found.next().map_err(failed)? else { break };
        let (queue, id): (i64, i64) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        let lacks = |what| corrupt(path, format!("action {id} has no {what}"));
        let queue = *places.get(&queue).ok_or_else(|| lacks("queue"))?;
        let parameters = bytes_of(row, 17).map_err(failed)?.unwrap_or_default();
        let mut moved = action(row, id, queue, parameters).map_err(failed)?;
        moved.forget_the_meaningless();
        if crate::store::moving::is_final(moved.state) && moved.finished_at.is_none() {
            return Err(lacks("end, but a final state"));
        }
        // Of what has ended they need not be kept.
        if moved.parameters.is_empty() && !crate::store::moving::is_final(moved.state) {
            return Err(lacks("parameters"));
        }
        bytes += moved.bytes();
        rows.push(moved);
    }
    let is_full = rows.len() == PAGE_ROWS || bytes >= PAGE_BYTES;
    let next = rows.last().filter(|_| is_full).map(|last| Cursor { after: last.id, ..from });
    read_past(connection, &mut rows).map_err(failed)?;
    Ok(Page { rows, next })
}

fn action(row: &Row<'_>, id: i64, queue: usize, parameters: Vec<u8>) -> rusqlite::Result<Moved> {
    Ok(Moved {
        id,
        queue,
        state: row.get(2)?,
        priority: row.get(3)?,
        attempt: row.get(4)?,
        failures: row.get(5)?,
        restarts: row.get(6)?,
        queued_at: row.get(7)?,
        started_at: row.get(8)?,
        finished_at: row.get(9)?,
        not_before: row.get(10)?,
        processing_ms: row.get(11)?,
        percent: row.get(12)?,
        worker: bytes_of(row, 13)?,
        error: bytes_of(row, 14)?,
        note: bytes_of(row, 15)?,
        key: bytes_of(row, 16)?,
        parameters,
        report: bytes_of(row, 18)?,
        action_id: bytes_of(row, 19)?,
        origin: bytes_of(row, 20)?,
        past: Vec::new(),
    })
}

/// Reads the past attempts of actions that are in the order of their ids.
fn read_past(connection: &Connection, rows: &mut [Moved]) -> rusqlite::Result<()> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    let mut statement = connection.prepare_cached(HISTORY)?;
    let mut found = statement.query([first.id, last.id])?;
    while let Some(row) = found.next()? {
        let id: i64 = row.get(0)?;
        let place = rows.binary_search_by_key(&id, |row| row.id);
        let Some(action) = place.ok().and_then(|place| rows.get_mut(place)) else { continue };
        action.past.push(Past {
            attempt: row.get(1)?,
            started_at: row.get(2)?,
            ended_at: row.get(3)?,
            ended: row.get(4)?,
            worker: bytes_of(row, 5)?,
            error: bytes_of(row, 6)?,
        });
    }
    Ok(())
}

/// Reads a text, whatever bytes are in it.
pub(super) fn bytes_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<u8>>> {
    let value = row.get_ref(column)?;
    Ok(value.as_bytes_or_null()?.map(<[u8]>::to_vec))
}

pub(super) fn corrupt(path: &Path, reason: String) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), reason }
}
