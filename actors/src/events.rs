//! What happened, for whoever wants to know: [`QueueEvent`], told to an [`Observer`].
//!
//! Metrics, handlers of events, pages that show queues live and lines of a log hang on this. A queue tells of each
//! change once it is durable, never before. Nothing is made that nobody is interested in: an event without an
//! observer costs one comparison.
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

mod unfinished;

use std::fmt;
use std::ops::BitOr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::Came;
use crate::report::Progress;
use crate::supervision::drop_quietly;
pub(crate) use unfinished::log_unfinished;
pub use unfinished::{OneLine, Unfinished};

/// Somebody who is told what happens in the queues of a system.
///
/// It is called by the thread of a queue, after the commit that made the change durable, so it must not wait: whatever
/// takes time belongs elsewhere, behind a channel. The events of one queue come one after the other, in the order in which
/// they were written: of one action, `Queued` comes before `Started`, and nothing after `Ended`. Several queues may tell at the
/// same time. A panic in an observer is logged and harms nobody else.
///
/// # What may be missing
///
/// No change is told of twice. But what became durable just before the actor of a queue died, or the server, may not be told at
/// all: the actor after it begins with what the store holds, and an end that was written is an end. Whoever must not miss
/// anything compares with [`QueueHandle::list`](crate::QueueHandle::list) after a start. Only of what a queue is
/// itself (paused, full or empty), the next actor tells what has changed since the last event. What was not written yet
/// (an end, a stop that is tried again) is told when it is. How far an attempt has come may be told again.
///
/// # Where several servers share a store
///
/// Each tells of the changes that it wrote itself: a stop is told by the server that was asked, the end by the one that ran the
/// action, and what ran on a server that is gone by the one that recovers it. Only what the queue itself is (paused, full or
/// empty) is told by each that hears of it. A start that must not begin, because others may have begun it by then, is not told;
/// nor that its action waits again.
pub trait Observer: Send + Sync + 'static {
    /// The events that it wants. Asked once, when it is added to a system.
    fn interest(&self) -> Interest;

    /// Tells it of one event in the queue of this name.
    fn on_event(&self, queue: &str, event: &QueueEvent<'_>);
}

/// Makes an observer of a closure.
pub fn observer(
    interest: Interest,
    on_event: impl Fn(&str, &QueueEvent<'_>) + Send + Sync + 'static,
) -> impl Observer {
    ByClosure { interest, on_event }
}

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

/// Which events an observer wants: one or several of these, joined by `|`.
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
    /// What clients ask of actions: `Paused`, `Resumed`, `Stopping` and `PriorityChanged`.
    pub const STEERED: Self = Self(1 << 3);
    /// `Ended` in the state Finished.
    pub const FINISHED: Self = Self(1 << 4);
    /// `Ended` in any other state, and `Requeued`.
    pub const UNFINISHED: Self = Self(1 << 5);
    /// `QueuePaused` and `QueueResumed`.
    pub const QUEUE_PAUSED: Self = Self(1 << 6);
    /// How full a queue is: `QueueFull`, `QueueFilling`, `QueueEmptying` and `QueueEmpty`.
    pub const LEVEL: Self = Self(1 << 7);
    /// `Committed`.
    pub const COMMITTED: Self = Self(1 << 8);
    /// Every end of an attempt.
    pub const ENDED: Self = Self(Self::FINISHED.0 | Self::UNFINISHED.0);
    /// All events, also those of later versions.
    pub const ALL: Self = Self(u16::MAX);

    /// Joins the two; `|` where that need not be a constant.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether this wants anything of that.
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
    /// Its id.
    pub id: ActionId,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// Its latest attempt, from 1; 0 if it never started.
    pub attempt: u32,
}

/// A change in a queue, durable when it is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum QueueEvent<'a> {
    /// An action was queued. Not of a submission that came again under its key.
    Queued {
        /// The action.
        action: ActionRef,
    },
    /// An attempt at an action was given a slot; its work begins.
    Started {
        /// The action.
        action: ActionRef,
        /// When this attempt started.
        started_at: Timestamp,
    },
    /// The work published how far it has come, or a partial result. At most four times a second for each attempt: then the
    /// latest is told. Nothing of this is durable before the end.
    Progressed {
        /// The action.
        action: ActionRef,
        /// How far it has come.
        progress: &'a Progress,
        /// How long it has worked, pauses left out.
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
    /// A running action was asked to stop. Not by a shutdown, which changes nothing that is kept.
    Stopping {
        /// The action.
        action: ActionRef,
        /// It had been asked before, and is forced now.
        forced: bool,
    },
    /// An action that a shutdown or a crash interrupted waits again.
    Requeued {
        /// The action.
        action: ActionRef,
    },
    /// A waiting action was given a priority, perhaps the one that it had.
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
        /// How the attempt came to its end. None where none ran here: the action was cancelled, could not be
        /// read, or was stopped before it began, or its attempt was lost with another server.
        came: Option<Came>,
        /// When the attempt started, unless it never did.
        started_at: Option<Timestamp>,
        /// When it ended.
        finished_at: Timestamp,
        /// How long it worked, pauses left out.
        processing: Duration,
        /// Why it failed: any text, of any length.
        error: Option<&'a str>,
    },
    /// The queue was paused.
    QueuePaused,
    /// The queue was resumed.
    QueueResumed,
    /// As many actions wait as may.
    QueueFull {
        /// How many wait.
        queued: u64,
        /// How many may wait.
        limit: u64,
    },
    /// More actions wait than the [threshold](crate::QueueSettings::filling_threshold), after the queue was emptying or
    /// empty.
    QueueFilling {
        /// How many wait.
        queued: u64,
        /// How many may wait.
        limit: u64,
    },
    /// Fewer actions wait than the [threshold](crate::QueueSettings::emptying_threshold), after the queue was filling or
    /// full.
    QueueEmptying {
        /// How many wait.
        queued: u64,
        /// How many may wait.
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

impl QueueEvent<'_> {
    /// Returns the interest that this event meets.
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
            Self::Ended { .. } | Self::Requeued { .. } => Interest::UNFINISHED,
            Self::QueuePaused | Self::QueueResumed => Interest::QUEUE_PAUSED,
            Self::QueueFull { .. }
            | Self::QueueFilling { .. }
            | Self::QueueEmptying { .. }
            | Self::QueueEmpty => Interest::LEVEL,
            Self::Committed { .. } => Interest::COMMITTED,
        }
    }

    /// Returns the action that it is about; none where it is about the queue.
    #[must_use]
    pub const fn action(&self) -> Option<ActionRef> {
        match self {
            Self::Queued { action }
            | Self::Started { action, .. }
            | Self::Progressed { action, .. }
            | Self::Paused { action }
            | Self::Resumed { action }
            | Self::Stopping { action, .. }
            | Self::Requeued { action }
            | Self::PriorityChanged { action, .. }
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

/// All observers of a system.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    /// What any of them wants.
    wanted: Interest,
    each: Vec<(Interest, Arc<dyn Observer>)>,
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Observers {
    pub(crate) fn add(&mut self, observer: Arc<dyn Observer>) {
        let interest = observer.interest();
        self.wanted = self.wanted | interest;
        self.each.push((interest, observer));
    }

    /// Tells whether anybody wants something of this: ask before an event is made.
    pub(crate) const fn want(&self, interest: Interest) -> bool {
        self.wanted.has(interest)
    }

    /// Tells those who want it.
    pub(crate) fn tell(&self, queue: &str, event: &QueueEvent<'_>) {
        let interest = event.interest();
        for (_, observer) in self.each.iter().filter(|(wanted, _)| wanted.has(interest)) {
            // Other people's code, and the actor that calls it has answers to give.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observer.on_event(queue, event))) {
                log::error!("queue {queue}: an observer of its events panicked");
                drop_quietly(panic);
            }
        }
    }
}
