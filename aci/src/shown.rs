//! Parameters as replies show them: as they were sent, and marked wherever the form had to change.
//!
//! The usual form is that of real servers (observed): `<parameter name="N" value="V"/>`. What XML can't carry is in
//! base64, and marked as such; what readers would choke on in an attribute is text, or left out with its length (our
//! choice). The same tree is written as JSON, so both forms of a reply say the same.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::element::{MAX_ATTRIBUTES, is_legal, utf16_fits};
use super::request::PairValue;

/// Largest value that is shown, in bytes. Some readers take no text of over 10,000,000 bytes (libxml2 by default), so one value
/// could make a whole list unreadable.
const MAX_TEXT: usize = 9_000_000;

/// Number of characters that are kept free for attributes beside name and value.
const BESIDE: usize = 100;

/// Names of the elements in which `getStatus` tells how an action stands; its result stands beside them. A result that came
/// from outside should have none of them at its top, or readers take one for the other.
pub const STATUS_ELEMENTS: &[&str] = &[
    "status",
    "queued_time",
    "time_in_queue",
    "process_start_time",
    "time_processing",
    "process_end_time",
    "error",
    "priority",
    "position",
    "attempt",
    "next_attempt_time",
    "not_before",
    "history",
    "log",
    "worker",
    "last_word",
    "token",
];

/// A parameter as a reply shows it: an element `parameter` with these attributes and this text.
///
/// - `name` and `value`, as they were sent;
/// - `encoding="base64"` where the value is base64, because it is bytes or holds what XML forbids;
/// - `name_encoding="base64"`, likewise;
/// - `length`, in place of `value`, where the value is too long for an attribute: the number of bytes that were sent. The
///   value is the text of the element then, or left out if it would be longer than 9,000,000 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownParameter {
    /// In the order in which they are written.
    pub attributes: Vec<(Cow<'static, str>, String)>,
    /// The element's text, if it has any.
    pub text: Option<String>,
}

impl ShownParameter {
    /// Shows a parameter whose value is text.
    #[must_use]
    pub fn of_text(name: &str, value: &str) -> Self {
        if is_legal(value) {
            Self::new(name, value.len(), false, value.len(), || value.to_owned())
        } else {
            Self::of_bytes(name, value.as_bytes())
        }
    }

    /// Shows a parameter whose value is bytes.
    #[must_use]
    pub fn of_bytes(name: &str, value: &[u8]) -> Self {
        let shown = base64::encoded_len(value.len(), true).unwrap_or(usize::MAX);
        Self::new(name, value.len(), true, shown, || BASE64.encode(value))
    }

    /// Returns the parameter that is shown, as [`of_text`](Self::of_text) or [`of_bytes`](Self::of_bytes) got it. Bytes that
    /// are UTF-8 come back as text.
    ///
    /// `None` if the value was left out, or something marked as base64 is not base64.
    #[must_use]
    pub fn read(&self) -> Option<(String, PairValue)> {
        let find = |name: &str| {
            let mut attributes = self.attributes.iter();
            attributes.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        let is_base64 = |name| find(name).is_some_and(|word| word.eq_ignore_ascii_case("base64"));
        let name = match (find("name")?, is_base64("name_encoding")) {
            (name, false) => name.to_owned(),
            (name, true) => String::from_utf8(BASE64.decode(name).ok()?).ok()?,
        };
        let value = match (find("value"), self.text.as_deref()) {
            (Some(value), _) | (None, Some(value)) => value,
            (None, None) => return None,
        };
        if !is_base64("encoding") {
            return Some((name, PairValue::Text(value.to_owned())));
        }
        let value = String::from_utf8(BASE64.decode(value).ok()?);
        let value = value.map_or_else(|e| PairValue::Bytes(e.into_bytes()), PairValue::Text);
        Some((name, value))
    }

    /// `shown` is how many bytes `value` will have: one that is left out is not made.
    fn new(
        name: &str,
        length: usize,
        is_base64: bool,
        shown: usize,
        value: impl FnOnce() -> String,
    ) -> Self {
        let mut attributes = Vec::with_capacity(2);
        let is_plain = is_legal(name);
        let name = if is_plain { name.to_owned() } else { BASE64.encode(name) };
        let value = (shown <= MAX_TEXT).then(value);
        let fits = |value: &String| utf16_fits([&*name, value], MAX_ATTRIBUTES - BESIDE);
        let in_attribute = value.as_ref().is_some_and(fits);
        attributes.push(("name".into(), name));
        let text = match value {
            Some(value) if in_attribute => {
                attributes.push(("value".into(), value));
                None
            }
            value => value,
        };
        if is_base64 && (in_attribute || text.is_some()) {
            attributes.push(("encoding".into(), "base64".to_owned()));
        }
        if !is_plain {
            attributes.push(("name_encoding".into(), "base64".to_owned()));
        }
        if !in_attribute {
            attributes.push(("length".into(), length.to_string()));
        }
        Self { attributes, text }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attributes(shown: &ShownParameter) -> Vec<(&str, &str)> {
        shown.attributes.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn what_xml_can_carry_is_shown_as_it_is() {
        for value in ["", "v", " é\t\r\n<&>\" ", "\u{FFFD}\u{7F}\u{85}\u{2028}\u{FEFF}😀", "AP8="]
        {
            let shown = ShownParameter::of_text("n", value);
            assert_eq!(attributes(&shown), [("name", "n"), ("value", value)]);
            assert_eq!(shown.text, None);
        }
    }

    #[test]
    fn what_xml_cannot_carry_is_base64_and_marked() {
        for (value, base64) in [
            ("\0", "AA=="),
            ("a\u{1}b", "YQFi"),
            ("\u{8}\u{B}\u{C}\u{E}\u{1F}", "CAsMDh8="),
            ("\u{FFFE}", "77++"),
            ("x\u{FFFF}", "eO+/vw=="),
        ] {
            let expected = [("name", "n"), ("value", base64), ("encoding", "base64")];
            assert_eq!(attributes(&ShownParameter::of_text("n", value)), expected, "{value:?}");
            let shown = ShownParameter::of_bytes("n", value.as_bytes());
            assert_eq!(attributes(&shown), expected, "{value:?}");
        }
        // Bytes are no text even where they could be.
        let shown = ShownParameter::of_bytes("n", b"abc");
        assert_eq!(attributes(&shown)[1..], [("value", "YWJj"), ("encoding", "base64")]);
        let shown = ShownParameter::of_text("n\0", "v");
        let expected = [("name", "bgA="), ("value", "v"), ("name_encoding", "base64")];
        assert_eq!(attributes(&shown), expected);
        let shown = ShownParameter::of_text("\u{1F}", "\0");
        assert_eq!(attributes(&shown)[2..], [("encoding", "base64"), ("name_encoding", "base64")]);
    }

    #[test]
    fn what_is_too_long_for_an_attribute_is_text_and_its_length_is_told() {
        let room = MAX_ATTRIBUTES - BESIDE - "name".len();
        for (c, most) in [('x', room), ('é', room), ('😀', room / 2)] {
            let value = c.to_string().repeat(most);
            let shown = ShownParameter::of_text("name", &value);
            assert_eq!((attributes(&shown)[1], shown.text.as_deref()), (("value", &*value), None));
            let value = c.to_string().repeat(most + 1);
            let shown = ShownParameter::of_text("name", &value);
            let length = value.len().to_string();
            assert_eq!(attributes(&shown), [("name", "name"), ("length", &*length)]);
            assert_eq!(shown.text, Some(value));
        }
        let long = "n".repeat(MAX_ATTRIBUTES);
        let shown = ShownParameter::of_text(&long, "v");
        assert_eq!(attributes(&shown), [("name", &*long), ("length", "1")]);
        assert_eq!(shown.text.as_deref(), Some("v"));
        let shown = ShownParameter::of_bytes("n", &[0; 400_000]);
        let expected = [("name", "n"), ("encoding", "base64"), ("length", "400000")];
        assert_eq!(attributes(&shown), expected);
        assert_eq!(shown.text, Some(BASE64.encode([0; 400_000])));
    }

    /// The largest value that stands in an attribute, with every other attribute beside it.
    #[test]
    fn what_fits_is_written_whole() {
        let name = "n\0".repeat(1_000);
        let most = (MAX_ATTRIBUTES - BASE64.encode(&name).len()) / 4 * 3;
        for length in (most - 300..=most).step_by(3) {
            let shown = ShownParameter::of_bytes(&name, &vec![7; length]);
            let total: usize = shown.attributes.iter().map(|(_, value)| value.len()).sum();
            assert!(total <= MAX_ATTRIBUTES, "{length}");
            assert_eq!(shown.text.is_some(), attributes(&shown).iter().all(|(n, _)| *n != "value"));
        }
    }

    #[test]
    fn what_is_too_long_for_a_text_is_left_out_and_its_length_is_told() {
        let text = |bytes: usize| ShownParameter::of_text("n", &"x".repeat(bytes));
        assert_eq!(text(9_000_000).text.map(|text| text.len()), Some(9_000_000));
        let shown = text(9_000_001);
        assert_eq!(attributes(&shown), [("name", "n"), ("length", "9000001")]);
        assert_eq!((&shown.text, shown.read()), (&None, None));
        // Three bytes are four letters.
        let bytes = |bytes: usize| ShownParameter::of_bytes("n", &vec![1; bytes]);
        assert_eq!(bytes(6_750_000).text.map(|text| text.len()), Some(9_000_000));
        let shown = bytes(6_750_001);
        assert_eq!(attributes(&shown), [("name", "n"), ("length", "6750001")]);
        assert_eq!(shown.text, None);
    }

    proptest! {
        #[test]
        fn nothing_is_changed_without_a_sign(
            name in "[\\x00-\\x7F\u{FFFD}-\u{FFFF}é]{0,8}",
            value in "[\\x00-\\x7F\u{FFFD}-\u{FFFF}é]{0,8}",
        ) {
            let shown = ShownParameter::of_text(&name, &value);
            let attributes: std::collections::HashMap<_, _> = attributes(&shown).into_iter().collect();
            let meant = |shown: &str, encoding: &str| match attributes.get(encoding) {
                Some(_) => String::from_utf8(BASE64.decode(shown).unwrap()).unwrap(),
                None => shown.to_owned(),
            };
            prop_assert!(attributes.values().all(|shown| is_legal(shown)));
            prop_assert_eq!(meant(attributes["name"], "name_encoding"), name);
            prop_assert_eq!(meant(attributes["value"], "encoding"), value);
        }

        #[test]
        fn what_is_shown_is_read_back(
            name in "[\\x00-\\x7Fé]{0,8}",
            text in "[\\x00-\\x7F\u{FFFE}é]{0,8}",
            bytes in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let shown = ShownParameter::of_text(&name, &text);
            prop_assert_eq!(shown.read(), Some((name.clone(), PairValue::Text(text))));
            let shown = ShownParameter::of_bytes(&name, &bytes);
            let meant = String::from_utf8(bytes).map_or_else(|e| PairValue::Bytes(e.into_bytes()), PairValue::Text);
            prop_assert_eq!(shown.read(), Some((name, meant)));
        }
    }
}
