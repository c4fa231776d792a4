//! The endpoint, which all front actors of a server share: the system of queues, host and port, limits and the log.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use actiond_actors::secrets::SecretNames;
use actiond_actors::{Submitted, System};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::Notify;

use super::message::Port;
use super::reply_memory::ReplyBudget;
use super::request_log::{Logged, RequestLog};
use super::run_permits::RunPermits;
use super::served_queue::ServedQueue;
use crate::access::Access;
use crate::aci::catalog::{ParamSpec, StandardRole, builtin};
use crate::aci::request::without_authority;
use crate::aci::token::{self, Token};
use crate::backup::Backups;
use crate::desk::Desk;
use crate::http::limits::{OpenConnections, RequestLimit};
use crate::http::memory::Budget;
use crate::http::{BrowserPolicy, ConnectionLimit};
use crate::logging::Streams;
use crate::metrics::{Counted, Metrics, Requests};
use crate::service::{LiveConfig, SERVICE_ACTIONS};

/// An ACI endpoint over a system of queues. Cheap to clone.
///
/// Mount it in an actix-web application with [`crate::http::configure`].
#[derive(Clone)]
pub struct Endpoint {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) system: System,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) threads: usize,
    pub(super) config_path: Option<PathBuf>,
    idle_timeout: Option<Duration>,
    limits: ArcSwap<Limits>,
    prefix: String,
    browsers: ArcSwap<BrowserPolicy>,
    queues: Vec<ServedQueue>,
    /// The parameters of any queue that no log shows.
    secret_names: SecretNames,
    pub(super) began: Instant,
    pub(super) began_ms: i64,
    pub(super) log: RequestLog,
    pub(super) replies: ReplyBudget,
    uploads: ArcSwap<Budget>,
    requests: ArcSwapOption<RequestLimit>,
    connections: Arc<OpenConnections>,
    access: ArcSwap<Access>,
    pub(super) service_port: Option<u16>,
    pub(super) service_has_tls: bool,
    pub(super) backups: Option<Backups>,
    stop: Notify,
    restart: Notify,
    counted: Option<Arc<Counted>>,
    log_streams: Streams,
    /// That of the program around it; it holds the endpoint itself.
    config: OnceLock<Weak<dyn LiveConfig>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.inner.host)
            .field("port", &self.inner.port)
            .finish_non_exhaustive()
    }
}

/// The limits of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_input_string: usize,
    pub(super) max_file_upload_size: usize,
    pub(super) max_upload_memory: usize,
    pub(super) max_reply_memory: usize,
    pub(super) strict: bool,
    /// 0 is none.
    max_requests_per_second_per_client: u32,
    /// 0 is none.
    max_connections_per_client: u32,
}

impl Limits {
    /// Makes the memory budget of bodies.
    fn uploads(&self) -> Budget {
        Budget::for_bodies(self.max_upload_memory, self.max_file_upload_size)
    }

    /// Makes the limit of requests a second, if there is one.
    fn requests(&self) -> Option<RequestLimit> {
        RequestLimit::new(self.max_requests_per_second_per_client)
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
    limits: Limits,
    prefix: String,
    browsers: BrowserPolicy,
    described: Vec<Described>,
    roles: Vec<(String, StandardRole)>,
    desks: Vec<(String, Desk)>,
    /// The queues whose actions are programs.
    programs: Vec<String>,
    access: Access,
    service_port: Option<u16>,
    service_has_tls: bool,
    backups: Option<Backups>,
    metrics: Option<Metrics>,
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
            let secret = params.iter().filter(|param| param.is_secret).map(|param| &*param.name);
            let settings = queue.settings();
            let secret_names = secret.chain(settings.secret_parameters.own()).collect();
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
            Arc::new(Counted::new(metrics, requests, began))
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
            stop: Notify::new(),
            restart: Notify::new(),
            counted,
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
            metrics: None,
            log_streams: Streams::default(),
        }
    }

    /// Returns the system of queues of the endpoint.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.inner.system
    }

    /// Returns the token by which clients know an action of this queue, as a reply to its submission has it; `None` if there is
    /// no such queue. Of an action that is known by its id alone, the [status](actiond_actors::QueueHandle::status) has
    /// the time when it was queued.
    #[must_use]
    pub fn token_for(&self, queue: &str, action: Submitted) -> Option<String> {
        Some(self.token(self.queue(queue)?, action))
    }

    /// Returns the longest body in bytes that a request may have.
    #[must_use]
    pub fn max_file_upload_size(&self) -> usize {
        self.limits().max_file_upload_size
    }

    /// Returns the memory budget of all request bodies together in bytes.
    #[must_use]
    pub fn max_upload_memory(&self) -> usize {
        self.limits().max_upload_memory
    }

    /// Returns the limit of the connections of each client, for [`server::serve`](crate::http::server::serve).
    #[must_use]
    pub fn connection_limit(&self) -> ConnectionLimit {
        ConnectionLimit::of(self, &self.inner.connections)
    }

    /// Returns what is counted for metrics, if anything is.
    pub(crate) fn counted(&self) -> Option<&Arc<Counted>> {
        self.inner.counted.as_ref()
    }

    /// Returns the streams of the log.
    pub(crate) fn log_streams(&self) -> &Streams {
        &self.inner.log_streams
    }

    /// Sets the configuration that the service port shows and reloads; only the first one counts. Without one it says so.
    pub(crate) fn set_config(&self, config: Weak<dyn LiveConfig>) {
        // A second one is not there to be lost.
        let _ = self.inner.config.set(config);
    }

    pub(super) fn config(&self) -> Option<Arc<dyn LiveConfig>> {
        self.inner.config.get().and_then(Weak::upgrade)
    }

    /// Replaces the rules about who may do what. Requests that are being performed go on.
    pub fn set_access(&self, access: Access) {
        self.inner.access.store(Arc::new(access));
    }

    /// Replaces all limits and the policy for web pages by those of another builder, whose other settings count for nothing.
    /// Requests and connections that are under way go on with those that they began with.
    pub fn set_limits(&self, from: EndpointBuilder) {
        let (inner, new) = (&self.inner, from.limits);
        let old = **self.limits();
        inner.browsers.store(Arc::new(from.browsers));
        // What has changed alone: a budget or a table that is replaced begins with nothing held.
        if (old.max_upload_memory, old.max_file_upload_size)
            != (new.max_upload_memory, new.max_file_upload_size)
        {
            inner.uploads.store(Arc::new(new.uploads()));
        }
        if old.max_reply_memory != new.max_reply_memory {
            inner.replies.replace(new.max_reply_memory, inner.system.clone());
        }
        if old.max_requests_per_second_per_client != new.max_requests_per_second_per_client {
            inner.requests.store(new.requests().map(Arc::new));
        }
        inner.connections.set_limit(new.max_connections_per_client);
        inner.limits.store(Arc::new(new));
    }

    /// Returns the rules about who may do what.
    pub(crate) fn access(&self) -> Guard<Arc<Access>> {
        self.inner.access.load()
    }

    /// Waits until the action `Stop` of the service port is performed.
    pub async fn stop_requested(&self) {
        self.inner.stop.notified().await;
    }

    pub(super) fn request_stop(&self) {
        self.inner.stop.notify_one();
    }

    /// Waits until a backup is to take the place of the data: the system has to be shut down and built again.
    pub async fn restart_requested(&self) {
        self.inner.restart.notified().await;
    }

    pub(super) fn request_restart(&self) {
        self.inner.restart.notify_one();
    }

    pub(crate) fn browsers(&self) -> Guard<Arc<BrowserPolicy>> {
        self.inner.browsers.load()
    }

    /// Returns the host that tokens carry.
    pub(crate) fn host(&self) -> &str {
        &self.inner.host
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.inner.idle_timeout
    }

    pub(crate) fn request_limit(&self) -> Guard<Option<Arc<RequestLimit>>> {
        self.inner.requests.load()
    }

    pub(crate) fn uploads(&self) -> Guard<Arc<Budget>> {
        self.inner.uploads.load()
    }

    pub(super) fn limits(&self) -> Guard<Arc<Limits>> {
        self.inner.limits.load()
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.inner.system.clock().now().millis()
    }

    pub(super) fn queues(&self) -> &[ServedQueue] {
        &self.inner.queues
    }

    /// Returns the parameters that no log shows of a request of which the action is not known.
    pub(super) fn secret_names(&self) -> &SecretNames {
        &self.inner.secret_names
    }

    pub(super) fn queue(&self, name: &str) -> Option<&ServedQueue> {
        self.inner.queues.iter().find(|served| served.queue.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn token(&self, served: &ServedQueue, action: Submitted) -> String {
        let Submitted { id, queued_at, taken_by } = action;
        let site = taken_by.and_then(|site| self.inner.system.site(site));
        let (host, port) = match &site {
            Some(site) => (site.host.as_str(), site.port),
            None => (self.inner.host.as_str(), self.inner.port),
        };
        token::encode(host, port, &served.upper, queued_at.millis(), id.get())
    }

    /// Makes the token of an action that a client has named by this one. Where servers share the store, it is still that of the
    /// server which took the action.
    pub(super) fn token_again(
        &self,
        served: &ServedQueue,
        given: &Token,
        action: Submitted,
    ) -> String {
        match self.inner.system.is_shared() {
            true => given.encode(),
            false => self.token(served, action),
        }
    }

    pub(super) fn base_path(&self) -> &str {
        &self.inner.prefix
    }

    /// Removes the path under which it is mounted. Over HTTP/2, and by a proxy, a target comes with its host.
    pub(super) fn strip_prefix<'a>(&self, target: &'a str) -> &'a str {
        if self.inner.prefix.is_empty() {
            return target;
        }
        without_authority(target).strip_prefix(&self.inner.prefix).unwrap_or(target)
    }

    /// Returns the reason for which clients can't reach this queue, if they can't.
    fn obstacle(&self, served: &ServedQueue) -> Option<&'static str> {
        let name = served.queue.name();
        let Inner { host, port, .. } = &*self.inner;
        let token = token::encode(host, *port, &served.upper, 0, 1);
        if builtin(name).is_some() {
            Some("an action that answers at once has this name")
        } else if name.trim() != name {
            Some("requests can't have white space around a name")
        } else if Token::parse(&token).map_or(true, |token| token.queue != served.upper) {
            Some(
                "its tokens can't be read: its name may have no colon and some 700 bytes, and neither it nor the host be empty",
            )
        } else {
            None
        }
    }

    pub(super) fn log_request(&self, request: Logged<'_>) {
        let Logged { text, client, took, success, .. } = request;
        let how = if success { "success" } else { "error" };
        // Quoted: a line break that a client sent must not begin a line of the log.
        let client = client.map(|client| format!(" ({client})")).unwrap_or_default();
        log::debug!("{text:?}{client}: {how}, {took:?}");
        self.inner.log.push(request);
    }
}

/// Returns the names of all actions, with their ports.
fn named_actions(queues: &[ServedQueue]) -> impl Iterator<Item = (Port, &str)> {
    let of_aci = builtin::BUILTIN.iter().map(|spec| spec.name);
    let of_aci = of_aci.chain(queues.iter().map(|served| served.queue.name()));
    let of_service = SERVICE_ACTIONS.iter().map(|spec| (Port::Service, spec.name));
    of_aci.map(|name| (Port::Aci, name)).chain(of_service)
}

#[cfg(test)]
mod tests {
    use actiond_actors::QueueSettings;

    use super::*;
    use crate::kinds::echo::Echo;

    #[actix_web::test]
    async fn a_queue_that_clients_cannot_reach_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let long = "n".repeat(1_000);
        let names = ["Process", "größe/b c", "getstatus", "a:b", "", " a", &long];
        let building = names.into_iter().fold(System::builder(directory.path()), |b, name| {
            b.queue(name, QueueSettings::default(), Echo)
        });
        let endpoint = Endpoint::builder(building.start().await.unwrap()).build();
        let reached: Vec<_> = endpoint.queues().iter().map(|k| endpoint.obstacle(k)).collect();
        let said = ["answers at once", "no colon", "be empty", "white space", "700 bytes"];
        assert_eq!(reached[..2], [None, None]);
        for (why, said) in reached[2..].iter().zip(said) {
            assert!(why.unwrap().contains(said), "{why:?}");
        }
    }
}
