//! Events and documents for tests.

use std::sync::Arc;

use actiond_actors::store::Record;
use actiond_actors::{ActionId, State, Timestamp};

use super::message::{DocumentForm, Documents};
use actiond_actors::outbox::OutboxEvent;
use actiond_actors::store::{About, EventId, EventKind, QueueId};

/// Documents that hold nothing but the event's id.
pub(super) struct Plain;

impl Documents for Plain {
    fn document(&self, event: &OutboxEvent, form: DocumentForm) -> Vec<u8> {
        match form {
            DocumentForm::Xml => format!("<event>{}</event>", event.id.0),
            _ => format!("{{\"event\":\"{}\"}}", event.id.0),
        }
        .into_bytes()
    }

    fn token(&self, event: &OutboxEvent) -> Option<String> {
        Some(format!("token{}", event.id.0))
    }

    fn server(&self) -> String {
        "localhost:7000".to_owned()
    }
}

/// An action that has finished.
pub(super) fn event(id: i64) -> Arc<OutboxEvent> {
    Arc::new(OutboxEvent {
        id: EventId(id),
        queue_id: QueueId(1),
        queue: "Process".into(),
        kind: EventKind::Finish,
        at: Timestamp(1_700_000_000_500),
        about: About::Action(Box::new(record())),
    })
}

pub(super) fn record() -> Record {
    Record {
        state: State::Finished,
        attempt: 1,
        started_at: Some(Timestamp(60_000)),
        finished_at: Some(Timestamp(70_000)),
        processing_ms: 10_000,
        percent: 100.0,
        ..Record::queued(ActionId::new(1).unwrap(), 0, Timestamp(0))
    }
}
