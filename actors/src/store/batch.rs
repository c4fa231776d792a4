//! A batch: the changes that one queue makes in one transaction, and the answers to them.

use std::sync::Arc;
use std::time::Duration;

use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::key::SubmissionKey;
use crate::lifecycle::{Came, Command, Ended, OnRestart, Refusal, Verdict};
use crate::report::Written;
use crate::store::{Counts, OwnerId, QueueId, StoreError};

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
        /// When it was queued, where whoever asks knows that: an action that was queued at another time is not the one
        /// that is meant, and the command is [`Rejected::Unknown`].
        queued_at: Option<Timestamp>,
        /// What is asked of it.
        command: Command,
    },
    /// An attempt has ended. It is [`Rejected::Stale`] unless the action runs, by this attempt and for this owner.
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
    /// The queue has (re)started on this server: what this owner is written down to run and is not listed here runs
    /// nowhere. Beside that, all that [`Control::Reclaim`] does.
    Recover {
        /// The attempts that do run.
        live: Vec<(ActionId, u32)>,
        /// What becomes of the others.
        on_restart: OnRestart,
    },
    /// Recovers what was run by owners whose lease is over, and by none other. A store that was away itself may put that off,
    /// so that they can renew first. The answer names as well what this owner
    /// runs, each with its state and [`Verdict::Stay`]: so a notice that was lost is made up for.
    Reclaim {
        /// What becomes of it.
        on_restart: OnRestart,
    },
}

impl Control {
    /// A command to the action of this id, whenever that was queued.
    #[must_use]
    pub const fn command(id: ActionId, command: Command) -> Self {
        Self::Command { id, queued_at: None, command }
    }
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
    /// Owner for which the actions were given slots: [`Store::owner`] as it was in the transaction.
    ///
    /// [`Store::owner`]: crate::store::Store::owner
    pub owner: OwnerId,
    /// Time until the next action that waits may be started, where one may not be yet. What could be started now and
    /// found no slot does not count.
    pub next_due: Option<Duration>,
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
    /// The report is of an attempt that is no longer the action's latest, or of a former owner.
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
