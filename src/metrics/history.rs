//! The last hour of each queue: what was counted is noted once a minute, so that the difference of two notes tells what happened in
//! between. Nothing is added to what an event costs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actiond_actors::State;

use super::Counted;
use super::histogram::Read;
use super::queues::Queue;

/// Number of minutes that are told.
pub(crate) const MINUTES: usize = 60;

/// Time between two notes.
const MINUTE: Duration = Duration::from_secs(60);

/// The counts of a queue at one time.
#[derive(Debug, Clone, PartialEq)]
struct Note {
    submitted: u64,
    ended: u64,
    failed: u64,
    wait: Read,
    run: Read,
}

impl Note {
    fn of(queue: &Queue) -> Self {
        let ended = |state: &State| queue.ended(*state);
        Self {
            submitted: queue.submitted.load(Ordering::Relaxed),
            ended: State::ALL.iter().map(ended).fold(0, u64::saturating_add),
            failed: queue.ended(State::Error),
            wait: queue.wait.read(),
            run: queue.run.read(),
        }
    }

    fn nothing() -> Self {
        Self::of(&Queue::default())
    }
}

/// The counts of one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    pub(crate) submitted: u64,
    /// In any final state.
    pub(crate) ended: u64,
    /// In `Error`.
    pub(crate) failed: u64,
}

/// Times below which half, nine of ten, and 99 of a hundred actions were; between the bounds of a histogram they are estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) half: Duration,
    pub(crate) ninety: Duration,
    pub(crate) ninety_nine: Duration,
}

/// The last hour of a queue, as this server has seen it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LastHour {
    /// The minutes, the oldest first; the last one is not over. There are fewer if the server has not run for so long.
    pub(crate) minutes: Vec<Minute>,
    /// Of the times that actions waited; `None` if none has started.
    pub(crate) wait: Option<Percentiles>,
    /// Of the times that actions ran; `None` if none has ended.
    pub(crate) run: Option<Percentiles>,
}

/// The notes of the last hour, for each queue by its name.
#[derive(Debug, Default)]
pub(super) struct History {
    notes: Mutex<BTreeMap<Box<str>, VecDeque<Note>>>,
    is_kept: AtomicBool,
}

impl History {
    fn notes(&self) -> MutexGuard<'_, BTreeMap<Box<str>, VecDeque<Note>>> {
        // Nothing that holds the lock can leave it half changed.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the counts of all queues.
    fn note(&self, queues: impl Iterator<Item = (Box<str>, Arc<Queue>)>) {
        let mut notes = self.notes();
        for (name, queue) in queues {
            let notes = notes.entry(name).or_default();
            notes.push_back(Note::of(&queue));
            // The oldest is where the first minute begins.
            while notes.len() > MINUTES {
                notes.pop_front();
            }
        }
    }

    /// Returns the last hour of a queue that stands so now.
    pub(super) fn last_hour(&self, name: &str, queue: &Queue) -> LastHour {
        let now = Note::of(queue);
        let notes = self.notes();
        let past = notes.get(name).map(VecDeque::iter).into_iter().flatten();
        // Before the server began there was nothing.
        let is_whole = notes.get(name).is_some_and(|notes| notes.len() >= MINUTES);
        let nothing = Note::nothing();
        let beginning = (!is_whole).then_some(&nothing);
        let all: Vec<&Note> = beginning.into_iter().chain(past).chain([&now]).collect();
        let minute = |pair: &[&Note]| match pair {
            [before, after] => Minute {
                submitted: after.submitted.saturating_sub(before.submitted),
                ended: after.ended.saturating_sub(before.ended),
                failed: after.failed.saturating_sub(before.failed),
            },
            _ => Minute::default(),
        };
        let first = all.first().copied().unwrap_or(&nothing);
        LastHour {
            minutes: all.windows(2).map(minute).collect(),
            wait: percentiles(&first.wait, &now.wait),
            run: percentiles(&first.run, &now.run),
        }
    }
}

impl Counted {
    /// Notes the counts of all queues once a minute, for as long as this lives. Only the first call does; it needs a runtime of
    /// Tokio.
    pub(crate) fn keep_history(self: &Arc<Self>) {
        if self.history.is_kept.swap(true, Ordering::Relaxed) {
            return;
        }
        let counted = Arc::downgrade(self);
        actix_web::rt::spawn(async move {
            let mut minutes = tokio::time::interval(MINUTE);
            // The first one is at once.
            minutes.tick().await;
            loop {
                minutes.tick().await;
                let Some(counted) = counted.upgrade() else { return };
                counted.history.note(counted.metrics.queues.all());
            }
        });
    }

    /// Returns the last hour of a queue, or less if the server has not run for so long.
    pub(crate) fn last_hour(&self, queue: &str) -> LastHour {
        self.history.last_hour(queue, &self.metrics.queues.of(queue))
    }
}

/// Returns the percentiles of what was observed between two readings.
fn percentiles(before: &Read, after: &Read) -> Option<Percentiles> {
    let counts = after.buckets.iter().zip(&before.buckets);
    let buckets: Vec<(f64, u64)> = counts
        .map(|((bound, after), (_, before))| (*bound, after.saturating_sub(*before)))
        .collect();
    let all = buckets.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let at = |share: f64| Duration::try_from_secs_f64(quantile(&buckets, all, share)).ok();
    (all > 0).then_some(())?;
    Some(Percentiles { half: at(0.5)?, ninety: at(0.9)?, ninety_nine: at(0.99)? })
}

/// Returns the value below which this share of `all` values is, in a straight line between the bounds of its bucket. What is above
/// the last bound is told as that.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs fewer than 53 bits")]
fn quantile(buckets: &[(f64, u64)], all: u64, share: f64) -> f64 {
    let wanted = all as f64 * share;
    let (mut below, mut from) = (0.0, 0.0);
    for (to, count) in buckets {
        let count = *count as f64;
        if below + count >= wanted && count > 0.0 {
            let part = ((wanted - below) / count).clamp(0.0, 1.0);
            return if to.is_finite() { from + (to - from) * part } else { from };
        }
        below += count;
        if to.is_finite() {
            from = *to;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_table() {
        let infinity = f64::INFINITY;
        for (buckets, share, expected) in [
            (&[(1.0, 4), (2.0, 0), (infinity, 0)][..], 0.5, 0.5),
            (&[(1.0, 4), (2.0, 4), (infinity, 0)], 0.5, 1.0),
            (&[(1.0, 4), (2.0, 4), (infinity, 0)], 0.75, 1.5),
            (&[(1.0, 0), (2.0, 4), (infinity, 0)], 0.5, 1.5),
            (&[(1.0, 1), (2.0, 0), (infinity, 9)], 0.5, 2.0),
            (&[(1.0, 0), (2.0, 0), (infinity, 1)], 0.99, 2.0),
        ] {
            let all = buckets.iter().map(|(_, count)| count).sum();
            let got = quantile(buckets, all, share);
            assert!((got - expected).abs() < 1e-9, "{buckets:?} {share}: {got}");
        }
    }

    fn of(minutes: &[Minute]) -> Vec<(u64, u64, u64)> {
        minutes.iter().map(|minute| (minute.submitted, minute.ended, minute.failed)).collect()
    }

    #[test]
    fn a_minute_is_the_difference_of_two_notes() {
        let (history, queue) = (History::default(), Arc::new(Queue::default()));
        let add = |number| queue.submitted.fetch_add(number, Ordering::Relaxed);
        let note = || history.note([("Q".into(), Arc::clone(&queue))].into_iter());
        assert_eq!(of(&history.last_hour("Q", &queue).minutes), [(0, 0, 0)]);
        add(3);
        assert_eq!(of(&history.last_hour("Q", &queue).minutes), [(3, 0, 0)]);
        note();
        add(2);
        assert_eq!(of(&history.last_hour("Q", &queue).minutes), [(3, 0, 0), (2, 0, 0)]);
        for _ in 0..MINUTES - 1 {
            note();
        }
        // What is older than an hour is forgotten: the three.
        let minutes = history.last_hour("Q", &queue).minutes;
        assert_eq!(minutes.len(), MINUTES);
        assert_eq!(minutes.iter().map(|minute| minute.submitted).sum::<u64>(), 2);
        note();
        note();
        let minutes = history.last_hour("Q", &queue).minutes;
        assert_eq!((minutes.len(), minutes.iter().map(|m| m.submitted).sum::<u64>()), (MINUTES, 0));
    }

    #[test]
    fn percentiles_are_of_the_last_hour_alone() {
        let (history, queue) = (History::default(), Arc::new(Queue::default()));
        let note = || history.note([("Q".into(), Arc::clone(&queue))].into_iter());
        assert_eq!(history.last_hour("Q", &queue).run, None);
        queue.run.observe_time(Duration::from_secs(7_200));
        for _ in 0..=MINUTES {
            note();
        }
        assert_eq!(history.last_hour("Q", &queue).run, None, "an hour ago");
        for _ in 0..100 {
            queue.run.observe_time(Duration::from_millis(3));
        }
        let run = history.last_hour("Q", &queue).run.unwrap();
        assert!(run.half > Duration::from_millis(1) && run.ninety_nine <= Duration::from_millis(5));
        assert!(run.half < run.ninety && run.ninety < run.ninety_nine, "{run:?}");
        assert_eq!(history.last_hour("Q", &queue).wait, None);
    }
}
