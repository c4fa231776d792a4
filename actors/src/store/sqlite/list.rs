//! Pages of listings.
//!
//! There are two access paths. If a filter matches few actions, they are read by that filter's index
//! and sorted. Otherwise the sort key's index is scanned, and rows that do not match are skipped. Both stop as
//! soon as the page is full, so the ten newest cost the same among a thousand and a million. Both also
//! stop when their row budget is used up, so that other listings do not wait too long: then the
//! page is short, and the next one continues from there.
//!
//! If an index is damaged, [`super::salvage`] goes on without it.

use std::fmt::Write as _;

use super::details::BYTE_BUDGET;
use super::errors::{is_damage, store_error};
use super::read::Reader;
use super::rows::{id, state};
use super::schema::{DEFERRED, in_by_priority, in_by_state};
use crate::action::{ActionId, State, Timestamp};
use crate::store::query::{Cursor, IdPage, Page, PageLimit, Query, Range, SortKey, States};
use crate::store::{QueueId, StoreError};

/// Number of rows that a page may examine: some milliseconds if the database is in memory.
pub(super) const ROW_BUDGET: u64 = 10_000;

/// Maximum number of actions that a filter may match for its own index to be used.
const FEW: u64 = 1_000;

/// Number of index entries that are skipped at the cost of one row, if the index alone tells what is listed.
const SKIPS_PER_ROW: u64 = 16;

/// The search for one page.
pub(super) struct Search {
    pub(super) cursor: Cursor,
    found: Vec<Found>,
    limit: usize,
    /// Number of rows that may still be examined.
    pub(super) row_budget: u64,
    /// Number of bytes of parameters and errors that may still be looked at.
    pub(super) byte_budget: usize,
    /// The first read error.
    pub(super) damage: Option<StoreError>,
}

/// An action that is listed, and the cursor after it.
type Found = (ActionId, Cursor);

impl Search {
    /// Adds the action at the cursor to the page, or skips it if the listing begins later.
    pub(super) fn take(&mut self, id: ActionId) {
        if self.cursor.skip > 0 {
            self.cursor.skip -= 1;
        } else {
            self.found.push((id, self.cursor));
        }
    }

    /// Returns true if the page is full or its row budget is used up.
    pub(super) const fn is_over(&self) -> bool {
        self.found.len() >= self.limit || self.row_budget == 0 || self.byte_budget == 0
    }
}

/// The point at which a search stopped.
pub(super) enum Stop {
    /// The page is full, or its row budget is used up.
    Early,
    AtTheEnd,
}

#[cfg(feature = "testing")]
impl super::SqliteStore {
    /// Sets the number of rows that each page may examine (at least one), for tests.
    pub fn limit_rows_per_page(&self, rows: u64) {
        let job = move |reader: &Reader| reader.row_budget.set(rows.max(1));
        // Fails only if the store is closed.
        let _ = self
            .pages
            .send(super::threads::ReadJob::Run(super::read_queue::ReadClass::Short, Box::new(job)));
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
        let read = || {
            let mut search = self.begin_search(cursor, limit.actions);
            let next = self.find(queue, query, &mut search)?;
            self.records(queue, cursor, search, limit.bytes, next)
        };
        read().map_err(|e| store_error(&e, &self.path))
    }

    pub(super) fn page_of_ids(
        &self,
        queue: QueueId,
        query: &Query,
        cursor: Cursor,
        limit: usize,
    ) -> Result<IdPage, StoreError> {
        let mut search = self.begin_search(cursor, limit);
        let next = self.find(queue, query, &mut search).map_err(|e| store_error(&e, &self.path))?;
        let begun = cursor.begun || !search.found.is_empty();
        let ids = search.found.into_iter().map(|(id, _)| id).collect();
        Ok(IdPage { ids, next: next.map(|next| Cursor { begun, ..next }) })
    }

    fn begin_search(&self, cursor: Cursor, limit: usize) -> Search {
        let (row_budget, found) = (self.row_budget.get(), Vec::new());
        Search { cursor, found, limit, row_budget, byte_budget: BYTE_BUDGET, damage: None }
    }

    /// Finds the actions of a page; returns the cursor of the next one. If an index is damaged, the table is read
    /// without it.
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

    /// Finds the actions of a page by an index; returns the cursor of the next one.
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

    /// Reads the actions of a page that begins at `start`; `next` is the cursor of the next one if all of them fit.
    fn records(
        &self,
        queue: QueueId,
        start: Cursor,
        search: Search,
        max_bytes: usize,
        next: Option<Cursor>,
    ) -> rusqlite::Result<Page> {
        let damage = search.damage;
        let mut page = Page { records: Vec::new(), next, bytes: 0, damage, too_large: None };
        let mut read_up_to = start;
        let begun = !search.found.is_empty();
        for (id, behind) in search.found {
            match self.record_or_its_rest(queue, id, max_bytes.saturating_sub(page.bytes)) {
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

    /// Continues a search among the actions that have the sort key's time.
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
        let path = self.access_path(queue, query)?;
        let mut rows = path.from(queue);
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
        // If the index alone tells what is listed, rows need not be read, and entries can be skipped.
        let all = path.index == sort_index(query.sort) && lists_whole_range(query);
        let max_skip = search.row_budget.saturating_sub(1).saturating_mul(SKIPS_PER_ROW);
        let skip = if all { search.cursor.skip.min(max_skip) } else { 0 };
        let row_budget = search.row_budget - skip.div_ceil(SKIPS_PER_ROW);
        let more = if all { "" } else { ", state, priority, queued_at, started_at, finished_at" };
        let order = if query.descending { "DESC" } else { "ASC" };
        // Only numbers are formatted into the text; what a client wrote is bound.
        let mut statement = self.connection.prepare(&format!(
            "SELECT {column}, id{more} {rows} ORDER BY {column} {order}, id {order}
             LIMIT {row_budget} OFFSET {skip}"
        ))?;
        let mut skipped = false;
        let mut listed = statement.query(path.bound())?;
        while let Some(row) = listed.next()? {
            if !skipped {
                skipped = true;
                search.cursor.skip -= skip;
                search.row_budget = row_budget;
            }
            search.row_budget = search.row_budget.saturating_sub(1);
            let key = (Timestamp(row.get(0)?), id(row, 1)?);
            search.cursor.after = Some(key);
            if all || (is_listed(query, row)? && self.has_details(queue, query, key.1, search)?) {
                search.take(key.1);
            }
            if search.found.len() >= search.limit || search.byte_budget == 0 {
                return Ok(Stop::Early);
            }
        }
        if !skipped && skip > 0 {
            // Nothing is left after the skipped ones: their number must be known to continue.
            let sql = format!("SELECT count(*) FROM (SELECT 1 {rows} LIMIT {skip})");
            let there: u64 = self.connection.query_row(&sql, path.bound(), |row| row.get(0))?;
            search.cursor.skip -= there;
            search.row_budget -= there.div_ceil(SKIPS_PER_ROW);
        }
        Ok(if search.row_budget == 0 { Stop::Early } else { Stop::AtTheEnd })
    }

    /// Chooses the access path: the index of a filter that matches few, else the sort key's.
    fn access_path(&self, queue: QueueId, query: &Query) -> rusqlite::Result<AccessPath> {
        for path in AccessPath::of_filters(query) {
            let sql =
                format!("SELECT count(*) FROM (SELECT 1 {} LIMIT {})", path.from(queue), FEW + 1);
            let matches: u64 = self.connection.query_row(&sql, path.bound(), |row| row.get(0))?;
            if matches <= FEW {
                return Ok(path);
            }
        }
        Ok(AccessPath::by(sort_index(query.sort), String::new()))
    }
}

/// An index, and the filter by which it is scanned, which implies the index's own condition.
struct AccessPath {
    index: &'static str,
    filter: String,
    /// The value that the filter has in place of a `?1`.
    value: Option<String>,
}

impl AccessPath {
    const fn by(index: &'static str, filter: String) -> Self {
        Self { index, filter, value: None }
    }

    /// Returns the possible access paths, except for that by the sort key's index.
    fn of_filters(query: &Query) -> Vec<Self> {
        let mut paths = Vec::new();
        if let Some(wanted) = query.details.as_ref().and_then(|details| details.action_id.clone()) {
            let filter = " AND action_id = ?1".to_owned();
            paths.push(Self { value: Some(wanted), ..Self::by("by_action_id", filter) });
        }
        if !query.states.contains(State::Finished) {
            let mut filter = concat!(" AND ", in_by_state!()).to_owned();
            write_states(&mut filter, query.states);
            write_priorities(&mut filter, query);
            paths.push(Self::by("by_state", filter));
        }
        if query.min_priority.is_some_and(|min| min > 0)
            || query.max_priority.is_some_and(|max| max < 0)
        {
            let mut filter = concat!(" AND ", in_by_priority!()).to_owned();
            write_priorities(&mut filter, query);
            paths.push(Self::by("by_priority", filter));
        }
        let only_ended = query.states.iter().all(State::is_final);
        for (key, range) in ranges(query) {
            if key != query.sort && (!range.is_open() || (key == SortKey::Finished && only_ended)) {
                let mut filter = format!(" AND {} IS NOT NULL", column(key));
                write_range(&mut filter, column(key), range);
                paths.push(Self::by(sort_index(key), filter));
            }
        }
        paths
    }

    fn from(&self, queue: QueueId) -> String {
        let Self { index, filter, .. } = self;
        format!("FROM action INDEXED BY {index} WHERE queue = {}{filter}", queue.0)
    }

    fn bound(&self) -> impl rusqlite::Params {
        rusqlite::params_from_iter(self.value.iter())
    }
}

const fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::Queued => "queued_at",
        SortKey::Started => "started_at",
        SortKey::Finished => "finished_at",
    }
}

const fn sort_index(key: SortKey) -> &'static str {
    match key {
        SortKey::Queued => "by_queued",
        SortKey::Started => "by_started",
        SortKey::Finished => "by_finished",
    }
}

/// Returns true if all actions within the range of the sort key's time are listed.
fn lists_whole_range(query: &Query) -> bool {
    let without = query.sort.lacking();
    State::ALL.into_iter().all(|state| query.states.contains(state) || without.contains(state))
        && query.min_priority.is_none()
        && query.max_priority.is_none()
        && query.details.is_none()
        && ranges(query).into_iter().all(|(key, range)| key == query.sort || range.is_open())
}

/// Returns true if a row is listed that has all columns for filters.
pub(super) fn is_listed(query: &Query, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    let Ok(state) = state(row, 2) else {
        // A listing of all states includes the row, so that reading it reports the damage.
        return Ok(query.states == States::ALL);
    };
    let (started_at, finished_at): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(6)?);
    let started_and_finished = (started_at.map(Timestamp), finished_at.map(Timestamp));
    Ok(query.admits(state, row.get(3)?, Timestamp(row.get(4)?), started_and_finished))
}

/// Returns the ranges of times of a query.
const fn ranges(query: &Query) -> [(SortKey, Range); 3] {
    [
        (SortKey::Queued, query.queued),
        (SortKey::Started, query.started),
        (SortKey::Finished, query.finished),
    ]
}

fn write_states(sql: &mut String, states: States) {
    let deferred = states.contains(State::Queued).then_some(DEFERRED);
    let numbers = states.iter().map(|state| state as u8).chain(deferred);
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
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
