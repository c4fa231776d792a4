//! Rows and owners. The changes of a batch to them are in [`super::change`].

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use actiond_actors::lifecycle::{Command, Verdict, error_of, not_before, outcome_of_error};
use actiond_actors::store::{
    Affected, Batch, BatchReply, Claimed, HandlerId, Notice, NoticeSink, OwnerId, PastAttempt,
    QueueId, QueueState, Record, Renewal, Resumed, ScheduleState, StoreError,
};
use actiond_actors::{ActionId, Counts, Parameters, State, SubmissionKey, Timestamp};

use super::change::{Change, To};
use super::outbox::Outbox;

#[derive(Default)]
pub(crate) struct Data {
    queues: Vec<Queue>,
    last_id: u64,
    pub(crate) outbox: Outbox,
    /// By their names in lower case.
    pub(crate) schedules: BTreeMap<String, ScheduleState>,
    owners: BTreeMap<OwnerId, Owner>,
}

#[derive(Default)]
pub(crate) struct Queue {
    name: String,
    pub(crate) paused: bool,
    pub(crate) rows: BTreeMap<ActionId, Row>,
}

pub(crate) struct Row {
    pub(crate) record: Record,
    /// `None` once it has ended and they are not kept.
    pub(crate) parameters: Option<Parameters>,
    pub(crate) key: Option<SubmissionKey>,
    /// The owner that runs it, while it runs.
    pub(crate) owner: Option<OwnerId>,
    pub(crate) failures: u32,
    pub(crate) restarts: u32,
    pub(crate) note: Option<String>,
    /// The attempts that ended without ending the action.
    pub(crate) past: Vec<PastAttempt>,
}

#[derive(Default)]
pub(crate) struct Owner {
    /// End of its lease; `None` once it is dead.
    pub(crate) lease: Option<Duration>,
    sink: Option<NoticeSink>,
}

impl Data {
    pub(crate) fn open_queue(&mut self, name: &str) -> QueueState {
        let known = self.queues.iter().position(|queue| queue.name.eq_ignore_ascii_case(name));
        let index = known.unwrap_or_else(|| {
            self.queues.push(Queue { name: name.to_owned(), ..Queue::default() });
            self.queues.len() - 1
        });
        let id = QueueId(i64::try_from(index).unwrap_or(i64::MAX));
        self.queues.get(index).map_or_else(|| Queue::default().state(id), |queue| queue.state(id))
    }

    pub(crate) fn queue(&self, id: QueueId) -> Result<&Queue, StoreError> {
        let index = usize::try_from(id.0).ok();
        index.and_then(|index| self.queues.get(index)).ok_or_else(|| unknown(id))
    }

    /// Makes this owner the one that delivers the events of a handler, unless another one does whose lease holds.
    pub(crate) fn lead(&mut self, handler: HandlerId, owner: OwnerId, now: Duration) -> bool {
        let owners = &self.owners;
        let holds = |id: OwnerId| {
            let lease = owners.get(&id).and_then(|owner| owner.lease);
            lease.is_some_and(|end| end > now)
        };
        self.outbox.lead(handler, owner, holds)
    }

    /// Makes an owner whose lease ends at this time.
    pub(crate) fn new_owner(&mut self, lease: Duration) -> OwnerId {
        let last = self.owners.keys().next_back().map_or(0, |owner| owner.0);
        let owner = OwnerId(last + 1);
        // None is ever removed, so no number is used again.
        self.owners.insert(owner, Owner { lease: Some(lease), sink: None });
        owner
    }

    /// Replaces an owner by a new one, which keeps its callback for notices.
    pub(crate) fn succeed(&mut self, former: OwnerId, lease: Duration) -> OwnerId {
        let sink = self.owners.get_mut(&former).and_then(|owner| owner.sink.take());
        self.give_up(former);
        let owner = self.new_owner(lease);
        if let (Some(sink), Some(new)) = (sink, self.owners.get_mut(&owner)) {
            new.sink = Some(sink);
        }
        owner
    }

    pub(crate) fn renew(&mut self, owner: OwnerId, until: Duration) -> Renewal {
        match self.owners.get_mut(&owner).and_then(|owner| owner.lease.as_mut()) {
            // Also an expired one, as long as nobody has recovered from it.
            Some(lease) => {
                *lease = until;
                Renewal::Holds
            }
            None => Renewal::Lost,
        }
    }

    pub(crate) fn give_up(&mut self, owner: OwnerId) {
        if let Some(owner) = self.owners.get_mut(&owner) {
            *owner = Owner::default();
        }
    }

    pub(crate) fn listen(&mut self, owner: OwnerId, sink: NoticeSink) {
        if let Some(owner) = self.owners.get_mut(&owner) {
            owner.sink = Some(sink);
        }
    }

    /// Applies a batch of this owner at this time; returns its answer, and the notices with their receivers.
    pub(crate) fn apply(
        &mut self,
        batch: &Batch,
        owner: OwnerId,
        now: Duration,
    ) -> (Result<BatchReply, StoreError>, Vec<(NoticeSink, Notice)>) {
        let Self { queues, last_id, outbox, schedules, owners } = self;
        let index = usize::try_from(batch.queue.0).unwrap_or(usize::MAX);
        let Some(queue) = queues.get_mut(index) else {
            return (Err(unknown(batch.queue)), Vec::new());
        };
        let mut change =
            Change::new(queue, last_id, (outbox, schedules), owners, batch, owner, now);
        let reply = change.apply();
        let notices = change.notices;
        let told = notices.into_iter().flat_map(|(to, notice)| {
            let meant = owners.iter().filter(move |(id, _)| match to {
                To::Owner(only) => **id == only,
                To::Others => **id != owner,
            });
            meant.filter_map(move |(_, owner)| Some((owner.sink.clone()?, notice)))
        });
        (Ok(reply), told.collect())
    }
}

fn unknown(queue: QueueId) -> StoreError {
    StoreError::Io(format!("queue number {} was never opened", queue.0))
}

impl Row {
    /// Makes that of a new action.
    pub(crate) const fn new(
        record: Record,
        parameters: Parameters,
        key: Option<SubmissionKey>,
    ) -> Self {
        Self {
            record,
            parameters: Some(parameters),
            key,
            owner: None,
            failures: 0,
            restarts: 0,
            note: None,
            past: Vec::new(),
        }
    }

    /// Writes another state, with the times that go with it (Q9).
    pub(crate) fn move_to(&mut self, state: State, now: Timestamp, command: Command) {
        match state {
            State::Queued => self.queue_again(now, command),
            _ if state.is_final() => {
                let record = &mut self.record;
                let earlier = record.started_at.unwrap_or(record.queued_at);
                record.finished_at = Some(not_before(now, earlier));
                record.error = error_of(command, state).map(str::to_owned);
                record.not_before = None;
                if state == State::Cancelled {
                    // Also where it was cancelled elsewhere: it never ran.
                    record.started_at = None;
                }
            }
            _ => {}
        }
        let record = &mut self.record;
        record.state = state;
        if command == Command::Start {
            record.attempt += 1;
            record.started_at = Some(not_before(now, record.queued_at));
            record.worker = None;
        }
        if !state.is_running() {
            self.owner = None;
            self.note = None;
        }
    }

    /// Keeps the attempt that is over, and lets the action wait for the next.
    fn queue_again(&mut self, now: Timestamp, command: Command) {
        let record = &mut self.record;
        let started_at = record.started_at.take().unwrap_or(record.queued_at);
        let mut past = PastAttempt {
            attempt: record.attempt,
            started_at,
            ended_at: not_before(now, started_at),
            ended: None,
            worker: None,
            error: None,
        };
        match command {
            Command::End(ended) => past.ended = Some(ended),
            Command::Retry => {
                let error = record.error.as_deref();
                past.ended_at = record.finished_at.take().unwrap_or(started_at);
                past.ended = outcome_of_error(error);
                past.worker.clone_from(&record.worker);
                past.error = error.map(|error| PastAttempt::cut(error).to_owned());
                (record.processing_ms, record.percent) = (0, 0.0);
                record.report.clear();
                (self.failures, self.restarts) = (0, 0);
            }
            _ => {
                record.worker = None;
                self.restarts += 1;
            }
        }
        self.past.push(past);
        if self.past.len() > PastAttempt::KEPT {
            self.past.remove(0);
        }
    }

    /// Returns the action as whoever runs it gets it.
    pub(crate) fn claimed(&self) -> Claimed {
        let Record { id, attempt, queued_at, started_at, priority, .. } = self.record;
        Claimed {
            priority,
            id,
            attempt,
            queued_at,
            started_at: started_at.unwrap_or(queued_at),
            // What runs has them.
            parameters: self.parameters.clone().unwrap_or_default(),
            failures: self.failures,
            restarts: self.restarts,
            taken_by: None,
        }
    }

    pub(crate) fn resumed(&self) -> Resumed {
        let (state, note) = (self.record.state, self.note.clone());
        let (figures, partial) = (None, Vec::new());
        Resumed { claimed: self.claimed(), state, note, figures, partial }
    }

    pub(crate) fn affected(&self, verdict: Verdict) -> Affected {
        let Record { id, attempt, queued_at, started_at, state, .. } = self.record;
        let ends = state.is_final() && verdict == Verdict::Move(state);
        let finished_at = self.record.finished_at.filter(|_| ends);
        let taken_by = None;
        Affected { id, attempt, queued_at, started_at, finished_at, state, verdict, taken_by }
    }
}

impl Queue {
    pub(crate) fn state(&self, id: QueueId) -> QueueState {
        QueueState { id, paused: self.paused, counts: self.counts() }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.rows.values().map(|row| row.record.state).collect()
    }

    /// Forgets the times that have come, before which actions must not start; returns true if there were any.
    pub(crate) fn let_due_start(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        for row in self.rows.values_mut() {
            let left = row.record.not_before.filter(|time| *time > now);
            any |= left != row.record.not_before;
            row.record.not_before = left;
        }
        any
    }

    /// Returns the number of actions that must not start yet.
    pub(crate) fn deferred(&self) -> u64 {
        self.rows.values().filter(|row| row.record.not_before.is_some()).count() as u64
    }

    /// Returns the time until the first of the actions may start that must not start yet.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<Duration> {
        let first = self.rows.values().filter_map(|row| row.record.not_before).min()?;
        u64::try_from(first.0.saturating_sub(now.0)).ok().map(Duration::from_millis)
    }

    /// Returns the actions that may start, the next to start first (Q8).
    pub(crate) fn waiting(&self) -> Vec<ActionId> {
        let waiting = self.rows.values().map(|row| &row.record);
        let waiting = waiting.filter(|r| r.state == State::Queued && r.not_before.is_none());
        let mut waiting: Vec<_> = waiting.map(|r| (Reverse(r.priority), r.id)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// Reads one action, with its place in the queue while it waits.
    pub(crate) fn record(&self, id: ActionId) -> Option<Record> {
        let mut record = self.rows.get(&id)?.record.clone();
        let before = self.waiting().into_iter().position(|waiting| waiting == id);
        let place = before.and_then(|before| u64::try_from(before + 1).ok());
        record.position = place.filter(|place| *place <= Record::MAX_POSITION);
        Some(record)
    }
}
