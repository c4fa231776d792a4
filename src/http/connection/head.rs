//! Validation of a request's head, and the length of the body that it announces. Pure.
//!
//! `actix-http` answers a head that it refuses with a bare status, and no handler sees that. So each head is validated here
//! first, with the parser of `actix-http` (`httparse`) and then with its rules for headers: what passes here passes there,
//! and both see the same end of the request. Only a line that ends with a line feed alone is refused here and not there.
//! `mend.rs` assembles the heads.

use std::mem::MaybeUninit;

use actix_http::{Method, Uri};
use httparse::Status;

/// Largest number of header lines of a request, as in `actix-http`.
pub const MAX_HEADERS: usize = 96;

/// Largest total size of a request's header lines in bytes. With the longest request line they stay below the 131,072 bytes
/// at which `actix-http` gives up on a head.
pub const MAX_HEADER_BYTES: usize = 65_000;

/// The error in a request's head for which the request is refused before any handler could see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadError {
    /// It does not begin as a request of HTTP/1.0 or HTTP/1.1.
    NoRequest,
    /// A line ends with a line feed alone. Others may take that for no end of a line, and see another request here.
    BareLineFeed,
    /// A carriage return stands alone.
    BareCarriageReturn,
    /// The target has a scheme, or names a host, and can't be read.
    Target,
    /// A header line without a colon or with a name that is none, or one that goes on with the next line.
    HeaderName,
    /// A header's value has a control character.
    HeaderValue,
    /// The request line has so many bytes, far too many, and has not ended.
    LineTooLong(u64),
    /// There are so many header lines, more than [`MAX_HEADERS`].
    TooManyHeaders(u64),
    /// The header lines have more than [`MAX_HEADER_BYTES`].
    HeadersTooLong,
    /// There is no `Host`, as there must be in HTTP/1.1.
    NoHost,
    /// There is more than one `Host`.
    SeveralHosts,
    /// `Content-Length` is no number, or given more than once.
    ContentLength,
    /// There is no `Content-Length` in a `POST` of HTTP/1.0, whose end would not be known.
    NoContentLength,
    /// `Transfer-Encoding` is not just `chunked`, or given more than once, or in HTTP/1.0.
    TransferEncoding,
    /// There are both `Content-Length` and `Transfer-Encoding`.
    TwoLengths,
}

/// The length of the body after a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// So many bytes, or none.
    Counted(u64),
    /// Up to the last chunk.
    Chunked,
    /// Without end: the connection changes to another protocol.
    Tunnel,
}

impl Default for BodyLength {
    fn default() -> Self {
        Self::Counted(0)
    }
}

/// Validates a whole head, its empty line included, and returns the length of its body. Each line must end with CR LF.
pub(super) fn read(head: &[u8]) -> Result<BodyLength, HeadError> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut space) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(HeadError::NoRequest),
        Err(error) => return Err(head_error(error, head)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(HeadError::NoRequest);
    };
    // `httparse` takes more characters than the `http` crate.
    if Method::from_bytes(method.as_bytes()).is_err() {
        return Err(HeadError::NoRequest);
    }
    // Any other was mended to what the `http` crate takes.
    let is_mended = target.starts_with('/') && method != "CONNECT";
    if !is_mended && Uri::try_from(target).is_err() {
        return Err(HeadError::Target);
    }
    let mut headers = BodyHeaders::default();
    for header in request.headers.iter() {
        headers.note(header.name, header.value)?;
    }
    headers.body(method, minor)
}

fn head_error(error: httparse::Error, head: &[u8]) -> HeadError {
    match error {
        httparse::Error::HeaderName => HeadError::HeaderName,
        httparse::Error::HeaderValue => HeadError::HeaderValue,
        httparse::Error::NewLine => HeadError::BareCarriageReturn,
        httparse::Error::TooManyHeaders => {
            // All lines but the request line and the empty one.
            let lines = head.iter().filter(|&&byte| byte == b'\n').count();
            HeadError::TooManyHeaders(lines.saturating_sub(2) as u64)
        }
        httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => {
            HeadError::NoRequest
        }
    }
}

/// The headers about the host and the body.
#[derive(Debug, Default)]
struct BodyHeaders {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    web_socket: bool,
}

impl BodyHeaders {
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), HeadError> {
        // The length first: this runs for each header, and most are none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => self.hosts += 1,
            7 if name.eq_ignore_ascii_case("upgrade") => {
                // Other protocols are only offered; a web socket takes the connection over.
                self.web_socket |= value.trim_ascii().eq_ignore_ascii_case(b"websocket");
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = number(value.trim_ascii()).ok_or(HeadError::ContentLength)?;
                if self.length.replace(length).is_some() {
                    return Err(HeadError::ContentLength);
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                let is_chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                if !is_chunked || std::mem::replace(&mut self.chunked, true) {
                    return Err(HeadError::TransferEncoding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn body(&self, method: &str, minor: u8) -> Result<BodyLength, HeadError> {
        match *self {
            Self { hosts: 0, .. } if minor > 0 => Err(HeadError::NoHost),
            Self { hosts: 2.., .. } => Err(HeadError::SeveralHosts),
            Self { chunked: true, .. } if minor == 0 => Err(HeadError::TransferEncoding),
            Self { chunked: true, length: Some(_), .. } => Err(HeadError::TwoLengths),
            Self { chunked: true, .. } => Ok(BodyLength::Chunked),
            Self { web_socket: true, .. } => Ok(BodyLength::Tunnel),
            Self { length: None, .. } if minor == 0 && method == "POST" => {
                Err(HeadError::NoContentLength)
            }
            Self { length: None | Some(0), .. } if method == "CONNECT" => Ok(BodyLength::Tunnel),
            Self { length, .. } => Ok(BodyLength::Counted(length.unwrap_or_default())),
        }
    }
}

/// Reads a number of digits only: no sign, no list.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}
