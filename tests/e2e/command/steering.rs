//! Stop, force and pause reach programs.

use std::time::{Duration, Instant};

use super::*;
use crate::server::wait_until;

/// Starts an action, and waits until its program has said `ready`.
fn started(server: &Server) -> String {
    let token = server.submit_to("Run", "");
    wait_until("a program that is ready", || {
        let status = server.info("Run", "getStatus", &format!("&Log=true&Token={token}"));
        status.values("line").iter().any(|line| line == "ready")
    });
    token
}

#[test]
fn a_program_is_asked_to_stop() {
    let script = "trap \"echo tidied; exit 0\" TERM; echo ready >&2; while :; do sleep 0.05; done";
    let (_home, server) = shell(script, "");
    let token = started(&server);
    server.about("Run", "stop", &token).success();
    let answer = server.outcome("Run", &token);
    assert_eq!(answer.must("status"), "Stopped", "{}", answer.0);
    assert_eq!(answer.must("stopped_by"), "asked");
    assert_eq!(answer.must("output"), "tidied");
    assert!(answer.values("exit_code").is_empty() && answer.values("log").is_empty());
}

#[test]
fn a_program_that_does_not_stop_is_forced() {
    let script = "trap \"\" TERM; echo so far; echo ready >&2; while :; do sleep 0.05; done";
    for (grace, stops) in [(1, 1), (1_000, 2)] {
        let (_home, server) = shell(script, &format!("StopGraceSecs={grace}"));
        let token = started(&server);
        for _ in 0..stops {
            server.about("Run", "stop", &token).success();
        }
        let answer = server.outcome("Run", &token);
        assert_eq!(answer.must("status"), "Stopped", "{}", answer.0);
        assert_eq!(answer.must("stopped_by"), "forced");
        assert_eq!(answer.must("output"), "so far", "{}", answer.0);
    }
}

#[test]
fn a_program_is_paused_and_goes_on() {
    let script = "echo ready >&2; i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo $i > count; echo progress $i >&3; sleep 0.05; done; echo end";
    let (_home, server) = shell(script, "TimeoutSecs=3");
    let token = started(&server);
    server.about("Run", "pause", &token).success();
    server.wait_in("Run", &token, "Paused");
    let percent = || server.about("Run", "progress", &token).must("percent");
    // The signal is on its way.
    let mut last = percent();
    let mut since = Instant::now();
    wait_until("a figure that stands", || {
        let now = percent();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(500)
    });
    assert_ne!(last, "20", "it was paused too late to be seen");
    // Longer than it may run.
    let paused = Instant::now();
    wait_until("more time than it has", || paused.elapsed() > Duration::from_secs(3));
    assert_eq!(percent(), last);
    server.about("Run", "resume", &token).success();
    let answer = server.outcome("Run", &token);
    assert_eq!((answer.must("status"), answer.must("output")), ("Finished".into(), "end".into()));
}
