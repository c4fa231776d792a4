//! Cases about actions that may not start before a time.

use std::time::Duration;

use super::{Bench, StoreFactory, an_end};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Command, Ended, Verdict};
use crate::store::query::{Query, States};
use crate::store::{AttemptEnd, Batch, Control, NewAction, Rejected};

/// Time after which a store must be done with all that is due at once.
const SOON: Duration = Duration::from_secs(60);

impl Bench {
    /// An action that may start so many milliseconds from now.
    fn later(&self, priority: i32, wait: i64) -> NewAction {
        NewAction::Given {
            parameters: Parameters::from_iter([("Priority", priority.to_string())]),
            priority,
            key: None,
            not_before: Some(Timestamp(self.now + wait)),
            queued_at: Timestamp(self.now),
            origin: None,
        }
    }

    async fn submit_later(&self, priority: i32, wait: i64) -> ActionId {
        self.try_submit(self.later(priority, wait)).await.unwrap().id
    }

    async fn next_due(&self) -> Option<u64> {
        let due = self.commit(self.batch()).await.next_due;
        due.map(|due| u64::try_from(due.as_millis()).unwrap())
    }

    async fn started(&self, number: usize) -> Vec<ActionId> {
        self.claim(number).await.iter().map(|claimed| claimed.id).collect()
    }
}

/// An action waits for its time, without a place in the queue, and the store says how long that takes; then it starts. It is the
/// same after the store was opened again.
pub async fn an_action_waits_for_its_time(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    assert_eq!(bench.next_due().await, None);
    // Where a slot is free for it, too.
    let submissions = vec![bench.later(0, 1_000)];
    let reply = bench.commit(Batch { submissions, claim: 9, ..bench.batch() }).await;
    let id = reply.submissions[0].as_ref().unwrap().id;
    assert!(reply.claimed.is_empty());
    assert_eq!(reply.next_due, Some(Duration::from_millis(1_000)));
    assert_eq!(reply.counts.queued(), 1);
    let later = bench.submit_later(9, 2_000).await;
    assert_eq!(bench.next_due().await, Some(1_000));
    bench.now += 999;
    for _ in 0..2 {
        assert_eq!(bench.started(9).await, []);
        assert_eq!(bench.next_due().await, Some(1));
        let record = bench.record(id).await;
        assert_eq!((record.state, record.position, record.attempt), (State::Queued, None, 0));
        assert_eq!(record.not_before, Some(Timestamp(bench.now + 1)));
        assert_eq!(bench.state().await.counts.queued(), 2);
        bench = bench.reopen(factory).await;
    }
    bench.now += 1;
    assert_eq!(bench.next_due().await, Some(1_000), "that of the other");
    let record = bench.record(id).await;
    assert_eq!((record.not_before, record.position), (None, Some(1)), "it waits for a slot");
    assert_eq!(bench.started(9).await, [id]);
    bench.now += 5_000;
    let reply = bench.commit(Batch { claim: 9, ..bench.batch() }).await;
    assert_eq!(reply.claimed.iter().map(|c| c.id).collect::<Vec<_>>(), [later]);
    assert_eq!(reply.claimed[0].started_at, Timestamp(bench.now));
    assert_eq!(reply.next_due, None);
    for id in [id, later] {
        assert_eq!(bench.end(id, 1, Ended::Finished).await, Ok(State::Finished));
    }
}

/// An action that is cancelled and deleted just as its time comes is counted once: what comes later is still known to wait.
pub async fn what_is_deleted_as_its_time_comes_counts_once(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let gone = bench.submit_later(0, 1_000).await;
    let later = bench.submit_later(0, 5_000).await;
    bench.now += 1_000;
    let command = |command| Control::Command { id: gone, queued_at: None, command };
    let controls = vec![command(Command::Cancel), command(Command::Delete)];
    let reply = bench.commit(Batch { controls, claim: 9, ..bench.batch() }).await;
    assert!(reply.controls.iter().all(Result::is_ok), "{:?}", reply.controls);
    assert_eq!((reply.deferred, reply.counts.queued()), (1, 1));
    assert_eq!(reply.next_due, Some(Duration::from_millis(4_000)));
    assert!(reply.claimed.is_empty());
    assert_eq!(bench.find(gone).await, None);
    bench.now += 4_000;
    assert_eq!(bench.started(9).await, [later]);
}

/// A time that has come by the submission is none.
pub async fn a_time_in_the_past_is_none(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    for wait in [0, -1, i64::MIN / 2] {
        let submissions = vec![bench.later(0, wait)];
        let reply = bench.commit(Batch { submissions, ..bench.batch() }).await;
        assert_eq!(reply.next_due, None);
        let id = reply.submissions[0].as_ref().unwrap().id;
        let record = bench.record(id).await;
        assert_eq!((record.not_before, record.position), (None, Some(1)));
        assert_eq!(bench.started(9).await, [id]);
        // As it comes, too.
        let submissions = vec![bench.later(0, wait)];
        let reply = bench.commit(Batch { submissions, claim: 1, ..bench.batch() }).await;
        assert_eq!(reply.claimed.len(), 1);
    }
}

/// Once their time has come, actions start as others do: the highest priority first, equal ones by arrival, whichever was due
/// first (Q8).
pub async fn what_is_due_starts_in_order_of_priority(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let mut ids = Vec::new();
    for (priority, wait) in [(0, 100), (5, 300), (-1, 50), (5, 100), (0, 50), (7, 301)] {
        ids.push(bench.submit_later(priority, wait).await);
    }
    let at_once = bench.submit(0).await;
    bench.command(ids[2], Command::ChangePriority(6)).await.unwrap();
    bench.now += 300;
    let order = [ids[2], ids[1], ids[3], ids[0], ids[4], at_once];
    assert_eq!(bench.started(2).await, order[..2]);
    assert_eq!(bench.record(ids[0]).await.position, Some(2));
    assert_eq!(bench.started(9).await, order[2..]);
    bench.now += 1;
    assert_eq!(bench.started(9).await, ids[5..]);
}

/// What may not start yet keeps no other from starting, whatever its priority, and takes nobody's place.
pub async fn what_waits_for_a_time_is_in_nobodys_way(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let submissions = (0..300).map(|_| bench.later(9, 1_000)).collect();
    bench.commit(Batch { submissions, ..bench.batch() }).await;
    let low = bench.submit(-9).await;
    assert_eq!(bench.record(low).await.position, Some(1));
    assert_eq!(bench.started(5).await, [low]);
    // What comes starts as it comes, beside one more that waits.
    let submissions = vec![bench.new_action(0), bench.later(9, 7), bench.new_action(1)];
    let reply = bench.commit(Batch { submissions, claim: 5, ..bench.batch() }).await;
    let ids: Vec<_> = reply.submissions.iter().map(|s| s.as_ref().unwrap().id).collect();
    assert_eq!(reply.claimed.iter().map(|c| c.id).collect::<Vec<_>>(), [ids[2], ids[0]]);
    assert_eq!(reply.next_due, Some(Duration::from_millis(7)));
    assert_eq!((reply.counts.queued(), reply.counts.running()), (301, 3));
    // They count as waiting.
    let submissions = vec![bench.new_action(0)];
    let full = Batch { submissions, claim: 5, max_queued: Some(301), ..bench.batch() };
    assert_eq!(bench.commit(full).await.submissions, [Err(Rejected::QueueFull)]);
}

/// Many that are due at one instant start in order of priority, though a store may take several batches to begin.
pub async fn many_are_due_at_once(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let priority = |number: i32| number * 7_919 % 101;
    let submissions = (0..6_000).map(|number| bench.later(priority(number), 50)).collect();
    let reply = bench.commit(Batch { submissions, ..bench.batch() }).await;
    let mut order: Vec<_> = reply
        .submissions
        .iter()
        .zip(0..)
        .map(|(submitted, number)| {
            (std::cmp::Reverse(priority(number)), submitted.as_ref().unwrap().id)
        })
        .collect();
    order.sort_unstable();
    bench.now += 50;
    let mut started = Vec::new();
    for _ in 0..100 {
        let reply = bench.commit(Batch { claim: 400, ..bench.batch() }).await;
        if started.is_empty() && reply.claimed.is_empty() {
            assert!(reply.next_due.is_some_and(|due| due < SOON), "the queue has to look again");
        } else {
            assert_eq!(reply.next_due, None);
        }
        started.extend(reply.claimed.iter().map(|claimed| claimed.id));
    }
    assert_eq!(started, order.iter().map(|(_, id)| *id).collect::<Vec<_>>());
}

/// A clock that was set back lets an action wait longer, and one that jumps ahead starts it; no time goes back (Q9).
pub async fn a_clock_that_is_set_lets_no_time_go_back(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let id = bench.submit_later(0, 1_000).await;
    let queued_at = Timestamp(bench.now);
    bench.now -= 10_000;
    assert_eq!(bench.started(9).await, []);
    assert_eq!(bench.next_due().await, Some(11_000));
    bench.now += 11_000;
    assert_eq!(bench.next_due().await, None);
    // Its time has come, and has not to come again.
    bench.now -= 20_000;
    assert_eq!(bench.next_due().await, None);
    let claimed = bench.claim(1).await;
    assert_eq!((claimed[0].id, claimed[0].started_at), (id, queued_at));
    // An end is after the start, and the wait begins now.
    let retry_after = Some(Duration::from_millis(300));
    let end = AttemptEnd { retry_after, ..an_end(id, 1, Ended::Retry) };
    bench.control(Control::End(end.into())).await.unwrap();
    let past = bench.store.history(bench.queue, id).await.unwrap().remove(0);
    assert_eq!((past.started_at, past.ended_at), (queued_at, queued_at));
    assert_eq!(bench.next_due().await, Some(300));
    bench.now += 300;
    assert_eq!(bench.started(1).await, [id]);
    let retry_after = Some(Duration::MAX);
    let end = AttemptEnd { retry_after, ..an_end(id, 2, Ended::Retry) };
    bench.control(Control::End(end.into())).await.unwrap();
    assert_eq!(bench.record(id).await.not_before, Some(Timestamp(i64::MAX)));
    assert!(bench.next_due().await.is_some());
}

/// Commands reach an action that waits for a time as any other that waits, and a retry ends the wait.
pub async fn commands_reach_what_waits_for_a_time(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let mut ids = Vec::new();
    for wait in [100, 200, 300, 400] {
        ids.push(bench.submit_later(0, wait).await);
    }
    let listed = |state| Query { states: States::NONE.with(state), ..Query::default() };
    assert_eq!(bench.list(&listed(State::Queued)).await.len(), 4);
    assert_eq!(bench.command(ids[0], Command::Cancel).await, Ok(State::Cancelled));
    assert_eq!(bench.next_due().await, Some(200));
    assert_eq!(bench.command(ids[1], Command::Stop).await, Ok(State::Cancelled));
    assert_eq!(bench.next_due().await, Some(300));
    for id in &ids[..2] {
        let record = bench.record(*id).await;
        assert_eq!((record.not_before, record.finished_at), (None, Some(Timestamp(bench.now))));
    }
    assert_eq!(bench.list(&listed(State::Cancelled)).await.len(), 2);
    let refused = bench.command(ids[2], Command::Pause { supported: true }).await;
    assert!(matches!(refused, Err(Rejected::Refused(_))));

    let reply = bench
        .commit(Batch {
            controls: vec![Control::command(ids[3], Command::Retry)],
            claim: 9,
            ..bench.batch()
        })
        .await;
    let affected = reply.controls[0].clone().unwrap()[0];
    assert_eq!((affected.id, affected.state), (ids[3], State::Queued));
    assert_eq!(affected.verdict, Verdict::Stay);
    assert_eq!(reply.claimed.iter().map(|c| c.id).collect::<Vec<_>>(), [ids[3]]);
    assert_eq!(reply.next_due, Some(Duration::from_millis(300)));
    assert_eq!(bench.command(ids[2], Command::Retry).await, Ok(State::Queued));
    assert_eq!(bench.next_due().await, None);
    let record = bench.record(ids[2]).await;
    assert_eq!((record.not_before, record.position), (None, Some(1)));
    assert_eq!(bench.command(ids[2], Command::Retry).await, Ok(State::Queued));
    bench.now += 1;
    assert_eq!(bench.started(9).await, ids[2..3]);
    assert!(matches!(bench.command(ids[2], Command::Retry).await, Err(Rejected::Refused(_))));
}

/// A copy has the earliest start of its source. One of an action that waits for its next attempt waits for nothing.
pub async fn a_copy_waits_for_the_same_time(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let id = bench.submit_later(2, 500).await;
    let copy = |id| NewAction::CopyOf { id, queued_at: Timestamp(55) };
    bench.now += 1;
    let twin = bench.try_submit(copy(id)).await.unwrap().id;
    let time = bench.record(id).await.not_before;
    assert!(time.is_some());
    assert_eq!(bench.record(twin).await.not_before, time);
    bench.now += 500;
    assert_eq!(bench.started(9).await, [id, twin]);
    let end = an_end(id, 1, Ended::Retry);
    bench.control(Control::End(end.into())).await.unwrap();
    let twin = bench.try_submit(copy(id)).await.unwrap().id;
    assert!(bench.record(id).await.not_before.is_some());
    assert_eq!(bench.record(twin).await.not_before, None);
    assert_eq!(bench.started(9).await, [twin]);
}
