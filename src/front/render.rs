//! Actions, parameters and progress as elements.

use std::sync::Arc;
use std::time::Duration;

use chrono::Local;

use actiond_actors::store::{PastAttempt, Record};
use actiond_actors::{
    ActionStatus, Content as ReportContent, Counts, Node, Parameters, Progress, Report, Stage,
    StageStatus, State, Summary, Timestamp, Value,
};

use super::attempts;
use crate::aci::element::{Content, Element};
use crate::aci::request::is_reserved;
use crate::aci::shown::ShownParameter;
use crate::aci::time::queue_time;

/// Parts of an action that are shown only if they are asked for.
#[derive(Default)]
pub(super) struct More {
    /// The attempts before the latest.
    pub(super) past: Option<Vec<PastAttempt>>,
    /// The last lines that the running attempt has logged.
    pub(super) log: Option<Vec<Arc<str>>>,
    /// True to leave out what the action has returned.
    pub(super) leaves_results_out: bool,
}

/// An action as `getStatus` shows it. The order of the elements is that of newer servers (observed);
/// `priority`, `position` and what tells of attempts are our own.
pub(super) fn action(
    status: ActionStatus,
    token: String,
    now: Timestamp,
    More { past, log, leaves_results_out }: More,
) -> Element {
    let mut children = times(&status, now);
    let record = status.record;
    let scheduled = scheduled(&record);
    let waits: Vec<Element> = attempts::waits(&record, now).collect();
    let history = past.map(|past| attempts::history(past, &record));
    children.extend(attempts::error(&record).map(|error| Element::text("error", error)));
    if !leaves_results_out {
        children.extend(report(record.report));
    }
    children.extend(log.map(self::log));
    children.push(Element::text("priority", record.priority.to_string()));
    if let Some(position) = record.position {
        children.push(Element::text("position", position.to_string()));
    }
    children.extend(waits.into_iter().chain(history));
    children.extend(scheduled);
    children.push(Element::text("token", token));
    Element::new("action").children(children)
}

/// The schedule that has queued an action, and the time at which it was due.
fn scheduled(record: &Record) -> Vec<Element> {
    let scheduled = record.origin.as_ref().and_then(|origin| origin.schedule.as_ref());
    scheduled.map_or_else(Vec::new, |scheduled| {
        let name = Element::text("schedule", scheduled.schedule.as_str());
        vec![name, time("scheduled_time", scheduled.due)]
    })
}

/// If a queue is paused, and the numbers of its actions, as `queueStatus` shows them.
pub(super) fn summary(summary: &Summary) -> [Element; 4] {
    let counts = &summary.counts;
    [
        Element::text("paused", summary.paused.to_string()),
        Element::text("pending", counts.queued().to_string()),
        Element::text("running", counts.running().to_string()),
        Element::text("finished", counts.finished().to_string()),
    ]
}

/// The number of actions in each state.
pub(super) fn states(counts: &Counts) -> Element {
    let state =
        |state: State| Element::text(state.name().to_lowercase(), counts.of(state).to_string());
    Element::new("states").children(State::ALL.into_iter().map(state))
}

/// A time as an element.
pub(super) fn time(name: &'static str, at: Timestamp) -> Element {
    Element::text(name, queue_time(at.millis(), &Local))
}

/// Status and times: local time, cut to the second, and whole seconds (observed).
fn times(status: &ActionStatus, now: Timestamp) -> Vec<Element> {
    let record = &status.record;
    let mut elements = vec![
        Element::text("status", record.state.name()),
        time("queued_time", record.queued_at),
        Element::text("time_in_queue", status.in_queue(now).as_secs().to_string()),
    ];
    if let Some(started_at) = record.started_at {
        elements.push(time("process_start_time", started_at));
        elements.push(Element::text("time_processing", status.processing.as_secs().to_string()));
    }
    if let Some(finished_at) = record.finished_at {
        elements.push(time("process_end_time", finished_at));
    }
    elements
}

/// The last lines that a running action has logged.
fn log(lines: Vec<Arc<str>>) -> Element {
    Element::new("log").children(lines.iter().map(|line| Element::text("line", &**line)))
}

/// A result as it stands beside the status.
pub(super) fn report(report: Report) -> impl Iterator<Item = Element> {
    report.into_iter().map(node)
}

fn node(node: Node) -> Element {
    Element {
        name: node.name,
        attributes: node.attributes,
        content: match node.content {
            ReportContent::Text(text) => Content::Text(text),
            ReportContent::Nodes(nodes) => Content::Elements(report(nodes).collect()),
        },
    }
}

/// A `request` as `getActionParameters` shows it; an action that has ended has no parameters.
pub(super) fn request(token: String, state: State, parameters: Option<&Parameters>) -> Element {
    let request = Element::new("request")
        .child(Element::text("token", token))
        .child(Element::text("status", state.name()));
    match parameters {
        Some(parameters) => request.child(self::parameters(parameters)),
        None => request,
    }
}

/// Parameters as they were sent, without those that the server gave.
pub(super) fn parameters(parameters: &Parameters) -> Element {
    let given = parameters.iter().filter(|(name, _)| !is_reserved(name));
    let each = given.map(|(name, value)| {
        let ShownParameter { attributes, text } = match value {
            Value::Text(text) => ShownParameter::of_text(name, text),
            Value::Bytes(bytes) => ShownParameter::of_bytes(name, bytes),
        };
        let content = text.map_or_else(|| Content::Elements(Vec::new()), Content::Text);
        Element { attributes, content, ..Element::new("parameter") }
    });
    Element::new("parameters").children(each)
}

/// The `action` of a `progress` reply.
pub(super) fn progress(
    status: &ActionStatus,
    token: String,
    all_stages: bool,
    max_depth: u32,
) -> Element {
    let is_running = status.record.state.is_running();
    let progress =
        progress_of(&status.progress, status.processing, is_running, all_stages, max_depth);
    Element::new("action")
        .child(Element::text("token", token))
        .child(Element::text("status", status.record.state.name()))
        .child(progress)
}

/// The progress of an action that has worked for this time.
pub(super) fn progress_of(
    progress: &Progress,
    processing: Duration,
    is_running: bool,
    all_stages: bool,
    max_depth: u32,
) -> Element {
    let percent = progress.percent();
    let worked = processing.as_secs_f64();
    let mut element = Element::new("progress")
        .child(Element::text("building_mode", progress.measuring.to_string()))
        .child(Element::text("percent", percent_text(percent)))
        .child(Element::text("time_processing", processing.as_secs().to_string()));
    if is_running && percent > 0.0 {
        let left = worked * (100.0 - percent) / percent;
        element = element.child(Element::text("estimated_time_remaining", format!("{left:.0}")));
    }
    element.children(stages(progress, all_stages, max_depth))
}

fn stages(progress: &Progress, all: bool, max_depth: u32) -> Vec<Element> {
    if max_depth == 0 {
        return Vec::new();
    }
    progress.stages.iter().map(|stage| self::stage(stage, all, max_depth)).collect()
}

/// One stage. Unless all are asked for, the stages inside of one that is over or still to come are
/// left out (source: the page "Progress").
fn stage(stage: &Stage, all: bool, max_depth: u32) -> Element {
    let mut element = Element::new("stage")
        .attribute("title", stage.title.as_str())
        .attribute("status", stage.status.name())
        .attribute("weight", format!("{}", stage.weight));
    if stage.status == StageStatus::Processing {
        element = element.attribute("percent", percent_text(stage.percentage()));
        if let Some((done, maximum)) = stage.counted {
            element = element
                .attribute("progress", done.to_string())
                .attribute("maximum", maximum.to_string());
        }
    }
    if max_depth > 1 && (all || stage.status == StageStatus::Processing) {
        let inner = stage.stages.iter().map(|inner| self::stage(inner, all, max_depth - 1));
        element = element.children(inner);
    }
    element
}

/// At most three decimals, and none that say nothing (observed: `26.407` and `32`).
fn percent_text(percent: f64) -> String {
    let text = format!("{percent:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
