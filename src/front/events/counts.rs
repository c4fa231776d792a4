//! Tells the counts of queues: once a second those that have changed, and all of them when somebody begins to listen.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::endpoint::{Endpoint, Inner};
use crate::events::live::{Counting, LiveEvents};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

impl Endpoint {
    /// Has the counts of queues told while the answer is kept. It needs a runtime of actix.
    pub(super) fn count_for(&self, live: &LiveEvents) -> Counting {
        let (counting, is_first) = live.count();
        if is_first {
            actix_web::rt::spawn(tell(live.clone(), Arc::downgrade(&self.inner)));
        }
        counting
    }
}

/// Tells the counts for as long as the endpoint is there.
async fn tell(live: LiveEvents, endpoint: Weak<Inner>) {
    let (mut known, mut told_to) = (Vec::new(), 0);
    loop {
        let wanted_by = live.counts_wanted().await;
        let Some(inner) = endpoint.upgrade() else { return };
        let endpoint = Endpoint { inner };
        if std::mem::replace(&mut told_to, wanted_by) != wanted_by {
            known.clear();
        }
        let now = endpoint.summaries().await;
        for (at, (served, summary)) in endpoint.queues().iter().zip(&now).enumerate() {
            if known.get(at) != Some(summary) {
                live.tell_counts(served.queue.name(), *summary);
            }
        }
        known = now;
        drop(endpoint);
        tokio::time::sleep(PAUSE).await;
    }
}
