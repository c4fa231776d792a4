//! Cases about new actions: their ids, keys and copies.

use super::{Bench, StoreFactory};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::key::SubmissionKey;
use crate::lifecycle::{Command, Ended};
use crate::store::{Batch, Control, NewAction, Rejected, Retention};

/// Q1: not after everything was deleted, and not after the store was opened again.
pub async fn an_id_is_never_used_again(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let mut last = 0;
    for _ in 0..3 {
        let ids = bench.finish(5).await;
        assert!(ids.iter().all(|id| id.get() > last), "{ids:?} after {last}");
        last = ids.iter().map(|id| id.get()).max().unwrap();
        let none = Retention { max_finished: Some(0), finished_after: None };
        let reply = bench.commit(Batch { retention: none, ..bench.batch() }).await;
        assert_eq!(reply.counts.finished(), 0);
        assert_eq!(bench.find(ids[0]).await, None);
        bench = bench.reopen(factory).await;
    }
    // Where the last one goes and others stay: it alone, a copy, beside new ones, or before them.
    let waits = bench.submit(0).await;
    let none = Retention { max_finished: Some(0), finished_after: None };
    let copy = NewAction::CopyOf { id: waits, queued_at: Timestamp(1) };
    for (new, beside) in [(bench.new_action(0), 0), (copy, 0), (bench.new_action(0), 2)] {
        let id = bench.try_submit(new).await.unwrap().id;
        assert!(id.get() > last, "{id} after {last}");
        let reply = bench
            .commit(Batch {
                controls: vec![Control::command(id, Command::Cancel)],
                submissions: vec![bench.new_action(0); beside],
                retention: none,
                ..bench.batch()
            })
            .await;
        assert_eq!(bench.find(id).await, None);
        last = reply.submissions.last().map_or(id, |new| new.clone().unwrap().id).get();
        bench = bench.reopen(factory).await;
    }
    assert!(bench.submit(0).await.get() > last);
}

/// The same key gives the first id as long as that action is kept, in its own queue.
pub async fn a_key_names_one_action(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let keyed = |key: &str, queued_at| NewAction::Given {
        not_before: None,
        parameters: Parameters::from_iter([("Key", key)]),
        priority: 0,
        key: Some(key.into()),
        queued_at: Timestamp(queued_at),
        origin: None,
    };
    let first = bench.try_submit(keyed("a", 10)).await.unwrap();
    assert_eq!(bench.try_submit(keyed("a", 20)).await, Ok(first));
    let mut others = vec![first.id];
    for key in ["A", "", "a\0", "a'", "ä"] {
        let other = bench.try_submit(keyed(key, 10)).await.unwrap();
        assert!(!others.contains(&other.id), "{key:?}");
        others.push(other.id);
    }
    // Twice in one batch, and where the queue is full.
    let both = vec![keyed("b", 1), keyed("b", 2)];
    let reply = bench.commit(Batch { submissions: both, ..bench.batch() }).await;
    assert_eq!(reply.submissions[0], reply.submissions[1]);
    let again = Batch { submissions: vec![keyed("a", 30)], max_queued: Some(0), ..bench.batch() };
    assert_eq!(bench.commit(again).await.submissions[0], Ok(first));
    let elsewhere = Bench::open_queue(bench.store.clone(), "Other").await;
    assert_ne!(elsewhere.try_submit(keyed("a", 10)).await.unwrap().id, first.id);

    bench = bench.reopen(factory).await;
    assert_eq!(bench.try_submit(keyed("a", 40)).await, Ok(first));
    bench.command(first.id, Command::Cancel).await.unwrap();
    assert_eq!(bench.try_submit(keyed("a", 50)).await, Ok(first), "it has ended but is kept");
    let none = Retention { max_finished: Some(0), finished_after: None };
    bench.commit(Batch { retention: none, ..bench.batch() }).await;
    let second = bench.try_submit(keyed("a", 60)).await.unwrap();
    assert!(second.id > first.id);
    assert_eq!(second.queued_at, Timestamp(60));
}

/// A repeated submission under a key leaves the first one as it was, also if that starts at once.
pub async fn a_repeated_key_changes_nothing(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let keyed = |text: &str, priority| NewAction::Given {
        not_before: None,
        parameters: Parameters::from_iter([("Text", text)]),
        priority,
        key: Some("key".into()),
        queued_at: Timestamp(1),
        origin: None,
    };
    let submissions = vec![keyed("first", 1), keyed("first", 2), keyed("third", 3)];
    let reply = bench.commit(Batch { submissions, claim: 3, ..bench.batch() }).await;
    assert_eq!(reply.claimed.len(), 1);
    assert_eq!(reply.submissions[1], reply.submissions[0]);
    assert_eq!(reply.submissions[2], Err(Rejected::KeyTaken));
    assert_eq!(reply.claimed[0].parameters.get("text"), Some("first"));
    assert_eq!(bench.record(reply.claimed[0].id).await.priority, 1);
}

/// Another submission under a key that names one already is refused and makes no action, whatever became of the first
/// one, as long as that is kept; in the same batch as well.
pub async fn a_taken_key_is_refused(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let keyed = |pairs: &[(&str, &str)]| NewAction::Given {
        not_before: None,
        parameters: Parameters::from_iter(pairs.iter().copied()),
        priority: 0,
        key: Some(SubmissionKey::from("key").apart_from(&["Wait"])),
        queued_at: Timestamp(10),
        origin: None,
    };
    let other = || keyed(&[("A", "2"), ("B", "2")]);
    let submissions = vec![keyed(&[("A", "1"), ("B", "2")]), other()];
    let reply = bench.commit(Batch { submissions, ..bench.batch() }).await;
    let first = reply.submissions[0].clone().unwrap();
    assert_eq!(reply.submissions[1], Err(Rejected::KeyTaken));
    assert_eq!(reply.counts.queued(), 1);
    // Also where there is no room for it, which may pass: this does not.
    let full = Batch { submissions: vec![other()], max_queued: Some(0), ..bench.batch() };
    assert_eq!(bench.commit(full).await.submissions[0], Err(Rejected::KeyTaken));
    assert_eq!(bench.try_submit(keyed(&[("b", "2"), ("Wait", "9"), ("a", "1")])).await, Ok(first));

    bench = bench.reopen(factory).await;
    assert_eq!(bench.try_submit(other()).await, Err(Rejected::KeyTaken));
    assert_eq!(bench.try_submit(keyed(&[("A", "1"), ("B", "2")])).await, Ok(first));
    bench.command(first.id, Command::Cancel).await.unwrap();
    assert_eq!(
        bench.try_submit(other()).await,
        Err(Rejected::KeyTaken),
        "it has ended but is kept"
    );
    let none = Retention { max_finished: Some(0), finished_after: None };
    bench.commit(Batch { retention: none, ..bench.batch() }).await;
    assert!(bench.try_submit(other()).await.unwrap().id > first.id, "the key is free again");
}

/// A copy has parameters and priority of its source, and a life of its own.
pub async fn copies_carry_parameters_and_priority(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let id = bench.submit(7).await;
    let copy = |id| NewAction::CopyOf { id, queued_at: Timestamp(55) };
    let waiting = bench.try_submit(copy(id)).await.unwrap().id;
    bench.claim(1).await;
    let running = bench.try_submit(copy(id)).await.unwrap().id;
    for copy in [waiting, running] {
        let record = bench.record(copy).await;
        assert_eq!((record.priority, record.attempt, record.state), (7, 0, State::Queued));
        assert_eq!(record.queued_at, Timestamp(55));
        let given = bench.store.parameters(bench.queue, copy).await.unwrap().unwrap();
        assert_eq!(given.get("Priority"), Some("7"));
    }
    bench.end(id, 1, Ended::Finished).await.unwrap();
    let of_ended = bench.try_submit(copy(id)).await.unwrap().id;
    assert_eq!(bench.record(of_ended).await.state, State::Queued);
    let unknown = ActionId::new(ActionId::MAX).unwrap();
    assert_eq!(bench.try_submit(copy(unknown)).await, Err(Rejected::Unknown));
    // A copy of a copy, in one batch with the claim that starts it.
    let submissions = vec![copy(running)];
    let reply = bench.commit(Batch { submissions, claim: 4, ..bench.batch() }).await;
    assert_eq!(reply.claimed.len(), 4);
    assert!(reply.claimed.iter().all(|c| c.parameters.get("priority") == Some("7")));
}
