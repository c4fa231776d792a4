//! The server: what it is and how it stands, schedules, handlers of events, and the latest lines of its log.

use askama::Template;

use super::{Frame, back, rendered};
use crate::aci::element::Element;
use crate::admin::ask::Refused;
use crate::admin::request::{Answer, PageRequest};
use crate::admin::tree::{all, attribute, children, first, text};
use crate::admin::view::{bytes, encoded, grouped};

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    frame: Frame,
    facts: Vec<(&'static str, String)>,
    roles: Vec<&'static str>,
    statistics: Vec<(&'static str, String)>,
    schedules: Vec<Schedule>,
    schedules_refused: String,
    handlers: Vec<Handler>,
    handlers_refused: String,
    streams: Vec<Stream>,
    lines: Vec<String>,
    log_refused: String,
    here: String,
}

struct Schedule {
    name: String,
    action: String,
    when: String,
    source: String,
    state: &'static str,
    paused: bool,
    added: bool,
    last: String,
    outcome: String,
    token_query: String,
    next: String,
}

struct Handler {
    name: String,
    library: String,
    pending: String,
    failed: String,
    has_failed: bool,
    dropped: String,
    delivered: String,
    oldest: String,
    error: String,
}

/// A stream of the log to choose.
struct Stream {
    name: String,
    encoded: String,
    chosen: bool,
}

/// Number of lines of the log that are shown.
const LINES: &str = "100";

pub(super) async fn show(page: &PageRequest) -> Result<Answer, Refused> {
    let version = page.asker.ask("GetVersion", []).await?;
    let status = page.asker.ask("GetStatus", []).await.unwrap_or_default();
    let permissions = page.asker.ask("ShowPermissions", []).await.unwrap_or_default();
    let (schedules, schedules_refused) = split(page.asker.ask("ScheduleInfo", []).await);
    let (handlers, handlers_refused) = split(page.asker.ask("EventInfo", []).await);
    let handlers = first(&handlers, "handlers").map(children).unwrap_or_default();
    let (streams, lines, log_refused) = log(page).await;
    let stream = page.given("Stream");
    let here = match stream.is_empty() {
        true => format!("{}/server", page.base),
        false => format!("{}/server?Stream={}", page.base, encoded(stream)),
    };
    Ok(rendered(
        200,
        &ServerPage {
            frame: Frame::of(page, "server", "Server"),
            facts: facts(&version, &status),
            roles: roles(&permissions),
            statistics: statistics(page).await,
            schedules: all(&schedules, "schedule").map(schedule).collect(),
            schedules_refused,
            handlers: all(handlers, "handler").map(handler).collect(),
            handlers_refused,
            streams,
            lines,
            log_refused,
            here,
        },
    ))
}

/// Splits an answer from the reason for which there is none.
fn split(answer: Result<Vec<Element>, Refused>) -> (Vec<Element>, String) {
    match answer {
        Ok(elements) => (elements, String::new()),
        Err(refused) => (Vec::new(), refused.text().to_owned()),
    }
}

fn facts(version: &[Element], status: &[Element]) -> Vec<(&'static str, String)> {
    let uptime = first(version, "uptime").map(children).unwrap_or_default();
    let facts = [
        ("Version", text(version, "version")),
        ("Up for", text(uptime, "uptime")),
        ("Started", text(uptime, "starttime")),
        ("Operating system", text(version, "operatingsystem")),
        ("Port", text(status, "aciport")),
        ("Service port", text(status, "serviceport")),
        ("HTTP threads", text(status, "acithreads")),
        ("Durability", text(status, "durability")),
        ("Configuration", text(version, "configpath")),
        ("Directory", text(version, "directory")),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty() && value != "0").collect()
}

/// The standard roles, as `ShowPermissions` names those who have them.
const ROLES: [(&str, &str); 5] = [
    ("queryclient", "Query"),
    ("adminclient", "Admin"),
    ("indexclient", "Index"),
    ("servicestatusclient", "ServiceStatus"),
    ("servicecontrolclient", "ServiceControl"),
];

/// Returns the standard roles that the user has for the whole server.
fn roles(permissions: &[Element]) -> Vec<&'static str> {
    let asked = first(permissions, "requested").map(children).unwrap_or_default();
    let has = |(name, _): &(&str, &str)| text(asked, name) == "true";
    ROLES.into_iter().filter(has).map(|(_, role)| role).collect()
}

/// The figures of the service port that are shown, and their names here.
const STATISTICS: [(&str, &str, &str); 6] = [
    ("Statistics", "Connections", "Connections"),
    ("Statistics", "RequestsSuccess", "Requests done"),
    ("Statistics", "RequestsError", "Requests refused"),
    ("Database", "Bytes", "Database size"),
    ("Database", "FreeBytes", "Free in the database"),
    ("Process", "ResidentBytes", "Memory"),
];

/// Returns figures of the server as a whole, if the user may see them.
async fn statistics(page: &PageRequest) -> Vec<(&'static str, String)> {
    let Ok(figures) = page.asker.service_elements("GetStatistics").await else {
        return Vec::new();
    };
    let value = |of: &str, name: &str| {
        let is = |figure: &&Element| {
            attribute(figure, "autnid") == of && attribute(figure, "name") == name
        };
        let found = all(&figures, "stat").find(is)?;
        let number: u64 = attribute(found, "value").parse().ok()?;
        Some(if attribute(found, "metric") == "1" { bytes(number) } else { grouped(number) })
    };
    let shown = STATISTICS.into_iter().map(|(of, name, label)| (label, value(of, name)));
    shown.filter_map(|(label, value)| Some((label, value?))).collect()
}

fn schedule(schedule: &Element) -> Schedule {
    let told = children(schedule);
    let definition = first(told, "definition").map(children).unwrap_or_default();
    let get = |name: &str| text(told, name);
    let when =
        [("cron", ""), ("repeatsecs", "every seconds: "), ("starttime", "from "), ("timezone", "")];
    let when = when.iter().filter_map(|(name, before)| {
        let value = text(definition, name);
        (!value.is_empty()).then(|| format!("{before}{value}"))
    });
    let paused = get("paused") == "true";
    let state = match (get("enabled") == "true", paused) {
        (false, _) => "disabled",
        (true, true) => "paused",
        (true, false) => "on",
    };
    Schedule {
        when: when.collect::<Vec<_>>().join(" "),
        name: get("name"),
        action: get("action"),
        added: get("source") == "added",
        source: get("source"),
        state,
        paused,
        last: get("last"),
        outcome: get("last_outcome"),
        token_query: encoded(&get("last_token")),
        next: get("next"),
    }
}

fn handler(handler: &Element) -> Handler {
    let told = children(handler);
    let get = |name: &str| text(told, name);
    Handler {
        name: get("name"),
        library: get("library"),
        pending: get("pending"),
        has_failed: get("failed") != "0",
        failed: get("failed"),
        dropped: get("dropped"),
        delivered: get("delivered"),
        oldest: get("oldest_time"),
        error: get("last_error"),
    }
}

async fn log(page: &PageRequest) -> (Vec<Stream>, Vec<String>, String) {
    let names = match page.asker.service("GetLogStreamNames", []).await {
        Ok(names) => names,
        Err(refused) => return (Vec::new(), Vec::new(), refused.text().to_owned()),
    };
    let names: Vec<_> = names.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let wanted = page.given("Stream");
    let chosen = names.iter().find(|name| **name == wanted).or_else(|| names.first()).copied();
    let streams = names.iter().map(|name| Stream {
        name: (*name).to_owned(),
        encoded: encoded(name),
        chosen: chosen == Some(name),
    });
    let streams = streams.collect();
    let Some(chosen) = chosen else { return (streams, Vec::new(), String::new()) };
    match page.asker.service("GetLogStream", [("Name", chosen), ("Tail", LINES)]).await {
        Ok(lines) => {
            let lines = lines.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned);
            (streams, lines.collect(), String::new())
        }
        Err(refused) => (streams, Vec::new(), refused.text().to_owned()),
    }
}

/// Steers a schedule.
pub(super) async fn command_schedule(page: &PageRequest) -> Answer {
    let (name, action) = (page.field("ScheduleName"), page.field("ScheduleAction"));
    let pairs = [("ScheduleName", name), ("ScheduleAction", action)];
    let done = match action {
        "run" => "runs once now",
        "pause" => "is paused",
        "resume" => "goes on",
        _ => "is removed",
    };
    let said = match page.asker.ask("ScheduleInfo", pairs).await {
        Ok(_) => format!("The schedule {name} {done}."),
        Err(refused) if page.should_sign_in(&refused) => return Answer::SignIn,
        Err(refused) => format!("Refused: {}", refused.text()),
    };
    Answer::SeeOther { path: back(page), said: Some(said) }
}

/// Has the events of a handler that have failed tried again, or discarded.
pub(super) async fn command_handler(page: &PageRequest) -> Answer {
    let (name, action) = (page.field("Handler"), page.field("EventAction"));
    let pairs = [("Handler", name), ("EventAction", action)];
    let said = match page.asker.ask("EventInfo", pairs).await {
        Ok(reply) => {
            let handlers = first(&reply, "handlers").map(children).unwrap_or_default();
            let told = first(handlers, "handler").map(children).unwrap_or_default();
            let number = [text(told, "retried"), text(told, "discarded")].concat();
            let done = if action == "retry" { "tried again" } else { "discarded" };
            format!("{name}: {number} events are {done}.")
        }
        Err(refused) if page.should_sign_in(&refused) => return Answer::SignIn,
        Err(refused) => format!("Refused: {}", refused.text()),
    };
    Answer::SeeOther { path: back(page), said: Some(said) }
}
