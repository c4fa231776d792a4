//! The setup of a model: initial state, limits on events, requests of clients, and a
//! built-in mistake.

use actiond_actors::lifecycle::{Command, OnRestart};

use crate::laws::Law;
use crate::reach::Reach;
use crate::world::Id;

/// The setup of a model: limits on events, and a built-in mistake.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The priorities of the actions that wait when it begins.
    pub(crate) waiting: &'static [i8],
    /// Those of them that may not start yet.
    pub(crate) not_due: &'static [Id],
    /// `MaxAttempts`.
    pub(crate) attempts: u8,
    /// An action is tried again after some time, not at once.
    pub(crate) delays: bool,
    /// `MaxRestarts`; 0 = no limit.
    pub(crate) max_restarts: u8,
    /// `MaximumThreads`.
    pub(crate) slots: usize,
    pub(crate) on_restart: OnRestart,
    /// True if this kind of action can pause.
    pub(crate) can_pause: bool,
    /// The work runs on threads, which can't be forced but only abandoned.
    pub(crate) on_thread: bool,
    /// An attempt may have worked for longer than it may.
    pub(crate) time_limit: bool,
    /// The clock may show 0, 1 or 2 whenever it is asked.
    pub(crate) clock_jumps: bool,
    /// The requests that clients make, each any number of times within `requests`.
    pub(crate) asks: &'static [Ask],
    pub(crate) requests: u8,
    /// Maximum number of submissions in one batch.
    pub(crate) submissions: usize,
    pub(crate) actor_crashes: u8,
    pub(crate) server_crashes: u8,
    pub(crate) store_failures: u8,
    pub(crate) worker_deaths: u8,
    /// Reports of earlier attempts that turn up again, as from a server that was cut off.
    pub(crate) late_reports: u8,
    pub(crate) shutdowns: u8,
    /// The states that must be reached: a model that never gets there proves nothing.
    pub(crate) reaches: &'static [Reach],
    /// The mistake.
    pub(crate) fault: Option<Fault>,
}

impl Setup {
    /// One action on one slot, and nothing that disturbs it.
    pub(crate) const QUIET: Self = Self {
        waiting: &[0],
        not_due: &[],
        attempts: 1,
        delays: true,
        max_restarts: 0,
        slots: 1,
        on_restart: OnRestart::Requeue,
        can_pause: true,
        on_thread: false,
        time_limit: false,
        clock_jumps: false,
        asks: &[],
        requests: 0,
        submissions: 8,
        actor_crashes: 0,
        server_crashes: 0,
        store_failures: 0,
        worker_deaths: 0,
        late_reports: 0,
        shutdowns: 0,
        reaches: &[],
        fault: None,
    };

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

/// A mistake that a model can have built in; the laws must notice it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A queue that starts does not look for what ran before.
    NoRecovery,
    /// Recovery writes over actions that have ended.
    RecoveryOverwrites,
    /// Actions to start are chosen before the transaction that starts them, and not checked again.
    ClaimNotAtomic,
    /// An action that was stopped is tried again.
    RetryAfterStop,
    /// Reports are taken without a look at the number of the attempt.
    LateReportTaken,
    /// Work starts before its start is durable.
    StartBeforeDurable,
    /// A stop goes to the slot, whichever attempt it runs by then.
    StopToSlot,
    /// Clients get their answer once the batch is sealed.
    AnswerBeforeDurable,
    /// The next id is counted anew from the actions that wait.
    IdsFromMemory,
    /// The slot is freed before the end of its attempt is told.
    SlotFreedFirst,
    /// Equal and higher priorities start latest first.
    LatestFirst,
    /// Times are written as the clock shows them.
    ClockTrusted,
    /// Recovery forgets the counts.
    CountsForgotten,
    /// A failed batch drops the requests in it without an answer, and keeps them as asked.
    AnswerForgotten,
    /// A client gets an answer at once and another when it is durable.
    AnsweredTwice,
    /// A pause of the queue is noted by its actor and not looked at in the transaction.
    PauseInMemory,
    /// A slot that is freed wakes nobody.
    NoPumpOnSlotFreed,
    /// A rebuilt actor takes running attempts for lost.
    LiveForgotten,
    /// A rebuilt actor does not pass on what the rows say of the attempts that still run.
    WishesNotRenewed,
    /// A rebuilt actor does not know that the server shuts down.
    DrainForgotten,
    /// An attempt that starts after the shutdown's interruption is not interrupted.
    LateStartGoesOn,
    /// A worker that dies while there is no queue actor is never missed.
    DeathUnnoticed,
    /// A rebuilt actor wakes nobody who waits for an end that its predecessor wrote.
    WaitersForgotten,
    /// After a failed batch the next is sent at once, though nothing has changed.
    HotRetry,
    /// The same where all but the claims of a batch could be written.
    HotClaims,
    /// The worker passes on wishes that the queue has passed on itself, though they may be old.
    SteeredTwice,
    /// The answer to a batch overtakes what came to the actor's mailbox before it: a message that frees
    /// a slot comes after the slot was given away again.
    StaleSlotFreed,
    /// A dead actor's batch takes what its successor has gathered.
    OldBatchTakes,
    /// A dead actor's batch claims while there is no other actor yet.
    ClosedClaims,
    /// Actions that were claimed and have no worker yet are not subtracted from the free slots.
    ClaimedForgotten,
    /// The free slots are counted after the controls were taken.
    SlotsReadLate,
    /// Changes that must be retried come back only when the actor hears of the failure.
    PutBackLate,
    /// A dead actor's controls come back to its successor. The only one that breaks nothing: they come
    /// before its recovery is sealed, which then decides anew, and reports are dropped the second time.
    OldControlsComeBack,
    /// A new actor takes its predecessor's batch for its own, and waits for it to be sealed.
    AskedSurvives,
    /// A client that leaves a submission tells the actor that it knew before.
    OldActorTold,
    /// The slots of all workers that have died are free as soon as the first death is heard of.
    LostTogether,
    /// The slot of a dead worker is free before the end of what it was given is put in.
    LossToldLater,
    /// A cancel of an action that runs is taken for a stop.
    CancelStops,
    /// Work that ends by itself after it was asked to stop is reported as stopped.
    FinishTakenForStop,
    /// A finish that comes when the action is stopping is written as stopped.
    StopOverwritesFinish,
    /// Work that says it was stopped is believed, though nobody asked it to.
    UnaskedStopTaken,
    /// Actions start by arrival alone.
    PriorityIgnored,
    /// An attempt that starts after all was forced is only asked.
    LateStartAsked,
    /// A queue whose store failed never tries again by itself.
    NeverTriesAgain,
    /// A queue whose slots are all taken asks the store for starts, and asks again.
    BusyRounds,
    /// Failures are not counted.
    FailuresForgotten,
    /// A client's retry of an action in Error does not begin to count anew.
    FailuresKept,
    /// An action that fails after it was asked to stop is tried again.
    StopForgotten,
    /// A thread that was given up because its time was over is tried again beside itself.
    AbandonedRetried,
    /// A retry that a client asks for leaves any final state.
    RetryOfAny,
    /// A retry that a client asks for waits for its time all the same.
    RetryWaits,
    /// Restarts are not counted.
    RestartsForgotten,
    /// An action is given up at the first restart.
    GivenUpAtOnce,
    /// An action that was claimed when the queue's actor died, and never began, is recovered as one that ran.
    ActorDeathCounts,
    /// A queue claims before it has heard of its first recovery, so that it can't tell the ones from the others should its actor
    /// die then.
    ClaimsEarly,
    /// Claims do not look at the time before which an action may not start.
    StartsEarly,
    /// Claims end at the first action that may not start yet.
    NotDueBlocks,
    /// The timer for what may not start yet is set only after a submission.
    TimerOfDeadLost,
    /// A queue whose timer fires does not know that it may claim again.
    TimerInVain,
    /// A queue takes all that waits for not due if some is, though it had no slot to claim with.
    RestsUnclaimed,
    /// The same if it claimed less than it could, though the starts could not be written.
    RestsAfterFailure,
}

impl Fault {
    /// The law that this mistake breaks.
    pub(crate) const fn breaks(self) -> Law {
        match self {
            Self::IdsFromMemory => Law::Q1,
            Self::AnswerBeforeDurable => Law::Q2,
            Self::RetryAfterStop | Self::CancelStops | Self::StopForgotten => Law::Q3,
            Self::SlotFreedFirst
            | Self::StaleSlotFreed
            | Self::ClosedClaims
            | Self::ClaimedForgotten
            | Self::SlotsReadLate
            | Self::LostTogether
            | Self::LossToldLater => Law::Q4,
            Self::StartBeforeDurable => Law::Q5,
            Self::ClaimNotAtomic | Self::StopToSlot => Law::Q6,
            Self::RecoveryOverwrites => Law::Q7,
            Self::LatestFirst | Self::PriorityIgnored => Law::Q8,
            Self::ClockTrusted => Law::Q9,
            Self::CountsForgotten => Law::Q10,
            Self::AnswerForgotten | Self::AnsweredTwice => Law::Q11,
            Self::PauseInMemory => Law::Q12,
            Self::NoPumpOnSlotFreed | Self::DeathUnnoticed => Law::Q13,
            Self::LateReportTaken
            | Self::LiveForgotten
            | Self::PutBackLate
            | Self::OldControlsComeBack => Law::Q14,
            Self::FinishTakenForStop | Self::StopOverwritesFinish | Self::UnaskedStopTaken => {
                Law::Ends
            }
            Self::NeverTriesAgain | Self::BusyRounds => Law::AtLast,
            Self::FailuresForgotten | Self::FailuresKept => Law::Tries,
            Self::AbandonedRetried => Law::Q14,
            Self::RetryOfAny => Law::Q7,
            Self::RestartsForgotten
            | Self::GivenUpAtOnce
            | Self::ActorDeathCounts
            | Self::ClaimsEarly => Law::GivesUp,
            Self::StartsEarly => Law::NotBefore,
            Self::RetryWaits => Law::Retried,
            Self::NotDueBlocks
            | Self::TimerOfDeadLost
            | Self::TimerInVain
            | Self::RestsUnclaimed
            | Self::RestsAfterFailure => Law::Q13,
            Self::NoRecovery | Self::OldBatchTakes => Law::Run,
            Self::AskedSurvives | Self::OldActorTold => Law::Fetched,
            Self::WishesNotRenewed | Self::SteeredTwice => Law::Wishes,
            Self::DrainForgotten => Law::Drained,
            Self::LateStartGoesOn => Law::Interrupted,
            Self::LateStartAsked => Law::Forced,
            Self::WaitersForgotten => Law::Woken,
            Self::HotRetry | Self::HotClaims => Law::BacksOff,
        }
    }
}

/// A request of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Submit,
    /// A submission that may not start yet.
    SubmitLater,
    Duplicate(Id),
    Cancel(Id),
    Stop(Id),
    ChangePriority(Id),
    Pause(Id),
    Resume(Id),
    /// Start the next attempt as soon as there is a slot.
    Retry(Id),
    PauseQueue,
    ResumeQueue,
    StopAll,
    /// Not a change: wait for the end.
    Wait(Id),
}

impl Ask {
    /// The rules' word for a command to one action.
    pub(crate) const fn command(self, can_pause: bool) -> Option<(Id, Command)> {
        Some(match self {
            Self::Cancel(id) => (id, Command::Cancel),
            Self::Stop(id) => (id, Command::Stop),
            Self::ChangePriority(id) => (id, Command::ChangePriority(1)),
            Self::Pause(id) => (id, Command::Pause { supported: can_pause }),
            Self::Resume(id) => (id, Command::Resume),
            Self::Retry(id) => (id, Command::Retry),
            _ => return None,
        })
    }

    /// The action it is about, 0 if none.
    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::Duplicate(id)
            | Self::Cancel(id)
            | Self::Stop(id)
            | Self::ChangePriority(id)
            | Self::Pause(id)
            | Self::Resume(id)
            | Self::Retry(id)
            | Self::Wait(id) => id,
            Self::Submit
            | Self::SubmitLater
            | Self::PauseQueue
            | Self::ResumeQueue
            | Self::StopAll => 0,
        }
    }
}
