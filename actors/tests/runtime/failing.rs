//! A store that fails or answers late: callers learn of it, nothing is half done, what must be
//! written is written later, and control gets through.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::store::StoreError;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{Parameters, QueueError, State, Submission};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use rusqlite::Connection;

use crate::common::{
    Faulty, SOON, at_gate, builder, end_state, nothing, state, submit, threads, to_do,
    until_finished,
};

fn full<T>() -> Result<T, QueueError> {
    Err(QueueError::Store(StoreError::Full))
}

#[tokio::test]
async fn a_commit_that_fails_changes_nothing_and_is_told_to_its_caller() {
    let gate = Gate::new();
    let home = Faulty::new(threads(1), &at_gate(&gate)).await;
    let runs = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    let before = home.work.summary();
    let load = home.work.load();
    assert_eq!((load.slots, load.slots_used, load.inbox, load.is_up), (1, 1, 0, true));
    home.store.fail_commits(StoreError::Full);
    assert_eq!(home.work.submit(to_do("")).await, full());
    assert_eq!(home.work.duplicate(waits).await, full());
    assert_eq!(home.work.cancel(waits).await, full());
    assert_eq!(home.work.change_priority(waits, 3).await, full());
    assert_eq!(home.work.stop(runs).await, full());
    assert_eq!(home.work.pause_queue().await, full());
    assert_eq!(home.work.summary(), before);
    assert_eq!(state(&home.work, waits).await, State::Queued);
    assert_eq!(state(&home.work, runs).await, State::Processing);
    assert_eq!(home.store.failures(), 6);
    home.store.mend();
    gate.open();
    assert_eq!(end_state(&home.work, runs).await, State::Finished, "it was not stopped");
    assert_eq!(end_state(&home.work, waits).await, State::Finished);
    until_finished(&home.work, 2).await;
}

#[tokio::test]
async fn one_failure_is_one_caller_s() {
    let home = Faulty::new(threads(1), &Script::always(nothing())).await;
    home.work.pause_queue().await.unwrap();
    home.store.fail_nth_commit(2, StoreError::Io("once".to_owned()));
    let first = home.work.submit(to_do("")).await;
    let second = home.work.submit(to_do("")).await;
    let third = home.work.submit(to_do("")).await;
    assert!(first.is_ok() && third.is_ok());
    assert_eq!(second, Err(QueueError::Store(StoreError::Io("once".to_owned()))));
    assert_eq!(home.work.summary().counts.queued(), 2);
}

#[tokio::test]
async fn the_end_of_an_attempt_is_written_as_soon_as_it_can_be() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Faulty::new(threads(1), &script).await;
    let runs = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    home.settled().await;
    home.store.fail_commits(StoreError::Full);
    gate.open();
    eventually("its end was tried twice", async || home.store.failures() >= 2).await;
    assert_eq!(script.running(), 0);
    assert_eq!(state(&home.work, runs).await, State::Processing, "what is not durable is not told");
    home.store.mend();
    assert_eq!(end_state(&home.work, runs).await, State::Finished);
    assert_eq!(end_state(&home.work, waits).await, State::Finished);
    assert_eq!(script.started(), [runs, waits]);
    assert_eq!(home.work.dropped_reports(), 0);
}

#[tokio::test]
async fn a_client_s_call_tries_again_at_once() {
    let gate = Gate::new();
    let home = Faulty::new(threads(1), &at_gate(&gate)).await;
    let runs = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    home.settled().await;
    home.store.fail_nth_commit(1, StoreError::Full);
    gate.open();
    // Once its batch has had its turn: a control that comes before goes with it, and fails as well.
    let store = &home.store;
    eventually("its end has failed", async || {
        store.failures() == 1 && store.sealed() == store.commits()
    })
    .await;
    home.work.resume_queue().await.unwrap();
    assert_eq!(state(&home.work, runs).await, State::Finished);
}

/// Waits for three more tries: from the first of them to the last a quarter of a second passes twice.
async fn not_all_the_time(tries: impl Fn() -> u64) {
    let (since, before) = (Instant::now(), tries());
    eventually("it was tried three times more", async || tries() >= before + 3).await;
    assert!(since.elapsed() > Duration::from_millis(450), "three tries in {:?}", since.elapsed());
}

/// While a store fails, a queue that has something to start tries now and then, not all the time.
#[tokio::test]
async fn a_start_that_fails_is_not_tried_all_the_time() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Faulty::new(threads(1), &script).await;
    let runs = submit(&home.work, "block deaf").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    home.work.stop(runs).await.unwrap();
    home.work.stop(runs).await.unwrap();
    assert_eq!(end_state(&home.work, runs).await, State::Stopped);
    home.settled().await;
    // Its slot is free once its thread has ended: then there is nothing to write but a start.
    home.store.fail_commits(StoreError::Full);
    gate.open();
    eventually("the start has failed", async || home.store.failures() > 0).await;
    not_all_the_time(|| home.store.failures()).await;
    assert_eq!(state(&home.work, waits).await, State::Queued);
    home.store.mend();
    assert_eq!(end_state(&home.work, waits).await, State::Finished, "it starts once it can");
}

/// The same where all but the start is kept.
#[tokio::test]
async fn a_start_alone_that_fails_is_not_tried_all_the_time() {
    let home = Faulty::new(threads(1), &at_gate(&Gate::opened())).await;
    home.store.fail_claims();
    let waits = submit(&home.work, "").await;
    not_all_the_time(|| home.store.commits()).await;
    assert_eq!(state(&home.work, waits).await, State::Queued);
    home.store.mend();
    assert_eq!(end_state(&home.work, waits).await, State::Finished, "it starts once it can");
}

#[tokio::test]
async fn control_gets_through_while_submissions_fail() {
    let gate = Gate::new();
    let home = Faulty::new(threads(1), &at_gate(&gate)).await;
    let runs = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    home.store.fail_submissions(StoreError::Full);
    assert_eq!(home.work.submit(to_do("")).await, full());
    assert_eq!(home.work.change_priority(waits, 3).await, Ok(State::Queued));
    assert_eq!(home.work.cancel(waits).await, Ok(State::Cancelled));
    assert_eq!(home.work.stop(runs).await, Ok(State::Stopping));
    assert_eq!(end_state(&home.work, runs).await, State::Stopped);
    assert_eq!(home.work.submit(to_do("")).await, full());
    until_finished(&home.work, 2).await;
    home.store.mend();
    assert!(home.work.submit(to_do("")).await.is_ok());
}

#[tokio::test]
async fn callers_of_a_slow_store_are_all_answered() {
    let script = Script::always(nothing());
    let home = Faulty::new(threads(2), &script).await;
    home.store.hold_commits();
    let callers: Vec<_> = (0..200)
        .map(|number| {
            let work = home.work.clone();
            tokio::spawn(async move {
                let parameters = Parameters::from_iter([("Number", number.to_string())]);
                work.submit(Submission::new(parameters)).await
            })
        })
        .collect();
    eventually("a commit is held", async || home.store.held() == 1).await;
    let before = home.store.commits();
    home.store.release();
    let mut ids = Vec::new();
    for caller in callers {
        ids.push(caller.await.unwrap().unwrap().id);
    }
    for id in &ids {
        assert_eq!(end_state(&home.work, *id).await, State::Finished);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200);
    assert!(home.store.commits() > before);
    assert!(script.peak() <= 2);
    home.system.shutdown(SOON).await;
}

#[tokio::test]
async fn what_comes_before_its_turn_goes_with_a_batch() {
    let home = Faulty::new(threads(1), &Script::always(nothing())).await;
    home.work.pause_queue().await.unwrap();
    let before = home.store.commits();
    home.store.hold_commits();
    let mut first = pin!(home.work.submit(to_do("")));
    assert!(first.as_mut().now_or_never().is_none());
    eventually("a commit is held", async || home.store.held() == 1).await;
    let mut later = pin!(join_all((0..9).map(|_| home.work.submit(to_do("")))));
    assert!(later.as_mut().now_or_never().is_none());
    assert_eq!(home.work.load().inbox, 10);
    home.store.release();
    let first = first.await.unwrap().id;
    let later: Vec<_> = later.await.into_iter().map(|later| later.unwrap().id).collect();
    assert!(later.is_sorted() && later[0] > first, "in order of arrival: {first}, {later:?}");
    assert_eq!(home.store.commits() - before, 1, "one batch took them all");
    let load = home.work.load();
    assert_eq!((load.inbox, load.slots_used), (0, 0));
}

/// Makes the database itself refuse every submission that holds a word.
fn refuse(directory: &std::path::Path, word: &str) {
    let connection = Connection::open(directory.join("actions.db")).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON parameters WHEN NEW.value LIKE '%{word}%'
             BEGIN SELECT RAISE(ABORT, 'refused by a test'); END"
        ))
        .unwrap();
}

#[tokio::test]
async fn a_submission_that_the_database_refuses_harms_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let sqlite = Arc::new(SqliteStore::open(directory.path(), Durability::Normal).unwrap());
    let store = actiond_actors::testing::FaultyStore::new(sqlite);
    let system = builder(directory.path())
        .store(Arc::new(store.clone()))
        .queue("Work", threads(1), at_gate(&gate))
        .queue("Other", threads(1), at_gate(&gate))
        .start()
        .await
        .unwrap();
    refuse(directory.path(), "poison");
    let (work, other) = (system.queue("work").unwrap(), system.queue("other").unwrap());
    let runs = submit(&work, "wait").await;
    let waits = submit(&work, "").await;
    gate.until_waiting(1).await;
    work.change_priority(waits, 1).await.unwrap();

    // One batch of `Work` with control and poison, one of `Other`, on their way together.
    store.hold_commits();
    let ahead = tokio::spawn({
        let work = work.clone();
        async move { work.change_priority(waits, 2).await }
    });
    eventually("a commit is held", async || store.held() == 1).await;
    let cancel = tokio::spawn({
        let work = work.clone();
        async move { work.cancel(waits).await }
    });
    let poison = tokio::spawn({
        let work = work.clone();
        async move { work.submit(to_do("poison")).await }
    });
    let fine = tokio::spawn({
        let other = other.clone();
        async move { other.submit(to_do("")).await }
    });
    eventually("both queues wait", async || store.held() == 2).await;
    store.release();
    assert_eq!(ahead.await.unwrap(), Ok(State::Queued));
    assert_eq!(cancel.await.unwrap(), Ok(State::Cancelled));
    let Err(QueueError::Store(StoreError::Io(reason))) = poison.await.unwrap() else {
        panic!("the poison was taken");
    };
    assert!(reason.contains("refused by a test"), "{reason}");
    let fine = fine.await.unwrap().unwrap().id;
    assert_eq!(end_state(&other, fine).await, State::Finished);
    gate.open();
    assert_eq!(end_state(&work, runs).await, State::Finished);
    // Counts equal rows, although a transaction was undone (Q10).
    until_finished(&work, 2).await;
    assert_eq!(work.summary().counts.queued(), 0);
    let listed = work.list(Default::default(), 0).next_page(9).await.unwrap();
    assert_eq!(listed.len(), 2);
    let next = submit(&work, "").await;
    assert_eq!(end_state(&work, next).await, State::Finished);
}
