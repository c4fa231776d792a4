//! A receiver that tests have events delivered to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use actiond_actors::ActionId;
use actiond_actors::outbox::{Deliver, OutboxEvent, Undelivered};
use actiond_actors::store::{About, EventKind};
use actiond_actors::testing::{Gate, eventually};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

/// A receiver that answers as the test says, and writes down what it took.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) answer: Arc<Answering>,
    pub(super) log: Arc<Mutex<Log>>,
}

/// Chooses the answer to an event that is delivered for so many times.
pub(super) type Answering = dyn Fn(&OutboxEvent, usize) -> Answer + Send + Sync;

/// The answer to one delivery.
pub(super) enum Answer {
    Take,
    Refuse(Undelivered),
    Panic,
    /// Waits at the gate, then takes it.
    At(Gate),
    /// Waits at the gate, then refuses it for good.
    RefuseAt(Gate),
}

#[derive(Default)]
pub(super) struct Log {
    /// Number of deliveries of each event.
    pub(super) calls: BTreeMap<String, usize>,
    /// The events that were taken, in order.
    pub(super) taken: Vec<Arc<OutboxEvent>>,
    pub(super) under_way: BTreeSet<Option<ActionId>>,
    pub(super) peak: usize,
    pub(super) all: usize,
}

impl Receiver {
    pub(super) fn new(
        answer: impl Fn(&OutboxEvent, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Arc::new(answer), log: Arc::default() }
    }

    pub(super) fn taking() -> Self {
        Self::new(|_, _| Answer::Take)
    }

    pub(super) fn taken(&self) -> Vec<Arc<OutboxEvent>> {
        self.log.lock().unwrap().taken.clone()
    }

    /// The kinds of the events of an action, in the order in which they were taken.
    pub(super) fn kinds(&self, id: ActionId) -> Vec<EventKind> {
        self.taken().iter().filter(|event| action(event) == Some(id)).map(|e| e.kind).collect()
    }

    pub(super) fn calls(&self) -> usize {
        self.log.lock().unwrap().all
    }

    pub(super) async fn has_taken(&self, number: usize) {
        let what = format!("{number} events are taken");
        eventually(what, async || self.taken().len() >= number).await;
    }
}

impl Deliver for Receiver {
    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
        let receiver = self.clone();
        async move {
            let id = action(&event);
            let number = {
                let mut log = receiver.log.lock().unwrap();
                assert!(log.under_way.insert(id), "two about one action at the same time");
                log.peak = log.peak.max(log.under_way.len());
                log.all += 1;
                let calls = log.calls.entry(event.message_id()).or_default();
                *calls += 1;
                *calls
            };
            let answer = match (receiver.answer)(&event, number) {
                Answer::Take => Ok(()),
                Answer::Refuse(why) => Err(why),
                Answer::At(gate) => {
                    gate.wait().await;
                    Ok(())
                }
                Answer::RefuseAt(gate) => {
                    gate.wait().await;
                    Err(Undelivered::for_good("never"))
                }
                Answer::Panic => {
                    receiver.log.lock().unwrap().under_way.remove(&id);
                    panic!("as planned");
                }
            };
            let mut log = receiver.log.lock().unwrap();
            log.under_way.remove(&id);
            if answer.is_ok() {
                log.taken.push(event);
            }
            answer
        }
        .boxed()
    }
}

pub(super) fn action(event: &OutboxEvent) -> Option<ActionId> {
    match &event.about {
        About::Action(record) => Some(record.id),
        About::Queue(_) => None,
    }
}
