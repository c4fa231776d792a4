//! The protocol keeps every law: small models here, larger ones, by hand, in [`crate::larger`].

use std::time::Instant;

use actiond_actors::lifecycle::OnRestart;
use stateright::{Checker as _, Model as _};

use crate::reach::Reach;
use crate::setup::{Ask, Setup};

/// Goes through every state of the model and fails with the shortest way to a broken law.
pub(crate) fn holds(name: &str, setup: Setup) {
    let since = Instant::now();
    let checker = setup.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps deep, {:.1} s",
        checker.unique_state_count(),
        checker.max_depth(),
        since.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

/// Every command to action 1.
pub(crate) const TO_ONE: &[Ask] = &[
    Ask::Cancel(1),
    Ask::Stop(1),
    Ask::ChangePriority(1),
    Ask::Pause(1),
    Ask::Resume(1),
    Ask::Duplicate(1),
];
/// Every command to the queue, and some to each of two actions.
pub(crate) const TO_QUEUE: &[Ask] = &[
    Ask::Submit,
    Ask::Cancel(2),
    Ask::Stop(1),
    Ask::ChangePriority(2),
    Ask::PauseQueue,
    Ask::ResumeQueue,
    Ask::StopAll,
];
/// Every command there is.
pub(crate) const EVERY: &[Ask] = &[
    Ask::Submit,
    Ask::Duplicate(1),
    Ask::Cancel(1),
    Ask::Stop(1),
    Ask::ChangePriority(1),
    Ask::Pause(1),
    Ask::Resume(1),
    Ask::PauseQueue,
    Ask::ResumeQueue,
    Ask::StopAll,
];
/// What leaves a trace in an attempt, or waits for one.
pub(crate) const STEERING: &[Ask] = &[Ask::Stop(1), Ask::Pause(1), Ask::Resume(1), Ask::Wait(1)];
/// What must survive.
pub(crate) const DURABLE: &[Ask] = &[Ask::Submit, Ask::Cancel(1), Ask::Stop(1), Ask::PauseQueue];

pub(crate) const COMMANDS: Setup = Setup {
    asks: TO_ONE,
    requests: 3,
    reaches: &[Reach::STOP_LOSES, Reach::STOP_WINS, Reach::FORCED, Reach::TWO_ON_THE_WAY],
    ..Setup::QUIET
};
pub(crate) const TWO_ON_ONE_SLOT: Setup = Setup {
    waiting: &[0, 0],
    asks: TO_QUEUE,
    requests: 2,
    reaches: &[Reach::STOP_LOSES, Reach::STOP_WINS],
    ..Setup::QUIET
};
pub(crate) const TWO_SLOTS: Setup = Setup {
    slots: 2,
    reaches: &[Reach::BOTH_BUSY, Reach::DUPLICATED, Reach::CLAIMS_AHEAD],
    asks: &[Ask::Duplicate(1), Ask::Stop(1), Ask::PauseQueue, Ask::Cancel(2)],
    requests: 2,
    ..Setup::QUIET
};
pub(crate) const NO_PAUSE: Setup = Setup {
    can_pause: false,
    asks: &[Ask::PauseQueue, Ask::ResumeQueue, Ask::Pause(1), Ask::Resume(1)],
    requests: 3,
    ..Setup::QUIET
};
pub(crate) const SOME_AT_A_TIME: Setup = Setup {
    asks: &[Ask::Submit, Ask::Cancel(1)],
    requests: 2,
    submissions: 1,
    store_failures: 1,
    actor_crashes: 1,
    reaches: &[Reach::LEFT_OVER, Reach::TWO_ON_THE_WAY],
    ..Setup::QUIET
};
pub(crate) const REBUILT: Setup = Setup {
    asks: STEERING,
    requests: 2,
    actor_crashes: 1,
    reaches: &[
        Reach::ORPHAN,
        Reach::VOID,
        Reach::REPORT_DROPPED,
        Reach::PAUSED_ADOPTED,
        Reach::WAITS,
    ],
    ..Setup::QUIET
};
pub(crate) const REBUILT_TWO_SLOTS: Setup = Setup {
    waiting: &[0, 1],
    slots: 2,
    asks: &[Ask::Stop(1)],
    requests: 1,
    actor_crashes: 1,
    reaches: &[Reach::ORPHAN, Reach::REPORT_DROPPED, Reach::BOTH_BUSY],
    ..Setup::QUIET
};
pub(crate) const REQUEUED: Setup = Setup {
    asks: &[Ask::Cancel(1), Ask::Stop(1), Ask::PauseQueue],
    requests: 2,
    server_crashes: 1,
    late_reports: 1,
    reaches: &[
        Reach::REQUEUED,
        Reach::RUNS_AGAIN,
        Reach::PAUSE_SURVIVES,
        Reach::CUT_OFF,
        Reach::REPORT_DROPPED,
    ],
    ..Setup::QUIET
};
pub(crate) const FAILED: Setup = Setup {
    waiting: &[0, 1],
    on_restart: OnRestart::Fail,
    asks: DURABLE,
    requests: 1,
    server_crashes: 2,
    reaches: &[Reach::FAILED_BY_CRASH, Reach::CUT_OFF],
    ..Setup::QUIET
};
pub(crate) const BOTH_CRASH: Setup = Setup {
    asks: &[Ask::Stop(1), Ask::Cancel(1)],
    requests: 1,
    actor_crashes: 2,
    server_crashes: 1,
    reaches: &[Reach::RUNS_AGAIN, Reach::ORPHAN],
    ..Setup::QUIET
};
/// Two actions on two slots, and a server that is cut off at any moment.
pub(crate) const BOTH_REQUEUED: Setup = Setup {
    waiting: &[0, 1],
    slots: 2,
    asks: &[Ask::Cancel(1), Ask::Stop(1), Ask::Pause(1), Ask::PauseQueue, Ask::StopAll],
    requests: 1,
    server_crashes: 1,
    late_reports: 1,
    reaches: &[
        Reach::BOTH_CUT_OFF,
        Reach::AGAIN_BESIDE,
        Reach::BOTH_AGAIN,
        Reach::REPORT_DROPPED,
        Reach::STOP_LOSES,
        Reach::STOP_WINS,
    ],
    ..Setup::QUIET
};
pub(crate) const BOTH_FAILED: Setup = Setup {
    on_restart: OnRestart::Fail,
    reaches: &[Reach::BOTH_CUT_OFF, Reach::BOTH_FAILED, Reach::STOP_LOSES, Reach::STOP_WINS],
    ..BOTH_REQUEUED
};
/// The same with every command and a worker that dies, before or after.
pub(crate) const ALL_DIE: Setup = Setup {
    asks: EVERY,
    late_reports: 0,
    worker_deaths: 1,
    reaches: &[
        Reach::BOTH_CUT_OFF,
        Reach::AGAIN_BESIDE,
        Reach::BOTH_AGAIN,
        Reach::DIES_BESIDE,
        Reach::STOP_WINS,
    ],
    ..BOTH_REQUEUED
};
pub(crate) const ALL_DIE_FAIL: Setup = Setup {
    on_restart: OnRestart::Fail,
    reaches: &[Reach::BOTH_CUT_OFF, Reach::BOTH_FAILED, Reach::DIES_BESIDE, Reach::STOP_WINS],
    ..ALL_DIE
};
pub(crate) const STORE_FAILS: Setup = Setup {
    waiting: &[0, 0],
    asks: &[Ask::Stop(1), Ask::Submit, Ask::PauseQueue],
    requests: 1,
    actor_crashes: 1,
    store_failures: 2,
    reaches: &[Reach::BACKING_OFF, Reach::ORPHAN],
    ..Setup::QUIET
};
pub(crate) const WORKERS_DIE: Setup = Setup {
    waiting: &[0, 0],
    slots: 2,
    worker_deaths: 1,
    actor_crashes: 1,
    reaches: &[Reach::BOTH_BUSY],
    ..Setup::QUIET
};
pub(crate) const THREADS: Setup = Setup {
    waiting: &[0, 0],
    on_thread: true,
    asks: &[Ask::Stop(1), Ask::StopAll],
    requests: 2,
    actor_crashes: 1,
    reaches: &[Reach::ABANDONED, Reach::FORCED, Reach::REPORT_DROPPED],
    ..Setup::QUIET
};
pub(crate) const SHUTDOWN: Setup = Setup {
    asks: &[Ask::Stop(1)],
    requests: 1,
    actor_crashes: 1,
    shutdowns: 1,
    reaches: &[Reach::REQUEUED, Reach::RUNS_AGAIN, Reach::CUT_OFF, Reach::STOP_WINS],
    ..Setup::QUIET
};
pub(crate) const SHUTDOWN_FAIL: Setup = Setup {
    on_restart: OnRestart::Fail,
    on_thread: true,
    shutdowns: 1,
    asks: &[Ask::Stop(1)],
    requests: 1,
    reaches: &[Reach::CUT_OFF, Reach::ABANDONED],
    ..Setup::QUIET
};
pub(crate) const CLOCK: Setup = Setup {
    clock_jumps: true,
    asks: &[Ask::Submit, Ask::Cancel(1), Ask::Stop(1)],
    requests: 1,
    server_crashes: 1,
    reaches: &[Reach::RUNS_AGAIN],
    ..Setup::QUIET
};

#[test]
fn every_command_to_one_action() {
    holds("commands", COMMANDS);
}

#[test]
fn two_actions_on_one_slot() {
    holds("two on one slot", TWO_ON_ONE_SLOT);
}

#[test]
fn two_slots() {
    holds("two slots", TWO_SLOTS);
}

#[test]
fn a_kind_that_cannot_pause() {
    holds("no pause", NO_PAUSE);
}

#[test]
fn more_submissions_than_a_batch_may_hold() {
    holds("some at a time", SOME_AT_A_TIME);
}

#[test]
fn a_rebuilt_actor_takes_over_what_runs() {
    holds("rebuilt", REBUILT);
    holds("rebuilt, two slots", REBUILT_TWO_SLOTS);
}

#[test]
fn a_restarted_server_requeues() {
    holds("requeued", REQUEUED);
}

#[test]
fn a_restarted_server_fails_what_ran() {
    holds("failed", FAILED);
}

#[test]
fn a_restarted_server_requeues_two() {
    holds("two requeued", BOTH_REQUEUED);
}

#[test]
fn a_restarted_server_fails_two() {
    holds("two failed", BOTH_FAILED);
}

#[test]
fn workers_and_server_die() {
    holds("workers and server die", ALL_DIE);
    holds("workers and server die, Fail", ALL_DIE_FAIL);
}

#[test]
fn actors_and_server_crash() {
    holds("both crash", BOTH_CRASH);
}

#[test]
fn a_store_that_fails() {
    holds("store fails", STORE_FAILS);
}

#[test]
fn workers_that_die() {
    holds("workers die", WORKERS_DIE);
}

#[test]
fn threads_that_do_not_stop() {
    holds("threads", THREADS);
}

#[test]
fn a_shutdown() {
    holds("shutdown", SHUTDOWN);
    holds("shutdown, Fail", SHUTDOWN_FAIL);
}

#[test]
fn a_clock_that_jumps() {
    holds("clock", CLOCK);
}
