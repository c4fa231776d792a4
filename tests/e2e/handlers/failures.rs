//! Receivers that fail, hang, break off and redirect; and a server that is killed meanwhile.

use super::super::server::Home;
use super::receiver::{Came, Does, Receiver};
use super::{http, wait_for_events};

fn ids(came: &[Came]) -> Vec<String> {
    came.iter().map(|came| came.header("webhook-id")).collect()
}

#[test]
fn what_fails_passes_in_the_end_with_one_id() {
    let receiver = Receiver::new(&[Does::Answers(500), Does::Breaks]);
    let server = Home::new(&http(&receiver.url()));
    let server = server.start();
    server.submit("");
    let came = receiver.wait_for(3);
    let ids = ids(&came);
    assert!(ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{ids:?}");
    wait_for_events(&server, "delivered", 1);
    // It is written down a little later.
    let shown = wait_for_events(&server, "pending", 0);
    for (what, number) in [("delivered", 1), ("failed", 0), ("dropped", 0), ("redelivered", 2)] {
        assert_eq!(shown.number(what), number, "{what}: {}", shown.0);
    }
    assert_eq!((shown.must("name"), shown.must("library")), ("H".into(), "HttpHandler".into()));
    assert!(!shown.must("last_error").is_empty() && !shown.must("last_error_time").is_empty());
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody_else() {
    let receiver = Receiver::new(&[Does::Hangs]);
    let server = Home::new(&(http(&receiver.url()) + "TimeoutSecs=1\n"));
    let server = server.start();
    let first = server.submit("");
    receiver.wait_for(1);
    let second = server.submit("");
    let came = receiver.wait_for(3);
    let tokens: Vec<_> = came.iter().map(|came| came.header("actiond-token")).collect();
    assert_eq!(tokens, [first.clone(), second, first]);
    let shown = wait_for_events(&server, "delivered", 2);
    assert!(shown.must("last_error").contains("did not answer within 1 s"), "{}", shown.0);
}

#[test]
fn events_of_one_action_come_in_their_order() {
    let receiver = Receiver::new(&[Does::Answers(503)]);
    let config = http(&receiver.url()).replace("OnStop=H", "OnStop=H\nOnStart=H");
    let server = Home::new(&config);
    let server = server.start();
    server.submit("");
    let came = receiver.wait_for(3);
    let events: Vec<_> = came.iter().map(|came| came.header("actiond-event")).collect();
    assert_eq!(events, ["OnStart", "OnStart", "OnFinish"]);
}

#[test]
fn what_fails_for_good_is_kept_until_somebody_decides() {
    let elsewhere = Receiver::new(&[]);
    let receiver = Receiver::new(&[Does::Redirects(elsewhere.address)]);
    let server = Home::new(&http(&receiver.url()));
    let server = server.start();
    server.submit("");
    let shown = wait_for_events(&server, "failed", 1);
    assert!(shown.must("last_error").contains("redirects are not followed"), "{}", shown.0);
    server.wait_for_line(&["handler H"]);
    assert_eq!((elsewhere.came().len(), receiver.came().len()), (0, 1));
    // It is mended.
    let answer = server.ask("EventInfo&EventAction=retry&Handler=h").success();
    assert_eq!(answer.number("retried"), 1);
    assert_eq!(wait_for_events(&server, "delivered", 1).number("failed"), 0);
    let ids = ids(&receiver.wait_for(2));
    assert_eq!(ids[0], ids[1]);
    receiver.does(Does::Answers(410));
    server.submit("");
    wait_for_events(&server, "failed", 1);
    // Whoever misspells which handler is meant does not mean all.
    for ask in ["EventInfo&Hander=H&EventAction=discard", "EventInfo&Handler=&EventAction=discard"]
    {
        let (code, text) = server.ask(ask).error();
        assert_eq!(code, "ERRORPARAMINVALID", "{ask}: {text}");
        assert!(text.contains("EventAction=discard"), "{ask}: {text}");
    }
    let listed = server.ask("EventInfo&Hander=H").success();
    assert!(listed.must("warning").contains("is Handler meant?"), "{}", listed.0);
    assert_eq!(listed.number("failed"), 1);
    assert_eq!(server.ask("EventInfo&EventAction=discard").success().number("discarded"), 1);
    assert_eq!(wait_for_events(&server, "failed", 0).number("pending"), 0);
}

#[test]
fn what_was_not_delivered_outlives_a_kill() {
    let receiver = Receiver::new(&[]);
    receiver.does(Does::Hangs);
    let home = Home::new(&(http(&receiver.url()) + "Retries=1000\n"));
    let server = home.start();
    let tokens: Vec<_> = (0..3).map(|_| server.submit("")).collect();
    for token in &tokens {
        server.wait_for_status(token, "Finished");
    }
    let before = receiver.wait_for(3);
    server.kill();
    receiver.does(Does::Answers(200));
    let server = home.start();
    let shown = wait_for_events(&server, "pending", 0);
    assert_eq!(shown.number("delivered"), 3, "{}", shown.0);
    let came = receiver.came();
    let (mut first, mut again) = (ids(&before), ids(&came[3..]));
    first.sort();
    again.sort();
    assert_eq!(first, again, "each comes again with its id");
}
