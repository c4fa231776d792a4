//! Steering over HTTP: every command on actions in every state, whole queues, what is deleted, commands to many, what lists find, and what is kept of the ended.

mod deleting;
mod finding;
mod kept;
mod many;
mod queue;
mod states;
