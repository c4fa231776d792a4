//! Each command once, and its forms of output.

use serde_json::Value;

use super::super::server::wait_until;
use super::{Served, command, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn an_action_is_sent_and_shown() {
    let served = Served::start();
    let token = served.send("Name=Ada");
    assert!(!token.contains(char::is_whitespace), "it alone, for $(...): {token}");
    served.server.wait_for_status(&token, "Finished");
    let shown = served.ok(&format!("status {token}"));
    assert!(shown.contains("status: Finished") && shown.contains("name=Name value=Ada"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours where it is no terminal: {shown}");
    let action = json(&served.ok(&format!("status --json --history {token}")));
    assert_eq!(action["token"], token.as_str());
    assert_eq!(action["history"]["attempt"][0]["outcome"], "Finished", "{action}");
    let both = json(&served.ok(&format!("status --json {token} {token}")));
    assert_eq!(both.as_array().map(Vec::len), Some(2));
    let xml = served.ok(&format!("status --xml {token}"));
    let document = roxmltree::Document::parse(&xml).expect("XML");
    assert!(document.descendants().any(|node| node.text() == Some("Finished")), "{xml}");
}

#[test]
fn an_action_that_answers_at_once_prints_its_reply() {
    let served = Served::start();
    let version = served.ok("send GetVersion");
    assert!(version.contains("productname: actiond\n"), "{version}");
    let version = json(&served.ok("send GetVersion --json"));
    assert_eq!(version["productname"], "actiond");
    served.run("send GetVersion ResponseFormat=json").failed(2);
    // Run at once, it has no token, and its result is the reply.
    let result = served.ok("send Process Synchronous=true Name=Ada");
    assert!(result.contains("name=Name value=Ada") && !result.contains("token"), "{result}");
}

#[test]
fn values_come_from_files_and_from_the_standard_input() {
    let served = Served::start();
    let file = |name: &str, content: &[u8]| {
        let path = served.home.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    };
    // Longer than any URL, and with all that a form or a part could stumble over.
    let mut long = "<adds>\r\n--x & = % + ä \u{1F980}</adds>\n".repeat(8_000);
    long.push_str("the end");
    let (long_file, short_file) =
        (file("long.xml", long.as_bytes()), file("short.txt", b"a=1&b\n"));
    let line = format!("send Process Long=@{long_file} Short=@{short_file} At=@@text In=@-");
    let token = run(command(&served.url(), &line), b"from here\n").ok();
    let token = token.trim();
    served.server.wait_for_status(token, "Finished");
    let client = actiond::aci::client::Client::builder("127.0.0.1", served.server.address.port());
    let parameters = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        client
            .build()
            .expect("a client")
            .queue_info(
                "getActionParameters",
                actiond::aci::client::About::Token(token),
                vec![("Final", "true".to_owned())],
            )
            .await
            .expect("a reply")
    });
    let shown = format!("{parameters:?}");
    for text in ["the end", "a=1&b\\n", "@text", "from here\\n"] {
        assert!(shown.contains(text), "{text}");
    }
    let shown = served.ok(&format!("params --final {token}"));
    assert!(
        shown.contains("At=@text\n") && shown.contains("\u{1F980}</adds>\n"),
        "{}",
        &shown[..200]
    );
    let missing = served.run("send Process x=@/no/such/file").failed(1);
    assert!(missing.contains("/no/such/file can't be read"), "{missing}");
}

#[test]
fn a_list_has_all_forms_and_filters() {
    let served = Served::start();
    let ada = served.send("Name=Ada ActionID=mine");
    let failed = served.send("Name=Bob Fail=\"no luck, none\" --priority 7");
    for (token, status) in [(&ada, "Finished"), (&failed, "Error")] {
        served.server.wait_for_status(token, status);
    }
    let table = served.ok("list Process");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("STATUS") && lines.len() == 3, "{table}");
    assert!(lines[1].contains(&failed) && lines[1].contains("no luck, none"), "{table}");
    let select = |line: &str| -> Vec<String> {
        let listed = json(&served.ok(&format!("list Process --json {line}")));
        let tokens = listed.as_array().expect("an array").iter();
        tokens.map(|action| action["token"].as_str().expect("a token").to_owned()).collect()
    };
    let (both, one, other) = (vec![failed.clone(), ada.clone()], vec![ada], vec![failed]);
    for (line, want) in [
        ("", &both),
        ("--state finished", &both),
        ("--state error", &other),
        ("Parameter.Name=Ada", &one),
        ("--parameter Name=Bob", &other),
        ("--action-id mine", &one),
        ("--text \"NO LUCK\"", &other),
        ("--min-priority 1", &other),
        ("--max-priority 0", &one),
        ("--queued-after -3600 --finished-after -3600 --started-after -3600", &both),
        ("--queued-before -3600", &vec![]),
        ("--finished-before -3600", &vec![]),
        ("--started-before -3600", &vec![]),
        ("--limit 1", &other),
        ("--start 2", &one),
        ("--sort-order ascending --limit 1", &one),
        ("--sort-by finish-time --limit 2 --state finished,queued --queued-after -60", &both),
    ] {
        let mut got = select(line);
        if line.contains("finish-time") {
            // They may have ended in either order.
            got.sort_unstable_by_key(|token| *token == want[1]);
        }
        assert_eq!(got, *want, "{line}");
    }
    let csv = served.ok("list Process --csv --state error");
    assert!(csv.starts_with("token,status,") && csv.contains(",\"no luck, none\""), "{csv}");
    assert!(!served.ok("list Process --csv --no-header").contains("token,"));
    let xml = served.ok("list Process --xml");
    assert!(roxmltree::Document::parse(&xml).is_ok(), "{xml}");
    let refused = served.run("list Process --state eror").failed(6);
    assert!(refused.contains("State") && refused.contains("refused"), "{refused}");
    let wrong = served.run("list Process Name=Ada").failed(2);
    assert!(wrong.contains("Parameter.NAME=VALUE"), "{wrong}");
    served.run("list Process --state \"\"").failed(2);
}

#[test]
fn a_long_list_is_whole() {
    let served = Served::start();
    let number = 600;
    let sent = served.run(&format!("bench Process --number {number} --connections 8 --keep"));
    assert!(sent.ok().contains("600 actions"));
    wait_until("all of them to end", || {
        served.ok("list Process --state queued,running --json") == "[]"
    });
    let listed = json(&served.ok("list Process --json"));
    let mut tokens: Vec<_> = listed
        .as_array()
        .expect("an array")
        .iter()
        .map(|action| action["token"].to_string())
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), number);
    assert_eq!(served.ok("list Process --limit 300").lines().count(), 301);
}

#[test]
fn actions_are_steered() {
    let served = Served::start();
    let running = served.send_running();
    assert!(served.ok(&format!("pause {running}")).starts_with("Paused"));
    assert!(served.ok(&format!("resume {running}")).starts_with("Processing"));
    // Both slots are taken, so the next one waits.
    let _other = served.send_running();
    let waiting = served.send("Name=Ada");
    served.ok(&format!("priority {waiting} -5"));
    let action = json(&served.ok(&format!("status {waiting} --json")));
    assert_eq!(action["priority"], "-5");
    let shown = served.ok(&format!("params {waiting}"));
    assert_eq!(shown, "Name=Ada");
    assert!(served.ok("params --queue Process").contains("Sleep=600"));
    let copy = served.ok(&format!("duplicate {waiting}"));
    assert_ne!(copy, waiting);
    let cancelled = served.ok(&format!("cancel {waiting} {copy} --json"));
    assert_eq!(cancelled.lines().count(), 2);
    assert_eq!(json(cancelled.lines().next().expect("a line"))["status"], "Cancelled");
    // One that refuses does not keep the next from its command.
    let both = served.run(&format!("cancel {running} {waiting}"));
    assert!(both.out.contains("Cancelled") && both.err.contains("stop it"), "{both:?}");
    assert_eq!(both.code, Some(6));
    assert!(served.ok(&format!("stop {running}")).starts_with("Stop"));
    served.server.wait_for_status(&running, "Stopped");
    assert!(served.ok(&format!("delete {running}")).contains("Stopped"));
    let gone = served.run(&format!("status {running}")).failed(6);
    assert!(gone.contains("refused"), "{gone}");
}

#[test]
fn a_failed_action_is_tried_again() {
    let served = Served::with(&format!("{}MaxAttempts=2\nRetryDelaySecs=600\n", super::CONFIG));
    let token = served.send("Fail=no");
    wait_until("the first attempt to fail", || {
        served.ok(&format!("status {token}")).contains("next_attempt_time")
    });
    assert!(served.ok(&format!("retry {token}")).starts_with("Queued"));
    served.server.wait_for_status(&token, "Error");
}

#[test]
fn a_queue_is_shown_paused_and_resumed() {
    let served = Served::start();
    assert!(served.ok("pause --queue Process").contains("paused: true"));
    let table = served.ok("queues");
    let line = table.lines().find(|line| line.starts_with("Process")).expect("the queue");
    assert!(table.starts_with("QUEUE") && line.contains("paused"), "{table}");
    let queues = json(&served.ok("queues Process --json"));
    assert_eq!((&queues[0]["paused"], &queues[0]["maximumthreads"]), (&"true".into(), &"2".into()));
    assert_eq!(served.ok("queues --csv").lines().count(), 4);
    assert!(json(&served.ok("resume --queue Process --json"))["paused"] == "false");
}

#[test]
fn a_stop_may_be_forced_and_be_for_all_that_run() {
    let served = Served::start();
    let token = served.send_running();
    served.ok(&format!("stop --force {token}"));
    served.server.wait_for_status(&token, "Stopped");
    let token = served.send_running();
    served.run("stop --running --queue Process").failed(2);
    served.ok("stop --running --queue Process --yes");
    served.server.wait_for_status(&token, "Stopped");
}

#[test]
fn events_are_followed() {
    let served = Served::start();
    let mut listening =
        command(&served.url(), "events --json --type queued,finished --queue Process -n 2");
    listening.stdout(std::process::Stdio::piped());
    let child = listening.spawn().expect("the program starts");
    // Nothing is told of what was before somebody listened, so it is sent until something was heard.
    let child = std::cell::RefCell::new(child);
    wait_until("two events", || {
        served.send("Name=Ada");
        child.borrow_mut().try_wait().expect("its state").is_some()
    });
    let output = child.into_inner().wait_with_output().expect("its end");
    let text = String::from_utf8(output.stdout).expect("text");
    let events: Vec<_> = text.lines().map(json).collect();
    assert_eq!(events.len(), 2, "{text}");
    let kinds = ["queued", "finished"];
    assert!(events.iter().all(|event| kinds.contains(&event["event"].as_str().expect("a type"))));
    assert_eq!(events[0]["data"]["queue"], "Process");
    // What came after an event is still there.
    let id = events[0]["id"].as_str().expect("an id");
    let after = served
        .ok(&format!("events -n 1 --type queued,finished --queue Process --last-event-id {id}"));
    assert!(after.contains("Process"), "{after}");
    let wrong = served.run("events --type frobnicated").failed(6);
    assert!(wrong.contains("Types"), "{wrong}");
}

#[test]
fn schedules_are_steered() {
    let served = Served::start();
    assert_eq!(served.ok("schedules"), "no schedules");
    served.ok("schedules add Hourly Process Name=Ada --cron @hourly --time-zone UTC");
    let table = served.ok("schedules list");
    assert!(table.contains("Hourly") && table.contains("@hourly"), "{table}");
    let token = served.ok("schedules run Hourly");
    served.server.wait_for_status(&token, "Finished");
    assert_eq!(served.ok("schedules pause Hourly"), "done");
    let listed = json(&served.ok("schedules list Hourly --json"));
    assert!(listed.to_string().contains("\"paused\":\"true\""), "{listed}");
    served.ok("schedules resume Hourly");
    served.ok("schedules remove Hourly");
    let gone = served.run("schedules run Hourly").failed(6);
    assert!(gone.contains("ScheduleName"), "{gone}");
}

#[test]
fn a_backup_is_written_on_the_server() {
    let served = Served::start();
    served.send("Name=Ada");
    let told = served.ok("backup backups");
    let (file, size) = told.split_once('\n').expect("two lines");
    assert!(std::fs::metadata(file).is_ok(), "{told}");
    assert!(size.starts_with("1 action in "), "{told}");
    let refused = served.run("backup /etc").failed(6);
    assert!(refused.contains("Path"), "{refused}");
}

#[test]
fn a_measurement_leaves_nothing_behind() {
    let served = Served::start();
    let mine = served.send("Name=Ada");
    served.server.wait_for_status(&mine, "Finished");
    let measured = served.run("bench --number 50 --connections 4 --json");
    assert!(measured.err.contains("50 actions deleted again"), "{measured:?}");
    let measured = json(&measured.ok());
    assert_eq!((&measured["submitted"], &measured["durability"]), (&50.into(), &"full".into()));
    let time = |name: &str| measured[name].as_f64().expect("a time");
    assert!(time("max_ms") >= time("p99_ms") && time("p99_ms") >= time("p50_ms"), "{measured}");
    // Not even a memory answers so fast over a socket.
    assert!(time("p50_ms") > 0.005, "{measured}");
    let left = json(&served.ok("list Process --json"));
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!(left[0]["token"], mine.as_str());
    let text = served.run("bench Process Sleep=0 --seconds 0.2 --connections 2 --keep");
    for word in ["rate ", "p50", "p99", "durability   full", "file system  "] {
        assert!(text.out.contains(word), "{text:?}");
    }
    assert!(text.err.contains("deletes what has ended"), "{text:?}");
    let none = served.run("bench Fetch2").failed(6);
    assert!(none.contains("Fetch2"), "{none}");
}

#[test]
fn a_configuration_is_checked_and_shown() {
    let served = Served::start();
    let file = served.home.path().join("test.cfg").display().to_string();
    assert_eq!(served.ok(&format!("config check {file}")), format!("{file} can be used"));
    let shown = served.ok(&format!("config show {file}"));
    assert!(shown.contains(&format!("// {file}:")), "{shown}");
    assert_eq!(shown, served.ok(&format!("config --config {file}")), "the old spelling");
    let bad = served.home.path().join("bad.cfg");
    std::fs::write(&bad, "[Server]\nPort=x\n").expect("a file");
    let refused = served.run(&format!("config check {}", bad.display())).failed(2);
    assert!(refused.contains("bad.cfg:2"), "{refused}");
    served.run(&format!("config show {}", bad.display())).failed(2);
    let mut here = command("", "config show");
    here.current_dir(served.home.path());
    let defaults = run(here, b"");
    assert!(defaults.err.contains("the defaults apply"), "{defaults:?}");
    assert!(defaults.ok().contains("[Server]"));
}
