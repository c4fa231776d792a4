//! Rewriting a database that no server uses, so that its file has no free space.

use std::path::Path;

use rusqlite::OpenFlags;

use super::errors::store_error;
use super::lock::Locks;
use super::open::connect;
use super::write::rewrite;
use super::{Durability, SqliteStore, schema};
use crate::store::StoreError;

/// The size of a database file before and after it was rewritten, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

impl SqliteStore {
    /// Rewrites the database in this directory without free space, and so that a server gives space back by itself from then on.
    /// One of an earlier version gets the format of this one. The disk must have room for twice what it holds: once where the
    /// system keeps temporary files, once in the log beside it. If this is interrupted, the database is as before.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteStore::open`]; [`StoreError::Io`] if there is no database.
    pub fn compact(directory: &Path) -> Result<Compacted, StoreError> {
        let directory = &std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let path = directory.join("actions.db");
        if !path.is_file() {
            let reason = format!("{} has no file actions.db", directory.display());
            return Err(StoreError::Io(reason));
        }
        let _locks = Locks::take(directory, &path, true)?;
        let connection = connect(&path, OpenFlags::default(), None)?;
        schema::prepare(&connection, Durability::Full).map_err(|e| e.at(&path))?;
        let length = || std::fs::metadata(&path).map_or(0, |file| file.len());
        let copy_log = || connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let rewritten = || {
            copy_log()?;
            let before = length();
            rewrite(&connection, "FILE")?;
            copy_log()?;
            Ok(Compacted { before, after: length() })
        };
        let compacted = rewritten().map_err(|e| store_error(&e, &path));
        // Before the locks.
        drop(connection);
        compacted
    }
}
