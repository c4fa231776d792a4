//! The writer: commits groups of batches, each group as one transaction, and each batch alone if the group
//! fails.
//!
//! - changes to the rows: [`super::changes`], [`super::starts`]; deletion of old actions: [`super::retention`];
//! - `transaction`: begin, commit and rollback; `cached_tables`: the rows of `meta` and `queue` in memory;
//! - `room`: a full disk; `log_length`: when checkpoints are made; `shrink`: free space is given back; `size_limit`: a
//!   maximum size; `to_files`: a database in memory is written to files.

mod cached_tables;
mod log_length;
mod room;
mod shrink;
mod size_limit;
mod to_files;
mod transaction;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement};

use super::checkpoint::Checkpointer;
use super::deferred::{self, Deferred};
use super::errors::store_error;
use super::files::DatabaseFiles;
use super::in_memory::saving::Saving;
use super::parameter_cache::ParameterCache;
use super::reader_pool::ReaderPool;
use super::reserve::Reserve;
use super::rows::{Row, counts_from_text};
use crate::action::ActionId;
use crate::store::pending::{PendingAnswer, PendingBatch};
use crate::store::{Batch, BatchReply, QueueId, QueueState, Rejected, StoreError, Unread};
pub(super) use cached_tables::CachedTables;
use cached_tables::QueueRow;
use shrink::Shrinking;
pub(super) use shrink::rewrite;
pub(super) use size_limit::SizeLimit;
use to_files::WantedCopy;
pub(super) use transaction::{Applied, ApplyError};
use transaction::{Cause, RolledBack};

/// The writing connection, with all that it keeps in memory.
pub(super) struct Writer<'c> {
    pub(super) connection: &'c Connection,
    /// Prepared statements by the address of their text. The same text at another address is just prepared twice.
    statements: Vec<(&'static str, Statement<'c>)>,
    path: PathBuf,
    files: &'c mut DatabaseFiles,
    reserve: Reserve,
    pub(super) tables: CachedTables,
    /// Time of the last check of the limit on the size of files.
    limit_checked: Instant,
    /// Rows of running actions that this writer started: they change again soon. Cleared by a rollback.
    pub(super) running: HashMap<ActionId, (QueueId, Row)>,
    /// Parameters of waiting actions. Cleared by a rollback.
    pub(super) parameters: ParameterCache,
    /// Number of due actions that this transaction may still move; `None` if it must not move any.
    pub(super) moves_left: Option<u64>,
    /// The pool of readers, which must be told of every change.
    pool: Arc<ReaderPool>,
    /// Makes checkpoints on its own thread; without it they are made on this one.
    checkpointer: Option<Checkpointer>,
    /// True from a request to the checkpointer until the pages written meanwhile are copied, too.
    is_checkpointing: bool,
    /// True if all of the log may be in the database: it restarts with the next transaction if nobody reads it.
    is_checkpointed: bool,
    /// Number of pages of the log after which SQLite makes a checkpoint itself.
    max_log_pages: u64,
    /// Error with which submissions are refused while the reserve is released.
    submission_error: StoreError,
    shrinking: Shrinking,
    size_limit: SizeLimit,
    /// True while submissions are refused because of it.
    is_over_limit: bool,
    /// The file of a database in memory.
    saving: Option<Saving>,
    /// Copies of a database in memory that somebody waits for.
    copies: VecDeque<WantedCopy>,
    /// True while the file or a copy is written: pages must not be moved meanwhile.
    is_saving: bool,
}

/// The parts of a writer.
pub(super) struct Parts<'c> {
    pub(super) connection: &'c Connection,
    pub(super) path: PathBuf,
    pub(super) files: &'c mut DatabaseFiles,
    pub(super) reserve: Reserve,
    pub(super) tables: CachedTables,
    pub(super) pool: Arc<ReaderPool>,
    pub(super) checkpointer: Option<Checkpointer>,
    pub(super) size_limit: SizeLimit,
    pub(super) saving: Option<Saving>,
}

impl<'c> Writer<'c> {
    pub(super) fn new(parts: Parts<'c>) -> Self {
        let Parts {
            connection,
            path,
            files,
            reserve,
            tables,
            pool,
            checkpointer,
            size_limit,
            saving,
        } = parts;
        let mut writer = Self {
            connection,
            statements: Vec::new(),
            path,
            files,
            reserve,
            tables,
            limit_checked: Instant::now(),
            running: HashMap::new(),
            parameters: ParameterCache::default(),
            moves_left: None,
            pool,
            checkpointer,
            is_checkpointing: false,
            is_checkpointed: false,
            max_log_pages: 0,
            submission_error: StoreError::Full,
            shrinking: Shrinking::new(Instant::now()),
            size_limit,
            is_over_limit: false,
            saving,
            copies: VecDeque::new(),
            is_saving: false,
        };
        writer.limit_log();
        writer
    }

    pub(super) fn open_queue(&mut self, name: &str) -> Result<QueueState, StoreError> {
        if name.contains('\0') {
            // SQLite's case-insensitive comparison stops at a NUL: two names would be one queue.
            return Err(StoreError::Io(format!("the name of queue {name:?} contains a NUL")));
        }
        let open = |writer: &Self| {
            writer.connection.query_row(
                // The update changes nothing, but makes RETURNING return the existing row.
                "INSERT INTO queue (name, counts) VALUES (?1, '[]')
                 ON CONFLICT (name) DO UPDATE SET name = name RETURNING id, paused, counts",
                [name],
                |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)),
            )
        };
        let (id, paused, counts) = self.with_reserve(open)?;
        let (counts, deferred) = counts_from_text(&counts)
            .ok_or_else(|| self.corrupt(format!("the counts of queue {name} are unreadable")))?;
        let id = QueueId(id);
        let deferred = Deferred::new(deferred);
        self.tables.queues.insert(id, QueueRow { paused, counts, deferred, dirty: false });
        Ok(QueueState { id, paused, counts })
    }

    /// Writes something small by itself, with the reserve if there is no other space.
    pub(super) fn with_reserve<T>(
        &mut self,
        write: impl Fn(&Self) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let write = |writer: &Self| write(writer).map_err(|e| writer.rolled_back(&e));
        let written = match write(self) {
            Err(RolledBack { error, cause: Cause::NoRoom })
                if self.release_reserve(error.clone()) =>
            {
                write(self)
            }
            other => other,
        };
        written.map_err(|rolled_back| rolled_back.error)
    }

    /// Commits the whole group as one transaction and answers each batch of it. If that fails, each
    /// batch is tried alone, and then its controls without its submissions, so that a failure stays with
    /// its caller and controls get through if they can. Once the disk is full, controls
    /// use the reserve, and submissions are not tried. If the file was deleted or moved, everything is refused: the
    /// next server would not find the change.
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
        self.check_room(now);
        if self.is_checkpointed || self.reserve.is_released() {
            // On a full disk the log must restart as soon as it can.
            self.pool.release_snapshots();
        }
        let answers: Vec<Result<BatchReply, StoreError>> = if self.reserve.is_released() {
            batches.iter().map(|batch| self.commit_on_full_disk(batch)).collect()
        } else if let Some((error, fit)) = self.over_limit(&batches) {
            self.commit_what_fits(&batches, &fit, &error)
        } else {
            self.commit_all(&batches)
        };
        self.pool.note_change();
        for ((_, pending), answer) in sealed.into_iter().zip(answers) {
            pending.send(answer);
        }
        self.keep_log_short();
        self.shrinking.note_written(now);
        self.shrink_beside(now);
        if let Some(saving) = &self.saving {
            saving.note_change();
        }
    }

    /// Notes that actions were deleted: there may be free pages.
    pub(super) const fn note_freed(&mut self) {
        self.shrinking.note_freed();
    }

    /// Returns true if an action runs. While a long one does, no job may arrive for hours.
    fn something_runs(&self) -> bool {
        self.tables.queues.values().any(|queue| queue.counts.running() > 0)
    }

    /// Checks the database files while no job arrives, so that problems are logged.
    fn check_files(&mut self) {
        // The next commit checks again and returns the error.
        let _ = self.files.check(Instant::now());
    }

    fn commit_all(&mut self, batches: &[&Batch]) -> Vec<Result<BatchReply, StoreError>> {
        match self.transaction(|writer| {
            writer.moves_left = Some(deferred::STEP);
            batches.iter().map(|batch| writer.apply(batch)).collect::<Applied<Vec<_>>>()
        }) {
            Ok(replies) => replies.into_iter().map(Ok).collect(),
            Err(RolledBack { error, cause }) => {
                let batches_of = if batches.len() == 1 { "batch" } else { "batches" };
                log::warn!("a transaction of {} {batches_of} failed: {error}", batches.len());
                if matches!(cause, Cause::NoRoom) && self.release_reserve(error.clone()) {
                    batches.iter().map(|batch| self.commit_on_full_disk(batch)).collect()
                } else {
                    let moves = Some(deferred::STEP);
                    batches.iter().map(|batch| self.commit_parts(batch, &error, moves)).collect()
                }
            }
        }
    }

    /// Commits batches without the submissions that don't fit, which are refused with this error.
    fn commit_what_fits(
        &mut self,
        batches: &[&Batch],
        fit: &[bool],
        error: &StoreError,
    ) -> Vec<Result<BatchReply, StoreError>> {
        let mut rest = Vec::with_capacity(batches.len());
        for (batch, fits) in batches.iter().copied().zip(fit) {
            rest.push(match fits {
                true => Cow::Borrowed(batch),
                false => Cow::Owned(without_submissions(batch, batch.claim)),
            });
        }
        let rest: Vec<&Batch> = rest.iter().map(|batch| &**batch).collect();
        let answers = self.commit_all(&rest).into_iter().zip(batches).zip(fit);
        let complete = |((answer, batch), fits): ((Result<_, _>, &&Batch), &bool)| match fits {
            true => answer,
            false => answer.map(|reply| refusing_submissions(reply, batch, error)),
        };
        answers.map(complete).collect()
    }

    /// Commits the parts of a batch that must go on when the disk is full: the controls, and starts while there is
    /// space for their results. Submissions are refused.
    fn commit_on_full_disk(&mut self, batch: &Batch) -> Result<BatchReply, StoreError> {
        let has_room = self.reserve.has_room_for_work();
        let claim = if has_room { batch.claim } else { 0 };
        let rest = without_submissions(batch, claim);
        let moves = has_room.then_some(deferred::STEP);
        let error = self.submission_error.clone();
        let committed = match self.commit_parts(&rest, &error, moves) {
            Err(StoreError::Full) => {
                self.limit_log();
                self.commit_parts(&rest, &error, moves)
            }
            other => other,
        };
        let reply = refusing_submissions(committed?, batch, &error);
        Ok(if claim < batch.claim { deferred::looking_again(reply) } else { reply })
    }

    /// Commits one batch alone, in parts if necessary, so that a part that fails does not block the rest. If
    /// everything fails, returns the error `first`.
    fn commit_parts(
        &mut self,
        batch: &Batch,
        first: &StoreError,
        moves: Option<u64>,
    ) -> Result<BatchReply, StoreError> {
        let mut failed = match self.commit_one(batch, moves) {
            Ok(reply) => return Ok(reply),
            Err(failed) => failed,
        };
        // An action whose parameters can't be read is ended, so that the others start.
        let mut unread = Vec::new();
        for _ in 0..batch.claim {
            let Cause::Unreadable(id) = failed.cause else { break };
            let Ok(ended) = self.fail_unreadable_alone(batch, id, &failed.error) else { break };
            unread.extend(ended);
            failed = match self.commit_one(batch, moves) {
                Ok(reply) => return Ok(with_unread(reply, unread)),
                Err(failed) => failed,
            };
        }
        if let Ok(reply) = self.commit_one(&Batch { claim: 0, ..batch.clone() }, None) {
            return Ok(deferred::looking_again(with_unread(reply, unread)));
        }
        if batch.submissions.is_empty() {
            return Err(failed.error);
        }
        let controls = without_submissions(batch, 0);
        let reply = self.commit_one(&controls, None).map_err(|_| first.clone())?;
        let reply = deferred::looking_again(with_unread(reply, unread));
        Ok(refusing_submissions(reply, batch, &failed.error))
    }

    /// Commits one batch, and moves so many due actions meanwhile.
    fn commit_one(&mut self, batch: &Batch, moves: Option<u64>) -> Result<BatchReply, RolledBack> {
        self.transaction(|writer| {
            writer.moves_left = moves;
            writer.apply(batch)
        })
    }

    /// Ends an action whose parameters can't be read, in a transaction of its own, so that it blocks no other.
    fn fail_unreadable_alone(
        &mut self,
        batch: &Batch,
        id: ActionId,
        error: &StoreError,
    ) -> Result<Option<Unread>, RolledBack> {
        log::error!("action {id} can't be started: {error}");
        self.transaction(|writer| writer.fail_unreadable(batch, id, error))
    }

    pub(super) fn corrupt(&self, reason: String) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), reason }
    }

    pub(super) fn store_error(&self, error: &rusqlite::Error) -> StoreError {
        store_error(error, &self.path)
    }

    /// Copies the write-ahead log into the database, so that a copy of that file alone is complete.
    pub(super) fn close(mut self) {
        self.checkpointer = None;
        // A store that was dropped and not closed still has the snapshots of its last reads. The checkpoint would
        // wait some seconds for them, and the directory would stay locked as long.
        self.pool.close();
        // Otherwise nothing would report a file that disappeared while nothing was written.
        self.files.check_now();
        if self.files.is_overwritten() {
            // This process's index of the log may no longer match the files: nothing must be copied by it.
            let kept =
                self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            if let Err(error) = kept {
                log::error!("{}: {error}", self.path.display());
            }
            return;
        }
        if let Some(saving) = &mut self.saving {
            return saving.save_all(self.connection);
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

/// Returns the batch without its submissions.
fn without_submissions(batch: &Batch, claim: usize) -> Batch {
    let (controls, wants) = (batch.controls.clone(), batch.wants.clone());
    Batch { controls, submissions: Vec::new(), claim, wants, ..*batch }
}

/// Adds the actions that were ended before the batch, because their parameters can't be read.
fn with_unread(mut reply: BatchReply, before: Vec<Unread>) -> BatchReply {
    reply.unread.splice(..0, before);
    reply
}

/// Completes the reply to a batch [`without_submissions`]: each of them is refused with this error.
fn refusing_submissions(mut reply: BatchReply, batch: &Batch, error: &StoreError) -> BatchReply {
    let refused = || Err(Rejected::Store(error.clone()));
    reply.submissions = batch.submissions.iter().map(|_| refused()).collect();
    reply
}
