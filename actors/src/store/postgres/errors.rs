//! Meaning of the errors of a database and of the way to it.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use super::connect::DialError;
use super::schema::{NEWER, NOT_NEXT, VERSION};
use crate::store::StoreError;

/// A failure, by what can be done about it.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The connection is of no use any more.
    Lost(String),
    /// No answer came in time. The connection is of no use any more, and another one may not be either.
    Silent,
    /// Another transaction was in the way: the same again may succeed.
    Conflict(String),
    /// The batch that was told is not the one that the database expects next.
    NotNext,
    /// It would fail again.
    Refused(StoreError),
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let Some(told) = error.as_db_error() else {
            return Self::Lost(with_cause(error));
        };
        let text = format!("{} ({})", told.message(), told.code().code());
        let code = told.code();
        match code.code() {
            NEWER => return Self::Refused(too_new(told)),
            NOT_NEXT => return Self::NotNext,
            _ => {}
        }
        if [
            &SqlState::ADMIN_SHUTDOWN,
            &SqlState::CRASH_SHUTDOWN,
            &SqlState::CANNOT_CONNECT_NOW,
            &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            &SqlState::READ_ONLY_SQL_TRANSACTION,
            &SqlState::TOO_MANY_CONNECTIONS,
        ]
        .contains(&code)
            || ["08", "28"].iter().any(|class| code.code().starts_with(class))
        {
            return Self::Lost(text);
        }
        match *code {
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
                Self::Conflict(text)
            }
            SqlState::DISK_FULL => Self::Refused(StoreError::Full),
            SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED | SqlState::OUT_OF_MEMORY => {
                Self::Refused(StoreError::Unavailable(text))
            }
            // Statements are prepared in a session, and one of ours never twice: somebody else's session was given.
            SqlState::DUPLICATE_PSTATEMENT | SqlState::INVALID_SQL_STATEMENT_NAME => {
                Self::Refused(pooled(&text))
            }
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Self::Refused(corrupt(text)),
            _ => Self::Refused(StoreError::Io(text)),
        }
    }

    /// Tells whether the connection is of no use any more.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Silent)
    }

    /// Returns the error for who has asked, where nothing was changed.
    pub(super) fn told(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            other => StoreError::Unavailable(other.reason()),
        }
    }

    /// Returns the reason, without a word for what it means to who has asked.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Lost(text) | Self::Conflict(text) => text.clone(),
            Self::Silent => "it does not answer".to_owned(),
            Self::NotNext => "it does not know this server's last batch".to_owned(),
            Self::Refused(error) => error.to_string(),
        }
    }
}

/// For the log: as whoever had asked would be told.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clone().told().fmt(f)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        // Also a wrong password: it may be another by the next time.
        Self::Lost(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// Returns the error of a database that holds something that this program did not write.
pub(super) fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt { path: PathBuf::from("in PostgreSQL"), reason }
}

/// Returns the error of a session that is given to others between transactions, and what showed it.
pub(super) fn pooled(shown_by: &str) -> StoreError {
    StoreError::Io(format!(
        "{shown_by}. Is there a pooler in transaction mode between? actiond needs direct connections, or a pooler in session mode"
    ))
}

/// Returns the error of a schema that a newer version has migrated.
pub(super) fn newer(found: i64) -> StoreError {
    StoreError::TooNew { path: PathBuf::from("in PostgreSQL"), found, known: VERSION.into() }
}

fn too_new(told: &DbError) -> StoreError {
    newer(told.detail().and_then(|found| found.parse().ok()).unwrap_or_default())
}

/// Returns the text of an error with those of its causes, which are more telling.
pub(super) fn with_cause(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text = format!("{text}: {below}");
        cause = below.source();
    }
    text
}
