//! The slots of a queue: the attempts that run, and the workers, idle, busy or dead.
//!
//! They outlive the queue actor, so its successor finds what runs. Only the queue actor gives slots away and frees them;
//! workers only note that they are idle or dead. So no more attempts run than there are slots (Q4), and a wish reaches
//! only the attempt that it was meant for (Q6, Q14).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use actix::Addr;
#[cfg(feature = "testing")]
use tokio::sync::oneshot;
use tokio::sync::watch;

use super::lock;
use crate::action::ActionId;
use crate::worker::{Attempt, Steer, Wish, WorkerActor};

/// Largest number of slots of a queue: more than any machine has threads, and so few that sums of them don't overflow.
pub(crate) const MOST_SLOTS: usize = 1 << 30;

/// The slots of one queue.
pub(crate) struct Slots {
    state: Mutex<State>,
    /// Number of attempts that have not durably ended.
    live: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    /// Number of slots. More may be taken for a while after it was lowered.
    maximum: usize,
    attempts: HashMap<ActionId, (Arc<Attempt>, usize)>,
    /// One entry for each slot that was ever needed; `None` if its worker died.
    workers: Vec<Option<Addr<WorkerActor>>>,
    free: Vec<usize>,
    /// Slots whose workers are idle. A queue actor that missed the message finds it here.
    idle: HashSet<usize>,
    /// Slots whose workers have died, and their work with them, until the queue actor frees them.
    lost: HashSet<usize>,
}

impl State {
    fn set_free(&mut self, slot: usize) {
        if slot < self.workers.len() && !self.free.contains(&slot) {
            self.free.push(slot);
        }
    }
}

impl Slots {
    pub(crate) fn new(maximum: usize) -> Self {
        let state = State { maximum, ..State::default() };
        Self { state: Mutex::new(state), live: watch::Sender::new(0) }
    }

    /// Sets the number of slots. Attempts in slots beyond it go on.
    pub(crate) fn set_maximum(&self, maximum: usize) {
        lock(&self.state).maximum = maximum;
    }

    /// Returns the number of free slots (Q4).
    pub(crate) fn available(&self) -> usize {
        let state = lock(&self.state);
        let busy = state.workers.len() - state.free.len();
        state.maximum.saturating_sub(busy)
    }

    /// Returns the number of slots that are in use. It is above the maximum for a while after that was lowered.
    pub(crate) fn used(&self) -> usize {
        let state = lock(&self.state);
        state.workers.len() - state.free.len()
    }

    /// Gives the attempt a slot. `tell` sends it to the slot's worker, which `start` makes if there is none yet.
    pub(crate) fn occupy(
        &self,
        attempt: &Arc<Attempt>,
        start: impl FnOnce(usize) -> Addr<WorkerActor>,
        tell: impl FnOnce(&Addr<WorkerActor>),
    ) {
        let mut state = lock(&self.state);
        let slot = state.free.pop().unwrap_or_else(|| {
            state.workers.push(None);
            state.workers.len() - 1
        });
        state.idle.remove(&slot);
        if let Some(id) = attempt.id() {
            state.attempts.insert(id, (Arc::clone(attempt), slot));
            self.set_live(&state);
        }
        if let Some(worker) = state.workers.get_mut(slot) {
            tell(worker.get_or_insert_with(|| start(slot)));
        }
    }

    /// Frees the slot if its worker is idle. A late message about an earlier attempt frees nothing.
    pub(crate) fn free(&self, slot: usize) {
        let mut state = lock(&self.state);
        if state.idle.contains(&slot) {
            state.set_free(slot);
        }
    }

    /// Notes that the slot's worker is idle. Called by the worker, before it tells the queue.
    pub(crate) fn note_idle(&self, slot: usize) {
        lock(&self.state).idle.insert(slot);
    }

    /// Frees every slot whose worker is idle, since messages to an actor that died are lost.
    pub(crate) fn free_idle(&self) {
        let mut state = lock(&self.state);
        let idle: Vec<usize> = state.idle.iter().copied().collect();
        for slot in idle {
            state.set_free(slot);
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn crash_worker(&self, slot: usize) -> oneshot::Receiver<()> {
        let (dying, dies) = oneshot::channel();
        if let Some(Some(worker)) = lock(&self.state).workers.get(slot) {
            worker.do_send(crate::worker::Crash(dying));
        }
        dies
    }

    /// Notes that the slot's worker has died and its work has ended. Called before the queue is told.
    pub(crate) fn note_lost(&self, slot: usize) {
        lock(&self.state).lost.insert(slot);
    }

    /// Returns the slots whose workers have died.
    pub(crate) fn lost(&self) -> Vec<usize> {
        lock(&self.state).lost.iter().copied().collect()
    }

    /// Returns the attempts in a slot whose worker has died that have not ended: no worker will report their end.
    pub(crate) fn orphans(&self, slot: usize) -> Vec<Arc<Attempt>> {
        let state = lock(&self.state);
        let is_lost = state.lost.contains(&slot);
        let given = state.attempts.values().filter(|(_, of)| is_lost && *of == slot);
        given.map(|(attempt, _)| Arc::clone(attempt)).filter(|a| a.ended().is_none()).collect()
    }

    /// Forgets the worker of this slot if it has died, and frees the slot, which gets a new one.
    pub(crate) fn forget_lost(&self, slot: usize) {
        let mut state = lock(&self.state);
        if state.lost.remove(&slot) {
            if let Some(worker) = state.workers.get_mut(slot) {
                *worker = None;
            }
            state.set_free(slot);
        }
    }

    /// Forgets an attempt whose end is durable, and returns it.
    pub(crate) fn release(&self, id: ActionId, number: u32) -> Option<Arc<Attempt>> {
        let mut state = lock(&self.state);
        state.attempts.get(&id).filter(|(attempt, _)| attempt.number() == number)?;
        let (attempt, _) = state.attempts.remove(&id)?;
        self.set_live(&state);
        Some(attempt)
    }

    /// Returns the attempts that have not durably ended.
    pub(crate) fn attempts(&self) -> Vec<Arc<Attempt>> {
        lock(&self.state).attempts.values().map(|(attempt, _)| Arc::clone(attempt)).collect()
    }

    /// Returns the attempt at this action that has not durably ended.
    pub(crate) fn attempt(&self, id: ActionId) -> Option<Arc<Attempt>> {
        lock(&self.state).attempts.get(&id).map(|(attempt, _)| Arc::clone(attempt))
    }

    /// Passes a wish on to an attempt and its worker, if it is still this attempt (Q14).
    pub(crate) fn steer(&self, id: ActionId, number: u32, wish: Wish) {
        let state = lock(&self.state);
        if let Some((attempt, slot)) = state.attempts.get(&id)
            && attempt.number() == number
            && let Some(Some(worker)) = state.workers.get(*slot)
        {
            if wish != Wish::Force {
                // At once, so that an acknowledged command holds at the work's next checkpoint. The worker only watches
                // the grace period.
                attempt.ask(wish);
            }
            worker.do_send(Steer { attempt: Arc::clone(attempt), wish });
        }
    }

    /// Tells whether an attempt has not ended yet, durably or not.
    pub(crate) fn has_unended(&self) -> bool {
        lock(&self.state).attempts.values().any(|(attempt, _)| attempt.ended().is_none())
    }

    /// Calls `tell` with each worker whose slot is not free.
    pub(crate) fn each_busy_worker(&self, mut tell: impl FnMut(&Addr<WorkerActor>)) {
        let state = lock(&self.state);
        for (slot, worker) in state.workers.iter().enumerate() {
            if let Some(worker) = worker
                && !state.free.contains(&slot)
            {
                tell(worker);
            }
        }
    }

    /// Wakes watchers only at 0, which they wait for: a wake at each number would cost more than the rest.
    fn set_live(&self, state: &State) {
        let now = state.attempts.len();
        self.live.send_if_modified(|live| {
            *live = now;
            now == 0
        });
    }

    /// Returns the number of attempts that have not durably ended.
    pub(crate) fn live_now(&self) -> usize {
        *self.live.borrow()
    }

    /// Watches the number of attempts that have not durably ended; wakes only at 0.
    pub(crate) fn live(&self) -> watch::Receiver<usize> {
        self.live.subscribe()
    }
}
