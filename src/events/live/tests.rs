//! Tests of what is kept of events, who hears which, and where a listener begins.

use actiond_actors::events::Requeue;
use actiond_actors::{ActionId, ActionRef, Progress, Stage, State, Timestamp};

use super::*;

fn action(id: u64) -> ActionRef {
    let id = ActionId::new(id).unwrap();
    ActionRef { id, queued_at: Timestamp(1_000), attempt: 1, taken_by: None }
}

fn told(queue: &str, event: &QueueEvent<'_>) -> Told {
    Told::of(queue, event).unwrap()
}

fn queued(queue: &str, id: u64) -> Told {
    told(queue, &QueueEvent::Queued { action: action(id) })
}

/// Has this many events of actions kept.
fn happen(live: &LiveEvents, number: u64) {
    let observer = live.observer();
    (1..=number)
        .for_each(|id| observer.on_event("Work", &QueueEvent::Queued { action: action(id) }));
}

#[test]
fn each_event_has_its_type() {
    let one = action(1);
    let table = [
        (QueueEvent::Queued { action: one }, Some("queued")),
        (QueueEvent::Requeued { action: one, why: Requeue::Interrupted }, Some("queued")),
        (QueueEvent::Started { action: one, started_at: Timestamp(1) }, Some("started")),
        (QueueEvent::Paused { action: one }, Some("paused")),
        (QueueEvent::Resumed { action: one }, Some("resumed")),
        (QueueEvent::Stopping { action: one, forced: false }, None),
        (QueueEvent::PriorityChanged { action: one, priority: 1 }, None),
        (QueueEvent::QueuePaused, Some("queue")),
        (QueueEvent::QueueResumed, Some("queue")),
        (QueueEvent::QueueFull { queued: 1, limit: 1 }, Some("queue")),
        (QueueEvent::QueueFilling { queued: 1, limit: 1 }, Some("queue")),
        (QueueEvent::QueueEmptying { queued: 1, limit: 1 }, Some("queue")),
        (QueueEvent::QueueEmpty, Some("queue")),
    ];
    for (event, expected) in table {
        let told = Told::of("Work", &event);
        assert_eq!(told.map(|told| told.event_type.name()), expected, "{event:?}");
        // What is kept is also asked for.
        assert!(expected.is_none() || told::INTEREST.has(event.interest()), "{event:?}");
    }
}

#[test]
fn types_are_read_by_table() {
    let read = |texts: &[&'static str]| texts.iter().copied().try_fold(Types::NONE, Types::with);
    let names = |types: Types| -> Vec<_> {
        EventType::ALL.into_iter().filter(|it| types.has(*it)).map(EventType::name).collect()
    };
    for (texts, expected) in [
        (&["queued"][..], Ok(vec!["queued"])),
        (&["ERROR, queue", "Started"], Ok(vec!["started", "error", "queue"])),
        (&["", " , "], Ok(vec![])),
        (&["queued,begun,x"], Err("begun")),
        (&["queued", "stop"], Err("stop")),
    ] {
        assert_eq!(read(texts).map(names), expected, "{texts:?}");
    }
    assert_eq!(names(Types::USUAL), EventType::NAMES[..10]);
}

#[test]
fn who_hears_what_by_table() {
    let types = |names: &'static str| Types::NONE.with(names).unwrap();
    let queues = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let named = |queue: &str, id, queued_ms| NamedAction { queue: queue.to_owned(), id, queued_ms };
    let events = [
        queued("Work", 1),
        queued("Work", 2),
        queued("Other", 1),
        told("Work", &QueueEvent::QueuePaused),
    ];
    let table = [
        (Filter::new(Types::USUAL, None, None), [true, true, true, true]),
        (Filter::new(types("queued"), None, None), [true, true, true, false]),
        (Filter::new(types("queue"), None, None), [false, false, false, true]),
        (Filter::new(Types::USUAL, queues(&["Work"]), None), [true, true, false, true]),
        (Filter::new(Types::USUAL, queues(&["x", "other"]), None), [false, false, true, false]),
        (Filter::new(Types::USUAL, queues(&[]), None), [false; 4]),
        (
            Filter::new(Types::USUAL, None, Some(vec![named("Work", 1, 1_000)])),
            [true, false, false, false],
        ),
        (
            Filter::new(
                Types::USUAL,
                None,
                Some(vec![named("Work", 1, 1_000), named("Other", 1, 1_000)]),
            ),
            [true, false, true, false],
        ),
        // Another action of that id, of another data directory.
        (Filter::new(Types::USUAL, None, Some(vec![named("Work", 1, 1_001)])), [false; 4]),
        (
            Filter::new(Types::USUAL, queues(&["Other"]), Some(vec![named("Work", 1, 1_000)])),
            [false; 4],
        ),
    ];
    for (number, (filter, expected)) in table.into_iter().enumerate() {
        let heard = events.each_ref().map(|told| filter.wants(told));
        assert_eq!(heard, expected, "line {number}: {filter:?}");
    }
}

#[test]
fn long_texts_and_many_stages_are_cut() {
    assert_eq!(&*told::cut("short"), "short");
    let long = told::cut(&"é".repeat(5_000));
    assert!(long.len() <= 4_100 && long.ends_with("é..."), "{}", long.len());

    let stage = |title: &str| Stage::new(title).percent(50.0);
    let few = Progress::of_stages(vec![stage("a"), stage("b")]);
    assert_eq!(told::bounded(&few).stages.len(), 2);
    let mut deep = stage("a");
    for _ in 0..200 {
        let mut outer = stage("a");
        outer.stages = vec![deep];
        deep = outer;
    }
    for many in [vec![stage("a"); 500], vec![stage(&"x".repeat(9_000))], vec![deep]] {
        let mut progress = Progress::of_stages(many);
        progress.measuring = true;
        let bounded = told::bounded(&progress);
        assert!(bounded.stages.is_empty() && bounded.measuring);
        assert_eq!(bounded.percent(), progress.percent());
    }
}

#[test]
fn a_listener_begins_where_it_may() {
    let live = LiveEvents::new(3);
    let begin = |after: Option<&str>| {
        let (listener, begins) = live.listen(after).unwrap();
        (begins, listener.position().number)
    };
    let id = |number: u64| Position { run: live.0.run, number }.to_string();
    assert_eq!(begin(None), (Begins::Now, 0));
    assert_eq!(begin(Some(&id(0))), (Begins::After, 0));
    happen(&live, 5);
    for (after, expected) in [
        (None, (Begins::Now, 5)),
        (Some(id(5)), (Begins::After, 5)),
        (Some(id(2)), (Begins::After, 2)),
        (Some(id(1)), (Begins::Reset, 5)),
        (Some(id(0)), (Begins::Reset, 5)),
        (Some(id(6)), (Begins::Reset, 5)),
        (Some("else".to_owned()), (Begins::Reset, 5)),
        (Some(Position { run: live.0.run ^ 1, number: 5 }.to_string()), (Begins::Reset, 5)),
    ] {
        assert_eq!(begin(after.as_deref()), expected, "{after:?}");
    }
    assert_ne!(LiveEvents::new(3).0.run, LiveEvents::new(3).0.run);
}

#[test]
fn events_are_asked_for_from_the_first_listener_on() {
    let live = LiveEvents::new(3).max_listeners(1);
    let awake = live.observer().awake().unwrap();
    assert!(!awake.is_set());
    let first = live.listen(None).unwrap();
    assert!(awake.is_set());
    drop(first);
    // It goes on, for those who come back.
    assert!(awake.is_set());
    let nobody = LiveEvents::new(3).max_listeners(0);
    assert_eq!(nobody.listen(None).err(), Some(0));
    assert!(!nobody.0.awake.is_set());
}

#[test]
fn no_more_listen_than_may() {
    let live = LiveEvents::new(3).max_listeners(2);
    let (first, _second) = (live.listen(None).unwrap(), live.listen(None).unwrap());
    assert_eq!(live.listen(None).err(), Some(2));
    drop(first);
    assert_eq!(live.listeners(), 1);
    assert!(live.listen(None).is_ok());
}

#[test]
fn an_event_gets_its_form_once_for_all() {
    let live = LiveEvents::new(3);
    let (mut one, other) = (live.listen(None).unwrap().0, live.listen(None).unwrap().0);
    happen(&live, 1);
    let heard = one.hear().unwrap();
    let id = Position { run: live.0.run, number: 1 };
    let text = heard[0].text(|told, out| out.extend_from_slice(told.queue.as_bytes())).clone();
    assert_eq!(text, format!("id: {id}\nevent: queued\ndata: Work\n\n"));
    let again = other.hear().unwrap();
    assert_eq!(*again[0].text(|_, _| panic!("it has one")), text);
    one.heard(&heard[0]);
    assert!(one.hear().unwrap().is_empty() && one.position() == id);
    happen(&live, 4);
    assert_eq!(one.hear().unwrap_err(), Behind);
}

#[test]
fn large_events_push_others_out() {
    let live = LiveEvents::new(1_000);
    let listener = live.listen(None).unwrap().0;
    let progress = || Facts::Progress {
        state: State::Processing,
        progress: Box::new(Progress::of_stages(
            (0..60).map(|_| Stage::new("x".repeat(10))).collect(),
        )),
        processing: std::time::Duration::ZERO,
    };
    let large = || Told {
        event_type: EventType::Progress,
        queue: "Work".into(),
        action: None,
        facts: progress(),
    };
    // 60 stages of 130 bytes, twice, and the rest.
    assert_eq!(large().byte_len(), 16_200);
    // There is room for 64 of them, and 1 MB in all.
    (0..64).for_each(|_| live.0.keep(large()));
    assert_eq!(listener.hear().unwrap().len(), 64);
    live.0.keep(large());
    assert_eq!(listener.hear().unwrap_err(), Behind);
}

#[test]
fn a_batch_tells_at_once_who_wants_none_of_it() {
    let live = LiveEvents::new(1_000);
    let empty = live.batch_after(0);
    assert_eq!(
        (empty.next(), empty.from(1).map(<[_]>::len), empty.from(2).is_none()),
        (1, Some(0), true)
    );
    live.0.keep(queued("Work", 1));
    live.0.keep(queued("Work", 2));
    live.0.keep(told("Other", &QueueEvent::QueuePaused));
    let batch = live.batch_after(0);
    assert_eq!(batch.next(), 4);
    for (number, left) in [(0, None), (1, Some(3)), (3, Some(1)), (4, Some(0)), (5, None)] {
        assert_eq!(batch.from(number).map(<[_]>::len), left, "{number}");
    }
    let types = |names: &'static str| Types::NONE.with(names).unwrap();
    let queues = |name: &str| Some(vec![name.to_owned()]);
    let named =
        |queue: &str, id| Some(vec![NamedAction { queue: queue.to_owned(), id, queued_ms: 1_000 }]);
    let table = [
        (Filter::new(Types::USUAL, None, None), true),
        (Filter::new(types("error"), None, None), false),
        (Filter::new(types("queue,error"), None, None), true),
        (Filter::new(Types::USUAL, queues("other"), None), true),
        (Filter::new(Types::USUAL, queues("Third"), None), false),
        (Filter::new(Types::USUAL, Some(Vec::new()), None), false),
        (Filter::new(Types::USUAL, None, named("Work", 2)), true),
        (Filter::new(Types::USUAL, None, named("Work", 3)), false),
        (Filter::new(types("error"), None, named("Work", 2)), false),
    ];
    for (filter, expected) in table {
        assert_eq!(filter.may_want(&batch), expected, "{filter:?}");
        // It says no only where each event is unwanted.
        let wanted = batch.from(1).unwrap().iter().any(|event| filter.wants(event.told()));
        assert!(expected || !wanted, "{filter:?}");
    }
}

#[test]
fn a_batch_is_bounded_and_goes_on_where_it_ended() {
    let live = LiveEvents::new(10_000);
    happen(&live, 5_000);
    let first = live.batch_after(0);
    assert_eq!(first.next(), 4_097);
    let second = live.batch_after(first.next() - 1);
    assert_eq!((second.from(4_097).map(<[_]>::len), second.next()), (Some(904), 5_001));
    // What is not kept any more is nothing to be woken for.
    let live = LiveEvents::new(10);
    happen(&live, 50);
    let batch = live.batch_after(0);
    assert_eq!((batch.next(), batch.from(51).map(<[_]>::len)), (51, Some(0)));
}
