//! `actiond serve`: the configuration becomes queues and an HTTP server, and a signal ends them.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actiond_actors::store::{self, Store};
use actiond_actors::{Builder, StartError, StoreError, System};
use actix_server::Server;
use actix_web::App;
use futures_util::future::{join_all, select_all};

use super::certificates::{self, Certificates};
use super::data_directory::{self, DirectoryError};
use super::database::{self, DatabaseError};
use super::ending::{Ended, end_on_wish};
use super::endpoint::{access_of, describe, is_local, limit, queue_settings};
use super::handlers::{self, HandlerError};
use super::listen::{ListenError, ListeningPort, Ports};
use super::log_lines::LogStreams;
use super::reload::{self, Reloader};
use super::signals::{Reloads, Signals};
use super::{log_lines, time_zone};
use crate::admin::AdminPage;
use crate::backup::Backups;
use crate::cli::args::ServeArgs;
use crate::cli::memory;
use crate::config::{self, Parsed, ServerSettings, Settings, StoreSettings};
use crate::documents::beneath;
use crate::events::LiveEvents;
use crate::events::handlers::{Requests, StoredRequests};
use crate::front::{Endpoint, Port, log_unfinished, tokens};
use crate::http;
use crate::http::server::Listener;
use crate::kinds::{Kinds, Site};
use crate::logging::{Streams, log_actions};
use crate::metrics::Metrics;
use crate::schedules::{Schedule, Schedules};
use crate::tls::{LOOK_EVERY, Tls};

/// Time that open connections get to read their last reply once all actions have ended.
const HTTP_GRACE: Duration = Duration::from_secs(1);
/// The shortest time that an idle connection is kept: replies tell clients a second less, and at least one.
const SHORTEST_IDLE: Duration = Duration::from_secs(2);
/// Number of HTTP workers of the service port: it has little to do, and must answer also when the others are busy.
const SERVICE_WORKERS: usize = 1;
/// Largest number of HTTP workers that [`default_workers`] adds to the number of cores.
const MAX_MORE_WORKERS: usize = 32;

/// The reason for which the server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Certificates(#[from] certificates::LoadError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Handler(#[from] HandlerError),
    #[error(transparent)]
    Start(StartError),
    #[error("the HTTP server failed: {0}")]
    Http(#[from] io::Error),
    #[error(
        "the actions in memory could not be written to disk at the end: what the file lacks is lost"
    )]
    NotSaved,
    #[error(
        "the HTTP server ended by itself; each of its {0} threads needs four open files, of which the limit (ulimit -n) \
         may allow too few: raise it, or lower [Server] Threads"
    )]
    Gone(usize),
}

impl From<StartError> for ServeError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error @ StoreError::InUse { .. }) => {
                Self::Directory(DirectoryError::InUse(error))
            }
            error => Self::Start(error),
        }
    }
}

/// Runs the server until a signal ends it.
pub(super) fn run(kinds: &Kinds, args: &ServeArgs) -> ExitCode {
    let log = log_lines::begin();
    let ended = actix_web::rt::System::new().block_on(serve(kinds, args, log.streams()));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::Config(error)) => {
            for warning in error.warnings() {
                log::warn!("{warning}");
            }
            log.fatal(module_path!(), format_args!("the configuration can't be used:\n{error}"));
            ExitCode::from(2)
        }
        Err(error @ ServeError::Certificates(certificates::LoadError::Tls(_))) => {
            log.fatal(module_path!(), format_args!("the configuration can't be used:\n{error}"));
            ExitCode::from(2)
        }
        Err(error) => {
            log.fatal(module_path!(), format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

/// What one server leaves to the next: clients wait in the queues of its ports meanwhile.
struct Kept {
    log: LogStreams,
    reloads: Reloads,
    signals: Option<Signals>,
    ports: Option<Ports>,
}

/// Runs one server after another, until one is stopped.
async fn serve(kinds: &Kinds, args: &ServeArgs, log: LogStreams) -> Result<(), ServeError> {
    // Before anything else takes time: any of these would end the process without a word.
    let mut kept = Kept { log, reloads: Reloads::new()?, signals: None, ports: None };
    if let Some(warning) = time_zone::warning() {
        log::warn!("{warning}");
    }
    let mut parsed = reload::load(kinds, args)?;
    while let Ended::Restored = serve_once(kinds, args, &parsed, &mut kept).await? {
        match reload::load(kinds, args) {
            Ok(fresh) => parsed = fresh,
            Err(error) => log::error!("the configuration stays that of the start: {error}"),
        }
    }
    log::info!("ended");
    Ok(())
}

async fn serve_once(
    kinds: &Kinds,
    args: &ServeArgs,
    parsed: &Parsed,
    kept: &mut Kept,
) -> Result<Ended, ServeError> {
    let settings = &parsed.settings;
    let log = kept.log.clone();
    log.open(settings);
    let workers = settings.server.threads.unwrap_or_else(default_workers);
    #[cfg(unix)]
    if let Some(warning) = super::open_files::warning(settings, workers) {
        log::warn!("{warning}");
    }
    beneath::protect(settings.files.clone());
    let certificates = Certificates::load(settings).await?;
    // The ports first: a second server on them must not even look at the data.
    let ports = match kept.ports.take() {
        Some(ports) => ports,
        None => Ports::listen(settings)?,
    };
    kept.ports = Some(ports.try_clone()?);
    let Ports { aci, service } = ports;
    let port = aci.port;

    // Before anything runs: from here on a signal is a shutdown and no sudden death.
    let signals = match &mut kept.signals {
        Some(signals) => signals,
        none => none.insert(Signals::new()?),
    };
    let metrics = Metrics::default();
    let live = live_events(settings);
    let requests = Arc::new(StoredRequests::default());
    let system =
        start_queues(settings, port, &metrics, live.as_ref(), &log.streams, &requests).await?;
    requests.begin(system.clone());
    let backups = Backups::of(&settings.paths.data_directory)
        .directories(settings.server.backup_directories.iter().cloned())
        .configuration(config_path(args))
        .with_restore();
    backups.begin();
    let of_kinds = settings.queues.iter().flat_map(|queue| queue.settings.schedules());
    let of_kinds: Vec<Schedule> = of_kinds.collect();
    let schedules = Schedules::start(system.clone(), &of_kinds, &settings.schedules);
    let idle = settings.server.idle_timeout.max(SHORTEST_IDLE);
    let builder = limit(settings, is_local(settings), Endpoint::builder(system.clone()));
    let endpoint = handlers::describe(settings, describe(settings, builder))
        .access(access_of(settings))
        .metrics(metrics)
        .log_streams(log.streams.clone())
        .address(settings.server.token_host.clone(), port)
        .threads(workers)
        .idle_timeout(idle)
        .config_path(config_path(args))
        .backups(backups.clone())
        .file_system(data_directory::file_system(&settings.paths.data_directory, &system))
        .schedules(schedules.clone());
    let endpoint = match &service {
        Some(service) => endpoint.service_port(service.port, certificates.service.is_some()),
        None => endpoint,
    };
    let endpoint = match live {
        Some(live) => endpoint.live_events(live),
        None => endpoint,
    };
    let endpoint = match admin_page(settings) {
        Some(page) => endpoint.admin_page(page),
        None => endpoint,
    };
    let endpoint = endpoint.build();
    let timeouts = http::server::Timeouts {
        idle,
        request: settings.server.request_timeout,
        reply: settings.server.reply_timeout,
    };
    let start = |listener: Listener, tls: &Option<Tls>, port, workers| {
        let mount = http::configure_port(&endpoint, port);
        let limited = endpoint.clone();
        let listener = listener
            .tls(tls.clone())
            .connections(endpoint.connection_limit())
            .longest_request(move || http::max_request(&limited));
        http::server::serve(listener, timeouts, workers, HTTP_GRACE, move || {
            App::new().configure(mount.clone())
        })
    };
    let name = format!("actiond {}", env!("CARGO_PKG_VERSION"));
    let mut answers = answers(&name, &certificates.aci, &aci);
    let mut servers = vec![start(aci.listener, &certificates.aci, Port::Aci, workers)?];
    if let Some(service) = service {
        answers.extend(self::answers("the service port", &certificates.service, &service));
        let listener = service.listener;
        servers.push(start(listener, &certificates.service, Port::Service, SERVICE_WORKERS)?);
    }
    let handles: Vec<_> = servers.iter().map(Server::handle).collect();
    let mut running: Vec<_> = servers.into_iter().map(actix_web::rt::spawn).collect();
    let watch = |tls: &Tls| actix_web::rt::spawn(tls.clone().watch(LOOK_EVERY));
    let watching: Vec<_> = certificates.all().map(watch).collect();
    let giving_back = actix_web::rt::spawn(memory::give_back());
    answers.iter().for_each(|line| log::info!("{line}"));
    let reloader = Reloader::new(kinds, args, &endpoint, certificates, workers, log, parsed);
    let reloader = Arc::new(reloader);
    let config: Weak<Reloader> = Arc::downgrade(&reloader);
    endpoint.set_config(config);

    let ended = tokio::select! {
        ended = end_on_wish(signals, &endpoint, &reloader, &backups) => ended,
        () = reload_on_wish(&mut kept.reloads, &reloader) => Ended::Stopped,
        // It may have failed to start its threads. Nobody could reach what would be left.
        (ended, ..) = select_all(&mut running) => {
            system.shutdown_now().await;
            return Err(ended.unwrap_or(Ok(())).map_or_else(Into::into, |()| ServeError::Gone(workers)));
        }
    };
    if let Ended::Stopped = ended {
        // Nobody is to wait for a server that does not come.
        kept.ports = None;
    }
    schedules.end();
    giving_back.abort();
    watching.iter().for_each(actix_web::rt::task::JoinHandle::abort);
    join_all(handles.iter().map(|handle| handle.stop(true))).await;
    backups.ended().await;
    requests.end();
    // The servers have been told to stop; what is left to learn is whether they did so well.
    for ended in join_all(running).await {
        ended.unwrap_or(Ok(()))?;
    }
    if settings.actions.in_memory.is_some() && !system.is_store_available() {
        return Err(ServeError::NotSaved);
    }
    Ok(ended)
}

/// Returns the admin page, if the configuration wants one.
fn admin_page(settings: &Settings) -> Option<AdminPage> {
    let ServerSettings { admin_page, admin_secret, .. } = &settings.server;
    let secret = admin_secret.as_ref().map(|secret| secret.0.as_bytes());
    let page = admin_page.then(|| AdminPage::new(secret))?;
    if page.is_none() {
        log::error!("there is no admin page: the system has no random numbers");
    }
    page
}

/// Returns the live events, if the configuration has them.
fn live_events(settings: &Settings) -> Option<LiveEvents> {
    let ServerSettings { event_history, max_event_listeners, .. } = settings.server;
    event_history.map(|history| LiveEvents::new(history).max_listeners(max_event_listeners))
}

fn config_path(args: &ServeArgs) -> Option<PathBuf> {
    args.config.clone().or_else(|| Some(config::DEFAULT_FILE.into()))
}

/// Returns the number of HTTP workers if `Threads` does not set it.
fn default_workers() -> usize {
    // More than cores: other processes there, clients too, would preempt fewer with each reply. An odd number was
    // faster than the even ones beside it. Each needs four descriptors, so not too many.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores + (cores + 1).min(MAX_MORE_WORKERS)
}

/// Returns the lines of the log about where a port answers. The first one stands alone for whoever looks for it.
fn answers(who: &str, tls: &Option<Tls>, port: &ListeningPort) -> Vec<String> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let line = |(index, address): (usize, &_)| {
        let also = if index > 0 { "also " } else { "" };
        format!("{who} {also}answers on {scheme}://{address}/")
    };
    port.addresses.iter().enumerate().map(line).collect()
}

/// Reads the configuration again at each SIGHUP.
async fn reload_on_wish(reloads: &mut Reloads, reloader: &Reloader) {
    loop {
        reloads.next().await;
        // What came of it is in the log, either way.
        drop(reloader.reload("SIGHUP").await);
    }
}

/// Opens the store that servers share, if there is one.
async fn shared_store(
    settings: &Settings,
    port: u16,
) -> Result<Option<Arc<dyn Store>>, ServeError> {
    let StoreSettings::Postgres(postgres) = &settings.actions.store else { return Ok(None) };
    // First of all: who is refused here has not touched the database.
    let lock = data_directory::lock(&settings.paths.data_directory)?;
    actix_web::rt::spawn(data_directory::keep(lock));
    let host = settings.server.token_host.clone();
    let name = settings
        .server
        .server_name
        .clone()
        .unwrap_or_else(|| format!("{}:{port}", database::host_name()));
    let site = store::Site { name, host, port };
    let slots = settings.queues.iter().map(|queue| queue.limits.maximum_threads);
    let slots = slots.fold(0, usize::saturating_add);
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    for queue in &settings.queues {
        if let Some(what) = queue.kind.remembers() {
            log::warn!(
                "the queue {} remembers {what} in the data directory of this server alone: no other server should have it",
                queue.name
            );
        }
    }
    log::info!(
        "this server is {}; its actions are in the database {}, schema {}",
        site.name,
        postgres.connection,
        postgres.schema
    );
    Ok(Some(Arc::new(database::open(postgres, site, slots).await?)))
}

/// Starts the queues that the configuration names.
async fn start_queues(
    settings: &Settings,
    port: u16,
    metrics: &Metrics,
    live: Option<&LiveEvents>,
    streams: &Streams,
    requests: &Arc<StoredRequests>,
) -> Result<System, ServeError> {
    let data = &settings.paths.data_directory;
    let shared = shared_store(settings, port).await?;
    let builder = match &shared {
        None => match settings.actions.in_memory {
            Some(in_memory) => System::builder(data).in_memory(in_memory.backup_interval),
            None => System::builder(data).durability(settings.actions.durability),
        },
        Some(store) => System::builder(data).store(Arc::clone(store)),
    };
    let builder = builder.max_store_bytes(settings.actions.max_datastore_size);
    let requests: Arc<dyn Requests> = Arc::<StoredRequests>::clone(requests);
    let builder = handlers::add(builder, settings, port, shared.clone(), &requests)?;
    let tokens = || tokens(settings.server.token_host.clone(), port, shared.clone());
    let builder =
        builder.log_unfinished(false).adopt_orphans(true).observer(log_unfinished(tokens()));
    let builder = builder.observer(metrics.observer()).observer(log_actions(streams.clone()));
    let builder = match live {
        Some(live) => builder.observer(live.observer()),
        None => builder,
    };
    streams.set_tokens(Arc::new(tokens()));
    let written: Vec<_> = settings
        .queues
        .iter()
        .flat_map(|queue| queue.settings.writes_to())
        .map(|(_, path)| path)
        .collect();
    let site = Site::new(data, &written).with_tokens(Arc::new(tokens()));
    let add = |builder: Builder, queue: &config::QueueConfig| {
        let performer = queue.settings.performer(&site);
        builder.queue_of(queue.name.clone(), queue_settings(queue), performer)
    };
    let builder = settings.queues.iter().fold(builder, add);
    let system = builder.start().await?;
    for queue in &settings.queues {
        queue.settings.started(&site);
    }
    warn_of_namesakes(&system).await;
    Ok(system)
}

/// Warns of other servers with this one's name, which nobody could tell from it.
async fn warn_of_namesakes(system: &System) {
    let Ok(servers) = system.servers().await else { return };
    let Some(own) = servers.iter().find(|server| server.owner == system.owner()) else { return };
    let is_namesake = |server: &&store::Server| {
        // One with the same address was this one, before it was started again.
        server.lease.is_some() && server.site.name == own.site.name && server.site != own.site
    };
    if let Some(other) = servers.iter().find(is_namesake) {
        let store::Site { name, host, port } = &*other.site;
        log::warn!("another server is named {name}, too: {}", database::place(host, *port));
    }
}
