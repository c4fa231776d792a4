//! Shutdown, and the death of the whole server: what is there when it comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::store::Submitted;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::testing::{FaultyStore, Gate, Plan, Script, eventually};
use actiond_actors::{Node, OnRestart, QueueError, State, Work};
use tokio::task::JoinHandle;

use crate::common::{
    Faulty, Home, NEVER, SOON, at_gate, builder, end, end_state, graceless, nothing, state, submit,
    threads, to_do, until, until_finished,
};

#[tokio::test]
async fn a_shutdown_lets_what_runs_end_and_starts_nothing_more() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    let runs = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    let ending = tokio::spawn({
        let system = home.system.clone();
        async move { system.shutdown(NEVER).await }
    });
    eventually("the shutdown has begun", async || home.system.is_draining()).await;
    assert_eq!(home.work.submit(to_do("")).await, Err(QueueError::ShuttingDown));
    assert_eq!(home.work.duplicate(waits).await, Err(QueueError::ShuttingDown));
    assert_eq!(home.work.change_priority(waits, 1).await, Ok(State::Queued));
    gate.open();
    tokio::time::timeout(SOON, ending).await.expect("the shutdown ends").unwrap();
    assert_eq!(script.started(), [runs]);
    let home = Home::at(home.crash(), threads(1), &script).await;
    assert_eq!(state(&home.work, runs).await, State::Finished);
    assert_eq!(end_state(&home.work, waits).await, State::Finished);
    assert_eq!(script.started(), [runs, waits]);
}

/// What is stopped by a shutdown, by how it works and what its queue wants of it.
#[tokio::test]
async fn a_shutdown_interrupts_what_does_not_end() {
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        for what in ["wait", "deaf", "block", "block deaf"] {
            let gate = Gate::new();
            let script = at_gate(&gate).on_restart(on_restart);
            let home = Home::new(graceless(1), &script).await;
            let id = submit(&home.work, what).await;
            gate.until_waiting(1).await;
            let since = Instant::now();
            home.system.shutdown(Duration::ZERO).await;
            assert!(since.elapsed() < SOON, "{what}");
            gate.open();
            let script = Script::always(nothing());
            let home = Home::at(home.crash(), threads(1), &script).await;
            let record = end(&home.work, id).await.record;
            if on_restart == OnRestart::Requeue {
                assert_eq!((record.state, record.attempt), (State::Finished, 2), "{what}");
            } else {
                assert_eq!((record.state, record.attempt), (State::Error, 1), "{what}");
                let error = record.error.unwrap();
                assert!(error.contains("shutdown") || error.contains("abandoned"), "{error}");
                assert!(script.calls().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn what_a_shutdown_interrupts_keeps_its_partial_result() {
    let gate = Gate::new();
    let script = Script::new({
        let gate = gate.clone();
        move |context| {
            let gate = gate.clone();
            Work::task(async move {
                context.set_partial(vec![Node::text("so", "far")]);
                tokio::select! {
                    () = gate.wait() => Ok(vec![]),
                    () = context.stop_requested() => Err(actiond_actors::Failure::Stopped),
                }
            })
        }
    });
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    home.system.shutdown(Duration::ZERO).await;
    let home = Home::at(home.crash(), threads(1), &Script::always(nothing())).await;
    let record = home.work.status(id).await.unwrap().record;
    assert_eq!(record.error.as_deref(), Some("interrupted by server shutdown"));
    assert_eq!(record.report, [Node::text("so", "far")]);
}

#[tokio::test]
async fn a_client_s_stop_before_the_shutdown_ends_in_stopped() {
    let gate = Gate::new();
    let script = at_gate(&gate).on_restart(OnRestart::Requeue).pausable();
    let home = Home::new(threads(2), &script).await;
    let stopping = submit(&home.work, "deaf").await;
    let paused = submit(&home.work, "wait").await;
    gate.until_waiting(2).await;
    home.work.stop(stopping).await.unwrap();
    home.work.pause(paused).await.unwrap();
    home.system.shutdown_now().await;
    let script = Script::always(nothing());
    let home = Home::at(home.crash(), threads(1), &script).await;
    assert_eq!(state(&home.work, stopping).await, State::Stopped);
    assert_eq!(end_state(&home.work, paused).await, State::Finished);
    assert_eq!(script.started(), [paused]);
}

#[tokio::test]
async fn a_shutdown_in_a_hurry_cuts_the_patient_one_short() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "deaf").await;
    gate.until_waiting(1).await;
    let patient = tokio::spawn({
        let system = home.system.clone();
        async move { system.shutdown(NEVER).await }
    });
    eventually("the patient one has begun", async || home.system.is_draining()).await;
    home.system.shutdown_now().await;
    tokio::time::timeout(SOON, patient).await.expect("it ends too").unwrap();
    let home = Home::at(home.crash(), threads(1), &Script::always(nothing())).await;
    assert_eq!(state(&home.work, id).await, State::Error);
}

/// Submits an action whose start is durable, but whose queue does not hear of it before the store is
/// released.
async fn start_on_its_way(home: &Faulty) -> JoinHandle<Result<Submitted, QueueError>> {
    home.store.hold_answers();
    let submitted = tokio::spawn({
        let work = home.work.clone();
        async move { work.submit(to_do("wait")).await }
    });
    eventually("the start is on its way", async || home.store.held() == 1).await;
    submitted
}

/// An action whose start is on its way to the disk when the shutdown begins has its patience too.
#[tokio::test]
async fn a_shutdown_waits_for_what_just_starts() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Faulty::new(threads(1), &script).await;
    let submitted = start_on_its_way(&home).await;
    let mut ending = tokio::spawn({
        let system = home.system.clone();
        async move { system.shutdown(SOON).await }
    });
    eventually("the shutdown has begun", async || home.system.is_draining()).await;
    home.store.release();
    let id = submitted.await.unwrap().unwrap().id;
    gate.until_waiting(1).await;
    let early = tokio::time::timeout(Duration::from_millis(300), &mut ending).await;
    assert!(early.is_err(), "the shutdown did not wait for what runs");
    gate.open();
    ending.await.unwrap();
    let Faulty { directory, store, system, work } = home;
    drop((store, system, work));
    let home = Home::at(directory, threads(1), &script).await;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    assert_eq!(script.started(), [id]);
}

/// An action whose start comes back from the disk after all were told to end is ended too.
#[tokio::test]
async fn a_start_that_comes_back_late_does_not_outlive_the_shutdown() {
    for in_a_hurry in [true, false] {
        let script = at_gate(&Gate::new()).on_restart(OnRestart::Requeue);
        let home = Faulty::new(graceless(1), &script).await;
        let submitted = start_on_its_way(&home).await;
        let mut ending = tokio::spawn({
            let system = home.system.clone();
            async move {
                if in_a_hurry {
                    system.shutdown_now().await;
                } else {
                    system.shutdown(Duration::ZERO).await;
                }
            }
        });
        let early = tokio::time::timeout(Duration::from_millis(200), &mut ending).await;
        assert!(early.is_err(), "the shutdown ended before the answer came");
        home.store.release();
        let id = submitted.await.unwrap().unwrap().id;
        ending.await.unwrap();
        assert_eq!(script.running(), 0, "the work outlived the shutdown");
        let Faulty { directory, store, system, work } = home;
        drop((store, system, work));
        let home = Home::at(directory, threads(1), &at_gate(&Gate::opened())).await;
        assert_eq!(end_state(&home.work, id).await, State::Finished, "it runs after the restart");
    }
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_when_the_server_dies() {
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        let gate = Gate::new();
        let script = at_gate(&gate).on_restart(on_restart);
        let home = Home::new(threads(3), &script).await;
        let done = submit(&home.work, "").await;
        end(&home.work, done).await;
        let runs = submit(&home.work, "deaf").await;
        let stopping = submit(&home.work, "deaf").await;
        let thread = submit(&home.work, "block deaf").await;
        gate.until_waiting(3).await;
        home.work.stop(stopping).await.unwrap();
        let mut waiting = Vec::new();
        for priority in 0..50 {
            let submission = to_do("").priority(priority).key(priority.to_string());
            waiting.push(home.work.submit(submission).await.unwrap());
        }
        home.work.cancel(waiting[7].id).await.unwrap();
        home.work.change_priority(waiting[3].id, 99).await.unwrap();
        home.work.pause_queue().await.unwrap();
        let before = home.work.status(done).await.unwrap().record;

        let directory = home.crash();
        let script = Script::always(nothing()).on_restart(on_restart);
        let home = Home::at(directory, threads(1), &script).await;
        gate.open();
        let fell = match on_restart {
            OnRestart::Requeue => (State::Queued, None),
            OnRestart::Fail => (State::Error, Some("interrupted by server restart")),
            OnRestart::Resume => unreachable!("not among those tried"),
        };
        for id in [runs, thread] {
            until(&home.work, id, fell.0).await;
            let error = home.work.status(id).await.unwrap().record.error;
            assert_eq!(error.as_deref(), fell.1);
        }
        until(&home.work, stopping, State::Stopped).await;
        assert_eq!(home.work.status(done).await.unwrap().record, before);
        assert!(home.work.summary().paused);
        assert_eq!(home.work.submit(to_do("").key("5")).await, Ok(waiting[5]));
        home.work.resume_queue().await.unwrap();
        for (number, submitted) in waiting.iter().enumerate() {
            let wanted = if number == 7 { State::Cancelled } else { State::Finished };
            let record = end(&home.work, submitted.id).await.record;
            assert_eq!((record.state, record.queued_at), (wanted, submitted.queued_at));
        }
        assert_eq!(script.started()[..2], [waiting[3].id, waiting[49].id]);
        let ran_again = if on_restart == OnRestart::Requeue { 2 } else { 0 };
        let last = submit(&home.work, "").await;
        end(&home.work, last).await;
        assert_eq!(script.calls().iter().filter(|call| call.attempt == 2).count(), ran_again);
    }
}

/// Nobody may be shown as running what died with the server, and then see its state go back.
#[tokio::test]
async fn a_start_waits_until_what_ran_is_recovered() {
    for (on_restart, recovered) in
        [(OnRestart::Requeue, State::Queued), (OnRestart::Fail, State::Error)]
    {
        let gate = Gate::new();
        let home = Home::new(threads(1), &at_gate(&gate).on_restart(on_restart)).await;
        let runs = submit(&home.work, "deaf").await;
        gate.until_waiting(1).await;
        // Paused, so that nothing starts again.
        home.work.pause_queue().await.unwrap();
        let directory = home.crash();
        gate.open();

        let mut opened = None;
        eventually("the directory is free", async || {
            opened = SqliteStore::open(directory.path(), Durability::Normal).ok();
            opened.is_some()
        })
        .await;
        let store = FaultyStore::new(Arc::new(opened.unwrap()));
        store.hold_commits();
        let mut starting = tokio::spawn({
            let script = at_gate(&gate).on_restart(on_restart);
            builder(directory.path())
                .store(Arc::new(store.clone()))
                .queue("Work", threads(1), script)
                .start()
        });
        eventually("the recovery is on its way", async || store.held() == 1).await;
        let early = tokio::time::timeout(Duration::from_millis(200), &mut starting).await;
        assert!(early.is_err(), "the start did not wait for the recovery");
        store.release();
        let system = starting.await.unwrap().unwrap();
        assert_eq!(state(&system.queue("Work").unwrap(), runs).await, recovered);
    }
}

#[tokio::test]
async fn the_queue_s_own_setting_says_what_becomes_of_what_ran() {
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        let gate = Gate::new();
        let home = Home::new(threads(1), &at_gate(&gate)).await;
        let id = submit(&home.work, "deaf").await;
        gate.until_waiting(1).await;
        let before = home.work.status(id).await.unwrap().record;
        let mut settings = threads(1);
        settings.on_restart = Some(on_restart);
        let other =
            if on_restart == OnRestart::Fail { OnRestart::Requeue } else { OnRestart::Fail };
        let script = Script::always(nothing()).on_restart(other);
        let home = Home::at(home.crash(), settings, &script).await;
        let record = end(&home.work, id).await.record;
        assert_eq!(record.queued_at, before.queued_at);
        let wanted = match on_restart {
            OnRestart::Requeue => (State::Finished, 2),
            OnRestart::Fail => (State::Error, 1),
            OnRestart::Resume => unreachable!("not among those tried"),
        };
        assert_eq!((record.state, record.attempt), wanted);
    }
}

/// The end of a system is no end of its actions: what is cut off with it must not be written down
/// as stopped.
#[tokio::test]
async fn what_is_dropped_with_its_system_is_not_written_down_as_stopped() {
    for _ in 0..20 {
        let gate = Gate::new();
        let home = Home::new(threads(2), &at_gate(&gate)).await;
        let ids = [submit(&home.work, "deaf").await, submit(&home.work, "block deaf").await];
        gate.until_waiting(2).await;
        let directory = home.crash();
        gate.open();
        let script = Script::always(nothing()).on_restart(OnRestart::Requeue);
        let home = Home::at(directory, threads(1), &script).await;
        for id in ids {
            let record = end(&home.work, id).await.record;
            assert_ne!(record.state, State::Stopped, "nobody asked it to stop");
        }
    }
}

/// The guarantee is the same when actions hold their context while they run, as most do.
#[tokio::test]
async fn a_running_action_does_not_keep_a_dropped_system_alive() {
    let gate = Gate::new();
    let script = at_gate(&gate).on_restart(OnRestart::Requeue);
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let directory = home.crash();
    eventually("the action is dropped with its system", async || script.running() == 0).await;
    let script = Script::always(nothing()).on_restart(OnRestart::Requeue);
    let home = Home::at(directory, threads(1), &script).await;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
}

#[tokio::test]
async fn handles_of_a_system_that_is_gone_say_so() {
    let home = Home::new(threads(1), &Script::always(nothing())).await;
    let id = submit(&home.work, "").await;
    end(&home.work, id).await;
    let Home { directory: _directory, system, work } = home;
    system.shutdown(SOON).await;
    assert_eq!(work.submit(to_do("")).await, Err(QueueError::ShuttingDown));
    assert!(matches!(work.status(id).await, Err(QueueError::Store(_))));
    drop(system);
    let gone = tokio::time::timeout(SOON, work.submit(to_do(""))).await;
    assert_eq!(gone.expect("an answer"), Err(QueueError::ShuttingDown));
    eventually("its actor is gone and a command says so", async || {
        work.pause_queue().await == Err(QueueError::ShuttingDown)
    })
    .await;
    assert!(work.run_now(Default::default()).await.is_err());
}

/// A drain is heard also where the queue's actor has just died.
#[tokio::test]
async fn a_drain_is_not_lost_with_the_actor() {
    let home = Home::new(threads(1), &Script::always(nothing())).await;
    // Behind the crash in the mailbox of an actor that will not come to it.
    home.work.crash_actor();
    home.system.drain();
    let mut answer = Err(QueueError::NoAnswer);
    eventually("the queue answers again", async || {
        answer = home.work.submit(to_do("")).await;
        answer != Err(QueueError::NoAnswer)
    })
    .await;
    assert_eq!(answer, Err(QueueError::ShuttingDown));
}

/// So is an interruption: the shutdown must not wait for ever for what never heard of it.
#[tokio::test]
async fn an_interruption_is_not_lost_with_the_actor() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    home.work.crash_actor();
    let ended = tokio::time::timeout(SOON, home.system.shutdown(Duration::ZERO)).await;
    assert!(ended.is_ok(), "the shutdown hangs");
    let home = Home::at(home.crash(), threads(1), &Script::always(nothing())).await;
    let record = home.work.status(id).await.unwrap().record;
    assert_eq!(record.error.as_deref(), Some("interrupted by server shutdown"));
}

#[tokio::test]
async fn a_directory_is_free_after_the_shutdown_of_a_system_with_several_queues() {
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=3_u64 {
        let mut building = builder(directory.path()).threads(2);
        for name in ["A", "B", "C"] {
            building = building.queue(name, threads(2), Script::always(Plan::Fail("x".into())));
        }
        let system = building.start().await.expect("the directory is free");
        for queue in system.queues() {
            let id = submit(&queue, "").await;
            assert_eq!(end_state(&queue, id).await, State::Error);
            until_finished(&queue, round).await;
        }
        system.shutdown(SOON).await;
    }
}
