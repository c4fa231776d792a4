//! Whole servers on one schema.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::store::conformance::StoreFactory as _;
use actiond_actors::store::postgres::{PostgresStore, Settings};
use actiond_actors::store::{Batch, Store};
use actiond_actors::testing::{Gate, Plan, Script, eventually};
use actiond_actors::{ActionId, OnRestart, QueueHandle, QueueSettings, State, Submission, System};

use crate::away::{batch, new_action, until};
use crate::cluster::Cluster;
use crate::{Schema, programs};

const SOON: Duration = Duration::from_secs(30);

/// One server, whose work waits at its gate.
struct Server {
    system: System,
    work: QueueHandle,
    script: Script,
    gate: Gate,
}

impl Server {
    async fn start(store: Arc<dyn Store>, on_restart: OnRestart) -> Self {
        let gate = Gate::new();
        let script = Script::always(Plan::Wait(gate.clone()));
        let on_restart = Some(on_restart);
        let settings = QueueSettings { on_restart, stop_grace: SOON, ..QueueSettings::default() };
        let builder = System::builder("unused").store(store);
        let system = builder.queue("Work", settings, script.clone()).start().await.unwrap();
        let work = system.queue("Work").unwrap();
        Self { system, work, script, gate }
    }

    async fn submit(&self) -> ActionId {
        self.work.submit(Submission::default()).await.unwrap().id
    }
}

/// An action that one server takes runs on whichever has a free slot, at once, and whoever waits for it is woken wherever it ends.
#[tokio::test]
async fn what_is_sent_to_one_runs_on_either() {
    let Some(schema) = Schema::new() else { return };
    let a = Server::start(schema.open(), OnRestart::Requeue).await;
    let b = Server::start(schema.open(), OnRestart::Requeue).await;
    let since = Instant::now();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(a.submit().await);
    }
    // Each has one slot.
    a.gate.until_waiting(1).await;
    b.gate.until_waiting(1).await;
    for server in [&a, &b] {
        server.gate.open();
    }
    for id in ids {
        let ended = b.work.wait(id, SOON).await.unwrap();
        assert_eq!((ended.record.state, ended.record.attempt), (State::Finished, 1));
    }
    // Not by looking after each renewal of the lease.
    assert!(since.elapsed() < schema.settings().lease / 3, "{:?}", since.elapsed());
    for server in [a, b] {
        assert!(!server.script.started().is_empty(), "it had its share");
        server.system.shutdown(SOON).await;
    }
}

/// More slots than at the start take what the other server has no room for, and others see how many there are.
#[tokio::test]
async fn slots_that_are_added_are_used_and_shown() {
    let Some(schema) = Schema::new() else { return };
    let a = Server::start(schema.open(), OnRestart::Requeue).await;
    let b = Server::start(schema.open(), OnRestart::Requeue).await;
    for _ in 0..5 {
        a.submit().await;
    }
    b.gate.until_waiting(1).await;
    b.work.set_settings(QueueSettings { maximum_threads: 4, ..(*b.work.settings()).clone() });
    b.gate.until_waiting(4).await;
    a.gate.until_waiting(1).await;
    eventually("the other one sees them", async || {
        let servers = a.system.servers().await.unwrap();
        servers.iter().any(|server| server.owner == b.system.owner() && server.slots == 4)
    })
    .await;
    for server in [a, b] {
        server.gate.open();
        server.system.shutdown(SOON).await;
    }
}

/// A stop reaches the server that runs the action at once.
#[tokio::test]
async fn a_stop_reaches_what_runs_elsewhere() {
    let Some(schema) = Schema::new() else { return };
    let a = Server::start(schema.open(), OnRestart::Requeue).await;
    let id = a.submit().await;
    a.gate.until_waiting(1).await;
    let b = Server::start(schema.open(), OnRestart::Requeue).await;
    let since = Instant::now();
    b.work.stop(id).await.unwrap();
    b.work.stop(id).await.unwrap();
    let ended = b.work.wait(id, SOON).await.unwrap();
    assert_eq!(ended.record.state, State::Stopped);
    assert!(since.elapsed() < schema.settings().lease / 3, "{:?}", since.elapsed());
    for server in [a, b] {
        server.system.shutdown(SOON).await;
    }
}

/// Actions of a server that has died run again elsewhere, or end in Error, once its lease is over.
#[tokio::test]
async fn what_a_dead_server_ran_is_recovered() {
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        let Some(schema) = Schema::new() else { return };
        let settings = Settings { lease: Duration::from_secs(1), ..schema.settings() };
        let dies = PostgresStore::open(settings.clone()).await.unwrap();
        let queue = dies.open_queue("Work").await.unwrap().id;
        let starts = Batch { submissions: vec![new_action()], claim: 1, ..batch(queue) };
        let id = dies.commit(starts).await.unwrap().claimed[0].id;
        drop(dies);
        let lives = Arc::new(PostgresStore::open(settings).await.unwrap());
        let server = Server::start(lives, on_restart).await;
        if on_restart == OnRestart::Requeue {
            server.gate.until_waiting(1).await;
            server.gate.open();
        }
        let ended = server.work.wait(id, SOON).await.unwrap().record;
        let wanted = match on_restart {
            OnRestart::Fail => (State::Error, 1),
            _ => (State::Finished, 2),
        };
        assert_eq!((ended.state, ended.attempt), wanted);
        server.system.shutdown(SOON).await;
    }
}

/// While the database is away, what runs goes on, and its end is reported afterwards; nothing has to be started again.
#[tokio::test]
async fn work_goes_on_while_the_database_is_away() {
    let Some(programs) = programs() else { return };
    let mut cluster = Cluster::own(&programs, &[]);
    let schema = Schema::of(&cluster);
    let server = Server::start(schema.open(), OnRestart::Fail).await;
    let id = server.submit().await;
    server.gate.until_waiting(1).await;
    cluster.kill();
    let away = server.work.submit(Submission::default());
    assert!(tokio::time::timeout(SOON, away).await.unwrap().is_err());
    server.gate.open();
    eventually("the work has ended", async || !server.script.started().is_empty()).await;
    cluster.start();
    let ended = until("the end", async || {
        let waited = server.work.wait(id, Duration::from_millis(100)).await.ok()?;
        waited.record.state.is_final().then_some(waited.record)
    })
    .await;
    assert_eq!((ended.state, ended.attempt, ended.error), (State::Finished, 1, None));
    let next =
        until("room for more", async || server.work.submit(Submission::default()).await.ok()).await;
    assert_eq!(server.work.wait(next.id, SOON).await.unwrap().record.state, State::Finished);
    server.system.shutdown(SOON).await;
}
