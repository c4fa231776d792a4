//! The writer while the database is away: it refuses what comes, and tries to come back.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use super::{Job, Writer};
use crate::store::postgres::errors::Failure;
use crate::store::postgres::owner::Part;

/// Time between two tries. The connection itself is tried less and less often.
const PAUSE: Duration = Duration::from_millis(50);

impl Writer {
    /// Returns the next job. All that come while the database is away are refused: they would wait as long again as those that have
    /// found it out.
    pub(super) async fn next(&mut self, jobs: &mut UnboundedReceiver<Job>) -> Option<Job> {
        if let Some(Failure::Lost(_)) = self.away {
            // A connection that was closed is made again soon, as a rule. Who waits can wait for that.
            drop(timeout(self.setup.patience / 5, self.come_back()).await);
        }
        if let Some(failure) = self.away.clone() {
            tokio::select! {
                last = refuse(jobs, &failure) => return last,
                () = self.come_back() => {}
            }
        }
        jobs.recv().await
    }

    /// Tries until the database answers, and nothing is unsettled.
    async fn come_back(&mut self) {
        while let Err(failure) = self.try_to_come_back().await {
            log::debug!("nothing can be written yet: {failure}");
            sleep(PAUSE).await;
        }
        self.away = None;
        self.owner.reach(Part::Writes);
    }

    async fn try_to_come_back(&mut self) -> Result<(), Failure> {
        self.link.get().await?;
        self.settle().await
    }
}

/// Refuses all jobs with this failure. Returns the one that ends the writer, or `None` if there will be no more.
async fn refuse(jobs: &mut UnboundedReceiver<Job>, failure: &Failure) -> Option<Job> {
    loop {
        match jobs.recv().await {
            Some(Job::Commit(batch)) => {
                if let Some((_, answer)) = batch.seal() {
                    answer.send(Err(failure.clone().told()));
                }
            }
            // The caller may have gone.
            Some(Job::Open(_, reply)) => drop(reply.send(Err(failure.clone().told()))),
            last => return last,
        }
    }
}
