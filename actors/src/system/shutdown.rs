//! The steps of a shutdown.
//!
//! 1. Drain: refuse what is new, start nothing.
//! 2. Wait for what runs, as long as the caller has patience.
//! 3. Ask what still runs to stop; force it after the grace period.
//! 4. Write the last changes, so that the end of all that ran is durable (Q2).
//! 5. Let each caller that waits for an end read how its action stands (Q11).
//! 6. End the delivery of events.
//! 7. Close the store.

pub(super) mod phase;
mod still_runs;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::System;
use crate::outbox::Stop;
use crate::queue::{Drain, EndAll, Ending, Settle, lock};
use phase::Phase;
use still_runs::StillRuns;

/// Time that a shutdown waits for forced work to end, and for callers to read their answers.
const FORCED_WITHIN: Duration = Duration::from_secs(2);

/// Time that a shutdown waits for events that are being delivered. Those that are not written down are delivered again.
const DELIVERED_WITHIN: Duration = Duration::from_secs(2);

impl System {
    /// Tells whether the system refuses new actions because it shuts down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.shutdown.has_begun()
    }

    /// Waits until the system refuses new actions because it shuts down.
    pub async fn drained(&self) {
        // The sender lives in the system, so waiting can't fail.
        let _ = self.inner.draining.subscribe().wait_for(|draining| *draining).await;
    }

    /// Waits until a shutdown has recorded all that ran: nothing happens any more, and observers are told of nothing.
    pub async fn recorded(&self) {
        // The sender lives in the system, so waiting can't fail.
        let _ = self.inner.recorded.subscribe().wait_for(|recorded| *recorded).await;
    }

    /// Begins a shutdown: from now on submissions are refused and nothing starts.
    pub fn drain(&self) {
        self.inner.shutdown.go_on_to(Phase::Draining);
        self.inner.draining.send_replace(true);
        for queue in self.queues() {
            queue.shared.tell(Drain);
        }
    }

    /// Ends the system: refuses new work, gives what runs `patience` to end by itself, asks it to
    /// stop, forces it after its queue's grace period, writes the last changes and closes the store.
    ///
    /// Interrupted actions go back to the queue or end in Error, as after a crash. A caller that waits for the end of an
    /// action is answered once all that ran is recorded. Actions that run at once are waited for, asked and forced in the
    /// same way.
    ///
    /// May be called again, also while another call is under way. Calls of queues after it return
    /// [`QueueError::ShuttingDown`](crate::QueueError::ShuttingDown) or
    /// [`StoreError::Closed`](crate::StoreError::Closed).
    ///
    /// Don't call it from within an action: that is interrupted like the others, and the shutdown with it, before the
    /// store is closed. Leave it to a task outside of the system.
    pub async fn shutdown(&self, patience: Duration) {
        self.drain();
        still_runs::reported(self.end_patiently(patience), || self.still_runs()).await;
        self.close().await;
    }

    async fn end_patiently(&self, patience: Duration) {
        // Settled first: an action that is just being started counts as running once no batch is in flight.
        let idle = async {
            self.settle().await;
            self.idle().await;
        };
        let _ = tokio::time::timeout(patience, idle).await;
        if let Some(still) = self.still_runs() {
            log::info!("shutting down: {still}; all are asked to stop");
        }
        self.end_all(Ending::Interrupt, || EndAll::Interrupt);
        let grace = self.queues().iter().map(|q| q.settings().stop_grace).max().unwrap_or_default();
        let _ = tokio::time::timeout(grace.saturating_add(FORCED_WITHIN), self.idle()).await;
    }

    /// Returns what has not ended durably, or `None` if all has.
    fn still_runs(&self) -> Option<StillRuns> {
        let queues = self.queues();
        let live =
            queues.iter().map(|queue| (queue.name().to_owned(), queue.shared.slots().live_now()));
        StillRuns::new(live, self.inner.shutdown.running_at_once())
    }

    /// Ends the system without patience: forces all that runs, writes the last changes and closes
    /// the store. May be called while a call of [`System::shutdown`] still waits.
    pub async fn shutdown_now(&self) {
        self.drain();
        self.end_all(Ending::Force, || EndAll::Force);
        let _ = tokio::time::timeout(FORCED_WITHIN, self.idle()).await;
        self.close().await;
    }

    /// Interrupts or forces all that runs, in queues and at once.
    fn end_all(&self, ending: Ending, message: impl Fn() -> EndAll) {
        self.inner.shutdown.go_on_to(Phase::Ending(ending));
        for queue in self.queues() {
            queue.shared.set_ending(ending);
            queue.shared.tell(message());
        }
    }

    /// Waits until all attempts have ended durably, and no action runs at once.
    async fn idle(&self) {
        for queue in self.queues() {
            // The sender lives in the queue, so waiting can't fail.
            let _ = queue.shared.slots().live().wait_for(|live| *live == 0).await;
        }
        self.inner.shutdown.idle().await;
    }

    /// Waits until each queue has an empty inbox and no batch in flight.
    async fn settle(&self) {
        for queue in self.queues() {
            let (reply, settled) = oneshot::channel();
            queue.shared.tell(Settle(reply));
            let _ = tokio::time::timeout(FORCED_WITHIN, settled).await;
        }
    }

    async fn close(&self) {
        self.settle().await;
        // A start that came back just now was ended by its queue at once; its end is written too.
        let _ = tokio::time::timeout(FORCED_WITHIN, self.idle()).await;
        self.settle().await;
        self.sum_up();
        self.inner.recorded.send_replace(true);
        // No action ends any more. Each caller that waits reads once more how its action stands, while the store is open.
        for queue in self.queues() {
            queue.shared.waiters().end_waits();
        }
        let _ = tokio::time::timeout(FORCED_WITHIN, self.waits_over()).await;
        self.stop_handlers().await;
        for task in std::mem::take(&mut *lock(&self.inner.sharing)) {
            task.abort();
        }
        #[cfg(unix)]
        self.programs().close();
        self.inner.store.close().await;
    }

    /// Ends the delivery of events: what is under way is waited for, and what was delivered is written down. The rest stays in the
    /// store.
    async fn stop_handlers(&self) {
        let mut stopped = Vec::new();
        for handler in &self.inner.handlers {
            let (reply, answer) = oneshot::channel();
            if let Some(address) = handler.address() {
                address.do_send(Stop(reply));
                stopped.push(answer);
            }
        }
        let _ = tokio::time::timeout(DELIVERED_WITHIN, join_all(stopped)).await;
    }

    /// Logs what the shutdown interrupted: once, however often it is called.
    fn sum_up(&self) {
        for queue in self.queues() {
            let interrupted = queue.shared.telling().take_interrupted();
            let total = interrupted.total();
            if total > 0 {
                let actions = if total == 1 { "action was" } else { "actions were" };
                log::info!("queue {}: {total} {actions} interrupted: {interrupted}", queue.name());
            }
        }
        if let Some(still) = self.still_runs() {
            log::warn!("shutting down: {still}; the next start recovers those of queues");
        }
    }

    /// Waits until no caller waits for the end of an action.
    async fn waits_over(&self) {
        for queue in self.queues() {
            queue.shared.waiters().waits_over().await;
        }
    }
}
