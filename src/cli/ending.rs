//! The end of a server: on a wish, in its time.

use super::reload::Reloader;
use super::signals::Signals;
use crate::backup::Backups;
use crate::front::Endpoint;

/// The end of a server that ended well.
pub(super) enum Ended {
    Stopped,
    /// A backup takes the place of the data before the next one begins.
    Restored,
}

/// Waits for a signal, for `Stop` on the service port, or for a backup that is to take its place, then shuts the queues down; a
/// second signal ends the grace period. Requests are answered meanwhile.
pub(super) async fn end_on_wish(
    signals: &mut Signals,
    endpoint: &Endpoint,
    reloader: &Reloader,
    backups: &Backups,
) -> Ended {
    let system = endpoint.system();
    let (name, mut ended) = tokio::select! {
        name = signals.next() => (name, Ended::Stopped),
        () = endpoint.stop_requested() => ("Stop on the service port", Ended::Stopped),
        () = endpoint.restart_requested() => ("RestoreServer", Ended::Restored),
    };
    let grace = reloader.shutdown_grace();
    log::info!(
        "{name}: no new actions are taken; running ones have {} s, a second signal ends them at once",
        grace.as_secs()
    );
    backups.break_off();
    let mut shutdown = std::pin::pin!(system.shutdown(grace));
    loop {
        let is_restored = matches!(ended, Ended::Restored);
        let name = tokio::select! {
            () = &mut shutdown => return ended,
            // After a restore the first one is no sign of impatience.
            name = async { if is_restored { signals.next().await } else { signals.second().await } } => name,
        };
        if is_restored {
            log::info!("{name}: the server ends, and its next start completes the restore");
            ended = Ended::Stopped;
        } else {
            log::warn!("{name} again: running actions are ended now");
            system.shutdown_now().await;
            return Ended::Stopped;
        }
    }
}
