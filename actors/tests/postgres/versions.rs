//! A schema of an earlier version is brought to that of this program, with all that it holds.

use actiond_actors::lifecycle::Command;
use actiond_actors::store::conformance::StoreFactory as _;
use actiond_actors::store::{Batch, Control, NewAction, Origin, Record};
use actiond_actors::{ActionId, State, Timestamp};

use crate::Schema;
use crate::away::{batch, client, new_action};

/// The step to version 1.
const VERSION_1: &str = include_str!("../../src/store/postgres/schema/0001.sql");

/// One action that waits and one that has ended in Error, of a server that is no more.
const CONTENT: &str = "
    INSERT INTO site (name, host, port) VALUES ('old', 'old.example.org', 7000);
    INSERT INTO queue (folded, name, paused) VALUES ('fetch', 'Fetch', true);
    INSERT INTO tally (queue, server, batch, queued, error) VALUES (1, 0, 0, 1, 1);
    INSERT INTO live (id, queue, state, priority, queued_at, taken_by, parameters)
        VALUES (nextval('action_id'), 1, 0, 3, 1000, 1, '[[\"Text\",\"hello\"]]');
    INSERT INTO done (id, queue, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent, error,
            taken_by, run_by, parameters)
        VALUES (nextval('action_id'), 1, 5, 0, 1, 2000, 2001, 2002, 1, 50, 'no', 1, 1, '[[\"Text\",\"hello\"]]');";

#[tokio::test]
async fn a_schema_of_version_1_is_brought_over() {
    let Some(schema) = Schema::new() else { return };
    let admin = client(&schema).await;
    let name = schema.name.replace('"', "\"\"");
    admin
        .batch_execute(&format!(
            "CREATE SCHEMA \"{name}\";
             CREATE TABLE meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
             INSERT INTO meta (version) VALUES (1);
             {VERSION_1} {CONTENT}"
        ))
        .await
        .unwrap();
    let store = schema.open();
    let queue = store.open_queue("FETCH").await.unwrap();
    assert!(queue.paused);
    assert_eq!(queue.counts.to_string(), "1 Queued, 1 Error");
    let id = |number| ActionId::new(number).unwrap();
    let read = async |number| store.record(queue.id, id(number)).await.unwrap().unwrap();
    let (waits, ended): (Record, Record) = (read(1).await, read(2).await);
    assert_eq!((waits.state, waits.priority, waits.queued_at), (State::Queued, 3, Timestamp(1000)));
    assert_eq!((ended.state, ended.error.as_deref()), (State::Error, Some("no")));
    assert_eq!((waits.origin, ended.origin), (None, None));

    let origin = Origin { action_id: Some("a b".to_owned()), ..Origin::default() };
    let NewAction::Given { parameters, priority, key, not_before, queued_at, .. } = new_action()
    else {
        unreachable!()
    };
    let origin = Some(Box::new(origin));
    let new = NewAction::Given {
        origin: origin.clone(),
        parameters,
        priority,
        key,
        not_before,
        queued_at,
    };
    let retry = Control::command(id(2), Command::Retry);
    let changes = Batch { controls: vec![retry], submissions: vec![new], ..batch(queue.id) };
    let reply = store.commit(changes).await.unwrap();
    assert!(reply.controls[0].is_ok(), "{reply:?}");
    let new = reply.submissions[0].clone().unwrap().id;
    assert_eq!(new, id(3), "ids go on");
    assert_eq!(store.record(queue.id, new).await.unwrap().unwrap().origin, origin);
    assert_eq!(read(2).await.state, State::Queued);
    let handler = store.open_handler("Tell").await.unwrap();
    assert_eq!(store.events(handler, None, Vec::new(), 9.into()).await.unwrap().events, []);
    store.close().await;

    let version: i32 = admin.query_one("SELECT version FROM meta", &[]).await.unwrap().get(0);
    assert_eq!(version, 2);
}
