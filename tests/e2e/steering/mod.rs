//! Steering over HTTP: every command on actions in every state, whole queues, what is deleted, commands to many, what lists find, lists
//! that go on behind an action, statistics, what is
//! kept of the ended, and waiting for a change.

mod deleting;
mod finding;
mod kept;
mod many;
mod paging;
mod queue;
mod states;
pub(crate) mod waiting;

use std::time::Instant;

use super::calls::{Answer, Caller};
use super::server::{PATIENCE, Server};

/// Submits so many actions to the queue `Work`, by eight clients at once.
fn submit_many(server: &Server, number: u64) {
    let address = server.address;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut caller = Caller::new(address).unwrap();
                for _ in 0..number / 8 {
                    caller.ask("Work&Name=Ada").unwrap().success();
                }
            });
        }
    });
}

/// Sends a command to many actions, and returns its answer. Until then others submit, poll and steer as ever in the queue `Other`.
fn command_beside_others(server: &Server, command: &str) -> Answer {
    let address = server.address;
    let held = server.submit_to("Other", "&Sleep=600");
    let mut steps = 0;
    let answer = std::thread::scope(|scope| {
        let commands =
            scope.spawn(|| Caller::new(address).unwrap().ask(command).unwrap().success());
        let mut caller = Caller::new(address).unwrap();
        while !commands.is_finished() {
            let began = Instant::now();
            let token = caller.ask("Other&Name=Ada").unwrap().success().must("token");
            caller.about("Other", "cancel", &token).unwrap().success();
            caller.about("Other", "getStatus", &held).unwrap().success();
            assert!(began.elapsed() < PATIENCE / 6, "it was held up for {:?}", began.elapsed());
            steps += 1;
        }
        commands.join().unwrap()
    });
    assert!(steps > 3, "{steps}: it was held up");
    answer
}
