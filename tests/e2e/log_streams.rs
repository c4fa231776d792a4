//! Log files: what comes to them of requests and actions, that secrets do not, and what happens when they can't be written.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;

use super::calls::Caller;
use super::durable::disk::SmallDisk;
use super::server::{Home, Server, wait_until};

const QUEUES: &str = "
[AsyncActions]
0=Process
1=Run
[Process]
Type=Echo
SecretParameters=Pin, Fail
[Run]
Type=Command
Command=sh -c 'echo \"said by the work with $ACTIOND_PARAM_PASSWORD\" >&2; exit 3' sh {Password}
SecretParameters=Code
";

fn config(logging: &str) -> String {
    format!("[Logging]\n{logging}\n{QUEUES}")
}

/// Both streams of text, as other servers have them.
const TEXT: &str = "LogDirectory=logs
0=ApplicationLogStream
1=ActionLogStream
[ApplicationLogStream]
LogFile=application.log
[ActionLogStream]
LogFile=action.log
LogTypeCSVs=action,command
";

fn log_file(home: &Home, name: &str) -> PathBuf {
    home.path().join("logs").join(name)
}

fn read(path: &Path) -> String {
    let mut text = Vec::new();
    let Ok(file) = File::open(path) else { return String::new() };
    let read = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => GzDecoder::new(file).read_to_end(&mut text),
        _ => { file }.read_to_end(&mut text),
    };
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8(text).unwrap()
}

/// Waits until a log file has a line with these words, and returns all of them.
fn wait_for(path: &Path, words: &[&str]) -> Vec<String> {
    let mut text = String::new();
    wait_until(&format!("a line with {words:?} in {}", path.display()), || {
        text = read(path);
        let has = |line: &str| words.iter().all(|word| line.contains(word));
        text.ends_with('\n') && text.lines().any(has)
    });
    text.lines().map(str::to_owned).collect()
}

/// Returns what a line says, without its time and its thread.
fn said(line: &str) -> &str {
    let (time, rest) = line.split_once(" [").unwrap();
    let digits = |text: &str| text.split(['/', ' ', ':']).map(str::len).collect::<Vec<_>>();
    assert_eq!(digits(time), [2, 2, 4, 2, 2, 2], "{line}");
    rest.split_once("] ").unwrap().1
}

#[test]
fn a_request_and_its_action_have_one_id_and_one_token_in_lines_as_other_servers_write_them() {
    let home = Home::new(&config(TEXT));
    let server = home.start();
    let token = server.submit("&Name=Ada&ActionID=mine&Fail=the-reason");
    server.wait_for_status(&token, "Error");
    server.ask("Nothing&Name=Ada").error();
    let action = log_file(&home, "action.log");
    wait_for(&action, &["PROCESS has ended: Error", &token]);
    let lines = wait_for(&action, &["action=Nothing"]);
    assert!(
        lines[0].contains("00-Always: actiond ") && lines[0].contains("its times are of"),
        "{lines:#?}"
    );
    let of_submission: Vec<_> =
        lines.iter().filter(|line| line.contains("[mine]")).map(|line| said(line)).collect();
    assert_eq!(of_submission.len(), 4, "{lines:#?}");
    assert_eq!(of_submission[0], "00-Always: Request from 127.0.0.1 [mine]");
    let text = of_submission[1];
    assert!(text.starts_with("00-Always: action=Process&Name=Ada&ActionID=mine&"), "{text}");
    assert!(text.ends_with(" (127.0.0.1) [mine]"), "{text}");
    assert_eq!(of_submission[2], format!("30-Normal: Success [mine] [{token}]"));
    assert!(of_submission[3].starts_with("30-Normal: Request completed in "), "{lines:#?}");
    let of_action: Vec<_> =
        lines.iter().map(|line| said(line)).filter(|line| line.contains("PROCESS")).collect();
    assert_eq!(
        of_action,
        [
            format!("00-Always: Starting PROCESS [{token}]"),
            format!("70-Error: PROCESS has ended: Error: *** [{token}]"),
        ]
    );
    let lines = wait_for(&action, &["50-Warning: ", "Nothing"]);
    let at = lines.iter().position(|line| line.contains("action=Nothing")).unwrap();
    let id = lines[at + 1].split("Generated ActionId ").nth(1).expect("a generated id");
    assert!(id.len() == 40 && lines[at].ends_with(&format!("[{id}]")), "{lines:#?}");
    // What the program says elsewhere, and nothing of requests.
    server.signal("TERM");
    assert!(server.wait().0.success());
    let application = read(&log_file(&home, "application.log"));
    assert!(
        application.contains("30-Normal: the port") || application.contains("answers on http://"),
        "{application}"
    );
    assert!(application.trim_end().ends_with("30-Normal: ended"), "{application}");
    assert!(!application.contains("Request from"), "{application}");
}

#[test]
fn what_the_work_of_an_action_says_comes_to_the_stream_of_its_kind_with_its_token() {
    let home = Home::new(&config(
        "LogFormat=json\n0=All\n[All]\nLogFile=all.log\nLogTypeCSVs=application,action,command\n",
    ));
    let server = home.start();
    let token = server.submit_to("Run", "&Password=hush-hush");
    server.wait_in("Run", &token, "Error");
    let lines = wait_for(&log_file(&home, "all.log"), &["RUN has ended"]);
    let lines: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |what: &str| {
        let message = |line: &&serde_json::Value| line["message"].as_str().unwrap().contains(what);
        lines.iter().find(message).unwrap_or_else(|| panic!("{what}: {lines:#?}"))
    };
    let own = find("said by the work");
    assert_eq!(own["type"], "command");
    assert_eq!(own["level"], "Normal");
    for line in [own, find("Starting RUN"), find("RUN has ended"), find("Success")] {
        assert_eq!(line["token"], token, "{line}");
        let time = line["time"].as_str().unwrap();
        assert!(time.len() == "2026-11-30T13:05:01.007+00:00".len(), "{time}");
    }
    assert_eq!(find("Success")["action_id"].as_str().unwrap().len(), 40);
    assert_eq!(find("Request from")["client"], "127.0.0.1");
}

/// However a secret comes, neither a log nor the list of requests shows it.
#[test]
fn a_secret_is_in_no_log() {
    let secret = "s3cret-Planted";
    for form in ["text", "json"] {
        let home =
            Home::new(&config(&format!("LogFormat={form}\nLogLevel=full\n{TEXT}LogEcho=true\n")));
        let mut command = home.command();
        command.env("RUST_LOG", "info,actiond=debug");
        let server = Server::run(command);
        let multipart = format!(
            "--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nProcess\r\n--b\r\n\
             Content-Disposition: form-data; name=\"PIN\"\r\n\r\n{secret}\r\n--b--\r\n"
        );
        let post = |kind: &str, target: &str, body: &str| {
            let head =
                format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
            let head =
                format!("{head}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
            server.send(&[head.as_bytes(), body.as_bytes()].concat()).body_text()
        };
        let encoded = "application/x-www-form-urlencoded";
        for sent in [
            server.get(&format!("/action=Process&Pin={secret}")),
            server.get(&format!("/action=Process&Name=Ada&P%69n={secret}")),
            server.get(&format!("/action=Process&Fail={secret}")),
            server.get(&format!("/action=Process&Sync=true&Fail={secret}")),
            server.get(&format!("/action=Nothing&Password={secret}")),
            server.get(&format!("/Password={secret}")),
            server.get(&format!("/action=GetStatus&Password={secret}&Password=%FF")),
            server.get(&format!("/action=Run&Password={secret}")),
            server.get(&format!("/action=Run&Code={secret}")),
            post(encoded, "/", &format!("action=Process&Pin={secret}")),
            post(encoded, "/action=Process", &format!("Pin={secret}")),
            post("multipart/form-data; boundary=b", "/", &multipart),
            server.get(&format!("/action=Process&Pin={secret}%F6x")),
            post(encoded, "/", &format!("action=Process&Pin={secret}%F6x")),
            server.get(&format!("/action=QueueWork&WorkAction=fail&Error={secret}")),
            post(encoded, "/?action=QueueWork", &format!("WorkAction=heartbeat&Log={secret}")),
            server.get(&format!("/action=Run&Password=begin%0D%0A{secret}")),
        ] {
            assert!(sent.contains("autnresponse"), "{sent}");
        }
        for queue in ["Process", "Run"] {
            wait_until("the end of all actions", || {
                let status = server.info(queue, "queueStatus", "").success();
                status.number("pending") + status.number("running") == 0
            });
        }
        let requests = server.ask("GetRequestLog").success().0;
        assert!(requests.contains("=***") && !requests.contains(secret), "{requests}");
        server.signal("TERM");
        let (status, console) = server.wait();
        assert!(status.success());
        let files = ["action.log", "application.log"].map(|name| read(&log_file(&home, name)));
        assert!(
            files[0].contains("Pin=***") && files[0].contains("said by the work"),
            "{}",
            files[0]
        );
        for line in
            console.iter().map(String::as_str).chain(files.iter().flat_map(|file| file.lines()))
        {
            assert!(!line.contains(secret), "{line}");
        }
        assert!(
            console.iter().any(|line| line.contains("actiond::requests] action=Process")),
            "{console:#?}"
        );
    }
}

#[test]
fn the_text_of_a_request_has_the_parameters_of_its_body() {
    let home = Home::new(&config(TEXT));
    let server = home.start();
    let post = |target: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        server.send(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).body_text()
    };
    let refused = post("/action=QueueInfo", "QueueName=Process&QueueAction=delete&Sate=finished");
    assert!(refused.contains("and QueueAction=delete refuses unknown ones"), "{refused}");
    post("/?ActionID=hide1", "action=QueueInfo&QueueName=Process&QueueAction=queueStatus");
    for text in [
        "action=QueueInfo&QueueName=Process&QueueAction=delete&Sate=finished (127.0.0.1) [",
        "action=QueueInfo&ActionID=hide1&QueueName=Process&QueueAction=queueStatus (127.0.0.1) [hide1]",
    ] {
        wait_for(&log_file(&home, "action.log"), &[text]);
    }
    let requests = server.ask("GetRequestLog").success().0;
    assert!(requests.contains("Sate=finished"), "{requests}");
}

/// Whatever is said of a request or an action, and wherever, has its id or its token.
#[test]
fn every_line_about_something_has_its_id() {
    let home = Home::new(&config(&format!("LogLevel=full\nLogEcho=true\n{TEXT}")));
    let server = home.start();
    let send = |head: &str| server.send(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes());
    send(
        "GET /action=GetPid&ActionID=origin HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example",
    );
    send("DELETE /action=GetPid&ActionID=method HTTP/1.1\r\nHost: localhost");
    server.get("/action=GetPid&ActionID=bytes&a=%FF");
    send("GET /action=GetPid&ActionID=line HTTP/9.9\r\nHost: localhost");
    let token = server.submit_to("Run", "&Password=x");
    server.wait_in("Run", &token, "Error");
    let action = log_file(&home, "action.log");
    wait_for(&action, &["50-Warning", "not supported", "[method]"]);
    wait_for(&action, &["50-Warning", "'(not UTF-8)'", "[bytes]"]);
    let lines = wait_for(&action, &["queue Run: action", "Error", &token]);
    assert!(!lines.iter().any(|line| line.contains("%00")), "{lines:#?}");
    let application = log_file(&home, "application.log");
    wait_for(&application, &["50-Warning", "was refused", "evil.example", "[origin]"]);
    wait_for(&application, &["Full", "ActionID=bytes", "error", "[bytes]"]);
    server.wait_for_line(&["actiond::requests] Request from 127.0.0.1 [method]"]);
    server.wait_for_line(&["was refused", "evil.example", "[origin]"]);
}

#[test]
fn levels_and_streams_are_read_again() {
    let home =
        Home::new(&config("LogDirectory=logs\nLogLevel=error\n0=A\n[A]\nLogTypeCSVs=action\n"));
    let server = home.start();
    server.ask("GetPid").success();
    home.configure(&config(
        "LogDirectory=logs\nLogLevel=normal\n0=A\n1=B\n[A]\nLogTypeCSVs=action\n[B]\n",
    ));
    server.reload();
    server.wait_for_line(&["SIGHUP: [A] LogLevel=normal (before: error) is in force"]);
    server.ask("GetVersion").success();
    let lines = wait_for(&log_file(&home, "A.log"), &["Request completed in"]);
    assert_eq!(lines.iter().filter(|line| line.contains("Success")).count(), 1, "{lines:#?}");
    wait_for(&log_file(&home, "B.log"), &["SIGHUP: ", "roles are in force"]);
    home.configure(QUEUES);
    server.reload();
    let before = read(&log_file(&home, "A.log"));
    server.ask("GetPid").success();
    server.signal("TERM");
    assert!(server.wait().0.success());
    assert_eq!(read(&log_file(&home, "A.log")), before);
}

/// Text in the database, or the database taken for an old log file, would be the end of all actions.
#[test]
fn the_database_is_no_log_file_for_a_reload_or_a_start() {
    let home = Home::new(QUEUES);
    let server = home.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    home.configure(&config(&format!(
        "LogDirectory={}\nLogMaxOldFiles=0\n0=A\n[A]\nLogFile=actions.db\n",
        home.data().display()
    )));
    server.reload();
    server.wait_for_line(&["ERROR", "nothing was changed", "is in the data directory"]);
    server.wait_for_status(&token, "Finished");
    server.kill();
    let console = Server::try_run(home.command()).err().expect("no server").join("\n");
    assert!(console.contains("is in the data directory"), "{console}");
    home.configure(QUEUES);
    home.start().wait_for_status(&token, "Finished");
}

#[test]
fn a_configuration_without_logging_makes_no_file_and_one_without_streams_one_for_all() {
    let home = Home::new(QUEUES);
    let server = home.start();
    server.ask("GetPid").success();
    server.kill();
    assert!(!home.path().join("logs").exists());
    home.configure(&config("LogDirectory=logs\n"));
    let server = home.start();
    server.ask("GetPid").success();
    let lines = wait_for(&log_file(&home, "application.log"), &["Request completed in"]);
    assert!(lines.iter().any(|line| line.contains("answers on http://")), "{lines:#?}");
}

#[test]
fn the_reason_for_an_early_end_comes_to_the_console_whatever_the_streams_say() {
    let home = Home::new(&config(&format!("LogEcho=false\n{TEXT}")));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.arg("--config").arg(home.path().join("test.cfg")).arg("--data").arg(home.data());
    command.args(["--port", &taken.local_addr().unwrap().port().to_string()]);
    let ended = command.current_dir(home.path()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let console = String::from_utf8(ended.stderr).unwrap();
    let [line] = console.lines().collect::<Vec<_>>()[..] else { panic!("{console}") };
    let why = line.split_once("] ").unwrap().1;
    assert!(line.contains("ERROR") && !why.is_empty(), "{line}");
    let application = read(&log_file(&home, "application.log"));
    assert!(application.contains(&format!("70-Error: {why}\n")), "{why}: {application}");
}

/// A server is killed again and again while its log files get full: what it wrote is whole, and the next one tidies up.
#[test]
fn no_line_that_was_written_is_lost_by_a_kill() {
    let home = Home::new(&config(
        "LogDirectory=logs\nLogMaxSizeKBs=2\nLogMaxOldFiles=-1\n0=A\n[A]\nLogFile=a.log\nLogTypeCSVs=action\n",
    ));
    let logs = home.path().join("logs");
    let mut number = 0;
    for _ in 0..4 {
        let server = home.start();
        let mut caller = Caller::new(server.address).unwrap();
        let before = number;
        wait_until("some files to be full", || {
            caller.ask(&format!("GetPid&ActionID=n{number}")).unwrap().success();
            number += 1;
            number > before + 60
        });
        server.kill();
    }
    let server = home.start();
    let is_tidy = |name: &str| name == "a.log" || name.ends_with(".gz");
    let names = || -> BTreeSet<String> {
        let entries = fs::read_dir(&logs).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    wait_until("all old files to be compressed", || names().iter().all(|name| is_tidy(name)));
    server.kill();
    let names = names();
    assert!(names.len() > 8, "{names:?}");
    let text: String = names.iter().map(|name| read(&logs.join(name))).collect();
    assert!(text.ends_with('\n'));
    let seen: Vec<usize> =
        (0..number).filter(|number| text.contains(&format!("&ActionID=n{number} "))).collect();
    // At each kill the last ones may not have been written yet, and there are no other holes.
    let holes = seen.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert!(holes <= 4 && seen.len() > number / 2, "{holes} holes, {} of {number}", seen.len());
    for number in seen {
        let count = text.matches(&format!("&ActionID=n{number} ")).count();
        assert_eq!(count, 1, "{number}");
    }
}

/// Requests are answered and actions run where there is no room for the log; lost lines are told once there is.
#[test]
fn a_disk_too_full_for_the_log_stops_no_work() {
    let home = Home::new(&config(TEXT));
    let Some(disk) = SmallDisk::new(&home.path().join("logs"), 1) else { return };
    let server = home.start();
    wait_for(&log_file(&home, "application.log"), &["answers on http://"]);
    disk.occupy("ballast", usize::MAX);
    let mut caller = Caller::new(server.address).unwrap();
    let long = "x".repeat(1_000);
    wait_until("the log to be full", || {
        caller.ask(&format!("Process&Name={long}")).unwrap().success();
        server.log_lines("action.log can't be written, so lines are lost") > 0
    });
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    fs::remove_file(disk.0.join("ballast")).unwrap();
    caller.ask("GetPid&ActionID=afterwards").unwrap().success();
    let action = log_file(&home, "action.log");
    wait_for(&action, &["ActionID=afterwards"]);
    let lines = wait_for(&action, &["50-Warning: ", " lost"]);
    server.wait_for_line(&["WARN", "action.log is written again"]);
    server.wait_for_line(&["WARN", "action.log: ", " lost"]);
    // No line is a part of one.
    assert!(lines.iter().all(|line| !said(line).is_empty()));
    assert_eq!(server.log_lines("action.log can't be written"), 1);
    server.kill();
    drop(disk);
}
