//! Filling a data directory.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, Transaction, TransactionBehavior, params};

use crate::action::State;
use crate::store::Counts;
use crate::store::moving::{Begun, Cursor, DEFERRED, Mark, Moved, Outline};
use crate::store::sqlite::rows::counts_to_text;
use crate::store::sqlite::schedules;
use crate::store::sqlite::schema::{MOVING, VERSION};

/// The source of the rows, and how far they have come.
const MARK: &str = "
CREATE TABLE moving (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    source TEXT NOT NULL,
    content TEXT NOT NULL,
    part INTEGER NOT NULL,
    after INTEGER NOT NULL,
    done INTEGER NOT NULL
) STRICT;
";

/// A text of any bytes.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

pub(super) fn text(bytes: &Option<Vec<u8>>) -> Option<Text<'_>> {
    bytes.as_deref().map(Text)
}

pub(super) fn transaction(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Reads the mark.
pub(super) fn mark(connection: &Connection) -> rusqlite::Result<(Mark, Begun)> {
    let read = |row: &Row<'_>| {
        let next = Cursor { part: row.get(2)?, after: row.get(3)? };
        let mark = Mark { source: row.get(0)?, content: row.get(1)? };
        Ok((mark, Begun { next, done: row.get(4)? }))
    };
    connection.query_row("SELECT source, content, part, after, done FROM moving", [], read)
}

/// Empties it, marks it, and creates the queues.
pub(super) fn begin(
    connection: &mut Connection,
    mark: &Mark,
    outline: &Outline,
) -> rusqlite::Result<()> {
    let transaction = transaction(connection)?;
    transaction.execute_batch(
        "DELETE FROM action; DELETE FROM parameters; DELETE FROM submission_key; DELETE FROM history;
         DELETE FROM queue; DELETE FROM event; DELETE FROM handler; DELETE FROM schedule;
         DROP TABLE IF EXISTS moving;",
    )?;
    transaction.execute_batch(MARK)?;
    transaction.execute(
        "INSERT INTO moving VALUES (1, ?1, ?2, ?3, ?4, 0)",
        params![mark.source, mark.content, Cursor::START.part, Cursor::START.after],
    )?;
    let mut queues = Vec::with_capacity(outline.queues.len());
    for queue in &outline.queues {
        transaction.execute(
            "INSERT INTO queue (name, paused, counts) VALUES (?1, ?2, '[]')",
            params![queue.name, queue.paused],
        )?;
        queues.push(transaction.last_insert_rowid());
    }
    for schedule in outline.schedules_for(&queues) {
        schedules::with_values(&schedule, |values| transaction.execute(schedules::PUT, values))?;
    }
    for handler in &outline.handlers {
        transaction.execute(
            "INSERT INTO handler (name, dropped) VALUES (?1, ?2)",
            params![handler.name, handler.dropped],
        )?;
    }
    transaction.pragma_update(None, "user_version", MOVING)?;
    transaction.commit()
}

/// Writes a page.
pub(super) fn page(
    connection: &mut Connection,
    queues: &[i64],
    page: &[Moved],
    next: Cursor,
) -> rusqlite::Result<()> {
    let transaction = transaction(connection)?;
    {
        let mut action = transaction.prepare_cached(
            "INSERT INTO action (id, queue, state, priority, attempt, failures, restarts, queued_at, started_at,
                finished_at, not_before, processing_ms, percent, worker, error, note, report, action_id, origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?;
        let mut parameters = transaction.prepare_cached(
            "INSERT INTO parameters (id, submission_key, value) VALUES (?1, ?2, ?3)",
        )?;
        let mut key = transaction
            .prepare_cached("INSERT INTO submission_key (queue, key, id) VALUES (?1, ?2, ?3)")?;
        let mut history = transaction.prepare_cached(
            "INSERT INTO history (id, attempt, started_at, ended_at, ended, worker, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for row in page {
            // One that is not there breaks a rule of the table.
            let queue = queues.get(row.queue).copied();
            action.execute(params![
                row.id,
                queue,
                row.state,
                row.priority,
                row.attempt,
                row.failures,
                row.restarts,
                row.queued_at,
                row.started_at,
                row.finished_at,
                row.not_before,
                row.processing_ms,
                row.percent,
                text(&row.worker),
                text(&row.error),
                text(&row.note),
                text(&row.report),
                text(&row.action_id),
                text(&row.origin),
            ])?;
            // They need not be kept of what has ended.
            if !row.parameters.is_empty() {
                parameters.execute(params![row.id, text(&row.key), Text(&row.parameters)])?;
            }
            if row.key.is_some() {
                key.execute(params![queue, text(&row.key), row.id])?;
            }
            for past in &row.past {
                history.execute(params![
                    row.id,
                    past.attempt,
                    past.started_at,
                    past.ended_at,
                    past.ended,
                    text(&past.worker),
                    text(&past.error),
                ])?;
            }
        }
        let mut mark = transaction
            .prepare_cached("UPDATE moving SET part = ?1, after = ?2, done = done + ?3")?;
        let done = i64::try_from(page.len()).unwrap_or(i64::MAX);
        mark.execute(params![next.part, next.after, done])?;
    }
    transaction.commit()
}

/// Counts the actions, and notes the highest numbers that were given out.
pub(super) fn complete(connection: &mut Connection, outline: &Outline) -> rusqlite::Result<()> {
    let transaction = transaction(connection)?;
    let ids: Vec<i64> = transaction
        .prepare("SELECT id FROM queue")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in ids {
        let (mut counts, mut deferred) = (Counts::default(), 0);
        let mut statement = transaction
            .prepare_cached("SELECT state, count(*) FROM action WHERE queue = ?1 GROUP BY state")?;
        let mut found = statement.query([id])?;
        while let Some(row) = found.next()? {
            let (state, number): (i16, u64) = (row.get(0)?, row.get(1)?);
            let known = usize::try_from(state).ok().and_then(|state| State::ALL.get(state));
            counts.add(known.copied().unwrap_or(State::Queued), number);
            if state == DEFERRED {
                deferred = number;
            }
        }
        transaction.execute(
            "UPDATE queue SET counts = ?2 WHERE id = ?1",
            params![id, counts_to_text(&counts, deferred)],
        )?;
    }
    transaction.execute(
        "UPDATE meta SET last_id = max(last_id, ?1), last_event = max(last_event, ?2)",
        [outline.last_id, outline.last_event],
    )?;
    transaction.commit()
}

/// Makes it one that servers open.
pub(super) fn release(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = transaction(connection)?;
    transaction.execute_batch("DROP TABLE moving")?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
