//! Reads of single actions, grouped, and of queues.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_postgres::Row;

use super::columns::{Tally, figures, id_number, origin, parameters, state, text, time};
use super::errors::{Failure, corrupt};
use super::marks::Marks;
use super::owner::Owner;
use super::pool::Readers;
use super::setup::Setup;
use super::sites::Sites;
use super::write::sums;
use crate::action::{ActionId, Parameters, Timestamp};
use crate::store::{PastAttempt, QueueId, QueueState, Record, RecordWithin, StoreError};

/// Maximum number of actions that are read together.
const MAX_GROUP: usize = 64;

/// Number of groups that are read at the same time.
const GROUPS: usize = 2;

/// The columns of an action that waits or runs (`l`), or has ended (`d`), with its error and result as `error` and `report`.
macro_rules! live_columns {
    () => {
        "l.id, l.state, l.priority, l.attempt, l.queued_at, l.started_at, NULL::int8 AS finished_at,
         0::int8 AS processing_ms, 0::float8 AS percent, l.not_before, l.worker, l.error, s.partial AS report,
         l.taken_by, l.run_by, s.figures, s.ago, l.origin"
    };
}
macro_rules! done_columns {
    () => {
        "d.id, d.state, d.priority, d.attempt, d.queued_at, d.started_at, d.finished_at, d.processing_ms, d.percent,
         NULL::int8 AS not_before, d.worker, d.error, d.report,
         d.taken_by, d.run_by, NULL::bytea AS figures, NULL::int8 AS ago, d.origin"
    };
}
/// The actions that wait or run, with what the server that runs one shows of it, and for how long that is so.
macro_rules! from_live {
    () => {
        "FROM live l LEFT JOIN LATERAL (
            SELECT s.figures, s.partial, (extract(epoch FROM clock_timestamp() - s.shown_at) * 1000)::int8 AS ago
            FROM shown s WHERE l.state BETWEEN 1 AND 3 AND s.id = l.id AND s.attempt = l.attempt
         ) AS s ON true"
    };
}
pub(super) use {done_columns, from_live, live_columns};

/// The size of an action's error and result. It is in the row itself: neither is read for it.
macro_rules! bytes {
    () => {
        "coalesce(octet_length(error), 0) + coalesce(octet_length(report), 0)"
    };
}
pub(super) use bytes;

/// Each action of a group, with its error and result if they are not too large, and its place while it may start.
const RECORDS: &str = concat!(
    "SELECT id, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent, not_before, worker,
        CASE WHEN bytes <= most THEN error END, CASE WHEN bytes <= most THEN report END, bytes, at, ahead,
        taken_by, run_by, figures, ago, origin
     FROM (SELECT *, ", bytes!(), " AS bytes
        FROM unnest($1::int4[], $2::int8[], $3::int8[]) WITH ORDINALITY AS e(of_queue, of_id, most, at)
        JOIN LATERAL (
            SELECT ", live_columns!(), ",
                CASE WHEN l.state = 0 THEN
                    (SELECT count(*) FROM (SELECT 1 FROM live b WHERE b.queue = l.queue AND b.state = 0
                        AND b.priority > l.priority LIMIT $4) AS higher) +
                    (SELECT count(*) FROM (SELECT 1 FROM live b WHERE b.queue = l.queue AND b.state = 0
                        AND b.priority = l.priority AND b.id < l.id LIMIT $4) AS earlier)
                END AS ahead
            ", from_live!(), " WHERE l.id = e.of_id AND l.queue = e.of_queue
            UNION ALL
            SELECT ", done_columns!(), ", NULL::int8
            FROM done d WHERE d.queue = e.of_queue AND d.id = e.of_id
        ) AS action ON true) AS sized"
);

const PARAMETERS: &str = "
    SELECT octet_length(parameters), CASE WHEN octet_length(parameters) <= $3 THEN parameters END FROM (
        SELECT parameters FROM live WHERE id = $2 AND queue = $1
        UNION ALL SELECT parameters FROM done WHERE queue = $1 AND id = $2
    ) AS action";

const HISTORY: &str = "
    SELECT attempt, started_at, ended_at, ended, worker, error FROM history
    WHERE id = $2 AND (EXISTS (SELECT 1 FROM live WHERE id = $2 AND queue = $1)
        OR EXISTS (SELECT 1 FROM done WHERE queue = $1 AND id = $2))
    ORDER BY attempt";

/// Each queue that is named, in that order; nothing of one that is not there.
const QUEUES: &str = concat!(
    "SELECT q.paused, ",
    sums!("q.id"),
    " FROM unnest($1::int4[]) WITH ORDINALITY AS e(id, at)
     LEFT JOIN queue q ON q.id = e.id ORDER BY e.at"
);

/// A read of one action that waits for its group.
pub(super) struct Asked {
    pub(super) queue: QueueId,
    pub(super) id: ActionId,
    pub(super) max_bytes: usize,
    pub(super) reply: oneshot::Sender<Result<Option<RecordWithin>, StoreError>>,
}

/// The reads, by the connections of a pool.
#[derive(Clone)]
pub(super) struct Reader {
    readers: Readers,
    sites: Arc<Sites>,
    marks: Arc<Marks>,
}

impl Reader {
    pub(super) fn new(
        setup: &Arc<Setup>,
        owner: Arc<Owner>,
        sites: Arc<Sites>,
        marks: Arc<Marks>,
    ) -> Result<Self, Failure> {
        Ok(Self { readers: Readers::new(Arc::clone(setup), owner)?, sites, marks })
    }

    /// Reads with a connection of the pool.
    pub(super) async fn with<T>(
        &self,
        read: impl AsyncFnOnce(&Object) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.readers.read(read).await.map_err(Failure::told)
    }

    /// Ends the connections.
    pub(super) fn close(&self) {
        self.readers.close();
    }

    /// Returns the marks of this server.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Returns what is known of the sites that rows name.
    pub(super) fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Reads the states of these queues, in their order.
    pub(super) async fn queue_states(
        &self,
        queues: &[QueueId],
    ) -> Result<Vec<QueueState>, StoreError> {
        self.with(async |client: &Object| {
            let statement = client.prepare_cached(QUEUES).await?;
            let numbers: Vec<i32> = queues.iter().copied().map(queue_number).collect();
            let rows = client.query(&statement, &[&numbers]).await?;
            let read = |(id, row): (&QueueId, &Row)| {
                let paused = row.try_get::<_, Option<bool>>(0)?.ok_or_else(|| {
                    StoreError::Io(format!("queue number {} was never opened", id.0))
                })?;
                Ok(QueueState { id: *id, paused, counts: Tally::read(row, 1)?.counts() })
            };
            queues.iter().zip(&rows).map(read).collect()
        })
        .await
    }

    /// Reads an action's parameters, or their size if they have more than `max_bytes` bytes.
    pub(super) async fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> Result<Option<Result<Parameters, usize>>, StoreError> {
        self.with(async |client: &Object| {
            let statement = client.prepare_cached(PARAMETERS).await?;
            let most = i32::try_from(max_bytes).unwrap_or(i32::MAX);
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&queue_number(queue), &id_number(id), &most];
            let Some(row) = client.query_opt(&statement, &values).await? else { return Ok(None) };
            let Some(text) = row.try_get::<_, Option<&[u8]>>(1)? else {
                let bytes: i32 = row.try_get(0)?;
                return Ok(Some(Err(usize::try_from(bytes).unwrap_or_default())));
            };
            if text.is_empty() {
                // They were not kept.
                return Ok(None);
            }
            let read = parameters(text).map_err(|error| {
                corrupt(format!("the parameters of action {id} are unreadable: {error}"))
            })?;
            Ok(Some(Ok(read)))
        })
        .await
    }

    pub(super) async fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> Result<Vec<PastAttempt>, StoreError> {
        self.with(async |client: &Object| {
            let statement = client.prepare_cached(HISTORY).await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&queue_number(queue), &id_number(id)];
            let rows = client.query(&statement, &values).await?;
            rows.iter().map(past_attempt).collect()
        })
        .await
    }

    /// Reads single actions as long as the store is open: those that wait, together.
    pub(super) async fn read_groups(self, mut asked: mpsc::UnboundedReceiver<Asked>) {
        let groups = Arc::new(Semaphore::new(GROUPS));
        while let Some(first) = asked.recv().await {
            let Ok(permit) = Arc::clone(&groups).acquire_owned().await else { return };
            let mut group = vec![first];
            while group.len() < MAX_GROUP
                && let Ok(next) = asked.try_recv()
            {
                group.push(next);
            }
            let reader = self.clone();
            tokio::spawn(async move {
                reader.read_group(group).await;
                drop(permit);
            });
        }
    }

    async fn read_group(&self, group: Vec<Asked>) {
        let queues: Vec<i32> = group.iter().map(|asked| queue_number(asked.queue)).collect();
        let ids: Vec<i64> = group.iter().map(|asked| id_number(asked.id)).collect();
        let most: Vec<i64> =
            group.iter().map(|asked| i64::try_from(asked.max_bytes).unwrap_or(i64::MAX)).collect();
        let counted = i64::try_from(Record::MAX_POSITION).unwrap_or(i64::MAX);
        let rows = self
            .with(async |client: &Object| {
                let statement = client.prepare_cached(RECORDS).await?;
                let rows = client.query(&statement, &[&queues, &ids, &most, &counted]).await?;
                let read = |row: &Row| {
                    let at = usize::try_from(row.try_get::<_, i64>(14)?).unwrap_or_default();
                    let at = at.saturating_sub(1);
                    let most = group.get(at).map_or(0, |asked| asked.max_bytes);
                    // What is wrong with one action does not concern the others.
                    Ok((at, record_within(row, &self.sites, most)))
                };
                let read: Result<Vec<_>, Failure> = rows.iter().map(read).collect();
                self.sites.learn(client).await?;
                read
            })
            .await;
        let mut found: Vec<Result<Option<RecordWithin>, StoreError>> =
            group.iter().map(|_| Ok(None)).collect();
        match rows {
            Err(error) => found.fill(Err(error)),
            Ok(rows) => {
                for (at, read) in rows {
                    if let Some(place) = found.get_mut(at) {
                        *place = read.map(Some).map_err(Failure::told);
                    }
                }
            }
        }
        for (asked, found) in group.into_iter().zip(found) {
            // The caller may have gone.
            drop(asked.reply.send(found));
        }
    }
}

/// The number of a queue in the database.
pub(super) fn queue_number(queue: QueueId) -> i32 {
    i32::try_from(queue.0).unwrap_or_default()
}

fn record_within(row: &Row, sites: &Sites, max_bytes: usize) -> Result<RecordWithin, Failure> {
    let mut record = record(row, sites)?;
    let bytes = usize::try_from(row.try_get::<_, i32>(13)?).unwrap_or_default();
    let ahead: Option<i64> = row.try_get(15)?;
    record.position = ahead
        .and_then(|ahead| u64::try_from(ahead).ok())
        .filter(|ahead| *ahead < Record::MAX_POSITION)
        .map(|ahead| ahead + 1);
    Ok(RecordWithin { record, too_large: (bytes > max_bytes).then_some(bytes) })
}

/// Reads an action from its columns, in the order in which the statements here have them.
pub(super) fn record(row: &Row, sites: &Sites) -> Result<Record, Failure> {
    let id = super::columns::action_id(row, 0)?;
    let state = state(row.try_get(1)?)?;
    let report: Option<&[u8]> = row.try_get(12)?;
    let report = match report {
        None => Vec::new(),
        Some(report) => serde_json::from_slice(report).map_err(|error| {
            corrupt(format!("the result of action {id} is unreadable: {error}"))
        })?,
    };
    Ok(Record {
        id,
        state,
        priority: row.try_get(2)?,
        attempt: u32::try_from(row.try_get::<_, i32>(3)?).unwrap_or_default(),
        queued_at: Timestamp(row.try_get(4)?),
        started_at: time(row, 5)?,
        finished_at: time(row, 6)?,
        processing_ms: row.try_get(7)?,
        percent: row.try_get(8)?,
        not_before: time(row, 9)?,
        worker: text(row, 10)?,
        error: text(row, 11)?,
        report,
        taken_by: sites.taken_by(row.try_get(16)?),
        run_by: sites.run_by(row.try_get(17)?),
        figures: figures(row, 18, state)?.map(Box::new),
        position: None,
        origin: origin(row, 20)?,
    })
}

fn past_attempt(row: &Row) -> Result<PastAttempt, Failure> {
    let ended: Option<&str> = row.try_get(3)?;
    let ended = ended.map(serde_json::from_str).transpose();
    Ok(PastAttempt {
        attempt: u32::try_from(row.try_get::<_, i32>(0)?).unwrap_or_default(),
        started_at: Timestamp(row.try_get(1)?),
        ended_at: Timestamp(row.try_get(2)?),
        ended: ended.map_err(|error| corrupt(format!("a past attempt is unreadable: {error}")))?,
        worker: text(row, 4)?,
        error: text(row, 5)?,
    })
}
