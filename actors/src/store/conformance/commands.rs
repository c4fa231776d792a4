//! One case for each rule of commands, starts, ends and recovery.

use std::sync::Arc;

use super::model::Model;
use super::{Bench, StoreFactory, an_end};
use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::{Command, Ended, OnRestart, Recovery, Verdict};
use crate::store::{Affected, Batch, Control, Record, Rejected};

/// A queue is found again under its name in any case, and no other is.
pub async fn a_queue_is_found_in_any_case(factory: &impl StoreFactory) {
    let store = factory.open();
    let fetch = store.open_queue("Fetch").await.unwrap();
    assert!(!fetch.paused);
    assert_eq!(fetch.counts.queued() + fetch.counts.running() + fetch.counts.finished(), 0);
    let again = store.open_queue("FETCH").await.unwrap();
    assert_eq!(again, fetch);
    let other = store.open_queue("Fetch2").await.unwrap();
    assert_ne!(other.id, fetch.id);
    store.close().await;
    assert_eq!(factory.open().open_queue("fetch").await.unwrap(), fetch);
}

/// A name may hold quotes, percent signs and letters beyond ASCII, and be empty.
pub async fn a_name_may_hold_anything(factory: &impl StoreFactory) {
    let store = factory.open();
    let mut ids = Vec::new();
    for name in ["", "%", "_", "a'b\"c", "Grüße", "行列", "x; DROP TABLE action"] {
        let queue = store.open_queue(name).await.unwrap();
        assert!(!ids.contains(&queue.id), "{name:?}");
        ids.push(queue.id);
        assert_eq!(store.open_queue(name).await.unwrap().id, queue.id, "{name:?}");
    }
}

/// NUL is no end of a name: it is kept, or the name is refused, but two names are not one queue.
pub async fn a_name_does_not_end_at_nul(factory: &impl StoreFactory) {
    let store = factory.open();
    let first = store.open_queue("a\0b").await;
    let second = store.open_queue("a\0c").await;
    if let (Ok(first), Ok(second)) = (first, second) {
        assert_ne!(first.id, second.id);
    }
}

/// Brings a new action into each state.
async fn in_state(bench: &Bench, model: &mut Model, state: State) -> ActionId {
    let batch = Batch { submissions: vec![bench.new_action(3)], ..bench.batch() };
    let reply = bench.commit(batch.clone()).await;
    model.apply(&batch, &reply);
    let id = reply.submissions[0].as_ref().unwrap().id;
    let command = |command| vec![Control::command(id, command)];
    let end = |ended| vec![Control::End(an_end(id, 1, ended).into())];
    let ways: Vec<(usize, Vec<Control>)> = match state {
        State::Queued => vec![],
        State::Processing => vec![(1, vec![])],
        State::Paused => vec![(1, vec![]), (0, command(Command::Pause { supported: true }))],
        State::Stopping => vec![(1, vec![]), (0, command(Command::Stop))],
        State::Finished => vec![(1, vec![]), (0, end(Ended::Finished))],
        State::Error => vec![(1, vec![]), (0, end(Ended::Failed))],
        State::Cancelled => vec![(0, command(Command::Cancel))],
        State::Stopped => {
            vec![(1, vec![]), (0, command(Command::Stop)), (0, end(Ended::Stopped))]
        }
    };
    for (claim, controls) in ways {
        let batch = Batch { controls, claim, ..bench.batch() };
        let reply = bench.commit(batch.clone()).await;
        model.apply(&batch, &reply);
    }
    assert_eq!(bench.record(id).await.state, state);
    id
}

/// Each command on an action in each state: answer, state, times, outcome and counts.
pub async fn every_cell_of_the_table(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let mut model = Model::default();
    let commands = Command::OF_CLIENTS
        .into_iter()
        .filter(|c| !matches!(c, Command::Duplicate | Command::ReadParameters));
    let both = [OnRestart::Requeue, OnRestart::Fail];
    let by_itself = [
        Ended::Finished,
        Ended::Failed,
        Ended::Stopped,
        Ended::Retry,
        Ended::Released,
        Ended::Lost,
        Ended::Cancelled,
    ];
    let ends = by_itself.into_iter().chain(both.map(Ended::Interrupted));
    let recoveries = both.map(Recovery::from).into_iter().chain([
        Recovery { on_restart: OnRestart::Resume, max_restarts: 0 },
        // It is given up the first time.
        Recovery { on_restart: OnRestart::Requeue, max_restarts: 1 },
    ]);
    for state in State::ALL {
        let given = commands.clone().map(|command| {
            Box::new(move |id| Control::command(id, command)) as Box<dyn Fn(ActionId) -> Control>
        });
        let ended = ends.clone().map(|ended| {
            Box::new(move |id| Control::End(an_end(id, 1, ended).into())) as Box<dyn Fn(_) -> _>
        });
        let recovered = recoveries.clone().map(|recovery| {
            Box::new(move |_| Control::Recover { live: Vec::new(), recovery, unbegun: false })
                as Box<dyn Fn(_) -> _>
        });
        for control in given.chain(ended).chain(recovered) {
            let id = in_state(&bench, &mut model, state).await;
            bench.now += 10;
            let batch = Batch { controls: vec![control(id)], ..bench.batch() };
            let reply = bench.commit(batch.clone()).await;
            model.apply(&batch, &reply);
            model.check(&*bench.store).await;
            // Leave nothing that waits or runs to the next cell.
            let cancel = Control::command(id, Command::Cancel);
            let controls = vec![
                cancel,
                Control::Recover { live: vec![], recovery: OnRestart::Fail.into(), unbegun: false },
            ];
            let batch = Batch { controls, ..bench.batch() };
            let reply = bench.commit(batch.clone()).await;
            model.apply(&batch, &reply);
            assert_eq!(reply.counts.queued() + reply.counts.running(), 0);
        }
    }
}

/// Within a batch, controls come first, in their order; then submissions; then claims.
pub async fn controls_then_submissions_then_claims(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let low = bench.submit(1).await;
    let stopped = bench.submit(0).await;
    let reply = bench
        .commit(Batch {
            controls: vec![
                Control::PauseQueue { supported: true },
                Control::command(low, Command::ChangePriority(-5)),
                Control::command(low, Command::ChangePriority(5)),
                Control::command(stopped, Command::Cancel),
                Control::command(stopped, Command::ChangePriority(9)),
                Control::ResumeQueue,
            ],
            submissions: vec![bench.new_action(3), bench.new_action(7)],
            claim: 2,
            ..bench.batch()
        })
        .await;
    let accepted: Vec<bool> = reply.controls.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, true, true, false, true]);
    let highest = reply.submissions[1].as_ref().unwrap().id;
    assert_eq!(reply.claimed.iter().map(|c| c.id).collect::<Vec<_>>(), [highest, low]);
    assert_eq!(reply.counts.queued(), 1);
}

/// Q8, also after a change of priority and after an action came back to the queue.
pub async fn the_highest_priority_starts_first(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let mut ids = Vec::new();
    for priority in [0, 5, -3, 5, i32::MAX, i32::MIN, 0] {
        ids.push(bench.submit(priority).await);
    }
    bench.command(ids[6], Command::ChangePriority(5)).await.unwrap();
    let first = bench.claim(1).await;
    assert_eq!(first[0].id, ids[4]);
    let requeue =
        Control::Recover { live: vec![], recovery: OnRestart::Requeue.into(), unbegun: false };
    bench.control(requeue).await.unwrap();
    let order: Vec<_> = bench.claim(9).await.iter().map(|claimed| claimed.id).collect();
    assert_eq!(order, [ids[4], ids[1], ids[3], ids[6], ids[0], ids[2], ids[5]]);
}

/// Q12, also after the store was opened again.
pub async fn a_paused_queue_starts_nothing(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    bench.submit(0).await;
    let reply = bench
        .commit(Batch {
            controls: vec![Control::PauseQueue { supported: true }],
            claim: 1,
            ..bench.batch()
        })
        .await;
    assert!(reply.paused);
    assert!(reply.claimed.is_empty());
    let bench = bench.reopen(factory).await;
    assert!(bench.state().await.paused);
    assert!(bench.claim(4).await.is_empty());
    bench.control(Control::ResumeQueue).await.unwrap();
    assert_eq!(bench.claim(4).await.len(), 1);
    assert!(!bench.state().await.paused);
}

/// A claim gives no more than it asks for, and nothing twice.
pub async fn no_more_start_than_asked_for(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    for _ in 0..10 {
        bench.submit(0).await;
    }
    let mut started = Vec::new();
    for (asked, given) in [(0, 0), (1, 1), (3, 3), (100, 6), (5, 0)] {
        let claimed = bench.claim(asked).await;
        assert_eq!(claimed.len(), given, "of {asked}");
        started.extend(claimed.iter().map(|c| (c.id, c.attempt)));
    }
    started.sort_unstable();
    started.dedup();
    assert_eq!(started.len(), 10);
    assert!(started.iter().all(|(_, attempt)| *attempt == 1));
}

/// Attempts are numbered from 1; the end of an earlier one, or of an action that does not run,
/// changes nothing (Q14).
pub async fn only_the_latest_attempt_can_end(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    assert_eq!(bench.end(id, 0, Ended::Finished).await, Err(Rejected::Stale));
    for attempt in 1..=3 {
        assert_eq!(bench.claim(1).await[0].attempt, attempt);
        let before = bench.record(id).await;
        for stale in [0, attempt - 1, attempt + 1] {
            assert_eq!(bench.end(id, stale, Ended::Finished).await, Err(Rejected::Stale));
        }
        assert_eq!(bench.record(id).await, before);
        let again = Ended::Interrupted(OnRestart::Requeue);
        assert_eq!(bench.end(id, attempt, again).await, Ok(State::Queued));
        assert_eq!(bench.end(id, attempt, Ended::Failed).await, Err(Rejected::Stale));
    }
    bench.claim(1).await;
    assert_eq!(bench.end(id, 4, Ended::Finished).await, Ok(State::Finished));
    let before = bench.record(id).await;
    assert_eq!(bench.end(id, 4, Ended::Failed).await, Err(Rejected::Stale));
    assert_eq!(bench.record(id).await, before);
    let unknown = ActionId::new(ActionId::MAX).unwrap();
    assert_eq!(bench.end(unknown, 1, Ended::Failed).await, Err(Rejected::Unknown));
}

/// Attempts that are listed as live are not recovered; other attempts and actions are.
pub async fn recovery_spares_what_runs(factory: &impl StoreFactory) {
    let store = factory.open();
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        let bench = Bench::open_queue(Arc::clone(&store), &format!("{on_restart:?}")).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(bench.submit(0).await);
        }
        bench.claim(4).await;
        bench.command(ids[2], Command::Stop).await.unwrap();
        bench.command(ids[3], Command::Pause { supported: true }).await.unwrap();
        let live = vec![(ids[0], 1), (ids[1], 2)];
        let mut affected = bench
            .control(Control::Recover { live, recovery: on_restart.into(), unbegun: false })
            .await
            .unwrap();
        affected.sort_by_key(|a| a.id);
        let fell = if on_restart == OnRestart::Fail { State::Error } else { State::Queued };
        let mut expected = Vec::new();
        for (id, state) in [(ids[1], fell), (ids[2], State::Stopped), (ids[3], fell)] {
            let Record { queued_at, started_at, finished_at, .. } = bench.record(id).await;
            let verdict = Verdict::Move(state);
            let attempt = 1;
            expected.push(Affected {
                id,
                attempt,
                queued_at,
                started_at,
                finished_at,
                state,
                verdict,
                taken_by: None,
            });
        }
        // What still runs may be named too, as something that stays.
        affected.retain(|a| matches!(a.verdict, Verdict::Move(_)));
        assert_eq!(affected, expected);
        assert_eq!(bench.record(ids[0]).await.state, State::Processing);
        assert_eq!(bench.record(ids[4]).await.state, State::Queued);
        let error = bench.record(ids[1]).await.error;
        assert_eq!(error.is_some(), on_restart == OnRestart::Fail);
    }
}

/// Pause, resume and stop of all that runs touch nothing else.
pub async fn commands_to_all_that_runs(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bench.submit(0).await);
    }
    bench.claim(3).await;
    bench.command(ids[2], Command::Stop).await.unwrap();
    let states = async || {
        let mut states = Vec::new();
        for id in &ids {
            states.push(bench.record(*id).await.state);
        }
        states
    };
    use State::{Paused, Processing, Queued, Stopping};
    bench.control(Control::PauseQueue { supported: false }).await.unwrap();
    assert_eq!(states().await, [Processing, Processing, Stopping, Queued]);
    bench.control(Control::PauseQueue { supported: true }).await.unwrap();
    assert_eq!(states().await, [Paused, Paused, Stopping, Queued]);
    bench.command(ids[0], Command::Resume).await.unwrap();
    bench.control(Control::ResumeQueue).await.unwrap();
    assert_eq!(states().await, [Processing, Processing, Stopping, Queued]);
    let mut stopped = bench.control(Control::StopAll).await.unwrap();
    stopped.sort_by_key(|a| a.id);
    let verdicts: Vec<_> = stopped.iter().map(|a| (a.id, a.verdict)).collect();
    let moved = Verdict::Move(Stopping);
    assert_eq!(verdicts, [(ids[0], moved), (ids[1], moved), (ids[2], Verdict::Force)]);
    assert_eq!(states().await, [Stopping, Stopping, Stopping, Queued]);
}

/// `max_queued` counts those that wait, and nothing else.
pub async fn a_full_queue_refuses(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let three = || (0..3).map(|_| bench.new_action(0)).collect();
    let limited =
        |claim| Batch { submissions: three(), max_queued: Some(2), claim, ..bench.batch() };
    let reply = bench.commit(limited(1)).await;
    assert_eq!(reply.submissions[2], Err(Rejected::QueueFull));
    assert_eq!((reply.counts.queued(), reply.counts.running()), (1, 1));
    let reply = bench.commit(limited(0)).await;
    let taken: Vec<_> = reply.submissions.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false]);
    let reply = bench.commit(Batch { max_queued: Some(0), ..limited(0) }).await;
    assert!(reply.submissions.iter().all(|s| *s == Err(Rejected::QueueFull)));
    // Control needs no room.
    let id = reply_id(&bench).await;
    let cancel = Control::command(id, Command::Cancel);
    let reply = bench.commit(Batch { controls: vec![cancel], ..limited(0) }).await;
    assert!(reply.controls[0].is_ok());
    assert!(reply.submissions[0].is_ok());
}

async fn reply_id(bench: &Bench) -> ActionId {
    let query = crate::store::query::Query {
        states: crate::store::query::States::NONE.with(State::Queued),
        ..Default::default()
    };
    bench.list(&query).await[0].id
}

/// Q9: queued <= started <= finished, also when the clock goes back between them.
pub async fn times_never_go_back(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let ran = bench.submit(1).await;
    let cancelled = bench.submit(0).await;
    bench.now -= 5_000;
    bench.claim(1).await;
    let record = bench.record(ran).await;
    assert_eq!(record.started_at, Some(record.queued_at));
    bench.now -= 5_000;
    bench.end(ran, 1, Ended::Finished).await.unwrap();
    bench.command(cancelled, Command::Cancel).await.unwrap();
    for id in [ran, cancelled] {
        let record = bench.record(id).await;
        assert_eq!(record.finished_at, Some(record.queued_at), "{:?}", record.state);
    }
    bench.now = 0;
    let early = bench.submit(0).await;
    bench.now = 77;
    bench.claim(1).await;
    bench.now = 88;
    bench.end(early, 1, Ended::Failed).await.unwrap();
    let record = bench.record(early).await;
    let times = (record.queued_at, record.started_at, record.finished_at);
    assert_eq!(times, (Timestamp(0), Some(Timestamp(77)), Some(Timestamp(88))));
}

/// An action belongs to its queue: no other reads, commands, copies, lists or starts it.
pub async fn queues_do_not_see_each_other(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let other = Bench::open_queue(Arc::clone(&bench.store), "Other").await;
    let id = bench.submit(0).await;
    assert_eq!(other.find(id).await, None);
    assert_eq!(other.store.parameters(other.queue, id).await.unwrap(), None);
    assert_eq!(other.command(id, Command::Cancel).await, Err(Rejected::Unknown));
    assert_eq!(other.end(id, 1, Ended::Failed).await, Err(Rejected::Unknown));
    let copy = crate::store::NewAction::CopyOf { id, queued_at: Timestamp(1) };
    assert_eq!(other.try_submit(copy).await, Err(Rejected::Unknown));
    assert!(other.claim(1).await.is_empty());
    assert!(other.list(&crate::store::query::Query::default()).await.is_empty());
    bench.claim(1).await;
    other.control(Control::StopAll).await.unwrap();
    other.control(Control::PauseQueue { supported: true }).await.unwrap();
    let lost = Control::Recover { live: vec![], recovery: OnRestart::Fail.into(), unbegun: false };
    other.control(lost).await.unwrap();
    assert_eq!(bench.record(id).await.state, State::Processing);
    assert!(!bench.state().await.paused);
}
