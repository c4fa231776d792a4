//! The real binary on a free port, with a directory of its own, and a client of raw sockets.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up and says what it waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A configuration with one queue of each type, small and quick.
pub(crate) const CONFIG: &str = "
[AsyncActions]
0=Fetch
1=Ingest
2=Process
[Fetch]
Type=FileSystemConnector
[Ingest]
Type=Ingest
[Process]
Type=Echo
MaximumThreads=2
";

/// A server under test. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Its standard error, line by line, as it comes.
    log: mpsc::Receiver<String>,
    /// The lines that were taken from it already.
    said: RefCell<Vec<String>>,
}

/// Where a server of a test lives; it can be started there again after its death.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    /// Makes a home with this configuration.
    pub(crate) fn new(config: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("test.cfg"), config).expect("the configuration");
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory of its servers.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The command line of a server in this home, on a free port.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
        command.arg("--config").arg(self.path().join("test.cfg"));
        command.arg("--data").arg(self.data()).args(["--port", "0"]);
        command.current_dir(self.path());
        command
    }

    /// The same, run by a shell after this command, such as one that sets a limit.
    pub(crate) fn command_after(&self, script: &str) -> Command {
        let plain = self.command();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{script}; exec \"$0\" \"$@\""));
        command.arg(plain.get_program()).args(plain.get_args()).current_dir(self.path());
        command
    }

    /// Replaces the configuration of its next server.
    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.path().join("test.cfg"), config).expect("the configuration");
    }

    /// Starts a server on this very port.
    pub(crate) fn start_on(&self, port: u16) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
        command.arg("--config").arg(self.path().join("test.cfg"));
        command.arg("--data").arg(self.data()).args(["--port", &port.to_string()]);
        command.current_dir(self.path());
        Server::run(command)
    }

    /// Starts a server and waits until it answers.
    pub(crate) fn start(&self) -> Server {
        Server::run(self.command())
    }
}

impl Server {
    /// Runs this command and waits for the line that says where it answers.
    pub(crate) fn run(command: Command) -> Self {
        Self::try_run(command).unwrap_or_else(|said| {
            panic!("the server did not come up; it said:\n{}", said.join("\n"))
        })
    }

    /// The same, where it may not come up. Then this is what it said.
    pub(crate) fn try_run(mut command: Command) -> Result<Self, Vec<String>> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|l| drop(sender.send(l))));
        let mut seen = Vec::new();
        let address = loop {
            let Ok(line) = log.recv_timeout(PATIENCE) else {
                // The process may have ended; either way it is no server.
                let _ = child.kill();
                let _ = child.wait();
                return Err(seen);
            };
            seen.push(line.clone());
            let told =
                line.split_once("answers on http").and_then(|(_, rest)| rest.split_once("://"));
            if let Some((_, address)) = told {
                break address.trim_end_matches('/').parse().expect("an address");
            }
        };
        Ok(Self { child, address, log, said: RefCell::new(seen) })
    }

    /// Sends one GET request with this target and returns the body of the reply.
    pub(crate) fn get(&self, target: &str) -> String {
        self.send(
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
        .body_text()
    }

    /// Sends these bytes on a connection of their own and reads the reply to its end.
    pub(crate) fn send(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request).expect("the request is sent");
        Reply::read(&mut stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the process a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for a line of its log that holds all of these words, and returns it.
    pub(crate) fn wait_for_line(&self, words: &[&str]) -> String {
        let mut found = None;
        wait_until(&format!("a line of the log with {words:?}"), || {
            let mut said = self.said.borrow_mut();
            said.extend(self.log.try_iter());
            found = said.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned();
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Counts the lines of its log so far that hold these words.
    pub(crate) fn log_lines(&self, words: &str) -> usize {
        self.lines_with(words).len()
    }

    /// Returns the lines of its log so far that hold these words.
    pub(crate) fn lines_with(&self, words: &str) -> Vec<String> {
        let mut said = self.said.borrow_mut();
        said.extend(self.log.try_iter());
        said.iter().filter(|line| line.contains(words)).cloned().collect()
    }

    /// Has the configuration read again, and waits until that is done, well or not.
    pub(crate) fn reload(&self) {
        let done = || {
            self.log_lines("SIGHUP: nothing was changed") + self.log_lines(" roles are in force; ")
        };
        let before = done();
        self.signal("HUP");
        wait_until("the end of the reload", || done() > before);
    }

    /// Sends what ends all patience after a first SIGTERM: another one, which within a second counts for nothing.
    pub(crate) fn signal_again(&self) {
        let mut sent: Option<Instant> = None;
        wait_until("the end of its patience", || {
            if sent.is_none_or(|sent| sent.elapsed() > Duration::from_millis(100)) {
                self.signal("TERM");
                sent = Some(Instant::now());
            }
            let mut said = self.said.borrow_mut();
            said.extend(self.log.try_iter());
            said.iter().any(|line| line.contains("again: running actions are ended now"))
        });
    }

    /// Kills the process as `kill -9` does and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let mut status = None;
        wait_until("the end of the server", || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        let mut said = self.said.take();
        said.extend(self.log.iter());
        (status.expect("its status"), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP reply.
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Reads one reply; what comes behind it is left for the next.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytewise = BufReader::with_capacity(1, stream);
        Self::try_read(&mut bytewise).unwrap_or_else(|error| panic!("no whole reply: {error}"))
    }

    /// Reads one reply: by its length, by its chunks, or to the end of the connection.
    pub(crate) fn try_read(stream: &mut impl BufRead) -> io::Result<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                let why = format!("the head broke off: {head}");
                return Err(io::Error::new(ErrorKind::UnexpectedEof, why));
            }
        }
        let mut body = Vec::new();
        if let Some(length) = header(&head, "content-length") {
            body.resize(length.parse().expect("a length"), 0);
            stream.read_exact(&mut body)?;
        } else if header(&head, "transfer-encoding") == Some("chunked") {
            loop {
                let mut line = String::new();
                stream.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16)
                    .map_err(|_| io::Error::other(format!("no size of a chunk: {line}")))?;
                let start = body.len();
                body.resize(start + size + 2, 0);
                stream.read_exact(&mut body[start..])?;
                body.truncate(start + size);
                if size == 0 {
                    break;
                }
            }
        } else {
            stream.read_to_end(&mut body)?;
        }
        Ok(Self { head, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn body_text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of UTF-8")
    }
}

/// All that the server sends until it ends the connection, which it must do within the time-out of this stream.
pub(crate) fn rest_of(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if let Err(error) = ended {
        // It may end it by a reset, with some of what was sent unread; what came before counts.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "no end of it: {error}, after {text}");
    }
    text
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Returns what stands between two marks.
pub(crate) fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(inner, _)| inner)
}

/// Waits until something is so, for at most [`PATIENCE`].
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        // Only to leave the processor to what is waited for.
        std::thread::sleep(Duration::from_millis(5));
    }
}
