//! Lists of a database of which some pages are damaged: what can be read is listed, in every order, and that something
//! could not be is said.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use actiond_actors::report::{Node, Written};
use actiond_actors::store::query::{Cursor, Query, SortKey};
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{QueueId, Record, Store, StoreError};
use actiond_actors::{ActionId, State};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// How many actions there are; every third has ended, every fiftieth with a result that takes pages of its own.
const ACTIONS: u64 = 2_000;
const PAGE: usize = 4_096;

struct Damaged {
    directory: TempDir,
    queue: QueueId,
}

fn is_large(id: u64) -> bool {
    id.is_multiple_of(150)
}

impl Damaged {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
        let queue = store.open_queue("Work").await.unwrap().id;
        store.close().await;
        let this = Self { directory, queue };
        let database = Connection::open(this.file()).unwrap();
        let large = Written::of(&[Node::text("large", "x".repeat(3 * PAGE))]).unwrap();
        database.execute_batch("BEGIN").unwrap();
        for id in 1..=ACTIONS {
            let ended = id.is_multiple_of(3);
            // Of those that wait some may not start yet: these have a number of their own in the file.
            let deferred = !ended && id.is_multiple_of(5);
            let state = if ended { State::Finished } else { State::Queued } as u8;
            let (state, not_before) = if deferred { (8, Some(9_000_000)) } else { (state, None) };
            // Neither order is that of the ids.
            let started = ended.then_some(100_000 - id);
            let finished = ended.then_some(200_000 + (id * 7) % 1_000);
            let report = if is_large(id) { large.as_str() } else { None };
            database
                .prepare_cached(
                    "INSERT INTO action (id, queue, state, priority, attempt, queued_at, started_at, finished_at,
                     processing_ms, percent, report, not_before)
                     VALUES (?1, ?2, ?3, 0, 1, ?4, ?5, ?6, 1, 100, ?7, ?8)",
                )
                .unwrap()
                .execute(params![
                    id,
                    queue.0,
                    state,
                    1_000 + id,
                    started,
                    finished,
                    report,
                    not_before
                ])
                .unwrap();
        }
        database.execute_batch("COMMIT").unwrap();
        this
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("actions.db")
    }

    /// Overwrites some of the pages of this kind of a table or an index: every one that is so many behind the last, from
    /// this one on.
    fn damage(&self, tree: &str, kind: &str, first: usize, step: usize) {
        let pages: Vec<usize> = Connection::open(self.file())
            .unwrap()
            .prepare("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 ORDER BY path")
            .unwrap()
            .query_map([tree, kind], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        // A server that starts needs the last action of all.
        let pages = &pages[..pages.len() - usize::from(tree == "action")];
        assert!(pages.len() > first, "{tree} has {} {kind} pages", pages.len());
        self.overwrite(pages.iter().skip(first).step_by(step));
    }

    fn overwrite<'p>(&self, pages: impl Iterator<Item = &'p usize>) {
        let file = fs::File::options().write(true).open(self.file()).unwrap();
        for page in pages {
            file.write_all_at(&[0xAA; PAGE], ((page - 1) * PAGE) as u64).unwrap();
        }
    }

    /// Which actions can be read one by one.
    fn readable(&self) -> BTreeSet<u64> {
        let database = Connection::open(self.file()).unwrap();
        let mut one = database.prepare("SELECT state FROM action WHERE id = ?1").unwrap();
        (1..=ACTIONS).filter(|id| one.query_row([id], |row| row.get::<_, u8>(0)).is_ok()).collect()
    }

    /// Lists all of it, by pages that look at so many rows.
    async fn list(
        &self,
        query: &Query,
        start: u64,
        looks: u64,
    ) -> (Vec<Record>, Option<StoreError>) {
        let store = SqliteStore::open(self.directory.path(), Durability::Normal).unwrap();
        store.limit_rows_per_page(looks);
        let (mut listed, mut damage) = (Vec::new(), None);
        let mut next = Some(Cursor::start(start));
        while let Some(cursor) = next {
            let page = store.page(self.queue, query.clone(), cursor, 100.into()).await.unwrap();
            assert_ne!(page.next, next, "a page that comes no nearer to the end");
            listed.extend(page.records);
            damage = damage.or(page.damage);
            next = page.next;
        }
        store.close().await;
        (listed, damage)
    }
}

fn ids(listed: &[Record]) -> Vec<u64> {
    listed.iter().map(|record| record.id.get()).collect()
}

/// Every order, in both directions.
fn orders() -> impl Iterator<Item = Query> {
    [SortKey::Queued, SortKey::Started, SortKey::Finished].into_iter().flat_map(|sort| {
        [false, true].map(|descending| Query { sort, descending, ..Query::default() })
    })
}

/// Lists in every order; each action that can be read must be there once.
async fn lists_just(damaged: &Damaged, readable: &BTreeSet<u64>) {
    for query in orders() {
        for looks in [10_000, 150] {
            let (listed, damage) = damaged.list(&query, 0, looks).await;
            let ids = ids(&listed);
            assert_eq!(ids.len(), readable.len(), "{query:?}");
            assert_eq!(&ids.into_iter().collect::<BTreeSet<_>>(), readable, "{query:?}");
            assert!(matches!(damage, Some(StoreError::Corrupt { .. })), "{query:?}: {damage:?}");
        }
    }
}

#[tokio::test]
async fn actions_whose_page_is_damaged_are_passed_over() {
    let damaged = Damaged::new().await;
    damaged.damage("action", "leaf", 3, 9);
    let readable = damaged.readable();
    assert!((500..1_900).contains(&readable.len()), "{}", readable.len());
    lists_just(&damaged, &readable).await;
}

#[tokio::test]
async fn a_damaged_index_hides_no_action() {
    for (tree, first) in [("by_queued", 2), ("by_started", 1), ("by_finished", 1)] {
        let damaged = Damaged::new().await;
        damaged.damage(tree, "leaf", first, 1_000);
        let all: BTreeSet<u64> = (1..=ACTIONS).collect();
        let mut told = 0;
        for query in orders() {
            let (listed, damage) = damaged.list(&query, 0, 150).await;
            let ids = ids(&listed);
            assert_eq!(ids.len(), all.len(), "{tree}, {query:?}");
            assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), all, "{tree}, {query:?}");
            told += usize::from(damage.is_some());
        }
        assert!(told >= 2, "{tree}: both directions of one order at least go by it: {told}");
    }
}

/// Both at once, so that nothing but ids is left to go by.
#[tokio::test]
async fn actions_and_index_may_be_damaged_at_once() {
    for first in [0, 1] {
        let damaged = Damaged::new().await;
        damaged.damage("action", "leaf", first, 2);
        damaged.damage("by_queued", "leaf", first, 2);
        let readable = damaged.readable();
        assert!((100..1_900).contains(&readable.len()), "{}", readable.len());
        for descending in [true, false] {
            let query = Query { descending, ..Query::default() };
            let (listed, damage) = damaged.list(&query, 0, 10_000).await;
            let mut expected: Vec<_> = readable.iter().copied().collect();
            if descending {
                expected.reverse();
            }
            assert_eq!(ids(&listed), expected, "{query:?}");
            assert!(damage.is_some());
        }
    }
}

/// What is skipped and what is filtered counts where actions are found one by one, too.
#[tokio::test]
async fn filters_and_starts_are_kept_past_damage() {
    let damaged = Damaged::new().await;
    damaged.damage("by_queued", "leaf", 1, 1);
    let finished = Query {
        states: [State::Finished].into_iter().collect(),
        descending: false,
        ..Query::default()
    };
    let expected: Vec<u64> = (1..=ACTIONS).filter(|id| id.is_multiple_of(3)).collect();
    for start in [0_usize, 5, 400] {
        let (listed, _) = damaged.list(&finished, start as u64, 10_000).await;
        assert_eq!(ids(&listed), expected[start..], "{start}");
        let all = Query { descending: false, ..Query::default() };
        let (listed, damage) = damaged.list(&all, start as u64, 10_000).await;
        assert_eq!(ids(&listed), (1 + start as u64..=ACTIONS).collect::<Vec<_>>(), "{start}");
        assert!(damage.is_some());
    }
}

/// All but the result can be read then, and is listed in its place.
#[tokio::test]
async fn a_damaged_result_is_said_where_it_would_stand() {
    let damaged = Damaged::new().await;
    damaged.damage("action", "overflow", 0, 2);
    let (listed, damage) = damaged.list(&Query::default(), 0, 10_000).await;
    assert_eq!(ids(&listed), (1..=ACTIONS).rev().collect::<Vec<_>>());
    assert_eq!(damage, None, "nothing is missing");
    let (mut whole, mut broken) = (0, 0);
    for record in listed.iter().filter(|record| is_large(record.id.get())) {
        assert_eq!(record.state, State::Finished);
        match &record.error {
            None => {
                assert_eq!(record.report.len(), 1);
                whole += 1;
            }
            Some(error) => {
                assert!(error.contains("can't be read"), "{error}");
                assert_eq!(record.report, []);
                broken += 1;
            }
        }
    }
    assert_eq!(whole + broken, ACTIONS / 150);
    assert!(broken > 1, "{broken}");
    let others = listed.iter().filter(|record| !is_large(record.id.get()));
    assert!(others.into_iter().all(|record| record.error.is_none()));
    // A single read is not asked for the rest, and says what is wrong.
    let store = SqliteStore::open(damaged.directory.path(), Durability::Normal).unwrap();
    let one = listed.iter().find(|record| record.error.is_some()).unwrap().id;
    let error = store.record(damaged.queue, one).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let fine = ActionId::new(1).unwrap();
    assert!(store.record(damaged.queue, fine).await.unwrap().is_some());
    store.close().await;
}
