//! The commands of the action `QueueWork`, read from its parameters: how workers elsewhere take actions and report.
//!
//! All of it is our choice. What a command does to an action is not decided here; the parameters and their values are in
//! [`super::catalog`].

use super::catalog::builtin::QUEUE_WORK;
use super::catalog::{ParamKind, parse_integer, parse_seconds};
use super::error::AciError;
use super::request::{PairValue, Pairs};
use super::token::Token;
use super::words::{find_word, first, list, parse_bool};

/// The values of the parameter `WorkAction`.
pub const WORK_ACTIONS: &[&str] = &["take", "heartbeat", "finish", "fail", "release"];

/// Largest number of actions that one `take` gets.
pub const MAX_TAKEN: i64 = 100;

/// Largest number of queues that one `take` may name.
pub const MAX_QUEUES: usize = 100;

/// Number of characters of a worker's name, and of a stage's title, that are kept.
const MAX_NAME: usize = 200;

/// A `QueueWork` request.
#[derive(Debug, Clone, PartialEq)]
pub enum QueueWork {
    /// A worker asks for actions.
    Take(Take),
    /// A worker says something of an action that it has.
    Report(WorkReport),
}

/// A request for actions.
#[derive(Debug, Clone, PartialEq)]
pub struct Take {
    /// The names of the queues, as the client spelled them, in its order; each once, at least one. Whether there are such queues is for the
    /// caller to check.
    pub queues: Vec<String>,
    /// The worker's name for itself.
    pub worker: Option<String>,
    /// Largest number of actions, from 1 to [`MAX_TAKEN`].
    pub max: usize,
    /// Time to wait for the first of them, 0 to 3600 seconds.
    pub wait_secs: f64,
}

/// A word of a worker about an action that it has.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkReport {
    /// The action.
    pub token: Token,
    /// The attempt at it.
    pub attempt: u32,
    /// The word.
    pub word: Word,
}

/// The words of a worker about an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// The worker lives and goes on.
    Heartbeat(Heartbeat),
    /// It is done, with this result.
    Finish {
        /// The result, in whatever form.
        result: Option<PairValue>,
    },
    /// It failed.
    Fail {
        /// The error text; empty if none was given.
        error: String,
        /// False if another attempt would only fail again.
        retry: bool,
    },
    /// It was not done, and is given back.
    Release,
}

/// The particulars of a heartbeat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heartbeat {
    /// The worker's name for itself.
    pub worker: Option<String>,
    /// Percent done, from 0 to 100.
    pub progress: Option<f64>,
    /// What is being done.
    pub stage: Option<String>,
    /// The result so far, in whatever form.
    pub partial: Option<PairValue>,
    /// Lines to show with the action.
    pub log: Option<String>,
    /// Time to wait for another wish.
    pub wait_secs: f64,
}

impl QueueWork {
    /// Reads the parameters of a `QueueWork` request, once [`validate`](super::catalog::validate) has accepted them with
    /// [`QUEUE_WORK`]. What is large is taken out of them.
    ///
    /// # Errors
    /// The ACI error to send back, if a command lacks a parameter that it needs, or has a value that it may not have.
    pub fn parse_validated(pairs: &mut Pairs) -> Result<Self, AciError> {
        let given = pairs.given("WorkAction").unwrap_or_default();
        let Some(word) = find_word(WORK_ACTIONS, given) else {
            return Err(AciError::missing("WorkAction", &WORK_ACTIONS.join(", ")));
        };
        let worker = pairs.given("Worker").map(|name| cut(name, MAX_NAME));
        let wait_secs = pairs.given("Wait").and_then(parse_seconds).unwrap_or_default();
        if word == "take" {
            let max = pairs.given("Max").and_then(parse_integer).unwrap_or(1);
            return Ok(Self::Take(Take {
                queues: queues(pairs)?,
                worker,
                max: usize::try_from(max.clamp(1, MAX_TAKEN)).unwrap_or(1),
                wait_secs,
            }));
        }
        let token = needed(pairs, "Token", word)?;
        let token = Token::parse(token)
            .map_err(|_| AciError::invalid("Token", token, &allowed("Token")))?;
        let attempt = needed(pairs, "Attempt", word)?;
        let attempt = parse_integer(attempt)
            .and_then(|attempt| u32::try_from(attempt).ok())
            .ok_or_else(|| AciError::invalid("Attempt", attempt, &allowed("Attempt")))?;
        let word = match word {
            "heartbeat" => Word::Heartbeat(Heartbeat {
                worker,
                progress: progress(pairs)?,
                stage: pairs.given("Stage").map(|title| cut(title, MAX_NAME)),
                partial: pairs.take("Partial"),
                log: pairs.given("Log").map(ToOwned::to_owned),
                wait_secs,
            }),
            "finish" => Word::Finish { result: pairs.take("Result") },
            "fail" => Word::Fail {
                error: text(pairs.take("Error")),
                retry: pairs.given("Retry").and_then(parse_bool).unwrap_or(true),
            },
            _ => Word::Release,
        };
        Ok(Self::Report(WorkReport { token, attempt, word }))
    }
}

/// Returns the names in a list of queues, each once in any case.
pub fn queue_names(list_of_queues: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in list(list_of_queues) {
        if names.len() <= MAX_QUEUES && !names.iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            names.push(name);
        }
    }
    names
}

fn queues(pairs: &Pairs) -> Result<Vec<String>, AciError> {
    let given = needed(pairs, "QueueName", "take")?;
    let names = queue_names(given);
    if names.is_empty() || names.len() > MAX_QUEUES {
        let allowed = format!("from one to {MAX_QUEUES} names of queues, with commas between them");
        return Err(AciError::invalid("QueueName", given, &allowed));
    }
    Ok(names.into_iter().map(ToOwned::to_owned).collect())
}

/// Reads the percentage of a heartbeat.
fn progress(pairs: &Pairs) -> Result<Option<f64>, AciError> {
    let Some(text) = pairs.given("Progress") else { return Ok(None) };
    match parse_seconds(text).filter(|percent| *percent <= 100.0) {
        Some(percent) => Ok(Some(percent)),
        None => Err(AciError::invalid("Progress", text, "a number from 0 to 100, such as 42.5")),
    }
}

/// Returns a parameter that a command needs.
fn needed<'a>(pairs: &'a Pairs, name: &str, word: &str) -> Result<&'a str, AciError> {
    pairs
        .given(name)
        .ok_or_else(|| AciError::missing(name, &format!("for {word}, {}", allowed(name))))
}

/// Returns the words for what a parameter may be.
fn allowed(name: &str) -> String {
    match name {
        "QueueName" => "names of queues with Type=Remote, with commas between them".to_owned(),
        _ => QUEUE_WORK.find(name).map_or(ParamKind::Text, |param| param.kind).allowed(),
    }
}

fn cut(text: &str, characters: usize) -> String {
    first(text, characters).unwrap_or(text).to_owned()
}

/// Returns a value as text; bytes that are no UTF-8 are mended.
fn text(value: Option<PairValue>) -> String {
    match value {
        Some(PairValue::Text(text)) => text.trim().to_owned(),
        Some(PairValue::Bytes(bytes)) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
