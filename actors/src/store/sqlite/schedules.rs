//! Schedules: a row for each, changed in the transaction that queues its actions.

use rusqlite::{OptionalExtension as _, params};

use super::errors::store_error;
use super::read::Reader;
use super::rows::{id, number};
use super::write::{Applied, Writer};
use crate::action::{ActionId, Timestamp};
use crate::store::{
    Affected, LastScheduled, NewAction, QueueId, Rejected, ScheduleChange, ScheduleState,
    ScheduledFor, StoreError,
};

/// The columns of a schedule, in the order in which [`state`] reads them.
macro_rules! columns {
    () => {
        "name, since, passed, last_due, last_queue, last_id, cycles, paused, definition"
    };
}

/// Reads a schedule from its [`columns`].
pub(super) fn state(row: &rusqlite::Row<'_>) -> rusqlite::Result<ScheduleState> {
    let last = match row.get::<_, Option<i64>>(3)? {
        Some(due) => Some(LastScheduled {
            due: Timestamp(due),
            queue: QueueId(row.get(4)?),
            id: id(row, 5)?,
        }),
        None => None,
    };
    Ok(ScheduleState {
        name: row.get(0)?,
        since: Timestamp(row.get(1)?),
        passed: Timestamp(row.get(2)?),
        last,
        cycles: row.get(6)?,
        paused: row.get(7)?,
        definition: row.get(8)?,
    })
}

/// Reads all schedules, in the order of their names.
pub(super) fn all(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<ScheduleState>> {
    connection
        .prepare_cached(concat!("SELECT ", columns!(), " FROM schedule ORDER BY folded"))?
        .query_map([], state)?
        .collect()
}

/// Writes a schedule in place of the one of its name.
pub(super) const PUT: &str =
    "INSERT OR REPLACE INTO schedule (folded, name, since, passed, last_due, last_queue, last_id,
         cycles, paused, definition)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Calls `write` with the values of [`PUT`].
pub(super) fn with_values<T>(
    state: &ScheduleState,
    write: impl FnOnce(&[&dyn rusqlite::ToSql]) -> T,
) -> T {
    let ScheduleState { name, since, passed, last, cycles, paused, definition } = state;
    write(params![
        name.to_ascii_lowercase(),
        name,
        since.0,
        passed.0,
        last.map(|last| last.due.0),
        last.map(|last| last.queue.0),
        last.map(|last| number(last.id)),
        cycles,
        paused,
        definition
    ])
}

impl Writer<'_> {
    fn schedule(&self, name: &str) -> Applied<Option<ScheduleState>> {
        let mut statement = self.connection.prepare_cached(concat!(
            "SELECT ",
            columns!(),
            " FROM schedule WHERE folded = ?1"
        ))?;
        Ok(statement.query_row([name.to_ascii_lowercase()], state).optional()?)
    }

    fn put_schedule(&mut self, state: &ScheduleState) -> Applied<()> {
        with_values(state, |values| self.run(PUT, values))
    }

    /// Changes a schedule.
    pub(super) fn change_schedule(
        &mut self,
        name: &str,
        change: &ScheduleChange,
    ) -> Applied<Result<Vec<Affected>, Rejected>> {
        match change.apply(name, self.schedule(name)?.as_ref()) {
            Ok(Some(state)) => self.put_schedule(&state)?,
            Ok(None) => {
                let folded = name.to_ascii_lowercase();
                self.run("DELETE FROM schedule WHERE folded = ?1", [folded])?;
            }
            Err(refusal) => return Ok(Err(Rejected::Schedule(refusal))),
        }
        Ok(Ok(Vec::new()))
    }

    /// Tells whether an action may be queued, if it is one of a schedule; returns that.
    pub(super) fn admit_scheduled<'n>(
        &self,
        new: &'n NewAction,
    ) -> Applied<Result<Option<(&'n ScheduledFor, ScheduleState)>, Rejected>> {
        let Some(scheduled) = new.scheduled() else { return Ok(Ok(None)) };
        let schedule = self.schedule(&scheduled.schedule)?;
        Ok(match (scheduled.admit(schedule.as_ref()), schedule) {
            (Ok(()), Some(schedule)) => Ok(Some((scheduled, schedule))),
            (Ok(()), None) => Ok(None),
            (Err(refusal), _) => Err(Rejected::Schedule(refusal)),
        })
    }

    /// Notes that an action was queued for a schedule.
    pub(super) fn note_scheduled(
        &mut self,
        scheduled: Option<(&ScheduledFor, ScheduleState)>,
        queue: QueueId,
        id: ActionId,
    ) -> Applied<()> {
        match scheduled {
            Some((scheduled, schedule)) => {
                self.put_schedule(&scheduled.queued(&schedule, queue, id))
            }
            None => Ok(()),
        }
    }
}

impl Reader {
    pub(super) fn schedules(&self) -> Result<Vec<ScheduleState>, StoreError> {
        all(&self.connection).map_err(|e| store_error(&e, &self.path))
    }
}
