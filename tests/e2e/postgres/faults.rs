//! Single faults: a server that stands still, processes of PostgreSQL that are killed, and a disk that is full there.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::cluster::Cluster;
use super::servers::{Database, Servers, programs};
use crate::durable::disk::SmallDisk;
use crate::server::wait_until;
use crate::skip::skipped;

/// Programs that write down what they do, and end when they are told.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().display();
        let script = format!(
            "D='{path}'\n\
             echo \"begin $ACTIOND_ATTEMPT $$\" >> \"$D/$1\"\n\
             until [ -e \"$D/$1-$ACTIOND_ATTEMPT\" ]; do sleep 0.02; done\n\
             echo \"end $ACTIOND_ATTEMPT $$\" >> \"$D/$1\"\n\
             echo \"<attempt>$ACTIOND_ATTEMPT</attempt>\"\n"
        );
        std::fs::write(directory.path().join("work.sh"), script).expect("a script");
        Self { directory }
    }

    /// Queues of such programs, one for each of the two promises.
    fn config(&self) -> String {
        let command = format!("/bin/sh {}/work.sh {{Name}}", self.directory.path().display());
        let queue = |name: &str, on_restart: &str| {
            format!(
                "[{name}]\nType=Command\nCommand={command}\nOnRestart={on_restart}\nStopGraceSecs=1\n"
            )
        };
        let (again, once) = (queue("Again", "Requeue"), queue("Once", "Fail"));
        format!("[AsyncActions]\n0=Again\n1=Once\n{again}{once}")
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until this attempt has begun; returns the number of its process.
    fn begun(&self, name: &str, attempt: u32) -> String {
        let mut pid = None;
        wait_until(&format!("attempt {attempt} at {name}"), || {
            let begin = format!("begin {attempt} ");
            pid = self
                .lines(name)
                .iter()
                .find_map(|line| line.strip_prefix(&begin).map(str::to_owned));
            pid.is_some()
        });
        pid.expect("it has begun")
    }

    /// Tells an attempt to end.
    fn end(&self, name: &str, attempt: u32) {
        std::fs::write(self.directory.path().join(format!("{name}-{attempt}")), "")
            .expect("a file");
    }
}

fn is_gone(pid: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.is_empty()
}

/// A server that stands still for longer than its lease: what may run again is run by another, and the end of its own attempt is
/// not believed; what may run only once is an error, and is not started again. When it goes on, it ends what it still runs.
#[test]
fn a_server_that_stood_still_is_not_believed() {
    let Some(database) = Database::shared() else { return };
    let bench = Bench::new();
    let config = format!("MaximumThreads=2\n{}", bench.config());
    let mut servers = Servers::start(&database, 2, &config);
    servers.end(1);
    let submit = |queue: &str, name: &str| servers[0].submit_to(queue, &format!("&Name={name}"));
    let (late, ended, once) =
        (submit("Again", "late"), submit("Again", "ended"), submit("Once", "once"));
    let pids = ["late", "ended", "once"].map(|name| bench.begun(name, 1));
    servers.start_again(1);

    servers[0].signal("STOP");
    // Another one runs them, and both attempts run at the same time.
    bench.begun("late", 2);
    bench.begun("ended", 2);
    servers[1].wait_in("Once", &once, "Error");
    let failed = servers[1].about("Once", "getStatus", &once).success();
    servers[1].wait_for_line(&["WARN", "the server server-0 (", "has stopped answering"]);
    assert!(pids.iter().all(|pid| !is_gone(pid)), "nobody ends them while it stands still");
    // One of them comes to its own end.
    bench.end("late", 1);
    wait_until("the end of the first attempt", || {
        bench.lines("late").iter().any(|l| l.starts_with("end 1"))
    });

    servers[0].signal("CONT");
    servers[0].wait_for_line(&["this server goes on in the store as owner"]);
    wait_until("the end of what it ran", || pids.iter().all(|pid| is_gone(pid)));
    for (queue, token) in [("Again", &late), ("Again", &ended), ("Once", &once)] {
        let dropped = "the end of attempt 1 was dropped: another server had taken the action over";
        servers[0].wait_for_line(&["WARN", &format!("queue {queue}: action {token}: {dropped}")]);
    }
    for server in servers.iter() {
        assert_eq!(server.status_in("Again", &late), "Processing");
        assert_eq!(server.status_in("Again", &ended), "Processing");
        assert_eq!(
            server.about("Once", "getStatus", &once).success().must("error"),
            failed.must("error")
        );
    }
    for (name, token) in [("late", &late), ("ended", &ended)] {
        bench.end(name, 2);
        servers[0].wait_in("Again", token, "Finished");
        let answer = servers[1].about("Again", "getStatus", token).success();
        assert_eq!(answer.must("attempt"), "2", "{}", answer.0);
    }
    assert_eq!(bench.lines("once").len(), 1, "{:?}", bench.lines("once"));
    // It is as good as any other again.
    let next = servers[0].submit_to("Once", "&Name=next");
    bench.begun("next", 1);
    bench.end("next", 1);
    servers[0].wait_in("Once", &next, "Finished");
    (0..servers.len()).for_each(|index| servers.end(index));
}

/// A process of PostgreSQL that is killed takes all others with it, and the database recovers. The server goes on, with all that
/// it had acknowledged, and what ran meanwhile has run once.
#[test]
fn a_killed_process_of_postgresql_costs_nothing() {
    let Some(database) = Database::own(&[]) else { return };
    let bench = Bench::new();
    let servers = Servers::start(&database, 1, &bench.config());
    let server = &servers[0];
    let runs = server.submit_to("Once", "&Name=runs");
    bench.begun("runs", 1);
    let mut taken = Vec::new();
    let victims = [
        "application_name LIKE '% writes'",
        "application_name LIKE '% listens'",
        "backend_type = 'checkpointer'",
        "backend_type = 'walwriter'",
    ];
    for which in victims {
        taken.push(server.submit_to("Again", "&Name=waits"));
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE {which} LIMIT 1");
        let mut pid = None;
        // It may still be coming back from the last time.
        wait_until(which, || {
            pid = database.query(&sql).first().and_then(|row| row[0].clone());
            pid.is_some()
        });
        let pid = pid.expect("a process");
        let ready = || database.cluster().log().matches("ready to accept connections").count();
        let before = ready();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().expect("kill").success());
        wait_until("a database that has recovered", || ready() > before);
        wait_until("a server that takes something again", || {
            let answer = server.ask("Again&Name=waits");
            if answer.is_success() {
                taken.push(answer.must("token"));
            } else {
                assert_eq!(answer.error().0, "ERRORUNAVAILABLE", "{}", answer.0);
            }
            answer.is_success()
        });
    }
    wait_until("a server that shows something again", || {
        server.about("Once", "getStatus", &runs).is_success()
    });
    bench.end("runs", 1);
    server.wait_in("Once", &runs, "Finished");
    assert_eq!(bench.lines("runs").len(), 2, "{:?}", bench.lines("runs"));
    (1..9).for_each(|attempt| bench.end("waits", attempt));
    for token in &taken {
        server.wait_in("Again", token, "Finished");
    }
}

/// Submissions that do not fit into PostgreSQL's disk are refused, nothing that was acknowledged is lost, and once there is room, all goes on
/// by itself.
#[test]
fn a_full_disk_of_postgresql_refuses_but_loses_nothing() {
    let Some(programs) = programs() else { return };
    // In a name space of its own a user is root, but nobody else is there, whom PostgreSQL would run as.
    if std::fs::metadata("/proc/self").expect("this process").uid() != 0 {
        return skipped("a full disk of PostgreSQL", "mounting one needs root");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let Some(disk) = SmallDisk::new(directory.path(), 160) else { return };
    let settings = ["min_wal_size=32MB", "max_wal_size=32MB", "wal_recycle=off"];
    let mut cluster = Cluster::at(&programs, disk.0.clone(), &settings);
    cluster.start();
    let mut database = Database::in_cluster(cluster);
    let config = "[AsyncActions]\n0=Held\n1=Work\n[Held]\nType=Echo\n[Work]\nType=Echo\n";
    let servers = Servers::start(&database, 1, config);
    let server = &servers[0];
    server.info("Held", "pause", "").success();
    let runs = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &runs, "Processing");
    disk.occupy("ballast", 40_000_000);
    let mut taken = Vec::new();
    let refusal = (0..100).find_map(|_| {
        // It is stored compressed, so it must not be too regular.
        let large: String =
            std::iter::repeat_with(fastrand::alphanumeric).take(1_000_000).collect();
        let answer = server.post("Held", &[("Large", &large)]);
        if answer.is_success() {
            taken.push(answer.must("token"));
        }
        (!answer.is_success()).then_some(answer)
    });
    let refusal = refusal.expect("a disk that is full");
    assert_eq!(refusal.error().0, "ERRORUNAVAILABLE", "{}", refusal.0);
    assert!(!taken.is_empty());
    std::fs::remove_file(disk.0.join("ballast")).expect("it was there");
    wait_until("a server that takes something again", || {
        // Where its log does not fit, PostgreSQL ends.
        if database.cluster_mut().has_ended() {
            database.cluster_mut().start();
        }
        let answer = server.post("Held", &[("Small", "x")]);
        if answer.is_success() {
            taken.push(answer.must("token"));
        }
        answer.is_success()
    });
    for token in &taken {
        assert_eq!(server.status_in("Held", token), "Queued");
    }
    let status = server.info("Held", "queueStatus", "").success();
    assert_eq!(status.number("pending"), taken.len() as u64);
    server.about("Work", "stop", &runs).success();
    server.wait_in("Work", &runs, "Stopped");
}
