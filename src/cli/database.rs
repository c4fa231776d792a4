//! Opens the database that several servers share.

use actiond_actors::StoreError;
use actiond_actors::store::Site;
use actiond_actors::store::postgres::{Connect, ConnectError, PostgresStore, Settings};

use crate::config::PostgresSettings;

/// The reason for which the database can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    /// A certificate or a key has changed since the configuration was read.
    #[error("[Actions] ConnectionString can't be used: {0}")]
    Way(#[from] ConnectError),
    #[error("the database of [Actions] ConnectionString can't be {0}")]
    Store(String),
}

/// Opens it, as a server with this site and so many slots.
pub(super) async fn open(
    settings: &PostgresSettings,
    site: Site,
    slots: u32,
) -> Result<PostgresStore, DatabaseError> {
    let connect = Connect::of_string(&settings.connection)?;
    let settings = Settings {
        schema: settings.schema.clone(),
        lease: settings.lease,
        heartbeat: settings.heartbeat,
        site,
        slots,
        ..Settings::new(connect)
    };
    PostgresStore::open(settings).await.map_err(told)
}

/// Returns the name of this machine, by which others know a server that has no name of its own.
#[cfg(unix)]
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
pub(super) fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".to_owned())
}

/// Writes a host and a port as people read them: an IPv6 address stands in brackets.
pub(super) fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Returns the error of a database that can't be opened.
fn told(error: StoreError) -> DatabaseError {
    DatabaseError::Store(match error {
        StoreError::Unavailable(why) => format!("reached: {why}"),
        StoreError::Io(why) => format!("used: {why}"),
        StoreError::TooNew { found, known, .. } => {
            format!(
                "used: a newer actiond has made its tables (version {found}; this one knows up to {known})"
            )
        }
        other => format!("used: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        assert_eq!(place("::1", 7000), "[::1]:7000");
        assert_eq!(place("a.example", 7000), "a.example:7000");
    }
}
