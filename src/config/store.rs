//! Makes the settings of the store: which there is, and the way to one that several servers share.

use std::path::PathBuf;
use std::time::Duration;

use actiond_actors::store::postgres::{Connect, ConnectionString};

use super::build::seconds;
use super::disk::Disk;
use super::key::Key;
use super::reader::Reader;
use super::secrets::{GivenSecret, secret};
use super::settings::{InMemorySettings, PostgresSettings, StoreSettings};
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

/// Reads the maximum size of the database in the data directory.
pub(super) fn max_size(reader: &mut Reader<'_>) -> Option<u64> {
    let size = reader.integer(&[SECTION], table::MAX_DATASTORE_SIZE);
    let is_postgres =
        reader.word(&[SECTION], table::ASYNC_STORE_LIBRARY_NAME) == Some(table::POSTGRES);
    if is_postgres && differs(reader, table::MAX_DATASTORE_SIZE) {
        // Whoever gives it relies on it.
        let reason = "can't be kept with AsyncStoreLibraryName=postgres: limit the disk or the tablespace of that database, or how many actions wait (MaxQueueSize) and are kept (MaxFinishedSize)";
        reader.problem_at(SECTION, table::MAX_DATASTORE_SIZE, reason);
    }
    u64::try_from(size).ok()
}

/// Reads the settings of actions that are kept in memory.
pub(super) fn in_memory(reader: &mut Reader<'_>) -> Option<InMemorySettings> {
    let interval = table::IN_MEMORY_DATASTORE_BACKUP_INTERVAL_MINS;
    let minutes = gives(reader, interval).then(|| reader.integer(&[SECTION], interval));
    if !reader.boolean(&[SECTION], table::USE_IN_MEMORY_DATASTORE) {
        if differs(reader, interval) {
            let what = "has no effect without UseInMemoryDatastore=true";
            reader.warn_at(SECTION, interval, what);
        }
        return None;
    }
    let is_postgres =
        reader.word(&[SECTION], table::ASYNC_STORE_LIBRARY_NAME) == Some(table::POSTGRES);
    if is_postgres {
        let reason = "can't stand beside AsyncStoreLibraryName=postgres: the actions are either in memory or in that database";
        reader.problem_at(SECTION, table::USE_IN_MEMORY_DATASTORE, reason);
    }
    if differs(reader, table::DURABILITY) {
        let reason =
            "can't stand beside UseInMemoryDatastore=true: what is in memory is on no disk";
        reader.problem_at(SECTION, table::DURABILITY, reason);
    }
    let minutes = minutes.and_then(|minutes| u64::try_from(minutes).ok());
    let backup_interval = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    Some(InMemorySettings { backup_interval })
}

/// Returns true if the file gives a key.
fn gives(reader: &Reader<'_>, key: &Key) -> bool {
    reader.gives(SECTION, key)
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
    let keys = [CONNECTION_STRING, CONNECTION_STRING_FILE];
    if !is_postgres {
        for key in keys {
            // So that what is in force is known of all keys.
            reader.text(&[SECTION], key);
            if gives(reader, key) {
                // Whoever gives it does not want the actions in a file of this machine.
                reader.problem_at(SECTION, key, "needs AsyncStoreLibraryName=postgres");
            }
        }
        return None;
    }
    if !keys.iter().any(|key| gives(reader, key)) {
        for key in keys {
            reader.text(&[SECTION], key);
        }
        let reason = "needs ConnectionString or ConnectionStringFile";
        reader.problem_at(SECTION, table::ASYNC_STORE_LIBRARY_NAME, reason);
        return None;
    }
    let keys = (CONNECTION_STRING, CONNECTION_STRING_FILE);
    let GivenSecret { text, by: key, is_of_file } = secret(reader, SECTION, keys, disk)?;
    let about = if is_of_file { "has a first line that can't be used" } else { "can't be used" };
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

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Settings, check, load};
    use super::*;
    use crate::kinds::Kinds;

    const POSTGRES: &str =
        "[Actions]\nAsyncStoreLibraryName=PostgreS\nConnectionString=postgres://u@h/d\n";

    fn errors(text: &str) -> String {
        Settings::parse(text, "t").unwrap_err().to_string()
    }

    fn warnings(text: &str) -> Vec<String> {
        let (_, warnings) = Settings::parse(text, "t").unwrap();
        warnings.iter().map(ToString::to_string).collect()
    }

    fn postgres(text: &str) -> PostgresSettings {
        let (settings, warnings) = Settings::parse(text, "t").unwrap();
        assert_eq!(warnings, [], "{text}");
        match settings.actions.store {
            StoreSettings::Postgres(postgres) => *postgres,
            StoreSettings::Sqlite => panic!("{text}"),
        }
    }

    #[test]
    fn a_database_has_these_defaults_and_takes_what_is_given() {
        let seconds = Duration::from_secs;
        let got = postgres(POSTGRES);
        assert_eq!(got.connection.to_string(), "user=u host=h dbname=d");
        assert_eq!(
            (got.schema.as_str(), got.lease, got.heartbeat),
            ("actiond", seconds(15), seconds(5))
        );
        let rest = "Schema=A b\nServerLeaseSecs=60\nServerHeartbeatSecs=20\nDurability=full\n";
        let got = postgres(&format!("{POSTGRES}{rest}"));
        assert_eq!(
            (got.schema.as_str(), got.lease, got.heartbeat),
            ("A b", seconds(60), seconds(20))
        );
        for (lease, heartbeat) in [(3, 1), (5, 1), (6, 2), (15, 5), (3600, 5)] {
            let got = postgres(&format!("{POSTGRES}ServerLeaseSecs={lease}\n"));
            assert_eq!((got.lease, got.heartbeat), (seconds(lease), seconds(heartbeat)));
        }
    }

    #[test]
    fn what_can_not_be_meant_is_a_problem() {
        let long = format!("Schema={}\n", "ä".repeat(32));
        for (text, want) in [
            (
                "AsyncStoreLibraryName=mysql\n",
                "t:2: [Actions] AsyncStoreLibraryName=mysql: must be one of sqlite, postgres",
            ),
            (
                "AsyncStoreLibraryName=postgres\n",
                "t:2: [Actions] AsyncStoreLibraryName=postgres: needs ConnectionString or",
            ),
            (
                "ConnectionString=host=h\n",
                "t:2: [Actions] ConnectionString=host=h: needs AsyncStoreLibraryName=postgres",
            ),
            (
                "ConnectionStringFile=f\n",
                "t:2: [Actions] ConnectionStringFile=f: needs AsyncStoreLibraryName=postgres",
            ),
        ] {
            let got = errors(&format!("[Actions]\n{text}"));
            assert!(got.starts_with(want), "{got}");
        }
        for (rest, want) in [
            (
                "ConnectionStringFile=f\n",
                "t:3: [Actions] ConnectionString=postgres://u@h/d: can't stand beside",
            ),
            (
                "Schema=pg_x\n",
                "t:4: [Actions] Schema=pg_x: must be a name of 1 to 63 bytes that does not begin with pg_",
            ),
            (&long, "must be a name of 1 to 63 bytes"),
            (
                "ServerLeaseSecs=2\n",
                "[Actions] ServerLeaseSecs=2: must be a whole number from 3 to 3600",
            ),
            (
                "MaxDatastoreSize=5000000\n",
                "t:4: [Actions] MaxDatastoreSize=5000000: can't be kept with AsyncStoreLibraryName=postgres",
            ),
            ("ServerHeartbeatSecs=0\n", "must be a whole number from 1 to 1200"),
            (
                "ServerHeartbeatSecs=6\n",
                "ServerHeartbeatSecs=6: must be at most 5, a third of ServerLeaseSecs (15)",
            ),
            (
                "ServerLeaseSecs=10\nServerHeartbeatSecs=4\n",
                "t:5: [Actions] ServerHeartbeatSecs=4: must be at most 3, a third of ServerLeaseSecs (10)",
            ),
        ] {
            let got = errors(&format!("{POSTGRES}{rest}"));
            assert!(got.contains(want), "{got}");
        }
    }

    #[test]
    fn keys_without_an_effect_are_warned_of() {
        for (text, want) in [
            (
                format!("{POSTGRES}Durability=normal\n"),
                "t:4: [Actions] Durability has no effect with AsyncStoreLibraryName=postgres: synchronous_commit",
            ),
            (
                "[Actions]\nSchema=x\n".to_owned(),
                "t:2: [Actions] Schema has no effect without AsyncStoreLibraryName=postgres",
            ),
            (
                "[Actions]\nServerLeaseSecs=30\n".to_owned(),
                "t:2: [Actions] ServerLeaseSecs has no effect without",
            ),
        ] {
            let got = warnings(&text);
            assert!(got.len() == 1 && got[0].starts_with(want), "{got:?}");
        }
    }

    #[test]
    fn actions_in_memory_are_on_no_disk_and_in_no_database() {
        let of = |text: &str| {
            let (settings, warnings) = Settings::parse(&format!("[Actions]\n{text}"), "t").unwrap();
            assert_eq!(warnings, [], "{text}");
            settings.actions.in_memory
        };
        let every = |minutes: u64| InMemorySettings {
            backup_interval: Some(Duration::from_secs(60 * minutes)),
        };
        assert_eq!(of("UseInMemoryDatastore=False\n"), None);
        let never = InMemorySettings { backup_interval: None };
        assert_eq!(of("UseInMemoryDatastore=true\nDurability=full\n"), Some(never));
        let rest = "InMemoryDatastoreBackupIntervalMins=30\nMaxDatastoreSize=5000000\n";
        assert_eq!(of(&format!("UseInMemoryDatastore=TRUE\n{rest}")), Some(every(30)));
        for (text, want) in [
            (
                "Durability=normal\n",
                "t:2: [Actions] Durability=normal: can't stand beside UseInMemoryDatastore=true",
            ),
            (
                "AsyncStoreLibraryName=postgres\nConnectionString=host=h\n",
                "[Actions] UseInMemoryDatastore=true: can't stand beside AsyncStoreLibraryName=postgres",
            ),
            (
                "ConnectionString=host=h\n",
                "t:2: [Actions] ConnectionString=host=h: needs AsyncStoreLibraryName=postgres",
            ),
            (
                "InMemoryDatastoreBackupIntervalMins=0\n",
                "InMemoryDatastoreBackupIntervalMins=0: must be a whole number from 1 to 10080",
            ),
        ] {
            let got = errors(&format!("[Actions]\n{text}UseInMemoryDatastore=true\n"));
            assert!(got.contains(want), "{got}");
        }
        let got = warnings("[Actions]\nInMemoryDatastoreBackupIntervalMins=5\n");
        assert!(got[0].contains("has no effect without UseInMemoryDatastore=true"), "{got:?}");
    }

    #[test]
    fn a_name_of_a_server_is_for_people() {
        let name = |name: &str| {
            let parsed = Settings::parse(&format!("[Server]\nServerName={name}\n"), "t");
            parsed.map(|(settings, _)| settings.server.server_name).map_err(|e| e.to_string())
        };
        for good in ["a", "Halle 3, Ost (Käthe)", &"ä".repeat(100)] {
            assert_eq!(name(good), Ok(Some(good.to_owned())));
        }
        for bad in [&"a".repeat(101), "a\tb"] {
            assert!(
                name(bad)
                    .unwrap_err()
                    .contains("must be 1 to 100 characters, none of them a control character")
            );
        }
    }

    #[test]
    fn the_string_may_be_in_a_file_and_the_files_that_it_names_are_protected() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let certificates = crate::tls::testing::Place::new();
        let (text, root) = (at("a.cfg"), certificates.path("ca.pem"));
        let write = |line: &str| std::fs::write(at("db"), line).unwrap();
        let keys = format!(
            "AsyncStoreLibraryName=postgres\nConnectionStringFile={}\n",
            at("db").display()
        );
        std::fs::write(&text, format!("[Actions]\n{keys}")).unwrap();
        let load = || load(&Kinds::shipped(), Some(&text), &Overrides::default());
        let passfile = at("pass");
        write(&format!(
            " host=h password=s3cret sslmode=require sslrootcert={} passfile={} \n more\n",
            root.display(),
            passfile.display()
        ));
        let (settings, _) = load().unwrap();
        for file in [&at("db"), &root, &passfile] {
            assert!(settings.files.contains(file), "{}: {:?}", file.display(), settings.files);
        }
        assert!(!format!("{settings:?}").contains("s3cret"));

        for (line, want) in [
            ("", "ConnectionStringFile={}: has a first line that can't be used: it names no host"),
            (
                "host=h pasword=s3cret",
                "ConnectionStringFile={}: has a first line that can't be used: the parameter pasword",
            ),
            ("host=h sslmode=require sslrootcert=/nowhere", "can't be used: /nowhere: "),
        ] {
            write(line);
            let error = load().unwrap_err().to_string();
            assert!(
                error.contains(&want.replace("{}", &at("db").display().to_string())),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
        std::fs::remove_file(at("db")).unwrap();
        assert!(load().unwrap_err().to_string().contains("can't be used: it can't be read"));
    }

    #[test]
    fn what_is_printed_means_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cfg");
        std::fs::write(&path, format!("{POSTGRES}ServerLeaseSecs=9\n")).unwrap();
        let (printed, _) = check(&Kinds::shipped(), &path).unwrap();
        assert!(printed.contains("\n// default: 5, or a third of ServerLeaseSecs if that is less\nServerHeartbeatSecs=3\n"));
        let (want, _) = load(&Kinds::shipped(), Some(&path), &Overrides::default()).unwrap();
        let (got, warnings) = Settings::parse(&printed, "printed").unwrap();
        assert_eq!(warnings, [], "{printed}");
        assert_eq!(got.actions, want.actions);
    }
}
