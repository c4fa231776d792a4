//! What is commanded here happens there.

use super::super::server::{Home, wait_until};
use super::vendor::Vendor;
use super::{only_one, there, to, url_of, wait_for_progress};

#[test]
fn pause_resume_and_stop_pass_through() {
    let (_there, other) = there("");
    let home = Home::new(&to(&url_of(&other), ""));
    let server = home.start();
    let token = server.submit("&Sleep=600");
    let theirs = only_one(&other);
    other.wait_for_status(&theirs, "Processing");
    wait_until("progress", || server.about("Process", "progress", &token).must("percent") != "0");
    server.about("Process", "pause", &token).success();
    other.wait_for_status(&theirs, "Paused");
    assert_eq!(server.status(&token), "Paused");
    server.about("Process", "resume", &token).success();
    other.wait_for_status(&theirs, "Processing");
    server.about("Process", "pause", &token).success();
    other.wait_for_status(&theirs, "Paused");
    server.about("Process", "stop", &token).success();
    let ended = server.outcome("Process", &token);
    assert_eq!(ended.must("status"), "Stopped");
    assert!(ended.number("slept_ms") > 0, "its partial result is kept: {}", ended.0);
    assert_eq!(other.status(&theirs), "Stopped");
}

#[test]
fn what_waits_there_can_be_cancelled_and_moved() {
    let (_there, other) = there("MaximumThreads=1");
    let home = Home::new(&to(&url_of(&other), ""));
    let server = home.start();
    let first = server.submit("&Sleep=600");
    let theirs = only_one(&other);
    other.wait_for_status(&theirs, "Processing");
    let refused = server.about("Process", "cancel", &first);
    assert!(refused.error().1.contains("stop"), "{}", refused.0);
    let second = server.submit("&Sleep=0");
    wait_for_progress(&server, &second, "queued at");
    let change = format!("&Token={second}&Priority=7");
    server.info("Process", "changePriority", &change).success();
    let queued = other.info("Process", "getStatus", "&State=queued").success();
    assert_eq!(queued.must("priority"), "7");
    let cancelled = server.about("Process", "cancel", &second).success();
    assert_eq!(cancelled.must("status"), "Cancelled");
    assert_eq!(server.status(&second), "Cancelled");
    assert_eq!(other.status(&queued.must("token")), "Cancelled");
    server.about("Process", "stop", &first).success();
    server.wait_for_status(&first, "Stopped");
}

#[test]
fn a_stop_of_what_waits_at_another_server_cancels_it() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    vendor.change(0, |task| task.status = "Queued");
    wait_for_progress(&server, &token, "queued at");
    server.about("Process", "stop", &token).success();
    server.wait_for_status(&token, "Stopped");
    let task = vendor.tasks().remove(0);
    assert_eq!(
        (task.status, task.told),
        ("Cancelled", vec!["stop".to_owned(), "cancel".to_owned()])
    );
}

#[test]
fn a_stop_that_is_not_obeyed_is_forced_here_and_there() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), "").replace("StopGraceSecs=20", "StopGraceSecs=1"));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    vendor.disobey();
    wait_until("a look", || vendor.load().0 > 0);
    server.about("Process", "stop", &token).success();
    server.wait_for_status(&token, "Stopped");
    wait_until("the second stop", || vendor.tasks()[0].told == ["stop", "stop"]);

    let token = server.submit("");
    vendor.wait_for_tasks(2);
    server.about("Process", "stop", &token).success();
    server.about("Process", "stop", &token).success();
    server.wait_for_status(&token, "Stopped");
    wait_until("both stops", || vendor.tasks()[1].told == ["stop", "stop"]);
}

#[test]
fn a_pause_that_is_refused_is_told() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    vendor.change(0, |task| task.status = "Queued");
    wait_for_progress(&server, &token, "queued at");
    server.about("Process", "pause", &token).success();
    wait_for_progress(&server, &token, "refused it");
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
}

/// A server that was killed knows of no pause, and runs what it had.
#[test]
fn a_pause_outlives_the_other_server() {
    let (home_there, other) = there("OnRestart=Requeue");
    let port = other.address.port();
    let home = Home::new(&to(&url_of(&other), ""));
    let server = home.start();
    let token = server.submit("&Sleep=600");
    let theirs = only_one(&other);
    other.wait_for_status(&theirs, "Processing");
    server.about("Process", "pause", &token).success();
    other.wait_for_status(&theirs, "Paused");
    other.kill();
    wait_for_progress(&server, &token, "waiting for");
    let other = home_there.start_on(port);
    other.wait_for_status(&theirs, "Paused");
    assert_eq!(server.status(&token), "Paused");
    server.about("Process", "resume", &token).success();
    other.wait_for_status(&theirs, "Processing");
    server.about("Process", "stop", &token).success();
    server.wait_for_status(&token, "Stopped");
}

/// A pause is refused while the action waits, and wished for again once it runs.
#[test]
fn what_could_not_be_paused_yet_is_paused_once_it_runs() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let token = server.submit("");
    vendor.wait_for_tasks(1);
    vendor.change(0, |task| task.status = "Queued");
    wait_for_progress(&server, &token, "queued at");
    server.about("Process", "pause", &token).success();
    wait_for_progress(&server, &token, "refused it");
    vendor.change(0, |task| task.status = "Processing");
    wait_until("a pause there", || vendor.tasks()[0].status == "Paused");
    assert_eq!(vendor.tasks()[0].told, ["pause", "pause"]);
    vendor.finish(0, "");
    server.wait_for_status(&token, "Finished");
}

#[test]
fn what_others_do_over_there_is_told() {
    let vendor = Vendor::start();
    let home = Home::new(&to(&vendor.url(), ""));
    let server = home.start();
    let tokens: Vec<_> = (1..=3)
        .map(|count| {
            let token = server.submit("");
            vendor.wait_for_tasks(count);
            token
        })
        .collect();
    vendor.change(0, |task| task.status = "Paused");
    wait_for_progress(&server, &tokens[0], "paused at");
    assert_eq!(server.status(&tokens[0]), "Processing");
    vendor.change(1, |task| task.status = "Stopped");
    let ended = server.outcome("Process", &tokens[1]);
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("and not by this server"), "{}", ended.0);
    vendor.change(2, |task| task.status = "Cancelled");
    server.wait_for_status(&tokens[2], "Cancelled");
    vendor.change(0, |task| {
        task.status = "Error";
        task.beside = "<error>the disk is full</error><seen>3</seen>".to_owned();
    });
    let ended = server.outcome("Process", &tokens[0]);
    assert_eq!((ended.must("error").as_str(), ended.number("seen")), ("the disk is full", 3));
}
