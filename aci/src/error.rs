//! The error of a reply: number, code, a short text and a longer one.
//!
//! Clients show either of the two texts alone (observed), so each makes sense by itself. The short one is the same for all
//! errors of a kind, so that clients can group by it: it has no name, value or token. [`super::response`] puts an error into
//! a reply.

use super::words::{first, shorten};

/// Number of letters and digits of the action's name that an error id repeats.
const ACTION_IN_ID: usize = 40;

/// An ACI error. It is sent with HTTP status 200, or clients would not read it (observed).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{description}")]
pub struct AciError {
    /// The number at the end of the error id: 501 and 502 are real servers' (observed), the rest is our choice.
    pub number: u16,
    /// The constant by which programs tell errors apart, `ERRORPARAMMISSING` for example.
    pub code: &'static str,
    /// The short text: the same for all errors of one kind; never empty.
    pub string: &'static str,
    /// The longer text, which says what is wrong with this request; never empty.
    pub description: String,
    /// The text for the log in place of the longer text, where a client may not see all of it: paths of the server's disk. It
    /// is never sent.
    pub logged: Option<String>,
    /// Number of seconds after which the same request may succeed, if it may: HTTP has a header for that.
    pub retry_after: Option<u32>,
}

impl AciError {
    fn new(
        number: u16,
        code: &'static str,
        string: &'static str,
        description: impl Into<String>,
    ) -> Self {
        let description = description.into();
        Self { number, code, string, description, logged: None, retry_after: None }
    }

    /// There is no action of this name (number 1, texts as a real server has them).
    #[must_use]
    pub fn unknown_action(name: &str) -> Self {
        let name = shorten(name);
        let description = format!(
            "The requested action was not recognised: '{name}'. action=Help lists the actions."
        );
        Self::new(1, "ERRORNOTIMPLEMENTED", "ERROR", description)
    }

    /// Adds the known name that may be meant by the unknown one, if one is near to it.
    #[must_use]
    pub fn meant(mut self, nearest: Option<&str>) -> Self {
        if let Some(nearest) = nearest {
            self.description.push_str(&format!(" Is {nearest} meant?"));
        }
        self
    }

    /// A parameter that must be given was not (501); `allowed` says what it may be.
    #[must_use]
    pub fn missing(parameter: &str, allowed: &str) -> Self {
        let parameter = shorten(parameter);
        Self::new(
            501,
            "ERRORPARAMMISSING",
            "Missing required parameter",
            format!("The parameter {parameter} is required and was not given. Allowed: {allowed}."),
        )
    }

    /// A parameter has a value that it may not have (502); `allowed` says what it may be.
    #[must_use]
    pub fn invalid(parameter: &str, value: &str, allowed: &str) -> Self {
        let (parameter, value) = (shorten(parameter), shorten(value));
        Self::bad(
            "Invalid parameter value",
            format!("The parameter {parameter} has the value '{value}'. Allowed: {allowed}."),
        )
    }

    /// The request is a legal one, but not for the action with this token in its present state (502); `why` names the
    /// state and what to do instead.
    #[must_use]
    pub fn refused(token: &str, why: &str) -> Self {
        Self::bad(
            "Not possible in the present state",
            format!("Not possible for the action with the token {}: {why}.", shorten(token)),
        )
    }

    /// The queue takes no such action (502); `why` says why not.
    #[must_use]
    pub fn not_taken(queue: &str, why: &str) -> Self {
        Self::bad("Not taken", format!("{} takes no such action: {why}.", shorten(queue)))
    }

    /// A parameter that the action does not have, where `refuser` refuses such (502); `nearest` is a known name like it.
    #[must_use]
    pub fn unknown_parameter(name: &str, refuser: &str, nearest: Option<&str>) -> Self {
        let name = shorten(name);
        Self::bad(
            "Unknown parameter",
            format!("The action has no parameter '{name}', and {refuser} refuses unknown ones."),
        )
        .meant(nearest)
    }

    /// A parameter whose name begins as only those do that the server gives itself (502).
    #[must_use]
    pub fn reserved(name: &str, prefix: &str) -> Self {
        Self::bad(
            "A parameter is reserved for the server",
            format!(
                "The parameter {} can't be sent: names that begin with {prefix} are the server's own.",
                shorten(name)
            ),
        )
    }

    /// The request is not built as its kind of request must be (502); `why` is a sentence.
    #[must_use]
    pub fn malformed(why: &str) -> Self {
        Self::bad("The request cannot be read", format!("The request cannot be read: {why}"))
    }

    /// The request needs something of HTTP that is not there (502); `allowed` says what is.
    #[must_use]
    pub fn unsupported(what: &str, value: &str, allowed: &str) -> Self {
        Self::bad(
            "Not supported",
            format!("The {what} '{}' is not supported. Allowed: {allowed}.", shorten(value)),
        )
    }

    /// The queue holds as many queued actions as it may (503), and may have room for another after so many seconds.
    #[must_use]
    pub fn queue_full(queue: &str, limit: u64, retry_after: u32) -> Self {
        let (queue, actions) = (shorten(queue), if limit == 1 { "action" } else { "actions" });
        Self::new(
            503,
            "ERRORQUEUEFULL",
            "Action queue is full",
            format!(
                "The queue {queue} already holds {limit} queued {actions} (MaxQueueSize). Send the action again later."
            ),
        )
        .after(retry_after)
    }

    /// The client may not do what it asked for (504); `why` is a sentence.
    #[must_use]
    pub fn permission(why: &str) -> Self {
        Self::new(504, "ERRORPERMISSION", "Permission denied", format!("Permission denied: {why}"))
    }

    /// Returns true if it is [`AciError::missing`].
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.code == "ERRORPARAMMISSING"
    }

    /// Returns true if it is [`AciError::permission`].
    #[must_use]
    pub fn is_permission(&self) -> bool {
        self.code == "ERRORPERMISSION"
    }

    /// Something in the request is larger than it may be (505); `what` names it, and the setting that limits it.
    #[must_use]
    pub fn too_large(what: &str, size: u64, limit: u64) -> Self {
        Self::new(
            505,
            "ERRORREQUESTTOOLARGE",
            "Request too large",
            format!("The request is too large: {what}. It is {size}, at most {limit} is allowed."),
        )
    }

    /// An action that was run at once ended in an error (510); `text` is what it said, of which 5,000 characters are shown.
    #[must_use]
    pub fn failed(action: &str, text: &str) -> Self {
        let action = shorten(action);
        let shown = first(text, 5_000).unwrap_or(text);
        Self::new(
            510,
            "ERRORACTIONFAILED",
            "The action failed",
            format!("The action {action} was run and ended in an error: {shown}"),
        )
    }

    /// The server cannot answer this now, but may later (506): the store or a queue is down, or the server is ending.
    #[must_use]
    pub fn unavailable(text: &str) -> Self {
        Self::new(
            506,
            "ERRORUNAVAILABLE",
            "Not available now",
            format!("Not available now: {}.", text.trim_end_matches('.')),
        )
        .after(1)
    }

    /// The action with this token is not the worker's who speaks of it, or not any more (507); `why` says what became of it.
    #[must_use]
    pub fn work_lost(token: &str, why: &str) -> Self {
        Self::new(
            507,
            "ERRORWORKLOST",
            "The work is not yours any more",
            format!(
                "The action with the token {} is not yours any more: {why}. Nothing was changed; drop what you have of it.",
                shorten(token)
            ),
        )
    }

    /// The server broke one of its own rules (500).
    #[must_use]
    pub fn internal(text: &str) -> Self {
        Self::new(500, "ERRORINTERNAL", "Internal error", format!("Internal error: {text}"))
    }

    const fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Sets a text for the log that says more than the client is told.
    #[must_use]
    pub fn logged(mut self, text: impl Into<String>) -> Self {
        self.logged = Some(text.into());
        self
    }

    /// Returns the text for the log.
    #[must_use]
    pub fn log_text(&self) -> &str {
        self.logged.as_deref().unwrap_or(&self.description)
    }

    fn bad(string: &'static str, description: impl Into<String>) -> Self {
        Self::new(502, "ERRORPARAMINVALID", string, description)
    }

    /// Returns the error id: `ACTIOND`, the action's name in upper case, the number (the form is observed).
    #[must_use]
    pub fn error_id(&self, action: &str) -> String {
        let letters = action.chars().filter(char::is_ascii_alphanumeric).take(ACTION_IN_ID);
        let action: String = letters.map(|c| c.to_ascii_uppercase()).collect();
        format!("ACTIOND{action}{}", self.number)
    }

    /// Returns the raw error id: the number as `0x` and upper-case hexadecimal digits (observed).
    #[must_use]
    pub fn raw_id(&self) -> String {
        format!("0x{:X}", self.number)
    }
}

#[cfg(test)]
mod tests;
