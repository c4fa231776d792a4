//! The end of a storm: what has come must fit what servers show.

use std::collections::{BTreeMap, BTreeSet};

use super::clients::Ledger;
use super::receiver::{Arrival, Receiver};
use crate::calls::id_of;
use crate::handlers::wait_for_events;
use crate::server::Server;

/// The event that tells of an end in this state.
fn event_of(state: &str) -> &'static str {
    match state {
        "Finished" => "OnFinish",
        "Error" => "OnError",
        "Cancelled" => "OnCancel",
        "Stopped" => "OnStop",
        other => panic!("{other} is no end"),
    }
}

/// Checks that what has come is what happened, all of it, and in its order.
pub(super) fn all_is_told(ledger: &Ledger, arrivals: &[Arrival]) {
    let mut first = BTreeMap::<&str, &Arrival>::new();
    let mut of_action = BTreeMap::<u64, Vec<&Arrival>>::new();
    for arrival in arrivals {
        let known = *first.entry(&arrival.id).or_insert_with(|| {
            of_action.entry(arrival.action).or_default().push(arrival);
            arrival
        });
        let same = |of: &Arrival| (of.event.clone(), of.action, of.body.clone());
        assert_eq!(same(known), same(arrival), "{} stands for two events", arrival.id);
    }
    let entries = ledger.entries();
    let mut known = BTreeSet::new();
    for entry in entries.iter() {
        let id = id_of(entry.token.as_deref().expect("it was acknowledged"));
        known.insert(id);
        let told = of_action.get(&id).map_or(&[][..], Vec::as_slice);
        let what = || format!("{entry:?}: {told:#?}");
        let numbers: Vec<_> = told.iter().map(|arrival| arrival.number()).collect();
        assert!(numbers.is_sorted(), "events of one action came in another order: {}", what());
        let events: Vec<_> = told.iter().map(|arrival| arrival.event.as_str()).collect();
        let (end, starts) = events.split_last().unwrap_or((&"nothing", &[]));
        assert_eq!(*end, event_of(entry.ended.as_deref().expect("it has ended")), "{}", what());
        assert!(starts.iter().all(|event| *event == "OnStart"), "{}", what());
        // What is cancelled has never started, unless its server died and it waited to run again; what runs only once has started once.
        let has_run = *end != "OnCancel";
        let most = if entry.queue == "Once" { 1 } else { usize::MAX };
        assert!((usize::from(has_run)..=most).contains(&starts.len()), "{}", what());
        assert!(has_run || starts.is_empty() || entry.queue == "Again", "{}", what());
    }
    let unknown: Vec<_> = of_action.keys().filter(|id| !known.contains(id)).collect();
    assert!(unknown.is_empty(), "nobody has submitted {unknown:?}");
}

/// Checks that what is shown as failed is what was never taken: it is tried again, and comes.
pub(super) fn what_failed_was_not_taken(server: &Server, receiver: &Receiver) -> usize {
    let before = receiver.arrivals();
    let shown = server.ask("EventInfo").success();
    assert_eq!((shown.number("pending"), shown.number("dropped")), (0, 0), "{}", shown.0);
    let answer = server.ask("EventInfo&EventAction=retry").success();
    assert_eq!(answer.number("retried"), shown.number("failed"));
    wait_for_events(server, "pending", 0);
    assert_eq!(server.ask("EventInfo").number("failed"), 0);
    let after = receiver.arrivals();
    let failed: BTreeSet<_> = after[before.len()..].iter().map(|arrival| &arrival.id).collect();
    assert_eq!(failed.len() as u64, shown.number("failed"), "each came again");
    let mut last_taken = BTreeMap::new();
    for (at, arrival) in before.iter().enumerate().filter(|(_, arrival)| arrival.taken) {
        last_taken.insert(&arrival.id, at);
    }
    for id in before.iter().map(|arrival| &arrival.id).collect::<BTreeSet<_>>() {
        let story = || before.iter().filter(|arrival| arrival.id == *id).collect::<Vec<_>>();
        match last_taken.get(id) {
            None => assert!(failed.contains(id), "it was never taken: {:#?}", story()),
            // The answer was lost with its server.
            Some(at) if failed.contains(id) => {
                let again = before[at + 1..].iter().any(|arrival| arrival.id == *id);
                assert!(again, "it was taken: {:#?}", story());
            }
            Some(_) => {}
        }
    }
    failed.len()
}

/// Prints what a storm was, and fails if it was none.
pub(super) fn something_happened(ledger: &Ledger, arrivals: &[Arrival], failed: usize) {
    let entries = ledger.entries();
    let ended = |state: &str| entries.iter().filter(|e| e.ended.as_deref() == Some(state)).count();
    let mut lives = BTreeMap::<&str, BTreeSet<usize>>::new();
    let (mut taken, mut taken_again, mut told_twice) = (BTreeMap::new(), 0, 0);
    for arrival in arrivals {
        lives.entry(&arrival.id).or_default().insert(arrival.life);
        let before = taken.get(&arrival.id);
        taken_again += usize::from(before.is_some());
        told_twice += usize::from(before == Some(&arrival.life));
        if arrival.taken {
            taken.insert(&arrival.id, arrival.life);
        }
    }
    let again = lives.values().filter(|lives| lives.len() > 1).count();
    for (what, count, least) in [
        ("messages", arrivals.len(), 60),
        ("events", lives.len(), 50),
        ("events that came again after a restart", again, 1),
        ("messages of events that were taken before", taken_again, 0),
        ("of these, in the same life of a server", told_twice, 0),
        ("events that failed", failed, 0),
        ("Finished", ended("Finished"), 1),
        ("Error", ended("Error"), 1),
        ("Cancelled", ended("Cancelled"), 1),
        ("Stopped", ended("Stopped"), 1),
    ] {
        eprintln!("{count:>6}  {what}");
        assert!(count >= least, "only {count} {what}, in place of at least {least}");
    }
}
