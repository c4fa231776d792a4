//! Deadlines for a client: to send the head of a request, to send its body, and to take the reply.
//!
//! Only the time in which the server waits counts: a body that the server does not read, because it waits for memory, is
//! not late. `mod.rs` does the waiting.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Slowest rate of a body, in bytes a second: each time this many have come, it gets another second.
const SLOWEST: u64 = 1_000;

/// Largest timeout, practically for ever; longer ones would overflow.
const LONGEST: Duration = Duration::from_secs(1 << 30);

/// The part of a request that is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestPart {
    /// The head of the request of this number.
    Head(u64),
    /// The body of the request of this number.
    Body(u64),
}

/// The deadline of the part of a request that is awaited.
#[derive(Debug)]
pub(super) struct Deadline {
    allowed: Duration,
    wait: Option<Wait>,
}

#[derive(Debug)]
struct Wait {
    part: RequestPart,
    /// Time that was spent waiting until `since`.
    waited: Duration,
    /// Start of the current wait, if there is one.
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    /// Allows this time for each part, and for a body a second more for every [`SLOWEST`] bytes of it.
    pub(super) fn new(allowed: Duration) -> Self {
        Self { allowed, wait: None }
    }

    /// Stops the clock, because something came or nothing is awaited.
    pub(super) fn rest(&mut self) {
        if let Some(wait) = &mut self.wait
            && let Some(since) = wait.since.take()
        {
            wait.waited += since.elapsed();
        }
    }

    /// Returns true if this part, of which so many bytes have come, is late. Registers a waker if not.
    pub(super) fn is_over(
        &mut self,
        part: Option<(RequestPart, u64)>,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some((part, received)) = part else {
            self.wait = None;
            return false;
        };
        let won = match part {
            RequestPart::Head(_) => Duration::ZERO,
            RequestPart::Body(_) => Duration::from_secs(received / SLOWEST),
        };
        let now = Instant::now();
        let wait = match self.wait.take() {
            Some(wait) if wait.part == part => wait,
            _ => Wait {
                part,
                waited: Duration::ZERO,
                since: None,
                timer: Box::pin(tokio::time::sleep_until(now)),
            },
        };
        let wait = self.wait.insert(wait);
        if wait.since.is_none() {
            wait.since = Some(now);
            let left = self.allowed.saturating_add(won).saturating_sub(wait.waited);
            wait.timer.as_mut().reset(now + left.min(LONGEST));
        }
        wait.timer.as_mut().poll(cx).is_ready()
    }
}

/// The deadline of a client to take some of its reply, and of the reply to a client that sends nothing more.
#[derive(Debug)]
pub(super) struct ReplyDeadline {
    allowed: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// True once the client has ended its side of the connection.
    ended: bool,
    /// True once the connection is broken: the client will never take anything.
    gone: bool,
    /// Runs since `ended`, or since the last bytes were sent after that.
    left: Option<Pin<Box<Sleep>>>,
}

impl ReplyDeadline {
    pub(super) fn new(allowed: Duration) -> Self {
        Self { allowed: allowed.min(LONGEST), timer: None, ended: false, gone: false, left: None }
    }

    /// Notes that the client has ended its side. Most have gone then, and until a reply is sent nothing tells them from those
    /// that still wait for it.
    pub(super) const fn client_ended(&mut self) {
        self.ended = true;
    }

    /// Notes that the connection is broken. A reset right after a request is an end of the stream to `actix-http`, which then
    /// waits for the reply alone.
    pub(super) const fn client_gone(&mut self) {
        self.gone = true;
    }

    /// Returns true if the client has gone, or has ended its side and could be sent nothing for too long. Registers a waker if
    /// not.
    pub(super) fn is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        if self.gone {
            return true;
        }
        let allowed = self.allowed;
        let left = || Box::pin(tokio::time::sleep(allowed));
        self.ended && self.left.get_or_insert_with(left).as_mut().poll(cx).is_ready()
    }

    /// Returns the result of a write, or an error if the client took nothing for too long.
    pub(super) fn check<T>(
        &mut self,
        written: Poll<std::io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<T>> {
        let allowed = self.allowed;
        if written.is_ready() {
            self.timer = None;
            if let Some(left) = &mut self.left {
                left.as_mut().reset(Instant::now() + allowed);
            }
            return written;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(allowed)));
        timer.as_mut().poll(cx).map(|()| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// Returns the result of a flush, or an error if the client took nothing for too long. TLS takes some of a reply before the
    /// client does, and a flush waits for that; elsewhere none ever waits.
    pub(super) fn check_flush(
        &mut self,
        flushed: Poll<std::io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        if flushed.is_ready() {
            // Nothing was sent by it, so the time of a client that has ended its side goes on.
            self.timer = None;
            return flushed;
        }
        self.check(flushed, cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Waits until this part is over or a step of time has passed; whether it is over.
    async fn over_within(
        deadline: &mut Deadline,
        part: (RequestPart, u64),
        time: Duration,
    ) -> bool {
        let over = poll_fn(|cx| match deadline.is_over(Some(part), cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        tokio::time::timeout(time, over).await.is_ok()
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn in_paused_time(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    #[test]
    fn bytes_win_a_body_time_and_a_head_none() {
        in_paused_time(async {
            for (part, seconds) in [(RequestPart::Head(1), 10), (RequestPart::Body(1), 15)] {
                let mut deadline = Deadline::new(10 * SECOND);
                for second in 1..=seconds {
                    let over = over_within(&mut deadline, (part, 5_000), SECOND).await;
                    assert_eq!(over, second == seconds, "{part:?} after {second} s");
                    deadline.rest();
                }
            }
        });
    }

    #[test]
    fn time_in_which_nobody_waits_is_free_and_each_part_has_its_own() {
        in_paused_time(async {
            let mut deadline = Deadline::new(10 * SECOND);
            assert!(!over_within(&mut deadline, (RequestPart::Head(1), 0), 9 * SECOND).await);
            assert!(!over_within(&mut deadline, (RequestPart::Body(1), 0), 9 * SECOND).await);
            deadline.rest();
            tokio::time::sleep(100 * SECOND).await;
            assert!(!over_within(&mut deadline, (RequestPart::Body(1), 0), SECOND / 2).await);
            assert!(over_within(&mut deadline, (RequestPart::Body(1), 0), SECOND).await);
            assert!(!over_within(&mut deadline, (RequestPart::Head(2), 0), 9 * SECOND).await);
        });
    }

    #[test]
    fn a_client_that_ended_its_side_has_gone_when_it_was_sent_nothing_for_too_long() {
        in_paused_time(async {
            let mut reply_deadline = ReplyDeadline::new(10 * SECOND);
            async fn gone(reply_deadline: &mut ReplyDeadline) -> bool {
                poll_fn(|cx| Poll::Ready(reply_deadline.is_gone(cx))).await
            }
            tokio::time::sleep(100 * SECOND).await;
            assert!(!gone(&mut reply_deadline).await, "it may send more");
            reply_deadline.client_ended();
            assert!(!gone(&mut reply_deadline).await);
            tokio::time::sleep(9 * SECOND).await;
            assert!(!gone(&mut reply_deadline).await);
            let sent = poll_fn(|cx| reply_deadline.check(Poll::Ready(Ok(())), cx)).await;
            assert!(sent.is_ok());
            tokio::time::sleep(9 * SECOND).await;
            assert!(!gone(&mut reply_deadline).await, "it was sent something");
            tokio::time::sleep(2 * SECOND).await;
            assert!(gone(&mut reply_deadline).await);
        });
    }

    /// TLS holds a part of a reply, and the flush of that waits for the client.
    #[test]
    fn a_flush_waits_no_longer_than_a_write() {
        in_paused_time(async {
            let mut reply_deadline = ReplyDeadline::new(10 * SECOND);
            async fn flushed(
                reply_deadline: &mut ReplyDeadline,
                is_done: bool,
            ) -> Poll<std::io::Result<()>> {
                let inner = || if is_done { Poll::Ready(Ok(())) } else { Poll::Pending };
                poll_fn(|cx| Poll::Ready(reply_deadline.check_flush(inner(), cx))).await
            }
            for is_done in [false, true, false] {
                let flushed = flushed(&mut reply_deadline, is_done).await;
                assert_eq!(matches!(flushed, Poll::Ready(Ok(()))), is_done);
                assert_eq!(flushed.is_pending(), !is_done, "it had {SECOND:?} more");
                tokio::time::sleep(9 * SECOND).await;
            }
            tokio::time::sleep(2 * SECOND).await;
            assert!(matches!(flushed(&mut reply_deadline, false).await, Poll::Ready(Err(_))));
            // A flush sends nothing, so it gives a client that has ended its side no time.
            reply_deadline.client_ended();
            poll_fn(|cx| Poll::Ready(reply_deadline.is_gone(cx))).await;
            tokio::time::sleep(11 * SECOND).await;
            assert!(flushed(&mut reply_deadline, true).await.is_ready());
            assert!(poll_fn(|cx| Poll::Ready(reply_deadline.is_gone(cx))).await);
        });
    }
}
