//! `actiond migrate`: moves all actions from a data directory to a database that servers share, or back.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use actiond_actors::State;
use actiond_actors::store::Site;
use actiond_actors::store::moving::{self, MoveError, Moving, Outcome, Place, Step};
use actiond_actors::store::postgres::{Connect, ConnectError};

use super::args::MigrateArgs;
use super::{database, log_lines, print};
use crate::config::{self, ConfigError, Overrides};
use crate::kinds::Kinds;

/// Time between two lines about how far it has come.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// The host in tokens where none is given, as of a server on its default address.
const HOST: &str = "127.0.0.1";

/// The port in tokens where none is given: the default of `[Server] Port`.
const PORT: u16 = 7000;

/// Largest file that may hold a connection string, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// The reason for which nothing can be moved as it was asked.
#[derive(Debug, thiserror::Error)]
enum ArgumentError {
    #[error("--{0} can't be used: {1}")]
    Place(&'static str, ConnectError),
    #[error("--{0} can't be used: {1}: {2}")]
    File(&'static str, PathBuf, io::Error),
    #[error("the configuration can't be used:\n{0}")]
    Config(ConfigError),
    #[error(
        "[Server] Port of the configuration is 0, so it does not say which port is in the tokens: give it as --port"
    )]
    NoPort,
    #[error(
        "one of --from and --to must be a data directory, and the other a database, as postgres://USER@HOST/DATABASE or host=HOST user=USER"
    )]
    SameKind,
}

/// Moves, and tells of it. The exit code is 0 only if both sides are equal.
#[expect(
    clippy::print_stderr,
    reason = "it is told how far it has come beside a result on the standard output"
)]
pub(super) fn run(kinds: &Kinds, args: &MigrateArgs) -> ExitCode {
    let _log = log_lines::begin();
    let asked = places(args).and_then(|(from, to)| Ok((from, to, site(kinds, args)?)));
    let (from, to, site) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (began, last) = (Instant::now(), Cell::new(None::<Instant>));
    let told = |moving: Moving| {
        if last.get().is_none_or(|last| last.elapsed() >= TELL_EVERY) {
            last.set(Some(Instant::now()));
            eprintln!("{}", how_far(moving, began.elapsed()));
        }
    };
    let moved = runtime.block_on(moving::migrate(&from, &to, &site, &told));
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    let seconds = began.elapsed().as_secs_f64();
    match moved {
        Ok(outcome) => {
            let told = print(&table(&outcome, seconds));
            if let [_, _, ..] = outcome.sites.as_slice() {
                eprintln!("warning: {}", several(&outcome));
            }
            told
        }
        Err(MoveError::SameKind) => {
            eprintln!("error: {}", ArgumentError::SameKind);
            ExitCode::from(2)
        }
        Err(MoveError::Differs(outcome)) => {
            // Where the table can't be written, the error still says what counts.
            let _ = print(&table(&outcome, seconds));
            eprintln!(
                "error: the target differs from the source, and no server can use it; the same command begins anew"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads where from and where to.
fn places(args: &MigrateArgs) -> Result<(Place, Place), ArgumentError> {
    let from = place("from", &args.from, &args.schema)?;
    let to = place("to", &args.to, &args.schema)?;
    match (&from, &to) {
        (Place::Directory(_), Place::Directory(_))
        | (Place::Schema { .. }, Place::Schema { .. }) => Err(ArgumentError::SameKind),
        _ => Ok((from, to)),
    }
}

/// Reads a place: a connection string, a file with one behind an `@`, or else a directory.
fn place(option: &'static str, text: &OsStr, schema: &str) -> Result<Place, ArgumentError> {
    let string = match text.to_str() {
        Some(text) if is_connection_string(text) => text.to_owned(),
        Some(text) if text.starts_with('@') => {
            let file = Path::new(text.strip_prefix('@').unwrap_or(text));
            let read = first_line(file);
            read.map_err(|error| ArgumentError::File(option, file.to_owned(), error))?
        }
        _ => return Ok(Place::Directory(text.into())),
    };
    let connect = string.parse().and_then(|string| Connect::of_string(&string));
    let connect = connect.map_err(|error| ArgumentError::Place(option, error))?;
    Ok(Place::Schema { connect, name: schema.to_owned() })
}

/// Tells a connection string from a path: a URI, or what begins with a name and `=`.
fn is_connection_string(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
        || text.split_once('=').is_some_and(|(name, _)| is_name(name.trim()))
}

/// Reads the first line of a small file.
fn first_line(file: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    std::fs::File::open(file)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Says which server has taken the actions of a directory: its tokens name it.
fn site(kinds: &Kinds, args: &MigrateArgs) -> Result<Site, ArgumentError> {
    let (mut host, mut port, mut name) = (HOST.to_owned(), PORT, None);
    if let Some(file) = &args.config {
        let loaded = config::load(kinds, Some(file), &Overrides::default());
        let (settings, warnings) = loaded.map_err(ArgumentError::Config)?;
        for warning in warnings {
            log::warn!("{warning}");
        }
        host = settings.server.token_host;
        port = settings.server.port;
        name = settings.server.server_name;
    }
    let host = args.host.clone().unwrap_or(host);
    let port = args.port.unwrap_or(port);
    if port == 0 {
        return Err(ArgumentError::NoPort);
    }
    // As a server that has none is called, so that this one is known as the same.
    let name = name.unwrap_or_else(|| format!("{}:{port}", database::host_name()));
    Ok(Site { name, host, port })
}

/// Returns a line about how far it has come.
fn how_far(moving: Moving, elapsed: Duration) -> String {
    let Moving { step, done, of } = moving;
    let doing = match step {
        Step::Copy => "copied",
        Step::Compare => "compared",
    };
    let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100).min(100);
    format!("{doing} {done} of {of} actions ({percent} %) after {} s", elapsed.as_secs())
}

/// Says that actions have come from several servers.
fn several(outcome: &Outcome) -> String {
    let sites: Vec<_> =
        outcome.sites.iter().map(|(host, port)| database::place(host, *port)).collect();
    format!(
        "the tokens of these actions name several servers: {}. All are valid at the one that now has the directory; \
         in lists it shows its own host and port in them.",
        sites.join(", ")
    )
}

/// Returns a table of what both sides hold.
fn table(outcome: &Outcome, seconds: f64) -> String {
    let Outcome { queues, from, to, copied, is_equal, .. } = outcome;
    let mut rows = Vec::new();
    let mut add = |what: String, from: u64, to: u64| {
        rows.push((what, from.to_string(), to.to_string()));
    };
    let number = queues.len() as u64;
    add("queues".to_owned(), number, number);
    for queue in queues {
        let paused = if queue.paused { ", paused" } else { "" };
        let all = |counts: &actiond_actors::Counts| {
            counts.queued() + counts.running() + counts.finished()
        };
        add(format!("{}{paused}", queue.name), all(&queue.from), all(&queue.to));
        for state in State::ALL {
            let (from, to) = (queue.from.of(state), queue.to.of(state));
            if from > 0 || to > 0 {
                add(format!("  {state}"), from, to);
            }
        }
    }
    add("actions".to_owned(), from.actions, to.actions);
    add("past attempts".to_owned(), from.past_attempts, to.past_attempts);
    add("submission keys".to_owned(), from.keys, to.keys);
    add("bytes".to_owned(), from.bytes, to.bytes);
    for (what, from, to) in [
        ("events", from.events, to.events),
        ("failed events", from.failed_events, to.failed_events),
    ] {
        // Most servers have no handlers.
        if from > 0 || to > 0 {
            add(what.to_owned(), from, to);
        }
    }
    let short = |hash: String| hash.chars().take(16).collect::<String>();
    rows.push(("hash".to_owned(), short(from.hash()), short(to.hash())));
    let width = |column: fn(&(String, String, String)) -> &String| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or_default()
    };
    let widths = [width(|row| &row.0), width(|row| &row.1).max(6), width(|row| &row.2).max(6)];
    let mut text = String::new();
    let head = (String::new(), "source".to_owned(), "target".to_owned());
    for (what, from, to) in std::iter::once(&head).chain(&rows) {
        let [first, second, third] = widths;
        let mark = if from == to || what.is_empty() { "" } else { "  differs" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{what:first$}  {from:>second$}  {to:>third$}{mark}");
    }
    let verdict = if *is_equal { "all is equal" } else { "they are NOT equal" };
    let _ = writeln!(
        text,
        "{copied} actions copied, then both sides read and compared, in {seconds:.1} s: {verdict}"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_told_from_directories() {
        for (text, is) in [
            ("postgres://a@b/c", true),
            ("postgresql:///d?host=/run/postgresql", true),
            ("host=/run/postgresql user=a", true),
            ("host = db", true),
            ("dbname=x", true),
            ("actions", false),
            ("./actions", false),
            ("/srv/a=b", false),
            ("./a=b", false),
            ("", false),
            ("=", false),
        ] {
            assert_eq!(is_connection_string(text), is, "{text}");
        }
    }

    #[test]
    fn it_is_said_how_far_it_has_come() {
        let line = |step, done, of| how_far(Moving { step, done, of }, Duration::from_secs(7));
        assert_eq!(line(Step::Copy, 1, 3), "copied 1 of 3 actions (33 %) after 7 s");
        assert_eq!(line(Step::Compare, 0, 0), "compared 0 of 0 actions (100 %) after 7 s");
        assert_eq!(line(Step::Copy, 4, 3), "copied 4 of 3 actions (100 %) after 7 s");
    }
}
