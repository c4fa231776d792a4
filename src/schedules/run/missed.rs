//! Times that are due too late, or while a schedule is off.

use actiond_actors::Timestamp;
use actiond_actors::store::{ScheduleChange, ScheduleState};

use super::super::entry::{Entry, millis};
use super::{AT_ONE_LOOK, Next, Runner};

/// The time after which what is due counts as missed. Until then each due time has its action, however late; and of those at which no
/// server was there the latest.
const LATE_MS: i64 = 60_000;

impl Runner {
    /// Returns the latest due time that was missed, if this one was.
    pub(super) fn missed(
        &self,
        entry: &Entry,
        state: &ScheduleState,
        due: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let fires = entry.fires(due);
        let began = self.memory().began;
        let until = if is_late(entry, due, now) {
            now
        } else if fires < began {
            Timestamp(began.0.saturating_sub(1))
        } else {
            return None;
        };
        // Later ones may wait for their delays.
        let sure = Timestamp(until.0.saturating_sub(millis(entry.longest_delay())));
        let mut latest = entry.timing.latest_due(state.since, state.passed, sure).unwrap_or(due);
        for _ in 0..AT_ONE_LOOK {
            match entry.timing.next_due(state.since, latest) {
                Some(due) if entry.fires(due) <= until => latest = due,
                _ => break,
            }
        }
        Some(latest)
    }

    /// Leaves out all that would be due, for as long as a schedule is off: what was due then is not made up for.
    pub(super) async fn turn_off(&self, entry: &Entry, state: &ScheduleState) -> Next {
        if state.passed == ScheduleState::ALL {
            return Next::Never;
        }
        let off = ScheduleChange::Skip { due: ScheduleState::ALL };
        match self.change(entry, off).await {
            Ok(()) => Next::Never,
            Err(error) => self.refused(entry, &error),
        }
    }
}

/// Tells whether the action of a due time would come too late.
pub(super) fn is_late(entry: &Entry, due: Timestamp, now: Timestamp) -> bool {
    now.0.saturating_sub(entry.fires(due).0) > LATE_MS
}
