//! Events for handlers, read from a schema and written to one.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};

use super::Ids;
use crate::store::moving::{Cursor, EventPage, FailedDelivery, MovedEvent, PAGE_BYTES, PAGE_ROWS};
use crate::store::postgres::errors::{Failure, corrupt};
use crate::store::postgres::message::{Message, statements, values};

/// The events of a handler behind a number, as many as their sizes allow.
macro_rules! page {
    ($table:literal, $failure:literal) => {
        concat!(
            "WITH sized AS MATERIALIZED (
                SELECT id, (coalesce(octet_length(error), 0) + coalesce(octet_length(report), 0))::int8 AS bytes
                FROM ", $table, " WHERE handler = $1 AND id > $2 ORDER BY handler, id LIMIT $3::int8
            ), summed AS (
                SELECT id, sum(bytes) OVER (ORDER BY id) AS total FROM sized
            )
            SELECT id, kind, at, queue, level, action, state, priority, attempt, queued_at, started_at, finished_at,
                processing_ms, percent, not_before, worker, origin, error, report, ", $failure, "
            FROM ", $table, " WHERE handler = $1 AND id > $2
                AND id <= (SELECT coalesce(max(id) FILTER (WHERE total <= $4::int8), min(id)) FROM summed)
            ORDER BY handler, id"
        )
    };
}

/// Adds events, of which the last columns are those of their failures.
macro_rules! add {
    ($table:literal, $columns:literal, $values:literal) => {
        concat!(
            "INSERT INTO ", $table, " (id, handler, kind, at, queue, level, action, state, priority, attempt, queued_at,
                started_at, finished_at, processing_ms, percent, not_before, worker, origin, error, report, taken_by",
                $columns, ")
            SELECT e.id, e.handler, e.kind, e.at, e.queue, e.level, e.action, e.state, e.priority, e.attempt, e.queued_at,
                e.started_at, e.finished_at, e.processing_ms, e.percent, e.not_before, e.worker, e.origin, e.error, e.report,
                CASE WHEN e.action IS NOT NULL THEN $1::int4 END", $values, "
            FROM unnest($2::int8[], $3::int8[], $4::int2[], $5::int8[], $6::int4[], $7::bytea[], $8::int8[], $9::int2[],
                $10::int4[], $11::int4[], $12::int8[], $13::int8[], $14::int8[], $15::int8[], $16::float8[], $17::int8[],
                $18::bytea[], $19::bytea[], $20::bytea[], $21::bytea[], $22::int8[], $23::int4[], $24::bytea[])
                AS e(id, handler, kind, at, queue, level, action, state, priority, attempt, queued_at, started_at,
                    finished_at, processing_ms, percent, not_before, worker, origin, error, report, failed_at, attempts,
                    last_error)"
        )
    };
}

statements! {
    /// Statements about events.
    Statements {
        pending: page!("event", "NULL::int8, NULL::int4, NULL::bytea"),
        failed: page!("failed_event", "failed_at, attempts, last_error"),
        add_pending: add!("event", "", ""),
        add_failed: add!(
            "failed_event",
            ", failed_at, attempts, last_error",
            ", e.failed_at, e.attempts, e.last_error"
        ),
    }
}

/// Reads the events behind a place.
pub(super) async fn page(
    client: &Client,
    statements: &Statements,
    ids: &Ids,
    from: Cursor,
) -> Result<EventPage, Failure> {
    let limits = (
        i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX),
        i64::try_from(PAGE_BYTES).unwrap_or(i64::MAX),
    );
    let places: HashMap<i32, usize> =
        ids.queues.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut from = from;
    loop {
        let (place, has_failed) = from.handler();
        let Some(handler) = ids.handlers.get(place) else {
            return Ok(EventPage { rows: Vec::new(), next: None });
        };
        let statement = if has_failed { &statements.failed } else { &statements.pending };
        let found = client.query(statement, &[handler, &from.after, &limits.0, &limits.1]).await?;
        let rows: Vec<MovedEvent> =
            found.iter().map(|row| event(row, place, &places)).collect::<Result<_, Failure>>()?;
        if let Some(last) = rows.last() {
            let next = Some(Cursor { after: last.id, ..from });
            return Ok(EventPage { rows, next });
        }
        from = from.next_part();
    }
}

fn event(row: &Row, handler: usize, places: &HashMap<i32, usize>) -> Result<MovedEvent, Failure> {
    let (id, queue): (i64, i32) = (row.try_get(0)?, row.try_get(3)?);
    let queue = places.get(&queue).copied();
    let queue = queue.ok_or_else(|| corrupt(format!("event {id} has no queue")))?;
    let failure = match row.try_get(19)? {
        Some(at) => {
            Some(FailedDelivery { at, attempts: row.try_get(20)?, error: row.try_get(21)? })
        }
        None => None,
    };
    Ok(MovedEvent {
        id,
        handler,
        kind: row.try_get(1)?,
        at: row.try_get(2)?,
        queue,
        level: row.try_get(4)?,
        action: row.try_get(5)?,
        state: row.try_get(6)?,
        priority: row.try_get(7)?,
        attempt: row.try_get(8)?,
        queued_at: row.try_get(9)?,
        started_at: row.try_get(10)?,
        finished_at: row.try_get(11)?,
        processing_ms: row.try_get(12)?,
        percent: row.try_get(13)?,
        not_before: row.try_get(14)?,
        worker: row.try_get(15)?,
        origin: row.try_get(16)?,
        error: row.try_get(17)?,
        report: row.try_get(18)?,
        failure,
    })
}

/// Writes events of actions that this site has taken.
pub(super) async fn write(
    client: &Client,
    statements: &Statements,
    (ids, site): (&Ids, i32),
    page: &[MovedEvent],
) -> Result<(), Failure> {
    fn each<'a, T>(rows: &[&'a MovedEvent], column: impl Fn(&'a MovedEvent) -> T) -> Vec<T> {
        rows.iter().map(|row| column(row)).collect()
    }
    let (failed, pending): (Vec<&MovedEvent>, Vec<&MovedEvent>) =
        page.iter().partition(|row| row.failure.is_some());
    for (statement, rows) in [(&statements.add_pending, pending), (&statements.add_failed, failed)]
    {
        if rows.is_empty() {
            continue;
        }
        let values = values![
            site,
            each(&rows, |row| row.id),
            // One that is not there breaks a rule of the table.
            each(&rows, |row| ids.handlers.get(row.handler).copied()),
            each(&rows, |row| row.kind),
            each(&rows, |row| row.at),
            each(&rows, |row| ids.queues.get(row.queue).copied()),
            each(&rows, |row| row.level.as_deref()),
            each(&rows, |row| row.action),
            each(&rows, |row| row.state),
            each(&rows, |row| row.priority),
            each(&rows, |row| row.attempt),
            each(&rows, |row| row.queued_at),
            each(&rows, |row| row.started_at),
            each(&rows, |row| row.finished_at),
            each(&rows, |row| row.processing_ms),
            each(&rows, |row| row.percent),
            each(&rows, |row| row.not_before),
            each(&rows, |row| row.worker.as_deref()),
            each(&rows, |row| row.origin.as_deref()),
            each(&rows, |row| row.error.as_deref()),
            each(&rows, |row| row.report.as_deref()),
            each(&rows, |row| row.failure.as_ref().map(|failure| failure.at)),
            each(&rows, |row| row.failure.as_ref().map(|failure| failure.attempts)),
            each(&rows, |row| row.failure.as_ref().map(|failure| failure.error.as_slice())),
        ];
        let mut message = Message::to(client);
        message.add(statement, values);
        message.answers().await?;
    }
    Ok(())
}
