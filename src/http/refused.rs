//! What the client is told of a request that [`connection`](super::connection) has replaced, because no handler could be given it.

use super::connection::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET, Marked, Refusal};
use super::server::MAX_REQUEST_LINE;
use crate::aci::error::AciError;

/// Returns what is wrong with the request that has this target, and the target that it was sent with if that is known;
/// `None` for a request that stands for itself.
pub(super) fn read(target: &str) -> Option<(AciError, Option<&str>)> {
    let too_large = |what: &str, size, limit| AciError::too_large(what, size, limit as u64);
    match Marked::read(target)? {
        Marked::Oversized(length) => {
            Some((too_large("the request line", length, MAX_REQUEST_LINE), None))
        }
        Marked::Encoded(length) => {
            let what = "bytes of the request target, where each that a URL can't hold is three";
            Some((too_large(what, length, MAX_TARGET), None))
        }
        Marked::Refused(refusal, sent) => {
            let error = match refusal {
                Refusal::LineTooLong(length) => {
                    too_large("the request line", length, MAX_REQUEST_LINE)
                }
                Refusal::TooManyHeaders(count) => {
                    too_large("number of headers", count, MAX_HEADERS)
                }
                Refusal::HeadersTooLong => AciError {
                    description: format!(
                        "Too large: the headers. Their lines may have {MAX_HEADER_BYTES} bytes together."
                    ),
                    ..too_large("the headers", 0, MAX_HEADER_BYTES)
                },
                other => AciError::malformed(why(other)),
            };
            Some((error, Some(sent).filter(|sent| !sent.is_empty())))
        }
    }
}

const fn why(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoRequest => "it does not begin with a request line of HTTP/1.0 or HTTP/1.1.",
        Refusal::BareLineFeed => {
            "a line of its head ends with a line feed alone, which others read otherwise. Each must end with a carriage return and a line feed."
        }
        Refusal::BareCarriageReturn => {
            "its head has a carriage return that no line feed follows, which others read otherwise."
        }
        Refusal::Target => "the address in its request line can't be read.",
        Refusal::HeaderName => {
            "a header line has no colon, has a character in its name that can't be there (a space before the colon is one), or goes on with the next line."
        }
        Refusal::HeaderValue => "the value of a header has a control character.",
        Refusal::LineTooLong(_) | Refusal::TooManyHeaders(_) | Refusal::HeadersTooLong => {
            "its head is too long."
        }
        Refusal::NoHost => "it has no header Host, which HTTP/1.1 needs.",
        Refusal::SeveralHosts => "it has more than one header Host.",
        Refusal::ContentLength => {
            "the header Content-Length is no number of digits only, is larger than any number here can be, or there is more than one."
        }
        Refusal::NoContentLength => {
            "it is a POST of HTTP/1.0 without the header Content-Length, so its end is not known."
        }
        Refusal::TransferEncoding => {
            "the header Transfer-Encoding is not just chunked, is there more than once, or is in a request of HTTP/1.0."
        }
        Refusal::TwoLengths => {
            "it has both the header Content-Length and Transfer-Encoding, which others read otherwise."
        }
    }
}
