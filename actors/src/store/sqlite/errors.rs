//! Meaning of SQLite's errors.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Returns true if a part of the file can't be read or has invalid content. Other parts may still be readable.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_CORRUPTFS, SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ};
    matches!(store_error(error, Path::new("")), StoreError::Corrupt { .. })
        || matches!(
            error.sqlite_extended_error_code(),
            Some(SQLITE_IOERR_READ | SQLITE_IOERR_SHORT_READ | SQLITE_IOERR_CORRUPTFS)
        )
}

/// Converts an error of SQLite's to one for the caller of the store.
pub(super) fn store_error(error: &rusqlite::Error, path: &Path) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        // There is no space for the index of the log.
        _ if error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
            StoreError::Full
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path: PathBuf::from(path), reason: error.to_string() }
        }
        _ if matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
        ) =>
        {
            StoreError::Corrupt { path: PathBuf::from(path), reason: error.to_string() }
        }
        _ => StoreError::Io(error.to_string()),
    }
}
