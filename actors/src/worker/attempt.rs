//! One attempt at an action, as everybody who has to do with it sees it: the work itself (through
//! its context), the worker that watches it, and readers who lay its live figures over the stored row.
//!
//! Each attempt has its own control token, so a late stop or report reaches no other (Q14).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::action::{ActionId, Parameters};
use crate::lifecycle::OnRestart;
use crate::perform::StopRequested;
use crate::report::{self, Progress, Report};
use crate::store::AttemptEnd;

/// What an attempt is asked to do. Ordered: a later wish never falls back behind a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Go on.
    Run,
    /// Hold, and keep the slot.
    Pause,
    /// Come to an end.
    Stop,
    /// End now.
    Force,
}

#[derive(Debug)]
pub(crate) struct Attempt {
    id: Option<ActionId>,
    number: u32,
    queue_name: Arc<str>,
    parameters: Parameters,
    /// What becomes of the action if the server goes down meanwhile.
    on_restart: OnRestart,
    wish: watch::Sender<Wish>,
    /// The server shuts down: a stop is then an interruption, not a client's will.
    interrupted: AtomicBool,
    /// Its work runs on a thread, which nothing can force.
    on_thread: AtomicBool,
    live: Mutex<Live>,
}

#[derive(Debug)]
struct Live {
    progress: Progress,
    partial: Report,
    stopwatch: Stopwatch,
    /// Kept here until it is durable, so that a queue actor that is rebuilt still learns of it.
    ended: Option<Arc<AttemptEnd>>,
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
        id: Option<ActionId>,
        number: u32,
        queue_name: Arc<str>,
        parameters: Parameters,
        on_restart: OnRestart,
    ) -> Self {
        Self {
            id,
            number,
            queue_name,
            parameters,
            on_restart,
            wish: watch::Sender::new(Wish::Run),
            interrupted: AtomicBool::new(false),
            on_thread: AtomicBool::new(false),
            live: Mutex::new(Live {
                progress: Progress::default(),
                partial: Report::new(),
                stopwatch: Stopwatch::started(),
                ended: None,
            }),
        }
    }

    pub(crate) const fn id(&self) -> Option<ActionId> {
        self.id
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
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

    pub(crate) fn set_on_thread(&self) {
        self.on_thread.store(true, Ordering::Release);
    }

    pub(crate) fn is_on_thread(&self) -> bool {
        self.on_thread.load(Ordering::Acquire)
    }

    pub(crate) fn set_progress(&self, progress: Progress) {
        self.live().progress = progress;
    }

    pub(crate) fn set_partial(&self, mut report: Report) {
        report::cut(&mut report);
        self.live().partial = report;
    }

    pub(crate) fn view(&self) -> LiveView {
        let live = self.live();
        LiveView {
            progress: live.progress.clone(),
            partial: live.partial.clone(),
            processing: live.stopwatch.elapsed(),
        }
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
