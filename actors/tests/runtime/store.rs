//! The conformance suite for the embedded store, and what only it can do wrong.

use std::sync::Arc;

use actiond_actors::store::Store;
use actiond_actors::store::conformance::Place;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
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
