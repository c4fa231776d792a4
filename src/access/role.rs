//! Roles: what a caller may do, and who has them.

use super::keys::KeyHash;
use super::pattern::AddressPattern;
use crate::aci::catalog::StandardRole;
use crate::front::{Caller, Credential};

/// A set of standard roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandardRoles(u8);

impl StandardRoles {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// All of them, as `*` means.
    pub const ALL: Self = {
        let mut all = Self::NONE;
        let mut at = 0;
        while at < StandardRole::ALL.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "in a constant, where it can't fail at run time"
            )]
            let role = StandardRole::ALL[at];
            all = all.with(role);
            at += 1;
        }
        all
    };

    /// Returns these and one more.
    #[must_use]
    pub const fn with(self, role: StandardRole) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// Returns true if this one is among them.
    #[must_use]
    pub const fn has(self, role: StandardRole) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Returns those of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<StandardRole> for StandardRoles {
    fn from_iter<I: IntoIterator<Item = StandardRole>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The name of an action, or of one command of it: `QueueInfo.getStatus`. It is compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionName {
    action: String,
    subaction: Option<String>,
}

impl ActionName {
    /// Reads a name: of an action, or of a command after a dot.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (action, subaction) = match text.split_once('.') {
            Some((action, subaction)) => (action, Some(subaction.trim().to_owned())),
            None => (text, None),
        };
        Self { action: action.trim().to_owned(), subaction }
    }

    fn covers(&self, wanted: &Wanted<'_>) -> bool {
        self.action.eq_ignore_ascii_case(wanted.action)
            && match (self.subaction.as_deref(), wanted.subaction) {
                (Some(named), Some(wanted)) => named.eq_ignore_ascii_case(wanted),
                (Some(_), None) => false,
                // Whoever may steer a queue may not therefore delete from it.
                (None, Some(_)) => wanted.role != StandardRole::Admin,
                (None, None) => true,
            }
    }
}

/// The action that a request wants to have performed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The name of the action.
    pub action: &'a str,
    /// The part of it, such as `getStatus` of `QueueInfo`, in the spelling of the documentation; `None` if it has none, or
    /// an unknown one.
    pub subaction: Option<&'a str>,
    /// The standard role that it needs.
    pub role: StandardRole,
    /// The queue that it concerns.
    pub queue: Concerned<'a>,
}

/// The queue that a request concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerned<'a> {
    /// None: the action is about the server.
    Server,
    /// The queue of this name.
    Queue(&'a str),
    /// One that there is not.
    Unknown,
}

/// A role: a set of actions that its members may have performed.
#[derive(Debug, Clone, Default)]
pub struct Role {
    /// The name, that of its section.
    pub name: String,
    /// The standard roles that it has: all the actions that need one of them.
    pub standard: StandardRoles,
    /// Single actions.
    pub actions: Vec<ActionName>,
    /// Single actions of the service port.
    pub service_actions: Vec<String>,
    /// The queues that it is limited to; `None` for all.
    pub queues: Option<Vec<String>>,
    /// Its members.
    pub members: Members,
}

/// Those who have a role: who is one of them by anything is a member.
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// Addresses. Where there are keys, an address alone makes nobody a member.
    pub clients: Vec<AddressPattern>,
    /// Names of client certificates: subjects, or alternative names.
    pub identities: Vec<String>,
    /// Keys; `Some` where the role was given a list of them, even an empty one.
    pub keys: Option<Vec<KeyHash>>,
}

impl Members {
    /// Returns true if everybody is a member.
    #[must_use]
    pub fn are_all(&self) -> bool {
        self.keys.is_none() && self.clients.iter().any(AddressPattern::is_any)
    }

    /// Returns true if the caller is a member.
    #[must_use]
    pub fn have(&self, caller: &Caller) -> bool {
        self.have_address(caller) || self.have_key(caller) || self.have_certificate(caller)
    }

    /// Returns true if the caller is a member by its address.
    fn have_address(&self, caller: &Caller) -> bool {
        self.keys.is_none() && self.clients.iter().any(|pattern| is_at(pattern, caller))
    }

    pub(super) fn have_key(&self, caller: &Caller) -> bool {
        let Some(Credential::Key(key)) = &caller.credential else { return false };
        // Each is compared, so that the time does not tell which.
        let keys = self.keys.iter().flatten();
        keys.fold(false, |found, known| found | (known == key))
    }

    fn have_certificate(&self, caller: &Caller) -> bool {
        let Some(certificate) = &caller.certificate else { return false };
        self.identities.iter().any(|identity| certificate.is(identity))
    }
}

/// Returns true if a caller is of a pattern. One at a socket of Unix is of this machine. One behind a proxy that is not trusted
/// may be anywhere.
fn is_at(pattern: &AddressPattern, caller: &Caller) -> bool {
    if caller.is_forwarded {
        return pattern.is_any();
    }
    match caller.address {
        Some(address) => pattern.matches(address),
        None => pattern.is_any() || pattern.is_local(),
    }
}

impl Role {
    /// Makes a role of some standard roles, for these clients.
    #[must_use]
    pub fn of_clients(
        name: impl Into<String>,
        standard: StandardRoles,
        clients: Vec<AddressPattern>,
    ) -> Self {
        let members = Members { clients, ..Members::default() };
        Self { name: name.into(), standard, members, ..Self::default() }
    }

    /// Returns true if it allows this action on the ACI port.
    #[must_use]
    pub fn allows(&self, wanted: &Wanted<'_>) -> bool {
        let named = self.actions.iter().any(|name| name.covers(wanted));
        (named || self.standard.has(wanted.role)) && self.reaches(wanted, named)
    }

    /// Returns true if it allows this action of the service port, which needs this standard role.
    #[must_use]
    pub fn allows_service(&self, action: &str, role: StandardRole) -> bool {
        // These are about the whole server.
        (self.standard.has(role) && self.queues.is_none())
            || self.service_actions.iter().any(|name| name.eq_ignore_ascii_case(action))
    }

    /// Returns true if it is not limited to other queues. Where it is limited, an action about the whole server is allowed
    /// only if it is named or harmless: `GetRequestLog` shows what others sent to all queues.
    fn reaches(&self, wanted: &Wanted<'_>, named: bool) -> bool {
        let Some(queues) = &self.queues else { return true };
        match wanted.queue {
            Concerned::Queue(queue) => queues.iter().any(|name| name.eq_ignore_ascii_case(queue)),
            Concerned::Server => named || wanted.role == StandardRole::Query,
            Concerned::Unknown => false,
        }
    }
}
