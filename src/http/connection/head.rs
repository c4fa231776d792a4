//! Whether the head of a request is one that `actix-http` takes, and what it says about the body. Pure.
//!
//! `actix-http` answers a head that it refuses with a bare status, and nothing of that reaches a handler. So each head is
//! judged here first, by the parser that `actix-http` has (`httparse`) and then by its rules for headers: what this lets
//! pass, that takes, and both see the same end of the request. What is refused here alone: a line that ends with a line
//! feed only. Who holds the head together and says what became of it: `mend.rs`.

use std::mem::MaybeUninit;

use actix_http::Uri;
use httparse::{Error, Status};

/// The most header lines of a request, as in `actix-http`.
pub const MAX_HEADERS: usize = 96;

/// The most bytes that the header lines of a request may have together. With the longest request line they stay below the
/// 131,072 bytes at which `actix-http` gives up on a head.
pub const MAX_HEADER_BYTES: usize = 65_000;

/// The reason for which a request is refused before any handler could see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
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

/// The end of a request after its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// At once, or after so many bytes.
    Counted(u64),
    /// After the last chunk.
    Chunked,
    /// Never: the connection goes over to another protocol.
    Tunnel,
}

impl Default for Body {
    fn default() -> Self {
        Self::Counted(0)
    }
}

/// Reads a whole head, its empty line included. Each of its lines must end with CR LF.
pub(super) fn read(head: &[u8]) -> Result<Body, Refusal> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut space) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Refusal::NoRequest),
        Err(error) => return Err(refusal(error, head)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal::NoRequest);
    };
    // Any other was mended to what the `http` crate takes.
    let is_mended = target.starts_with('/') && method != "CONNECT";
    if !is_mended && Uri::try_from(target).is_err() {
        return Err(Refusal::Target);
    }
    let mut facts = Facts::default();
    for header in request.headers.iter() {
        facts.note(header.name, header.value)?;
    }
    facts.body(method, minor)
}

fn refusal(error: Error, head: &[u8]) -> Refusal {
    match error {
        Error::HeaderName => Refusal::HeaderName,
        Error::HeaderValue => Refusal::HeaderValue,
        Error::NewLine => Refusal::BareCarriageReturn,
        Error::TooManyHeaders => {
            // All lines but the request line and the empty one.
            let lines = head.iter().filter(|&&byte| byte == b'\n').count();
            Refusal::TooManyHeaders(lines.saturating_sub(2) as u64)
        }
        Error::Status | Error::Token | Error::Version => Refusal::NoRequest,
    }
}

/// The words of the headers about the body.
#[derive(Debug, Default)]
struct Facts {
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    web_socket: bool,
}

impl Facts {
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), Refusal> {
        // The length first: most headers are none of these, and this is asked of each.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => self.hosts += 1,
            7 if name.eq_ignore_ascii_case("upgrade") => {
                // Other protocols are only offered; a web socket takes the connection over.
                self.web_socket |= value.trim_ascii().eq_ignore_ascii_case(b"websocket");
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = number(value.trim_ascii()).ok_or(Refusal::ContentLength)?;
                if self.length.replace(length).is_some() {
                    return Err(Refusal::ContentLength);
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                let is_chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                if !is_chunked || std::mem::replace(&mut self.chunked, true) {
                    return Err(Refusal::TransferEncoding);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn body(&self, method: &str, minor: u8) -> Result<Body, Refusal> {
        match *self {
            Self { hosts: 0, .. } if minor > 0 => Err(Refusal::NoHost),
            Self { hosts: 2.., .. } => Err(Refusal::SeveralHosts),
            Self { chunked: true, .. } if minor == 0 => Err(Refusal::TransferEncoding),
            Self { chunked: true, length: Some(_), .. } => Err(Refusal::TwoLengths),
            Self { chunked: true, .. } => Ok(Body::Chunked),
            Self { web_socket: true, .. } => Ok(Body::Tunnel),
            Self { length: None, .. } if minor == 0 && method == "POST" => {
                Err(Refusal::NoContentLength)
            }
            Self { length: None | Some(0), .. } if method == "CONNECT" => Ok(Body::Tunnel),
            Self { length, .. } => Ok(Body::Counted(length.unwrap_or_default())),
        }
    }
}

/// A number of digits only: no sign, no list.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}
