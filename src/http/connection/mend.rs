//! Puts the heads of requests together, mends their lines and refuses what can't be mended. Pure: bytes in, bytes out, in
//! any pieces.
//!
//! What is mended and why: the head of `mod.rs`; how a target is: `target.rs`. Whether a head can be taken: `head.rs`. Where the next one starts:
//! `framing.rs`.

use super::MAX_THROWN_AWAY;
use super::deadline::Part;
use super::framing::Framing;
use super::head::{self, Body, MAX_HEADER_BYTES, Refusal};
use super::marker::{ENCODED, KEPT, MAX_TARGET, OVERSIZED, refused_head};
use super::target::encoded;

/// The longest method that is taken for one, in bytes.
const MAX_METHOD: usize = 32;

/// Bytes kept of the end of an oversized line: room for a space, `HTTP/1.1`, CR and LF.
const MAX_ENDING: usize = 16;

/// The longest head, behind its target, that is remembered.
const MAX_REMEMBERED: usize = 1024;

/// Mends what one connection sends.
#[derive(Debug)]
pub(super) struct Mender {
    /// The longest request line taken, in bytes as sent, with its line end.
    max_line: usize,
    pub(super) framing: Framing,
    /// The start of a head whose end has not arrived: at most `max_line` bytes of its line and [`MAX_HEADER_BYTES`].
    held: Vec<u8>,
    /// Length of the request line in `held`, once it is whole.
    line: Option<usize>,
    /// Start of the last line in `held`.
    last: usize,
    oversized: Option<Oversized>,
    /// A head was refused: all that follows is thrown away.
    refused: bool,
    heads: u64,
    taken: Taken,
    /// Targets that are too long for the parser, by their numbers; nowhere to keep them if there is none.
    kept: Option<Vec<(u64, String)>>,
}

impl Mender {
    pub(super) fn new(max_line: usize) -> Self {
        Self {
            max_line: max_line.min(MAX_TARGET),
            framing: Framing::new(),
            held: Vec::new(),
            line: None,
            last: 0,
            oversized: None,
            refused: false,
            heads: 0,
            taken: Taken::default(),
            kept: None,
        }
    }

    /// Keeps targets that are too long for the parser, for [`Self::take_kept`].
    pub(super) fn keep_targets(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// Takes the targets that were kept since the last call, with their numbers.
    pub(super) fn take_kept(&mut self) -> Vec<(u64, String)> {
        self.kept.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes the next bytes of the client; `None` if they pass as they are, else what to pass on in their place.
    pub(super) fn feed(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Out { input, passed: 0, mended: None };
        while let Some(rest) = out.rest() {
            if self.is_over() || self.refused {
                self.framing.pass(rest);
                out.replace(rest.len(), b"");
                break;
            }
            if !self.framing.at_head() {
                out.pass(self.framing.pass(rest));
                continue;
            }
            if !self.in_head()
                && let Some((line, end)) = whole_head(rest)
                && line <= self.max_line
                && end - line <= MAX_HEADER_BYTES
                && let Some(head) = rest.get(..end)
            {
                // All at once, as nearly all requests come.
                self.heads += 1;
                match self.head(head, line) {
                    Some(mended) => out.replace(end, &mended),
                    None => out.pass(end),
                }
                continue;
            }
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (piece, _) = rest.split_at(end);
            out.replace(end, &self.piece(piece));
        }
        out.mended
    }

    /// Returns true if the client sent a body that can't be followed, so that the connection has to end.
    pub(super) fn is_over(&self) -> bool {
        self.framing.is_broken()
    }

    /// Returns the number of heads of requests that have passed.
    pub(super) fn requests(&self) -> u64 {
        self.framing.heads()
    }

    /// Returns true if what comes next belongs to the last request whose head has passed.
    pub(super) fn is_behind_head(&self) -> bool {
        !self.framing.at_head()
    }

    /// What of a request has begun and not ended, if anything, and how many bytes have come of it and its headers.
    pub(super) fn unfinished(&self) -> Option<(Part, u64)> {
        if self.in_head() {
            return Some((Part::Head(self.heads), 0));
        }
        self.framing.in_body().map(|passed| (Part::Body(self.heads), passed))
    }

    /// How many bytes of a head are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether a head has begun and not ended.
    fn in_head(&self) -> bool {
        !self.held.is_empty() || self.oversized.is_some()
    }

    /// A piece of a head, one line at most; what can be passed on of the head.
    fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        let is_end = piece.last() == Some(&b'\n');
        if let Some(oversized) = &mut self.oversized {
            oversized.add(piece);
            if oversized.length > self.max_line + MAX_THROWN_AWAY {
                let (length, is_head) = (oversized.length, oversized.start == b"HEAD ");
                self.oversized = None;
                let refusal = Refusal::LineTooLong(length as u64);
                return self.replaced_by(length, refused_head(refusal, b"", is_head));
            }
            return if is_end { self.oversized_line() } else { Vec::new() };
        }
        if self.held.is_empty() {
            self.heads += 1;
        }
        self.held.extend_from_slice(piece);
        match self.line {
            None => self.line_piece(is_end),
            Some(line) => self.header_piece(line, is_end),
        }
    }

    /// Goes on with a request line, of which all that came is held.
    fn line_piece(&mut self, is_end: bool) -> Vec<u8> {
        // Empty lines before a request are skipped (RFC 9112, section 2.2).
        if self.held == b"\r\n" || self.held == b"\n" {
            self.held = Vec::new();
            return Vec::new();
        }
        if !may_begin_request(&self.held) {
            return self.refuse(Refusal::NoRequest);
        }
        if self.held.len() > self.max_line {
            self.oversized = Some(Oversized::new(&std::mem::take(&mut self.held)));
            return if is_end { self.oversized_line() } else { Vec::new() };
        }
        if is_end { self.line_ended() } else { Vec::new() }
    }

    /// Goes on with the headers, of which all that came is held behind the request line.
    fn header_piece(&mut self, line: usize, is_end: bool) -> Vec<u8> {
        let headers = self.held.len().saturating_sub(line);
        if headers > MAX_HEADER_BYTES {
            return self.refuse(Refusal::HeadersTooLong);
        }
        if !is_end {
            return Vec::new();
        }
        let last = self.held.get(self.last..).unwrap_or_default();
        if !last.ends_with(b"\r\n") {
            return self.refuse(Refusal::BareLineFeed);
        }
        if last.len() > 2 {
            self.last = self.held.len();
            return Vec::new();
        }
        let head = std::mem::take(&mut self.held);
        self.line = None;
        self.head(&head, line).unwrap_or(head)
    }

    /// The request line in `held` is whole, as sent or with another target.
    fn line_ended(&mut self) -> Vec<u8> {
        if !self.held.ends_with(b"\r\n") {
            return self.refuse(Refusal::BareLineFeed);
        }
        self.line = Some(self.held.len());
        self.last = self.held.len();
        Vec::new()
    }

    /// An oversized line is whole: a short one takes its place, and its headers follow.
    fn oversized_line(&mut self) -> Vec<u8> {
        let Some(oversized) = self.oversized.take() else { return Vec::new() };
        match oversized.replaced() {
            Some(line) => {
                self.held = line;
                self.line_ended()
            }
            None => self.refuse(Refusal::NoRequest),
        }
    }

    /// A whole head whose first `line` bytes are the request line; what to pass on in its place, `None` for itself.
    fn head(&mut self, head: &[u8], line: usize) -> Option<Vec<u8>> {
        let (line, headers) = head.split_at(line.min(head.len()));
        let Some(parts) = Parts::of(line).filter(|_| may_begin_request(line)) else {
            return Some(self.refused(head.len(), Refusal::NoRequest, None));
        };
        if parts.target.contains(&b'\r') {
            return Some(self.refused(head.len(), Refusal::BareCarriageReturn, Some(&parts)));
        }
        // The host and port of a tunnel are no target to be mended.
        let mut target = if parts.method == b"CONNECT" { None } else { encoded(parts.target) };
        if let Some(long) = target.take_if(|target| target.len() > MAX_TARGET) {
            target = Some(self.stand_in(long).into_bytes());
        }
        let is_rooted = parts.method != b"CONNECT"
            && target.as_deref().unwrap_or(parts.target).starts_with(b"/");
        let mended =
            target.map(|target| [parts.method, b" ", &target, parts.ending, headers].concat());
        let behind = head.get(line.len().saturating_sub(parts.ending.len())..).unwrap_or_default();
        if is_rooted && let Some(body) = self.taken.body_of(parts.method, behind) {
            self.framing.head_passed(head.len(), body);
            return mended;
        }
        match head::read(mended.as_deref().unwrap_or(head)) {
            Ok(body) => {
                self.taken.remember(parts.method, behind, body);
                self.framing.head_passed(head.len(), body);
                mended
            }
            Err(refusal) => Some(self.refused(head.len(), refusal, Some(&parts))),
        }
    }

    /// The target that stands for one which is too long for the parser.
    fn stand_in(&mut self, encoded: Vec<u8>) -> String {
        match (&mut self.kept, String::from_utf8(encoded)) {
            (Some(kept), Ok(target)) => {
                kept.push((self.heads, target));
                format!("{KEPT}{}", self.heads)
            }
            (_, Ok(target)) => format!("{ENCODED}{}", target.len()),
            (_, Err(error)) => format!("{ENCODED}{}", error.as_bytes().len()),
        }
    }

    /// Gives up on the head that is held, which has not ended.
    fn refuse(&mut self, refusal: Refusal) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let line = held.get(..self.line.take().unwrap_or_default()).unwrap_or_default();
        self.refused(held.len(), refusal, Parts::of(line).as_ref())
    }

    /// The head that stands for one that is refused. All that follows counts as its body, none of which is passed on: the
    /// connection ends with the reply. It is read for a while, or a reset would overtake that.
    fn refused(&mut self, length: usize, refusal: Refusal, parts: Option<&Parts<'_>>) -> Vec<u8> {
        let target =
            parts.map(|parts| encoded(parts.target).unwrap_or_else(|| parts.target.to_vec()));
        let is_head = parts.is_some_and(|parts| parts.method == b"HEAD");
        let head = refused_head(refusal, target.as_deref().unwrap_or_default(), is_head);
        self.replaced_by(length, head)
    }

    /// Throws away all that comes behind so many bytes of a request, for which `head` stands.
    fn replaced_by(&mut self, length: usize, head: Vec<u8>) -> Vec<u8> {
        self.refused = true;
        self.framing.head_passed(length, Body::Counted(u64::MAX));
        head
    }
}

/// The last head that was taken, but for its target. Nearly all heads of a connection are the same there, and to compare
/// them takes less time than to read them. What is taken does not depend on a target that begins with a slash, because that
/// was mended.
#[derive(Debug, Default)]
struct Taken {
    method: Vec<u8>,
    /// What stood behind the target; empty where nothing is remembered.
    behind: Vec<u8>,
    body: Body,
}

impl Taken {
    /// What the headers say about the body, if they are those that are remembered.
    fn body_of(&self, method: &[u8], behind: &[u8]) -> Option<Body> {
        (self.behind == behind && self.method == method).then_some(self.body)
    }

    fn remember(&mut self, method: &[u8], behind: &[u8], body: Body) {
        self.method.clear();
        self.behind.clear();
        if behind.len() <= MAX_REMEMBERED {
            self.method.extend_from_slice(method);
            self.behind.extend_from_slice(behind);
            self.body = body;
        }
    }
}

/// The length of a request line and of the whole head that `input` begins with, if all of it is there and each line ends
/// with CR LF.
fn whole_head(input: &[u8]) -> Option<(usize, usize)> {
    let mut line = 0;
    let mut start = 0;
    loop {
        let rest = input.get(start..)?;
        let end = rest.iter().position(|&byte| byte == b'\n')? + 1;
        let length = end.checked_sub(2).filter(|&at| rest.get(at) == Some(&b'\r'))?;
        start += end;
        match (line, length) {
            (0, 0) => return None,
            (0, _) => line = start,
            (_, 0) => return Some((line, start)),
            _ => {}
        }
    }
}

/// What goes out for one piece of input. No copy is made as long as it is the same: the usual request is only scanned.
struct Out<'a> {
    input: &'a [u8],
    /// How much of the input has been dealt with.
    passed: usize,
    /// What goes out for that, once it differs.
    mended: Option<Vec<u8>>,
}

impl<'a> Out<'a> {
    fn rest(&self) -> Option<&'a [u8]> {
        self.input.get(self.passed..).filter(|rest| !rest.is_empty())
    }

    fn pass(&mut self, count: usize) {
        let end = self.passed + count;
        if let (Some(mended), Some(same)) = (&mut self.mended, self.input.get(self.passed..end)) {
            mended.extend_from_slice(same);
        }
        self.passed = end;
    }

    fn replace(&mut self, count: usize, by: &[u8]) {
        let before = self.input.get(..self.passed).unwrap_or_default();
        self.mended.get_or_insert_with(|| before.to_vec()).extend_from_slice(by);
        self.passed += count;
    }
}

/// A request line in three parts.
struct Parts<'a> {
    method: &'a [u8],
    /// What lies between the first and the last space.
    target: &'a [u8],
    /// The last space, the version and the line end.
    ending: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let first = line.iter().position(|&byte| byte == b' ')?;
        let last = line.iter().rposition(|&byte| byte == b' ')?;
        let ending = line.get(last..)?;
        let target = line.get(first + 1..last)?;
        is_ending(ending).then_some(Self { method: line.get(..first)?, target, ending })
    }
}

/// Whether this is a space, `HTTP/1.0` or `HTTP/1.1`, and a line end of whatever kind.
fn is_ending(ending: &[u8]) -> bool {
    let version = ending.strip_suffix(b"\n").unwrap_or(ending);
    let version = version.strip_suffix(b"\r").unwrap_or(version);
    matches!(version, b" HTTP/1.0" | b" HTTP/1.1")
}

/// Whether a line that starts so can be a request line or the empty line before one.
fn may_begin_request(start: &[u8]) -> bool {
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
struct Oversized {
    /// The method and the space after it.
    start: Vec<u8>,
    /// The last bytes, at most [`MAX_ENDING`].
    end: Vec<u8>,
    /// All bytes seen of the line.
    length: usize,
}

impl Oversized {
    fn new(line: &[u8]) -> Self {
        let method = line.iter().position(|&byte| byte == b' ').map_or(line.len(), |at| at + 1);
        let start = line.iter().take(method).copied().collect();
        let mut new = Self { start, end: Vec::new(), length: 0 };
        new.add(line);
        new
    }

    fn add(&mut self, piece: &[u8]) {
        self.length += piece.len();
        self.end.extend(piece.iter().skip(piece.len().saturating_sub(MAX_ENDING)));
        self.end.drain(..self.end.len().saturating_sub(MAX_ENDING));
    }

    /// The line with [`OVERSIZED`] in place of its target; nothing for one without version, which is no request.
    fn replaced(&self) -> Option<Vec<u8>> {
        let space = self.end.iter().rposition(|&byte| byte == b' ')?;
        let ending = self.end.get(space..).filter(|ending| is_ending(ending))?;
        let target = format!("{OVERSIZED}{}", self.length);
        Some([&self.start, target.as_bytes(), ending].concat())
    }
}
