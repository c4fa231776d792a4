//! Keys of submissions, by which a submission can be retried without being queued twice.
//!
//! Only [`SubmissionKey::is_repeat`] decides which submissions are the same; the caller names the parameters that don't count
//! ([`SubmissionKey::apart_from`]). The store asks, since it has the parameters of the first.

use crate::action::Parameters;

/// A text that a client chooses for a submission, so that it can retry it when the answer was lost.
///
/// ```
/// use actiond_actors::{Parameters, SubmissionKey};
/// let key = SubmissionKey::from("order 17").apart_from(&["Wait"]);
/// let first = Parameters::from_iter([("Name", "Ada"), ("Wait", "10")]);
/// assert!(key.is_repeat(&first, &Parameters::from_iter([("name", "Ada")])));
/// assert!(!key.is_repeat(&first, &Parameters::from_iter([("Name", "Bob")])));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionKey {
    text: String,
    apart_from: &'static [&'static str],
}

impl SubmissionKey {
    /// Sets parameters that are ignored in the comparison because they don't concern the action, such as the time that the
    /// client waits for it.
    #[must_use]
    pub const fn apart_from(mut self, names: &'static [&'static str]) -> Self {
        self.apart_from = names;
        self
    }

    /// Returns the text. Two keys are the same if their texts are, to the letter.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether the parameters of the submission that came `again` are the same as those of the `first`: the same
    /// names, in any case and any order, with the same values. The order of the values of one name counts.
    #[must_use]
    pub fn is_repeat(&self, first: &Parameters, again: &Parameters) -> bool {
        self.compared(first) == self.compared(again)
    }

    /// Returns the parameters in the form in which they are compared.
    fn compared<'p>(&self, given: &'p Parameters) -> Vec<(String, &'p [u8])> {
        let is_ignored =
            |name: &str| self.apart_from.iter().any(|other| other.eq_ignore_ascii_case(name));
        let mut pairs: Vec<_> = given
            .iter()
            .filter(|(name, _)| !is_ignored(name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes()))
            .collect();
        // A stable sort: values of one name stay in their order.
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs
    }
}

impl From<String> for SubmissionKey {
    fn from(text: String) -> Self {
        Self { text, apart_from: &[] }
    }
}

impl From<&str> for SubmissionKey {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Value;

    #[test]
    fn what_is_the_same_submission() {
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let table: &[(Pairs<'_>, Pairs<'_>, bool)] = &[
            (&[], &[], true),
            (&[("A", "1")], &[("A", "1")], true),
            (&[("A", "1")], &[("a", "1")], true),
            (&[("A", "x")], &[("A", "X")], false),
            (&[("A", "1")], &[("B", "1")], false),
            (&[("A", "1")], &[("A", "1 ")], false),
            (&[("A", "1"), ("B", "2")], &[("B", "2"), ("a", "1")], true),
            (&[("A", "1"), ("B", "2")], &[("A", "2"), ("B", "1")], false),
            (&[("A", "1"), ("a", "2")], &[("A", "1"), ("A", "2")], true),
            (&[("A", "1"), ("A", "2")], &[("A", "2"), ("A", "1")], false),
            (&[("A", "1"), ("A", "1")], &[("A", "1")], false),
            (&[("A", "1")], &[("A", "1"), ("B", "")], false),
            (&[("A", "1"), ("Wait", "1")], &[("A", "1")], true),
            (&[("A", "1")], &[("WAIT", "2"), ("A", "1"), ("actionid", "me")], true),
            (&[("A", "1"), ("Wait", "1")], &[("A", "2"), ("Wait", "1")], false),
            (&[("A", "1"), ("Waiting", "1")], &[("A", "1"), ("Waiting", "2")], false),
        ];
        let key = SubmissionKey::from("key").apart_from(&["Wait", "ActionID"]);
        for (first, again, same) in table {
            let (first, again) =
                [first, again].map(|pairs| Parameters::from_iter(pairs.iter().copied())).into();
            assert_eq!(key.is_repeat(&first, &again), *same, "{first:?} {again:?}");
            assert_eq!(key.is_repeat(&again, &first), *same, "{again:?} {first:?}");
        }
        let plain = SubmissionKey::from("key");
        let waits = |text: &str| Parameters::from_iter([("Wait", text)]);
        assert!(
            !plain.is_repeat(&waits("1"), &waits("2")),
            "nothing is left out unless it is named"
        );
    }

    #[test]
    fn bytes_are_compared_as_they_are() {
        let key = SubmissionKey::from("key");
        let file = |value: Value| Parameters::from_iter([("File", value)]);
        let bytes = |bytes: &[u8]| file(Value::Bytes(bytes.to_owned()));
        assert!(key.is_repeat(&bytes(b"\0\xFF"), &bytes(b"\0\xFF")));
        assert!(!key.is_repeat(&bytes(b"\0\xFF"), &bytes(b"\0\xFE")));
        assert!(key.is_repeat(&file("text".into()), &bytes(b"text")), "it is the same file");
    }
}
