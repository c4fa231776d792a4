//! The protocol keeps every law, whatever the order of events; each of a list of mistakes breaks one.

use std::collections::HashMap;

use stateright::{Checker as _, HasDiscoveries, Model as _};

use super::steps::Event;
use super::world::{Fault, Setup};
use crate::circles::circle;

/// Workers that die and are silent, and answers that get lost.
const WORKERS: Setup =
    Setup { worker_deaths: 1, silences: 1, lost_answers: 1, releases: 1, ..Setup::QUIET };
/// A server that dies, and one whose actor does.
const CRASH: Setup =
    Setup { actor_deaths: 1, crashes: 1, lost_answers: 1, silences: 1, ..Setup::QUIET };
/// A shutdown while workers work.
const SHUTDOWN: Setup =
    Setup { actions: 2, shutdowns: 1, silences: 1, attempts: 1, ..Setup::QUIET };
/// Two actions and one slot.
const TWO: Setup = Setup { actions: 2, actor_deaths: 1, crashes: 1, attempts: 1, ..Setup::QUIET };
/// Two actions on two slots, a stop, and an actor that dies.
const STOPS: Setup = Setup {
    actions: 2,
    slots: 2,
    stops: 1,
    actor_deaths: 1,
    silences: 1,
    attempts: 1,
    ..Setup::QUIET
};

/// Servers that die one after the other.
const DEATHS: Setup = Setup { crashes: 2, actor_deaths: 1, max_restarts: 2, ..Setup::QUIET };

const ALL: [Setup; 6] = [WORKERS, CRASH, SHUTDOWN, TWO, STOPS, DEATHS];

#[test]
fn every_law_holds() {
    for setup in ALL {
        let checker = setup.clone().checker().threads(2).spawn_bfs().join();
        println!(
            "{} states, {} deep: {setup:?}",
            checker.unique_state_count(),
            checker.max_depth()
        );
        checker.assert_properties();
    }
}

/// So each way has an end, and the law about ends leaves out none.
#[test]
fn no_events_follow_each_other_for_ever() {
    for setup in ALL {
        let mut way: Vec<Event> = Vec::new();
        let mut seen = HashMap::new();
        let goes_round =
            setup.init_states().iter().any(|world| circle(&setup, world, &mut seen, &mut way));
        assert!(!goes_round, "{way:#?}\nof {setup:?}");
    }
}

/// Finds a shortest way to the law that the mistake breaks.
fn fails(fault: Fault, setup: Setup) {
    let law = fault.breaks().name();
    let right = setup.clone().checker().threads(2).spawn_bfs().join();
    assert!(right.discovery(law).is_none(), "{law} does not hold without {fault:?}");
    let wrong = Setup { fault: Some(fault), ..setup };
    let found = wrong
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyOf([law].into()))
        .spawn_bfs()
        .join()
        .discovery(law);
    let Some(way) = found else { panic!("{fault:?} does not break {law}") };
    println!("{fault:?} breaks {law}:");
    for event in way.into_actions() {
        println!("    {event:?}");
    }
}

#[test]
fn a_word_that_is_not_held_against_its_attempt() {
    fails(Fault::WordsUnfenced, WORKERS);
}

#[test]
fn an_answer_before_the_end_is_written() {
    fails(Fault::AckBeforeDurable, CRASH);
}

#[test]
fn a_word_that_is_said_twice() {
    fails(Fault::RepeatRefused, WORKERS);
    fails(Fault::RepeatBelieved, WORKERS);
}

#[test]
fn an_end_that_a_dead_actor_has_written() {
    fails(Fault::WrittenTwiceRefused, CRASH);
}

#[test]
fn a_server_that_does_not_know_the_attempt_yet() {
    fails(Fault::RefusedTooEarly, CRASH);
}

#[test]
fn a_restart_that_takes_what_workers_have() {
    fails(Fault::RequeuedAtRestart, CRASH);
}

/// The server died before its reply was sent, so no worker knows of the attempt.
#[test]
fn an_attempt_that_nobody_speaks_of_after_a_restart() {
    fails(Fault::LostIsFailure, CRASH);
    fails(Fault::LostIsFree, DEATHS);
}

#[test]
fn what_never_began_because_the_actor_died() {
    fails(Fault::ActorDeathCounts, TWO);
    fails(Fault::UnbegunTooEarly, CRASH);
}

#[test]
fn a_shutdown_that_leaves_workers_waiting_or_takes_what_they_have() {
    fails(Fault::DetachedUnanswered, SHUTDOWN);
    fails(Fault::DetachReleases, SHUTDOWN);
}

#[test]
fn more_claims_than_workers_that_wait() {
    fails(Fault::DemandIgnored, WORKERS);
}

#[test]
fn workers_that_are_reserved_and_forgotten() {
    fails(Fault::ReservedLost, CRASH);
    fails(Fault::UnclaimedLost, TWO);
}

#[test]
fn claims_beside_what_is_resumed() {
    fails(Fault::ClaimsBesideResumed, TWO);
}

#[test]
fn a_lease_that_never_ends() {
    fails(Fault::LeaseForEver, WORKERS);
    fails(Fault::ResumedWithoutLease, CRASH);
}
