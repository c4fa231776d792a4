//! An action while a batch is decided: what the database has of it, and what is to be written.

use tokio_postgres::Row as Columns;

use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::Verdict;
use crate::store::again::Counted;
use crate::store::postgres::columns::{action_id, state, text, time};
use crate::store::postgres::errors::Failure;
use crate::store::postgres::schema::DEFERRED;
use crate::store::postgres::sites::Sites;
use crate::store::{Affected, OwnerId, SiteId};

/// The table that holds an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Live,
    Done,
}

/// A column that need not have been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column<T> {
    /// It stays as it is stored.
    Stored,
    /// It is to be this.
    Is(T),
}

impl<T> Column<T> {
    pub(super) const fn is_changed(&self) -> bool {
        matches!(self, Self::Is(_))
    }

    /// Returns what it is to be, if it is changed.
    pub(super) const fn changed(&self) -> Option<&T> {
        match self {
            Self::Stored => None,
            Self::Is(value) => Some(value),
        }
    }
}

/// An action. Its columns are as they will be after the controls that were decided so far.
#[derive(Debug, Clone)]
pub(super) struct Row<'b> {
    pub(super) id: ActionId,
    pub(super) state: State,
    pub(super) priority: i32,
    pub(super) attempt: u32,
    pub(super) failures: u32,
    pub(super) restarts: u32,
    pub(super) queued_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    /// Time before which it may not start, if it is deferred.
    pub(super) not_before: Option<Timestamp>,
    /// The owner that runs it.
    pub(super) owner: Option<OwnerId>,
    /// True if that owner is dead, or there is none.
    pub(super) is_orphan: bool,
    /// The server that took it, unless that was this one.
    pub(super) taken_by: Option<SiteId>,
    /// True if it was sent under a key.
    pub(super) has_key: bool,
    /// True if its parameters are kept, or will be once it has ended.
    pub(super) keeps_parameters: bool,
    /// True if this owner takes it over with this batch.
    pub(super) taken: bool,
    pub(super) worker: Column<Option<String>>,
    pub(super) error: Column<Option<String>>,
    pub(super) note: Column<Option<&'b str>>,
    pub(super) outcome: Outcome<'b>,
    pub(super) before: Before,
    pub(super) is_changed: bool,
}

/// The columns that only an end sets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome<'b> {
    pub(super) processing_ms: i64,
    pub(super) percent: f64,
    pub(super) report: Option<&'b str>,
}

/// The row as it was stored before the batch.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) table: Table,
    pub(super) state: State,
    pub(super) is_deferred: bool,
    /// Of what has ended, the worker and the beginning of the error.
    worker: Option<String>,
    error: Option<String>,
}

impl Row<'_> {
    /// Reads an action that waits or runs, and its queue.
    pub(super) fn live(row: &Columns, sites: &Sites) -> Result<(i32, Self), Failure> {
        let number: i16 = row.try_get(2)?;
        let is_deferred = number == DEFERRED;
        let state = state(number)?;
        let read = Self {
            id: action_id(row, 0)?,
            state,
            priority: row.try_get(3)?,
            attempt: count(row, 4)?,
            failures: count(row, 5)?,
            restarts: count(row, 6)?,
            queued_at: Timestamp(row.try_get(7)?),
            started_at: time(row, 8)?,
            finished_at: None,
            not_before: time(row, 9)?,
            owner: row.try_get::<_, Option<i64>>(10)?.map(OwnerId),
            taken_by: sites.taken_by(row.try_get(11)?),
            is_orphan: row.try_get(12)?,
            has_key: row.try_get(13)?,
            keeps_parameters: true,
            taken: false,
            worker: Column::Stored,
            error: Column::Stored,
            note: Column::Stored,
            outcome: Outcome::default(),
            before: Before { table: Table::Live, state, is_deferred, worker: None, error: None },
            is_changed: false,
        };
        Ok((row.try_get(1)?, read))
    }

    /// Reads an action that has ended, and its queue.
    pub(super) fn done(row: &Columns, sites: &Sites) -> Result<(i32, Self), Failure> {
        let state = state(row.try_get(2)?)?;
        let read = Self {
            id: action_id(row, 0)?,
            state,
            priority: row.try_get(3)?,
            attempt: count(row, 4)?,
            failures: 0,
            restarts: 0,
            queued_at: Timestamp(row.try_get(5)?),
            started_at: time(row, 6)?,
            finished_at: time(row, 7)?,
            not_before: None,
            owner: None,
            taken_by: sites.taken_by(row.try_get(10)?),
            is_orphan: true,
            has_key: row.try_get(11)?,
            keeps_parameters: row.try_get(12)?,
            taken: false,
            worker: Column::Stored,
            error: Column::Stored,
            note: Column::Stored,
            outcome: Outcome::default(),
            before: Before {
                table: Table::Done,
                state,
                is_deferred: false,
                worker: text(row, 8)?,
                error: text(row, 9)?,
            },
            is_changed: false,
        };
        Ok((row.try_get(1)?, read))
    }

    /// Returns the numbers that it counts.
    pub(super) const fn counted(&self) -> Counted {
        Counted { failures: self.failures, restarts: self.restarts }
    }

    /// Returns the number by which its state is stored.
    pub(super) fn stored_state(&self) -> i16 {
        match self.not_before {
            Some(_) => DEFERRED,
            None => number(self.state),
        }
    }

    /// Returns the worker and the error that an action has that has ended.
    pub(super) fn end_of(&self) -> (Option<&str>, Option<&str>) {
        let worker = self.worker.changed().unwrap_or(&self.before.worker);
        let error = self.error.changed().unwrap_or(&self.before.error);
        (worker.as_deref(), error.as_deref())
    }

    /// Makes the answer of a control that concerned it.
    pub(super) fn affected(&self, verdict: Verdict) -> Affected {
        let Self { id, attempt, queued_at, started_at, state, taken_by, .. } = *self;
        let ends = state.is_final() && verdict == Verdict::Move(state);
        let finished_at = self.finished_at.filter(|_| ends);
        Affected { id, attempt, queued_at, started_at, finished_at, state, verdict, taken_by }
    }
}

/// Returns the number of a state. That of a queued action that may not start yet is another.
pub(super) fn number(state: State) -> i16 {
    i16::from(state as u8)
}

fn count(row: &Columns, column: usize) -> Result<u32, Failure> {
    Ok(u32::try_from(row.try_get::<_, i32>(column)?).unwrap_or_default())
}
