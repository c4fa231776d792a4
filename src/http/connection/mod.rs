//! A stream that mends the request targets of sloppy clients before the HTTP parser sees them.
//!
//! ACI clients send raw UTF-8, spaces, `<`, `>`, backticks and `#` in targets, and targets without a leading slash. The
//! `http` crate under actix-web refuses these (or cuts at the `#`) with a bare 400 before any handler runs, so that the
//! client gets no ACI reply. [`MendedStream`] percent-encodes just those bytes, in the request line alone; what the parser
//! takes stays byte for byte, and `%` is never touched.
//!
//! A head that the parser would refuse, with a bare status as well, or that others might read otherwise than it does (a line
//! that ends with a line feed alone) is replaced by a short one that it takes. Its target says what was wrong ([`Marked`]), so
//! that the handler can answer with an ACI error. A head is held back until it is whole.
//!
//! The same stream ends a connection whose client keeps the server waiting, or sends without end: only it knows which part
//! of a request is awaited.
//!
//! | file | contents |
//! |---|---|
//! | here | the stream, which connects all of these |
//! | `mend.rs` | assembles heads, mends or replaces them; pure |
//! | `request_line.rs` | the parts of a request line; pure |
//! | `target.rs` | percent-encodes targets; pure |
//! | `head.rs` | validates heads; pure |
//! | `framing.rs` | follows bodies to the start of the next head, also with pipelining; pure |
//! | `marker.rs` | the targets that say what was wrong; pure |
//! | `deadline.rs` | the time that a client has for each part of a request, and to take a reply |
//! | `backlog.rs` | limits how much is read ahead of the replies |
//! | `state.rs` | the state that reader and services of a connection share |
//!
//! `../server.rs` wraps the connections.

mod backlog;
mod deadline;
mod framing;
mod head;
mod marker;
mod mend;
#[cfg(test)]
mod properties;
mod request_line;
mod state;
mod target;
#[cfg(test)]
mod tests;

use std::{
    future::Future as _,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use backlog::{Backlog, Turn};
use deadline::{Deadline, ReplyDeadline};
pub use head::{HeadError, MAX_HEADER_BYTES, MAX_HEADERS};
pub use marker::{ENCODED, KEPT, MAX_TARGET, Marked, OVERSIZED, REFUSED};
use mend::Mender;
pub(super) use state::{Connection, CountedBody};

/// Number of bytes of one request line, beyond the limit for it, that are read before the client is told: until then the
/// next request may still be answered.
pub const MAX_THROWN_AWAY: usize = 1 << 20;

/// A stream whose reads give the bytes of `S` with the request targets mended.
///
/// Writes pass through. A connection costs at most `max_line` and [`MAX_HEADER_BYTES`] bytes of memory, while its client is in
/// the middle of a head.
#[derive(Debug)]
pub struct MendedStream<S> {
    inner: S,
    mender: Mender,
    /// Mended bytes that did not fit the reader's buffer yet.
    ready: Vec<u8>,
    /// Number of bytes of `ready` that the reader already has.
    given: usize,
    /// True once no more is read.
    ended: bool,
    deadline: Deadline,
    reply_deadline: ReplyDeadline,
    /// The end of the connection, whatever is under way then.
    close_at: Option<Pin<Box<Sleep>>>,
    /// The longest request whose end is waited for, in bytes.
    max_request: u64,
    /// The requests read ahead of the replies, where it is known who replies.
    backlog: Option<Backlog>,
    /// Returns true if the client has ended its side of the connection, as far as the socket knows.
    has_gone: fn(&S) -> bool,
}

impl<S> MendedStream<S> {
    /// Wraps a connection whose first byte has not been read.
    ///
    /// `max_line` is the longest request line taken, in bytes as they are sent and with its line end: [`MAX_TARGET`] at most.
    /// The target must fit that once it is percent-encoded, too.
    /// `timeout` is the longest time that the head of a request is waited for, all waits together, and its body, to
    /// which each 1,000 bytes add a second; then the reader sees the end of the stream. (`actix-http` has such a limit
    /// for the head of the first request of a connection alone.)
    pub fn new(inner: S, max_line: usize, timeout: Duration) -> Self {
        Self {
            inner,
            mender: Mender::new(max_line),
            ready: Vec::new(),
            given: 0,
            ended: false,
            deadline: Deadline::new(timeout),
            reply_deadline: ReplyDeadline::new(Duration::MAX),
            close_at: None,
            max_request: u64::MAX,
            backlog: None,
            has_gone: |_| false,
        }
    }

    /// Ends the connection, too, where the client takes nothing of what it is sent for `reply_timeout`, or has ended its
    /// side and is sent nothing for as long, or sends a request of more than `max_request` bytes after its line.
    #[must_use]
    pub fn limited(mut self, reply_timeout: Duration, max_request: u64) -> Self {
        self.reply_deadline = ReplyDeadline::new(reply_timeout);
        self.max_request = max_request;
        self
    }

    /// Ends the connection after this time, whatever is under way then. Needs a tokio runtime.
    #[must_use]
    pub(super) fn closed_after(mut self, time: Option<Duration>) -> Self {
        self.close_at = time.map(|time| Box::pin(tokio::time::sleep(time)));
        self
    }

    /// Limits how much is read ahead of the replies, which `connection` counts. While nothing is read, `has_gone` tells if the
    /// client has ended its side.
    #[must_use]
    pub(super) fn answered_by(
        mut self,
        connection: Rc<Connection>,
        has_gone: fn(&S) -> bool,
    ) -> Self {
        self.backlog = Some(Backlog::new(connection));
        self.mender.keep_targets();
        self.has_gone = has_gone;
        self
    }

    /// Returns the connection's state, if the stream was given one.
    pub(super) fn connection(&self) -> Option<&Rc<Connection>> {
        self.backlog.as_ref().map(Backlog::connection)
    }

    /// Moves as many mended bytes to the reader as fit; returns true if there were any.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let left = self.ready.get(self.given..).unwrap_or_default();
        let (now, later) = left.split_at(left.len().min(buf.remaining()));
        buf.put_slice(now);
        self.given += now.len();
        let any = !now.is_empty();
        if later.is_empty() && self.given > 0 {
            self.ready = Vec::new();
            self.given = 0;
        }
        any
    }

    /// Returns true if the client took too long over a request. Registers a waker if not.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.is_over(self.mender.unfinished(), cx)
    }

    /// Returns true if the time of the connection is over. Registers a waker if not.
    fn is_to_close(&mut self, cx: &mut Context<'_>) -> bool {
        let is_over = |close_at: &mut Pin<Box<Sleep>>| close_at.as_mut().poll(cx).is_ready();
        self.close_at.as_mut().is_some_and(is_over)
    }

    /// Returns true if the client sends without end.
    fn is_endless(&self) -> bool {
        self.mender.unfinished().is_some_and(|(_, passed)| passed > self.max_request)
    }

    /// Stops reading, and tells the services that work for this client.
    fn end(&mut self) {
        self.ended = true;
        if let Some(backlog) = &self.backlog {
            backlog.client_left();
        }
    }

    /// Returns what may be read next.
    fn turn(&mut self, cx: &Context<'_>) -> Turn {
        let turn = self.backlog.as_mut().map(|backlog| backlog.turn(&self.mender, cx));
        turn.unwrap_or(Turn::Read(usize::MAX))
    }
}

impl<S: AsyncRead + Unpin> MendedStream<S> {
    /// Reads at most `most` bytes from the client.
    fn poll_client(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<io::Result<()>> {
        let client = Pin::new(&mut self.inner);
        if buf.remaining() <= most {
            return client.poll_read(cx, buf);
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(client.poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MendedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.is_to_close(cx) {
            this.end();
        }
        // Ends: each turn without bytes for the reader either reads some, of which only a bounded amount is kept from
        // the reader, or returns.
        loop {
            if this.hand_over(buf) || this.ended {
                return Poll::Ready(Ok(()));
            }
            let most = match this.turn(cx) {
                Turn::Read(most) => most,
                Turn::Pause | Turn::Yield => {
                    // Nobody waits for the client now.
                    this.deadline.rest();
                    return Poll::Pending;
                }
            };
            let start = buf.filled().len();
            match this.poll_client(cx, buf, most) {
                Poll::Ready(Ok(())) => this.deadline.rest(),
                Poll::Pending if this.is_late(cx) => {
                    this.end();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => {
                    this.reply_deadline.client_gone();
                    this.end();
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    this.backlog.iter_mut().for_each(Backlog::watched);
                    return Poll::Pending;
                }
            }
            match buf.filled().get(start..) {
                Some(fresh) if !fresh.is_empty() => {
                    let mended = this.mender.feed(fresh);
                    if let Some(backlog) = &mut this.backlog {
                        backlog.read(fresh.len(), &this.mender);
                        backlog.connection().keep_targets(this.mender.take_kept());
                    }
                    if this.is_endless() || this.mender.is_over() {
                        this.end();
                    }
                    let Some(mended) = mended else {
                        return Poll::Ready(Ok(()));
                    };
                    buf.set_filled(start);
                    this.ready = mended;
                }
                _ => {
                    // Half a head is no request.
                    this.end();
                    this.reply_deadline.client_ended();
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MendedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_to_close(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.reply_deadline.check(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The dispatcher comes by here each time it is woken, also while a reply is not there yet.
        if this.is_to_close(cx) || this.reply_deadline.is_gone(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Some(backlog) = &mut this.backlog {
            backlog.flushed(cx, || (this.has_gone)(&this.inner));
        }
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        let flushed = this.reply_deadline.check_flush(flushed, cx);
        // The dispatcher flushes once it has written all that it has.
        if let (Poll::Ready(Ok(())), Some(backlog)) = (&flushed, &this.backlog) {
            backlog.connection().written();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_to_close(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.reply_deadline.check(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
