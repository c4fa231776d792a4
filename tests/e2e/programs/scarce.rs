//! A server that may have fewer open files, or processes, than its programs need: actions wait for them, and none fails.

use std::collections::BTreeSet;
use std::fs;

use super::super::calls::Caller;
use super::super::server::{PATIENCE, Server, wait_until};
use super::super::shop::{Shop, ended};

/// Far fewer than the slots below need.
const LIMIT: &str = "ulimit -n 200";
const SLOTS: usize = 64;

/// Says that it has begun, and waits.
const WAITS: &str = "mkdir -p \"$H/begun\"; : > \"$H/begun/$1\"; wait_for go";

fn begun(shop: &Shop) -> BTreeSet<String> {
    let entries = fs::read_dir(shop.path("begun")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

#[test]
fn actions_wait_while_there_are_no_open_files_for_them() {
    let slots = format!("MaximumThreads={SLOTS}\nStopGraceSecs=5");
    let shop =
        Shop::with(&[("Work", "/bin/sh %HOME%/waits.sh {Name}", &slots)]).script("waits.sh", WAITS);
    let server = Server::run(shop.command_after(LIMIT));
    server.wait_for_line(&["WARN", "[Work]", "64 actions", "open files", "it may have 200"]);
    let submitted: Vec<_> = (0..SLOTS)
        .map(|number| (number.to_string(), server.submit_to("Work", &format!("&Name={number}"))))
        .collect();
    server.wait_for_line(&["WARN", "queue Work", "can't be started now", "Too many open files"]);
    wait_until("all to have a slot", || {
        server.info("Work", "queueStatus", "").number("running") == SLOTS as u64
    });
    wait_until("as many to run as may", || begun(&shop).len() > 5 && open_files(&server) > 110);
    // It answers all the while, has room for more, and takes the wish to stop what waits.
    let mut callers: Vec<_> = (0..10).map(|_| Caller::new(server.address).unwrap()).collect();
    for caller in &mut callers {
        caller.ask("GetPid").unwrap().success();
    }
    let runs = begun(&shop);
    let (waiting, running): (Vec<_>, Vec<_>) =
        submitted.into_iter().partition(|(name, _)| !runs.contains(name));
    assert!(waiting.len() > 20, "{} of {SLOTS} run with {LIMIT}", runs.len());
    let (stopped, waiting) = waiting.split_at(10);
    for (_, token) in stopped {
        server.about("Work", "stop", token).success();
    }
    for (name, token) in stopped {
        let answer = ended(&server, "Work", token, PATIENCE);
        assert_eq!(answer.must("status"), "Stopped", "{}", answer.0);
        assert_eq!(answer.must("stopped_by"), "asked", "{}", answer.0);
        assert!(!begun(&shop).contains(name), "{name} ran all the same");
    }
    shop.say("go");
    for (name, token) in running.iter().chain(waiting) {
        let answer = ended(&server, "Work", token, PATIENCE);
        assert_eq!(answer.must("status"), "Finished", "{name}: {}", answer.0);
    }
    assert_eq!(server.log_lines("can't be started now"), 1);
    shop.all_gone();
}

/// Many short ones, of which each needs room for a moment.
#[test]
fn many_short_programs_all_finish_with_few_open_files() {
    let slots = format!("MaximumThreads={SLOTS}");
    let shop = Shop::with(&[("Work", "sh -c 'sleep 0.1; echo {Name}'", &slots)]);
    let server = Server::run(shop.command_after(LIMIT));
    let submitted: Vec<_> = (0..300)
        .map(|number| (number, server.submit_to("Work", &format!("&Name={number}"))))
        .collect();
    for (number, token) in submitted {
        let answer = ended(&server, "Work", &token, PATIENCE);
        assert_eq!(answer.must("status"), "Finished", "{number}: {}", answer.0);
        assert_eq!(answer.must("output"), number.to_string());
    }
}

/// A start that waits is interrupted by a shutdown as work that runs is, and runs after the next start.
#[test]
fn a_shutdown_does_not_wait_for_what_waits() {
    let slots = format!("MaximumThreads={SLOTS}\nOnRestart=Requeue\nStopGraceSecs=2");
    let shop =
        Shop::with(&[("Work", "/bin/sh %HOME%/waits.sh {Name}", &slots)]).script("waits.sh", WAITS);
    let server = Server::run(shop.command_after(LIMIT));
    let submitted: Vec<_> =
        (0..SLOTS).map(|number| server.submit_to("Work", &format!("&Name={number}"))).collect();
    server.wait_for_line(&["can't be started now"]);
    server.signal("TERM");
    let (status, _) = server.wait();
    assert!(status.success(), "{status}");
    shop.say("go");
    let server = shop.start();
    for token in submitted {
        assert_eq!(ended(&server, "Work", &token, PATIENCE).must("status"), "Finished");
    }
}

/// The limit is raised as far as it may be, so that a low one of old times hinders nobody.
#[test]
fn the_limit_of_open_files_is_raised() {
    let shop = Shop::with(&[("Work", "sh -c 'ulimit -S -n'", "MaximumThreads=64")]);
    let server = Server::run(shop.command_after("ulimit -S -n 200; ulimit -H -n 2000"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(numbers, [2_000, 2_000], "{line}");
    let answer = shop.run_to(&server, "Work", &[], "Finished");
    assert_eq!(answer.must("output"), "2000");
    assert_eq!(server.log_lines("open files"), 0, "it is enough");
}
