//! Silence, late words, and servers that die with work out.

use std::time::{Duration, Instant};

use super::super::calls::id_of;
use super::super::server::{Home, Server, wait_until};
use super::{CONFIG, Work, take, take_one};

fn short_leases() -> Home {
    Home::new(&CONFIG.replace("[Render]\n", "[Render]\nLeaseSecs=2\n"))
}

#[test]
fn a_silent_worker_loses_its_action_and_is_told_so() {
    let home = short_leases();
    let server = home.start();
    let token = server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    let ended = server.outcome("Render", &token);
    assert_eq!(ended.must("status"), "Error");
    assert_eq!(ended.must("error"), "the worker tester was not heard of for 2 s");
    for word in ["heartbeat", "finish", "fail", "release"] {
        let why = work.has_lost(&server, word);
        assert!(why.contains("has ended as Error (the worker tester was not heard of"), "{why}");
    }
    assert_eq!(server.about("Render", "getStatus", &token).must("error"), ended.must("error"));
}

#[test]
fn heartbeats_keep_an_action_also_while_it_is_paused() {
    let home = short_leases();
    let server = home.start();
    let token = server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    server.about("Render", "pause", &token).success();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        // Each waits for a third of the lease.
        let answer = work.must(&server, "heartbeat", &[("Wait", "60"), ("Worker", "other name")]);
        assert_eq!(answer.must("wish"), "pause");
    }
    let status = server.about("Render", "getStatus", &token);
    assert_eq!(
        (status.must("status"), status.must("worker")),
        ("Paused".into(), "other name".into())
    );
    server.about("Render", "resume", &token).success();
    assert_eq!(work.must(&server, "heartbeat", &[]).must("wish"), "run");
    work.must(&server, "finish", &[]);
}

/// Ends a server in one of two ways with work out, and returns the next one.
fn restarted(home: &Home, server: Server, kill: bool) -> Server {
    if kill {
        server.kill();
    } else {
        server.signal("TERM");
        let (status, said) = server.wait();
        assert!(status.success(), "{said:?}");
    }
    home.start()
}

#[test]
fn workers_go_on_and_report_to_the_next_server() {
    let home = Home::new(CONFIG);
    let mut server = home.start();
    for kill in [true, false] {
        let tokens: Vec<_> = (0..4).map(|_| server.submit_to("Render", "")).collect();
        let works = take(&server, "Render", "&Max=4");
        works[0].must(&server, "heartbeat", &[("Progress", "40")]);
        assert_eq!(works.len(), 4);
        server.about("Render", "pause", &tokens[1]).success();
        server = restarted(&home, server, kill);
        assert!(take(&server, "Render", "").is_empty(), "all its slots are taken");
        assert_eq!(works[0].must(&server, "heartbeat", &[]).must("wish"), "run");
        assert_eq!(works[1].must(&server, "heartbeat", &[]).must("wish"), "pause");
        server.about("Render", "resume", &tokens[1]).success();
        works[1].must(&server, "finish", &[("Result", "<a/>")]);
        assert_eq!(works[0].must(&server, "finish", &[]).must("status"), "Finished");
        assert_eq!(works[2].must(&server, "fail", &[("Error", "x")]).must("status"), "Error");
        assert_eq!(works[3].must(&server, "release", &[]).must("status"), "Queued");
        let again: Work = take_one(&server, "Render");
        // A token has the port of the server that made it.
        assert_eq!((id_of(&again.token), again.attempt.as_str()), (id_of(&tokens[3]), "2"));
        again.must(&server, "finish", &[]);
        // Their repetition has the same answer in the next process.
        server = restarted(&home, server, kill);
        assert_eq!(works[0].must(&server, "finish", &[]).must("status"), "Finished");
        assert_eq!(works[2].must(&server, "fail", &[("Error", "x")]).must("status"), "Error");
        works[2].has_lost(&server, "finish");
        works[3].has_lost(&server, "finish");
    }
}

/// A server may die between the claim, which is durable, and its reply: nobody can tell then whether a worker had the action. So
/// that is not held against it, but for the number of restarts. A worker that had it all the same and was cut off for the whole
/// lease comes too late.
#[test]
fn what_no_worker_speaks_of_after_a_restart_is_put_back() {
    let keys = "[Render]\nLeaseSecs=4\nMaxRestarts=2\n";
    let home = Home::new(&CONFIG.replace("[Render]\n", keys));
    let server = home.start();
    let token = server.submit_to("Render", "");
    let first = take_one(&server, "Render");
    let server = restarted(&home, server, true);
    let second = take_one(&server, "Render");
    assert_eq!((id_of(&second.token), second.attempt.as_str()), (id_of(&token), "2"));
    for word in ["heartbeat", "finish", "fail", "release"] {
        let why = first.has_lost(&server, word);
        assert!(why.contains("is being done by attempt 2"), "{why}");
    }
    second.must(&server, "heartbeat", &[]);

    let server = restarted(&home, server, true);
    let ended = server.outcome("Render", &token);
    assert_eq!(ended.must("status"), "Error");
    assert!(ended.must("error").contains("MaxRestarts"), "{}", ended.0);
    let why = second.has_lost(&server, "finish");
    assert!(why.contains("has ended as Error"), "{why}");
    let told = format!("{token}&History=true");
    let history = server.about("Render", "getStatus", &told).success();
    assert_eq!(history.values("outcome"), ["Lost", "Lost"], "{}", history.0);
    let unheard = "no worker spoke of it for 4 s after that";
    assert!(history.0.contains(unheard), "{}", history.0);
}

#[test]
fn a_worker_that_spoke_after_a_restart_is_missed() {
    let home = short_leases();
    let server = home.start();
    let tokens = [(); 2].map(|()| server.submit_to("Render", ""));
    let works = take(&server, "Render", "&Max=2");
    let server = restarted(&home, server, true);
    works[0].must(&server, "heartbeat", &[]);
    server.about("Render", "stop", &tokens[1]).success();
    let ended = server.outcome("Render", &tokens[0]);
    assert_eq!(ended.must("status"), "Error", "one attempt may fail, and that is it");
    assert_eq!(ended.must("error"), "its worker was not heard of for 2 s");
    // Who asked for a stop wants no other attempt.
    assert_eq!(server.outcome("Render", &tokens[1]).must("status"), "Stopped");
}

#[test]
fn a_shutdown_tells_no_worker_to_drop_its_work() {
    let home = Home::new(&CONFIG.replace("MaximumThreads=4", "MaximumThreads=20"));
    let server = home.start();
    for _ in 0..20 {
        server.submit_to("Render", "");
    }
    let works = take(&server, "Render", "&Max=20");
    assert_eq!(works.len(), 20);
    let wait = |work: &Work| work.begin(&server, "heartbeat", &[("Wait", "9")]);
    let waits: Vec<_> = works.iter().map(wait).collect();
    // So that all of them wait.
    server.ask("GetStatus").success();
    server.signal("TERM");
    for heartbeat in waits {
        let answer = heartbeat.answer();
        match answer.value("wish") {
            Some(wish) => assert_eq!(wish, "run"),
            None => assert_eq!(answer.error().0, "ERRORUNAVAILABLE", "{}", answer.0),
        }
    }
    let (status, said) = server.wait();
    assert!(status.success(), "{said:?}");
    let server = home.start();
    for work in works {
        assert_eq!(work.must(&server, "finish", &[]).must("status"), "Finished");
    }
}

#[test]
fn a_stopped_action_whose_worker_is_dead_is_stopped() {
    let home = short_leases();
    let server = home.start();
    let token = server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    work.must(&server, "heartbeat", &[("Partial", "<frames>3</frames>")]);
    server.about("Render", "stop", &token).success();
    let ended = server.outcome("Render", &token);
    assert_eq!((ended.must("status"), ended.must("frames")), ("Stopped".into(), "3".into()));
    assert_eq!(work.must(&server, "heartbeat", &[]).must("wish"), "force");
}

#[test]
fn a_stop_is_kept_over_a_restart() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    server.about("Render", "stop", &token).success();
    let server = restarted(&home, server, true);
    assert_eq!(work.must(&server, "heartbeat", &[]).must("wish"), "stop");
    assert_eq!(work.must(&server, "release", &[]).must("status"), "Stopped");
}

#[test]
fn a_lost_action_is_free_for_others_at_once() {
    let home = Home::new(&CONFIG.replace("[Print]\n", "[Print]\nLeaseSecs=1\nMaximumThreads=1\n"));
    let server = home.start();
    let lost = server.submit_to("Print", "");
    let next = server.submit_to("Print", "");
    take_one(&server, "Print");
    assert_eq!(take_one(&server, "Print").token, next, "its slot is free");
    wait_until("the end of the lost one", || server.status_in("Print", &lost) == "Error");
}
