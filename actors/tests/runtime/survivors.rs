//! What programs leave behind when their server is killed: the next start ends it, before anything else runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use actiond_actors::testing::{Script, eventually};
use actiond_actors::{Builder, OnRestart, Parameters, State, Submission, System};
use tempfile::TempDir;

use crate::common::{SOON, builder, end, threads};
use crate::leftovers::without_cgroups;
use crate::processes::{number_in, runs, said_by, shell};

/// Where the server of a test is to be.
const AT: &str = "ACTIOND_TEST_AT";

/// What the server runs, by the file into which each writes its number: none of it ends by itself or obeys.
const RUNS: [(&str, &str); 5] = [
    ("plain", "trap '' TERM HUP; echo $$ > plain; while :; do sleep 0.01; done"),
    (
        "group",
        "sh -c 'trap \"\" TERM; echo $$ > group; while :; do sleep 0.01; done' & exec sleep 1000",
    ),
    ("daemon", "setsid sh -c 'sleep 1000 & echo $! > daemon'; exec sleep 1000"),
    ("child", "env -i setsid sh -c 'echo $$ > child; exec sleep 1000' & wait"),
    // Only its cgroup tells whose it is, or the record of it.
    ("cleared", "env -i setsid sh -c 'sleep 1000 & echo $! > cleared'; exec sleep 1000"),
];

async fn start(at: &Path, on_restart: OnRestart) -> System {
    start_by(builder(at), at, on_restart).await
}

async fn start_by(builder: Builder, at: &Path, on_restart: OnRestart) -> System {
    let script = Script::new(shell(at)).on_restart(on_restart);
    builder.queue("Work", threads(RUNS.len()), script).start().await.unwrap()
}

/// Is the server, if the test asks for one by its environment.
fn is_server() -> bool {
    let Ok(at) = std::env::var(AT) else { return false };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let at = Path::new(&at);
        let system = start_by(builder(at).adopt_orphans(true), at, OnRestart::Fail).await;
        let work = system.queue("work").unwrap();
        for (_, run) in RUNS {
            let run = Parameters::from_iter([("Run", run)]);
            work.submit(Submission::new(run)).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    true
}

/// Another run of a test of this binary, as a server.
struct Server(Child);

impl Server {
    fn new(test: &str, at: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(AT, at);
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Kills it, as `kill -9` does.
    fn kill(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The processes of a server, by their files. None of them outlives its test.
#[derive(Debug)]
struct Numbers(Vec<(&'static str, i32)>);

impl Numbers {
    async fn of(at: &Path) -> Self {
        let mut numbers = Self(Vec::new());
        for (file, _) in RUNS {
            numbers.0.push((file, number_in(&at.join(file)).await));
        }
        numbers
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, i32)> {
        self.0.iter().copied()
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        for (_, process) in self.iter().filter(|(_, process)| runs(*process)) {
            let _ = Command::new("kill").arg("-9").arg(process.to_string()).status();
        }
    }
}

fn running(directory: &TempDir) -> PathBuf {
    directory.path().join("processes/running")
}

#[test]
fn the_next_start_ends_what_outlived_its_server_and_nothing_else() {
    if is_server() {
        return;
    }
    let test = "survivors::the_next_start_ends_what_outlived_its_server_and_nothing_else";
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for directory in [without_cgroups(), tempfile::tempdir().unwrap()] {
            let at = directory.path();
            let server = Server::new(test, at);
            let numbers = Numbers::of(at).await;
            eventually("all are recorded", async || {
                let records = std::fs::read_to_string(running(&directory)).unwrap_or_default();
                let is_whole = |line: &&str| line.trim_end().ends_with('#');
                let actions = records.lines().filter(is_whole).filter_map(|l| l.split(' ').nth(4));
                let actions: BTreeSet<_> = actions.filter(|action| *action != "0").collect();
                let (_, cleared) = *numbers.0.last().unwrap();
                let cleared = format!("{cleared} ");
                actions.len() == RUNS.len() && records.lines().any(|l| l.starts_with(&cleared))
            })
            .await;
            server.kill();
            assert!(
                numbers.iter().all(|(_, process)| runs(process)),
                "they outlive it: {numbers:?}"
            );

            // Damage, and records that name the processes of somebody else.
            let stranger = || Server(Command::new("sleep").arg("1000").spawn().unwrap());
            let mut strangers = [stranger(), stranger()];
            let mut records = std::fs::read_to_string(running(&directory)).unwrap();
            let line = records.lines().next().unwrap().to_owned();
            let (number, rest) = line.split_once(' ').unwrap();
            for stranger in &strangers {
                let line = format!("{} {rest}", stranger.0.id());
                records += &format!("{:<255}\n", line.trim_end());
            }
            records += &format!("{:<255}\n", &line[..40]);
            records += &format!("{:<255}\n", format!("{number} -1 \0 damaged"));
            records += &line[..100];
            std::fs::write(running(&directory), records).unwrap();

            let system = start(at, OnRestart::Fail).await;
            for (what, process) in numbers.iter() {
                assert!(!runs(process), "{what} outlived the start");
            }
            for stranger in &mut strangers {
                assert!(stranger.0.try_wait().unwrap().is_none(), "it is somebody else's");
            }
            let work = system.queue("work").unwrap();
            assert_eq!(work.summary().counts.finished(), RUNS.len() as u64, "they failed");
            let again = Parameters::from_iter([("Run", "echo again")]);
            let again = work.submit(Submission::new(again)).await.unwrap().id;
            assert!(said_by(&end(&work, again).await).contains("again"));
            system.shutdown(SOON).await;
        }
    });
}

/// In the moment between a start and its record, a program is known by its mark only.
#[test]
fn what_was_not_recorded_is_found_by_its_mark() {
    if is_server() {
        return;
    }
    let test = "survivors::what_was_not_recorded_is_found_by_its_mark";
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let directory = without_cgroups();
        let server = Server::new(test, directory.path());
        let numbers = Numbers::of(directory.path()).await;
        server.kill();
        std::fs::write(running(&directory), "").unwrap();
        let system = start(directory.path(), OnRestart::Fail).await;
        for (what, process) in numbers.iter() {
            assert_eq!(!runs(process), what != "cleared", "{what}");
        }
        system.shutdown(SOON).await;
    });
}

/// Nothing of the first attempt runs beside the second.
#[test]
fn an_action_is_requeued_after_its_survivors_have_ended() {
    if is_server() {
        return;
    }
    let test = "survivors::an_action_is_requeued_after_its_survivors_have_ended";
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let directory = without_cgroups();
        let at = directory.path().to_owned();
        let server = Server::new(test, &at);
        let numbers = Numbers::of(&at).await;
        server.kill();
        let survivors: Vec<_> = numbers.iter().map(|(_, process)| process).take(4).collect();
        let (seen, sees) = std::sync::mpsc::channel();
        let script = Script::new(move |_| {
            let _ = seen.send(survivors.iter().copied().filter(|process| runs(*process)).count());
            actiond_actors::Work::done(Ok(Vec::new()))
        });
        let script = script.on_restart(OnRestart::Requeue);
        let queue = builder(&at).queue("Work", threads(5), script);
        let system = queue.start().await.unwrap();
        let work = system.queue("work").unwrap();
        eventually("all have run again", async || {
            work.summary().counts.of(State::Finished) == RUNS.len() as u64
        })
        .await;
        assert_eq!(sees.try_iter().collect::<Vec<_>>(), [0; 5]);
        system.shutdown(SOON).await;
    });
}
