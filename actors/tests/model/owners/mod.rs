//! The protocol of two servers on one store, checked in every order of events that a few crashes, lost messages
//! and leases that run out allow.
//!
//! It is apart from the model of one queue and much smaller: a server is what it runs, what it has claimed and
//! not heard of, and what it has still to report. Each change of a row asks [`actiond_actors::lifecycle`] here too.
//!
//! - `world`: all that there is, as plain data, and what happens at most;
//! - `steps`: what a server does in each event; `possible`: which events are possible;
//! - `store`: what the store does in one transaction; `lost`: transactions whose answers are lost;
//! - `laws`: Q2 to Q8, Q11, Q12, Q14 and a few more, as they read for several owners;
//! - `holds`: the tests that the protocol keeps every law; `fails`: the tests that each of a list of mistakes (`fault`)
//!   breaks one.
//!
//! Time is two events: by its own measure a server's lease is over (it was cut off, or stood still), and later,
//! never before, it is over by the store's clock. Work can't be cut off at that moment on another machine: two
//! attempts may overlap for a while, and the laws ask that only one of them is believed.

mod fails;
mod fault;
mod holds;
mod laws;
mod lost;
mod possible;
mod steps;
mod store;
mod world;
