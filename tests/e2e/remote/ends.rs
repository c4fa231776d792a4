//! How work ends by a word of its worker, and what a repeated word gets.

use super::super::server::Home;
use super::{Begun, CONFIG, take_one};

#[test]
fn a_result_in_any_form_is_shown_with_the_action() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let large = "x".repeat(300_000);
    for (result, shown) in [
        ("<frame n=\"1\">a &amp; b</frame><done/>", "<frame n=\"1\">a &amp; b</frame><done/>"),
        (
            "{\"frames\": [1, 2], \"name\": \"x\"}",
            "<frames>1</frames><frames>2</frames><name>x</name>",
        ),
        ("just <text>", "<output>just &lt;text&gt;</output>"),
        (large.as_str(), &*format!("<output>{large}</output>")),
        ("", "<status>Finished</status>"),
    ] {
        let token = server.submit_to("Render", "");
        let work = take_one(&server, "Render");
        let answer = work.must(&server, "finish", &[("Result", result)]);
        assert_eq!(
            (answer.must("status"), answer.must("token")),
            ("Finished".into(), token.clone())
        );
        let status = server.about("Render", "getStatus", &token).success();
        assert!(status.0.contains(shown), "{}", &status.0[..status.0.len().min(2_000)]);
        assert_eq!(status.must("status"), "Finished");
    }
}

#[test]
fn a_failed_action_shows_what_its_worker_has_logged() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for retry in ["true", "false"] {
        let token = server.submit_to("Render", "");
        let work = take_one(&server, "Render");
        let news = [("Partial", "<frames>3</frames>"), ("Log", "loads\nburns")];
        work.must(&server, "heartbeat", &news);
        work.must(&server, "fail", &[("Error", "no light"), ("Retry", retry)]);
        let ended = server.about("Render", "getStatus", &token).success();
        assert_eq!((ended.must("error"), ended.must("frames")), ("no light".into(), "3".into()));
        let log = "<log><line>loads</line><line>burns</line></log>";
        assert!(ended.0.contains(log), "{}", ended.0);
    }
}

#[test]
fn each_word_may_be_repeated_by_whoever_had_the_work() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for (word, rest, status) in [
        ("finish", vec![("Result", "<a/>")], "Finished"),
        ("fail", vec![("Error", "no light")], "Error"),
        ("fail", vec![("Error", "no film"), ("Retry", "false")], "Error"),
        ("fail", vec![], "Error"),
    ] {
        let token = server.submit_to("Render", "");
        let work = take_one(&server, "Render");
        for _ in 0..3 {
            assert_eq!(work.must(&server, word, &rest).must("status"), status, "{word}");
        }
        let shown = server.about("Render", "getStatus", &token).success();
        if let Some((_, error)) = rest.iter().find(|(name, _)| *name == "Error") {
            assert_eq!(shown.must("error"), *error);
        }
        // Another end than its own is late.
        let other = if word == "finish" { "fail" } else { "finish" };
        assert!(work.has_lost(&server, other).contains(&format!("has ended as {status}")));
        assert!(work.has_lost(&server, "heartbeat").contains("attempt 1 is over"));
        let after = server.about("Render", "getStatus", &token).success();
        assert_eq!(after.0, shown.0, "it changed nothing");
    }
}

#[test]
fn what_is_released_waits_again_and_is_another_attempt() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Render", "");
    let first = take_one(&server, "Render");
    assert_eq!(first.must(&server, "release", &[]).must("status"), "Queued");
    assert_eq!(server.status_in("Render", &token), "Queued");
    let second = take_one(&server, "Render");
    assert_eq!((second.token.as_str(), second.attempt.as_str()), (token.as_str(), "2"));
    for word in ["heartbeat", "finish", "fail"] {
        let why = first.has_lost(&server, word);
        assert!(why.contains("attempt 1 is over, and it is being done by attempt 2"), "{why}");
    }
    second.must(&server, "finish", &[]);
    assert_eq!(server.status_in("Render", &token), "Finished");
}

#[test]
fn the_end_of_an_action_is_there_for_whoever_waits_for_it() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let waits = Begun::ask(&server, "Render&Scene=1&Wait=20");
    take_one(&server, "Render").must(&server, "finish", &[("Result", "{\"frames\": 3}")]);
    let answer = waits.answer().success();
    assert_eq!((answer.must("status"), answer.must("frames")), ("Finished".into(), "3".into()));
}
