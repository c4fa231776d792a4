//! The part of a handler's actor about receivers that take nothing for now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::receivers::Receiver;
use super::super::{OutboxEvent, Undelivered};
use super::{HandlerActor, MAX_HELD, MAX_HELD_BYTES};

/// Maximum time for which a receiver is left alone because it says so.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// Number of events that are held at most for a receiver that takes nothing while others do; and when memory is scarce. Each is tried
/// as often as it may be, one after the other, so the more there are the longer it takes until one of them has failed.
const HELD_OF_DOWN: usize = 8;
const HELD_OF_DOWN_AT_LEAST: usize = 1;
/// Time between two looks at all events while some of them are passed over.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);

impl HandlerActor {
    /// Leaves a receiver alone for a while, since it takes nothing for now.
    pub(super) fn pause(&mut self, receiver: &Receiver, why: &Undelivered) {
        let asked = why.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let settings = self.settings;
        let until = |times| Instant::now() + settings.pause(times).max(asked);
        if self.receivers.found_down(receiver, until) == Some(1) {
            let (name, who) = (self.shared.name(), shown(receiver));
            log::warn!(
                "handler {name}: {who} takes nothing for now, and events wait: {}",
                why.error
            );
        }
    }

    /// Leaves events of a receiver in the store that takes nothing for now: they must not take up the room that those of others need.
    pub(super) fn shed(&mut self, receiver: &Receiver) {
        let keep = self.most_held_of_down();
        if !self.receivers.is_down_alone(receiver) || self.lanes.held(receiver) <= keep {
            return;
        }
        let was_tried = |event: &Arc<OutboxEvent>| self.failures.contains_key(&event.id);
        let removed = self.lanes.shed(receiver, keep, was_tried);
        if !removed.is_empty() {
            self.receivers.leave(receiver);
        }
        for event in removed {
            self.let_go(event.id);
        }
    }

    /// Tells whether an event that was read is left in the store.
    pub(super) fn leaves(&mut self, receiver: &Receiver) -> bool {
        let is_beyond = self.receivers.is_down_alone(receiver)
            && self.lanes.held(receiver) >= self.most_held_of_down();
        if is_beyond {
            self.receivers.leave(receiver);
        }
        self.receivers.is_left(receiver)
    }

    fn most_held_of_down(&self) -> usize {
        let is_scarce = self.held.len() > MAX_HELD / 2 || self.held_bytes > MAX_HELD_BYTES / 2;
        if is_scarce { HELD_OF_DOWN_AT_LEAST } else { HELD_OF_DOWN }
    }

    /// Has all events read again from time to time, while some are passed over: they may be wanted now, and others stand before them.
    pub(super) fn look_at_all(&mut self) {
        let all_are_late = self.read_all_at.elapsed() >= LOOK_AT_ALL;
        if self.receivers.any_left(|receiver| all_are_late || self.lanes.held(receiver) == 0) {
            (self.reads_all, self.look) = (true, true);
        }
    }
}

/// Returns a receiver as it is called in the log.
pub(super) fn shown(receiver: &Receiver) -> &str {
    receiver.as_deref().unwrap_or("its receiver")
}
