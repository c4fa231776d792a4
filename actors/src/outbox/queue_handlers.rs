//! The handlers of one queue, as its batches name them.

use std::sync::Arc;

use super::{EventHandlers, HandlerShared};
use crate::store::{EventKind, EventWants};

/// The handlers that are told of the events of a queue.
#[derive(Debug)]
pub(crate) struct QueueHandlers {
    wants: Arc<EventWants>,
    handlers: Vec<Arc<HandlerShared>>,
}

impl QueueHandlers {
    /// Finds the handlers of these names among those of the system; returns the first name that is not there as an error, and `None`
    /// if there are none.
    pub(crate) fn find(
        named: &EventHandlers,
        known: &[Arc<HandlerShared>],
    ) -> Result<Option<Arc<Self>>, String> {
        let (mut wants, mut handlers) = (EventWants::default(), Vec::<Arc<HandlerShared>>::new());
        let mut find = |name: &str| {
            let found = known.iter().find(|handler| handler.name().eq_ignore_ascii_case(name));
            let found = found.ok_or_else(|| name.to_owned())?;
            if !handlers.iter().any(|handler| handler.id() == found.id()) {
                handlers.push(Arc::clone(found));
            }
            Ok::<_, String>(found.id())
        };
        for (kind, name) in named.iter() {
            wants.add(kind, find(name)?);
        }
        wants.callback = named.callbacks.as_deref().map(find).transpose()?;
        let told = (!wants.is_empty()).then(|| Self { wants: Arc::new(wants), handlers });
        Ok(told.map(Arc::new))
    }

    pub(crate) fn wants(&self) -> &Arc<EventWants> {
        &self.wants
    }

    /// Tells whether somebody wants events of this kind.
    pub(crate) fn want(&self, kind: EventKind) -> bool {
        !self.wants.handlers(kind).is_empty()
    }

    /// Tells whether it is this server that writes changes of the fill level down: of servers that share a store each finds the same.
    pub(crate) fn tells_level(&self) -> bool {
        let first = self.wants.handlers(EventKind::Queue).first();
        let first = first.and_then(|id| self.handlers.iter().find(|handler| handler.id() == *id));
        first.is_some_and(|handler| handler.leads())
    }

    /// Has the handlers look for new events.
    pub(crate) fn wake(&self) {
        for handler in &self.handlers {
            handler.wake();
        }
    }
}
