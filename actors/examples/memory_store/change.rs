//! The changes of a batch to the rows. There are no rules about states here: each change asks
//! [`actiond_actors::lifecycle`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actiond_actors::lifecycle::{
    Command, Ended, Recovery, Refusal, Verdict, decide_kept, is_current,
};
use actiond_actors::store::query::Query;
use actiond_actors::store::{
    About, Affected, AttemptEnd, Batch, BatchReply, Claimed, Control, EventKind, NewAction,
    NewEvent, Notice, OwnerId, PastAttempt, Record, Rejected, Resumed, ScheduleChange,
    ScheduleState, StoreError, Submitted,
};
use actiond_actors::{ActionId, State, SubmissionKey, Target, Timestamp, Wish};

use super::data::{Owner, Queue, Row};
use super::outbox::Outbox;

/// Maximum number of final actions that one batch deletes: its caller waits for it.
const MAX_PRUNED: usize = 200;

/// The receivers of a notice.
#[derive(Clone, Copy)]
pub(crate) enum To {
    Owner(OwnerId),
    /// All owners but that of the batch.
    Others,
}

/// A batch while it is applied.
pub(crate) struct Change<'d> {
    queue: &'d mut Queue,
    last_id: &'d mut u64,
    outbox: &'d mut Outbox,
    schedules: &'d mut BTreeMap<String, ScheduleState>,
    owners: &'d mut BTreeMap<OwnerId, Owner>,
    batch: &'d Batch,
    owner: OwnerId,
    /// Time by the database's clock, for leases. The rows have the time of the batch, which is the server's.
    now: Duration,
    pub(crate) notices: Vec<(To, Notice)>,
    resumed: Vec<Resumed>,
    /// True once an action came to wait.
    arrived: bool,
}

impl<'d> Change<'d> {
    pub(crate) const fn new(
        queue: &'d mut Queue,
        last_id: &'d mut u64,
        (outbox, schedules): (&'d mut Outbox, &'d mut BTreeMap<String, ScheduleState>),
        owners: &'d mut BTreeMap<OwnerId, Owner>,
        batch: &'d Batch,
        owner: OwnerId,
        now: Duration,
    ) -> Self {
        Self {
            queue,
            last_id,
            outbox,
            schedules,
            owners,
            batch,
            owner,
            now,
            notices: Vec::new(),
            resumed: Vec::new(),
            arrived: false,
        }
    }

    pub(crate) fn apply(&mut self) -> BatchReply {
        let batch = self.batch;
        let events = self.outbox.last_id();
        let controls =
            batch.controls.iter().map(|control| self.control_and_tell(control)).collect();
        self.arrived |= self.queue.let_due_start(batch.now);
        let mut submissions = Vec::with_capacity(batch.submissions.len());
        let mut repeats = Vec::new();
        for (index, new) in batch.submissions.iter().enumerate() {
            let last_id = *self.last_id;
            let submitted = self.submit(new);
            if submitted.as_ref().is_ok_and(|submitted| submitted.id.get() <= last_id) {
                repeats.push(index);
            }
            submissions.push(submitted);
        }
        let claimed = self.claim();
        for claimed in &claimed {
            self.tell(EventKind::Start, claimed.id);
        }
        let more_to_prune = self.prune();
        let counts = self.queue.counts();
        if self.arrived && !self.queue.paused && counts.queued() > 0 {
            // This server has no slot for it; others may have. Only for new ones: two busy servers
            // would notify each other for ever.
            self.notices.push((To::Others, Notice::Work(batch.queue)));
        }
        BatchReply {
            resumed: std::mem::take(&mut self.resumed),
            controls,
            submissions,
            repeats,
            claimed,
            unread: Vec::new(),
            more_to_prune,
            counts,
            paused: self.queue.paused,
            owner: self.owner,
            deferred: self.queue.deferred(),
            next_due: self.queue.next_due(batch.now),
            events: usize::try_from(self.outbox.last_id() - events).unwrap_or_default(),
        }
    }

    /// Applies a control, and writes the events that it makes.
    fn control_and_tell(&mut self, control: &Control) -> Result<Vec<Affected>, Rejected> {
        let affected = self.control(control)?;
        let is_retry = matches!(control, Control::End(end) if end.ended == Ended::Retry);
        for Affected { id, verdict, .. } in &affected {
            let Verdict::Move(state) = verdict else { continue };
            let reported = is_retry.then_some(EventKind::ErrorReport);
            if let Some(kind) = EventKind::of_end(*state).or(reported) {
                self.tell(kind, *id);
            }
        }
        Ok(affected)
    }

    /// Writes an event about an action for each handler that wants it.
    fn tell(&mut self, kind: EventKind, id: ActionId) {
        if let Some(row) = self.queue.rows.get(&id) {
            self.outbox.tell(self.batch, kind, &About::Action(Box::new(row.record.clone())));
        }
    }

    fn tell_new(&mut self, event: &NewEvent) -> Result<Vec<Affected>, Rejected> {
        let (kind, about) = match event {
            NewEvent::ErrorReport { id, attempt, error, report } => {
                let record = self.current(*id, *attempt)?.record.clone();
                // It was written by a server, so it can be read.
                let report = report.nodes().unwrap_or_default();
                let record = Record { error: Some(error.clone()), report, ..record };
                (EventKind::ErrorReport, About::Action(Box::new(record)))
            }
            NewEvent::Level(change) => (EventKind::Queue, About::Queue(*change)),
        };
        self.outbox.tell(self.batch, kind, &about);
        Ok(Vec::new())
    }

    fn control(&mut self, control: &Control) -> Result<Vec<Affected>, Rejected> {
        match control {
            Control::Command { id, queued_at, command } => {
                let row = self.queue.rows.get(id).ok_or(Rejected::Unknown)?;
                if queued_at.is_some_and(|at| at != row.record.queued_at) {
                    return Err(Rejected::Unknown);
                }
                self.command(*id, *command)
                    .map(|affected| vec![affected])
                    .map_err(Rejected::Refused)
            }
            Control::End(end) => self.end(end),
            Control::PauseQueue { supported } => {
                self.set_paused(true);
                Ok(self.command_running(Command::Pause { supported: *supported }))
            }
            Control::ResumeQueue => {
                self.set_paused(false);
                Ok(self.command_running(Command::Resume))
            }
            Control::StopAll => Ok(self.command_running(Command::Stop)),
            Control::Recover { live, recovery, unbegun } => {
                Ok(self.recover(Some(live), *recovery, *unbegun))
            }
            Control::Reclaim { recovery } => Ok(self.recover(None, *recovery, false)),
            Control::Note { id, attempt, note } => {
                let row = self.current(*id, *attempt)?;
                row.note = Some(note.clone());
                Ok(vec![row.affected(Verdict::Stay)])
            }
            Control::TakeOver { id, attempt } => self.take_over(*id, *attempt),
            Control::Schedule { name, change } => self.change_schedule(name, change),
            Control::Tell(event) => self.tell_new(event),
            Control::Outbox { handler, change } => {
                self.outbox.change(*handler, change);
                Ok(Vec::new())
            }
            Control::Many { actions, command, filter } => {
                Ok(self.command_many(actions, *command, filter.as_deref()))
            }
        }
    }

    /// Gives a command to those of these actions that there are, and that the filter lists.
    fn command_many(
        &mut self,
        actions: &[Target],
        command: Command,
        filter: Option<&Query>,
    ) -> Vec<Affected> {
        let mut affected = Vec::new();
        for Target { id, queued_at } in actions {
            let Some(row) = self.queue.rows.get(id) else { continue };
            let is_listed = filter.is_none_or(|filter| filter.still_matches(&row.record));
            if is_listed && queued_at.is_none_or(|at| at == row.record.queued_at) {
                let refused = row.affected(Verdict::Refused);
                affected.push(self.command(*id, command).unwrap_or(refused));
            }
        }
        affected
    }

    fn change_schedule(
        &mut self,
        name: &str,
        change: &ScheduleChange,
    ) -> Result<Vec<Affected>, Rejected> {
        let folded = name.to_ascii_lowercase();
        let after = change.apply(name, self.schedules.get(&folded)).map_err(Rejected::Schedule)?;
        match after {
            Some(state) => drop(self.schedules.insert(folded, state)),
            None => drop(self.schedules.remove(&folded)),
        }
        Ok(Vec::new())
    }

    /// Makes this owner the one that runs an attempt.
    fn take_over(&mut self, id: ActionId, attempt: u32) -> Result<Vec<Affected>, Rejected> {
        let is_dead = self.is_dead(self.owner);
        let row = self.queue.rows.get_mut(&id).ok_or(Rejected::Unknown)?;
        if !is_current(row.record.state, row.record.attempt, attempt) || is_dead {
            return Err(Rejected::Stale);
        }
        if let Some(former) = row.owner.replace(self.owner).filter(|former| *former != self.owner) {
            let moved = Notice::Moved { queue: self.batch.queue, id, attempt };
            self.notices.push((To::Owner(former), moved));
            self.resumed.push(row.resumed());
        }
        Ok(vec![row.affected(Verdict::Stay)])
    }

    fn set_paused(&mut self, paused: bool) {
        self.queue.paused = paused;
        let notice = Notice::Paused { queue: self.batch.queue, paused };
        self.notices.push((To::Others, notice));
    }

    fn command_running(&mut self, command: Command) -> Vec<Affected> {
        self.running().into_iter().filter_map(|id| self.command(id, command).ok()).collect()
    }

    fn running(&self) -> Vec<ActionId> {
        let rows = self.queue.rows.values();
        rows.filter(|row| row.record.state.is_running()).map(|row| row.record.id).collect()
    }

    /// Recovers the actions of dead owners, and those of this owner that are not `live`; the latter were never begun if they are
    /// `unbegun`.
    fn recover(
        &mut self,
        live: Option<&Vec<(ActionId, u32)>>,
        recovery: Recovery,
        unbegun: bool,
    ) -> Vec<Affected> {
        for (id, owner) in &mut *self.owners {
            if *id != self.owner && owner.lease.is_some_and(|end| end <= self.now) {
                owner.lease = None;
            }
        }
        let mut affected = Vec::new();
        for id in self.running() {
            let Some(row) = self.queue.rows.get(&id) else { continue };
            let attempt = (id, row.record.attempt);
            let lost = match row.owner {
                Some(owner) if owner == self.owner => live.is_some_and(|l| !l.contains(&attempt)),
                Some(owner) if self.is_dead(owner) => true,
                // Another owner runs it under its lease.
                Some(_) => continue,
                None => true,
            };
            if lost {
                let is_own = row.owner == Some(self.owner);
                let command = match unbegun && is_own {
                    true => Command::End(Ended::Released),
                    false => recovery.command(row.restarts),
                };
                match self.command(id, command) {
                    Ok(Affected { verdict: Verdict::Stay, .. }) => {
                        // It goes on, and from now on this owner runs it.
                        let Some(row) = self.queue.rows.get_mut(&id) else { continue };
                        row.owner = Some(self.owner);
                        self.resumed.push(row.resumed());
                    }
                    other => affected.extend(other),
                }
            } else {
                affected.push(row.affected(Verdict::Stay));
            }
        }
        affected
    }

    fn is_dead(&self, owner: OwnerId) -> bool {
        self.owners.get(&owner).is_none_or(|owner| owner.lease.is_none())
    }

    /// Returns the action, if this attempt runs and this owner runs it.
    fn current(&mut self, id: ActionId, attempt: u32) -> Result<&mut Row, Rejected> {
        let is_dead = self.is_dead(self.owner);
        let row = self.queue.rows.get_mut(&id).ok_or(Rejected::Unknown)?;
        let current = is_current(row.record.state, row.record.attempt, attempt);
        if !current || row.owner != Some(self.owner) || is_dead {
            return Err(Rejected::Stale);
        }
        Ok(row)
    }

    /// Applies the end of an attempt, if this owner runs it.
    fn end(&mut self, end: &AttemptEnd) -> Result<Vec<Affected>, Rejected> {
        let last_error = self.current(end.id, end.attempt)?.record.error.clone();
        let affected = self.command(end.id, Command::End(end.ended)).map_err(Rejected::Refused)?;
        let now = self.batch.now;
        let Some(row) = self.queue.rows.get_mut(&end.id) else { return Ok(vec![affected]) };
        let record = &mut row.record;
        record.worker.clone_from(&end.worker);
        if affected.state.is_final() {
            record.processing_ms = end.processing_ms;
            record.percent = if affected.state == State::Finished { 100.0 } else { end.percent };
            record.error = end.error.clone().or_else(|| record.error.take());
            // It was written by a server, so it can be read.
            record.report = end.report.nodes().unwrap_or_default();
        } else {
            record.error = end.error.clone().or(last_error);
            if let Some(past) = row.past.last_mut() {
                past.worker.clone_from(&end.worker);
                past.error = end.error.as_deref().map(|error| PastAttempt::cut(error).to_owned());
            }
            row.restarts += u32::from(end.ended == Ended::Lost);
            if end.ended == Ended::Retry {
                row.failures += 1;
                let wait = end.retry_after.map_or(0, |wait| wait.as_millis());
                let wait = i64::try_from(wait).unwrap_or(i64::MAX);
                let time = Timestamp(now.0.saturating_add(wait));
                record.not_before = Some(time).filter(|time| *time > now);
            }
        }
        Ok(vec![affected])
    }

    /// Gives one action a command, writes the outcome, and adds the notices.
    fn command(&mut self, id: ActionId, command: Command) -> Result<Affected, Refusal> {
        let now = self.batch.now;
        let Some(row) = self.queue.rows.get_mut(&id) else {
            // Callers have checked that it exists.
            return Err(Refusal { state: State::Queued, command });
        };
        let verdict = decide_kept(row.record.state, command, row.parameters.is_some())?;
        let runs_at = row.owner;
        if let Command::ChangePriority(priority) = command {
            row.record.priority = priority;
        }
        if command == Command::Retry {
            row.record.not_before = None;
            self.arrived = true;
        }
        if let Verdict::Move(state) = verdict {
            row.move_to(state, now, command);
            // What was sent under a key is compared with what is sent under it again.
            if state.is_final() && !self.batch.keep_parameters && row.key.is_none() {
                row.parameters = None;
            }
        }
        let affected = row.affected(verdict);
        if verdict == Verdict::Delete {
            self.queue.rows.remove(&id);
        }
        let Affected { attempt, state, .. } = affected;
        self.arrived |= verdict == Verdict::Move(State::Queued);
        let queue = self.batch.queue;
        let wish = match verdict {
            Verdict::Force => Some(Wish::Force),
            Verdict::Move(State::Stopping) => Some(Wish::Stop),
            Verdict::Move(State::Paused) => Some(Wish::Pause),
            Verdict::Move(State::Processing) => Some(Wish::Run),
            _ => None,
        };
        if let (Some(wish), Some(owner)) = (wish, runs_at.filter(|owner| *owner != self.owner)) {
            let steer = Notice::Steer { queue, id, attempt, wish };
            self.notices.push((To::Owner(owner), steer));
        }
        if verdict == Verdict::Move(state) && state.is_final() {
            self.notices.push((To::Others, Notice::Ended { queue, id }));
        }
        Ok(affected)
    }

    fn submit(&mut self, new: &NewAction) -> Result<Submitted, Rejected> {
        let max = self.batch.max_queued;
        let is_full = max.is_some_and(|max| self.queue.counts().queued() >= max);
        let rows = &self.queue.rows;
        let (parameters, priority, key, not_before, queued_at, origin) = match new {
            NewAction::Given { parameters, priority, key, not_before, queued_at, origin } => {
                if let Some((key, first)) = key.as_ref().and_then(|key| {
                    let same = |k: &SubmissionKey| k.as_str() == key.as_str();
                    Some((key, rows.values().find(|row| row.key.as_ref().is_some_and(same))?))
                }) {
                    let is_repeat = |given| key.is_repeat(given, parameters);
                    if !first.parameters.as_ref().is_some_and(is_repeat) {
                        return Err(Rejected::KeyTaken);
                    }
                    let Record { id, queued_at, .. } = first.record;
                    return Ok(Submitted { id, queued_at, taken_by: None });
                }
                let origin = origin.clone().filter(|origin| !origin.is_empty());
                (parameters.clone(), *priority, key.clone(), *not_before, *queued_at, origin)
            }
            NewAction::CopyOf { .. } if is_full => return Err(Rejected::QueueFull),
            NewAction::CopyOf { id, queued_at } => {
                let row = rows.get(id).ok_or(Rejected::Unknown)?;
                let Row { parameters, record, .. } = row;
                let verdict = decide_kept(record.state, Command::Duplicate, parameters.is_some());
                verdict.map_err(Rejected::Refused)?;
                let parameters = parameters.clone().unwrap_or_default();
                // What waits for its next attempt waits for a time that concerns only that.
                let not_before = record.not_before.filter(|_| record.attempt == 0);
                let origin = record.origin.as_ref().and_then(|origin| origin.of_copy());
                (parameters, record.priority, None, not_before, *queued_at, origin)
            }
        };
        let scheduled = new.scheduled().map(|it| (it, it.schedule.to_ascii_lowercase()));
        if let Some((scheduled, folded)) = &scheduled {
            scheduled.admit(self.schedules.get(folded)).map_err(Rejected::Schedule)?;
        }
        if is_full {
            return Err(Rejected::QueueFull);
        }
        let used_up = || Rejected::Store(StoreError::Io("all action ids are used up".to_owned()));
        let id = ActionId::new(*self.last_id + 1).ok_or_else(used_up)?;
        *self.last_id = id.get();
        self.arrived = true;
        let record = Record {
            not_before: not_before.filter(|time| *time > self.batch.now),
            origin,
            ..Record::queued(id, priority, queued_at)
        };
        self.queue.rows.insert(id, Row::new(record, parameters, key));
        if let Some((scheduled, folded)) = scheduled
            && let Some(state) = self.schedules.get_mut(&folded)
        {
            *state = scheduled.queued(state, self.batch.queue, id);
        }
        Ok(Submitted { id, queued_at, taken_by: None })
    }

    /// Starts the next actions, if the owner has its lease.
    fn claim(&mut self) -> Vec<Claimed> {
        let lease = self.owners.get(&self.owner).and_then(|owner| owner.lease);
        if self.queue.paused || lease.is_none_or(|end| end <= self.now) {
            return Vec::new();
        }
        let mut claimed = Vec::new();
        for id in self.queue.waiting().into_iter().take(self.batch.claim) {
            if self.command(id, Command::Start).is_ok()
                && let Some(row) = self.queue.rows.get_mut(&id)
            {
                row.owner = Some(self.owner);
                claimed.push(row.claimed());
            }
        }
        claimed
    }

    /// Deletes final actions that need not be kept; returns true if there are more.
    fn prune(&mut self) -> bool {
        let ended = |row: &Row| Some((row.record.finished_at?, row.record.id));
        let mut ended: Vec<_> = self.queue.rows.values().filter_map(ended).collect();
        ended.sort_unstable();
        let retention = self.batch.retention;
        let too_old: Vec<ActionId> = ended
            .iter()
            .filter(|(at, _)| retention.finished_after.is_some_and(|after| *at <= after))
            .map(|(_, id)| *id)
            .collect();
        if ended.last().is_some_and(|(latest, _)| *latest > self.batch.now) {
            // The clock was set back: the times don't tell which ended first.
            ended.sort_unstable_by_key(|(_, id)| *id);
        }
        let most = retention
            .max_finished
            .map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        let too_many = ended.len().saturating_sub(most);
        let mut due: Vec<ActionId> = ended.into_iter().take(too_many).map(|(_, id)| id).collect();
        let by_number: BTreeSet<ActionId> = due.iter().copied().collect();
        due.extend(too_old.into_iter().filter(|id| !by_number.contains(id)));
        for id in due.iter().take(MAX_PRUNED) {
            self.queue.rows.remove(id);
        }
        due.len() > MAX_PRUNED
    }
}
