//! Looks values up: own section first, then a fallback, then the default. `kind_reader` is the part for kinds of action.
//!
//! Each getter returns something usable even if the value is bad: the problem is in the findings, and the settings are
//! dropped in the end.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::findings::{Findings, Location};
use super::in_force::{InForce, Origin};
use super::ini::{Entry, Ini, IniSection};
use super::key::{Key, Section};
use super::table::{AUTHORIZATION_ROLES, TYPE, fixed_section};
use super::value::{Value, ValueKind, is_empty};
use crate::aci::words::{nearest, shorten};
use crate::kinds::{Kind, Kinds};

/// Largest number of items of a list that has no `Number`.
const MAX_LISTED: usize = 1000;

/// The text and the findings, with which the settings are made.
#[derive(Debug)]
pub(super) struct Reader<'r> {
    pub(super) ini: &'r Ini<'r>,
    pub(super) kinds: &'r Kinds,
    pub(super) findings: &'r mut Findings,
    pub(super) in_force: InForce<'r>,
    /// Files that values name, and whose contents are for the server alone.
    pub(super) files: Vec<PathBuf>,
}

/// One name out of a numbered list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'r> {
    pub(super) name: &'r str,
    pub(super) entry: Entry<'r>,
}

impl<'r> Reader<'r> {
    /// Returns true if a section gives a key.
    pub(super) fn gives(&self, section: &str, key: &Key) -> bool {
        self.ini.section(section).is_some_and(|section| section.get(key.name).is_some())
    }

    /// Returns the value in the first of the sections that has the key, else the default.
    pub(super) fn value(&mut self, sections: &[&str], key: &Key) -> Option<Value> {
        let found = sections.iter().find_map(|name| {
            let section = self.ini.section(name)?;
            Some((section, section.get(key.name)?))
        });
        let own = sections.first().copied().unwrap_or_default();
        let (value, origin) = match (found, key.default) {
            (Some((_, entry)), _) => (entry.value, Origin::Line(entry.line)),
            (None, Some(text)) => (text, Origin::Default),
            (None, None) => ("", Origin::NotSet),
        };
        self.in_force.note(own, key, key.name, value, origin);
        match found {
            Some((section, entry)) => self.parse(section, entry, key),
            None => key.default.and_then(|text| key.kind.parse(text).ok()),
        }
    }

    /// Returns the kind of action that a section names.
    pub(super) fn kind(&mut self, section: &str) -> Option<&'r Arc<dyn Kind>> {
        let found = self.ini.section(section)?;
        let entry = found.get(TYPE.name)?;
        self.in_force.note(section, TYPE, TYPE.name, entry.value, Origin::Line(entry.line));
        let kind = self.kinds.find(entry.value);
        if kind.is_none() {
            let allowed = self.kinds.allowed();
            let reason = match (entry.fault, entry.value) {
                (Some(fault), _) => fault.to_owned(),
                (None, "") => is_empty(&allowed),
                (None, _) => format!("must be {allowed}"),
            };
            self.findings.problem(Self::at(found, entry), reason);
        }
        kind
    }

    /// Notes what a key without a fixed default comes to where it is not set, and why.
    pub(super) fn derived(&mut self, section: &str, key: &Key, value: &str, how: &'static str) {
        self.in_force.note(section, key, key.name, value, Origin::Derived(how));
    }

    pub(super) fn integer(&mut self, sections: &[&str], key: &Key) -> i64 {
        match self.value(sections, key) {
            Some(Value::Integer(number)) => number,
            _ => 0,
        }
    }

    /// Returns a number whose range has no negative ones, as `usize`; -1 becomes the largest.
    pub(super) fn size(&mut self, sections: &[&str], key: &Key) -> usize {
        usize::try_from(self.integer(sections, key)).unwrap_or(usize::MAX)
    }

    pub(super) fn boolean(&mut self, sections: &[&str], key: &Key) -> bool {
        matches!(self.value(sections, key), Some(Value::Boolean(true)))
    }

    pub(super) fn word(&mut self, sections: &[&str], key: &Key) -> Option<&'static str> {
        match self.value(sections, key) {
            Some(Value::Word(word)) => Some(word),
            _ => None,
        }
    }

    pub(super) fn text(&mut self, sections: &[&str], key: &Key) -> Option<String> {
        match self.value(sections, key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn texts(&mut self, sections: &[&str], key: &Key) -> Vec<String> {
        match self.value(sections, key) {
            Some(Value::Texts(texts)) => texts,
            _ => Vec::new(),
        }
    }

    /// Returns a list of texts, which may be empty, if the key is set.
    pub(super) fn given_texts(&mut self, sections: &[&str], key: &Key) -> Option<Vec<String>> {
        match self.value(sections, key) {
            Some(Value::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// Returns the names that a section lists: good ones, each once, none of a fixed section.
    ///
    /// `refused` says why a name cannot be taken though it is well formed.
    pub(super) fn list(
        &mut self,
        section: &'r IniSection<'r>,
        list: &Section,
        refused: impl Fn(&str) -> Option<String>,
    ) -> Vec<Listed<'r>> {
        let (Some(entry_key), number) = list.list_keys() else { return Vec::new() };
        let mut names = HashSet::new();
        let mut listed = Vec::new();
        for entry in self.numbered(section, number, entry_key) {
            let reason = match entry_key.kind.parse(entry.value) {
                _ if entry.fault.is_some() => entry.fault.map(str::to_owned),
                Err(reason) => Some(reason),
                Ok(_) if fixed_section(self.kinds, entry.value).is_some() => {
                    Some("cannot be taken: the section of that name has its own meaning".to_owned())
                }
                Ok(_) if !names.insert(entry.value.to_ascii_lowercase()) => {
                    Some("is in the list twice".to_owned())
                }
                Ok(_) => refused(entry.value),
            };
            match reason {
                Some(reason) => self.findings.problem(Self::at(section, entry), reason),
                None => {
                    self.note(section, entry_key, entry);
                    listed.push(Listed { name: entry.value, entry });
                }
            }
        }
        listed
    }

    /// Returns the values of a numbered list.
    pub(super) fn values(&mut self, section: &str, key: &Key) -> Vec<Value> {
        let Some(section) = self.ini.section(section) else { return Vec::new() };
        let mut values = Vec::new();
        for entry in self.numbered(section, None, key) {
            self.note(section, key, entry);
            values.extend(self.parse(section, entry, key));
        }
        values
    }

    pub(super) fn note(&mut self, section: &IniSection<'r>, of: &Key, entry: Entry<'r>) {
        self.in_force.note(section.name, of, entry.key, entry.value, Origin::Line(entry.line));
    }

    /// Returns the entries of a numbered list. One with a hole, or with fewer names than `Number`
    /// says, is a problem; one with more is worth a warning.
    fn numbered(
        &mut self,
        section: &'r IniSection<'r>,
        number: Option<&Key>,
        entry_key: &Key,
    ) -> Vec<Entry<'r>> {
        let most = match number.map(|number| number.kind) {
            Some(ValueKind::Integer { max, .. }) => usize::try_from(max).unwrap_or(usize::MAX),
            _ => MAX_LISTED,
        };
        let entries: BTreeMap<usize, Entry<'r>> = section
            .entries()
            .filter_map(|entry| entry_key.index(entry.key).map(|index| (index, entry)))
            .collect();
        let given = number.and_then(|number| section.get(number.name));
        let count = match number.filter(|_| given.is_some()) {
            Some(number) => match self.value(&[section.name], number) {
                Some(Value::Integer(count)) => usize::try_from(count).unwrap_or_default(),
                _ => return Vec::new(),
            },
            None => entries.keys().next_back().map_or(0, |last| last.saturating_add(1)),
        };
        let missing = (0..count).find(|index| !entries.contains_key(index));
        let place = Location { section: Some(section.name), ..Location::default() };
        if let Some(index) = missing {
            let line = given.map_or(section.line, |entry| entry.line);
            let name = entry_key.prefix();
            let reason = match given {
                Some(_) => format!(
                    "Number={count}, but there is no {name}{index}= (the list begins with {name}0=)"
                ),
                None => format!("there is no {name}{index}=, though a higher number is given"),
            };
            self.findings.problem(Location { line: Some(line), ..place }, reason);
            if given.is_none() {
                return Vec::new();
            }
        }
        if count > most {
            let reason = format!("the list may hold {most} names at most");
            self.findings.problem(Location { line: Some(section.line), ..place }, reason);
            return Vec::new();
        }
        for (_, entry) in entries.range(count..) {
            let key = entry.key;
            // A role that does not count would have kept somebody out.
            if section.name.eq_ignore_ascii_case(AUTHORIZATION_ROLES.name) {
                let reason = format!(
                    "is not used, because Number={count}: give the number of all, or leave Number out"
                );
                self.findings.problem(Self::at(section, *entry), reason);
                continue;
            }
            self.findings.warning(Some(entry.line), || {
                format!("[{}] {key}= is not used, because Number={count}", section.name)
            });
        }
        entries.range(..count).map(|(_, entry)| *entry).collect()
    }

    /// Returns the section of a listed name; a missing one is a problem.
    pub(super) fn section_of(
        &mut self,
        list: &IniSection<'_>,
        listed: Listed<'_>,
        needs: Option<&Key>,
    ) -> Option<&'r IniSection<'r>> {
        let section = self.ini.section(listed.name);
        if section.is_none() {
            let needs = needs.map(|key| format!(" with {}=", key.name)).unwrap_or_default();
            let reason = format!("has no section [{}]{needs}", listed.name);
            self.findings.problem(Self::at(list, listed.entry), reason);
        }
        section
    }

    /// Returns true if the section has the key; a missing one is a problem that says what it may be.
    pub(super) fn require(&mut self, section: &IniSection<'_>, key: &Key, allowed: &str) -> bool {
        let there = section.get(key.name).is_some();
        if !there {
            let place = Location {
                line: Some(section.line),
                section: Some(section.name),
                key: Some(key.name),
                value: None,
            };
            let reason = format!("is missing: it must be {allowed}");
            self.findings.problem(place, reason);
        }
        there
    }

    /// Adds a problem for each key of a section that is not among these, or is there twice. It is for sections that keep
    /// somebody out, where that is more than a warning; `of` says what the section is about.
    pub(super) fn refuse_unknown(
        &mut self,
        section: &IniSection<'_>,
        known: &[&'static Key],
        of: &str,
    ) {
        self.refuse_doubled(section, |_| true);
        for entry in section.entries().filter(|entry| !known.iter().any(|key| key.is(entry.key))) {
            let names = known.iter().map(|key| key.name);
            let hint = match nearest(entry.key, names.clone()) {
                Some(near) => format!("Is {near} meant?"),
                None => format!("It may have {}.", names.collect::<Vec<_>>().join(", ")),
            };
            let reason = format!("is no key of {of}, so it can't be honoured. {hint}");
            self.findings.problem(Self::at(section, entry), reason);
        }
    }

    /// Adds a problem for each of these keys of a section that is there twice.
    pub(super) fn refuse_doubled(
        &mut self,
        section: &IniSection<'_>,
        concerns: impl Fn(&str) -> bool,
    ) {
        for entry in section.doubled().filter(|entry| concerns(entry.key)) {
            let reason = "was given before: which one counts would be in doubt";
            self.findings.problem(Self::at(section, entry), reason);
        }
    }

    /// Adds a problem about a value that is good by itself, but not together with others.
    pub(super) fn problem_at(&mut self, section: &str, key: &Key, reason: impl Into<String>) {
        let found = self.ini.section(section);
        let entry = found.and_then(|found| found.get(key.name));
        let place = Location {
            line: entry.map(|entry| entry.line).or(found.map(|found| found.line)),
            section: Some(section),
            key: Some(key.name),
            value: entry.map(|entry| entry.value),
        };
        self.findings.problem(place, reason);
    }

    pub(super) fn warn_at(&mut self, section: &str, key: &Key, what: &str) {
        let line = self
            .ini
            .section(section)
            .map(|found| found.get(key.name).map_or(found.line, |entry| entry.line));
        let (section, name) = (shorten(section), key.name);
        self.findings.warning(line, || format!("[{section}] {name} {what}"));
    }

    pub(super) fn parse(
        &mut self,
        section: &IniSection<'_>,
        entry: Entry<'_>,
        key: &Key,
    ) -> Option<Value> {
        let parsed = match entry.fault {
            Some(fault) => Err(fault.to_owned()),
            None => key.kind.parse(entry.value),
        };
        match parsed {
            Ok(value) => {
                for what in key.kind.doubts(&value) {
                    self.findings.warning(Some(entry.line), || {
                        let (section, key) = (shorten(section.name), shorten(entry.key));
                        format!("[{section}] {key}={}: {what}", shorten(entry.value))
                    });
                }
                Some(value)
            }
            Err(reason) => {
                self.findings.problem(Self::at(section, entry), reason);
                None
            }
        }
    }

    fn at<'a>(section: &IniSection<'a>, entry: Entry<'a>) -> Location<'a> {
        Location {
            line: Some(entry.line),
            section: Some(section.name),
            key: Some(entry.key),
            value: Some(entry.value),
        }
    }
}
