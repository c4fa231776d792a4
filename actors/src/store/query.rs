//! Listings: filters, order, and pages.

mod details;

use std::sync::Arc;

use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::store::{Record, StoreError};
pub use details::Details;

/// Filter and order of a listing.
///
/// The default lists every action, by queue time, newest first. Actions that lack the time of the sort key
/// (one that waits has no start time) come after all others, by queue time, in either direction.
/// Actions of equal time are sorted by id, in the same direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The states that are listed.
    pub states: States,
    /// The lowest priority that is listed.
    pub min_priority: Option<i32>,
    /// The highest priority that is listed.
    pub max_priority: Option<i32>,
    /// Range of the queue time.
    pub queued: Range,
    /// Range of the start time. An action without one is in no limited range.
    pub started: Range,
    /// Range of the time of the end. An action without one is in no limited range.
    pub finished: Range,
    /// Conditions on its parameters, its name and its error; `None` = none. A store may have to look at each action for this.
    pub details: Option<Arc<Details>>,
    /// The time by which actions are sorted.
    pub sort: SortKey,
    /// True if the latest comes first.
    pub descending: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            states: States::ALL,
            min_priority: None,
            max_priority: None,
            queued: Range::default(),
            started: Range::default(),
            finished: Range::default(),
            details: None,
            sort: SortKey::Queued,
            descending: true,
        }
    }
}

impl Query {
    /// Returns true if the action with these parameters, if they are kept, is listed.
    #[must_use]
    pub fn matches(&self, record: &Record, given: Option<&Parameters>) -> bool {
        let admit = |details: &Arc<Details>| {
            details.admit_origin(record.origin.as_deref())
                && details.admit_error(record.error.as_deref())
                && details.admit_parameters(given)
        };
        self.still_matches(record) && self.details.as_ref().is_none_or(admit)
    }

    /// Returns true if an action that was listed before still is, by all but [`Query::details`]: they may be large, and most of
    /// them never change.
    #[must_use]
    pub fn still_matches(&self, record: &Record) -> bool {
        let started_and_finished = (record.started_at, record.finished_at);
        self.admits(record.state, record.priority, record.queued_at, started_and_finished)
    }

    /// Returns true if an action with these columns is listed.
    pub(crate) fn admits(
        &self,
        state: State,
        priority: i32,
        queued_at: Timestamp,
        (started_at, finished_at): (Option<Timestamp>, Option<Timestamp>),
    ) -> bool {
        self.states.contains(state)
            && self.min_priority.is_none_or(|min| priority >= min)
            && self.max_priority.is_none_or(|max| priority <= max)
            && self.queued.contains(Some(queued_at))
            && self.started.contains(started_at)
            && self.finished.contains(finished_at)
    }
}

/// A set of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States(u8);

impl States {
    /// Every state.
    pub const ALL: Self = Self(u8::MAX);
    /// No state.
    pub const NONE: Self = Self(0);

    /// Returns the set with one more state.
    #[must_use]
    pub const fn with(self, state: State) -> Self {
        Self(self.0 | 1 << state as u8)
    }

    /// Returns true if the state is in the set.
    #[must_use]
    pub const fn contains(self, state: State) -> bool {
        self.0 & 1 << state as u8 != 0
    }

    /// Returns the states that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Iterates over the states in the set.
    pub fn iter(self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(move |state| self.contains(*state))
    }
}

impl FromIterator<State> for States {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        states.into_iter().fold(Self::NONE, Self::with)
    }
}

/// A range of times; a missing end is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The earliest time in the range.
    pub from: Option<Timestamp>,
    /// The first time after the range.
    pub until: Option<Timestamp>,
}

impl Range {
    /// Returns true if the range has no limits.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    fn contains(&self, time: Option<Timestamp>) -> bool {
        match time {
            None => self.is_open(),
            Some(time) => {
                self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|u| time < u)
            }
        }
    }
}

/// The time by which a listing is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// Time when the action was queued.
    Queued,
    /// Time when its latest attempt started.
    Started,
    /// Time when it ended.
    Finished,
}

impl SortKey {
    /// Returns the action's time for this key.
    #[must_use]
    pub fn time_of(self, record: &Record) -> Option<Timestamp> {
        match self {
            Self::Queued => Some(record.queued_at),
            Self::Started => record.started_at,
            Self::Finished => record.finished_at,
        }
    }

    /// Returns the states in which an action lacks this time.
    #[must_use]
    pub fn lacking(self) -> States {
        match self {
            Self::Queued => States::NONE,
            Self::Started => States::NONE.with(State::Queued).with(State::Cancelled),
            Self::Finished => State::ALL.into_iter().filter(|s| !s.is_final()).collect(),
        }
    }
}

/// Position in a listing. [`Cursor::start`] begins one; each page has the next, made by the store.
///
/// ```
/// use actiond_actors::store::query::Cursor;
/// use actiond_actors::{ActionId, Timestamp};
/// let first = Cursor::start(7);
/// let last = (Timestamp(5), ActionId::new(3).expect("an id"));
/// assert_ne!(Cursor { skip: 0, after: Some(last), ..first }, first);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Number of matching actions that are still to be skipped.
    pub skip: u64,
    /// True once all actions that have the sort key's time are done, and those that lack it follow.
    pub lacking: bool,
    /// Key of the last action that was examined, listed or not: the sort key's time (or the queue time if it lacks
    /// that) and the id.
    pub after: Option<(Timestamp, ActionId)>,
    /// The last id that was examined, if the listing goes on by id, one row at a time, because an index is damaged.
    pub one_by_one: Option<u64>,
    /// True once a page has listed something. A store may schedule such a listing apart from those that begin.
    pub begun: bool,
}

impl Cursor {
    /// Makes the cursor of a listing that begins with the action at this index, from 0.
    #[must_use]
    pub const fn start(index: u64) -> Self {
        Self { skip: index, lacking: false, after: None, one_by_one: None, begun: false }
    }

    /// Returns true if it is at the first action of all, before any was examined.
    pub(crate) const fn is_start(&self) -> bool {
        self.skip == 0 && !self.lacking && self.after.is_none() && self.one_by_one.is_none()
    }
}

/// The ids of one page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPage {
    /// The ids, in order.
    pub ids: Vec<ActionId>,
    /// Start of the next page; `None` after the last.
    pub next: Option<Cursor>,
}

/// Maximum size of a page.
///
/// ```
/// use actiond_actors::store::query::PageLimit;
/// assert_eq!(PageLimit::from(250), PageLimit { actions: 250, bytes: PageLimit::BYTES });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Maximum number of actions.
    pub actions: usize,
    /// Maximum number of bytes of their results and errors: one action may have megabytes of them.
    pub bytes: usize,
}

impl PageLimit {
    /// Default of the maximum number of bytes.
    pub const BYTES: usize = 256 * 1024;
}

impl From<usize> for PageLimit {
    fn from(actions: usize) -> Self {
        Self { actions, bytes: Self::BYTES }
    }
}

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// The actions, in order.
    pub records: Vec<Record>,
    /// Start of the next page; `None` after the last.
    pub next: Option<Cursor>,
    /// Number of bytes of the actions' results and errors.
    pub bytes: usize,
    /// Read error because of which actions may be missing from this page; the next page goes on after them. An action
    /// of which only the result could not be read is listed, and its error text says so.
    pub damage: Option<StoreError>,
    /// Number of bytes of the next action, if the page ended because they did not fit. They were not read.
    pub too_large: Option<usize>,
}
