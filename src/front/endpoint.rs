//! The endpoint, which all front actors of a server share: the system of queues, host and port, limits and the log.

mod builder;
mod tokens;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use actiond_actors::secrets::SecretNames;
use actiond_actors::{QueueHandle, Summary, System};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::Notify;

use super::authorize::to_see;
use super::message::Caller;
use super::reply_memory::ReplyBudget;
use super::request_log::{Logged, RequestLog};
use super::served_queue::ServedQueue;
use crate::access::Access;
use crate::aci::catalog::builtin;
use crate::aci::request::without_authority;
use crate::aci::token::{self, Token};
use crate::admin::AdminPage;
use crate::backup::Backups;
use crate::events::LiveEvents;
use crate::events::handlers::HostPattern;
use crate::http::limits::{OpenConnections, RequestLimit};
use crate::http::memory::Budget;
use crate::http::{BrowserPolicy, ConnectionLimit};
use crate::logging::Streams;
use crate::metrics::Counted;
use crate::schedules::Schedules;
use crate::service::LiveConfig;

pub use builder::EndpointBuilder;

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
    /// The type of the file system on which the actions are.
    pub(super) file_system: Option<String>,
    /// The hosts that a submission may name in its `CallbackURL`.
    pub(super) callback_hosts: Vec<HostPattern>,
    /// Names and libraries of the handlers of events.
    pub(super) handlers: Vec<(String, &'static str)>,
    pub(super) schedules: Option<Schedules>,
    stop: Notify,
    restart: Notify,
    counted: Option<Arc<Counted>>,
    live_events: Option<LiveEvents>,
    admin_page: Option<AdminPage>,
    log_streams: Streams,
    /// That of the program around it; it holds the endpoint itself.
    config: OnceLock<Weak<dyn LiveConfig>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { host, port, prefix, queues, .. } = &*self.inner;
        let queues: Vec<_> = queues.iter().map(|served| served.queue.name()).collect();
        f.debug_struct("Endpoint")
            .field("address", &format_args!("{host}:{port}"))
            .field("mounted_at", prefix)
            .field("queues", &queues)
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

impl Endpoint {
    /// Returns the system of queues of the endpoint.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.inner.system
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

    /// Returns the schedules, if there are any to be had.
    pub(crate) fn schedules(&self) -> Option<&Schedules> {
        self.inner.schedules.as_ref()
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

    /// Returns the live events, if it has them.
    pub(crate) fn live_events(&self) -> Option<&LiveEvents> {
        self.inner.live_events.as_ref()
    }

    /// Returns the admin page, if there is one.
    pub(crate) fn admin_page(&self) -> Option<&AdminPage> {
        self.inner.admin_page.as_ref()
    }

    /// Returns the names of the queues that a caller may see by these rules.
    pub(crate) fn visible_queues(&self, access: &Access, caller: &Caller) -> Vec<String> {
        let names = self.queues().iter().map(|served| served.queue.name());
        names.filter(|name| access.allows(caller, &to_see(name))).map(ToOwned::to_owned).collect()
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

    /// Returns the port that tokens carry.
    pub(crate) fn port(&self) -> u16 {
        self.inner.port
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

    pub(crate) fn now_ms(&self) -> i64 {
        self.inner.system.clock().now().millis()
    }

    pub(super) fn queues(&self) -> &[ServedQueue] {
        &self.inner.queues
    }

    /// Returns how the actions of each queue stand.
    pub(super) async fn summaries(&self) -> Vec<Summary> {
        let system = self.system();
        let queues = || self.queues().iter().map(|served| &served.queue);
        // What other servers change, this one need not have heard of.
        let read = match system.is_shared() && system.is_ready() {
            true => system.read_summaries(queues()).await.ok(),
            false => None,
        };
        read.unwrap_or_else(|| queues().map(QueueHandle::summary).collect())
    }

    /// Returns the parameters that no log shows of a request of which the action is not known.
    pub(super) fn secret_names(&self) -> &SecretNames {
        &self.inner.secret_names
    }

    pub(super) fn queue(&self, name: &str) -> Option<&ServedQueue> {
        self.inner.queues.iter().find(|served| served.queue.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn base_path(&self) -> &str {
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
