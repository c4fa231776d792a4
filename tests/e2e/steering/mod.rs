//! Steering over HTTP: every command on actions in every state, whole queues, what is deleted, commands to many, what lists find, what is
//! kept of the ended, and waiting for a change.

mod deleting;
mod finding;
mod kept;
mod many;
mod queue;
mod states;
pub(crate) mod waiting;
