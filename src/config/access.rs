//! Makes the settings of access: who may do what.
//!
//! A setting that can't be honoured is a problem here and never a warning: a role that means less than it says would let in
//! whom its author wanted to keep out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::disk::Disk;
use super::ini::IniSection;
use super::key::Key;
use super::queues::Purposes;
use super::reader::Reader;
use super::secrets;
use super::settings::{AccessSettings, QueueConfig};
use super::table::{self, AUTHORIZATION_ROLES, ROLE, SERVER, SERVICE, STANDARD_ROLE_NAMES};
use super::value::Value;
use crate::access::{
    ActionName, AddressPattern, KeyHash, Members, Role, StandardRoles, parse_keys,
};
use crate::aci::catalog::StandardRole;
use crate::aci::catalog::builtin::{BUILTIN, QUEUE_INFO, QUEUE_WORK};
use crate::aci::queue_info::QUEUE_ACTIONS;
use crate::aci::queue_work::WORK_ACTIONS;
use crate::aci::words::{find_word, nearest, quoted_list, shorten};
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
    for port in [SERVER, SERVICE] {
        if let Some(section) = reader.ini.section(port.name) {
            let is_known = |name: &str| port.keys.iter().any(|key| key.is(name));
            reader.refuse_doubled(section, |name| {
                is_known(name) && table::restrictions().any(|key| key.is(name))
            });
        }
    }
    let mut roles = Vec::new();
    if let Some(list) = reader.ini.section(AUTHORIZATION_ROLES.name) {
        reader.refuse_doubled(list, |_| true);
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
    let trusted_proxies = trusted_proxies.unwrap_or_default();
    if let Some(all) = trusted_proxies.iter().find(|pattern| is_everybody(pattern)) {
        let reason = format!(
            "trusts {all}, so anybody could say who he is: name the addresses of the proxies, such as 10.0.0.7"
        );
        reader.problem_at("Server", table::TRUSTED_PROXIES, reason);
    }
    AccessSettings { roles, trusted_proxies }
}

/// Returns true if a pattern matches every address, at least of IPv4 or of IPv6.
fn is_everybody(pattern: &AddressPattern) -> bool {
    let v4 = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(203, 0, 113, 1)].map(IpAddr::V4);
    let v6 = [0x2001, 0xfd00].map(|first| IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 1)));
    [v4, v6].iter().any(|both| both.iter().all(|address| pattern.matches(*address)))
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
    for action in &service_actions {
        let known = SERVICE_ACTIONS.iter().map(|spec| spec.name);
        check_action(reader, section, table::SERVICE_ACTIONS, action, known);
    }
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
    check_identities(reader, section, identities.as_deref().unwrap_or_default());
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
            let with_commands = [(QUEUE_INFO.name, QUEUE_ACTIONS), (QUEUE_WORK.name, WORK_ACTIONS)];
            let is_command = with_commands.iter().any(|(name, commands)| {
                action.eq_ignore_ascii_case(name) && find_word(commands, command).is_some()
            });
            if !is_command {
                let reason = format!(
                    "names {}, which is no command: only QueueInfo and QueueWork have some, and they are {}, and {}",
                    shorten(named),
                    QUEUE_ACTIONS.join(", "),
                    WORK_ACTIONS.join(", ")
                );
                reader.problem_at(section.name, table::ACTIONS_OF_ROLE, reason);
            }
            continue;
        }
        let known = BUILTIN.iter().map(|spec| spec.name);
        let known = known.chain(queues.iter().map(|queue| queue.name.as_str()));
        check_action(reader, section, table::ACTIONS_OF_ROLE, action, known);
    }
}

/// Warns about an action that is not among those that are known.
fn check_action<'a>(
    reader: &mut Reader<'_>,
    section: &IniSection<'_>,
    key: &Key,
    action: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) {
    if known.clone().any(|known| known.eq_ignore_ascii_case(action)) {
        return;
    }
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

/// Adds a problem where names of certificates are not read as they were meant: such a role has other members.
fn check_identities(reader: &mut Reader<'_>, section: &IniSection<'_>, identities: &[String]) {
    let value = section.get(table::SSL_IDENTITIES.name).map(|entry| entry.value);
    // Whoever writes double quotes means all that is between them.
    let bare = quoted_list(&outside_quotes(value.unwrap_or_default())).unwrap_or_default();
    let is_comment = |item: &String| {
        let mut words = item.split_ascii_whitespace().skip(1);
        words.any(|word| word.starts_with("//") || word.starts_with('#'))
    };
    let is_quoted = |item: &String| item.starts_with('\'') || item.ends_with('\'');
    let what = if identities.iter().any(|item| item == "*") {
        "has *, which is no name of a certificate: name each that has the role"
    } else if bare.iter().any(is_comment) {
        "has a comment in it, which is taken for part of a name: a comment needs a line of its own"
    } else if bare.iter().any(is_quoted) {
        "has single quotes, which are taken for part of a name: a subject with commas stands in double quotes, as in \"CN=Ada,O=Ours\""
    } else if bare.iter().filter(|item| is_attribute(item)).count() > 1 {
        "would be several names, one for each NAME=VALUE: a subject with commas stands in double quotes, as in \"CN=Ada,O=Ours\", and so does each of several subjects"
    } else {
        return;
    };
    reader.problem_at(section.name, table::SSL_IDENTITIES, what);
}

/// Returns true if the text is one `NAME=VALUE` of a subject, such as `CN=Ada` or `2.5.4.3=Ada`.
fn is_attribute(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        let name = name.trim();
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        !name.is_empty() && name.chars().all(safe)
    })
}

/// Returns the items of a list that are not in double quotes.
fn outside_quotes(list: &str) -> String {
    let (mut is_inside, mut before) = (false, ' ');
    let mut outside = String::new();
    for c in list.chars() {
        match c {
            '"' if is_inside && before == '\\' => {}
            '"' => is_inside = !is_inside,
            _ if !is_inside => outside.push(c),
            _ => {}
        }
        before = c;
    }
    outside
}

/// Reads hashes, and the files that are named among them.
fn hashes(
    reader: &mut Reader<'_>,
    section: &IniSection<'_>,
    texts: &[String],
    disk: Disk,
) -> Vec<KeyHash> {
    let mut hashes = Vec::new();
    // Where a variable was empty, that is what was hashed; a client that sends no key would have it.
    let nothing = KeyHash::of("");
    let problem = |reader: &mut Reader<'_>, reason: String| {
        reader.problem_at(section.name, table::KEYS, reason);
    };
    for text in texts {
        if let Some(hash) = KeyHash::parse(text) {
            if hash == nothing {
                problem(reader, format!("has {OF_NOTHING}"));
            }
            hashes.push(hash);
            continue;
        }
        let shown = shorten(text);
        let file = Path::new(text);
        if disk == Disk::Real && secrets::is_probably_key(text) && !file.exists() {
            let reason = "has an item that is neither a hash nor a file, perhaps the key itself: the hash of the key belongs there, sha256: and 64 hexadecimal digits (actiond key prints both)";
            problem(reader, reason.to_owned());
            continue;
        }
        reader.files.push(file.to_owned());
        match disk.read_small(file).map(|content| (parse_keys(&content), content)) {
            Ok((Ok(of_file), content)) => {
                if of_file.contains(&nothing) {
                    let is_it = |line: &str| {
                        line.split_whitespace().next().and_then(KeyHash::parse) == Some(nothing)
                    };
                    let content = content.trim_start_matches('\u{feff}');
                    let line = content.lines().position(is_it).map_or(0, |at| at + 1);
                    problem(reader, format!("names {shown}, whose line {line} has {OF_NOTHING}"));
                }
                if of_file.is_empty() && disk == Disk::Real {
                    let what = format!("names {shown}, which holds no hash: no key is in it");
                    reader.warn_at(section.name, table::KEYS, &what);
                }
                hashes.extend(of_file);
            }
            Ok((Err(line), _)) => problem(
                reader,
                format!(
                    "names {shown}, whose line {line} is not sha256: and 64 hexadecimal digits (actiond key prints them)"
                ),
            ),
            Err(reason) => problem(reader, format!("names the file {shown}: {reason}")),
        }
    }
    hashes
}

/// The words for the hash of a key that is empty.
const OF_NOTHING: &str =
    "the hash of the empty text, which is no key: take that of a key (actiond key makes one)";

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
            (
                "Keys=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "has the hash of the empty text, which is no key",
            ),
            ("Keys=sha256:Z0l4", "[R] Keys=***: must be sha256: and 64 hexadecimal digits"),
            ("Clients=*\nKey=Z0l4", "t:5: [R] Key=***: is no key of a role"),
            ("Keys=sha256:123", "[R] Keys=sha256:123: must be sha256: and 64 hexadecimal digits"),
            (
                "Clients=*\nQueues=Process,Proces",
                "names Proces, which is no queue: there are Process",
            ),
            (
                "Clients=*\nActions=QueueInfo.getStaus",
                "names QueueInfo.getStaus, which is no command",
            ),
            (
                "Clients=*\nActions=Process.stop",
                "only QueueInfo and QueueWork have some, and they are getStatus",
            ),
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
            (
                "[Server]\nTrustedProxies=10.0.0.1,*\n",
                "t:2: [Server] TrustedProxies=10.0.0.1,*: trusts *, so anybody could say who he is: name",
            ),
            ("[Server]\nTrustedProxies=*.*.*.*\n", "trusts *.*.*.*, so anybody"),
            ("[Server]\nTrustedProxies=0.0.0.0/0\n", "trusts 0.0.0.0/0, so anybody"),
            ("[Server]\nTrustedProxies=::/0\n", "trusts ::/0, so anybody"),
            (
                "[Server]\nAdminClients=::1\nPort=1\n[server]\nadminclients=*\n",
                "t:5: [Server] adminclients=*: was given before: which one counts would be in doubt",
            ),
            (
                "[Service]\nServiceControlClients=::1\nServiceControlClients=*\n",
                "t:3: [Service] ServiceControlClients=*: was given before",
            ),
            (
                "[Server]\nAllowedHosts=a\nAllowedHosts=*\n",
                "t:3: [Server] AllowedHosts=*: was given",
            ),
            (
                "[Server]\nMaxConnectionsPerClient=1\nMaxConnectionsPerClient=0\n",
                "MaxConnectionsPerClient=0: was given before",
            ),
            (
                "[AuthorizationRoles]\n0=R\n0=Q\n[R]\nClients=\n[Q]\nClients=*\n",
                "t:3: [AuthorizationRoles] 0=Q: was given before",
            ),
            (
                "[AuthorizationRoles]\nNumber=1\n0=R\n1=Q\n[R]\nClients=\n",
                "t:4: [AuthorizationRoles] 1=Q: is not used, because Number=1: give the number of all",
            ),
        ] {
            let found = problems(text);
            assert!(found.iter().any(|problem| problem.contains(want)), "{text}: {found:?}");
        }
    }

    #[test]
    fn names_of_certificates_are_those_that_were_meant() {
        let tls =
            "[Server]\nSSLConfig=A\n[A]\nSSLCertificate=a\nSSLPrivateKey=b\nSSLCACertificate=c\n";
        let quotes = "a subject with commas stands in double quotes, as in \"CN=Ada,O=Ours\"";
        for (value, want) in [
            ("CN=Ada,O=Ours", quotes),
            ("ada.example.org,CN=Ada, O=Ours", "would be several names, one for each NAME=VALUE"),
            ("CN=Ada,CN=Bob", "and so does each of several subjects"),
            ("CN=Ada // hers", "a comment needs a line of its own"),
            ("\"CN=Ada,O=Ours\", b #hers", "a comment needs a line of its own"),
            ("'CN=Ada,O=Ours'", "has single quotes"),
            ("'ada'", quotes),
            ("*", "has *, which is no name of a certificate"),
            ("ada,\"*\"", "has *, which is no name of a certificate"),
        ] {
            let found = problems(&(one(&format!("SSLIdentities={value}")) + tls));
            assert_eq!(found.len(), 1, "{value}: {found:?}");
            let start = format!("t:4: [R] SSLIdentities={value}: ");
            assert!(found[0].starts_with(&start) && found[0].contains(want), "{found:?}");
        }
        for value in [
            "ada",
            "CN=Ada",
            "a,b, c d",
            "O'Brien",
            "https://a.example.org/#b",
            "urn:a?b=c,CN=Ada",
            "\"CN=Ada,O=Ours\",\"CN=Bob # the \\\"first\\\", O=Ours\",CN=Eve",
            "CN=Ada\\,O=Ours",
            "\"'Ada', O=Ours\"",
            "",
        ] {
            assert_eq!(roles(&(one(&format!("SSLIdentities={value}")) + tls)).len(), 1, "{value}");
        }
    }

    #[test]
    fn a_restriction_of_another_file_can_be_overridden_but_not_doubled() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.cfg");
        let load = |text: &str, base: &str| {
            std::fs::write(&file, text).unwrap();
            std::fs::write(directory.path().join("base.cfg"), base).unwrap();
            let (settings, warnings) = load(&Kinds::shipped(), Some(&file), &Overrides::default())
                .map_err(|error| error.to_string())?;
            assert_eq!(warnings, []);
            Ok::<_, String>(settings.access.roles[0].members.clients[0].to_string())
        };
        let base = "[Server]\nAdminClients=10.0.0.1\n";
        for head in ["< \"base.cfg\"\n[Server]\n", "[Server] < \"base.cfg\" [Server]\n"] {
            let own = format!("{head}AdminClients=10.0.0.2\n");
            assert_eq!(load(&own, base), Ok("10.0.0.2".to_owned()));
        }
        let twice = "[Server]\nAdminClients=10.0.0.1\nAdminClients=*\n";
        for text in ["< \"base.cfg\"\n", "[Server]\n< \"base.cfg\" [Server] Admin*\n"] {
            let error = load(text, twice).unwrap_err();
            assert!(error.contains("base.cfg:3: [Server] AdminClients=*: was given"), "{error}");
        }
        let after = "[Server]\nAdminClients=10.0.0.1\n< \"base.cfg\" [Server] AdminClients\n";
        let error = load(after, "[Server]\nAdminClients=*\n").unwrap_err();
        assert!(error.contains("base.cfg:2: [Server] AdminClients=*: was given"), "{error}");
    }

    #[test]
    fn an_action_that_there_is_not_is_worth_a_warning() {
        let text = one("Clients=*\nActions=GetStaus,GetTermInfo\nServiceActions=Stopp,Diagnostic");
        let (_, warnings) = Settings::parse(&text, "t").unwrap();
        let got: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            got,
            [
                "t:5: [R] Actions names GetStaus, which is no action of this server. Is GetStatus meant?",
                "t:5: [R] Actions names GetTermInfo, which is no action of this server.",
                "t:6: [R] ServiceActions names Stopp, which is no action of this server. Is Stop meant?",
                "t:6: [R] ServiceActions names Diagnostic, which is no action of this server.",
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
        let empty = KeyHash::of("");
        for (bad, why) in [
            (
                format!("# of Ada\n{one_key}\n{empty} x"),
                "whose line 3 has the hash of the empty text",
            ),
            ("sha256:12\n".to_owned(), "whose line 1 is not sha256:"),
            ("x".repeat(1_000_001), "more than 1000000 bytes"),
        ] {
            std::fs::write(&keys, bad).unwrap();
            let error = load().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        std::fs::write(&keys, "# none yet\n").unwrap();
        let (settings, warnings) = load().unwrap();
        assert_eq!(settings.access.roles[0].members.keys, Some(vec![other]));
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        let want = format!("a.cfg:5: [R] Keys names {}, which holds no hash", keys.display());
        assert!(warning.to_string().contains(&want), "{warning}");
    }

    #[test]
    fn a_key_in_place_of_its_hash_is_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.cfg");
        let (key, hash) = (crate::access::generate_key().unwrap(), KeyHash::of("other"));
        for line in [
            format!("Keys={key}"),
            format!("Keys={hash},{key}"),
            format!("Keys=sha256:{key}"),
            format!("Keys=\"{key}\""),
            format!("Keys={hash}\nKeys={key}"),
            format!("Keys={hash}\nKey={key}"),
        ] {
            std::fs::write(&file, one(&line)).unwrap();
            let error = load(&Kinds::shipped(), Some(&file), &Overrides::default()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("a.cfg:") && error.contains("=***: "), "{line}: {error}");
            assert!(!error.contains(&key[1..]), "{line}: {error}");
        }
        std::fs::write(&file, one(&format!("Keys={key}"))).unwrap();
        let error = load(&Kinds::shipped(), Some(&file), &Overrides::default()).unwrap_err();
        let want = "a.cfg:4: [R] Keys=***: has an item that is neither a hash nor a file, perhaps the key itself: the hash";
        assert!(error.to_string().contains(want), "{error}");
    }
}
