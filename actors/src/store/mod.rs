//! The interface between the queues and the store that keeps their actions: batches of changes, and reads.
//!
//! - the changes and their answers: [`Batch`] and [`BatchReply`];
//! - listing with filters, sort keys and pages: [`query`];
//! - servers that share a store: [`OwnerId`], [`Renewal`], [`Notice`]; what they know of one another: [`Server`], [`Figures`];
//! - the embedded store, one SQLite file: [`sqlite`];
//! - the store that several servers share, in PostgreSQL: `postgres` (feature `postgres`);
//! - moving all that one of these holds to the other: `moving` (feature `postgres`);
//! - the data directory that a server has beside any store, and its lock: [`DirectoryLock`];
//! - reads that are bounded by size: [`RecordWithin`], in `within`;
//! - errors as clients are shown them, without the names of files: [`StoreError::without_paths`], in `shown`;
//! - the suite that every store must pass: `conformance` (feature `testing`).
//!
//! A system is given a store by [`Builder::store`](crate::Builder::store).
//!
//! The rest of this page is for those who implement a store. `examples/memory_store` in this package is a simple one.
//!
//! # Rules
//!
//! A store has no rules about states of its own. For each change it reads the row, calls [`crate::lifecycle::decide`]
//! (and before that [`crate::lifecycle::is_current`] for the end of an attempt), and writes the outcome.
//! [`crate::lifecycle::not_before`] gives each time, and [`crate::lifecycle::error_of`] the error text of a lost
//! attempt. One batch is one transaction. A change that was answered with `Ok` is durable.
//!
//! # Owners
//!
//! Each server that opens a store is an *owner*, with a number that is never used again ([`Store::owner`]). A claim
//! writes the owner into the row of the action that it starts. Three rules follow:
//!
//! - The end of an attempt counts only if that attempt runs and the owner that reports it is the one in the row.
//!   Otherwise it is [`Rejected::Stale`].
//! - [`Control::Recover`] applies to the rows of *this* owner and of owners whose lease has expired. An action that
//!   another owner runs under a valid lease is never recovered. What this owner had only claimed may be released instead.
//! - Commands and submissions may come from any owner, whichever runs the action.
//!
//! A store that one server has to itself has one owner, [`OwnerId::SOLE`], and need not implement the methods about
//! owners: their defaults are right for it.
//!
//! # Leases
//!
//! [`Store::lease`] is the time for which a lease holds after a renewal; the system renews it three times as often. A lease
//! expires by the store's own clock, since the clocks of servers differ. An expired lease may still be renewed until
//! another owner recovers the actions of its owner; from that transaction on its owner is dead. An owner that is dead, or
//! whose lease has expired, claims nothing. The ends that a dead owner reports are stale. Its commands and submissions
//! are accepted like any others.
//!
//! [`Store::renew`] answers [`Renewal::Lost`] to a dead owner. The system then forces all its running actions to stop, and
//! calls [`Store::new_owner`] once they have ended. A server that can't reach the store for the time of its lease forces
//! the actions that another server may have started by then ([`OnRestart::Requeue`]). Actions that may run only once go
//! on, since nobody starts them again. So two attempts at an action may overlap for a moment, but at most one counts, and
//! with [`OnRestart::Fail`] no action is started twice.
//!
//! [`Store::close`] gives the lease up. If a store is dropped without it, the lease stays until it expires, as after a crash.
//!
//! # Notices
//!
//! A change by one owner may concern another. [`Store::notices`] takes the callback through which an owner hears of it. A
//! [`Notice::Steer`] must be sent to the owner that runs the action once its batch is committed; the other notices only
//! save time. Any of them may get lost: after each renewal every queue checks for itself what waits, the state of what
//! it runs ([`Control::Reclaim`]), and the state of the actions whose ends are waited for. So a store need not
//! keep notices, and may send them outside its transactions.
//!
//! # What servers show of one another
//!
//! Each server has a *site*: its name, and the host and port in its tokens. An action keeps the site that took it
//! ([`Record::taken_by`]), so that every server shows the same token, and the one that ran it last ([`Record::run_by`]).
//! Figures of an attempt that are seen only while it runs, such as its progress, are shown to others with [`Store::show`], and read
//! with the row. A store that one server has to itself needs none of this.
//!
//! # Delayed starts
//!
//! An action may be queued that must not start before some time: [`NewAction::Given`] and [`AttemptEnd::retry_after`] set
//! it, and `Command::Retry` removes it. Until then the action counts as queued, also for [`Batch::max_queued`]; it has no
//! place in the queue, keeps no other from starting, and costs nothing. [`Record::not_before`] shows the time.
//!
//! The clock is the queue's: a time has come when a batch has a [`Batch::now`] that is not before it. The first such batch
//! forgets the time, after its controls and before its submissions, and from then on the action waits as others do: higher priority
//! first, equal ones by arrival, whichever was due first. A clock that is set back later does not bring the time back, and one
//! that is set back earlier makes the wait longer.
//!
//! [`BatchReply::deferred`] is the number of the others, and [`BatchReply::next_due`] the time until the first of them may
//! start. The queue looks again then, or earlier if something else happens. Both are exact in each reply: the queue knows no
//! others.
//!
//! Where very many are due at once, a store may forget their times in steps of at least a thousand a batch. While it has not
//! forgotten all of them it starts nothing in that queue, since the highest priority may be among the rest, and `next_due` is so short
//! that the queue looks again at once.
//!
//! # Attempts
//!
//! An attempt that ends without ending its action leaves a [`PastAttempt`], and the action is queued again as it was: with its
//! id, queue time, priority, parameters and key. [`Store::history`] reads them, oldest first. They are deleted with the
//! action. What shows the attempt that runs, or has ended the action, is the [`Record`].
//!
//! A store counts two things with an action, beside the number of its attempts:
//!
//! - *failures*: ends with [`Ended::Retry`] that queued it again;
//! - *restarts*: recoveries that queued it again, and ends with [`Ended::Lost`] that did.
//!   [`Recovery::command`](crate::lifecycle::Recovery::command) is asked with their number, and says when it is enough.
//!
//! `Command::Retry` of an action that has ended in Error queues it again, too, with both counts 0 and its last error. It is
//! refused for no lack of room: a control always gets through. Its past attempt has the outcome that
//! [`outcome_of_error`](crate::lifecycle::outcome_of_error) tells.
//!
//! # Deletion
//!
//! Actions that have ended are deleted by the queue's [`Retention`], and when a client asks ([`Control::Many`],
//! `Command::Delete`). With an action go its parameters, its result, its past attempts and its key, which may name another
//! action from then on, also one of the same batch. Its id is never used again.
//!
//! # Attempts that go on
//!
//! A recovery with [`OnRestart::Resume`] changes no row. It returns each attempt in [`BatchReply::resumed`] that this owner does not
//! know ([`Control::Recover`]) or that a dead owner ran, and writes this owner into its row. If the parameters of one can't be
//! read, the action ends in Error and is in [`BatchReply::unread`]. A [`Control::Note`] is kept with the attempt until that ends.
//!
//! The server that hears of the work need not be the one that runs the attempt: a worker may talk to any of them. [`Control::TakeOver`]
//! makes this owner the one that runs it, and returns it in [`BatchReply::resumed`]. The former owner is sent
//! [`Notice::Moved`], and lets go of it; if that got lost, it finds the attempt missing from the answer to
//! [`Control::Reclaim`].
//!
//! # Failures
//!
//! A batch that failed has changed nothing. [`StoreError::Unavailable`] is for faults that pass by themselves, such as a lost
//! connection: the queue keeps the ends of attempts and retries them, and callers are told to retry. The other errors need
//! somebody to fix them.
//!
//! If the answer to a commit is lost, a store finds out whether the commit was made before it answers the batch. If it
//! can't, the answer is [`StoreError::OutcomeUnknown`]: callers have to check, and ends are reported again, which does no
//! harm. Nobody would run the actions that such a batch may have started, so the store must make its owner dead, or give those
//! actions back ([`Ended::Released`]) before it writes anything else.
//!
//! # Outbox
//!
//! An event that must be delivered at least once, even after a crash, can't be sent from memory after the commit. So a batch says
//! which handlers want which kinds of event ([`Batch::wants`]), and the store writes a row for each handler of each such change, in
//! the transaction of the change and in the order of the batch: controls, submissions that start at once, claims. What the row says
//! is the action as [`Store::record`] would read it right after that change, without its place in the queue. Nothing is written
//! where nobody wants anything.
//!
//! | change | kind |
//! |---|---|
//! | a claim, also of what starts as it is submitted | [`EventKind::Start`] |
//! | a move to Finished, Error, Cancelled or Stopped, whatever made it | [`EventKind::Finish`], `Error`, `Cancel`, `Stop` |
//! | an end with [`Ended::Retry`] that queues its action again; [`NewEvent::ErrorReport`] | [`EventKind::ErrorReport`] |
//! | [`NewEvent::Level`] | [`EventKind::Queue`] |
//!
//! The end of an action that has a callback ([`Origin::callback`]) is also written for the handler [`EventWants::callback`].
//!
//! A handler is a name that stays ([`Store::open_handler`]). The system reads its pending events ([`Store::events`]), delivers them, and
//! settles them by a control of a later batch ([`Control::Outbox`]): what was delivered is deleted, what failed for good is kept aside
//! until somebody asks for it to be tried again or discarded. An event outlives its action. What was read and not settled is read
//! again after a crash, so a receiver may hear of an event twice, and knows it by its number. Where servers share a store, one of
//! them delivers the events of a handler ([`Store::lead`]).
//!
//! # Schedules
//!
//! A store keeps a row for each schedule, of which it need know no more than [`ScheduleState`]. [`Control::Schedule`] changes it by
//! [`ScheduleChange::apply`]. A submission that is made for a due time ([`Origin::schedule`]) is queued only if
//! [`ScheduledFor::admit`] allows it, and the row is then what [`ScheduledFor::queued`] returns, in the same transaction: so each due
//! time has one action at most, whichever servers try, and whatever dies meanwhile. That is asked after the submission's key, and
//! before there is room in the queue.
//!
//! # Origins
//!
//! The origin of a submission (`origin` in [`NewAction::Given`]) is kept with the action and read with it. A
//! copy has the origin that [`Origin::of_copy`] returns.

mod again;
mod batch;
#[cfg(feature = "testing")]
pub mod conformance;
mod counts;
mod directory;
#[cfg(feature = "postgres")]
pub mod moving;
mod origin;
mod outbox;
mod owner;
mod pending;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod query;
mod record;
mod schedules;
mod servers;
mod shown;
mod size;
pub mod sqlite;
mod within;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready, try_join_all};
use tokio::sync::oneshot;

use crate::action::{ActionId, Parameters, Timestamp};
use crate::lifecycle::Ended;
#[cfg(doc)]
use crate::lifecycle::OnRestart;
pub use batch::{
    Affected, AttemptEnd, Batch, BatchReply, Claimed, Control, NewAction, Rejected, Resumed,
    Retention, Submitted, Unread,
};
pub use counts::Counts;
pub use directory::DirectoryLock;
pub use origin::{Origin, ScheduledFor};
pub use outbox::{
    About, EventId, EventKind, EventPage, EventWants, FailedEvent, HandlerId, LevelChange,
    NewEvent, OutboxChange, OutboxState, QueueLevel, StoredEvent,
};
pub use owner::{Notice, NoticeSink, OwnerId, Renewal};
use query::{Cursor, IdPage, Page, PageLimit, Query};
pub use record::Record;
pub use schedules::{LastScheduled, ScheduleChange, ScheduleRefusal, ScheduleState};
pub use servers::{Figures, Server, Shown, Site, SiteId};
pub use size::{FileSize, StoreSize};
pub use within::RecordWithin;

/// A queue's number within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub i64);

/// Durable storage of actions. Methods answer from another thread, or at once where that takes microseconds:
/// they never block the caller for long. The contract is described in [the module](self).
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Finds or creates the queue of this name (case does not matter).
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>>;

    /// Enlists a batch, seals it when its turn comes and applies it as one transaction: controls in their order, then
    /// submissions, then claims. Batches are sealed in the order in which they were enlisted. Several that wait
    /// may be sealed and written together; they are answered before any other is sealed.
    ///
    /// Once it answers `Ok`, every accepted change in it survives a crash. If only the submissions can't be
    /// written (on a full disk), the rest is committed, and each submission has its own error in the reply.
    fn enlist(&self, seal: Seal);

    /// Applies a batch that is sealed already: see [`Store::enlist`].
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<BatchReply, StoreError>> {
        let (reply, answer) = oneshot::channel();
        // Fails only if the caller no longer waits for the answer.
        let answered = move |answer| drop(reply.send(answer));
        self.enlist(Box::new(move || (batch, Box::new(answered))));
        answer.map(|answer| answer.unwrap_or(Err(StoreError::Closed))).boxed()
    }

    /// Reads a queue's state: if it is paused, and its counts. As fresh as [`Store::record`].
    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>>;

    /// Reads the states of several queues, in this order. The default reads one after the other; a store that is asked over a
    /// network should override it.
    fn queue_states(
        &self,
        queues: Vec<QueueId>,
    ) -> BoxFuture<'static, Result<Vec<QueueState>, StoreError>> {
        try_join_all(queues.into_iter().map(|queue| self.queue_state(queue))).boxed()
    }

    /// Reads one action of a queue, with its place in the queue while it waits.
    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>>;

    /// Reads the parameters of one action of a queue.
    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>>;

    /// Reads one action as [`Store::record`] does. Its error and result are left out if they are stored in more than
    /// `max_bytes` bytes together; their size is returned instead.
    ///
    /// The default reads all of the action first. A store that can check the size before should override it.
    fn record_within(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> BoxFuture<'static, Result<Option<RecordWithin>, StoreError>> {
        let record = self.record(queue, id);
        record.map(move |read| Ok(read?.map(|record| RecordWithin::of(record, max_bytes)))).boxed()
    }

    /// Reads the parameters of one action as [`Store::parameters`] does, or returns their size as an `Err` if they are
    /// stored in more than `max_bytes` bytes.
    ///
    /// The default reads all of them first. A store that can check the size before should override it.
    fn parameters_within(
        &self,
        queue: QueueId,
        id: ActionId,
        max_bytes: usize,
    ) -> BoxFuture<'static, Result<Option<Result<Parameters, usize>>, StoreError>> {
        let within = move |parameters: Parameters| match parameters.byte_len() {
            bytes if bytes > max_bytes => Err(bytes),
            _ => Ok(parameters),
        };
        self.parameters(queue, id).map(move |read| Ok(read?.map(within))).boxed()
    }

    /// Reads the past attempts of one action of a queue, oldest first: the latest [`PastAttempt::KEPT`] of those that did not
    /// end it. [`Store::record`] tells of the attempt that did. Empty for an unknown action.
    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>>;

    /// Reads the next page of a listing, with at most what `limit` allows. Each page is its own snapshot.
    /// A store that has skipped many actions without filling the page may return a short or even empty one: only
    /// [`Page::next`] tells if there may be more. Each page makes progress, unless the next action alone does not
    /// fit ([`Page::too_large`]).
    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>>;

    /// Reads the ids of the next page of a listing, at most this number (which is not 0), as [`Store::page`] reads the actions.
    ///
    /// The default reads the actions. A store that can find ids without them should override it.
    fn page_of_ids(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        actions: usize,
    ) -> BoxFuture<'static, Result<IdPage, StoreError>> {
        let limit = PageLimit { actions, bytes: usize::MAX };
        let page = self.page(queue, query, cursor, limit);
        page.map(|read| {
            let Page { records, next, .. } = read?;
            Ok(IdPage { ids: records.iter().map(|record| record.id).collect(), next })
        })
        .boxed()
    }

    /// Finds or creates the handler of events of this name (case does not matter).
    fn open_handler(&self, name: &str) -> BoxFuture<'static, Result<HandlerId, StoreError>>;

    /// Reads pending events of a handler, the oldest first, without those named in `except` and, if `after` is given, those up to it;
    /// with at most what `limit` allows, but one event may be larger. As fresh as [`Store::record`].
    fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>>;

    /// Reads the numbers of the events of a handler.
    fn outbox_state(
        &self,
        handler: HandlerId,
    ) -> BoxFuture<'static, Result<OutboxState, StoreError>>;

    /// Makes this owner the one that delivers the events of a handler, unless another one does whose lease holds, and tells whether
    /// it is. Always true in a store that one server has to itself.
    fn lead(&self, handler: HandlerId) -> BoxFuture<'static, Result<bool, StoreError>> {
        let _ = handler;
        ready(Ok(true)).boxed()
    }

    /// Reads all schedules that are known, in the order of their names in lower case. As fresh as [`Store::record`].
    fn schedules(&self) -> BoxFuture<'static, Result<Vec<ScheduleState>, StoreError>>;

    /// Returns the owner that this server is in the store.
    fn owner(&self) -> OwnerId {
        OwnerId::SOLE
    }

    /// Returns the time for which a lease holds after a renewal, which is the same as long as the store is open; `None`
    /// if there are no leases, because nobody else can have the store open.
    fn lease(&self) -> Option<Duration> {
        None
    }

    /// Renews the owner's lease. Only called if [`Store::lease`] returns a time.
    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        ready(Ok(Renewal::Holds)).boxed()
    }

    /// Returns the time between two renewals of the lease: a third of it, unless the store says otherwise.
    fn heartbeat(&self) -> Option<Duration> {
        self.lease().map(|lease| lease / 3)
    }

    /// Replaces the owner by a new one, with a lease that begins now, and returns it. Called after [`Renewal::Lost`], once
    /// everything that the former owner ran here has ended.
    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        ready(Ok(OwnerId::SOLE)).boxed()
    }

    /// Sets the callback for notices to this owner. Called once, before anything is enlisted.
    fn notices(&self, sink: NoticeSink) {
        drop(sink);
    }

    /// Returns the name, host and port of a server that something from this store has named, from memory.
    fn site(&self, id: SiteId) -> Option<Arc<Site>> {
        let _ = id;
        None
    }

    /// Reads the servers that have the store open, and those that are dead but not forgotten yet. Empty for a store that a server
    /// has to itself.
    fn servers(&self) -> BoxFuture<'static, Result<Vec<Server>, StoreError>> {
        ready(Ok(Vec::new())).boxed()
    }

    /// Tells whether the store answers, as far as is known: from memory, a few seconds late at most. One that keeps actions in memory
    /// and can't write them to its file, so that its end would lose them, says no, too. A store that says no tells the
    /// log of the beginning and the end of that itself: queues say nothing then of batches that fail for it.
    fn is_available(&self) -> bool {
        true
    }

    /// Sets how many actions this server may run at a time, for other servers to see.
    fn set_slots(&self, _slots: u32) {}

    /// Returns the time since the store last did not answer, 0 while it does not; `None` if that never was, as far as is known.
    fn away_ago(&self) -> Option<Duration> {
        None
    }

    /// Tells whether other servers have the store open, as far as is known here.
    fn has_peers(&self) -> bool {
        false
    }

    /// Shows other servers how attempts stand that run here ([`Record::figures`]), until they end or more is shown of them. Nothing
    /// of it need survive a crash. Only called while [`Store::has_peers`].
    fn show(&self, shown: Vec<Shown>) -> BoxFuture<'static, Result<(), StoreError>> {
        drop(shown);
        ready(Ok(())).boxed()
    }

    /// Copies all that it holds, as it stands at one moment, to a database of SQLite's in a file that is not there yet, while work
    /// goes on; `None` if it has means of its own for that, such as those of a database server. Dropping the future breaks it off.
    fn backup(&self, into: PathBuf) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        drop(into);
        None
    }

    /// Reads the size of the store; `None` if that can't be known. It may be asked for every few seconds: it must cost next to
    /// nothing, whatever is stored, or be that of a minute ago.
    fn size(&self) -> BoxFuture<'static, Result<Option<StoreSize>, StoreError>> {
        ready(Ok(None)).boxed()
    }

    /// Reads for each of these queues when the oldest action was queued that waits and may start; `None` for one in which there is
    /// none, and `None` for all if the store can't tell. It must cost next to nothing, however many wait.
    fn oldest_waiting(
        &self,
        queues: Vec<QueueId>,
    ) -> BoxFuture<'static, Result<Option<Vec<Option<Timestamp>>>, StoreError>> {
        drop(queues);
        ready(Ok(None)).boxed()
    }

    /// Sets the number of bytes above which the store takes no more submissions ([`StoreError::SizeLimit`]), from its next
    /// transaction on; `None` = no limit. Everything else goes on, and space that is free in the store counts as free. A store
    /// that is not in a file of its own has no such limit.
    fn limit_bytes(&self, limit: Option<u64>) {
        let _ = limit;
    }

    /// Writes what is still buffered, gives the lease up, and ends the store's threads.
    fn close(&self) -> BoxFuture<'static, ()>;

    /// Returns the durability of acknowledged changes in one word: `full` (on disk), `normal` (safe against a
    /// crash of the process, not of the machine) or `memory` (safe against none).
    fn durability(&self) -> &'static str;
}

/// Seals a batch and returns it. Sealing late lets changes that arrive meanwhile join the batch. Called once: when the
/// store begins the batch, or drops it unwritten. It must not block.
pub type Seal = Box<dyn FnOnce() -> (Batch, BatchAnswer) + Send>;

/// Takes the answer to a batch. Called once; it must not block.
pub type BatchAnswer = Box<dyn FnOnce(Result<BatchReply, StoreError>) + Send>;

/// Error of a store. Nothing was changed, except perhaps with [`StoreError::OutcomeUnknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full, its quota is used up, or a file has reached its maximum size.
    #[error("the disk that holds the actions is full, or lets its files grow no further")]
    Full,
    /// The store has the maximum size that it may have: see [`Store::limit_bytes`].
    #[error(
        "the action database has the {limit} bytes that it may have (MaxDatastoreSize): actions must be deleted before more are taken"
    )]
    SizeLimit {
        /// The maximum, in bytes.
        limit: u64,
    },
    /// The database file is damaged or is no database of ours.
    #[error("the action database {path} is damaged or is not one of actiond's: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The database's message.
        reason: String,
    },
    /// The database was written by a newer version.
    #[error("the action database {path} has format {found}, this version reads up to {known}")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this version can read.
        known: i64,
    },
    /// Another server uses the data directory.
    #[error("the data directory {path} is in use by another server{owner}")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Its holder, if known, as ` (process 123)`.
        owner: String,
    },
    /// Reading or writing failed.
    #[error("the action database can't be read or written: {0}")]
    Io(String),
    /// The store can't be reached or is busy. This passes by itself: the call may be retried.
    #[error("the action database is not available now: {0}")]
    Unavailable(String),
    /// The answer to a commit was lost for good: the commit may have been made.
    #[error("the action database did not say whether it has made the change: {0}")]
    OutcomeUnknown(String),
    /// The store was closed.
    #[error("the action database is closed")]
    Closed,
}

/// A queue as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Its number.
    pub id: QueueId,
    /// True while it is paused.
    pub paused: bool,
    /// Number of its actions in each state.
    pub counts: Counts,
}

/// An attempt that has ended without ending its action, or whose action was tried again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// Its number.
    pub attempt: u32,
    /// Time when it started.
    pub started_at: Timestamp,
    /// Time when it ended.
    pub ended_at: Timestamp,
    /// The way in which it ended; `None` if its server went down.
    pub ended: Option<Ended>,
    /// Name of the remote worker that had it.
    pub worker: Option<String>,
    /// The error text.
    pub error: Option<String>,
}

impl PastAttempt {
    /// Number of past attempts that are kept of an action: the latest.
    pub const KEPT: usize = 20;
    /// Maximum length of their error texts in bytes; longer ones are cut.
    pub const MAX_ERROR: usize = 1_000;

    /// Cuts an error text to [`PastAttempt::MAX_ERROR`], between two characters.
    ///
    /// ```
    /// use actiond_actors::store::PastAttempt;
    /// assert_eq!(PastAttempt::cut("no"), "no");
    /// assert_eq!(PastAttempt::cut(&"é".repeat(600)).len(), 1_000);
    /// assert_eq!(PastAttempt::cut(&"€".repeat(600)).len(), 999);
    /// ```
    #[must_use]
    pub fn cut(error: &str) -> &str {
        error.get(..error.floor_char_boundary(Self::MAX_ERROR)).unwrap_or(error)
    }
}
