//! Commands to many actions in a running system, mostly deletion of those that have ended.

use std::cell::Cell;
use std::time::Duration;

use actiond_actors::lifecycle::{Command, Refusal};
use actiond_actors::store::StoreError;
use actiond_actors::store::query::{Query, States};
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{
    ActionId, Commanded, ManyCommand, QueueError, QueueHandle, Refused, State, Submission, Target,
    Timestamp,
};
use futures_util::future::join_all;

use crate::common::{
    Faulty, Home, NEVER, SOON, at_gate, end_state, nothing, state, submit, threads, to_do,
    until_finished,
};

/// Submits so many actions, which end at once.
async fn ended(home: &Faulty, number: usize) -> Vec<ActionId> {
    let submitted = join_all((0..number).map(|_| home.work.submit(Submission::default()))).await;
    let ids = submitted.into_iter().map(|submitted| submitted.unwrap().id).collect();
    until_finished(&home.work, number as u64).await;
    home.settled().await;
    ids
}

/// Deletes what a query lists, as [`QueueHandle::command_listed`] does it.
async fn delete(
    work: &QueueHandle,
    query: Query,
    start: u64,
    most: u64,
    patience: Duration,
) -> Result<Commanded, QueueError> {
    work.command_listed(ManyCommand::Delete, query, start, most).run_for(patience).await
}

fn all(done: u64) -> Commanded {
    Commanded { done, ..Commanded::default() }
}

fn some(done: u64) -> Commanded {
    Commanded { done, more: true, ..Commanded::default() }
}

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
    let deleted = delete(&home.work, oldest.clone(), 2, 601, NEVER).await;
    assert_eq!(deleted, Ok(all(601)));
    assert_eq!(home.store.commits() - before, 3, "250 at a time");
    for (place, id) in ids.iter().enumerate() {
        let kept = home.work.status(*id).await.is_ok();
        assert_eq!(kept, !(2..603).contains(&place), "{place}");
    }
    let none = delete(&home.work, oldest.clone(), 0, 0, NEVER).await;
    assert_eq!(none, Ok(all(0)));
    let queued = Query { states: States::NONE.with(State::Queued), ..Query::default() };
    assert_eq!(delete(&home.work, queued, 0, u64::MAX, NEVER).await, Ok(all(0)));
    assert_eq!(home.work.summary().counts.finished(), 99);
    let rest = delete(&home.work, oldest, 0, u64::MAX, NEVER).await;
    assert_eq!(rest, Ok(all(99)));
}

/// Two that delete at once take turns, and each action is counted once.
#[tokio::test]
async fn who_deletes_at_the_same_time_takes_turns() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    ended(&home, 600).await;
    home.store.hold_commits();
    let first = tokio::spawn({
        let work = home.work.clone();
        async move { delete(&work, Query::default(), 0, u64::MAX, NEVER).await }
    });
    eventually("its step is held", async || home.store.held() == 1).await;
    let soon = Duration::from_millis(20);
    let late = delete(&home.work, Query::default(), 0, u64::MAX, soon).await;
    assert_eq!(late, Ok(some(0)), "its time is over");
    let second = tokio::spawn({
        let work = home.work.clone();
        async move { delete(&work, Query::default(), 0, u64::MAX, NEVER).await }
    });
    home.store.release();
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert!(first.done >= 250 && !first.more && !second.more, "{first:?} {second:?}");
    assert_eq!(first.done + second.done, 600);
}

#[tokio::test]
async fn a_deletion_ends_when_its_time_is_over() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    ended(&home, 600).await;
    home.store.hold_commits();
    let deletes = tokio::spawn({
        let work = home.work.clone();
        async move { delete(&work, Query::default(), 0, 600, Duration::from_millis(50)).await }
    });
    eventually("its step is held", async || home.store.held() == 1).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    home.store.release();
    assert_eq!(deletes.await.unwrap(), Ok(some(250)));
    assert_eq!(home.work.summary().counts.finished(), 350);
}

#[tokio::test]
async fn what_fails_is_told_once_nothing_can_be_counted() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    ended(&home, 600).await;
    let delete = || delete(&home.work, Query::default(), 0, u64::MAX, NEVER);
    home.store.fail_nth_commit(2, StoreError::Full);
    assert_eq!(delete().await, Ok(some(250)));
    home.store.fail_commits(StoreError::Full);
    assert_eq!(delete().await, Err(QueueError::Store(StoreError::Full)));
    home.store.mend();
    assert_eq!(delete().await, Ok(all(350)));
}

#[tokio::test]
async fn a_shutdown_waits_for_one_step_only() {
    let home = Faulty::new(threads(50), &Script::always(nothing())).await;
    let ids = ended(&home, 600).await;
    home.store.hold_commits();
    let deletes = tokio::spawn({
        let work = home.work.clone();
        async move { delete(&work, Query::default(), 0, u64::MAX, NEVER).await }
    });
    eventually("its step is held", async || home.store.held() == 1).await;
    let shutdown = tokio::spawn({
        let system = home.system.clone();
        async move { system.shutdown(SOON).await }
    });
    eventually("it drains", async || !home.system.is_ready()).await;
    home.store.release();
    let deleted = deletes.await.unwrap().unwrap();
    assert!(deleted.more && deleted.done < 600, "{deleted:?}");
    shutdown.await.unwrap();
    let Faulty { directory, store, system, work } = home;
    drop((store, system, work));
    let script = Script::always(nothing());
    let home = Home::at(directory, threads(1), &script).await;
    assert_eq!(home.work.summary().counts.finished(), 600 - deleted.done);
    assert_eq!(state(&home.work, ids[0]).await, State::Finished, "the newest went first");
}

/// Refusals are counted by their kind; an action that is named twice gets the command once.
#[tokio::test]
async fn those_that_are_named_get_the_command_once() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let runs = home.work.submit(to_do("wait")).await.unwrap();
    gate.until_waiting(1).await;
    let waits = home.work.submit(Submission::default()).await.unwrap();
    let unknown = ActionId::new(ActionId::MAX).unwrap();
    let of_another_time = Target { id: waits.id, queued_at: Some(Timestamp(1)) };
    let named = vec![waits.into(), runs.into(), unknown.into(), waits.into(), of_another_time];
    let cancelled = home.work.command_named(ManyCommand::Cancel, named).run_for(NEVER).await;
    let refusal = |state| Refused::State(Refusal { state, command: Command::Cancel });
    let refused = vec![(Refused::Unknown, 2), (refusal(State::Processing), 1)];
    assert_eq!(cancelled, Ok(Commanded { done: 1, refused, more: false }));
    assert_eq!(state(&home.work, waits.id).await, State::Cancelled);
    // A second stop would have forced it.
    let named = vec![runs.into(), runs.into()];
    let stopped = home.work.command_named(ManyCommand::Stop, named).run_for(NEVER).await;
    assert_eq!(stopped, Ok(all(1)));
    gate.open();
    assert!(end_state(&home.work, runs.id).await.is_final());
}

/// Each command reaches all that a filter lists, in steps, and tells who waits of each end.
#[tokio::test]
async fn all_that_a_filter_lists_get_a_command() {
    let home = Faulty::new(threads(1), &Script::always(nothing())).await;
    home.work.pause_queue().await.unwrap();
    let submitted = join_all((0..600).map(|_| home.work.submit(Submission::default()))).await;
    let first = submitted[0].as_ref().unwrap().id;
    let query = Query { min_priority: Some(0), ..Query::default() };
    let give = |command| home.work.command_listed(command, query.clone(), 0, u64::MAX);
    let before = home.store.commits();
    let raised = give(ManyCommand::ChangePriority(3)).run_for(NEVER).await;
    assert_eq!(raised, Ok(all(600)));
    assert_eq!(home.store.commits() - before, 3, "250 at a time");
    assert_eq!(home.work.status(first).await.unwrap().record.priority, 3);
    // Nobody wants it any more after the first step.
    let asked = Cell::new(0);
    let is_wanted = || asked.replace(asked.get() + 1) == 0;
    let left = give(ManyCommand::ChangePriority(4)).run_while(NEVER, is_wanted).await;
    assert_eq!(left, Ok(some(250)));
    let (waited, cancelled) =
        tokio::join!(home.work.wait(first, NEVER), give(ManyCommand::Cancel).run_for(NEVER));
    assert_eq!(waited.unwrap().record.state, State::Cancelled);
    assert_eq!(cancelled, Ok(all(600)));
    assert_eq!(home.work.summary().counts.of(State::Cancelled), 600);
    // There is nothing left to do, and nobody to refuse it.
    assert_eq!(give(ManyCommand::Cancel).run_for(NEVER).await, Ok(all(0)));
    let retried = give(ManyCommand::Retry).run_for(NEVER).await.unwrap();
    let refusal = Refusal { state: State::Cancelled, command: Command::Retry };
    let refused = vec![(Refused::State(refusal), 600)];
    assert_eq!(retried, Commanded { done: 0, refused, more: false });
}
