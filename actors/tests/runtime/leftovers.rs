//! What programs leave behind when they end: processes that left their group, became daemons, cleared their environment.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::testing::{Script, eventually};
use actiond_actors::{Builder, Came, Failure, QueueSettings, State, Submission, Work};
use tempfile::TempDir;

use crate::common::{SOON, builder, end, end_state, graceless, state, threads};
use crate::processes::{Shells, number_in, runs, said_by};

/// A data directory whose programs get no cgroup.
pub(crate) fn without_cgroups() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    // The path of the cgroup can't be noted there, and none is made without that.
    std::fs::create_dir_all(directory.path().join("processes/cgroup")).unwrap();
    directory
}

/// Tells whether programs of this data directory got a cgroup of their own.
pub(crate) fn has_cgroups(directory: &TempDir) -> bool {
    std::fs::read_to_string(directory.path().join("processes/cgroup"))
        .is_ok_and(|path| std::path::Path::new(path.trim()).is_dir())
}

async fn adopting(settings: QueueSettings) -> Shells {
    Shells::by(without_cgroups(), settings, |builder| builder.adopt_orphans(true)).await
}

/// Ends once the file `left` is there.
const AND_ENDS: &str = "while [ ! -s left ]; do sleep 0.01; done; exit 0";
/// A daemon that has a session and no parent, and keeps its environment.
const DAEMON: &str = "setsid sh -c 'sleep 1000 >&- & echo $! > left' & ";
/// The same, and it has cleared its environment.
const CLEARED: &str = "env -i setsid sh -c 'sleep 1000 >&- & echo $! > left' & ";
/// A child that has changed its process group.
const REGROUPED: &str = "perl -e 'setpgrp(0, 0); close(STDOUT); open(F, \">left\"); print F \"$$\\n\"; close(F); sleep 1000' & ";

#[tokio::test]
async fn what_has_left_the_group_ends_before_the_slot_is_free() {
    for directory in [without_cgroups(), tempfile::tempdir().unwrap()] {
        let shells = Shells::by(directory, threads(1), |builder| builder).await;
        // What begins before its program is in its cgroup has nothing by which it could be known.
        let late = format!("sleep 0.5; {CLEARED}");
        for run in [DAEMON, REGROUPED, &late] {
            if run == late && !has_cgroups(&shells.directory) {
                // Out of reach: it has nothing by which it could be known.
                continue;
            }
            let id = shells.run(&format!("{run}{AND_ENDS}")).await;
            // One that has ended may wait for its parent, for a moment.
            let next =
                "grep -q ') [^Z]' /proc/$(cat left)/stat 2>&1 && echo runs; rm left; echo next";
            let next = shells.run(next).await;
            let left = shells.number_in("left").await;
            assert_eq!(end_state(&shells.work, id).await, State::Finished, "{run}");
            assert!(!runs(left), "{run}");
            let status = end(&shells.work, next).await;
            let said = said_by(&status);
            assert!(said.contains("next") && !said.contains("runs"), "{run}: {said}");
        }
        shells.system.shutdown(SOON).await;
        assert!(!has_cgroups(&shells.directory), "they are removed");
    }
}

#[tokio::test]
async fn an_orphan_is_adopted_and_ended_that_has_nothing_by_which_it_could_be_known() {
    let shells = adopting(threads(2)).await;
    let id = shells.run(&format!("{CLEARED}{AND_ENDS}")).await;
    let left = shells.number_in("left").await;
    assert_eq!(end_state(&shells.work, id).await, State::Finished);
    assert!(!runs(left));

    // While another program runs that may have started it, it runs too.
    let other = shells.run("echo $$ > other; while [ ! -e go ]; do sleep 0.01; done").await;
    shells.number_in("other").await;
    let mut orphan = None;
    // Its parent has gone before anybody can look, but for a look that comes just then.
    for _ in 0..3 {
        std::fs::remove_file(shells.path("left")).unwrap();
        let id = shells.run(&format!("{CLEARED}{AND_ENDS}")).await;
        let left = shells.number_in("left").await;
        assert_eq!(end_state(&shells.work, id).await, State::Finished);
        if runs(left) {
            orphan = Some(left);
            break;
        }
    }
    let orphan = orphan.expect("it may have been of the other one");
    std::fs::write(shells.path("go"), "").unwrap();
    assert_eq!(end_state(&shells.work, other).await, State::Finished);
    assert!(!runs(orphan));
    shells.system.shutdown(SOON).await;
}

/// Returns the number of children of this process that have ended and that nobody has waited for.
fn zombies() -> usize {
    let own = format!(" {} ", std::process::id());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let stat = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).ok();
    let is_one = |stat: &String| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(&format!("Z{own}")))
    };
    entries.filter_map(stat).filter(is_one).count()
}

#[tokio::test]
async fn adopted_orphans_are_waited_for_and_nobody_elses_children_are() {
    let shells = adopting(threads(2)).await;
    // Started by something else in this process: neither killed nor waited for.
    let start = |run: &str| {
        std::process::Command::new("sh").arg("-c").arg(run).stdin(Stdio::piped()).spawn().unwrap()
    };
    let (mut ended, mut runs_on) = (start("exit 3"), start("read go; exit 4"));
    eventually("it has ended", async || zombies() == 1).await;
    let many = "for i in 1 2 3 4 5 6 7 8 9 10; do env -i setsid sh -c 'true & true & exit 0'; done; \
                echo $$ > all; while [ ! -e go ]; do sleep 0.01; done";
    let id = shells.run(many).await;
    shells.number_in("all").await;
    // Also while the program runs on.
    eventually("no zombie is left but that", async || zombies() == 1).await;
    assert_eq!(state(&shells.work, id).await, State::Processing);
    std::fs::write(shells.path("go"), "").unwrap();
    assert_eq!(end_state(&shells.work, id).await, State::Finished);
    for _ in 0..20 {
        let failing = shells.run("exit 5").await;
        let error = end(&shells.work, failing).await.record.error;
        assert_eq!(error.as_deref(), Some("the program failed: exit status: 5"));
    }
    assert_eq!(ended.wait().unwrap().code(), Some(3), "its status is its starter's");
    assert!(runs_on.try_wait().unwrap().is_none());
    drop(runs_on.stdin.take());
    assert_eq!(runs_on.wait().unwrap().code(), Some(4));
    eventually("no zombie is left", async || zombies() == 0).await;
    shells.system.shutdown(SOON).await;
}

/// The first process itself goes to the group of the server.
#[tokio::test]
async fn a_program_that_changes_its_own_group_is_reached() {
    let shells = Shells::by(without_cgroups(), graceless(1), |builder| builder).await;
    for (number, deaf) in ["", "$SIG{TERM} = \"IGNORE\"; "].into_iter().enumerate() {
        let file = format!("moved{number}");
        let run = format!(
            "exec perl -e '{deaf}setpgrp(0, getpgrp(getppid())); open(F, \">{file}\"); \
             print F \"$$\\n\"; close(F); sleep 1000 while 1'"
        );
        let id = shells.run(&run).await;
        let process = shells.number_in(&file).await;
        shells.work.stop(id).await.unwrap();
        assert_eq!(end_state(&shells.work, id).await, State::Stopped);
        assert!(!runs(process));
    }
    shells.system.shutdown(SOON).await;
}

/// A second system has programs of its own, and starts and ends without touching those of the first.
#[tokio::test]
async fn systems_of_one_process_leave_each_others_programs_alone() {
    let shells = Shells::by(without_cgroups(), threads(1), |builder| builder).await;
    let id =
        shells.run("setsid sh -c 'echo $$ > left; exec sleep 1000' & echo $$ > first; wait").await;
    let both = [shells.number_in("left").await, shells.number_in("first").await];
    for _ in 0..2 {
        let second = Shells::by(without_cgroups(), threads(1), |builder| builder).await;
        let other = second.run(&format!("{DAEMON}{AND_ENDS}")).await;
        assert_eq!(end_state(&second.work, other).await, State::Finished);
        second.system.shutdown(SOON).await;
    }
    // One on another store, by the directory of the first.
    let store = tempfile::tempdir().unwrap();
    let sqlite = actiond_actors::store::sqlite::SqliteStore::open(
        store.path(),
        actiond_actors::Durability::Normal,
    );
    let script = Script::new(crate::processes::shell(store.path()));
    let third = builder(shells.directory.path()).store(Arc::new(sqlite.unwrap()));
    let third = third.queue("Work", threads(1), script).start().await.unwrap();
    let work = third.queue("Work").unwrap();
    let parameters = actiond_actors::Parameters::from_iter([("Run", "echo here")]);
    let other = work.submit(Submission::new(parameters)).await.unwrap().id;
    assert_eq!(end_state(&work, other).await, State::Finished);
    third.shutdown(SOON).await;
    assert!(both.into_iter().all(runs));
    shells.work.stop(id).await.unwrap();
    assert_eq!(end_state(&shells.work, id).await, State::Stopped);
    assert!(!both.into_iter().any(runs));
    shells.system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_program_runs_that_can_not_be_recorded() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("processes"), "a file").unwrap();
    let shells = Shells::by(directory, threads(1), |builder| builder).await;
    for _ in 0..2 {
        let id = shells.run(&format!("{DAEMON}{AND_ENDS}")).await;
        let left = shells.number_in("left").await;
        assert_eq!(end_state(&shells.work, id).await, State::Finished);
        assert!(!runs(left), "it has its mark");
        std::fs::remove_file(shells.path("left")).unwrap();
    }
    shells.system.shutdown(SOON).await;
}

/// The work that accompanies a program is told how its end came, and what it says of that is kept.
#[tokio::test]
async fn work_is_told_how_the_end_of_its_program_came() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_owned();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let script = Script::new(move |context| {
        let mut command = tokio::process::Command::new("sh");
        command.arg("-c").arg(context.parameters().get("Run").unwrap_or_default());
        command.current_dir(&at);
        let tells = Arc::clone(&tells);
        Work::process(command, move |mut child| async move {
            assert_eq!(child.came(), None);
            let status = child.exited().await?;
            tells.lock().unwrap().push(child.came());
            let came = actiond_actors::Node::text("came", format!("{:?}", child.came()));
            context.set_partial(vec![came]);
            if status.success() { Ok(Vec::new()) } else { Err(Failure::failed("as planned")) }
        })
    });
    let mut settings = graceless(1);
    settings.time_limit = Some(Duration::from_secs(2));
    let start = |builder: Builder| builder.queue("Work", settings, script).start();
    let system = start(builder(directory.path())).await.unwrap();
    let work = system.queue("work").unwrap();
    for (run, stopped, came, ends) in [
        ("exit 0", false, Came::ByItself, State::Finished),
        ("exit 1", false, Came::ByItself, State::Error),
        ("exec sleep 1000", true, Came::Asked, State::Stopped),
        (crate::processes::DEAF, true, Came::Forced, State::Stopped),
        ("exec sleep 1000", false, Came::TimedOut, State::Error),
    ] {
        let run = if stopped { format!("echo $$ > ready; {run}") } else { run.to_owned() };
        let parameters = actiond_actors::Parameters::from_iter([("Run", run.as_str())]);
        let id = work.submit(Submission::new(parameters)).await.unwrap().id;
        if stopped {
            let ready = directory.path().join("ready");
            number_in(&ready).await;
            std::fs::remove_file(ready).unwrap();
            work.stop(id).await.unwrap();
        }
        let status = end(&work, id).await;
        assert_eq!(status.record.state, ends, "{run}");
        assert_eq!(told.lock().unwrap().pop(), Some(Some(came)), "{run}");
        let kept = ends != State::Finished;
        assert_eq!(said_by(&status).contains(&format!("{came:?}")), kept, "{run}");
    }
    system.shutdown(SOON).await;
}
