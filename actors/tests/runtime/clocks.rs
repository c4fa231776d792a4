//! A wall clock that jumps: by hours, back and forth, also while the server is down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::store::Record;
use actiond_actors::testing::{Gate, ManualClock, Script};
use actiond_actors::{ActionId, OnRestart, QueueError, QueueSettings, State, Timestamp};
use futures_util::FutureExt as _;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use crate::common::{
    Home, NEVER, SOON, at_gate, end, end_state, graceless, nothing, state, submit, threads, to_do,
};

const HOUR: Duration = Duration::from_secs(3_600);
/// When the tests begin.
const BEGIN: i64 = 1_700_000_000_000;

async fn home(clock: &ManualClock, settings: QueueSettings, script: &Script) -> Home {
    let directory = tempfile::tempdir().unwrap();
    Home::by(Arc::new(clock.clone()), directory, settings, script).await
}

fn jump(clock: &ManualClock, millis: i64) {
    let by = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { clock.go_back(by) } else { clock.advance(by) }
}

fn jumps() -> impl Strategy<Value = i64> {
    let hour = i64::try_from(HOUR.as_millis()).unwrap();
    prop_oneof![Just(-hour), Just(hour), -50..50_i64, -3 * hour..3 * hour]
}

/// What happens after the clock has jumped.
#[derive(Debug, Clone)]
enum Step {
    Submit { waits: bool, priority: i32 },
    Cancel(Index),
    Stop(Index),
    Prioritise(Index, i32),
    PauseOne(Index),
    LetThrough,
    Pause,
    Resume,
    Crash,
    ShutDown,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    use Step::{
        Cancel, Crash, LetThrough, Pause, PauseOne, Prioritise, Resume, ShutDown, Stop, Submit,
    };
    let step = prop_oneof![
        8 => (any::<bool>(), -1..2_i32).prop_map(|(waits, priority)| Submit { waits, priority }),
        2 => any::<Index>().prop_map(Cancel),
        2 => any::<Index>().prop_map(Stop),
        2 => (any::<Index>(), -2..3_i32).prop_map(|(index, to)| Prioritise(index, to)),
        1 => any::<Index>().prop_map(PauseOne),
        4 => Just(LetThrough),
        1 => Just(Pause),
        2 => Just(Resume),
        1 => Just(Crash),
        1 => Just(ShutDown),
    ];
    proptest::collection::vec((jumps(), step), 20..50)
}

/// What was seen of each action, to compare it with what is seen next.
#[derive(Default)]
struct Seen(HashMap<ActionId, Record>);

impl Seen {
    fn look(&mut self, record: Record) {
        let began = record.started_at.unwrap_or(record.queued_at);
        assert!(record.queued_at <= began, "{record:?}");
        assert!(record.finished_at.is_none_or(|finished| began <= finished), "{record:?}");
        if let Some(before) = self.0.get(&record.id) {
            assert_eq!(record.queued_at, before.queued_at);
            if before.state.is_final() {
                assert_eq!(&record, before, "a final state changed");
            }
            if before.attempt == record.attempt && record.state != State::Queued {
                assert!(before.started_at.is_none() || before.started_at == record.started_at);
            }
        }
        self.0.insert(record.id, record);
    }
}

/// Q9 and Q7 for each action after each step, over restarts.
async fn history(on_restart: OnRestart, steps: Vec<(i64, Step)>) {
    let clock = ManualClock::at(BEGIN);
    let gate = Gate::new();
    let script = at_gate(&gate).on_restart(on_restart).pausable();
    let mut home = home(&clock, graceless(2), &script).await;
    let mut seen = Seen::default();
    let mut ids: Vec<ActionId> = Vec::new();
    for (by, step) in steps {
        jump(&clock, by);
        let pick = |index: Index| (!ids.is_empty()).then(|| ids[index.index(ids.len())]);
        // A command may be refused: that, too, changes no time.
        match step {
            Step::Submit { waits, priority } => {
                let what = to_do(if waits { "wait" } else { "" }).priority(priority);
                ids.push(home.work.submit(what).await.unwrap().id);
            }
            Step::Cancel(index) => {
                if let Some(id) = pick(index) {
                    let _ = home.work.cancel(id).await;
                }
            }
            Step::Stop(index) => {
                if let Some(id) = pick(index) {
                    let _ = home.work.stop(id).await;
                }
            }
            Step::Prioritise(index, priority) => {
                if let Some(id) = pick(index) {
                    let _ = home.work.change_priority(id, priority).await;
                }
            }
            Step::PauseOne(index) => {
                if let Some(id) = pick(index) {
                    let _ = home.work.pause(id).await;
                }
            }
            Step::LetThrough => gate.let_through(1),
            Step::Pause => drop(home.work.pause_queue().await.unwrap()),
            Step::Resume => drop(home.work.resume_queue().await.unwrap()),
            Step::Crash | Step::ShutDown => {
                if matches!(step, Step::ShutDown) {
                    home.system.shutdown(Duration::ZERO).await;
                }
                let clock = Arc::new(clock.clone());
                home = Home::by(clock, home.crash(), graceless(2), &script).await;
            }
        }
        for id in &ids {
            seen.look(home.work.status(*id).await.unwrap().record);
        }
    }
    gate.open();
    home.work.resume_queue().await.unwrap();
    for id in &ids {
        jump(&clock, -1_000);
        seen.look(end(&home.work, *id).await.record);
    }
    assert!(ids.is_sorted(), "ids were not given by arrival");
}

fn property<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl AsyncFn(S::Value),
) -> Result<(), proptest::test_runner::TestError<S::Value>> {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        ..Default::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest::test_runner::TestRunner::new(config).run(strategy, |value| {
        runtime.block_on(test(value));
        Ok::<_, TestCaseError>(())
    })
}

#[test]
fn times_stay_in_order_whatever_the_clock_does() {
    let on_restart = prop_oneof![Just(OnRestart::Requeue), Just(OnRestart::Fail)];
    property(32, &(on_restart, steps()), async |(on_restart, steps)| {
        history(on_restart, steps).await;
    })
    .unwrap();
}

/// Q8: by arrival, whatever the clock showed at the arrivals, and although the server died meanwhile.
#[test]
fn order_does_not_hang_on_the_clock() {
    let submissions = proptest::collection::vec((jumps(), 0..3_i32), 1..30);
    property(32, &(submissions, any::<Index>()), async |(submissions, dies_at)| {
        let clock = ManualClock::at(BEGIN);
        let script = Script::always(nothing());
        let mut home = home(&clock, threads(1), &script).await;
        home.work.pause_queue().await.unwrap();
        let dies_at = dies_at.index(submissions.len());
        let mut expected = Vec::new();
        for (number, (by, priority)) in submissions.into_iter().enumerate() {
            jump(&clock, by);
            if number == dies_at {
                let clock = Arc::new(clock.clone());
                home = Home::by(clock, home.crash(), threads(1), &script).await;
            }
            let id = home.work.submit(to_do("").priority(priority)).await.unwrap().id;
            expected.push((std::cmp::Reverse(priority), expected.len(), id));
        }
        jump(&clock, -3_600_000);
        home.work.resume_queue().await.unwrap();
        for (.., id) in &expected {
            end(&home.work, *id).await;
        }
        expected.sort_unstable();
        let expected: Vec<ActionId> = expected.into_iter().map(|(.., id)| id).collect();
        assert_eq!(script.started(), expected);
    })
    .unwrap();
}

#[tokio::test]
async fn waits_do_not_hang_on_the_clock() {
    let clock = ManualClock::at(BEGIN);
    let gate = Gate::new();
    let home = home(&clock, threads(1), &at_gate(&gate)).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    for by in [-3_600_000, 7_200_000] {
        let since = Instant::now();
        let patience = Duration::from_millis(100);
        let waiting = home.work.wait(id, patience);
        tokio::pin!(waiting);
        // Under way before the clock jumps.
        assert!((&mut waiting).now_or_never().is_none());
        jump(&clock, by);
        assert_eq!(waiting.await.unwrap().record.state, State::Processing);
        assert!(since.elapsed() >= patience && since.elapsed() < SOON);
    }
    // One of an hour does not end because the clock says that it is over.
    let mut long = tokio::spawn({
        let work = home.work.clone();
        async move { work.wait(id, HOUR).await }
    });
    jump(&clock, 7_200_000);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut long).await.is_err());
    gate.open();
    assert_eq!(long.await.unwrap().unwrap().record.state, State::Finished);
}

#[tokio::test]
async fn grace_does_not_hang_on_the_clock() {
    for (by, grace, expected) in [
        // It is over in time although the clock was set back.
        (-3_600_000, Duration::from_millis(20), State::Stopped),
        // It is not over because the clock says so.
        (2 * 3_600_000, NEVER, State::Stopping),
    ] {
        let clock = ManualClock::at(BEGIN);
        let gate = Gate::new();
        let mut settings = threads(1);
        settings.stop_grace = grace;
        let home = home(&clock, settings, &at_gate(&gate)).await;
        let id = submit(&home.work, "deaf").await;
        gate.until_waiting(1).await;
        assert_eq!(home.work.stop(id).await, Ok(State::Stopping));
        jump(&clock, by);
        let patience = if expected == State::Stopped { SOON } else { Duration::from_millis(100) };
        assert_eq!(home.work.wait(id, patience).await.unwrap().record.state, expected);
        if expected == State::Stopping {
            assert_eq!(home.work.stop(id).await, Ok(State::Stopping));
            assert_eq!(end_state(&home.work, id).await, State::Stopped, "the second stop forces");
        }
    }
}

fn gone(id: ActionId) -> Result<(), QueueError> {
    Err(QueueError::UnknownAction { id })
}

/// What has ended is kept as long as it is to be kept by the clock as it then is, and goes then.
#[tokio::test]
async fn age_is_counted_by_the_clock_as_it_is_now() {
    let clock = ManualClock::at(BEGIN);
    let mut settings = threads(2);
    settings.max_finished_age = Some(Duration::from_secs(60));
    let script = Script::always(nothing());
    let mut home = home(&clock, settings.clone(), &script).await;
    let kept = async |home: &Home, id| {
        // Each batch deletes what may go.
        home.work.resume_queue().await.unwrap();
        home.work.status(id).await.map(drop)
    };
    let before = submit(&home.work, "").await;
    end(&home.work, before).await;
    jump(&clock, -3_600_000);
    let within = submit(&home.work, "").await;
    end(&home.work, within).await;
    for id in [before, within] {
        assert_eq!(kept(&home, id).await, Ok(()));
    }
    // Also over a restart in the wrong hour.
    home = Home::by(Arc::new(clock.clone()), home.crash(), settings, &script).await;
    assert_eq!(kept(&home, before).await, Ok(()));
    jump(&clock, 59_000);
    assert_eq!(kept(&home, within).await, Ok(()));
    jump(&clock, 2_000);
    assert_eq!(kept(&home, within).await, gone(within), "deletion stands still");
    assert_eq!(kept(&home, before).await, Ok(()));
    clock.set(Timestamp(BEGIN + 59_000));
    assert_eq!(kept(&home, before).await, Ok(()));
    clock.set(Timestamp(BEGIN + 61_000));
    assert_eq!(kept(&home, before).await, gone(before));
}

/// A limit in number deletes what ended first: not what ends now, because the clock was set back.
#[tokio::test]
async fn what_ends_after_the_clock_was_set_back_is_kept() {
    let clock = ManualClock::at(BEGIN);
    let mut settings = threads(1);
    settings.max_finished_size = Some(3);
    let home = home(&clock, settings, &Script::always(nothing())).await;
    let mut ids = Vec::new();
    for number in 0..12 {
        jump(&clock, if number == 5 { -3_600_000 } else { 1_000 });
        let id = submit(&home.work, "").await;
        assert_eq!(end_state(&home.work, id).await, State::Finished, "the result of {number}");
        ids.push(id);
    }
    home.work.resume_queue().await.unwrap();
    let (old, young) = ids.split_at(9);
    for id in young {
        assert_eq!(state(&home.work, *id).await, State::Finished);
    }
    for id in old {
        assert_eq!(home.work.status(*id).await.map(drop), gone(*id));
    }
}
