//! Storms with `kill -9`: the server dies at any moment and is started again on the same data.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actiond_actors::State;

use super::super::server::wait_until;
use super::client::{Dice, Talk, play};
use super::enough::{self, Least};
use super::ledger::{Books, Ledger};
use super::{CLIENTS, audit, home, start, watch, wishes};

/// How often the server is killed at least.
const KILLS: usize = 10;

/// What must have happened between the kills, of which some three times as much does.
const LEAST: Least = Least {
    requests: 4_000,
    cancelled: 25,
    never_taken_in: 5,
    stopped: 9,
    pauses: 5,
    pauses_of_queues: 12,
    priorities: 7,
};

#[test]
fn no_illegal_outcome_over_ten_kills() {
    storm(3);
}

fn storm(seed: u64) {
    let (seed, length) = wishes(seed);
    let home = home();
    let ledger = Ledger::new();
    let mut dice = Dice::new(seed, 200);
    let began = Instant::now();
    let mut kills = 0;
    while kills < KILLS || length.is_some_and(|length| began.elapsed() < length) {
        let server = start(&home, &ledger);
        audit::review(&server, &ledger);
        let dying = AtomicBool::new(false);
        let before = ledger.books().requests;
        let requests = 200 + dice.below(1_000) as u64;
        std::thread::scope(|scope| {
            let talk = || Talk::new(server.address, &ledger, &dying);
            let (dying, sources) = (&dying, home.path().join("sources"));
            for number in 0..CLIENTS {
                let (talk, sources) = (talk(), sources.clone());
                let mut dice = Dice::new(seed, 1_000 * kills as u64 + number);
                scope.spawn(move || play(&mut talk?, &mut dice, &sources, || false));
            }
            let (governor, counter) = (talk(), talk());
            let mut dice = Dice::new(seed, 1_000 * kills as u64 + 100);
            scope.spawn(move || watch::govern(&mut governor?, &mut dice, dying));
            scope.spawn(move || watch::count(&mut counter?, dying));
            wait_until("enough requests", || ledger.books().requests >= before + requests);
            dying.store(true, Ordering::SeqCst);
            server.kill();
        });
        kills += 1;
    }
    let server = start(&home, &ledger);
    audit::review(&server, &ledger);
    let dying = AtomicBool::new(false);
    let mut talk = Talk::new(server.address, &ledger, &dying).expect("a connection");
    // A client whose reply was lost sends the same again.
    let unanswered = std::mem::take(&mut ledger.books().unanswered);
    for (plan, sent) in unanswered {
        talk.submit(&plan, Some(sent), None).expect("a reply");
    }
    audit::calm_down(&server, &ledger);
    audit::finish(server, &home, &ledger);
    let books = ledger.books();
    books.judge(seed);
    must_have_been_hit(&books);
    enough::often(&books, &LEAST);
}

/// Kills that hit nothing show nothing.
fn must_have_been_hit(books: &Books) {
    let interrupted = |text: &str| {
        let shown = books.entries.iter().flat_map(|entry| &entry.seen);
        let errors = shown.filter(|(_, seen)| seen.state == State::Error);
        errors
            .filter_map(|(_, seen)| seen.details.as_ref())
            .any(|d| d.error.as_deref() == Some(text))
    };
    assert!(interrupted("interrupted by server restart"), "no kill hit a running action");
    assert!(books.repeated > 0, "nothing that ran was run again");
}
