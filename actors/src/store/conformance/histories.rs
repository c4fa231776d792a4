//! Random batches for several queues, compared with the model; then random listings of what they
//! left behind.
//!
//! Stores list few actions in another way than many, so one history is long enough for both.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::model::{Model, as_modelled};
use super::{StoreFactory, an_end, cases, run};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Command, Ended, OnRestart, Recovery};
use crate::queue::Target;
use crate::store::query::{Cursor, Details, Query, Range, SortKey, States};
use crate::store::{
    Batch, Control, EventKind, EventWants, NewAction, Origin, QueueId, Retention, ScheduleChange,
    ScheduledFor, Store,
};

/// Time at which the clock of a history starts.
pub(super) const BEGIN: i64 = 50_000;

/// One batch, described so that it fits any contents of the store.
#[derive(Debug, Clone)]
pub(super) struct Step {
    queue: Index,
    /// Time by which the clock moves before it; may be negative.
    pub(super) passes: i64,
    acts: Vec<(Index, Act)>,
    submissions: Vec<New>,
    claim: usize,
    max_queued: Option<u64>,
    max_finished: Option<u64>,
    max_age: Option<u64>,
    /// Bits: a handler wants all events, another one wants ends with and without a callback.
    wants: u8,
    keeps_parameters: bool,
}

#[derive(Debug, Clone)]
enum Act {
    Command(Command),
    End(Ended, u32),
    Pause(bool),
    Resume,
    StopAll,
    Recover(u8, Recovery, bool),
    /// Of the latest attempt, or of an earlier one.
    Note(u32),
    /// To a share of the queue's actions: to all of them, or to those that are in these states.
    Many(u8, Command, Option<States>),
    /// Of the schedule of the history.
    Schedule(u8),
}

#[derive(Debug, Clone)]
enum New {
    Given { priority: i32, key: Option<u8>, late: i64, not_before: Option<i64> },
    CopyOf(Index),
}

/// Number of attempts by which a report is late.
fn before() -> impl Strategy<Value = u32> {
    prop_oneof![9 => Just(0_u32), 1 => 1..3_u32]
}

fn acts(keep: bool) -> impl Strategy<Value = Act> {
    let command = prop_oneof![
        Just(Command::Cancel),
        Just(Command::Stop),
        (-2..3).prop_map(Command::ChangePriority),
        any::<bool>().prop_map(|supported| Command::Pause { supported }),
        Just(Command::Resume),
        Just(Command::Retry),
    ];
    let on_restart = prop_oneof![Just(OnRestart::Requeue), Just(OnRestart::Fail)];
    let recovery = (prop_oneof![2 => on_restart.clone(), 1 => Just(OnRestart::Resume)], 0..4_u32);
    let recovery =
        recovery.prop_map(|(on_restart, max_restarts)| Recovery { on_restart, max_restarts });
    let ended = prop_oneof![
        3 => Just(Ended::Finished),
        2 => Just(Ended::Failed),
        1 => Just(Ended::Stopped),
        3 => Just(Ended::Retry),
        1 => Just(Ended::Released),
        1 => Just(Ended::Lost),
        1 => Just(Ended::Cancelled),
        1 => on_restart.prop_map(Ended::Interrupted),
    ];
    let states = proptest::sample::subsequence(State::ALL.to_vec(), 0..=8);
    let states = proptest::option::of(states.prop_map(States::from_iter));
    let deletes = prop_oneof![
        1 => Just(Act::Command(Command::Delete)),
        1 => (any::<u8>(), states.clone())
            .prop_map(|(mask, states)| Act::Many(mask, Command::Delete, states)),
    ];
    let deletes = deletes.prop_map(move |act| if keep { Act::Resume } else { act });
    prop_oneof![
        4 => deletes,
        20 => command.clone().prop_map(Act::Command),
        2 => (any::<u8>(), command, states)
            .prop_map(|(mask, command, states)| Act::Many(mask, command, states)),
        // Now and then the end of an earlier attempt.
        20 => (ended, before())
            .prop_map(|(ended, before)| Act::End(ended, before)),
        1 => any::<bool>().prop_map(Act::Pause),
        2 => Just(Act::Resume),
        1 => Just(Act::StopAll),
        2 => (any::<u8>(), recovery, proptest::bool::weighted(0.3))
            .prop_map(|(mask, how, unbegun)| Act::Recover(mask, how, unbegun)),
        3 => before().prop_map(Act::Note),
        4 => (0..9_u8).prop_map(Act::Schedule),
    ]
}

pub(super) fn steps(
    acts_most: usize,
    submissions: usize,
    keep: bool,
) -> impl Strategy<Value = Step> {
    let new = prop_oneof![
        12 => (
            -3..4,
            proptest::option::weighted(0.1, 0..20_u8),
            -40..40_i64,
            proptest::option::weighted(0.3, -40..300_i64),
        )
            .prop_map(|(priority, key, late, not_before)| {
                New::Given { priority, key, late, not_before }
            }),
        1 => any::<Index>().prop_map(New::CopyOf),
    ];
    let rarely = move |limits: std::ops::Range<u64>| {
        // Without limits, all that was ever submitted is kept.
        let share = if keep { 0 } else { 1 };
        (0..10_u32, limits).prop_map(move |(dice, limit)| (dice < share).then_some(limit))
    };
    (
        any::<Index>(),
        -30..90_i64,
        proptest::collection::vec((any::<Index>(), acts(keep)), 0..acts_most),
        proptest::collection::vec(new, 0..submissions),
        0..submissions / 2 + 2,
        rarely(0..15),
        rarely(0..10),
        rarely(0..500),
        0..4_u8,
        proptest::bool::weighted(0.8),
    )
        .prop_map(
            |(
                queue,
                passes,
                acts,
                submissions,
                claim,
                max_queued,
                max_finished,
                max_age,
                wants,
                keeps_parameters,
            )| Step {
                queue,
                passes,
                acts,
                submissions,
                claim,
                max_queued,
                max_finished,
                max_age,
                wants,
                keeps_parameters,
            },
        )
}

fn ranges(until: i64) -> impl Strategy<Value = Range> {
    let time = move || proptest::option::of((BEGIN - 100..until + 100).prop_map(Timestamp));
    prop_oneof![
        4 => Just(Range::default()),
        1 => (time(), time()).prop_map(|(from, until)| Range { from, until }),
    ]
}

/// Some that all actions have, some that few have, and some that none has.
fn details() -> impl Strategy<Value = Arc<Details>> {
    let place = (0..9_u8).prop_map(|place| ("PLACE".to_owned(), place.to_string()));
    let parameters = proptest::collection::vec(place, 0..2);
    let error = prop_oneof![Just("ATTEMPT"), Just("attempt 1"), Just("server"), Just("none")];
    let error = proptest::option::weighted(0.4, error.prop_map(str::to_owned));
    let action_id = prop_oneof![3 => Just("\"a\" 7"), 1 => Just("none")];
    let action_id = proptest::option::weighted(0.3, action_id.prop_map(str::to_owned));
    (parameters, error, action_id).prop_map(|(parameters, error, action_id)| {
        Arc::new(Details { parameters, action_id, error })
    })
}

fn queries(until: i64) -> impl Strategy<Value = Query> {
    let ended: States = State::ALL.into_iter().filter(|s| s.is_final()).collect();
    let states = prop_oneof![
        2 => Just(States::ALL),
        1 => Just(ended),
        3 => proptest::sample::subsequence(State::ALL.to_vec(), 0..=8)
            .prop_map(States::from_iter),
    ];
    let sort = prop_oneof![Just(SortKey::Queued), Just(SortKey::Started), Just(SortKey::Finished)];
    let priority = || proptest::option::weighted(0.3, -4..5);
    (
        states,
        priority(),
        priority(),
        (ranges(until), ranges(until), ranges(until)),
        proptest::option::weighted(0.3, details()),
        sort,
        any::<bool>(),
    )
        .prop_map(|(states, min_priority, max_priority, times, details, sort, descending)| {
            let (queued, started, finished) = times;
            Query {
                states,
                min_priority,
                max_priority,
                queued,
                started,
                finished,
                details,
                sort,
                descending,
            }
        })
}

/// Makes the step's batch for the contents of the model.
pub(super) fn batch(model: &Model, queues: &[QueueId], now: i64, step: &Step) -> Batch {
    let queue = *step.queue.get(queues);
    let rows = &model.queues[&queue].rows;
    let alive: Vec<ActionId> =
        rows.values().map(|r| &r.record).filter(|r| !r.state.is_final()).map(|r| r.id).collect();
    let all: Vec<ActionId> = model.queues.values().flat_map(|q| q.rows.keys()).copied().collect();
    // Mostly one that has not ended, now and then any, of whichever queue.
    let target = |index: &Index| {
        let among = if alive.is_empty() || index.index(5) == 0 { &all } else { &alive };
        let nobody = ActionId::new(ActionId::MAX).unwrap();
        if among.is_empty() { nobody } else { among[index.index(among.len())] }
    };
    let controls = step.acts.iter().map(|(index, act)| {
        let id = target(index);
        match act {
            Act::Command(command) => Control::command(id, *command),
            Act::End(ended, before) => {
                let attempt = rows.get(&id).map_or(1, |row| row.record.attempt);
                Control::End(an_end(id, attempt.saturating_sub(*before), *ended).into())
            }
            Act::Pause(supported) => Control::PauseQueue { supported: *supported },
            Act::Resume => Control::ResumeQueue,
            Act::StopAll => Control::StopAll,
            Act::Note(before) => {
                let attempt = rows.get(&id).map_or(1, |row| row.record.attempt);
                let attempt = attempt.saturating_sub(*before);
                Control::Note { id, attempt, note: format!("note at {now}") }
            }
            Act::Many(mask, command, states) => {
                let ids = rows.keys().copied();
                let ids = ids.filter(|id| mask & 1 << (id.get() % 8) != 0);
                let filter = |states| Arc::new(Query { states, ..Query::default() });
                Control::Many {
                    actions: ids.map(Target::from).collect(),
                    command: *command,
                    filter: states.map(filter),
                }
            }
            Act::Schedule(kind) => {
                let (at, due) = (Timestamp(now), Timestamp(now));
                let definition = format!("added at {now}");
                let change = match kind {
                    0 => ScheduleChange::Pause,
                    1 => ScheduleChange::Resume { at },
                    2 => ScheduleChange::Skip { due },
                    5 => ScheduleChange::Begin { at },
                    3 => ScheduleChange::Add { definition, at },
                    4 => ScheduleChange::Remove,
                    _ => ScheduleChange::See { at },
                };
                Control::Schedule { name: schedule_of(queues), change }
            }
            Act::Recover(mask, recovery, unbegun) => {
                let live = rows.values().map(|row| (row.record.id, row.record.attempt));
                let live = live.filter(|(id, _)| mask & 1 << (id.get() % 8) != 0).collect();
                Control::Recover { live, recovery: *recovery, unbegun: *unbegun }
            }
        }
    });
    let submissions = step.submissions.iter().enumerate().map(|(place, new)| match new {
        New::Given { priority, key, late, not_before } => NewAction::Given {
            not_before: not_before.map(|from_now| Timestamp(now + from_now)),
            parameters: Parameters::from_iter([("Place", place.to_string())]),
            priority: *priority,
            key: key.map(|key| format!("key {key}").into()),
            queued_at: Timestamp(now + late),
            origin: origin(place, *priority, now, queues),
        },
        New::CopyOf(index) => NewAction::CopyOf { id: target(index), queued_at: Timestamp(now) },
    });
    Batch {
        queue,
        now: Timestamp(now),
        controls: controls.collect(),
        submissions: submissions.collect(),
        claim: step.claim,
        max_queued: step.max_queued,
        retention: Retention {
            max_finished: step.max_finished,
            finished_after: step.max_age.map(|age| Timestamp(now - age.cast_signed())),
        },
        wants: wants(model, step.wants),
        keep_parameters: step.keeps_parameters,
    }
}

fn wants(model: &Model, bits: u8) -> Option<Arc<EventWants>> {
    let [all, ends] = *model.handlers.as_slice() else { return None };
    let mut wants = EventWants::default();
    if bits & 1 != 0 {
        EventKind::ALL.into_iter().for_each(|kind| wants.add(kind, all));
    }
    if bits & 2 != 0 {
        wants.add(EventKind::Finish, ends);
        wants.add(EventKind::Cancel, ends);
        wants.callback = Some(ends);
    }
    (bits != 0).then(|| Arc::new(wants))
}

/// Returns what a submission brings beside its parameters: something different in each place, mostly nothing.
fn origin(place: usize, priority: i32, now: i64, queues: &[QueueId]) -> Option<Box<Origin>> {
    let (due, on_demand) = (Timestamp(now), place.is_multiple_of(3));
    let schedule = || ScheduledFor { schedule: schedule_of(queues), due, on_demand };
    let origin = match (place % 4, priority > 0) {
        (0, true) => Origin { action_id: Some("\"a\" 7".to_owned()), ..Origin::default() },
        (1, true) => Origin { callback: Some("http://h/".to_owned()), ..Origin::default() },
        (1, false) => Origin { schedule: Some(schedule()), ..Origin::default() },
        (2, true) => Origin::default(),
        _ => return None,
    };
    Some(Box::new(origin))
}

/// Returns the name of the schedule of a history with these queues.
fn schedule_of(queues: &[QueueId]) -> String {
    format!("Nightly {:?}", queues.first())
}

/// A history under way: the store, and the model that follows it.
struct History {
    store: Arc<dyn Store>,
    model: Model,
    queues: Vec<QueueId>,
    now: i64,
}

impl History {
    async fn begin(store: Arc<dyn Store>, names: &[String]) -> Self {
        let mut queues = Vec::new();
        let mut model = Model::default();
        for handler in ["all of", "ends of"] {
            let name = format!("{handler} {}", names.concat());
            model.handlers.push(store.open_handler(&name).await.unwrap());
        }
        for name in names {
            let queue = store.open_queue(name).await.unwrap().id;
            model.queues.entry(queue).or_default();
            queues.push(queue);
        }
        Self { store, model, queues, now: BEGIN }
    }

    async fn step(&mut self, step: &Step) {
        self.now += step.passes;
        let batch = batch(&self.model, &self.queues, self.now, step);
        let reply = self.store.commit(batch.clone()).await.unwrap();
        self.model.apply(&batch, &reply);
    }

    /// Reads a listing page by page, at most so many full pages, and compares it with the model's.
    async fn list(&self, queue: Index, query: &Query, start: Index, limit: usize, pages: usize) {
        let queue = *queue.get(&self.queues);
        let expected = self.model.queues[&queue].list(query);
        let start = start.index(expected.len() + 3);
        let mut cursor = Some(Cursor::start(u64::try_from(start).unwrap()));
        let mut listed = Vec::new();
        let most = limit.saturating_mul(pages);
        while let Some(next) = cursor
            && listed.len() < most
        {
            let left = limit.min(most - listed.len());
            let page = self.store.page(queue, query.clone(), next, left.into()).await.unwrap();
            assert!(page.records.len() <= left);
            // It may have none, but comes nearer to the end.
            assert_ne!(page.next, cursor);
            for record in &page.records {
                assert_eq!(
                    as_modelled(record.clone()),
                    self.model.queues[&queue].rows[&record.id].record
                );
                listed.push(record.id);
            }
            cursor = page.next;
        }
        let rest = expected.get(start..).unwrap_or_default();
        if cursor.is_none() {
            assert_eq!(listed, rest, "{query:?} from {start} by {limit}");
        } else {
            let part = rest.get(..listed.len());
            assert_eq!(Some(&*listed), part, "{query:?} from {start} by {limit}");
        }
    }
}

/// Short histories of all kinds of batches; the smallest one that goes wrong is shown.
pub async fn random_histories(factory: &impl StoreFactory) {
    let store = factory.open();
    let listing = (any::<Index>(), queries(BEGIN + 1_200), any::<Index>(), 1..=50_usize);
    let history = (
        proptest::collection::vec(steps(12, 6, false), 1..40),
        proptest::collection::vec(listing, 1..20),
    );
    let outcome = tokio::task::spawn_blocking(move || {
        let count = std::cell::Cell::new(0);
        TestRunner::new(cases(48)).run(&history, |(steps, listings)| {
            count.set(count.get() + 1);
            // New queues in the same store: what earlier cases left must not be seen.
            let names = ["A", "b", "Ç"].map(|name| format!("{name} {}", count.get()));
            run(async {
                let mut history = History::begin(Arc::clone(&store), &names).await;
                for step in &steps {
                    history.step(step).await;
                }
                history.model.check(&*store).await;
                history.model.outbox.check(&*store, &history.model.handlers).await;
                for (queue, query, start, limit) in &listings {
                    history.list(*queue, query, *start, *limit, usize::MAX).await;
                }
            });
            Ok::<(), TestCaseError>(())
        })
    });
    if let Err(failed) = outcome.await.unwrap() {
        panic!("{failed}");
    }
}

/// One history of several thousand actions, always the same, with a few hundred listings, before
/// and after it was opened again.
pub async fn a_long_history(factory: &impl StoreFactory) {
    let mut runner = TestRunner::deterministic();
    let mut history = History::begin(factory.open(), &["Large".into(), "small".into()]).await;
    let strategy = steps(60, 80, true);
    for _ in 0..120 {
        history.step(&strategy.new_tree(&mut runner).unwrap().current()).await;
    }
    let sizes: Vec<usize> = history.model.queues.values().map(|q| q.rows.len()).collect();
    assert!(sizes.iter().all(|size| *size > 1_500), "{sizes:?}");
    for reopened in [false, true] {
        if reopened {
            history.store.close().await;
            history.store = factory.open();
            for name in ["large", "Small"] {
                history.store.open_queue(name).await.unwrap();
            }
        }
        for _ in 0..120 {
            let query = queries(history.now).new_tree(&mut runner).unwrap().current();
            let (queue, start) = any::<(Index, Index)>().new_tree(&mut runner).unwrap().current();
            let limit = (1..=50_usize).new_tree(&mut runner).unwrap().current();
            history.list(queue, &query, start, limit, 6).await;
            history.list(queue, &query, start, 700, usize::MAX).await;
        }
    }
    let counts: u64 = history.model.queues.values().map(|q| q.counts().finished()).sum();
    assert!(counts > 1_000, "{counts} have ended: too few to tell the ways of listing apart");
}
