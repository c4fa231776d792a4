//! The mistakes, and the law that each breaks.

use super::laws::Law;

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
    /// The first action is not started first.
    ClaimsLast,
    /// A stop is forgotten with the server that ran the action.
    StopLostWithServer,
    /// A server that stood still does not notice: the clock by which it measures its lease stood still as well.
    FreezeNotMeasured,
    /// The database is asked for the fate of a transaction before that has ended.
    FoundOutTooEarly,
    /// A transaction that could not be found out is forgotten: the server writes on.
    UnsettledForgotten,
    /// An action that was started in vain is put back as if it had run.
    PutBackAsInterrupted,
    /// An attempt that was taken over in vain is not let go of.
    TakenInVainKept,
    /// A submission whose answer was lost is written again, though it was committed.
    RepeatedBlindly,
    /// A submission is acknowledged though nobody knows whether it was committed.
    AcknowledgedInDoubt,
    /// A client is told that an action is cancelled though nobody knows whether that was committed.
    CancelledInDoubt,
    /// A server claims for its free slots before it has found out what its last transaction has started.
    SealsBeforeFoundOut,
    /// An owner is declared dead in the middle of a transaction.
    DeclaredInFlight,
    /// A pause does not wait for the transactions that start something.
    PauseOvertakes,
    /// A paused queue starts something.
    ClaimIgnoresPause,
}

impl Fault {
    /// The law that this mistake breaks.
    pub(super) const fn breaks(self) -> Law {
        match self {
            Self::AckBeforeDurable | Self::AcknowledgedInDoubt => Law::Q2,
            Self::StopLostWithServer => Law::Q3,
            Self::SealsBeforeFoundOut => Law::Q4,
            Self::LateClaimBegun
            | Self::LeaseMeasuredLate
            | Self::IncarnationReused
            | Self::FreezeNotMeasured => Law::Q5,
            Self::ClaimNotAtomic | Self::CancelledInDoubt => Law::Q6,
            Self::ClaimsLast => Law::Q8,
            Self::PauseOvertakes | Self::ClaimIgnoresPause => Law::Q12,
            Self::RepeatedBlindly => Law::Single,
            Self::PutBackAsInterrupted => Law::NeverBegun,
            Self::NeverRepeated => Law::Q11,
            Self::EndUnfenced
            | Self::EndByOwnerOnly
            | Self::EndByAttemptOnly
            | Self::RecoversFirst => Law::Q14,
            Self::FailRunsAgain => Law::Once,
            Self::RecoverIgnoresOwner | Self::RecoverBeforeExpiry => Law::Spared,
            Self::ClaimWithoutLease | Self::DeclaredInFlight => Law::Leased,
            Self::NewOwnerAtOnce | Self::ResumedOver => Law::OneHere,
            Self::NoReclaim
            | Self::DeadRenewed
            | Self::FoundOutTooEarly
            | Self::UnsettledForgotten
            | Self::TakenInVainKept => Law::AtLast,
        }
    }
}
