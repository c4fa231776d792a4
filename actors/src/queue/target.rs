//! The target of a command.

use crate::action::{ActionId, Timestamp};
use crate::store::Submitted;

/// The action that a command is meant for: its id, perhaps with the time at which it was queued. Where the action of that
/// id was queued at another time, the command is refused as one to an unknown action
/// ([`QueueError::UnknownAction`](crate::QueueError::UnknownAction)). So a program that keeps both, such as in a token,
/// needs no look before the command.
///
/// ```
/// use actiond_actors::{ActionId, Target, Timestamp};
/// let id = ActionId::new(7).expect("an id");
/// assert_eq!(Target::from(id), Target { id, queued_at: None });
/// let exactly = Target { id, queued_at: Some(Timestamp(1_000)) };
/// assert_ne!(exactly, id.into());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The action's id.
    pub id: ActionId,
    /// The time at which it was queued; `None` = any.
    pub queued_at: Option<Timestamp>,
}

impl From<ActionId> for Target {
    fn from(id: ActionId) -> Self {
        Self { id, queued_at: None }
    }
}

impl From<Submitted> for Target {
    fn from(Submitted { id, queued_at, .. }: Submitted) -> Self {
        Self { id, queued_at: Some(queued_at) }
    }
}
