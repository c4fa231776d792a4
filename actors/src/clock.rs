//! The wall clock. No other code asks for the wall-clock time, so tests can set it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::action::Timestamp;

/// A wall clock. Durations are never measured by it, since it may jump; times stay in order even then (Q9).
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the present time.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    fn now(&self) -> Timestamp {
        // A machine set to a time before 1970 or after the year 292,000,000 shows 0.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or_default())
    }
}
