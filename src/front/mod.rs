//! The front: turns an ACI request into calls to the queues, and their answers into an ACI reply.
//!
//! Only this folder translates between the wire (`aci/`) and the runtime (`actiond-actors`); the kinds of action use a few words of both.
//!
//! | module | contents |
//! |---|---|
//! | here | the front actor, one in each HTTP worker |
//! | `message` | the messages between HTTP and the front |
//! | `dispatch` | the path of every request; read this next |
//! | `actions` | the actions that each port offers |
//! | `authorize` | permissions |
//! | `queues` | the action `QueueInfo` |
//! | `work` | the action `QueueWork` |
//! | `handover` | what is handed to a worker with a reply |
//! | `submit` | asynchronous actions: queue them, or run them at once |
//! | `server_info` | the other actions that answer at once |
//! | `service` | the actions of the service port |
//! | `events` | live events: who may hear which, and their form |
//! | `statistics` | the last hour of a queue as elements |
//! | `scrape` | the metrics: who may see them, and what counts as refused |
//! | `render` | actions, parameters and progress as elements |
//! | `attempts` | the attempts at an action as elements |
//! | `list` | replies that are lists, which may be streamed |
//! | `reply_memory` | reservations of memory for large replies |
//! | `errors` | errors of the queues, for the client and for the log |
//! | `run_permits` | the limit of actions that run at once |
//! | `client` | the presence of a client |
//! | [`endpoint`] | the state that all front actors of a server share |
//! | `served_queue` | a queue as clients see it |
//! | `request_log` | the latest requests |
//! | `secrets` | the values of parameters that no log shows |
//! | `event_info` | the action `EventInfo` |
//! | `events` | the documents that handlers of events deliver |
//! | `ends` | tokens outside of replies; the lines of the log about actions that did not finish |

mod actions;
mod attempts;
mod authorize;
mod backup;
mod client;
mod dispatch;
pub mod endpoint;
mod ends;
mod errors;
mod event_documents;
mod event_info;
pub(crate) mod events;
mod handover;
mod list;
mod many;
mod message;
mod queues;
mod render;
mod reply_memory;
mod request_log;
mod run_permits;
mod schedules;
mod scrape;
mod secrets;
mod served_queue;
mod server_info;
mod servers;
mod service;
mod statistics;
mod submit;
#[cfg(test)]
mod tests;
mod work;

use std::sync::Arc;

use actiond_actors::secrets::hide;
use actix::prelude::*;
use chrono::Local;

use crate::aci::error::AciError;
use crate::aci::response;
use crate::aci::time::error_time;
use crate::metrics::Outcome;
pub(crate) use authorize::refused_unread;
pub use client::{Client, Leaving};
use dispatch::dispatch;
pub use endpoint::{Endpoint, EndpointBuilder};
pub use ends::{log_unfinished, tokens};
pub use event_documents::EventDocuments;
pub use handover::Handover;
pub use message::{
    AciAnswer, AciBody, AciReply, AciRequest, Caller, Certificate, Credential, ListStream, Port,
};
pub use reply_memory::ReplyMemory;
pub(crate) use reply_memory::part_of;
use request_log::Logging;
pub(crate) use secrets::secret_names;

/// The actor that turns ACI requests into calls to the queues. There is one in each HTTP worker, on its thread, with a
/// reference count of its own for the endpoint: one that all workers change is slow for each of them.
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

async fn answer(endpoint: Arc<Endpoint>, request: AciRequest) -> AciReply {
    let mut logging = Logging::new(endpoint, request);
    let (action, reply) =
        dispatch(&logging.endpoint, &mut logging.request, &mut logging.noted).await;
    let mut why = None;
    let outcome = if reply.is_ok() { Outcome::Success } else { Outcome::Error };
    let body = match reply {
        Ok(reply) => reply,
        Err((error, format)) => {
            let time = error_time(logging.endpoint.now_ms(), &Local);
            let told = hide(error.log_text(), &logging.noted.secrets).into_owned();
            logging.noted.about(|| log::debug!("{:?}: {told:?}", logging.text()));
            why = Some(told);
            scrape::count_refusal(&logging.endpoint, logging.request.refused, &error);
            let asks_for_key = asks_for_key(&logging.endpoint, &logging.request, &error);
            let reply = match logging.request.port {
                Port::Aci => {
                    let text = response::error(&action, &error, &time, format);
                    AciReply::whole(format.content_type(), text)
                }
                Port::Service => AciReply::plain(service::error(&action, &error)),
            };
            let (is_refused, retry_after) = (error.is_permission(), error.retry_after);
            AciReply { is_refused, asks_for_key, retry_after, ..reply }
        }
    };
    logging.write(&action, outcome, why.as_deref());
    body
}

/// Returns true if a refused client is a browser that may get further with a key, and has sent none. It asks its user on HTTP
/// status 401, and knows no other way.
fn asks_for_key(endpoint: &Endpoint, request: &AciRequest, error: &AciError) -> bool {
    request.wants_html
        && error.is_permission()
        && request.caller.credential.is_none()
        && endpoint.access().has_keys()
}
