//! The work that a shutdown still waits for, and the lines of the log that say so.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

/// Time between two looks at what still runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time after which an unchanged line is logged once more.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Counts of what has not ended yet; displayed as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StillRuns {
    /// Names of queues with the number of their running actions, never 0.
    queues: Vec<(String, usize)>,
    /// Number of actions that run at once, in no queue.
    at_once: usize,
}

impl StillRuns {
    /// Returns the counts, or `None` if nothing runs.
    pub(crate) fn new(
        queues: impl Iterator<Item = (String, usize)>,
        at_once: usize,
    ) -> Option<Self> {
        let queues: Vec<_> = queues.filter(|(_, running)| *running > 0).collect();
        (!queues.is_empty() || at_once > 0).then_some(Self { queues, at_once })
    }
}

impl fmt::Display for StillRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.queues.iter().map(|(_, running)| running).sum::<usize>() + self.at_once;
        let run = if total == 1 { "action still runs" } else { "actions still run" };
        write!(f, "{total} {run} (")?;
        for (index, (queue, running)) in self.queues.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{queue}: {running}")?;
        }
        if self.at_once > 0 {
            let comma = if self.queues.is_empty() { "" } else { ", " };
            write!(f, "{comma}in no queue: {}", self.at_once)?;
        }
        f.write_str(")")
    }
}

/// Waits for a future, and meanwhile logs what still runs: at once, when that has changed, and every few seconds.
pub(crate) async fn reported<F: Future>(
    waited: F,
    still_runs: impl Fn() -> Option<StillRuns>,
) -> F::Output {
    let mut waited = pin!(waited);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said: Option<(StillRuns, Instant)> = None;
    loop {
        let now = tokio::select! {
            biased;
            output = &mut waited => return output,
            now = looks.tick() => now,
        };
        let Some(still) = still_runs() else { continue };
        let is_known = said
            .as_ref()
            .is_some_and(|(before, at)| *before == still && now.duration_since(*at) < SAY_EVERY);
        if !is_known {
            log::info!("shutting down: {still}");
            said = Some((still, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_one_line() {
        let line = |running: &[(&str, usize)], at_once| {
            let queues = running.iter().map(|(name, running)| ((*name).to_owned(), *running));
            StillRuns::new(queues, at_once).map(|still| still.to_string())
        };
        assert_eq!(line(&[("A", 0)], 0), None);
        let some = |line: &str| Some(line.to_owned());
        let three = line(&[("A", 2), ("B", 0), ("C", 1)], 0);
        assert_eq!(three, some("3 actions still run (A: 2, C: 1)"));
        assert_eq!(line(&[("A", 0)], 4), some("4 actions still run (in no queue: 4)"));
        assert_eq!(line(&[("A", 1)], 0), some("1 action still runs (A: 1)"));
        assert_eq!(line(&[("A", 0)], 1), some("1 action still runs (in no queue: 1)"));
        assert_eq!(line(&[("A", 1)], 1), some("2 actions still run (A: 1, in no queue: 1)"));
    }
}
