//! Permissions: one check for each request, before its parameters are looked at.

use std::iter;

use super::actions::Action;
use super::endpoint::Endpoint;
use super::message::{Caller, Port};
use super::served_queue::ServedQueue;
use crate::access::{Access, Concerned, Wanted};
use crate::aci::catalog::ActionSpec;
use crate::aci::catalog::builtin::QUEUE_INFO;
use crate::aci::error::AciError;
use crate::aci::request::Pairs;

/// Checks that a caller may have an action performed, and logs it if not.
///
/// # Errors
///
/// [`AciError::permission`].
pub(super) fn authorize(
    endpoint: &Endpoint,
    port: Port,
    caller: &Caller,
    action: Action<'_>,
    pairs: &Pairs,
) -> Result<(), AciError> {
    let spec = action.spec();
    let (access, role) = (endpoint.access(), action.role(pairs));
    let wanted =
        |queue| Wanted { action: spec.name, subaction: action.subaction(pairs), role, queue };
    #[cfg(test)]
    for queue in action.concerns(endpoint, pairs) {
        super::tests::judge(caller, &wanted(queue))?;
    }
    let revealed = action.reveals(pairs);
    // So that most requests cost nothing more.
    if access.is_open(role) && (revealed.is_empty() || access.is_open(spec.role)) {
        return Ok(());
    }
    let mut concerned = action.concerns(endpoint, pairs);
    if concerned.is_empty() {
        concerned.push(Concerned::Unknown);
    }
    for queue in concerned {
        let revealed = revealed.iter().map(|part| Wanted {
            action: spec.name,
            subaction: Some(*part),
            role: spec.role,
            queue,
        });
        for wanted in iter::once(wanted(queue)).chain(revealed) {
            let is_allowed = match port {
                Port::Aci => access.allows(caller, &wanted),
                Port::Service => access.allows_service(caller, wanted.action, wanted.role),
            };
            if !is_allowed {
                return Err(refused(&access, caller, &wanted));
            }
        }
    }
    Ok(())
}

/// Returns what a caller has to be allowed who is told of a queue.
pub(super) const fn to_see(queue: &str) -> Wanted<'_> {
    let queue = Concerned::Queue(queue);
    Wanted { action: QUEUE_INFO.name, subaction: Some("getStatus"), role: QUEUE_INFO.role, queue }
}

/// Returns true if a caller may see a queue or send actions to it, so that its name is no secret.
pub(super) fn may_know(access: &Access, caller: &Caller, served: &ServedQueue) -> bool {
    let ActionSpec { name, role, .. } = served.spec();
    let to_send = Wanted { action: name, subaction: None, role, queue: Concerned::Queue(name) };
    access.allows(caller, &to_see(name)) || access.allows(caller, &to_send)
}

/// Returns the error for a caller who has no role at all, and the warning for the log: what it sends need not even be read.
pub(crate) fn refused_unread(endpoint: &Endpoint, caller: &Caller) -> (AciError, String) {
    let told = format!("no role is yours.{}", hint(&endpoint.access(), caller));
    (AciError::permission(&told), format!("a request {caller} was refused: it has no role"))
}

/// Returns the error for a caller who may not see the metrics, and logs it.
pub(super) fn refused_metrics(access: &Access, caller: &Caller) -> AciError {
    log::warn!("a request {caller} was refused: the metrics need the role ServiceStatus");
    AciError::permission(&format!(
        "the metrics need the role ServiceStatus, and that is not yours.{}",
        hint(access, caller)
    ))
}

/// Returns the error for a caller who may not have this performed, and logs it.
pub(super) fn refused(access: &Access, caller: &Caller, wanted: &Wanted<'_>) -> AciError {
    let Wanted { action, role, .. } = wanted;
    let part = wanted.subaction.map(|part| format!(".{part}")).unwrap_or_default();
    let what = match wanted.queue {
        Concerned::Queue(queue) if queue != *action => {
            format!("{action}{part} for the queue {queue}")
        }
        _ => format!("{action}{part}"),
    };
    let role = role.name();
    log::warn!(
        "a request {caller} was refused: {what} needs the role {role}, or one that names it"
    );
    AciError::permission(&format!(
        "{what} needs the role {role}, or a role that names it, and that is not yours.{}",
        hint(access, caller)
    ))
}

/// Returns what a caller can do about it.
fn hint(access: &Access, caller: &Caller) -> &'static str {
    match (access.has_keys(), &caller.credential) {
        (true, None) => " If you have a key, send it: Authorization: Bearer KEY.",
        (true, Some(_)) if access.is_wrong_key(caller) => " The key is not known here.",
        _ => "",
    }
}
