//! `actiond serve`: the configuration becomes queues and an HTTP server, and a signal ends them.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::store::{self, Store};
use actiond_actors::{Builder, System};
use actix_server::Server;
use actix_web::App;
use futures_util::future::{join_all, select_all};
use tokio::net::TcpSocket;

use super::database::{self, DatabaseError};
use super::signals::{Reloads, Signals};
use super::{log_lines, time_zone};
use crate::access::Access;
use crate::cli::args::ServeArgs;
use crate::cli::memory;
use crate::config::{self, Overrides, ServerSettings, Settings, StoreSettings};
use crate::documents::beneath;
use crate::front::{Endpoint, EndpointBuilder, Port, log_unfinished, tokens};
use crate::http::server::Listener;
use crate::http::{self, BrowserPolicy};
use crate::kinds::{Kinds, Site};
use crate::tls::{LOOK_EVERY, Tls, TlsError, TlsOptions};

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
    #[error("can't listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{0} is gone")]
    FileGone(PathBuf),
    #[error(
        "no role is left, so everybody could do everything: end the server and start it again if that is meant"
    )]
    NoRoleLeft,
    #[error("{0}; that needs a restart")]
    NeedsRestart(String),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Start(#[from] actiond_actors::StartError),
    #[error("the HTTP server failed: {0}")]
    Http(#[from] io::Error),
    #[error(
        "the HTTP server ended by itself; each of its {0} threads needs four open files, of which the limit (ulimit -n) \
         may allow too few: raise it, or lower [Server] Threads"
    )]
    Gone(usize),
}

/// Runs the server until a signal ends it.
pub(super) fn run(kinds: &Kinds, args: &ServeArgs) -> ExitCode {
    let log = log_lines::begin();
    let ended = actix_web::rt::System::new().block_on(serve(kinds, args));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::Config(error)) => {
            for warning in error.warnings() {
                log::warn!("{warning}");
            }
            log.fatal(module_path!(), format_args!("the configuration can't be used:\n{error}"));
            ExitCode::from(2)
        }
        Err(error @ ServeError::Tls(_)) => {
            log.fatal(module_path!(), format_args!("the configuration can't be used:\n{error}"));
            ExitCode::from(2)
        }
        Err(error) => {
            log.fatal(module_path!(), format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(kinds: &Kinds, args: &ServeArgs) -> Result<(), ServeError> {
    // Before anything else takes time: any of these would end the process without a word.
    let mut reloads = Reloads::new()?;
    if let Some(warning) = time_zone::warning() {
        log::warn!("{warning}");
    }
    let settings = load(kinds, args)?;
    let workers = settings.server.threads.unwrap_or_else(default_workers);
    #[cfg(unix)]
    if let Some(warning) = super::open_files::warning(&settings, workers) {
        log::warn!("{warning}");
    }
    beneath::protect(settings.files.clone());
    let certificates = Certificates::load(&settings).await?;
    // The ports first: a second server on them must not even look at the data.
    let (listener, address) = listen(settings.server.bind_address, settings.server.port)?;
    let service =
        settings.service.port.map(|port| listen(settings.server.bind_address, port)).transpose()?;

    // Before anything runs: from here on a signal is a shutdown and no sudden death.
    let mut signals = Signals::new()?;
    let system = start_queues(&settings, address.port()).await?;
    let idle = settings.server.idle_timeout.max(SHORTEST_IDLE);
    let endpoint = endpoint_builder(&settings, system.clone())
        .address(settings.server.token_host.clone(), address.port())
        .threads(workers)
        .idle_timeout(idle)
        .config_path(args.config.clone().or_else(|| Some(config::DEFAULT_FILE.into())));
    let endpoint = match &service {
        Some((_, address)) => endpoint.service_port(address.port(), certificates.service.is_some()),
        None => endpoint,
    };
    let endpoint = endpoint.build();
    let timeouts = http::server::Timeouts {
        idle,
        request: settings.server.request_timeout,
        reply: settings.server.reply_timeout,
        max_request: http::max_request(&endpoint),
    };
    let start = |listener: TcpListener, tls: &Option<Tls>, port, workers| {
        let mount = http::configure_port(&endpoint, port);
        let limit = endpoint.connection_limit();
        let listener = Listener::from(listener).tls(tls.clone()).connections(limit);
        http::server::serve(listener, timeouts, workers, HTTP_GRACE, move || {
            App::new().configure(mount.clone())
        })
    };
    let mut servers = vec![start(listener, &certificates.aci, Port::Aci, workers)?];
    let service_address = service.as_ref().map(|(_, address)| *address);
    if let Some((listener, _)) = service {
        servers.push(start(listener, &certificates.service, Port::Service, SERVICE_WORKERS)?);
    }
    let handles: Vec<_> = servers.iter().map(Server::handle).collect();
    let mut running: Vec<_> = servers.into_iter().map(actix_web::rt::spawn).collect();
    for tls in certificates.all() {
        actix_web::rt::spawn(tls.clone().watch(LOOK_EVERY));
    }
    let giving_back = actix_web::rt::spawn(memory::give_back());
    let aci_scheme = scheme(&certificates.aci);
    log::info!("actiond {} answers on {aci_scheme}://{address}/", env!("CARGO_PKG_VERSION"));
    if let Some(address) = service_address {
        log::info!("the service port answers on {}://{address}/", scheme(&certificates.service));
    }

    tokio::select! {
        () = end_on_wish(&mut signals, &endpoint, settings.actions.shutdown_grace) => {}
        () = reload(&mut reloads, kinds, args, &endpoint, &certificates) => {}
        // It may have failed to start its threads. Nobody could reach what would be left.
        (ended, ..) = select_all(&mut running) => {
            system.shutdown_now().await;
            return Err(ended.unwrap_or(Ok(())).map_or_else(Into::into, |()| ServeError::Gone(workers)));
        }
    }
    giving_back.abort();
    join_all(handles.iter().map(|handle| handle.stop(true))).await;
    // The servers have been told to stop; what is left to learn is whether they did so well.
    for ended in join_all(running).await {
        ended.unwrap_or(Ok(()))?;
    }
    log::info!("ended");
    Ok(())
}

/// Reads the configuration, and logs its warnings. Blocks while the names of hosts are looked up.
fn load(kinds: &Kinds, args: &ServeArgs) -> Result<Settings, config::ConfigError> {
    let overrides = Overrides { port: args.port, data_directory: args.data.clone() };
    let (settings, warnings) = config::load(kinds, args.config.as_deref(), &overrides)?;
    for warning in warnings {
        log::warn!("{warning}");
    }
    Ok(settings)
}

/// Begins the endpoint with what the configuration says of it.
fn endpoint_builder(settings: &Settings, system: System) -> EndpointBuilder {
    let server = &settings.server;
    describe(settings, Endpoint::builder(system))
        .limits(server.max_input_string, server.max_file_upload_size)
        .max_upload_memory(server.max_upload_memory)
        .max_reply_memory(server.max_reply_memory)
        .max_connections_per_client(server.max_connections_per_client)
        .max_requests_per_second_per_client(server.max_requests_per_second_per_client)
        .strict(server.strict_action_validation)
        .browsers(browsers(server))
        .access(access_of(settings))
}

/// Returns the policy for web pages and host names.
fn browsers(server: &ServerSettings) -> BrowserPolicy {
    if server.allowed_origins.iter().any(|origin| origin == "*") {
        log::warn!(
            "[Server] AllowedOrigins=* lets any web page do what the user of its browser may"
        );
    }
    let policy = BrowserPolicy::default().local(server.bind_address.is_loopback());
    // The configuration was read by the same rules, so none is refused here.
    let policy = server
        .allowed_hosts
        .iter()
        .fold(policy, |policy, host| policy.clone().allow_host(host).unwrap_or(policy));
    server
        .allowed_origins
        .iter()
        .fold(policy, |policy, origin| policy.clone().allow_origin(origin).unwrap_or(policy))
}

/// Returns the number of HTTP workers if `Threads` does not set it.
fn default_workers() -> usize {
    // More than cores: other processes there, clients too, would preempt fewer with each reply. An odd number was
    // faster than the even ones beside it. Each needs four descriptors, so not too many.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores + (cores + 1).min(MAX_MORE_WORKERS)
}

/// Number of connections that may wait to be accepted: the system's default of 128 makes a burst of clients wait for seconds.
const BACKLOG: u32 = 4096;

/// Listens as `TcpListener::bind` of the standard library does, with a larger backlog.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a server can be started again at once. Elsewhere than on Unix this would let two in.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Listens on a port.
fn listen(address: IpAddr, port: u16) -> Result<(TcpListener, SocketAddr), ServeError> {
    let address = SocketAddr::new(address, port);
    let failed = |error| ServeError::Listen { address, error };
    let listener = bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Makes the rules about who may do what.
fn access_of(settings: &Settings) -> Access {
    let config::AccessSettings { roles, trusted_proxies } = settings.access.clone();
    Access::new(roles).trusting(trusted_proxies)
}

/// The certificates of both ports. Each port has its own, for they may part when the configuration is read again.
struct Certificates {
    aci: Option<Tls>,
    service: Option<Tls>,
    has_service_port: bool,
}

impl Certificates {
    async fn load(settings: &Settings) -> Result<Self, ServeError> {
        let [aci, service] = options(settings).map(Option::<&TlsOptions>::cloned);
        let has_service_port = settings.service.port.is_some();
        let load = move || {
            let aci = aci.map(Tls::load).transpose()?;
            let service = service.map(Tls::load).transpose()?;
            Ok(Self { aci, service, has_service_port })
        };
        let loaded = actix_web::rt::task::spawn_blocking(load);
        loaded.await.map_err(io::Error::other)?
    }

    fn all(&self) -> impl Iterator<Item = &Tls> {
        self.aci.iter().chain(&self.service)
    }

    /// Returns an error if a configuration can't be put in force while the server runs, because what it says of ports is
    /// another than at the start. Its files were checked when it was read.
    fn check(&self, settings: &Settings) -> Result<(), ServeError> {
        let needs_restart = |what: &str| Err(ServeError::NeedsRestart(what.to_owned()));
        match (self.has_service_port, settings.service.port) {
            (false, Some(_)) => return needs_restart("[Service] ServicePort is new"),
            (true, None) => return needs_restart("[Service] ServicePort has gone"),
            _ => {}
        }
        let ports = [("Server", &self.aci), ("Service", &self.service)];
        for ((section, tls), fresh) in ports.into_iter().zip(options(settings)) {
            match (tls, fresh) {
                (None, Some(_)) => {
                    return needs_restart(&format!("[{section}] SSLConfig was switched on"));
                }
                (Some(_), None) => {
                    return needs_restart(&format!("[{section}] SSLConfig was switched off"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the certificates of a configuration that was checked.
    async fn reload(&self, settings: &Settings) {
        for (tls, fresh) in [&self.aci, &self.service].into_iter().zip(options(settings)) {
            if let Some((tls, fresh)) = tls.as_ref().zip(fresh) {
                tls.reload_and_log(fresh.clone()).await;
            }
        }
    }
}

/// Returns what the configuration says of the certificates of the ACI port and the service port.
fn options(settings: &Settings) -> [Option<&TlsOptions>; 2] {
    let service = settings.service.tls.as_ref().filter(|_| settings.service.port.is_some());
    [settings.server.tls.as_ref(), service]
}

const fn scheme(tls: &Option<Tls>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}

/// Reads the rules about who may do what, and the certificates, again at each SIGHUP. A configuration with an error, or with
/// files that can't be used, changes nothing.
async fn reload(
    reloads: &mut Reloads,
    kinds: &Kinds,
    args: &ServeArgs,
    endpoint: &Endpoint,
    certificates: &Certificates,
) {
    // Whoever replaces a file may have it away for a moment, or empty.
    let expected = args.config.clone().or_else(|| {
        let default = PathBuf::from(config::DEFAULT_FILE);
        default.exists().then_some(default)
    });
    let mut had_roles = endpoint.access().has_roles();
    loop {
        reloads.next().await;
        let read = async {
            let settings = reloaded(kinds, args, expected.as_deref(), had_roles).await?;
            certificates.check(&settings)?;
            Ok::<_, ServeError>(settings)
        };
        match read.await {
            Ok(settings) => {
                let roles = settings.access.roles.len();
                had_roles = roles > 0;
                beneath::protect(settings.files.clone());
                endpoint.set_access(access_of(&settings));
                certificates.reload(&settings).await;
                log::info!(
                    "SIGHUP: {roles} roles are in force; other settings are read at the start only"
                );
            }
            Err(error) => log::error!("SIGHUP: nothing was changed: {error}"),
        }
    }
}

/// Reads the configuration. Names of hosts are looked up, so a thread of its own waits for that.
async fn reloaded(
    kinds: &Kinds,
    args: &ServeArgs,
    expected: Option<&Path>,
    had_roles: bool,
) -> Result<Settings, ServeError> {
    if let Some(gone) = expected.filter(|file| !file.exists()) {
        return Err(ServeError::FileGone(gone.to_owned()));
    }
    let (kinds, args) = (kinds.clone(), args.clone());
    let read = actix_web::rt::task::spawn_blocking(move || load(&kinds, &args));
    let settings = read.await.map_err(io::Error::other)??;
    match had_roles && settings.access.roles.is_empty() {
        true => Err(ServeError::NoRoleLeft),
        false => Ok(settings),
    }
}

/// Waits for a signal, or for `Stop` on the service port, then shuts the queues down; a second signal ends the grace period.
/// Requests are answered meanwhile.
async fn end_on_wish(signals: &mut Signals, endpoint: &Endpoint, grace: Duration) {
    let system = endpoint.system();
    let name = tokio::select! {
        name = signals.next() => name,
        () = endpoint.stop_requested() => "Stop on the service port",
    };
    log::info!(
        "{name}: no new actions are taken; running ones have {} s, a second signal ends them at once",
        grace.as_secs()
    );
    tokio::select! {
        () = system.shutdown(grace) => {}
        name = signals.second() => {
            log::warn!("{name} again: running actions are ended now");
            system.shutdown_now().await;
        }
    }
}

/// Opens the store that servers share, if there is one.
async fn shared_store(
    settings: &Settings,
    port: u16,
) -> Result<Option<Arc<dyn Store>>, ServeError> {
    let StoreSettings::Postgres(postgres) = &settings.actions.store else { return Ok(None) };
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
async fn start_queues(settings: &Settings, port: u16) -> Result<System, ServeError> {
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
    let tokens = || tokens(settings.server.token_host.clone(), port, shared.clone());
    let builder =
        builder.log_unfinished(false).adopt_orphans(true).observer(log_unfinished(tokens()));
    let written: Vec<_> = settings
        .queues
        .iter()
        .flat_map(|queue| queue.settings.writes_to())
        .map(|(_, path)| path)
        .collect();
    let site = Site::new(data, &written).with_tokens(Arc::new(tokens()));
    let add = |builder: Builder, queue: &config::QueueConfig| {
        let mut limits = queue.limits.clone();
        limits.on_restart = limits.on_restart.or(Some(queue.kind.on_restart()));
        queue.settings.adjust(&mut limits);
        builder.queue_of(queue.name.clone(), limits, queue.settings.performer(&site))
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
        log::warn!("another server is named {name}, too: {host}:{port}");
    }
}

/// Describes the parameters of each queue, for the help and for the check of submissions, and tells where its actions are taken.
fn describe(settings: &Settings, builder: EndpointBuilder) -> EndpointBuilder {
    settings.queues.iter().fold(builder, |builder, queue| {
        let (name, summary) = (queue.name.clone(), queue.kind.summary());
        let builder = match queue.settings.params() {
            Some(params) => builder.describe_and_check(name, summary, params),
            None => builder.describe(name, summary, queue.kind.params()),
        };
        let builder = match queue.settings.runs_programs() {
            true => builder.runs_programs(queue.name.clone()),
            false => builder,
        };
        match queue.settings.desk() {
            Some(desk) => builder.desk(queue.name.clone(), desk),
            None => builder,
        }
    })
}
