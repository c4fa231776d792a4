//! The commands of a client, as a user runs them: the real program, against the real server and against another one.
//!
//! | module | what it is about |
//! |---|---|
//! | `connection` | finding a server, keys, certificates; what failures say |
//! | `commands` | each command once, and its forms of output |
//! | `many` | commands to many, and the questions before them |
//! | `waiting` | `--wait`: exit codes, restarts |
//! | `foreign` | a server that knows less |
//! | `terminal` | what only a terminal shows: bars, questions, Ctrl-C, the whole screen |
//! | `docs` | the examples of docs/client.md; completions and pages of the manual |

mod commands;
mod connection;
mod docs;
mod foreign;
mod many;
#[cfg(unix)]
mod terminal;
mod waiting;

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::server::{CONFIG, Home, Server};

/// The outcome of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Returns the output of a command that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Returns what a command has said, which ended with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.err
    }
}

/// Makes a command line of the program, with a server and nothing of the environment that could change what it does.
pub(crate) fn command(server: &str, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.args(words(line)).env_clear().env("ACTIOND_SERVER", server);
    command
}

/// Splits a line at spaces; double quotes keep what is between them together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // It may not read it.
    let _ = child.stdin.take().expect("its input").write_all(input);
    let output = child.wait_with_output().expect("its end");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A server and its commands.
pub(crate) struct Served {
    // The server ends before its directory goes.
    pub(crate) server: Server,
    pub(crate) home: Home,
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::with(CONFIG)
    }

    pub(crate) fn with(config: &str) -> Self {
        let home = Home::new(config);
        Self { server: home.start(), home }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Runs a command against the server.
    pub(crate) fn run(&self, line: &str) -> Ran {
        run(command(&self.url(), line), b"")
    }

    /// Runs a command that must succeed, and returns its output without the white space around it.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        self.run(line).ok().trim().to_owned()
    }

    /// Sends an action and returns its token.
    #[track_caller]
    pub(crate) fn send(&self, parameters: &str) -> String {
        self.ok(&format!("send Process {parameters}"))
    }

    /// Sends an action that runs until it is stopped, and waits until it does.
    #[track_caller]
    pub(crate) fn send_running(&self) -> String {
        let token = self.send("Sleep=600");
        self.server.wait_for_status(&token, "Processing");
        token
    }

    /// Returns the state of an action.
    #[track_caller]
    pub(crate) fn status(&self, token: &str) -> String {
        let json = self.ok(&format!("status {token} --json"));
        let action: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        action["status"].as_str().expect("a status").to_owned()
    }
}
