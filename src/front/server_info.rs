//! The actions that answer at once and say something of the server: `GetVersion`, `GetStatus`,
//! `GetPid`, `GetChildren`, `GetLicenseInfo`, `GetRequestLog`, `ShowPermissions` and `Help`.
//!
//! The elements with the prefix `autn` are those of real servers (observed); readers look for the literal names.

use std::net::IpAddr;

use chrono::Local;

use super::dispatch::{Call, ReplyData};
use super::endpoint::Endpoint;
use super::served_queue::ServedQueue;
use crate::aci::catalog::{ActionSpec, help_elements, help_html, parse_integer};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::time::{error_time, span};

/// The name of the product, which is also the prefix of its error ids.
const PRODUCT: &str = "ACTIOND";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Any number, as long as it stays the same: the letters ACTD, byte by byte. Typed readers take nothing but a number, and
/// many no larger one than 2,147,483,647.
const PRODUCT_UID: u32 = 0x4143_5444;
/// The version of ACI itself that real servers of the last years report (observed).
const ACI_VERSION: &str = "3.0";

pub(super) fn answer(call: &Call<'_>, action: &str) -> Result<ReplyData, AciError> {
    let endpoint = call.endpoint;
    Ok(ReplyData::Elements(match action {
        "GetVersion" => get_version(endpoint),
        "GetStatus" => get_status(endpoint),
        "GetPid" => vec![Element::text("autn:pid", std::process::id().to_string())],
        "GetChildren" => get_children(endpoint),
        "GetLicenseInfo" => get_license_info(call),
        "GetRequestLog" => get_request_log(call),
        "ShowPermissions" => return show_permissions(call).map(ReplyData::Elements),
        "Help" => return help(call),
        other => return Err(AciError::unknown_action(other)),
    }))
}

/// Returns the version as a number, which typed readers want: three digits for each part after the first.
fn build() -> u32 {
    let parts = [
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    ];
    parts.iter().fold(0, |build, part| build * 1_000 + part.parse::<u32>().unwrap_or_default())
}

fn get_version(endpoint: &Endpoint) -> Vec<Element> {
    let inner = &endpoint.inner;
    let uptime = inner.began.elapsed().as_secs();
    let now = endpoint.now_ms();
    let queries = inner.log.total();
    #[expect(clippy::cast_precision_loss, reason = "a rate with two decimals")]
    let qps = queries as f64 / uptime.max(1) as f64;
    let config = inner.config_path.as_ref().map(|p| p.display().to_string());
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
        Element::text("autn:directory", directory()),
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

fn get_status(endpoint: &Endpoint) -> Vec<Element> {
    let inner = &endpoint.inner;
    let queue = |served: &ServedQueue| {
        let summary = served.queue.summary();
        let settings = served.queue.settings();
        Element::new("queue")
            .child(Element::text("name", served.queue.name()))
            .child(Element::text("paused", summary.paused.to_string()))
            .child(Element::text("pending", summary.counts.queued().to_string()))
            .child(Element::text("running", summary.counts.running().to_string()))
            .child(Element::text("finished", summary.counts.finished().to_string()))
            .child(Element::text("maximumthreads", settings.maximum_threads.to_string()))
    };
    vec![
        Element::text("product", "actiond"),
        Element::text("version", VERSION),
        Element::text("build", build().to_string()),
        Element::text("aciport", inner.port.to_string()),
        // There is no service port; clients expect the element.
        Element::text("serviceport", "0"),
        Element::text("directory", directory()),
        Element::text("acithreads", inner.threads.to_string()),
        Element::text("durability", inner.system.durability()),
        Element::text("draining", inner.system.is_draining().to_string()),
        Element::new("queues").children(endpoint.queues().iter().map(queue)),
    ]
}

fn get_children(endpoint: &Endpoint) -> Vec<Element> {
    let inner = &endpoint.inner;
    vec![
        Element::text("autn:name", "actiond"),
        Element::text("autn:host", inner.host.as_str()),
        Element::text("autn:port", inner.port.to_string()),
        Element::text("autn:serviceport", "0"),
        Element::text("autn:serviceport_ssl_enabled", "false"),
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

/// Replies that everything is allowed: there are no roles, and a client that reaches the port may do everything.
fn show_permissions(call: &Call<'_>) -> Result<Vec<Element>, AciError> {
    let ip = match call.pairs.given("IP") {
        Some(text) => {
            let ip: IpAddr = text
                .parse()
                .map_err(|_| AciError::invalid("IP", text, "an IPv4 or IPv6 address"))?;
            Some(ip)
        }
        None => call.caller.address,
    };
    let rule = |name: &'static str| {
        Element::new(name)
            .child(Element::text("autn:enabled", "true"))
            .child(Element::text("autn:origin", "*"))
    };
    let rules = ["autn:query", "autn:admin"].map(rule);
    let requested = Element::new("autn:requested")
        .child(Element::text("autn:ip", ip.map(|ip| ip.to_string()).unwrap_or_default()))
        .child(Element::text("autn:ipvalid", ip.is_some().to_string()))
        .child(Element::text("autn:queryclient", "true"))
        .child(Element::text("autn:adminclient", "true"));
    Ok(vec![Element::new("autn:rules").children(rules), requested])
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
        return Err(AciError::invalid("HelpAction", name, &format!("one of {}", known.join(", "))));
    }
    let asks_for_form = call.pairs.given("ResponseFormat").is_some();
    if call.wants_html && !asks_for_form {
        return Ok(ReplyData::Html(help_html(&shown, TITLE, call.endpoint.base_path())));
    }
    Ok(ReplyData::Elements(help_elements(&shown)))
}

const TITLE: &str = "actiond: actions";

fn directory() -> String {
    std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default()
}
