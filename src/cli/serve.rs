//! `actiond serve`: the configuration becomes queues and an HTTP server, and a signal ends them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use actiond_actors::{Builder, System};
use actix_web::App;
use tokio::net::TcpSocket;

use super::signals::{self, Signals};
use super::{log_lines, time_zone};
use crate::actions::echo::{self, Echo};
use crate::actions::fetch::{self, Fetch, FetchOptions};
use crate::actions::ingest::{self, Ingest, IngestOptions};
use crate::cli::args::ServeArgs;
use crate::cli::memory;
use crate::config::{self, Overrides, QueueKind, ServerSettings, Settings};
use crate::front::{Endpoint, EndpointBuilder, log_unfinished};
use crate::http::{self, BrowserPolicy};

/// How long open connections get to read their last reply once all actions have ended.
const HTTP_GRACE: Duration = Duration::from_secs(1);
/// The shortest time that an idle connection is kept: replies tell clients a second less, and at least one.
const SHORTEST_IDLE: Duration = Duration::from_secs(2);
/// How many HTTP workers more than cores [`default_workers`] gives at most.
const MAX_MORE_WORKERS: usize = 32;

/// Why the server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error("can't listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
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
pub(super) fn run(args: &ServeArgs) -> ExitCode {
    let log = log_lines::begin();
    let ended = actix_web::rt::System::new().block_on(serve(args));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::Config(error)) => {
            for warning in error.warnings() {
                log::warn!("{warning}");
            }
            log.fatal(module_path!(), format_args!("the configuration can't be used:\n{error}"));
            ExitCode::from(2)
        }
        Err(error) => {
            log.fatal(module_path!(), format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &ServeArgs) -> Result<(), ServeError> {
    let overrides = Overrides { port: args.port, data_directory: args.data.clone() };
    // Before anything else takes time: any of these would end the process without a word.
    #[cfg(unix)]
    let _survived = signals::survive_others()?;
    if let Some(warning) = time_zone::warning() {
        log::warn!("{warning}");
    }
    let (settings, warnings) = config::load(args.config.as_deref(), &overrides)?;
    for warning in warnings {
        log::warn!("{warning}");
    }
    // The port first: a second server on it must not even look at the data.
    let wanted = SocketAddr::new(settings.server.bind_address, settings.server.port);
    let listen = |error| ServeError::Listen { address: wanted, error };
    let listener = bind(wanted).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    // Before anything runs: from here on a signal is a shutdown and no sudden death.
    let mut signals = Signals::new()?;
    let system = start_queues(&settings, address.port()).await?;
    let workers = settings.server.threads.unwrap_or_else(default_workers);
    let idle = settings.server.idle_timeout.max(SHORTEST_IDLE);
    let endpoint = describe(&settings, Endpoint::builder(system.clone()))
        .address(settings.server.token_host.clone(), address.port())
        .limits(settings.server.max_input_string, settings.server.max_file_upload_size)
        .max_upload_memory(settings.server.max_upload_memory)
        .max_reply_memory(settings.server.max_reply_memory)
        .strict(settings.server.strict_action_validation)
        .browsers(browsers(&settings.server))
        .threads(workers)
        .idle_timeout(idle)
        .config_path(args.config.clone().or_else(|| Some(config::DEFAULT_FILE.into())))
        .build();
    let mount = http::configure(&endpoint);
    let patience = http::server::Patience {
        idle,
        request: settings.server.request_timeout,
        reply: settings.server.reply_timeout,
        max_request: http::max_request(&endpoint),
    };
    let server = http::server::serve(listener, patience, workers, HTTP_GRACE, move || {
        App::new().configure(mount.clone())
    })?;
    let handle = server.handle();
    let mut running = actix_web::rt::spawn(server);
    let giving_back = actix_web::rt::spawn(memory::give_back());
    log::info!("actiond {} answers on http://{address}/", env!("CARGO_PKG_VERSION"));

    tokio::select! {
        () = end_on_signal(&mut signals, &system, settings.actions.shutdown_grace) => {}
        // It may have failed to start its threads. Nobody could reach what would be left.
        ended = &mut running => {
            system.shutdown_now().await;
            return Err(ended.unwrap_or(Ok(())).map_or_else(Into::into, |()| ServeError::Gone(workers)));
        }
    }
    giving_back.abort();
    handle.stop(true).await;
    // The server has been told to stop; what is left to learn is whether it did so well.
    running.await.unwrap_or(Ok(()))?;
    log::info!("ended");
    Ok(())
}

/// Which web pages may reach the server, and under which names.
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

/// How many HTTP workers there are unless `Threads` says so.
fn default_workers() -> usize {
    // More than cores: what else runs there, clients too, would push fewer aside with each reply. An odd
    // number was faster than the even ones beside it. Each needs four descriptors, so not too many.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores + (cores + 1).min(MAX_MORE_WORKERS)
}

/// How many connections may wait to be accepted: the system's default of 128 makes a burst of clients wait for seconds.
const BACKLOG: u32 = 4096;

/// Listens as `TcpListener::bind` of the standard library does, with a longer line of those who wait.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a server can be started again at once. Elsewhere than on Unix this would let two in.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Waits for a signal, then shuts the queues down; a second signal ends all patience. Requests are
/// answered meanwhile.
async fn end_on_signal(signals: &mut Signals, system: &System, grace: Duration) {
    let name = signals.next().await;
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

/// Starts the queues that the configuration names.
async fn start_queues(
    settings: &Settings,
    port: u16,
) -> Result<System, actiond_actors::StartError> {
    let data = &settings.paths.data_directory;
    let builder = System::builder(data)
        .durability(settings.actions.durability)
        .on_unfinished(log_unfinished(settings.server.token_host.clone(), port));
    // No Fetch enters these, nor the data directory, and no Ingest reads what is there, whoever asks for it.
    let outputs: Vec<_> = settings
        .queues
        .iter()
        .filter_map(|queue| match &queue.kind {
            QueueKind::Ingest(ingest) => Some(ingest.output_directory.clone()),
            QueueKind::Echo | QueueKind::Fetch(_) => None,
        })
        .collect();
    let own: Vec<_> = outputs.iter().chain([data]).cloned().collect();
    // One performer for all Fetch queues: they share the tasks, and it keeps two runs of a task apart.
    let mut connector: Option<Fetch> = None;
    let add = |builder: Builder, queue: &config::QueueSettings| {
        let (name, limits) = (queue.name.clone(), queue.limits.clone());
        match &queue.kind {
            QueueKind::Echo => builder.queue(name, limits, Echo),
            QueueKind::Ingest(ingest) => {
                let options = IngestOptions {
                    output: ingest.output.clone(),
                    directory: ingest.output_directory.clone(),
                    max_content_bytes: ingest.max_content_size,
                    max_output_bytes: u64::try_from(ingest.max_output_size).unwrap_or(u64::MAX),
                    allowed_sources: ingest.allowed_source_directories.clone(),
                    avoided: own.clone(),
                };
                builder.queue(name, limits, Ingest::new(options))
            }
            QueueKind::Fetch(fetch) => {
                let make = || {
                    Fetch::new(FetchOptions {
                        tasks: fetch.tasks.to_vec(),
                        ingest: fetch.ingest.clone(),
                        batch_size: fetch.batch_size,
                        data_directory: data.clone(),
                        own_directories: outputs.clone(),
                    })
                };
                builder.queue(name, limits, connector.get_or_insert_with(make).clone())
            }
        }
    };
    settings.queues.iter().fold(builder, add).start().await
}

/// Describes each queue by the table of its kind, for the help.
fn describe(settings: &Settings, builder: EndpointBuilder) -> EndpointBuilder {
    settings.queues.iter().fold(builder, |builder, queue| {
        let (summary, params) = match &queue.kind {
            QueueKind::Echo => {
                ("Repeats its parameters; for first tries and load tests.", echo::PARAMS)
            }
            QueueKind::Ingest(_) => {
                ("Takes documents in and writes them as files.", ingest::PARAMS)
            }
            QueueKind::Fetch(_) => {
                ("Finds new, changed and vanished files and hands them to Ingest.", fetch::PARAMS)
            }
        };
        builder.describe(queue.name.clone(), summary, params)
    })
}
