//! Steering over HTTP: every command on actions in every state, and whole queues.

mod queue;
mod states;
