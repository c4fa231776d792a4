//! The desk of a queue whose actions are done by workers elsewhere: where workers that ask for something to do, and attempts
//! that begin, meet.
//!
//! ```text
//! a worker asks ─► Taker ─► waits at the desks of its queues ◄─ reserved when a batch is sealed ◄─ queue
//!                    ▲                                                                             │ claims as many
//!                    └──────── handed over ◄── Job ◄── the attempt begins ◄────────────────────────┘
//! ```
//!
//! A queue claims no more than it has reserved takers for, so nothing is out that nobody asked for. A `Job` is an attempt
//! that a worker has; it ends by a word of the worker, or when its lease has run out. Nothing here speaks a protocol: that is
//! for `front::work`.

pub(crate) mod job;
mod take;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actiond_actors::{ActionContext, ActionId, Failure, Work};

use job::{Holder, Job};
pub(crate) use take::{Handed, take};
use take::{Taker, TakerRef};

/// Number of attempts of which it is known that their workers were told to drop them; those before are told at once again.
const MAX_FORCED: usize = 256;

/// The desk of one queue. Cheap to clone.
///
/// It belongs to a performer, whose [`demand`](actiond_actors::Perform::demand), `reserve`, `give_back` and `perform` it does,
/// and to the endpoint that serves the queue (`EndpointBuilder::desk`).
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    lease: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that wait, by their numbers, which are in the order of their arrival. Some may be reserved or taken elsewhere.
    takers: BTreeMap<u64, TakerRef>,
    next_number: u64,
    /// One entry for each action that may be claimed, or was and has not begun.
    reserved: VecDeque<TakerRef>,
    jobs: HashMap<ActionId, Arc<Job>>,
    /// The last attempts whose workers were told to drop what they have.
    forced: VecDeque<(ActionId, u32)>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Desk")
            .field("lease", &self.0.lease)
            .field("takers", &state.takers.len())
            .field("jobs", &state.jobs.len())
            .finish_non_exhaustive()
    }
}

impl Desk {
    /// Makes a desk whose leases hold this long.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self(Arc::new(Inner { lease, state: Mutex::default() }))
    }

    /// Returns the time for which a worker may be silent before its action is taken from it.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.0.lease
    }

    /// Returns a number above 0 if a worker waits for an action.
    #[must_use]
    pub fn demand(&self) -> usize {
        usize::from(self.lock().takers.values().any(|taker| taker.has_room()))
    }

    /// Reserves places of workers that wait, those first that have waited longest, and returns for how many actions.
    #[must_use]
    pub fn reserve(&self, most: usize) -> usize {
        let mut state = self.lock();
        let State { takers, reserved, .. } = &mut *state;
        let mut left = most;
        for taker in takers.values() {
            let places = taker.reserve(left);
            reserved.extend((0..places).map(|_| Arc::clone(taker)));
            left -= places;
            if left == 0 {
                break;
            }
        }
        most - left
    }

    /// Gives reserved places up, because fewer actions were claimed.
    pub fn give_back(&self, unused: usize) {
        let mut state = self.lock();
        for _ in 0..unused {
            match state.reserved.pop_back() {
                Some(taker) => taker.give_back(),
                None => break,
            }
        }
    }

    /// Returns the work of an attempt: that a worker has it, until its end. If no worker is there for it any more, it is given
    /// back to the queue.
    #[must_use]
    pub fn work(&self, context: ActionContext) -> Work {
        let Some(action) = context.action() else {
            let why = "a worker elsewhere does it, so it can't be run at once";
            return Work::done(Err(Failure::fatal(why)));
        };
        let is_resumed = context.is_resumed();
        let job = Arc::new(Job::new(context, action, self.0.lease));
        self.lock().jobs.insert(action.id, Arc::clone(&job));
        let here = Here { desk: self.clone(), job: Arc::clone(&job) };
        // One that goes on has its worker already.
        if !is_resumed && !self.hand_over(&job) {
            return Work::done(Err(Failure::Released));
        }
        Work::task(async move { here.job.done().await })
    }

    /// Hands a job to a worker that waits; false if there is none.
    fn hand_over(&self, job: &Arc<Job>) -> bool {
        loop {
            let mut state = self.lock();
            let reserved = state.reserved.pop_front();
            let taker = reserved.or_else(|| {
                let waiting = state.takers.values();
                waiting.filter(|taker| taker.reserve(1) > 0).map(Arc::clone).next()
            });
            drop(state);
            match taker {
                Some(taker) if taker.give(job) => return true,
                // It has gone meanwhile, or has enough to carry.
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Lets a taker wait here, and returns its number.
    fn join(&self, taker: &Arc<Taker>) -> u64 {
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.takers.insert(number, Arc::clone(taker));
        number
    }

    /// Lets a taker wait no more. What is reserved for it goes to the next one when it comes.
    fn leave(&self, number: u64) {
        self.lock().takers.remove(&number);
    }

    /// Returns the attempt of this number at this action, if a worker has it.
    pub(crate) fn job(&self, id: ActionId, attempt: u32) -> Option<Arc<Job>> {
        self.lock().jobs.get(&id).filter(|job| job.action().attempt == attempt).cloned()
    }

    /// Returns the worker that has this attempt.
    pub(crate) fn holder(&self, id: ActionId, attempt: u32) -> Option<Holder> {
        self.job(id, attempt).map(|job| job.holder())
    }

    /// Returns the workers that have something, at most this many of them, and the number of all.
    pub(crate) fn holders(&self, most: usize) -> (Vec<Holder>, usize) {
        let state = self.lock();
        let mut ids: Vec<_> = state.jobs.keys().copied().collect();
        ids.sort_unstable();
        let shown = ids.iter().take(most).filter_map(|id| state.jobs.get(id));
        (shown.map(|job| job.holder()).collect(), ids.len())
    }

    /// Notes that the worker of this attempt is told to drop it. False if it was told that before.
    pub(crate) fn tell_force(&self, id: ActionId, attempt: u32) -> bool {
        let mut state = self.lock();
        if state.forced.contains(&(id, attempt)) {
            return false;
        }
        if state.forced.len() >= MAX_FORCED {
            state.forced.pop_front();
        }
        state.forced.push_back((id, attempt));
        true
    }

    /// Returns the number of workers that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().takers.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave it half changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The presence of a job at its desk, from its beginning until its work has ended or was dropped.
struct Here {
    desk: Desk,
    job: Arc<Job>,
}

impl Drop for Here {
    fn drop(&mut self) {
        let mut state = self.desk.lock();
        let id = self.job.action().id;
        if state.jobs.get(&id).is_some_and(|job| Arc::ptr_eq(job, &self.job)) {
            state.jobs.remove(&id);
        }
        drop(state);
        self.job.set_over();
    }
}
