//! Servers whose clocks do not agree: times stay in order (Q9), and leases go by the database's clock.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::clock::{Clock, SystemClock};
use actiond_actors::store::postgres::{PostgresStore, Settings};
use actiond_actors::store::{Batch, NewAction, Record, Store};
use actiond_actors::testing::{Gate, Plan, Script};
use actiond_actors::{OnRestart, QueueHandle, QueueSettings, State, Submission, System, Timestamp};

use crate::Schema;
use crate::away::{batch, client, new_action, until};

const SOON: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(1);
const HOUR: i64 = 3_600_000;

/// A clock that is wrong by so many milliseconds.
#[derive(Debug)]
struct Off(i64);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0)
    }
}

struct Server {
    system: System,
    work: QueueHandle,
    gate: Gate,
}

impl Server {
    /// Starts a server whose clock is wrong, and whose work waits at its gate.
    async fn start(schema: &Schema, off: i64) -> Self {
        let store = PostgresStore::open(settings(schema)).await.unwrap();
        let gate = Gate::new();
        let script = Script::always(Plan::Wait(gate.clone()));
        let builder = System::builder("unused").store(Arc::new(store)).clock(Arc::new(Off(off)));
        let on_restart = Some(OnRestart::Requeue);
        let settings = QueueSettings { on_restart, ..QueueSettings::default() };
        let builder = builder.queue("Work", settings, script);
        let system = builder.start().await.unwrap();
        let work = system.queue("Work").unwrap();
        Self { system, work, gate }
    }
}

fn settings(schema: &Schema) -> Settings {
    Settings { lease: LEASE, ..schema.settings() }
}

fn are_in_order(record: &Record) {
    let (started, finished) = (record.started_at.unwrap(), record.finished_at.unwrap());
    assert!(record.queued_at <= started && started <= finished, "{record:?}");
}

/// An hour ahead or behind, a server keeps its lease, and what one of them takes and another runs has its times in order.
#[tokio::test]
async fn clocks_that_are_an_hour_off_kill_nobody() {
    let Some(schema) = Schema::new() else { return };
    let ahead = Server::start(&schema, HOUR).await;
    let behind = Server::start(&schema, -HOUR).await;
    let mut ids = Vec::new();
    for server in [&ahead, &behind, &ahead, &behind] {
        ids.push(server.work.submit(Submission::default()).await.unwrap().id);
    }
    // Each has one slot.
    ahead.gate.until_waiting(1).await;
    behind.gate.until_waiting(1).await;
    let admin = client(&schema).await;
    until("leases that were renewed again and again", async || {
        let renewed =
            "SELECT bool_and(seen_at - opened_at > interval '3 seconds' AND NOT dead) FROM server";
        admin.query_one(renewed, &[]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
    ahead.gate.open();
    behind.gate.open();
    for id in ids {
        for server in [&ahead, &behind] {
            let ended = server.work.wait(id, SOON).await.unwrap().record;
            assert_eq!((ended.state, ended.attempt), (State::Finished, 1));
            are_in_order(&ended);
        }
    }
    for server in [ahead, behind] {
        server.system.shutdown(SOON).await;
    }
}

/// Actions of a server whose clock was an hour ahead, and that died, are recovered as soon as those of any other.
#[tokio::test]
async fn what_was_begun_in_the_future_is_recovered_now() {
    let Some(schema) = Schema::new() else { return };
    let dies = PostgresStore::open(settings(&schema)).await.unwrap();
    let queue = dies.open_queue("Work").await.unwrap().id;
    let now = Off(HOUR).now();
    let NewAction::Given { parameters, .. } = new_action() else { unreachable!() };
    let new = NewAction::Given {
        parameters,
        priority: 0,
        key: None,
        not_before: None,
        queued_at: now,
        origin: None,
    };
    let starts = Batch { now, submissions: vec![new], claim: 1, ..batch(queue) };
    let id = dies.commit(starts).await.unwrap().claimed[0].id;
    drop(dies);
    let server = Server::start(&schema, -HOUR).await;
    server.gate.open();
    let ended = server.work.wait(id, SOON).await.unwrap().record;
    assert_eq!((ended.state, ended.attempt), (State::Finished, 2));
    are_in_order(&ended);
    server.system.shutdown(SOON).await;
}
