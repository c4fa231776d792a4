//! What a value may be: its kind, what the kind allows in words, and how text becomes a value.

use std::net::{IpAddr, Ipv4Addr};

use regex::{Regex, RegexBuilder};

use crate::http::browsers::{ANY, normal_host, normal_origin};

/// The most memory that one compiled expression may take.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The kind of a key's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A whole number from `min` to `max`, and -1 for "unlimited" where `unlimited` says so.
    Integer { min: i64, max: i64, unlimited: bool },
    /// Whole seconds from 0 to `max`.
    Seconds { max: i64 },
    /// `true`, `false` and the usual other words for them.
    Boolean,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// One or more of these words, with commas between them.
    ListOf(&'static [&'static str]),
    /// An IP address to listen on, or `localhost`.
    Address,
    /// A host name or IP address that other servers can use.
    Host,
    /// Such names and addresses with commas between them, or `*`.
    Hosts,
    /// Origins of web pages with commas between them, or `*`.
    Origins,
    /// A name of a queue or a task.
    Name,
    /// The path of a file or directory.
    Path,
    /// Paths with commas between them.
    Paths,
    /// File name patterns with commas between them.
    Wildcards,
    /// A regular expression.
    Regex,
}

/// A value of its kind.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Also seconds; -1 stands for "unlimited".
    Integer(i64),
    Boolean(bool),
    /// In the spelling of the table.
    Word(&'static str),
    /// In the order given, each once, in the spelling of the table.
    Words(Vec<&'static str>),
    Text(String),
    /// Not empty.
    Texts(Vec<String>),
    Address(IpAddr),
    Regex(Regex),
}

impl Kind {
    /// Says what is allowed, so that "must be" can stand before it.
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
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::ListOf(words) => {
                format!("one or more of {}, with commas between them", words.join(", "))
            }
            Self::Address => {
                "an IP address such as 127.0.0.1 or ::1, 0.0.0.0 or :: for all, or localhost for 127.0.0.1"
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
            Self::Path => "a path".to_owned(),
            Self::Paths => {
                "paths with commas between them; one that holds a comma stands in double quotes, or has \\, for it"
                    .to_owned()
            }
            Self::Wildcards => "file name patterns (`*`, `?`) with commas between them".to_owned(),
            Self::Regex => "a regular expression in the syntax of the Rust crate regex".to_owned(),
        }
    }

    /// Turns text into a value.
    ///
    /// # Errors
    ///
    /// What is wrong and what is allowed, as one sentence that can follow the key's name.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        if text.is_empty() {
            return Err(format!(
                "is empty: it must be {}; without the line the default applies",
                self.allowed()
            ));
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
            Self::Boolean => parse_boolean(text).map(Value::Boolean),
            Self::OneOf(words) => find_word(words, text).map(Value::Word),
            Self::ListOf(words) => {
                let items = split_csv(text).map_err(|what| format!("{what}: {}", must_be()))?;
                let mut found = Vec::new();
                for item in items {
                    let word = find_word(words, &item).ok_or_else(must_be)?;
                    if !found.contains(&word) {
                        found.push(word);
                    }
                }
                Some(Value::Words(found))
            }
            Self::Address => parse_address(text).map(Value::Address),
            Self::Host => parse_host(text).map(Value::Text),
            Self::Hosts => items(text, normal_host).map_err(|what| what + &must_be())?,
            Self::Origins => items(text, normal_origin).map_err(|what| what + &must_be())?,
            Self::Name => Some(text).filter(|t| is_name(t)).map(|t| Value::Text(t.to_owned())),
            Self::Path => Some(Value::Text(text.to_owned())),
            Self::Paths | Self::Wildcards => {
                let items = split_csv(text).map_err(|what| format!("{what}: {}", must_be()))?;
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

/// Reads a list of items of which each has a form of its own, or is `*`. An item that is none makes it `None`.
///
/// # Errors
///
/// What is wrong with the list.
fn items(text: &str, read: fn(&str) -> Option<String>) -> Result<Option<Value>, String> {
    let items = split_csv(text).map_err(|what| format!("{what}: "))?;
    let read = |item: &String| if item == ANY { Some(ANY.to_owned()) } else { read(item) };
    Ok(items.iter().map(read).collect::<Option<_>>().map(Value::Texts))
}

/// What is said of a path that begins with `~`.
const NO_HOME: &str = "the ~ is taken as it is and not as a home directory: write that out";
/// What is said of a value that begins with a quote where quotes have no meaning.
const NO_QUOTES: &str = "the quotes are taken as they are, as part of the value: leave them out";

/// Says what of a path may be meant otherwise.
pub(super) fn doubts_of_path(path: &str) -> Option<&'static str> {
    match path.chars().next() {
        Some('~') => Some(NO_HOME),
        Some('"' | '\'') => Some(NO_QUOTES),
        _ => None,
    }
}

impl Kind {
    /// Says what of a good value may be meant otherwise.
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

/// Tells whether the same quote stands at both ends.
fn is_quoted(text: &str) -> bool {
    ['"', '\'']
        .iter()
        .any(|quote| text.strip_prefix(*quote).is_some_and(|rest| rest.ends_with(*quote)))
}

/// Reads a number of digits alone.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Splits a list at its commas.
///
/// White space around an item is dropped, empty items are left out. `\,` stands for a comma within an item. An item
/// in double quotes is taken as it is; `\"` and `""` within it stand for one quote. Any other backslash is one.
///
/// # Errors
///
/// A quote that is not closed, text beside a quoted item, or no item at all.
fn split_csv(text: &str) -> Result<Vec<String>, &'static str> {
    let mut items = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let mut item = String::new();
            loop {
                let (part, after) = match rest.split_once(',') {
                    Some((part, after)) => (part, Some(after)),
                    None => (rest, None),
                };
                rest = after.unwrap_or_default();
                match (part.strip_suffix('\\'), after) {
                    (Some(part), Some(_)) => {
                        item.push_str(part);
                        item.push(',');
                    }
                    _ => {
                        item.push_str(part);
                        break;
                    }
                }
            }
            if item.contains('"') {
                return Err("has a double quote within an item");
            }
            let item = item.trim_end();
            if !item.is_empty() {
                items.push(item.to_owned());
            }
            rest = rest.trim_start();
            continue;
        };
        let mut item = String::new();
        loop {
            let Some((part, after)) = quoted.split_once('"') else {
                return Err("has a double quote that is not closed");
            };
            if let Some(part) = part.strip_suffix('\\') {
                item.push_str(part);
                item.push('"');
                quoted = after;
                continue;
            }
            item.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    item.push('"');
                    quoted = more;
                }
                None => {
                    quoted = after.trim_start();
                    break;
                }
            }
        }
        rest = match quoted.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if quoted.is_empty() => "",
            None => return Err("has text after a quoted item"),
        };
        if !item.is_empty() {
            items.push(item);
        }
    }
    if items.is_empty() { Err("has no item") } else { Ok(items) }
}

fn parse_boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["true", "yes", "on", "y", "1"]) {
        Some(true)
    } else if is(&["false", "no", "off", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

fn find_word(words: &[&'static str], text: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
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

fn is_name(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&text.len()) && text.chars().all(safe)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NUMBER: Kind = Kind::Integer { min: 1, max: 9, unlimited: false };
    const OPEN: Kind = Kind::Integer { min: 1, max: 9, unlimited: true };
    const ONE: Kind = Kind::OneOf(&["Requeue", "Fail"]);
    const SOME: Kind = Kind::ListOf(&["idx", "json"]);

    #[test]
    fn good_values() {
        let table = [
            (NUMBER, "1", "Integer(1)"),
            (NUMBER, "9", "Integer(9)"),
            (OPEN, "-1", "Integer(-1)"),
            (Kind::Seconds { max: 5 }, "0", "Integer(0)"),
            (Kind::Boolean, "TRUE", "Boolean(true)"),
            (Kind::Boolean, "no", "Boolean(false)"),
            (Kind::Boolean, "Y", "Boolean(true)"),
            (Kind::Boolean, "n", "Boolean(false)"),
            (ONE, "FAIL", "Word(\"Fail\")"),
            (SOME, "JSON, idx,json", "Words([\"json\", \"idx\"])"),
            (Kind::Address, "LocalHost", "Address(127.0.0.1)"),
            (Kind::Address, "[::1]", "Address(::1)"),
            (Kind::Host, "[2001:DB8::1]", "Text(\"2001:db8::1\")"),
            (Kind::Host, "a-b_c.example.org", "Text(\"a-b_c.example.org\")"),
            (Kind::Hosts, "A.example,[::1], *", "Texts([\"a.example\", \"::1\", \"*\"])"),
            (Kind::Origins, "HTTPS://A.org:443,*", "Texts([\"https://a.org\", \"*\"])"),
            (Kind::Name, "A_b-9", "Text(\"A_b-9\")"),
            (Kind::Path, "C:\\a b, c", "Text(\"C:\\\\a b, c\")"),
            (Kind::Paths, "a, \"b,c\"", "Texts([\"a\", \"b,c\"])"),
            (Kind::Regex, "^a/b$", "Regex(Regex(\"^a/b$\"))"),
        ];
        for (kind, text, want) in table {
            let got = kind.parse(text).map(|value| format!("{value:?}"));
            assert_eq!(got, Ok(want.to_owned()), "{kind:?} {text:?}");
        }
    }

    #[test]
    fn bad_values_are_told_what_is_allowed() {
        let long = "a".repeat(254);
        let table = [
            (NUMBER, "0", "must be a whole number from 1 to 9"),
            (NUMBER, "-1", "must be a whole number from 1 to 9"),
            (NUMBER, "10", "must be a whole number from 1 to 9"),
            (NUMBER, "2.5", "must be a whole number"),
            (NUMBER, "99999999999999999999", "must be a whole number"),
            (NUMBER, "", "is empty: it must be a whole number from 1 to 9; without the line"),
            (NUMBER, "+1", "must be a whole number from 1 to 9"),
            (OPEN, "-2", "from 1 to 9, or -1 for unlimited"),
            (OPEN, "+1", "from 1 to 9, or -1 for unlimited"),
            (OPEN, "-01", "from 1 to 9, or -1 for unlimited"),
            (Kind::Seconds { max: 5 }, "+5", "whole seconds from 0 to 5"),
            (Kind::Seconds { max: 5 }, "-0", "whole seconds from 0 to 5"),
            (Kind::Seconds { max: 5 }, "6", "whole seconds from 0 to 5"),
            (Kind::Seconds { max: 5 }, "-1", "whole seconds from 0 to 5"),
            (Kind::Boolean, "maybe", "true or false"),
            (ONE, "Retry", "one of Requeue, Fail"),
            (SOME, "idx,xml", "one or more of idx, json"),
            (SOME, ",", "has no item"),
            (Kind::Address, "example.org", "an IP address"),
            (Kind::Address, "example.org", "or localhost for 127.0.0.1"),
            (Kind::Host, "a:b", "a host name"),
            (Kind::Host, "a b", "a host name"),
            (Kind::Host, &long, "a host name"),
            (Kind::Hosts, "a.org:80", "must be IP addresses or host names without ports"),
            (Kind::Hosts, ",", "has no item: must be"),
            (Kind::Origins, "a.org", "must be origins such as https://"),
            (Kind::Origins, "null", "must be origins such as https://"),
            (Kind::Name, "a b", "1 to 64 characters"),
            (Kind::Name, &long, "1 to 64 characters"),
            (Kind::Paths, "\"a", "has a double quote that is not closed"),
            (Kind::Regex, "a(b", "unclosed group"),
            (Kind::Regex, "(a{1000}){1000}", "exceeds size limit"),
        ];
        for (kind, text, want) in table {
            let got = kind.parse(text).unwrap_err();
            assert!(got.contains(want), "{kind:?} {text:?}: {got}");
        }
    }

    #[test]
    fn lists_are_split_at_commas_outside_of_quotes() {
        let table: [(&str, Result<&[&str], &str>); 20] = [
            ("a,b", Ok(&["a", "b"])),
            (r"a\,b,c", Ok(&["a,b", "c"])),
            (r" a\, b\,,c\,", Ok(&["a, b,", "c,"])),
            (r"a\b\\c,d\", Ok(&[r"a\b\\c", r"d\"])),
            (r#""\"a\"","b""#, Ok(&["\"a\"", "b"])),
            (r#""\"a, \"\"""#, Ok(&["\"a, \"\""])),
            (r#""a\b,c""#, Ok(&[r"a\b,c"])),
            (r#""a\",b"#, Err("has a double quote that is not closed")),
            (r#"\"a\""#, Err("has a double quote within an item")),
            (r#"<a b=\"c\">"#, Err("has a double quote within an item")),
            (r#""<a b=\"c\">","<d>""#, Ok(&["<a b=\"c\">", "<d>"])),
            (" a b ,, c ,", Ok(&["a b", "c"])),
            ("\" a,b \" , c", Ok(&[" a,b ", "c"])),
            ("\"say \"\"x\"\"\"", Ok(&["say \"x\""])),
            ("\"\",a", Ok(&["a"])),
            ("", Err("has no item")),
            ("\"\"", Err("has no item")),
            ("a\"b", Err("has a double quote within an item")),
            ("\"a\"b", Err("has text after a quoted item")),
            ("a,\"b\"\"", Err("has a double quote that is not closed")),
        ];
        for (text, want) in table {
            let want = want.map(|items| items.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(split_csv(text), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn quoted_items_come_back(items in proptest::collection::vec("[^\r\n\\\\]{1,10}", 1..5)) {
            let quoted: Vec<_> =
                items.iter().map(|item| format!("\"{}\"", item.replace('"', "\"\""))).collect();
            prop_assert_eq!(&split_csv(&quoted.join(",")), &Ok(items.clone()));
            let escaped: Vec<_> =
                items.iter().map(|item| format!("\"{}\"", item.replace('"', "\\\""))).collect();
            prop_assert_eq!(split_csv(&escaped.join(",")), Ok(items));
        }

        #[test]
        fn no_value_makes_a_kind_panic(text in "\\PC{0,40}|[\"\",a ]{0,20}") {
            let kinds = [NUMBER, OPEN, ONE, SOME, Kind::Boolean, Kind::Address, Kind::Host,
                Kind::Hosts, Kind::Origins, Kind::Name, Kind::Path, Kind::Paths, Kind::Wildcards, Kind::Regex];
            for kind in kinds {
                if let Err(reason) = kind.parse(&text) {
                    prop_assert!(reason.contains("must be"));
                }
            }
        }
    }
}
