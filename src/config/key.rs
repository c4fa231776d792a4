//! Keys, and the sections in which they stand. Plain data, so that the reader, the warnings and the
//! printed reference all speak of the same.

use super::value::ValueKind;

/// The key of a list that says how many names it has.
const NUMBER: &str = "Number";

/// One setting: its name, the kind of its value, its default and its meaning.
///
/// ```
/// use actiond::config::{Key, ValueKind};
/// const TONE: &Key = &Key::with_default("Tone", ValueKind::OneOf(&["warm", "cold"]), "warm", "How the greeting sounds.");
/// const LANGUAGE: &Key = &Key::optional("Language", ValueKind::Name, "en", "The language. The default is the server's.");
/// const NAMES: &Key = &Key::numbered("Name0", ValueKind::Name, "Ada", "Who is greeted: Name0, Name1 and so on.");
/// ```
#[derive(Debug)]
pub struct Key {
    pub(super) name: &'static str,
    pub(super) kind: ValueKind,
    pub(super) default: Option<&'static str>,
    /// The value that the reference shows for a key without a default.
    pub(super) example: &'static str,
    /// One sentence, or more.
    pub(super) meaning: &'static str,
    pub(super) form: Form,
    /// True if it is read again while the server runs.
    pub(super) is_read_again: bool,
}

/// The form of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Optional,
    /// Its section must have it.
    Required,
    /// The name is that of the first item of a list, and ends with 0.
    Numbered,
}

impl Key {
    /// Makes a key that has a fixed default. Its meaning is said in whole sentences.
    #[must_use]
    pub const fn with_default(
        name: &'static str,
        kind: ValueKind,
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default: Some(default),
            example: "",
            meaning,
            form: Form::Optional,
            is_read_again: false,
        }
    }

    /// Makes a key without a fixed default; the reference shows the example. What holds without it is part of its
    /// meaning.
    #[must_use]
    pub const fn optional(
        name: &'static str,
        kind: ValueKind,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default: None,
            example,
            meaning,
            form: Form::Optional,
            is_read_again: false,
        }
    }

    /// Makes a key that its section must have; the reference shows the example.
    #[must_use]
    pub const fn required(
        name: &'static str,
        kind: ValueKind,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default: None,
            example,
            meaning,
            form: Form::Required,
            is_read_again: false,
        }
    }

    /// Makes a key that stands for a list: its name is that of the first item and ends with 0, and the others are
    /// numbered from there without a gap.
    #[must_use]
    pub const fn numbered(
        name: &'static str,
        kind: ValueKind,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default: None,
            example,
            meaning,
            form: Form::Numbered,
            is_read_again: false,
        }
    }

    /// Marks a key whose value is put in force again while the server runs (SIGHUP). What is not marked needs a restart, and the
    /// server says so.
    #[must_use]
    pub const fn read_again(mut self) -> Self {
        self.is_read_again = true;
        self
    }

    /// Returns the name; that of a list is the one of its first item.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_required(&self) -> bool {
        self.form == Form::Required
    }

    pub(super) fn is_numbered(&self) -> bool {
        self.form == Form::Numbered
    }

    /// Returns true if a key of a file is this one, or one of the list that it stands for.
    pub(super) fn is(&self, given: &str) -> bool {
        match self.is_numbered() {
            // A number beyond the end of its list has a warning of its own already.
            true => self.index(given).is_some(),
            false => self.name.eq_ignore_ascii_case(given),
        }
    }

    /// Returns the part of the name before the number of each item of a list.
    pub(super) fn prefix(&self) -> &'static str {
        self.name.strip_suffix('0').unwrap_or(self.name)
    }

    /// Returns the index in the list for which a key of a file stands: digits without leading zeros, at most 9.
    pub(super) fn index(&self, given: &str) -> Option<usize> {
        let prefix = self.prefix();
        let (name, number) = given.split_at_checked(prefix.len())?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit())
            && (number == "0" || !number.starts_with('0'));
        let is_item = self.is_numbered() && name.eq_ignore_ascii_case(prefix);
        if is_item && is_plain && number.len() <= 9 { number.parse().ok() } else { None }
    }
}

/// A section of the file, beside those of the queues.
///
/// ```
/// use actiond::config::{Key, Section, ValueKind};
/// const NAMES: &Key = &Key::numbered("0", ValueKind::Name, "Club", "The names of the guest lists.");
/// const LISTS: &Section = &Section::fixed("GuestLists", "Who is greeted.", &[NAMES]);
/// const GUESTS: &Key = &Key::required("Guests", ValueKind::Paths, "./guests.txt", "The files that name them.");
/// // Each name of [GuestLists] is that of a section.
/// const LIST: &Section = &Section::listed("Club", "guest list", LISTS, &[GUESTS]);
/// ```
#[derive(Debug)]
pub struct Section {
    /// The name; where the administrator chooses it, the one that the reference shows.
    pub(super) name: &'static str,
    /// The word for the subject of one such section and the section that lists their names, where the administrator
    /// chooses them.
    pub(super) listed: Option<(&'static str, &'static Section)>,
    /// A sentence for the reference; may be empty.
    pub(super) heading: &'static str,
    pub(super) keys: &'static [&'static Key],
    /// True if its mere presence means something, so that the reference shows it as an example.
    pub(super) is_example: bool,
    /// True if any other key is a parameter of an action.
    pub(super) takes_parameters: bool,
}

impl Section {
    /// Makes a section whose name is fixed; the heading is its text in the reference, and may be empty.
    #[must_use]
    pub const fn fixed(
        name: &'static str,
        heading: &'static str,
        keys: &'static [&'static Key],
    ) -> Self {
        Self { name, listed: None, heading, keys, is_example: false, takes_parameters: false }
    }

    /// Makes the form of sections whose names the administrator lists in the section `list`, under its numbered key; if
    /// it has a key `Number` as well, that says how many. `one` is the word for what such a section is about, and
    /// `example` the name that the reference shows.
    #[must_use]
    pub const fn listed(
        example: &'static str,
        one: &'static str,
        list: &'static Self,
        keys: &'static [&'static Key],
    ) -> Self {
        Self {
            name: example,
            listed: Some((one, list)),
            heading: "",
            keys,
            is_example: true,
            takes_parameters: false,
        }
    }

    /// Has the reference show it as an example: without it there is less than with it and nothing in it.
    pub(super) const fn by_example(mut self) -> Self {
        self.is_example = true;
        self
    }

    /// Has any other key be a parameter of an action.
    pub(super) const fn with_parameters(mut self) -> Self {
        self.takes_parameters = true;
        self
    }

    /// Returns its name, or `None` where the administrator chooses it.
    pub(crate) fn fixed_name(&self) -> Option<&'static str> {
        self.listed.is_none().then_some(self.name)
    }

    /// Returns true if this section lists the names of such ones.
    pub(super) fn is_listed_in(&self, list: &Self) -> bool {
        self.listed.is_some_and(|(_, own)| own.name == list.name)
    }

    /// Returns the key that lists names, and the one that says how many.
    pub(super) fn list_keys(&self) -> (Option<&'static Key>, Option<&'static Key>) {
        let find = |wanted: fn(&Key) -> bool| self.keys.iter().copied().find(|key| wanted(key));
        (find(Key::is_numbered), find(|key| key.name == NUMBER))
    }

    /// Returns the words for these sections in a message.
    pub(super) fn describe(&self) -> String {
        match self.listed {
            None => format!("[{}]", self.name),
            Some((one, list)) => format!("the section of a {one} in [{}]", list.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_known_by_name_and_number() {
        const BARE: Key = Key::numbered("0", ValueKind::Name, "A", "Names.");
        const NAMED: Key = Key::numbered("Guest0", ValueKind::Name, "A", "Guests.");
        for (key, given, want) in [
            (BARE, "0", Some(0)),
            (BARE, "12", Some(12)),
            (BARE, "01", None),
            (BARE, "-1", None),
            (BARE, "", None),
            (BARE, "1234567890", None),
            (NAMED, "guest0", Some(0)),
            (NAMED, "GUEST7", Some(7)),
            (NAMED, "Guest", None),
            (NAMED, "Guest07", None),
            (NAMED, "Gues7", None),
            (NAMED, "Gäst7", None),
            (NAMED, "7", None),
        ] {
            assert_eq!(key.index(given), want, "{given}");
            assert_eq!(key.is(given), want.is_some(), "{given}");
        }
        const SINGLE: Key = Key::optional("Guest", ValueKind::Name, "A", "The guest.");
        assert!(SINGLE.is("guest") && !SINGLE.is("Guest0"));
    }
}
