//! THE TRANSLATOR: an ACI request becomes calls to the queues, their answers become an ACI reply.
//!
//! Only this folder knows both the wire (`aci/`) and the runtime (`actiond-actors`).
//!
//! | file | what it does |
//! |---|---|
//! | here | the front actor, one in each HTTP worker, and the way of a request through it |
//! | `message` | what HTTP and the front send each other |
//! | `client` | whether a client is still there |
//! | `ends` | the lines of the log about actions that did not finish |
//! | [`endpoint`] | what all front actors of a server share: the system, its names, limits and log |
//! | `queues` | the action `QueueInfo` |
//! | `submit` | asynchronous actions: queue them, or run them at once |
//! | `server_info` | the other actions that answer at once |
//! | `run_permits` | how many actions run at once, and waiting with a bound |
//! | `render` | actions, parameters and progress as elements |
//! | `list` | replies that are written while they are sent |
//! | `replies` | the memory that large replies share |
//! | `request_log` | the latest requests |

mod client;
pub mod endpoint;
mod ends;
mod list;
mod message;
mod queues;
mod render;
mod replies;
mod request_log;
mod run_permits;
mod server_info;
mod submit;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{ActionId, ActionStatus, QueueError, QueueHandle, Submitted};
use actix::prelude::*;
use bytes::Bytes;
use chrono::Local;

use crate::aci::catalog::builtin::{BUILTIN, QUEUE_INFO};
use crate::aci::catalog::{ActionSpec, builtin, nearest, validate};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::request::{Pairs, RawRequest, Request, parse, without_authority};
use crate::aci::response::{self, ResponseFormat};
use crate::aci::time::error_time;
pub use client::{Client, Leaving};
use endpoint::ServedQueue;
pub use endpoint::{Endpoint, EndpointBuilder};
pub use ends::log_unfinished;
pub use message::{AciAnswer, AciBody, AciReply, AciRequest, ListStream};
pub use replies::Room;
pub(crate) use replies::part_of;
use request_log::Logging;
use run_permits::RunPermit;

/// Turns ACI requests into calls to the queues. One lives in each HTTP worker, on its thread, and counts the users of its
/// endpoint for itself: a count that all workers change is slow for each of them.
#[derive(Debug)]
pub struct FrontActor(Arc<Endpoint>);

impl FrontActor {
    /// Makes the front of an endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(endpoint))
    }
}

impl Actor for FrontActor {
    type Context = Context<Self>;
}

impl Handler<AciRequest> for FrontActor {
    type Result = MessageResult<AciRequest>;

    fn handle(&mut self, request: AciRequest, _: &mut Self::Context) -> Self::Result {
        let answer: AciAnswer = Box::pin(answer(Arc::clone(&self.0), request));
        MessageResult(answer)
    }
}

/// What an action replies, before it is given its form.
enum ReplyData {
    Data(Vec<Element>),
    Html(String),
    List(Box<list::List>),
}

/// One request on its way: what the parts of the front need of it.
struct Asked<'a> {
    endpoint: &'a Endpoint,
    action: &'a str,
    /// A submission takes them.
    pairs: Pairs,
    format: ResponseFormat,
    peer: Option<IpAddr>,
    wants_html: bool,
    idempotency_key: Option<&'a str>,
    done: Done<'a>,
    /// Among the few actions that may run at once, where this one did: its result is nowhere else.
    place: Option<RunPermit>,
    client: Client,
}

/// What was done for a request, whose reply may have to be made once more.
enum Done<'a> {
    Nothing,
    /// Something was read, and perhaps waited for.
    Looked,
    /// An action was queued.
    Queued(&'a ServedQueue, Submitted),
}

async fn answer(endpoint: Arc<Endpoint>, request: AciRequest) -> AciReply {
    let mut logging = Logging::new(endpoint, request);
    let (action, reply) = reply(&logging.endpoint, &mut logging.request, &mut logging.text).await;
    let success = reply.is_ok();
    let body = match reply {
        Ok(reply) => reply,
        Err((error, format)) => {
            let time = error_time(logging.endpoint.now_ms(), &Local);
            log::debug!("{:?}: {:?}", logging.text(), error.to_string());
            AciReply::whole(format.content_type(), response::error(&action, &error, &time, format))
        }
    };
    logging.write(&action, success);
    body
}

type Failed = (AciError, ResponseFormat);

/// Answers a request. `text` becomes the request as the log is to have it where its target says nothing: what
/// stood in its body.
async fn reply(
    endpoint: &Endpoint,
    request: &mut AciRequest,
    text: &mut Option<String>,
) -> (String, Result<AciReply, Failed>) {
    let limits = endpoint.limits();
    let (body, too_large) = match &request.body {
        Ok(body) => (body.as_ref(), None),
        Err(error) => (&[][..], Some(error.clone())),
    };
    let raw = RawRequest {
        target: endpoint.strip_prefix(&request.target),
        content_type: request.content_type.as_deref(),
        body,
        max_input_string: limits.max_input_string,
        max_upload: limits.max_file_upload_size,
    };
    let parsed = match parse(&raw) {
        Ok(parsed) => parsed,
        Err(rejected) => {
            // Somebody who looks at the bare address with a browser is shown what there is. Nobody else is: clients that
            // would take HTML as well get the error for which they asked.
            let is_plain = request.is_get && request.body.as_ref().is_ok_and(Bytes::is_empty);
            if request.wants_html && is_plain && is_bare(raw.target) {
                let page = AciReply::html(server_info::help_page(endpoint));
                return ("HELP".to_owned(), Ok(page));
            }
            let error = too_large.unwrap_or(rejected.error);
            return (rejected.action, Err((error, rejected.format)));
        }
    };
    let Request { action, pairs, format, .. } = parsed;
    // It is in the pairs now: a large one must not stand in memory twice while it is worked on.
    let is_bare = is_bare(raw.target);
    request.body = Ok(Bytes::new());
    if is_bare {
        *text = Some(request_log::text_of(&action, &pairs));
    }
    if let Some(error) = too_large {
        return (action, Err((error, format)));
    }
    let mut asked = Asked {
        endpoint,
        action: &action,
        pairs,
        format,
        peer: request.peer,
        wants_html: request.wants_html,
        idempotency_key: request.idempotency_key.as_deref(),
        done: Done::Nothing,
        place: None,
        client: request.client.clone(),
    };
    let reply = in_room(&mut asked).await.map_err(|error| (error, format));
    drop(asked);
    (action, reply)
}

/// Says whether a target is that of the address alone.
fn is_bare(target: &str) -> bool {
    without_authority(target).trim_start_matches(['/', '?']).is_empty()
}

/// Makes a reply and finds room for it. One that has to wait for room is made once more when there is some.
async fn in_room(asked: &mut Asked<'_>) -> Result<AciReply, AciError> {
    let endpoint = asked.endpoint;
    let replies = &endpoint.inner.replies;
    let mut room = Room::default();
    loop {
        let mut reply = made(asked).await?;
        if !reply.room.is_none() {
            return Ok(reply);
        }
        let bytes = reply.len();
        if replies.fit(bytes, &mut room) {
            reply.room = room;
            return Ok(reply);
        }
        drop(reply);
        if let Err(error) = replies.wait(bytes, &mut room).await {
            return match asked.done {
                // It is queued: whatever goes wrong from here on, the client must get the token.
                Done::Queued(kind, submitted) => {
                    Ok(success(asked, &[submit::token(asked, kind, submitted)]))
                }
                _ => Err(error.into()),
            };
        }
    }
}

async fn made(asked: &mut Asked<'_>) -> Result<AciReply, AciError> {
    let mut reply = match perform(asked).await? {
        ReplyData::Data(data) => success(asked, &data),
        ReplyData::Html(page) => AciReply::html(page),
        ReplyData::List(list) => list.into_reply(asked).await?,
    };
    if let Some(place) = asked.place.take() {
        reply.room = asked.endpoint.inner.replies.only_once(reply.len(), place).await;
    }
    Ok(reply)
}

fn success(asked: &Asked<'_>, data: &[Element]) -> AciReply {
    let Asked { action, format, .. } = *asked;
    AciReply::whole(format.content_type(), response::success(action, data, format))
}

/// Finds the action, checks its parameters and does it; or looks once more at what was queued.
async fn perform(asked: &mut Asked<'_>) -> Result<ReplyData, AciError> {
    if let Done::Queued(kind, submitted) = asked.done {
        let outcome = submit::outcome(asked, kind, submitted, Duration::ZERO).await;
        return Ok(ReplyData::Data(outcome));
    }
    let check = |spec: &ActionSpec<'_>| {
        validate(spec, spec.common(), &asked.pairs, asked.endpoint.limits().strict)
    };
    if let Some(spec) = builtin(asked.action) {
        check(spec)?;
        let answer = if spec.name == QUEUE_INFO.name {
            queues::queue_info(asked).await
        } else {
            server_info::answer(asked, spec.name)
        };
        asked.done = Done::Looked;
        return answer;
    }
    let Some(kind) = asked.endpoint.kind(asked.action) else {
        let queues = asked.endpoint.kinds().iter().map(|kind| kind.queue.name());
        let known = queues.chain(BUILTIN.iter().map(|spec| spec.name));
        return Err(AciError::unknown_action(asked.action).meant(nearest(asked.action, known)));
    };
    // What an action of this kind makes of its own parameters it says when it runs: clients expect a
    // token for whatever can be queued (source: the page "Ingest").
    let spec = kind.spec();
    let strict = asked.endpoint.limits().strict;
    check(&ActionSpec { params: if strict { spec.params } else { &[] }, ..spec })?;
    submit::submit(asked, kind).await.map(ReplyData::Data)
}

/// Waits for the end of an action, as long as the client waits for it; how it stands then.
async fn waited(
    asked: &Asked<'_>,
    queue: &QueueHandle,
    id: ActionId,
    patience: Duration,
) -> Result<ActionStatus, QueueError> {
    tokio::select! {
        biased;
        status = queue.wait(id, patience) => status,
        () = asked.client.waits_no_more() => queue.wait(id, Duration::ZERO).await,
    }
}

/// Says what a queue's refusal means to a client that named the action by this token.
fn queue_error(error: &QueueError, queue: &str, token: Option<&str>) -> AciError {
    match error {
        QueueError::UnknownAction { .. } => unknown_token(queue, token.unwrap_or_default()),
        QueueError::Refused(refusal) => {
            AciError::refused(token.unwrap_or_default(), &refusal.to_string())
        }
        QueueError::QueueFull { limit } => AciError::queue_full(queue, *limit),
        QueueError::Unavailable { reason } => AciError::unavailable(reason),
        other => AciError::unavailable(&other.to_string()),
    }
}

fn unknown_token(queue: &str, token: &str) -> AciError {
    let allowed =
        format!("the token of an action that was sent to the queue {queue} and is still kept");
    AciError::invalid("Token", token, &allowed)
}
