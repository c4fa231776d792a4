//! HTTP responses for ACI replies.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY,
    HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, Version};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::browsers::CorsHeaders;
use super::connection::Connection;
use crate::aci::catalog::help;
use crate::front::{AciBody, AciReply, Handover, ReplyMemory, part_of};

/// The header that tells a client how long it may reuse an idle connection.
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Number of seconds by which clients are told to give up an idle connection earlier than the server closes it. A request may
/// be on its way at that moment, and `actix-http` looks at a clock that is up to half a second old.
const EARLIER: u64 = 2;

/// Makes the header for connections with this idle timeout; `None` if that is too short to tell clients less.
pub(super) fn keep_alive(idle: Duration) -> Option<HeaderValue> {
    // Some clients take 0 for no limit.
    let seconds = idle.as_secs().saturating_sub(EARLIER).max(1);
    let header = HeaderValue::try_from(format!("timeout={seconds}")).ok();
    header.filter(|_| idle.as_secs() > seconds)
}

/// Makes the response to a request; the connection takes no further request if it `is_last`. `keep_alive` is the header for
/// one that stays open; `connection` says when all of the reply was written, if there is one that knows.
pub(super) fn of(
    request: &HttpRequest,
    cors: &CorsHeaders,
    reply: AciReply,
    is_last: bool,
    keep_alive: Option<&HeaderValue>,
    connection: Option<Rc<Connection>>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(reply.content_type)));
    if reply.content_type.starts_with("text/html") {
        response.insert_header((CONTENT_SECURITY_POLICY, help::CONTENT_SECURITY_POLICY));
        response.insert_header((REFERRER_POLICY, "no-referrer"));
        response.insert_header((CROSS_ORIGIN_OPENER_POLICY, "same-origin"));
    }
    // `actix-http` closes each connection whose client offered to change the protocol, so it must say so, or the
    // client's next request is lost.
    // An old client knows no chunks: the end of the connection is the end of the list.
    let is_unchunked =
        request.version() < Version::HTTP_11 && matches!(reply.body, AciBody::Stream(_));
    let closes = is_last || is_unchunked || request.head().upgrade();
    if closes {
        response.force_close();
    }
    let mut response = match reply.body {
        AciBody::Whole(body) if !reply.handover.is_empty() => {
            let body = Large { left: body.into(), _room: reply.memory };
            response.body(Handing { body, handover: reply.handover, connection })
        }
        AciBody::Whole(body) if reply.memory.is_none() => response.body(body),
        AciBody::Whole(body) => response.body(Large { left: body.into(), _room: reply.memory }),
        AciBody::Stream(stream) => {
            let mut response = response.streaming(stream);
            response.head_mut().no_chunking(is_unchunked);
            response
        }
    };
    mark(request, response.headers_mut(), keep_alive.filter(|_| !closes));
    cors.add_to(response.headers_mut());
    response
}

/// Answers a request of a method that performs no action: HEAD, or OPTIONS, by which a browser asks what it may send.
pub(super) fn without_action(
    request: &HttpRequest,
    cors: &CorsHeaders,
    keep_alive: Option<&HeaderValue>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok().insert_header((ALLOW, "GET, POST")).finish();
    mark(request, response.headers_mut(), keep_alive);
    if request.method() == Method::OPTIONS {
        cors.add_preflight_to(request.headers(), response.headers_mut());
    }
    response
}

/// Adds the headers of every reply: it must not be stored, its type must not be guessed, and the time that the connection stays
/// open, if it does. HTTP/2 has no header for that.
fn mark(request: &HttpRequest, reply: &mut HeaderMap, keep_alive: Option<&HeaderValue>) {
    reply.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(value) = keep_alive
        && request.version() <= Version::HTTP_11
        && request.head().connection_type() == ConnectionType::KeepAlive
    {
        reply.insert(KEEP_ALIVE.clone(), value.clone());
    }
}

/// The body of a large reply, which keeps its memory reserved until the client has taken all of it.
struct Large {
    left: Bytes,
    _room: ReplyMemory,
}

impl MessageBody for Large {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready((!self.left.is_empty()).then(|| Ok(part_of(&mut self.left))))
    }
}

/// The body of a reply with which a worker is handed something. It is the worker's once all of the reply was written; if the
/// connection ends before that, it goes back to its queue.
struct Handing {
    body: Large,
    handover: Handover,
    connection: Option<Rc<Connection>>,
}

impl MessageBody for Handing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let part = Pin::new(&mut self.body).poll_next(cx);
        if self.body.left.is_empty() {
            let handover = std::mem::take(&mut self.handover);
            match &self.connection {
                Some(connection) => connection.hand_over(handover),
                // Nobody here knows more.
                None => handover.sent(),
            }
        }
        part
    }
}
