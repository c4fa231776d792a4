//! Steering over HTTP: every command on actions in every state, whole queues, and what is deleted.

mod deleting;
mod queue;
mod states;
