//! Where a request ends: follows the head and the body of one request, so that the next request line is found.
//!
//! Pure and without buffers of note. It reads only what decides the length of the body, in the way that `actix-http`
//! reads it; wherever that would answer 400 and hang up, this gives up for good ([`Place::Unknown`], in a
//! chunked body [`Place::Broken`]), since a mended byte inside a body would move the border of the next request. Who mends
//! the lines: `mend.rs`.

/// Bytes kept of a header line that arrives in several reads: enough for each header that matters here.
const MAX_HEADER: usize = 512;

/// The place in the stream of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The next byte starts a request line, or an empty line before it.
    Line,
    /// In the header lines.
    Header,
    /// In a body with this many bytes to come, never 0.
    Body(u64),
    /// In a chunked body.
    Chunked(Chunk),
    /// No request line can be told apart any more: all that follows passes as it is.
    Unknown,
    /// After a byte that no chunked body can have there, or a head of which it can't be told how it goes on: nothing that
    /// follows belongs to anything.
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

/// What the headers said about the body.
#[derive(Debug, Default, Clone, Copy)]
struct Facts {
    length: Option<u64>,
    chunked: bool,
    /// The end of this request cannot be told: a bad header, or a change of protocol.
    lost: bool,
    /// Nor can it, though `actix-http` takes the request: a header that matters is too long to be kept.
    too_long: bool,
}

/// Follows one connection from request to request.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    facts: Facts,
    /// The start of a header line whose end has not arrived.
    header: Vec<u8>,
    /// Whether there is a colon in what was dropped of that line.
    colon_dropped: bool,
    /// How many bytes of the request have passed since its line.
    passed: u64,
    /// How many heads have ended.
    heads: u64,
}

impl Framing {
    /// Starts at the first byte of a connection.
    pub(super) fn new() -> Self {
        Self {
            place: Place::Line,
            facts: Facts::default(),
            header: Vec::new(),
            colon_dropped: false,
            passed: 0,
            heads: 0,
        }
    }

    /// How many heads of requests have ended.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the next byte starts a request line.
    pub(super) fn at_line(&self) -> bool {
        self.place == Place::Line
    }

    /// Whether a head has begun whose last line has not been seen.
    pub(super) fn in_headers(&self) -> bool {
        self.place == Place::Header
    }

    /// Whether nothing that follows can be followed: a chunked body has ended in a byte that can't be there, or a header that
    /// matters was too long. `actix-http` would hang up at once, and answer neither
    /// that request nor those before it; where it sees the stream end, it answers all.
    pub(super) fn is_broken(&self) -> bool {
        self.place == Place::Broken
    }

    /// How many bytes of a request have passed whose body has begun and not ended, its headers included.
    pub(super) fn in_body(&self) -> Option<u64> {
        matches!(self.place, Place::Body(_) | Place::Chunked(_)).then_some(self.passed)
    }

    /// Says that a request line went by; `connect` if its method hands the connection over to another protocol.
    pub(super) fn line_passed(&mut self, connect: bool) {
        self.place = Place::Header;
        self.facts = Facts { lost: connect, ..Facts::default() };
        self.passed = 0;
    }

    /// Says that what went by was no request: nothing that follows is touched.
    pub(super) fn give_up(&mut self) {
        self.place = Place::Unknown;
    }

    /// Follows `input` to the end of the current request; how many of its bytes belong to that.
    pub(super) fn pass(&mut self, input: &[u8]) -> usize {
        let mut rest = input;
        while !rest.is_empty() {
            rest = match self.place {
                Place::Line | Place::Broken => break,
                Place::Unknown => &[],
                Place::Header => self.pass_header(rest),
                Place::Body(left) => {
                    let (after, left) = skip(rest, left);
                    self.place = if left == 0 { Place::Line } else { Place::Body(left) };
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

    fn pass_header<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let Some(at) = rest.iter().position(|&byte| byte == b'\n') else {
            self.keep(rest);
            return &[];
        };
        let (line, after) = rest.split_at(at + 1);
        if self.header.is_empty() {
            self.note(line, line.len() <= MAX_HEADER);
        } else {
            let complete = self.keep(line);
            let whole = std::mem::take(&mut self.header);
            self.note(&whole, complete);
            self.colon_dropped = false;
        }
        after
    }

    /// Adds to the header line that is kept; whether all of it found room.
    fn keep(&mut self, piece: &[u8]) -> bool {
        let room = MAX_HEADER.saturating_sub(self.header.len());
        let (kept, dropped) = piece.split_at(piece.len().min(room));
        self.header.extend_from_slice(kept);
        self.colon_dropped |= dropped.contains(&b':');
        dropped.is_empty()
    }

    /// Reads one header line; `complete` if it is no longer than what is kept of a line in pieces: how the bytes arrive
    /// must not matter.
    fn note(&mut self, line: &[u8], complete: bool) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.place = self.end_of_head();
            self.heads += 1;
            return;
        }
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else {
            // A name of more than MAX_HEADER bytes is none of the three below.
            self.facts.lost |= !self.colon_dropped;
            return;
        };
        let value = value.trim_ascii();
        let facts = &mut self.facts;
        facts.too_long |= !complete
            && [&b"content-length"[..], b"transfer-encoding", b"upgrade"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value)
                .ok()
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok());
            facts.lost |= length.is_none() || facts.length.is_some();
            facts.length = length;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            facts.lost |= facts.chunked || !value.eq_ignore_ascii_case(b"chunked");
            facts.chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            // An offer of h2c is ignored by an HTTP/1 server; a web socket takes the connection over.
            facts.lost |= value.eq_ignore_ascii_case(b"websocket");
        }
    }

    fn end_of_head(&self) -> Place {
        match self.facts {
            Facts { too_long: true, .. } => Place::Broken,
            Facts { lost: true, .. } | Facts { length: Some(_), chunked: true, .. } => {
                Place::Unknown
            }
            Facts { chunked: true, .. } => Place::Chunked(Chunk::FirstDigit),
            Facts { length: None | Some(0), .. } => Place::Line,
            Facts { length: Some(length), .. } => Place::Body(length),
        }
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
        (Chunk::Trailer | Chunk::TrailerRest, _) => Some(Chunk::TrailerRest),
        (Chunk::TrailerLf, b'\n') => Some(Chunk::Trailer),
        (Chunk::EndLf, b'\n') => return Place::Line,
        _ => None,
    };
    next.map_or(Place::Broken, Place::Chunked)
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}
