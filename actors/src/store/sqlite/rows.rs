//! Conversion of columns to Rust types: those of an action, of its past attempts, and the counts of a queue.

use rusqlite::types::Type;

use super::schema::DEFERRED;
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::Verdict;
use crate::store::again::Counted;
use crate::store::{Affected, Claimed, Counts, Origin, PastAttempt, Record};

/// The columns of an action that decisions need.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) id: ActionId,
    pub(super) state: State,
    pub(super) attempt: u32,
    pub(super) queued_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) priority: i32,
    pub(super) failures: u32,
    pub(super) restarts: u32,
    /// Time before which it may not start, if it is deferred.
    pub(super) not_before: Option<Timestamp>,
}

impl Row {
    /// Returns the number by which its state is stored.
    pub(super) const fn stored_state(&self) -> u8 {
        match self.not_before {
            Some(_) => DEFERRED,
            None => self.state as u8,
        }
    }

    /// Makes the answer of a control that concerned this action.
    /// Returns the numbers that it counts.
    pub(super) const fn counted(&self) -> Counted {
        Counted { failures: self.failures, restarts: self.restarts }
    }

    pub(super) fn affected(&self, finished_at: Option<Timestamp>, verdict: Verdict) -> Affected {
        let Self { id, attempt, queued_at, started_at, state, .. } = *self;
        let taken_by = None;
        Affected { id, attempt, queued_at, started_at, finished_at, state, verdict, taken_by }
    }

    /// Makes what a queue needs for its attempt that started at this time.
    pub(super) fn claimed(&self, started_at: Timestamp, parameters: Parameters) -> Claimed {
        let Self { id, attempt, queued_at, priority, failures, restarts, .. } = *self;
        Claimed {
            id,
            attempt,
            queued_at,
            started_at,
            priority,
            parameters,
            failures,
            restarts,
            taken_by: None,
        }
    }

    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            failures: row.get(6)?,
            restarts: row.get(7)?,
            not_before: row.get::<_, Option<i64>>(8)?.map(Timestamp),
            ..Self::read_fresh(row)?
        })
    }

    /// Reads the row of an action that may start and never did, from the first columns.
    pub(super) fn read_fresh(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: id(row, 0)?,
            state: state(row, 1)?,
            attempt: row.get(2)?,
            queued_at: Timestamp(row.get(3)?),
            started_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            priority: row.get(5)?,
            failures: 0,
            restarts: 0,
            not_before: None,
        })
    }
}

/// Returns an id as SQLite's integer; ids have at most eleven digits.
pub(super) fn number(id: ActionId) -> i64 {
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

/// Reads a whole action from its columns, in the order that `super::read` selects them.
pub(super) fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let report = row.get_ref(10)?.as_str_or_null().map_err(|e| unreadable(10, e))?;
    let report = crate::report::read(report).map_err(|e| unreadable(10, e))?;
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
        not_before: row.get::<_, Option<i64>>(11)?.map(Timestamp),
        worker: row.get(12)?,
        error: row.get(9)?,
        report,
        taken_by: None,
        run_by: None,
        figures: None,
        position: None,
        origin: origin(row, 13)?,
    })
}

/// Reads what an action was submitted with beside its parameters.
fn origin(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Box<Origin>>> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|e| unreadable(column, e))?;
    text.map(serde_json::from_str).transpose().map_err(|e| unreadable(column, e))
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
    if number == i64::from(DEFERRED) {
        return Ok(State::Queued);
    }
    usize::try_from(number)
        .ok()
        .and_then(|index| State::ALL.get(index).copied())
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// Reads a past attempt from its columns, in the order that `super::history` selects them.
pub(super) fn past_attempt(row: &rusqlite::Row<'_>) -> rusqlite::Result<PastAttempt> {
    let ended = row.get_ref(3)?.as_str_or_null().map_err(|e| unreadable(3, e))?;
    Ok(PastAttempt {
        attempt: row.get(0)?,
        started_at: Timestamp(row.get(1)?),
        ended_at: Timestamp(row.get(2)?),
        ended: ended.map(serde_json::from_str).transpose().map_err(|e| unreadable(3, e))?,
        worker: row.get(4)?,
        error: row.get(5)?,
    })
}

/// Returns the counts as they are stored, with the number of deferred actions.
pub(super) fn counts_to_text(counts: &Counts, deferred: u64) -> String {
    let mut numbers = State::ALL.map(|state| counts.of(state)).to_vec();
    numbers.push(deferred);
    format!("{numbers:?}")
}

/// Reads the counts, and the number of deferred actions.
pub(super) fn counts_from_text(text: &str) -> Option<(Counts, u64)> {
    let numbers: Vec<u64> = serde_json::from_str(text).ok()?;
    let mut counts = Counts::default();
    for (state, number) in State::ALL.into_iter().zip(&numbers) {
        counts.add(state, *number);
    }
    let deferred = numbers.get(State::ALL.len()).copied().unwrap_or_default();
    Some((counts, deferred))
}
