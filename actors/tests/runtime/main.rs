//! The runtime end to end: systems on directories of their own, scripted performers, faults.
//!
//! - `store`: the conformance suite for the embedded store, and what only it can do wrong;
//! - `files`: directories and database files that can't be used;
//! - `formats`: database files that an earlier version wrote;
//! - `running`: how actions end, stop and are forced; progress; actions that run at once;
//! - `pausing`: actions that are paused and resumed one by one;
//! - `attempts`: retries, earliest starts, and actions that their server dies with;
//! - `resuming`: attempts that outlive a server, and what is reserved for those that begin;
//! - `queueing`: order, limits, pause and resume, keys, copies, waits;
//! - `reconfiguring`: settings of a queue that are replaced while it runs;
//! - `clocks`: a wall clock that jumps;
//! - `draining`: a shutdown and those who wait for an answer meanwhile;
//! - `restarting`: shutdown, and the death of the whole server;
//! - `crashing`: the death of a queue's actor;
//! - `workers`: the death of its workers;
//! - `unfinished`: what is told of actions that did not finish;
//! - `examples`: the programs in `examples/`;
//! - `processes`: work that is a program of its own, wishes as a stream, time limits;
//! - `leftovers`: what programs leave behind when they end;
//! - `survivors`: what programs leave behind when their server is killed;
//! - `observing`: what observers are told;
//! - `many`: commands to many actions, and deletion;
//! - `in_memory`: the store in memory, and its file;
//! - `damage`: lists of a database that is damaged;
//! - `embedded`: what an application does that is none of ours;
//! - `failing`: a store that fails or answers late;
//! - `owners`: leases, notices and what may start later, at the word of a store that others share;
//! - `leading`: events of which another server tells for a while;
//! - `powercut`: a machine that loses its power.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod attempts;
#[path = "../../../tests/e2e/cargo.rs"]
mod cargo;
mod clocks;
mod common;
mod crashing;
mod damage;
mod delivering;
mod draining;
mod embedded;
mod examples;
mod failing;
mod files;
mod formats;
mod in_memory;
#[cfg(target_os = "linux")]
mod leading;
mod leftovers;
mod many;
mod observing;
mod owners;
mod pausing;
mod powercut;
#[cfg(target_os = "linux")]
mod processes;
mod queueing;
mod receivers;
mod reconfiguring;
mod restarting;
mod resuming;
mod running;
mod starting_later;
mod store;
#[cfg(target_os = "linux")]
mod survivors;
mod unfinished;
mod workers;
