//! Times as replies write them and as filters give them. The time of day always comes from the caller.
//!
//! Replies show the server's local time without a zone, cut to the second, with English month names (observed).

use chrono::{
    DateTime, Datelike, Days, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime,
    Offset, TimeDelta, TimeZone, Timelike,
};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Times outside of the years 1 to 9999 would not have four digits; a day's room is left for any zone.
const FIRST_SECOND: i64 = -62_135_510_400;
const LAST_SECOND: i64 = 253_402_214_400;

/// No time that can be read is longer than this.
const MAX_LENGTH: usize = 64;

/// The forms that [`parse_filter`] reads, as errors and the help tell them.
pub const FILTER_FORMS: &str = "a time such as 2014-07-17 15:00:00, 2014-Jul-17 15:00:00, 15:00:00 (today) or 2014-07-17 (midnight), \
     with a zone such as GMT or +01:00 behind it if it is not the server's, or whole seconds since 1970; from the year 1000 to 9999-12-30";

/// Writes a time as `QueueInfo` shows it: `2009-Oct-15 14:44:32`. `ms` is milliseconds since 1970.
#[must_use]
pub fn queue_time(ms: i64, tz: &impl TimeZone) -> String {
    let time = local(ms, tz);
    let year = u32::try_from(time.year()).unwrap_or(0);
    let mut out = String::with_capacity(20);
    two_digits(year / 100, &mut out);
    two_digits(year, &mut out);
    out.push('-');
    out.push_str(month_name(&time));
    out.push('-');
    two_digits(time.day(), &mut out);
    clock_time(&time, &mut out);
    out
}

/// Writes a time as errors and general actions show it: `06 Feb 06 17:03:54`. `ms` is milliseconds since 1970.
#[must_use]
pub fn error_time(ms: i64, tz: &impl TimeZone) -> String {
    let time = local(ms, tz);
    let mut out = String::with_capacity(20);
    two_digits(time.day(), &mut out);
    out.push(' ');
    out.push_str(month_name(&time));
    out.push(' ');
    two_digits(u32::try_from(time.year()).unwrap_or(0), &mut out);
    clock_time(&time, &mut out);
    out
}

/// Writes a duration as `GetVersion` shows its uptime: `2 days, 19 hours, 25 mins, 27 secs`, without leading units that are
/// zero (observed).
#[must_use]
pub fn span(seconds: u64) -> String {
    let units = [
        (seconds / 86_400, "days"),
        (seconds / 3600 % 24, "hours"),
        (seconds / 60 % 60, "mins"),
        (seconds % 60, "secs"),
    ];
    let shown = units.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let parts: Vec<String> =
        units.iter().skip(shown).map(|(count, unit)| format!("{count} {unit}")).collect();
    parts.join(", ")
}

// By hand, because three of these are in every action that a status reply shows, and format strings cost much more.
fn two_digits(number: u32, out: &mut String) {
    for digit in [number / 10 % 10, number % 10] {
        out.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

fn clock_time(time: &NaiveDateTime, out: &mut String) {
    for (before, number) in [(' ', time.hour()), (':', time.minute()), (':', time.second())] {
        out.push(before);
        two_digits(number, out);
    }
}

fn month_name(time: &NaiveDateTime) -> &'static str {
    usize::try_from(time.month0())
        .ok()
        .and_then(|month| MONTHS.get(month))
        .copied()
        .unwrap_or("Jan")
}

fn local(ms: i64, tz: &impl TimeZone) -> NaiveDateTime {
    let seconds = ms.div_euclid(1000).clamp(FIRST_SECOND, LAST_SECOND);
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().with_timezone(tz).naive_local()
}

/// Reads the time of a filter, in whole seconds since 1970.
///
/// Forms (the documentation promises date, time and an optional zone; the exact list is our choice): see
/// [`FILTER_FORMS`]. `now_ms` is for times without a date, which are of today; `tz` is the zone of times that name none. A
/// local time that a change of the clock doubles is the earlier one; one that it skips is the end of the gap.
///
/// # Errors
/// The allowed forms as a phrase, if the text is none of these.
pub fn parse_filter(text: &str, now_ms: i64, tz: &impl TimeZone) -> Result<i64, String> {
    let text = text.trim();
    let seconds = if text.len() > MAX_LENGTH {
        None
    } else {
        epoch(text).or_else(|| written(text, now_ms, tz))
    };
    seconds
        .filter(|seconds| (FIRST_SECOND..=LAST_SECOND).contains(seconds))
        .ok_or_else(|| FILTER_FORMS.to_owned())
}

/// Reads a time as [`queue_time`] writes it, without its zone.
///
/// ```
/// use actiond_aci::time::parse_queue_time;
/// let time = parse_queue_time("2009-Oct-15 14:44:32").unwrap();
/// assert_eq!(time.to_string(), "2009-10-15 14:44:32");
/// ```
#[must_use]
pub fn parse_queue_time(text: &str) -> Option<NaiveDateTime> {
    let mut cursor = Cursor(text.trim());
    let year = cursor.number(4)?;
    let date = if cursor.eat('-') { date(year, &mut cursor)? } else { return None };
    let hour = if cursor.eat(' ') { cursor.number(2)? } else { return None };
    let time = clock(hour, &mut cursor)?;
    cursor.0.is_empty().then(|| date.and_time(time))
}

fn epoch(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn written(text: &str, now_ms: i64, tz: &impl TimeZone) -> Option<i64> {
    let mut cursor = Cursor(text);
    let start = cursor.number(4)?;
    let (date, time) = if cursor.eat('-') {
        let date = date(start, &mut cursor)?;
        let iso = cursor.eat('T') || cursor.eat('t');
        let behind = cursor.0.trim_start();
        if iso
            || (behind.len() < cursor.0.len() && behind.starts_with(|c: char| c.is_ascii_digit()))
        {
            cursor.0 = behind;
            let hour = cursor.number(2)?;
            (Some(date), clock(hour, &mut cursor)?)
        } else {
            (Some(date), NaiveTime::MIN)
        }
    } else {
        (None, clock(start, &mut cursor)?)
    };
    match zone(cursor.0)? {
        Some(zone) => {
            let date = date.unwrap_or_else(|| local(now_ms, &zone).date());
            let offset = TimeDelta::seconds(zone.local_minus_utc().into());
            Some(date.and_time(time).checked_sub_signed(offset)?.and_utc().timestamp())
        }
        None => earliest(date.unwrap_or_else(|| local(now_ms, tz).date()).and_time(time), tz),
    }
}

/// Reads `MM-DD` or `Mon-DD` after the year and its hyphen.
fn date(year: u32, cursor: &mut Cursor<'_>) -> Option<NaiveDate> {
    let month = match cursor.number(2) {
        Some(month) => month,
        None => {
            let name = cursor.take(3)?;
            u32::try_from(MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?)
                .ok()?
                .checked_add(1)?
        }
    };
    let day = if cursor.eat('-') { cursor.number(2)? } else { return None };
    // A year of two digits would be taken for one of the first century.
    NaiveDate::from_ymd_opt(i32::try_from(year).ok().filter(|year| *year >= 1000)?, month, day)
}

/// Reads `:MM`, `:MM:SS` or `:MM:SS.fraction` after the hour; the fraction is dropped.
fn clock(hour: u32, cursor: &mut Cursor<'_>) -> Option<NaiveTime> {
    let minute = if cursor.eat(':') { cursor.number(2)? } else { return None };
    let second = if cursor.eat(':') { cursor.number(2)? } else { 0 };
    if cursor.eat('.') {
        cursor.number(9)?;
    }
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// Reads the zone at the end, if there is one. A space can be a `+` that form decoding took.
fn zone(text: &str) -> Option<Option<FixedOffset>> {
    let name = text.trim();
    if name.is_empty() {
        return Some(None);
    }
    let hours = match name.to_ascii_uppercase().as_str() {
        "GMT" | "UTC" | "Z" => Some(0),
        "EDT" => Some(-4),
        "EST" | "CDT" => Some(-5),
        "CST" | "MDT" => Some(-6),
        "MST" | "PDT" => Some(-7),
        "PST" => Some(-8),
        _ => None,
    };
    if let Some(hours) = hours {
        return FixedOffset::east_opt(hours * 3600).map(Some);
    }
    let mut cursor = Cursor(name);
    let west = cursor.eat('-');
    if !west && !cursor.eat('+') && !text.starts_with(' ') {
        return None;
    }
    let hours = cursor.take(2)?.parse::<u8>().ok()?;
    cursor.eat(':');
    let minutes = cursor.take(2)?.parse::<u8>().ok().filter(|minutes| *minutes < 60)?;
    let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    let whole = cursor.0.is_empty() && name.bytes().filter(u8::is_ascii_digit).count() == 4;
    whole.then(|| FixedOffset::east_opt(if west { -seconds } else { seconds })).flatten().map(Some)
}

/// Returns the moment at which the clocks of a zone show a local time first, in seconds since 1970; `None` beyond the dates that
/// are known.
///
/// A local time that a change of the clocks doubles is the earlier of the two; one that it skips is the end of the gap.
#[must_use]
pub fn earliest(time: NaiveDateTime, tz: &impl TimeZone) -> Option<i64> {
    // The widest gap known is a whole day; gaps end on whole minutes.
    const WIDEST_GAP_MINUTES: u32 = 25 * 60;
    let instant = |time: NaiveDateTime| match tz.offset_from_local_datetime(&time) {
        MappedLocalTime::Single(offset) => Some((time, offset.fix())),
        MappedLocalTime::Ambiguous(one, other) => {
            let (one, other) = (one.fix(), other.fix());
            // The earlier instant is the one further east.
            Some((time, if one.local_minus_utc() >= other.local_minus_utc() { one } else { other }))
        }
        MappedLocalTime::None => None,
    };
    let found = instant(time).or_else(|| {
        let minute = time.with_second(0)?;
        // Outside of the dates that chrono knows there is no end of the gap to look for.
        minute.checked_add_days(Days::new(2))?;
        (1..=WIDEST_GAP_MINUTES)
            .find_map(|ahead| instant(minute.checked_add_signed(TimeDelta::minutes(ahead.into()))?))
    });
    let (time, offset) = found?;
    Some(time.and_utc().timestamp().saturating_sub(offset.local_minus_utc().into()))
}

/// The rest of a text, from which parts are taken at the front.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, c: char) -> bool {
        self.0.strip_prefix(c).map(|rest| self.0 = rest).is_some()
    }

    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head)
    }

    /// Reads one to `most` digits; more are left to fail on what comes next.
    fn number(&mut self, most: usize) -> Option<u32> {
        let digits = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits == 0 { None } else { self.take(digits)?.parse().ok() }
    }
}

#[cfg(test)]
mod tests;
