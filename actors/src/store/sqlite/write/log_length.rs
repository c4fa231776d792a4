//! When the writing thread has a checkpoint made, and when it makes one itself.

use super::{Failed, Writer};
use crate::store::sqlite::checkpoint::{Checkpointer, checkpoint};

impl Writer<'_> {
    /// Has a checkpoint made before the log is so long that SQLite does it in the middle of a commit. The log
    /// begins anew only when all of it is in the database, which the checkpointer alone never reaches while this
    /// thread writes on: so the rest is copied here.
    pub(super) fn keep_log_short(&mut self) {
        if self.reserve.is_given() || self.checkpointer.as_ref().is_some_and(Checkpointer::is_busy)
        {
            return;
        }
        let state =
            self.connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)").and_then(|mut state| {
                state.query_row([], |row| Ok((row.get::<_, u64>(1)?, row.get::<_, u64>(2)?)))
            });
        // Where that can't be told, the checkpoint is made when it is at its longest.
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
            self.pool.let_go();
            if !checkpointer.ask() {
                log::error!("the thread that makes checkpoints of the action database is gone");
                // SQLite makes one when the log is at its longest.
                self.checkpointer = None;
            }
        } else {
            // A reader that looks at what was before holds up some of it; then again after the next.
            self.is_checkpointed = self.checkpoint_here();
            self.is_checkpointing = !self.is_checkpointed;
        }
    }

    /// Whether the log is longer than it may be because the database takes no pages. Then submissions must not make
    /// it longer still: the room that it has left is for control.
    fn cannot_checkpoint(&mut self) -> bool {
        self.pool.let_go();
        let Err(error) = checkpoint(self.connection) else { return false };
        let Failed { error, .. } = self.failed(&error);
        self.give_reserve(error)
    }

    /// Makes a checkpoint on this thread, and returns whether that was all of it.
    pub(super) fn checkpoint_here(&self) -> bool {
        self.pool.let_go();
        checkpoint(self.connection).unwrap_or(false)
    }
}
