//! The attempts at an action as elements: those that `getStatus` tells of, and all of them with `History=true`.

use actiond_actors::lifecycle::{Ended, INTERRUPTED_BY_RESTART, outcome_of_error};
use actiond_actors::store::{PastAttempt, Record};
use actiond_actors::{Node, Report, State, Timestamp};

use super::render::time;
use crate::aci::element::Element;
use crate::kinds::results::STOPPED_BY;

/// Returns the number of the latest attempt, if there is more than one or the action waits for the next, and the time that it
/// waits for. Nothing for an action that runs once, and at once when there is a slot.
pub(super) fn waits(record: &Record, now: Timestamp) -> impl Iterator<Item = Element> {
    let is_queued = record.state == State::Queued;
    let until = record.not_before.filter(|start| is_queued && *start > now);
    let has_failed = is_queued && (record.error.is_some() || until.is_some());
    let shown = record.attempt > 1 || (record.attempt == 1 && has_failed);
    let attempt = shown.then(|| Element::text("attempt", record.attempt.to_string()));
    let name = if record.attempt > 0 { "next_attempt_time" } else { "not_before" };
    attempt.into_iter().chain(until.map(|start| time(name, start)))
}

/// Adds to the result of a program that was stopped that this was by force, where nobody could tell: its server died before the
/// program had ended, and the next one killed it.
pub(super) fn tell_who_stopped(runs_programs: bool, record: &mut Record) {
    let is_told = |report: &Report| report.iter().any(|node| node.name == STOPPED_BY);
    if runs_programs && record.state == State::Stopped && !is_told(&record.report) {
        record.report.push(Node::text(STOPPED_BY, "forced"));
    }
}

/// Returns the error to show. That of the attempt before says nothing of an action that runs again.
pub(super) fn error(record: &Record) -> Option<&str> {
    let is_of_earlier = record.state.is_running() && record.attempt > 1;
    record.error.as_deref().filter(|_| !is_of_earlier)
}

/// Returns the attempts as they are asked for with `History=true`: those that did not end the action, and its latest one,
/// which may still run.
pub(super) fn history(past: Vec<PastAttempt>, record: &Record) -> Element {
    // More may have ended since the record was read.
    let past: Vec<_> = past.into_iter().filter(|past| past.attempt <= record.attempt).collect();
    let last = past.last().map_or(0, |past| past.attempt);
    let latest = (record.state != State::Queued && record.attempt > last)
        .then(|| Some(latest(record, record.started_at?)))
        .flatten();
    Element::new("history").children(past.into_iter().map(self::past).chain(latest))
}

fn past(past: PastAttempt) -> Element {
    let lost = past.ended.is_none().then(|| INTERRUPTED_BY_RESTART.to_owned());
    attempt(Told {
        number: past.attempt,
        started_at: past.started_at,
        ended_at: Some(past.ended_at),
        outcome: outcome(past.ended),
        worker: past.worker,
        error: past.error.or(lost),
    })
}

/// Returns the attempt that a record shows.
fn latest(record: &Record, started_at: Timestamp) -> Element {
    attempt(Told {
        number: record.attempt,
        started_at,
        ended_at: record.finished_at,
        outcome: match record.state {
            // As it is told once a client has it tried again.
            State::Error => outcome(outcome_of_error(record.error.as_deref())),
            state => state.name(),
        },
        worker: record.worker.clone(),
        error: error(record).map(str::to_owned),
    })
}

/// Returns the word for the end of an attempt; that of a state, where it ended an action in it.
const fn outcome(ended: Option<Ended>) -> &'static str {
    match ended {
        Some(Ended::Finished) => State::Finished.name(),
        Some(Ended::Failed | Ended::Retry) => State::Error.name(),
        Some(Ended::Stopped) => State::Stopped.name(),
        Some(Ended::Cancelled) => State::Cancelled.name(),
        Some(Ended::Released) => "Released",
        Some(Ended::Interrupted(_)) => "Interrupted",
        Some(Ended::Lost) | None => "Lost",
    }
}

/// The facts about an attempt.
struct Told {
    number: u32,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    outcome: &'static str,
    worker: Option<String>,
    error: Option<String>,
}

fn attempt(told: Told) -> Element {
    let more = [told.worker.map(|name| ("worker", name)), told.error.map(|text| ("error", text))];
    Element::new("attempt")
        .child(Element::text("number", told.number.to_string()))
        .child(time("start_time", told.started_at))
        .children(told.ended_at.map(|at| time("end_time", at)))
        .child(Element::text("outcome", told.outcome))
        .children(more.into_iter().flatten().map(|(name, text)| Element::text(name, text)))
}

#[cfg(test)]
mod tests {
    use actiond_actors::ActionId;
    use actiond_actors::lifecycle::{GIVEN_UP, INTERRUPTED_BY_SHUTDOWN, OnRestart};

    use super::*;
    use crate::aci::element::Content;

    fn record(state: State, attempt: u32) -> Record {
        Record {
            state,
            attempt,
            started_at: (state != State::Queued).then_some(Timestamp(60_000)),
            finished_at: state.is_final().then_some(Timestamp(70_000)),
            ..Record::queued(ActionId::new(1).unwrap(), 0, Timestamp(0))
        }
    }

    fn names(elements: impl Iterator<Item = Element>) -> Vec<String> {
        elements.map(|element| element.name.into_owned()).collect()
    }

    #[test]
    fn only_what_waits_or_was_repeated_tells_of_attempts() {
        let later = Some(Timestamp(5_000));
        let failed = Some("no luck".to_owned());
        let queued = |attempt, not_before, error: &Option<String>| Record {
            not_before,
            error: error.clone(),
            ..record(State::Queued, attempt)
        };
        let table: [(Record, &[&str]); 11] = [
            (queued(0, None, &None), &[]),
            (queued(0, later, &None), &["not_before"]),
            (queued(1, later, &failed), &["attempt", "next_attempt_time"]),
            // It waits for a slot alone.
            (queued(0, Some(Timestamp(4_999)), &None), &[]),
            (queued(1, Some(Timestamp(4_999)), &failed), &["attempt"]),
            (queued(1, None, &failed), &["attempt"]),
            // A restart interrupted it.
            (queued(1, None, &None), &[]),
            (queued(2, None, &None), &["attempt"]),
            (record(State::Processing, 1), &[]),
            (record(State::Finished, 1), &[]),
            (record(State::Error, 3), &["attempt"]),
        ];
        for (record, expected) in table {
            assert_eq!(names(waits(&record, Timestamp(4_999))), expected, "{record:?}");
        }
    }

    #[test]
    fn an_action_that_runs_again_shows_no_error_of_before() {
        let with = |state, attempt| {
            let error = Some("no luck".to_owned());
            let record = Record { error, ..record(state, attempt) };
            error_shown(&record)
        };
        assert!(with(State::Error, 2) && with(State::Queued, 1));
        assert!(with(State::Processing, 1), "its result can't be read");
        assert!(!with(State::Processing, 2) && !with(State::Stopping, 3));
    }

    fn error_shown(record: &Record) -> bool {
        error(record).is_some()
    }

    fn past(attempt: u32, ended: Option<Ended>) -> PastAttempt {
        PastAttempt {
            attempt,
            started_at: Timestamp(0),
            ended_at: Timestamp(1_000),
            ended,
            worker: None,
            error: None,
        }
    }

    /// Returns number and outcome of each attempt.
    fn shown(past: &[PastAttempt], record: &Record) -> Vec<String> {
        let history = history(past.to_vec(), record);
        let Content::Elements(attempts) = history.content else { panic!() };
        let text = |attempt: &Element, name: &str| {
            let Content::Elements(told) = &attempt.content else { panic!() };
            let told = told.iter().find(|element| element.name == name);
            match told.map(|element| &element.content) {
                Some(Content::Text(text)) => text.clone(),
                _ => String::new(),
            }
        };
        attempts.iter().map(|a| format!("{} {}", text(a, "number"), text(a, "outcome"))).collect()
    }

    #[test]
    fn the_latest_attempt_is_shown_once() {
        let retried = [past(1, Some(Ended::Retry))];
        let none: [&str; 0] = [];
        assert_eq!(shown(&[], &record(State::Queued, 0)), none);
        assert_eq!(shown(&[], &record(State::Processing, 1)), ["1 Processing"]);
        assert_eq!(shown(&retried, &record(State::Queued, 1)), ["1 Error"]);
        let running = record(State::Processing, 2);
        assert_eq!(shown(&retried, &running), ["1 Error", "2 Processing"]);
        // It ended after the record was read.
        let ended = [past(1, Some(Ended::Retry)), past(2, Some(Ended::Retry)), past(3, None)];
        assert_eq!(shown(&ended, &running), ["1 Error", "2 Error"]);
        // Cancelled while it waited for the next attempt.
        assert_eq!(shown(&retried, &record(State::Cancelled, 1)), ["1 Error"]);
    }

    /// It is the one that the store keeps once the action is tried again.
    #[test]
    fn an_attempt_that_ended_in_error_keeps_its_word() {
        let texts = [INTERRUPTED_BY_RESTART, GIVEN_UP, INTERRUPTED_BY_SHUTDOWN, "no luck", ""];
        let words = ["Lost", "Lost", "Interrupted", "Error", "Error"];
        for (text, word) in texts.into_iter().zip(words) {
            let error = Some(text.to_owned()).filter(|text| !text.is_empty());
            let ended = Record { error: error.clone(), ..record(State::Error, 1) };
            let again = PastAttempt { ended: outcome_of_error(error.as_deref()), ..past(1, None) };
            let told = [
                shown(&[], &ended),
                shown(&[again], &Record { error, ..record(State::Queued, 1) }),
            ];
            assert_eq!(told, [[format!("1 {word}")], [format!("1 {word}")]], "{text}");
        }
    }

    #[test]
    fn each_end_has_a_word() {
        let ends = [
            (Some(Ended::Interrupted(OnRestart::Requeue)), "Interrupted"),
            (Some(Ended::Released), "Released"),
            (Some(Ended::Failed), "Error"),
            (Some(Ended::Lost), "Lost"),
            (None, "Lost"),
        ];
        for (ended, word) in ends {
            let told = shown(&[past(1, ended)], &record(State::Queued, 1));
            assert_eq!(told, [format!("1 {word}")]);
        }
    }
}
