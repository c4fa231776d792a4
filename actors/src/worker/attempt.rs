//! One attempt at an action, as everybody who has to do with it sees it: the work itself (through
//! its context), the worker that watches it, and readers who lay its live figures over the stored row.
//!
//! Each attempt has its own control token, so a late stop or report reaches no other (Q14).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::action::{ActionId, Parameters};
use crate::events::ActionRef;
use crate::lifecycle::OnRestart;
use crate::perform::StopRequested;
use crate::queue::{Progressed, QueueShared};
use crate::report::{self, Progress, Report};
use crate::store::AttemptEnd;
use crate::worker::RunAs;

/// What an attempt is asked to do. Ordered: behind a stop comes only a harder one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// To work.
    Run,
    /// To hold, and keep its slot.
    Pause,
    /// To end soon, with what it has.
    Stop,
    /// To end at once: a task is dropped by now, or about to be.
    Force,
}

#[derive(Debug)]
pub(crate) struct Attempt {
    /// None where it runs at once.
    action: Option<ActionRef>,
    queue_name: Arc<str>,
    parameters: Parameters,
    /// What becomes of the action if the server goes down meanwhile.
    on_restart: OnRestart,
    wish: watch::Sender<Wish>,
    /// The server shuts down: a stop is then an interruption, not a client's will.
    interrupted: AtomicBool,
    /// It has run for longer than it may: a stop is then a failure.
    timed_out: AtomicBool,
    /// What its work is, if that is no task.
    run_as: OnceLock<RunAs>,
    live: Mutex<Live>,
    /// The queue that tells how far this is, where somebody wants to know. Weak: the queue holds its attempts.
    progress_to: Option<Weak<QueueShared>>,
}

#[derive(Debug)]
struct Live {
    progress: Progress,
    partial: Report,
    stopwatch: Stopwatch,
    telling: Telling,
    /// Kept here until it is durable, so that a queue actor that is rebuilt still learns of it.
    ended: Option<Arc<AttemptEnd>>,
}

/// How much of its progress the queue has been told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// All of it.
    Idle,
    /// All of it, and the queue looks again.
    Told,
    /// Not all of it; the queue looks again.
    More,
}

/// An attempt's live figures at one moment.
#[derive(Debug, Clone)]
pub(crate) struct LiveView {
    pub(crate) progress: Progress,
    pub(crate) partial: Report,
    pub(crate) processing: Duration,
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
            queue_name,
            parameters,
            on_restart,
            wish: watch::Sender::new(Wish::Run),
            interrupted: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            run_as: OnceLock::new(),
            live: Mutex::new(Live {
                progress: Progress::default(),
                partial: Report::new(),
                stopwatch: Stopwatch::started(),
                telling: Telling::Idle,
                ended: None,
            }),
            progress_to: None,
        }
    }

    /// Sets which queue is told how far it is.
    pub(crate) fn telling_progress(self, queue: Option<Weak<QueueShared>>) -> Self {
        Self { progress_to: queue, ..self }
    }

    pub(crate) const fn action(&self) -> Option<ActionRef> {
        self.action
    }

    pub(crate) fn id(&self) -> Option<ActionId> {
        self.action.map(|action| action.id)
    }

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

    /// Asks something of the attempt. After a stop, only a harder stop is heard.
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
            if wish == Wish::Pause { live.stopwatch.pause() } else { live.stopwatch.resume() }
        }
    }

    /// Asks it to stop because the server shuts down.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.ask(Wish::Stop);
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Asks it to stop because its time is over.
    pub(crate) fn time_out(&self) {
        self.timed_out.store(true, Ordering::Release);
        self.ask(Wish::Stop);
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        self.timed_out.load(Ordering::Acquire)
    }

    /// Says what its work is. Before that is asked what it wishes: who forces it asks in the other order.
    pub(crate) fn set_run_as(&self, run_as: RunAs) {
        // An attempt is run once.
        let _ = self.run_as.set(run_as);
    }

    pub(crate) fn run_as(&self) -> RunAs {
        self.run_as.get().copied().unwrap_or(RunAs::Task)
    }

    /// Watches what it is asked to do. What this returns does not keep the attempt.
    pub(crate) fn watch(&self) -> watch::Receiver<Wish> {
        self.wish.subscribe()
    }

    pub(crate) fn set_progress(self: &Arc<Self>, progress: Progress) {
        self.publish(|live| live.progress = progress);
    }

    pub(crate) fn set_partial(self: &Arc<Self>, mut report: Report) {
        report::cut(&mut report);
        self.publish(|live| live.partial = report);
    }

    fn publish(self: &Arc<Self>, change: impl FnOnce(&mut Live)) {
        let mut live = self.live();
        change(&mut live);
        let Some(queue) = &self.progress_to else { return };
        let is_first = live.telling == Telling::Idle;
        live.telling = if is_first { Telling::Told } else { Telling::More };
        drop(live);
        if is_first && let Some(queue) = queue.upgrade() {
            queue.tell(Progressed(Arc::clone(self)));
        }
    }

    /// Tells whether more was published since the queue was told; if not, the next that is will be told at once.
    pub(crate) fn has_more_progress(&self) -> bool {
        let mut live = self.live();
        let has_more = live.telling == Telling::More;
        live.telling = if has_more { Telling::Told } else { Telling::Idle };
        has_more
    }

    /// Tells whether the queue has been told anything, of which its next actor knows nothing.
    pub(crate) fn renew_progress(&self) -> bool {
        self.live().telling != Telling::Idle
    }

    /// Returns how far it has come, and how long it has worked.
    pub(crate) fn progress(&self) -> (Progress, Duration) {
        let live = self.live();
        (live.progress.clone(), live.stopwatch.elapsed())
    }

    pub(crate) fn view(&self) -> LiveView {
        self.view_within(usize::MAX).0
    }

    /// Returns the live figures and the size of the partial result in bytes, which is left out where it has more than `most`.
    pub(crate) fn view_within(&self, most: usize) -> (LiveView, usize) {
        let live = self.live();
        let bytes = live.partial.iter().map(report::Node::byte_len).sum();
        let partial = if bytes <= most { live.partial.clone() } else { Report::new() };
        let progress = live.progress.clone();
        (LiveView { progress, partial, processing: live.stopwatch.elapsed() }, bytes)
    }

    /// Records the end; only the first one counts.
    pub(crate) fn set_ended(&self, end: AttemptEnd) {
        let mut live = self.live();
        if live.ended.is_none() {
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

/// Measures working time by the monotonic clock, pauses left out.
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
