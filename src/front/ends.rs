//! Tokens by which clients know actions, for what is no reply; and log lines about actions that did not finish.

use std::sync::Arc;

use actiond_actors::events::{Interest, Observer, QueueEvent, Unfinished, observer};
use actiond_actors::store::Store;
use actiond_actors::subject::Entered;
use actiond_actors::{ActionRef, Subject};

use crate::aci::token;

/// Makes a function that makes the token of an action of the queue of this name. `host` and `port` are those of
/// [`EndpointBuilder::address`](super::EndpointBuilder::address). The store, if servers share it, tells those of other servers.
pub fn tokens(
    host: impl Into<String>,
    port: u16,
    store: Option<Arc<dyn Store>>,
) -> impl Fn(&str, ActionRef) -> String {
    let host = host.into();
    move |queue, ActionRef { id, queued_at, taken_by, .. }| {
        let upper = queue.to_ascii_uppercase();
        let site = taken_by.and_then(|site| store.as_ref()?.site(site));
        let (host, port) = site.as_ref().map_or((&host, port), |site| (&site.host, site.port));
        token::encode(host, port, &upper, queued_at.millis(), id.get())
    }
}

/// Makes an [observer](actiond_actors::Builder::observer) that writes a line of the log at level info for each action that
/// ended otherwise than Finished, or was put back into the queue, with queue, token and outcome; and one at level warn for each
/// attempt whose end counts for nothing. It takes what [`tokens`] makes.
/// Use it in place of the lines that the system writes itself, which have ids
/// ([`Builder::log_unfinished`](actiond_actors::Builder::log_unfinished)).
pub fn log_unfinished(
    tokens: impl Fn(&str, ActionRef) -> String + Send + Sync + 'static,
) -> impl Observer {
    observer(Interest::UNFINISHED, move |queue, event| {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        if let Some(unfinished) = Unfinished::of(event) {
            let Unfinished { id, queued_at, taken_by, .. } = unfinished;
            let action = ActionRef { id, queued_at, attempt: 0, taken_by };
            let token = tokens(queue, action);
            let _about = about(queue, action, &token);
            log::info!("queue {queue}: action {token}: {unfinished}");
        } else if let QueueEvent::EndDropped { action, why, .. } = event {
            let (token, attempt) = (tokens(queue, *action), action.attempt);
            let _about = about(queue, *action, &token);
            log::warn!(
                "queue {queue}: action {token}: the end of attempt {attempt} was dropped: {why}"
            );
        }
    })
}

/// Has the lines of this thread be about an action, until what is returned is dropped.
fn about(queue: &str, action: ActionRef, token: &str) -> Option<Entered> {
    let subject = Subject::of_action(queue, Some(action))?;
    subject.set_token(token);
    Some(subject.enter())
}
