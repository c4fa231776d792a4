//! The first half of a transaction: the fence, locks, and all that must be known to decide.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio_postgres::Row as Columns;

use super::Session;
use super::row::Row;
use super::schedules::Schedules;
use crate::action::{ActionId, Parameters, Timestamp};
use crate::store::postgres::columns::{Tally, action_id, id_number, origin, parameters, time};
use crate::store::postgres::errors::{Failure, corrupt};
use crate::store::postgres::message::{Message, values};
use crate::store::postgres::schema::VERSION;
use crate::store::postgres::sites::Sites;
use crate::store::{
    Batch, Control, NewAction, NewEvent, Origin, OwnerId, PastAttempt, SiteId, StoreError,
};

/// All that is known when the rows are locked.
pub(super) struct Known<'b> {
    /// True if this owner is dead.
    pub(super) is_dead: bool,
    /// True if its lease holds.
    pub(super) is_leased: bool,
    /// The queues from which this transaction may delete old actions.
    pub(super) prunes: HashSet<i32>,
    /// The schedules that it concerns.
    pub(super) schedules: Schedules,
    queues: HashMap<i32, KnownQueue>,
    rows: HashMap<i32, BTreeMap<ActionId, Row<'b>>>,
    keys: HashMap<i32, HashMap<&'b str, KnownKey>>,
    ids: std::vec::IntoIter<ActionId>,
    /// The origins of actions that are to be copied, if they have one, or why they can't be read.
    origins: HashMap<i64, Result<Box<Origin>, StoreError>>,
}

/// A queue as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownQueue {
    pub(super) paused: bool,
    pub(super) tally: Tally,
    /// Time of the first action that may not start yet.
    pub(super) first_due: Option<Timestamp>,
}

/// A key of a submission.
#[derive(Debug, Clone)]
pub(super) enum KnownKey {
    /// It is new, and this transaction has taken it.
    Taken,
    /// It names an action.
    Of {
        id: ActionId,
        queued_at: Timestamp,
        taken_by: Option<SiteId>,
        parameters: Result<Parameters, String>,
    },
}

/// The rows, locks and numbers that a transaction asks for.
#[derive(Default)]
struct Wanted<'b> {
    /// Queues of which some actions may start, or that are paused: whether they are locked for this transaction alone.
    locked: BTreeMap<i32, bool>,
    /// Queues of which all that runs is concerned.
    running: Vec<i32>,
    /// Single actions, with their queues.
    named: Vec<(i32, ActionId)>,
    /// Those among them that may have ended.
    may_have_ended: Vec<(i32, ActionId)>,
    /// Those that are to be copied.
    copied: Vec<(i32, ActionId)>,
    keys: Vec<(i32, &'b str)>,
    new: i32,
    prunes: Vec<i32>,
    recovers: bool,
}

/// The number of a queue in the database.
pub(super) fn queue_number(batch: &Batch) -> i32 {
    i32::try_from(batch.queue.0).unwrap_or_default()
}

impl<'b> Wanted<'b> {
    fn by(batches: &[&'b Batch]) -> Self {
        let mut wanted = Self::default();
        for batch in batches {
            let queue = queue_number(batch);
            if batch.claim > 0 {
                wanted.locked.entry(queue).or_default();
            }
            for control in &batch.controls {
                match control {
                    Control::Command { id, .. }
                    | Control::Note { id, .. }
                    | Control::TakeOver { id, .. } => {
                        wanted.named.push((queue, *id));
                        wanted.may_have_ended.push((queue, *id));
                    }
                    Control::Many { actions, .. } => {
                        let actions = || actions.iter().map(|target| (queue, target.id));
                        wanted.named.extend(actions());
                        wanted.may_have_ended.extend(actions());
                    }
                    Control::End(end) => wanted.named.push((queue, end.id)),
                    Control::PauseQueue { .. } | Control::ResumeQueue => {
                        wanted.locked.insert(queue, true);
                        wanted.running.push(queue);
                    }
                    Control::StopAll => wanted.running.push(queue),
                    Control::Recover { .. } | Control::Reclaim { .. } => {
                        wanted.recovers = true;
                        wanted.running.push(queue);
                    }
                    Control::Tell(event) => {
                        if let NewEvent::ErrorReport { id, .. } = **event {
                            wanted.named.push((queue, id));
                        }
                    }
                    Control::Schedule { .. } | Control::Outbox { .. } => {}
                }
            }
            for new in &batch.submissions {
                match new {
                    NewAction::Given { key: Some(key), .. } => {
                        wanted.keys.push((queue, key.as_str()));
                    }
                    NewAction::Given { .. } => {}
                    NewAction::CopyOf { id, .. } => {
                        wanted.copied.push((queue, *id));
                        wanted.named.push((queue, *id));
                        wanted.may_have_ended.push((queue, *id));
                    }
                }
            }
            let new = i32::try_from(batch.submissions.len()).unwrap_or(i32::MAX);
            wanted.new = wanted.new.saturating_add(new);
            if batch.retention.max_finished.is_some() || batch.retention.finished_after.is_some() {
                wanted.prunes.push(queue);
            }
        }
        wanted
    }

    fn key_columns(&self) -> (Vec<i32>, Vec<&'b [u8]>) {
        self.keys.iter().map(|(queue, key)| (*queue, key.as_bytes())).unzip()
    }
}

fn columns(actions: &[(i32, ActionId)]) -> (Vec<i32>, Vec<i64>) {
    actions.iter().map(|(queue, id)| (*queue, id_number(*id))).unzip()
}

/// Begins the transaction of these batches, as this one of the owner's.
pub(super) async fn begin<'b>(
    session: &Session,
    sites: &Sites,
    (owner, number): (OwnerId, i64),
    may_declare: bool,
    batches: &[&'b Batch],
) -> Result<Known<'b>, Failure> {
    let wanted = Wanted::by(batches);
    let (statements, area) = (&session.prepared.statements, session.prepared.area);
    let mut message = Message::to(&session.client);
    message.add(&statements.begin, vec![]);
    let (locked, alone): (Vec<i32>, Vec<bool>) = wanted.locked.clone().into_iter().unzip();
    let fence =
        message.add(&statements.fence, values![owner.0, number, VERSION, area, locked, alone]);
    let schedules = super::schedules::concerned(batches);
    let schedules = super::schedules::read(&mut message, (statements, area), &schedules);
    let prunes = (!wanted.prunes.is_empty())
        .then(|| message.add(&statements.prunes, values![area, wanted.prunes.clone()]));
    if wanted.recovers && may_declare {
        message.add(&statements.declare_dead, values![owner.0]);
    }
    // The rows before the counts: these are then no older.
    let (_, named) = columns(&wanted.named);
    let live = if !wanted.running.is_empty() {
        Some(message.add(&statements.live, values![named, wanted.running.clone()]))
    } else if !named.is_empty() {
        Some(message.add(&statements.named, values![named]))
    } else {
        None
    };
    // What ends was not seen to have ended.
    let (queues, ended) = columns(&wanted.may_have_ended);
    let done = (!ended.is_empty()).then(|| done(&mut message, statements, queues, ended));
    let key_places = (!wanted.keys.is_empty()).then(|| {
        let (queues, keys) = wanted.key_columns();
        message.add(&statements.take_keys, values![queues.clone(), keys.clone()]);
        message.add(&statements.keys, values![queues, keys])
    });
    let origins = (!wanted.copied.is_empty()).then(|| {
        let (queues, ids) = columns(&wanted.copied);
        message.add(&statements.origins, values![ids, queues])
    });
    let of: Vec<i32> = batches.iter().map(|batch| queue_number(batch)).collect();
    let queues = message.add(&statements.queues, values![of]);
    let ids = (wanted.new > 0).then(|| message.add(&statements.ids, values![wanted.new]));
    let mut answers = message.answers().await?;

    let fence = answers.take(fence);
    let fence = fence.first().ok_or_else(|| corrupt("the fence says nothing".to_owned()))?;
    let mut known = Known {
        is_dead: fence.try_get(0)?,
        is_leased: fence.try_get(1)?,
        prunes: HashSet::new(),
        schedules: Schedules::default(),
        queues: HashMap::new(),
        rows: HashMap::new(),
        keys: HashMap::new(),
        ids: Vec::new().into_iter(),
        origins: HashMap::new(),
    };
    known.schedules =
        Schedules::of(&schedules.map(|place| answers.take(place)).unwrap_or_default())?;
    for row in prunes.map(|place| answers.take(place)).unwrap_or_default() {
        known.prunes.insert(row.try_get(0)?);
    }
    known.add_rows(live.map(|place| answers.take(place)).unwrap_or_default(), |row| {
        Row::live(row, sites)
    })?;
    known.add_rows(done.map(|place| answers.take(place)).unwrap_or_default(), |row| {
        Row::done(row, sites)
    })?;
    if let Some(place) = key_places {
        known.add_keys(&wanted.keys, &answers.take(place), sites)?;
    }
    known.add_origins(&origins.map(|place| answers.take(place)).unwrap_or_default())?;
    for row in answers.take(queues) {
        let queue = KnownQueue {
            paused: row.try_get(1)?,
            tally: Tally::read(&row, 2)?,
            first_due: time(&row, 3)?,
        };
        known.queues.insert(row.try_get(0)?, queue);
    }
    let ids: Vec<ActionId> = ids
        .map(|place| answers.take(place))
        .unwrap_or_default()
        .iter()
        .map(|row| action_id(row, 0))
        .collect::<Result<_, _>>()?;
    known.ids = ids.into_iter();
    known.look_again(session, sites, wanted).await?;
    Ok(known)
}

fn done<'a>(
    message: &mut Message<'a>,
    statements: &'a super::statements::Statements,
    queues: Vec<i32>,
    ids: Vec<i64>,
) -> crate::store::postgres::message::Place {
    // A character more than is kept, so that an error that is cut is not taken for one that is not.
    let length = i32::try_from(PastAttempt::MAX_ERROR).unwrap_or(i32::MAX).saturating_add(4);
    message.add(&statements.done, values![queues, ids, length])
}

impl<'b> Known<'b> {
    /// Returns a queue as it stands.
    pub(super) fn queue(&self, queue: i32) -> Option<KnownQueue> {
        self.queues.get(&queue).copied()
    }

    /// Takes the rows of a queue.
    pub(super) fn take_rows(&mut self, queue: i32) -> BTreeMap<ActionId, Row<'b>> {
        self.rows.remove(&queue).unwrap_or_default()
    }

    /// Takes the keys of a queue.
    pub(super) fn take_keys(&mut self, queue: i32) -> HashMap<&'b str, KnownKey> {
        self.keys.remove(&queue).unwrap_or_default()
    }

    /// Frees the keys of actions that are deleted: this transaction may give them to others.
    pub(super) fn free_keys(&mut self, queue: i32, deleted: &[Row<'_>]) {
        let is_deleted = |id: ActionId| deleted.iter().any(|row| row.id == id);
        for key in self.keys.get_mut(&queue).into_iter().flat_map(HashMap::values_mut) {
            if matches!(key, KnownKey::Of { id, .. } if is_deleted(*id)) {
                *key = KnownKey::Taken;
            }
        }
    }

    /// Returns a new id. Each is behind those before.
    pub(super) fn next_id(&mut self) -> Option<ActionId> {
        self.ids.next()
    }

    /// Returns the origin of a copy of this action, which must be one that is to be copied.
    pub(super) fn origin_of_copy(&self, id: ActionId) -> Result<Option<Box<Origin>>, StoreError> {
        match self.origins.get(&id_number(id)) {
            None => Ok(None),
            Some(Ok(origin)) => Ok(origin.of_copy()),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    fn add_origins(&mut self, rows: &[Columns]) -> Result<(), Failure> {
        for row in rows {
            if let Some(origin) = origin(row, 1).map_err(Failure::told).transpose() {
                self.origins.insert(row.try_get(0)?, origin);
            }
        }
        Ok(())
    }

    fn add_rows(
        &mut self,
        rows: Vec<Columns>,
        read: impl Fn(&Columns) -> Result<(i32, Row<'b>), Failure>,
    ) -> Result<(), Failure> {
        for row in rows {
            let (queue, row) = read(&row)?;
            self.rows.entry(queue).or_default().insert(row.id, row);
        }
        Ok(())
    }

    fn add_keys(
        &mut self,
        wanted: &[(i32, &'b str)],
        rows: &[Columns],
        sites: &Sites,
    ) -> Result<(), Failure> {
        for row in rows {
            let at = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default();
            let Some((queue, key)) = at.checked_sub(1).and_then(|at| wanted.get(at)) else {
                continue;
            };
            let known = match row.try_get::<_, i64>(1)? {
                0 => KnownKey::Taken,
                _ => KnownKey::Of {
                    id: action_id(row, 1)?,
                    queued_at: time(row, 2)?.unwrap_or(Timestamp(0)),
                    taken_by: sites.taken_by(row.try_get(4)?),
                    parameters: parameters(row.try_get::<_, Option<&[u8]>>(3)?.unwrap_or_default()),
                },
            };
            self.keys.entry(*queue).or_default().insert(key, known);
        }
        let is_known = |(queue, key): &(i32, &str)| {
            self.keys.get(queue).is_some_and(|keys| keys.contains_key(key))
        };
        if wanted.iter().all(is_known) {
            Ok(())
        } else {
            Err(Failure::Conflict("a key was freed meanwhile".to_owned()))
        }
    }

    /// Looks once more for actions that were not found: one that was moved back from among those that have ended was in neither
    /// table when it was its turn, and one that was to end may have ended before.
    async fn look_again(
        &mut self,
        session: &Session,
        sites: &Sites,
        mut wanted: Wanted<'b>,
    ) -> Result<(), Failure> {
        wanted
            .named
            .retain(|(queue, id)| !self.rows.get(queue).is_some_and(|rows| rows.contains_key(id)));
        if wanted.named.is_empty() {
            return Ok(());
        }
        let statements = &session.prepared.statements;
        let (queues, ids) = columns(&wanted.named);
        let mut message = Message::to(&session.client);
        let live = message.add(&statements.named, values![ids.clone()]);
        let origins = (!wanted.copied.is_empty()).then(|| {
            let (queues, ids) = columns(&wanted.copied);
            message.add(&statements.origins, values![ids, queues])
        });
        let done = done(&mut message, statements, queues, ids);
        let mut answers = message.answers().await?;
        self.add_rows(answers.take(live), |row| Row::live(row, sites))?;
        self.add_origins(&origins.map(|place| answers.take(place)).unwrap_or_default())?;
        self.add_rows(answers.take(done), |row| Row::done(row, sites))
    }
}
