//! A random history whose store may die at any moment: the test drives the store, the witness says
//! what comes next, holds the answers against the model, and knows what must be there afterwards.

use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::cases;
use super::histories::{BEGIN, Step, batch, steps};
use super::model::{Events, Model};
use crate::action::{Parameters, Value};
use crate::store::query::{Cursor, Query};
use crate::store::{
    Batch, BatchReply, Counts, HandlerId, NewAction, PastAttempt, QueueId, Record, Store,
    StoreError,
};

/// Maximum number of actions of a page when the store is read.
const PAGE: usize = 250;

/// The handlers of events.
const HANDLERS: [&str; 2] = ["Everything", "Ends"];

/// Batches for several queues, drawn from a seed, and all that was acknowledged of them.
///
/// A *group* is one batch, or several that are committed as one transaction: a store that died has
/// all of the last group or none of it. The store must give out ids one by one, as
/// [`SqliteStore`](crate::store::sqlite::SqliteStore) does: else a group without an answer can't be predicted.
pub struct Witness {
    runner: TestRunner,
    names: Vec<String>,
    queues: Vec<QueueId>,
    /// True if handlers are told of events: reading these takes time.
    tells: bool,
    handlers: Vec<HandlerId>,
    now: i64,
    /// Contents of the store after each group since it was opened; the first is what was found then.
    versions: Vec<Model>,
    /// Contents of the store if the group without an answer was committed.
    unanswered: Option<Model>,
    group: Vec<(Batch, BatchReply)>,
}

/// Result of the check when a store was opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Number of acknowledged groups that are missing; all before them are there.
    pub lost: usize,
    /// True if the group without an answer is there.
    pub unanswered_kept: bool,
}

/// Error of a store whose contents are not those after any number of whole groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The store can't be read or written.
    #[error("the store fails: {0}")]
    Fails(#[from] StoreError),
    /// The store holds something else.
    #[error("{0}")]
    Differs(String),
}

/// All that can be read of one action.
type Row = (Record, Option<Parameters>, Vec<PastAttempt>);

/// All that can be read of one queue.
#[derive(Debug, PartialEq)]
struct Contents {
    paused: bool,
    counts: Counts,
    rows: Vec<Row>,
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness")
            .field("acknowledged", &self.acknowledged())
            .finish_non_exhaustive()
    }
}

impl Witness {
    /// Makes the history of this seed, for queues of these names.
    #[must_use]
    pub fn new(seed: u64, names: &[&str]) -> Self {
        // The generator is quick, and does not begin with nothing but zeros.
        let bytes = [seed, !seed].map(u64::to_le_bytes).concat();
        let random = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
        Self {
            runner: TestRunner::new_with_rng(cases(1), random),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            queues: Vec::new(),
            tells: seed.is_multiple_of(3),
            handlers: Vec::new(),
            now: BEGIN,
            versions: vec![Model::default()],
            unanswered: None,
            group: Vec::new(),
        }
    }

    /// Returns the number of groups that were acknowledged since the store was opened.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.versions.len() - 1
    }

    /// Opens the queues of a store that is empty or was opened before, and compares all of it with
    /// what was acknowledged. The history goes on from what is there.
    ///
    /// # Errors
    ///
    /// [`Damage`]; then the store may be opened and compared again.
    pub async fn open(&mut self, store: &dyn Store) -> Result<Found, Damage> {
        let mut found = BTreeMap::new();
        let mut queues = Vec::new();
        for name in &self.names {
            let queue = store.open_queue(name).await?;
            queues.push(queue.id);
            found.insert(queue.id, queue);
        }
        if !self.queues.is_empty() && queues != self.queues {
            return Err(Damage::Differs(format!("queues {queues:?}, not {:?}", self.queues)));
        }
        let mut contents = BTreeMap::new();
        for (id, opened) in found {
            let read = store.queue_state(id).await?;
            if read != opened {
                return Err(Damage::Differs(format!("{read:?} is read where {opened:?} is held")));
            }
            let rows = rows(store, id).await?;
            contents.insert(id, Contents { paused: read.paused, counts: read.counts, rows });
        }
        let mut handlers = Vec::new();
        for name in HANDLERS.iter().filter(|_| self.tells) {
            handlers.push(store.open_handler(name).await?);
        }
        if !self.handlers.is_empty() && handlers != self.handlers {
            return Err(Damage::Differs(format!("{handlers:?}, not {:?}", self.handlers)));
        }
        (self.queues, self.handlers) = (queues, handlers);
        let events = Events::read(store, &self.handlers, PAGE).await?;
        let whole = |model: &Model| {
            self.holds(model) == contents && model.outbox.events(&self.handlers) == events
        };
        let found = if self.unanswered.as_ref().is_some_and(whole) {
            Found { lost: 0, unanswered_kept: true }
        } else if let Some(lost) = self.versions.iter().rev().position(whole) {
            Found { lost, unanswered_kept: false }
        } else {
            return Err(Damage::Differs(self.difference(&contents)));
        };
        self.versions.truncate(self.versions.len() - found.lost);
        if let Some(model) = self.unanswered.take().filter(|_| found.unanswered_kept) {
            self.versions.push(model);
        }
        self.versions.drain(..self.versions.len() - 1);
        Ok(found)
    }

    /// Returns the next group, of at most this number of batches, to be committed as one transaction.
    pub fn next_group(&mut self, most: usize) -> Vec<Batch> {
        let number = self.draw(1..=most);
        let mut model = self.latest().clone();
        for queue in &self.queues {
            model.queues.entry(*queue).or_default();
        }
        model.handlers.clone_from(&self.handlers);
        self.group.clear();
        for _ in 0..number {
            let step: Step = self.draw(steps(12, 6, false));
            self.now += step.passes;
            let mut batch = batch(&model, &self.queues, self.now, &step);
            self.enlarge(&mut batch);
            let predicted = model.predict(&batch);
            self.group.push((batch, predicted));
        }
        self.unanswered = Some(model);
        self.group.iter().map(|(batch, _)| batch.clone()).collect()
    }

    /// Notes that the store has acknowledged the whole group, and fails if an answer is wrong.
    pub fn acknowledge(&mut self, replies: &[BatchReply]) {
        assert_eq!(replies.len(), self.group.len());
        let mut model = self.latest().clone();
        for ((batch, predicted), reply) in self.group.iter().zip(replies) {
            model.apply(batch, reply);
            assert_eq!(reply.submissions, predicted.submissions, "ids are given out one by one");
        }
        self.group.clear();
        self.unanswered = None;
        self.versions.push(model);
    }

    /// Makes some parameters larger than a page of the database, so that batches differ in size.
    fn enlarge(&mut self, batch: &mut Batch) {
        for new in &mut batch.submissions {
            let size =
                self.draw(prop_oneof![6 => Just(0), 3 => 1..2_000_usize, 1 => 4_000..20_000_usize]);
            if let NewAction::Given { parameters, .. } = new
                && size > 0
            {
                let given = parameters.iter().map(|(name, value)| (name.to_owned(), value.clone()));
                let size = ("Size".to_owned(), Value::Text("x".repeat(size)));
                *parameters = given.chain([size]).collect();
            }
        }
    }

    fn draw<T: fmt::Debug>(&mut self, from: impl Strategy<Value = T>) -> T {
        from.new_tree(&mut self.runner).unwrap().current()
    }

    fn latest(&self) -> &Model {
        self.versions.last().unwrap()
    }

    fn holds(&self, model: &Model) -> BTreeMap<QueueId, Contents> {
        let contents = |id: &QueueId| {
            let none = Default::default();
            let queue = model.queues.get(id).unwrap_or(&none);
            let rows = queue.rows.values();
            let rows =
                rows.map(|row| (row.record.clone(), row.parameters.clone(), row.past.clone()));
            let rows = rows.collect();
            (*id, Contents { paused: queue.paused, counts: queue.counts(), rows })
        };
        self.queues.iter().map(contents).collect()
    }

    /// Describes the difference between the contents and those after the last acknowledged group.
    fn difference(&self, contents: &BTreeMap<QueueId, Contents>) -> String {
        let mut text = "the store holds no whole number of groups; beside the last one".to_owned();
        for (id, wanted) in self.holds(self.latest()) {
            let found = &contents[&id];
            let ids = |of: &Contents| of.rows.iter().map(|(r, ..)| r.id.get()).collect::<Vec<_>>();
            if *found != wanted {
                let (found_ids, wanted_ids) = (ids(found), ids(&wanted));
                let other = wanted.rows.iter().find(|row| !found.rows.contains(row));
                text += &format!(
                    ", in queue {} it holds {found_ids:?} instead of {wanted_ids:?}, paused {} \
                     instead of {}, not {other:?}",
                    id.0, found.paused, wanted.paused
                );
            }
        }
        if self.tells {
            text += ", or in the events of its handlers";
        }
        text
    }
}

/// Reads every action of a queue, by id.
async fn rows(store: &dyn Store, queue: QueueId) -> Result<Vec<Row>, Damage> {
    let mut rows = Vec::new();
    let mut cursor = Some(Cursor::start(0));
    while let Some(from) = cursor {
        let page = store.page(queue, Query::default(), from, PAGE.into()).await?;
        for record in page.records {
            let parameters = store.parameters(queue, record.id).await?;
            let past = store.history(queue, record.id).await?;
            rows.push((record, parameters, past));
        }
        cursor = page.next;
    }
    rows.sort_by_key(|(record, ..)| record.id);
    Ok(rows)
}
