//! Commands of `QueueInfo` to many actions (our extension): to those that `Tokens` names, or to all that filters select.
//!
//! Whoever lost a parameter on the way must not hit more actions than were meant. So a filter needs `All=true`, and nothing is done
//! if a parameter is misspelt or empty, is not used by the command, or selects what the command is not for. The same holds for
//! commands to a whole queue.

use chrono::TimeZone;

use super::{DELETE, QUEUE_INFO, StateFilter, StatusQuery, is_known, names, parameter};
use crate::catalog::{ParamKind, bad_token, parse_seconds, validate};
use crate::error::AciError;
use crate::request::{PairValue, Pairs};
use crate::token::Token;
use crate::words::{list, nearest, parse_bool};

/// The commands that may be given to many actions.
const TO_MANY: &[&str] = &["cancel", "stop", "changePriority", "retry", DELETE];

/// The commands that are for a whole queue if nothing says which actions are meant.
const TO_QUEUE: &[&str] = &["stop", "pause", "resume"];

/// The time in seconds for which `delete` by filters goes on without `All=true`, unless `Wait` says another: clients wait half a
/// minute for a reply.
const DELETE_SECS: f64 = 20.0;

/// The parameters by which `getStatus` selects actions on every ACI server (source: the page "QueueInfo"). Commands to many take them,
/// too (our extension).
pub const FILTERS: &[&str] = &[
    "State",
    "Min-Priority",
    "Max-Priority",
    "Queued-After",
    "Queued-Before",
    "Started-After",
    "Started-Before",
    "Finished-After",
    "Finished-Before",
];

/// The filter of ours by the text of an error. Those by `ActionID` and by [`PARAMETER`](super::PARAMETER) are apart.
const TEXT: &str = "Text";

/// Goes through the filters and the one of ours.
fn filters() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().copied().chain([TEXT])
}

/// The parameters that are allowed in each command without a token. `Synchronous` never has an effect.
const OF_ALL: &[&str] = &["QueueAction", "QueueName", "ResponseFormat", "Synchronous"];

/// The parameters, beside [`OF_ALL`], that are used by commands to the actions of `Tokens`. `ActionID` is the name of the request.
const OF_TOKENS: &[&str] = &["Tokens", "All", "Wait", "ActionID"];

/// The parameters, beside [`OF_ALL`] and the [`filters`], that are used by commands to all that filters select.
const OF_LISTED: &[&str] =
    &["All", "Wait", "ActionID", "Sort-By", "Sort-Order", "Start", "MaxResults"];

/// The actions that a command is for, where it is for many.
#[derive(Debug, Clone, PartialEq)]
pub struct Many {
    /// The actions.
    pub actions: ManyActions,
    /// Time in seconds after which the reply comes at the latest, with what was done until then; if missing, it comes when all is
    /// done.
    pub wait_secs: Option<f64>,
}

/// The way in which many actions are chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum ManyActions {
    /// The actions of these tokens, at least one. Whether they are in the queue is for the caller to check.
    Tokens(Vec<Token>),
    /// All that the query selects.
    Listed(Box<StatusQuery>),
}

impl Many {
    /// Returns the tokens, if it is them that choose the actions.
    #[must_use]
    pub fn tokens(&self) -> Option<&[Token]> {
        match &self.actions {
            ManyActions::Tokens(tokens) => Some(tokens),
            ManyActions::Listed(_) => None,
        }
    }
}

/// Reads for which actions a command is that has this word, if it is for many.
pub(super) fn many(
    pairs: &Pairs,
    word: &str,
    has_token: bool,
    now_ms: i64,
    tz: &impl TimeZone,
) -> Result<Option<Many>, AciError> {
    let tokens = pairs.get("Tokens");
    if !TO_MANY.contains(&word) {
        // It would be for the whole queue.
        return match tokens {
            Some(text) => {
                let allowed = format!("none with {word}: it is for {}", TO_MANY.join(", "));
                Err(AciError::invalid("Tokens", text, &allowed))
            }
            None if !has_token && TO_QUEUE.contains(&word) => {
                check_used(pairs, word, QUEUE, |_| false).map(|()| None)
            }
            None => Ok(None),
        };
    }
    let all = pairs.given("All").and_then(parse_bool).unwrap_or(false);
    let filter = given_filter(pairs, has_token);
    let wait_secs = pairs.given("Wait").and_then(parse_seconds);
    let refused = |name: &str, value: &str, with: &str| {
        let allowed = format!(
            "none with {with}: {word} is for one action, for those of Tokens, or for those that filters select"
        );
        Err(AciError::invalid(name, value, &allowed))
    };
    if word == DELETE || all || tokens.is_some() {
        check_all(pairs, word)?;
    }
    if let Some(text) = tokens {
        return match filter {
            Some((name, value)) => refused(name, value, "Tokens"),
            None if has_token => refused("Tokens", text, "Token"),
            None if all => refused("All", "true", "Tokens"),
            None => {
                check_used(pairs, word, MANY, |name| is_one_of(name, OF_TOKENS))?;
                let actions = ManyActions::Tokens(read_tokens(text)?);
                Ok(Some(Many { actions, wait_secs }))
            }
        };
    }
    match filter {
        Some((name, value)) if has_token && (all || word == DELETE) => {
            return refused(name, value, "Token");
        }
        _ if has_token && all => return refused("All", "true", "Token"),
        _ if has_token => return Ok(None),
        Some((name, _)) if !all && word != DELETE => {
            let allowed =
                format!("true, for {word} of all actions that {name} and other filters select");
            return Err(AciError::missing("All", &allowed));
        }
        None if !all && word == DELETE => {
            let allowed = format!(
                "for {DELETE}, {}, or a filter in its place; State=finished for all that have ended",
                ParamKind::Token.allowed()
            );
            return Err(AciError::missing("Token", &allowed));
        }
        None if !all => {
            // Those that are not for a whole queue will miss their token.
            let is_for_queue = TO_QUEUE.contains(&word);
            if is_for_queue {
                check_used(pairs, word, QUEUE, |_| false)?;
            }
            return Ok(None);
        }
        _ => {}
    }
    check_used(pairs, word, MANY, |name| {
        is_one_of(name, OF_LISTED)
            || filters().any(|known| known.eq_ignore_ascii_case(name))
            || parameter(name).is_some()
    })?;
    let query = StatusQuery::parse(pairs, now_ms, tz)?;
    check_states(pairs, word, &query)?;
    let wait_secs = wait_secs.or((!all).then_some(DELETE_SECS));
    Ok(Some(Many { actions: ManyActions::Listed(Box::new(query)), wait_secs }))
}

/// Returns the commands by which a caller could read what the filters of this one compare, if it is for many: the number of
/// actions that it reaches tells that, too.
#[must_use]
pub fn reveals(pairs: &Pairs) -> &'static [&'static str] {
    let word = pairs.given("QueueAction").unwrap_or_default();
    let is_to_many = is_one_of(word, TO_MANY);
    // With tokens, `ActionID` is only the name of the request, and filters are refused.
    if !is_to_many || pairs.given("Token").is_some() || pairs.given("Tokens").is_some() {
        return &[];
    }
    if pairs.iter().any(|(name, _)| parameter(name).is_some()) {
        return &["getStatus", "getActionParameters"];
    }
    let compares = [TEXT, "ActionID"].into_iter().any(|name| pairs.given(name).is_some());
    if compares { &["getStatus"] } else { &[] }
}

/// Returns the first parameter that selects actions. With a token, `ActionID` is only the name of the request.
fn given_filter(pairs: &Pairs, has_token: bool) -> Option<(&str, &str)> {
    let named = filters().find_map(|name| Some((name, pairs.given(name)?)));
    let by_id = || pairs.given("ActionID").map(|value| ("ActionID", value));
    let by_parameter = || {
        let name = pairs.iter().map(|(name, _)| name).find(|name| parameter(name).is_some());
        name.map(|name| (name, pairs.get(name).unwrap_or_default()))
    };
    let is_delete =
        pairs.given("QueueAction").is_some_and(|word| word.eq_ignore_ascii_case(DELETE));
    let is_filter = !has_token && (is_delete || pairs.get("Tokens").is_none());
    named.or_else(by_parameter).or_else(|| by_id().filter(|_| is_filter))
}

fn read_tokens(text: &str) -> Result<Vec<Token>, AciError> {
    if let Some(error) = bad_token("Tokens", text) {
        return Err(error);
    }
    let tokens: Vec<Token> = list(text).filter_map(|word| Token::parse(word).ok()).collect();
    match tokens.is_empty() {
        true => Err(AciError::invalid("Tokens", text, &ParamKind::Tokens.allowed())),
        false => Ok(tokens),
    }
}

/// The targets of commands, as errors name them.
const QUEUE: &str = "a whole queue";
const MANY: &str = "many actions";

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Refuses each parameter that a command without a token does not use, beside [`OF_ALL`]: it may have been meant to leave actions
/// out.
fn check_used(
    pairs: &Pairs,
    word: &str,
    whom: &str,
    is_used: impl Fn(&str) -> bool,
) -> Result<(), AciError> {
    let is_used = |name: &str| {
        is_one_of(name, OF_ALL)
            || is_used(name)
            || (word == "changePriority" && name.eq_ignore_ascii_case("Priority"))
    };
    let Some((name, value)) = pairs.iter().find(|(name, _)| !is_used(name)) else { return Ok(()) };
    if !is_known(name) {
        let refuser = format!("{word} of {whom}");
        return Err(AciError::unknown_parameter(name, &refuser, nearest(name, names())));
    }
    let value = match value {
        PairValue::Text(text) => text,
        PairValue::Bytes(_) => "(bytes)",
    };
    let is_filter = name.eq_ignore_ascii_case("Priority") && whom == MANY;
    let error = AciError::invalid(name, value, &format!("none with {word} of {whom}"));
    Err(error.meant(is_filter.then_some("Min-Priority")))
}

/// Refuses what may have been meant to leave actions out.
fn check_all(pairs: &Pairs, word: &str) -> Result<(), AciError> {
    validate(&QUEUE_INFO, QUEUE_INFO.common(), pairs, false)?;
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !is_known(name)) {
        let refuser = format!("QueueAction={word}");
        return Err(AciError::unknown_parameter(name, &refuser, nearest(name, names())));
    }
    if let Some((name, _)) = pairs.iter().find(|(name, _)| pairs.given(name).is_none()) {
        let allowed = format!("for {word}, a value for each parameter that is sent");
        return Err(AciError::invalid(name, "", &allowed));
    }
    Ok(())
}

fn check_states(pairs: &Pairs, word: &str, query: &StatusQuery) -> Result<(), AciError> {
    if let Some(text) = pairs.given("State").filter(|_| query.states.is_none()) {
        let allowed = format!("for {word}, at least one word");
        return Err(AciError::invalid("State", text, &allowed));
    }
    let ends = |state: &StateFilter| {
        state.statuses().iter().all(|word| StateFilter::Finished.statuses().contains(word))
    };
    if word == DELETE && query.states.iter().flatten().any(|state| !ends(state)) {
        let words = StateFilter::ALL.into_iter().zip(StateFilter::WORDS);
        let words: Vec<&str> = words.filter(|(s, _)| ends(s)).map(|(_, word)| *word).collect();
        let allowed = format!("for {DELETE}, a list of {}", words.join(", "));
        return Err(AciError::invalid("State", pairs.given("State").unwrap_or_default(), &allowed));
    }
    Ok(())
}
