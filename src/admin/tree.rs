//! Reading of replies: elements by their names, as the page needs them.

use crate::aci::element::{Content, Element};

/// Returns the elements in an element.
pub(super) fn children(element: &Element) -> &[Element] {
    match &element.content {
        Content::Elements(elements) => elements,
        Content::Text(_) => &[],
    }
}

/// Returns the first of these elements of this name, with the prefix `autn:` or without.
pub(super) fn first<'a>(elements: &'a [Element], name: &str) -> Option<&'a Element> {
    elements.iter().find(|element| local(element) == name)
}

/// Returns the elements of this name.
pub(super) fn all<'a>(
    elements: &'a [Element],
    name: &'a str,
) -> impl DoubleEndedIterator<Item = &'a Element> {
    elements.iter().filter(move |element| local(element) == name)
}

/// Returns the text of an element; that of one that holds others is empty.
pub(super) fn text_of(element: &Element) -> &str {
    match &element.content {
        Content::Text(text) => text,
        Content::Elements(_) => "",
    }
}

/// Returns the text of the first element of this name, or an empty one.
pub(super) fn text(elements: &[Element], name: &str) -> String {
    first(elements, name).map(text_of).unwrap_or_default().to_owned()
}

/// Returns the number in the first element of this name, or 0.
pub(super) fn number(elements: &[Element], name: &str) -> u64 {
    first(elements, name).and_then(|element| text_of(element).trim().parse().ok()).unwrap_or(0)
}

/// Returns an attribute, or an empty text.
pub(super) fn attribute<'a>(element: &'a Element, name: &str) -> &'a str {
    element.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// Returns the name of an element without its prefix.
pub(super) fn local(element: &Element) -> &str {
    element.name.rsplit(':').next().unwrap_or_default()
}
