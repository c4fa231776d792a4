//! The way of an action to a worker elsewhere, from the desk to the last byte of the reply that tells of it.

use std::fmt;

use crate::desk::Handed;

/// The actions that are handed to a worker with a reply. They go back to their queue if this is dropped before [`Handover::sent`]: the
/// worker has not got them.
#[derive(Default)]
pub struct Handover(Vec<Handed>);

impl Handover {
    pub(super) const fn of(handed: Vec<Handed>) -> Self {
        Self(handed)
    }

    /// Returns true if nothing is handed over.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves all of it to the worker: the reply was sent, as far as anybody can tell.
    pub fn sent(self) {
        self.0.into_iter().for_each(Handed::sent);
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handover").field(&self.0.len()).finish()
    }
}
