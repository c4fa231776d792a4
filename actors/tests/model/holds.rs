//! The protocol keeps every law: small models here, larger ones by hand.

use std::time::Instant;

use actiond_actors::lifecycle::OnRestart;
use stateright::{Checker as _, Model as _};

use crate::reach::Reach;
use crate::setup::{Ask, Setup};

/// Goes through every state of the model and fails with the shortest way to a broken law.
fn holds(name: &str, setup: Setup) {
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
const TO_ONE: &[Ask] = &[
    Ask::Cancel(1),
    Ask::Stop(1),
    Ask::ChangePriority(1),
    Ask::Pause(1),
    Ask::Resume(1),
    Ask::Duplicate(1),
];
/// Every command to the queue, and some to each of two actions.
const TO_QUEUE: &[Ask] = &[
    Ask::Submit,
    Ask::Cancel(2),
    Ask::Stop(1),
    Ask::ChangePriority(2),
    Ask::PauseQueue,
    Ask::ResumeQueue,
    Ask::StopAll,
];
/// What leaves a trace in an attempt, or waits for one.
const STEERING: &[Ask] = &[Ask::Stop(1), Ask::Pause(1), Ask::Resume(1), Ask::Wait(1)];
/// What must survive.
const DURABLE: &[Ask] = &[Ask::Submit, Ask::Cancel(1), Ask::Stop(1), Ask::PauseQueue];

const COMMANDS: Setup = Setup {
    asks: TO_ONE,
    requests: 3,
    reaches: &[Reach::STOP_LOSES, Reach::STOP_WINS, Reach::FORCED, Reach::TWO_ON_THE_WAY],
    ..Setup::QUIET
};
const TWO_ON_ONE_SLOT: Setup = Setup {
    waiting: &[0, 0],
    asks: TO_QUEUE,
    requests: 2,
    reaches: &[Reach::STOP_LOSES, Reach::STOP_WINS],
    ..Setup::QUIET
};
const TWO_SLOTS: Setup = Setup {
    slots: 2,
    reaches: &[Reach::BOTH_BUSY, Reach::DUPLICATED, Reach::CLAIMS_AHEAD],
    asks: &[Ask::Duplicate(1), Ask::Stop(1), Ask::PauseQueue, Ask::Cancel(2)],
    requests: 2,
    ..Setup::QUIET
};
const NO_PAUSE: Setup = Setup {
    can_pause: false,
    asks: &[Ask::PauseQueue, Ask::ResumeQueue, Ask::Pause(1), Ask::Resume(1)],
    requests: 3,
    ..Setup::QUIET
};
const SOME_AT_A_TIME: Setup = Setup {
    asks: &[Ask::Submit, Ask::Cancel(1)],
    requests: 2,
    submissions: 1,
    store_failures: 1,
    actor_crashes: 1,
    reaches: &[Reach::LEFT_OVER, Reach::TWO_ON_THE_WAY],
    ..Setup::QUIET
};
const REBUILT: Setup = Setup {
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
const REBUILT_TWO_SLOTS: Setup = Setup {
    waiting: &[0, 1],
    slots: 2,
    asks: &[Ask::Stop(1)],
    requests: 1,
    actor_crashes: 1,
    reaches: &[Reach::ORPHAN, Reach::REPORT_DROPPED, Reach::BOTH_BUSY],
    ..Setup::QUIET
};
const REQUEUED: Setup = Setup {
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
const FAILED: Setup = Setup {
    waiting: &[0, 1],
    on_restart: OnRestart::Fail,
    asks: DURABLE,
    requests: 1,
    server_crashes: 2,
    reaches: &[Reach::FAILED_BY_CRASH, Reach::CUT_OFF],
    ..Setup::QUIET
};
const BOTH_CRASH: Setup = Setup {
    asks: &[Ask::Stop(1), Ask::Cancel(1)],
    requests: 1,
    actor_crashes: 2,
    server_crashes: 1,
    reaches: &[Reach::RUNS_AGAIN, Reach::ORPHAN],
    ..Setup::QUIET
};
const STORE_FAILS: Setup = Setup {
    waiting: &[0, 0],
    asks: &[Ask::Stop(1), Ask::Submit, Ask::PauseQueue],
    requests: 1,
    actor_crashes: 1,
    store_failures: 2,
    reaches: &[Reach::BACKING_OFF, Reach::ORPHAN],
    ..Setup::QUIET
};
const WORKERS_DIE: Setup = Setup {
    waiting: &[0, 0],
    slots: 2,
    worker_deaths: 1,
    actor_crashes: 1,
    reaches: &[Reach::BOTH_BUSY],
    ..Setup::QUIET
};
const THREADS: Setup = Setup {
    waiting: &[0, 0],
    on_thread: true,
    asks: &[Ask::Stop(1), Ask::StopAll],
    requests: 2,
    actor_crashes: 1,
    reaches: &[Reach::ABANDONED, Reach::FORCED, Reach::REPORT_DROPPED],
    ..Setup::QUIET
};
const SHUTDOWN: Setup = Setup {
    asks: &[Ask::Stop(1)],
    requests: 1,
    actor_crashes: 1,
    shutdowns: 1,
    reaches: &[Reach::REQUEUED, Reach::RUNS_AGAIN, Reach::CUT_OFF, Reach::STOP_WINS],
    ..Setup::QUIET
};
const SHUTDOWN_FAIL: Setup = Setup {
    on_restart: OnRestart::Fail,
    on_thread: true,
    shutdowns: 1,
    asks: &[Ask::Stop(1)],
    requests: 1,
    reaches: &[Reach::CUT_OFF, Reach::ABANDONED],
    ..Setup::QUIET
};
const CLOCK: Setup = Setup {
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

/// The same with more of everything, some twenty minutes in all:
///
/// `cargo test --release -p actiond-actors --test model -- --ignored --nocapture --test-threads 1`
mod larger {
    use super::*;

    #[test]
    #[ignore = "takes minutes"]
    fn commands() {
        holds("large: commands", Setup { requests: 4, ..COMMANDS });
        holds("large: some at a time", Setup { requests: 3, ..SOME_AT_A_TIME });
        holds("large: two on one slot", Setup { requests: 3, ..TWO_ON_ONE_SLOT });
        holds("large: two slots", Setup { waiting: &[0, 1], requests: 3, ..TWO_SLOTS });
    }

    #[test]
    #[ignore = "takes minutes"]
    fn crashes_of_actors() {
        let asks = &[
            Ask::Stop(1),
            Ask::Pause(1),
            Ask::Resume(1),
            Ask::Wait(1),
            Ask::Cancel(1),
            Ask::Submit,
        ];
        holds("large: rebuilt", Setup { asks, requests: 3, actor_crashes: 2, ..REBUILT });
        holds("large: rebuilt, two slots", Setup { requests: 2, ..REBUILT_TWO_SLOTS });
    }

    #[test]
    #[ignore = "takes minutes"]
    fn crashes_of_servers() {
        holds(
            "large: requeued",
            Setup { asks: DURABLE, requests: 3, server_crashes: 2, ..REQUEUED },
        );
        holds("large: failed", Setup { requests: 3, ..FAILED });
        holds("large: both crash", Setup { requests: 3, ..BOTH_CRASH });
    }

    #[test]
    #[ignore = "takes minutes"]
    fn failures() {
        holds("large: store fails", Setup { requests: 2, server_crashes: 1, ..STORE_FAILS });
        let asks = &[Ask::Stop(1)];
        let workers_die = Setup { asks, requests: 1, worker_deaths: 2, ..WORKERS_DIE };
        holds("large: workers die", workers_die);
        let waiting = &[0, 0, 0, 0];
        let together = Setup { waiting, worker_deaths: 2, ..WORKERS_DIE };
        holds("large: workers die, four wait", together);
        holds("large: threads", Setup { requests: 3, actor_crashes: 2, ..THREADS });
    }

    #[test]
    #[ignore = "takes minutes"]
    fn shutdowns() {
        let asks = &[Ask::Submit, Ask::Stop(1), Ask::Pause(1)];
        holds("large: shutdown", Setup { asks, requests: 2, store_failures: 1, ..SHUTDOWN });
        holds("large: shutdown, Fail", Setup { waiting: &[0, 0], requests: 2, ..SHUTDOWN_FAIL });
    }
}
