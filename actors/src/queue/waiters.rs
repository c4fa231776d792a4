//! Those who wait for the end of an action of a queue.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::{oneshot, watch};

use super::lock;
use crate::action::ActionId;

/// Who waits, by action.
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<ActionId, Vec<oneshot::Sender<()>>>>,
    /// Whether nothing ends any more because the system closes. Each who waits for an end holds a receiver.
    closing: watch::Sender<bool>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self { waiting: Mutex::default(), closing: watch::Sender::new(false) }
    }
}

/// One who waits for the end of an action, also if it is dropped meanwhile: then it waits no more.
pub(crate) struct Waiter<'q> {
    waiters: &'q Waiters,
    id: ActionId,
    woken: oneshot::Receiver<()>,
}

impl Waiter<'_> {
    /// Waits until it is woken; only the next look tells whether by the end.
    pub(crate) async fn woken(&mut self) {
        let _ = (&mut self.woken).await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.woken.close();
        self.waiters.forget(self.id);
    }
}

impl Waiters {
    /// Returns what is woken when the action reaches a final state from now on.
    pub(crate) fn waiter(&self, id: ActionId) -> Waiter<'_> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = lock(&self.waiting);
        let waiting = waiters.entry(id).or_default();
        waiting.retain(|waiter| !waiter.is_closed());
        waiting.push(sender);
        Waiter { waiters: self, id, woken: receiver }
    }

    #[cfg(test)]
    pub(crate) fn any(&self) -> bool {
        !lock(&self.waiting).is_empty()
    }

    /// Forgets waiters that have given up, so that the map holds only those who wait.
    fn forget(&self, id: ActionId) {
        let mut waiters = lock(&self.waiting);
        if let Some(waiting) = waiters.get_mut(&id) {
            waiting.retain(|waiter| !waiter.is_closed());
            if waiting.is_empty() {
                waiters.remove(&id);
            }
        }
    }

    pub(crate) fn wake(&self, id: ActionId) {
        // Not under the lock, which a waiter takes when it goes.
        let woken = lock(&self.waiting).remove(&id);
        for waiter in woken.into_iter().flatten() {
            // It may have given up just now.
            let _ = waiter.send(());
        }
    }

    /// Wakes all who wait; those whose action has not ended wait on, unless the system closes.
    pub(crate) fn wake_all(&self) {
        let woken = std::mem::take(&mut *lock(&self.waiting));
        for waiter in woken.into_values().flatten() {
            let _ = waiter.send(());
        }
    }

    /// Counts one more who waits for an end, and tells whether that is in vain because the system closes.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Tells all who wait that nothing ends any more.
    pub(crate) fn end_waits(&self) {
        self.closing.send_replace(true);
        self.wake_all();
    }

    /// Waits until nobody waits for an end.
    pub(crate) async fn waits_over(&self) {
        self.closing.closed().await;
    }
}
