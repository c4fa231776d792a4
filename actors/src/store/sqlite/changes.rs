//! The changes of a batch to the rows, within a transaction of [`super::write`]: controls and ends here, submissions and
//! starts in [`super::starts`], further attempts in [`super::attempts`], actions that may not start yet in
//! [`super::deferred`].
//!
//! There are no rules about states here: each change reads the row, asks [`crate::lifecycle`] and writes
//! the outcome.

use std::cmp::Reverse;

use rusqlite::{OptionalExtension as _, params};

use super::attempts::Found;
use super::deletion::Removable;
use super::rows::{Row, number};
use super::schema::in_by_state;
use super::starts::FIRST_ATTEMPT;
use super::write::{Applied, Writer};
use crate::action::{ActionId, Parameters, State};
use crate::lifecycle::{
    Command, Ended, Refusal, Verdict, decide, decide_kept, error_of, is_current, needs_parameters,
    not_before,
};
use crate::store::again::Again;
use crate::store::{
    Affected, AttemptEnd, Batch, BatchReply, Claimed, Control, EventKind, NewAction, OwnerId,
    QueueId, Rejected, Submitted,
};

impl Writer<'_> {
    /// Applies a batch within a transaction: controls, submissions, claims, retention.
    pub(super) fn apply(&mut self, batch: &Batch) -> Applied<BatchReply> {
        let last_event = self.tables.last_event;
        let mut controls = Vec::with_capacity(batch.controls.len());
        let mut found = Found::default();
        for control in &batch.controls {
            controls.push(self.control(batch, control, &mut found)?);
        }
        let more_due = self.move_due(batch)?;
        let mut submissions = Vec::with_capacity(batch.submissions.len());
        // If there is a slot for each, and for all that wait, they start at once and need not be
        // written as waiting first.
        let queue = self.queue_mut(batch.queue)?;
        let new = batch.submissions.len() as u64;
        let all = queue.counts.queued().saturating_add(new);
        let at_once = !queue.paused
            && !more_due
            && queue.ready().saturating_add(new) <= batch.claim as u64
            && batch.max_queued.is_none_or(|max| all <= max)
            && batch.submissions.iter().all(|new| matches!(new, NewAction::Given { .. }));
        let mut started = Vec::new();
        let mut repeats = Vec::new();
        for (index, submission) in batch.submissions.iter().enumerate() {
            let last_id = self.tables.last_id;
            let starts = at_once && !submission.is_deferred(batch.now);
            let submitted = self.submit(batch, submission, starts)?;
            if let Ok(Submitted { id, queued_at, .. }) = submitted {
                if id.get() <= last_id {
                    repeats.push(index);
                } else if starts && let NewAction::Given { parameters, priority, .. } = submission {
                    let claimed = Claimed {
                        id,
                        attempt: FIRST_ATTEMPT,
                        queued_at,
                        started_at: not_before(batch.now, queued_at),
                        priority: *priority,
                        parameters: parameters.clone(),
                        failures: 0,
                        restarts: 0,
                        taken_by: None,
                    };
                    started.push((Reverse(*priority), claimed));
                }
            }
            submissions.push(submitted);
        }
        if !more_due {
            started.append(&mut self.claim(batch)?);
        }
        // The highest priority first, equal ones by arrival (Q8).
        started.sort_by_key(|(priority, claimed)| (*priority, claimed.id));
        let claimed: Vec<Claimed> = started.into_iter().map(|(_, claimed)| claimed).collect();
        for claimed in &claimed {
            self.tell(batch, EventKind::Start, claimed.id)?;
        }
        let more_to_prune = self.prune(batch)?;
        let next_due = self.next_due(batch, more_due)?;
        let events = self.tables.last_event.saturating_sub(last_event);
        let queue = self.queue_mut(batch.queue)?;
        Ok(BatchReply {
            controls,
            submissions,
            repeats,
            claimed,
            resumed: found.resumed,
            unread: found.unread,
            more_to_prune,
            counts: queue.counts,
            paused: queue.paused,
            owner: OwnerId::SOLE,
            deferred: queue.deferred.number(),
            next_due,
            events: usize::try_from(events).unwrap_or_default(),
        })
    }

    fn control(
        &mut self,
        batch: &Batch,
        control: &Control,
        found: &mut Found,
    ) -> Applied<Result<Vec<Affected>, Rejected>> {
        match control {
            Control::Command { id, queued_at, command } => {
                let row = self.row(batch.queue, *id)?;
                let Some(row) = row.filter(|row| queued_at.is_none_or(|at| at == row.queued_at))
                else {
                    return Ok(Err(Rejected::Unknown));
                };
                let affected = match self.decide(&row, *command)? {
                    Ok(verdict) => self.carry_out(batch, &row, *command, verdict)?,
                    Err(refusal) => return Ok(Err(Rejected::Refused(refusal))),
                };
                Ok(Ok(vec![affected]))
            }
            Control::End(end) => self.end(batch, end),
            Control::PauseQueue { supported } => {
                self.set_paused(batch.queue, true)?;
                self.command_running(batch, Command::Pause { supported: *supported }).map(Ok)
            }
            Control::ResumeQueue => {
                self.set_paused(batch.queue, false)?;
                self.command_running(batch, Command::Resume).map(Ok)
            }
            Control::StopAll => self.command_running(batch, Command::Stop).map(Ok),
            Control::Recover { live, recovery, unbegun } => {
                let mut affected = Vec::new();
                for row in self.running_rows(batch.queue)? {
                    let command = match unbegun {
                        true => Command::End(Ended::Released),
                        false => recovery.command(row.restarts),
                    };
                    if live.contains(&(row.id, row.attempt)) {
                        // Reported with its state, since a notice of that may have got lost.
                        affected.push(row.affected(None, Verdict::Stay));
                    } else if let Ok(verdict) = decide(row.state, command) {
                        if verdict == Verdict::Stay {
                            self.resume(batch, &row, found)?;
                        } else {
                            affected.push(self.carry_out(batch, &row, command, verdict)?);
                        }
                    }
                }
                Ok(Ok(affected))
            }
            Control::Reclaim { .. } => {
                // There is no other owner. The actions of this one are reported with their states.
                let rows = self.running_rows(batch.queue)?;
                Ok(Ok(rows.iter().map(|row| row.affected(None, Verdict::Stay)).collect()))
            }
            Control::Many { actions, command, filter } => {
                self.command_many(batch, actions, *command, filter.as_deref()).map(Ok)
            }
            Control::Note { id, attempt, note } => self.keep_note(batch.queue, *id, *attempt, note),
            Control::TakeOver { id, attempt } => {
                // There is no other owner that could run it.
                let row = self.current(batch.queue, *id, *attempt)?;
                Ok(row.map(|row| vec![row.affected(None, Verdict::Stay)]))
            }
            Control::Schedule { name, change } => self.change_schedule(name, change),
            Control::Tell(event) => self.tell_new(batch, event),
            Control::Outbox { handler, change } => {
                self.change_outbox(*handler, change)?;
                Ok(Ok(Vec::new()))
            }
        }
    }

    /// Asks the rules about a command to an action.
    pub(super) fn decide(&self, row: &Row, command: Command) -> Applied<Result<Verdict, Refusal>> {
        let kept = !needs_parameters(row.state, command) || self.has_parameters(row.id)?;
        Ok(decide_kept(row.state, command, kept))
    }

    fn has_parameters(&self, id: ActionId) -> Applied<bool> {
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM parameters WHERE id = ?1")?;
        Ok(statement.exists([number(id)])?)
    }

    /// Gives a command to every action that holds a slot; those that refuse it stay as they are.
    fn command_running(&mut self, batch: &Batch, command: Command) -> Applied<Vec<Affected>> {
        let mut affected = Vec::new();
        for row in self.running_rows(batch.queue)? {
            if let Ok(verdict) = decide(row.state, command) {
                affected.push(self.carry_out(batch, &row, command, verdict)?);
            }
        }
        Ok(affected)
    }

    /// Writes the outcome of a command.
    pub(super) fn carry_out(
        &mut self,
        batch: &Batch,
        row: &Row,
        command: Command,
        verdict: Verdict,
    ) -> Applied<Affected> {
        match (command, verdict) {
            (Command::ChangePriority(priority), _) => self.run(
                "UPDATE action SET priority = ?2 WHERE id = ?1",
                params![number(row.id), priority],
            )?,
            (Command::Retry, Verdict::Move(_)) => return self.retry(batch, row),
            (Command::Retry, _) => return self.let_start(batch, row),
            (Command::End(ended), Verdict::Move(State::Queued)) => {
                return self.requeue(batch, row, &Again::unbegun(row.counted(), ended));
            }
            (_, Verdict::Move(State::Queued)) => {
                return self.requeue(batch, row, &Again::lost(row.counted()));
            }
            (_, Verdict::Delete) => {
                let removable = Removable::new(row.id, row.state, row.attempt, true);
                self.remove(batch.queue, &removable)?;
            }
            _ => {}
        }
        let Verdict::Move(state) = verdict else {
            return Ok(row.affected(None, verdict));
        };
        let error = error_of(command, state);
        self.move_to(batch, row, state, Outcome { error, ..Outcome::default() })
    }

    fn end(&mut self, batch: &Batch, end: &AttemptEnd) -> Applied<Result<Vec<Affected>, Rejected>> {
        let Some(row) = self.row(batch.queue, end.id)? else {
            return Ok(Err(Rejected::Unknown));
        };
        if !is_current(row.state, row.attempt, end.attempt) {
            return Ok(Err(Rejected::Stale));
        }
        match decide(row.state, Command::End(end.ended)) {
            Ok(Verdict::Move(State::Queued)) => {
                let again = Again::ended(batch.now, row.counted(), end);
                let affected = self.requeue(batch, &row, &again)?;
                if end.ended == Ended::Retry {
                    self.tell(batch, EventKind::ErrorReport, row.id)?;
                }
                Ok(Ok(vec![affected]))
            }
            Ok(Verdict::Move(state)) => {
                let default_error = || error_of(Command::End(end.ended), state);
                let error = end.error.as_deref().or_else(default_error);
                let AttemptEnd { report, percent, processing_ms, .. } = end;
                let (percent, processing_ms) = (*percent, *processing_ms);
                let (report, worker) = (report.as_str(), end.worker.as_deref());
                let outcome = Outcome { processing_ms, percent, error, report, worker };
                self.move_to(batch, &row, state, outcome).map(|affected| Ok(vec![affected]))
            }
            Ok(_) => Ok(Err(Rejected::Stale)),
            Err(refusal) => Ok(Err(Rejected::Refused(refusal))),
        }
    }

    /// Moves an action to another state than Queued, with the times that go with it (Q9); the outcome is written if that
    /// state is final. Returns the action as it is then.
    pub(super) fn move_to(
        &mut self,
        batch: &Batch,
        row: &Row,
        state: State,
        outcome: Outcome<'_>,
    ) -> Applied<Affected> {
        let id = number(row.id);
        let mut moved = Row { state, ..*row };
        let mut finished_at = None;
        if state.is_final() {
            let earlier = row.started_at.unwrap_or(row.queued_at);
            let ended_at = not_before(batch.now, earlier);
            finished_at = Some(ended_at);
            moved.not_before = None;
            let Outcome { processing_ms, percent, error, report, worker } = outcome;
            let percent = if state == State::Finished { 100.0 } else { percent };
            self.run(
                "UPDATE action SET state = ?2, finished_at = ?3, processing_ms = ?4, percent = ?5, error = ?6,
                 report = ?7, not_before = NULL, worker = coalesce(?8, worker), note = NULL WHERE id = ?1",
                params![id, state as u8, ended_at.0, processing_ms, percent, error, report, worker],
            )?;
            if !batch.keep_parameters {
                self.run("DELETE FROM parameters WHERE id = ?1 AND submission_key IS NULL", [id])?;
            }
            if state == State::Cancelled && row.started_at.is_some() {
                // It was cancelled elsewhere, and never ran.
                moved.started_at = None;
                self.run("UPDATE action SET started_at = NULL WHERE id = ?1", [id])?;
            }
        } else {
            self.run("UPDATE action SET state = ?2 WHERE id = ?1", params![id, state as u8])?;
        }
        self.note(batch.queue, Some(row), moved)?;
        if let Some(kind) = EventKind::of_end(state) {
            self.tell(batch, kind, row.id)?;
        }
        Ok(moved.affected(finished_at, Verdict::Move(state)))
    }

    /// Updates the data in memory after a row was written: the counts (Q10), the deferred actions and the running rows.
    /// `from` is the row before, if it existed. If the action no longer waits, returns its parameters from the cache.
    pub(super) fn note(
        &mut self,
        queue: QueueId,
        from: Option<&Row>,
        row: Row,
    ) -> Applied<Option<Parameters>> {
        if row.state.is_running() {
            self.running.insert(row.id, (queue, row));
        } else {
            self.running.remove(&row.id);
        }
        let waited = from.is_some_and(|from| from.state == State::Queued);
        let waits_no_more = waited && row.state != State::Queued;
        let cached = if waits_no_more { self.parameters.take(row.id) } else { None };
        let queue = self.queue_mut(queue)?;
        if let Some(from) = from {
            queue.counts.take(from.state);
            if let Some(not_before) = from.not_before {
                queue.deferred.take(not_before);
            }
        }
        queue.counts.add(row.state, 1);
        if let Some(not_before) = row.not_before {
            queue.deferred.add(not_before);
        }
        queue.dirty = true;
        Ok(cached)
    }

    pub(super) fn row(&self, queue: QueueId, id: ActionId) -> Applied<Option<Row>> {
        if let Some((of, row)) = self.running.get(&id) {
            return Ok((*of == queue).then_some(*row));
        }
        Ok(self
            .connection
            .prepare_cached(
                "SELECT id, state, attempt, queued_at, started_at, priority, failures, restarts, not_before
                 FROM action WHERE id = ?1 AND queue = ?2",
            )?
            .query_row(params![number(id), queue.0], Row::read)
            .optional()?)
    }

    fn running_rows(&self, queue: QueueId) -> Applied<Vec<Row>> {
        let mut rows = Vec::new();
        let mut statement = self.connection.prepare_cached(concat!(
            "SELECT id, state, attempt, queued_at, started_at, priority, failures, restarts, not_before
             FROM action INDEXED BY by_state WHERE queue = ?1 AND state = ?2 AND ",
            in_by_state!(),
            " ORDER BY id"
        ))?;
        for state in State::ALL.into_iter().filter(|s| s.is_running()) {
            for row in statement.query_map(params![queue.0, state as u8], Row::read)? {
                rows.push(row?);
            }
        }
        Ok(rows)
    }

    fn set_paused(&mut self, queue: QueueId, paused: bool) -> Applied<()> {
        let queue = self.queue_mut(queue)?;
        queue.dirty |= queue.paused != paused;
        queue.paused = paused;
        Ok(())
    }
}

/// The columns that the end of an action sets.
#[derive(Default)]
pub(super) struct Outcome<'a> {
    pub(super) processing_ms: i64,
    pub(super) percent: f64,
    pub(super) error: Option<&'a str>,
    pub(super) report: Option<&'a str>,
    pub(super) worker: Option<&'a str>,
}
