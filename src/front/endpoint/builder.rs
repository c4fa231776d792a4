//! The settings of an endpoint, and how it is built of them.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actiond_actors::System;
use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;

use super::super::message::Port;
use super::super::reply_memory::ReplyBudget;
use super::super::request_log::RequestLog;
use super::super::run_permits::RunPermits;
use super::super::secrets::secret_names;
use super::super::served_queue::ServedQueue;
use super::{Endpoint, Inner, Limits};
use crate::access::Access;
use crate::aci::catalog::{ParamSpec, StandardRole, builtin};
use crate::admin::AdminPage;
use crate::backup::Backups;
use crate::desk::Desk;
use crate::events::LiveEvents;
use crate::events::handlers::HostPattern;
use crate::http::BrowserPolicy;
use crate::http::limits::OpenConnections;
use crate::logging::Streams;
use crate::metrics::{Counted, Metrics, Requests};
use crate::schedules::Schedules;
use crate::service::SERVICE_ACTIONS;

impl Endpoint {
    /// Begins an endpoint over this system.
    #[must_use]
    pub fn builder(system: System) -> EndpointBuilder {
        EndpointBuilder {
            system,
            host: "127.0.0.1".to_owned(),
            port: 7000,
            threads: 1,
            config_path: None,
            idle_timeout: None,
            limits: Limits {
                max_input_string: 64_000,
                max_file_upload_size: 10_000_000,
                max_upload_memory: 50_000_000,
                max_reply_memory: 50_000_000,
                strict: false,
                max_requests_per_second_per_client: 0,
                max_connections_per_client: 0,
            },
            prefix: String::new(),
            browsers: BrowserPolicy::default(),
            described: Vec::new(),
            roles: Vec::new(),
            desks: Vec::new(),
            programs: Vec::new(),
            access: Access::default(),
            service_port: None,
            service_has_tls: false,
            backups: None,
            file_system: None,
            callback_hosts: Vec::new(),
            handlers: Vec::new(),
            schedules: None,
            metrics: None,
            live_events: None,
            admin_page: None,
            log_streams: Streams::default(),
        }
    }
}

/// The settings of an [`Endpoint`] to be built.
#[derive(Debug)]
pub struct EndpointBuilder {
    system: System,
    host: String,
    port: u16,
    threads: usize,
    config_path: Option<PathBuf>,
    idle_timeout: Option<Duration>,
    pub(super) limits: Limits,
    prefix: String,
    pub(super) browsers: BrowserPolicy,
    described: Vec<Described>,
    roles: Vec<(String, StandardRole)>,
    desks: Vec<(String, Desk)>,
    /// The queues whose actions are programs.
    programs: Vec<String>,
    access: Access,
    service_port: Option<u16>,
    service_has_tls: bool,
    backups: Option<Backups>,
    file_system: Option<String>,
    callback_hosts: Vec<HostPattern>,
    handlers: Vec<(String, &'static str)>,
    schedules: Option<Schedules>,
    metrics: Option<Metrics>,
    live_events: Option<LiveEvents>,
    admin_page: Option<AdminPage>,
    log_streams: Streams,
}

/// A description of the actions of a queue.
#[derive(Debug, Clone)]
struct Described {
    queue: String,
    summary: String,
    params: Arc<[ParamSpec]>,
    is_checked: bool,
}

/// The parameters of a queue that was not described: any.
const UNDESCRIBED: &[ParamSpec] = &[ParamSpec::optional(
    crate::aci::catalog::ANY,
    crate::aci::catalog::ParamKind::Text,
    "Whatever the action takes.",
)];

impl EndpointBuilder {
    /// Sets the host and the port that tokens carry (default `127.0.0.1` and 7000): those under which
    /// clients reach the server. Existing tokens stay valid when these change.
    #[must_use]
    pub fn address(mut self, host: impl Into<String>, port: u16) -> Self {
        self.host = host.into();
        self.port = port;
        self
    }

    /// Sets the longest request target in bytes (default 64,000), where a percent-encoded one counts once, and the longest
    /// body in bytes (default 10,000,000); `usize::MAX` for no limit.
    #[must_use]
    pub const fn limits(mut self, max_input_string: usize, max_file_upload_size: usize) -> Self {
        self.limits.max_input_string = max_input_string;
        self.limits.max_file_upload_size = max_file_upload_size;
        self
    }

    /// Sets the memory budget of all request bodies together in bytes (default 50,000,000); 16 KB of each body are not counted.
    /// A body that finds no memory waits a few seconds and is then refused; meanwhile bodies of silent clients are evicted.
    #[must_use]
    pub const fn max_upload_memory(mut self, bytes: usize) -> Self {
        self.limits.max_upload_memory = bytes;
        self
    }

    /// Sets the memory budget of large replies that wait for their clients to take them, in bytes (default 50,000,000). A reply
    /// of over 64 KB that finds no memory waits a few seconds and is then refused.
    #[must_use]
    pub const fn max_reply_memory(mut self, bytes: usize) -> Self {
        self.limits.max_reply_memory = bytes;
        self
    }

    /// Sets how many requests a second each client may send, and as many at once (default 0: no limit). What is beyond gets
    /// `ERRORUNAVAILABLE` with the header `Retry-After`, before its body is read, and does not count.
    ///
    /// A client is the address that a request comes from, behind a proxy that [`Access`] trusts the one that the proxy names;
    /// of IPv6 it is a network of 64 bits. Over a socket of Unix there is no address, and no limit. All ports and workers
    /// count together. Only requests that the endpoint answers count, not those for routes of your own.
    #[must_use]
    pub const fn max_requests_per_second_per_client(mut self, number: u32) -> Self {
        self.limits.max_requests_per_second_per_client = number;
        self
    }

    /// Sets how many connections each client may have at a time (default 0: no limit). One beyond gets `ERRORUNAVAILABLE` with
    /// the header `Retry-After` to its first request, and then ends; it counts until then. Those of proxies that [`Access`]
    /// trusts do not count.
    ///
    /// Only [`server::serve`](crate::http::server::serve) holds this limit, where it is given
    /// [`Endpoint::connection_limit`]: `HttpServer` does not say when a connection begins and ends.
    #[must_use]
    pub const fn max_connections_per_client(mut self, number: u32) -> Self {
        self.limits.max_connections_per_client = number;
        self
    }

    /// Refuses parameters that an action does not know (default: they are ignored).
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.limits.strict = strict;
        self
    }

    /// Sets the path under which the endpoint is mounted, such as `/aci` (default: the root): as it is in the targets of
    /// requests, with the scopes around it, percent-encoded where they are. It can have no variable part.
    ///
    /// Of a target that begins with anything else only the query is understood: `/else?action=GetStatus`, but not
    /// `/else/action=GetStatus`.
    #[must_use]
    pub fn mounted_at(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = match prefix.into().trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        self
    }

    /// Sets the web pages that may reach the endpoint, and the host names (default: its own pages, and its own names).
    #[must_use]
    pub fn browsers(mut self, policy: BrowserPolicy) -> Self {
        self.browsers = policy;
        self
    }

    /// Describes the actions of a queue for the help, and for the check of parameters where the endpoint is
    /// [strict](Self::strict). Without such a queue it has no effect.
    #[must_use]
    pub fn describe(
        self,
        queue: impl Into<String>,
        summary: impl Into<String>,
        params: impl Into<Arc<[ParamSpec]>>,
    ) -> Self {
        self.described(queue.into(), summary.into(), params.into(), false)
    }

    /// Describes the actions of a queue as [`describe`](Self::describe) does, and checks the parameters of each: one that lacks
    /// a parameter, or has a value that is not allowed, is not queued.
    #[must_use]
    pub fn describe_and_check(
        self,
        queue: impl Into<String>,
        summary: impl Into<String>,
        params: impl Into<Arc<[ParamSpec]>>,
    ) -> Self {
        self.described(queue.into(), summary.into(), params.into(), true)
    }

    fn described(
        mut self,
        queue: String,
        summary: String,
        params: Arc<[ParamSpec]>,
        is_checked: bool,
    ) -> Self {
        self.described.push(Described { queue, summary, params, is_checked });
        self
    }

    /// Sets the standard role that a caller needs to send actions to a queue (default [`StandardRole::Query`], as for all
    /// actions that are not administrative). Without such a queue it has no effect.
    #[must_use]
    pub fn role(mut self, queue: impl Into<String>, role: StandardRole) -> Self {
        self.roles.push((queue.into(), role));
        self
    }

    /// Says that the actions of a queue are programs. One that was asked to stop when its server died was ended by the next one,
    /// so its status says `<stopped_by>forced</stopped_by>`.
    #[must_use]
    pub fn runs_programs(mut self, queue: impl Into<String>) -> Self {
        self.programs.push(queue.into());
        self
    }

    /// Sets the desk at which workers elsewhere take the actions of a queue (`QueueWork`): that of its performer. Without such a
    /// queue it has no effect.
    #[must_use]
    pub fn desk(mut self, queue: impl Into<String>, desk: Desk) -> Self {
        self.desks.push((queue.into(), desk));
        self
    }

    /// Sets who may do what (default [`Access::default`]: administrative actions for this machine only, all others for
    /// everybody). An application that decides by itself who reaches the endpoint sets [`Access::open`].
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Allows `BackupServer`, and `RestoreServer` if that is [set](Backups::with_restore) (default: neither).
    #[must_use]
    pub fn backups(mut self, backups: Backups) -> Self {
        self.backups = Some(backups);
        self
    }

    /// Sets the type of the file system on which the actions are, which `GetStatus` tells (default: none is told).
    #[must_use]
    pub fn file_system(mut self, kind: Option<String>) -> Self {
        self.file_system = kind;
        self
    }

    /// Sets the hosts that a submission may name in its `CallbackURL` (default: none). The system must have a handler for them
    /// ([`HttpHandler`](crate::events::handlers::http::HttpHandler)).
    #[must_use]
    pub fn callback_hosts(mut self, hosts: impl IntoIterator<Item = HostPattern>) -> Self {
        self.callback_hosts.extend(hosts);
        self
    }

    /// Adds what `EventInfo` says of a handler of the system beside what the system knows: the `LibraryName` by which it was
    /// configured.
    #[must_use]
    pub fn handler(mut self, name: impl Into<String>, library: &'static str) -> Self {
        self.handlers.push((name.into(), library));
        self
    }

    /// Sets the schedules that `ScheduleInfo` shows and steers (default: there are none, and it says so).
    #[must_use]
    pub fn schedules(mut self, schedules: Schedules) -> Self {
        self.schedules = Some(schedules);
        self
    }

    /// Sets the service port, which the server reports, and if it has TLS (default: there is none).
    #[must_use]
    pub const fn service_port(mut self, port: u16, has_tls: bool) -> Self {
        self.service_port = Some(port);
        self.service_has_tls = has_tls;
        self
    }

    /// Sets the number of HTTP workers, which the server reports (default 1). As many actions of each queue may run at once
    /// outside of it (`Synchronous=true`), and at least 4; more wait a few seconds and are then refused.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the path of the configuration file, which the server reports.
    #[must_use]
    pub fn config_path(mut self, path: Option<PathBuf>) -> Self {
        self.config_path = path;
        self
    }

    /// Sets the time after which the HTTP server closes an idle connection, so that replies tell their clients
    /// (`Keep-Alive: timeout=N`, two seconds less and at least 1; no header below 2 s). By default replies say nothing, and a
    /// client may send a request on a connection that is being closed. `HttpServer` closes them after 5 s, unless its
    /// `keep_alive` says otherwise.
    #[must_use]
    pub const fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = Some(idle);
        self
    }

    /// Sets the metrics of the system, which the endpoint then shows at `/metrics` to whoever has the role `ServiceStatus`, with
    /// those of its own requests (default: there are none). See [`crate::metrics`].
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Sets the live events of the system, to which the endpoint lets those listen at `/events` who may see its queues (default:
    /// there are none). See [`crate::events::live`].
    #[must_use]
    pub fn live_events(mut self, live: LiveEvents) -> Self {
        self.live_events = Some(live);
        self
    }

    /// Sets the admin page, which the endpoint then has at `/admin` (default: there is none). See [`crate::admin`].
    #[must_use]
    pub fn admin_page(mut self, page: AdminPage) -> Self {
        self.admin_page = Some(page);
        self
    }

    /// Sets the streams of the log, to which each request has its lines written (default: there are none).
    #[must_use]
    pub fn log_streams(mut self, streams: Streams) -> Self {
        self.log_streams = streams;
        self
    }

    /// Makes the endpoint. A queue that clients can't reach, because a token can't hold its name (a colon) or another action has
    /// that name (`GetStatus`), only causes a warning in the log: the application may still use it.
    #[must_use]
    pub fn build(self) -> Endpoint {
        let queues = self.system.queues().into_iter().map(|queue| {
            let described =
                self.described.iter().find(|of| of.queue.eq_ignore_ascii_case(queue.name()));
            let Described { summary, params, is_checked, .. } =
                described.cloned().unwrap_or_else(|| Described {
                    queue: String::new(),
                    summary: "An asynchronous action.".to_owned(),
                    params: UNDESCRIBED.into(),
                    is_checked: false,
                });
            let role = self.roles.iter().rfind(|(name, _)| name.eq_ignore_ascii_case(queue.name()));
            let role = role.map_or(StandardRole::Query, |(_, role)| *role);
            let (upper, permits) = (queue.name().to_uppercase(), RunPermits::new(self.threads));
            let desk = self.desks.iter().rfind(|(name, _)| name.eq_ignore_ascii_case(queue.name()));
            let desk = desk.map(|(_, desk)| desk.clone());
            let runs_programs =
                self.programs.iter().any(|name| name.eq_ignore_ascii_case(queue.name()));
            let secret_names = secret_names(&params, &queue.settings().secret_parameters);
            ServedQueue {
                queue,
                upper,
                permits,
                summary,
                params,
                is_checked,
                role,
                desk,
                runs_programs,
                secret_names,
            }
        });
        let queues: Vec<_> = queues.collect();
        let began = Instant::now();
        let counted = self.metrics.map(|metrics| {
            let requests = Requests::new(named_actions(&queues));
            Arc::new(Counted::new(metrics, requests, self.live_events.clone(), began))
        });
        let own = queues.iter().flat_map(|served| served.secret_names.own());
        let secret_names = own.collect();
        let inner = Inner {
            queues,
            secret_names,
            host: self.host,
            port: self.port,
            threads: self.threads,
            config_path: self.config_path,
            idle_timeout: self.idle_timeout,
            prefix: self.prefix,
            browsers: ArcSwap::from_pointee(self.browsers),
            began,
            began_ms: self.system.clock().now().millis(),
            log: RequestLog::default(),
            replies: ReplyBudget::new(self.limits.max_reply_memory, self.system.clone()),
            uploads: ArcSwap::from_pointee(self.limits.uploads()),
            requests: ArcSwapOption::new(self.limits.requests().map(Arc::new)),
            connections: OpenConnections::new(self.limits.max_connections_per_client),
            limits: ArcSwap::from_pointee(self.limits),
            access: ArcSwap::from_pointee(self.access),
            service_port: self.service_port,
            service_has_tls: self.service_has_tls,
            backups: self.backups,
            file_system: self.file_system,
            callback_hosts: self.callback_hosts,
            handlers: self.handlers,
            schedules: self.schedules,
            stop: Notify::new(),
            restart: Notify::new(),
            counted,
            live_events: self.live_events,
            admin_page: self.admin_page,
            log_streams: self.log_streams,
            config: OnceLock::new(),
            system: self.system,
        };
        let endpoint = Endpoint { inner: Arc::new(inner) };
        for served in endpoint.queues() {
            if let Some(why) = endpoint.obstacle(served) {
                log::warn!("queue {:?} can't be reached over ACI: {why}", served.queue.name());
            }
        }
        endpoint
    }
}

/// Returns the names of all actions, with their ports.
fn named_actions(queues: &[ServedQueue]) -> impl Iterator<Item = (Port, &str)> {
    let of_aci = builtin::BUILTIN.iter().map(|spec| spec.name);
    let of_aci = of_aci.chain(queues.iter().map(|served| served.queue.name()));
    let of_service = SERVICE_ACTIONS.iter().map(|spec| (Port::Service, spec.name));
    of_aci.map(|name| (Port::Aci, name)).chain(of_service)
}
