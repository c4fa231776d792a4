//! The schedules of a transaction: all that it concerns are read before anything is decided, and written at its end.
//!
//! Such transactions come one after the other, by a lock of their own: a row that is not there yet can't be locked.

use std::collections::{BTreeMap, BTreeSet};

use super::finish::Values;
use super::statements::Statements;
use crate::action::ActionId;
use crate::store::postgres::columns::id_number;
use crate::store::postgres::errors::Failure;
use crate::store::postgres::message::{Message, Place, values};
use crate::store::postgres::schedules::state;
use crate::store::{
    Affected, Batch, Control, NewAction, QueueId, Rejected, ScheduleChange, ScheduleState,
    ScheduledFor,
};

/// The schedules that a transaction concerns, by their names in lower case.
#[derive(Default)]
pub(super) struct Schedules {
    rows: BTreeMap<String, ScheduleState>,
    changed: BTreeSet<String>,
}

/// Returns the names in lower case of the schedules that batches concern.
pub(super) fn concerned(batches: &[&Batch]) -> BTreeSet<String> {
    let controls = batches.iter().flat_map(|batch| &batch.controls);
    let changed = controls.filter_map(|control| match control {
        Control::Schedule { name, .. } => Some(name),
        _ => None,
    });
    let new = batches.iter().flat_map(|batch| &batch.submissions);
    let due = new.filter_map(|new| Some(&new.scheduled()?.schedule));
    changed.chain(due).map(|name| name.to_ascii_lowercase()).collect()
}

/// Reads these schedules, and keeps them for this transaction until its end.
pub(super) fn read<'a>(
    message: &mut Message<'a>,
    (statements, area): (&'a Statements, i32),
    concerned: &BTreeSet<String>,
) -> Option<Place> {
    if concerned.is_empty() {
        return None;
    }
    message.add(&statements.lock_schedules, values![area]);
    let names: Vec<Vec<u8>> = concerned.iter().map(|name| name.as_bytes().to_vec()).collect();
    Some(message.add(&statements.schedules, values![names]))
}

impl Schedules {
    pub(super) fn of(rows: &[tokio_postgres::Row]) -> Result<Self, Failure> {
        let named = rows.iter().map(|row| {
            let state = state(row)?;
            Ok((state.name.to_ascii_lowercase(), state))
        });
        Ok(Self { rows: named.collect::<Result<_, Failure>>()?, changed: BTreeSet::new() })
    }

    pub(super) fn change(
        &mut self,
        name: &str,
        change: &ScheduleChange,
    ) -> Result<Vec<Affected>, Rejected> {
        let folded = name.to_ascii_lowercase();
        let after = change.apply(name, self.rows.get(&folded)).map_err(Rejected::Schedule)?;
        self.rows.remove(&folded);
        self.rows.extend(after.map(|state| (folded.clone(), state)));
        self.changed.insert(folded);
        Ok(Vec::new())
    }

    /// Tells whether an action may be queued, if it is one of a schedule.
    pub(super) fn admit<'n>(
        &self,
        new: &'n NewAction,
    ) -> Result<Option<&'n ScheduledFor>, Rejected> {
        let Some(scheduled) = new.scheduled() else { return Ok(None) };
        let schedule = self.rows.get(&scheduled.schedule.to_ascii_lowercase());
        scheduled.admit(schedule).map_err(Rejected::Schedule)?;
        Ok(Some(scheduled))
    }

    /// Notes that an action was queued for a schedule.
    pub(super) fn note(&mut self, scheduled: &ScheduledFor, queue: QueueId, id: ActionId) {
        let folded = scheduled.schedule.to_ascii_lowercase();
        if let Some(state) = self.rows.get_mut(&folded) {
            *state = scheduled.queued(state, queue, id);
            self.changed.insert(folded);
        }
    }

    /// Writes what has changed.
    pub(super) fn write<'a>(&self, message: &mut Message<'a>, statements: &'a Statements) {
        let there = |folded: &&String| self.rows.contains_key(*folded);
        let (put, gone): (Vec<&String>, Vec<&String>) = self.changed.iter().partition(there);
        if !gone.is_empty() {
            let names: Vec<Vec<u8>> = gone.iter().map(|name| name.as_bytes().to_vec()).collect();
            message.add(&statements.drop_schedules, values![names]);
        }
        let put: Vec<&ScheduleState> = put.iter().filter_map(|name| self.rows.get(*name)).collect();
        if !put.is_empty() {
            message.add(&statements.put_schedules, columns(&put));
        }
    }
}

/// Returns the columns of schedules, as `put_schedules` takes them.
pub(in crate::store::postgres) fn columns(states: &[&ScheduleState]) -> Values<'static> {
    fn each<T>(states: &[&ScheduleState], column: impl Fn(&ScheduleState) -> T) -> Vec<T> {
        states.iter().map(|state| column(state)).collect()
    }
    let queue = |queue: QueueId| i32::try_from(queue.0).unwrap_or_default();
    values![
        each(states, |state| state.name.to_ascii_lowercase().into_bytes()),
        each(states, |state| state.name.clone().into_bytes()),
        each(states, |state| state.since.0),
        each(states, |state| state.passed.0),
        each(states, |state| state.last.map(|last| last.due.0)),
        each(states, |state| state.last.map(|last| queue(last.queue))),
        each(states, |state| state.last.map(|last| id_number(last.id))),
        each(states, |state| i64::try_from(state.cycles).unwrap_or(i64::MAX)),
        each(states, |state| state.paused),
        each(states, |state| state.definition.clone().map(String::into_bytes)),
    ]
}
