//! Log lines about actions that did not finish, with the tokens by which clients know them.

use actiond_actors::events::{Interest, Observer, Unfinished, observer};

use crate::aci::token;

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
