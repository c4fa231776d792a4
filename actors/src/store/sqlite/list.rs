//! How a page of a listing is found.
//!
//! There are two ways. Where some filter matches few actions, those are taken by that filter's index
//! and sorted; else the sort key's index is walked and what does not match is passed over. Both stop as
//! soon as the page is full, so the ten newest cost the same among a thousand and a million. Both stop
//! as well when they have looked at so many rows that other lists have waited long enough: then the
//! page is short, and the next one goes on from there.
//!
//! Where an index is damaged there is a third way: [`super::salvage`].

use std::fmt::Write as _;

use super::errors::{is_damage, store_error};
use super::read::Reader;
use super::rows::{id, state};
use super::schema::{in_by_priority, in_by_state};
use crate::action::{ActionId, State, Timestamp};
use crate::store::query::{Cursor, Page, PageLimit, Query, Range, SortKey, States};
use crate::store::{QueueId, StoreError};

/// How many rows a page looks at: some milliseconds where the database is in memory.
pub(super) const LOOKS: u64 = 10_000;

/// Up to how many actions a filter may match to be taken by its own index.
const FEW: u64 = 1_000;

/// How many rows are skipped at the cost of one that is looked at, where the index alone tells which are listed.
const SKIPS: u64 = 16;

/// A page under way.
pub(super) struct Search {
    pub(super) cursor: Cursor,
    found: Vec<Found>,
    limit: usize,
    /// How many rows may still be looked at.
    pub(super) looks: u64,
    /// What could not be read.
    pub(super) damage: Option<StoreError>,
}

/// An action that is listed, and where the listing goes on behind it.
type Found = (ActionId, Cursor);

impl Search {
    /// Takes the action that the cursor has come to into the page, or passes it over where the listing begins later.
    pub(super) fn take(&mut self, id: ActionId) {
        if self.cursor.skip > 0 {
            self.cursor.skip -= 1;
        } else {
            self.found.push((id, self.cursor));
        }
    }

    /// Whether the page is full, or has looked at enough.
    pub(super) const fn is_over(&self) -> bool {
        self.found.len() >= self.limit || self.looks == 0
    }
}

/// Where a search stopped.
pub(super) enum Stop {
    /// The page is full, or has looked at enough.
    Early,
    AtTheEnd,
}

#[cfg(feature = "testing")]
impl super::SqliteStore {
    /// Lets each page look at so many rows, at least one: what happens behind them is under test.
    pub fn look_at(&self, rows: u64) {
        let job = move |reader: &Reader| reader.looks.set(rows.max(1));
        // A store that is closed has no pages.
        let _ =
            self.pages.send(super::threads::ReadJob::Run(super::turns::Turn::Short, Box::new(job)));
    }
}

impl Reader {
    pub(super) fn page(
        &self,
        queue: QueueId,
        query: &Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> Result<Page, StoreError> {
        let most = limit.bytes;
        let read = || {
            let (found, looks) = (Vec::new(), self.looks.get());
            let (limit, damage) = (limit.actions, None);
            let mut search = Search { cursor, found, limit, looks, damage };
            let next = self.find(queue, query, &mut search)?;
            self.records(queue, cursor, search, most, next)
        };
        read().map_err(|e| store_error(&e, &self.path))
    }

    /// Finds the actions of a page; returns where the next one begins. What an index can't tell any more, the
    /// actions themselves do.
    fn find(
        &self,
        queue: QueueId,
        query: &Query,
        search: &mut Search,
    ) -> rusqlite::Result<Option<Cursor>> {
        if search.cursor.one_by_one.is_none() {
            match self.search(queue, query, search) {
                Err(error) if is_damage(&error) => self.begin_one_by_one(query, search, &error),
                other => return other,
            }
        }
        self.search_one_by_one(queue, query, search)
    }

    /// Finds the actions of a page by an index; returns where the next one begins.
    fn search(
        &self,
        queue: QueueId,
        query: &Query,
        search: &mut Search,
    ) -> rusqlite::Result<Option<Cursor>> {
        loop {
            let (sort, states) = if search.cursor.lacking {
                (SortKey::Queued, query.states.and(query.sort.lacking()))
            } else {
                (query.sort, query.states)
            };
            let segment = Query { sort, states, ..query.clone() };
            let stop = self.search_segment(queue, &segment, search)?;
            let cursor = &mut search.cursor;
            match stop {
                Stop::Early => return Ok(Some(*cursor)),
                Stop::AtTheEnd if cursor.lacking || query.sort.lacking() == States::NONE => {
                    return Ok(None);
                }
                Stop::AtTheEnd => {
                    *cursor = Cursor { lacking: true, after: None, ..*cursor };
                }
            }
        }
    }

    /// Reads the actions of a page that begins at `start`; `next` is where the next one begins if all of them fit.
    fn records(
        &self,
        queue: QueueId,
        start: Cursor,
        search: Search,
        most: usize,
        next: Option<Cursor>,
    ) -> rusqlite::Result<Page> {
        let damage = search.damage;
        let mut page = Page { records: Vec::new(), next, bytes: 0, damage, too_large: None };
        let mut read_up_to = start;
        let begun = !search.found.is_empty();
        for (id, behind) in search.found {
            match self.record_or_its_rest(queue, id, most.saturating_sub(page.bytes)) {
                Ok(Some(Ok((record, bytes)))) => {
                    page.records.push(record);
                    page.bytes += bytes;
                }
                Ok(Some(Err(bytes))) => {
                    return Ok(Page { next: Some(read_up_to), too_large: Some(bytes), ..page });
                }
                Ok(None) => {}
                Err(error) if is_damage(&error) => {
                    page.damage.get_or_insert_with(|| store_error(&error, &self.path));
                }
                Err(error) => return Err(error),
            }
            read_up_to = Cursor { begun, ..behind };
        }
        page.next = page.next.map(|next| Cursor { begun: next.begun || begun, ..next });
        Ok(page)
    }

    /// Goes on with a search among the actions that have the time that is sorted by.
    fn search_segment(
        &self,
        queue: QueueId,
        query: &Query,
        search: &mut Search,
    ) -> rusqlite::Result<Stop> {
        if search.is_over() {
            return Ok(Stop::Early);
        }
        if query.states.iter().next().is_none() {
            return Ok(Stop::AtTheEnd);
        }
        let column = column(query.sort);
        let way = self.way(queue, query)?;
        let mut rows = way.from(queue);
        let _ = write!(rows, " AND {column} IS NOT NULL");
        for (key, range) in ranges(query) {
            if key == query.sort {
                write_range(&mut rows, column, range);
            }
        }
        if let Some((time, id)) = search.cursor.after {
            let sign = if query.descending { '<' } else { '>' };
            let _ = write!(rows, " AND ({column}, id) {sign} ({}, {id})", time.0);
        }
        // Where the index alone tells, its rows need not be looked at, nor those that are skipped.
        let all = way.index == walking_index(query.sort) && implied(query);
        let most = search.looks.saturating_sub(1).saturating_mul(SKIPS);
        let skip = if all { search.cursor.skip.min(most) } else { 0 };
        let looks = search.looks - skip.div_ceil(SKIPS);
        let more = if all { "" } else { ", state, priority, queued_at, started_at, finished_at" };
        let order = if query.descending { "DESC" } else { "ASC" };
        // Numbers only: nothing that a client wrote is part of the text.
        let mut statement = self.connection.prepare(&format!(
            "SELECT {column}, id{more} {rows} ORDER BY {column} {order}, id {order}
             LIMIT {looks} OFFSET {skip}"
        ))?;
        let mut skipped = false;
        let mut listed = statement.query([])?;
        while let Some(row) = listed.next()? {
            if !skipped {
                skipped = true;
                search.cursor.skip -= skip;
                search.looks = looks;
            }
            search.looks = search.looks.saturating_sub(1);
            let key = (Timestamp(row.get(0)?), id(row, 1)?);
            search.cursor.after = Some(key);
            if all || is_listed(query, row)? {
                search.take(key.1);
            }
            if search.found.len() >= search.limit {
                return Ok(Stop::Early);
            }
        }
        if !skipped && skip > 0 {
            // Nothing left behind the skipped ones: how many were there counts for what comes next.
            let sql = format!("SELECT count(*) FROM (SELECT 1 {rows} LIMIT {skip})");
            let there: u64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
            search.cursor.skip -= there;
            search.looks -= there.div_ceil(SKIPS);
        }
        Ok(if search.looks == 0 { Stop::Early } else { Stop::AtTheEnd })
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
        Ok(Way { index: walking_index(query.sort), filter: String::new() })
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

/// Tells whether all that have the time that is sorted by, and in its range, are listed.
fn implied(query: &Query) -> bool {
    let without = query.sort.lacking();
    State::ALL.into_iter().all(|state| query.states.contains(state) || without.contains(state))
        && query.min_priority.is_none()
        && query.max_priority.is_none()
        && ranges(query).into_iter().all(|(key, range)| key == query.sort || range.is_open())
}

/// Tells whether a row with all that can be filtered by is listed.
pub(super) fn is_listed(query: &Query, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    let Ok(state) = state(row, 2) else {
        // Whoever asks for all states will be told of one that can't be read.
        return Ok(query.states == States::ALL);
    };
    let (started_at, finished_at): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(6)?);
    let started_and_finished = (started_at.map(Timestamp), finished_at.map(Timestamp));
    Ok(query.admits(state, row.get(3)?, Timestamp(row.get(4)?), started_and_finished))
}

/// The times that a query can filter by.
const fn ranges(query: &Query) -> [(SortKey, Range); 3] {
    [
        (SortKey::Queued, query.queued),
        (SortKey::Started, query.started),
        (SortKey::Finished, query.finished),
    ]
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
