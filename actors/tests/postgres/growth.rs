//! The rows that the database has to read do not grow with what there is: neither with what waits, nor with what it can't remove.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::lifecycle::{Came, Ended};
use actiond_actors::report::Written;
use actiond_actors::store::conformance::StoreFactory as _;
use actiond_actors::store::{AttemptEnd, Batch, Claimed, Control, NewAction, QueueId, Store};
use tokio_postgres::Client;

use crate::Schema;
use crate::away::{batch, client, new_action, until};

fn end(claimed: &Claimed, ended: Ended) -> Control {
    Control::End(Arc::new(AttemptEnd {
        id: claimed.id,
        attempt: claimed.attempt,
        ended,
        came: Came::ByItself,
        error: None,
        retry_after: None,
        worker: None,
        report: Written::default(),
        percent: 0.0,
        processing_ms: 0,
    }))
}

/// Submits, and starts as many as there are slots.
async fn commit(store: &dyn Store, batch: Batch) -> Vec<Claimed> {
    store.commit(batch).await.unwrap().claimed
}

/// Number of rows of a table that were found by its indexes, and of searches, as of sessions that have ended.
async fn fetched(admin: &Client, table: &str) -> (i64, i64) {
    let sql = "SELECT coalesce(idx_tup_fetch, 0), coalesce(idx_scan, 0) FROM pg_stat_user_tables
        WHERE relid = to_regclass($1::text)";
    let row = admin.query_one(sql, &[&table]).await.unwrap();
    (row.get(0), row.get(1))
}

/// The plans of a database that was idle do not read all that comes to wait afterwards.
#[tokio::test]
async fn plans_made_for_empty_tables_do_not_read_all_of_full_ones() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open();
    let queue = store.open_queue("Fetch").await.unwrap().id;
    let admin = client(&schema).await;
    for table in ["live", "done", "history", "submission_key", "tally", "batch", "server"] {
        admin.batch_execute(&format!("VACUUM ANALYZE {table}")).await.unwrap();
    }
    const ROUNDS: i64 = 20;
    const WAITING: usize = 4_000;
    // The plans are made now.
    for _ in 0..2 {
        let starts = Batch { submissions: vec![new_action(); 4], claim: 2, ..batch(queue) };
        let started = commit(&*store, starts).await;
        let ends = started.iter().map(|claimed| end(claimed, Ended::Finished)).collect();
        commit(&*store, Batch { controls: ends, ..batch(queue) }).await;
    }
    for _ in 0..WAITING / 500 {
        let submits = Batch { submissions: vec![new_action(); 500], ..batch(queue) };
        commit(&*store, submits).await;
    }
    for _ in 0..ROUNDS {
        let started = commit(&*store, Batch { claim: 2, ..batch(queue) }).await;
        assert_eq!(started.len(), 2);
        let ends = started.iter().map(|claimed| end(claimed, Ended::Finished)).collect();
        commit(&*store, Batch { controls: ends, ..batch(queue) }).await;
    }
    store.close().await;
    let rows = until("the figures of the store's sessions", async || {
        let (rows, searches) = fetched(&admin, "live").await;
        (searches >= 4 * ROUNDS).then_some(rows)
    })
    .await;
    assert!(
        rows < WAITING as i64,
        "{rows} rows read to start and end {ROUNDS} times two of {WAITING}"
    );
}

/// Transactions until a snapshot counts as old, and the time.
const MANY: usize = 1_100;
const OLD: Duration = Duration::from_secs(8);

/// While somebody holds an old snapshot, what has a higher priority starts first all the same, and what comes to stand before all
/// others by another server's doing starts soon.
#[tokio::test]
async fn an_old_snapshot_keeps_nothing_from_starting() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (schema.open(), schema.open());
    let queue: QueueId = a.open_queue("Fetch").await.unwrap().id;
    b.open_queue("Fetch").await.unwrap();
    let admin = client(&schema).await;
    admin
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM live")
        .await
        .unwrap();
    let starts = Batch { submissions: vec![new_action()], claim: 1, ..batch(queue) };
    let first = commit(&*b, starts).await.remove(0);
    let since = Instant::now();
    let mut transactions = 0;
    commit(&*a, Batch { submissions: vec![new_action(); 10], ..batch(queue) }).await;
    while transactions < MANY || since.elapsed() < OLD {
        let started = commit(&*a, Batch { claim: 10, ..batch(queue) }).await;
        let controls: Vec<Control> =
            started.iter().map(|claimed| end(claimed, Ended::Finished)).collect();
        let submissions = controls.iter().map(|_| new_action()).collect();
        commit(&*a, Batch { controls, submissions, ..batch(queue) }).await;
        transactions += 2;
    }
    let NewAction::Given { parameters, key, not_before, queued_at, .. } = new_action() else {
        unreachable!()
    };
    let high =
        NewAction::Given { parameters, priority: 7, key, not_before, queued_at, origin: None };
    commit(&*b, Batch { submissions: vec![high], ..batch(queue) }).await;
    let started = commit(&*a, Batch { claim: 1, ..batch(queue) }).await;
    assert_eq!(started[0].priority, 7);
    // It waits again, before all others.
    commit(&*b, Batch { controls: vec![end(&first, Ended::Released)], ..batch(queue) }).await;
    until("the action that was put back", async || {
        let started = commit(&*a, Batch { claim: 1, ..batch(queue) }).await;
        commit(&*a, Batch { submissions: vec![new_action()], ..batch(queue) }).await;
        started.iter().any(|claimed| claimed.id == first.id).then_some(())
    })
    .await;
    admin.batch_execute("COMMIT").await.unwrap();
}
