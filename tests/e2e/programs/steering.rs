//! Stop, pause and resume reach the program, and all that it started.

use std::time::{Duration, Instant};

use super::super::calls::Answer;
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, ended, let_pass};

/// A program and a child of it that count; each says so when it is asked to end, and what then depends on its argument.
pub(super) const COUNTS: &str = r#"
asked() { say "asked-$$"; case $HOW in heeds) exit "$CODE";; later) wait_for end; exit "$CODE";; esac; }
HOW=$1 CODE=${2:-0}
case $HOW in
plain) ;;
ignores) trap '' TERM;;
child) trap asked TERM; HOW=heeds;;
*) trap asked TERM; /bin/sh "$H/counts.sh" child & ;;
esac
[ "$1" = plain ] || [ "$1" = ignores ] && tail -f "$H/mark" &
n=0
while :; do n=$((n+1)); echo "$n" > "$H/count.$$"; mv "$H/count.$$" "$H/count-$1"; sleep 0.02; done
"#;

fn shop(settings: &str) -> Shop {
    Shop::with(&[("Work", "/bin/sh %HOME%/counts.sh {How} {Code?}", settings), ("Other", "", "")])
        .script("counts.sh", COUNTS)
}

fn begin(shop: &Shop, server: &Server, how: &str, code: &str) -> String {
    let token = server.submit_to("Work", &format!("&How={how}&Code={code}"));
    shop.wait_for(&format!("count-{how}"));
    wait_until("its child", || shop.programs().len() >= 2);
    if ["heeds", "later"].contains(&how) {
        shop.wait_for("count-child");
    }
    token
}

fn asked(shop: &Shop) -> usize {
    let names = std::fs::read_dir(shop.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("asked-")).count()
}

fn stopped(server: &Server, token: &str, by: &str) -> Answer {
    let answer = ended(server, "Work", token, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Stopped", "{}", answer.0);
    assert_eq!(answer.must("stopped_by"), by, "{}", answer.0);
    answer
}

#[test]
fn a_stop_asks_the_whole_group() {
    for code in ["0", "7"] {
        let shop = shop("StopGraceSecs=600");
        let server = shop.start();
        let token = begin(&shop, &server, "heeds", code);
        let answer = server.about("Work", "stop", &token).success();
        assert_eq!(answer.must("status"), "Stopping");
        stopped(&server, &token, "asked");
        // The child was asked as well, not only its parent.
        wait_until("both to be asked", || asked(&shop) == 2);
        shop.all_gone();
    }
    // One that does nothing about it ends by the signal.
    let shop = shop("StopGraceSecs=600");
    let server = shop.start();
    let token = begin(&shop, &server, "plain", "");
    server.about("Work", "stop", &token).success();
    stopped(&server, &token, "asked");
    shop.all_gone();
}

#[test]
fn who_ignores_it_is_forced_after_the_grace() {
    let shop = shop("StopGraceSecs=2");
    let server = shop.start();
    let token = begin(&shop, &server, "ignores", "");
    let began = Instant::now();
    server.about("Work", "stop", &token).success();
    let_pass(&server, "1");
    if began.elapsed() < Duration::from_millis(1_800) {
        assert_eq!(server.status_in("Work", &token), "Stopping");
        assert!(!shop.programs().is_empty());
    }
    stopped(&server, &token, "forced");
    assert!(began.elapsed() >= Duration::from_secs(2), "it had {:?}", began.elapsed());
    shop.all_gone();
}

#[test]
fn a_second_stop_forces_at_once() {
    let shop = shop("StopGraceSecs=600");
    let server = shop.start();
    for how in ["ignores", "later"] {
        let token = begin(&shop, &server, how, "");
        server.about("Work", "stop", &token).success();
        assert_eq!(server.status_in("Work", &token), "Stopping");
        server.about("Work", "stop", &token).success();
        stopped(&server, &token, "forced");
        shop.all_gone();
    }
}

#[test]
fn who_tidies_up_within_the_grace_is_not_forced() {
    let shop = shop("StopGraceSecs=600");
    let server = shop.start();
    let token = begin(&shop, &server, "later", "");
    server.about("Work", "stop", &token).success();
    wait_until("both to be asked", || asked(&shop) == 2);
    assert_eq!(server.status_in("Work", &token), "Stopping");
    shop.say("end");
    stopped(&server, &token, "asked");
    shop.all_gone();
}

#[test]
fn all_that_runs_is_stopped_and_the_next_start() {
    let shop = shop("StopGraceSecs=1\nMaximumThreads=3");
    let server = shop.start();
    let running: Vec<_> =
        ["plain", "ignores", "heeds"].iter().map(|how| begin(&shop, &server, how, "")).collect();
    let waiting = server.submit_to("Work", "&How=plain");
    server.info("Work", "stop", "").success();
    for token in &running {
        server.wait_in("Work", token, "Stopped");
    }
    server.wait_in("Work", &waiting, "Processing");
    server.about("Work", "stop", &waiting).success();
    server.wait_in("Work", &waiting, "Stopped");
    shop.all_gone();
}

fn count(shop: &Shop, how: &str) -> u64 {
    shop.read(&format!("count-{how}")).trim().parse().expect("a number")
}

/// All of its programs are held by SIGSTOP.
fn until_held(shop: &Shop) {
    wait_until("all to be held", || {
        let all = shop.programs();
        assert!(!all.is_empty());
        // One that is just starting another by `vfork` waits for that, deaf to anything, until that goes on.
        all.iter().all(|one| matches!(one.state, 'T' | 'D'))
            && all.iter().any(|one| one.state == 'T')
    });
}

fn until_it_counts(shop: &Shop, how: &str) {
    let before = count(shop, how);
    wait_until("it to count on", || count(shop, how) > before);
}

#[test]
fn a_pause_holds_the_program_and_what_it_started() {
    let shop = shop("");
    let server = shop.start();
    let token = begin(&shop, &server, "heeds", "");
    for _ in 0..3 {
        let answer = server.about("Work", "pause", &token).success();
        assert_eq!(answer.must("status"), "Paused");
        until_held(&shop);
        let before = (count(&shop, "heeds"), count(&shop, "child"));
        let_pass(&server, "0.5");
        assert_eq!((count(&shop, "heeds"), count(&shop, "child")), before);
        assert_eq!(server.status_in("Work", &token), "Paused");
        server.about("Work", "resume", &token).success();
        assert_eq!(server.status_in("Work", &token), "Processing");
        until_it_counts(&shop, "heeds");
        until_it_counts(&shop, "child");
    }
    // So does the queue's.
    server.info("Work", "pause", "").success();
    until_held(&shop);
    server.info("Work", "resume", "").success();
    until_it_counts(&shop, "heeds");
    server.about("Work", "stop", &token).success();
    stopped(&server, &token, "asked");
}

/// It is asked first, for which it has to go on.
#[test]
fn what_is_paused_can_be_stopped() {
    let shop = shop("StopGraceSecs=600");
    let server = shop.start();
    for how in ["plain", "heeds"] {
        let token = begin(&shop, &server, how, "");
        server.about("Work", "pause", &token).success();
        until_held(&shop);
        server.about("Work", "stop", &token).success();
        stopped(&server, &token, "asked");
        shop.all_gone();
    }
    let token = begin(&shop, &server, "ignores", "");
    server.about("Work", "pause", &token).success();
    until_held(&shop);
    server.about("Work", "stop", &token).success();
    server.about("Work", "stop", &token).success();
    stopped(&server, &token, "forced");
    shop.all_gone();
}

/// A program that holds itself is not paused, and can be stopped.
#[test]
fn a_program_that_holds_itself_can_be_stopped() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/holds.sh", "StopGraceSecs=1")])
        .script("holds.sh", "tail -f \"$H/mark\" & kill -STOP $$; wait");
    let server = shop.start();
    let token = server.submit_to("Work", "");
    wait_until("it to hold", || shop.programs().iter().any(|one| one.state == 'T'));
    assert_eq!(server.status_in("Work", &token), "Processing");
    server.about("Work", "stop", &token).success();
    server.wait_in("Work", &token, "Stopped");
    shop.all_gone();
}

/// A program of before the pause that was killed by somebody else is seen to have ended.
#[test]
fn a_paused_program_that_is_killed_has_ended() {
    let shop = shop("");
    let server = shop.start();
    let token = begin(&shop, &server, "plain", "");
    server.about("Work", "pause", &token).success();
    until_held(&shop);
    let leader =
        shop.programs().into_iter().find(|one| one.line.contains("counts.sh")).expect("it");
    let killed =
        std::process::Command::new("kill").args(["-KILL", &leader.pid.to_string()]).status();
    assert!(killed.unwrap().success());
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Error");
    assert!(answer.must("error").contains("signal 9 (SIGKILL)"), "{}", answer.0);
    shop.all_gone();
}

#[test]
fn a_shutdown_leaves_no_program_behind() {
    let settings = "StopGraceSecs=1\nMaximumThreads=3\nOnRestart=";
    for (on_restart, becomes) in [("Requeue", "Queued"), ("Fail", "Error")] {
        let shop = Shop::new(&format!(
            "[Actions]\nShutdownGraceSecs=1\n{}",
            super::super::shop::config(&[(
                "Work",
                "/bin/sh %HOME%/counts.sh {How} {Code?}",
                &format!("{settings}{on_restart}"),
            )])
        ))
        .script("counts.sh", COUNTS);
        let server = shop.start();
        let tokens: Vec<_> =
            ["plain", "ignores"].iter().map(|how| begin(&shop, &server, how, "")).collect();
        server.about("Work", "pause", &tokens[1]).success();
        server.signal("TERM");
        assert!(server.wait().0.success());
        shop.none_runs("after the end of the server");
        let server = shop.start();
        for token in &tokens {
            let status = server.status_in("Work", token);
            let runs_again = becomes == "Queued" && status == "Processing";
            assert!(status == becomes || runs_again, "{status} with {on_restart}");
        }
    }
}

/// A client's wish counts, also if a shutdown comes while the program still does what it has to before its end.
#[test]
fn what_is_stopping_at_a_shutdown_says_how_it_was_stopped() {
    for (how, grace, by) in [("later", "600", "asked"), ("ignores", "1", "forced")] {
        let shop = shop(&format!("StopGraceSecs={grace}\nOnRestart=Requeue"));
        let server = shop.start();
        let token = begin(&shop, &server, how, "");
        server.about("Work", "stop", &token).success();
        server.wait_in("Work", &token, "Stopping");
        server.signal("TERM");
        server.wait_for_draining();
        shop.say("end");
        let (status, _) = server.wait();
        assert!(status.success(), "{status}");
        let server = shop.start();
        stopped(&server, &token, by);
    }
}
