//! The endpoint as the configuration describes it: what may change while the server runs, and the queues.

use std::net::IpAddr;

use actiond_actors::QueueSettings;

use crate::access::Access;
use crate::config::{self, QueueConfig, ServerSettings, Settings};
use crate::front::{EndpointBuilder, secret_names};
use crate::http::BrowserPolicy;

/// Returns true if only programs of this machine reach the addresses on which the settings let the server listen.
pub(super) fn is_local(settings: &Settings) -> bool {
    settings.server.bind_addresses.iter().all(IpAddr::is_loopback)
}

/// Sets the limits and the policy for web pages, of a server that only programs of this machine reach, or not.
pub(super) fn limit(
    settings: &Settings,
    is_local: bool,
    builder: EndpointBuilder,
) -> EndpointBuilder {
    let server = &settings.server;
    builder
        .limits(server.max_input_string, server.max_file_upload_size)
        .max_upload_memory(server.max_upload_memory)
        .max_reply_memory(server.max_reply_memory)
        .max_connections_per_client(server.max_connections_per_client)
        .max_requests_per_second_per_client(server.max_requests_per_second_per_client)
        .strict(server.strict_action_validation)
        .browsers(browsers(server, is_local))
}

/// Returns the policy for web pages and host names.
fn browsers(server: &ServerSettings, is_local: bool) -> BrowserPolicy {
    if server.allowed_origins.iter().any(|origin| origin == "*") {
        log::warn!(
            "[Server] AllowedOrigins=* lets any web page do what the user of its browser may"
        );
    }
    let policy = BrowserPolicy::default().local(is_local);
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

/// Makes the rules about who may do what.
pub(super) fn access_of(settings: &Settings) -> Access {
    let config::AccessSettings { roles, trusted_proxies } = settings.access.clone();
    Access::new(roles).trusting(trusted_proxies)
}

/// Returns the settings of a queue, in which its kind has a say.
pub(super) fn queue_settings(queue: &QueueConfig) -> QueueSettings {
    let mut limits = queue.limits.clone();
    limits.on_restart = limits.on_restart.or(Some(queue.kind.on_restart()));
    queue.settings.adjust(&mut limits);
    limits.secret_parameters = secret_names(&queue.params(), &queue.limits.secret_parameters);
    limits
}

/// Describes the parameters of each queue, for the help and for the check of submissions, and tells where its actions are taken.
pub(super) fn describe(settings: &Settings, builder: EndpointBuilder) -> EndpointBuilder {
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
