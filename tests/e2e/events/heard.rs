//! Listeners hear each type of event with its data, and no more than a listener asks for.

use serde_json::Value;

use super::config;
use super::stream::{Event, Stream};
use crate::server::{Home, Server};

/// Returns what `getStatus` shows of an action in the same form.
fn status(server: &Server, token: &str) -> Value {
    let target =
        format!("/action=QueueInfo&QueueAction=getStatus&ResponseFormat=simplejson&Token={token}");
    let reply: Value = serde_json::from_str(&server.get(&target)).unwrap();
    reply["autnresponse"]["responsedata"]["actions"]["action"][0].clone()
}

#[test]
fn an_action_is_followed_from_its_submission_to_its_end() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut stream = Stream::open(&server, "");
    for line in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(stream.head.contains(line), "{line} in {}", stream.head);
    }
    // The first block has no event, so that is read with the first one.
    let token = server.submit("&Name=Ada");
    let queued = stream.next().unwrap();
    assert!((2_000..4_000).contains(&stream.retry.unwrap()));
    let started = stream.next().unwrap();
    let finished = stream.until_named("finished");
    for (event, name, state) in [
        (&queued, "queued", "Queued"),
        (&started, "started", "Processing"),
        (&finished, "finished", "Finished"),
    ] {
        assert_eq!((event.name.as_str(), event.text("status")), (name, state));
        assert_eq!((event.text("token"), event.text("queue")), (token.as_str(), "Process"));
    }
    // What both say, they say alike.
    let shown = status(&server, &token);
    for (name, value) in
        finished.data.as_object().unwrap().iter().filter(|(name, _)| *name != "queue")
    {
        assert_eq!(shown[name], *value, "{name}");
    }
    for name in ["queued_time", "time_in_queue", "process_start_time", "process_end_time"] {
        assert!(shown[name].is_string() && finished.data[name].is_string(), "{name}: {finished:?}");
    }
    // Each id is another.
    let ids = [&queued.id, &started.id, &finished.id];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && !ids[0].is_empty(), "{ids:?}");
}

#[test]
fn commands_are_heard() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut stream = Stream::open(&server, "?Types=paused,resumed,stopped,started,progress");
    let token = server.submit("&Sleep=600");
    let told = |event: &Event| (event.name.clone(), event.text("status").to_owned());
    assert_eq!(told(&stream.next().unwrap()), ("started".to_owned(), "Processing".to_owned()));
    let progress = stream.until_named("progress");
    assert!(progress.is_of(&token), "{progress:?}");
    let percent: f64 = progress.data["progress"]["percent"].as_str().unwrap().parse().unwrap();
    assert!((0.0..100.0).contains(&percent) && progress.text("status") == "Processing");

    server.about("Process", "pause", &token).success();
    assert_eq!(told(&stream.until_named("paused")), ("paused".to_owned(), "Paused".to_owned()));
    server.about("Process", "resume", &token).success();
    assert_eq!(told(&stream.until_named("resumed")).1, "Processing");
    server.about("Process", "stop", &token).success();
    let stopped = stream.until_named("stopped");
    assert!(stopped.is_of(&token) && stopped.text("status") == "Stopped", "{stopped:?}");

    let mut stream = Stream::open(&server, "?Types=error&types=CANCELLED");
    let failed = server.submit("&Fail=no%20%3Cluck%3E%0Aat%20all");
    let error = stream.next().unwrap();
    assert_eq!((error.name.as_str(), error.text("error")), ("error", "no <luck>\nat all"));
    assert!(error.is_of(&failed));
    server.info("Other", "pause", "").success();
    let waiting = server.submit_to("Other", "");
    server.about("Other", "cancel", &waiting).success();
    let cancelled = stream.next().unwrap();
    assert!(cancelled.is_of(&waiting) && cancelled.name == "cancelled", "{cancelled:?}");
    assert_eq!(cancelled.text("status"), "Cancelled");
}

#[test]
fn a_queue_is_heard() {
    let home = Home::new(&config(""));
    let server = home.start();
    let mut stream = Stream::open(&server, "?Types=queue&Queue=other");
    server.info("Other", "pause", "").success();
    let event = stream.next().unwrap();
    assert_eq!(
        event.data,
        serde_json::json!({"queue": "Other", "change": "paused", "paused": "true"})
    );
    for _ in 0..3 {
        server.submit_to("Other", "");
    }
    let full = stream.until("a full queue", |event| event.text("change") == "full");
    assert_eq!((full.text("pending"), full.text("limit")), ("3", "3"));
    server.info("Other", "resume", "").success();
    let event = stream.until("its resuming", |event| event.text("change") == "resumed");
    assert_eq!(event.text("paused"), "false");
    stream.until("an empty queue", |event| event.text("change") == "empty");
}

#[test]
fn what_is_tried_again_is_queued_with_its_cause() {
    let retried = "MaximumThreads=2\nMaxAttempts=2\nRetryDelaySecs=0\n";
    let home = Home::new(&config("").replace("MaximumThreads=2\n", retried));
    let server = home.start();
    let mut stream = Stream::open(&server, "?Types=queued,error");
    let token = server.submit("&Fail=not%20yet");
    assert!(stream.next().unwrap().data.get("cause").is_none());
    let again = stream.next().unwrap();
    assert_eq!((again.name.as_str(), again.text("status")), ("queued", "Queued"));
    assert_eq!((again.text("cause"), again.text("error")), ("failed", "not yet"));
    assert_eq!((again.text("attempt"), again.text("next_attempt_in")), ("1", "0"));
    assert_eq!(stream.next().unwrap().text("attempt"), "2");
    server.about("Process", "retry", &token).success();
    let asked = stream.next().unwrap();
    assert_eq!((asked.text("cause"), asked.is_of(&token)), ("asked", true));
}

#[test]
fn only_what_was_asked_for_is_heard() {
    let home = Home::new(&config(""));
    let server = home.start();
    server.info("Other", "pause", "").success();
    let [mine, other] = [0, 1].map(|_| server.submit_to("Other", ""));
    let long = server.submit("&Sleep=600");
    let queries = [
        // Each with the actions of which it hears an end.
        (String::new(), vec![&mine, &other, &long]),
        ("?QUEUE=other".to_owned(), vec![&mine, &other]),
        ("?Queue=Other,Process".to_owned(), vec![&mine, &other, &long]),
        (format!("?Token={mine}"), vec![&mine]),
        (format!("?Token={mine}&token={long}"), vec![&mine, &long]),
        (format!("?Token={mine},{long}"), vec![&mine, &long]),
        (format!("?Token={mine}&Queue=Process"), vec![]),
        ("?Queue=".to_owned(), vec![&mine, &other, &long]),
    ];
    let mut streams: Vec<_> =
        queries.iter().map(|(query, _)| Stream::open(&server, query)).collect();
    // So that all of them end, each with an event that is for it.
    let last = server.submit("&Sleep=600");
    for (queue, what, token) in [
        ("Other", "cancel", &mine),
        ("Other", "cancel", &other),
        ("Process", "stop", &long),
        ("Process", "stop", &last),
    ] {
        server.about(queue, what, token).success();
        server.outcome(queue, token);
    }
    server.signal("TERM");
    for ((query, expected), stream) in queries.iter().zip(&mut streams) {
        let mut ends = Vec::new();
        while let Some(event) = stream.next() {
            if ["cancelled", "stopped"].contains(&event.name.as_str()) && !event.is_of(&last) {
                ends.push(event.text("token").to_owned());
            }
        }
        assert_eq!(ends.iter().collect::<Vec<_>>(), *expected, "{query}");
    }
}

/// Once a second at most, only to who names them, also beside a filter by action; all of them first.
#[test]
fn counts_are_told_to_who_names_them() {
    let home = Home::new(&config(""));
    let server = home.start();
    let waits = server.submit("&Sleep=600");
    let mut all = Stream::open(&server, "");
    let mut counts = Stream::open(&server, "?Types=counts");
    let mut both =
        Stream::open(&server, &format!("?Types=counts,finished&Queue=Other&Token={waits}"));
    let first = [counts.next().unwrap(), counts.next().unwrap()];
    let queues: Vec<_> = first.iter().map(|event| event.text("queue")).collect();
    assert_eq!(queues, ["Process", "Other"]);
    for event in &first {
        assert_eq!((event.name.as_str(), event.text("paused")), ("counts", "false"));
        assert!(
            event.data["states"]["processing"].is_string() && event.data["pending"].is_string()
        );
    }
    server.info("Other", "pause", "").success();
    for _ in 0..3 {
        server.submit_to("Other", "");
    }
    let told =
        std::iter::from_fn(|| both.next()).find(|event| event.text("pending") == "3").unwrap();
    assert_eq!((told.text("queue"), told.text("paused")), ("Other", "true"));
    assert_eq!(told.data["states"]["queued"], "3");
    // Who names no types hears of actions and not of counts.
    let heard = std::iter::from_fn(|| all.next());
    let names: Vec<_> = heard.take(4).map(|event| event.name).collect();
    assert_eq!(names, ["queue", "queued", "queued", "queued"]);
}
