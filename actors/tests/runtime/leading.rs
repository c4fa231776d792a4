//! Events of which another server tells for a while, at the word of a store that others share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actiond_actors::outbox::{Deliver, EventHandlers, HandlerSettings, OutboxEvent, Undelivered};
use actiond_actors::store::{About, EventKind};
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{ActionId, QueueSettings};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::common::{SOON, builder, nothing, submit, threads, until_finished};
use crate::owners::{LEASE, Scripted};

/// A receiver that takes events once a gate is open, and writes them down.
#[derive(Clone)]
struct Slow {
    gate: Gate,
    taken: Arc<Mutex<BTreeMap<ActionId, Vec<EventKind>>>>,
}

impl Deliver for Slow {
    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
        let slow = self.clone();
        async move {
            slow.gate.wait().await;
            if let About::Action(record) = &event.about {
                slow.taken.lock().unwrap().entry(record.id).or_default().push(event.kind);
            }
            Ok(())
        }
        .boxed()
    }
}

/// A server that leads, does not for a moment, and leads again finds its own deliveries under way.
#[tokio::test]
async fn what_is_under_way_from_before_is_not_told_beside_itself() {
    let directory = tempfile::tempdir().unwrap();
    let store = Scripted::new(&directory, Some(LEASE));
    let gate = Gate::new();
    let slow = Slow { gate: gate.clone(), taken: Arc::default() };
    let handlers =
        EventHandlers::default().on(EventKind::Start, "Hook").on(EventKind::Finish, "Hook");
    let settings = QueueSettings { handlers, ..threads(1) };
    let system = builder(directory.path())
        .store(Arc::new(store.clone()))
        .handler("Hook", HandlerSettings::default(), Arc::new(slow.clone()))
        .queue("Work", settings, Script::always(nothing()))
        .start()
        .await
        .unwrap();
    let work = system.queue("Work").unwrap();
    let outbox = system.outbox();
    submit(&work, "").await;
    gate.until_waiting(1).await;
    for follows in [true, false] {
        store.says().follows = follows;
        let leads = async || outbox.status("Hook").await.unwrap().leads != follows;
        eventually("the handler knows who leads", leads).await;
    }
    submit(&work, "").await;
    until_finished(&work, 2).await;
    // Time enough for what must not be.
    tokio::time::sleep(LEASE).await;
    gate.open();
    eventually("all is told", async || outbox.status("Hook").await.unwrap().pending == 0).await;
    let taken = slow.taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 2);
    for (id, kinds) in taken {
        assert_eq!(kinds, [EventKind::Start, EventKind::Finish], "{id}");
    }
    system.shutdown(SOON).await;
}
