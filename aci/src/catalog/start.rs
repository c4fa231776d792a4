//! The earliest start of an action, as a submission gives it.

use chrono::TimeZone;

use super::parse_seconds;
use crate::time::parse_filter;

/// The longest time in seconds before an action may start: ten years (our choice).
pub const MAX_START_SECS: u32 = 315_576_000;

/// The forms that [`parse_start`] reads, as errors and the help tell them.
pub const START_FORMS: &str = "+ and seconds from now, such as +90, or a time such as 2014-07-17 15:00:00, 15:00:00 (today) or 2014-07-17 (midnight), \
     with a zone such as GMT or +01:00 behind it if it is not the server's, or whole seconds since 1970; at most ten years from now";

/// Seconds since 1970 that are fewer than these, in 2001, are taken for a number of seconds that lacks its `+`.
const LEAST_EPOCH: i64 = 1_000_000_000;

/// Reads the earliest start of an action, in milliseconds since 1970. It may have passed.
///
/// `now_ms` and `tz` are as for [`parse_filter`], which reads all forms but that with a `+`. A space before a number is a `+`
/// that form decoding took, so `text` must come with its white space.
///
/// ```
/// use actiond_aci::catalog::parse_start;
/// assert_eq!(parse_start("+1.5", 7_000, &chrono::Utc), Ok(8_500));
/// assert_eq!(parse_start(" 90", 7_000, &chrono::Utc), Ok(97_000));
/// assert!(parse_start("90", 7_000, &chrono::Utc).is_err());
/// ```
///
/// # Errors
/// [`START_FORMS`], if the text is none of these.
pub fn parse_start(text: &str, now_ms: i64, tz: &impl TimeZone) -> Result<i64, String> {
    let last = now_ms.saturating_add(i64::from(MAX_START_SECS).saturating_mul(1000));
    read(text, now_ms, tz).filter(|start| *start <= last).ok_or_else(|| START_FORMS.to_owned())
}

/// Returns the text as it would be if form decoding had taken no `+`, and without the white space around it. It is read by
/// [`parse_start`] as the given one is.
///
/// ```
/// use actiond_aci::catalog::plain_start;
/// assert_eq!(plain_start(" 90"), "+90");
/// assert_eq!(plain_start("+ 90 "), "+90");
/// assert_eq!(plain_start("15:00:00 "), "15:00:00");
/// ```
#[must_use]
pub fn plain_start(text: &str) -> String {
    match seconds_from_now(text) {
        Some(seconds) => format!("+{}", seconds.trim()),
        None => text.trim().to_owned(),
    }
}

/// Returns what is behind the `+` of a number of seconds from now.
fn seconds_from_now(text: &str) -> Option<&str> {
    let number = text.trim();
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let behind_space = (is_number && text.starts_with(' ')).then_some(number);
    number.strip_prefix('+').or(behind_space)
}

/// Returns true if [`parse_start`] may read the text, whatever the time is.
pub(super) fn is_start(text: &str) -> bool {
    read(text, 0, &chrono::Utc).is_some()
}

fn read(text: &str, now_ms: i64, tz: &impl TimeZone) -> Option<i64> {
    if let Some(seconds) = seconds_from_now(text) {
        let seconds = parse_seconds(seconds).filter(|s| *s <= f64::from(MAX_START_SECS))?;
        let millis = std::time::Duration::try_from_secs_f64(seconds).ok()?.as_millis();
        return now_ms.checked_add(i64::try_from(millis).ok()?);
    }
    let number = text.trim();
    let seconds = parse_filter(number, now_ms, tz).ok()?;
    let is_epoch = number.parse::<i64>().is_ok();
    (!is_epoch || seconds >= LEAST_EPOCH).then(|| seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, Utc};

    use super::*;

    /// 2014-07-17 22:30:00 UTC.
    const NOW_MS: i64 = 1_405_636_200_000;

    #[test]
    fn starts_are_read_in_every_form() {
        let table = [
            ("+0", NOW_MS),
            ("+90", NOW_MS + 90_000),
            ("  +90 ", NOW_MS + 90_000),
            ("+ 90", NOW_MS + 90_000),
            // A `+` of an address that was not encoded.
            (" 90", NOW_MS + 90_000),
            (" 1.25", NOW_MS + 1_250),
            ("+315576000", NOW_MS + 315_576_000_000),
            ("2014-07-17 22:31:00", NOW_MS + 60_000),
            (" 2014-07-17 22:31", NOW_MS + 60_000),
            ("2014-07-18 00:31:00 +02:00", NOW_MS + 60_000),
            ("2014-07-18 00:31:00 02:00", NOW_MS + 60_000),
            ("22:31", NOW_MS + 60_000),
            ("1405636260", NOW_MS + 60_000),
            ("1405636260 ", NOW_MS + 60_000),
            // They have passed.
            ("2014-07-17", NOW_MS - 81_000_000),
            ("1000000000", 1_000_000_000_000),
        ];
        for (text, expected) in table {
            assert_eq!(parse_start(text, NOW_MS, &Utc), Ok(expected), "{text:?}");
            assert!(is_start(text), "{text:?}");
            let plain = plain_start(text);
            assert_eq!(parse_start(&plain, NOW_MS, &Utc), Ok(expected), "{text:?}, {plain:?}");
            assert_eq!((plain.trim(), plain_start(&plain)), (&*plain, plain.clone()));
        }
        let east = FixedOffset::east_opt(3600).unwrap();
        assert_eq!(parse_start("2014-07-17 23:31", NOW_MS, &east), Ok(NOW_MS + 60_000));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "+",
            "+-1",
            "-90",
            "+x",
            "+1e3",
            "90",
            "0",
            "999999999",
            "1.5",
            "+315576001",
            " 315576001",
            " 1405636260",
            "soon",
            "+90s",
            "25:00",
            "2014-13-01",
        ] {
            assert_eq!(parse_start(text, NOW_MS, &Utc), Err(START_FORMS.to_owned()), "{text:?}");
            assert!(!is_start(text), "{text:?}");
        }
        for text in ["2024-07-20", "9999-12-30", "99999999999"] {
            assert_eq!(parse_start(text, NOW_MS, &Utc), Err(START_FORMS.to_owned()), "{text:?}");
            assert!(is_start(text), "{text:?}: the time decides");
        }
        assert!(parse_start("+1", i64::MAX, &Utc).is_err());
    }
}
