//! Moving all that one store holds into a store of the other kind: from SQLite to PostgreSQL, or back.
//!
//! [`migrate`] copies page by page, each with a mark in the same transaction that says how far it has come, so that a move
//! that was interrupted goes on there. The events for handlers follow, which are few: of them it begins anew. Until all is copied and compared, no server can open the target. What stands between
//! the two is a neutral row (`Moved`): what is read from either side is compared as that.
//!
//! Ids and queue times stay as they are, for tokens hold them. What a store keeps of an action beside that, and the other one
//! does not, means nothing any more, such as the failures of an action that has ended. One thing is lost on the way to SQLite:
//! the sites that took and ran the actions.
//!
//! - the way from one side to the other: `copy`; what is compared, and what is told of it: `outcome`;
//! - the two sides: `sqlite::moving` and `postgres::moving`.

mod copy;
mod outcome;

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::postgres::Connect;
use super::{QueueId, ScheduleState, StoreError};
use crate::action::State;
pub use copy::migrate;
pub use outcome::{Counted, Outcome, QueueOutcome};

/// Maximum number of actions in a page.
pub(in crate::store) const PAGE_ROWS: usize = 1_000;

/// Number of bytes of parameters, results and errors after which a page ends. One action may have more.
pub(in crate::store) const PAGE_BYTES: usize = 8 << 20;

/// The state number of an action that is queued and may not start before its `not_before`.
pub(in crate::store) const DEFERRED: i16 = 8;

/// Number of states, with [`DEFERRED`] as one of its own.
pub(in crate::store) const STATES: usize = State::ALL.len() + 1;
const _: () = assert!(STATES == DEFERRED as usize + 1);

/// Returns true for the number of a final state.
pub(in crate::store) fn is_final(state: i16) -> bool {
    let known = usize::try_from(state).ok().and_then(|number| State::ALL.get(number));
    known.is_some_and(|state| state.is_final())
}

/// A place in which a store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// SQLite's, in this data directory.
    Directory(PathBuf),
    /// PostgreSQL's.
    Schema {
        /// The way to the database.
        connect: Connect,
        /// The name of the schema.
        name: String,
    },
}

/// A step of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Actions are copied.
    Copy,
    /// Both sides are read and compared.
    Compare,
}

/// The progress of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moving {
    /// The present step.
    pub step: Step,
    /// Number of actions for which it is done.
    pub done: u64,
    /// Number of actions for which it is to be done.
    pub of: u64,
}

/// The reason for which nothing was moved, or not all.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Both places are of the same kind.
    #[error("one of them must be a directory and the other a database")]
    SameKind,
    /// A side can't be used.
    #[error("{place}: {fault}")]
    Side {
        /// The side.
        place: String,
        /// The reason.
        fault: Fault,
    },
    /// Both sides were read, and the target holds something else than the source. The target is still closed to servers.
    #[error("the target differs from the source")]
    Differs(Box<Outcome>),
}

/// A reason why a side can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store can't be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is no store.
    #[error("there are no actions of actiond's")]
    Missing,
    /// Servers have it open.
    #[error("it is in use by {0}")]
    InUse(String),
    /// The target holds something.
    #[error(
        "it holds actions or events already; a move needs a target that is empty, or that an interrupted move from the same place has begun to fill"
    )]
    NotEmpty,
    /// The target holds a part of something else.
    #[error("it holds a part of what was being moved from {0}; delete it to begin anew")]
    OtherSource(String),
}

impl Fault {
    fn at(self, place: &str) -> MoveError {
        MoveError::Side { place: place.to_owned(), fault: self }
    }
}

/// An action with all that is kept of it. Texts are bytes, and JSON is not read: it arrives as it was, even if damaged.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Moved {
    pub(in crate::store) id: i64,
    /// The place of its queue in [`Outline::queues`].
    pub(in crate::store) queue: usize,
    pub(in crate::store) state: i16,
    pub(in crate::store) priority: i32,
    pub(in crate::store) attempt: i32,
    pub(in crate::store) failures: i32,
    pub(in crate::store) restarts: i32,
    pub(in crate::store) queued_at: i64,
    pub(in crate::store) started_at: Option<i64>,
    pub(in crate::store) finished_at: Option<i64>,
    pub(in crate::store) not_before: Option<i64>,
    pub(in crate::store) processing_ms: i64,
    pub(in crate::store) percent: f64,
    pub(in crate::store) worker: Option<Vec<u8>>,
    pub(in crate::store) error: Option<Vec<u8>>,
    pub(in crate::store) note: Option<Vec<u8>>,
    pub(in crate::store) key: Option<Vec<u8>>,
    /// Empty if they were not kept when it ended.
    pub(in crate::store) parameters: Vec<u8>,
    pub(in crate::store) report: Option<Vec<u8>>,
    pub(in crate::store) action_id: Option<Vec<u8>>,
    pub(in crate::store) origin: Option<Vec<u8>>,
    pub(in crate::store) past: Vec<Past>,
}

/// A past attempt of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Past {
    pub(in crate::store) attempt: i32,
    pub(in crate::store) started_at: i64,
    pub(in crate::store) ended_at: i64,
    pub(in crate::store) ended: Option<String>,
    pub(in crate::store) worker: Option<Vec<u8>>,
    pub(in crate::store) error: Option<Vec<u8>>,
}

impl Moved {
    /// Returns the number of bytes of what may be long.
    pub(in crate::store) fn bytes(&self) -> usize {
        let length = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
        self.parameters.len() + length(&self.report) + length(&self.error) + length(&self.note)
    }

    /// Forgets what means nothing in its state, and what therefore not every store keeps.
    pub(in crate::store) fn forget_the_meaningless(&mut self) {
        if is_final(self.state) {
            (self.failures, self.restarts) = (0, 0);
            (self.not_before, self.note) = (None, None);
        } else {
            (self.finished_at, self.report) = (None, None);
            (self.processing_ms, self.percent) = (0, 0.0);
        }
    }
}

/// An event for a handler, with all that is kept of it: as [`Moved`].
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct MovedEvent {
    pub(in crate::store) id: i64,
    /// The place of its handler in [`Outline::handlers`].
    pub(in crate::store) handler: usize,
    pub(in crate::store) kind: i16,
    pub(in crate::store) at: i64,
    /// The place of its queue in [`Outline::queues`].
    pub(in crate::store) queue: usize,
    pub(in crate::store) level: Option<Vec<u8>>,
    pub(in crate::store) action: Option<i64>,
    pub(in crate::store) state: Option<i16>,
    pub(in crate::store) priority: Option<i32>,
    pub(in crate::store) attempt: Option<i32>,
    pub(in crate::store) queued_at: Option<i64>,
    pub(in crate::store) started_at: Option<i64>,
    pub(in crate::store) finished_at: Option<i64>,
    pub(in crate::store) processing_ms: Option<i64>,
    pub(in crate::store) percent: Option<f64>,
    pub(in crate::store) not_before: Option<i64>,
    pub(in crate::store) worker: Option<Vec<u8>>,
    pub(in crate::store) origin: Option<Vec<u8>>,
    pub(in crate::store) error: Option<Vec<u8>>,
    pub(in crate::store) report: Option<Vec<u8>>,
    pub(in crate::store) failure: Option<FailedDelivery>,
}

/// The last attempt to deliver an event that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct FailedDelivery {
    pub(in crate::store) at: i64,
    pub(in crate::store) attempts: i32,
    pub(in crate::store) error: Vec<u8>,
}

impl MovedEvent {
    /// Returns the number of bytes of what may be long.
    pub(in crate::store) fn bytes(&self) -> usize {
        let length = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
        length(&self.error) + length(&self.report)
    }
}

/// The queues and handlers of a store, in the order of their names in lower case, and the highest numbers that it has given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Outline {
    pub(in crate::store) queues: Vec<QueueOutline>,
    pub(in crate::store) handlers: Vec<HandlerOutline>,
    pub(in crate::store) last_id: i64,
    pub(in crate::store) last_event: i64,
    /// In the order of their names in lower case. The queues of their last actions are places among the queues.
    pub(in crate::store) schedules: Vec<ScheduleState>,
}

/// A handler of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct HandlerOutline {
    pub(in crate::store) name: String,
    /// Number of events that were dropped undelivered.
    pub(in crate::store) dropped: i64,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct QueueOutline {
    pub(in crate::store) name: String,
    pub(in crate::store) paused: bool,
    /// The number of its actions by state, as the store has counted them.
    pub(in crate::store) counts: [u64; STATES],
}

impl QueueOutline {
    /// Makes it of counts in which deferred actions are among the queued ones.
    pub(in crate::store) fn new(
        name: String,
        paused: bool,
        counts: &super::Counts,
        deferred: u64,
    ) -> Self {
        let mut by_state = [0; STATES];
        for (count, state) in by_state.iter_mut().zip(State::ALL) {
            *count = counts.of(state);
        }
        let [queued, .., last] = &mut by_state;
        *queued = queued.saturating_sub(deferred);
        *last = deferred;
        Self { name, paused, counts: by_state }
    }
}

impl Outline {
    /// Puts places in `queues`, which are the numbers of queues in a store, in the place of those in schedules. A last action of
    /// a queue that is not there is forgotten.
    pub(in crate::store) fn schedules_from(
        mut schedules: Vec<ScheduleState>,
        queues: &[i64],
    ) -> Vec<ScheduleState> {
        for schedule in &mut schedules {
            schedule.last = schedule.last.take().and_then(|mut last| {
                let place = queues.iter().position(|queue| *queue == last.queue.0)?;
                last.queue = QueueId(i64::try_from(place).ok()?);
                Some(last)
            });
        }
        schedules
    }

    /// Returns the schedules for a store in which the queues have these numbers.
    pub(in crate::store) fn schedules_for(&self, queues: &[i64]) -> Vec<ScheduleState> {
        let mut schedules = self.schedules.clone();
        for schedule in &mut schedules {
            schedule.last = schedule.last.take().and_then(|mut last| {
                let place = usize::try_from(last.queue.0).ok()?;
                last.queue = QueueId(*queues.get(place)?);
                Some(last)
            });
        }
        schedules
    }

    /// Returns the number of actions.
    fn actions(&self) -> u64 {
        self.queues.iter().flat_map(|queue| &queue.counts).sum()
    }

    /// Returns a text that is another one if servers have worked on it since. Not for every change, such as a priority: all rows
    /// are compared at the end.
    fn content(&self) -> String {
        Sha256::digest(format!("{self:?}")).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The source of a move, as the target remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Mark {
    /// The place of the source.
    pub(in crate::store) source: String,
    /// Its content: see [`Outline::content`].
    pub(in crate::store) content: String,
}

/// A place between two actions of a store, in the order in which it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Cursor {
    /// A part of the store that is read by id.
    pub(in crate::store) part: i32,
    /// The last id before this place.
    pub(in crate::store) after: i64,
}

impl Cursor {
    pub(in crate::store) const START: Self = Self { part: 0, after: 0 };
    /// Behind everything.
    pub(in crate::store) const END: Self = Self { part: i32::MAX, after: 0 };

    /// Returns the place of the handler of a part of the events, and whether the part is of those that have failed.
    pub(in crate::store) fn handler(self) -> (usize, bool) {
        (usize::try_from(self.part / 2).unwrap_or(usize::MAX), self.part % 2 == 1)
    }

    /// Returns the beginning of the next part.
    pub(in crate::store) const fn next_part(self) -> Self {
        Self { part: self.part.saturating_add(1), after: 0 }
    }
}

/// Events in the order of a store, handler by handler, and the place behind them if there may be more.
#[derive(Debug)]
pub(in crate::store) struct EventPage {
    pub(in crate::store) rows: Vec<MovedEvent>,
    pub(in crate::store) next: Option<Cursor>,
}

/// Actions in the order of a store, and the place behind them if there may be more.
#[derive(Debug)]
pub(in crate::store) struct Page {
    pub(in crate::store) rows: Vec<Moved>,
    pub(in crate::store) next: Option<Cursor>,
}

/// The progress of an interrupted move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Begun {
    pub(in crate::store) next: Cursor,
    /// Number of actions that are there.
    pub(in crate::store) done: u64,
}

impl Begun {
    pub(in crate::store) const NOTHING: Self = Self { next: Cursor::START, done: 0 };
}

/// A side of a move: a store that no server has open.
pub(in crate::store) trait Side {
    /// Says where it is.
    fn place(&self) -> String;

    /// Reads the queues. Called before pages are read, and after [`Side::begin`].
    async fn outline(&mut self) -> Result<Outline, Fault>;

    /// Reads the actions from a place on.
    async fn page(&mut self, from: Cursor) -> Result<Page, Fault>;

    /// Reads the events from a place on. The parts of places are those of [`Cursor::handler`].
    async fn events(&mut self, from: Cursor) -> Result<EventPage, Fault>;

    /// Counts the keys by which submissions are recognised.
    async fn keys(&mut self) -> Result<u64, Fault>;

    /// Makes it a target: closes it to servers, creates the queues, and marks it. Or finds how far it was filled from this source;
    /// it is emptied if that holds something else by now.
    async fn begin(&mut self, mark: &Mark, outline: &Outline) -> Result<Begun, Fault>;

    /// Writes a page, and marks it as filled up to a place.
    async fn write(&mut self, page: &[Moved], next: Cursor) -> Result<(), Fault>;

    /// Deletes all events: those of an interrupted move are written again.
    async fn clear_events(&mut self) -> Result<(), Fault>;

    /// Writes events.
    async fn write_events(&mut self, page: &[MovedEvent]) -> Result<(), Fault>;

    /// Writes what follows from the rows: counts, and the next numbers.
    async fn complete(&mut self, outline: &Outline) -> Result<(), Fault>;

    /// Has it emptied by the next move into it.
    async fn spoil(&mut self) -> Result<(), Fault>;

    /// Opens it to servers.
    async fn release(&mut self) -> Result<(), Fault>;

    /// Returns the hosts and ports in the tokens of the actions that were read, if it knows them.
    async fn sites(&mut self) -> Result<Vec<(String, u16)>, Fault>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{ActionId, Timestamp};
    use crate::store::LastScheduled;

    #[test]
    fn the_last_action_of_a_schedule_finds_its_queue_on_the_other_side() {
        let with_last = |queue| {
            let new = ScheduleState::new("Nightly".to_owned(), Timestamp(1), None);
            let (due, queue) = (Timestamp(2), QueueId(queue));
            let last = ActionId::new(3).map(|id| LastScheduled { due, queue, id });
            ScheduleState { last, ..new }
        };
        let queues = Vec::new();
        let schedules = Outline::schedules_from(vec![with_last(7), with_last(8)], &[5, 7]);
        assert_eq!(schedules[0], with_last(1));
        assert_eq!(schedules[1].last, None, "its queue is not there");
        let outline =
            Outline { queues, handlers: Vec::new(), schedules, last_id: 3, last_event: 0 };
        assert_eq!(outline.schedules_for(&[40, 41])[0], with_last(41));
    }
}
