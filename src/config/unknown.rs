//! Warns about sections and keys that nothing reads, naming the nearest one that is known.

use super::findings::Findings;
use super::ini::{Entry, Ini, Section};
use super::queues::Roles;
use super::reader::list_index;
use super::table::{KEYS, Key, Scope, TYPE_INGEST, fixed_scope};
use crate::aci::words::{nearest, shorten};

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
        let ingest = *word == Some(TYPE_INGEST);
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
    let fixed: Vec<&str> = Scope::ALL.into_iter().filter_map(Scope::section).collect();
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

#[cfg(test)]
mod tests {
    use super::super::Settings;

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
}
