//! Attempts on the wire: `NotBefore`, what tells of attempts, `History`, and `QueueAction=retry`.

use std::time::{Duration, Instant};

use super::super::calls::form;
use super::*;

/// `Process` tries again after an hour, `Quick` at once.
const RETRYING: &str = "
[Actions]
Durability=normal
MaxAttempts=3
[AsyncActions]
0=Process
1=Quick
2=Once
[Process]
Type=Echo
RetryDelaySecs=3600
[Quick]
Type=Echo
RetryDelaySecs=0
[Once]
Type=Echo
MaxAttempts=1
";

/// A time as replies write it.
fn is_time(text: &str) -> bool {
    static TIME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\d{4}-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d$").unwrap());
    TIME.is_match(text)
}

fn history(client: Client, queue: &str, token: &str) -> Node {
    let reply =
        client.queue_info(queue, &format!("QueueAction=getStatus&Token={token}&History=true"));
    reply.one("responsedata/actions/action").clone()
}

#[test]
fn an_action_that_waits_for_its_next_attempt_says_so() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Process&Fail=no%20luck");
    wait_until("its first attempt has failed", || client.status("Process", &token).has("attempt"));
    let status = client.status("Process", &token);
    let names = [
        "status",
        "queued_time",
        "time_in_queue",
        "error",
        "priority",
        "attempt",
        "next_attempt_time",
        "token",
    ];
    assert_eq!(status.names(), names);
    assert_eq!(status.text("status"), "Queued");
    assert_eq!((status.text("attempt"), status.text("error")), ("1", "no luck"));
    assert!(is_time(status.text("next_attempt_time")), "{status:?}");
    // A list shows it, too.
    let list = client.queue_info("Process", "QueueAction=getStatus");
    assert_eq!(list.one("responsedata/actions/action").names(), names);

    let mut with_history = names.to_vec();
    with_history.insert(7, "history");
    let shown = history(client, "Process", &token);
    assert_eq!(shown.names(), with_history);
    let attempt = shown.one("history/attempt");
    assert_eq!(attempt.names(), ["number", "start_time", "end_time", "outcome", "error"]);
    assert_eq!((attempt.text("number"), attempt.text("outcome")), ("1", "Error"));
    assert_eq!(attempt.text("error"), "no luck");
    assert!(is_time(attempt.text("start_time")) && is_time(attempt.text("end_time")));

    let retry = client.queue_info("Process", &format!("QueueAction=retry&Token={token}"));
    assert_eq!(retry.one("responsedata").names(), ["token", "status"]);
    assert_eq!(
        (retry.text("responsedata/token"), retry.text("responsedata/status")),
        (token.as_str(), "Queued")
    );
    wait_until("its second attempt has failed", || {
        client.status("Process", &token).text("attempt") == "2"
            && client.status("Process", &token).text("status") == "Queued"
    });
    let stopped = client.queue_info("Process", &format!("QueueAction=stop&Token={token}"));
    assert_eq!(stopped.text("responsedata/status"), "Cancelled");
    assert_eq!(history(client, "Process", &token).all("history/attempt").len(), 2);
}

#[test]
fn the_last_attempt_ends_in_error_and_a_retry_begins_anew() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    let reply = client.get("/action=Quick&Fail=no%20luck&Wait=60");
    // Who waits hears of the last end alone.
    assert_eq!(reply.text("responsedata/status"), "Error");
    let token = token(&reply);
    for last in [3, 6] {
        let shown = history(client, "Quick", &token);
        assert_eq!(
            (shown.text("status"), shown.text("attempt")),
            ("Error", last.to_string().as_str())
        );
        let attempts = shown.all("history/attempt");
        let told: Vec<_> = attempts
            .iter()
            .map(|a| format!("{} {}", a.text("number"), a.text("outcome")))
            .collect();
        let expected: Vec<_> = (1..=last).map(|number| format!("{number} Error")).collect();
        assert_eq!(told, expected);
        let retry = client.queue_info("Quick", &format!("QueueAction=retry&Token={token}"));
        assert_eq!(retry.text("responsedata/status"), "Queued");
        wait_until("it has ended again", || {
            let status = client.status("Quick", &token);
            status.text("status") == "Error" && status.text("attempt") == (last + 3).to_string()
        });
    }
}

#[test]
fn what_runs_once_tells_nothing_of_attempts() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    let token = token(&client.get("/action=Once&Fail=x&Wait=60"));
    let status = client.status("Once", &token);
    let plain = [
        "status",
        "queued_time",
        "time_in_queue",
        "process_start_time",
        "time_processing",
        "process_end_time",
        "error",
        "priority",
        "token",
    ];
    assert_eq!(status.names(), plain);
    let shown = history(client, "Once", &token);
    assert_eq!(shown.all("history/attempt").len(), 1);
    let running = client.submit("Once&Sleep=600");
    client.wait_for("Once", &running, "Processing");
    let attempt = history(client, "Once", &running);
    let attempt = attempt.one("history/attempt");
    assert_eq!(attempt.names(), ["number", "start_time", "outcome"]);
    assert_eq!(attempt.text("outcome"), "Processing");
    let waiting = client.submit("Once");
    let shown = history(client, "Once", &waiting);
    assert!(shown.has("history") && !shown.has("history/attempt"));
}

#[test]
fn in_json_attempts_are_an_array() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    let token = token(&client.get("/action=Once&Fail=x&Wait=60"));
    for (format, error) in [("json", serde_json::json!({"$": "x"})), ("simplejson", "x".into())] {
        let target = format!(
            "/action=QueueInfo&QueueAction=getStatus&Token={token}&History=true&ResponseFormat={format}"
        );
        let reply = client.send(&get(&target)).body_text();
        let json: serde_json::Value = serde_json::from_str(&reply).unwrap();
        let action = &json["autnresponse"]["responsedata"]["actions"]["action"][0];
        let attempts = action["history"]["attempt"].as_array().expect("an array");
        assert_eq!(attempts.len(), 1, "{reply}");
        assert_eq!(attempts[0]["error"], error);
    }
}

#[test]
fn nothing_starts_before_its_time() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    for later in ["%2B3600", "+3600", "%203600", &encoded(&shown_in(3600))] {
        let token = client.submit(&format!("Once&NotBefore={later}"));
        let status = client.status("Once", &token);
        let names = ["status", "queued_time", "time_in_queue", "priority", "not_before", "token"];
        assert_eq!(status.names(), names, "{later}");
        assert!(is_time(status.text("not_before")));
        assert_eq!(status.text("status"), "Queued");
        // A copy waits, too.
        let copy = client.queue_info("Once", &format!("QueueAction=duplicate&Token={token}"));
        let copy = copy.text("responsedata/token").to_owned();
        assert_eq!(client.status("Once", &copy).text("not_before"), status.text("not_before"));
        let retry = client.queue_info("Once", &format!("QueueAction=retry&Token={token}"));
        assert_eq!(retry.text("responsedata/status"), "Queued");
        client.wait_for("Once", &token, "Finished");
    }
    // What has passed changes nothing.
    for past in ["2014-07-17", "1000000000", "%2B0"] {
        let reply = client.get(&format!("/action=Once&NotBefore={past}&Wait=60"));
        assert_eq!(reply.text("responsedata/status"), "Finished", "{past}");
    }
    // In a body a plus is encoded as in an address; in a part it is not.
    let body = form("Once", &[("NotBefore", "+3600")]);
    let reply = aci(&client.send(&body));
    assert!(client.status("Once", &token(&reply)).has("not_before"));
}

/// The time so many seconds from now, in UTC.
fn shown_in(seconds: i64) -> String {
    let at = chrono::DateTime::from_timestamp(now() + seconds, 0).unwrap();
    at.format("%Y-%m-%d %H:%M:%S GMT").to_string()
}

#[test]
fn it_starts_in_its_time_and_who_waits_has_its_result() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    let began = Instant::now();
    let reply = client.get("/action=Once&n=1&NotBefore=%2B0.7&Wait=60");
    assert_eq!(reply.text("responsedata/status"), "Finished");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(20), "{took:?}");
    // When its time is over, who waits has the token.
    let reply = client.get("/action=Once&NotBefore=%2B3600&Wait=0.2");
    assert_eq!(reply.one("responsedata").names(), ["token"]);
}

#[test]
fn a_key_tells_requests_with_other_times_apart() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    let submit =
        |start: &str| client.get(&format!("/action=Once&NotBefore={start}&Idempotency-Key=k"));
    let first = token(&submit("%2B3600"));
    let status = client.status("Once", &first);
    // The time counts from the first.
    assert_eq!(token(&submit("%2B3600")), first);
    assert_eq!(client.status("Once", &first).text("not_before"), status.text("not_before"));
    let fault = fault(&submit("%2B7200"));
    assert_eq!((fault.number, fault.code.as_str()), (502, "ERRORPARAMINVALID"));
    assert!(fault.description.contains("Idempotency-Key"), "{fault:?}");
}

#[test]
fn the_help_tells_of_all_of_it() {
    let home = Home::new(RETRYING);
    let server = home.start();
    let client = Client::of(&server);
    let told = |action: &str, name: &str| {
        let help = client.get(&format!("/action=Help&HelpAction={action}"));
        let all = help.all("responsedata/actions/action/parameters/parameter");
        let found = all.into_iter().find(|parameter| parameter.attribute("name") == name);
        found.expect(name).attribute("allowed").to_owned()
    };
    assert!(told("Once", "NotBefore").starts_with("+ and seconds from now, such as +90"));
    assert!(told("QueueInfo", "QueueAction").ends_with("duplicate, retry, delete"));
    assert_eq!(told("QueueInfo", "History"), "true or false");
}
