//! Output that only a terminal shows. The program runs in a pseudo-terminal, and what it writes is drawn by a terminal in memory.

use std::io::{Read, Write};
use std::sync::mpsc;

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use super::super::server::{PATIENCE, wait_until};
use super::foreign::Foreign;
use super::{Served, words};

/// A program in a terminal of 80 columns and 24 lines.
struct Terminal {
    screen: vt100::Parser,
    bytes: mpsc::Receiver<Vec<u8>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    pty: Box<dyn MasterPty + Send>,
    raw: Vec<u8>,
}

impl Terminal {
    fn run(server: &str, line: &str) -> Self {
        Self::run_with(server, line, &[])
    }

    fn run_with(server: &str, line: &str, variables: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_actiond"));
        command.args(words(line));
        command.env_clear();
        command.env("ACTIOND_SERVER", server);
        command.env("TERM", "xterm-256color");
        variables.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let keys = pair.master.take_writer().expect("its keyboard");
        let (sender, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                if sender.send(piece[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(24, 80, 0);
        Self { screen, bytes, keys, child, pty: pair.master, raw: Vec::new() }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("a key");
    }

    fn look(&mut self) -> String {
        for piece in self.bytes.try_iter() {
            self.screen.process(&piece);
            self.raw.extend(piece);
        }
        self.screen.screen().contents()
    }

    /// Waits until the screen shows all of these words.
    #[track_caller]
    fn wait_for(&mut self, wanted: &[&str]) {
        let what = format!("{wanted:?} on the screen");
        self.wait_for_screen(&what, |seen| wanted.iter().all(|words| seen.contains(words)));
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    fn wait_for_screen(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        let mut seen = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, || {
                seen = self.look();
                is_so(&seen)
            });
        }));
        if let Err(why) = found {
            eprintln!("the screen was:\n{seen}");
            std::panic::resume_unwind(why);
        }
    }

    /// Waits for the end of the program, and returns its exit code.
    #[track_caller]
    fn end(&mut self) -> u32 {
        let mut status: Option<ExitStatus> = None;
        wait_until("the end of the program", || {
            self.look();
            status = self.child.try_wait().expect("its state");
            status.is_some()
        });
        // What it has written last is still on its way.
        while let Ok(piece) = self.bytes.recv_timeout(PATIENCE) {
            self.screen.process(&piece);
            self.raw.extend(piece);
        }
        status.expect("its state").exit_code()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.process_id().expect("its number").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill").success());
    }

    /// Returns true if the terminal is as it was before: the first screen, its cursor shown, keys echoed line by line.
    fn is_restored(&mut self) -> bool {
        self.look();
        let screen = self.screen.screen();
        let termios = self.pty.get_termios().expect("its modes");
        let flags = format!("{:?}", termios.local_flags);
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && flags.contains("ECHO")
            && flags.contains("ICANON")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bar_shows_progress_and_goes_away() {
    let served = Served::start();
    let mut terminal = Terminal::run(&served.url(), "send Process Sleep=1.5 --wait");
    terminal.wait_for(&["Processing ", " %", "left"]);
    assert_eq!(terminal.end(), 0);
    let shown = terminal.look();
    assert!(shown.contains("status: Finished") && !shown.contains(" % "), "{shown}");
    // The result is in colour there, and not with NO_COLOR.
    assert!(terminal.raw.windows(4).any(|bytes| bytes == b"\x1b[1m"));
    let mut plain =
        Terminal::run_with(&served.url(), "send Process Name=Ada --wait", &[("NO_COLOR", "1")]);
    assert_eq!(plain.end(), 0);
    let colours =
        plain.raw.windows(4).filter(|bytes| *bytes == b"\x1b[1m" || *bytes == b"\x1b[32").count();
    assert_eq!(colours, 0, "{}", String::from_utf8_lossy(&plain.raw));
}

#[test]
fn ctrl_c_asks_what_to_do() {
    let served = Served::start();
    let token = served.send_running();
    let mut terminal = Terminal::run(&served.url(), &format!("status --wait {token}"));
    terminal.wait_for(&["Processing"]);
    terminal.press("\x03");
    terminal.wait_for(&["The action goes on. [s]top it, [l]eave it, [g]o on waiting:"]);
    terminal.press("g\r");
    // Back at a bar, which stands below the question: it asks again.
    terminal.wait_for_screen("a bar below the question", |shown| {
        shown.split("waiting: g").nth(1).is_some_and(|below| below.contains("Processing"))
    });
    terminal.press("\x03");
    terminal
        .wait_for_screen("the second question", |shown| shown.matches("[l]eave it").count() == 2);
    terminal.press("l\r");
    assert_eq!(terminal.end(), 9);
    assert_eq!(served.status(&token), "Processing");

    let mut terminal = Terminal::run(&served.url(), &format!("status --wait {token}"));
    terminal.wait_for(&["Processing"]);
    terminal.press("\x03");
    terminal.wait_for(&["[s]top it"]);
    terminal.press("s\r");
    assert_eq!(terminal.end(), 5);
    assert!(terminal.look().contains("status: Stopped"));
    // A second Ctrl-C in place of an answer leaves it.
    let token = served.send_running();
    let mut terminal = Terminal::run(&served.url(), &format!("status --wait {token}"));
    terminal.wait_for(&["Processing"]);
    terminal.press("\x03");
    terminal.wait_for(&["[s]top it"]);
    terminal.press("\x03");
    assert_eq!(terminal.end(), 9);
}

#[test]
fn a_command_to_many_asks_before() {
    let served = Served::start();
    served.ok("pause --queue Process");
    let token = served.send("Name=Ada");
    let line = "cancel --all --queue Process";
    let mut terminal = Terminal::run(&served.url(), line);
    terminal.wait_for(&["cancel all actions of Process? [y]es, [n]o:"]);
    terminal.press("\r");
    terminal.press("n\r");
    assert_eq!(terminal.end(), 1);
    assert!(terminal.look().contains("nothing was done"));
    assert_eq!(served.status(&token), "Queued");
    let mut terminal = Terminal::run(&served.url(), line);
    terminal.wait_for(&["[y]es"]);
    terminal.press("y\r");
    assert_eq!(terminal.end(), 0);
    assert_eq!(served.status(&token), "Cancelled");
}

#[test]
fn a_measurement_that_is_broken_off_tidies_up() {
    let served = Served::start();
    let mut terminal = Terminal::run(&served.url(), "bench Process Sleep=600 --seconds 60 -c 2");
    wait_until("some actions", || served.ok("list Process --limit 5 --json").contains("token"));
    terminal.press("\x03");
    assert_eq!(terminal.end(), 0);
    assert!(terminal.look().contains("deleted again"), "{}", terminal.look());
    assert_eq!(served.ok("list Process --json"), "[]");
}

#[test]
fn the_whole_screen_is_live_and_steers() {
    let served = Served::start();
    let first = served.send_running();
    let mut terminal = Terminal::run(&served.url(), "watch");
    terminal.wait_for(&["3 queues, 1 running", "live", "Fetch", "Process", "q quit"]);
    // The third queue, and its actions.
    terminal.press("jj");
    terminal.wait_for(&["Process: running and queued", "Processing", "░"]);
    // What happens elsewhere is seen at once.
    let second = served.send_running();
    terminal.wait_for(&["2 running"]);
    let waiting = served.send("Name=Ada");
    terminal.wait_for(&["1 waiting", "Queued"]);
    // The third action is the one that waits: its priority, and its end.
    terminal.press("\tjj+");
    terminal.wait_for(&["priority 1"]);
    terminal.press("c");
    terminal.wait_for(&["Are you sure?", "It will never start."]);
    terminal.press("y");
    wait_until("it to be cancelled", || served.status(&waiting) == "Cancelled");
    terminal.wait_for(&["0 waiting"]);
    terminal.press("kkp");
    wait_until("one to be paused", || {
        [&first, &second].iter().any(|token| served.status(token) == "Paused")
    });
    terminal.wait_for(&["Paused"]);
    terminal.press("d");
    terminal.wait_for(&["status: Paused", "name=Sleep value=600"]);
    terminal.press("x");
    terminal.wait_for_screen("the list to be back", |shown| !shown.contains("any other key"));
    // A smaller terminal is drawn anew.
    terminal
        .pty
        .resize(PtySize { rows: 12, cols: 60, pixel_width: 0, pixel_height: 0 })
        .expect("a size");
    terminal.screen.screen_mut().set_size(12, 60);
    terminal.wait_for(&["Queues", "Process: running"]);
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    assert!(terminal.is_restored());
}

#[test]
fn another_server_is_watched_by_asking() {
    let foreign = Foreign::start(0, "Finished");
    let mut terminal = Terminal::run(&foreign.url, "watch Fetch");
    terminal.wait_for(&[
        "each second",
        "Fetch: running and queued",
        "Processing",
        "Nov-30 12:00:00",
    ]);
    terminal.press("\ts");
    terminal.wait_for(&["Are you sure?"]);
    terminal.press("y");
    terminal.wait_for(&["accepted"]);
    assert!(foreign.asked().contains(&"QueueInfo stop 111".to_owned()));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn the_terminal_is_given_back_in_every_end() {
    let served = Served::start();
    for (how, signal) in [("\x03", None), ("", Some("TERM")), ("", Some("HUP")), ("", Some("INT"))]
    {
        let mut terminal = Terminal::run(&served.url(), "watch");
        terminal.wait_for(&["3 queues"]);
        assert!(!terminal.is_restored(), "it has the terminal");
        terminal.press(how);
        if let Some(signal) = signal {
            terminal.signal(signal);
        }
        assert_eq!(terminal.end(), u32::from(signal.is_some()), "{signal:?}");
        assert!(terminal.is_restored(), "{signal:?}");
    }
    // What can't begin leaves it as it was.
    let mut terminal = Terminal::run("http://127.0.0.1:1", "watch");
    assert_eq!(terminal.end(), 7);
    assert!(terminal.is_restored() && terminal.look().contains("no connection"));
}

#[test]
fn without_a_terminal_there_is_no_screen() {
    let served = Served::start();
    let said = served.run("watch").failed(2);
    assert!(said.contains("needs a terminal") && said.contains("actiond queues"), "{said}");
}
