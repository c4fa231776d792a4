//! Since when the oldest action waits.

use rusqlite::params;

use super::errors::store_error;
use super::read::Reader;
use super::schema::in_by_state;
use crate::action::Timestamp;
use crate::store::{QueueId, StoreError};

/// Number of priorities of a queue that are looked at, from the lowest on, which has to wait for all others.
const PRIORITIES: u32 = 100;

/// The oldest action of each priority is the first of that priority in `by_state`: two searches for each, however many wait.
const OLDEST: &str = concat!(
    "WITH RECURSIVE level (priority) AS (
         SELECT min(priority) FROM action INDEXED BY by_state WHERE queue = ?1 AND state = 0 AND ",
    in_by_state!(),
    "    UNION ALL SELECT (
             SELECT min(a.priority) FROM action a INDEXED BY by_state
             WHERE queue = ?1 AND state = 0 AND a.priority > level.priority AND ",
    in_by_state!(),
    "    ) FROM level WHERE level.priority IS NOT NULL LIMIT ?2
     )
     SELECT min((
         SELECT queued_at FROM action INDEXED BY by_state
         WHERE queue = ?1 AND state = 0 AND priority = level.priority AND ",
    in_by_state!(),
    "    ORDER BY id LIMIT 1
     )) FROM level WHERE level.priority IS NOT NULL"
);

impl Reader {
    /// Reads when the oldest action of each queue was queued that may start.
    pub(super) fn oldest_waiting(
        &self,
        queues: &[QueueId],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let read = |queue: &QueueId| -> rusqlite::Result<Option<Timestamp>> {
            let mut statement = self.connection.prepare_cached(OLDEST)?;
            let oldest = statement.query_row(params![queue.0, PRIORITIES], |row| row.get(0))?;
            Ok(Option::map(oldest, Timestamp))
        };
        let read = queues.iter().map(read).collect::<rusqlite::Result<_>>();
        read.map_err(|error| store_error(&error, &self.path))
    }
}
