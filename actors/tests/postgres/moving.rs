//! A move brings origins, handlers and their events with the actions. The actions themselves, and a move that goes on after
//! an interruption, are in the tests of the command.

use std::path::Path;
use std::sync::Arc;

use actiond_actors::lifecycle::Command;
use actiond_actors::store::moving::{Place, migrate};
use actiond_actors::store::postgres::{Connect, PostgresStore};
use actiond_actors::store::sqlite::SqliteStore;
use actiond_actors::store::{
    Batch, Control, EventId, EventKind, EventWants, FailedEvent, HandlerId, LevelChange, NewAction,
    NewEvent, Origin, OutboxChange, OutboxState, QueueId, QueueLevel, Record, ScheduleChange,
    ScheduledFor, Site, Store, StoredEvent,
};
use actiond_actors::{ActionId, Durability, Timestamp};

use crate::Schema;
use crate::away::{batch, new_action};

/// All that a store tells of what was moved.
#[derive(Debug, PartialEq)]
struct Told {
    queue: QueueId,
    origins: Vec<Option<Box<Origin>>>,
    events: Vec<StoredEvent>,
    states: [OutboxState; 2],
}

async fn told(store: &dyn Store, actions: &[ActionId]) -> Told {
    let queue = store.open_queue("fetch").await.unwrap().id;
    let mut origins = Vec::new();
    for id in actions {
        origins.push(store.record(queue, *id).await.unwrap().unwrap().origin);
    }
    let [tell, other] = handlers(store).await;
    let events = store.events(tell, None, Vec::new(), 100.into()).await.unwrap();
    assert_eq!(events.unreadable, []);
    let states =
        [store.outbox_state(tell).await.unwrap(), store.outbox_state(other).await.unwrap()];
    // The sites of actions are not for SQLite.
    let mut events = events.events;
    for event in &mut events {
        if let actiond_actors::store::About::Action(action) = &mut event.about {
            **action = Record { run_by: None, ..Record::clone(action) };
        }
    }
    Told { queue, origins, events, states }
}

async fn handlers(store: &dyn Store) -> [HandlerId; 2] {
    [store.open_handler("TELL").await.unwrap(), store.open_handler("Other").await.unwrap()]
}

fn place(directory: &Path) -> Place {
    Place::Directory(directory.to_owned())
}

/// Fills a directory, and returns the ids of its actions.
async fn fill(store: &dyn Store) -> Vec<ActionId> {
    let queue = store.open_queue("Fetch").await.unwrap().id;
    let tell = store.open_handler("Tell").await.unwrap();
    let mut wants = EventWants::default();
    EventKind::ALL.into_iter().for_each(|kind| wants.add(kind, tell));
    let wants = Some(Arc::new(wants));
    let schedule =
        ScheduledFor { schedule: "Nightly".to_owned(), due: Timestamp(5), on_demand: true };
    let origin = Origin {
        action_id: Some("a b".to_owned()),
        callback: Some("http://localhost/".to_owned()),
        schedule: Some(schedule),
    };
    let see = ScheduleChange::See { at: Timestamp(0) };
    let see = Control::Schedule { name: "Nightly".to_owned(), change: see };
    store.commit(Batch { controls: vec![see], ..batch(queue) }).await.unwrap();
    let mut submissions = vec![new_action(); 3];
    if let Some(NewAction::Given { origin: given, .. }) = submissions.first_mut() {
        *given = Some(Box::new(origin));
    }
    let see = ScheduleChange::See { at: Timestamp(1) };
    let controls = vec![Control::Schedule { name: "Nightly".to_owned(), change: see }];
    let starts = Batch { controls, submissions, claim: 2, wants: wants.clone(), ..batch(queue) };
    let reply = store.commit(starts).await.unwrap();
    let ids: Vec<ActionId> = reply.submissions.into_iter().map(|new| new.unwrap().id).collect();
    let level = LevelChange { level: QueueLevel::Empty, queued: 0, limit: Some(7) };
    let controls = vec![
        Control::command(ids[2], Command::Cancel),
        Control::Tell(NewEvent::Level(level).into()),
    ];
    let reply = store.commit(Batch { controls, wants: wants.clone(), ..batch(queue) }).await;
    assert_eq!(reply.unwrap().events, 2);
    let other = store.open_handler("Other").await.unwrap();
    let mut wants = EventWants::default();
    wants.add(EventKind::Queue, other);
    let controls = vec![Control::Tell(NewEvent::Level(level).into()); 3];
    store.commit(Batch { controls, wants: Some(Arc::new(wants)), ..batch(queue) }).await.unwrap();
    let all = store.events(other, None, Vec::new(), 100.into()).await.unwrap().events;
    let of_tell = store.events(tell, None, Vec::new(), 100.into()).await.unwrap().events;
    let fails =
        |id: EventId| FailedEvent { id, at: Timestamp(9), attempts: 4, error: "no".to_owned() };
    let failed = |id| OutboxChange::Settle { delivered: [].into(), failed: [fails(id)].into() };
    let delivered = [all[2].id].into();
    let controls = [
        (tell, failed(of_tell[0].id)),
        (other, OutboxChange::Settle { delivered, failed: [].into() }),
        (other, OutboxChange::Trim { keep: 1 }),
    ];
    let controls = controls.map(|(handler, change)| Control::Outbox { handler, change }).to_vec();
    store.commit(Batch { controls, ..batch(queue) }).await.unwrap();
    ids
}

/// Writes one more event, and returns its number.
async fn next_event(store: &dyn Store, queue: QueueId) -> EventId {
    let [_, other] = handlers(store).await;
    let mut wants = EventWants::default();
    wants.add(EventKind::Queue, other);
    let level = LevelChange { level: QueueLevel::Full, queued: 1, limit: None };
    let controls = vec![Control::Tell(NewEvent::Level(level).into())];
    let tells = Batch { controls, wants: Some(Arc::new(wants)), ..batch(queue) };
    store.commit(tells).await.unwrap();
    store.events(other, None, Vec::new(), 9.into()).await.unwrap().events.pop().unwrap().id
}

#[tokio::test]
async fn handlers_and_their_events_move_both_ways() {
    let Some(schema) = Schema::new() else { return };
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |path: &Path| SqliteStore::open(path, Durability::Normal).unwrap();
    let store = open(from.path());
    let ids = fill(&store).await;
    let before = told(&store, &ids).await;
    let counts = before.states.clone().map(|state| (state.pending, state.failed, state.dropped));
    assert_eq!((counts, before.events.len()), ([(3, 1, 0), (1, 0, 1)], 3));
    store.close().await;

    let in_schema =
        Place::Schema { connect: Connect::new(schema.config.clone()), name: schema.name.clone() };
    let site = Site { name: "here".to_owned(), host: "here.example.org".to_owned(), port: 7000 };
    let moved = migrate(&place(from.path()), &in_schema, &site, &|_| {}).await.unwrap();
    assert_eq!((moved.to.events, moved.to.failed_events), (4, 1));
    let settings =
        actiond_actors::store::postgres::Settings { site: site.clone(), ..schema.settings() };
    let store = PostgresStore::open(settings).await.unwrap();
    let there = told(&store, &ids).await;
    assert_eq!(Told { queue: before.queue, ..there }, before);
    let queue = store.open_queue("Fetch").await.unwrap().id;
    // The number of the event that was delivered is not used again.
    let last = next_event(&store, queue).await;
    assert!(last.0 > 7, "{last:?}");
    let after = told(&store, &ids).await;
    store.close().await;

    migrate(&in_schema, &place(to.path()), &site, &|_| {}).await.unwrap();
    let store = open(to.path());
    let back = told(&store, &ids).await;
    assert_eq!(Told { queue: after.queue, ..back }, after);
    let queue = store.open_queue("Fetch").await.unwrap().id;
    assert!(next_event(&store, queue).await > last);
    store.close().await;
}
