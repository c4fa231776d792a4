//! Warns about sections and keys that nothing reads, naming the nearest one that is known.

use super::findings::{Findings, Location};
use super::ini::{Entry, Ini, IniSection, Lacking};
use super::key::{Key, Section};
use super::queues::Purposes;
use super::table::{
    self, AUTHORIZATION_ROLES, QUEUE, SERVER, SERVICE, SSL_OPTION, fixed_section, fixed_sections,
    places,
};
use crate::aci::words::{nearest, shorten};
use crate::kinds::Kinds;

/// Adds a warning for each section and each key that has no effect, and a problem where it would have kept somebody out.
pub(super) fn warn(ini: &Ini<'_>, purposes: &Purposes<'_>, kinds: &Kinds, findings: &mut Findings) {
    for lacking in ini.lacking() {
        if guards(lacking, purposes, kinds) {
            let place = Location { line: Some(lacking.line), ..Location::default() };
            let reason = format!(
                "{}, and a restriction of access may be meant. Take the line away, or name what is there",
                lacking.message()
            );
            findings.problem(place, reason);
        } else {
            // The vendor's own files take sections from files that hold them only in some installations.
            findings.warning(Some(lacking.line), || lacking.message());
        }
    }
    for section in ini.sections() {
        if let Some(known) = keys_of(section.name, purposes, kinds) {
            refuse_faults(section, &known, findings);
        }
        match keys_of(section.name, purposes, kinds) {
            // What is wrong there is a problem already.
            Some(_) if purposes.is_role(section.name) || purposes.is_ssl(section.name) => {}
            Some(_) if purposes.takes_parameters(section.name) => {}
            Some(known) => {
                let is_known = |name: &str| known.iter().any(|key| key.is(name));
                for entry in section.entries().filter(|entry| !is_known(entry.key)) {
                    let text = || unknown_key(section, entry, &known, kinds);
                    if is_restriction(section.name, entry.key, &known) {
                        let place = Location { line: Some(entry.line), ..Location::default() };
                        findings.problem(place, text());
                    } else {
                        findings.warning(Some(entry.line), text);
                    }
                }
            }
            None if misspelt_or(section.name, &[AUTHORIZATION_ROLES], kinds) => {
                let place = Location { line: Some(section.line), ..Location::default() };
                let reason = format!(
                    "section [{}] has no effect, and it may be meant to list roles. Is [{}] meant?",
                    shorten(section.name),
                    AUTHORIZATION_ROLES.name
                );
                findings.problem(place, reason);
            }
            // Where a list is bad, what it should have named is no mistake of its own.
            None if !purposes.are_whole && nearest(section.name, fixed_names(kinds)).is_none() => {}
            None if MARKS_OF_ROLES.iter().any(|key| section.get(key.name).is_some()) => {
                let place = Location {
                    line: Some(section.line),
                    section: Some(section.name),
                    ..Location::default()
                };
                let list = AUTHORIZATION_ROLES.name;
                findings
                    .problem(place, format!("is built like a role, and [{list}] does not list it"));
            }
            None if SSL_OPTION.keys.iter().any(|key| section.get(key.name).is_some()) => {
                let place = Location {
                    line: Some(section.line),
                    section: Some(section.name),
                    ..Location::default()
                };
                let reason = "has options of TLS, and no SSLConfig names it";
                findings.problem(place, reason);
            }
            None if table::restrictions().any(|key| section.get(key.name).is_some()) => {
                let place = Location { line: Some(section.line), ..Location::default() };
                findings.problem(place, unknown_section(section.name, purposes, kinds));
            }
            None => {
                findings
                    .warning(Some(section.line), || unknown_section(section.name, purposes, kinds));
            }
        }
    }
}

/// Adds a problem for each value with a bad variable that nobody has looked at, of a key that there is: it would count once
/// something else is mended.
fn refuse_faults(section: &IniSection<'_>, known: &[&'static Key], findings: &mut Findings) {
    for entry in section.entries().filter(|entry| known.iter().any(|key| key.is(entry.key))) {
        if let Some(fault) = entry.fault.filter(|_| !findings.has_problem_at(entry.line)) {
            let place = Location {
                line: Some(entry.line),
                section: Some(section.name),
                key: Some(entry.key),
                value: Some(entry.value),
            };
            findings.problem(place, fault);
        }
    }
}

/// Returns true if a line that takes nothing from another file could have taken what keeps somebody out.
fn guards(lacking: &Lacking<'_>, purposes: &Purposes<'_>, kinds: &Kinds) -> bool {
    let is_list = |section: &str| misspelt_or(section, &[AUTHORIZATION_ROLES], kinds);
    let is_of_access =
        |section: &str| purposes.is_role(section) || purposes.is_ssl(section) || is_list(section);
    let is_of_port = |section: &str| misspelt_or(section, &[SERVER, SERVICE], kinds);
    let ports = [SERVER.keys, SERVICE.keys].concat();
    let could_restrict = table::restrictions().any(|key| lacking.could_take(key.name))
        // One that is misspelt takes nothing of what is there.
        || lacking.key.is_some_and(|key| is_restriction(SERVER.name, key, &ports));
    let is_of_port = match lacking.into {
        Some(into) if lacking.is_of_main() => is_of_port(into),
        // A section of another file may be taken under any name.
        _ => true,
    };
    lacking.into.is_some_and(is_of_access)
        || is_of_access(lacking.from)
        || could_restrict && is_of_port
}

/// Returns true if a name is that of one of the sections, or a misspelt one.
fn misspelt_or(name: &str, sections: &[&Section], kinds: &Kinds) -> bool {
    let near = nearest(name, fixed_names(kinds));
    near.is_some_and(|near| sections.iter().any(|section| section.name == near))
}

/// The keys by which a section is known for that of a role.
const MARKS_OF_ROLES: [&Key; 4] =
    [table::STANDARD_ROLES, table::CLIENTS, table::SSL_IDENTITIES, table::KEYS];

/// Returns true if a key that nothing reads was meant to keep somebody out: it is misspelt, in the wrong section, or one of
/// other servers. Such a configuration must not be used.
fn is_restriction(section: &str, given: &str, known: &[&Key]) -> bool {
    let is_in = |other: &Section| other.name.eq_ignore_ascii_case(section);
    // There a key can only be meant to name a role.
    if is_in(AUTHORIZATION_ROLES)
        || (is_in(SERVER) || is_in(SERVICE)) && table::is_list_of_clients(given)
    {
        return true;
    }
    let is = |name: &str| name.eq_ignore_ascii_case(given);
    // At a port, what belongs to the other one or to its TLS may be meant.
    let others = [SERVER.keys, SERVICE.keys, SSL_OPTION.keys].concat();
    let others = if is_in(SERVER) || is_in(SERVICE) { others } else { Vec::new() };
    let misspelt = nearest(given, known.iter().chain(&others).map(|key| key.name));
    table::UNSUPPORTED.iter().any(|name| is(name))
        || table::restrictions().any(|key| is(key.name) || misspelt == Some(key.name))
}

/// Returns the keys that a section may hold; `None` if nothing reads it.
fn keys_of(name: &str, purposes: &Purposes<'_>, kinds: &Kinds) -> Option<Vec<&'static Key>> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    if let Some(section) = fixed_section(kinds, name) {
        return Some(section.keys.to_vec());
    }
    if let Some((_, kind)) = purposes.queues.iter().find(|(queue, _)| is(queue)) {
        // Where the type is bad, any may be meant.
        let own = match kind {
            Some(kind) => kind.keys().to_vec(),
            None => kinds.iter().flat_map(|kind| kind.keys()).copied().collect(),
        };
        return Some([QUEUE.keys, &own].concat());
    }
    // Two kinds of action may list sections of the same name.
    let listed: Vec<_> = purposes.listed.iter().filter(|(section, _)| is(section)).collect();
    let keys = listed.iter().flat_map(|(_, section)| section.keys).copied().collect();
    (!listed.is_empty()).then_some(keys)
}

fn unknown_key(
    section: &IniSection<'_>,
    entry: Entry<'_>,
    known: &[&Key],
    kinds: &Kinds,
) -> String {
    let start = format!("[{}] {} has no effect", shorten(section.name), shorten(entry.key));
    let has = |keys: &[&Key]| keys.iter().any(|key| key.name.eq_ignore_ascii_case(entry.key));
    let elsewhere: Vec<_> =
        places(kinds).filter(|(_, keys)| has(keys)).map(|(place, _)| place).collect();
    if !elsewhere.is_empty() {
        return format!("{start} here: it belongs into {}", elsewhere.join(" or "));
    }
    // The name of a numbered list's first item would be an odd proposal.
    let names = || known.iter().filter(|key| !key.is_numbered()).map(|key| key.name);
    let at_port = [SERVER, SERVICE].iter().any(|port| port.name.eq_ignore_ascii_case(section.name));
    let restriction = || nearest(entry.key, table::restrictions().map(|key| key.name));
    match nearest(entry.key, names()).or_else(|| at_port.then(restriction).flatten()) {
        Some(near) => format!("{start}: there is no such key. Is {near} meant?"),
        None => {
            let shown = |key: &&Key| match key.is_numbered() {
                true => format!("{0}0 (and {0}1, {0}2 ...)", key.prefix()),
                false => key.name.to_owned(),
            };
            let shown: Vec<_> = known.iter().map(shown).collect();
            format!("{start}: there is no such key; known here are {}", shown.join(", "))
        }
    }
}

fn unknown_section(section: &str, purposes: &Purposes<'_>, kinds: &Kinds) -> String {
    let start = format!("section [{}] has no effect", shorten(section));
    let queues = purposes.queues.iter().map(|(name, _)| *name);
    let chosen = queues.chain(purposes.listed.iter().map(|(name, _)| *name));
    match nearest(section, fixed_names(kinds).chain(chosen)) {
        Some(near) => format!("{start}: nothing is called so. Is [{near}] meant?"),
        None => {
            let of_kinds = kinds.iter().flat_map(|kind| kind.sections().iter().copied());
            let listed: Vec<_> = std::iter::once(QUEUE)
                .chain(of_kinds)
                .filter_map(|section| section.listed)
                .map(|(one, list)| format!("the {one}s listed in [{}]", list.name))
                .collect();
            let fixed: Vec<_> = fixed_names(kinds).collect();
            format!("{start}: known are {}, {}", fixed.join(", "), listed.join(" and "))
        }
    }
}

fn fixed_names(kinds: &Kinds) -> impl Iterator<Item = &str> {
    fixed_sections(kinds).filter_map(|section| section.fixed_name())
}

#[cfg(test)]
mod tests {
    use super::super::build::BuildInputs;
    use super::super::disk::Disk;
    use super::super::files::Included;
    use super::super::{Overrides, Settings, Warning};
    use crate::kinds::Kinds;

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
            ("[Server]\nQueryCaches=*", "known here are Port, BindAddress, "),
            (
                "[Sever]\nPort=1",
                "t:1: section [Sever] has no effect: nothing is called so. Is [Server] meant?",
            ),
            // There is no index port.
            ("[Server]\nIndexClients=::1", "[Server] IndexClients has no effect: there is no such"),
            ("[License]\nA=1\nB=2", "section [License] has no effect: known are Server, "),
            ("[Process]\nOutput=idx", "it belongs into the section of a queue with Type=Ingest"),
            ("[Process]\nDurability=full", "it belongs into [Actions]"),
            (
                "[Server]\n0=1",
                "it belongs into [AuthorizationRoles] or [Logging] or [Schedules] or [AsyncActions] or [FetchTasks]",
            ),
            ("[Actions]\nMaxFinishedSice=1", "Is MaxFinishedSize meant?"),
            ("[Proces]\nType=Echo", "Is [Process] meant?"),
            (
                "[FetchTasks]\n01=x",
                "[FetchTasks] 01 has no effect: there is no such key; known here are Number, 0 (and 1, 2 ...)",
            ),
        ];
        for (text, want) in table {
            let (_, warnings) = Settings::parse(text, "t").unwrap();
            let got: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            assert_eq!(got.len(), 1, "{text:?}: {got:?}");
            assert!(got[0].contains(want), "{text:?}: {got:?}");
        }
    }

    /// Reads a text that may include `a.cfg`, with this text.
    fn parse_with(text: &str, other: &str) -> Result<Vec<String>, String> {
        let included = |name: &str| Included {
            name: name.to_owned(),
            text: if name == "a.cfg" { Ok(other.to_owned()) } else { Err("none".to_owned()) },
        };
        let (overrides, kinds) = (Overrides::default(), Kinds::shipped());
        let (overrides, kinds, included) = (&overrides, &kinds, &included);
        let among =
            BuildInputs { overrides, disk: Disk::Unknown, kinds, included, variable: &|_| None };
        let told = |warnings: Vec<Warning>| warnings.iter().map(ToString::to_string).collect();
        let read = Settings::parse_among(text, "t", &among);
        read.map(|parsed| told(parsed.warnings)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_include_that_yields_nothing_stops_the_start_where_it_may_restrict() {
        let role = "[AuthorizationRoles]\n0=R\n[R]\nClients=*\n";
        let ssl =
            "[Server]\nSSLConfig=T\n[T]\nSSLCertificate=a\nSSLPrivateKey=b\nSSLCACertificate=c\n";
        let nested = "[X]\n< \"a.cfg\" [Access] ";
        for (text, line) in [
            (format!("{role}< \"a.cfg\" [Viewers] Queues\n"), 5),
            (format!("{role}< \"a.cfg\" [Viewers]\n"), 0),
            (format!("{role}[R] < \"a.cfg\" [Viewers]\n"), 5),
            (format!("{role}[R] < \"a.cfg\" [Full] Que*\n"), 5),
            (format!("{ssl}< \"a.cfg\" [TLS] SSLCheckCertificate\n"), 7),
            ("[AuthorizationRoles] < \"a.cfg\" [Roles]\n".to_owned(), 1),
            ("< \"a.cfg\" [AuthorizationRoles]\n".to_owned(), 1),
            ("< \"a.cfg\" [AuthorisationRoles]\n".to_owned(), 1),
            ("[X] < \"a.cfg\" [AuthorizationRoles] 0\n".to_owned(), 1),
            ("[Server] < \"a.cfg\" [Access]\n".to_owned(), 1),
            ("< \"a.cfg\" [Sever]\n".to_owned(), 1),
            ("[Server]\n< \"a.cfg\" [Access] AdminClients\n".to_owned(), 2),
            ("[Server]\n< \"a.cfg\" [Full] *clients\n".to_owned(), 2),
            ("[Service]\n< \"a.cfg\" [Access] S?LConfig\n".to_owned(), 2),
            ("[Server]\n< \"a.cfg\" [Full] AdminClient\n".to_owned(), 2),
            ("[Service]\n< \"a.cfg\" [Full] ServiceControlClint*\n".to_owned(), 2),
            ("[Service]\n< \"a.cfg\" [Full] RequireGSSAuth\n".to_owned(), 2),
            ("[Server]\n< \"a.cfg\" [Full] Port\n".to_owned(), 0),
            ("[Server]\n< \"a.cfg\" [None] Log*\n".to_owned(), 0),
            ("[Actions] < \"a.cfg\" [None]\n".to_owned(), 0),
            ("[Actions]\n< \"a.cfg\" [None] *Clients\n".to_owned(), 0),
        ] {
            let read = parse_with(&text, "[Full]\nA=1\n");
            if line == 0 {
                let told = read.unwrap();
                assert!(
                    told.iter().any(|told| told.contains("nothing is taken")),
                    "{text}: {told:?}"
                );
                continue;
            }
            let error = read.unwrap_err();
            let start = format!("t:{line}: \"a.cfg\" has no ");
            assert!(error.lines().any(|told| told.starts_with(&start)), "{text}: {error}");
            assert!(error.contains("nothing is taken, and a restriction of access may"), "{error}");
        }
        // In a file that is included, the section may become any other.
        for (key, line) in [("AdminClients", 2), ("A*", 2), ("Port", 0)] {
            let nested = nested.replace("a.cfg", "b.cfg") + key;
            let included = |name: &str| Included {
                name: name.to_owned(),
                text: Ok(if name == "a.cfg" { nested.clone() } else { String::new() }),
            };
            let (overrides, kinds) = (Overrides::default(), Kinds::shipped());
            let (overrides, kinds, included) = (&overrides, &kinds, &included);
            let among = BuildInputs {
                overrides,
                disk: Disk::Unknown,
                kinds,
                included,
                variable: &|_| None,
            };
            let read = Settings::parse_among("[Server] < \"a.cfg\" [X]\n", "t", &among);
            let error = read.map(drop).map_err(|error| error.to_string());
            match line {
                0 => assert_eq!(error, Ok(()), "{key}"),
                _ => assert!(error.unwrap_err().starts_with(&format!("a.cfg:{line}: ")), "{key}"),
            }
        }
    }

    #[test]
    fn what_would_have_kept_somebody_out_stops_the_start() {
        let table = [
            (
                "[Server]\nQueryClient=10.0.0.1",
                "t:2: [Server] QueryClient has no effect: there is no such key. Is QueryClients meant?",
            ),
            ("[Server]\nServiceControlClients=10.0.0.1", "it belongs into [Service]"),
            ("[Server]\nRequireGSSAuth=true", "[Server] RequireGSSAuth has no effect"),
            (
                "[Process]\nType=Echo\nClients=10.0.0.1",
                "it belongs into the section of a role in [AuthorizationRoles]",
            ),
            (
                "[AdminRole]\nStandardRoles=Admin\nClients=*",
                "t:1: [AdminRole]: is built like a role, and [AuthorizationRoles] does not list it",
            ),
            (
                "[AuthorizationRoles]\nNumber=1\n0=A\n1=B\n[A]\nClients=*\n[B]\nClients=*",
                "t:4: [AuthorizationRoles] 1=B: is not used, because Number=1",
            ),
            (
                "[AuthorizationRoles]\nRole0=A",
                "t:2: [AuthorizationRoles] Role0 has no effect: there is no such key; known here are Number, 0 (and 1",
            ),
            ("[AuthorizationRoles]\n00=A", "t:2: [AuthorizationRoles] 00 has no effect"),
            (
                "[AuthorisationRoles]\n0=A",
                "t:1: section [AuthorisationRoles] has no effect, and it may be meant to list roles. Is [Auth",
            ),
            ("[AuthorizationRole]\nNumber=0", "Is [AuthorizationRoles] meant?"),
            ("[AuthorizationRole]", "t:1: section [AuthorizationRole] has no effect"),
            (
                "[Server]\nSSLCheckCertificate=true",
                "t:2: [Server] SSLCheckCertificate has no effect here: it belongs into the section of a port with TLS",
            ),
            ("[Server]\nSSLCheckCertificat=true", "t:2: [Server] SSLCheckCertificat has no effect"),
            ("[Service]\nQueryClient=::1", "t:2: [Service] QueryClient has no effect"),
            ("[Service]\nSSLCACertificate=a", "[Service] SSLCACertificate has no effect here"),
            ("[Process]\nType=Echo\nSSLMethod=Negotiate", "t:3: [Process] SSLMethod has no effect"),
            (
                "[SSLOption0]\nSSLCheckCertificate=true",
                "t:1: [SSLOption0]: has options of TLS, and no SSLConfig names it",
            ),
            ("[Server]\nAllowedHost=a", "Is AllowedHosts meant?"),
            ("[Service]\nAllowedHosts=a", "[Service] AllowedHosts has no effect here"),
            ("[Server]\nMaxConnectionPerClient=1", "Is MaxConnectionsPerClient meant?"),
            ("[Actions]\nMaxConnectionsPerClient=1", "it belongs into [Server]"),
            ("[Server]\nMaxRequestPerSecondPerClient=1", "Is MaxRequestsPerSecondPerClient meant?"),
            ("[Server]\nSuggestClients=::1", "t:2: [Server] SuggestClients has no effect"),
            ("[Service]\nClients=::1", "t:2: [Service] Clients has no effect here"),
            ("[Service]\nLicenseClients=::1", "t:2: [Service] LicenseClients has no effect"),
            (
                "[Sever]\nQueryClients=localhost",
                "t:1: section [Sever] has no effect: nothing is called so. Is [Server] meant?",
            ),
            ("[Services]\nSSLConfig=A", "Is [Service] meant?"),
            ("[Submitters]\nActions=Process\nKeys=", "[Submitters]: is built like a role"),
        ];
        for (text, want) in table {
            let error = Settings::parse(text, "t").unwrap_err();
            assert_eq!(error.problems().len(), 1, "{text:?}: {error}");
            assert!(error.to_string().contains(want), "{text:?}: {error}");
        }
    }
}
