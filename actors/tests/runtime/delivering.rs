//! Events for handlers: each arrives at least once, by one identifier, and in order for its action.

mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actiond_actors::outbox::{EventHandlers, HandlerSettings, OutboxError, Undelivered};
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{About, EventKind, QueueLevel, Store, StoreError};
use actiond_actors::testing::{FaultyStore, Gate, Plan, Script, eventually};
use actiond_actors::{
    ActionId, Builder, Node, Parameters, QueueHandle, QueueSettings, RetryPolicy, StartError,
    State, Submission, System, Work,
};

use crate::common::{
    NEVER, SOON, at_gate, builder, end_state, nothing, submit, threads, until, until_finished,
};
use receiver::{Answer, Receiver, action};

fn refuse() -> Answer {
    Answer::Refuse(Undelivered::for_now("not now"))
}

/// Retries at once, as often as it takes.
fn eager() -> HandlerSettings {
    HandlerSettings {
        retries: 1_000,
        retry_interval: Duration::from_millis(1),
        max_retry_interval: Duration::from_millis(4),
        ..HandlerSettings::default()
    }
}

fn all_kinds() -> EventHandlers {
    let add = |handlers: EventHandlers, kind| handlers.on(kind, "hook");
    EventKind::ALL.into_iter().fold(EventHandlers::default(), add)
}

fn telling(slots: usize, handlers: EventHandlers) -> QueueSettings {
    let mut settings = threads(slots);
    settings.handlers = handlers;
    settings
}

async fn start(built: Builder) -> (System, QueueHandle) {
    let system = built.start().await.unwrap();
    let work = system.queue("Work").unwrap();
    (system, work)
}

fn built(
    directory: &Path,
    script: Script,
    settings: HandlerSettings,
    receiver: &Receiver,
) -> Builder {
    builder(directory).handler("Hook", settings, Arc::new(receiver.clone())).queue(
        "Work",
        telling(4, all_kinds()),
        script,
    )
}

#[tokio::test]
async fn each_kind_of_event_arrives_with_its_action_as_it_was() {
    use EventKind::{Cancel, Error as Failed, ErrorReport, Finish, Start, Stop};
    let directory = tempfile::tempdir().unwrap();
    let (receiver, gate) = (Receiver::taking(), Gate::new());
    let mut settings = telling(1, all_kinds());
    settings.retry = RetryPolicy { max_attempts: 2, delay: NEVER, ..RetryPolicy::default() };
    let (system, work) = start(
        builder(directory.path())
            .handler("HOOK", HandlerSettings::default(), Arc::new(receiver.clone()))
            .queue("Work", settings, at_gate(&gate)),
    )
    .await;
    let finished = submit(&work, "finish").await;
    assert_eq!(end_state(&work, finished).await, State::Finished);
    let stopped = submit(&work, "wait").await;
    until(&work, stopped, State::Processing).await;
    let cancelled = submit(&work, "finish").await;
    work.cancel(cancelled).await.unwrap();
    work.stop(stopped).await.unwrap();
    assert_eq!(end_state(&work, stopped).await, State::Stopped);
    let failed = submit(&work, "fail").await;
    eventually("it has failed once", async || receiver.kinds(failed).contains(&ErrorReport)).await;
    work.retry(failed).await.unwrap();
    assert_eq!(end_state(&work, failed).await, State::Error);
    eventually("all is told", async || {
        receiver.kinds(failed).len() == 4 && receiver.kinds(stopped).len() == 2
    })
    .await;
    assert_eq!(receiver.kinds(finished), [Start, Finish]);
    assert_eq!(receiver.kinds(stopped), [Start, Stop]);
    assert_eq!(receiver.kinds(cancelled), [Cancel]);
    assert_eq!(receiver.kinds(failed), [Start, ErrorReport, Start, Failed]);
    for event in receiver.taken() {
        let About::Action(record) = &event.about else { continue };
        let (state, has_ended) = match event.kind {
            Start => (State::Processing, false),
            Finish => (State::Finished, true),
            Cancel => (State::Cancelled, true),
            Stop => (State::Stopped, true),
            Failed => (State::Error, true),
            _ => (State::Queued, false),
        };
        assert_eq!((record.state, record.finished_at.is_some()), (state, has_ended), "{event:?}");
        assert_eq!(&*event.queue, "Work");
        let has_error = event.kind == ErrorReport || record.attempt == 2;
        assert_eq!(record.error.is_some(), has_error, "{event:?}");
    }
    let status = system.outbox().status("hook").await.unwrap();
    assert_eq!((status.failed, status.dropped), (0, 0));
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn the_fill_level_is_told_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(|_, calls| if calls < 3 { refuse() } else { Answer::Take });
    let mut settings = telling(1, EventHandlers::default().on(EventKind::Queue, "Hook"));
    settings.max_queue_size = Some(4);
    let (system, work) = start(
        builder(directory.path()).handler("Hook", eager(), Arc::new(receiver.clone())).queue(
            "Work",
            settings,
            Script::always(nothing()),
        ),
    )
    .await;
    work.pause_queue().await.unwrap();
    for _ in 0..4 {
        submit(&work, "").await;
    }
    work.resume_queue().await.unwrap();
    until_finished(&work, 4).await;
    eventually("the queue is told to be empty", async || {
        receiver.taken().last().is_some_and(|event| match &event.about {
            About::Queue(change) => change.level == QueueLevel::Empty,
            About::Action(_) => false,
        })
    })
    .await;
    let mut levels = Vec::new();
    for event in receiver.taken() {
        let About::Queue(change) = &event.about else { panic!("{event:?}") };
        assert_eq!(change.limit, Some(4));
        levels.push(change.level);
    }
    // How full it is seen on the way down depends on how many start at once.
    levels.retain(|level| *level != QueueLevel::Emptying);
    assert_eq!(levels, [QueueLevel::Full, QueueLevel::Empty]);
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn those_of_one_action_are_in_order_and_those_of_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let closed = gate.clone();
    let first = ActionId::new(1);
    let receiver = Receiver::new(move |event, _| match action(event) == first {
        true => Answer::At(closed.clone()),
        false => Answer::Take,
    });
    let settings = HandlerSettings { max_in_flight: 3, ..HandlerSettings::default() };
    let script = Script::always(nothing());
    let (system, work) = start(built(directory.path(), script, settings, &receiver)).await;
    for _ in 0..40 {
        submit(&work, "").await;
    }
    until_finished(&work, 40).await;
    eventually("all others are told", async || {
        let told = receiver.taken();
        told.iter().filter(|event| event.kind == EventKind::Finish).count() == 39
    })
    .await;
    assert_eq!(receiver.kinds(first.unwrap()), []);
    gate.open();
    eventually("the first is told", async || receiver.kinds(first.unwrap()).len() == 2).await;
    for number in 1..=40 {
        let kinds = receiver.kinds(ActionId::new(number).unwrap());
        assert_eq!(kinds, [EventKind::Start, EventKind::Finish], "{number}");
    }
    assert!(receiver.log.lock().unwrap().peak <= 3);
    eventually("nothing is kept", async || {
        system.outbox().status("Hook").await.unwrap().pending == 0
    })
    .await;
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn what_fails_for_good_is_kept_until_somebody_decides() {
    let directory = tempfile::tempdir().unwrap();
    let takes = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = Arc::clone(&takes);
    let receiver = Receiver::new(move |event, _| {
        let takes = now.load(std::sync::atomic::Ordering::SeqCst);
        match (event.kind, takes) {
            (EventKind::Finish, false) => refuse(),
            (EventKind::Start, false) if action(event) == ActionId::new(1) => {
                Answer::Refuse(Undelivered::for_good("never"))
            }
            _ => Answer::Take,
        }
    });
    let settings = HandlerSettings { retries: 2, ..eager() };
    let script = Script::always(nothing());
    let (system, work) = start(built(directory.path(), script, settings, &receiver)).await;
    for _ in 0..3 {
        submit(&work, "").await;
    }
    let outbox = system.outbox();
    let failed = async |number| {
        eventually(format!("{number} have failed"), async || {
            let status = outbox.status("hook").await.unwrap();
            (status.failed, status.pending) == (number, 0)
        })
        .await;
    };
    failed(4).await;
    assert_eq!(receiver.kinds(ActionId::new(2).unwrap()), [EventKind::Start]);
    let calls = receiver.log.lock().unwrap().calls.values().copied().collect::<Vec<_>>();
    let mut sorted = calls.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 1, 1, 3, 3, 3], "three attempts, but one where it is of no use");
    let status = outbox.status("Hook").await.unwrap();
    assert_eq!(status.retried, 6);
    assert_eq!(status.last_error.unwrap().1, "not now");

    // They stay over a restart, and are not tried by themselves.
    system.shutdown(SOON).await;
    drop((system, outbox, work));
    let script = Script::always(nothing());
    let (system, _) = start(built(directory.path(), script, settings, &receiver)).await;
    let outbox = system.outbox();
    let before = receiver.calls();
    assert_eq!(outbox.status("Hook").await.unwrap().failed, 4);
    assert_eq!(receiver.calls(), before);
    takes.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(outbox.retry("hook").await, Ok(4));
    eventually("all are told", async || receiver.taken().len() == 6).await;
    for number in 1..=3 {
        let kinds = receiver.kinds(ActionId::new(number).unwrap());
        assert_eq!(kinds, [EventKind::Start, EventKind::Finish], "{number}");
    }
    eventually("nothing is kept", async || {
        let status = outbox.status("Hook").await.unwrap();
        (status.failed, status.pending) == (0, 0)
    })
    .await;
    assert_eq!(outbox.discard("Hook").await, Ok(0));
    assert_eq!(outbox.retry("nobody").await, Err(OutboxError::Unknown("nobody".to_owned())));
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn failed_events_are_discarded_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(|_, _| Answer::Refuse(Undelivered::for_good("never")));
    let script = Script::always(nothing());
    let (system, work) = start(built(directory.path(), script, eager(), &receiver)).await;
    submit(&work, "").await;
    let outbox = system.outbox();
    let failed = async || outbox.status("Hook").await.unwrap().failed;
    eventually("both have failed", async || failed().await == 2).await;
    assert_eq!(outbox.discard("hook").await, Ok(2));
    assert_eq!(failed().await, 0);
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_crash_has_what_was_under_way_told_again_by_the_same_identifier() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let closed = gate.clone();
    let first = Receiver::new(move |_, _| Answer::At(closed.clone()));
    let script = Script::always(nothing());
    let (system, work) = start(built(directory.path(), script.clone(), eager(), &first)).await;
    let id = submit(&work, "").await;
    end_state(&work, id).await;
    eventually("one is under way", async || first.calls() == 1).await;
    drop((system, work));
    let second = Receiver::taking();
    let mut started = None;
    eventually("the directory can be opened", async || {
        let built = built(directory.path(), script.clone(), eager(), &second);
        started = built.start().await.ok();
        started.is_some()
    })
    .await;
    second.has_taken(2).await;
    assert_eq!(second.kinds(id), [EventKind::Start, EventKind::Finish]);
    let again = second.taken()[0].message_id();
    assert_eq!(first.log.lock().unwrap().calls.keys().collect::<Vec<_>>(), [&again]);
    started.unwrap().shutdown(SOON).await;
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_under_way_and_writes_it_down() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let closed = gate.clone();
    let receiver = Receiver::new(move |_, _| Answer::At(closed.clone()));
    let script = Script::always(nothing());
    let (system, work) = start(built(directory.path(), script.clone(), eager(), &receiver)).await;
    let id = submit(&work, "").await;
    end_state(&work, id).await;
    eventually("one is under way", async || receiver.calls() == 1).await;
    let ending = tokio::spawn({
        let system = system.clone();
        async move { system.shutdown(SOON).await }
    });
    system.drained().await;
    gate.open();
    ending.await.unwrap();
    drop((system, work));
    let taken = receiver.taken().len();
    let (system, _) = start(built(directory.path(), script, eager(), &receiver)).await;
    receiver.has_taken(2).await;
    let calls = receiver.log.lock().unwrap().calls.clone();
    assert!(taken >= 1 && calls.values().all(|calls| *calls == 1), "{calls:?}");
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_receiver_that_is_down_is_asked_by_one_event() {
    let directory = tempfile::tempdir().unwrap();
    let is_up = Gate::new();
    let up = is_up.clone();
    let receiver = Receiver::new(move |_, _| match up.is_open() {
        true => Answer::Take,
        false => Answer::Refuse(Undelivered::down("no connection")),
    });
    let settings = HandlerSettings {
        retry_interval: Duration::from_millis(100),
        max_retry_interval: Duration::from_millis(100),
        ..eager()
    };
    let script = Script::always(nothing());
    let (system, work) = start(built(directory.path(), script, settings, &receiver)).await;
    for _ in 0..100 {
        submit(&work, "").await;
    }
    until_finished(&work, 100).await;
    // Four may have been under way when the first was refused.
    eventually("it is asked again", async || receiver.calls() > 17).await;
    let events = receiver.log.lock().unwrap().calls.len();
    assert!(events < 100, "{events} of 200 events were tried");
    let status = system.outbox().status("Hook").await.unwrap();
    // And those of the queue, as often as it was empty.
    assert!(status.pending >= 200 && status.failed == 0, "{status:?}");
    assert_eq!(status.last_error.unwrap().1, "no connection");
    is_up.open();
    receiver.has_taken(200).await;
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn the_oldest_are_dropped_beyond_the_maximum() {
    let directory = tempfile::tempdir().unwrap();
    let is_up = Gate::new();
    let up = is_up.clone();
    let receiver = Receiver::new(move |_, _| match up.is_open() {
        true => Answer::Take,
        false => Answer::Refuse(Undelivered::down("no connection")),
    });
    let settings = HandlerSettings { max_pending: 10, ..eager() };
    let handlers = EventHandlers::default().on(EventKind::Finish, "Hook");
    let (system, work) = start(
        builder(directory.path()).handler("Hook", settings, Arc::new(receiver.clone())).queue(
            "Work",
            telling(4, handlers),
            Script::always(nothing()),
        ),
    )
    .await;
    for _ in 0..60 {
        submit(&work, "").await;
    }
    until_finished(&work, 60).await;
    let outbox = system.outbox();
    eventually("ten are left", async || outbox.status("Hook").await.unwrap().pending == 10).await;
    assert_eq!(outbox.status("Hook").await.unwrap().dropped, 50);
    system.shutdown(SOON).await;
    drop((system, outbox, work));
    is_up.open();
    let built = built(directory.path(), Script::always(nothing()), settings, &receiver);
    let (system, _) = start(built).await;
    receiver.has_taken(10).await;
    let ids = receiver.taken().iter().filter_map(|event| action(event)).collect::<BTreeSet<_>>();
    assert_eq!(ids.len(), 10);
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_handler_that_panics_or_hangs_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let closed = gate.clone();
    let receiver = Receiver::new(move |event, calls| match (action(event), calls) {
        (id, _) if id == ActionId::new(1) => Answer::At(closed.clone()),
        (_, 1) => Answer::Panic,
        _ => Answer::Take,
    });
    let script = Script::always(nothing());
    let settings = HandlerSettings { max_in_flight: 0, ..eager() };
    let (system, work) = start(built(directory.path(), script, settings, &receiver)).await;
    for _ in 0..5 {
        let id = submit(&work, "").await;
        assert_eq!(end_state(&work, id).await, State::Finished, "the queue waits for nobody");
    }
    assert_eq!(receiver.calls(), 1, "one at a time");
    gate.open();
    receiver.has_taken(10).await;
    let error = system.outbox().status("Hook").await.unwrap().last_error.unwrap().1;
    assert_eq!(error, "the handler panicked");
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_store_that_fails_delays_what_is_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    let store = FaultyStore::new(Arc::new(sqlite) as Arc<dyn Store>);
    let gate = Gate::new();
    let closed = gate.clone();
    let receiver = Receiver::new(move |_, _| Answer::At(closed.clone()));
    let script = Script::always(nothing());
    let built = built(directory.path(), script, eager(), &receiver).store(Arc::new(store.clone()));
    let (system, work) = start(built).await;
    let id = submit(&work, "").await;
    end_state(&work, id).await;
    eventually("one is under way", async || receiver.calls() == 1).await;
    store.fail_commits(StoreError::Unavailable("as planned".to_owned()));
    gate.open();
    receiver.has_taken(2).await;
    assert_eq!(system.outbox().status("Hook").await.unwrap().pending, 2);
    store.mend();
    eventually("both are written down", async || {
        system.outbox().status("Hook").await.unwrap().pending == 0
    })
    .await;
    assert_eq!(receiver.calls(), 2, "nothing was told twice");
    system.shutdown(SOON).await;
}

/// Else a crash would have the event that failed told behind the one that follows it.
#[tokio::test]
async fn what_follows_a_failure_waits_until_that_is_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(directory.path(), Durability::Normal).unwrap();
    let store = FaultyStore::new(Arc::new(sqlite) as Arc<dyn Store>);
    let gate = Gate::new();
    let closed = gate.clone();
    let receiver = Receiver::new(move |event, _| match event.kind {
        EventKind::Start => Answer::RefuseAt(closed.clone()),
        _ => Answer::Take,
    });
    let script = Script::always(nothing());
    let built = built(directory.path(), script, eager(), &receiver).store(Arc::new(store.clone()));
    let (system, work) = start(built).await;
    let id = submit(&work, "").await;
    end_state(&work, id).await;
    eventually("the start is under way", async || receiver.calls() == 1).await;
    store.fail_commits(StoreError::Unavailable("as planned".to_owned()));
    let before = store.failures();
    gate.open();
    eventually("it was to be written down", async || store.failures() > before + 1).await;
    assert_eq!(receiver.calls(), 1, "the end waits");
    store.mend();
    receiver.has_taken(1).await;
    assert_eq!(receiver.kinds(id), [EventKind::Finish]);
    assert_eq!(system.outbox().status("Hook").await.unwrap().failed, 1);
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_callback_is_told_of_the_end_of_its_action_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (callbacks, others) = (Receiver::taking(), Receiver::taking());
    let handlers = EventHandlers::default().on(EventKind::Finish, "Others").callbacks("Calls");
    let (system, work) = start(
        builder(directory.path())
            .handler("Calls", eager(), Arc::new(callbacks.clone()))
            .handler("Others", eager(), Arc::new(others.clone()))
            .queue("Work", telling(1, handlers), at_gate(&Gate::opened())),
    )
    .await;
    let parameters = |what: &str| Parameters::from_iter([("Do", what)]);
    submit(&work, "").await;
    let failing = Submission::new(parameters("fail")).callback("http://there/");
    let failing = work.submit(failing).await.unwrap().id;
    let finishing = Submission::new(parameters("")).callback("http://here/");
    let finishing = work.submit(finishing).await.unwrap().id;
    callbacks.has_taken(2).await;
    others.has_taken(2).await;
    let told: BTreeMap<_, _> = callbacks
        .taken()
        .iter()
        .map(|event| (action(event).unwrap(), (event.kind, event.callback().unwrap().to_owned())))
        .collect();
    let expected = [
        (failing, (EventKind::Error, "http://there/".to_owned())),
        (finishing, (EventKind::Finish, "http://here/".to_owned())),
    ];
    assert_eq!(told, BTreeMap::from(expected));
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn work_reports_errors_after_which_it_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::taking();
    let script = Script::new(|context| {
        for number in 0..3 {
            context.set_partial(vec![Node::text("done", number.to_string())]);
            context.report_error(&format!("part {number} is lost, and so is {}", "hush-hush"));
        }
        Work::task(async move {
            context.report_error(&"é".repeat(9_000));
            Ok(vec![Node::text("done", "all")])
        })
    });
    let handlers = EventHandlers::default().on(EventKind::ErrorReport, "Hook");
    let handlers = handlers.on(EventKind::Finish, "Hook");
    let (system, work) = start(
        builder(directory.path())
            .handler("Hook", HandlerSettings::default(), Arc::new(receiver.clone()))
            .queue("Work", telling(1, handlers), script),
    )
    .await;
    let secret = Parameters::from_iter([("Password", "hush-hush")]);
    let id = work.submit(Submission::new(secret)).await.unwrap().id;
    receiver.has_taken(5).await;
    let kinds = receiver.kinds(id);
    assert_eq!(kinds[..3], [EventKind::ErrorReport; 3]);
    for (number, event) in receiver.taken().iter().take(3).enumerate() {
        let About::Action(record) = &event.about else { panic!("{event:?}") };
        let error = record.error.as_deref().unwrap();
        assert!(error.starts_with(&format!("part {number} is lost")), "{error}");
        assert!(!error.contains("hush-hush"), "{error}");
        assert_eq!(record.state, State::Processing);
    }
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn names_must_be_those_of_handlers() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::taking();
    let settings = telling(1, EventHandlers::default().on(EventKind::Stop, "Nobody"));
    let unknown = built(directory.path(), Script::always(nothing()), eager(), &receiver).queue(
        "Other",
        settings,
        Script::always(nothing()),
    );
    let error = unknown.start().await.unwrap_err();
    assert!(matches!(error, StartError::UnknownHandler { .. }), "{error}");
    assert_eq!(error.to_string(), "queue Other names the handler Nobody, which there is not");
    let twice = built(directory.path(), Script::always(nothing()), eager(), &receiver).handler(
        "HOOK",
        eager(),
        Arc::new(receiver.clone()),
    );
    let error = twice.start().await.unwrap_err();
    assert!(matches!(error, StartError::SameHandler(_)), "{error}");

    // A queue may be told to name others while it runs.
    let (system, work) =
        start(built(directory.path(), Script::always(nothing()), eager(), &receiver)).await;
    work.set_settings(telling(1, EventHandlers::default()));
    let id = submit(&work, "").await;
    end_state(&work, id).await;
    work.set_settings(telling(1, EventHandlers::default().on(EventKind::Finish, "hook")));
    let id = submit(&work, "").await;
    receiver.has_taken(1).await;
    assert_eq!(receiver.kinds(id), [EventKind::Finish]);
    assert_eq!(receiver.calls(), 1);
    system.shutdown(SOON).await;
}

/// Whatever receiver and server do, each event arrives, by one identifier, and in order for its action.
#[tokio::test]
async fn random_failures_and_crashes_lose_nothing_and_keep_the_order() {
    for seed in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let random = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        let dice = Arc::clone(&random);
        let receiver = Receiver::new(move |_, _| match dice.lock().unwrap().u32(..12) {
            0..4 => refuse(),
            4 => Answer::Panic,
            5 => Answer::Refuse(Undelivered { is_down: true, ..Undelivered::for_now("down") }),
            _ => Answer::Take,
        });
        let settings = HandlerSettings { max_in_flight: 5, ..eager() };
        let script = Script::always(Plan::Finish(Vec::new()));
        let mut ids = Vec::new();
        for life in 0..5 {
            let mut started = None;
            eventually("the directory can be opened", async || {
                let built = built(directory.path(), script.clone(), settings, &receiver);
                started = built.start().await.ok();
                started.is_some()
            })
            .await;
            let system = started.unwrap();
            let work = system.queue("Work").unwrap();
            for _ in 0..20 {
                ids.push(submit(&work, "").await);
            }
            let some = random.lock().unwrap().usize(1..20);
            if life == 4 {
                eventually("nothing is left", async || {
                    work.summary().counts.finished() == 100
                        && system.outbox().status("Hook").await.unwrap().pending == 0
                })
                .await;
                system.shutdown(SOON).await;
            } else {
                let last = ids[ids.len() - some];
                end_state(&work, last).await;
            }
            // What a crash interrupts, the next life takes up again.
            drop((system, work));
            receiver.log.lock().unwrap().under_way.clear();
        }
        let taken = receiver.taken();
        for id in ids {
            let mut told = Vec::new();
            for event in taken.iter().filter(|event| action(event) == Some(id)) {
                // A repeat is of the latest that was written down at most.
                if told.last() != Some(&(event.kind, event.message_id())) {
                    told.push((event.kind, event.message_id()));
                }
            }
            told.dedup();
            let kinds: Vec<_> = told.iter().map(|(kind, _)| *kind).collect();
            let identifiers: BTreeSet<_> = told.iter().map(|(_, identifier)| identifier).collect();
            let last = kinds.last().copied();
            assert!(
                matches!(last, Some(EventKind::Finish | EventKind::Error)),
                "seed {seed}, action {id}: {told:?}"
            );
            assert_eq!(kinds.first(), Some(&EventKind::Start), "seed {seed}, action {id}");
            assert!(identifiers.len() >= 2, "seed {seed}, action {id}: {told:?}");
        }
    }
}
