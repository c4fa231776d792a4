//! Tests of the budget, as bodies use it and as replies do.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::*;
use crate::http::memory::eviction::SILENCE;

const NEVER: fn() -> bool = || false;

mod bodies {
    use super::*;

    fn small() -> Budget {
        // Four shares in common, four set apart.
        Budget { patience: Duration::from_millis(20), ..Budget::for_bodies(8 * SHARE, 4 * SHARE) }
    }

    /// The size of a body that takes so many shares.
    const fn with(shares: usize) -> usize {
        FREE + shares * SHARE
    }

    fn left(uploads: &Budget) -> (usize, usize) {
        (uploads.common.available_permits(), uploads.emergency.available_permits())
    }

    #[actix_web::test]
    async fn small_bodies_need_no_share() {
        let uploads = small();
        let mut bodies: Vec<_> = (0..100).map(|_| Reservation::of(&uploads)).collect();
        for body in &mut bodies {
            assert_eq!(body.grow_to(FREE, 0).now_or_never(), Some(Ok(())));
        }
        assert_eq!(uploads.common.available_permits(), 4);
    }

    #[actix_web::test]
    async fn what_is_held_is_given_back() {
        let uploads = small();
        let mut body = Reservation::of(&uploads);
        assert_eq!(body.grow_to(with(2), 0).now_or_never(), Some(Ok(())));
        assert_eq!(uploads.common.available_permits(), 2);
        assert_eq!(body.grow_to(with(8), 0).now_or_never(), Some(Ok(())));
        assert_eq!(left(&uploads), (0, 0));
        drop(body);
        assert_eq!(left(&uploads), (4, 1));
    }

    #[actix_web::test]
    async fn no_body_holds_more_than_there_is() {
        let uploads = small();
        let mut body = Reservation::of(&uploads);
        assert_eq!(body.grow_to(with(8) + 1, 0).await, Err(Exhausted));
        for (memory, largest, most) in [(8, 4, 8), (8, 20, 20), (8, usize::MAX / SHARE + 1, 8)]
            .map(|(m, l, n)| (m * SHARE, l.saturating_mul(SHARE), n * SHARE))
        {
            let uploads = Budget::for_bodies(memory, largest);
            assert_eq!(uploads.most(), most);
            assert_eq!(Reservation::of(&uploads).grow_to(most, 0).now_or_never(), Some(Ok(())));
        }
    }

    /// Bodies that all hold a part and all want more end one after the other.
    #[actix_web::test]
    async fn bodies_that_wait_for_each_other_end() {
        let uploads = Budget { patience: Duration::from_secs(60), ..small() };
        let began = Instant::now();
        let bodies = (0..20).map(|_| {
            let mut body = Reservation::of(&uploads);
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
        assert_eq!(left(&uploads), (4, 1));
    }

    #[actix_web::test]
    async fn who_waits_too_long_is_refused_and_the_others_go_on() {
        let uploads = small();
        let (mut first, mut second) = (Reservation::of(&uploads), Reservation::of(&uploads));
        first.grow_to(with(8), 0).await.unwrap();
        assert_eq!(second.grow_to(with(1), 0).await, Err(Exhausted));
        drop(first);
        assert_eq!(second.grow_to(with(4), 0).await, Ok(()));
    }

    /// Three bodies that hold all there is between them, of which nothing more comes; who is first to be silent is first to
    /// lose it, and only as many as are needed.
    #[tokio::test(start_paused = true)]
    async fn the_silent_lose_what_they_hold_to_those_who_wait() {
        let uploads = Budget { patience: PATIENCE, ..small() };
        let never = std::future::pending::<()>;
        let mut bodies =
            [Reservation::of(&uploads), Reservation::of(&uploads), Reservation::of(&uploads)];
        for (body, shares) in bodies.iter_mut().zip([5, 2, 1]) {
            body.grow_to(with(shares), 0).await.unwrap();
            tokio::time::sleep(SILENCE / 10).await;
        }
        let [mut apart, mut first, second] = bodies;
        let mut waits = Reservation::of(&uploads);
        // Whoever is heard of again in time keeps what it has.
        tokio::time::sleep(SILENCE / 2).await;
        apart.last_heard = apart.last_heard.map(|(since, size)| (since, size - SOUND));
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
        assert_eq!((grown, by_first), (Ok(()), Err(Evicted)));
        assert!(by_second.is_err() && by_apart.is_err(), "more was taken than was needed");
        assert!(began.elapsed() <= SILENCE, "after {:?}", began.elapsed());
        drop((first, second, apart, waits));
        assert!(uploads.holders.is_empty());
    }

    /// A few bytes now and then are no sound, and more are.
    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_silence() {
        for (bytes, keeps) in [(SOUND / 4, false), (SOUND, true)] {
            let uploads = Budget { patience: PATIENCE, ..small() };
            let mut other = Reservation::of(&uploads);
            other.grow_to(with(5), 0).await.unwrap();
            let mut body = Reservation::of(&uploads);
            body.grow_to(FREE + 1, 0).await.unwrap();
            let mut rest = Reservation::of(&uploads);
            rest.grow_to(with(2), 0).await.unwrap();
            let reads = async {
                for n in 1..=12 {
                    body.next(tokio::time::sleep(SILENCE / 3)).await?;
                    body.grow_to(FREE + 1 + n * bytes, 0).await.unwrap();
                }
                Ok::<_, Evicted>(())
            };
            let mut waits = Reservation::of(&uploads);
            let (read, _) = tokio::join!(reads, waits.grow_to(with(1), 0));
            assert_eq!(read.is_ok(), keeps, "{bytes} bytes each");
        }
    }

    #[test]
    fn any_numbers_make_a_budget() {
        for (memory, largest) in
            [(0, 0), (1, usize::MAX), (usize::MAX, 1), (usize::MAX, usize::MAX)]
        {
            let uploads = Budget::for_bodies(memory, largest);
            assert!(uploads.emergency_size != EmergencySize::Shares(0));
            assert!(uploads.common.available_permits() > 0);
        }
    }
}

mod replies {
    use super::*;

    type ReplyReservation = Reservation<Arc<Budget>>;

    fn four_shares() -> Budget {
        Budget { patience: Duration::from_millis(20), ..Budget::for_replies(4 * SHARE, NEVER) }
    }

    fn reservation(replies: &Arc<Budget>) -> ReplyReservation {
        Reservation::of(Arc::clone(replies))
    }

    fn left(replies: &Budget) -> usize {
        replies.common.available_permits()
    }

    #[actix_web::test]
    async fn small_replies_need_no_room() {
        let replies = Arc::new(four_shares());
        let mut all = reservation(&replies);
        assert!(all.try_reserve(4 * SHARE));
        assert_eq!((all.shares(), left(&replies)), (4, 0));
        let mut small = reservation(&replies);
        assert_eq!(small.reserve(SHARE).now_or_never(), Some(Ok(())));
        assert!(!small.holds_any() && !small.try_reserve(SHARE + 1));
        drop(all);
        assert_eq!(left(&replies), 4);
    }

    #[actix_web::test]
    async fn a_reply_larger_than_all_has_to_be_alone() {
        let replies = Arc::new(four_shares());
        let (mut large, mut other) = (reservation(&replies), reservation(&replies));
        assert_eq!(large.reserve(100 * SHARE).now_or_never(), Some(Ok(())));
        assert_eq!(large.grow_to(200 * SHARE, 0).now_or_never(), Some(Ok(())), "it has all");
        assert_eq!(other.reserve(2 * SHARE).await, Err(Exhausted));
        drop(large);
        other = reservation(&replies);
        assert_eq!(other.reserve(2 * SHARE).await, Ok(()));
        assert_eq!(left(&replies), 2);
    }

    #[actix_web::test]
    async fn what_waits_holds_nothing_and_gets_room_once_there_is_some() {
        let replies = Arc::new(Budget { patience: Duration::from_secs(60), ..four_shares() });
        let (mut first, mut second) = (reservation(&replies), reservation(&replies));
        assert!(first.try_reserve(2 * SHARE) && second.try_reserve(2 * SHARE));
        let mut grows = Box::pin(second.reserve(4 * SHARE));
        assert_eq!((&mut grows).now_or_never(), None);
        drop(first);
        assert_eq!(grows.await, Ok(()));
        assert_eq!((second.shares(), left(&replies)), (4, 0));
        second.shrink_to(SHARE + 1);
        assert_eq!((second.shares(), left(&replies)), (2, 2));
        second.shrink_to(SHARE);
        assert!(!second.holds_any() && left(&replies) == 4);
    }

    /// Two that have grown out of their rooms, and hold all there is between them.
    #[actix_web::test]
    async fn replies_that_grow_and_wait_for_each_other_end() {
        let replies = Arc::new(Budget { patience: Duration::from_secs(60), ..four_shares() });
        let grow = async || {
            let mut reserved = reservation(&replies);
            reserved.reserve(2 * SHARE).await?;
            tokio::task::yield_now().await;
            reserved.grow_to(3 * SHARE, 3 * SHARE).await?;
            tokio::task::yield_now().await;
            Ok::<_, Exhausted>(())
        };
        let began = Instant::now();
        let ended = tokio::join!(grow(), grow(), grow());
        assert_eq!(ended, (Ok(()), Ok(()), Ok(())));
        assert!(began.elapsed() < Duration::from_secs(50));
        assert_eq!((left(&replies), replies.emergency.available_permits()), (4, 1));
    }

    /// Nobody who waits holds any for long.
    #[actix_web::test]
    async fn those_who_wait_all_get_room() {
        let replies = Arc::new(Budget { patience: Duration::from_secs(60), ..four_shares() });
        let each = (0..50).map(|n| {
            let mut reserved = reservation(&replies);
            async move {
                let found = reserved.reserve((1 + n % 5) * SHARE + 1).await;
                tokio::task::yield_now().await;
                assert_eq!(found, Ok(()));
            }
        });
        futures_util::future::join_all(each).await;
        assert_eq!(left(&replies), 4);
    }

    /// A second wait, long after the first, has time of its own once it is begun anew.
    #[actix_web::test]
    async fn a_wait_that_is_begun_anew_has_all_its_time() {
        let replies = Arc::new(four_shares());
        let (mut held, mut other) = (reservation(&replies), reservation(&replies));
        assert!(held.try_reserve(4 * SHARE));
        assert_eq!(other.reserve(2 * SHARE).await, Err(Exhausted));
        assert_eq!(other.reserve(2 * SHARE).now_or_never(), Some(Err(Exhausted)));
        other.reset_patience();
        assert_eq!(other.reserve(2 * SHARE).now_or_never(), None);
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_room_once_it_is_of_no_use() {
        let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let replies =
            Budget::for_replies(4 * SHARE, move || seen.load(std::sync::atomic::Ordering::Relaxed));
        let replies = Arc::new(replies);
        let (mut held, mut other) = (reservation(&replies), reservation(&replies));
        assert!(held.try_reserve(4 * SHARE));
        let mut waits = Box::pin(other.reserve(2 * SHARE));
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, &mut waits).await.is_err());
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(tokio::time::timeout(second, waits).await, Ok(Err(Exhausted)));
    }

    #[test]
    fn any_number_is_a_memory() {
        for memory in [0, 1, SHARE, usize::MAX] {
            let replies = Arc::new(Budget::for_replies(memory, NEVER));
            let mut reserved = reservation(&replies);
            assert!(reserved.try_reserve(usize::MAX) && reserved.holds_any());
            assert!(reserved.try_reserve(usize::MAX));
        }
    }
}
