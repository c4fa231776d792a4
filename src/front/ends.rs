//! Tokens by which clients know actions, for what is no reply; and log lines about actions that did not finish.

use actiond_actors::ActionRef;
use actiond_actors::events::{Interest, Observer, Unfinished, observer};

use crate::aci::token;

/// Makes a function that makes the token of an action of the queue of this name. `host` and `port` are those of
/// [`EndpointBuilder::address`](super::EndpointBuilder::address).
pub fn tokens(host: impl Into<String>, port: u16) -> impl Fn(&str, ActionRef) -> String {
    let host = host.into();
    move |queue, ActionRef { id, queued_at, .. }| {
        let upper = queue.to_ascii_uppercase();
        token::encode(&host, port, &upper, queued_at.millis(), id.get())
    }
}

/// Makes an [observer](actiond_actors::Builder::observer) that writes a line of the log at level info for each action that
/// ended otherwise than Finished, or was put back into the queue, with queue, token and outcome. `host` and `port` are
/// those of [`EndpointBuilder::address`](super::EndpointBuilder::address). Use it in place of the lines that the system writes
/// itself, which have ids ([`Builder::log_unfinished`](actiond_actors::Builder::log_unfinished)).
pub fn log_unfinished(host: impl Into<String>, port: u16) -> impl Observer {
    let host = host.into();
    observer(Interest::UNFINISHED, move |queue, event| {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        if let Some(unfinished) = Unfinished::of(event) {
            let Unfinished { id, queued_at, .. } = unfinished;
            let upper = queue.to_ascii_uppercase();
            let token = token::encode(&host, port, &upper, queued_at.millis(), id.get());
            log::info!("queue {queue}: action {token}: {unfinished}");
        }
    })
}
