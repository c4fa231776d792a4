//! Replies that are lists. The first page is fetched before the reply begins, so that most lists go
//! out whole and an error is still an ACI error; longer ones are written while they are sent, one
//! page in memory at a time, and of a page as much as its client takes.

use std::vec;

use actiond_actors::store::Record;
use actiond_actors::store::query::Query;
use actiond_actors::{ActionStatus, Listing, QueueError, Submitted, Timestamp};
use bytes::Bytes;
use futures_util::stream;

use super::endpoint::{Endpoint, Kind};
use super::{AciBody, Asked, ListStream, queue_error, render};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::response::ListWriter;

/// How many actions are fetched at a time: a reply of this size is some 100 KB.
const PAGE: usize = 250;

/// About how many bytes are written before they are sent.
const PIECE: usize = 256 * 1024;

/// A list that an action asks for.
pub(super) struct List {
    pub(super) kind: Kind,
    pub(super) query: Query,
    /// The index of the first action, from 0.
    pub(super) start: u64,
    pub(super) max_results: u64,
    pub(super) shows: Shows,
}

/// What is shown of each action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Status,
    Parameters,
}

/// A list on its way to the client.
struct Sending {
    endpoint: Endpoint,
    kind: Kind,
    listing: Listing,
    left: u64,
    /// What was fetched and not yet written.
    fetched: vec::IntoIter<ActionStatus>,
    shows: Shows,
    writer: ListWriter,
}

impl List {
    pub(super) async fn into_body(self, asked: &Asked<'_>) -> Result<AciBody, AciError> {
        let name = self.kind.queue.name().to_owned();
        let writer = match self.shows {
            Shows::Status => ListWriter::new(asked.action, asked.format),
            Shows::Parameters => ListWriter::requests(asked.action, asked.format),
        };
        let mut sending = Sending {
            endpoint: asked.endpoint.clone(),
            listing: self.kind.queue.list(self.query, self.start),
            kind: self.kind,
            left: self.max_results,
            fetched: Vec::new().into_iter(),
            shows: self.shows,
            writer,
        };
        let mut out = sending.writer.head();
        let more = sending.piece(&mut out).await.map_err(|e| queue_error(&e, &name, None))?;
        if !more {
            out.extend(sending.writer.tail());
            return Ok(AciBody::Whole(out));
        }
        Ok(AciBody::Stream(sending.stream(out)))
    }
}

impl Sending {
    /// Appends the next piece; tells whether there may be another.
    async fn piece(&mut self, out: &mut Vec<u8>) -> Result<bool, QueueError> {
        if self.fetched.len() == 0 {
            let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(PAGE);
            let page = self.listing.next_page(limit).await?;
            self.left = self.left.saturating_sub(page.len() as u64);
            self.fetched = page.into_iter();
        }
        let now = self.endpoint.system().clock().now();
        while out.len() < PIECE
            && let Some(status) = self.fetched.next()
        {
            if let Some(element) = self.element(status, now).await? {
                self.writer.item(&element, out);
            }
        }
        Ok(self.fetched.len() > 0 || (self.listing.has_more() && self.left > 0))
    }

    async fn element(
        &self,
        status: ActionStatus,
        now: Timestamp,
    ) -> Result<Option<Element>, QueueError> {
        let Record { id, queued_at, .. } = status.record;
        let token = self.endpoint.token(&self.kind, Submitted { id, queued_at });
        match self.shows {
            Shows::Status => Ok(Some(render::action(status, token, now))),
            Shows::Parameters => match self.listing.parameters(id).await {
                Ok((state, parameters)) => {
                    Ok(Some(render::request(token, state, parameters.as_ref())))
                }
                // It ended and was deleted since the page was read.
                Err(QueueError::UnknownAction { .. }) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    fn stream(self, first: Vec<u8>) -> ListStream {
        let begun = stream::once(async { Ok(Bytes::from(first)) });
        let rest = stream::unfold(Some(self), |sending| async {
            let mut sending = sending?;
            let mut out = Vec::new();
            match sending.piece(&mut out).await {
                Ok(true) => Some((Ok(Bytes::from(out)), Some(sending))),
                Ok(false) => {
                    out.extend(sending.writer.tail());
                    Some((Ok(Bytes::from(out)), None))
                }
                Err(error) => {
                    log::error!("a list was broken off: {error}");
                    Some((Err(error), None))
                }
            }
        });
        Box::pin(futures_util::StreamExt::chain(begun, rest))
    }
}
