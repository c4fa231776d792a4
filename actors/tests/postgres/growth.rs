//! The rows that the database has to read do not grow with what there is: neither with what waits, nor with what it can't remove.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::Timestamp;
use actiond_actors::lifecycle::{Came, Ended};
use actiond_actors::report::Written;
use actiond_actors::store::conformance::StoreFactory as _;
use actiond_actors::store::query::PageLimit;
use actiond_actors::store::{
    AttemptEnd, Batch, Claimed, Control, EventId, EventKind, EventWants, FailedEvent, NewAction,
    OutboxChange, QueueId, Store,
};
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

/// Nor do those of events read all that wait, whoever reads, settles or writes some.
#[tokio::test]
async fn events_that_wait_are_not_read_for_others() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open();
    let queue = store.open_queue("Fetch").await.unwrap().id;
    let handler = store.open_handler("Tell").await.unwrap();
    let admin = client(&schema).await;
    for table in ["live", "done", "event", "failed_event", "handler"] {
        admin.batch_execute(&format!("VACUUM ANALYZE {table}")).await.unwrap();
    }
    const ROUNDS: i64 = 20;
    const WAITING: usize = 3_000;
    let mut wants = EventWants::default();
    EventKind::ALL.into_iter().for_each(|kind| wants.add(kind, handler));
    let wants = Some(Arc::new(wants));
    let page = PageLimit { actions: 10, bytes: 1_000_000 };
    let round = async |submissions: usize| {
        let submissions = vec![new_action(); submissions];
        let starts =
            Batch { claim: submissions.len(), submissions, wants: wants.clone(), ..batch(queue) };
        let started = commit(&*store, starts).await;
        let waits = store.events(handler, None, Vec::new(), page).await.unwrap().events;
        let ids: Vec<EventId> = waits.iter().map(|event| event.id).collect();
        let except = ids.iter().copied().take(5).collect();
        assert!(store.events(handler, None, except, page).await.unwrap().events.len() > 4);
        let failed = ids.iter().take(1).map(|id| FailedEvent {
            id: *id,
            at: Timestamp(1),
            attempts: 1,
            error: "no".to_owned(),
        });
        let settle = OutboxChange::Settle { failed: failed.collect(), delivered: ids[1..].into() };
        let mut controls: Vec<Control> =
            started.iter().map(|claimed| end(claimed, Ended::Finished)).collect();
        controls.push(Control::Outbox { handler, change: settle });
        controls.push(Control::Outbox { handler, change: OutboxChange::Retry });
        controls.push(Control::Outbox { handler, change: OutboxChange::Discard });
        commit(&*store, Batch { controls, wants: wants.clone(), ..batch(queue) }).await;
    };
    // The plans are made now.
    round(10).await;
    for _ in 0..WAITING / 500 {
        round(250).await;
    }
    for _ in 0..ROUNDS {
        round(5).await;
    }
    store.close().await;
    let rows = until("the figures of the store's sessions", async || {
        let (rows, searches) = fetched(&admin, "event").await;
        (searches >= 4 * ROUNDS).then_some(rows)
    })
    .await;
    assert!(rows < WAITING as i64, "{rows} events read for {ROUNDS} times ten of {WAITING}");
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
