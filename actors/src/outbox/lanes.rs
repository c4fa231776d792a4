//! The order of events: those of one action one after the other, those of different actions at the same time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// Events that wait, sorted into lanes. Only the first of a lane may be under way; a lane is let go on when that is settled.
#[derive(Debug)]
pub(super) struct Lanes<L, E> {
    of: HashMap<L, VecDeque<E>>,
    /// Lanes whose first event may be taken, those that have waited longest first.
    ready: VecDeque<L>,
}

impl<L, E> Default for Lanes<L, E> {
    fn default() -> Self {
        Self { of: HashMap::new(), ready: VecDeque::new() }
    }
}

impl<L: Copy + Eq + Hash, E: Clone> Lanes<L, E> {
    /// Adds an event behind all others of its lane.
    pub(super) fn add(&mut self, lane: L, event: E) {
        let events = self.of.entry(lane).or_default();
        events.push_back(event);
        if events.len() == 1 {
            self.ready.push_back(lane);
        }
    }

    /// Takes the next event to be delivered. It stays the first of its lane until that goes on.
    pub(super) fn take(&mut self) -> Option<(L, E)> {
        let lane = self.ready.pop_front()?;
        let first = self.of.get(&lane)?.front()?;
        Some((lane, first.clone()))
    }

    /// Lets the first event of a lane be taken again: it was not delivered.
    pub(super) fn again(&mut self, lane: L) {
        if self.of.contains_key(&lane) {
            self.ready.push_back(lane);
        }
    }

    /// Removes the first event of a lane, which is settled, and lets the lane go on.
    pub(super) fn go_on(&mut self, lane: L) {
        let Some(events) = self.of.get_mut(&lane) else { return };
        events.pop_front();
        if events.is_empty() {
            self.of.remove(&lane);
        } else {
            self.ready.push_back(lane);
        }
    }

    /// Removes what is gone, but for the first of each lane that is not ready: what becomes of that is seen when it ends.
    pub(super) fn remove(&mut self, mut is_gone: impl FnMut(&E) -> bool) {
        let ready: HashSet<L> = self.ready.iter().copied().collect();
        self.of.retain(|lane, events| {
            let first = if ready.contains(lane) { None } else { events.pop_front() };
            events.retain(|event| !is_gone(event));
            if let Some(first) = first {
                events.push_front(first);
            }
            !events.is_empty()
        });
        self.ready.retain(|lane| self.of.contains_key(lane));
    }

    /// Forgets all that waits.
    pub(super) fn clear(&mut self) {
        self.of.clear();
        self.ready.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_lane_is_under_way_and_lanes_go_side_by_side() {
        let mut lanes = Lanes::default();
        for (lane, event) in [('a', 1), ('a', 2), ('b', 3), ('a', 4)] {
            lanes.add(lane, event);
        }
        assert_eq!(lanes.take(), Some(('a', 1)));
        assert_eq!(lanes.take(), Some(('b', 3)));
        assert_eq!(lanes.take(), None, "each lane has one under way");
        lanes.again('a');
        assert_eq!(lanes.take(), Some(('a', 1)), "it was not delivered");
        lanes.go_on('b');
        assert_eq!(lanes.take(), None);
        lanes.go_on('a');
        lanes.add('b', 5);
        assert_eq!(lanes.take(), Some(('a', 2)));
        assert_eq!(lanes.take(), Some(('b', 5)));
        lanes.go_on('a');
        assert_eq!(lanes.take(), Some(('a', 4)));
        lanes.go_on('a');
        lanes.go_on('b');
        assert_eq!(lanes.take(), None);
        assert!(lanes.of.is_empty(), "nothing is kept of lanes that are through");
    }

    #[test]
    fn what_is_gone_is_removed_unless_it_is_under_way() {
        let mut lanes = Lanes::default();
        for (lane, event) in [('a', 1), ('b', 2), ('a', 3), ('c', 4), ('a', 5), ('b', 6), ('d', 2)]
        {
            lanes.add(lane, event);
        }
        assert_eq!(lanes.take(), Some(('a', 1)));
        let mut gone = Vec::new();
        lanes.remove(|event| {
            let is_gone = *event < 4;
            gone.extend(is_gone.then_some(*event));
            is_gone
        });
        gone.sort_unstable();
        assert_eq!(gone, [2, 2, 3]);
        assert_eq!([lanes.take(), lanes.take()], [Some(('b', 6)), Some(('c', 4))]);
        assert_eq!(
            lanes.take(),
            None,
            "nothing is left of one lane, and the first of another is under way"
        );
        lanes.go_on('a');
        assert_eq!(lanes.take(), Some(('a', 5)));
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let mut lanes = Lanes::default();
        lanes.add('a', 1);
        assert_eq!(lanes.take(), Some(('a', 1)));
        lanes.clear();
        lanes.again('a');
        lanes.go_on('a');
        assert_eq!(lanes.take(), None);
        lanes.add('a', 2);
        assert_eq!(lanes.take(), Some(('a', 2)));
    }
}
