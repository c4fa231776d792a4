//! Permissions: one check for each request, before its parameters are looked at.

use super::message::Caller;
use super::served_queue::ServedQueue;
use crate::aci::catalog::ActionSpec;
use crate::aci::error::AciError;

/// Checks that a caller may have an action performed; the error is [`AciError::permission`].
///
/// Everybody may do everything: a caller that reaches the port is let in. This is the place for roles (`spec.role`, and
/// `Actions` that name an action or one `subaction` of it, such as `QueueInfo.getStatus`), for keys and certificates of the
/// `caller`, and for limits to a `queue`. A sub-action comes in the spelling of the documentation, however the client wrote
/// it. `None` is a queue that there is not, or an action that concerns none.
pub(super) fn authorize(
    caller: &Caller,
    spec: &ActionSpec<'_>,
    subaction: Option<&str>,
    queue: Option<&ServedQueue>,
) -> Result<(), AciError> {
    log::trace!(
        "{caller:?} may have {} performed ({subaction:?}, queue {:?}, role {:?})",
        spec.name,
        queue.map(|served| served.queue.name()),
        spec.role,
    );
    #[cfg(test)]
    super::tests::judge(caller, spec, subaction, queue)?;
    Ok(())
}
