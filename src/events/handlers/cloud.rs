//! Events as CloudEvents 1.0 in structured mode.

use cloudevents::{EventBuilder as _, EventBuilderV10};
use serde_json::Value;

use super::message::{DocumentForm, Documents, event_type};
use actiond_actors::outbox::OutboxEvent;

/// Writes an event as one JSON object.
pub(super) fn structured(event: &OutboxEvent, documents: &dyn Documents) -> Vec<u8> {
    let data = documents.document(event, DocumentForm::Data);
    let data: Value = serde_json::from_slice(&data).unwrap_or_default();
    let source = format!("actiond://{}/{}", documents.server(), event.queue);
    let builder = EventBuilderV10::new()
        .id(event.message_id())
        .source(source)
        .ty(event_type(event))
        .data("application/json", data);
    let builder = match chrono::DateTime::from_timestamp_millis(event.at.millis()) {
        Some(at) => builder.time(at),
        None => builder,
    };
    let builder = match documents.token(event) {
        Some(token) => builder.subject(token),
        None => builder,
    };
    // All that has to be there is.
    builder.build().ok().and_then(|event| serde_json::to_vec(&event).ok()).unwrap_or_default()
}
