//! The table of the server's settings: section, name, kind, default and meaning of every key.
//!
//! Parsing, the warnings about unknown keys and the printed reference (`describe`) all use it, so
//! they cannot disagree. Default values are only here. Each kind of action has a table of its own.

pub(super) mod events;
pub(super) mod logging;
pub(super) mod schedules;
mod server;

use super::key::{Key, Section};
use super::value::ValueKind;
use crate::kinds::Kinds;
use events::{COMMAND_HANDLER, HTTP_HANDLER, LUA_HANDLER, TEXT_FILE_HANDLER};
use logging::{LOG_STREAM, LOGGING};
use schedules::{SCHEDULE, SCHEDULES};
pub(super) use server::*;

/// `[Server]`.
pub(super) const SERVER: &Section = &Section::fixed(
    "Server",
    "",
    &[
        PORT,
        BIND_ADDRESS,
        TOKEN_HOST,
        SERVER_NAME,
        ALLOWED_HOSTS,
        ALLOWED_ORIGINS,
        BACKUP_DIRECTORIES,
        THREADS,
        MAX_INPUT_STRING,
        MAX_FILE_UPLOAD_SIZE,
        MAX_UPLOAD_MEMORY,
        MAX_REPLY_MEMORY,
        MAX_CONNECTIONS_PER_CLIENT,
        MAX_REQUESTS_PER_SECOND_PER_CLIENT,
        EVENT_HISTORY,
        MAX_EVENT_LISTENERS,
        ADMIN_PAGE,
        ADMIN_SECRET,
        ADMIN_SECRET_FILE,
        REQUEST_TIMEOUT,
        REPLY_TIMEOUT,
        IDLE_TIMEOUT,
        STRICT_ACTION_VALIDATION,
        SSL_CONFIG,
        ADMIN_CLIENTS,
        QUERY_CLIENTS,
        TRUSTED_PROXIES,
    ],
);
/// `[Service]`.
pub(super) const SERVICE: &Section = &Section::fixed(
    "Service",
    "The service port, by which programs watch and end the server.",
    &[SERVICE_PORT, SSL_CONFIG, SERVICE_STATUS_CLIENTS, SERVICE_CONTROL_CLIENTS],
);
/// The section that `SSLConfig` names.
pub(super) const SSL_OPTION: &Section = &Section::listed(
    "SSLOption0",
    "port with TLS",
    SERVER,
    &[
        SSL_METHOD,
        SSL_CERTIFICATE,
        SSL_PRIVATE_KEY,
        SSL_PRIVATE_KEY_PASSWORD,
        SSL_PRIVATE_KEY_PASSWORD_FILE,
        SSL_CA_CERTIFICATE,
        SSL_CHECK_CERTIFICATE,
    ],
);
/// `[AuthorizationRoles]`.
pub(super) const AUTHORIZATION_ROLES: &Section = &Section::fixed(
    "AuthorizationRoles",
    "Who may do what. Without roles, this machine may do everything, and everybody who reaches a port all that is not administrative.",
    &[ROLE_NUMBER, ROLE_NAME],
);
/// The section of a role.
pub(super) const ROLE: &Section = &Section::listed(
    "Submitters",
    "role",
    AUTHORIZATION_ROLES,
    &[STANDARD_ROLES, ACTIONS_OF_ROLE, SERVICE_ACTIONS, QUEUES, CLIENTS, SSL_IDENTITIES, KEYS],
);
/// `[Paths]`.
pub(super) const PATHS: &Section = &Section::fixed("Paths", "", &[DATA_DIRECTORY]);
/// `[Actions]`.
pub(super) const ACTIONS: &Section = &Section::fixed(
    "Actions",
    "What holds for every queue.",
    &[
        MAXIMUM_THREADS,
        MAX_QUEUE_SIZE,
        MAX_FINISHED_SIZE,
        MAX_FINISHED_AGE,
        KEEP_PARAMETERS,
        ON_RESTART,
        MAX_RESTARTS,
        MAX_ATTEMPTS,
        RETRY_DELAY_SECS,
        RETRY_BACKOFF,
        RETRY_MAX_DELAY_SECS,
        STOP_GRACE_SECS,
        SHUTDOWN_GRACE_SECS,
        DURABILITY,
        MAX_DATASTORE_SIZE,
        USE_IN_MEMORY_DATASTORE,
        IN_MEMORY_DATASTORE_BACKUP_INTERVAL_MINS,
        ASYNC_STORE_LIBRARY_NAME,
        CONNECTION_STRING,
        CONNECTION_STRING_FILE,
        SCHEMA,
        SERVER_LEASE_SECS,
        SERVER_HEARTBEAT_SECS,
        events::ON_START,
        events::ON_FINISH,
        events::ON_ERROR,
        events::ON_ERROR_REPORT,
        events::ON_CANCEL,
        events::ON_STOP,
        events::ON_QUEUE_EVENT,
        events::QUEUE_FILLING_THRESHOLD,
        events::QUEUE_EMPTYING_THRESHOLD,
        events::ALLOWED_CALLBACK_HOSTS,
        events::CALLBACK_HANDLER,
    ],
);
/// `[AsyncActions]`.
pub(super) const ASYNC_ACTIONS: &Section =
    &Section::fixed("AsyncActions", "", &[QUEUE_NUMBER, QUEUE_NAME]);
/// The section of a queue of any type.
pub(super) const QUEUE: &Section = &Section::listed(
    DEFAULT_QUEUE,
    "queue",
    ASYNC_ACTIONS,
    &[
        MAXIMUM_THREADS,
        MAX_QUEUE_SIZE,
        MAX_FINISHED_SIZE,
        MAX_FINISHED_AGE,
        KEEP_PARAMETERS,
        ON_RESTART,
        MAX_RESTARTS,
        MAX_ATTEMPTS,
        RETRY_DELAY_SECS,
        RETRY_BACKOFF,
        RETRY_MAX_DELAY_SECS,
        STOP_GRACE_SECS,
        events::ON_START,
        events::ON_FINISH,
        events::ON_ERROR,
        events::ON_ERROR_REPORT,
        events::ON_CANCEL,
        events::ON_STOP,
        events::ON_QUEUE_EVENT,
        events::QUEUE_FILLING_THRESHOLD,
        events::QUEUE_EMPTYING_THRESHOLD,
        SECRET_PARAMETERS,
        TYPE,
    ],
);

/// The keys that the section of a queue of any kind may have.
pub(crate) const QUEUE_KEYS: &[&Key] = QUEUE.keys;

/// The sections with fixed names, in the order in which they are printed.
pub(super) const FIXED: [&Section; 8] =
    [SERVER, SERVICE, AUTHORIZATION_ROLES, PATHS, LOGGING, ACTIONS, SCHEDULES, ASYNC_ACTIONS];

/// The keys that keep somebody out. One that is misspelt or in the wrong section is a problem and no warning, or it would let
/// in whom its author wanted to keep out.
pub(super) fn restrictions() -> impl Iterator<Item = &'static Key> {
    let single = [
        SSL_CONFIG,
        ADMIN_CLIENTS,
        QUERY_CLIENTS,
        TRUSTED_PROXIES,
        SERVICE_STATUS_CLIENTS,
        SERVICE_CONTROL_CLIENTS,
        ALLOWED_HOSTS,
        MAX_CONNECTIONS_PER_CLIENT,
        MAX_REQUESTS_PER_SECOND_PER_CLIENT,
    ];
    // A role's lists of actions let in.
    let of_roles = [STANDARD_ROLES, QUEUES, CLIENTS, SSL_IDENTITIES, KEYS];
    single.into_iter().chain(of_roles).chain(SSL_OPTION.keys.iter().copied())
}

/// Returns true if a key of this name in `[Server]` or `[Service]` would say who may do something, on whatever server. This
/// one has no index port, so it has nothing for `IndexClients` to keep anybody out of.
pub(super) fn is_list_of_clients(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("clients") && name != "indexclients"
}

/// Keys of other servers that keep somebody out, by means that this one does not have.
pub(super) const UNSUPPORTED: &[&str] = &["RequireGSSAuth", "GSSPrincipals"];

/// The form of sections whose names are listed, beside those of queues and of kinds of action.
pub(super) const LISTED: [&Section; 8] = [
    SSL_OPTION,
    ROLE,
    LOG_STREAM,
    SCHEDULE,
    HTTP_HANDLER,
    TEXT_FILE_HANDLER,
    LUA_HANDLER,
    COMMAND_HANDLER,
];

/// The sections of handlers of events.
pub(super) const HANDLERS: [&Section; 4] =
    [HTTP_HANDLER, TEXT_FILE_HANDLER, LUA_HANDLER, COMMAND_HANDLER];

/// The queue that there is without `[AsyncActions]`.
pub(super) const DEFAULT_QUEUE: &str = "Process";

const BILLION: i64 = 1_000_000_000;
const DAY: i64 = 86_400;
const CENTURY: i64 = 36_525 * DAY;

pub(super) const ROLE_NUMBER: &Key = &Key::optional(
    "Number",
    ValueKind::from_to(1, 1000),
    "1",
    "How many roles are listed. Without it all numbered keys count.",
)
.read_again();

pub(super) const ROLE_NAME: &Key = &Key::numbered(
    "0",
    ValueKind::Name,
    "Submitters",
    "The names of the roles, numbered from 0; each has a section of its own. Who has several may do what any of them allows.",
)
.read_again();

/// Names of the standard roles, and `*` for all of them.
pub(super) const STANDARD_ROLE_NAMES: &[&str] =
    &["Admin", "Query", "Index", "ServiceControl", "ServiceStatus", "*"];

pub(super) const STANDARD_ROLES: &Key = &Key::optional(
    "StandardRoles",
    ValueKind::ListOf(STANDARD_ROLE_NAMES),
    "Query,ServiceStatus",
    "The groups of actions that the role allows; action=Help says which action needs which. None implies another. Once a role names one of them, that has no other members than those of roles. Else Admin and ServiceControl are for this machine only, and the others for everybody.",
)
.read_again();

pub(super) const ACTIONS_OF_ROLE: &Key = &Key::optional(
    "Actions",
    ValueKind::Texts("names of actions, or of a command of QueueInfo such as QueueInfo.getStatus"),
    "GetStatus,QueueInfo.getStatus",
    "Single actions that the role allows as well.",
)
.read_again();

pub(super) const SERVICE_ACTIONS: &Key = &Key::optional(
    "ServiceActions",
    ValueKind::Texts("names of actions of the service port"),
    "GetStatusInfo",
    "Single actions of the service port that the role allows as well.",
)
.read_again();

pub(super) const QUEUES: &Key = &Key::optional(
    "Queues",
    ValueKind::Texts("names of queues"),
    "Process",
    "The queues to which the role is limited: it allows actions for these alone, and of those about the whole server only what needs Query or is named. Without it there is no limit.",
)
.read_again();

pub(super) const CLIENTS: &Key = &Key::optional(
    "Clients",
    ValueKind::Clients,
    "localhost,10.0.0.0/8",
    "Addresses of those who have the role. Names of hosts are looked up when the server starts. Where the role has Keys, an address alone is not enough.",
)
.read_again();

pub(super) const SSL_IDENTITIES: &Key = &Key::optional(
    "SSLIdentities",
    ValueKind::Texts(
        "subjects or alternative names of client certificates; one that holds a comma stands in double quotes",
    ),
    "submitter.example.org",
    "Client certificates of those who have the role. Each is the whole name: * is none.",
)
.read_again();

pub(super) const KEYS: &Key = &Key::optional(
    "Keys",
    ValueKind::Keys,
    "sha256:ae58a61b79a9972a6df95531f20098e34c8c260b19511530943a46053a43bd3c",
    "Hashes of the keys of those who have the role. A client sends its key as Authorization: Bearer KEY, or as the password of Basic.",
)
.read_again();

pub(super) const DATA_DIRECTORY: &Key = &Key::with_default(
    "DataDirectory",
    ValueKind::Path,
    "./actions",
    "The directory for the queues and all other data, relative to the working directory.",
);

pub(super) const MAXIMUM_THREADS: &Key = &Key::with_default(
    "MaximumThreads",
    ValueKind::from_to(1, 10_000),
    "1",
    "How many actions of one queue run at the same time.",
)
.read_again();

pub(super) const MAX_QUEUE_SIZE: &Key = &Key::with_default(
    "MaxQueueSize",
    ValueKind::from_to(0, BILLION),
    "0",
    "How many actions may wait in one queue before new ones are refused; 0 is unlimited.",
)
.read_again();

pub(super) const MAX_FINISHED_SIZE: &Key = &Key::with_default(
    "MaxFinishedSize",
    ValueKind::or_unlimited(1, BILLION),
    "100000",
    "How many ended actions of one queue are kept for QueueInfo; the oldest go first.",
)
.read_again();

pub(super) const MAX_FINISHED_AGE: &Key = &Key::with_default(
    "MaxFinishedAge",
    ValueKind::Seconds { max: CENTURY },
    "0",
    "How long ended actions are kept, in seconds; 0 is for ever.",
)
.read_again();

pub(super) const KEEP_PARAMETERS: &Key = &Key::with_default(
    "KeepParameters",
    ValueKind::Boolean,
    "true",
    "false deletes what actions were given when they end, so that they can't be duplicated or retried; what was sent with an Idempotency-Key keeps it.",
)
.read_again();

pub(crate) const ON_RESTART: &Key = &Key::optional(
    "OnRestart",
    ValueKind::OneOf(&["Requeue", "Fail"]),
    "Requeue",
    "What becomes of an action that was running when the server died: it runs again, or it ends in Error. The default is that of the queue's Type.",
)
.read_again();

pub(super) const MAX_RESTARTS: &Key = &Key::with_default(
    "MaxRestarts",
    ValueKind::from_to(0, 1_000_000),
    "3",
    "How many times an action may be running when the server dies; with the last it ends in Error instead of running again (OnRestart=Requeue, and what workers elsewhere do if none speaks of it after that). 0 is unlimited.",
)
.read_again();

pub(super) const MAX_ATTEMPTS: &Key = &Key::with_default(
    "MaxAttempts",
    ValueKind::from_to(1, 1_000_000),
    "1",
    "How many attempts an action has: one that fails is tried again until as many have failed. A failure that its Type calls final is not tried again.",
)
.read_again();

pub(super) const RETRY_DELAY_SECS: &Key = &Key::with_default(
    "RetryDelaySecs",
    ValueKind::Seconds { max: 30 * DAY },
    "10",
    "How many seconds lie between an attempt that fails and the next one.",
)
.read_again();

pub(super) const RETRY_BACKOFF: &Key = &Key::with_default(
    "RetryBackoff",
    ValueKind::OneOf(&["fixed", "exponential"]),
    "fixed",
    "exponential doubles RetryDelaySecs with each attempt that fails, and takes off a random part of up to half of it.",
)
.read_again();

pub(super) const RETRY_MAX_DELAY_SECS: &Key = &Key::with_default(
    "RetryMaxDelaySecs",
    ValueKind::Seconds { max: 30 * DAY },
    "3600",
    "Up to how many seconds RetryBackoff=exponential lets the time grow; a longer RetryDelaySecs stays as it is.",
)
.read_again();

pub(super) const STOP_GRACE_SECS: &Key = &Key::with_default(
    "StopGraceSecs",
    ValueKind::Seconds { max: DAY },
    "10",
    "How many seconds an action that was asked to stop has before it is stopped by force.",
)
.read_again();

pub(super) const SHUTDOWN_GRACE_SECS: &Key = &Key::with_default(
    "ShutdownGraceSecs",
    ValueKind::Seconds { max: DAY },
    "10",
    "How many seconds running actions have to end by themselves when the server shuts down.",
)
.read_again();

pub(super) const DURABILITY: &Key = &Key::with_default(
    "Durability",
    ValueKind::OneOf(&["full", "normal"]),
    "full",
    "When a request is acknowledged: full waits for the disk; normal survives a crash of the program, but not one of the machine. In PostgreSQL, synchronous_commit decides that.",
);

pub(super) const MAX_DATASTORE_SIZE: &Key = &Key::with_default(
    "MaxDatastoreSize",
    ValueKind::or_unlimited(1_000_000, 1000 * BILLION),
    "-1",
    "How many bytes the actions may take in the data directory. Beyond that new ones are refused, and everything else goes on: what runs ends, and actions may be deleted. What is free in the file does not count, nor does the log beside it (some 64 MB). Not for PostgreSQL.",
)
.read_again();

pub(super) const USE_IN_MEMORY_DATASTORE: &Key = &Key::with_default(
    "UseInMemoryDatastore",
    ValueKind::Boolean,
    "false",
    "true keeps the actions in memory, up to 900 MB. They are read from DataDirectory at the start and written there when the server is stopped; if it is killed, what came after the last time is lost. Neither with PostgreSQL nor with Durability=normal.",
);

pub(super) const IN_MEMORY_DATASTORE_BACKUP_INTERVAL_MINS: &Key = &Key::optional(
    "InMemoryDatastoreBackupIntervalMins",
    ValueKind::from_to(1, 60 * 24 * 7),
    "30",
    "Every how many minutes actions that are kept in memory are written to DataDirectory. Without it they are written only when the server is stopped.",
);

/// The words of [`ASYNC_STORE_LIBRARY_NAME`].
pub(super) const SQLITE: &str = "sqlite";
pub(super) const POSTGRES: &str = "postgres";

pub(super) const ASYNC_STORE_LIBRARY_NAME: &Key = &Key::with_default(
    "AsyncStoreLibraryName",
    ValueKind::OneOf(&[SQLITE, POSTGRES]),
    SQLITE,
    "Where the actions are kept: sqlite is a file in DataDirectory, for this server alone; postgres is a database that several servers share, and any of them takes any request.",
);

pub(super) const CONNECTION_STRING: &Key = &Key::optional(
    "ConnectionString",
    ValueKind::TextOf(
        "postgres://USER@HOST:PORT/DATABASE?OPTION=VALUE, or the options as KEY=VALUE with spaces between them, as libpq takes them",
    ),
    "postgres://actiond@db1,db2/actiond?sslmode=verify-full&sslrootcert=./ca.crt",
    "The way to the PostgreSQL database. The password may be in it, but is better kept in the environment variable PGPASSWORD or in a password file (~/.pgpass, PGPASSFILE, or the option passfile).",
);

pub(super) const CONNECTION_STRING_FILE: &Key = &Key::optional(
    "ConnectionStringFile",
    ValueKind::Path,
    "./database.txt",
    "A file with the connection string on its first line, in place of ConnectionString.",
);

pub(super) const SCHEMA: &Key = &Key::with_default(
    "Schema",
    ValueKind::TextOf("a name of 1 to 63 bytes that does not begin with pg_"),
    "actiond",
    "The schema of the database in which the tables are. It is made if it is not there. Servers with the same schema share their queues.",
);

pub(super) const SERVER_LEASE_SECS: &Key = &Key::with_default(
    "ServerLeaseSecs",
    ValueKind::from_to(3, 3600),
    "15",
    "After how many seconds in which the database has heard nothing of a server others take over what that server ran. All servers of a schema should have the same.",
);

pub(super) const SERVER_HEARTBEAT_SECS: &Key = &Key::optional(
    "ServerHeartbeatSecs",
    ValueKind::from_to(1, 1200),
    "5",
    "Every how many seconds the server tells the database that it is there; at most a third of ServerLeaseSecs. The default is 5, or a third of ServerLeaseSecs if that is less.",
);

pub(super) const QUEUE_NUMBER: &Key = &Key::optional(
    "Number",
    ValueKind::from_to(1, 1000),
    "3",
    "How many queues are listed. Without it all numbered keys count.",
);

pub(super) const QUEUE_NAME: &Key = &Key::numbered(
    "0",
    ValueKind::Name,
    "Process",
    "The names of the queues, numbered from 0; each has a section of its own with a Type. Without [AsyncActions] there is one queue, Process, with Type=Echo.",
);

/// `Type` of a queue: the word of its kind of action.
pub const TYPE: &Key = &Key::optional(
    "Type",
    ValueKind::Name,
    "Echo",
    "What the actions of this queue do. A queue's section may also hold most keys of [Actions], which then apply to this queue only.",
);

pub(super) const SECRET_PARAMETERS: &Key = &Key::with_default(
    "SecretParameters",
    ValueKind::Texts("names of parameters"),
    "",
    "Parameters whose values no log shows, and no error of an action. Password, ApiKey, Secret and the like are secret without being named.",
);

/// Returns the sections with fixed names, those of the kinds of action too.
pub(super) fn fixed_sections(kinds: &Kinds) -> impl Iterator<Item = &'static Section> {
    let of_kinds = kinds.iter().flat_map(|kind| kind.sections().iter().copied());
    FIXED.into_iter().chain(of_kinds).filter(|section| section.fixed_name().is_some())
}

/// Finds a section whose name is fixed.
pub(crate) fn fixed_section(kinds: &Kinds, name: &str) -> Option<&'static Section> {
    fixed_sections(kinds).find(|section| section.name.eq_ignore_ascii_case(name))
}

/// Returns all sections that may have keys: the words for the section in a message, and the keys.
pub(super) fn places(kinds: &Kinds) -> impl Iterator<Item = (String, &'static [&'static Key])> {
    let fixed = FIXED.into_iter().map(|section| (section.describe(), section.keys));
    let listed = LISTED.into_iter().map(|section| (section.describe(), section.keys));
    let queue = [("the section of a queue".to_owned(), QUEUE.keys)];
    let of_kinds = kinds.iter().flat_map(|kind| {
        let queue = (format!("the section of a queue with Type={}", kind.word()), kind.keys());
        let sections = kind.sections().iter();
        std::iter::once(queue).chain(sections.map(|section| (section.describe(), section.keys)))
    });
    fixed.chain(listed).chain(queue).chain(of_kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_or_example_is_a_good_value() {
        for key in places(&Kinds::shipped()).flat_map(|(_, keys)| keys) {
            let text = key.default.unwrap_or(key.example);
            assert!(key.kind.parse(text).is_ok(), "{} = {text}", key.name);
            assert_eq!(key.default.is_some(), key.example.is_empty(), "{}: either", key.name);
            assert!(key.meaning.ends_with('.'), "{}", key.name);
        }
    }

    #[test]
    fn no_section_has_a_key_twice() {
        for (place, keys) in places(&Kinds::shipped()) {
            let keys = keys.iter().chain(if place.contains("Type=") { QUEUE.keys } else { &[] });
            let mut names: Vec<_> = keys.map(|key| key.name.to_ascii_lowercase()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{place}");
        }
    }

    #[test]
    fn sections_are_found_without_regard_to_case() {
        let found = |name| fixed_section(&Kinds::shipped(), name).map(|section| section.name);
        assert_eq!(found("asyncACTIONS"), Some("AsyncActions"));
        assert_eq!(found("ingestion"), Some("Ingestion"));
        assert_eq!(found("Process"), None);
    }
}
