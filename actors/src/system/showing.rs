//! Figures of the attempts that run here, shown to other servers ([`Store::show`](crate::store::Store::show)).
//!
//! Twice a second, so that a change is seen everywhere within a second. Only what has changed is shown, and nothing while no
//! other server is there. An attempt that is over before the second look is never shown, unless it has something to show.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{System, WeakSystem};
use crate::action::ActionId;
use crate::queue::{QueueHandle, lock};
use crate::store::{Figures, QueueId, Shown, StoreError};
use crate::worker::Attempt;

/// Time between two looks.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// Largest partial result that is shown, in bytes. Of a larger one only the figures are.
const MAX_PARTIAL: usize = 8 << 20;

/// Number of bytes of partial results after which the others wait for the next look.
const BYTES_AT_ONCE: usize = 4 << 20;

/// The extent to which an attempt is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    attempt: u32,
    /// The number of changes that are shown; none before it is shown for the first time.
    changes: Option<u64>,
    /// The look at which it was shown.
    look: u64,
}

/// The attempts that others are shown already.
#[derive(Debug, Default)]
struct Known {
    seen: HashMap<(QueueId, ActionId), Seen>,
    look: u64,
}

impl System {
    /// Shows other servers what runs here from now on, if the store can be shared.
    pub(super) fn show_others(&self) {
        if self.inner.store.lease().is_some() {
            let shows = self.executor().spawn(show(self.downgrade()));
            lock(&self.inner.sharing).push(shows.abort_handle());
        }
    }
}

/// Shows what runs here as long as the system lives.
async fn show(system: WeakSystem) {
    let mut known = Known::default();
    loop {
        tokio::time::sleep(SHOW_EVERY).await;
        let Some(system) = system.upgrade() else { return };
        if !system.inner.store.has_peers() {
            known = Known::default();
            continue;
        }
        let queues = system.queues();
        let running = queues.iter().flat_map(|queue: &QueueHandle| {
            let attempts = queue.shared.slots().attempts();
            attempts.into_iter().map(|attempt| (queue.id, attempt)).collect::<Vec<_>>()
        });
        let (shown, next) = known.look(running.collect());
        if !shown.is_empty() {
            match system.inner.store.show(shown).await {
                Ok(()) => {}
                Err(StoreError::Closed) => return,
                Err(error) => {
                    // All of it is tried again at the next look.
                    log::debug!("other servers are not shown what runs here: {error}");
                    continue;
                }
            }
        }
        known = next;
    }
}

impl Known {
    /// Returns what is to be shown of these attempts, and what is known then.
    fn look(&self, running: Vec<(QueueId, Arc<Attempt>)>) -> (Vec<Shown>, Self) {
        let look = self.look + 1;
        let mut next = Self { seen: HashMap::with_capacity(running.len()), look };
        let mut changed = Vec::new();
        for (queue, attempt) in running {
            let Some(id) = attempt.id().filter(|_| attempt.ended().is_none()) else { continue };
            let changes = attempt.changes();
            let before =
                self.seen.get(&(queue, id)).filter(|seen| seen.attempt == attempt.number());
            let seen =
                before.copied().unwrap_or(Seen { attempt: attempt.number(), changes: None, look });
            let is_new = before.is_none() && changes == 0;
            if !is_new && seen.changes != Some(changes) {
                changed.push((queue, id, attempt, seen));
            } else {
                next.seen.insert((queue, id), seen);
            }
        }
        // Those first that have waited longest.
        changed.sort_by_key(|(.., seen)| (seen.look, seen.changes.is_some()));
        let (mut shown, mut bytes) = (Vec::new(), 0);
        for (queue, id, attempt, mut seen) in changed {
            if bytes < BYTES_AT_ONCE {
                // Before its figures: what changes in between is shown again.
                (seen.changes, seen.look) = (Some(attempt.changes()), look);
                let (view, size) = attempt.view_within(MAX_PARTIAL);
                bytes += size.min(MAX_PARTIAL);
                let figures = Figures {
                    progress: view.progress,
                    processing: view.processing,
                    worker: view.worker,
                    log: attempt.log_lines().iter().map(ToString::to_string).collect(),
                };
                let (attempt, partial) = (seen.attempt, view.partial);
                shown.push(Shown { queue, id, attempt, figures, partial });
            }
            next.seen.insert((queue, id), seen);
        }
        (shown, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Parameters, Timestamp};
    use crate::events::ActionRef;
    use crate::lifecycle::OnRestart;
    use crate::report::{Node, Progress};

    const QUEUE: QueueId = QueueId(7);

    fn attempt(id: u64, attempt: u32) -> Arc<Attempt> {
        let id = ActionId::new(id).unwrap();
        let action = ActionRef { id, queued_at: Timestamp(1), attempt, taken_by: None };
        let name = "Work".into();
        Arc::new(Attempt::new(Some(action), name, Parameters::default(), OnRestart::Requeue))
    }

    /// Looks, and returns ids and attempts of what is shown.
    fn look(known: &mut Known, running: &[&Arc<Attempt>]) -> Vec<(u64, u32)> {
        let running = running.iter().map(|attempt| (QUEUE, Arc::clone(attempt))).collect();
        let (shown, next) = known.look(running);
        *known = next;
        shown.iter().map(|shown| (shown.id.get(), shown.attempt)).collect()
    }

    #[test]
    fn what_has_changed_is_shown_once() {
        let mut known = Known::default();
        let (first, second) = (attempt(1, 1), attempt(2, 1));
        second.set_progress(Progress::of_percent(10.0));
        assert_eq!(look(&mut known, &[&first, &second]), [(2, 1)], "the other may be short");
        assert_eq!(look(&mut known, &[&first, &second]), [(1, 1)], "it is not");
        assert_eq!(look(&mut known, &[&first, &second]), []);
        first.log("a line");
        second.set_partial(vec![Node::text("part", "1")]);
        assert_eq!(look(&mut known, &[&first, &second]).len(), 2);
        first.set_worker("elsewhere".to_owned());
        first.ask(crate::worker::Wish::Pause);
        assert_eq!(look(&mut known, &[&first, &second]), [(1, 1)]);
        assert_eq!(look(&mut known, &[&second]), []);
        // Its next attempt.
        let again = attempt(1, 2);
        assert_eq!(look(&mut known, &[&again]), []);
        assert_eq!(look(&mut known, &[&again]), [(1, 2)]);
        assert_eq!(known.seen.len(), 1, "nothing is kept of what is over");
    }

    #[test]
    fn large_partial_results_take_turns() {
        let mut known = Known::default();
        let large = |size| vec![Node::text("part", "x".repeat(size))];
        let all: Vec<_> = (1..=5).map(|id| attempt(id, 1)).collect();
        let running: Vec<_> = all.iter().collect();
        all.iter().for_each(|attempt| attempt.set_partial(large(BYTES_AT_ONCE / 2)));
        let (first, second) = (look(&mut known, &running), look(&mut known, &running));
        let third = look(&mut known, &running);
        assert_eq!((first.len(), second.len(), third.len()), (2, 2, 1));
        let mut seen = [first, second, third].concat();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
        // Who changes all the time keeps nobody from being shown.
        for _ in 0..3 {
            all.iter().for_each(|attempt| attempt.set_partial(large(BYTES_AT_ONCE / 2)));
            seen.extend(look(&mut known, &running));
        }
        assert!((1..=5).all(|id| seen.iter().filter(|(shown, _)| *shown == id).count() > 1));
        all[0].set_partial(large(MAX_PARTIAL + 1));
        let (shown, _) = known.look(vec![(QUEUE, Arc::clone(&all[0]))]);
        assert!(shown[0].partial.is_empty(), "too large to be shown");
    }
}
