//! The origin of an action: what it was submitted with beside its parameters.

use serde::{Deserialize, Serialize};

use crate::action::Timestamp;

/// The data that an action was submitted with beside its parameters. A copy of the action has the same, but for its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The identifier that the client gave the request (`ActionID`), by which its actions are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<String>,
    /// The URL to which its end is told (`CallbackURL`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
    /// The schedule that submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduledFor>,
}

/// A due time of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledFor {
    /// Name of the schedule.
    pub schedule: String,
    /// The time at which the action was due.
    pub due: Timestamp,
    /// True if somebody asked for it, whatever is due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_demand: bool,
}

impl Origin {
    /// Tells whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { action_id, callback, schedule } = self;
        action_id.is_none() && callback.is_none() && schedule.is_none()
    }

    /// Returns the origin of a copy of the action.
    #[must_use]
    pub fn of_copy(&self) -> Option<Box<Self>> {
        let copy = Self { schedule: None, ..self.clone() };
        (!copy.is_empty()).then(|| Box::new(copy))
    }
}
