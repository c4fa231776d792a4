//! How a reply is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, Version};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::browsers::Allowed;
use crate::aci::catalog::help;
use crate::front::{AciBody, AciReply, Room, part_of};

/// Makes the response to a request; the connection takes no more of them if it `is_last`.
pub(super) fn of(
    request: &HttpRequest,
    allowed: &Allowed,
    reply: AciReply,
    is_last: bool,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(reply.content_type)));
    if reply.content_type.starts_with("text/html") {
        response.insert_header((CONTENT_SECURITY_POLICY, help::CONTENT_SECURITY_POLICY));
    }
    // `actix-http` closes each connection whose client offered to change the protocol, so it must say so, or the
    // client's next request is lost.
    if is_last || request.head().upgrade() {
        response.force_close();
    }
    let mut response = match reply.body {
        AciBody::Whole(body) if reply.room.is_none() => response.body(body),
        AciBody::Whole(body) => response.body(Large { left: body.into(), _room: reply.room }),
        AciBody::Stream(stream) if request.version() < Version::HTTP_11 => {
            // Such a client knows no chunks: the end of the connection is the end of the list.
            let mut response = response.force_close().streaming(stream);
            response.head_mut().no_chunking(true);
            response
        }
        AciBody::Stream(stream) => response.streaming(stream),
    };
    keep_private(response.headers_mut());
    allowed.mark(response.headers_mut());
    response
}

/// Answers a request that only looks whether somebody is there, or, of a browser, what it may send.
pub(super) fn without_action(request: &HttpRequest, allowed: &Allowed) -> HttpResponse {
    let mut response = HttpResponse::Ok().insert_header((ALLOW, "GET, POST")).finish();
    keep_private(response.headers_mut());
    if request.method() == Method::OPTIONS {
        allowed.mark_preflight(request.headers(), response.headers_mut());
    }
    response
}

/// Replies are of the moment, may hold what is secret, and are what they say they are.
fn keep_private(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
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
