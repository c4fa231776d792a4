//! The protocol keeps every law, whatever the order of events.

use std::collections::HashMap;

use actiond_actors::lifecycle::OnRestart;
use stateright::{Checker as _, Model as _};

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
pub(super) const CUT_OFF: Setup = Setup { cut_offs: 2, repeats: 1, ..Setup::QUIET };
/// Cancels and submissions while a server dies.
pub(super) const CLIENTS: Setup = Setup {
    asks: &[Ask::Cancel(1), Ask::Submit, Ask::Wait(1)],
    most_asks: 2,
    crashes: 1,
    lost: 1,
    ..Setup::QUIET
};

pub(super) const ALL: [Setup; 5] = [CRASH, TWO, STOPS, CUT_OFF, CLIENTS];

fn each(setup: &Setup) -> [Setup; 3] {
    [OnRestart::Requeue, OnRestart::Fail, OnRestart::Resume]
        .map(|on_restart| Setup { on_restart, ..setup.clone() })
}

#[test]
fn every_law_holds() {
    for setup in ALL.iter().flat_map(each) {
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
    for setup in ALL.iter().flat_map(each) {
        let mut way: Vec<Event> = Vec::new();
        let mut seen = HashMap::new();
        let goes_round =
            setup.init_states().iter().any(|world| circle(&setup, world, &mut seen, &mut way));
        assert!(!goes_round, "{way:#?}\nof {setup:?}");
    }
}
