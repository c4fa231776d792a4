//! What whoever operates the program sees of it: its log, how it takes signals, and how it checks a configuration.

use std::process::Command;
use std::time::{Duration, Instant};

use super::server::{Home, Server, wait_until};

const CONFIG: &str = "
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

fn lines_with<'l>(log: &'l [String], word: &str) -> Vec<&'l String> {
    log.iter().filter(|line| line.contains(word)).collect()
}

fn end(server: Server) -> Vec<String> {
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log:#?}");
    log
}

#[test]
fn each_action_that_does_not_finish_has_one_line_with_its_token() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let finished = server.submit("&Name=Ada");
    let failed = server.submit("&Fail=no%0A%1B%5B31mfile");
    let long = server.submit(&format!("&Fail={}", "x".repeat(2_000)));
    for token in [&finished, &failed, &long] {
        server.outcome("Process", token);
    }
    let runs = server.submit_to("Once", "&Sleep=600");
    server.wait_in("Once", &runs, "Processing");
    let waits = server.submit_to("Once", "&Name=waits");
    server.info("Once", "cancel", &format!("&Token={waits}")).success();
    server.info("Once", "stop", &format!("&Token={runs}")).success();
    server.wait_in("Once", &runs, "Stopped");
    server.ask("Process&Sync=true&Fail=at%0Aonce").error();
    let log = end(server);
    assert_eq!(lines_with(&log, &finished), Vec::<&String>::new());
    let want = [
        (
            &failed,
            format!(
                "INFO  actiond::front::ends] queue Process: action {failed}: Error: no\\n\\u{{1b}}[31mfile"
            ),
        ),
        (&long, format!("queue Process: action {long}: Error: {}...", "x".repeat(500))),
        (&waits, format!("queue Once: action {waits}: Cancelled")),
        (&runs, format!("queue Once: action {runs}: Stopped")),
    ];
    for (token, line) in want {
        let found = lines_with(&log, token);
        assert_eq!(found.len(), 1, "{log:#?}");
        assert!(found[0].ends_with(&line), "{line}: {}", found[0]);
    }
    assert_eq!(
        lines_with(&log, "queue Process: an action that ran at once: Error: at\\nonce").len(),
        1
    );
    assert_eq!(lines_with(&log, "actix").len(), 0, "{log:#?}");
}

#[test]
fn a_start_says_what_was_recovered_and_what_became_of_it() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let again = server.submit("&Sleep=600");
    let failed = server.submit_to("Once", "&Sleep=600");
    server.wait_for_status(&again, "Processing");
    server.wait_in("Once", &failed, "Processing");
    server.kill();
    let server = home.start();
    let answers = server.wait_for_line(&["answers on http://"]);
    server.wait_for_line(&[
        "queue Process: 1 action that was interrupted recovered: 1 to run again, 0 ended in Error, 0 ended in Stopped",
    ]);
    server.wait_for_line(&[
        "queue Once: 1 action that was interrupted recovered: 0 to run again, 1 ended in Error",
    ]);
    // Their tokens have another port in them now.
    server.wait_for_line(&["queue Process: action ", ": interrupted, it runs again"]);
    server.wait_for_line(&["queue Once: action ", ": Error: interrupted by server restart"]);
    assert!(answers.contains("INFO"), "{answers}");
}

#[test]
fn a_hang_up_ends_nothing_and_a_doubled_signal_is_one_wish() {
    let home = Home::new(&CONFIG.replace("[Async", "[Actions]\nShutdownGraceSecs=600\n[Async"));
    let server = home.start();
    server.signal("HUP");
    server.wait_for_line(&["INFO", "SIGHUP: ", "roles are in force"]);
    let runs = server.submit("&Sleep=600");
    server.wait_for_status(&runs, "Processing");
    let asked = Instant::now();
    server.signal("TERM");
    server.wait_for_line(&["SIGTERM: no new actions are taken"]);
    server.signal("TERM");
    // Unless this machine was too slow to send it within the second.
    if asked.elapsed() < Duration::from_millis(900) {
        server.wait_for_line(&["SIGTERM again within a second"]);
        server.signal("HUP");
        assert_eq!(server.status(&runs), "Processing");
    }
    server.signal_again();
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert_eq!(log.last().map(|line| line.ends_with("] ended")), Some(true), "{log:#?}");
}

#[test]
fn times_are_local_with_their_offset_and_an_unknown_zone_is_told() {
    let home = Home::new(CONFIG);
    for (zone, offset) in [("XST-5:45", "+05:45"), ("XST3", "-03:00"), ("", "+00:00")] {
        let mut command = home.command();
        command.env("TZ", zone);
        let log = end(Server::run(command));
        assert!(!log.iter().any(|line| line.contains("TZ=")), "{log:#?}");
        for line in &log {
            let (time, _) = line[1..].split_once(' ').unwrap();
            assert_eq!(time.len(), "2026-01-01T00:00:00.000+00:00".len(), "{line}");
            assert!(line.starts_with("[20") && time.ends_with(offset), "{zone}: {line}");
        }
    }
    let mut command = home.command();
    command.env("TZ", "Mars/Olympus_Mons");
    let log = end(Server::run(command));
    let told = lines_with(&log, "TZ=Mars/Olympus_Mons names no time zone");
    assert_eq!(told.len(), 1, "{log:#?}");
    assert!(told[0].contains("WARN"), "{told:?}");
}

#[test]
fn a_path_with_a_tilde_is_told() {
    let home = Home::new(
        &format!("{CONFIG}[In]\nType=Ingest\nOutputDirectory=~/out\n")
            .replace("1=Once", "1=Once\n2=In"),
    );
    let server = home.start();
    server.wait_for_line(&[
        "WARN",
        "test.cfg:14: [In] OutputDirectory=~/out: the ~ is taken as it is",
    ]);
}

#[test]
fn a_misspelt_name_is_told_which_is_meant() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for (action, meant) in [
        ("Proces", " Is Process meant?"),
        ("QueueInf", " Is QueueInfo meant?"),
        ("Wobble", "lists the actions."),
    ] {
        let (code, description) = server.ask(action).error();
        assert_eq!(code, "ERRORNOTIMPLEMENTED");
        assert!(description.ends_with(meant), "{description}");
    }
    for (request, meant) in [
        (
            "QueueInfo&QueueAction=getStatus&QueueName=Proces",
            "Allowed: one of Process, Once. Is Process meant?",
        ),
        ("QueueInfo&QueueAction=getStatus&QueueName=Wobble", "Allowed: one of Process, Once."),
        ("Help&HelpAction=QueueInf", " Is QueueInfo meant?"),
        ("ScheduleInfo&ScheduleAction=add&ScheduleName=a&QueueName=Onc", " Is Once meant?"),
    ] {
        let (code, description) = server.ask(request).error();
        assert_eq!(code, "ERRORPARAMINVALID", "{request}");
        assert!(description.ends_with(meant), "{description}");
    }
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let check = |home: &Home| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
        command.args(["config", "--config", "test.cfg"]).current_dir(home.path());
        let output = command.output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let home = Home::new(&format!("[Server] // here\nPort=7001\nTreads=2\n{CONFIG}"));
    let (code, in_force, warnings) = check(&home);
    assert_eq!(code, Some(0), "{warnings}");
    assert!(
        in_force.contains("// test.cfg:2\nPort=7001\n// default\nBindAddress=127.0.0.1,::1\n"),
        "{in_force}"
    );
    assert!(in_force.contains("// test.cfg:13\nOnRestart=Fail\n"), "{in_force}");
    assert!(
        warnings.starts_with("warning: test.cfg:3: [Server] Treads has no effect"),
        "{warnings}"
    );
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    // What is printed is a configuration, and means the same.
    let printed = Home::new(&in_force.replace("Port=7001", "Port=0"));
    let server = printed.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    drop(server);

    let (code, in_force, told) = check(&Home::new("[Server]\nPort=x\n"));
    assert_eq!((code, in_force.as_str()), (Some(2), ""));
    assert!(told.contains("test.cfg:2: [Server] Port=x: must be"), "{told}");
    let nothing_made = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(nothing_made, 1, "a check makes nothing");
    let home = Home::new("");
    std::fs::remove_file(home.path().join("test.cfg")).unwrap();
    let (code, _, told) = check(&home);
    assert_eq!(code, Some(2));
    assert!(told.contains("test.cfg: cannot be read"), "{told}");
}

#[test]
fn what_is_misspelt_is_told_beside_what_stops_the_start() {
    let home = Home::new("[Server]\nTreads=2\nPort=+7001\n");
    let said_by = |mut command: Command| {
        let output = command.current_dir(home.path()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let mut check = Command::new(env!("CARGO_BIN_EXE_actiond"));
    check.args(["config", "--config", "test.cfg"]);
    for (said, level) in [(said_by(check), "warning"), (said_by(home.command()), "WARN")] {
        let (warning, problem) = said.split_once("can't be used:\n").expect("a problem");
        assert!(problem.contains("test.cfg:3: [Server] Port=+7001: must be"), "{said}");
        assert!(warning.contains(level), "{said}");
        assert!(warning.contains("test.cfg:2: [Server] Treads has no effect"), "{said}");
    }
}

#[test]
fn a_drain_says_again_and_again_what_still_runs() {
    let home = Home::new(&CONFIG.replace("[Async", "[Actions]\nShutdownGraceSecs=600\n[Async"));
    let server = home.start();
    let short = server.submit("&Sleep=2");
    let long = server.submit("&Sleep=600");
    for token in [&short, &long] {
        server.wait_for_status(token, "Processing");
    }
    server.signal("TERM");
    server.wait_for_line(&["shutting down: 2 actions still run (Process: 2)"]);
    server.wait_for_line(&["shutting down: 1 action still runs (Process: 1)"]);
    server.wait_for_draining();
    // Also when it is the same.
    wait_until("it is said once more", || {
        server.log_lines(": 1 action still runs (Process: 1)") == 2
    });
    server.signal_again();
    server.wait();
}

/// Orchestrators ask without a key. A server that shuts down lives, and is not ready.
#[test]
fn health_is_told_to_everyone() {
    let roles =
        "[AuthorizationRoles]\n0=Nobody\n[Nobody]\nStandardRoles=Admin,Query\nClients=192.0.2.7\n";
    let home = Home::new(&format!("[Service]\nServicePort=0\n{roles}{CONFIG}"));
    let server = home.start();
    let ask = |method: &str, path: &str| {
        let head = "Host: localhost\r\nConnection: close";
        server.send(format!("{method} {path} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes())
    };
    for (path, text) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let told = ask("GET", path);
        assert!(told.head.starts_with("HTTP/1.1 200 "), "{path}: {}", told.head);
        assert_eq!(told.body_text(), text);
        assert_eq!(told.header("cache-control"), Some("no-store"));
    }
    // Whoever watches must not take the answer to anything else for good health.
    for (method, path) in [
        ("POST", "/health/ready"),
        ("GET", "/health/ready/"),
        ("GET", "/Health/Ready"),
        ("GET", "/health"),
        ("GET", "/healthz"),
        ("GET", "/metrics/"),
        ("GET", "/livez/"),
    ] {
        let told = ask(method, path);
        assert!(told.head.starts_with("HTTP/1.1 404 "), "{method} {path}: {}", told.head);
    }
    let told = ask("GET", "/health?action=GetVersion").body_text();
    assert!(told.contains("ERROR"), "it is an action, which needs a role: {told}");
    assert!(server.ask("GetStatus").error().0.contains("PERMISSION"));
}

#[test]
fn a_server_that_shuts_down_is_not_ready() {
    let home = Home::new(&format!("{CONFIG}[Actions]\nShutdownGraceSecs=20\n"));
    let server = home.start();
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    assert_eq!(server.get("/health/ready"), "ready");
    server.signal("TERM");
    wait_until("a server that is not ready", || server.get("/health/ready") == "not ready");
    assert_eq!(server.get("/health/live"), "live");
    server.signal_again();
    server.wait();
}
