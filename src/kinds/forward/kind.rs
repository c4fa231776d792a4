//! `Type=Forward`: the configuration of the queues that forward.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actiond_actors::{OnRestart, Perform};

use super::super::{ConfiguredQueue, ConfiguredQueues, Kind, Site};
use super::address::{Address, FORM};
use super::note::Sender;
use super::outgoing::IDEMPOTENCY_KEY;
use super::server::Server;
use super::servers::{Method, Servers};
use super::{Forward, Options};
use crate::aci::catalog::{ANY, ParamKind, ParamSpec};
use crate::aci::client::{Client, Trust};
use crate::config::{Key, KindReader, ON_RESTART, SectionReader, ValueKind};
use crate::kinds::shorten;

/// Time that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The least time after a lost answer for which a server may still take what it was sent.
const LEAST_DOUBT: Duration = Duration::from_secs(10);

/// The longest time for which servers are tried that answer in a way that waiting alone does not mend.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

const FORWARD_TO: &Key = &Key::optional(
    "ForwardTo",
    ValueKind::Texts(FORM),
    "https://media.example.org:14000",
    "The servers that do the actions, with commas between them. This or ForwardTo0 must be given.",
);

const FORWARD_TO_NUMBERED: &Key = &Key::numbered(
    "ForwardTo0",
    ValueKind::Text,
    "https://media0.example.org:14000",
    "The same as a numbered list: ForwardTo0, ForwardTo1 and so on.",
);

const FORWARD_METHOD: &Key = &Key::with_default(
    "ForwardMethod",
    ValueKind::OneOf(&["failover", "balance"]),
    "failover",
    "Which of several servers gets an action: the first that takes it, or the one that has the fewest of this server's.",
);

const FORWARD_ACTION: &Key = &Key::optional(
    "ForwardAction",
    ValueKind::Name,
    "Process",
    "The name of the action there, which must be one that is queued. The default is the name of this queue.",
);

const FORWARD_KEY: &Key = &Key::optional(
    "ForwardKey",
    ValueKind::Text,
    "a-key",
    "The key that is sent as Authorization: Bearer KEY. Better kept in a file: see ForwardKeyFile.",
);

const FORWARD_KEY_FILE: &Key = &Key::optional(
    "ForwardKeyFile",
    ValueKind::Path,
    "./forward.key",
    "A file with that key on its first line. It is read at the start.",
);

const FORWARD_CA_FILE: &Key = &Key::optional(
    "ForwardCAFile",
    ValueKind::Path,
    "./authorities.pem",
    "A file with the certificates, as PEM, of the authorities that are trusted for https. The default is those that the system trusts.",
);

const FORWARD_TIMEOUT_SECS: &Key = &Key::with_default(
    "ForwardTimeoutSecs",
    ValueKind::from_to(1, 3600),
    "30",
    "How long a request to another server may take, to the end of its reply. Large uploads need more.",
);

const FORWARD_POLL_MIN_MS: &Key = &Key::with_default(
    "ForwardPollMinMs",
    ValueKind::from_to(10, 60_000),
    "100",
    "The time from the start of an action there to the first look at it, in milliseconds. It doubles with each look.",
);

const FORWARD_POLL_MAX_MS: &Key = &Key::with_default(
    "ForwardPollMaxMs",
    ValueKind::from_to(10, 600_000),
    "2000",
    "The longest time between two looks at an action there, in milliseconds; longer where many are looked at.",
);

const FORWARD_MAX_REQUESTS: &Key = &Key::with_default(
    "ForwardMaxRequests",
    ValueKind::from_to(1, 1000),
    "16",
    "How many looks, and how many other requests, each server gets at once.",
);

const FORWARD_MAX_REPLY_BYTES: &Key = &Key::with_default(
    "ForwardMaxReplyBytes",
    ValueKind::from_to(10_000, 400_000_000),
    "16000000",
    "The longest reply of another server that is read; an action with a longer result ends in Error. While one is read it may take forty times its size.",
);

const FORWARD_MARKER: &Key = &Key::with_default(
    "ForwardMarker",
    ValueKind::OneOf(&[IDEMPOTENCY_KEY, "ActionID"]),
    IDEMPOTENCY_KEY,
    "The parameter by which an action is found again at a server other than actiond. ActionID is for servers that refuse parameters that they do not know.",
);

/// The parameters of a forwarded action.
const PARAMS: &[ParamSpec] =
    &[ParamSpec::optional(ANY, ParamKind::Text, "Whatever the action of the other server takes.")];

/// `Type=Forward`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ForwardKind;

impl Kind for ForwardKind {
    fn word(&self) -> &'static str {
        "Forward"
    }

    fn summary(&self) -> &'static str {
        "Has its actions done by another ACI server."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Resume
    }

    fn keys(&self) -> &'static [&'static Key] {
        &[
            FORWARD_TO,
            FORWARD_TO_NUMBERED,
            FORWARD_METHOD,
            FORWARD_ACTION,
            FORWARD_KEY,
            FORWARD_KEY_FILE,
            FORWARD_CA_FILE,
            FORWARD_TIMEOUT_SECS,
            FORWARD_POLL_MIN_MS,
            FORWARD_POLL_MAX_MS,
            FORWARD_MAX_REQUESTS,
            FORWARD_MAX_REPLY_BYTES,
            FORWARD_MARKER,
        ]
    }

    fn example(&self) -> (&'static str, &'static str) {
        ("Media", "A queue in front of other ACI servers.")
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        let is_disk_known = config.may_look_at_disk();
        config.each_queue(|section| Arc::new(ForwardSettings::read(section, is_disk_known)))
    }
}

/// A key for other servers. It is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The way to reach a server. Queues that reach one in the same way share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Access {
    key: Option<Secret>,
    /// The authorities as PEM; missing for those of the system.
    authorities: Option<String>,
    timeout: Duration,
    most: usize,
    max_reply_bytes: usize,
}

/// A queue with Type=Forward.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    /// Its servers: the address and the client of each. The text says why there is none.
    servers: Result<Vec<(String, Client)>, String>,
    method: Method,
    action: String,
    access: Access,
    first_look: Duration,
    longest_look: Duration,
    marker: &'static str,
}

/// The servers of all queues.
type AllServers = Arc<Mutex<HashMap<(String, Access), Arc<Server>>>>;

impl ForwardSettings {
    fn read(section: &mut SectionReader<'_, '_>, is_disk_known: bool) -> Self {
        if section.gives(ON_RESTART) {
            section
                .problem(ON_RESTART, "has no meaning here: the action goes on at the other server");
        }
        let addresses = addresses(section);
        let method = match section.word(FORWARD_METHOD) {
            Some("balance") => Method::Balance,
            _ => Method::Failover,
        };
        let action = section.text(FORWARD_ACTION);
        let action = action.unwrap_or_else(|| {
            let name = section.name().to_owned();
            section.derived(FORWARD_ACTION, &name, "the name of the queue");
            name
        });
        let key = key(section, &addresses);
        let authorities = authorities(section, &addresses);
        let timeout = section.seconds(FORWARD_TIMEOUT_SECS);
        let mut look =
            |key| Duration::from_millis(u64::try_from(section.integer(key)).unwrap_or_default());
        let (first_look, longest_look) = (look(FORWARD_POLL_MIN_MS), look(FORWARD_POLL_MAX_MS));
        if first_look > longest_look {
            section.problem(FORWARD_POLL_MIN_MS, "must not be more than ForwardPollMaxMs");
        }
        let most = section.size(FORWARD_MAX_REQUESTS);
        let max_reply_bytes = section.size(FORWARD_MAX_REPLY_BYTES);
        let access = Access { key, authorities, timeout, most, max_reply_bytes };
        let marker = section.word(FORWARD_MARKER).unwrap_or(IDEMPOTENCY_KEY);
        let is_unread = access.authorities.is_none() && section.gives(FORWARD_CA_FILE);
        let servers = if is_unread {
            Err("ForwardCAFile was not read".to_owned())
        } else {
            clients(&addresses, &access)
        };
        if let (Err(why), true, false) = (&servers, is_disk_known, is_unread) {
            let is_about =
                if section.gives(FORWARD_CA_FILE) { FORWARD_CA_FILE } else { FORWARD_TO };
            section.problem(is_about, format!("can't be used: {why}"));
        }
        Self { servers, method, action, access, first_look, longest_look, marker }
    }
}

/// Reads the addresses; at least one must be given.
fn addresses(section: &mut SectionReader<'_, '_>) -> Vec<Address> {
    let problems_before = section.problem_count();
    let (listed, numbered) = (section.texts(FORWARD_TO), section.texts(FORWARD_TO_NUMBERED));
    let given = [(FORWARD_TO, listed), (FORWARD_TO_NUMBERED, numbered)];
    let is_listed = section.gives(FORWARD_TO);
    let is_given = is_listed || section.gives(FORWARD_TO_NUMBERED);
    if is_listed && section.gives(FORWARD_TO_NUMBERED) {
        section.problem(FORWARD_TO_NUMBERED, "can't stand beside ForwardTo");
    }
    let mut addresses: Vec<Address> = Vec::new();
    // A list with a hole was told of as it was read.
    let mut are_good = section.problem_count() == problems_before;
    for (key, texts) in given {
        for text in texts {
            match Address::parse(&text) {
                None if Address::lacks_port(&text) => {
                    section.problem(key, format!("lacks the port: it must be {FORM}"));
                }
                None => section.problem(key, format!("must be {FORM}")),
                Some(address) if addresses.contains(&address) => {
                    section.problem(key, format!("names {} twice", shorten(&address.to_string())));
                }
                Some(address) => {
                    addresses.push(address);
                    continue;
                }
            }
            are_good = false;
        }
    }
    if addresses.is_empty() && are_good {
        let what = if is_given { "names no server" } else { "is missing" };
        section.problem(FORWARD_TO, format!("{what}: it must be {FORM}"));
    }
    addresses
}

/// Reads the key for the servers.
fn key(section: &mut SectionReader<'_, '_>, addresses: &[Address]) -> Option<Secret> {
    let (key, by) = section.secret(FORWARD_KEY, FORWARD_KEY_FILE)?;
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "must be a key of visible ASCII characters, without spaces";
        let is_of_file = by.name() == FORWARD_KEY_FILE.name();
        let start = if is_of_file { "has a first line that is none: it " } else { "" };
        section.problem(by, format!("{start}{what}"));
        return None;
    }
    if let Some(address) = addresses.iter().find(|address| !address.https && !address.is_local()) {
        section.warning(by, &format!("goes to {address} without encryption: use https"));
    }
    Some(Secret(key))
}

/// Reads the authorities that are trusted.
fn authorities(section: &mut SectionReader<'_, '_>, addresses: &[Address]) -> Option<String> {
    let authorities = section.small_file(FORWARD_CA_FILE);
    if section.gives(FORWARD_CA_FILE) && !addresses.iter().any(|address| address.https) {
        section.warning(FORWARD_CA_FILE, "has no effect: ForwardTo names no server with https");
    }
    authorities
}

/// Makes the clients.
fn clients(addresses: &[Address], access: &Access) -> Result<Vec<(String, Client)>, String> {
    let client = |address: &Address| {
        let mut builder = Client::builder(&address.host, address.port)
            .timeout(access.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(access.timeout))
            .max_reply_bytes(access.max_reply_bytes);
        if let Some(Secret(key)) = &access.key {
            builder = builder.header("Authorization", format!("Bearer {key}"));
        }
        if address.https {
            builder = builder.https(match &access.authorities {
                Some(pem) => Trust::Only(pem.clone().into_bytes()),
                None => Trust::System,
            });
        }
        let client = builder.build().map_err(|error| error.to_string())?;
        Ok((address.to_string(), client))
    };
    addresses.iter().map(client).collect()
}

impl ConfiguredQueue for ForwardSettings {
    fn performer(&self, site: &Site<'_>) -> Arc<dyn Perform> {
        let shared: AllServers = site.shared(AllServers::default);
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (clients, none) = match &self.servers {
            Ok(clients) => (clients.as_slice(), "none is configured"),
            Err(why) => (&[][..], why.as_str()),
        };
        let server = |(url, client): &(String, Client)| {
            let make = || Arc::new(Server::new(url.clone(), client.clone(), self.access.most));
            Arc::clone(shared.entry((url.clone(), self.access.clone())).or_insert_with(make))
        };
        let all = clients.iter().map(server).collect();
        Arc::new(Forward(Arc::new(Options {
            servers: Servers { all, none: none.to_owned(), method: self.method },
            action: self.action.clone(),
            marker: self.marker,
            first_look: self.first_look,
            longest_look: self.longest_look,
            patience: self.access.timeout.saturating_mul(2).min(MOST_PATIENCE),
            doubt: self.access.timeout.max(LEAST_DOUBT),
            sender: site.shared(Sender::random),
        })))
    }
}
