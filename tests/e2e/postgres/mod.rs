//! Servers that share their queues through a real PostgreSQL.
//!
//! - `servers`: several servers on one schema, to build other tests on; `line`: one between a server and the database, which fails;
//! - `away`: the database goes away, and comes back; `frozen`: it stands still;
//! - `sharing`: what one server takes, runs and shows, every other one knows;
//! - `starting`: what is said of a database that can't be used, and hosts of which one will do;
//! - `passwords`, `tls`: each way to let the server in;
//! - `failover`: a standby that becomes the primary, and a database that is away;
//! - `faults`: single faults of a server or of the database;
//! - `events`: a storm of events over two servers, of which one is killed;
//! - `storm`: three servers, while everything fails;
//! - `migrate`: moving from a data directory and back;
//! - here: one server, and two.
//!
//! Without PostgreSQL they say what was not tested.

mod away;
#[path = "../../../actors/tests/postgres/cluster.rs"]
mod cluster;
#[cfg(target_os = "linux")]
mod events;
mod failover;
#[cfg(target_os = "linux")]
mod faults;
mod frozen;
#[cfg(target_os = "linux")]
mod line;
mod migrate;
mod passwords;
#[path = "../../../actors/tests/postgres/proxy.rs"]
mod proxy;
pub(crate) mod servers;
mod sharing;
mod starting;
#[cfg(target_os = "linux")]
mod storm;
mod tls;

use crate::server::{CONFIG, wait_until};
use crate::steering::waiting::{ask, status};
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
    assert!(!servers.home(0).data().join("actions.db").exists(), "all of it is in the database");
    servers.take(0).kill();

    servers.start_again(0);
    let again = &servers[0];
    let answer = again.about("Process", "getStatus", &ended).success();
    assert_eq!(answer.must("status"), "Finished");
    assert!(answer.0.contains("Ada"), "{}", answer.0);
    running.iter().for_each(|token| drop(again.about("Process", "stop", token).success()));
    // The server that was killed ran them until its lease was over.
    running.iter().for_each(|token| again.wait_for_status(token, "Stopped"));
    again.wait_for_status(&waits, "Finished");
    servers.end(0);

    servers.start_again(0);
    assert_eq!(servers[0].status(&waits), "Finished");
    assert_eq!(servers[0].status(&running[0]), "Stopped");
}

/// An action that one server takes runs on whichever has a free slot, and each knows of all.
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
    assert_eq!(
        database.query("SELECT count(*) FROM done WHERE queue > 0"),
        [[Some("2".to_owned())]]
    );
}

/// A request waits at one server for what another one does.
#[test]
fn a_change_at_another_server_is_waited_for() {
    let Some(database) = Database::shared() else { return };
    let config = CONFIG.replace("MaximumThreads=2", "MaximumThreads=1");
    let mut servers = Servers::start(&database, 2, &config);
    servers[0].info("Process", "pause", "").success();
    let tokens: Vec<_> = (0..2).map(|_| servers[0].submit("&Sleep=600")).collect();
    let wait =
        |token: &String, what| ask(&servers[0], token, &format!("&Wait=3600&WaitFor={what}"));
    // Each has one slot, so one of the two runs elsewhere.
    let starts: Vec<_> = tokens.iter().map(|token| wait(token, "start")).collect();
    servers[1].info("Process", "resume", "").success();
    starts.into_iter().for_each(|start| assert_eq!(status(start), "Processing"));
    // The progress of each.
    tokens.iter().for_each(|token| assert_eq!(status(wait(token, "change")), "Processing"));
    tokens.iter().for_each(|token| drop(servers[1].about("Process", "stop", token).success()));
    tokens.iter().for_each(|token| assert_eq!(status(wait(token, "end")), "Stopped"));
    (0..servers.len()).for_each(|index| servers.end(index));
}

/// A server that ends in order ends its connections so, too: its database has nothing to complain of.
#[test]
fn connections_are_ended_in_order() {
    let Some(database) = Database::own(&["log_min_messages=debug1", "log_line_prefix=%a: "]) else {
        return;
    };
    let mut servers = Servers::start(&database, 2, CONFIG);
    let runs = servers[0].submit("&Sleep=600");
    servers[1].wait_for_status(&runs, "Processing");
    servers[1].about("Process", "stop", &runs).success();
    servers[0].wait_for_status(&runs, "Stopped");
    let sessions = || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'actiond %'";
        let rows = database.query(sql);
        rows[0][0].clone().expect("a number").parse::<u32>().expect("a number")
    };
    assert!(sessions() >= 10, "each has five at least");
    (0..servers.len()).for_each(|index| servers.end(index));
    wait_until("the end of all sessions", || sessions() == 0);
    let log = database.cluster().log();
    let wrong = ["unexpected EOF", "could not receive data", "could not send data"];
    // Not those of the questions above.
    let of_servers = log.lines().filter(|line| line.starts_with("actiond"));
    let wrong: Vec<_> =
        of_servers.filter(|line| wrong.iter().any(|word| line.contains(word))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
