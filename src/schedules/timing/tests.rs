use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, Days, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc, Weekday,
};
use chrono_tz::Tz;

use super::*;

fn definition(cron: &str, zone: &str) -> Definition {
    Definition {
        cron: Some(cron.to_owned()),
        time_zone: Some(zone.to_owned()),
        ..Definition::default()
    }
}

fn timing(cron: &str, zone: &str) -> Timing {
    Timing::of(&definition(cron, zone)).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<DateTime<Utc>>().unwrap().timestamp_millis())
}

fn text(due: Option<Timestamp>) -> String {
    due.map_or("never".to_owned(), |due| {
        let time = DateTime::from_timestamp_millis(due.0).unwrap();
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    })
}

const LONG_AGO: Timestamp = Timestamp(0);

#[test]
fn what_is_never_due_is_a_fault() {
    let now = Timestamp(1_767_225_600_000);
    for (start, cycles, cron, is_due) in [
        (None, Some(1), None, true),
        (Some("2026-01-01T00:00:00Z"), Some(1), None, true),
        (Some("2025-12-31T23:59:59Z"), Some(1), None, false),
        (Some("2025-12-31T23:59:59Z"), Some(1), Some("@daily"), true),
        (Some("2020-01-01T00:00:00Z"), None, Some("0 0 29 2 *"), true),
    ] {
        let definition = Definition {
            cron: cron.map(str::to_owned),
            start_time: start.map(str::to_owned),
            cycles,
            ..Definition::default()
        };
        let checked = Timing::of(&definition).unwrap().check_due(now);
        let key = checked.err().map(|fault| fault.key);
        assert_eq!(key, (!is_due).then_some("StartTime"), "{definition:?}");
    }
}

#[test]
fn a_time_that_is_skipped_or_doubled_is_due_once() {
    let table = [
        // Berlin: 02:00 to 03:00 is skipped on 2026-03-29, and comes twice on 2026-10-25.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:15:00.250Z", "2026-10-26T01:30:00Z"),
        // What is due each quarter of an hour is due once at the end of the gap, and not in the hour that comes again.
        ("*/15 * * * *", "Europe/Berlin", "2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z"),
        ("*/15 * * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"),
        ("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-25T02:00:00Z"),
        ("*/15 * * * *", "Europe/Berlin", "2026-10-25T01:59:59.999Z", "2026-10-25T02:00:00Z"),
        ("* * * * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"),
        // Half an hour, in the other half of the year.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-04T14:45:00Z"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"),
        // Samoa had no 2011-12-30.
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z"),
        ("0 0 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T18:15:00Z"),
        // Names, nicknames, and either of two days.
        ("@daily", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("@Hourly", "utc", "2026-01-01T00:00:00.001Z", "2026-01-01T01:00:00Z"),
        ("0 9 * JUL mon-fri", "UTC", "2026-01-01T00:00:00Z", "2026-07-01T09:00:00Z"),
        ("0 0 13 * fri", "UTC", "2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z"),
        ("0 0 13 * fri", "UTC", "2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"),
        ("10 0 0 1 1 *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
    ];
    for (cron, zone, after, due) in table {
        let next = timing(cron, zone).next_due(LONG_AGO, at(after));
        assert_eq!(text(next), due, "{cron} in {zone} after {after}");
    }
}

#[test]
fn what_repeats_counts_from_its_start() {
    let of = |repeat_secs, start: Option<&str>, cycles| {
        let start_time = start.map(ToOwned::to_owned);
        let time_zone = Some("Europe/Berlin".to_owned());
        Timing::of(&Definition {
            repeat_secs,
            start_time,
            cycles,
            time_zone,
            ..Definition::default()
        })
        .unwrap()
    };
    let since = at("2026-05-01T10:00:00.500Z");
    for (timing, after, due) in [
        (of(Some(60), None, None), "2026-05-01T09:00:00Z", "2026-05-01T10:00:00Z"),
        (of(Some(60), Some("NOW"), None), "2026-05-01T10:00:00.500Z", "2026-05-01T10:01:00Z"),
        (of(Some(60), None, None), "2026-05-01T10:01:00.499Z", "2026-05-01T10:01:00Z"),
        (of(Some(60), None, None), "2026-05-01T10:01:00.500Z", "2026-05-01T10:02:00Z"),
        // In the zone of the schedule, of the day on which it was first known.
        (of(Some(7200), Some("14:00"), None), "2026-05-01T10:00:00Z", "2026-05-01T12:00:00Z"),
        (of(Some(7200), Some("14:00"), None), "2026-05-03T12:00:00Z", "2026-05-03T14:00:00Z"),
        (of(Some(60), Some("+90"), None), "2026-05-01T10:00:00Z", "2026-05-01T10:01:30Z"),
        (
            of(None, Some("2026-05-02 02:00"), Some(1)),
            "2026-05-01T10:00:00Z",
            "2026-05-02T00:00:00Z",
        ),
        (of(None, Some("2026-05-02 02:00"), Some(1)), "2026-05-02T00:00:00Z", "never"),
        (of(Some(60), Some("2099-01-01"), None), "2026-05-01T10:00:00Z", "never"),
    ] {
        assert_eq!(text(timing.next_due(since, at(after))), due, "{timing:?} after {after}");
    }
    let daily = Timing::of(&Definition {
        start_time: Some("2026-06-01 12:00".to_owned()),
        ..definition("0 12 * * *", "UTC")
    });
    assert_eq!(text(daily.unwrap().next_due(since, since)), "2026-06-01T12:00:00Z");
}

#[test]
fn the_latest_due_time_is_the_last_of_all() {
    for (cron, zone) in [
        ("*/20 * * * * *", "UTC"),
        ("30 2 * * *", "Europe/Berlin"),
        ("*/7 1-3 * * *", "Europe/Berlin"),
        ("0 0 1 1 *", "UTC"),
    ] {
        let timing = timing(cron, zone);
        let (after, until) = (at("2026-10-24T20:00:00Z"), at("2026-10-25T03:10:00Z"));
        let mut last = None;
        let mut next = timing.next_due(LONG_AGO, after);
        while let Some(due) = next.filter(|due| *due <= until) {
            last = Some(due);
            next = timing.next_due(LONG_AGO, due);
        }
        assert_eq!(timing.latest_due(LONG_AGO, after, until), last, "{cron} in {zone}");
        if let Some(last) = last {
            let before = Timestamp(last.0 - 1);
            assert_eq!(timing.latest_due(LONG_AGO, after, last), Some(last));
            assert!(timing.latest_due(LONG_AGO, after, before) < Some(last));
        }
    }
    // Ten years in seconds.
    let every = Definition { repeat_secs: Some(1), ..Definition::default() };
    let (since, until) = (at("2016-01-01T00:00:00Z"), at("2026-01-01T00:00:00.999Z"));
    let latest = Timing::of(&every).unwrap().latest_due(since, since, until);
    assert_eq!(text(latest), "2026-01-01T00:00:00Z");
}

#[test]
fn what_can_not_be_used_is_told_by_its_key() {
    let cron = |pattern: &str| definition(pattern, "UTC");
    let repeat =
        |repeat_secs| Definition { repeat_secs: Some(repeat_secs), ..Definition::default() };
    let table = [
        (Definition::default(), "Cron", "RepeatSecs in its place"),
        (Definition { cycles: Some(2), ..Definition::default() }, "Cron", "five fields"),
        (
            Definition { cron: Some("@daily".to_owned()), ..repeat(5) },
            "RepeatSecs",
            "left out beside Cron",
        ),
        (repeat(0), "RepeatSecs", "from 1 to 315576000"),
        (cron(""), "Cron", "it has 0 fields"),
        (cron("* * * *"), "Cron", "it has 4 fields"),
        (cron("* * * * * * *"), "Cron", "it has 7 fields"),
        (cron("60 * * * *"), "Cron", "the minute can't be '60'"),
        (cron("0 24 * * *"), "Cron", "the hour can't be '24'"),
        (cron("0 0 * foo *"), "Cron", "the month can't be 'foo'"),
        (cron("61 0 0 * * *"), "Cron", "the second can't be '61'"),
        (cron("@reboot"), "Cron", "@daily"),
        (cron("0 0 30 2 *"), "Cron", "a day that comes"),
        (cron(&"1,".repeat(300)), "Cron", "500 bytes"),
        (definition("@daily", "Europe/Berln"), "TimeZone", "is Europe/Berlin meant?"),
        (Definition { start_time: Some("soon".to_owned()), ..repeat(5) }, "StartTime", "now, "),
    ];
    for (definition, key, part) in table {
        let fault = Timing::of(&definition).unwrap_err();
        assert_eq!(fault.key, key, "{definition:?}");
        assert!(fault.allowed.contains(part), "{definition:?}: {fault}");
    }
}

#[test]
fn a_delay_is_bounded_and_the_same_everywhere() {
    let longest = Duration::from_secs(30);
    let delays: BTreeSet<_> = (0..100).map(|n| jitter("Nightly", Timestamp(n), longest)).collect();
    assert!(delays.len() > 50 && delays.iter().all(|delay| *delay <= longest), "{delays:?}");
    let due = at("2026-05-01T10:00:00Z");
    assert_eq!(jitter("Nightly", due, longest), jitter("NIGHTLY", due, longest));
    assert_eq!(jitter("Nightly", due, Duration::ZERO), Duration::ZERO);
}

/// A pattern, and a reading of it that has nothing to do with cron.
type Case = (&'static str, fn(&NaiveDateTime) -> bool);

const CASES: &[Case] = &[
    ("30 2 * * *", |t| (t.hour(), t.minute()) == (2, 30)),
    ("*/15 0-4 * * *", |t| t.minute() % 15 == 0 && t.hour() <= 4),
    ("@daily", |t| (t.hour(), t.minute()) == (0, 0)),
    ("10-12 1,2,3 * * sun", |t| {
        (10..=12).contains(&t.minute())
            && (1..=3).contains(&t.hour())
            && t.weekday() == Weekday::Sun
    }),
    ("0 12 1 * mon", |t| {
        (t.hour(), t.minute()) == (12, 0) && (t.day() == 1 || t.weekday() == Weekday::Mon)
    }),
    ("59 23 L * *", |t| (t.hour(), t.minute()) == (23, 59) && (t.date() + Days::new(1)).day() == 1),
    ("0 */6 29-31 JAN-MAR *", |t| {
        t.minute() == 0 && t.hour() % 6 == 0 && t.day() >= 29 && t.month() <= 3
    }),
];

/// The minutes at which something may be due, and those half an hour away: the offsets of the zones are whole half hours. There are
/// three million others, at which no clock comes to anything.
const MINUTES: [i64; 12] = [0, 10, 11, 12, 15, 29, 30, 40, 41, 42, 45, 59];

/// Goes through a year minute by minute, as a clock on the wall shows it: a case is due when the clock comes to a time that it
/// names for the first time, or jumps over one.
fn walk(zone: Tz, first: DateTime<Utc>) -> Vec<Vec<i64>> {
    let mut due = vec![Vec::new(); CASES.len()];
    // Local times in minutes.
    let mut highest: Option<i64> = None;
    for minute in (0..366 * 24 * 60).filter(|minute| MINUTES.contains(&(minute % 60))) {
        let now = first + TimeDelta::minutes(minute);
        let offset = zone.offset_from_utc_datetime(&now.naive_utc()).fix();
        let shown = (now.timestamp() + i64::from(offset.local_minus_utc())) / 60;
        let mut is_due = vec![false; CASES.len()];
        for passed in highest.map_or(shown, |highest| highest + 1)..=shown {
            if MINUTES.contains(&(passed % 60)) {
                let local = DateTime::from_timestamp(passed * 60, 0).unwrap().naive_utc();
                for (is_due, (_, names)) in is_due.iter_mut().zip(CASES) {
                    *is_due |= names(&local);
                }
            }
        }
        highest = highest.max(Some(shown));
        for (due, is_due) in due.iter_mut().zip(is_due) {
            due.extend(is_due.then_some(now.timestamp_millis()));
        }
    }
    due
}

#[test]
fn a_year_of_due_times_in_five_zones_is_that_of_a_clock_on_the_wall() {
    for (zone, year) in [
        (Tz::Europe__Berlin, 2026),
        (Tz::America__New_York, 2027),
        // Half an hour, and two hours.
        (Tz::Australia__Lord_Howe, 2026),
        (Tz::Antarctica__Troll, 2028),
        // A day that never was, and a clock that was not set back that year.
        (Tz::Pacific__Apia, 2011),
    ] {
        let first = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap();
        let last = (first + TimeDelta::minutes(366 * 24 * 60 - 1)).timestamp_millis();
        for ((pattern, _), expected) in CASES.iter().zip(walk(zone, first)) {
            let timing = timing(pattern, zone.name());
            let mut found = Vec::with_capacity(expected.len());
            let mut next = timing.next_due(LONG_AGO, Timestamp(first.timestamp_millis() - 1));
            while let Some(due) = next.filter(|due| due.0 <= last) {
                found.push(due.0);
                next = timing.next_due(LONG_AGO, due);
            }
            let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            let shown = |ms: &i64| text(Some(Timestamp(*ms)));
            assert!(
                found == expected,
                "{pattern} in {zone}: {} and not {}; {:?}",
                found.len(),
                expected.len(),
                differs.map(|(found, expected)| (shown(found), shown(expected)))
            );
        }
    }
}
