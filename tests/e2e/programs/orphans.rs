//! Daemons that nothing tells by itself: they have cleared their environment, have left group and session, and have lost
//! their parent. The server notes them, so that its next start ends them if it is killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::super::server::{PATIENCE, Server, wait_until};
use super::super::shop::{Program, Shop, ended};
use super::super::skip::skipped;

/// The daemon that the scripts start. It holds no pipe of the server, whose end it would see.
const DAEMON: &str = r#"
daemon() { exec env -i setsid tail -f "$H/mark" < /dev/null > /dev/null 2>&1 3>&-; }
"#;
/// A daemon at once, in the moment before its program can be in a cgroup; then it does what its argument says.
const AT_ONCE: &str = r#"
(daemon & echo $! > pid)
[ "$1" = leave ] || wait_for "$1"
until grep -qa ^tail "/proc/$(cat pid)/cmdline"; do :; done
"#;
/// A daemon of a program that is in its cgroup, if it gets one.
const LATER: &str = "wait_for go; (daemon &); wait_for never";
/// It keeps its parent, as long as that lives.
const CHILD: &str = "daemon & wait_for never";
const STAYS: &str = r#"say stays; wait_for "$1""#;

/// A shop, whose server makes cgroups or not.
fn shop(with_cgroups: bool) -> Shop {
    let settings = "OnRestart=Fail\nMaximumThreads=6\nStopGraceSecs=1";
    let shop = Shop::with(&[
        ("Work", "/bin/sh %HOME%/work.sh {Until}", settings),
        ("Later", "/bin/sh %HOME%/later.sh", settings),
        ("Child", "/bin/sh %HOME%/child.sh", settings),
        ("Stays", "/bin/sh %HOME%/stays.sh {Until}", settings),
    ]);
    if !with_cgroups {
        // Its path can't be noted there, and none is made without that.
        std::fs::create_dir_all(shop.data().join("processes/cgroup")).unwrap();
    }
    [("work.sh", AT_ONCE), ("later.sh", LATER), ("child.sh", CHILD), ("stays.sh", STAYS)]
        .into_iter()
        .fold(shop, |shop, (name, text)| shop.script(name, &format!("{DAEMON}{text}")))
}

fn has_cgroups(shop: &Shop) -> bool {
    std::fs::read_to_string(shop.data().join("processes/cgroup"))
        .is_ok_and(|path| Path::new(path.trim()).is_dir())
}

/// The processes that are in the records of the server.
fn recorded(shop: &Shop) -> BTreeSet<u32> {
    let records = std::fs::read(shop.data().join("processes/running")).unwrap_or_default();
    String::from_utf8_lossy(&records)
        .lines()
        .filter(|line| line.trim_end().ends_with('#'))
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect()
}

/// Waits until as many daemons run, and all of them are recorded.
pub(super) fn noted(shop: &Shop, daemons: usize) -> Vec<Program> {
    wait_until(&format!("{daemons} daemons in the records"), || {
        let recorded = recorded(shop);
        let all = shop.daemons();
        all.len() == daemons && all.iter().all(|one| recorded.contains(&one.pid))
    });
    shop.daemons()
}

fn submit(server: &Server, queue: &str, until: &str, number: usize) -> Vec<String> {
    (0..number).map(|_| server.submit_to(queue, &format!("&Until={until}"))).collect()
}

/// Starts the next server, which must have ended all that ran before it answers: so many daemons, too.
fn start_again(shop: &Shop, daemons: usize, queue: &str, tokens: &[String]) -> (Server, String) {
    assert_eq!(shop.daemons().len(), daemons, "they outlive the server");
    let server = shop.start();
    let left = shop.programs();
    assert!(left.is_empty(), "they outlive the next start: {left:?}");
    for token in tokens {
        server.wait_in(queue, token, "Error");
    }
    let line = server.wait_for_line(&["WARN", "that outlived an earlier server"]);
    assert_eq!(recorded(shop), BTreeSet::new(), "nothing runs");
    (server, line)
}

#[test]
fn daemons_of_programs_that_run_end_at_the_next_start() {
    for with_cgroups in [false, true] {
        let shop = shop(with_cgroups);
        let mut server = shop.start();
        for _ in 0..3 {
            let tokens = submit(&server, "Work", "never", 6);
            noted(&shop, 6);
            server.kill();
            server = start_again(&shop, 6, "Work", &tokens).0;
        }
    }
}

/// With one program there is no doubt whose it is; with several, a cgroup tells it.
#[test]
fn the_log_names_the_actions_of_daemons() {
    let shop_without = shop(false);
    let server = shop_without.start();
    let tokens = submit(&server, "Work", "never", 1);
    noted(&shop_without, 1);
    server.kill();
    let (_, line) = start_again(&shop_without, 1, "Work", &tokens);
    assert!(line.contains(" of queue Work (") && !line.contains("not known"), "{line}");

    let shop = shop(true);
    let server = shop.start();
    let tokens = submit(&server, "Later", "", 3);
    wait_until("all to be recorded", || recorded(&shop).len() >= 3);
    if !has_cgroups(&shop) {
        skipped("the names of daemons by their cgroups", "no control group can be made here");
        return;
    }
    shop.say("go");
    noted(&shop, 3);
    server.kill();
    let (_, line) = start_again(&shop, 3, "Later", &tokens);
    assert_eq!(line.matches(" of queue Later (").count(), 3, "{line}");
    assert!(!line.contains("not known"), "{line}");
}

/// Their actions have ended, but they may be of a program that goes on.
#[test]
fn daemons_of_actions_that_have_ended_end_at_the_next_start() {
    for with_cgroups in [false, true] {
        let shop = shop(with_cgroups);
        let server = shop.start();
        let stays = submit(&server, "Stays", "never", 1);
        shop.wait_for("stays");
        let mut left = 0;
        // What was seen before it had lost its parent has gone with its program.
        for _ in 0..30 {
            for token in submit(&server, "Work", "leave", 2) {
                let answer = ended(&server, "Work", &token, PATIENCE);
                assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
            }
            left = shop.daemons().len();
            if left >= 2 {
                break;
            }
        }
        if left < 2 {
            assert!(with_cgroups, "none could be of another program");
            continue;
        }
        noted(&shop, left);
        server.kill();
        start_again(&shop, left, "Stays", &stays);
    }
}

#[test]
fn daemons_end_with_the_last_program_that_may_have_started_them() {
    let shop = shop(false);
    let server = shop.start();
    let work = submit(&server, "Work", "end", 2);
    noted(&shop, 2);
    // It began later, so they are not of it.
    let stays = submit(&server, "Stays", "end-all", 1);
    shop.wait_for("stays");
    shop.say("end");
    for token in &work {
        ended(&server, "Work", token, PATIENCE);
    }
    assert_eq!(shop.daemons().len(), 0, "{:?}", shop.daemons());
    assert_eq!(server.status_in("Stays", &stays[0]), "Processing");
    wait_until("its record alone", || recorded(&shop).len() == 1);
    shop.say("end-all");
    ended(&server, "Stays", &stays[0], PATIENCE);
    wait_until("no record", || recorded(&shop).is_empty());
}

/// It had a parent when the server was killed.
#[test]
fn a_daemon_that_loses_its_parent_after_the_server_ends_at_the_next_start() {
    let shop = shop(false);
    let server = shop.start();
    let tokens = submit(&server, "Child", "", 2);
    let daemons: Vec<_> = noted(&shop, 2).iter().map(|one| one.pid).collect();
    server.kill();
    for one in shop.programs().iter().filter(|one| !daemons.contains(&one.pid)) {
        // What a script waits for may have ended meanwhile.
        let _ = Command::new("kill").args(["-KILL", &one.pid.to_string()]).output();
    }
    wait_until("them to be alone", || shop.programs().len() == 2);
    start_again(&shop, 2, "Child", &tokens);
}

/// A process that something else in the server has started: here, whoever became the server by `exec`.
#[test]
fn a_child_of_the_server_that_is_no_program_is_left_alone() {
    for with_cgroups in [false, true] {
        let shop = shop(with_cgroups).file("foreign", "");
        let home = shop.path("");
        let foreign = format!("tail -n 1 -f {}foreign", home.display());
        let server = Server::run(
            shop.command_after(&format!("{{ {foreign} < /dev/null > /dev/null 2>&1 & }}")),
        );
        let foreign = || -> Vec<_> {
            let all = shop.programs().into_iter();
            all.filter(|one| one.line.contains("/foreign")).map(|one| one.pid).collect()
        };
        wait_until("the other child", || foreign().len() == 1);
        let before = foreign();
        let tokens = submit(&server, "Work", "never", 2);
        noted(&shop, 2);
        let stopped = &tokens[0];
        server.about("Work", "stop", stopped).success();
        ended(&server, "Work", stopped, PATIENCE);
        assert!(recorded(&shop).is_disjoint(&before.iter().copied().collect()));
        server.kill();
        let server = shop.start();
        server.wait_in("Work", &tokens[1], "Error");
        let left: Vec<_> = shop.programs().iter().map(|one| one.pid).collect();
        assert_eq!(left, before, "{:?}", shop.programs());
        // Not even once its own programs have come and gone.
        let tokens = submit(&server, "Work", "leave", 1);
        ended(&server, "Work", &tokens[0], PATIENCE);
        assert_eq!(foreign(), before);
    }
}
