//! A submission: the input of [`QueueHandle::submit`](super::QueueHandle::submit).

use crate::action::{Parameters, Timestamp};
use crate::key::SubmissionKey;
use crate::store::{Origin, ScheduledFor};

/// An action to be queued.
///
/// ```
/// use actiond_actors::{Parameters, Submission};
/// let submission = Submission::new(Parameters::from_iter([("Name", "Ada")])).priority(10);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Submission {
    pub(super) parameters: Parameters,
    pub(super) priority: i32,
    pub(super) key: Option<SubmissionKey>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) origin: Origin,
}

impl Submission {
    /// Makes a submission with these parameters, priority 0 and no key.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// Sets the priority. Higher ones start first, equal ones in the order of their arrival (Q8).
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the time before which the action must not start. While it waits for that, it costs nothing and keeps no other
    /// from starting.
    #[must_use]
    pub const fn not_before(mut self, time: Timestamp) -> Self {
        self.not_before = Some(time);
        self
    }

    /// Sets the identifier that the client gave the request, by which its actions are found.
    #[must_use]
    pub fn action_id(mut self, id: impl Into<String>) -> Self {
        self.origin.action_id = Some(id.into());
        self
    }

    /// Sets the URL to which the end of the action is told, by the handler that its queue has for that
    /// ([`EventHandlers::callbacks`](crate::outbox::EventHandlers::callbacks)). Without such a handler nobody is told.
    #[must_use]
    pub fn callback(mut self, url: impl Into<String>) -> Self {
        self.origin.callback = Some(url.into());
        self
    }

    /// Sets the due time of a schedule for which it is made. It is refused
    /// ([`QueueError::Schedule`](crate::QueueError::Schedule)) if there was an action for that time, or the schedule is paused or
    /// unknown.
    #[must_use]
    pub fn scheduled_for(mut self, due: ScheduledFor) -> Self {
        self.origin.schedule = Some(due);
        self
    }

    /// Sets a key, so that the submission can be retried: the same one under the same key gets the id of the first, as
    /// long as that action is kept, and another one is refused
    /// ([`QueueError::KeyTaken`](crate::QueueError::KeyTaken)). [`SubmissionKey::is_repeat`] decides which are the same;
    /// the priority does not count.
    #[must_use]
    pub fn key(mut self, key: impl Into<SubmissionKey>) -> Self {
        self.key = Some(key.into());
        self
    }
}
