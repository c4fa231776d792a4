//! Opens the database that several servers share.

use actiond_actors::StoreError;
use actiond_actors::store::postgres::{Connect, ConnectError, PostgresStore, Settings};

use crate::config::PostgresSettings;

/// The reason for which the database can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    /// A certificate or a key has changed since the configuration was read.
    #[error("[Actions] ConnectionString can't be used: {0}")]
    Way(#[from] ConnectError),
    #[error("PostgreSQL can't be used: {0}")]
    Store(#[from] StoreError),
}

/// Opens it.
pub(super) async fn open(settings: &PostgresSettings) -> Result<PostgresStore, DatabaseError> {
    let connect = Connect::of_string(&settings.connection)?;
    let settings = Settings {
        schema: settings.schema.clone(),
        lease: settings.lease,
        ..Settings::new(connect)
    };
    Ok(PostgresStore::open(settings).await?)
}
