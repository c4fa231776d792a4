//! The actions that answer at once and say something of the server: `GetVersion`, `GetStatus`,
//! `GetPid`, `GetChildren`, `GetLicenseInfo`, `GetRequestLog`, `ShowPermissions` and `Help`.
//!
//! The elements with the prefix `autn` are those of real servers (observed); readers look for the literal names.

use std::net::IpAddr;

use actiond_actors::Summary;
use chrono::Local;

use super::dispatch::{Call, ReplyData};
use super::endpoint::Endpoint;
use super::errors::no_such;
use super::message::Caller;
use super::served_queue::ServedQueue;
use super::{backup, event_info, schedules, servers, work};
use crate::aci::catalog::{ActionSpec, StandardRole, help_elements, help_html, parse_integer};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::time::{error_time, span};

/// The name of the product, which is also the prefix of its error ids.
const PRODUCT: &str = "ACTIOND";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Any number, as long as it stays the same: the letters ACTD, byte by byte. Typed readers take nothing but a number, and
/// many no larger one than 2,147,483,647.
pub(super) const PRODUCT_UID: u32 = 0x4143_5444;
/// The version of ACI itself that real servers of the last years report (observed).
const ACI_VERSION: &str = "3.0";

pub(super) async fn answer(call: &Call<'_>, action: &str) -> Result<ReplyData, AciError> {
    let endpoint = call.endpoint;
    Ok(ReplyData::Elements(match action {
        "ScheduleInfo" => schedules::schedule_info(call).await?,
        "GetVersion" => get_version(call),
        "GetStatus" => get_status(endpoint).await,
        "GetPid" => vec![Element::text("autn:pid", std::process::id().to_string())],
        "GetChildren" => get_children(endpoint),
        "GetLicenseInfo" => get_license_info(call),
        "GetRequestLog" => get_request_log(call),
        "ShowPermissions" => return show_permissions(call).map(ReplyData::Elements),
        "BackupServer" => backup::backup(call).await?,
        "RestoreServer" => backup::restore(call).await?,
        "EventInfo" => return event_info::event_info(call).await.map(ReplyData::Elements),
        "Help" => return help(call),
        "Admin" => return admin(call),
        other => return Err(AciError::unknown_action(other)),
    }))
}

/// Returns the version as a number, which typed readers want: three digits for each part after the first.
pub(super) fn build() -> u32 {
    let parts = [
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    ];
    parts.iter().fold(0, |build, part| build * 1_000 + part.parse::<u32>().unwrap_or_default())
}

fn get_version(call: &Call<'_>) -> Vec<Element> {
    let endpoint = call.endpoint;
    let inner = &endpoint.inner;
    let uptime = inner.began.elapsed().as_secs();
    let now = endpoint.now_ms();
    let queries = inner.log.total();
    #[expect(clippy::cast_precision_loss, reason = "a rate with two decimals")]
    let qps = queries as f64 / uptime.max(1) as f64;
    // Paths of the disk are for those who administer the server; clients expect the elements.
    let administers = endpoint.access().has_standard(call.caller, StandardRole::Admin);
    let config = inner.config_path.as_ref().filter(|_| administers);
    let config = config.map(|path| path.display().to_string());
    let directory = if administers { directory() } else { String::new() };
    vec![
        Element::text("autn:version", VERSION),
        Element::text("autn:aciversion", ACI_VERSION),
        Element::text("autn:productname", "actiond"),
        Element::text("autn:commonname", "actiond"),
        Element::text("autn:producttypecsv", PRODUCT),
        Element::text("autn:productUID", PRODUCT_UID.to_string()),
        Element::text("autn:build", build().to_string()),
        Element::text("autn:wordsize", usize::BITS.to_string()),
        Element::text("autn:operatingsystem", std::env::consts::OS),
        Element::text("autn:compiler", "rustc"),
        Element::text("autn:directory", directory),
        Element::text("autn:configpath", config.unwrap_or_default()),
        Element::new("autn:servertime")
            .child(Element::text("autn:epoch", now.div_euclid(1000).to_string()))
            .child(Element::text("autn:string", error_time(now, &Local))),
        Element::new("autn:performance").child(
            Element::new("autn:qps")
                .child(Element::text("autn:qps", format!("{qps:.2}")))
                .child(Element::text("autn:queries", queries.to_string()))
                .child(Element::text("autn:period", span(uptime))),
        ),
        Element::new("autn:uptime")
            .child(Element::text("autn:uptime", span(uptime)))
            .child(Element::text("autn:seconds", uptime.to_string()))
            .child(Element::text("autn:starttime", error_time(inner.began_ms, &Local))),
    ]
}

async fn get_status(endpoint: &Endpoint) -> Vec<Element> {
    let inner = &endpoint.inner;
    let servers = servers::servers(&inner.system).await;
    let summaries = endpoint.summaries().await;
    let queue = |(served, summary): (&ServedQueue, Summary)| {
        let settings = served.queue.settings();
        Element::new("queue")
            .child(Element::text("name", served.queue.name()))
            .child(Element::text("paused", summary.paused.to_string()))
            .child(Element::text("pending", summary.counts.queued().to_string()))
            .child(Element::text("running", summary.counts.running().to_string()))
            .child(Element::text("finished", summary.counts.finished().to_string()))
            .child(Element::text("maximumthreads", settings.maximum_threads.to_string()))
            .children(work::workers(endpoint, served))
    };
    [
        Element::text("product", "actiond"),
        Element::text("version", VERSION),
        Element::text("build", build().to_string()),
        Element::text("aciport", inner.port.to_string()),
        // Clients expect the element, also where there is no such port.
        Element::text("serviceport", inner.service_port.unwrap_or_default().to_string()),
        Element::text("directory", directory()),
        Element::text("acithreads", inner.threads.to_string()),
        Element::text("durability", inner.system.durability()),
        Element::text("draining", inner.system.is_draining().to_string()),
        Element::text("ready", inner.system.is_ready().to_string()),
        Element::new("queues").children(endpoint.queues().iter().zip(summaries).map(queue)),
    ]
    .into_iter()
    .chain(inner.file_system.as_ref().map(|kind| Element::text("filesystem", kind.as_str())))
    .chain(servers)
    .collect()
}

fn get_children(endpoint: &Endpoint) -> Vec<Element> {
    let inner = &endpoint.inner;
    vec![
        Element::text("autn:name", "actiond"),
        Element::text("autn:host", inner.host.as_str()),
        Element::text("autn:port", inner.port.to_string()),
        Element::text("autn:serviceport", inner.service_port.unwrap_or_default().to_string()),
        Element::text("autn:serviceport_ssl_enabled", inner.service_has_tls.to_string()),
        Element::new("autn:children")
            .child(Element::text("autn:num_children", "0"))
            .child(Element::text("autn:controlled", "false")),
    ]
}

/// Replies that every action is allowed: no license is needed.
fn get_license_info(call: &Call<'_>) -> Vec<Element> {
    let names = call.actions.specs();
    let action = |spec: &ActionSpec<'_>| {
        Element::new("autn:action")
            .child(Element::text("autn:name", spec.name))
            .child(Element::text("autn:licensed", "true"))
    };
    let section = Element::new("autn:section")
        .child(Element::text("autn:name", "actiond"))
        .children(names.iter().map(action));
    vec![
        Element::new("autn:license").child(Element::text("autn:validlicense", "true")),
        Element::new("autn:actions").child(section),
    ]
}

fn get_request_log(call: &Call<'_>) -> Vec<Element> {
    let tail = call.pairs.given("Tail").and_then(parse_integer);
    let number = tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
    let entries = call.endpoint.inner.log.tail(number).into_iter().map(|entry| {
        let client = entry.client.map(|ip| ip.to_string()).unwrap_or_default();
        let duration = format!("{:.2} ms", entry.took.as_secs_f64() * 1000.0);
        Element::new("logentry")
            .child(Element::text("autn:action", entry.action))
            .child(Element::text("autn:request", entry.text))
            .child(Element::text("autn:client", client))
            .child(Element::text("autn:time", error_time(entry.ended_ms, &Local)))
            .child(Element::text("autn:duration", duration))
            .child(Element::text("autn:status", if entry.success { "success" } else { "error" }))
            .child(Element::text("autn:thread", entry.thread))
    });
    entries.collect()
}

/// The permissions that are shown: the words for the rule and for the client, and the standard role.
const PERMISSIONS: [(&str, &str, StandardRole); 5] = [
    ("autn:query", "autn:queryclient", StandardRole::Query),
    ("autn:admin", "autn:adminclient", StandardRole::Admin),
    ("autn:servicestatus", "autn:servicestatusclient", StandardRole::ServiceStatus),
    ("autn:servicecontrol", "autn:servicecontrolclient", StandardRole::ServiceControl),
    ("autn:index", "autn:indexclient", StandardRole::Index),
];

/// Shows the standard roles of the caller, or of a client at another address; to administrators also who has them (source: the
/// pages of later versions).
fn show_permissions(call: &Call<'_>) -> Result<Vec<Element>, AciError> {
    let requested = match call.pairs.given("IP") {
        Some(text) => {
            let ip: IpAddr = text
                .parse()
                .map_err(|_| AciError::invalid("IP", text, "an IPv4 or IPv6 address"))?;
            Some(Caller::at(Some(ip)))
        }
        None => None,
    };
    let access = call.endpoint.access();
    let is_admin = access.has_standard(call.caller, StandardRole::Admin);
    // Who else may do what is nobody else's business.
    let client = match &requested {
        Some(other) if is_admin || other.address == call.caller.address => other,
        Some(_) => {
            let why = "only who has the role Admin may ask about another address.";
            return Err(AciError::permission(why));
        }
        None => call.caller,
    };
    let mut elements = Vec::new();
    if is_admin {
        let rule = |(name, _, standard): (&'static str, &str, StandardRole)| {
            let origins = access.origins(standard);
            Element::new(name)
                .child(Element::text("autn:enabled", (!origins.is_empty()).to_string()))
                .children(origins.into_iter().map(|origin| Element::text("autn:origin", origin)))
        };
        elements.push(Element::new("autn:rules").children(PERMISSIONS.map(rule)));
    }
    let ip = client.address;
    let has = |(_, name, standard): (&str, &'static str, StandardRole)| {
        Element::text(name, access.has_standard(client, standard).to_string())
    };
    elements.push(
        Element::new("autn:requested")
            .child(Element::text("autn:ip", ip.map(|ip| ip.to_string()).unwrap_or_default()))
            .child(Element::text("autn:ipvalid", ip.is_some().to_string()))
            .children(PERMISSIONS.map(has)),
    );
    Ok(elements)
}

fn help(call: &Call<'_>) -> Result<ReplyData, AciError> {
    let all = call.actions.specs();
    let wanted = call.pairs.given("HelpAction");
    let shown: Vec<&ActionSpec<'_>> = all
        .iter()
        .filter(|spec| wanted.is_none_or(|name| spec.name.eq_ignore_ascii_case(name)))
        .collect();
    if let (Some(name), true) = (wanted, shown.is_empty()) {
        let known: Vec<&str> = all.iter().map(|spec| spec.name).collect();
        return Err(no_such("HelpAction", name, &known));
    }
    let asks_for_form = call.pairs.given("ResponseFormat").is_some();
    if call.wants_html && !asks_for_form {
        return Ok(ReplyData::Html(help_html(&shown, TITLE, call.endpoint.base_path())));
    }
    Ok(ReplyData::Elements(help_elements(&shown)))
}

/// Leads a browser to the admin page.
fn admin(call: &Call<'_>) -> Result<ReplyData, AciError> {
    if call.endpoint.admin_page().is_none() {
        let why = "this server has no admin page ([Server] AdminPage).";
        return Err(AciError::unavailable(why));
    }
    let path = format!("{}/admin", call.endpoint.base_path());
    if call.wants_html && call.pairs.given("ResponseFormat").is_none() {
        // A path of the configuration: nothing in it is a client's.
        let path = path.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        return Ok(ReplyData::Html(format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>actiond</title>\
             <meta http-equiv=\"refresh\" content=\"0; url={path}\"></head>\
             <body><p><a href=\"{path}\">The admin page</a></p></body></html>\n"
        )));
    }
    Ok(ReplyData::Elements(vec![Element::text("path", path)]))
}

const TITLE: &str = "actiond: actions";

pub(super) fn directory() -> String {
    std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default()
}
