//! The actions that each port offers.

use std::collections::BTreeSet;

use super::authorize::may_know;
use super::endpoint::Endpoint;
use super::errors::no_such;
use super::message::{Caller, Port};
use super::served_queue::ServedQueue;
use crate::access::Concerned;
use crate::aci::catalog::builtin::{BUILTIN, QUEUE_INFO, QUEUE_WORK};
use crate::aci::catalog::{ActionSpec, StandardRole, builtin, validate};
use crate::aci::error::AciError;
use crate::aci::queue_info::{DELETE, QUEUE_ACTIONS, reveals};
use crate::aci::queue_work::{WORK_ACTIONS, queue_names};
use crate::aci::request::Pairs;
use crate::aci::token::Token;
use crate::aci::words::{find_word, list, nearest};
use crate::service::SERVICE_ACTIONS;

/// The actions of one port.
#[derive(Clone, Copy)]
pub(super) struct Actions<'a> {
    endpoint: &'a Endpoint,
    port: Port,
}

/// An action of a port.
#[derive(Clone, Copy)]
pub(super) enum Action<'a> {
    /// Shows a queue and steers its actions.
    QueueInfo,
    /// Hands actions to workers elsewhere, and hears of them.
    QueueWork,
    /// Shows something about the server.
    Immediate(&'static ActionSpec<'static>),
    /// Is queued.
    Queued(&'a ServedQueue),
    /// Watches or ends the server, on the service port.
    Service(&'static ActionSpec<'static>),
}

impl Endpoint {
    /// Returns the actions of a port.
    pub(super) const fn actions(&self, port: Port) -> Actions<'_> {
        Actions { endpoint: self, port }
    }
}

impl<'a> Actions<'a> {
    /// Finds the action of this name, in any case. The error tells of no queue that the caller may neither send actions to nor see.
    pub(super) fn find(self, name: &str, caller: &Caller) -> Result<Action<'a>, AciError> {
        if self.port == Port::Service {
            let known = SERVICE_ACTIONS.iter();
            let found = known.clone().find(|spec| spec.name.eq_ignore_ascii_case(name));
            return found.map(Action::Service).ok_or_else(|| {
                let names: Vec<_> = known.map(|spec| spec.name).collect();
                no_such("action", name, &names)
            });
        }
        if let Some(spec) = builtin(name) {
            return Ok(match spec.name {
                name if name == QUEUE_INFO.name => Action::QueueInfo,
                name if name == QUEUE_WORK.name => Action::QueueWork,
                _ => Action::Immediate(spec),
            });
        }
        self.endpoint.queue(name).map(Action::Queued).ok_or_else(|| {
            let access = self.endpoint.access();
            let queues = self.endpoint.queues().iter();
            let known = queues.filter(|served| may_know(&access, caller, served));
            let known = known.map(|served| served.queue.name());
            let known = known.chain(BUILTIN.iter().map(|spec| spec.name));
            AciError::unknown_action(name).meant(nearest(name, known))
        })
    }

    /// Returns the error for a request that names no action.
    pub(super) fn none_named(self, error: AciError) -> AciError {
        match self.port {
            Port::Service => {
                let names: Vec<_> = SERVICE_ACTIONS.iter().map(|spec| spec.name).collect();
                AciError::missing("action", &format!("one of {}", names.join(", ")))
            }
            Port::Aci => error,
        }
    }

    /// Returns all of them as the help shows them: those that are queued first.
    pub(super) fn specs(self) -> Vec<ActionSpec<'a>> {
        if self.port == Port::Service {
            return SERVICE_ACTIONS.to_vec();
        }
        let queued = self.endpoint.queues().iter().map(ServedQueue::spec);
        queued.chain(BUILTIN.iter().copied()).collect()
    }
}

impl<'a> Action<'a> {
    pub(super) fn spec(self) -> ActionSpec<'a> {
        match self {
            Self::QueueInfo => QUEUE_INFO,
            Self::QueueWork => QUEUE_WORK,
            Self::Immediate(spec) | Self::Service(spec) => *spec,
            Self::Queued(served) => served.spec(),
        }
    }

    /// Returns the part of the action that is asked for, such as `getStatus` of `QueueInfo`, in the spelling of
    /// the documentation: rules about it must not depend on how the client wrote it.
    pub(super) fn subaction(self, pairs: &Pairs) -> Option<&str> {
        match self {
            Self::QueueInfo => {
                pairs.given("QueueAction").and_then(|given| find_word(QUEUE_ACTIONS, given))
            }
            Self::QueueWork => {
                pairs.given("WorkAction").and_then(|given| find_word(WORK_ACTIONS, given))
            }
            Self::Immediate(_) | Self::Queued(_) | Self::Service(_) => None,
        }
    }

    /// Returns the standard role that is needed for it, or for the part of it that is asked for.
    pub(super) fn role(self, pairs: &Pairs) -> StandardRole {
        match self {
            Self::QueueInfo if self.subaction(pairs) == Some(DELETE) => StandardRole::Admin,
            _ => self.spec().role,
        }
    }

    /// Returns the queues that are concerned: the one of the action itself, or those that `QueueInfo` or `QueueWork` is about.
    pub(super) fn concerns(self, endpoint: &'a Endpoint, pairs: &Pairs) -> Vec<Concerned<'a>> {
        let named = |name: &str| {
            let served = endpoint.queue(name);
            served.map_or(Concerned::Unknown, |served| Concerned::Queue(served.queue.name()))
        };
        let of_token = |token: &str| {
            Token::parse(token).map_or(Concerned::Unknown, |token| named(&token.queue))
        };
        let one = match self {
            Self::QueueInfo
                if pairs.given("QueueName").is_none() && pairs.given("Tokens").is_some() =>
            {
                // Each names its own. One that is none is refused later, with all of them.
                let tokens = pairs.given("Tokens").unwrap_or_default();
                let names: BTreeSet<_> = list(tokens)
                    .filter_map(|token| Some(Token::parse(token).ok()?.queue))
                    .collect();
                return names.iter().map(|name| named(name)).collect();
            }
            Self::QueueInfo => match (pairs.given("QueueName"), pairs.given("Token")) {
                (Some(name), _) => named(name),
                (None, Some(token)) => of_token(token),
                (None, None) => Concerned::Unknown,
            },
            Self::QueueWork if self.subaction(pairs) == Some("take") => {
                let names = queue_names(pairs.given("QueueName").unwrap_or_default());
                return names.into_iter().map(named).collect();
            }
            Self::QueueWork => pairs.given("Token").map_or(Concerned::Unknown, of_token),
            Self::Immediate(_) | Self::Service(_) => Concerned::Server,
            Self::Queued(served) => Concerned::Queue(served.queue.name()),
        };
        vec![one]
    }

    /// Returns the parts of the action that tell what its parameters compare: whoever may not ask for them must not learn it by
    /// this one.
    pub(super) fn reveals(self, pairs: &Pairs) -> &'static [&'static str] {
        match self {
            Self::QueueInfo => reveals(pairs),
            Self::QueueWork | Self::Immediate(_) | Self::Queued(_) | Self::Service(_) => &[],
        }
    }

    /// Checks the parameters.
    pub(super) fn check(self, pairs: &Pairs, strict: bool) -> Result<(), AciError> {
        let spec = self.spec();
        // A standard parameter that would have the reply written to a file of the server (source: the pages about Output).
        if let Some(output) =
            pairs.given("Output").filter(|output| output.eq_ignore_ascii_case("File"))
        {
            let allowed = "none: a reply is never written to a file of the server";
            return Err(AciError::invalid("Output", output, allowed));
        }
        // An asynchronous action checks its own parameters when it runs: clients expect a token for anything that can be
        // queued (source: the page "Ingest"). Some kinds are our own, and say so at once.
        let is_checked = matches!(self, Self::Queued(served) if served.is_checked);
        let judged = !spec.asynchronous || strict || is_checked;
        let judged = ActionSpec { params: if judged { spec.params } else { &[] }, ..spec };
        validate(&judged, judged.common(), pairs, strict)
    }
}
