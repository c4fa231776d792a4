//! Work that is a process: real programs that end, obey, do not obey, and leave others behind.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{
    ActionContext, ActionStatus, Builder, Came, ChildProcess, Failure, Interest, Node, Parameters,
    QueueEvent, QueueHandle, QueueSettings, Report, State, Submission, System, Work, observer,
};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::common::{NEVER, SOON, builder, end, end_state, graceless, state, threads, until};

/// Runs the parameter `Run` in a shell, in the directory `directory`; its output becomes the result, and an exit other
/// than 0 fails.
pub(crate) fn shell(directory: &Path) -> impl Fn(ActionContext) -> Work + Send + Sync + 'static {
    let directory = directory.to_owned();
    move |context| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(context.parameters().get("Run").unwrap_or_default());
        command.current_dir(&directory).stdin(Stdio::null()).stdout(Stdio::piped());
        Work::process(command, said)
    }
}

async fn said(mut child: ChildProcess) -> Result<Report, Failure> {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).await?;
    let status = child.exited().await?;
    if !status.success() {
        return Err(Failure::failed(format!("the program failed: {status}")));
    }
    Ok(vec![Node::text("said", said.trim())])
}

/// A queue of shells, and how their attempts came to their ends.
pub(crate) struct Shells {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) system: System,
    pub(crate) work: QueueHandle,
    script: Script,
    came: Arc<Mutex<Vec<Option<Came>>>>,
}

impl Shells {
    pub(crate) async fn new(settings: QueueSettings) -> Self {
        Self::by(tempfile::tempdir().unwrap(), settings, |builder| builder).await
    }

    /// Starts in this directory, by a builder that was changed.
    pub(crate) async fn by(
        directory: tempfile::TempDir,
        settings: QueueSettings,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let script = Script::new(shell(directory.path())).pausable();
        let came = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::clone(&came);
        let observer = observer(Interest::ENDED, move |_, event| {
            if let QueueEvent::Ended { came, .. } = event {
                ends.lock().unwrap().push(*came);
            }
        });
        let builder = change(builder(directory.path()).observer(observer));
        let system = builder.queue("Work", settings, script.clone()).start().await.unwrap();
        let work = system.queue("work").unwrap();
        Self { directory, system, work, script, came }
    }

    pub(crate) async fn run(&self, what: &str) -> actiond_actors::ActionId {
        let parameters = Parameters::from_iter([("Run", what)]);
        self.work.submit(Submission::new(parameters)).await.unwrap().id
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Waits for a number in a file that a program writes.
    pub(crate) async fn number_in(&self, file: &str) -> i32 {
        number_in(&self.path(file)).await
    }

    /// Returns how the last attempt came to its end.
    async fn came(&self, ends: usize) -> Option<Came> {
        eventually("its end is told", async || self.came.lock().unwrap().len() == ends).await;
        *self.came.lock().unwrap().last().unwrap()
    }
}

/// Waits for a number in a file that a program writes.
pub(crate) async fn number_in(path: &Path) -> i32 {
    let mut number = None;
    eventually(format!("there is a number in {}", path.display()), async || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        number = text.ends_with('\n').then(|| text.trim().parse().ok()).flatten();
        number.is_some()
    })
    .await;
    number.unwrap()
}

/// Tells whether a process runs: one that has ended and was not waited for does not.
pub(crate) fn runs(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

pub(crate) fn said_by(status: &ActionStatus) -> String {
    format!("{:?}", status.record.report)
}

/// Says its number, and then never ends by itself and takes no notice of SIGTERM.
pub(crate) const DEAF: &str = "trap '' TERM; echo $$ > deaf; while :; do sleep 0.01; done";

#[tokio::test]
async fn a_program_ends_by_itself() {
    let shells = Shells::new(threads(1)).await;
    let table = [
        ("echo hello", State::Finished, None),
        ("exit 3", State::Error, Some("the program failed: exit status: 3")),
        ("kill -9 $$", State::Error, Some("the program failed: signal: 9 (SIGKILL)")),
    ];
    for (number, (run, want, error)) in table.into_iter().enumerate() {
        let status = end(&shells.work, shells.run(run).await).await;
        assert_eq!((status.record.state, status.record.error.as_deref()), (want, error), "{run}");
        assert_eq!(shells.came(number + 1).await, Some(Came::ByItself));
        if want == State::Finished {
            assert!(said_by(&status).contains("hello"), "{}", said_by(&status));
        }
    }
    assert_eq!(shells.script.peak(), 1);
    shells.system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_fails() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::new(|_| Work::process(Command::new("/no/such/program"), said));
    let system = builder(directory.path()).queue("Work", threads(1), script).start().await.unwrap();
    let work = system.queue("work").unwrap();
    let id = work.submit(Submission::default()).await.unwrap().id;
    let record = end(&work, id).await.record;
    assert_eq!(record.state, State::Error);
    let error = record.error.unwrap();
    assert!(error.starts_with("the program can't be started: No such file"), "{error}");
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_stop_is_a_signal_that_the_program_may_obey() {
    let shells = Shells::new(threads(1)).await;
    let id = shells.run("echo $$ > plain; exec sleep 1000").await;
    let process = shells.number_in("plain").await;
    shells.work.stop(id).await.unwrap();
    assert_eq!(end_state(&shells.work, id).await, State::Stopped);
    assert!(!runs(process));
    assert_eq!(shells.came(1).await, Some(Came::Asked));

    // One that tidies up, and says so: it has done what it was to do.
    let tidy = "trap 'echo tidied; exit 0' TERM; echo $$ > tidy; while :; do sleep 0.01; done";
    let id = shells.run(tidy).await;
    shells.number_in("tidy").await;
    shells.work.stop(id).await.unwrap();
    let status = end(&shells.work, id).await;
    assert_eq!(status.record.state, State::Finished);
    assert!(said_by(&status).contains("tidied"), "{}", said_by(&status));
    assert_eq!(shells.came(2).await, Some(Came::Asked));
    shells.system.shutdown(SOON).await;
}

/// Nothing starts in its slot before it has really gone.
#[tokio::test]
async fn a_program_that_does_not_obey_is_killed_before_its_slot_is_free() {
    for twice in [false, true] {
        let shells = Shells::new(if twice { threads(1) } else { graceless(1) }).await;
        let id = shells.run(DEAF).await;
        let process = shells.number_in("deaf").await;
        let next = shells.run(&format!("kill -0 {process} 2>&1; echo gone")).await;
        shells.work.stop(id).await.unwrap();
        if twice {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(state(&shells.work, id).await, State::Stopping);
            assert!(runs(process), "it was only asked");
            assert_eq!(state(&shells.work, next).await, State::Queued);
            shells.work.stop(id).await.unwrap();
        }
        assert_eq!(end_state(&shells.work, id).await, State::Stopped);
        assert!(!runs(process));
        let status = end(&shells.work, next).await;
        assert!(said_by(&status).contains("No such process"), "{}", said_by(&status));
        shells.came(2).await;
        let came = shells.came.lock().unwrap().clone();
        assert_eq!(came, [Some(Came::Forced), Some(Came::ByItself)]);
        shells.system.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn a_grandchild_that_outlives_its_parent_is_killed_with_it() {
    let shells = Shells::new(graceless(1)).await;
    // It holds the pipe open, too.
    let leaves = "(trap '' TERM HUP; echo $$; exec sleep 1000) & echo $! > left; exit 0";
    let since = Instant::now();
    let id = shells.run(leaves).await;
    let left = shells.number_in("left").await;
    assert_eq!(end_state(&shells.work, id).await, State::Finished);
    assert!(!runs(left));
    assert_eq!(shells.came(1).await, Some(Came::ByItself));

    let both = "(trap '' TERM; echo $$ > child; while :; do sleep 0.01; done) & \
                echo $! > under; trap '' TERM; wait; sleep 1000";
    let id = shells.run(both).await;
    let under = shells.number_in("under").await;
    shells.work.stop(id).await.unwrap();
    assert_eq!(end_state(&shells.work, id).await, State::Stopped);
    assert!(!runs(under));
    assert!(since.elapsed() < SOON, "nobody waited for what was killed");
    shells.system.shutdown(SOON).await;
}

/// Runs a test of this binary again, below a process that becomes the parent of orphans and waits for none of them, as
/// the first process of many a container. Returns true there.
fn below_a_parent_that_waits_for_nobody(test: &str) -> bool {
    const ROLE: &str = "ACTIOND_TEST_ROLE";
    let again = |role: &str| {
        let test = ["--exact", test, "--nocapture"];
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        assert!(command.args(test).env(ROLE, role).status().unwrap().success(), "see above");
    };
    match std::env::var(ROLE).as_deref() {
        Err(_) => again("parent"),
        Ok("parent") => {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
            again("child");
        }
        Ok(_) => return true,
    }
    false
}

#[test]
fn an_orphan_that_nobody_waits_for_holds_nothing_up() {
    let test = "processes::an_orphan_that_nobody_waits_for_holds_nothing_up";
    if !below_a_parent_that_waits_for_nobody(test) {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut settings = graceless(1);
        settings.time_limit = Some(Duration::from_secs(3));
        settings.stop_grace = Duration::from_secs(3);
        let shells = Shells::new(settings).await;
        // It is killed with its parent and stays a zombie, for longer than the time limit if it counted.
        let since = Instant::now();
        let id = shells.run("sleep 1000 >&- & echo $! > left; exit 0").await;
        let left = shells.number_in("left").await;
        let status = end(&shells.work, id).await;
        assert_eq!(status.record.state, State::Finished, "{:?}", status.record.error);
        assert_eq!(shells.came(1).await, Some(Came::ByItself));
        assert!(status.processing < Duration::from_secs(3), "{:?}", status.processing);
        let stat = std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap();
        assert!(stat.contains(") Z "), "nobody has waited for it: {stat}");

        let id = shells.run("sleep 1000 & echo $! > under; exec sleep 1000").await;
        shells.number_in("under").await;
        shells.work.stop(id).await.unwrap();
        assert_eq!(end_state(&shells.work, id).await, State::Stopped);
        assert_eq!(shells.came(2).await, Some(Came::Asked));
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
        shells.system.shutdown(SOON).await;
    });
}

/// What leaves the group is not asked to stop, and holds the pipe open; a force ends it with the rest.
#[tokio::test]
async fn what_leaves_the_group_holds_nobody_up() {
    let shells = Shells::new(graceless(1)).await;
    let id = shells.run("setsid sh -c 'echo $$ > left; exec sleep 1000' & sleep 1000").await;
    let left = shells.number_in("left").await;
    shells.work.stop(id).await.unwrap();
    assert_eq!(end_state(&shells.work, id).await, State::Stopped);
    assert!(!runs(left));
    shells.system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_pause_holds_the_program_and_its_children() {
    let shells = Shells::new(threads(1)).await;
    let id = shells.run("sleep 1000 & echo $! > child; echo $$ > parent; wait").await;
    let both = [shells.number_in("child").await, shells.number_in("parent").await];
    let stand = |wanted: bool| {
        both.iter().all(|process| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
            stat.contains(") T ") == wanted
        })
    };
    for _ in 0..2 {
        shells.work.pause(id).await.unwrap();
        eventually("they stand", async || stand(true)).await;
        let worked = shells.work.status(id).await.unwrap().processing;
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(stand(true));
        assert_eq!(shells.work.status(id).await.unwrap().processing, worked);
        shells.work.resume(id).await.unwrap();
        eventually("they go on", async || stand(false)).await;
    }
    // A stop reaches them while they stand.
    shells.work.pause(id).await.unwrap();
    eventually("they stand", async || stand(true)).await;
    shells.work.stop(id).await.unwrap();
    assert_eq!(end_state(&shells.work, id).await, State::Stopped);
    assert!(!both.into_iter().any(runs));
    assert_eq!(shells.came(1).await, Some(Came::Asked));
    shells.system.shutdown(SOON).await;
}

#[tokio::test]
async fn work_that_fails_or_panics_takes_its_program_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::new(|context| {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let panics = context.parameters().get("Do") == Some("panic");
        Work::process(command, move |child| {
            let id = child.id;
            assert!(id > 0);
            async move {
                assert!(!panics, "as planned");
                Err(Failure::failed(id.to_string()))
            }
        })
    });
    let system = builder(directory.path()).queue("Work", threads(1), script).start().await.unwrap();
    let work = system.queue("work").unwrap();
    let fails = work.submit(Submission::default()).await.unwrap().id;
    let record = end(&work, fails).await.record;
    assert!(!runs(record.error.unwrap().parse().unwrap()));
    let panics = crate::common::submit(&work, "panic").await;
    let record = end(&work, panics).await.record;
    assert_eq!(record.error.as_deref(), Some("the action panicked: as planned"));
    system.shutdown(SOON).await;
}

/// The worker dies, and its program is killed before the slot is used again.
#[tokio::test]
async fn the_death_of_a_worker_kills_its_program() {
    let shells = Shells::new(threads(1)).await;
    let id = shells.run(DEAF).await;
    let process = shells.number_in("deaf").await;
    let next = shells.run(&format!("kill -0 {process} 2>&1; echo gone")).await;
    shells.work.crash_worker(0).await;
    assert_eq!(end_state(&shells.work, id).await, State::Error);
    let status = end(&shells.work, next).await;
    assert!(said_by(&status).contains("No such process"), "{}", said_by(&status));
    shells.system.shutdown(SOON).await;
}

/// The death of the queue's actor does not touch it.
#[tokio::test]
async fn a_program_outlives_the_actor_of_its_queue() {
    let shells = Shells::new(threads(1)).await;
    let id = shells.run("echo $$ > first; while [ ! -e go ]; do sleep 0.01; done; echo done").await;
    shells.number_in("first").await;
    shells.work.crash_actor();
    std::fs::write(shells.path("go"), "").unwrap();
    until(&shells.work, id, State::Finished).await;
    shells.system.shutdown(SOON).await;
}

#[tokio::test]
async fn the_end_of_the_system_ends_programs() {
    for how in ["shutdown", "at once", "drop"] {
        let shells = Shells::new(graceless(1)).await;
        let id = shells.run(DEAF).await;
        let process = shells.number_in("deaf").await;
        let Shells { directory: _directory, system, work, .. } = shells;
        match how {
            "shutdown" => system.shutdown(Duration::ZERO).await,
            "at once" => system.shutdown_now().await,
            _ => {}
        }
        if how != "drop" {
            assert!(!runs(process), "{how}");
        }
        drop((system, work));
        eventually(format!("{id} has gone: {how}"), async || !runs(process)).await;
    }
}

/// One that runs at once holds its permit until the program has gone, whoever waits for it.
#[tokio::test]
async fn a_program_that_runs_at_once_is_killed_too() {
    let shells = Shells::new(graceless(1)).await;
    let held = Arc::new(());
    let mut at_once = Box::pin(shells.work.run_now_until(
        Parameters::from_iter([("Run", DEAF)]),
        std::future::pending(),
        Arc::clone(&held),
    ));
    let process = tokio::select! {
        outcome = &mut at_once => panic!("{outcome:?}"),
        process = shells.number_in("deaf") => process,
    };
    drop(at_once);
    eventually("its permit is free", async || Arc::strong_count(&held) == 1).await;
    assert!(!runs(process));
    shells.system.shutdown(SOON).await;
}

#[tokio::test]
async fn work_is_stopped_that_takes_longer_than_it_may() {
    let mut settings = graceless(1);
    settings.time_limit = Some(Duration::from_secs(1));
    let shells = Shells::new(settings.clone()).await;
    let table = ["exec sleep 1000", DEAF];
    for (number, run) in table.into_iter().enumerate() {
        let status = end(&shells.work, shells.run(run).await).await;
        assert_eq!(status.record.state, State::Error);
        assert_eq!(status.record.error.as_deref(), Some("timed out after 1 s"));
        assert_eq!(shells.came(number + 1).await, Some(Came::TimedOut));
        assert!(status.processing >= Duration::from_secs(1));
    }
    assert_eq!(end_state(&shells.work, shells.run("true").await).await, State::Finished);
    let at_once = shells.work.run_now(Parameters::from_iter([("Run", DEAF)])).await.unwrap();
    assert_eq!(at_once.state, State::Error);
    assert_eq!(at_once.error.as_deref(), Some("timed out after 1 s"));
    // Pauses don't count.
    let id = shells.run("echo $$ > held; exec sleep 0.3").await;
    shells.number_in("held").await;
    if shells.work.pause(id).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(state(&shells.work, id).await, State::Paused);
        shells.work.resume(id).await.unwrap();
        assert_eq!(end_state(&shells.work, id).await, State::Finished);
    }
    shells.system.shutdown(SOON).await;
}

/// A task and a thread, too.
#[tokio::test]
async fn the_time_is_over_for_tasks_and_threads() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = graceless(1);
    settings.time_limit = Some(Duration::from_millis(20));
    let gate = Gate::new();
    let builder = builder(directory.path()).queue("Work", settings, crate::common::at_gate(&gate));
    let system = builder.start().await.unwrap();
    let work = system.queue("work").unwrap();
    for what in ["wait", "block", "deaf", "block deaf"] {
        let record = end(&work, crate::common::submit(&work, what).await).await.record;
        assert_eq!(record.state, State::Error);
        let error = record.error.unwrap();
        let abandoned = what == "block deaf";
        assert_eq!(error.contains("was abandoned"), abandoned, "{error}");
        assert_eq!(error == "timed out after 0.02 s", !abandoned, "{error}");
    }
    gate.open();
    system.shutdown(SOON).await;
}

/// Work sees what it is asked as a stream, also while it does something else.
#[tokio::test]
async fn wishes_come_as_a_stream() {
    use actiond_actors::Wish;
    use futures_util::StreamExt as _;

    let directory = tempfile::tempdir().unwrap();
    let (seen, mut sees) = tokio::sync::mpsc::unbounded_channel();
    let script = Script::new(move |context| {
        let seen = seen.clone();
        Work::task(async move {
            let mut wishes = context.wishes();
            while let Some(wish) = wishes.next().await {
                let _ = seen.send(wish);
                if wish >= Wish::Stop {
                    return Err(Failure::Stopped);
                }
            }
            Ok(Vec::new())
        })
    })
    .pausable();
    let mut settings = threads(1);
    settings.stop_grace = NEVER;
    let system = builder(directory.path()).queue("Work", settings, script).start().await.unwrap();
    let work = system.queue("work").unwrap();
    let id = work.submit(Submission::default()).await.unwrap().id;
    assert_eq!(sees.recv().await, Some(Wish::Run));
    work.pause(id).await.unwrap();
    assert_eq!(sees.recv().await, Some(Wish::Pause));
    work.resume(id).await.unwrap();
    assert_eq!(sees.recv().await, Some(Wish::Run));
    work.stop(id).await.unwrap();
    assert_eq!(sees.recv().await, Some(Wish::Stop));
    assert_eq!(end_state(&work, id).await, State::Stopped);
    system.shutdown(SOON).await;
}
