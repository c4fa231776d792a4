//! Commands that are passed on to the work of an action, because that is done elsewhere and has not begun there.

use tokio::sync::oneshot;

use crate::action::State;

/// A command that the rules refuse for an action that runs, and that its work may pass on
/// ([`Perform::relays`](crate::Perform::relays)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayedCommand {
    /// Cancel the action, if it has not begun elsewhere. If it is cancelled there, the work ends with
    /// [`Failure::Cancelled`](crate::Failure::Cancelled).
    Cancel,
    /// Give the action another priority elsewhere.
    ChangePriority(i32),
}

/// A relayed command, which wants an answer. Dropped without one, it counts as refused.
#[derive(Debug)]
pub struct Relayed {
    /// The command.
    pub command: RelayedCommand,
    pub(crate) reply: oneshot::Sender<Result<State, String>>,
}

impl Relayed {
    /// Answers the command with the state of the action after it, or with the reason why it was refused, for the client.
    pub fn answer(self, answer: Result<State, String>) {
        // The caller may have stopped waiting.
        let _ = self.reply.send(answer);
    }
}
