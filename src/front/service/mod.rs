//! The actions of the service port, whose replies have a form of their own (source: the pages about the service port; the
//! reply of `GetStatus` as a real server sends it was observed).
//!
//! | module | contents |
//! |---|---|
//! | here | the form, status and stop |
//! | `statistics` | `GetStatistics` |
//! | `log_streams` | `GetLogStreamNames`, `GetLogStream` |
//! | `configuration` | `GetConfig`, `ValidateConfig`, `ReloadConfig` |

mod configuration;
mod log_streams;
mod statistics;

use std::fmt::Write as _;

use super::dispatch::{Call, ReplyData};
use super::server_info::{PRODUCT_UID, VERSION, build, directory};
use crate::aci::catalog::StandardRole;
use crate::aci::element::escape_text;
use crate::aci::error::AciError;

/// The response of an action that was performed, and has no better word for it.
const SUCCESS: &str = "SUCCESS";

pub(super) async fn answer(call: &mut Call<'_>, action: &str) -> Result<ReplyData, AciError> {
    let system = call.endpoint.system();
    let status = if system.is_draining() { "Stopping" } else { "Running" };
    Ok(ReplyData::Service(match action {
        "GetStatus" => reply(action, status, ""),
        "GetStatusInfo" => status_info(call, status),
        "GetStatistics" => statistics::get_statistics(call, action).await?,
        "GetLogStreamNames" => log_streams::get_log_stream_names(call, action),
        "GetLogStream" => log_streams::get_log_stream(call, action)?,
        "GetConfig" => configuration::get_config(call).await?,
        "ValidateConfig" => configuration::validate_config(call, action).await?,
        "ReloadConfig" => configuration::reload_config(call, action).await?,
        "Stop" => {
            call.endpoint.request_stop();
            reply(action, SUCCESS, "")
        }
        other => return Err(AciError::unknown_action(other)),
    }))
}

/// Writes an error in the form of the service port.
pub(super) fn error(action: &str, error: &AciError) -> String {
    reply(action, "ERROR", &error.description)
}

/// Writes a reply whose data is text.
fn reply(action: &str, response: &str, data: &str) -> String {
    let mut escaped = Vec::new();
    escape_text(data, &mut escaped);
    reply_of_markup(action, response, &escaped)
}

/// Writes a reply whose data is lines. Where there are any, they begin on a line of their own.
fn reply_of_lines<S: AsRef<str>>(action: &str, response: &str, lines: &[S]) -> String {
    let mut data = String::new();
    for line in lines {
        data.push('\n');
        data.push_str(line.as_ref());
    }
    if !lines.is_empty() {
        data.push('\n');
    }
    reply(action, response, &data)
}

/// Writes a reply whose data is written as XML already.
fn reply_of_markup(action: &str, response: &str, data: &[u8]) -> String {
    let mut text = Vec::new();
    for (name, value) in [("ACTION", action.to_uppercase().as_str()), ("RESPONSE", response)] {
        text.extend_from_slice(format!("<{name}>").as_bytes());
        escape_text(value, &mut text);
        text.extend_from_slice(format!("</{name}>\n").as_bytes());
    }
    text.extend_from_slice(b"<RESPONSEDATA>");
    text.extend_from_slice(data);
    text.extend_from_slice(b"</RESPONSEDATA>\n");
    String::from_utf8(text).unwrap_or_default()
}

fn status_info(call: &Call<'_>, status: &str) -> String {
    let inner = &call.endpoint.inner;
    let pid = std::process::id().to_string();
    // A path of the disk is for those who administer the server.
    let access = call.endpoint.access();
    let administers = [StandardRole::Admin, StandardRole::ServiceControl]
        .into_iter()
        .any(|role| access.has_standard(call.caller, role));
    let directory = if administers { directory() } else { String::new() };
    let mut text = "[StatusInfo]\n".to_owned();
    for (key, value) in [
        ("ServiceStartTime", inner.began_ms.div_euclid(1000).to_string().as_str()),
        ("ServiceUtilsVersion", VERSION),
        ("ServiceName", "actiond"),
        ("ProductName", "actiond"),
        ("ProductVersion", VERSION),
        ("ProductBuild", build().to_string().as_str()),
        ("ServicePID", &pid),
        ("ProductUID", PRODUCT_UID.to_string().as_str()),
        ("ServiceStatus", status),
        ("ProcessID", &pid),
        ("Directory", &directory),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}={value}");
    }
    text
}
