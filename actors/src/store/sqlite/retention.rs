//! What is deleted: final actions beyond the number and the age that their queue keeps.

use rusqlite::params;

use super::changes::number;
use super::write::{Applied, Writer};
use crate::action::{ActionId, State, Timestamp};
use crate::store::{Batch, QueueId};

/// How many old actions one batch deletes at most, besides two for each change it makes: retention
/// goes in small steps, and still faster than actions can end.
const PRUNE_STEP: u64 = 200;

impl Writer<'_> {
    /// Deletes some of the final actions that need not be kept, the oldest first and at most a step
    /// of them; tells whether there may be more.
    pub(super) fn prune(&mut self, batch: &Batch) -> Applied<bool> {
        let Batch { queue, retention, .. } = *batch;
        let step = PRUNE_STEP.saturating_add(2 * batch.controls.len() as u64);
        let finished = self.queue_mut(queue)?.counts.finished();
        let too_many = retention.max_finished.map_or(0, |max| finished.saturating_sub(max));
        let mut doomed = Vec::new();
        if too_many > 0 {
            doomed = self.oldest(queue, Timestamp(i64::MAX), too_many.min(step))?;
        }
        if let Some(after) = retention.finished_after {
            let too_old = self.oldest(queue, after, step)?;
            // Both are beginnings of the same order.
            if too_old.len() > doomed.len() {
                doomed = too_old;
            }
        }
        for (id, state) in &doomed {
            self.run(
                "DELETE FROM submission_key WHERE (queue, key) =
                 (SELECT ?2, submission_key FROM parameters WHERE id = ?1)",
                params![number(*id), queue.0],
            )?;
            for sql in [
                "DELETE FROM action WHERE id = ?1",
                "DELETE FROM parameters WHERE id = ?1",
                "DELETE FROM outcome WHERE id = ?1",
            ] {
                self.run(sql, [number(*id)])?;
            }
            self.queue_mut(queue)?.counts.take(*state);
        }
        self.queue_mut(queue)?.changed |= !doomed.is_empty();
        Ok(doomed.len() as u64 == step)
    }

    /// The final actions that ended first, and not after this time.
    fn oldest(
        &self,
        queue: QueueId,
        until: Timestamp,
        limit: u64,
    ) -> Applied<Vec<(ActionId, State)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, state FROM action INDEXED BY by_finished
             WHERE queue = ?1 AND finished_at <= ?2 ORDER BY finished_at, id LIMIT ?3",
        )?;
        let rows = statement.query_map(params![queue.0, until.0, limit], |row| {
            Ok((super::read::id(row, 0)?, super::read::state(row, 1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
