//! THE TRANSLATOR: an ACI request becomes calls to the queues, their answers become an ACI reply.
//!
//! Only this folder knows both the wire (`aci/`) and the runtime (`actiond-actors`).
//!
//! | file | what it does |
//! |---|---|
//! | here | the front actor, one in each HTTP worker |
//! | `message` | what HTTP and the front send each other |
//! | `dispatch` | the way of a request: what every request passes |
//! | `actions` | the actions that each port offers |
//! | `authorize` | who may do what |
//! | `queues` | the action `QueueInfo` |
//! | `submit` | asynchronous actions: queue them, or run them at once |
//! | `server_info` | the other actions that answer at once |
//! | `render` | actions, parameters and progress as elements |
//! | `list` | replies that are written while they are sent |
//! | `room` | the room in memory that large replies need |
//! | `errors` | what errors of the queues say to a client, and what to the log |
//! | `run_permits` | how many actions run at once |
//! | `client` | whether a client is still there |
//! | [`endpoint`] | what all front actors of a server share: the system, its names, limits and log |
//! | `served_queue` | a queue as clients see it |
//! | `request_log` | the latest requests |
//! | `ends` | the lines of the log about actions that did not finish |

mod actions;
mod authorize;
mod client;
mod dispatch;
pub mod endpoint;
mod ends;
mod errors;
mod list;
mod message;
mod queues;
mod render;
mod reply_memory;
mod request_log;
mod run_permits;
mod served_queue;
mod server_info;
mod submit;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::prelude::*;
use chrono::Local;

use crate::aci::response;
use crate::aci::time::error_time;
pub use client::{Client, Leaving};
use dispatch::dispatch;
pub use endpoint::{Endpoint, EndpointBuilder};
pub use ends::log_unfinished;
pub use message::{
    AciAnswer, AciBody, AciReply, AciRequest, Caller, Certificate, Credential, ListStream, Port,
};
pub use reply_memory::ReplyMemory;
pub(crate) use reply_memory::part_of;
use request_log::Logging;

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

async fn answer(endpoint: Arc<Endpoint>, request: AciRequest) -> AciReply {
    let mut logging = Logging::new(endpoint, request);
    let (action, reply) =
        dispatch(&logging.endpoint, &mut logging.request, &mut logging.text).await;
    let success = reply.is_ok();
    let body = match reply {
        Ok(reply) => reply,
        Err((error, format)) => {
            let time = error_time(logging.endpoint.now_ms(), &Local);
            log::debug!("{:?}: {:?}", logging.text(), error.log_text());
            AciReply::whole(format.content_type(), response::error(&action, &error, &time, format))
        }
    };
    logging.write(&action, success);
    body
}
