//! Batches that wait for a store's writer, and their answers, which are sent even if the writer ends.

use crate::store::{Batch, BatchAnswer, BatchReply, Seal, StoreError};

/// A batch that waits for its turn. Dropped unsealed, it is answered with [`StoreError::Closed`].
pub(super) struct PendingBatch(Option<Seal>);

/// The answer to a sealed batch. Dropped unsent, it is [`StoreError::Closed`].
pub(super) struct PendingAnswer(Option<BatchAnswer>);

impl PendingBatch {
    pub(super) const fn new(seal: Seal) -> Self {
        Self(Some(seal))
    }

    /// Seals the batch: its turn has come.
    pub(super) fn seal(mut self) -> Option<(Batch, PendingAnswer)> {
        let (batch, answer) = self.0.take()?();
        Some((batch, PendingAnswer(Some(answer))))
    }
}

impl Drop for PendingBatch {
    fn drop(&mut self) {
        if let Some(seal) = self.0.take() {
            let (_, answer) = seal();
            answer(Err(StoreError::Closed));
        }
    }
}

impl PendingAnswer {
    pub(super) fn send(mut self, reply: Result<BatchReply, StoreError>) {
        if let Some(answer) = self.0.take() {
            answer(reply);
        }
    }
}

impl Drop for PendingAnswer {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Err(StoreError::Closed));
        }
    }
}
