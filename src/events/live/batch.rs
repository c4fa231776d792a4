//! The events for which the listeners of one HTTP worker are woken together. With them goes what tells a listener at once that
//! there is nothing for it: most of many want little of what happens.

use std::collections::HashSet;
use std::sync::Arc;

use super::Event;
use super::told::Types;

/// Events with numbers that follow one another.
#[derive(Debug)]
pub(crate) struct Batch {
    events: Vec<Arc<Event>>,
    /// Number of the first event.
    first: u64,
    /// Their types.
    pub(super) types: Types,
    /// The queues that they are about.
    pub(super) queues: Vec<Arc<str>>,
    /// The actions that they are about, by id and queue time.
    pub(super) actions: HashSet<(u64, i64)>,
}

impl Batch {
    /// Makes one of these events, of which the first has this number.
    pub(crate) fn new(first: u64, events: Vec<Arc<Event>>) -> Self {
        let (mut types, mut queues, mut actions) =
            (Types::NONE, Vec::<Arc<str>>::new(), HashSet::new());
        for told in events.iter().map(|event| event.told()) {
            types = types.and(told.event_type);
            if !queues.contains(&told.queue) {
                queues.push(Arc::clone(&told.queue));
            }
            actions.extend(told.key());
        }
        Self { events, first, types, queues, actions }
    }

    /// Returns the events from this number on; `None` if it is none of theirs.
    pub(crate) fn from(&self, number: u64) -> Option<&[Arc<Event>]> {
        let skip = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.events.get(skip..)
    }

    /// Returns the number of the event after the last.
    pub(crate) fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }
}
