//! Wall-clock time that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::action::Timestamp;
use crate::clock::Clock;

/// A clock that stands still until it is moved. Its clones show the same time.
///
/// ```
/// use actiond_actors::clock::Clock;
/// use actiond_actors::testing::ManualClock;
/// use actiond_actors::Timestamp;
/// use std::time::Duration;
/// let clock = ManualClock::at(1_000);
/// clock.advance(Duration::from_secs(2));
/// clock.go_back(Duration::from_millis(500));
/// assert_eq!(clock.now(), Timestamp(2_500));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Makes a clock that shows this time, in milliseconds since 1970.
    #[must_use]
    pub fn at(millis: i64) -> Self {
        let clock = Self::default();
        clock.set(Timestamp(millis));
        clock
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Lets this much time pass.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Sets the time back, as a correction of the machine's clock does.
    pub fn go_back(&self, by: Duration) {
        self.0.fetch_sub(millis(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
