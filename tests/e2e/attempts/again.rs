//! `QueueAction=retry`: now, where an action waits for its next attempt; and a final Error again, as the same token.

use std::time::Duration;

use super::super::calls::id_of;
use super::super::shop::{ended, let_pass, refused};
use super::{counts, flaky, numbers, submit, tries, until_it_waits};

const FAR: &str = "MaxAttempts=3\nRetryDelaySecs=1000\nRetryBackoff=fixed\nRetryMaxDelaySecs=3600";

#[test]
fn what_waits_for_its_next_attempt_is_tried_now() {
    let shop = flaky(FAR);
    let server = shop.start();
    let token = submit(&server, "a", 2);
    for begun in 1..3 {
        until_it_waits(&shop, &server, &token, "a", begun);
        let answer = server.about("Work", "retry", &token).success();
        assert_eq!(answer.must("token"), token);
        assert!(["Queued", "Processing"].contains(&answer.must("status").as_str()), "{}", answer.0);
    }
    server.wait_in("Work", &token, "Finished");
    assert_eq!(numbers(&shop, "a"), [1, 2, 3]);
}

#[test]
fn a_final_error_gets_another_attempt_under_its_token() {
    let shop = flaky("");
    let server = shop.start();
    let token = submit(&server, "a", 2);
    for begun in 1..3 {
        let answer = ended(&server, "Work", &token, Duration::from_secs(25));
        assert_eq!(
            (answer.must("status").as_str(), tries(&shop, "a")),
            ("Error", begun),
            "{}",
            answer.0
        );
        assert_eq!(counts(&server, "Work"), [0, 0, 1]);
        let answer = server.about("Work", "retry", &token).success();
        assert_eq!(answer.must("token"), token);
        assert!(["Queued", "Processing"].contains(&answer.must("status").as_str()), "{}", answer.0);
    }
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    assert_eq!(answer.value("error"), None, "{}", answer.0);
    assert_eq!(answer.number("tries"), 3);
    assert_eq!(numbers(&shop, "a"), [1, 2, 3]);
    assert_eq!(counts(&server, "Work"), [0, 0, 1]);
    assert_eq!(server.info("Work", "getStatus", "").success().values("token").len(), 1);
}

/// It waits its turn as others do, and can be steered as others can.
#[test]
fn an_error_that_is_tried_again_is_queued() {
    let shop = flaky("");
    let server = shop.start();
    let token = submit(&server, "a", 1);
    server.wait_in("Work", &token, "Error");
    let blocker = server.submit_to("Work", "&Name=blocker&Fails=0&Until=go");
    server.wait_in("Work", &blocker, "Processing");
    let answer = server.about("Work", "retry", &token).success();
    assert_eq!(answer.must("status"), "Queued");
    assert_eq!(server.status_in("Work", &token), "Queued");
    assert_eq!(counts(&server, "Work"), [1, 1, 0]);
    // A client may repeat a command whose reply was lost: one more attempt, not two.
    let again = server.about("Work", "retry", &token);
    assert!(again.is_success() || again.error().0 == "ERRORPARAMINVALID", "{}", again.0);
    assert_eq!(counts(&server, "Work"), [1, 1, 0]);
    // After a restart too.
    server.kill();
    shop.say("go");
    let server = shop.start();
    server.wait_in("Work", &token, "Finished");
    assert_eq!(tries(&shop, "a"), 2);

    // Cancelled on the way, it never runs again.
    let token = submit(&server, "b", 9);
    server.wait_in("Work", &token, "Error");
    server.info("Work", "pause", "").success();
    server.about("Work", "retry", &token).success();
    server.info("Work", "changePriority", &format!("&Priority=5&Token={token}")).success();
    assert_eq!(server.about("Work", "getStatus", &token).must("priority"), "5");
    server.about("Work", "cancel", &token).success();
    server.info("Work", "resume", "").success();
    let next = submit(&server, "c", 0);
    server.wait_in("Work", &next, "Finished");
    assert_eq!((server.status_in("Work", &token).as_str(), tries(&shop, "b")), ("Cancelled", 1));
}

#[test]
fn no_other_final_state_ever_changes() {
    let shop = flaky("StopGraceSecs=1");
    let server = shop.start();
    let finished = submit(&server, "finished", 0);
    server.wait_in("Work", &finished, "Finished");
    let stopped = server.submit_to("Work", "&Name=stopped&Fails=0&Until=never");
    server.wait_in("Work", &stopped, "Processing");
    let cancelled = submit(&server, "cancelled", 0);
    server.about("Work", "cancel", &cancelled).success();
    server.about("Work", "stop", &stopped).success();
    server.wait_in("Work", &stopped, "Stopped");
    for (token, state) in
        [(&finished, "Finished"), (&stopped, "Stopped"), (&cancelled, "Cancelled")]
    {
        for _ in 0..2 {
            let answer = server.about("Work", "retry", token);
            refused(&answer, "ERRORPARAMINVALID", &[state]);
            assert_eq!(answer.must("errorstring"), "Not possible in the present state");
            assert_eq!(server.status_in("Work", token), state);
        }
    }
    let_pass(&server, "0.2");
    assert_eq!(["finished", "stopped", "cancelled"].map(|name| tries(&shop, name)), [1, 1, 0]);
}

/// What runs goes on, and what is queued without any failure waits on: whether the command is refused is open.
#[test]
fn what_runs_or_has_not_begun_is_not_run_twice() {
    let shop = flaky("");
    let server = shop.start();
    let running = server.submit_to("Work", "&Name=running&Fails=0&Until=go");
    server.wait_in("Work", &running, "Processing");
    let queued = submit(&server, "queued", 0);
    for (token, state) in [(&running, "Processing"), (&queued, "Queued")] {
        let answer = server.about("Work", "retry", token);
        if answer.is_success() {
            assert_eq!(answer.must("status"), state, "{}", answer.0);
        } else {
            refused(&answer, "ERRORPARAMINVALID", &[state]);
        }
        assert_eq!(server.status_in("Work", token), state);
    }
    shop.say("go");
    for token in [&running, &queued] {
        server.wait_in("Work", token, "Finished");
    }
    assert_eq!(["running", "queued"].map(|name| tries(&shop, name)), [1, 1]);
}

#[test]
fn it_needs_a_token_that_is_known() {
    let shop = flaky("");
    let server = shop.start();
    refused(&server.info("Work", "retry", ""), "ERRORPARAMMISSING", &["Token"]);
    refused(&server.about("Work", "retry", "bm90aGluZw=="), "ERRORPARAMINVALID", &["Token"]);
    let token = submit(&server, "a", 1);
    server.wait_in("Work", &token, "Error");
    refused(&server.about("Other", "retry", &token), "ERRORPARAMINVALID", &["Token"]);
    assert_eq!(server.status_in("Work", &token), "Error");
    // In any case, as other commands, and without the queue's name, which the token has.
    let answer = server.ask(&format!("queueinfo&queueaction=RETRY&token={token}")).success();
    assert_eq!(id_of(&answer.must("token")), id_of(&token));
    server.wait_in("Work", &token, "Finished");
    let help = server.ask("Help&HelpAction=QueueInfo").success();
    for word in ["retry", "History", "Log"] {
        assert!(help.0.contains(word), "{word} is not in the help");
    }
}

/// One that was removed meanwhile can't be tried again, and one that is tried again is not removed.
#[test]
fn what_is_tried_again_is_kept() {
    let shop = flaky("MaxFinishedSize=2");
    let server = shop.start();
    let first = submit(&server, "first", 1);
    server.wait_in("Work", &first, "Error");
    let blocker = server.submit_to("Work", "&Name=blocker&Fails=0&Until=go");
    server.wait_in("Work", &blocker, "Processing");
    server.about("Work", "retry", &first).success();
    shop.say("go");
    for number in 0..5 {
        let token = submit(&server, &format!("n{number}"), 0);
        server.wait_in("Work", &token, "Finished");
    }
    // It has ended long before by now, and counts as ended then.
    assert_eq!(tries(&shop, "first"), 2);
    let answer = server.about("Work", "retry", &first);
    assert!(!answer.is_success(), "{}", answer.0);
    assert_eq!(counts(&server, "Work"), [0, 0, 2]);
}
