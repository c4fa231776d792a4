//! Cases about events for handlers: which are written, and what they say. Each shows its action as it was right after its change.
//! Cases about their delivery are in `delivery`.

use std::sync::Arc;

use super::{Bench, StoreFactory, an_end, written};
use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::{Command, Ended};
use crate::report::Node;
use crate::store::{
    About, Batch, BatchReply, Control, EventKind, EventWants, HandlerId, LevelChange, NewAction,
    NewEvent, Origin, OutboxChange, QueueLevel, Record, Rejected, Retention, ScheduleChange,
    ScheduledFor, StoredEvent,
};

/// Returns the wishes of a handler that wants events of these kinds.
pub(super) fn wants(handler: HandlerId, kinds: &[EventKind]) -> Arc<EventWants> {
    let mut wants = EventWants::default();
    for kind in kinds {
        wants.add(*kind, handler);
    }
    Arc::new(wants)
}

impl Bench {
    /// Opens a handler that wants everything, and returns its wishes.
    pub(super) async fn open_handler(&self, name: &str) -> (HandlerId, Arc<EventWants>) {
        let handler = self.store.open_handler(name).await.unwrap();
        (handler, wants(handler, &EventKind::ALL))
    }

    /// Makes a change that handlers hear of.
    pub(super) async fn tell(&self, wants: &Arc<EventWants>, control: Control) -> BatchReply {
        let wants = Some(Arc::clone(wants));
        self.commit(Batch { controls: vec![control], wants, ..self.batch() }).await
    }

    /// Submits actions that start at once, and returns their ids.
    pub(super) async fn start(
        &self,
        wants: &Arc<EventWants>,
        new: Vec<NewAction>,
    ) -> Vec<ActionId> {
        let (claim, wants) = (new.len(), Some(Arc::clone(wants)));
        let batch = Batch { submissions: new, claim, wants, ..self.batch() };
        self.commit(batch).await.submissions.into_iter().map(|new| new.unwrap().id).collect()
    }

    /// Reads all pending events of a handler.
    pub(super) async fn events(&self, handler: HandlerId) -> Vec<StoredEvent> {
        let page = self.store.events(handler, None, Vec::new(), 10_000.into()).await.unwrap();
        assert!(!page.more);
        assert_eq!(page.unreadable, []);
        let in_order = page.events.windows(2).all(|two| two[0].id < two[1].id);
        assert!(in_order, "the oldest come first: {:?}", page.events);
        page.events
    }

    /// Takes the events of a handler, as if they had been delivered.
    async fn take(&self, handler: HandlerId) -> Vec<StoredEvent> {
        let events = self.events(handler).await;
        let delivered = events.iter().map(|event| event.id).collect();
        let change = OutboxChange::Settle { delivered, failed: [].into() };
        self.control(Control::Outbox { handler, change }).await.unwrap();
        events
    }

    /// Takes the only event of a handler, which happened now and is of this kind.
    async fn take_one(&self, handler: HandlerId, kind: EventKind) -> About {
        let mut events = self.take(handler).await;
        let event = events.pop().unwrap_or_else(|| panic!("there is no event of {kind:?}"));
        assert_eq!(events, []);
        assert_eq!((event.kind, event.at, event.queue), (kind, Timestamp(self.now), self.queue));
        event.about
    }

    /// Returns the action as an event would show it now.
    async fn shown(&self, id: ActionId) -> About {
        action(self.record(id).await)
    }

    fn new_from(&self, origin: Origin) -> NewAction {
        let NewAction::Given { parameters, priority, key, not_before, queued_at, .. } =
            self.new_action(3)
        else {
            unreachable!("it is given")
        };
        let origin = Some(Box::new(origin));
        NewAction::Given { parameters, priority, key, not_before, queued_at, origin }
    }
}

fn action(record: Record) -> About {
    About::Action(Box::new(Record { position: None, figures: None, ..record }))
}

fn end(id: ActionId, attempt: u32, ended: Ended) -> Control {
    Control::End(an_end(id, attempt, ended).into())
}

/// An origin with something in each of its fields.
fn an_origin() -> Origin {
    Origin {
        action_id: Some("\"callback\":\0ä".to_owned()),
        callback: Some("http://localhost/told?a=\"b\"".to_owned()),
        schedule: Some(ScheduledFor {
            schedule: "Nightly".to_owned(),
            due: Timestamp(7),
            on_demand: true,
        }),
    }
}

/// Opens a store with the schedule of [`an_origin`].
async fn open(factory: &impl StoreFactory) -> Bench {
    let bench = Bench::open(factory).await;
    let see = ScheduleChange::See { at: Timestamp(1) };
    let control = Control::Schedule { name: "Nightly".to_owned(), change: see };
    assert_eq!(bench.control(control).await, Ok(Vec::new()));
    bench
}

/// Each kind of event is written with the change that it tells of, once, and shows the action as it can be read then.
pub async fn each_change_is_told_as_it_is_made(factory: &impl StoreFactory) {
    let mut bench = open(factory).await;
    let (handler, all) = bench.open_handler("Tell").await;
    let ids = bench.start(&all, vec![bench.new_from(an_origin())]).await;
    let id = ids[0];
    assert_eq!(bench.take_one(handler, EventKind::Start).await, bench.shown(id).await);

    bench.now += 10;
    assert_eq!(bench.tell(&all, end(id, 1, Ended::Retry)).await.events, 1);
    let told = bench.take_one(handler, EventKind::ErrorReport).await;
    assert_eq!(told, bench.shown(id).await, "it waits for its next attempt");

    bench.now += 1_000;
    let claim = Batch { claim: 1, wants: Some(Arc::clone(&all)), ..bench.batch() };
    assert_eq!(bench.commit(claim).await.events, 1);
    let told = bench.take_one(handler, EventKind::Start).await;
    assert_eq!(told, bench.shown(id).await, "with the error of the attempt before");

    for (ended, kind) in [
        (Ended::Finished, EventKind::Finish),
        (Ended::Failed, EventKind::Error),
        (Ended::Stopped, EventKind::Stop),
        (Ended::Cancelled, EventKind::Cancel),
    ] {
        bench.now += 10;
        let id = if ended == Ended::Finished {
            id
        } else {
            let new = bench.start(&all, vec![bench.new_action(0)]).await;
            bench.take_one(handler, EventKind::Start).await;
            new[0]
        };
        let attempt = bench.record(id).await.attempt;
        bench.now += 10;
        assert_eq!(bench.tell(&all, end(id, attempt, ended)).await.events, 1);
        assert_eq!(bench.take_one(handler, kind).await, bench.shown(id).await);
    }

    let waits = bench.submit(5).await;
    bench.tell(&all, Control::command(waits, Command::ChangePriority(1))).await;
    assert_eq!(bench.events(handler).await, [], "of that nobody hears");
    bench.tell(&all, Control::command(waits, Command::Cancel)).await;
    assert_eq!(bench.take_one(handler, EventKind::Cancel).await, bench.shown(waits).await);
}

/// An event tells of its change also if a later one of the same batch has changed the action again, or deleted it.
pub async fn changes_of_one_batch_are_told_one_by_one(factory: &impl StoreFactory) {
    let bench = open(factory).await;
    let (handler, all) = bench.open_handler("Tell").await;
    let new = || bench.new_from(an_origin());
    let ids = bench.start(&all, vec![new(), new(), new()]).await;
    assert_eq!(bench.take(handler).await.len(), 3);
    let controls = vec![
        end(ids[0], 1, Ended::Retry),
        Control::command(ids[0], Command::Cancel),
        end(ids[1], 1, Ended::Failed),
        Control::command(ids[1], Command::Retry),
        end(ids[2], 1, Ended::Finished),
        Control::command(ids[2], Command::Delete),
    ];
    let batch = Batch { controls, claim: 1, wants: Some(Arc::clone(&all)), ..bench.batch() };
    let reply = bench.commit(batch).await;
    assert!(reply.controls.iter().all(Result::is_ok), "{:?}", reply.controls);
    assert_eq!(reply.events, 5);
    let mut found = Vec::new();
    for event in bench.take(handler).await {
        let About::Action(record) = event.about else { panic!("it is of an action") };
        assert_eq!(record.origin.as_deref(), Some(&an_origin()));
        let Record { id, state, attempt, .. } = *record;
        let error = record.error.unwrap_or_default();
        found.push((id, event.kind, state, attempt, error, record.report));
    }
    // Only the events of one action are in order.
    found.sort_by_key(|(id, ..)| *id);
    let no = |attempt| format!("the disk said \"no\" to attempt {attempt}");
    let (none, done) = (String::new, vec![Node::text("done", "attempt 1")]);
    assert_eq!(
        found,
        [
            (ids[0], EventKind::ErrorReport, State::Queued, 1, no(1), Vec::new()),
            (ids[0], EventKind::Cancel, State::Cancelled, 1, none(), Vec::new()),
            (ids[1], EventKind::Error, State::Error, 1, no(1), done.clone()),
            (ids[1], EventKind::Start, State::Processing, 2, no(1), Vec::new()),
            (ids[2], EventKind::Finish, State::Finished, 1, none(), done),
        ]
    );
}

/// An event stays as it was when its action is deleted, by a client or for its age, or is tried again.
pub async fn an_event_outlives_its_action(factory: &impl StoreFactory) {
    let mut bench = open(factory).await;
    let (handler, all) = bench.open_handler("Tell").await;
    let ends = wants(handler, &[EventKind::Finish, EventKind::Error]);
    let new = (0..3).map(|_| bench.new_from(an_origin())).collect();
    let ids = bench.start(&ends, new).await;
    let mut expected = Vec::new();
    for (id, ended) in ids.iter().zip([Ended::Finished, Ended::Finished, Ended::Failed]) {
        bench.now += 1;
        bench.tell(&all, end(*id, 1, ended)).await;
        expected.push(bench.shown(*id).await);
    }
    bench.command(ids[0], Command::Delete).await.unwrap();
    bench.command(ids[2], Command::Retry).await.unwrap();
    let retention = Retention { max_finished: Some(0), finished_after: None };
    bench.commit(Batch { retention, ..bench.batch() }).await;
    assert_eq!((bench.find(ids[0]).await, bench.find(ids[1]).await), (None, None));
    let bench = bench.reopen(factory).await;
    let found: Vec<_> = bench.events(handler).await.into_iter().map(|event| event.about).collect();
    assert_eq!(found, expected);
}

/// A handler that wants nothing, or nothing of that kind, gets nothing.
pub async fn nothing_is_told_to_who_wants_nothing(factory: &impl StoreFactory) {
    let bench = open(factory).await;
    let (handler, all) = bench.open_handler("Tell").await;
    let level = LevelChange { level: QueueLevel::Full, queued: 1, limit: Some(1) };
    let none = Arc::new(EventWants::default());
    for wants in [None, Some(none), Some(wants(handler, &[EventKind::Stop]))] {
        let submissions = vec![bench.new_from(an_origin()); 2];
        let starts = Batch { submissions, claim: 2, wants: wants.clone(), ..bench.batch() };
        let reply = bench.commit(starts).await;
        let mut events = reply.events;
        let ids: Vec<_> = reply.claimed.iter().map(|claimed| claimed.id).collect();
        let report = NewEvent::ErrorReport {
            id: ids[0],
            attempt: 1,
            error: "no".to_owned(),
            report: written(&[]),
        };
        let controls = vec![
            Control::Tell(report.into()),
            Control::Tell(NewEvent::Level(level).into()),
            end(ids[0], 1, Ended::Failed),
            end(ids[1], 1, Ended::Finished),
        ];
        let reply = bench.commit(Batch { controls, wants, ..bench.batch() }).await;
        assert!(reply.controls.iter().all(Result::is_ok), "{:?}", reply.controls);
        events += reply.events;
        assert_eq!(events, 0);
    }
    assert_eq!(bench.events(handler).await, []);
    bench.start(&all, vec![bench.new_action(0)]).await;
    assert_eq!(bench.events(handler).await.len(), 1);
}

/// Several handlers each get what they want, and of one event each its own.
pub async fn each_handler_gets_its_own(factory: &impl StoreFactory) {
    let bench = open(factory).await;
    let (a, _) = bench.open_handler("A").await;
    let (b, _) = bench.open_handler("B").await;
    assert_ne!(a, b);
    let mut both = EventWants::clone(&wants(a, &[EventKind::Start, EventKind::Finish]));
    both.add(EventKind::Finish, b);
    both.add(EventKind::Finish, b);
    let both = Arc::new(both);
    let id = bench.start(&both, vec![bench.new_action(0)]).await[0];
    let reply = bench.tell(&both, end(id, 1, Ended::Finished)).await;
    assert_eq!(reply.events, 2);
    let of_b = bench.take(b).await;
    assert_eq!(of_b.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Finish]);
    let of_a = bench.take(a).await;
    let kinds: Vec<_> = of_a.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Start, EventKind::Finish],
        "they were not settled with the other"
    );
    assert_eq!(of_a[1].about, of_b[0].about);
    assert_ne!(of_a[1].id, of_b[0].id);
}

/// The handler of callbacks hears of the ends of actions that were submitted with one, and of nothing else.
pub async fn a_callback_is_told_of_ends_alone(factory: &impl StoreFactory) {
    let bench = open(factory).await;
    let (handler, _) = bench.open_handler("Callbacks").await;
    let mut wants = EventWants::default();
    wants.callback = Some(handler);
    let wants = Arc::new(wants);
    let without = Origin { callback: None, ..an_origin() };
    let new = vec![bench.new_from(an_origin()), bench.new_from(without), bench.new_action(0)];
    let ids = bench.start(&wants, new).await;
    for id in &ids {
        bench.tell(&wants, end(*id, 1, Ended::Retry)).await;
    }
    assert_eq!(bench.events(handler).await, [], "none has ended");
    let cancel = |id: &ActionId| Control::command(*id, Command::Cancel);
    let controls = ids.iter().map(cancel).collect();
    let batch = Batch { controls, wants: Some(Arc::clone(&wants)), ..bench.batch() };
    assert_eq!(bench.commit(batch).await.events, 1);
    assert_eq!(bench.take_one(handler, EventKind::Cancel).await, bench.shown(ids[0]).await);
}

/// An error report is taken of the attempt that runs, and changes nothing.
pub async fn an_error_report_is_of_the_attempt_that_runs(factory: &impl StoreFactory) {
    let bench = open(factory).await;
    let (handler, all) = bench.open_handler("Tell").await;
    let id = bench.start(&all, vec![bench.new_from(an_origin())]).await[0];
    bench.take(handler).await;
    let nodes = [Node::text("file", "b\0")];
    let report = |id, attempt| {
        let (error, report) = ("it can't be read: \"b\"\0".to_owned(), written(&nodes));
        Control::Tell(NewEvent::ErrorReport { id, attempt, error, report }.into())
    };
    let before = bench.record(id).await;
    let reply = bench.tell(&all, report(id, 1)).await;
    assert_eq!((reply.controls, reply.events), (vec![Ok(Vec::new())], 1));
    assert_eq!(bench.record(id).await, before);
    let error = Some("it can't be read: \"b\"\0".to_owned());
    let expected = action(Record { error, report: nodes.to_vec(), ..before });
    assert_eq!(bench.take_one(handler, EventKind::ErrorReport).await, expected);

    let mut stale = bench.tell(&all, report(id, 2)).await;
    assert_eq!(stale.controls.pop(), Some(Err(Rejected::Stale)));
    bench.end(id, 1, Ended::Finished).await.unwrap();
    let mut ended = bench.tell(&all, report(id, 1)).await;
    assert!(matches!(ended.controls.pop(), Some(Err(Rejected::Stale | Rejected::Unknown))));
    let unknown = ActionId::new(id.get() + 50).unwrap();
    let mut unknown = bench.tell(&all, report(unknown, 1)).await;
    assert!(matches!(unknown.controls.pop(), Some(Err(Rejected::Stale | Rejected::Unknown))));
    assert_eq!(bench.events(handler).await, []);
}

/// Changes of the fill level are kept as they are given.
pub async fn levels_are_told_as_they_are(factory: &impl StoreFactory) {
    let bench = open(factory).await;
    let (handler, all) = bench.open_handler("Tell").await;
    for (level, limit) in [
        (QueueLevel::Full, Some(3)),
        (QueueLevel::Filling, Some(u64::MAX)),
        (QueueLevel::Emptying, None),
        (QueueLevel::Empty, Some(0)),
    ] {
        let change = LevelChange { level, queued: 3, limit };
        let reply = bench.tell(&all, Control::Tell(NewEvent::Level(change).into())).await;
        assert_eq!((reply.controls, reply.events), (vec![Ok(Vec::new())], 1));
        let told = bench.take_one(handler, EventKind::Queue).await;
        assert_eq!(told, About::Queue(change));
    }
}

/// The origin of an action is read with it as long as it is there, and its copies have it without the schedule.
pub async fn origins_are_kept_and_copied(factory: &impl StoreFactory) {
    let bench = open(factory).await;
    let scheduled = Origin { action_id: None, callback: None, ..an_origin() };
    let mut ids = Vec::new();
    for origin in [an_origin(), scheduled, Origin::default()] {
        ids.push(bench.try_submit(bench.new_from(origin)).await.unwrap().id);
    }
    let copies = ids.iter().map(|id| NewAction::CopyOf { id: *id, queued_at: Timestamp(5) });
    let reply = bench.commit(Batch { submissions: copies.collect(), ..bench.batch() }).await;
    let copies: Vec<_> = reply.submissions.into_iter().map(|copy| copy.unwrap().id).collect();
    let bench = bench.reopen(factory).await;
    let origin = async |id| bench.record(id).await.origin;
    let full = Some(Box::new(an_origin()));
    assert_eq!(origin(ids[0]).await, full);
    assert_eq!(origin(ids[2]).await, None, "there is nothing in it");
    assert_eq!(origin(copies[0]).await, an_origin().of_copy());
    assert_eq!((origin(copies[1]).await, origin(copies[2]).await), (None, None));

    assert_eq!(bench.claim(1).await[0].id, ids[0]);
    assert_eq!(origin(ids[0]).await, full);
    bench.end(ids[0], 1, Ended::Failed).await.unwrap();
    assert_eq!(origin(ids[0]).await, full);
    let listed = bench.list(&crate::store::query::Query::default()).await;
    let listed = listed.into_iter().find(|record| record.id == ids[0]);
    assert_eq!(listed.unwrap().origin, full);
    bench.command(ids[0], Command::Retry).await.unwrap();
    assert_eq!(origin(ids[0]).await, full);
}
