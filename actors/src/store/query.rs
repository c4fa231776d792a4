//! A listing: which actions, in which order, page by page.

use crate::action::{ActionId, State, Timestamp};
use crate::store::{Record, StoreError};

/// Which actions of a queue are listed, and in which order.
///
/// The default is every action, by the time it was queued, newest first. An action without the time
/// that is sorted by (one that waits has no start time) comes after all those that have it, by queue
/// time, whichever the direction. Equal times are told apart by id, in the same direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only these states.
    pub states: States,
    /// Only this priority or higher.
    pub min_priority: Option<i32>,
    /// Only this priority or lower.
    pub max_priority: Option<i32>,
    /// Only those queued in this range.
    pub queued: Range,
    /// Only those started in this range; one that never started is in none.
    pub started: Range,
    /// Only those that ended in this range; one that has not is in none.
    pub finished: Range,
    /// What they are sorted by.
    pub sort: SortKey,
    /// Whether the latest comes first.
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
            sort: SortKey::Queued,
            descending: true,
        }
    }
}

impl Query {
    /// Tells whether an action is listed.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        let started_and_finished = (record.started_at, record.finished_at);
        self.admits(record.state, record.priority, record.queued_at, started_and_finished)
    }

    /// Tells whether an action is listed of which just this is known.
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

    /// Tells whether the state is in the set.
    #[must_use]
    pub const fn contains(self, state: State) -> bool {
        self.0 & 1 << state as u8 != 0
    }

    /// Returns the states that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Goes through the states in the set.
    pub fn iter(self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(move |state| self.contains(*state))
    }
}

impl FromIterator<State> for States {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        states.into_iter().fold(Self::NONE, Self::with)
    }
}

/// A range of times; an open end is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// This time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl Range {
    /// Tells whether the range limits anything.
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

/// What a listing is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// When it was queued.
    Queued,
    /// When its latest attempt started.
    Started,
    /// When it ended.
    Finished,
}

impl SortKey {
    /// Returns the time that this key sorts by.
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

/// How far a listing has come. [`Cursor::start`] begins one; each page gives the next, made by the store.
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
    /// Number of actions that are still to be passed over.
    pub skip: u64,
    /// Whether the actions that have the sort key's time are all behind it.
    pub lacking: bool,
    /// The last action that was looked at, listed or not: the time that is sorted by (where it lacks that, its queue
    /// time) and its id.
    pub after: Option<(Timestamp, ActionId)>,
    /// The id that was looked at last, where those that are left are found one by one in the order of their ids,
    /// because an index is damaged.
    pub one_by_one: Option<u64>,
    /// Whether a page has listed something: such a listing goes before those that begin.
    pub begun: bool,
}

impl Cursor {
    /// Begins a listing with the action at this index, from 0.
    #[must_use]
    pub const fn start(index: u64) -> Self {
        Self { skip: index, lacking: false, after: None, one_by_one: None, begun: false }
    }

    /// Whether it stands at the first action of all, before anything was looked at.
    pub(crate) const fn is_start(&self) -> bool {
        self.skip == 0 && !self.lacking && self.after.is_none() && self.one_by_one.is_none()
    }
}

/// How much a page may hold.
///
/// ```
/// use actiond_actors::store::query::PageLimit;
/// assert_eq!(PageLimit::from(250), PageLimit { actions: 250, bytes: PageLimit::BYTES });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// How many actions.
    pub actions: usize,
    /// How many bytes of results and errors: an action may have megabytes of them.
    pub bytes: usize,
}

impl PageLimit {
    /// How many bytes a page may hold where nothing else is said.
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
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
    /// How many bytes of results and errors the actions have.
    pub bytes: usize,
    /// Why some actions may be missing from this page: they could not be read, and the next page goes on behind
    /// them. An action of which only the result could not be read is there, and its error says so.
    pub damage: Option<StoreError>,
    /// How many bytes the next action has, where the page ended because they did not fit. Nothing of them was read.
    pub too_large: Option<usize>,
}
