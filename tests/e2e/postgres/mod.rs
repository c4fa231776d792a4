//! Servers that share their queues through a real PostgreSQL.
//!
//! - `servers`: several servers on one schema, to build other tests on; `proxy`: what may stand between one and the database;
//! - `faults`: single faults of a server or of the database;
//! - `storm`: three of them, while everything fails;
//! - here: one server, and two.
//!
//! Without PostgreSQL they say what was not tested.

#[path = "../../../actors/tests/postgres/cluster.rs"]
mod cluster;
#[cfg(target_os = "linux")]
mod faults;
mod proxy;
pub(crate) mod servers;
#[cfg(target_os = "linux")]
mod storm;

use crate::server::CONFIG;
use servers::{Database, Servers};

/// All that a server has taken and ended is there after a restart, and the next one goes on with the rest.
#[test]
fn a_server_that_starts_again_finds_all_again() {
    let Some(database) = Database::shared() else { return };
    let mut servers = Servers::start(&database, 1, CONFIG);
    let ended = servers[0].submit("&Name=Ada");
    servers[0].wait_for_status(&ended, "Finished");
    let running: Vec<_> = (0..2).map(|_| servers[0].submit("&Sleep=600")).collect();
    running.iter().for_each(|token| servers[0].wait_for_status(token, "Processing"));
    let waits = servers[0].submit("&Name=Grace");
    assert_eq!(servers[0].status(&waits), "Queued");
    servers.take(0).kill();

    servers.start_again(0);
    let again = &servers[0];
    let answer = again.about("Process", "getStatus", &ended).success();
    assert_eq!(answer.must("status"), "Finished");
    assert!(answer.0.contains("Ada"), "{}", answer.0);
    // They run again once the lease of the one that was killed is over.
    running.iter().for_each(|token| again.wait_for_status(token, "Processing"));
    running.iter().for_each(|token| drop(again.about("Process", "stop", token).success()));
    again.wait_for_status(&waits, "Finished");
    servers.end(0);

    servers.start_again(0);
    assert_eq!(servers[0].status(&waits), "Finished");
    assert_eq!(servers[0].status(&running[0]), "Stopped");
}

/// What one server takes runs on whichever has a free slot, and each knows of all.
#[test]
fn two_servers_share_a_queue() {
    let Some(database) = Database::shared() else { return };
    let config = CONFIG.replace("MaximumThreads=2", "MaximumThreads=1");
    let mut servers = Servers::start(&database, 2, &config);
    let tokens: Vec<_> = (0..2).map(|_| servers[0].submit("&Sleep=600")).collect();
    // Each has one slot.
    tokens.iter().for_each(|token| servers[0].wait_for_status(token, "Processing"));
    tokens.iter().for_each(|token| drop(servers[0].about("Process", "stop", token).success()));
    tokens.iter().for_each(|token| servers[0].wait_for_status(token, "Stopped"));
    (0..servers.len()).for_each(|index| servers.end(index));
    assert_eq!(database.query("SELECT count(*) FROM done"), [[Some("2".to_owned())]]);
}
