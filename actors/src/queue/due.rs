//! Queued actions that must not start yet: when the queue looks for them again.
//!
//! While all that waits is of that kind, the queue writes nothing. It sleeps until the first of them is due, but no longer than
//! a minute at a time: the times are those of the wall clock, which may be set meanwhile.

use std::time::Duration;

use actix::prelude::*;

use super::QueueActor;
use crate::action::Timestamp;
use crate::clock::Clock;
use crate::store::BatchReply;

/// Longest time between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The queued actions that must not start yet, as of the latest batch.
#[derive(Default)]
pub(super) struct Due {
    number: u64,
    /// The time of the first of them.
    at: Option<Timestamp>,
    timer: Option<SpawnHandle>,
}

impl Due {
    /// Tells whether one of so many queued actions may start.
    pub(super) fn has_ready(&self, queued: u64, clock: &dyn Clock) -> bool {
        queued > self.number || (queued > 0 && self.left(clock).is_none_or(|left| left.is_zero()))
    }

    /// Returns the time until the first of them may start, if there is one.
    fn left(&self, clock: &dyn Clock) -> Option<Duration> {
        let millis = self.at?.0.saturating_sub(clock.now().0);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or_default()))
    }
}

impl QueueActor {
    /// Notes what the answer to a batch of this time says of actions that must not start yet.
    pub(super) fn arm(&mut self, reply: &BatchReply, now: Timestamp, ctx: &mut Context<Self>) {
        self.due.number = reply.deferred;
        self.due.at = reply.next_due.map(|after| {
            // A part of a millisecond later rather than before the time.
            let millis = after.as_nanos().div_ceil(1_000_000);
            Timestamp(now.0.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX)))
        });
        self.set_due_timer(ctx);
    }

    /// Sets the timer for the next look at the clock, instead of the one before.
    fn set_due_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.due.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(left) = self.due.left(&*self.clock) else { return };
        self.due.timer = Some(ctx.run_later(left.min(LOOK_EVERY), |queue, ctx| {
            queue.due.timer = None;
            if queue.due.left(&*queue.clock).is_some_and(|left| !left.is_zero()) {
                queue.set_due_timer(ctx);
            } else {
                // Nothing is written unless something can start now.
                queue.pump(ctx);
            }
        }));
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn nothing_is_ready_until_the_clock_shows_the_time() {
        let clock = ManualClock::at(1_000);
        let none = Due::default();
        assert!(none.has_ready(1, &clock) && !none.has_ready(0, &clock));
        let two = Due { number: 2, at: Some(Timestamp(3_000)), timer: None };
        for (set, ready) in [(2_999, false), (3_000, true), (4_000, true), (0, false)] {
            clock.set(Timestamp(set));
            assert_eq!(two.has_ready(2, &clock), ready, "{set}");
            assert!(two.has_ready(3, &clock), "{set}: another one waits for a slot alone");
            assert!(!two.has_ready(0, &clock), "{set}");
        }
    }
}
