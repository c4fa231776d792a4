//! Cases about the deletion of old final actions.

use super::{Bench, StoreFactory};
use crate::action::State;
use crate::store::{Batch, Retention};

/// At most a number of final actions is kept; the oldest are deleted first, in steps.
pub async fn retention_by_number(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let ids = bench.finish(450).await;
    let waits = bench.submit(0).await;
    let retention = Retention { max_finished: Some(10), finished_after: None };
    let mut steps = 0;
    loop {
        steps += 1;
        let reply = bench.commit(Batch { retention, ..bench.batch() }).await;
        let left = usize::try_from(reply.counts.finished()).unwrap();
        assert!(bench.find(ids[450 - left]).await.is_some(), "the oldest go first");
        assert!(bench.find(ids[450 - left - 1]).await.is_none());
        if !reply.more_to_prune {
            assert_eq!(left, 10);
            break;
        }
    }
    assert!(steps > 1, "450 at once would hold up every client");
    assert_eq!(bench.record(waits).await.state, State::Queued);
    assert_eq!(bench.state().await.counts.finished(), 10);
}

/// An action that ends after the clock was set back does not count as the oldest.
pub async fn retention_by_number_after_the_clock_was_set_back(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let before = bench.finish(20).await;
    bench.now -= 10_000;
    let since = bench.finish(5).await;
    let retention = Retention { max_finished: Some(10), finished_after: None };
    let reply = bench.commit(Batch { retention, ..bench.batch() }).await;
    assert_eq!(reply.counts.finished(), 10);
    for id in before[15..].iter().chain(&since) {
        assert!(bench.find(*id).await.is_some(), "{id} of {since:?} is gone");
    }
}

/// Actions that ended at or before a time are deleted, in steps; others stay.
pub async fn retention_by_age(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let ids = bench.finish(450).await;
    let waits = bench.submit(0).await;
    let last = bench.record(ids[439]).await.finished_at;
    let retention = Retention { max_finished: None, finished_after: last };
    let mut steps = 1;
    while bench.commit(Batch { retention, ..bench.batch() }).await.more_to_prune {
        steps += 1;
    }
    assert!(steps > 1);
    assert_eq!(bench.state().await.counts.finished(), 10);
    assert!(bench.find(ids[439]).await.is_none());
    assert!(bench.find(ids[440]).await.is_some());
    assert!(bench.find(waits).await.is_some());
    // Both limits: the stricter one counts.
    let retention = Retention { max_finished: Some(3), finished_after: last };
    let reply = bench.commit(Batch { retention, ..bench.batch() }).await;
    assert_eq!(reply.counts.finished(), 3);
}
