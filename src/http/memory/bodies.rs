//! The memory that the bodies of requests share: how much of it they may hold together, and who waits.
//!
//! A body takes its share step by step as its bytes come, so that a length that was only announced
//! costs nothing. When nothing is left, bodies wait, holding what they have. That none waits for
//! another for ever, one place is set apart: whoever has it needs no more shares and can always end. And while one waits,
//! those of whose bytes nothing comes lose what they hold, the one first that was silent for the longest.
//! Whose it is: the endpoint's, for all its workers. Who asks: `body.rs`.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// What one share is, in bytes.
pub(crate) const SHARE: usize = 64 << 10;

/// How many bytes of a body need no share: about what its connection costs as well, and connections are counted
/// elsewhere. So whatever steers an action always gets through.
pub(crate) const FREE: usize = 16 << 10;

/// How long a body waits for shares, all waits together, before it is refused (our choice: clients give up after 10 s).
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);

/// How long a body may be silent before it can lose its shares to one that waits (our choice).
const SILENCE: Duration = Duration::from_secs(2);

/// A body of which fewer bytes come in that time counts as silent too.
const SOUND: usize = 4 << 10;

/// How often who waits looks for silent ones.
const LOOK_EVERY: Duration = Duration::from_millis(250);

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
    silence: Duration,
    /// Those whose next bytes are waited for.
    read: Mutex<Reading>,
}

/// The bodies that hold shares while more of them is to come from their clients.
#[derive(Debug, Default)]
struct Reading {
    last: u64,
    bodies: HashMap<u64, Waited>,
}

#[derive(Debug)]
struct Waited {
    since: Instant,
    shares: usize,
    lost: Arc<Notify>,
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
    /// Since when fewer than [`SOUND`] bytes have come, and how many there were then; once some have.
    heard: Option<(Instant, usize)>,
}

/// Other bodies hold all the memory there is for them, and did so for as long as this one waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Nothing of this body came, and others waited for the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

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
            silence: SILENCE,
            read: Mutex::default(),
        }
    }

    /// Returns how many bytes a body can have at all.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Begins a body.
    pub(crate) fn begin(&self) -> Held<'_> {
        Held {
            uploads: self,
            shares: Vec::new(),
            apart: None,
            covered: FREE,
            patience: self.patience,
            heard: None,
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        // It is whole whenever it is let go of.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, waited: Waited) -> Listed<'_> {
        let mut reading = self.reading();
        reading.last += 1;
        let id = reading.last;
        reading.bodies.insert(id, waited);
        Listed { uploads: self, id }
    }

    /// Takes their shares from those who were silent for the longest, as many as this.
    fn take_from_the_silent(&self, shares: usize) {
        let now = Instant::now();
        let mut reading = self.reading();
        let mut silent: Vec<_> = reading
            .bodies
            .iter()
            .filter(|(_, body)| now.saturating_duration_since(body.since) >= self.silence)
            .map(|(id, body)| (body.since, *id))
            .collect();
        silent.sort_unstable();
        let mut taken = 0;
        for (_, id) in silent {
            if taken >= shares {
                break;
            }
            if let Some(body) = reading.bodies.remove(&id) {
                taken += body.shares;
                body.lost.notify_one();
            }
        }
    }
}

impl Held<'_> {
    /// Gives back all that is held: nothing more is kept of the body.
    pub(crate) fn release(&mut self) {
        self.shares.clear();
        self.apart = None;
    }

    /// Waits for the next bytes of the body, while others may take what it holds if none come.
    pub(crate) async fn next<T>(&self, bytes: impl Future<Output = T>) -> Result<T, Lost> {
        let apart = self.apart.as_ref().map_or(0, |_| self.uploads.worth);
        let shares = apart + self.shares.len();
        if shares == 0 {
            return Ok(bytes.await);
        }
        let mut bytes = pin!(bytes);
        if let Some(bytes) = futures_util::future::poll_immediate(&mut bytes).await {
            return Ok(bytes);
        }
        let lost = Arc::new(Notify::new());
        let since = self.heard.map_or_else(Instant::now, |(since, _)| since);
        let waited = Waited { since, shares, lost: Arc::clone(&lost) };
        let listed = self.uploads.list(waited);
        let next = tokio::select! {
            biased;
            () = lost.notified() => Err(Lost),
            bytes = bytes => Ok(bytes),
        };
        drop(listed);
        next
    }

    /// Takes memory for a body that has grown to this many bytes, of which `announced` are to be expected; waits for it if
    /// it must.
    pub(crate) async fn grow_to(&mut self, size: usize, announced: usize) -> Result<(), Exhausted> {
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
            let wanted = announced.max(size).saturating_sub(self.covered).div_ceil(SHARE);
            let take_from_the_silent = async {
                loop {
                    self.uploads.take_from_the_silent(wanted);
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            };
            // Never closed, so that neither fails but by time.
            let (permit, is_share) = tokio::select! {
                biased;
                place = set_apart => (place, false),
                share = common.acquire() => (share, true),
                () = take_from_the_silent => return Err(Exhausted),
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
                self.covered = FREE + worth * SHARE;
            }
            // It was not its client that was silent.
            self.heard = Some((Instant::now(), size));
        }
        if self.heard.is_none_or(|(_, before)| size >= before.saturating_add(SOUND)) {
            self.heard = Some((Instant::now(), size));
        }
        Ok(())
    }
}

/// A body in the list of those that are read, until this is dropped.
struct Listed<'u> {
    uploads: &'u Uploads,
    id: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.uploads.reading().bodies.remove(&self.id);
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

    /// The size of a body that takes so many shares.
    const fn with(shares: usize) -> usize {
        FREE + shares * SHARE
    }

    #[actix_web::test]
    async fn small_bodies_need_no_share() {
        let uploads = small();
        let mut bodies: Vec<_> = (0..100).map(|_| uploads.begin()).collect();
        for body in &mut bodies {
            assert_eq!(body.grow_to(FREE, 0).now_or_never(), Some(Ok(())));
        }
        assert_eq!(uploads.common.available_permits(), 4);
    }

    #[actix_web::test]
    async fn what_is_held_is_given_back() {
        let uploads = small();
        let mut body = uploads.begin();
        assert_eq!(body.grow_to(with(2), 0).now_or_never(), Some(Ok(())));
        assert_eq!(uploads.common.available_permits(), 2);
        assert_eq!(body.grow_to(with(8), 0).now_or_never(), Some(Ok(())));
        assert_eq!((uploads.common.available_permits(), uploads.apart.available_permits()), (0, 0));
        drop(body);
        assert_eq!((uploads.common.available_permits(), uploads.apart.available_permits()), (4, 1));
    }

    #[actix_web::test]
    async fn no_body_holds_more_than_there_is() {
        let uploads = small();
        let mut body = uploads.begin();
        assert_eq!(body.grow_to(with(8) + 1, 0).await, Err(Exhausted));
        for (memory, largest, most) in [(8, 4, 8), (8, 20, 20), (8, usize::MAX / SHARE + 1, 8)]
            .map(|(m, l, n)| (m * SHARE, l.saturating_mul(SHARE), n * SHARE))
        {
            let uploads = Uploads::new(memory, largest);
            assert_eq!(uploads.most(), most);
            assert_eq!(uploads.begin().grow_to(most, 0).now_or_never(), Some(Ok(())));
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
                    body.grow_to(with(size - 1), 0).await?;
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
        first.grow_to(with(8), 0).await.unwrap();
        assert_eq!(second.grow_to(with(1), 0).await, Err(Exhausted));
        drop(first);
        assert_eq!(second.grow_to(with(4), 0).await, Ok(()));
    }

    /// Three bodies that hold all there is between them, of which nothing more comes; who is first to be silent is first to
    /// lose it, and only as many as are needed.
    #[tokio::test(start_paused = true)]
    async fn the_silent_lose_what_they_hold_to_those_who_wait() {
        let uploads = Uploads { patience: PATIENCE, ..small() };
        let never = std::future::pending::<()>;
        let mut bodies = [uploads.begin(), uploads.begin(), uploads.begin()];
        for (body, shares) in bodies.iter_mut().zip([5, 2, 1]) {
            body.grow_to(with(shares), 0).await.unwrap();
            tokio::time::sleep(SILENCE / 10).await;
        }
        let [mut apart, mut first, second] = bodies;
        let mut waits = uploads.begin();
        // Whoever is heard of again in time keeps what it has.
        tokio::time::sleep(SILENCE / 2).await;
        apart.heard = apart.heard.map(|(since, size)| (since, size - SOUND));
        apart.grow_to(with(5), 0).await.unwrap();
        let began = Instant::now();
        let (grown, by_first, by_second, by_apart) = tokio::join!(
            waits.grow_to(with(1), with(2)),
            async {
                let lost = first.next(never()).await;
                first.release();
                lost
            },
            tokio::time::timeout(SILENCE, second.next(never())),
            tokio::time::timeout(SILENCE, apart.next(never())),
        );
        assert_eq!((grown, by_first), (Ok(()), Err(Lost)));
        assert!(by_second.is_err() && by_apart.is_err(), "more was taken than was needed");
        assert!(began.elapsed() <= SILENCE, "after {:?}", began.elapsed());
        drop((first, second, apart, waits));
        assert!(uploads.reading().bodies.is_empty());
    }

    /// A few bytes now and then are no sound, and more are.
    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_silence() {
        for (bytes, keeps) in [(SOUND / 4, false), (SOUND, true)] {
            let uploads = Uploads { patience: PATIENCE, ..small() };
            let mut other = uploads.begin();
            other.grow_to(with(5), 0).await.unwrap();
            let mut body = uploads.begin();
            body.grow_to(FREE + 1, 0).await.unwrap();
            let mut rest = uploads.begin();
            rest.grow_to(with(2), 0).await.unwrap();
            let reads = async {
                for n in 1..=12 {
                    body.next(tokio::time::sleep(SILENCE / 3)).await?;
                    body.grow_to(FREE + 1 + n * bytes, 0).await.unwrap();
                }
                Ok::<_, Lost>(())
            };
            let mut waits = uploads.begin();
            let (read, _) = tokio::join!(reads, waits.grow_to(with(1), 0));
            assert_eq!(read.is_ok(), keeps, "{bytes} bytes each");
        }
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
