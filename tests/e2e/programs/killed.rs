//! The server is killed while programs run. At its next start none of them may go on once its action is requeued or
//! failed.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use super::super::server::wait_until;
use super::super::shop::{Shop, ended};
use super::super::skip::skipped;
use super::leaving::{LEAVES, WAYS};
use super::orphans::noted;

fn shop(settings: &str) -> Shop {
    Shop::with(&[("Work", "/bin/sh %HOME%/leaves.sh {How} {Then}", settings), ("Other", "", "")])
        .script("leaves.sh", LEAVES)
}

/// Waits until what was left can be found by the next start: one way leaves nothing to tell it by, so it is recorded.
fn can_be_found(shop: &Shop, way: &str) {
    if way == "bare" {
        noted(shop, 1);
    }
}

#[test]
fn survivors_end_before_their_action_runs_again() {
    let shop = shop("OnRestart=Requeue");
    for way in WAYS {
        let server = shop.start();
        // The second attempt leaves nothing, but looks first: its script is another one.
        let token = server.submit_to("Work", &format!("&How={way}&Then=stay"));
        shop.wait_for(&format!("there-{way}"));
        can_be_found(&shop, way);
        server.kill();
        let text = shop.read("leaves.sh");
        let looks = text.replace("case $1 in\n", "say \"again-$1\"; exit 0\ncase $1 in\n");
        assert_ne!(text, looks);
        std::fs::write(shop.path("leaves.sh"), looks).unwrap();
        let server = shop.start();
        let answer = ended(&server, "Work", &token, Duration::from_secs(25));
        assert_eq!(answer.must("status"), "Finished", "{way}: {}", answer.0);
        assert!(shop.was_said(&format!("again-{way}")), "{way} did not run again");
        assert_eq!(
            shop.lines("violations"),
            Vec::<String>::new(),
            "{way}: still there when it ran again"
        );
        shop.all_gone();
        std::fs::write(shop.path("leaves.sh"), text).unwrap();
        server.kill();
    }
}

#[test]
fn survivors_end_before_their_action_is_failed() {
    let shop = shop("OnRestart=Fail");
    for way in WAYS {
        let server = shop.start();
        let token = server.submit_to("Work", &format!("&How={way}&Then=stay"));
        shop.wait_for(&format!("there-{way}"));
        can_be_found(&shop, way);
        server.kill();
        let server = shop.start();
        server.wait_in("Work", &token, "Error");
        shop.none_runs(&format!("after the failure of {way}"));
        let answer = server.about("Work", "getStatus", &token).success();
        assert!(answer.must("error").contains("restart"), "{}", answer.0);
        server.kill();
    }
}

/// Also what was asked to stop, and what was paused: it must not wake up later.
#[test]
fn what_was_stopping_or_paused_ends_too() {
    let shop = shop("OnRestart=Fail\nMaximumThreads=2\nStopGraceSecs=600");
    let server = shop.start();
    let paused = server.submit_to("Work", "&How=daemon&Then=stay");
    shop.wait_for("there-daemon");
    server.about("Work", "pause", &paused).success();
    wait_until("it to be held", || shop.programs().iter().any(|one| one.state == 'T'));
    let stopping = server.submit_to("Work", "&How=deaf&Then=hold");
    shop.wait_for("holding");
    server.about("Work", "stop", &stopping).success();
    server.kill();
    let server = shop.start();
    server.wait_in("Work", &paused, "Error");
    // One that was asked to stop is Stopped now, and by force: the next server has killed it.
    server.wait_in("Work", &stopping, "Stopped");
    for what in [
        server.about("Work", "getStatus", &stopping).success(),
        server.info("Work", "getStatus", "").success(),
    ] {
        assert_eq!(what.values("stopped_by"), ["forced"], "{}", what.0);
    }
    shop.none_runs("after both have ended");
}

#[test]
fn many_survivors_end() {
    let shop = shop("OnRestart=Requeue\nMaximumThreads=20");
    let server = shop.start();
    let ways: Vec<_> = WAYS.into_iter().filter(|way| *way != "bare" && *way != "many").collect();
    let tokens: Vec<_> = (0..20)
        .map(|number| {
            server.submit_to("Work", &format!("&How={}&Then=stay", ways[number % ways.len()]))
        })
        .collect();
    for way in &ways {
        shop.wait_for(&format!("there-{way}"));
    }
    wait_until("all to run", || shop.daemons().len() >= 20);
    // Killed at once, and once more while it may still be tidying up.
    server.kill();
    let mut again = shop.command().stderr(std::process::Stdio::null()).spawn().expect("a server");
    std::thread::yield_now();
    again.kill().expect("killed");
    again.wait().expect("gone");
    let text = shop.read("leaves.sh").replace("case $1 in\n", "exit 0\ncase $1 in\n");
    std::fs::write(shop.path("leaves.sh"), text).unwrap();
    let server = shop.start();
    for token in &tokens {
        let answer = ended(&server, "Work", token, Duration::from_secs(25));
        assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    }
    shop.all_gone();
}

/// Spawns an innocent program with this number; none if somebody else is quicker each time.
fn with_number(pid: u32) -> Option<Child> {
    for _ in 0..500 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).ok()?;
        let mut child = Command::new("sleep").arg("600").spawn().ok()?;
        if child.id() == pid {
            return Some(child);
        }
        child.kill().ok()?;
        child.wait().ok()?;
    }
    None
}

/// The number alone does not make a survivor: the time of its start was recorded with it.
#[test]
fn a_process_that_got_the_number_meanwhile_is_left_alone() {
    let shop =
        Shop::with(&[("Work", "/bin/sh %HOME%/work.sh", "OnRestart=Fail"), ("Other", "", "")])
            .script("work.sh", "echo $$ > \"$H/new\"; mv \"$H/new\" \"$H/pid\"; wait_for never");
    let server = shop.start();
    let token = server.submit_to("Work", "");
    shop.wait_for("pid");
    let pid: u32 = shop.read("pid").trim().parse().unwrap();
    server.kill();
    for one in shop.programs() {
        assert!(
            Command::new("kill").args(["-KILL", &one.pid.to_string()]).status().unwrap().success()
        );
    }
    wait_until("its number to be free", || !Path::new(&format!("/proc/{pid}")).exists());
    let Some(mut innocent) = with_number(pid) else {
        skipped("a process number that is used again", "the next number can't be set here");
        return;
    };
    let server = shop.start();
    server.wait_in("Work", &token, "Error");
    // The server is done with it: its queue goes on.
    super::super::shop::let_pass(&server, "0.2");
    let ended = innocent.try_wait().unwrap();
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    assert_eq!(ended, None, "a process was killed that was never the server's");
}

/// A program that was started, and recorded, by a server of another data directory is none of its own.
#[test]
fn programs_of_another_server_are_left_alone() {
    let mine = shop("OnRestart=Requeue");
    let other = shop("OnRestart=Requeue");
    let servers = [mine.start(), other.start()];
    let tokens: Vec<_> =
        servers.iter().map(|server| server.submit_to("Work", "&How=daemon&Then=stay")).collect();
    for shop in [&mine, &other] {
        shop.wait_for("there-daemon");
    }
    let [first, second] = servers;
    first.kill();
    let mut before = Vec::new();
    wait_until("both of its programs", || {
        before = other.programs().iter().map(|one| one.pid).collect();
        before.len() >= 2
    });
    std::fs::write(mine.path("leaves.sh"), "exit 0\n").unwrap();
    let first = mine.start();
    first.wait_in("Work", &tokens[0], "Finished");
    mine.all_gone();
    assert_eq!(second.status_in("Work", &tokens[1]), "Processing");
    let after: Vec<_> = other.programs().iter().map(|one| one.pid).collect();
    assert!(before.iter().all(|pid| after.contains(pid)), "{before:?}, then {after:?}");
}
