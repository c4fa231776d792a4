//! The commands of the action `QueueInfo`, read from its parameters.
//!
//! Source: the pages "QueueInfo" and "Use Asynchronous Actions". The effect of a command on an action in a given state is not
//! decided here; the parameters and their values are in [`super::catalog`].

use chrono::TimeZone;

use super::catalog::builtin::{PRIORITY, QUEUE_INFO};
use super::catalog::{ParamKind, parse_integer, parse_seconds, validate, without_effect};
use super::error::AciError;
use super::request::{PairValue, Pairs};
use super::time::parse_filter;
use super::token::Token;
use super::words::{list, parse_bool};

mod many;

pub use many::{FILTERS, Many, ManyActions, reveals};

/// The values of the parameter `QueueAction`, spelled as the documentation spells them.
pub const QUEUE_ACTIONS: &[&str] = &[
    "getStatus",
    "getActionParameters",
    "queueStatus",
    "progress",
    "cancel",
    "stop",
    "pause",
    "resume",
    "changePriority",
    "duplicate",
    "retry",
    DELETE,
];

/// The command that deletes actions. It needs another role than the others: see [`QUEUE_INFO`].
pub const DELETE: &str = "delete";

/// A `QueueInfo` request.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueInfo {
    /// The queue as the client spelled it; if it is missing there is a token, which names one.
    pub queue: Option<String>,
    /// The one action that is meant. Whether it is in the queue is for the caller to check.
    pub token: Option<Token>,
    /// The many actions that are meant, instead.
    pub many: Option<Many>,
    /// The command.
    pub command: QueueCommand,
    /// A warning for the reply: parameters of a list that select nothing.
    pub warning: Option<String>,
}

/// The command of a `QueueInfo` request. `Progress` and `Duplicate` always have a token; `Cancel`, `ChangePriority`, `Retry` and
/// `Delete` have one, or are for [many](Many).
#[derive(Debug, Clone, PartialEq)]
pub enum QueueCommand {
    /// Show status and results of one action, or of those that the query selects.
    GetStatus(Box<StatusQuery>),
    /// Show the parameters of one action, or of all that have not ended.
    GetActionParameters {
        /// True to show them of what has ended, too (our extension).
        of_ended: bool,
    },
    /// Show if the queue is paused, and its number of actions in each group of states.
    QueueStatus {
        /// True to add what its last hour was like (our extension).
        statistics: bool,
    },
    /// Show the progress of an action.
    Progress {
        /// True to show finished and pending stages in full.
        all_stages: bool,
        /// Levels of stages to show; all if missing.
        max_depth: Option<u32>,
    },
    /// Remove an action that has not started.
    Cancel,
    /// Ask an action to stop, or many; without any, all that run.
    Stop,
    /// Pause an action, or the queue.
    Pause,
    /// Resume an action, or the queue.
    Resume,
    /// Give a queued action another priority.
    ChangePriority {
        /// The new priority; higher ones start first.
        priority: i32,
    },
    /// Queue a copy of an action.
    Duplicate,
    /// Start the next attempt at an action at once, also at one that has ended in an error.
    Retry,
    /// Delete an action that has ended, or many (our extension).
    Delete,
}

/// The selection and the order of the actions that `getStatus` shows.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusQuery {
    /// Only actions in one of these states; all if missing.
    pub states: Option<Vec<StateFilter>>,
    /// Only actions of this priority or a higher one.
    pub min_priority: Option<i32>,
    /// Only actions of this priority or a lower one.
    pub max_priority: Option<i32>,
    /// Only actions queued in this range.
    pub queued: TimeRange,
    /// Only actions that began to run in this range.
    pub started: TimeRange,
    /// Only actions that ended in this range.
    pub finished: TimeRange,
    /// Only actions that were given all of these parameters, each with exactly this value (our extension).
    pub parameters: Vec<(String, String)>,
    /// Only actions that were sent under this `ActionID` (our extension).
    pub action_id: Option<String>,
    /// Only actions whose error has this text in it (our extension).
    pub text: Option<String>,
    /// The sort key; the time of queuing by default.
    pub sort_by: SortBy,
    /// True for the latest first, as by default.
    pub descending: bool,
    /// The position of the first action to show, from 1.
    pub start: u64,
    /// The action after which the list begins (our extension). Whether it is in the queue is for the caller to check.
    pub after: Option<Token>,
    /// Largest number of actions to show; all if missing.
    pub max_results: Option<u64>,
    /// Time to wait for the action, 0 to 3600 seconds.
    pub wait_secs: Option<f64>,
    /// The state of the action that `Wait` waits for.
    pub wait_for: WaitFor,
    /// True to show each attempt at an action that is named by its token.
    pub history: bool,
    /// True to show the last lines that running actions have logged (our extension).
    pub log: bool,
    /// True to show what actions have returned; false is our extension.
    pub results: bool,
}

impl Default for StatusQuery {
    fn default() -> Self {
        Self {
            states: None,
            min_priority: None,
            max_priority: None,
            queued: TimeRange::default(),
            started: TimeRange::default(),
            finished: TimeRange::default(),
            parameters: Vec::new(),
            action_id: None,
            text: None,
            sort_by: SortBy::QueueTime,
            descending: true,
            start: 1,
            after: None,
            max_results: None,
            wait_secs: None,
            wait_for: WaitFor::End,
            history: false,
            log: false,
            results: true,
        }
    }
}

/// The sort key of a list of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// The time at which they were queued.
    QueueTime,
    /// The time at which they began to run.
    StartTime,
    /// The time at which they ended.
    FinishTime,
}

/// The state that a request with `Wait` waits for (our extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitFor {
    /// The action no longer waits in its queue.
    Start,
    /// The action's state, progress or partial result is another than when the request came.
    Change,
    /// The action has ended.
    #[default]
    End,
}

impl WaitFor {
    /// The words of the parameter `WaitFor`.
    pub const WORDS: &'static [&'static str] = &["start", "change", "end"];

    /// Reads a word, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let mut words = Self::WORDS.iter().zip([Self::Start, Self::Change, Self::End]);
        words.find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, what)| what)
    }
}

/// One word of the parameter `State`: a group of states, or a single one (our extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFilter {
    /// Waiting for a slot.
    Queued,
    /// Group: `Processing`, `Paused` and `Stopping`.
    Running,
    /// Group: `Finished`, `Error`, `Cancelled` and `Stopped`.
    Finished,
    /// Has a slot and runs.
    Processing,
    /// Has a slot and does not run.
    Paused,
    /// Asked to stop and has not ended.
    Stopping,
    /// Ended in an error.
    Error,
    /// Ended before it began.
    Cancelled,
    /// Ended because it was asked to.
    Stopped,
}

impl StateFilter {
    const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Finished,
        Self::Processing,
        Self::Paused,
        Self::Stopping,
        Self::Error,
        Self::Cancelled,
        Self::Stopped,
    ];

    /// The words of the parameter `State`.
    pub const WORDS: &'static [&'static str] = &[
        "queued",
        "running",
        "finished",
        "processing",
        "paused",
        "stopping",
        "error",
        "cancelled",
        "stopped",
    ];

    /// Reads one word, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let mut words = Self::WORDS.iter().zip(Self::ALL);
        words.find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, state)| state)
    }

    /// Returns the wire words of the states that it selects.
    #[must_use]
    pub const fn statuses(self) -> &'static [&'static str] {
        match self {
            Self::Queued => &["Queued"],
            Self::Running => &["Processing", "Paused", "Stopping"],
            Self::Finished => &["Finished", "Error", "Cancelled", "Stopped"],
            Self::Processing => &["Processing"],
            Self::Paused => &["Paused"],
            Self::Stopping => &["Stopping"],
            Self::Error => &["Error"],
            Self::Cancelled => &["Cancelled"],
            Self::Stopped => &["Stopped"],
        }
    }
}

/// A range of times in milliseconds since 1970.
///
/// Replies show whole seconds, so a filter means them too: an action that is shown with the very second of a filter is
/// neither before nor after it (our choice).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first millisecond of the range.
    pub from_ms: Option<i64>,
    /// The first millisecond after the range.
    pub until_ms: Option<i64>,
}

impl QueueInfo {
    /// Reads the parameters of a `QueueInfo` request. `now_ms` and `tz` are for filters that leave out date or zone.
    ///
    /// An empty value counts as not given. Parameters that are not known are ignored; call [`validate`] before, with
    /// [`QUEUE_INFO`], to refuse them, and then [`QueueInfo::parse_validated`].
    ///
    /// # Errors
    /// The ACI error to send back, if a parameter is missing or has a value that it may not have.
    pub fn parse(pairs: &Pairs, now_ms: i64, tz: &impl TimeZone) -> Result<Self, AciError> {
        validate(&QUEUE_INFO, QUEUE_INFO.common(), pairs, false)?;
        Self::parse_validated(pairs, now_ms, tz)
    }

    /// Reads parameters as [`QueueInfo::parse`] does, once [`validate`] has accepted them with [`QUEUE_INFO`]. Validation
    /// decodes the token among others, so a server that polls reach should not do it twice.
    ///
    /// Of parameters that were not validated, some wrong values count as not given.
    ///
    /// # Errors
    /// The ACI error to send back, if a command lacks a parameter that it needs, or a time can't be read.
    pub fn parse_validated(
        pairs: &Pairs,
        now_ms: i64,
        tz: &impl TimeZone,
    ) -> Result<Self, AciError> {
        let queue = pairs.given("QueueName").map(ToOwned::to_owned);
        let token = match pairs.given("Token") {
            Some(text) => Some(
                Token::parse(text)
                    .map_err(|_| AciError::invalid("Token", text, &ParamKind::Token.allowed()))?,
            ),
            None => None,
        };
        let word = pairs.given("QueueAction").unwrap_or_default();
        let word = QUEUE_ACTIONS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(word))
            .copied()
            .unwrap_or_default();
        let command = match word {
            "getStatus" => {
                QueueCommand::GetStatus(Box::new(StatusQuery::parse(pairs, now_ms, tz)?))
            }
            "getActionParameters" => {
                QueueCommand::GetActionParameters { of_ended: is_true(pairs, "Final") }
            }
            "queueStatus" => QueueCommand::QueueStatus { statistics: is_true(pairs, "Statistics") },
            "progress" => QueueCommand::Progress {
                all_stages: is_true(pairs, "AllStages"),
                max_depth: number(pairs, "MaxDepth"),
            },
            "cancel" => QueueCommand::Cancel,
            "stop" => QueueCommand::Stop,
            "pause" => QueueCommand::Pause,
            "resume" => QueueCommand::Resume,
            "changePriority" => QueueCommand::ChangePriority {
                priority: number(pairs, "Priority")
                    .ok_or_else(|| AciError::missing("Priority", &PRIORITY.allowed()))?,
            },
            "duplicate" => QueueCommand::Duplicate,
            "retry" => QueueCommand::Retry,
            DELETE => QueueCommand::Delete,
            _ => return Err(AciError::missing("QueueAction", &QUEUE_ACTIONS.join(", "))),
        };
        let many = many::many(pairs, word, token.is_some(), now_ms, tz)?;
        let needs_actions = matches!(
            command,
            QueueCommand::Progress { .. }
                | QueueCommand::Cancel
                | QueueCommand::ChangePriority { .. }
                | QueueCommand::Duplicate
                | QueueCommand::Retry
        );
        if needs_actions && token.is_none() && many.is_none() {
            let one = format!("for {word}, {}", ParamKind::Token.allowed());
            let allowed = match command {
                QueueCommand::Progress { .. } | QueueCommand::Duplicate => one,
                _ => format!("{one}; or Tokens, or All=true with filters"),
            };
            return Err(AciError::missing("Token", &allowed));
        }
        let has_tokens = many.as_ref().is_some_and(|many| many.tokens().is_some());
        if queue.is_none() && token.is_none() && !has_tokens {
            let allowed = format!("{}; without it, a token", ParamKind::Queue.allowed());
            return Err(AciError::missing("QueueName", &allowed));
        }
        let is_list = matches!(command, QueueCommand::GetStatus(_)) && token.is_none();
        let warning = if is_list { warning(pairs) } else { None };
        Ok(Self { queue, token, many, command, warning })
    }

    /// Returns the name of the queue that is meant: the one that was named, else that of the token. Of many tokens without a name
    /// beside them, each names its own.
    #[must_use]
    pub fn queue_name(&self) -> &str {
        let of_token = self.token.as_ref().map(|token| token.queue.as_str());
        self.queue.as_deref().or(of_token).unwrap_or_default()
    }
}

impl StatusQuery {
    /// Reads the parameters of `getStatus`, whose values have been checked but for the times.
    fn parse(pairs: &Pairs, now_ms: i64, tz: &impl TimeZone) -> Result<Self, AciError> {
        let second = |name: &str| match pairs.given(name) {
            Some(text) => parse_filter(text, now_ms, tz)
                .map(Some)
                .map_err(|allowed| AciError::invalid(name, text, &allowed)),
            None => Ok(None),
        };
        let range = |after: &str, before: &str| {
            Ok::<_, AciError>(TimeRange {
                from_ms: second(after)?.map(|second| second.saturating_add(1).saturating_mul(1000)),
                until_ms: second(before)?.map(|second| second.saturating_mul(1000)),
            })
        };
        let is = |name: &str, word: &str| {
            pairs.given(name).is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        let words = pairs.given("State").unwrap_or_default();
        // Each state once, however often it was sent, so that a long request makes a short query.
        let sent =
            |state: &StateFilter| list(words).any(|word| StateFilter::parse(word) == Some(*state));
        let states: Vec<_> = StateFilter::ALL.into_iter().filter(sent).collect();
        Ok(Self {
            states: Some(states).filter(|states| !states.is_empty()),
            min_priority: number(pairs, "Min-Priority"),
            max_priority: number(pairs, "Max-Priority"),
            queued: range("Queued-After", "Queued-Before")?,
            started: range("Started-After", "Started-Before")?,
            finished: range("Finished-After", "Finished-Before")?,
            parameters: parameters(pairs)?,
            action_id: pairs.given("ActionID").map(ToOwned::to_owned),
            text: pairs.given("Text").map(ToOwned::to_owned),
            sort_by: if is("Sort-By", "start-time") {
                SortBy::StartTime
            } else if is("Sort-By", "finish-time") {
                SortBy::FinishTime
            } else {
                SortBy::QueueTime
            },
            descending: !is("Sort-Order", "ascending"),
            start: number(pairs, "Start").unwrap_or(1),
            after: pairs.given("After").and_then(|text| Token::parse(text).ok()),
            max_results: number(pairs, "MaxResults"),
            wait_secs: pairs.given("Wait").and_then(parse_seconds),
            wait_for: pairs.given("WaitFor").and_then(WaitFor::parse).unwrap_or_default(),
            history: is_true(pairs, "History"),
            log: is_true(pairs, "Log"),
            results: pairs.given("Results").and_then(parse_bool).unwrap_or(true),
        })
    }
}

/// The beginning of the names of filters by a parameter: the rest of such a name is that of the parameter.
pub const PARAMETER: &str = "Parameter.";

/// Largest number of filters by parameters in one request: each action that is looked at is compared with all of them.
pub const MAX_PARAMETERS: usize = 16;

/// Parameters of `QueueInfo` that `getStatus` does not know: whoever sends one of them expects something else.
const NOT_OF_STATUS: [&str; 5] = ["Priority", "Tokens", "AllStages", "MaxDepth", "Statistics"];

/// Returns the name of the parameter in the name of a filter by one: of `Parameter.Title` it is `Title`.
#[must_use]
pub fn parameter(name: &str) -> Option<&str> {
    let (start, rest) = name.split_at_checked(PARAMETER.len())?;
    (start.eq_ignore_ascii_case(PARAMETER) && !rest.is_empty()).then_some(rest)
}

/// Goes through the names of all parameters of `QueueInfo`.
fn names() -> impl Iterator<Item = &'static str> {
    let all = QUEUE_INFO.params.iter().chain(QUEUE_INFO.common().iter().copied().flatten());
    all.map(|param| &*param.name)
}

fn is_known(name: &str) -> bool {
    parameter(name).is_some() || names().any(|known| known.eq_ignore_ascii_case(name))
}

/// Returns a warning about parameters of a list that select nothing, because there is no filter of their name.
fn warning(pairs: &Pairs) -> Option<String> {
    let is_filter = |name: &str| {
        is_known(name) && !NOT_OF_STATUS.iter().any(|not| not.eq_ignore_ascii_case(name))
    };
    let ignored = pairs.iter().map(|(name, _)| name).filter(|name| !is_filter(name));
    without_effect(ignored, || names().filter(|known| is_filter(known)), "getStatus")
}

/// Reads the filters by parameters. An empty one counts as not given, as any filter does.
fn parameters(pairs: &Pairs) -> Result<Vec<(String, String)>, AciError> {
    let mut read = Vec::new();
    for (name, value) in pairs.iter() {
        let Some(of) = parameter(name) else { continue };
        let PairValue::Text(value) = value else {
            return Err(AciError::invalid(name, "(bytes)", "text"));
        };
        if value.is_empty() {
            continue;
        }
        if read.len() >= MAX_PARAMETERS {
            let allowed = format!("at most {MAX_PARAMETERS} filters by parameters");
            return Err(AciError::invalid(name, value, &allowed));
        }
        read.push((of.to_owned(), value.clone()));
    }
    Ok(read)
}

fn is_true(pairs: &Pairs, name: &str) -> bool {
    pairs.given(name).and_then(parse_bool).unwrap_or(false)
}

/// Reads a number whose range has been checked.
fn number<N: TryFrom<i64>>(pairs: &Pairs, name: &str) -> Option<N> {
    pairs.given(name).and_then(parse_integer).and_then(|number| N::try_from(number).ok())
}

#[cfg(test)]
mod tests;
