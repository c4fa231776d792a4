//! Reads a reply: XML into a tree, and the envelope around it.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

use super::fault::{Fault, Refusal};
use super::tree::{child, children, into_children, is, text_of};
use crate::element::{Content, Element, MAX_DEPTH};
use crate::words::shorten;

/// The envelope around the data: root, `responsedata`, and one more for what stands beside it.
const ENVELOPE: usize = 3;

/// The reply of an action that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The action as the server calls it: in upper case.
    pub action: String,
    /// The elements in `responsedata`.
    pub data: Vec<Element>,
}

impl Reply {
    /// Reads a reply in XML.
    ///
    /// Of an element that holds others, text beside them is dropped. Nothing that a document type declares is used.
    ///
    /// # Errors
    /// [`Fault::NotAci`] if it is not the XML of a reply or nested deeper than one may be; [`Fault::Refused`] if it tells
    /// of an error.
    pub fn read(xml: &str) -> Result<Self, Fault> {
        let not_aci = || Fault::NotAci(shorten(xml.trim()).into_owned());
        let root = tree(xml).filter(|root| is(root, "autnresponse")).ok_or_else(not_aci)?;
        let text = |name| child(&root, name).map(text_of).unwrap_or_default().trim();
        let is_success = match text("response") {
            word if word.eq_ignore_ascii_case("SUCCESS") => true,
            word if word.eq_ignore_ascii_case("ERROR") => false,
            _ => return Err(not_aci()),
        };
        let action = text("action").to_owned();
        let mut beside = into_children(root);
        let data = beside.iter().position(|element| is(element, "responsedata"));
        let data = data.map(|at| into_children(beside.swap_remove(at))).unwrap_or_default();
        if is_success {
            return Ok(Self { action, data });
        }
        let error = data.iter().chain(&beside).find(|element| is(element, "error"));
        Err(Fault::Refused(Box::new(error.map(Refusal::read).unwrap_or_default())))
    }
}

/// An element whose end has not been read yet.
struct Open {
    element: Element,
    text: String,
}

/// Reads the one element that a document is; `None` if it is not well formed, or too deep.
fn tree(xml: &str) -> Option<Element> {
    let mut reader = Reader::from_str(xml.trim_start_matches('\u{FEFF}'));
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        let closed = match reader.read_event().ok()? {
            Event::Start(start) => {
                if root.is_some() || open.len() >= MAX_DEPTH + ENVELOPE {
                    return None;
                }
                open.push(Open { element: element(&start)?, text: String::new() });
                continue;
            }
            Event::Empty(start) => element(&start)?,
            Event::End(_) => {
                let Open { mut element, text } = open.pop()?;
                if children(&element).is_empty() && !text.is_empty() {
                    element.content = Content::Text(text);
                }
                element
            }
            Event::Text(text) => {
                add(&mut open, &text.xml10_content())?;
                continue;
            }
            Event::CData(text) => {
                add(&mut open, &text.xml10_content())?;
                continue;
            }
            Event::GeneralRef(name) => {
                add(&mut open, &unescape(&format!("&{};", &*name)).ok()?)?;
                continue;
            }
            Event::Eof => return root.filter(|_| open.is_empty()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => continue,
        };
        match open.last_mut() {
            Some(Open {
                element: Element { content: Content::Elements(elements), .. }, ..
            }) => {
                elements.push(closed);
            }
            _ if root.is_some() => return None,
            _ => root = Some(closed),
        }
    }
}

/// Adds text to the innermost open element; outside of any there may be white space only.
fn add(open: &mut [Open], text: &str) -> Option<()> {
    match open.last_mut() {
        Some(open) => open.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

fn element(start: &BytesStart<'_>) -> Option<Element> {
    let mut element = Element::new(start.name().as_ref().to_owned());
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).ok()?;
        element = element.attribute(attribute.key.as_ref().to_owned(), value);
    }
    Some(element)
}
