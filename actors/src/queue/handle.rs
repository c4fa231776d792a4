//! The handle of a queue: plain calls that hide the actor, its address and its restarts.
//!
//! Each call gets one answer or an error; a change that may have been made is [`QueueError::NoAnswer`] (Q11).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use crate::action::{ActionId, Parameters, State};
use crate::clock::Clock;
use crate::lifecycle::{Command, OnRestart, Refusal, Verdict};
use crate::perform::Perform;
use crate::queue::within::shows_parameters;
use crate::queue::{
    ActionStatus, Change, Link, Load, LookAgain, QueueActor, QueueError, QueueLink, QueueSettings,
    RelayedCommand, Submission, Summary, Target,
};
use crate::store::{
    Affected, Control, NewAction, PastAttempt, QueueId, Record, Rejected, ScheduleChange, Site,
    SiteId, Store, Submitted,
};
use crate::system::WeakSystem;
use crate::worker::Attempt;

/// Time that a call waits for its answer. The change may still be made after it.
const DEADLINE: Duration = Duration::from_secs(30);

/// Time that a command waits until an attempt is here that was taken over for it, and between two looks for it.
const HERE_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A queue, for its callers: submits and commands actions, and reads them. Got from [`System::queue`](crate::System::queue).
///
/// Cheap to clone. It stays valid while the queue's actor is rebuilt. A change has been made durable when a call returns
/// `Ok` (Q2).
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
        let Summary { paused, counts } = self.summary();
        let mut shown = f.debug_struct("QueueHandle");
        shown.field("name", &self.name()).field("counts", &format_args!("{counts}"));
        if paused {
            shown.field("paused", &true);
        }
        shown.finish_non_exhaustive()
    }
}

impl QueueHandle {
    /// Returns the queue's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// Returns the number of the queue in its store.
    #[must_use]
    pub const fn store_id(&self) -> QueueId {
        self.id
    }

    /// Returns the name, host and port of a server that an action of this queue has named.
    #[must_use]
    pub fn site(&self, id: SiteId) -> Option<Arc<Site>> {
        self.store.site(id)
    }

    /// Returns the queue's settings as they are now.
    #[must_use]
    pub fn settings(&self) -> Arc<QueueSettings> {
        Arc::clone(&self.shared.settings())
    }

    /// Replaces the queue's settings while it runs.
    ///
    /// More slots are used at once. With fewer, what runs goes on, and nothing starts until less runs than they allow. What is
    /// no longer kept is deleted soon, in small steps. Attempts that run keep their time limit and their policy of further
    /// attempts.
    pub fn set_settings(&self, settings: QueueSettings) {
        self.shared.set_settings(settings);
        if let Some(system) = self.system.upgrade() {
            system.find_handlers(&self.shared);
            system.show_slots();
        }
    }

    /// Returns the counts of the queue's actions from memory. They may be a moment behind [`QueueHandle::status`].
    #[must_use]
    pub fn summary(&self) -> Summary {
        let (counts, paused) = self.shared.counts();
        Summary { paused, counts }
    }

    /// Returns the load of the queue on this server, from memory.
    #[must_use]
    pub fn load(&self) -> Load {
        self.shared.load()
    }

    /// Reads the counts of the queue's actions from the store. They are never behind what was shown or acknowledged before.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn read_summary(&self) -> Result<Summary, QueueError> {
        let state = self.store.queue_state(self.id).await?;
        Ok(Summary { paused: state.paused, counts: state.counts })
    }

    /// Returns the number of late reports by earlier attempts, which were dropped (Q14).
    #[must_use]
    pub fn dropped_reports(&self) -> u64 {
        self.shared.dropped_reports()
    }

    /// Queues an action. Once this returns `Ok`, the action survives a crash (Q2).
    ///
    /// # Errors
    ///
    /// [`QueueError::NotTaken`], [`QueueError::QueueFull`], [`QueueError::KeyTaken`], [`QueueError::Schedule`], [`QueueError::ShuttingDown`],
    /// [`QueueError::Store`] and [`QueueError::Unavailable`]: it was not queued. [`QueueError::NoAnswer`]: it may have been.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, QueueError> {
        let Submission { parameters, priority, key, not_before, origin } = submission;
        self.check(&parameters)?;
        let queued_at = self.clock.now();
        let origin = (!origin.is_empty()).then(|| Box::new(origin));
        let new = NewAction::Given { parameters, priority, key, not_before, queued_at, origin };
        self.send_submission(new).await
    }

    /// Queues a copy of an action, with its parameters and priority. It may have ended, if its parameters are kept.
    ///
    /// # Errors
    ///
    /// As for [`QueueHandle::submit`], and [`QueueError::UnknownAction`] and [`QueueError::Refused`].
    pub async fn duplicate(&self, id: ActionId) -> Result<Submitted, QueueError> {
        let queued_at = self.clock.now();
        self.send_submission(NewAction::CopyOf { id, queued_at }).await
    }

    /// Cancels a queued action: it never starts (Q6). Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it runs or has ended, or the store's.
    pub async fn cancel(&self, action: impl Into<Target>) -> Result<State, QueueError> {
        self.command_or_relay(action.into(), Command::Cancel, RelayedCommand::Cancel).await
    }

    /// Starts the next attempt at an action as soon as there is a slot: one that waits for a time no longer does, and one that
    /// has ended in Error is queued again, with all of its attempts before it. Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it runs or has ended otherwise, or the store's.
    pub async fn retry(&self, action: impl Into<Target>) -> Result<State, QueueError> {
        self.command(action.into(), Command::Retry).await
    }

    /// Deletes an action that has ended, with all that is kept of it. Returns the state in which it was.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it has not ended, or the store's.
    pub async fn delete(&self, action: impl Into<Target>) -> Result<State, QueueError> {
        self.command(action.into(), Command::Delete).await
    }

    /// Returns the past attempts of an action, oldest first, without the one that ended it: see [`Store::history`].
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn history(&self, id: ActionId) -> Result<Vec<PastAttempt>, QueueError> {
        Ok(self.store.history(self.id, id).await?)
    }

    /// Makes the queue look whether it can start something, because what its performer waited for is there
    /// ([`Perform::demand`]). The returned future is ready once it has looked and what it claimed by that is durable; it need
    /// not be awaited.
    pub fn look_again(&self) -> impl Future<Output = ()> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        self.shared.tell(LookAgain(reply));
        // An actor that has died has looked at nothing; the next one looks when it starts.
        answer.map(drop)
    }

    /// Takes an attempt over whose work is done elsewhere, from the server that runs it: who does the work talks to this server
    /// now. Nothing changes if that attempt does not run, if it runs here, or its kind is not of
    /// [`OnRestart::Resume`](crate::OnRestart::Resume).
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`].
    pub async fn take_over(&self, id: ActionId, attempt: u32) -> Result<(), QueueError> {
        let on_restart = self.settings().on_restart.unwrap_or_else(|| self.performer.on_restart());
        let is_here = self.shared.slots().attempt(id).is_some_and(|a| a.number() == attempt);
        if on_restart != OnRestart::Resume || is_here || !self.store.has_peers() {
            return Ok(());
        }
        match self.send_control(Control::TakeOver { id, attempt }, Some(id)).await {
            Ok(_) | Err(QueueError::UnknownAction { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Changes a schedule, in a transaction with what this queue has to write. Once this returns `Ok`, the change survives a crash.
    ///
    /// # Errors
    ///
    /// [`QueueError::Schedule`], [`QueueError::Store`], [`QueueError::ShuttingDown`] and [`QueueError::Unavailable`]: nothing was
    /// changed. [`QueueError::NoAnswer`]: it may have been.
    pub async fn change_schedule(
        &self,
        name: impl Into<String>,
        change: ScheduleChange,
    ) -> Result<(), QueueError> {
        let control = Control::Schedule { name: name.into(), change };
        self.send_control(control, None).await.map(drop)
    }

    /// Keeps a note with an attempt that runs.
    pub(crate) async fn keep_note(
        &self,
        id: ActionId,
        attempt: u32,
        note: String,
    ) -> Result<(), QueueError> {
        let (bytes, limit) = (note.len(), Control::MAX_NOTE);
        if bytes > limit {
            return Err(QueueError::NoteTooLong { bytes, limit });
        }
        self.send_control(Control::Note { id, attempt, note }, Some(id)).await.map(drop)
    }

    /// Stops an action: cancels it while it waits, asks it to stop while it runs, forces it if it was asked before. Returns
    /// its state. The end itself comes later, and is [`State::Stopped`] only if the work ended because of this call.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it has ended by itself, or the store's.
    pub async fn stop(&self, action: impl Into<Target>) -> Result<State, QueueError> {
        self.command(action.into(), Command::Stop).await
    }

    /// Changes the priority of a queued action. Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it does not wait, or the store's.
    pub async fn change_priority(
        &self,
        action: impl Into<Target>,
        priority: i32,
    ) -> Result<State, QueueError> {
        let relayed = RelayedCommand::ChangePriority(priority);
        self.command_or_relay(action.into(), Command::ChangePriority(priority), relayed).await
    }

    /// Pauses a running action; it keeps its slot. Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it does not run or its kind can't
    /// pause, or the store's.
    pub async fn pause(&self, action: impl Into<Target>) -> Result<State, QueueError> {
        self.command(action.into(), Command::Pause { supported: self.performer.can_pause() }).await
    }

    /// Resumes a paused action, even while the queue is paused. Returns its state.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`], [`QueueError::Refused`] if it does not run, or the store's.
    pub async fn resume(&self, action: impl Into<Target>) -> Result<State, QueueError> {
        self.command(action.into(), Command::Resume).await
    }

    /// Pauses the queue: nothing starts any more, also after a restart of the server (Q12), and running actions pause if
    /// their kind can. Returns the actions that were paused.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`].
    pub async fn pause_queue(&self) -> Result<Vec<ActionId>, QueueError> {
        let supported = self.performer.can_pause();
        self.send_control(Control::PauseQueue { supported }, None).await.map(ids)
    }

    /// Resumes the queue and every paused action (Q13). Returns those actions.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`].
    pub async fn resume_queue(&self) -> Result<Vec<ActionId>, QueueError> {
        let affected = self.send_control(Control::ResumeQueue, None).await?;
        Ok(ids(affected.into_iter().filter(|a| a.verdict != Verdict::Stay).collect()))
    }

    /// Stops every running action, and forces those that were asked to stop before. Returns them.
    ///
    /// # Errors
    ///
    /// The store's, or [`QueueError::Unavailable`].
    pub async fn stop_all(&self) -> Result<Vec<ActionId>, QueueError> {
        self.send_control(Control::StopAll, None).await.map(ids)
    }

    /// Returns an action's status.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn status(&self, id: ActionId) -> Result<ActionStatus, QueueError> {
        let record = self.store.record(self.id, id).await?;
        record.map(|r| self.with_live(r)).ok_or(QueueError::UnknownAction { id })
    }

    /// Waits until an action has ended, or `patience` is over, or the system closes. Returns its status.
    ///
    /// A shutdown records all that ran, and closes the store only after this call has read it. A system that is dropped
    /// without a shutdown records nothing: then this returns the last status.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn wait(&self, id: ActionId, patience: Duration) -> Result<ActionStatus, QueueError> {
        self.wait_within(id, patience, usize::MAX).await.map(|within| within.status)
    }

    /// Returns an action's state and, unless it has ended, its parameters; with `of_ended` also those of an action that has ended,
    /// if they are kept.
    ///
    /// # Errors
    ///
    /// [`QueueError::UnknownAction`] or the store's.
    pub async fn parameters(
        &self,
        id: ActionId,
        of_ended: bool,
    ) -> Result<(State, Option<Parameters>), QueueError> {
        let state = self.status(id).await?.record.state;
        let shown = shows_parameters(state, of_ended);
        let parameters = if shown { self.store.parameters(self.id, id).await? } else { None };
        Ok((state, parameters))
    }

    /// Returns the last lines that the running attempt of this status has logged ([`ActionContext::log`]), the oldest first.
    /// There are none once it has ended.
    ///
    /// [`ActionContext::log`]: crate::ActionContext::log
    #[must_use]
    pub fn log_of(&self, status: &ActionStatus) -> Vec<Arc<str>> {
        if let Some(attempt) = self.live_attempt(&status.record) {
            return attempt.log_lines();
        }
        let shown = status.record.figures.as_ref();
        shown
            .map(|figures| figures.log.iter().map(|line| line.as_str().into()).collect())
            .unwrap_or_default()
    }

    /// Makes the queue's actor panic, for tests of its guardian.
    #[cfg(feature = "testing")]
    pub fn crash_actor(&self) {
        self.shared.tell(crate::queue::Crash);
    }

    /// Makes the worker of a slot panic, for tests. It is told at once, and has died once the returned future is ready.
    /// Slots count from 0, in the order in which they were first needed. Does nothing for a slot without a worker.
    #[cfg(feature = "testing")]
    pub fn crash_worker(&self, slot: usize) -> impl Future<Output = ()> + use<> {
        let dies = self.shared.slots().crash_worker(slot);
        async { drop(dies.await) }
    }

    /// Asks the kind of action whether it takes one with these parameters.
    pub(super) fn check(&self, parameters: &Parameters) -> Result<(), QueueError> {
        self.performer
            .refusal(parameters)
            .map_or(Ok(()), |reason| Err(QueueError::NotTaken { reason }))
    }

    /// Lays the figures of the running attempt over the stored row.
    pub(super) fn with_live(&self, record: Record) -> ActionStatus {
        let live = self.live_attempt(&record).map(|attempt| attempt.view());
        ActionStatus::new(record, live, &*self.clock)
    }

    /// Returns the running attempt that this record shows, if it shows one.
    pub(super) fn live_attempt(&self, record: &Record) -> Option<Arc<Attempt>> {
        let is_running = record.state.is_running();
        let attempt = if is_running { self.shared.slots().attempt(record.id) } else { None };
        attempt.filter(|attempt| attempt.number() == record.attempt)
    }

    /// Gives a command to an action. If it runs, or waits, elsewhere, the place where it is done decides.
    async fn command_or_relay(
        &self,
        action: Target,
        command: Command,
        relayed: RelayedCommand,
    ) -> Result<State, QueueError> {
        match self.command(action, command).await {
            Err(QueueError::Refused(refused)) if self.is_relayed_in(refused.state) => {
                self.pass_on(action.id, relayed, refused).await
            }
            other => other,
        }
    }

    /// Tells whether the place where the work of this queue is done decides on commands to an action in this state.
    pub(super) fn is_relayed_in(&self, state: State) -> bool {
        matches!(state, State::Processing | State::Paused) && self.performer.relays()
    }

    /// Passes on a command that was refused here, and returns the answer from where the work is done.
    pub(super) async fn pass_on(
        &self,
        id: ActionId,
        relayed: RelayedCommand,
        refused: Refusal,
    ) -> Result<State, QueueError> {
        let Some(answer) = self.relay(id, relayed).await? else {
            return Err(refused.into());
        };
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(Ok(state))) => Ok(state),
            Ok(Ok(Err(reason))) => Err(QueueError::RefusedElsewhere { reason }),
            Ok(Err(_)) => Err(refused.into()),
            Err(_) => Err(QueueError::NoAnswer),
        }
    }

    /// Passes a command on to the work of an action that runs; `None` if that takes none. If another server has the attempt, it is
    /// taken over first.
    async fn relay(
        &self,
        id: ActionId,
        command: RelayedCommand,
    ) -> Result<Option<oneshot::Receiver<Result<State, String>>>, QueueError> {
        let here = |number: Option<u32>| {
            let attempt = self.shared.slots().attempt(id);
            attempt.filter(|attempt| number.is_none_or(|number| number == attempt.number()))
        };
        if let Some(attempt) = here(None) {
            return Ok(attempt.relay(command));
        }
        let Some(record) = self.store.record(self.id, id).await? else { return Ok(None) };
        if !record.state.is_running() || !self.store.has_peers() {
            return Ok(None);
        }
        self.take_over(id, record.attempt).await?;
        let until = tokio::time::Instant::now() + HERE_WITHIN;
        loop {
            // Its work takes commands once it has begun.
            let answer = here(Some(record.attempt)).and_then(|attempt| attempt.relay(command));
            if answer.is_some() || tokio::time::Instant::now() >= until {
                return Ok(answer);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn command(
        &self,
        action: Target,
        command: Command,
    ) -> Result<State, QueueError> {
        let Target { id, queued_at } = action;
        let control = Control::Command { id, queued_at, command };
        let affected = self.send_control(control, Some(id)).await?;
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

    pub(super) async fn send_control(
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
            Ok(Ok(Err(rejected))) => Err(QueueError::of(rejected, id, &self.shared)),
            Ok(Err(_)) | Err(_) => Err(QueueError::NoAnswer),
        }
    }

    /// Returns the address of the queue's actor. Waits a while for the next one if it has died.
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
                work.shared.waiters().any()
            })
            .await;
            if given_up {
                drop(waits);
            } else {
                gate.open();
                assert_eq!(waits.await.unwrap().record.state, State::Finished);
            }
            assert!(!work.shared.waiters().any());
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
