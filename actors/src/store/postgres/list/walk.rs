//! The two ways in which a page looks for actions: along the index of the sort key, or by filters that match few.

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::action::{ActionId, State, Timestamp};
use crate::store::postgres::columns::{action_id, id_number, state, time};
use crate::store::postgres::errors::Failure;
use crate::store::query::{Cursor, Query, Range, SortKey};

/// Maximum number of actions that filters may match for them to be read by those.
const FEW: usize = 1_000;

type Value<'a> = &'a (dyn ToSql + Sync);

/// The columns by which listings are filtered and sorted.
const KEYS: &str = "id, state, priority, queued_at, started_at";

/// An action that is looked at.
pub(super) struct Seen {
    pub(super) id: ActionId,
    state: State,
    priority: i32,
    queued_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl Seen {
    pub(super) fn read(row: &Row) -> Result<Self, Failure> {
        Ok(Self {
            id: action_id(row, 0)?,
            state: state(row.try_get(1)?)?,
            priority: row.try_get(2)?,
            queued_at: Timestamp(row.try_get(3)?),
            started_at: time(row, 4)?,
            finished_at: time(row, 5)?,
        })
    }

    pub(super) fn key(&self, sort: SortKey) -> Option<(Timestamp, ActionId)> {
        let time = match sort {
            SortKey::Queued => Some(self.queued_at),
            SortKey::Started => self.started_at,
            SortKey::Finished => self.finished_at,
        };
        Some((time?, self.id))
    }

    pub(super) fn is_admitted(&self, query: &Query) -> bool {
        let times = (self.started_at, self.finished_at);
        query.admits(self.state, self.priority, self.queued_at, times)
    }
}

/// The walk along the index of a sort key.
pub(super) struct Walk {
    sql: String,
    from: i64,
    until: i64,
}

impl Walk {
    pub(super) fn of(query: &Query) -> Self {
        let column = column(query.sort);
        let (sign, order) = if query.descending { ("<", "DESC") } else { (">", "ASC") };
        let range = ranges(query).into_iter().find(|(key, _)| *key == query.sort);
        let Range { from, until } = range.map(|(_, range)| range).unwrap_or_default();
        let part = |table: &str, finished: &str, filter: &str| {
            format!(
                "(SELECT {KEYS}, {finished} AS finished_at FROM {table} WHERE queue = $1{filter}
                  AND {column} >= $2 AND {column} <= $3 AND ({column}, id) {sign} ($4, $5)
                  ORDER BY {column} {order}, id {order} LIMIT $6::int8 + $7::int8)"
            )
        };
        let mut parts = Vec::new();
        if query.states.iter().any(|state| !state.is_final()) && query.sort != SortKey::Finished {
            let running = if query.sort == SortKey::Started { RUNNING } else { "" };
            parts.push(part("live", "NULL::int8", running));
        }
        if query.states.iter().any(State::is_final) {
            parts.push(part("done", "finished_at", ""));
        }
        if parts.is_empty() {
            // Nothing of what is wanted has the sort key's time.
            parts.push(part("done", "finished_at", " AND false"));
        }
        let sql = format!(
            "SELECT {KEYS}, finished_at FROM ({}) AS walk ORDER BY {column} {order}, id {order} LIMIT $6 OFFSET $7",
            parts.join(" UNION ALL ")
        );
        let from = from.map_or(i64::MIN, Timestamp::millis);
        let until = until.map_or(i64::MAX, |until| until.0.saturating_sub(1));
        Self { sql, from, until }
    }

    pub(super) async fn look(
        &self,
        client: &Object,
        queue: i32,
        query: &Query,
        cursor: &Cursor,
        skip: u64,
        number: usize,
    ) -> Result<Vec<Row>, Failure> {
        let (time, id) = after(query, cursor);
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let values: [Value<'_>; 7] = [&queue, &self.from, &self.until, &time, &id, &number, &skip];
        let statement = client.prepare_cached(&self.sql).await?;
        Ok(client.query(&statement, &values).await?)
    }

    /// Counts the actions behind the cursor, up to a number.
    pub(super) async fn count(
        &self,
        client: &Object,
        queue: i32,
        query: &Query,
        cursor: &Cursor,
        most: u64,
    ) -> Result<u64, Failure> {
        let (time, id) = after(query, cursor);
        let (most, none) = (i64::try_from(most).unwrap_or(i64::MAX), 0_i64);
        let values: [Value<'_>; 7] = [&queue, &self.from, &self.until, &time, &id, &most, &none];
        let sql = format!("SELECT count(*) FROM ({}) AS counted", self.sql);
        let statement = client.prepare_cached(&sql).await?;
        let row = client.query_one(&statement, &values).await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default())
    }
}

/// Returns the key behind which a walk begins.
fn after(query: &Query, cursor: &Cursor) -> (i64, i64) {
    match cursor.after {
        Some((time, id)) => (time.0, id_number(id)),
        None if query.descending => (i64::MAX, i64::MAX),
        None => (i64::MIN, i64::MIN),
    }
}

/// The condition of the index of what runs.
const RUNNING: &str = " AND state BETWEEN 1 AND 3";

/// The tables of actions.
const ALL: [&str; 2] = ["live", "done"];

/// Reads the actions that may match the filters, if those match few.
pub(super) async fn few(
    client: &Object,
    queue: i32,
    query: &Query,
) -> Result<Option<Vec<Seen>>, Failure> {
    let action_id = query.details.as_ref().and_then(|details| details.action_id.as_deref());
    let parts = match action_id {
        // What a client wrote is bound.
        Some(_) => {
            let filter = " AND sha256(action_id) = sha256($3::bytea) AND action_id = $3";
            ALL.map(|table| (table, filter.to_owned())).to_vec()
        }
        None => match parts_of_few(query) {
            Some(parts) => parts,
            None => return Ok(None),
        },
    };
    let selects: Vec<String> = parts
        .iter()
        .map(|(table, filter)| {
            let finished =
                if *table == "live" { "NULL::int8 AS finished_at" } else { "finished_at" };
            format!("(SELECT {KEYS}, {finished} FROM {table} WHERE queue = $1{filter} LIMIT $2)")
        })
        .collect();
    if selects.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let sql = selects.join(" UNION ALL ");
    // Times are in the text, so there is nothing to keep of it.
    let statement = client.prepare(&sql).await?;
    let limit = i64::try_from(FEW + 1).unwrap_or(i64::MAX);
    let wanted = action_id.map(str::as_bytes);
    let mut values: Vec<Value<'_>> = vec![&queue, &limit];
    if wanted.is_some() {
        values.push(&wanted);
    }
    let rows = client.query(&statement, &values).await?;
    if rows.len() > FEW {
        return Ok(None);
    }
    rows.iter().map(Seen::read).collect::<Result<_, _>>().map(Some)
}

/// Returns the tables in which all that matches is found by another index than the sort key's, with the conditions for that.
/// Only numbers are formatted into them, nothing that a client wrote.
fn parts_of_few(query: &Query) -> Option<Vec<(&'static str, String)>> {
    let mut parts = Vec::new();
    let has_time = |range: Range| !range.is_open();
    let (started, finished) = (has_time(query.started), has_time(query.finished));
    if query.states.iter().any(|state| !state.is_final()) && !finished {
        let waits = query.states.contains(State::Queued) && !started;
        parts.push(("live", if waits { String::new() } else { RUNNING.to_owned() }));
    }
    if query.states.iter().any(State::is_final) {
        let by = |key: SortKey, range: Range| (key != query.sort && has_time(range)).then_some(key);
        let other = by(SortKey::Finished, query.finished)
            .or_else(|| by(SortKey::Started, query.started))
            .or_else(|| by(SortKey::Queued, query.queued));
        let filter = match other {
            _ if !query.states.contains(State::Finished) => " AND state <> 4".to_owned(),
            Some(key) => {
                let (_, range) = ranges(query).into_iter().find(|(of, _)| *of == key)?;
                let from = range.from.map_or(i64::MIN, Timestamp::millis);
                let until = range.until.map_or(i64::MAX, Timestamp::millis);
                let column = column(key);
                format!(" AND {column} >= '{from}'::int8 AND {column} < '{until}'::int8")
            }
            None => return None,
        };
        parts.push(("done", filter));
    }
    Some(parts)
}

const fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::Queued => "queued_at",
        SortKey::Started => "started_at",
        SortKey::Finished => "finished_at",
    }
}

/// Returns the ranges of times of a query.
pub(super) const fn ranges(query: &Query) -> [(SortKey, Range); 3] {
    [
        (SortKey::Queued, query.queued),
        (SortKey::Started, query.started),
        (SortKey::Finished, query.finished),
    ]
}
