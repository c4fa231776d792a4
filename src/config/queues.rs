//! Makes the settings of the queues of `[AsyncActions]`: those of every queue here, the rest by the kinds of action.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::build;
use super::disk::Disk;
use super::ini::IniSection;
use super::key::Section;
use super::kind_reader::{KindInputs, KindReader};
use super::reader::Reader;
use super::settings::{OnRestart, QueueConfig};
use super::table::{self, ASYNC_ACTIONS, DEFAULT_QUEUE, TYPE};
use crate::aci::catalog::builtin;
use crate::kinds::{Kind, WrittenDirectory};

/// A name of `[AsyncActions]` and, where it is good, the kind of action.
type ListedQueue<'r> = (&'r str, Option<&'r Arc<dyn Kind>>);

/// The purpose of each section whose name was chosen, so that `unknown` can judge their keys.
#[derive(Debug, Default)]
pub(super) struct Purposes<'r> {
    pub(super) queues: Vec<ListedQueue<'r>>,
    /// The sections that kinds of action list, by their names.
    pub(super) listed: Vec<(&'r str, &'static Section)>,
    /// All that was listed is here: else a section without a part may have one.
    pub(super) are_whole: bool,
}

impl<'r> Purposes<'r> {
    /// Returns true if a section of this name is that of a role.
    pub(super) fn is_role(&self, name: &str) -> bool {
        self.is(name, table::ROLE)
    }

    /// Returns true if a section of this name has options of TLS.
    pub(super) fn is_ssl(&self, name: &str) -> bool {
        self.is(name, table::SSL_OPTION)
    }

    /// Returns true if a section of this name is that of a handler of events.
    pub(super) fn is_handler(&self, name: &str) -> bool {
        table::HANDLERS.iter().any(|section| self.is(name, section))
    }

    /// Returns true if any key of a section of this name may be a parameter of an action.
    pub(super) fn takes_parameters(&self, name: &str) -> bool {
        let mut listed = self.listed.iter();
        listed.any(|(listed, of)| of.takes_parameters && listed.eq_ignore_ascii_case(name))
    }

    fn is(&self, name: &str, section: &Section) -> bool {
        let same = |listed: &Section| listed.name == section.name;
        self.listed.iter().any(|(listed, of)| same(of) && listed.eq_ignore_ascii_case(name))
    }

    /// Returns the names that are taken.
    pub(super) fn names(&self) -> impl Iterator<Item = &'r str> {
        let queues = self.queues.iter().map(|(name, _)| *name);
        queues.chain(self.listed.iter().map(|(name, _)| *name))
    }
}

/// Makes the queues.
pub(super) fn queues<'r>(
    reader: &mut Reader<'r>,
    data_directory: &Path,
    disk: Disk,
) -> (Vec<QueueConfig>, Purposes<'r>) {
    let before = reader.findings.problem_count();
    let queues = listed_queues(reader);
    // Another queue may need one that is refused: then it is not reported as missing, too.
    let all_good = reader.findings.problem_count() == before;

    let inputs = KindInputs { queues: &queues, all_good, data_directory, disk };
    let mut listed = Vec::new();
    let mut configured = HashMap::new();
    let mut are_whole = all_good;
    let kinds = reader.kinds;
    for kind in kinds.iter() {
        let mut config = KindReader {
            reader: &mut *reader,
            kind: &**kind,
            inputs,
            listed: &mut listed,
            are_whole: &mut are_whole,
        };
        let names = config.own_queues();
        configured.extend(names.into_iter().zip(kind.read(&mut config).0));
    }
    let mut all = Vec::new();
    for (name, kind) in &queues {
        let (Some(kind), Some(settings)) = (kind, configured.remove(name)) else { continue };
        let mut limits = build::limits(reader, &[name, "Actions"]);
        let secret = reader.texts(&[name], table::SECRET_PARAMETERS);
        limits.secret_parameters = secret.into_iter().collect();
        if kind.on_restart() == OnRestart::Resume {
            warn_of_restarts(reader, name, kind.word());
        }
        if limits.on_restart.is_none() {
            let word = match kind.on_restart() {
                OnRestart::Requeue => Some("Requeue"),
                OnRestart::Fail => Some("Fail"),
                // No word stands for it: the kind decides.
                OnRestart::Resume => None,
            };
            if let Some(word) = word {
                reader.derived(name, table::ON_RESTART, word, "that of its Type");
            }
        }
        all.push(QueueConfig {
            name: (*name).to_owned(),
            kind: Arc::clone(kind),
            settings,
            limits,
        });
    }
    let written: Vec<_> = all.iter().flat_map(written_by).collect();
    for queue in &all {
        let mut config = KindReader {
            reader: &mut *reader,
            kind: &*queue.kind,
            inputs,
            listed: &mut listed,
            are_whole: &mut are_whole,
        };
        queue.settings.check(&mut config, &written);
    }
    (all, Purposes { queues, listed, are_whole })
}

/// Warns of a key that has no effect on a queue whose actions outlive the server.
fn warn_of_restarts(reader: &mut Reader<'_>, queue: &str, kind: &str) {
    let entry = reader.ini.section(queue).and_then(|section| section.get(table::ON_RESTART.name));
    if let Some(entry) = entry.filter(|entry| !reader.findings.has_problem_at(entry.line)) {
        reader.findings.warning(Some(entry.line), || {
            format!(
                "[{queue}] {} has no effect: what Type={kind} runs goes on elsewhere when the server ends",
                table::ON_RESTART.name
            )
        });
    }
}

fn written_by(queue: &QueueConfig) -> impl Iterator<Item = WrittenDirectory> {
    let name = queue.name.clone();
    let written = queue.settings.writes_to().into_iter();
    written.map(move |(key, path)| WrittenDirectory { queue: name.clone(), key, path })
}

/// Returns names and kinds of the queues.
fn listed_queues<'r>(reader: &mut Reader<'r>) -> Vec<ListedQueue<'r>> {
    let list = reader.ini.section("AsyncActions");
    // Other servers have a section of this name that lists nothing.
    let is_of_others = |list: &&IniSection<'_>| {
        list.get("Threads").is_some()
            && !list.entries().any(|entry| ASYNC_ACTIONS.keys.iter().any(|key| key.is(entry.key)))
    };
    let Some(list) = list.filter(|list| !is_of_others(list)) else {
        let how = "without a list in [AsyncActions] there is this queue";
        reader.derived("AsyncActions", table::QUEUE_NAME, DEFAULT_QUEUE, how);
        let there = reader.ini.section(DEFAULT_QUEUE).and_then(|s| s.get(TYPE.name));
        let kind = match there {
            Some(_) => reader.kind(DEFAULT_QUEUE),
            None => {
                let kind = reader.kinds.iter().next();
                reader.derived(DEFAULT_QUEUE, TYPE, kind.map_or("", |kind| kind.word()), how);
                kind
            }
        };
        return vec![(DEFAULT_QUEUE, kind)];
    };
    let before = reader.findings.problem_count();
    let names = reader.list(list, ASYNC_ACTIONS, |name| {
        builtin(name).is_some().then(|| "cannot be taken: that action answers at once".to_owned())
    });
    if names.is_empty() && reader.findings.problem_count() == before {
        reader.problem_at(
            "AsyncActions",
            table::QUEUE_NAME,
            "is missing: at least one queue is needed",
        );
    }
    let allowed = reader.kinds.allowed();
    let mut queues = Vec::new();
    for listed in names {
        let kind = reader
            .section_of(list, listed, Some(TYPE))
            .filter(|section| reader.require(section, TYPE, &allowed))
            .and_then(|section| reader.kind(section.name));
        queues.push((listed.name, kind));
    }
    queues
}
