//! The path of every request, whatever port it came by and whatever it asks for:
//!
//! ```text
//! read ─► find the action among those of the port ─► authorize ─► check the parameters ─► perform ─► render ─► reserve memory
//!                                                                                            │
//!                                              reserves memory for what it reads, by the size that the store tells
//! ```
//!
//! Nothing else performs an action, and nothing is performed twice: a reply whose reservation is too small gets more, or is
//! dropped. `queues`, `submit` and `server_info` make the content of replies, from what [`Call`] holds of the request.

use std::time::Duration;

use actiond_actors::subject::about;
use actiond_actors::{
    ActionId, ActionStatus, Parameters, QueueError, QueueHandle, State, StatusWithin, TooLarge,
    WaitFor,
};
use bytes::Bytes;

use super::actions::{Action, Actions};
use super::authorize::authorize;
use super::endpoint::Endpoint;
use super::handover::Handover;
use super::list::List;
use super::message::{AciReply, AciRequest, Caller, Port};
use super::reply_memory::{NoReplyMemory, ReplyMemory, SMALL};
use super::request_log::Noted;
use super::run_permits::RunPermit;
use super::{Client, queues, request_log, secrets, server_info, service, submit, work};
use crate::aci::catalog::builtin::{HELP, SCHEDULE_INFO};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::queue_info::parameter;
use crate::aci::request::{Pairs, RawRequest, Rejected, Request, parse, without_authority};
use crate::aci::response::{self, ResponseFormat};
use crate::aci::token::Token;

/// Estimate of the bytes around a result in a reply. Names of elements, which are written twice, and escaped characters take
/// more, which is only known once it is written.
const ENVELOPE: usize = 4 << 10;

/// A request that is being performed, with everything that the parts of the front need of it.
pub(super) struct Call<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) port: Port,
    /// The actions that the port offers.
    pub(super) actions: Actions<'a>,
    /// The name of the action, as the client wrote it.
    pub(super) action: &'a str,
    /// The parameters. A submission takes them out.
    pub(super) pairs: Pairs,
    pub(super) format: ResponseFormat,
    pub(super) caller: &'a Caller,
    pub(super) wants_html: bool,
    pub(super) idempotency_key: Option<&'a str>,
    pub(super) client: &'a Client,
    /// The memory that is reserved for the reply so far.
    memory: ReplyMemory,
    /// The token of an action that was queued: whatever fails from then on, the client must get it.
    pub(super) token: Option<Element>,
    /// The actions that are handed to a worker with the reply.
    pub(super) handover: Handover,
    /// The permit of an action that ran at once, whose result exists nowhere else.
    pub(super) permit: Option<RunPermit>,
}

/// The content of a reply, before it is formatted.
pub(super) enum ReplyData {
    Elements(Vec<Element>),
    Html(String),
    /// A reply of the service port, which has a form of its own.
    Service(String),
    List(Box<List>),
}

/// The time for which a request waits for an action, and what for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience {
    pub(super) what: WaitFor,
    pub(super) time: Duration,
}

/// A request that was understood.
struct ParsedRequest {
    action: String,
    pairs: Pairs,
    format: ResponseFormat,
    action_id: Option<String>,
    /// True if it has a body, so that its target does not say all.
    has_body: bool,
}

/// The error of a request that failed, and the form of its reply.
type Failed = (AciError, ResponseFormat);

/// Answers a request, and notes for the log and the metrics what it turned out to be.
pub(super) async fn dispatch(
    endpoint: &Endpoint,
    request: &mut AciRequest,
    noted: &mut Noted,
) -> (String, Result<AciReply, Failed>) {
    let read = read(endpoint, request);
    let actions = endpoint.actions(request.port);
    let ParsedRequest { action, pairs, format, action_id, has_body } = match read {
        Ok(read) => read,
        Err(Rejected { action, format, action_id, error }) => {
            let names = match actions.find(&action, &request.caller) {
                Ok(Action::QueueWork) => &*secrets::OF_WORKERS,
                _ => endpoint.secret_names(),
            };
            secrets::hide_in(names, request, noted);
            begin(endpoint, request, noted, action_id.as_deref());
            if let Some(warning) = &request.warning {
                noted.about(|| log::warn!("{warning}"));
            }
            return (action, Err((*error, format)));
        }
    };
    let found = actions.find(&action, &request.caller);
    // Parameters of any queue's actions are in it.
    let is_of_schedules =
        matches!(found, Ok(Action::Immediate(spec)) if spec.name == SCHEDULE_INFO.name);
    let of_schedules = is_of_schedules.then(|| secrets::of_schedules(endpoint.secret_names()));
    let names = match (&found, &of_schedules) {
        (Ok(Action::Queued(served)), _) => &served.secret_names,
        // Its filters have values of parameters of any queue.
        (Ok(Action::QueueInfo), _) if pairs.iter().any(|(name, _)| parameter(name).is_some()) => {
            endpoint.secret_names()
        }
        (Ok(_), Some(names)) => names,
        (Ok(_), None) => &secrets::WELL_KNOWN,
        (Err(_), _) => endpoint.secret_names(),
    };
    let is_of_worker = matches!(found, Ok(Action::QueueWork));
    let unshown = if is_of_worker { &*secrets::OF_WORKERS } else { names };
    noted.secrets = secrets::values(names, &pairs);
    if has_body {
        noted.text = Some(request_log::text_of(&action, &pairs, unshown));
    } else if is_of_worker || !noted.secrets.is_empty() || !secrets::is_plain(&request.target) {
        secrets::hide_in(unshown, request, noted);
    }
    begin(endpoint, request, noted, action_id.as_deref());
    if let (Some(subject), Some(token)) = (&noted.subject, pairs.given("Token"))
        && Token::parse(token).is_ok()
    {
        subject.set_token(token);
    }
    if let (Some(counted), Ok(found)) = (endpoint.counted(), &found) {
        noted.place = counted.requests.place(request.port, Some(found.spec().name));
    }
    let call = Call {
        endpoint,
        port: request.port,
        actions,
        action: &action,
        pairs,
        format,
        caller: &request.caller,
        wants_html: request.wants_html,
        idempotency_key: request.idempotency_key.as_deref(),
        client: &request.client,
        memory: ReplyMemory::default(),
        token: None,
        handover: Handover::default(),
        permit: None,
    };
    let reply = match found {
        Ok(found) => match noted.subject.clone() {
            None => reply(call, found).await,
            // Boxed: without a subject nothing reserves room for it a second time, or moves it there.
            subject => Box::pin(about(subject, reply(call, found))).await,
        },
        Err(unknown) => Err(unknown),
    };
    let reply = reply.map_err(|error| (error, format));
    (action, reply)
}

/// Begins the lines of the log about a request, if there are streams.
fn begin(endpoint: &Endpoint, request: &AciRequest, noted: &mut Noted, action_id: Option<&str>) {
    let text = noted.text.as_deref().unwrap_or(&request.target);
    noted.subject = endpoint.log_streams().begin_request(action_id, request.caller.address, text);
}

/// Reads a request into an action with its parameters, which then are in memory once.
fn read(endpoint: &Endpoint, request: &mut AciRequest) -> Result<ParsedRequest, Rejected> {
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
    let (is_bare, has_body) = (is_bare(raw.target), !body.is_empty());
    let parsed = match parse(&raw) {
        Ok(parsed) => parsed,
        Err(rejected) => {
            // A browser at the bare address is shown the help. Nobody else is: clients that would take HTML as well get
            // the error.
            let is_plain = request.is_get && request.body.as_ref().is_ok_and(Bytes::is_empty);
            if request.port == Port::Aci && request.wants_html && is_plain && is_bare {
                let (action, pairs) = (HELP.name.to_owned(), Pairs::default());
                let format = ResponseFormat::default();
                return Ok(ParsedRequest {
                    action,
                    pairs,
                    format,
                    action_id: None,
                    has_body: false,
                });
            }
            let Rejected { action, error, .. } = rejected;
            let error = match too_large {
                Some(too_large) => Box::new(too_large),
                None if action.is_empty() && error.is_missing() => {
                    Box::new(endpoint.actions(request.port).none_named(*error))
                }
                None => error,
            };
            return Err(Rejected { action, error, ..rejected });
        }
    };
    // It is in the pairs now: a large one must not be in memory twice while the action is performed.
    request.body = Ok(Bytes::new());
    let Request { action, pairs, format, action_id } = parsed;
    match too_large {
        Some(error) => Err(Rejected { action, format, action_id, error: Box::new(error) }),
        None => Ok(ParsedRequest { action, pairs, format, action_id, has_body }),
    }
}

/// Returns true if a target has neither path nor query.
fn is_bare(target: &str) -> bool {
    without_authority(target).trim_start_matches(['/', '?']).is_empty()
}

/// Authorizes the caller, checks the parameters, performs the action, formats the reply and reserves its memory.
async fn reply(mut call: Call<'_>, action: Action<'_>) -> Result<AciReply, AciError> {
    authorize(call.endpoint, call.port, call.caller, action, &call.pairs)?;
    action.check(&call.pairs, call.endpoint.limits().strict)?;
    let data = perform(&mut call, action).await?;
    let mut reply = match data {
        ReplyData::Elements(elements) => call.success(&elements),
        ReplyData::Html(page) => AciReply::html(page),
        ReplyData::Service(text) => AciReply::plain(text),
        // It reserves memory itself, page by page.
        ReplyData::List(list) => return list.into_reply(&call).await,
    };
    let replies = &call.endpoint.inner.replies;
    if let Some(permit) = call.permit.take() {
        reply.memory = replies.reserve_or_keep_permit(reply.len(), permit).await;
        return Ok(reply);
    }
    match (replies.fit(reply.len(), &mut call.memory).await, &call.token) {
        (Ok(()), _) => Ok(AciReply { memory: call.memory, handover: call.handover, ..reply }),
        (Err(NoReplyMemory), Some(token)) => Ok(call.success(std::slice::from_ref(token))),
        (Err(no_memory), None) => Err(no_memory.into()),
    }
}

/// Performs the action, once.
async fn perform(call: &mut Call<'_>, action: Action<'_>) -> Result<ReplyData, AciError> {
    match action {
        Action::QueueInfo => queues::queue_info(call).await,
        Action::QueueWork => work::queue_work(call).await.map(ReplyData::Elements),
        Action::Immediate(spec) => server_info::answer(call, spec.name).await,
        Action::Queued(served) => submit::submit(call, served).await.map(ReplyData::Elements),
        Action::Service(spec) => service::answer(call, spec.name).await,
    }
}

impl Call<'_> {
    fn success(&self, data: &[Element]) -> AciReply {
        let Self { action, format, .. } = *self;
        AciReply::whole(format.content_type(), response::success(action, data, format))
    }

    /// Reserves memory for data with this stored size and for the reply that is made of it.
    pub(super) async fn reserve_memory(&mut self, stored: usize) -> Result<(), NoReplyMemory> {
        let expected = stored.saturating_add(ENVELOPE);
        self.endpoint.inner.replies.reserve(expected, &mut self.memory).await
    }

    /// Reads the status of an action once memory for its result is reserved. The result is read once; before that, only its size
    /// is. Waits for the action first if asked to, for as long as the client waits.
    ///
    /// `look` is the status that was read already, if any.
    pub(super) async fn status(
        &mut self,
        queue: &QueueHandle,
        id: ActionId,
        patience: Patience,
        look: Option<StatusWithin>,
    ) -> Result<ActionStatus, QueueError> {
        let mut within = match look {
            Some(look) if patience.time.is_zero() || look.status.record.state.is_final() => look,
            look => self.waited(queue, id, patience, look.as_ref()).await?,
        };
        while let Some(TooLarge { bytes }) = within.too_large {
            self.reserve_memory(bytes).await?;
            within = queue.status_within(id, bytes).await?;
        }
        Ok(within.status)
    }

    /// Reads the parameters of an action, once memory for them is reserved; those of one that has ended only with `of_ended`.
    pub(super) async fn parameters(
        &mut self,
        queue: &QueueHandle,
        id: ActionId,
        of_ended: bool,
    ) -> Result<(State, Option<Parameters>), QueueError> {
        let mut most = SMALL;
        loop {
            match queue.parameters_within(id, most, of_ended).await? {
                (state, Ok(parameters)) => return Ok((state, parameters)),
                (_, Err(TooLarge { bytes })) => {
                    self.reserve_memory(bytes).await?;
                    most = bytes;
                }
            }
        }
    }

    async fn waited(
        &self,
        queue: &QueueHandle,
        id: ActionId,
        patience: Patience,
        since: Option<&StatusWithin>,
    ) -> Result<StatusWithin, QueueError> {
        let Patience { what, time } = patience;
        tokio::select! {
            biased;
            status = queue.wait_for(id, what, since, time, SMALL) => status,
            () = self.client.waits_no_more() => queue.status_within(id, SMALL).await,
        }
    }
}
