//! Where a request ends: follows its body, so that the next head is found.
//!
//! Pure and without buffers. A chunked body is followed in the way in which `actix-http` follows it, so that both see the
//! same border of the next request; where it is malformed, this gives up for good ([`Place::Broken`]). What the head says
//! about the body: `head.rs`. Who puts heads together: `mend.rs`.

use super::head::Body;

/// The place in the stream of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The next byte belongs to a head, or to an empty line before it.
    Head,
    /// In a body with this many bytes to come, never 0.
    Body(u64),
    /// In a chunked body.
    Chunked(Chunk),
    /// Another protocol is spoken: all that follows passes as it is.
    Tunnel,
    /// After a byte that no chunked body can have there: nothing that follows belongs to anything.
    Broken,
}

/// The place in a chunked body. Names follow RFC 9112, section 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// Before the first digit of a chunk's size.
    FirstDigit,
    /// Within the size, with its value so far.
    Digits(u64),
    /// In blanks after the size.
    Blank(u64),
    /// In an extension after the size.
    Extension(u64),
    /// Before the LF that ends the size line.
    SizeLf(u64),
    /// In the data, with this many bytes to come, never 0.
    Data(u64),
    /// Before the CR after the data.
    DataCr,
    /// Before the LF after the data.
    DataLf,
    /// At the start of a trailer line, or of the empty line that ends the body.
    Trailer,
    /// Within a trailer line.
    TrailerRest,
    /// Before the LF that ends a trailer line.
    TrailerLf,
    /// Before the LF that ends the body.
    EndLf,
}

/// Follows one connection from request to request.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    /// Number of bytes that have passed of the body, and of the head before it.
    passed: u64,
    /// Number of heads that have passed.
    heads: u64,
}

impl Framing {
    /// Starts at the first byte of a connection.
    pub(super) fn new() -> Self {
        Self { place: Place::Head, passed: 0, heads: 0 }
    }

    /// Returns the number of heads of requests that have passed.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Returns true if the next byte belongs to a head.
    pub(super) fn at_head(&self) -> bool {
        self.place == Place::Head
    }

    /// Returns true if a chunked body has ended in a byte that can't be there. `actix-http` would hang up at once, and answer neither
    /// that request nor those before it; where it sees the stream end, it answers all.
    pub(super) fn is_broken(&self) -> bool {
        self.place == Place::Broken
    }

    /// Returns the number of bytes that have passed of a request whose body has begun and not ended, its head included.
    pub(super) fn in_body(&self) -> Option<u64> {
        matches!(self.place, Place::Body(_) | Place::Chunked(_)).then_some(self.passed)
    }

    /// Says that a whole head of so many bytes went by, and what body it announces.
    pub(super) fn head_passed(&mut self, length: usize, body: Body) {
        self.passed = length as u64;
        self.heads += 1;
        self.place = match body {
            Body::Counted(0) => Place::Head,
            Body::Counted(length) => Place::Body(length),
            Body::Chunked => Place::Chunked(Chunk::FirstDigit),
            Body::Tunnel => Place::Tunnel,
        };
    }

    /// Follows `input` to the end of the current body; how many of its bytes belong to that.
    pub(super) fn pass(&mut self, input: &[u8]) -> usize {
        let mut rest = input;
        while !rest.is_empty() {
            rest = match self.place {
                Place::Head | Place::Broken => break,
                Place::Tunnel => &[],
                Place::Body(left) => {
                    let (after, left) = skip(rest, left);
                    self.place = if left == 0 { Place::Head } else { Place::Body(left) };
                    after
                }
                Place::Chunked(Chunk::Data(left)) => {
                    let (after, left) = skip(rest, left);
                    self.place =
                        Place::Chunked(if left == 0 { Chunk::DataCr } else { Chunk::Data(left) });
                    after
                }
                Place::Chunked(chunk) => match rest.split_first() {
                    Some((&byte, after)) => {
                        self.place = step(chunk, byte);
                        // The byte that broke it is not passed on.
                        if self.is_broken() { break } else { after }
                    }
                    None => &[],
                },
            };
        }
        let passed = input.len() - rest.len();
        self.passed = self.passed.saturating_add(passed as u64);
        passed
    }
}

/// `rest` without its first `left` bytes, and how many of these are still to come.
fn skip(rest: &[u8], left: u64) -> (&[u8], u64) {
    match usize::try_from(left).ok().and_then(|count| rest.get(count..)) {
        Some(after) => (after, 0),
        None => (&[], left - rest.len() as u64),
    }
}

/// One byte of a chunked body that is not data.
fn step(chunk: Chunk, byte: u8) -> Place {
    let next = match (chunk, byte) {
        (Chunk::FirstDigit, _) => digit(byte).map(Chunk::Digits),
        (Chunk::Digits(size) | Chunk::Blank(size), b' ' | b'\t') => Some(Chunk::Blank(size)),
        (Chunk::Digits(size) | Chunk::Blank(size), b';') => Some(Chunk::Extension(size)),
        (Chunk::Digits(size) | Chunk::Blank(size) | Chunk::Extension(size), b'\r') => {
            Some(Chunk::SizeLf(size))
        }
        (Chunk::Digits(size), _) => digit(byte)
            .and_then(|value| size.checked_mul(16)?.checked_add(value))
            .map(Chunk::Digits),
        (Chunk::Extension(size), _) if byte == b'\t' || !byte.is_ascii_control() => {
            Some(Chunk::Extension(size))
        }
        (Chunk::SizeLf(0), b'\n') => Some(Chunk::Trailer),
        (Chunk::SizeLf(size), b'\n') => Some(Chunk::Data(size)),
        (Chunk::DataCr, b'\r') => Some(Chunk::DataLf),
        (Chunk::DataLf, b'\n') => Some(Chunk::FirstDigit),
        (Chunk::Trailer, b'\r') => Some(Chunk::EndLf),
        (Chunk::TrailerRest, b'\r') => Some(Chunk::TrailerLf),
        // A line feed alone would end a line for some, and the next request with it.
        (Chunk::Trailer | Chunk::TrailerRest, _) if byte != b'\n' => Some(Chunk::TrailerRest),
        (Chunk::TrailerLf, b'\n') => Some(Chunk::Trailer),
        (Chunk::EndLf, b'\n') => return Place::Head,
        _ => None,
    };
    next.map_or(Place::Broken, Place::Chunked)
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}
