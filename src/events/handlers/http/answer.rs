//! The answer of a receiver: delivered, to be tried again, or failed for good.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use actiond_actors::outbox::Undelivered;

/// The longest time for which a receiver may ask to be left alone; it is left alone so long if it asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Judges a status. `now` is in milliseconds since 1970.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, now: i64) -> Result<(), Undelivered> {
    if status.is_success() {
        return Ok(());
    }
    let may_retry = may_pass(status);
    let retry_after = if may_retry { retry_after(headers, now) } else { None };
    let is_down = takes_nothing(status);
    Err(Undelivered { error: text(status), may_retry, is_down, retry_after })
}

/// Returns true for a status after which the same message may be taken later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Returns true for a status by which a receiver says that it has too much to do, or is not there: other messages would fare no
/// better.
fn takes_nothing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn text(status: StatusCode) -> String {
    let reason = status.canonical_reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let start = format!("the receiver answered with status {}{reason}", status.as_u16());
    let more = match status {
        _ if status.is_redirection() => {
            ": redirects are not followed, so let the address be the one that takes the message"
        }
        StatusCode::GONE => ": it wants no more of these messages",
        _ => "",
    };
    start + more
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
            Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or_default())
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn judged(status: u16, retry_after: &str) -> Result<(), Undelivered> {
        let mut headers = HeaderMap::new();
        if !retry_after.is_empty() {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        }
        judge(StatusCode::from_u16(status).unwrap(), &headers, 1_000_000)
    }

    #[test]
    fn each_status_has_an_outcome() {
        for status in [200, 201, 202, 204, 299] {
            assert!(judged(status, "").is_ok(), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(judged(status, "").unwrap_err().may_retry, "{status}");
        }
        for status in [301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 422] {
            assert!(!judged(status, "5").unwrap_err().may_retry, "{status}");
        }
        for (status, is_down) in [(429, true), (500, false), (502, true), (503, true), (504, true)]
        {
            assert_eq!(judged(status, "").unwrap_err().is_down, is_down, "{status}");
        }
        for (status, words) in [
            (500, "with status 500 (Internal Server Error)"),
            (599, "with status 599"),
            (307, "redirects are not followed"),
            (410, "wants no more"),
        ] {
            let error = judged(status, "").unwrap_err().error;
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_receiver_says_when_it_can_be_asked_again_within_bounds() {
        let pause = |status, text| judged(status, text).unwrap_err().retry_after;
        for (text, seconds) in [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 90 ", Some(90)),
            ("3600", Some(3600)),
            ("86400", Some(3600)),
            ("18446744073709551615", Some(3600)),
            ("Thu, 01 Jan 1970 00:17:10 GMT", Some(30)),
            // It has passed.
            ("Thu, 01 Jan 1970 00:00:10 GMT", Some(0)),
            ("Fri, 01 Jan 2100 00:00:00 GMT", Some(3600)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(pause(503, text), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(pause(429, "7"), Some(Duration::from_secs(7)));
        assert_eq!(pause(404, "7"), None);
    }
}
