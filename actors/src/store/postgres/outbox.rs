//! Events for handlers: their reading, and which server delivers them. They are written with the changes: `write::events`.

use std::time::Instant;

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::columns::time;
use super::errors::{Failure, corrupt};
use super::read::{Reader, record};
use super::sites::Sites;
use crate::action::Timestamp;
use crate::store::query::PageLimit;
use crate::store::{
    About, EventId, EventKind, EventPage, FailedEvent, HandlerId, OutboxState, OwnerId, QueueId,
    StoreError, StoredEvent,
};

const OPEN: &str = "INSERT INTO handler (folded, name) SELECT $1::bytea, $2::bytea
    WHERE NOT EXISTS (SELECT 1 FROM handler WHERE folded = $1) ON CONFLICT DO NOTHING";
const OPENED: &str = "SELECT id FROM handler WHERE folded = $1";

/// The first events of a handler that are not left out, as many as may be and one more is looked for. Sizes are known without
/// reading what is long.
const EVENTS: &str = "
    WITH found AS MATERIALIZED (
        SELECT id, (coalesce(octet_length(error), 0) + coalesce(octet_length(report), 0))::int8 AS bytes
        FROM event WHERE handler = $1 AND id >= $2 AND id NOT IN (SELECT unnest($3::int8[]))
        ORDER BY handler, id LIMIT $4::int8 + 1
    ), summed AS MATERIALIZED (
        SELECT id, bytes, sum(bytes) OVER (ORDER BY id) AS total, row_number() OVER (ORDER BY id) AS place FROM found
    )
    SELECT e.action, e.state, e.priority, e.attempt, e.queued_at, e.started_at, e.finished_at, e.processing_ms, e.percent,
        e.not_before, e.worker, e.error, e.report, e.id, e.kind, e.at, e.taken_by, e.run_by, NULL::bytea, NULL::int8, e.origin,
        e.queue, e.level, s.bytes, (SELECT count(*) FROM found)
    FROM summed s JOIN event e ON e.handler = $1 AND e.id = s.id
    WHERE s.place <= $4 AND (s.total <= $5::int8 OR s.place = 1) ORDER BY e.id";

const STATE: &str = "
    SELECT (SELECT count(*) FROM event WHERE handler = $1), o.at,
        (SELECT count(*) FROM failed_event WHERE handler = $1),
        (SELECT number FROM dropped WHERE handler = $1 ORDER BY handler DESC, number DESC LIMIT 1),
        f.id, f.failed_at, f.attempts, f.last_error, o.id
    FROM (SELECT) AS one LEFT JOIN LATERAL (
        SELECT id, at FROM event WHERE handler = $1 ORDER BY handler, id LIMIT 1) AS o ON true
    LEFT JOIN LATERAL (
        SELECT id, failed_at, attempts, last_error FROM failed_event WHERE handler = $1
        ORDER BY handler DESC, id DESC LIMIT 1) AS f ON true";

/// Tells whether the lease of a server holds.
macro_rules! holds {
    ($server:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM server s WHERE s.id = ",
            $server,
            " AND NOT s.dead AND s.expires_at > clock_timestamp())"
        )
    };
}

const LEADER: &str = concat!(
    "SELECT leader, ",
    holds!("h.leader"),
    ", ",
    holds!("$2"),
    " FROM handler h WHERE id = $1"
);

/// Of several that try at once one succeeds: the others then see who.
const TAKE_LEAD: &str = concat!(
    "UPDATE handler h SET leader = $2 WHERE h.id = $1 AND ",
    holds!("$2"),
    " AND (h.leader IS NULL OR NOT ",
    holds!("h.leader"),
    ")"
);

impl Reader {
    /// Finds or creates a handler.
    pub(super) async fn open_handler(&self, name: &str) -> Result<HandlerId, StoreError> {
        let (name, folded) = (name.as_bytes(), name.to_ascii_lowercase());
        self.with(async |client: &Object| {
            let open = client.prepare_cached(OPEN).await?;
            client.execute(&open, &[&folded.as_bytes(), &name]).await?;
            let opened = client.prepare_cached(OPENED).await?;
            let row = client.query_one(&opened, &[&folded.as_bytes()]).await?;
            Ok(HandlerId(row.try_get(0)?))
        })
        .await
    }

    /// Reads pending events of a handler after this one, the oldest first, without those named in `except`.
    pub(super) async fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: &[EventId],
        limit: PageLimit,
    ) -> Result<EventPage, StoreError> {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX - 1);
        let (actions, bytes) = (number(limit.actions), number(limit.bytes));
        let except: Vec<i64> = except.iter().map(|event| event.0).collect();
        let (marks, begun) = (self.marks(), Instant::now());
        let from = match after {
            Some(event) => event.0.saturating_add(1),
            None if marks.is_old() => marks.events.from(handler.0, begun),
            None => i64::MIN,
        };
        self.with(async |client: &Object| {
            let statement = client.prepare_cached(EVENTS).await?;
            let rows =
                client.query(&statement, &[&handler.0, &from, &except, &actions, &bytes]).await?;
            let found: i64 = rows.first().map_or(Ok(0), |row| row.try_get(24))?;
            let mut page = EventPage { more: found > number(rows.len()), ..EventPage::default() };
            for row in &rows {
                let id = EventId(row.try_get(13)?);
                match event(row, id, self.sites()) {
                    Ok(event) => page.events.push(event),
                    Err(failure) => {
                        let why = failure.told().without_paths();
                        page.unreadable.push((id, format!("it can't be read: {why}")));
                    }
                }
            }
            self.sites().learn(client).await?;
            // What is left out waits as well.
            let first = rows.first().map(|row| row.try_get(13)).transpose()?;
            if let Some(first) = first.into_iter().chain(except.iter().copied()).min()
                && after.is_none()
                && marks.is_old()
            {
                marks.events.note(handler.0, first, begun);
            }
            Ok(page)
        })
        .await
    }

    /// Reads the numbers of the events of a handler.
    pub(super) async fn outbox_state(&self, handler: HandlerId) -> Result<OutboxState, StoreError> {
        self.with(async |client: &Object| {
            let statement = client.prepare_cached(STATE).await?;
            let row = client.query_one(&statement, &[&handler.0]).await?;
            let count = |column| -> Result<u64, Failure> {
                let number: Option<i64> = row.try_get(column)?;
                Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default())
            };
            let last_failure = match row.try_get::<_, Option<i64>>(4)? {
                None => None,
                Some(id) => Some(FailedEvent {
                    id: EventId(id),
                    at: Timestamp(row.try_get(5)?),
                    attempts: u32::try_from(row.try_get::<_, i32>(6)?).unwrap_or_default(),
                    error: String::from_utf8_lossy(row.try_get(7)?).into_owned(),
                }),
            };
            Ok(OutboxState {
                pending: count(0)?,
                oldest: row.try_get::<_, Option<i64>>(8)?.map(EventId).zip(time(&row, 1)?),
                failed: count(2)?,
                dropped: count(3)?,
                last_failure,
            })
        })
        .await
    }

    /// Makes an owner the one that delivers the events of a handler, unless the lease of another one that does holds.
    pub(super) async fn lead(
        &self,
        handler: HandlerId,
        owner: OwnerId,
    ) -> Result<bool, StoreError> {
        self.with(async |client: &Object| {
            let statement = client.prepare_cached(LEADER).await?;
            let Some(row) = client.query_opt(&statement, &[&handler.0, &owner.0]).await? else {
                return Ok(false);
            };
            let leader: Option<i64> = row.try_get(0)?;
            let (leads, may_lead): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
            if !may_lead || leads {
                return Ok(may_lead && leader == Some(owner.0));
            }
            let statement = client.prepare_cached(TAKE_LEAD).await?;
            Ok(client.execute(&statement, &[&handler.0, &owner.0]).await? > 0)
        })
        .await
    }
}

/// Reads an event: an action in the columns of [`record`], or a fill level.
fn event(row: &Row, id: EventId, sites: &Sites) -> Result<StoredEvent, Failure> {
    let kind: i16 = row.try_get(14)?;
    let level: Option<&[u8]> = row.try_get(22)?;
    let about = match level {
        Some(level) => About::Queue(serde_json::from_slice(level).map_err(|error| {
            corrupt(format!("the fill level of event {} is unreadable: {error}", id.0))
        })?),
        None => About::Action(Box::new(record(row, sites)?)),
    };
    let bytes: i64 = row.try_get(23)?;
    Ok(StoredEvent {
        id,
        queue: QueueId(row.try_get::<_, i32>(21)?.into()),
        kind: EventKind::of_number(kind.into())
            .ok_or_else(|| corrupt(format!("event {} is of the kind {kind}", id.0)))?,
        at: Timestamp(row.try_get(15)?),
        about,
        bytes: usize::try_from(bytes).unwrap_or_default(),
    })
}
