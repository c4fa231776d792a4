//! What the writing thread does: groups of batches, each group one transaction.

use std::collections::HashMap;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::oneshot;

use super::store_error;
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Command, Ended, OnRestart, Verdict, decide, is_current, not_before};
use crate::report::Report;
use crate::store::{
    Affected, AttemptEnd, Batch, BatchReply, Claimed, Control, Counts, NewAction, QueueId,
    QueueState, Rejected, Retention, StoreError, Submitted,
};

/// The error text of an action whose attempt was lost with the server.
const INTERRUPTED_BY_RESTART: &str = "interrupted by server restart";
/// The error text of an action whose attempt was ended by a shutdown.
const INTERRUPTED_BY_SHUTDOWN: &str = "interrupted by server shutdown";

/// How many old actions one batch deletes at most, besides two for each change it makes: retention
/// goes in small steps, and still faster than actions can end.
const PRUNE_STEP: u64 = 200;

pub(super) type CommitReply = oneshot::Sender<Result<BatchReply, StoreError>>;

/// The writing connection, and what it knows without asking: valid between transactions, and put
/// back when one fails.
pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    known: Known,
}

#[derive(Clone)]
struct Known {
    last_id: u64,
    queues: HashMap<QueueId, Queue>,
}

#[derive(Clone, Copy)]
struct Queue {
    paused: bool,
    counts: Counts,
    /// Whether its row must be written before the transaction ends.
    changed: bool,
}

/// A failure that undoes the transaction: of the database, or of a stored value that can't be read.
#[derive(Debug)]
enum Failure {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

type Applied<T> = Result<T, Failure>;

impl Writer {
    pub(super) fn new(connection: Connection, path: PathBuf) -> rusqlite::Result<Self> {
        let last_id = connection.query_row("SELECT last_id FROM meta", [], |row| row.get(0))?;
        Ok(Self { connection, path, known: Known { last_id, queues: HashMap::new() } })
    }

    pub(super) fn open_queue(&mut self, name: &str) -> Result<QueueState, StoreError> {
        let opened = self.connection.query_row(
            // The update that changes nothing makes RETURNING give the row that is already there.
            "INSERT INTO queue (name, counts) VALUES (?1, '[]')
             ON CONFLICT (name) DO UPDATE SET name = name RETURNING id, paused, counts",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)),
        );
        let (id, paused, counts) = opened.map_err(|e| store_error(&e, &self.path))?;
        let counts = counts_from_text(&counts)
            .ok_or_else(|| self.corrupt(format!("the counts of queue {name} are unreadable")))?;
        let id = QueueId(id);
        self.known.queues.insert(id, Queue { paused, counts, changed: false });
        Ok(QueueState { id, paused, counts })
    }

    /// Writes the whole group as one transaction and answers each batch of it. If that fails, each
    /// batch is tried alone, and then its controls without its submissions, so that one caller's
    /// trouble stays its own and control gets through where it can.
    pub(super) fn commit(&mut self, group: &mut Vec<(Batch, CommitReply)>) {
        if group.is_empty() {
            return;
        }
        let batches: Vec<&Batch> = group.iter().map(|(batch, _)| batch).collect();
        let answers: Vec<Result<BatchReply, StoreError>> = match self.transaction(&batches) {
            Ok(replies) => replies.into_iter().map(Ok).collect(),
            Err(error) => {
                log::warn!("a transaction of {} batches failed: {error}", batches.len());
                batches.iter().map(|batch| self.commit_parts(batch, &error)).collect()
            }
        };
        for ((_, reply), answer) in group.drain(..).zip(answers) {
            // A queue that has gone will read what was done when it comes back.
            let _ = reply.send(answer);
        }
    }

    /// Commits one batch alone, in parts if it must be.
    fn commit_parts(
        &mut self,
        batch: &Batch,
        first: &StoreError,
    ) -> Result<BatchReply, StoreError> {
        match self.transaction(&[batch]) {
            Ok(mut replies) => replies.pop().ok_or(StoreError::Closed),
            Err(error) if batch.submissions.is_empty() => Err(error),
            Err(error) => {
                let controls = Batch { submissions: Vec::new(), ..batch.clone() };
                let mut replies = self.transaction(&[&controls]).map_err(|_| first.clone())?;
                let mut reply = replies.pop().ok_or(StoreError::Closed)?;
                reply.submissions =
                    batch.submissions.iter().map(|_| Err(Rejected::Store(error.clone()))).collect();
                Ok(reply)
            }
        }
    }

    fn transaction(&mut self, batches: &[&Batch]) -> Result<Vec<BatchReply>, StoreError> {
        let before = self.known.clone();
        let applied = self.apply_all(batches);
        if applied.is_err() {
            self.known = before;
            if !self.connection.is_autocommit() {
                // A failed commit may have rolled back already; then there is nothing to undo.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
        applied.map_err(|failure| match failure {
            Failure::Sqlite(error) => store_error(&error, &self.path),
            Failure::Store(error) => error,
        })
    }

    fn apply_all(&mut self, batches: &[&Batch]) -> Applied<Vec<BatchReply>> {
        self.run("BEGIN IMMEDIATE", [])?;
        let last_id = self.known.last_id;
        let mut replies = Vec::with_capacity(batches.len());
        for batch in batches {
            replies.push(self.apply(batch)?);
        }
        if self.known.last_id != last_id {
            self.run("UPDATE meta SET last_id = ?1", [self.known.last_id])?;
        }
        let changed: Vec<_> =
            self.known.queues.iter().filter(|(_, q)| q.changed).map(|(id, q)| (*id, *q)).collect();
        for (id, queue) in changed {
            self.run(
                "UPDATE queue SET paused = ?2, counts = ?3 WHERE id = ?1",
                params![id.0, queue.paused, counts_to_text(&queue.counts)],
            )?;
            self.queue_mut(id)?.changed = false;
        }
        self.run("COMMIT", [])?;
        Ok(replies)
    }

    fn apply(&mut self, batch: &Batch) -> Applied<BatchReply> {
        let mut controls = Vec::with_capacity(batch.controls.len());
        for control in &batch.controls {
            controls.push(self.control(batch, control)?);
        }
        let mut submissions = Vec::with_capacity(batch.submissions.len());
        // What was just written need not be read back for the actions that start at once.
        let mut fresh = HashMap::new();
        for submission in &batch.submissions {
            let submitted = self.submit(batch, submission)?;
            if let (Ok(submitted), NewAction::Given { parameters, .. }) = (&submitted, submission)
                && fresh.len() < batch.claim
            {
                fresh.insert(submitted.id, parameters.clone());
            }
            submissions.push(submitted);
        }
        let claimed = self.claim(batch, &fresh)?;
        let step = PRUNE_STEP.saturating_add(2 * batch.controls.len() as u64);
        let more_to_prune = self.prune(batch.queue, batch.retention, step)?;
        let queue = self.queue_mut(batch.queue)?;
        Ok(BatchReply {
            controls,
            submissions,
            claimed,
            more_to_prune,
            counts: queue.counts,
            paused: queue.paused,
        })
    }

    fn control(
        &mut self,
        batch: &Batch,
        control: &Control,
    ) -> Applied<Result<Vec<Affected>, Rejected>> {
        match control {
            Control::Command { id, command } => {
                let Some(row) = self.row(batch.queue, *id)? else {
                    return Ok(Err(Rejected::Unknown));
                };
                let affected = match decide(row.state, *command) {
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
            Control::Recover { live, on_restart } => {
                let mut affected = Vec::new();
                for row in self.running_rows(batch.queue)? {
                    if !live.contains(&(row.id, row.attempt)) {
                        let command = Command::Recover(*on_restart);
                        if let Ok(verdict) = decide(row.state, command) {
                            affected.push(self.carry_out(batch, &row, command, verdict)?);
                        }
                    }
                }
                Ok(Ok(affected))
            }
        }
    }

    /// Gives a command to every action that holds a slot; those that refuse it are left alone.
    fn command_running(&mut self, batch: &Batch, command: Command) -> Applied<Vec<Affected>> {
        let mut affected = Vec::new();
        for row in self.running_rows(batch.queue)? {
            if let Ok(verdict) = decide(row.state, command) {
                affected.push(self.carry_out(batch, &row, command, verdict)?);
            }
        }
        Ok(affected)
    }

    /// Writes what the rules said of a command.
    fn carry_out(
        &mut self,
        batch: &Batch,
        row: &Row,
        command: Command,
        verdict: Verdict,
    ) -> Applied<Affected> {
        if let Command::ChangePriority(priority) = command {
            self.run(
                "UPDATE action SET priority = ?2 WHERE id = ?1",
                params![number(row.id), priority],
            )?;
        }
        let state = match verdict {
            Verdict::Move(state) => {
                self.move_to(batch, row, state, 0, 0.0)?;
                if state == State::Error {
                    self.keep_outcome(row.id, Some(INTERRUPTED_BY_RESTART), &Vec::new())?;
                }
                state
            }
            Verdict::Stay | Verdict::Force | Verdict::StatusOnly => row.state,
        };
        Ok(Affected { id: row.id, attempt: row.attempt, state, verdict })
    }

    fn end(&mut self, batch: &Batch, end: &AttemptEnd) -> Applied<Result<Vec<Affected>, Rejected>> {
        let Some(row) = self.row(batch.queue, end.id)? else {
            return Ok(Err(Rejected::Unknown));
        };
        if !is_current(row.state, row.attempt, end.attempt) {
            return Ok(Err(Rejected::Stale));
        }
        match decide(row.state, Command::End(end.ended)) {
            Ok(Verdict::Move(state)) => {
                self.move_to(batch, &row, state, end.processing_ms, end.percent)?;
                if state.is_final() {
                    let interrupted = matches!(end.ended, Ended::Interrupted(OnRestart::Fail));
                    let error = match &end.error {
                        None if interrupted && state == State::Error => {
                            Some(INTERRUPTED_BY_SHUTDOWN)
                        }
                        other => other.as_deref(),
                    };
                    self.keep_outcome(row.id, error, &end.report)?;
                }
                let verdict = Verdict::Move(state);
                Ok(Ok(vec![Affected { id: row.id, attempt: row.attempt, state, verdict }]))
            }
            Ok(_) => Ok(Err(Rejected::Stale)),
            Err(refusal) => Ok(Err(Rejected::Refused(refusal))),
        }
    }

    /// Moves an action to another state, with the times that go with it (Q9).
    fn move_to(
        &mut self,
        batch: &Batch,
        row: &Row,
        state: State,
        processing_ms: i64,
        percent: f64,
    ) -> Applied<()> {
        let id = number(row.id);
        match state {
            State::Queued => self.run(
                "UPDATE action SET state = ?2, started_at = NULL WHERE id = ?1",
                params![id, state as u8],
            )?,
            _ if state.is_final() => {
                let earlier = row.started_at.unwrap_or(row.queued_at);
                let finished_at = not_before(batch.now, earlier);
                let percent = if state == State::Finished { 100.0 } else { percent };
                self.run(
                    "UPDATE action SET state = ?2, finished_at = ?3, processing_ms = ?4,
                     percent = ?5 WHERE id = ?1",
                    params![id, state as u8, finished_at.0, processing_ms, percent],
                )?;
            }
            _ => {
                self.run("UPDATE action SET state = ?2 WHERE id = ?1", params![id, state as u8])?;
            }
        }
        let queue = self.queue_mut(batch.queue)?;
        queue.counts.take(row.state);
        queue.counts.add(state, 1);
        queue.changed = true;
        Ok(())
    }

    fn keep_outcome(&self, id: ActionId, error: Option<&str>, report: &Report) -> Applied<()> {
        if error.is_none() && report.is_empty() {
            return Ok(());
        }
        let report = (!report.is_empty()).then(|| to_json(report)).transpose()?;
        self.run(
            "INSERT OR REPLACE INTO outcome (id, error, report) VALUES (?1, ?2, ?3)",
            params![number(id), error, report],
        )
    }

    fn submit(&mut self, batch: &Batch, new: &NewAction) -> Applied<Result<Submitted, Rejected>> {
        if let NewAction::Given { key: Some(key), .. } = new
            && let Some(first) = self.submitted_under(batch.queue, key)?
        {
            return Ok(Ok(first));
        }
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
                match decide(row.state, Command::Duplicate) {
                    Ok(_) => Some(row),
                    Err(refusal) => return Ok(Err(Rejected::Refused(refusal))),
                }
            }
        };
        let Some(id) = ActionId::new(self.known.last_id + 1) else {
            return Ok(Err(Rejected::Store(StoreError::Io(
                "all action ids are used up".to_owned(),
            ))));
        };
        self.known.last_id = id.get();
        let (NewAction::Given { queued_at, .. } | NewAction::CopyOf { queued_at, .. }) = new;
        let priority = match (new, &source) {
            (NewAction::Given { priority, .. }, _) => *priority,
            (NewAction::CopyOf { .. }, source) => source.as_ref().map_or(0, |row| row.priority),
        };
        self.run(
            "INSERT INTO action (id, queue, state, priority, queued_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![number(id), batch.queue.0, State::Queued as u8, priority, queued_at.0],
        )?;
        match new {
            NewAction::Given { parameters, key, .. } => {
                self.run(
                    "INSERT INTO parameters (id, submission_key, value) VALUES (?1, ?2, ?3)",
                    params![number(id), key, to_json(parameters)?],
                )?;
                if let Some(key) = key {
                    self.run(
                        "INSERT INTO submission_key (queue, key, id) VALUES (?1, ?2, ?3)",
                        params![batch.queue.0, key, number(id)],
                    )?;
                }
            }
            NewAction::CopyOf { id: source, .. } => self.run(
                "INSERT INTO parameters (id, value) SELECT ?1, value FROM parameters WHERE id = ?2",
                params![number(id), number(*source)],
            )?,
        }
        let queue = self.queue_mut(batch.queue)?;
        queue.counts.add(State::Queued, 1);
        queue.changed = true;
        Ok(Ok(Submitted { id, queued_at: *queued_at }))
    }

    fn submitted_under(&self, queue: QueueId, key: &str) -> Applied<Option<Submitted>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT a.id, a.queued_at FROM submission_key k JOIN action a ON a.id = k.id
             WHERE k.queue = ?1 AND k.key = ?2",
        )?;
        let found = statement
            .query_row(params![queue.0, key], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.and_then(|(id, queued_at)| {
            Some(Submitted { id: ActionId::new(id)?, queued_at: Timestamp(queued_at) })
        }))
    }

    /// Gives free slots to the waiting actions that are next (Q8), unless the queue is paused (Q12).
    fn claim(
        &mut self,
        batch: &Batch,
        fresh: &HashMap<ActionId, Parameters>,
    ) -> Applied<Vec<Claimed>> {
        let queue = self.queue_mut(batch.queue)?;
        if batch.claim == 0 || queue.paused || queue.counts.queued() == 0 {
            return Ok(Vec::new());
        }
        let next: Vec<Row> = self
            .connection
            .prepare_cached(
                "SELECT id, state, attempt, queued_at, started_at, priority
                 FROM action INDEXED BY by_state
                 WHERE queue = ?1 AND state = ?2 ORDER BY priority DESC, id LIMIT ?3",
            )?
            .query_map(params![batch.queue.0, State::Queued as u8, batch.claim], Row::read)?
            .collect::<rusqlite::Result<_>>()?;
        let mut claimed = Vec::with_capacity(next.len());
        for row in next {
            let Ok(Verdict::Move(state)) = decide(row.state, Command::Start) else { continue };
            let attempt = row.attempt.saturating_add(1);
            let started_at = not_before(batch.now, row.queued_at);
            self.run(
                "UPDATE action SET state = ?2, attempt = ?3, started_at = ?4 WHERE id = ?1",
                params![number(row.id), state as u8, attempt, started_at.0],
            )?;
            let queue = self.queue_mut(batch.queue)?;
            queue.counts.take(row.state);
            queue.counts.add(state, 1);
            queue.changed = true;
            let parameters = match fresh.get(&row.id) {
                Some(parameters) => parameters.clone(),
                None => self.parameters(row.id)?,
            };
            claimed.push(Claimed { id: row.id, attempt, parameters });
        }
        Ok(claimed)
    }

    fn parameters(&self, id: ActionId) -> Applied<Parameters> {
        let text: String = self
            .connection
            .prepare_cached("SELECT value FROM parameters WHERE id = ?1")?
            .query_row([number(id)], |row| row.get(0))?;
        serde_json::from_str(&text).map_err(|e| {
            Failure::Store(
                self.corrupt(format!("the parameters of action {id} are unreadable: {e}")),
            )
        })
    }

    /// Deletes some of the final actions that need not be kept, the oldest first; tells whether
    /// there are more.
    fn prune(&mut self, queue: QueueId, retention: Retention, step: u64) -> Applied<bool> {
        let finished = self.queue_mut(queue)?.counts.finished();
        let too_many =
            retention.max_finished.map_or(0, |max| finished.saturating_sub(max)).min(step);
        if too_many == 0 && retention.finished_after.is_none() {
            return Ok(false);
        }
        let oldest: Vec<(u64, u8, i64)> = self
            .connection
            .prepare_cached(
                "SELECT id, state, finished_at FROM action INDEXED BY by_finished
                 WHERE queue = ?1 AND finished_at IS NOT NULL ORDER BY finished_at, id LIMIT ?2",
            )?
            .query_map(params![queue.0, step], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut deleted = 0;
        for (id, state, finished_at) in oldest {
            let too_old = retention.finished_after.is_some_and(|after| finished_at <= after.0);
            if deleted >= too_many && !too_old {
                break;
            }
            self.run(
                "DELETE FROM submission_key WHERE (queue, key) =
                 (SELECT ?2, submission_key FROM parameters WHERE id = ?1)",
                params![id, queue.0],
            )?;
            self.run("DELETE FROM action WHERE id = ?1", [id])?;
            self.run("DELETE FROM parameters WHERE id = ?1", [id])?;
            self.run("DELETE FROM outcome WHERE id = ?1", [id])?;
            if let Some(state) = State::ALL.get(usize::from(state)) {
                self.queue_mut(queue)?.counts.take(*state);
            }
            deleted += 1;
        }
        let queue = self.queue_mut(queue)?;
        queue.changed |= deleted > 0;
        Ok(deleted == step)
    }

    fn row(&self, queue: QueueId, id: ActionId) -> Applied<Option<Row>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT id, state, attempt, queued_at, started_at, priority FROM action
                 WHERE id = ?1 AND queue = ?2",
            )?
            .query_row(params![number(id), queue.0], Row::read)
            .optional()?)
    }

    fn running_rows(&self, queue: QueueId) -> Applied<Vec<Row>> {
        let mut rows = Vec::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT id, state, attempt, queued_at, started_at, priority
             FROM action INDEXED BY by_state WHERE queue = ?1 AND state = ?2 ORDER BY id",
        )?;
        for state in State::ALL.into_iter().filter(|s| s.is_running()) {
            for row in statement.query_map(params![queue.0, state as u8], Row::read)? {
                rows.push(row?);
            }
        }
        Ok(rows)
    }

    fn set_paused(&mut self, queue: QueueId, paused: bool) -> Applied<()> {
        let queue = self.queue_mut(queue)?;
        queue.changed |= queue.paused != paused;
        queue.paused = paused;
        Ok(())
    }

    fn queue_mut(&mut self, id: QueueId) -> Applied<&mut Queue> {
        self.known.queues.get_mut(&id).ok_or_else(|| {
            Failure::Store(StoreError::Io(format!("queue number {} was never opened", id.0)))
        })
    }

    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Applied<()> {
        self.connection.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }

    fn corrupt(&self, reason: String) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), reason }
    }

    /// Folds the write-ahead log into the file, so that a copy of the file alone is complete.
    pub(super) fn close(self) {
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded {
            log::warn!(
                "{}: the write-ahead log stays beside the file: {error}",
                self.path.display()
            );
        }
    }
}

/// What the rules need to know of an action.
struct Row {
    id: ActionId,
    state: State,
    attempt: u32,
    queued_at: Timestamp,
    started_at: Option<Timestamp>,
    priority: i32,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: super::read::id(row, 0)?,
            state: super::read::state(row, 1)?,
            attempt: row.get(2)?,
            queued_at: Timestamp(row.get(3)?),
            started_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            priority: row.get(5)?,
        })
    }
}

/// An id as SQLite takes it; ids have at most eleven digits.
fn number(id: ActionId) -> i64 {
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

fn to_json<T: serde::Serialize>(value: &T) -> Applied<String> {
    serde_json::to_string(value).map_err(|e| Failure::Store(StoreError::Io(e.to_string())))
}

fn counts_to_text(counts: &Counts) -> String {
    format!("{:?}", State::ALL.map(|state| counts.of(state)))
}

fn counts_from_text(text: &str) -> Option<Counts> {
    let numbers: Vec<u64> = serde_json::from_str(text).ok()?;
    let mut counts = Counts::default();
    for (state, number) in State::ALL.into_iter().zip(numbers) {
        counts.add(state, number);
    }
    Some(counts)
}
