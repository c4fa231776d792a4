//! Attempts that end without ending their action, and what follows them: retries, past attempts, notes, and attempts that go
//! on after a restart.

use rusqlite::{OptionalExtension as _, params};

use super::errors::store_error;
use super::read::Reader;
use super::rows::{Row, number, past_attempt};
use super::write::{Applied, ApplyError, Writer};
use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::{Verdict, is_current, outcome_of_error};
use crate::store::again::{Again, Counted};
use crate::store::{Affected, Batch, PastAttempt, QueueId, Rejected, Resumed, StoreError, Unread};

/// The attempts that go on after a restart, and those that can't, because their parameters can't be read.
#[derive(Default)]
pub(super) struct Found {
    pub(super) resumed: Vec<Resumed>,
    pub(super) unread: Vec<Unread>,
}

impl Writer<'_> {
    /// Moves an action back to the queue.
    pub(super) fn requeue(
        &mut self,
        batch: &Batch,
        row: &Row,
        again: &Again<'_>,
    ) -> Applied<Affected> {
        let Again { worker, error, counted, not_before: wait, .. } = *again;
        let Counted { failures, restarts } = counted;
        let started_at = row.started_at.unwrap_or(row.queued_at);
        self.keep_past(row.id, &again.past(row.attempt, started_at, batch.now))?;
        let moved = Row {
            state: State::Queued,
            started_at: None,
            failures,
            restarts,
            not_before: wait,
            ..*row
        };
        self.run(
            "UPDATE action SET state = ?2, started_at = NULL, not_before = ?3, failures = ?4, restarts = ?5,
             worker = ?6, error = coalesce(?7, error), note = NULL WHERE id = ?1",
            params![
                number(row.id),
                moved.stored_state(),
                wait.map(|time| time.0),
                failures,
                restarts,
                worker,
                error
            ],
        )?;
        self.note(batch.queue, Some(row), moved)?;
        Ok(moved.affected(None, Verdict::Move(State::Queued)))
    }

    /// Queues an action again that has ended in Error.
    pub(super) fn retry(&mut self, batch: &Batch, row: &Row) -> Applied<Affected> {
        let (ended_at, worker, error) = self
            .connection
            .prepare_cached(
                "SELECT finished_at, worker, substr(error, 1, ?2) FROM action WHERE id = ?1",
            )?
            .query_row(params![number(row.id), PastAttempt::MAX_ERROR], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?))
            })?;
        let started_at = row.started_at.unwrap_or(row.queued_at);
        let past = PastAttempt {
            attempt: row.attempt,
            started_at,
            ended_at: ended_at.map_or(started_at, Timestamp),
            ended: outcome_of_error(error.as_deref()),
            worker,
            error: error.map(|error| PastAttempt::cut(&error).to_owned()),
        };
        self.keep_past(row.id, &past)?;
        let moved =
            Row { state: State::Queued, started_at: None, failures: 0, restarts: 0, ..*row };
        self.run(
            "UPDATE action SET state = ?2, started_at = NULL, finished_at = NULL, processing_ms = 0, percent = 0,
             report = NULL, failures = 0, restarts = 0, note = NULL WHERE id = ?1",
            params![number(row.id), moved.stored_state()],
        )?;
        self.note(batch.queue, Some(row), moved)?;
        Ok(moved.affected(None, Verdict::Move(State::Queued)))
    }

    /// Lets an action that waits start as soon as there is a slot.
    pub(super) fn let_start(&mut self, batch: &Batch, row: &Row) -> Applied<Affected> {
        let ready = Row { not_before: None, ..*row };
        if row.not_before.is_some() {
            self.run(
                "UPDATE action SET state = ?2, not_before = NULL WHERE id = ?1",
                params![number(row.id), ready.stored_state()],
            )?;
            self.note(batch.queue, Some(row), ready)?;
        }
        Ok(ready.affected(None, Verdict::Stay))
    }

    /// Keeps an attempt among the past ones of its action, and of those the latest.
    fn keep_past(&mut self, id: ActionId, past: &PastAttempt) -> Applied<()> {
        let PastAttempt { attempt, started_at, ended_at, ended, worker, error } = past;
        let ended = ended.as_ref().map(serde_json::to_string).transpose();
        let ended = ended.map_err(|e| ApplyError::Store(StoreError::Io(e.to_string())))?;
        self.run(
            "INSERT OR REPLACE INTO history (id, attempt, started_at, ended_at, ended, worker, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![number(id), attempt, started_at.0, ended_at.0, ended, worker, error],
        )?;
        // Each attempt before the last has left one.
        let kept = u32::try_from(PastAttempt::KEPT).unwrap_or(u32::MAX);
        if let Some(last) = attempt.checked_sub(kept).filter(|last| *last > 0) {
            self.run(
                "DELETE FROM history WHERE id = ?1 AND attempt <= ?2",
                params![number(id), last],
            )?;
        }
        Ok(())
    }

    /// Returns the action, if this attempt runs.
    pub(super) fn current(
        &self,
        queue: QueueId,
        id: ActionId,
        attempt: u32,
    ) -> Applied<Result<Row, Rejected>> {
        let Some(row) = self.row(queue, id)? else { return Ok(Err(Rejected::Unknown)) };
        let is_current = is_current(row.state, row.attempt, attempt);
        Ok(if is_current { Ok(row) } else { Err(Rejected::Stale) })
    }

    /// Keeps a note with the attempt that runs.
    pub(super) fn keep_note(
        &mut self,
        queue: QueueId,
        id: ActionId,
        attempt: u32,
        note: &str,
    ) -> Applied<Result<Vec<Affected>, Rejected>> {
        let row = match self.current(queue, id, attempt)? {
            Ok(row) => row,
            Err(rejected) => return Ok(Err(rejected)),
        };
        self.run("UPDATE action SET note = ?2 WHERE id = ?1", params![number(id), note])?;
        Ok(Ok(vec![row.affected(None, Verdict::Stay)]))
    }

    /// Finds what an attempt needs to go on here. If its parameters can't be read, it ends.
    pub(super) fn resume(&mut self, batch: &Batch, row: &Row, found: &mut Found) -> Applied<()> {
        let parameters = match self.parameters(row.id) {
            Ok(parameters) => parameters,
            Err(ApplyError::Unreadable(id, error)) => {
                log::error!("action {id} can't go on: {error}");
                found.unread.extend(self.end_unreadable(batch, row, &error)?);
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let note = self
            .connection
            .prepare_cached("SELECT note FROM action WHERE id = ?1")?
            .query_row([number(row.id)], |row| row.get(0))?;
        let claimed = row.claimed(row.started_at.unwrap_or(row.queued_at), parameters);
        let (figures, partial) = (None, Vec::new());
        found.resumed.push(Resumed { claimed, state: row.state, note, figures, partial });
        Ok(())
    }
}

impl Reader {
    /// Reads the past attempts of an action, oldest first.
    pub(super) fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> Result<Vec<PastAttempt>, StoreError> {
        let read = || -> rusqlite::Result<Vec<PastAttempt>> {
            let mut of_queue = self
                .connection
                .prepare_cached("SELECT 1 FROM action WHERE id = ?1 AND queue = ?2")?;
            let known = of_queue.query_row(params![number(id), queue.0], |_| Ok(())).optional()?;
            if known.is_none() {
                return Ok(Vec::new());
            }
            self.connection
                .prepare_cached(
                    "SELECT attempt, started_at, ended_at, ended, worker, error FROM history
                     WHERE id = ?1 ORDER BY attempt",
                )?
                .query_map([number(id)], past_attempt)?
                .collect()
        };
        read().map_err(|e| store_error(&e, &self.path))
    }
}
