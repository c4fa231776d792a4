//! Makes the settings of the store: which there is, and the way to one that several servers share.

use std::path::PathBuf;
use std::time::Duration;

use actiond_actors::store::postgres::{Connect, ConnectionString};

use super::build::seconds;
use super::disk::Disk;
use super::key::Key;
use super::reader::Reader;
use super::settings::{PostgresSettings, StoreSettings};
use super::table::{self, CONNECTION_STRING, CONNECTION_STRING_FILE};

const SECTION: &str = "Actions";

/// Time between two heartbeats where it is not given.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Number of heartbeats in a lease: two may get lost.
const BEATS: u32 = 3;

/// Longest name of a schema, in bytes: PostgreSQL cuts a longer one.
const MAX_SCHEMA: usize = 63;

/// Makes the settings.
pub(super) fn store(reader: &mut Reader<'_>, disk: Disk) -> StoreSettings {
    let is_postgres =
        reader.word(&[SECTION], table::ASYNC_STORE_LIBRARY_NAME) == Some(table::POSTGRES);
    let connection = connection(reader, disk, is_postgres);
    let schema = schema(reader);
    let lease = seconds(reader, &[SECTION], table::SERVER_LEASE_SECS);
    let heartbeat = heartbeat(reader, lease);
    if !is_postgres {
        for key in [table::SCHEMA, table::SERVER_LEASE_SECS, table::SERVER_HEARTBEAT_SECS] {
            if differs(reader, key) {
                let what = "has no effect without AsyncStoreLibraryName=postgres";
                reader.warn_at(SECTION, key, what);
            }
        }
        return StoreSettings::Sqlite;
    }
    if differs(reader, table::DURABILITY) {
        let what = "has no effect with AsyncStoreLibraryName=postgres: synchronous_commit of the database decides that";
        reader.warn_at(SECTION, table::DURABILITY, what);
    }
    // Without one there is a problem, and no settings come of this.
    let Some(connection) = connection else { return StoreSettings::Sqlite };
    StoreSettings::Postgres(Box::new(PostgresSettings { connection, schema, lease, heartbeat }))
}

/// Returns true if the file gives a key.
fn gives(reader: &Reader<'_>, key: &Key) -> bool {
    reader.ini.section(SECTION).is_some_and(|section| section.get(key.name).is_some())
}

/// Returns true if the file gives a key another value than the default, or than the example where there is none: what prints
/// the keys in force prints those, too.
fn differs(reader: &Reader<'_>, key: &Key) -> bool {
    let given = reader.ini.section(SECTION).and_then(|section| section.get(key.name));
    let usual = key.default.unwrap_or(key.example);
    given.is_some_and(|entry| !entry.value.eq_ignore_ascii_case(usual))
}

/// Reads the connection string. Its certificates are read, too, but nothing is connected to.
fn connection(reader: &mut Reader<'_>, disk: Disk, is_postgres: bool) -> Option<ConnectionString> {
    let given = reader.text(&[SECTION], CONNECTION_STRING);
    let file = reader.text(&[SECTION], CONNECTION_STRING_FILE).map(PathBuf::from);
    let key = if file.is_some() { CONNECTION_STRING_FILE } else { CONNECTION_STRING };
    let (text, about) = match (given, file) {
        _ if !is_postgres => {
            for key in [CONNECTION_STRING, CONNECTION_STRING_FILE] {
                if gives(reader, key) {
                    // Whoever gives it does not want the actions in a file of this machine.
                    reader.problem_at(SECTION, key, "needs AsyncStoreLibraryName=postgres");
                }
            }
            return None;
        }
        (Some(_), Some(_)) => {
            reader.problem_at(
                SECTION,
                CONNECTION_STRING,
                "can't stand beside ConnectionStringFile",
            );
            return None;
        }
        (None, None) => {
            let reason = "needs ConnectionString or ConnectionStringFile";
            reader.problem_at(SECTION, table::ASYNC_STORE_LIBRARY_NAME, reason);
            return None;
        }
        (Some(text), None) => (text, "can't be used"),
        (None, Some(_)) if disk == Disk::Unknown => return None,
        (None, Some(file)) => {
            reader.files.push(file.clone());
            match disk.read_small(&file) {
                Ok(text) => {
                    let first = text.lines().next().unwrap_or_default().trim();
                    (first.to_owned(), "has a first line that can't be used")
                }
                Err(why) => {
                    reader.problem_at(SECTION, key, format!("can't be used: {why}"));
                    return None;
                }
            }
        }
    };
    let read = text.parse().and_then(|string: ConnectionString| {
        if disk == Disk::Real {
            Connect::of_string(&string)?;
        }
        Ok(string)
    });
    match read {
        Ok(string) => {
            reader.files.extend(string.files().map(PathBuf::from));
            Some(string)
        }
        Err(why) => {
            reader.problem_at(SECTION, key, format!("{about}: {why}"));
            None
        }
    }
}

fn schema(reader: &mut Reader<'_>) -> String {
    let name = reader.text(&[SECTION], table::SCHEMA).unwrap_or_default();
    if !is_schema(&name) && !name.is_empty() {
        let reason = format!("must be {}", table::SCHEMA.kind.allowed());
        reader.problem_at(SECTION, table::SCHEMA, reason);
    }
    name
}

/// Tells whether this can be the name of a schema.
pub(crate) fn is_schema(name: &str) -> bool {
    (1..=MAX_SCHEMA).contains(&name.len())
        && !name.starts_with("pg_")
        && !name.contains(char::is_control)
}

fn heartbeat(reader: &mut Reader<'_>, lease: Duration) -> Duration {
    let most = Duration::from_secs((lease / BEATS).as_secs());
    let given = seconds(reader, &[SECTION], table::SERVER_HEARTBEAT_SECS);
    if !gives(reader, table::SERVER_HEARTBEAT_SECS) {
        let heartbeat = HEARTBEAT.min(most);
        let how = "5, or a third of ServerLeaseSecs if that is less";
        let text = heartbeat.as_secs().to_string();
        reader.derived(SECTION, table::SERVER_HEARTBEAT_SECS, &text, how);
        return heartbeat;
    }
    if given > most && !lease.is_zero() {
        let (lease, most) = (lease.as_secs(), most.as_secs());
        let reason = format!(
            "must be at most {most}, a third of ServerLeaseSecs ({lease}): the server would lose its lease by one heartbeat that is late"
        );
        reader.problem_at(SECTION, table::SERVER_HEARTBEAT_SECS, reason);
    }
    given
}
