//! The page of one action, and its reply as a file.

use askama::Template;

use super::queue::{Row, row};
use super::{Frame, rendered};
use crate::aci::element::Element;
use crate::aci::request::{PairValue, Pairs};
use crate::aci::shown::{STATUS_ELEMENTS, ShownParameter};
use crate::aci::token::Token;
use crate::admin::ask::Refused;
use crate::admin::request::{Answer, PageRequest};
use crate::admin::tree::{all, attribute, children, first, local, text, text_of};
use crate::admin::view::{Line, encoded, lines, query, short, span_of};
use crate::front::Port;

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage {
    frame: Frame,
    queue: String,
    queue_query: String,
    row: Row,
    facts: Vec<(&'static str, String)>,
    error: String,
    remaining: String,
    stages: Vec<Stage>,
    commands: Vec<Command>,
    parameters: Vec<Parameter>,
    has_parameters: bool,
    result: Vec<Line>,
    attempts: Vec<Attempt>,
    log: Vec<String>,
    url: String,
    curl: String,
    here: String,
}

/// A stage of the work, at this depth.
struct Stage {
    title: String,
    status: String,
    percent: String,
    counted: String,
    depth: usize,
}

/// A command that the action takes in its state.
struct Command {
    word: &'static str,
    label: &'static str,
    dangerous: bool,
}

struct Parameter {
    name: String,
    value: String,
    note: String,
}

struct Attempt {
    number: String,
    started: String,
    ended: String,
    outcome: String,
    worker: String,
    error: String,
}

/// Elements of an action that are no part of its result, beside those of its status.
const OWN: &[&str] = &["next_attempt_in", "schedule", "scheduled_time", "server"];

/// Largest number of bytes of a value that are shown.
const MOST_VALUE: usize = 4 << 10;

pub(super) async fn show(page: &PageRequest) -> Result<Answer, Refused> {
    let token = page.given("Token");
    let pairs =
        [("QueueAction", "getStatus"), ("Token", token), ("History", "true"), ("Log", "true")];
    let reply = page.asker.ask("QueueInfo", pairs).await?;
    let actions = first(&reply, "actions").map(children).unwrap_or_default();
    let none = Element::new("action");
    let action = first(actions, "action").unwrap_or(&none);
    let told = children(action);
    let queue = queue_of(page, token);
    let mut row = row(action);
    let Worked { percent, stages, remaining } = progress(page, token).await;
    row.percent = percent.filter(|_| row.is_running);
    let parameters = parameters(page, token).await;
    let title = format!("{queue} {}", row.id);
    let types = "queued,started,progress,paused,resumed,finished,error,cancelled,stopped";
    let live = query([("Token", token), ("Types", types)]);
    let live = if row.is_final && row.status != "Error" { String::new() } else { live };
    let is_result = |element: &&Element| {
        !STATUS_ELEMENTS.contains(&local(element)) && !OWN.contains(&local(element))
    };
    let url =
        format!("{}/action=QueueInfo&QueueAction=getStatus&Token={}", page.server, encoded(token));
    Ok(rendered(
        200,
        &ActionPage {
            frame: Frame::of(page, "queues", title).live(live),
            queue_query: query([("QueueName", &*queue)]),
            facts: facts(told),
            error: text(told, "error"),
            commands: commands(&row.status),
            has_parameters: parameters.is_some(),
            parameters: parameters.unwrap_or_default(),
            result: lines(told.iter().filter(is_result)),
            attempts: attempts(told),
            log: first(told, "log")
                .map(|log| {
                    all(children(log), "line").map(|line| text_of(line).to_owned()).collect()
                })
                .unwrap_or_default(),
            curl: format!("curl {}", quoted(&url)),
            url,
            here: format!("{}/action?Token={}", page.base, encoded(token)),
            row,
            stages,
            remaining,
            queue,
        },
    ))
}

/// Returns a text as a shell takes it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Returns the name of the queue of a token, as the server spells it.
fn queue_of(page: &PageRequest, token: &str) -> String {
    let upper = Token::parse(token).map(|token| token.queue).unwrap_or_default();
    let known = page.queues.iter().find(|name| name.to_uppercase() == upper);
    known.cloned().unwrap_or(upper)
}

/// Returns what is told of an action beside its state.
fn facts(told: &[Element]) -> Vec<(&'static str, String)> {
    let get = |name: &str| text(told, name);
    let seconds = |name: &str| Some(get(name)).filter(|text| !text.is_empty()).map(|s| span_of(&s));
    let facts = [
        ("Queued", Some(get("queued_time"))),
        ("Waited", seconds("time_in_queue")),
        ("Not before", Some(get("not_before"))),
        ("Next attempt", Some(get("next_attempt_time"))),
        ("Started", Some(get("process_start_time"))),
        ("Ran", seconds("time_processing")),
        ("Ended", Some(get("process_end_time"))),
        ("Priority", Some(get("priority"))),
        ("Position", Some(get("position"))),
        ("Attempt", Some(get("attempt"))),
        ("Worker", Some(get("worker"))),
        ("Server", Some(get("server"))),
        ("Schedule", Some(get("schedule"))),
        ("Scheduled for", Some(get("scheduled_time"))),
    ];
    let shown = facts.into_iter().map(|(name, value)| (name, value.unwrap_or_default()));
    shown.filter(|(_, value)| !value.is_empty()).collect()
}

/// Returns the commands that an action takes in this state.
fn commands(status: &str) -> Vec<Command> {
    let calm = |word, label| Command { word, label, dangerous: false };
    let danger = |word, label| Command { word, label, dangerous: true };
    let mut commands = match status {
        "Queued" => vec![
            calm("changePriority", "Change priority"),
            calm("retry", "Start now"),
            danger("cancel", "Cancel"),
        ],
        "Processing" => vec![calm("pause", "Pause"), danger("stop", "Stop")],
        "Paused" => vec![calm("resume", "Resume"), danger("stop", "Stop")],
        "Stopping" => vec![danger("stop", "Force")],
        "Error" => vec![calm("retry", "Retry"), danger("delete", "Delete")],
        _ => vec![danger("delete", "Delete")],
    };
    commands.insert(0, calm("duplicate", "Duplicate"));
    commands
}

/// The progress of an action.
#[derive(Default)]
struct Worked {
    percent: Option<String>,
    stages: Vec<Stage>,
    /// The time that is left, if it runs.
    remaining: String,
}

async fn progress(page: &PageRequest, token: &str) -> Worked {
    let pairs = [("QueueAction", "progress"), ("Token", token), ("AllStages", "true")];
    let Ok(reply) = page.asker.ask("QueueInfo", pairs).await else { return Worked::default() };
    let action = first(&reply, "action").map(children).unwrap_or_default();
    let progress = first(action, "progress").map(children).unwrap_or_default();
    let mut stages = Vec::new();
    add_stages(progress, 0, &mut stages);
    let percent = Some(text(progress, "percent")).filter(|percent| !percent.is_empty());
    Worked { percent, stages, remaining: span_of(&text(progress, "estimated_time_remaining")) }
}

/// Largest number of stages that are shown.
const MOST_STAGES: usize = 200;

fn add_stages(elements: &[Element], depth: usize, stages: &mut Vec<Stage>) {
    for stage in all(elements, "stage") {
        if stages.len() >= MOST_STAGES {
            return;
        }
        let (done, most) = (attribute(stage, "progress"), attribute(stage, "maximum"));
        stages.push(Stage {
            title: attribute(stage, "title").to_owned(),
            status: attribute(stage, "status").to_owned(),
            percent: attribute(stage, "percent").to_owned(),
            counted: if most.is_empty() { String::new() } else { format!("{done} of {most}") },
            depth,
        });
        add_stages(children(stage), depth.saturating_add(1).min(8), stages);
    }
}

/// Returns the parameters of an action, if they are kept and the user may see them.
async fn parameters(page: &PageRequest, token: &str) -> Option<Vec<Parameter>> {
    let given = given(page, token).await?;
    let parameter = |(name, value): (String, Given)| match value {
        Given::Text(text) => {
            let note = if text.len() > MOST_VALUE {
                format!("{} bytes", text.len())
            } else {
                String::new()
            };
            Parameter { name, value: short(&text, MOST_VALUE), note }
        }
        Given::Hidden(note) => Parameter { name, value: String::new(), note },
    };
    Some(given.into_iter().map(parameter).collect())
}

/// The value of a parameter, as the server shows it.
pub(super) enum Given {
    Text(String),
    /// Not text, or too large; it says which.
    Hidden(String),
}

/// Returns the parameters that an action was given; `None` if they are not kept.
pub(super) async fn given(page: &PageRequest, token: &str) -> Option<Vec<(String, Given)>> {
    let pairs = [("QueueAction", "getActionParameters"), ("Token", token), ("Final", "true")];
    let reply = page.asker.ask("QueueInfo", pairs).await.ok()?;
    let requests = first(&reply, "requests").map_or(&*reply, children);
    let request = first(requests, "request").map(children)?;
    let parameters = children(first(request, "parameters")?);
    let each = all(parameters, "parameter").map(|parameter| {
        let text = Some(text_of(parameter)).filter(|text| !text.is_empty());
        let shown = ShownParameter {
            attributes: parameter.attributes.clone(),
            text: text.map(ToOwned::to_owned),
        };
        match shown.read() {
            Some((name, PairValue::Text(text))) => (name, Given::Text(text)),
            Some((name, PairValue::Bytes(bytes))) => {
                (name, Given::Hidden(format!("{} bytes that are no text", bytes.len())))
            }
            None => {
                let size = attribute(parameter, "length");
                let note = format!("{size} bytes, too many to show");
                (attribute(parameter, "name").to_owned(), Given::Hidden(note))
            }
        }
    });
    Some(each.collect())
}

fn attempts(told: &[Element]) -> Vec<Attempt> {
    let history = first(told, "history").map(children).unwrap_or_default();
    let attempts = all(history, "attempt").rev().map(|attempt| {
        let told = children(attempt);
        let get = |name: &str| text(told, name);
        Attempt {
            number: get("number"),
            started: get("start_time"),
            ended: get("end_time"),
            outcome: get("outcome"),
            worker: get("worker"),
            error: get("error"),
        }
    });
    attempts.collect()
}

/// Largest number of bytes of a file.
const MOST_BYTES: usize = 64 << 20;

/// Sends the reply of `getStatus` as a file.
pub(super) async fn download(page: &PageRequest) -> Result<Answer, Refused> {
    let token = page.given("Token");
    let (format, suffix) = match page.given("Format") {
        "json" => ("simplejson", "json"),
        _ => ("xml", "xml"),
    };
    let mut pairs = Pairs::from([("QueueAction", "getStatus"), ("Token", token)]);
    for (name, value) in [("History", "true"), ("ResponseFormat", format)] {
        pairs.push(name, PairValue::Text(value.to_owned()));
    }
    // An error is told in a page, and not in a file.
    page.asker.ask("QueueInfo", [("QueueAction", "progress"), ("Token", token)]).await?;
    let sent = page.asker.send(Port::Aci, "QueueInfo", pairs, MOST_BYTES).await;
    if sent.is_cut {
        return Err(Refused::Error("The reply is too large for a file of the browser.".to_owned()));
    }
    let id = Token::parse(token).map(|token| token.id.to_string()).unwrap_or_default();
    Ok(Answer::Download {
        name: format!("action-{id}.{suffix}"),
        content_type: sent.content_type,
        body: sent.body,
    })
}
