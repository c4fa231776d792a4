//! The memory that the bodies of requests share: how much of it they may hold together, and who waits.
//!
//! A body takes its share step by step as its bytes come, so that a length that was only announced
//! costs nothing. When nothing is left, bodies wait, holding what they have. That none waits for
//! another for ever, one place is set apart: whoever has it needs no more shares and can always end.
//! Whose it is: the endpoint's, for all its workers. Who asks: `http/body.rs`.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// What one share is, in bytes. A body of a share's size or less needs none: connections are counted elsewhere.
pub(super) const SHARE: usize = 64 << 10;

/// How long a body waits for shares, all waits together, before it is refused (our choice: clients give up after 10 s).
pub(super) const PATIENCE: Duration = Duration::from_secs(6);

/// The memory for the bodies of one server.
#[derive(Debug)]
pub(crate) struct Uploads {
    /// In shares.
    common: Semaphore,
    /// The one place set apart.
    apart: Semaphore,
    /// How many shares it is worth.
    worth: usize,
    /// How many bytes a body can have that is alone.
    most: usize,
    patience: Duration,
}

/// What one body holds; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'u> {
    uploads: &'u Uploads,
    shares: Vec<SemaphorePermit<'u>>,
    apart: Option<SemaphorePermit<'u>>,
    /// How many bytes may come without asking again.
    covered: usize,
    /// How long it may still wait.
    patience: Duration,
}

/// Other bodies hold all the memory there is for them, and did so for as long as this one waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Uploads {
    /// Shares `memory` bytes among bodies of at most `largest` bytes each, at most half of it set apart. There is
    /// always memory for one such body, unless any size is allowed (`usize::MAX`).
    pub(crate) fn new(memory: usize, largest: usize) -> Self {
        let memory = if largest == usize::MAX { memory } else { memory.max(largest) };
        let all = memory.div_ceil(SHARE).clamp(2, Semaphore::MAX_PERMITS);
        let worth = largest.div_ceil(SHARE).clamp(1, all / 2);
        Self {
            common: Semaphore::new(all - worth),
            apart: Semaphore::new(1),
            worth,
            most: all.saturating_mul(SHARE),
            patience: PATIENCE,
        }
    }

    /// Returns how many bytes a body can have at all.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Begins a body.
    pub(crate) fn begin(&self) -> Held<'_> {
        let patience = self.patience;
        Held { uploads: self, shares: Vec::new(), apart: None, covered: SHARE, patience }
    }
}

impl Held<'_> {
    /// Gives back all that is held: nothing more is kept of the body.
    pub(crate) fn release(&mut self) {
        self.shares.clear();
        self.apart = None;
    }

    /// Takes memory for a body that has grown to this many bytes; waits for it if it must.
    pub(crate) async fn grow_to(&mut self, size: usize) -> Result<(), Exhausted> {
        while size > self.covered {
            let Uploads { common, apart, worth, .. } = self.uploads;
            if let Ok(share) = common.try_acquire() {
                self.shares.push(share);
                self.covered = self.covered.saturating_add(SHARE);
                continue;
            }
            let began = Instant::now();
            let set_apart = async {
                if self.apart.is_some() {
                    std::future::pending().await
                } else {
                    apart.acquire().await
                }
            };
            // Never closed, so that neither fails but by time.
            let (permit, is_share) = tokio::select! {
                biased;
                place = set_apart => (place, false),
                share = common.acquire() => (share, true),
                () = tokio::time::sleep(self.patience) => return Err(Exhausted),
            };
            let permit = permit.map_err(|_| Exhausted)?;
            self.patience = self.patience.saturating_sub(began.elapsed());
            if is_share {
                self.shares.push(permit);
                self.covered = self.covered.saturating_add(SHARE);
            } else {
                // It is enough for a whole body: what was held before is for the others.
                self.shares.clear();
                self.apart = Some(permit);
                self.covered = SHARE + worth * SHARE;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn small() -> Uploads {
        // Four shares in common, four set apart.
        Uploads { patience: Duration::from_millis(20), ..Uploads::new(8 * SHARE, 4 * SHARE) }
    }

    #[actix_web::test]
    async fn small_bodies_need_no_share() {
        let uploads = small();
        let mut bodies: Vec<_> = (0..100).map(|_| uploads.begin()).collect();
        for body in &mut bodies {
            assert_eq!(body.grow_to(SHARE).now_or_never(), Some(Ok(())));
        }
        assert_eq!(uploads.common.available_permits(), 4);
    }

    #[actix_web::test]
    async fn what_is_held_is_given_back() {
        let uploads = small();
        let mut body = uploads.begin();
        assert_eq!(body.grow_to(3 * SHARE).now_or_never(), Some(Ok(())));
        assert_eq!(uploads.common.available_permits(), 2);
        assert_eq!(body.grow_to(9 * SHARE).now_or_never(), Some(Ok(())));
        assert_eq!((uploads.common.available_permits(), uploads.apart.available_permits()), (0, 0));
        drop(body);
        assert_eq!((uploads.common.available_permits(), uploads.apart.available_permits()), (4, 1));
    }

    #[actix_web::test]
    async fn no_body_holds_more_than_there_is() {
        let uploads = small();
        let mut body = uploads.begin();
        assert_eq!(body.grow_to(9 * SHARE + 1).await, Err(Exhausted));
        for (memory, largest, most) in [(8, 4, 8), (8, 20, 20), (8, usize::MAX / SHARE + 1, 8)]
            .map(|(m, l, n)| (m * SHARE, l.saturating_mul(SHARE), n * SHARE))
        {
            let uploads = Uploads::new(memory, largest);
            assert_eq!(uploads.most(), most);
            assert_eq!(uploads.begin().grow_to(most).now_or_never(), Some(Ok(())));
        }
    }

    /// Bodies that all hold a part and all want more end one after the other.
    #[actix_web::test]
    async fn bodies_that_wait_for_each_other_end() {
        let uploads = Uploads { patience: Duration::from_secs(60), ..small() };
        let began = Instant::now();
        let bodies = (0..20).map(|_| {
            let mut body = uploads.begin();
            async move {
                for size in 1..=5 {
                    body.grow_to(size * SHARE).await?;
                    tokio::task::yield_now().await;
                }
                Ok::<_, Exhausted>(())
            }
        });
        for ended in futures_util::future::join_all(bodies).await {
            assert_eq!(ended, Ok(()));
        }
        assert!(began.elapsed() < Duration::from_secs(50));
        assert_eq!((uploads.common.available_permits(), uploads.apart.available_permits()), (4, 1));
    }

    #[actix_web::test]
    async fn who_waits_too_long_is_refused_and_the_others_go_on() {
        let uploads = small();
        let (mut first, mut second) = (uploads.begin(), uploads.begin());
        first.grow_to(9 * SHARE).await.unwrap();
        assert_eq!(second.grow_to(2 * SHARE).await, Err(Exhausted));
        drop(first);
        assert_eq!(second.grow_to(5 * SHARE).await, Ok(()));
    }

    #[test]
    fn any_numbers_make_a_budget() {
        for (memory, largest) in
            [(0, 0), (1, usize::MAX), (usize::MAX, 1), (usize::MAX, usize::MAX)]
        {
            let uploads = Uploads::new(memory, largest);
            assert!(uploads.worth > 0 && uploads.common.available_permits() > 0);
        }
    }
}
