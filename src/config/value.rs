//! Values: their kinds, the words for what a kind allows, and the parsing of text.

use std::net::{IpAddr, Ipv4Addr};

use regex::{Regex, RegexBuilder};

use crate::access::{ADDRESS_FORMS, AddressPattern, KEY_PREFIX, KeyHash};
use crate::aci::words::{find_word, parse_switch, quoted_list};
use crate::http::browsers::{ANY, normal_host, normal_origin};

/// Largest memory that one compiled expression may take, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The kind of a key's value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ValueKind {
    /// A whole number from `min` to `max`, and -1 for "unlimited" where `unlimited` says so.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
        /// -1 is allowed too.
        unlimited: bool,
    },
    /// Whole seconds from 0 to `max`.
    Seconds {
        /// The greatest value.
        max: i64,
    },
    /// `true`, `false` and the usual other words for them.
    Boolean,
    /// A part of a whole: a number from 0 to 1.
    Fraction,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// One or more of these words, with commas between them.
    ListOf(&'static [&'static str]),
    /// IP addresses to listen on, or `localhost`, with commas between them.
    Addresses,
    /// A host name or IP address that other servers can use.
    Host,
    /// Such names and addresses with commas between them, or `*`.
    Hosts,
    /// Origins of web pages with commas between them, or `*`.
    Origins,
    /// A name of a queue, a task or the like.
    Name,
    /// Any text.
    Text,
    /// A text of this description, which its reader checks.
    TextOf(&'static str),
    /// Any text of this description, or none.
    TextOrEmpty(&'static str),
    /// The path of a file or directory.
    Path,
    /// Paths with commas between them.
    Paths,
    /// File name patterns with commas between them.
    Wildcards,
    /// A regular expression.
    Regex,
    /// Patterns of client addresses with commas between them; may be empty.
    Clients,
    /// Hashes of keys and files of such with commas between them; may be empty.
    Keys,
    /// Texts with commas between them, of this description; may be empty.
    Texts(&'static str),
}

/// A value of its kind.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Also seconds; -1 stands for "unlimited".
    Integer(i64),
    Boolean(bool),
    Fraction(f64),
    /// In the spelling of the table.
    Word(&'static str),
    /// In the order given, each once, in the spelling of the table.
    Words(Vec<&'static str>),
    Text(String),
    /// Empty only for the kinds that may be.
    Texts(Vec<String>),
    /// Each once; never empty.
    Addresses(Vec<IpAddr>),
    Regex(Regex),
}

impl ValueKind {
    /// A whole number in this range.
    #[must_use]
    pub const fn from_to(min: i64, max: i64) -> Self {
        Self::Integer { min, max, unlimited: false }
    }

    /// A whole number in this range, or -1 for "unlimited".
    #[must_use]
    pub const fn or_unlimited(min: i64, max: i64) -> Self {
        Self::Integer { min, max, unlimited: true }
    }

    /// Returns the allowed values in words that can follow "must be".
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Integer { min, max, unlimited: false } => {
                format!("a whole number from {min} to {max}")
            }
            Self::Integer { min, max, unlimited: true } => {
                format!("a whole number from {min} to {max}, or -1 for unlimited")
            }
            Self::Seconds { max } => format!("whole seconds from 0 to {max}"),
            Self::Boolean => "true or false (or yes, on, y, 1, no, off, n, 0)".to_owned(),
            Self::Fraction => "a number from 0 to 1, such as 0.75".to_owned(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::ListOf(words) => {
                format!("one or more of {}, with commas between them", words.join(", "))
            }
            Self::Addresses => {
                "IP addresses with commas between them, such as 127.0.0.1,::1; 0.0.0.0 or :: for all, or localhost for 127.0.0.1"
                    .to_owned()
            }
            Self::Host => {
                "an IP address or a host name (letters, digits, `.`, `-`, `_`; at most 253)"
                    .to_owned()
            }
            Self::Hosts => {
                "IP addresses or host names without ports, with commas between them, or * for any"
                    .to_owned()
            }
            Self::Origins => {
                "origins such as https://tools.example.org:8443, with commas between them, or * for any web page"
                    .to_owned()
            }
            Self::Name => {
                "a name of 1 to 64 characters out of letters, digits, `_` and `-`".to_owned()
            }
            Self::Text => "any text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Paths => {
                "paths with commas between them; one that holds a comma stands in double quotes, or has \\, for it"
                    .to_owned()
            }
            Self::Wildcards => "file name patterns (`*`, `?`) with commas between them".to_owned(),
            Self::Regex => "a regular expression in the syntax of the Rust crate regex".to_owned(),
            Self::Clients => {
                format!("{ADDRESS_FORMS}, with commas between them; empty for nobody")
            }
            Self::Keys => {
                "sha256: and 64 hexadecimal digits, as actiond key prints them, or the path of a file with one of them on each line; with commas between them"
                    .to_owned()
            }
            Self::Texts(what) => format!("{what}, with commas between them"),
            Self::TextOf(what) => what.to_owned(),
            Self::TextOrEmpty(what) => format!("{what}, or empty"),
        }
    }

    /// Returns true if an empty value means something.
    const fn may_be_empty(self) -> bool {
        matches!(self, Self::Clients | Self::Keys | Self::Texts(_))
    }

    /// Turns text into a value.
    ///
    /// # Errors
    ///
    /// The text says what is wrong and what is allowed, as one sentence that can follow the key's name.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        // Quotes around nothing are how other servers' files write it.
        if self.may_be_empty() && matches!(text, "" | "\"\"") {
            return Ok(Value::Texts(Vec::new()));
        }
        if text.is_empty() && matches!(self, Self::TextOrEmpty(_)) {
            return Ok(Value::Text(String::new()));
        }
        if text.is_empty() {
            return Err(is_empty(&self.allowed()));
        }
        let must_be = || format!("must be {}", self.allowed());
        let value = match self {
            Self::Integer { unlimited: true, .. } if text == "-1" => Some(Value::Integer(-1)),
            Self::Integer { min, max, .. } => {
                digits(text).filter(|number| (min..=max).contains(number)).map(Value::Integer)
            }
            Self::Seconds { max } => {
                digits(text).filter(|number| (0..=max).contains(number)).map(Value::Integer)
            }
            Self::Boolean => parse_switch(text).map(Value::Boolean),
            Self::Fraction => fraction(text).map(Value::Fraction),
            Self::OneOf(words) => find_word(words, text).map(Value::Word),
            Self::ListOf(words) => {
                let items = quoted_list(text).map_err(|what| format!("{what}: {}", must_be()))?;
                let mut found = Vec::new();
                for item in items {
                    let word = find_word(words, &item).ok_or_else(must_be)?;
                    if !found.contains(&word) {
                        found.push(word);
                    }
                }
                Some(Value::Words(found))
            }
            Self::Addresses => {
                let items = quoted_list(text).map_err(|what| format!("{what}: {}", must_be()))?;
                let mut addresses = Vec::new();
                for item in items {
                    let address = parse_address(&item).ok_or_else(must_be)?;
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                Some(Value::Addresses(addresses))
            }
            Self::Host => parse_host(text).map(Value::Text),
            Self::Hosts => items(text, normal_host).map_err(|what| what + &must_be())?,
            Self::Origins => items(text, normal_origin).map_err(|what| what + &must_be())?,
            Self::Name => Some(text).filter(|t| is_name(t)).map(|t| Value::Text(t.to_owned())),
            Self::Text | Self::TextOf(_) | Self::TextOrEmpty(_) | Self::Path => {
                Some(Value::Text(text.to_owned()))
            }
            Self::Clients => {
                items(text, |item| AddressPattern::parse(item).ok().map(|p| p.to_string()))
                    .map_err(|what| what + &must_be())?
            }
            Self::Keys => items(text, |item| {
                let is_hash = item
                    .get(..KEY_PREFIX.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(KEY_PREFIX));
                (!is_hash || KeyHash::parse(item).is_some()).then(|| item.to_owned())
            })
            .map_err(|what| what + &must_be())?,
            Self::Paths | Self::Wildcards | Self::Texts(_) => {
                let items = quoted_list(text).map_err(|what| format!("{what}: {}", must_be()))?;
                Some(Value::Texts(items))
            }
            Self::Regex => match RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build() {
                Ok(regex) => Some(Value::Regex(regex)),
                // The crate's message shows the expression first; its last line is the reason.
                Err(error) => {
                    let error = error.to_string();
                    let reason = error.lines().last().unwrap_or_default().trim();
                    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                    return Err(format!("{} ({reason})", must_be()));
                }
            },
        };
        value.ok_or_else(must_be)
    }
}

/// Returns the error for an empty value.
pub(super) fn is_empty(allowed: &str) -> String {
    format!("is empty: it must be {allowed}; without the line the default applies")
}

/// Reads a list whose items are `*` or are read by `read`. A bad item makes it `None`.
///
/// # Errors
///
/// The text says what is wrong with the list.
fn items(text: &str, read: fn(&str) -> Option<String>) -> Result<Option<Value>, String> {
    let items = quoted_list(text).map_err(|what| format!("{what}: "))?;
    let read = |item: &String| if item == ANY { Some(ANY.to_owned()) } else { read(item) };
    Ok(items.iter().map(read).collect::<Option<_>>().map(Value::Texts))
}

/// The doubt about a path that begins with `~`.
const NO_HOME: &str = "the ~ is taken as it is and not as a home directory: write that out";
/// The doubt about a value that begins with a quote where quotes have no meaning.
const NO_QUOTES: &str = "the quotes are taken as they are, as part of the value: leave them out";

/// Returns a doubt about a path that may be meant otherwise.
pub(super) fn doubts_of_path(path: &str) -> Option<&'static str> {
    match path.chars().next() {
        Some('~') => Some(NO_HOME),
        Some('"' | '\'') => Some(NO_QUOTES),
        _ => None,
    }
}

impl ValueKind {
    /// Returns doubts about a good value that may be meant otherwise.
    pub(super) fn doubts(self, value: &Value) -> Vec<&'static str> {
        let texts = match value {
            Value::Text(text) => std::slice::from_ref(text),
            Value::Texts(texts) => texts,
            Value::Regex(regex) if is_quoted(regex.as_str()) => return vec![NO_QUOTES],
            _ => return Vec::new(),
        };
        let is_path = matches!(self, Self::Path | Self::Paths);
        let mut doubts = Vec::new();
        for text in texts {
            // In a list double quotes have a meaning, so who has one in an item meant it.
            let doubt = match self {
                Self::Paths if text.starts_with('"') => None,
                Self::Path | Self::Paths => doubts_of_path(text),
                Self::Wildcards if text.starts_with('\'') && is_quoted(text) => Some(NO_QUOTES),
                _ => None,
            };
            doubts.extend(doubt.filter(|doubt| !doubts.contains(doubt)));
        }
        let comment = |text: &String| {
            let mut parts = text.split(|c: char| c.is_ascii_whitespace()).skip(1);
            parts.any(|part| part.starts_with("//") || part.starts_with('#'))
        };
        if (is_path || matches!(self, Self::Wildcards)) && texts.iter().any(comment) {
            doubts.push("all of this is the value: a comment needs a line of its own");
        }
        doubts
    }
}

/// Returns true if the same quote stands at both ends.
fn is_quoted(text: &str) -> bool {
    ['"', '\'']
        .iter()
        .any(|quote| text.strip_prefix(*quote).is_some_and(|rest| rest.ends_with(*quote)))
}

/// Reads a number of digits alone.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Reads a number of digits with at most one point, from 0 to 1.
fn fraction(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = text.parse().ok().filter(|_| is_plain);
    number.filter(|number| (0.0..=1.0).contains(number))
}

/// An IPv6 address may stand in brackets; `localhost` is 127.0.0.1 (our choice: it must not depend
/// on a name server which family a server listens on).
fn parse_address(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    strip_brackets(text).parse().ok()
}

/// The host ends up in tokens (`HOST:PORT:QUEUE:NUMBER`) and in the URLs of other servers, so a
/// colon is let in only with an IPv6 address, which is kept without brackets.
fn parse_host(text: &str) -> Option<String> {
    let bare = strip_brackets(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (text.len() <= 253 && text.chars().all(safe)).then(|| text.to_owned())
}

fn strip_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

/// Tells whether a section, or what has one, may have this name.
pub(crate) fn is_name(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&text.len()) && text.chars().all(safe)
}

#[cfg(test)]
mod tests;
