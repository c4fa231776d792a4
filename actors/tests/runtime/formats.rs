//! Database files that an earlier version wrote: opened, they hold what they held, in today's format.

mod earlier;

use std::cmp::Reverse;
use std::time::Duration;

use actiond_actors::lifecycle::Command;
use actiond_actors::report::{Node, Report};
use actiond_actors::store::conformance::run;
use actiond_actors::store::query::{Cursor, Query, SortKey, States};
use actiond_actors::store::sqlite::{Durability, SqliteStore, check_copy, prepare_copy};
use actiond_actors::store::{
    Batch, Control, NewAction, QueueId, Record, Rejected, Retention, Store, StoreError, Submitted,
};
use actiond_actors::{ActionId, Parameters, State, Timestamp};
use rusqlite::{Connection, params};

/// The highest id that had been given out: of an action that is gone.
const LAST_ID: u64 = 200;
const QUEUES: [&str; 2] = ["Work", "Paused"];

struct Old {
    queue: QueueId,
    record: Record,
    parameters: Parameters,
    key: Option<String>,
}

/// Actions in every state, with every column filled and empty.
pub(crate) struct OldFile(Vec<Old>);

impl OldFile {
    /// With this many actions, at most [`LAST_ID`].
    pub(crate) fn new(actions: u64) -> Self {
        Self((1..=actions).map(old).collect())
    }

    /// Writes the file as the version of this format would have left it.
    pub(crate) fn write(&self, format: u8, to: &Connection) {
        to.execute_batch(earlier::format(format)).unwrap();
        to.execute_batch("BEGIN").unwrap();
        to.execute("UPDATE meta SET last_id = ?1", [LAST_ID]).unwrap();
        for (place, name) in QUEUES.into_iter().enumerate() {
            let queue = QueueId(i64::try_from(place).unwrap() + 1);
            let counts = format!("{:?}", self.counts(queue));
            to.execute(
                "INSERT INTO queue VALUES (?1, ?2, ?3, ?4)",
                params![queue.0, name, place, counts],
            )
            .unwrap();
        }
        for Old { queue, record, parameters, key } in &self.0 {
            let id = record.id.get();
            to.execute(
                "INSERT INTO action (id, queue, state, priority, attempt, queued_at, started_at, finished_at,
                 processing_ms, percent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    id,
                    queue.0,
                    record.state as u8,
                    record.priority,
                    record.attempt,
                    record.queued_at.0,
                    record.started_at.map(|time| time.0),
                    record.finished_at.map(|time| time.0),
                    record.processing_ms,
                    record.percent
                ],
            )
            .unwrap();
            let parameters = serde_json::to_string(parameters).unwrap();
            to.execute("INSERT INTO parameters VALUES (?1, ?2, ?3)", params![id, key, parameters])
                .unwrap();
            if let Some(key) = key {
                to.execute(
                    "INSERT INTO submission_key VALUES (?1, ?2, ?3)",
                    params![queue.0, key, id],
                )
                .unwrap();
            }
            let report =
                (!record.report.is_empty()).then(|| serde_json::to_string(&record.report).unwrap());
            if record.error.is_some() || report.is_some() {
                let outcome = match format {
                    1 => "INSERT INTO outcome VALUES (?1, ?2, ?3)",
                    _ => "UPDATE action SET error = ?2, report = ?3 WHERE id = ?1",
                };
                to.execute(outcome, params![id, record.error, report]).unwrap();
            }
        }
        to.execute_batch("COMMIT").unwrap();
    }

    fn of(&self, queue: QueueId) -> impl Iterator<Item = &Old> {
        self.0.iter().filter(move |old| old.queue == queue)
    }

    fn counts(&self, queue: QueueId) -> [u64; State::ALL.len()] {
        let mut counts = [0; State::ALL.len()];
        self.of(queue).for_each(|old| counts[old.record.state as usize] += 1);
        counts
    }

    /// The ids of a listing.
    fn list(&self, queue: QueueId, query: &Query) -> Vec<ActionId> {
        let mut listed: Vec<_> = self
            .of(queue)
            .map(|old| &old.record)
            .filter(|record| query.matches(record, None))
            .collect();
        listed.sort_by(|a, b| {
            let time = |record: &Record| query.sort.time_of(record).unwrap_or(record.queued_at);
            let order = (time(a), a.id).cmp(&(time(b), b.id));
            let lacks = |record| query.sort.time_of(record).is_none();
            lacks(a).cmp(&lacks(b)).then(if query.descending { order.reverse() } else { order })
        });
        listed.into_iter().map(|record| record.id).collect()
    }

    /// Compares what can be read with what was written: each action, and these lists of them.
    pub(crate) async fn check(&self, store: &dyn Store, lists: &[Query]) -> Result<(), StoreError> {
        for (place, name) in QUEUES.into_iter().enumerate() {
            let state = store.open_queue(name).await?;
            let counts = State::ALL.map(|word| state.counts.of(word));
            assert_eq!((counts, state.paused), (self.counts(state.id), place == 1));
            for Old { record, parameters, .. } in self.of(state.id) {
                let read = store.record(state.id, record.id).await?.unwrap();
                assert_eq!(Record { position: None, ..read }, *record);
                let given = store.parameters(state.id, record.id).await?;
                assert_eq!(given.as_ref(), Some(parameters));
            }
            for query in lists {
                let page =
                    store.page(state.id, query.clone(), Cursor::start(0), 1_000.into()).await?;
                let listed: Vec<_> = page.records.iter().map(|record| record.id).collect();
                assert_eq!(listed, self.list(state.id, query), "{query:?}");
            }
        }
        Ok(())
    }

    /// Goes on where the earlier version stopped: keys, claims, ids, and what it did not know.
    async fn go_on(&self, store: &dyn Store) {
        let queue = store.open_queue(QUEUES[0]).await.unwrap().id;
        let keyed = self.of(queue).find(|old| old.key.is_some()).unwrap();
        let new = |key: Option<&String>, parameters: &Parameters| NewAction::Given {
            not_before: None,
            parameters: parameters.clone(),
            // After all that waits.
            priority: -100,
            key: key.map(|key| key.as_str().into()),
            queued_at: Timestamp(9_000),
            origin: None,
        };
        let mut next: Vec<_> =
            self.of(queue).filter(|old| old.record.state == State::Queued).collect();
        next.sort_by_key(|old| (Reverse(old.record.priority), old.record.id));
        assert!(next.len() > 5, "{} wait", next.len());
        let batch = Batch {
            submissions: vec![
                new(keyed.key.as_ref(), &keyed.parameters),
                new(None, &Parameters::default()),
                new(keyed.key.as_ref(), &Parameters::default()),
            ],
            claim: next.len(),
            retention: Retention { max_finished: Some(3), finished_after: None },
            ..Batch::new(queue, Timestamp(9_000))
        };
        let reply = store.commit(batch).await.unwrap();
        let Record { id, queued_at, .. } = keyed.record;
        assert_eq!(reply.submissions[0], Ok(Submitted { id, queued_at, taken_by: None }));
        assert_eq!(reply.submissions[2], Err(Rejected::KeyTaken), "it was given something else");
        let new = reply.submissions[1].as_ref().unwrap().id;
        assert_eq!(new.get(), LAST_ID + 1);
        for (claimed, old) in reply.claimed.iter().zip(&next) {
            assert_eq!((claimed.id, &claimed.parameters), (old.record.id, &old.parameters));
        }
        assert_eq!(reply.claimed.len(), next.len());
        assert_eq!(reply.counts.finished(), 3);

        // The last of them is among those that were kept.
        let failed = self.of(queue).filter(|old| old.record.state == State::Error);
        let failed = failed.max_by_key(|old| (old.record.finished_at, old.record.id)).unwrap();
        let (id, error) = (failed.record.id, failed.record.error.clone());
        let later = NewAction::Given {
            parameters: Parameters::default(),
            priority: 0,
            key: None,
            not_before: Some(Timestamp(9_500)),
            queued_at: Timestamp(9_000),
            origin: None,
        };
        let batch = Batch {
            controls: vec![Control::command(id, Command::Retry)],
            submissions: vec![later],
            ..Batch::new(queue, Timestamp(9_000))
        };
        let reply = store.commit(batch).await.unwrap();
        assert!(reply.controls[0].is_ok(), "{reply:?}");
        assert_eq!(reply.next_due, Some(Duration::from_millis(500)));
        let again = store.record(queue, id).await.unwrap().unwrap();
        assert_eq!((again.state, &again.error), (State::Queued, &error));
        let history = store.history(queue, id).await.unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!((history[0].attempt, &history[0].error), (1, &error));
    }
}

fn old(number: u64) -> Old {
    let state = State::ALL[usize::try_from(number / 2 % 8).unwrap()];
    let at = i64::try_from(number * 37 % 101).unwrap() * 10;
    let ran = !matches!(state, State::Queued | State::Cancelled);
    let report: Report = match number % 5 {
        _ if !state.is_final() || !ran => Vec::new(),
        0 => Vec::new(),
        1 => vec![Node::text("large", "x".repeat(20_000))],
        _ => vec![Node::text("done", format!("number {number} \"\\\0"))],
    };
    let id = ActionId::new(number).unwrap();
    let priority = [0, 0, 0, 7, -7][usize::try_from(number % 5).unwrap()];
    let record = Record {
        state,
        attempt: u32::from(ran),
        started_at: ran.then_some(Timestamp(3_000 + at)),
        finished_at: state.is_final().then_some(Timestamp(5_000 + at)),
        processing_ms: if state.is_final() { 12 } else { 0 },
        percent: if state == State::Finished { 100.0 } else { 0.0 },
        error: (state == State::Error).then(|| format!("error of {number}")),
        report,
        ..Record::queued(id, priority, Timestamp(1_000 + at))
    };
    Old {
        queue: QueueId(if number.is_multiple_of(2) { 1 } else { 2 }),
        record,
        parameters: Parameters::from_iter([("Number", number.to_string())]),
        key: number.is_multiple_of(3).then(|| format!("key {number}")),
    }
}

/// Every order, with filters for every index.
fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    let states = State::ALL.into_iter().map(|state| States::NONE.with(state));
    let ended = State::ALL.into_iter().filter(|state| state.is_final()).collect();
    for states in states.chain([States::ALL, ended]) {
        for (min_priority, max_priority) in
            [(None, None), (Some(1), None), (None, Some(-1)), (Some(0), None), (Some(-9), Some(3))]
        {
            for sort in [SortKey::Queued, SortKey::Started, SortKey::Finished] {
                for descending in [true, false] {
                    queries.push(Query {
                        states,
                        min_priority,
                        max_priority,
                        sort,
                        descending,
                        ..Query::default()
                    });
                }
            }
        }
    }
    queries
}

/// The format; the tables and indexes, with the text that made those of the actions; and the columns of the actions.
type Schema = (i64, Vec<(String, Option<String>)>, Vec<(String, String, bool, Option<String>)>);

fn schema(of: &Connection) -> Schema {
    let version = of.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let mut statement = of
        .prepare(
            "SELECT name, CASE WHEN tbl_name = 'action' AND type = 'index' THEN sql END
             FROM sqlite_schema ORDER BY name",
        )
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows = rows.collect::<Result<_, _>>().unwrap();
    let mut statement = of
        .prepare("SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('action')")
        .unwrap();
    let columns = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap();
    (version, rows, columns.collect::<Result<_, _>>().unwrap())
}

fn is_brought_over(format: u8) {
    let (directory, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let database = directory.path().join("actions.db");
    let file = OldFile::new(150);
    file.write(format, &Connection::open(&database).unwrap());
    run(async {
        // The second time there is nothing to be done.
        for _ in 0..2 {
            let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
            file.check(&store, &queries()).await.unwrap();
            store.close().await;
        }
        let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
        file.go_on(&store).await;
        store.close().await;
        SqliteStore::open(fresh.path(), Durability::Normal).unwrap().close().await;
    });
    let brought = Connection::open(&database).unwrap();
    let new = Connection::open(fresh.path().join("actions.db")).unwrap();
    assert_eq!(schema(&brought), schema(&new));
    let check: String = brought.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_file_of_format_1_is_brought_over() {
    is_brought_over(1);
}

#[test]
fn a_file_of_format_2_is_brought_over() {
    is_brought_over(2);
}

#[test]
fn a_file_of_format_3_is_brought_over() {
    is_brought_over(3);
}

/// A file that lacks one of its format's tables is not ours.
#[test]
fn a_file_that_lacks_a_table_is_refused() {
    for (format, version, missing) in [
        (1, 1, "outcome"),
        (1, 1, "parameters"),
        (2, 2, "parameters"),
        (3, 3, "history"),
        // Format 3 has one table more than format 2, and format 4 two more.
        (2, 3, ""),
        (3, 4, ""),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("actions.db");
        let other = Connection::open(&database).unwrap();
        other
            .execute_batch(
                &earlier::format(format).replace("journal_mode = WAL", "journal_mode = DELETE"),
            )
            .unwrap();
        if !missing.is_empty() {
            other.execute_batch(&format!("DROP TABLE {missing}")).unwrap();
        }
        other.pragma_update(None, "user_version", version).unwrap();
        drop(other);
        let before = std::fs::read(&database).unwrap();
        let error = SqliteStore::open(directory.path(), Durability::Normal).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{version}, {missing}: {error:?}");
        assert!(std::fs::read(&database).unwrap() == before, "the file was changed");
    }
}

/// A copy of any earlier format passes the check of what takes the place of a database, and is one file of today's format then.
#[test]
fn a_copy_of_an_earlier_format_is_prepared() {
    for format in [1, 2, 3] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("actions.db");
        let file = OldFile::new(150);
        file.write(format, &Connection::open(&path).unwrap());
        let content = prepare_copy(&path).unwrap();
        assert_eq!(content.actions, 150);
        assert_eq!(check_copy(&path), Ok(content));
        assert_eq!(directory.path().read_dir().unwrap().count(), 1, "it is one file");
        run(async {
            let store = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
            file.check(&store, &queries()).await.unwrap();
            // What a server leaves passes, too.
            file.go_on(&store).await;
            store.close().await;
        });
        let there = prepare_copy(&path).unwrap().actions;
        assert!(there < 150, "old ones were deleted: {there}");
    }
}
