//! What observers are told: of each change once, after its commit, and of nothing that they do not want.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actiond_actors::events::QueueEvent;
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{
    ActionId, Awake, Came, Interest, Node, Observer, OnRestart, Progress, QueueHandle,
    QueueSettings, State, System, Timestamp, Work,
};

use crate::common::{
    Faulty, SOON, at_gate, builder, end, end_state, graceless, nothing, submit, threads, to_do,
    until,
};

/// Writes down what it is told, each as a few words.
#[derive(Clone)]
pub(crate) struct Notes {
    interest: Interest,
    awake: Option<Awake>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Notes {
    pub(crate) fn of(interest: Interest) -> Self {
        Self { interest, awake: None, told: Arc::default() }
    }

    /// Makes one that is told of nothing before this is set.
    fn asleep(interest: Interest, awake: &Awake) -> Self {
        Self { awake: Some(awake.clone()), ..Self::of(interest) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until as many lines are there, and takes them.
    async fn take(&self, number: usize) -> Vec<String> {
        let since = Instant::now();
        while self.lines().len() < number {
            assert!(since.elapsed() < SOON, "{number} were to be told: {:?}", self.lines());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.told.lock().unwrap().drain(..number).collect()
    }

    /// Waits for a line.
    pub(crate) async fn until_told(&self, line: &str) {
        eventually(format!("{line} is told: {:?}", self.lines()), async || {
            self.lines().iter().any(|told| told == line)
        })
        .await;
    }

    fn clear(&self) {
        self.told.lock().unwrap().clear();
    }
}

impl Observer for Notes {
    fn interest(&self) -> Interest {
        self.interest
    }

    fn awake(&self) -> Option<Awake> {
        self.awake.clone()
    }

    fn on_event(&self, queue: &str, event: &QueueEvent<'_>) {
        assert!(self.interest.has(event.interest()), "not asked for: {event:?}");
        assert_eq!(queue, "Work");
        let mut line = match event {
            QueueEvent::Queued { .. } => "queued".to_owned(),
            QueueEvent::Started { .. } => "started".to_owned(),
            QueueEvent::Progressed { progress, .. } => format!("at {}", progress.percent()),
            QueueEvent::Paused { .. } => "paused".to_owned(),
            QueueEvent::Resumed { .. } => "resumed".to_owned(),
            QueueEvent::Stopping { forced: false, .. } => "stopping".to_owned(),
            QueueEvent::Stopping { forced: true, .. } => "forced".to_owned(),
            QueueEvent::Requeued { .. } => "requeued".to_owned(),
            QueueEvent::PriorityChanged { priority, .. } => format!("priority {priority}"),
            QueueEvent::Ended { state, came, error, .. } => {
                let came = came.map_or("never ran".to_owned(), |came| format!("{came:?}"));
                let error = error.map_or(String::new(), |error| format!(" ({error})"));
                format!("{state} {came}{error}")
            }
            QueueEvent::QueuePaused => "queue paused".to_owned(),
            QueueEvent::QueueResumed => "queue resumed".to_owned(),
            QueueEvent::QueueFull { queued, limit } => format!("full {queued}/{limit}"),
            QueueEvent::QueueFilling { queued, limit } => format!("filling {queued}/{limit}"),
            QueueEvent::QueueEmptying { queued, limit } => format!("emptying {queued}/{limit}"),
            QueueEvent::QueueEmpty => "empty".to_owned(),
            QueueEvent::Committed { changes, .. } => format!("committed {changes}"),
            other => panic!("unknown: {other:?}"),
        };
        if let Some(action) = event.action() {
            write!(line, " #{}.{}", action.id, action.attempt).unwrap();
        }
        self.told.lock().unwrap().push(line);
    }
}

/// All that is told of actions and of the queue itself, whatever goes into one batch.
pub(crate) const CHANGES: Interest = Interest::QUEUED
    .and(Interest::STARTED)
    .and(Interest::STEERED)
    .and(Interest::ENDED)
    .and(Interest::QUEUE_PAUSED);

async fn start(
    directory: &Path,
    settings: QueueSettings,
    script: &Script,
    notes: &Notes,
) -> (System, QueueHandle) {
    let mut system = None;
    eventually("the directory can be opened", async || {
        let builder = builder(directory).observer(notes.clone());
        system = builder.queue("Work", settings.clone(), script.clone()).start().await.ok();
        system.is_some()
    })
    .await;
    let system = system.unwrap();
    let work = system.queue("work").unwrap();
    (system, work)
}

/// What is told while the test does one thing after the other: each is answered before the next is asked.
#[tokio::test]
async fn each_change_is_told_once_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (gate, notes) = (Gate::new(), Notes::of(CHANGES));
    let script = at_gate(&gate).pausable();
    let (system, work) = start(directory.path(), threads(1), &script, &notes).await;
    let runs = submit(&work, "wait").await;
    gate.until_waiting(1).await;
    let [next, failing, never] =
        [submit(&work, "").await, submit(&work, "fail").await, submit(&work, "").await];
    assert_eq!([runs, next, failing, never].map(ActionId::get), [1, 2, 3, 4]);
    assert_eq!(
        notes.take(5).await,
        ["queued #1.0", "started #1.1", "queued #2.0", "queued #3.0", "queued #4.0"]
    );

    work.change_priority(next, 3).await.unwrap();
    for _ in 0..2 {
        work.cancel(never).await.unwrap();
        work.pause(runs).await.unwrap();
    }
    work.resume(runs).await.unwrap();
    for _ in 0..2 {
        work.pause_queue().await.unwrap();
    }
    work.resume_queue().await.unwrap();
    let want = [
        "priority 3 #2.0",
        "Cancelled never ran #4.0",
        "paused #1.1",
        "resumed #1.1",
        "queue paused",
        "paused #1.1",
        "queue resumed",
        "resumed #1.1",
    ];
    assert_eq!(notes.take(want.len()).await, want);

    work.stop(runs).await.unwrap();
    let want = [
        "stopping #1.1",
        "Stopped Asked #1.1",
        "started #2.1",
        "Finished ByItself #2.1",
        "started #3.1",
        "Error ByItself (as planned) #3.1",
    ];
    assert_eq!(notes.take(want.len()).await, want);

    // One that obeys nothing but force, and one that waits and is copied under way.
    let deaf = submit(&work, "deaf").await;
    gate.until_waiting(1).await;
    work.pause_queue().await.unwrap();
    let copy = work.duplicate(deaf).await.unwrap().id;
    work.stop_all().await.unwrap();
    assert_eq!(work.stop_all().await.unwrap(), [deaf]);
    assert_eq!(end_state(&work, deaf).await, State::Stopped);
    let want = [
        "queued #5.0",
        "started #5.1",
        "queue paused",
        "paused #5.1",
        "queued #6.0",
        "stopping #5.1",
        "forced #5.1",
        "Stopped Forced #5.1",
    ];
    assert_eq!(notes.take(want.len()).await, want);
    // What a shutdown does not end is no event.
    system.shutdown(Duration::ZERO).await;
    assert_eq!(notes.lines(), Vec::<String>::new());
    assert_eq!(copy.get(), 6);
}

#[tokio::test]
async fn an_end_is_told_with_its_times() {
    let directory = tempfile::tempdir().unwrap();
    /// Queued, started, finished, worked.
    type Times = (Timestamp, Option<Timestamp>, Timestamp, Duration);
    let told: Arc<Mutex<Vec<Times>>> = Arc::default();
    let ends = Arc::clone(&told);
    let observer = actiond_actors::observer(Interest::ENDED, move |_, event| {
        if let QueueEvent::Ended { action, started_at, finished_at, processing, .. } = event {
            ends.lock().unwrap().push((action.queued_at, *started_at, *finished_at, *processing));
        }
    });
    let script = Script::new(|context| {
        Work::task(async move {
            context.sleep(Duration::from_millis(5)).await?;
            Ok(Vec::new())
        })
    });
    let builder = builder(directory.path()).observer(observer);
    let system = builder.queue("Work", threads(1), script).start().await.unwrap();
    let work = system.queue("work").unwrap();
    let ran = submit(&work, "").await;
    let status = end(&work, ran).await;
    work.pause_queue().await.unwrap();
    let cancelled = submit(&work, "").await;
    work.cancel(cancelled).await.unwrap();
    let never = end(&work, cancelled).await;
    eventually("both are told", async || told.lock().unwrap().len() == 2).await;
    let of = |status: &actiond_actors::ActionStatus| {
        let record = &status.record;
        let processing = status.processing;
        (record.queued_at, record.started_at, record.finished_at.unwrap(), processing)
    };
    assert_eq!(*told.lock().unwrap(), [of(&status), of(&never)]);
    assert!(status.processing >= Duration::from_millis(5) && never.record.started_at.is_none());
    system.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_repeat_under_a_key_is_nothing_new() {
    let directory = tempfile::tempdir().unwrap();
    let notes = Notes::of(Interest::QUEUED);
    let (system, work) =
        start(directory.path(), threads(1), &Script::always(nothing()), &notes).await;
    let first = work.submit(to_do("").key("k")).await.unwrap();
    assert_eq!(work.submit(to_do("").key("k")).await, Ok(first));
    // Two that come together go into one batch, or into two.
    let both = tokio::join!(work.submit(to_do("").key("l")), work.submit(to_do("").key("l")));
    assert_eq!(both.0, both.1);
    submit(&work, "").await;
    assert_eq!(notes.take(3).await, ["queued #1.0", "queued #2.0", "queued #3.0"]);
    system.shutdown(Duration::ZERO).await;
}

/// What nobody wants is not even made: an observer of ends hears of ends alone, and of no batch that is timed.
#[tokio::test]
async fn who_wants_ends_is_told_of_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (gate, notes) = (Gate::new(), Notes::of(Interest::FINISHED));
    let other = Notes::of(Interest::NONE);
    let builder = builder(directory.path()).observer(notes.clone()).observer(other.clone());
    let system = builder.queue("Work", threads(2), at_gate(&gate)).start().await.unwrap();
    let work = system.queue("work").unwrap();
    let stopped = submit(&work, "wait").await;
    gate.until_waiting(1).await;
    let finishes = submit(&work, "").await;
    assert_eq!(end_state(&work, finishes).await, State::Finished);
    work.stop(stopped).await.unwrap();
    assert_eq!(end_state(&work, stopped).await, State::Stopped);
    system.shutdown(Duration::ZERO).await;
    assert_eq!(notes.lines(), [format!("Finished ByItself #{finishes}.1")]);
    assert_eq!(other.lines(), Vec::<String>::new());
}

/// Of a queue that was paused and filled while nobody was awake only what comes later is told; of an action that runs already,
/// how it goes on.
#[tokio::test]
async fn who_sleeps_is_told_of_nothing_that_was_before() {
    let directory = tempfile::tempdir().unwrap();
    let (gate, awake) = (Gate::new(), Awake::default());
    let notes = Notes::asleep(CHANGES.and(Interest::PROGRESSED).and(Interest::LEVEL), &awake);
    let others = Notes::of(Interest::COMMITTED);
    let script = Script::new({
        let gate = gate.clone();
        move |context| {
            let gate = gate.clone();
            Work::task(async move {
                for step in 1..=2 {
                    context.set_progress(Progress::of_percent(f64::from(step)));
                    gate.wait().await;
                }
                Ok(Vec::new())
            })
        }
    });
    let mut settings = threads(1);
    settings.max_queue_size = Some(2);
    let builder = builder(directory.path()).observer(notes.clone()).observer(others.clone());
    let system = builder.queue("Work", settings, script).start().await.unwrap();
    let work = system.queue("work").unwrap();
    let id = submit(&work, "").await;
    gate.until_waiting(1).await;
    work.pause_queue().await.unwrap();
    let [waits, other] = [submit(&work, "").await, submit(&work, "").await];
    // The recovery, the pause, three submissions and a start. A commit is told last of all.
    eventually("all of it is told", async || {
        let changes =
            |line: &String| line.strip_prefix("committed ").unwrap().parse::<u32>().unwrap();
        others.lines().iter().map(changes).sum::<u32>() == 6
    })
    .await;
    assert_eq!(notes.lines(), Vec::<String>::new());

    awake.set();
    gate.let_through(1);
    assert_eq!(notes.take(1).await, [format!("at 2 #{id}.1")]);
    work.change_priority(waits, 7).await.unwrap();
    assert_eq!(notes.take(1).await, [format!("priority 7 #{waits}.0")]);
    for action in [waits, other] {
        work.cancel(action).await.unwrap();
    }
    notes.until_told("empty").await;
    work.resume_queue().await.unwrap();
    notes.until_told("queue resumed").await;
    let told = notes.lines();
    assert!(!told.iter().any(|line| line == "queue paused" || line == "full 2/2"), "{told:?}");
    gate.open();
    notes.until_told(&format!("Finished ByItself #{id}.1")).await;
    system.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn progress_is_told_now_and_then_and_the_latest_always() {
    let directory = tempfile::tempdir().unwrap();
    let notes = Notes::of(Interest::PROGRESSED);
    let gate = Gate::new();
    let script = Script::new({
        let gate = gate.clone();
        move |context| {
            let gate = gate.clone();
            Work::task(async move {
                for step in 0..=1_000 {
                    context.set_progress(Progress::of_percent(f64::from(step) / 20.0));
                    context.set_partial(vec![Node::text("step", step.to_string())]);
                    if step % 50 == 0 {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
                gate.wait().await;
                context.set_progress(Progress::of_percent(75.0));
                std::future::pending::<()>().await;
                Ok(Vec::new())
            })
        }
    });
    let since = Instant::now();
    let (system, work) = start(directory.path(), graceless(1), &script, &notes).await;
    let id = submit(&work, "").await;
    notes.until_told(&format!("at 50 #{id}.1")).await;
    gate.open();
    notes.until_told(&format!("at 75 #{id}.1")).await;
    let most = since.elapsed().as_millis() / 250 + 2;
    let told = notes.lines().len();
    assert!(told as u128 <= most, "{told} in {:?}", since.elapsed());
    work.stop(id).await.unwrap();
    assert_eq!(end_state(&work, id).await, State::Stopped);
    let told = notes.lines();
    // One that runs at once is in no queue.
    let at_once = work.run_now_until(
        actiond_actors::Parameters::default(),
        async { tokio::time::sleep(Duration::from_millis(300)).await },
        (),
    );
    assert_eq!(at_once.await.unwrap().state, State::Stopped);
    assert_eq!(notes.lines(), told, "nothing after the end, and nothing twice");
    system.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_queue_tells_how_full_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let notes = Notes::of(Interest::LEVEL);
    let mut settings = threads(1);
    settings.max_queue_size = Some(4);
    let script = Script::always(nothing());
    let (system, work) = start(directory.path(), settings.clone(), &script, &notes).await;
    work.pause_queue().await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(submit(&work, "").await);
    }
    assert!(work.submit(to_do("")).await.is_err());
    for id in &waiting[..2] {
        work.cancel(*id).await.unwrap();
    }
    assert_eq!(notes.take(1).await, ["full 4/4"]);
    work.cancel(waiting[2]).await.unwrap();
    assert_eq!(notes.take(1).await, ["emptying 1/4"]);
    work.cancel(waiting[3]).await.unwrap();
    assert_eq!(notes.take(1).await, ["empty"]);
    submit(&work, "").await;
    system.shutdown(Duration::ZERO).await;
    drop((system, work));

    settings.filling_threshold = 0.4;
    let (system, work) = start(directory.path(), settings, &script, &notes).await;
    submit(&work, "").await;
    assert_eq!(notes.take(1).await, ["filling 2/4"], "what the start found is no news");
    work.resume_queue().await.unwrap();
    notes.until_told("empty").await;
    system.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn each_batch_is_told_with_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let took = Arc::new(Mutex::new(Vec::new()));
    let notes = Notes::of(Interest::COMMITTED);
    let times = Arc::clone(&took);
    let builder = builder(directory.path()).observer(notes.clone()).observer(
        actiond_actors::observer(Interest::COMMITTED, move |_, event| {
            if let QueueEvent::Committed { duration, .. } = event {
                times.lock().unwrap().push(*duration);
            }
        }),
    );
    let script = Script::always(nothing());
    let system = builder.queue("Work", threads(1), script).start().await.unwrap();
    let work = system.queue("work").unwrap();
    assert_eq!(notes.take(1).await, ["committed 1"], "the recovery");
    work.pause_queue().await.unwrap();
    let id = submit(&work, "").await;
    assert_eq!(notes.take(2).await, ["committed 1", "committed 1"]);
    work.resume_queue().await.unwrap();
    end(&work, id).await;
    // The resume with the start, then the end.
    assert_eq!(notes.take(2).await, ["committed 2", "committed 1"]);
    assert!(took.lock().unwrap().iter().all(|took| *took > Duration::ZERO && *took < SOON));
    system.shutdown(Duration::ZERO).await;
}

/// It tells no client anything else, and other observers all the same.
#[tokio::test]
async fn an_observer_that_panics_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let notes = Notes::of(CHANGES);
    /// A panic whose remains panic once more.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as planned, again");
        }
    }
    let panics = actiond_actors::observer(Interest::ALL, |_, _| std::panic::panic_any(Bomb));
    let builder = builder(directory.path()).observer(panics).observer(notes.clone());
    let script = Script::always(nothing());
    let system = builder.queue("Work", threads(1), script).start().await.unwrap();
    let work = system.queue("work").unwrap();
    for _ in 0..3 {
        let id = submit(&work, "").await;
        assert_eq!(end_state(&work, id).await, State::Finished);
    }
    assert_eq!(notes.take(9).await.len(), 9);
    system.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn what_was_interrupted_is_told_by_who_finds_it() {
    for (on_restart, by_shutdown, by_crash) in [
        (OnRestart::Requeue, "requeued #1.1", "requeued #1.1"),
        (
            OnRestart::Fail,
            "Error Asked (interrupted by server shutdown) #1.1",
            "Error never ran (interrupted by server restart) #1.1",
        ),
    ] {
        for crash in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let notes = Notes::of(Interest::ENDED);
            let gate = Gate::new();
            let script = at_gate(&gate).on_restart(on_restart);
            let (system, work) = start(directory.path(), graceless(1), &script, &notes).await;
            submit(&work, "wait").await;
            gate.until_waiting(1).await;
            if crash {
                drop((system, work));
                assert_eq!(notes.lines(), Vec::<String>::new());
                let script = script.clone();
                let (system, _) = start(directory.path(), graceless(1), &script, &notes).await;
                assert_eq!(notes.lines()[..1], [by_crash]);
                gate.open();
                system.shutdown(SOON).await;
            } else {
                system.shutdown(Duration::ZERO).await;
                assert_eq!(notes.lines(), [by_shutdown]);
            }
        }
    }
}

/// Lets the actor die while an answer of the store is on its way to it.
async fn crash_before_the_answer(home: &Faulty) {
    eventually("the answer is on its way", async || home.store.held() == 1).await;
    let commits = home.store.commits();
    home.work.crash_actor();
    eventually("another actor is there", async || home.store.commits() > commits).await;
    home.store.release();
}

/// Nobody told of them, and the next actor does not know that they were: the docs of `Observer` say so. What is told
/// later is told once, in order.
#[tokio::test]
async fn what_is_lost_with_an_actor_is_not_told_and_nothing_is_twice() {
    let (gate, notes) = (Gate::new(), Notes::of(CHANGES));
    let script = at_gate(&gate).pausable().on_restart(OnRestart::Requeue);
    let home = Faulty::observed(threads(1), &script, notes.clone()).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    home.settled().await;
    assert_eq!(notes.take(2).await, ["queued #1.0", "started #1.1"]);

    // A command to the action is lost, what the queue is told later.
    home.store.hold_answers();
    let paused = tokio::spawn({
        let work = home.work.clone();
        async move { work.pause_queue().await }
    });
    crash_before_the_answer(&home).await;
    assert!(paused.await.unwrap().is_err());
    until(&home.work, id, State::Paused).await;
    assert_eq!(notes.take(1).await, ["queue paused"]);
    home.settled().await;
    assert_eq!(notes.take(2).await, ["queue resumed", "resumed #1.1"]);

    // The end of an attempt.
    home.store.hold_answers();
    gate.open();
    crash_before_the_answer(&home).await;
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    home.settled().await;
    assert_eq!(notes.lines(), Vec::<String>::new());

    // A start: nobody began its work, so it is as after a restart.
    home.store.hold_answers();
    let lost = tokio::spawn({
        let work = home.work.clone();
        async move { work.submit(to_do("").key("k")).await }
    });
    crash_before_the_answer(&home).await;
    assert!(lost.await.unwrap().is_err());
    let id = home.work.submit(to_do("").key("k")).await.unwrap().id;
    assert_eq!(end(&home.work, id).await.record.attempt, 2);
    let want = ["requeued #2.1", "started #2.2", "Finished ByItself #2.2"];
    assert_eq!(notes.take(want.len()).await, want);
}

/// What could not be written is told when it is, and once.
#[tokio::test]
async fn what_the_store_refuses_is_told_when_it_is_written() {
    let (gate, notes) = (Gate::new(), Notes::of(CHANGES.and(Interest::COMMITTED)));
    let home = Faulty::observed(threads(1), &at_gate(&gate), notes.clone()).await;
    let id = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    home.settled().await;
    eventually("all is told", async || {
        let told = notes.lines().into_iter().filter(|line| line.starts_with("committed"));
        told.count() as u64 == home.store.commits()
    })
    .await;
    notes.clear();
    home.store.fail_commits(actiond_actors::StoreError::Full);
    gate.open();
    eventually("it was tried", async || home.store.failures() >= 2).await;
    assert!(home.work.submit(to_do("")).await.is_err());
    assert_eq!(notes.lines(), Vec::<String>::new());
    home.store.mend();
    assert_eq!(end_state(&home.work, id).await, State::Finished);
    assert_eq!(notes.take(2).await, [&format!("Finished ByItself #{id}.1"), "committed 1"]);
}

/// A successor goes on telling how far its survivors are.
#[tokio::test]
async fn progress_outlives_the_actor() {
    let notes = Notes::of(Interest::PROGRESSED);
    let gate = Gate::new();
    let script = Script::new({
        let gate = gate.clone();
        move |context| {
            let gate = gate.clone();
            Work::task(async move {
                for step in 1..4 {
                    context.set_progress(Progress::of_percent(f64::from(step)));
                    gate.wait().await;
                }
                Ok(Vec::new())
            })
        }
    });
    let home = Faulty::observed(threads(1), &script, notes.clone()).await;
    let id = submit(&home.work, "").await;
    notes.until_told("at 1 #1.1").await;
    home.work.crash_actor();
    gate.let_through(1);
    notes.until_told("at 2 #1.1").await;
    gate.let_through(1);
    notes.until_told("at 3 #1.1").await;
    gate.open();
    assert_eq!(end_state(&home.work, id).await, State::Finished);
}

/// An attempt that is given up runs on, and has nothing to say any more.
#[tokio::test]
async fn what_is_abandoned_is_told_as_forced() {
    let directory = tempfile::tempdir().unwrap();
    let (gate, notes) = (Gate::new(), Notes::of(Interest::ENDED));
    let (system, work) = start(directory.path(), graceless(1), &at_gate(&gate), &notes).await;
    let id = submit(&work, "block deaf").await;
    gate.until_waiting(1).await;
    work.stop(id).await.unwrap();
    let status = end(&work, id).await;
    let error = status.record.error.unwrap();
    assert_eq!(notes.take(1).await, [format!("Stopped {:?} ({error}) #{id}.1", Came::Forced)]);
    gate.open();
    system.shutdown(SOON).await;
}
