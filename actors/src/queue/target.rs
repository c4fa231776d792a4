//! What a command is meant for.

use crate::action::{ActionId, Timestamp};
#[cfg(doc)]
use crate::queue::QueueError;
use crate::store::Submitted;

/// One action that a command is meant for: by its id, or by its id and the time at which it was queued. Where that is
/// another one's, the command is refused as that of an unknown action ([`QueueError::UnknownAction`]) and changes nothing: so
/// whoever names actions outside of a store needs no look before the command.
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
    /// Its id.
    pub id: ActionId,
    /// When it was queued, if that is known.
    pub queued_at: Option<Timestamp>,
}

impl From<ActionId> for Target {
    fn from(id: ActionId) -> Self {
        Self { id, queued_at: None }
    }
}

impl From<Submitted> for Target {
    fn from(Submitted { id, queued_at }: Submitted) -> Self {
        Self { id, queued_at: Some(queued_at) }
    }
}
