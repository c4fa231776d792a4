//! A strict reader of small XML: it accepts only well-formed text, and every error has a position.
//!
//! quick-xml cuts the text into pieces and matches the tags; this adds the checks that it leaves to its caller, and our
//! limits: no DOCTYPE, no entities but the five, at most [`MAX_DEPTH`] levels and [`MAX_ATTRIBUTES`] attributes.
//! [`super::document`] knows the meaning of the elements.

use std::borrow::Cow;
use std::fmt;

use quick_xml::Reader;
use quick_xml::errors::IllFormedError;
use quick_xml::escape::{self, EscapeError};
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::shorten;

/// Deepest nesting of elements.
pub(crate) const MAX_DEPTH: usize = 64;

/// Largest number of attributes of an element: the check for duplicates takes their square in time.
pub(crate) const MAX_ATTRIBUTES: usize = 64;

/// An error in a text, and its position: line and column in characters, both from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The column in characters, from 1.
    pub(crate) column: usize,
    /// The error.
    pub(crate) message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    /// Makes an error at this byte offset of the text.
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            message: message.into(),
        }
    }
}

/// A piece of a document. An empty element comes as start and end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Start(Tag),
    Text(String),
    End,
    Done,
}

/// A start tag, with attribute values unescaped, and its byte offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) at: usize,
}

impl Tag {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The reader. After an error it must not be used again.
pub(crate) struct StrictReader<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    open: Vec<(String, usize)>,
    root_seen: bool,
    /// There may be more than one root element.
    is_sequence: bool,
}

impl<'a> StrictReader<'a> {
    /// Starts to read; a byte order mark is skipped.
    pub(crate) fn new(text: &'a str) -> Result<Self, ParseError> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        if let Some((at, bad)) = text.char_indices().find(|&(_, c)| !is_xml_char(c)) {
            return Err(ParseError::at(text, at, forbidden(bad)));
        }
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.check_comments = true;
        config.expand_empty_elements = true;
        Ok(Self { text, reader, open: Vec::new(), root_seen: false, is_sequence: false })
    }

    /// Starts to read a sequence of one or more elements; between them there may be white space, comments and instructions.
    pub(crate) fn of_sequence(text: &'a str) -> Result<Self, ParseError> {
        Ok(Self { is_sequence: true, ..Self::new(text)? })
    }

    /// Makes an error at this byte offset.
    pub(crate) fn error(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, at, message)
    }

    /// Returns the next piece; [`Piece::Done`] once the root element and all after it is read.
    pub(crate) fn next(&mut self) -> Result<Piece, ParseError> {
        loop {
            let at = self.offset();
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.syntax(&error)),
            };
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    return self.start(&start, at).map(Piece::Start);
                }
                Event::End(_) => {
                    self.open.pop();
                    return Ok(Piece::End);
                }
                Event::Text(text) => {
                    if let Some(i) = text.find("]]>") {
                        return Err(
                            self.error(at + i, "\"]]>\" must not stand in text; write ]]&gt;")
                        );
                    }
                    if !self.open.is_empty() {
                        return Ok(Piece::Text(text.xml10_content().into_owned()));
                    }
                    if let Some(i) = text.find(|c| !is_space(c)) {
                        return Err(self.outside(at + i, "text"));
                    }
                }
                Event::CData(data) => {
                    if self.open.is_empty() {
                        return Err(self.outside(at, "a CDATA section"));
                    }
                    return Ok(Piece::Text(data.xml10_content().into_owned()));
                }
                Event::GeneralRef(reference) => {
                    if self.open.is_empty() {
                        return Err(self.outside(at, "a reference"));
                    }
                    return self.resolve(&reference, at).map(|c| Piece::Text(c.to_string()));
                }
                Event::Comment(_) => {}
                Event::PI(instruction) => {
                    let target = instruction.target();
                    if !is_name(target) || target.eq_ignore_ascii_case("xml") {
                        let message =
                            format!("\"{}\" is no name for an instruction", shorten(target));
                        return Err(self.error(at, message));
                    }
                }
                Event::Decl(declaration) => self.declaration(&declaration, at)?,
                Event::DocType(_) => return Err(self.error(at, "a DOCTYPE is not allowed")),
                Event::Eof => return self.end_of_text(),
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, at: usize) -> Result<Tag, ParseError> {
        let name = start.name();
        let name: &str = name.as_ref();
        if !is_name(name) {
            return Err(self.error(at, format!("\"{}\" is no name for an element", shorten(name))));
        }
        if self.open.is_empty() && self.root_seen && !self.is_sequence {
            return Err(self.error(at, format!("a second root element, {}", shorten(name))));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(at, format!("elements nest deeper than {MAX_DEPTH} levels")));
        }
        let attributes = self.attributes(start, at + 1 + name.len())?;
        self.root_seen = true;
        self.open.push((name.to_owned(), at));
        Ok(Tag { name: name.to_owned(), attributes, at })
    }

    /// Reads the attributes of a tag; `base` is the offset of the text after its name.
    fn attributes(
        &self,
        start: &BytesStart<'_>,
        base: usize,
    ) -> Result<Vec<(String, String)>, ParseError> {
        let raw = start.attributes_raw();
        let mut all = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| self.error(base, attribute_fault(raw, &e)))?;
            let name: &str = attribute.key.as_ref();
            // The name is a piece of `raw`, so the difference of their addresses is its place.
            let within = (name.as_ptr() as usize).saturating_sub(raw.as_ptr() as usize);
            let at = base + within;
            let before = raw.get(..within).unwrap_or_default();
            if !before.is_empty() && !before.ends_with(is_space) {
                return Err(self.error(at, "white space is missing before an attribute"));
            }
            if !is_name(name) {
                return Err(
                    self.error(at, format!("\"{}\" is no name for an attribute", shorten(name)))
                );
            }
            if all.len() >= MAX_ATTRIBUTES {
                return Err(
                    self.error(at, format!("an element has more than {MAX_ATTRIBUTES} attributes"))
                );
            }
            if attribute.value.contains('<') {
                let name = shorten(name);
                let message = format!("\"<\" must not stand in the value of {name}; write &lt;");
                return Err(self.error(at, message));
            }
            let value = attribute_value(&attribute.value).map_err(|why| {
                self.error(at, format!("in the value of {}: {why}", shorten(name)))
            })?;
            all.push((name.to_owned(), value));
        }
        Ok(all)
    }

    fn resolve(&self, reference: &BytesRef<'_>, at: usize) -> Result<char, ParseError> {
        let name: &str = reference;
        let found = match reference.resolve_char_ref() {
            Ok(Some(c)) if is_xml_char(c) => Ok(c),
            Ok(Some(c)) => Err(forbidden(c)),
            Ok(None) => match name {
                "amp" => Ok('&'),
                "lt" => Ok('<'),
                "gt" => Ok('>'),
                "quot" => Ok('"'),
                "apos" => Ok('\''),
                _ => Err(unknown_entity(name)),
            },
            Err(_) => Err(format!("&{}; refers to no character", shorten(name))),
        };
        found.map_err(|message| self.error(at, message))
    }

    fn declaration(&self, declaration: &BytesDecl<'_>, at: usize) -> Result<(), ParseError> {
        if at != 0 {
            return Err(self.error(at, "an XML declaration may stand at the very start only"));
        }
        // quick-xml looks for what it needs and skips the rest.
        let start = BytesStart::from_content(&**declaration, "xml".len());
        let attributes = self.attributes(&start, at + "<?xml".len())?;
        let mut left = attributes.iter().map(|(n, v)| (n.as_str(), v.as_str())).peekable();
        let mut take = |name: &str| left.next_if(|(n, _)| *n == name).map(|(_, value)| value);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !take("version").and_then(|v| v.strip_prefix("1.")).is_some_and(is_number) {
            return Err(self.error(at, "an XML declaration begins with version=\"1.0\""));
        }
        if let Some(name) = take("encoding")
            && !["utf-8", "us-ascii"].iter().any(|k| name.eq_ignore_ascii_case(k))
        {
            let message = format!("encoding \"{}\" is not allowed; send UTF-8", shorten(name));
            return Err(self.error(at, message));
        }
        if take("standalone").is_some_and(|v| v != "yes" && v != "no")
            || left.next().is_some()
            || declaration.contains('&')
        {
            let message = "allowed in an XML declaration are version, encoding and standalone";
            return Err(self.error(at, message));
        }
        Ok(())
    }

    fn end_of_text(&self) -> Result<Piece, ParseError> {
        match self.open.last() {
            Some((name, at)) => {
                let opened = ParseError::at(self.text, *at, "");
                let message = format!(
                    "the text ends, but element {}, opened at line {}, column {}, is not closed",
                    shorten(name),
                    opened.line,
                    opened.column
                );
                Err(self.error(self.text.len(), message))
            }
            None if !self.root_seen => Err(self.error(self.text.len(), "there is no root element")),
            None => Ok(Piece::Done),
        }
    }

    fn outside(&self, at: usize, what: &str) -> ParseError {
        self.error(at, format!("{what} stands outside of the root element"))
    }

    fn syntax(&self, error: &quick_xml::Error) -> ParseError {
        let at = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
        let message = match error {
            quick_xml::Error::Syntax(error) => error.to_string(),
            // Names from outside may be of any length.
            quick_xml::Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
                let (expected, found) = (shorten(expected), shorten(found));
                format!("expected `</{expected}>`, but `</{found}>` was found")
            }
            quick_xml::Error::IllFormed(IllFormedError::UnmatchedEndTag(name)) => {
                format!("close tag `</{}>` does not match any open tag", shorten(name))
            }
            quick_xml::Error::IllFormed(error) => error.to_string(),
            other => other.to_string(),
        };
        self.error(at, message)
    }

    fn offset(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }
}

/// Unescapes an attribute's value as XML 1.0 section 3.3.3 has it: raw white space becomes a space, white space that is written
/// as a reference stays.
fn attribute_value(raw: &str) -> Result<String, String> {
    let spaced: Cow<'_, str> = if raw.contains(['\r', '\n', '\t']) {
        Cow::Owned(raw.replace("\r\n", " ").replace(['\r', '\n', '\t'], " "))
    } else {
        Cow::Borrowed(raw)
    };
    let value = escape::unescape(&spaced).map_err(|error| match error {
        EscapeError::UnrecognizedEntity(_, name) => unknown_entity(&name),
        EscapeError::UnterminatedEntity(_) => {
            "an \"&\" is not followed by a name and \";\"".to_owned()
        }
        _ => "a reference refers to no character".to_owned(),
    })?;
    match value.chars().find(|&c| !is_xml_char(c)) {
        Some(bad) => Err(forbidden(bad)),
        None => Ok(value.into_owned()),
    }
}

fn attribute_fault(raw: &str, error: &quick_xml::events::attributes::AttrError) -> String {
    use quick_xml::events::attributes::AttrError;
    let what = match error {
        AttrError::ExpectedEq(_) => "an attribute has no \"=\"",
        AttrError::ExpectedValue(_) => "an attribute has no value",
        AttrError::UnquotedValue(_) => "an attribute's value is not in quotes",
        AttrError::ExpectedQuote(..) => "an attribute's value is not closed",
        AttrError::Duplicated(..) => "an attribute is given twice",
    };
    format!("{what}: {}", shorten(raw.trim()))
}

fn unknown_entity(name: &str) -> String {
    format!(
        "entity &{}; is not allowed; allowed are amp, lt, gt, quot, apos and characters by number",
        shorten(name)
    )
}

fn forbidden(bad: char) -> String {
    format!("character U+{:04X} is not allowed in XML", u32::from(bad))
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Returns true if XML 1.0 allows the character (section 2.2).
pub(crate) const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Returns true if the text is a name (XML 1.0, section 2.3).
fn is_name(text: &str) -> bool {
    let starts = |c: char| {
        matches!(c, ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
            | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
            | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
            | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}')
    };
    let follows = |c: char| {
        starts(c)
            || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}'
                | '\u{203F}'..='\u{2040}')
    };
    text.starts_with(starts) && text.chars().all(follows)
}
