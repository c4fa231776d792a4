//! The tree that every reply is made of, and its form in XML.
//!
//! Names and texts may come from anywhere (clients, results of users' code), so none is trusted: what XML 1.0 forbids is
//! replaced, since one bad character would make the whole reply unreadable. For the same tree as JSON see [`super::json`].

use std::borrow::Cow;
use std::collections::HashSet;

/// Depth at which elements are written without their content, so that the stack stays bounded.
///
/// Code that builds a tree from foreign data should keep to it too: dropping a tree takes stack in proportion to its depth.
pub const MAX_DEPTH: usize = 200;

/// Largest total length of an element's attributes as they are written, in UTF-16 code units.
///
/// Woodstox, the XML reader of many Java clients, rejects a whole reply for an attribute of over 524,288; before version 6.0.3
/// it counted all attributes of an element together.
pub const MAX_ATTRIBUTES: usize = 500_000;

/// The only prefix that a name may carry; each reply's root binds it.
const PREFIX: &str = "autn:";

/// Replacement for a character that XML 1.0 forbids.
const REPLACEMENT: &str = "\u{FFFD}";

/// An element of a reply: a name, attributes, and either text or further elements.
///
/// ```
/// use actiond_aci::element::Element;
/// let mut xml = Vec::new();
/// Element::new("tasks").child(Element::text("success", "DIR1 & DIR2")).write_xml(&mut xml);
/// assert_eq!(xml, b"<tasks><success>DIR1 &amp; DIR2</success></tasks>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The name, with the prefix `autn:` where the protocol has it; what XML forbids is mended when it is written.
    pub name: Cow<'static, str>,
    /// Attributes in the order they are written; of two with one name only the first is. Values that are longer than
    /// [`MAX_ATTRIBUTES`] together are cut, and say so.
    pub attributes: Vec<(Cow<'static, str>, String)>,
    /// Text, or further elements.
    pub content: Content,
}

/// The content of an [`Element`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text, kept to the letter but for characters that XML forbids.
    Text(String),
    /// Further elements, in order.
    Elements(Vec<Element>),
}

impl Element {
    /// Makes an element that holds nothing yet.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), attributes: Vec::new(), content: Content::Elements(Vec::new()) }
    }

    /// Makes an element that holds text.
    #[must_use]
    pub fn text(name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { name: name.into(), attributes: Vec::new(), content: Content::Text(text.into()) }
    }

    /// Adds an attribute at the end.
    #[must_use]
    pub fn attribute(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Adds a child element at the end; text that it held is dropped.
    #[must_use]
    pub fn child(self, child: Self) -> Self {
        self.children(std::iter::once(child))
    }

    /// Adds child elements at the end; text that it held is dropped.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        match &mut self.content {
            Content::Elements(elements) => elements.extend(children),
            Content::Text(_) => self.content = Content::Elements(children.into_iter().collect()),
        }
        self
    }

    /// Appends the element as XML on one line: UTF-8, no white space between elements.
    ///
    /// An element that holds no elements is written `<name/>`, one that holds empty text `<name></name>`.
    pub fn write_xml(&self, out: &mut Vec<u8>) {
        self.write_xml_at(0, out);
    }

    /// Appends the element, which stands at this depth of the reply's data (0: directly under `responsedata`).
    pub(crate) fn write_xml_at(&self, depth: usize, out: &mut Vec<u8>) {
        let name = mended_name(&self.name);
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        each_attribute(&self.attributes, mended_name, |name, value| {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            escape_attribute(value, out);
            out.push(b'"');
        });
        match &self.content {
            Content::Elements(elements) if elements.is_empty() || depth >= MAX_DEPTH => {
                out.extend_from_slice(b"/>");
                return;
            }
            Content::Elements(elements) => {
                out.push(b'>');
                for element in elements {
                    element.write_xml_at(depth.saturating_add(1), out);
                }
            }
            Content::Text(text) => {
                out.push(b'>');
                escape_text(text, out);
            }
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(name.as_bytes());
        out.push(b'>');
    }
}

/// Calls `write` with the new name and the value of each attribute, leaving out those whose new name came before:
/// neither XML nor JSON may repeat a name. Values are cut to what readers take.
pub fn each_attribute(
    attributes: &[(Cow<'static, str>, String)],
    rename: fn(&str) -> Cow<'_, str>,
    mut write: impl FnMut(&str, &str),
) {
    let mut room = MAX_ATTRIBUTES;
    let is_short = attributes.iter().map(|(_, value)| value.len()).sum::<usize>() <= room;
    let mut write = |name: &str, value: &str| match is_short {
        true => write(name, value),
        false => write(name, &cut(value, &mut room)),
    };
    // A list is quickest for the few attributes of real replies; a set keeps a result with thousands of them linear.
    const FEW: usize = 24;
    let mut few: Vec<Cow<'_, str>> = Vec::new();
    let mut many: HashSet<Cow<'_, str>> = HashSet::new();
    for (name, value) in attributes {
        let name = rename(name);
        if attributes.len() == 1 {
            write(&name, value);
        } else if attributes.len() <= FEW {
            if !few.contains(&name) {
                write(&name, value);
                few.push(name);
            }
        } else if !many.contains(&name) {
            write(&name, value);
            many.insert(name);
        }
    }
}

/// Returns true if the texts together have at most `limit` UTF-16 code units, of which there are never more than bytes.
pub(crate) fn utf16_fits<const N: usize>(texts: [&str; N], limit: usize) -> bool {
    texts.iter().map(|text| text.len()).sum::<usize>() <= limit
        || texts.iter().map(|text| text.encode_utf16().count()).sum::<usize>() <= limit
}

/// Cuts a text to the `room` that is left, and subtracts its length from that.
fn cut<'a>(text: &'a str, room: &mut usize) -> Cow<'a, str> {
    let mut length = 0_usize;
    let mut end = None;
    for (at, c) in text.char_indices() {
        length = length.saturating_add(c.len_utf16());
        if length > *room {
            end = end.or(Some(at));
        }
    }
    match end.and_then(|end| text.get(..end)) {
        None => {
            *room = room.saturating_sub(length);
            Cow::Borrowed(text)
        }
        Some(start) => {
            *room = 0;
            Cow::Owned(format!("{start}... (cut: it has {length} characters)"))
        }
    }
}

/// Returns the name as it is written in XML: `_` replaces each character that a name may not have.
///
/// A character that may stand inside a name but not begin it gets `_` in front; a prefix other than `autn:` loses its
/// colon, because no reader could resolve it. `xmlns` would change the meaning of names, so it is no plain name either.
#[must_use]
pub fn mended_name(name: &str) -> Cow<'_, str> {
    let (prefix, local) = match name.strip_prefix(PREFIX) {
        Some(local) => (PREFIX, local),
        None => ("", name),
    };
    let mut characters = local.chars();
    let begins_well = characters.next().is_some_and(may_begin_name) && local != "xmlns";
    if begins_well && characters.all(may_be_in_name) {
        return Cow::Borrowed(name);
    }
    let mut mended = String::with_capacity(name.len().saturating_add(1));
    mended.push_str(prefix);
    if !begins_well && local.chars().next().is_none_or(may_be_in_name) {
        mended.push('_');
    }
    mended.extend(local.chars().map(|c| if may_be_in_name(c) { c } else { '_' }));
    Cow::Owned(mended)
}

/// Returns the name as it is written in JSON: as in XML, without the prefix.
#[must_use]
pub fn json_name(name: &str) -> Cow<'_, str> {
    match mended_name(name) {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_prefix(PREFIX).unwrap_or(name)),
        Cow::Owned(name) => Cow::Owned(name.strip_prefix(PREFIX).unwrap_or(&name).to_owned()),
    }
}

/// Returns true for the letters that may begin a name in every edition of XML 1.0: the fifth allows far more than the
/// fourth, which Java's usual reader and expat still follow.
fn may_begin_name(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '_'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{131}' | '\u{134}'..='\u{13E}' | '\u{141}'..='\u{148}'
        | '\u{14A}'..='\u{17E}' | '\u{38E}'..='\u{3A1}' | '\u{3A3}'..='\u{3CE}' | '\u{40E}'..='\u{44F}'
        | '\u{5D0}'..='\u{5EA}' | '\u{641}'..='\u{64A}' | '\u{3041}'..='\u{3094}' | '\u{30A1}'..='\u{30FA}'
        | '\u{4E00}'..='\u{9FA5}' | '\u{AC00}'..='\u{D7A3}')
}

fn may_be_in_name(c: char) -> bool {
    may_begin_name(c) || matches!(c, '0'..='9' | '-' | '.')
}

/// Appends text with what XML needs escaped; a carriage return as a reference, or readers would make it a line feed.
pub fn escape_text(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |byte| match byte {
        b'\t' | b'\n' | b'"' => None,
        byte => reference(byte),
    });
}

/// Appends an attribute's value for double quotes; line ends and tabs as references, or readers would make them spaces.
pub fn escape_attribute(text: &str, out: &mut Vec<u8>) {
    escape(text, out, reference);
}

fn reference(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        0..0x20 => Some(REPLACEMENT),
        _ => None,
    }
}

/// Copies the runs between the bytes for which `instead` has something else, in one pass.
fn escape(text: &str, out: &mut Vec<u8>, instead: impl Fn(u8) -> Option<&'static str>) {
    out.reserve(text.len());
    let mut rest = text.as_bytes();
    // 0xEF begins U+FFFE and U+FFFF, which XML forbids, and many characters that it allows.
    while let Some(at) = rest.iter().position(|&byte| byte == 0xEF || instead(byte).is_some()) {
        let (run, tail) = rest.split_at(at);
        out.extend_from_slice(run);
        rest = match tail {
            [0xEF, 0xBF, 0xBE | 0xBF, after @ ..] => {
                out.extend_from_slice(REPLACEMENT.as_bytes());
                after
            }
            [byte, after @ ..] => {
                match instead(*byte) {
                    Some(text) => out.extend_from_slice(text.as_bytes()),
                    None => out.push(*byte),
                }
                after
            }
            [] => tail,
        };
    }
    out.extend_from_slice(rest);
}

/// Returns the text with U+FFFD for each character that XML 1.0 forbids, for places where nothing else is escaped.
#[must_use]
pub fn legal_text(text: &str) -> Cow<'_, str> {
    if is_legal(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.replace(is_forbidden, REPLACEMENT))
    }
}

/// Returns true if XML 1.0 can carry a text as it is.
pub(crate) fn is_legal(text: &str) -> bool {
    !text.contains(is_forbidden)
}

fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

#[cfg(test)]
mod tests;
