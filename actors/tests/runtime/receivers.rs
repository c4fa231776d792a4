//! Handlers whose events go to several receivers: one that is away holds up its own events alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::QueueSettings;
use actiond_actors::outbox::{Deliver, EventHandlers, HandlerSettings, OutboxEvent, Undelivered};
use actiond_actors::store::{About, EventKind};
use actiond_actors::testing::{Gate, Script, eventually};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use crate::common::{SOON, builder, nothing, submit, threads, until_finished};

/// Number of actions, each with two events: more than a handler holds.
const MANY: usize = 1_500;

/// A receiver for each queue, of which those whose names begin with `Dead` take nothing before the gate is open.
#[derive(Clone)]
struct ByQueue {
    is_up: Gate,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    tried: BTreeSet<String>,
    taken: BTreeMap<Arc<str>, Vec<(u64, EventKind)>>,
}

impl ByQueue {
    fn taken(&self, queue: &str) -> Vec<(u64, EventKind)> {
        self.log.lock().unwrap().taken.get(queue).cloned().unwrap_or_default()
    }
}

impl Deliver for ByQueue {
    fn receiver(&self, event: &OutboxEvent) -> Option<String> {
        Some(event.queue.to_string())
    }

    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
        let mut log = self.log.lock().unwrap();
        if event.queue.starts_with("Dead") && !self.is_up.is_open() {
            log.tried.insert(event.message_id());
            return ready(Err(Undelivered::down("no connection"))).boxed();
        }
        let About::Action(record) = &event.about else { panic!("{event:?}") };
        let taken = log.taken.entry(Arc::clone(&event.queue)).or_default();
        taken.push((record.id.get(), event.kind));
        ready(Ok(())).boxed()
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_holds_up_its_own_events_alone() {
    let directory = tempfile::tempdir().unwrap();
    let receivers = ByQueue { is_up: Gate::new(), log: Arc::default() };
    let handlers =
        EventHandlers::default().on(EventKind::Start, "Hook").on(EventKind::Finish, "Hook");
    let settings = HandlerSettings {
        retries: 3,
        retry_interval: Duration::from_millis(100),
        max_retry_interval: Duration::from_secs(1),
        ..HandlerSettings::default()
    };
    let built = ["Dead1", "Dead2", "Live"].into_iter().fold(
        builder(directory.path()).handler("Hook", settings, Arc::new(receivers.clone())),
        |built, queue| {
            let settings = QueueSettings { handlers: handlers.clone(), ..threads(8) };
            built.queue(queue, settings, Script::always(nothing()))
        },
    );
    let system = built.start().await.unwrap();
    for queue in ["Dead1", "Dead2"] {
        let queue = system.queue(queue).unwrap();
        for _ in 0..MANY {
            submit(&queue, "").await;
        }
        until_finished(&queue, MANY as u64).await;
    }
    let live = system.queue("Live").unwrap();
    for _ in 0..20 {
        submit(&live, "").await;
    }
    eventually("the live receiver has all", async || receivers.taken("Live").len() == 40).await;
    let status = system.outbox().status("Hook").await.unwrap();
    let tried = receivers.log.lock().unwrap().tried.len();
    assert!(status.pending >= 4 * MANY as u64 - 8, "{status:?}");
    assert!(tried <= 40, "{tried} events were tried in vain");
    receivers.is_up.open();
    for queue in ["Dead1", "Dead2"] {
        eventually("those that were away have all", async || {
            receivers.taken(queue).len() + usize::try_from(status.failed).unwrap() >= 2 * MANY
        })
        .await;
        let mut last = BTreeMap::new();
        for (id, kind) in receivers.taken(queue) {
            let before = last.insert(id, kind);
            assert_ne!((before, kind), (Some(EventKind::Finish), EventKind::Start), "{queue} {id}");
        }
    }
    system.shutdown(SOON).await;
}
