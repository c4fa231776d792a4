//! The program itself: its command line, its configuration, its signals and its exit codes.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::server::{CONFIG, Home, Server};

fn actiond(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_actiond")).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Starts a server that must not come up; returns its exit code and what it said.
fn refused(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    assert!(stdout.is_empty(), "{}", text(&stdout));
    let said = text(&stderr);
    assert!(!said.contains("panicked"), "{said}");
    (status.code(), said)
}

/// Runs a server until it answers, ends it, and returns everything that it said.
pub(crate) fn said(mut command: Command) -> Vec<String> {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        seen.push(line);
        if seen.last().unwrap().contains("answers on http://") {
            let sent = Command::new("kill").arg(child.id().to_string()).status();
            assert!(sent.unwrap().success());
            break;
        }
    }
    seen.extend(lines);
    assert!(child.wait().unwrap().success(), "{seen:?}");
    seen
}

#[test]
fn help_and_version_are_printed() {
    let help = actiond(&["--help"]);
    assert!(help.status.success());
    for word in
        ["Usage: actiond", "serve", "config", "--config <FILE>", "--port <N>", "--data <DIR>"]
    {
        assert!(text(&help.stdout).contains(word), "{word}: {}", text(&help.stdout));
    }
    let version = actiond(&["--version"]);
    assert!(version.status.success());
    assert_eq!(text(&version.stdout), format!("actiond {}\n", env!("CARGO_PKG_VERSION")));
}

/// Runs `actiond config` with this standard output; returns its exit code and what it said.
fn config_into(stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    let child = command.arg("config").stdout(stdout).stderr(Stdio::piped()).spawn();
    let Output { status, stderr, .. } = child.unwrap().wait_with_output().unwrap();
    (status.code(), text(&stderr))
}

#[test]
fn a_reader_of_the_configuration_may_go_and_a_full_disk_is_told() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(config_into(writer), (Some(0), String::new()));
    if cfg!(target_os = "linux") {
        let full = std::fs::File::create("/dev/full").unwrap();
        let (code, said) = config_into(full);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the standard output can't be written: No space left"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn an_unknown_argument_is_told() {
    for (arguments, told) in [
        (&["--prot", "1"][..], "'--prot'"),
        (&["start"], "'start'"),
        (&["--port", "70000"], "70000 is not in 0..=65535"),
        (&["-configfile"], "'--config <FILE>'"),
    ] {
        let output = actiond(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(told), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_printed_configuration_starts_a_server() {
    let printed = actiond(&["config"]);
    assert!(printed.status.success());
    let home = Home::new(&text(&printed.stdout));
    let lines = said(home.command());
    assert!(!lines.iter().any(|line| line.contains("WARN")), "{lines:?}");
    let server = home.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    drop(server);

    // So does the text with all examples in it, with a queue of each type.
    let all: Vec<&str> = std::str::from_utf8(&printed.stdout)
        .unwrap()
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        // There are no such certificates, and the port may be another's.
        .filter(|line| {
            ![
                "SSL",
                "[SSL",
                "ServicePort=",
                "ForwardTo=",
                "ForwardKey",
                "ForwardCAFile",
                "ConnectionString",
                "BasicPassword",
                "BearerToken",
                "ProxyPassword",
                "Secret",
                "AdminSecret",
                "CallbackHandler=",
                "RepeatSecs=",
            ]
            .iter()
            .any(|key| line.starts_with(key))
        })
        // Nor need its program be there.
        .map(|line| if line.starts_with("Command=") { "Command=true" } else { line })
        .collect();
    let home = Home::new(&all.join("\n"));
    std::fs::write(home.path().join("events.lua"), "function handler() end").unwrap();
    let server = home.start();
    let status = server.ask("GetStatus").success();
    assert!(status.values("name").len() >= 3, "{}", status.0);
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_with_file_line_and_key() {
    for (config, line, words) in [
        ("[Server]\nPort=abc\n", Some(2), &["[Server] Port=abc", "0 to 65535"][..]),
        ("[Server]\nBindAddress=somewhere\n", Some(2), &["BindAddress=somewhere", "address"]),
        (
            "\n// x\n[Actions]\nOnRestart=Maybe",
            Some(4),
            &["[Actions] OnRestart=Maybe", "Requeue", "Fail"],
        ),
        (
            "[AsyncActions]\n0=Work\n[Work]\nType=Ehco\n",
            Some(4),
            &["[Work] Type=Ehco", "Echo", "Ingest", "FileSystemConnector"],
        ),
        (
            "[AsyncActions]\n0=Work\n[Work]\nType=Echo\nMaximumThreads=0\n",
            Some(5),
            &["MaximumThreads=0", "1 to 10000"],
        ),
        (
            "[AsyncActions]\n0=In\n[In]\nType=Ingest\nOutputDirectory=test.cfg\n",
            Some(5),
            &["[In] OutputDirectory=test.cfg: must be a directory"],
        ),
        ("[AsyncActions]\n0=Work\n", None, &["Work"]),
        ("[AsyncActions]\n0=Help\n[Help]\nType=Echo\n", Some(2), &["Help"]),
        ("[Server\nPort=1\n", Some(1), &["["]),
        ("[Server]\nPort\n", Some(2), &["Port"]),
    ] {
        let home = Home::new(config);
        let (code, said) = refused(home.command());
        assert_eq!(code, Some(2), "{config}: {said}");
        let line = line.map_or(String::new(), |line| format!("{line}:"));
        assert!(said.contains(&format!("test.cfg:{line}")), "{config}: {said}");
        for word in words {
            assert!(said.contains(word), "{word} for {config}: {said}");
        }
        assert!(!home.data().exists(), "it made its data directory all the same");
    }
    // Several at once are told at once.
    let home = Home::new("[Server]\nPort=x\nThreads=y\n[Actions]\nMaxQueueSize=z\n");
    let (_, said) = refused(home.command());
    assert!(["Port=x", "Threads=y", "MaxQueueSize=z"].iter().all(|w| said.contains(w)), "{said}");

    let absent = actiond(&["--config", "/nowhere/at/all.cfg"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent.stderr).contains("/nowhere/at/all.cfg"), "{}", text(&absent.stderr));
}

#[test]
fn an_unknown_key_is_a_warning_that_names_the_nearest() {
    let home = Home::new("[Server]\nTreads=2\n[Actons]\nMaximumThreads=2\n[Paths]\nPort=1\n");
    let lines = said(home.command());
    for words in [
        ["WARN", "test.cfg:2:", "Treads", "Is Threads meant?"],
        ["WARN", "test.cfg:3:", "[Actons]", "Is [Actions] meant?"],
        ["WARN", "test.cfg:6:", "Port", "belongs into [Server]"],
    ] {
        let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?}: {lines:?}");
    }
}

#[test]
fn the_configuration_is_named_in_the_vendors_way_or_found_by_itself() {
    let home = Home::new("[AsyncActions]\n0=Named\n[Named]\nType=Echo\n");
    let config = home.path().join("test.cfg");
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
        command.args(["--port", "0", "--data"]).arg(home.data()).current_dir(home.path());
        command
    };
    let serves_named = |command: Command| {
        let server = Server::run(command);
        server.submit_to("Named", "&Name=Ada");
        server.signal("TERM");
        assert!(server.wait().0.success());
    };
    let mut command = program();
    command.arg("-configfile").arg(&config);
    serves_named(command);
    let mut command = program();
    command.arg(format!("-ConfigFile={}", config.display()));
    serves_named(command);
    std::fs::rename(&config, home.path().join("actiond.cfg")).unwrap();
    serves_named(program());
    std::fs::remove_file(home.path().join("actiond.cfg")).unwrap();
    // Without any file the defaults hold, and a warning says so.
    let lines = said(program());
    let found = |line: &&String| line.contains("WARN") && line.contains("actiond.cfg");
    assert!(lines.iter().any(|line| found(&line)), "{lines:?}");
    let server = Server::run(program());
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
}

#[test]
fn a_port_in_use_is_told_before_the_data_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let home = Home::new(CONFIG);
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.arg("--config").arg(home.path().join("test.cfg")).arg("--data").arg(home.data());
    command.args(["--port", &port.to_string()]).current_dir(home.path());
    let (code, said) = refused(command);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("can't listen on 127.0.0.1:{port}: ")), "{said}");
    assert!(said.contains("in use"), "{said}");
    assert!(!home.data().exists());
}

const DRAINING: &str = "
[Actions]
ShutdownGraceSecs=2
[AsyncActions]
0=Process
1=Once
[Process]
Type=Echo
MaximumThreads=2
[Once]
Type=Echo
OnRestart=Fail
";

#[test]
fn a_shutdown_drains_and_interrupts_what_takes_too_long() {
    let home = Home::new(DRAINING);
    let server = home.start();
    let short = server.submit("&Sleep=0.8");
    let long = server.submit("&Sleep=600&Name=long");
    let once = server.submit_to("Once", "&Sleep=600");
    for token in [&short, &long] {
        server.wait_for_status(token, "Processing");
    }
    server.wait_in("Once", &once, "Processing");
    let queued = server.submit("&Name=queued");
    server.signal("TERM");
    server.wait_for_draining();

    let (code, description) = server.ask("Process&Name=late").error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(description.contains("shutting down"), "{description}");
    let (code, description) = server.ask("Process&Name=late&Synchronous=true").error();
    assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
    assert_eq!(server.about("Process", "duplicate", &long).error().0, "ERRORUNAVAILABLE");
    // Reads go on, and so does control.
    assert_eq!(server.status(&long), "Processing");
    assert_eq!(server.info("Process", "queueStatus", "").success().number("running"), 2);
    server.info("Process", "changePriority", &format!("&Priority=3&Token={queued}")).success();
    // Its slot is free once the short one has ended, but nothing starts any more.
    server.wait_for_status(&short, "Finished");
    assert_eq!(server.status(&queued), "Queued");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:?}");
    let said = |words: &[&str]| {
        let all = |line: &String| words.iter().all(|word| line.contains(word));
        assert!(log.iter().any(all), "{words:?}: {log:#?}");
    };
    said(&["SIGTERM"]);
    said(&["shutting down: 3 actions still run (Process: 2, Once: 1)"]);
    said(&["shutting down: 2 actions still run (Process: 1, Once: 1); all are asked to stop"]);
    said(&[&format!("queue Process: action {long}: interrupted, it runs again")]);
    said(&[&format!("queue Once: action {once}: Error: interrupted by server shutdown")]);
    said(&["queue Process: 1 action was interrupted: 1 to run again, 0 ended in Error"]);
    said(&["queue Once: 1 action was interrupted: 0 to run again, 1 ended in Error"]);
    assert!(!log.iter().any(|line| line.contains(" ERROR ")), "{log:?}");

    let server = home.start();
    assert_eq!(server.status(&short), "Finished");
    server.wait_for_status(&queued, "Finished");
    assert_eq!(server.about("Process", "getStatus", &queued).must("priority"), "3");
    server.wait_for_status(&long, "Processing");
    let ended = server.about("Once", "getStatus", &once).success();
    assert_eq!(ended.must("status"), "Error");
    assert_eq!(ended.must("error"), "interrupted by server shutdown");
    let list = server.info("Process", "getStatus", "").success();
    assert_eq!(list.values("token").len(), 3, "a refused action is there: {}", list.0);
}

#[test]
fn a_shutdown_with_nothing_to_do_is_quick() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    drop(server);
    for name in ["TERM", "INT"] {
        let server = home.start();
        let asked = Instant::now();
        server.signal(name);
        assert_eq!(server.wait().0.code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert!(!home.data().join("actions.db-wal").exists(), "the log was not folded in");
    }
}

#[test]
fn a_second_signal_ends_all_patience() {
    let home = Home::new(&DRAINING.replace("GraceSecs=2", "GraceSecs=600"));
    let server = home.start();
    let long = server.submit("&Sleep=600");
    let once = server.submit_to("Once", "&Sleep=600");
    server.wait_for_status(&long, "Processing");
    server.wait_in("Once", &once, "Processing");
    server.signal("TERM");
    server.wait_for_draining();
    assert_eq!(server.status(&long), "Processing");
    let asked = Instant::now();
    server.signal_again();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert!(asked.elapsed() < Duration::from_secs(4), "it took {:?}", asked.elapsed());

    let server = home.start();
    server.wait_for_status(&long, "Processing");
    assert_eq!(server.status_in("Once", &once), "Error");
}
