//! Warns about sections and keys that nothing reads, naming the nearest one that is known.

use super::findings::Findings;
use super::ini::{Entry, Ini, Section};
use super::queues::Roles;
use super::reader::list_index;
use super::table::{KEYS, Key, Scope, TYPE_INGEST, fixed_scope};
use crate::aci::error::shorten;

/// Longer names are not compared: no known one is near.
const LONGEST_NAME: usize = 64;

/// Adds a warning for each section and each key that has no effect.
pub(super) fn warn(ini: &Ini<'_>, roles: &Roles<'_>, findings: &mut Findings) {
    for section in ini.sections() {
        match scopes_of(section.name, roles) {
            Some(scopes) => {
                let known: Vec<_> = scopes.into_iter().flat_map(Scope::keys).collect();
                for entry in section.entries().filter(|entry| !is_known(entry.key, &known)) {
                    findings.warning(Some(entry.line), || unknown_key(section, entry, &known));
                }
            }
            // Where a list is bad, what it should have named is no mistake of its own.
            None if !roles.are_whole && nearest(section.name, fixed_names()).is_none() => {}
            None => findings.warning(Some(section.line), || unknown_section(section.name, roles)),
        }
    }
}

/// Returns whose keys a section may hold; `None` if nothing reads it.
fn scopes_of(name: &str, roles: &Roles<'_>) -> Option<Vec<Scope>> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    if let Some(scope) = fixed_scope(name) {
        Some(vec![scope])
    } else if let Some((_, word)) = roles.queues.iter().find(|(queue, _)| is(queue)) {
        // Where the type is bad, it may be meant to be that one.
        let ingest = word.is_none_or(|word| word == TYPE_INGEST);
        Some(if ingest { vec![Scope::Queue, Scope::IngestQueue] } else { vec![Scope::Queue] })
    } else {
        roles.tasks.iter().any(|task| is(task)).then(|| vec![Scope::Task])
    }
}

fn is_known(name: &str, known: &[&Key]) -> bool {
    // A number beyond the end of its list has a warning of its own already.
    known.iter().any(|key| match key.name {
        "0" => list_index(name).is_some(),
        other => other.eq_ignore_ascii_case(name),
    })
}

fn unknown_key(section: &Section<'_>, entry: Entry<'_>, known: &[&Key]) -> String {
    let start = format!("[{}] {} has no effect", shorten(section.name), shorten(entry.key));
    let elsewhere: Vec<_> = KEYS
        .iter()
        .filter(|key| key.name.eq_ignore_ascii_case(entry.key))
        .flat_map(|key| key.scopes.iter().map(|scope| scope.describe()))
        .collect();
    if !elsewhere.is_empty() {
        return format!("{start} here: it belongs into {}", elsewhere.join(" or "));
    }
    // The name that stands for a numbered list would be an odd thing to propose.
    let names = || known.iter().map(|key| key.name).filter(|name| *name != "0");
    match nearest(entry.key, names()) {
        Some(near) => format!("{start}: there is no such key. Is {near} meant?"),
        None if known.is_empty() => {
            format!("{start}: there is no such key; this section has none yet")
        }
        None => {
            let names: Vec<_> = names().collect();
            format!("{start}: there is no such key; known here are {}", names.join(", "))
        }
    }
}

fn unknown_section(section: &str, roles: &Roles<'_>) -> String {
    let start = format!("section [{}] has no effect", shorten(section));
    let fixed: Vec<&str> = fixed_names().collect();
    let chosen = roles.queues.iter().map(|(name, _)| *name).chain(roles.tasks.iter().copied());
    match nearest(section, fixed.iter().copied().chain(chosen)) {
        Some(near) => format!("{start}: nothing is called so. Is [{near}] meant?"),
        None => format!(
            "{start}: known are {}, the queues listed in [AsyncActions] and the tasks listed in \
             [FetchTasks]",
            fixed.join(", ")
        ),
    }
}

fn fixed_names() -> impl Iterator<Item = &'static str> {
    Scope::ALL.into_iter().filter_map(Scope::section)
}

/// Returns the name with the fewest typing errors between it and `given`, if they are few.
fn nearest<'n>(given: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if given.len() > LONGEST_NAME {
        return None;
    }
    let few = 1 + given.len() / 4;
    names
        .map(|name| (distance(given, name), name))
        .filter(|(distance, _)| *distance <= few)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Counts the letters to insert, drop, change or swap with their neighbour (the restricted
/// Damerau-Levenshtein distance), without regard to case.
fn distance(a: &str, b: &str) -> usize {
    strsim::osa_distance(&a.to_ascii_lowercase(), &b.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Settings;
    use super::*;

    #[test]
    fn distances() {
        let table = [
            ("", "", 0),
            ("port", "PORT", 0),
            ("Prot", "Port", 1),
            ("Por", "Port", 1),
            ("Porrt", "Port", 1),
            ("Pirt", "Port", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("MaxThreads", "MaximumThreads", 4),
            ("ca", "abc", 3),
        ];
        for (a, b, want) in table {
            assert_eq!((distance(a, b), distance(b, a)), (want, want), "{a} {b}");
        }
    }

    #[test]
    fn what_has_no_effect_is_told() {
        let table = [
            (
                "[Server]\nPrt=1",
                "t:2: [Server] Prt has no effect: there is no such key. Is Port meant?",
            ),
            ("[Server]\nBindAdress=1", "Is BindAddress meant?"),
            (
                "[Server]\nMaximumThreads=1",
                "[Server] MaximumThreads has no effect here: it belongs into [Actions] or the section of a queue",
            ),
            ("[Server]\nQueryClients=*", "known here are Port, BindAddress, "),
            ("[Service]\nServicePort=7002", "this section has none yet"),
            (
                "[Sever]\nPort=1",
                "t:1: section [Sever] has no effect: nothing is called so. Is [Server] meant?",
            ),
            ("[License]\nA=1\nB=2", "section [License] has no effect: known are Server, "),
            ("[Process]\nOutput=idx", "it belongs into the section of a queue with Type=Ingest"),
            ("[Process]\nDurability=full", "it belongs into [Actions]"),
            ("[Server]\n0=1", "it belongs into [AsyncActions] or [FetchTasks]"),
            ("[Actions]\nMaxFinishedSice=1", "Is MaxFinishedSize meant?"),
            ("[Proces]\nType=Echo", "Is [Process] meant?"),
            ("[FetchTasks]\n01=x", "[FetchTasks] 01 has no effect"),
        ];
        for (text, want) in table {
            let (_, warnings) = Settings::parse(text, "t").unwrap();
            let got: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            assert_eq!(got.len(), 1, "{text:?}: {got:?}");
            assert!(got[0].contains(want), "{text:?}: {got:?}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_a_measure(a in "[abcé]{0,6}", b in "[abcé]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            let (long, short) = (a.chars().count().max(b.chars().count()), a.chars().count().min(b.chars().count()));
            prop_assert!((long - short..=long).contains(&distance(&a, &b)));
        }
    }
}
