use std::collections::BTreeMap;

use super::super::file_system::{Details, FileSystem};
use super::*;

/// A file system of which only the device is known.
fn on(device: u64) -> FileSystem {
    FileSystem { device, details: None }
}

fn file(path: &str, size: i64, seconds: i64) -> Item {
    at(path, size, seconds, 7)
}

fn at(path: &str, size: i64, seconds: i64, nanoseconds: u32) -> Item {
    Item { path: path.into(), size, modified: Moment { seconds, nanoseconds } }
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_what_is_kept_of_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file_name("DIR1"));
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(Datastore::open(&path).unwrap());
    assert_eq!(mode(), 0o600);
    // One that is there stays as it is.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    drop(Datastore::open(&path).unwrap());
    assert_eq!(mode(), 0o640);
}

#[test]
fn files_are_new_changed_unchanged_or_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file_name("DIR1"));
    let mut store = Datastore::open(&path).unwrap();
    for name in ["/a", "/b", "/c", "/d"] {
        let found = file(name, 1, 1);
        assert_eq!(store.look_up(&found), Ok(Known::New));
        store.accept(&found).unwrap();
        assert_eq!(store.look_up(&found), Ok(Known::Seen));
    }
    store.commit().unwrap();
    drop(store);

    let mut store = Datastore::open(&path).unwrap();
    assert_eq!(store.count(), Ok(4));
    assert_eq!(store.look_up(&file("/a", 1, 1)), Ok(Known::Unchanged));
    assert_eq!(store.look_up(&file("/a", 2, 1)), Ok(Known::Changed));
    assert_eq!(store.look_up(&file("/a", 1, 2)), Ok(Known::Changed));
    assert_eq!(store.look_up(&at("/a", 1, 1, 8)), Ok(Known::Changed));
    store.keep(Path::new("/a")).unwrap();
    store.keep(Path::new("/none")).unwrap();
    store.accept(&file("/b", 2, 2)).unwrap();
    assert_eq!(store.not_seen(b"", 9), Ok(vec![b"/c".to_vec(), b"/d".to_vec()]));
    assert_eq!(store.not_seen(b"", 1), Ok(vec![b"/c".to_vec()]));
    assert_eq!(store.not_seen(b"/c", 9), Ok(vec![b"/d".to_vec()]));
    store.forget(b"/c").unwrap();
    store.commit().unwrap();
    drop(store);

    let store = Datastore::open(&path).unwrap();
    assert_eq!(store.count(), Ok(3));
    assert_eq!(store.look_up(&file("/b", 2, 2)), Ok(Known::Unchanged));
}

#[test]
fn what_was_not_committed_is_only_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.db");
    let mut store = Datastore::open(&path).unwrap();
    store.accept(&file("/a", 1, 1)).unwrap();
    drop(store);
    assert_eq!(Datastore::open(&path).unwrap().look_up(&file("/a", 1, 1)), Ok(Known::New));
}

#[test]
fn a_file_that_is_no_datastore_is_told_without_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("junk"), "no database, but long enough to be looked at".repeat(50)).unwrap();
    std::fs::create_dir(at("directory")).unwrap();
    let cannot = "the datastore of the task cannot be used: it cannot be opened";
    let damaged = "the datastore of the task is damaged; move it away, and the next run sends every file again";
    for (name, told) in [("junk", damaged), ("directory", cannot), ("none/s.db", cannot)] {
        assert_eq!(Datastore::open(&at(name)).unwrap_err(), told, "{name}");
    }
}

/// Whatever SQLite says, and whichever file it names.
#[test]
fn no_error_names_a_path() {
    let path = Path::new("/data/s.db");
    for code in 0..=i32::from(u8::MAX) {
        let said = Some("unable to open database file: /data/s.db".to_owned());
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), said);
        let told = fault(path, &error);
        assert!(!told.contains('/'), "{told}");
    }
    for error in [
        rusqlite::Error::InvalidPath(path.to_owned()),
        rusqlite::Error::ToSqlConversionFailure("/data/s.db".into()),
    ] {
        assert_eq!(
            fault(path, &error),
            "the datastore of the task cannot be used: it cannot be read or written"
        );
    }
}

#[test]
fn a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 4").unwrap();
    let error = Datastore::open(&path).unwrap_err();
    assert_eq!(error, "the datastore of the task has version 4, and this program knows 3");
}

/// What version 1 wrote, with all of a time in nanoseconds.
const OLD: &str = "
    CREATE TABLE documents (
        path BLOB PRIMARY KEY NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
        run INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE runs (last INTEGER NOT NULL) STRICT;
    INSERT INTO runs VALUES (4);
    INSERT INTO documents VALUES
        (CAST('/now' AS BLOB), 1, 1700000000123456789, 4), (CAST('/gone' AS BLOB), 1, 1, 3),
        (CAST('/epoch' AS BLOB), 1, 0, 4), (CAST('/whole' AS BLOB), 1, -2000000000, 4),
        (CAST('/before' AS BLOB), 1, -1, 4), (CAST('/long before' AS BLOB), 1, -1500000000, 4),
        (CAST('/first' AS BLOB), 1, -9223372036854775808, 4),
        (CAST('/last' AS BLOB), 1, 9223372036854775807, 4);
    PRAGMA user_version = 1;";

#[test]
fn a_datastore_of_version_1_is_read_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.db");
    Connection::open(&path).unwrap().execute_batch(OLD).unwrap();
    for _ in 0..2 {
        let store = Datastore::open(&path).unwrap();
        assert_eq!(store.count(), Ok(8));
        for (path, seconds, nanoseconds) in [
            ("/now", 1_700_000_000, 123_456_789),
            ("/gone", 0, 1),
            ("/epoch", 0, 0),
            ("/whole", -2, 0),
            ("/before", -1, 999_999_999),
            ("/long before", -2, 500_000_000),
            ("/first", -9_223_372_037, 145_224_192),
            ("/last", 9_223_372_036, 854_775_807),
        ] {
            let known = store.look_up(&at(path, 1, seconds, nanoseconds));
            assert_eq!(known, Ok(Known::Unchanged), "{path}");
            let known = store.look_up(&at(path, 1, seconds, nanoseconds ^ 1));
            assert_eq!(known, Ok(Known::Changed), "{path}");
        }
        // What stood for every later time is no time of any file.
        assert_eq!(store.look_up(&at("/last", 1, 13_569_465_600, 0)), Ok(Known::Changed));
    }
    let mut store = Datastore::open(&path).unwrap();
    assert_eq!(store.run, 7);
    store.accept(&at("/last", 1, 13_569_465_600, 0)).unwrap();
    store.commit().unwrap();
    let store = Datastore::open(&path).unwrap();
    assert_eq!(store.look_up(&at("/last", 1, 13_569_465_600, 0)), Ok(Known::Unchanged));
    assert_eq!(store.look_up(&at("/last", 1, 13_601_001_600, 0)), Ok(Known::Changed));
}

#[test]
fn a_datastore_that_can_not_be_brought_up_to_date_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.db");
    let before = Connection::open(&path).unwrap();
    before.execute_batch(OLD).unwrap();
    before.execute_batch("CREATE TABLE documents_1 (x)").unwrap();
    assert!(Datastore::open(&path).unwrap_err().ends_with("it cannot be read or written"));
    before.execute_batch("DROP TABLE documents_1").unwrap();
    assert_eq!(Datastore::open(&path).unwrap().count(), Ok(8));
}

/// A mapped file that takes no change, or is cut short, ends the process at the next access to it.
#[cfg(unix)]
#[test]
fn no_file_is_mapped() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Datastore::open(&directory.path().join("s.db")).unwrap();
    store.accept(&file("/a", 1, 1)).unwrap();
    assert!(directory.path().join("s.db-wal").exists());
    assert!(!directory.path().join("s.db-shm").exists());
}

#[test]
fn no_task_name_leads_out_of_the_directory() {
    assert_eq!(file_name("DIR1"), "connector_DIR1_datastore.db");
    assert_eq!(file_name("../x y"), "connector_.._x_y_datastore.db");
}

#[test]
fn files_below_a_directory_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Datastore::open(&directory.path().join("s.db")).unwrap();
    for path in ["/a", "/a.b/1", "/a/1", "/a/2/3", "/a0/1", "/b/a/1"] {
        store.accept(&file(path, 1, 1)).unwrap();
    }
    for (path, expected) in [("/a", 2), ("/", 6), ("/a/2", 1), ("/a/1", 0), ("/b", 1), ("/c", 0)] {
        assert_eq!(store.count_below(Path::new(path)), Ok(expected), "{path}");
    }
}

#[test]
fn places_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.db");
    let mut store = Datastore::open(&path).unwrap();
    assert_eq!(store.mounts(), Ok(BTreeMap::new()));
    store.note_mount(Path::new("/a"), on(u64::MAX)).unwrap();
    store.note_mount(Path::new("/a"), on(1)).unwrap();
    store.commit().unwrap();
    let places = |all: &[(&str, u64, Option<u64>)]| {
        let remembered = |&(p, device, known): &(&str, u64, Option<u64>)| {
            (p.into(), RememberedMount { on: on(device), known })
        };
        all.iter().map(remembered).collect()
    };
    assert_eq!(store.mounts(), Ok(places(&[("/a", u64::MAX, None)])));
    store.set_suspect(Path::new("/a"), Some(3)).unwrap();
    store.set_suspect(Path::new("/none"), Some(3)).unwrap();
    store.note_mount(Path::new("/a"), on(1)).unwrap();
    assert_eq!(store.mounts(), Ok(places(&[("/a", u64::MAX, Some(3))])));
    store.set_suspect(Path::new("/a"), None).unwrap();
    assert_eq!(store.mounts(), Ok(places(&[("/a", u64::MAX, None)])));
    store.set_suspect(Path::new("/a"), Some(3)).unwrap();
    let known = [("/a", 2, None), ("/b", 3, Some(4))];
    store.replace_mounts(&places(&known)).unwrap();
    drop(store);
    let mut store = Datastore::open(&path).unwrap();
    assert_eq!(store.mounts(), Ok(places(&known)));
    store.replace_mounts(&BTreeMap::new()).unwrap();
    assert_eq!(store.mounts(), Ok(BTreeMap::new()));
    let details = Details { id: u64::MAX, top: 1, made: Some((-5, 6)) };
    for details in [details, Details { made: None, ..details }] {
        let remembered =
            RememberedMount { on: FileSystem { device: 7, details: Some(details) }, known: None };
        let all = BTreeMap::from([("/a".into(), remembered)]);
        store.replace_mounts(&all).unwrap();
        assert_eq!(store.mounts(), Ok(all));
    }
}

#[test]
fn places_of_version_2_are_read_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.db");
    let old = "
        CREATE TABLE places (path BLOB PRIMARY KEY NOT NULL, device INTEGER NOT NULL, known INTEGER) STRICT;
        INSERT INTO places VALUES (CAST('/a' AS BLOB), 7, NULL), (CAST('/b' AS BLOB), -1, 3);
        PRAGMA user_version = 2;";
    Connection::open(&path).unwrap().execute_batch(old).unwrap();
    let expected = BTreeMap::from([
        ("/a".into(), RememberedMount { on: on(7), known: None }),
        ("/b".into(), RememberedMount { on: on(u64::MAX), known: Some(3) }),
    ]);
    for _ in 0..2 {
        assert_eq!(Datastore::open(&path).unwrap().mounts(), Ok(expected.clone()));
    }
}
