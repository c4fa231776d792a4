//! Forward: actions that are done by other ACI servers. This one queues them durably in front of those, with its retries,
//! priorities and times, and passes control and progress through.
//!
//! - `kind`: `Type=Forward` and its keys;
//! - `attempt`, `step`: one attempt, and the steps that it goes through;
//! - `note`: what is kept of it durably, before anything is sent and once it was;
//! - `find`: the search for an action that may have been sent;
//! - `last_stop`: what is sent when an attempt is forced;
//! - `servers`, `server`, `absence`, `trouble`: the other servers, the choice among them, and what goes wrong there;
//! - `outgoing`, `translate`: what is sent, and the words of both sides;
//! - `address`: the addresses of the configuration.
//!
//! An action is sent at most once in each attempt. An actiond takes it once under its `Idempotency-Key`. With other servers the
//! queue there is searched for the key; where that can't tell, the action ends in Error rather than being sent twice.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{ActionContext, OnRestart, Parameters, Perform, Work};

mod absence;
mod address;
mod attempt;
mod find;
mod kind;
mod last_stop;
mod note;
mod outgoing;
mod server;
mod servers;
mod step;
mod translate;
mod trouble;

use attempt::Forwarding;
pub use kind::{ForwardKind, ForwardSettings};
use note::{Sender, Way};
use outgoing::IDEMPOTENCY_KEY;
use servers::Servers;

/// Parameters in which the key of a server that forwards may come.
const KEY_PARAMETERS: [&str; 2] = [IDEMPOTENCY_KEY, "ActionID"];

/// What the attempts of a queue share.
#[derive(Debug)]
struct Options {
    servers: Servers,
    /// Name of the action there.
    action: String,
    /// The parameter that carries the key to servers other than actiond.
    marker: &'static str,
    /// Time to the first look at an action there, and the longest to which it grows.
    first_look: Duration,
    longest_look: Duration,
    /// Time after a lost answer for which a server may still take what it was sent.
    doubt: Duration,
    /// Time after which an attempt ends where servers answer in a way that waiting alone does not mend.
    patience: Duration,
    sender: Sender,
}

/// The performer of a queue that forwards.
#[derive(Debug)]
struct Forward(Arc<Options>);

impl Perform for Forward {
    fn perform(&self, context: ActionContext) -> Work {
        match Forwarding::new(context, &self.0) {
            Ok(forwarding) => Work::task(forwarding.run()),
            Err(failure) => Work::done(Err(failure)),
        }
    }

    fn can_pause(&self) -> bool {
        true
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Resume
    }

    fn relays(&self) -> bool {
        true
    }

    fn refusal(&self, parameters: &Parameters) -> Option<String> {
        way_of(parameters).refusal(&self.0.sender)
    }
}

/// Returns the way that an action has come.
fn way_of(parameters: &Parameters) -> Way {
    Way::read(KEY_PARAMETERS.into_iter().filter_map(|name| parameters.get(name)))
}
