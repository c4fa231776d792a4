//! Reading a schema from its start to its end: first what waits or runs, then what has ended, queue by queue.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};

use super::{Ids, name};
use crate::store::moving::{
    Cursor, HandlerOutline, Moved, Outline, PAGE_BYTES, PAGE_ROWS, Page, Past, QueueOutline,
};
use crate::store::postgres::columns::Tally;
use crate::store::postgres::errors::{Failure, corrupt};
use crate::store::postgres::message::statements;
use crate::store::postgres::schedules::{ALL, state};
use crate::store::postgres::sites::site;
use crate::store::postgres::write::sums;

/// The rows of a table behind an id, up to a number, and as many of them as their sizes allow. Sizes are known without reading
/// what is long.
macro_rules! page {
    ($table:literal, $size:literal, $condition:literal, $columns:literal) => {
        concat!(
            "WITH sized AS MATERIALIZED (
                SELECT id, ", $size, " AS bytes FROM ", $table, " WHERE ", $condition, "id > $1 ORDER BY id LIMIT $2::int8
            ), summed AS (
                SELECT id, sum(bytes) OVER (ORDER BY id) AS total FROM sized
            )
            SELECT queue, id, state, priority, attempt, queued_at, started_at, worker, error, submission_key, taken_by,
                parameters, ", $columns, ", action_id, origin
            FROM ", $table, " WHERE ", $condition, "id > $1
                AND id <= (SELECT coalesce(max(id) FILTER (WHERE total <= $3::int8), min(id)) FROM summed)
            ORDER BY id"
        )
    };
}

statements! {
    /// Statements that read.
    Statements {
        queues: concat!("SELECT q.id, q.name, q.paused, ", sums!("q.id"), " FROM queue q"),

        handlers: "SELECT h.id, h.name, coalesce((SELECT max(number) FROM dropped d WHERE d.handler = h.id), 0) FROM handler h",

        last_event: "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_id",

        schedules: ALL,

        last_id: "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM action_id",

        live: page!(
            "live",
            "(octet_length(parameters)::int8 + coalesce(octet_length(error), 0) + coalesce(octet_length(note), 0))",
            "",
            "failures, restarts, not_before, note, NULL::int8, 0::int8, 0::float8, NULL::bytea"
        ),

        done: page!(
            "done",
            "(octet_length(parameters)::int8 + coalesce(octet_length(error), 0) + coalesce(octet_length(report), 0))",
            "queue = $4 AND ",
            "0, 0, NULL::int8, NULL::bytea, finished_at, processing_ms, percent, report"
        ),

        history: "SELECT id, attempt, started_at, ended_at, ended, worker, error FROM history
            WHERE id = ANY($1) ORDER BY id, attempt",
    }
}

/// Reads the queues and handlers; also returns their numbers in the same order.
pub(super) async fn outline(
    client: &Client,
    statements: &Statements,
) -> Result<(Ids, Outline), Failure> {
    let mut rows = Vec::new();
    for row in client.query(&statements.queues, &[]).await? {
        let (id, tally): (i32, _) = (row.try_get(0)?, Tally::read(&row, 3)?);
        let queue =
            QueueOutline::new(name(&row, 1)?, row.try_get(2)?, &tally.counts(), tally.deferred());
        rows.push((id, queue));
    }
    rows.sort_by_key(|(_, queue)| queue.name.to_ascii_lowercase());
    let (queue_ids, queues): (Vec<i32>, Vec<QueueOutline>) = rows.into_iter().unzip();
    let mut rows = Vec::new();
    for row in client.query(&statements.handlers, &[]).await? {
        let handler = HandlerOutline { name: name(&row, 1)?, dropped: row.try_get(2)? };
        rows.push((row.try_get::<_, i64>(0)?, handler));
    }
    rows.sort_by_key(|(_, handler)| handler.name.to_ascii_lowercase());
    let (handler_ids, handlers) = rows.into_iter().unzip();
    let last_id = client.query_one(&statements.last_id, &[]).await?.try_get(0)?;
    let last_event = client.query_one(&statements.last_event, &[]).await?.try_get(0)?;
    let found = client.query(&statements.schedules, &[]).await?;
    let schedules = found.iter().map(state).collect::<Result<_, Failure>>()?;
    let numbers: Vec<i64> = queue_ids.iter().copied().map(i64::from).collect();
    let schedules = Outline::schedules_from(schedules, &numbers);
    let ids = Ids { queues: queue_ids, handlers: handler_ids };
    Ok((ids, Outline { queues, handlers, schedules, last_id, last_event }))
}

/// Reads the actions behind a place with their past attempts, and the sites that took them.
pub(super) async fn page(
    client: &Client,
    statements: &Statements,
    queues: &[i32],
    from: Cursor,
) -> Result<(Page, Vec<i32>), Failure> {
    let mut from = from;
    let limits = (
        i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX),
        i64::try_from(PAGE_BYTES).unwrap_or(i64::MAX),
    );
    // Part 0 is what waits or runs, each other one what has ended in a queue.
    let found = loop {
        let found = match from.part.checked_sub(1) {
            Some(-1) => {
                client.query(&statements.live, &[&from.after, &limits.0, &limits.1]).await?
            }
            Some(place) => {
                let queue = usize::try_from(place).ok().and_then(|place| queues.get(place));
                let Some(queue) = queue else {
                    return Ok((Page { rows: Vec::new(), next: None }, Vec::new()));
                };
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                    [&from.after, &limits.0, &limits.1, queue];
                client.query(&statements.done, &values).await?
            }
            None => Vec::new(),
        };
        if !found.is_empty() {
            break found;
        }
        from = Cursor { part: from.part.saturating_add(1), after: 0 };
    };
    let places: HashMap<i32, usize> =
        queues.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let (mut rows, mut sites) = (Vec::with_capacity(found.len()), Vec::new());
    for row in &found {
        let (queue, id): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
        let Some(queue) = places.get(&queue) else {
            return Err(corrupt(format!("action {id} has no queue")).into());
        };
        let mut moved = action(row, *queue)?;
        moved.forget_the_meaningless();
        rows.push(moved);
        let site: i32 = row.try_get(10)?;
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    drop(found);
    read_past(client, statements, &mut rows).await?;
    let next = rows.last().map(|last| Cursor { after: last.id, ..from });
    Ok((Page { rows, next }, sites))
}

fn action(row: &Row, queue: usize) -> Result<Moved, Failure> {
    Ok(Moved {
        id: row.try_get(1)?,
        queue,
        state: row.try_get(2)?,
        priority: row.try_get(3)?,
        attempt: row.try_get(4)?,
        queued_at: row.try_get(5)?,
        started_at: row.try_get(6)?,
        worker: row.try_get(7)?,
        error: row.try_get(8)?,
        key: row.try_get(9)?,
        parameters: row.try_get(11)?,
        failures: row.try_get(12)?,
        restarts: row.try_get(13)?,
        not_before: row.try_get(14)?,
        note: row.try_get(15)?,
        finished_at: row.try_get(16)?,
        processing_ms: row.try_get(17)?,
        percent: row.try_get(18)?,
        report: row.try_get(19)?,
        action_id: row.try_get(20)?,
        origin: row.try_get(21)?,
        past: Vec::new(),
    })
}

/// Reads the past attempts of actions that are in the order of their ids.
async fn read_past(
    client: &Client,
    statements: &Statements,
    rows: &mut [Moved],
) -> Result<(), Failure> {
    // The others have none.
    let ids: Vec<i64> = rows.iter().filter(|row| row.attempt > 0).map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for row in client.query(&statements.history, &[&ids]).await? {
        let id: i64 = row.try_get(0)?;
        let place = rows.binary_search_by_key(&id, |row| row.id);
        let Some(action) = place.ok().and_then(|place| rows.get_mut(place)) else { continue };
        action.past.push(Past {
            attempt: row.try_get(1)?,
            started_at: row.try_get(2)?,
            ended_at: row.try_get(3)?,
            ended: row.try_get(4)?,
            worker: row.try_get(5)?,
            error: row.try_get(6)?,
        });
    }
    Ok(())
}

/// Reads hosts and ports.
pub(super) async fn sites(client: &Client, ids: &[i32]) -> Result<Vec<(String, u16)>, Failure> {
    let mut sites = Vec::new();
    let all = "SELECT name, host, port FROM site WHERE id = ANY($1) ORDER BY id";
    for row in client.query(all, &[&ids]).await? {
        let site = site(&row, 0)?;
        let place = (site.host, site.port);
        // Servers of several names may have had the same.
        if !sites.contains(&place) {
            sites.push(place);
        }
    }
    Ok(sites)
}
