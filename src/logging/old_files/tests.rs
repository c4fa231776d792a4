//! Old files: their names, how many are kept, and every state in which a sudden end can leave them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::read::GzDecoder;

use super::*;
use crate::logging::testing::settings;

const NOW: i64 = 1_785_142_156_007;

/// All files of a directory with their texts; those with `.gz` decompressed.
fn texts(directory: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let mut text = String::new();
        let mut file = File::open(entry.path()).unwrap();
        if name.ends_with(COMPRESSED) && entry.metadata().unwrap().len() > 0 {
            GzDecoder::new(file).read_to_string(&mut text).unwrap();
        } else {
            file.read_to_string(&mut text).unwrap();
        }
        all.insert(name, text);
    }
    all
}

fn put(directory: &Path, name: &str, text: &str, age_secs: u64) {
    let file = File::create(directory.join(name)).unwrap();
    (&file).write_all(text.as_bytes()).unwrap();
    let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age_secs);
    file.set_modified(old).unwrap();
}

fn in_directory(directory: &Path) -> StreamSettings {
    StreamSettings { path: directory.join("a.log"), ..settings("a") }
}

#[test]
fn old_names_are_known() {
    for (name, is) in [
        ("a.log.20261130-130501", true),
        ("a.log.20261130-130501-2.gz", true),
        ("a.log.2026-11-30", true),
        ("a.log.2026-11-30-12", true),
        ("a.log.7", true),
        ("a.log.7.gz", true),
        ("a.log.previous", true),
        ("a.log", false),
        ("a.log.bak", false),
        ("a.log.", false),
        ("a.log.1-2", false),
        ("a.log.-1", false),
        ("a.log2", false),
        ("b.log.7", false),
    ] {
        assert_eq!(is_old_name("a.log", name), is, "{name}");
    }
}

#[test]
fn each_action_gives_a_name_that_is_free() {
    let stamp = line::local(NOW).format("%Y%m%d-%H%M%S").to_string();
    for (action, want) in [
        (ExpireAction::Compress, [stamp.clone(), format!("{stamp}-2")]),
        (ExpireAction::Datestamp, [stamp.clone(), format!("{stamp}-2")]),
        (ExpireAction::Day, ["2026-11-30".to_owned(), "2026-11-30-2".to_owned()]),
        (ExpireAction::Consecutive, ["1".to_owned(), "2".to_owned()]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        for text in ["first", "second"] {
            put(directory.path(), "a.log", text, 0);
            expire(&path, action, "2026-11-30", NOW).unwrap();
        }
        let want = want.iter().zip(["first", "second"]);
        let want = want.map(|(suffix, text)| (format!("a.log.{suffix}"), text.to_owned()));
        assert_eq!(texts(directory.path()), want.collect(), "{action:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    for text in ["first", "second"] {
        put(directory.path(), "a.log", text, 0);
        let path = directory.path().join("a.log");
        expire(&path, ExpireAction::Previous, "", NOW).unwrap();
    }
    let want = [("a.log.previous".to_owned(), "second".to_owned())];
    assert_eq!(texts(directory.path()), want.into());
}

#[test]
fn the_oldest_that_are_too_many_are_deleted_or_moved() {
    for archives in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for (name, age) in [("a.log.9", 1), ("a.log.10", 3), ("a.log.20261130-130501.gz", 2)] {
            put(at, name, "", age);
        }
        put(at, "a.log", "", 9);
        put(at, "a.log.bak", "", 9);
        let archive = archives.then(|| at.join("archive"));
        let settings = StreamSettings {
            max_old_files: Some(1),
            expire: ExpireAction::Consecutive,
            archive: archive.clone(),
            ..in_directory(at)
        };
        tidy(&settings).unwrap();
        let names: Vec<_> = texts(at).into_keys().collect();
        assert_eq!(names, ["a.log", "a.log.9", "a.log.bak"]);
        if let Some(archive) = archive {
            let moved: Vec<_> = texts(&archive).into_keys().collect();
            assert_eq!(moved, ["a.log.10", "a.log.20261130-130501.gz"]);
        }
    }
}

/// Every state in which a sudden end can leave the directory, and what is there after the next look.
#[test]
fn what_was_left_half_done_is_done_again_and_no_line_is_lost() {
    let (old, gz) = ("a.log.20261130-130501", "a.log.20261130-130501.gz");
    let whole = || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"lines").unwrap();
        encoder.finish().unwrap()
    };
    let half = || whole().into_iter().take(12).collect::<Vec<_>>();
    for left in [
        vec![(old, b"lines".to_vec())],
        vec![(old, b"lines".to_vec()), ("a.log.20261130-130501.gz.partial", half())],
        vec![(old, b"lines".to_vec()), ("a.log.20261130-130501.gz.partial", Vec::new())],
        vec![(old, b"lines".to_vec()), (gz, whole())],
        vec![(gz, whole())],
        vec![(gz, whole()), ("a.log.20261130-130501.gz.partial", half())],
    ] {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in &left {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        tidy(&in_directory(directory.path())).unwrap();
        let want = [(gz.to_owned(), "lines".to_owned())];
        assert_eq!(texts(directory.path()), want.into(), "{left:?}");
    }
}

#[test]
fn a_failure_does_not_keep_the_rest_from_being_done() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    put(at, "a.log.20261130-130501", "lines", 1);
    // In the way of what would be compressed.
    fs::create_dir(at.join("a.log.20261130-130501.gz")).unwrap();
    put(at, "a.log.20261130-130502", "more", 2);
    assert!(tidy(&in_directory(at)).is_err());
    let texts = texts(at);
    assert_eq!(texts["a.log.20261130-130501"], "lines");
    assert_eq!(texts["a.log.20261130-130502.gz"], "more");
}
