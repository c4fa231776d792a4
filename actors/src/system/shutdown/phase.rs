//! The phase of a shutdown, as seen by actions that run at once. They are in no queue, so nothing else would count
//! them or ask them to end.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::perform::{Failure, WorkResult};
use crate::queue::{Ending, QueueSettings};
use crate::worker::{Attempt, Wish};

/// Phase of a shutdown. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It has not begun.
    Open,
    /// New actions are refused; what runs may end by itself.
    Draining,
    /// What runs is asked to stop, or forced.
    Ending(Ending),
}

/// The present phase. Each action that runs at once holds a receiver, and is counted by it.
pub(crate) struct Shutdown(watch::Sender<Phase>);

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Open))
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow() > Phase::Open
    }

    /// Goes on to this phase, unless it is past already.
    pub(crate) fn go_on_to(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let goes_on = phase > *current;
            *current = phase.max(*current);
            goes_on
        });
    }

    /// Admits one more action that is to run at once, unless the shutdown has begun.
    pub(crate) fn admit(&self) -> Option<Admitted> {
        // Counted before the look: a shutdown that begins after it waits for this one.
        let phases = self.0.subscribe();
        let open = *phases.borrow() == Phase::Open;
        open.then_some(Admitted(phases))
    }

    /// Returns the number of actions that run at once.
    pub(crate) fn running_at_once(&self) -> usize {
        self.0.receiver_count()
    }

    /// Waits until no action runs at once.
    pub(crate) async fn idle(&self) {
        self.0.closed().await;
    }
}

/// An admitted action; it counts as running until this is dropped.
pub(crate) struct Admitted(watch::Receiver<Phase>);

impl Admitted {
    /// Runs it to its end. Once it is asked to stop, by the shutdown, by its time limit or because its caller has gone, it
    /// has the grace period; then its work is dropped, as a worker would do it.
    pub(crate) async fn run(
        self,
        attempt: Arc<Attempt>,
        settings: Arc<QueueSettings>,
        work: impl Future<Output = WorkResult>,
    ) -> WorkResult {
        tokio::select! {
            // Work that has ended by itself counts.
            biased;
            result = work => result,
            () = self.until_forced(&attempt, &settings) => Err(Failure::Stopped),
        }
    }

    async fn until_forced(mut self, attempt: &Attempt, settings: &QueueSettings) {
        let time_is_over = async {
            match settings.time_limit {
                // An error means that it was asked to stop before that, which another branch waits for.
                Some(limit) if attempt.sleep(limit).await.is_ok() => limit,
                Some(_) | None => std::future::pending().await,
            }
        };
        // The sender lives in the system, which the attempt's context keeps.
        tokio::select! {
            _ = self.0.wait_for(|phase| *phase > Phase::Draining) => attempt.interrupt(),
            () = attempt.stop_requested() => {}
            limit = time_is_over => attempt.time_out_after(limit),
        }
        let forced = self.0.wait_for(|phase| *phase == Phase::Ending(Ending::Force));
        // Forced either way: by the shutdown, or because the grace period is over.
        let _ = tokio::time::timeout(settings.stop_grace, forced).await;
        attempt.ask(Wish::Force);
    }
}
