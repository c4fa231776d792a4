//! A crowd that submits without pause, and a few who steer beside it: none of them may be starved.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::calls::Caller;
use super::super::server::{Home, PATIENCE, Server, wait_until};

/// How many connections submit.
const CROWD: usize = 256;
const STEERERS: usize = 4;
/// How many actions each steerer cancels, and as many it stops.
const EACH: usize = 50;
/// All slots are taken by sleepers, so that what waits is surely still waiting when it is cancelled.
const CONFIG: &str = "[AsyncActions]\n0=Work\n[Work]\nType=Echo\nMaximumThreads=200\n";

/// Far more than an answer takes in any build: who waits for longer is starved.
const STARVED: Duration = Duration::from_secs(5);

/// The tokens of the actions in this state.
fn listed(server: &Server, state: &str) -> BTreeSet<String> {
    let list = server.info("Work", "getStatus", &format!("&State={state}")).success();
    list.values("token").into_iter().collect()
}

/// Cancels and stops these in turn; how long the slowest answer took, and how long the slowest stop to its end.
fn steer(caller: &mut Caller, waiting: &[String], running: &[String]) -> (Duration, Duration) {
    let (mut answer, mut end) = (Duration::ZERO, Duration::ZERO);
    let mut ask = |what: &str, token: &str| {
        let asked = Instant::now();
        let reply = caller.about("Work", what, token).unwrap().success();
        answer = answer.max(asked.elapsed());
        assert!(asked.elapsed() < STARVED, "{what} took {:?}", asked.elapsed());
        reply.must("status")
    };
    for (waiting, running) in waiting.iter().zip(running) {
        assert_eq!(ask("cancel", waiting), "Cancelled");
        let asked = Instant::now();
        ask("stop", running);
        assert_eq!(ask("getStatus&Wait=5", running), "Stopped");
        end = end.max(asked.elapsed());
    }
    (answer, end)
}

#[test]
fn steering_takes_effect_beside_a_crowd_that_submits() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let address = server.address;
    let submit = |what: &str| server.submit_to("Work", what);
    let count = STEERERS * EACH;
    let running: Vec<_> = (0..count).map(|_| submit("&Sleep=600")).collect();
    wait_until("all slots to be taken", || listed(&server, "processing").len() == count);
    // Last of all: a slot that is free again goes to one of the crowd's.
    let waiting: Vec<_> = (0..count).map(|_| submit("&Sleep=600&Priority=-1")).collect();
    let (over, submitted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut slowest = Vec::new();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                let mut caller = Caller::new(address).unwrap();
                // Its own end, too, should the test fail.
                while !over.load(Ordering::Relaxed) && began.elapsed() < 2 * PATIENCE {
                    let asked = Instant::now();
                    caller.ask("Work&Sleep=600").unwrap().success();
                    assert!(asked.elapsed() < STARVED, "a submission took {:?}", asked.elapsed());
                    submitted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // More than there will be slots for, and each of the crowd is at it.
        wait_until("the crowd", || submitted.load(Ordering::Relaxed) > 2 * CROWD + count);
        let steerers: Vec<_> = waiting
            .chunks(EACH)
            .zip(running.chunks(EACH))
            .map(|(waiting, running)| {
                scope.spawn(move || steer(&mut Caller::new(address).unwrap(), waiting, running))
            })
            .collect();
        let before = submitted.load(Ordering::Relaxed);
        slowest.extend(steerers.into_iter().map(std::thread::ScopedJoinHandle::join));
        let meanwhile = submitted.load(Ordering::Relaxed) - before;
        over.store(true, Ordering::Relaxed);
        eprintln!("{meanwhile} submissions meanwhile, {:?} in all", began.elapsed());
        assert!(meanwhile > 4 * CROWD, "only {meanwhile} were submitted meanwhile");
    });
    let slowest: Vec<_> = slowest.into_iter().map(Result::unwrap).collect();
    eprintln!("the slowest answer, and the slowest stop to its end: {slowest:?}");
    assert_eq!(listed(&server, "cancelled"), waiting.into_iter().collect());
    assert_eq!(listed(&server, "stopped"), running.into_iter().collect());
    let counts = server.info("Work", "queueStatus", "").success();
    let numbers = ["pending", "running", "finished"].map(|name| counts.number(name) as usize);
    assert_eq!(numbers, [submitted.into_inner() - count, count, 2 * count]);
}
