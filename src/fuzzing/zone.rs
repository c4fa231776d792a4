//! A time zone whose clock is set forward and back, which fixed offsets can't be.

use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone};

/// The offset of the clock from UTC before and after the changes, in seconds: far behind, so that a change by a whole day
/// is still an offset.
const WINTER: i32 = -11 * 3600;

/// From [`FIRST`] to [`LAST`], in seconds of UTC, the clock is ahead by `1` seconds more than in winter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changing(pub(super) i32);

/// 2014-03-30 01:00:00 UTC.
pub(super) const FIRST: i64 = 1_396_141_200;
/// 2014-10-26 01:00:00 UTC.
pub(super) const LAST: i64 = 1_414_285_200;

impl Changing {
    fn ahead(self, utc: i64) -> i32 {
        if (FIRST..LAST).contains(&utc) { WINTER.saturating_add(self.0) } else { WINTER }
    }

    fn offset(seconds: i32) -> FixedOffset {
        FixedOffset::east_opt(seconds).unwrap_or_else(|| chrono::Utc.fix())
    }
}

impl TimeZone for Changing {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self(3600)
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        let local = local.and_utc().timestamp();
        let fits = |ahead: i32| self.ahead(local.saturating_sub(ahead.into())) == ahead;
        let (winter, summer) = (WINTER, WINTER.saturating_add(self.0));
        match (fits(winter), fits(summer)) {
            (true, true) if winter == summer => MappedLocalTime::Single(Self::offset(winter)),
            (true, true) => MappedLocalTime::Ambiguous(Self::offset(summer), Self::offset(winter)),
            (true, false) => MappedLocalTime::Single(Self::offset(winter)),
            (false, true) => MappedLocalTime::Single(Self::offset(summer)),
            (false, false) => MappedLocalTime::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
        Self::offset(self.ahead(utc.and_utc().timestamp()))
    }
}
