//! The settings of an open store, and its connections and tasks, whose end is awaited when it is closed.

use std::ops::Deref;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::settings::Settings;

/// Maximum time for a connection to tell the database of its end, and for all of a store's to have done so.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// The settings of an open store, and all that lives as long as it does.
pub(super) struct Setup {
    settings: Settings,
    /// True once the store closes. Each connection and each task holds a receiver.
    closing: watch::Sender<bool>,
}

impl Setup {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, closing: watch::Sender::new(false) }
    }

    /// Returns what a connection or a task holds as long as it lives.
    pub(super) fn living(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Runs something that ends with the store, at the latest.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut living = self.living();
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                // The sender may have gone, too.
                _ = living.wait_for(|closing| *closing) => {}
            }
        });
    }

    /// Ends the tasks, and waits for the connections, which whoever holds them has dropped: a database that does not answer is
    /// not waited for.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        if timeout(FAREWELL, self.closing.closed()).await.is_err() {
            log::debug!("the database was not told of the end of all connections");
        }
    }
}

impl Deref for Setup {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}
