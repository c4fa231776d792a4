//! What a store must do for the queues: take batches of changes, and answer reads.
//!
//! - the changes and their answers: this file;
//! - listing with filters, sort keys and pages: [`query`];
//! - the embedded store, one SQLite file: [`sqlite`];
//! - the suite that every store must pass: `conformance` (feature `testing`).
//!
//! A store repeats no rule about states: for each change it reads the row, asks
//! [`crate::lifecycle::decide`] and writes what that says.

#[cfg(feature = "testing")]
pub mod conformance;
pub mod query;
mod shown;
pub mod sqlite;
mod within;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::key::SubmissionKey;
use crate::lifecycle::{Came, Command, Ended, OnRestart, Refusal, Verdict};
use crate::report::{Report, Written};
use query::{Cursor, Page, PageLimit, Query};
pub use within::RecordWithin;

/// A queue's number within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub i64);

/// Keeps actions. Its methods answer from another thread, or at once where that takes microseconds:
/// they never hold up the caller for long.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Finds or makes the queue of this name (case does not matter).
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>>;

    /// Seals a batch when its turn comes and applies it as one transaction: controls in their order, then
    /// submissions, then claims. Batches are sealed in the order in which they were enlisted. Several that wait
    /// may be sealed and written together; they are answered before any other is sealed.
    ///
    /// Once it answers `Ok`, every accepted change in it survives a crash. If the submissions fail
    /// where the rest can be kept (a full disk), only they are left out and say so themselves.
    fn enlist(&self, seal: Seal);

    /// Applies a batch that is sealed already: see [`Store::enlist`].
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<BatchReply, StoreError>> {
        let (reply, answer) = oneshot::channel();
        // A caller that has gone needs no answer.
        let answered = move |answer| drop(reply.send(answer));
        self.enlist(Box::new(move || (batch, Box::new(answered))));
        answer.map(|answer| answer.unwrap_or(Err(StoreError::Closed))).boxed()
    }

    /// Reads whether a queue is paused and how many actions it has: as true as [`Store::record`].
    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>>;

    /// Reads one action of a queue, with its place in the queue while it waits.
    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>>;

    /// Reads what one action of a queue was given.
    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>>;

    /// Reads one action as [`Store::record`] does, but its error and its result only where they have at most `most` bytes
    /// together, as they are stored; else how many they have.
    ///
    /// A store that reads all of an action at once need not provide it.
    fn record_within(
        &self,
        queue: QueueId,
        id: ActionId,
        most: usize,
    ) -> BoxFuture<'static, Result<Option<RecordWithin>, StoreError>> {
        let record = self.record(queue, id);
        record.map(move |read| Ok(read?.map(|record| RecordWithin::of(record, most)))).boxed()
    }

    /// Reads what one action of a queue was given as [`Store::parameters`] does, if it has at most `most` bytes, as it is
    /// stored; else how many it has.
    ///
    /// A store that reads all of it at once need not provide it.
    fn parameters_within(
        &self,
        queue: QueueId,
        id: ActionId,
        most: usize,
    ) -> BoxFuture<'static, Result<Option<Result<Parameters, usize>>, StoreError>> {
        let within = move |given: Parameters| match given.byte_len() {
            bytes if bytes > most => Err(bytes),
            _ => Ok(given),
        };
        self.parameters(queue, id).map(move |read| Ok(read?.map(within))).boxed()
    }

    /// Reads the next page of a listing (each page is its own snapshot): never more than `limit` allows.
    /// A store that has passed over many actions without finding enough answers with what it has, which
    /// may be nothing: only [`Page::next`] tells if there may be more. Each page comes nearer to the end,
    /// unless the next action alone does not fit ([`Page::too_large`]).
    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>>;

    /// Writes out what is still buffered, and ends the store's threads once all its work is done.
    fn close(&self) -> BoxFuture<'static, ()>;

    /// Says in one word what an acknowledgement means: `full` (on disk) or `normal` (safe against a
    /// crash of the process, not of the machine).
    fn durability(&self) -> &'static str;
}

/// Seals a batch, so that what arrives until its turn comes goes with it. Called once, when the store begins
/// with the batch or can't come to it any more; it must not wait.
pub type Seal = Box<dyn FnOnce() -> (Batch, Answer) + Send>;

/// Takes the answer to a batch. Called once; it must not wait.
pub type Answer = Box<dyn FnOnce(Result<BatchReply, StoreError>) + Send>;

/// Why the store could not do what it was asked. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full, or the quota on it, or a file may become no larger.
    #[error("the disk that holds the actions is full, or lets its files grow no further")]
    Full,
    /// The database file is damaged or is no database of ours.
    #[error("the action database {path} is damaged or is not one of actiond's: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
    /// The database was written by a newer version.
    #[error("the action database {path} has format {found}, this version reads up to {known}")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// Another server uses the data directory.
    #[error("the data directory {path} is in use by another server{owner}")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it, where known, as ` (process 123)`.
        owner: String,
    },
    /// Reading or writing failed.
    #[error("the action database can't be read or written: {0}")]
    Io(String),
    /// The store was closed.
    #[error("the action database is closed")]
    Closed,
}

/// A queue as the store knows it when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Its number.
    pub id: QueueId,
    /// Whether it is paused.
    pub paused: bool,
    /// How many actions it has in each state.
    pub counts: Counts,
}

/// How many actions of a queue are in each state. Shown as those that there are, `2 Queued, 1 Processing` for example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; State::ALL.len()]);

impl Counts {
    /// Returns the number in one state.
    #[must_use]
    pub fn of(&self, state: State) -> u64 {
        self.0.get(state as usize).copied().unwrap_or_default()
    }

    /// Returns the number that wait.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.of(State::Queued)
    }

    /// Returns the number that hold a slot.
    #[must_use]
    pub fn running(&self) -> u64 {
        State::ALL.into_iter().filter(|s| s.is_running()).map(|s| self.of(s)).sum()
    }

    /// Returns the number that have ended, however.
    #[must_use]
    pub fn finished(&self) -> u64 {
        State::ALL.into_iter().filter(|s| s.is_final()).map(|s| self.of(s)).sum()
    }

    pub(crate) fn add(&mut self, state: State, number: u64) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count = count.saturating_add(number);
        }
    }

    pub(crate) fn take(&mut self, state: State) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = State::ALL.into_iter().map(|state| (state, self.of(state)));
        let mut any = false;
        for (state, number) in counted.filter(|(_, number)| *number > 0) {
            let before = if any { ", " } else { "" };
            write!(f, "{before}{number} {state}")?;
            any = true;
        }
        if any { Ok(()) } else { f.write_str("no actions") }
    }
}

/// Changes that one queue wants to make in one transaction.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Whose changes these are.
    pub queue: QueueId,
    /// When the batch was sealed: the time of every change in it but the submissions.
    pub now: Timestamp,
    /// Commands and ends of attempts, in order of arrival; they never wait behind submissions.
    pub controls: Vec<Control>,
    /// New actions, in order of arrival.
    pub submissions: Vec<NewAction>,
    /// How many actions may start: the free slots once the controls are through.
    pub claim: usize,
    /// At how many waiting actions a submission is refused; `None` = no limit.
    pub max_queued: Option<u64>,
    /// Which old final actions may go.
    pub retention: Retention,
}

/// Which final actions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// At most this many; `None` = all. Those go first that ended first; while one is there that ended
    /// later than the batch's `now`, because the clock was set back, those that were submitted first.
    pub max_finished: Option<u64>,
    /// Only those that ended after this; `None` = all.
    pub finished_after: Option<Timestamp>,
}

/// One change to actions that exist.
#[derive(Debug, Clone)]
pub enum Control {
    /// A client's command to one action ([`Command::ReadParameters`] and [`Command::Duplicate`] are
    /// none: one reads, the other submits).
    Command {
        /// The action.
        id: ActionId,
        /// What is asked of it.
        command: Command,
    },
    /// An attempt has ended.
    End(Arc<AttemptEnd>),
    /// Pause the queue: nothing starts any more; running actions pause where they can.
    PauseQueue {
        /// Whether this kind of action can pause.
        supported: bool,
    },
    /// Undo that, and resume every paused action.
    ResumeQueue,
    /// Stop all that runs.
    StopAll,
    /// The queue has (re)started: whatever counts as running and is not listed here runs nowhere.
    Recover {
        /// The attempts that do run.
        live: Vec<(ActionId, u32)>,
        /// What becomes of the others.
        on_restart: OnRestart,
    },
}

/// How an attempt ended, with all that is to be kept of it.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    /// The action.
    pub id: ActionId,
    /// Which attempt at it.
    pub attempt: u32,
    /// How it ended.
    pub ended: Ended,
    /// How it came to that: for whoever is told of the end. A store need not keep it.
    pub came: Came,
    /// The error text for the client, if it failed.
    pub error: Option<String>,
    /// The result, or what there is of it.
    pub report: Written,
    /// How far it came, from 0 to 100.
    pub percent: f64,
    /// How long it worked, pauses left out, in milliseconds.
    pub processing_ms: i64,
}

/// An action to be queued.
#[derive(Debug, Clone)]
pub enum NewAction {
    /// With parameters of its own.
    Given {
        /// What it is given.
        parameters: Parameters,
        /// Its priority; the higher one starts first.
        priority: i32,
        /// A key under which the same submission may come again and gets the first one's id, as long as that
        /// action is kept; another one is [`Rejected::KeyTaken`]. What is the same: [`SubmissionKey::is_repeat`].
        key: Option<SubmissionKey>,
        /// When it arrived.
        queued_at: Timestamp,
    },
    /// With parameters and priority of an action that has not ended.
    CopyOf {
        /// That action.
        id: ActionId,
        /// When the request arrived.
        queued_at: Timestamp,
    },
}

/// The answers to a [`Batch`], in the order of its parts.
#[derive(Debug)]
pub struct BatchReply {
    /// One answer for each control.
    pub controls: Vec<Result<Vec<Affected>, Rejected>>,
    /// One answer for each submission.
    pub submissions: Vec<Result<Submitted, Rejected>>,
    /// Which of the submissions, counted from 0, came again under their key: nothing new was queued for them.
    pub repeats: Vec<usize>,
    /// The actions that have been given a slot.
    pub claimed: Vec<Claimed>,
    /// The actions that were to be given one and ended in Error instead, because what they were given can't
    /// be read.
    pub unread: Vec<Unread>,
    /// Whether there is more to delete than fitted into this step.
    pub more_to_prune: bool,
    /// The queue's counts after the batch.
    pub counts: Counts,
    /// Whether the queue is paused after the batch.
    pub paused: bool,
}

/// An action that a control concerned, and what the rules said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affected {
    /// The action.
    pub id: ActionId,
    /// Its latest attempt; 0 if it never started.
    pub attempt: u32,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When its latest attempt started, as it is written now: none of one that waits.
    pub started_at: Option<Timestamp>,
    /// When it ended, where this change ended it.
    pub finished_at: Option<Timestamp>,
    /// Its state now.
    pub state: State,
    /// What was decided.
    pub verdict: Verdict,
}

/// An action that ended in Error before it ran, because what it was given can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The action, and where it stands now.
    pub action: Affected,
    /// The error text for the client.
    pub error: String,
}

/// Why one change of a batch was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// There is no such action in this queue.
    Unknown,
    /// The rules do not allow it.
    Refused(Refusal),
    /// The report is of an attempt that is no longer the action's latest.
    Stale,
    /// The queue holds as many waiting actions as it may.
    QueueFull,
    /// Under the same key something else was submitted before, and is still kept.
    KeyTaken,
    /// The server shuts down and takes nothing new (said by the queue, never by a store).
    ShuttingDown,
    /// The store could not keep it.
    Store(StoreError),
}

/// A submission that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The new action's id, or the first one's for a repeated key.
    pub id: ActionId,
    /// When it was queued.
    pub queued_at: Timestamp,
}

/// An action that has been given a slot.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The action.
    pub id: ActionId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When this attempt started.
    pub started_at: Timestamp,
    /// What it was given.
    pub parameters: Parameters,
}

/// One action as it stands in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: ActionId,
    /// Its state.
    pub state: State,
    /// Its priority.
    pub priority: i32,
    /// How often it was started.
    pub attempt: u32,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When its latest attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How long it worked, in milliseconds; 0 until it has ended.
    pub processing_ms: i64,
    /// How far it came, from 0 to 100.
    pub percent: f64,
    /// Why it ended in Error.
    pub error: Option<String>,
    /// Its result.
    pub report: Report,
    /// How many actions start before it, plus one; only while it waits, only from
    /// [`Store::record`], and only up to [`Record::MAX_POSITION`].
    pub position: Option<u64>,
}

impl Record {
    /// The last place in the queue that is counted: a poll must stay cheap with a million waiting.
    pub const MAX_POSITION: u64 = 100;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_as_those_that_there_are() {
        let mut counts = Counts::default();
        assert_eq!(counts.to_string(), "no actions");
        counts.add(State::Error, 1);
        assert_eq!(counts.to_string(), "1 Error");
        counts.add(State::Queued, 2_000);
        counts.add(State::Processing, 3);
        assert_eq!(counts.to_string(), "2000 Queued, 3 Processing, 1 Error");
    }
}
