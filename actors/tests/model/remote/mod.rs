//! The protocol of workers elsewhere that ask for actions, checked in every order of events that a few deaths, lost
//! answers and silences allow.
//!
//! It is apart from the other two models and small: one server, which may be followed by another, and two workers. A
//! worker asks for something to do, has an attempt, and says how that ended, again and again until it is told what became of
//! it. The server is a batch on its way, the attempts that it knows of, and those that wait for an answer. Each change of
//! a row asks [`actiond_actors::lifecycle`] here too.
//!
//! - `world`: all that there is, as plain data, and what happens at most;
//! - `steps`: which events are possible; `server`: what the server does in each; `words`: what it says to workers;
//! - `laws`: Q2, Q4, Q11, Q14 and a few more, as they read for workers elsewhere;
//! - `tests`: the models that keep every law, and the mistakes that each break one.

mod laws;
mod server;
mod steps;
mod tests;
mod words;
mod world;
