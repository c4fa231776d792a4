//! A clock for leases: it never jumps, and goes on while the machine sleeps, where the system has such a clock.

use std::time::Duration;

/// A moment by that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    /// Returns the present moment.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default()))
    }

    /// Returns the present moment.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn now() -> Self {
        static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        Self(BEGIN.get_or_init(std::time::Instant::now).elapsed())
    }

    /// Returns the time since then.
    pub(super) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}
