//! Submissions of a batch: which are accepted, which repeat others, and which start as they come.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::begin::{Known, KnownKey};
use super::row::{Row, number};
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Command, Verdict, decide, decide_kept, not_before};
use crate::store::postgres::columns::Tally;
use crate::store::postgres::schema::DEFERRED;
use crate::store::{Batch, Claimed, NewAction, Origin, Rejected, StoreError, Submitted};

/// The number of an action's first attempt.
const FIRST_ATTEMPT: u32 = 1;

/// A new action with parameters of its own.
pub(super) struct Given<'b> {
    pub(super) id: ActionId,
    pub(super) state: i16,
    pub(super) priority: i32,
    pub(super) queued_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) key: Option<&'b str>,
    pub(super) parameters: &'b Parameters,
    pub(super) origin: Option<&'b Origin>,
}

/// A new action with the parameters of another.
pub(super) struct Copied {
    pub(super) id: ActionId,
    pub(super) source: ActionId,
    pub(super) state: i16,
    pub(super) priority: i32,
    pub(super) queued_at: Timestamp,
    pub(super) not_before: Option<Timestamp>,
    pub(super) origin: Option<Box<Origin>>,
}

/// The new actions of a batch.
#[derive(Default)]
pub(super) struct Submissions<'b> {
    pub(super) answers: Vec<Result<Submitted, Rejected>>,
    pub(super) repeats: Vec<usize>,
    pub(super) given: Vec<Given<'b>>,
    pub(super) copied: Vec<Copied>,
    pub(super) change: Tally,
    keys: HashMap<&'b str, KnownKey>,
}

impl<'b> Submissions<'b> {
    /// Decides all submissions, in their order, with so many queued before.
    pub(super) fn decide(
        batch: &'b Batch,
        known: &mut Known<'b>,
        rows: &BTreeMap<ActionId, Row<'b>>,
        queued: i64,
    ) -> Self {
        let mut decided =
            Self { keys: known.take_keys(super::begin::queue_number(batch)), ..Self::default() };
        for (index, new) in batch.submissions.iter().enumerate() {
            let before = decided.given.len() + decided.copied.len();
            let queued = queued + decided.change.of(State::Queued);
            let is_full = batch
                .max_queued
                .is_some_and(|max| u64::try_from(queued).unwrap_or_default() >= max);
            let answer = decided.submit(batch, new, known, rows, is_full);
            if answer.is_ok() && decided.given.len() + decided.copied.len() == before {
                decided.repeats.push(index);
            }
            decided.answers.push(answer);
        }
        decided
    }

    fn submit(
        &mut self,
        batch: &Batch,
        new: &'b NewAction,
        known: &mut Known<'b>,
        rows: &BTreeMap<ActionId, Row<'b>>,
        is_full: bool,
    ) -> Result<Submitted, Rejected> {
        if let NewAction::Given { key: Some(key), parameters, .. } = new
            && let Some(KnownKey::Of { id, queued_at, taken_by, parameters: first }) =
                self.keys.get(key.as_str())
        {
            return match first {
                Ok(first) if key.is_repeat(first, parameters) => {
                    Ok(Submitted { id: *id, queued_at: *queued_at, taken_by: *taken_by })
                }
                Ok(_) => Err(Rejected::KeyTaken),
                Err(error) => {
                    let reason = format!("the parameters of action {id} are unreadable: {error}");
                    Err(Rejected::Store(crate::store::postgres::errors::corrupt(reason)))
                }
            };
        }
        let scheduled = known.schedules.admit(new)?;
        if is_full {
            return Err(Rejected::QueueFull);
        }
        let source = match new {
            NewAction::Given { .. } => None,
            NewAction::CopyOf { id, .. } => {
                let row = rows.get(id).ok_or(Rejected::Unknown)?;
                let verdict = decide_kept(row.state, Command::Duplicate, row.keeps_parameters);
                verdict.map_err(Rejected::Refused)?;
                Some(row)
            }
        };
        let copied_origin = match new {
            NewAction::Given { .. } => None,
            NewAction::CopyOf { id, .. } => known.origin_of_copy(*id).map_err(Rejected::Store)?,
        };
        let used_up = || Rejected::Store(StoreError::Io("all action ids are used up".to_owned()));
        let id = known.next_id().ok_or_else(used_up)?;
        let earliest = match (new, source) {
            (NewAction::Given { not_before, .. }, _) => *not_before,
            // What waits for its next attempt waits for a time that concerns only that.
            (NewAction::CopyOf { .. }, source) => {
                source.filter(|row| row.attempt == 0).and_then(|row| row.not_before)
            }
        };
        let earliest = earliest.filter(|time| *time > batch.now);
        let state = if earliest.is_some() { DEFERRED } else { number(State::Queued) };
        self.change.add(State::Queued, 1);
        self.change.defer(earliest.is_some().into());
        let queued_at = match new {
            NewAction::Given { parameters, priority, key, queued_at, origin, .. } => {
                let key = key.as_ref().map(|key| key.as_str());
                if let Some(key) = key {
                    let parameters = Ok(parameters.clone());
                    let first =
                        KnownKey::Of { id, queued_at: *queued_at, taken_by: None, parameters };
                    self.keys.insert(key, first);
                }
                self.given.push(Given {
                    id,
                    state,
                    priority: *priority,
                    queued_at: *queued_at,
                    started_at: None,
                    not_before: earliest,
                    key,
                    parameters,
                    origin: origin.as_deref().filter(|origin| !origin.is_empty()),
                });
                *queued_at
            }
            NewAction::CopyOf { id: source_id, queued_at } => {
                self.copied.push(Copied {
                    id,
                    source: *source_id,
                    state,
                    priority: source.map_or(0, |row| row.priority),
                    queued_at: *queued_at,
                    not_before: earliest,
                    origin: copied_origin,
                });
                *queued_at
            }
        };
        if let Some(scheduled) = scheduled {
            known.schedules.note(scheduled, batch.queue, id);
        }
        Ok(Submitted { id, queued_at, taken_by: None })
    }

    /// Returns the keys that were taken for submissions that were then refused.
    pub(super) fn unused_keys(&self) -> Vec<&'b [u8]> {
        let unused = self.keys.iter().filter(|(_, known)| matches!(known, KnownKey::Taken));
        unused.map(|(key, _)| key.as_bytes()).collect()
    }

    /// Starts the first of the new actions as they come, up to a number of slots: there is nothing else to start.
    pub(super) fn start(&mut self, batch: &Batch, slots: usize) -> Vec<Claimed> {
        let Ok(Verdict::Move(state)) = decide(State::Queued, Command::Start) else {
            return Vec::new();
        };
        let mut first: Vec<&mut Given<'b>> =
            self.given.iter_mut().filter(|new| new.not_before.is_none()).collect();
        // The highest priority first, equal ones by arrival (Q8).
        first.sort_by_key(|new| (Reverse(new.priority), new.id));
        first.truncate(slots);
        let mut started = Vec::with_capacity(first.len());
        for new in first {
            let started_at = not_before(batch.now, new.queued_at);
            (new.state, new.started_at) = (number(state), Some(started_at));
            self.change.add(State::Queued, -1);
            self.change.add(state, 1);
            started.push(Claimed {
                id: new.id,
                attempt: FIRST_ATTEMPT,
                queued_at: new.queued_at,
                started_at,
                priority: new.priority,
                parameters: new.parameters.clone(),
                failures: 0,
                restarts: 0,
                taken_by: None,
            });
        }
        started
    }
}

impl Given<'_> {
    /// Returns its attempt's number: 0 unless it starts as it comes.
    pub(super) const fn attempt(&self) -> i32 {
        match self.started_at {
            Some(_) => FIRST_ATTEMPT as i32,
            None => 0,
        }
    }
}
