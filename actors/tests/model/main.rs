//! The protocol of one queue, checked in every order of events that a few commands and crashes allow.
//!
//! The rules are not repeated here: each step that changes a row asks [`actiond_actors::lifecycle`].
//! The model is of the protocol around them: what is durable, what is gathered and in flight, what
//! the slots do, and what is lost when the queue's actor or the whole server dies.
//!
//! - `setup`: the setup of a model, and the mistakes that it can have built in;
//! - `world`: the state, as plain data; `set`: a set of numbers in it;
//! - `inbox`, `store`, `queue`, `rebuild`, `worker`: what each part does in one step;
//! - `retries`: retries, restarts, and starts that must wait for a time;
//! - `steps`: the possible steps, and the `stateright` model itself;
//! - `laws`: Q1 to Q14 and a few more, as pure predicates; `moves`: the table of Q3;
//! - `reach`: states that a model must reach;
//! - `holds`: the tests that the protocol keeps every law; `larger`: the same, by hand;
//! - `fails`: the tests that each of a list of mistakes breaks one;
//! - `retried`: both for retries, restarts, and starts that must wait;
//! - `circles`: the test that no events follow each other for ever;
//! - `owners`: a model of its own, of two servers that share a store;
//! - `remote`: another one, of workers elsewhere that ask for actions;
//! - `taken`: a small one, of an attempt that the server takes over which hears of it;
//! - `told`: another small one, of events that handlers are told of.
//!
//! Omissions, larger bounds and results are in `docs/model.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod circles;
mod fails;
mod holds;
mod inbox;
mod larger;
mod laws;
mod moves;
mod owners;
mod queue;
mod reach;
mod rebuild;
mod remote;
mod retried;
mod retries;
mod set;
mod setup;
mod steps;
mod store;
mod taken;
mod told;
mod worker;
mod world;
