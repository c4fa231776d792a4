//! Makes [`Settings`] of text: the sections with fixed names here, the queues in `queues`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::Disk;
use super::files::{Files, ReadIncluded};
use super::findings::{Findings, Location};
use super::in_force::InForce;
use super::ini::Ini;
use super::key::Key;
use super::reader::Reader;
use super::secrets::secret;
use super::settings::{
    ActionsSettings, AdminSecret, Backoff, Durability, OnRestart, Overrides, PathSettings,
    QueueLimits, RetryPolicy, ServerSettings, ServiceSettings, Settings,
};
use super::value::{Value, doubts_of_path};
use super::values::Values;
use super::variables::{Expanded, Lookup};
use super::{access, events, log_files, logging, queues, schedules, store, table, tls, unknown};
use crate::kinds::Kinds;
use crate::tls::TlsOptions;

/// The inputs of the settings beside the text.
pub(super) struct BuildInputs<'a> {
    pub(super) overrides: &'a Overrides,
    pub(super) disk: Disk,
    pub(super) kinds: &'a Kinds,
    pub(super) included: &'a ReadIncluded<'a>,
    pub(super) variable: &'a Lookup<'a>,
}

/// Makes the settings, and prints what is in force; they are good only if `findings` has no problem afterwards.
pub(super) fn settings(
    text: &str,
    BuildInputs { overrides, disk, kinds, included, variable }: &BuildInputs<'_>,
    findings: &mut Findings,
) -> (Settings, Values) {
    let files = Files::gather(text, included, findings);
    let variables = Expanded::of(&files, variable);
    let ini = Ini::parse(&files, &variables, findings);
    let mut reader =
        Reader { ini: &ini, kinds, findings, in_force: InForce::default(), files: Vec::new() };
    let mut server = server(&mut reader, overrides, *disk);
    let mut service = service(&mut reader);
    let paths = paths(&mut reader, overrides, *disk);
    let actions = actions(&mut reader, *disk);
    let (mut queues, mut purposes) = queues::queues(&mut reader, &paths.data_directory, *disk);
    let strict = server.strict_action_validation;
    let schedules = schedules::schedules(&mut reader, &queues, &mut purposes, strict);
    server.tls = tls::tls(&mut reader, "Server", &mut purposes, *disk);
    service.tls = tls::tls(&mut reader, "Service", &mut purposes, *disk);
    let access = access::access(&mut reader, &queues, &mut purposes, *disk);
    let has_authority =
        |tls: &Option<TlsOptions>| tls.as_ref().is_some_and(|tls| tls.ca_certificate.is_some());
    if !has_authority(&server.tls) && !has_authority(&service.tls) {
        for role in access.roles.iter().filter(|role| !role.members.identities.is_empty()) {
            let reason = "needs a port with SSLConfig and SSLCACertificate: no client can show a certificate";
            reader.problem_at(&role.name, table::SSL_IDENTITIES, reason);
        }
    }
    let data = &paths.data_directory;
    let events = events::events(&mut reader, &mut queues, &mut purposes, data, *disk);
    let log_streams = logging::streams(&mut reader, &mut purposes);
    let event_files = events::files(&events);
    events::check_streams(&mut reader, &event_files, &log_streams);
    let files = match disk {
        Disk::Real => {
            let named = std::mem::take(&mut reader.files);
            own_files(named, reader.findings, [&server.tls, &service.tls])
        }
        // The name of the text is only for messages.
        Disk::Unknown => Vec::new(),
    };
    let written = (&log_streams, table::logging::LOG_FILE);
    for (streams, key) in [written, (&event_files, table::events::FILE_PATH)] {
        log_files::check(&mut reader, streams, key, data, &files, *disk);
    }
    unknown::warn(&ini, &purposes, kinds, reader.findings);
    let in_force = reader.in_force.into_values(reader.findings);
    let settings = Settings {
        server,
        service,
        access,
        paths,
        log_streams,
        actions,
        queues,
        schedules,
        events,
        files,
    };
    (settings, in_force)
}

/// Returns the files of the configuration itself, and those that it names and that are for the server alone.
fn own_files(
    mut named: Vec<PathBuf>,
    findings: &Findings,
    tls: [&Option<TlsOptions>; 2],
) -> Vec<PathBuf> {
    named.extend(findings.files().map(PathBuf::from));
    for TlsOptions { certificate, private_key, ca_certificate, .. } in tls.into_iter().flatten() {
        named.extend([certificate, private_key].into_iter().chain(ca_certificate).cloned());
    }
    named.sort();
    named.dedup();
    named
}

fn server(reader: &mut Reader<'_>, overrides: &Overrides, disk: Disk) -> ServerSettings {
    let section = &["Server"];
    let port = u16::try_from(reader.integer(section, table::PORT)).unwrap_or_default();
    let bind_addresses = match reader.value(section, table::BIND_ADDRESS) {
        Some(Value::Addresses(addresses)) => addresses,
        _ => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
    };
    let token_host = reader.text(section, table::TOKEN_HOST).unwrap_or_else(|| {
        // Nobody can connect to the wildcard address.
        let first = bind_addresses.first().filter(|address| !address.is_unspecified());
        let host = first.map_or_else(|| Ipv4Addr::LOCALHOST.to_string(), IpAddr::to_string);
        let how = "what can be called of the first BindAddress";
        reader.derived("Server", table::TOKEN_HOST, &host, how);
        host
    });
    ServerSettings {
        port: overrides.port.unwrap_or(port),
        bind_addresses,
        token_host,
        server_name: server_name(reader),
        allowed_hosts: reader.texts(section, table::ALLOWED_HOSTS),
        allowed_origins: reader.texts(section, table::ALLOWED_ORIGINS),
        backup_directories: reader
            .texts(section, table::BACKUP_DIRECTORIES)
            .into_iter()
            .map(PathBuf::from)
            .collect(),
        threads: Some(reader.size(section, table::THREADS)).filter(|threads| *threads > 0),
        max_input_string: reader.size(section, table::MAX_INPUT_STRING),
        max_file_upload_size: reader.size(section, table::MAX_FILE_UPLOAD_SIZE),
        max_upload_memory: reader.size(section, table::MAX_UPLOAD_MEMORY),
        max_reply_memory: reader.size(section, table::MAX_REPLY_MEMORY),
        max_connections_per_client: number(reader, section, table::MAX_CONNECTIONS_PER_CLIENT),
        max_requests_per_second_per_client: number(
            reader,
            section,
            table::MAX_REQUESTS_PER_SECOND_PER_CLIENT,
        ),
        event_history: Some(reader.size(section, table::EVENT_HISTORY)).filter(|kept| *kept > 0),
        max_event_listeners: reader.size(section, table::MAX_EVENT_LISTENERS),
        admin_page: reader.boolean(section, table::ADMIN_PAGE),
        admin_secret: admin_secret(reader, disk),
        request_timeout: seconds(reader, section, table::REQUEST_TIMEOUT),
        reply_timeout: seconds(reader, section, table::REPLY_TIMEOUT),
        idle_timeout: seconds(reader, section, table::IDLE_TIMEOUT),
        strict_action_validation: reader.boolean(section, table::STRICT_ACTION_VALIDATION),
        tls: None,
    }
}

/// Least number of characters of a secret that signs sessions: who guesses it is anybody.
const LEAST_SECRET: usize = 32;

fn admin_secret(reader: &mut Reader<'_>, disk: Disk) -> Option<AdminSecret> {
    let keys = (table::ADMIN_SECRET, table::ADMIN_SECRET_FILE);
    let given = secret(reader, "Server", keys, disk)?;
    if given.text.chars().count() < LEAST_SECRET {
        let what = format!("must be at least {LEAST_SECRET} characters");
        reader.problem_at("Server", given.by, what);
        return None;
    }
    Some(AdminSecret(given.text))
}

/// Longest name of a server, in characters.
const MAX_SERVER_NAME: usize = 100;

fn server_name(reader: &mut Reader<'_>) -> Option<String> {
    let name = reader.text(&["Server"], table::SERVER_NAME)?;
    if name.chars().count() > MAX_SERVER_NAME || name.chars().any(char::is_control) {
        let reason = format!("must be {}", table::SERVER_NAME.kind.allowed());
        reader.problem_at("Server", table::SERVER_NAME, reason);
    }
    Some(name)
}

fn service(reader: &mut Reader<'_>) -> ServiceSettings {
    let port = match reader.value(&["Service"], table::SERVICE_PORT) {
        Some(Value::Integer(port)) => u16::try_from(port).ok(),
        _ => None,
    };
    ServiceSettings { port, tls: None }
}

fn paths(reader: &mut Reader<'_>, overrides: &Overrides, disk: Disk) -> PathSettings {
    let given = reader.text(&["Paths"], table::DATA_DIRECTORY).map(PathBuf::from);
    let data_directory = match &overrides.data_directory {
        Some(data) => {
            if let Some(doubt) = doubts_of_path(&data.to_string_lossy()) {
                reader.findings.warning(None, || format!("--data {}: {doubt}", data.display()));
            }
            if let Some(reason) = no_directory(disk, data) {
                let reason = format!("--data {}: {reason}", data.display());
                reader.findings.problem(Location::default(), reason);
            }
            data.clone()
        }
        None => {
            let data = given.unwrap_or_default();
            if let Some(reason) = no_directory(disk, &data) {
                reader.problem_at("Paths", table::DATA_DIRECTORY, reason);
            }
            data
        }
    };
    PathSettings { data_directory }
}

/// Returns the reason for which nothing can be written to a directory, as far as can be seen.
pub(super) fn no_directory(disk: Disk, directory: &Path) -> Option<String> {
    let refused = || {
        format!(
            "must be a directory or a path where one can be made, and there is a file at {} or above it",
            directory.display()
        )
    };
    (!disk.can_be(directory)).then(refused)
}

fn actions(reader: &mut Reader<'_>, disk: Disk) -> ActionsSettings {
    let section = &["Actions"];
    ActionsSettings {
        limits: limits(reader, section),
        shutdown_grace: seconds(reader, section, table::SHUTDOWN_GRACE_SECS),
        durability: match reader.word(section, table::DURABILITY) {
            Some("normal") => Durability::Normal,
            _ => Durability::Full,
        },
        store: store::store(reader, disk),
        max_datastore_size: store::max_size(reader),
        in_memory: store::in_memory(reader),
    }
}

/// Reads the limits from the first of the sections that has them, key by key.
pub(super) fn limits(reader: &mut Reader<'_>, sections: &[&str]) -> QueueLimits {
    let max_queue_size = reader.integer(sections, table::MAX_QUEUE_SIZE);
    let max_finished_size = reader.integer(sections, table::MAX_FINISHED_SIZE);
    let max_finished_age = seconds(reader, sections, table::MAX_FINISHED_AGE);
    QueueLimits {
        maximum_threads: reader.size(sections, table::MAXIMUM_THREADS),
        max_queue_size: u64::try_from(max_queue_size).ok().filter(|size| *size > 0),
        max_finished_size: u64::try_from(max_finished_size).ok(),
        max_finished_age: Some(max_finished_age).filter(|age| !age.is_zero()),
        keep_parameters: reader.boolean(sections, table::KEEP_PARAMETERS),
        on_restart: reader.word(sections, table::ON_RESTART).map(|word| match word {
            "Fail" => OnRestart::Fail,
            _ => OnRestart::Requeue,
        }),
        max_restarts: number(reader, sections, table::MAX_RESTARTS),
        retry: RetryPolicy {
            max_attempts: number(reader, sections, table::MAX_ATTEMPTS),
            delay: seconds(reader, sections, table::RETRY_DELAY_SECS),
            backoff: match reader.word(sections, table::RETRY_BACKOFF) {
                Some("exponential") => Backoff::Exponential,
                _ => Backoff::Fixed,
            },
            max_delay: seconds(reader, sections, table::RETRY_MAX_DELAY_SECS),
        },
        stop_grace: seconds(reader, sections, table::STOP_GRACE_SECS),
        ..QueueLimits::default()
    }
}

fn number(reader: &mut Reader<'_>, sections: &[&str], key: &Key) -> u32 {
    u32::try_from(reader.integer(sections, key)).unwrap_or_default()
}

pub(super) fn seconds(reader: &mut Reader<'_>, sections: &[&str], key: &Key) -> Duration {
    Duration::from_secs(u64::try_from(reader.integer(sections, key)).unwrap_or_default())
}
