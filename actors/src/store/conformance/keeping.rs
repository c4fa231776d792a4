//! Cases about exact storage, and opening a store again.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::model::Model;
use super::{Bench, StoreFactory, an_end, cases, run, written};
use crate::action::{ActionId, Parameters, State, Timestamp, Value};
use crate::lifecycle::{Command, Ended, Refusal};
use crate::report::{Node, Report};
use crate::store::query::{Cursor, PageLimit, Query, SortKey};
use crate::store::{AttemptEnd, Batch, Claimed, Control, NewAction, Record, Rejected, StoreError};

/// The place counts the actions that start before, up to the maximum.
pub async fn a_place_in_the_queue(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let normal = bench.submit(0).await;
    let low = bench.submit(-1).await;
    let high = bench.submit(1).await;
    for (id, position) in [(high, 1), (normal, 2), (low, 3)] {
        assert_eq!(bench.record(id).await.position, Some(position));
    }
    bench.claim(1).await;
    assert_eq!(bench.record(high).await.position, None);
    assert_eq!(bench.record(normal).await.position, Some(1));
    // `low` is number 2; with so many more before it, it has the last place that is counted.
    let fill = usize::try_from(Record::MAX_POSITION).unwrap() - 2;
    let submissions = (0..fill).map(|_| bench.new_action(5)).collect();
    bench.commit(Batch { submissions, ..bench.batch() }).await;
    assert_eq!(bench.record(low).await.position, Some(Record::MAX_POSITION));
    bench.submit(0).await;
    assert_eq!(bench.record(low).await.position, None);
    bench.command(normal, Command::ChangePriority(-2)).await.unwrap();
    assert_eq!(bench.record(low).await.position, Some(Record::MAX_POSITION));
}

async fn keeps(bench: &Bench, parameters: Parameters) {
    let new = NewAction::Given {
        not_before: None,
        parameters: parameters.clone(),
        priority: 0,
        key: None,
        queued_at: Timestamp(1),
        origin: None,
    };
    let id = bench.try_submit(new.clone()).await.unwrap().id;
    let read = bench.store.parameters(bench.queue, id).await.unwrap().unwrap();
    assert_eq!(read, parameters);
    assert_eq!(bench.claim(1).await[0].parameters, parameters, "as it was read back");
    let reply = bench.commit(Batch { submissions: vec![new], claim: 1, ..bench.batch() }).await;
    assert_eq!(reply.claimed[0].parameters, parameters, "as it was just written");
}

/// Names and values of every kind, in their order, and large ones.
pub async fn parameters_are_kept_to_the_letter(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let every_character: String = ('\0'..=char::MAX).step_by(7).collect();
    let texts =
        ["", "\0", "'", "\"", "\\", "'; --", "\u{feff}", "\u{2028}", "😀", "{\"base64\":\"\"}"];
    let pairs: Vec<(String, Value)> = texts
        .iter()
        .flat_map(|text| {
            [((*text).to_owned(), Value::from(*text)), ("n".to_owned(), (*text).into())]
        })
        .chain([
            ("all".to_owned(), every_character.into()),
            ("bytes".to_owned(), Value::Bytes((0..=255).collect())),
            ("none".to_owned(), Value::Bytes(Vec::new())),
            ("no text".to_owned(), Value::Bytes(vec![0xff, 0xfe, 0])),
            ("large".to_owned(), Value::Bytes(vec![0xab; 3 << 20])),
        ])
        .collect();
    keeps(&bench, pairs.into_iter().collect()).await;
    keeps(&bench, Parameters::default()).await;
}

/// Random names and values.
pub async fn any_parameters_are_kept_to_the_letter(factory: &impl StoreFactory) {
    let store = factory.open();
    let value = prop_oneof![
        any::<String>().prop_map(Value::Text),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    let pairs = proptest::collection::vec((any::<String>(), value), 0..8);
    // The runner is not async, so each case is run to its end on a thread of its own.
    let outcome = tokio::task::spawn_blocking(move || {
        TestRunner::new(cases(64)).run(&pairs, |pairs| {
            run(async {
                let bench = Bench::open_queue(store.clone(), "Fetch").await;
                keeps(&bench, pairs.into_iter().collect()).await;
            });
            Ok(())
        })
    });
    if let Err(failed) = outcome.await.unwrap() {
        panic!("{failed}");
    }
}

/// Results of every form.
pub async fn reports_are_kept_to_the_letter(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let mut nested = Node::text("innermost", "here");
    for level in 0..30 {
        nested = Node::new(format!("level{level}")).node(nested).attribute("level", level);
    }
    let reports: Vec<Report> = vec![
        vec![],
        vec![Node::new("")],
        vec![Node::text("empty", ""), Node::new("nothing"), Node::text("n", "\0'\"<&>]]>😀")],
        vec![Node::new("a").attribute("x", "1").attribute("x", "2").attribute("", "\0")],
        vec![Node::new("two").node(Node::new("one")).node(Node::text("one", "text"))],
        vec![nested],
        vec![Node::text("large", "x".repeat(1 << 20))],
    ];
    for report in reports {
        for ended in [Ended::Finished, Ended::Failed, Ended::Stopped] {
            let id = bench.submit(0).await;
            bench.claim(1).await;
            let end = AttemptEnd { report: written(&report), ..an_end(id, 1, ended) };
            bench.control(Control::End(end.clone().into())).await.unwrap();
            let record = bench.record(id).await;
            assert_eq!(record.report, report);
            assert_eq!(record.error, end.error);
            assert_eq!(record.processing_ms, end.processing_ms);
        }
    }
}

/// After closing and opening, every record, count and listing is as before.
pub async fn reopening_gives_the_same(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let mut model = Model::default();
    let submissions = (0..20).map(|n| bench.new_action(n % 3)).collect();
    let mut batches = vec![Batch { submissions, claim: 8, ..bench.batch() }];
    let id = |n| ActionId::new(n).unwrap();
    // The ids of the three with the highest priority that came first, whatever they are.
    let reply = bench.commit(batches[0].clone()).await;
    model.apply(&batches[0], &reply);
    let ran: Vec<_> = reply.claimed.iter().map(|c| c.id.get()).collect();
    bench.now += 5;
    batches.push(Batch {
        controls: vec![
            Control::End(an_end(id(ran[0]), 1, Ended::Finished).into()),
            Control::End(an_end(id(ran[1]), 1, Ended::Failed).into()),
            Control::command(id(ran[2]), Command::Stop),
            Control::command(id(ran[3]), Command::Pause { supported: true }),
            Control::command(id(ran[4]), Command::Stop),
            Control::End(an_end(id(ran[4]), 1, Ended::Stopped).into()),
        ],
        ..bench.batch()
    });
    let reply = bench.commit(batches[1].clone()).await;
    model.apply(&batches[1], &reply);
    for _ in 0..2 {
        model.check(&*bench.store).await;
        assert_eq!(bench.state().await.counts, reply.counts);
        assert_eq!(bench.list(&Query::default()).await.len(), 20);
        bench = bench.reopen(factory).await;
    }
}

/// A store that is closed answers, and says that it is closed; closing it again does no harm.
pub async fn a_closed_store_says_so(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    bench.store.close().await;
    bench.store.close().await;
    let closed = StoreError::Closed;
    assert_eq!(bench.store.commit(bench.batch()).await.map(drop), Err(closed.clone()));
    assert_eq!(bench.store.open_queue("Fetch").await.map(drop), Err(closed.clone()));
    assert_eq!(bench.store.record(bench.queue, id).await, Err(closed.clone()));
    assert_eq!(bench.store.parameters(bench.queue, id).await, Err(closed.clone()));
    let page = bench.store.page(bench.queue, Query::default(), Cursor::start(0), 1.into()).await;
    assert_eq!(page.map(drop), Err(closed));
}

/// Pages of actions with large results may be short; together they hold each action once, in order.
pub async fn large_results_are_listed_once_and_in_order(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let submissions = (0..14).map(|_| bench.new_action(0)).collect();
    let claimed = bench.commit(Batch { submissions, claim: 9, ..bench.batch() }).await.claimed;
    for Claimed { id, attempt, .. } in claimed {
        bench.now += 1;
        let report = written(&[Node::text("large", "x".repeat(100_000))]);
        let end = AttemptEnd { report, ..an_end(id, attempt, Ended::Finished) };
        bench.control(Control::End(end.into())).await.unwrap();
    }
    for (sort, descending) in [
        (SortKey::Queued, true),
        (SortKey::Started, false),
        // Those that have not ended come last.
        (SortKey::Finished, false),
        (SortKey::Finished, true),
    ] {
        let query = Query { sort, descending, ..Query::default() };
        let mut wanted: Vec<u64> = match (sort, descending) {
            (SortKey::Queued, true) => (1..=14).rev().collect(),
            (_, false) => (1..=14).collect(),
            (_, true) => (1..=9).rev().chain((10..=14).rev()).collect(),
        };
        wanted.drain(..2);
        // As pages are, one at a time, and where none fits until it is known how large they are.
        for most in [PageLimit::BYTES, 150_000, 1_000] {
            let (mut next, mut listed, mut limit) =
                (Some(Cursor::start(2)), Vec::new(), PageLimit { actions: 100, bytes: most });
            while let Some(cursor) = next {
                let page =
                    bench.store.page(bench.queue, query.clone(), cursor, limit).await.unwrap();
                let sizes = page
                    .records
                    .iter()
                    .map(|record| record.report.iter().map(Node::byte_len).sum::<usize>());
                assert!(sizes.sum::<usize>() <= limit.bytes && page.bytes <= limit.bytes);
                if let (Some(size), true) = (page.too_large, page.records.is_empty()) {
                    assert!(limit.bytes < 100_000 && size > 100_000, "{size} did not fit");
                    (limit.bytes, next) = (size, page.next);
                    continue;
                }
                assert_ne!(page.next, Some(cursor), "a page that comes no nearer to the end");
                limit.bytes = most;
                listed.extend(page.records.into_iter().map(|record| record.id.get()));
                next = page.next;
            }
            assert_eq!(listed, wanted, "{sort:?}, descending: {descending}, by {most} bytes");
        }
    }
}

/// Parameters that are not kept go with the end of their action, which is then neither tried again nor copied; an action with a
/// key keeps them. If they are kept, every action that has ended can be copied.
pub async fn parameters_are_kept_after_the_end_or_not(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let parameters =
        async |bench: &Bench, id| bench.store.parameters(bench.queue, id).await.unwrap();
    let copy = async |bench: &Bench, id| {
        bench.try_submit(NewAction::CopyOf { id, queued_at: Timestamp(bench.now) }).await
    };
    for keep_parameters in [true, false] {
        let mut keyed = bench.new_action(5);
        if let NewAction::Given { key, .. } = &mut keyed {
            *key = Some(format!("once {keep_parameters}").into());
        }
        let keyed = bench.try_submit(keyed).await.unwrap().id;
        let mut ended = Vec::new();
        for outcome in [Ended::Finished, Ended::Failed, Ended::Stopped] {
            ended.push((bench.submit(3).await, outcome));
        }
        let cancelled = bench.submit(3).await;
        assert_eq!(bench.claim(4).await.len(), 4);
        let ends = ended.iter().copied().chain([(keyed, Ended::Failed)]);
        let ends = ends.map(|(id, outcome)| Control::End(an_end(id, 1, outcome).into()));
        let mut controls: Vec<Control> = ends.collect();
        controls.push(Control::command(cancelled, Command::Cancel));
        let reply = bench.commit(Batch { controls, keep_parameters, ..bench.batch() }).await;
        assert!(reply.controls.iter().all(Result::is_ok), "{:?}", reply.controls);
        let ids = ended.iter().map(|(id, _)| *id).chain([cancelled]);
        for id in ids {
            let state = bench.record(id).await.state;
            let given = parameters(&bench, id).await;
            assert_eq!(given.is_some(), keep_parameters, "{state}");
            let copied = copy(&bench, id).await;
            if keep_parameters {
                let copied = copied.unwrap().id;
                assert_eq!(parameters(&bench, copied).await, given);
                assert_eq!(bench.record(copied).await.priority, 3);
                bench.command(copied, Command::Cancel).await.unwrap();
            } else {
                let refusal = Refusal { state, command: Command::Duplicate };
                assert_eq!(copied, Err(Rejected::Refused(refusal)));
            }
        }
        let failed = ended[1].0;
        let retried = bench.command(failed, Command::Retry).await;
        if keep_parameters {
            assert_eq!(retried, Ok(State::Queued));
            let claimed = bench.claim(1).await;
            assert_eq!(claimed[0].parameters.get("Priority"), Some("3"));
            bench.end(failed, 2, Ended::Finished).await.unwrap();
        } else {
            let refusal = Refusal { state: State::Error, command: Command::Retry };
            assert_eq!(retried, Err(Rejected::Refused(refusal)));
        }
        assert!(parameters(&bench, keyed).await.is_some());
        assert_eq!(bench.command(keyed, Command::Retry).await, Ok(State::Queued));
        assert_eq!(bench.claim(1).await[0].parameters.get("Priority"), Some("5"));
        bench.end(keyed, 2, Ended::Finished).await.unwrap();
        bench.command(failed, Command::Delete).await.unwrap();
    }
    let counts = bench.state().await.counts;
    let bench = bench.reopen(factory).await;
    assert_eq!(bench.state().await.counts, counts);
}
