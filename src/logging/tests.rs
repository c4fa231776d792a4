//! Streams as a whole, over real files.

mod files;

use std::fs;
use std::path::Path;

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
    lines.filter(|line| !line.contains("its times are of the server's zone")).collect()
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
        ["INFO Request from a local socket [id]", "INFO action=Y (a local socket) [id]"]
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
