//! How the body of a request is read: as long as its size, and the memory that all bodies share, allow.

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::text_of;
use crate::aci::error::AciError;
use crate::front::Endpoint;
use crate::front::uploads::Held;

/// How much of a body that is too large is read and thrown away, so that the client, which sends
/// before it reads, gets to see the error; a larger one finds the connection closed.
const THROWN_AWAY: usize = 64 << 20;

/// Returns the longest request in bytes that is read to the end of it, for
/// [`Patience`](super::server::Patience).
#[must_use]
pub fn max_request(endpoint: &Endpoint) -> u64 {
    // Twice what is thrown away: the head of a request and the framing of its chunks count too.
    (endpoint.max_file_upload_size() as u64).saturating_add(2 * THROWN_AWAY as u64)
}

/// How large a body may be, and which setting says so.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    setting: &'static str,
}

impl Limit {
    fn of(endpoint: &Endpoint) -> Self {
        let own = Self { bytes: endpoint.max_file_upload_size(), setting: "MaxFileUploadSize" };
        let shared = Self { bytes: endpoint.uploads().most(), setting: "MaxUploadMemory" };
        if shared.bytes < own.bytes { shared } else { own }
    }

    fn exceeded(self, by: u64) -> AciError {
        let what = format!("bytes of the request body ({})", self.setting);
        AciError::too_large(&what, by, self.bytes as u64)
    }
}

/// Reads a body, as far as the memory for bodies allows.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    endpoint: &Endpoint,
    memory: &mut Held<'_>,
) -> Result<Bytes, AciError> {
    let limit = Limit::of(endpoint);
    let announced = text_of(request, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let most = limit.bytes.saturating_add(THROWN_AWAY);
    if let Some(length) = announced.filter(|length: &u64| *length > most as u64) {
        // Never read: the reply overtakes the body.
        return Err(limit.exceeded(length));
    }
    let mut body = BytesMut::new();
    let mut refused = false;
    let mut size = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            log::debug!("a body was not read: {error}");
            AciError::malformed("the body broke off, or did not come within RequestTimeout.")
        })?;
        size = size.saturating_add(chunk.len());
        if !refused {
            if size <= limit.bytes && memory.grow_to(size).await.is_ok() {
                if body.is_empty() {
                    // Once and for all, where the length is known: growing would hold it twice for a while. What does not
                    // come costs nothing, since memory that was never touched is not there.
                    let length = announced.and_then(|length| usize::try_from(length).ok());
                    body.reserve(length.unwrap_or_default().min(limit.bytes).min(THROWN_AWAY));
                }
                body.extend_from_slice(&chunk);
                continue;
            }
            // The rest is only read so that the client gets to see why.
            refused = true;
            body = BytesMut::new();
            memory.release();
        }
        if size > most {
            break;
        }
    }
    if size > limit.bytes {
        return Err(limit.exceeded(size as u64));
    }
    if refused {
        return Err(AciError::unavailable(
            "other requests hold the memory for bodies (MaxUploadMemory); send it again later.",
        ));
    }
    Ok(body.freeze())
}
