//! A disk that takes no more: submissions are refused with the reason, everything acknowledged stays,
//! reads go on, and once there is room again the server recovers by itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::calls::Answer;
use super::super::server::{Home, Server, wait_until};
use super::super::skip::skipped;
use super::{is_quiet, until_taken};

pub(super) const CONFIG: &str = "
[AsyncActions]
0=Held
1=Work
[Held]
Type=Echo
[Work]
Type=Echo
MaximumThreads=2
";

/// Submits to the paused queue until the disk is full; returns the tokens and the refusal.
pub(super) fn fill(server: &Server) -> (Vec<String>, Answer) {
    let (large, mut tokens) = ("x".repeat(100_000), Vec::new());
    for _ in 0..2_000 {
        let answer = server.post("Held", &[("Large", &large)]);
        if !answer.is_success() {
            return (tokens, answer);
        }
        tokens.push(answer.must("token"));
    }
    panic!("the disk took 200 MB");
}

/// Fills what the large ones left: after this not even a small action is taken.
pub(super) fn fill_the_rest(server: &Server, tokens: &mut Vec<String>) -> Answer {
    for size in [10_000, 1_000, 100] {
        for _ in 0..2_000 {
            let answer = server.post("Held", &[("Small", &"x".repeat(size))]);
            if !answer.is_success() {
                break;
            }
            tokens.push(answer.must("token"));
        }
    }
    server.post("Held", &[("Small", "x")])
}

pub(super) fn says_that_the_disk_is_the_reason(answer: &Answer) {
    let (code, description) = answer.error();
    assert_eq!(code, "ERRORUNAVAILABLE", "{description}");
    let description = description.to_lowercase();
    assert!(
        description.contains("full") || description.contains("can't be read or written"),
        "{description}"
    );
}

/// Every acknowledged action is there with its parameters, and nothing that was refused is.
pub(super) fn holds_just(server: &Server, tokens: &[String]) {
    for token in tokens {
        assert_eq!(server.status_in("Held", token), "Queued");
    }
    let last = server.about("Held", "getActionParameters", tokens.last().unwrap()).success();
    assert!(last.0.contains("xxxx") || last.0.contains("value=\"x\""), "{}", last.0);
    let list = server.info("Held", "getStatus", "").success();
    assert_eq!(list.values("token").len(), tokens.len());
    let counted = server.info("Held", "queueStatus", "").success().number("pending");
    assert_eq!(counted, tokens.len() as u64);
}

#[test]
fn a_limit_on_the_size_of_files_refuses_but_loses_nothing() {
    let home = Home::new(CONFIG);
    // In blocks of 512 bytes or of 1024, as the shell has it: 2 or 4 MB.
    let server = Server::run(home.command_after("ulimit -f 4096"));
    server.info("Held", "pause", "").success();
    let done = server.submit_to("Work", "&Name=before");
    server.wait_in("Work", &done, "Finished");
    let (tokens, refusal) = fill(&server);
    says_that_the_disk_is_the_reason(&refusal);
    assert!(tokens.len() > 5, "the limit came too early to show anything");
    holds_just(&server, &tokens);
    says_that_the_disk_is_the_reason(&server.post("Held", &[("Large", &"x".repeat(100_000))]));
    assert_eq!(server.status_in("Work", &done), "Finished");
    server.kill();

    let server = home.start();
    holds_just(&server, &tokens);
    let more = server.post("Held", &[("Large", &"x".repeat(100_000))]).success().must("token");
    assert_eq!(server.status_in("Held", &more), "Queued");
    server.info("Held", "resume", "").success();
    for token in tokens.iter().chain([&more]) {
        server.wait_in("Held", token, "Finished");
    }
}

/// A small disk; it is taken away again when this is dropped.
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    /// Returns nothing, and says so, where this may not be done.
    pub(crate) fn new(at: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "none"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        if !done {
            let test = std::thread::current().name().unwrap_or("a full disk").to_owned();
            skipped(&test, "a small disk can't be mounted here (this needs root)");
        }
        done.then(|| Self(at.to_owned()))
    }

    /// Writes a file as large as this, or as the disk takes; returns how large.
    pub(crate) fn occupy(&self, name: &str, limit: usize) -> usize {
        let mut file = std::fs::File::create(self.0.join(name)).unwrap();
        let (piece, mut written) = ([1; 4096], 0);
        while written < limit && file.write_all(&piece).is_ok() {
            written += piece.len();
        }
        written
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test leaves is ended after this.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_server_on_a_full_disk_recovers_by_itself() {
    let home = Home::new(CONFIG);
    let Some(disk) = SmallDisk::new(&home.data(), 6) else { return };
    let ballast = disk.0.join("ballast");
    disk.occupy("ballast", 2_000_000);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let before = server.submit_to("Work", "&Name=before");
    server.wait_in("Work", &before, "Finished");
    // One that ends while nothing can be written down.
    let meanwhile = server.submit_to("Work", "&Sleep=60");
    server.wait_in("Work", &meanwhile, "Processing");

    let (mut tokens, _) = fill(&server);
    let refusal = fill_the_rest(&server, &mut tokens);
    says_that_the_disk_is_the_reason(&refusal);
    assert!(refusal.error().1.contains("the disk that holds the actions is full"), "{}", refusal.0);
    holds_just(&server, &tokens);
    assert_eq!(server.status_in("Work", &meanwhile), "Processing");
    assert_eq!(server.status_in("Work", &before), "Finished");
    assert!(server.ask("GetStatus").is_success());

    std::fs::remove_file(&ballast).unwrap();
    until_taken(&server, &"x".repeat(100_000), &mut tokens);
    holds_just(&server, &tokens);
    server.about("Work", "stop", &meanwhile).success();
    server.wait_in("Work", &meanwhile, "Stopped");
    let after = server.submit_to("Work", "&Name=after");
    server.wait_in("Work", &after, "Finished");
    server.signal("TERM");
    assert!(server.wait().0.success());

    let server = home.start();
    holds_just(&server, &tokens);
    assert_eq!(server.status_in("Work", &after), "Finished");
    server.kill();
    drop(disk);
}

/// Others keep what they took of the disk: what the database gives back is all the room that there will be.
#[test]
fn deletions_make_room_on_a_disk_that_others_have_filled() {
    let home = Home::new(CONFIG);
    let Some(disk) = SmallDisk::new(&home.data(), 32) else { return };
    let server = home.start();
    server.info("Held", "pause", "").success();
    let large = "x".repeat(100_000);
    for _ in 0..120 {
        let token = server.post("Held", &[("Large", &large)]).success().must("token");
        server.about("Held", "cancel", &token).success();
    }
    disk.occupy("ballast", usize::MAX);
    let mut tokens = Vec::new();
    says_that_the_disk_is_the_reason(&fill_the_rest(&server, &mut tokens));
    let deleted = server.info("Held", "delete", "&State=cancelled").success();
    assert_eq!(deleted.number("deleted"), 120);
    until_taken(&server, &large, &mut tokens);
    holds_just(&server, &tokens);
    server.kill();
    let server = home.start();
    holds_just(&server, &tokens);
    server.kill();
    drop(disk);
}

/// The end of an action for which even what was kept back is not enough is written once there is room.
#[test]
fn an_end_on_a_full_disk_is_written_down_later() {
    let home = Home::new(CONFIG);
    let Some(disk) = SmallDisk::new(&home.data(), 12) else { return };
    disk.occupy("ballast", 5_000_000);
    let server = home.start();
    server.info("Held", "pause", "").success();
    // Their results repeat what they were given. One such end may still fit into the log, which is
    // there already; two do not.
    let large = "x".repeat(1_000_000);
    let ends = [(); 2].map(|()| {
        let token = server.post("Work", &[("Sleep", "2"), ("Large", &large)]).success();
        token.must("token")
    });
    for token in &ends {
        server.wait_in("Work", token, "Processing");
    }
    let (mut tokens, _) = fill(&server);
    says_that_the_disk_is_the_reason(&fill_the_rest(&server, &mut tokens));
    // Somebody else takes all that is left.
    disk.occupy("rest", usize::MAX);

    wait_until("the end of their work", || {
        ends.iter().all(|token| {
            let answer = server.about("Work", "getStatus", token).success();
            answer.must("status") == "Finished"
                || answer.value("slept_ms").as_deref() == Some("2000")
        })
    });
    let began = Instant::now();
    wait_until("time in which an end could be shown", || {
        let hidden = ends.iter().any(|token| server.status_in("Work", token) == "Processing");
        assert!(hidden, "an end that is not on disk was shown");
        began.elapsed() > Duration::from_millis(600)
    });
    for name in ["ballast", "rest"] {
        std::fs::remove_file(disk.0.join(name)).unwrap();
    }
    for token in &ends {
        server.wait_in("Work", token, "Finished");
    }
    holds_just(&server, &tokens);
    server.kill();
    let server = home.start();
    for token in &ends {
        assert_eq!(server.status_in("Work", token), "Finished");
    }
    server.kill();
    drop(disk);
}

/// A queue with free slots, and actions whose start can't be written down, must wait and not spin.
#[test]
fn a_queue_that_can_start_nothing_on_a_full_disk_is_quiet() {
    let home = Home::new(CONFIG);
    let mut command = home.command_after("ulimit -f 4096");
    command.env("RUST_LOG", "info");
    let server = Server::run(command);
    // The queue is full of work behind one that runs; its end and every start after it need the disk.
    let blocker = server.submit_to("Held", "&Sleep=0.5");
    server.wait_in("Held", &blocker, "Processing");
    let (tokens, refusal) = fill(&server);
    says_that_the_disk_is_the_reason(&refusal);
    assert!(tokens.len() > 5);
    is_quiet(server, Duration::from_secs(2), 200);
}
