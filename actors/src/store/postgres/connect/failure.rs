//! Reasons for which no connection could be made, with the host at which each was tried.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::options::SslMode;
use crate::store::postgres::errors::with_cause;

/// No connection could be made: the hosts that were tried, and why not. The password is in none of it.
#[derive(Debug)]
pub(in crate::store::postgres) struct DialError {
    tried: Vec<(String, Why)>,
}

/// The reason at one host.
#[derive(Debug)]
pub(super) enum Why {
    Postgres(Error),
    Lookup(io::Error),
    Timeout(Duration),
}

impl DialError {
    pub(super) const fn new(tried: Vec<(String, Why)>) -> Self {
        Self { tried }
    }

    /// Tells whether a database has answered, with an error: any but that it ends, or is not ready yet.
    pub(in crate::store::postgres) fn is_answer(&self) -> bool {
        self.tried.iter().any(|(_, why)| match why {
            Why::Postgres(error) => {
                error.as_db_error().is_some_and(|told| !told.code().code().starts_with("57"))
            }
            _ => false,
        })
    }

    /// Returns the last error of a connection; `None` if nothing answered in time.
    pub(in crate::store::postgres) fn into_error(self) -> Option<Error> {
        self.tried.into_iter().rev().find_map(|(_, why)| match why {
            Why::Postgres(error) => Some(error),
            _ => None,
        })
    }
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (at, why)) in self.tried.iter().enumerate() {
            let semicolon = if index > 0 { "; " } else { "" };
            write!(f, "{semicolon}{at}: {why}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres(error) => f.write_str(&text(error)),
            Self::Lookup(error) => write!(f, "{error}"),
            Self::Timeout(time) => {
                write!(f, "it did not answer within {:.1} s", time.as_secs_f64())
            }
        }
    }
}

/// Returns what an error means to who has written the connection string.
fn text(error: &Error) -> String {
    if let Some(told) = error.as_db_error() {
        return format!("{} ({})", told.message(), told.code().code());
    }
    if let Some(failed) = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        let is_ours =
            failed.kind() == io::ErrorKind::PermissionDenied && failed.raw_os_error().is_none();
        return match is_ours {
            // So tokio-postgres says that target_session_attrs is not met.
            true => "it takes no writes; it may be a standby".to_owned(),
            false => failed.to_string(),
        };
    }
    match error.source().map(ToString::to_string).as_deref() {
        Some("password missing") => {
            "it asks for a password, and there is none: neither in the connection string, nor in PGPASSWORD, nor in a password \
             file that may be used"
                .to_owned()
        }
        Some("server does not support TLS") => "it has no TLS, and sslmode asks for it".to_owned(),
        _ => with_cause(error),
    }
}

/// Returns true if what failed in one way may succeed in the mode's other one, with TLS or without. A wrong password is none
/// of that.
pub(super) fn may_try_otherwise(mode: SslMode, error: &Error) -> bool {
    let is_refused = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    match mode {
        SslMode::Allow => is_refused,
        SslMode::Prefer => is_refused || is_of_tls(error),
        _ => false,
    }
}

fn is_of_tls(error: &Error) -> bool {
    let failed = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    failed.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>())
}
