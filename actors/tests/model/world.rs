//! The state of the model, as plain data.
//!
//! It has three parts: what survives a crash of the server ([`Durable`]), what is lost with it
//! ([`Server`], with the batches on their way to the store), and what clients know ([`Clients`]).

use actiond_actors::State;
use actiond_actors::lifecycle::{Ended, OnRestart};

use crate::inbox::{Batch, Inbox};
use crate::laws::Law;
pub(crate) use crate::set::Set;
use crate::setup::Ask;

/// An action's number, from 1.
pub(crate) type Id = u8;
/// A client's request, by the order in which they are made.
pub(crate) type Request = u8;
/// A moment on the wall clock, which may jump.
pub(crate) type Time = u8;
/// Number of a queue actor among those that a server has one after the other.
pub(crate) type Generation = u8;

/// One row, as the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) state: State,
    pub(crate) attempt: u8,
    pub(crate) priority: i8,
    pub(crate) queued_at: Time,
    pub(crate) started_at: Option<Time>,
    pub(crate) finished_at: Option<Time>,
    /// True while it may not start: the time for that has not come.
    pub(crate) waits: bool,
    /// Number of its failures, as the store counts them.
    pub(crate) failures: u8,
    /// Number of servers that have died while it ran, as the store counts them.
    pub(crate) restarts: u8,
    /// The same numbers, as the laws count them.
    pub(crate) counted: (u8, u8),
}

impl Row {
    pub(crate) const fn queued(id: Id, priority: i8, queued_at: Time) -> Self {
        Self {
            id,
            state: State::Queued,
            attempt: 0,
            priority,
            queued_at,
            started_at: None,
            finished_at: None,
            waits: false,
            failures: 0,
            restarts: 0,
            counted: (0, 0),
        }
    }

    pub(crate) const fn key(&self) -> Key {
        Key { id: self.id, number: self.attempt }
    }
}

/// The part that survives a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Durable {
    pub(crate) rows: Vec<Row>,
    pub(crate) last_id: Id,
    pub(crate) paused: bool,
    /// Kept beside the rows, as the store does; one for each of `State::ALL`.
    pub(crate) counts: [u8; State::ALL.len()],
    /// The requests not yet answered whose change is in here.
    pub(crate) applied: Set,
}

impl Durable {
    pub(crate) fn row(&self, id: Id) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    pub(crate) fn row_mut(&mut self, id: Id) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.id == id)
    }

    pub(crate) fn state(&self, id: Id) -> Option<State> {
        self.row(id).map(|row| row.state)
    }

    /// The queued actions that may not start yet.
    pub(crate) fn not_due(&self) -> Set {
        let mut not_due = Set::default();
        self.rows.iter().filter(|row| row.waits).for_each(|row| not_due.insert(row.id));
        not_due
    }

    /// Returns the rows that may start, in the order in which they do.
    pub(crate) fn next(&self) -> Vec<Row> {
        let due = |row: &&Row| row.state == State::Queued && !row.waits;
        let mut next: Vec<Row> = self.rows.iter().filter(due).copied().collect();
        next.sort_by_key(|row| (-row.priority, row.id));
        next
    }
}

/// One attempt at one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) id: Id,
    pub(crate) number: u8,
}

/// The end of an attempt; the effect of an interruption depends on the [`Setup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Finished,
    Failed,
    /// It failed, and is to be tried again.
    Retry,
    Stopped,
    Interrupted,
}

impl End {
    pub(crate) const fn ended(self, on_restart: OnRestart) -> Ended {
        match self {
            Self::Finished => Ended::Finished,
            Self::Failed => Ended::Failed,
            Self::Retry => Ended::Retry,
            Self::Stopped => Ended::Stopped,
            Self::Interrupted => Ended::Interrupted(on_restart),
        }
    }
}

/// One change to actions that exist, as in the store's batches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Control {
    Command(Id, Ask),
    End(Key, End),
    PauseQueue,
    ResumeQueue,
    StopAll,
    /// With what lives, and true if the rest was claimed and never begun, because an actor died.
    Recover(Vec<Key>, bool),
}

/// The receiver of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ReplyTo {
    Client(Request),
    Own,
}

/// An action to be queued, of its own or as a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct New {
    pub(crate) copy_of: Option<Id>,
    pub(crate) queued_at: Time,
    /// It may not start yet.
    pub(crate) waits: bool,
    pub(crate) request: Request,
}

/// The decision on a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    Moved,
    Stayed,
    Forced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Affected {
    pub(crate) key: Key,
    pub(crate) state: State,
    pub(crate) said: Said,
}

/// The answer of the store to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    Durable {
        controls: Vec<(Control, ReplyTo, Option<Vec<Affected>>)>,
        submissions: Vec<(Request, Option<Id>)>,
        claimed: Vec<Key>,
        /// Number of actions that could have been claimed.
        claim: usize,
        /// The queue after the batch: true if it is paused, and the number of waiting actions.
        seen: (bool, u8),
        /// The actions that may not start yet; the time of the first of them is told.
        not_due: Set,
    },
    /// With the controls to be retried, if the actor puts them back (only by mistake).
    Failed(Vec<(Control, ReplyTo)>),
}

/// The wish for an attempt, as in the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Wish {
    Run,
    Pause,
    Stop,
    Force,
}

/// An attempt, as shared by queue, worker and work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(crate) key: Key,
    pub(crate) slot: u8,
    pub(crate) wish: Wish,
    pub(crate) interrupted: bool,
    /// It was asked to stop because its time is over.
    pub(crate) timed_out: bool,
    pub(crate) ended: Option<End>,
    /// Number of failed attempts before it.
    pub(crate) failures: u8,
    /// True while the queue keeps it, because its end is not durable as far as the queue knows.
    pub(crate) listed: bool,
}

/// A message in a worker's mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ToWorker {
    Run(Key),
    Steer(Key, Wish),
    Interrupt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    None,
    Alive,
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) worker: Worker,
    /// Set by the worker, even if there is no queue actor.
    pub(crate) idle: bool,
    pub(crate) inbox: Vec<ToWorker>,
    pub(crate) running: Option<Key>,
    /// True if the running work was abandoned, and its thread is only waited for.
    pub(crate) abandoned: bool,
    /// Attempts whose grace period runs.
    pub(crate) timers: Vec<Key>,
}

/// A message in the queue actor's mailbox. A client's command is taken as it is sent: one that waits
/// there is the same as one that is sent later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ToQueue {
    Submissions,
    Committed(Reply),
    /// With the slot that it frees, if it does.
    AttemptEnded(Key, End, Option<u8>),
    SlotFreed(u8),
    WorkerLost(u8),
    Drain,
    Interrupt,
    Force,
}

/// The queue actor's own memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Queue {
    /// Number of batches in flight.
    pub(crate) in_flight: u8,
    pub(crate) backing_off: bool,
    /// The pause as the actor alone knows it (only by mistake).
    pub(crate) paused: bool,
    /// The actions that may not start yet: the queue knows their number, and the time of the first.
    pub(crate) not_due: Set,
    /// The timer is set for that time.
    pub(crate) timer: bool,
    /// No claim is made whatever waits (only by mistake).
    pub(crate) rests: bool,
}

impl Queue {
    /// The clock shows the time of the first that may not start yet, or a later one.
    pub(crate) const fn is_due(&self, not_due: Set) -> bool {
        self.not_due.has_more_than(not_due)
    }

    /// One of so many queued actions may start, as far as the queue knows.
    pub(crate) const fn has_ready(&self, queued: u8, not_due: Set) -> bool {
        queued as usize > self.not_due.len() || (queued > 0 && self.is_due(not_due))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Actor {
    /// It is dead; messages to it are lost.
    Down,
    /// Its address is known, but it has not begun yet.
    Published,
    Up(Queue),
}

/// The phase of the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    Draining,
    Interrupted,
    Forced,
}

/// The part that is lost with the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) actor: Actor,
    pub(crate) mailbox: Vec<ToQueue>,
    pub(crate) inbox: Inbox,
    /// Batches that the store has not sealed yet, in their order: by the actor that enlisted each.
    pub(crate) enlisted: Vec<Generation>,
    /// The batch that the store writes.
    pub(crate) writing: Option<Batch>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) free: Set,
    pub(crate) attempts: Vec<Attempt>,
    /// The queue after the last change that the server knows of: true if it was paused, and the number of waiting actions.
    pub(crate) seen: (bool, u8),
    /// The actions whose end somebody waits for.
    pub(crate) waiters: Set,
    pub(crate) phase: Phase,
    /// A queue of this server has heard that what ran before is recovered.
    pub(crate) recovered: bool,
    /// A late report was dropped.
    pub(crate) dropped: bool,
}

impl Server {
    pub(crate) fn attempt(&self, key: Key) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.key == key)
    }

    pub(crate) fn attempt_mut(&mut self, key: Key) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.key == key)
    }

    /// The queue actor, if it is up.
    pub(crate) const fn queue(&self) -> Option<&Queue> {
        match &self.actor {
            Actor::Up(queue) => Some(queue),
            Actor::Down | Actor::Published => None,
        }
    }

    pub(crate) const fn queue_mut(&mut self) -> Option<&mut Queue> {
        match &mut self.actor {
            Actor::Up(queue) => Some(queue),
            Actor::Down | Actor::Published => None,
        }
    }

    pub(crate) fn tell(&mut self, message: ToQueue) {
        if self.actor != Actor::Down {
            self.mailbox.push(message);
        }
    }

    /// Returns the number of attempts that may still start.
    pub(crate) const fn free_slots(&self, slots: usize) -> usize {
        slots.saturating_sub(self.slots.len() - self.free.len())
    }

    /// Nothing is on its way to the store.
    pub(crate) const fn store_rests(&self) -> bool {
        self.enlisted.is_empty() && self.writing.is_none()
    }

    /// Every attempt whose work runs, also one that was abandoned.
    pub(crate) fn works(&self) -> impl Iterator<Item = Key> {
        self.slots.iter().filter_map(|slot| slot.running)
    }
}

/// The clients: what they know and have done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Clients {
    /// Number of requests that were made.
    pub(crate) made: Request,
    /// The requests that have their answer, or get none.
    pub(crate) closed: Set,
    /// The ids they were told of.
    pub(crate) submitted: Set,
    pub(crate) told_cancelled: Set,
    pub(crate) told_stopping: Set,
    pub(crate) pause: Pause,
}

/// The queue's pause, as clients know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Pause {
    #[default]
    No,
    /// This request asks for it, and nobody has asked to resume since.
    Asked(Request),
    /// It was acknowledged, and nobody has asked to resume since.
    Told,
}

/// Number of events so far of each limited kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Spent {
    pub(crate) actor_crashes: u8,
    pub(crate) server_crashes: u8,
    pub(crate) store_failures: u8,
    pub(crate) worker_deaths: u8,
    pub(crate) late_reports: u8,
    pub(crate) shutdowns: u8,
}

/// The whole state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) durable: Durable,
    pub(crate) server: Option<Server>,
    pub(crate) clients: Clients,
    pub(crate) spent: Spent,
    /// The actions that have run, if none may run twice.
    pub(crate) ran: Set,
    /// The laws about steps that were broken on the way here.
    pub(crate) broken: Vec<Law>,
}
