//! Backpressure: limits how much of a connection is read ahead of the replies, and watches the client meanwhile.
//!
//! `actix-http` buffers up to 128 KB that it can't work on yet, and from then on wakes itself in a busy loop; and while
//! nothing is read, a client that has gone is not noticed. So a connection is read only a little further than the request
//! that is being answered. `mod.rs` does the reading.

use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::mend::Mender;
use super::state::Connection;

/// Number of whole requests that may wait for the reply to the one before them: fewer than the limit at which `actix-http` no
/// longer takes them out of its buffer.
const MAX_REQUESTS: u64 = 12;

/// Number of bytes that may be read after the request that is being answered, from one reply to the next.
const MAX_BYTES: usize = 32 << 10;

/// Number of bytes that are read before `actix-http` works on them: its buffer never shrinks while the connection lasts.
const BURST: usize = 8 << 10;

/// Interval of the checks if the client of a connection that is not read has gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The next thing that a reader may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Read so many bytes.
    Read(usize),
    /// Yield once, then continue.
    Yield,
    /// Read nothing until a reply was sent.
    Pause,
}

/// The part of a connection that was read beyond the request being answered.
#[derive(Debug)]
pub(super) struct Backlog {
    connection: Rc<Connection>,
    /// Number of requests that were answered at the last check.
    answered: u64,
    /// Number of bytes read since then that do not belong to the request being answered.
    behind: usize,
    /// True while that has reached the limit.
    is_much: bool,
    /// Number of bytes read since the last flush.
    burst: usize,
    /// True if the socket will wake the reader since the last flush.
    is_watched: bool,
    look: Option<Pin<Box<Sleep>>>,
}

impl Backlog {
    pub(super) fn new(connection: Rc<Connection>) -> Self {
        Self {
            connection,
            answered: 0,
            behind: 0,
            is_much: false,
            burst: 0,
            is_watched: false,
            look: None,
        }
    }

    pub(super) const fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Returns what may be read next; for a pause, keeps the waker.
    pub(super) fn turn(&mut self, mender: &Mender, cx: &Context<'_>) -> Turn {
        if self.connection.is_held() {
            self.connection.wake_later(cx);
            return Turn::Pause;
        }
        let answered = self.connection.answered();
        if answered != self.answered {
            (self.answered, self.behind) = (answered, 0);
        }
        let is_much = self.behind >= MAX_BYTES || self.owed(mender) > MAX_REQUESTS;
        let is_much = is_much && !self.is_being_answered(mender);
        if is_much != self.is_much {
            self.is_much = is_much;
            self.connection.client_goes_on(is_much);
        }
        if is_much {
            self.connection.wake_later(cx);
            return Turn::Pause;
        }
        match BURST.saturating_sub(self.burst) {
            0 => {
                cx.waker().wake_by_ref();
                Turn::Yield
            }
            room => Turn::Read(room),
        }
    }

    /// Notes that this many bytes were read, after the mender has seen them.
    pub(super) fn read(&mut self, bytes: usize, mender: &Mender) {
        self.burst = self.burst.saturating_add(bytes);
        if !self.is_being_answered(mender) {
            self.behind = self.behind.saturating_add(bytes);
        }
    }

    /// Notes that the socket will wake the reader.
    pub(super) const fn watched(&mut self) {
        self.is_watched = true;
    }

    /// Notes that the client has ended its side of the connection, or is disconnected by the server.
    pub(super) fn client_left(&self) {
        self.connection.client_left();
    }

    /// Notes that the bytes that were read have been processed. While nothing is read and a service works for the client, checks
    /// now and then if the client has gone.
    pub(super) fn flushed(&mut self, cx: &mut Context<'_>, has_gone: impl FnOnce() -> bool) {
        self.burst = 0;
        let is_watched = std::mem::take(&mut self.is_watched);
        if is_watched || !self.connection.is_busy() || self.connection.has_left() {
            self.look = None;
            return;
        }
        let look = self.look.get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK_EVERY)));
        if look.as_mut().poll(cx).is_pending() {
            return;
        }
        if has_gone() {
            self.connection.client_left();
            self.look = None;
            return;
        }
        look.as_mut().reset(Instant::now() + LOOK_EVERY);
        if look.as_mut().poll(cx) == Poll::Ready(()) {
            cx.waker().wake_by_ref();
        }
    }

    /// Returns the number of requests that have come and have no reply yet.
    fn owed(&self, mender: &Mender) -> u64 {
        mender.requests().saturating_sub(self.connection.answered())
    }

    /// Returns true if the next bytes are for the request that is being answered, or will be next: only then can a pause delay a
    /// reply.
    fn is_being_answered(&self, mender: &Mender) -> bool {
        match self.owed(mender) {
            0 => true,
            1 => mender.is_behind_head(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    const POST: &str = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n";
    const CHUNKS: &str =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nFFFFF\r\n";
    const SOCKET: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n";

    /// What may be read after this, of which so many requests have begun to be answered and so many are.
    fn turn(sent: &str, begun: u64, answered: u64) -> Turn {
        let connection = Rc::new(Connection::default());
        let (mut backlog, mut mender) = (Backlog::new(Rc::clone(&connection)), Mender::new(100));
        let mut cx = Context::from_waker(Waker::noop());
        let mut answering: Vec<_> = (0..begun).map(|_| connection.begin()).collect();
        // What is left of them lives until it was looked.
        drop(answering.drain(..answered as usize));
        drop(mender.feed(sent.as_bytes()));
        backlog.read(sent.len(), &mender);
        backlog.flushed(&mut cx, || false);
        backlog.turn(&mender, &cx)
    }

    #[tokio::test]
    async fn by_table() {
        let read = Turn::Read(BURST);
        let body = "x".repeat(MAX_BYTES);
        let many = GET.repeat(MAX_REQUESTS as usize);
        for (sent, begun, answered, expected) in [
            ("", 0, 0, read),
            (GET, 1, 0, read),
            (&format!("{GET}GET /b HTTP/1.1\r\nHo"), 1, 0, read),
            // Whole requests.
            (&many, 1, 0, read),
            (&format!("{many}{GET}"), 1, 0, Turn::Pause),
            (&format!("{many}{GET}"), 2, 1, read),
            // A body is read while its request is answered, and before that only as far as may be.
            (&format!("{POST}{body}"), 1, 0, read),
            (&format!("{CHUNKS}{body}"), 1, 0, read),
            (&format!("{GET}{POST}{body}"), 1, 0, Turn::Pause),
            (&format!("{GET}{CHUNKS}{body}"), 1, 0, Turn::Pause),
            (&format!("{GET}{POST}{body}"), 2, 1, read),
            (&format!("{GET}{CHUNKS}{body}"), 2, 1, read),
            // A head that does not end.
            (&format!("{GET}GET /b HTTP/1.1\r\nX: {body}"), 1, 0, Turn::Pause),
            (&format!("{GET}GET /b HTTP/1.1\r\nX: {body}"), 1, 1, read),
            // Another protocol.
            (&format!("{SOCKET}{body}"), 1, 0, read),
            (&format!("{GET}{SOCKET}{body}"), 1, 0, Turn::Pause),
            // A request that is refused: what follows counts as its body.
            (&format!("{GET}no request\r\n{body}"), 1, 0, Turn::Pause),
            (&format!("{GET}no request\r\n{body}"), 2, 1, read),
        ] {
            let named = sent.get(..sent.len().min(200));
            assert_eq!(turn(sent, begun, answered), expected, "{named:?} {begun} {answered}");
        }
    }

    #[test]
    fn a_reply_or_the_end_of_a_hold_wakes_the_reader() {
        let connection = Rc::new(Connection::default());
        let (mut backlog, mut mender) = (Backlog::new(Rc::clone(&connection)), Mender::new(100));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        let client = connection.client();
        let answering = connection.begin();
        drop(mender.feed(GET.repeat(20).as_bytes()));
        assert_eq!(backlog.turn(&mender, &cx), Turn::Pause);
        assert_eq!(backlog.turn(&mender, &cx), Turn::Pause);
        assert_eq!(woken.times(), 0, "it wakes itself");
        drop(answering);
        assert_eq!(woken.times(), 1);
        drop(client);

        let (mut backlog, mender) = (Backlog::new(Rc::clone(&connection)), Mender::new(100));
        let holds = [connection.hold(), connection.hold()];
        for hold in holds {
            assert_eq!(backlog.turn(&mender, &cx), Turn::Pause);
            drop(hold);
        }
        assert_eq!(woken.times(), 3);
        assert_eq!(backlog.turn(&mender, &cx), Turn::Read(BURST));
    }

    #[tokio::test]
    async fn the_others_have_their_turn_after_each_burst() {
        let connection = Rc::new(Connection::default());
        let (mut backlog, mut mender) = (Backlog::new(connection), Mender::new(100));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        drop(mender.feed(POST.as_bytes()));
        backlog.read(BURST - 1, &mender);
        assert_eq!(backlog.turn(&mender, &cx), Turn::Read(1));
        backlog.read(1, &mender);
        assert_eq!((backlog.turn(&mender, &cx), woken.times()), (Turn::Yield, 1));
        backlog.flushed(&mut cx, || false);
        assert_eq!(backlog.turn(&mender, &cx), Turn::Read(BURST));
    }

    /// Only where nobody reads and somebody works for the client is it looked whether it has gone, once a second.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_not_read_is_looked_after() {
        for (is_watched, is_busy, looks) in
            [(false, true, true), (true, true, false), (false, false, false)]
        {
            let connection = Rc::new(Connection::default());
            let mut backlog = Backlog::new(Rc::clone(&connection));
            let _answering = is_busy.then(|| connection.begin());
            let mut cx = Context::from_waker(Waker::noop());
            for second in 0..4 {
                if is_watched {
                    backlog.watched();
                }
                backlog.flushed(&mut cx, || second > 1);
                assert_eq!(connection.has_left(), looks && second > 1, "second {second}");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}
