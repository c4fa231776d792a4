//! An event as it is kept: the facts, without the form.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::events::{Interest, QueueEvent, Requeue};
use actiond_actors::{ActionRef, Progress, Stage, State, Summary, Timestamp};

use crate::aci::words::{find_word, list};

/// The types of events, as they are sent and as listeners name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventType {
    Queued,
    Started,
    Progress,
    Finished,
    Error,
    Cancelled,
    Stopped,
    Paused,
    Resumed,
    Queue,
    Counts,
}

impl EventType {
    pub(super) const ALL: [Self; 11] = [
        Self::Queued,
        Self::Started,
        Self::Progress,
        Self::Finished,
        Self::Error,
        Self::Cancelled,
        Self::Stopped,
        Self::Paused,
        Self::Resumed,
        Self::Queue,
        Self::Counts,
    ];

    /// Their names, in the same order.
    pub(crate) const NAMES: &'static [&'static str] = &[
        "queued",
        "started",
        "progress",
        "finished",
        "error",
        "cancelled",
        "stopped",
        "paused",
        "resumed",
        "queue",
        "counts",
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

/// The events that are kept: those of which there is a type.
pub(super) const INTEREST: Interest = Interest::QUEUED
    .and(Interest::STARTED)
    .and(Interest::PROGRESSED)
    .and(Interest::STEERED)
    .and(Interest::ENDED)
    .and(Interest::QUEUE_PAUSED)
    .and(Interest::LEVEL);

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types(u16);

impl Types {
    pub(crate) const NONE: Self = Self(0);
    /// Those of a listener that names none: all but the counts of queues, which are told again and again.
    pub(crate) const USUAL: Self = Self((1 << EventType::Counts as u16) - 1);

    /// Adds the types of a list with commas between their names, in any case.
    ///
    /// # Errors
    ///
    /// The first word that names no type.
    pub(crate) fn with(self, names: &str) -> Result<Self, &str> {
        list(names).try_fold(self, |types, word| {
            let name = find_word(EventType::NAMES, word).ok_or(word)?;
            let found = EventType::ALL.into_iter().find(|event_type| event_type.name() == name);
            Ok(Self(types.0 | found.map_or(0, |event_type| 1 << event_type as u16)))
        })
    }

    /// Returns these and one more.
    pub(super) const fn and(self, event_type: EventType) -> Self {
        Self(self.0 | 1 << event_type as u16)
    }

    /// Returns true if the two have a type in common.
    pub(super) const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn has(self, event_type: EventType) -> bool {
        self.0 & (1 << event_type as u16) != 0
    }
}

/// Largest number of bytes of an error text that are kept.
const MAX_ERROR: usize = 4_096;

/// Largest number of bytes of stages that are kept; of more only the percentage.
const MAX_STAGES: usize = 8_192;

/// Estimate of the bytes of an event beside its texts, with its form.
const BASE_BYTES: usize = 600;

/// An event.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) event_type: EventType,
    pub(crate) queue: Arc<str>,
    /// The action; none if it is about the queue.
    pub(crate) action: Option<ActionRef>,
    pub(crate) facts: Facts,
}

/// The facts that an event tells beside that.
#[derive(Debug)]
pub(crate) enum Facts {
    Queued,
    /// Queued again.
    Requeued {
        cause: &'static str,
        error: Option<Box<str>>,
        after: Option<Duration>,
    },
    Started {
        at: Timestamp,
    },
    Progress {
        state: State,
        progress: Box<Progress>,
        processing: Duration,
    },
    /// Paused, or resumed.
    Is(State),
    Ended(Box<End>),
    Queue {
        change: &'static str,
        /// Number of actions that wait, and that may.
        waiting: Option<(u64, u64)>,
    },
    Counts(Box<Summary>),
}

/// The end of an action.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) state: State,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
    pub(crate) processing: Duration,
    pub(crate) error: Option<Box<str>>,
}

impl Told {
    /// Copies the facts of an event; of some no listener is told.
    pub(super) fn of(queue: &str, event: &QueueEvent<'_>) -> Option<Self> {
        let at_level = |change, queued, limit| {
            Some((EventType::Queue, Facts::Queue { change, waiting: Some((queued, limit)) }))
        };
        let changed = |change| Some((EventType::Queue, Facts::Queue { change, waiting: None }));
        let (event_type, facts) = match *event {
            QueueEvent::Queued { .. } => Some((EventType::Queued, Facts::Queued)),
            QueueEvent::Requeued { why, .. } => Some((EventType::Queued, requeued(why))),
            QueueEvent::Started { started_at, .. } => {
                Some((EventType::Started, Facts::Started { at: started_at }))
            }
            QueueEvent::Progressed { state, progress, processing, .. } => {
                let progress = Box::new(bounded(progress));
                Some((EventType::Progress, Facts::Progress { state, progress, processing }))
            }
            QueueEvent::Paused { .. } => Some((EventType::Paused, Facts::Is(State::Paused))),
            QueueEvent::Resumed { .. } => Some((EventType::Resumed, Facts::Is(State::Processing))),
            QueueEvent::Ended { state, started_at, finished_at, processing, error, .. } => {
                let error = error.map(cut);
                let end = End { state, started_at, finished_at, processing, error };
                Some((type_of_end(state)?, Facts::Ended(Box::new(end))))
            }
            QueueEvent::QueuePaused => changed("paused"),
            QueueEvent::QueueResumed => changed("resumed"),
            QueueEvent::QueueFull { queued, limit } => at_level("full", queued, limit),
            QueueEvent::QueueFilling { queued, limit } => at_level("filling", queued, limit),
            QueueEvent::QueueEmptying { queued, limit } => at_level("emptying", queued, limit),
            QueueEvent::QueueEmpty => changed("empty"),
            _ => None,
        }?;
        Some(Self { event_type, queue: queue.into(), action: event.action(), facts })
    }

    /// Tells how the actions of a queue stand.
    pub(super) fn counts(queue: &str, summary: Summary) -> Self {
        let facts = Facts::Counts(Box::new(summary));
        Self { event_type: EventType::Counts, queue: queue.into(), action: None, facts }
    }

    /// Returns the id and the queue time of the action, if it is about one.
    pub(super) fn key(&self) -> Option<(u64, i64)> {
        self.action.map(|ActionRef { id, queued_at, .. }| (id.get(), queued_at.millis()))
    }

    /// Returns an estimate of the bytes that it takes, with its form.
    pub(super) fn byte_len(&self) -> usize {
        // Once as it is kept, and once in its form.
        let texts = match &self.facts {
            Facts::Requeued { error, .. } => error.as_ref().map_or(0, |error| error.len()),
            Facts::Ended(end) => end.error.as_ref().map_or(0, |error| error.len()),
            Facts::Progress { progress, .. } => bytes_of(&progress.stages, usize::MAX),
            Facts::Queued
            | Facts::Started { .. }
            | Facts::Is(_)
            | Facts::Queue { .. }
            | Facts::Counts(_) => 0,
        };
        BASE_BYTES.saturating_add(texts.saturating_mul(2))
    }
}

const fn type_of_end(state: State) -> Option<EventType> {
    match state {
        State::Finished => Some(EventType::Finished),
        State::Error => Some(EventType::Error),
        State::Cancelled => Some(EventType::Cancelled),
        State::Stopped => Some(EventType::Stopped),
        _ => None,
    }
}

fn requeued(why: Requeue<'_>) -> Facts {
    let only = |cause| Facts::Requeued { cause, error: None, after: None };
    match why {
        Requeue::Interrupted => only("interrupted"),
        Requeue::Failed { error, after, .. } => {
            Facts::Requeued { cause: "failed", error: error.map(cut), after: Some(after) }
        }
        Requeue::Released => only("released"),
        Requeue::Asked => only("asked"),
        // One that this version does not know.
        _ => only("other"),
    }
}

/// Returns the beginning of an error text.
pub(super) fn cut(error: &str) -> Box<str> {
    if error.len() <= MAX_ERROR {
        return error.into();
    }
    let end = error.floor_char_boundary(MAX_ERROR);
    format!("{}...", error.get(..end).unwrap_or_default()).into()
}

/// Returns a progress without its stages if these are large.
pub(super) fn bounded(progress: &Progress) -> Progress {
    if bytes_of(&progress.stages, MAX_STAGES) <= MAX_STAGES {
        return progress.clone();
    }
    let mut bounded = Progress::of_percent(progress.percent());
    bounded.measuring = progress.measuring;
    bounded
}

/// Estimate of the bytes of a stage in its form, beside its title.
const STAGE_BYTES: usize = 120;

/// Returns an estimate of the bytes of stages, counted no further than beyond `most`.
fn bytes_of(stages: &[Stage], most: usize) -> usize {
    let mut bytes = 0_usize;
    for stage in stages {
        bytes = bytes.saturating_add(STAGE_BYTES).saturating_add(stage.title.len());
        if bytes > most {
            break;
        }
        bytes = bytes.saturating_add(bytes_of(&stage.stages, most.saturating_sub(bytes)));
    }
    bytes
}
