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
    StreamSettings { path: directory.join("a.log"), max_bytes: Some(1_024), ..settings("a") }
}

fn turning_over(directory: &Path, expire: ExpireAction) -> StreamSettings {
    StreamSettings { expire, ..in_directory(directory) }
}

/// Returns the text of all files but for their names, in order.
fn sorted(texts: BTreeMap<String, String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.into_values().collect();
    texts.sort();
    texts
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
        for text in ["first", "second"] {
            put(directory.path(), "a.log", text, 0);
            expire(&turning_over(directory.path(), action), "2026-11-30", NOW).unwrap();
        }
        let want = want.iter().zip(["first", "second"]);
        let want = want.map(|(suffix, text)| (format!("a.log.{suffix}"), text.to_owned()));
        assert_eq!(texts(directory.path()), want.collect(), "{action:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    for text in ["first", "second"] {
        put(directory.path(), "a.log", text, 0);
        expire(&turning_over(directory.path(), ExpireAction::Previous), "", NOW).unwrap();
    }
    let want = [("a.log.previous".to_owned(), "second".to_owned())];
    assert_eq!(texts(directory.path()), want.into());
}

#[test]
fn the_oldest_that_are_too_many_are_deleted_or_moved() {
    for archives in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for (name, age) in [("a.log.9", 1), ("a.log.10", 3), ("a.log.11", 2)] {
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
            assert_eq!(moved, ["a.log.10", "a.log.11"]);
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

const ALL: [ExpireAction; 5] = [
    ExpireAction::Compress,
    ExpireAction::Consecutive,
    ExpireAction::Datestamp,
    ExpireAction::Previous,
    ExpireAction::Day,
];

/// Files of logrotate lie beside the file, and such as other actions make.
#[test]
fn files_that_the_action_in_force_does_not_make_are_those_of_others() {
    let names = [
        "a.log.1",
        "a.log.2.gz",
        "a.log.2026-11-30",
        "a.log.2026-11-29.gz",
        "a.log.20261130-130501",
        "a.log.20261130-130502.gz",
        "a.log.20261130-130503.gz.partial",
        "a.log.previous",
    ];
    let left_by = |settings: &dyn Fn(&Path) -> StreamSettings| -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| put(directory.path(), name, "", 0));
        tidy(&settings(directory.path())).unwrap();
        let left = texts(directory.path());
        names.iter().filter(|name| !left.contains_key(**name)).map(ToString::to_string).collect()
    };
    for (action, want) in ALL.into_iter().zip([
        &["a.log.20261130-130501", "a.log.20261130-130502.gz", "a.log.20261130-130503.gz.partial"]
            [..],
        &["a.log.1"],
        &["a.log.20261130-130501", "a.log.20261130-130502.gz", "a.log.20261130-130503.gz.partial"],
        &["a.log.previous"],
        &["a.log.2026-11-30"],
    ]) {
        let none_kept =
            |at: &Path| StreamSettings { max_old_files: Some(0), ..turning_over(at, action) };
        assert_eq!(left_by(&none_kept), want, "{action:?}");
        let never = |at: &Path| StreamSettings { max_bytes: None, ..none_kept(at) };
        // By its day a file is turned over, however large it may get.
        let want = if action == ExpireAction::Day { want } else { &[] };
        assert_eq!(left_by(&never), want, "{action:?}");
    }
}

/// Nothing that is in the archive is replaced, neither what was moved before nor what another server has put there.
#[test]
fn the_archive_keeps_all_that_was_moved_to_it() {
    for action in ALL.into_iter().filter(|action| *action != ExpireAction::Previous) {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let archive = one.path().join("archive");
        let mut want = Vec::new();
        for turn in 0..3 {
            for at in [one.path(), other.path()] {
                let settings = StreamSettings {
                    max_old_files: Some(0),
                    archive: Some(archive.clone()),
                    ..turning_over(at, action)
                };
                let text = format!("{turn} {}", want.len());
                put(at, "a.log", &text, 0);
                expire(&settings, "2026-11-30", NOW).unwrap();
                tidy(&settings).unwrap();
                want.push(text);
            }
        }
        assert_eq!(sorted(texts(&archive)), want, "{action:?}: {:?}", texts(&archive).keys());
    }
}

#[test]
fn a_name_that_another_server_took_first_gets_a_number() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive");
    fs::create_dir(&archive).unwrap();
    for (name, text) in [("a.log.1", "others"), ("a.log.1-2.gz", ""), ("a.log.2.gz", "others")] {
        put(&archive, name, text, 0);
    }
    // Left by a sudden end, and being filled.
    put(&archive, "a.log.3", "", 0);
    put(&archive, "a.log.4", "", 0);
    let filled = File::open(archive.join("a.log.4")).unwrap();
    filled.lock().unwrap();
    for (name, want) in [
        ("a.log.1", "a.log.1-3"),
        ("a.log.2.gz", "a.log.2-2.gz"),
        ("a.log.3", "a.log.3"),
        ("a.log.4", "a.log.4-2"),
    ] {
        put(directory.path(), name, "ours", 0);
        archive::move_into(&archive, &directory.path().join(name)).unwrap();
        assert!(!directory.path().join(name).exists());
        assert_eq!(fs::read_to_string(archive.join(want)).unwrap(), "ours", "{want}");
    }
    assert_eq!(fs::read_to_string(archive.join("a.log.1")).unwrap(), "others");
    assert_eq!(fs::read_to_string(archive.join("a.log.2.gz")).unwrap(), "others");
}

#[test]
fn an_archive_that_is_the_directory_of_the_files_keeps_all() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for name in ["a.log.1", "a.log.2"] {
        put(at, name, name, 0);
    }
    let settings = StreamSettings {
        max_old_files: Some(0),
        archive: Some(at.join(".")),
        ..turning_over(at, ExpireAction::Consecutive)
    };
    tidy(&settings).unwrap();
    assert_eq!(sorted(texts(at)), ["a.log.1", "a.log.2"]);
}

/// Too many go before anything is compressed: those that can't be deleted would be compressed for nothing.
#[test]
fn what_goes_is_not_compressed_first() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for second in 10..30 {
        put(at, &format!("a.log.20261130-1305{second}"), "lines", 100 - second);
    }
    let archive = at.join("archive");
    let settings = StreamSettings {
        max_old_files: Some(3),
        archive: Some(archive.clone()),
        ..in_directory(at)
    };
    tidy(&settings).unwrap();
    let compressed = |at: &Path| texts(at).keys().filter(|name| name.ends_with(COMPRESSED)).count();
    assert_eq!((compressed(at), texts(at).len()), (3, 3));
    assert_eq!((compressed(&archive), texts(&archive).len()), (0, 17));
}

#[cfg(unix)]
#[test]
fn a_link_and_what_is_no_file_keep_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    put(at, "target", "of others", 0);
    std::os::unix::fs::symlink("target", at.join("a.log")).unwrap();
    let socket = tempfile::tempdir().unwrap();
    let _bound = std::os::unix::net::UnixListener::bind(socket.path().join("a.log")).unwrap();
    for at in [at, socket.path()] {
        for action in ALL {
            let refused = expire(&turning_over(at, action), "2026-11-30", NOW).unwrap_err();
            assert!(refused.to_string().contains("link or no regular file"), "{refused}");
        }
        assert!(is_there(&at.join("a.log")));
    }
    // Nor is a link an old file.
    std::os::unix::fs::symlink("target", at.join("a.log.1")).unwrap();
    let none =
        StreamSettings { max_old_files: Some(0), ..turning_over(at, ExpireAction::Consecutive) };
    tidy(&none).unwrap();
    assert!(is_there(&at.join("a.log.1")));
}
