//! The answers of queues, as types.

use std::time::Duration;

use chrono::NaiveDateTime;

use super::fault::Fault;
use super::tree::{attribute, child, children, first, into_children, is, seconds, text_of, value};
use crate::element::Element;
use crate::time::parse_queue_time;

/// The state of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Waits for a slot.
    Queued,
    /// Has a slot and runs.
    Processing,
    /// Has a slot and does not run.
    Paused,
    /// Was asked to stop and has not ended.
    Stopping,
    /// Ended well.
    Finished,
    /// Ended in an error.
    Error,
    /// Ended before it began.
    Cancelled,
    /// Ended because it was asked to.
    Stopped,
    /// A word of another server's.
    Other(String),
}

impl Status {
    const WORDS: [(&'static str, Self); 8] = [
        ("Queued", Self::Queued),
        ("Processing", Self::Processing),
        ("Paused", Self::Paused),
        ("Stopping", Self::Stopping),
        ("Finished", Self::Finished),
        ("Error", Self::Error),
        ("Cancelled", Self::Cancelled),
        ("Stopped", Self::Stopped),
    ];

    /// Reads the word of a reply, in any case.
    #[must_use]
    pub fn read(word: &str) -> Self {
        let known = Self::WORDS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        known.map_or_else(|| Self::Other(word.to_owned()), |(_, status)| status)
    }

    /// Returns true if the action has ended in any way. A word that is not known counts as an end, or a wait for the end could
    /// last for ever.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        !matches!(self, Self::Queued | Self::Processing | Self::Paused | Self::Stopping)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = Self::WORDS.iter().find(|(_, status)| status == self).map(|(word, _)| *word);
        f.write_str(match (word, self) {
            (None, Self::Other(other)) => other,
            (word, _) => word.unwrap_or_default(),
        })
    }
}

/// A time of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// The time as the server wrote it.
    pub text: String,
    /// The same in the server's own zone, which replies do not name; missing if it is written in another way.
    pub local: Option<NaiveDateTime>,
}

/// An action as `getStatus` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// The token.
    pub token: String,
    /// The state.
    pub status: Status,
    /// The time at which it was queued.
    pub queued: Option<Time>,
    /// The time at which it began to run.
    pub started: Option<Time>,
    /// The time at which it ended.
    pub ended: Option<Time>,
    /// The time that it has waited in the queue.
    pub in_queue: Option<Duration>,
    /// The time that it has run.
    pub processing: Option<Duration>,
    /// The priority.
    pub priority: Option<i32>,
    /// The position in the queue, from 1 for the next action to start, if the server tells it.
    pub position: Option<u64>,
    /// The reason for which it did not end as `Finished`.
    pub error: Option<String>,
    /// The result; partial while it runs.
    pub results: Vec<Element>,
}

impl Action {
    /// Reads an element `action`.
    ///
    /// Results stand between the other elements, and may have the name of one: of status, times and error the first
    /// counts, of the rest the last, as servers write them.
    pub(super) fn read(element: Element) -> Result<Self, Fault> {
        let mut results = into_children(element);
        let mut take = |name: &str, last: bool| {
            let at = match last {
                true => results.iter().rposition(|element| is(element, name)),
                false => results.iter().position(|element| is(element, name)),
            };
            at.map(|at| text_of(&results.remove(at)).to_owned())
        };
        let status = take("status", false).ok_or(Fault::Lacks("the status of an action"))?;
        let time = |text: String| Time { local: parse_queue_time(&text), text };
        let queued = take("queued_time", false).map(time);
        let in_queue = take("time_in_queue", false);
        let started = take("process_start_time", false).map(time);
        let processing = take("time_processing", false);
        let ended = take("process_end_time", false).map(time);
        let status = Status::read(status.trim());
        // One that runs, or has done its work, may call a result so.
        let has_failed = status.has_ended() && status != Status::Finished;
        let error = if has_failed { take("error", false) } else { None };
        Ok(Self {
            token: take("token", true).unwrap_or_default().trim().to_owned(),
            queued,
            started,
            ended,
            in_queue: in_queue.and_then(|text| seconds(&text)),
            processing: processing.and_then(|text| seconds(&text)),
            priority: take("priority", true).and_then(|text| text.trim().parse().ok()),
            position: take("position", true).and_then(|text| text.trim().parse().ok()),
            status,
            error,
            results,
        })
    }
}

/// The state of a queue as `queueStatus` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStatus {
    /// True while nothing starts.
    pub paused: bool,
    /// Number of actions that wait.
    pub pending: u64,
    /// Number of actions that have a slot.
    pub running: u64,
    /// Number of actions that have ended and are still kept.
    pub finished: u64,
}

impl QueueStatus {
    pub(super) fn read(data: &[Element]) -> Result<Self, Fault> {
        let lacks = |what| move || Fault::Lacks(what);
        Ok(Self {
            paused: value(data, "paused").ok_or_else(lacks("the element paused"))?,
            pending: value(data, "pending").ok_or_else(lacks("the element pending"))?,
            running: value(data, "running").ok_or_else(lacks("the element running"))?,
            finished: value(data, "finished").ok_or_else(lacks("the element finished"))?,
        })
    }
}

/// The progress of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The state.
    pub status: Status,
    /// True while it still finds out how much there is to do.
    pub measuring: bool,
    /// The part that is done, from 0 to 100.
    pub percent: f64,
    /// The time that it has run.
    pub processing: Option<Duration>,
    /// The estimate of the time that is left.
    pub remaining: Option<Duration>,
    /// The parts of the work.
    pub stages: Vec<Stage>,
}

/// A part of the work of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// The title.
    pub title: String,
    /// `Pending`, `Processing` or `Finished`.
    pub status: String,
    /// The weight beside the other stages.
    pub weight: Option<f64>,
    /// The part of it that is done, from 0 to 100, while it runs.
    pub percent: Option<f64>,
    /// The number of things that are done, and of all, where they are counted.
    pub counted: Option<(u64, u64)>,
    /// Its own parts.
    pub stages: Vec<Self>,
}

impl Progress {
    pub(super) fn read(data: &[Element]) -> Result<Self, Fault> {
        let lacks = || Fault::Lacks("the progress of an action");
        let action = first(data, "action").ok_or_else(lacks)?;
        let progress = child(action, "progress").ok_or_else(lacks)?;
        let told = children(progress);
        let time = |name| first(told, name).and_then(|element| seconds(text_of(element)));
        let status = child(action, "status").map(text_of).unwrap_or_default();
        Ok(Self {
            status: Status::read(status.trim()),
            measuring: value(told, "building_mode").unwrap_or(false),
            percent: value(told, "percent").unwrap_or(0.0),
            processing: time("time_processing"),
            remaining: time("estimated_time_remaining"),
            stages: Stage::read(progress),
        })
    }
}

impl Stage {
    /// Reads the stages in an element. It may recurse, because the depth of a reply is bounded.
    fn read(element: &Element) -> Vec<Self> {
        let stages = children(element).iter().filter(|element| is(element, "stage"));
        let read = |stage: &Element| {
            let text = |name| attribute(stage, name).unwrap_or_default().to_owned();
            let number = |name| attribute(stage, name)?.trim().parse().ok();
            let count = |name| attribute(stage, name)?.trim().parse().ok();
            Self {
                title: text("title"),
                status: text("status"),
                weight: number("weight"),
                percent: number("percent"),
                counted: count("progress").zip(count("maximum")),
                stages: Self::read(stage),
            }
        };
        stages.map(read).collect()
    }
}
