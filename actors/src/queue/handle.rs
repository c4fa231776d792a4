//! What users hold of a queue: plain calls that hide the actor, its address and its restarts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use tokio::sync::oneshot;

use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::clock::Clock;
use crate::key::SubmissionKey;
use crate::lifecycle::{Command, Ended, INTERRUPTED_BY_SHUTDOWN, Refusal, Verdict, decide};
use crate::perform::{ActionContext, Perform};
use crate::queue::{Change, Link, QueueActor, QueueLink, QueueSettings};
use crate::report::{Progress, Report, shallow};
use crate::store::query::{Cursor, PageLimit, Query};
use crate::store::{
    Affected, Control, Counts, NewAction, QueueId, Record, Rejected, Store, StoreError, Submitted,
};
use crate::system::WeakSystem;
use crate::worker::{Attempt, LiveView, Wish, outcome, start};

/// How long a call waits for a queue before it gives up waiting. The work goes on.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why a call to a queue did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no action of this id in the queue: there never was, or it is no longer kept.
    #[error("there is no action {id} in the queue")]
    UnknownAction {
        /// The id.
        id: ActionId,
    },
    /// The action's state does not allow it; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The queue holds as many waiting actions as it may; nothing was changed.
    #[error("the queue is full: {limit} {} waiting", if *limit == 1 { "action is" } else { "actions are" })]
    QueueFull {
        /// How many may wait.
        limit: u64,
    },
    /// Something else was submitted before under the same key, and is still kept; nothing was changed.
    #[error("something else was submitted under the same key before")]
    KeyTaken,
    /// The server shuts down and takes nothing new.
    #[error("the server is shutting down and takes no new actions")]
    ShuttingDown,
    /// The queue can't be used now.
    #[error("the queue is not available: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The answer was lost or late: whether the change was made must be looked up.
    #[error("the queue gave no answer in time; whether it did what was asked is not known")]
    NoAnswer,
    /// The store could not read or keep it; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An action to be queued.
///
/// ```
/// use actiond_actors::{Parameters, Submission};
/// let submission = Submission::new(Parameters::from_iter([("Name", "Ada")])).priority(10);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Submission {
    parameters: Parameters,
    priority: i32,
    key: Option<SubmissionKey>,
}

impl Submission {
    /// An action with these parameters, priority 0 and no key.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// Sets the priority; the higher one starts first, equal ones in order of arrival.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets a key: the same submission may be sent again under it and gets the first one's id, as
    /// long as that action is kept. Another one under it is refused ([`QueueError::KeyTaken`]). What is the
    /// same: [`SubmissionKey::is_repeat`]; the priority does not count.
    #[must_use]
    pub fn key(mut self, key: impl Into<SubmissionKey>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// How many actions a queue holds, and whether it is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Whether the queue starts nothing for now.
    pub paused: bool,
    /// How many actions are in each state.
    pub counts: Counts,
}

/// An action as it stands: the stored row, with the live figures laid over it while it runs.
#[derive(Debug, Clone)]
pub struct ActionStatus {
    /// The row; its report is the partial result while it runs.
    pub record: Record,
    /// How far it has come. An action that Finished is at 100 %.
    pub progress: Progress,
    /// How long it has worked, pauses left out.
    pub processing: Duration,
}

impl ActionStatus {
    fn new(mut record: Record, live: Option<LiveView>) -> Self {
        if let Some(live) = live {
            record.report = live.partial;
            return Self { record, progress: live.progress, processing: live.processing };
        }
        let millis = u64::try_from(record.processing_ms).unwrap_or_default();
        Self {
            progress: Progress::of_percent(record.percent),
            processing: Duration::from_millis(millis),
            record,
        }
    }

    /// Returns how long the action waited or has waited, as of `now`.
    #[must_use]
    pub fn in_queue(&self, now: Timestamp) -> Duration {
        let record = &self.record;
        // One that was cancelled waited until then; one that waits, until now.
        let until = record.started_at.or(record.finished_at).unwrap_or(now);
        let millis = until.0.saturating_sub(record.queued_at.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}

/// How an action that was run at once ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// [`State::Finished`], [`State::Error`] or [`State::Stopped`].
    pub state: State,
    /// Why it failed, or that a shutdown interrupted it.
    pub error: Option<String>,
    /// Its result, or what there is of it.
    pub report: Report,
}

/// A queue, as its users hold it. Cheap to clone; it stays valid while the queue's actor is rebuilt.
#[derive(Clone)]
pub struct QueueHandle {
    pub(crate) shared: QueueLink,
    pub(crate) id: QueueId,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) performer: Arc<dyn Perform>,
    pub(crate) system: WeakSystem,
}

impl fmt::Debug for QueueHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueHandle").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl QueueHandle {
    /// Returns the queue's name, as it was given when it was built.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// Returns how the queue works.
    #[must_use]
    pub fn settings(&self) -> &QueueSettings {
        self.shared.settings()
    }

    /// Returns how many actions the queue holds, from memory: it may be a moment behind what
    /// [`QueueHandle::status`] shows.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let (counts, paused) = self.shared.counts();
        Summary { paused, counts }
    }

    /// Reads how many actions the queue holds; never behind what was shown or acknowledged before.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn read_summary(&self) -> Result<Summary, QueueError> {
        let state = self.store.queue_state(self.id).await?;
        Ok(Summary { paused: state.paused, counts: state.counts })
    }

    /// Returns how many late reports of earlier attempts were dropped.
    #[must_use]
    pub fn dropped_reports(&self) -> u64 {
        self.shared.dropped_reports()
    }

    /// Queues an action. Once it returns `Ok`, the action survives a crash (Q2).
    ///
    /// # Errors
    ///
    /// [`QueueError::QueueFull`], [`QueueError::KeyTaken`], [`QueueError::ShuttingDown`], [`QueueError::Store`] and
    /// [`QueueError::Unavailable`]: it was not queued. [`QueueError::NoAnswer`]: it may have been.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, QueueError> {
        let Submission { parameters, priority, key } = submission;
        let queued_at = self.clock.now();
        self.send_submission(NewAction::Given { parameters, priority, key, queued_at }).await
    }

    /// Queues a copy of an action that has not ended, with its parameters and priority.
    ///
    /// # Errors
    ///
    /// As [`QueueHandle::submit`], and [`QueueError::UnknownAction`] and [`QueueError::Refused`].
    pub async fn duplicate(&self, id: ActionId) -> Result<Submitted, QueueError> {
        let queued_at = self.clock.now();
        self.send_submission(NewAction::CopyOf { id, queued_at }).await
    }

    /// Takes an action from the queue before it ever runs (Q6). Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it runs or has ended, or the store's.
    pub async fn cancel(&self, id: ActionId) -> Result<State, QueueError> {
        self.command(id, Command::Cancel).await
    }

    /// Ends an action wherever it stands: cancels it while it waits, asks it to stop while it runs,
    /// forces it if it was asked before. Returns its state: the end itself comes later, and is
    /// [`State::Stopped`] only where the work ended because of it.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it ended by itself, or the store's.
    pub async fn stop(&self, id: ActionId) -> Result<State, QueueError> {
        self.command(id, Command::Stop).await
    }

    /// Gives an action another priority while it waits. Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it does not wait, or the store's.
    pub async fn change_priority(&self, id: ActionId, priority: i32) -> Result<State, QueueError> {
        self.command(id, Command::ChangePriority(priority)).await
    }

    /// Holds a running action; it keeps its slot. Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it does not run or its kind can't
    /// pause, or the store's.
    pub async fn pause(&self, id: ActionId) -> Result<State, QueueError> {
        self.command(id, Command::Pause { supported: self.performer.can_pause() }).await
    }

    /// Lets a paused action go on, even while the queue is paused. Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it does not run, or the store's.
    pub async fn resume(&self, id: ActionId) -> Result<State, QueueError> {
        self.command(id, Command::Resume).await
    }

    /// Pauses the queue, durably: nothing starts any more (Q12), and what runs pauses if it can.
    /// Returns the actions that were paused.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`].
    pub async fn pause_queue(&self) -> Result<Vec<ActionId>, QueueError> {
        let supported = self.performer.can_pause();
        self.send_control(Control::PauseQueue { supported }, None).await.map(ids)
    }

    /// Resumes the queue and every paused action. Returns those actions.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`].
    pub async fn resume_queue(&self) -> Result<Vec<ActionId>, QueueError> {
        let affected = self.send_control(Control::ResumeQueue, None).await?;
        Ok(ids(affected.into_iter().filter(|a| a.verdict != Verdict::Stay).collect()))
    }

    /// Stops all that runs, and forces what was asked to stop before. Returns those actions.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`].
    pub async fn stop_all(&self) -> Result<Vec<ActionId>, QueueError> {
        self.send_control(Control::StopAll, None).await.map(ids)
    }

    /// Returns how an action stands.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn status(&self, id: ActionId) -> Result<ActionStatus, QueueError> {
        let record = self.store.record(self.id, id).await?;
        record.map(|r| self.with_live(r)).ok_or(QueueError::UnknownAction { id })
    }

    /// Returns how an action stands as soon as it has ended, or once `patience` is over or the system closes:
    /// then all that ran has been recorded, and the store is not closed before this has read it. A system that
    /// is dropped without a shutdown records nothing: then this returns how the action stood.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn wait(&self, id: ActionId, patience: Duration) -> Result<ActionStatus, QueueError> {
        let until = tokio::time::Instant::now().checked_add(patience);
        // Held up to the last look: the store stays open for it.
        let closing = self.shared.closing();
        loop {
            // Registered before the look, so an end between the two is not missed.
            let mut waiter = self.shared.waiter(id);
            let is_last = *closing.borrow();
            let status = self.status(id).await;
            let over = is_last || until.is_some_and(|until| until <= tokio::time::Instant::now());
            if over || status.as_ref().map_or(true, |s| s.record.state.is_final()) {
                return status;
            }
            match until {
                // In time or not, the next look tells.
                Some(until) => drop(tokio::time::timeout_at(until, waiter.woken()).await),
                None => waiter.woken().await,
            }
        }
    }

    /// Returns an action's state and, unless it has ended, what it was given.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn parameters(
        &self,
        id: ActionId,
    ) -> Result<(State, Option<Parameters>), QueueError> {
        let state = self.status(id).await?.record.state;
        let shown = matches!(decide(state, Command::ReadParameters), Ok(Verdict::Stay));
        let parameters = if shown { self.store.parameters(self.id, id).await? } else { None };
        Ok((state, parameters))
    }

    /// Begins a listing with the action at `start` (from 0) in the order of the query.
    #[must_use]
    pub fn list(&self, query: Query, start: u64) -> Listing {
        Listing { queue: self.clone(), query, cursor: Some(Cursor::start(start)), damage: None }
    }

    /// Runs an action at once, without a queue, a slot or a record of it. If the returned future is
    /// dropped, the work is asked to stop, and forced after the grace period; so it is by a shutdown,
    /// which gives it time to end first.
    ///
    /// # Errors
    ///
    /// [`QueueError::ShuttingDown`].
    pub async fn run_now(&self, parameters: Parameters) -> Result<RunOutcome, QueueError> {
        self.run_now_until(parameters, std::future::pending(), ()).await
    }

    /// Runs an action as [`QueueHandle::run_now`] does, and asks it to stop once `until` is ready; then this returns how it
    /// ended all the same. `held` is let go of once the work has really ended, also where the returned future was dropped
    /// before, so a permit in it bounds how many run.
    ///
    /// # Errors
    ///
    /// [`QueueError::ShuttingDown`].
    pub async fn run_now_until(
        &self,
        parameters: Parameters,
        until: impl Future<Output = ()>,
        held: impl Send + 'static,
    ) -> Result<RunOutcome, QueueError> {
        let system = self.system.upgrade().ok_or(QueueError::ShuttingDown)?;
        let admitted = system.admit().ok_or(QueueError::ShuttingDown)?;
        let attempt = Arc::new(Attempt::new(
            None,
            1,
            self.shared.name_shared(),
            parameters,
            self.performer.on_restart(),
        ));
        let asked = StopOnDrop(Arc::clone(&attempt));
        let context = ActionContext { attempt: Arc::clone(&attempt), system: system.clone() };
        let work = start(Arc::clone(&self.performer), context, held);
        let work = async { Ok(shallow(work.await?)?) };
        let grace = self.settings().stop_grace;
        let work = admitted.run(Arc::clone(&attempt), grace, work);
        let mut running = system.executor().spawn(work);
        let result = tokio::select! {
            biased;
            result = &mut running => result,
            () = until => {
                attempt.ask(Wish::Stop);
                running.await
            }
        };
        if matches!(&result, Err(error) if error.is_cancelled()) && attempt.wish() < Wish::Stop {
            // Only the end of the whole system cuts off what nobody asked to stop.
            attempt.interrupt();
        }
        let (ended, mut error, report) = outcome(&attempt, result);
        let state = match ended {
            Ended::Finished => State::Finished,
            Ended::Failed => State::Error,
            Ended::Stopped => State::Stopped,
            Ended::Interrupted(_) => {
                error = Some(INTERRUPTED_BY_SHUTDOWN.to_owned());
                State::Stopped
            }
        };
        drop(asked);
        Ok(RunOutcome { state, error, report: report.unwrap_or_else(|| attempt.view().partial) })
    }

    /// Lets the queue's actor die as a bug would make it; what its guardian does then is under test.
    #[cfg(feature = "testing")]
    pub fn crash_actor(&self) {
        self.shared.tell(crate::queue::Crash);
    }

    /// Lets the worker of a slot die as a bug would make it: it is told at once, and has been heard to die once
    /// what is returned is ready. Slots count from 0, in the order in which they were first needed; one that has
    /// no worker yet has none to die.
    #[cfg(feature = "testing")]
    pub fn crash_worker(&self, slot: usize) -> impl Future<Output = ()> + use<> {
        let dies = self.shared.crash_worker(slot);
        async { drop(dies.await) }
    }

    fn with_live(&self, record: Record) -> ActionStatus {
        let live = if record.state.is_running() {
            self.shared
                .attempt(record.id)
                .filter(|attempt| attempt.number() == record.attempt)
                .map(|attempt| attempt.view())
        } else {
            None
        };
        ActionStatus::new(record, live)
    }

    async fn command(&self, id: ActionId, command: Command) -> Result<State, QueueError> {
        let affected = self.send_control(Control::Command { id, command }, Some(id)).await?;
        affected.first().map(|action| action.state).ok_or(QueueError::UnknownAction { id })
    }

    async fn send_submission(&self, new: NewAction) -> Result<Submitted, QueueError> {
        let id = match &new {
            NewAction::CopyOf { id, .. } => Some(*id),
            NewAction::Given { .. } => None,
        };
        let (reply, answer) = oneshot::channel();
        let mut submission = (new, reply);
        while let Err(back) = self.shared.submit(submission.0, submission.1) {
            submission = back;
            self.actor().await?;
        }
        self.answer(answer, id).await
    }

    async fn send_control(
        &self,
        control: Control,
        id: Option<ActionId>,
    ) -> Result<Vec<Affected>, QueueError> {
        let (reply, answer) = oneshot::channel();
        self.actor().await?.do_send(Change { control, reply });
        self.answer(answer, id).await
    }

    async fn answer<T>(
        &self,
        answer: oneshot::Receiver<Result<T, Rejected>>,
        id: Option<ActionId>,
    ) -> Result<T, QueueError> {
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(rejected))) => Err(self.error(rejected, id)),
            Ok(Err(_)) | Err(_) => Err(QueueError::NoAnswer),
        }
    }

    fn error(&self, rejected: Rejected, id: Option<ActionId>) -> QueueError {
        match (rejected, id) {
            (Rejected::Unknown | Rejected::Stale, Some(id)) => QueueError::UnknownAction { id },
            (Rejected::Unknown | Rejected::Stale, None) => QueueError::NoAnswer,
            (Rejected::Refused(refusal), _) => QueueError::Refused(refusal),
            (Rejected::QueueFull, _) => {
                QueueError::QueueFull { limit: self.settings().max_queue_size.unwrap_or_default() }
            }
            (Rejected::KeyTaken, _) => QueueError::KeyTaken,
            (Rejected::ShuttingDown, _) => QueueError::ShuttingDown,
            (Rejected::Store(error), _) => QueueError::Store(error),
        }
    }

    /// Returns the queue's actor, waiting a while for the next one where it has died.
    async fn actor(&self) -> Result<Addr<QueueActor>, QueueError> {
        if let Some(address) = self.shared.address() {
            return Ok(address);
        }
        if self.system.upgrade().is_none_or(|system| system.has_ended()) {
            return Err(QueueError::ShuttingDown);
        }
        let mut link = self.shared.watch();
        let settled = link.wait_for(|link| match link {
            Link::Starting => false,
            Link::Up(_) => self.shared.inbox().is_open(),
            Link::Down(_) => true,
        });
        // The sender lives in the queue, so waiting can only take too long.
        let reason = match tokio::time::timeout(DEADLINE, settled)
            .await
            .ok()
            .and_then(Result::ok)
            .as_deref()
        {
            Some(Link::Up(address)) => return Ok(address.clone()),
            Some(Link::Down(reason)) => reason.clone(),
            Some(Link::Starting) | None => "it is being restarted".to_owned(),
        };
        Err(QueueError::Unavailable { reason })
    }
}

fn ids(affected: Vec<Affected>) -> Vec<ActionId> {
    affected.into_iter().map(|action| action.id).collect()
}

/// Asks work that runs without a queue to stop when nobody waits for it any more.
struct StopOnDrop(Arc<Attempt>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.ask(Wish::Stop);
    }
}

/// The next action of a listing alone is larger than a page was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The size of its result and its error in bytes, as they are stored.
    pub bytes: usize,
}

/// A listing under way. Each page is a snapshot of its own, so that a long list holds up nobody:
/// an action that changes its place meanwhile may be missing or come twice.
#[derive(Debug, Clone)]
pub struct Listing {
    queue: QueueHandle,
    query: Query,
    cursor: Option<Cursor>,
    damage: Option<StoreError>,
}

impl Listing {
    /// Returns the next actions, at most `limit`, and fewer where they are large or the last; none only
    /// at the end. After an error it can be asked again.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn next_page(&mut self, limit: usize) -> Result<Vec<ActionStatus>, QueueError> {
        let mut limit = PageLimit::from(limit);
        loop {
            match self.next_page_within(limit).await? {
                Ok(page) => return Ok(page),
                Err(TooLarge { bytes }) => limit.bytes = bytes,
            }
        }
    }

    /// Returns the next actions as [`Listing::next_page`] does, but never more than the limit allows of what is stored:
    /// where the next action alone is larger, this says so and reads nothing of it.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn next_page_within(
        &mut self,
        limit: PageLimit,
    ) -> Result<Result<Vec<ActionStatus>, TooLarge>, QueueError> {
        let queue = &self.queue;
        let (mut cursor, mut left, mut listed) = (self.cursor, limit, Vec::new());
        // The store may stop early, so that other lists have their turn before this one goes on.
        while let Some(from) = cursor
            && left.actions > 0
        {
            let page = queue.store.page(queue.id, self.query.clone(), from, left).await?;
            left.actions = left.actions.saturating_sub(page.records.len());
            left.bytes = left.bytes.saturating_sub(page.bytes);
            listed.extend(page.records.into_iter().map(|record| queue.with_live(record)));
            cursor = page.next;
            self.damage = self.damage.take().or(page.damage);
            match page.too_large {
                Some(bytes) if listed.is_empty() => {
                    self.cursor = cursor;
                    return Ok(Err(TooLarge { bytes }));
                }
                Some(_) => break,
                None => {}
            }
        }
        self.cursor = cursor;
        Ok(Ok(listed))
    }

    /// Returns why actions may be missing from the pages so far: what could not be read of a damaged database is
    /// passed over. The first reason of several.
    #[must_use]
    pub const fn damage(&self) -> Option<&StoreError> {
        self.damage.as_ref()
    }

    /// Whether there may be another page.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.cursor.is_some()
    }

    /// Returns an action's parameters, for listings that show them.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn parameters(
        &self,
        id: ActionId,
    ) -> Result<(State, Option<Parameters>), QueueError> {
        self.queue.parameters(id).await
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::system::System;
    use crate::testing::{Gate, Plan, Script, eventually};

    #[tokio::test]
    async fn who_gives_up_a_wait_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let gate = Gate::new();
        let system = System::builder(directory.path())
            .queue("Work", QueueSettings::default(), Script::always(Plan::Wait(gate.clone())))
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        let id = work.submit(Submission::default()).await.unwrap().id;
        for given_up in [true, false] {
            let mut waits = Box::pin(work.wait(id, Duration::MAX));
            eventually("it waits", async || {
                assert!(waits.as_mut().now_or_never().is_none());
                work.shared.has_waiters()
            })
            .await;
            if given_up {
                drop(waits);
            } else {
                gate.open();
                assert_eq!(waits.await.unwrap().record.state, State::Finished);
            }
            assert!(!work.shared.has_waiters());
        }
    }

    /// Its address is published until its guardian hears of its death: what is sent to it would be lost.
    #[tokio::test]
    async fn a_command_waits_for_the_next_actor_as_soon_as_one_has_died() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::builder(directory.path())
            .queue("Work", QueueSettings::default(), Script::always(Plan::Finish(Vec::new())))
            .start()
            .await
            .unwrap();
        let work = system.queue("Work").unwrap();
        // The first that its death does.
        work.shared.inbox().close();
        let mut paused = pin!(work.pause_queue());
        let mut submitted = pin!(work.submit(Submission::default()));
        assert!(paused.as_mut().now_or_never().is_none());
        assert!(submitted.as_mut().now_or_never().is_none());
        work.crash_actor();
        assert_eq!(paused.await, Ok(Vec::new()));
        assert!(submitted.await.is_ok());
    }
}
