//! How a reply is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, Version};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::browsers::Allowed;
use crate::aci::catalog::help;
use crate::front::{AciBody, AciReply, Room, part_of};

/// The header by which a client learns how long it may use an idle connection again.
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Seconds by which clients are told to give up an idle connection before the server closes it. A request may be on its way
/// at that moment, and `actix-http` looks at a clock that is up to half a second old.
const EARLIER: u64 = 2;

/// Makes the header for connections that are closed when they were idle for so long; none where that is too short to say
/// less of it.
pub(super) fn keep_alive(idle: Duration) -> Option<HeaderValue> {
    // Some clients take 0 for no limit.
    let seconds = idle.as_secs().saturating_sub(EARLIER).max(1);
    let header = HeaderValue::try_from(format!("timeout={seconds}")).ok();
    header.filter(|_| idle.as_secs() > seconds)
}

/// Makes the response to a request; the connection takes no more of them if it `is_last`. `keep_alive` is what to say
/// if it stays open.
pub(super) fn of(
    request: &HttpRequest,
    allowed: &Allowed,
    reply: AciReply,
    is_last: bool,
    keep_alive: Option<&HeaderValue>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(reply.content_type)));
    if reply.content_type.starts_with("text/html") {
        response.insert_header((CONTENT_SECURITY_POLICY, help::CONTENT_SECURITY_POLICY));
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
        AciBody::Whole(body) if reply.room.is_none() => response.body(body),
        AciBody::Whole(body) => response.body(Large { left: body.into(), _room: reply.room }),
        AciBody::Stream(stream) => {
            let mut response = response.streaming(stream);
            response.head_mut().no_chunking(is_unchunked);
            response
        }
    };
    mark(request, response.headers_mut(), keep_alive.filter(|_| !closes));
    allowed.mark(response.headers_mut());
    response
}

/// Answers a request that only looks whether somebody is there, or, of a browser, what it may send.
pub(super) fn without_action(
    request: &HttpRequest,
    allowed: &Allowed,
    keep_alive: Option<&HeaderValue>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok().insert_header((ALLOW, "GET, POST")).finish();
    mark(request, response.headers_mut(), keep_alive);
    if request.method() == Method::OPTIONS {
        allowed.mark_preflight(request.headers(), response.headers_mut());
    }
    response
}

/// Says what every reply says: it is of the moment, may hold what is secret, and is what it says it is; and how long the
/// connection stays open, if it does. HTTP/2 has no header for that.
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

/// A large reply, which keeps its room until the last of it was taken.
struct Large {
    left: Bytes,
    _room: Room,
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
