//! Time zones of schedules: local times, and the moments that they stand for.

use chrono::{DateTime, Local, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::aci::time::earliest;
use crate::aci::words::nearest;

/// The time zone by which a schedule reads the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// That of the server.
    Server,
    /// One of the IANA database.
    Named(Tz),
}

/// The longest time, in minutes, for which clocks show times a second time; as long as the widest gap known.
const LONGEST_FOLD_MINUTES: i64 = 25 * 60;

impl Zone {
    /// Finds a zone by its name in the IANA database, in any case.
    ///
    /// # Errors
    ///
    /// The allowed names as a phrase.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let named = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        named.copied().map(Self::Named).ok_or_else(|| {
            let near = nearest(name, TZ_VARIANTS.iter().map(|zone| zone.name()));
            let near = near.map(|near| format!(" (is {near} meant?)")).unwrap_or_default();
            format!("a time zone of the IANA database, such as Europe/Berlin or UTC{near}")
        })
    }

    /// Returns the local time at a moment, which is in milliseconds since 1970.
    fn local(self, at: i64) -> Option<NaiveDateTime> {
        let at: DateTime<Utc> = DateTime::from_timestamp_millis(at)?;
        let offset = match self {
            Self::Server => Local.offset_from_utc_datetime(&at.naive_utc()).fix(),
            Self::Named(zone) => zone.offset_from_utc_datetime(&at.naive_utc()).fix(),
        };
        at.naive_utc().checked_add_offset(offset)
    }

    /// Returns the first moment that a local time stands for: see [`earliest`].
    pub(super) fn moment(self, local: NaiveDateTime) -> Option<i64> {
        let seconds = match self {
            Self::Server => earliest(local, &Local),
            Self::Named(zone) => earliest(local, &zone),
        };
        seconds?.checked_mul(1000)
    }

    /// Reads a time as [`crate::aci::catalog::parse_start`] does.
    pub(super) fn parse_start(self, text: &str, now_ms: i64) -> Option<i64> {
        use crate::aci::catalog::parse_start;
        match self {
            Self::Server => parse_start(text, now_ms, &Local).ok(),
            Self::Named(zone) => parse_start(text, now_ms, &zone).ok(),
        }
    }

    /// Returns a local time in whole seconds of which all later ones, and no earlier one, may stand for a moment after this one.
    pub(super) fn passed(self, at: i64) -> Option<NaiveDateTime> {
        let local = self.local(at)?.with_nanosecond(0)?;
        if self.moment(local)? > at.saturating_sub(1000) {
            return Some(local);
        }
        // The clock shows these times for the second time: all of them have passed.
        let minute = local.with_second(0)?;
        let last = (1..=LONGEST_FOLD_MINUTES).find_map(|ahead| {
            let later = minute.checked_add_signed(TimeDelta::minutes(ahead))?;
            let is_new = self.moment(later)? > at;
            is_new.then(|| later.checked_sub_signed(TimeDelta::seconds(1))).flatten()
        });
        last.or(Some(local))
    }
}
