//! Who starts when many may at one instant, and that those who may not yet hold up nobody and cost nothing.

use std::time::{Duration, Instant};

use super::super::calls::{Caller, id_of};
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, let_pass, now};
use super::{counts, flaky, listed};

fn shop(settings: &str) -> Shop {
    let settings = format!("MaxFinishedSize=-1\n{settings}");
    Shop::with(&[("Work", "", &settings), ("Other", "", "MaximumThreads=4")])
}

/// Submits these on one connection; returns their tokens.
fn submit_all(server: &Server, requests: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut caller = Caller::new(server.address).expect("a connection");
    let submit =
        |rest: String| caller.ask(&format!("Work{rest}")).expect("a reply").success().must("token");
    requests.into_iter().map(submit).collect()
}

fn until_all_ended(server: &Server, count: u64) {
    wait_until("the end of all", || counts(server, "Work") == [0, 0, count]);
}

/// The ids of all that has started, in the order in which it did.
fn started(server: &Server) -> Vec<u64> {
    listed(server, "Work", "&Sort-By=start-time&Sort-Order=ascending")
}

#[test]
fn those_due_at_one_instant_start_by_priority_and_then_by_arrival() {
    const ACTIONS: usize = 200;
    let shop = shop("MaximumThreads=1");
    let server = shop.start();
    let due = now() + 6;
    let priority = |number: usize| (number * 7 % 5) as i64 - 2;
    let requests = (0..ACTIONS)
        .map(|number| format!("&Sleep=0.002&Priority={}&NotBefore={due}", priority(number)));
    let tokens = submit_all(&server, requests);
    assert!(now() < due, "they were to be there before their time");
    assert_eq!(counts(&server, "Work"), [ACTIONS as u64, 0, 0]);
    // Others come first, of any priority: they may start now.
    let early = server.submit_to("Work", "&Name=Ada&Priority=-9");
    server.wait_in("Work", &early, "Finished");
    until_all_ended(&server, ACTIONS as u64 + 1);
    let mut expected: Vec<_> = tokens
        .iter()
        .enumerate()
        .map(|(number, token)| (-priority(number), id_of(token)))
        .collect();
    expected.sort_unstable();
    let expected: Vec<_> =
        std::iter::once(id_of(&early)).chain(expected.into_iter().map(|(_, id)| id)).collect();
    assert_eq!(started(&server), expected);
}

/// The earlier time does not make one first, once both may start: what counts is the priority.
#[test]
fn once_they_are_due_they_are_like_all_others() {
    let shop = shop("MaximumThreads=1");
    let server = shop.start();
    let blocker = server.submit_to("Work", "&Sleep=600&Priority=100");
    server.wait_in("Work", &blocker, "Processing");
    let base = now();
    let low = server.submit_to("Work", &format!("&NotBefore={}", base + 1));
    let high = server.submit_to("Work", &format!("&NotBefore={}&Priority=5", base + 2));
    let plain = server.submit_to("Work", "&Priority=3");
    let never = server.submit_to("Work", "&NotBefore=%2B600&Priority=50");
    wait_until("their time", || now() > base + 2);
    server.about("Work", "stop", &blocker).success();
    for token in [&low, &high, &plain] {
        server.wait_in("Work", token, "Finished");
    }
    let order: Vec<_> = started(&server).into_iter().filter(|id| *id != id_of(&never)).collect();
    assert_eq!(order, [&blocker, &high, &plain, &low].map(|token| id_of(token)));
    assert_eq!(server.status_in("Work", &never), "Queued");
}

/// In a queue that is idle each starts at its own time.
#[test]
fn each_starts_at_its_own_time() {
    let shop = shop("MaximumThreads=4");
    let server = shop.start();
    let base = now();
    // Not in the order of their times.
    let delays = [4, 2, 6, 3, 5];
    let tokens = submit_all(&server, delays.map(|delay| format!("&NotBefore={}", base + delay)));
    until_all_ended(&server, 5);
    for (token, delay) in tokens.iter().zip(delays) {
        let answer = server.about("Work", "getStatus", token).success();
        let start = super::super::shop::seconds(&answer.must("process_start_time"));
        assert!((base + delay..=base + delay + 3).contains(&start), "{start} for {base} + {delay}");
    }
}

#[test]
fn a_thousand_in_front_keep_nobody_from_starting() {
    let shop = shop("MaximumThreads=1");
    let server = shop.start();
    submit_all(&server, (0..1_000).map(|_| "&NotBefore=%2B3000&Priority=100".to_owned()));
    let began = Instant::now();
    for _ in 0..20 {
        let token = server.submit_to("Work", "&Name=Ada");
        server.wait_in("Work", &token, "Finished");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(counts(&server, "Work"), [1_000, 0, 20]);
    // One of them comes in time, in the midst of the others.
    let soon = server.submit_to("Work", "&NotBefore=%2B1&Priority=1");
    server.wait_in("Work", &soon, "Finished");
    server.kill();
    let server = shop.start();
    let token = server.submit_to("Work", "&Name=Ada");
    server.wait_in("Work", &token, "Finished");
    assert_eq!(counts(&server, "Work"), [1_000, 0, 22]);
}

/// The time that the server has worked, in hundredths of a second.
fn worked(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("its times");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// "No polling": a server in which thousands wait does no more than one that is idle.
#[test]
fn waiting_costs_nothing() {
    let shop = shop("MaximumThreads=4");
    let server = shop.start();
    let idle = |server: &Server| {
        let before = worked(server);
        let_pass(server, "3");
        worked(server) - before
    };
    let without = idle(&server);
    submit_all(&server, (0..2_000).map(|number| format!("&NotBefore=%2B{}", 1_000 + number % 7)));
    // What the submissions have left to do is none of it.
    let_pass(&server, "1");
    let with = idle(&server);
    assert!(with <= without + 20, "{with} hundredths in 3 s, {without} before");
}

/// A queue that is paused starts nothing at its time; what is due then starts when it goes on.
#[test]
fn a_paused_queue_starts_none_of_them() {
    let shop = shop("MaximumThreads=4");
    let server = shop.start();
    server.info("Work", "pause", "").success();
    let tokens = submit_all(&server, (0..5).map(|_| "&NotBefore=%2B1".to_owned()));
    let_pass(&server, "2.5");
    assert_eq!(counts(&server, "Work"), [5, 0, 0]);
    server.info("Work", "resume", "").success();
    for token in &tokens {
        server.wait_in("Work", token, "Finished");
    }
}

/// Both kinds of waiting, one after the other: a time to begin with, and then attempts.
#[test]
fn an_action_with_a_time_has_its_attempts_too() {
    let shop = flaky("MaxAttempts=2\nRetryDelaySecs=1\nRetryBackoff=fixed");
    let server = shop.start();
    let token = server.submit_to("Work", "&Name=a&Fails=1&NotBefore=%2B1");
    assert_eq!(super::tries(&shop, "a"), 0);
    server.wait_in("Work", &token, "Finished");
    assert_eq!(super::numbers(&shop, "a"), [1, 2]);
}

/// Submitted, cancelled and due at once, from several clients: each starts once or never, none is lost.
#[test]
fn cancels_and_times_race_fairly() {
    const EACH: usize = 100;
    let shop = shop("MaximumThreads=4");
    let server = shop.start();
    let due = now() + 5;
    let address = server.address;
    let cancelled: Vec<(String, bool)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let mut caller = Caller::new(address).expect("a connection");
                    let mut all: Vec<_> = (0..EACH)
                        .map(|_| {
                            let reply = caller.ask(&format!("Work&Sleep=0.01&NotBefore={due}"));
                            (reply.expect("a reply").success().must("token"), false)
                        })
                        .collect();
                    wait_until("their time", || now() >= due);
                    for (token, cancelled) in &mut all {
                        let reply = caller.about("Work", "cancel", token).expect("a reply");
                        *cancelled = reply.is_success();
                    }
                    all
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    until_all_ended(&server, 3 * EACH as u64);
    for (token, cancelled) in &cancelled {
        let answer = server.about("Work", "getStatus", token).success();
        let expected = if *cancelled { "Cancelled" } else { "Finished" };
        assert_eq!(answer.must("status"), expected, "{}", answer.0);
        assert_eq!(answer.value("process_start_time").is_none(), *cancelled, "{}", answer.0);
    }
}
