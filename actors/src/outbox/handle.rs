//! The handlers as they are seen and steered from outside.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix::Addr;

use super::actor::{HandlerActor, Wake};
use crate::action::Timestamp;
use crate::clock::Clock;
use crate::queue::lock;
use crate::store::{
    Batch, Control, HandlerId, OutboxChange, OutboxState, QueueId, Store, StoreError,
};

/// The parts of a handler that others see.
pub(crate) struct HandlerShared {
    name: String,
    id: HandlerId,
    /// Set from a wake until its actor has looked.
    woken: AtomicBool,
    /// Set if events may wait again that were passed over.
    reads_all: AtomicBool,
    address: Mutex<Option<Addr<HandlerActor>>>,
    /// True while it is this server that delivers.
    leads: AtomicBool,
    in_flight: AtomicUsize,
    delivered: AtomicU64,
    retried: AtomicU64,
    last_error: Mutex<Option<(Timestamp, String)>>,
}

impl fmt::Debug for HandlerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerShared").field("name", &self.name).finish_non_exhaustive()
    }
}

impl HandlerShared {
    pub(crate) fn new(name: String, id: HandlerId) -> Self {
        Self {
            name,
            id,
            woken: AtomicBool::new(false),
            reads_all: AtomicBool::new(false),
            address: Mutex::new(None),
            leads: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn id(&self) -> HandlerId {
        self.id
    }

    pub(super) fn publish(&self, address: Option<Addr<HandlerActor>>) {
        *lock(&self.address) = address;
    }

    pub(crate) fn address(&self) -> Option<Addr<HandlerActor>> {
        lock(&self.address).clone()
    }

    /// Has its actor look for new events, unless it will anyway.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(address) = &*lock(&self.address)
        {
            address.do_send(Wake);
        }
    }

    /// Returns true if it was woken since the last call.
    pub(super) fn take_wake(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// Has its actor look at all events, from the first.
    fn wake_for_all(&self) {
        self.reads_all.store(true, Ordering::Release);
        self.wake();
    }

    /// Returns true if it is to look at all events since the last call.
    pub(super) fn take_reads_all(&self) -> bool {
        self.reads_all.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    pub(super) fn set_leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    pub(super) fn set_in_flight(&self, number: usize) {
        self.in_flight.store(number, Ordering::Relaxed);
    }

    pub(super) fn count_delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_error(&self, at: Timestamp, error: String, is_retried: bool) {
        self.retried.fetch_add(u64::from(is_retried), Ordering::Relaxed);
        *lock(&self.last_error) = Some((at, error));
    }
}

/// A handler as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStatus {
    /// Its name.
    pub name: String,
    /// Number of events that wait, with those under way.
    pub pending: u64,
    /// Time of the oldest of them.
    pub oldest: Option<Timestamp>,
    /// Number of events under way from this server.
    pub in_flight: usize,
    /// Number of events that could not be delivered and are kept.
    pub failed: u64,
    /// Number of events that were dropped undelivered, because there were too many.
    pub dropped: u64,
    /// Number of events that this server has delivered since its start.
    pub delivered: u64,
    /// Number of attempts that failed and were followed by another, since the start of this server.
    pub retried: u64,
    /// The latest error, of this server or of an event that is kept, with its time.
    pub last_error: Option<(Timestamp, String)>,
    /// True if it is this server that delivers: of those that share a store one does.
    pub leads: bool,
}

/// The handlers of a system. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) handlers: Vec<Arc<HandlerShared>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// A queue whose batches carry changes of the outbox; `None` if the system has no queue.
    pub(crate) queue: Option<QueueId>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

/// The reason why a handler could not be read or steered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// There is no handler of this name.
    #[error("there is no handler {0}")]
    Unknown(String),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Outbox {
    /// Returns the names of the handlers, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.handlers.iter().map(|handler| handler.name())
    }

    /// Reads how a handler stands; case does not matter.
    ///
    /// # Errors
    ///
    /// [`OutboxError`].
    pub async fn status(&self, name: &str) -> Result<HandlerStatus, OutboxError> {
        let handler = self.find(name)?;
        let OutboxState { pending, oldest, failed, dropped, last_failure } =
            self.store.outbox_state(handler.id()).await?;
        let kept = last_failure.map(|failure| (failure.at, failure.error));
        let here = lock(&handler.last_error).clone();
        Ok(HandlerStatus {
            name: handler.name().to_owned(),
            pending,
            oldest: oldest.map(|(_, at)| at),
            in_flight: handler.in_flight.load(Ordering::Relaxed),
            failed,
            dropped,
            delivered: handler.delivered.load(Ordering::Relaxed),
            retried: handler.retried.load(Ordering::Relaxed),
            last_error: here.max(kept),
            leads: handler.leads(),
        })
    }

    /// Has all failed events of a handler tried again, and returns how many there were. Events of the same action that were delivered
    /// meanwhile were told before them.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; some may be tried again.
    pub async fn retry(&self, name: &str) -> Result<u64, OutboxError> {
        self.change_failed(name, &OutboxChange::Retry).await
    }

    /// Deletes all failed events of a handler, and returns how many there were.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; some may be deleted.
    pub async fn discard(&self, name: &str) -> Result<u64, OutboxError> {
        self.change_failed(name, &OutboxChange::Discard).await
    }

    async fn change_failed(&self, name: &str, change: &OutboxChange) -> Result<u64, OutboxError> {
        let handler = self.find(name)?;
        let there = self.store.outbox_state(handler.id()).await?.failed;
        let step = OutboxChange::STEP as u64;
        // Those that fail meanwhile are left for another time.
        for _ in 0..there.div_ceil(step) {
            let Some(batch) = self.batch(handler.id(), vec![change.clone()]) else { break };
            self.store.commit(batch).await?;
            handler.wake_for_all();
        }
        Ok(there)
    }

    /// Makes a batch of changes to the events of a handler.
    pub(super) fn batch(&self, handler: HandlerId, changes: Vec<OutboxChange>) -> Option<Batch> {
        let change = |change| Control::Outbox { handler, change };
        let controls = changes.into_iter().map(change).collect();
        Some(Batch { controls, ..Batch::new(self.queue?, self.clock.now()) })
    }

    fn find(&self, name: &str) -> Result<&Arc<HandlerShared>, OutboxError> {
        let found = self.handlers.iter().find(|handler| handler.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| OutboxError::Unknown(name.to_owned()))
    }
}
