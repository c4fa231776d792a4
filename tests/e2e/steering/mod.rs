//! Steering over HTTP: every command on actions in every state, whole queues, what is deleted, and waiting for a change.

mod deleting;
mod queue;
mod states;
pub(crate) mod waiting;
