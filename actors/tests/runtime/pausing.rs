//! Actions that are paused and resumed one by one; see `queueing` for whole queues.

use actiond_actors::testing::{Gate, eventually};
use actiond_actors::{QueueError, State};

use crate::common::{Home, at_gate, end, end_state, heard_pause, state, submit, threads, until};

#[tokio::test]
async fn a_paused_action_goes_on_only_when_it_is_resumed() {
    let gate = Gate::new();
    let script = at_gate(&gate).pausable();
    let home = Home::new(threads(1), &script).await;
    for what in ["wait", "block"] {
        gate.close();
        let id = submit(&home.work, what).await;
        gate.until_waiting(1).await;
        assert_eq!(home.work.resume(id).await, Ok(State::Processing));
        assert_eq!(home.work.pause(id).await, Ok(State::Paused));
        assert_eq!(home.work.pause(id).await, Ok(State::Paused));
        heard_pause(&home.work, id).await;
        gate.open();
        gate.until_waiting(0).await;
        assert_eq!(home.work.summary().counts.of(State::Paused), 1);
        assert_eq!(script.running(), 1);
        assert_eq!(home.work.resume(id).await, Ok(State::Processing));
        assert_eq!(end_state(&home.work, id).await, State::Finished, "{what}");
    }
}

/// Once a pause is acknowledged, no checkpoint lets the work pass.
#[tokio::test]
async fn an_acknowledged_pause_holds_at_the_next_checkpoint() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate).pausable()).await;
    for _ in 0..30 {
        gate.close();
        let id = submit(&home.work, "wait").await;
        gate.until_waiting(1).await;
        home.work.pause(id).await.unwrap();
        gate.open();
        gate.until_waiting(0).await;
        heard_pause(&home.work, id).await;
        assert_eq!(state(&home.work, id).await, State::Paused);
        home.work.resume(id).await.unwrap();
        assert_eq!(end_state(&home.work, id).await, State::Finished);
    }
}

#[tokio::test]
async fn a_paused_action_can_be_stopped() {
    let gate = Gate::new();
    let script = at_gate(&gate).pausable();
    let home = Home::new(threads(1), &script).await;
    for what in ["wait", "block"] {
        let id = submit(&home.work, what).await;
        gate.until_waiting(1).await;
        home.work.pause(id).await.unwrap();
        assert_eq!(home.work.stop(id).await, Ok(State::Stopping));
        assert_eq!(end_state(&home.work, id).await, State::Stopped);
    }
}

#[tokio::test]
async fn what_can_not_pause_says_so() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let runs = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    for id in [runs, waits] {
        let Err(QueueError::Refused(refusal)) = home.work.pause(id).await else {
            panic!("it was paused");
        };
        assert!(refusal.to_string().contains("paus"), "{refusal}");
    }
    until(&home.work, runs, State::Processing).await;
    gate.open();
    assert_eq!(end_state(&home.work, waits).await, State::Finished);
}

#[tokio::test]
async fn time_that_is_paused_is_no_working_time() {
    let gate = Gate::new();
    let script = at_gate(&gate).pausable();
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    home.work.pause(id).await.unwrap();
    heard_pause(&home.work, id).await;
    let last = home.work.status(id).await.unwrap().processing;
    home.work.resume(id).await.unwrap();
    eventually("its watch goes on", async || home.work.status(id).await.unwrap().processing > last)
        .await;
    gate.open();
    // What is stored is whole milliseconds.
    assert!(end(&home.work, id).await.processing.as_millis() >= last.as_millis());
}
