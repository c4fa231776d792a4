//! The state of a connection that its reader and the services behind it share, on one thread.
//!
//! The reader (`mod.rs`) learns how many requests are answered, so that it reads no further than a little ahead of them.
//! The services learn that the client has left, so that nothing runs or waits for that client alone. `server.rs` connects
//! the two.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use pin_project_lite::pin_project;

use super::super::limits::Place;
use crate::aci::error::AciError;
use crate::front::{Certificate, Client, Handover, Leaving};
use crate::metrics::OpenConnection;

/// One connection.
#[derive(Default)]
pub(in crate::http) struct Connection {
    /// Number of requests that reached the service.
    begun: Cell<u64>,
    /// Number of those whose reply was sent or dropped.
    answered: Cell<u64>,
    /// Number of services that want nothing more to be read for now.
    holds: Cell<u32>,
    /// The waker of a reader that waits for a reply, or for the end of a hold.
    reader: RefCell<Option<Waker>>,
    leaving: Leaving,
    /// Targets that are too long for the parser, by the numbers of their requests.
    targets: RefCell<Vec<(u64, String)>>,
    /// The certificate by which the client began the connection.
    certificate: Option<Certificate>,
    /// Its place among those of its client, where these are counted.
    place: Option<Place>,
    /// Its part in the number of open connections.
    _open: Option<OpenConnection>,
    /// Handovers with replies that are on their way to the socket. They go back if the connection ends.
    handovers: RefCell<Vec<Handover>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begun, answered) = (self.begun.get(), self.answered.get());
        f.debug_struct("Connection")
            .field("begun", &begun)
            .field("answered", &answered)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes the state of a connection with this place among those of its client, whose client has this certificate, or none, and
    /// which counts as open like this.
    pub(in crate::http) fn of(
        place: Option<Place>,
        certificate: Option<Certificate>,
        open: Option<OpenConnection>,
    ) -> Self {
        Self { place, certificate, _open: open, ..Self::default() }
    }

    /// Returns the client's certificate, which was verified when the connection began.
    pub(in crate::http) const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Returns why its first request is refused, after which it ends, if its client has too many.
    pub(in crate::http) fn refusal(&self) -> Option<AciError> {
        self.place.as_ref()?.refusal()
    }

    pub(in crate::http) fn is_beyond_limit(&self) -> bool {
        self.place.as_ref().is_some_and(Place::is_beyond)
    }

    /// Begins to answer a request, which counts as answered once the returned guard is dropped.
    pub(in crate::http) fn begin(self: &Rc<Self>) -> Answering {
        self.begun.set(self.begun.get() + 1);
        Answering(Rc::clone(self))
    }

    pub(in crate::http) fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// Returns true while a service works on a reply.
    pub(in crate::http) fn is_busy(&self) -> bool {
        self.begun.get() > self.answered.get()
    }

    /// Pauses reading until the returned guard is dropped.
    pub(in crate::http) fn hold(self: &Rc<Self>) -> Hold {
        self.holds.set(self.holds.get() + 1);
        Hold(Rc::clone(self))
    }

    pub(in crate::http) fn is_held(&self) -> bool {
        self.holds.get() > 0
    }

    /// Keeps the waker of a reader that is paused.
    pub(in crate::http) fn wake_later(&self, cx: &Context<'_>) {
        let mut reader = self.reader.borrow_mut();
        match &mut *reader {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *reader = Some(cx.waker().clone()),
        }
    }

    /// Notes that the client has ended its side of the connection, or is disconnected by the server.
    pub(in crate::http) fn client_left(&self) {
        self.leaving.left();
    }

    /// Sets if so much has come after the request that is being answered that no more is read.
    pub(in crate::http) fn client_goes_on(&self, goes_on: bool) {
        self.leaving.goes_on(goes_on);
    }

    pub(in crate::http) fn has_left(&self) -> bool {
        self.leaving.has_left()
    }

    pub(super) fn keep_targets(&self, targets: Vec<(u64, String)>) {
        if !targets.is_empty() {
            self.targets.borrow_mut().extend(targets);
        }
    }

    /// Takes the target of this number, and drops those of earlier requests.
    pub(in crate::http) fn take_target(&self, number: u64) -> Option<String> {
        let mut targets = self.targets.borrow_mut();
        targets.retain(|(kept, _)| *kept >= number);
        let at = targets.iter().position(|(kept, _)| *kept == number)?;
        Some(targets.remove(at).1)
    }

    /// Returns the client, for the services that work for it.
    pub(in crate::http) fn client(&self) -> Client {
        self.leaving.client()
    }

    /// Keeps what is handed over with a reply until that was written. All of the reply has been passed on to whoever writes it.
    pub(in crate::http) fn hand_over(&self, handover: Handover) {
        if !handover.is_empty() {
            self.handovers.borrow_mut().push(handover);
        }
    }

    /// Notes that all that was passed on to whoever writes was written.
    pub(super) fn written(&self) {
        for handover in self.handovers.take() {
            handover.sent();
        }
    }

    fn wake(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Guard of a request that is being answered, until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Answering(Rc<Connection>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.set(self.0.answered.get() + 1);
        self.0.wake();
    }
}

/// Guard that pauses reading until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Hold(Rc<Connection>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.holds.set(self.0.holds.get().saturating_sub(1));
        self.0.wake();
    }
}

pin_project! {
    /// The body of a reply; the request counts as answered once this was sent or dropped.
    pub(in crate::http) struct CountedBody<B> {
        #[pin]
        pub(in crate::http) body: B,
        pub(in crate::http) answering: Option<Answering>,
    }
}

impl<B: MessageBody> MessageBody for CountedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }
}
