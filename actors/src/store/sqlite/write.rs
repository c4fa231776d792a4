//! What the writing thread does: groups of batches, each group one transaction, and each batch
//! alone where the group fails. What a change does to the rows is in [`super::changes`], what is
//! deleted in [`super::retention`], what is done where there is no room for more in `room`, how
//! its log stays short in `log_length`.

mod log_length;
mod room;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement, params};

use super::checkpoint::Checkpointer;
use super::errors::store_error;
use super::files::DatabaseFiles;
use super::parameter_cache::ParameterCache;
use super::pending::{PendingAnswer, PendingBatch};
use super::reader_pool::ReaderPool;
use super::reserve::Reserve;
use super::rows::{Row, counts_from_text, counts_to_text};
use crate::action::ActionId;
use crate::store::{Batch, BatchReply, Counts, QueueId, QueueState, Rejected, StoreError, Unread};

/// The writing connection, and what it knows without asking.
pub(super) struct Writer<'c> {
    pub(super) connection: &'c Connection,
    /// What was run before, by the text's own address: the same text elsewhere is only prepared twice.
    statements: Vec<(&'static str, Statement<'c>)>,
    path: PathBuf,
    files: &'c mut DatabaseFiles,
    reserve: Reserve,
    pub(super) known: Known,
    /// When the limit on the size of files was looked at.
    looked: Instant,
    /// The rows of actions that run, as far as this writer started them: their next change is due
    /// soon. Forgotten when a transaction fails.
    pub(super) running: HashMap<ActionId, (QueueId, Row)>,
    /// What they were given that wait; forgotten then, too.
    pub(super) parameters: ParameterCache,
    /// Those who read must learn of every change.
    pool: Arc<ReaderPool>,
    /// Makes checkpoints beside this thread; without one they are made here alone.
    checkpointer: Option<Checkpointer>,
    /// The checkpointer was asked, and what came into the log meanwhile is still to be copied.
    is_checkpointing: bool,
    /// All of the log may be in the database: it begins anew with the next transaction if nobody reads it.
    is_checkpointed: bool,
    /// Number of pages of the log after which SQLite makes a checkpoint itself.
    max_log_pages: u64,
    /// Why submissions are refused while the reserve is given.
    why: StoreError,
}

/// What is true of the whole store between transactions; put back when one fails.
#[derive(Clone)]
pub(super) struct Known {
    /// The highest id ever given out.
    pub(super) last_id: u64,
    /// Whether its row was deleted, so that nothing but `meta` can tell it any more (Q1).
    pub(super) last_is_gone: bool,
    queues: HashMap<QueueId, Queue>,
}

#[derive(Clone, Copy)]
pub(super) struct Queue {
    pub(super) paused: bool,
    pub(super) counts: Counts,
    /// Whether its row must be written before the transaction ends.
    pub(super) changed: bool,
}

/// A failure that undoes the transaction.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Store(StoreError),
    /// What this action was given can't be read.
    Unreadable(ActionId, StoreError),
}

/// A transaction that was undone.
struct Failed {
    error: StoreError,
    cause: Cause,
}

/// Why a transaction was undone.
#[derive(Clone, Copy)]
enum Cause {
    /// Nothing more can be written, or not so much: control has what is kept back for it.
    NoRoom,
    /// This action can't be read.
    Unreadable(ActionId),
    Other,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

pub(super) type Applied<T> = Result<T, Failure>;

impl Known {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let last_id = connection.query_row(
            "SELECT max(last_id, (SELECT coalesce(max(id), 0) FROM action)) FROM meta",
            [],
            |row| row.get(0),
        )?;
        Ok(Self { last_id, last_is_gone: false, queues: HashMap::new() })
    }
}

impl<'c> Writer<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        path: PathBuf,
        files: &'c mut DatabaseFiles,
        reserve: Reserve,
        known: Known,
        pool: Arc<ReaderPool>,
        checkpointer: Option<Checkpointer>,
    ) -> Self {
        let mut writer = Self {
            connection,
            statements: Vec::new(),
            path,
            files,
            reserve,
            known,
            looked: Instant::now(),
            running: HashMap::new(),
            parameters: ParameterCache::default(),
            pool,
            checkpointer,
            is_checkpointing: false,
            is_checkpointed: false,
            max_log_pages: 0,
            why: StoreError::Full,
        };
        writer.limit_log();
        writer
    }

    pub(super) fn open_queue(&mut self, name: &str) -> Result<QueueState, StoreError> {
        if name.contains('\0') {
            // SQLite's comparison without case ends there: two names would be one queue.
            return Err(StoreError::Io(format!("the name of queue {name:?} contains a NUL")));
        }
        let open = |writer: &Self| {
            let opened = writer.connection.query_row(
                // The update that changes nothing makes RETURNING give the row that is already there.
                "INSERT INTO queue (name, counts) VALUES (?1, '[]')
                 ON CONFLICT (name) DO UPDATE SET name = name RETURNING id, paused, counts",
                [name],
                |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)),
            );
            opened.map_err(|e| writer.failed(&e))
        };
        let opened = match open(self) {
            Err(Failed { error, cause: Cause::NoRoom }) if self.give_reserve(error.clone()) => {
                open(self)
            }
            other => other,
        };
        let (id, paused, counts) = opened.map_err(|failed| failed.error)?;
        let counts = counts_from_text(&counts)
            .ok_or_else(|| self.corrupt(format!("the counts of queue {name} are unreadable")))?;
        let id = QueueId(id);
        self.known.queues.insert(id, Queue { paused, counts, changed: false });
        Ok(QueueState { id, paused, counts })
    }

    /// Writes the whole group as one transaction and answers each batch of it. If that fails, each
    /// batch is tried alone, and then its controls without its submissions, so that one caller's
    /// trouble stays its own and control gets through where it can. Once the disk is full, controls
    /// have the reserve, and submissions are not tried. Where the file is gone, nothing is: no later
    /// server would know of it.
    pub(super) fn commit(&mut self, group: &mut Vec<PendingBatch>) {
        if group.is_empty() {
            return;
        }
        let sealed: Vec<(Batch, PendingAnswer)> =
            group.drain(..).filter_map(PendingBatch::seal).collect();
        let now = Instant::now();
        if let Err(error) = self.files.check(now) {
            for (_, pending) in sealed {
                pending.send(Err(error.clone()));
            }
            return;
        }
        let batches: Vec<&Batch> = sealed.iter().map(|(batch, _)| batch).collect();
        self.look_at_room(now);
        if self.is_checkpointed || self.reserve.is_given() {
            // On a full disk the log must begin anew as soon as it can.
            self.pool.let_go();
        }
        let answers: Vec<Result<BatchReply, StoreError>> = if self.reserve.is_given() {
            batches.iter().map(|batch| self.commit_on_full_disk(batch)).collect()
        } else {
            self.commit_all(&batches)
        };
        self.pool.note_change();
        for ((_, pending), answer) in sealed.into_iter().zip(answers) {
            pending.send(answer);
        }
        self.keep_log_short();
    }

    /// Tells whether something runs, as far as is known here: then nobody may come for hours.
    pub(super) fn something_runs(&self) -> bool {
        self.known.queues.values().any(|queue| queue.counts.running() > 0)
    }

    /// Looks at the files of the database while nothing is asked, so that the log tells what is wrong.
    pub(super) fn look_at_files(&mut self) {
        // Whoever wants a change is told by its own look.
        let _ = self.files.check(Instant::now());
    }

    fn commit_all(&mut self, batches: &[&Batch]) -> Vec<Result<BatchReply, StoreError>> {
        match self.transaction(|writer| {
            batches.iter().map(|batch| writer.apply(batch)).collect::<Applied<Vec<_>>>()
        }) {
            Ok(replies) => replies.into_iter().map(Ok).collect(),
            Err(Failed { error, cause }) => {
                let batches_of = if batches.len() == 1 { "batch" } else { "batches" };
                log::warn!("a transaction of {} {batches_of} failed: {error}", batches.len());
                if matches!(cause, Cause::NoRoom) && self.give_reserve(error.clone()) {
                    batches.iter().map(|batch| self.commit_on_full_disk(batch)).collect()
                } else {
                    batches.iter().map(|batch| self.commit_parts(batch, &error)).collect()
                }
            }
        }
    }

    /// Commits what a full disk must not hold up: the controls, and starts while there is room for
    /// their results. Submissions are refused.
    fn commit_on_full_disk(&mut self, batch: &Batch) -> Result<BatchReply, StoreError> {
        let claim = if self.reserve.has_room_for_starts() { batch.claim } else { 0 };
        let rest = without_submissions(batch, claim);
        let why = self.why.clone();
        let committed = match self.commit_parts(&rest, &why) {
            Err(StoreError::Full) => {
                self.limit_log();
                self.commit_parts(&rest, &why)
            }
            other => other,
        };
        Ok(refusing_submissions(committed?, batch, &why))
    }

    /// Commits one batch alone, in parts if it must be: what can't be done must not hold up the rest.
    fn commit_parts(
        &mut self,
        batch: &Batch,
        first: &StoreError,
    ) -> Result<BatchReply, StoreError> {
        let mut failed = match self.commit_one(batch) {
            Ok(reply) => return Ok(reply),
            Err(failed) => failed,
        };
        // One action that can't be read is ended, and the others start.
        let mut unread = Vec::new();
        for _ in 0..batch.claim {
            let Cause::Unreadable(id) = failed.cause else { break };
            let Ok(ended) = self.give_up(batch, id, &failed.error) else { break };
            unread.extend(ended);
            failed = match self.commit_one(batch) {
                Ok(reply) => return Ok(BatchReply { unread, ..reply }),
                Err(failed) => failed,
            };
        }
        if let Ok(reply) = self.commit_one(&Batch { claim: 0, ..batch.clone() }) {
            return Ok(BatchReply { unread, ..reply });
        }
        if batch.submissions.is_empty() {
            return Err(failed.error);
        }
        let controls = without_submissions(batch, 0);
        let reply = self.commit_one(&controls).map_err(|_| first.clone())?;
        let reply = BatchReply { unread, ..reply };
        Ok(refusing_submissions(reply, batch, &failed.error))
    }

    fn commit_one(&mut self, batch: &Batch) -> Result<BatchReply, Failed> {
        self.transaction(|writer| writer.apply(batch))
    }

    /// Ends an action whose parameters can't be read, so that it holds up no other.
    fn give_up(
        &mut self,
        batch: &Batch,
        id: ActionId,
        error: &StoreError,
    ) -> Result<Option<Unread>, Failed> {
        log::error!("action {id} can't be started: {error}");
        self.transaction(|writer| writer.fail_unread(batch, id, error))
    }

    /// Does something as one transaction, or not at all.
    fn transaction<T>(&mut self, apply: impl FnOnce(&mut Self) -> Applied<T>) -> Result<T, Failed> {
        let before = self.known.clone();
        let applied = self.apply_all(apply);
        if applied.is_err() {
            self.known = before;
            self.running.clear();
            self.parameters.clear();
            if !self.connection.is_autocommit() {
                // A failed commit may have rolled back already; then there is nothing to undo.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
        applied.map_err(|failure| match failure {
            Failure::Sqlite(error) => self.failed(&error),
            Failure::Store(error) => Failed { error, cause: Cause::Other },
            Failure::Unreadable(id, error) => Failed { error, cause: Cause::Unreadable(id) },
        })
    }

    fn apply_all<T>(&mut self, apply: impl FnOnce(&mut Self) -> Applied<T>) -> Applied<T> {
        self.run("BEGIN IMMEDIATE", [])?;
        let applied = apply(self)?;
        if std::mem::take(&mut self.known.last_is_gone) {
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
        Ok(applied)
    }

    pub(super) fn queue_mut(&mut self, id: QueueId) -> Applied<&mut Queue> {
        self.known.queues.get_mut(&id).ok_or_else(|| {
            Failure::Store(StoreError::Io(format!("queue number {} was never opened", id.0)))
        })
    }

    /// Runs a statement that is prepared once: the connection's own cache would look it up, and put
    /// it back, by its whole text each time.
    pub(super) fn run(&mut self, sql: &'static str, params: impl rusqlite::Params) -> Applied<()> {
        let prepared = self.statements.iter_mut().find(|(text, _)| std::ptr::eq(*text, sql));
        if let Some((_, statement)) = prepared {
            statement.execute(params)?;
            return Ok(());
        }
        let mut statement = self.connection.prepare(sql)?;
        statement.execute(params)?;
        self.statements.push((sql, statement));
        Ok(())
    }

    pub(super) fn corrupt(&self, reason: String) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), reason }
    }

    pub(super) fn store_error(&self, error: &rusqlite::Error) -> StoreError {
        store_error(error, &self.path)
    }

    /// Writes the write-ahead log into the file, so that a copy of the file alone is complete.
    pub(super) fn close(mut self) {
        self.checkpointer = None;
        // A store that was dropped and not closed has left the snapshots of its last reads: the checkpoint would
        // wait for them some seconds, and whoever wants the directory as long.
        self.pool.close();
        // Else nothing would tell of a file that went while nothing was written.
        self.files.look();
        if self.files.is_overwritten() {
            // What this process believes to be in the log must not go into the database.
            let kept =
                self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            if let Err(error) = kept {
                log::error!("{}: {error}", self.path.display());
            }
            return;
        }
        let done = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = done {
            log::warn!(
                "{}: the write-ahead log stays beside the file: {error}",
                self.path.display()
            );
        }
    }
}

/// The batch as it would be if nobody had submitted.
fn without_submissions(batch: &Batch, claim: usize) -> Batch {
    Batch { controls: batch.controls.clone(), submissions: Vec::new(), claim, ..*batch }
}

/// Makes the answer to [`without_submissions`] that to the batch itself.
fn refusing_submissions(mut reply: BatchReply, batch: &Batch, error: &StoreError) -> BatchReply {
    let refused = || Err(Rejected::Store(error.clone()));
    reply.submissions = batch.submissions.iter().map(|_| refused()).collect();
    reply
}
