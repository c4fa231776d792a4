//! Mends request lines in a stream of bytes. Pure: bytes in, bytes out, in any pieces.
//!
//! What is mended and why: the head of `repair.rs`. Where a request line starts: `framing.rs`.

use super::{MAX_THROWN_AWAY, OVERSIZED, framing::Framing, patience::Part};

/// The longest method that is taken for one, in bytes.
const MAX_METHOD: usize = 32;

/// Bytes kept of the end of an oversized line: room for a space, `HTTP/1.1`, CR and LF.
const MAX_ENDING: usize = 16;

/// Mends what one connection sends.
#[derive(Debug)]
pub(super) struct Mender {
    /// The longest request line passed on, in bytes with its line end.
    max_line: usize,
    framing: Framing,
    /// The start of a request line whose end has not arrived, at most `max_line` bytes.
    held: Vec<u8>,
    oversized: Option<Oversized>,
    overrun: bool,
    heads: u64,
}

impl Mender {
    pub(super) fn new(max_line: usize) -> Self {
        Self {
            max_line,
            framing: Framing::new(),
            held: Vec::new(),
            oversized: None,
            overrun: false,
            heads: 0,
        }
    }

    /// Takes the next bytes of the client; `None` if they pass as they are, else what to pass on in their place.
    pub(super) fn feed(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Out { input, passed: 0, mended: None };
        while let Some(rest) = out.rest() {
            if self.overrun {
                break;
            }
            if self.framing.is_broken() {
                out.replace(rest.len(), b"");
                break;
            }
            if !self.framing.at_line() {
                out.pass(self.framing.pass(rest));
                continue;
            }
            match rest.iter().position(|&byte| byte == b'\n').and_then(|at| rest.get(..=at)) {
                Some(line) if self.held.is_empty() && self.oversized.is_none() => {
                    match self.line(line) {
                        Some(mended) => out.replace(line.len(), &mended),
                        None => out.pass(line.len()),
                    }
                }
                Some(last) => out.replace(last.len(), &self.last_piece(last)),
                None => out.replace(rest.len(), &self.piece(rest)),
            }
        }
        out.mended
    }

    /// What is left to pass on when the client sends no more.
    pub(super) fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Whether the client sent a request line so long that the connection has to end, or a body that can't be followed.
    pub(super) fn is_over(&self) -> bool {
        self.overrun || self.framing.is_broken()
    }

    /// How many heads of requests have passed.
    pub(super) fn requests(&self) -> u64 {
        self.framing.heads()
    }

    /// Whether what comes next belongs to the last request whose head has passed.
    pub(super) fn is_behind_head(&self) -> bool {
        !self.framing.at_line() && !self.framing.in_headers()
    }

    /// What of a request has begun and not ended, if anything, and how many bytes have come of it and its headers.
    pub(super) fn unfinished(&self) -> Option<(Part, u64)> {
        let begun = !self.held.is_empty() || self.oversized.is_some() || self.framing.in_headers();
        if begun {
            return Some((Part::Head(self.heads), 0));
        }
        self.framing.in_body().map(|passed| (Part::Body(self.heads), passed))
    }

    /// A piece of a request line without its end; what of it (and of what was held) can be passed on at once.
    fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        if let Some(oversized) = &mut self.oversized {
            oversized.add(piece);
            self.overrun = oversized.length > self.max_line + MAX_THROWN_AWAY;
            return Vec::new();
        }
        if self.held.is_empty() {
            self.heads += 1;
        }
        self.held.extend_from_slice(piece);
        if !may_begin_request(&self.held) {
            self.framing.give_up();
            return std::mem::take(&mut self.held);
        }
        if self.held.len() > self.max_line {
            self.oversized = Some(Oversized::new(&std::mem::take(&mut self.held)));
        }
        Vec::new()
    }

    /// The piece that ends a request line; the whole line to pass on.
    fn last_piece(&mut self, piece: &[u8]) -> Vec<u8> {
        if let Some(mut oversized) = self.oversized.take() {
            oversized.add(piece);
            return self.oversized_line(&oversized);
        }
        let mut line = std::mem::take(&mut self.held);
        line.extend_from_slice(piece);
        self.line(&line).unwrap_or(line)
    }

    /// A whole line; what to pass on in its place, `None` for the line itself.
    fn line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        // Empty lines before a request are skipped by HTTP parsers (RFC 9112, section 2.2).
        if line == b"\n" || line == b"\r\n" {
            return None;
        }
        self.heads += 1;
        if !may_begin_request(line) {
            self.framing.give_up();
            return None;
        }
        if line.len() > self.max_line {
            return Some(self.oversized_line(&Oversized::new(line)));
        }
        let Some(parts) = Parts::of(line) else {
            self.framing.give_up();
            return None;
        };
        let connect = parts.method == b"CONNECT";
        self.framing.line_passed(connect);
        if connect {
            return None;
        }
        let target = encoded(parts.target)?;
        if parts.method.len() + 1 + target.len() + parts.ending.len() > self.max_line {
            return Some(self.oversized_line(&Oversized::new(line)));
        }
        Some([parts.method, b" ", &target, parts.ending].concat())
    }

    fn oversized_line(&mut self, oversized: &Oversized) -> Vec<u8> {
        self.overrun = oversized.length > self.max_line + MAX_THROWN_AWAY;
        match oversized.replaced() {
            _ if self.overrun => Vec::new(),
            Ok(line) => {
                self.framing.line_passed(false);
                line
            }
            Err(bad) => {
                self.framing.give_up();
                bad
            }
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

/// Whether this is a space, `HTTP/1.x` and a line end.
fn is_ending(ending: &[u8]) -> bool {
    let version = ending.strip_suffix(b"\n").unwrap_or(ending);
    let version = version.strip_suffix(b"\r").unwrap_or(version);
    matches!(version.strip_prefix(b" HTTP/1."), Some([minor]) if minor.is_ascii_digit())
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

    /// The line with [`OVERSIZED`] in place of its target; the error is what is passed on of a line without version,
    /// which is no request and gets the answer for those.
    fn replaced(&self) -> Result<Vec<u8>, Vec<u8>> {
        let ending = self
            .end
            .iter()
            .rposition(|&byte| byte == b' ')
            .and_then(|at| self.end.get(at..))
            .filter(|ending| is_ending(ending));
        let target = self.length.saturating_sub(self.start.len() + ending.map_or(0, <[u8]>::len));
        let target = format!("{OVERSIZED}{target}");
        let line = [&self.start, target.as_bytes(), ending.unwrap_or(b"\n")].concat();
        if ending.is_some() { Ok(line) } else { Err(line) }
    }
}

/// The target with what the `http` crate refuses percent-encoded; `None` if it refuses nothing.
fn encoded(target: &[u8]) -> Option<Vec<u8>> {
    let rooted = target.first() == Some(&b'/') || target == b"*" || has_scheme(target);
    let mut in_query = false;
    let clean = target.iter().all(|&byte| {
        in_query |= byte == b'?';
        is_accepted(byte, in_query)
    });
    if rooted && clean {
        return None;
    }
    let mut out = Vec::with_capacity(target.len() + 64);
    if !rooted {
        out.push(b'/');
    }
    let mut in_query = false;
    for &byte in target {
        in_query |= byte == b'?';
        if is_accepted(byte, in_query) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 0xF].map(upper_hex));
        }
    }
    Some(out)
}

fn upper_hex(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

/// Whether the `http` crate (0.2) takes this byte in a path or in a query. A `#` it takes as the end of the target.
fn is_accepted(byte: u8, in_query: bool) -> bool {
    match byte {
        b'#' | b'<' | b'>' => false,
        b'"' | b'`' => (byte == b'`') == in_query,
        _ => byte.is_ascii_graphic(),
    }
}

/// Whether the target is in the absolute form, such as `http://host/path`.
fn has_scheme(target: &[u8]) -> bool {
    let length = target.iter().position(|&byte| byte == b':').unwrap_or(0);
    let scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    target.first().is_some_and(u8::is_ascii_alphabetic)
        && target.iter().take(length).all(scheme)
        && target.get(length..).is_some_and(|rest| rest.starts_with(b"://"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::Uri;

    /// Every byte in path and query: what the `http` crate takes stays, what it refuses or cuts is encoded and then taken.
    #[test]
    fn agrees_with_the_http_crate_on_every_byte() {
        for byte in 0..=255_u8 {
            for start in ["/a", "/a?b"] {
                let target = [start.as_bytes(), &[byte], b"z"].concat();
                let taken = Uri::try_from(target.as_slice())
                    .is_ok_and(|uri| uri.to_string().as_bytes() == target);
                let mended = encoded(&target);
                assert_eq!(taken, mended.is_none(), "byte {byte:#x} after {start}");
                if let Some(mended) = mended {
                    let wanted = format!("{start}%{byte:02X}z");
                    assert_eq!(mended, wanted.as_bytes());
                    assert_eq!(Uri::try_from(mended.as_slice()).unwrap().to_string(), wanted);
                }
            }
        }
    }

    #[test]
    fn targets() {
        for (target, wanted) in [
            ("", "/"),
            ("*", "*"),
            ("*a", "/*a"),
            ("action=x", "/action=x"),
            ("?a=1", "/?a=1"),
            ("a:b", "/a:b"),
            ("http://h/a b", "http://h/a%20b"),
            ("://x", "/://x"),
            ("action=fetch&u=http://x", "/action=fetch&u=http://x"),
            ("/a%zz%20%", "/a%zz%20%"),
            ("/a#b?c#d", "/a%23b?c%23d"),
            ("/{\"a\"}|^\\[]", "/{\"a\"}|^\\[]"),
            ("/?{\"a\"}`", "/?{%22a%22}`"),
        ] {
            let mended = encoded(target.as_bytes()).unwrap_or_else(|| target.into());
            assert_eq!(String::from_utf8(mended).unwrap(), wanted, "{target}");
        }
    }
}
