//! The log itself: that nothing waits for whoever reads it, and what `RUST_LOG` lets through.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use super::calls::Caller;
use super::server::{Home, Server, between, wait_until};

const CONFIG: &str = "
[AsyncActions]
0=Process
1=Other
[Process]
Type=Echo
MaximumThreads=4
[Other]
Type=Echo
";

/// A server whose log is read up to where it says that it answers, and then only by who asks for more.
struct Unread {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

impl Unread {
    fn start(home: &Home) -> Self {
        let mut command = home.command();
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("it answers").unwrap();
            if let Some((_, rest)) = line.split_once("answers on http://") {
                break rest.trim_end_matches('/').parse().unwrap();
            }
        };
        Self { child, log, address }
    }

    /// Has so many actions fail, each with a line of over 500 bytes, and waits until all have.
    fn fail(&self, count: u64) {
        let mut caller = Caller::new(self.address).unwrap();
        let action = format!("Process&Fail={}", "x".repeat(500));
        (0..count).for_each(|_| drop(caller.ask(&action).unwrap().success()));
        wait_until("the end of all", || {
            let status = caller.ask("QueueInfo&QueueName=Process&QueueAction=queueStatus").unwrap();
            status.number("finished") == count
        });
    }

    fn signal(&self) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the end of the server", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_nothing_and_says_later_how_much_was_lost() {
    let home = Home::new(CONFIG);
    let mut server = Unread::start(&home);
    let (queued, at_once) = (2_500, 30);
    server.fail(queued);
    let mut caller = Caller::new(server.address).unwrap();
    for _ in 0..at_once {
        caller.ask(&format!("Process&Sync=true&Fail={}", "x".repeat(500))).unwrap().error();
    }
    let token = caller.ask("Other&Name=Ada&Wait=20").unwrap().success();
    assert_eq!(token.must("status"), "Finished");

    // Now somebody reads.
    let (mut kept, mut lost) = (0, None);
    while lost.is_none() {
        let line = server.log.next().expect("a line").unwrap();
        kept += u64::from(line.contains(": Error: xxx"));
        lost = between(&line, "] ", " lines of the log were lost").map(str::to_owned);
    }
    let lost: u64 = lost.unwrap().parse().unwrap();
    assert_eq!(kept + lost, queued + at_once);
    // The pipe and the channel have a bound, and what fits was kept.
    assert!((1_000..2_200).contains(&kept), "{kept} lines were kept");
    server.signal();
    let rest: Vec<_> = server.log.by_ref().map(Result::unwrap).collect();
    assert!(rest.last().is_some_and(|line| line.ends_with("] ended")), "{rest:#?}");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn the_end_does_not_wait_for_who_does_not_read() {
    let home = Home::new(CONFIG);
    let mut server = Unread::start(&home);
    server.fail(300);
    server.signal();
    assert_eq!(server.end().code(), Some(0));
}

/// Runs a server with this filter, asks it for something, and returns what it said until its end.
fn log_with(filter: Option<&str>) -> Vec<String> {
    let home = Home::new(CONFIG);
    let mut command = home.command();
    command.env_remove("RUST_LOG");
    filter.map(|filter| command.env("RUST_LOG", filter));
    let server = Server::run(command);
    server.ask("GetStatus").success();
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log:#?}");
    log
}

#[test]
fn threads_start_and_stop_in_the_log_of_who_asks_for_that() {
    let count = |log: &[String], word: &str| log.iter().filter(|l| l.contains(word)).count();
    for filter in [None, Some(""), Some(" "), Some("info"), Some("info,actiond=debug")] {
        let log = log_with(filter);
        assert_eq!(count(&log, "actix_server"), 0, "{filter:?}: {log:#?}");
        assert_eq!(count(&log, "] ended"), 1, "{filter:?}: {log:#?}");
    }
    for filter in ["debug", "info,actix_server=info", "info,actix_server"] {
        let log = log_with(Some(filter));
        assert!(count(&log, "actix_server") > 0, "{filter}: {log:#?}");
    }
}

#[test]
fn a_request_is_logged_with_its_address() {
    let log = log_with(Some("info,actiond=debug"));
    let found = log.iter().filter(|l| l.contains(" (127.0.0.1): success, ")).count();
    assert_eq!(found, 1, "{log:#?}");
}

#[test]
fn a_start_that_fails_says_why_whatever_the_filter_is() {
    let home = Home::new(CONFIG);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for filter in ["foo", "off", "actiond=off"] {
        let said_by = |mut command: Command| {
            let output = command.env("RUST_LOG", filter).output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let mut absent = Command::new(env!("CARGO_BIN_EXE_actiond"));
        absent.args(["--config", "/nowhere/at/all.cfg"]);
        let (code, said) = said_by(absent);
        assert_eq!(code, Some(2), "{filter}: {said}");
        let words = "ERROR actiond::cli::serve] the configuration can't be used:\n/nowhere";
        assert!(said.starts_with("[20") && said.contains(words), "{filter}: {said}");

        let mut second = Command::new(env!("CARGO_BIN_EXE_actiond"));
        second.arg("--config").arg(home.path().join("test.cfg")).args(["--port", &port]);
        second.arg("--data").arg(home.data()).current_dir(home.path());
        let (code, said) = said_by(second);
        assert_eq!(code, Some(1), "{filter}: {said}");
        assert!(said.contains(&format!("can't listen on 127.0.0.1:{port}")), "{filter}: {said}");
    }
}

/// Without open files there is no runtime, which its makers take for a panic.
#[cfg(unix)]
#[test]
fn a_panic_is_a_line_of_the_log_even_where_it_ends_the_process() {
    let home = Home::new(CONFIG);
    let output = home.command_after("ulimit -n 7").env("RUST_LOG", "off").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(101), "{said}");
    let line = "ERROR actiond::cli::log_lines] thread 'main' panicked at ";
    assert!(said.starts_with("[20") && said.contains(line), "{said}");
}

#[test]
fn colours_are_there_where_they_are_wanted() {
    let home = Home::new(CONFIG);
    for (style, level) in
        [("always", "\u{1b}[32mINFO \u{1b}[0m"), ("auto", "INFO "), ("never", "INFO ")]
    {
        let mut command = home.command();
        command.env("RUST_LOG_STYLE", style).env_remove("CLICOLOR_FORCE");
        let server = Server::run(command);
        let line = server.wait_for_line(&["answers on"]);
        let (_, rest) = line.split_once(' ').unwrap();
        assert!(rest.starts_with(&format!("{level} actiond::cli::serve] ")), "{style}: {line:?}");
    }
}
