//! The model can fail: each of a list of mistakes, most of them known from other queues, built into
//! one step, breaks a law. Without it the same model holds.

use actiond_actors::lifecycle::OnRestart;
use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::setup::{Ask, Fault, Setup};

/// Finds a way to the law that the mistake breaks.
fn fails(fault: Fault, setup: Setup) {
    let law = fault.breaks().name();
    let right = setup.clone().checker().threads(2).spawn_bfs().join();
    right.assert_properties();
    let wrong = Setup { fault: Some(fault), ..setup }
        .checker()
        .finish_when(HasDiscoveries::AnyOf([law].into()))
        .spawn_bfs()
        .join();
    let Some(way) = wrong.discovery(law) else {
        panic!("{fault:?} does not break {law} in {} states", wrong.unique_state_count())
    };
    println!("{fault:?} breaks {law}:");
    for event in way.into_actions() {
        println!("    {event:?}");
    }
}

#[test]
fn a_start_that_recovers_nothing() {
    fails(Fault::NoRecovery, Setup { server_crashes: 1, ..Setup::QUIET });
}

#[test]
fn a_recovery_that_writes_over_a_finished_action() {
    fails(Fault::RecoveryOverwrites, Setup { server_crashes: 1, ..Setup::QUIET });
}

#[test]
fn a_cancel_between_claim_and_start_that_is_lost() {
    let setup = Setup { waiting: &[0, 0], asks: &[Ask::Cancel(2)], requests: 1, ..Setup::QUIET };
    fails(Fault::ClaimNotAtomic, setup);
}

#[test]
fn a_retry_after_an_abort() {
    fails(Fault::RetryAfterStop, Setup { asks: &[Ask::Stop(1)], requests: 1, ..Setup::QUIET });
}

#[test]
fn a_late_report_of_an_old_attempt_that_is_taken() {
    let setup = Setup { server_crashes: 1, late_reports: 1, ..Setup::QUIET };
    fails(Fault::LateReportTaken, setup);
}

#[test]
fn a_start_before_it_is_durable() {
    let setup = Setup { on_restart: OnRestart::Fail, server_crashes: 1, ..Setup::QUIET };
    fails(Fault::StartBeforeDurable, setup);
}

#[test]
fn a_stop_of_the_slot_instead_of_the_attempt() {
    let setup = Setup { waiting: &[0, 0], asks: &[Ask::Stop(1)], requests: 1, ..Setup::QUIET };
    fails(Fault::StopToSlot, setup);
}

#[test]
fn an_answer_before_the_change_is_durable() {
    let setup = Setup { asks: &[Ask::Cancel(1)], requests: 1, ..Setup::QUIET };
    fails(Fault::AnswerBeforeDurable, setup);
}

#[test]
fn ids_counted_anew_after_a_restart() {
    let setup = Setup { asks: &[Ask::Submit], requests: 1, ..Setup::QUIET };
    fails(Fault::IdsFromMemory, setup);
}

#[test]
fn a_slot_that_is_freed_before_the_end_is_told() {
    fails(Fault::SlotFreedFirst, Setup { waiting: &[0, 0], ..Setup::QUIET });
}

#[test]
fn a_message_that_frees_a_slot_after_it_was_given_away() {
    fails(Fault::StaleSlotFreed, Setup { waiting: &[0, 0, 0], actor_crashes: 1, ..Setup::QUIET });
}

#[test]
fn the_latest_first() {
    fails(Fault::LatestFirst, Setup { waiting: &[0, 0], ..Setup::QUIET });
}

#[test]
fn a_clock_that_is_trusted() {
    fails(Fault::ClockTrusted, Setup { clock_jumps: true, ..Setup::QUIET });
}

#[test]
fn counts_that_recovery_forgets() {
    fails(Fault::CountsForgotten, Setup { server_crashes: 1, ..Setup::QUIET });
}

#[test]
fn requests_without_an_answer_or_with_two() {
    let one = Setup { asks: &[Ask::Cancel(1)], requests: 1, ..Setup::QUIET };
    fails(Fault::AnsweredTwice, one.clone());
    fails(Fault::AnswerForgotten, Setup { store_failures: 1, ..one });
}

#[test]
fn a_pause_that_is_only_in_memory() {
    let asks = &[Ask::PauseQueue];
    let setup = Setup { waiting: &[0, 0], asks, requests: 1, actor_crashes: 1, ..Setup::QUIET };
    fails(Fault::PauseInMemory, setup);
}

#[test]
fn a_freed_slot_that_wakes_nobody() {
    // The thread that was given up frees its slot long after its end was written.
    let setup = Setup { waiting: &[0, 0], on_thread: true, asks: &[Ask::Stop(1)], ..Setup::QUIET };
    fails(Fault::NoPumpOnSlotFreed, Setup { requests: 1, ..setup });
}

#[test]
fn a_rebuilt_actor_that_takes_what_runs_for_lost() {
    let setup = Setup { waiting: &[0, 0], slots: 2, actor_crashes: 1, ..Setup::QUIET };
    fails(Fault::LiveForgotten, setup);
}

#[test]
fn a_rebuilt_actor_that_does_not_pass_on_a_resume() {
    let asks = &[Ask::Pause(1), Ask::Resume(1)];
    fails(Fault::WishesNotRenewed, Setup { asks, requests: 2, actor_crashes: 1, ..Setup::QUIET });
}

#[test]
fn a_rebuilt_actor_that_forgets_the_shutdown() {
    let setup = Setup { waiting: &[0, 0], actor_crashes: 1, shutdowns: 1, ..Setup::QUIET };
    fails(Fault::DrainForgotten, setup);
}

#[test]
fn a_start_in_flight_that_misses_the_interruption() {
    fails(Fault::LateStartGoesOn, Setup { shutdowns: 1, ..Setup::QUIET });
}

#[test]
fn a_worker_that_dies_while_no_actor_hears_it() {
    let setup = Setup { waiting: &[0, 0], worker_deaths: 1, actor_crashes: 1, ..Setup::QUIET };
    fails(Fault::DeathUnnoticed, setup);
}

#[test]
fn a_rebuilt_actor_that_leaves_waiters_waiting() {
    let setup = Setup { asks: &[Ask::Wait(1)], requests: 1, actor_crashes: 1, ..Setup::QUIET };
    fails(Fault::WaitersForgotten, setup);
}

#[test]
fn wishes_that_are_passed_on_twice() {
    let asks = &[Ask::Pause(1), Ask::Resume(1)];
    fails(Fault::SteeredTwice, Setup { asks, requests: 2, ..Setup::QUIET });
}

#[test]
fn a_store_that_is_asked_again_and_again() {
    let asks = &[Ask::ChangePriority(1)];
    let setup = Setup { waiting: &[0, 0], asks, requests: 1, store_failures: 2, ..Setup::QUIET };
    fails(Fault::HotRetry, setup.clone());
    fails(Fault::HotClaims, setup);
}
