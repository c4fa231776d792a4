//! Schedules as a store keeps them, and the rules about them: each due time has one action at most, whoever tries.
//!
//! A store knows nothing of times that are due: it is told. For each change it reads the row of the schedule, asks
//! [`ScheduleChange::apply`] or [`ScheduledFor::admit`], and writes the outcome in the transaction of the batch.

use crate::action::{ActionId, Timestamp};
use crate::store::{QueueId, ScheduledFor};

/// A schedule as it stands in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleState {
    /// Its name, as it was given first. Case does not matter.
    pub name: String,
    /// Time when it was first known.
    pub since: Timestamp,
    /// The time up to which all that was due is done with: queued, or left out.
    pub passed: Timestamp,
    /// The last action that was queued for it.
    pub last: Option<LastScheduled>,
    /// Number of due times for which an action was queued.
    pub cycles: u64,
    /// True while nothing is queued for it.
    pub paused: bool,
    /// Its definition, if it was added while the server ran. No store reads it.
    pub definition: Option<String>,
}

/// The last action of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastScheduled {
    /// The time for which it was queued.
    pub due: Timestamp,
    /// Its queue.
    pub queue: QueueId,
    /// The action, which may be deleted by now.
    pub id: ActionId,
}

/// A change to a schedule, other than an action that is queued for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleChange {
    /// Makes it known, unless it is.
    See {
        /// The time now.
        at: Timestamp,
    },
    /// Leaves out what was due up to this time.
    Skip {
        /// The latest time that is left out.
        due: Timestamp,
    },
    /// Goes on with what is due from now on, if all that would be due was left out ([`ScheduleState::ALL`]).
    Begin {
        /// The time now.
        at: Timestamp,
    },
    /// Pauses it: no action is queued for it, but on demand.
    Pause,
    /// Goes on with what is due from now on.
    Resume {
        /// The time now.
        at: Timestamp,
    },
    /// Adds one.
    Add {
        /// Its definition.
        definition: String,
        /// The time now.
        at: Timestamp,
    },
    /// Removes one that was added.
    Remove,
}

/// The reason for which nothing was changed, or queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleRefusal {
    /// There is no such schedule.
    #[error("there is no such schedule")]
    Unknown,
    /// Another one of that name was added before.
    #[error("there is such a schedule already")]
    Exists,
    /// It is paused.
    #[error("the schedule is paused")]
    Paused,
    /// An action was queued for this time or a later one, or it was left out.
    #[error("what was due at that time is done with")]
    Passed,
}

/// The time, in milliseconds, by which [`ScheduleState::passed`] must be ahead for a clock to have been wrong: those of servers
/// differ by less.
const WRONG_CLOCK: i64 = 3_600_000;

impl ScheduleState {
    /// The time up to which a schedule is done with that is never due: leaving out what was due up to it turns the schedule off, until
    /// it begins again ([`ScheduleChange::Begin`]).
    pub const ALL: Timestamp = Timestamp(i64::MAX);

    /// Makes one that is known from this time on, which may itself be due.
    #[must_use]
    pub const fn new(name: String, at: Timestamp, definition: Option<String>) -> Self {
        let passed = Timestamp(at.0.saturating_sub(1));
        Self { name, since: at, passed, last: None, cycles: 0, paused: false, definition }
    }
}

impl ScheduleChange {
    /// Returns the schedule of this name after the change; `None` if it is removed.
    ///
    /// # Errors
    ///
    /// The refusal, if nothing is to be changed.
    pub fn apply(
        &self,
        name: &str,
        before: Option<&ScheduleState>,
    ) -> Result<Option<ScheduleState>, ScheduleRefusal> {
        let known = || before.cloned().ok_or(ScheduleRefusal::Unknown);
        let new = |at, definition| ScheduleState::new(name.to_owned(), at, definition);
        match self {
            Self::See { at } => Ok(Some(before.cloned().unwrap_or_else(|| new(*at, None)))),
            Self::Skip { due } => {
                let mut state = known()?;
                if *due <= state.passed {
                    return Err(ScheduleRefusal::Passed);
                }
                state.passed = *due;
                Ok(Some(state))
            }
            Self::Begin { at } => match known()? {
                state if state.passed == ScheduleState::ALL => {
                    Ok(Some(ScheduleState { passed: *at, ..state }))
                }
                _ => Err(ScheduleRefusal::Passed),
            },
            Self::Pause => Ok(Some(ScheduleState { paused: true, ..known()? })),
            Self::Resume { at } => {
                let mut state = known()?;
                let was_wrong = state.passed.0.saturating_sub(at.0) > WRONG_CLOCK;
                if state.paused || was_wrong {
                    state.passed = if was_wrong { *at } else { state.passed.max(*at) };
                }
                Ok(Some(ScheduleState { paused: false, ..state }))
            }
            Self::Add { definition, at } => match before {
                Some(ScheduleState { definition: Some(_), .. }) => Err(ScheduleRefusal::Exists),
                _ => Ok(Some(new(*at, Some(definition.clone())))),
            },
            Self::Remove => match known()? {
                ScheduleState { definition: None, .. } => Err(ScheduleRefusal::Unknown),
                _ => Ok(None),
            },
        }
    }
}

impl ScheduledFor {
    /// Tells whether an action may be queued for this time of a schedule.
    ///
    /// # Errors
    ///
    /// The refusal, if it may not.
    pub fn admit(&self, schedule: Option<&ScheduleState>) -> Result<(), ScheduleRefusal> {
        let schedule = schedule.ok_or(ScheduleRefusal::Unknown)?;
        match self.on_demand {
            true => Ok(()),
            false if schedule.paused => Err(ScheduleRefusal::Paused),
            false if self.due <= schedule.passed => Err(ScheduleRefusal::Passed),
            false => Ok(()),
        }
    }

    /// Returns the schedule once this action is queued for it.
    #[must_use]
    pub fn queued(&self, schedule: &ScheduleState, queue: QueueId, id: ActionId) -> ScheduleState {
        let mut after = schedule.clone();
        after.last = Some(LastScheduled { due: self.due, queue, id });
        if !self.on_demand {
            after.passed = self.due;
            after.cycles = after.cycles.saturating_add(1);
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(passed: i64) -> ScheduleState {
        let new = ScheduleState::new("Nightly".to_owned(), Timestamp(1_000), None);
        ScheduleState { passed: Timestamp(passed), ..new }
    }

    fn at(due: i64, on_demand: bool) -> ScheduledFor {
        ScheduledFor { schedule: "Nightly".to_owned(), due: Timestamp(due), on_demand }
    }

    #[test]
    fn each_time_has_one_action_at_most() {
        let new = ScheduleState::new("Nightly".to_owned(), Timestamp(1_000), None);
        assert_eq!(at(1_000, false).admit(Some(&new)), Ok(()), "it may be due at once");
        let paused = ScheduleState { paused: true, ..known(5_000) };
        for (scheduled, schedule, expected) in [
            (at(5_001, false), Some(known(5_000)), Ok(())),
            (at(5_000, false), Some(known(5_000)), Err(ScheduleRefusal::Passed)),
            (at(4_000, false), Some(known(5_000)), Err(ScheduleRefusal::Passed)),
            (at(4_000, true), Some(known(5_000)), Ok(())),
            (at(6_000, false), Some(paused.clone()), Err(ScheduleRefusal::Paused)),
            (at(6_000, true), Some(paused), Ok(())),
            (at(6_000, false), None, Err(ScheduleRefusal::Unknown)),
            (at(6_000, true), None, Err(ScheduleRefusal::Unknown)),
        ] {
            assert_eq!(scheduled.admit(schedule.as_ref()), expected, "{scheduled:?} {schedule:?}");
        }
        let (queue, id) = (QueueId(3), ActionId::new(7).unwrap());
        let after = at(6_000, false).queued(&known(5_000), queue, id);
        let last = Some(LastScheduled { due: Timestamp(6_000), queue, id });
        assert_eq!((after.passed, after.cycles, after.last), (Timestamp(6_000), 1, last));
        let after = at(6_000, true).queued(&known(5_000), queue, id);
        assert_eq!((after.passed, after.cycles, after.last), (Timestamp(5_000), 0, last));
    }

    #[test]
    fn what_was_missed_in_a_pause_is_not_made_up_for() {
        let paused = ScheduleState { paused: true, ..known(5_000) };
        for (before, now, passed) in [
            (paused.clone(), 9_000, 9_000),
            // The clock of another server.
            (paused.clone(), 4_000, 5_000),
            (known(5_000), 9_000, 5_000),
            // The clock was far ahead once.
            (known(5_000 + WRONG_CLOCK), 4_999, 4_999),
            (known(5_000 + WRONG_CLOCK), 5_000, 5_000 + WRONG_CLOCK),
        ] {
            let after =
                ScheduleChange::Resume { at: Timestamp(now) }.apply("nightly", Some(&before));
            let after = after.unwrap().unwrap();
            assert_eq!((after.passed.0, after.paused), (passed, false), "{before:?} at {now}");
        }
    }

    #[test]
    fn what_was_due_while_it_was_off_is_not_made_up_for() {
        let off = ScheduleChange::Skip { due: ScheduleState::ALL };
        let begin = ScheduleChange::Begin { at: Timestamp(9_000) };
        let paused = ScheduleState { paused: true, ..known(5_000) };
        for before in [known(5_000), paused] {
            let after = off.apply("Nightly", Some(&before)).unwrap().unwrap();
            assert_eq!(off.apply("Nightly", Some(&after)), Err(ScheduleRefusal::Passed));
            assert!(at(6_000, false).admit(Some(&after)).is_err());
            let on = begin.apply("Nightly", Some(&after)).unwrap().unwrap();
            assert_eq!((on.passed.0, on.paused), (9_000, before.paused));
            assert_eq!(begin.apply("Nightly", Some(&on)), Err(ScheduleRefusal::Passed));
            // Whoever resumes it meanwhile turns nothing on that would be late.
            let resumed = ScheduleChange::Resume { at: Timestamp(7_000) };
            assert_eq!(resumed.apply("Nightly", Some(&after)).unwrap().unwrap().passed.0, 7_000);
        }
        assert_eq!(begin.apply("Nightly", None), Err(ScheduleRefusal::Unknown));
    }

    #[test]
    fn only_what_was_added_is_removed() {
        let add =
            |text: &str| ScheduleChange::Add { definition: text.to_owned(), at: Timestamp(9) };
        let added = add("{}").apply("Extra", None).unwrap().unwrap();
        assert_eq!(added.definition.as_deref(), Some("{}"));
        assert_eq!(add("[]").apply("extra", Some(&added)), Err(ScheduleRefusal::Exists));
        assert_eq!(ScheduleChange::Remove.apply("extra", Some(&added)), Ok(None));
        let seen = ScheduleChange::See { at: Timestamp(1) }.apply("Extra", None).unwrap().unwrap();
        let unknown = Err(ScheduleRefusal::Unknown);
        assert_eq!(ScheduleChange::Remove.apply("extra", Some(&seen)), unknown);
        // Its own progress, and not that of one that had the name before.
        assert_eq!(add("{}").apply("Extra", Some(&seen)), Ok(Some(added)));
        for change in [ScheduleChange::Pause, ScheduleChange::Remove] {
            assert_eq!(change.apply("None", None), unknown);
        }
        let again = ScheduleChange::See { at: Timestamp(2) }.apply("Extra", Some(&seen));
        assert_eq!(again, Ok(Some(seen)));
    }
}
