//! A home with programs for its server to run, and a look at what of them still runs.
//!
//! Every program of a shop holds the path of its home in its command line, so whatever outlives its action is found
//! in `/proc`, whoever its parent is and whatever its environment.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::calls::Answer;
use super::server::{Home, PATIENCE, Server, wait_until};

/// What every script begins with. `$H` is the home.
///
/// A daemon is always `tail -f $H/mark`: it does nothing, never ends, and can be told by its command line.
const PRELUDE: &str = r#"
wait_for() { while [ ! -e "$H/$1" ]; do sleep 0.02; done; }
say() { : > "$H/$1"; }
daemons() { grep -las "$H/[m]ark" /proc/[0-9]*/cmdline; }
until_there() { until daemons > /dev/null; do sleep 0.02; done; }
"#;

/// A home, and the programs in it. Whatever of them runs at its end is killed.
pub(crate) struct Shop {
    home: Home,
}

impl Shop {
    /// Makes a shop with this configuration, in which `%HOME%` stands for its directory.
    pub(crate) fn new(config: &str) -> Self {
        let home = Home::new("");
        let shop = Self { home };
        fs::write(shop.path("test.cfg"), shop.filled_in(config)).expect("the configuration");
        fs::write(shop.path("mark"), "").expect("a file");
        shop
    }

    /// Makes a shop with these queues: name, command and further settings. One without a command is an Echo queue.
    pub(crate) fn with(queues: &[(&str, &str, &str)]) -> Self {
        Self::new(&config(queues))
    }

    fn filled_in(&self, text: &str) -> String {
        text.replace("%HOME%", self.home.path().to_str().expect("a path of UTF-8"))
    }

    /// Adds a script for `/bin/sh`; `%HOME%` in it, and `$H`, is the home.
    pub(crate) fn script(self, name: &str, text: &str) -> Self {
        let text = self.filled_in(&format!("H='%HOME%'\n{PRELUDE}\n{text}\n"));
        fs::write(self.path(name), text).expect("a script");
        self
    }

    /// Adds a file as it is.
    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), bytes).expect("a file");
        self
    }

    /// A path in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.data()
    }

    /// The command line of its server, whose zone never changes its clocks.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.home.command();
        command.env("TZ", "UTC");
        command
    }

    /// The same, run by a shell after this command, such as one that sets a limit.
    pub(crate) fn command_after(&self, script: &str) -> Command {
        let mut command = self.home.command_after(script);
        command.env("TZ", "UTC");
        command
    }

    pub(crate) fn start(&self) -> Server {
        Server::run(self.command())
    }

    /// Runs a server that must not come up; returns its exit code and what it said.
    pub(crate) fn refused(&self) -> (Option<i32>, String) {
        let output = self.command().output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What a program wrote into this file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The whole lines of this file; none if it is not there.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .map(str::to_owned)
            .collect()
    }

    /// Tells the programs that wait for this file.
    pub(crate) fn say(&self, name: &str) {
        fs::write(self.path(name), "").expect("a file");
    }

    pub(crate) fn unsay(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("the file was there");
    }

    pub(crate) fn was_said(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn wait_for(&self, name: &str) {
        wait_until(&format!("the file {name}"), || self.was_said(name));
    }

    /// The numbers, states and command lines of its programs that run.
    pub(crate) fn programs(&self) -> Vec<Program> {
        let home = self.home.path().to_str().expect("a path of UTF-8");
        let entries = fs::read_dir("/proc").expect("/proc");
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        // One that has ended has no command line, whether it was waited for or not.
        let described = numbers.filter_map(|pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            Some(Program { pid, state: state_of(pid)?, line })
        });
        described
            .filter(|one| one.line.contains(home) && !one.line.contains("--config"))
            .filter(|one| !matches!(one.state, 'Z' | 'X'))
            .collect()
    }

    /// Its daemons, as [`PRELUDE`] has them.
    pub(crate) fn daemons(&self) -> Vec<Program> {
        let mut all = self.programs();
        all.retain(|one| one.line.starts_with("tail -f "));
        all
    }

    /// Waits until none of its programs runs any more.
    pub(crate) fn all_gone(&self) {
        let began = Instant::now();
        loop {
            let left = self.programs();
            if left.is_empty() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "these go on: {left:?}");
            // Only to leave the processor to what is waited for.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// None of its programs may run now.
    pub(crate) fn none_runs(&self, when: &str) {
        let left = self.programs();
        assert!(left.is_empty(), "{when}, these go on: {left:?}");
    }

    /// Submits these values, which may be any bytes, and waits for the end.
    pub(crate) fn run(&self, server: &Server, queue: &str, given: &[(&str, &[u8])]) -> Answer {
        let mut request = String::new();
        for (name, value) in given {
            request.push_str(&format!("&{name}={}", percent_encode(value, NON_ALPHANUMERIC)));
        }
        let token = server.submit_to(queue, &request);
        ended(server, queue, &token, PATIENCE)
    }

    /// The same, which must end like this.
    pub(crate) fn run_to(
        &self,
        server: &Server,
        queue: &str,
        given: &[(&str, &[u8])],
        status: &str,
    ) -> Answer {
        let answer = self.run(server, queue, given);
        assert_eq!(answer.must("status"), status, "{}", answer.0);
        answer
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        for one in self.programs() {
            // It may have ended meanwhile.
            let _ = Command::new("kill").args(["-KILL", &one.pid.to_string()]).output();
        }
    }
}

/// A program of a shop that runs.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) pid: u32,
    /// As `/proc` has it: `T` is stopped, `Z` has ended.
    pub(crate) state: char,
    pub(crate) line: String,
}

fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name may hold anything, parentheses too.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The text of a configuration with these queues: name, command and further settings.
pub(crate) fn config(queues: &[(&str, &str, &str)]) -> String {
    let mut text = String::from("[AsyncActions]\n");
    for (number, (name, _, _)) in queues.iter().enumerate() {
        text.push_str(&format!("{number}={name}\n"));
    }
    for (name, command, settings) in queues {
        let kind = match *command {
            "" => "Type=Echo".to_owned(),
            command => format!("Type=Command\nCommand={command}"),
        };
        text.push_str(&format!("[{name}]\n{kind}\n{settings}\n"));
    }
    text
}

/// Waits for at most this long until the action has ended, and returns its status reply.
pub(crate) fn ended(server: &Server, queue: &str, token: &str, most: Duration) -> Answer {
    let began = Instant::now();
    loop {
        let answer = server.info(queue, "getStatus", &format!("&Token={token}&Wait=10")).success();
        let status = answer.must("status");
        if ["Finished", "Error", "Cancelled", "Stopped"].contains(&status.as_str()) {
            return answer;
        }
        assert!(began.elapsed() < most, "not ended after {most:?}: {}", answer.0);
    }
}

/// Lets this much time go by, in a queue of the server that has nothing to do with what is tested: `Other`, of Echo.
pub(crate) fn let_pass(server: &Server, seconds: &str) {
    let token = server.submit_to("Other", &format!("&Sleep={seconds}"));
    server.wait_in("Other", &token, "Finished");
}

/// The text of an error reply, which must have this code and name these words.
pub(crate) fn refused(answer: &Answer, code: &str, words: &[&str]) -> String {
    let (found, description) = answer.error();
    assert_eq!(found, code, "{description}");
    for word in words {
        assert!(description.contains(word), "no '{word}' in: {description}");
    }
    description
}

/// Seconds since 1970, as the server sees them too.
#[expect(clippy::disallowed_methods, reason = "the server under test goes by the real clock")]
pub(crate) fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// Seconds since 1970 of a time in a reply of a server in [`Shop::command`]'s zone.
pub(crate) fn seconds(text: &str) -> i64 {
    let time = actiond::aci::time::parse_queue_time(text);
    time.unwrap_or_else(|| panic!("no time: {text}")).and_utc().timestamp()
}

/// All text in the elements of this name, wherever they stand.
pub(crate) fn all_text(answer: &Answer, name: &str) -> String {
    answer.with(|document| {
        let found = document.descendants().filter(|node| node.tag_name().name() == name);
        found.map(whole).collect::<Vec<_>>().join("\n")
    })
}

/// All that stands in an element: attributes and text, those of its children too.
pub(crate) fn whole(node: roxmltree::Node<'_, '_>) -> String {
    let mut parts = Vec::new();
    for inner in node.descendants() {
        parts.extend(inner.attributes().map(|a| format!("{}={}", a.name(), a.value())));
        parts.extend(inner.text().filter(|_| inner.is_text()).map(str::to_owned));
    }
    parts.join("\n")
}
