//! The end of a storm: all has to come to rest, and then servers, database and diaries must agree with the ledger.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ledger::{Ledger, is_final};
use super::load::{Client, ask};
use super::{Place, QUEUES, SERVERS, diary};
use crate::calls::id_of;
use crate::postgres::servers::Database;

/// Maximum time in which all that was submitted ends, once nothing goes wrong any more.
const REST: Duration = Duration::from_secs(60);

/// Waits until every action is acknowledged and has ended.
pub(super) fn come_to_rest(client: &Client<'_>) {
    let began = Instant::now();
    let count = client.ledger.books().entries.len();
    for index in 0..count {
        loop {
            let (is_told, is_over) = {
                let entry = &client.ledger.books().entries[index];
                (entry.token.is_some(), entry.ended.is_some())
            };
            if is_told && is_over {
                break;
            }
            let server = index % SERVERS;
            if is_told {
                client.status(server, index, "&Wait=1");
            } else {
                client.submit(server, index);
            }
            if began.elapsed() > REST {
                let what = format!("{:?}", client.ledger.books().entries[index]);
                client.ledger.found("an action does not end", what);
                break;
            }
        }
    }
}

/// A server other than the one that was asked last shows the same of every action.
pub(super) fn all_agree(client: &Client<'_>) {
    let count = client.ledger.books().entries.len();
    for index in 0..count {
        let server = (index + 1) % SERVERS;
        let shown = client.status(server, index, "");
        let entry = client.ledger.books().entries[index].clone();
        if shown.as_deref() != entry.ended.as_ref().map(|(state, _)| &**state) {
            let what = format!("server {server} shows {shown:?}: {entry:?}");
            client.ledger.found("servers do not agree", what);
        }
    }
}

/// The database holds each action once, and its counts are right.
pub(super) fn all_is_counted(place: &Place, database: &Database, ledger: &Ledger) {
    let live = database.query("SELECT id FROM live WHERE queue > 0");
    if !live.is_empty() {
        ledger.found("an action is left", format!("{live:?}"));
    }
    let mut ended: BTreeMap<(String, String), u64> = BTreeMap::new();
    for entry in &ledger.books().entries {
        let queue = QUEUES[entry.queue].name.to_owned();
        let state = entry.ended.as_ref().map(|(state, _)| state.clone()).unwrap_or_default();
        *ended.entry((queue, state)).or_default() += 1;
    }
    for (number, queue) in QUEUES.iter().enumerate() {
        let of = |state: &str| {
            ended.get(&(queue.name.to_owned(), state.to_owned())).copied().unwrap_or_default()
        };
        let known: u64 = ["Finished", "Error", "Cancelled", "Stopped"].map(of).iter().sum();
        let address = place.address(number % SERVERS).expect("all run");
        let status =
            ask(address, &format!("QueueInfo&QueueName={}&QueueAction=queueStatus", queue.name));
        let status = status.expect("an answer").success();
        let counts = ["pending", "running", "finished"].map(|count| status.number(count));
        if counts != [0, 0, known] {
            ledger.found("counts are wrong", format!("{}: {counts:?}, not {known}", queue.name));
        }
        let name = queue.name;
        let rows = database.query(&format!(
            "SELECT count(*), count(DISTINCT d.id) FROM done d JOIN queue q ON q.id = d.queue
             WHERE convert_from(q.name, 'UTF8') = '{name}'"
        ));
        let wanted = Some(known.to_string());
        if rows != [[wanted.clone(), wanted]] {
            ledger.found("an action is there twice", format!("{name}: {rows:?}, not {known}"));
        }
    }
}

/// The programs' diaries fit what clients were told.
pub(super) fn diaries_fit(place: &Place, database: &Database, ledger: &Ledger) {
    let entries = ledger.books().entries.clone();
    let rows = database.query("SELECT id, attempt FROM done");
    let believed: BTreeMap<Option<String>, Option<String>> =
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    for entry in entries {
        let queue = &QUEUES[entry.queue];
        let state = entry.ended.as_ref().map(|(state, _)| state.clone()).unwrap_or_default();
        ledger.happened(format!("{}: {state}", queue.name));
        if !is_final(&state) {
            continue;
        }
        if ["Cancelled", "Stopped"].contains(&&*state) && !entry.end_asked {
            ledger.found("it was ended and nobody asked", format!("{entry:?}"));
        }
        if !queue.programs {
            continue;
        }
        let lines = diary::read(place, &entry.mark);
        let of = |what: &str| lines.iter().filter(|line| line[0] == what).collect::<Vec<_>>();
        let (begun, ended) = (of("begin"), of("end"));
        let what = || format!("{entry:?}: {lines:?}");
        let mut attempts: Vec<_> = begun.iter().map(|line| &line[1]).collect();
        attempts.sort_unstable();
        attempts.dedup();
        if attempts.len() < begun.len() {
            ledger.found("an attempt was begun twice", what());
        }
        if queue.once && begun.len() > 1 {
            ledger.found("what may run once has run twice", what());
        }
        if begun.len() > 1 {
            ledger.happened("begun again");
        }
        let id = entry.token.as_deref().map(|token| id_of(token).to_string());
        let attempt = believed.get(&id).cloned().flatten();
        if state == "Finished" && !ended.iter().any(|line| Some(&line[1]) == attempt.as_ref()) {
            ledger.found("the attempt that is believed was never done", what());
        }
        if queue.once && state == "Error" && begun.is_empty() {
            // Its server died, or stood still, between the claim and the start.
            ledger.happened("failed before it began");
        }
        let cancelled = lines.iter().position(|line| line[0] == "cancelled");
        if cancelled.is_some_and(|at| lines[at..].iter().any(|line| line[0] == "begin")) {
            ledger.found("it was begun after it was cancelled", what());
        }
    }
}

/// Nothing runs any more.
pub(super) fn nothing_runs(place: &Place, ledger: &Ledger) {
    let began = Instant::now();
    loop {
        let left = place.programs();
        if left.is_empty() {
            return;
        }
        if began.elapsed() > Duration::from_secs(10) {
            return ledger.found("a program outlived its action", format!("{left:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
