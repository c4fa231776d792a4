//! The models of [`crate::holds`] with more of everything, some half an hour in all:
//!
//! `cargo test --release -p actiond-actors --test model -- --ignored --nocapture --test-threads 1`

use crate::holds::*;
use crate::reach::Reach;
use crate::retried::{
    GIVEN_UP, NOT_BEFORE, NOT_BEFORE_FAILS, TIMED_OUT, TRIED_AGAIN, TWO_TRIED_AGAIN,
};
use crate::setup::{Ask, Setup};

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
    let asks =
        &[Ask::Stop(1), Ask::Pause(1), Ask::Resume(1), Ask::Wait(1), Ask::Cancel(1), Ask::Submit];
    holds("large: rebuilt", Setup { asks, requests: 3, actor_crashes: 2, ..REBUILT });
    holds("large: rebuilt, two slots", Setup { requests: 2, ..REBUILT_TWO_SLOTS });
}

#[test]
#[ignore = "takes minutes"]
fn crashes_of_servers() {
    holds("large: requeued", Setup { asks: DURABLE, requests: 3, server_crashes: 2, ..REQUEUED });
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

/// Retries, restarts and starts that must wait.
#[test]
#[ignore = "takes minutes"]
fn attempts() {
    holds("large: tried again", Setup { requests: 3, actor_crashes: 1, ..TRIED_AGAIN });
    let asks = &[Ask::Retry(1)];
    let two = Setup { delays: true, server_crashes: 1, asks, requests: 1, ..TWO_TRIED_AGAIN };
    holds("large: two tried again", two);
    holds("large: given up", Setup { requests: 2, actor_crashes: 1, ..GIVEN_UP });
    holds("large: not before", Setup { requests: 2, store_failures: 1, ..NOT_BEFORE });
    let failing = Setup { requests: 2, store_failures: 2, ..NOT_BEFORE_FAILS };
    holds("large: not before, store fails", failing);
    holds("large: timed out", Setup { waiting: &[0, 0], ..TIMED_OUT });
}

/// All at once: two actions on two slots, every command, a crash at every point, a worker's death, late reports.
#[test]
#[ignore = "takes minutes"]
fn everything_requeued() {
    holds("large: everything, Requeue", Setup { late_reports: 1, ..ALL_DIE });
}

#[test]
#[ignore = "takes minutes"]
fn everything_failed() {
    holds("large: everything, Fail", Setup { late_reports: 1, ..ALL_DIE_FAIL });
}

/// What only a second command shows, such as a pause and a resume.
#[test]
#[ignore = "takes minutes"]
fn two_commands_requeued() {
    let reaches = &[Reach::BOTH_CUT_OFF, Reach::BOTH_AGAIN, Reach::PAUSE_SURVIVES];
    let two = Setup { requests: 2, worker_deaths: 0, ..ALL_DIE };
    holds("large: two requeued, 2 commands", Setup { reaches, ..two });
}

/// The actor dies as well.
#[test]
#[ignore = "takes minutes"]
fn all_three_die() {
    let reaches = &[Reach::BOTH_CUT_OFF, Reach::BOTH_AGAIN, Reach::DIES_BESIDE, Reach::ORPHAN];
    holds("large: all die, the actor too", Setup { actor_crashes: 1, reaches, ..ALL_DIE });
}
