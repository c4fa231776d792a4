//! Tables, indexes and settings of the database file.
//!
//! Hot columns (those that commands and listings read) are in another table than parameters, and stand before errors and
//! results. Indexes, each for a filter or a sort key of QueueInfo:
//!
//! | index | used for |
//! |---|---|
//! | `by_state` | the next to start (highest priority, then arrival), `State`, place in the queue; without Finished, the state of most rows |
//! | `by_priority` | `Min-`/`Max-Priority`; without 0, the priority of most rows |
//! | `by_queued` | the default order, `Queued-After`/`-Before` |
//! | `by_started` | `Sort-By=start-time`, `Started-After`/`-Before` |
//! | `by_finished` | `Sort-By=finish-time`, `Finished-After`/`-Before`, retention |
//! | `by_not_before` | the deferred actions: queued ones that may not start yet, the first of them first |
//! | `by_action_id` | `ActionID`; of the few actions that were submitted with one |
//! | `event_by_handler` | the events of a handler: those that wait, those that failed |
//!
//! A deferred action has a state number of its own in the file ([`DEFERRED`]), so that it stands nowhere in the order of
//! those that may start. It is [`State::Queued`] to everybody else.
//!
//! An index ends in the row id, so equal keys are in order of arrival. The reasons are in
//! `docs/adr/0007-few-changes-an-action.md`.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::Durability;
use super::errors::store_error;
use super::files::JOURNAL_SIZE_LIMIT;
use crate::action::State;
use crate::store::StoreError;

/// The format that this version writes.
pub(super) const VERSION: i64 = 4;

/// The number in place of the format's while the file is filled by a move from another store.
pub(super) const MOVING: i64 = -1;

/// The state number of an action that is queued and may not start before its `not_before`.
pub(super) const DEFERRED: u8 = 8;
const _: () = assert!(State::ALL.len() == DEFERRED as usize);

/// Condition of the partial index `by_state`. SQLite uses the index only for a query with the same condition,
/// letter for letter: it can't derive it from a bound state.
macro_rules! in_by_state {
    () => {
        "state <> 4"
    };
}
const _: () = assert!(State::Finished as u8 == 4);

/// Condition of the partial index `by_priority`; see [`in_by_state`].
macro_rules! in_by_priority {
    () => {
        "priority <> 0"
    };
}

/// Condition of the partial index `by_not_before`; see [`in_by_state`].
macro_rules! in_by_not_before {
    () => {
        "state = 8"
    };
}
const _: () = assert!(DEFERRED == 8);

pub(super) use {in_by_not_before, in_by_priority, in_by_state};

/// The columns of `action` that few rows use, each between these two texts. Empty, each costs a byte of the row.
macro_rules! rare_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "not_before INTEGER",
            $after,
            $before,
            "failures INTEGER NOT NULL DEFAULT 0",
            $after,
            $before,
            "restarts INTEGER NOT NULL DEFAULT 0",
            $after,
            $before,
            "worker TEXT",
            $after,
            $before,
            "note TEXT",
            $after
        )
    };
}

/// The columns of `action` that came with format 4; as [`rare_columns`].
macro_rules! origin_columns {
    ($before:literal, $after:literal) => {
        concat!($before, "action_id TEXT", $after, $before, "origin TEXT", $after)
    };
}

const CREATE: &str = "
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last_id INTEGER NOT NULL, -- no id above this was given out, but those of rows that are there (Q1)
    last_event INTEGER NOT NULL DEFAULT 0 -- the same of events
) STRICT;
INSERT INTO meta VALUES (1, 0, 0);
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    paused INTEGER NOT NULL DEFAULT 0,
    counts TEXT NOT NULL -- actions by state, as a JSON array in the order of the state numbers; then the deferred ones,
                         -- which are among the queued ones too
) STRICT;
CREATE TABLE parameters (
    id INTEGER PRIMARY KEY,
    submission_key TEXT,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE submission_key (
    queue INTEGER NOT NULL,
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
";

const CREATE_ACTION: &str = concat!(
    "
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
    percent REAL NOT NULL DEFAULT 0,
    error TEXT, -- these two may be long: what looks at those before must not read them
    report TEXT",
    rare_columns!(",\n    ", ""),
    origin_columns!(",\n    ", ""),
    "
) STRICT;
CREATE INDEX by_state ON action (queue, state, priority DESC) WHERE ",
    in_by_state!(),
    ";
CREATE INDEX by_priority ON action (queue, priority) WHERE ",
    in_by_priority!(),
    ";
CREATE INDEX by_queued ON action (queue, queued_at);
CREATE INDEX by_started ON action (queue, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX by_finished ON action (queue, finished_at) WHERE finished_at IS NOT NULL;
"
);

const CREATE_HISTORY: &str = concat!(
    "
CREATE TABLE history ( -- attempts that ended without ending their action
    id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    ended TEXT, -- as JSON; NULL if the server went down
    worker TEXT,
    error TEXT,
    PRIMARY KEY (id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX by_not_before ON action (queue, not_before) WHERE ",
    in_by_not_before!(),
    ";
"
);

const CREATE_OUTBOX: &str = "
CREATE INDEX by_action_id ON action (queue, action_id) WHERE action_id IS NOT NULL;
CREATE TABLE handler (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    dropped INTEGER NOT NULL DEFAULT 0 -- events that were dropped undelivered
) STRICT;
CREATE TABLE event ( -- what handlers are to be told, once for each of them
    id INTEGER PRIMARY KEY,
    handler INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    failed INTEGER NOT NULL DEFAULT 0, -- 1: it could not be delivered, and waits for somebody to decide
    failed_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    level TEXT, -- the fill level of the queue, as JSON; without it the rest is an action as it was then
    action INTEGER,
    state INTEGER,
    priority INTEGER,
    attempt INTEGER,
    queued_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    processing_ms INTEGER,
    percent REAL,
    not_before INTEGER,
    worker TEXT,
    origin TEXT,
    error TEXT,
    report TEXT
) STRICT;
CREATE INDEX event_by_handler ON event (handler, failed);
";

macro_rules! add_to_meta {
    () => {
        "ALTER TABLE meta ADD COLUMN last_event INTEGER NOT NULL DEFAULT 0;\n"
    };
}

const CREATE_SCHEDULES: &str = "
CREATE TABLE schedule (
    folded TEXT PRIMARY KEY, -- the name in lower case
    name TEXT NOT NULL,
    since INTEGER NOT NULL, -- when it was first known
    passed INTEGER NOT NULL, -- what was due up to here is done with
    last_due INTEGER, -- its last action, for that time
    last_queue INTEGER,
    last_id INTEGER,
    cycles INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    definition TEXT -- of one that was added while the server ran
) STRICT, WITHOUT ROWID;
";

/// Migration from format 3, which told nobody of anything and knew no schedules.
const ADD_OUTBOX: &str =
    concat!(add_to_meta!(), origin_columns!("ALTER TABLE action ADD COLUMN ", ";\n"));
const ADD_META: &str = add_to_meta!();

/// Migration from format 2, which knew one attempt after another, and nothing that waits for a time. The new columns are at the
/// end of a row, so the rows stay as they are.
const ADD_COLUMNS: &str = rare_columns!("ALTER TABLE action ADD COLUMN ", ";\n");

/// Migration from format 1, which had errors and results in a table of their own, and every state in
/// `by_state`. The rows are copied in the order of their ids, so that the new trees only grow at their
/// ends. That is faster than updating each row in place, and needs neither memory nor temporary files.
const BEFORE_COPY: &str = "
ALTER TABLE action RENAME TO action_1;
DROP INDEX by_state; DROP INDEX by_queued; DROP INDEX by_started; DROP INDEX by_finished;
";
const COPY: &str = "
INSERT INTO action (id, queue, state, priority, attempt, queued_at, started_at, finished_at,
    processing_ms, percent, error, report)
    SELECT a.id, a.queue, a.state, a.priority, a.attempt, a.queued_at, a.started_at,
    a.finished_at, a.processing_ms, a.percent, o.error, o.report
    FROM action_1 a LEFT JOIN outcome o ON o.id = a.id ORDER BY a.id;
DROP TABLE action_1; DROP TABLE outcome;
";

/// Error of [`prepare`]; the caller adds the path.
pub(super) enum PrepareError {
    Sqlite(rusqlite::Error),
    NoRoom,
    TooNew(i64),
    Foreign,
    Moving,
}

impl PrepareError {
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            // This process has no other connection to it yet.
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                StoreError::Io(format!("{} is open in another program: {error}", path.display()))
            }
            Self::Sqlite(error) => store_error(&error, path),
            Self::NoRoom => StoreError::Full,
            Self::TooNew(found) => {
                StoreError::TooNew { path: path.to_owned(), found, known: VERSION }
            }
            Self::Foreign => StoreError::Corrupt {
                path: path.to_owned(),
                reason: "it holds tables that are not actiond's".to_owned(),
            },
            Self::Moving => StoreError::Io(format!(
                "{} holds a part of what was being moved there: run \"actiond migrate\" again to move the rest, or delete it",
                path.display()
            )),
        }
    }
}

impl From<rusqlite::Error> for PrepareError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Checks that a database is empty or one of ours in a format that this version knows, and returns the format; 0 is an empty
/// one. Changes nothing: a file that is not ours must stay untouched.
pub(super) fn check(connection: &Connection) -> Result<i64, PrepareError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(PrepareError::TooNew(version));
    }
    if version == MOVING {
        return Err(PrepareError::Moving);
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let ours: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table'
         AND (name IN ('meta', 'queue', 'action', 'parameters', 'submission_key')
              OR name = 'outcome' AND ?1 = 1 OR name = 'history' AND ?1 > 2
              OR name IN ('handler', 'event', 'schedule') AND ?1 > 3)",
        [version],
        |row| row.get(0),
    )?;
    let wanted = match version {
        2 => 5,
        4 => 9,
        _ => 6,
    };
    // Other programs use `user_version` too.
    if tables > 0 && (version <= 0 || ours < wanted) {
        return Err(PrepareError::Foreign);
    }
    Ok(version)
}

/// Configures the writing connection, and creates or migrates the schema.
pub(super) fn prepare(connection: &Connection, durability: Durability) -> Result<(), PrepareError> {
    // Before the journal mode is set, which is the first write.
    let version = check(connection)?;
    if version == 0 {
        // Pointer maps, by which free pages are given back. They must be asked for before the first write.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    configure(connection, durability)?;
    let steps = match version {
        0 => &[CREATE, CREATE_ACTION, CREATE_HISTORY, CREATE_OUTBOX, CREATE_SCHEDULES][..],
        1 => &[
            ADD_META,
            BEFORE_COPY,
            CREATE_ACTION,
            CREATE_HISTORY,
            CREATE_OUTBOX,
            CREATE_SCHEDULES,
            COPY,
        ],
        2 => &[ADD_COLUMNS, ADD_OUTBOX, CREATE_HISTORY, CREATE_OUTBOX, CREATE_SCHEDULES],
        3 => &[ADD_OUTBOX, CREATE_OUTBOX, CREATE_SCHEDULES],
        _ => return Ok(()),
    };
    if version > 0 {
        log::info!("the action database is brought from format {version} to format {VERSION}");
    }
    // If anything fails before the commit, the connection is closed and the file stays as it was.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for step in steps {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "user_version", VERSION)?;
    if !has_room_to_checkpoint(connection)? {
        return Err(PrepareError::NoRoom);
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Configures the writing connection.
pub(super) fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(
        None,
        "synchronous",
        match durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        },
    )?;
    // 4 MB of pages is enough: nearly all writes are at the ends of the trees, however large they are.
    connection.pragma_update(None, "cache_size", -4_000)?;
    let limit = format!("PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT}");
    connection.query_row(&limit, [], |_| Ok(()))
}

/// Returns true if there is space to copy what this transaction wrote to the log into the database. Without it the
/// checkpoint could never be made, and nothing be done but wait for space.
fn has_room_to_checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, u64>(0));
    let wanted = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    Ok(connection.path().is_none_or(|path| can_grow_to(Path::new(path), wanted)))
}

/// Returns true if the disk has space for a file to grow to this size in bytes.
fn can_grow_to(path: &Path, wanted: u64) -> bool {
    let there = std::fs::metadata(path).map_or(0, |file| file.len());
    // If the free space is unknown, it is assumed to be enough.
    let free = path
        .parent()
        .map_or(u64::MAX, |directory| fs4::available_space(directory).unwrap_or(u64::MAX));
    wanted.saturating_sub(there) <= free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_can_grow_as_far_as_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, [0; 1_000]).unwrap();
        let free = fs4::available_space(directory.path()).unwrap();
        assert!(can_grow_to(&path, 0), "it need not grow");
        assert!(can_grow_to(&path, 1_000));
        // Others use the disk meanwhile.
        assert!(can_grow_to(&path, free / 2));
        assert!(!can_grow_to(&path, free.saturating_mul(2).saturating_add(1_000_000)));
    }
}
