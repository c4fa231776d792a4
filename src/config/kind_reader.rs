//! The view of the configuration for a kind of action: the queues of the kind, their sections and the kind's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::build;
use super::disk::Disk;
use super::key::{Key, Section};
use super::reader::Reader;
use super::secrets::secret;
use super::value::Value;
use crate::kinds::{ConfiguredQueue, ConfiguredQueues, Kind};

/// The facts that a kind may need while it reads: all queues, the data directory and the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct KindInputs<'a, 'r> {
    /// Names of the queues, and their kinds where those are good.
    pub(super) queues: &'a [(&'r str, Option<&'r Arc<dyn Kind>>)],
    /// Nothing that was listed has been refused.
    pub(super) all_good: bool,
    pub(super) data_directory: &'a Path,
    pub(super) disk: Disk,
}

/// Reads the configuration for a kind of action.
///
/// A value that is bad is a problem that stops the start, told with its line; something usable is returned all the same,
/// so that all problems are reported at once.
#[derive(Debug)]
pub struct KindReader<'a, 'r> {
    pub(super) reader: &'a mut Reader<'r>,
    pub(super) kind: &'a dyn Kind,
    pub(super) inputs: KindInputs<'a, 'r>,
    /// The sections that were listed by now, and what each is.
    pub(super) listed: &'a mut Vec<(&'r str, &'static Section)>,
    /// Nothing that such a list named has been refused.
    pub(super) are_whole: &'a mut bool,
}

impl<'r> KindReader<'_, 'r> {
    /// Makes the queues of this kind: each of its section.
    pub fn each_queue(
        &mut self,
        mut read: impl FnMut(&mut SectionReader<'_, 'r>) -> Arc<dyn ConfiguredQueue>,
    ) -> ConfiguredQueues {
        let mut queues = Vec::new();
        for name in self.own_queues() {
            self.require_all(name, self.kind.keys());
            queues.push(read(&mut self.named(name)));
        }
        ConfiguredQueues(queues)
    }

    /// Returns the names of the queues of this kind, in their order.
    #[must_use]
    pub fn own_queues(&self) -> Vec<&'r str> {
        let word = self.kind.word();
        self.queues(|kind| kind.word() == word)
    }

    /// Returns the names of the queues whose actions take documents in, in their order.
    #[must_use]
    pub fn queues_for_documents(&self) -> Vec<&'r str> {
        self.queues(|kind| kind.takes_documents())
    }

    fn queues(&self, wanted: impl Fn(&dyn Kind) -> bool) -> Vec<&'r str> {
        let is_wanted = |kind: &Option<&Arc<dyn Kind>>| kind.is_some_and(|kind| wanted(&**kind));
        self.inputs
            .queues
            .iter()
            .filter(|(_, kind)| is_wanted(kind))
            .map(|(name, _)| *name)
            .collect()
    }

    /// Returns true if every queue that the configuration lists is known. If not, a queue that seems to be missing may have been
    /// refused, and that was reported already.
    #[must_use]
    pub fn knows_all_queues(&self) -> bool {
        self.inputs.all_good
    }

    /// Returns the server's data directory.
    #[must_use]
    pub fn data_directory(&self) -> &Path {
        self.inputs.data_directory
    }

    /// Returns true if the disk may be looked at; not so where only a text is parsed.
    #[must_use]
    pub fn may_look_at_disk(&self) -> bool {
        self.inputs.disk == Disk::Real
    }

    /// Reads a section of a fixed name.
    pub fn section(&mut self, section: &'static Section) -> SectionReader<'_, 'r> {
        self.named(section.name)
    }

    /// Reads a section of a name that the administrator chose.
    pub fn named<'a>(&'a mut self, name: &'a str) -> SectionReader<'a, 'r> {
        let KindInputs { data_directory, disk, .. } = self.inputs;
        SectionReader { reader: &mut *self.reader, name, fallback: None, data_directory, disk }
    }

    /// Goes through the sections of this form: the names are those that its list gives. A name that is a queue's, and one
    /// that has no section, are problems.
    pub fn each_listed<T>(
        &mut self,
        each: &'static Section,
        mut read: impl FnMut(&'r str, &mut SectionReader<'_, 'r>) -> T,
    ) -> Vec<T> {
        let Some((_, list)) = each.listed else { return Vec::new() };
        let Some(section) = self.reader.ini.section(list.name) else { return Vec::new() };
        let queues = self.inputs.queues;
        let before = self.reader.findings.problem_count();
        let names = self.reader.list(section, list, |name| {
            let is_queue = queues.iter().any(|(queue, _)| queue.eq_ignore_ascii_case(name));
            is_queue.then(|| "cannot be taken: there is a queue of that name".to_owned())
        });
        *self.are_whole &= self.reader.findings.problem_count() == before;
        let needs = each.keys.iter().copied().find(|key| key.is_required());
        let mut all = Vec::new();
        for listed in names {
            self.listed.push((listed.name, each));
            if let Some(own) = self.reader.section_of(section, listed, needs) {
                self.require_all(own.name, each.keys);
                all.push(read(listed.name, &mut self.named(own.name)));
            }
        }
        all
    }

    /// Notes the names of such sections where nothing in them has an effect, so that nothing in them is a problem either.
    pub fn skip_listed(&mut self, each: &'static Section) {
        let Some((_, list)) = each.listed else { return };
        let Some(section) = self.reader.ini.section(list.name) else { return };
        let (Some(key), _) = list.list_keys() else { return };
        let names = section.entries().filter(|entry| key.index(entry.key).is_some());
        self.listed.extend(names.map(|entry| (entry.value, each)));
    }

    /// Tells if [`each_listed`](Self::each_listed) or [`skip_listed`](Self::skip_listed) found a name for a section of this form, whether there is such a section
    /// or not.
    #[must_use]
    pub fn lists_any(&self, each: &Section) -> bool {
        let list = |section: &Section| section.listed.map(|(_, list)| list.name);
        self.listed.iter().any(|(_, section)| list(section) == list(each))
    }

    fn require_all(&mut self, section: &str, keys: &[&Key]) {
        if let Some(section) = self.reader.ini.section(section) {
            for key in keys.iter().filter(|key| key.is_required()) {
                self.reader.require(section, key, &key.kind.allowed());
            }
        }
    }

    /// Adds a warning about the file as a whole.
    pub fn warning(&mut self, what: &str) {
        self.reader.findings.warning(None, || what.to_owned());
    }
}

/// Reads the values of a section: what the file says, else the default.
#[derive(Debug)]
pub struct SectionReader<'a, 'r> {
    reader: &'a mut Reader<'r>,
    name: &'a str,
    /// The section in which a key is looked up that is not in this one.
    fallback: Option<&'static str>,
    data_directory: &'a Path,
    disk: Disk,
}

impl<'a, 'r> SectionReader<'a, 'r> {
    pub(super) fn new(
        reader: &'a mut Reader<'r>,
        name: &'a str,
        data_directory: &'a Path,
        disk: Disk,
    ) -> Self {
        Self { reader, name, data_directory, disk, fallback: None }
    }
}

impl<'a> SectionReader<'a, '_> {
    /// Returns the section's name; for the section of a queue, the queue's.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// Has keys that are not in this section looked up in another one.
    pub fn fall_back(&mut self, section: &'static Section) {
        self.fallback = Some(section.name);
    }

    /// Returns the sections in which keys are looked up, in this order.
    fn sections(&self) -> [&'a str; 2] {
        [self.name, self.fallback.unwrap_or(self.name)]
    }

    /// Returns the section that gives a key; this one if none does.
    fn section_of(&self, key: &Key) -> &'a str {
        let gives = |name: &&str| self.reader.gives(name, key);
        self.sections().into_iter().find(gives).unwrap_or(self.name)
    }

    fn value(&mut self, key: &Key) -> Option<Value> {
        let sections = self.sections();
        self.reader.value(&sections, key)
    }

    /// Returns a number; 0 if there is none.
    pub fn integer(&mut self, key: &'static Key) -> i64 {
        let sections = self.sections();
        self.reader.integer(&sections, key)
    }

    /// Returns a number whose range has no negative ones; -1, for unlimited, becomes the largest.
    pub fn size(&mut self, key: &'static Key) -> usize {
        let sections = self.sections();
        self.reader.size(&sections, key)
    }

    /// Returns a number of seconds.
    pub fn seconds(&mut self, key: &'static Key) -> Duration {
        Duration::from_secs(u64::try_from(self.integer(key)).unwrap_or_default())
    }

    /// Returns a truth value; `false` if there is none.
    pub fn boolean(&mut self, key: &'static Key) -> bool {
        let sections = self.sections();
        self.reader.boolean(&sections, key)
    }

    /// Returns one of the words of the key, in the key's spelling.
    pub fn word(&mut self, key: &'static Key) -> Option<&'static str> {
        let sections = self.sections();
        self.reader.word(&sections, key)
    }

    /// Returns words of the key, each once, in the key's spelling.
    pub fn words(&mut self, key: &'static Key) -> Vec<&'static str> {
        match self.value(key) {
            Some(Value::Words(words)) => words,
            _ => Vec::new(),
        }
    }

    /// Returns a text: a name, a host, a path.
    pub fn text(&mut self, key: &'static Key) -> Option<String> {
        let sections = self.sections();
        self.reader.text(&sections, key)
    }

    /// Returns texts: those of one line with commas between them, or of a numbered list.
    pub fn texts(&mut self, key: &'static Key) -> Vec<String> {
        if !key.is_numbered() {
            let sections = self.sections();
            return self.reader.texts(&sections, key);
        }
        let texts =
            self.reader.values(self.name, key).into_iter().filter_map(|value| match value {
                Value::Text(text) => Some(text),
                _ => None,
            });
        texts.collect()
    }

    /// Returns the text of the small file that the key names. One that can't be read is a problem. `None` without the key, or where
    /// the disk is not looked at.
    pub fn small_file(&mut self, key: &'static Key) -> Option<String> {
        let path = PathBuf::from(self.text(key)?);
        if self.disk == Disk::Unknown {
            return None;
        }
        match self.disk.read_small(&path) {
            Ok(text) => Some(text),
            Err(why) => {
                self.problem(key, format!("can't be used: {why}"));
                None
            }
        }
    }

    /// Returns a secret: the value of `key`, or the first line of the file that `file_key` names, whose contents are for the server
    /// alone; and the key of the two that gives it. Both together, and a file that can't be read, are problems; one that every user
    /// may read is a warning. `None` without either, or where the disk is not looked at.
    pub fn secret(
        &mut self,
        key: &'static Key,
        file_key: &'static Key,
    ) -> Option<(String, &'static Key)> {
        let given = secret(self.reader, self.name, (key, file_key), self.disk)?;
        Some((given.text, given.by))
    }

    /// Returns paths.
    pub fn paths(&mut self, key: &'static Key) -> Vec<PathBuf> {
        self.texts(key).into_iter().map(PathBuf::from).collect()
    }

    /// Returns a regular expression.
    pub fn regex(&mut self, key: &'static Key) -> Option<Regex> {
        match self.value(key) {
            Some(Value::Regex(regex)) => Some(regex),
            _ => None,
        }
    }

    /// Returns the path of a directory into which actions write: the one in the section, else `default`, which `how` explains. It
    /// is a problem if there can't be a directory.
    pub fn directory_to_write(
        &mut self,
        key: &'static Key,
        default: impl FnOnce() -> PathBuf,
        how: &'static str,
    ) -> PathBuf {
        let directory = match self.text(key) {
            Some(given) => PathBuf::from(given),
            None => {
                let default = default();
                self.derived(key, &default.to_string_lossy(), how);
                default
            }
        };
        // What lies in a DataDirectory that can't be one was told with it.
        let is_told =
            directory.starts_with(self.data_directory) && !self.disk.can_be(self.data_directory);
        if !is_told && let Some(reason) = build::no_directory(self.disk, &directory) {
            self.problem(key, reason);
        }
        directory
    }

    /// Warns of a directory to read from that is not there. It may come later, so it stops nothing.
    pub fn warn_if_absent(&mut self, key: &'static Key, directory: &Path) {
        if let Some(why) = self.disk.lacks(directory) {
            self.warning(key, &format!("names {}: {why}", directory.display()));
        }
    }

    /// Returns true if the file gives the key.
    #[must_use]
    pub fn gives(&self, key: &'static Key) -> bool {
        self.reader.gives(self.section_of(key), key)
    }

    /// Returns the number of problems so far, so that a caller can see if a step added one.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.reader.findings.problem_count()
    }

    /// Notes the derived value of a key without a fixed default that is not given, and the reason.
    pub fn derived(&mut self, key: &'static Key, value: &str, how: &'static str) {
        self.reader.derived(self.name, key, value, how);
    }

    /// Adds a problem about a value that is good by itself, but not together with others: it stops the start.
    pub fn problem(&mut self, key: &'static Key, reason: impl Into<String>) {
        let section = self.section_of(key);
        self.reader.problem_at(section, key, reason);
    }

    /// Adds a warning about a value.
    pub fn warning(&mut self, key: &'static Key, what: &str) {
        self.reader.warn_at(self.name, key, what);
    }

    /// Adds a warning about the section.
    pub fn warning_about_all(&mut self, what: &str) {
        let line = self.reader.ini.section(self.name).map(|section| section.line);
        let name = self.name;
        self.reader.findings.warning(line, || format!("[{name}] {what}"));
    }
}
