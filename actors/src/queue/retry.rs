//! Retries: how often an action that failed is tried again, and when.

use std::time::Duration;

/// Attempts at an action that fails, and the time between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Number of attempts that may fail; with the last the action ends in Error (`MaxAttempts`; default 1). 0 counts as 1.
    pub max_attempts: u32,
    /// Time from a failure to the next attempt (`RetryDelaySecs`; default 10 s).
    pub delay: Duration,
    /// Growth of that time (`RetryBackoff`).
    pub backoff: Backoff,
    /// Time up to which it grows (`RetryMaxDelaySecs`; default one hour); a longer `delay` stays as it is.
    pub max_delay: Duration,
}

/// Growth of the time between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// It stays the same.
    #[default]
    Fixed,
    /// It doubles with each failure, and is then cut by a random part of up to half, so that actions that failed together are
    /// not tried again together.
    Exponential,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            delay: Duration::from_secs(10),
            backoff: Backoff::Fixed,
            max_delay: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// Returns the time to the next attempt after this number of failures, from 1, or `None` if there is to be none. `random` is
    /// a number from 0 to 1.
    ///
    /// ```
    /// use actiond_actors::{Backoff, RetryPolicy};
    /// use std::time::Duration;
    /// let policy = RetryPolicy { max_attempts: 3, backoff: Backoff::Exponential, ..RetryPolicy::default() };
    /// assert_eq!(policy.after(1, 0.0), Some(Duration::from_secs(10)));
    /// assert_eq!(policy.after(2, 1.0), Some(Duration::from_secs(10)));
    /// assert_eq!(policy.after(3, 0.0), None);
    /// ```
    #[must_use]
    pub fn after(&self, failures: u32, random: f64) -> Option<Duration> {
        if failures >= self.max_attempts {
            return None;
        }
        Some(match self.backoff {
            Backoff::Fixed => self.delay,
            Backoff::Exponential => {
                let doublings = failures.saturating_sub(1).min(31);
                let grown = self.delay.saturating_mul(1 << doublings);
                let delay = grown.min(self.max_delay.max(self.delay));
                delay.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(policy: RetryPolicy, random: f64) -> Vec<Option<f64>> {
        (1..=6).map(|n| policy.after(n, random).map(|delay| delay.as_secs_f64())).collect()
    }

    #[test]
    fn each_policy_has_its_delays() {
        let fixed = RetryPolicy { max_attempts: 4, ..RetryPolicy::default() };
        let ten = Some(10.0);
        assert_eq!(seconds(fixed, 1.0), [ten, ten, ten, None, None, None]);
        let doubling = RetryPolicy {
            max_attempts: 6,
            backoff: Backoff::Exponential,
            max_delay: Duration::from_secs(60),
            ..RetryPolicy::default()
        };
        let [a, b, c, d] = [10.0, 20.0, 40.0, 60.0].map(Some);
        assert_eq!(seconds(doubling, 0.0), [a, b, c, d, d, None]);
        let [a, b, c, d] = [5.0, 10.0, 20.0, 30.0].map(Some);
        assert_eq!(seconds(doubling, 1.0), [a, b, c, d, d, None]);
    }

    #[test]
    fn one_attempt_is_the_default_and_the_least() {
        assert_eq!(RetryPolicy::default().after(1, 0.5), None);
        assert_eq!(RetryPolicy { max_attempts: 0, ..RetryPolicy::default() }.after(1, 0.5), None);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let hour = Duration::from_secs(3600);
        let policy = RetryPolicy {
            max_attempts: u32::MAX,
            delay: hour,
            backoff: Backoff::Exponential,
            max_delay: 2 * hour,
        };
        for failures in [2, 31, 32, 33, u32::MAX - 1] {
            assert_eq!(policy.after(failures, 0.0), Some(2 * hour), "{failures}");
        }
        assert_eq!(policy.after(u32::MAX, 0.0), None);
    }

    #[test]
    fn a_long_delay_is_not_cut() {
        for backoff in [Backoff::Fixed, Backoff::Exponential] {
            let policy = RetryPolicy {
                max_attempts: 9,
                delay: Duration::from_secs(7200),
                backoff,
                ..RetryPolicy::default()
            };
            assert_eq!(policy.after(8, 0.0), Some(policy.delay), "{backoff:?}");
        }
    }
}
