//! A store that is none of this crate: the one of `examples/memory_store`, by what is public alone.
//!
//! - here: the suite that every store must pass, with leases, owners and notices;
//! - `mistakes`: what the suite says to stores that do one thing wrong;
//! - `systems`: two systems on one store, as two servers on one database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "../../examples/memory_store/change.rs"]
mod change;
#[path = "../../examples/memory_store/data.rs"]
mod data;
#[path = "../../examples/memory_store/demo.rs"]
mod demo;
#[path = "../../examples/memory_store/listing.rs"]
mod listing;
mod mistakes;
#[path = "../../examples/memory_store/outbox.rs"]
mod outbox;
#[path = "../../examples/memory_store/store.rs"]
mod store;
mod systems;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::store::Store;
use actiond_actors::store::conformance::StoreFactory;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use store::Database;

/// A database whose clock only goes when a test lets time pass.
struct Memory {
    database: Database,
    clock: Arc<Mutex<Duration>>,
}

impl Memory {
    fn new(lease: Duration) -> Self {
        let clock = Arc::new(Mutex::new(Duration::ZERO));
        let time = Arc::clone(&clock);
        Self { database: Database::new(lease, move || *time.lock().unwrap()), clock }
    }

    fn advance(&self, time: Duration) {
        *self.clock.lock().unwrap() += time;
    }
}

impl StoreFactory for Memory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.database.open().unwrap())
    }

    fn open_beside(&self) -> Option<Arc<dyn Store>> {
        Some(self.open())
    }

    fn pass(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.advance(time);
        ready(()).boxed()
    }
}

mod conformance {
    use std::time::Duration;

    use super::Memory;
    actiond_actors::store_conformance!(Memory::new(Duration::from_secs(9)));
}

#[actix::test]
async fn the_example_runs() {
    demo::run().await.unwrap();
}
