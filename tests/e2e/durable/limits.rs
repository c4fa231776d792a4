//! What a system refuses other than for want of room on the disk: files that may grow no further (`ulimit -f`), and files
//! that take no change at all (`chattr +i`). Control goes on as far as that lets it, and all goes on by itself afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::calls::{Answer, Caller};
use super::super::server::{Home, Server, wait_until};
use super::super::skip::skipped;
use super::damage::refused;
use super::disk::{CONFIG, fill, fill_the_rest, says_that_the_disk_is_the_reason};
use super::{names_no_path, until_taken};

/// How many actions are steered while nothing is taken, each twice.
const STEERED: usize = 300;

const MEGABYTE: u64 = 1 << 20;

/// Limits the size of this server's files, in bytes; `None` takes the limit away.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let done = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), &format!("--fsize={limit}:unlimited")])
        .status();
    assert!(done.expect("prlimit of util-linux").success());
}

/// Starts a server whose files have this limit from the beginning.
fn start_limited(home: &Home, bytes: u64) -> Server {
    let plain = home.command();
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={bytes}:unlimited")).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(home.path());
    Server::run(command)
}

/// A paused queue with actions to steer, and two that run in the other.
fn busy(server: &Server) -> (Vec<String>, [String; 2]) {
    server.info("Held", "pause", "").success();
    let mut caller = Caller::new(server.address).unwrap();
    let steered = (0..STEERED)
        .map(|n| caller.ask(&format!("Held&Priority={n}")).unwrap().success().must("token"));
    let steered = steered.collect();
    let run = [(); 2].map(|()| server.submit_to("Work", "&Sleep=600"));
    for token in &run {
        server.wait_in("Work", token, "Processing");
    }
    (steered, run)
}

/// Steers all of them while submissions are refused.
fn steer(server: &Server, steered: &[String], run: &[String]) {
    let mut caller = Caller::new(server.address).unwrap();
    for token in steered {
        let priority = format!("changePriority&Priority=7&Token={token}");
        caller.ask(&format!("QueueInfo&QueueName=Held&QueueAction={priority}")).unwrap().success();
        caller.about("Held", "cancel", token).unwrap().success();
    }
    for token in run {
        server.about("Work", "pause", token).success();
        server.about("Work", "stop", token).success();
        server.wait_in("Work", token, "Stopped");
    }
    server.info("Work", "pause", "").success();
    server.info("Work", "resume", "").success();
    says_that_the_disk_is_the_reason(&server.post("Held", &[("Small", "x")]));
}

#[test]
fn control_goes_on_where_files_may_grow_no_further() {
    let home = Home::new(CONFIG);
    let server = start_limited(&home, 16 * MEGABYTE);
    let (steered, run) = busy(&server);
    let (mut tokens, refusal) = fill(&server);
    says_that_the_disk_is_the_reason(&refusal);
    let refusal = fill_the_rest(&server, &mut tokens);
    assert!(refusal.error().1.contains("lets its files grow no further"), "{}", refusal.0);
    assert!(tokens.len() > 50, "the limit came too early to show anything");
    steer(&server, &steered, &run);
    for token in tokens.iter().step_by(10) {
        assert_eq!(server.status_in("Held", token), "Queued");
    }
    // Not even the death of the server loses what was acknowledged, and it starts at the limit.
    server.kill();
    let server = start_limited(&home, 16 * MEGABYTE);
    for token in steered.iter().step_by(30) {
        assert_eq!(server.status_in("Held", token), "Cancelled");
    }
    says_that_the_disk_is_the_reason(&server.post("Held", &[("Large", &"x".repeat(100_000))]));
    let last = tokens.pop().unwrap();
    server.about("Held", "cancel", &last).success();

    limit_files(&server, None);
    until_taken(&server, &"x".repeat(100_000), &mut tokens);
    let pending = server.info("Held", "queueStatus", "").success().number("pending");
    assert_eq!(pending, tokens.len() as u64);
    let more = server.post("Held", &[("Large", &"x".repeat(2_000_000))]).success().must("token");
    assert_eq!(server.status_in("Held", &more), "Queued");
}

#[test]
fn a_limit_that_comes_while_the_server_runs_is_noticed_and_so_is_its_end() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let (steered, run) = busy(&server);
    let large = "x".repeat(100_000);
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(server.post("Held", &[("Large", &large)]).success().must("token"));
    }
    let longest = |name: &str| std::fs::metadata(home.data().join(name)).unwrap().len();
    limit_files(&server, Some(longest("actions.db").max(longest("actions.db-wal")) + 8 * MEGABYTE));
    let (more, refusal) = fill(&server);
    says_that_the_disk_is_the_reason(&refusal);
    tokens.extend(more);
    says_that_the_disk_is_the_reason(&fill_the_rest(&server, &mut tokens));
    steer(&server, &steered, &run);
    limit_files(&server, None);
    until_taken(&server, &large, &mut tokens);
    let pending = server.info("Held", "queueStatus", "").success().number("pending");
    assert_eq!(pending, tokens.len() as u64);
}

/// The limit may come between two looks at it.
#[test]
fn a_limit_is_the_reason_from_the_first_submission_that_it_stops() {
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let large = "x".repeat(100_000);
    let mut tokens = vec![server.post("Held", &[("Large", &large)]).success().must("token")];
    let log = std::fs::metadata(home.data().join("actions.db-wal")).unwrap().len();
    server.submit_to("Held", "&Small=looks");
    limit_files(&server, Some(log + 40_000));
    for _ in 0..20 {
        let refusal = server.post("Held", &[("Large", &large)]);
        says_that_the_disk_is_the_reason(&refusal);
        assert!(refusal.error().1.contains("lets its files grow no further"), "{}", refusal.0);
    }
    limit_files(&server, None);
    until_taken(&server, &large, &mut tokens);
}

/// A transaction may be larger than the log may become; that is nobody else's trouble.
#[test]
fn one_action_that_is_too_large_for_the_limit_is_refused_alone() {
    let home = Home::new(CONFIG);
    let server = start_limited(&home, 4 * MEGABYTE);
    server.info("Held", "pause", "").success();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        says_that_the_disk_is_the_reason(
            &server.post("Held", &[("Large", &"x".repeat(4_500_000))]),
        );
        tokens.push(server.submit_to("Held", "&Small=x"));
        let cancelled = server.submit_to("Held", "&Small=x");
        server.about("Held", "cancel", &cancelled).success();
    }
    for token in &tokens {
        assert_eq!(server.status_in("Held", token), "Queued");
    }
}

/// A file that takes no changes; it takes them again when this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    /// Returns nothing, and says so, where this may not be done.
    fn make(path: &Path) -> Option<Self> {
        let done = Command::new("chattr")
            .arg("+i")
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        if !done {
            skipped("a file that takes no changes", "chattr can't be used here (it needs root)");
        }
        done.then(|| Self(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

fn says_that_it_takes_no_changes(answer: &Answer, home: &Home) {
    let (code, description) = answer.error();
    assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
    assert!(description.contains("can't be read or written"), "{description}");
    names_no_path(home, answer);
}

/// Nothing can be written at all then: that is said, and reads go on.
#[test]
fn a_log_that_takes_no_changes_is_named_and_all_goes_on_afterwards() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let (steered, run) = busy(&server);
    let log = home.data().join("actions.db-wal");
    let Some(immutable) = Immutable::make(&log) else { return };
    for _ in 0..20 {
        says_that_it_takes_no_changes(&server.post("Held", &[("Small", "x")]), &home);
        says_that_it_takes_no_changes(&server.about("Held", "cancel", &steered[0]), &home);
        says_that_it_takes_no_changes(&server.about("Work", "stop", &run[0]), &home);
        assert_eq!(server.status_in("Held", &steered[0]), "Queued");
        assert_eq!(server.status_in("Work", &run[0]), "Processing");
    }
    drop(immutable);
    let mut tokens = Vec::new();
    until_taken(&server, "x", &mut tokens);
    server.about("Held", "cancel", &steered[0]).success();
    server.about("Work", "stop", &run[0]).success();
    server.wait_in("Work", &run[0], "Stopped");
    server.signal("TERM");
    let (_, log) = server.wait();
    let told = log.iter().filter(|line| line.contains("ERROR") && line.contains("submissions are"));
    assert_eq!(told.count(), 1, "{log:?}");
}

/// With every file of the data directory, as by `chattr +i data/*`.
#[test]
fn a_data_directory_that_takes_no_changes_ends_no_server() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let (steered, run) = busy(&server);
    let files: Vec<_> =
        std::fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let log = home.data().join("actions.db-wal");
    assert!(files.contains(&log));
    let mut immutable = Vec::new();
    for file in &files {
        let Some(file) = Immutable::make(file) else { return };
        immutable.push(file);
    }
    for token in &steered[..20] {
        says_that_it_takes_no_changes(&server.post("Held", &[("Small", "x")]), &home);
        says_that_it_takes_no_changes(&server.about("Held", "cancel", token), &home);
        says_that_it_takes_no_changes(&server.about("Work", "stop", &run[0]), &home);
        says_that_it_takes_no_changes(&server.info("Held", "resume", ""), &home);
        assert_eq!(server.status_in("Held", token), "Queued");
        assert_eq!(server.status_in("Work", &run[0]), "Processing");
        let list = server.info("Held", "getStatus", "&MaxResults=10").success();
        assert_eq!(list.values("token").len(), 10);
    }
    drop(immutable);
    let mut tokens = Vec::new();
    until_taken(&server, "x", &mut tokens);
    for token in &run {
        server.about("Work", "stop", token).success();
        server.wait_in("Work", token, "Stopped");
    }
    server.kill();
    let server = home.start();
    let pending = server.info("Held", "queueStatus", "").success().number("pending");
    assert_eq!(pending, (STEERED + tokens.len()) as u64);
}

/// A mapped file that takes no change, or is cut short, ends the process at the next access to it.
#[cfg(unix)]
#[test]
fn no_file_is_mapped() {
    let home = Home::new(CONFIG);
    let mapped = home.data().join("actions.db-shm");
    std::fs::create_dir(home.data()).unwrap();
    std::fs::write(&mapped, "of an earlier version that was killed").unwrap();
    let server = home.start();
    let token = server.submit_to("Work", "&Small=x");
    server.wait_in("Work", &token, "Finished");
    assert!(!mapped.exists());
    // So nobody else may read it meanwhile, nor before.
    let other = || {
        let other = rusqlite::Connection::open(home.data().join("actions.db")).unwrap();
        other.busy_timeout(std::time::Duration::ZERO).unwrap();
        let count = other.query_row("SELECT count(*) FROM action", [], |row| row.get::<_, u64>(0));
        (other, count)
    };
    assert!(other().1.unwrap_err().to_string().contains("locked"));
    server.signal("TERM");
    server.wait();
    let (open, count) = other();
    assert_eq!(count, Ok(1));
    let said = refused(&home);
    let expected =
        format!("{} is open in another program", home.data().join("actions.db").display());
    assert!(said.contains(&expected), "{said}");
    drop(open);
    assert_eq!(home.start().status_in("Work", &token), "Finished");
}

/// The log can still be written, as long as it has room: that is kept for control.
#[test]
fn control_goes_on_while_the_database_takes_no_changes() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let (steered, run) = busy(&server);
    let database = home.data().join("actions.db");
    let Some(immutable) = Immutable::make(&database) else { return };
    let (mut tokens, refusal) = fill(&server);
    says_that_it_takes_no_changes(&refusal, &home);
    steer(&server, &steered, &run);
    says_that_it_takes_no_changes(&server.post("Held", &[("Small", "x")]), &home);
    drop(immutable);
    until_taken(&server, "x", &mut tokens);
    let folded = || std::fs::metadata(&database).unwrap().len() > MEGABYTE;
    wait_until("the log in the database", || {
        until_taken(&server, "x", &mut tokens);
        folded()
    });
    server.kill();
    let server = home.start();
    for token in steered.iter().step_by(30) {
        assert_eq!(server.status_in("Held", token), "Cancelled");
    }
    let pending = server.info("Held", "queueStatus", "").success().number("pending");
    assert_eq!(pending, tokens.len() as u64);
    let list = server.info("Held", "getStatus", "&State=Queued").success();
    assert_eq!(list.values("token").len(), tokens.len());
}
