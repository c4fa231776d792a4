//! The death of a queue's workers while they work, while they are idle, before they hear of their attempt: what
//! one ran ends in Error, and its slot gets a new one once nothing of it runs any more.

use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{
    ActionContext, ActionId, OnRestart, Perform, QueueHandle, QueueSettings, RetryPolicy, State,
    Work,
};

use crate::common::{
    Home, at_gate, builder, end, end_state, nothing, state, submit, threads, to_do,
};

/// Returns once the queue has heard all that was told it before, and has started what it may.
async fn settled(queue: &QueueHandle) {
    for _ in 0..2 {
        queue.resume_queue().await.unwrap();
    }
}

/// Waits for the end of what a worker ran that died.
async fn lost(queue: &QueueHandle, id: ActionId) {
    let record = end(queue, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Error, 1));
    assert_eq!(record.error.as_deref(), Some("the worker that ran the action died"));
}

/// Returns what was begun, each as often as it was, by id: what starts together begins in any order.
fn started(script: &Script) -> Vec<ActionId> {
    let mut started = script.started();
    started.sort_unstable();
    started
}

async fn submit_all(queue: &QueueHandle, what: &str, number: usize) -> Vec<ActionId> {
    let mut ids = Vec::new();
    for _ in 0..number {
        ids.push(submit(queue, what).await);
    }
    ids
}

#[tokio::test]
async fn what_a_worker_ran_when_it_died_ends_in_error_and_the_next_one_starts() {
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        for what in ["wait", "deaf", "block"] {
            let gate = Gate::new();
            let script = at_gate(&gate).on_restart(on_restart);
            let home = Home::new(threads(1), &script).await;
            let ran = submit(&home.work, what).await;
            let waits = submit(&home.work, "").await;
            gate.until_waiting(1).await;
            home.work.crash_worker(0).await;
            lost(&home.work, ran).await;
            assert_eq!(end_state(&home.work, waits).await, State::Finished, "after {what}");
            assert_eq!((script.peak(), script.running()), (1, 0), "{what}");
            assert_eq!(home.work.dropped_reports(), 0);

            let home = Home::at(home.crash(), threads(1), &script).await;
            lost(&home.work, ran).await;
            let next = submit(&home.work, "").await;
            assert_eq!(end_state(&home.work, next).await, State::Finished);
            assert_eq!(script.started(), [ran, waits, next], "nothing ran twice");
        }
    }
}

/// A thread can't be ended: what it ran has, but its slot is taken until it ends by itself.
#[tokio::test]
async fn the_thread_of_a_dead_worker_keeps_its_slot() {
    for stopped_before in [false, true] {
        let gate = Gate::new();
        let script = at_gate(&gate);
        // Another attempt would run beside it.
        let retry = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
        let home = Home::new(QueueSettings { retry, ..threads(1) }, &script).await;
        let ran = submit(&home.work, "block deaf").await;
        let waits = submit(&home.work, "").await;
        gate.until_waiting(1).await;
        if stopped_before {
            home.work.stop(ran).await.unwrap();
            home.work.stop(ran).await.unwrap();
            assert_eq!(end_state(&home.work, ran).await, State::Stopped, "it is abandoned");
            home.work.crash_worker(0).await;
        } else {
            home.work.crash_worker(0).await;
            lost(&home.work, ran).await;
        }
        settled(&home.work).await;
        assert_eq!(state(&home.work, waits).await, State::Queued);
        assert_eq!((script.calls().len(), script.running()), (1, 1));
        gate.open();
        assert_eq!(end_state(&home.work, waits).await, State::Finished);
        assert_eq!((script.started(), script.peak()), (vec![ran, waits], 1));
    }
}

#[tokio::test]
async fn workers_that_die_while_they_are_idle_are_replaced() {
    let gate = Gate::opened();
    let script = at_gate(&gate);
    let home = Home::new(threads(2), &script).await;
    for id in submit_all(&home.work, "block", 6).await {
        end(&home.work, id).await;
    }
    gate.close();
    for slot in [0, 1] {
        home.work.crash_worker(slot).await;
        settled(&home.work).await;
    }
    let ids = submit_all(&home.work, "wait", 4).await;
    gate.until_waiting(2).await;
    settled(&home.work).await;
    assert_eq!(script.running(), 2);
    gate.open();
    for id in ids {
        assert_eq!(end_state(&home.work, id).await, State::Finished);
    }
    assert_eq!((script.calls().len(), script.peak()), (10, 2));
}

#[tokio::test]
async fn workers_that_die_together_leave_their_slots_to_those_who_wait() {
    for what in ["wait", "deaf", "block"] {
        let gate = Gate::new();
        let script = at_gate(&gate);
        let home = Home::new(threads(2), &script).await;
        let ran = submit_all(&home.work, what, 2).await;
        gate.until_waiting(2).await;
        let waiting = submit_all(&home.work, what, 4).await;
        drop([home.work.crash_worker(0), home.work.crash_worker(1)]);
        for id in &ran {
            lost(&home.work, *id).await;
        }
        eventually("the next two have started", async || script.calls().len() == 4).await;
        gate.until_waiting(2).await;
        settled(&home.work).await;
        assert_eq!((script.calls().len(), script.running()), (4, 2), "{what}");
        gate.open();
        for id in &waiting {
            assert_eq!(end_state(&home.work, *id).await, State::Finished);
        }
        assert_eq!((started(&script), script.peak()), ([ran, waiting].concat(), 2), "{what}");
    }
}

/// A performer at which the queue's thread waits, wherever it asks what becomes of an action after a restart:
/// it does when it hears of a start, just before it passes that on to a worker.
struct HoldsTheQueue {
    script: Script,
    thread: Gate,
}

impl Perform for HoldsTheQueue {
    fn perform(&self, context: ActionContext) -> Work {
        self.script.perform(context)
    }

    fn on_restart(&self) -> OnRestart {
        self.thread.wait_blocking();
        OnRestart::Fail
    }
}

#[tokio::test]
async fn a_worker_that_dies_before_it_hears_of_its_attempt_takes_nothing_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let (script, thread) = (Script::always(nothing()), Gate::opened());
    let holds = HoldsTheQueue { script: script.clone(), thread: thread.clone() };
    let system = builder(directory.path()).queue("Work", threads(1), holds).start().await.unwrap();
    let work = system.queue("Work").unwrap();
    let before = submit(&work, "").await;
    end(&work, before).await;
    thread.close();
    let given = submit(&work, "").await;
    thread.until_waiting(1).await;
    // Ahead of its attempt in the mailbox of the worker.
    drop(work.crash_worker(0));
    let waits = tokio::spawn({
        let work = work.clone();
        async move { work.submit(to_do("")).await.unwrap().id }
    });
    thread.open();
    lost(&work, given).await;
    let waits = waits.await.unwrap();
    assert_eq!(end_state(&work, waits).await, State::Finished);
    assert_eq!(script.started(), [before, waits]);
}

/// Nobody hears of a death that falls into the time without an actor: the next one finds it.
#[tokio::test]
async fn workers_that_die_with_the_actor_are_found_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let (gate, thread) = (Gate::new(), Gate::opened());
    let script = at_gate(&gate);
    let holds = HoldsTheQueue { script: Script::always(nothing()), thread: thread.clone() };
    let system = builder(directory.path())
        .threads(1)
        .queue("Work", threads(2), script.clone())
        .queue("Other", threads(1), holds)
        .start()
        .await
        .unwrap();
    let (work, other) = (system.queue("Work").unwrap(), system.queue("Other").unwrap());
    let ran = submit_all(&work, "wait", 2).await;
    gate.until_waiting(2).await;
    let waiting = submit_all(&work, "", 4).await;
    // Held until all three are on their way, in this order.
    thread.close();
    let elsewhere = submit(&other, "").await;
    thread.until_waiting(1).await;
    work.crash_actor();
    drop([work.crash_worker(0), work.crash_worker(1)]);
    thread.open();
    for id in &ran {
        lost(&work, *id).await;
    }
    for id in &waiting {
        assert_eq!(end_state(&work, *id).await, State::Finished);
    }
    assert_eq!(end_state(&other, elsewhere).await, State::Finished);
    assert_eq!(
        (started(&script), script.peak()),
        ([ran, waiting].concat(), 2),
        "nothing ran twice"
    );
}
