//! Programs that leave others behind: in their group, in a group or session of its own, as daemons, with an empty
//! environment. "The slot is free when the whole group is gone", and what left the group is found too.

use std::time::Duration;

use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, ended};

/// Starts what its first argument names, waits until that runs, and does then what its second says.
///
/// Whatever runs of an earlier one when it begins is written down first.
pub(super) const LEAVES: &str = r#"
daemons >> "$H/violations"
DAEMON='trap "" TERM HUP INT; tail -f "$0" < /dev/null > /dev/null 2>&1 3>&- &'
case $1 in
none) ;;
child) tail -f "$H/mark" & ;;
deaf) (trap '' TERM HUP INT; tail -f "$H/mark" &) ;;
session) setsid tail -f "$H/mark" & ;;
closed) setsid tail -f "$H/mark" < /dev/null > /dev/null 2>&1 3>&- & ;;
daemon) (setsid /bin/sh -c "$DAEMON" "$H/mark" &) ;;
bare) (env -i "PATH=$PATH" setsid /bin/sh -c "$DAEMON" "$H/mark" &) ;;
moved) (cd / && umask 0 && exec 3>&- && setsid nohup /bin/sh -c "(($DAEMON) &) &" "$H/mark" > /dev/null 2>&1 &) ;;
many) for n in 1 2 3 4 5 6 7 8 9 10; do (setsid /bin/sh -c "$DAEMON" "$H/mark" &); tail -f "$H/mark" & done ;;
group) perl -e 'setpgrp(0, 0); exec @ARGV' tail -f "$H/mark" & ;;
esac
[ "$1" = none ] || until_there
say "there-$1"
case $2 in
leave) exit 0 ;;
fail) exit 3 ;;
die) kill -KILL $$ ;;
stay) wait_for never ;;
hold) trap '' TERM; say holding; wait_for never ;;
esac
"#;

/// How a program may leave others behind.
pub(super) const WAYS: [&str; 9] =
    ["child", "deaf", "session", "closed", "daemon", "bare", "moved", "many", "group"];

fn shop(settings: &str) -> Shop {
    Shop::with(&[("Work", "/bin/sh %HOME%/leaves.sh {How} {Then}", settings)])
        .script("leaves.sh", LEAVES)
}

fn submit(server: &Server, how: &str, then: &str) -> String {
    server.submit_to("Work", &format!("&How={how}&Then={then}"))
}

/// Nothing was left when another began, and nothing is left now.
fn was_tidy(shop: &Shop, what: &str) {
    assert_eq!(
        shop.lines("violations"),
        Vec::<String>::new(),
        "{what}: still there when the next began"
    );
    shop.all_gone();
}

/// One slot: what runs next finds nothing of what ran before, whichever way that has ended.
#[test]
fn a_slot_is_free_when_all_are_gone() {
    for (then, status) in [("leave", "Finished"), ("fail", "Error"), ("die", "Error")] {
        let shop = shop("StopGraceSecs=1");
        let server = shop.start();
        for how in WAYS {
            let first = submit(&server, how, then);
            let next = submit(&server, "none", "leave");
            let answer = ended(&server, "Work", &first, Duration::from_secs(25));
            assert_eq!(answer.must("status"), status, "{how}: {}", answer.0);
            assert!(shop.was_said(&format!("there-{how}")), "it left nothing behind");
            let answer = ended(&server, "Work", &next, Duration::from_secs(25));
            assert_eq!(answer.must("status"), "Finished", "{how}: {}", answer.0);
            was_tidy(&shop, &format!("{how}, {then}"));
        }
    }
}

/// A chain of processes, each of which starts the next and ends: none is there for as long as a look at all processes takes.
#[test]
fn a_slot_is_free_when_a_chain_has_gone() {
    let chain = "require POSIX; open(my $links, '>>', $ARGV[0]) or die; for (1 .. 5_000) { exit if fork; \
                 POSIX::setsid(); syswrite($links, '.') }";
    let command = "/bin/sh -c 'perl \"$0\" \"$1\" & until [ -s \"$1\" ]; do sleep 0.01; done' %HOME%/chain.pl %HOME%/{Links}";
    let shop = Shop::with(&[("Work", command, "StopGraceSecs=1")]).file("chain.pl", chain);
    let server = shop.start();
    for round in 0..20 {
        let links = format!("links-{round}");
        let token = server.submit_to("Work", &format!("&Links={links}"));
        let answer = ended(&server, "Work", &token, Duration::from_secs(25));
        assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
        let then = shop.read(&links).len();
        shop.all_gone();
        assert_eq!(shop.read(&links).len(), then, "round {round}: it went on after the end");
    }
}

#[test]
fn a_stop_reaches_what_left() {
    let shop = shop("StopGraceSecs=1");
    let server = shop.start();
    for how in WAYS {
        let token = submit(&server, how, "stay");
        shop.wait_for(&format!("there-{how}"));
        // It may not have begun its own program yet.
        wait_until(&format!("what is left: {how}"), || !shop.daemons().is_empty());
        server.about("Work", "stop", &token).success();
        let answer = ended(&server, "Work", &token, Duration::from_secs(25));
        assert_eq!(answer.must("status"), "Stopped", "{how}: {}", answer.0);
        let next = submit(&server, "none", "leave");
        ended(&server, "Work", &next, Duration::from_secs(25));
        was_tidy(&shop, how);
    }
}

#[test]
fn a_time_out_reaches_what_left() {
    let shop = shop("StopGraceSecs=1\nTimeoutSecs=2");
    let server = shop.start();
    for how in ["deaf", "daemon", "bare", "group"] {
        let token = submit(&server, how, "stay");
        let answer = ended(&server, "Work", &token, Duration::from_secs(25));
        assert_eq!(answer.must("status"), "Error", "{how}: {}", answer.0);
        let next = submit(&server, "none", "leave");
        ended(&server, "Work", &next, Duration::from_secs(25));
        was_tidy(&shop, how);
    }
}

/// Several at once: what one leaves goes with it, and nothing goes with it that another still needs.
#[test]
fn what_others_run_is_left_alone() {
    let shop = Shop::with(&[
        ("Stays", "/bin/sh %HOME%/stays.sh", ""),
        ("Work", "/bin/sh %HOME%/leaves.sh {How} {Then}", "MaximumThreads=4\nStopGraceSecs=1"),
    ])
    .script("leaves.sh", LEAVES)
    .script("stays.sh", "setsid tail -f \"$H/kept\" & wait_for end; kill -0 $! || exit 9; kill $!")
    .file("kept", "");
    let server = shop.start();
    let kept = || shop.programs().iter().filter(|one| one.line.contains("/kept")).count();
    let stays = server.submit_to("Stays", "");
    wait_until("the one that stays", || kept() == 1);
    let tokens: Vec<_> =
        WAYS.iter().chain(&WAYS).map(|how| submit(&server, how, "leave")).collect();
    for token in &tokens {
        let answer = ended(&server, "Work", token, Duration::from_secs(25));
        assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    }
    assert_eq!(server.status_in("Stays", &stays), "Processing");
    assert_eq!(kept(), 1, "the daemon of a program that runs was ended");
    shop.say("end");
    let answer = ended(&server, "Stays", &stays, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    // With the last program the last daemon goes.
    shop.all_gone();
}

/// A program that leaves its own group, into that of a child of it or into a new session, can still be steered.
#[test]
fn a_program_that_changes_its_group_is_found() {
    let scripts = [
        // Its own group is empty then.
        (
            "child",
            "my $child = fork // die; if (!$child) { setpgrp(0, 0); exec 'tail', '-f', $ARGV[0] } \
          select(undef, undef, undef, 0.01) until getpgrp($child) == $child; setpgrp(0, $child) or die $!;",
        ),
        // Another takes its place.
        (
            "session",
            "my $child = fork // die; exit 0 if $child; require POSIX; POSIX::setsid() > 0 or die;",
        ),
        ("parent", "setpgrp(0, getpgrp(getppid()));"),
    ];
    let shop = scripts.iter().fold(
        Shop::with(&[(
            "Work",
            "perl %HOME%/{How}.pl %HOME%/mark %HOME%/{How}.up",
            "StopGraceSecs=1",
        )]),
        |shop, (name, script)| {
            let wait = "open(my $up, '>', $ARGV[1]) or die; close $up; sleep 1 while 1;";
            shop.file(&format!("{name}.pl"), format!("use strict; {script} {wait}\n"))
        },
    );
    let server = shop.start();
    for (how, _) in scripts {
        let token = server.submit_to("Work", &format!("&How={how}"));
        if how == "session" {
            // The program itself ends; what it left goes with it.
            let answer = ended(&server, "Work", &token, Duration::from_secs(25));
            assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
        } else {
            shop.wait_for(&format!("{how}.up"));
            assert_eq!(server.status_in("Work", &token), "Processing");
            server.about("Work", "stop", &token).success();
            let answer = ended(&server, "Work", &token, Duration::from_secs(25));
            assert_eq!(answer.must("status"), "Stopped", "{}", answer.0);
        }
        shop.all_gone();
        // The server was in none of these groups.
        assert!(server.ask("GetPid").is_success());
    }
}

/// What is left behind may hold the output open for ever: it is not waited for.
#[test]
fn an_output_that_stays_open_holds_nothing_up() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/work.sh", "")]).script(
        "work.sh",
        "echo '<a>1</a>'; tail -f \"$H/mark\" & setsid tail -f \"$H/mark\" & exit 0",
    );
    let server = shop.start();
    let token = server.submit_to("Work", "");
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!((answer.must("status").as_str(), answer.must("a").as_str()), ("Finished", "1"));
    shop.all_gone();
}

/// Who forks faster than it can be found: it has to be ended all the same.
#[test]
fn a_program_that_forks_without_pause_is_ended() {
    let shop = Shop::with(&[("Work", "perl %HOME%/forks.pl", "StopGraceSecs=1")]).file(
        "forks.pl",
        // A chain: each starts the next in a session of its own and ends. It breaks off once the test has failed.
        "use POSIX; $SIG{TERM} = 'IGNORE'; $SIG{CHLD} = 'IGNORE'; unless (fork) { while (1) { \
         POSIX::setsid(); my $child = fork; exit 0 if $child || time - $^T > 25; select(undef, undef, undef, 0.01) } } sleep 1 while 1;\n",
    );
    let server = shop.start();
    let token = server.submit_to("Work", "");
    wait_until("two of them", || shop.programs().len() >= 2);
    server.about("Work", "stop", &token).success();
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Stopped", "{}", answer.0);
    shop.all_gone();
}
