//! The configuration of a server that runs: what the service port asks of whoever reads and reloads it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// The configuration of a running server.
pub(crate) trait LiveConfig: Send + Sync {
    /// Returns the value of each key that is in force, as a configuration that means the same but for secrets.
    fn show(self: Arc<Self>) -> BoxFuture<'static, String>;

    /// Reads the configuration as a reload would, puts nothing of it in force, and returns what it found.
    fn validate(self: Arc<Self>) -> BoxFuture<'static, ConfigFindings>;

    /// Reads the configuration and puts it in force, as far as that can be done while the server runs. It is done to its end,
    /// also if the future is dropped.
    ///
    /// # Errors
    ///
    /// The reason for which nothing has changed.
    fn reload_now(self: Arc<Self>) -> BoxFuture<'static, Result<ReloadOutcome, String>>;
}

/// The mistakes and probable mistakes of a configuration: a line for each, with file and line where they apply. Both lists are
/// bounded.
#[derive(Debug, Default)]
pub(crate) struct ConfigFindings {
    /// The reasons for which a reload would be refused; empty if it would not.
    pub(crate) problems: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// The outcome of a reload: a line for each change. The lists are bounded.
#[derive(Debug, Default)]
pub(crate) struct ReloadOutcome {
    /// The keys whose new values are in force.
    pub(crate) changed: Vec<String>,
    /// Changes that have no effect before a restart.
    pub(crate) needs_restart: Vec<String>,
    pub(crate) warnings: Vec<String>,
}
