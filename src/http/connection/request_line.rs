//! Request lines: their parts, and those that are too long to keep.

use super::marker::OVERSIZED;

/// The longest method that is accepted, in bytes.
const MAX_METHOD: usize = 32;

/// Number of bytes kept of the end of an oversized line: enough for a space, `HTTP/1.1`, CR and LF.
const MAX_ENDING: usize = 16;

/// A request line in three parts.
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    /// The bytes between the first and the last space.
    pub(super) target: &'a [u8],
    /// The last space, the version and the line end.
    pub(super) ending: &'a [u8],
}

impl<'a> RequestLine<'a> {
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        let first = line.iter().position(|&byte| byte == b' ')?;
        let last = line.iter().rposition(|&byte| byte == b' ')?;
        let ending = line.get(last..)?;
        let target = line.get(first + 1..last)?;
        is_ending(ending).then_some(Self { method: line.get(..first)?, target, ending })
    }
}

/// Returns true for a space, `HTTP/1.0` or `HTTP/1.1`, and a line end of either kind or none.
fn is_ending(ending: &[u8]) -> bool {
    let version = ending.strip_suffix(b"\n").unwrap_or(ending);
    let version = version.strip_suffix(b"\r").unwrap_or(version);
    matches!(version, b" HTTP/1.0" | b" HTTP/1.1")
}

/// Returns true if a line with this start can be a request line, or the empty line before one.
pub(super) fn may_begin_request(start: &[u8]) -> bool {
    if start == b"\r" {
        return true;
    }
    let method = start.iter().position(|&byte| byte == b' ');
    let length = method.unwrap_or(start.len());
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let ended = start.last() == Some(&b'\n') && method.is_none();
    length > 0 && length <= MAX_METHOD && !ended && start.iter().take(length).all(token)
}

/// A request line of which only both ends are kept.
#[derive(Debug)]
pub(super) struct OversizedLine {
    /// The method and the space after it.
    pub(super) start: Vec<u8>,
    /// The last bytes, at most [`MAX_ENDING`].
    end: Vec<u8>,
    /// Number of bytes of the line so far.
    pub(super) length: usize,
}

impl OversizedLine {
    pub(super) fn new(line: &[u8]) -> Self {
        let method = line.iter().position(|&byte| byte == b' ').map_or(line.len(), |at| at + 1);
        let start = line.iter().take(method).copied().collect();
        let mut new = Self { start, end: Vec::new(), length: 0 };
        new.add(line);
        new
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        self.length += piece.len();
        self.end.extend(piece.iter().skip(piece.len().saturating_sub(MAX_ENDING)));
        self.end.drain(..self.end.len().saturating_sub(MAX_ENDING));
    }

    /// Returns the line with [`OVERSIZED`] in place of its target; `None` for one without a version, which is no request.
    pub(super) fn replaced(&self) -> Option<Vec<u8>> {
        let space = self.end.iter().rposition(|&byte| byte == b' ')?;
        let ending = self.end.get(space..).filter(|ending| is_ending(ending))?;
        let target = format!("{OVERSIZED}{}", self.length);
        Some([&self.start, target.as_bytes(), ending].concat())
    }
}
