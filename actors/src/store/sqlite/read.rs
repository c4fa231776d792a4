//! What the reading threads do: single actions, and pages of listings.
//!
//! A page is found in one of two ways. Where some filter matches few actions, those are taken by
//! that filter's index and sorted; else the sort key's index is walked and what does not match is
//! passed over. Both stop as soon as the page is full, so the ten newest cost the same among a
//! thousand and a million.

use std::fmt::Write as _;
use std::path::PathBuf;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::schema::{in_by_priority, in_by_state};
use super::store_error;
use super::write::counts_from_text;
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::store::query::{Cursor, Page, Query, Range, SortKey, States};
use crate::store::{QueueId, QueueState, Record, StoreError};

/// How many bytes of results and errors a page holds at most, its last action left out: an action may
/// have megabytes of them, and a page is held until its client has taken it.
const PAGE_BYTES: usize = 256 * 1024;

/// Up to how many actions a filter may match to be taken by its own index.
const FEW: u64 = 1_000;

const RECORD: &str = "SELECT id, state, priority, attempt, queued_at, started_at, finished_at,
     processing_ms, percent, error, report FROM action WHERE id = ?1 AND queue = ?2";

#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    pub(super) fn new(connection: Connection, path: PathBuf) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "cache_size", -8_000)?;
        Ok(Self { connection, path })
    }

    /// Runs several reads on one snapshot: the state at the first of them.
    pub(super) fn in_snapshot(&self, reads: impl FnOnce()) {
        let began = self.begin();
        reads();
        if began {
            self.end();
        }
    }

    /// Keeps the state at the next read for all that follow; whether that could be done.
    pub(super) fn begin(&self) -> bool {
        self.run("BEGIN").is_ok()
    }

    /// Lets go of that state.
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
        let counts = counts_from_text(&text).ok_or_else(|| StoreError::Corrupt {
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
            let Some((mut record, _)) = self.record_of(queue, id)? else { return Ok(None) };
            if record.state == State::Queued {
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

    pub(super) fn page(
        &self,
        queue: QueueId,
        query: &Query,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read_page(queue, query, cursor, limit).map_err(|e| store_error(&e, &self.path))
    }

    /// Reads one action, and how many bytes its result and its error have.
    fn record_of(&self, queue: QueueId, id: ActionId) -> rusqlite::Result<Option<(Record, usize)>> {
        self.connection
            .prepare_cached(RECORD)?
            .query_row(params![id.get(), queue.0], |row| Ok((record(row)?, size(row)?)))
            .optional()
    }

    /// Counts those that start before this one, as far as [`Record::MAX_POSITION`].
    fn position(&self, queue: QueueId, of: &Record) -> rusqlite::Result<Option<u64>> {
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

    fn read_page(
        &self,
        queue: QueueId,
        query: &Query,
        mut cursor: Cursor,
        limit: usize,
    ) -> rusqlite::Result<Page> {
        // Each with whether it lacks the time that is sorted by.
        let mut keys = Vec::new();
        loop {
            let left = limit.saturating_sub(keys.len());
            let (sort, states) = if cursor.lacking {
                (SortKey::Queued, query.states.and(query.sort.lacking()))
            } else {
                (query.sort, query.states)
            };
            let segment = Query { sort, states, ..query.clone() };
            let found = self.keys(queue, &segment, &cursor, left)?;
            let full = found.len() >= left;
            if let Some(last) = found.last() {
                cursor.after = Some(*last);
                cursor.skip = 0;
            } else if cursor.skip > 0 && !full {
                // Nothing left behind the skipped ones: how many were there counts for the next segment.
                cursor.skip = cursor.skip.saturating_sub(self.count(queue, &segment)?);
            }
            keys.extend(found.into_iter().map(|key| (key, cursor.lacking)));
            if full {
                break;
            }
            if cursor.lacking || query.sort.lacking() == States::NONE {
                return self.records(queue, &keys, None);
            }
            cursor = Cursor { lacking: true, after: None, skip: cursor.skip };
        }
        self.records(queue, &keys, Some(cursor))
    }

    /// Reads the actions of a page; `next` is where the next one begins if all of them fit.
    fn records(
        &self,
        queue: QueueId,
        keys: &[((Timestamp, ActionId), bool)],
        next: Option<Cursor>,
    ) -> rusqlite::Result<Page> {
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        for (place, (key, lacking)) in keys.iter().enumerate() {
            let Some((record, size)) = self.record_of(queue, key.1)? else { continue };
            records.push(record);
            bytes = bytes.saturating_add(size);
            if bytes >= PAGE_BYTES && place + 1 < keys.len() {
                let next = Cursor { lacking: *lacking, after: Some(*key), skip: 0 };
                return Ok(Page { records, next: Some(next) });
            }
        }
        Ok(Page { records, next })
    }

    /// The next keys of a listing, in order: the time that is sorted by, and the id.
    fn keys(
        &self,
        queue: QueueId,
        query: &Query,
        cursor: &Cursor,
        limit: usize,
    ) -> rusqlite::Result<Vec<(Timestamp, ActionId)>> {
        if query.states.iter().next().is_none() {
            return Ok(Vec::new());
        }
        let column = column(query.sort);
        let way = self.way(queue, query)?;
        let mut sql = format!("SELECT {column}, id {}", way.from(queue));
        write_filters(&mut sql, query, way.index == walking_index(query.sort));
        if let Some((time, id)) = cursor.after {
            let sign = if query.descending { '<' } else { '>' };
            let _ = write!(sql, " AND ({column}, id) {sign} ({}, {id})", time.0);
        }
        let order = if query.descending { "DESC" } else { "ASC" };
        let _ = write!(
            sql,
            " ORDER BY {column} {order}, id {order} LIMIT {limit} OFFSET {}",
            cursor.skip.min(i64::MAX as u64)
        );
        // Numbers only: nothing that a client wrote is part of the text.
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((Timestamp(row.get(0)?), id(row, 1)?)))?;
        rows.collect()
    }

    fn count(&self, queue: QueueId, query: &Query) -> rusqlite::Result<u64> {
        if query.states.iter().next().is_none() {
            return Ok(0);
        }
        let way = self.way(queue, query)?;
        let mut sql = format!("SELECT count(*) {}", way.from(queue));
        write_filters(&mut sql, query, way.index == walking_index(query.sort));
        self.connection.query_row(&sql, [], |row| row.get(0))
    }

    /// Chooses where to start from: the index of a filter that matches few, else the sort key's.
    fn way(&self, queue: QueueId, query: &Query) -> rusqlite::Result<Way> {
        for way in Way::of_filters(query) {
            let sql =
                format!("SELECT count(*) FROM (SELECT 1 {} LIMIT {})", way.from(queue), FEW + 1);
            let matches: u64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
            if matches <= FEW {
                return Ok(way);
            }
        }
        let filter = format!(" AND {} IS NOT NULL", column(query.sort));
        Ok(Way { index: walking_index(query.sort), filter })
    }
}

/// An index, and the filter that it serves: one that its own condition follows from.
struct Way {
    index: &'static str,
    filter: String,
}

impl Way {
    /// The ways to the listed actions but that over the sort key's index.
    fn of_filters(query: &Query) -> Vec<Self> {
        let mut ways = Vec::new();
        if !query.states.contains(State::Finished) {
            let mut filter = concat!(" AND ", in_by_state!()).to_owned();
            write_states(&mut filter, query.states);
            write_priorities(&mut filter, query);
            ways.push(Self { index: "by_state", filter });
        }
        if query.min_priority.is_some_and(|min| min > 0)
            || query.max_priority.is_some_and(|max| max < 0)
        {
            let mut filter = concat!(" AND ", in_by_priority!()).to_owned();
            write_priorities(&mut filter, query);
            ways.push(Self { index: "by_priority", filter });
        }
        let only_ended = query.states.iter().all(State::is_final);
        for (key, range) in ranges(query) {
            if key != query.sort && (!range.is_open() || (key == SortKey::Finished && only_ended)) {
                let mut filter = format!(" AND {} IS NOT NULL", column(key));
                write_range(&mut filter, column(key), range);
                ways.push(Self { index: walking_index(key), filter });
            }
        }
        ways
    }

    fn from(&self, queue: QueueId) -> String {
        let Self { index, filter } = self;
        format!("FROM action INDEXED BY {index} WHERE queue = {}{filter}", queue.0)
    }
}

const fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::Queued => "queued_at",
        SortKey::Started => "started_at",
        SortKey::Finished => "finished_at",
    }
}

const fn walking_index(key: SortKey) -> &'static str {
    match key {
        SortKey::Queued => "by_queued",
        SortKey::Started => "by_started",
        SortKey::Finished => "by_finished",
    }
}

/// Tells whether the states are just those in which an action has a finish time.
fn ended(states: States) -> bool {
    State::ALL.into_iter().all(|state| states.contains(state) == state.is_final())
}

/// The times that a query can filter by.
const fn ranges(query: &Query) -> [(SortKey, Range); 3] {
    [
        (SortKey::Queued, query.queued),
        (SortKey::Started, query.started),
        (SortKey::Finished, query.finished),
    ]
}

/// Writes every filter of the query. When the sort key's index is walked, a filter that the index
/// implies is left out, so that the rows need not be looked at.
fn write_filters(sql: &mut String, query: &Query, walking: bool) {
    let _ = write!(sql, " AND {} IS NOT NULL", column(query.sort));
    for (key, range) in ranges(query) {
        if !range.is_open() {
            let _ = write!(sql, " AND {} IS NOT NULL", column(key));
            write_range(sql, column(key), range);
        }
    }
    let implied = walking && query.sort == SortKey::Finished && ended(query.states);
    if query.states != States::ALL && !implied {
        write_states(sql, query.states);
    }
    write_priorities(sql, query);
}

fn write_states(sql: &mut String, states: States) {
    let numbers: Vec<String> = states.iter().map(|s| (s as u8).to_string()).collect();
    let _ = write!(sql, " AND state IN ({})", numbers.join(","));
}

fn write_priorities(sql: &mut String, query: &Query) {
    if let Some(min) = query.min_priority {
        let _ = write!(sql, " AND priority >= {min}");
    }
    if let Some(max) = query.max_priority {
        let _ = write!(sql, " AND priority <= {max}");
    }
}

fn write_range(sql: &mut String, column: &str, range: Range) {
    if let Some(from) = range.from {
        let _ = write!(sql, " AND {column} >= {}", from.0);
    }
    if let Some(until) = range.until {
        let _ = write!(sql, " AND {column} < {}", until.0);
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let report = match row.get_ref(10)?.as_str_or_null().map_err(|e| unreadable(10, e))? {
        Some(text) => serde_json::from_str(text).map_err(|e| unreadable(10, e))?,
        None => Vec::new(),
    };
    Ok(Record {
        id: id(row, 0)?,
        state: state(row, 1)?,
        priority: row.get(2)?,
        attempt: row.get(3)?,
        queued_at: Timestamp(row.get(4)?),
        started_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        finished_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        processing_ms: row.get(7)?,
        percent: row.get(8)?,
        error: row.get(9)?,
        report,
        position: None,
    })
}

/// How many bytes of a row can be many.
fn size(row: &rusqlite::Row<'_>) -> rusqlite::Result<usize> {
    let mut size = 0_usize;
    for column in [9, 10] {
        size += row.get_ref(column)?.as_bytes_or_null()?.map_or(0, <[u8]>::len);
    }
    Ok(size)
}

pub(super) fn id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<ActionId> {
    let number: i64 = row.get(column)?;
    u64::try_from(number)
        .ok()
        .and_then(ActionId::new)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn state(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<State> {
    let number: i64 = row.get(column)?;
    usize::try_from(number)
        .ok()
        .and_then(|index| State::ALL.get(index).copied())
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
