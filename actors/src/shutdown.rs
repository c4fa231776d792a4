//! How far the shutdown of a system has come, as actions see it that run at once: they are in no queue, so
//! nobody else would count them, or tell them to end.

pub(crate) mod still_runs;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::perform::{Failure, WorkResult};
use crate::queue::{Ending, QueueSettings};
use crate::worker::{Attempt, Wish};

/// How far a shutdown has come; it only goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It has not begun.
    Open,
    /// Nothing new is taken; what runs may end by itself.
    Draining,
    /// What runs is told to end.
    Ending(Ending),
}

/// Each action that runs at once holds a receiver, and is counted by it.
pub(crate) struct Shutdown(watch::Sender<Phase>);

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Open))
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow() > Phase::Open
    }

    pub(crate) fn go_on_to(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let goes_on = phase > *current;
            *current = phase.max(*current);
            goes_on
        });
    }

    /// Admits one more action that runs at once, unless the shutdown has begun.
    pub(crate) fn admit(&self) -> Option<Admitted> {
        // Counted before the look: a shutdown that begins after it waits for this one.
        let phases = self.0.subscribe();
        let open = *phases.borrow() == Phase::Open;
        open.then_some(Admitted(phases))
    }

    /// Returns how many of them run.
    pub(crate) fn running_at_once(&self) -> usize {
        self.0.receiver_count()
    }

    /// Waits until none of them runs.
    pub(crate) async fn idle(&self) {
        self.0.closed().await;
    }
}

/// An action that runs at once, until this is dropped.
pub(crate) struct Admitted(watch::Receiver<Phase>);

impl Admitted {
    /// Runs it to its end. Once it is asked to stop, by the shutdown or because its caller has gone, it has
    /// the grace period; then its work is dropped, as a worker would do it.
    pub(crate) async fn run(
        self,
        attempt: Arc<Attempt>,
        settings: QueueSettings,
        work: impl Future<Output = WorkResult>,
    ) -> WorkResult {
        tokio::select! {
            // What has ended by itself counts, and costs no look at all this.
            biased;
            result = work => result,
            () = self.until_forced(&attempt, &settings) => Err(Failure::Stopped),
        }
    }

    async fn until_forced(mut self, attempt: &Attempt, settings: &QueueSettings) {
        let time_is_over = async {
            match settings.time_limit {
                // Asked to stop before that, it is what the others wait for.
                Some(limit) if attempt.sleep(limit).await.is_ok() => {}
                Some(_) | None => std::future::pending().await,
            }
        };
        // The sender lives in the system, which the attempt's context keeps; if it goes, nobody asks any more.
        tokio::select! {
            _ = self.0.wait_for(|phase| *phase > Phase::Draining) => attempt.interrupt(),
            () = attempt.stop_requested() => {}
            () = time_is_over => attempt.time_out(),
        }
        let forced = self.0.wait_for(|phase| *phase == Phase::Ending(Ending::Force));
        // In time or not, it has had its time.
        let _ = tokio::time::timeout(settings.stop_grace, forced).await;
        attempt.ask(Wish::Force);
    }
}
