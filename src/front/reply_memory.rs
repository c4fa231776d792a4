//! Memory for large replies, reserved until their clients have taken them.
//!
//! A reply of at most [`SMALL`] bytes needs none. For a larger one it is reserved before the data is read, so that clients
//! that ask for much and take nothing hold no more than `MaxReplyMemory`, and those that wait hold nothing. `dispatch.rs`
//! reserves for whole replies, `list.rs` for streamed ones.

use std::sync::Arc;

use actiond_actors::System;
use arc_swap::ArcSwap;
use bytes::Bytes;

use super::run_permits::RunPermit;
use crate::http::memory::{Budget, Reservation, SHARE};

/// Number of bytes that need no reservation.
pub(super) const SMALL: usize = SHARE;

/// The memory budget for the large replies of one endpoint.
#[derive(Debug)]
pub(super) struct ReplyBudget(ArcSwap<Budget>);

/// The memory that is reserved for a reply. Keep it until the client has taken the reply.
#[derive(Debug, Default)]
pub struct ReplyMemory {
    reservation: Option<Reservation<Arc<Budget>>>,
    /// The permit that it keeps in place of a reservation.
    permit: Option<RunPermit>,
}

/// Splits off the part of a body to give to HTTP at a time. HTTP copies it, so the whole would be in memory twice.
pub(crate) fn part_of(body: &mut Bytes) -> Bytes {
    body.split_to(body.len().min(SMALL))
}

/// Error: other replies held the memory for as long as this one waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("other replies hold the memory for replies (MaxReplyMemory); ask again later.")]
pub(super) struct NoReplyMemory;

impl ReplyMemory {
    /// Returns true if nothing is reserved, because the reply is small.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.reservation.as_ref().is_none_or(|reservation| !reservation.holds_any())
            && self.permit.is_none()
    }

    /// Allows the full time for waiting again.
    pub(super) fn reset_patience(&mut self) {
        self.reservation.iter_mut().for_each(Reservation::reset_patience);
    }
}

impl ReplyBudget {
    /// Makes a budget of so many bytes; a larger reply has to be alone. While the system shuts down no reply waits for memory:
    /// HTTP ends soon after it, and each request is answered (Q11).
    pub(super) fn new(memory: usize, system: System) -> Self {
        Self(ArcSwap::from_pointee(Budget::for_replies(memory, move || system.is_draining())))
    }

    /// Replaces the budget. Replies that hold memory of the earlier one go on, and count there.
    pub(super) fn replace(&self, memory: usize, system: System) {
        self.0.swap(Self::new(memory, system).0.into_inner());
    }

    /// Makes a budget of so many bytes, with this time for waiting.
    #[cfg(test)]
    pub(super) fn patient(memory: usize, patience: std::time::Duration) -> Self {
        Self(ArcSwap::from_pointee(Budget::for_replies(memory, || false).patient(patience)))
    }

    /// Returns the reservation, unless so many bytes need none.
    fn reservation<'r>(
        &self,
        bytes: usize,
        memory: &'r mut ReplyMemory,
    ) -> Option<&'r mut Reservation<Arc<Budget>>> {
        if bytes <= SMALL {
            return memory.reservation.as_mut();
        }
        Some(memory.reservation.get_or_insert_with(|| Reservation::of(self.0.load_full())))
    }

    /// Reserves so many bytes if they are free; returns true if it did.
    pub(super) fn try_reserve(&self, bytes: usize, memory: &mut ReplyMemory) -> bool {
        self.reservation(bytes, memory).is_none_or(|reservation| reservation.try_reserve(bytes))
    }

    /// Waits for memory for so many bytes that have not been read yet. All waits for one reply together take some seconds at
    /// most.
    pub(super) async fn reserve(
        &self,
        bytes: usize,
        memory: &mut ReplyMemory,
    ) -> Result<(), NoReplyMemory> {
        match self.reservation(bytes, memory) {
            Some(reservation) => reservation.reserve(bytes).await.map_err(|_| NoReplyMemory),
            None => Ok(()),
        }
    }

    /// Makes the reservation as large as the reply that was written. If that is larger than expected, waits for more memory and
    /// keeps what it has, since the reply is not made again.
    pub(super) async fn fit(
        &self,
        bytes: usize,
        memory: &mut ReplyMemory,
    ) -> Result<(), NoReplyMemory> {
        let Some(reservation) = self.reservation(bytes, memory) else { return Ok(()) };
        reservation.grow_to(bytes, bytes).await.map_err(|_| NoReplyMemory)?;
        reservation.shrink_to(bytes);
        Ok(())
    }

    /// Reserves memory for a reply that exists nowhere else. If none is free after some seconds, the reply is sent all the same,
    /// and keeps this permit until the client has taken it: there are few permits.
    pub(super) async fn reserve_or_keep_permit(
        &self,
        bytes: usize,
        permit: RunPermit,
    ) -> ReplyMemory {
        let mut memory = ReplyMemory::default();
        if self.reserve(bytes, &mut memory).await.is_err() {
            memory.permit = Some(permit);
        }
        memory
    }
}

#[cfg(test)]
mod tests {
    use actiond_actors::QueueSettings;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::kinds::echo::Echo;

    #[tokio::test(start_paused = true)]
    async fn what_is_nowhere_else_is_sent_in_the_end_and_keeps_its_permit() {
        let replies = ReplyBudget(ArcSwap::from_pointee(Budget::for_replies(4 * SMALL, || false)));
        let permits = Arc::new(Semaphore::new(1));
        let permit = async || Arc::new(Arc::clone(&permits).acquire_owned().await.unwrap());
        for (bytes, has_none) in [(SMALL, true), (2 * SMALL, false)] {
            let memory = replies.reserve_or_keep_permit(bytes, permit().await).await;
            assert_eq!((memory.is_none(), permits.available_permits()), (has_none, 1));
        }
        let mut reservation = ReplyMemory::default();
        assert!(replies.try_reserve(4 * SMALL, &mut reservation));
        let memory = replies.reserve_or_keep_permit(2 * SMALL, permit().await).await;
        assert!(!memory.is_none());
        assert_eq!(permits.available_permits(), 0);
        drop(memory);
        assert_eq!(permits.available_permits(), 1);
    }

    #[actix_web::test]
    async fn nobody_waits_for_room_while_the_system_shuts_down() {
        let directory = tempfile::tempdir().unwrap();
        let building = System::builder(directory.path());
        let system = building.queue("Work", QueueSettings::default(), Echo).start().await.unwrap();
        let replies = ReplyBudget::new(4 * SMALL, system.clone());
        let (mut reservation, mut other) = (ReplyMemory::default(), ReplyMemory::default());
        assert!(replies.try_reserve(4 * SMALL, &mut reservation));
        system.shutdown(std::time::Duration::from_secs(1)).await;
        let within = std::time::Duration::from_secs(3);
        let waited = tokio::time::timeout(within, replies.reserve(2 * SMALL, &mut other)).await;
        assert_eq!(waited.unwrap(), Err(NoReplyMemory), "it is known before its patience is over");
    }
}
