//! The protocol keeps every law, whatever the order of events.

use std::collections::HashMap;

use actiond_actors::lifecycle::OnRestart;
use stateright::{Checker as _, Model as _};

use super::laws::Reached;
use super::steps::Event;
use super::world::{Ask, Setup};
use crate::circles::circle;

/// A server dies; another is cut off and comes back.
pub(super) const CRASH: Setup = Setup { crashes: 1, cut_offs: 1, repeats: 1, ..Setup::QUIET };
/// Two actions; one server dies, another is cut off.
pub(super) const TWO: Setup = Setup { actions: 2, crashes: 1, cut_offs: 1, ..Setup::QUIET };
/// Stops and waits at either server, with a notice that is lost.
pub(super) const STOPS: Setup = Setup {
    endless: true,
    asks: &[Ask::Stop(1), Ask::Wait(1)],
    most_asks: 2,
    cut_offs: 1,
    lost: 1,
    ..Setup::QUIET
};
/// A server that is cut off again and again.
pub(super) const CUT_OFF: Setup =
    Setup { cut_offs: 2, repeats: 1, reaches: &[Reached::LateReport], ..Setup::QUIET };
/// Cancels and submissions while a server dies.
pub(super) const CLIENTS: Setup = Setup {
    asks: &[Ask::Cancel(1), Ask::Submit, Ask::Wait(1)],
    most_asks: 2,
    crashes: 1,
    lost: 1,
    ..Setup::QUIET
};

/// A server that stands still for longer than its lease, wherever it is, and goes on; another that dies.
pub(super) const FROZEN: Setup = Setup {
    asks: &[Ask::Cancel(1)],
    most_asks: 1,
    crashes: 1,
    freezes: 1,
    reaches: &[Reached::BegunLate],
    ..Setup::QUIET
};
/// Answers to commits that are lost, while a server is cut off.
pub(super) const ANSWERS: Setup =
    Setup { cut_offs: 1, answers: 2, reaches: FOUND_OUT, ..Setup::QUIET };
/// The same with a server that dies.
pub(super) const ANSWERS_OF_THE_DEAD: Setup =
    Setup { crashes: 1, answers: 1, reaches: FOUND_OUT, ..Setup::QUIET };
/// Answers to clients that are lost: submissions and cancels.
pub(super) const UNANSWERED: Setup = Setup {
    asks: &[Ask::Cancel(1), Ask::Submit],
    most_asks: 2,
    answers: 1,
    reaches: FOUND_OUT,
    ..Setup::QUIET
};
/// A pause at either server, beside claims whose answers are lost.
pub(super) const PAUSES: Setup = Setup {
    asks: &[Ask::Pause, Ask::Resume],
    most_asks: 3,
    answers: 1,
    reaches: FOUND_OUT,
    ..Setup::QUIET
};
const FOUND_OUT: &[Reached] = &[
    Reached::Locked,
    Reached::FoundDone,
    Reached::FoundUndone,
    Reached::UnsettledDone,
    Reached::UnsettledUndone,
];

pub(super) const ALL: [Setup; 10] =
    [CRASH, TWO, STOPS, CUT_OFF, CLIENTS, FROZEN, ANSWERS, ANSWERS_OF_THE_DEAD, UNANSWERED, PAUSES];

fn each(setup: &Setup) -> [Setup; 3] {
    [OnRestart::Requeue, OnRestart::Fail, OnRestart::Resume]
        .map(|on_restart| Setup { on_restart, ..setup.clone() })
}

fn hold(setup: &Setup) {
    let checker = setup.clone().checker().threads(2).spawn_bfs().join();
    println!("{} states, {} deep: {setup:?}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

#[test]
fn every_law_holds() {
    ALL.iter().flat_map(each).for_each(|setup| hold(&setup));
}

/// No promise can be made of this: the work of a server that is cut off, or stands still, may go on for a while beside the next attempt.
/// If an action may run only once, there is no such attempt.
#[test]
fn attempts_overlap_only_where_an_action_may_run_again() {
    let overlap = |setup: &Setup, on_restart| {
        let reaches = &[Reached::Overlap];
        let setup = Setup { on_restart, reaches, ..setup.clone() };
        let checker = setup.checker().threads(2).spawn_bfs().join();
        checker.discovery(Reached::Overlap.name()).is_some()
    };
    let cut_off = Setup { cut_offs: 1, ..Setup::QUIET };
    let frozen = Setup { freezes: 1, ..Setup::QUIET };
    for setup in [cut_off, frozen] {
        assert!(overlap(&setup, OnRestart::Requeue) && !overlap(&setup, OnRestart::Fail));
    }
}

/// So each way has an end, and the law about ends leaves out none.
#[test]
fn no_events_follow_each_other_for_ever() {
    let mut all = ALL;
    for setup in &mut all {
        // Two accidents of these make no circle that one does not.
        if setup.freezes > 0 {
            (setup.crashes, setup.asks) = (0, &[]);
        }
        setup.answers = setup.answers.min(1);
    }
    for setup in all.iter().flat_map(each) {
        let mut way: Vec<Event> = Vec::new();
        let mut seen = HashMap::new();
        let goes_round =
            setup.init_states().iter().any(|world| circle(&setup, world, &mut seen, &mut way));
        assert!(!goes_round, "{way:#?}\nof {setup:?}");
    }
}

#[test]
#[ignore = "ten minutes"]
fn every_law_holds_in_larger_models() {
    let two = Setup { actions: 2, slots: 2, ..Setup::QUIET };
    let larger = [
        Setup { asks: &[Ask::Stop(1), Ask::Cancel(1), Ask::Wait(1)], lost: 1, ..FROZEN },
        Setup { freezes: 2, crashes: 0, ..FROZEN },
        Setup { freezes: 1, cut_offs: 1, crashes: 0, asks: &[], ..FROZEN },
        Setup { crashes: 1, cut_offs: 1, answers: 1, ..ANSWERS },
        Setup { cut_offs: 2, answers: 2, ..ANSWERS },
        Setup { asks: &[Ask::Stop(1), Ask::Cancel(1), Ask::Submit], most_asks: 2, ..ANSWERS },
        Setup { cut_offs: 1, ..PAUSES },
        Setup { cut_offs: 1, answers: 1, ..two },
        Setup { freezes: 1, answers: 1, ..Setup::QUIET },
    ];
    larger.iter().flat_map(each).for_each(|setup| hold(&setup));
}
