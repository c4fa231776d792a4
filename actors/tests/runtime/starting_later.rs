//! Actions that may not start before a time: until then they cost nothing, then they start.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::store::Store;
use actiond_actors::store::sqlite::SqliteStore;
use actiond_actors::testing::{FaultyStore, Gate, ManualClock};
use actiond_actors::{Durability, State, System, Timestamp};

use crate::common::{at_gate, builder, end_state, state, submit, threads, to_do};

const BEGIN: i64 = 1_700_000_000_000;
const WAIT: i64 = 50;

/// A system with the queue `Work` by this clock, and the store that counts its commits.
async fn start(clock: &ManualClock) -> (tempfile::TempDir, System, FaultyStore) {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    let store = FaultyStore::new(Arc::new(sqlite) as Arc<dyn Store>);
    let system = builder(directory.path())
        .store(Arc::new(store.clone()))
        .clock(Arc::new(clock.clone()))
        .queue("Work", threads(2), at_gate(&Gate::opened()))
        .start()
        .await
        .unwrap();
    (directory, system, store)
}

/// What waits for a time makes no transaction, however often its queue looks at the clock, and keeps no other from starting.
/// It starts once the clock shows the time, also where that was set.
#[actix::test]
async fn what_waits_for_a_time_is_no_work_for_the_store() {
    let clock = ManualClock::at(BEGIN);
    let (_directory, system, store) = start(&clock).await;
    let work = system.queue("Work").unwrap();
    let later = to_do("nothing").not_before(Timestamp(BEGIN + WAIT));
    let later = work.submit(later).await.unwrap().id;
    let at_once = submit(&work, "nothing").await;
    assert_eq!(end_state(&work, at_once).await, State::Finished);
    assert_eq!(state(&work, later).await, State::Queued);
    let commits = store.commits();
    // The queue's timer fires some times meanwhile, and the clock stands still. Nothing else tells that nothing is done.
    tokio::time::sleep(Duration::from_millis(WAIT.unsigned_abs() * 5)).await;
    assert_eq!(store.commits(), commits, "a transaction for nothing");
    assert_eq!(state(&work, later).await, State::Queued);
    clock.advance(Duration::from_millis(WAIT.unsigned_abs()));
    assert_eq!(end_state(&work, later).await, State::Finished);
}

/// A client's retry ends the wait, and the queue looks at once.
#[actix::test]
async fn a_retry_starts_what_waits_for_a_time() {
    let clock = ManualClock::at(BEGIN);
    let (_directory, system, _store) = start(&clock).await;
    let work = system.queue("Work").unwrap();
    let later = to_do("nothing").not_before(Timestamp(i64::MAX));
    let id = work.submit(later).await.unwrap().id;
    assert_eq!(work.retry(id).await, Ok(State::Queued));
    assert_eq!(end_state(&work, id).await, State::Finished);
    assert!(work.retry(id).await.is_err(), "it has finished");
}

/// More than one step of the store that are due at one instant all start, by themselves.
#[actix::test]
async fn very_many_are_due_at_once() {
    let clock = ManualClock::at(BEGIN);
    let (_directory, system, _store) = start(&clock).await;
    let work = system.queue("Work").unwrap();
    let submits =
        (0..5_500).map(|_| work.submit(to_do("nothing").not_before(Timestamp(BEGIN + 1))));
    let submitted = futures_util::future::try_join_all(submits).await.unwrap();
    assert_eq!(state(&work, submitted[0].id).await, State::Queued);
    clock.advance(Duration::from_millis(1));
    for submitted in submitted {
        assert_eq!(end_state(&work, submitted.id).await, State::Finished);
    }
}
