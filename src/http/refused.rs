//! Errors for the clients whose requests [`connection`](super::connection) has replaced by a marker.

use std::borrow::Cow;

use super::connection::{HeadError, MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET, Marked};
use super::server::MAX_REQUEST_LINE;
use crate::aci::error::AciError;

/// The words for the target of a request of which no target could be read.
const UNKNOWN: &str = "(a request that can't be read)";

/// Returns the error of the request with this target, and the target with which it was sent, or words for the log if that is not
/// known; `None` if the target is no marker.
pub(super) fn read(target: &str) -> Option<(AciError, Cow<'_, str>)> {
    let too_large = |what: &str, size, limit| AciError::too_large(what, size, limit as u64);
    match Marked::read(target)? {
        Marked::Oversized(length) => {
            let shown = format!("(a request line of {length} bytes)");
            Some((too_large("the request line", length, MAX_REQUEST_LINE), shown.into()))
        }
        Marked::Encoded(length) => {
            let what = "bytes of the request target, where each that a URL can't hold is three";
            let shown = format!("(a target of {length} bytes)");
            Some((too_large(what, length, MAX_TARGET), shown.into()))
        }
        Marked::Refused(error, sent) => {
            let error = match error {
                HeadError::LineTooLong(length) => {
                    too_large("the request line", length, MAX_REQUEST_LINE)
                }
                HeadError::TooManyHeaders(count) => {
                    too_large("number of headers", count, MAX_HEADERS)
                }
                HeadError::HeadersTooLong => AciError {
                    description: format!(
                        "Too large: the headers. Their lines may have {MAX_HEADER_BYTES} bytes together."
                    ),
                    ..too_large("the headers", 0, MAX_HEADER_BYTES)
                },
                other => AciError::malformed(why(other)),
            };
            Some((error, if sent.is_empty() { UNKNOWN } else { sent }.into()))
        }
    }
}

const fn why(error: HeadError) -> &'static str {
    match error {
        HeadError::NoRequest => "it does not begin with a request line of HTTP/1.0 or HTTP/1.1.",
        HeadError::BareLineFeed => {
            "a line of its head ends with a line feed alone, which others read otherwise. Each must end with a carriage return and a line feed."
        }
        HeadError::BareCarriageReturn => {
            "its head has a carriage return that no line feed follows, which others read otherwise."
        }
        HeadError::Target => "the address in its request line can't be read.",
        HeadError::HeaderName => {
            "a header line has no colon, has a character in its name that can't be there (a space before the colon is one), or goes on with the next line."
        }
        HeadError::HeaderValue => "the value of a header has a control character.",
        HeadError::LineTooLong(_) | HeadError::TooManyHeaders(_) | HeadError::HeadersTooLong => {
            "its head is too long."
        }
        HeadError::NoHost => "it has no header Host, which HTTP/1.1 needs.",
        HeadError::SeveralHosts => "it has more than one header Host.",
        HeadError::ContentLength => {
            "the header Content-Length is no number of digits only, is larger than any number here can be, or there is more than one."
        }
        HeadError::NoContentLength => {
            "it is a POST of HTTP/1.0 without the header Content-Length, so its end is not known."
        }
        HeadError::TransferEncoding => {
            "the header Transfer-Encoding is not just chunked, is there more than once, or is in a request of HTTP/1.0."
        }
        HeadError::TwoLengths => {
            "it has both the header Content-Length and Transfer-Encoding, which others read otherwise."
        }
    }
}
