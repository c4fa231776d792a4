//! The death of a queue's actor while actions run, wait and end: its guardian builds another.

use std::pin::pin;
use std::time::Instant;

use actiond_actors::lifecycle::Ended;
use actiond_actors::store::StoreError;
use actiond_actors::store::query::Query;
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{OnRestart, QueueError, QueueHandle, QueueSettings, State};
use futures_util::FutureExt as _;

use crate::common::{
    Faulty, Home, NEVER, SOON, at_gate, builder, end, end_state, heard_pause, nothing, state,
    submit, threads, to_do, until, until_finished,
};

/// Waits until the queue answers again, or says that it will not; returns which.
async fn rebuilt(queue: &QueueHandle) -> Result<(), QueueError> {
    let mut answer = Err(QueueError::NoAnswer);
    eventually("the queue answers again", async || {
        answer = queue.resume_queue().await.map(drop);
        answer != Err(QueueError::NoAnswer)
    })
    .await;
    answer
}

#[tokio::test]
async fn what_runs_is_adopted_and_what_waits_starts() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(3), &script).await;
    let mut running = Vec::new();
    for what in ["wait", "deaf", "block deaf"] {
        running.push(submit(&home.work, what).await);
    }
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(submit(&home.work, "").await);
    }
    gate.until_waiting(3).await;
    for _ in 0..2 {
        home.work.crash_actor();
        rebuilt(&home.work).await.unwrap();
        for id in &running {
            assert_eq!(state(&home.work, *id).await, State::Processing);
        }
    }
    gate.open();
    for id in running.iter().chain(&waiting) {
        let record = end(&home.work, *id).await.record;
        assert_eq!((record.state, record.attempt), (State::Finished, 1));
    }
    assert_eq!(script.calls().len(), 8, "nothing ran twice");
    assert!(script.peak() <= 3);
}

#[tokio::test]
async fn what_runs_can_still_be_stopped() {
    let gate = Gate::new();
    let home = Home::new(threads(2), &at_gate(&gate)).await;
    let listens = submit(&home.work, "wait").await;
    let deaf = submit(&home.work, "deaf").await;
    gate.until_waiting(2).await;
    home.work.stop(deaf).await.unwrap();
    home.work.crash_actor();
    rebuilt(&home.work).await.unwrap();
    home.work.stop(listens).await.unwrap();
    assert_eq!(end_state(&home.work, listens).await, State::Stopped);
    assert_eq!(home.work.stop(deaf).await, Ok(State::Stopping));
    assert_eq!(end_state(&home.work, deaf).await, State::Stopped);
}

#[tokio::test]
async fn what_ends_during_the_rebuild_is_written_down() {
    for what in ["wait", "deaf", "block", "block deaf"] {
        let gate = Gate::new();
        let script = at_gate(&gate);
        let home = Home::new(threads(1), &script).await;
        let id = submit(&home.work, what).await;
        gate.until_waiting(1).await;
        home.work.crash_actor();
        gate.open();
        until(&home.work, id, State::Finished).await;
        let next = submit_again(&home.work).await;
        assert_eq!(end_state(&home.work, next).await, State::Finished, "its slot is free");
        assert_eq!(script.started(), [id, next]);
    }
}

async fn submit_again(queue: &QueueHandle) -> actiond_actors::ActionId {
    rebuilt(queue).await.unwrap();
    submit(queue, "").await
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_under_load() {
    let script = Script::always(nothing()).on_restart(OnRestart::Requeue);
    let home = Home::new(threads(2), &script).await;
    let mut acknowledged = Vec::new();
    for crash in 0..4 {
        let load: Vec<_> = (0..60)
            .map(|number| {
                let (work, key) = (home.work.clone(), format!("{crash} {number}"));
                tokio::spawn(async move { work.submit(to_do("").key(key)).await })
            })
            .collect();
        home.work.crash_actor();
        for submitted in load {
            match submitted.await.unwrap() {
                Ok(submitted) => acknowledged.push(submitted.id),
                Err(error) => assert_eq!(error, QueueError::NoAnswer),
            }
        }
        rebuilt(&home.work).await.unwrap();
    }
    for id in &acknowledged {
        assert_eq!(end_state(&home.work, *id).await, State::Finished);
    }
    // One whose submission got no answer may be there as well; sent again, it is there once.
    let mut ids = Vec::new();
    for crash in 0..4 {
        for number in 0..60 {
            let again = home.work.submit(to_do("").key(format!("{crash} {number}"))).await;
            ids.push(again.unwrap().id);
        }
    }
    for id in &ids {
        assert_eq!(end_state(&home.work, *id).await, State::Finished);
    }
    until_finished(&home.work, 240).await;
    assert!(script.peak() <= 2, "{}", script.peak());
}

#[tokio::test]
async fn a_queue_that_dies_too_often_is_given_up_and_the_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let system = builder(directory.path())
        .threads(1)
        .queue("Bad", threads(1), Script::always(nothing()))
        .queue("Good", threads(1), Script::always(nothing()))
        .start()
        .await
        .unwrap();
    let (bad, good) = (system.queue("bad").unwrap(), system.queue("good").unwrap());
    let kept = submit(&bad, "").await;
    end(&bad, kept).await;
    let mut crashes = 0;
    let given_up = loop {
        bad.crash_actor();
        crashes += 1;
        if let Err(error) = rebuilt(&bad).await {
            break error;
        }
        assert!(crashes < 50, "it is never given up");
    };
    assert!(matches!(given_up, QueueError::Unavailable { .. }), "{given_up}");
    assert!(!bad.load().is_up);
    assert!(crashes > 3, "a few crashes are survived");
    assert!(matches!(bad.submit(to_do("")).await, Err(QueueError::Unavailable { .. })));
    assert_eq!(state(&bad, kept).await, State::Finished, "what it has can still be read");
    let id = submit(&good, "").await;
    assert_eq!(end_state(&good, id).await, State::Finished);
    let since = Instant::now();
    system.shutdown(SOON).await;
    assert!(since.elapsed() < SOON);
}

#[tokio::test]
async fn a_paused_queue_stays_paused() {
    let home = Home::new(threads(1), &Script::always(nothing())).await;
    home.work.pause_queue().await.unwrap();
    let id = submit(&home.work, "").await;
    home.work.crash_actor();
    eventually("the queue answers again", async || home.work.change_priority(id, 1).await.is_ok())
        .await;
    home.work.change_priority(id, 2).await.unwrap();
    assert!(home.work.summary().paused);
    assert_eq!(state(&home.work, id).await, State::Queued);
}

/// Lets the actor die while an answer of the store is on its way to it.
async fn crash_before_the_answer(home: &Faulty) {
    eventually("the answer is on its way", async || home.store.held() == 1).await;
    let commits = home.store.commits();
    home.work.crash_actor();
    eventually("another actor is there", async || home.store.commits() > commits).await;
    home.store.release();
}

/// A batch whose turn comes after its actor has died takes nothing of what the next one has.
#[tokio::test]
async fn a_batch_of_a_dead_actor_takes_nothing() {
    let home = Faulty::new(threads(1), &Script::always(nothing())).await;
    home.store.hold_commits();
    let submission = |home: &Faulty| {
        let work = home.work.clone();
        tokio::spawn(async move { work.submit(to_do("")).await })
    };
    let lost = submission(&home);
    eventually("its batch waits for its turn", async || home.store.held() == 1).await;
    home.work.crash_actor();
    eventually("that of another actor, too", async || home.store.held() == 2).await;
    assert_eq!(lost.await.unwrap(), Err(QueueError::NoAnswer));
    let taken = submission(&home);
    // So that it waits there, if the queue can be reached again by now, when the old batch has its turn.
    tokio::task::yield_now().await;
    home.store.release();
    let id = taken.await.unwrap().unwrap().id;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    let listed = home.work.list(Query::default(), 0).next_page(9).await.unwrap();
    assert_eq!(listed.len(), 1, "what was not answered was not queued");
}

/// Nor does it start anything while there is no other actor yet.
#[tokio::test]
async fn a_batch_of_a_dead_actor_starts_nothing() {
    for _ in 0..20 {
        if a_turn_after_the_death().await {
            return;
        }
    }
    panic!("20 times the next actor was there before the batch of a dead one had its turn");
}

/// Gives a batch its turn once its actor has died; returns whether the next actor came after that.
async fn a_turn_after_the_death() -> bool {
    let gate = Gate::new();
    let script = at_gate(&gate).on_restart(OnRestart::Fail);
    let home = Faulty::new(threads(1), &script).await;
    let runs = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let waits = submit(&home.work, "").await;
    home.settled().await;
    home.store.hold_commits();
    gate.open();
    eventually("the end waits for its turn", async || home.store.held() == 1).await;
    let (enlisted, sealed) = (home.store.commits(), home.store.sealed());
    // It dies with its actor, and tells so.
    let mut lost = pin!(home.work.submit(to_do("")));
    assert!(lost.as_mut().now_or_never().is_none());
    home.work.crash_actor();
    assert_eq!(lost.await, Err(QueueError::NoAnswer));
    home.store.release();
    eventually("the batch has had its turn", async || home.store.sealed() > sealed).await;
    // The next actor begins with a batch of its own.
    let before_the_next = home.store.commits() == enlisted;
    assert_eq!(end_state(&home.work, runs).await, State::Finished);
    assert_eq!(end_state(&home.work, waits).await, State::Finished);
    assert_eq!(script.started(), [runs, waits], "what is started runs");
    before_the_next
}

/// A start that is durable while nobody learns of it: the action never began, so it is started again, and that counts as
/// nothing, whatever its kind.
#[tokio::test]
async fn a_start_whose_answer_is_lost_is_made_again() {
    for on_restart in [OnRestart::Requeue, OnRestart::Fail, OnRestart::Resume] {
        let script = Script::always(nothing()).on_restart(on_restart);
        let settings = QueueSettings { max_restarts: 1, ..threads(1) };
        let home = Faulty::new(settings, &script).await;
        home.store.hold_answers();
        let lost = tokio::spawn({
            let work = home.work.clone();
            async move { work.submit(to_do("").key("k")).await }
        });
        crash_before_the_answer(&home).await;
        assert_eq!(lost.await.unwrap(), Err(QueueError::NoAnswer));
        let id = home.work.submit(to_do("").key("k")).await.unwrap().id;
        let record = end(&home.work, id).await.record;
        assert_eq!((record.state, record.attempt), (State::Finished, 2), "{on_restart:?}");
        assert_eq!(script.started(), [id]);
        let past = home.work.history(id).await.unwrap();
        assert_eq!(past.iter().map(|past| past.ended).collect::<Vec<_>>(), [Some(Ended::Released)]);
    }
}

/// Nothing is claimed until an actor has heard of its recovery: one that fails at first must not be waited for in vain.
#[tokio::test]
async fn a_recovery_that_fails_at_first_keeps_nothing_from_starting() {
    for on_restart in [OnRestart::Requeue, OnRestart::Resume] {
        let script = Script::always(nothing()).on_restart(on_restart);
        let home = Faulty::new(threads(1), &script).await;
        home.settled().await;
        home.store.fail_commits(StoreError::Unavailable("as planned".to_owned()));
        let failures = home.store.failures();
        home.work.crash_actor();
        eventually("the recovery has failed", async || home.store.failures() > failures).await;
        home.store.mend();
        // What joins a batch that fails yet is refused.
        eventually("it is rebuilt", async || rebuilt(&home.work).await.is_ok()).await;
        let id = submit(&home.work, "").await;
        assert_eq!(end_state(&home.work, id).await, State::Finished, "{on_restart:?}");
    }
}

/// An end that is durable while the actor dies still wakes those who wait for it.
#[tokio::test]
async fn an_end_whose_answer_is_lost_wakes_those_who_wait() {
    let gate = Gate::new();
    let home = Faulty::new(threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let waiter = tokio::spawn({
        let work = home.work.clone();
        async move { work.wait(id, NEVER).await.unwrap().record.state }
    });
    home.settled().await;
    home.store.hold_answers();
    gate.open();
    crash_before_the_answer(&home).await;
    assert_eq!(state(&home.work, id).await, State::Finished);
    let woken = tokio::time::timeout(SOON, waiter).await.expect("it is woken");
    assert_eq!(woken.unwrap(), State::Finished);
}

/// So does a cancel.
#[tokio::test]
async fn a_cancel_whose_answer_is_lost_wakes_those_who_wait() {
    let home = Faulty::new(threads(1), &Script::always(nothing())).await;
    home.work.pause_queue().await.unwrap();
    let id = submit(&home.work, "").await;
    let waiter = tokio::spawn({
        let work = home.work.clone();
        async move { work.wait(id, NEVER).await.unwrap().record.state }
    });
    home.work.change_priority(id, 1).await.unwrap();
    home.store.hold_answers();
    let cancelled = tokio::spawn({
        let work = home.work.clone();
        async move { work.cancel(id).await }
    });
    crash_before_the_answer(&home).await;
    assert_eq!(cancelled.await.unwrap(), Err(QueueError::NoAnswer));
    let woken = tokio::time::timeout(SOON, waiter).await.expect("it is woken");
    assert_eq!(woken.unwrap(), State::Cancelled);
}

/// A stop that is durable reaches the attempt, even if the actor died before it could pass it on.
#[tokio::test]
async fn a_stop_whose_answer_is_lost_reaches_the_attempt() {
    let gate = Gate::new();
    let home = Faulty::new(threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    home.settled().await;
    home.store.hold_answers();
    let stopped = tokio::spawn({
        let work = home.work.clone();
        async move { work.stop(id).await }
    });
    crash_before_the_answer(&home).await;
    assert_eq!(stopped.await.unwrap(), Err(QueueError::NoAnswer));
    assert_eq!(end_state(&home.work, id).await, State::Stopped);
}

/// The same for a pause: what the store calls paused must not run on.
#[tokio::test]
async fn a_pause_whose_answer_is_lost_reaches_the_attempt() {
    let gate = Gate::new();
    let script = at_gate(&gate).pausable();
    let home = Faulty::new(threads(1), &script).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    home.settled().await;
    home.store.hold_answers();
    let paused = tokio::spawn({
        let work = home.work.clone();
        async move { work.pause(id).await }
    });
    crash_before_the_answer(&home).await;
    assert_eq!(paused.await.unwrap(), Err(QueueError::NoAnswer));
    assert_eq!(state(&home.work, id).await, State::Paused);
    heard_pause(&home.work, id).await;
    gate.open();
    gate.until_waiting(0).await;
    heard_pause(&home.work, id).await;
    assert_eq!(state(&home.work, id).await, State::Paused);
    home.work.resume(id).await.unwrap();
    assert_eq!(end_state(&home.work, id).await, State::Finished);
}
