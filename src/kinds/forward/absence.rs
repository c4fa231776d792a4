//! The time for which a server is left alone after it failed.

use std::time::Duration;

use tokio::time::Instant;

/// Time after the first failure, and the longest to which it grows.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Why and until when a server is not to be asked.
#[derive(Debug, Default)]
pub(super) struct Absence {
    failures: u32,
    until: Option<Instant>,
    why: String,
    /// Waiting alone will not help, as far as the latest failure says.
    lasts: bool,
}

impl Absence {
    /// Notes a failure. Those that come while it is left alone already were asked before, and count for nothing.
    pub(super) fn note(&mut self, why: &str) {
        let now = Instant::now();
        why.clone_into(&mut self.why);
        if self.until.is_some_and(|until| until > now) {
            return;
        }
        let grown = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // A part by chance, so that servers that failed together are not asked together.
        self.until = now.checked_add(grown.mul_f64(0.5 + fastrand::f64() / 2.0));
    }

    /// Notes whether the latest failure is one that waiting alone does not mend.
    pub(super) const fn set_lasts(&mut self, lasts: bool) {
        self.lasts = lasts;
    }

    pub(super) const fn lasts(&self) -> bool {
        self.lasts
    }

    /// Notes that it answered.
    pub(super) fn end(&mut self) {
        if self.failures > 0 {
            *self = Self::default();
        }
    }

    /// Returns the time at which it may be asked again and why it was left alone, if that time is still to come.
    pub(super) fn left(&self) -> Option<(Instant, String)> {
        let until = self.until.filter(|until| *until > Instant::now())?;
        Some((until, self.why.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_grows_to_a_bound_and_ends_with_an_answer() {
        let mut absence = Absence::default();
        assert_eq!(absence.left(), None);
        for grown in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            absence.note("away");
            absence.note("still away");
            let (until, why) = absence.left().unwrap();
            let left = until - Instant::now();
            let (least, most) = (Duration::from_millis(grown / 2), Duration::from_millis(grown));
            assert!(left >= least && left <= most, "{left:?} of {grown}");
            assert_eq!(why, "still away");
            tokio::time::advance(left).await;
            assert_eq!(absence.left(), None);
        }
        absence.note("away");
        absence.end();
        assert_eq!(absence.left(), None);
        absence.note("away");
        assert!(absence.left().unwrap().0 - Instant::now() <= FIRST);
    }
}
