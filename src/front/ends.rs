//! Lines of the log about actions that did not finish, with the tokens by which clients know them.

use actiond_actors::Unfinished;

use crate::aci::token;

/// Makes what [`Builder::on_unfinished`](actiond_actors::Builder::on_unfinished) takes: a line of the log at level
/// info for each action that ended otherwise than Finished, or was interrupted and runs again, with queue, token and
/// what became of it. `host` and `port` are those of [`EndpointBuilder::address`](super::EndpointBuilder::address).
pub fn log_unfinished(
    host: impl Into<String>,
    port: u16,
) -> impl Fn(&Unfinished<'_>) + Send + Sync + 'static {
    let host = host.into();
    move |unfinished| {
        if log::log_enabled!(log::Level::Info) {
            let Unfinished { queue, id, queued_at, .. } = *unfinished;
            let upper = queue.to_ascii_uppercase();
            let token = token::encode(&host, port, &upper, queued_at.millis(), id.get());
            log::info!("queue {queue}: action {token}: {unfinished}");
        }
    }
}
