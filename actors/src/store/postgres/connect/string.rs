//! The text of a connection string: a URI, or `KEY=VALUE` with spaces between, as libpq reads them. What the parameters mean is
//! in `options`.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::{Chars, FromStr};

use percent_encoding::percent_decode_str;

use super::options::Options;

/// The beginnings of a URI.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The text that is shown in place of a password.
const MASK: &str = "***";

/// A reason for which a connection string can't be used. It never holds the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub(super) String);

/// A connection string that was read, with all its parameters known and of good values.
///
/// It is read as libpq reads it: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?OPTION=VALUE`, or the same as
/// `host=HOST port=PORT user=USER`. Shown and printed, it has no password in it.
///
/// ```
/// use actiond_actors::store::postgres::ConnectionString;
/// let string: ConnectionString = "postgres://actiond:secret@db/actiond?sslmode=require".parse()?;
/// assert_eq!(string.to_string(), "user=actiond password=*** host=db dbname=actiond sslmode=require");
/// # Ok::<(), actiond_actors::store::postgres::ConnectError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    pairs: Vec<(String, String)>,
    pub(super) options: Options,
}

impl ConnectionString {
    /// Returns true if a password is in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.options.password.is_some()
    }

    /// Returns the files that it names: those of passwords, keys and certificates.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.options.passfile.as_deref().into_iter().chain(self.options.ssl.files())
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectError;

    /// Reads a connection string.
    ///
    /// # Errors
    ///
    /// The text says what is wrong and what is allowed.
    fn from_str(text: &str) -> Result<Self, ConnectError> {
        let text = text.trim();
        let pairs = match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some(rest) => of_uri(rest)?,
            None => of_words(text)?,
        };
        let options = Options::read(&pairs)?;
        Ok(Self { pairs, options })
    }
}

/// The string as `KEY=VALUE`, with `***` in place of a password.
impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            let value = if is_secret(key) { MASK } else { value };
            write!(f, "{space}{key}={}", quoted(value))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionString({self})")
    }
}

/// Returns true for a parameter whose value is not for other eyes.
pub(super) fn is_secret(key: &str) -> bool {
    key.to_ascii_lowercase().contains("password")
}

/// Returns a value as it can stand in the form of `KEY=VALUE`.
fn quoted(value: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '\'' | '\\');
    if !value.is_empty() && value.chars().all(is_plain) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")))
}

fn refused(reason: impl Into<String>) -> ConnectError {
    ConnectError(reason.into())
}

/// Adds a parameter; one that is there already gets the later value, as with libpq.
fn put(pairs: &mut Vec<(String, String)>, key: &str, value: String) {
    match pairs.iter_mut().find(|(known, _)| known == key) {
        Some((_, known)) => *known = value,
        None => pairs.push((key.to_owned(), value)),
    }
}

/// Reads `KEY=VALUE KEY='VALUE'`.
fn of_words(text: &str) -> Result<Vec<(String, String)>, ConnectError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    if rest.split('=').next().is_some_and(|first| first.contains("://")) {
        return Err(refused("as a URI it must begin with postgres:// or postgresql://"));
    }
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return Err(refused(
                "it must be a URI that begins with postgres://, or pairs of KEY=VALUE with spaces between them",
            ));
        };
        let key = key.trim_end();
        // Not shown: what stands there may be a part of a password with spaces in it.
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(refused(
                "a word in it has no =: it must be pairs of KEY=VALUE, and a value with spaces stands in single quotes",
            ));
        }
        let (value, after) = value_of(key, after.trim_start())?;
        put(&mut pairs, key, value);
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// Takes a value, which may be in single quotes; a backslash keeps the meaning from the character behind it.
fn value_of<'t>(key: &str, text: &'t str) -> Result<(String, &'t str), ConnectError> {
    let (is_quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = String::new();
    let mut chars: Chars<'_> = body.chars();
    loop {
        let here = chars.as_str();
        match chars.next() {
            Some('\\') => value.extend(chars.next()),
            Some('\'') if is_quoted => return Ok((value, chars.as_str())),
            Some(c) if !is_quoted && c.is_whitespace() => return Ok((value, here)),
            Some(c) => value.push(c),
            None if is_quoted => {
                return Err(refused(format!("the quoted value of {key} has no end")));
            }
            None => return Ok((value, "")),
        }
    }
}

/// Reads what stands behind `postgres://`.
fn of_uri(text: &str) -> Result<Vec<(String, String)>, ConnectError> {
    let mut pairs = Vec::new();
    // As with libpq: an @ or a / of a password has to be encoded.
    let authority = text.split('/').next().unwrap_or_default();
    let rest = match authority.split_once('@') {
        None => text,
        Some((credentials, _)) => {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            for (key, value) in [("user", user), ("password", password)] {
                if !value.is_empty() {
                    put(&mut pairs, key, decoded(key, value)?);
                }
            }
            text.get(credentials.len() + 1..).unwrap_or_default()
        }
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
    // What stands there may be a part of a password.
    if hosts.contains('@') || database.contains('@') {
        return Err(refused(
            "there is more than one @ before the host, or one behind the first /: in a user, a password or the name of a database @ is written as %40, and / as %2F",
        ));
    }
    if !hosts.is_empty() {
        let (hosts, ports) = hosts_of(hosts)?;
        put(&mut pairs, "host", hosts);
        if ports.bytes().any(|byte| byte != b',') {
            put(&mut pairs, "port", ports);
        }
    }
    if !database.is_empty() {
        put(&mut pairs, "dbname", decoded("dbname", database)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(refused(
                "an option behind the ? has no =: they are OPTION=VALUE with & between them",
            ));
        };
        let (key, value) = (decoded("an option", key)?, decoded(key, value)?);
        match (key.as_str(), value.as_str()) {
            // As drivers for Java write it; so does libpq take it.
            ("ssl", "true") => put(&mut pairs, "sslmode", "require".to_owned()),
            _ => put(&mut pairs, &key, value),
        }
    }
    Ok(pairs)
}

/// Reads `HOST:PORT,HOST:PORT` as the lists of hosts and of ports.
fn hosts_of(text: &str) -> Result<(String, String), ConnectError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for item in text.split(',') {
        let (host, port) = match item.strip_prefix('[') {
            Some(rest) => {
                let Some((address, rest)) = rest.split_once(']') else {
                    return Err(refused("an IPv6 address of a host has a [ and no ]"));
                };
                match (rest, rest.strip_prefix(':')) {
                    ("", _) => (address, ""),
                    (_, Some(port)) => (address, port),
                    _ => {
                        return Err(refused(
                            "what follows the ] of an IPv6 address must be : and a port",
                        ));
                    }
                }
            }
            None => item.split_once(':').unwrap_or((item, "")),
        };
        hosts.push(decoded("host", host)?);
        ports.push(decoded("port", port)?);
    }
    Ok((hosts.join(","), ports.join(",")))
}

/// Decodes what is percent-encoded.
fn decoded(what: &str, text: &str) -> Result<String, ConnectError> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let is_code =
            after.get(..2).is_some_and(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        if !is_code {
            return Err(refused(format!(
                "a % in {what} is not followed by two hexadecimal digits: the character % itself is written as %25"
            )));
        }
        rest = after.get(2..).unwrap_or_default();
    }
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| refused(format!("{what} is not UTF-8")))?;
    if text.contains('\0') {
        return Err(refused(format!("{what} holds %00")));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is read is shown so that it is read as the same, and without the password.
        #[test]
        fn what_is_shown_is_read_as_the_same(
            text in r"(postgres://)?([a-z%2Fä @:/?&=',\\\[\]]|host=|port=|user=|password=|options='){0,30}"
        ) {
            let Ok(string) = text.parse::<ConnectionString>() else { return Ok(()) };
            let shown = string.to_string();
            let again: ConnectionString = shown.parse().unwrap();
            let known = |string: &ConnectionString| {
                let pairs = string.pairs.iter().filter(|(key, _)| !is_secret(key));
                pairs.cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(known(&again), known(&string));
            prop_assert_eq!(again.to_string(), shown);
        }
    }

    /// Reads a text, and shows what was found, but for the password.
    fn read(text: &str) -> String {
        text.parse::<ConnectionString>().map_or_else(|e| format!("error: {e}"), |s| s.to_string())
    }

    #[test]
    fn both_forms_are_read_as_libpq_reads_them() {
        for (text, want) in [
            ("postgres://u@h/d", "user=u host=h dbname=d"),
            ("postgresql://u@h:5433/d", "user=u host=h port=5433 dbname=d"),
            ("postgres://h", "host=h"),
            ("postgres://h/", "host=h"),
            ("postgres://u:p@h/d", "user=u password=*** host=h dbname=d"),
            ("postgres://u:p:q@h", "user=u password=*** host=h"),
            ("postgres://u:@h", "user=u host=h"),
            ("postgres://u%40x:%2F%40@h", "user=u@x password=*** host=h"),
            ("postgres://a:1,b:2/db", "host=a,b port=1,2 dbname=db"),
            ("postgres://a,b:2/db", "host=a,b port=,2 dbname=db"),
            ("postgres://[::1]:5433,b/db", "host=::1,b port=5433, dbname=db"),
            ("postgres:///db?host=/run/pg&port=5433", "dbname=db host=/run/pg port=5433"),
            ("postgres://%2Frun%2Fpg/db", "host=/run/pg dbname=db"),
            ("postgres://h/d?sslmode=disable&user=x", "host=h dbname=d sslmode=disable user=x"),
            ("postgres://a/d?host=b", "host=b dbname=d"),
            ("postgres://h?ssl=true", "host=h sslmode=require"),
            ("postgres://h/d?application_name=a%20b", "host=h dbname=d application_name='a b'"),
            ("postgres://h/a%25b", "host=h dbname=a%b"),
            ("host=h user=u", "host=h user=u"),
            ("  host = h   user='u v' ", "host=h user='u v'"),
            ("host=a,b port=5432,5433", "host=a,b port=5432,5433"),
            (r"host=h password='a\'b\\c d' dbname=d", "host=h password=*** dbname=d"),
            (r"host=h user=a\ b", "host=h user='a b'"),
            ("host=h user=''", "host=h user=''"),
            ("host=h user=a user=b", "host=h user=b"),
        ] {
            assert_eq!(read(text), want, "{text}");
            // What is shown is read as the same.
            assert_eq!(read(want), want, "{text}");
        }
        let secret = |text: &str| text.parse::<ConnectionString>().unwrap().options.password;
        for (text, want) in [
            ("postgres://u:p%2F%40w@h", "p/@w"),
            (r"host=h password='a\'b\\c d'", r"a'b\c d"),
            (r"host=h password=a\ b=c", "a b=c"),
            ("postgres://h?password=x%26y", "x&y"),
        ] {
            assert_eq!(secret(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, want) in [
            ("", "names no host"),
            ("h", "must be a URI that begins with postgres://"),
            ("mysql://u:s3cret@h/d", "it must begin with postgres://"),
            ("host=h password=s3cret s3cret2 user=u", "a word in it has no ="),
            ("host=h password='s3cret", "the quoted value of password has no end"),
            ("postgres://u:s3cret@x@h/d", "@ is written as %40, and / as %2F"),
            ("postgres://u:s3cret/x@h/d", "@ is written as %40, and / as %2F"),
            ("postgres://u:5432/s3cret@h/d", "@ is written as %40, and / as %2F"),
            ("postgres://u:s3cret%zz@h/d", "a % in password is not followed by two"),
            ("postgres://u:s3cret%ff@h/d", "password is not UTF-8"),
            ("postgres://h/d?sslmode", "has no ="),
            ("postgres://[::1/d", "has a [ and no ]"),
            ("postgres://[::1]x/d", "must be : and a port"),
            ("postgres://h/d%00", "dbname holds %00"),
            ("host=h sslpassword=s3cret", "sslpassword"),
            ("host=h pasword=s3cret", "pasword"),
        ] {
            let got = read(text);
            assert!(got.contains(want) && got.starts_with("error"), "{text}: {got}");
            assert!(!got.contains("s3cret"), "{got}");
        }
        let string: ConnectionString = "host=h password=s3cret".parse().unwrap();
        assert!(!format!("{string} {string:?}").contains("s3cret"));
    }
}
