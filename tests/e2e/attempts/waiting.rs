//! An action that waits for its next attempt is Queued, says why and until when, and can be steered.

use std::time::Duration;

use super::super::calls::{Answer, id_of};
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, ended, let_pass, now, refused, seconds};
use super::{counts, flaky, listed, numbers, submit, tries, until_it_waits};

/// The next attempt is further away than any test lasts.
const FAR: &str = "MaxAttempts=3\nRetryDelaySecs=1000\nRetryBackoff=fixed\nRetryMaxDelaySecs=3600";

/// Brings an action of this name to where it waits for its second attempt.
fn bring(shop: &Shop, server: &Server, name: &str, fails: u32) -> (String, Answer) {
    let token = submit(server, name, fails);
    let answer = until_it_waits(shop, server, &token, name, 1);
    (token, answer)
}

fn is_shown(answer: &Answer) {
    assert_eq!(answer.must("status"), "Queued");
    // That of the attempt that failed, or of the next one.
    assert!([1, 2].contains(&answer.number("attempt")), "{}", answer.0);
    assert!(answer.must("error").contains("exit code 3"), "{}", answer.0);
    let delay = seconds(&answer.must("next_attempt_time")) - now();
    assert!((400..=1_501).contains(&delay), "{delay}: {}", answer.0);
    assert_eq!(answer.value("process_end_time"), None, "it has not ended: {}", answer.0);
}

#[test]
fn it_is_queued_and_says_why() {
    let shop = flaky(FAR);
    let server = shop.start();
    let (token, answer) = bring(&shop, &server, "a", 1);
    is_shown(&answer);
    assert_eq!(counts(&server, "Work"), [1, 0, 0]);
    for filter in [
        "&State=queued",
        "",
        "&State=queued&Sort-By=queue-time&Sort-Order=ascending&MaxResults=1&Start=1",
    ] {
        assert_eq!(listed(&server, "Work", filter), [id_of(&token)], "{filter}");
    }
    is_shown(&server.info("Work", "getStatus", "&State=queued").success());
    for filter in ["&State=running", "&State=finished", "&State=Error", "&State=processing"] {
        assert_eq!(listed(&server, "Work", filter), Vec::<u64>::new(), "{filter}");
    }
    let progress = server.about("Work", "progress", &token).success();
    assert_eq!(progress.must("status"), "Queued");
    let given = server.about("Work", "getActionParameters", &token).success();
    assert!(given.0.contains("Fails"), "{}", given.0);
    let json = server.about("Work", "getStatus", &format!("{token}&ResponseFormat=simplejson")).0;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(json.to_string().contains("next_attempt_time"), "{json}");
    // One that has never failed says nothing of the kind.
    let held = server.submit_to("Other", "&Sleep=600");
    server.wait_in("Other", &held, "Processing");
    let answer = server.about("Other", "getStatus", &held).success();
    assert_eq!((answer.value("next_attempt_time"), answer.value("error")), (None, None));
}

#[test]
fn it_can_be_cancelled_and_stopped() {
    let shop = flaky(FAR);
    let server = shop.start();
    for (name, command) in [("a", "cancel"), ("b", "stop")] {
        let (token, _) = bring(&shop, &server, name, 1);
        for _ in 0..2 {
            let answer = server.about("Work", command, &token).success();
            // Both say Cancelled of what is queued. It has run before, so Stopped is as good a word after a stop.
            let status = answer.must("status");
            assert!(
                status == "Cancelled" || (command, status.as_str()) == ("stop", "Stopped"),
                "{status}"
            );
        }
        let answer = server.outcome("Work", &token);
        assert_eq!(answer.value("next_attempt_time"), None, "{}", answer.0);
        refused(&server.about("Work", "retry", &token), "ERRORPARAMINVALID", &[]);
        let_pass(&server, "0.2");
        assert_eq!(tries(&shop, name), 1, "it was never tried again");
    }
    assert_eq!(counts(&server, "Work"), [0, 0, 2]);
}

#[test]
fn its_priority_can_be_changed_and_counts() {
    let shop = flaky(FAR);
    let server = shop.start();
    let (first, _) = bring(&shop, &server, "first", 1);
    let (second, _) = bring(&shop, &server, "second", 1);
    let answer =
        server.info("Work", "changePriority", &format!("&Priority=9&Token={second}")).success();
    assert_eq!(answer.must("status"), "Queued");
    let answer = server.about("Work", "getStatus", &second).success();
    assert_eq!(answer.must("priority"), "9");
    is_shown(&answer);
    assert_eq!(listed(&server, "Work", "&Min-Priority=5"), [id_of(&second)]);
    // Both may start now, once the slot is free: the one of the higher priority is first.
    let blocker = server.submit_to("Work", "&Name=blocker&Fails=0&Until=go");
    server.wait_in("Work", &blocker, "Processing");
    for token in [&first, &second] {
        server.about("Work", "retry", token).success();
    }
    shop.say("go");
    server.wait_in("Work", &first, "Finished");
    let started =
        |token: &str| server.about("Work", "getStatus", token).success().must("process_start_time");
    assert!(started(&second) <= started(&first));
    let order = listed(&server, "Work", "&Sort-By=start-time&Sort-Order=ascending");
    let place = |token: &str| order.iter().position(|id| *id == id_of(token));
    assert!(place(&second) < place(&first), "{order:?}");
}

#[test]
fn a_copy_of_it_is_an_action_like_others() {
    let shop = flaky(FAR);
    let server = shop.start();
    let (token, _) = bring(&shop, &server, "a", 1);
    let copy = server.about("Work", "duplicate", &token).success().must("token");
    assert!(id_of(&copy) > id_of(&token));
    // It does not wait: nothing of it has failed.
    server.wait_in("Work", &copy, "Finished");
    assert_eq!(numbers(&shop, "a"), [1, 1]);
    is_shown(&server.about("Work", "getStatus", &token).success());
}

#[test]
fn its_key_still_names_it() {
    let shop = flaky(FAR);
    let server = shop.start();
    let request = "Work&Name=a&Fails=1&Idempotency-Key=k";
    let token = server.ask(request).success().must("token");
    until_it_waits(&shop, &server, &token, "a", 1);
    assert_eq!(server.ask(request).success().must("token"), token);
    server.about("Work", "retry", &token).success();
    server.wait_in("Work", &token, "Finished");
    assert_eq!(server.ask(request).success().must("token"), token);
    assert_eq!(tries(&shop, "a"), 2);
    refused(&server.ask("Work&Name=b&Fails=1&Idempotency-Key=k"), "ERRORPARAMINVALID", &[]);
}

#[test]
fn it_outlives_a_kill_of_the_server() {
    let shop = flaky(FAR);
    let server = shop.start();
    let (token, before) = bring(&shop, &server, "a", 1);
    let (cancelled, _) = bring(&shop, &server, "b", 1);
    server.about("Work", "cancel", &cancelled).success();
    server.kill();
    let server = shop.start();
    let after = server.about("Work", "getStatus", &token).success();
    is_shown(&after);
    for name in ["next_attempt_time", "error", "attempt", "queued_time"] {
        assert_eq!(after.must(name), before.must(name));
    }
    assert_eq!(server.status_in("Work", &cancelled), "Cancelled");
    server.about("Work", "retry", &token).success();
    server.wait_in("Work", &token, "Finished");
    // The fence: a number is never used again.
    assert_eq!((numbers(&shop, "a"), numbers(&shop, "b")), (vec![1, 2], vec![1]));
}

/// Its time comes while no server is there.
#[test]
fn it_is_tried_at_the_start_if_its_time_has_come() {
    let shop = flaky("MaxAttempts=3\nRetryDelaySecs=2\nRetryBackoff=fixed");
    let server = shop.start();
    let (token, answer) = bring(&shop, &server, "a", 1);
    let due = seconds(&answer.must("next_attempt_time"));
    server.kill();
    wait_until("its time", || now() > due);
    let server = shop.start();
    let answer = ended(&server, "Work", &token, Duration::from_secs(20));
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    assert_eq!(tries(&shop, "a"), 2);
}

/// Attempts are not counted anew after a restart.
#[test]
fn a_restart_gives_no_more_attempts() {
    let shop = flaky(FAR);
    let server = shop.start();
    let (token, _) = bring(&shop, &server, "a", 99);
    server.kill();
    let server = shop.start();
    server.about("Work", "retry", &token).success();
    until_it_waits(&shop, &server, &token, "a", 2);
    server.kill();
    let server = shop.start();
    server.about("Work", "retry", &token).success();
    server.wait_in("Work", &token, "Error");
    assert_eq!(numbers(&shop, "a"), [1, 2, 3]);
}

/// An interruption by the end of the server is no failure of the action's: its one attempt is still to come.
#[test]
fn a_kill_of_the_server_is_no_failure() {
    let shop = flaky("OnRestart=Requeue");
    let server = shop.start();
    let token = server.submit_to("Work", "&Name=a&Fails=1&Until=go");
    wait_until("its program", || tries(&shop, "a") == 1);
    server.kill();
    shop.say("go");
    let server = shop.start();
    // It fails once, by its count, and that was in the attempt that was cut short.
    server.wait_in("Work", &token, "Finished");
    let numbers = numbers(&shop, "a");
    assert!(numbers.len() == 2 && numbers[0] < numbers[1], "{numbers:?}");
}

#[test]
fn those_that_wait_hold_nobody_up() {
    let shop = flaky(&format!("{FAR}\nMaximumThreads=2"));
    let server = shop.start();
    let waiting: Vec<_> =
        (0..30).map(|number| (format!("w{number}"), submit_first(&server, number))).collect();
    for (name, token) in &waiting {
        until_it_waits(&shop, &server, token, name, 1);
    }
    // They came earlier and have a higher priority, but may not start.
    for number in 0..3 {
        let token = submit(&server, &format!("new{number}"), 0);
        server.wait_in("Work", &token, "Finished");
    }
    assert_eq!(counts(&server, "Work"), [30, 0, 3]);
    // A pause and its end change nothing for them.
    server.info("Work", "pause", "").success();
    server.info("Work", "resume", "").success();
    let token = submit(&server, "last", 0);
    server.wait_in("Work", &token, "Finished");
    assert!(waiting.iter().all(|(name, _)| tries(&shop, name) == 1));
}

fn submit_first(server: &Server, number: u32) -> String {
    server.submit_to("Work", &format!("&Name=w{number}&Fails=9&Priority=100"))
}

/// A paused queue starts nothing, not what may be tried again either.
#[test]
fn it_is_not_tried_in_a_paused_queue() {
    let shop = flaky("MaxAttempts=3\nRetryDelaySecs=1\nRetryBackoff=fixed");
    let server = shop.start();
    let token = server.submit_to("Work", "&Name=a&Fails=1&Until=go");
    wait_until("its program", || tries(&shop, "a") == 1);
    server.info("Work", "pause", "").success();
    server.about("Work", "resume", &token).success();
    shop.say("go");
    until_it_waits(&shop, &server, &token, "a", 1);
    let_pass(&server, "2.5");
    assert_eq!((server.status_in("Work", &token).as_str(), tries(&shop, "a")), ("Queued", 1));
    server.info("Work", "resume", "").success();
    server.wait_in("Work", &token, "Finished");
}
