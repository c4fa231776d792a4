//! The store in PostgreSQL, against a real one.
//!
//! - `cluster`: a PostgreSQL of the tests' own; `proxy`: what may stand before it;
//! - here: the suite that every store must pass, with several servers on one schema;
//! - `away`: a database that dies, hangs, loses an answer, or is in the way;
//! - `sharing`: notices, leases in real time, and what is left of servers that are no more;
//! - `growth`: what does not grow with what there is;
//! - `systems`: whole servers; `clocks`: those whose clocks are wrong;
//! - `versions`: schemas of earlier versions; `moving`: what a move brings from SQLite and back.
//!
//! Without PostgreSQL they say what was not tested.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod away;
mod clocks;
mod cluster;
mod growth;
mod moving;
mod proxy;
mod sharing;
#[path = "../../../tests/e2e/skip.rs"]
mod skip;
mod systems;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actiond_actors::store::Store;
use actiond_actors::store::conformance::StoreFactory;
use actiond_actors::store::postgres::{Connect, LeaseClock, PostgresStore, Settings};
use cluster::{Cluster, Programs};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_postgres::{Config, NoTls};

/// Long: time passes only when a test lets it.
const LEASE: Duration = Duration::from_secs(90);

/// Returns PostgreSQL's programs, or says that there are none.
fn programs() -> Option<Programs> {
    let found = Programs::find();
    if found.is_none() {
        skip::skipped("the store in PostgreSQL", "there is no initdb");
    }
    found
}

/// A schema of a test's own.
struct Schema {
    config: Config,
    name: String,
    clock: LeaseClock,
}

impl Schema {
    /// Names one in the cluster that the tests share.
    fn new() -> Option<Self> {
        programs().map(|programs| Self::of(Cluster::shared(&programs)))
    }

    fn of(cluster: &Cluster) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Its quotes must not matter.
        let name = format!("Test \"{}\" {number} {}", std::process::id(), fastrand::u32(..));
        Self { config: cluster.config(), name, clock: LeaseClock::default() }
    }

    fn settings(&self) -> Settings {
        let connect = Connect::new(self.config.clone());
        let patience = Duration::from_secs(10);
        let (schema, clock) = (self.name.clone(), self.clock.clone());
        Settings { schema, clock, lease: LEASE, patience, ..Settings::new(connect) }
    }
}

impl StoreFactory for Schema {
    fn open(&self) -> Arc<dyn Store> {
        let settings = self.settings();
        let opened = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(PostgresStore::open(settings))
        });
        Arc::new(opened.join().unwrap().unwrap())
    }

    fn open_beside(&self) -> Option<Arc<dyn Store>> {
        Some(self.open())
    }

    fn pass(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.clock.advance(time);
        let seconds = time.as_secs_f64();
        let schema = self.name.replace('"', "\"\"");
        let sql = format!(
            "UPDATE \"{schema}\".server SET expires_at = expires_at - {seconds} * interval '1 second'"
        );
        let config = self.config.clone();
        async move {
            let (client, connection) = config.connect(NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            client.batch_execute(&sql).await.unwrap();
            connection.abort();
        }
        .boxed()
    }
}

mod conformance {
    use super::Schema;
    actiond_actors::store_conformance!(match Schema::new() {
        Some(schema) => schema,
        None => return,
    });
}
