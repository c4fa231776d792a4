//! What is told of actions that did not finish.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::store::StoreError;
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{
    ActionId, Interest, OnRestart, QueueSettings, State, System, Timestamp, Unfinished, observer,
};
use rusqlite::Connection;

use crate::common::{
    Faulty, SOON, at_gate, builder, end_state, graceless, nothing, state, submit, threads, to_do,
    until_finished,
};

/// Queue, id, queue time, state and line of each that was told.
type Told = Arc<Mutex<Vec<(String, ActionId, Timestamp, State, String)>>>;

async fn start(directory: &Path, settings: QueueSettings, script: &Script) -> (System, Told) {
    let told = Told::default();
    let listener = || {
        let told = Arc::clone(&told);
        observer(Interest::UNFINISHED, move |queue, event| {
            let of = Unfinished::of(event).expect("nothing else is told");
            let all = (queue.to_owned(), of.id, of.queued_at, of.state, of.to_string());
            told.lock().unwrap().push(all);
        })
    };
    let mut system = None;
    eventually("the directory can be opened", async || {
        let builder = builder(directory).observer(listener());
        system = builder.queue("Work", settings.clone(), script.clone()).start().await.ok();
        system.is_some()
    })
    .await;
    (system.unwrap(), told)
}

fn lines(told: &Told) -> Vec<(ActionId, State, String)> {
    let told = told.lock().unwrap();
    let mut lines: Vec<_> =
        told.iter().map(|(_, id, _, state, line)| (*id, *state, line.clone())).collect();
    lines.sort_by_key(|(id, _, _)| *id);
    lines
}

#[tokio::test]
async fn each_end_but_finished_is_told_once_it_is_durable() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let (system, told) = start(directory.path(), threads(1), &at_gate(&gate)).await;
    let work = system.queue("work").unwrap();
    let finished = submit(&work, "").await;
    let failed = work.submit(to_do("fail")).await.unwrap();
    until_finished(&work, 2).await;
    let stopped = submit(&work, "wait").await;
    gate.until_waiting(1).await;
    let cancelled = submit(&work, "").await;
    work.cancel(cancelled).await.unwrap();
    work.cancel(cancelled).await.unwrap();
    work.stop(stopped).await.unwrap();
    assert_eq!(end_state(&work, stopped).await, State::Stopped);
    assert_eq!(state(&work, finished).await, State::Finished);
    eventually("all are told", async || told.lock().unwrap().len() >= 3).await;
    let want = [
        (failed.id, State::Error, "Error: as planned"),
        (stopped, State::Stopped, "Stopped"),
        (cancelled, State::Cancelled, "Cancelled"),
    ]
    .map(|(id, state, line)| (id, state, line.to_owned()));
    assert_eq!(lines(&told), want);
    let (queue, _, queued_at, ..) = told.lock().unwrap()[0].clone();
    assert_eq!((queue.as_str(), queued_at), ("Work", failed.queued_at));
    system.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn what_was_interrupted_is_told_with_what_becomes_of_it() {
    for (on_restart, state, by_shutdown, by_crash) in [
        (
            OnRestart::Requeue,
            State::Queued,
            "interrupted, it runs again",
            "interrupted, it runs again",
        ),
        (
            OnRestart::Fail,
            State::Error,
            "Error: interrupted by server shutdown",
            "Error: interrupted by server restart",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let gate = Gate::new();
        let script = at_gate(&gate).on_restart(on_restart);
        let (system, told) = start(directory.path(), graceless(1), &script).await;
        let id = submit(&system.queue("work").unwrap(), "wait").await;
        gate.until_waiting(1).await;
        system.shutdown(Duration::ZERO).await;
        assert_eq!(lines(&told), [(id, state, by_shutdown.to_owned())]);

        let directory = tempfile::tempdir().unwrap();
        let gate = Gate::new();
        let script = at_gate(&gate).on_restart(on_restart);
        let (system, _) = start(directory.path(), graceless(1), &script).await;
        let id = submit(&system.queue("work").unwrap(), "wait").await;
        gate.until_waiting(1).await;
        // As a server ends that is killed.
        drop(system);
        let script = Script::always(nothing()).on_restart(on_restart);
        let (system, told) = start(directory.path(), graceless(1), &script).await;
        assert_eq!(lines(&told), [(id, state, by_crash.to_owned())]);
        system.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn an_action_that_can_not_be_read_is_told_and_wakes_who_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::always(nothing());
    let (system, _) = start(directory.path(), threads(1), &script).await;
    let work = system.queue("work").unwrap();
    work.pause_queue().await.unwrap();
    let id = submit(&work, "").await;
    system.shutdown(Duration::ZERO).await;
    drop((system, work));
    let database = Connection::open(directory.path().join("actions.db")).unwrap();
    database.execute("UPDATE parameters SET value = '{not json'", []).unwrap();
    drop(database);

    let (system, told) = start(directory.path(), threads(1), &script).await;
    let work = system.queue("work").unwrap();
    let waits = tokio::spawn({
        let work = work.clone();
        async move { end_state(&work, id).await }
    });
    work.resume_queue().await.unwrap();
    assert_eq!(waits.await.unwrap(), State::Error);
    eventually("it is told", async || !told.lock().unwrap().is_empty()).await;
    let told = lines(&told);
    assert_eq!((told[0].0, told[0].1), (id, State::Error));
    assert!(told[0].2.starts_with("Error: what the action was given can't be read"), "{told:?}");
    system.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_listener_that_panics_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let system = builder(directory.path())
        .observer(observer(Interest::UNFINISHED, |_, _| panic!("as planned")))
        .queue("Work", threads(1), at_gate(&Gate::new()))
        .start()
        .await
        .unwrap();
    let work = system.queue("work").unwrap();
    let failed = submit(&work, "fail").await;
    assert_eq!(end_state(&work, failed).await, State::Error);
    let next = submit(&work, "").await;
    assert_eq!(end_state(&work, next).await, State::Finished);
    assert_eq!(work.read_summary().await.unwrap().counts.finished(), 2);
    system.shutdown(Duration::ZERO).await;
}

/// The end of an attempt is reported again if nobody knows whether it was written. That it counts for nothing then is no news.
#[tokio::test]
async fn an_end_that_was_written_unknown_is_not_told_as_dropped() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let listener = observer(Interest::UNFINISHED, move |_, event| {
        notes.lock().unwrap().push(format!("{event:?}"));
    });
    let gate = Gate::new();
    let faulty = Faulty::observed(threads(1), &at_gate(&gate), listener).await;
    let id = submit(&faulty.work, "wait").await;
    gate.until_waiting(1).await;
    faulty.settled().await;
    faulty.store.lose_next_answer(StoreError::OutcomeUnknown("as planned".to_owned()));
    gate.open();
    assert_eq!(end_state(&faulty.work, id).await, State::Finished);
    eventually("its end was reported again", async || faulty.work.dropped_reports() == 1).await;
    faulty.settled().await;
    assert_eq!(*told.lock().unwrap(), Vec::<String>::new());
    assert_eq!(faulty.work.load().slots_used, 0);
    faulty.system.shutdown(SOON).await;
}
