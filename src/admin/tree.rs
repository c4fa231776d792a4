//! Reading of replies: elements by their names, as pages need them.

use crate::aci::client::tree::{attribute as find_attribute, is, value};
pub(super) use crate::aci::client::tree::{children, first, text_of};
use crate::aci::element::Element;

/// Returns the elements of this name.
pub(super) fn all<'a>(
    elements: &'a [Element],
    name: &'a str,
) -> impl DoubleEndedIterator<Item = &'a Element> {
    elements.iter().filter(move |element| is(element, name))
}

/// Returns the text of the first element of this name, or an empty one.
pub(super) fn text(elements: &[Element], name: &str) -> String {
    first(elements, name).map(text_of).unwrap_or_default().to_owned()
}

/// Returns the number in the first element of this name, or 0.
pub(super) fn number(elements: &[Element], name: &str) -> u64 {
    value(elements, name).unwrap_or_default()
}

/// Returns an attribute, or an empty text.
pub(super) fn attribute<'a>(element: &'a Element, name: &str) -> &'a str {
    find_attribute(element, name).unwrap_or_default()
}

/// Returns the name of an element without its prefix.
pub(super) fn local(element: &Element) -> &str {
    element.name.rsplit(':').next().unwrap_or_default()
}
