//! Framing: follows the body of each request, to find the next head.
//!
//! Pure and without buffers. A chunked body is followed in the way in which `actix-http` follows it, so that both see the
//! same start of the next request; where it is malformed, this gives up for good ([`State::Broken`]). `head.rs` reads the
//! length of the body from the head, and `mend.rs` assembles heads.

use super::head::BodyLength;

/// The position in the stream of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next byte belongs to a head, or to an empty line before it.
    Head,
    /// In a body with this many bytes to come, never 0.
    Body(u64),
    /// In a chunked body.
    Chunked(ChunkState),
    /// In another protocol: all that follows passes as it is.
    Tunnel,
    /// After a byte that no chunked body can have there: nothing that follows can be framed.
    Broken,
}

/// The position in a chunked body. Names follow RFC 9112, section 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
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

/// The framing of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    /// Number of bytes that have passed of the body, and of the head before it.
    passed: u64,
    /// Number of heads that have passed.
    heads: u64,
}

impl Framing {
    /// Starts at the first byte of a connection.
    pub(super) fn new() -> Self {
        Self { state: State::Head, passed: 0, heads: 0 }
    }

    /// Returns the number of heads of requests that have passed.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Returns true if the next byte belongs to a head.
    pub(super) fn at_head(&self) -> bool {
        self.state == State::Head
    }

    /// Returns true after a malformed chunked body. `actix-http` would hang up at once, and answer neither that request nor those
    /// before it; where it sees the stream end, it answers all.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Returns the number of bytes that have passed of a request whose body has begun and not ended, its head included.
    pub(super) fn in_body(&self) -> Option<u64> {
        matches!(self.state, State::Body(_) | State::Chunked(_)).then_some(self.passed)
    }

    /// Notes that a whole head of `length` bytes has passed, with the body that it announces.
    pub(super) fn head_passed(&mut self, length: usize, body: BodyLength) {
        self.passed = length as u64;
        self.heads += 1;
        self.state = match body {
            BodyLength::Counted(0) => State::Head,
            BodyLength::Counted(length) => State::Body(length),
            BodyLength::Chunked => State::Chunked(ChunkState::FirstDigit),
            BodyLength::Tunnel => State::Tunnel,
        };
    }

    /// Follows `input` to the end of the current body; returns the number of its bytes that belong to that.
    pub(super) fn pass(&mut self, input: &[u8]) -> usize {
        let mut rest = input;
        while !rest.is_empty() {
            rest = match self.state {
                State::Head | State::Broken => break,
                State::Tunnel => &[],
                State::Body(left) => {
                    let (after, left) = skip(rest, left);
                    self.state = if left == 0 { State::Head } else { State::Body(left) };
                    after
                }
                State::Chunked(ChunkState::Data(left)) => {
                    let (after, left) = skip(rest, left);
                    self.state = State::Chunked(if left == 0 {
                        ChunkState::DataCr
                    } else {
                        ChunkState::Data(left)
                    });
                    after
                }
                State::Chunked(chunk) => match rest.split_first() {
                    Some((&byte, after)) => {
                        self.state = step(chunk, byte);
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

/// Returns `rest` without its first `left` bytes, and the number of these that are still to come.
fn skip(rest: &[u8], left: u64) -> (&[u8], u64) {
    match usize::try_from(left).ok().and_then(|count| rest.get(count..)) {
        Some(after) => (after, 0),
        None => (&[], left - rest.len() as u64),
    }
}

/// Returns the state after one byte of a chunked body that is not data.
fn step(chunk: ChunkState, byte: u8) -> State {
    let next = match (chunk, byte) {
        (ChunkState::FirstDigit, _) => digit(byte).map(ChunkState::Digits),
        (ChunkState::Digits(size) | ChunkState::Blank(size), b' ' | b'\t') => {
            Some(ChunkState::Blank(size))
        }
        (ChunkState::Digits(size) | ChunkState::Blank(size), b';') => {
            Some(ChunkState::Extension(size))
        }
        (
            ChunkState::Digits(size) | ChunkState::Blank(size) | ChunkState::Extension(size),
            b'\r',
        ) => Some(ChunkState::SizeLf(size)),
        (ChunkState::Digits(size), _) => digit(byte)
            .and_then(|value| size.checked_mul(16)?.checked_add(value))
            .map(ChunkState::Digits),
        (ChunkState::Extension(size), _) if byte == b'\t' || !byte.is_ascii_control() => {
            Some(ChunkState::Extension(size))
        }
        (ChunkState::SizeLf(0), b'\n') => Some(ChunkState::Trailer),
        (ChunkState::SizeLf(size), b'\n') => Some(ChunkState::Data(size)),
        (ChunkState::DataCr, b'\r') => Some(ChunkState::DataLf),
        (ChunkState::DataLf, b'\n') => Some(ChunkState::FirstDigit),
        (ChunkState::Trailer, b'\r') => Some(ChunkState::EndLf),
        (ChunkState::TrailerRest, b'\r') => Some(ChunkState::TrailerLf),
        // A line feed alone would end a line for some, and the next request with it.
        (ChunkState::Trailer | ChunkState::TrailerRest, _) if byte != b'\n' => {
            Some(ChunkState::TrailerRest)
        }
        (ChunkState::TrailerLf, b'\n') => Some(ChunkState::Trailer),
        (ChunkState::EndLf, b'\n') => return State::Head,
        _ => None,
    };
    next.map_or(State::Broken, State::Chunked)
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}
