//! Order, limits, pause and resume of the queue, keys, copies, waits and listings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::store::query::{Query, States};
use actiond_actors::testing::{Gate, ManualClock, Plan, Script, eventually};
use actiond_actors::{ActionId, QueueError, StartError, State, Submitted, Timestamp, Work};

use crate::common::{
    Home, NEVER, SOON, at_gate, builder, end, end_state, heard_pause, nothing, state, submit,
    threads, to_do,
};

#[tokio::test]
async fn higher_priorities_start_first_and_can_be_changed() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    let first = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let mut ids = vec![];
    for priority in [0, 0, 2, 2] {
        ids.push(home.work.submit(to_do("").priority(priority)).await.unwrap().id);
    }
    assert_eq!(home.work.change_priority(ids[1], 9).await, Ok(State::Queued));
    let refused = home.work.change_priority(first, 9).await;
    assert!(matches!(refused, Err(QueueError::Refused(_))));
    gate.open();
    for id in &ids {
        end(&home.work, *id).await;
    }
    assert_eq!(script.started(), [first, ids[1], ids[2], ids[3], ids[0]]);
}

#[tokio::test]
async fn no_more_run_than_the_queue_has_threads() {
    let gate = Gate::new();
    let script = {
        let gate = gate.clone();
        Script::choosing(move |context| match context.id().map_or(0, ActionId::get) % 5 {
            0 => Plan::Wait(gate.clone()),
            1 => Plan::BlockDeaf(gate.clone()),
            2 => Plan::PanicOnThread("as planned".into()),
            3 => Plan::WaitDeaf(gate.clone()),
            _ => nothing(),
        })
    };
    let home = Home::new(threads(3), &script).await;
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(submit(&home.work, "").await);
    }
    gate.until_waiting(3).await;
    assert_eq!(home.work.summary().counts.running(), 3);
    // One after the other first, then all at once.
    for _ in 0..12 {
        gate.until_waiting(3).await;
        gate.let_through(1);
    }
    gate.open();
    for id in ids {
        end(&home.work, id).await;
    }
    assert_eq!(script.peak(), 3);
    assert_eq!(script.calls().len(), 60);
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_even_after_a_restart() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(2), &script).await;
    assert_eq!(home.work.pause_queue().await, Ok(vec![]));
    let id = submit(&home.work, "").await;
    assert!(home.work.summary().paused);
    let directory = home.shut_down().await;
    let home = Home::at(directory, threads(2), &script).await;
    // Answered behind all that could have started it.
    home.work.change_priority(id, 1).await.unwrap();
    home.work.change_priority(id, 2).await.unwrap();
    assert!(home.work.summary().paused);
    assert_eq!(state(&home.work, id).await, State::Queued);
    assert!(script.calls().is_empty());
    home.work.resume_queue().await.unwrap();
    assert_eq!(end_state(&home.work, id).await, State::Finished);
}

#[tokio::test]
async fn pausing_the_queue_pauses_what_runs_and_one_action_can_be_resumed_alone() {
    let gate = Gate::new();
    let script = at_gate(&gate).pausable();
    let home = Home::new(threads(2), &script).await;
    let alone = submit(&home.work, "wait").await;
    let other = submit(&home.work, "wait").await;
    let waits = submit(&home.work, "").await;
    gate.until_waiting(2).await;
    assert_eq!(home.work.pause_queue().await, Ok(vec![alone, other]));
    heard_pause(&home.work, alone).await;
    heard_pause(&home.work, other).await;
    gate.open();
    assert_eq!(home.work.resume(alone).await, Ok(State::Processing));
    assert_eq!(end_state(&home.work, alone).await, State::Finished);
    home.work.change_priority(waits, 1).await.unwrap();
    assert_eq!(state(&home.work, other).await, State::Paused);
    assert_eq!(state(&home.work, waits).await, State::Queued, "the queue is still paused");
    assert_eq!(home.work.resume_queue().await, Ok(vec![other]));
    assert_eq!(end_state(&home.work, other).await, State::Finished);
    assert_eq!(end_state(&home.work, waits).await, State::Finished);
}

#[tokio::test]
async fn resuming_the_queue_names_only_what_was_paused() {
    let gate = Gate::new();
    let script = at_gate(&gate).pausable();
    let home = Home::new(threads(2), &script).await;
    let paused = submit(&home.work, "wait").await;
    submit(&home.work, "wait").await;
    gate.until_waiting(2).await;
    home.work.pause(paused).await.unwrap();
    assert_eq!(home.work.resume_queue().await, Ok(vec![paused]));
    gate.open();
}

#[tokio::test]
async fn a_copy_runs_by_itself() {
    let gate = Gate::new();
    let script = at_gate(&gate);
    let home = Home::new(threads(1), &script).await;
    let id = home.work.submit(to_do("wait").priority(3)).await.unwrap().id;
    gate.until_waiting(1).await;
    let copy = home.work.duplicate(id).await.unwrap().id;
    assert_ne!(copy, id);
    let (shown, parameters) = home.work.parameters(copy, false).await.unwrap();
    assert_eq!((shown, parameters.unwrap().get("Do")), (State::Queued, Some("wait")));
    assert_eq!(home.work.status(copy).await.unwrap().record.priority, 3);
    gate.open();
    assert_eq!(end_state(&home.work, copy).await, State::Finished);
    let again = home.work.duplicate(id).await.unwrap().id;
    assert_eq!(end_state(&home.work, again).await, State::Finished);
    assert_eq!(home.work.parameters(id, false).await, Ok((State::Finished, None)));
    let (_, kept) = home.work.parameters(id, true).await.unwrap();
    assert_eq!(kept.unwrap().get("Do"), Some("wait"));
    let mut forgetful = threads(1);
    forgetful.keep_parameters = false;
    home.work.set_settings(forgetful);
    let forgotten = submit(&home.work, "something").await;
    assert_eq!(end_state(&home.work, forgotten).await, State::Finished);
    let refused = home.work.duplicate(forgotten).await.unwrap_err().to_string();
    assert!(refused.contains("not kept (KeepParameters=false)"), "{refused}");
    assert_eq!(home.work.parameters(forgotten, true).await, Ok((State::Finished, None)));
    let unknown = ActionId::new(4_711).unwrap();
    let error = QueueError::UnknownAction { id: unknown };
    assert_eq!(home.work.duplicate(unknown).await, Err(error.clone()));
    assert_eq!(home.work.parameters(unknown, false).await.map(drop), Err(error));
}

#[tokio::test]
async fn a_wait_wakes_at_the_end_and_gives_up_in_time() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    for patience in [Duration::ZERO, Duration::from_millis(5)] {
        let status = home.work.wait(id, patience).await.unwrap();
        assert_eq!(status.record.state, State::Processing);
    }
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let work = home.work.clone();
            tokio::spawn(async move { work.wait(id, NEVER).await.unwrap().record.state })
        })
        .collect();
    gate.open();
    for waiter in waiters {
        let woken = tokio::time::timeout(SOON, waiter).await.expect("it is woken");
        assert_eq!(woken.unwrap(), State::Finished);
    }
    assert_eq!(home.work.wait(id, NEVER).await.unwrap().record.state, State::Finished);
    let waits = {
        home.work.pause_queue().await.unwrap();
        submit(&home.work, "").await
    };
    let waiter = tokio::spawn({
        let work = home.work.clone();
        async move { work.wait(waits, NEVER).await.unwrap().record.state }
    });
    home.work.cancel(waits).await.unwrap();
    let woken = tokio::time::timeout(SOON, waiter).await.expect("a cancel wakes too");
    assert_eq!(woken.unwrap(), State::Cancelled);
    let unknown = ActionId::new(4_711).unwrap();
    let error = QueueError::UnknownAction { id: unknown };
    assert_eq!(home.work.wait(unknown, NEVER).await.map(drop), Err(error));
}

#[tokio::test]
async fn a_full_queue_takes_no_more_until_there_is_room() {
    let gate = Gate::new();
    let mut settings = threads(1);
    settings.max_queue_size = Some(2);
    let home = Home::new(settings, &at_gate(&gate)).await;
    submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let waits = submit(&home.work, "").await;
    submit(&home.work, "").await;
    let is_full = |answer: Result<Submitted, QueueError>| {
        let Err(QueueError::QueueFull { limit, retry_after }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(limit, 2);
        assert!((1..=60).contains(&retry_after.as_secs()), "{retry_after:?}");
    };
    is_full(home.work.submit(to_do("")).await);
    is_full(home.work.duplicate(waits).await);
    home.work.cancel(waits).await.unwrap();
    assert!(home.work.submit(to_do("")).await.is_ok());
    is_full(home.work.submit(to_do("")).await);
    gate.open();
    eventually("there is room", async || home.work.submit(to_do("")).await.is_ok()).await;
}

#[tokio::test]
async fn a_key_keeps_a_submission_from_being_made_twice() {
    let script = Script::always(nothing());
    let home = Home::new(threads(1), &script).await;
    let first = home.work.submit(to_do("").key("k")).await.unwrap();
    end(&home.work, first.id).await;
    assert_eq!(home.work.submit(to_do("").key("k")).await, Ok(first));
    let other = home.work.submit(to_do("").key("K")).await.unwrap();
    assert_ne!(other.id, first.id);
    let directory = home.shut_down().await;
    let home = Home::at(directory, threads(1), &script).await;
    assert_eq!(home.work.submit(to_do("").key("k")).await, Ok(first));
    assert_eq!(script.calls().len(), 2);
}

#[tokio::test]
async fn old_actions_are_deleted_by_number_and_by_age() {
    let clock = ManualClock::at(1_000_000);
    let directory = tempfile::tempdir().unwrap();
    let mut few = threads(2);
    few.max_finished_size = Some(5);
    let mut young = threads(2);
    young.max_finished_age = Some(Duration::from_secs(60));
    let system = builder(directory.path())
        .clock(Arc::new(clock.clone()))
        .queue("few", few, Script::always(nothing()))
        .queue("young", young, Script::always(nothing()))
        .start()
        .await
        .unwrap();
    let (few, young) = (system.queue("few").unwrap(), system.queue("young").unwrap());
    let mut last = None;
    for _ in 0..20 {
        last = Some(submit(&few, "").await);
    }
    eventually("five are left", async || {
        let counts = few.summary().counts;
        counts.queued() + counts.running() == 0 && counts.finished() == 5
    })
    .await;
    assert_eq!(state(&few, last.unwrap()).await, State::Finished, "the oldest went first");
    let old = submit(&young, "").await;
    end(&young, old).await;
    clock.advance(Duration::from_secs(59));
    let newer = submit(&young, "").await;
    end(&young, newer).await;
    assert!(young.status(old).await.is_ok());
    clock.advance(Duration::from_secs(2));
    young.resume_queue().await.unwrap();
    assert_eq!(young.status(old).await.map(drop), Err(QueueError::UnknownAction { id: old }));
    assert!(young.status(newer).await.is_ok());
    assert_eq!(young.wait(old, NEVER).await.map(drop), Err(QueueError::UnknownAction { id: old }));
}

#[tokio::test]
async fn times_are_in_order_although_the_clock_goes_back() {
    let clock = ManualClock::at(1_000_000);
    let gate = Gate::new();
    let directory = tempfile::tempdir().unwrap();
    let system = builder(directory.path())
        .clock(Arc::new(clock.clone()))
        .queue("Work", threads(1), at_gate(&gate))
        .start()
        .await
        .unwrap();
    let work = system.queue("Work").unwrap();
    let runs = submit(&work, "wait").await;
    gate.until_waiting(1).await;
    let waits = submit(&work, "").await;
    clock.go_back(Duration::from_secs(500));
    gate.open();
    for id in [runs, waits] {
        let status = end(&work, id).await;
        let record = &status.record;
        let times = (record.queued_at, record.started_at, record.finished_at);
        let then = Timestamp(1_000_000);
        assert_eq!(times, (then, Some(then), Some(then)));
        assert_eq!(status.in_queue(Timestamp(0)), Duration::ZERO);
    }
}

#[tokio::test]
async fn a_listing_shows_what_runs_as_it_is_now() {
    let gate = Gate::new();
    let script = Script::new({
        let gate = gate.clone();
        move |context| {
            let gate = gate.clone();
            Work::task(async move {
                context.set_progress(actiond_actors::Progress::of_percent(12.5));
                gate.wait().await;
                Ok(Vec::new())
            })
        }
    });
    let home = Home::new(threads(1), &script).await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(submit(&home.work, "").await);
    }
    gate.until_waiting(1).await;
    let mut listing = home.work.list(Query::default(), 2);
    let mut listed = Vec::new();
    loop {
        let page = listing.next_page(2).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    let order: Vec<_> = listed.iter().map(|status| status.record.id).collect();
    assert_eq!(order, ids.iter().rev().skip(2).copied().collect::<Vec<_>>());
    let runs = listed.last().unwrap();
    assert_eq!((runs.record.state, runs.progress.percent()), (State::Processing, 12.5));
    let (shown, parameters) = listing.parameters(ids[0], false).await.unwrap();
    assert_eq!((shown, parameters.is_some()), (State::Processing, true));
    let running = Query { states: States::NONE.with(State::Processing), ..Query::default() };
    assert_eq!(home.work.list(running, 0).next_page(9).await.unwrap().len(), 1);
    gate.open();
}

#[tokio::test]
async fn two_queues_of_one_name_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let started = builder(directory.path())
        .queue("Fetch", threads(1), Script::always(nothing()))
        .queue("FETCH", threads(1), Script::always(nothing()))
        .start()
        .await;
    assert!(matches!(started, Err(StartError::SameName(name)) if name == "Fetch"));
}

#[tokio::test]
async fn a_slow_action_of_one_queue_does_not_hold_up_another() {
    let gate = Gate::new();
    let directory = tempfile::tempdir().unwrap();
    let system = builder(directory.path())
        .queue("Slow", threads(1), at_gate(&gate))
        .queue("Quick", threads(1), at_gate(&gate))
        .start()
        .await
        .unwrap();
    let slow = submit(&system.queue("slow").unwrap(), "block deaf").await;
    let quick = system.queue("quick").unwrap();
    let since = Instant::now();
    for _ in 0..20 {
        let id = submit(&quick, "").await;
        assert_eq!(end_state(&quick, id).await, State::Finished);
    }
    assert!(since.elapsed() < SOON);
    assert_eq!(state(&system.queue("slow").unwrap(), slow).await, State::Processing);
    gate.open();
}
