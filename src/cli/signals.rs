//! The signals that end the server, and those that must not.

use std::io;
use std::time::{Duration, Instant};

/// Within what time after the first signal another one is the same wish: process managers and wrappers pass one on
/// that the process group has had as well.
const SAME_WISH: Duration = Duration::from_secs(1);

/// SIGTERM and SIGINT, or what comes nearest.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    /// The time at which the first one came.
    first: Option<Instant>,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            first: None,
        })
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { first: None })
    }

    /// Waits for the next one, and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        let name = self.any().await;
        self.first.get_or_insert_with(Instant::now);
        name
    }

    /// Waits for one that is a wish of its own, not the first one once more.
    pub(super) async fn second(&mut self) -> &'static str {
        loop {
            let name = self.any().await;
            if self.first.is_none_or(|first| first.elapsed() >= SAME_WISH) {
                return name;
            }
            log::info!("{name} again within a second: taken for the same wish");
        }
    }

    #[cfg(unix)]
    async fn any(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(not(unix))]
    async fn any(&mut self) -> &'static str {
        // Without a signal to wait for, the server runs until it is ended from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

/// SIGHUP, the wish to read parts of the configuration again; and a guard against SIGXFSZ, which would end the process where a
/// file grows beyond what the system allows it (the write then fails, and only its caller gets an error). From when this is
/// made until it is dropped, neither ends the process.
pub(super) struct Reloads {
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
    #[cfg(unix)]
    _too_large: tokio::signal::unix::Signal,
    // Whoever starts the server may ignore it, and the system then keeps nothing of how a program has ended.
    #[cfg(unix)]
    _child: tokio::signal::unix::Signal,
}

impl Reloads {
    #[cfg(unix)]
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            _too_large: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
            _child: signal(SignalKind::child())?,
        })
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next wish.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if self.hang_up.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}
