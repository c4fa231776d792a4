//! Events for handlers, read from a data directory and written to one.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, Row, params};

use super::Ids;
use super::read::{bytes_of, corrupt};
use super::write::{Text, text, transaction};
use crate::store::StoreError;
use crate::store::moving::{
    Cursor, EventPage, FailedDelivery, HandlerOutline, MovedEvent, PAGE_BYTES, PAGE_ROWS,
};
use crate::store::sqlite::errors::store_error;

/// The events of a handler after a number: those that wait, or those that have failed.
const EVENTS: &str = "
    SELECT id, kind, at, queue, level, action, state, priority, attempt, queued_at, started_at, finished_at, processing_ms,
        percent, not_before, worker, origin, error, report, coalesce(failed_at, 0), attempts, last_error
    FROM event INDEXED BY event_by_handler WHERE handler = ?1 AND failed = ?2 AND id > ?3 ORDER BY id LIMIT ?4";

/// Reads the handlers, in the order of their names; also returns their numbers.
pub(super) fn handlers(
    connection: &Connection,
) -> rusqlite::Result<(Vec<i64>, Vec<HandlerOutline>)> {
    let mut rows: Vec<(i64, HandlerOutline)> = connection
        .prepare("SELECT id, name, dropped FROM handler")?
        .query_map([], |row| {
            Ok((row.get(0)?, HandlerOutline { name: row.get(1)?, dropped: row.get(2)? }))
        })?
        .collect::<rusqlite::Result<_>>()?;
    rows.sort_by_key(|(_, handler)| handler.name.to_ascii_lowercase());
    Ok(rows.into_iter().unzip())
}

/// Reads the events behind a place.
pub(super) fn page(
    connection: &Connection,
    path: &Path,
    ids: &Ids,
    from: Cursor,
) -> Result<EventPage, StoreError> {
    let failed = |error: rusqlite::Error| store_error(&error, path);
    let places: HashMap<i64, usize> =
        ids.queues.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut statement = connection.prepare_cached(EVENTS).map_err(failed)?;
    let limit = i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX);
    let mut from = from;
    loop {
        let (place, has_failed) = from.handler();
        let Some(handler) = ids.handlers.get(place) else {
            return Ok(EventPage { rows: Vec::new(), next: None });
        };
        let values = params![handler, has_failed, from.after, limit];
        let mut found = statement.query(values).map_err(failed)?;
        let (mut rows, mut bytes) = (Vec::<MovedEvent>::new(), 0);
        while bytes < PAGE_BYTES {
            let Some(row) = found.next().map_err(failed)? else { break };
            let queue: i64 = row.get(3).map_err(failed)?;
            let queue = places.get(&queue).copied();
            let row = event(row, (place, has_failed), queue.unwrap_or_default()).map_err(failed)?;
            if queue.is_none() {
                return Err(corrupt(path, format!("event {} has no queue", row.id)));
            }
            bytes += row.bytes();
            rows.push(row);
        }
        if let Some(last) = rows.last() {
            let next = Some(Cursor { after: last.id, ..from });
            return Ok(EventPage { rows, next });
        }
        from = from.next_part();
    }
}

fn event(
    row: &Row<'_>,
    (handler, has_failed): (usize, bool),
    queue: usize,
) -> rusqlite::Result<MovedEvent> {
    let failure = FailedDelivery {
        at: row.get(19)?,
        attempts: row.get(20)?,
        error: bytes_of(row, 21)?.unwrap_or_default(),
    };
    Ok(MovedEvent {
        id: row.get(0)?,
        handler,
        kind: row.get(1)?,
        at: row.get(2)?,
        queue,
        level: bytes_of(row, 4)?,
        action: row.get(5)?,
        state: row.get(6)?,
        priority: row.get(7)?,
        attempt: row.get(8)?,
        queued_at: row.get(9)?,
        started_at: row.get(10)?,
        finished_at: row.get(11)?,
        processing_ms: row.get(12)?,
        percent: row.get(13)?,
        not_before: row.get(14)?,
        worker: bytes_of(row, 15)?,
        origin: bytes_of(row, 16)?,
        error: bytes_of(row, 17)?,
        report: bytes_of(row, 18)?,
        failure: has_failed.then_some(failure),
    })
}

/// Deletes all events.
pub(super) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM event", []).map(drop)
}

/// Writes events.
pub(super) fn write(
    connection: &mut Connection,
    ids: &Ids,
    page: &[MovedEvent],
) -> rusqlite::Result<()> {
    let transaction = transaction(connection)?;
    {
        let mut event = transaction.prepare_cached(
            "INSERT INTO event (id, handler, kind, at, queue, level, action, state, priority, attempt, queued_at, started_at,
                finished_at, processing_ms, percent, not_before, worker, origin, error, report, failed, failed_at, attempts,
                last_error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
                ?24)",
        )?;
        for row in page {
            let failure = row.failure.as_ref();
            event.execute(params![
                row.id,
                // One that is not there breaks a rule of the table.
                ids.handlers.get(row.handler),
                row.kind,
                row.at,
                ids.queues.get(row.queue),
                text(&row.level),
                row.action,
                row.state,
                row.priority,
                row.attempt,
                row.queued_at,
                row.started_at,
                row.finished_at,
                row.processing_ms,
                row.percent,
                row.not_before,
                text(&row.worker),
                text(&row.origin),
                text(&row.error),
                text(&row.report),
                failure.is_some(),
                failure.map(|failure| failure.at),
                failure.map_or(0, |failure| failure.attempts),
                failure.map(|failure| Text(&failure.error)),
            ])?;
        }
    }
    transaction.commit()
}
