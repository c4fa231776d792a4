//! Workers that ask for something to do.
//!
//! One that waits at several desks gets each of its places once: a desk reserves a place in one step, and others then see that
//! it is gone.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actiond_actors::QueueHandle;
use tokio::sync::Notify;

use super::Desk;
use super::job::Job;

/// Bytes of parameters after which a worker gets no further action in the same reply.
const MOST_BYTES: usize = 10_000_000;

/// Time within which a queue that has reserved a place says whether there is something for it.
const DECIDED_WITHIN: Duration = Duration::from_secs(5);

/// A worker that asks, shared by the desks at which it waits.
pub(super) struct Taker {
    worker: Arc<str>,
    state: Mutex<TakerState>,
    /// Wakes it once nothing is reserved for it any more.
    changed: Notify,
}

pub(super) type TakerRef = Arc<Taker>;

struct TakerState {
    /// False once it has gone.
    is_open: bool,
    /// False once its time is over.
    takes_more: bool,
    /// Number of actions that it would take beside those that are reserved or here.
    free: usize,
    reserved: usize,
    got: Vec<Handed>,
    bytes: usize,
    /// True if a reserved place was given back.
    was_given_back: bool,
    /// True if it wants to know of a place that was given back. One that waits for a single queue need not wake for that.
    minds_giving_back: bool,
}

/// An action that was handed to a worker. It goes back to its queue if it is dropped before the reply that says so was sent: the
/// worker has not got it.
pub(crate) struct Handed {
    job: Arc<Job>,
    was_sent: bool,
}

impl Handed {
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// Leaves it to the worker, which has got it: from now on it loses it only by its silence.
    pub(crate) fn sent(mut self) {
        self.was_sent = true;
        self.job.sent();
    }

    /// Returns the size of its parameters in bytes.
    pub(crate) fn byte_len(&self) -> usize {
        self.job.parameters().byte_len()
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if !self.was_sent {
            self.job.give_back();
        }
    }
}

impl Taker {
    fn new(worker: Arc<str>, places: usize) -> Self {
        let state = TakerState {
            is_open: true,
            takes_more: true,
            free: places,
            reserved: 0,
            got: Vec::new(),
            bytes: 0,
            was_given_back: false,
            minds_giving_back: true,
        };
        Self { worker, state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.lock().room() > 0
    }

    /// Reserves up to `most` places, and returns how many.
    pub(super) fn reserve(&self, most: usize) -> usize {
        let mut state = self.lock();
        let places = state.room().min(most);
        state.free -= places;
        state.reserved += places;
        places
    }

    /// Gives a reserved place back.
    pub(super) fn give_back(&self) {
        let mut state = self.lock();
        if state.reserved > 0 {
            state.reserved -= 1;
            state.free += 1;
            state.was_given_back = true;
        }
        if state.minds_giving_back {
            self.wake(&state);
        }
    }

    /// Gives it a job for a reserved place; false if it takes no more.
    pub(super) fn give(&self, job: &Arc<Job>) -> bool {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(1);
        let takes = state.is_open && state.bytes < MOST_BYTES;
        if takes {
            job.give_to(&self.worker);
            let handed = Handed { job: Arc::clone(job), was_sent: false };
            state.bytes = state.bytes.saturating_add(handed.byte_len());
            state.got.push(handed);
        }
        self.wake(&state);
        takes
    }

    fn wake(&self, state: &TakerState) {
        if state.reserved == 0 {
            self.changed.notify_one();
        }
    }

    /// Waits until nothing is reserved for it.
    async fn decided(&self) {
        while self.lock().reserved > 0 {
            self.changed.notified().await;
        }
    }

    /// Waits until it has got something, and all that is reserved for it.
    async fn served(&self) {
        loop {
            {
                let state = self.lock();
                if state.reserved == 0 && !state.got.is_empty() {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, TakerState> {
        // Nothing that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakerState {
    /// Returns the number of places that can be reserved. Once something is here the reply is under way.
    fn room(&self) -> usize {
        if self.is_open && self.takes_more && self.got.is_empty() { self.free } else { 0 }
    }
}

/// A taker's place at the desks at which it waits. It leaves them when this is dropped.
struct Place {
    taker: Arc<Taker>,
    joined: Vec<(Desk, u64)>,
}

impl Place {
    fn join(&mut self, desk: &Desk) {
        let number = desk.join(&self.taker);
        self.joined.push((desk.clone(), number));
    }

    /// Takes no more, and returns what is here.
    fn close(&mut self) -> Vec<Handed> {
        let got = {
            let mut state = self.taker.lock();
            state.is_open = false;
            std::mem::take(&mut state.got)
        };
        for (desk, number) in self.joined.drain(..) {
            desk.leave(number);
        }
        got
    }

    /// Takes nothing that is not reserved yet, waits for that, and returns what is here.
    async fn close_decided(&mut self) -> Vec<Handed> {
        {
            let mut state = self.taker.lock();
            state.takes_more = false;
            state.minds_giving_back = true;
        }
        // A queue that has crashed meanwhile may never say.
        let _ = tokio::time::timeout(DECIDED_WITHIN, self.taker.decided()).await;
        self.close()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// Takes up to `most` actions of these queues for a worker: of the first that has any. If none has, waits up to `patience` for
/// the first that comes, and no longer than until `until` is ready.
///
/// Without patience each queue is looked at once: it is empty-handed only if nothing could be started.
pub(crate) async fn take(
    queues: &[(&Desk, &QueueHandle)],
    worker: &str,
    most: usize,
    patience: Duration,
    until: impl Future<Output = ()>,
) -> Vec<Handed> {
    let taker = Arc::new(Taker::new(worker.into(), most));
    let mut place = Place { taker: Arc::clone(&taker), joined: Vec::with_capacity(queues.len()) };
    let mut until = pin!(until);
    let mut over = pin!(tokio::time::sleep(patience));
    for (at, (desk, queue)) in queues.iter().enumerate() {
        place.join(desk);
        let looked = queue.look_again();
        if at + 1 == queues.len() && !patience.is_zero() {
            // Below it waits for all of them.
            break;
        }
        tokio::select! {
            biased;
            () = taker.served() => return place.close(),
            () = &mut until => return place.close(),
            () = looked => {}
        }
        let _ = tokio::time::timeout(DECIDED_WITHIN, taker.decided()).await;
        if !taker.lock().got.is_empty() {
            return place.close();
        }
    }
    if patience.is_zero() {
        return place.close_decided().await;
    }
    taker.lock().minds_giving_back = queues.len() > 1;
    loop {
        {
            let mut state = taker.lock();
            let is_free = state.reserved == 0;
            if is_free && !state.got.is_empty() {
                break;
            }
            if is_free && std::mem::take(&mut state.was_given_back) && queues.len() > 1 {
                // Another queue may have passed it over meanwhile.
                queues.iter().for_each(|(_, queue)| drop(queue.look_again()));
            }
        }
        tokio::select! {
            biased;
            () = taker.changed.notified() => {}
            () = &mut until => break,
            () = &mut over => return place.close_decided().await,
        }
    }
    place.close()
}

#[cfg(test)]
mod tests;
