//! Events for handlers: written in the transaction of the change, and changed by controls.
//!
//! The changes by the controls of a batch are written before the rows of the actions are, one row for each handler that wants it:
//! the columns that a control has set as they were right after it, the others from the row. What starts is copied from its row
//! as it starts. So the events of an action are numbered in the order of its changes.

use super::finish::Values;
use super::row::{Column, Row};
use super::session::Prepared;
use crate::action::Timestamp;
use crate::store::postgres::columns::id_number;
use crate::store::postgres::errors::Failure;
use crate::store::postgres::message::{Message, Place, statements, values};
use crate::store::{
    Batch, Control, EventKind, EventWants, HandlerId, LevelChange, OutboxChange, StoreError,
};

/// The columns of an event about an action, without its number.
macro_rules! event_columns {
    () => {
        "handler, kind, at, queue, action, state, priority, attempt, queued_at, started_at, finished_at, processing_ms,
             percent, not_before, taken_by, run_by, worker, origin, error, report"
    };
}
pub(super) use event_columns;

statements! {
    /// Statements about events.
    EventStatements {
        // The last condition holds for an origin with a callback: in a text of JSON each quote has a backslash before it.
        tell: concat!("WITH told AS (INSERT INTO event (", event_columns!(), ")
            SELECT h.handler, e.kind, $1, $2, e.id, e.state, e.priority, e.attempt, a.queued_at, e.started_at, e.finished_at,
                e.processing_ms, e.percent, e.not_before, a.taken_by,
                CASE WHEN e.taken THEN $3::int4 ELSE a.run_by END,
                CASE WHEN e.has_worker THEN e.worker ELSE a.worker END, a.origin,
                CASE WHEN e.has_error THEN e.error ELSE a.error END, e.report
            FROM unnest($4::int2[], $5::int8[], $6::int2[], $7::int4[], $8::int4[], $9::int8[], $10::int8[], $11::int8[],
                $12::float8[], $13::int8[], $14::bool[], $15::bool[], $16::bytea[], $17::bool[], $18::bytea[], $19::bytea[])
                WITH ORDINALITY AS e(kind, id, state, priority, attempt, started_at, finished_at, processing_ms, percent,
                    not_before, taken, has_worker, worker, has_error, error, report, place)
            CROSS JOIN LATERAL (
                SELECT l.queued_at, l.taken_by, l.run_by, l.worker, l.origin, l.error FROM live l WHERE l.id = e.id
                UNION ALL
                SELECT d.queued_at, d.taken_by, d.run_by, d.worker, d.origin, d.error FROM done d
                WHERE d.queue = $2 AND d.id = e.id
            ) AS a
            CROSS JOIN LATERAL (
                SELECT w.handler FROM unnest($20::int2[], $21::int8[]) AS w(kind, handler) WHERE w.kind = e.kind
                UNION ALL
                SELECT $22::int8 WHERE $22 IS NOT NULL AND e.finished_at IS NOT NULL
                    AND position('\"callback\":'::bytea IN a.origin) > 0
            ) AS h
            ORDER BY e.place RETURNING 1
        ) SELECT count(*) FROM told"),

        tell_started: concat!("INSERT INTO event (", event_columns!(), ")
            SELECT h.handler, $1, $2, l.queue, l.id, l.state, l.priority, l.attempt, l.queued_at, l.started_at, NULL, 0, 0,
                NULL, l.taken_by, l.run_by, NULL, l.origin, NULL, NULL
            FROM unnest($3::int8[]) AS e(id) JOIN live l ON l.id = e.id CROSS JOIN unnest($4::int8[]) AS h(handler)"),

        tell_level: "INSERT INTO event (handler, kind, at, queue, level)
            SELECT h.handler, $1, $2, $3, $4 FROM unnest($5::int8[]) AS h(handler)",

        settle: "DELETE FROM event WHERE handler = $1 AND id = ANY($2)",

        fail: "WITH gone AS (
                DELETE FROM event e USING unnest($2::int8[], $3::int8[], $4::int4[], $5::bytea[])
                    AS f(id, failed_at, attempts, error)
                WHERE e.handler = $1 AND e.id = f.id RETURNING e.*, f.failed_at, f.attempts, f.error
            ) INSERT INTO failed_event SELECT * FROM gone",

        // One at a time, or what one has dropped would not be counted.
        lock_handler: "SELECT 1 FROM handler WHERE id = $1 FOR UPDATE",

        trim: "WITH pending AS MATERIALIZED (
                SELECT id FROM event WHERE handler = $1 AND id <= (
                    SELECT id FROM event WHERE handler = $1 ORDER BY handler DESC, id DESC LIMIT 1 OFFSET $2::int8)
                ORDER BY handler, id LIMIT $3::int8
            ), failed AS MATERIALIZED (
                SELECT id FROM failed_event WHERE handler = $1 AND id <= (
                    SELECT id FROM failed_event WHERE handler = $1 ORDER BY handler DESC, id DESC LIMIT 1 OFFSET $2)
                ORDER BY handler, id LIMIT $3
            ), gone AS (
                DELETE FROM event e USING pending p WHERE e.handler = $1 AND e.id = p.id RETURNING 1
            ), failed_gone AS (
                DELETE FROM failed_event e USING failed f WHERE e.handler = $1 AND e.id = f.id RETURNING 1
            ), more AS MATERIALIZED (
                SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM failed_gone) AS number
            ), last AS MATERIALIZED (
                SELECT number FROM dropped WHERE handler = $1 ORDER BY handler DESC, number DESC LIMIT 1
            ), counted AS (
                DELETE FROM dropped d USING last, more WHERE more.number > 0 AND d.handler = $1 AND d.number = last.number
            ) INSERT INTO dropped (handler, number)
            SELECT $1, coalesce((SELECT number FROM last), 0) + more.number FROM more WHERE more.number > 0",

        retry: concat!("WITH old AS MATERIALIZED (
                SELECT id FROM failed_event WHERE handler = $1 ORDER BY handler, id LIMIT $2::int8
            ), gone AS (
                DELETE FROM failed_event e USING old WHERE e.handler = $1 AND e.id = old.id RETURNING e.*
            ) INSERT INTO event (id, level, ", event_columns!(), ") SELECT id, level, ", event_columns!(), " FROM gone"),

        discard: "DELETE FROM failed_event WHERE handler = $1 AND id IN (
                SELECT id FROM failed_event WHERE handler = $1 ORDER BY handler, id LIMIT $2::int8)",
    }
}

/// An event that a control has caused: the action as it is right after that.
#[derive(Debug)]
pub(super) struct Told<'b> {
    pub(super) kind: EventKind,
    pub(super) row: Row<'b>,
}

/// Tells whether somebody wants an event of this kind about an action, or may.
pub(super) fn is_wanted(batch: &Batch, kind: EventKind) -> bool {
    batch.wants.as_ref().is_some_and(|wants| {
        !wants.handlers(kind).is_empty() || (wants.callback.is_some() && kind.is_end())
    })
}

/// Returns the handlers that want the events of a kind, as a value.
pub(super) fn handlers(batch: &Batch, kind: EventKind) -> Vec<i64> {
    let wants = batch.wants.iter();
    wants.flat_map(|wants| wants.handlers(kind)).map(|handler| handler.0).collect()
}

/// Writes the events that controls have caused. The answers say how many they are.
pub(super) fn tell<'a>(
    message: &mut Message<'a>,
    prepared: &'a Prepared,
    (batch, queue, site): (&Batch, i32, i32),
    told: &'a [Told<'_>],
    most_bytes: usize,
) -> Vec<Place> {
    let Some(wants) = &batch.wants else { return Vec::new() };
    let mut places = Vec::new();
    let mut rest = told;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = |event: &&Told<'_>| {
            let error = event.row.error.changed().and_then(Option::as_ref).map_or(0, String::len);
            bytes = bytes.saturating_add(error + event.row.outcome.report.map_or(0, str::len));
            bytes <= most_bytes
        };
        let number = rest.iter().take_while(fits).count().max(1);
        let (part, others) = rest.split_at(number);
        let values = told_values((batch.now, queue, site), wants, part);
        places.push(message.add(&prepared.events.tell, values));
        rest = others;
    }
    places
}

fn told_values<'a>(
    (now, queue, site): (Timestamp, i32, i32),
    wants: &EventWants,
    told: &'a [Told<'_>],
) -> Values<'a> {
    fn each<'a, T>(told: &'a [Told<'_>], column: impl Fn(&'a Row<'_>) -> T) -> Vec<T> {
        told.iter().map(|event| column(&event.row)).collect()
    }
    fn text(column: &Column<Option<String>>) -> Option<&[u8]> {
        column.changed()?.as_deref().map(str::as_bytes)
    }
    let (mut kinds, mut handlers) = (Vec::new(), Vec::new());
    for kind in EventKind::ALL {
        for handler in wants.handlers(kind) {
            kinds.push(i16::from(kind.number()));
            handlers.push(handler.0);
        }
    }
    values![
        now.0,
        queue,
        site,
        told.iter().map(|event| i16::from(event.kind.number())).collect::<Vec<_>>(),
        each(told, |row| id_number(row.id)),
        each(told, |row| row.stored_state()),
        each(told, |row| row.priority),
        each(told, |row| i32::try_from(row.attempt).unwrap_or(i32::MAX)),
        each(told, |row| row.started_at.map(Timestamp::millis)),
        each(told, |row| row.finished_at.map(Timestamp::millis)),
        each(told, |row| row.outcome.processing_ms),
        each(told, |row| row.outcome.percent),
        each(told, |row| row.not_before.map(Timestamp::millis)),
        each(told, |row| row.taken),
        each(told, |row| row.worker.is_changed()),
        each(told, |row| text(&row.worker)),
        each(told, |row| row.error.is_changed()),
        each(told, |row| text(&row.error)),
        each(told, |row| row.outcome.report.map(str::as_bytes)),
        kinds,
        handlers,
        wants.callback.map(|handler| handler.0),
    ]
}

/// Writes changes of the fill level, and returns the number of events.
pub(super) fn tell_levels<'a>(
    message: &mut Message<'a>,
    prepared: &'a Prepared,
    (batch, queue): (&Batch, i32),
    levels: &[LevelChange],
) -> Result<usize, Failure> {
    let to = handlers(batch, EventKind::Queue);
    if to.is_empty() {
        return Ok(0);
    }
    for level in levels {
        let json = serde_json::to_vec(level).map_err(|error| StoreError::Io(error.to_string()))?;
        let kind = i16::from(EventKind::Queue.number());
        let values = values![kind, batch.now.0, queue, json, to.clone()];
        message.add(&prepared.events.tell_level, values);
    }
    Ok(to.len() * levels.len())
}

/// Changes the events of handlers as the controls say.
pub(super) fn change<'a>(message: &mut Message<'a>, prepared: &'a Prepared, batch: &'a Batch) {
    for control in &batch.controls {
        if let Control::Outbox { handler, change } = control {
            change_one(message, &prepared.events, *handler, change);
        }
    }
}

fn change_one<'a>(
    message: &mut Message<'a>,
    statements: &'a EventStatements,
    HandlerId(handler): HandlerId,
    change: &'a OutboxChange,
) {
    let step = i64::try_from(OutboxChange::STEP).unwrap_or(i64::MAX);
    match change {
        OutboxChange::Settle { delivered, failed } => {
            if !delivered.is_empty() {
                let ids: Vec<i64> = delivered.iter().map(|event| event.0).collect();
                message.add(&statements.settle, values![handler, ids]);
            }
            if !failed.is_empty() {
                let attempts = |attempts: u32| i32::try_from(attempts).unwrap_or(i32::MAX);
                let values = values![
                    handler,
                    failed.iter().map(|event| event.id.0).collect::<Vec<_>>(),
                    failed.iter().map(|event| event.at.0).collect::<Vec<_>>(),
                    failed.iter().map(|event| attempts(event.attempts)).collect::<Vec<_>>(),
                    failed.iter().map(|event| event.error.as_bytes()).collect::<Vec<_>>(),
                ];
                message.add(&statements.fail, values);
            }
        }
        OutboxChange::Trim { keep } => {
            let keep = i64::try_from(*keep).unwrap_or(i64::MAX);
            message.add(&statements.lock_handler, values![handler]);
            message.add(&statements.trim, values![handler, keep, step]);
        }
        OutboxChange::Retry => {
            message.add(&statements.retry, values![handler, step]);
        }
        OutboxChange::Discard => {
            message.add(&statements.discard, values![handler, step]);
        }
    }
}
