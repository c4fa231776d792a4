//! Replies that are lists. The first page is fetched before the reply begins, so that most lists are sent whole and an error
//! is still an ACI error. Longer lists are streamed: one page is in memory at a time, and of its output as much as the
//! client takes. Each reserves memory for its page and its output ([`ReplyMemory`]); where none is free, pages and output are
//! so small that they need none.

use std::sync::Arc;
use std::vec;

use actiond_actors::store::Record;
use actiond_actors::store::query::{PageLimit, Query};
use actiond_actors::{
    ActionId, ActionStatus, Listing, Node, Parameters, QueueError, State, StoreError, Submitted,
    Timestamp,
};
use bytes::Bytes;
use futures_util::stream;

use super::dispatch::Call;
use super::endpoint::Endpoint;
use super::errors::queue_error;
use super::reply_memory::{ReplyMemory, SMALL, part_of};
use super::served_queue::ServedQueue;
use super::{AciBody, AciReply, Handover, ListStream, render};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::response::ListWriter;

/// The size of the part of a list that is in memory at a time.
#[derive(Debug, Clone, Copy)]
struct StepSize {
    /// Number of actions that are fetched.
    page: usize,
    /// Number of bytes of results that they may have.
    bytes: usize,
    /// Approximate number of bytes that are written before they are sent.
    piece: usize,
}

/// The size of a part with memory reserved. A reply of such a page has about 100 KB.
const LONG: StepSize = StepSize { page: 250, bytes: LONG_BYTES / 2, piece: 2 * SMALL };

/// Number of bytes to reserve for the page and the output of [`LONG`].
const LONG_BYTES: usize = 4 * SMALL;

/// The size of a part that needs no reservation.
const SHORT: StepSize = StepSize { page: 25, bytes: SMALL / 2, piece: SMALL / 4 };

/// A list that an action asks for.
pub(super) struct List {
    pub(super) served: ServedQueue,
    pub(super) query: Query,
    /// The index of the first action, from 0.
    pub(super) start: u64,
    /// The action behind which the list begins.
    pub(super) after: Option<Record>,
    pub(super) max_results: u64,
    pub(super) shows: Shows,
    /// A warning that stands behind the list.
    pub(super) warning: Option<String>,
}

/// The part of each action that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Status {
        /// With the last lines that running actions have logged.
        log: bool,
        /// With each attempt.
        history: bool,
        /// With what they have returned.
        results: bool,
    },
    Parameters {
        /// Of actions that have ended, too.
        of_ended: bool,
    },
}

/// A list that is being sent to the client.
struct Sending {
    endpoint: Endpoint,
    served: ServedQueue,
    listing: Listing,
    left: u64,
    /// Actions that were fetched and not yet written.
    fetched: vec::IntoIter<ActionStatus>,
    /// The size in bytes of the results of what was fetched.
    results: usize,
    shows: Shows,
    writer: ListWriter,
    /// Kept until the client has taken the last output, too.
    memory: ReplyMemory,
    step: StepSize,
    ended: bool,
}

/// Doubles a size: data is in memory as it was read and as it is written. Escaped characters take more for a moment.
const fn twice(bytes: usize) -> usize {
    bytes.saturating_mul(2)
}

fn results(page: &[ActionStatus]) -> usize {
    let records = page.iter().map(|status| &status.record);
    records.flat_map(|record| &record.report).map(Node::byte_len).sum()
}

impl List {
    pub(super) async fn into_reply(self, call: &Call<'_>) -> Result<AciReply, AciError> {
        let name = self.served.queue.name().to_owned();
        let writer = match self.shows {
            Shows::Status { .. } => ListWriter::new(call.action, call.format),
            Shows::Parameters { .. } => ListWriter::requests(call.action, call.format),
        };
        let writer = writer.warning(self.warning);
        let listing = self.served.queue.list(self.query, self.start);
        let mut sending = Sending {
            endpoint: call.endpoint.clone(),
            listing: match self.after {
                Some(record) => listing.after(&record),
                None => listing,
            },
            served: self.served,
            left: self.max_results,
            fetched: Vec::new().into_iter(),
            results: 0,
            shows: self.shows,
            writer,
            memory: ReplyMemory::default(),
            step: SHORT,
            ended: false,
        };
        let mut out = sending.writer.head();
        let more = sending.piece(&mut out).await.map_err(|e| queue_error(&e, &name, None))?;
        let content_type = call.format.content_type();
        if more {
            let body = AciBody::Stream(sending.stream(out));
            let memory = ReplyMemory::default();
            let (is_refused, asks_for_key, retry_after) = (false, false, None);
            let handover = Handover::default();
            return Ok(AciReply {
                content_type,
                body,
                memory,
                handover,
                is_refused,
                asks_for_key,
                retry_after,
            });
        }
        if let Some(damage) = sending.listing.damage()
            && sending.writer.is_empty()
        {
            return Err(queue_error(&QueueError::Store(damage.clone()), &name, None));
        }
        out.extend(sending.tail());
        let memory = if out.len() > SMALL { sending.memory } else { ReplyMemory::default() };
        Ok(AciReply { memory, ..AciReply::whole(content_type, out) })
    }
}

impl Sending {
    /// Appends the next piece; returns true if there may be another.
    async fn piece(&mut self, out: &mut Vec<u8>) -> Result<bool, QueueError> {
        if self.fetched.len() == 0 {
            self.fetch().await?;
        }
        let now = self.endpoint.system().clock().now();
        while out.len() < self.step.piece
            && let Some(status) = self.fetched.next()
        {
            if let Some(element) = self.element(status, now).await? {
                self.writer.item(&element, out);
            }
        }
        Ok(self.fetched.len() > 0 || (self.listing.has_more() && self.left > 0))
    }

    /// Returns the end of the list, after the last action. It says if some could not be read: by then the reply has begun as a
    /// success.
    fn tail(&self) -> Vec<u8> {
        let Some(damage) = self.listing.damage() else { return self.writer.tail() };
        log::warn!(
            "queue {}: actions may be missing from a list: {damage}",
            self.served.queue.name()
        );
        let told = damage.without_paths();
        self.writer.tail_with_error(&format!("Actions may be missing from this list: {told}"))
    }

    /// Reads the next page, and reserves memory for it and for its output.
    async fn fetch(&mut self) -> Result<(), QueueError> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        // Reserved anew for each page: one with large actions may have needed more, or none was free.
        self.memory = ReplyMemory::default();
        let replies = &self.endpoint.inner.replies;
        self.step = SHORT;
        if left > SHORT.page && replies.try_reserve(LONG_BYTES, &mut self.memory) {
            self.step = LONG;
        }
        let (actions, mut bytes) = (left.min(self.step.page), self.step.bytes);
        loop {
            let mut listing = self.listing.clone();
            let needed = match listing.next_page_within(PageLimit { actions, bytes }).await? {
                Ok(page) => {
                    // A running action may show more than is stored of it.
                    let results = results(&page);
                    if replies.try_reserve(twice(results), &mut self.memory) {
                        self.left = self.left.saturating_sub(page.len() as u64);
                        (self.listing, self.results) = (listing, results);
                        self.fetched = page.into_iter();
                        return Ok(());
                    }
                    results
                }
                Err(larger) => {
                    self.listing = listing;
                    bytes = larger.bytes;
                    bytes
                }
            };
            replies.reserve(twice(needed), &mut self.memory).await?;
        }
    }

    /// Reads the parameters of an action, and reserves memory for them in addition to the page.
    async fn parameters(
        &mut self,
        id: ActionId,
        of_ended: bool,
    ) -> Result<(State, Option<Parameters>), QueueError> {
        let replies = &self.endpoint.inner.replies;
        self.memory.reset_patience();
        loop {
            let (state, given) = self.listing.parameters(id, of_ended).await?;
            let bytes = twice(self.results + given.as_ref().map_or(0, Parameters::byte_len));
            if replies.try_reserve(bytes, &mut self.memory) {
                return Ok((state, given));
            }
            drop(given);
            replies.reserve(bytes, &mut self.memory).await?;
        }
    }

    /// Reads the log of a running action, and reserves memory for it in addition to the page.
    async fn log(&mut self, status: &ActionStatus) -> Result<Vec<Arc<str>>, QueueError> {
        let lines = self.served.queue.log_of(status);
        let bytes = twice(self.results + lines.iter().map(|line| line.len()).sum::<usize>());
        self.memory.reset_patience();
        let replies = &self.endpoint.inner.replies;
        while !replies.try_reserve(bytes, &mut self.memory) {
            replies.reserve(bytes, &mut self.memory).await?;
        }
        Ok(lines)
    }

    async fn element(
        &mut self,
        status: ActionStatus,
        now: Timestamp,
    ) -> Result<Option<Element>, QueueError> {
        let Record { id, queued_at, attempt, taken_by, .. } = status.record;
        let token = self.endpoint.token(&self.served, Submitted { id, queued_at, taken_by });
        match self.shows {
            Shows::Status { log, history, results } => {
                // Only the latest attempt is in the list already.
                let past = match history && attempt > 1 {
                    true => Some(self.served.queue.history(id).await?),
                    false => history.then(Vec::new),
                };
                let log = match log && status.record.state.is_running() {
                    true => Some(self.log(&status).await?),
                    false => None,
                };
                let more = render::More { past, log, leaves_results_out: !results };
                Ok(Some(self.served.show(status, token, now, more)))
            }
            Shows::Parameters { of_ended } => match self.parameters(id, of_ended).await {
                Ok((state, parameters)) => {
                    Ok(Some(render::request(token, state, parameters.as_ref())))
                }
                // It ended and was deleted since the page was read.
                Err(QueueError::UnknownAction { .. }) => Ok(None),
                Err(QueueError::Store(
                    error @ (StoreError::Corrupt { .. } | StoreError::Io(_)),
                )) => {
                    // Only this action is affected: the others are elsewhere in the file.
                    log::debug!("the parameters of action {id} can't be read: {error}");
                    let error = error.without_paths();
                    let error = format!("the parameters of this action can't be read: {error}");
                    let request = render::request(token, status.record.state, None);
                    Ok(Some(request.child(Element::text("error", error))))
                }
                Err(error) => Err(error),
            },
        }
    }

    fn stream(self, first: Vec<u8>) -> ListStream {
        let pieces = stream::unfold((Bytes::from(first), self), |(mut left, mut sending)| async {
            // Never an empty part: to HTTP it would be the end.
            while left.is_empty() {
                if sending.ended {
                    return None;
                }
                let mut out = Vec::new();
                match sending.piece(&mut out).await {
                    Ok(true) => {}
                    Ok(false) => {
                        out.extend(sending.tail());
                        sending.ended = true;
                    }
                    Err(error) => {
                        log::error!("a list was broken off: {error}");
                        sending.ended = true;
                        return Some((Err(error), (left, sending)));
                    }
                }
                left = out.into();
            }
            Some((Ok(part_of(&mut left)), (left, sending)))
        });
        Box::pin(pieces)
    }
}

#[cfg(test)]
mod tests {
    use actiond_actors::{QueueSettings, Submission, System};
    use futures_util::StreamExt as _;

    use super::*;
    use crate::front::{AciRequest, answer};
    use crate::kinds::echo::Echo;

    /// All of a page ended and was deleted after it was read: nothing is written of it, and the list goes on behind it.
    #[actix_web::test]
    async fn no_part_of_a_list_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let settings = QueueSettings { max_finished_size: Some(0), ..QueueSettings::default() };
        let system = System::builder(directory.path()).queue("Work", settings, Echo).start().await;
        let system = system.unwrap();
        let work = system.queue("Work").unwrap();
        work.pause_queue().await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..LONG.page + 10 {
            let given = Parameters::from_iter([("n", "x".repeat(1_000))]);
            ids.push(work.submit(Submission::new(given)).await.unwrap().id);
        }
        let request = AciRequest {
            target: "/action=QueueInfo&QueueName=Work&QueueAction=getActionParameters".to_owned(),
            content_type: None,
            body: Ok(Bytes::new()),
            refused: None,
            warning: None,
            port: crate::front::Port::Aci,
            caller: crate::front::Caller::default(),
            idempotency_key: None,
            is_get: true,
            wants_html: false,
            client: crate::front::Client::default(),
        };
        let endpoint = Endpoint::builder(system.clone()).build();
        let AciBody::Stream(mut parts) = answer(endpoint.into(), request).await.body else {
            panic!("it was not long enough");
        };
        // Of the first page one piece was written; what is behind it there goes.
        let mut list = Vec::from(parts.next().await.unwrap().unwrap());
        for id in &ids[..LONG.page] {
            work.cancel(*id).await.unwrap();
        }
        let deleted = async {
            while work.read_summary().await.unwrap().counts.finished() > 0 {
                tokio::task::yield_now().await;
            }
        };
        let within = std::time::Duration::from_secs(30);
        tokio::time::timeout(within, deleted).await.expect("they are deleted");
        while let Some(part) = parts.next().await {
            let part = part.unwrap();
            assert!(!part.is_empty(), "HTTP would take it for the end");
            list.extend(part);
        }
        let list = String::from_utf8(list).unwrap();
        assert!(list.ends_with("</autnresponse>"));
        let listed = list.matches("<request>").count();
        assert!((11..LONG.page).contains(&listed), "{listed} were listed");
        system.shutdown(std::time::Duration::from_secs(1)).await;
    }
}
