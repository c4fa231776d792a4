//! Checkpoints of the write-ahead log beside the writing thread: the pages are copied into the database and
//! synced here while that writes on. What comes into the log meanwhile is little; the writing thread
//! copies that itself, and the log begins anew ([`super::write`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::spawn;
use crate::store::StoreError;

/// Thread that makes a checkpoint when asked. Its drop ends the thread and closes its connection.
pub(super) struct Checkpointer {
    ask: Option<mpsc::Sender<()>>,
    busy: Arc<AtomicBool>,
    /// Whether the last checkpoint failed.
    failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (ask, asked) = mpsc::channel();
        let [busy, failed] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let thread = spawn("actiond-ckpt", {
            let (busy, failed) = (Arc::clone(&busy), Arc::clone(&failed));
            move || {
                while asked.recv().is_ok() {
                    // Whoever asked looks how far it came.
                    failed.store(checkpoint(&connection).is_err(), Ordering::Relaxed);
                    busy.store(false, Ordering::Release);
                }
            }
        })?;
        Ok(Self { ask: Some(ask), busy, failed, thread: Some(thread) })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Whether what was asked for last failed, for another reason than that somebody still reads. To be asked when it
    /// is not busy.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Copies what is in the log now; false if the thread is gone. It must not be busy.
    pub(super) fn ask(&self) -> bool {
        self.busy.store(true, Ordering::Release);
        self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // It only ever ends by itself.
            let _ = thread.join();
        }
    }
}

/// Copies as much as no reader still looks at, and returns whether that was all. What fails here is tried
/// again by the writing thread, which tells if it matters.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    let all = done.map(|(pages, done)| pages == done);
    all.inspect_err(|e| {
        log::debug!("the log of the action database could not be copied into it: {e}");
    })
}
