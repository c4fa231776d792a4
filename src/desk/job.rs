//! A job: an attempt that a worker elsewhere has, under a lease.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actiond_actors::{
    ActionContext, ActionRef, Failure, Parameters, Progress, Report, Stage, StageStatus, State,
    StopReason, Wish,
};
use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::kinds::results;

/// Time within which the end of an action is written, or who waits for that is told to ask again.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// Time after which a worker that was told to stop is told again, if it waits for news.
pub(crate) const TELL_AGAIN: Duration = Duration::from_secs(1);

/// An attempt that a worker has.
pub(crate) struct Job {
    context: ActionContext,
    action: ActionRef,
    lease: Duration,
    state: Mutex<JobState>,
    /// Wakes its work once it is to end.
    ended: Notify,
    /// True once its work has ended, or was dropped.
    over: watch::Sender<bool>,
}

struct JobState {
    /// The worker's name; unknown after a restart, until it is heard of.
    worker: Option<Arc<str>>,
    /// Time of the worker's last word.
    heard: Instant,
    /// True once the worker has said a word to this server.
    has_spoken: bool,
    /// The wish that the worker was told last.
    told: Wish,
    end: Ending,
}

/// The way to the end of a job.
enum Ending {
    /// It has not ended.
    None,
    /// It is to end like this.
    Asked(Result<Report, Failure>),
    /// Its work has taken that up.
    Taken,
}

/// The worker that has a job, as others are shown it.
pub(crate) struct Holder {
    pub(crate) action: ActionRef,
    pub(crate) worker: Option<Arc<str>>,
    /// Time since its last word, or since the server started if there was none since.
    pub(crate) silence: Duration,
}

/// What a worker says while it works.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) worker: Option<String>,
    pub(crate) percent: Option<f64>,
    pub(crate) stage: Option<String>,
    pub(crate) partial: Option<Report>,
    pub(crate) log: Option<String>,
}

/// What became of a job that was to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Its end is durable, and its action in this state.
    As(State),
    /// Another server had taken the action over.
    Elsewhere,
    /// That is not known yet.
    Unknown,
}

impl Job {
    pub(super) fn new(context: ActionContext, action: ActionRef, lease: Duration) -> Self {
        let worker = context.worker().map(Into::into);
        Self {
            context,
            action,
            lease,
            state: Mutex::new(JobState {
                worker,
                heard: Instant::now(),
                has_spoken: false,
                told: Wish::Run,
                end: Ending::None,
            }),
            ended: Notify::new(),
            over: watch::Sender::new(false),
        }
    }

    pub(crate) const fn action(&self) -> ActionRef {
        self.action
    }

    pub(crate) const fn lease(&self) -> Duration {
        self.lease
    }

    pub(crate) fn queue_name(&self) -> &str {
        self.context.queue_name()
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        self.context.parameters()
    }

    pub(crate) fn priority(&self) -> i32 {
        self.context.priority()
    }

    /// Begins its lease: this worker gets it now.
    pub(super) fn give_to(&self, worker: &Arc<str>) {
        let mut state = self.lock();
        state.worker = Some(Arc::clone(worker));
        state.heard = Instant::now();
        drop(state);
        self.context.set_worker(&**worker);
    }

    /// Begins its lease anew: the reply by which its worker gets it was sent.
    pub(super) fn sent(&self) {
        self.lock().heard = Instant::now();
    }

    /// Gives it back to the queue because its worker has not got it, unless that has said a word about it.
    pub(super) fn give_back(&self) {
        if !self.lock().has_spoken {
            self.release();
        }
    }

    pub(super) fn holder(&self) -> Holder {
        let state = self.lock();
        let (worker, silence) = (state.worker.clone(), state.heard.elapsed());
        Holder { action: self.action, worker, silence }
    }

    /// Waits for its end and returns its outcome; a silent worker loses it.
    pub(super) async fn done(&self) -> Result<Report, Failure> {
        let outcome = self.ended().await;
        if let Err(failure) = &outcome {
            self.show_log(failure);
        }
        outcome
    }

    async fn ended(&self) -> Result<Report, Failure> {
        loop {
            let until = {
                let mut state = self.lock();
                if let Ending::Asked(_) = state.end
                    && let Ending::Asked(outcome) = std::mem::replace(&mut state.end, Ending::Taken)
                {
                    return outcome;
                }
                let until = self.last_word(&state) + self.lease;
                if until <= Instant::now() {
                    state.end = Ending::Taken;
                    if self.context.stop_reason() == Some(StopReason::Client) {
                        self.context.set_forced();
                    }
                    return Err(self.or_stopped(self.lost(&state)));
                }
                until
            };
            // A heartbeat wakes nobody: when its time is over, the work looks again.
            let _ = tokio::time::timeout_at(until, self.ended.notified()).await;
        }
    }

    /// Returns the time from which the worker's silence counts. Words that reached another server while the store was away were
    /// refused there, so the worker is given a whole lease after that.
    fn last_word(&self, state: &JobState) -> Instant {
        let away = self.context.store_away_ago();
        let back = away.and_then(|ago| Instant::now().checked_sub(ago));
        back.map_or(state.heard, |back| back.max(state.heard))
    }

    /// Adds to the partial result what the worker has logged, if the attempt failed.
    fn show_log(&self, failure: &Failure) {
        let failed = match failure {
            Failure::Failed(_) | Failure::Fatal(_) => true,
            Failure::Stopped => self.context.stop_reason() == Some(StopReason::TimeLimit),
            _ => false,
        };
        let logged = self.context.logged();
        if failed && !logged.is_empty() {
            let mut report = self.context.partial();
            report.push(results::log(&logged));
            self.context.set_partial(report);
        }
    }

    /// The failure of a job whose lease has run out. If there was no word since the server was started, nobody can tell whether a
    /// worker ever had it: the server may have died before its reply was sent.
    fn lost(&self, state: &JobState) -> Failure {
        let lease = self.lease.as_secs();
        if self.context.is_resumed() && !state.has_spoken {
            return Failure::Lost(format!(
                "its server went down, and no worker spoke of it for {lease} s after that, so nobody can tell whether one had it"
            ));
        }
        let worker = match &state.worker {
            Some(worker) => format!("the worker {worker}"),
            None => "its worker".to_owned(),
        };
        Failure::failed(format!("{worker} was not heard of for {lease} s"))
    }

    /// Takes news of its worker, and renews its lease. False if it has ended.
    pub(crate) fn hear(&self, news: News) -> bool {
        let mut state = self.lock();
        if !matches!(state.end, Ending::None) {
            return false;
        }
        state.heard = Instant::now();
        state.has_spoken = true;
        let News { worker, percent, stage, partial, log } = news;
        if let Some(worker) = worker
            && state.worker.as_deref() != Some(&*worker)
        {
            state.worker = Some(Arc::from(&*worker));
            self.context.set_worker(worker);
        }
        drop(state);
        match (percent, stage) {
            (None, None) => {}
            (Some(percent), None) => self.context.set_progress(Progress::of_percent(percent)),
            (percent, Some(title)) => {
                let stage = Stage::new(title).at(StageStatus::Processing);
                let stage = stage.percent(percent.unwrap_or_default());
                self.context.set_progress(Progress::of_stages(vec![stage]));
            }
        }
        if let Some(partial) = partial {
            self.context.set_partial(partial);
        }
        if let Some(log) = log {
            log.lines().for_each(|line| self.context.log(line));
        }
        true
    }

    /// Returns what its worker is to do, once that is something else than it was told last; what it is told anyway once the time
    /// is over. `None` if the job is over here, also if that is because the server shuts down.
    pub(crate) async fn wish(&self, patience: Duration) -> Option<Wish> {
        let mut over = self.over.subscribe();
        let told = self.lock().told;
        // Whoever was told to stop must not miss it if that reply was lost, and must not ask in circles.
        let patience = if told >= Wish::Stop { patience.min(TELL_AGAIN) } else { patience };
        if !patience.is_zero() && self.context.wish() == told {
            let changed = async {
                let mut wishes = self.context.wishes();
                while let Some(wish) = wishes.next().await {
                    if wish != told {
                        break;
                    }
                }
            };
            tokio::select! {
                () = changed => {}
                _ = over.wait_for(|over| *over) => {}
                () = tokio::time::sleep(patience) => {}
            }
        }
        if *over.borrow() {
            return None;
        }
        let wish = self.context.wish();
        if self.context.is_detached() {
            // It goes on with the next server. Whatever is wished here was meant for the work here, not for the worker.
            return None;
        }
        let mut state = self.lock();
        state.told = wish;
        // It was here until now.
        state.heard = Instant::now();
        Some(wish)
    }

    /// Lets it end like this, unless it has ended.
    pub(crate) fn finish(&self, report: Report) -> bool {
        self.end(Ok(report))
    }

    /// Lets it fail, unless it has ended. If it was asked to stop, that counts as a stop.
    pub(crate) fn fail(&self, failure: Failure) -> bool {
        self.end(Err(self.or_stopped(failure)))
    }

    /// Returns this failure, or a stop if it was asked to stop.
    fn or_stopped(&self, failure: Failure) -> Failure {
        if self.context.is_stop_requested() { Failure::Stopped } else { failure }
    }

    /// Gives it back to the queue, unless it has ended. If it was asked to stop, that counts as a stop.
    pub(crate) fn release(&self) -> bool {
        self.fail(Failure::Released)
    }

    fn end(&self, outcome: Result<Report, Failure>) -> bool {
        let mut state = self.lock();
        if !matches!(state.end, Ending::None) || *self.over.borrow() {
            return false;
        }
        state.end = Ending::Asked(outcome);
        drop(state);
        self.ended.notify_one();
        true
    }

    /// Tells whether it has ended, or is about to.
    pub(crate) fn is_ending(&self) -> bool {
        *self.over.borrow() || !matches!(self.lock().end, Ending::None)
    }

    /// Waits until its end is durable.
    pub(crate) async fn settled(&self) -> Settled {
        let let_go = async {
            let mut over = self.over.subscribe();
            // The sender lives here, so waiting can't fail.
            let _ = over.wait_for(|over| *over).await;
            if !self.context.is_detached() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            state = self.context.settled() => match state {
                Some(state) => Settled::As(state),
                None if self.context.is_detached() => Settled::Unknown,
                None => Settled::Elsewhere,
            },
            // The server shuts down; the next one goes on with it.
            () = let_go => Settled::Unknown,
            () = tokio::time::sleep(WRITTEN_WITHIN) => Settled::Unknown,
        }
    }

    pub(super) fn set_over(&self) {
        self.over.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, JobState> {
        // Nothing that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
