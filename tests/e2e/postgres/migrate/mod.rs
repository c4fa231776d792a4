//! `actiond migrate`: from a data directory to PostgreSQL and back.
//!
//! - `whole`: what arrives, and how servers go on with it;
//! - `interrupted`: moves that are killed, or lose their connection, and go on;
//! - `refused`: what can't be moved, and servers that are kept away meanwhile.

mod interrupted;
mod refused;
mod whole;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rusqlite::Connection;

use super::servers::Database;
use crate::server::{Home, wait_until};

/// Queues of which each test uses some.
const CONFIG: &str = "
[AsyncActions]
0=Process
1=MixedCase
2=Held
3=Again
[Process]
Type=Echo
MaximumThreads=2
[MixedCase]
Type=Echo
MaximumThreads=1
[Held]
Type=Echo
[Again]
Type=Echo
MaxAttempts=3
RetryDelaySecs=0
";

/// The command that moves.
fn command(database: &Database, from: &str, to: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    command.args(["migrate", "--from", from, "--to", to, "--schema", &database.schema]);
    command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The output of a command, and whether it was a success.
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            error: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Returns what it has printed, which must say that all is equal.
    fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.error);
        assert!(self.out.contains("all is equal"), "{}", self.out);
        self.out
    }

    /// It must have failed with this code, and have said this.
    fn failed(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.error);
        for word in words {
            assert!(self.error.contains(word), "no {word} in {}", self.error);
        }
    }
}

fn run(mut command: Command) -> Said {
    Said::of(command.output().expect("the program runs"))
}

/// Moves a directory to the database.
fn there(database: &Database, directory: &Path, more: &[&str]) -> Said {
    run(command(database, text(directory), &database.connection(), more))
}

/// Moves the database to a directory.
fn back(database: &Database, directory: &Path) -> Said {
    run(command(database, &database.connection(), text(directory), &[]))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Kills it at once, and takes what it had said.
fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("gone");
}

/// All that is kept in a directory, as texts that can be compared: without the numbers of queues, which are its own.
fn contents(directory: &Path) -> Vec<Vec<String>> {
    let connection = Connection::open(directory.join("actions.db")).expect("the database");
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let width = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..width).map(|column| {
                let value: rusqlite::types::Value = row.get(column)?;
                Ok(format!("{value:?}"))
            });
            Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
        };
        statement.query_map([], row).expect("rows").collect::<Result<_, _>>().expect("rows")
    };
    vec![
        rows(
            "SELECT name, paused, iif(counts = '[]', '[0,0,0,0,0,0,0,0,0]', json(counts)) FROM queue ORDER BY lower(name)",
        ),
        rows(
            "SELECT q.name, a.id, a.state, a.priority, a.attempt, a.queued_at, a.started_at, a.finished_at, a.processing_ms,
                a.percent, a.error, a.report, a.not_before, a.worker, a.note,
                iif(a.state BETWEEN 4 AND 7, 0, a.failures), iif(a.state BETWEEN 4 AND 7, 0, a.restarts),
                p.submission_key, p.value
             FROM action a JOIN queue q ON q.id = a.queue JOIN parameters p ON p.id = a.id ORDER BY a.id",
        ),
        rows("SELECT id, attempt, started_at, ended_at, ended, worker, error FROM history ORDER BY id, attempt"),
        rows("SELECT q.name, k.key, k.id FROM submission_key k JOIN queue q ON q.id = k.queue ORDER BY k.id"),
        rows("SELECT max(last_id, (SELECT max(id) FROM action)) FROM meta"),
        rows("PRAGMA user_version"),
        rows("PRAGMA integrity_check"),
        rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"),
    ]
}

/// Makes a home whose directory holds so many actions, most of which have ended, with results of some size.
fn home_with(actions: u32, bytes: u32) -> Home {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    server.signal("TERM");
    assert!(server.wait().0.success());
    fill(&home, actions, bytes);
    home
}

/// Adds actions to the directory of a server that has ended.
fn fill(home: &Home, actions: u32, bytes: u32) {
    let connection = Connection::open(home.data().join("actions.db")).expect("the database");
    connection
        .execute_batch(&format!(
            "BEGIN;
             CREATE TEMP TABLE fresh AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {actions})
                SELECT (SELECT max(id) FROM action) + i AS id, i FROM n;
             INSERT INTO action (id, queue, state, priority, attempt, queued_at, started_at, finished_at, processing_ms,
                percent, report)
             SELECT id, (SELECT id FROM queue WHERE name = 'Process'), 4, 0, 2, 1700000000000 + i, 1700000000000 + i,
                1700000000001 + i, 1, 100, json_array(hex(randomblob({bytes} / 2))) FROM fresh;
             INSERT INTO parameters (id, submission_key, value)
             SELECT id, iif(i % 10 = 0, 'key ' || id, NULL), '[[\"n\",\"' || id || '\"]]' FROM fresh;
             INSERT INTO submission_key (queue, key, id)
             SELECT (SELECT id FROM queue WHERE name = 'Process'), 'key ' || id, id FROM fresh WHERE i % 10 = 0;
             INSERT INTO history (id, attempt, started_at, ended_at, error)
             SELECT id, 1, 1700000000000 + i, 1700000000000 + i, 'no' FROM fresh WHERE i % 7 = 0;
             UPDATE queue SET counts = json_array(0, 0, 0, 0, (SELECT count(*) FROM action), 0, 0, 0, 0)
             WHERE name = 'Process';
             UPDATE meta SET last_id = (SELECT max(id) FROM action);
             COMMIT;"
        ))
        .expect("the rows");
}

/// Waits until a move has copied so many actions, and holds it there: what follows need not be quick.
fn hold_after(database: &Database, child: &mut Child, least: i64) {
    hold_when(child, &format!("{least} actions to have been copied"), || {
        database.moved_so_far().is_some_and(|number| number >= least)
    });
}

/// Waits until a move has come so far, and holds it there.
///
/// It runs only between two looks. While it is looked at it stands still, so it can't be through before it was seen.
fn hold_when(child: &mut Child, what: &str, is_so: impl Fn() -> bool) {
    wait_until(what, || {
        assert_eq!(child.try_wait().expect("its status"), None, "it has ended");
        signal(child, "STOP");
        let is_so = is_so();
        if !is_so {
            go_on(child);
        }
        is_so
    });
}

/// Lets a move go on that is held.
fn go_on(child: &Child) {
    signal(child, "CONT");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

impl Database {
    /// Returns the number of actions that a move has copied that is under way, if there is one.
    fn moved_so_far(&self) -> Option<i64> {
        let there = "SELECT to_regclass('moving')";
        self.query(there).pop()?.pop()??;
        // One that stands still may hold locks of which it is not through.
        let so_far = "SET lock_timeout = '100ms'; SELECT done FROM moving WHERE content <> ''";
        self.try_query(so_far).ok()?.pop()?.pop()??.parse().ok()
    }
}
