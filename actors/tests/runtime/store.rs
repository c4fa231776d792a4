//! The conformance suite for the embedded store, and what only it can do wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::lifecycle::Command;
use actiond_actors::store::conformance::StoreFactory;
use actiond_actors::store::query::{Cursor, Page, Query, SortKey};
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{Batch, Control, NewAction, QueueId, Retention, Store, StoreError};
use actiond_actors::testing::{Script, eventually};
use actiond_actors::{ActionId, Parameters, State, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::{SOON, builder, end, nothing, submit, threads};

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl StoreFactory for Directory {
    fn open(&self) -> Arc<dyn Store> {
        // What is asked of a store does not hang on the machine's disk being flushed.
        Arc::new(SqliteStore::open(self.0.path(), Durability::Normal).unwrap())
    }
}

mod sqlite {
    use super::Directory;
    actiond_actors::store_conformance!(Directory::new());
}

/// The same store in memory.
struct InMemory(Directory);

impl StoreFactory for InMemory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open_in_memory(self.0.0.path(), None).unwrap())
    }
}

mod in_memory {
    use super::{Directory, InMemory};
    actiond_actors::store_conformance!(InMemory(Directory::new()));
}

/// A store whose pages look at so few rows that most end by that.
struct Tired(Directory, u64);

impl StoreFactory for Tired {
    fn open(&self) -> Arc<dyn Store> {
        let store = SqliteStore::open(self.0.0.path(), Durability::Normal).unwrap();
        store.limit_rows_per_page(self.1);
        Arc::new(store)
    }
}

mod tired {
    use super::{Directory, Tired};
    actiond_actors::store_conformance!(Tired(Directory::new(), 3) =>
        a_full_queue_refuses,
        queues_do_not_see_each_other,
        large_results_are_listed_once_and_in_order,
        what_a_filter_lists_is_deleted,
        reopening_gives_the_same,
        random_histories,
    );

    mod longer {
        use super::{Directory, Tired};
        actiond_actors::store_conformance!(Tired(Directory::new(), 100) => a_long_history);
    }
}

/// A store with a hundred actions, of which every fiftieth is cancelled; a page looks at ten.
async fn hundred(directory: &TempDir) -> (SqliteStore, QueueId) {
    let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    store.limit_rows_per_page(10);
    let queue = store.open_queue("Work").await.unwrap().id;
    let submissions = (0..100).map(new_action).collect();
    let cancel = |id| Control::command(ActionId::new(id).unwrap(), Command::Cancel);
    let controls = vec![cancel(50), cancel(100)];
    store.commit(Batch { submissions, ..empty(queue) }).await.unwrap();
    store.commit(Batch { controls, ..empty(queue) }).await.unwrap();
    (store, queue)
}

/// What it read last is no reason to keep the directory.
#[tokio::test]
async fn a_store_that_is_dropped_lets_go_of_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (store, queue) = hundred(&directory).await;
    store.record(queue, ActionId::new(1).unwrap()).await.unwrap().expect("it is there");
    let since = Instant::now();
    drop(store);
    eventually("the directory can be opened", async || {
        SqliteStore::open(directory.path(), Durability::Normal).is_ok()
    })
    .await;
    // SQLite waits for five before it gives up.
    let took = since.elapsed();
    assert!(took < Duration::from_secs(4), "it took {took:?}");
}

/// Whatever its priority; not one that runs, and none of another queue.
#[tokio::test]
async fn the_oldest_action_that_waits_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let (store, work) = hundred(&directory).await;
    let other = store.open_queue("Other").await.unwrap().id;
    let prioritised = |(priority, queued_at)| match new_action(queued_at) {
        NewAction::Given { parameters, key, not_before, queued_at, .. } => {
            NewAction::Given { parameters, priority, key, not_before, queued_at, origin: None }
        }
        copy => copy,
    };
    let submissions = [(0, 40), (7, 30), (7, 31), (-2, 20), (-9, 50)].map(prioritised).into();
    store.commit(Batch { submissions, ..empty(other) }).await.unwrap();
    let oldest = async || store.oldest_waiting(vec![other, work, QueueId(77)]).await.unwrap();
    let found = Some(vec![Some(Timestamp(20)), Some(Timestamp(0)), None]);
    assert_eq!(oldest().await, found);
    // Those with the greatest priority start, and then the oldest.
    store.commit(Batch { claim: 4, ..empty(other) }).await.unwrap();
    store.commit(Batch { claim: 3, ..empty(work) }).await.unwrap();
    let found = Some(vec![Some(Timestamp(50)), Some(Timestamp(3)), None]);
    assert_eq!(oldest().await, found);
}

fn new_action(queued_at: i64) -> NewAction {
    NewAction::Given {
        not_before: None,
        parameters: Parameters::default(),
        priority: 0,
        key: None,
        queued_at: Timestamp(queued_at),
        origin: None,
    }
}

fn empty(queue: QueueId) -> Batch {
    Batch::new(queue, Timestamp(1_000))
}

/// Lets every transaction fail, near its end, until the trigger `refuse` is dropped.
fn refusing(directory: &TempDir) -> Connection {
    let other = Connection::open(directory.path().join("actions.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE UPDATE ON queue BEGIN SELECT RAISE(ABORT, 'by a test'); END",
        )
        .unwrap();
    other
}

/// The last action's id is not given out again, whether its deletion was undone or not (Q1).
#[tokio::test]
async fn an_id_whose_deletion_was_undone_is_not_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let (store, queue) = hundred(&directory).await;
    let batch = |max_finished, submissions| Batch {
        submissions,
        retention: Retention { max_finished, finished_after: None },
        ..empty(queue)
    };
    let new = || new_action(200);
    let other = refusing(&directory);
    // The hundredth is one of the two that have ended, and goes first of all in this transaction.
    let refused = store.commit(batch(Some(0), vec![new()])).await;
    assert!(matches!(refused, Err(StoreError::Io(_))), "{refused:?}");
    let last = ActionId::new(100).unwrap();
    assert!(store.record(queue, last).await.unwrap().is_some(), "it is still there");
    other.execute_batch("DROP TRIGGER refuse").unwrap();

    store.commit(batch(Some(0), Vec::new())).await.unwrap();
    assert!(store.record(queue, last).await.unwrap().is_none(), "now it has gone");
    let next = store.commit(batch(None, vec![new()])).await.unwrap().submissions;
    assert_eq!(next[0].as_ref().unwrap().id.get(), 101);
    store.close().await;
    let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    assert_eq!(store.open_queue("Work").await.unwrap().id, queue);
    let next = store.commit(batch(None, vec![new()])).await.unwrap().submissions;
    assert_eq!(next[0].as_ref().unwrap().id.get(), 102);
    store.close().await;
}

/// An id that was given out in a transaction that failed is another's in the next; so is what it was given.
#[tokio::test]
async fn what_was_given_in_vain_is_not_given_to_another() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    let queue = store.open_queue("Work").await.unwrap().id;
    let batch = |text: &str, claim| Batch { claim, ..with_note(queue, text) };
    let other = refusing(&directory);
    let refused = store.commit(batch("in vain", 0)).await;
    assert!(refused.map_or(true, |reply| reply.submissions[0].is_err()), "it was refused");
    other.execute_batch("DROP TRIGGER refuse").unwrap();

    // Too large to be kept beside what is on disk.
    let first = "x".repeat(2 << 20);
    store.commit(batch(&first, 0)).await.unwrap();
    let claimed = store.commit(batch("second", 1)).await.unwrap().claimed;
    let [claimed] = claimed.as_slice() else { panic!("{} were claimed", claimed.len()) };
    assert_eq!(claimed.id.get(), 1);
    assert!(claimed.parameters.get("Note") == Some(&first), "it has what another was given");
    store.close().await;
}

/// Every page of a listing.
async fn pages(store: &SqliteStore, queue: QueueId, query: &Query, start: u64) -> Vec<Page> {
    let (mut pages, mut next) = (Vec::new(), Some(Cursor::start(start)));
    while let Some(cursor) = next {
        let page = store.page(queue, query.clone(), cursor, 10.into()).await.unwrap();
        next = page.next;
        pages.push(page);
    }
    pages
}

/// What does not match and what is skipped counts, in every order and in both of its parts.
#[tokio::test]
async fn a_page_looks_at_so_many_rows() {
    let directory = tempfile::tempdir().unwrap();
    let (store, queue) = hundred(&directory).await;
    // No index has just these.
    let states = [State::Processing, State::Finished, State::Cancelled].into_iter().collect();
    let few = Query { states, descending: false, ..Query::default() };
    let listed = pages(&store, queue, &few, 0).await;
    let lengths: Vec<_> = listed.iter().map(|page| page.records.len()).collect();
    // The last row of the tenth page is the last of all, which only the next page can tell.
    assert_eq!(lengths, [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
    for sort in [SortKey::Queued, SortKey::Started, SortKey::Finished] {
        let all = Query { sort, ..Query::default() };
        for (start, wanted) in [(95, 5), (99, 1), (100, 0), (1_000, 0), (u64::MAX, 0)] {
            let listed = pages(&store, queue, &all, start).await;
            assert_eq!(listed.iter().map(|page| page.records.len()).sum::<usize>(), wanted);
            // By an index that tells all, many are skipped at once.
            let pages = if sort == SortKey::Queued { 1..=3 } else { 10..=12 };
            assert!(pages.contains(&listed.len()), "{sort:?}, {start}: {}", listed.len());
        }
    }
    store.close().await;
}

/// Whoever lists by a queue's handle gets what was asked for, in however many pages it was found.
#[tokio::test]
async fn a_listing_goes_on_where_a_page_ended() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    sqlite.limit_rows_per_page(2);
    let script = Script::always(nothing());
    let system =
        builder(directory.path()).store(Arc::new(sqlite)).queue("Work", threads(1), script);
    let system = system.start().await.unwrap();
    let work = system.queue("work").unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(submit(&work, "").await);
        end(&work, ids[ids.len() - 1]).await;
    }
    let mut listing = work.list(Query { descending: false, ..Query::default() }, 9);
    for wanted in [&ids[9..16], &ids[16..], &[]] {
        let page = listing.next_page(7).await.unwrap();
        assert_eq!(page.iter().map(|status| status.record.id).collect::<Vec<_>>(), wanted);
    }
    assert!(!listing.has_more());
    system.shutdown(SOON).await;
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

/// A batch of one action that is given this.
fn with_note(queue: QueueId, note: &str) -> Batch {
    let parameters = [("Note", note)].into_iter().collect();
    let new = NewAction::Given {
        not_before: None,
        parameters,
        priority: 0,
        key: None,
        queued_at: Timestamp(1),
        origin: None,
    };
    Batch { submissions: vec![new], ..empty(queue) }
}

#[tokio::test]
async fn whoever_reads_sees_all_that_was_acknowledged_and_the_log_stays_short() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    let queue = store.open_queue("Work").await.unwrap().id;
    let mut longest = 0;
    for number in 1..=100 {
        let reply = store.commit(with_note(queue, &"x".repeat(1 << 20))).await.unwrap();
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
