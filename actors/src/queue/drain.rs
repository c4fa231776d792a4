//! The rate at which actions leave a queue, over the last minute: when there may be room in one that is full.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;

/// Number of seconds that are looked back at.
const WINDOW: u64 = 60;

/// The shortest and the longest time that a client is told to wait.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The numbers of actions that have left a queue lately: that were started, cancelled or stopped while they waited.
#[derive(Debug)]
pub(super) struct Drain {
    began: Instant,
    window: Mutex<Window>,
}

impl Drain {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), window: Mutex::default() }
    }

    /// Notes that so many have left.
    pub(super) fn note(&self, number: u64) {
        if number > 0 {
            lock(&self.window).note(self.began.elapsed().as_secs(), number);
        }
    }

    /// Returns the time in which so many will leave, at the rate of the last minute: from one second to one minute.
    pub(super) fn time_for(&self, number: u64) -> Duration {
        lock(&self.window).time_for(self.began.elapsed(), number)
    }
}

/// Numbers of the seconds of the last minute, each in the place of its second.
#[derive(Debug)]
struct Window([(u64, u64); WINDOW as usize]);

impl Default for Window {
    fn default() -> Self {
        Self([(0, 0); WINDOW as usize])
    }
}

impl Window {
    fn note(&mut self, second: u64, number: u64) {
        let place = usize::try_from(second % WINDOW).unwrap_or_default();
        if let Some(slot) = self.0.get_mut(place) {
            let before = if slot.0 == second { slot.1 } else { 0 };
            *slot = (second, before.saturating_add(number));
        }
    }

    fn time_for(&self, now: Duration, number: u64) -> Duration {
        let second = now.as_secs();
        let recent = self.0.iter().filter(|(of, _)| second - of.min(&second) < WINDOW);
        let left = recent.fold(0_u64, |sum, (_, number)| sum.saturating_add(*number));
        if left == 0 {
            return LONGEST;
        }
        let over = now.min(Duration::from_secs(WINDOW)).max(SHORTEST);
        let nanos = over.as_nanos().saturating_mul(number.into()) / u128::from(left);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        time.clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_follows_the_rate_of_the_last_minute() {
        let at = Duration::from_secs;
        let mut window = Window::default();
        assert_eq!(window.time_for(at(0), 1), LONGEST, "nothing has left");
        window.note(0, 1);
        assert_eq!(window.time_for(at(0), 1), SHORTEST, "one in less than a second");
        assert_eq!(window.time_for(at(8), 1), at(8));
        assert_eq!(window.time_for(at(8), 3), at(24));
        window.note(8, 3);
        assert_eq!(window.time_for(at(8), 1), at(2));
        assert_eq!(window.time_for(at(59), 1), Duration::from_millis(14_750));
        // The first is forgotten, and then the others.
        assert_eq!(window.time_for(at(60), 1), at(20));
        assert_eq!(window.time_for(at(67), 2), at(40));
        assert_eq!(window.time_for(at(68), 1), LONGEST);
        for second in 100..160 {
            window.note(second, 1_000);
            window.note(second, 500);
        }
        assert_eq!(window.time_for(at(160), 1), SHORTEST);
        assert_eq!(window.time_for(at(159), 4_500), at(3));
        assert_eq!(window.time_for(at(159), u64::MAX), LONGEST);
    }
}
