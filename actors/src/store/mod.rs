//! What a store must do for the queues: take batches of changes, and answer reads.
//!
//! - the changes and their answers: [`Batch`] and [`BatchReply`];
//! - listing with filters, sort keys and pages: [`query`];
//! - servers that share a store: [`OwnerId`], [`Renewal`], [`Notice`];
//! - the embedded store, one SQLite file: [`sqlite`];
//! - the suite that every store must pass: `conformance` (feature `testing`).
//!
//! The rest of this page is for whoever writes a store. `examples/memory_store` in this package is one in plain code.
//!
//! # Rules
//!
//! A store repeats no rule about states. For each change it reads the row, asks [`crate::lifecycle::decide`], for the
//! end of an attempt [`crate::lifecycle::is_current`] before that, and writes what they say;
//! [`crate::lifecycle::not_before`] gives each time, and [`crate::lifecycle::error_of`] the error text where an
//! attempt was lost. One batch is one transaction, and an answer that says `Ok` is durable.
//!
//! # Owners
//!
//! Each server that opens a store is an *owner*, by a number that is never used again ([`Store::owner`]). Each row that
//! runs says which owner runs it, since the claim that started it. From that follow three rules:
//!
//! - An end counts only if the action runs, by that attempt and for the owner that reports it; else it is
//!   [`Rejected::Stale`].
//! - [`Control::Recover`] concerns what *this* owner is written down to run, and what owners ran whose lease is over.
//!   What another owner runs under its lease is never recovered.
//! - Commands and submissions may come from any owner, whoever runs the action.
//!
//! A store that one server has to itself has one owner, [`OwnerId::SOLE`], and no more to do: each method about owners
//! does the right thing as it is.
//!
//! # Leases
//!
//! [`Store::lease`] tells for how long a lease holds after it was renewed; the system renews it three times as often. Only the
//! store's own clock tells whether a lease is over, since those of servers differ. One that is over may still be renewed, until
//! another owner has recovered from it: from that transaction on its owner is dead. An owner that is dead, or whose lease is
//! over, claims nothing; its ends are stale as soon as it is dead; its commands and submissions are taken as those of any other.
//!
//! To a dead owner [`Store::renew`] answers [`Renewal::Lost`]. The system then forces all that it runs, and asks for a
//! [`Store::new_owner`] once all of it has ended. Where a server hears nothing of the store for the time of its lease it forces
//! what may run elsewhere by then ([`OnRestart::Requeue`]); what may run only once goes on, for nobody starts it again. So
//! two attempts at an action may overlap for a moment, at most one is believed, and with [`OnRestart::Fail`] none is begun twice.
//!
//! [`Store::close`] gives the lease up. A store that is dropped without it keeps it until it is over, as after a crash.
//!
//! # Notices
//!
//! What one owner changes may concern another: [`Store::notices`] takes what is to be called for that. A wish for what
//! another owner runs must be sent to it once it is committed; the other notices only make things sooner. They may get
//! lost: after each renewal every queue looks for itself what waits, how stands what it runs ([`Control::Reclaim`]), and
//! how stand the actions whose ends are waited for. So a store needs no memory of notices, and can send them outside of
//! its transactions.
//!
//! # What may not start yet
//!
//! A store may keep actions queued that must not start before some time. Then [`BatchReply::next_due`] says how long it is
//! until the first of them may; the queue looks again then, and rests until then if nothing else happens.
//!
//! # Failures
//!
//! A batch that failed has changed nothing. [`StoreError::Unavailable`] is for what passes by itself, such as a connection
//! that was lost: the queue keeps the ends of attempts and tries again, and callers are told to. The others are for somebody to mend.
//!
//! Where the answer to a commit is lost, a store finds out whether it was made before it answers the batch. What it
//! can't find out is [`StoreError::OutcomeUnknown`]: callers have to look, and ends are reported again, which does no
//! harm. What such a batch may have started must be nobody's by then, so its owner has to be dead.
//!
//! # Outbox
//!
//! What must be told at least once, whatever dies in between, can't be told from memory after the commit: it needs a row
//! that is written in the same transaction. Nothing uses that yet; so that a store can be laid out for it, this is how it
//! will be asked for. A batch will name the kinds of event that are wanted of its queue. For each change that it makes of such a
//! kind, a store writes a row: a number that grows with each (of that queue, in the order of commits), the kind, and what the answer to
//! that change says of the action (id, attempt, queue time, state, and for an end the error). Rows are read in pages
//! behind a number, by whichever owner holds the lease on delivery, and are deleted up to a number by a control of a
//! later batch. So whoever handles events may see one twice and never misses one; nothing is written where nothing is wanted.

mod batch;
#[cfg(feature = "testing")]
pub mod conformance;
mod counts;
mod owner;
pub mod query;
mod shown;
pub mod sqlite;
mod within;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

use crate::action::{ActionId, Parameters, State, Timestamp};
#[cfg(doc)]
use crate::lifecycle::OnRestart;
use crate::report::Report;
pub use batch::{
    Affected, AttemptEnd, Batch, BatchReply, Claimed, Control, NewAction, Rejected, Retention,
    Submitted, Unread,
};
pub use counts::Counts;
pub use owner::{Notice, NoticeSink, OwnerId, Renewal};
use query::{Cursor, Page, PageLimit, Query};
pub use within::RecordWithin;

/// A queue's number within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub i64);

/// Keeps actions. Its methods answer from another thread, or at once where that takes microseconds:
/// they never hold up the caller for long. What a store must see to is told [above](self).
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

    /// Returns the owner as which this server has the store open.
    fn owner(&self) -> OwnerId {
        OwnerId::SOLE
    }

    /// Returns for how long a lease holds after it was renewed, the same as long as the store is open; `None` if it needs
    /// no renewal, because nobody else can have the store open.
    fn lease(&self) -> Option<Duration> {
        None
    }

    /// Renews the owner's lease. Only called where there is one.
    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        ready(Ok(Renewal::Holds)).boxed()
    }

    /// Goes on as a new owner, with a lease that begins now, and returns it. Called after [`Renewal::Lost`], once nothing runs
    /// any more of what the former owner ran here.
    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        ready(Ok(OwnerId::SOLE)).boxed()
    }

    /// Takes what is to be called with each notice for this owner, once, before anything is enlisted.
    fn notices(&self, sink: NoticeSink) {
        drop(sink);
    }

    /// Writes out what is still buffered, gives the lease up, and ends the store's threads once all its work is done.
    fn close(&self) -> BoxFuture<'static, ()>;

    /// Says in one word what an acknowledgement means: `full` (on disk) or `normal` (safe against a
    /// crash of the process, not of the machine).
    fn durability(&self) -> &'static str;
}

/// Seals a batch, so that what arrives until its turn comes goes with it. Called once, when the store begins
/// with the batch or can't come to it any more; it must not wait.
pub type Seal = Box<dyn FnOnce() -> (Batch, BatchAnswer) + Send>;

/// Takes the answer to a batch. Called once; it must not wait.
pub type BatchAnswer = Box<dyn FnOnce(Result<BatchReply, StoreError>) + Send>;

/// Why the store could not do what it was asked. Nothing was changed, but where only [`StoreError::OutcomeUnknown`] can be said.
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
    /// The store can't be reached, or is busy with something that passes by itself: the same may be tried again.
    #[error("the action database is not available now: {0}")]
    Unavailable(String),
    /// The answer to a commit was lost for good: it may have been made.
    #[error("the action database did not say whether it has made the change: {0}")]
    OutcomeUnknown(String),
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
