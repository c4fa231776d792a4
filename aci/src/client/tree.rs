//! Search in replies by names of elements, in any case and with or without the prefix `autn:`, as other clients do it
//! (observed).

use std::str::FromStr;
use std::time::Duration;

use crate::element::{Content, Element};

/// Returns true if an element has this name.
#[must_use]
pub fn is(element: &Element, name: &str) -> bool {
    let local = element.name.rsplit(':').next().unwrap_or_default();
    local.eq_ignore_ascii_case(name)
}

/// Returns the child elements.
#[must_use]
pub fn children(element: &Element) -> &[Element] {
    match &element.content {
        Content::Elements(elements) => elements,
        Content::Text(_) => &[],
    }
}

/// Takes the child elements.
#[must_use]
pub fn into_children(element: Element) -> Vec<Element> {
    match element.content {
        Content::Elements(elements) => elements,
        Content::Text(_) => Vec::new(),
    }
}

/// Takes the first element of this name.
#[must_use]
pub fn take(mut elements: Vec<Element>, name: &str) -> Option<Element> {
    let at = elements.iter().position(|element| is(element, name))?;
    Some(elements.swap_remove(at))
}

/// Returns the first child element of this name.
#[must_use]
pub fn child<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    first(children(element), name)
}

/// Returns the first element of this name.
#[must_use]
pub fn first<'a>(elements: &'a [Element], name: &str) -> Option<&'a Element> {
    elements.iter().find(|element| is(element, name))
}

/// Returns the text of an element; that of one with child elements is empty.
#[must_use]
pub fn text_of(element: &Element) -> &str {
    match &element.content {
        Content::Text(text) => text,
        Content::Elements(_) => "",
    }
}

/// Returns the value of an attribute.
#[must_use]
pub fn attribute<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    let mut attributes = element.attributes.iter();
    attributes.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
}

/// Parses the text of the first element of this name, if there is one and it can be parsed.
#[must_use]
pub fn value<T: FromStr>(elements: &[Element], name: &str) -> Option<T> {
    text_of(first(elements, name)?).trim().parse().ok()
}

/// Reads a number of seconds.
#[must_use]
pub fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}
