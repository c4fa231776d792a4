//! Listings of a damaged database: without an index, by id, one row at a time, skipping those that can't be read. Each id
//! is tried once, so that such a page costs no more than others.
//!
//! The order is that of the ids, in which the actions were submitted.

use std::cmp::Ordering;

use rusqlite::{OptionalExtension as _, Row, params};

use super::errors::{is_damage, store_error};
use super::list::{Search, Stop, is_listed};
use super::read::Reader;
use super::rows::id;
use crate::action::{ActionId, Timestamp};
use crate::store::QueueId;
use crate::store::query::{Cursor, Query, SortKey};

/// The columns that a listing needs, in the order of [`is_listed`].
macro_rules! row {
    ($rest:literal) => {
        concat!(
            "SELECT id, id, state, priority, queued_at, started_at, finished_at
             FROM action NOT INDEXED WHERE queue = ?1 AND id ",
            $rest
        )
    };
}
const BEHIND: &str = row!("> ?2 ORDER BY id LIMIT ?3");
const BEFORE: &str = row!("< ?2 ORDER BY id DESC LIMIT ?3");
const THIS: &str = row!("= ?2");

impl Reader {
    /// Switches a search from its index to the ids because of this error.
    pub(super) fn begin_one_by_one(
        &self,
        query: &Query,
        search: &mut Search,
        error: &rusqlite::Error,
    ) {
        self.note(search, error);
        let first = if query.descending { self.last_id().saturating_add(1) } else { 0 };
        search.cursor.one_by_one = Some(first);
    }

    /// Continues a search by id; returns the cursor of the next page.
    pub(super) fn search_one_by_one(
        &self,
        queue: QueueId,
        query: &Query,
        search: &mut Search,
    ) -> rusqlite::Result<Option<Cursor>> {
        loop {
            if search.is_over() {
                return Ok(Some(search.cursor));
            }
            match self.walk(queue, query, search) {
                Ok(Stop::Early) => return Ok(Some(search.cursor)),
                Ok(Stop::AtTheEnd) => return Ok(None),
                Err(error) if is_damage(&error) => {
                    self.note(search, &error);
                    if !self.step(queue, query, search)? {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Scans rows in the order of their ids up to the first that can't be read.
    fn walk(&self, queue: QueueId, query: &Query, search: &mut Search) -> rusqlite::Result<Stop> {
        let sql = if query.descending { BEFORE } else { BEHIND };
        let mut statement = self.connection.prepare_cached(sql)?;
        let from = search.cursor.one_by_one.unwrap_or_default();
        let mut rows = statement.query(params![queue.0, from, search.row_budget])?;
        while let Some(row) = rows.next()? {
            search.cursor.one_by_one = Some(row.get(0)?);
            self.look_at(queue, query, search, row);
            if search.is_over() {
                return Ok(Stop::Early);
            }
        }
        Ok(Stop::AtTheEnd)
    }

    /// Moves to the next id and tries to read it; returns false if there is none.
    fn step(&self, queue: QueueId, query: &Query, search: &mut Search) -> rusqlite::Result<bool> {
        let at = search.cursor.one_by_one.unwrap_or_default();
        let next = if query.descending { at.saturating_sub(1) } else { at.saturating_add(1) };
        if next == 0 || (!query.descending && next > self.last_id()) {
            return Ok(false);
        }
        search.cursor.one_by_one = Some(next);
        let mut statement = self.connection.prepare_cached(THIS)?;
        let mut found = false;
        let looked = statement
            .query_row(params![queue.0, next], |row| {
                found = true;
                self.look_at(queue, query, search, row);
                Ok(())
            })
            .optional();
        if !found {
            search.row_budget = search.row_budget.saturating_sub(1);
        }
        match looked {
            Err(error) if !is_damage(&error) => Err(error),
            // The damage was noted when the scan failed.
            _ => Ok(true),
        }
    }

    fn look_at(&self, queue: QueueId, query: &Query, search: &mut Search, row: &Row<'_>) {
        search.row_budget = search.row_budget.saturating_sub(1);
        let listed = |search: &mut Search| -> rusqlite::Result<Option<ActionId>> {
            if !is_listed(query, row)? || !is_still_to_come(query, &search.cursor, row)? {
                return Ok(None);
            }
            let id = id(row, 1)?;
            Ok(self.has_details(queue, query, id, search)?.then_some(id))
        };
        match listed(search) {
            Ok(Some(id)) => search.take(id),
            Ok(None) => {}
            Err(error) => self.note(search, &error),
        }
    }

    fn note(&self, search: &mut Search, error: &rusqlite::Error) {
        search.damage.get_or_insert_with(|| store_error(error, &self.path));
    }

    /// Returns the highest id, by any table that can still be read.
    fn last_id(&self) -> u64 {
        let told = [
            "SELECT max(id) FROM action",
            "SELECT max(id) FROM parameters",
            "SELECT last_id FROM meta",
        ]
        .map(|sql| self.connection.query_row(sql, [], |row| row.get(0)).unwrap_or_default());
        told.into_iter().max().unwrap_or_default()
    }
}

/// Returns true if an action comes after the last one that was found by the index.
fn is_still_to_come(query: &Query, cursor: &Cursor, row: &Row<'_>) -> rusqlite::Result<bool> {
    let column = match query.sort {
        SortKey::Queued => 4,
        SortKey::Started => 5,
        SortKey::Finished => 6,
    };
    let time: Option<i64> = row.get(column)?;
    if time.is_none() != cursor.lacking {
        // Actions that lack the time come last.
        return Ok(time.is_none());
    }
    let Some(after) = cursor.after else { return Ok(true) };
    let key = (Timestamp(time.map_or_else(|| row.get(4), Ok)?), id(row, 1)?);
    let order = if query.descending { Ordering::Less } else { Ordering::Greater };
    Ok(key.cmp(&after) == order)
}
