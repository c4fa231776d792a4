//! No events follow each other for ever. So each way through a model has an end, and the law `AtLast`, which is
//! about ends, leaves out none: what waits does start (Q13).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use stateright::Model;

use crate::holds::{BOTH_CRASH, REBUILT_TWO_SLOTS, SHUTDOWN, STORE_FAILS, WORKERS_DIE};
use crate::setup::{Fault, Setup};
use crate::steps::Event;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    OnTheWay,
    Done,
}

/// Finds a way that comes back to a world it has been in.
pub(crate) fn circle<M: Model>(
    setup: &M,
    world: &M::State,
    seen: &mut HashMap<u64, Seen>,
    way: &mut Vec<M::Action>,
) -> bool
where
    M::State: Hash,
    M::Action: Copy,
{
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    let key = hasher.finish();
    if let Some(before) = seen.insert(key, Seen::OnTheWay) {
        seen.insert(key, before);
        return before == Seen::OnTheWay;
    }
    let mut events = Vec::new();
    setup.actions(world, &mut events);
    for event in events {
        way.push(event);
        if setup.next_state(world, event).is_some_and(|next| circle(setup, &next, seen, way)) {
            return true;
        }
        way.pop();
    }
    seen.insert(key, Seen::Done);
    false
}

pub(crate) fn find(setup: &Setup) -> Option<Vec<Event>> {
    let mut way = Vec::new();
    let mut seen = HashMap::new();
    setup.init_states().iter().any(|w| circle(setup, w, &mut seen, &mut way)).then_some(way)
}

#[test]
fn every_way_ends() {
    for setup in [REBUILT_TWO_SLOTS, BOTH_CRASH, WORKERS_DIE, STORE_FAILS, SHUTDOWN] {
        if let Some(way) = find(&setup) {
            panic!("{way:#?}\nof {setup:?}");
        }
    }
}

#[test]
fn a_queue_that_asks_in_vain_goes_round() {
    let setup = Setup { waiting: &[0, 0], ..Setup::QUIET };
    assert_eq!(find(&setup), None);
    assert_ne!(find(&Setup { fault: Some(Fault::BusyRounds), ..setup }), None);
}
