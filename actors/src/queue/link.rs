//! What outlives a queue actor: its published address, its attempts and workers, its counts.
//!
//! Handles, workers and readers hold this and never an address of their own, so nobody keeps a dead
//! one. The queue actor alone gives slots away and frees them; workers only say that they are idle or dead.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;
use actix::dev::ToEnvelope;
use actix::{Handler, Message};
use tokio::sync::{oneshot, watch};

use crate::action::ActionId;
use crate::queue::ends::{Ends, Listener};
use crate::queue::inbox::{Inbox, SubmissionPort};
use crate::queue::{QueueActor, QueueSettings, Submissions};
use crate::store::{Counts, NewAction};
use crate::worker::{Attempt, Steer, Wish, WorkerActor};

/// Where a queue's actor is.
#[derive(Clone)]
pub(crate) enum Link {
    /// It is being built or rebuilt.
    Starting,
    Up(Addr<QueueActor>),
    /// It was given up, for this reason.
    Down(String),
}

/// The most slots of a queue: more than any machine has threads, and few enough that nothing that is
/// reckoned from them overflows.
pub(crate) const MOST_SLOTS: usize = 1 << 30;

pub(crate) type QueueLink = Arc<QueueShared>;

pub(crate) struct QueueShared {
    name: Arc<str>,
    settings: QueueSettings,
    link: watch::Sender<Link>,
    running: Mutex<Running>,
    /// How many attempts are not yet durably ended.
    live: watch::Sender<usize>,
    counts: Mutex<(Counts, bool)>,
    inbox: Inbox,
    waiters: Mutex<HashMap<ActionId, Vec<oneshot::Sender<()>>>>,
    /// Whether nothing ends any more because the system closes. Each who waits for an end holds a receiver.
    closing: watch::Sender<bool>,
    dropped_reports: AtomicU64,
    ending: Mutex<Option<Ending>>,
    ends: Ends,
    /// Whether what an earlier server left running has been recovered.
    recovered: watch::Sender<bool>,
}

/// How what runs is to be ended because the server shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Interrupt,
    Force,
}

#[derive(Default)]
struct Running {
    attempts: HashMap<ActionId, (Arc<Attempt>, usize)>,
    /// One entry a slot that was ever needed; `None` where the worker died.
    workers: Vec<Option<Addr<WorkerActor>>>,
    free: Vec<usize>,
    /// Slots whose workers say that they are idle; a queue actor that missed the message reads it here.
    idle: HashSet<usize>,
    /// Slots whose workers have died, and their work with them, until the queue actor has seen to them.
    lost: HashSet<usize>,
}

/// One who waits for the end of an action, also if it is dropped meanwhile: then it waits no more.
pub(crate) struct Waiter<'q> {
    shared: &'q QueueShared,
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
        self.shared.drop_waiters(self.id);
    }
}

impl Running {
    fn set_free(&mut self, slot: usize) {
        if slot < self.workers.len() && !self.free.contains(&slot) {
            self.free.push(slot);
        }
    }
}

impl fmt::Debug for QueueShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueShared").field("name", &self.name).finish_non_exhaustive()
    }
}

impl QueueShared {
    pub(crate) fn new(
        name: &str,
        settings: QueueSettings,
        counts: Counts,
        paused: bool,
        listener: Listener,
    ) -> Self {
        Self {
            name: name.into(),
            // Without a slot nothing would ever start.
            settings: QueueSettings {
                maximum_threads: settings.maximum_threads.clamp(1, MOST_SLOTS),
                ..settings
            },
            link: watch::Sender::new(Link::Starting),
            running: Mutex::default(),
            live: watch::Sender::new(0),
            counts: Mutex::new((counts, paused)),
            inbox: Inbox::default(),
            waiters: Mutex::default(),
            closing: watch::Sender::new(false),
            dropped_reports: AtomicU64::new(0),
            ending: Mutex::new(None),
            ends: Ends::new(listener),
            recovered: watch::Sender::new(false),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn name_shared(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) const fn settings(&self) -> &QueueSettings {
        &self.settings
    }

    pub(crate) fn publish(&self, link: Link) {
        self.link.send_replace(link);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Returns the actor's address if it lives: that of one that has died stays published for a moment.
    pub(crate) fn address(&self) -> Option<Addr<QueueActor>> {
        match &*self.link.borrow() {
            Link::Up(address) if self.inbox.is_open() => Some(address.clone()),
            Link::Up(_) | Link::Starting | Link::Down(_) => None,
        }
    }

    /// Tells the queue something that it can also find out by itself when it is rebuilt, so a
    /// message to an actor that has just died may get lost.
    pub(crate) fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        QueueActor: Handler<M>,
        <QueueActor as actix::Actor>::Context: ToEnvelope<QueueActor, M>,
    {
        // Not by a copy of the address: each is made and given back, for every message.
        if let Link::Up(address) = &*self.link.borrow() {
            address.do_send(message);
        }
    }

    /// Leaves a submission for the actor, and tells it if no batch will fetch it; where there is none, gives it
    /// back. An actor whose address is not published yet looks when it begins.
    pub(super) fn submit(
        &self,
        new: NewAction,
        reply: SubmissionPort,
    ) -> Result<(), (NewAction, SubmissionPort)> {
        if self.inbox.submission(new, reply)? {
            self.tell(Submissions);
        }
        Ok(())
    }

    pub(super) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(crate) fn counts(&self) -> (Counts, bool) {
        *lock(&self.counts)
    }

    pub(crate) fn set_counts(&self, counts: Counts, paused: bool) {
        *lock(&self.counts) = (counts, paused);
    }

    /// Notes that the queue was paused or resumed by another owner.
    pub(crate) fn set_paused(&self, paused: bool) {
        lock(&self.counts).1 = paused;
    }

    /// Returns how many more attempts may run (Q4).
    pub(crate) fn free_slots(&self) -> usize {
        let running = lock(&self.running);
        let busy = running.workers.len() - running.free.len();
        self.settings.maximum_threads.saturating_sub(busy)
    }

    /// Gives the attempt a slot, whose worker, made by `start` if there is none yet, is told by `tell`.
    pub(crate) fn occupy(
        &self,
        attempt: &Arc<Attempt>,
        start: impl FnOnce(usize) -> Addr<WorkerActor>,
        tell: impl FnOnce(&Addr<WorkerActor>),
    ) {
        let mut running = lock(&self.running);
        let slot = running.free.pop().unwrap_or_else(|| {
            running.workers.push(None);
            running.workers.len() - 1
        });
        running.idle.remove(&slot);
        if let Some(id) = attempt.id() {
            running.attempts.insert(id, (Arc::clone(attempt), slot));
            self.set_live(&running);
        }
        if let Some(worker) = running.workers.get_mut(slot) {
            tell(worker.get_or_insert_with(|| start(slot)));
        }
    }

    /// Frees the slot if its worker is idle: a message about an attempt before the present one may
    /// come late.
    pub(crate) fn free(&self, slot: usize) {
        let mut running = lock(&self.running);
        if running.idle.contains(&slot) {
            running.set_free(slot);
        }
    }

    /// Notes that the slot's worker is idle. Called by the worker, before it tells the queue.
    pub(crate) fn note_idle(&self, slot: usize) {
        lock(&self.running).idle.insert(slot);
    }

    /// Frees every slot whose worker is idle: the messages to an actor that died are lost.
    pub(crate) fn free_idle(&self) {
        let mut running = lock(&self.running);
        let idle: Vec<usize> = running.idle.iter().copied().collect();
        for slot in idle {
            running.set_free(slot);
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn crash_worker(&self, slot: usize) -> oneshot::Receiver<()> {
        let (dying, dies) = oneshot::channel();
        if let Some(Some(worker)) = lock(&self.running).workers.get(slot) {
            worker.do_send(crate::worker::Crash(dying));
        }
        dies
    }

    /// Notes that the slot's worker has died and what it ran has ended. Called before the queue is told.
    pub(crate) fn note_lost(&self, slot: usize) {
        lock(&self.running).lost.insert(slot);
    }

    /// Returns the slots whose workers have died.
    pub(crate) fn lost(&self) -> Vec<usize> {
        lock(&self.running).lost.iter().copied().collect()
    }

    /// Returns what was given to the worker of this slot, which has died, and has not ended: nobody will
    /// report its end.
    pub(crate) fn orphans(&self, slot: usize) -> Vec<Arc<Attempt>> {
        let running = lock(&self.running);
        let is_lost = running.lost.contains(&slot);
        let given = running.attempts.values().filter(|(_, of)| is_lost && *of == slot);
        given.map(|(attempt, _)| Arc::clone(attempt)).filter(|a| a.ended().is_none()).collect()
    }

    /// Forgets the worker of this slot if it has died, so that the slot gets a new one.
    pub(crate) fn forget_lost(&self, slot: usize) {
        let mut running = lock(&self.running);
        if running.lost.remove(&slot) {
            if let Some(worker) = running.workers.get_mut(slot) {
                *worker = None;
            }
            running.set_free(slot);
        }
    }

    /// Lets go of an attempt whose end is durable.
    pub(crate) fn release(&self, id: ActionId, number: u32) {
        let mut running = lock(&self.running);
        if running.attempts.get(&id).is_some_and(|(attempt, _)| attempt.number() == number) {
            running.attempts.remove(&id);
            self.set_live(&running);
        }
    }

    pub(crate) fn attempts(&self) -> Vec<Arc<Attempt>> {
        lock(&self.running).attempts.values().map(|(attempt, _)| Arc::clone(attempt)).collect()
    }

    /// Tells whether an attempt has not come to its end, written down or not.
    pub(crate) fn has_unended(&self) -> bool {
        lock(&self.running).attempts.values().any(|(attempt, _)| attempt.ended().is_none())
    }

    pub(crate) fn attempt(&self, id: ActionId) -> Option<Arc<Attempt>> {
        lock(&self.running).attempts.get(&id).map(|(attempt, _)| Arc::clone(attempt))
    }

    /// Asks something of an attempt through its worker, if it is still this attempt.
    pub(crate) fn steer(&self, id: ActionId, number: u32, wish: Wish) {
        let running = lock(&self.running);
        if let Some((attempt, slot)) = running.attempts.get(&id)
            && attempt.number() == number
            && let Some(Some(worker)) = running.workers.get(*slot)
        {
            if wish != Wish::Force {
                // At once, so that what was acknowledged holds at the next checkpoint; the worker
                // only watches the time.
                attempt.ask(wish);
            }
            worker.do_send(Steer { attempt: Arc::clone(attempt), wish });
        }
    }

    /// Ends at once what runs only because the server does.
    pub(crate) fn force(&self, attempt: &Attempt) {
        attempt.interrupt();
        if let Some(id) = attempt.id() {
            self.steer(id, attempt.number(), Wish::Force);
        }
    }

    pub(crate) fn each_busy_worker(&self, mut tell: impl FnMut(&Addr<WorkerActor>)) {
        let running = lock(&self.running);
        for (slot, worker) in running.workers.iter().enumerate() {
            if let Some(worker) = worker
                && !running.free.contains(&slot)
            {
                tell(worker);
            }
        }
    }

    /// Whoever watches waits for none: to be told of each number would cost more than the rest.
    fn set_live(&self, running: &Running) {
        let now = running.attempts.len();
        self.live.send_if_modified(|live| {
            *live = now;
            now == 0
        });
    }

    /// Returns how many attempts are not yet durably ended.
    pub(crate) fn live_now(&self) -> usize {
        *self.live.borrow()
    }

    /// Watches how many attempts are not yet durably ended; it only wakes when there are none.
    pub(crate) fn live(&self) -> watch::Receiver<usize> {
        self.live.subscribe()
    }

    /// Returns what is woken when the action reaches a final state from now on.
    pub(crate) fn waiter(&self, id: ActionId) -> Waiter<'_> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = lock(&self.waiters);
        let waiting = waiters.entry(id).or_default();
        waiting.retain(|waiter| !waiter.is_closed());
        waiting.push(sender);
        Waiter { shared: self, id, woken: receiver }
    }

    #[cfg(test)]
    pub(crate) fn has_waiters(&self) -> bool {
        !lock(&self.waiters).is_empty()
    }

    /// Forgets waiters that have given up, so that the map holds only those who wait.
    fn drop_waiters(&self, id: ActionId) {
        let mut waiters = lock(&self.waiters);
        if let Some(waiting) = waiters.get_mut(&id) {
            waiting.retain(|waiter| !waiter.is_closed());
            if waiting.is_empty() {
                waiters.remove(&id);
            }
        }
    }

    pub(crate) fn wake(&self, id: ActionId) {
        // Not under the lock, which a waiter takes when it goes.
        let woken = lock(&self.waiters).remove(&id);
        for waiter in woken.into_iter().flatten() {
            // It may have given up just now.
            let _ = waiter.send(());
        }
    }

    /// Wakes all who wait; those whose action has not ended wait on, unless the system closes.
    pub(crate) fn wake_all(&self) {
        let woken = std::mem::take(&mut *lock(&self.waiters));
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

    pub(crate) fn set_ending(&self, ending: Ending) {
        let mut current = lock(&self.ending);
        *current = (*current).max(Some(ending));
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        *lock(&self.ending)
    }

    /// Returns who is told of actions that did not finish.
    pub(crate) const fn ends(&self) -> &Ends {
        &self.ends
    }

    pub(crate) fn set_recovered(&self) {
        self.recovered.send_replace(true);
    }

    /// Watches whether what an earlier server left running has been recovered.
    pub(crate) fn recovered(&self) -> watch::Receiver<bool> {
        self.recovered.subscribe()
    }

    pub(crate) fn count_dropped_report(&self) {
        self.dropped_reports.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped_reports(&self) -> u64 {
        self.dropped_reports.load(Ordering::Relaxed)
    }
}

/// For locks that are never held while anything is called that could leave their data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
