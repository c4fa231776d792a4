//! The filter of a listener.

use std::collections::HashMap;

use super::batch::Batch;
use super::told::{EventType, Told, Types};

/// An action as a token names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedAction {
    pub(crate) queue: String,
    pub(crate) id: u64,
    pub(crate) queued_ms: i64,
}

/// The events that a listener wants to hear: those of these types, of these queues and about these actions.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    types: Types,
    /// The names of queues; `None` for all.
    queues: Option<Vec<String>>,
    /// The queues of the actions of this id and queue time; `None` for all actions, and for the queues themselves. Counts of
    /// queues are told in any case, if they are wanted.
    actions: Option<HashMap<(u64, i64), Vec<String>>>,
}

impl Filter {
    pub(crate) fn new(
        types: Types,
        queues: Option<Vec<String>>,
        actions: Option<Vec<NamedAction>>,
    ) -> Self {
        let actions = actions.map(|actions| {
            let mut by_id: HashMap<_, Vec<String>> = HashMap::new();
            for NamedAction { queue, id, queued_ms } in actions {
                let queues = by_id.entry((id, queued_ms)).or_default();
                if !queues.contains(&queue) {
                    queues.push(queue);
                }
            }
            by_id
        });
        Self { types, queues, actions }
    }

    /// Sets the queues to hear of; `None` for all.
    pub(crate) fn set_queues(&mut self, queues: Option<Vec<String>>) {
        self.queues = queues;
    }

    /// Returns true if the listener wants to hear this.
    pub(crate) fn wants(&self, told: &Told) -> bool {
        let is = |name: &String| name.eq_ignore_ascii_case(&told.queue);
        self.types.has(told.event_type)
            && self.queues.as_ref().is_none_or(|queues| queues.iter().any(is))
            && (told.event_type == EventType::Counts || self.wants_action(told))
    }

    fn wants_action(&self, told: &Told) -> bool {
        let is = |name: &String| name.eq_ignore_ascii_case(&told.queue);
        self.actions.as_ref().is_none_or(|actions| {
            let named = told.key().and_then(|key| actions.get(&key));
            named.is_some_and(|queues| queues.iter().any(is))
        })
    }

    /// Returns true if the listener wants the counts of queues.
    pub(crate) const fn wants_counts(&self) -> bool {
        self.types.has(EventType::Counts)
    }

    /// Returns false if the listener wants none of these.
    pub(crate) fn may_want(&self, batch: &Batch) -> bool {
        let is = |name: &String| batch.queues.iter().any(|queue| name.eq_ignore_ascii_case(queue));
        self.types.meet(batch.types)
            && self.queues.as_ref().is_none_or(|queues| queues.iter().any(is))
            && (self.wants_counts() && batch.types.has(EventType::Counts)
                || self.actions.as_ref().is_none_or(|actions| {
                    actions.keys().any(|action| batch.actions.contains(action))
                }))
    }
}
