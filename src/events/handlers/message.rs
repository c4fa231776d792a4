//! The message that is made of an event: the form and the body that all handlers share.

use std::sync::Arc;

use super::cloud;
use actiond_actors::outbox::OutboxEvent;
use actiond_actors::store::{About, EventKind, LevelChange, QueueLevel};

/// The form of a message (`Format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The reply of `getStatus`.
    Xml,
    /// The same with `ResponseFormat=json`.
    Json,
    /// The same with `ResponseFormat=simplejson`.
    SimpleJson,
    /// A CloudEvent in structured mode.
    CloudEvents,
}

impl Format {
    /// The words for each in the configuration.
    pub(crate) const WORDS: &'static [&'static str] = &["xml", "json", "simplejson", "cloudevents"];

    /// Returns the form for one of [`Format::WORDS`]; XML for any other word.
    pub(crate) fn of_word(word: Option<&str>) -> Self {
        match word {
            Some("json") => Self::Json,
            Some("simplejson") => Self::SimpleJson,
            Some("cloudevents") => Self::CloudEvents,
            _ => Self::Xml,
        }
    }

    /// Returns the content type of such a message.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml",
            Self::Json | Self::SimpleJson => "application/json",
            Self::CloudEvents => "application/cloudevents+json",
        }
    }
}

/// The form of a document about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentForm {
    /// XML.
    Xml,
    /// JSON in which every element is an object.
    Json,
    /// JSON in which an element that is nothing but text is a string.
    SimpleJson,
    /// An object with the members of the action, or of the event of the queue, in the simple form and without an envelope.
    Data,
}

/// Writes documents about events in the words of the wire.
pub trait Documents: Send + Sync + 'static {
    /// Writes the document about an event: of an action, what `getStatus` showed of it at that moment.
    fn document(&self, event: &OutboxEvent, form: DocumentForm) -> Vec<u8>;

    /// Returns the token of the action, if the event is about one.
    fn token(&self, event: &OutboxEvent) -> Option<String>;

    /// Returns `HOST:PORT` of this server, as tokens name it.
    fn server(&self) -> String;
}

/// A message that is ready to be delivered.
#[derive(Debug)]
pub(super) struct Message {
    /// Stays the same over retries.
    pub(super) id: String,
    /// The key of the configuration that names the event, such as `OnFinish`.
    pub(super) event: &'static str,
    pub(super) queue: Arc<str>,
    pub(super) token: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn of(event: &OutboxEvent, format: Format, documents: &dyn Documents) -> Self {
        let body = match format {
            Format::Xml => documents.document(event, DocumentForm::Xml),
            Format::Json => documents.document(event, DocumentForm::Json),
            Format::SimpleJson => documents.document(event, DocumentForm::SimpleJson),
            Format::CloudEvents => cloud::structured(event, documents),
        };
        Self {
            id: event.message_id(),
            event: event.kind.key(),
            queue: Arc::clone(&event.queue),
            token: documents.token(event),
            body,
        }
    }
}

/// Returns the type of an event, as CloudEvents have it.
pub(super) const fn event_type(event: &OutboxEvent) -> &'static str {
    match (event.kind, &event.about) {
        (_, About::Queue(LevelChange { level, .. })) => match level {
            QueueLevel::Full => "actiond.queue.full",
            QueueLevel::Filling => "actiond.queue.filling",
            QueueLevel::Emptying => "actiond.queue.emptying",
            QueueLevel::Empty => "actiond.queue.empty",
        },
        (EventKind::Start, _) => "actiond.action.started",
        (EventKind::Finish, _) => "actiond.action.finished",
        (EventKind::Error, _) => "actiond.action.error",
        (EventKind::ErrorReport, _) => "actiond.action.errorreport",
        (EventKind::Cancel, _) => "actiond.action.cancelled",
        (EventKind::Stop, _) => "actiond.action.stopped",
        (EventKind::Queue, _) => "actiond.queue",
    }
}

/// Returns the word for what happened to a queue, as the vendor's documentation has it.
#[must_use]
pub const fn level_name(level: QueueLevel) -> &'static str {
    match level {
        QueueLevel::Full => "QueueFull",
        QueueLevel::Filling => "QueueFilling",
        QueueLevel::Emptying => "QueueEmptying",
        QueueLevel::Empty => "QueueEmpty",
    }
}
