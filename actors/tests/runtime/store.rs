//! The conformance suite for the embedded store, and what only it can do wrong.

use std::sync::Arc;

use actiond_actors::store::conformance::Place;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{Batch, NewAction, QueueId, Retention, Store, StoreError};
use actiond_actors::{ActionId, Timestamp};
use tempfile::TempDir;

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Place for Directory {
    fn open(&self) -> Arc<dyn Store> {
        // What is asked of a store does not hang on the machine's disk being flushed.
        Arc::new(SqliteStore::open(self.0.path(), Durability::Normal).unwrap())
    }
}

mod sqlite {
    use super::Directory;
    actiond_actors::store_conformance!(Directory::new());
}

#[tokio::test]
async fn a_store_says_how_safe_it_is_and_keeps_its_data_either_way() {
    let directory = tempfile::tempdir().unwrap();
    for (durability, word) in [(Durability::Full, "full"), (Durability::Normal, "normal")] {
        let store = SqliteStore::open(directory.path(), durability).unwrap();
        assert_eq!(store.durability(), word);
        let queue = store.open_queue("Work").await.unwrap();
        assert_eq!(queue.id.0, 1);
        store.close().await;
    }
}

#[tokio::test]
async fn the_reserve_is_beside_the_data_and_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let reserve = directory.path().join("actions.reserve");
    for _ in 0..2 {
        let store = SqliteStore::open(directory.path(), Durability::Full).unwrap();
        assert!(std::fs::metadata(&reserve).unwrap().len() > 0);
        store.close().await;
    }
}

/// A batch of one action with this many bytes of parameters.
fn large(queue: QueueId, bytes: usize) -> Batch {
    let parameters = [("Note", "x".repeat(bytes))].into_iter().collect();
    let new = NewAction::Given { parameters, priority: 0, key: None, queued_at: Timestamp(1) };
    Batch {
        queue,
        now: Timestamp(1),
        controls: Vec::new(),
        submissions: vec![new],
        claim: 0,
        max_queued: None,
        retention: Retention::default(),
    }
}

#[tokio::test]
async fn whoever_reads_sees_all_that_was_acknowledged_and_the_log_stays_short() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    let queue = store.open_queue("Work").await.unwrap().id;
    let mut longest = 0;
    for number in 1..=100 {
        let reply = store.commit(large(queue, 1 << 20)).await.unwrap();
        let id = reply.submissions[0].as_ref().unwrap().id;
        assert_eq!(id.get(), number);
        // The snapshot that is taken here is kept until the next change.
        assert_eq!(store.record(queue, id).await.unwrap().unwrap().id, id);
        let log = std::fs::metadata(directory.path().join("actions.db-wal")).unwrap();
        longest = log.len().max(longest);
    }
    assert!(longest > 1 << 20, "the log was not there");
    assert!(longest < 32 << 20, "the log grew to {longest} bytes");
    store.close().await;
    assert!(!directory.path().join("actions.db-wal").exists(), "a reader outlived the store");
    let closed = Err(StoreError::Closed);
    assert_eq!(store.record(queue, ActionId::new(1).unwrap()).await, closed);
}
