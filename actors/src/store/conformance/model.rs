//! A plain store in memory, with which each answer of a real one is compared.
//!
//! It uses the same rules as every store, but nothing that makes stores fast: no index, no
//! counts, no pages. Where a store has a choice (ids, how much goes in one step of retention) the
//! model checks that the choice is allowed and follows it.

mod outbox;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Command, Ended, Verdict, decide_kept, is_current};
use crate::queue::Target;
use crate::store::query::Query;
use crate::store::{
    Affected, Batch, BatchReply, Claimed, Control, Counts, EventKind, HandlerId, NewAction,
    NewEvent, OwnerId, QueueId, Record, Rejected, Resumed, ScheduleState, Store, Submitted,
};
pub(super) use outbox::{Events, Outbox};
pub(super) use row::Row;

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    last_id: u64,
    pub(super) queues: BTreeMap<QueueId, Queue>,
    pub(super) outbox: Outbox,
    /// The handlers that batches may name.
    pub(super) handlers: Vec<HandlerId>,
    /// By their names in lower case.
    schedules: BTreeMap<String, ScheduleState>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) paused: bool,
    pub(super) rows: BTreeMap<ActionId, Row>,
    pub(super) gone: Vec<ActionId>,
}

impl Model {
    /// Applies the batch and fails if the store's answer is wrong.
    pub(super) fn apply(&mut self, batch: &Batch, reply: &BatchReply) {
        let Self { last_id, queues, outbox, schedules, .. } = self;
        let written = outbox.written;
        let queue = queues.entry(batch.queue).or_default();
        queue.rows.values_mut().for_each(|row| row.keeps_parameters = batch.keep_parameters);
        assert_eq!(reply.controls.len(), batch.controls.len());
        let mut resumed = Vec::new();
        for (control, answer) in batch.controls.iter().zip(&reply.controls) {
            let mut answer = answer.clone();
            if let Ok(affected) = &mut answer {
                affected.sort_by_key(|a| a.id);
                if matches!(control, Control::Recover { .. } | Control::Reclaim { .. }) {
                    // What still runs may be named too, as something that stays.
                    affected.retain(|a| matches!(a.verdict, Verdict::Move(_)));
                }
            }
            let expected = match change_schedule(schedules, control) {
                Some(answer) => answer,
                None => queue.control(batch.now, control, &mut resumed),
            };
            assert_eq!(answer, expected, "{control:?}");
            outbox.tell_of(batch, control, queue, expected.as_deref().unwrap_or_default());
        }
        assert_same(&reply.resumed, &resumed);
        queue.let_due_start(batch.now);
        assert_eq!(reply.submissions.len(), batch.submissions.len());
        let mut repeats = Vec::new();
        for (index, (new, answer)) in batch.submissions.iter().zip(&reply.submissions).enumerate() {
            let before = *last_id;
            let chosen = answer.as_ref().map_or(next(before), |submitted| submitted.id);
            let expected = queue.submit(batch, new, chosen, (last_id, schedules));
            assert_eq!(*answer, expected, "{new:?}");
            if answer.is_ok() && *last_id == before {
                repeats.push(index);
            }
        }
        assert_eq!(reply.repeats, repeats, "nothing new was queued for these");
        queue.claim(batch, reply);
        for claimed in &reply.claimed {
            outbox.tell_action(batch, EventKind::Start, queue.rows[&claimed.id].record.clone());
        }
        assert_eq!(reply.events, outbox.written - written);
        queue.prune(batch, reply);
        assert_eq!(reply.counts, queue.counts(), "counts equal rows (Q10)");
        assert_eq!(reply.paused, queue.paused);
        assert_eq!(reply.next_due, queue.next_due(batch.now));
        assert_eq!(reply.deferred, queue.deferred());
    }

    /// Applies the batch and returns the answer of a store that gives out ids one by one, and for
    /// which one step is enough for all deletions.
    pub(super) fn predict(&mut self, batch: &Batch) -> BatchReply {
        let Self { last_id, queues, outbox, schedules, .. } = self;
        let written = outbox.written;
        let queue = queues.entry(batch.queue).or_default();
        queue.rows.values_mut().for_each(|row| row.keeps_parameters = batch.keep_parameters);
        let mut resumed = Vec::new();
        let mut controls = Vec::new();
        for control in &batch.controls {
            let answer = match change_schedule(schedules, control) {
                Some(answer) => answer,
                None => queue.control(batch.now, control, &mut resumed),
            };
            outbox.tell_of(batch, control, queue, answer.as_deref().unwrap_or_default());
            controls.push(answer);
        }
        queue.let_due_start(batch.now);
        let mut repeats = Vec::new();
        let submissions = batch
            .submissions
            .iter()
            .enumerate()
            .map(|(index, new)| {
                let before = *last_id;
                let submitted = queue.submit(batch, new, next(before), (last_id, schedules));
                if submitted.is_ok() && *last_id == before {
                    repeats.push(index);
                }
                submitted
            })
            .collect();
        let claimed = queue.next_to_start(batch).into_iter().map(|id| queue.start(batch, id));
        let claimed: Vec<Claimed> = claimed.collect();
        for claimed in &claimed {
            outbox.tell_action(batch, EventKind::Start, queue.rows[&claimed.id].record.clone());
        }
        queue.delete(queue.due(batch));
        BatchReply {
            resumed,
            controls,
            submissions,
            repeats,
            claimed,
            unread: Vec::new(),
            more_to_prune: false,
            counts: queue.counts(),
            paused: queue.paused,
            owner: OwnerId::SOLE,
            deferred: queue.deferred(),
            next_due: queue.next_due(batch.now),
            events: outbox.written - written,
        }
    }

    /// Compares every row of every queue with what the store reads.
    pub(super) async fn check(&self, store: &dyn Store) {
        for (id, queue) in &self.queues {
            for action in queue.rows.keys() {
                let read = store.record(*id, *action).await.unwrap();
                assert_eq!(read.map(as_modelled), queue.record(*action));
                let given = store.parameters(*id, *action).await.unwrap();
                assert_eq!(given.as_ref(), queue.rows[action].parameters.as_ref());
                let past = store.history(*id, *action).await.unwrap();
                assert_eq!(past, queue.rows[action].past);
            }
            for action in &queue.gone {
                assert_eq!(store.record(*id, *action).await.unwrap(), None);
                assert_eq!(store.parameters(*id, *action).await.unwrap(), None);
                assert_eq!(store.history(*id, *action).await.unwrap(), []);
            }
        }
        // Those of other histories may be there, too.
        let mut read = store.schedules().await.unwrap();
        read.retain(|state| self.schedules.contains_key(&state.name.to_ascii_lowercase()));
        assert_eq!(read, self.schedules.values().cloned().collect::<Vec<_>>());
    }
}

/// Changes a schedule, if the control does.
fn change_schedule(
    schedules: &mut BTreeMap<String, ScheduleState>,
    control: &Control,
) -> Option<Result<Vec<Affected>, Rejected>> {
    let Control::Schedule { name, change } = control else { return None };
    let folded = name.to_ascii_lowercase();
    Some(match change.apply(name, schedules.get(&folded)) {
        Ok(after) => {
            schedules.remove(&folded);
            schedules.extend(after.map(|state| (folded, state)));
            Ok(Vec::new())
        }
        Err(refusal) => Err(Rejected::Schedule(refusal)),
    })
}

impl Queue {
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in self.rows.values() {
            counts.add(row.record.state, 1);
        }
        counts
    }

    /// Returns the record as a read of this one action does: with its place in the queue.
    fn record(&self, id: ActionId) -> Option<Record> {
        let mut record = self.rows.get(&id)?.record.clone();
        let before = self.waiting().iter().position(|waiting| *waiting == id);
        let place = before.map(|before| u64::try_from(before).unwrap() + 1);
        record.position = place.filter(|place| *place <= Record::MAX_POSITION);
        Some(record)
    }

    /// Forgets the times that have come before which actions must not start.
    fn let_due_start(&mut self, now: Timestamp) {
        for row in self.rows.values_mut() {
            row.record.not_before = row.record.not_before.filter(|time| *time > now);
        }
    }

    /// Returns the number of actions that must not start yet.
    fn deferred(&self) -> u64 {
        let rows = self.rows.values().filter(|row| row.record.not_before.is_some());
        u64::try_from(rows.count()).unwrap()
    }

    fn next_due(&self, now: Timestamp) -> Option<Duration> {
        let first = self.rows.values().filter_map(|row| row.record.not_before).min()?;
        Some(Duration::from_millis((first.0 - now.0).try_into().unwrap()))
    }

    /// Returns the actions that may start, the next to start first (Q8).
    fn waiting(&self) -> Vec<ActionId> {
        let mut waiting: Vec<_> = self
            .rows
            .values()
            .map(|row| &row.record)
            .filter(|record| record.state == State::Queued && record.not_before.is_none())
            .map(|record| (std::cmp::Reverse(record.priority), record.id))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// Returns the ids of a listing, in its order.
    pub(super) fn list(&self, query: &Query) -> Vec<ActionId> {
        let listed = self.rows.values();
        let listed = listed.filter(|row| query.matches(&row.record, row.parameters.as_ref()));
        let mut listed: Vec<&Record> = listed.map(|row| &row.record).collect();
        listed.sort_by(|a, b| {
            let (time_a, time_b) = (query.sort.time_of(a), query.sort.time_of(b));
            // Those without the time come last, whichever the direction.
            time_a.is_none().cmp(&time_b.is_none()).then_with(|| {
                let order = (time_a.unwrap_or(a.queued_at), a.id)
                    .cmp(&(time_b.unwrap_or(b.queued_at), b.id));
                if query.descending { order.reverse() } else { order }
            })
        });
        listed.into_iter().map(|record| record.id).collect()
    }

    fn control(
        &mut self,
        now: Timestamp,
        control: &Control,
        resumed: &mut Vec<Resumed>,
    ) -> Result<Vec<Affected>, Rejected> {
        match control {
            Control::Command { id, queued_at, command } => {
                let meant = |row: &&mut Row| queued_at.is_none_or(|at| at == row.record.queued_at);
                let row = self.rows.get_mut(id).filter(meant).ok_or(Rejected::Unknown)?;
                let affected = row.command(now, *command)?;
                if affected.verdict == Verdict::Delete {
                    self.delete(vec![*id]);
                }
                Ok(vec![affected])
            }
            Control::End(end) => {
                let row = self.current(end.id, end.attempt)?;
                row.end(now, end).map(|affected| vec![affected])
            }
            Control::PauseQueue { supported } => {
                self.paused = true;
                Ok(self.command_running(now, Command::Pause { supported: *supported }))
            }
            Control::ResumeQueue => {
                self.paused = false;
                Ok(self.command_running(now, Command::Resume))
            }
            Control::StopAll => Ok(self.command_running(now, Command::Stop)),
            Control::Recover { live, recovery, unbegun } => {
                let mut affected = Vec::new();
                for row in self.rows.values_mut().filter(|row| row.record.state.is_running()) {
                    if live.contains(&(row.record.id, row.record.attempt)) {
                        continue;
                    }
                    let command = match unbegun {
                        true => Command::End(Ended::Released),
                        false => recovery.command(row.restarts),
                    };
                    let recovered = row.command(now, command)?;
                    if recovered.verdict == Verdict::Stay {
                        resumed.push(row.resumed());
                    } else {
                        affected.push(recovered);
                    }
                }
                Ok(affected)
            }
            Control::Note { id, attempt, note } => {
                let row = self.current(*id, *attempt)?;
                row.note = Some(note.clone());
                Ok(vec![row.affected(Verdict::Stay)])
            }
            Control::TakeOver { id, attempt } => {
                let row = self.current(*id, *attempt)?;
                Ok(vec![row.affected(Verdict::Stay)])
            }
            Control::Many { actions, command, filter } => {
                let mut affected = Vec::new();
                for Target { id, queued_at } in actions {
                    let is_meant = |row: &&mut Row| {
                        queued_at.is_none_or(|at| at == row.record.queued_at)
                            && filter
                                .as_ref()
                                .is_none_or(|filter| filter.still_matches(&row.record))
                    };
                    let Some(row) = self.rows.get_mut(id).filter(is_meant) else { continue };
                    let refused = row.affected(Verdict::Refused);
                    let given = row.command(now, *command).unwrap_or(refused);
                    if given.verdict == Verdict::Delete {
                        self.delete(vec![*id]);
                    }
                    affected.push(given);
                }
                affected.sort_by_key(|action| action.id);
                Ok(affected)
            }
            Control::Tell(event) => match &**event {
                NewEvent::ErrorReport { id, attempt, .. } => {
                    self.current(*id, *attempt).map(|_| Vec::new())
                }
                NewEvent::Level(_) => Ok(Vec::new()),
            },
            Control::Schedule { .. } => panic!("it is no change of a queue"),
            // The model has one owner, and settles nothing.
            Control::Reclaim { .. } | Control::Outbox { .. } => Ok(Vec::new()),
        }
    }

    /// Returns the action, if this attempt runs.
    fn current(&mut self, id: ActionId, attempt: u32) -> Result<&mut Row, Rejected> {
        let row = self.rows.get_mut(&id).ok_or(Rejected::Unknown)?;
        let is_current = is_current(row.record.state, row.record.attempt, attempt);
        if is_current { Ok(row) } else { Err(Rejected::Stale) }
    }

    fn command_running(&mut self, now: Timestamp, command: Command) -> Vec<Affected> {
        let running = self.rows.values_mut().filter(|row| row.record.state.is_running());
        running.filter_map(|row| row.command(now, command).ok()).collect()
    }

    fn submit(
        &mut self,
        batch: &Batch,
        new: &NewAction,
        chosen: ActionId,
        (last_id, schedules): (&mut u64, &mut BTreeMap<String, ScheduleState>),
    ) -> Result<Submitted, Rejected> {
        let full = batch.max_queued.is_some_and(|max| self.counts().queued() >= max);
        let (parameters, priority, key, not_before, queued_at, origin) = match new {
            NewAction::Given { parameters, priority, key, not_before, queued_at, origin } => {
                let first = key
                    .as_ref()
                    .and_then(|key| self.rows.values().find(|row| row.key.as_ref() == Some(key)));
                if let (Some(Row { record, parameters: given, .. }), Some(key)) = (first, key) {
                    // What has a key keeps them.
                    if !key.is_repeat(given.as_ref().unwrap(), parameters) {
                        return Err(Rejected::KeyTaken);
                    }
                    let Record { id, queued_at, .. } = *record;
                    return Ok(Submitted { id, queued_at, taken_by: None });
                }
                let origin = origin.clone().filter(|origin| !origin.is_empty());
                (parameters.clone(), *priority, key.clone(), *not_before, *queued_at, origin)
            }
            NewAction::CopyOf { id, queued_at } => match self.rows.get(id) {
                _ if full => (Parameters::default(), 0, None, None, *queued_at, None),
                None => return Err(Rejected::Unknown),
                Some(row) => {
                    let Row { parameters, record, .. } = row;
                    let kept = parameters.is_some();
                    let verdict = decide_kept(record.state, Command::Duplicate, kept);
                    verdict.map_err(Rejected::Refused)?;
                    // What waits for its next attempt waits for a time that concerns only that.
                    let not_before = record.not_before.filter(|_| record.attempt == 0);
                    let origin = record.origin.as_ref().and_then(|origin| origin.of_copy());
                    let parameters = parameters.clone().unwrap();
                    (parameters, record.priority, None, not_before, *queued_at, origin)
                }
            },
        };
        let scheduled = new.scheduled().map(|it| (it, it.schedule.to_ascii_lowercase()));
        if let Some((scheduled, folded)) = &scheduled {
            scheduled.admit(schedules.get(folded)).map_err(Rejected::Schedule)?;
        }
        if full {
            return Err(Rejected::QueueFull);
        }
        assert!(chosen.get() > *last_id, "{chosen} was used before (Q1)");
        *last_id = chosen.get();
        let record = Record {
            not_before: not_before.filter(|time| *time > batch.now),
            origin,
            ..Record::queued(chosen, priority, queued_at)
        };
        self.rows.insert(chosen, Row::new(record, parameters, key));
        if let Some((scheduled, folded)) = scheduled {
            let state = schedules.get_mut(&folded).unwrap();
            *state = scheduled.queued(state, batch.queue, chosen);
        }
        Ok(Submitted { id: chosen, queued_at, taken_by: None })
    }

    fn next_to_start(&self, batch: &Batch) -> Vec<ActionId> {
        let mut next = if self.paused { Vec::new() } else { self.waiting() };
        next.truncate(batch.claim);
        next
    }

    fn start(&mut self, batch: &Batch, id: ActionId) -> Claimed {
        let row = self.rows.get_mut(&id).unwrap();
        row.command(batch.now, Command::Start).unwrap();
        row.claimed()
    }

    fn claim(&mut self, batch: &Batch, reply: &BatchReply) {
        let claimed: Vec<_> = reply.claimed.iter().map(|claimed| claimed.id).collect();
        let next = self.next_to_start(batch);
        assert_eq!(claimed, next, "the highest priority first, equal ones by arrival (Q8)");
        for claimed in &reply.claimed {
            assert_same_claim(claimed, &self.start(batch, claimed.id));
        }
    }

    /// Returns the final actions that need not be kept, in the order of their deletion.
    fn due(&self, batch: &Batch) -> Vec<ActionId> {
        let ended = self.ended();
        let too_many = batch
            .retention
            .max_finished
            .map_or(0, |max| ended.len().saturating_sub(usize::try_from(max).unwrap()));
        let mut order = ended.clone();
        if ended.iter().any(|(finished_at, _)| *finished_at > batch.now) {
            order.sort_unstable_by_key(|(_, id)| *id);
        }
        let mut due: Vec<_> = order.into_iter().take(too_many).map(|(_, id)| id).collect();
        let by_number: BTreeSet<_> = due.iter().copied().collect();
        if let Some(after) = batch.retention.finished_after {
            let too_old = ended.iter().filter(|(finished_at, _)| *finished_at <= after);
            due.extend(too_old.map(|(_, id)| *id).filter(|id| !by_number.contains(id)));
        }
        due
    }

    /// Returns the final actions, in the order of their ends.
    fn ended(&self) -> Vec<(Timestamp, ActionId)> {
        let records = self.rows.values().map(|row| &row.record);
        let mut ended: Vec<_> = records.filter_map(|r| Some((r.finished_at?, r.id))).collect();
        ended.sort_unstable();
        ended
    }

    fn prune(&mut self, batch: &Batch, reply: &BatchReply) {
        let mut due = self.due(batch);
        let left = usize::try_from(reply.counts.finished()).unwrap();
        let deleted = self.ended().len().checked_sub(left).expect("no action ends by itself");
        if reply.more_to_prune {
            assert!(deleted > 0 && deleted <= due.len(), "{deleted} of {due:?}");
        } else {
            assert_eq!(deleted, due.len());
        }
        due.truncate(deleted);
        self.delete(due);
    }

    fn delete(&mut self, due: Vec<ActionId>) {
        for id in due {
            self.rows.remove(&id);
            self.gone.push(id);
        }
    }
}

/// Returns what the model knows of an action: only a store that servers share knows which of them ran it.
pub(super) fn as_modelled(record: Record) -> Record {
    Record { run_by: None, ..record }
}

/// The id behind the last one.
fn next(last_id: u64) -> ActionId {
    ActionId::new(last_id + 1).unwrap()
}

fn assert_same_claim(found: &Claimed, expected: &Claimed) {
    let Claimed { id, attempt, queued_at, started_at, priority, parameters, .. } = expected;
    assert_eq!((found.id, found.attempt), (*id, *attempt));
    assert_eq!((found.failures, found.restarts), (expected.failures, expected.restarts));
    assert_eq!((found.queued_at, found.started_at), (*queued_at, *started_at));
    assert_eq!((found.priority, &found.parameters), (*priority, parameters));
}

fn assert_same(found: &[Resumed], expected: &[Resumed]) {
    let in_order = |resumed: &[Resumed]| {
        let mut resumed = resumed.to_vec();
        resumed.sort_by_key(|resumed| resumed.claimed.id);
        resumed
    };
    let (found, expected) = (in_order(found), in_order(expected));
    assert_eq!(found.len(), expected.len(), "as many go on");
    for (found, expected) in found.into_iter().zip(expected) {
        assert_same_claim(&found.claimed, &expected.claimed);
        assert_eq!((found.state, &found.note), (expected.state, &expected.note));
    }
}
