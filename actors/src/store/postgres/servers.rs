//! The list of servers.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::errors::Failure;
use super::read::Reader;
use super::sites::{Sites, site};
use crate::store::{OwnerId, Server, StoreError};

/// Times in microseconds, by the database's clock.
const SERVERS: &str = "
    SELECT s.id, s.site, i.name, i.host, i.port, s.slots,
        (SELECT count(*) FROM live l WHERE l.server = s.id AND l.state BETWEEN 1 AND 3),
        (extract(epoch FROM now - s.opened_at) * 1000000)::int8, (extract(epoch FROM now - s.seen_at) * 1000000)::int8,
        CASE WHEN NOT s.dead THEN (extract(epoch FROM s.expires_at - now) * 1000000)::int8 END,
        s.dead AND NOT s.closed
    FROM (SELECT clock_timestamp() AS now) AS clock, server s JOIN site i ON i.id = s.site
    WHERE (s.expires_at > now AND NOT s.dead)
        OR (NOT s.closed AND NOT EXISTS (SELECT 1 FROM server later WHERE later.site = s.site AND later.id > s.id))
        OR EXISTS (SELECT 1 FROM live l WHERE l.server = s.id AND l.state BETWEEN 1 AND 3)
    ORDER BY i.name, s.id";

impl Reader {
    /// Reads the servers that are there, and those that have died and are not forgotten yet. One that was ended in order is left
    /// out, and one that was started again, unless it has left something that nobody has taken over yet.
    pub(super) async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.with(async |client: &Object| {
            let statement = client.prepare_cached(SERVERS).await?;
            let rows = client.query(&statement, &[]).await?;
            rows.iter().map(|row| server(row, self.sites())).collect()
        })
        .await
    }
}

fn server(row: &Row, sites: &Sites) -> Result<Server, Failure> {
    let time = |micros: i64| u64::try_from(micros).ok().map(Duration::from_micros);
    Ok(Server {
        owner: OwnerId(row.try_get(0)?),
        site: sites.add(row.try_get(1)?, site(row, 2)?),
        slots: u32::try_from(row.try_get::<_, i32>(5)?).unwrap_or_default(),
        running: u64::try_from(row.try_get::<_, i64>(6)?).unwrap_or_default(),
        up: time(row.try_get(7)?).unwrap_or_default(),
        seen: time(row.try_get(8)?).unwrap_or_default(),
        lease: row.try_get::<_, Option<i64>>(9)?.and_then(time),
        is_dead: row.try_get(10)?,
    })
}
