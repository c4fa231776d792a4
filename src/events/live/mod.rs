//! Live events: what happens in the queues, for whoever listens at `/events` (server-sent events).
//!
//! An endpoint has them once it is given a [`LiveEvents`] that observes its system. A listener is told of the queues that it
//! may see with `QueueInfo`.
//!
//! ```
//! use actiond::events::LiveEvents;
//! use actiond::front::Endpoint;
//! use actiond::kinds::echo::Echo;
//! use actiond_actors::{QueueSettings, System};
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let live = LiveEvents::new(10_000);
//! let system = System::builder(directory.path())
//!     .observer(live.observer())
//!     .queue("Process", QueueSettings::default(), Echo)
//!     .start()
//!     .await?;
//! let endpoint = Endpoint::builder(system.clone()).live_events(live).build();
//! # drop(endpoint);
//! # system.shutdown(std::time::Duration::from_secs(1)).await;
//! # Ok(()) }
//! ```
//!
//! # What it costs
//!
//! Nothing until somebody listens for the first time: only from then on are events kept, also while nobody listens.
//!
//! The thread of a queue copies a few numbers of each event into a ring and goes on; an error text or stages are copied too, up
//! to some kilobytes. An event gets its form when the first listener reads it, and that is shared by all others. Listeners are
//! woken together, the less often the more of them there are.
//!
//! | module | contents |
//! |---|---|
//! | here | [`LiveEvents`], the observer, and listeners |
//! | `told` | an event as it is kept; the types of events |
//! | `ring` | the latest events, bounded in number and bytes; pure |
//! | `position` | the ids of events, by which a listener goes on; pure |
//! | `filter` | what a listener wants to hear; pure |
//! | `counting` | the counts of queues, which are told while somebody wants them |
//! | `batch` | the events for which many are woken together; pure |
//!
//! The form of events and who may see them: `front/events`. How they are sent: `http/events`.

mod batch;
mod counting;
mod filter;
mod position;
mod ring;
#[cfg(test)]
mod tests;
mod told;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use actiond_actors::events::{Awake, Interest, Observer, QueueEvent};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub(crate) use batch::Batch;
pub(crate) use counting::Counting;
use counting::Wanted;
pub(crate) use filter::{Filter, NamedAction};
pub(crate) use position::Position;
pub(crate) use ring::Behind;
use ring::Ring;
pub(crate) use told::{EventType, Facts, Told, Types};

/// Bytes that the kept events may take for each one that may be kept; most take half of it.
const BYTES_EACH: usize = 1 << 10;

/// Bytes that the kept events may take in any case.
const LEAST_BYTES: usize = 1 << 20;

/// Number of events that are taken from those that are kept at once: meanwhile no queue can add one.
const STEP: usize = 64;

/// Number of events for which listeners are woken together at most.
const MOST_AT_ONCE: usize = 4_096;

/// Number of listeners at the same time unless it is set.
const MAX_LISTENERS: usize = 10_000;

/// The latest events of a system of queues, and those who listen. Cheap to clone.
///
/// Give an observer of it to the builder of the system, and itself to that of the endpoint
/// ([`EndpointBuilder::live_events`](crate::front::EndpointBuilder::live_events)). It is for one system.
#[derive(Clone)]
pub struct LiveEvents(Arc<Hub>);

impl fmt::Debug for LiveEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveEvents").field("listeners", &self.listeners()).finish_non_exhaustive()
    }
}

struct Hub {
    /// Of this process and this start: the ids of events are only good for it.
    run: u64,
    /// Number of events that are kept.
    history: u64,
    ring: Mutex<Ring<Event>>,
    /// Set by the first who listens: before that no event is kept.
    awake: Awake,
    /// Number of the latest event, from 1; 0 before the first.
    latest: AtomicU64,
    /// Told of each event while anybody listens. One for each HTTP worker waits for it, and none for each listener.
    news: Notify,
    listeners: AtomicUsize,
    max_listeners: usize,
    /// Of the counts of queues.
    wanted: Wanted,
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    position: Position,
    told: Told,
    /// Its form as it is sent, once somebody has read it.
    text: OnceLock<Bytes>,
}

impl Event {
    pub(crate) const fn told(&self) -> &Told {
        &self.told
    }

    pub(crate) const fn number(&self) -> u64 {
        self.position.number
    }

    /// Returns its form as it is sent, with what `data` writes of it: a text of one line.
    pub(crate) fn text(&self, data: impl FnOnce(&Told, &mut Vec<u8>)) -> &Bytes {
        self.text.get_or_init(|| {
            let name = self.told.event_type.name();
            let mut text = format!("id: {}\nevent: {name}\ndata: ", self.position).into_bytes();
            data(&self.told, &mut text);
            text.extend_from_slice(b"\n\n");
            text.shrink_to_fit();
            text.into()
        })
    }
}

impl LiveEvents {
    /// Makes one that keeps the latest `history` events for listeners that come back, at least 1. They take up to 1 KB each, and
    /// 1 MB in any case: where errors and stages are long, fewer are kept. None are before the first listener has come.
    #[must_use]
    pub fn new(history: usize) -> Self {
        let history = history.max(1);
        let bytes = history.saturating_mul(BYTES_EACH).max(LEAST_BYTES);
        Self(Arc::new(Hub {
            run: fastrand::u64(..),
            history: u64::try_from(history).unwrap_or(u64::MAX),
            ring: Mutex::new(Ring::new(history, bytes)),
            awake: Awake::default(),
            latest: AtomicU64::new(0),
            news: Notify::new(),
            listeners: AtomicUsize::new(0),
            max_listeners: MAX_LISTENERS,
            wanted: Wanted::default(),
        }))
    }

    /// Sets how many may listen at the same time (default 10,000). It only has an effect on one that was not cloned yet.
    #[must_use]
    pub fn max_listeners(mut self, number: usize) -> Self {
        if let Some(hub) = Arc::get_mut(&mut self.0) {
            hub.max_listeners = number;
        }
        self
    }

    /// Makes an observer that keeps the events of queues, for [`Builder::observer`](actiond_actors::Builder::observer).
    #[must_use]
    pub fn observer(&self) -> impl Observer + use<> {
        Keeping(Arc::clone(&self.0))
    }

    /// Returns the number of those who listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.0.listeners.load(Ordering::Relaxed)
    }

    /// Begins to listen: after the event of this id, or with the next event where there is none. If events after that one are not
    /// kept any more, or it is of another run, it begins with the next as well, and says so.
    ///
    /// # Errors
    ///
    /// The number of those who may listen, if as many do.
    pub(crate) fn listen(&self, after: Option<&str>) -> Result<(Listener, Begins), usize> {
        let hub = &self.0;
        let most = hub.max_listeners;
        let enter = |listening: usize| (listening < most).then(|| listening + 1);
        let entered = hub.listeners.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter);
        entered.map_err(|_| most)?;
        // Before the look at the ring: what a client does once it listens is kept.
        hub.awake.set();
        let ring = hub.ring();
        let after = after.map(|text| Position::parse(text).filter(|at| at.run == hub.run));
        let (next, begins) = match after {
            None => (ring.next(), Begins::Now),
            Some(Some(at)) if ring.can_go_on_after(at.number) => (at.number + 1, Begins::After),
            Some(_) => (ring.next(), Begins::Reset),
        };
        drop(ring);
        Ok((Listener { hub: Arc::clone(hub), next }, begins))
    }

    /// Returns the number of the latest event.
    pub(crate) fn latest(&self) -> u64 {
        self.0.latest.load(Ordering::Acquire)
    }

    /// Returns the events after the one of this number, up to some thousands, or the latest of them if the first are not kept any
    /// more.
    pub(crate) fn batch_after(&self, number: u64) -> Batch {
        let (mut first, mut events) = (number.saturating_add(1), Vec::new());
        while events.len() < MOST_AT_ONCE {
            let from = first.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX));
            // In steps, between which queues can add events.
            let step = self.0.ring().read(from, STEP);
            match step {
                Ok(step) if step.is_empty() => break,
                Ok(step) => events.extend(step),
                Err(Behind) => {
                    first = self.latest().saturating_add(1);
                    events.clear();
                }
            }
        }
        Batch::new(first, events)
    }

    /// Returns how many events are kept at most.
    pub(crate) fn history(&self) -> u64 {
        self.0.history
    }

    /// Returns a future that ends with the next event from now on, if anybody listens then.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.0.news.notified()
    }
}

impl Hub {
    /// Locks the ring. Nothing that holds the lock can leave it half changed.
    fn ring(&self) -> MutexGuard<'_, Ring<Event>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, told: Told) {
        let bytes = told.byte_len();
        {
            let mut ring = self.ring();
            let number = ring.next();
            let position = Position { run: self.run, number };
            ring.push(Arc::new(Event { position, told, text: OnceLock::new() }), bytes);
            self.latest.store(number, Ordering::Release);
        }
        // A listener that comes after this look finds the event in the ring.
        if self.listeners.load(Ordering::SeqCst) > 0 {
            self.news.notify_waiters();
        }
    }
}

/// The observer of a [`LiveEvents`].
struct Keeping(Arc<Hub>);

impl Observer for Keeping {
    fn interest(&self) -> Interest {
        told::INTEREST
    }

    fn awake(&self) -> Option<Awake> {
        Some(self.0.awake.clone())
    }

    fn on_event(&self, queue: &str, event: &QueueEvent<'_>) {
        if let Some(told) = Told::of(queue, event) {
            self.0.keep(told);
        }
    }
}

/// The events with which a listener begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// With the next.
    Now,
    /// With all after the one that it heard last.
    After,
    /// With the next; what it has missed is not kept any more.
    Reset,
}

/// One who listens, until this is dropped.
pub(crate) struct Listener {
    hub: Arc<Hub>,
    /// Number of the next event to hear.
    next: u64,
}

impl Listener {
    /// Returns some events from the next one on.
    ///
    /// # Errors
    ///
    /// [`Behind`] if the next one is not kept any more.
    pub(crate) fn hear(&self) -> Result<Vec<Arc<Event>>, Behind> {
        if self.hub.latest.load(Ordering::Acquire) < self.next {
            return Ok(Vec::new());
        }
        self.hub.ring().read(self.next, STEP)
    }

    /// Returns the number of the next event to hear.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Passes over what comes before the event of this number.
    pub(crate) fn pass_on_to(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    /// Notes that it has heard an event.
    pub(crate) fn heard(&mut self, event: &Event) {
        self.next = event.number().saturating_add(1);
    }

    /// Returns the position up to which it has heard everything.
    pub(crate) fn position(&self) -> Position {
        Position { run: self.hub.run, number: self.next.saturating_sub(1) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hub.listeners.fetch_sub(1, Ordering::SeqCst);
    }
}
