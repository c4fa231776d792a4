//! Errors of the queues, for the client and for the log. No path of the server's disk reaches a client in one.

use actiond_actors::QueueError;

use super::reply_memory::NoReplyMemory;
use crate::aci::error::AciError;
use crate::aci::words::nearest;

/// Returns the ACI error for an error of a queue, for a client that named the action by this token.
pub(super) fn queue_error(error: &QueueError, queue: &str, token: Option<&str>) -> AciError {
    match error {
        QueueError::UnknownAction { .. } => unknown_token(queue, token.unwrap_or_default()),
        QueueError::Refused(refusal) => {
            AciError::refused(token.unwrap_or_default(), &refusal.to_string())
        }
        QueueError::RefusedElsewhere { reason } => {
            AciError::refused(token.unwrap_or_default(), reason)
        }
        QueueError::NotTaken { reason } => AciError::not_taken(queue, reason),
        QueueError::QueueFull { limit, retry_after } => {
            let seconds = u32::try_from(retry_after.as_millis().div_ceil(1_000));
            AciError::queue_full(queue, *limit, seconds.unwrap_or(u32::MAX))
        }
        QueueError::Unavailable { reason } => AciError::unavailable(reason),
        // The store says which file it is about, and what the system said of it.
        QueueError::Store(told) => {
            AciError::unavailable(&told.without_paths()).logged(error.to_string())
        }
        other => AciError::unavailable(&other.to_string()),
    }
}

/// Returns the error for a parameter that names none of those that there are, and says which one may be meant. Whoever is told
/// must be one who may know their names.
pub(super) fn no_such(parameter: &str, given: &str, known: &[impl AsRef<str>]) -> AciError {
    let known = || known.iter().map(AsRef::as_ref);
    let allowed = known().collect::<Vec<_>>().join(", ");
    AciError::invalid(parameter, given, &format!("one of {allowed}")).meant(nearest(given, known()))
}

pub(super) fn unknown_token(queue: &str, token: &str) -> AciError {
    let allowed =
        format!("the token of an action that was sent to the queue {queue} and is still kept");
    AciError::invalid("Token", token, &allowed)
}

impl From<NoReplyMemory> for AciError {
    fn from(error: NoReplyMemory) -> Self {
        Self::unavailable(&error.to_string())
    }
}

impl From<NoReplyMemory> for QueueError {
    fn from(error: NoReplyMemory) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}
