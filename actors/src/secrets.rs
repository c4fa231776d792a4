//! Parameters whose values are not for other eyes: neither logs nor errors show them.

use std::borrow::Cow;
use std::sync::Arc;

/// The text that is shown in place of a value.
pub const MASK: &str = "***";

/// Parts that make a name secret in every queue, wherever they stand in it, in lower case without `_` and `-`.
const TELLING: [&str; 6] = ["apikey", "credential", "passwd", "password", "privatekey", "secret"];

/// Returns the names that are secret in every queue and begin with this letter, in lower case without `_` and `-`. `Token` is none:
/// it is the parameter by which clients name actions.
const fn well_known(first: u8) -> &'static [&'static str] {
    match first {
        b'a' => &["accesskey", "accesstoken", "apitoken", "auth", "authorization", "authtoken"],
        b'b' => &["bearer", "bearertoken"],
        b'c' => &["cookie"],
        b'e' => &["encryptionkey"],
        b'i' => &["idtoken"],
        b'j' => &["jwt"],
        b'k' => &["key"],
        b'p' => &["pass", "passcode", "passphrase", "pwd"],
        b'r' => &["refreshtoken"],
        b's' => &["session", "sessionid", "sessionkey", "sessiontoken"],
        b'x' => &["xauthtoken"],
        _ => &[],
    }
}

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

    /// Returns the secret values among parameters, for [`hide`]: each as a whole, and one of several lines by its lines, too. Of
    /// bytes that are no UTF-8 it is what programs show in their place.
    pub fn values<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Vec<String> {
        let mut values = Vec::new();
        for (name, value) in parameters {
            if value.is_empty() || !self.has(name) {
                continue;
            }
            let value = String::from_utf8_lossy(value).into_owned();
            let lines = value.split(['\n', '\r']).map(str::trim);
            let lines = lines.filter(|line| line.len() >= LONG_ENOUGH && *line != value);
            values.extend(lines.map(str::to_owned));
            values.push(value);
        }
        // One may be a part of another.
        values.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        values.dedup();
        values
    }
}

fn is_well_known(name: &str) -> bool {
    let name = name.as_bytes();
    let first = letters(name).next().unwrap_or_default();
    if well_known(first).iter().any(|known| letters(name).eq(known.bytes())) {
        return true;
    }
    // Each name of each request is looked at: most bytes begin none of them.
    (0..name.len()).filter_map(|at| name.get(at..)).any(|rest| match rest {
        [b'a' | b'A' | b'c' | b'C' | b'p' | b'P' | b's' | b'S', ..] => {
            TELLING.iter().any(|part| letters(rest).take(part.len()).eq(part.bytes()))
        }
        _ => false,
    })
}

/// Returns the bytes of a name in lower case, without `_` and `-`.
fn letters(name: &[u8]) -> impl Iterator<Item = u8> {
    let letters = name.iter().filter(|byte| !matches!(byte, b'_' | b'-'));
    letters.map(u8::to_ascii_lowercase)
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
            ("X-Api-Key", true),
            ("aws_secret_access_key", true),
            ("DB_Pass_Word", true),
            ("Credential", true),
            ("Pass", true),
            ("Passage", false),
            ("refresh-token", true),
            ("ID_TOKEN", true),
            ("_jwt", true),
            ("auth", true),
            ("Author", false),
            ("cookie", true),
            ("SessionId", true),
            ("Sessions", false),
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
        let sent = [("Pin", "12"), ("password", "s3cret"), ("b", "s3cret more")];
        let sent = sent.map(|(name, value)| (name, value.as_bytes()));
        let values = names.values(sent.into_iter().chain([("Key", &b""[..])]));
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
        let both = names.values([("Pin", &b"abcd"[..]), ("Pin", b"abcdef")]);
        assert_eq!(hide("abcdef", &both), MASK);
    }

    #[test]
    fn each_line_of_a_value_is_hidden_and_so_are_bytes() {
        let key = "-----BEGIN KEY-----\r\n  MIIEvQIB\r\n}\nlast line\n";
        let names = SecretNames::default();
        let values =
            names.values([("PrivateKey", key.as_bytes()), ("Password", b"L01geheim\xf6x")]);
        for (text, want) in [
            ("-----BEGIN KEY-----", "***"),
            ("key: MIIEvQIB}", "key: ***}"),
            ("the last line", "the ***"),
            (key, "***"),
            ("got L01geheim\u{fffd}x", "got ***"),
        ] {
            assert_eq!(hide(text, &values), want, "{text:?}");
        }
        assert_eq!(names.values([("Key", &b"one line"[..])]), ["one line"]);
    }
}
