//! Number of actions of a queue in each state.

use std::fmt;

use crate::action::State;

/// Number of actions of a queue in each state. Displayed without zeros, as `2 Queued, 1 Processing`.
///
/// ```
/// use actiond_actors::{Counts, State};
/// let counts: Counts = [State::Queued, State::Paused, State::Queued].into_iter().collect();
/// assert_eq!((counts.queued(), counts.running(), counts.finished()), (2, 1, 0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; State::ALL.len()]);

impl Counts {
    /// Returns the number in one state.
    #[must_use]
    pub fn of(&self, state: State) -> u64 {
        self.0.get(state as usize).copied().unwrap_or_default()
    }

    /// Returns the number of waiting actions.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.of(State::Queued)
    }

    /// Returns the number of actions that hold a slot.
    #[must_use]
    pub fn running(&self) -> u64 {
        State::ALL.into_iter().filter(|s| s.is_running()).map(|s| self.of(s)).sum()
    }

    /// Returns the number of actions in a final state.
    #[must_use]
    pub fn finished(&self) -> u64 {
        State::ALL.into_iter().filter(|s| s.is_final()).map(|s| self.of(s)).sum()
    }

    /// Adds this number of actions in a state.
    pub fn add(&mut self, state: State, number: u64) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count = count.saturating_add(number);
        }
    }

    /// Takes one action in this state away.
    pub fn take(&mut self, state: State) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

impl FromIterator<State> for Counts {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        let mut counts = Self::default();
        for state in states {
            counts.add(state, 1);
        }
        counts
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counts({self})")
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = State::ALL.into_iter().map(|state| (state, self.of(state)));
        let mut any = false;
        for (state, number) in counted.filter(|(_, number)| *number > 0) {
            let before = if any { ", " } else { "" };
            write!(f, "{before}{number} {state}")?;
            any = true;
        }
        if any { Ok(()) } else { f.write_str("no actions") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_as_those_that_there_are() {
        let mut counts = Counts::default();
        assert_eq!(counts.to_string(), "no actions");
        counts.add(State::Error, 1);
        assert_eq!(counts.to_string(), "1 Error");
        assert_eq!(format!("{counts:?}"), "Counts(1 Error)");
        counts.add(State::Queued, 2_000);
        counts.add(State::Processing, 3);
        assert_eq!(counts.to_string(), "2000 Queued, 3 Processing, 1 Error");
    }
}
