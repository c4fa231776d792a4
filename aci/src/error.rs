//! What a reply says when something went wrong: number, code, a short text and a longer one.
//!
//! Clients show either of the two texts alone (observed), so each makes sense by itself. The short one is the same for
//! all errors of a kind, so that clients can group by it: no name, value or token stands in it. How the error is put
//! into a reply: [`super::response`].

use super::words::{first, shorten};

/// Letters and digits of the action's name that an error id repeats.
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
    /// What the log is told in place of the longer text, where a client may not know all of it: paths of the server's disk.
    /// It is never sent.
    pub logged: Option<String>,
}

impl AciError {
    fn new(
        number: u16,
        code: &'static str,
        string: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self { number, code, string, description: description.into(), logged: None }
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

    /// Says which known name may be meant by the one that is unknown, if one is near to it.
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

    /// A parameter that the action does not have, where such are refused (502); `nearest` is a known name like it.
    #[must_use]
    pub fn unknown_parameter(name: &str, nearest: Option<&str>) -> Self {
        let name = shorten(name);
        let hint = nearest.map(|nearest| format!(" Did you mean {nearest}?")).unwrap_or_default();
        Self::bad(
            "Unknown parameter",
            format!(
                "The action has no parameter '{name}', and StrictActionValidation refuses unknown ones.{hint}"
            ),
        )
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

    /// The queue holds as many queued actions as it may (503).
    #[must_use]
    pub fn queue_full(queue: &str, limit: u64) -> Self {
        let (queue, actions) = (shorten(queue), if limit == 1 { "action" } else { "actions" });
        Self::new(
            503,
            "ERRORQUEUEFULL",
            "Action queue is full",
            format!(
                "The queue {queue} already holds {limit} queued {actions} (MaxQueueSize). Send the action again later."
            ),
        )
    }

    /// The client may not do what it asked for (504); `why` is a sentence.
    #[must_use]
    pub fn permission(why: &str) -> Self {
        Self::new(504, "ERRORPERMISSION", "Permission denied", format!("Permission denied: {why}"))
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
    }

    /// The server broke one of its own rules (500).
    #[must_use]
    pub fn internal(text: &str) -> Self {
        Self::new(500, "ERRORINTERNAL", "Internal error", format!("Internal error: {text}"))
    }

    /// Tells the log more than the client.
    #[must_use]
    pub fn logged(mut self, text: impl Into<String>) -> Self {
        self.logged = Some(text.into());
        self
    }

    /// Returns what the log is told.
    #[must_use]
    pub fn log_text(&self) -> &str {
        self.logged.as_deref().unwrap_or(&self.description)
    }

    fn bad(string: &'static str, description: impl Into<String>) -> Self {
        Self::new(502, "ERRORPARAMINVALID", string, description)
    }

    /// Gives the error id: `ACTIOND`, the action's name in upper case, the number (the form is observed).
    #[must_use]
    pub fn error_id(&self, action: &str) -> String {
        let letters = action.chars().filter(char::is_ascii_alphanumeric).take(ACTION_IN_ID);
        let action: String = letters.map(|c| c.to_ascii_uppercase()).collect();
        format!("ACTIOND{action}{}", self.number)
    }

    /// Gives the raw error id: the number as `0x` and upper-case hexadecimal digits (observed).
    #[must_use]
    pub fn raw_id(&self) -> String {
        format!("0x{:X}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_number_code_and_texts() {
        let table = [
            (
                AciError::unknown_action("WOBBLE"),
                "ACTIONDX1",
                "0x1",
                "ERRORNOTIMPLEMENTED",
                "WOBBLE",
            ),
            (
                AciError::missing("Token", "a token"),
                "ACTIONDX501",
                "0x1F5",
                "ERRORPARAMMISSING",
                "Token",
            ),
            (
                AciError::invalid("Start", "0", "1 or more"),
                "ACTIONDX502",
                "0x1F6",
                "ERRORPARAMINVALID",
                "'0'",
            ),
            (
                AciError::refused("MTA=", "an action that runs can't be cancelled"),
                "ACTIONDX502",
                "0x1F6",
                "ERRORPARAMINVALID",
                "the token MTA=: an action that runs can't be cancelled.",
            ),
            (
                AciError::unknown_parameter("Tokn", Some("Token")),
                "ACTIONDX502",
                "0x1F6",
                "ERRORPARAMINVALID",
                "Token?",
            ),
            (
                AciError::malformed("no boundary"),
                "ACTIONDX502",
                "0x1F6",
                "ERRORPARAMINVALID",
                "no boundary",
            ),
            (
                AciError::unsupported("method", "PUT", "GET"),
                "ACTIONDX502",
                "0x1F6",
                "ERRORPARAMINVALID",
                "The method 'PUT' is not supported. Allowed: GET.",
            ),
            (
                AciError::failed("Echo", "no luck"),
                "ACTIONDX510",
                "0x1FE",
                "ERRORACTIONFAILED",
                "Echo was run and ended in an error: no luck",
            ),
            (
                AciError::queue_full("Fetch", 9),
                "ACTIONDX503",
                "0x1F7",
                "ERRORQUEUEFULL",
                "Fetch already holds 9 queued actions (",
            ),
            (
                AciError::queue_full("Fetch", 1),
                "ACTIONDX503",
                "0x1F7",
                "ERRORQUEUEFULL",
                "Fetch already holds 1 queued action (",
            ),
            (
                AciError::reserved("actiond:x", "actiond:"),
                "ACTIONDX502",
                "0x1F6",
                "ERRORPARAMINVALID",
                "actiond:x can't be sent: names that begin with actiond: are",
            ),
            (AciError::permission("a page."), "ACTIONDX504", "0x1F8", "ERRORPERMISSION", "a page"),
            (
                AciError::too_large("body", 12, 10),
                "ACTIONDX505",
                "0x1F9",
                "ERRORREQUESTTOOLARGE",
                "is 12, at most 10",
            ),
            (AciError::unavailable("ending"), "ACTIONDX506", "0x1FA", "ERRORUNAVAILABLE", "ending"),
            (AciError::internal("Q3"), "ACTIONDX500", "0x1F4", "ERRORINTERNAL", "Q3"),
        ];
        for (error, id, raw, code, says) in table {
            assert_eq!(
                (error.error_id("x").as_str(), error.raw_id().as_str(), error.code),
                (id, raw, code)
            );
            assert!(error.description.contains(says), "{error}");
            assert!(!error.string.is_empty());
            assert_eq!(error.to_string(), error.description, "it says everything by itself");
        }
    }

    macro_rules! each_kind {
        ($($kind:ident($($given:expr),+);)+) => {
            [$((stringify!($kind), AciError::$kind($($given),+))),+]
        };
    }

    /// An error of every kind, with the name of what makes it.
    fn of_every_kind(word: &str) -> [(&'static str, AciError); 14] {
        each_kind! {
            unknown_action(word);
            missing(word, word);
            invalid(word, word, word);
            refused(word, word);
            unknown_parameter(word, Some(word));
            reserved(word, word);
            malformed(word);
            unsupported(word, word, word);
            queue_full(word, 1);
            permission(word);
            too_large(word, 2, 1);
            failed(word, word);
            unavailable(word);
            internal(word);
        }
    }

    /// The table that clients are written by. A kind that is made here and not listed above is found in this file's text.
    #[test]
    fn the_documentation_has_every_kind_to_the_letter() {
        let made = regex::Regex::new(r"pub fn (\w+)\([^)]*\) -> Self \{").unwrap();
        let mut made: Vec<_> = made
            .captures_iter(include_str!("error.rs"))
            .filter(|found| !found[0].contains("mut self"))
            .map(|found| found[1].to_owned())
            .collect();
        made.sort_unstable();
        let kinds = of_every_kind("x");
        let mut listed: Vec<_> = kinds.iter().map(|(name, _)| *name).collect();
        listed.sort_unstable();
        assert_eq!(made, listed, "an error of each kind is needed above");

        let docs = include_str!("../../docs/README.md");
        let (_, table) = docs.split_once("| number | code | `errorstring` | when |\n").unwrap();
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        let mut documented: Vec<_> = rows
            .map(|row| {
                let cells: Vec<_> =
                    row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
                (cells[1].clone(), cells[2].clone(), cells[3].clone())
            })
            .collect();
        documented.sort_unstable();
        let mut wanted: Vec<_> = kinds
            .iter()
            .map(|(_, error)| {
                (error.number.to_string(), error.code.to_owned(), error.string.to_owned())
            })
            .collect();
        wanted.sort_unstable();
        assert_eq!(documented, wanted);
    }

    /// Clients group errors by the short text.
    #[test]
    fn the_short_text_tells_the_kind_and_nothing_of_the_request() {
        let of = |word| of_every_kind(word).map(|(_, error)| error);
        let (some, others) = (of("wobble"), of("quux"));
        for (error, other) in some.iter().zip(&others) {
            assert_eq!(error.string, other.string);
            assert!(error.description.contains("wobble"), "{error}");
            assert_eq!(error.description.matches(error.string).count().max(1), 1, "{error}");
        }
        let mut kinds: Vec<_> = some.iter().map(|error| error.string).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), some.len(), "each kind has its own");
    }

    #[test]
    fn ids_and_texts_repeat_little_of_what_was_sent() {
        let long = "ü".repeat(5000);
        let error = AciError::invalid(&long, &long, "x");
        assert!(error.description.chars().count() < 300);
        assert_eq!(error.error_id("get-Status;ü"), "ACTIONDGETSTATUS502");
        assert_eq!(error.error_id(&"a".repeat(99)), format!("ACTIOND{}502", "A".repeat(40)));
    }

    #[test]
    fn what_a_failed_action_says_is_cut_late() {
        let said = |count: usize| AciError::failed("Echo", &"é".repeat(count)).description;
        assert!(said(5_000).ends_with(&"é".repeat(5_000)));
        assert_eq!(said(5_001), said(5_000));
    }
}
