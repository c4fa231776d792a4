//! How a queue works.

use std::time::Duration;

use crate::lifecycle::OnRestart;

/// How a queue works: given once, when it is built.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSettings {
    /// How many of its actions run at once, from 1 (`MaximumThreads`; default 1). 0 counts as 1.
    pub maximum_threads: usize,
    /// How many actions may wait; `None` = no limit (`MaxQueueSize`).
    pub max_queue_size: Option<u64>,
    /// How many final actions are kept, the oldest go first; `None` = all (`MaxFinishedSize`; default 100,000).
    pub max_finished_size: Option<u64>,
    /// How long final actions are kept; `None` = for ever (`MaxFinishedAge`).
    pub max_finished_age: Option<Duration>,
    /// What becomes of an action that was running when the server went down; `None` = what its kind says
    /// ([`Perform::on_restart`](crate::Perform::on_restart): by default it ends in Error).
    pub on_restart: Option<OnRestart>,
    /// How long lies between asking an action to stop and forcing it (`StopGraceSecs`; default 10 s).
    pub stop_grace: Duration,
    /// How long an attempt may work, pauses left out; then it is asked to stop, forced if need be, and ends in Error;
    /// `None` = as long as it takes.
    pub time_limit: Option<Duration>,
    /// Share of `max_queue_size`, above which the queue counts as filling (default 0.75): see
    /// [`QueueEvent::QueueFilling`](crate::events::QueueEvent::QueueFilling).
    pub filling_threshold: f64,
    /// Share of `max_queue_size`, below which it counts as emptying (default 0.5): see
    /// [`QueueEvent::QueueEmptying`](crate::events::QueueEvent::QueueEmptying).
    pub emptying_threshold: f64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            maximum_threads: 1,
            max_queue_size: None,
            max_finished_size: Some(100_000),
            max_finished_age: None,
            on_restart: None,
            stop_grace: Duration::from_secs(10),
            time_limit: None,
            filling_threshold: 0.75,
            emptying_threshold: 0.5,
        }
    }
}
