//! The state of the model of workers elsewhere, as plain data, and its setup.

use std::collections::BTreeSet;

use actiond_actors::State;

use super::laws::Law;

pub(super) type Id = u8;
/// A worker's number, from 0.
pub(super) type Name = usize;

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
    pub(super) failures: u8,
    /// Number of restarts after which nobody spoke of it.
    pub(super) restarts: u8,
    /// The same number, as the laws count it.
    pub(super) lost: u8,
    /// The way in which its latest attempt ended, if it has.
    pub(super) ended: Option<End>,
}

impl Row {
    pub(super) const fn key(&self) -> Key {
        Key { id: self.id, attempt: self.attempt }
    }
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum End {
    Finished,
    Failed,
    Released,
    /// Its worker was silent for too long.
    Silent,
    /// No worker spoke of it since the server started.
    Lost,
    /// It was stopped by force.
    Forced,
}

/// An attempt that the server knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) key: Key,
    pub(super) failures: u8,
    /// It began in an earlier server, or under a dead actor.
    pub(super) resumed: bool,
    pub(super) end: Option<End>,
    /// Its work has come back with that end, which is kept until it is written.
    pub(super) recorded: bool,
}

/// A batch on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Batch {
    /// Its actor lives.
    pub(super) heard: bool,
    /// The attempts that run, if it recovers the others.
    pub(super) live: Option<Vec<Key>>,
    /// The others were claimed and never began.
    pub(super) unbegun: bool,
    pub(super) ends: Vec<(Key, u8, End)>,
    /// Number of actions that it may start.
    pub(super) claim: usize,
    /// The workers for which it claims.
    pub(super) reserved: Vec<Name>,
    pub(super) answer: Option<Answer>,
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Answer {
    pub(super) claimed: Vec<(Key, u8)>,
    pub(super) resumed: Vec<(Key, u8)>,
    /// The attempts whose ends were believed, and those whose ends were stale.
    pub(super) ended: Vec<(Key, bool)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Server {
    /// Its actor has still to recover what an earlier one ran.
    pub(super) recovers: bool,
    /// An actor has heard of all that was recovered.
    pub(super) recovered: bool,
    pub(super) draining: bool,
    pub(super) batch: Option<Batch>,
    pub(super) jobs: Vec<Job>,
    /// Ends that no batch has taken yet.
    pub(super) ends: Vec<(Key, u8, End)>,
    /// The workers that wait for something to do, in order.
    pub(super) takers: Vec<Name>,
    /// The workers that wait to hear what became of what they said.
    pub(super) tellers: Vec<Name>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Idle,
    /// It has asked for something to do.
    Asks,
    /// It has this attempt.
    Has(Key),
    /// It has said this, and waits for the answer.
    Says(Key, End),
    /// It has to say this again.
    Repeats(Key, End),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Spent {
    pub(super) actor_deaths: u8,
    pub(super) crashes: u8,
    pub(super) shutdowns: u8,
    pub(super) worker_deaths: u8,
    pub(super) silences: u8,
    pub(super) lost_answers: u8,
    pub(super) releases: u8,
    pub(super) stops: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) rows: Vec<Row>,
    pub(super) server: Option<Server>,
    pub(super) workers: [Worker; 2],
    pub(super) spent: Spent,
    /// The attempts that a worker was given.
    pub(super) given: BTreeSet<Key>,
    /// The attempts whose end was believed.
    pub(super) believed: BTreeSet<Key>,
    /// The attempts whose finish was acknowledged.
    pub(super) acknowledged: BTreeSet<Key>,
    pub(super) broken: Vec<Law>,
}

impl World {
    pub(super) fn row(&self, id: Id) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    pub(super) fn running(&self) -> usize {
        self.rows.iter().filter(|row| row.state.is_running()).count()
    }

    pub(super) fn broke(&mut self, law: Law) {
        if !self.broken.contains(&law) {
            self.broken.push(law);
        }
    }
}

/// The setup of the model: initial state, limits on events, and a built-in mistake.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// Number of actions that wait at first.
    pub(super) actions: Id,
    pub(super) slots: usize,
    /// `MaxAttempts`.
    pub(super) attempts: u8,
    /// `MaxRestarts`.
    pub(super) max_restarts: u8,
    pub(super) actor_deaths: u8,
    pub(super) crashes: u8,
    pub(super) shutdowns: u8,
    pub(super) worker_deaths: u8,
    /// Maximum number of times that a worker is silent for the time of its lease.
    pub(super) silences: u8,
    /// Maximum number of answers that a worker does not get.
    pub(super) lost_answers: u8,
    pub(super) releases: u8,
    /// Maximum number of stops by a client.
    pub(super) stops: u8,
    pub(super) fault: Option<Fault>,
}

impl Setup {
    pub(super) const QUIET: Self = Self {
        actions: 1,
        slots: 1,
        attempts: 2,
        max_restarts: 3,
        actor_deaths: 0,
        crashes: 0,
        shutdowns: 0,
        worker_deaths: 0,
        silences: 0,
        lost_answers: 0,
        releases: 0,
        stops: 0,
        fault: None,
    };

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

/// A mistake that a model can have built in; the laws must notice it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Words are taken without a look at the number of the attempt.
    WordsUnfenced,
    /// A finish is acknowledged before it is written.
    AckBeforeDurable,
    /// Each word about an attempt that is over is refused, even if it is what was written.
    RepeatRefused,
    /// A finish of an attempt that is over is acknowledged if its action has ended, however it did.
    RepeatBelieved,
    /// An end that a dead actor wrote already counts for nothing when its successor repeats it.
    WrittenTwiceRefused,
    /// A worker that speaks to a server which has not resumed its attempt yet is refused.
    RefusedTooEarly,
    /// A restart requeues what workers elsewhere have.
    RequeuedAtRestart,
    /// A shutdown tells nobody who waits for an end that it will not be written here.
    DetachedUnanswered,
    /// A shutdown gives back what workers elsewhere have.
    DetachReleases,
    /// A queue claims for free slots, whoever is there.
    DemandIgnored,
    /// What is reserved is lost with the actor.
    ReservedLost,
    /// What is reserved and not claimed is not given back.
    UnclaimedLost,
    /// An attempt that nobody spoke of since a restart counts as a failure, whether a worker had it or not.
    LostIsFailure,
    /// An attempt that nobody spoke of since a restart does not count.
    LostIsFree,
    /// An action that was claimed when the queue's actor died, and never began, goes on like those that workers have.
    ActorDeathCounts,
    /// An attempt that a new actor does not know is taken for never begun, also in a server that has not recovered what ran before.
    UnbegunTooEarly,
    /// Claims beside a recovery count no slots for what is resumed.
    ClaimsBesideResumed,
    /// A silent worker keeps its attempt.
    LeaseForEver,
    /// An attempt that is resumed has no lease.
    ResumedWithoutLease,
}

impl Fault {
    /// The law that this mistake breaks.
    pub(super) const fn breaks(self) -> Law {
        match self {
            Self::AckBeforeDurable | Self::RepeatBelieved => Law::Q2,
            Self::ClaimsBesideResumed => Law::Q4,
            Self::DetachedUnanswered => Law::Q11,
            Self::WordsUnfenced => Law::Q14,
            Self::RepeatRefused | Self::WrittenTwiceRefused | Self::RefusedTooEarly => Law::Refused,
            Self::RequeuedAtRestart | Self::DetachReleases | Self::UnbegunTooEarly => Law::Kept,
            Self::LostIsFailure => Law::Blamed,
            Self::LostIsFree => Law::Bounded,
            Self::ActorDeathCounts => Law::Counted,
            Self::DemandIgnored => Law::Demand,
            Self::ReservedLost | Self::UnclaimedLost => Law::Takers,
            Self::LeaseForEver | Self::ResumedWithoutLease => Law::AtLast,
        }
    }
}
