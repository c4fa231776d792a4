//! A shutdown and those who wait for an answer meanwhile: each gets one (Q11).

use std::time::Duration;

use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{
    Failure, Node, OnRestart, Parameters, QueueError, QueueHandle, RunOutcome, State, Work,
};
use tokio::task::JoinHandle;

use crate::common::{Home, NEVER, SOON, at_gate, graceless, submit, threads, until};

/// Those who wait learn how their actions stand after what ran was interrupted and that was recorded.
#[tokio::test]
async fn who_waits_is_answered_before_the_store_is_closed() {
    for (on_restart, ran) in [(OnRestart::Requeue, State::Queued), (OnRestart::Fail, State::Error)]
    {
        for in_a_hurry in [false, true] {
            let gate = Gate::new();
            let home = Home::new(graceless(1), &at_gate(&gate).on_restart(on_restart)).await;
            let runs = submit(&home.work, "wait").await;
            let waits = submit(&home.work, "").await;
            gate.until_waiting(1).await;
            let shutdown = async {
                if in_a_hurry {
                    home.system.shutdown_now().await;
                } else {
                    home.system.shutdown(Duration::ZERO).await;
                }
            };
            // Both wait before the shutdown begins: these are polled in their order.
            let all = async {
                tokio::join!(home.work.wait(runs, NEVER), home.work.wait(waits, NEVER), shutdown)
            };
            let all = tokio::time::timeout(SOON, all).await;
            let (first, second, ()) = all.expect("all who wait are answered, and the system ends");
            let states = [first, second].map(|status| status.unwrap().record.state);
            assert_eq!(states, [ran, State::Queued], "{in_a_hurry}");
        }
    }
}

/// A partial result that can't be kept must not cost the action that is to run again.
#[tokio::test]
async fn what_is_interrupted_waits_again_whatever_its_partial_result() {
    for (on_restart, state) in
        [(OnRestart::Requeue, State::Queued), (OnRestart::Fail, State::Error)]
    {
        let script = Script::new(|context| {
            let deep = (0..60).fold(Node::new("n"), |inner, _| Node::new("n").node(inner));
            context.set_partial(vec![deep]);
            Work::task(async move {
                context.stop_requested().await;
                Err(Failure::Stopped)
            })
        });
        let home = Home::new(threads(1), &script.on_restart(on_restart)).await;
        let id = submit(&home.work, "").await;
        until(&home.work, id, State::Processing).await;
        let waits = async { tokio::join!(home.work.wait(id, NEVER), home.system.shutdown_now()) };
        let (status, ()) = tokio::time::timeout(SOON, waits).await.expect("it ends");
        let record = status.unwrap().record;
        let error = (state == State::Error).then_some("interrupted by server shutdown");
        assert_eq!((record.state, record.error.as_deref()), (state, error));
    }
}

/// Runs an action at once that does this at the gate, and returns when it stands there.
async fn run_now(
    work: &QueueHandle,
    gate: &Gate,
    what: &str,
) -> JoinHandle<Result<RunOutcome, QueueError>> {
    let work = work.clone();
    let parameters = Parameters::from_iter([("Do", what)]);
    let caller = tokio::spawn(async move { work.run_now(parameters).await });
    gate.until_waiting(1).await;
    caller
}

/// What the caller of an action that ran at once is told.
async fn outcome(caller: JoinHandle<Result<RunOutcome, QueueError>>) -> RunOutcome {
    tokio::time::timeout(SOON, caller).await.expect("its caller is answered").unwrap().unwrap()
}

#[tokio::test]
async fn a_shutdown_lets_an_action_end_that_runs_at_once() {
    for what in ["wait", "block"] {
        let gate = Gate::new();
        let script = at_gate(&gate);
        let home = Home::new(threads(1), &script).await;
        let caller = run_now(&home.work, &gate, what).await;
        let system = home.system.clone();
        let mut ending = tokio::spawn(async move { system.shutdown(NEVER).await });
        eventually("the shutdown has begun", async || home.system.is_draining()).await;
        let late = home.work.run_now(Parameters::default()).await;
        assert_eq!(late, Err(QueueError::ShuttingDown));
        let early = tokio::time::timeout(Duration::from_millis(300), &mut ending).await;
        assert!(early.is_err(), "the shutdown did not wait for what runs");
        gate.open();
        assert_eq!(outcome(caller).await.state, State::Finished, "{what}");
        tokio::time::timeout(SOON, ending).await.expect("the shutdown ends").unwrap();
    }
}

#[tokio::test]
async fn a_shutdown_stops_an_action_that_runs_at_once_and_does_not_end() {
    for in_a_hurry in [false, true] {
        for what in ["wait", "deaf", "block", "block deaf"] {
            let gate = Gate::new();
            let script = at_gate(&gate);
            // Where there is no hurry, what hears nothing is forced after the grace period.
            let settings = if in_a_hurry { threads(1) } else { graceless(1) };
            let home = Home::new(settings, &script).await;
            let caller = run_now(&home.work, &gate, what).await;
            if in_a_hurry {
                home.system.shutdown_now().await;
            } else {
                home.system.shutdown(Duration::ZERO).await;
            }
            match what {
                // Nothing can force a thread, and one that hears still has to end.
                "block deaf" => assert_eq!(script.running(), 1),
                "block" => eventually("its thread has ended", async || script.running() == 0).await,
                _ => assert_eq!(script.running(), 0, "{what} outlived the shutdown"),
            }
            let RunOutcome { state, error, .. } = outcome(caller).await;
            let error = error.expect("a reason");
            assert_eq!((state, &*error), (State::Stopped, "interrupted by server shutdown"));
            gate.open();
        }
    }
}

/// Also where none of its callers is there any more, and whatever it does.
#[tokio::test]
async fn what_runs_at_once_for_nobody_is_forced_after_the_grace_period() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(graceless(1), &script).await;
    run_now(&home.work, &gate, "deaf").await.abort();
    eventually("it is forced", async || script.running() == 0).await;
}
