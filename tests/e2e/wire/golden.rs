//! Replies that are kept to the letter in `tests/e2e/golden/`: the XML compared as trees, the JSON
//! compared byte for byte. `{TIME}`, `{SECONDS}` and `{PERCENT}` stand for what no two runs share,
//! `{ONE}` and so on for tokens.

use super::*;

fn golden(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/golden").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    // The files are written on many lines, replies on one.
    text.lines().map(str::trim_start).collect()
}

/// What stands for what no two runs share.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("{TIME}", r"\d{4}-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{2} \d{2}:\d{2}:\d{2}"),
    ("{ERRORTIME}", r"\d{2} [A-Z][a-z]{2} \d{2} \d{2}:\d{2}:\d{2}"),
    ("{SECONDS}", r"\d{1,4}"),
    ("{PERCENT}", r"\d{1,3}(\.\d{1,2}[1-9]|\.[1-9])?"),
];

fn matches(wanted: &str, found: &str) -> bool {
    let pattern = PLACEHOLDERS
        .iter()
        .fold(regex::escape(wanted), |text, (name, p)| text.replace(&regex::escape(name), p));
    Regex::new(&format!("^(?s:{pattern})$")).unwrap().is_match(found)
}

/// The tree with one element or attribute a line.
fn lines(node: &Node, depth: usize, out: &mut Vec<String>) {
    let at = "  ".repeat(depth);
    out.push(format!("{at}{}: {}", node.name, node.text));
    out.extend(node.attributes.iter().map(|(name, value)| format!("{at}  @{name}={value}")));
    node.children.iter().for_each(|child| lines(child, depth + 1, out));
}

fn check_xml(file: &str, found: &str, tokens: &[(&str, &str)]) {
    let wanted = tokens.iter().fold(golden(file), |text, (name, token)| text.replace(name, token));
    let (mut left, mut right) = (Vec::new(), Vec::new());
    lines(&tree(&wanted), 0, &mut left);
    lines(&tree(found), 0, &mut right);
    let same = left.len() == right.len() && left.iter().zip(&right).all(|(w, f)| matches(w, f));
    assert!(same, "{file}, wanted:\n{}\nfound:\n{}", left.join("\n"), right.join("\n"));
}

/// Asks for a reply in each of its forms and compares them.
fn check(client: Client, target: &str, name: &str, tokens: &[(&str, &str)]) {
    for format in ["xml", "json", "simplejson"] {
        let reply = client.send(&get(&format!("{target}&ResponseFormat={format}")));
        assert!(reply.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", reply.head);
        let found = reply.body_text();
        let file = format!("{name}.{format}");
        if format == "xml" {
            assert_eq!(reply.header("content-type"), Some("text/xml"));
            check_xml(&file, &found, tokens);
        } else {
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let wanted = tokens.iter().fold(golden(&file), |text, (n, t)| text.replace(n, t));
            serde_json::from_str::<serde_json::Value>(&found).expect("JSON");
            assert!(matches(&wanted, &found), "{file}, wanted:\n{wanted}\nfound:\n{found}");
        }
    }
}

fn info(queue: &str, rest: &str) -> String {
    format!("/action=QueueInfo&QueueName={queue}&QueueAction={rest}")
}

/// A home with two directories of ten files, a Fetch task for each, and this `[Ingestion]`.
fn connector(ingestion: &str) -> Home {
    let home = Home::new("");
    for directory in ["one", "two"] {
        std::fs::create_dir(home.path().join(directory)).unwrap();
        for n in 0..10 {
            std::fs::write(home.path().join(directory).join(format!("{n}.txt")), "text").unwrap();
        }
    }
    let config = format!(
        "[AsyncActions]\n0=Fetch\n1=Ingest\n[Fetch]\nType=FileSystemConnector\n[Ingest]\nType=Ingest\n\
         [FetchTasks]\n0=Dir1\n1=Dir2\n[Dir1]\nDirectoryPathCSVs=one\n[Dir2]\nDirectoryPathCSVs=two\n{ingestion}"
    );
    std::fs::write(home.path().join("test.cfg"), config).unwrap();
    home
}

/// The sample of the page "QueueInfo": everything was found and nothing could be handed over.
#[test]
fn get_status_of_a_fetch_is_the_sample_of_the_documentation() {
    // Nobody listens there: the listener is gone before the fetch begins.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = connector(&format!("[Ingestion]\nIngestHost=127.0.0.1\nIngestPort={port}\n"));
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Fetch&FetchAction=Synchronize");
    client.wait_for("Fetch", &token, "Finished");
    for target in [info("Fetch", "GetStatus"), info("Fetch", &format!("getstatus&Token={token}"))] {
        check(client, &target, "fetch_status", &[("{ONE}", &token)]);
    }
}

#[test]
fn a_fetch_that_hands_everything_over_counts_it_as_ingested() {
    let home = connector("");
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Fetch&FetchAction=synchronize&TaskSections=DIR2");
    client.wait_for("Fetch", &token, "Finished");
    let status = client.status("Fetch", &token);
    assert_eq!(status.all("documentcounts/documentcount").len(), 1);
    let count = status.one("documentcounts/documentcount");
    for (name, value) in [
        ("task", "DIR2"),
        ("seen", "10"),
        ("added", "10"),
        ("ingestadded", "10"),
        ("ingestfailed", "0"),
        ("errors", "0"),
    ] {
        assert_eq!(count.attribute(name), value, "{name}");
    }
    assert_eq!(status.text("fetchaction"), "SYNCHRONIZE");
    assert_eq!(status.text("tasks/success"), "DIR2");
    // Ingest got it as an action of its own.
    let ingest = client.queue_info("Ingest", "QueueAction=getStatus");
    assert_eq!(ingest.all("responsedata/actions/action").len(), 1);
}

#[test]
fn progress_and_partial_result_of_a_fetch_that_runs() {
    // It takes the documents and never says anything, so the first task does not end.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let home = connector(&format!("[Ingestion]\nIngestHost=127.0.0.1\nIngestPort={port}\n"));
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Fetch&FetchAction=Synchronize");
    let (mut asked, _) = silent.accept().unwrap();
    // The request is there, so all files of the first task have been seen.
    let mut start = [0; 4];
    std::io::Read::read_exact(&mut asked, &mut start).unwrap();
    assert_eq!(&start, b"POST");
    let target = info("Fetch", &format!("progress&Token={token}"));
    check(client, &target, "fetch_progress", &[("{ONE}", &token)]);
    check_xml(
        "fetch_progress_0.xml",
        &server.get(&format!("{target}&MaxDepth=0")),
        &[("{ONE}", &token)],
    );
    let status = client.status("Fetch", &token);
    assert_eq!(status.text("status"), "Processing");
    assert_eq!(status.all("documentcounts/documentcount").len(), 2);
    assert_eq!(status.text("fetchaction"), "SYNCHRONIZE");
    assert!(!status.has("tasks/success"));
    // It obeys although the other side hangs.
    client.queue_info("Fetch", &format!("QueueAction=stop&Token={token}"));
    client.wait_for("Fetch", &token, "Stopped");
    drop(asked);
}

#[test]
fn progress_of_an_echo() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Process&Sleep=20");
    let target = info("Process", &format!("progress&Token={token}"));
    let percent = || -> f64 {
        client.get(&target).text("responsedata/action/progress/percent").parse().unwrap()
    };
    wait_until("some progress", || percent() > 0.0);
    // It stays where it is, so that the three replies tell the same.
    client.queue_info("Process", &format!("QueueAction=pause&Token={token}"));
    client.wait_for("Process", &token, "Paused");
    check(client, &target, "echo_progress", &[("{ONE}", &token)]);
    client.queue_info("Process", &format!("QueueAction=stop&Token={token}"));
    client.wait_for("Process", &token, "Stopped");
    assert!(percent() > 0.0 && percent() < 100.0, "it keeps its last figure");
    let token = client.submit("Process");
    client.wait_for("Process", &token, "Finished");
    let done = client.get(&info("Process", &format!("progress&Token={token}")));
    assert_eq!(done.text("responsedata/action/progress/percent"), "100");
    assert_eq!(done.text("responsedata/action/status"), "Finished");
    assert!(!done.has("responsedata/action/progress/estimated_time_remaining"));
}

#[test]
fn action_parameters_of_the_documentation() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Fetch", "QueueAction=pause");
    let one = client.submit("Fetch&TaskSections=MyTask1&FetchAction=Synchronize");
    let of_one = info("Fetch", &format!("getActionParameters&Token={one}"));
    check(client, &of_one, "action_parameters", &[("{ONE}", &one)]);
    // All that wait, the newest first.
    let two = client.submit("Fetch");
    let tokens = [("{ONE}", one.as_str()), ("{TWO}", two.as_str())];
    check(client, &info("Fetch", "getActionParameters"), "action_parameters_of_all", &tokens);
    // Those of an action that has ended are not shown.
    client.queue_info("Fetch", &format!("QueueAction=cancel&Token={one}"));
    check(client, &of_one, "action_parameters_ended", &[("{ONE}", &one)]);
}

#[test]
fn token_and_status_and_error() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Process", "QueueAction=pause");
    // The same submission each time, so that the three replies hold one token.
    let target = "/action=Process&Name=Ada&Priority=3&Idempotency-Key=k";
    let one = client.submit(&target["/action=".len()..]);
    check(client, target, "token", &[("{ONE}", &one)]);
    let status = info("Process", &format!("getStatus&Token={one}"));
    check(client, &status, "status_queued", &[("{ONE}", &one)]);
    check(client, &info("Fetch", "getStatus"), "status_empty", &[]);
    check(client, &info("Process", "queueStatus"), "queue_status", &[]);
    check(client, &info("Process", "Wobble"), "error", &[]);
    client.queue_info("Process", "QueueAction=resume");
    client.wait_for("Process", &one, "Finished");
    check(client, &status, "status_finished", &[("{ONE}", &one)]);
    let two = client.submit("Process&Fail=no%20%3Cluck%3E");
    client.wait_for("Process", &two, "Error");
    let status = info("Process", &format!("getStatus&Token={two}"));
    check(client, &status, "status_error", &[("{ONE}", &two)]);
}

/// What commands reply: the token and where the action stands now, or how the queue stands.
#[test]
fn commands() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let body = |target: String| {
        let text = server.get(&target);
        let data = crate::server::between(&text, "<responsedata>", "</responsedata>");
        assert!(text.contains("<action>QUEUEINFO</action><response>SUCCESS</response>"), "{text}");
        data.unwrap_or_default().to_owned()
    };
    let queue = |paused: bool, pending: u32, running: u32, finished: u32| {
        format!(
            "<paused>{paused}</paused><pending>{pending}</pending><running>{running}</running>\
             <finished>{finished}</finished>"
        )
    };
    let one = client.submit("Process&Sleep=600");
    client.wait_for("Process", &one, "Processing");
    let on = |token: &str, action: &str| body(info("Process", &format!("{action}&Token={token}")));
    let is = |token: &str, status: &str| format!("<token>{token}</token><status>{status}</status>");
    for _ in 0..2 {
        // A command can be sent again when its reply was lost.
        assert_eq!(on(&one, "pause"), is(&one, "Paused"));
    }
    for _ in 0..2 {
        assert_eq!(on(&one, "resume"), is(&one, "Processing"));
    }
    for _ in 0..2 {
        assert_eq!(body(info("Process", "pause")), queue(true, 0, 1, 0));
    }
    // An action can be resumed while its queue is paused.
    assert_eq!(on(&one, "resume"), is(&one, "Processing"));
    assert_eq!(body(info("Process", "queueStatus")), queue(true, 0, 1, 0));
    let two = client.submit("Process&Sleep=600&x=y");
    for priority in ["100", "-3", "-3"] {
        let action = format!("changePriority&Priority={priority}");
        assert_eq!(on(&two, &action), is(&two, "Queued"));
        assert_eq!(client.status("Process", &two).text("priority"), priority);
    }
    let copy = on(&two, "duplicate");
    let three = crate::server::between(&copy, "<token>", "</token>").unwrap().to_owned();
    assert_eq!(copy, format!("<token>{three}</token>"));
    assert_ne!(three, two);
    assert_eq!(client.status("Process", &three).text("priority"), "-3", "a copy has its priority");
    for _ in 0..2 {
        assert_eq!(on(&three, "cancel"), is(&three, "Cancelled"));
        assert_eq!(on(&three, "stop"), is(&three, "Cancelled"));
    }
    assert_eq!(body(info("Process", "queueStatus")), queue(true, 1, 1, 1));
    // The other one may have started by then.
    let resumed = body(info("Process", "resume"));
    assert!([queue(false, 1, 1, 1), queue(false, 0, 2, 1)].contains(&resumed), "{resumed}");
    client.wait_for("Process", &two, "Processing");
    let stopped = on(&two, "stop");
    assert!([is(&two, "Stopping"), is(&two, "Stopped")].contains(&stopped), "{stopped}");
    client.wait_for("Process", &two, "Stopped");
    assert_eq!(on(&two, "stop"), is(&two, "Stopped"));
    assert!(
        body(info("Process", "stop")).starts_with("<paused>false</paused><pending>0</pending>")
    );
    client.wait_for("Process", &one, "Stopped");
    assert_eq!(body(info("Process", "queueStatus")), queue(false, 0, 0, 3));
    assert_eq!(body(info("Process", "stop")), queue(false, 0, 0, 3), "nothing runs");
}
