//! Each of a list of mistakes, built into one step, breaks a law. Without it the same model holds. One breaks none.

use actiond_actors::lifecycle::OnRestart;
use stateright::{Checker as _, HasDiscoveries, Model as _};

use super::fault::Fault;
use super::holds::{
    ANSWERS_OF_THE_DEAD, CLIENTS, CRASH, CUT_OFF, FROZEN, PAUSES, STOPS, TWO, UNANSWERED,
};
use super::world::Setup;

/// A server that stands still.
const FREEZE: Setup = Setup { asks: &[], crashes: 0, ..FROZEN };
/// One answer to a commit that is lost.
const ANSWER: Setup = Setup { answers: 1, ..Setup::QUIET };

/// Finds a shortest way to the law that the mistake breaks.
fn fails(fault: Fault, setup: Setup) {
    let law = fault.breaks().name();
    let right = setup.clone().checker().threads(2).spawn_bfs().join();
    assert!(right.discovery(law).is_none(), "{law} does not hold without {fault:?}");
    let wrong = Setup { fault: Some(fault), ..setup };
    let found = wrong
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyOf([law].into()))
        .spawn_bfs()
        .join()
        .discovery(law);
    let Some(way) = found else { panic!("{fault:?} does not break {law}") };
    println!("{fault:?} breaks {law}:");
    for event in way.into_actions() {
        println!("    {event:?}");
    }
}

fn once(setup: &Setup) -> Setup {
    Setup { on_restart: OnRestart::Fail, ..setup.clone() }
}

fn resumed(setup: &Setup) -> Setup {
    Setup { on_restart: OnRestart::Resume, ..setup.clone() }
}

#[test]
fn an_end_that_is_not_held_against_its_attempt() {
    fails(Fault::EndUnfenced, CUT_OFF);
    fails(Fault::EndByOwnerOnly, CUT_OFF);
}

/// Each start makes a new attempt, so no two owners have the same one.
#[test]
fn an_end_that_is_held_against_its_attempt_alone_breaks_nothing_where_each_start_makes_one() {
    for setup in [CRASH, CUT_OFF] {
        let wrong = Setup { fault: Some(Fault::EndByAttemptOnly), ..setup };
        wrong.checker().threads(2).spawn_bfs().join().assert_properties();
    }
}

/// An attempt that goes on elsewhere is that of two owners, one after the other.
#[test]
fn an_end_that_is_held_against_its_attempt_alone_where_another_owner_goes_on_with_it() {
    fails(Fault::EndByAttemptOnly, resumed(&CUT_OFF));
}

#[test]
fn a_recovery_that_overtakes_what_a_former_owner_had_to_report() {
    fails(Fault::RecoversFirst, resumed(&CUT_OFF));
}

/// It takes three owners to notice: one loses the attempt that the second takes over and loses, too, before it hears of that;
/// and once the third has lost it, the second has it twice, the first time under its former number.
#[test]
fn an_attempt_that_is_resumed_without_a_lease() {
    let setup = Setup { crashes: 1, cut_offs: 2, ..Setup::QUIET };
    fails(Fault::ResumedOver, resumed(&setup));
}

#[test]
fn a_recovery_that_takes_what_another_owner_runs() {
    fails(Fault::RecoverIgnoresOwner, CRASH);
    fails(Fault::RecoverBeforeExpiry, CRASH);
}

#[test]
fn nobody_who_recovers() {
    fails(Fault::NoReclaim, CRASH);
}

#[test]
fn what_may_run_once_and_runs_again() {
    fails(Fault::FailRunsAgain, once(&CRASH));
}

#[test]
fn a_lost_notice_that_is_never_repeated() {
    fails(Fault::NeverRepeated, STOPS);
    fails(Fault::NeverRepeated, CLIENTS);
}

#[test]
fn a_claim_without_a_lease() {
    fails(Fault::ClaimWithoutLease, CUT_OFF);
}

#[test]
fn a_claim_that_is_chosen_before_its_transaction() {
    fails(Fault::ClaimNotAtomic, CLIENTS);
}

#[test]
fn a_start_that_is_heard_of_too_late() {
    for setup in [CUT_OFF, once(&CUT_OFF)] {
        fails(Fault::LateClaimBegun, setup.clone());
        fails(Fault::LeaseMeasuredLate, setup);
    }
}

#[test]
fn a_number_of_an_owner_that_is_used_again() {
    fails(Fault::IncarnationReused, CUT_OFF);
}

#[test]
fn a_new_owner_beside_what_the_former_one_runs() {
    fails(Fault::NewOwnerAtOnce, Setup { slots: 2, cut_offs: 1, ..CUT_OFF });
}

#[test]
fn a_dead_owner_that_is_renewed() {
    fails(Fault::DeadRenewed, Setup { endless: true, cut_offs: 1, ..CUT_OFF });
}

#[test]
fn a_submission_that_is_acknowledged_too_early() {
    fails(Fault::AckBeforeDurable, CLIENTS);
}

#[test]
fn what_is_first_and_starts_last() {
    fails(Fault::ClaimsLast, Setup { crashes: 0, cut_offs: 0, ..TWO });
}

#[test]
fn a_stop_that_is_forgotten_with_its_server() {
    fails(Fault::StopLostWithServer, STOPS);
}

#[test]
fn a_server_that_does_not_notice_that_it_stood_still() {
    for setup in [FREEZE, once(&FREEZE)] {
        fails(Fault::FreezeNotMeasured, setup);
    }
}

#[test]
fn an_answer_that_is_looked_for_too_early() {
    for setup in [ANSWER, once(&ANSWER)] {
        fails(Fault::FoundOutTooEarly, setup);
    }
}

#[test]
fn an_answer_that_is_looked_for_no_longer() {
    for setup in [ANSWER, once(&ANSWER), resumed(&ANSWER)] {
        fails(Fault::UnsettledForgotten, setup);
    }
}

#[test]
fn what_was_started_in_vain_and_counts_as_interrupted() {
    fails(Fault::PutBackAsInterrupted, once(&ANSWER));
}

#[test]
fn what_was_taken_over_in_vain_and_kept() {
    fails(Fault::TakenInVainKept, resumed(&ANSWERS_OF_THE_DEAD));
}

#[test]
fn a_submission_that_is_written_again() {
    fails(Fault::RepeatedBlindly, UNANSWERED);
}

#[test]
fn clients_that_are_told_what_nobody_knows() {
    fails(Fault::AcknowledgedInDoubt, UNANSWERED);
    fails(Fault::CancelledInDoubt, UNANSWERED);
}

#[test]
fn slots_that_are_given_away_before_the_last_answer() {
    let setup = Setup { actions: 2, ..ANSWER };
    fails(Fault::SealsBeforeFoundOut, setup);
}

#[test]
fn an_owner_that_is_declared_dead_in_the_middle_of_a_transaction() {
    fails(Fault::DeclaredInFlight, Setup { cut_offs: 1, ..ANSWER });
}

#[test]
fn a_pause_that_overtakes_a_start() {
    fails(Fault::PauseOvertakes, PAUSES);
    fails(Fault::ClaimIgnoresPause, PAUSES);
}
