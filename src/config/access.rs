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
        let listed = reader.list(list, AUTHORIZATION_ROLES, |name| {
            let is_taken = taken.contains(&name.to_ascii_lowercase());
            is_taken.then(|| "cannot be taken: the section of that name is no role".to_owned())
        });
        for one in listed {
            purposes.listed.push((one.name, ROLE));
            if let Some(section) = reader.section_of(list, one, None) {
                roles.push(role(reader, section, queues, disk));
            }
        }
    }
    for (section, key, standard) in OLD {
        if let Some(Value::Texts(clients)) = reader.value(&[section], key) {
            let standard = StandardRoles::NONE.with(standard);
            roles.push(Role::of_clients(key.name, standard, patterns(&clients)));
        }
    }
    let trusted_proxies = reader.texts(&["Server"], table::TRUSTED_PROXIES);
    AccessSettings { roles, trusted_proxies: patterns(&trusted_proxies) }
}

fn role<'r>(
    reader: &mut Reader<'r>,
    section: &'r IniSection<'r>,
    queues: &[QueueConfig],
    disk: Disk,
) -> Role {
    let name = &[section.name];
    for entry in section.entries().filter(|entry| !ROLE.keys.iter().any(|key| key.is(entry.key))) {
        let known = ROLE.keys.iter().map(|key| key.name);
        let hint = match nearest(entry.key, known.clone()) {
            Some(near) => format!("Is {near} meant?"),
            None => format!("It may have {}.", known.collect::<Vec<_>>().join(", ")),
        };
        let reason = format!("is no key of a role, so it can't be honoured. {hint}");
        reader.problem_of(section, entry, reason);
    }
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
    let clients = reader.given_texts(name, table::CLIENTS);
    let identities = reader.given_texts(name, table::SSL_IDENTITIES);
    let keys = reader.given_texts(name, table::KEYS);
    if clients.is_none() && identities.is_none() && keys.is_none() {
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
            clients: patterns(&clients.unwrap_or_default()),
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

/// Reads patterns that were read before, so none is bad.
fn patterns(texts: &[String]) -> Vec<AddressPattern> {
    texts.iter().filter_map(|text| AddressPattern::parse(text).ok()).collect()
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
