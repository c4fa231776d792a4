//! All that there is, as plain data, and how a model of it is set up.

use std::collections::BTreeSet;

use actiond_actors::State;
use actiond_actors::lifecycle::{Ended, OnRestart};

use super::laws::Law;

pub(super) type Id = u8;
/// Which incarnation of a server, from 1; 0 is nobody.
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
    /// Who runs it.
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
    /// Its time is over, and nobody has acted on that: it may be renewed.
    Over,
    /// Somebody has recovered what its owner ran.
    Dead,
}

/// What a server knows of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// It holds by the server's own measure.
    Held,
    /// It is over by that, and nothing was heard of the store.
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

/// Work that is under way, or a start that the server has not heard of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) key: Key,
    /// Under which owner it was claimed.
    pub(super) owner: Owner,
    pub(super) wish: Wish,
    /// It is forced because of the lease, and by nobody's will.
    pub(super) interrupted: bool,
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
    /// Written down as started; the answer is on its way.
    pub(super) claimed: Vec<Run>,
    pub(super) runs: Vec<Run>,
    pub(super) reports: Vec<Report>,
    /// The actions whose end its clients wait for.
    pub(super) waits: BTreeSet<Id>,
    /// Submissions that are acknowledged and not written: a mistake's only.
    pub(super) unwritten: Vec<Id>,
    /// It has asked for a start, with its lease in hand and its slot free.
    pub(super) sealed: bool,
    /// What it has picked to start before the transaction: a mistake's only.
    pub(super) picked: Option<Id>,
}

/// What the store tells an owner about what others did.
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
    /// Of each incarnation, the first one's in front.
    pub(super) leases: Vec<Lease>,
    pub(super) servers: [Option<Server>; 2],
    pub(super) notices: BTreeSet<Notice>,
    pub(super) spent: Spent,
    /// The submissions that were acknowledged.
    pub(super) acknowledged: BTreeSet<Id>,
    /// The actions of which a client was told that they are cancelled.
    pub(super) told_cancelled: BTreeSet<Id>,
    /// How often work on each action was begun, by id.
    pub(super) begun: Vec<(Id, u8)>,
    /// Which ends were believed.
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

/// What clients ask, of either server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    Submit,
    Stop(Id),
    Cancel(Id),
    /// Not a change: wait for the end.
    Wait(Id),
}

/// What there is at first, what happens at most, and which mistake is built in.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// How many actions wait at first.
    pub(super) actions: Id,
    pub(super) on_restart: OnRestart,
    /// How many slots each server has.
    pub(super) slots: usize,
    /// The work ends only when it is asked to.
    pub(super) endless: bool,
    pub(super) asks: &'static [Ask],
    pub(super) most_asks: u8,
    pub(super) crashes: u8,
    /// How often a server that lives loses touch with the store for longer than its lease.
    pub(super) cut_offs: u8,
    /// How many notices are lost.
    pub(super) lost: u8,
    /// How many reports are written, and sent again because the answer was lost.
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
    /// An end is taken of whatever attempt, as long as the action runs somewhere.
    EndUnfenced,
    /// An end is held against the owner, and not against the attempt.
    EndByOwnerOnly,
    /// An end is held against the attempt, and not against the owner. It breaks nothing: no two owners have the
    /// same attempt at an action, since each start makes a new one.
    EndByAttemptOnly,
    /// A server that starts takes for lost whatever runs and is not its own, as it may where it is alone.
    RecoverIgnoresOwner,
    /// Whatever another owner runs is recovered, whether its lease is over or not.
    RecoverBeforeExpiry,
    /// Nobody recovers what others ran.
    NoReclaim,
    /// What ended with its server runs again, also where it may run only once.
    FailRunsAgain,
    /// A notice that is lost is never made up for.
    NeverRepeated,
    /// An owner whose lease is over still claims.
    ClaimWithoutLease,
    /// What starts is chosen before the transaction that starts it, and not looked at again.
    ClaimNotAtomic,
    /// A start that is heard of after the lease is begun all the same.
    LateClaimBegun,
    /// A server measures its lease from the answer, and not from before it asked for it.
    LeaseMeasuredLate,
    /// A server that has lost its lease goes on under the same number.
    IncarnationReused,
    /// A server that has lost its lease begins anew before what it ran has ended.
    NewOwnerAtOnce,
    /// An owner of which others have recovered is renewed as if nothing had been.
    DeadRenewed,
    /// A submission is acknowledged before it is written.
    AckBeforeDurable,
}

impl Fault {
    /// The law that this mistake breaks; `None` where it breaks none.
    pub(super) const fn breaks(self) -> Option<Law> {
        Some(match self {
            Self::AckBeforeDurable => Law::Q2,
            Self::LateClaimBegun | Self::LeaseMeasuredLate | Self::IncarnationReused => Law::Q5,
            Self::ClaimNotAtomic => Law::Q6,
            Self::NeverRepeated => Law::Q11,
            Self::EndUnfenced | Self::EndByOwnerOnly => Law::Q14,
            Self::FailRunsAgain => Law::Once,
            Self::RecoverIgnoresOwner | Self::RecoverBeforeExpiry => Law::Spared,
            Self::ClaimWithoutLease => Law::Leased,
            Self::NewOwnerAtOnce => Law::OneHere,
            Self::NoReclaim | Self::DeadRenewed => Law::AtLast,
            Self::EndByAttemptOnly => return None,
        })
    }
}
