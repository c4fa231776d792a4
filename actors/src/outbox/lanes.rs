//! The order of events: those of one action one after the other, those of different actions at the same time, and receivers in turn.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// Events that wait, sorted into lanes. Only the first of a lane may be under way; a lane is let go on when that is settled. All of a
/// lane go to the same receiver.
#[derive(Debug)]
pub(super) struct Lanes<L, R, E> {
    of: HashMap<L, (R, VecDeque<E>)>,
    /// Lanes whose first event may be taken, by receiver: those that have waited longest first. None is empty.
    ready: HashMap<R, VecDeque<L>>,
    /// The receivers that have such lanes, in the order of their turns.
    turns: VecDeque<R>,
    /// Number of events that are held for each receiver; none is 0.
    held: HashMap<R, usize>,
}

impl<L, R, E> Default for Lanes<L, R, E> {
    fn default() -> Self {
        Self {
            of: HashMap::new(),
            ready: HashMap::new(),
            turns: VecDeque::new(),
            held: HashMap::new(),
        }
    }
}

impl<L: Copy + Eq + Hash, R: Clone + Eq + Hash, E: Clone> Lanes<L, R, E> {
    /// Adds an event behind all others of its lane.
    pub(super) fn add(&mut self, lane: L, receiver: R, event: E) {
        let (receiver, events) = self.of.entry(lane).or_insert((receiver, VecDeque::new()));
        events.push_back(event);
        let (receiver, is_first) = (receiver.clone(), events.len() == 1);
        *self.held.entry(receiver.clone()).or_default() += 1;
        if is_first {
            self.make_ready(lane, receiver);
        }
    }

    /// Takes the next event to be delivered, of those whose receivers may be sent one. It stays the first of its lane until that
    /// goes on.
    pub(super) fn take(&mut self, may_be_sent: impl Fn(&R) -> bool) -> Option<(R, E)> {
        for _ in 0..self.turns.len() {
            let receiver = self.turns.pop_front()?;
            if !may_be_sent(&receiver) {
                self.turns.push_back(receiver);
                continue;
            }
            let lane = self.ready.get_mut(&receiver).and_then(VecDeque::pop_front);
            if self.ready.get(&receiver).is_none_or(VecDeque::is_empty) {
                self.ready.remove(&receiver);
            } else {
                self.turns.push_back(receiver.clone());
            }
            if let Some((_, events)) = lane.and_then(|lane| self.of.get(&lane)) {
                return events.front().map(|first| (receiver, first.clone()));
            }
        }
        None
    }

    /// Lets the first event of a lane be taken again: it was not delivered.
    pub(super) fn again(&mut self, lane: L) {
        if let Some((receiver, _)) = self.of.get(&lane) {
            self.make_ready(lane, receiver.clone());
        }
    }

    /// Removes the first event of a lane, which is settled, and lets the lane go on.
    pub(super) fn go_on(&mut self, lane: L) {
        let Some((receiver, events)) = self.of.get_mut(&lane) else { return };
        let (receiver, taken) = (receiver.clone(), events.pop_front());
        let is_through = events.is_empty();
        self.let_go(&receiver, usize::from(taken.is_some()));
        if is_through {
            self.of.remove(&lane);
        } else {
            self.make_ready(lane, receiver);
        }
    }

    /// Removes what is gone, but for the first of each lane that is not ready: what becomes of that is seen when it ends.
    pub(super) fn remove(&mut self, mut is_gone: impl FnMut(&E) -> bool) {
        let ready: HashSet<L> = self.ready.values().flatten().copied().collect();
        let Self { of, held, .. } = self;
        held.clear();
        of.retain(|lane, (receiver, events)| {
            let first = if ready.contains(lane) { None } else { events.pop_front() };
            events.retain(|event| !is_gone(event));
            if let Some(first) = first {
                events.push_front(first);
            }
            if !events.is_empty() {
                *held.entry(receiver.clone()).or_default() += events.len();
            }
            !events.is_empty()
        });
        self.drop_unready();
    }

    /// Removes the events of a receiver but for this number of lanes, those that have waited longest, and returns them. It keeps each
    /// that is under way or waits for its next attempt, and each lane whose first event is to be kept.
    pub(super) fn shed(&mut self, receiver: &R, keep: usize, kept: impl Fn(&E) -> bool) -> Vec<E> {
        let ready = self.ready.get(receiver).into_iter().flatten();
        let first_is_kept = |lane: &L| {
            let first = self.of.get(lane).and_then(|(_, events)| events.front());
            first.is_some_and(&kept)
        };
        let beyond: HashSet<L> =
            ready.skip(keep).copied().filter(|lane| !first_is_kept(lane)).collect();
        let mut removed = Vec::new();
        self.of.retain(|lane, (of, events)| {
            if of == receiver {
                removed.extend(events.drain(usize::from(!beyond.contains(lane))..));
            }
            !events.is_empty()
        });
        self.let_go(receiver, removed.len());
        self.drop_unready();
        removed
    }

    /// Returns the number of events that are held for a receiver.
    pub(super) fn held(&self, receiver: &R) -> usize {
        self.held.get(receiver).copied().unwrap_or_default()
    }

    /// Forgets all that waits.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn make_ready(&mut self, lane: L, receiver: R) {
        let lanes = self.ready.entry(receiver.clone()).or_default();
        if lanes.is_empty() {
            self.turns.push_back(receiver);
        }
        lanes.push_back(lane);
    }

    fn let_go(&mut self, receiver: &R, number: usize) {
        if let Some(held) = self.held.get_mut(receiver) {
            *held = held.saturating_sub(number);
            if *held == 0 {
                self.held.remove(receiver);
            }
        }
    }

    /// Forgets ready lanes that are not there any more.
    fn drop_unready(&mut self) {
        let Self { of, ready, turns, .. } = self;
        ready.retain(|_, lanes| {
            lanes.retain(|lane| of.contains_key(lane));
            !lanes.is_empty()
        });
        turns.retain(|receiver| ready.contains_key(receiver));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(_: &()) -> bool {
        true
    }

    #[test]
    fn one_of_a_lane_is_under_way_and_lanes_go_side_by_side() {
        let mut lanes = Lanes::default();
        for (lane, event) in [('a', 1), ('a', 2), ('b', 3), ('a', 4)] {
            lanes.add(lane, (), event);
        }
        let take = |lanes: &mut Lanes<char, (), i32>| lanes.take(any).map(|(_, event)| event);
        assert_eq!(take(&mut lanes), Some(1));
        assert_eq!(take(&mut lanes), Some(3));
        assert_eq!(take(&mut lanes), None, "each lane has one under way");
        lanes.again('a');
        assert_eq!(take(&mut lanes), Some(1), "it was not delivered");
        lanes.go_on('b');
        assert_eq!(take(&mut lanes), None);
        lanes.go_on('a');
        lanes.add('b', (), 5);
        assert_eq!(take(&mut lanes), Some(2));
        assert_eq!(take(&mut lanes), Some(5));
        lanes.go_on('a');
        assert_eq!(take(&mut lanes), Some(4));
        assert_eq!(lanes.held(&()), 2);
        lanes.go_on('a');
        lanes.go_on('b');
        assert_eq!(take(&mut lanes), None);
        let is_empty = lanes.of.is_empty() && lanes.held.is_empty() && lanes.turns.is_empty();
        assert!(is_empty, "nothing is kept of lanes that are through: {lanes:?}");
    }

    #[test]
    fn receivers_take_turns_and_those_that_may_not_be_sent_any_are_passed_over() {
        let mut lanes = Lanes::default();
        for event in 1..=4 {
            lanes.add(event, "slow", event);
        }
        lanes.add(5, "dead", 5);
        lanes.add(6, "late", 6);
        let mut take = |but: &str| lanes.take(|receiver| *receiver != but);
        assert_eq!(take("dead"), Some(("slow", 1)));
        assert_eq!(take("dead"), Some(("late", 6)));
        assert_eq!(take("dead"), Some(("slow", 2)));
        assert_eq!(take("none"), Some(("dead", 5)));
        assert_eq!(take("slow"), None);
        assert_eq!(take("none"), Some(("slow", 3)));
    }

    #[test]
    fn a_receiver_keeps_the_first_few_and_what_was_tried() {
        let mut lanes = Lanes::default();
        for (lane, event) in [('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5), ('a', 6), ('b', 7)]
        {
            lanes.add(lane, "dead", event);
        }
        lanes.add('x', "other", 8);
        // Under way: what comes behind it is let go.
        assert_eq!(lanes.take(|receiver| *receiver == "dead"), Some(("dead", 1)));
        let mut removed = lanes.shed(&"dead", 1, |event| *event == 4);
        removed.sort_unstable();
        assert_eq!(removed, [3, 5, 6, 7]);
        assert_eq!((lanes.held(&"dead"), lanes.held(&"other")), (3, 1));
        lanes.go_on('a');
        let mut left: Vec<_> = std::iter::from_fn(|| lanes.take(|_| true)).collect();
        left.sort_unstable();
        assert_eq!(left, [("dead", 2), ("dead", 4), ("other", 8)]);
    }

    #[test]
    fn what_is_gone_is_removed_unless_it_is_under_way() {
        let mut lanes = Lanes::default();
        for (lane, event) in [('a', 1), ('b', 2), ('a', 3), ('c', 4), ('a', 5), ('b', 6), ('d', 2)]
        {
            lanes.add(lane, (), event);
        }
        assert_eq!(lanes.take(any), Some(((), 1)));
        let mut gone = Vec::new();
        lanes.remove(|event| {
            let is_gone = *event < 4;
            gone.extend(is_gone.then_some(*event));
            is_gone
        });
        gone.sort_unstable();
        assert_eq!(gone, [2, 2, 3]);
        assert_eq!(lanes.held(&()), 4);
        assert_eq!([lanes.take(any), lanes.take(any)], [Some(((), 6)), Some(((), 4))]);
        assert_eq!(
            lanes.take(any),
            None,
            "nothing is left of one lane, and the first of another is under way"
        );
        lanes.go_on('a');
        assert_eq!(lanes.take(any), Some(((), 5)));
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let mut lanes = Lanes::default();
        lanes.add('a', (), 1);
        assert_eq!(lanes.take(any), Some(((), 1)));
        lanes.clear();
        lanes.again('a');
        lanes.go_on('a');
        assert_eq!(lanes.take(any), None);
        lanes.add('a', (), 2);
        assert_eq!(lanes.take(any), Some(((), 2)));
    }
}
