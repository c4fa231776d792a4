//! Several servers on one schema: notices, leases in real time, and what is left of servers that are no more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::lifecycle::{Command, OnRestart};
use actiond_actors::store::conformance::StoreFactory as _;
use actiond_actors::store::postgres::{PostgresStore, Settings};
use actiond_actors::store::{Batch, Control, Notice, QueueId, Renewal, Store};
use actiond_actors::{ActionId, State};

use crate::Schema;
use crate::away::{batch, client, new_action, submit, until};
use crate::cluster::Cluster;

/// The notices that a store has passed on.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Notice>>>);

impl Heard {
    fn by(store: &dyn Store) -> Self {
        let heard = Self::default();
        let sink = Arc::clone(&heard.0);
        store.notices(Arc::new(move |notice| sink.lock().unwrap().push(notice)));
        heard
    }

    async fn until(&self, notice: Notice) {
        until(&format!("{notice:?}"), async || {
            self.0.lock().unwrap().contains(&notice).then_some(())
        })
        .await;
    }

    fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Changes by one server wake the others: for work, ends and pauses; not the server itself, and not for what waited before.
#[tokio::test]
async fn others_hear_of_work_ends_and_pauses() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (schema.open(), schema.open());
    let queue = a.open_queue("Fetch").await.unwrap().id;
    b.open_queue("fetch").await.unwrap();
    let (by_a, by_b) = (Heard::by(&*a), Heard::by(&*b));
    let id = submit(&*a, queue).await.unwrap();
    by_b.until(Notice::Work(queue)).await;
    let ended = Batch { controls: vec![Control::command(id, Command::Cancel)], ..batch(queue) };
    a.commit(ended).await.unwrap();
    by_b.until(Notice::Ended { queue, id }).await;
    let pauses = [(Control::PauseQueue { supported: true }, true), (Control::ResumeQueue, false)];
    for (control, paused) in pauses {
        a.commit(Batch { controls: vec![control], ..batch(queue) }).await.unwrap();
        by_b.until(Notice::Paused { queue, paused }).await;
    }
    by_b.take();
    // What starts at once is nobody else's.
    let starts = Batch { submissions: vec![new_action()], claim: 1, ..batch(queue) };
    assert_eq!(a.commit(starts).await.unwrap().claimed.len(), 1);
    submit(&*b, queue).await.unwrap();
    by_a.until(Notice::Work(queue)).await;
    // Neither that it waits on.
    a.commit(batch(queue)).await.unwrap();
    a.commit(Batch { controls: vec![Control::PauseQueue { supported: true }], ..batch(queue) })
        .await
        .unwrap();
    by_b.until(Notice::Paused { queue, paused: true }).await;
    assert!(!by_b.take().contains(&Notice::Work(queue)));
    assert_eq!(by_a.take(), [Notice::Work(queue)]);
}

/// A connection that listens and dies is made again, and every queue looks for what it may have missed.
#[tokio::test]
async fn who_was_deaf_looks_and_hears_again() {
    let Some(mut schema) = Schema::new() else { return };
    let b = schema.open();
    let name = format!("test {}", fastrand::u64(..));
    schema.config.application_name(&name);
    let a = schema.open();
    let queues = [a.open_queue("A").await.unwrap().id, a.open_queue("B").await.unwrap().id];
    let heard = Heard::by(&*a);
    let admin = client(&schema).await;
    let listens = "SELECT pid FROM pg_stat_activity WHERE application_name = $1";
    let pid: i32 = admin.query_one(listens, &[&format!("{name} listens")]).await.unwrap().get(0);
    admin.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    for queue in queues {
        heard.until(Notice::Work(queue)).await;
    }
    heard.take();
    submit(&*b, queues[0]).await.unwrap();
    heard.until(Notice::Work(queues[0])).await;
}

/// A lease is over when its time has passed by the database's clock, and what ran under it is recovered then; the former owner is
/// told so, and goes on as another.
#[tokio::test]
async fn a_lease_runs_out_by_itself() {
    let Some(schema) = Schema::new() else { return };
    let lease = Duration::from_secs(2);
    let settings = Settings { lease, ..schema.settings() };
    let a = PostgresStore::open(settings.clone()).await.unwrap();
    let b = PostgresStore::open(settings).await.unwrap();
    let queue = a.open_queue("Fetch").await.unwrap().id;
    b.open_queue("Fetch").await.unwrap();
    let starts = Batch { submissions: vec![new_action()], claim: 1, ..batch(queue) };
    let id = a.commit(starts).await.unwrap().claimed[0].id;
    let recover = || Control::Reclaim { recovery: OnRestart::Requeue.into() };
    let recovered = until("a lease that is over", async || {
        assert_eq!(b.renew().await, Ok(Renewal::Holds));
        let reply = b.commit(Batch { controls: vec![recover()], ..batch(queue) }).await.unwrap();
        reply.controls[0].as_ref().unwrap().first().copied()
    })
    .await;
    assert_eq!((recovered.id, recovered.state), (id, State::Queued));
    assert!(a.commit(Batch { claim: 1, ..batch(queue) }).await.unwrap().claimed.is_empty());
    assert_eq!(a.renew().await, Ok(Renewal::Lost));
    let former = a.owner();
    assert_ne!(a.new_owner().await.unwrap(), former);
    let reply = a.commit(Batch { claim: 1, ..batch(queue) }).await.unwrap();
    assert_eq!((reply.claimed[0].id, reply.claimed[0].attempt), (id, 2));
    assert_eq!(reply.owner, a.owner());
}

/// Of servers that have been dead for long nothing is left, and the counts are as before (Q10).
#[tokio::test]
async fn nothing_is_left_of_servers_that_are_no_more() {
    let Some(schema) = Schema::new() else { return };
    let a = schema.open();
    let queue = a.open_queue("Fetch").await.unwrap().id;
    for _ in 0..5 {
        let other = schema.open();
        submit(&*other, queue).await.unwrap();
        other.close().await;
    }
    let before = a.queue_state(queue).await.unwrap();
    assert_eq!(before.counts.queued(), 5);
    let admin = client(&schema).await;
    let count = async |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        admin.query_one(&sql, &[]).await.unwrap().get(0)
    };
    assert_eq!(a.renew().await, Ok(Renewal::Holds));
    assert_eq!((count("server").await, count("tally").await), (6, 5), "they are kept for a while");
    admin.batch_execute("UPDATE server SET seen_at = seen_at - interval '2 hours'").await.unwrap();
    assert_eq!(a.renew().await, Ok(Renewal::Holds));
    assert_eq!((count("server").await, count("tally").await), (1, 1));
    assert_eq!(a.queue_state(queue).await.unwrap(), before);
    let waits = a.commit(Batch { claim: 9, ..batch(queue) }).await.unwrap();
    assert_eq!((waits.claimed.len(), waits.counts.running()), (5, 5));
}

/// In the order of the question, each with its own counts, and a queue that nobody has opened is an error.
#[tokio::test]
async fn the_states_of_several_queues_are_those_of_each() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (schema.open(), schema.open());
    let mut queues = Vec::new();
    for (number, name) in ["Fetch", "Ingest", "Process"].into_iter().enumerate() {
        let queue = a.open_queue(name).await.unwrap().id;
        b.open_queue(name).await.unwrap();
        for _ in 0..=number {
            submit(&*b, queue).await.unwrap();
        }
        queues.insert(0, queue);
    }
    queues.push(queues[0]);
    let states = a.queue_states(queues.clone()).await.unwrap();
    let queued: Vec<_> = states.iter().map(|state| state.counts.queued()).collect();
    assert_eq!(queued, [3, 2, 1, 3]);
    for (queue, state) in queues.iter().zip(&states) {
        assert_eq!(a.queue_state(*queue).await.as_ref(), Ok(state));
    }
    assert_eq!(a.queue_states(Vec::new()).await, Ok(Vec::new()));
    let unknown = a.queue_states(vec![queues[0], QueueId(99)]).await.unwrap_err();
    assert!(unknown.to_string().contains("number 99"), "{unknown}");
}

/// Two servers prune at once, and delete no more than they should.
#[tokio::test]
async fn two_that_prune_delete_no_more_than_one() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (schema.open(), schema.open());
    let queue = a.open_queue("Fetch").await.unwrap().id;
    b.open_queue("Fetch").await.unwrap();
    let mut ids: Vec<ActionId> = Vec::new();
    for _ in 0..30 {
        ids.push(submit(&*a, queue).await.unwrap());
    }
    let controls = ids.iter().map(|id| Control::command(*id, Command::Cancel)).collect();
    a.commit(Batch { controls, ..batch(queue) }).await.unwrap();
    let mut prune = batch(queue);
    prune.retention.max_finished = Some(20);
    let both = (0..8).map(|number| [&a, &b][number % 2].commit(prune.clone()));
    let replies = futures_util::future::join_all(both).await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(a.queue_state(queue).await.unwrap().counts.finished(), 20);
    assert!(a.record(queue, ids[9]).await.unwrap().is_none());
    assert!(a.record(queue, ids[10]).await.unwrap().is_some());
}

/// A pooler that keeps notifications from those who listen is refused with a reason.
#[tokio::test]
async fn a_pooler_that_swallows_notifications_is_refused() {
    let Some(programs) = crate::programs() else { return };
    let cluster = Cluster::shared(&programs);
    let directory = crate::proxy::deaf(cluster.socket());
    let mut schema = Schema::of(cluster);
    schema.config = tokio_postgres::Config::new();
    schema.config.host_path(directory.path()).user("postgres").dbname("postgres");
    let settings = Settings { patience: Duration::from_secs(2), ..schema.settings() };
    let error = PostgresStore::open(settings).await.unwrap_err();
    assert!(error.to_string().contains("pooler"), "{error}");
    // Others are not shown a server that never was.
    let sql = "SELECT count(*) FROM server WHERE NOT (dead AND closed)";
    let left: i64 = client(&schema).await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}
