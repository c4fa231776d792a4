//! The reading of schedules. They are changed with the batches: `write::schedules`.

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::columns::{action_id, text, time};
use super::errors::Failure;
use super::read::Reader;
use crate::action::Timestamp;
use crate::store::{LastScheduled, QueueId, ScheduleState, StoreError};

/// The columns of a schedule, in the order in which [`state`] reads them.
macro_rules! columns {
    () => {
        "s.name, s.since, s.passed, s.last_due, s.last_queue, s.last_id, s.cycles, s.paused, s.definition"
    };
}
pub(in crate::store::postgres) use columns;

/// All schedules, in the order of their names in lower case.
pub(super) const ALL: &str = concat!("SELECT ", columns!(), " FROM schedule s ORDER BY s.folded");

/// Writes schedules in the place of those of their names.
pub(super) const PUT: &str = "
    INSERT INTO schedule (folded, name, since, passed, last_due, last_queue, last_id, cycles, paused, definition)
    SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::int8[], $4::int8[], $5::int8[], $6::int4[], $7::int8[], $8::int8[],
        $9::bool[], $10::bytea[])
    ON CONFLICT (folded) DO UPDATE SET name = excluded.name, since = excluded.since, passed = excluded.passed,
        last_due = excluded.last_due, last_queue = excluded.last_queue, last_id = excluded.last_id,
        cycles = excluded.cycles, paused = excluded.paused, definition = excluded.definition";

/// Reads a schedule from its [`columns`].
pub(super) fn state(row: &Row) -> Result<ScheduleState, Failure> {
    let last = match (time(row, 3)?, row.try_get::<_, Option<i32>>(4)?) {
        (Some(due), Some(queue)) => {
            Some(LastScheduled { due, queue: QueueId(queue.into()), id: action_id(row, 5)? })
        }
        _ => None,
    };
    Ok(ScheduleState {
        name: text(row, 0)?.unwrap_or_default(),
        since: Timestamp(row.try_get(1)?),
        passed: Timestamp(row.try_get(2)?),
        last,
        cycles: u64::try_from(row.try_get::<_, i64>(6)?).unwrap_or_default(),
        paused: row.try_get(7)?,
        definition: text(row, 8)?,
    })
}

impl Reader {
    /// Reads all schedules, in the order of their names in lower case.
    pub(super) async fn schedules(&self) -> Result<Vec<ScheduleState>, StoreError> {
        self.with(async |client: &Object| {
            let all = client.prepare_cached(ALL).await?;
            let rows = client.query(&all, &[]).await?;
            rows.iter().map(state).collect()
        })
        .await
    }
}
