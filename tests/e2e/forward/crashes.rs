//! Servers that die in between: an action is there once, whatever dies when.

use actiond::aci::request::Pairs;

use super::super::server::{Home, wait_until};
use super::vendor::{Mood, Vendor};
use super::{only_one, there, to, url_of, wait_for_progress};

#[test]
fn the_other_server_dies_and_comes_back() {
    let (home_there, other) = there("OnRestart=Requeue");
    let port = other.address.port();
    let home = Home::new(&to(&url_of(&other), ""));
    let server = home.start();
    let token = server.submit("&Sleep=2");
    only_one(&other);
    other.kill();
    wait_for_progress(&server, &token, &format!("waiting for http://127.0.0.1:{port}"));
    let waiting = server.submit("&Name=Ada");
    wait_for_progress(&server, &waiting, "refused");
    let given_up = server.submit("&Name=Bob");
    wait_for_progress(&server, &given_up, "waiting for");
    server.about("Process", "stop", &given_up).success();
    server.wait_for_status(&given_up, "Stopped");
    let cancelled = server.submit("&Name=Eve");
    wait_for_progress(&server, &cancelled, "waiting for");
    server.about("Process", "cancel", &cancelled).success();
    assert_eq!(server.status(&cancelled), "Cancelled");
    let other = home_there.start_on(port);
    for token in [token, waiting] {
        let ended = server.outcome("Process", &token);
        assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    }
    assert_eq!(other.info("Process", "queueStatus", "").number("finished"), 2);
}

#[test]
fn an_action_over_there_outlives_this_server() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let tokens = [1, 2].map(|count| {
        let token = server.submit("");
        vendor.wait_for_tasks(count);
        token
    });
    wait_until("both tokens kept", || vendor.load().0 > 4);
    server.kill();
    vendor.finish(0, "<seen>1</seen>");
    let server = home.start();
    assert_eq!(server.outcome("Process", &tokens[0]).number("seen"), 1);
    assert_eq!(server.status(&tokens[1]), "Processing");
    // The same for an orderly end, which stops nothing over there.
    server.signal("TERM");
    assert!(server.wait().0.success());
    assert_eq!(vendor.tasks()[1].told, Vec::<String>::new());
    let server = home.start();
    server.about("Process", "stop", &tokens[1]).success();
    server.wait_for_status(&tokens[1], "Stopped");
    assert_eq!(vendor.tasks().len(), 2);
}

/// It died after the other server had taken the action, and before it knew the token.
#[test]
fn an_action_whose_token_is_not_known_is_found_by_its_key() {
    let vendor = Vendor::start();
    vendor.set_mood(Mood::TakeInSilence);
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("&Source=a");
    vendor.wait_for_tasks(1);
    server.kill();
    vendor.set_mood(Mood::Take);
    let server = home.start();
    wait_until("a look", || vendor.load().0 > 0);
    vendor.finish(0, "<seen>7</seen>");
    assert_eq!(server.outcome("Process", &token).number("seen"), 7);
    assert_eq!(vendor.tasks().len(), 1, "it was sent twice");
}

/// It died while the other server was about to take the action: the first search is too early.
#[test]
fn an_action_that_is_taken_late_is_found() {
    let vendor = Vendor::start();
    vendor.set_mood(Mood::Hold);
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("&Source=a");
    vendor.wait_for_received(1);
    server.kill();
    let server = home.start();
    vendor.wait_for_searches(1);
    vendor.let_in();
    wait_until("a look", || vendor.load().0 > 0);
    vendor.finish(0, "<seen>7</seen>");
    assert_eq!(server.outcome("Process", &token).number("seen"), 7);
    assert_eq!(vendor.tasks().len(), 1, "it was sent twice");
}

/// The same, where the time for the request is over before the other server takes the action.
#[test]
fn an_action_that_is_taken_after_the_time_of_a_request_is_found() {
    let vendor = Vendor::start();
    vendor.set_mood(Mood::Hold);
    let home = Home::new(&to(&vendor.url(), "ForwardTimeoutSecs=1"));
    let server = home.start();
    let token = server.submit("&Source=a");
    vendor.wait_for_searches(2);
    vendor.let_in();
    wait_until("a look", || vendor.load().0 > 0);
    vendor.finish(0, "<seen>7</seen>");
    assert_eq!(server.outcome("Process", &token).number("seen"), 7);
    assert_eq!(vendor.tasks().len(), 1, "it was sent twice");
}

/// What is taken after all patience, so that the action was sent again, is found by its key and ended.
#[test]
fn an_action_that_comes_after_it_was_sent_again_is_ended() {
    let vendor = Vendor::start();
    vendor.set_mood(Mood::Hold);
    let home = Home::new(&to(&vendor.url(), "ForwardTimeoutSecs=1"));
    let server = home.start();
    let token = server.submit("&Source=a");
    vendor.wait_for_received(1);
    vendor.set_mood(Mood::Take);
    let again = vendor.wait_for_tasks(1).remove(0);
    vendor.let_in();
    let late = vendor.wait_for_tasks(2).remove(1);
    let key = |parameters: &Pairs| parameters.get("Idempotency-Key").map(ToOwned::to_owned);
    assert_eq!(key(&again.parameters), key(&late.parameters));
    wait_until("a stop", || vendor.tasks()[1].told == ["stop"]);
    vendor.finish(0, "<seen>7</seen>");
    assert_eq!(server.outcome("Process", &token).number("seen"), 7);
    assert_eq!(vendor.tasks()[0].told, Vec::<String>::new());
}

/// It died before the other server had taken anything.
#[test]
fn an_action_that_is_nowhere_is_sent() {
    let vendor = Vendor::start();
    vendor.set_mood(Mood::Drop);
    let home = Home::new(&to(&vendor.url(), "ForwardTimeoutSecs=1"));
    let server = home.start();
    let token = server.submit("&Source=a");
    wait_for_progress(&server, &token, "is not known");
    server.kill();
    vendor.set_mood(Mood::Take);
    let server = home.start();
    vendor.wait_for_tasks(1);
    vendor.finish(0, "<seen>7</seen>");
    assert_eq!(server.outcome("Process", &token).number("seen"), 7);
    assert_eq!(vendor.tasks().len(), 1, "it was sent twice");
}

/// What has ended does not tell its parameters: to send it again could do it twice.
#[test]
fn an_action_that_may_have_been_done_is_not_sent_again() {
    let vendor = Vendor::start();
    vendor.set_mood(Mood::TakeInSilence);
    let home = Home::new(&to(&vendor.url(), "ForwardTimeoutSecs=5"));
    let server = home.start();
    let token = server.submit("&Source=a");
    vendor.wait_for_tasks(1);
    server.kill();
    vendor.finish(0, "");
    vendor.set_mood(Mood::Take);
    let server = home.start();
    let ended = server.outcome("Process", &token);
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("is not known"), "{}", ended.0);
    assert_eq!(vendor.tasks().len(), 1, "it was sent twice");
}

/// A connection that breaks is no reason to send it twice either, nor to leave it running when it is stopped.
#[test]
fn a_reply_that_was_lost_is_made_up_for() {
    let vendor = Vendor::start();
    vendor.set_mood(Mood::TakeInSilence);
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let tokens = [1, 2].map(|count| {
        let token = server.submit(&format!("&Source={count}"));
        vendor.wait_for_tasks(count);
        token
    });
    vendor.set_mood(Mood::Take);
    wait_until("looks at both", || vendor.load().0 > 4);
    let places = vendor
        .tasks()
        .iter()
        .map(|task| task.parameters.get("Source").unwrap().to_owned())
        .collect::<Vec<_>>();
    assert_eq!(places, ["1", "2"]);
    vendor.finish(0, "<seen>1</seen>");
    assert_eq!(server.outcome("Process", &tokens[0]).number("seen"), 1);
    server.about("Process", "stop", &tokens[1]).success();
    server.wait_for_status(&tokens[1], "Stopped");
    assert_eq!(vendor.tasks()[1].told, ["stop"]);
}

/// An actiond knows the key: what is sent to it again it does not take again. It is stopped while it gets the action, so that
/// it takes it after this server has died.
#[cfg(unix)]
#[test]
fn an_actiond_takes_it_once() {
    let (_there, other) = there("");
    let home = Home::new(&to(&url_of(&other), ""));
    let server = home.start();
    let first = server.submit("&Name=first");
    server.wait_for_status(&first, "Finished");
    other.signal("STOP");
    let token = server.submit("&Name=Ada");
    // It is on its way once the other server's port has a request that nobody reads.
    let port = format!(":{:04X}", other.address.port());
    wait_until("a request on its way", || {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        sockets.lines().any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            fields[1].ends_with(&port) && fields[3] == "01" && !fields[4].ends_with(":00000000")
        })
    });
    server.kill();
    other.signal("CONT");
    wait_until("the action over there", || {
        other.info("Process", "queueStatus", "").number("finished") == 2
    });
    let server = home.start();
    let ended = server.outcome("Process", &token);
    assert_eq!(ended.must("status"), "Finished", "{}", ended.0);
    assert_eq!(
        other.info("Process", "queueStatus", "").number("finished"),
        2,
        "it was taken twice"
    );
}

#[test]
fn a_server_that_lost_its_actions_is_told_of() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    wait_until("a look", || vendor.load().0 > 0);
    vendor.forget_all();
    let ended = server.outcome("Process", &token);
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("does not know the action any more"), "{}", ended.0);
}

#[test]
fn an_action_of_a_server_that_is_no_longer_configured_ends() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    wait_until("a look", || vendor.load().0 > 0);
    server.kill();
    std::fs::write(home.path().join("test.cfg"), to(&Vendor::start().url(), "")).unwrap();
    let server = home.start();
    let ended = server.outcome("Process", &token);
    assert!(ended.must("error").contains("ForwardTo does not name any more"), "{}", ended.0);
}
