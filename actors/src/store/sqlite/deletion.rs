//! Deletion of single actions, with all that is kept of them: those that clients name, and what [`super::retention`] finds.

use rusqlite::params;

use super::rows::{id, number, state};
use super::write::{Applied, Writer};
use crate::action::{ActionId, State};
use crate::store::QueueId;

impl Writer<'_> {
    /// Deletes an action that has ended.
    pub(super) fn remove(&mut self, queue: QueueId, removable: &Removable) -> Applied<()> {
        let Removable { id, state, has_history, has_key } = *removable;
        if has_key {
            self.run(
                "DELETE FROM submission_key WHERE (queue, key) =
                 (SELECT ?2, submission_key FROM parameters WHERE id = ?1)",
                params![number(id), queue.0],
            )?;
        }
        if has_history {
            self.run("DELETE FROM history WHERE id = ?1", [number(id)])?;
        }
        for sql in ["DELETE FROM action WHERE id = ?1", "DELETE FROM parameters WHERE id = ?1"] {
            self.run(sql, [number(id)])?;
        }
        self.note_freed();
        self.tables.last_is_gone |= id.get() == self.tables.last_id;
        let queue = self.queue_mut(queue)?;
        queue.counts.take(state);
        queue.dirty = true;
        Ok(())
    }
}

/// An action that has ended and is to be deleted.
pub(super) struct Removable {
    pub(super) id: ActionId,
    state: State,
    /// True if it may have past attempts, which are deleted with it.
    has_history: bool,
    /// True if it may have been submitted under a key, which is deleted with it.
    has_key: bool,
}

impl Removable {
    pub(super) const fn new(id: ActionId, state: State, attempts: u32, has_key: bool) -> Self {
        // A past attempt is not the last, or was followed by a wait in which the action was cancelled.
        let has_history = attempts > 1 || (attempts == 1 && matches!(state, State::Cancelled));
        Self { id, state, has_history, has_key }
    }

    /// Reads one from the columns id, state, attempt, and whether it has a key.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self::new(id(row, 0)?, state(row, 1)?, row.get(2)?, row.get(3)?))
    }
}
