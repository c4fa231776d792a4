//! Events: each change in a queue is a [`QueueEvent`], told to every [`Observer`] that wants it.
//!
//! They are for metrics, event handlers, live pages and logs. A queue tells of a change once it is durable, never before
//! (Q2). An event that no observer wants costs one comparison.
//!
//! ```
//! use actiond_actors::events::{Interest, QueueEvent, observer};
//! use actiond_actors::System;
//!
//! let ends = observer(Interest::ENDED, |queue, event| {
//!     if let QueueEvent::Ended { action, state, processing, .. } = event {
//!         println!("{queue}: action {} ended in {state} after {processing:?}", action.id);
//!     }
//! });
//! let builder = System::builder("actions").observer(ends);
//! ```

mod observers;
mod unfinished;

use std::fmt;
use std::ops::BitOr;
use std::time::Duration;

use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::Came;
use crate::report::Progress;
use crate::store::SiteId;
pub use observers::Awake;
pub(crate) use observers::Observers;
pub(crate) use unfinished::log_unfinished;
pub use unfinished::{OneLine, Unfinished};

/// A receiver of the events of a system's queues.
///
/// It is called on the thread of a queue, after the commit that made the change durable, so it must not wait: hand slow
/// work to a channel. The events of one queue come one after the other, in the order in which they were written: of one
/// action, `Queued` comes before `Started`, and nothing after `Ended` but `EndDropped`. Several queues may call at the same time. A panic
/// in an observer is logged and harms nothing else.
///
/// # Missing events
///
/// No change is told of twice. A change that became durable just before a queue's actor died, or the server, may not be
/// told at all: the next actor begins with what the store holds. An observer that must not miss anything compares with
/// [`QueueHandle::list`](crate::QueueHandle::list) after a start. Of the queue itself (paused, full or empty), the next
/// actor tells what has changed since the last event. A change that is retried is told of once it is written. Progress may
/// be told again.
///
/// # Several servers on one store
///
/// Each server tells of the changes that it wrote itself: a stop is told by the server that was asked, the end by the one
/// that ran the action, and a recovery by the one that recovered it. Only the state of the queue itself (paused, full or
/// empty) is told by each server that hears of it. A start that is given back before it begins, because another server may
/// have started the action, is not told, and neither is the requeue.
pub trait Observer: Send + Sync + 'static {
    /// Returns the events that it wants. Called once, when it is added to a system.
    fn interest(&self) -> Interest;

    /// Returns the flag that wakes it, or `None`, the default, if it is awake from the start. Called once, when it is added to a
    /// system. Until it is set the observer is told of nothing, and queues do next to nothing for it.
    fn awake(&self) -> Option<Awake> {
        None
    }

    /// Receives one event in the queue of this name.
    fn on_event(&self, queue: &str, event: &QueueEvent<'_>);
}

/// Makes an observer of a closure.
pub fn observer(
    interest: Interest,
    on_event: impl Fn(&str, &QueueEvent<'_>) + Send + Sync + 'static,
) -> impl Observer {
    ByClosure { interest, on_event }
}

/// The observer that [`observer`] makes.
struct ByClosure<F> {
    interest: Interest,
    on_event: F,
}

impl<F: Fn(&str, &QueueEvent<'_>) + Send + Sync + 'static> Observer for ByClosure<F> {
    fn interest(&self) -> Interest {
        self.interest
    }

    fn on_event(&self, queue: &str, event: &QueueEvent<'_>) {
        (self.on_event)(queue, event);
    }
}

/// The kinds of events that an observer wants: one or several of these, joined by `|`.
///
/// ```
/// use actiond_actors::events::Interest;
/// let interest = Interest::STARTED | Interest::ENDED;
/// assert!(interest.has(Interest::FINISHED) && !interest.has(Interest::PROGRESSED));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest(u16);

impl Interest {
    /// No events.
    pub const NONE: Self = Self(0);
    /// `Queued`.
    pub const QUEUED: Self = Self(1);
    /// `Started`.
    pub const STARTED: Self = Self(1 << 1);
    /// `Progressed`.
    pub const PROGRESSED: Self = Self(1 << 2);
    /// Effects of clients' commands: `Paused`, `Resumed`, `Stopping` and `PriorityChanged`.
    pub const STEERED: Self = Self(1 << 3);
    /// `Ended` in the state Finished.
    pub const FINISHED: Self = Self(1 << 4);
    /// `Ended` in any other state, `Requeued`, and `EndDropped`.
    pub const UNFINISHED: Self = Self(1 << 5);
    /// `QueuePaused` and `QueueResumed`.
    pub const QUEUE_PAUSED: Self = Self(1 << 6);
    /// Fill level of a queue: `QueueFull`, `QueueFilling`, `QueueEmptying` and `QueueEmpty`.
    pub const LEVEL: Self = Self(1 << 7);
    /// `Committed`.
    pub const COMMITTED: Self = Self(1 << 8);
    /// All of `Ended`, and `Requeued`.
    pub const ENDED: Self = Self(Self::FINISHED.0 | Self::UNFINISHED.0);
    /// All events, also those of later versions.
    pub const ALL: Self = Self(u16::MAX);

    /// Joins the two, also in a constant, where `|` can't be used.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether the two have a kind of event in common.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

/// The action that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionRef {
    /// The action's id.
    pub id: ActionId,
    /// The time at which it was queued.
    pub queued_at: Timestamp,
    /// Number of its latest attempt, from 1; 0 if it never started.
    pub attempt: u32,
    /// The server that took it, if that was another: see [`Record::taken_by`](crate::store::Record::taken_by).
    pub taken_by: Option<SiteId>,
}

/// A change in a queue, durable when it is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum QueueEvent<'a> {
    /// An action was queued. Not told of a submission that was retried under its key.
    Queued {
        /// The action.
        action: ActionRef,
    },
    /// An attempt at an action was given a slot; its work begins.
    Started {
        /// The action.
        action: ActionRef,
        /// The time at which this attempt started.
        started_at: Timestamp,
    },
    /// The work published its progress or a partial result. Told at most four times a second for each attempt, with the
    /// latest figures. None of this is durable before the end.
    #[non_exhaustive]
    Progressed {
        /// The action.
        action: ActionRef,
        /// The action's state, as its attempt was told of it: Processing, Paused or Stopping.
        state: State,
        /// The attempt's progress.
        progress: &'a Progress,
        /// Time for which it has worked, pauses left out.
        processing: Duration,
    },
    /// A running action was paused.
    Paused {
        /// The action.
        action: ActionRef,
    },
    /// A paused action goes on.
    Resumed {
        /// The action.
        action: ActionRef,
    },
    /// A running action was asked to stop by a client. Not told of a shutdown, which changes no stored state by asking.
    Stopping {
        /// The action.
        action: ActionRef,
        /// True if it had been asked before and is forced now.
        forced: bool,
    },
    /// An action was put back into the queue: its latest attempt did not end it, or a client wants another one.
    Requeued {
        /// The action.
        action: ActionRef,
        /// The reason.
        why: Requeue<'a>,
    },
    /// The priority of a waiting action was set, perhaps to the one that it had.
    PriorityChanged {
        /// The action.
        action: ActionRef,
        /// The priority.
        priority: i32,
    },
    /// An action has come to a final state.
    #[non_exhaustive]
    Ended {
        /// The action.
        action: ActionRef,
        /// The final state.
        state: State,
        /// Way in which the attempt came to its end. None where no attempt ended here: the action was cancelled, could not
        /// be read, or was stopped before it began, or its attempt was lost with another server.
        came: Option<Came>,
        /// The time at which the attempt started; none if the action never did.
        started_at: Option<Timestamp>,
        /// The time at which the action ended.
        finished_at: Timestamp,
        /// Time for which the attempt worked, pauses left out.
        processing: Duration,
        /// The error text: any text, of any length.
        error: Option<&'a str>,
    },
    /// The end of an attempt counts for nothing, and has changed nothing.
    #[non_exhaustive]
    EndDropped {
        /// The action, with the attempt that ended.
        action: ActionRef,
        /// The reason.
        why: Dropped,
    },
    /// The queue was paused.
    QueuePaused,
    /// The queue was resumed.
    QueueResumed,
    /// The queue is full: as many actions wait as may.
    QueueFull {
        /// Number of actions that wait.
        queued: u64,
        /// Number of actions that may wait.
        limit: u64,
    },
    /// More actions wait than the [threshold](crate::QueueSettings::filling_threshold), after the queue was emptying or
    /// empty.
    QueueFilling {
        /// Number of actions that wait.
        queued: u64,
        /// Number of actions that may wait.
        limit: u64,
    },
    /// Fewer actions wait than the [threshold](crate::QueueSettings::emptying_threshold), after the queue was filling or
    /// full.
    QueueEmptying {
        /// Number of actions that wait.
        queued: u64,
        /// Number of actions that may wait.
        limit: u64,
    },
    /// No action waits any more.
    QueueEmpty,
    /// A batch of the queue was made durable.
    #[non_exhaustive]
    Committed {
        /// Number of changes in it: commands, ends, submissions and starts. Old actions that it deleted do not count.
        changes: usize,
        /// Time from its sealing to the store's answer.
        duration: Duration,
    },
}

/// The reason why an action was put back into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requeue<'a> {
    /// A shutdown or a crash interrupted its attempt.
    Interrupted,
    /// Its attempt failed, and it is to be tried again ([`QueueSettings::retry`](crate::QueueSettings::retry)).
    #[non_exhaustive]
    Failed {
        /// The error text: any text, of any length.
        error: Option<&'a str>,
        /// Time until the next attempt may start.
        after: Duration,
    },
    /// Its work was given back undone ([`Failure::Released`](crate::Failure::Released)).
    Released,
    /// It had ended in Error, and a client wants it to be tried again.
    Asked,
}

/// The reason why the end of an attempt counts for nothing. Displays as a clause, such as `the action had ended before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// Another server had taken the action over, because the lease of this one was over.
    Elsewhere,
    /// The action had ended, or was queued again, without waiting for this attempt.
    Over,
    /// There is no such action any more.
    Gone,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elsewhere => "another server had taken the action over",
            Self::Over => "the action had ended or was queued again meanwhile",
            Self::Gone => "the action is not there any more",
        })
    }
}

impl QueueEvent<'_> {
    /// Returns the interest that this event belongs to.
    #[must_use]
    pub const fn interest(&self) -> Interest {
        match self {
            Self::Queued { .. } => Interest::QUEUED,
            Self::Started { .. } => Interest::STARTED,
            Self::Progressed { .. } => Interest::PROGRESSED,
            Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::Stopping { .. }
            | Self::PriorityChanged { .. } => Interest::STEERED,
            Self::Ended { state: State::Finished, .. } => Interest::FINISHED,
            Self::Ended { .. } | Self::Requeued { .. } | Self::EndDropped { .. } => {
                Interest::UNFINISHED
            }
            Self::QueuePaused | Self::QueueResumed => Interest::QUEUE_PAUSED,
            Self::QueueFull { .. }
            | Self::QueueFilling { .. }
            | Self::QueueEmptying { .. }
            | Self::QueueEmpty => Interest::LEVEL,
            Self::Committed { .. } => Interest::COMMITTED,
        }
    }

    /// Returns the action that the event is about, or `None` if it is about the queue.
    #[must_use]
    pub const fn action(&self) -> Option<ActionRef> {
        match self {
            Self::Queued { action }
            | Self::Started { action, .. }
            | Self::Progressed { action, .. }
            | Self::Paused { action }
            | Self::Resumed { action }
            | Self::Stopping { action, .. }
            | Self::Requeued { action, .. }
            | Self::PriorityChanged { action, .. }
            | Self::EndDropped { action, .. }
            | Self::Ended { action, .. } => Some(*action),
            Self::QueuePaused
            | Self::QueueResumed
            | Self::QueueFull { .. }
            | Self::QueueFilling { .. }
            | Self::QueueEmptying { .. }
            | Self::QueueEmpty
            | Self::Committed { .. } => None,
        }
    }
}
