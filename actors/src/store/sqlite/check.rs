//! Checks of a database that nobody has open: that it is whole, and that a server can begin with it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Durability;
use super::errors::store_error;
use super::open::connect;
use super::rows::counts_from_text;
use super::schema::{self, DEFERRED, PrepareError};
use crate::action::State;
use crate::store::StoreError;

/// The largest id, and the largest number of an event, that a database may have given out. Beyond it too few would be left, and no server comes so far.
const MAX_LAST_ID: i64 = i64::MAX / 2;

/// Checks that a database of SQLite's, which nobody has open, is not damaged.
///
/// # Errors
///
/// - [`StoreError::Corrupt`] if it is damaged, or no database;
/// - [`StoreError::Io`] if it can't be read.
pub fn check_whole(path: &Path) -> Result<(), StoreError> {
    alone(path).and_then(|database| whole(&database)).map_err(|reason| reason.at(path))
}

/// The content of a copy of the store's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyContent {
    /// Number of its actions.
    pub actions: u64,
    /// Number of those that ran when it was made.
    pub running: u64,
}

/// Checks that a file, which nobody has open, is a whole database of actions in the format of this version, with which a server can
/// begin, and returns what it holds.
///
/// # Errors
///
/// - [`StoreError::Corrupt`] if it is damaged or not such a database;
/// - [`StoreError::TooNew`] if a newer version wrote it;
/// - [`StoreError::Io`] if it can't be read.
pub fn check_copy(path: &Path) -> Result<CopyContent, StoreError> {
    let checked = alone(path).and_then(|database| {
        whole(&database)?;
        match schema::check(&database)? {
            schema::VERSION => content(&database),
            older => Err(Reason::Content(format!("it has format {older}"))),
        }
    });
    checked.map_err(|reason| reason.at(path))
}

/// Opens a database of actions that nobody else has open, as a server does that begins with it: takes in the log that lies beside
/// it, and brings it to the format of this version. Then checks all that a server relies on, and leaves it as one file.
///
/// # Errors
///
/// - [`StoreError::Corrupt`] if it is damaged or not such a database;
/// - [`StoreError::TooNew`] if a newer version wrote it;
/// - [`StoreError::Io`] or [`StoreError::Full`] if it can't be read or written.
pub fn prepare_copy(path: &Path) -> Result<CopyContent, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = connect(path, flags, None)?;
    let prepare = || {
        // What it defines itself must not call what it likes.
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        whole(&database)?;
        // An empty database has format 0.
        if schema::check(&database)? < 1 {
            return Err(Reason::Content("it holds no actions".to_owned()));
        }
        nothing_acts(&database)?;
        schema::prepare(&database, Durability::Full)?;
        let content = content(&database)?;
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        database.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
        Ok(content)
    };
    let content = prepare().map_err(|reason: Reason| reason.at(path))?;
    database.close().map_err(|(_, error)| store_error(&error, path))?;
    Ok(content)
}

/// Takes the log that lies beside a database into it, and checks that it is not damaged. Nobody else has it open.
///
/// # Errors
///
/// - [`StoreError::Corrupt`] if it is damaged, or no database;
/// - [`StoreError::Io`] or [`StoreError::Full`] if it can't be read or written.
pub fn settle(path: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = connect(path, flags, None)?;
    whole(&database).map_err(|reason| reason.at(path))?;
    let settled = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    settled.map_err(|error| store_error(&error, path))?;
    database.close().map_err(|(_, error)| store_error(&error, path))
}

/// The reason for which no server could begin with a database; the caller adds the path.
enum Reason {
    Content(String),
    Prepare(PrepareError),
}

impl Reason {
    fn at(self, path: &Path) -> StoreError {
        let corrupt = |reason| StoreError::Corrupt { path: path.to_owned(), reason };
        match self {
            Self::Content(reason) => corrupt(reason),
            Self::Prepare(PrepareError::Sqlite(error)) if is_content(&error) => {
                corrupt(error.to_string())
            }
            Self::Prepare(error) => error.at(path),
        }
    }
}

impl From<rusqlite::Error> for Reason {
    fn from(error: rusqlite::Error) -> Self {
        Self::Prepare(error.into())
    }
}

impl From<PrepareError> for Reason {
    fn from(error: PrepareError) -> Self {
        Self::Prepare(error)
    }
}

/// Tells whether an error comes from what is in the file: a table is missing, there is a column already, a row is missing.
fn is_content(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        None => true,
        Some(code) => matches!(
            code,
            ErrorCode::Unknown | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch
        ),
    }
}

fn whole(database: &Connection) -> Result<(), Reason> {
    match database.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?.as_str() {
        "ok" => Ok(()),
        reason => Err(Reason::Content(reason.to_owned())),
    }
}

/// Checks that it has nothing that would act by itself once rows are written.
fn nothing_acts(database: &Connection) -> Result<(), Reason> {
    let mut found = database.prepare(
        "SELECT type || ' ' || name FROM sqlite_schema WHERE type NOT IN ('table', 'index')",
    )?;
    match found.query([])?.next()? {
        None => Ok(()),
        Some(row) => Err(Reason::Content(format!(
            "it has the {:?}, which is not actiond's",
            row.get::<_, String>(0)?
        ))),
    }
}

/// Checks its tables, indexes and the rows that a server reads first, and returns what it holds.
fn content(database: &Connection) -> Result<CopyContent, Reason> {
    let own = Connection::open_in_memory()?;
    schema::prepare(&own, Durability::Normal)?;
    let (own, found) = (shapes(&own)?, shapes(database)?);
    for (name, shape) in &own {
        match found.get(name) {
            None => return Err(Reason::Content(format!("it has no {name}"))),
            Some(other) if other != shape => {
                return Err(Reason::Content(format!("its {name} is not actiond's")));
            }
            Some(_) => {}
        }
    }
    if let Some(foreign) = found.keys().find(|name| !own.contains_key(*name)) {
        return Err(Reason::Content(format!("it has the {foreign:?}, which is not actiond's")));
    }
    ids(database)?;
    counts(database)
}

/// Reads what kind of thing each name stands for, and of which columns it is.
fn shapes(database: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = database.prepare(
        "SELECT type || ' ' || name, tbl_name
         || coalesce((SELECT group_concat(name || ' ' || type || ' ' || \"notnull\" || pk || hidden)
             FROM pragma_table_xinfo(s.name) WHERE s.type = 'table'), '')
         || coalesce((SELECT group_concat(coalesce(name, '') || ' ' || \"desc\" || coll || key)
             FROM pragma_index_xinfo(s.name) WHERE s.type = 'index'), '')
         FROM sqlite_schema s WHERE name NOT LIKE 'sqlite_stat%'",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Checks the ids of actions and the numbers of events that were given out.
fn ids(database: &Connection) -> Result<(), Reason> {
    let (last, first): (i64, i64) = database.query_row(
        "SELECT max(last_id, (SELECT coalesce(max(id), 0) FROM action)),
         min(last_id, (SELECT coalesce(min(id), 1) - 1 FROM action)) FROM meta",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if first < 0 || last > MAX_LAST_ID {
        return Err(Reason::Content(format!("ids of its actions are not in 1..={MAX_LAST_ID}")));
    }
    let (last, first): (i64, i64) = database.query_row(
        "SELECT max(last_event, (SELECT coalesce(max(id), 0) FROM event)),
         min(last_event, (SELECT coalesce(min(id), 1) - 1 FROM event)) FROM meta",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if first < 0 || last > MAX_LAST_ID {
        return Err(Reason::Content(format!("numbers of its events are not in 1..={MAX_LAST_ID}")));
    }
    Ok(())
}

/// Checks that each queue knows how many actions it has in each state.
fn counts(database: &Connection) -> Result<CopyContent, Reason> {
    let mut content = CopyContent { actions: 0, running: 0 };
    let mut found = HashMap::<i64, BTreeMap<u8, u64>>::new();
    let mut statement =
        database.prepare("SELECT queue, state, count(*) FROM action GROUP BY queue, state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (queue, state, number): (i64, i64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let state = u8::try_from(state).ok().filter(|state| *state <= DEFERRED);
        let state =
            state.ok_or_else(|| Reason::Content("an action has an unknown state".to_owned()))?;
        content.actions = content.actions.saturating_add(number);
        if (1..=3).contains(&state) {
            content.running = content.running.saturating_add(number);
        }
        found.entry(queue).or_default().insert(state, number);
    }
    let mut statement = database.prepare("SELECT id, counts FROM queue")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (queue, text): (i64, String) = (row.get(0)?, row.get(1)?);
        let of = |state: u8| {
            found.get(&queue).and_then(|states| states.get(&state)).copied().unwrap_or_default()
        };
        let is_right = counts_from_text(&text).is_some_and(|(counts, deferred)| {
            let all = |state: State| match state {
                State::Queued => of(state as u8).saturating_add(of(DEFERRED)),
                state => of(state as u8),
            };
            deferred == of(DEFERRED)
                && State::ALL.into_iter().all(|state| counts.of(state) == all(state))
        });
        if !is_right {
            return Err(Reason::Content(format!(
                "queue number {queue} does not know how many actions it has"
            )));
        }
    }
    Ok(content)
}

fn alone(path: &Path) -> Result<Connection, Reason> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}
