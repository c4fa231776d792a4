//! The runner of schedules: it looks for those that are due and queues their actions.
//!
//! The store decides, in the transaction that queues an action: whoever was too late is told so, and goes on with the next due
//! time. So several servers may look, and one that dies in the middle leaves nothing undone and nothing done twice.

mod missed;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actiond_actors::store::{ScheduleChange, ScheduleRefusal, ScheduleState, ScheduledFor};
use actiond_actors::{QueueError, QueueHandle, StoreError, Submitted, System, Timestamp};
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::definition::{CatchUp, Definition, Overlap, Schedule};
use super::entry::{Entry, millis};
use missed::is_late;

/// Maximum number of due times of one schedule that are done with at one look.
const AT_ONE_LOOK: usize = 60;
/// The times after which is tried again what has failed, at first and at most.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// A schedule as it stands: with its row, once it is known, and the queue of its last action.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) entry: Entry,
    pub(super) state: Option<ScheduleState>,
    pub(super) queue_of_last: Option<QueueHandle>,
}

/// The schedules of a server.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) system: System,
    /// Those of the kinds of action, which stay the same.
    of_kinds: Vec<Entry>,
    /// Those of `[Schedules]`.
    configured: ArcSwap<Vec<Entry>>,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// The time before which all that was due is missed: not after the present, so that a clock that is set back leaves nothing out.
    began: Timestamp,
    /// The schedules whose last try has failed, by their names in lower case.
    failed: HashMap<String, Failed>,
    /// Those that a reload has put there, or has given other times, and when: what was due before is none of theirs.
    replaced: HashMap<String, Timestamp>,
    /// Those of which it was said that they are over.
    over: HashSet<String>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    /// When it is tried again.
    until: Instant,
}

/// The next step for a schedule.
enum Next {
    /// Nothing, until somebody changes it.
    Never,
    At(Timestamp),
    /// To try again.
    After(Duration),
}

/// The course after a due time.
enum Went {
    On(ScheduleState),
    Next(Next),
}

impl Runner {
    pub(super) fn new(system: System, of_kinds: &[Schedule], configured: &[Schedule]) -> Self {
        let began = system.clock().now();
        let memory = Mutex::new(Memory {
            began,
            failed: HashMap::new(),
            replaced: HashMap::new(),
            over: HashSet::new(),
        });
        let of_kinds = of_kinds.iter().filter_map(|it| Entry::of(it, false)).collect();
        let runner = Self { system, of_kinds, configured: ArcSwap::default(), memory };
        runner.configure(entries(configured));
        runner
    }

    /// Puts other schedules in the place of those of `[Schedules]`.
    pub(super) fn replace(&self, configured: &[Schedule]) {
        let (entries, before, now) = (entries(configured), self.configured.load(), self.now());
        let is_as_before = |entry: &Entry| {
            before.iter().any(|before| {
                before.name.eq_ignore_ascii_case(&entry.name) && entry.has_times_of(before)
            })
        };
        let others = entries.iter().filter(|entry| !is_as_before(entry));
        let others: Vec<_> = others.map(|it| it.name.to_ascii_lowercase()).collect();
        {
            let mut memory = self.memory();
            let stays =
                |name: &str| entries.iter().any(|entry| entry.name.eq_ignore_ascii_case(name));
            memory.over.clear();
            memory.replaced.retain(|name, _| stays(name));
            memory.replaced.extend(others.into_iter().map(|name| (name, now)));
        }
        self.configure(entries);
    }

    fn configure(&self, entries: Vec<Entry>) {
        for Entry { name, definition: Definition { action, .. }, .. } in &entries {
            if self.system.queue(action).is_none() {
                log::warn!("schedule {name} has to wait for a restart: there is no queue {action}");
            }
        }
        self.configured.store(std::sync::Arc::new(entries));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.system.clock().now()
    }

    /// Reads all schedules, in the order of their names in lower case. Those of the configuration win over others of their names.
    pub(super) async fn known(&self) -> Result<Vec<Known>, StoreError> {
        let mut known = BTreeMap::new();
        let configured = self.configured.load();
        for entry in self.of_kinds.iter().chain(configured.iter()) {
            let new = Known { entry: entry.clone(), state: None, queue_of_last: None };
            known.insert(entry.name.to_ascii_lowercase(), new);
        }
        for (state, queue_of_last) in self.system.schedules().await? {
            let folded = state.name.to_ascii_lowercase();
            match known.get_mut(&folded) {
                Some(known) => {
                    (known.state, known.queue_of_last) = (Some(state), queue_of_last);
                }
                None => {
                    let entry = Entry::of_row(&state);
                    let new = entry
                        .map(|entry| (folded, Known { entry, state: Some(state), queue_of_last }));
                    known.extend(new);
                }
            }
        }
        Ok(known.into_values().collect())
    }

    /// Changes a schedule, through the queue of its action or any other.
    pub(super) async fn change(
        &self,
        entry: &Entry,
        change: ScheduleChange,
    ) -> Result<(), QueueError> {
        let queue = self.system.queue(&entry.definition.action);
        let queue = queue.or_else(|| self.system.queues().into_iter().next());
        queue.ok_or(QueueError::ShuttingDown)?.change_schedule(entry.name.as_str(), change).await
    }

    /// Makes the row of a schedule that has none: it is known from this time on.
    pub(super) async fn see(&self, known: &Known, at: Timestamp) -> Result<(), QueueError> {
        match known.state {
            Some(_) => Ok(()),
            None => self.change(&known.entry, ScheduleChange::See { at }).await,
        }
    }

    /// Queues the actions that are due, and returns when to look again at the latest; `None` if nothing will be due.
    pub(super) async fn look(&self) -> Option<Timestamp> {
        if self.system.is_draining() {
            return None;
        }
        let now = self.now();
        {
            let mut memory = self.memory();
            memory.began = memory.began.min(now);
        }
        let soon = |after: Duration| Some(Timestamp(now.0.saturating_add(millis(after))));
        let known = match self.known().await {
            Ok(known) => known,
            Err(error) => {
                log::debug!("the schedules can't be read: {error}");
                return soon(RETRY);
            }
        };
        let looks = known.iter().map(|known| self.look_at(known, now));
        let next = join_all(looks).await.into_iter().filter_map(|next| match next {
            Next::Never => None,
            Next::At(at) => Some(at),
            Next::After(after) => soon(after),
        });
        next.min()
    }

    async fn look_at(&self, known: &Known, now: Timestamp) -> Next {
        let Known { entry, state, queue_of_last } = known;
        let Some(state) = state else {
            if !entry.definition.enabled {
                return Next::Never;
            }
            // What others have seen before counts: it is read again.
            return match self.see(known, now).await {
                Ok(()) => Next::After(Duration::ZERO),
                Err(error) => self.failed(entry, &error),
            };
        };
        if !entry.definition.enabled {
            return self.turn_off(entry, state).await;
        }
        if !entry.is_active(state) {
            return Next::Never;
        }
        if state.passed == ScheduleState::ALL {
            return match self.change(entry, ScheduleChange::Begin { at: now }).await {
                Ok(()) => Next::After(Duration::ZERO),
                Err(error) => self.refused(entry, &error),
            };
        }
        let folded = entry.name.to_ascii_lowercase();
        let waits = self.memory().failed.get(&folded).map(|failed| failed.until);
        if let Some(left) = waits.map(|until| until.saturating_duration_since(Instant::now()))
            && !left.is_zero()
        {
            return Next::After(left);
        }
        let Some(queue) = self.system.queue(&entry.definition.action) else {
            log::debug!("schedule {}: there is no queue {}", entry.name, entry.definition.action);
            return Next::Never;
        };
        let mut state = state.clone();
        let replaced = self.memory().replaced.get(&folded).copied();
        if let Some(at) = replaced {
            // It may itself be due at that moment.
            let before = Timestamp(at.0.saturating_sub(1));
            if state.passed < before {
                match self.skip(entry, &queue, state, before).await {
                    Went::On(after) => state = after,
                    Went::Next(next) => return next,
                }
            }
            self.memory().replaced.remove(&folded);
        }
        let mut queue_of_last = queue_of_last.clone();
        for _ in 0..AT_ONE_LOOK {
            if !entry.is_active(&state) {
                return Next::Never;
            }
            let Some(due) = entry.timing.next_due(state.since, state.passed) else {
                if self.memory().over.insert(folded) {
                    log::warn!(
                        "schedule {} is over: its time has passed, and it will not be due any more",
                        entry.name
                    );
                }
                return Next::Never;
            };
            if entry.fires(due) > now {
                return Next::At(entry.fires(due));
            }
            let missed = self.missed(entry, &state, due, now);
            let went = match (missed, entry.definition.catch_up) {
                (Some(latest), CatchUp::None) if is_late(entry, latest, now) => {
                    log::info!("schedule {}: what was due and missed is left out", entry.name);
                    self.skip(entry, &queue, state, latest).await
                }
                (latest, _) => {
                    let due = latest.unwrap_or(due);
                    self.submit(entry, (&queue, queue_of_last.as_ref()), state, due).await
                }
            };
            match went {
                Went::On(after) => state = after,
                Went::Next(next) => return next,
            }
            if state.last.is_some_and(|last| last.queue == queue.store_id()) {
                queue_of_last = Some(queue.clone());
            }
        }
        Next::After(Duration::ZERO)
    }

    /// Leaves out what was due up to a time.
    async fn skip(
        &self,
        entry: &Entry,
        queue: &QueueHandle,
        state: ScheduleState,
        due: Timestamp,
    ) -> Went {
        match queue.change_schedule(entry.name.as_str(), ScheduleChange::Skip { due }).await {
            Ok(()) => Went::On(ScheduleState { passed: due, ..state }),
            Err(error) => Went::Next(self.refused(entry, &error)),
        }
    }

    /// Queues the action of a due time, if the one before it allows that.
    async fn submit(
        &self,
        entry: &Entry,
        (queue, queue_of_last): (&QueueHandle, Option<&QueueHandle>),
        state: ScheduleState,
        due: Timestamp,
    ) -> Went {
        let last =
            state.last.zip(queue_of_last).filter(|_| entry.definition.overlap != Overlap::Queue);
        if let Some((last, queue_of_last)) = last {
            let runs = match queue_of_last.status_within(last.id, 0).await {
                Ok(within) => !within.status.record.state.is_final(),
                // It is deleted, so it has ended.
                Err(QueueError::UnknownAction { .. }) => false,
                Err(error) => return Went::Next(self.failed(entry, &error)),
            };
            if runs && entry.definition.overlap == Overlap::Skip {
                log::info!("schedule {} is left out: its last action has not ended", entry.name);
                return self.skip(entry, queue, state, due).await;
            }
            if runs {
                match queue_of_last.stop(last.id).await {
                    // It has ended meanwhile.
                    Ok(_) | Err(QueueError::Refused(_) | QueueError::UnknownAction { .. }) => {}
                    Err(error) => return Went::Next(self.failed(entry, &error)),
                }
            }
        }
        let scheduled = ScheduledFor { schedule: entry.name.clone(), due, on_demand: false };
        match queue.submit(entry.submission().scheduled_for(scheduled.clone())).await {
            Ok(Submitted { id, .. }) => {
                self.memory().failed.remove(&entry.name.to_ascii_lowercase());
                log::info!("schedule {}: action {id} of {} is queued", entry.name, queue.name());
                Went::On(scheduled.queued(&state, queue.store_id(), id))
            }
            Err(error @ QueueError::NotTaken { .. }) => {
                log::warn!("schedule {} is left out: {error}", entry.name);
                self.skip(entry, queue, state, due).await
            }
            Err(error) => Went::Next(self.refused(entry, &error)),
        }
    }

    /// Says how it goes on after something was refused.
    fn refused(&self, entry: &Entry, error: &QueueError) -> Next {
        match error {
            // Another server has done it, or somebody has changed the schedule: it is read again.
            QueueError::Schedule(ScheduleRefusal::Passed) => Next::After(Duration::ZERO),
            QueueError::Schedule(_) | QueueError::ShuttingDown => Next::Never,
            error => self.failed(entry, error),
        }
    }

    /// Notes that something has failed, and says when it is tried again.
    fn failed(&self, entry: &Entry, error: &QueueError) -> Next {
        let mut memory = self.memory();
        let failed = memory
            .failed
            .entry(entry.name.to_ascii_lowercase())
            .or_insert(Failed { times: 0, until: Instant::now() });
        if failed.times == 0 {
            log::warn!("schedule {} is tried again later: {error}", entry.name);
        }
        let wait = RETRY.saturating_mul(1 << failed.times.min(10)).min(RETRY_AT_MOST);
        *failed = Failed { times: failed.times.saturating_add(1), until: Instant::now() + wait };
        Next::After(wait)
    }

    /// Queues an action of a schedule now, whatever is due.
    pub(super) async fn run_now(
        &self,
        known: &Known,
    ) -> Result<(QueueHandle, Submitted), QueueError> {
        let entry = &known.entry;
        let due = self.now();
        self.see(known, due).await?;
        let queue =
            self.system.queue(&entry.definition.action).ok_or_else(|| QueueError::Unavailable {
                reason: format!("there is no queue {}", entry.definition.action),
            })?;
        let scheduled = ScheduledFor { schedule: entry.name.clone(), due, on_demand: true };
        let submitted = queue.submit(entry.submission().scheduled_for(scheduled)).await?;
        Ok((queue, submitted))
    }
}

/// Makes schedules of the configuration.
fn entries(configured: &[Schedule]) -> Vec<Entry> {
    configured.iter().filter_map(|it| Entry::of(it, false)).collect()
}

#[cfg(test)]
mod tests;
