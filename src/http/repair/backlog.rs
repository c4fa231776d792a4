//! How much may be read ahead of the replies, and who looks after a client meanwhile.
//!
//! `actix-http` keeps up to 128 KB that it can't work on yet, and from then on wakes itself without end; and while nothing
//! is read, nobody learns that the client has gone. So what a client sends is read as far as somebody works on it, and
//! little further. Who reads: `repair.rs`.

use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::mend::Mender;
use crate::http::connection::Connection;

/// How many whole requests may wait for the reply to the one before them: fewer than those at which `actix-http` stops to
/// take them out of its buffer.
const MAX_REQUESTS: u64 = 12;

/// How many bytes may be read behind the request that is being answered, in each time in which none is answered.
const MAX_BYTES: usize = 32 << 10;

/// How many bytes are read before `actix-http` works on them: what it has room for it keeps for as long as the
/// connection stays.
const BURST: usize = 16 << 10;

/// How often it is looked whether the client of a connection that is not read has gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a reader may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Read so many bytes.
    Read(usize),
    /// Let the others work first; then it is its turn again.
    Yield,
    /// Read nothing until something was answered.
    Pause,
    /// Read nothing more at all.
    End,
}

/// What was read of a connection beyond what is being answered.
#[derive(Debug)]
pub(super) struct Backlog {
    connection: Rc<Connection>,
    /// How many requests were answered when it was last looked.
    answered: u64,
    /// How many bytes were read since then that do not belong to the request being answered.
    behind: usize,
    /// Whether that is as much as may be.
    is_much: bool,
    /// How many bytes were read since the last flush.
    burst: usize,
    /// Whether whoever reads was promised a wake-up by the socket since the last flush.
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

    /// Says what may be read next; for a pause, keeps the waker.
    pub(super) fn turn(&mut self, mender: &Mender, cx: &Context<'_>) -> Turn {
        if self.connection.is_held() {
            self.connection.wake_later(cx);
            return Turn::Pause;
        }
        if self.is_lost(mender) {
            // Its requests can't be told apart any more, so nobody knows how many are owed.
            if self.behind >= MAX_BYTES {
                return Turn::End;
            }
        } else {
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
        }
        match BURST.saturating_sub(self.burst) {
            0 => {
                cx.waker().wake_by_ref();
                Turn::Yield
            }
            room => Turn::Read(room),
        }
    }

    /// Says that so many bytes were read, which the mender has seen.
    pub(super) fn read(&mut self, bytes: usize, mender: &Mender) {
        self.burst = self.burst.saturating_add(bytes);
        if self.is_lost(mender) || !self.is_being_answered(mender) {
            self.behind = self.behind.saturating_add(bytes);
        }
    }

    /// Says that the socket will wake whoever reads.
    pub(super) const fn watched(&mut self) {
        self.is_watched = true;
    }

    /// Says that the client has ended its side of the connection, or is hung up on.
    pub(super) fn client_left(&self) {
        self.connection.client_left();
    }

    /// Says that what was read was worked on. Where nobody reads and somebody works for the client, it is looked now and
    /// then whether that has gone.
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

    /// How many requests have come whose reply is not handed over.
    fn owed(&self, mender: &Mender) -> u64 {
        mender.requests().saturating_sub(self.connection.answered())
    }

    /// Whether what comes next is for the request that is being answered, or the next to be: only then can holding it back
    /// hold up a reply.
    fn is_being_answered(&self, mender: &Mender) -> bool {
        match self.owed(mender) {
            0 => true,
            1 => mender.is_behind_head(),
            _ => false,
        }
    }

    /// Whether `actix-http` has found a request that the mender has not.
    fn is_lost(&self, mender: &Mender) -> bool {
        self.connection.begun() > mender.requests()
    }
}
