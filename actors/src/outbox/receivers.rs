//! The receivers of a handler: which of them take nothing for now, and whose events are left in the store meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// A receiver, as [`Deliver::receiver`](super::Deliver::receiver) names it.
pub(super) type Receiver = Option<Arc<str>>;

/// Number of named receivers of which it is known that they take nothing. The events of any further one are tried each by itself.
const MAX_DOWN: usize = 256;

/// Facts about the receivers.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    in_flight: HashMap<Receiver, usize>,
    down: HashMap<Receiver, Down>,
}

/// A receiver that takes nothing for now.
#[derive(Debug, Default)]
struct Down {
    /// Number of times in a row that it was found so.
    times: u32,
    /// The end of the pause after the last.
    until: Option<Instant>,
    /// True if events of it were read and are not held: those behind them must not be held either, or they would be told first.
    is_left: bool,
}

impl Receivers {
    /// Notes that a delivery begins.
    pub(super) fn begin(&mut self, receiver: &Receiver) {
        *self.in_flight.entry(receiver.clone()).or_default() += 1;
    }

    /// Notes that a delivery has ended.
    pub(super) fn end(&mut self, receiver: &Receiver) {
        if let Some(number) = self.in_flight.get_mut(receiver) {
            *number = number.saturating_sub(1);
            if *number == 0 {
                self.in_flight.remove(receiver);
            }
        }
    }

    /// Tells whether an event may be sent. A receiver that was down is asked by one at a time, after its pause; and not more than
    /// `most` named ones are asked at the same time, so that those that hang leave room for others.
    pub(super) fn may_be_sent(&self, receiver: &Receiver, now: Instant, most: usize) -> bool {
        let Some(down) = self.down.get(receiver) else { return true };
        let asked = || self.in_flight.keys().filter(|named| self.down.contains_key(*named)).count();
        down.until.is_none_or(|until| until <= now)
            && !self.in_flight.contains_key(receiver)
            && (receiver.is_none() || asked() < most)
    }

    /// Notes that a receiver was found to take nothing, with what `until` makes of the number of times in a row, which is returned;
    /// `None` if there are too many such receivers.
    pub(super) fn found_down(
        &mut self,
        receiver: &Receiver,
        until: impl FnOnce(u32) -> Instant,
    ) -> Option<u32> {
        if receiver.is_some() && !self.down.contains_key(receiver) && self.down.len() >= MAX_DOWN {
            return None;
        }
        let down = self.down.entry(receiver.clone()).or_default();
        down.times = down.times.saturating_add(1);
        down.until = down.until.max(Some(until(down.times)));
        Some(down.times)
    }

    /// Notes that a receiver takes events. Returns true if it was down.
    pub(super) fn found_up(&mut self, receiver: &Receiver) -> Option<WasDown> {
        self.down.remove(receiver).map(|down| WasDown { is_left: down.is_left })
    }

    /// Tells whether a receiver that others do not depend on takes nothing for now.
    pub(super) fn is_down_alone(&self, receiver: &Receiver) -> bool {
        receiver.is_some() && self.down.contains_key(receiver)
    }

    /// Tells whether events of a receiver are left in the store from here on.
    pub(super) fn is_left(&self, receiver: &Receiver) -> bool {
        self.down.get(receiver).is_some_and(|down| down.is_left)
    }

    /// Notes that events of a receiver are left in the store from here on.
    pub(super) fn leave(&mut self, receiver: &Receiver) {
        if let Some(down) = self.down.get_mut(receiver) {
            down.is_left = true;
        }
    }

    /// Tells whether events of any receiver are left that fits.
    pub(super) fn any_left(&self, fits: impl Fn(&Receiver) -> bool) -> bool {
        self.down.iter().any(|(receiver, down)| down.is_left && fits(receiver))
    }

    /// Notes that all events are read again, and forgets the receivers of which nothing is held.
    pub(super) fn take_back(&mut self, holds_any: impl Fn(&Receiver) -> bool) {
        self.down.retain(|receiver, down| {
            let stays = receiver.is_none() || down.is_left || holds_any(receiver);
            down.is_left = false;
            stays
        });
    }

    /// Returns the end of the first pause that is not over.
    pub(super) fn next_end(&self, now: Instant) -> Option<Instant> {
        self.down.values().filter_map(|down| down.until).filter(|until| *until > now).min()
    }
}

/// A receiver that was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WasDown {
    /// True if events of it are left in the store.
    pub(super) is_left: bool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn named(name: &str) -> Receiver {
        Some(name.into())
    }

    #[test]
    fn one_that_is_down_is_asked_by_one_event_after_its_pause() {
        let (mut receivers, now) = (Receivers::default(), Instant::now());
        let (dead, other) = (named("dead"), named("other"));
        receivers.begin(&dead);
        receivers.begin(&dead);
        assert!(receivers.may_be_sent(&dead, now, 1), "nothing is known of it");
        let later = now + Duration::from_secs(9);
        assert_eq!(receivers.found_down(&dead, |_| later), Some(1));
        assert_eq!(
            receivers.found_down(&dead, |times| now + Duration::from_secs(times.into())),
            Some(2)
        );
        receivers.end(&dead);
        receivers.end(&dead);
        assert_eq!(receivers.next_end(now), Some(later), "the longer pause counts");
        assert!(!receivers.may_be_sent(&dead, now, 1) && receivers.may_be_sent(&other, now, 1));
        assert!(receivers.may_be_sent(&dead, later, 1));
        receivers.begin(&dead);
        assert!(!receivers.may_be_sent(&dead, later, 2), "one asks");
        assert_eq!(receivers.found_down(&other, |_| now), Some(1));
        assert!(!receivers.may_be_sent(&other, now, 1), "as many are asked as may be");
        assert!(receivers.may_be_sent(&other, now, 2));
        receivers.found_down(&None, |_| now);
        assert!(receivers.may_be_sent(&None, now, 1), "a receiver of all events has all the room");
        assert_eq!(receivers.found_up(&dead), Some(WasDown { is_left: false }));
        assert_eq!(receivers.found_up(&dead), None);
    }

    #[test]
    fn what_is_known_is_bounded_and_forgotten() {
        let (mut receivers, now) = (Receivers::default(), Instant::now());
        for number in 0..MAX_DOWN {
            assert_eq!(receivers.found_down(&named(&number.to_string()), |_| now), Some(1));
        }
        assert_eq!(receivers.found_down(&named("more"), |_| now), None);
        assert_eq!(receivers.found_down(&None, |_| now), Some(1));
        assert_eq!(receivers.found_down(&named("7"), |_| now), Some(2));
        receivers.leave(&named("7"));
        receivers.leave(&named("nobody"));
        assert!(receivers.is_left(&named("7")) && receivers.any_left(|_| true));
        assert!(!receivers.any_left(|receiver| *receiver != named("7")));
        receivers.take_back(|_| false);
        assert!(!receivers.any_left(|_| true));
        assert!(receivers.is_down_alone(&named("7")) && !receivers.is_down_alone(&None));
        assert_eq!(receivers.down.len(), 2, "of the others nothing is there");
        assert_eq!(receivers.found_down(&named("more"), |_| now), Some(1));
    }
}
