//! The state of the model of owners, as plain data, and its setup.

use std::collections::BTreeSet;

use actiond_actors::State;
use actiond_actors::lifecycle::{Ended, OnRestart};

use super::laws::Law;

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
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) rows: Vec<Row>,
    /// The leases of all incarnations, in order.
    pub(super) leases: Vec<Lease>,
    pub(super) servers: [Option<Server>; 2],
    pub(super) notices: BTreeSet<Notice>,
    pub(super) spent: Spent,
    /// The submissions that were acknowledged.
    pub(super) acknowledged: BTreeSet<Id>,
    /// The actions of which a client was told that they are cancelled.
    pub(super) told_cancelled: BTreeSet<Id>,
    /// Number of times that work on each action was begun.
    pub(super) begun: Vec<(Id, u8)>,
    /// The attempts whose ends were accepted.
    pub(super) believed: Vec<Key>,
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
        fault: None,
    };

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

/// A mistake that a model can have built in; the laws must notice it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The end of any attempt is accepted, as long as the action runs somewhere.
    EndUnfenced,
    /// An end is checked by owner, not by attempt.
    EndByOwnerOnly,
    /// An end is checked by attempt, not by owner. It breaks nothing where each start makes a new attempt: then no two
    /// owners have the same one. An attempt that is resumed is that of two.
    EndByAttemptOnly,
    /// A server that goes on as another owner recovers before it has reported what it ran as the former one.
    RecoversFirst,
    /// An attempt is resumed though the lease was lost meanwhile under which it was taken over.
    ResumedOver,
    /// A server that starts recovers all running actions, as it may only if it is alone.
    RecoverIgnoresOwner,
    /// Actions of other owners are recovered even if their lease holds.
    RecoverBeforeExpiry,
    /// Nobody recovers the actions of others.
    NoReclaim,
    /// An action that was lost with its server runs again, even if it may run only once.
    FailRunsAgain,
    /// A notice that is lost is never made up for.
    NeverRepeated,
    /// An owner whose lease is over still claims.
    ClaimWithoutLease,
    /// Actions to start are chosen before the transaction that starts them, and not checked again.
    ClaimNotAtomic,
    /// A start is begun even if its answer comes after the lease has expired.
    LateClaimBegun,
    /// A server measures its lease from the answer, not from the request.
    LeaseMeasuredLate,
    /// A server that has lost its lease goes on under the same number.
    IncarnationReused,
    /// A server that has lost its lease becomes a new owner before its running actions have ended.
    NewOwnerAtOnce,
    /// A dead owner's lease is renewed.
    DeadRenewed,
    /// A submission is acknowledged before it is written.
    AckBeforeDurable,
}

impl Fault {
    /// The law that this mistake breaks.
    pub(super) const fn breaks(self) -> Law {
        match self {
            Self::AckBeforeDurable => Law::Q2,
            Self::LateClaimBegun | Self::LeaseMeasuredLate | Self::IncarnationReused => Law::Q5,
            Self::ClaimNotAtomic => Law::Q6,
            Self::NeverRepeated => Law::Q11,
            Self::EndUnfenced
            | Self::EndByOwnerOnly
            | Self::EndByAttemptOnly
            | Self::RecoversFirst => Law::Q14,
            Self::FailRunsAgain => Law::Once,
            Self::RecoverIgnoresOwner | Self::RecoverBeforeExpiry => Law::Spared,
            Self::ClaimWithoutLease => Law::Leased,
            Self::NewOwnerAtOnce | Self::ResumedOver => Law::OneHere,
            Self::NoReclaim | Self::DeadRenewed => Law::AtLast,
        }
    }
}
