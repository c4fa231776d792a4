//! What outlives a queue actor: its published address, its inbox, its slots, its waiters, its counts.
//!
//! Handles, workers and readers hold this and never an address of their own, so nobody keeps a dead one.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;
use actix::dev::ToEnvelope;
use actix::{Handler, Message};
use tokio::sync::watch;

use crate::events::Observers;
use crate::queue::inbox::{Inbox, SubmissionPort};
use crate::queue::level::Thresholds;
use crate::queue::slots::{MOST_SLOTS, Slots};
use crate::queue::telling::Telling;
use crate::queue::waiters::Waiters;
use crate::queue::{QueueActor, QueueSettings, Submissions};
use crate::store::{Counts, NewAction};
use crate::worker::{Attempt, Wish};

/// Where a queue's actor is.
#[derive(Clone)]
pub(crate) enum Link {
    /// It is being built or rebuilt.
    Starting,
    Up(Addr<QueueActor>),
    /// It was given up, for this reason.
    Down(String),
}

pub(crate) type QueueLink = Arc<QueueShared>;

pub(crate) struct QueueShared {
    name: Arc<str>,
    settings: QueueSettings,
    link: watch::Sender<Link>,
    slots: Slots,
    counts: Mutex<(Counts, bool)>,
    inbox: Inbox,
    waiters: Waiters,
    dropped_reports: AtomicU64,
    ending: Mutex<Option<Ending>>,
    telling: Telling,
    /// Whether what an earlier server left running has been recovered.
    recovered: watch::Sender<bool>,
}

/// How what runs is to be ended because the server shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Interrupt,
    Force,
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
        observers: Observers,
    ) -> Self {
        // Without a slot nothing would ever start.
        let maximum_threads = settings.maximum_threads.clamp(1, MOST_SLOTS);
        let thresholds = settings.max_queue_size.map(|limit| {
            Thresholds::new(limit, settings.filling_threshold, settings.emptying_threshold)
        });
        Self {
            name: name.into(),
            telling: Telling::new(observers, thresholds, counts.queued(), paused),
            settings: QueueSettings { maximum_threads, ..settings },
            link: watch::Sender::new(Link::Starting),
            slots: Slots::new(maximum_threads),
            counts: Mutex::new((counts, paused)),
            inbox: Inbox::default(),
            waiters: Waiters::default(),
            dropped_reports: AtomicU64::new(0),
            ending: Mutex::new(None),
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

    /// Returns its slots: what runs, and which workers are idle.
    pub(crate) const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Ends at once what runs only because the server does.
    pub(crate) fn force(&self, attempt: &Attempt) {
        attempt.interrupt();
        if let Some(id) = attempt.id() {
            self.slots.steer(id, attempt.number(), Wish::Force);
        }
    }

    /// Returns those who wait for ends.
    pub(crate) const fn waiters(&self) -> &Waiters {
        &self.waiters
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

    pub(crate) fn set_ending(&self, ending: Ending) {
        let mut current = lock(&self.ending);
        *current = (*current).max(Some(ending));
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        *lock(&self.ending)
    }

    /// Returns what tells its observers.
    pub(crate) const fn telling(&self) -> &Telling {
        &self.telling
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
