//! Cases about several owners of one store: their recovery, ends, starts and notices. A factory
//! that opens no store beside another passes them.
//!
//! Of the notices only [`Notice::Steer`] is checked, which a store must send. [`Notice::Work`], [`Notice::Ended`] and
//! [`Notice::Paused`] only save time and may get lost: a store passes that never sends them, or sends them in vain.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Bench, StoreFactory, an_end};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Command, Ended, OnRestart, Recovery, Verdict};
use crate::store::{
    Affected, Batch, Claimed, Control, NewAction, Notice, Rejected, Renewal, Store,
};
use crate::worker::Wish;

/// Maximum time for a notice to arrive.
const SOON: Duration = Duration::from_secs(5);

/// A command with another queue time than the action's own is one to an unknown action, in every state.
pub async fn a_command_means_the_action_of_that_time(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    let queued_at = bench.record(id).await.queued_at;
    for state in [State::Queued, State::Processing] {
        for other in [-1, 1, i64::from(i32::MAX)] {
            let queued_at = Some(Timestamp(queued_at.0 + other));
            let stop = Control::Command { id, queued_at, command: Command::Stop };
            assert_eq!(bench.control(stop).await, Err(Rejected::Unknown));
        }
        assert_eq!(bench.record(id).await.state, state);
        bench.claim(1).await;
    }
    let stop = Control::Command { id, queued_at: Some(queued_at), command: Command::Stop };
    assert_eq!(bench.control(stop).await.unwrap()[0].state, State::Stopping);
}

/// An owner that reclaims gets the states of its own running actions and changes none of them, also if it is the only one.
pub async fn what_runs_is_named_to_its_owner(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bench.submit(0).await);
    }
    bench.claim(3).await;
    bench.command(ids[1], Command::Pause { supported: true }).await.unwrap();
    bench.command(ids[2], Command::Stop).await.unwrap();
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        let mut named =
            bench.control(Control::Reclaim { recovery: on_restart.into() }).await.unwrap();
        named.sort_by_key(|action| action.id);
        let states: Vec<_> = named.iter().map(|a| (a.id, a.attempt, a.state, a.verdict)).collect();
        let stays = |n: usize, state| (ids[n], 1, state, Verdict::Stay);
        assert_eq!(
            states,
            [stays(0, State::Processing), stays(1, State::Paused), stays(2, State::Stopping)]
        );
    }
    assert_eq!(bench.record(ids[3]).await.state, State::Queued);
}

/// Two owners of one store, on the same queue.
pub(super) struct Pair<'f, F> {
    factory: &'f F,
    pub(super) a: Bench,
    pub(super) b: Bench,
    lease: Duration,
}

impl<'f, F: StoreFactory> Pair<'f, F> {
    pub(super) async fn open(factory: &'f F) -> Option<Self> {
        let a = Bench::open(factory).await;
        let b = Bench::open_queue(factory.open_beside()?, "fetch").await;
        assert_eq!(a.queue, b.queue, "it is one queue");
        assert_ne!(a.store.owner(), b.store.owner());
        let lease = a.store.lease().expect("a store that several may open has leases");
        Some(Self { factory, a, b, lease })
    }

    /// Lets the leases expire of all but these owners, which are renewed.
    pub(super) async fn run_out(&self, kept: &[&Bench]) {
        for _ in 0..4 {
            self.factory.pass(self.lease / 3).await;
            for bench in kept {
                assert_eq!(bench.store.renew().await, Ok(Renewal::Holds));
            }
        }
    }
}

/// Returns the actions that a recovery moved, without those that it reports as they are.
async fn moved(bench: &Bench, control: Control) -> Vec<(ActionId, State)> {
    let affected = bench.control(control).await.unwrap();
    let is_moved = |a: &&Affected| matches!(a.verdict, Verdict::Move(_));
    let mut moved: Vec<_> = affected.iter().filter(is_moved).map(|a| (a.id, a.state)).collect();
    moved.sort_unstable_by_key(|(id, _)| *id);
    moved
}

/// Actions of another owner are not recovered until its lease expires by the store's clock; a renewed lease holds.
pub async fn only_expired_leases_are_recovered(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        // Another store of the same data takes the place of the owner that is to die.
        let dies = Bench::open_queue(pair.factory.open_beside().unwrap(), "Fetch").await;
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(dies.submit(0).await);
        }
        assert_eq!(dies.claim(2).await.len(), 2);
        assert_eq!(b.claim(1).await[0].id, ids[2]);
        a.command(ids[1], Command::Stop).await.unwrap();
        let live = vec![(ids[2], 1)];
        for spared in [
            Control::Reclaim { recovery: on_restart.into() },
            Control::Recover { live, recovery: on_restart.into(), unbegun: false },
        ] {
            assert_eq!(moved(b, spared.clone()).await, []);
            let none =
                Control::Recover { live: Vec::new(), recovery: on_restart.into(), unbegun: false };
            assert_eq!(moved(a, none).await, [], "it runs nothing");
        }
        pair.run_out(&[a, b, &dies]).await;
        assert_eq!(
            moved(b, Control::Reclaim { recovery: on_restart.into() }).await,
            [],
            "all were kept up"
        );

        pair.run_out(&[a, b]).await;
        let fell = if on_restart == OnRestart::Fail { State::Error } else { State::Queued };
        let lost = [(ids[0], fell), (ids[1], State::Stopped)];
        assert_eq!(moved(a, Control::Reclaim { recovery: on_restart.into() }).await, lost);
        assert_eq!(
            moved(a, Control::Reclaim { recovery: on_restart.into() }).await,
            [],
            "once is enough"
        );
        assert_eq!(b.record(ids[2]).await.state, State::Processing);
        assert_eq!(b.record(ids[3]).await.state, State::Queued);
        assert_eq!(b.end(ids[2], 1, Ended::Finished).await, Ok(State::Finished));
        for id in [ids[0], ids[3]] {
            let _ = b.command(id, Command::Cancel).await;
        }
    }
}

/// An end counts only from the owner that runs the attempt: not from another one, not from one whose action was recovered, and
/// not while its next attempt runs elsewhere (Q14).
pub async fn an_end_of_a_former_owner_is_stale(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let id = a.submit(0).await;
    assert_eq!(a.claim(1).await[0].id, id);
    assert_eq!(b.end(id, 1, Ended::Finished).await, Err(Rejected::Stale), "it runs it not");

    pair.run_out(&[b]).await;
    let reclaim = Control::Reclaim { recovery: OnRestart::Requeue.into() };
    assert_eq!(moved(b, reclaim).await, [(id, State::Queued)]);
    assert_eq!(a.end(id, 1, Ended::Finished).await, Err(Rejected::Stale));
    assert_eq!(b.claim(1).await[0].attempt, 2);
    for attempt in [1, 2] {
        assert_eq!(a.end(id, attempt, Ended::Finished).await, Err(Rejected::Stale));
    }
    let former = a.store.owner();
    assert_eq!(a.store.renew().await, Ok(Renewal::Lost));
    let owner = a.store.new_owner().await.unwrap();
    assert_eq!(a.store.owner(), owner);
    assert!(owner != former && owner != b.store.owner(), "no number is used again");
    assert_eq!(a.end(id, 1, Ended::Finished).await, Err(Rejected::Stale));
    assert_eq!(b.end(id, 2, Ended::Failed).await, Ok(State::Error));
}

/// An owner is dead in every queue from the transaction on in which another one recovers its actions, in whichever queue that
/// is: an end that it reports is stale also while the row still names it.
pub async fn a_dead_owner_is_dead_in_every_queue(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let in_other = Bench::open_queue(Arc::clone(&a.store), "Other").await;
    let other_of_b = Bench::open_queue(Arc::clone(&b.store), "Other").await;
    let (id, other) = (a.submit(0).await, in_other.submit(0).await);
    assert_eq!(a.claim(1).await[0].id, id);
    assert_eq!(in_other.claim(1).await[0].id, other);
    pair.run_out(&[b]).await;
    let on_restart = OnRestart::Requeue;
    let recover =
        Control::Recover { live: Vec::new(), recovery: on_restart.into(), unbegun: false };
    assert_eq!(moved(b, recover).await, [(id, State::Queued)]);

    let before = in_other.record(other).await;
    assert_eq!(before.state, State::Processing, "only the other queue was recovered");
    assert_eq!(in_other.end(other, 1, Ended::Finished).await, Err(Rejected::Stale));
    assert_eq!(in_other.record(other).await, before);
    assert_eq!(a.store.renew().await, Ok(Renewal::Lost));
    let reclaim = Control::Reclaim { recovery: on_restart.into() };
    assert_eq!(moved(&other_of_b, reclaim).await, [(other, State::Queued)]);
    assert_eq!(other_of_b.claim(1).await[0].attempt, 2);
}

/// Only another owner makes one dead whose lease has expired: after recoveries of its own it renews the lease, and what it
/// runs goes on.
pub async fn an_expired_owner_does_not_end_itself(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    for on_restart in [OnRestart::Requeue, OnRestart::Fail] {
        let id = a.submit(0).await;
        assert_eq!(a.claim(1).await[0].id, id);
        let live = vec![(id, 1)];
        for own in [
            Control::Reclaim { recovery: on_restart.into() },
            Control::Recover { live, recovery: on_restart.into(), unbegun: false },
        ] {
            pair.run_out(&[b]).await;
            assert_eq!(moved(a, own).await, [], "it runs them itself");
            assert_eq!(a.store.renew().await, Ok(Renewal::Holds), "nobody else has recovered them");
        }
        assert_eq!(
            moved(b, Control::Reclaim { recovery: on_restart.into() }).await,
            [],
            "its lease holds again"
        );
        pair.run_out(&[b]).await;
        assert_eq!(a.end(id, 1, Ended::Finished).await, Ok(State::Finished), "it is not dead");
        assert_eq!(a.store.renew().await, Ok(Renewal::Holds));
    }
}

/// An owner whose lease has expired, or was lost, claims nothing; its commands and submissions are accepted. As a new owner it
/// claims again.
pub async fn an_owner_without_a_lease_starts_nothing(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let runs = a.submit(0).await;
    a.claim(1).await;
    let waits = a.submit(0).await;
    pair.run_out(&[b]).await;
    assert!(a.claim(1).await.is_empty(), "its lease is over");
    assert_eq!(moved(b, Control::Reclaim { recovery: OnRestart::Fail.into() }).await.len(), 1);
    assert_eq!(a.record(runs).await.state, State::Error);
    for _ in 0..2 {
        assert!(a.claim(1).await.is_empty(), "its lease is lost");
        assert_eq!(a.command(waits, Command::ChangePriority(3)).await, Ok(State::Queued));
        assert_eq!(a.store.renew().await, Ok(Renewal::Lost));
    }
    // What starts as it comes is a start as well.
    let submissions = vec![a.new_action(0)];
    let reply = a.commit(Batch { submissions, claim: 9, ..a.batch() }).await;
    assert!(reply.claimed.is_empty() && reply.submissions[0].is_ok());
    let owner = a.store.new_owner().await.unwrap();
    let reply = a.commit(Batch { claim: 1, ..a.batch() }).await;
    assert_eq!(reply.claimed.iter().map(|c| c.id).collect::<Vec<_>>(), [waits]);
    assert_eq!(reply.owner, owner);
}

/// Closing a store gives its lease up: its actions are recovered at once.
pub async fn a_closed_owner_gives_its_lease_up(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let id = a.submit(0).await;
    a.claim(1).await;
    a.store.close().await;
    let reclaim = Control::Reclaim { recovery: OnRestart::Requeue.into() };
    assert_eq!(moved(b, reclaim).await, [(id, State::Queued)]);
    assert_eq!(b.store.queue_state(b.queue).await.unwrap().counts.queued(), 1);
}

/// Collects the notices of a store.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Notice>>>);

impl Heard {
    fn of(store: &dyn Store) -> Self {
        let heard = Self::default();
        let sink = heard.clone();
        store.notices(Arc::new(move |notice| {
            sink.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
        }));
        heard
    }

    fn has(&self, notice: &Notice) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(notice)
    }

    async fn until(&self, notice: Notice) {
        let since = Instant::now();
        while !self.has(&notice) {
            assert!(since.elapsed() < SOON, "{notice:?} did not come");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A command for an action of another owner reaches that owner as a notice, with the attempt, and no other owner.
pub async fn a_wish_reaches_the_owner_as_a_notice(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let (by_a, by_b) = (Heard::of(&*a.store), Heard::of(&*b.store));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(a.submit(0).await);
    }
    a.claim(2).await;
    assert_eq!(b.claim(1).await[0].id, ids[2]);
    let queue = a.queue;
    let steer = |n: usize, wish| Notice::Steer { queue, id: ids[n], attempt: 1, wish };
    b.command(ids[0], Command::Pause { supported: true }).await.unwrap();
    by_a.until(steer(0, Wish::Pause)).await;
    b.command(ids[0], Command::Resume).await.unwrap();
    by_a.until(steer(0, Wish::Run)).await;
    b.command(ids[0], Command::Stop).await.unwrap();
    by_a.until(steer(0, Wish::Stop)).await;
    b.command(ids[0], Command::Stop).await.unwrap();
    by_a.until(steer(0, Wish::Force)).await;
    b.control(Control::PauseQueue { supported: true }).await.unwrap();
    by_a.until(steer(1, Wish::Pause)).await;
    b.control(Control::ResumeQueue).await.unwrap();
    by_a.until(steer(1, Wish::Run)).await;
    a.control(Control::StopAll).await.unwrap();
    by_b.until(steer(2, Wish::Stop)).await;
    for wish in [Wish::Run, Wish::Pause, Wish::Stop, Wish::Force] {
        assert!(!by_a.has(&steer(2, wish)), "{wish:?} is for the other");
        assert!((0..2).all(|n| !by_b.has(&steer(n, wish))), "{wish:?} is for the other");
    }
}

/// Counts, records and the pause of a queue are the same for all owners, and a pause holds for each (Q12).
pub async fn counts_and_pause_are_seen_by_both(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let ids = [a.submit(0).await, b.submit(0).await];
    a.claim(1).await;
    for bench in [a, b] {
        let state = bench.store.queue_state(bench.queue).await.unwrap();
        assert_eq!((state.counts.queued(), state.counts.running(), state.paused), (1, 1, false));
        assert_eq!(bench.record(ids[0]).await.state, State::Processing);
        assert_eq!(bench.record(ids[1]).await.position, Some(1));
        assert_eq!(bench.commit(bench.batch()).await.counts, state.counts);
        assert_eq!(bench.list(&Default::default()).await.len(), 2);
    }
    let reply = b
        .commit(Batch { controls: vec![Control::PauseQueue { supported: false }], ..b.batch() })
        .await;
    assert!(reply.paused);
    let reply = a.commit(Batch { claim: 1, ..a.batch() }).await;
    assert!(reply.paused && reply.claimed.is_empty());
    assert!(a.store.queue_state(a.queue).await.unwrap().paused);
    a.control(Control::ResumeQueue).await.unwrap();
    assert_eq!(b.claim(1).await[0].id, ids[1]);
    // What either has ended counts for both.
    a.end(ids[0], 1, Ended::Finished).await.unwrap();
    assert_eq!(b.state().await.counts.finished(), 1);
}

/// Two owners that claim at the same time share what waits; nothing starts twice, and nothing is left over (Q13, Q14).
pub async fn no_two_owners_start_the_same(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let submissions = (0..60).map(|n| a.new_action(n % 3)).collect();
    let reply = a.commit(Batch { submissions, ..a.batch() }).await;
    let mut submitted: Vec<_> = reply.submissions.into_iter().map(|s| s.unwrap().id).collect();
    let claims = (0..24).map(|number| {
        let bench = if number % 2 == 0 { a } else { b };
        bench.store.commit(Batch { claim: 3, ..bench.batch() })
    });
    let replies = futures_util::future::join_all(claims).await;
    let claimed = replies.into_iter().flat_map(|reply| reply.unwrap().claimed);
    let mut started: Vec<_> = claimed
        .inspect(|Claimed { attempt, .. }| assert_eq!(*attempt, 1))
        .map(|claimed| claimed.id)
        .collect();
    // Where two met, one of them may have come away with less than there was.
    for bench in [a, b] {
        started.extend(bench.claim(60).await.iter().map(|claimed| claimed.id));
    }
    started.sort_unstable();
    submitted.sort_unstable();
    assert_eq!(started, submitted);
}

/// Ids are given out once among all owners (Q1), and a key names one action for all.
pub async fn ids_and_keys_are_one_for_all_owners(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let submits = (0..40).map(|number| {
        let bench = if number % 2 == 0 { a } else { b };
        bench.store.commit(Batch { submissions: vec![bench.new_action(0)], ..bench.batch() })
    });
    let replies = futures_util::future::join_all(submits).await;
    let mut ids: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.unwrap().submissions[0].clone().unwrap().id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    let keyed = |text: &str| NewAction::Given {
        not_before: None,
        parameters: Parameters::from_iter([("Text", text)]),
        priority: 0,
        key: Some("key".into()),
        queued_at: Timestamp(7),
        origin: None,
    };
    let first = a.try_submit(keyed("first")).await.unwrap();
    assert_eq!(b.try_submit(keyed("first")).await.map(|again| again.id), Ok(first.id));
    assert_eq!(b.try_submit(keyed("other")).await, Err(Rejected::KeyTaken));
    // A copy and a command need not come from where the action came from.
    let copy = NewAction::CopyOf { id: first.id, queued_at: Timestamp(8) };
    assert!(b.try_submit(copy).await.unwrap().id > first.id);
    assert_eq!(b.command(first.id, Command::Cancel).await, Ok(State::Cancelled));
    let end = Control::End(an_end(first.id, 0, Ended::Finished).into());
    assert_eq!(b.control(end).await, Err(Rejected::Stale));
}

/// An attempt that goes on after its owner's death is its finder's, with all that was kept with it: its ends and notes count,
/// the former owner's no more. An owner under its lease keeps what it runs.
pub async fn who_recovers_an_attempt_runs_it(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let recovery = Recovery { on_restart: OnRestart::Resume, max_restarts: 1 };
    let id = a.submit(0).await;
    assert_eq!(a.claim(1).await[0].id, id);
    let note = |attempt, note: &str| Control::Note { id, attempt, note: note.to_owned() };
    a.control(note(1, "of a")).await.unwrap();
    assert_eq!(b.control(note(1, "of b")).await, Err(Rejected::Stale), "it runs it not");
    let resumed = async |bench: &Bench, control: Control| {
        let reply = bench.commit(Batch { controls: vec![control], ..bench.batch() }).await;
        let told = reply.resumed.iter().map(|r| (r.claimed.id, r.claimed.attempt, r.note.clone()));
        told.collect::<Vec<_>>()
    };
    let recover = || Control::Recover { live: Vec::new(), recovery, unbegun: false };
    let reclaim = || Control::Reclaim { recovery };
    for control in [recover(), reclaim()] {
        assert_eq!(resumed(b, control).await, [], "its owner has its lease");
    }
    pair.run_out(&[b]).await;
    assert_eq!(resumed(b, reclaim()).await, [(id, 1, Some("of a".to_owned()))]);
    assert_eq!(resumed(b, reclaim()).await, [], "now it is its own");
    assert_eq!(a.store.renew().await, Ok(Renewal::Lost));
    assert_eq!(a.control(note(1, "late")).await, Err(Rejected::Stale));
    assert_eq!(a.end(id, 1, Ended::Finished).await, Err(Rejected::Stale));
    assert_eq!(b.record(id).await.state, State::Processing);
    b.control(note(1, "of b")).await.unwrap();
    // As after a restart of `b`.
    assert_eq!(resumed(b, recover()).await, [(id, 1, Some("of b".to_owned()))]);
    assert_eq!(b.end(id, 1, Ended::Finished).await, Ok(State::Finished));
}

/// A worker elsewhere may talk to any server: the attempt becomes that one's, with its note, and the former owner is told.
pub async fn an_attempt_is_taken_over(factory: &impl StoreFactory) {
    let Some(pair) = Pair::open(factory).await else { return };
    let Pair { a, b, .. } = &pair;
    let (id, next) = (a.submit(0).await, a.submit(0).await);
    assert_eq!(a.claim(1).await[0].id, id);
    let note = |note: &str| Control::Note { id, attempt: 1, note: note.to_owned() };
    a.control(note("of a")).await.unwrap();
    let take = |id, attempt| Control::TakeOver { id, attempt };
    for (control, refused) in [
        (take(id, 2), Rejected::Stale),
        (take(next, 1), Rejected::Stale),
        (take(ActionId::new(ActionId::MAX).unwrap(), 1), Rejected::Unknown),
    ] {
        assert_eq!(b.control(control).await, Err(refused));
    }
    let taken = async |bench: &Bench| {
        let controls = vec![take(id, 1)];
        let mut reply = bench.commit(Batch { controls, ..bench.batch() }).await;
        let affected = reply.controls.swap_remove(0).unwrap();
        assert_eq!(affected.len(), 1);
        assert_eq!((affected[0].id, affected[0].verdict), (id, Verdict::Stay));
        assert_eq!(affected[0].state, State::Processing);
        let told = reply.resumed.iter().map(|r| (r.claimed.id, r.claimed.attempt, r.note.clone()));
        told.collect::<Vec<_>>()
    };
    let (by_a, by_b) = (Heard::of(&*a.store), Heard::of(&*b.store));
    let moved = Notice::Moved { queue: a.queue, id, attempt: 1 };
    assert_eq!(taken(a).await, [], "it has it");
    assert_eq!(taken(b).await, [(id, 1, Some("of a".to_owned()))]);
    by_a.until(moved).await;
    assert_eq!(a.control(note("late")).await, Err(Rejected::Stale));
    assert_eq!(a.end(id, 1, Ended::Finished).await, Err(Rejected::Stale));
    assert_eq!(b.record(id).await.state, State::Processing);
    b.control(note("of b")).await.unwrap();
    assert_eq!(taken(b).await, [], "now it has it");
    assert!(!by_b.has(&moved));
    assert_eq!(taken(a).await, [(id, 1, Some("of b".to_owned()))], "and back");
    by_b.until(moved).await;
    assert_eq!(a.end(id, 1, Ended::Finished).await, Ok(State::Finished));
    assert_eq!(b.control(take(id, 1)).await, Err(Rejected::Stale));
}
