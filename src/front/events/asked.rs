//! The parameters of `/events`, by which a listener says what it wants to hear.

use std::collections::BTreeSet;

use super::super::endpoint::Endpoint;
use super::super::errors::no_such;
use super::super::queues;
use super::EVENTS;
use crate::aci::catalog::builtin::{COMMON, QUEUE_INFO};
use crate::aci::catalog::{ActionSpec, ParamKind, ParamSpec, validate};
use crate::aci::error::AciError;
use crate::aci::request::{PairValue, Pairs};
use crate::aci::token::Token;
use crate::aci::words::{list, nearest, shorten};
use crate::events::live::{EventType, NamedAction, Types};

/// The parameter by which a client that can't send the header says what it has heard.
pub(super) const LAST_EVENT_ID: &str = "Last-Event-ID";

/// The parameters that a listener may send. Each but the last may be there several times.
const SPEC: ActionSpec<'static> = ActionSpec {
    name: EVENTS,
    summary: "Sends the events of queues as they happen.",
    asynchronous: false,
    role: QUEUE_INFO.role,
    params: &[
        ParamSpec::optional(QUEUE, ParamKind::Text, "The queues; all that you may see if not set."),
        ParamSpec::optional(TOKEN, ParamKind::Text, "The actions; all if not set."),
        ParamSpec::optional(TYPES, ParamKind::ListOf(EventType::NAMES), "The types of events."),
        ParamSpec::optional(LAST_EVENT_ID, ParamKind::Text, "The last event that was heard."),
    ],
};
const QUEUE: &str = "Queue";
const TOKEN: &str = "Token";
const TYPES: &str = "Types";

/// The parameters that a listener has sent.
pub(super) struct Asked {
    /// The names of queues; `None` for all that the listener may see.
    pub(super) queues: Option<Vec<String>>,
    /// Actions; `None` for all.
    pub(super) actions: Option<Vec<NamedAction>>,
    pub(super) types: Types,
    /// A warning for each parameter that is not known.
    pub(super) warnings: Vec<String>,
}

impl Endpoint {
    /// Reads what a listener asks for. `seen` are the queues that it may see; `None` for all.
    ///
    /// # Errors
    ///
    /// The error for a parameter whose value is not allowed.
    pub(super) fn asked(&self, pairs: &Pairs, seen: Option<&[String]>) -> Result<Asked, AciError> {
        validate(&SPEC, &[COMMON], pairs, self.limits().strict)?;
        Ok(Asked {
            queues: self.asked_queues(pairs, seen)?,
            actions: self.asked_actions(pairs)?,
            types: types(pairs)?,
            warnings: unknown(pairs),
        })
    }

    fn asked_queues(
        &self,
        pairs: &Pairs,
        seen: Option<&[String]>,
    ) -> Result<Option<Vec<String>>, AciError> {
        let find = |name: &str| {
            self.queue(name).map(|served| served.queue.name().to_owned()).ok_or_else(|| {
                let all = || queues::names(self).map(str::to_owned).collect();
                no_such(QUEUE, name, &seen.map_or_else(all, <[String]>::to_vec))
            })
        };
        // Each once, however often it is named: they are kept for as long as somebody listens.
        let names: BTreeSet<_> = all(pairs, QUEUE).map(find).collect::<Result<_, _>>()?;
        Ok((!names.is_empty()).then(|| names.into_iter().collect()))
    }

    fn asked_actions(&self, pairs: &Pairs) -> Result<Option<Vec<NamedAction>>, AciError> {
        let find = |text: &str| {
            let token = Token::parse(text).ok();
            let found = token.and_then(|token| {
                let served = self.queues().iter().find(|served| served.upper == token.queue)?;
                let queue = served.queue.name().to_owned();
                Some(NamedAction { queue, id: token.id, queued_ms: token.queued_ms })
            });
            found.ok_or_else(|| AciError::invalid(TOKEN, text, &ParamKind::Token.allowed()))
        };
        let actions: Vec<_> = all(pairs, TOKEN).map(find).collect::<Result<_, _>>()?;
        Ok((!actions.is_empty()).then_some(actions))
    }
}

/// Goes through the items of all values under this name.
fn all<'a>(pairs: &'a Pairs, name: &'a str) -> impl Iterator<Item = &'a str> {
    let is = move |known: &str| known.eq_ignore_ascii_case(name);
    pairs.iter().filter(move |(known, _)| is(known)).flat_map(|(_, value)| match value {
        PairValue::Text(text) => list(text),
        PairValue::Bytes(_) => list(""),
    })
}

fn types(pairs: &Pairs) -> Result<Types, AciError> {
    let named = all(pairs, TYPES).try_fold(Types::NONE, Types::with);
    let named = named.map_err(|word| {
        AciError::invalid(TYPES, word, &ParamKind::ListOf(EventType::NAMES).allowed())
    })?;
    Ok(if named == Types::NONE { Types::USUAL } else { named })
}

/// Returns a warning for each parameter that is not known: one that is misspelt was meant to leave something out.
fn unknown(pairs: &Pairs) -> Vec<String> {
    let known = || SPEC.params.iter().chain(COMMON).map(|param| &*param.name);
    let is_unknown = |name: &str| !known().any(|known| known.eq_ignore_ascii_case(name));
    let names = pairs.iter().map(|(name, _)| name).filter(|name| is_unknown(name));
    let warning = |name: &str| {
        let meant = nearest(name, known()).map(|near| format!("; is {near} meant?"));
        let name = shorten(name).replace(char::is_control, " ");
        format!("the parameter '{name}' is not known{}", meant.unwrap_or_default())
    };
    names.take(MAX_WARNINGS).map(warning).collect()
}

/// Number of parameters that are not known of which a listener is told.
const MAX_WARNINGS: usize = 5;
