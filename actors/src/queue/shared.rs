//! The parts of a queue that outlive its actor: the published address, the inbox, the slots, the waiters, the counts.
//!
//! Handles, workers and readers hold these and never an address of their own, so none keeps the address of a dead actor.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::Addr;
use actix::dev::ToEnvelope;
use actix::{Handler, Message};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::watch;

use crate::events::Observers;
use crate::outbox::QueueHandlers;
use crate::queue::drain::Drain;
use crate::queue::inbox::{Inbox, SubmissionReplyTo};
use crate::queue::level::Thresholds;
use crate::queue::slots::{MOST_SLOTS, Slots};
use crate::queue::status::Load;
use crate::queue::telling::Telling;
use crate::queue::waiters::Waiters;
use crate::queue::{ErrorReported, QueueActor, QueueSettings, SettingsChanged, Submissions};
use crate::store::{Counts, EventKind, NewAction};
use crate::worker::{Attempt, Wish};

/// Number of bytes of an error report that are kept.
const MAX_ERROR_REPORT: usize = 10_000;

/// State of a queue's actor, with its address.
#[derive(Clone)]
pub(crate) enum Link {
    /// It is being built or rebuilt.
    Starting,
    /// It lives, or has died a moment ago.
    Up(Addr<QueueActor>),
    /// It was given up for this reason.
    Down(String),
}

/// Reference to a queue that stays valid while its actor is rebuilt.
pub(crate) type QueueLink = Arc<QueueShared>;

/// The parts of one queue that outlive its actor.
pub(crate) struct QueueShared {
    name: Arc<str>,
    settings: ArcSwap<QueueSettings>,
    link: watch::Sender<Link>,
    slots: Slots,
    /// The counts as of the latest batch, and true while the queue is paused.
    counts: Mutex<(Counts, bool)>,
    drain: Drain,
    inbox: Inbox,
    waiters: Waiters,
    dropped_reports: AtomicU64,
    /// Set once a shutdown ends what runs.
    ending: Mutex<Option<Ending>>,
    telling: Telling,
    /// The handlers that are told of its events, if there are any.
    handlers: ArcSwapOption<QueueHandlers>,
    /// True once the actions that ran in an earlier server are recovered.
    recovered: watch::Sender<bool>,
}

/// Way in which a shutdown ends what runs. A force is never taken back.
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
        let settings = sound(settings);
        let thresholds = thresholds(&settings);
        Self {
            name: name.into(),
            telling: Telling::new(observers, thresholds, counts.queued(), paused),
            link: watch::Sender::new(Link::Starting),
            slots: Slots::new(settings.maximum_threads),
            settings: ArcSwap::from_pointee(settings),
            counts: Mutex::new((counts, paused)),
            drain: Drain::new(),
            inbox: Inbox::default(),
            waiters: Waiters::default(),
            dropped_reports: AtomicU64::new(0),
            ending: Mutex::new(None),
            recovered: watch::Sender::new(false),
            handlers: ArcSwapOption::empty(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn name_shared(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Returns the settings as they are now. Let go of them soon, and ask again: they may be replaced.
    pub(crate) fn settings(&self) -> Guard<Arc<QueueSettings>> {
        self.settings.load()
    }

    /// Replaces the settings. An actor that dies before it hears of that is followed by one that finds them.
    pub(super) fn set_settings(&self, settings: QueueSettings) {
        let settings = sound(settings);
        self.telling.set_thresholds(thresholds(&settings));
        self.slots.set_maximum(settings.maximum_threads);
        self.settings.store(Arc::new(settings));
        self.tell(SettingsChanged);
    }

    /// Publishes the state of the actor. Called by the guardian.
    pub(crate) fn publish(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Watches the state of the actor.
    pub(crate) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Returns the actor's address, or `None` if it has died: its address stays published for a moment after that.
    pub(crate) fn address(&self) -> Option<Addr<QueueActor>> {
        match &*self.link.borrow() {
            Link::Up(address) if self.inbox.is_open() => Some(address.clone()),
            Link::Up(_) | Link::Starting | Link::Down(_) => None,
        }
    }

    /// Tells whether the actor lives, or is built again.
    fn is_up(&self) -> bool {
        !matches!(&*self.link.borrow(), Link::Down(_))
    }

    /// Returns the load of the queue on this server.
    pub(super) fn load(&self) -> Load {
        Load {
            inbox: self.inbox.len(),
            slots_used: self.slots.used(),
            slots: self.settings.load().maximum_threads,
            is_up: self.is_up(),
        }
    }

    /// Sends the actor a message, which is lost if it has just died. Only for what its successor also finds in these
    /// parts.
    pub(crate) fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        QueueActor: Handler<M>,
        <QueueActor as actix::Actor>::Context: ToEnvelope<QueueActor, M>,
    {
        // Without a copy of the address: that costs time for each message.
        if let Link::Up(address) = &*self.link.borrow() {
            address.do_send(message);
        }
    }

    /// Puts a submission into the inbox, and tells the actor if no enlisted batch will take it. Gives the submission back if
    /// there is no actor. An actor whose address is not published yet looks when it starts.
    pub(super) fn submit(
        &self,
        new: NewAction,
        reply: SubmissionReplyTo,
    ) -> Result<(), (NewAction, SubmissionReplyTo)> {
        if self.inbox.submission(new, reply)? {
            self.tell(Submissions);
        }
        Ok(())
    }

    pub(super) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Returns the slots.
    pub(crate) const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Interrupts an attempt and forces it at once.
    pub(crate) fn force(&self, attempt: &Attempt) {
        attempt.interrupt();
        if let Some(id) = attempt.id() {
            self.slots.steer(id, attempt.number(), Wish::Force);
        }
    }

    /// Returns the callers that wait for ends.
    pub(crate) const fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    pub(crate) fn counts(&self) -> (Counts, bool) {
        *lock(&self.counts)
    }

    pub(crate) fn set_counts(&self, counts: Counts, paused: bool) {
        *lock(&self.counts) = (counts, paused);
    }

    /// Returns the rate at which actions leave the queue.
    pub(super) const fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Returns the time after which there may be room for one more, if so many may wait.
    pub(super) fn room_after(&self, limit: u64) -> Duration {
        let queued = self.counts().0.queued();
        self.drain.time_for(queued.saturating_add(1).saturating_sub(limit).max(1))
    }

    /// Notes that the queue was paused or resumed by another owner.
    pub(crate) fn set_paused(&self, paused: bool) {
        lock(&self.counts).1 = paused;
    }

    /// Sets the way in which a shutdown ends what runs; a force stays.
    pub(crate) fn set_ending(&self, ending: Ending) {
        let mut current = lock(&self.ending);
        *current = (*current).max(Some(ending));
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        *lock(&self.ending)
    }

    /// Returns the handlers that are told of its events at least once.
    pub(crate) fn handlers(&self) -> Guard<Option<Arc<QueueHandlers>>> {
        self.handlers.load()
    }

    /// Sets the handlers that are told of its events from the next batch on.
    pub(crate) fn set_handlers(&self, handlers: Option<Arc<QueueHandlers>>) {
        self.handlers.store(handlers);
    }

    /// Has an error of an attempt written that goes on, if somebody wants to be told.
    pub(crate) fn report_error(&self, attempt: &Arc<Attempt>, error: &str) {
        let is_wanted = |told: &Arc<QueueHandlers>| told.want(EventKind::ErrorReport);
        if attempt.action().is_some()
            && self.handlers().as_ref().is_some_and(is_wanted)
            && attempt.add_error_report()
        {
            let error =
                error.get(..error.floor_char_boundary(MAX_ERROR_REPORT)).unwrap_or_default();
            let error = attempt.hide(error).into_owned();
            self.tell(ErrorReported { attempt: Arc::clone(attempt), error });
        }
    }

    /// Returns the teller of events.
    pub(crate) const fn telling(&self) -> &Telling {
        &self.telling
    }

    pub(crate) fn set_recovered(&self) {
        self.recovered.send_replace(true);
    }

    /// Watches whether the actions that ran in an earlier server are recovered.
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

/// Returns the settings with numbers that a queue can work with.
fn sound(settings: QueueSettings) -> QueueSettings {
    // Without a slot nothing would ever start.
    let maximum_threads = settings.maximum_threads.clamp(1, MOST_SLOTS);
    QueueSettings { maximum_threads, ..settings }
}

fn thresholds(settings: &QueueSettings) -> Option<Thresholds> {
    let QueueSettings { filling_threshold, emptying_threshold, .. } = *settings;
    let limit = settings.max_queue_size?;
    Some(Thresholds::new(limit, filling_threshold, emptying_threshold))
}

/// Locks a mutex, poisoned or not. Only for data that no panic can leave half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
