//! Cases about the deletion of actions that clients name.

use std::sync::Arc;

use super::{Bench, StoreFactory, an_end};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Command, Ended, Refusal, Verdict};
use crate::queue::Target;
use crate::store::query::{Cursor, Query, Range, SortKey, States};
use crate::store::{Batch, Control, NewAction, Rejected, Retention};

fn ended() -> States {
    State::ALL.into_iter().filter(|state| state.is_final()).collect()
}

fn delete(actions: Vec<ActionId>, filter: Query) -> Control {
    let actions = actions.into_iter().map(Target::from).collect();
    Control::Many { actions, command: Command::Delete, filter: Some(Arc::new(filter)) }
}

impl Bench {
    async fn delete(&self, actions: Vec<ActionId>, filter: Query) -> Vec<ActionId> {
        let mut affected = self.control(delete(actions, filter)).await.unwrap();
        affected.retain(|action| action.verdict != Verdict::Refused);
        assert!(affected.iter().all(|action| action.verdict == Verdict::Delete), "{affected:?}");
        let mut ids: Vec<_> = affected.into_iter().map(|action| action.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Submits an action under a key.
    async fn submit_under(&self, key: &str) -> ActionId {
        let parameters = Parameters::from_iter([("Key", key)]);
        let (key, queued_at) = (Some(key.into()), Timestamp(self.now));
        let new = NewAction::Given {
            parameters,
            priority: 0,
            key,
            not_before: None,
            queued_at,
            origin: None,
        };
        self.try_submit(new).await.unwrap().id
    }

    async fn is_gone(&self, id: ActionId) {
        assert_eq!(self.find(id).await, None);
        assert_eq!(self.store.parameters(self.queue, id).await.unwrap(), None);
        assert_eq!(self.store.history(self.queue, id).await.unwrap(), []);
        assert_eq!(self.command(id, Command::Delete).await, Err(Rejected::Unknown), "{id} again");
    }
}

/// An action that has ended is deleted with all that is kept of it, for good; one that has not is refused.
pub async fn what_has_ended_is_deleted_when_asked(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let waits = bench.submit(9).await;
    bench.now += 1;
    let runs = bench.claim(1).await[0].id;
    assert_eq!(waits, runs);
    let waits = bench.submit(0).await;
    for (id, state) in [(waits, State::Queued), (runs, State::Processing)] {
        let refused = Refusal { state, command: Command::Delete };
        let answer = bench.command(id, Command::Delete).await;
        assert_eq!(answer, Err(Rejected::Refused(refused)));
        assert_eq!(bench.record(id).await.state, state);
    }
    // One that was tried again has past attempts; it has a key, and the highest id of all.
    let last = bench.submit_under("once").await;
    bench.command(last, Command::ChangePriority(5)).await.unwrap();
    bench.claim(1).await;
    bench.end(last, 1, Ended::Failed).await.unwrap();
    bench.command(last, Command::Retry).await.unwrap();
    bench.claim(1).await;
    assert_eq!(bench.end(last, 2, Ended::Finished).await, Ok(State::Finished));
    assert_eq!(bench.store.history(bench.queue, last).await.unwrap().len(), 1);
    let other =
        Control::Command { id: last, queued_at: Some(Timestamp(7)), command: Command::Delete };
    assert_eq!(bench.control(other).await, Err(Rejected::Unknown), "of another time");
    assert_eq!(bench.command(last, Command::Delete).await, Ok(State::Finished));
    bench.is_gone(last).await;
    let cancelled = bench.submit(0).await;
    bench.command(cancelled, Command::Cancel).await.unwrap();
    assert_eq!(bench.command(cancelled, Command::Delete).await, Ok(State::Cancelled));
    bench = bench.reopen(factory).await;
    for id in [last, cancelled] {
        bench.is_gone(id).await;
    }
    let counts = bench.state().await.counts;
    assert_eq!((counts.queued() + counts.running(), counts.finished()), (2, 0), "{counts}");
    let again = bench.submit_under("once").await;
    assert!(again > cancelled, "{again} was used before (Q1)");
}

/// Of many actions those are deleted that the filter lists, in steps that a listing of their ids tells.
pub async fn what_a_filter_lists_is_deleted(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let finished = bench.finish(600).await;
    let from = bench.record(finished[100]).await.finished_at.unwrap();
    let until = bench.record(finished[550]).await.finished_at.unwrap();
    let failed = bench.submit(3).await;
    bench.claim(1).await;
    bench.now = until.0 - 1;
    assert_eq!(bench.end(failed, 1, Ended::Failed).await, Ok(State::Error));
    let waits = bench.submit(0).await;
    let query = Query {
        states: ended(),
        max_priority: Some(2),
        finished: Range { from: Some(from), until: Some(until) },
        sort: SortKey::Finished,
        descending: false,
        ..Query::default()
    };
    let (mut next, mut deleted, mut pages) = (Some(Cursor::start(3)), Vec::new(), 0);
    while let Some(cursor) = next {
        let page = bench.store.page_of_ids(bench.queue, query.clone(), cursor, 100).await.unwrap();
        assert!(page.ids.len() <= 100 && page.next != next, "{page:?}");
        deleted.extend(bench.delete(page.ids.clone(), query.clone()).await);
        assert!(deleted.ends_with(&page.ids));
        next = page.next;
        pages += 1;
    }
    assert!(pages >= 5);
    assert_eq!(deleted, finished[103..550]);
    for reopened in [false, true] {
        if reopened {
            bench = bench.reopen(factory).await;
        }
        let left = bench.list(&Query { descending: false, ..Query::default() }).await;
        let mut left: Vec<ActionId> = left.iter().map(|record| record.id).collect();
        // The clock was set back meanwhile.
        left.sort_unstable();
        let expected = [&finished[..103], &finished[550..], &[failed, waits]].concat();
        assert_eq!(left, expected);
        let counts = bench.state().await.counts;
        assert_eq!((counts.finished(), counts.queued(), counts.running()), (154, 1, 0));
    }
}

/// What was listed and is not in that state any more when it is its turn stays.
pub async fn what_is_listed_no_more_is_not_deleted(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let ids = bench.finish(2).await;
    let failed = bench.submit(0).await;
    bench.claim(1).await;
    bench.end(failed, 1, Ended::Failed).await.unwrap();
    let unknown = ActionId::new(ActionId::MAX).unwrap();
    let errors = || Query { states: States::NONE.with(State::Error), ..Query::default() };
    let all = vec![unknown, failed, ids[0], ids[1]];
    bench.command(failed, Command::Retry).await.unwrap();
    assert_eq!(bench.delete(all.clone(), errors()).await, []);
    assert_eq!(bench.delete(vec![failed], Query::default()).await, [], "it waits");
    bench.claim(1).await;
    assert_eq!(bench.delete(all.clone(), errors()).await, []);
    bench.end(failed, 2, Ended::Failed).await.unwrap();
    assert_eq!(bench.delete(all.clone(), errors()).await, [failed]);
    assert_eq!(bench.delete(all, errors()).await, [], "once");
    assert_eq!(bench.state().await.counts.finished(), 2);
    // Another queue's are not meant.
    let other = Bench::open_queue(Arc::clone(&bench.store), "Other").await;
    assert_eq!(other.delete(ids.clone(), Query::default()).await, []);
    assert_eq!(other.command(ids[0], Command::Delete).await, Err(Rejected::Unknown));
    assert_eq!(bench.state().await.counts.finished(), 2);
}

/// What is deleted in the transaction in which it ended, or in which old actions are deleted, is counted once.
pub async fn deletion_and_retention_count_each_once(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let ids = bench.finish(50).await;
    let runs = bench.submit(0).await;
    bench.claim(1).await;
    bench.now += 1;
    let delete = |actions| delete(actions, Query::default());
    let controls = vec![
        delete(vec![ids[0], ids[1], ids[49], runs]),
        Control::End(an_end(runs, 1, Ended::Finished).into()),
        delete(vec![runs, ids[2]]),
        Control::command(ids[3], Command::Delete),
        Control::command(ids[3], Command::Delete),
    ];
    let retention = Retention { max_finished: Some(20), finished_after: None };
    let reply = bench.commit(Batch { controls, retention, ..bench.batch() }).await;
    let numbers: Vec<_> =
        reply.controls.iter().map(|answer| answer.as_ref().map(Vec::len)).collect();
    // What runs has refused it.
    assert_eq!(numbers, [Ok(4), Ok(1), Ok(2), Ok(1), Err(&Rejected::Unknown)]);
    assert_eq!((reply.counts.finished(), reply.more_to_prune), (20, false));
    assert_eq!(reply.counts.running() + reply.counts.queued(), 0);
    let left: Vec<ActionId> = bench.list(&Query::default()).await.iter().map(|r| r.id).collect();
    let expected: Vec<ActionId> = ids[29..49].iter().rev().copied().collect();
    assert_eq!(left, expected);
    bench = bench.reopen(factory).await;
    assert_eq!(bench.state().await.counts, reply.counts);
}

/// The key of an action that is deleted names the next one, also in the same transaction.
pub async fn a_deleted_action_frees_its_key(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let new = |bench: &Bench, text: &str| NewAction::Given {
        parameters: Parameters::from_iter([("Text", text)]),
        priority: 0,
        key: Some("the key".into()),
        not_before: None,
        queued_at: Timestamp(bench.now),
        origin: None,
    };
    let first = bench.try_submit(new(&bench, "first")).await.unwrap().id;
    bench.command(first, Command::Cancel).await.unwrap();
    let controls = vec![Control::command(first, Command::Delete)];
    let submissions = vec![new(&bench, "second"), new(&bench, "second"), new(&bench, "third")];
    let reply = bench.commit(Batch { controls, submissions, ..bench.batch() }).await;
    let second = reply.submissions[0].clone().unwrap().id;
    assert_ne!(second, first);
    assert_eq!(reply.submissions[1].as_ref().map(|again| again.id), Ok(second));
    assert_eq!(reply.submissions[2], Err(Rejected::KeyTaken));
    assert_eq!(reply.repeats, [1]);
    bench = bench.reopen(factory).await;
    assert_eq!(bench.try_submit(new(&bench, "second")).await.map(|again| again.id), Ok(second));

    // Of one that is refused for another reason nothing stays.
    bench.command(second, Command::Cancel).await.unwrap();
    let controls = vec![Control::command(second, Command::Delete)];
    let submissions = vec![new(&bench, "third")];
    let full = Batch { controls, submissions, max_queued: Some(0), ..bench.batch() };
    assert_eq!(bench.commit(full).await.submissions[0], Err(Rejected::QueueFull));
    let third = bench.try_submit(new(&bench, "third")).await.unwrap().id;
    assert!(third > second);
}
