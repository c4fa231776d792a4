//! The targets that stand for requests no handler could be given: what was wrong, in a form that passes every parser.
//!
//! A target of this kind, and no header, since an application of somebody else must not do what a refused request asks for: it
//! has no such path. Our choice; nobody else writes or reads them, and a client that does gets an error for itself alone.

use super::head::Refusal;

/// The start of the target that stands for one that was too long; the length of the request line in bytes follows.
pub const OVERSIZED: &str = "/%00oversized=";

/// The start of the target that stands for one that was too long once it was percent-encoded; that length follows.
pub const ENCODED: &str = "/%00encoded=";

/// The start of the target of a request that stands for one that was refused. A word, a number, a colon and the target as
/// it was sent follow, the last as far as it is known.
pub const REFUSED: &str = "/%00refused=";

/// The start of the target that stands for one that is good but too long for the parser once it is percent-encoded. The
/// connection keeps that under the number that follows.
pub const KEPT: &str = "/%00kept=";

/// The longest target that the `http` crate takes, in bytes.
pub const MAX_TARGET: usize = 65_534;

/// The word of a refusal, and its number or 0.
const fn word(refusal: Refusal) -> (&'static str, u64) {
    match refusal {
        Refusal::NoRequest => ("no-request", 0),
        Refusal::BareLineFeed => ("line-feed", 0),
        Refusal::BareCarriageReturn => ("carriage-return", 0),
        Refusal::Target => ("target", 0),
        Refusal::HeaderName => ("header-name", 0),
        Refusal::HeaderValue => ("header-value", 0),
        Refusal::LineTooLong(length) => ("long-line", length),
        Refusal::TooManyHeaders(count) => ("many-headers", count),
        Refusal::HeadersTooLong => ("long-headers", 0),
        Refusal::NoHost => ("no-host", 0),
        Refusal::SeveralHosts => ("several-hosts", 0),
        Refusal::ContentLength => ("content-length", 0),
        Refusal::NoContentLength => ("no-content-length", 0),
        Refusal::TransferEncoding => ("transfer-encoding", 0),
        Refusal::TwoLengths => ("two-lengths", 0),
    }
}

/// Every refusal with this number.
const fn refusals(number: u64) -> [Refusal; 15] {
    [
        Refusal::NoRequest,
        Refusal::BareLineFeed,
        Refusal::BareCarriageReturn,
        Refusal::Target,
        Refusal::HeaderName,
        Refusal::HeaderValue,
        Refusal::LineTooLong(number),
        Refusal::TooManyHeaders(number),
        Refusal::HeadersTooLong,
        Refusal::NoHost,
        Refusal::SeveralHosts,
        Refusal::ContentLength,
        Refusal::NoContentLength,
        Refusal::TransferEncoding,
        Refusal::TwoLengths,
    ]
}

/// The meaning of a target of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked<'a> {
    /// A request whose line had so many bytes, too many.
    Oversized(u64),
    /// A request whose target would have had so many bytes, too many for the parser, once it was percent-encoded.
    Encoded(u64),
    /// A request that was refused for this, with its target, which is empty if it is not known.
    Refused(Refusal, &'a str),
}

impl<'a> Marked<'a> {
    /// Reads a target; `None` for every other.
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
        let refusal = refusals(length(number)).into_iter().find(|known| word(*known).0 == name)?;
        Some(Self::Refused(refusal, sent))
    }
}

/// The head that stands for a refused one. Its body has no end: whatever follows is no request.
pub(super) fn refused_head(refusal: Refusal, target: &[u8], is_head: bool) -> Vec<u8> {
    // The reply to a HEAD must have no body, whatever is wrong.
    let method = if is_head { "HEAD" } else { "POST" };
    let (name, number) = word(refusal);
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
        for refusal in refusals(97) {
            for target in ["", "/a?b=%20`"] {
                let head =
                    String::from_utf8(refused_head(refusal, target.as_bytes(), false)).unwrap();
                let marked = head.strip_prefix("POST ").unwrap().split(' ').next().unwrap();
                let uri = Uri::try_from(marked).unwrap().to_string();
                assert_eq!(Marked::read(&uri), Some(Marked::Refused(refusal, target)));
            }
        }
    }

    #[test]
    fn what_has_no_place_in_a_target_is_left_out() {
        let long = format!("/{}", "x".repeat(MAX_TARGET));
        for target in [&long, "http://h/", "x:1"] {
            let head = refused_head(Refusal::NoHost, target.as_bytes(), true);
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
