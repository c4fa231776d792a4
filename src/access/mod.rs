//! Access: who may have which action performed.
//!
//! The rules are those of ACI servers (source: the pages about authorization roles), with keys and limits to queues added. A
//! role allows some actions to its members; who has several roles may do what any of them allows; no role implies another.
//!
//! | module | contents |
//! |---|---|
//! | here | [`Access`]: the rules in force, and their defaults |
//! | `role` | [`Role`]: what it allows, and its members |
//! | `pattern` | [`AddressPattern`]: the entries of `Clients` |
//! | `keys` | [`KeyHash`]: keys are known by their hashes only |
//!
//! Nothing here reads a configuration (`config::access` does) or a request (`http::caller`). `front::authorize` asks.

mod keys;
mod pattern;
mod role;
#[cfg(test)]
mod tests;

pub use keys::{KeyHash, PREFIX as KEY_PREFIX, generate as generate_key, parse_file as parse_keys};
pub use pattern::{ALLOWED as ADDRESS_FORMS, AddressPattern, BadPattern, UnknownHost};
pub use role::{ActionName, Concerned, Members, Role, StandardRoles, Wanted};

use std::net::IpAddr;

use crate::aci::catalog::StandardRole;
use crate::front::Caller;

/// The rules about who may do what, as a configuration sets them.
///
/// ```
/// use std::net::IpAddr;
/// use actiond::access::{Access, Concerned, Wanted};
/// use actiond::aci::catalog::StandardRole;
/// use actiond::front::Caller;
/// let access = Access::default();
/// let elsewhere = Caller::at(Some(IpAddr::from([192, 0, 2, 7])));
/// let wanted = |role| Wanted { action: "GetStatus", subaction: None, role, queue: Concerned::Server };
/// assert!(access.allows(&elsewhere, &wanted(StandardRole::Query)));
/// assert!(!access.allows(&elsewhere, &wanted(StandardRole::Admin)));
/// ```
#[derive(Debug, Clone)]
pub struct Access {
    roles: Vec<Role>,
    /// The standard roles of everybody, without regard to the queue: most requests need no more.
    of_all: StandardRoles,
    /// The proxies whose word about the client counts.
    trusted_proxies: Vec<AddressPattern>,
}

/// Those of a server whose configuration has no roles.
impl Default for Access {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Access {
    /// Makes the rules of these roles. A standard role that none of them names has its default: `Admin` and `ServiceControl`
    /// for this machine only, the others for everybody who reaches the port.
    #[must_use]
    pub fn new(mut roles: Vec<Role>) -> Self {
        let named = roles.iter().fold(StandardRoles::NONE, |all, role| all.and(role.standard));
        let of = |are_local: bool| -> StandardRoles {
            let all = StandardRole::ALL.into_iter();
            all.filter(|role| !named.has(*role) && is_local_by_default(*role) == are_local)
                .collect()
        };
        let defaults = [(of(true), AddressPattern::local()), (of(false), AddressPattern::any())];
        for (name, (standard, pattern)) in DEFAULTS.into_iter().zip(defaults) {
            if standard != StandardRoles::NONE {
                roles.push(Role::of_clients(name, standard, vec![pattern]));
            }
        }
        let of_all = roles
            .iter()
            .filter(|role| role.queues.is_none() && role.members.are_all())
            .fold(StandardRoles::NONE, |all, role| all.and(role.standard));
        Self { roles, of_all, trusted_proxies: Vec::new() }
    }

    /// Sets the proxies that are believed when they say who the client is (default none).
    #[must_use]
    pub fn trusting(mut self, proxies: Vec<AddressPattern>) -> Self {
        self.trusted_proxies = proxies;
        self
    }

    /// Returns true if this is the address of a proxy whose word about the client counts.
    #[must_use]
    pub fn trusts(&self, proxy: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|pattern| pattern.matches(proxy))
    }

    /// Makes rules by which everybody may do everything, for an application that decides by itself who reaches the endpoint.
    #[must_use]
    pub fn open() -> Self {
        Self::new(vec![Role::of_clients("open", StandardRoles::ALL, vec![AddressPattern::any()])])
    }

    /// Returns true if there are roles beside the defaults.
    #[must_use]
    pub fn has_roles(&self) -> bool {
        self.roles.iter().any(|role| !DEFAULTS.contains(&role.name.as_str()))
    }

    /// Returns true if everybody has this standard role for all queues.
    #[must_use]
    pub const fn is_open(&self, role: StandardRole) -> bool {
        self.of_all.has(role)
    }

    /// Returns true if the caller may have this action of the ACI port performed.
    #[must_use]
    pub fn allows(&self, caller: &Caller, wanted: &Wanted<'_>) -> bool {
        self.is_open(wanted.role)
            || self.roles.iter().any(|role| role.allows(wanted) && role.members.have(caller))
    }

    /// Returns true if the caller may have this action of the service port performed, which needs this standard role.
    #[must_use]
    pub fn allows_service(&self, caller: &Caller, action: &str, role: StandardRole) -> bool {
        self.is_open(role)
            || self
                .roles
                .iter()
                .any(|rule| rule.allows_service(action, role) && rule.members.have(caller))
    }

    /// Returns true if the caller has this standard role for the whole server.
    #[must_use]
    pub fn has_standard(&self, caller: &Caller, standard: StandardRole) -> bool {
        let has = |role: &Role| {
            role.queues.is_none() && role.standard.has(standard) && role.members.have(caller)
        };
        self.is_open(standard) || self.roles.iter().any(has)
    }

    /// Returns the words for all who have a standard role: patterns of addresses, certificates, and how many keys.
    #[must_use]
    pub fn origins(&self, standard: StandardRole) -> Vec<String> {
        let mut origins = Vec::new();
        for role in self.roles.iter().filter(|role| role.standard.has(standard)) {
            let limit = role.queues.as_ref().map(|queues| format!(" for {}", queues.join(", ")));
            let limit = limit.unwrap_or_default();
            let Members { clients, identities, keys } = &role.members;
            if keys.is_none() {
                origins.extend(clients.iter().map(|pattern| format!("{pattern}{limit}")));
            }
            origins.extend(identities.iter().map(|name| format!("certificate {name}{limit}")));
            if let Some(keys) = keys.as_ref().filter(|keys| !keys.is_empty()) {
                origins.push(format!(
                    "{} key{}{limit}",
                    keys.len(),
                    if keys.len() == 1 { "" } else { "s" }
                ));
            }
        }
        origins
    }

    /// Returns true if the caller has any role at all.
    #[must_use]
    pub fn knows(&self, caller: &Caller) -> bool {
        self.of_all != StandardRoles::NONE
            || self.roles.iter().any(|role| role.members.have(caller))
    }

    /// Returns true if some role has a list of keys.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.roles.iter().any(|role| role.members.keys.is_some())
    }

    /// Returns true if the caller has sent a key, and no role has it.
    #[must_use]
    pub fn is_wrong_key(&self, caller: &Caller) -> bool {
        caller.credential.is_some() && !self.roles.iter().any(|role| role.members.have_key(caller))
    }
}

/// The names of the default roles, which no section can have: that for this machine, and that for everybody.
const DEFAULTS: [&str; 2] = ["the default for this machine", "the default for everybody"];

/// Returns true if a standard role is for this machine only where no role names it (source: the page "Authorization Roles").
const fn is_local_by_default(role: StandardRole) -> bool {
    matches!(role, StandardRole::Admin | StandardRole::ServiceControl)
}
