//! Counts of backups, and the time of the last one.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use actiond_actors::Timestamp;

/// The outcomes of the backups that this server was asked for.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    made: AtomicU64,
    failed: AtomicU64,
    /// Time of the last one that was made, in milliseconds since 1970; 0 before the first.
    last: AtomicI64,
}

impl Backups {
    /// Notes that a backup has ended at this time, well or not.
    pub(crate) fn note(&self, is_made: bool, now: Timestamp) {
        if is_made {
            self.last.fetch_max(now.millis(), Ordering::Relaxed);
        }
        let number = if is_made { &self.made } else { &self.failed };
        number.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many were made, and how many failed.
    pub(super) fn numbers(&self) -> [(&'static str, u64); 2] {
        [
            ("success", self.made.load(Ordering::Relaxed)),
            ("error", self.failed.load(Ordering::Relaxed)),
        ]
    }

    /// Returns the time of the last one that was made, in seconds since 1970; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        u64::try_from(self.last.load(Ordering::Relaxed) / 1_000).unwrap_or_default()
    }
}
