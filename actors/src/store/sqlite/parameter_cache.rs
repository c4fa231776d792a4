//! What actions that wait were given, as far as there is room for it: it need not be read back when they start.
//! Where a few wait all the time, that is a good part of what the writing thread does (`super::write`).

use std::collections::HashMap;

use crate::action::{ActionId, Parameters};

/// How many actions' parameters are kept.
const MAX_KEPT: usize = 4_096;
/// How many bytes of parameters are kept.
const MAX_BYTES: usize = 1 << 20;

/// The parameters of actions that wait. They never change, so what is kept is true as long as its action is.
#[derive(Debug, Default)]
pub(super) struct ParameterCache {
    kept: HashMap<ActionId, Parameters>,
    bytes: usize,
}

impl ParameterCache {
    /// Keeps what an action was given. Where there is no room, what came before stays: it starts sooner.
    pub(super) fn keep(&mut self, id: ActionId, parameters: &Parameters) {
        let bytes = self.bytes + parameters.byte_len();
        if self.kept.len() < MAX_KEPT && bytes <= MAX_BYTES {
            self.kept.insert(id, parameters.clone());
            self.bytes = bytes;
        }
    }

    /// Gives away what was kept of an action that waits no more.
    pub(super) fn take(&mut self, id: ActionId) -> Option<Parameters> {
        let parameters = self.kept.remove(&id)?;
        self.bytes -= parameters.byte_len();
        Some(parameters)
    }

    /// Forgets everything: a transaction failed, and ids that were given out in it will be others'.
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
