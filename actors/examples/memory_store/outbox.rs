//! The outbox: events that wait for their handlers, and those that could not be delivered.

use std::collections::BTreeMap;

use actiond_actors::Timestamp;
use actiond_actors::store::query::PageLimit;
use actiond_actors::store::{
    About, Batch, EventId, EventKind, EventPage, FailedEvent, HandlerId, OutboxChange, OutboxState,
    OwnerId, QueueId, StoredEvent,
};

#[derive(Default)]
pub(crate) struct Outbox {
    handlers: Vec<Handler>,
    events: BTreeMap<EventId, Event>,
    last_id: i64,
}

struct Handler {
    name: String,
    dropped: u64,
    leader: Option<OwnerId>,
}

struct Event {
    handler: HandlerId,
    queue: QueueId,
    kind: EventKind,
    at: Timestamp,
    about: About,
    failed: Option<FailedEvent>,
}

impl Outbox {
    pub(crate) fn open(&mut self, name: &str) -> HandlerId {
        let known = self.handlers.iter().position(|known| known.name.eq_ignore_ascii_case(name));
        let index = known.unwrap_or_else(|| {
            self.handlers.push(Handler { name: name.to_owned(), dropped: 0, leader: None });
            self.handlers.len() - 1
        });
        HandlerId(i64::try_from(index).unwrap_or(i64::MAX))
    }

    fn handler(&mut self, id: HandlerId) -> Option<&mut Handler> {
        usize::try_from(id.0).ok().and_then(|index| self.handlers.get_mut(index))
    }

    /// Makes an owner the one that delivers the events of a handler, unless another one is whose lease holds.
    pub(crate) fn lead(
        &mut self,
        handler: HandlerId,
        owner: OwnerId,
        holds: impl Fn(OwnerId) -> bool,
    ) -> bool {
        let Some(handler) = self.handler(handler) else { return false };
        if handler.leader.is_none_or(|leader| !holds(leader)) && holds(owner) {
            handler.leader = Some(owner);
        }
        handler.leader == Some(owner)
    }

    /// Returns the number of the latest event.
    pub(crate) const fn last_id(&self) -> i64 {
        self.last_id
    }

    /// Writes an event for each handler that wants it.
    pub(crate) fn tell(&mut self, batch: &Batch, kind: EventKind, about: &About) {
        let Some(wants) = &batch.wants else { return };
        let callback = match about {
            About::Action(record) => record.origin.as_ref().and_then(|o| o.callback.as_ref()),
            About::Queue(_) => None,
        };
        let callback = wants.callback.filter(|_| kind.is_end() && callback.is_some());
        for handler in wants.handlers(kind).iter().copied().chain(callback) {
            self.last_id += 1;
            let (queue, at, about) = (batch.queue, batch.now, about.clone());
            let event = Event { handler, queue, kind, at, about, failed: None };
            self.events.insert(EventId(self.last_id), event);
        }
    }

    pub(crate) fn change(&mut self, handler: HandlerId, change: &OutboxChange) {
        match change {
            OutboxChange::Settle { delivered, failed } => {
                for id in &**delivered {
                    if self.pending(handler, *id).is_some() {
                        self.events.remove(id);
                    }
                }
                for failure in &**failed {
                    if let Some(event) = self.pending(handler, failure.id) {
                        event.failed = Some(failure.clone());
                    }
                }
            }
            OutboxChange::Trim { keep } => {
                for is_failed in [false, true] {
                    let there = self.ids(handler, is_failed);
                    let keep = usize::try_from(*keep).unwrap_or(usize::MAX);
                    let beyond = there.len().saturating_sub(keep).min(OutboxChange::STEP);
                    for id in there.iter().take(beyond) {
                        self.events.remove(id);
                    }
                    if let Some(handler) = self.handler(handler) {
                        handler.dropped += beyond as u64;
                    }
                }
            }
            OutboxChange::Retry => {
                for id in self.ids(handler, true).into_iter().take(OutboxChange::STEP) {
                    if let Some(event) = self.events.get_mut(&id) {
                        event.failed = None;
                    }
                }
            }
            OutboxChange::Discard => {
                for id in self.ids(handler, true).into_iter().take(OutboxChange::STEP) {
                    self.events.remove(&id);
                }
            }
        }
    }

    fn pending(&mut self, handler: HandlerId, id: EventId) -> Option<&mut Event> {
        let event = self.events.get_mut(&id)?;
        (event.handler == handler && event.failed.is_none()).then_some(event)
    }

    /// Returns the pending or the failed events of a handler, the oldest first.
    fn ids(&self, handler: HandlerId, is_failed: bool) -> Vec<EventId> {
        let meant = |event: &Event| event.handler == handler && event.failed.is_some() == is_failed;
        self.events.iter().filter(|(_, event)| meant(event)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn page(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: &[EventId],
        limit: PageLimit,
    ) -> EventPage {
        let mut page = EventPage::default();
        let mut bytes = 0_usize;
        let ids = self.ids(handler, false).into_iter();
        let ids = ids.filter(|id| Some(*id) > after && !except.contains(id));
        for (id, event) in ids.filter_map(|id| Some((id, self.events.get(&id)?))) {
            let size = size_of(&event.about);
            bytes = bytes.saturating_add(size);
            if page.events.len() >= limit.actions
                || (bytes > limit.bytes && !page.events.is_empty())
            {
                page.more = true;
                break;
            }
            let Event { queue, kind, at, ref about, .. } = *event;
            let about = about.clone();
            page.events.push(StoredEvent { id, queue, kind, at, about, bytes: size });
        }
        page
    }

    pub(crate) fn state(&self, handler: HandlerId) -> OutboxState {
        let (pending, failed) = (self.ids(handler, false), self.ids(handler, true));
        let index = usize::try_from(handler.0).ok();
        let known = index.and_then(|index| self.handlers.get(index));
        let event = |id: Option<&EventId>| id.and_then(|id| self.events.get(id));
        OutboxState {
            pending: pending.len() as u64,
            oldest: pending.first().copied().zip(event(pending.first()).map(|event| event.at)),
            failed: failed.len() as u64,
            dropped: known.map_or(0, |handler| handler.dropped),
            last_failure: event(failed.last()).and_then(|event| event.failed.clone()),
        }
    }
}

/// Returns the number of bytes of an event's error and result, about.
fn size_of(about: &About) -> usize {
    match about {
        About::Action(record) => {
            let report = if record.report.is_empty() {
                0
            } else {
                serde_json::to_string(&record.report).map_or(0, |text| text.len())
            };
            record.error.as_ref().map_or(0, String::len) + report
        }
        About::Queue(_) => 0,
    }
}
