//! Moves that are killed, or lose their connection, and go on.

use std::time::Instant;

use super::{
    Database, Said, back, command, contents, fill, go_on, hold_after, hold_when, home_with, kill,
    text, there,
};
use crate::server::{Home, PATIENCE};

/// Enough that it is killed on the way, and quickly moved.
const ACTIONS: u32 = 12_000;
/// The same where it is done often.
const FEWER: u32 = 6_000;

/// The number of actions that a command says it has copied.
fn copied(table: &str) -> u32 {
    let line = table.lines().find(|line| line.contains("actions copied")).expect("a last line");
    line.split(' ').next().expect("a number").parse().expect("a number")
}

/// Begins to move to the database, and kills it on the way.
fn interrupt(database: &Database, home: &Home, actions: u32) {
    let mut child = command(database, text(&home.data()), &database.connection(), &[])
        .spawn()
        .expect("it starts");
    hold_after(database, &mut child, 1_000);
    kill(child);
    let rows = database.query("SELECT done FROM moving");
    let done: u32 = rows[0][0].as_deref().expect("a number").parse().expect("a number");
    assert!(done < actions, "it was whole when it was killed");
}

/// Runs a server that has to refuse, and returns what it says.
fn refused(home: &Home) -> String {
    let output = home.command().output().expect("the server runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_was_killed_on_the_way_there_goes_on() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(ACTIONS, 600);
    interrupt(&database, &home, ACTIONS);
    // Servers are kept away, and moves to elsewhere.
    let said = refused(&database.home("early", super::CONFIG));
    assert!(said.contains("holds a part of what was being moved there"), "{said}");
    let elsewhere = tempfile::tempdir().expect("a directory");
    back(&database, elsewhere.path()).failed(1, &["holds a part of what was being moved there"]);
    // So are moves of something else.
    let other = home_with(3, 1);
    there(&database, &other.data(), &[]).failed(1, &["being moved from", text(&home.data())]);

    let table = there(&database, &home.data(), &[]).success();
    // One more was there, and at least a page was copied before.
    assert!((1..=ACTIONS + 1 - 1_000).contains(&copied(&table)), "{table}");
    let second = tempfile::tempdir().expect("a directory");
    back(&database, second.path()).success();
    assert_eq!(contents(second.path()), contents(&home.data()));
    assert_eq!(database.query("SELECT to_regclass('moving')"), [[None]]);
}

#[test]
fn what_was_killed_on_the_way_back_goes_on() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(ACTIONS, 600);
    there(&database, &home.data(), &[]).success();
    let second = Home::new(super::CONFIG);
    let mut child = command(&database, &database.connection(), text(&second.data()), &[])
        .spawn()
        .expect("it starts");
    // It locks the file, so only the size of its log tells how far it is.
    let log = second.data().join("actions.db");
    hold_when(&mut child, "a part of the file", || {
        std::fs::metadata(&log).is_ok_and(|file| file.len() > 2 << 20)
    });
    kill(child);
    let said = refused(&second);
    assert!(said.contains("holds a part of what was being moved there"), "{said}");
    let table = back(&database, &second.data()).success();
    assert!((1..ACTIONS).contains(&copied(&table)), "{table}");
    assert_eq!(contents(&second.data()), contents(&home.data()));
    let server = second.start();
    assert_eq!(
        server.info("Process", "queueStatus", "").number("finished"),
        u64::from(ACTIONS) + 1
    );
}

/// Whatever its connections are doing when they are cut.
#[test]
fn a_lost_connection_ends_it_and_it_goes_on() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(ACTIONS, 600);
    let mut child = command(&database, text(&home.data()), &database.connection(), &[])
        .spawn()
        .expect("it starts");
    hold_after(&database, &mut child, 1_000);
    let cut = "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
        WHERE a.application_name LIKE '%moves' AND l.relation = 'server'::regclass";
    assert!(!database.query(cut).is_empty(), "there is a lock on the servers");
    go_on(&child);
    let since = Instant::now();
    Said::of(child.wait_with_output().expect("it ends")).failed(1, &["not available"]);
    assert!(since.elapsed() < PATIENCE);
    there(&database, &home.data(), &[]).success();
}

#[test]
fn a_source_that_has_changed_meanwhile_is_moved_anew() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(ACTIONS, 600);
    interrupt(&database, &home, ACTIONS);
    fill(&home, 5, 10);
    let table = there(&database, &home.data(), &[]).success();
    assert_eq!(copied(&table), ACTIONS + 5 + 1);
}

/// A target that does not hold what it should is not opened to servers, and the next move begins anew.
#[test]
fn what_differs_is_found() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(FEWER, 600);
    for harm in [
        "UPDATE done SET priority = 7 WHERE id = 17",
        "UPDATE done SET report = '\\x5b5d' WHERE id = 18",
        "DELETE FROM history WHERE id = 8",
        "UPDATE history SET error = 'yes' WHERE id = 8",
        "DELETE FROM submission_key WHERE id = 11",
        "DELETE FROM done WHERE id = 5",
        "UPDATE queue SET paused = true WHERE name = 'Process'",
        "INSERT INTO site (name, host, port) VALUES ('o', 'o', 1);
         UPDATE done SET taken_by = (SELECT id FROM site WHERE name = 'o') WHERE id = 9",
    ] {
        interrupt(&database, &home, FEWER);
        database.query(harm);
        there(&database, &home.data(), &[]).failed(1, &["the target differs from the source"]);
        let said = refused(&database.home("early", super::CONFIG));
        assert!(said.contains("holds a part of what was being moved there"), "{harm}: {said}");
    }
    let table = there(&database, &home.data(), &[]).success();
    assert_eq!(copied(&table), FEWER + 1);
}
