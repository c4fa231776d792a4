//! Cases about several attempts at one action: retries, releases, restarts, and what is kept of each.

use std::time::Duration;

use super::{Bench, StoreFactory, an_end};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{
    Command, Ended, GIVEN_UP, INTERRUPTED_BY_RESTART, OnRestart, Recovery, Verdict,
};
use crate::store::query::{Query, SortKey, States};
use crate::store::{
    AttemptEnd, Batch, BatchReply, Control, NewAction, PastAttempt, Rejected, Retention,
};

impl Bench {
    pub(super) async fn history(&self, id: ActionId) -> Vec<PastAttempt> {
        self.store.history(self.queue, id).await.unwrap()
    }

    pub(super) async fn recover(&self, live: &[(ActionId, u32)], recovery: Recovery) -> BatchReply {
        let controls = vec![Control::Recover { live: live.to_vec(), recovery, unbegun: false }];
        self.commit(Batch { controls, ..self.batch() }).await
    }
}

/// Returns what an attempt leaves that this end has ended.
fn left(end: &AttemptEnd, started_at: i64, ended_at: i64) -> PastAttempt {
    PastAttempt {
        attempt: end.attempt,
        started_at: Timestamp(started_at),
        ended_at: Timestamp(ended_at),
        ended: Some(end.ended),
        worker: end.worker.clone(),
        error: end.error.clone(),
    }
}

/// An attempt that failed and is to be tried again leaves the action queued until its time, with the error and one failure
/// more; the next attempt has its own number.
pub async fn a_failure_that_is_tried_again_waits(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    let begin = bench.now;
    let mut past = Vec::new();
    for attempt in 1..=3 {
        let claimed = bench.claim(1).await;
        assert_eq!((claimed[0].attempt, claimed[0].failures), (attempt, attempt - 1));
        let record = bench.record(id).await;
        assert_eq!(record.worker, None, "of the attempt that runs, nothing is kept yet");
        let last = past.last().and_then(|past: &PastAttempt| past.error.clone());
        assert_eq!(record.error, last, "the last error stays until the next end");
        bench.now += 7;
        let end = AttemptEnd {
            retry_after: Some(Duration::from_millis(500)),
            ..an_end(id, attempt, Ended::Retry)
        };
        let affected = bench.control(Control::End(end.clone().into())).await.unwrap();
        assert_eq!(affected[0].verdict, Verdict::Move(State::Queued));
        assert_eq!((affected[0].started_at, affected[0].finished_at), (None, None));
        past.push(left(&end, bench.now - 7, bench.now));
        let record = bench.record(id).await;
        assert_eq!((record.state, record.attempt, record.position), (State::Queued, attempt, None));
        assert_eq!((record.started_at, record.finished_at), (None, None));
        assert_eq!((record.percent, record.processing_ms, record.report), (0.0, 0, Vec::new()));
        assert_eq!((record.error, record.worker), (end.error, end.worker));
        assert_eq!(record.not_before, Some(Timestamp(bench.now + 500)));
        assert_eq!(bench.history(id).await, past);
        bench.now += 499;
        assert!(bench.claim(1).await.is_empty(), "a millisecond early");
        bench.now += 1;
    }
    // Without a time to wait for, it may start at once.
    bench.claim(1).await;
    let end = AttemptEnd { retry_after: None, ..an_end(id, 4, Ended::Retry) };
    bench.control(Control::End(end.into())).await.unwrap();
    assert_eq!(bench.record(id).await.not_before, None);
    assert_eq!(bench.claim(1).await[0].failures, 4);
    bench.end(id, 5, Ended::Finished).await.unwrap();
    let record = bench.record(id).await;
    assert_eq!((record.state, record.error, record.attempt), (State::Finished, None, 5));
    assert_eq!(record.queued_at, Timestamp(begin), "it has the place of its arrival");
    assert_eq!(bench.history(id).await.len(), 4, "the attempt that ended it is none of the past");
}

/// Who asked for a stop gets no further attempt: what would be tried again, or is given back, ends.
pub async fn a_stop_ends_all_attempts(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let ends = [
        (Ended::Retry, State::Error),
        (Ended::Released, State::Stopped),
        (Ended::Lost, State::Stopped),
    ];
    for (ended, state) in ends {
        let id = bench.submit(0).await;
        bench.claim(1).await;
        bench.command(id, Command::Stop).await.unwrap();
        assert_eq!(bench.end(id, 1, ended).await, Ok(state));
        let record = bench.record(id).await;
        assert_eq!(record.not_before, None);
        assert_eq!(record.error.is_some(), ended != Ended::Released);
        assert_eq!(bench.history(id).await, []);
    }
}

/// An attempt that is given back undone counts no failure, but has had its number.
pub async fn what_is_given_back_counts_no_failure(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    bench.claim(1).await;
    let failed = AttemptEnd { retry_after: None, ..an_end(id, 1, Ended::Retry) };
    bench.control(Control::End(failed.clone().into())).await.unwrap();
    bench.claim(1).await;
    bench.now += 3;
    // A time to wait for would be one of a retry.
    let retry_after = Some(Duration::from_secs(9));
    let end = AttemptEnd { retry_after, ..an_end(id, 2, Ended::Released) };
    bench.control(Control::End(end.clone().into())).await.unwrap();
    let record = bench.record(id).await;
    assert_eq!((record.state, record.attempt), (State::Queued, 2));
    assert_eq!((record.not_before, record.position), (None, Some(1)));
    assert_eq!(record.error, failed.error, "the last that there was");
    let past = [left(&failed, bench.now - 3, bench.now - 3), left(&end, bench.now - 3, bench.now)];
    assert_eq!(bench.history(id).await, past);
    let claimed = bench.claim(1).await;
    assert_eq!((claimed[0].attempt, claimed[0].failures), (3, 1));
    assert_eq!(bench.end(id, 2, Ended::Finished).await, Err(Rejected::Stale));
}

/// An attempt that was claimed and never began, because the queue's actor died in between, counts as nothing, whatever its kind.
pub async fn what_never_began_counts_as_nothing(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    for on_restart in [OnRestart::Requeue, OnRestart::Fail, OnRestart::Resume] {
        let recovery = Recovery { on_restart, max_restarts: 1 };
        let ids = [bench.submit(2).await, bench.submit(1).await, bench.submit(0).await];
        assert_eq!(bench.claim(3).await.len(), 3);
        bench.command(ids[1], Command::Stop).await.unwrap();
        bench.now += 2;
        let live = vec![(ids[2], 1)];
        let recover = Control::Recover { live, recovery, unbegun: true };
        let reply = bench.commit(Batch { controls: vec![recover], ..bench.batch() }).await;
        assert!(reply.resumed.is_empty(), "{on_restart:?}");
        let states = [State::Queued, State::Stopped, State::Processing];
        for (id, state) in ids.iter().zip(states) {
            assert_eq!(bench.record(*id).await.state, state, "{on_restart:?}");
        }
        let past = bench.history(ids[0]).await;
        assert_eq!((past.len(), past[0].ended), (1, Some(Ended::Released)));
        assert_eq!((past[0].error.clone(), past[0].ended_at), (None, Timestamp(bench.now)));
        let claimed = bench.claim(1).await;
        let counted = (claimed[0].failures, claimed[0].restarts);
        assert_eq!((claimed[0].id, claimed[0].attempt, counted), (ids[0], 2, (0, 0)));
        assert_eq!(bench.end(ids[0], 1, Ended::Finished).await, Err(Rejected::Stale));
        for (id, attempt) in [(ids[0], 2), (ids[2], 1)] {
            bench.end(id, attempt, Ended::Finished).await.unwrap();
        }
    }
}

/// An attempt that nobody has heard of since its server went down counts as a restart, and as no failure.
pub async fn what_is_lost_elsewhere_counts_as_a_restart(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let recovery = Recovery { on_restart: OnRestart::Requeue, max_restarts: 3 };
    let id = bench.submit(0).await;
    bench.claim(1).await;
    let failed = AttemptEnd { retry_after: None, ..an_end(id, 1, Ended::Retry) };
    bench.control(Control::End(failed.into())).await.unwrap();
    let claimed = bench.claim(1).await;
    assert_eq!((claimed[0].failures, claimed[0].restarts), (1, 0));
    bench.now += 3;
    let end = an_end(id, 2, Ended::Lost);
    bench.control(Control::End(end.clone().into())).await.unwrap();
    let record = bench.record(id).await;
    assert_eq!((record.state, record.attempt), (State::Queued, 2));
    assert_eq!((record.not_before, record.position), (None, Some(1)));
    assert_eq!(record.error, end.error);
    assert_eq!(bench.history(id).await[1], left(&end, bench.now - 3, bench.now));
    bench = bench.reopen(factory).await;
    let claimed = bench.claim(1).await;
    assert_eq!((claimed[0].attempt, claimed[0].failures, claimed[0].restarts), (3, 1, 1));
    assert_eq!(bench.end(id, 2, Ended::Finished).await, Err(Rejected::Stale));
    // The others are those of a recovery; one that goes on is none.
    let goes_on = Recovery { on_restart: OnRestart::Resume, ..recovery };
    assert_eq!(bench.recover(&[], goes_on).await.resumed[0].claimed.restarts, 1);
    bench.recover(&[], recovery).await;
    let claimed = bench.claim(1).await;
    assert_eq!((claimed[0].attempt, claimed[0].failures, claimed[0].restarts), (4, 1, 2));
    bench.recover(&[], recovery).await;
    let record = bench.record(id).await;
    assert_eq!((record.state, record.error.as_deref()), (State::Error, Some(GIVEN_UP)));
    bench.command(id, Command::Retry).await.unwrap();
    let claimed = bench.claim(1).await;
    assert_eq!((claimed[0].failures, claimed[0].restarts), (0, 0), "it begins anew");
}

/// An action that has ended in Error can be tried again: as the same action, with a new attempt, and as if it had never failed.
pub async fn an_error_is_tried_again_when_asked(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let keyed = || NewAction::Given {
        parameters: Parameters::from_iter([("What", "this")]),
        priority: 4,
        key: Some("key".into()),
        not_before: None,
        queued_at: Timestamp(1_000),
        origin: None,
    };
    let id = bench.try_submit(keyed()).await.unwrap().id;
    bench.claim(1).await;
    let again = AttemptEnd { retry_after: None, ..an_end(id, 1, Ended::Retry) };
    bench.control(Control::End(again.clone().into())).await.unwrap();
    bench.claim(1).await;
    bench.now += 5;
    let failed = an_end(id, 2, Ended::Failed);
    bench.control(Control::End(failed.clone().into())).await.unwrap();
    let counts = bench.state().await.counts;
    assert_eq!((counts.queued(), counts.finished()), (0, 1));

    // However long that is ago, and however many wait: control needs no room.
    bench.now += 1_000;
    let reply = bench
        .commit(Batch {
            controls: vec![Control::command(id, Command::Retry)],
            max_queued: Some(0),
            retention: Retention {
                max_finished: Some(0),
                finished_after: Some(Timestamp(bench.now)),
            },
            ..bench.batch()
        })
        .await;
    let affected = reply.controls[0].clone().unwrap()[0];
    assert_eq!((affected.id, affected.attempt), (id, 2));
    assert_eq!(affected.verdict, Verdict::Move(State::Queued));
    assert_eq!((affected.started_at, affected.finished_at), (None, None));
    assert_eq!((reply.counts.queued(), reply.counts.finished()), (1, 0));
    let record = bench.record(id).await;
    assert_eq!((record.state, record.attempt, record.position), (State::Queued, 2, Some(1)));
    assert_eq!((record.priority, record.queued_at), (4, Timestamp(1_000)));
    assert_eq!((record.started_at, record.finished_at, record.not_before), (None, None, None));
    assert_eq!((record.percent, record.processing_ms, record.report), (0.0, 0, Vec::new()));
    assert_eq!(record.error, failed.error, "the last error, until the next end");
    let begin = bench.now - 1_005;
    let past = [left(&again, begin, begin), left(&failed, begin, begin + 5)];
    assert_eq!(bench.history(id).await, past);
    // It waits already.
    assert_eq!(bench.command(id, Command::Retry).await, Ok(State::Queued));
    let ended: States = State::ALL.into_iter().filter(|s| s.is_final()).collect();
    for sort in [SortKey::Started, SortKey::Finished] {
        let query = Query { states: ended, sort, ..Query::default() };
        assert!(bench.list(&query).await.is_empty());
        assert_eq!(bench.list(&Query { sort, ..Query::default() }).await.len(), 1);
    }

    bench = bench.reopen(factory).await;
    let claimed = bench.claim(1).await;
    assert_eq!((claimed[0].id, claimed[0].attempt, claimed[0].failures), (id, 3, 0));
    assert_eq!(claimed[0].parameters.get("What"), Some("this"));
    assert_eq!(bench.try_submit(keyed()).await.unwrap().id, id, "its key is still its own");
    bench.end(id, 3, Ended::Finished).await.unwrap();
    assert_eq!(bench.record(id).await.error, None);
    for state in [State::Finished, State::Cancelled, State::Stopped] {
        let other = match state {
            State::Finished => id,
            _ => bench.submit(0).await,
        };
        if state == State::Cancelled {
            bench.command(other, Command::Cancel).await.unwrap();
        } else if state == State::Stopped {
            bench.claim(1).await;
            bench.end(other, 1, Ended::Stopped).await.unwrap();
        }
        let refused = bench.command(other, Command::Retry).await;
        assert!(matches!(refused, Err(Rejected::Refused(_))), "{state}: {refused:?}");
    }
}

/// What ended in Error because its server died, or by the server's shutdown, is told apart from what failed, also once it is
/// tried again.
pub async fn the_history_tells_how_an_error_came(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let shutdown = Ended::Interrupted(OnRestart::Fail);
    let ends = [Some(Ended::Failed), Some(shutdown), None];
    for ended in ends {
        let id = bench.submit(0).await;
        bench.claim(1).await;
        match ended {
            Some(ended) => drop(bench.end(id, 1, ended).await.unwrap()),
            None => drop(bench.recover(&[], OnRestart::Fail.into()).await),
        }
        let error = bench.record(id).await.error;
        assert!(error.is_some());
        bench.command(id, Command::Retry).await.unwrap();
        let past = &bench.history(id).await[0];
        assert_eq!((past.ended, &past.error), (ended, &error));
        if ended.is_none() {
            assert_eq!(error.as_deref(), Some(INTERRUPTED_BY_RESTART));
        }
        bench.command(id, Command::Cancel).await.unwrap();
    }
}

/// An action that was running each time when its server died is given up after so many times, and no other is; an end that
/// was reported is no such death. Tried again when asked, it begins anew.
pub async fn an_action_that_runs_at_each_death_is_given_up(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let recovery = Recovery { on_restart: OnRestart::Requeue, max_restarts: 3 };
    let poison = bench.submit(9).await;
    let other = bench.submit(0).await;
    let begin = bench.now;
    for death in 1..=3 {
        assert_eq!(bench.claim(1).await[0].id, poison);
        if death == 2 {
            // A shutdown in good order.
            bench.end(poison, 2, Ended::Interrupted(OnRestart::Requeue)).await.unwrap();
            assert_eq!(bench.claim(1).await[0].attempt, 3);
        }
        if death == 3 {
            assert_eq!(bench.claim(1).await[0].id, other);
        }
        bench.now += 10;
        bench = bench.reopen(factory).await;
        bench.recover(&[], recovery).await;
        let wanted = if death == 3 { State::Error } else { State::Queued };
        assert_eq!(bench.record(poison).await.state, wanted, "after {death}");
    }
    let record = bench.record(poison).await;
    assert_eq!((record.attempt, record.error.as_deref()), (4, Some(GIVEN_UP)));
    let past = bench.history(poison).await;
    let ends: Vec<_> = past.iter().map(|past| (past.attempt, past.ended)).collect();
    let shutdown = Some(Ended::Interrupted(OnRestart::Requeue));
    assert_eq!(ends, [(1, None), (2, shutdown), (3, None)]);
    assert_eq!((past[0].started_at, past[0].ended_at), (Timestamp(begin), Timestamp(begin + 10)));
    assert_eq!(bench.claim(9).await[0].id, other, "it was there for one death, and goes on");

    bench.command(poison, Command::Retry).await.unwrap();
    bench.claim(1).await;
    bench.recover(&[], recovery).await;
    assert_eq!(bench.record(poison).await.state, State::Queued, "the first death of a new count");
    let past = bench.history(poison).await;
    assert_eq!((past[3].attempt, past[3].ended), (4, None));
    assert_eq!(past[3].error.as_deref(), Some(GIVEN_UP));
    let no_limit = Recovery { max_restarts: 0, ..recovery };
    for _ in 0..5 {
        bench.claim(1).await;
        bench.recover(&[], no_limit).await;
        assert_eq!(bench.record(poison).await.state, State::Queued);
    }
}

/// Of each action the latest past attempts are kept, with errors that are cut between two characters, and as long as the
/// action.
pub async fn the_latest_past_attempts_are_kept(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    let beside = bench.submit(-1).await;
    let long = "€".repeat(700);
    for attempt in 1..=25 {
        bench.claim(1).await;
        bench.now += 1;
        let end = AttemptEnd {
            error: Some(format!("{attempt} {long}")),
            retry_after: None,
            ..an_end(id, attempt, Ended::Retry)
        };
        bench.control(Control::End(end.into())).await.unwrap();
    }
    let error = bench.record(id).await.error;
    assert_eq!(error, Some(format!("25 {long}")), "the action has all of it");
    bench = bench.reopen(factory).await;
    let past = bench.history(id).await;
    let numbers: Vec<_> = past.iter().map(|past| past.attempt).collect();
    assert_eq!(numbers, (6..=25).collect::<Vec<_>>());
    for past in &past {
        let wanted = format!("{} {}", past.attempt, "€".repeat(332));
        assert_eq!(past.error.as_deref().map(str::len), Some(wanted.len()));
        assert_eq!(past.error, Some(wanted));
    }
    assert_eq!(bench.history(beside).await, []);
    let other = Bench::open_queue(std::sync::Arc::clone(&bench.store), "Other").await;
    assert_eq!(other.history(id).await, [], "it is of another queue");

    // It goes with its action: one that was cancelled while it waited, and one that ended.
    bench.command(id, Command::Cancel).await.unwrap();
    bench.claim(1).await;
    bench.end(beside, 1, Ended::Released).await.unwrap();
    bench.claim(1).await;
    bench.end(beside, 2, Ended::Finished).await.unwrap();
    let once = bench.submit(0).await;
    bench.claim(1).await;
    bench.end(once, 1, Ended::Released).await.unwrap();
    bench.command(once, Command::Cancel).await.unwrap();
    for id in [id, beside, once] {
        assert!(!bench.history(id).await.is_empty());
    }
    let none = Retention { max_finished: Some(0), finished_after: None };
    bench.commit(Batch { retention: none, ..bench.batch() }).await;
    for id in [id, beside, once, ActionId::new(ActionId::MAX).unwrap()] {
        assert_eq!(bench.find(id).await, None);
        assert_eq!(bench.history(id).await, []);
    }
}

/// Work that was cancelled elsewhere never ran, so its action has no start, and is listed among those that have none.
pub async fn what_is_cancelled_elsewhere_never_started(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    bench.claim(1).await;
    let affected = bench.control(Control::End(an_end(id, 1, Ended::Cancelled).into())).await;
    let affected = affected.unwrap()[0];
    assert_eq!((affected.state, affected.started_at), (State::Cancelled, None));
    let record = bench.record(id).await;
    assert_eq!((record.started_at, record.finished_at), (None, affected.finished_at));
    assert_eq!(bench.history(id).await, []);
    for states in [States::ALL, States::NONE.with(State::Cancelled)] {
        for descending in [true, false] {
            let query = Query { states, sort: SortKey::Started, descending, ..Query::default() };
            assert_eq!(bench.list(&query).await.len(), 1);
        }
    }
}
