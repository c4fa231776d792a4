//! Batches: the changes that one queue makes in one transaction, and the answers to them.

use std::sync::Arc;
use std::time::Duration;

use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::key::SubmissionKey;
use crate::lifecycle::{Came, Command, Ended, OnRestart, Recovery, Refusal, Verdict};
use crate::queue::Target;
use crate::report::{Report, Written};
use crate::store::query::Query;
use crate::store::{
    Counts, EventWants, Figures, HandlerId, NewEvent, Origin, OutboxChange, OwnerId, QueueId,
    ScheduleChange, ScheduleRefusal, ScheduledFor, SiteId, StoreError,
};

/// Changes that one queue wants to make in one transaction.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The queue that makes the changes.
    pub queue: QueueId,
    /// Time when the batch was sealed, which is that of every change in it but the submissions.
    pub now: Timestamp,
    /// Commands and ends of attempts, in order of arrival; they never wait behind submissions.
    pub controls: Vec<Control>,
    /// New actions, in order of arrival.
    pub submissions: Vec<NewAction>,
    /// Number of actions that may start: the slots that are free after the controls.
    pub claim: usize,
    /// Number of waiting actions at which submissions are refused, also of those that may not start yet; `None` = no
    /// limit. Nothing but submissions is refused for it.
    pub max_queued: Option<u64>,
    /// The final actions that are kept; older ones are deleted.
    pub retention: Retention,
    /// The handlers that want events of this queue; `None` if there are none.
    pub wants: Option<Arc<EventWants>>,
    /// True if the parameters of the actions that end in this batch are kept with them. Without them an action can't be tried
    /// again or copied ([`decide_kept`](crate::lifecycle::decide_kept)). What was sent under a key keeps them in any
    /// case: a repeated submission is compared with them.
    pub keep_parameters: bool,
}

impl Batch {
    /// Makes the batch of a queue that changes nothing, starts nothing and deletes nothing yet.
    ///
    /// ```
    /// use actiond_actors::lifecycle::Command;
    /// use actiond_actors::store::{Batch, Control, QueueId};
    /// use actiond_actors::{ActionId, Timestamp};
    ///
    /// let controls = vec![Control::command(ActionId::new(7).unwrap(), Command::Cancel)];
    /// let batch = Batch { controls, ..Batch::new(QueueId(1), Timestamp(1_000)) };
    /// assert!(batch.submissions.is_empty());
    /// ```
    #[must_use]
    pub fn new(queue: QueueId, now: Timestamp) -> Self {
        Self {
            queue,
            now,
            controls: Vec::new(),
            submissions: Vec::new(),
            claim: 0,
            max_queued: None,
            retention: Retention::default(),
            wants: None,
            keep_parameters: true,
        }
    }
}

/// Limits on the final actions that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Maximum number; `None` = all. Those that ended first are deleted first. While there is one that ended later
    /// than the batch's `now`, because the clock was set back, those that were submitted first are.
    pub max_finished: Option<u64>,
    /// Time after which an action must have ended to be kept; `None` = all are.
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
        /// Time when it was queued, if the caller knows it. An action that was queued at another time is not the one
        /// that is meant, and the command is [`Rejected::Unknown`].
        queued_at: Option<Timestamp>,
        /// The command.
        command: Command,
    },
    /// The end of an attempt. It is [`Rejected::Stale`] unless this attempt runs, and this owner runs it.
    End(Arc<AttemptEnd>),
    /// Pauses the queue: nothing starts any more, and running actions pause if they can.
    PauseQueue {
        /// True if this kind of action can pause.
        supported: bool,
    },
    /// Resumes the queue and every paused action.
    ResumeQueue,
    /// Stops every running action.
    StopAll,
    /// Recovers after the queue has (re)started on this server: an action that this owner runs according to its row and
    /// that is not listed here runs nowhere. Does all that [`Control::Reclaim`] does, too.
    Recover {
        /// The attempts that still run.
        live: Vec<(ActionId, u32)>,
        /// The treatment of the others.
        recovery: Recovery,
        /// True if this owner has recovered all that ran before it, so that those of its own that are not listed were claimed
        /// and never began: they are released ([`Ended::Released`]), and `recovery` is for those of other owners.
        unbegun: bool,
    },
    /// Recovers the actions of owners whose lease has expired, and of no others. A store that was itself unavailable may
    /// delay that, so that the owners can renew first. The answer also has each action that this owner
    /// runs, with its state and [`Verdict::Stay`], which makes up for lost notices.
    Reclaim {
        /// The treatment of the recovered actions.
        recovery: Recovery,
    },
    /// Keeps a note with the attempt that runs, instead of the one before. It is [`Rejected::Stale`] unless this attempt
    /// runs, and this owner runs it. [`BatchReply::resumed`] returns it. The queue lets no note through that is longer than
    /// [`Control::MAX_NOTE`].
    Note {
        /// The action.
        id: ActionId,
        /// The attempt's number.
        attempt: u32,
        /// The note.
        note: String,
    },
    /// Gives a client's command to several actions, one after the other, each as it is in this transaction. The answer has each
    /// of them, in this order, with [`Verdict::Refused`] if its state does not allow the command, which is no error. Only
    /// those are left out that there are not, and those that the filter does not list any more.
    Many {
        /// The actions: [`Control::MAX_MANY`] at most, so that the batch takes only so long. None is in it twice.
        actions: Vec<Target>,
        /// The command; none that [`Control::Command`] does not take.
        command: Command,
        /// The filter by which they were listed, if they were. Its order does not matter, and its
        /// [details](Query::details) were judged then: [`Query::still_matches`].
        filter: Option<Arc<Query>>,
    },
    /// Makes this owner the one that runs an attempt whose work is done elsewhere, and returns it in [`BatchReply::resumed`];
    /// nothing, if it runs it already. It is [`Rejected::Stale`] unless this attempt runs.
    TakeOver {
        /// The action.
        id: ActionId,
        /// The attempt's number.
        attempt: u32,
    },
    /// Writes an event for the handlers that want it ([`Batch::wants`]), and nothing else. It is [`Rejected::Stale`] if it is of an
    /// attempt that does not run, or that another owner runs. The answer names no action.
    Tell(Box<NewEvent>),
    /// Changes a schedule. The answer names no action.
    Schedule {
        /// Its name.
        name: String,
        /// The change.
        change: ScheduleChange,
    },
    /// Changes the events of a handler. The answer names no action.
    Outbox {
        /// The handler.
        handler: HandlerId,
        /// The change.
        change: OutboxChange,
    },
}

impl Control {
    /// Maximum length of a note in bytes.
    pub const MAX_NOTE: usize = 64 * 1024;

    /// Maximum number of actions in one [`Control::Many`].
    pub const MAX_MANY: usize = 250;

    /// Makes a command to the action of this id, whenever that was queued.
    #[must_use]
    pub const fn command(id: ActionId, command: Command) -> Self {
        Self::Command { id, queued_at: None, command }
    }

    /// Tells whether attempts may be resumed by this.
    pub(crate) fn may_resume(&self) -> bool {
        match self {
            Self::Recover { recovery, .. } | Self::Reclaim { recovery } => {
                recovery.on_restart == OnRestart::Resume
            }
            Self::TakeOver { .. } => true,
            _ => false,
        }
    }
}

/// The end of an attempt, with its outcome.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    /// The action.
    pub id: ActionId,
    /// The attempt's number.
    pub attempt: u32,
    /// The way in which it ended.
    pub ended: Ended,
    /// The cause of the end, for those who are told of it. A store need not keep it.
    pub came: Came,
    /// The error text for the client, if it failed. An action that is tried again keeps it while it waits.
    pub error: Option<String>,
    /// Time to the next attempt, with [`Ended::Retry`]: until then the action is queued and does not start.
    pub retry_after: Option<Duration>,
    /// Name of the remote worker that had the action, if one had.
    pub worker: Option<String>,
    /// The result, or the part of it that there is.
    pub report: Written,
    /// Its progress, from 0 to 100.
    pub percent: f64,
    /// Time for which it worked, without pauses, in milliseconds.
    pub processing_ms: i64,
}

/// An action to be queued.
#[derive(Debug, Clone)]
pub enum NewAction {
    /// An action with parameters of its own.
    Given {
        /// Its parameters.
        parameters: Parameters,
        /// Its priority; the higher one starts first.
        priority: i32,
        /// An idempotency key. A repeated submission under it gets the id of the first one as long as that action is
        /// kept; a different one is [`Rejected::KeyTaken`]. [`SubmissionKey::is_repeat`] tells them apart.
        key: Option<SubmissionKey>,
        /// Time before which it must not start, if there is one.
        not_before: Option<Timestamp>,
        /// Time when the submission arrived.
        queued_at: Timestamp,
        /// The data that it brings beside its parameters.
        origin: Option<Box<Origin>>,
    },
    /// A copy of an action, with its parameters and priority, and with its earliest start if it waits for that and was never
    /// started. One that has ended is copied if its parameters are kept.
    CopyOf {
        /// That action.
        id: ActionId,
        /// Time when the request arrived.
        queued_at: Timestamp,
    },
}

impl NewAction {
    /// Returns the due time of a schedule for which it is queued, if it is.
    #[must_use]
    pub fn scheduled(&self) -> Option<&ScheduledFor> {
        match self {
            Self::Given { origin: Some(origin), .. } => origin.schedule.as_ref(),
            _ => None,
        }
    }

    /// Returns true if it is given a time before which it must not start, and that has not come yet.
    #[must_use]
    pub fn is_deferred(&self, now: Timestamp) -> bool {
        matches!(self, Self::Given { not_before: Some(time), .. } if *time > now)
    }
}

/// The answers to a [`Batch`], in the order of its parts.
#[derive(Debug)]
pub struct BatchReply {
    /// One answer for each control.
    pub controls: Vec<Result<Vec<Affected>, Rejected>>,
    /// One answer for each submission.
    pub submissions: Vec<Result<Submitted, Rejected>>,
    /// Indexes, from 0, of the submissions that repeat an earlier one under their key: nothing was queued for them.
    pub repeats: Vec<usize>,
    /// The actions that were started.
    pub claimed: Vec<Claimed>,
    /// The actions that [`OnRestart::Resume`](crate::OnRestart::Resume) keeps running, of which this owner knew nothing: the
    /// answer to a [`Control::Recover`] or [`Control::Reclaim`]. From now on it is this owner that runs them.
    pub resumed: Vec<Resumed>,
    /// The actions that were to start and ended in Error instead, because their parameters can't be read.
    pub unread: Vec<Unread>,
    /// True if there are more actions to delete than this batch deleted.
    pub more_to_prune: bool,
    /// The queue's counts after the batch.
    pub counts: Counts,
    /// True if the queue is paused after the batch.
    pub paused: bool,
    /// Owner of the claimed actions: [`Store::owner`] as it was in the transaction.
    ///
    /// [`Store::owner`]: crate::store::Store::owner
    pub owner: OwnerId,
    /// Number of queued actions that must not start yet.
    pub deferred: u64,
    /// Time until the first of them may start, by [`Batch::now`]; `None` if there are none.
    pub next_due: Option<Duration>,
    /// Number of events that were written for handlers.
    pub events: usize,
}

/// An action that a control concerned, and what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affected {
    /// The action.
    pub id: ActionId,
    /// Its latest attempt; 0 if it never started.
    pub attempt: u32,
    /// Time when it was queued.
    pub queued_at: Timestamp,
    /// Time when its latest attempt started; `None` if it waits after this change.
    pub started_at: Option<Timestamp>,
    /// Time when it ended, if this change ended it.
    pub finished_at: Option<Timestamp>,
    /// Its state after this change.
    pub state: State,
    /// The decision on this change.
    pub verdict: Verdict,
    /// The server that took it: see [`Record::taken_by`](super::Record::taken_by).
    pub taken_by: Option<SiteId>,
}

/// An action that ended in Error before it ran, because its parameters can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The action, and its state now.
    pub action: Affected,
    /// The error text for the client.
    pub error: String,
}

/// Reason why one change of a batch was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// There is no such action in this queue.
    Unknown,
    /// The action's state does not allow it.
    Refused(Refusal),
    /// The end is of an attempt that is no longer the action's latest, or of a former owner.
    Stale,
    /// The queue has its maximum number of waiting actions.
    QueueFull,
    /// The schedule does not allow it.
    Schedule(ScheduleRefusal),
    /// A different submission has used the same key, and its action is still kept.
    KeyTaken,
    /// The server shuts down and accepts nothing new (said by the queue, never by a store).
    ShuttingDown,
    /// The store could not write it.
    Store(StoreError),
}

/// A submission that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The new action's id, or the first one's for a repeated key.
    pub id: ActionId,
    /// Time when it was queued.
    pub queued_at: Timestamp,
    /// The server that took it first, if that was another: see [`Record::taken_by`](super::Record::taken_by).
    pub taken_by: Option<SiteId>,
}

/// An action that was started: it has a slot.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The action.
    pub id: ActionId,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Time when the action was queued.
    pub queued_at: Timestamp,
    /// Time when this attempt started.
    pub started_at: Timestamp,
    /// Its priority.
    pub priority: i32,
    /// The action's parameters.
    pub parameters: Parameters,
    /// Number of its attempts that have failed since it was submitted or last retried by a client.
    pub failures: u32,
    /// Number of restarts that have queued it again since then.
    pub restarts: u32,
    /// The server that took it: see [`Record::taken_by`](super::Record::taken_by).
    pub taken_by: Option<SiteId>,
}

/// An attempt that goes on after its server went down.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// The action, as when it was started.
    pub claimed: Claimed,
    /// Its state: Processing, Paused or Stopping.
    pub state: State,
    /// The note that was kept last.
    pub note: Option<String>,
    /// Figures that its former server has shown of it ([`Store::show`](super::Store::show)), if there is something.
    pub figures: Option<Box<Figures>>,
    /// The partial result that it has shown.
    pub partial: Report,
}
