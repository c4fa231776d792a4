//! The terminal: taken while the command runs, and given back as it was in every end, also after a panic or a signal.

use std::io;

use ratatui::{DefaultTerminal, Frame};

/// The whole screen. Dropping it gives the terminal back; a panic does so before its message is printed.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        let terminal = ratatui::try_init().inspect_err(|_| {
            // It may have got half of it.
            let _ = ratatui::try_restore();
        })?;
        Ok(Self { terminal })
    }

    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = ratatui::try_restore();
    }
}

/// The signals that end the command. Ctrl-C is a key there.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    all: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate())?;
        let (hang_up, interrupt) =
            (signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?);
        Ok(Self { all: [terminate, hang_up, interrupt] })
    }

    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        let [terminate, hang_up, interrupt] = &mut self.all;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
            _ = interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub(super) const fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        // Without the handler nothing else would end it either.
        let _ = tokio::signal::ctrl_c().await;
    }
}
