//! The typed settings that the rest of the server works with. `build` and `queues` make them, and the kinds of action those
//! of their queues; `table` has the meaning, range and default of each key.

use std::any::Any;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::build::{self, BuildInputs};
use super::disk::Disk;
use super::files::Included;
use super::findings::{ConfigError, Findings, Warning};
use super::values::Values;
use crate::access::{AddressPattern, Role};
use crate::aci::catalog::ParamSpec;
use crate::events::handlers::EventSettings;
use crate::kinds::{ConfiguredQueue, Kind, Kinds};
use crate::logging::StreamSettings;
use crate::schedules::Schedule;
use crate::tls::TlsOptions;
use actiond_actors::store::postgres::ConnectionString;
pub use actiond_actors::{
    Backoff, Durability, OnRestart, QueueSettings as QueueLimits, RetryPolicy,
};

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[Server]`: the HTTP side.
    pub server: ServerSettings,
    /// `[Service]`: the service port.
    pub service: ServiceSettings,
    /// `[AuthorizationRoles]`, and the older keys about clients.
    pub access: AccessSettings,
    /// `[Paths]`.
    pub paths: PathSettings,
    /// `[Logging]`: the log streams; none without that section.
    pub log_streams: Vec<StreamSettings>,
    /// `[Actions]`: what holds for all queues.
    pub actions: ActionsSettings,
    /// The queues of `[AsyncActions]`, in that order; at least one, no two with names that differ
    /// only in case.
    pub queues: Vec<QueueConfig>,
    /// The handlers of events that the queues name, and the addresses that submissions may.
    pub events: EventSettings,
    /// `[Schedules]`: no two with names that differ only in case. Kinds of action may have more
    /// ([`ConfiguredQueue::schedules`]).
    pub schedules: Vec<Schedule>,
    /// The files that the configuration consists of, and those of keys and certificates that it names. No client is shown
    /// what is in them. Empty unless it was read from a file.
    pub files: Vec<PathBuf>,
}

impl Settings {
    /// Makes settings of the text of a configuration file.
    ///
    /// `file_name` is only for messages, and the text may include no file; of the environment no variable is set. Without `[AsyncActions]` there is one queue, `Process`,
    /// with Type=Echo, so an empty text is a good configuration.
    ///
    /// # Errors
    ///
    /// Every line that cannot be read, every bad value and every contradiction, each with file,
    /// line, section, key, value and what is allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use actiond::config::Settings;
    /// let text = "[Server]\nPort=7001\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n";
    /// let (settings, warnings) = Settings::parse(text, "actiond.cfg")?;
    /// assert_eq!(settings.server.port, 7001);
    /// assert_eq!(settings.queues.len(), 1);
    /// assert!(warnings.is_empty());
    /// # Ok::<(), actiond::config::ConfigError>(())
    /// ```
    pub fn parse(text: &str, file_name: &str) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::parse_with(text, file_name, &Overrides::default())
    }

    /// Makes settings of the text of a configuration file and of what the command line overrides.
    ///
    /// # Errors
    ///
    /// As for [`Settings::parse`]; a bad value in the text is an error even if it is overridden.
    pub fn parse_with(
        text: &str,
        file_name: &str,
        overrides: &Overrides,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::parse_with_kinds(text, file_name, overrides, &Kinds::shipped())
    }

    /// Makes settings as [`Settings::parse_with`] does, where queues may be of these kinds.
    ///
    /// # Errors
    ///
    /// As for [`Settings::parse_with`].
    pub fn parse_with_kinds(
        text: &str,
        file_name: &str,
        overrides: &Overrides,
        kinds: &Kinds,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let included = |name: &str| Included {
            name: name.to_owned(),
            text: Err("only a file can include others".to_owned()),
        };
        let among = BuildInputs {
            overrides,
            disk: Disk::Unknown,
            kinds,
            included: &included,
            variable: &|_| None,
        };
        Self::parse_among(text, file_name, &among)
            .map(|Parsed { settings, warnings, .. }| (settings, warnings))
    }

    /// Does what [`Settings::parse_with`] does, with what is around the text; and returns what is in force.
    pub(super) fn parse_among(
        text: &str,
        file_name: &str,
        among: &BuildInputs<'_>,
    ) -> Result<Parsed, ConfigError> {
        if text.len() > super::MAX_FILE_BYTES {
            return Err(ConfigError::too_large(file_name));
        }
        let mut findings = Findings::new(file_name);
        let (settings, in_force) = build::settings(text, among, &mut findings);
        Ok(Parsed { settings, warnings: findings.finish()?, in_force })
    }
}

/// A configuration that was read and can be used.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) settings: Settings,
    /// In the order of the files' lines.
    pub(crate) warnings: Vec<Warning>,
    /// The value of each key.
    pub(crate) in_force: Values,
}

impl Default for Settings {
    /// Returns the settings of an empty file.
    fn default() -> Self {
        // An empty text has no problem.
        let mut findings = Findings::new(super::DEFAULT_FILE);
        let included = |name: &str| Included { name: name.to_owned(), text: Err(String::new()) };
        let (overrides, kinds) = (Overrides::default(), Kinds::shipped());
        let among = BuildInputs {
            overrides: &overrides,
            disk: Disk::Unknown,
            kinds: &kinds,
            included: &included,
            variable: &|_| None,
        };
        build::settings("", &among, &mut findings).0
    }
}

/// Values of the command line, which win over those of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// For `[Server] Port`.
    pub port: Option<u16>,
    /// For `[Paths] DataDirectory`.
    pub data_directory: Option<PathBuf>,
}

/// The secret that signs the sessions of the admin page. Debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminSecret(pub(crate) String);

impl std::fmt::Debug for AdminSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminSecret(...)")
    }
}

/// `[Server]`: the HTTP side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// `Port`: 0 takes any free port.
    pub port: u16,
    /// `BindAddress`: where to listen, with one port; never empty, and none is there twice.
    pub bind_addresses: Vec<IpAddr>,
    /// `TokenHost`: the host part of tokens; an IPv6 address has no brackets.
    pub token_host: String,
    /// `ServerName`: of this server among others; `None` is the name of the machine, a colon and the port.
    pub server_name: Option<String>,
    /// `AllowedHosts`: host names in lower case without ports, or `*`.
    pub allowed_hosts: Vec<String>,
    /// `AllowedOrigins`: origins as browsers write them, or `*`.
    pub allowed_origins: Vec<String>,
    /// `BackupDirectories`: as given, so relative to the working directory.
    pub backup_directories: Vec<PathBuf>,
    /// `Threads`: HTTP workers, from 1 to 1024; `None` is two for each core and one more, at most 32 more than cores.
    pub threads: Option<usize>,
    /// `MaxInputString`: longest request target in bytes, a percent-encoded one counts once; `usize::MAX` is unlimited.
    pub max_input_string: usize,
    /// `MaxFileUploadSize`: largest body in bytes; `usize::MAX` is unlimited.
    pub max_file_upload_size: usize,
    /// `MaxUploadMemory`: bytes of bodies at the same time; `usize::MAX` is unlimited.
    pub max_upload_memory: usize,
    /// `MaxReplyMemory`: bytes of large replies at the same time; `usize::MAX` is unlimited.
    pub max_reply_memory: usize,
    /// `MaxConnectionsPerClient`: of one address at a time; 0 is unlimited.
    pub max_connections_per_client: u32,
    /// `MaxRequestsPerSecondPerClient`: of one address; 0 is unlimited.
    pub max_requests_per_second_per_client: u32,
    /// `EventHistory`: how many events are kept for those who listen; `None` for no `/events`.
    pub event_history: Option<usize>,
    /// `MaxEventListeners`: how many may listen at a time.
    pub max_event_listeners: usize,
    /// `AdminPage`: whether there is a page at `/admin`.
    pub admin_page: bool,
    /// `AdminSecret`: what signs its sessions; `None` for a random one.
    pub admin_secret: Option<AdminSecret>,
    /// `RequestTimeout`: for the head of a request, and for its body, at least 1 s.
    pub request_timeout: Duration,
    /// `ReplyTimeout`: without a byte of a reply being taken, or being sent to a client that ended its side, at least 1 s.
    pub reply_timeout: Duration,
    /// `IdleTimeout`: between two requests of a connection, at least 1 s.
    pub idle_timeout: Duration,
    /// `StrictActionValidation`: whether unknown parameters are errors.
    pub strict_action_validation: bool,
    /// `SSLConfig`: the certificate of the port, if it speaks TLS.
    pub tls: Option<TlsOptions>,
}

/// `[Service]`: the service port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// `ServicePort`: 0 takes any free port; `None` is no service port.
    pub port: Option<u16>,
    /// `SSLConfig`: the certificate of the port, if it speaks TLS.
    pub tls: Option<TlsOptions>,
}

/// `[AuthorizationRoles]`, and the older keys about clients.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The roles. The names of hosts in them were looked up, if the settings are those of a file.
    pub roles: Vec<Role>,
    /// `TrustedProxies`.
    pub trusted_proxies: Vec<AddressPattern>,
}

/// `[Paths]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSettings {
    /// `DataDirectory`: as given, so relative to the working directory.
    pub data_directory: PathBuf,
}

/// `[Actions]`: what holds for all queues.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionsSettings {
    /// The limits of a queue that sets none itself.
    pub limits: QueueLimits,
    /// `ShutdownGraceSecs`: how long running actions may go on when the server shuts down.
    pub shutdown_grace: Duration,
    /// `Durability`: when a change is acknowledged.
    pub durability: Durability,
    /// `AsyncStoreLibraryName`: where the actions are kept.
    pub store: StoreSettings,
    /// `MaxDatastoreSize`: how many bytes they may take in a data directory; `None` for no limit.
    pub max_datastore_size: Option<u64>,
    /// `UseInMemoryDatastore`: the actions are kept in memory.
    pub in_memory: Option<InMemorySettings>,
}

/// The keys of actions that are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InMemorySettings {
    /// `InMemoryDatastoreBackupIntervalMins`: how often they are written to the data directory; `None` for only at the end.
    pub backup_interval: Option<Duration>,
}

/// `[Actions] AsyncStoreLibraryName`: where the actions are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreSettings {
    /// `sqlite`: in the data directory.
    Sqlite,
    /// `postgres`: in a database that several servers share.
    Postgres(Box<PostgresSettings>),
}

/// The keys of a database that several servers share.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresSettings {
    /// `ConnectionString`, or what is in `ConnectionStringFile`.
    pub connection: ConnectionString,
    /// `Schema`: 1 to 63 bytes.
    pub schema: String,
    /// `ServerLeaseSecs`: from 3 s to an hour.
    pub lease: Duration,
    /// `ServerHeartbeatSecs`: at least 1 s, and at most a third of the lease.
    pub heartbeat: Duration,
}

/// One queue of `[AsyncActions]`.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The queue's name, which is also the name of its action, as the file spells it: 1 to 64
    /// ASCII letters, digits, `_` and `-`.
    pub name: String,
    /// `Type`: what its actions do.
    pub kind: Arc<dyn Kind>,
    /// The settings that its kind has read for it.
    pub settings: Arc<dyn ConfiguredQueue>,
    /// Its own limits, or those of `[Actions]`.
    pub limits: QueueLimits,
}

impl QueueConfig {
    /// Returns the parameters of its actions: those that its settings name, else those of its kind.
    pub(crate) fn params(&self) -> Vec<ParamSpec> {
        self.settings.params().unwrap_or_else(|| self.kind.params().to_vec())
    }

    /// Returns the settings of its kind, if they are of this type, such as
    /// [`IngestSettings`](crate::kinds::ingest::IngestSettings).
    #[must_use]
    pub fn settings<T: ConfiguredQueue>(&self) -> Option<&T> {
        let settings: &dyn Any = &*self.settings;
        settings.downcast_ref()
    }
}
