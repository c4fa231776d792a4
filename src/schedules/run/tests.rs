mod off;

use std::collections::BTreeSet;
use std::sync::Arc;

use actiond_actors::testing::{Gate, ManualClock, Plan, Script};
use actiond_actors::{ActionId, QueueSettings, State, Submission};
use chrono::DateTime;
use tempfile::TempDir;

use super::*;
use crate::schedules::Timing;

const ZONES: [&str; 5] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Pacific/Apia",
];

/// A system with one queue, on a clock that the test moves.
struct Bench {
    system: System,
    clock: ManualClock,
    _directory: TempDir,
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_millis())
}

fn every(seconds: u32) -> Definition {
    let action = "Work".to_owned();
    Definition { action, repeat_secs: Some(seconds), ..Definition::default() }
}

fn named(name: &str, definition: Definition) -> Schedule {
    Schedule { name: name.to_owned(), definition }
}

impl Bench {
    async fn start(now: &str, performer: Script, settings: QueueSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(at(now).0);
        let system = System::builder(directory.path())
            .in_memory(None)
            .clock(Arc::new(clock.clone()))
            .queue("Work", settings, performer)
            .start()
            .await
            .unwrap();
        Self { system, clock, _directory: directory }
    }

    async fn finishing(now: &str) -> Self {
        let performer = Script::always(Plan::Finish(Vec::new()));
        Self::start(now, performer, QueueSettings::default()).await
    }

    fn runner(&self, definition: &Definition) -> Runner {
        Runner::new(self.system.clone(), &[], &[named("Nightly", definition.clone())])
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn work(&self) -> QueueHandle {
        self.system.queue("Work").unwrap()
    }

    /// The due times of all actions, by their ids.
    async fn due(&self) -> Vec<(String, Timestamp)> {
        let mut due = Vec::new();
        for id in 1.. {
            let Ok(status) = self.work().status(ActionId::new(id).unwrap()).await else { break };
            let scheduled = status.record.origin.unwrap().schedule.unwrap();
            due.push((scheduled.schedule, scheduled.due));
        }
        due
    }

    /// The due times of all actions, in seconds since the clock showed `from`.
    async fn seconds(&self, from: &str) -> Vec<i64> {
        let due = self.due().await.into_iter();
        due.map(|(_, due)| (due.0 - at(from).0) / 1_000).collect()
    }
}

/// Looks until nothing is left to do now.
async fn look(runner: &Runner) -> Option<Timestamp> {
    loop {
        match runner.look().await {
            Some(next) if next <= runner.now() => {}
            next => return next,
        }
    }
}

const NOW: &str = "2026-01-01T00:00:00Z";

#[actix_web::test]
async fn a_year_of_schedules_in_five_zones_has_one_action_for_each_due_time() {
    let bench = Bench::finishing(NOW).await;
    let schedule = |zone: &&str| {
        let definition = Definition {
            action: "Work".to_owned(),
            cron: Some("30 2 * * sun,wed".to_owned()),
            time_zone: Some((*zone).to_owned()),
            overlap: Overlap::Queue,
            ..Definition::default()
        };
        named(&zone.replace('/', "-"), definition)
    };
    let schedules: Vec<Schedule> = ZONES.iter().map(schedule).collect();
    // Two servers, of which one is started again all the time.
    let first = Runner::new(bench.system.clone(), &[], &schedules);
    let end = at("2027-01-01T00:00:00Z");
    let mut next = look(&first).await;
    while let Some(then) = next.filter(|then| *then < end) {
        bench.clock.set(then);
        let second = Runner::new(bench.system.clone(), &[], &schedules);
        let (one, two) = tokio::join!(look(&first), look(&second));
        next = one.min(two);
    }
    let found = bench.due().await;
    let mut expected = BTreeSet::new();
    for Schedule { name, definition } in &schedules {
        let timing = Timing::of(definition).unwrap();
        let mut due = timing.next_due(at(NOW), Timestamp(at(NOW).0 - 1));
        while let Some(time) = due.filter(|due| *due < end) {
            expected.insert((name.clone(), time));
            due = timing.next_due(at(NOW), time);
        }
    }
    assert_eq!(found.len(), expected.len(), "none is there twice");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(expected.len() >= 5 * 104, "{}", expected.len());
}

#[actix_web::test]
async fn each_due_time_has_its_action_and_no_more_than_the_cycles() {
    let bench = Bench::finishing(NOW).await;
    let overlap = Overlap::Queue;
    let runner = bench.runner(&Definition { cycles: Some(3), overlap, ..every(10) });
    assert_eq!(look(&runner).await, Some(Timestamp(at(NOW).0 + 10_000)));
    // A little late is no downtime.
    bench.advance(25);
    look(&runner).await;
    assert_eq!(bench.seconds(NOW).await, [0, 10, 20]);
    bench.advance(100);
    assert_eq!(look(&runner).await, None);
    assert_eq!(bench.seconds(NOW).await.len(), 3);
    let off = bench.runner(&Definition { enabled: false, ..every(1) });
    assert_eq!(look(&off).await, None);
}

#[actix_web::test]
async fn what_is_missed_is_left_out_or_made_up_for_once() {
    for (catch_up, expected) in
        [(CatchUp::None, vec![0, 3800]), (CatchUp::Once, vec![0, 3700, 3800])]
    {
        let bench = Bench::finishing(NOW).await;
        let overlap = Overlap::Queue;
        let definition = Definition { catch_up, overlap, ..every(100) };
        look(&bench.runner(&definition)).await;
        // No server is there for an hour.
        bench.advance(3_761);
        let restarted = bench.runner(&definition);
        let next = look(&restarted).await;
        assert_eq!(next, Some(Timestamp(at(NOW).0 + 3_800_000)), "{catch_up:?}");
        bench.clock.set(next.unwrap());
        look(&restarted).await;
        assert_eq!(bench.seconds(NOW).await, expected, "{catch_up:?}");
        // The clock is set forward while it runs: that is the same.
        bench.advance(7_265);
        look(&restarted).await;
        let more = if catch_up == CatchUp::Once { vec![11_000] } else { vec![] };
        assert_eq!(bench.seconds(NOW).await, [expected, more].concat(), "{catch_up:?}");
    }
}

#[actix_web::test]
async fn a_clock_that_is_set_back_repeats_nothing_and_misses_nothing() {
    let bench = Bench::finishing(NOW).await;
    let runner = bench.runner(&every(10));
    bench.advance(20);
    look(&runner).await;
    let first = "2026-01-01T00:00:20Z";
    assert_eq!(bench.seconds(first).await, [0]);
    bench.clock.go_back(Duration::from_secs(3_600));
    assert_eq!(look(&runner).await, Some(Timestamp(at(first).0 + 10_000)));
    for _ in 0..361 {
        bench.advance(10);
        look(&runner).await;
    }
    assert_eq!(bench.seconds(first).await, [0, 10]);
}

#[actix_web::test]
async fn what_overlaps_is_left_out_or_queued_or_takes_the_place_of_the_other() {
    for (overlap, due, first) in [
        (Overlap::Skip, vec![0], State::Processing),
        (Overlap::Queue, vec![0, 10, 20], State::Processing),
        (Overlap::Replace, vec![0, 10, 20], State::Stopped),
    ] {
        let gate = Gate::new();
        let settings = QueueSettings { maximum_threads: 1, ..QueueSettings::default() };
        let performer = Script::always(Plan::Wait(gate.clone()));
        let bench = Bench::start(NOW, performer, settings).await;
        let runner = bench.runner(&Definition { overlap, ..every(10) });
        look(&runner).await;
        gate.until_waiting(1).await;
        for _ in 0..2 {
            bench.advance(10);
            look(&runner).await;
        }
        assert_eq!(bench.seconds(NOW).await, due, "{overlap:?}");
        let id = ActionId::new(1).unwrap();
        if first.is_final() {
            let status = bench.work().wait(id, Duration::from_secs(10)).await.unwrap();
            assert_eq!(status.record.state, first);
        } else {
            assert_eq!(bench.work().status(id).await.unwrap().record.state, first);
        }
        gate.open();
        bench.work().wait(id, Duration::from_secs(10)).await.unwrap();
        bench.advance(10);
        // What was queued meanwhile has to end, too.
        for id in 1..=due.len() {
            let id = ActionId::new(id as u64).unwrap();
            bench.work().wait(id, Duration::from_secs(10)).await.unwrap();
        }
        look(&runner).await;
        assert_eq!(bench.seconds(NOW).await.last(), Some(&30), "{overlap:?}");
    }
}

#[actix_web::test]
async fn what_finds_no_room_is_tried_again() {
    let gate = Gate::new();
    let settings =
        QueueSettings { maximum_threads: 1, max_queue_size: Some(1), ..QueueSettings::default() };
    let performer = Script::always(Plan::Wait(gate.clone()));
    let bench = Bench::start(NOW, performer, settings).await;
    for _ in 0..2 {
        bench.work().submit(Submission::default()).await.unwrap();
        gate.until_waiting(1).await;
    }
    let runner = bench.runner(&every(10));
    // Once it is known, its first action is due.
    runner.look().await;
    let next = runner.look().await.unwrap();
    assert!(next > runner.now() && next.0 <= runner.now().0 + 1_000, "{next:?}");
    let state = bench.system.schedules().await.unwrap().pop().unwrap().0;
    assert_eq!((state.cycles, state.last), (0, None));
    gate.open();
    for id in [1, 2] {
        bench.work().wait(ActionId::new(id).unwrap(), Duration::from_secs(10)).await.unwrap();
    }
    runner.memory().failed.clear();
    look(&runner).await;
    let state = bench.system.schedules().await.unwrap().pop().unwrap().0;
    assert_eq!((state.cycles, state.last.unwrap().due), (1, at(NOW)));
}

#[actix_web::test]
async fn a_delay_keeps_the_due_time() {
    let bench = Bench::finishing(NOW).await;
    let definition = Definition { jitter_secs: 30, ..every(60) };
    let runner = bench.runner(&definition);
    let next = look(&runner).await.unwrap();
    assert!((0..=30_000).contains(&(next.0 - at(NOW).0)), "{next:?}");
    bench.clock.set(Timestamp(next.0 - 1));
    // A restart forgets no delay.
    let restarted = bench.runner(&definition);
    assert_eq!(look(&restarted).await, Some(next));
    bench.clock.set(next);
    look(&restarted).await;
    assert_eq!(bench.seconds(NOW).await, [0]);
}

#[actix_web::test]
async fn one_that_was_added_is_found_by_every_server_until_it_is_removed() {
    let bench = Bench::finishing(NOW).await;
    let schedules = super::super::Schedules::start(bench.system.clone(), &[], &[]);
    schedules.add(named("Extra", every(10))).await.unwrap();
    let again = schedules.add(named("EXTRA", every(20))).await.unwrap_err().to_string();
    assert_eq!(again, "there is a schedule of that name");
    let other = Runner::new(bench.system.clone(), &[], &[]);
    look(&other).await;
    assert_eq!(bench.seconds(NOW).await, [0]);
    schedules.pause("extra").await.unwrap();
    bench.advance(10);
    assert_eq!(look(&other).await, None);
    let (_, submitted) = schedules.run("Extra").await.unwrap();
    assert_eq!(submitted.id, ActionId::new(2).unwrap());
    schedules.resume("Extra").await.unwrap();
    assert_eq!(look(&other).await, Some(Timestamp(at(NOW).0 + 20_000)));
    let listed = schedules.list().await.unwrap();
    let [status] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((status.is_added, status.paused, status.cycles), (true, false, 1));
    assert_eq!(status.last_action.as_ref().map(|(_, last, _)| last.id), Some(submitted.id));
    assert_eq!(status.next, Some(Timestamp(at(NOW).0 + 20_000)));
    schedules.remove("Extra").await.unwrap();
    assert!(schedules.list().await.unwrap().is_empty());
    let unknown = schedules.run("Extra").await.unwrap_err().to_string();
    assert_eq!(unknown, "there is no such schedule; there are none");
}
