//! Retries, restarts and starts that must wait for a time: the models that keep every law, and the mistakes that each break
//! one.

use crate::circles::find;
use crate::fails::fails;
use crate::holds::holds;
use crate::reach::Reach;
use crate::setup::{Ask, Fault, Setup};

/// What fails is tried again, after some time.
pub(crate) const TRIED_AGAIN: Setup = Setup {
    attempts: 2,
    asks: &[Ask::Stop(1), Ask::Cancel(1), Ask::Retry(1), Ask::PauseQueue],
    requests: 2,
    reaches: &[
        Reach::WAITS_FOR_TIME,
        Reach::RUNS_AGAIN,
        Reach::CANCELLED_AGAIN,
        Reach::FAILED_FOR_GOOD,
    ],
    ..Setup::QUIET
};
/// At once, beside another action, with an actor that dies.
const AT_ONCE: Setup = Setup {
    waiting: &[0, 0],
    attempts: 2,
    delays: false,
    actor_crashes: 1,
    reaches: &[Reach::RUNS_AGAIN, Reach::ORPHAN, Reach::FAILED_FOR_GOOD],
    ..Setup::QUIET
};
/// Two actions on two slots, at once.
pub(crate) const TWO_TRIED_AGAIN: Setup = Setup {
    waiting: &[0, 1],
    slots: 2,
    attempts: 2,
    delays: false,
    late_reports: 1,
    reaches: &[Reach::RUNS_AGAIN, Reach::BOTH_AGAIN, Reach::REPORT_DROPPED],
    ..Setup::QUIET
};
/// A server that dies between and during two attempts.
const CUT_OFF: Setup = Setup {
    attempts: 2,
    server_crashes: 1,
    late_reports: 1,
    asks: &[Ask::Retry(1)],
    requests: 1,
    reaches: &[Reach::RUNS_AGAIN, Reach::WAITS_FOR_TIME, Reach::CUT_OFF, Reach::REPORT_DROPPED],
    ..Setup::QUIET
};
/// A client's retry of what has failed for good, which begins anew with both counts.
pub(crate) const BEGUN_ANEW: Setup = Setup {
    attempts: 2,
    asks: &[Ask::Retry(1), Ask::Wait(1)],
    requests: 2,
    actor_crashes: 1,
    reaches: &[Reach::FAILED_FOR_GOOD, Reach::BEGUN_ANEW],
    ..Setup::QUIET
};
/// A server that dies again and again.
pub(crate) const GIVEN_UP: Setup = Setup {
    max_restarts: 2,
    server_crashes: 3,
    asks: &[Ask::Retry(1), Ask::Stop(1)],
    requests: 1,
    reaches: &[Reach::RUNS_AGAIN, Reach::FAILED_BY_CRASH, Reach::BEGUN_ANEW],
    ..Setup::QUIET
};
/// Some may not start yet.
pub(crate) const NOT_BEFORE: Setup = Setup {
    waiting: &[1, 0, 0],
    not_due: &[1, 3],
    actor_crashes: 1,
    asks: &[Ask::Retry(1), Ask::Cancel(3)],
    requests: 1,
    reaches: &[Reach::PASSED_BY],
    ..Setup::QUIET
};
/// The same with a store that fails, and a pause.
pub(crate) const NOT_BEFORE_FAILS: Setup = Setup {
    waiting: &[0, 0],
    not_due: &[2],
    store_failures: 1,
    asks: &[Ask::SubmitLater, Ask::PauseQueue, Ask::ResumeQueue, Ask::Duplicate(2)],
    requests: 1,
    reaches: &[Reach::BACKING_OFF, Reach::PASSED_BY],
    ..Setup::QUIET
};
/// Threads whose time is over, and that do not stop.
pub(crate) const TIMED_OUT: Setup = Setup {
    slots: 2,
    attempts: 2,
    on_thread: true,
    time_limit: true,
    asks: &[Ask::Stop(1)],
    requests: 1,
    reaches: &[Reach::GIVEN_UP_THREAD, Reach::RUNS_AGAIN],
    ..Setup::QUIET
};
/// A shutdown while something fails.
const SHUT_DOWN: Setup = Setup {
    attempts: 2,
    shutdowns: 1,
    actor_crashes: 1,
    reaches: &[Reach::CUT_OFF, Reach::RUNS_AGAIN, Reach::WAITS_FOR_TIME],
    ..Setup::QUIET
};

#[test]
fn what_fails_is_tried_again() {
    holds("tried again", TRIED_AGAIN);
    holds("tried again at once", AT_ONCE);
    holds("two tried again", TWO_TRIED_AGAIN);
    holds("tried again by the next server", CUT_OFF);
}

#[test]
fn a_client_begins_anew_with_what_has_failed_for_good() {
    holds("begun anew", BEGUN_ANEW);
}

#[test]
fn what_runs_at_each_death_of_its_server_is_given_up() {
    holds("given up", GIVEN_UP);
}

#[test]
fn what_may_not_start_yet_waits_and_keeps_nothing_from_starting() {
    holds("not before", NOT_BEFORE);
    holds("not before, store fails", NOT_BEFORE_FAILS);
}

#[test]
fn threads_whose_time_is_over() {
    holds("timed out", TIMED_OUT);
}

#[test]
fn a_shutdown_between_attempts() {
    holds("shutdown between attempts", SHUT_DOWN);
}

/// So the law about ends leaves out none: see [`crate::circles`].
#[test]
fn every_way_ends() {
    let waits = Setup { waiting: &[0, 0], not_due: &[2], store_failures: 1, ..Setup::QUIET };
    for setup in [TRIED_AGAIN, BEGUN_ANEW, GIVEN_UP, waits] {
        assert_eq!(find(&setup), None);
    }
}

#[test]
fn failures_that_are_not_counted() {
    fails(Fault::FailuresForgotten, Setup { attempts: 2, ..Setup::QUIET });
}

#[test]
fn a_count_that_does_not_begin_anew() {
    fails(Fault::FailuresKept, Setup { actor_crashes: 0, requests: 1, ..BEGUN_ANEW });
}

#[test]
fn a_failure_after_a_stop_that_is_tried_again() {
    let setup = Setup { asks: &[Ask::Stop(1)], requests: 1, attempts: 2, ..Setup::QUIET };
    fails(Fault::StopForgotten, setup);
}

#[test]
fn a_thread_that_is_tried_again_beside_itself() {
    let setup = Setup { slots: 2, on_thread: true, time_limit: true, ..Setup::QUIET };
    fails(Fault::AbandonedRetried, Setup { attempts: 2, ..setup });
}

#[test]
fn a_retry_of_what_has_finished() {
    fails(Fault::RetryOfAny, Setup { asks: &[Ask::Retry(1)], requests: 1, ..Setup::QUIET });
}

#[test]
fn a_retry_that_waits_all_the_same() {
    let setup = Setup { asks: &[Ask::Retry(1)], requests: 1, not_due: &[1], ..Setup::QUIET };
    fails(Fault::RetryWaits, setup);
}

#[test]
fn restarts_that_are_not_counted_or_count_too_much() {
    let setup = Setup { max_restarts: 2, server_crashes: 2, ..Setup::QUIET };
    fails(Fault::RestartsForgotten, setup.clone());
    fails(Fault::GivenUpAtOnce, setup);
}

#[test]
fn the_death_of_an_actor_that_counts_as_that_of_a_server() {
    let setup = Setup { max_restarts: 2, actor_crashes: 1, ..Setup::QUIET };
    fails(Fault::ActorDeathCounts, setup.clone());
    fails(Fault::ClaimsEarly, setup);
}

#[test]
fn a_start_before_its_time() {
    fails(Fault::StartsEarly, Setup { waiting: &[0, 0], not_due: &[1], ..Setup::QUIET });
}

#[test]
fn what_may_not_start_yet_and_keeps_others_from_starting() {
    fails(Fault::NotDueBlocks, Setup { waiting: &[1, 0], not_due: &[1], ..Setup::QUIET });
}

#[test]
fn a_timer_that_is_lost_or_fires_in_vain() {
    let setup = Setup { waiting: &[0, 0], not_due: &[2], actor_crashes: 1, ..Setup::QUIET };
    fails(Fault::TimerOfDeadLost, setup.clone());
    fails(Fault::TimerInVain, setup);
}

#[test]
fn a_queue_that_rests_though_it_claimed_nothing_for_lack_of_a_slot() {
    let setup = Setup { waiting: &[0, 0, 0], not_due: &[3], on_thread: true, ..Setup::QUIET };
    fails(Fault::RestsUnclaimed, Setup { asks: &[Ask::Stop(1)], requests: 1, ..setup });
}

#[test]
fn a_queue_that_rests_though_its_store_has_failed() {
    let setup = Setup { waiting: &[0, 0], not_due: &[2], store_failures: 1, ..Setup::QUIET };
    fails(Fault::RestsAfterFailure, setup);
}
