//! Controls and ends: what the rules say of each, on the rows as the controls before have left them. Nothing here asks the
//! database.

use std::collections::BTreeMap;

use super::events::{Told, is_wanted};
use super::row::{Column, Outcome, Row, Table};
use super::schedules::Schedules;
use crate::action::{ActionId, State};
use crate::lifecycle::{
    Command, Ended, Recovery, Verdict, decide, decide_kept, error_of, is_current, not_before,
    outcome_of_error,
};
use crate::queue::Target;
use crate::store::again::Again;
use crate::store::postgres::columns::Tally;
use crate::store::postgres::notices::To;
use crate::store::query::Query;
use crate::store::{
    Affected, AttemptEnd, Batch, Control, EventKind, LevelChange, NewEvent, Notice, OwnerId,
    PastAttempt, Rejected,
};
use crate::worker::Wish;

/// The changes of a batch to actions that exist.
pub(super) struct Controls<'b> {
    batch: &'b Batch,
    owner: OwnerId,
    /// True if others may have recovered what this owner ran.
    is_dead: bool,
    pub(super) rows: BTreeMap<ActionId, Row<'b>>,
    pub(super) past: Vec<(ActionId, PastAttempt)>,
    pub(super) paused: bool,
    /// The attempts that go on here, as they were then.
    pub(super) resumed: Vec<Row<'b>>,
    pub(super) notices: Vec<(To, Notice)>,
    /// True once an action came to wait.
    pub(super) arrived: bool,
    /// The actions that are deleted, as they were then.
    pub(super) deleted: Vec<Row<'b>>,
    /// The events about actions that handlers want.
    pub(super) told: Vec<Told<'b>>,
    /// The changes of the fill level that they are to be told of.
    pub(super) levels: Vec<LevelChange>,
    /// The schedules that the transaction concerns, while the controls are decided.
    pub(super) schedules: Schedules,
}

impl<'b> Controls<'b> {
    pub(super) const fn of(
        batch: &'b Batch,
        owner: OwnerId,
        is_dead: bool,
        rows: BTreeMap<ActionId, Row<'b>>,
        paused: bool,
        schedules: Schedules,
    ) -> Self {
        Self {
            batch,
            owner,
            is_dead,
            rows,
            past: Vec::new(),
            paused,
            resumed: Vec::new(),
            notices: Vec::new(),
            arrived: false,
            deleted: Vec::new(),
            told: Vec::new(),
            levels: Vec::new(),
            schedules,
        }
    }

    /// Decides all controls, in their order.
    pub(super) fn decide(&mut self) -> Vec<Result<Vec<Affected>, Rejected>> {
        let batch = self.batch;
        batch.controls.iter().map(|control| self.control(control)).collect()
    }

    /// Returns what the controls have changed of the counts.
    pub(super) fn change(&self) -> Tally {
        let mut change = Tally::default();
        for row in self.rows.values().filter(|row| row.is_changed) {
            change.add(row.before.state, -1);
            change.add(row.state, 1);
            change.defer(i64::from(row.not_before.is_some()) - i64::from(row.before.is_deferred));
        }
        for row in &self.deleted {
            change.add(row.before.state, -1);
            change.defer(-i64::from(row.before.is_deferred));
        }
        change
    }

    fn control(&mut self, control: &'b Control) -> Result<Vec<Affected>, Rejected> {
        match control {
            Control::Command { id, queued_at, command } => {
                let row = self.rows.get(id).ok_or(Rejected::Unknown)?;
                if queued_at.is_some_and(|at| at != row.queued_at) {
                    return Err(Rejected::Unknown);
                }
                self.command(*id, *command).map(|affected| vec![affected])
            }
            Control::End(end) => self.end(end).map(|affected| vec![affected]),
            Control::PauseQueue { supported } => {
                self.set_paused(true);
                Ok(self.command_running(Command::Pause { supported: *supported }))
            }
            Control::ResumeQueue => {
                self.set_paused(false);
                Ok(self.command_running(Command::Resume))
            }
            Control::StopAll => Ok(self.command_running(Command::Stop)),
            Control::Recover { live, recovery, unbegun } => {
                Ok(self.recover(Some((live, *unbegun)), *recovery))
            }
            Control::Reclaim { recovery } => Ok(self.recover(None, *recovery)),
            Control::TakeOver { id, attempt } => self.take_over(*id, *attempt),
            Control::Many { actions, command, filter } => {
                Ok(self.command_many(actions, *command, filter.as_deref()))
            }
            Control::Note { id, attempt, note } => {
                let row = self.current(*id, *attempt)?;
                (row.note, row.is_changed) = (Column::Is(Some(note.as_str())), true);
                Ok(vec![row.affected(Verdict::Stay)])
            }
            Control::Tell(event) => self.tell_new(event).map(|()| Vec::new()),
            Control::Schedule { name, change } => self.schedules.change(name, change),
            // It is written with the rest.
            Control::Outbox { .. } => Ok(Vec::new()),
        }
    }

    /// Notes an event about an action, as it is now, if somebody wants it.
    fn tell(&mut self, kind: EventKind, id: ActionId) {
        if is_wanted(self.batch, kind)
            && let Some(row) = self.rows.get(&id)
        {
            self.told.push(Told { kind, row: row.clone() });
        }
    }

    /// Notes an event that the queue itself has found.
    fn tell_new(&mut self, event: &'b NewEvent) -> Result<(), Rejected> {
        match event {
            NewEvent::ErrorReport { id, attempt, error, report } => {
                let mut row = self.current(*id, *attempt)?.clone();
                row.error = Column::Is(Some(error.clone()));
                row.outcome.report = report.as_str();
                let kind = EventKind::ErrorReport;
                if is_wanted(self.batch, kind) {
                    self.told.push(Told { kind, row });
                }
            }
            NewEvent::Level(change) => self.levels.push(*change),
        }
        Ok(())
    }

    fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        let notice = Notice::Paused { queue: self.batch.queue, paused };
        self.notices.push((To::Others, notice));
    }

    /// Gives a command to every action that holds a slot; those that refuse it stay as they are.
    fn command_running(&mut self, command: Command) -> Vec<Affected> {
        self.running().into_iter().filter_map(|id| self.command(id, command).ok()).collect()
    }

    fn running(&self) -> Vec<ActionId> {
        self.rows.values().filter(|row| row.state.is_running()).map(|row| row.id).collect()
    }

    /// Recovers the actions of dead owners, and those of this owner that are not among `own`; or gives the latter back, if
    /// they never began. What this owner goes on with is reported with its state, since a notice of that may have got lost.
    fn recover(
        &mut self,
        own: Option<(&Vec<(ActionId, u32)>, bool)>,
        recovery: Recovery,
    ) -> Vec<Affected> {
        let mut affected = Vec::new();
        for id in self.running() {
            let Some(row) = self.rows.get(&id) else { continue };
            let mut command = recovery.command(row.restarts);
            let is_lost = if row.owner == Some(self.owner) {
                if own.is_some_and(|(_, unbegun)| unbegun) {
                    command = Command::End(Ended::Released);
                }
                own.is_some_and(|(live, _)| !live.contains(&(id, row.attempt)))
            } else if row.is_orphan {
                true
            } else {
                // Another owner runs it under its lease.
                continue;
            };
            if !is_lost {
                affected.push(row.affected(Verdict::Stay));
                continue;
            }
            match self.command(id, command) {
                Ok(Affected { verdict: Verdict::Stay, .. }) => {
                    // It goes on, and from now on this owner runs it.
                    let Some(row) = self.rows.get_mut(&id) else { continue };
                    row.taken |= row.owner != Some(self.owner);
                    row.is_changed |= row.taken;
                    (row.owner, row.is_orphan) = (Some(self.owner), self.is_dead);
                    self.resumed.push(row.clone());
                }
                recovered => affected.extend(recovered),
            }
        }
        affected
    }

    /// Makes this owner the one that runs an attempt.
    fn take_over(&mut self, id: ActionId, attempt: u32) -> Result<Vec<Affected>, Rejected> {
        let row = self.rows.get_mut(&id).ok_or(Rejected::Unknown)?;
        if !is_current(row.state, row.attempt, attempt) || self.is_dead {
            return Err(Rejected::Stale);
        }
        if row.owner != Some(self.owner) {
            if let Some(former) = row.owner {
                let moved = Notice::Moved { queue: self.batch.queue, id, attempt };
                self.notices.push((To::Owner(former), moved));
            }
            (row.taken, row.is_changed) = (true, true);
            (row.owner, row.is_orphan) = (Some(self.owner), false);
            self.resumed.push(row.clone());
        }
        Ok(vec![row.affected(Verdict::Stay)])
    }

    /// Returns the action, if this attempt runs and this owner runs it.
    fn current(&mut self, id: ActionId, attempt: u32) -> Result<&mut Row<'b>, Rejected> {
        let row = self.rows.get_mut(&id).ok_or(Rejected::Unknown)?;
        let runs = is_current(row.state, row.attempt, attempt) && row.owner == Some(self.owner);
        if runs && !self.is_dead { Ok(row) } else { Err(Rejected::Stale) }
    }

    fn end(&mut self, end: &'b AttemptEnd) -> Result<Affected, Rejected> {
        let batch = self.batch;
        let row = self.current(end.id, end.attempt)?;
        let command = Command::End(end.ended);
        let verdict = decide(row.state, command).map_err(Rejected::Refused)?;
        let Verdict::Move(state) = verdict else { return Err(Rejected::Stale) };
        if state == State::Queued {
            let again = Again::ended(batch.now, row.counted(), end);
            self.requeue(end.id, &again);
            if end.ended == Ended::Retry {
                self.tell(EventKind::ErrorReport, end.id);
            }
        } else {
            let error = end.error.as_deref().or_else(|| error_of(command, state));
            row.worker = Column::Is(end.worker.clone());
            let percent = if state == State::Finished { 100.0 } else { end.percent };
            let (processing_ms, report) = (end.processing_ms, end.report.as_str());
            let outcome = Outcome { processing_ms, percent, report };
            self.finish(end.id, state, error, outcome);
        }
        self.affected(end.id, verdict)
    }

    /// Gives one action a command.
    fn command(&mut self, id: ActionId, command: Command) -> Result<Affected, Rejected> {
        let Some(row) = self.rows.get_mut(&id) else { return Err(Rejected::Unknown) };
        let verdict = decide_kept(row.state, command, row.keeps_parameters);
        let verdict = verdict.map_err(Rejected::Refused)?;
        let (attempt, runs_at) = (row.attempt, row.owner);
        match (command, verdict) {
            (_, Verdict::Delete) => return self.delete(id),
            (Command::ChangePriority(priority), _) => {
                (row.priority, row.is_changed) = (priority, true);
            }
            (Command::Retry, Verdict::Move(_)) => self.retry(id),
            (Command::Retry, _) => {
                row.is_changed |= row.not_before.take().is_some();
                self.arrived = true;
            }
            (Command::End(ended), Verdict::Move(State::Queued)) => {
                let again = Again::unbegun(row.counted(), ended);
                self.requeue(id, &again);
            }
            (_, Verdict::Move(State::Queued)) => {
                let again = Again::lost(row.counted());
                self.requeue(id, &again);
            }
            (_, Verdict::Move(state)) if state.is_final() => {
                self.finish(id, state, error_of(command, state), Outcome::default());
            }
            (_, Verdict::Move(state)) => (row.state, row.is_changed) = (state, true),
            _ => {}
        }
        let wish = match verdict {
            Verdict::Force => Some(Wish::Force),
            Verdict::Move(State::Stopping) => Some(Wish::Stop),
            Verdict::Move(State::Paused) => Some(Wish::Pause),
            Verdict::Move(State::Processing) => Some(Wish::Run),
            _ => None,
        };
        if let (Some(wish), Some(owner)) = (wish, runs_at.filter(|owner| *owner != self.owner)) {
            let steer = Notice::Steer { queue: self.batch.queue, id, attempt, wish };
            self.notices.push((To::Owner(owner), steer));
        }
        self.affected(id, verdict)
    }

    /// Gives a command to those of these actions that there are, and that the filter lists.
    fn command_many(
        &mut self,
        actions: &[Target],
        command: Command,
        filter: Option<&Query>,
    ) -> Vec<Affected> {
        let mut affected = Vec::with_capacity(actions.len());
        for Target { id, queued_at } in actions {
            let is_meant = |row: &&Row<'_>| {
                let times = (row.started_at, row.finished_at);
                let admits =
                    |filter: &Query| filter.admits(row.state, row.priority, row.queued_at, times);
                queued_at.is_none_or(|at| at == row.queued_at) && filter.is_none_or(admits)
            };
            let Some(row) = self.rows.get(id).filter(is_meant) else { continue };
            let refused = row.affected(Verdict::Refused);
            affected.push(self.command(*id, command).unwrap_or(refused));
        }
        affected
    }

    /// Deletes an action that has ended. The controls behind this one know nothing of it.
    fn delete(&mut self, id: ActionId) -> Result<Affected, Rejected> {
        let row = self.rows.remove(&id).ok_or(Rejected::Unknown)?;
        let affected = row.affected(Verdict::Delete);
        self.past.retain(|(of, _)| *of != id);
        self.deleted.push(row);
        Ok(affected)
    }

    fn affected(&self, id: ActionId, verdict: Verdict) -> Result<Affected, Rejected> {
        self.rows.get(&id).map(|row| row.affected(verdict)).ok_or(Rejected::Unknown)
    }

    /// Moves an action to a final state, with the times that go with it (Q9).
    fn finish(&mut self, id: ActionId, state: State, error: Option<&str>, outcome: Outcome<'b>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.finished_at = Some(not_before(self.batch.now, row.started_at.unwrap_or(row.queued_at)));
        if state == State::Cancelled {
            // It may have been cancelled elsewhere, and never ran.
            row.started_at = None;
        }
        (row.state, row.not_before, row.outcome) = (state, None, outcome);
        row.keeps_parameters &= self.batch.keep_parameters || row.has_key;
        row.error = Column::Is(error.map(str::to_owned));
        (row.note, row.owner, row.is_changed) = (Column::Is(None), None, true);
        self.notices.push((To::Others, Notice::Ended { queue: self.batch.queue, id }));
        if let Some(kind) = EventKind::of_end(state) {
            self.tell(kind, id);
        }
    }

    /// Moves an action back to the queue whose attempt has ended.
    fn requeue(&mut self, id: ActionId, again: &Again<'_>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let started_at = row.started_at.take().unwrap_or(row.queued_at);
        let past = again.past(row.attempt, started_at, self.batch.now);
        row.state = State::Queued;
        (row.failures, row.restarts) = (again.counted.failures, again.counted.restarts);
        (row.not_before, row.owner) = (again.not_before, None);
        row.worker = Column::Is(again.worker.map(str::to_owned));
        if let Some(error) = again.error {
            row.error = Column::Is(Some(error.to_owned()));
        }
        (row.note, row.is_changed) = (Column::Is(None), true);
        self.past.push((id, past));
        self.arrived = true;
    }

    /// Moves an action back to the queue that has ended in Error, as if it had never failed.
    fn retry(&mut self, id: ActionId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let (worker, error) = row.end_of();
        let started_at = row.started_at.unwrap_or(row.queued_at);
        let past = PastAttempt {
            attempt: row.attempt,
            started_at,
            ended_at: row.finished_at.unwrap_or(started_at),
            ended: outcome_of_error(error),
            worker: worker.map(str::to_owned),
            error: error.map(|error| PastAttempt::cut(error).to_owned()),
        };
        row.state = State::Queued;
        (row.started_at, row.finished_at, row.not_before) = (None, None, None);
        (row.failures, row.restarts) = (0, 0);
        (row.outcome, row.owner, row.is_changed) = (Outcome::default(), None, true);
        self.past.push((id, past));
        self.arrived = true;
    }
}

impl Row<'_> {
    /// Tells whether it has ended, and is moved back to the queue.
    pub(super) fn is_restored(&self) -> bool {
        self.is_changed && self.before.table == Table::Done
    }
}
