//! The state of the model of owners, as plain data, and its setup.

use std::collections::BTreeSet;

use actiond_actors::State;
use actiond_actors::lifecycle::{Ended, OnRestart};

use super::fault::Fault;
use super::laws::{Law, Reached};

pub(super) type Id = u8;
/// Number of a server's incarnation, from 1; 0 is nobody.
pub(super) type Owner = u8;

/// One attempt at one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) id: Id,
    pub(super) attempt: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) id: Id,
    pub(super) state: State,
    pub(super) attempt: u8,
    /// The owner that runs it.
    pub(super) owner: Owner,
}

impl Row {
    pub(super) const fn key(&self) -> Key {
        Key { id: self.id, attempt: self.attempt }
    }
}

/// A lease as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lease {
    Holds,
    /// It has expired, and nobody has recovered from it: it may be renewed.
    Over,
    /// Another owner has recovered its owner's actions.
    Dead,
}

/// A lease as its server knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// It holds by the server's own measure.
    Held,
    /// It has expired by that measure, and the store was not reached.
    InDoubt,
    /// The store has said that it is lost.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Wish {
    Run,
    Stop,
    Force,
}

/// Running work, or a start that the server has not heard of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) key: Key,
    /// The owner that claimed it.
    pub(super) owner: Owner,
    pub(super) wish: Wish,
    /// True if it is forced because of the lease, not by a command.
    pub(super) interrupted: bool,
    /// It began under another owner, and goes on elsewhere.
    pub(super) resumed: bool,
    /// Its server stood still after it had looked at its lease, and before the work began.
    pub(super) stood_still: bool,
}

impl Run {
    pub(super) const fn new(key: Key, owner: Owner) -> Self {
        Self { key, owner, wish: Wish::Run, interrupted: false, resumed: false, stood_still: false }
    }
}

/// The changes of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Write {
    /// It starts this action.
    Claim(Id),
    Report(Report),
    Ask(Ask),
    Reclaim,
}

/// A transaction whose answer was lost, and that the database still has: it holds its locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) owner: Owner,
    pub(super) write: Write,
}

/// The fate of a transaction whose answer was lost, as the number of its owner's last one tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// It has not ended.
    InFlight,
    Undone,
    Done(Brought),
}

/// The answer that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Brought {
    Nothing,
    Started(Run),
    Submitted(Id),
    Cancelled(Id),
}

/// A transaction of which its server does not know whether it was committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lost {
    pub(super) owner: Owner,
    pub(super) write: Write,
    pub(super) fate: Fate,
    /// Attempts that it took over, if it is done.
    pub(super) taken: Vec<Run>,
    /// The callers were told that nobody knows. It is settled before anything else is written.
    pub(super) unsettled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Finished,
    Stopped,
    Interrupted,
    /// It was claimed and never begun.
    GivenBack,
}

impl End {
    pub(super) const fn ended(self, on_restart: OnRestart) -> Ended {
        match self {
            Self::Finished => Ended::Finished,
            Self::Stopped => Ended::Stopped,
            Self::Interrupted => Ended::Interrupted(on_restart),
            Self::GivenBack => Ended::Interrupted(OnRestart::Requeue),
        }
    }
}

/// The end of an attempt that its server has to write down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Report {
    pub(super) key: Key,
    /// The owner that ran it.
    pub(super) owner: Owner,
    pub(super) end: End,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) owner: Owner,
    pub(super) standing: Standing,
    /// Started in the store; the answer is on its way.
    pub(super) claimed: Vec<Run>,
    /// The lease was looked at, and the work begins next.
    pub(super) starting: Vec<Run>,
    pub(super) runs: Vec<Run>,
    pub(super) reports: Vec<Report>,
    /// The actions whose end its clients wait for.
    pub(super) waits: BTreeSet<Id>,
    /// Submissions that are acknowledged and not written (only by mistake).
    pub(super) unwritten: Vec<Id>,
    /// True if it has enlisted a claim, while its lease held and its slot was free.
    pub(super) sealed: bool,
    /// The action that it picked before the transaction (only by mistake).
    pub(super) picked: Option<Id>,
    pub(super) lost: Option<Lost>,
}

/// A notice of the store to an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Notice {
    Steer { to: Owner, key: Key, wish: Wish },
    Ended { to: Owner, id: Id },
}

impl Notice {
    pub(super) const fn to(self) -> Owner {
        match self {
            Self::Steer { to, .. } | Self::Ended { to, .. } => to,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Spent {
    pub(super) crashes: u8,
    pub(super) cut_offs: u8,
    pub(super) lost: u8,
    pub(super) repeats: u8,
    pub(super) asks: u8,
    pub(super) freezes: u8,
    pub(super) answers: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) rows: Vec<Row>,
    /// The leases of all incarnations, in order.
    pub(super) leases: Vec<Lease>,
    pub(super) servers: [Option<Server>; 2],
    pub(super) notices: BTreeSet<Notice>,
    pub(super) flights: Vec<Flight>,
    /// The queue is paused.
    pub(super) paused: bool,
    pub(super) spent: Spent,
    /// The submissions that were acknowledged.
    pub(super) acknowledged: BTreeSet<Id>,
    /// The actions of which a client was told that they are cancelled.
    pub(super) told_cancelled: BTreeSet<Id>,
    /// Number of times that work on each action was begun.
    pub(super) begun: Vec<(Id, u8)>,
    /// The attempts whose ends were accepted.
    pub(super) believed: Vec<Key>,
    /// Number of submissions that clients sent.
    pub(super) submitted: u8,
    pub(super) broken: Vec<Law>,
}

impl World {
    pub(super) fn row(&self, id: Id) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    pub(super) fn lease(&self, owner: Owner) -> Lease {
        self.leases[usize::from(owner) - 1]
    }

    pub(super) fn set_lease(&mut self, owner: Owner, lease: Lease) {
        self.leases[usize::from(owner) - 1] = lease;
    }

    pub(super) fn server_of(&self, owner: Owner) -> Option<&Server> {
        self.servers.iter().flatten().find(|server| server.owner == owner)
    }

    pub(super) fn times_begun(&self, id: Id) -> u8 {
        self.begun.iter().find(|(of, _)| *of == id).map_or(0, |(_, times)| *times)
    }

    pub(super) fn broke(&mut self, law: Law) {
        if !self.broken.contains(&law) {
            self.broken.push(law);
        }
    }
}

/// A request of a client to either server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    Submit,
    Stop(Id),
    Cancel(Id),
    Pause,
    Resume,
    /// Not a change: wait for the end.
    Wait(Id),
}

/// The setup of the model: initial state, limits on events, and a built-in mistake.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// Number of actions that wait at first.
    pub(super) actions: Id,
    pub(super) on_restart: OnRestart,
    /// Number of slots of each server.
    pub(super) slots: usize,
    /// The work ends only when it is asked to.
    pub(super) endless: bool,
    pub(super) asks: &'static [Ask],
    pub(super) most_asks: u8,
    pub(super) crashes: u8,
    /// Maximum number of times that a live server loses the store for longer than its lease.
    pub(super) cut_offs: u8,
    /// Maximum number of lost notices.
    pub(super) lost: u8,
    /// Maximum number of reports that are written, and sent again because the answer was lost.
    pub(super) repeats: u8,
    /// Maximum number of times that a server stands still for longer than its lease, wherever it is.
    pub(super) freezes: u8,
    /// Maximum number of transactions whose answers are lost.
    pub(super) answers: u8,
    /// States that it must come by at some time.
    pub(super) reaches: &'static [Reached],
    pub(super) fault: Option<Fault>,
}

impl Setup {
    pub(super) const QUIET: Self = Self {
        actions: 1,
        on_restart: OnRestart::Requeue,
        slots: 1,
        endless: false,
        asks: &[],
        most_asks: 0,
        crashes: 0,
        cut_offs: 0,
        lost: 0,
        repeats: 0,
        freezes: 0,
        answers: 0,
        reaches: &[],
        fault: None,
    };

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}
