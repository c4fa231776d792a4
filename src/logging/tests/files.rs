//! The files of streams: turning them over, and what happens where they can't be written.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;

use super::*;

/// Returns all lines of the files of a stream, from the oldest to the newest, and the number of files.
fn all_lines(directory: &Path, name: &str) -> (Vec<String>, usize) {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name))
        .collect();
    // That of the stream is shorter than the others, and the newest.
    files.sort_by_key(|path| {
        let suffix = path.to_str().unwrap().split(name).last().unwrap().replace(".gz", "");
        let mut parts = suffix.split('-').map(|part| part.trim_start_matches('.').to_owned());
        let stamp: Vec<_> = parts.by_ref().take(2).collect();
        let number = parts.next().map_or(1, |number| number.parse::<u64>().unwrap());
        (suffix.is_empty(), stamp, number)
    });
    let mut lines = Vec::new();
    for path in &files {
        let mut text = String::new();
        let mut file = File::open(path).unwrap();
        if path.extension().is_some_and(|extension| extension == "gz") {
            GzDecoder::new(file).read_to_string(&mut text).unwrap();
        } else {
            file.read_to_string(&mut text).unwrap();
        }
        lines.extend(messages(&text));
    }
    (lines, files.len())
}

#[test]
fn a_file_that_was_moved_away_or_deleted_or_cut_is_begun_again() {
    let home = Home::new();
    home.open(&[home.stream("a", &["application"])]);
    let path = home.path().join("a.log");
    home.say(Level::Normal, "1");
    assert_eq!(home.said("a.log"), ["1"]);
    fs::rename(&path, home.path().join("moved")).unwrap();
    home.say(Level::Normal, "2");
    assert_eq!(home.said("a.log"), ["2"]);
    assert_eq!(home.said("moved"), ["1"]);
    fs::remove_file(&path).unwrap();
    home.say(Level::Normal, "3");
    assert_eq!(home.said("a.log"), ["3"]);
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    home.say(Level::Normal, "4");
    assert_eq!(home.said("a.log"), ["4"]);
    drop(home.streams.clone());
    home.open(&[]);
    home.open(&[home.stream("a", &["application"])]);
    home.say(Level::Normal, "5");
    assert_eq!(home.said("a.log"), ["4", "5"], "an old file goes on");
}

#[test]
fn a_full_file_is_compressed_and_no_line_is_lost() {
    let home = Home::new();
    let small = StreamSettings {
        max_bytes: Some(2_048),
        max_old_files: None,
        ..home.stream("a", &["application"])
    };
    home.open(&[small]);
    let text = "x".repeat(50);
    let want: Vec<_> = (0..500).map(|number| format!("{number} {text}")).collect();
    for chunk in want.chunks(50) {
        home.say_all(chunk);
        home.streams.finish(PATIENCE);
        assert!(fs::metadata(home.path().join("a.log")).unwrap().len() <= 2_048);
    }
    let is_compressed = || {
        let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left = names.filter(|name| {
            let name = name.to_str().unwrap();
            name != "a.log" && (!name.ends_with(".gz") || name.ends_with(".partial"))
        });
        left.count() == 0
    };
    let began = std::time::Instant::now();
    while !is_compressed() {
        assert!(began.elapsed() < PATIENCE, "old files are not compressed");
        std::thread::yield_now();
    }
    let (lines, files) = all_lines(home.path(), "a.log");
    assert!(files > 10, "{files}");
    assert_eq!(lines, want);
}

#[test]
fn old_files_are_as_many_as_may_be_and_the_newest() {
    let home = Home::new();
    let small = StreamSettings {
        max_bytes: Some(300),
        max_old_files: Some(2),
        expire: ExpireAction::Consecutive,
        ..home.stream("a", &["application"])
    };
    home.open(&[small]);
    let lines = (0..20).map(|number| format!("{number} {}", "x".repeat(200)));
    home.say_all(&lines.collect::<Vec<_>>());
    home.streams.finish(PATIENCE);
    let names = || -> BTreeSet<String> {
        let entries = fs::read_dir(home.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let want = BTreeSet::from(["a.log", "a.log.18", "a.log.19"].map(str::to_owned));
    let began = std::time::Instant::now();
    while names() != want {
        assert!(began.elapsed() < PATIENCE, "{:?}", names());
        std::thread::yield_now();
    }
}

#[test]
fn a_line_that_is_larger_than_a_file_has_one_of_its_own() {
    let home = Home::new();
    let small = StreamSettings {
        max_bytes: Some(100),
        expire: ExpireAction::Previous,
        ..home.stream("a", &["application"])
    };
    home.open(&[small]);
    let long = "x".repeat(1_000);
    home.say(Level::Normal, &long);
    assert_eq!(home.said("a.log"), [long.as_str()]);
    home.say(Level::Normal, "next");
    assert_eq!(home.said("a.log"), ["next"]);
    assert_eq!(home.said("a.log.previous"), [long.as_str()]);
}

#[test]
fn a_file_of_an_earlier_day_is_another_one() {
    let home = Home::new();
    let daily = StreamSettings { expire: ExpireAction::Day, ..home.stream("a", &["application"]) };
    home.open(std::slice::from_ref(&daily));
    home.say(Level::Normal, "yesterday");
    assert_eq!(home.said("a.log"), ["yesterday"]);
    home.open(&[]);
    let path = home.path().join("a.log");
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    home.open(&[daily]);
    home.say(Level::Normal, "today");
    home.say(Level::Normal, "still today");
    assert_eq!(home.said("a.log"), ["today", "still today"]);
    let day = line::local(1_000_000_000_000).format("%Y-%m-%d");
    assert_eq!(home.said(&format!("a.log.{day}")), ["yesterday"]);
}

#[test]
fn what_can_not_be_written_is_told_once_and_again_when_it_can() {
    let home = Home::new();
    let directory = home.path().join("logs");
    // In the way of the directory.
    fs::write(&directory, "").unwrap();
    let stream =
        StreamSettings { path: directory.join("a.log"), ..home.stream("a", &["application"]) };
    home.open(&[stream]);
    for _ in 0..3 {
        home.say(Level::Normal, "lost");
        home.streams.finish(PATIENCE);
    }
    let said = home.console();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("ERROR HERE/logs/a.log can't be written, so lines are lost: "),
        "{said:?}"
    );
    assert_eq!(home.streams.tail("a", 9).unwrap().len(), 3, "memory has them");

    fs::remove_file(&directory).unwrap();
    home.say(Level::Normal, "kept");
    assert_eq!(home.said("logs/a.log"), ["kept", "3 lines were lost"]);
    let want = ["WARN HERE/logs/a.log is written again", "WARN HERE/logs/a.log: 3 lines were lost"];
    assert_eq!(home.console()[1..], want);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join("a.log"))), (0o700, 0o600));
    }
}

/// A directory in which no other file can be begun: the lines go on in the one that is there.
#[test]
fn a_full_file_that_can_not_be_moved_goes_on() {
    let home = Home::new();
    let small = StreamSettings {
        max_bytes: Some(300),
        expire: ExpireAction::Previous,
        ..home.stream("a", &["application"])
    };
    // In the way of the old name.
    fs::create_dir_all(home.path().join("a.log.previous/x")).unwrap();
    home.open(&[small]);
    let want: Vec<_> = (0..20).map(|number| format!("{number} {}", "x".repeat(100))).collect();
    home.say_all(&want);
    assert_eq!(home.said("a.log"), want);
    let said = home.console();
    assert!(said.iter().all(|line| line.contains("is full and goes on: ")), "{said:?}");
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn the_zone_is_said_again_by_each_server_and_once_by_each() {
    let home = Home::new();
    let path = home.path().join("a.log");
    for number in 1..4 {
        home.open(&[home.stream("a", &["application"])]);
        for _ in 0..3 {
            home.say(Level::Normal, "line");
            home.streams.finish(PATIENCE);
        }
        home.open(&[]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("its times are of the server's zone").count(), number, "{text}");
    }
    assert_eq!(home.said("a.log"), ["line"; 9]);
}

#[test]
fn a_line_that_was_left_without_an_end_gets_one() {
    let home = Home::new();
    fs::write(home.path().join("a.log"), "cut o").unwrap();
    home.open(&[home.stream("a", &["application"])]);
    home.say(Level::Normal, "next");
    home.streams.finish(PATIENCE);
    let text = fs::read_to_string(home.path().join("a.log")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "cut o"), "{text}");
    assert!(lines[2].ends_with(": next"), "{text}");
}

/// Nobody reads the pipe, so opening it waits.
#[cfg(unix)]
#[test]
fn a_file_that_stands_still_keeps_no_line_from_the_history() {
    let home = Home::new();
    let pipe = home.path().join("a.log");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    home.open(&[home.stream("a", &["application"])]);
    home.say_all(&["1".to_owned(), "2".to_owned()]);
    let tail = home.streams.tail("a", 9).unwrap();
    assert!(tail.len() == 2 && tail[1].ends_with(": 2"), "{tail:?}");
    // Lets the thread end.
    let _reader = File::options().read(true).write(true).open(&pipe).unwrap();
    home.streams.finish(PATIENCE);
}

#[cfg(unix)]
#[test]
fn a_file_of_the_server_is_never_written_whatever_leads_to_it() {
    let home = Home::new();
    let own = home.path().join("own.key");
    fs::write(&own, "key").unwrap();
    crate::documents::beneath::protect([own.clone()]);
    fs::hard_link(&own, home.path().join("a.log")).unwrap();
    home.open(&[home.stream("a", &["application"])]);
    home.say(Level::Normal, "line");
    let said = home.console();
    assert!(said[0].ends_with("lines are lost: it is one of the server's own files"), "{said:?}");
    assert_eq!(fs::read_to_string(own).unwrap(), "key");
}

/// A disk that is nearly full takes a line now and then.
#[test]
fn the_console_learns_of_lost_lines_once_in_a_while() {
    let home = Home::new();
    let directory = home.path().join("logs");
    let stream =
        StreamSettings { path: directory.join("a.log"), ..home.stream("a", &["application"]) };
    home.open(&[stream]);
    for _ in 0..3 {
        // In the way of the directory.
        fs::write(&directory, "").unwrap();
        home.say(Level::Normal, "lost");
        home.streams.finish(PATIENCE);
        fs::remove_file(&directory).unwrap();
        home.say(Level::Normal, "kept");
        assert_eq!(home.said("logs/a.log"), ["kept", "1 line was lost"]);
        fs::remove_dir_all(&directory).unwrap();
    }
    let said = home.console();
    assert_eq!(said.iter().filter(|line| line.contains("lost")).count(), 2, "{said:?}");
}
