//! Marker targets: they stand in for requests that no handler could be given, and say what was wrong in a form that passes
//! every parser.
//!
//! It is the target and not a header, so that no other application performs a refused request: it has no such path. Nobody
//! else writes or reads markers (our choice); a client that sends one gets an error, and harms nobody else.

use super::head::HeadError;

/// Prefix of the marker for a request line that was too long; its length in bytes follows.
pub const OVERSIZED: &str = "/%00oversized=";

/// Prefix of the marker for a target that was too long once it was percent-encoded; that length follows.
pub const ENCODED: &str = "/%00encoded=";

/// Prefix of the marker for a head that was refused. A word, a number, a colon and the target as it was sent follow, the last
/// as far as it is known.
pub const REFUSED: &str = "/%00refused=";

/// Prefix of the marker for a target that is good but too long for the parser once it is percent-encoded. The connection
/// keeps the target under the number that follows.
pub const KEPT: &str = "/%00kept=";

/// The longest target that the `http` crate takes, in bytes.
pub const MAX_TARGET: usize = 65_534;

/// Returns the word for an error, and its number or 0.
const fn word(error: HeadError) -> (&'static str, u64) {
    match error {
        HeadError::NoRequest => ("no-request", 0),
        HeadError::BareLineFeed => ("line-feed", 0),
        HeadError::BareCarriageReturn => ("carriage-return", 0),
        HeadError::Target => ("target", 0),
        HeadError::HeaderName => ("header-name", 0),
        HeadError::HeaderValue => ("header-value", 0),
        HeadError::LineTooLong(length) => ("long-line", length),
        HeadError::TooManyHeaders(count) => ("many-headers", count),
        HeadError::HeadersTooLong => ("long-headers", 0),
        HeadError::NoHost => ("no-host", 0),
        HeadError::SeveralHosts => ("several-hosts", 0),
        HeadError::ContentLength => ("content-length", 0),
        HeadError::NoContentLength => ("no-content-length", 0),
        HeadError::TransferEncoding => ("transfer-encoding", 0),
        HeadError::TwoLengths => ("two-lengths", 0),
    }
}

/// Every error with this number.
const fn all_errors(number: u64) -> [HeadError; 15] {
    [
        HeadError::NoRequest,
        HeadError::BareLineFeed,
        HeadError::BareCarriageReturn,
        HeadError::Target,
        HeadError::HeaderName,
        HeadError::HeaderValue,
        HeadError::LineTooLong(number),
        HeadError::TooManyHeaders(number),
        HeadError::HeadersTooLong,
        HeadError::NoHost,
        HeadError::SeveralHosts,
        HeadError::ContentLength,
        HeadError::NoContentLength,
        HeadError::TransferEncoding,
        HeadError::TwoLengths,
    ]
}

/// The meaning of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked<'a> {
    /// A request whose line had so many bytes, too many.
    Oversized(u64),
    /// A request whose target would have had so many bytes, too many for the parser, once it was percent-encoded.
    Encoded(u64),
    /// A request that was refused for this, with its target, which is empty if it is not known.
    Refused(HeadError, &'a str),
}

impl<'a> Marked<'a> {
    /// Reads a marker; `None` for every other target.
    #[must_use]
    pub fn read(target: &'a str) -> Option<Self> {
        // Nearly every target ends here.
        if !target.starts_with("/%00") {
            return None;
        }
        let length = |text: &str| text.parse().unwrap_or(u64::MAX);
        if let Some(rest) = target.strip_prefix(OVERSIZED) {
            return Some(Self::Oversized(length(rest)));
        }
        if let Some(rest) = target.strip_prefix(ENCODED) {
            return Some(Self::Encoded(length(rest)));
        }
        let (why, sent) = target.strip_prefix(REFUSED)?.split_once(':')?;
        let (name, number) = why.split_once(',')?;
        let error = all_errors(length(number)).into_iter().find(|known| word(*known).0 == name)?;
        Some(Self::Refused(error, sent))
    }
}

/// Returns the head that stands in for a refused one. Its body has no end, so that nothing that follows is a request.
pub(super) fn refused_head(error: HeadError, target: &[u8], is_head: bool) -> Vec<u8> {
    // The reply to a HEAD must have no body, whatever is wrong.
    let method = if is_head { "HEAD" } else { "POST" };
    let (name, number) = word(error);
    let marked = format!("{method} {REFUSED}{name},{number}:");
    // What the `http` crate takes, and only where there is room for it.
    let fits = target.starts_with(b"/") && marked.len() + target.len() <= MAX_TARGET;
    let target = if fits { target } else { b"" };
    let rest = format!(" HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", u64::MAX);
    [marked.as_bytes(), target, rest.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::Uri;

    #[test]
    fn every_refusal_is_read_again() {
        for error in all_errors(97) {
            for target in ["", "/a?b=%20`"] {
                let head =
                    String::from_utf8(refused_head(error, target.as_bytes(), false)).unwrap();
                let marked = head.strip_prefix("POST ").unwrap().split(' ').next().unwrap();
                let uri = Uri::try_from(marked).unwrap().to_string();
                assert_eq!(Marked::read(&uri), Some(Marked::Refused(error, target)));
            }
        }
    }

    #[test]
    fn what_has_no_place_in_a_target_is_left_out() {
        let long = format!("/{}", "x".repeat(MAX_TARGET));
        for target in [&long, "http://h/", "x:1"] {
            let head = refused_head(HeadError::NoHost, target.as_bytes(), true);
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with("HEAD /%00refused=no-host,0: HTTP/1.1\r\n"), "{head}");
        }
    }

    #[test]
    fn other_targets() {
        for target in [
            "",
            "/",
            "/action=A",
            "/%00",
            "/%00refused=",
            "/%00refused=x,0:",
            "/%00refused=no-host:",
        ] {
            assert_eq!(Marked::read(target), None, "{target}");
        }
        assert_eq!(Marked::read("/%00oversized=70000"), Some(Marked::Oversized(70_000)));
        assert_eq!(Marked::read("/%00encoded=x"), Some(Marked::Encoded(u64::MAX)));
    }
}
