//! A clock for leases: it never jumps, and goes on while the machine sleeps, where the system has such a clock.

#[cfg(feature = "testing")]
use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The clock by which a server measures its lease itself.
#[cfg_attr(
    not(feature = "postgres"),
    allow(unreachable_pub, reason = "the store in PostgreSQL shows it")
)]
#[derive(Debug, Clone, Default)]
pub struct LeaseClock {
    /// Milliseconds by which a test has put it forward.
    #[cfg(feature = "testing")]
    ahead: Arc<AtomicU64>,
}

/// A moment by that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// Returns the time since an earlier one.
    #[cfg(feature = "postgres")]
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl LeaseClock {
    /// Puts it forward, with all its clones.
    #[cfg(feature = "testing")]
    pub fn advance(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    /// Returns the present moment.
    pub(crate) fn now(&self) -> Moment {
        #[cfg(feature = "testing")]
        let ahead = Duration::from_millis(self.ahead.load(Ordering::Relaxed));
        #[cfg(not(feature = "testing"))]
        let ahead = Duration::ZERO;
        Moment(system_time().saturating_add(ahead))
    }

    /// Returns the time since then.
    pub(crate) fn elapsed(&self, since: Moment) -> Duration {
        self.now().0.saturating_sub(since.0)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn system_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn system_time() -> Duration {
    static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGIN.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_and_shows_for_how_long() {
        let clock = LeaseClock::default();
        let by_another = std::time::Instant::now();
        let since = clock.now();
        assert!(since.0 > Duration::ZERO);
        while by_another.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        // The two were not read at the same moment.
        let (elapsed, slack) = (clock.elapsed(since), Duration::from_millis(10));
        let most = by_another.elapsed() + slack;
        assert!(elapsed + slack >= Duration::from_millis(20) && elapsed < most, "{elapsed:?}");
        assert!(clock.now() > since);
        assert_eq!(clock.elapsed(Moment(Duration::MAX)), Duration::ZERO, "that is to come");
    }

    #[cfg(feature = "testing")]
    #[test]
    fn it_is_put_forward_with_its_clones() {
        let clock = LeaseClock::default();
        let (clone, since) = (clock.clone(), clock.now());
        let hour = Duration::from_secs(3_600);
        clone.advance(hour);
        clone.advance(hour);
        let elapsed = clock.elapsed(since);
        assert!(elapsed >= hour * 2 && elapsed < hour * 3, "{elapsed:?}");
        assert!(LeaseClock::default().elapsed(since) < hour, "another one");
    }
}
