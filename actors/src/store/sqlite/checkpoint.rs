//! Checkpoints of the write-ahead log on a thread of their own: pages are copied into the database and
//! synced while the writing thread goes on. The few pages that it writes meanwhile it copies itself, and then the log
//! restarts ([`super::write`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::threads::spawn;
use crate::store::StoreError;

/// A thread that makes checkpoints on request. Its drop ends the thread and closes the connection.
pub(super) struct Checkpointer {
    requests: Option<mpsc::Sender<()>>,
    busy: Arc<AtomicBool>,
    /// True if the last checkpoint failed.
    failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (requests, requested) = mpsc::channel();
        let [busy, failed] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let thread = spawn("actiond-ckpt", {
            let (busy, failed) = (Arc::clone(&busy), Arc::clone(&failed));
            move || {
                while requested.recv().is_ok() {
                    // The writer finds out how many pages were copied.
                    failed.store(checkpoint(&connection).is_err(), Ordering::Relaxed);
                    busy.store(false, Ordering::Release);
                }
            }
        })?;
        Ok(Self { requests: Some(requests), busy, failed, thread: Some(thread) })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Returns true if the last checkpoint failed, for another reason than that a reader still has a snapshot. Only
    /// valid while it is not busy.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Requests a checkpoint of the log as it is now; returns false if the thread is gone. It must not be busy.
    pub(super) fn request(&self) -> bool {
        self.busy.store(true, Ordering::Release);
        self.requests.as_ref().is_some_and(|requests| requests.send(()).is_ok())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic, so there is no error.
            let _ = thread.join();
        }
    }
}

/// Copies all pages of the log that no reader's snapshot blocks, and returns true if that was all of them. A failure is
/// retried by the writing thread, which reports it if it matters.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    let all = done.map(|(pages, done)| pages == done);
    all.inspect_err(|e| {
        log::debug!("the log of the action database could not be copied into it: {e}");
    })
}
