//! Makes the settings of access: who may do what.
//!
//! What can't be honoured here is a problem and never a warning: a role that means less than it says would let in whom its
//! author wanted to keep out.

use std::path::Path;

use super::disk::Disk;
use super::ini::IniSection;
use super::key::Key;
use super::queues::Purposes;
use super::reader::Reader;
use super::settings::{AccessSettings, QueueConfig};
use super::table::{self, AUTHORIZATION_ROLES, ROLE, STANDARD_ROLE_NAMES};
use super::value::Value;
use crate::access::{
    ActionName, AddressPattern, KeyHash, Members, Role, StandardRoles, parse_keys,
};
use crate::aci::catalog::StandardRole;
use crate::aci::catalog::builtin::{BUILTIN, QUEUE_INFO};
use crate::aci::queue_info::QUEUE_ACTIONS;
use crate::aci::words::{find_word, nearest, shorten};
use crate::service::SERVICE_ACTIONS;

/// The keys by which older configurations say who has a standard role: section, key and role.
const OLD: [(&str, &Key, StandardRole); 4] = [
    ("Server", table::ADMIN_CLIENTS, StandardRole::Admin),
    ("Server", table::QUERY_CLIENTS, StandardRole::Query),
    ("Service", table::SERVICE_CONTROL_CLIENTS, StandardRole::ServiceControl),
    ("Service", table::SERVICE_STATUS_CLIENTS, StandardRole::ServiceStatus),
];

/// Makes the settings of access. The sections of roles are added to `purposes`.
pub(super) fn access<'r>(
    reader: &mut Reader<'r>,
    queues: &[QueueConfig],
    purposes: &mut Purposes<'r>,
    disk: Disk,
) -> AccessSettings {
    let mut roles = Vec::new();
    if let Some(list) = reader.ini.section(AUTHORIZATION_ROLES.name) {
        let taken: Vec<_> = purposes.names().map(str::to_ascii_lowercase).collect();
        let before = reader.findings.problem_count();
        let listed = reader.list(list, AUTHORIZATION_ROLES, |name| {
            let is_taken = taken.contains(&name.to_ascii_lowercase());
            is_taken.then(|| "cannot be taken: the section of that name is no role".to_owned())
        });
        // Where the list is bad, a section that it should have named is no mistake of its own.
        purposes.are_whole &= reader.findings.problem_count() == before;
        for one in listed {
            purposes.listed.push((one.name, ROLE));
            if let Some(section) = reader.section_of(list, one, None) {
                roles.push(role(reader, section, queues, disk));
            }
        }
    }
    for (section, key, standard) in OLD {
        if let Some(clients) = patterns(reader, section, key, disk) {
            let standard = StandardRoles::NONE.with(standard);
            roles.push(Role::of_clients(key.name, standard, clients));
        }
    }
    let trusted_proxies = patterns(reader, "Server", table::TRUSTED_PROXIES, disk);
    AccessSettings { roles, trusted_proxies: trusted_proxies.unwrap_or_default() }
}

fn role<'r>(
    reader: &mut Reader<'r>,
    section: &'r IniSection<'r>,
    queues: &[QueueConfig],
    disk: Disk,
) -> Role {
    let name = &[section.name];
    reader.refuse_unknown(section, ROLE.keys, "a role");
    let standard = match reader.value(name, table::STANDARD_ROLES) {
        Some(Value::Words(words)) => standard_roles(&words),
        _ => StandardRoles::NONE,
    };
    let actions = reader.texts(name, table::ACTIONS_OF_ROLE);
    let service_actions = reader.texts(name, table::SERVICE_ACTIONS);
    check_actions(reader, section, &actions, queues);
    check_service_actions(reader, section, &service_actions);
    let limits = reader.given_texts(name, table::QUEUES);
    for queue in limits.iter().flatten() {
        if !queues.iter().any(|known| known.name.eq_ignore_ascii_case(queue)) {
            let names: Vec<_> = queues.iter().map(|queue| queue.name.as_str()).collect();
            let reason = format!(
                "names {}, which is no queue: there are {}",
                shorten(queue),
                names.join(", ")
            );
            reader.problem_at(section.name, table::QUEUES, reason);
        }
    }
    let clients = patterns(reader, section.name, table::CLIENTS, disk);
    let identities = reader.given_texts(name, table::SSL_IDENTITIES);
    let keys = reader.given_texts(name, table::KEYS);
    let who = [table::CLIENTS, table::SSL_IDENTITIES, table::KEYS];
    if who.iter().all(|key| section.get(key.name).is_none()) {
        reader.problem_at(
            section.name,
            table::CLIENTS,
            "is missing, and so are SSLIdentities and Keys: one of them must say who has the role (Clients= without a value: nobody)",
        );
    }
    Role {
        name: section.name.to_owned(),
        standard,
        actions: actions.iter().map(|name| ActionName::new(name)).collect(),
        service_actions,
        queues: limits,
        members: Members {
            clients: clients.unwrap_or_default(),
            identities: identities.unwrap_or_default(),
            keys: keys.map(|texts| hashes(reader, section, &texts, disk)),
        },
    }
}

fn standard_roles(words: &[&str]) -> StandardRoles {
    let of = |word: &&str| StandardRole::ALL.into_iter().find(|role| role.name() == *word);
    let all = words.iter().any(|word| STANDARD_ROLE_NAMES.last() == Some(word));
    if all { StandardRoles::ALL } else { words.iter().filter_map(of).collect() }
}

/// Warns about actions that there are not: a role that names one allows nothing by it. A command that there is not is a
/// problem: only this server has them in roles, so it is no leftover of another one's file.
fn check_actions(
    reader: &mut Reader<'_>,
    section: &IniSection<'_>,
    actions: &[String],
    queues: &[QueueConfig],
) {
    for named in actions {
        let (action, command) = match named.split_once('.') {
            Some((action, command)) => (action.trim(), Some(command.trim())),
            None => (named.as_str(), None),
        };
        if let Some(command) = command {
            let is_command = action.eq_ignore_ascii_case(QUEUE_INFO.name)
                && find_word(QUEUE_ACTIONS, command).is_some();
            if !is_command {
                let commands = QUEUE_ACTIONS.join(", ");
                let reason = format!(
                    "names {}, which is no command: only QueueInfo has some, and they are {commands}",
                    shorten(named)
                );
                reader.problem_at(section.name, table::ACTIONS_OF_ROLE, reason);
            }
            continue;
        }
        let known = BUILTIN.iter().map(|spec| spec.name);
        let known = known.chain(queues.iter().map(|queue| queue.name.as_str()));
        if !known.clone().any(|known| known.eq_ignore_ascii_case(action)) {
            warn_of_action(reader, section, table::ACTIONS_OF_ROLE, action, known);
        }
    }
}

fn check_service_actions(reader: &mut Reader<'_>, section: &IniSection<'_>, actions: &[String]) {
    let known = SERVICE_ACTIONS.iter().map(|spec| spec.name);
    for action in actions {
        if !known.clone().any(|known| known.eq_ignore_ascii_case(action)) {
            warn_of_action(reader, section, table::SERVICE_ACTIONS, action, known.clone());
        }
    }
}

fn warn_of_action<'a>(
    reader: &mut Reader<'_>,
    section: &IniSection<'_>,
    key: &Key,
    action: &str,
    known: impl Iterator<Item = &'a str>,
) {
    let hint = nearest(action, known).map(|near| format!(" Is {near} meant?")).unwrap_or_default();
    let text = format!("names {}, which is no action of this server.{hint}", shorten(action));
    reader.warn_at(section.name, key, &text);
}

/// Reads the patterns of a key, if it is set. The names of hosts among them are looked up, which may take seconds.
fn patterns(
    reader: &mut Reader<'_>,
    section: &str,
    key: &Key,
    disk: Disk,
) -> Option<Vec<AddressPattern>> {
    let texts = reader.given_texts(&[section], key)?;
    // None is bad: they were read before.
    let mut patterns: Vec<_> =
        texts.iter().filter_map(|text| AddressPattern::parse(text).ok()).collect();
    if disk == Disk::Real {
        for pattern in &mut patterns {
            if let Err(error) = pattern.look_up() {
                reader.problem_at(section, key, error.to_string());
            }
        }
    }
    Some(patterns)
}

/// Reads hashes, and the files that are named among them.
fn hashes(
    reader: &mut Reader<'_>,
    section: &IniSection<'_>,
    texts: &[String],
    disk: Disk,
) -> Vec<KeyHash> {
    let mut hashes = Vec::new();
    for text in texts {
        if let Some(hash) = KeyHash::parse(text) {
            hashes.push(hash);
            continue;
        }
        reader.files.push(text.into());
        match disk.read_small(Path::new(text)).map(|text| parse_keys(&text)) {
            Ok(Ok(of_file)) => hashes.extend(of_file),
            Ok(Err(line)) => {
                let reason = format!(
                    "names {}, whose line {line} is not sha256: and 64 hexadecimal digits (actiond key prints them)",
                    shorten(text)
                );
                reader.problem_at(section.name, table::KEYS, reason);
            }
            Err(reason) => {
                let reason = format!("names the file {}: {reason}", shorten(text));
                reader.problem_at(section.name, table::KEYS, reason);
            }
        }
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, Settings, load};
    use super::*;
    use crate::access::{Access, Concerned, Wanted};
    use crate::front::{Caller, Credential};
    use crate::kinds::Kinds;

    fn roles(text: &str) -> Vec<Role> {
        let (settings, warnings) = Settings::parse(text, "t").unwrap();
        assert_eq!(warnings, [], "{text}");
        settings.access.roles
    }

    fn problems(text: &str) -> Vec<String> {
        let error = Settings::parse(text, "t").unwrap_err();
        error.problems().iter().map(ToString::to_string).collect()
    }

    /// The text of one role with these lines.
    fn one(lines: &str) -> String {
        format!("[AuthorizationRoles]\n0=R\n[R]\n{lines}\n")
    }

    #[test]
    fn a_role_is_read_key_by_key() {
        let hash = KeyHash::of("a key");
        let text = one(&format!(
            "StandardRoles=query, ServiceStatus\nActions=GetStatus,QueueInfo.stop\nServiceActions=Stop\nQueues=process\n\
             Clients=localhost,10.0.0.0/8\nSSLIdentities=\"CN=Ada, O=Ours\",b\nKeys={hash}"
        ));
        let tls =
            "[Server]\nSSLConfig=A\n[A]\nSSLCertificate=a\nSSLPrivateKey=b\nSSLCACertificate=c\n";
        let [role] = &roles(&(text + tls))[..] else { panic!("one role") };
        assert_eq!(role.name, "R");
        let standard = [StandardRole::Query, StandardRole::ServiceStatus];
        assert_eq!(role.standard, standard.into_iter().collect());
        assert_eq!(role.actions, ["GetStatus", "QueueInfo.stop"].map(ActionName::new));
        assert_eq!(role.service_actions, ["Stop"]);
        assert_eq!(role.queues.as_deref(), Some(&["process".to_owned()][..]));
        let clients: Vec<_> = role.members.clients.iter().map(ToString::to_string).collect();
        assert_eq!(clients, ["localhost", "10.0.0.0/8"]);
        assert_eq!(role.members.identities, ["CN=Ada, O=Ours", "b"]);
        assert_eq!(role.members.keys, Some(vec![hash]));
    }

    #[test]
    fn nobody_can_be_meant() {
        for empty in ["", "\"\""] {
            let [role] = &roles(&one(&format!("StandardRoles=*\nClients={empty}")))[..] else {
                panic!("one")
            };
            assert_eq!(role.standard, StandardRoles::ALL);
            assert!(role.members.clients.is_empty() && role.members.keys.is_none());
        }
        let [role] = &roles(&one("StandardRoles=*\nClients=*\nKeys="))[..] else { panic!("one") };
        assert_eq!(role.members.keys, Some(vec![]), "an address alone is not enough");
        assert_eq!(roles("").len(), 0);
        assert_eq!(roles("[AuthorizationRoles]\n").len(), 0);
    }

    #[test]
    fn the_older_keys_are_roles_of_their_own() {
        let text = "[Server]\nAdminClients=10.0.0.1\nQueryClients=10.*.*.*\n\
                    [Service]\nServiceStatusClients=\nServiceControlClients=::1\n";
        let access = Access::new(roles(text));
        let wanted = |role| Wanted { action: "X", subaction: None, role, queue: Concerned::Server };
        let at = |address: &str| Caller::at(Some(address.parse().unwrap()));
        for (address, standard, is_member) in [
            ("10.0.0.1", StandardRole::Admin, true),
            ("127.0.0.1", StandardRole::Admin, false),
            ("10.9.9.9", StandardRole::Query, true),
            ("127.0.0.1", StandardRole::Query, false),
            ("127.0.0.1", StandardRole::ServiceStatus, false),
            ("::1", StandardRole::ServiceControl, true),
            ("127.0.0.1", StandardRole::ServiceControl, false),
            ("192.0.2.7", StandardRole::Index, true),
        ] {
            assert_eq!(
                access.allows(&at(address), &wanted(standard)),
                is_member,
                "{address} {standard:?}"
            );
        }
        // They add to what roles allow.
        let both =
            one("StandardRoles=Admin\nClients=10.0.0.2") + "[Server]\nAdminClients=10.0.0.1\n";
        let access = Access::new(roles(&both));
        for address in ["10.0.0.1", "10.0.0.2"] {
            assert!(access.allows(&at(address), &wanted(StandardRole::Admin)), "{address}");
        }
    }

    #[test]
    fn what_can_not_be_honoured_is_a_problem() {
        for (lines, want) in [
            (
                "Clients=*\nClient=*",
                "t:5: [R] Client=*: is no key of a role, so it can't be honoured. Is Clients meant?",
            ),
            ("Clients=*\nGSSPrincipals=a", "[R] GSSPrincipals=a: is no key of a role"),
            ("Clients=10.0.0.0/8\nclients=*", "t:5: [R] clients=*: was given before"),
            ("Clients=*\nFoo=a", "It may have StandardRoles, Actions, "),
            ("StandardRoles=Query", "[R] Clients: is missing, and so are SSLIdentities and Keys"),
            ("Clients=10.0.0.0/33", "[R] Clients=10.0.0.0/33: must be *, localhost, an address"),
            ("Clients=a b", "must be *, localhost, an address"),
            ("Clients=*\nStandardRoles=Querry", "must be one or more of Admin, Query"),
            ("Clients=*\nStandardRoles=", "StandardRoles=: is empty"),
            (
                "SSLIdentities=a",
                "[R] SSLIdentities=a: needs a port with SSLConfig and SSLCACertificate",
            ),
            ("Keys=sha256:123", "[R] Keys=sha256:123: must be sha256: and 64 hexadecimal digits"),
            (
                "Clients=*\nQueues=Process,Proces",
                "names Proces, which is no queue: there are Process",
            ),
            (
                "Clients=*\nActions=QueueInfo.getStaus",
                "names QueueInfo.getStaus, which is no command",
            ),
            ("Clients=*\nActions=Process.stop", "only QueueInfo has some, and they are getStatus"),
        ] {
            let found = problems(&one(lines));
            assert_eq!(found.len(), 1, "{lines}: {found:?}");
            assert!(found[0].contains(want), "{lines}: {found:?}");
        }
        for (text, want) in [
            ("[AuthorizationRoles]\n0=R\n", "t:2: [AuthorizationRoles] 0=R: has no section [R]"),
            (
                "[AuthorizationRoles]\n1=R\n[R]\nClients=*\n",
                "there is no 0=, though a higher number is given",
            ),
            (
                "[AuthorizationRoles]\n0=Process\n[Process]\nType=Echo\n",
                "the section of that name is no role",
            ),
            ("[AuthorizationRoles]\n0=Server\n", "the section of that name has its own meaning"),
            (
                "[Server]\nAdminClients=10.0.0\n",
                "[Server] AdminClients=10.0.0: must be *, localhost",
            ),
            ("[Server]\nTrustedProxies=*.1.*.*\n", "[Server] TrustedProxies=*.1.*.*: must be"),
        ] {
            let found = problems(text);
            assert!(found.iter().any(|problem| problem.contains(want)), "{text}: {found:?}");
        }
    }

    #[test]
    fn an_action_that_there_is_not_is_worth_a_warning() {
        let text = one("Clients=*\nActions=GetStaus,GetTermInfo\nServiceActions=Stopp,SetConfig");
        let (_, warnings) = Settings::parse(&text, "t").unwrap();
        let got: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            got,
            [
                "t:5: [R] Actions names GetStaus, which is no action of this server. Is GetStatus meant?",
                "t:5: [R] Actions names GetTermInfo, which is no action of this server.",
                "t:6: [R] ServiceActions names Stopp, which is no action of this server. Is Stop meant?",
                "t:6: [R] ServiceActions names SetConfig, which is no action of this server.",
            ]
        );
    }

    #[test]
    fn keys_can_be_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let (file, keys) = (directory.path().join("a.cfg"), directory.path().join("keys.txt"));
        let (one_key, other) = (KeyHash::of("one"), KeyHash::of("other"));
        let text = one(&format!("StandardRoles=Query\nKeys={other},{}", keys.display()));
        std::fs::write(&file, text).unwrap();
        let load = || load(&Kinds::shipped(), Some(&file), &Overrides::default());
        let error = load().unwrap_err().to_string();
        assert!(
            error.contains("a.cfg:5: [R] Keys=") && error.contains("keys.txt: it can't be read: "),
            "{error}"
        );
        std::fs::write(&keys, format!("# of Ada\n{one_key}\n")).unwrap();
        let (settings, _) = load().unwrap();
        assert_eq!(settings.access.roles[0].members.keys, Some(vec![other, one_key]));
        let caller = Caller { credential: Some(Credential::Key(one_key)), ..Caller::default() };
        assert!(settings.access.roles[0].members.have(&caller));
        for (bad, why) in [
            ("sha256:12\n".to_owned(), "whose line 1 is not sha256:"),
            ("x".repeat(1_000_001), "more than 1000000 bytes"),
        ] {
            std::fs::write(&keys, bad).unwrap();
            let error = load().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
