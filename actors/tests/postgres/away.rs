//! A database that dies, hangs, loses an answer, or is in the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::lifecycle::{Command, Ended, OnRestart};
use actiond_actors::store::conformance::StoreFactory as _;
use actiond_actors::store::postgres::{PostgresStore, Settings};
use actiond_actors::store::query::{Cursor, Query};
use actiond_actors::store::{
    Batch, BatchReply, Control, NewAction, QueueId, Rejected, Renewal, Store, StoreError,
};
use actiond_actors::{ActionId, Parameters, State, Timestamp};
use tokio_postgres::{Client, NoTls};

use crate::cluster::Cluster;
use crate::{Schema, programs};

/// Maximum time for what a test waits for.
const SOON: Duration = Duration::from_secs(60);

/// Maximum time for an answer while the database is away: two seconds, and some more on a machine that is busy.
const AT_ONCE: Duration = Duration::from_millis(2_500);

pub(crate) fn batch(queue: QueueId) -> Batch {
    Batch::new(queue, Timestamp(1_000_000))
}

pub(crate) fn new_action() -> NewAction {
    NewAction::Given {
        parameters: Parameters::from_iter([("Text", "hello")]),
        priority: 0,
        key: None,
        not_before: None,
        queued_at: Timestamp(1_000_000),
        origin: None,
    }
}

pub(crate) async fn submit(store: &dyn Store, queue: QueueId) -> Result<ActionId, StoreError> {
    let batch = Batch { submissions: vec![new_action()], ..batch(queue) };
    let mut reply: BatchReply = store.commit(batch).await?;
    Ok(reply.submissions.pop().unwrap().unwrap().id)
}

pub(crate) async fn client(schema: &Schema) -> Client {
    let (client, connection) = schema.config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let path = format!("SET search_path TO \"{}\"", schema.name.replace('"', "\"\""));
    client.batch_execute(&path).await.unwrap();
    client
}

/// Waits until a question has an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < SOON, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn open(schema: &Schema) -> (Arc<PostgresStore>, QueueId) {
    let settings = Settings { patience: Settings::PATIENCE, ..schema.settings() };
    let store = Arc::new(PostgresStore::open(settings).await.unwrap());
    let queue = store.open_queue("Fetch").await.unwrap().id;
    (store, queue)
}

/// Every call fails soon, as something that passes by itself.
async fn all_fail(store: &PostgresStore, queue: QueueId, id: ActionId) {
    let away = |error: &StoreError| {
        matches!(error, StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))
    };
    let since = Instant::now();
    let (submitted, record, history, page, renewed) = tokio::join!(
        submit(store, queue),
        store.record(queue, id),
        store.history(queue, id),
        store.page(queue, Query::default(), Cursor::start(0), 10.into()),
        store.renew(),
    );
    assert!(since.elapsed() < AT_ONCE, "it took {:?}", since.elapsed());
    assert!(away(&submitted.unwrap_err()));
    assert!(away(&record.unwrap_err()) && away(&history.unwrap_err()));
    assert!(away(&page.map(drop).unwrap_err()) && away(&renewed.unwrap_err()));
}

/// While the database is dead, calls fail soon; once it is back, the store goes on by itself, and nothing that was acknowledged
/// is lost.
#[tokio::test]
async fn a_database_that_dies_comes_back_with_all_that_was_acknowledged() {
    let Some(programs) = programs() else { return };
    let mut cluster = Cluster::own(&programs, &[]);
    let schema = Schema::of(&cluster);
    let (store, queue) = open(&schema).await;
    assert_eq!(store.durability(), "full");
    let owner = store.owner();
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        let submits = (0..40).map(|_| submit(&*store, queue));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cluster.kill();
        };
        let (answers, ()) =
            futures_util::future::join(futures_util::future::join_all(submits), kill).await;
        acknowledged.extend(answers.into_iter().filter_map(Result::ok));
        for _ in 0..3 {
            all_fail(&store, queue, ActionId::new(1).unwrap()).await;
        }
        cluster.start();
        let again = async || submit(&*store, queue).await.ok();
        acknowledged.push(until("a database that is there again", again).await);
    }
    for id in &acknowledged {
        let record = until("a read", async || store.record(queue, *id).await.ok()).await;
        assert_eq!(record.expect("it was acknowledged").state, State::Queued);
    }
    let renewed = until("a renewal", async || store.renew().await.ok()).await;
    assert_eq!((renewed, store.owner()), (Renewal::Holds, owner), "the lease is long");
    store.close().await;
}

/// A database that does not answer is no reason to wait, and it may go on later.
#[tokio::test]
async fn a_database_that_hangs_holds_nobody_up() {
    let Some(programs) = programs() else { return };
    let cluster = Cluster::own(&programs, &[]);
    let schema = Schema::of(&cluster);
    let (store, queue) = open(&schema).await;
    let id = submit(&*store, queue).await.unwrap();
    cluster.signal_all("-STOP");
    for _ in 0..2 {
        all_fail(&store, queue, id).await;
    }
    cluster.signal_all("-CONT");
    until("a database that goes on", async || submit(&*store, queue).await.ok()).await;
    let read = until("a read", async || store.record(queue, id).await.ok()).await;
    assert_eq!(read.unwrap().state, State::Queued);
}

/// The process of PostgreSQL's that serves one of a store's connections, stopped until this is dropped.
struct Stopped(String);

impl Stopped {
    async fn of(client: &Client, role: &str) -> Self {
        let sql = "SELECT pid::text FROM pg_stat_activity WHERE application_name LIKE '% ' || $1";
        let rows = client.query(sql, &[&role]).await.unwrap();
        assert_eq!(rows.len(), 1, "it has one connection that {role}");
        let stopped = Self(rows[0].get(0));
        stopped.signal("-STOP");
        stopped
    }

    fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args([signal, &self.0]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// One connection that does not answer is no database that does not: the read on it fails, and no other does.
#[tokio::test]
async fn one_connection_that_hangs_keeps_no_other_read_away() {
    let Some(programs) = programs() else { return };
    let cluster = Cluster::own(&programs, &[]);
    let schema = Schema::of(&cluster);
    let (store, queue) = open(&schema).await;
    let id = submit(&*store, queue).await.unwrap();
    store.record(queue, id).await.unwrap();
    let stopped = Stopped::of(&client(&schema).await, "reads").await;
    let since = Instant::now();
    let hangs = tokio::spawn(store.record(queue, id));
    // It has taken that connection by then, and the others make their own.
    until("its start", async || (since.elapsed() > Duration::from_millis(100)).then_some(())).await;
    let mut others = 0;
    while !hangs.is_finished() || others < 100 {
        store.history(queue, id).await.unwrap();
        others += 1;
    }
    assert!(matches!(hangs.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(store.is_available());
    store.record(queue, id).await.unwrap();
    drop(stopped);
}

/// Batches that wait behind one that gets no answer fail with it, and another connection takes the next ones, without that
/// anything is lost or written twice.
#[tokio::test]
async fn what_waits_for_a_connection_that_hangs_is_refused_with_it() {
    let Some(programs) = programs() else { return };
    let cluster = Cluster::own(&programs, &[]);
    let schema = Schema::of(&cluster);
    let (store, queue) = open(&schema).await;
    submit(&*store, queue).await.unwrap();
    let stopped = Stopped::of(&client(&schema).await, "writes").await;
    let submits = (0..8).map(|number| {
        let store = Arc::clone(&store);
        async move {
            tokio::time::sleep(Duration::from_millis(150 * number)).await;
            let since = Instant::now();
            let submitted = submit(&*store, queue).await;
            (submitted, since.elapsed())
        }
    });
    for (submitted, took) in futures_util::future::join_all(submits).await {
        assert!(matches!(submitted, Err(StoreError::Unavailable(_))), "{submitted:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert!(store.record(queue, ActionId::new(1).unwrap()).await.is_ok(), "reads go on");
    until("another connection", async || submit(&*store, queue).await.ok()).await;
    until("a store that is there", async || store.is_available().then_some(())).await;
    drop(stopped);
    let counts = store.queue_state(queue).await.unwrap().counts;
    assert_eq!(counts.of(State::Queued), 2, "what was refused was not written");
}

/// An answer to a commit that got lost is found out: what was committed is answered as such, with what it started.
#[tokio::test]
async fn a_lost_answer_to_a_commit_is_found_out() {
    let Some(programs) = programs() else { return };
    let cluster = Cluster::own(&programs, &[]);
    let schema = Schema::of(&cluster);
    let store = schema.open();
    let queue = store.open_queue("Fetch").await.unwrap().id;
    let waits = submit(&*store, queue).await.unwrap();
    let client = client(&schema).await;
    for claim in [1, 2] {
        // A standby that never answers: the commit is made, and its answer does not come.
        client
            .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            .await
            .unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        until("the setting", async || {
            let row = client.query_one("SHOW synchronous_standby_names", &[]).await.unwrap();
            (row.get::<_, &str>(0) == "nobody").then_some(())
        })
        .await;
        let lost = Batch { submissions: vec![new_action()], claim, ..batch(queue) };
        let reply = tokio::spawn(store.commit(lost));
        until("a commit that waits", async || {
            let waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            let row = client.query_opt(waits, &[]).await.unwrap()?;
            let pid: i32 = row.get(0);
            Some(client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap())
        })
        .await;
        client.batch_execute("SET synchronous_commit = local").await.unwrap();
        client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let reply = reply.await.unwrap().unwrap();
        let id = reply.submissions[0].as_ref().unwrap().id;
        let claimed: Vec<_> = reply.claimed.iter().map(|claimed| claimed.id).collect();
        // First the one that waited; then that of the first time, and the new one.
        assert_eq!(claimed.len(), claim);
        assert_eq!(claimed.contains(&waits), claim == 1);
        assert_eq!(claimed.contains(&id), claim == 2);
        assert_eq!(reply.counts, store.queue_state(queue).await.unwrap().counts);
        assert_eq!(store.renew().await, Ok(Renewal::Holds));
    }
}

/// A batch that another transaction is in the way of is tried again.
#[tokio::test]
async fn a_deadlock_is_no_error() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open();
    let queue = store.open_queue("Fetch").await.unwrap().id;
    let ids = [submit(&*store, queue).await.unwrap(), submit(&*store, queue).await.unwrap()];
    let client = client(&schema).await;
    let lock = |id: ActionId| format!("SELECT FROM live WHERE id = {id} FOR UPDATE");
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute(&lock(ids[1])).await.unwrap();
    let controls = ids.map(|id| Control::command(id, Command::Cancel)).to_vec();
    let cancelled = tokio::spawn(store.commit(Batch { controls, ..batch(queue) }));
    let other = crate::away::client(&schema).await;
    until("a batch that waits", async || {
        let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE OF l%'
             AND query LIKE '%unnest%'";
        other.query_opt(waits, &[]).await.unwrap()
    })
    .await;
    // Either of the two gives in.
    drop(client.batch_execute(&lock(ids[0])).await);
    client.batch_execute("ROLLBACK").await.unwrap();
    let reply = cancelled.await.unwrap().unwrap();
    assert!(reply.controls.iter().all(Result::is_ok), "{:?}", reply.controls);
    assert_eq!(reply.counts.of(State::Cancelled), 2);
}

/// A server of an older version than the schema changes nothing, and does not open it.
#[tokio::test]
async fn a_newer_schema_refuses_older_servers() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open();
    let queue = store.open_queue("Fetch").await.unwrap().id;
    let id = submit(&*store, queue).await.unwrap();
    let client = client(&schema).await;
    client.batch_execute("UPDATE meta SET version = version + 1").await.unwrap();
    let too_new = |error: &StoreError| matches!(error, StoreError::TooNew { .. });
    assert!(too_new(&submit(&*store, queue).await.unwrap_err()));
    let controls = vec![Control::command(id, Command::Cancel)];
    let cancelled = store.commit(Batch { controls, ..batch(queue) }).await;
    assert!(too_new(&cancelled.unwrap_err()));
    assert!(too_new(&store.renew().await.unwrap_err()));
    assert_eq!(store.record(queue, id).await.unwrap().unwrap().state, State::Queued);
    assert!(too_new(&PostgresStore::open(schema.settings()).await.unwrap_err()));
    client.batch_execute("UPDATE meta SET version = version - 1").await.unwrap();
    submit(&*store, queue).await.unwrap();
}

/// A schema that holds something else is left alone.
#[tokio::test]
async fn a_foreign_schema_is_left_alone() {
    let Some(schema) = Schema::new() else { return };
    let client = client(&schema).await;
    let name = schema.name.replace('"', "\"\"");
    let make = format!("CREATE SCHEMA \"{name}\"; CREATE TABLE \"{name}\".other (id int)");
    client.batch_execute(&make).await.unwrap();
    let error = PostgresStore::open(schema.settings()).await.unwrap_err();
    assert!(error.to_string().contains("not actiond's"), "{error}");
    client.batch_execute("DROP TABLE other").await.unwrap();
    PostgresStore::open(schema.settings()).await.unwrap();
}

/// Many servers that open an empty database at once find one schema.
#[tokio::test]
async fn one_of_many_makes_the_schema() {
    let Some(schema) = Schema::new() else { return };
    let opened = (0..8).map(|_| PostgresStore::open(schema.settings()));
    let stores = futures_util::future::join_all(opened).await;
    let mut owners: Vec<_> = stores.iter().map(|store| store.as_ref().unwrap().owner()).collect();
    owners.sort_unstable();
    owners.dedup();
    assert_eq!(owners.len(), 8);
}

/// A role that owns nothing but the schema is enough.
#[tokio::test]
async fn an_ordinary_role_is_enough() {
    let Some(mut schema) = Schema::new() else { return };
    let admin = client(&schema).await;
    let role = format!("plain{}", fastrand::u32(..));
    let name = schema.name.replace('"', "\"\"");
    let make = format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA \"{name}\" AUTHORIZATION {role}");
    admin.batch_execute(&make).await.unwrap();
    schema.config.user(&role);
    let store = schema.open();
    let queue = store.open_queue("Fetch").await.unwrap().id;
    submit(&*store, queue).await.unwrap();
    let controls = vec![Control::Recover {
        live: Vec::new(),
        recovery: OnRestart::Fail.into(),
        unbegun: false,
    }];
    let reply = store.commit(Batch { controls, claim: 1, ..batch(queue) }).await.unwrap();
    assert_eq!(reply.claimed.len(), 1);
    assert_eq!(store.renew().await, Ok(Renewal::Holds));
    store.close().await;
}

/// An action that is to start and can't be read is ended, and no other.
#[tokio::test]
async fn an_action_that_cannot_be_read_is_ended() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open();
    let queue = store.open_queue("Fetch").await.unwrap().id;
    let ids = [submit(&*store, queue).await.unwrap(), submit(&*store, queue).await.unwrap()];
    let client = client(&schema).await;
    let damage = "UPDATE live SET parameters = '{' WHERE id = $1";
    let number = i64::try_from(ids[0].get()).unwrap();
    client.execute(damage, &[&number]).await.unwrap();
    let reply = store.commit(Batch { claim: 2, ..batch(queue) }).await.unwrap();
    assert_eq!(reply.claimed.iter().map(|claimed| claimed.id).collect::<Vec<_>>(), [ids[1]]);
    assert_eq!(reply.unread[0].action.id, ids[0]);
    assert_eq!((reply.counts.of(State::Error), reply.counts.running()), (1, 1));
    let record = store.record(queue, ids[0]).await.unwrap().unwrap();
    assert_eq!(
        (record.state, record.error.as_deref()),
        (State::Error, Some(&*reply.unread[0].error))
    );
    let retried =
        Batch { controls: vec![Control::command(ids[0], Command::Retry)], ..batch(queue) };
    let reply = store.commit(retried).await.unwrap();
    assert!(!matches!(reply.controls[0], Err(Rejected::Unknown)));
}

/// If nobody can tell for some time whether a commit was made, the callers are told so. What it has started is put back
/// before anything else is written, and the server goes on as the same owner.
#[tokio::test]
async fn what_was_started_in_vain_is_put_back() {
    let Some(programs) = programs() else { return };
    let mut cluster = Cluster::own(&programs, &[]);
    let schema = Schema::of(&cluster);
    let (store, queue) = open(&schema).await;
    let (owner, waits) = (store.owner(), submit(&*store, queue).await.unwrap());
    let client = client(&schema).await;
    client.batch_execute("SET synchronous_commit = local").await.unwrap();
    let settings =
        ["ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"];
    for setting in settings {
        client.batch_execute(setting).await.unwrap();
    }
    until("the setting", async || {
        let row = client.query_one("SHOW synchronous_standby_names", &[]).await.unwrap();
        (row.get::<_, &str>(0) == "nobody").then_some(())
    })
    .await;
    let lost = Batch { submissions: vec![new_action()], claim: 1, ..batch(queue) };
    let reply = tokio::spawn(store.commit(lost));
    until("a commit that waits", async || {
        let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        client.query_opt(waits, &[]).await.unwrap()
    })
    .await;
    client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.unwrap();
    cluster.kill();
    let error = reply.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown(_)), "{error:?}");
    cluster.start();
    until("a database that is there again", async || submit(&*store, queue).await.ok()).await;
    let record = until("a read", async || store.record(queue, waits).await.ok()).await.unwrap();
    assert_eq!((record.state, record.attempt), (State::Queued, 1));
    let past = store.history(queue, waits).await.unwrap();
    assert_eq!(past.iter().map(|past| past.ended).collect::<Vec<_>>(), [Some(Ended::Released)]);
    assert_eq!(store.renew().await, Ok(Renewal::Holds));
    assert_eq!(store.owner(), owner);
    let reply = store.commit(Batch { claim: 9, ..batch(queue) }).await.unwrap();
    assert_eq!((reply.claimed[0].id, reply.claimed[0].attempt), (waits, 2));
    assert_eq!(reply.claimed[0].failures, 0);
    assert_eq!(reply.claimed.len(), 3, "the new one of the batch is there, too, once");
}
