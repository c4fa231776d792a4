//! Parameters whose values are not for other eyes: neither logs nor errors show them.

use std::borrow::Cow;
use std::sync::Arc;

/// The text that is shown in place of a value.
pub const MASK: &str = "***";

/// Names that are secret in every queue, in lower case without `_` and `-`; so is each that holds `password`.
const WELL_KNOWN: [&str; 13] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authorization",
    "bearer",
    "clientsecret",
    "credentials",
    "key",
    "passphrase",
    "passwd",
    "privatekey",
    "pwd",
    "secret",
];
/// Length of the longest of them, with some `_` and `-` in it.
const LONGEST: usize = 20;
const PASSWORD: &str = "password";

/// Length in bytes from which a value is hidden wherever it stands in a text; a shorter one only where it stands in quotes, or
/// words that happen to hold it would be spoilt.
const LONG_ENOUGH: usize = 4;

/// The names of the parameters of a queue that are secret, beside those that are well known (`Password`, `ApiKey`, `Secret` and
/// the like).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretNames(Option<Arc<[String]>>);

impl<N: Into<String>> FromIterator<N> for SecretNames {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let names: Arc<[String]> = names.into_iter().map(Into::into).collect();
        Self(Some(names).filter(|names| !names.is_empty()))
    }
}

impl SecretNames {
    /// No names beside those that are well known.
    pub const WELL_KNOWN: Self = Self(None);

    /// Returns true if the parameter of this name is secret.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.own().any(|own| own.eq_ignore_ascii_case(name)) || is_well_known(name)
    }

    /// Returns the names beside those that are well known.
    pub fn own(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|names| names.iter()).map(String::as_str)
    }

    /// Returns the secret values among parameters, for [`hide`].
    pub fn values<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Vec<String> {
        let secret = parameters.into_iter().filter(|(name, _)| self.has(name));
        let values = secret.filter_map(|(_, value)| value.filter(|value| !value.is_empty()));
        let mut values: Vec<_> = values.map(str::to_owned).collect();
        // One may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values
    }
}

fn is_well_known(name: &str) -> bool {
    let bytes = name.as_bytes();
    let has_password =
        || bytes.windows(PASSWORD.len()).any(|part| part.eq_ignore_ascii_case(PASSWORD.as_bytes()));
    let is = |known: &&'static str| {
        let letters = bytes.iter().filter(|byte| !matches!(byte, b'_' | b'-'));
        letters.map(u8::to_ascii_lowercase).eq(known.bytes())
    };
    // Most begin otherwise, and each name of each request is looked at.
    let begins =
        matches!(bytes.first().map(u8::to_ascii_lowercase), Some(b'a'..=b'c' | b'k' | b'p' | b's'));
    begins && bytes.len() <= LONGEST && WELL_KNOWN.iter().any(is) || has_password()
}

/// Masks secret values in a text, as they are or in quotes with escapes, also those of which only the beginning is there.
#[must_use]
pub fn hide<'a>(text: &'a str, values: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for value in values {
        let escaped = value.escape_debug().to_string();
        for form in [value.as_str(), value.trim(), &escaped] {
            if form.len() >= LONG_ENOUGH {
                mask(&mut text, form);
                continue;
            }
            for quote in ['"', '\''] {
                let quoted = format!("{quote}{form}{quote}");
                if !form.is_empty() && text.contains(&quoted) {
                    text = Cow::Owned(text.replace(&quoted, &format!("{quote}{MASK}{quote}")));
                }
            }
        }
    }
    text
}

/// Masks a value wherever its beginning stands, as far as the text goes on as the value does.
fn mask(text: &mut Cow<'_, str>, value: &str) {
    let begin = value.char_indices().nth(BEGINNING).map_or(value, |(at, _)| value.split_at(at).0);
    if !text.contains(begin) {
        return;
    }
    let (mut masked, mut rest) = (String::with_capacity(text.len()), &**text);
    while let Some((before, _)) = rest.split_once(begin) {
        masked.push_str(before);
        masked.push_str(MASK);
        let found = rest.split_at(before.len()).1;
        let same = found.chars().zip(value.chars()).take_while(|(is, of)| is == of);
        let length = same.map(|(c, _)| c.len_utf8()).sum();
        rest = found.split_at(length).1;
    }
    masked.push_str(rest);
    *text = Cow::Owned(masked);
}

/// Number of characters by which a value is known: errors quote more than that, but not all of a long one.
const BEGINNING: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        let names = SecretNames::from_iter(["Pin", "Token"]);
        for (name, is) in [
            ("pin", true),
            ("TOKEN", true),
            ("Password", true),
            ("dbPasswordOld", true),
            ("api_key", true),
            ("X-Api-Key", false),
            ("API-KEY", true),
            ("Key", true),
            ("Keys", false),
            ("Authorization", true),
            ("Name", false),
            ("", false),
        ] {
            assert_eq!(names.has(name), is, "{name}");
        }
        assert!(!SecretNames::default().has("Token"));
        let none: [&str; 0] = [];
        assert_eq!(SecretNames::from_iter(none), SecretNames::default());
    }

    #[test]
    fn values_are_hidden_where_they_stand() {
        let names = SecretNames::from_iter(["Pin"]);
        let sent = [("Pin", Some("12")), ("password", Some("s3cret")), ("b", Some("s3cret more"))];
        let values = names.values(sent.into_iter().chain([("Secret", None), ("Key", Some(""))]));
        assert_eq!(values, ["s3cret", "12"]);
        for (text, want) in [
            ("nothing", "nothing"),
            ("a s3cret, and s3cret", "a ***, and ***"),
            ("Pin: \"12\" in 12 lines", "Pin: \"***\" in 12 lines"),
        ] {
            assert_eq!(hide(text, &values), want);
        }
        let odd = ["a\"b\nc".to_owned(), "x".repeat(100)];
        assert_eq!(hide(&format!("{:?}", odd[0]), &odd), "\"***\"");
        assert_eq!(hide(&format!("'{}...'", "x".repeat(60)), &odd), "'***...'");
        assert_eq!(hide(&"x".repeat(116), &odd), "******");
        let both = names.values([("Pin", Some("abcd")), ("Pin", Some("abcdef"))]);
        assert_eq!(hide("abcdef", &both), MASK);
    }
}
