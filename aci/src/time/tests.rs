//! Tests of how times are written and read.

use chrono::Utc;
use proptest::prelude::*;

use super::*;

/// A zone whose clock goes from 02:00 to 03:00 on 2024-03-31 and from 03:00 to 02:00 on 2024-10-27, at 01:00 UTC.
#[derive(Debug, Clone, Copy)]
struct Changing;

impl Changing {
    fn is_summer(utc: &NaiveDateTime) -> bool {
        let at = |month, day| {
            NaiveDate::from_ymd_opt(2024, month, day).unwrap().and_hms_opt(1, 0, 0).unwrap()
        };
        (at(3, 31)..at(10, 27)).contains(utc)
    }
}

impl TimeZone for Changing {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        let (winter, summer) =
            (FixedOffset::east_opt(3600).unwrap(), FixedOffset::east_opt(7200).unwrap());
        let is_summer = Self::is_summer(&(*local - summer));
        match (is_summer, !Self::is_summer(&(*local - winter))) {
            (true, true) => MappedLocalTime::Ambiguous(summer, winter),
            (true, false) => MappedLocalTime::Single(summer),
            (false, true) => MappedLocalTime::Single(winter),
            (false, false) => MappedLocalTime::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
        FixedOffset::east_opt(if Self::is_summer(utc) { 7200 } else { 3600 }).unwrap()
    }
}

/// 2014-07-17 22:30:00 UTC, which is the 18th in the zone two hours east.
const NOW_MS: i64 = 1_405_636_200_000;

fn east() -> FixedOffset {
    FixedOffset::east_opt(7200).unwrap()
}

#[test]
fn times_are_written_as_servers_do() {
    assert_eq!(queue_time(1_255_617_872_999, &Utc), "2009-Oct-15 14:44:32");
    assert_eq!(
        queue_time(1_439_829_649_466, &FixedOffset::east_opt(3600).unwrap()),
        "2015-Aug-17 17:40:49"
    );
    assert_eq!(error_time(1_139_245_434_000, &Utc), "06 Feb 06 17:03:54");
    assert_eq!(queue_time(-1, &Utc), "1969-Dec-31 23:59:59");
    assert_eq!(queue_time(0, &FixedOffset::west_opt(3600).unwrap()), "1969-Dec-31 23:00:00");
}

#[test]
fn times_out_of_range_are_still_times() {
    for ms in [i64::MIN, i64::MAX] {
        for zone in [FixedOffset::east_opt(86_399).unwrap(), FixedOffset::west_opt(86_399).unwrap()]
        {
            assert_eq!(queue_time(ms, &zone).len(), 20);
            assert_eq!(error_time(ms, &zone).len(), 18);
        }
    }
}

#[test]
fn lengths_of_time_begin_with_the_first_unit_that_counts() {
    let table = [
        (0, "0 secs"),
        (59, "59 secs"),
        (60, "1 mins, 0 secs"),
        (6796, "1 hours, 53 mins, 16 secs"),
        (242_727, "2 days, 19 hours, 25 mins, 27 secs"),
        (86_400, "1 days, 0 hours, 0 mins, 0 secs"),
    ];
    for (seconds, expected) in table {
        assert_eq!(span(seconds), expected);
    }
}

#[test]
fn filters_are_read_in_every_form() {
    let table = [
        ("2014-07-17 15:00:00 GMT", 1_405_609_200),
        ("2014-07-17 15:00:00", 1_405_602_000),
        ("2014-07-17T15:00:00", 1_405_602_000),
        ("2014-07-17t15:00:00.250Z", 1_405_609_200),
        ("2014-Jul-17 15:00:00 utc", 1_405_609_200),
        ("2014-JUL-17 15:00:00Z", 1_405_609_200),
        (" 2014-jul-17   15:00 GMT ", 1_405_609_200),
        ("2014-7-17 15:00 GMT", 1_405_609_200),
        ("2014-07-17 15:00:00 +00:00", 1_405_609_200),
        ("2014-07-17 15:00:00+0100", 1_405_605_600),
        ("2014-07-17 15:00:00 +0100", 1_405_605_600),
        ("2014-07-17 15:00:00 01:00", 1_405_605_600),
        ("2014-07-17 15:00:00  0100", 1_405_605_600),
        ("2014-07-17 15:00:00 -01:30", 1_405_614_600),
        ("2014-07-17 15:00:00 EST", 1_405_627_200),
        ("2014-07-17 15:00:00 edt", 1_405_623_600),
        ("2014-07-17 15:00:00 CST", 1_405_630_800),
        ("2014-07-17 15:00:00 CDT", 1_405_627_200),
        ("2014-07-17 15:00:00 MST", 1_405_634_400),
        ("2014-07-17 15:00:00 MDT", 1_405_630_800),
        ("2014-07-17 15:00:00 PST", 1_405_638_000),
        ("2014-07-17 15:00:00 PDT", 1_405_634_400),
        ("2014-07-17", 1_405_548_000),
        ("2014-Jul-17 GMT", 1_405_555_200),
        ("2014-07-17Z", 1_405_555_200),
        // Today is the 18th in the server's zone, the 17th in Greenwich.
        ("15:00:00", 1_405_688_400),
        ("15:00:00 GMT", 1_405_609_200),
        ("5:00 Z", 1_405_573_200),
        ("0", 0),
        ("1405609200", 1_405_609_200),
        ("-86400", -86_400),
    ];
    for (text, expected) in table {
        assert_eq!(parse_filter(text, NOW_MS, &east()), Ok(expected), "{text}");
    }
}

#[test]
fn anything_else_is_refused() {
    let long = "1".repeat(65);
    let table = [
        "",
        "-",
        "now",
        "2014-07",
        "2014-13-01",
        "2014-02-30",
        "14-07-17",
        "2014-07-17 25:00:00",
        "2014-07-17 15:60",
        "2014-07-17 15:00:60",
        "2014-07-17 15",
        "2014-07-17T",
        "2014-07-17X",
        "2014-07-17 15:00:00 CEST",
        "2014-07-17 15:00:00 +1",
        "2014-07-17 15:00:00 +01:00x",
        "2014-07-17 15:00:00 +25:00",
        "2014-07-17 15:00:00 +01:75",
        "2014-07-17 15:00:0001:00",
        "2014-07-17 15:00:00 --0100",
        "2014-07-17 15:00:00 ++100",
        "2014-Foo-17",
        "2014-Jü-17",
        "12014-07-17",
        "15:00:00 GMT GMT",
        "99999999999999999999",
        "253402300800",
        "-99999999999999",
        "2014-07-17 15:00:00.",
        &long,
    ];
    for text in table {
        assert_eq!(parse_filter(text, NOW_MS, &east()), Err(FILTER_FORMS.to_owned()), "{text}");
    }
}

#[test]
fn where_the_clock_changes_the_earliest_time_counts() {
    let table = [
        ("2024-03-31 01:59:59", 1_711_846_799),
        ("2024-03-31 02:00:00", 1_711_846_800),
        ("2024-03-31 02:30:15", 1_711_846_800),
        ("2024-03-31 03:00:00", 1_711_846_800),
        ("2024-10-27 02:30:00", 1_729_989_000),
        ("2024-10-27 03:00:00", 1_729_994_400),
    ];
    for (text, expected) in table {
        assert_eq!(parse_filter(text, NOW_MS, &Changing), Ok(expected), "{text}");
    }
    assert_eq!(queue_time(1_711_846_800_000, &Changing), "2024-Mar-31 03:00:00");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(seconds in -30_610_224_000..LAST_SECOND, zone in -50_400..50_400_i32) {
        let tz = FixedOffset::east_opt(zone).unwrap();
        let text = queue_time(seconds * 1000 + 999, &tz);
        prop_assert_eq!(parse_filter(&text, 0, &tz), Ok(seconds));
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), like in "[0-9TZ:+. -]{0,30}", zone in "[0-9a-zA-Zü:+ -]{0,8}", now in any::<i64>()) {
        for text in [text, like, format!("2014-07-17 15:00:00{zone}"), format!("15:00{zone}"), format!("2014-{zone}")] {
            let _ = parse_filter(&text, now, &Changing);
        }
        let _ = (queue_time(now, &Changing), error_time(now, &Changing));
    }
}
