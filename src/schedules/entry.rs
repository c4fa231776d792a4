//! A schedule that can be due, made of what was configured or added.

use std::time::Duration;

use actiond_actors::store::ScheduleState;
use actiond_actors::{Parameters, Submission, Timestamp};

use super::check::{self, priority};
use super::definition::{Definition, Schedule};
use super::timing::{Timing, jitter};

/// A schedule that can be due.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) definition: Definition,
    pub(super) timing: Timing,
    /// True if it was added while a server ran.
    pub(super) is_added: bool,
}

impl Entry {
    /// Makes one of a schedule that was checked before.
    pub(super) fn of(schedule: &Schedule, is_added: bool) -> Option<Self> {
        let Schedule { name, definition } = schedule;
        match Timing::of(definition) {
            Ok(timing) => {
                Some(Self { name: name.clone(), definition: definition.clone(), timing, is_added })
            }
            Err(fault) => {
                log::error!("schedule {name} can't be used: {fault}");
                None
            }
        }
    }

    /// Makes one of a row that says what it is.
    pub(super) fn of_row(state: &ScheduleState) -> Option<Self> {
        let text = state.definition.as_deref()?;
        match serde_json::from_str(text) {
            Ok(definition) => Self::of(&Schedule { name: state.name.clone(), definition }, true),
            Err(error) => {
                log::error!(
                    "schedule {} can't be used: its definition is unreadable: {error}",
                    state.name
                );
                None
            }
        }
    }

    /// Returns the longest delay after a due time.
    pub(super) fn longest_delay(&self) -> Duration {
        Duration::from_secs(self.definition.jitter_secs.into())
    }

    /// Returns the time at which the action of a due time is queued.
    pub(super) fn fires(&self, due: Timestamp) -> Timestamp {
        let delay = jitter(&self.name, due, self.longest_delay());
        Timestamp(due.0.saturating_add(millis(delay)))
    }

    /// Tells whether the schedule is due by itself, as it stands.
    pub(super) fn is_active(&self, state: &ScheduleState) -> bool {
        self.definition.enabled
            && !state.paused
            && self.definition.cycles.is_none_or(|cycles| state.cycles < cycles)
    }

    /// Returns the next due time, as the schedule stands now; `None` if it is not due by itself any more. One that no server has looked
    /// at since it is there, or is on, begins now.
    pub(super) fn next(&self, state: Option<&ScheduleState>, now: Timestamp) -> Option<Timestamp> {
        let new = || ScheduleState::new(self.name.clone(), now, None);
        let state = state.cloned().unwrap_or_else(new);
        let passed = if state.passed == ScheduleState::ALL { now } else { state.passed };
        self.is_active(&state).then(|| self.timing.next_due(state.since, passed)).flatten()
    }

    /// Tells whether it is due at the same times as another one.
    pub(super) fn has_times_of(&self, other: &Self) -> bool {
        let times = |of: &Definition| {
            let Definition { cron, repeat_secs, start_time, time_zone, enabled, .. } = of.clone();
            (cron, repeat_secs, start_time, time_zone, enabled)
        };
        times(&self.definition) == times(&other.definition)
    }

    /// Makes the submission of its action.
    pub(super) fn submission(&self) -> Submission {
        let pairs = self.definition.parameters.iter();
        let parameters =
            Parameters::from_iter(pairs.map(|(name, value)| (name.as_str(), value.as_str())));
        let given = &self.definition.parameters;
        let submission = Submission::new(parameters).priority(priority(given));
        match check::given(given, "ActionID") {
            Some(id) => submission.action_id(id),
            None => submission,
        }
    }
}

/// Returns a duration in milliseconds.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
