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

/// The next time at which an action may start that must not start yet.
#[derive(Default)]
pub(super) struct Due {
    /// That time, if there is such an action.
    at: Option<Timestamp>,
    /// True if no queued action could start before it.
    rests: bool,
    timer: Option<SpawnHandle>,
}

impl Due {
    /// Tells whether no queued action may start yet.
    pub(super) fn rests(&self, clock: &dyn Clock) -> bool {
        self.rests && self.left(clock).is_some_and(|left| !left.is_zero())
    }

    /// Returns the time until the first action may start, if there is one that must not start yet.
    fn left(&self, clock: &dyn Clock) -> Option<Duration> {
        let millis = self.at?.0.saturating_sub(clock.now().0);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or_default()))
    }
}

impl QueueActor {
    /// Notes what the answer to a batch of this time says of actions that must not start yet. `claim` is the number of
    /// actions that the batch could start.
    pub(super) fn arm(
        &mut self,
        reply: &BatchReply,
        now: Timestamp,
        claim: usize,
        ctx: &mut Context<Self>,
    ) {
        self.due.at = reply.next_due.map(|after| {
            // A part of a millisecond later rather than before the time.
            let millis = after.as_nanos().div_ceil(1_000_000);
            Timestamp(now.0.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX)))
        });
        // One that could not be read has used up a claim.
        let started = reply.claimed.len() + reply.unread.len();
        self.due.rests = reply.next_due.is_some() && started < claim;
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
                queue.due.at = None;
                // Nothing is written unless something can start: see `can_start`.
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
    fn it_rests_until_the_clock_shows_the_time() {
        let clock = ManualClock::at(1_000);
        let due = |at, rests| Due { at, rests, timer: None };
        assert!(!due(None, true).rests(&clock));
        let later = Some(Timestamp(3_000));
        assert!(!due(later, false).rests(&clock), "something else may wait");
        let due = due(later, true);
        for (set, rests) in [(2_999, true), (3_000, false), (4_000, false), (0, true)] {
            clock.set(Timestamp(set));
            assert_eq!(due.rests(&clock), rests, "{set}");
        }
    }
}
