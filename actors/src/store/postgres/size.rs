//! The size of the database.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::read::Reader;
use crate::store::{StoreError, StoreSize};

/// Time for which a size counts as known: the database asks its disk for each of its files.
const KNOWN_FOR: Duration = Duration::from_secs(60);

const SIZE: &str = "SELECT pg_database_size(current_database())";

/// The size that was read last, and when. Whoever asks while it is read waits for that.
#[derive(Default)]
pub(super) struct Measured(Mutex<Option<(Instant, StoreSize)>>);

impl Measured {
    /// Returns the size, at most a minute old.
    pub(super) async fn read(&self, reader: &Reader) -> Result<StoreSize, StoreError> {
        let mut known = self.0.lock().await;
        if let Some((at, size)) = *known
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(size);
        }
        let bytes: i64 = reader
            .with(async |client: &Object| {
                let statement = client.prepare_cached(SIZE).await?;
                Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
            })
            .await?;
        let size = StoreSize { database: u64::try_from(bytes).unwrap_or_default(), file: None };
        *known = Some((Instant::now(), size));
        Ok(size)
    }
}
