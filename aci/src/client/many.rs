//! Commands to many actions at once. Servers other than actiond do not know them.

use super::commands::About;
use super::tree::{child, children, first, is, text_of, value};
use super::{Client, ClientError, Fault, Status};
use crate::element::Element;
use crate::queue_info::DELETE;

/// Time in seconds after which the server is to say how far it is: less than a request may take.
const STEP_SECS: &str = "5";

/// A command that can be given to many actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManyCommand {
    /// Cancel what is queued.
    Cancel,
    /// Ask what runs to stop; a second time forces it.
    Stop,
    /// Give what is queued this priority.
    ChangePriority(i32),
    /// Start the next attempt at once.
    Retry,
    /// Delete what has ended.
    Delete,
}

impl ManyCommand {
    const fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Stop => "stop",
            Self::ChangePriority(_) => "changePriority",
            Self::Retry => "retry",
            Self::Delete => DELETE,
        }
    }
}

/// The actions that a command is for.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// Those of these tokens.
    Tokens(&'a [String]),
    /// All of a queue that these parameters of `getStatus` select; without any the whole queue.
    All {
        /// The queue.
        queue: &'a str,
        /// The parameters.
        filters: &'a [(String, String)],
    },
}

/// The outcome of a command to many actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commanded {
    /// Number of actions that have accepted it.
    pub done: u64,
    /// Number of those that have not.
    pub refused: u64,
    /// The reasons of those, each with its number.
    pub reasons: Vec<Reason>,
}

/// A reason for which some actions have refused a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Number of actions.
    pub count: u64,
    /// The state in which they were, if that is the reason.
    pub status: Option<Status>,
    /// The reason in words.
    pub text: String,
}

impl Reason {
    fn read(reason: &Element) -> Self {
        let told = children(reason);
        let status = child(reason, "status").map(|status| Status::read(text_of(status).trim()));
        let text = child(reason, "text").map(text_of).unwrap_or_default().to_owned();
        Self { count: value(told, "count").unwrap_or(1), status, text }
    }
}

impl Client {
    /// Gives a command to many actions. It goes on until all have it; then what was refused at the end is told.
    ///
    /// # Errors
    /// [`ClientError`]: some of them may have it. [`Fault::Lacks`] if the server does not know commands to many;
    /// [`Fault::Incomplete`] if it can't go on now.
    pub async fn command_many(
        &self,
        command: ManyCommand,
        selection: Selection<'_>,
    ) -> Result<Commanded, ClientError> {
        let (mut parameters, about) = match selection {
            Selection::Tokens(tokens) => (vec![("Tokens", tokens.join(","))], About::Parameters),
            Selection::All { queue, filters } => {
                let filters = filters.iter().map(|(name, value)| (name.as_str(), value.clone()));
                let all = std::iter::once(("All", "true".to_owned()));
                (all.chain(filters).collect(), About::Queue(queue))
            }
        };
        if let ManyCommand::ChangePriority(priority) = command {
            parameters.push(("Priority", priority.to_string()));
        }
        // Beyond a limit of its own a command must not be sent again.
        let is_limited = parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case("MaxResults"));
        if !is_limited {
            parameters.push(("Wait", STEP_SECS.to_owned()));
        }
        let mut all = Commanded::default();
        loop {
            let reply = self.ask(command.word(), &about, parameters.clone()).await?;
            let number = |name| value::<u64>(&reply.data, name);
            let lacks = || self.error(Fault::Lacks("the number of actions that were reached"));
            let done = number("done").ok_or_else(lacks)?;
            all.done = all.done.saturating_add(done);
            all.refused = number("refused").unwrap_or_default();
            let reasons = first(&reply.data, "reasons").map(children).unwrap_or_default();
            let reasons = reasons.iter().filter(|element| is(element, "reason"));
            all.reasons = reasons.map(Reason::read).collect();
            let more = value(&reply.data, "more").unwrap_or(false);
            if is_limited || !more {
                return Ok(all);
            }
            if done == 0 {
                let why = format!("{} actions have the command, and no more get it now", all.done);
                return Err(self.error(Fault::Incomplete(why)));
            }
        }
    }
}
