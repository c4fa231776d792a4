//! The callers that wait for the end, the start or the next change of an action of a queue. Each is woken once that may have
//! come, or once nothing changes any more because the system closes (Q11).

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{oneshot, watch};

use super::lock;
use crate::action::ActionId;

/// The state of an action that a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitFor {
    /// It no longer waits in its queue: it has begun, or ended without that.
    Start,
    /// Its state, its progress or its partial result is another, or it has ended.
    Change,
    /// It has ended.
    #[default]
    End,
}

/// The senders that wake the callers, by action.
type Waiting = HashMap<ActionId, Vec<oneshot::Sender<()>>>;

/// The waiting callers.
pub(crate) struct Waiters {
    /// Those that wait for an end.
    waiting: Mutex<Waiting>,
    /// Those that wait for something that comes before.
    early: Mutex<Waiting>,
    /// Number of actions in `early`: most of the time none, and then no start has to look there.
    any_early: AtomicUsize,
    /// True once nothing changes any more because the system closes. Each waiting caller holds a receiver.
    closing: watch::Sender<bool>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            early: Mutex::default(),
            any_early: AtomicUsize::new(0),
            closing: watch::Sender::new(false),
        }
    }
}

/// A caller that waits for an action. Its drop ends the wait.
pub(crate) struct Waiter<'q> {
    waiters: &'q Waiters,
    id: ActionId,
    what: WaitFor,
    woken: oneshot::Receiver<()>,
}

impl Waiter<'_> {
    /// Waits until it is woken. Only a look at the action tells whether what it waits for has come.
    pub(crate) async fn woken(&mut self) {
        let _ = (&mut self.woken).await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.woken.close();
        self.waiters.forget(self.id, self.what);
    }
}

impl Waiters {
    /// Adds a waiter, which is woken once what it waits for may have come from now on: at an end all are, before that those that
    /// do not wait for the end.
    pub(crate) fn waiter(&self, id: ActionId, what: WaitFor) -> Waiter<'_> {
        let (sender, receiver) = oneshot::channel();
        self.change(what, |waiting| {
            let waiting = waiting.entry(id).or_default();
            waiting.retain(|waiter| !waiter.is_closed());
            waiting.push(sender);
        });
        Waiter { waiters: self, id, what, woken: receiver }
    }

    /// Changes the table of those that wait for this.
    fn change<R>(&self, what: WaitFor, change: impl FnOnce(&mut Waiting) -> R) -> R {
        if what == WaitFor::End {
            return change(&mut lock(&self.waiting));
        }
        let mut early = lock(&self.early);
        let changed = change(&mut early);
        self.any_early.store(early.len(), Ordering::SeqCst);
        changed
    }

    #[cfg(test)]
    pub(crate) fn any(&self) -> bool {
        !lock(&self.waiting).is_empty() || !lock(&self.early).is_empty()
    }

    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn any_early(&self) -> bool {
        !lock(&self.early).is_empty()
    }

    /// Forgets the waiters of an action that have given up.
    fn forget(&self, id: ActionId, what: WaitFor) {
        self.change(what, |waiters| {
            if let Some(waiting) = waiters.get_mut(&id) {
                waiting.retain(|waiter| !waiter.is_closed());
                if waiting.is_empty() {
                    waiters.remove(&id);
                }
            }
        });
    }

    /// Wakes the callers that wait for this action, because it may have ended.
    pub(crate) fn wake(&self, id: ActionId) {
        // Not under the lock, since a waiter's drop takes it.
        let woken = lock(&self.waiting).remove(&id);
        for waiter in woken.into_iter().flatten() {
            // It may have given up just now.
            let _ = waiter.send(());
        }
        self.wake_early(id);
    }

    /// Wakes the callers that wait for anything but the end of this action, because something of it has changed.
    pub(crate) fn wake_early(&self, id: ActionId) {
        // One that is being added looks at the action after that: what changed before is not missed.
        if self.any_early.load(Ordering::SeqCst) == 0 {
            return;
        }
        let woken = self.change(WaitFor::Change, |early| early.remove(&id));
        for waiter in woken.into_iter().flatten() {
            let _ = waiter.send(());
        }
    }

    /// Wakes all callers. Those for which nothing has come wait again, unless the system closes.
    pub(crate) fn wake_all(&self) {
        let woken = [WaitFor::End, WaitFor::Change].map(|what| self.change(what, std::mem::take));
        for waiter in woken.into_iter().flat_map(HashMap::into_values).flatten() {
            let _ = waiter.send(());
        }
    }

    /// Returns a receiver that counts its holder as a waiting caller, and tells whether the system closes.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Tells all callers that nothing changes any more.
    pub(crate) fn end_waits(&self) {
        self.closing.send_replace(true);
        self.wake_all();
    }

    /// Waits until no caller waits.
    pub(crate) async fn waits_over(&self) {
        self.closing.closed().await;
    }
}
