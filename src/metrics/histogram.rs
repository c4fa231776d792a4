//! Histograms that are only atomics: what is observed is counted in its bucket, and nothing else is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a histogram counts: the upper bounds of its buckets, and what they are divided by where they are shown.
#[derive(Debug)]
pub(super) struct Scale {
    /// In ascending order. What is above the last one is in a bucket without a bound.
    bounds: &'static [u64],
    unit: f64,
}

/// Number of microseconds in a second: durations are kept in whole ones.
const MICROS: f64 = 1_000_000.0;

const MS: u64 = 1_000;
const S: u64 = 1_000_000;

/// Time that an action waits or runs: from a millisecond to hours.
pub(super) const OF_ACTIONS: &Scale = &Scale {
    bounds: &[
        MS,
        5 * MS,
        25 * MS,
        100 * MS,
        500 * MS,
        2_500 * MS,
        10 * S,
        60 * S,
        600 * S,
        3_600 * S,
        6 * 3_600 * S,
        24 * 3_600 * S,
    ],
    unit: MICROS,
};

/// Time that a request takes, with the waits that clients ask for.
pub(super) const OF_REQUESTS: &Scale = &Scale {
    bounds: &[
        500,
        MS,
        5 * MS,
        10 * MS,
        50 * MS,
        100 * MS,
        500 * MS,
        S,
        5 * S,
        30 * S,
        60 * S,
        300 * S,
    ],
    unit: MICROS,
};

/// Time that a commit takes.
pub(super) const OF_COMMITS: &Scale = &Scale {
    bounds: &[
        250,
        500,
        MS,
        2_500,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        5 * S,
    ],
    unit: MICROS,
};

/// Number of changes in a commit.
pub(super) const OF_CHANGES: &Scale =
    &Scale { bounds: &[0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048], unit: 1.0 };

/// Largest number of buckets.
const MOST: usize = 14;

/// A histogram. To observe costs two additions to atomics, mostly in one line of the cache: hence the array, and its place.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Histogram {
    scale: &'static Scale,
    sum: AtomicU64,
    /// One for each bound, one for what is above the last, and unused ones.
    buckets: [AtomicU64; MOST],
}

impl Histogram {
    pub(super) const fn new(scale: &'static Scale) -> Self {
        Self { scale, sum: AtomicU64::new(0), buckets: [const { AtomicU64::new(0) }; MOST] }
    }

    pub(super) fn observe(&self, value: u64) {
        // They are few, and nearly all values are in the first ones.
        let bounds = self.scale.bounds.iter();
        let at = bounds.take_while(|bound| value > **bound).count();
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Reads it. What is observed meanwhile may be in one of the numbers and not yet in another.
    pub(super) fn read(&self) -> Read {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let bounds = self.scale.bounds.iter().map(|bound| in_unit(*bound, self.scale.unit));
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        Read { count, sum: in_unit(self.sum.load(Ordering::Relaxed), self.scale.unit), buckets }
    }

    /// Returns the average of what was observed, in its unit; 0 if nothing was.
    #[expect(clippy::cast_precision_loss, reason = "an average needs fewer than 53 bits")]
    pub(super) fn average(&self) -> f64 {
        let Read { count, sum, .. } = self.read();
        sum / count.max(1) as f64
    }
}

/// The numbers of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Upper bounds, and the number of values in each bucket alone.
    pub(super) buckets: Vec<(f64, u64)>,
}

#[expect(clippy::cast_precision_loss, reason = "53 bits are microseconds of 285 years")]
fn in_unit(value: u64, unit: f64) -> f64 {
    value as f64 / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_bucket_of_the_first_bound_that_it_does_not_exceed() {
        const SCALE: &Scale = &Scale { bounds: &[0, 10, 20], unit: 10.0 };
        let counts = |values: &[u64]| -> Vec<u64> {
            let histogram = Histogram::new(SCALE);
            values.iter().for_each(|value| histogram.observe(*value));
            let read = histogram.read();
            let bounds: Vec<f64> = read.buckets.iter().map(|(bound, _)| *bound).collect();
            assert_eq!(bounds, [0.0, 1.0, 2.0, f64::INFINITY]);
            assert_eq!(read.count, values.len() as u64);
            read.buckets.iter().map(|(_, count)| *count).collect()
        };
        for (values, want) in [
            (&[][..], [0, 0, 0, 0]),
            (&[0], [1, 0, 0, 0]),
            (&[1, 10], [0, 2, 0, 0]),
            (&[11, 20, 20], [0, 0, 3, 0]),
            (&[21, 1 << 60], [0, 0, 0, 2]),
        ] {
            assert_eq!(counts(values), want, "{values:?}");
        }
    }

    #[test]
    fn times_are_summed_in_seconds() {
        let histogram = Histogram::new(OF_COMMITS);
        for millis in [1, 2, 1_500] {
            histogram.observe_time(Duration::from_millis(millis));
        }
        let read = histogram.read();
        assert!((read.sum - 1.503).abs() < 1e-9, "{}", read.sum);
        assert_eq!(read.count, 3);
        let of = |bound: f64| {
            read.buckets.iter().find(|(of, _)| (of - bound).abs() < 1e-9).map(|(_, count)| *count)
        };
        assert_eq!((of(0.001), of(0.0025), of(5.0)), (Some(1), Some(1), Some(1)));
    }

    #[test]
    fn bounds_ascend_and_leave_a_bucket_for_what_is_above() {
        for scale in [OF_ACTIONS, OF_REQUESTS, OF_COMMITS, OF_CHANGES] {
            assert!(scale.bounds.is_sorted_by(|a, b| a < b), "{scale:?}");
            assert!(scale.bounds.len() < MOST, "{scale:?}: the last bucket has no bound");
        }
    }
}
