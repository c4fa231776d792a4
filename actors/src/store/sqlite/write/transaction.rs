//! Transactions of the writer, and the errors that roll them back.

use rusqlite::params;

use super::Writer;
use super::cached_tables::QueueRow;
use crate::action::ActionId;
use crate::store::sqlite::rows::counts_to_text;
use crate::store::{QueueId, StoreError};

/// Error within a transaction, which rolls it back.
#[derive(Debug)]
pub(in crate::store::sqlite) enum ApplyError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
    /// The parameters of this action can't be read.
    Unreadable(ActionId, StoreError),
}

/// A transaction that was rolled back.
pub(super) struct RolledBack {
    pub(super) error: StoreError,
    pub(super) cause: Cause,
}

/// Cause of a rollback.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// The files can't be written or grow no further: only control goes on, with the reserve.
    NoRoom,
    /// The parameters of this action can't be read.
    Unreadable(ActionId),
    Other,
}

impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Result of a step within a transaction.
pub(in crate::store::sqlite) type Applied<T> = Result<T, ApplyError>;

impl Writer<'_> {
    /// Runs a closure as one transaction.
    pub(super) fn transaction<T>(
        &mut self,
        apply: impl FnOnce(&mut Self) -> Applied<T>,
    ) -> Result<T, RolledBack> {
        let before = self.tables.clone();
        let applied = self.apply_all(apply);
        if applied.is_err() {
            self.tables = before;
            self.running.clear();
            self.parameters.clear();
            if !self.connection.is_autocommit() {
                // A failed commit may have rolled back already; then this fails too.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
        applied.map_err(|failure| match failure {
            ApplyError::Sqlite(error) => self.rolled_back(&error),
            ApplyError::Store(error) => RolledBack { error, cause: Cause::Other },
            ApplyError::Unreadable(id, error) => RolledBack { error, cause: Cause::Unreadable(id) },
        })
    }

    fn apply_all<T>(&mut self, apply: impl FnOnce(&mut Self) -> Applied<T>) -> Applied<T> {
        self.run("BEGIN IMMEDIATE", [])?;
        let applied = apply(self)?;
        if std::mem::take(&mut self.tables.last_is_gone) {
            self.run("UPDATE meta SET last_id = ?1", [self.tables.last_id])?;
        }
        if std::mem::take(&mut self.tables.last_event_is_gone) {
            self.run("UPDATE meta SET last_event = ?1", [self.tables.last_event])?;
        }
        let dirty: Vec<_> =
            self.tables.queues.iter().filter(|(_, q)| q.dirty).map(|(id, q)| (*id, *q)).collect();
        for (id, queue) in dirty {
            self.run(
                "UPDATE queue SET paused = ?2, counts = ?3 WHERE id = ?1",
                params![id.0, queue.paused, counts_to_text(&queue.counts, queue.deferred.number())],
            )?;
            self.queue_mut(id)?.dirty = false;
        }
        self.run("COMMIT", [])?;
        Ok(applied)
    }

    pub(in crate::store::sqlite) fn queue_mut(&mut self, id: QueueId) -> Applied<&mut QueueRow> {
        self.tables.queues.get_mut(&id).ok_or_else(|| {
            ApplyError::Store(StoreError::Io(format!("queue number {} was never opened", id.0)))
        })
    }

    /// Runs a statement, prepared once. The connection's own cache would hash and compare its whole text
    /// each time.
    pub(in crate::store::sqlite) fn run(
        &mut self,
        sql: &'static str,
        params: impl rusqlite::Params,
    ) -> Applied<()> {
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
}
