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
        // A panic has given it back, and to do so again would move the cursor back over its message.
        if !std::thread::panicking() {
            // A terminal that has gone needs nothing.
            let _ = ratatui::try_restore();
        }
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

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read as _;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::*;

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        let name = "cli::client::watch::screen::tests::it_panics_with_the_screen_taken";
        command.args(["--exact", name, "--ignored", "--nocapture"]);
        command.env("RUST_BACKTRACE", "0");
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let mut screen = vt100::Parser::new(24, 80, 0);
        let (mut piece, mut was_taken) = ([0; 4096], false);
        while let Ok(count @ 1..) = reader.read(&mut piece) {
            for byte in &piece[..count] {
                screen.process(std::slice::from_ref(byte));
                was_taken |= screen.screen().alternate_screen();
            }
        }
        assert!(!child.wait().unwrap().success());
        let (screen, shown) = (screen.screen(), screen.screen().contents());
        assert!(was_taken && !screen.alternate_screen() && !screen.hide_cursor(), "{shown}");
        assert!(shown.contains("in the middle of it"), "the message is read: {shown}");
        let flags = format!("{:?}", pair.master.get_termios().unwrap().local_flags);
        assert!(flags.contains("ECHO") && flags.contains("ICANON"), "{flags}");
    }

    #[test]
    #[ignore = "the other test runs it, in a terminal"]
    fn it_panics_with_the_screen_taken() {
        let mut screen = Screen::take().unwrap();
        screen.draw(|_| panic!("in the middle of it")).unwrap();
    }
}
