//! The outbox of a store: events that handlers must hear of at least once, as rows of the transaction that made them so.
//!
//! The contract is in [the module of stores](super), under "Outbox".

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{QueueId, Record};
use crate::action::{ActionId, State, Timestamp};
use crate::report::Written;

/// A handler's number within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandlerId(pub i64);

/// An event's number within one store. It grows in the order of the changes to one action, and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub i64);

/// A kind of event that handlers may hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// An attempt at an action started (`OnStart`).
    Start,
    /// An action ended in Finished (`OnFinish`).
    Finish,
    /// An action ended in Error (`OnError`).
    Error,
    /// An error happened, but the action goes on: its attempt failed and it is to be tried again, or its work says so
    /// (`OnErrorReport`).
    ErrorReport,
    /// An action ended in Cancelled (`OnCancel`).
    Cancel,
    /// An action ended in Stopped (`OnStop`).
    Stop,
    /// The fill level of a queue changed (`OnQueueEvent`).
    Queue,
}

impl EventKind {
    /// Every kind, in the order of the numbers by which stores keep them: 0, 1 and so on.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Finish,
        Self::Error,
        Self::ErrorReport,
        Self::Cancel,
        Self::Stop,
        Self::Queue,
    ];

    /// Returns the kind of the end in this state; `None` if the state is not final.
    #[must_use]
    pub const fn of_end(state: State) -> Option<Self> {
        match state {
            State::Finished => Some(Self::Finish),
            State::Error => Some(Self::Error),
            State::Cancelled => Some(Self::Cancel),
            State::Stopped => Some(Self::Stop),
            State::Queued | State::Processing | State::Paused | State::Stopping => None,
        }
    }

    /// Tells whether it is the end of an action.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Finish | Self::Error | Self::Cancel | Self::Stop)
    }

    /// Returns the key of the configuration that names the handlers of this kind.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Start => "OnStart",
            Self::Finish => "OnFinish",
            Self::Error => "OnError",
            Self::ErrorReport => "OnErrorReport",
            Self::Cancel => "OnCancel",
            Self::Stop => "OnStop",
            Self::Queue => "OnQueueEvent",
        }
    }

    /// Returns the number by which stores keep it.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the kind that is kept by this number.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number).copied())
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// The handlers that want the events of a queue. A [`Batch`](super::Batch) carries it, if there are any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventWants {
    of: [Vec<HandlerId>; EventKind::ALL.len()],
    /// The handler that is told of the end of each action that was submitted with a callback ([`Origin::callback`](super::Origin::callback)), if callbacks
    /// are allowed.
    pub callback: Option<HandlerId>,
}

impl EventWants {
    /// Adds a handler of a kind of event. A handler hears of an event once, however often it is added.
    pub fn add(&mut self, kind: EventKind, handler: HandlerId) {
        if let Some(handlers) = self.of.get_mut(usize::from(kind.number()))
            && !handlers.contains(&handler)
        {
            handlers.push(handler);
        }
    }

    /// Returns the handlers of a kind of event, in the order in which they were added.
    #[must_use]
    pub fn handlers(&self, kind: EventKind) -> &[HandlerId] {
        self.of.get(usize::from(kind.number())).map_or(&[], Vec::as_slice)
    }

    /// Tells whether nobody wants anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.callback.is_none() && self.of.iter().all(Vec::is_empty)
    }
}

/// The fill level of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QueueLevel {
    /// As many actions wait as may.
    Full,
    /// More wait than the filling threshold.
    Filling,
    /// Fewer wait than the emptying threshold.
    Emptying,
    /// None waits.
    Empty,
}

/// A change of a queue's fill level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelChange {
    /// The level.
    pub level: QueueLevel,
    /// Number of actions that wait.
    pub queued: u64,
    /// Number of actions that may wait; `None` = no limit.
    pub limit: Option<u64>,
}

/// The action or the queue that an event is about, as it was at that moment.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// An action.
    Action(Box<Record>),
    /// The queue itself.
    Queue(LevelChange),
}

/// An event that waits to be delivered to a handler, or could not be.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its number.
    pub id: EventId,
    /// The queue in which it happened.
    pub queue: QueueId,
    /// Its kind.
    pub kind: EventKind,
    /// Time when it happened.
    pub at: Timestamp,
    /// The action or the queue.
    pub about: About,
    /// Number of bytes of its error and result as they are stored.
    pub bytes: usize,
}

/// Events of a handler, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventPage {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// True if there may be more that would have fit into a larger page.
    pub more: bool,
    /// Events that can't be read, with the reason. They are to be settled as failed.
    pub unreadable: Vec<(EventId, String)>,
}

/// Numbers of the events of one handler.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxState {
    /// Number of events that wait to be delivered.
    pub pending: u64,
    /// The oldest of them, with its time.
    pub oldest: Option<(EventId, Timestamp)>,
    /// Number of events that could not be delivered and are kept.
    pub failed: u64,
    /// Number of events that were dropped undelivered, because there were too many.
    pub dropped: u64,
    /// The latest failure that is kept.
    pub last_failure: Option<FailedEvent>,
}

/// An event that could not be delivered, after all attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedEvent {
    /// The event.
    pub id: EventId,
    /// Time of the last attempt.
    pub at: Timestamp,
    /// Number of attempts.
    pub attempts: u32,
    /// The error of the last one.
    pub error: String,
}

/// An event that a queue writes itself.
#[derive(Debug, Clone, PartialEq)]
pub enum NewEvent {
    /// An error of an attempt that goes on. Written only if that attempt runs, and this owner runs it.
    ErrorReport {
        /// The action.
        id: ActionId,
        /// The attempt's number.
        attempt: u32,
        /// The error text.
        error: String,
        /// The partial result.
        report: Written,
    },
    /// A change of the fill level.
    Level(LevelChange),
}

/// A change to the events of one handler.
#[derive(Debug, Clone, PartialEq)]
pub enum OutboxChange {
    /// Deletes what was delivered, and keeps what could not be delivered among the failed events. Events that are not there, or not
    /// pending, are passed over: so it may be repeated.
    Settle {
        /// The delivered events.
        delivered: Arc<[EventId]>,
        /// The events that failed for good.
        failed: Arc<[FailedEvent]>,
    },
    /// Drops the oldest pending and the oldest failed events beyond this number of each, up to [`OutboxChange::STEP`] of each, and
    /// counts them.
    Trim {
        /// Number of pending events that are kept, and of failed ones.
        keep: u64,
    },
    /// Makes failed events pending again, up to [`OutboxChange::STEP`], the oldest first.
    Retry,
    /// Deletes failed events, up to [`OutboxChange::STEP`], the oldest first.
    Discard,
}

impl OutboxChange {
    /// Maximum number of events in one change: the writer is held up no longer.
    pub const STEP: usize = 1_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_kinds_belong_together() {
        for (number, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), number);
            assert_eq!(EventKind::of_number(i64::from(kind.number())), Some(kind));
        }
        assert_eq!(EventKind::of_number(7), None);
        assert_eq!(EventKind::of_number(-1), None);
        for state in State::ALL {
            let kind = EventKind::of_end(state);
            assert_eq!(kind.is_some(), state.is_final());
            assert!(kind.is_none_or(EventKind::is_end));
        }
    }

    #[test]
    fn a_handler_hears_of_an_event_once() {
        let mut wants = EventWants::default();
        assert!(wants.is_empty());
        for handler in [HandlerId(2), HandlerId(1), HandlerId(2)] {
            wants.add(EventKind::Finish, handler);
        }
        assert_eq!(wants.handlers(EventKind::Finish), [HandlerId(2), HandlerId(1)]);
        assert_eq!(wants.handlers(EventKind::Error), []);
        assert!(!wants.is_empty());
        let callback = EventWants { callback: Some(HandlerId(1)), ..EventWants::default() };
        assert!(!callback.is_empty());
    }
}
