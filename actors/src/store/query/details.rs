//! Filters of what stands apart from an action's columns: what it was given, and its error.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::action::Parameters;
use crate::store::Origin;

/// Conditions on the parameters, the name and the error of an action. The default has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// Parameters that it must have been given, all of them: a name in any ASCII case, and exactly this text under it.
    pub parameters: Vec<(String, String)>,
    /// The identifier that its client must have given it ([`Origin::action_id`]).
    pub action_id: Option<String>,
    /// A text that its error must have in it, in any ASCII case.
    pub error: Option<String>,
}

impl Details {
    /// Returns true if an action with these parameters is listed, as far as they decide. One whose parameters are not kept is listed
    /// only if none are asked for.
    #[must_use]
    pub fn admit_parameters(&self, given: Option<&Parameters>) -> bool {
        let has = |(name, value): &(String, String)| {
            given.into_iter().flat_map(Parameters::iter).any(|(given, of)| {
                given.eq_ignore_ascii_case(name) && of.as_text() == Some(value.as_str())
            })
        };
        self.parameters.iter().all(has)
    }

    /// Does the same with parameters as they are stored, which may be large: none of them is copied.
    pub(crate) fn admit_json(&self, json: &[u8]) -> Result<bool, serde_json::Error> {
        let mut found = vec![false; self.parameters.len()];
        let mut reader = serde_json::Deserializer::from_slice(json);
        Found { of: &self.parameters, found: &mut found }.deserialize(&mut reader)?;
        Ok(found.into_iter().all(|found| found))
    }

    /// Returns true if an action with this origin is listed, as far as that decides.
    #[must_use]
    pub fn admit_origin(&self, origin: Option<&Origin>) -> bool {
        let given = || origin.and_then(|origin| origin.action_id.as_deref());
        self.action_id.as_deref().is_none_or(|wanted| given() == Some(wanted))
    }

    /// Returns true if an action with this error is listed, as far as that decides.
    #[must_use]
    pub fn admit_error(&self, error: Option<&str>) -> bool {
        let Some(wanted) = &self.error else { return true };
        let wanted = wanted.to_ascii_lowercase();
        error.is_some_and(|error| error.to_ascii_lowercase().contains(&wanted))
    }
}

/// Notes which parameters are there.
struct Found<'a> {
    of: &'a [(String, String)],
    found: &'a mut [bool],
}

impl<'de> DeserializeSeed<'de> for Found<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Found<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names with values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some((name, value)) = list.next_element::<(Text<'_>, Text<'_>)>()? {
            let (Some(name), Some(value)) = (name.0, value.0) else { continue };
            for ((wanted, of), found) in self.of.iter().zip(self.found.iter_mut()) {
                *found |= wanted.eq_ignore_ascii_case(&name) && *of == *value;
            }
        }
        Ok(())
    }
}

/// A text where it stands, if it has no escapes; `None` of bytes.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBytes;

        impl<'de> Visitor<'de> for TextOrBytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or an object")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }

        deserializer.deserialize_any(TextOrBytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Value;

    #[test]
    fn parameters_are_found_by_name_and_exact_value() {
        let given: Parameters = [
            ("Title", Value::from("A \"quoted\"\nline é")),
            ("n", Value::from("1")),
            ("N", Value::from("2")),
            ("File", Value::Bytes(b"text".to_vec())),
            ("base64", Value::from("")),
        ]
        .into_iter()
        .collect();
        let json = serde_json::to_vec(&given).unwrap();
        let table: [(&[(&str, &str)], bool); 10] = [
            (&[], true),
            (&[("title", "A \"quoted\"\nline é")], true),
            (&[("TITLE", "a \"quoted\"\nline é")], false),
            (&[("Title", "A")], false),
            (&[("n", "1")], true),
            (&[("n", "1"), ("n", "2")], true),
            (&[("n", "1"), ("n", "3")], false),
            (&[("File", "text")], false),
            (&[("File", "dGV4dA==")], false),
            (&[("Base64", "")], true),
        ];
        for (wanted, listed) in table {
            let parameters = wanted.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            let details = Details { parameters: parameters.collect(), ..Details::default() };
            assert_eq!(details.admit_parameters(Some(&given)), listed, "{wanted:?}");
            assert_eq!(details.admit_json(&json).unwrap(), listed, "{wanted:?}");
            assert_eq!(details.admit_parameters(None), wanted.is_empty());
        }
        let details = Details::default();
        for broken in ["", "[", "{}", "[[1]]", "[[\"a\"]]", "[[\"a\",\"b\",\"c\"]]"] {
            assert!(details.admit_json(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_text_in_an_error_is_found_in_any_case() {
        let details = |error: &str| Details { error: Some(error.to_owned()), ..Details::default() };
        let error = Some("No Route to host Ä");
        for (wanted, listed) in [("no route", true), ("HOST Ä", true), ("ä", false), ("x", false)]
        {
            assert_eq!(details(wanted).admit_error(error), listed, "{wanted}");
            assert!(!details(wanted).admit_error(None));
        }
        assert!(Details::default().admit_error(None));
    }

    #[test]
    fn an_action_id_is_found_to_the_letter() {
        let details = Details { action_id: Some("night 7".to_owned()), ..Details::default() };
        let origin = |id: &str| Origin { action_id: Some(id.to_owned()), ..Origin::default() };
        assert!(details.admit_origin(Some(&origin("night 7"))));
        assert!(!details.admit_origin(Some(&origin("Night 7"))));
        assert!(!details.admit_origin(Some(&Origin::default())) && !details.admit_origin(None));
        assert!(Details::default().admit_origin(None));
    }
}
