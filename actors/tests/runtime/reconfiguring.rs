//! Settings of a queue that are replaced while it runs.

use std::time::Duration;

use actiond_actors::testing::{Gate, Plan, Script, eventually};
use actiond_actors::{QueueSettings, State};

use crate::common::{Home, NEVER, at_gate, end, end_state, nothing, state, submit, threads};

#[tokio::test]
async fn more_slots_are_used_at_once_and_fewer_let_what_runs_go_on() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(submit(&home.work, "wait").await);
    }
    gate.until_waiting(1).await;
    home.work.set_settings(threads(4));
    gate.until_waiting(4).await;
    assert_eq!(home.work.settings().maximum_threads, 4);

    home.work.set_settings(threads(2));
    // Two end, and two are left, as many as there may be now. What would start has been decided before the next change is
    // durable.
    gate.let_through(2);
    eventually("two have ended", async || home.work.summary().counts.finished() == 2).await;
    for _ in 0..2 {
        home.work.change_priority(ids[7], 1).await.unwrap();
    }
    assert_eq!(home.work.summary().counts.running(), 2);
    assert_eq!(script.calls().len(), 4);
    gate.open();
    for id in ids {
        end(&home.work, id).await;
    }
    assert_eq!((script.peak(), script.calls().len()), (4, 8));
}

#[tokio::test]
async fn no_slot_is_no_setting() {
    let script = Script::choosing(|_| nothing());
    let home = Home::new(threads(3), &script).await;
    home.work.set_settings(threads(0));
    assert_eq!(home.work.settings().maximum_threads, 1);
    let id = submit(&home.work, "").await;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
}

#[tokio::test]
async fn a_limit_and_a_shorter_memory_hold_at_once() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    for _ in 0..10 {
        let id = submit(&home.work, "").await;
        assert_eq!(end_state(&home.work, id).await, State::Finished);
    }
    let mut settings = threads(1);
    settings.max_finished_size = Some(3);
    settings.max_queue_size = Some(1);
    home.work.set_settings(settings.clone());
    eventually("only three are kept", async || home.work.summary().counts.finished() == 3).await;
    let runs = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    submit(&home.work, "wait").await;
    assert!(home.work.submit(crate::common::to_do("wait")).await.is_err(), "one may wait");
    assert_eq!(state(&home.work, runs).await, State::Processing);
    gate.open();
    eventually("all have ended", async || home.work.summary().counts.running() == 0).await;

    // An age that there was not before is looked at, without anything else that happens.
    settings.max_finished_age = Some(Duration::from_millis(1));
    home.work.set_settings(settings);
    eventually("nothing is kept", async || home.work.summary().counts.finished() == 0).await;
}

#[tokio::test]
async fn a_new_actor_has_the_new_settings() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    for _ in 0..3 {
        submit(&home.work, "wait").await;
    }
    gate.until_waiting(1).await;
    // The message may be lost with the actor.
    home.work.crash_actor();
    home.work.set_settings(threads(3));
    gate.until_waiting(3).await;
    gate.open();
}

#[tokio::test]
async fn who_is_asked_to_stop_has_the_grace_of_now() {
    let gate = Gate::new();
    let script = {
        let gate = gate.clone();
        Script::choosing(move |_| Plan::WaitDeaf(gate.clone()))
    };
    let home = Home::new(QueueSettings { stop_grace: NEVER, ..threads(1) }, &script).await;
    let id = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    home.work.set_settings(QueueSettings { stop_grace: Duration::from_millis(10), ..threads(1) });
    home.work.stop(id).await.unwrap();
    assert_eq!(end_state(&home.work, id).await, State::Stopped);
}
