//! Reads the body of a request, within the limit of its size and of the memory that all bodies share.

use std::rc::Rc;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::connection::Connection;
use super::memory::{CurrentBudget, Evicted, Exhausted, FREE, Reservation, SHARE};
use super::text_of;
use crate::aci::error::AciError;
use crate::front::Endpoint;

/// Number of bytes beyond the limit that are read and thrown away, so that a client, which sends before it reads, gets to see
/// the error; one that sends more finds the connection closed.
const THROWN_AWAY: usize = 64 << 20;

/// Returns the longest request in bytes that is read to its end, for
/// [`Listener::longest_request`](super::server::Listener::longest_request).
#[must_use]
pub fn max_request(endpoint: &Endpoint) -> u64 {
    // Twice what is thrown away: the head of a request and the framing of its chunks count too.
    (endpoint.max_file_upload_size() as u64).saturating_add(2 * THROWN_AWAY as u64)
}

/// The limit of a body, and its setting.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    setting: &'static str,
}

impl Limit {
    fn of(endpoint: &Endpoint, memory: &Reservation<CurrentBudget>) -> Self {
        let own = Self { bytes: endpoint.max_file_upload_size(), setting: "MaxFileUploadSize" };
        let shared = Self { bytes: memory.most(), setting: "MaxUploadMemory" };
        if shared.bytes < own.bytes { shared } else { own }
    }

    fn exceeded(self, by: u64) -> AciError {
        let what = format!("bytes of the request body ({})", self.setting);
        AciError::too_large(&what, by, self.bytes as u64)
    }
}

/// A body as far as it has come, in pieces, so that its memory grows with the bytes that came. Each piece fits the shares of
/// its [`Reservation`].
#[derive(Default)]
struct Pieces {
    whole: Vec<Vec<u8>>,
    last: Vec<u8>,
    size: usize,
    /// Number of bytes that are expected; 0 if not known.
    announced: usize,
    is_joined: bool,
}

impl Pieces {
    fn of(announced: usize) -> Self {
        Self { announced, ..Self::default() }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len();
        if !self.is_joined && self.announced > FREE && self.size >= self.announced.div_ceil(2) {
            // What is yet to come is not touched before that, and to join all of it at the end would hold it twice.
            self.last = self.join(self.announced);
            self.is_joined = true;
        }
        if self.is_joined {
            self.last.extend_from_slice(bytes);
            return;
        }
        while !bytes.is_empty() {
            let most = if self.whole.is_empty() { FREE } else { SHARE };
            let room = most.saturating_sub(self.last.len());
            if room == 0 {
                self.whole.push(std::mem::take(&mut self.last));
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(room));
            if self.last.capacity() - self.last.len() < now.len() {
                // At most doubled, and never beyond the piece.
                let wanted = (2 * self.last.len()).max(self.last.len() + now.len()).min(most);
                self.last.reserve_exact(wanted - self.last.len());
            }
            self.last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Joins the pieces, with capacity for `room` bytes; each piece is freed once it is copied.
    fn join(&mut self, room: usize) -> Vec<u8> {
        let mut joined = Vec::with_capacity(room);
        for piece in self.whole.drain(..).chain([std::mem::take(&mut self.last)]) {
            joined.extend_from_slice(&piece);
        }
        joined
    }

    fn into_bytes(mut self) -> Bytes {
        if !self.whole.is_empty() {
            self.last = self.join(self.size);
        }
        self.last.into()
    }
}

/// Reads a body, as far as the memory for bodies allows. While it waits for memory, `connection` is not read.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    endpoint: &Endpoint,
    memory: &mut Reservation<CurrentBudget>,
    connection: Option<&Rc<Connection>>,
) -> Result<Bytes, AciError> {
    let limit = Limit::of(endpoint, memory);
    let announced = text_of(request, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let announced: u64 = announced.unwrap_or_default();
    let most = limit.bytes.saturating_add(THROWN_AWAY);
    if announced > most as u64 {
        // Never read: the reply overtakes the body.
        return Err(limit.exceeded(announced));
    }
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    let mut body = Pieces::of(announced);
    // The rest is only read so that the client gets to see why.
    let mut refused = (announced > limit.bytes).then(|| limit.exceeded(announced as u64));
    let mut size = 0_usize;
    loop {
        let chunk = match memory.next(payload.next()).await {
            Ok(None) => break,
            Ok(Some(chunk)) => chunk.map_err(|error| {
                log::debug!("a body was not read: {error}");
                AciError::malformed("the body broke off, has chunks that can't be read, or did not come within RequestTimeout.")
            })?,
            Err(Evicted) => {
                return Err(AciError::unavailable(
                    "nothing came of the body, and other requests needed the memory for bodies (MaxUploadMemory); send it again later.",
                ));
            }
        };
        size = size.saturating_add(chunk.len());
        if refused.is_none() {
            if size > limit.bytes {
                refused = Some(limit.exceeded(size as u64));
            } else {
                let hold = connection.map(Connection::hold);
                let room = memory.grow_to(size, announced).await;
                drop(hold);
                match room {
                    Ok(()) => body.push(&chunk),
                    Err(Exhausted) => {
                        refused = Some(AciError::unavailable(
                            "other requests hold the memory for bodies (MaxUploadMemory); send it again later.",
                        ));
                    }
                }
            }
            if refused.is_some() {
                body = Pieces::default();
                memory.release();
            }
        }
        if size > most {
            break;
        }
    }
    if size > limit.bytes {
        return Err(limit.exceeded(size as u64));
    }
    refused.map_or_else(|| Ok(body.into_bytes()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory never exceeds what came by more than a share, and twice while it is small or when half of it is there.
    #[test]
    fn memory_follows_the_bytes_that_came() {
        const COUNT: usize = 300_000;
        let all: Vec<u8> = (0..COUNT).map(|n| (n % 251) as u8).collect();
        for (step, announced) in [1, 17, 1_000, 8_191, FREE, SHARE - 1, SHARE, 3 * SHARE + 1]
            .into_iter()
            .flat_map(|step| [(step, 0), (step, COUNT)])
        {
            let mut pieces = Pieces::of(announced);
            let mut came = 0;
            for chunk in all.chunks(step) {
                pieces.push(chunk);
                came += chunk.len();
                let held = pieces.whole.iter().map(Vec::capacity).sum::<usize>();
                let held = held + pieces.last.capacity();
                let few = came.saturating_mul(2) < announced || announced == 0;
                // Of more than half of what is to come there is room for all; else as the shares are counted.
                let most = FREE + came.saturating_sub(FREE).next_multiple_of(SHARE);
                let most = if few { most.min(came + SHARE) } else { announced };
                assert!(held <= most.min(2 * came), "{held} for {came} of {announced} by {step}");
            }
            assert!(pieces.into_bytes() == all, "{announced} by {step}");
        }
        assert!(Pieces::default().into_bytes().is_empty());
    }
}
