//! The callers that wait for the end of an action of a queue. Each is woken once it may have ended, or once no action ends
//! any more because the system closes (Q11).

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::{oneshot, watch};

use super::lock;
use crate::action::ActionId;

/// The waiting callers, by action.
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<ActionId, Vec<oneshot::Sender<()>>>>,
    /// True once no action ends any more because the system closes. Each waiting caller holds a receiver.
    closing: watch::Sender<bool>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self { waiting: Mutex::default(), closing: watch::Sender::new(false) }
    }
}

/// A caller that waits for the end of an action. Its drop ends the wait.
pub(crate) struct Waiter<'q> {
    waiters: &'q Waiters,
    id: ActionId,
    woken: oneshot::Receiver<()>,
}

impl Waiter<'_> {
    /// Waits until it is woken. Only a look at the action tells whether it has ended.
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
    /// Adds a waiter, which is woken when the action reaches a final state from now on.
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

    /// Forgets the waiters of an action that have given up.
    fn forget(&self, id: ActionId) {
        let mut waiters = lock(&self.waiting);
        if let Some(waiting) = waiters.get_mut(&id) {
            waiting.retain(|waiter| !waiter.is_closed());
            if waiting.is_empty() {
                waiters.remove(&id);
            }
        }
    }

    /// Wakes the callers that wait for this action.
    pub(crate) fn wake(&self, id: ActionId) {
        // Not under the lock, since a waiter's drop takes it.
        let woken = lock(&self.waiting).remove(&id);
        for waiter in woken.into_iter().flatten() {
            // It may have given up just now.
            let _ = waiter.send(());
        }
    }

    /// Wakes all callers. Those whose action has not ended wait again, unless the system closes.
    pub(crate) fn wake_all(&self) {
        let woken = std::mem::take(&mut *lock(&self.waiting));
        for waiter in woken.into_values().flatten() {
            let _ = waiter.send(());
        }
    }

    /// Returns a receiver that counts its holder as a waiting caller, and tells whether the system closes.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Tells all callers that no action ends any more.
    pub(crate) fn end_waits(&self) {
        self.closing.send_replace(true);
        self.wake_all();
    }

    /// Waits until no caller waits for an end.
    pub(crate) async fn waits_over(&self) {
        self.closing.closed().await;
    }
}
