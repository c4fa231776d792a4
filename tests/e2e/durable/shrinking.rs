//! Space is given back: of a database that has shrunk, of one that an earlier version has made, and of the log. And a maximum
//! size, beyond which only submissions are refused.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use super::super::calls::{Caller, form};
use super::super::server::{Home, Reply, Server, wait_until};

const MEGABYTE: u64 = 1_000_000;

/// Keeps as many actions that have ended as this says.
fn config(keeps: i64, more: &str) -> String {
    format!(
        "[Actions]\nMaxFinishedSize={keeps}\n{more}\n[AsyncActions]\n0=Work\n[Work]\nType=Echo\nMaximumThreads=50\n"
    )
}

fn length(home: &Home, name: &str) -> u64 {
    std::fs::metadata(home.data().join(name)).map_or(0, |file| file.len())
}

/// Submits so many actions of 20 KB, and waits for the end of all. Returns some of the tokens, the last one last.
fn fill(server: &Server, number: usize) -> Vec<String> {
    let large = "x".repeat(20_000);
    let request = form("Work", &[("Large", &large)]);
    let request = String::from_utf8(request).unwrap().replace("Connection: close\r\n", "");
    let send = |caller: &mut std::net::TcpStream| {
        use std::io::Write as _;
        caller.write_all(request.as_bytes()).unwrap();
        let reply = Reply::read(caller).body_text();
        super::super::calls::Answer(reply).success().must("token")
    };
    let address = server.address;
    let mut tokens: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = std::net::TcpStream::connect(address).unwrap();
                    (0..number / 8).map(|_| send(&mut stream)).last().unwrap()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    wait_until("the end of all actions", || {
        let status = server.info("Work", "queueStatus", "").success();
        status.number("pending") + status.number("running") == 0
    });
    tokens.sort_by_key(|token| super::super::calls::id_of(token));
    tokens
}

fn is_sound(data: &Path) {
    let database = Connection::open(data.join("actions.db")).unwrap();
    let text =
        |pragma: &str| -> String { database.query_row(pragma, [], |row| row.get(0)).unwrap() };
    assert_eq!(text("PRAGMA integrity_check"), "ok");
}

#[test]
fn a_file_that_has_shrunk_gives_its_space_back_while_the_server_works() {
    let home = Home::new(&config(-1, ""));
    let server = home.start();
    let tokens = fill(&server, 800);
    server.signal("TERM");
    server.wait();
    let before = length(&home, "actions.db");
    assert!(before > 30 * MEGABYTE, "{before}");

    home.configure(&config(10, ""));
    let server = home.start();
    let mut caller = Caller::new(server.address).unwrap();
    wait_until("a small file", || {
        // Nobody is held up, and nobody else is blamed for a file that gets shorter.
        let token = caller.ask("Work&Name=Ada").unwrap().success().must("token");
        assert!(caller.about("Work", "getStatus", &token).unwrap().is_success());
        length(&home, "actions.db") < 3 * MEGABYTE
    });
    server.wait_for_line(&["space of the action database was given back"]);
    assert_eq!(server.info("Work", "queueStatus", "").number("finished"), 10);
    assert!(!server.about("Work", "getStatus", &tokens[0]).is_success());
    assert_eq!(server.log_lines("WARN") + server.log_lines("ERROR"), 0);
    server.kill();
    is_sound(&home.data());
    let server = home.start();
    assert_eq!(server.info("Work", "queueStatus", "").success().number("finished"), 10);
}

/// It is killed again and again while pages are moved: what is kept is there each time.
#[test]
fn a_server_that_is_killed_while_it_gives_space_back_loses_nothing() {
    let home = Home::new(&config(-1, ""));
    let server = home.start();
    fill(&server, 800);
    let kept = fill(&server, 8);
    server.kill();
    home.configure(&config(8, ""));
    let mut kills = 0;
    let mut last = u64::MAX;
    while kills < 40 {
        let server = home.start();
        wait_until("a shorter file", || {
            let now = length(&home, "actions.db");
            let is_shorter = now < last;
            last = now;
            is_shorter || now < 3 * MEGABYTE
        });
        let is_done = length(&home, "actions.db") < 3 * MEGABYTE;
        server.kill();
        kills += 1;
        is_sound(&home.data());
        if is_done {
            break;
        }
    }
    assert!(length(&home, "actions.db") < 3 * MEGABYTE, "after {kills} kills");
    let server = home.start();
    for token in &kept {
        let shown = server.about("Work", "getStatus", token).success();
        assert_eq!(shown.must("status"), "Finished");
        assert!(shown.0.contains(&"x".repeat(20_000)), "its result is whole");
    }
    server.submit_to("Work", "");
}

/// Makes the file as an earlier version would have: without pointer maps.
fn as_before(data: &Path) {
    let database = Connection::open(data.join("actions.db")).unwrap();
    database.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM").unwrap();
    let mode: i64 = database.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, 0);
}

#[test]
fn a_file_of_an_earlier_version_is_rewritten_when_it_holds_little() {
    let home = Home::new(&config(-1, ""));
    let server = home.start();
    fill(&server, 400);
    server.signal("TERM");
    server.wait();
    as_before(&home.data());
    home.configure(&config(10, ""));
    let server = home.start();
    wait_until("a small file", || length(&home, "actions.db") < 3 * MEGABYTE);
    // Which ten are kept depends on the order in which they ended, and tokens name the port of the server that shows them.
    let kept = server.info("Work", "getStatus", "").success().values("token");
    assert_eq!(kept.len(), 10);
    for token in &kept {
        assert_eq!(server.status_in("Work", token), "Finished");
    }
    server.submit_to("Work", "");
    assert_eq!(server.log_lines("WARN") + server.log_lines("ERROR"), 0);
    server.signal("TERM");
    server.wait();
    is_sound(&home.data());
    let database = Connection::open(home.data().join("actions.db")).unwrap();
    let mode: i64 = database.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, 2, "it has pointer maps now");
}

#[test]
fn one_that_holds_much_is_rewritten_when_asked() {
    let compact = |home: &Home| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
        command.args(["compact", "--data"]).arg(home.data()).output().unwrap()
    };
    let home = Home::new(&config(-1, ""));
    let said = compact(&home);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && text.contains("has no file actions.db"), "{text}");
    let server = home.start();
    fill(&server, 1_400);
    let said = compact(&home);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && text.contains("in use by another server"), "{text}");
    server.signal("TERM");
    server.wait();
    as_before(&home.data());
    home.configure(&config(500, ""));
    let server = home.start();
    server.wait_for_line(&["are free, and its file keeps them", "actiond compact"]);
    let kept = server.submit_to("Work", "&Name=Ada");
    server.outcome("Work", &kept);
    server.signal("TERM");
    server.wait();
    let before = length(&home, "actions.db");
    assert!(before > 52 * MEGABYTE, "{before}");

    let said = compact(&home);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let after = length(&home, "actions.db");
    assert!(after < 25 * MEGABYTE, "{after}");
    let told = String::from_utf8(said.stdout).unwrap();
    assert_eq!(told, format!("actions.db had {before} bytes and has {after}\n"));
    is_sound(&home.data());
    let server = home.start();
    assert_eq!(server.status_in("Work", &kept), "Finished");
    assert_eq!(server.info("Work", "queueStatus", "").number("finished"), 500);
}

#[test]
fn the_log_is_cut_when_nothing_is_written() {
    let home = Home::new(&config(-1, ""));
    let server = home.start();
    fill(&server, 800);
    let long = length(&home, "actions.db-wal");
    assert!(long > 4_200_000, "{long} is too short to show anything");
    wait_until("a short log", || length(&home, "actions.db-wal") < 4_200_000);
    // What comes next is taken, and nobody else is blamed for the cut.
    let token = server.submit_to("Work", "&Name=Ada");
    server.outcome("Work", &token);
    assert_eq!(server.log_lines("WARN") + server.log_lines("ERROR"), 0);
    server.kill();
    let server = home.start();
    assert_eq!(server.status_in("Work", &token), "Finished");
}

#[test]
fn a_maximum_size_stops_submissions_and_nothing_else() {
    let home = Home::new(&config(-1, "MaxDatastoreSize=8000000"));
    let server = home.start();
    let runs = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &runs, "Processing");
    let large = "x".repeat(20_000);
    let mut tokens = Vec::new();
    let refused = loop {
        let answer = server.post("Work", &[("Large", &large)]);
        if !answer.is_success() {
            break answer;
        }
        tokens.push(answer.must("token"));
        assert!(tokens.len() < 1_000, "20 MB were taken");
    };
    let (code, description) = refused.error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(
        description.contains("8000000 bytes that it may have (MaxDatastoreSize)"),
        "{description}"
    );
    assert!(tokens.len() > 100, "{}", tokens.len());
    server.wait_for_line(&["WARN", "MaxDatastoreSize", "submissions are refused"]);
    // What is taken ends, and control gets through.
    for token in &tokens {
        assert_eq!(server.outcome("Work", token).must("status"), "Finished");
    }
    for command in ["pause", "resume", "stop"] {
        server.about("Work", command, &runs).success();
    }
    server.wait_in("Work", &runs, "Stopped");
    assert!(!server.post("Work", &[("Large", &large)]).is_success());

    // What is free in the file is free, also after a restart.
    server.info("Work", "delete", "&State=finished&MaxResults=50").success();
    server.post("Work", &[("Large", &large)]).success();
    server.wait_for_line(&["submissions are taken"]);
    server.kill();
    let server = home.start();
    server.post("Work", &[("Large", &large)]).success();
    while server.post("Work", &[("Large", &large)]).is_success() {}
    let (_, description) = server.post("Work", &[("Large", &large)]).error();
    assert!(description.contains("MaxDatastoreSize"), "{description}");
    let bytes = length(&home, "actions.db");
    assert!(bytes < 9 * MEGABYTE, "{bytes}");
}

/// A copy takes the room of what it copies.
#[test]
fn copies_count_for_a_maximum_size() {
    let home = Home::new(&config(-1, "MaxDatastoreSize=2000000"));
    let server = home.start();
    server.info("Work", "pause", "").success();
    let token = server.post("Work", &[("Large", &"x".repeat(900_000))]).success().must("token");
    server.about("Work", "duplicate", &token).success();
    let (code, description) = server.about("Work", "duplicate", &token).error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(description.contains("MaxDatastoreSize"), "{description}");
    server.submit_to("Work", "&Small=x");
}
