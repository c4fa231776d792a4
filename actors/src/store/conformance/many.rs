//! Cases about commands to several actions at once. Those of deletion are in [`super::deletion`].

use std::sync::Arc;

use super::{Bench, StoreFactory, an_end};
use crate::action::{ActionId, State, Timestamp};
use crate::lifecycle::{Command, Ended, Verdict};
use crate::queue::Target;
use crate::store::query::{Query, States};
use crate::store::{Affected, Batch, Control};

fn many(ids: &[ActionId], command: Command, filter: Option<Query>) -> Control {
    let actions = ids.iter().copied().map(Target::from).collect();
    Control::Many { actions, command, filter: filter.map(Arc::new) }
}

fn verdicts(affected: &[Affected]) -> Vec<(ActionId, State, Verdict)> {
    affected.iter().map(|action| (action.id, action.state, action.verdict)).collect()
}

impl Bench {
    /// Makes an action in each of these states: Queued, Processing, Stopping, Finished, Error, Cancelled.
    async fn in_some_states(&mut self) -> [ActionId; 6] {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(self.submit(1).await);
        }
        self.now += 1;
        self.claim(4).await;
        self.command(ids[1], Command::Stop).await.unwrap();
        self.now += 1;
        self.end(ids[2], 1, Ended::Finished).await.unwrap();
        self.end(ids[3], 1, Ended::Failed).await.unwrap();
        self.command(ids[4], Command::Cancel).await.unwrap();
        let queued = self.submit(0).await;
        [queued, ids[0], ids[1], ids[2], ids[3], ids[4]]
    }
}

/// Each action gets the command as the rules say: the answer has all of them, in the order in which they were named.
pub async fn many_get_a_command_each_as_it_is(factory: &impl StoreFactory) {
    use State::{Cancelled, Error, Finished, Processing, Queued, Stopped, Stopping};
    let mut bench = Bench::open(factory).await;
    let ids = bench.in_some_states().await;
    let [queued, runs, stopping, finished, failed, cancelled] = ids;
    let unknown = ActionId::new(ActionId::MAX).unwrap();
    bench.now += 5;

    let named = [unknown, finished, queued, runs, cancelled, stopping, failed];
    let answer = bench.control(many(&named, Command::Cancel, None)).await.unwrap();
    let expected = [
        (finished, Finished, Verdict::Refused),
        (queued, Cancelled, Verdict::Move(Cancelled)),
        (runs, Processing, Verdict::Refused),
        (cancelled, Cancelled, Verdict::Stay),
        (stopping, Stopping, Verdict::Refused),
        (failed, Error, Verdict::Refused),
    ];
    assert_eq!(verdicts(&answer), expected);
    assert_eq!(answer[1].finished_at, Some(Timestamp(bench.now)));
    assert_eq!(bench.record(queued).await.finished_at, Some(Timestamp(bench.now)));

    let answer = bench.control(many(&[failed, finished], Command::Retry, None)).await.unwrap();
    let expected =
        [(failed, Queued, Verdict::Move(Queued)), (finished, Finished, Verdict::Refused)];
    assert_eq!(verdicts(&answer), expected);

    let raise = Command::ChangePriority(7);
    let answer = bench.control(many(&[runs, failed], raise, None)).await.unwrap();
    let expected = [(runs, Processing, Verdict::Refused), (failed, Queued, Verdict::Stay)];
    assert_eq!(verdicts(&answer), expected);
    assert_eq!(bench.record(failed).await.priority, 7);
    assert_eq!(bench.record(runs).await.priority, 1);

    let answer = bench.control(many(&[stopping, runs, failed], Command::Stop, None)).await.unwrap();
    let expected = [
        (stopping, Stopping, Verdict::Force),
        (runs, Stopping, Verdict::Move(Stopping)),
        (failed, Cancelled, Verdict::Move(Cancelled)),
    ];
    assert_eq!(verdicts(&answer), expected);
    assert_eq!(bench.end(runs, 1, Ended::Stopped).await, Ok(Stopped));

    // Of another time, or of another queue: it is not the one that is meant.
    let late = Target { id: cancelled, queued_at: Some(Timestamp(1)) };
    let exact = Target { id: runs, queued_at: Some(bench.record(runs).await.queued_at) };
    let control =
        Control::Many { actions: vec![late, exact], command: Command::Delete, filter: None };
    let answer = bench.control(control).await.unwrap();
    assert_eq!(verdicts(&answer), [(runs, Stopped, Verdict::Delete)]);
    let other = Bench::open_queue(Arc::clone(&bench.store), "Other").await;
    assert_eq!(other.control(many(&ids, Command::Delete, None)).await, Ok(Vec::new()));

    let counts = bench.state().await.counts;
    assert_eq!((counts.queued(), counts.running(), counts.finished()), (0, 1, 4), "{counts}");
    let after = bench.reopen(factory).await;
    assert_eq!(after.state().await.counts, counts);
}

/// Controls of one batch follow each other, whether they name one action or many.
pub async fn a_command_to_many_is_judged_in_their_order(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let ids = [bench.submit(0).await, bench.submit(0).await, bench.submit(0).await];
    bench.claim(1).await;
    bench.now += 1;
    let controls = vec![
        many(&ids, Command::ChangePriority(2), None),
        Control::command(ids[1], Command::Cancel),
        Control::End(an_end(ids[0], 1, Ended::Failed).into()),
        many(&ids, Command::Retry, None),
        many(&ids, Command::Cancel, None),
        many(&ids[..2], Command::Delete, None),
    ];
    let reply = bench.commit(Batch { controls, claim: 5, ..bench.batch() }).await;
    let answer = |index: usize| verdicts(reply.controls[index].as_ref().unwrap());
    let [first, second, third] = ids;
    use State::{Cancelled, Processing, Queued};
    let expected = [
        (first, Processing, Verdict::Refused),
        (second, Queued, Verdict::Stay),
        (third, Queued, Verdict::Stay),
    ];
    assert_eq!(answer(0), expected);
    let expected = [
        (first, Queued, Verdict::Move(Queued)),
        (second, Cancelled, Verdict::Refused),
        (third, Queued, Verdict::Stay),
    ];
    assert_eq!(answer(3), expected);
    let expected = [
        (first, Cancelled, Verdict::Move(Cancelled)),
        (second, Cancelled, Verdict::Stay),
        (third, Cancelled, Verdict::Move(Cancelled)),
    ];
    assert_eq!(answer(4), expected);
    let deleted = |id| (id, Cancelled, Verdict::Delete);
    assert_eq!(answer(5), [deleted(first), deleted(second)]);
    assert!(reply.claimed.is_empty(), "what is cancelled never starts (Q6)");
    let counts = reply.counts;
    assert_eq!((counts.queued(), counts.running(), counts.finished()), (0, 0, 1), "{counts}");
    assert_eq!(bench.find(first).await, None);
    assert_eq!(bench.store.history(bench.queue, first).await.unwrap(), []);
}

/// With a filter, actions that are not as listed any more are left as they are, and are not in the answer.
pub async fn who_is_not_listed_any_more_gets_no_command(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let ids = bench.in_some_states().await;
    let [queued, _, _, finished, failed, _] = ids;
    let low = Query { max_priority: Some(0), ..Query::default() };
    let answer = bench.control(many(&ids, Command::Cancel, Some(low))).await.unwrap();
    let moved = Verdict::Move(State::Cancelled);
    assert_eq!(verdicts(&answer), [(queued, State::Cancelled, moved)]);

    let waiting = Query { states: States::NONE.with(State::Queued), ..Query::default() };
    let answer = bench.control(many(&ids, Command::Stop, Some(waiting))).await.unwrap();
    assert_eq!(verdicts(&answer), []);

    let until = bench.record(finished).await.finished_at.unwrap();
    let mut ended = Query::default();
    ended.finished.until = Some(Timestamp(until.0 + 1));
    ended.states = States::NONE.with(State::Error).with(State::Finished);
    let answer = bench.control(many(&ids, Command::Retry, Some(ended))).await.unwrap();
    let expected = [
        (finished, State::Finished, Verdict::Refused),
        (failed, State::Queued, Verdict::Move(State::Queued)),
    ];
    assert_eq!(verdicts(&answer), expected);
}

/// As many as one control may name are commanded at once, also those that wait for a time.
pub async fn many_are_commanded_as_one_by_one(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let later = Timestamp(bench.now + 10_000);
    let submissions = (0..Control::MAX_MANY).map(|n| {
        let mut new = bench.new_action(i32::try_from(n % 5).unwrap());
        if let (0, crate::store::NewAction::Given { not_before, .. }) = (n % 2, &mut new) {
            *not_before = Some(later);
        }
        new
    });
    let batch = Batch { submissions: submissions.collect(), ..bench.batch() };
    let reply = bench.commit(batch).await;
    assert_eq!(reply.deferred, Control::MAX_MANY.div_ceil(2) as u64);
    let ids: Vec<ActionId> =
        reply.submissions.iter().map(|answer| answer.as_ref().unwrap().id).collect();
    bench.now += 1;
    bench.control(many(&ids, Command::ChangePriority(-4), None)).await.unwrap();
    let low = Query { max_priority: Some(-4), ..Query::default() };
    assert_eq!(bench.list(&low).await.len(), ids.len());
    let batch = Batch { controls: vec![many(&ids, Command::Stop, Some(low))], ..bench.batch() };
    let reply = bench.commit(batch).await;
    assert_eq!(reply.controls[0].as_ref().unwrap().len(), ids.len());
    assert_eq!((reply.deferred, reply.next_due), (0, None));
    assert_eq!(reply.counts.of(State::Cancelled), ids.len() as u64);
    let cancelled = Query { states: States::NONE.with(State::Cancelled), ..Query::default() };
    assert_eq!(bench.list(&cancelled).await.len(), ids.len());
    assert!(bench.claim(ids.len()).await.is_empty());
}
