//! The counts of queues, which change with nearly every event: they are told once a second, to those who name them, and only while
//! somebody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use actiond_actors::Summary;
use tokio::sync::Notify;

use super::told::Told;
use super::{Hub, LiveEvents};

/// Those who want the counts of queues.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    by: AtomicUsize,
    /// Number of those who have begun to: each wants all counts first.
    began: AtomicU64,
    news: Notify,
    is_told: AtomicBool,
}

/// One who wants the counts of queues, until this is dropped.
pub(crate) struct Counting(Arc<Hub>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.wanted.by.fetch_sub(1, Ordering::SeqCst);
    }
}

impl LiveEvents {
    /// Has the counts of queues told. Also returns true the first time: the caller has to see to it.
    pub(crate) fn count(&self) -> (Counting, bool) {
        let wanted = &self.0.wanted;
        wanted.by.fetch_add(1, Ordering::SeqCst);
        wanted.began.fetch_add(1, Ordering::SeqCst);
        wanted.news.notify_one();
        (Counting(Arc::clone(&self.0)), !wanted.is_told.swap(true, Ordering::SeqCst))
    }

    /// Waits until somebody wants the counts of queues; returns a number that is another one once somebody else does, too.
    pub(crate) async fn counts_wanted(&self) -> u64 {
        let wanted = &self.0.wanted;
        while wanted.by.load(Ordering::SeqCst) == 0 {
            // It remembers one that came in between.
            wanted.news.notified().await;
        }
        wanted.began.load(Ordering::SeqCst)
    }

    /// Tells how the actions of a queue stand.
    pub(crate) fn tell_counts(&self, queue: &str, summary: Summary) {
        self.0.keep(Told::counts(queue, summary));
    }
}
