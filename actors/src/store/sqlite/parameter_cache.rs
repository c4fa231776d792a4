//! Cache of the parameters of waiting actions, so that they need not be read back when the actions start.
//! With a short backlog, those reads would be a good part of the writing thread's work (`super::write`).

use std::collections::HashMap;

use crate::action::{ActionId, Parameters};

/// Maximum number of actions whose parameters are kept.
const MAX_KEPT: usize = 4_096;
/// Maximum number of bytes of parameters that are kept.
const MAX_BYTES: usize = 1 << 20;

/// Parameters of waiting actions. They never change, so an entry is valid as long as its action exists.
#[derive(Debug, Default)]
pub(super) struct ParameterCache {
    kept: HashMap<ActionId, Parameters>,
    bytes: usize,
}

impl ParameterCache {
    /// Keeps an action's parameters. If the cache is full, the older entries stay: their actions start sooner.
    pub(super) fn keep(&mut self, id: ActionId, parameters: &Parameters) {
        let bytes = self.bytes + parameters.byte_len();
        if self.kept.len() < MAX_KEPT && bytes <= MAX_BYTES {
            self.kept.insert(id, parameters.clone());
            self.bytes = bytes;
        }
    }

    /// Removes and returns the parameters of an action that no longer waits.
    pub(super) fn take(&mut self, id: ActionId) -> Option<Parameters> {
        let parameters = self.kept.remove(&id)?;
        self.bytes -= parameters.byte_len();
        Some(parameters)
    }

    /// Removes everything, because a transaction was rolled back: the ids that it gave out will be used again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ActionId {
        ActionId::new(number).unwrap()
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_stay() {
        let text = |bytes: usize| Parameters::from_iter([("", "x".repeat(bytes))]);
        let mut many = ParameterCache::default();
        for number in 1..=MAX_KEPT as u64 + 1 {
            many.keep(id(number), &text(1));
        }
        assert_eq!(many.take(id(MAX_KEPT as u64 + 1)), None);
        assert_eq!(many.take(id(1)), Some(text(1)));
        assert_eq!(many.take(id(1)), None, "it was given away");

        let mut large = ParameterCache::default();
        large.keep(id(1), &text(MAX_BYTES));
        large.keep(id(2), &text(1));
        assert_eq!(large.take(id(2)), None);
        assert_eq!(large.take(id(1)), Some(text(MAX_BYTES)));
        large.keep(id(2), &text(MAX_BYTES));
        assert!(large.take(id(2)).is_some(), "there is room again");
    }
}
