//! The room in memory that large replies need until their clients have taken them.
//!
//! A reply of at most [`SMALL`] bytes needs none. For a larger one it is found before what it shows is read, so that clients
//! that ask for much and take nothing hold no more than `MaxReplyMemory`, and those who wait hold nothing. Who asks:
//! `dispatch.rs` for replies that are whole, `list.rs` for what is sent in pieces.

use std::sync::Arc;

use actiond_actors::System;
use bytes::Bytes;

use super::run_permits::RunPermit;
use crate::http::memory::{Budget, Reservation, SHARE};

/// The number of bytes that need no room.
pub(super) const SMALL: usize = SHARE;

/// The memory for the large replies of one endpoint.
#[derive(Debug)]
pub(super) struct ReplyBudget(Arc<Budget>);

/// The room that a reply has. To be kept until its client has taken it.
#[derive(Debug, Default)]
pub struct ReplyMemory {
    reservation: Option<Reservation<Arc<Budget>>>,
    /// The permit that it keeps in place of room.
    permit: Option<RunPermit>,
}

/// Takes from a body what is given to HTTP at once, which copies it: the whole would stand in memory twice.
pub(crate) fn part_of(body: &mut Bytes) -> Bytes {
    body.split_to(body.len().min(SMALL))
}

/// Other replies have the memory, and had it for as long as this one waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("other replies hold the memory for replies (MaxReplyMemory); ask again later.")]
pub(super) struct NoReplyMemory;

impl ReplyMemory {
    /// Returns true if a reply has none: it is small.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.reservation.as_ref().is_none_or(|reservation| !reservation.holds_any())
            && self.permit.is_none()
    }

    /// Begins the time anew that may be waited for another.
    pub(super) fn reset_patience(&mut self) {
        self.reservation.iter_mut().for_each(Reservation::reset_patience);
    }
}

impl ReplyBudget {
    /// Shares so many bytes among all replies; one that is larger has to be alone. While the system shuts down nobody waits
    /// for room: HTTP ends soon after it, and each request is answered (Q11).
    pub(super) fn new(memory: usize, system: System) -> Self {
        Self(Arc::new(Budget::for_replies(memory, move || system.is_draining())))
    }

    /// Shares so many bytes; each waits so long.
    #[cfg(test)]
    pub(super) fn patient(memory: usize, patience: std::time::Duration) -> Self {
        Self(Arc::new(Budget::for_replies(memory, || false).patient(patience)))
    }

    /// Returns what a room holds, unless it needs nothing for so many bytes.
    fn reservation<'r>(
        &self,
        bytes: usize,
        memory: &'r mut ReplyMemory,
    ) -> Option<&'r mut Reservation<Arc<Budget>>> {
        if bytes <= SMALL {
            return memory.reservation.as_mut();
        }
        Some(memory.reservation.get_or_insert_with(|| Reservation::of(Arc::clone(&self.0))))
    }

    /// Returns true if there is room for so many bytes, and takes it.
    pub(super) fn try_reserve(&self, bytes: usize, memory: &mut ReplyMemory) -> bool {
        self.reservation(bytes, memory).is_none_or(|reservation| reservation.try_reserve(bytes))
    }

    /// Waits for room for so many bytes that have not been read yet. All waits for one room together take some seconds at most.
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

    /// Makes the room as large as what has been written. Where it became larger than was expected, it waits for more, and
    /// keeps what it has: it is not made again.
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

    /// Finds room for what is nowhere else. Where there is none after some seconds it is sent all the same, and keeps
    /// this permit until it was taken: of these there are few.
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
        let replies = ReplyBudget(Arc::new(Budget::for_replies(4 * SMALL, || false)));
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
