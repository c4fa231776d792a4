//! Conversion of columns to the types of the store.

use std::time::Duration;

use tokio_postgres::Row;

use super::errors::{Failure, corrupt};
use super::schema::DEFERRED;
use super::sites::Sites;
use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::store::{Claimed, Counts, Figures, Origin};

pub(super) fn action_id(row: &Row, column: usize) -> Result<ActionId, Failure> {
    let number: i64 = row.try_get(column)?;
    let id = u64::try_from(number).ok().and_then(ActionId::new);
    id.ok_or_else(|| corrupt(format!("an action has the id {number}")).into())
}

/// Returns an id as PostgreSQL's integer; ids have at most eleven digits.
pub(super) fn id_number(id: ActionId) -> i64 {
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

/// Returns the state of this number.
pub(super) fn state(number: i16) -> Result<State, Failure> {
    if number == DEFERRED {
        return Ok(State::Queued);
    }
    let state = usize::try_from(number).ok().and_then(|index| State::ALL.get(index));
    state.copied().ok_or_else(|| corrupt(format!("an action has the state {number}")).into())
}

pub(super) fn time(row: &Row, column: usize) -> Result<Option<Timestamp>, Failure> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp))
}

/// Reads a text. One that was cut ends between two characters.
pub(super) fn text(row: &Row, column: usize) -> Result<Option<String>, Failure> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    Ok(bytes.map(|bytes| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            String::from_utf8_lossy(whole).into_owned()
        }
    }))
}

/// Reads parameters from their JSON.
pub(super) fn parameters(bytes: &[u8]) -> Result<Parameters, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Reads what an action was submitted with beside its parameters.
pub(super) fn origin(row: &Row, column: usize) -> Result<Option<Box<Origin>>, Failure> {
    let json: Option<&[u8]> = row.try_get(column)?;
    let origin = json.map(serde_json::from_slice).transpose();
    Ok(origin
        .map_err(|error| corrupt(format!("the origin of an action is unreadable: {error}")))?)
}

/// Reads an action that was started, and its parameters or why they can't be read.
pub(super) fn claimed(row: &Row, sites: &Sites) -> Result<(Claimed, Result<(), String>), Failure> {
    let (parameters, readable) = match parameters(row.try_get(6)?) {
        Ok(parameters) => (parameters, Ok(())),
        Err(error) => (Parameters::default(), Err(error)),
    };
    let number = |column| -> Result<u32, Failure> {
        Ok(u32::try_from(row.try_get::<_, i32>(column)?).unwrap_or_default())
    };
    let claimed = Claimed {
        id: action_id(row, 0)?,
        attempt: number(1)?,
        queued_at: Timestamp(row.try_get(2)?),
        started_at: Timestamp(row.try_get(3)?),
        priority: row.try_get(4)?,
        failures: number(5)?,
        restarts: number(7)?,
        taken_by: sites.taken_by(row.try_get(8)?),
        parameters,
    };
    Ok((claimed, readable))
}

/// Reads what is shown of an attempt that runs, if something is; the next column says for how long.
/// Figures that can't be read, of another version say, are not shown.
pub(super) fn figures(row: &Row, column: usize, state: State) -> Result<Option<Figures>, Failure> {
    let figures: Option<&[u8]> = row.try_get(column)?;
    let Some(mut figures) = figures.and_then(|json| serde_json::from_slice::<Figures>(json).ok())
    else {
        return Ok(None);
    };
    if state != State::Paused {
        let ago = row.try_get::<_, Option<i64>>(column + 1)?;
        let ago = ago.and_then(|ago| u64::try_from(ago).ok()).unwrap_or_default();
        figures.processing = figures.processing.saturating_add(Duration::from_millis(ago));
    }
    Ok(Some(figures))
}

/// The number of a queue's actions in each state, and of the deferred ones, which are among the queued. As a change it may hold
/// negative numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    states: [i64; State::ALL.len()],
    deferred: i64,
}

impl Tally {
    /// Reads the sums over all servers.
    pub(super) fn read(row: &Row, column: usize) -> Result<Self, Failure> {
        let sums: Vec<Option<i64>> = row.try_get(column)?;
        let mut sums = sums.into_iter().map(Option::unwrap_or_default);
        let mut tally = Self::default();
        for (state, sum) in tally.states.iter_mut().zip(&mut sums) {
            *state = sum;
        }
        tally.deferred = sums.next().unwrap_or_default();
        Ok(tally)
    }

    pub(super) fn add(&mut self, state: State, number: i64) {
        if let Some(count) = self.states.get_mut(state as usize) {
            *count += number;
        }
    }

    pub(super) const fn defer(&mut self, number: i64) {
        self.deferred += number;
    }

    pub(super) fn of(&self, state: State) -> i64 {
        self.states.get(state as usize).copied().unwrap_or_default()
    }

    pub(super) fn deferred(&self) -> u64 {
        u64::try_from(self.deferred).unwrap_or_default()
    }

    /// Returns the number of those that may start.
    pub(super) fn ready(&self) -> i64 {
        self.of(State::Queued) - self.deferred
    }

    pub(super) fn plus(mut self, other: &Self) -> Self {
        for (count, change) in self.states.iter_mut().zip(&other.states) {
            *count += change;
        }
        self.deferred += other.deferred;
        self
    }

    /// Returns its numbers in the order of the columns of `tally`.
    pub(super) fn columns(&self) -> [i64; State::ALL.len() + 1] {
        let mut columns = [self.deferred; State::ALL.len() + 1];
        for (column, count) in columns.iter_mut().zip(&self.states) {
            *column = *count;
        }
        columns
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for state in State::ALL {
            counts.add(state, u64::try_from(self.of(state)).unwrap_or_default());
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up() {
        let mut tally = Tally::default();
        tally.add(State::Queued, 5);
        tally.defer(2);
        let mut change = Tally::default();
        change.add(State::Queued, -1);
        change.add(State::Processing, 1);
        change.defer(-1);
        let sum = tally.plus(&change);
        assert_eq!((sum.of(State::Queued), sum.ready(), sum.deferred()), (4, 3, 1));
        assert_eq!(sum.columns(), [4, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(sum.counts().to_string(), "4 Queued, 1 Processing");
    }
}
