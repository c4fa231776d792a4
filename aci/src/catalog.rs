//! The one table of actions and their parameters: requests are validated against it, and the help is written from it.
//!
//! The actions that answer at once are in [`mod@builtin`]; each kind of asynchronous action brings its own table in the
//! same types. [`help`] turns tables into the reply of the action `Help`.

pub mod builtin;
pub mod help;
mod start;
mod unknown;

use std::borrow::Cow;

use super::error::AciError;
use super::request::{PairValue, Pairs};
use super::time::{FILTER_FORMS, parse_filter};
use super::token::Token;
use super::words::{find_word, list, nearest, parse_bool};

pub use builtin::{ASYNC_COMMON, BUILTIN, COMMON, builtin};
pub use help::{help_elements, help_html};
pub use start::{MAX_START_SECS, START_FORMS, parse_start, plain_start};
pub(crate) use unknown::without_effect;
pub use unknown::{is_known, refuse_unknown, warn_of_unknown};

/// The description of an action, for the validation of requests and for the help.
///
/// ```
/// use actiond_aci::catalog::{ActionSpec, ParamKind, ParamSpec, StandardRole};
/// const ECHO: ActionSpec<'static> = ActionSpec {
///     name: "Echo",
///     summary: "Ends at once.",
///     asynchronous: true,
///     role: StandardRole::Query,
///     params: &[ParamSpec::optional("Sleep", ParamKind::Seconds { max: 60 }, "Runs that long.")],
/// };
/// // The same under the name of the queue that an administrator gave it.
/// let process = ActionSpec { name: "Process", ..ECHO };
/// assert!(process.find("sleep").is_some());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ActionSpec<'a> {
    /// The name of the action; for an asynchronous one that of its queue.
    pub name: &'a str,
    /// The summary for the help, a sentence or two.
    pub summary: &'a str,
    /// True if it is queued and answers with a token.
    pub asynchronous: bool,
    /// The standard role that a caller needs.
    pub role: StandardRole,
    /// Its own parameters, without those that every action has.
    pub params: &'a [ParamSpec],
}

/// A standard role: the permission to perform a group of actions. No role implies another (source: the documentation of
/// authorization roles).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StandardRole {
    /// Administrative actions.
    Admin,
    /// All other actions.
    Query,
    /// Actions that change an index.
    Index,
    /// Actions of the service port that change something.
    ServiceControl,
    /// Actions of the service port that show something.
    ServiceStatus,
}

impl StandardRole {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::Query, Self::Index, Self::ServiceControl, Self::ServiceStatus];

    /// Returns its name, as configurations have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Query => "Query",
            Self::Index => "Index",
            Self::ServiceControl => "ServiceControl",
            Self::ServiceStatus => "ServiceStatus",
        }
    }
}

/// One parameter of an action.
#[derive(Debug, Clone)]
pub struct ParamSpec {
    /// The name; [`ANY`] says that parameters of any other name are welcome too.
    pub name: Cow<'static, str>,
    /// The values that it may have.
    pub kind: ParamKind,
    /// True if a request without it is refused. An empty value counts as none, but for [`ParamKind::Argument`].
    pub required: bool,
    /// The meaning, in a sentence or two.
    pub summary: Cow<'static, str>,
    /// True if its value is not for other eyes: no log shows it.
    pub is_secret: bool,
}

impl ParamSpec {
    /// Describes a parameter that may be left out, in a table.
    #[must_use]
    pub const fn optional(name: &'static str, kind: ParamKind, summary: &'static str) -> Self {
        let (name, summary) = (Cow::Borrowed(name), Cow::Borrowed(summary));
        Self { name, kind, required: false, summary, is_secret: false }
    }

    /// Describes a parameter that must be given, in a table.
    #[must_use]
    pub const fn required(name: &'static str, kind: ParamKind, summary: &'static str) -> Self {
        let (name, summary) = (Cow::Borrowed(name), Cow::Borrowed(summary));
        Self { name, kind, required: true, summary, is_secret: false }
    }

    /// Returns true if it is for the parameter of this name, in any case.
    ///
    /// ```
    /// use actiond_aci::catalog::{ParamKind, ParamSpec};
    /// let of_any = ParamSpec::optional("Parameter.NAME", ParamKind::Text, "Only actions with it.");
    /// assert!(of_any.is_for("parameter.Title") && !of_any.is_for("Parameter."));
    /// ```
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        if self.name.eq_ignore_ascii_case(name) {
            return true;
        }
        // With the point.
        let start = self.name.len().saturating_sub(NAME.len() - 1);
        let begins =
            || self.name.get(..start)?.eq_ignore_ascii_case(name.get(..start)?).then_some(());
        name.len() > start && self.name.ends_with(NAME) && begins().is_some()
    }

    /// Says that its value is not for other eyes: no log shows it.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }
}

/// The name of a [`ParamSpec`] that is for parameters of any other name.
pub const ANY: &str = "*";

/// The end of the name of a [`ParamSpec`] that is for all parameters that begin with what is before it, up to the point.
pub const NAME: &str = ".NAME";

/// The values that a parameter may have. Words are compared without regard to case, and white space around a value does not
/// count. An empty value of any kind but text counts as not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Any text, or the bytes of a multipart part.
    Text,
    /// Any text or bytes without a NUL byte, as programs take them for arguments; also none at all.
    Argument,
    /// A whole number from `min` to `max`.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// Seconds from 0 to `max`, decimals allowed.
    Seconds {
        /// The greatest value.
        max: u32,
    },
    /// `true` or `false`, `1` or `0`, `yes` or `no`.
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One or more of these words, with commas between them.
    ListOf(&'static [&'static str]),
    /// A token that a server like this one gave.
    Token,
    /// One or more of these, with commas between them.
    Tokens,
    /// The name of a queue; the caller checks if there is such a queue.
    Queue,
    /// A time as [`parse_filter`] reads it.
    Time,
    /// A time before which an action must not start, as [`parse_start`] reads it.
    EarliestStart,
}

impl ParamKind {
    /// Returns the allowed values as a phrase.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Text => "any text".to_owned(),
            Self::Argument => "any text without a NUL byte".to_owned(),
            Self::Integer { min, max: i64::MAX } => format!("a whole number, {min} or more"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Seconds { max } => format!("seconds from 0 to {max}, such as 1.5"),
            Self::Boolean => "true or false".to_owned(),
            Self::OneOf(words) => words.join(", "),
            Self::ListOf(words) => {
                format!("one or more of {}, with commas between them", words.join(", "))
            }
            Self::Token => "a token that this server returned".to_owned(),
            Self::Tokens => {
                "one or more tokens that this server returned, with commas between them".to_owned()
            }
            Self::Queue => "the name of a queue".to_owned(),
            Self::Time => FILTER_FORMS.to_owned(),
            Self::EarliestStart => START_FORMS.to_owned(),
        }
    }

    /// Returns true if a value is one of this kind. It must be trimmed, but for [`ParamKind::EarliestStart`].
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Argument => !text.contains('\0'),
            Self::Integer { min, max } => {
                parse_integer(text).is_some_and(|number| (min..=max).contains(&number))
            }
            Self::Seconds { max } => {
                parse_seconds(text).is_some_and(|seconds| seconds <= f64::from(max))
            }
            Self::Boolean => parse_bool(text).is_some(),
            Self::OneOf(words) => find_word(words, text).is_some(),
            Self::ListOf(words) => list(text).all(|word| find_word(words, word).is_some()),
            Self::Token => Token::parse(text).is_ok(),
            Self::Tokens => list(text).all(|word| Token::parse(word).is_ok()),
            Self::Queue => !text.is_empty(),
            Self::Time => parse_filter(text, 0, &chrono::Utc).is_ok(),
            Self::EarliestStart => start::is_start(text),
        }
    }
}

impl ActionSpec<'_> {
    /// Finds one of the action's own parameters, in any case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ParamSpec> {
        self.params.iter().find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// Returns the parameters that the action has because every action of its kind has them.
    #[must_use]
    pub const fn common(&self) -> &'static [&'static [ParamSpec]] {
        if self.asynchronous { &[COMMON, ASYNC_COMMON] } else { &[COMMON] }
    }
}

/// The setting by which unknown parameters are refused.
const STRICT: &str = "StrictActionValidation";

/// Checks the parameters of a request: required ones are there, and each value is of its kind.
///
/// `common` is usually [`ActionSpec::common`]. Parameters that are not known are ignored, as real servers do it, unless
/// `strict` (`StrictActionValidation`).
///
/// # Errors
/// [`AciError::missing`], [`AciError::invalid`] or, if `strict`, [`AciError::unknown_parameter`]; the first that is found.
pub fn validate(
    spec: &ActionSpec<'_>,
    common: &[&[ParamSpec]],
    pairs: &Pairs,
    strict: bool,
) -> Result<(), AciError> {
    // The action's own parameters come first: one of them may narrow a common one.
    let known = || spec.params.iter().chain(common.iter().copied().flatten());
    for (name, value) in pairs.iter() {
        match known().find(|param| param.is_for(name)) {
            Some(param) => check(param, name, value)?,
            None => match (spec.find(ANY), value) {
                (Some(any), PairValue::Text(_)) => check(any, name, value)?,
                // Nobody knows what such bytes are for.
                (Some(_), PairValue::Bytes(_)) => {}
                (None, _) if strict => {
                    let names = known().map(|param| &*param.name).filter(|known| *known != ANY);
                    let nearest = nearest(name, names);
                    return Err(AciError::unknown_parameter(name, STRICT, nearest));
                }
                (None, _) => {}
            },
        }
    }
    for param in known().filter(|param| param.required) {
        let is_given = match pairs.value(&param.name) {
            Some(_) if param.kind == ParamKind::Argument => true,
            Some(PairValue::Text(text)) => !text.trim().is_empty(),
            Some(PairValue::Bytes(bytes)) => !bytes.is_empty(),
            None => false,
        };
        if !is_given {
            return Err(AciError::missing(&param.name, &param.kind.allowed()));
        }
    }
    Ok(())
}

/// Checks the value that a request gives under this name.
fn check(param: &ParamSpec, name: &str, value: &PairValue) -> Result<(), AciError> {
    let name = if param.name == ANY { name } else { &param.name };
    match value {
        // Before that: an empty one would let start at once what somebody wanted to wait.
        PairValue::Text(text) if param.kind == ParamKind::EarliestStart => {
            let read = param.kind.accepts(text).then_some(());
            read.ok_or_else(|| AciError::invalid(name, text, &param.kind.allowed()))
        }
        PairValue::Text(text) if text.trim().is_empty() => Ok(()),
        PairValue::Text(text) if param.kind == ParamKind::Tokens => {
            bad_token(name, text).map_or(Ok(()), Err)
        }
        PairValue::Text(text) if param.kind.accepts(text.trim()) => Ok(()),
        PairValue::Text(text) => Err(AciError::invalid(name, text, &param.kind.allowed())),
        PairValue::Bytes(_) if param.kind == ParamKind::Text => Ok(()),
        PairValue::Bytes(bytes) if param.kind == ParamKind::Argument && !bytes.contains(&0) => {
            Ok(())
        }
        PairValue::Bytes(_) => Err(AciError::invalid(name, "(bytes)", &param.kind.allowed())),
    }
}

/// Returns the error for the first item of a list of tokens that is none: the list may be long.
pub(crate) fn bad_token(name: &str, text: &str) -> Option<AciError> {
    let mut items = (1..).zip(list(text));
    let (place, item) = items.find(|(_, item)| Token::parse(item).is_err())?;
    let (number, allowed) = (list(text).count(), ParamKind::Tokens.allowed());
    let allowed = format!("{allowed}; this is number {place} of {number}");
    Some(AciError::invalid(name, item, &allowed))
}

/// Reads a whole number.
#[must_use]
pub fn parse_integer(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// Reads seconds, 0 or more: digits, and decimals after a point. No exponents, signs or words.
#[must_use]
pub fn parse_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_plain { text.parse().ok().filter(|seconds: &f64| seconds.is_finite()) } else { None }
}

#[cfg(test)]
mod tests;
