//! Counts of what happens in queues, told by their [events](actiond_actors::events).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actiond_actors::events::{Interest, Observer, QueueEvent, Requeue};
use actiond_actors::{ActionRef, State, Timestamp};
use arc_swap::ArcSwap;

use super::histogram::{Histogram, OF_ACTIONS, OF_CHANGES, OF_COMMITS};

/// The counts of all queues of a system.
#[derive(Debug)]
pub(super) struct Queues {
    /// There are as many as the system has queues. Each event looks one up, and none is added after the first events.
    by_name: ArcSwap<HashMap<Box<str>, Arc<Queue>>>,
    /// Changes in each batch.
    pub(super) changes: Histogram,
    /// Time from the sealing of each batch to the store's answer.
    pub(super) commits: Histogram,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            by_name: ArcSwap::default(),
            changes: Histogram::new(OF_CHANGES),
            commits: Histogram::new(OF_COMMITS),
        }
    }
}

/// The counts of one queue since the start.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) submitted: AtomicU64,
    pub(super) attempts: AtomicU64,
    ended: [AtomicU64; State::ALL.len()],
    requeued: [AtomicU64; Why::ALL.len()],
    /// Time from the submission of each action to its first start.
    pub(super) wait: Histogram,
    /// Time for which the attempt worked that ended an action.
    pub(super) run: Histogram,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            submitted: AtomicU64::default(),
            attempts: AtomicU64::default(),
            ended: Default::default(),
            requeued: Default::default(),
            wait: Histogram::new(OF_ACTIONS),
            run: Histogram::new(OF_ACTIONS),
        }
    }
}

impl Queue {
    /// Returns the number of actions that came to this final state.
    pub(super) fn ended(&self, state: State) -> u64 {
        self.ended.get(state as usize).map(read).unwrap_or_default()
    }

    /// Returns the number of actions that were put back into the queue for this reason.
    pub(super) fn requeued(&self, why: Why) -> u64 {
        self.requeued.get(why as usize).map(read).unwrap_or_default()
    }

    fn count(&self, event: &QueueEvent<'_>) {
        match *event {
            QueueEvent::Queued { .. } => add_one(&self.submitted),
            QueueEvent::Started { action, started_at } => {
                add_one(&self.attempts);
                if action.attempt == 1 {
                    self.wait.observe_time(waited(action, started_at));
                }
            }
            QueueEvent::Ended { state, started_at, processing, .. } => {
                self.ended.get(state as usize).map(add_one);
                if started_at.is_some() {
                    self.run.observe_time(processing);
                }
            }
            QueueEvent::Requeued { why, .. } => {
                self.requeued.get(Why::of(why) as usize).map(add_one);
            }
            _ => {}
        }
    }
}

/// Returns the time that an action waited. It is never negative, whatever the clock does (Q9).
fn waited(action: ActionRef, started_at: Timestamp) -> Duration {
    let millis = started_at.millis().saturating_sub(action.queued_at.millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn add_one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// The reason for which an action was put back into its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Interrupted,
    Failed,
    Released,
    Asked,
    /// One that this version does not know.
    Other,
}

impl Why {
    pub(super) const ALL: [Self; 5] =
        [Self::Interrupted, Self::Failed, Self::Released, Self::Asked, Self::Other];

    const fn of(why: Requeue<'_>) -> Self {
        match why {
            Requeue::Interrupted => Self::Interrupted,
            Requeue::Failed { .. } => Self::Failed,
            Requeue::Released => Self::Released,
            Requeue::Asked => Self::Asked,
            _ => Self::Other,
        }
    }

    /// Returns the word for it in labels.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Asked => "asked",
            Self::Other => "other",
        }
    }
}

impl Queues {
    /// Returns the counts of all queues, with their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (Box<str>, Arc<Queue>)> + use<> {
        let known = self.by_name.load_full();
        let all: Vec<_> = known.iter().map(|(name, of)| (name.clone(), Arc::clone(of))).collect();
        all.into_iter()
    }

    /// Returns the counts of a queue, which begin at 0 if it is new.
    pub(super) fn of(&self, name: &str) -> Arc<Queue> {
        if let Some(queue) = self.by_name.load().get(name) {
            return Arc::clone(queue);
        }
        self.by_name.rcu(|known| {
            let mut more = HashMap::clone(known);
            more.entry(name.into()).or_default();
            more
        });
        self.by_name.load().get(name).map(Arc::clone).unwrap_or_default()
    }
}

impl Observer for Queues {
    fn interest(&self) -> Interest {
        Interest::QUEUED.and(Interest::STARTED).and(Interest::ENDED).and(Interest::COMMITTED)
    }

    fn on_event(&self, queue: &str, event: &QueueEvent<'_>) {
        if let QueueEvent::Committed { changes, duration, .. } = *event {
            self.changes.observe(changes as u64);
            self.commits.observe_time(duration);
            return;
        }
        match self.by_name.load().get(queue) {
            Some(queue) => queue.count(event),
            None => self.of(queue).count(event),
        }
    }
}
