//! Cases about schedules: each due time has one action at most, whoever tries and whatever is closed meanwhile.

use super::{Bench, StoreFactory};
use crate::action::{ActionId, Parameters, Timestamp};
use crate::store::{
    Batch, Control, LastScheduled, NewAction, Origin, Rejected, ScheduleChange, ScheduleRefusal,
    ScheduleState, ScheduledFor, Submitted,
};

const NAME: &str = "Nightly";

fn due_at(bench: &Bench, schedule: &str, due: i64, on_demand: bool) -> NewAction {
    let (schedule, due) = (schedule.to_owned(), Timestamp(due));
    let schedule = Some(ScheduledFor { schedule, due, on_demand });
    NewAction::Given {
        parameters: Parameters::from_iter([("Due", due.0.to_string())]),
        priority: 0,
        key: None,
        not_before: None,
        queued_at: Timestamp(bench.now),
        origin: Some(Box::new(Origin { schedule, ..Origin::default() })),
    }
}

impl Bench {
    async fn change(&self, name: &str, change: ScheduleChange) -> Result<(), ScheduleRefusal> {
        let name = name.to_owned();
        match self.control(Control::Schedule { name, change }).await {
            Ok(affected) => {
                assert_eq!(affected, [], "it names no action");
                Ok(())
            }
            Err(Rejected::Schedule(refusal)) => Err(refusal),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn see(&self, at: i64) {
        self.change(NAME, ScheduleChange::See { at: Timestamp(at) }).await.unwrap();
    }

    async fn submit_due(&self, due: i64) -> Result<ActionId, ScheduleRefusal> {
        refusal(self.try_submit(due_at(self, NAME, due, false)).await)
    }

    async fn schedule(&self) -> Option<ScheduleState> {
        let all = self.store.schedules().await.unwrap();
        all.into_iter().find(|state| state.name.eq_ignore_ascii_case(NAME))
    }
}

fn refusal(answer: Result<Submitted, Rejected>) -> Result<ActionId, ScheduleRefusal> {
    match answer {
        Ok(submitted) => Ok(submitted.id),
        Err(Rejected::Schedule(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

/// Also in one batch, where the clock was set back, and in another queue.
pub async fn a_due_time_has_one_action(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    bench.see(1_000).await;
    let first = bench.submit_due(1_000).await.unwrap();
    assert_eq!(bench.submit_due(1_000).await, Err(ScheduleRefusal::Passed));
    assert_eq!(bench.submit_due(500).await, Err(ScheduleRefusal::Passed));
    let twice = vec![
        due_at(&bench, "NIGHTLY", 2_000, false),
        due_at(&bench, NAME, 2_000, false),
        due_at(&bench, NAME, 3_000, false),
    ];
    let reply = bench.commit(Batch { submissions: twice, claim: 9, ..bench.batch() }).await;
    assert_eq!(reply.submissions[1], Err(Rejected::Schedule(ScheduleRefusal::Passed)));
    let (second, third) = (reply.submissions[0].clone(), reply.submissions[2].clone());
    assert!(first < second.unwrap().id);
    assert_eq!((reply.claimed.len(), reply.repeats), (3, vec![]));
    let third = third.unwrap().id;
    let origin = bench.record(third).await.origin.unwrap().schedule.unwrap();
    assert_eq!((origin.schedule.as_str(), origin.due), (NAME, Timestamp(3_000)));
    let elsewhere = Bench::open_queue(bench.store.clone(), "Other").await;
    assert_eq!(elsewhere.submit_due(3_000).await, Err(ScheduleRefusal::Passed));
    let id = elsewhere.submit_due(4_000).await.unwrap();
    let state = bench.schedule().await.unwrap();
    let last = LastScheduled { due: Timestamp(4_000), queue: elsewhere.queue, id };
    assert_eq!((state.last, state.passed, state.cycles), (Some(last), Timestamp(4_000), 4));
    assert_eq!(state.since, Timestamp(1_000));
    // What is asked for counts for no time.
    let asked = due_at(&bench, NAME, 9_000, true);
    let asked = refusal(bench.try_submit(asked).await).unwrap();
    let state = bench.schedule().await.unwrap();
    assert_eq!((state.last.unwrap().id, state.passed), (asked, Timestamp(4_000)));
    bench.change(NAME, ScheduleChange::Skip { due: Timestamp(5_000) }).await.unwrap();
    let again = bench.change(NAME, ScheduleChange::Skip { due: Timestamp(5_000) }).await;
    assert_eq!(again, Err(ScheduleRefusal::Passed));
    assert_eq!(bench.submit_due(5_000).await, Err(ScheduleRefusal::Passed));
    // A copy is none of the schedule's.
    let copy = NewAction::CopyOf { id: asked, queued_at: Timestamp(1) };
    let copy = bench.try_submit(copy).await.unwrap().id;
    assert_eq!(bench.record(copy).await.origin, None);
}

/// A pause in one batch with the submission behind it, too.
pub async fn a_schedule_that_is_paused_or_unknown_has_none(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    assert_eq!(bench.submit_due(1_000).await, Err(ScheduleRefusal::Unknown));
    assert_eq!(bench.change(NAME, ScheduleChange::Pause).await, Err(ScheduleRefusal::Unknown));
    bench.see(1_000).await;
    let pause = Control::Schedule { name: NAME.to_owned(), change: ScheduleChange::Pause };
    let (controls, submissions) = (vec![pause], vec![due_at(&bench, NAME, 1_000, false)]);
    let reply = bench.commit(Batch { controls, submissions, ..bench.batch() }).await;
    assert_eq!(reply.submissions[0], Err(Rejected::Schedule(ScheduleRefusal::Paused)));
    assert_eq!(reply.counts.queued(), 0);
    assert!(bench.try_submit(due_at(&bench, NAME, 1_000, true)).await.is_ok());
    bench.change("nightly", ScheduleChange::Resume { at: Timestamp(2_000) }).await.unwrap();
    assert_eq!(bench.submit_due(2_000).await, Err(ScheduleRefusal::Passed));
    assert!(bench.submit_due(2_001).await.is_ok());
    let add = |text: &str| ScheduleChange::Add { definition: text.to_owned(), at: Timestamp(5) };
    bench.change("Extra", add("{}")).await.unwrap();
    assert_eq!(bench.change("EXTRA", add("[]")).await, Err(ScheduleRefusal::Exists));
    let due = |due| due_at(&bench, "extra", due, false);
    assert!(bench.try_submit(due(5)).await.is_ok());
    bench.change("extra", ScheduleChange::Remove).await.unwrap();
    assert_eq!(refusal(bench.try_submit(due(6)).await), Err(ScheduleRefusal::Unknown));
    assert_eq!(bench.change(NAME, ScheduleChange::Remove).await, Err(ScheduleRefusal::Unknown));
}

/// All of it, to the letter, also once its last action is deleted.
pub async fn a_schedule_is_kept(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let definition = "{\"cron\": \"é\0\"}".to_owned();
    bench.change("B", ScheduleChange::Add { definition, at: Timestamp(7) }).await.unwrap();
    bench.see(1_000).await;
    for name in ["a\0b", "a\0c", "ä"] {
        bench.change(name, ScheduleChange::See { at: Timestamp(8) }).await.unwrap();
    }
    bench.submit_due(1_500).await.unwrap();
    bench.change(NAME, ScheduleChange::Pause).await.unwrap();
    let before = bench.store.schedules().await.unwrap();
    let names: Vec<_> = before.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(names, ["a\0b", "a\0c", "B", NAME, "ä"]);
    bench = bench.reopen(factory).await;
    assert_eq!(bench.store.schedules().await.unwrap(), before);
    assert_eq!(bench.submit_due(1_600).await, Err(ScheduleRefusal::Paused));
    bench.see(9_000).await;
    assert_eq!(bench.store.schedules().await.unwrap(), before, "it was known");
}

/// A due time whose action is refused for another reason is still due.
pub async fn a_refused_action_leaves_its_due_time(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    bench.see(1_000).await;
    let submissions = vec![due_at(&bench, NAME, 1_000, false)];
    let full = Batch { submissions, max_queued: Some(0), ..bench.batch() };
    assert_eq!(bench.commit(full).await.submissions[0], Err(Rejected::QueueFull));
    let state = bench.schedule().await.unwrap();
    assert_eq!((state.passed, state.last, state.cycles), (Timestamp(999), None, 0));
    assert!(bench.submit_due(1_000).await.is_ok());
}

/// Of two servers that both try, one queues the action. A schedule that both see first is known since one time.
pub async fn owners_queue_one_action_for_a_due_time(factory: &impl StoreFactory) {
    let a = Bench::open(factory).await;
    let Some(other) = factory.open_beside() else { return };
    let b = Bench::open_queue(other, "Fetch").await;
    let see = |at| ScheduleChange::See { at: Timestamp(at) };
    let (one, two) = tokio::join!(a.change(NAME, see(1_000)), b.change(NAME, see(1_007)));
    assert_eq!((one, two), (Ok(()), Ok(())));
    let since = a.schedule().await.unwrap().since;
    assert!([1_000, 1_007].contains(&since.0), "{since:?}");
    let mut won = [0, 0];
    for due in 1..=20 {
        let due = since.0 + due * 10;
        match tokio::join!(a.submit_due(due), b.submit_due(due)) {
            (Ok(_), Err(ScheduleRefusal::Passed)) => won[0] += 1,
            (Err(ScheduleRefusal::Passed), Ok(_)) => won[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won.iter().sum::<u64>(), 20, "{won:?}");
    let state = b.schedule().await.unwrap();
    assert_eq!((state.cycles, state.since), (20, since));
    b.store.close().await;
}
