//! How actions end, stop and are forced; what they show of themselves; actions that run at once.

use std::sync::Arc;

use actiond_actors::testing::{Gate, Plan, Script, eventually};
use actiond_actors::{
    Failure, Node, Parameters, Progress, QueueError, Stage, StageStatus, State, Work,
};

use crate::common::{
    Home, SOON, at_gate, end, end_state, graceless, state, submit, threads, to_do, until,
};

fn text(name: &'static str, text: &str) -> Vec<Node> {
    vec![Node::text(name, text)]
}

#[tokio::test]
async fn a_result_is_kept() {
    let script = Script::new(|context| {
        let said = format!(
            "{} {:?} {}",
            context.queue_name(),
            context.parameters().get("DO"),
            context.attempt_number()
        );
        assert!(context.id().is_some());
        Work::task(async move { Ok(text("said", &said)) })
    });
    let home = Home::new(threads(1), &script).await;
    let submitted = home.work.submit(to_do("it").priority(4)).await.unwrap();
    let status = end(&home.work, submitted.id).await;
    assert_eq!(status.record.state, State::Finished);
    assert_eq!(status.record.report, text("said", "Work Some(\"it\") 1"));
    assert_eq!((status.record.priority, status.record.attempt), (4, 1));
    assert_eq!(status.progress.percent(), 100.0);
    assert_eq!(status.record.queued_at, submitted.queued_at);
    assert!(status.record.queued_at <= status.record.started_at.unwrap());
    assert!(status.record.started_at <= status.record.finished_at);
}

#[tokio::test]
async fn failures_and_panics_end_the_action_alone() {
    let plans = [
        (Plan::Fail("no such file".into()), "no such file"),
        (Plan::PanicInPerform("first part".into()), "the action panicked: first part"),
        (Plan::PanicInTask("second part".into()), "the action panicked: second part"),
        (Plan::PanicOnThread("on a thread".into()), "the action panicked: on a thread"),
    ];
    let script = Script::planned(plans.clone().map(|(plan, _)| plan));
    let home = Home::new(threads(1), &script).await;
    for (plan, error) in plans {
        let id = submit(&home.work, "").await;
        let record = end(&home.work, id).await.record;
        assert_eq!(record.state, State::Error, "{plan:?}");
        assert_eq!(record.error.as_deref(), Some(error));
    }
    let id = submit(&home.work, "").await;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    assert_eq!(script.running(), 0);
}

/// What it panics with is its own, too.
#[tokio::test]
async fn a_panic_that_panics_when_it_is_dropped_ends_the_action_alone() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            std::panic::panic_any(Loud);
        }
    }
    let script = Script::new(|_| Work::task(async { std::panic::panic_any(Loud) }));
    let home = Home::new(threads(1), &script).await;
    let said = Some("the action panicked: no message".to_owned());
    let at_once = home.work.run_now(Parameters::default()).await.unwrap();
    assert_eq!((at_once.state, at_once.error), (State::Error, said.clone()));
    let id = submit(&home.work, "").await;
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.error), (State::Error, said));
}

#[tokio::test]
async fn work_that_stops_unasked_has_failed() {
    let script = Script::new(|_| Work::done(Err(Failure::Stopped)));
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "").await;
    assert_eq!(end_state(&home.work, id).await, State::Error);
}

#[tokio::test]
async fn what_waits_can_be_cancelled_and_never_starts() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    let runs = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    let stopped = submit(&home.work, "").await;
    assert_eq!(home.work.cancel(waits).await, Ok(State::Cancelled));
    assert_eq!(home.work.cancel(waits).await, Ok(State::Cancelled));
    assert_eq!(home.work.stop(stopped).await, Ok(State::Cancelled));
    assert!(matches!(home.work.cancel(runs).await, Err(QueueError::Refused(_))));
    gate.open();
    assert_eq!(end_state(&home.work, runs).await, State::Finished);
    let last = submit(&home.work, "").await;
    end(&home.work, last).await;
    assert_eq!(script.started(), [runs, last]);
    assert!(matches!(home.work.stop(runs).await, Err(QueueError::Refused(_))));
}

#[tokio::test]
async fn a_stop_ends_work_that_listens() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    for what in ["wait", "block"] {
        let id = submit(&home.work, what).await;
        gate.until_waiting(1).await;
        assert_eq!(home.work.stop(id).await, Ok(State::Stopping));
        let record = end(&home.work, id).await.record;
        assert_eq!((record.state, record.error), (State::Stopped, None), "{what}");
        assert_eq!(home.work.stop(id).await, Ok(State::Stopped));
    }
}

#[tokio::test]
async fn work_that_completes_although_it_was_stopped_has_finished() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "deaf").await;
    gate.until_waiting(1).await;
    assert_eq!(home.work.stop(id).await, Ok(State::Stopping));
    gate.open();
    assert_eq!(end_state(&home.work, id).await, State::Finished);
}

#[tokio::test]
async fn a_deaf_task_is_forced_after_the_grace_period() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(graceless(1), &script).await;
    let id = submit(&home.work, "deaf").await;
    gate.until_waiting(1).await;
    home.work.stop(id).await.unwrap();
    assert_eq!(end_state(&home.work, id).await, State::Stopped);
    eventually("the task is dropped", async || script.running() == 0).await;
    let next = submit(&home.work, "").await;
    assert_eq!(end_state(&home.work, next).await, State::Finished);
}

#[tokio::test]
async fn a_second_stop_forces_at_once() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "deaf").await;
    gate.until_waiting(1).await;
    assert_eq!(home.work.stop(id).await, Ok(State::Stopping));
    assert_eq!(home.work.stop(id).await, Ok(State::Stopping));
    assert_eq!(end_state(&home.work, id).await, State::Stopped);
}

#[tokio::test]
async fn stopping_all_stops_and_then_forces_what_runs() {
    let gate = Gate::new();
    let home = Home::new(threads(2), &at_gate(&gate)).await;
    let deaf = submit(&home.work, "deaf").await;
    let listens = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(2).await;
    home.work.pause_queue().await.unwrap();
    assert_eq!(home.work.stop_all().await, Ok(vec![deaf, listens]));
    assert_eq!(end_state(&home.work, listens).await, State::Stopped);
    assert_eq!(home.work.stop_all().await, Ok(vec![deaf]));
    assert_eq!(end_state(&home.work, deaf).await, State::Stopped);
    assert_eq!(state(&home.work, waits).await, State::Queued);
}

#[tokio::test]
async fn a_deaf_thread_is_abandoned_and_its_slot_retired_until_it_ends() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    let deaf = submit(&home.work, "block deaf").await;
    gate.until_waiting(1).await;
    home.work.stop(deaf).await.unwrap();
    home.work.stop(deaf).await.unwrap();
    let record = end(&home.work, deaf).await.record;
    assert_eq!(record.state, State::Stopped);
    assert!(record.error.unwrap().contains("abandoned"));
    let next = submit(&home.work, "").await;
    // Answered behind all that could have started it.
    home.work.change_priority(next, 1).await.unwrap();
    assert_eq!(home.work.summary().counts.running(), 0);
    assert_eq!(script.started(), [deaf]);
    let before = home.work.status(deaf).await.unwrap().record;
    gate.open();
    assert_eq!(end_state(&home.work, next).await, State::Finished);
    assert_eq!(home.work.status(deaf).await.unwrap().record, before, "its late report is dropped");
    assert_eq!(script.peak(), 1);
}

#[tokio::test]
async fn a_deaf_thread_is_abandoned_after_the_grace_period() {
    let gate = Gate::new();
    let home = Home::new(graceless(1), &at_gate(&gate)).await;
    let deaf = submit(&home.work, "block deaf").await;
    gate.until_waiting(1).await;
    home.work.stop(deaf).await.unwrap();
    assert_eq!(end_state(&home.work, deaf).await, State::Stopped);
    gate.open();
}

/// Forced before its thread was started, the work must not run beside what takes its slot (Q4).
#[tokio::test]
async fn work_that_is_forced_before_its_thread_starts_does_not_start_it() {
    let (asked, never) = (Gate::new(), Gate::new());
    let script = Script::new({
        let (asked, never) = (asked.clone(), never.clone());
        move |context| {
            if context.parameters().get("Do") != Some("late") {
                return Work::done(Ok(Vec::new()));
            }
            asked.wait_blocking();
            let never = never.clone();
            Work::blocking(move || {
                never.wait_blocking();
                Ok(Vec::new())
            })
        }
    });
    let home = Home::new(threads(1), &script).await;
    let late = submit(&home.work, "late").await;
    asked.until_waiting(1).await;
    home.work.stop(late).await.unwrap();
    home.work.stop(late).await.unwrap();
    asked.open();
    let record = end(&home.work, late).await.record;
    assert_eq!(record.state, State::Stopped);
    if record.error.is_some() {
        // The force came behind the start of the thread: its slot is retired until it ends.
        never.open();
    }
    let next = submit(&home.work, "").await;
    let next = home.work.wait(next, SOON).await.unwrap().record.state;
    never.open();
    assert_eq!(next, State::Finished);
    assert_eq!(script.peak(), 1, "two ran in one slot");
}

#[tokio::test]
async fn progress_and_partial_results_are_seen_live_and_kept_after_a_stop() {
    let gate = Gate::new();
    let script = Script::new({
        let gate = gate.clone();
        move |context| {
            let gate = gate.clone();
            Work::task(async move {
                context.set_progress(Progress::of_percent(40.0));
                context.set_partial(text("seen", "2 of 5"));
                tokio::select! {
                    () = gate.wait() => {}
                    () = context.stop_requested() => {}
                }
                context.checkpoint().await?;
                Ok(text("seen", "5 of 5"))
            })
        }
    });
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    let live = home.work.status(id).await.unwrap();
    assert_eq!(live.record.state, State::Processing);
    assert_eq!((live.progress.percent(), live.record.report), (40.0, text("seen", "2 of 5")));
    home.work.stop(id).await.unwrap();
    let kept = end(&home.work, id).await;
    assert_eq!(kept.record.state, State::Stopped);
    assert_eq!((kept.progress.percent(), &kept.record.report), (40.0, &text("seen", "2 of 5")));
    gate.open();
    let id = submit(&home.work, "").await;
    let done = end(&home.work, id).await;
    assert_eq!((done.progress.percent(), done.record.report), (100.0, text("seen", "5 of 5")));
}

/// Whatever an action says of its progress, its end is written down and the queue goes on.
#[tokio::test]
async fn an_odd_progress_does_not_keep_the_end_from_being_written() {
    let script = Script::new(|context| {
        let odd = match context.parameters().get("Do") {
            Some("infinite") => f64::INFINITY,
            Some("huge") => f64::MAX,
            _ => f64::NAN,
        };
        let stage = || Stage::new("s").weight(odd).at(StageStatus::Processing).percent(50.0);
        context.set_progress(Progress::of_stages(vec![stage(), stage()]));
        Work::done(Err(Failure::failed("as planned")))
    });
    let home = Home::new(threads(1), &script).await;
    for odd in ["nan", "infinite", "huge"] {
        let id = submit(&home.work, odd).await;
        let status = end(&home.work, id).await;
        assert_eq!(status.record.state, State::Error, "{odd}");
        assert!((0.0..=100.0).contains(&status.record.percent), "{odd}: {}", status.record.percent);
    }
}

/// A result that is nested too deeply to be read again must not make its action unreadable.
#[tokio::test]
async fn a_deeply_nested_result_leaves_the_queue_readable() {
    let script = Script::new(|context| {
        let levels = context.parameters().get("Do").unwrap().parse().unwrap();
        let mut node = Node::text("innermost", "here");
        for _ in 0..levels {
            node = Node::new("level").node(node);
        }
        context.set_partial(text("so", "far"));
        Work::done(Ok(vec![node]))
    });
    let home = Home::new(threads(1), &script).await;
    let too_deep = || Some("the result is nested deeper than 50 levels".to_owned());
    let table = [("49", None), ("50", too_deep()), ("500", too_deep()), ("500000", too_deep())];
    for (levels, error) in table {
        let at_once = home.work.run_now(Parameters::from_iter([("Do", levels)])).await.unwrap();
        assert_eq!(at_once.error, error, "{levels}");
        let id = submit(&home.work, levels).await;
        let record = home.work.wait(id, SOON).await.unwrap().record;
        assert_eq!(record.report == text("so", "far"), error.is_some(), "{levels}");
        assert_eq!(record.error, error, "{levels}");
    }
    let listed = home.work.list(Default::default(), 0).next_page(10).await.unwrap();
    assert_eq!(listed.len(), 4);
}

#[tokio::test]
async fn a_deeply_nested_partial_result_risks_nobodys_stack() {
    let script = Script::new(|context| {
        let deep = (0..500_000).fold(Node::new("n"), |inner, _| Node::new("n").node(inner));
        context.set_partial(vec![deep]);
        Work::task(async move {
            context.stop_requested().await;
            Err(Failure::Stopped)
        })
    });
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "").await;
    until(&home.work, id, State::Processing).await;
    home.work.stop(id).await.unwrap();
    let record = end(&home.work, id).await.record;
    assert_eq!(record.state, State::Stopped);
    assert_eq!(record.error.as_deref(), Some("the result is nested deeper than 50 levels"));
}

#[tokio::test]
async fn an_action_can_queue_others() {
    let script = Script::new(|context| {
        Work::task(async move {
            if context.parameters().get("Do") == Some("child") {
                return Ok(Vec::new());
            }
            let queue = context.system().queue("work").unwrap();
            let child =
                queue.submit(to_do("child")).await.map_err(|e| Failure::failed(e.to_string()))?;
            Ok(text("child", &child.id.to_string()))
        })
    });
    let home = Home::new(threads(1), &script).await;
    let parent = submit(&home.work, "parent").await;
    assert_eq!(end_state(&home.work, parent).await, State::Finished);
    let child = home.work.list(Default::default(), 0).next_page(1).await.unwrap()[0].record.id;
    assert_eq!(end_state(&home.work, child).await, State::Finished);
}

#[tokio::test]
async fn actions_that_run_at_once_leave_no_record() {
    let plans = [
        Plan::Finish(text("done", "at once")),
        Plan::Fail("no".into()),
        Plan::PanicInPerform("oh".into()),
        Plan::PanicOnThread("oh".into()),
    ];
    let script = Script::planned(plans);
    let home = Home::new(threads(1), &script).await;
    let mut ends = Vec::new();
    for _ in 0..4 {
        let outcome = home.work.run_now(Parameters::default()).await.unwrap();
        ends.push((outcome.state, outcome.error, outcome.report));
    }
    let panicked = Some("the action panicked: oh".to_owned());
    assert_eq!(
        ends,
        [
            (State::Finished, None, text("done", "at once")),
            (State::Error, Some("no".to_owned()), vec![]),
            (State::Error, panicked.clone(), vec![]),
            (State::Error, panicked, vec![]),
        ]
    );
    let counts = home.work.summary().counts;
    assert_eq!(counts.queued() + counts.running() + counts.finished(), 0);
    assert!(script.calls().iter().all(|call| call.id.is_none() && call.attempt == 1));
    home.system.drain();
    assert_eq!(home.work.run_now(Parameters::default()).await, Err(QueueError::ShuttingDown));
}

/// What is held for it is let go of when the work has ended, and not before; whoever asked it to stop is told how it ended.
#[tokio::test]
async fn an_action_that_runs_at_once_is_stopped_on_demand_and_holds_what_it_was_given() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(graceless(1), &script).await;
    for what in ["wait", "block", "block deaf"] {
        let held = Arc::new(());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let caller = tokio::spawn({
            let (work, held) = (home.work.clone(), Arc::clone(&held));
            let parameters = Parameters::from_iter([("Do", what)]);
            async move {
                let until = async { drop(stopped.await) };
                work.run_now_until(parameters, until, held).await
            }
        });
        gate.until_waiting(1).await;
        assert_eq!(Arc::strong_count(&held), 2);
        drop(stop);
        let outcome = tokio::time::timeout(SOON, caller).await.expect("an end").unwrap().unwrap();
        assert_eq!(outcome.state, State::Stopped, "{what}");
        if what == "block deaf" {
            // Nothing can force a thread.
            assert_eq!(Arc::strong_count(&held), 2);
            gate.open();
        }
        eventually("it is let go of", async || Arc::strong_count(&held) == 1).await;
    }
}

#[tokio::test]
async fn an_action_that_runs_at_once_is_stopped_when_nobody_waits_for_it() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    for what in ["wait", "block"] {
        let caller = tokio::spawn({
            let work = home.work.clone();
            let parameters = Parameters::from_iter([("Do", what)]);
            async move { work.run_now(parameters).await }
        });
        gate.until_waiting(1).await;
        caller.abort();
        eventually("it has stopped", async || script.running() == 0).await;
    }
}
