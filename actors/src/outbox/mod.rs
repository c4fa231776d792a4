//! Delivery of events that must not be lost: to handlers, at least once, and in order for one action.
//!
//! A queue names its handlers by kind of event ([`QueueSettings::handlers`](crate::QueueSettings::handlers)). The store writes such
//! an event in the transaction of the change itself, so it survives whatever the change survives. An actor of its own for each
//! handler reads the events, has them delivered ([`Deliver`]), and deletes what was: a slow or dead receiver delays nothing but its
//! own events. Metrics and live pages need none of that: see [`events`](crate::events).
//!
//! ```
//! use actiond_actors::outbox::{Deliver, EventHandlers, HandlerSettings, OutboxEvent, Undelivered};
//! use actiond_actors::store::EventKind;
//! use actiond_actors::{QueueSettings, System};
//! use futures_util::FutureExt as _;
//! use futures_util::future::{BoxFuture, ready};
//! use std::sync::Arc;
//!
//! struct Print;
//! impl Deliver for Print {
//!     fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
//!         println!("{} in {}: {:?}", event.kind, event.queue, event.about);
//!         ready(Ok(())).boxed()
//!     }
//! }
//!
//! let handlers = EventHandlers::default().on(EventKind::Error, "Alarm");
//! let settings = QueueSettings { handlers, ..QueueSettings::default() };
//! let builder = System::builder("actions").handler("Alarm", HandlerSettings::default(), Arc::new(Print));
//! # let _ = (settings, builder);
//! ```
//!
//! - `actor`: the actor of a handler, with its messages; `lanes`: which event is next; `receivers`: which receivers take nothing;
//! - `handle`: what is seen and steered from outside: [`Outbox`];
//! - `queue_handlers`: the handlers of one queue.

mod actor;
mod handle;
mod lanes;
mod queue_handlers;
mod receivers;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::action::{ActionId, Timestamp};
use crate::queue::{Backoff, RetryPolicy};
use crate::store::{About, EventId, EventKind, QueueId, StoredEvent};
pub(crate) use actor::{HandlerActor, Stop};
pub(crate) use handle::HandlerShared;
pub use handle::{HandlerStatus, Outbox, OutboxError};
pub(crate) use queue_handlers::QueueHandlers;

/// A way to deliver events.
pub trait Deliver: Send + Sync + 'static {
    /// Delivers one event. Several may be under way at the same time, but not two about the same action. It may be called again with
    /// an event that was delivered before, if the server died before that was written down: its
    /// [`message_id`](OutboxEvent::message_id) is the same then.
    ///
    /// It runs where the futures of actions do, so it must not block; a panic counts as a failure.
    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>>;

    /// Names the receiver of an event, of a handler whose events go to several that fail one by one. While one of them takes nothing
    /// ([`Undelivered::down`]), its events wait, and those of others go on. By default there is one for all events.
    fn receiver(&self, event: &OutboxEvent) -> Option<String> {
        let _ = event;
        None
    }
}

/// An event on its way to a handler.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// Its number in the store.
    pub id: EventId,
    /// Number of its queue in the store.
    pub queue_id: QueueId,
    /// Name of its queue.
    pub queue: Arc<str>,
    /// Its kind.
    pub kind: EventKind,
    /// Time when it happened.
    pub at: Timestamp,
    /// The action or the queue, as it was then.
    pub about: About,
}

impl OutboxEvent {
    /// Returns the identifier by which a receiver knows an event that it is told of again. No other event has it, also after an
    /// earlier copy of the store was put in its place.
    #[must_use]
    pub fn message_id(&self) -> String {
        format!("evt_{}_{}", self.id.0, self.at.0)
    }

    /// Returns the URL to which the end of this action is to be told, if it was submitted with one.
    #[must_use]
    pub fn callback(&self) -> Option<&str> {
        match &self.about {
            About::Action(record) => record.origin.as_ref()?.callback.as_deref(),
            About::Queue(_) => None,
        }
    }

    /// Returns what it is about, in which order is kept.
    fn lane(&self) -> Lane {
        let action = match &self.about {
            About::Action(record) => Some(record.id),
            About::Queue(_) => None,
        };
        (self.queue_id, action)
    }

    fn of(stored: StoredEvent, queue: Arc<str>) -> Self {
        let StoredEvent { id, queue: queue_id, kind, at, about, .. } = stored;
        Self { id, queue_id, queue, kind, at, about }
    }
}

/// An action of a queue, or the queue itself.
type Lane = (QueueId, Option<ActionId>);

/// The reason why an event was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The error, as administrators are shown it: without secrets.
    pub error: String,
    /// True if another attempt may succeed; else the event has failed.
    pub may_retry: bool,
    /// True if the receiver takes nothing at all for now, such as one that can't be reached: its other events wait, too.
    pub is_down: bool,
    /// Time for which the receiver wants to be left alone, if it says so.
    pub retry_after: Option<Duration>,
}

impl Undelivered {
    /// Makes the reason of a failure after which another attempt may succeed.
    #[must_use]
    pub fn for_now(error: impl Into<String>) -> Self {
        Self { error: error.into(), may_retry: true, is_down: false, retry_after: None }
    }

    /// Makes that of a receiver that takes nothing at all for now.
    #[must_use]
    pub fn down(error: impl Into<String>) -> Self {
        Self { is_down: true, ..Self::for_now(error) }
    }

    /// Makes that of a failure that another attempt would only repeat.
    #[must_use]
    pub fn for_good(error: impl Into<String>) -> Self {
        Self { may_retry: false, ..Self::for_now(error) }
    }
}

/// Settings of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerSettings {
    /// Number of attempts after the first (`Retries`; default 10). After the last the event has failed, and is kept.
    pub retries: u32,
    /// Time to the second attempt (`RetryInterval`; default 1 s). It doubles with each further one, up to `max_retry_interval`, and
    /// is then cut by a random part of up to half.
    pub retry_interval: Duration,
    /// Maximum time between two attempts (`MaxRetryInterval`; default 5 minutes).
    pub max_retry_interval: Duration,
    /// Number of deliveries under way at the same time (`MaxInFlight`; default 4). 0 counts as 1.
    pub max_in_flight: usize,
    /// Number of events that may wait, and of failed ones that are kept; beyond that the oldest are dropped (`MaxPending`; default
    /// 100,000). It is exceeded for a second at most, by what happens in that.
    pub max_pending: u64,
}

impl Default for HandlerSettings {
    fn default() -> Self {
        Self {
            retries: 10,
            retry_interval: Duration::from_secs(1),
            max_retry_interval: Duration::from_secs(300),
            max_in_flight: 4,
            max_pending: 100_000,
        }
    }
}

impl HandlerSettings {
    /// Returns the time to the next attempt after this number of failed ones, from 1; `None` if there is to be none.
    fn after(&self, failures: u32) -> Option<Duration> {
        let policy =
            RetryPolicy { max_attempts: self.retries.saturating_add(1), ..self.without_end() };
        policy.after(failures, fastrand::f64())
    }

    /// Returns the time for which a receiver that was down this number of times in a row is left alone.
    fn pause(&self, times: u32) -> Duration {
        let policy = self.without_end();
        policy.after(times, fastrand::f64()).unwrap_or(self.max_retry_interval)
    }

    const fn without_end(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: u32::MAX,
            delay: self.retry_interval,
            backoff: Backoff::Exponential,
            max_delay: self.max_retry_interval,
        }
    }
}

/// The handlers of a queue, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventHandlers {
    of: Vec<(EventKind, String)>,
    callbacks: Option<String>,
}

impl EventHandlers {
    /// Adds a handler of a kind of event. It is told of each event once, however often it is added.
    #[must_use]
    pub fn on(mut self, kind: EventKind, handler: impl Into<String>) -> Self {
        self.of.push((kind, handler.into()));
        self
    }

    /// Sets the handler that tells of the end of each action that was submitted with a callback
    /// ([`Submission::callback`](crate::Submission::callback)). Without it there are no callbacks.
    #[must_use]
    pub fn callbacks(mut self, handler: impl Into<String>) -> Self {
        self.callbacks = Some(handler.into());
        self
    }

    /// Returns the kinds with their handlers.
    pub fn iter(&self) -> impl Iterator<Item = (EventKind, &str)> {
        self.of.iter().map(|(kind, handler)| (*kind, handler.as_str()))
    }

    /// Returns the names of all handlers.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.iter().map(|(_, name)| name).chain(self.callbacks.as_deref()).collect()
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.of.is_empty() && self.callbacks.is_none()
    }
}
