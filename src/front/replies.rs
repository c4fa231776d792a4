//! The memory that large replies share until their clients have taken them.
//!
//! A reply of at most [`SMALL`] bytes needs no room: connections are counted elsewhere. A larger one that finds none is
//! not kept while it waits, but read again once there is room for it. So clients that ask for much and take nothing
//! hold no more than this. Who asks: `mod.rs` for replies that are whole, `list.rs` for what is sent in pieces.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::System;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::run_permits::{RunPermit, in_time};
use crate::aci::error::AciError;
use crate::http::memory::{PATIENCE, SHARE};

/// How many bytes need no room; and what one share of the memory is. As for bodies, and so is the time that is waited.
pub(super) const SMALL: usize = SHARE;

/// The memory for the large replies of one endpoint.
#[derive(Debug)]
pub(super) struct Replies {
    shares: Arc<Semaphore>,
    all: u32,
    patience: Duration,
    /// While it shuts down nobody waits for room: HTTP ends soon after it, and each request is answered (Q11).
    system: Option<System>,
}

/// The room that a reply has. To be kept until its client has taken it.
#[derive(Debug, Default)]
pub struct Room {
    permit: Option<OwnedSemaphorePermit>,
    /// The place that it keeps in place of room.
    place: Option<RunPermit>,
    /// How long may be waited for another.
    until: Option<Instant>,
}

/// Takes from a body what is given to HTTP at once, which copies it: the whole would stand in memory twice.
pub(crate) fn part_of(body: &mut Bytes) -> Bytes {
    body.split_to(body.len().min(SMALL))
}

/// Other replies have the memory, and had it for as long as this one waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("other replies hold the memory for replies (MaxReplyMemory); ask again later.")]
pub(super) struct Exhausted;

impl From<Exhausted> for AciError {
    fn from(error: Exhausted) -> Self {
        Self::unavailable(&error.to_string())
    }
}

impl Room {
    const fn of(permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(permit), place: None, until: None }
    }

    /// Tells whether a reply has none: it is small.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.permit.is_none() && self.place.is_none()
    }

    /// Begins the time anew that may be waited for another.
    pub(super) const fn wait_anew(&mut self) {
        self.until = None;
    }

    fn shares(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

impl Replies {
    /// Shares so many bytes among all replies; one that is larger has to be alone.
    pub(super) fn new(memory: usize, system: Option<System>) -> Self {
        let all = memory.div_ceil(SMALL).clamp(1, Semaphore::MAX_PERMITS);
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        Self { shares: Arc::new(Semaphore::new(all as usize)), all, patience: PATIENCE, system }
    }

    /// How many shares a reply of this size needs.
    fn needs(&self, bytes: usize) -> u32 {
        if bytes <= SMALL {
            return 0;
        }
        u32::try_from(bytes.div_ceil(SMALL)).unwrap_or(u32::MAX).min(self.all)
    }

    /// Takes room for so many bytes if there is some.
    pub(super) fn at_once(&self, bytes: usize) -> Option<Room> {
        match self.needs(bytes) {
            0 => Some(Room::default()),
            shares => {
                let taken = Arc::clone(&self.shares).try_acquire_many_owned(shares);
                taken.ok().map(Room::of)
            }
        }
    }

    /// Waits for room for so many bytes until then, and no longer than the system runs. Room is given in the order in
    /// which it was asked for: whoever is the first to wait gets all that becomes free.
    async fn in_time(&self, bytes: usize, until: Instant) -> Option<Room> {
        let shares = self.needs(bytes);
        if shares == 0 {
            return Some(Room::default());
        }
        let taken = Arc::clone(&self.shares).acquire_many_owned(shares);
        // It fails only where the memory is closed, which it never is.
        in_time(taken, until, self.system.as_ref()).await?.ok().map(Room::of)
    }

    /// Finds room for what can't be read again. Where there is none after some seconds it is sent all the same, and keeps
    /// this place until it was taken: of such places there are few.
    pub(super) async fn only_once(&self, bytes: usize, place: RunPermit) -> Room {
        let room = self.in_time(bytes, Instant::now() + self.patience).await;
        room.unwrap_or_else(|| Room { place: Some(place), ..Room::default() })
    }

    /// Tells whether so many bytes fit into a room, which becomes a larger one if there is one at once.
    pub(super) fn fit(&self, bytes: usize, room: &mut Room) -> bool {
        if self.needs(bytes) as usize <= room.shares() {
            return true;
        }
        // First given back: those who hold some and wait for more would wait for each other.
        room.permit = None;
        match self.at_once(bytes) {
            Some(larger) => room.permit = larger.permit,
            None => return false,
        }
        true
    }

    /// Waits for what did not fit, which must have been dropped: it is to be read again, and may have grown. All waits for
    /// one room together take some seconds at most.
    pub(super) async fn wait(&self, bytes: usize, room: &mut Room) -> Result<(), Exhausted> {
        let until = *room.until.get_or_insert_with(|| Instant::now() + self.patience);
        room.permit = self.in_time(bytes, until).await.ok_or(Exhausted)?.permit;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn four_shares() -> Replies {
        Replies { patience: Duration::from_millis(20), ..Replies::new(4 * SMALL, None) }
    }

    /// Reads something of each of these sizes, one after the other, until it fits; which it was.
    async fn read(replies: &Replies, room: &mut Room, sizes: &[usize]) -> Result<usize, Exhausted> {
        for (reads, size) in (1..).zip(sizes) {
            if replies.fit(*size, room) {
                return Ok(reads);
            }
            replies.wait(*size, room).await?;
        }
        panic!("read {} times", sizes.len());
    }

    #[actix_web::test]
    async fn small_replies_need_no_room() {
        let replies = four_shares();
        let all = replies.at_once(4 * SMALL).unwrap();
        assert_eq!((all.shares(), replies.shares.available_permits()), (4, 0));
        let mut room = Room::default();
        assert_eq!(read(&replies, &mut room, &[SMALL]).now_or_never(), Some(Ok(1)));
        assert_eq!(room.shares(), 0);
        assert!(replies.at_once(SMALL + 1).is_none());
        drop(all);
        assert_eq!(replies.shares.available_permits(), 4);
    }

    #[actix_web::test]
    async fn a_reply_larger_than_all_has_to_be_alone() {
        let replies = four_shares();
        let (mut large, mut other) = (Room::default(), Room::default());
        assert_eq!(read(&replies, &mut large, &[100 * SMALL]).now_or_never(), Some(Ok(1)));
        assert_eq!(read(&replies, &mut other, &[2 * SMALL]).await, Err(Exhausted));
        drop(large);
        other = Room::default();
        assert_eq!(read(&replies, &mut other, &[2 * SMALL]).await, Ok(1));
        assert_eq!(replies.shares.available_permits(), 2);
    }

    #[actix_web::test]
    async fn what_waits_is_read_again_and_may_have_grown() {
        let replies = Replies { patience: Duration::from_secs(60), ..four_shares() };
        let first = replies.at_once(3 * SMALL).unwrap();
        let mut room = Room::default();
        let mut reading = Box::pin(read(&replies, &mut room, &[2 * SMALL, 4 * SMALL]));
        assert_eq!((&mut reading).now_or_never(), None);
        drop(first);
        assert_eq!(reading.await, Ok(2), "and there was room at once for what had grown");
        assert_eq!((room.shares(), replies.shares.available_permits()), (4, 0));
    }

    /// Nobody who waits holds any for long.
    #[actix_web::test]
    async fn those_who_wait_all_get_room() {
        let replies = Replies { patience: Duration::from_secs(60), ..four_shares() };
        let until = Instant::now() + replies.patience;
        let each = (0..50).map(|n| {
            let replies = &replies;
            async move {
                let room = replies.in_time((1 + n % 5) * SMALL + 1, until).await;
                tokio::task::yield_now().await;
                assert!(room.is_some());
            }
        });
        futures_util::future::join_all(each).await;
        assert_eq!(replies.shares.available_permits(), 4);
    }

    #[actix_web::test]
    async fn what_is_nowhere_else_is_sent_in_the_end_and_keeps_its_place() {
        let replies = four_shares();
        let places = Arc::new(Semaphore::new(1));
        let place = async || Arc::new(Arc::clone(&places).acquire_owned().await.unwrap());
        for (bytes, shares) in [(SMALL, 0), (2 * SMALL, 2)] {
            let room = replies.only_once(bytes, place().await).await;
            assert_eq!((room.shares(), places.available_permits()), (shares, 1));
        }
        let _held = replies.at_once(4 * SMALL).unwrap();
        let room = replies.only_once(2 * SMALL, place().await).await;
        assert!(!room.is_none());
        assert_eq!(places.available_permits(), 0);
        drop(room);
        assert_eq!(places.available_permits(), 1);
    }

    /// A second wait, long after the first, has time of its own once it is begun anew.
    #[actix_web::test]
    async fn a_wait_that_is_begun_anew_has_all_its_time() {
        let replies = four_shares();
        let held = replies.at_once(4 * SMALL).unwrap();
        let mut room = Room::default();
        assert_eq!(replies.wait(2 * SMALL, &mut room).await, Err(Exhausted));
        assert_eq!(replies.wait(2 * SMALL, &mut room).now_or_never(), Some(Err(Exhausted)));
        room.wait_anew();
        assert_eq!(replies.wait(2 * SMALL, &mut room).now_or_never(), None);
        drop(held);
    }

    #[test]
    fn any_number_is_a_memory() {
        for memory in [0, 1, SMALL, usize::MAX] {
            let replies = Replies::new(memory, None);
            let mut room = replies.at_once(usize::MAX).unwrap();
            assert!(room.shares() > 0 && replies.fit(usize::MAX, &mut room));
        }
    }
}
