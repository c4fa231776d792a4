//! The documents that handlers of events deliver: what `getStatus` showed of an action at that moment, and what happened to a queue.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::outbox::OutboxEvent;
use actiond_actors::store::{About, LevelChange, QueueLevel, Record, Store};
use actiond_actors::{ActionRef, ActionStatus, Progress};

use super::render::{self, More};
use super::{attempts, tokens};
use crate::aci::catalog::builtin::QUEUE_INFO;
use crate::aci::element::Element;
use crate::aci::json::{JsonStyle, write_members};
use crate::aci::response::{self, ResponseFormat};
use crate::events::handlers::{DocumentForm, Documents, level_name};
use crate::kinds::MakeToken;

/// Writes the documents of a server's events.
pub struct EventDocuments {
    host: String,
    port: u16,
    token: MakeToken,
    /// The store, if servers share it: it knows the others.
    shared: Option<Arc<dyn Store>>,
    /// The queues whose actions are programs.
    of_programs: Vec<String>,
}

impl std::fmt::Debug for EventDocuments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventDocuments").field("host", &self.host).finish_non_exhaustive()
    }
}

impl EventDocuments {
    /// Makes it. Host, port and store are as for [`tokens`]; `of_programs` names the queues whose actions are programs.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        shared: Option<Arc<dyn Store>>,
        of_programs: Vec<String>,
    ) -> Self {
        let host = host.into();
        let token = Arc::new(tokens(host.clone(), port, shared.clone()));
        Self { host, port, token, shared, of_programs }
    }

    /// Returns the action as an element, as `getStatus` has it.
    fn action(&self, event: &OutboxEvent, record: &Record) -> Element {
        let mut record = record.clone();
        let is_of_programs = self.of_programs.iter().any(|name| **name == *event.queue);
        attempts::tell_who_stopped(is_of_programs, &mut record);
        let site = record.run_by.and_then(|site| self.shared.as_ref()?.site(site));
        let worker = record.worker.clone().filter(|_| record.state.is_running());
        let token = self.token_of(event, &record);
        let processing =
            Duration::from_millis(u64::try_from(record.processing_ms).unwrap_or_default());
        let progress = Progress::of_percent(record.percent);
        let status = ActionStatus { record, progress, processing };
        render::action(status, token, event.at, More::default())
            .children(worker.map(|worker| Element::text("worker", worker)))
            .children(site.map(|site| Element::text("server", site.name.as_str())))
    }

    fn token_of(&self, event: &OutboxEvent, record: &Record) -> String {
        let Record { id, queued_at, attempt, taken_by, .. } = *record;
        (self.token)(&event.queue, ActionRef { id, queued_at, attempt, taken_by })
    }
}

impl Documents for EventDocuments {
    fn document(&self, event: &OutboxEvent, form: DocumentForm) -> Vec<u8> {
        match &event.about {
            About::Action(record) => of_action(self.action(event, record), form),
            About::Queue(change) => of_queue(level(*change), form),
        }
    }

    fn token(&self, event: &OutboxEvent) -> Option<String> {
        match &event.about {
            About::Action(record) => Some(self.token_of(event, record)),
            About::Queue(_) => None,
        }
    }

    fn server(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Writes the reply that `getStatus` would have sent.
fn of_action(action: Element, form: DocumentForm) -> Vec<u8> {
    let format = match form {
        DocumentForm::Xml => ResponseFormat::Xml,
        DocumentForm::Json => ResponseFormat::Json,
        DocumentForm::SimpleJson => ResponseFormat::SimpleJson,
        DocumentForm::Data => return data(action),
    };
    response::success(QUEUE_INFO.name, &[Element::new("actions").child(action)], format)
}

fn level(LevelChange { level, queued, limit }: LevelChange) -> Element {
    let text = |name: &'static str, number: u64| Element::text(name, number.to_string());
    // An empty queue has no size (source: the page about queue events).
    let queued = (level != QueueLevel::Empty).then_some(queued);
    Element::new("event")
        .child(Element::text("queueEventType", level_name(level)))
        .children(limit.map(|limit| text("maxQueueSize", limit)))
        .children(queued.map(|queued| text("queueSize", queued)))
}

/// Writes the event of a queue (source: the page about queue events, for its members).
fn of_queue(event: Element, form: DocumentForm) -> Vec<u8> {
    let style = match form {
        DocumentForm::Xml => {
            let mut out = b"<?xml version='1.0' encoding='UTF-8' ?>".to_vec();
            event.write_xml(&mut out);
            return out;
        }
        DocumentForm::Json => JsonStyle::Full,
        DocumentForm::SimpleJson => JsonStyle::Simple,
        DocumentForm::Data => return data(event),
    };
    object("", &[event], style)
}

/// Writes what is in an element as one object in the simple form.
fn data(element: Element) -> Vec<u8> {
    let name = element.name.clone();
    match element.content {
        crate::aci::element::Content::Elements(children) => {
            object(&name, &children, JsonStyle::Simple)
        }
        crate::aci::element::Content::Text(_) => b"{}".to_vec(),
    }
}

fn object(parent: &str, children: &[Element], style: JsonStyle) -> Vec<u8> {
    let mut out = b"{".to_vec();
    write_members(parent, children, style, &mut out);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use actiond_actors::store::{EventId, EventKind, QueueId};
    use actiond_actors::{ActionId, Node, State, Timestamp};

    use super::*;
    use crate::aci::token::Token;

    fn documents() -> EventDocuments {
        EventDocuments::new("::1", 7000, None, vec!["Run".to_owned()])
    }

    fn event(queue: &str, kind: EventKind, about: About) -> OutboxEvent {
        let (id, at) = (EventId(1), Timestamp(90_000));
        OutboxEvent { id, queue_id: QueueId(1), queue: queue.into(), kind, at, about }
    }

    fn record(state: State) -> Box<Record> {
        Box::new(Record {
            state,
            attempt: 1,
            started_at: Some(Timestamp(60_000)),
            finished_at: state.is_final().then_some(Timestamp(70_000)),
            processing_ms: 10_000,
            percent: 100.0,
            error: (state == State::Error).then(|| "no <luck>".to_owned()),
            report: vec![Node::text("greeting", "Hello & goodbye")],
            ..Record::queued(ActionId::new(42).unwrap(), 7, Timestamp(20_000))
        })
    }

    fn text(event: &OutboxEvent, form: DocumentForm) -> String {
        String::from_utf8(documents().document(event, form)).unwrap()
    }

    #[test]
    fn an_action_is_shown_as_get_status_shows_it() {
        let event = event("Process", EventKind::Error, About::Action(record(State::Error)));
        let token = documents().token(&event).unwrap();
        let read = Token::parse(&token).unwrap();
        assert_eq!((&*read.queue, &*read.host, read.port), ("PROCESS", "::1", 7000));
        let xml = text(&event, DocumentForm::Xml);
        let expected = "<autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'><action>QUEUEINFO</action><response>SUCCESS</response><responsedata><actions><action><status>Error</status>";
        assert!(xml.contains(expected), "{xml}");
        let rest = format!(
            "<time_in_queue>40</time_in_queue>|<time_processing>10</time_processing>|<error>no &lt;luck&gt;</error><greeting>Hello &amp; goodbye</greeting><priority>7</priority><token>{token}</token></action></actions></responsedata></autnresponse>"
        );
        assert!(rest.split('|').all(|part| xml.contains(part)), "{xml}");
        let json = text(&event, DocumentForm::Json);
        assert!(json.contains("\"actions\":{\"action\":[{\"status\":{\"$\":\"Error\"}"), "{json}");
        let simple = text(&event, DocumentForm::SimpleJson);
        assert!(simple.contains("\"actions\":{\"action\":[{\"status\":\"Error\""), "{simple}");
        let data: serde_json::Value =
            serde_json::from_str(&text(&event, DocumentForm::Data)).unwrap();
        assert_eq!((&data["status"], &data["token"]), (&"Error".into(), &token.into()));
    }

    #[test]
    fn a_program_that_was_stopped_says_by_whom() {
        let stopped = About::Action(record(State::Stopped));
        let xml = text(&event("Run", EventKind::Stop, stopped.clone()), DocumentForm::Xml);
        assert!(xml.contains("<stopped_by>forced</stopped_by>"), "{xml}");
        let xml = text(&event("Process", EventKind::Stop, stopped), DocumentForm::Xml);
        assert!(!xml.contains("stopped_by"), "{xml}");
    }

    #[test]
    fn a_queue_has_an_event_of_its_own() {
        let about = |level, queued| {
            let change = LevelChange { level, queued, limit: Some(100) };
            event("Process", EventKind::Queue, About::Queue(change))
        };
        let full = about(QueueLevel::Full, 100);
        let expected = "<event><queueEventType>QueueFull</queueEventType><maxQueueSize>100</maxQueueSize><queueSize>100</queueSize></event>";
        assert!(text(&full, DocumentForm::Xml).ends_with(expected));
        assert_eq!(documents().token(&full), None);
        let empty = about(QueueLevel::Empty, 0);
        assert_eq!(
            text(&empty, DocumentForm::Json),
            "{\"event\":{\"queueEventType\":{\"$\":\"QueueEmpty\"},\"maxQueueSize\":{\"$\":\"100\"}}}"
        );
        let members = "{\"queueEventType\":\"QueueEmpty\",\"maxQueueSize\":\"100\"}";
        assert_eq!(text(&empty, DocumentForm::SimpleJson), format!("{{\"event\":{members}}}"));
        assert_eq!(text(&empty, DocumentForm::Data), members);
        assert_eq!(documents().server(), "[::1]:7000");
    }
}
