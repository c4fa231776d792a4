//! Several attempts at an action: retries, the time between them, earliest starts, and actions that were running each time
//! when their server died.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::clock::Clock as _;
use actiond_actors::events::{QueueEvent, Requeue};
use actiond_actors::lifecycle::{Ended, GIVEN_UP};
use actiond_actors::testing::{Gate, ManualClock, Plan, Script, eventually};
use actiond_actors::{
    ActionId, Failure, Interest, OnRestart, QueueHandle, QueueSettings, RetryPolicy, State,
    Timestamp, Work, observer,
};
use tokio::sync::mpsc;

use crate::common::{
    Faulty, Home, SOON, at_gate, end, end_state, graceless, nothing, state, submit, threads, to_do,
    until,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// So many attempts, with this time between them.
fn attempts(max_attempts: u32, delay: Duration) -> QueueSettings {
    let mut settings = threads(1);
    settings.retry = RetryPolicy { max_attempts, delay, ..RetryPolicy::default() };
    settings
}

fn fail(text: &str) -> Plan {
    Plan::Fail(text.to_owned())
}

/// Number, end and error of each past attempt.
async fn past(queue: &QueueHandle, id: ActionId) -> Vec<(u32, Option<Ended>, String)> {
    let past = queue.history(id).await.unwrap();
    past.into_iter().map(|p| (p.attempt, p.ended, p.error.unwrap_or_default())).collect()
}

fn retried(attempt: u32, error: &str) -> (u32, Option<Ended>, String) {
    (attempt, Some(Ended::Retry), error.to_owned())
}

#[tokio::test]
async fn what_fails_is_tried_again_as_often_as_it_may() {
    let plans = [fail("one"), fail("two"), nothing()];
    let script = Script::planned(plans.clone());
    let home = Home::new(attempts(3, Duration::ZERO), &script).await;
    let id = submit(&home.work, "").await;
    // Who waits for the end waits for that of the last attempt.
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt, record.error), (State::Finished, 3, None));
    assert_eq!(past(&home.work, id).await, [retried(1, "one"), retried(2, "two")]);
    let numbers: Vec<_> = script.calls().iter().map(|call| call.attempt).collect();
    assert_eq!(numbers, [1, 2, 3]);

    let home = Home::new(attempts(2, Duration::ZERO), &Script::planned(plans)).await;
    let id = submit(&home.work, "").await;
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Error, 2));
    assert_eq!(record.error.as_deref(), Some("two"));
    assert_eq!(past(&home.work, id).await, [retried(1, "one")]);
}

#[tokio::test]
async fn what_would_fail_again_is_not_tried_again() {
    let fatal = Script::new(|_| Work::done(Err(Failure::fatal("for good"))));
    let home = Home::new(attempts(5, Duration::ZERO), &fatal).await;
    let record = {
        let id = submit(&home.work, "").await;
        end(&home.work, id).await.record
    };
    assert_eq!((record.state, record.attempt), (State::Error, 1));
    assert_eq!(record.error.as_deref(), Some("for good"));
}

/// Fails once it is asked to stop.
fn fails_when_stopped(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::new(move |context| {
        let gate = gate.clone();
        Work::task(async move {
            tokio::select! {
                () = gate.wait() => {}
                () = context.stop_requested() => {}
            }
            Err(Failure::failed("cut short"))
        })
    })
}

#[tokio::test]
async fn what_was_asked_to_stop_is_not_tried_again() {
    let gate = Gate::new();
    let home = Home::new(attempts(5, Duration::ZERO), &fails_when_stopped(&gate)).await;
    let id = submit(&home.work, "").await;
    gate.until_waiting(1).await;
    home.work.stop(id).await.unwrap();
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Error, 1));
}

/// The end is on its way to the store when the stop comes, and counts before it or after it.
#[tokio::test]
async fn a_stop_that_meets_the_end_of_an_attempt_ends_the_action() {
    let gate = Gate::new();
    let script = fails_when_stopped(&gate);
    let faulty = Faulty::new(attempts(5, HOUR), &script).await;
    let id = submit(&faulty.work, "").await;
    gate.until_waiting(1).await;
    faulty.store.hold_commits();
    let work = faulty.work.clone();
    let stop = tokio::spawn(async move { work.stop(id).await });
    eventually("the stop is on its way", async || faulty.store.held() == 1).await;
    // It has not heard of the stop.
    gate.open();
    eventually("it has failed", async || script.running() == 0).await;
    faulty.store.release();
    assert_eq!(stop.await.unwrap(), Ok(State::Stopping));
    let record = end(&faulty.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Error, 1));
    assert_eq!(record.error.as_deref(), Some("cut short"));
}

#[tokio::test]
async fn a_time_limit_is_a_failure_but_a_thread_that_runs_on_is_not_doubled() {
    let gate = Gate::new();
    let mut settings = graceless(1);
    settings.retry = RetryPolicy { max_attempts: 2, delay: HOUR, ..RetryPolicy::default() };
    settings.time_limit = Some(Duration::from_millis(20));
    let home = Home::new(settings, &at_gate(&gate)).await;
    let id = submit(&home.work, "wait").await;
    waits_again(&home.work, id).await;
    let id = submit(&home.work, "block deaf").await;
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Error, 1));
    gate.open();
}

/// A system with a clock that stands, on a store that counts its commits.
async fn timed(settings: QueueSettings, script: &Script) -> (Home, ManualClock) {
    let clock = ManualClock::at(1_700_000_000_000);
    let directory = tempfile::tempdir().unwrap();
    let home = Home::by(Arc::new(clock.clone()), directory, settings, script).await;
    (home, clock)
}

/// Waits until the first attempt has failed, and the action waits for the next one.
async fn waits_again(queue: &QueueHandle, id: ActionId) {
    eventually("it waits for its next attempt", async || {
        let record = queue.status(id).await.unwrap().record;
        record.state == State::Queued && record.attempt == 1
    })
    .await;
}

/// Returns once nothing is on its way to the store.
async fn quiet(queue: &QueueHandle) {
    // Each is answered only after all that came before it.
    queue.resume_queue().await.unwrap();
    queue.resume_queue().await.unwrap();
}

fn later(clock: &ManualClock, by: Duration) -> Timestamp {
    Timestamp(clock.now().0 + i64::try_from(by.as_millis()).unwrap())
}

/// Fails where the parameter `Do` says so, the first time.
fn fails_first() -> Script {
    Script::choosing(|context| match context.parameters().get("Do") {
        Some("fail") if context.attempt_number() == 1 => fail("no luck"),
        _ => nothing(),
    })
}

#[tokio::test]
async fn it_waits_for_its_next_attempt_and_holds_up_nothing() {
    let (home, clock) = timed(attempts(2, HOUR), &fails_first()).await;
    let id = submit(&home.work, "fail").await;
    let waiting = tokio::spawn({
        let work = home.work.clone();
        async move { work.wait(id, SOON).await }
    });
    waits_again(&home.work, id).await;
    let record = home.work.status(id).await.unwrap().record;
    assert_eq!((record.attempt, record.error.as_deref()), (1, Some("no luck")));
    assert_eq!(record.not_before, Some(later(&clock, HOUR)));
    assert_eq!(record.position, None, "it is in nobody's way");
    let other = submit(&home.work, "").await;
    assert_eq!(end_state(&home.work, other).await, State::Finished);
    quiet(&home.work).await;

    clock.advance(HOUR - Duration::from_millis(1));
    home.work.look_again().await;
    clock.advance(Duration::from_millis(1));
    home.work.look_again().await;
    let record = waiting.await.unwrap().unwrap().record;
    assert_eq!((record.state, record.attempt), (State::Finished, 2));
}

#[tokio::test]
async fn a_real_clock_starts_the_next_attempt_by_itself() {
    let home = Home::new(attempts(2, Duration::from_millis(30)), &fails_first()).await;
    let id = submit(&home.work, "fail").await;
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Finished, 2));
    let first = &home.work.history(id).await.unwrap()[0];
    assert!(record.started_at.unwrap().0 >= first.ended_at.0 + 30, "{record:?}, {first:?}");
}

#[tokio::test]
async fn commands_work_on_what_waits_for_its_next_attempt() {
    let (home, clock) = timed(attempts(2, HOUR), &fails_first()).await;
    let waits = async || {
        let id = submit(&home.work, "fail").await;
        waits_again(&home.work, id).await;
        id
    };
    let (cancelled, stopped, moved, now) =
        (waits().await, waits().await, waits().await, waits().await);
    assert_eq!(home.work.cancel(cancelled).await, Ok(State::Cancelled));
    assert_eq!(home.work.stop(stopped).await, Ok(State::Cancelled));
    assert_eq!(home.work.change_priority(moved, 7).await, Ok(State::Queued));
    assert_eq!(home.work.retry(now).await, Ok(State::Queued));
    let record = end(&home.work, now).await.record;
    assert_eq!((record.state, record.attempt), (State::Finished, 2));
    assert_eq!(state(&home.work, moved).await, State::Queued, "another priority is no retry");

    clock.advance(HOUR);
    home.work.look_again().await;
    assert_eq!(end(&home.work, moved).await.record.priority, 7);
    for id in [cancelled, stopped] {
        let record = home.work.status(id).await.unwrap().record;
        assert_eq!((record.state, record.attempt), (State::Cancelled, 1));
    }
}

#[tokio::test]
async fn what_ended_in_error_is_tried_again_when_a_client_asks() {
    let script = Script::planned([fail("one"), fail("two"), nothing()]);
    let home = Home::new(threads(1), &script).await;
    let id = submit(&home.work, "").await;
    for (attempt, expected) in [(1, State::Error), (2, State::Error), (3, State::Finished)] {
        let record = end(&home.work, id).await.record;
        assert_eq!((record.state, record.attempt), (expected, attempt));
        if expected == State::Error {
            assert_eq!(home.work.retry(id).await, Ok(State::Queued));
        }
    }
    let errors: Vec<_> = past(&home.work, id).await.into_iter().map(|(_, _, e)| e).collect();
    assert_eq!(errors, ["one", "two"]);
    let refused = home.work.retry(id).await.unwrap_err().to_string();
    assert!(refused.contains("Finished") && refused.contains("duplicate it instead"), "{refused}");
}

#[tokio::test]
async fn observers_learn_why_it_is_queued_again() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let watch = observer(Interest::ENDED, move |_, event| {
        let line = match event {
            QueueEvent::Requeued { why: Requeue::Failed { error, after, .. }, .. } => {
                format!("failed {} {}", error.unwrap_or_default(), after.as_secs())
            }
            QueueEvent::Requeued { why, .. } => format!("{why:?}"),
            QueueEvent::Ended { state, error, .. } => {
                format!("{state} {}", error.unwrap_or_default())
            }
            _ => return,
        };
        tell.send(line).unwrap();
    });
    let script = Script::new(|context| {
        Work::done(match context.attempt_number() {
            1 | 3 => Err(Failure::failed("no luck")),
            2 => Err(Failure::Released),
            4 => Err(Failure::fatal("for good")),
            _ => Ok(Vec::new()),
        })
    });
    let faulty = Faulty::observed(attempts(3, HOUR), &script, watch).await;
    let id = submit(&faulty.work, "").await;
    let mut next = async || tokio::time::timeout(SOON, told.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, "failed no luck 3600");
    faulty.work.retry(id).await.unwrap();
    // Given back undone, it counts as no attempt, and goes on at once.
    assert_eq!(next().await, "Released");
    assert_eq!(next().await, "failed no luck 3600");
    faulty.work.retry(id).await.unwrap();
    assert_eq!(next().await, "Error for good");
    faulty.work.retry(id).await.unwrap();
    assert_eq!(next().await, "Asked");
    assert_eq!(next().await, "Finished ");
}

#[tokio::test]
async fn what_was_running_too_often_when_its_server_died_ends_in_error() {
    let gate = Gate::new();
    let script = at_gate(&gate).on_restart(OnRestart::Requeue);
    let mut home = Home::new(threads(1), &script).await;
    let poison = submit(&home.work, "wait").await;
    let other = submit(&home.work, "").await;
    for death in 1..=3 {
        until(&home.work, poison, State::Processing).await;
        assert_eq!(home.work.status(poison).await.unwrap().record.attempt, death);
        home = Home::at(home.crash(), threads(1), &script).await;
    }
    let record = end(&home.work, poison).await.record;
    assert_eq!((record.state, record.attempt), (State::Error, 3));
    assert_eq!(record.error.as_deref(), Some(GIVEN_UP));
    let past: Vec<_> = past(&home.work, poison).await.into_iter().map(|p| (p.0, p.1)).collect();
    assert_eq!(past, [(1, None), (2, None)]);
    assert_eq!(end_state(&home.work, other).await, State::Finished, "the others run");

    // Whoever asks for it again has all of it again.
    assert_eq!(home.work.retry(poison).await, Ok(State::Queued));
    until(&home.work, poison, State::Processing).await;
    let home = Home::at(home.crash(), threads(1), &script).await;
    until(&home.work, poison, State::Processing).await;
    gate.open();
    assert_eq!(end_state(&home.work, poison).await, State::Finished);
}

#[tokio::test]
async fn without_a_limit_it_runs_again_each_time() {
    let gate = Gate::new();
    let script = at_gate(&gate).on_restart(OnRestart::Requeue);
    let mut settings = threads(1);
    settings.max_restarts = 0;
    let mut home = Home::new(settings.clone(), &script).await;
    let id = submit(&home.work, "wait").await;
    for _ in 0..5 {
        until(&home.work, id, State::Processing).await;
        home = Home::at(home.crash(), settings.clone(), &script).await;
    }
    gate.open();
    let record = end(&home.work, id).await.record;
    assert_eq!((record.state, record.attempt), (State::Finished, 6));
}

#[tokio::test]
async fn what_must_not_start_yet_starts_in_its_time_by_priority() {
    let script = Script::always(nothing());
    let (home, clock) = timed(threads(1), &script).await;
    let at = |by| later(&clock, by);
    let mut due = Vec::new();
    for priority in [1, 3, 2] {
        let waits = to_do("").priority(priority).not_before(at(HOUR));
        due.push(home.work.submit(waits).await.unwrap().id);
    }
    let last = home.work.submit(to_do("").priority(9).not_before(at(2 * HOUR))).await.unwrap().id;
    let first = submit(&home.work, "").await;
    assert_eq!(end_state(&home.work, first).await, State::Finished);
    let record = home.work.status(due[0]).await.unwrap().record;
    assert_eq!((record.state, record.not_before), (State::Queued, Some(at(HOUR))));
    quiet(&home.work).await;
    home.work.look_again().await;

    clock.advance(HOUR);
    home.work.look_again().await;
    for id in &due {
        assert_eq!(end_state(&home.work, *id).await, State::Finished);
    }
    assert_eq!(script.started(), [first, due[1], due[2], due[0]]);
    assert_eq!(state(&home.work, last).await, State::Queued);
    // A clock that is set back does not bring it closer.
    clock.go_back(HOUR);
    quiet(&home.work).await;
    home.work.look_again().await;
    clock.advance(2 * HOUR);
    home.work.look_again().await;
    assert_eq!(end_state(&home.work, last).await, State::Finished);
}

#[tokio::test]
async fn nothing_is_written_while_all_that_waits_waits_for_its_time() {
    let faulty = Faulty::new(threads(2), &Script::always(nothing())).await;
    let far = Timestamp(i64::MAX / 2);
    for _ in 0..3 {
        faulty.work.submit(to_do("").not_before(far)).await.unwrap();
    }
    faulty.settled().await;
    let before = faulty.store.commits();
    for _ in 0..20 {
        faulty.work.look_again().await;
    }
    assert_eq!(faulty.store.commits(), before);
}

/// What waits for its time says nothing of what waits for a slot alone: if that could not be started, it is tried again.
#[tokio::test]
async fn a_fault_is_got_over_while_others_wait_for_their_time() {
    let faulty = Faulty::new(threads(1), &Script::always(nothing())).await;
    let far = Timestamp(i64::MAX / 2);
    faulty.work.submit(to_do("").not_before(far)).await.unwrap();
    faulty.store.fail_claims();
    let id = submit(&faulty.work, "").await;
    assert_eq!(state(&faulty.work, id).await, State::Queued);
    faulty.store.mend();
    assert_eq!(end_state(&faulty.work, id).await, State::Finished);
}

#[tokio::test]
async fn a_copy_waits_for_the_same_time() {
    let (home, clock) = timed(threads(1), &Script::always(nothing())).await;
    let at = later(&clock, HOUR);
    let first = home.work.submit(to_do("").not_before(at)).await.unwrap().id;
    let copy = home.work.duplicate(first).await.unwrap().id;
    assert_eq!(home.work.status(copy).await.unwrap().record.not_before, Some(at));
    assert_eq!(home.work.retry(copy).await, Ok(State::Queued));
    assert_eq!(end_state(&home.work, copy).await, State::Finished);
    assert_eq!(state(&home.work, first).await, State::Queued);
}

#[tokio::test]
async fn times_survive_a_restart() {
    let clock = ManualClock::at(1_700_000_000_000);
    let script = fails_first();
    let start = async |directory| {
        Home::by(Arc::new(clock.clone()), directory, attempts(2, HOUR), &script).await
    };
    let home = start(tempfile::tempdir().unwrap()).await;
    let fails = submit(&home.work, "fail").await;
    let later = home.work.submit(to_do("").not_before(later(&clock, HOUR))).await.unwrap().id;
    eventually("it waits", async || past(&home.work, fails).await.len() == 1).await;
    let home = start(home.crash()).await;
    assert_eq!(past(&home.work, fails).await, [retried(1, "no luck")]);
    let home = start(home.shut_down().await).await;
    clock.advance(HOUR);
    home.work.look_again().await;
    let record = end(&home.work, fails).await.record;
    assert_eq!((record.state, record.attempt), (State::Finished, 2));
    assert_eq!(end_state(&home.work, later).await, State::Finished);
}
