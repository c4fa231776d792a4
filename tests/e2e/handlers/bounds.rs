//! Bounds of the events that are kept for a receiver that takes nothing.

use std::collections::BTreeSet;

use rusqlite::{Connection, OpenFlags};

use super::super::calls::{Caller, id_of};
use super::super::server::{Home, Server};
use super::receiver::{Does, Receiver};
use super::{http, wait_for_events};

/// Number of events that are kept.
const KEPT: usize = 20;
/// Number of actions that end.
const ENDED: usize = 400;

/// Has so many actions end, and returns their ids in the order of their ends.
fn end_many(server: &Server) -> Vec<u64> {
    let mut caller = Caller::new(server.address).expect("a connection");
    let mut tokens = Vec::new();
    for _ in 0..ENDED {
        tokens.push(caller.ask("Process").expect("a reply").success().must("token"));
    }
    for token in &tokens {
        server.wait_for_status(token, "Finished");
    }
    tokens.iter().map(|token| id_of(token)).collect()
}

/// A home for a server that keeps so many events, and ends one action after the other.
fn home(receiver: &Receiver) -> Home {
    let config = http(&receiver.url()).replace("Type=Echo", "Type=Echo\nMaximumThreads=1");
    Home::new(&(config + &format!("MaxPending={KEPT}\n")))
}

/// Number of events that a server, which is killed, leaves in its store.
fn rows(home: &Home, server: Server) -> usize {
    server.kill();
    let path = home.data().join("actions.db");
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count = connection
        .expect("the store")
        .query_row("SELECT count(*) FROM event", [], |row| row.get(0));
    count.expect("a number")
}

#[test]
fn of_too_many_for_a_receiver_that_is_away_the_oldest_are_dropped() {
    let receiver = Receiver::new(&[]);
    receiver.does(Does::Answers(503));
    let home = home(&receiver);
    let server = home.start();
    let ids = end_many(&server);
    let shown = wait_for_events(&server, "pending", KEPT as u64);
    assert_eq!(shown.number("dropped"), (ENDED - KEPT) as u64, "{}", shown.0);
    assert_eq!(shown.number("failed"), 0, "{}", shown.0);
    server.wait_for_line(&["handler H", "dropped", "MaxPending"]);
    // It is there again, and hears of what was kept, and of nothing else.
    let before = receiver.came().len();
    receiver.does(Does::Answers(200));
    wait_for_events(&server, "pending", 0);
    let came = receiver.came().split_off(before);
    let told: BTreeSet<_> = came.iter().map(|came| id_of(&came.header("actiond-token"))).collect();
    let kept: BTreeSet<_> = ids[ENDED - KEPT..].iter().copied().collect();
    assert!(kept.is_subset(&told), "{kept:?} {told:?}");
    // One was under way.
    assert!(told.len() <= KEPT + 1, "what was dropped was told: {} of {KEPT}", told.len());
    assert_eq!(rows(&home, server), 0);
}

#[test]
fn of_too_many_that_failed_the_oldest_are_dropped() {
    let receiver = Receiver::new(&[]);
    receiver.does(Does::Answers(404));
    let home = home(&receiver);
    let server = home.start();
    end_many(&server);
    wait_for_events(&server, "pending", 0);
    let shown = wait_for_events(&server, "failed", KEPT as u64);
    assert!(receiver.came().len() <= ENDED, "a message is sent once");
    assert_eq!(shown.number("dropped"), (ENDED - KEPT) as u64, "{}", shown.0);
    assert_eq!(rows(&home, server), KEPT);
}
