//! One attempt at an action, shared by its work (through the context), the worker that watches it, the queue, and readers
//! that lay its live figures over the stored row.
//!
//! Each attempt has a wish and a number of its own, so a late stop or end reaches no other (Q6, Q14).

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::action::{ActionId, Parameters, State};
use crate::events::{ActionRef, Interest};
use crate::lifecycle::{Came, OnRestart};
use crate::perform::StopRequested;
use crate::queue::lock;
use crate::queue::{Progressed, QueueShared, Relayed, RelayedCommand, RetryPolicy};
use crate::report::{self, Progress, Report};
use crate::secrets::{SecretNames, hide};
use crate::store::{AttemptEnd, Figures};
use crate::subject::{ACTION_LOG, Subject};
use crate::worker::RunAs;
use crate::worker::log::AttemptLog;

/// A wish: what an attempt is asked to do. After a stop only a harder wish is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Work.
    Run,
    /// Hold, and keep the slot.
    Pause,
    /// End soon; the partial result is kept.
    Stop,
    /// End at once: a task is dropped, or about to be.
    Force,
}

/// Number of error reports that wait to be written.
const MAX_ERROR_REPORTS: usize = 100;
/// Number of commands that wait for the work to take them.
const MAX_RELAYED: usize = 64;
/// The reason for which an attempt is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// A client wants it.
    Client,
    /// It has worked for as long as its queue lets it: a stop is a failure.
    TimeLimit,
    /// The server shuts down.
    Shutdown,
}

/// One attempt at an action.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// None if it runs at once.
    action: Option<ActionRef>,
    queue_name: Arc<str>,
    /// The subject of the lines of the log that come from its work.
    subject: Option<Arc<Subject>>,
    parameters: Parameters,
    /// The names of those that nothing shows.
    secrets: SecretNames,
    /// The values of its secret parameters, once it has said something.
    hidden: OnceLock<Vec<String>>,
    priority: i32,
    /// Fate of the action if the server goes down meanwhile.
    on_restart: OnRestart,
    wish: watch::Sender<Wish>,
    /// True once the server shuts down: a stop is then an interruption, not a client's will.
    interrupted: AtomicBool,
    /// The time limit, once that is exceeded: a stop is then a failure.
    timed_out: OnceLock<Duration>,
    /// True once the work has failed in a way that another attempt would only repeat.
    is_fatal: AtomicBool,
    /// True once its performer has been asked for its work.
    has_begun: AtomicBool,
    /// True if it began in an earlier server.
    is_resumed: bool,
    retry: RetryPolicy,
    /// Number of failed attempts before this one.
    failures: u32,
    /// True if its action is started no more should it get lost.
    gives_up: bool,
    note: Mutex<Option<String>>,
    /// Name of the remote worker that has it.
    worker: Mutex<Option<String>>,
    /// Takes commands for the work, if that has asked for them.
    relay: Mutex<Option<mpsc::Sender<Relayed>>>,
    /// The state of the action once the end of this attempt is durable; `None` in it if that end did not count.
    settled: watch::Sender<Option<Option<State>>>,
    /// The kind of its work, if that is no task.
    run_as: OnceLock<RunAs>,
    /// The way in which it came to its end, where that is not told by what it was asked last.
    came: OnceLock<Came>,
    live: Mutex<Live>,
    log: AttemptLog,
    /// True if its end may be written already.
    end_in_doubt: AtomicBool,
    /// Number of its error reports that are not written yet.
    error_reports: AtomicUsize,
    /// Number of changes to what is seen of it.
    changes: AtomicU64,
    /// The queue to tell of progress, if an observer wants that, or may do so later. Weak, since the queue holds its attempts.
    progress_to: Option<Weak<QueueShared>>,
}

/// The live figures.
#[derive(Debug)]
struct Live {
    progress: Progress,
    partial: Report,
    stopwatch: Stopwatch,
    /// True while time does not count, whatever the attempt is asked.
    is_held: bool,
    told: ProgressTold,
    /// True once it is to outlive its server: its end is not recorded here.
    is_detached: bool,
    /// The end, kept here until it is durable, so that a rebuilt queue actor finds it (Q2).
    ended: Option<Arc<AttemptEnd>>,
}

/// Extent to which the queue has been told of the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProgressTold {
    /// Told of all of it.
    Idle,
    /// Told of all of it; the queue will look again.
    Told,
    /// More was published since; the queue will look again.
    More,
}

/// Snapshot of an attempt's live figures.
#[derive(Debug, Clone)]
pub(crate) struct LiveView {
    pub(crate) progress: Progress,
    pub(crate) partial: Report,
    pub(crate) processing: Duration,
    pub(crate) worker: Option<String>,
}

impl Attempt {
    pub(crate) fn new(
        action: Option<ActionRef>,
        queue_name: Arc<str>,
        parameters: Parameters,
        on_restart: OnRestart,
    ) -> Self {
        Self {
            action,
            subject: Subject::of_action(Arc::clone(&queue_name), action),
            queue_name,
            parameters,
            secrets: SecretNames::default(),
            hidden: OnceLock::new(),
            priority: 0,
            on_restart,
            wish: watch::Sender::new(Wish::Run),
            interrupted: AtomicBool::new(false),
            timed_out: OnceLock::new(),
            is_fatal: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            is_resumed: false,
            retry: RetryPolicy::default(),
            failures: 0,
            gives_up: false,
            note: Mutex::new(None),
            worker: Mutex::new(None),
            relay: Mutex::new(None),
            settled: watch::Sender::new(None),
            run_as: OnceLock::new(),
            came: OnceLock::new(),
            live: Mutex::new(Live {
                progress: Progress::default(),
                partial: Report::new(),
                stopwatch: Stopwatch::started(),
                is_held: false,
                told: ProgressTold::Idle,
                is_detached: false,
                ended: None,
            }),
            log: AttemptLog::default(),
            end_in_doubt: AtomicBool::new(false),
            error_reports: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            progress_to: None,
        }
    }

    /// Sets the queue to tell of progress.
    pub(crate) fn telling_progress(self, queue: Option<Weak<QueueShared>>) -> Self {
        Self { progress_to: queue, ..self }
    }

    /// Sets the names of the parameters that nothing shows, beside those that are well known.
    pub(crate) fn hiding(self, secrets: SecretNames) -> Self {
        Self { secrets, ..self }
    }

    /// Masks the values of secret parameters in what its work says.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let values = self.hidden.get_or_init(|| {
            let parameters = self.parameters.iter();
            self.secrets.values(parameters.map(|(name, value)| (name, value.as_bytes())))
        });
        hide(text, values)
    }

    /// Notes that the store can't tell whether its end is written.
    pub(crate) fn set_end_in_doubt(&self) {
        self.end_in_doubt.store(true, Ordering::Release);
    }

    pub(crate) fn is_end_in_doubt(&self) -> bool {
        self.end_in_doubt.load(Ordering::Acquire)
    }

    /// Adds an error report that is to be written; returns false if too many wait.
    pub(crate) fn add_error_report(&self) -> bool {
        let add = |waiting| (waiting < MAX_ERROR_REPORTS).then_some(waiting + 1);
        self.error_reports.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    /// Notes that one of its error reports was written, or never will be.
    pub(crate) fn error_report_written(&self) {
        let take = |waiting: usize| waiting.checked_sub(1);
        // There is one, unless they were forgotten.
        let _ = self.error_reports.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
    }

    /// Forgets the error reports that were to be written: the queue's actor has died with them.
    pub(crate) fn forget_error_reports(&self) {
        self.error_reports.store(0, Ordering::Release);
    }

    /// Sets the priority with which it was claimed.
    pub(crate) fn of_priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    pub(crate) const fn priority(&self) -> i32 {
        self.priority
    }

    /// Sets the rules for another attempt, and the number of those that have failed before.
    pub(crate) fn retried(self, retry: RetryPolicy, failures: u32) -> Self {
        Self { retry, failures, ..self }
    }

    /// Says whether its action is started no more should it get lost.
    pub(crate) fn giving_up(self, gives_up: bool) -> Self {
        Self { gives_up, ..self }
    }

    pub(super) const fn gives_up(&self) -> bool {
        self.gives_up
    }

    /// Makes it one that began in an earlier server, or another, which has kept this note and shown these figures.
    pub(crate) fn resumed(self, note: Option<String>, figures: Figures, partial: Report) -> Self {
        let Figures { progress, processing, worker, log } = figures;
        let mut live = self.live();
        (live.progress, live.partial) = (progress, partial);
        live.stopwatch.before = processing;
        drop(live);
        log.iter().for_each(|line| self.log.add(line));
        let (note, worker) = (Mutex::new(note), Mutex::new(worker));
        Self { is_resumed: true, note, worker, ..self }
    }

    pub(crate) const fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Notes that its performer is asked for its work.
    pub(super) fn set_begun(&self) {
        self.has_begun.store(true, Ordering::Release);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// Notes that another attempt would fail, too.
    pub(crate) fn set_fatal(&self) {
        self.is_fatal.store(true, Ordering::Release);
    }

    /// Returns the time to the next attempt if this one has failed, or `None` if there is to be none.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let is_stopped =
            self.wish() >= Wish::Stop && !self.has_timed_out() && !self.is_interrupted();
        if self.is_fatal.load(Ordering::Acquire) || is_stopped {
            return None;
        }
        self.retry.after(self.failures.saturating_add(1), fastrand::f64())
    }

    pub(crate) fn note(&self) -> Option<String> {
        lock(&self.note).clone()
    }

    pub(crate) fn set_note(&self, note: String) {
        *lock(&self.note) = Some(note);
    }

    pub(crate) fn worker(&self) -> Option<String> {
        lock(&self.worker).clone()
    }

    pub(crate) fn set_worker(&self, name: String) {
        *lock(&self.worker) = Some(name);
        self.note_change();
    }

    /// Returns the commands that are passed on to the work from now on.
    pub(crate) fn relayed(&self) -> mpsc::Receiver<Relayed> {
        let (sender, receiver) = mpsc::channel(MAX_RELAYED);
        *lock(&self.relay) = Some(sender);
        receiver
    }

    /// Passes a command on to the work; `None` if that takes none, or no more for now.
    pub(crate) fn relay(
        &self,
        command: RelayedCommand,
    ) -> Option<oneshot::Receiver<Result<State, String>>> {
        let (reply, answer) = oneshot::channel();
        let relay = lock(&self.relay);
        relay.as_ref()?.try_send(Relayed { command, reply }).ok()?;
        Some(answer)
    }

    /// Lets it outlive its server, unless it has ended: its end is not recorded here any more. Returns false if it has ended.
    pub(crate) fn detach(&self) -> bool {
        let mut live = self.live();
        live.is_detached = live.ended.is_none();
        live.is_detached
    }

    pub(crate) fn is_detached(&self) -> bool {
        self.live().is_detached
    }

    /// Notes the state of the action once the end of this attempt is durable, or that this end does not count.
    pub(crate) fn settle(&self, state: Option<State>) {
        self.settled.send_replace(Some(state));
    }

    pub(crate) fn settled(&self) -> watch::Receiver<Option<Option<State>>> {
        self.settled.subscribe()
    }

    pub(crate) const fn action(&self) -> Option<ActionRef> {
        self.action
    }

    pub(crate) fn id(&self) -> Option<ActionId> {
        self.action.map(|action| action.id)
    }

    /// Returns its number among the attempts at the action, from 1.
    pub(crate) fn number(&self) -> u32 {
        self.action.map_or(1, |action| action.attempt)
    }

    pub(crate) fn queue_name(&self) -> &str {
        &self.queue_name
    }

    pub(crate) const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) const fn on_restart(&self) -> OnRestart {
        self.on_restart
    }

    pub(crate) fn wish(&self) -> Wish {
        *self.wish.borrow()
    }

    /// Asks the attempt for something. After a stop only a harder wish is heard.
    pub(crate) fn ask(&self, wish: Wish) {
        let changed = self.wish.send_if_modified(|current| {
            let heard = *current != wish && (*current < Wish::Stop || wish > *current);
            if heard {
                *current = wish;
            }
            heard
        });
        if changed {
            let mut live = self.live();
            live.set_stopwatch(wish);
            drop(live);
            self.note_change();
        }
    }

    /// Counts no time as worked until it is released.
    #[cfg(unix)]
    pub(super) fn hold_stopwatch(&self) {
        let mut live = self.live();
        live.is_held = true;
        live.stopwatch.pause();
    }

    /// Counts time as worked again, unless the attempt is paused.
    #[cfg(unix)]
    pub(super) fn release_stopwatch(&self) {
        let mut live = self.live();
        live.is_held = false;
        live.set_stopwatch(self.wish());
    }

    /// Sets the way in which it came to its end, whatever it is asked from now on.
    pub(crate) fn set_came(&self, came: Came) {
        // Its work ends once.
        let _ = self.came.set(came);
    }

    pub(super) fn came(&self) -> Option<Came> {
        self.came.get().copied()
    }

    /// Asks it to stop because the server shuts down.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.ask(Wish::Stop);
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Asks it to stop because this time limit is exceeded.
    pub(crate) fn time_out_after(&self, limit: Duration) {
        // It is exceeded once.
        let _ = self.timed_out.set(limit);
        self.ask(Wish::Stop);
    }

    /// Does the same, for tests of what follows.
    #[cfg(test)]
    pub(crate) fn time_out(&self) {
        self.time_out_after(Duration::from_secs(1));
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        self.time_limit_exceeded().is_some()
    }

    /// Returns the time limit, if that is exceeded.
    pub(crate) fn time_limit_exceeded(&self) -> Option<Duration> {
        self.timed_out.get().copied()
    }

    /// Returns the reason for which it is asked to stop, if it is.
    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        let reason = match () {
            () if self.has_timed_out() => StopReason::TimeLimit,
            () if self.is_interrupted() => StopReason::Shutdown,
            () => StopReason::Client,
        };
        (self.wish() >= Wish::Stop).then_some(reason)
    }

    /// Sets the kind of its work. Called before the wish is read; a force sets the wish and then reads the kind, so one of
    /// the two sees the other.
    pub(crate) fn set_run_as(&self, run_as: RunAs) {
        // An attempt is run once.
        let _ = self.run_as.set(run_as);
    }

    pub(crate) fn run_as(&self) -> RunAs {
        self.run_as.get().copied().unwrap_or(RunAs::Task)
    }

    /// Watches the wish. The receiver does not keep the attempt alive.
    pub(crate) fn watch(&self) -> watch::Receiver<Wish> {
        self.wish.subscribe()
    }

    pub(crate) fn set_progress(self: &Arc<Self>, progress: Progress) {
        self.publish(|live| live.progress = progress);
    }

    /// Publishes a partial result, cut if it is too deep.
    pub(crate) fn set_partial(self: &Arc<Self>, mut report: Report) {
        report::cut(&mut report);
        self.publish(|live| live.partial = report);
    }

    /// Returns the number of changes so far to what is seen of it.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the subject of the lines of the log that come from its work.
    pub(crate) fn subject(&self) -> Option<Arc<Subject>> {
        self.subject.clone()
    }

    /// Keeps a line of its log, and says it in that of the program if that has a place for it.
    pub(crate) fn log(&self, line: &str) {
        let line = &*self.hide(line);
        self.log.add(line);
        self.note_change();
        if let Some(subject) = &self.subject {
            let _entered = subject.enter();
            ::log::info!(target: ACTION_LOG, "{line}");
        }
    }

    /// Returns the last lines of its log.
    pub(crate) fn log_lines(&self) -> Vec<Arc<str>> {
        self.log.lines()
    }

    /// Changes the live figures, and tells the queue if it is to look at them.
    fn publish(self: &Arc<Self>, change: impl FnOnce(&mut Live)) {
        let mut live = self.live();
        change(&mut live);
        self.note_change();
        if live.told != ProgressTold::Idle {
            live.told = ProgressTold::More;
            return;
        }
        let queue = self.progress_to.as_ref().and_then(Weak::upgrade);
        let wants = |queue: &Arc<QueueShared>| queue.telling().want(Interest::PROGRESSED);
        let is_wanted = queue.as_ref().is_some_and(wants);
        if is_wanted {
            live.told = ProgressTold::Told;
        }
        drop(live);
        if is_wanted && let Some(queue) = queue {
            queue.tell(Progressed(Arc::clone(self)));
        }
    }

    /// Tells whether more was published since the queue was told. If not, the queue is told of the next at once.
    pub(crate) fn has_more_progress(&self) -> bool {
        let mut live = self.live();
        let has_more = live.told == ProgressTold::More;
        live.told = if has_more { ProgressTold::Told } else { ProgressTold::Idle };
        has_more
    }

    /// Tells whether the queue was told of progress and was to look again, of which its next actor knows nothing.
    pub(crate) fn renew_progress(&self) -> bool {
        self.live().told != ProgressTold::Idle
    }

    /// Returns the progress, and the time for which it has worked.
    pub(crate) fn progress(&self) -> (Progress, Duration) {
        let live = self.live();
        (live.progress.clone(), live.stopwatch.elapsed())
    }

    pub(crate) fn view(&self) -> LiveView {
        self.view_within(usize::MAX).0
    }

    /// Returns the live figures, and the size of the partial result in bytes, which is left out if it has more than `most`.
    pub(crate) fn view_within(&self, most: usize) -> (LiveView, usize) {
        let live = self.live();
        let bytes = live.partial.iter().map(report::Node::byte_len).sum();
        let partial = if bytes <= most { live.partial.clone() } else { Report::new() };
        let progress = live.progress.clone();
        let processing = live.stopwatch.elapsed();
        (LiveView { progress, partial, processing, worker: self.worker() }, bytes)
    }

    /// Records the end; only the first one counts.
    pub(crate) fn set_ended(&self, end: AttemptEnd) {
        let mut live = self.live();
        if live.ended.is_none() && !live.is_detached {
            live.ended = Some(Arc::new(end));
        }
    }

    pub(crate) fn ended(&self) -> Option<Arc<AttemptEnd>> {
        self.live().ended.clone()
    }

    pub(crate) async fn checkpoint(&self) -> Result<(), StopRequested> {
        let mut wishes = self.wish.subscribe();
        // The sender lives in `self`, so waiting can't fail.
        match wishes.wait_for(|wish| *wish != Wish::Pause).await.as_deref() {
            Ok(Wish::Stop | Wish::Force) => Err(StopRequested),
            _ => Ok(()),
        }
    }

    pub(crate) async fn stop_requested(&self) {
        let mut wishes = self.wish.subscribe();
        let _ = wishes.wait_for(|wish| *wish >= Wish::Stop).await;
    }

    pub(crate) async fn sleep(&self, duration: Duration) -> Result<(), StopRequested> {
        let mut wishes = self.wish.subscribe();
        let mut left = duration;
        loop {
            let wish = *wishes.borrow_and_update();
            match wish {
                Wish::Stop | Wish::Force => return Err(StopRequested),
                Wish::Run => {
                    let since = tokio::time::Instant::now();
                    tokio::select! {
                        () = tokio::time::sleep(left) => return Ok(()),
                        _ = wishes.changed() => left = left.saturating_sub(since.elapsed()),
                    }
                }
                Wish::Pause => {
                    let _ = wishes.changed().await;
                }
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // Nothing that holds the lock can leave it half changed.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Lets the stopwatch go or stand, as the attempt is asked.
    fn set_stopwatch(&mut self, wish: Wish) {
        if wish == Wish::Pause || self.is_held {
            self.stopwatch.pause();
        } else {
            self.stopwatch.resume();
        }
    }
}

/// A stopwatch for the time of work, pauses left out. It goes by the monotonic clock.
#[derive(Debug)]
struct Stopwatch {
    before: Duration,
    since: Option<Instant>,
}

impl Stopwatch {
    fn started() -> Self {
        Self { before: Duration::ZERO, since: Some(Instant::now()) }
    }

    fn pause(&mut self) {
        self.before = self.elapsed();
        self.since = None;
    }

    fn resume(&mut self) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    fn elapsed(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}
