//! `History=true`: the times, the outcome and the error of each attempt.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::super::server::wait_until;
use super::super::shop::ended;
use super::{flaky, history, history_of, submit, tries, until_it_waits};

/// A time as replies show it.
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d{4}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2}").unwrap());

const AT_ONCE: &str = "MaxAttempts=3\nRetryDelaySecs=0\nRetryBackoff=fixed";

#[test]
fn each_attempt_is_shown_with_its_times_outcome_and_error() {
    let shop = flaky(AT_ONCE);
    let server = shop.start();
    let token = submit(&server, "a", 2);
    server.wait_in("Work", &token, "Finished");
    let shown = history_of(&server, "Work", &token);
    assert_eq!(shown.len(), 3, "{shown:#?}");
    for (number, attempt) in shown.iter().enumerate() {
        assert!(TIME.find_iter(attempt).count() >= 2, "its start and its end: {attempt}");
        let failed = number < 2;
        assert_eq!(attempt.contains("exit code 3"), failed, "{attempt}");
        assert_eq!(attempt.contains("Finished"), !failed, "{attempt}");
    }
    // The first first or last: numbered either way.
    let numbered = |attempt: &String, number: u32| {
        attempt.lines().any(|line| line.rsplit('=').next() == Some(&number.to_string()))
    };
    assert!(
        (1..=3).all(|number| shown.iter().any(|attempt| numbered(attempt, number))),
        "{shown:#?}"
    );

    // Nobody is shown it who does not ask.
    for more in ["", "&History=false"] {
        assert_eq!(history_of_with(&server, &token, more), Vec::<String>::new());
    }
    assert!(!server.about("Work", "getStatus", &format!("{token}&History=perhaps")).is_success());
    // In lists, where they are asked for it.
    let list = server.info("Work", "getStatus", "&History=true").success();
    assert_eq!(history(&list).len(), 3, "{}", list.0);
    // In JSON.
    for format in ["json", "simplejson"] {
        let json = server
            .about("Work", "getStatus", &format!("{token}&History=true&ResponseFormat={format}"))
            .0;
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json.to_string().matches("exit code 3").count(), 2, "{json}");
    }
    // And after a restart.
    server.kill();
    let server = shop.start();
    assert_eq!(history_of(&server, "Work", &token), shown);
}

fn history_of_with(server: &super::super::server::Server, token: &str, more: &str) -> Vec<String> {
    history(&server.about("Work", "getStatus", &format!("{token}{more}")).success())
}

#[test]
fn an_action_that_waits_shows_what_was() {
    let shop =
        flaky("MaxAttempts=3\nRetryDelaySecs=1000\nRetryBackoff=fixed\nRetryMaxDelaySecs=3600");
    let server = shop.start();
    let token = submit(&server, "a", 9);
    for begun in 1..3 {
        until_it_waits(&shop, &server, &token, "a", begun);
        let shown = history_of(&server, "Work", &token);
        assert_eq!(shown.len(), begun, "{shown:#?}");
        assert!(shown.iter().all(|attempt| attempt.contains("exit code 3")), "{shown:#?}");
        server.about("Work", "retry", &token).success();
    }
    server.wait_in("Work", &token, "Error");
    assert_eq!(history_of(&server, "Work", &token).len(), 3);
    // A final error that is tried again goes on with it.
    server.about("Work", "retry", &token).success();
    wait_until("one more", || {
        tries(&shop, "a") == 4 && server.status_in("Work", &token) != "Processing"
    });
    let shown = history_of(&server, "Work", &token);
    assert_eq!(shown.len(), 4, "{shown:#?}");
}

#[test]
fn one_that_was_stopped_and_one_that_was_cut_short_say_so() {
    let shop = flaky("OnRestart=Requeue\nStopGraceSecs=600");
    let server = shop.start();
    let token = server.submit_to("Work", "&Name=a&Fails=0&Until=never");
    wait_until("its program", || tries(&shop, "a") == 1);
    server.kill();
    let server = shop.start();
    wait_until("its second program", || tries(&shop, "a") == 2);
    server.about("Work", "stop", &token).success();
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Stopped");
    let shown = history_of(&server, "Work", &token);
    assert_eq!(shown.len(), 2, "{shown:#?}");
    assert_eq!(shown.iter().filter(|attempt| attempt.contains("Stopped")).count(), 1, "{shown:#?}");
    assert!(shown.iter().any(|attempt| attempt.to_lowercase().contains("restart")), "{shown:#?}");
}

#[test]
fn one_attempt_is_a_history_too_and_none_is_none() {
    let shop = flaky("");
    let server = shop.start();
    let token = submit(&server, "a", 0);
    server.wait_in("Work", &token, "Finished");
    assert_eq!(history_of(&server, "Work", &token).len(), 1);
    server.info("Work", "pause", "").success();
    let token = submit(&server, "b", 0);
    assert_eq!(history_of(&server, "Work", &token).len(), 0);
    server.about("Work", "cancel", &token).success();
    assert_eq!(history_of(&server, "Work", &token).len(), 0);
    // Of other kinds too.
    let token = server.submit_to("Other", "&Fail=no%20luck");
    server.wait_in("Other", &token, "Error");
    let shown = history_of(&server, "Other", &token);
    assert!(shown.len() == 1 && shown[0].contains("no luck"), "{shown:#?}");
}

/// "Kept (bounded)": hundreds of attempts don't make a reply of any size, and the last one is among those that are shown.
#[test]
fn a_long_history_is_bounded() {
    let shop = flaky("MaxAttempts=400\nRetryDelaySecs=0\nRetryBackoff=fixed");
    let server = shop.start();
    let token = submit(&server, "a", 1_000);
    let answer = ended(&server, "Work", &token, Duration::from_secs(120));
    assert_eq!((answer.must("status").as_str(), tries(&shop, "a")), ("Error", 400));
    let reply = server.about("Work", "getStatus", &format!("{token}&History=true")).success();
    assert!(reply.0.len() < 1_000_000, "{}", reply.0.len());
    let shown = history(&reply);
    assert!((1..=400).contains(&shown.len()), "{}", shown.len());
    let numbered = |number: &str| {
        shown
            .iter()
            .any(|attempt| attempt.lines().any(|line| line.rsplit('=').next() == Some(number)))
    };
    assert!(numbered("400"), "{:#?}", shown.last());
}
