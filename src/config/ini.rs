//! Reader of ACI `.cfg` text: sections, `Key=Value` lines and comments, each with its line, and includes of other files.
//!
//! It knows no key and no type; see `table` and `kind` for those, and `lines` for the form of a line. Names are
//! compared without regard to case. A comment (`//`, `#`, `;`) has a line of its own or follows a header, so
//! that a value may hold `//`, `#` and `=`. The file's own keys win over those that it has included above them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use super::files::{Files, lines_of};
use super::findings::{Findings, Line, Location};
use super::lines::{self, Content, Include, Part};
use super::secrets::masked;
use super::variables::Expanded;
use crate::aci::words::shorten;

/// Largest number of headers and keys of a configuration, included ones each time: it bounds the memory and time that
/// files of nonsense can take.
const MAX_LINES: usize = 50_000;
/// Largest number of times that a configuration includes something.
const MAX_INCLUDES: usize = 1_000;

/// One `Key=Value` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    pub(super) key: &'t str,
    /// Without the white space around it.
    pub(super) value: &'t str,
    pub(super) line: Line,
    /// What is wrong with a variable in the value, which then is as it stands in the file.
    pub(super) fault: Option<&'t str>,
}

/// All that the files say under one section name, in their order.
#[derive(Debug)]
pub(super) struct IniSection<'t> {
    pub(super) name: &'t str,
    /// Line of its first header.
    pub(super) line: Line,
    entries: Vec<Entry<'t>>,
    index: HashMap<String, usize>,
    /// Lines that took the place of an earlier one in the same file.
    doubled: Vec<Entry<'t>>,
}

impl<'t> IniSection<'t> {
    /// Goes through the lines that took the place of an earlier one in the same file, which is worth a warning.
    pub(super) fn doubled(&self) -> impl Iterator<Item = Entry<'t>> {
        self.doubled.iter().copied()
    }

    pub(super) fn get(&self, key: &str) -> Option<Entry<'t>> {
        self.index.get(&fold(key)).and_then(|at| self.entries.get(*at)).copied()
    }

    /// Goes through the keys, each once.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'t>> {
        self.entries.iter().copied()
    }

    /// Takes a key of this file, or one that the file includes from another one.
    fn put(&mut self, file: usize, entry: Entry<'t>, findings: &mut Findings) {
        let at = *self.index.entry(fold(entry.key)).or_insert(self.entries.len());
        let Some(earlier) = self.entries.get_mut(at) else {
            self.entries.push(entry);
            return;
        };
        // To set what was included to another value is what one includes it for.
        let is_own = entry.line.file() == file && earlier.line.file() != file;
        if !is_own {
            self.doubled.push(entry);
            let earlier = findings.describe(earlier.line, entry.line);
            let section = self.name;
            findings.warning(Some(entry.line), || {
                let (section, key) = (shorten(section), shorten(entry.key));
                format!("[{section}] {key} was given in {earlier} already; the last one counts")
            });
        }
        *earlier = entry;
    }
}

/// The sections of a configuration, in the order of its files.
#[derive(Debug, Default)]
pub(super) struct Ini<'t> {
    sections: Vec<IniSection<'t>>,
    index: HashMap<String, usize>,
    /// Keys before the first header: only an included file may have them.
    head: Vec<Entry<'t>>,
    /// The lines of all files that take what is not there.
    lacking: Vec<Lacking<'t>>,
}

/// A line that takes from another file what that does not have, so that it yields nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lacking<'t> {
    pub(super) line: Line,
    /// The section that it would go into; `None` where that can't be seen.
    pub(super) into: Option<&'t str>,
    /// The section that it would come from.
    pub(super) from: &'t str,
    /// The name of the key, which may have wildcards; `None` where the whole section is taken.
    pub(super) key: Option<&'t str>,
    file: &'t str,
    has_section: bool,
}

impl Lacking<'_> {
    /// Returns true if the section that it goes into is one of the configuration, whatever other files take of it.
    pub(super) fn is_of_main(&self) -> bool {
        self.line.file() == MAIN
    }

    /// Returns true if a key of this name would have been taken.
    pub(super) fn could_take(&self, key: &str) -> bool {
        self.key.is_none_or(|name| match pattern(name) {
            Some(pattern) => pattern.is_none_or(|pattern| pattern.is_match(key)),
            None => name.eq_ignore_ascii_case(key),
        })
    }

    pub(super) fn message(&self) -> String {
        let (file, from) = (shorten(self.file), shorten(self.from));
        match self.key.filter(|_| self.has_section) {
            Some(key) => {
                format!("\"{file}\" has no key {} in [{from}]: nothing is taken", shorten(key))
            }
            None => format!("\"{file}\" has no section [{from}]: nothing is taken"),
        }
    }
}

impl<'t> Ini<'t> {
    /// Splits the texts; what is wrong goes to `findings`, and the rest is still read.
    pub(super) fn parse(
        files: &'t Files<'_>,
        variables: &'t Expanded,
        findings: &mut Findings,
    ) -> Self {
        let mut parser = Parser {
            files,
            variables,
            findings,
            taken: 0,
            includes: 0,
            done: HashMap::new(),
            under_way: Vec::new(),
            lacking: Vec::new(),
        };
        let ini = parser.file(MAIN);
        let lacking = parser.lacking;
        // Nobody else holds that of the file itself.
        Self { lacking, ..Rc::into_inner(ini).unwrap_or_default() }
    }

    /// Goes through the lines that take from another file what that does not have.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &Lacking<'t>> {
        self.lacking.iter()
    }

    pub(super) fn section(&self, name: &str) -> Option<&IniSection<'t>> {
        self.index.get(&fold(name)).and_then(|at| self.sections.get(*at))
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = &IniSection<'t>> {
        self.sections.iter()
    }

    /// Returns the place of the section; one that comes a second time is continued.
    fn open(&mut self, name: &'t str, line: Line) -> usize {
        let next = self.sections.len();
        let at = *self.index.entry(fold(name)).or_insert(next);
        if at == next {
            let (entries, index, doubled) = (vec![], HashMap::new(), vec![]);
            self.sections.push(IniSection { name, line, entries, index, doubled });
        }
        at
    }
}

/// The number of the file itself.
const MAIN: usize = 0;

/// The section that gets the next key.
#[derive(Clone, Copy)]
enum NextKey {
    /// No header yet.
    Nowhere,
    /// Under a header that was refused: one problem is enough.
    Skipped,
    /// After sections of another file: a reader of this file can't see which is the last of them.
    AfterIncluded,
    At(usize),
}

struct Parser<'t, 'f> {
    files: &'t Files<'t>,
    variables: &'t Expanded,
    findings: &'f mut Findings,
    taken: usize,
    includes: usize,
    /// Included files, each read once.
    done: HashMap<usize, Rc<Ini<'t>>>,
    /// The files that are being read: each is included by the one before it.
    under_way: Vec<usize>,
    lacking: Vec<Lacking<'t>>,
}

impl<'t> Parser<'t, '_> {
    fn file(&mut self, file: usize) -> Rc<Ini<'t>> {
        let mut ini = Ini::default();
        let mut current = NextKey::Nowhere;
        self.under_way.push(file);
        for (index, content) in lines_of(self.files.text(file).unwrap_or_default()).enumerate() {
            let line = Line::new(file, index + 1);
            match lines::read(content) {
                Ok(None) => {}
                Ok(Some(_)) if !self.has_room(line) => break,
                Ok(Some(Content::Header(name, include))) => {
                    let at = ini.open(name, line);
                    current = NextKey::At(at);
                    if let Some(include) = include {
                        self.include(&mut ini, Some(at), &mut current, include, line);
                        current = NextKey::At(at);
                    }
                }
                Ok(Some(Content::Include(include))) => {
                    self.include(&mut ini, None, &mut current, include, line);
                }
                Ok(Some(Content::Pair(key, value))) => {
                    let entry = self.entry(key, value, line);
                    self.put(&mut ini, current, entry, content);
                }
                Ok(Some(Content::Taken(key, include))) => {
                    if let Some(entry) = self.taken(&mut ini, current, key, include, line) {
                        self.put(&mut ini, current, entry, content);
                    }
                }
                Err(what) => {
                    if content.starts_with('[') {
                        current = NextKey::Skipped;
                    }
                    // A control character would confuse a terminal, so `?` is shown instead.
                    let shown = shown_line(content).replace(char::is_control, "?");
                    self.problem(line, format!("{what}: {shown}"));
                }
            }
        }
        self.under_way.pop();
        Rc::new(ini)
    }

    /// Makes an entry of a line, with what its variables stand for.
    fn entry(&self, key: &'t str, value: &'t str, line: Line) -> Entry<'t> {
        let (value, fault) = match self.variables.at(line) {
            None => (value, None),
            Some(Ok(value)) => (value, None),
            Some(Err(fault)) => (value, Some(fault)),
        };
        Entry { key, value, line, fault }
    }

    fn put(&mut self, ini: &mut Ini<'t>, current: NextKey, entry: Entry<'t>, shown: &str) {
        let file = self.under_way.last().copied().unwrap_or(MAIN);
        let what = match current {
            NextKey::At(at) => {
                if let Some(section) = ini.sections.get_mut(at) {
                    section.put(file, entry, self.findings);
                }
                return;
            }
            NextKey::Skipped => return,
            NextKey::Nowhere if file != MAIN => return ini.head.push(entry),
            NextKey::Nowhere => "a key before the first [Section]",
            NextKey::AfterIncluded => {
                "a key after included sections, without a [Section] of this file before it"
            }
        };
        self.problem(entry.line, format!("{what}: {}", shown_line(shown)));
    }

    /// Takes what is asked of another file, `into` a section if that is named.
    fn include(
        &mut self,
        ini: &mut Ini<'t>,
        into: Option<usize>,
        current: &mut NextKey,
        Include { file, part }: Include<'t>,
        line: Line,
    ) {
        let from = match self.included(file) {
            Ok(from) => from,
            Err(reason) => {
                if !matches!(part, Part::Keys { .. }) {
                    *current = NextKey::Skipped;
                }
                return self.not_included(file, reason, line);
            }
        };
        match part {
            Part::All => {
                for entry in &from.head {
                    self.copy(ini, *current, *entry);
                }
                for section in from.sections() {
                    self.copy_section(ini, None, section);
                    *current = NextKey::AfterIncluded;
                }
            }
            Part::Section(name) => {
                match from.section(name) {
                    Some(section) => self.copy_section(ini, into, section),
                    None => {
                        let into = into.and_then(|at| ini.sections.get(at));
                        let into = Some(into.map_or(name, |into| into.name));
                        let (from, key, has_section) = (name, None, false);
                        self.lacking.push(Lacking { line, into, from, file, key, has_section });
                    }
                }
                *current = NextKey::AfterIncluded;
            }
            Part::Keys { section: name, name: key, default } => {
                let section = from.section(name);
                let keys = section.map(|section| fitting(section, key)).unwrap_or_default();
                match (section, default) {
                    _ if !keys.is_empty() => {
                        let doubled = section.into_iter().flat_map(IniSection::doubled);
                        let of_keys = |entry: &Entry<'t>| {
                            keys.iter().any(|key| fold(key.key) == fold(entry.key))
                        };
                        let doubled: Vec<_> = doubled.filter(of_keys).collect();
                        for entry in keys {
                            self.copy(ini, *current, entry);
                        }
                        if let NextKey::At(at) = *current {
                            for entry in doubled {
                                self.copy_doubled(ini, at, entry);
                            }
                        }
                    }
                    (_, Some(value)) => {
                        let entry = self.entry(key, value, line);
                        self.put(ini, *current, entry, key);
                    }
                    (section, None) => {
                        let into = match *current {
                            NextKey::At(at) => ini.sections.get(at).map(|into| into.name),
                            _ => None,
                        };
                        let (from, key, has_section) = (name, Some(key), section.is_some());
                        self.lacking.push(Lacking { line, into, from, file, key, has_section });
                    }
                }
            }
        }
    }

    /// Reads a file that a line includes, or returns it if it was read before.
    fn included(&mut self, file: &str) -> Result<Rc<Ini<'t>>, &'t str> {
        let number = self.files.find(file).ok_or("it was not read")?;
        self.files.text(number)?;
        if self.under_way.contains(&number) {
            return Err("it is what includes this one");
        }
        if self.includes >= MAX_INCLUDES {
            return Err("too much is included: more than 1000 times");
        }
        self.includes += 1;
        if let Some(done) = self.done.get(&number) {
            return Ok(Rc::clone(done));
        }
        let done = self.file(number);
        self.done.insert(number, Rc::clone(&done));
        Ok(done)
    }

    fn not_included(&mut self, file: &str, reason: &str, line: Line) {
        self.problem(line, format!("can't include \"{}\": {reason}", shorten(file)));
    }

    /// Returns the entry of a key whose value is that of a key in another file. One that is not there is a problem: it was asked
    /// for by this very line.
    fn taken(
        &mut self,
        ini: &mut Ini<'t>,
        current: NextKey,
        key: &'t str,
        Include { file, part }: Include<'t>,
        line: Line,
    ) -> Option<Entry<'t>> {
        let Part::Keys { section: from, name, default } = part else { return None };
        let other = match self.included(file) {
            Ok(other) => other,
            Err(reason) => {
                self.not_included(file, reason, line);
                return None;
            }
        };
        let section = other.section(from);
        let Some(found) = section.and_then(|section| section.get(name)) else {
            if default.is_none() {
                let (file, from) = (shorten(file), shorten(from));
                let what = match section {
                    Some(_) => format!("key {} in [{from}]", shorten(name)),
                    None => format!("section [{from}]"),
                };
                let key = shorten(key);
                self.problem(line, format!("{key} can't be taken: \"{file}\" has no {what}"));
            }
            return default.map(|default| self.entry(key, default, line));
        };
        if let NextKey::At(at) = current {
            let doubled = section.into_iter().flat_map(IniSection::doubled);
            for entry in doubled.filter(|entry| fold(entry.key) == fold(name)) {
                self.copy_doubled(ini, at, Entry { key, ..entry });
            }
        }
        Some(Entry { key, ..found })
    }

    fn copy_section(&mut self, ini: &mut Ini<'t>, into: Option<usize>, from: &IniSection<'t>) {
        let at = into.unwrap_or_else(|| ini.open(from.name, from.line));
        if self.has_room(from.line) {
            for entry in from.entries() {
                self.copy(ini, NextKey::At(at), entry);
            }
            // Which of two lines counts is in doubt wherever they are taken to.
            for entry in from.doubled() {
                self.copy_doubled(ini, at, entry);
            }
        }
    }

    fn copy_doubled(&mut self, ini: &mut Ini<'t>, at: usize, entry: Entry<'t>) {
        if self.has_room(entry.line)
            && let Some(section) = ini.sections.get_mut(at)
        {
            section.doubled.push(entry);
        }
    }

    fn copy(&mut self, ini: &mut Ini<'t>, current: NextKey, entry: Entry<'t>) {
        if self.has_room(entry.line) {
            self.put(ini, current, entry, entry.key);
        }
    }

    /// Counts one more header or key; there may be too many.
    fn has_room(&mut self, line: Line) -> bool {
        self.taken += 1;
        if self.taken == MAX_LINES + 1 {
            self.problem(line, format!("more than {MAX_LINES} section headers and keys"));
        }
        self.taken <= MAX_LINES
    }

    fn problem(&mut self, line: Line, reason: String) {
        self.findings.problem(Location { line: Some(line), ..Location::default() }, reason);
    }
}

/// Returns the keys whose names fit: `*` stands for any characters, `?` for one.
fn fitting<'t>(section: &IniSection<'t>, name: &str) -> Vec<Entry<'t>> {
    let Some(pattern) = pattern(name) else {
        return section.get(name).into_iter().collect();
    };
    // One that is too large fits no key.
    let fits = |entry: &Entry<'t>| pattern.as_ref().is_some_and(|p| p.is_match(entry.key));
    section.entries().filter(fits).collect()
}

/// Makes an expression of a name with `*` or `?` in it, which may be too large; `None` for a name without them.
fn pattern(name: &str) -> Option<Option<Regex>> {
    name.contains(['*', '?']).then(|| {
        let escaped = regex::escape(name).replace(r"\*", ".*").replace(r"\?", ".");
        RegexBuilder::new(&format!("^(?:{escaped})$")).case_insensitive(true).build().ok()
    })
}

/// Returns a line as a message shows it: without secrets.
fn shown_line(line: &str) -> Cow<'_, str> {
    // The sign may be what is wrong with it.
    let sign: &[char] = if line.contains('=') { &['='] } else { &[':', ' ', '\t'] };
    let parts = line.find(sign).and_then(|at| line.split_at_checked(at));
    let masked = parts.and_then(|(key, rest)| {
        let value = masked(key.trim(), rest.trim_start_matches(sign).trim())?;
        Some(format!("{}{}{value}", shorten(key), rest.chars().next()?))
    });
    masked.map_or_else(|| shorten(line), Cow::Owned)
}

/// Folds a name for comparison: names of ACI settings are ASCII.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
