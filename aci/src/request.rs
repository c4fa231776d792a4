//! Requests, in any of the ten forms that clients send, as one action with its parameters.
//!
//! Parameters come in the path without a `?`, in the query, and in the body (form, form under a wrong content type,
//! multipart, or one pair per line), freely mixed (observed). [`super::catalog`] validates them.

use std::borrow::Cow;
use std::fmt;
use std::string::FromUtf8Error;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::error::AciError;
use super::multipart::{is_multipart, read_parts};
use super::response::ResponseFormat;
use super::words::shorten;

/// Largest number of pairs of one request (our choice).
pub const MAX_PAIRS: usize = 10_000;

/// The prefix of the parameters that the server itself gives to its actions: no client may send one.
pub const RESERVED: &str = "actiond:";

/// Characters that a form or a query does not encode.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// Encodes a name or a value for a form or a query.
///
/// ```
/// use actiond_aci::request::encoded;
/// assert_eq!(encoded("a & ä").to_string(), "a%20%26%20%C3%A4");
/// ```
pub fn encoded(text: &(impl AsRef<[u8]> + ?Sized)) -> impl fmt::Display + '_ {
    percent_encode(text.as_ref(), FORM)
}

/// Returns true if a parameter of this name is the server's own.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
}

/// The longest name that a line of the line form may have.
const MAX_LINE_NAME: usize = 200;

/// A request as it came over HTTP.
#[derive(Debug, Clone, Copy)]
pub struct RawRequest<'a> {
    /// The target of the request line, never normalised: it is data, not a path.
    pub target: &'a str,
    /// The content type of the body.
    pub content_type: Option<&'a str>,
    /// The body; empty if there is none.
    pub body: &'a [u8],
    /// The longest target in bytes (`MaxInputString`). A percent-encoded byte counts once.
    pub max_input_string: usize,
    /// The longest body in bytes (`MaxFileUploadSize`); `usize::MAX` for no limit.
    pub max_upload: usize,
}

/// A request that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The action's name as the client spelled it; never empty.
    pub action: String,
    /// All parameters but the action, `ActionID` and `ResponseFormat` included; those of the URL come first.
    pub pairs: Pairs,
    /// The form of the reply.
    pub format: ResponseFormat,
    /// The client's name for this request, if it gave one.
    pub action_id: Option<String>,
}

/// A request that could not be read, with everything that the reply to it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The action's name as far as it is known; may be empty.
    pub action: String,
    /// The form of the reply as far as it is known.
    pub format: ResponseFormat,
    /// The client's name for this request, if it gave one.
    pub action_id: Option<String>,
    /// The error.
    pub error: Box<AciError>,
}

/// Parameters in the order in which they were sent; names are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, PairValue)>);

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairValue {
    /// Text.
    Text(String),
    /// A part of a multipart body that is not UTF-8.
    Bytes(Vec<u8>),
}

impl Pairs {
    /// Returns the text under this name; of several the last counts. Empty text counts as given, bytes are no text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            PairValue::Text(text) => Some(text),
            PairValue::Bytes(_) => None,
        }
    }

    /// Returns the text under this name without white space around it, if any is left: clients send a value that they do
    /// not have as `name=` (observed).
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns the value under this name; of several the last counts.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&PairValue> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Takes the value under this name out; of several the last counts.
    pub fn take(&mut self, name: &str) -> Option<PairValue> {
        let place = self.0.iter().rposition(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(self.0.remove(place).1)
    }

    /// Goes through all pairs in order, repeated names included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &PairValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Adds a pair at the end.
    pub fn push(&mut self, name: impl Into<String>, value: PairValue) {
        self.0.push((name.into(), value));
    }

    /// Returns the number of pairs.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there is no pair.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<(String, PairValue)>> for Pairs {
    fn from(pairs: Vec<(String, PairValue)>) -> Self {
        Self(pairs)
    }
}

impl<N: Into<String>, V: Into<PairValue>, const COUNT: usize> From<[(N, V); COUNT]> for Pairs {
    fn from(pairs: [(N, V); COUNT]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl From<&str> for PairValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for PairValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for PairValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl IntoIterator for Pairs {
    type Item = (String, PairValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), PairValue::Text(value.into())))
                .collect(),
        )
    }
}

/// Reads a request.
///
/// # Errors
/// [`Rejected`] if the target or body is too long, there are more than [`MAX_PAIRS`] pairs, a name or value is not
/// UTF-8, a multipart body is not well formed, the response format is unknown, or no action is named. The rest of the
/// request is still looked at, so that the error goes back in the form that the client asked for.
pub fn parse(raw: &RawRequest<'_>) -> Result<Request, Rejected> {
    let mut pairs = Pairs::default();
    let mut fault = Ok(());
    let mut note =
        |result: Result<(), AciError>| fault = std::mem::replace(&mut fault, Ok(())).and(result);
    // Nearly all are short enough as they stand.
    if raw.target.len() > raw.max_input_string
        && let length = percent_encoding::percent_decode_str(raw.target).count()
        && length > raw.max_input_string
    {
        let what = "bytes of the request target (MaxInputString)";
        note(Err(too_long(what, length, raw.max_input_string)));
    }
    for text in parameter_texts(raw.target) {
        note(read_form(text.as_bytes(), &mut pairs));
    }
    if raw.body.len() > raw.max_upload {
        note(Err(too_long(
            "bytes of the request body (MaxFileUploadSize)",
            raw.body.len(),
            raw.max_upload,
        )));
    } else if let Some(content_type) =
        raw.content_type.filter(|content_type| is_multipart(content_type))
    {
        note(read_parts(content_type, raw.body, &mut pairs));
    } else {
        note(read_body(raw.body, &mut pairs));
    }

    let (format, known_format) = match pairs.given("ResponseFormat") {
        None => (ResponseFormat::Xml, Ok(())),
        Some(text) => match ResponseFormat::parse(text) {
            Some(format) => (format, Ok(())),
            None => {
                let allowed = ResponseFormat::NAMES.join(", ");
                (ResponseFormat::Xml, Err(AciError::invalid("ResponseFormat", text, &allowed)))
            }
        },
    };
    note(known_format);
    // `a` is the action only where no `action` is, so that an action may have a parameter `a`.
    let name = if pairs.given("action").is_some() { "action" } else { "a" };
    let action = pairs.given(name).unwrap_or_default().to_owned();
    if action.is_empty() {
        note(Err(AciError::missing(
            "action",
            "the name of an action, such as action=GetVersion; action=Help lists them",
        )));
    }
    let action_id = pairs.given("ActionID").map(ToOwned::to_owned);
    if let Err(error) = fault {
        return Err(Rejected { action, format, action_id, error: Box::new(error) });
    }
    pairs.0.retain(|(known, _)| {
        !known.eq_ignore_ascii_case("action") && !known.eq_ignore_ascii_case(name)
    });
    Ok(Request { action, pairs, format, action_id })
}

/// Reads parameters as a query string has them: `Name=Ada&Text=Good%20night`.
///
/// # Errors
/// [`AciError::malformed`] if a name or value is not UTF-8 where it is decoded, or if there are more than [`MAX_PAIRS`].
pub fn parse_query(text: &str) -> Result<Pairs, AciError> {
    let mut pairs = Pairs::default();
    read_form(text.as_bytes(), &mut pairs).map(|()| pairs)
}

/// Finds the parts of a target that hold parameters. The part before the first `?` does if it has a `=`; the part after it
/// holds more of them, unless the `?` belongs to a value (our choice).
fn parameter_texts(target: &str) -> [&str; 2] {
    let path = without_authority(target).trim_start_matches('/');
    let (before, behind) = path.split_once('?').unwrap_or((path, ""));
    if !before.contains('=') {
        [behind, ""]
    } else if separates(before, behind) {
        [before, behind]
    } else {
        [path, ""]
    }
}

/// Returns true if the first `?` of a target, after parameters in the path, begins a query.
///
/// That is its meaning in HTTP, and so for tools that add parameters to an address: they put a `?` after one that has
/// none (curl's `-G`, `params=` of Python's requests). But people also write a value as it is, and then the `?` is one of
/// an address, of a file name or of a sentence. No action's name has one.
fn separates(before: &str, behind: &str) -> bool {
    let split = |pair| str::split_once(pair, '=').unwrap_or((pair, ""));
    let is = |name: &str, wanted: &str| name.eq_ignore_ascii_case(wanted);
    let (name, value) = split(before.rsplit('&').next().unwrap_or_default());
    let has_action = || before.split('&').any(|pair| is(split(pair).0, "action"));
    if is(name, "action") || (is(name, "a") && !has_action()) {
        return true;
    }
    // Tools encode what they add; of an address that was encoded before, none of these is left.
    !value.contains(['/', '\\', ':']) && begins_with_name(behind.as_bytes())
}

/// Drops the `http://host` of an absolute target, as a proxy sends it.
#[must_use]
pub fn without_authority(target: &str) -> &str {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let Some(rest) = scheme.and_then(|scheme| target.get(scheme.len()..)) else { return target };
    rest.find(['/', '?']).and_then(|end| rest.get(end..)).unwrap_or_default()
}

/// Reads a body that is not multipart, whatever its content type says: clients label forms as plain text (observed).
fn read_body(body: &[u8], pairs: &mut Pairs) -> Result<(), AciError> {
    let end = body
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
        .map_or(0, |last| last.saturating_add(1));
    let body = body.get(..end).unwrap_or_default();
    if !is_line_form(body) {
        return read_form(body, pairs);
    }
    let mut fault = Ok(());
    for line in lines(body) {
        fault = fault.and(read_pair(line, pairs));
    }
    fault
}

/// Returns true if a body has one `name=value` on each line. Any other line break belongs to a value.
fn is_line_form(body: &[u8]) -> bool {
    let mut count = 0_usize;
    lines(body).all(|line| {
        count = count.saturating_add(1);
        (count > 1 || !line.contains(&b'&')) && begins_with_name(line)
    }) && count > 1
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty())
}

fn begins_with_name(line: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.[]%".contains(byte);
    let name = line.iter().take(MAX_LINE_NAME).take_while(|byte| is_name(byte)).count();
    name > 0 && line.get(name) == Some(&b'=')
}

/// Reads pairs between `&`; a faulty one does not keep the rest from being read.
fn read_form(text: &[u8], pairs: &mut Pairs) -> Result<(), AciError> {
    let mut fault = Ok(());
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() >= MAX_PAIRS {
            return fault.and(Err(too_many_pairs()));
        }
        fault = fault.and(read_pair(pair, pairs));
    }
    fault
}

/// Reads one pair, split at its first `=`: values such as tokens have more of them.
fn read_pair(pair: &[u8], pairs: &mut Pairs) -> Result<(), AciError> {
    if pairs.len() >= MAX_PAIRS {
        return Err(too_many_pairs());
    }
    let (name, value) =
        match pair.iter().position(|byte| *byte == b'=').and_then(|at| pair.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
            None => (pair, [].as_slice()),
        };
    let name = decode(name).map_err(|error| {
        let name = String::from_utf8_lossy(error.as_bytes());
        // What is behind an encoded `=` was meant as a value.
        let name = name.split('=').next().unwrap_or_default();
        AciError::malformed(&format!(
            "the name of a parameter, '{}', is not percent-encoded UTF-8.",
            shorten(name)
        ))
    })?;
    // The value is not repeated: it may be a secret, of which nobody would find what is left of it.
    let value = decode(value)
        .map_err(|_| AciError::invalid(&name, "(not UTF-8)", "percent-encoded UTF-8"))?;
    pairs.push(name, PairValue::Text(value));
    Ok(())
}

/// Decodes `+` and percent sequences; malformed ones stay as they are. The error has the bytes, which are not UTF-8.
fn decode(text: &[u8]) -> Result<String, FromUtf8Error> {
    let spaced: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect()
    } else {
        text.into()
    };
    let decoded = Cow::from(percent_encoding::percent_decode(&spaced)).into_owned();
    String::from_utf8(decoded)
}

/// The error for a request of more than [`MAX_PAIRS`] pairs.
pub(crate) fn too_many_pairs() -> AciError {
    too_long("number of parameters", MAX_PAIRS.saturating_add(1), MAX_PAIRS)
}

fn too_long(what: &str, size: usize, limit: usize) -> AciError {
    AciError::too_large(
        what,
        u64::try_from(size).unwrap_or(u64::MAX),
        u64::try_from(limit).unwrap_or(u64::MAX),
    )
}

#[cfg(test)]
mod tests;
