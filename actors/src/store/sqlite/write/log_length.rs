//! Checkpoints by the writing thread, which keep the write-ahead log short.

use super::Writer;
use super::transaction::RolledBack;
use crate::store::sqlite::checkpoint::{Checkpointer, checkpoint};

impl Writer<'_> {
    /// Asks for a checkpoint before the log is so long that SQLite makes one in the middle of a commit. The log
    /// restarts only when all of it is in the database, which the checkpointer alone never reaches while this
    /// thread goes on writing: so the last pages are copied here.
    pub(super) fn keep_log_short(&mut self) {
        if self.reserve.is_released()
            || self.checkpointer.as_ref().is_some_and(Checkpointer::is_busy)
        {
            return;
        }
        let state =
            self.connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)").and_then(|mut state| {
                state.query_row([], |row| Ok((row.get::<_, u64>(1)?, row.get::<_, u64>(2)?)))
            });
        // If that is unknown, SQLite makes the checkpoint when the log is at its longest.
        let Ok((pages, done)) = state else { return };
        let left = pages.saturating_sub(done);
        self.is_checkpointed = left == 0;
        let failed = self.checkpointer.as_ref().is_some_and(Checkpointer::has_failed);
        if failed && left > self.max_log_pages && self.cannot_checkpoint() {
            return;
        }
        let is_long = left > self.max_log_pages / 2 || pages > self.max_log_pages;
        let Some(checkpointer) =
            self.checkpointer.as_ref().filter(|_| is_long || self.is_checkpointing)
        else {
            return;
        };
        if left > self.max_log_pages / 8 {
            self.is_checkpointing = true;
            self.pool.release_snapshots();
            if !checkpointer.request() {
                log::error!("the thread that makes checkpoints of the action database is gone");
                // SQLite makes one when the log is at its longest.
                self.checkpointer = None;
            }
        } else {
            // A reader with an older snapshot may block part of it; then it is retried after the next commit.
            self.is_checkpointed = self.checkpoint_here();
            self.is_checkpointing = !self.is_checkpointed;
        }
    }

    /// Returns true if the log is too long because the database can't be written. Then submissions must not make
    /// it longer: the space that is left is for control.
    fn cannot_checkpoint(&mut self) -> bool {
        self.pool.release_snapshots();
        let Err(error) = checkpoint(self.connection) else { return false };
        let RolledBack { error, .. } = self.rolled_back(&error);
        self.release_reserve(error)
    }

    /// Makes a checkpoint on this thread; returns true if all of the log was copied.
    pub(super) fn checkpoint_here(&self) -> bool {
        self.pool.release_snapshots();
        checkpoint(self.connection).unwrap_or(false)
    }
}
