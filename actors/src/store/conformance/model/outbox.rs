//! The events of the model, as handlers are to be told of them.

use std::collections::BTreeMap;

use super::{Queue, as_modelled};
use crate::action::{ActionId, Timestamp};
use crate::lifecycle::{Ended, Verdict};
use crate::store::{
    About, Affected, Batch, Control, EventId, EventKind, HandlerId, NewEvent, QueueId, Record,
    Store, StoreError,
};

/// An event of one handler.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    kind: EventKind,
    at: Timestamp,
    about: About,
}

/// The events of all handlers, in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Outbox {
    of: BTreeMap<HandlerId, Vec<(QueueId, Told)>>,
    pub(super) written: usize,
}

impl Outbox {
    /// Writes what a control has done.
    pub(super) fn tell_of(
        &mut self,
        batch: &Batch,
        control: &Control,
        queue: &Queue,
        affected: &[Affected],
    ) {
        for Affected { id, verdict, .. } in affected {
            let Verdict::Move(state) = verdict else { continue };
            let is_retry = matches!(control, Control::End(end) if end.ended == Ended::Retry);
            let kind = match EventKind::of_end(*state) {
                None if is_retry => EventKind::ErrorReport,
                None => continue,
                Some(kind) => kind,
            };
            self.tell_action(batch, kind, queue.rows[id].record.clone());
        }
        let Control::Tell(event) = control else { return };
        match &**event {
            NewEvent::ErrorReport { id, error, report, .. } => {
                let record = queue.rows[id].record.clone();
                let (error, report) = (Some(error.clone()), report.nodes().unwrap());
                let record = Record { error, report, ..record };
                self.tell_action(batch, EventKind::ErrorReport, record);
            }
            NewEvent::Level(change) => self.tell(batch, EventKind::Queue, &About::Queue(*change)),
        }
    }

    /// Writes an event about an action.
    pub(super) fn tell_action(&mut self, batch: &Batch, kind: EventKind, record: Record) {
        self.tell(batch, kind, &About::Action(Box::new(record)));
    }

    fn tell(&mut self, batch: &Batch, kind: EventKind, about: &About) {
        let Some(wants) = &batch.wants else { return };
        let has_callback = match about {
            About::Action(record) => {
                record.origin.as_ref().is_some_and(|origin| origin.callback.is_some())
            }
            About::Queue(_) => false,
        };
        let callback = wants.callback.filter(|_| kind.is_end() && has_callback);
        for handler in wants.handlers(kind).iter().copied().chain(callback) {
            let told = Told { kind, at: batch.now, about: about.clone() };
            self.of.entry(handler).or_default().push((batch.queue, told));
            self.written += 1;
        }
    }

    /// Reads all events of each handler from the store, in small pages, and compares them.
    pub(in super::super) async fn check(&self, store: &dyn Store, handlers: &[HandlerId]) {
        let found = Events::read(store, handlers, 7).await.unwrap();
        assert_eq!(found, self.events(handlers));
        for handler in handlers {
            let state = store.outbox_state(*handler).await.unwrap();
            let pending = self.of.get(handler).map_or(0, Vec::len);
            assert_eq!((state.pending, state.failed), (pending as u64, 0));
        }
    }

    /// Returns the events of these handlers.
    pub(in super::super) fn events(&self, handlers: &[HandlerId]) -> Events {
        let mut events = Events::default();
        for handler in handlers {
            for (queue, told) in self.of.get(handler).into_iter().flatten() {
                events.add(*handler, *queue, told.clone());
            }
        }
        events
    }
}

/// Events by handler, and by what they are about: only of that they are in order.
#[derive(Debug, PartialEq, Default)]
pub(in super::super) struct Events(BTreeMap<(HandlerId, QueueId, Option<ActionId>), Vec<Told>>);

impl Events {
    /// Reads all that wait in the store, in pages of this many.
    pub(in super::super) async fn read(
        store: &dyn Store,
        handlers: &[HandlerId],
        page: usize,
    ) -> Result<Self, StoreError> {
        let mut events = Self::default();
        for handler in handlers {
            let mut known: Vec<EventId> = Vec::new();
            loop {
                let found = store.events(*handler, None, known.clone(), page.into()).await?;
                assert_eq!(found.unreadable, [], "{handler:?}");
                assert!(found.events.len() <= page && (!found.more || found.events.len() == page));
                for event in found.events {
                    assert!(known.last().is_none_or(|last| *last < event.id), "oldest first");
                    known.push(event.id);
                    let about = match event.about {
                        About::Action(record) => About::Action(Box::new(as_modelled(*record))),
                        level @ About::Queue(_) => level,
                    };
                    let told = Told { kind: event.kind, at: event.at, about };
                    events.add(*handler, event.queue, told);
                }
                if !found.more {
                    break;
                }
            }
        }
        Ok(events)
    }

    fn add(&mut self, handler: HandlerId, queue: QueueId, told: Told) {
        let id = match &told.about {
            About::Action(record) => Some(record.id),
            About::Queue(_) => None,
        };
        self.0.entry((handler, queue, id)).or_default().push(told);
    }
}
