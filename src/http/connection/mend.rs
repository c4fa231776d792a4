//! Assembles the heads of requests, mends their lines and refuses what can't be mended. Pure: bytes in, bytes out, in any
//! pieces.
//!
//! `mod.rs` says what is mended and why. `target.rs` mends a target, `head.rs` validates a head, and `framing.rs` finds the
//! start of the next one.

use super::MAX_THROWN_AWAY;
use super::deadline::RequestPart;
use super::framing::Framing;
use super::head::{self, BodyLength, HeadError, MAX_HEADER_BYTES};
use super::marker::{ENCODED, KEPT, MAX_TARGET, refused_head};
use super::request_line::{OversizedLine, RequestLine, may_begin_request};
use super::target::encoded;

/// Largest head, without method and target, that is remembered.
const MAX_REMEMBERED: usize = 1024;

/// Mends the requests of one connection.
#[derive(Debug)]
pub(super) struct Mender {
    /// The longest request line that is accepted, in bytes as sent, with its line end.
    max_line: usize,
    pub(super) framing: Framing,
    /// The start of a head whose end has not arrived: at most `max_line` bytes of its line and [`MAX_HEADER_BYTES`].
    held: Vec<u8>,
    /// Length of the request line in `held`, once it is whole.
    line: Option<usize>,
    /// Offset of the last line in `held`.
    last_line: usize,
    oversized: Option<OversizedLine>,
    /// True once a head was refused: all that follows is thrown away.
    refused: bool,
    heads: u64,
    last_head: LastHead,
    /// Targets that are too long for the parser, by their numbers; `None` where they are not kept.
    kept: Option<Vec<(u64, String)>>,
}

impl Mender {
    pub(super) fn new(max_line: usize) -> Self {
        Self {
            max_line: max_line.min(MAX_TARGET),
            framing: Framing::new(),
            held: Vec::new(),
            line: None,
            last_line: 0,
            oversized: None,
            refused: false,
            heads: 0,
            last_head: LastHead::default(),
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

    /// Takes the next bytes of the client. Returns the bytes to pass on in their place; `None` if they pass as they are.
    pub(super) fn feed(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Rewriter { input, passed: 0, mended: None };
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

    /// Returns true if the client sent a body that can't be framed, so that the connection has to end.
    pub(super) fn is_over(&self) -> bool {
        self.framing.is_broken()
    }

    /// Returns the number of heads of requests that have passed.
    pub(super) fn requests(&self) -> u64 {
        self.framing.heads()
    }

    /// Returns true if the next bytes belong to the last request whose head has passed.
    pub(super) fn is_behind_head(&self) -> bool {
        !self.framing.at_head()
    }

    /// Returns the part of a request that has begun and not ended, if any, and the number of bytes of that and its headers.
    pub(super) fn unfinished(&self) -> Option<(RequestPart, u64)> {
        if self.in_head() {
            return Some((RequestPart::Head(self.heads), 0));
        }
        self.framing.in_body().map(|passed| (RequestPart::Body(self.heads), passed))
    }

    /// Returns the number of bytes of a head that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns true if a head has begun and not ended.
    fn in_head(&self) -> bool {
        !self.held.is_empty() || self.oversized.is_some()
    }

    /// Takes a piece of a head, at most one line; returns the bytes that can be passed on.
    fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        let is_end = piece.last() == Some(&b'\n');
        if let Some(oversized) = &mut self.oversized {
            oversized.add(piece);
            if oversized.length > self.max_line + MAX_THROWN_AWAY {
                let (length, is_head) = (oversized.length, oversized.start == b"HEAD ");
                self.oversized = None;
                let error = HeadError::LineTooLong(length as u64);
                return self.replaced_by(length, refused_head(error, b"", is_head));
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

    /// Continues a request line, which is held so far.
    fn line_piece(&mut self, is_end: bool) -> Vec<u8> {
        // Empty lines before a request are skipped (RFC 9112, section 2.2).
        if self.held == b"\r\n" || self.held == b"\n" {
            self.held = Vec::new();
            return Vec::new();
        }
        if !may_begin_request(&self.held) {
            return self.refuse(HeadError::NoRequest);
        }
        if self.held.len() > self.max_line {
            self.oversized = Some(OversizedLine::new(&std::mem::take(&mut self.held)));
            return if is_end { self.oversized_line() } else { Vec::new() };
        }
        if is_end { self.line_ended() } else { Vec::new() }
    }

    /// Continues the headers, which are held so far after the request line.
    fn header_piece(&mut self, line: usize, is_end: bool) -> Vec<u8> {
        let headers = self.held.len().saturating_sub(line);
        if headers > MAX_HEADER_BYTES {
            return self.refuse(HeadError::HeadersTooLong);
        }
        if !is_end {
            return Vec::new();
        }
        let last = self.held.get(self.last_line..).unwrap_or_default();
        if !last.ends_with(b"\r\n") {
            return self.refuse(HeadError::BareLineFeed);
        }
        if last.len() > 2 {
            self.last_line = self.held.len();
            return Vec::new();
        }
        let head = std::mem::take(&mut self.held);
        self.line = None;
        self.head(&head, line).unwrap_or(head)
    }

    /// Ends the request line in `held`, which is as sent or has a marker for its target.
    fn line_ended(&mut self) -> Vec<u8> {
        if !self.held.ends_with(b"\r\n") {
            return self.refuse(HeadError::BareLineFeed);
        }
        self.line = Some(self.held.len());
        self.last_line = self.held.len();
        Vec::new()
    }

    /// Ends an oversized line: a short one takes its place, and its headers follow.
    fn oversized_line(&mut self) -> Vec<u8> {
        let Some(oversized) = self.oversized.take() else { return Vec::new() };
        match oversized.replaced() {
            Some(line) => {
                self.held = line;
                self.line_ended()
            }
            None => self.refuse(HeadError::NoRequest),
        }
    }

    /// Takes a whole head whose first `line` bytes are the request line. Returns the bytes to pass on in its place; `None` if it
    /// passes as it is.
    fn head(&mut self, head: &[u8], line: usize) -> Option<Vec<u8>> {
        let (line, headers) = head.split_at(line.min(head.len()));
        let Some(request) = RequestLine::of(line).filter(|_| may_begin_request(line)) else {
            return Some(self.refused(head.len(), HeadError::NoRequest, None));
        };
        if request.target.contains(&b'\r') {
            return Some(self.refused(head.len(), HeadError::BareCarriageReturn, Some(&request)));
        }
        // The host and port of a tunnel are no target to be mended.
        let mut target = if request.method == b"CONNECT" { None } else { encoded(request.target) };
        if let Some(long) = target.take_if(|target| target.len() > MAX_TARGET) {
            target = Some(self.stand_in(long).into_bytes());
        }
        let is_rooted = request.method != b"CONNECT"
            && target.as_deref().unwrap_or(request.target).starts_with(b"/");
        let mended =
            target.map(|target| [request.method, b" ", &target, request.ending, headers].concat());
        let behind =
            head.get(line.len().saturating_sub(request.ending.len())..).unwrap_or_default();
        if is_rooted && let Some(body) = self.last_head.body_of(request.method, behind) {
            self.framing.head_passed(head.len(), body);
            return mended;
        }
        match head::read(mended.as_deref().unwrap_or(head)) {
            Ok(body) => {
                self.last_head.remember(request.method, behind, body);
                self.framing.head_passed(head.len(), body);
                mended
            }
            Err(error) => Some(self.refused(head.len(), error, Some(&request))),
        }
    }

    /// Returns the marker for a target that is too long for the parser.
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
    fn refuse(&mut self, error: HeadError) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let line = held.get(..self.line.take().unwrap_or_default()).unwrap_or_default();
        self.refused(held.len(), error, RequestLine::of(line).as_ref())
    }

    /// Returns the head that stands in for a refused one. All that follows counts as its body and is thrown away; the connection
    /// ends with the reply. The rest is read for a while, or a reset would overtake the reply.
    fn refused(
        &mut self,
        length: usize,
        error: HeadError,
        request: Option<&RequestLine<'_>>,
    ) -> Vec<u8> {
        let target = request
            .map(|request| encoded(request.target).unwrap_or_else(|| request.target.to_vec()));
        let is_head = request.is_some_and(|request| request.method == b"HEAD");
        let head = refused_head(error, target.as_deref().unwrap_or_default(), is_head);
        self.replaced_by(length, head)
    }

    /// Throws away all that follows the first `length` bytes of a request, for which `head` stands in.
    fn replaced_by(&mut self, length: usize, head: Vec<u8>) -> Vec<u8> {
        self.refused = true;
        self.framing.head_passed(length, BodyLength::Counted(u64::MAX));
        head
    }
}

/// The last head that was accepted, without its target. Nearly all heads of a connection are the same there, and a comparison
/// takes less time than validation, whose result does not depend on a target that begins with a slash, because that was
/// mended.
#[derive(Debug, Default)]
struct LastHead {
    method: Vec<u8>,
    /// The bytes after the target; empty if nothing is remembered.
    behind: Vec<u8>,
    body: BodyLength,
}

impl LastHead {
    /// Returns the length of the body, if the head is the one that is remembered.
    fn body_of(&self, method: &[u8], behind: &[u8]) -> Option<BodyLength> {
        (self.behind == behind && self.method == method).then_some(self.body)
    }

    fn remember(&mut self, method: &[u8], behind: &[u8], body: BodyLength) {
        self.method.clear();
        self.behind.clear();
        if behind.len() <= MAX_REMEMBERED {
            self.method.extend_from_slice(method);
            self.behind.extend_from_slice(behind);
            self.body = body;
        }
    }
}

/// Returns the length of the request line and of the whole head at the start of `input`, if all of it is there and each line
/// ends with CR LF.
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

/// The output for one piece of input. No copy is made as long as both are the same: the usual request is only scanned.
struct Rewriter<'a> {
    input: &'a [u8],
    /// Number of bytes of the input that have been processed.
    passed: usize,
    /// The output for these, once it differs from them.
    mended: Option<Vec<u8>>,
}

impl<'a> Rewriter<'a> {
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
