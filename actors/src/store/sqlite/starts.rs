//! Submissions and starts of actions within a transaction.

use std::cmp::Reverse;

use rusqlite::{OptionalExtension as _, params};

use super::changes::Outcome;
use super::rows::{Row, number};
use super::schema::in_by_state;
use super::write::{Applied, ApplyError, Writer};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::key::SubmissionKey;
use crate::lifecycle::{Command, Ended, Verdict, decide, not_before};
use crate::store::{
    Batch, Claimed, NewAction, Origin, QueueId, Rejected, StoreError, Submitted, Unread,
};

/// The number of an action's first attempt.
pub(super) const FIRST_ATTEMPT: u32 = 1;

impl Writer<'_> {
    /// Queues an action, or starts it right away if `at_once` is set.
    pub(super) fn submit(
        &mut self,
        batch: &Batch,
        new: &NewAction,
        at_once: bool,
    ) -> Applied<Result<Submitted, Rejected>> {
        if let NewAction::Given { key: Some(key), parameters, .. } = new
            && let Some(first) = self.submitted_under(batch.queue, key)?
        {
            return self.repeat(key, first, parameters);
        }
        let scheduled = match self.admit_scheduled(new)? {
            Ok(scheduled) => scheduled,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let counts = self.queue_mut(batch.queue)?.counts;
        if batch.max_queued.is_some_and(|max| counts.queued() >= max) {
            return Ok(Err(Rejected::QueueFull));
        }
        let source = match new {
            NewAction::Given { .. } => None,
            NewAction::CopyOf { id, .. } => {
                let Some(row) = self.row(batch.queue, *id)? else {
                    return Ok(Err(Rejected::Unknown));
                };
                match self.decide(&row, Command::Duplicate)? {
                    Ok(_) => Some(row),
                    Err(refusal) => return Ok(Err(Rejected::Refused(refusal))),
                }
            }
        };
        let Some(id) = ActionId::new(self.tables.last_id + 1) else {
            return Ok(Err(Rejected::Store(StoreError::Io(
                "all action ids are used up".to_owned(),
            ))));
        };
        self.tables.last_id = id.get();
        let (NewAction::Given { queued_at, .. } | NewAction::CopyOf { queued_at, .. }) = new;
        let priority = match (new, &source) {
            (NewAction::Given { priority, .. }, _) => *priority,
            (NewAction::CopyOf { .. }, source) => source.as_ref().map_or(0, |row| row.priority),
        };
        let deferred = match (new, &source) {
            (NewAction::Given { not_before, .. }, _) => *not_before,
            // What waits for its next attempt waits for a time that concerns only that.
            (NewAction::CopyOf { .. }, source) => {
                source.as_ref().filter(|row| row.attempt == 0).and_then(|row| row.not_before)
            }
        };
        let deferred = deferred.filter(|time| *time > batch.now);
        let (state, attempt, started_at) = match decide(State::Queued, Command::Start) {
            Ok(Verdict::Move(state)) if at_once => {
                (state, FIRST_ATTEMPT, Some(not_before(batch.now, *queued_at)))
            }
            _ => (State::Queued, 0, None),
        };
        let queued_at = *queued_at;
        let row = Row {
            id,
            state,
            attempt,
            queued_at,
            started_at,
            priority,
            failures: 0,
            restarts: 0,
            not_before: deferred,
        };
        self.run(
            "INSERT INTO action (id, queue, state, priority, attempt, queued_at, started_at, not_before)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                number(id),
                batch.queue.0,
                row.stored_state(),
                priority,
                attempt,
                queued_at.0,
                started_at.map(|time| time.0),
                deferred.map(|time| time.0)
            ],
        )?;
        self.write_origin(id, new)?;
        self.note_scheduled(scheduled, batch.queue, id)?;
        let starts_soon = state == State::Queued && deferred.is_none();
        self.write_parameters(batch.queue, id, new, starts_soon)?;
        self.note(batch.queue, None, row)?;
        Ok(Ok(Submitted { id, queued_at, taken_by: None }))
    }

    /// Writes what a new action brings beside its parameters. Most bring nothing.
    fn write_origin(&mut self, id: ActionId, new: &NewAction) -> Applied<()> {
        let origin = match new {
            NewAction::Given { origin, .. } => origin.clone(),
            NewAction::CopyOf { id: source, .. } => {
                self.origin(*source)?.and_then(|origin| origin.of_copy())
            }
        };
        let Some(origin) = origin.filter(|origin| !origin.is_empty()) else { return Ok(()) };
        let text = serde_json::to_string(&origin)
            .map_err(|e| ApplyError::Store(StoreError::Io(e.to_string())))?;
        self.run(
            "UPDATE action SET action_id = ?2, origin = ?3 WHERE id = ?1",
            params![number(id), origin.action_id, text],
        )
    }

    fn origin(&self, id: ActionId) -> Applied<Option<Box<Origin>>> {
        let mut statement =
            self.connection.prepare_cached("SELECT origin FROM action WHERE id = ?1")?;
        let text: Option<Option<String>> =
            statement.query_row([number(id)], |row| row.get(0)).optional()?;
        let origin = text.flatten().map(|text| serde_json::from_str(&text)).transpose();
        origin.map_err(|e| {
            let reason = format!("the origin of action {id} is unreadable: {e}");
            ApplyError::Store(self.corrupt(reason))
        })
    }

    /// Writes the parameters and the key of a new action; also caches the parameters if the action starts soon.
    fn write_parameters(
        &mut self,
        queue: QueueId,
        id: ActionId,
        new: &NewAction,
        starts_soon: bool,
    ) -> Applied<()> {
        let (parameters, key) = match new {
            NewAction::Given { parameters, key, .. } => (parameters, key),
            NewAction::CopyOf { id: source, .. } => {
                return self.run(
                    "INSERT INTO parameters (id, value) SELECT ?1, value FROM parameters WHERE id = ?2",
                    params![number(id), number(*source)],
                );
            }
        };
        self.run(
            "INSERT INTO parameters (id, submission_key, value) VALUES (?1, ?2, ?3)",
            params![number(id), key.as_ref().map(SubmissionKey::as_str), to_json(parameters)?],
        )?;
        if starts_soon {
            self.parameters.keep(id, parameters);
        }
        if let Some(key) = key {
            self.run(
                "INSERT INTO submission_key (queue, key, id) VALUES (?1, ?2, ?3)",
                params![queue.0, key.as_str(), number(id)],
            )?;
        }
        Ok(())
    }

    fn submitted_under(&self, queue: QueueId, key: &SubmissionKey) -> Applied<Option<Submitted>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT a.id, a.queued_at FROM submission_key k JOIN action a ON a.id = k.id
             WHERE k.queue = ?1 AND k.key = ?2",
        )?;
        let found = statement
            .query_row(params![queue.0, key.as_str()], |row| {
                Ok((row.get::<_, u64>(0)?, row.get(1)?))
            })
            .optional()?;
        Ok(found.and_then(|(id, queued_at)| {
            let (id, queued_at) = (ActionId::new(id)?, Timestamp(queued_at));
            Some(Submitted { id, queued_at, taken_by: None })
        }))
    }

    /// Answers a submission under the key of a `first` one: with that one, if it repeats it.
    fn repeat(
        &self,
        key: &SubmissionKey,
        first: Submitted,
        again: &Parameters,
    ) -> Applied<Result<Submitted, Rejected>> {
        match self.parameters(first.id) {
            Ok(before) if key.is_repeat(&before, again) => Ok(Ok(first)),
            Ok(_) => Ok(Err(Rejected::KeyTaken)),
            // Only this submission fails: the damaged action stays as it is.
            Err(ApplyError::Unreadable(_, error)) => Ok(Err(Rejected::Store(error))),
            Err(other) => Err(other),
        }
    }

    /// Gives free slots to the waiting actions that are next (Q8), unless the queue is paused (Q12).
    pub(super) fn claim(&mut self, batch: &Batch) -> Applied<Vec<(Reverse<i32>, Claimed)>> {
        let queue = self.queue_mut(batch.queue)?;
        if batch.claim == 0 || queue.paused || queue.ready() == 0 {
            return Ok(Vec::new());
        }
        let next: Vec<Row> = self
            .connection
            .prepare_cached(concat!(
                "SELECT id, state, attempt, queued_at, started_at, priority
                     FROM action INDEXED BY by_state WHERE queue = ?1 AND state = ?2 AND ",
                in_by_state!(),
                " ORDER BY priority DESC, id LIMIT ?3"
            ))?
            .query_map(params![batch.queue.0, State::Queued as u8, batch.claim], Row::read_fresh)?
            .collect::<rusqlite::Result<_>>()?;
        let mut claimed = Vec::with_capacity(next.len());
        for row in next {
            let row = self.with_counters(batch.queue, row)?;
            let Some((row, started_at, cached)) = self.start(batch, row)? else { continue };
            let parameters = match cached {
                Some(parameters) => parameters,
                None => self.parameters(row.id)?,
            };
            claimed.push((Reverse(row.priority), row.claimed(started_at, parameters)));
        }
        Ok(claimed)
    }

    /// Reads the counters of an action that was started before. Most start for the first time, and have none.
    fn with_counters(&self, queue: QueueId, row: Row) -> Applied<Row> {
        let again = if row.attempt > 0 { self.row(queue, row.id)? } else { None };
        Ok(again.unwrap_or(row))
    }

    /// Starts a waiting action; returns its row after that, its start time, and its parameters if they were cached.
    fn start(
        &mut self,
        batch: &Batch,
        row: Row,
    ) -> Applied<Option<(Row, Timestamp, Option<Parameters>)>> {
        let Ok(Verdict::Move(state)) = decide(row.state, Command::Start) else { return Ok(None) };
        let attempt = row.attempt.saturating_add(1);
        let started_at = not_before(batch.now, row.queued_at);
        self.run(
            "UPDATE action SET state = ?2, attempt = ?3, started_at = ?4, worker = NULL WHERE id = ?1",
            params![number(row.id), state as u8, attempt, started_at.0],
        )?;
        let started = Row { state, attempt, started_at: Some(started_at), not_before: None, ..row };
        let cached = self.note(batch.queue, Some(&row), started)?;
        Ok(Some((started, started_at, cached)))
    }

    /// Starts an action and ends it at once, because its parameters can't be read.
    pub(super) fn fail_unreadable(
        &mut self,
        batch: &Batch,
        id: ActionId,
        error: &StoreError,
    ) -> Applied<Option<Unread>> {
        let Some(row) = self.row(batch.queue, id)? else { return Ok(None) };
        let Some((row, ..)) = self.start(batch, row)? else { return Ok(None) };
        self.end_unreadable(batch, &row, error)
    }

    /// Ends an action that runs, because its parameters can't be read.
    pub(super) fn end_unreadable(
        &mut self,
        batch: &Batch,
        row: &Row,
        error: &StoreError,
    ) -> Applied<Option<Unread>> {
        let Ok(Verdict::Move(state)) = decide(row.state, Command::End(Ended::Failed)) else {
            return Ok(None);
        };
        log::warn!("what action {} was given can't be read: {error}", row.id);
        let error = format!("what the action was given can't be read: {}", error.without_paths());
        let outcome = Outcome { error: Some(&error), ..Outcome::default() };
        let action = self.move_to(batch, row, state, outcome)?;
        Ok(Some(Unread { action, error }))
    }

    pub(super) fn parameters(&self, id: ActionId) -> Applied<Parameters> {
        let read = || -> rusqlite::Result<String> {
            self.connection
                .prepare_cached("SELECT value FROM parameters WHERE id = ?1")?
                .query_row([number(id)], |row| row.get(0))
        };
        let text = read().map_err(|e| ApplyError::Unreadable(id, self.store_error(&e)))?;
        serde_json::from_str(&text).map_err(|e| {
            let reason = format!("the parameters of action {id} are unreadable: {e}");
            ApplyError::Unreadable(id, self.corrupt(reason))
        })
    }
}

fn to_json(value: &Parameters) -> Applied<String> {
    serde_json::to_string(value).map_err(|e| ApplyError::Store(StoreError::Io(e.to_string())))
}
