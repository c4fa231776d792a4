//! In-memory copies of the tables `meta` and `queue`.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::store::sqlite::deferred::Deferred;
use crate::store::{Counts, QueueId};

/// The contents of `meta` and `queue`, as of the transaction under way; restored when it is rolled back.
#[derive(Clone)]
pub(in crate::store::sqlite) struct CachedTables {
    /// The highest id ever given out.
    pub(in crate::store::sqlite) last_id: u64,
    /// True if the row of that action was deleted in this transaction: `meta` must keep the id (Q1).
    pub(in crate::store::sqlite) last_is_gone: bool,
    /// The highest number of an event ever given out.
    pub(in crate::store::sqlite) last_event: i64,
    /// True if the row of that event was deleted in this transaction: `meta` must keep the number.
    pub(in crate::store::sqlite) last_event_is_gone: bool,
    pub(super) queues: HashMap<QueueId, QueueRow>,
}

/// A row of `queue`.
#[derive(Clone, Copy)]
pub(in crate::store::sqlite) struct QueueRow {
    pub(in crate::store::sqlite) paused: bool,
    pub(in crate::store::sqlite) counts: Counts,
    /// The deferred actions; they are counted as queued, too.
    pub(in crate::store::sqlite) deferred: Deferred,
    /// True if it must be written before the transaction ends.
    pub(in crate::store::sqlite) dirty: bool,
}

impl QueueRow {
    /// Returns the number of actions that may start.
    pub(in crate::store::sqlite) fn ready(&self) -> u64 {
        self.counts.queued().saturating_sub(self.deferred.number())
    }
}

impl CachedTables {
    pub(in crate::store::sqlite) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let (last_id, last_event) = connection.query_row(
            "SELECT max(last_id, (SELECT coalesce(max(id), 0) FROM action)),
                 max(last_event, (SELECT coalesce(max(id), 0) FROM event)) FROM meta",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Self {
            last_id,
            last_is_gone: false,
            last_event,
            last_event_is_gone: false,
            queues: HashMap::new(),
        })
    }
}
