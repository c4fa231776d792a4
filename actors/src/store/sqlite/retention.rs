//! Deletion of final actions beyond the number or the age that their queue keeps.

use std::collections::HashSet;

use rusqlite::params;

use super::deletion::Removable;
use super::write::{Applied, Writer};
use crate::action::{ActionId, Timestamp};
use crate::store::{Batch, QueueId};

/// Maximum number of old actions that one batch deletes, besides two for each of its controls: the steps are
/// small, but deletion is still faster than actions can end.
const PRUNE_STEP: u64 = 200;

impl Writer<'_> {
    /// Deletes final actions that need not be kept, the oldest first, up to one step; returns true if there may be
    /// more.
    pub(super) fn prune(&mut self, batch: &Batch) -> Applied<bool> {
        let Batch { queue, retention, .. } = *batch;
        let step = PRUNE_STEP.saturating_add(2 * batch.controls.len() as u64);
        let finished = self.queue_mut(queue)?.counts.finished();
        let too_many = retention.max_finished.map_or(0, |max| finished.saturating_sub(max));
        let mut prunable = Vec::new();
        if too_many > 0 {
            let wanted = too_many.min(step);
            prunable = if self.was_set_back(queue, batch.now)? {
                self.first_submitted(queue, wanted)?
            } else {
                self.oldest(queue, Timestamp(i64::MAX), wanted)?
            };
        }
        if let Some(after) = retention.finished_after {
            let known: HashSet<ActionId> = prunable.iter().map(|prunable| prunable.id).collect();
            let left = usize::try_from(step).unwrap_or(usize::MAX).saturating_sub(prunable.len());
            let too_old = self.oldest(queue, after, step)?;
            prunable.extend(too_old.into_iter().filter(|old| !known.contains(&old.id)).take(left));
        }
        for prunable in &prunable {
            self.remove(queue, prunable)?;
        }
        Ok(prunable.len() as u64 == step)
    }

    /// Returns true if an action ended later than now, because the clock was set back since. Then an action that ends
    /// now would seem to have ended first, and would be deleted before its client could read it.
    fn was_set_back(&self, queue: QueueId, now: Timestamp) -> Applied<bool> {
        let mut statement = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM action INDEXED BY by_finished
             WHERE queue = ?1 AND finished_at > ?2)",
        )?;
        Ok(statement.query_row(params![queue.0, now.0], |row| row.get(0))?)
    }

    /// Returns the final actions that were submitted first. It reads the index entries of all final actions, which is
    /// acceptable only while the clock is behind.
    fn first_submitted(&self, queue: QueueId, limit: u64) -> Applied<Vec<Removable>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT a.id, a.state, a.attempt, p.submission_key IS NOT NULL
             FROM action a LEFT JOIN parameters p ON p.id = a.id WHERE a.id IN
             (SELECT id FROM action INDEXED BY by_finished
              WHERE queue = ?1 AND finished_at IS NOT NULL ORDER BY id LIMIT ?2) ORDER BY a.id",
        )?;
        let rows = statement.query_map(params![queue.0, limit], Removable::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the final actions that ended first, and not after this time.
    fn oldest(&self, queue: QueueId, until: Timestamp, limit: u64) -> Applied<Vec<Removable>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT a.id, a.state, a.attempt, p.submission_key IS NOT NULL
             FROM action a INDEXED BY by_finished LEFT JOIN parameters p ON p.id = a.id
             WHERE a.queue = ?1 AND a.finished_at <= ?2 ORDER BY a.finished_at, a.id LIMIT ?3",
        )?;
        let rows = statement.query_map(params![queue.0, until.0, limit], Removable::read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
