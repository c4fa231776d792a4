//! Streams as a whole, over real files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;

use super::testing::settings;
use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// Streams in a directory of their own, and what they have said on the console.
struct Home {
    streams: Streams,
    console: Arc<Mutex<Vec<String>>>,
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let console = Arc::<Mutex<Vec<String>>>::default();
        let said = Arc::clone(&console);
        let streams = Streams::with_console(Console::new(move |level, _, text| {
            said.lock().unwrap().push(format!("{level} {text}"));
        }));
        Self { streams, console, directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the settings of a stream with a file here.
    fn stream(&self, name: &str, types: &[&str]) -> StreamSettings {
        let types = types.iter().map(ToString::to_string).collect();
        StreamSettings { path: self.path().join(format!("{name}.log")), types, ..settings(name) }
    }

    fn open(&self, streams: &[StreamSettings]) {
        self.streams.open(streams, [("Fetch", vec!["fetch"]), ("Run", vec!["command"])]);
    }

    fn say(&self, level: Level, text: &str) -> Echo {
        self.streams.say(level, "actiond::test", format_args!("{text}"))
    }

    fn say_all(&self, texts: &[String]) {
        for text in texts {
            self.say(Level::Normal, text);
        }
    }

    /// Returns what the lines of a file say, but for its first one, once all of them are written.
    fn said(&self, name: &str) -> Vec<String> {
        self.streams.finish(PATIENCE);
        messages(&fs::read_to_string(self.path().join(name)).unwrap())
    }

    fn console(&self) -> Vec<String> {
        self.streams.finish(PATIENCE);
        let said = self.console.lock().unwrap();
        let here = self.path().display().to_string();
        said.iter().map(|line| line.replace(&here, "HERE")).collect()
    }
}

/// Returns what lines say. Each file begins with one about the zone.
fn messages(text: &str) -> Vec<String> {
    assert!(text.ends_with('\n'), "{text:?}");
    let mut lines = text.lines().map(|line| line.split_once(": ").unwrap().1.to_owned());
    let first = lines.next().unwrap();
    assert!(first.contains("its times are of the server's zone"), "{first}");
    lines.collect()
}

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
fn lines_come_to_the_streams_of_their_type_and_level() {
    let home = Home::new();
    home.say(Level::Normal, "early");
    let early = format_args!("earlier");
    home.streams.take(&log::Record::builder().args(early).target("actiond").build());
    let warnings =
        StreamSettings { level: Level::Warning, ..home.stream("warnings", &["application"]) };
    home.open(&[home.stream("all", &["application", "action"]), warnings]);
    home.say(Level::Full, "detail");
    home.say(Level::Normal, "news");
    home.say(Level::Warning, "warning");
    let subject = home.streams.begin_request(Some("mine"), None, "/action=X").unwrap();
    home.streams.end_request(&subject, RequestOutcome::Error("wrong"), Duration::from_millis(7));
    assert_eq!(
        home.said("all.log"),
        [
            "earlier",
            "news",
            "warning",
            "Request from a local socket [mine]",
            "action=X (a local socket) [mine]",
            "wrong [mine]",
            "Request completed in 7 ms. [mine]",
        ]
    );
    assert_eq!(home.said("warnings.log"), ["warning"]);
    assert_eq!(home.streams.names(), ["all", "warnings"]);
    let tail = home.streams.tail("ALL", 2).unwrap();
    assert!(tail[0].ends_with("wrong [mine]") && tail.len() == 2, "{tail:?}");
    assert_eq!(home.streams.tail("none", 2), None);
    assert_eq!(home.streams.max_level(), log::LevelFilter::Info);
    assert_eq!(home.console(), [""; 0]);
}

#[test]
fn a_request_without_an_id_gets_one_and_lines_within_it_have_that() {
    let home = Home::new();
    assert!(home.streams.begin_request(None, None, "x").is_none(), "nobody wants it");
    home.open(&[home.stream("all", &["application", "action"])]);
    let subject = home.streams.begin_request(None, "::1".parse().ok(), "?action=X").unwrap();
    {
        let _entered = subject.enter();
        home.say(Level::Warning, "within");
        subject.set_token("TOKEN");
    }
    home.say(Level::Warning, "beside");
    home.streams.end_request(&subject, RequestOutcome::Success, Duration::ZERO);
    let said = home.said("all.log");
    let id = subject.request().unwrap();
    assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let of_request = said.iter().filter(|line| line.contains(id)).count();
    assert_eq!(of_request, said.len() - 1);
    assert_eq!(said[2], format!("Generated ActionId {id}"));
    assert_eq!(said[3..5], [format!("within [{id}]"), "beside".to_owned()]);
    assert_eq!(said[5], format!("Success [{id}] [TOKEN]"));
}

#[test]
fn a_long_id_is_cut() {
    let home = Home::new();
    home.open(&[home.stream("all", &["action"])]);
    let subject = home.streams.begin_request(Some(&"é".repeat(99)), None, "x").unwrap();
    assert_eq!(subject.request(), Some(&*"é".repeat(50)));
}

#[test]
fn the_console_says_what_a_stream_wants() {
    let home = Home::new();
    let with = |echo| StreamSettings { echo, ..home.stream("a", &["application", "action"]) };
    for (echo, want) in
        [(None, Echo::AsUsual), (Some(true), Echo::Always), (Some(false), Echo::Never)]
    {
        home.open(&[with(echo)]);
        assert_eq!(home.say(Level::Normal, "x"), want);
        assert_eq!(home.say(Level::Full, "not taken"), Echo::AsUsual);
    }
    let other = StreamSettings { echo: Some(false), ..home.stream("b", &["application"]) };
    home.open(&[with(Some(true)), other.clone()]);
    assert_eq!(home.say(Level::Normal, "x"), Echo::Always);
    home.streams.begin_request(Some("id"), None, "action=Y");
    assert_eq!(
        home.console(),
        ["INFO Request from a local socket", "INFO action=Y (a local socket)"]
    );
    home.open(&[with(None), other]);
    assert_eq!(home.say(Level::Normal, "x"), Echo::AsUsual);
}

#[test]
fn settings_change_while_a_stream_is_open_and_it_can_go() {
    let home = Home::new();
    let first = home.stream("a", &["application"]);
    home.open(std::slice::from_ref(&first));
    home.say(Level::Full, "1");
    home.open(&[StreamSettings { level: Level::Full, history: 1, ..first.clone() }]);
    home.say(Level::Full, "2");
    home.say(Level::Full, "3");
    assert_eq!(home.said("a.log"), ["2", "3"]);
    assert_eq!(home.streams.tail("a", 9).unwrap().len(), 1);
    home.open(&[home.stream("b", &["application"])]);
    home.say(Level::Normal, "4");
    assert_eq!(home.said("b.log"), ["4"]);
    assert_eq!(home.said("a.log"), ["2", "3"]);
    home.open(&[]);
    assert_eq!(home.say(Level::Normal, "5"), Echo::AsUsual);
    assert_eq!(home.said("b.log"), ["4"]);
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
    // Not for each line.
    assert!((1..12).contains(&said.len()), "{said:?}");
}

#[test]
fn lines_of_other_crates_for_their_developers_are_none_of_ours() {
    let home = Home::new();
    let full = StreamSettings { level: Level::Full, ..home.stream("a", &["application"]) };
    home.open(&[full]);
    let take = |target: &str, level: log::Level| {
        let text = format!("{target} {level}");
        let args = format_args!("{text}");
        home.streams.take(&log::Record::builder().args(args).target(target).level(level).build());
    };
    for level in [log::Level::Debug, log::Level::Info, log::Level::Warn] {
        for target in [
            "actiond::x",
            "actiond_actors::x",
            "tokio_postgres::q",
            "actix_server::w",
            "deadpool",
            "other",
        ] {
            take(target, level);
        }
    }
    assert_eq!(
        home.said("a.log"),
        [
            "actiond::x DEBUG",
            "actiond_actors::x DEBUG",
            "actiond::x INFO",
            "actiond_actors::x INFO",
            "tokio_postgres::q INFO",
            "other INFO",
            "actiond::x WARN",
            "actiond_actors::x WARN",
            "tokio_postgres::q WARN",
            "actix_server::w WARN",
            "other WARN",
        ]
    );
}
