//! Deletion of actions that have ended, of one or of many, in a running system.

use std::time::Duration;

use actiond_actors::store::StoreError;
use actiond_actors::store::query::{Query, States};
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{ActionId, Deleted, QueueError, State, Submission};
use futures_util::future::join_all;

use crate::common::{
    Faulty, Home, NEVER, SOON, at_gate, end_state, nothing, state, submit, threads, until_finished,
};

/// Submits so many actions, which end at once.
async fn ended(home: &Faulty, number: usize) -> Vec<ActionId> {
    let submitted = join_all((0..number).map(|_| home.work.submit(Submission::default()))).await;
    let ids = submitted.into_iter().map(|submitted| submitted.unwrap().id).collect();
    until_finished(&home.work, number as u64).await;
    home.settled().await;
    ids
}

const ALL: Deleted = Deleted { actions: 0, more: false };

#[tokio::test]
async fn one_is_deleted_when_it_has_ended() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let submitted = home.work.submit(Submission::default()).await.unwrap();
    let id = submitted.id;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    let runs = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let refused = home.work.delete(runs).await.unwrap_err().to_string();
    assert!(refused.contains("it has not ended, stop it first"), "{refused}");
    assert_eq!(home.work.delete(submitted).await, Ok(State::Finished));
    assert_eq!(home.work.delete(submitted).await, Err(QueueError::UnknownAction { id }));
    assert_eq!(home.work.summary().counts.finished(), 0);
    gate.open();
    assert_eq!(end_state(&home.work, runs).await, State::Finished);
}

#[tokio::test]
async fn as_many_as_asked_for_are_deleted_in_steps() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    let ids = ended(&home, 700).await;
    let oldest = Query { descending: false, ..Query::default() };
    let before = home.store.commits();
    let deleted = home.work.delete_listed(oldest.clone(), 2, 601, NEVER).await;
    assert_eq!(deleted, Ok(Deleted { actions: 601, ..ALL }));
    assert_eq!(home.store.commits() - before, 3, "250 at a time");
    for (place, id) in ids.iter().enumerate() {
        let kept = home.work.status(*id).await.is_ok();
        assert_eq!(kept, !(2..603).contains(&place), "{place}");
    }
    let none = home.work.delete_listed(oldest.clone(), 0, 0, NEVER).await;
    assert_eq!(none, Ok(ALL));
    let queued = Query { states: States::NONE.with(State::Queued), ..Query::default() };
    assert_eq!(home.work.delete_listed(queued, 0, u64::MAX, NEVER).await, Ok(ALL));
    assert_eq!(home.work.summary().counts.finished(), 99);
    let rest = home.work.delete_listed(oldest, 0, u64::MAX, NEVER).await;
    assert_eq!(rest, Ok(Deleted { actions: 99, ..ALL }));
}

/// Where two delete at once, the second waits, and each action is counted once.
#[tokio::test]
async fn who_deletes_at_the_same_time_takes_turns() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    ended(&home, 600).await;
    home.store.hold_commits();
    let delete = |patience| home.work.delete_listed(Query::default(), 0, u64::MAX, patience);
    let first = tokio::spawn({
        let work = home.work.clone();
        async move { work.delete_listed(Query::default(), 0, u64::MAX, NEVER).await }
    });
    eventually("its step is held", async || home.store.held() == 1).await;
    let late = delete(Duration::from_millis(20)).await;
    assert_eq!(late, Ok(Deleted { actions: 0, more: true }), "its time is over");
    let second = tokio::spawn({
        let work = home.work.clone();
        async move { work.delete_listed(Query::default(), 0, u64::MAX, NEVER).await }
    });
    home.store.release();
    assert_eq!(first.await.unwrap(), Ok(Deleted { actions: 600, ..ALL }));
    assert_eq!(second.await.unwrap(), Ok(ALL));
}

#[tokio::test]
async fn a_deletion_ends_when_its_time_is_over() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    ended(&home, 600).await;
    home.store.hold_commits();
    let deletes = tokio::spawn({
        let work = home.work.clone();
        async move { work.delete_listed(Query::default(), 0, 600, Duration::from_millis(50)).await }
    });
    eventually("its step is held", async || home.store.held() == 1).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    home.store.release();
    assert_eq!(deletes.await.unwrap(), Ok(Deleted { actions: 250, more: true }));
    assert_eq!(home.work.summary().counts.finished(), 350);
}

#[tokio::test]
async fn what_fails_is_told_once_nothing_can_be_counted() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    ended(&home, 600).await;
    let delete = || home.work.delete_listed(Query::default(), 0, u64::MAX, NEVER);
    home.store.fail_nth_commit(2, StoreError::Full);
    assert_eq!(delete().await, Ok(Deleted { actions: 250, more: true }));
    home.store.fail_commits(StoreError::Full);
    assert_eq!(delete().await, Err(QueueError::Store(StoreError::Full)));
    home.store.mend();
    assert_eq!(delete().await, Ok(Deleted { actions: 350, ..ALL }));
}

#[tokio::test]
async fn a_shutdown_waits_for_one_step_only() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    let ids = ended(&home, 600).await;
    home.store.hold_commits();
    let deletes = tokio::spawn({
        let work = home.work.clone();
        async move { work.delete_listed(Query::default(), 0, u64::MAX, NEVER).await }
    });
    eventually("its step is held", async || home.store.held() == 1).await;
    let shutdown = tokio::spawn({
        let system = home.system.clone();
        async move { system.shutdown(SOON).await }
    });
    eventually("it drains", async || !home.system.is_ready()).await;
    home.store.release();
    let deleted = deletes.await.unwrap().unwrap();
    assert!(deleted.more && deleted.actions < 600, "{deleted:?}");
    shutdown.await.unwrap();
    let Faulty { directory, store, system, work } = home;
    drop((store, system, work));
    let script = Script::always(nothing());
    let home = Home::at(directory, threads(1), &script).await;
    assert_eq!(home.work.summary().counts.finished(), 600 - deleted.actions);
    assert_eq!(state(&home.work, ids[0]).await, State::Finished, "the newest went first");
}
