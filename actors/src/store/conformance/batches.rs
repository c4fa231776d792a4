//! Cases about batches: when they are sealed and answered, and concurrent callers.

use std::sync::{Arc, mpsc};

use super::{Bench, StoreFactory};
use crate::store::{Batch, BatchReply, StoreError};

/// A batch that is enlisted after another was sealed is sealed after that one was answered.
pub async fn batches_are_sealed_when_their_turn_comes(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let (said, heard) = mpsc::channel();
    let (done, all) = tokio::sync::oneshot::channel();
    let submit = Batch { submissions: vec![bench.new_action(0)], ..bench.batch() };
    let claim = Batch { claim: 2, ..bench.batch() };
    let (store, later) = (Arc::clone(&bench.store), said.clone());
    bench.store.enlist(Box::new(move || {
        said.send("first sealed").unwrap();
        store.enlist(Box::new(move || {
            later.send("second sealed").unwrap();
            (claim, Box::new(move |reply| done.send(reply.unwrap().claimed.len()).unwrap()))
        }));
        let answered = move |reply: Result<BatchReply, StoreError>| {
            assert!(matches!(&reply.unwrap().submissions[..], [Ok(_)]));
            said.send("first answered").unwrap();
        };
        (submit, Box::new(answered))
    }));
    assert_eq!(all.await, Ok(1), "the second batch comes after the first");
    let heard: Vec<_> = heard.try_iter().collect();
    assert_eq!(heard, ["first sealed", "first answered", "second sealed"]);
}

/// A batch that comes when the store is closed is sealed, and answered.
pub async fn a_batch_that_is_late_is_answered(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    bench.store.close().await;
    let (said, heard) = tokio::sync::oneshot::channel();
    let batch = bench.batch();
    let answered = move |reply: Result<BatchReply, StoreError>| drop(said.send(reply.map(drop)));
    bench.store.enlist(Box::new(move || (batch, Box::new(answered))));
    assert_eq!(heard.await, Ok(Err(StoreError::Closed)));
}

/// Many batches of several queues on their way at once: each is answered, no id comes twice, the
/// order within a queue is kept.
pub async fn callers_at_the_same_time(factory: &impl StoreFactory) {
    let store = factory.open();
    let mut benches = Vec::new();
    for name in ["A", "B", "C"] {
        benches.push(Bench::open_queue(Arc::clone(&store), name).await);
    }
    let commits = (0..300).map(|number: i32| {
        let bench = &benches[usize::try_from(number).unwrap() % 3];
        let submissions = vec![bench.new_action(number), bench.new_action(number)];
        store.commit(Batch { submissions, ..bench.batch() })
    });
    let replies = futures_util::future::join_all(commits).await;
    let mut ids = Vec::new();
    let mut last = [0; 3];
    for (number, reply) in replies.into_iter().enumerate() {
        let reply = reply.unwrap();
        assert_eq!(reply.counts.queued(), u64::try_from(number / 3 + 1).unwrap() * 2);
        for submitted in reply.submissions {
            let id = submitted.unwrap().id.get();
            assert!(id > last[number % 3]);
            last[number % 3] = id;
            ids.push(id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 600);
}
