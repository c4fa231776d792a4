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

impl Time {
    fn read(text: String) -> Self {
        Self { local: parse_queue_time(&text), text }
    }
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
    /// The number of its latest attempt, if there is more than one or it waits for the next.
    pub attempt: Option<u32>,
    /// The time of its next attempt, if it waits for that.
    pub next_attempt: Option<Time>,
    /// The time before which it does not start, if it waits for that.
    pub not_before: Option<Time>,
    /// The reason for which it did not end as `Finished`; or for which its latest attempt failed, while it waits for the next.
    pub error: Option<String>,
    /// The result; partial while it runs.
    pub results: Vec<Element>,
}

impl Action {
    /// Reads an element `action`.
    ///
    /// Results stand between the other elements, and may have the name of one: of status, times and error the first
    /// counts, of the rest the last, as servers write them. What only actiond tells stands behind the priority.
    ///
    /// # Errors
    /// [`Fault::Lacks`] if it has no status.
    pub fn read(element: Element) -> Result<Self, Fault> {
        let mut results = into_children(element);
        let results = &mut results;
        let status = take_first(results, "status");
        let status = status.ok_or(Fault::Lacks("the status of an action"))?;
        let queued = take_first(results, "queued_time").map(Time::read);
        let in_queue = take_first(results, "time_in_queue");
        let started = take_first(results, "process_start_time").map(Time::read);
        let processing = take_first(results, "time_processing");
        let ended = take_first(results, "process_end_time").map(Time::read);
        let status = Status::read(status.trim());
        // One that runs, or has done its work, may call a result so; one that waits has none.
        let may_have_failed = !matches!(
            status,
            Status::Processing | Status::Paused | Status::Stopping | Status::Finished
        );
        let error = if may_have_failed { take_first(results, "error") } else { None };
        // The attempts have a call of their own.
        take_told(results, "history");
        // Who has it there, and for how long there was no word of them, is no part of a result either.
        take_told(results, "worker");
        take_told(results, "last_word");
        let attempt = take_told(results, "attempt").and_then(|text| text.trim().parse().ok());
        let next_attempt = take_told(results, "next_attempt_time").map(Time::read);
        let not_before = take_told(results, "not_before").map(Time::read);
        let token = take_last(results, "token").unwrap_or_default().trim().to_owned();
        let priority = take_last(results, "priority").and_then(|text| text.trim().parse().ok());
        let position = take_last(results, "position").and_then(|text| text.trim().parse().ok());
        Ok(Self {
            token,
            queued,
            started,
            ended,
            in_queue: in_queue.and_then(|text| seconds(&text)),
            processing: processing.and_then(|text| seconds(&text)),
            priority,
            position,
            attempt,
            next_attempt,
            not_before,
            status,
            error,
            results: std::mem::take(results),
        })
    }
}

/// Takes the text of the first element of this name.
fn take_first(results: &mut Vec<Element>, name: &str) -> Option<String> {
    let at = results.iter().position(|element| is(element, name))?;
    Some(text_of(&results.remove(at)).to_owned())
}

/// Takes the text of the last element of this name.
fn take_last(results: &mut Vec<Element>, name: &str) -> Option<String> {
    let at = results.iter().rposition(|element| is(element, name))?;
    Some(text_of(&results.remove(at)).to_owned())
}

/// Takes the text of the last element of this name if it stands behind the priority: what else is called so is a result.
fn take_told(results: &mut Vec<Element>, name: &str) -> Option<String> {
    let priority = results.iter().rposition(|element| is(element, "priority"))?;
    let at = results.iter().rposition(|element| is(element, name)).filter(|at| *at > priority)?;
    Some(text_of(&results.remove(at)).to_owned())
}

/// An attempt at an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The number, from 1.
    pub number: u32,
    /// The time at which it began.
    pub started: Option<Time>,
    /// The time at which it ended.
    pub ended: Option<Time>,
    /// The state of the action while it runs, and that in which it ended; or `Released`, `Interrupted` or `Lost`, which are
    /// [`Status::Other`].
    pub outcome: Status,
    /// The remote worker that had it.
    pub worker: Option<String>,
    /// The reason for which it failed.
    pub error: Option<String>,
}

impl Attempt {
    /// Reads the history of an action.
    pub(super) fn read_all(action: &Element) -> Result<Vec<Self>, Fault> {
        let all = children(action);
        let behind = all.iter().rposition(|element| is(element, "priority")).unwrap_or(all.len());
        let told = all.get(behind..).unwrap_or_default();
        let history = first(told, "history").map(children).unwrap_or_default();
        history.iter().filter(|element| is(element, "attempt")).map(Self::read).collect()
    }

    fn read(attempt: &Element) -> Result<Self, Fault> {
        let told = children(attempt);
        let text = |name| first(told, name).map(|element| text_of(element).to_owned());
        let outcome = text("outcome").ok_or(Fault::Lacks("the outcome of an attempt"))?;
        Ok(Self {
            number: value(told, "number").ok_or(Fault::Lacks("the number of an attempt"))?,
            started: text("start_time").map(Time::read),
            ended: text("end_time").map(Time::read),
            outcome: Status::read(outcome.trim()),
            worker: text("worker"),
            error: text("error"),
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
