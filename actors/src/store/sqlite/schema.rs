//! Tables, indexes and settings of the database file.
//!
//! Hot columns (what a command or a listing looks at) stand apart from parameters and outcomes.
//! Indexes, each for a filter or a sort key of QueueInfo:
//!
//! | index | serves |
//! |---|---|
//! | `by_state` | the next to start (highest priority, then arrival), `State`, `Min-`/`Max-Priority`, place in the queue |
//! | `by_queued` | the default order, `Queued-After`/`-Before` |
//! | `by_started` | `Sort-By=start-time`, `Started-After`/`-Before` |
//! | `by_finished` | `Sort-By=finish-time`, `Finished-After`/`-Before`, retention |
//!
//! An index ends in the row id, so equal keys are in order of arrival.

use std::path::Path;

use rusqlite::Connection;

use super::{Durability, store_error};
use crate::store::StoreError;

/// The format that this version writes.
const VERSION: i64 = 1;

const CREATE: &str = "
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last_id INTEGER NOT NULL -- the highest id ever given out; rows may be gone, ids never come back (Q1)
) STRICT;
INSERT INTO meta VALUES (1, 0);
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    paused INTEGER NOT NULL DEFAULT 0,
    counts TEXT NOT NULL -- actions by state, as a JSON array in the order of the state numbers
) STRICT;
CREATE TABLE action (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL, -- times in milliseconds since 1970
    started_at INTEGER,
    finished_at INTEGER,
    processing_ms INTEGER NOT NULL DEFAULT 0,
    percent REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX by_state ON action (queue, state, priority DESC);
CREATE INDEX by_queued ON action (queue, queued_at);
CREATE INDEX by_started ON action (queue, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX by_finished ON action (queue, finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE parameters (
    id INTEGER PRIMARY KEY,
    submission_key TEXT,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    error TEXT,
    report TEXT
) STRICT;
CREATE TABLE submission_key (
    queue INTEGER NOT NULL,
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
";

/// Why the schema could not be prepared; the path is added by the caller.
pub(super) enum Problem {
    Sqlite(rusqlite::Error),
    TooNew(i64),
    Foreign,
}

impl Problem {
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Sqlite(error) => store_error(&error, path),
            Self::TooNew(found) => {
                StoreError::TooNew { path: path.to_owned(), found, known: VERSION }
            }
            Self::Foreign => StoreError::Corrupt {
                path: path.to_owned(),
                reason: "it holds tables that are not actiond's".to_owned(),
            },
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Sets the writing connection up and creates what is not there.
pub(super) fn prepare(connection: &Connection, durability: Durability) -> Result<(), Problem> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(Problem::TooNew(version));
    }
    // The journal mode is the first write: it must not touch a file that is not ours.
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let ours: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table'
         AND name IN ('meta', 'queue', 'action', 'parameters', 'outcome', 'submission_key')",
        [],
        |row| row.get(0),
    )?;
    // Other programs number their formats too.
    if tables > 0 && (version == 0 || ours < 6) {
        return Err(Problem::Foreign);
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(
        None,
        "synchronous",
        match durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        },
    )?;
    // 16 MB of pages: enough for the upper levels of the trees with millions of rows.
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
    if version == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {CREATE} PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
    }
    Ok(())
}
