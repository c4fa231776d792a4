//! Moves that are refused.

use std::process::Command;

use super::{
    CONFIG, Database, Said, back, command, contents, hold_after, home_with, kill, run, text, there,
};
use crate::postgres::servers::Servers;
use crate::server::Home;

#[test]
fn what_a_server_uses_is_not_moved() {
    let Some(database) = Database::shared() else { return };
    let home = Home::new(CONFIG);
    let server = home.start();
    let process = format!("(process {})", server.pid());
    there(&database, &home.data(), &[]).failed(1, &["in use by another server", &process]);
    server.kill();

    let mut servers = Servers::start(&database, 1, CONFIG);
    let token = servers[0].submit("&Name=Ada");
    servers[0].wait_for_status(&token, "Finished");
    let second = tempfile::tempdir().expect("a directory");
    back(&database, second.path())
        .failed(1, &["in use by the server server-0", "its lease holds for"]);
    there(&database, &home.data(), &[]).failed(1, &["in use by the server server-0"]);
    assert_eq!(servers[0].status(&token), "Finished", "it goes on");
    let after = servers[0].submit("&Name=Grace");
    servers[0].wait_for_status(&after, "Finished");
    servers.end(0);
    back(&database, second.path()).success();
}

#[test]
fn a_target_with_actions_stays_as_it_is() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(3, 1);
    let mut servers = Servers::start(&database, 1, CONFIG);
    let token = servers[0].submit("&Name=Ada");
    servers[0].wait_for_status(&token, "Finished");
    servers.end(0);
    there(&database, &home.data(), &[]).failed(1, &["it holds actions or events already"]);
    let before = contents(&home.data());
    back(&database, &home.data()).failed(1, &["it holds actions or events already"]);
    assert_eq!(contents(&home.data()), before);
    servers.start_again(0);
    assert_eq!(servers[0].status(&token), "Finished");
}

/// A server that was started there, and got nothing to do, is not in the way; and no id of it is used again.
#[test]
fn a_target_without_actions_will_do() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(3, 1);
    let mut servers = Servers::start(&database, 1, CONFIG);
    servers[0].info("Held", "pause", "").success();
    servers.end(0);
    there(&database, &home.data(), &[]).success();
    servers.start_again(0);
    let status = servers[0].info("Held", "queueStatus", "").success();
    assert_eq!(status.must("paused"), "false", "it is as it was in the source");
}

#[test]
fn there_is_one_move_at_a_time() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(12_000, 600);
    let mut first = command(&database, text(&home.data()), &database.connection(), &[])
        .spawn()
        .expect("it starts");
    hold_after(&database, &mut first, 1_000);
    // It waits some seconds for the lock.
    there(&database, &home.data(), &[]).failed(1, &["in use by another server"]);
    let other = home_with(3, 1);
    there(&database, &other.data(), &[]).failed(1, &["in use by another \"actiond migrate\""]);
    kill(first);
    there(&database, &home.data(), &[]).success();
}

#[test]
fn arguments_that_can_not_be_meant() {
    let program = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
        command.arg("migrate").args(args);
        run(command)
    };
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing");
    let file = directory.path().join("string");
    std::fs::write(&file, "host=/nowhere user=x\nrest\n").expect("a file");
    let (empty, missing) = (text(directory.path()), text(&missing));
    let nowhere = "host=/nowhere user=x";
    let at_file = format!("@{}", text(&file));
    program(&["--from", empty]).failed(2, &["--to"]);
    program(&["--from", empty, "--to", missing]).failed(2, &["one of --from and --to"]);
    program(&["--from", nowhere, "--to", "postgres://x@db"]).failed(2, &["one of --from and --to"]);
    program(&["--from", empty, "--to", "postgres://x@db/d?sslmode=perhaps"])
        .failed(2, &["--to can't be used", "sslmode"]);
    program(&["--from", "@/nowhere/file", "--to", empty])
        .failed(2, &["--from can't be used", "/nowhere/file"]);
    program(&["--from", empty, "--to", nowhere, "--config", missing])
        .failed(2, &["the configuration"]);
    program(&["--from", empty, "--to", nowhere]).failed(1, &["there are no actions"]);
    program(&["--from", missing, "--to", nowhere]).failed(1, &["there are no actions"]);
    assert!(!directory.path().join("missing").exists(), "nothing is made");
    assert!(!directory.path().join("actions.db").exists(), "nothing is made");
    for place in [nowhere, &at_file] {
        program(&["--from", place, "--to", missing]).failed(1, &["/nowhere"]);
    }
    let foreign = directory.path().join("foreign");
    std::fs::create_dir(&foreign).expect("a directory");
    let database = rusqlite::Connection::open(foreign.join("actions.db")).expect("a database");
    database.execute_batch("CREATE TABLE t (x)").expect("a table");
    drop(database);
    program(&["--from", text(&foreign), "--to", nowhere]).failed(1, &["not actiond's"]);
}

#[test]
fn a_schema_that_is_not_there_is_not_moved() {
    let Some(database) = Database::shared() else { return };
    let second = tempfile::tempdir().expect("a directory");
    back(&database, second.path()).failed(1, &["there are no actions"]);
    assert!(!second.path().join("actions.db").exists(), "nothing is made");
    let schemas = database.query("SELECT nspname FROM pg_namespace");
    assert!(schemas.iter().flatten().flatten().all(|name| *name != database.schema));
}

/// Not a password in what is said, and one that the environment gives is used.
#[test]
fn a_password_is_taken_from_the_environment_and_never_shown() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(3, 1);
    let string = format!("{} password=hush sslmode=disable", database.connection());
    let said = run(command(&database, text(&home.data()), &string, &[]));
    assert!(!said.error.contains("hush"), "{}", said.error);
    said.success();
    let second = tempfile::tempdir().expect("a directory");
    let mut again = command(&database, &database.connection(), text(second.path()), &[]);
    again.env("PGPASSWORD", "hush");
    Said::of(again.output().expect("it runs")).success();
}
