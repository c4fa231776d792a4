//! A gate at which work waits until the test opens it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::eventually;

/// A gate, closed at first. Tasks and threads wait at it; the test counts them and opens it.
/// Its clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    tasks: Notify,
    threads: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    /// Number that may still pass while it is closed.
    passes: usize,
    waiting: usize,
}

impl State {
    fn pass(&mut self) -> bool {
        let passes = self.open || self.passes > 0;
        if !self.open && passes {
            self.passes -= 1;
        }
        passes
    }
}

impl Gate {
    /// Makes a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an open gate.
    #[must_use]
    pub fn opened() -> Self {
        let gate = Self::default();
        gate.open();
        gate
    }

    /// Opens the gate: everybody is let through from now on.
    pub fn open(&self) {
        self.state().open = true;
        self.wake();
    }

    /// Closes the gate: nobody is let through from now on.
    pub fn close(&self) {
        let mut state = self.state();
        state.open = false;
        state.passes = 0;
    }

    /// Lets this many through, waiting now or later.
    pub fn let_through(&self, number: usize) {
        self.state().passes += number;
        self.wake();
    }

    /// Returns the number of those that wait now, without those that gave up.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Returns true if it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state().open
    }

    /// Waits until exactly this many wait at the gate.
    pub async fn until_waiting(&self, number: usize) {
        let what = format!("{number} wait at the gate");
        eventually(what, async || self.waiting() == number).await;
    }

    /// Waits to be let through.
    pub async fn wait(&self) {
        let _waiting = Waiting::begin(&self.0);
        loop {
            let woken = self.0.tasks.notified();
            tokio::pin!(woken);
            // Registered before the check, so that an opening in between is not missed.
            woken.as_mut().enable();
            if self.state().pass() {
                return;
            }
            woken.await;
        }
    }

    /// Blocks the thread until it is let through.
    pub fn wait_blocking(&self) {
        // Dropped after the lock, which its own drop takes.
        let _waiting = Waiting::begin(&self.0);
        let mut state = self.state();
        while !state.pass() {
            state = self.0.threads.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn wake(&self) {
        self.0.tasks.notify_waiters();
        self.0.threads.notify_all();
    }
}

/// Counts one that waits, until this is dropped.
struct Waiting(Arc<Shared>);

impl Waiting {
    fn begin(gate: &Arc<Shared>) -> Self {
        lock(gate).waiting += 1;
        Self(Arc::clone(gate))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.0).waiting -= 1;
    }
}

fn lock(gate: &Shared) -> MutexGuard<'_, State> {
    gate.state.lock().unwrap_or_else(PoisonError::into_inner)
}
