//! Control on a full disk: the room that is kept back for it is given when it is needed, serves for as
//! long as it takes, and is taken back by itself.

use std::path::Path;

use super::super::calls::Caller;
use super::super::server::Home;
use super::disk::{
    CONFIG, SmallDisk, fill, fill_the_rest, holds_just, says_that_the_disk_is_the_reason,
};
use super::until_taken;

/// How many actions are steered on the full disk, each twice.
const STEERED: usize = 1_000;

/// How large the file is that holds the reserve.
fn reserve(disk: &Path) -> u64 {
    std::fs::metadata(disk.join("actions.reserve")).unwrap().len()
}

#[test]
fn control_goes_on_when_the_disk_is_full() {
    let home = Home::new(CONFIG);
    let Some(disk) = SmallDisk::new(&home.data(), 128) else { return };
    disk.occupy("ballast", 72_000_000);
    let server = home.start();
    let whole = reserve(&disk.0);
    assert_eq!(whole, 16 << 20, "an eighth of the disk");
    server.info("Held", "pause", "").success();
    let mut caller = Caller::new(server.address).unwrap();
    let mut steered = Vec::new();
    for n in 0..STEERED {
        let answer = caller.ask(&format!("Held&Priority={n}")).unwrap();
        steered.push(answer.success().must("token"));
    }
    let stopped = server.submit_to("Work", "&Sleep=600");
    let paused = server.submit_to("Work", "&Sleep=600");
    for token in [&stopped, &paused] {
        server.wait_in("Work", token, "Processing");
    }

    let (mut tokens, refusal) = fill(&server);
    says_that_the_disk_is_the_reason(&refusal);
    let refusal = fill_the_rest(&server, &mut tokens);
    assert!(refusal.error().1.contains("the disk that holds the actions is full"), "{}", refusal.0);
    assert_eq!(reserve(&disk.0), 0, "it was not given");
    assert!(tokens.len() > 100, "the disk was full too early to show anything");

    let mut caller = Caller::new(server.address).unwrap();
    for token in &steered {
        let priority = format!("changePriority&Priority=7&Token={token}");
        caller.ask(&format!("QueueInfo&QueueName=Held&QueueAction={priority}")).unwrap().success();
        caller.about("Held", "cancel", token).unwrap().success();
    }
    server.about("Work", "pause", &paused).success();
    server.wait_in("Work", &paused, "Paused");
    server.about("Work", "resume", &paused).success();
    for token in [&stopped, &paused] {
        server.about("Work", "stop", token).success();
        server.wait_in("Work", token, "Stopped");
    }
    server.info("Work", "pause", "").success();
    server.info("Work", "resume", "").success();
    says_that_the_disk_is_the_reason(&server.post("Held", &[("Small", "x")]));
    // Not even the death of the server loses what was acknowledged, and it starts on the full disk.
    server.kill();
    let server = home.start();
    for token in steered.iter().step_by(50) {
        assert_eq!(server.status_in("Held", token), "Cancelled");
    }
    for token in tokens.iter().step_by(10) {
        assert_eq!(server.status_in("Held", token), "Queued");
    }
    assert_eq!(server.status_in("Work", &stopped), "Stopped");
    says_that_the_disk_is_the_reason(&server.post("Held", &[("Small", "x")]));
    let last = tokens.pop().unwrap();
    server.about("Held", "cancel", &last).success();

    std::fs::remove_file(disk.0.join("ballast")).unwrap();
    until_taken(&server, "x", &mut tokens);
    assert_eq!(reserve(&disk.0), whole, "it was not taken back");
    let pending = server.info("Held", "queueStatus", "").success().number("pending");
    assert_eq!(pending, tokens.len() as u64);
    server.kill();
    drop(disk);
}

/// The backlog of a full disk is worked off with what is kept back, and the ends of what runs are kept.
#[test]
fn work_goes_on_when_the_disk_is_full() {
    let home = Home::new(CONFIG);
    let Some(disk) = SmallDisk::new(&home.data(), 64) else { return };
    disk.occupy("ballast", 40_000_000);
    let server = home.start();
    server.info("Held", "pause", "").success();
    let blockers = [(); 2].map(|()| server.submit_to("Work", "&Sleep=600"));
    let waiting: Vec<_> = (0..50).map(|_| server.submit_to("Work", "&Name=waits")).collect();
    let (mut tokens, _) = fill(&server);
    says_that_the_disk_is_the_reason(&fill_the_rest(&server, &mut tokens));
    for token in &blockers {
        server.about("Work", "stop", token).success();
    }
    for token in &waiting {
        server.wait_in("Work", token, "Finished");
    }
    holds_just(&server, &tokens);
    server.kill();
    drop(disk);
}
