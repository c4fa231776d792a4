//! Live events, as far as they are requests: who may hear what, and what there is to send next.
//!
//! | module | contents |
//! |---|---|
//! | here | one who listens |
//! | `asked` | what a listener asks for: the parameters |
//! | `counts` | tells the counts of queues |
//! | `form` | the form of events |

mod asked;
mod counts;
mod form;

use std::sync::Arc;

use bytes::Bytes;
use chrono::Local;

use super::authorize::{refused, to_see};
use super::endpoint::Endpoint;
use super::message::Caller;
use super::scrape::count_refusal;
use crate::access::{Access, Concerned, Wanted};
use crate::aci::error::AciError;
use crate::aci::request::Pairs;
use crate::aci::response::{self, ResponseFormat};
use crate::aci::time::error_time;
use crate::events::live::{
    Batch, Begins, Behind, Counting, Event, Filter, Listener, LiveEvents, Position,
};
use asked::{Asked, LAST_EVENT_ID};

/// The name under which errors speak of the request.
const EVENTS: &str = "Events";

/// Writes the body of a refusal.
pub(crate) fn error_body(endpoint: &Endpoint, error: &AciError, format: ResponseFormat) -> Vec<u8> {
    response::error(EVENTS, error, &error_time(endpoint.now_ms(), &Local), format)
}

/// Bytes that are sent at once, but for a single event that has more.
const PART: usize = 16 << 10;

/// Number of times that some events are read before others have their turn.
const ROUNDS: usize = 16;

/// One who listens, and may.
pub(crate) struct Hearing {
    endpoint: Endpoint,
    caller: Caller,
    listener: Listener,
    /// While it wants the counts of queues.
    _counting: Option<Counting>,
    /// The queues that were asked for; `None` for all.
    asked: Option<Vec<String>>,
    filter: Filter,
    /// The rules by which it may hear what the filter lets through.
    access: Arc<Access>,
    begins: Begins,
    /// True once it has heard all that was kept when it began, so that what it is woken for is all that it needs.
    is_up_to_date: bool,
    /// Said at the beginning.
    warnings: Vec<String>,
}

/// The next part of the stream.
pub(crate) enum Part {
    /// Events.
    Some(Bytes),
    /// Nothing until there is news.
    None,
    /// Nothing so far, and more to look at.
    NotYet,
    /// Nothing more, for this reason.
    Over(&'static str),
}

impl Endpoint {
    /// Begins to tell a caller of the events that the parameters name. `last_event_id` is the header of a client that comes back.
    ///
    /// # Errors
    ///
    /// [`AciError::permission`] if the caller may not see one of the queues, or none at all, [`AciError::unavailable`] if as many
    /// listen as may, and others for parameters that can't be understood. Each is counted.
    pub(crate) fn listen(
        &self,
        live: &LiveEvents,
        caller: Caller,
        pairs: &Pairs,
        last_event_id: Option<&str>,
    ) -> Result<Hearing, AciError> {
        let hearing = self.hearing(live, caller, pairs, last_event_id);
        if let Err(error) = &hearing {
            count_refusal(self, None, error);
        }
        hearing
    }

    fn hearing(
        &self,
        live: &LiveEvents,
        caller: Caller,
        pairs: &Pairs,
        last_event_id: Option<&str>,
    ) -> Result<Hearing, AciError> {
        let access = Arc::clone(&self.access());
        // First: errors about parameters tell the names of queues.
        let seen = self.visible(&access, &caller, None)?;
        let Asked { queues: asked, actions, types, warnings } =
            self.asked(pairs, seen.as_deref())?;
        // The queue of an action is asked for, too.
        let of_actions = actions.iter().flatten().map(|action| action.queue.as_str());
        for queue in asked.iter().flatten().map(String::as_str).chain(of_actions) {
            if !access.allows(&caller, &to_see(queue)) {
                return Err(refused(&access, &caller, &to_see(queue)));
            }
        }
        let queues = self.visible(&access, &caller, asked.as_deref())?;
        let filter = Filter::new(types, queues, actions);
        // A browser sends the header when it comes back, and the address that its page gave it stays as it was.
        let last = last_event_id.or_else(|| pairs.given(LAST_EVENT_ID));
        let (listener, begins) = live.listen(last).map_err(|most| {
            AciError::unavailable(&format!(
                "{most} clients listen to events, and no more may at a time (MaxEventListeners={most})"
            ))
        })?;
        let counting = filter.wants_counts().then(|| self.count_for(live));
        Ok(Hearing {
            endpoint: self.clone(),
            _counting: counting,
            caller,
            listener,
            asked,
            filter,
            access,
            begins,
            is_up_to_date: false,
            warnings,
        })
    }

    /// Returns the queues, among those that were asked for, that a caller may see: `None` for all that there are.
    fn visible(
        &self,
        access: &Access,
        caller: &Caller,
        asked: Option<&[String]>,
    ) -> Result<Option<Vec<String>>, AciError> {
        let all = self.queues();
        let mut visible = self.visible_queues(access, caller);
        visible.retain(|name| asked.is_none_or(|asked| asked.contains(name)));
        match all.first() {
            // Without a name: it is told to those who may see nothing.
            Some(first) if visible.is_empty() => {
                let name = first.queue.name();
                let wanted = Wanted { queue: Concerned::Unknown, ..to_see(name) };
                Err(refused(access, caller, &wanted))
            }
            _ => Ok((visible.len() < all.len()).then_some(visible)),
        }
    }
}

impl Hearing {
    /// Returns where it begins.
    pub(crate) const fn begins(&self) -> Begins {
        self.begins
    }

    /// Returns what is to be said at the beginning, each a line.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the position up to which everything was heard.
    pub(crate) fn position(&self) -> Position {
        self.listener.position()
    }

    /// Returns the next events that it may hear and wants to. `batch` is that for which it was woken last.
    pub(crate) fn next(&mut self, batch: Option<&Batch>) -> Part {
        if !self.may_go_on() {
            return Part::Over("what you may see has changed");
        }
        let mut part = Gathered::None;
        if self.is_up_to_date
            && let Some(batch) = batch
        {
            if self.listener.next() >= batch.next() {
                return Part::None;
            }
            if let Some(events) = batch.from(self.listener.next()) {
                if self.filter.may_want(batch) && !self.gather(events, &mut part) {
                    return part.or(Part::NotYet);
                }
                self.listener.pass_on_to(batch.next());
                return part.or(Part::None);
            }
        }
        self.is_up_to_date = false;
        for _ in 0..ROUNDS {
            let events = match self.listener.hear() {
                Ok(events) => events,
                Err(Behind) => return part.or(Part::Over("you were too slow")),
            };
            if events.is_empty() {
                self.is_up_to_date = true;
                return part.or(Part::None);
            }
            if !self.gather(&events, &mut part) {
                break;
            }
        }
        part.or(Part::NotYet)
    }

    /// Adds the wanted ones of these events to a part; returns false if that is full before they are at an end.
    fn gather(&mut self, events: &[Arc<Event>], part: &mut Gathered) -> bool {
        for event in events {
            if part.len() >= PART {
                return false;
            }
            self.listener.heard(event);
            if self.filter.wants(event.told()) {
                part.add(event.text(|told, out| self.endpoint.write_event(told, out)));
            }
        }
        true
    }

    /// Judges again if the rules have changed since: who listens may do so for days.
    fn may_go_on(&mut self) -> bool {
        let access = self.endpoint.access();
        if Arc::ptr_eq(&access, &self.access) {
            return true;
        }
        self.access = Arc::clone(&access);
        let visible = self.endpoint.visible(&access, &self.caller, self.asked.as_deref());
        match visible {
            Ok(queues) => {
                self.filter.set_queues(queues);
                true
            }
            Err(_) => false,
        }
    }
}

/// Events that are sent together. A single one is not copied.
enum Gathered {
    None,
    One(Bytes),
    Several(Vec<u8>),
}

impl Gathered {
    fn add(&mut self, text: &Bytes) {
        match self {
            Self::None => *self = Self::One(text.clone()),
            Self::One(first) => {
                let mut several = Vec::with_capacity((first.len() + text.len()) * 2);
                several.extend_from_slice(first);
                several.extend_from_slice(text);
                *self = Self::Several(several);
            }
            Self::Several(several) => several.extend_from_slice(text),
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(text) => text.len(),
            Self::Several(texts) => texts.len(),
        }
    }

    /// Returns what was gathered, or this if nothing was.
    fn or(self, nothing: Part) -> Part {
        match self {
            Self::None => nothing,
            Self::One(text) => Part::Some(text),
            Self::Several(texts) => Part::Some(texts.into()),
        }
    }
}
