//! Stop, pause and force, as the worker hears of them.

use std::time::{Duration, Instant};

use super::super::server::{Home, wait_until};
use super::{CONFIG, take_one};

#[test]
fn a_waiting_heartbeat_hears_of_each_wish_at_once() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    for (command, wish) in [("pause", "pause"), ("resume", "run"), ("stop", "stop")] {
        let began = Instant::now();
        let waits = work.begin(&server, "heartbeat", &[("Wait", "9")]);
        server.about("Render", command, &token).success();
        assert_eq!(waits.answer().must("wish"), wish);
        assert!(began.elapsed() < Duration::from_secs(5), "{command}: {:?}", began.elapsed());
    }
    assert_eq!(work.must(&server, "heartbeat", &[]).must("wish"), "stop", "and again");
}

#[test]
fn what_the_worker_says_after_a_stop_decides() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for (word, status) in [("finish", "Finished"), ("fail", "Stopped"), ("release", "Stopped")] {
        let token = server.submit_to("Render", "");
        let work = take_one(&server, "Render");
        work.must(&server, "heartbeat", &[("Partial", "<frames>3</frames>")]);
        server.about("Render", "stop", &token).success();
        for _ in 0..2 {
            assert_eq!(work.must(&server, word, &[]).must("status"), status, "{word}");
        }
        let shown = server.about("Render", "getStatus", &token);
        assert_eq!(shown.must("status"), status);
        if status == "Stopped" {
            assert_eq!(shown.must("frames"), "3", "the partial result is kept");
        }
    }
}

#[test]
fn a_worker_that_does_not_obey_is_told_at_its_next_word() {
    let home = Home::new(&CONFIG.replace("[Render]\n", "[Render]\nStopGraceSecs=1\n"));
    let server = home.start();
    for is_forced_twice in [false, true] {
        let token = server.submit_to("Render", "");
        let work = take_one(&server, "Render");
        server.about("Render", "stop", &token).success();
        if is_forced_twice {
            server.about("Render", "stop", &token).success();
        }
        wait_until("the end of its patience", || server.status_in("Render", &token) == "Stopped");
        assert_eq!(work.must(&server, "heartbeat", &[("Wait", "9")]).must("wish"), "force");
        let began = Instant::now();
        assert_eq!(work.must(&server, "heartbeat", &[("Wait", "9")]).must("wish"), "force");
        assert!(began.elapsed() >= Duration::from_millis(900), "it would ask in circles");
        let why = work.has_lost(&server, "finish");
        assert!(why.contains("has ended as Stopped"), "{why}");
        assert_eq!(server.status_in("Render", &token), "Stopped");
    }
}

#[test]
fn progress_and_partial_results_are_shown_while_it_runs() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    work.must(&server, "heartbeat", &[("Progress", "42.5")]);
    assert_eq!(server.about("Render", "progress", &token).must("percent"), "42.5");
    let news =
        [("Progress", "50"), ("Stage", "Encoding"), ("Partial", "{\"n\": 1}"), ("Log", "a\nb")];
    let answer = work.must(&server, "heartbeat", &news);
    assert_eq!((answer.must("wish"), answer.must("leasesecs")), ("run".into(), "30".into()));
    let progress = server.about("Render", "progress", &token).success();
    assert!(progress.0.contains("title=\"Encoding\" status=\"Processing\""), "{}", progress.0);
    assert_eq!(progress.must("percent"), "50");
    assert_eq!(server.about("Render", "getStatus", &token).must("n"), "1");
}
