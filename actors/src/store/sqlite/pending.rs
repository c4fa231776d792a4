//! Batches that wait for the writing thread, and the answers that it owes: paid also where it ends before.

use crate::store::{Batch, BatchAnswer, BatchReply, Seal, StoreError};

/// A batch that waits for its turn. Dropped before that, it is answered with [`StoreError::Closed`].
pub(super) struct Due(Option<Seal>);

/// The answer to a sealed batch. Dropped unpaid, it is [`StoreError::Closed`].
pub(super) struct Owed(Option<BatchAnswer>);

impl Due {
    pub(super) const fn new(seal: Seal) -> Self {
        Self(Some(seal))
    }

    /// Seals the batch: its turn has come.
    pub(super) fn seal(mut self) -> Option<(Batch, Owed)> {
        let (batch, answer) = self.0.take()?();
        Some((batch, Owed(Some(answer))))
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if let Some(seal) = self.0.take() {
            let (_, answer) = seal();
            answer(Err(StoreError::Closed));
        }
    }
}

impl Owed {
    pub(super) fn pay(mut self, reply: Result<BatchReply, StoreError>) {
        if let Some(answer) = self.0.take() {
            answer(reply);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Err(StoreError::Closed));
        }
    }
}
