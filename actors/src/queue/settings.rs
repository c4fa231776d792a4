//! Settings of a queue.

use std::time::Duration;

use crate::lifecycle::{OnRestart, Recovery};
use crate::outbox::EventHandlers;
use crate::queue::RetryPolicy;
use crate::secrets::SecretNames;

/// Settings of a queue. They may be replaced while it runs ([`QueueHandle::set_settings`](crate::QueueHandle::set_settings)).
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSettings {
    /// Number of slots: as many actions run at once (Q4; `MaximumThreads`; default 1). 0 counts as 1.
    pub maximum_threads: usize,
    /// Number of actions that may wait; `None` = no limit (`MaxQueueSize`).
    pub max_queue_size: Option<u64>,
    /// Number of ended actions that are kept; the oldest are deleted first; `None` = all (`MaxFinishedSize`; default
    /// 100,000).
    pub max_finished_size: Option<u64>,
    /// Time for which ended actions are kept; `None` = for ever (`MaxFinishedAge`).
    pub max_finished_age: Option<Duration>,
    /// True if the parameters of ended actions are kept with them, so that they can be copied and tried again (`KeepParameters`;
    /// default true). What was submitted under a key keeps them in any case.
    pub keep_parameters: bool,
    /// Fate of an action that was running when the server went down; `None` = as its kind says
    /// ([`Perform::on_restart`](crate::Perform::on_restart): by default it ends in Error).
    pub on_restart: Option<OnRestart>,
    /// Attempts at an action that fails (`MaxAttempts` and others; by default there is one).
    pub retry: RetryPolicy,
    /// Number of times that an action may be running when its server dies, before it ends in Error instead of being started
    /// again (`MaxRestarts`; default 3). 0 = no limit.
    pub max_restarts: u32,
    /// Grace period: time between asking an action to stop and forcing it (`StopGraceSecs`; default 10 s).
    pub stop_grace: Duration,
    /// Time for which an attempt may work, pauses left out; `None` = no limit. After it the attempt is asked to stop,
    /// forced after the grace period, and ends in Error.
    pub time_limit: Option<Duration>,
    /// Share of `max_queue_size` above which the queue counts as filling (default 0.75): see
    /// [`QueueEvent::QueueFilling`](crate::events::QueueEvent::QueueFilling).
    pub filling_threshold: f64,
    /// Share of `max_queue_size` below which it counts as emptying (default 0.5): see
    /// [`QueueEvent::QueueEmptying`](crate::events::QueueEvent::QueueEmptying).
    pub emptying_threshold: f64,
    /// Parameters whose values are masked in errors and in what the work says ([`ActionContext::log`](crate::ActionContext::log)),
    /// beside those that are well known (`SecretParameters`).
    pub secret_parameters: SecretNames,
    /// The handlers that are told of its events at least once (`OnFinish` and others). Each must be one of the system
    /// ([`Builder::handler`](crate::Builder::handler)).
    pub handlers: EventHandlers,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            maximum_threads: 1,
            max_queue_size: None,
            max_finished_size: Some(100_000),
            max_finished_age: None,
            keep_parameters: true,
            on_restart: None,
            retry: RetryPolicy::default(),
            max_restarts: Recovery::MAX_RESTARTS,
            stop_grace: Duration::from_secs(10),
            time_limit: None,
            filling_threshold: 0.75,
            emptying_threshold: 0.5,
            secret_parameters: SecretNames::default(),
            handlers: EventHandlers::default(),
        }
    }
}
