//! The form of live events: JSON with the names that `getStatus` has, as `ResponseFormat=simplejson` writes it.

use actiond_actors::{ActionRef, State, Submitted, Timestamp};

use super::super::endpoint::Endpoint;
use super::super::render;
use crate::aci::element::Element;
use crate::aci::json::{JsonStyle, write_members};
use crate::events::live::{Facts, Told};

impl Endpoint {
    /// Writes what is told of an event, as JSON in one line.
    pub(super) fn write_event(&self, told: &Told, out: &mut Vec<u8>) {
        out.push(b'{');
        write_members("action", &self.elements(told), JsonStyle::Simple, out);
        out.push(b'}');
    }

    /// Returns what is told of an event: of an action what `getStatus` shows, as far as the event says it, with the same names.
    fn elements(&self, told: &Told) -> Vec<Element> {
        let mut elements = vec![Element::text("queue", &*told.queue)];
        let Some(action) = told.action else {
            match &told.facts {
                Facts::Queue { change, waiting } => {
                    elements.push(Element::text("change", *change));
                    if matches!(*change, "paused" | "resumed") {
                        elements.push(Element::text("paused", (*change == "paused").to_string()));
                    }
                    if let Some((queued, limit)) = waiting {
                        elements.push(Element::text("pending", queued.to_string()));
                        elements.push(Element::text("limit", limit.to_string()));
                    }
                }
                Facts::Counts(summary) => {
                    elements.extend(render::summary(summary));
                    elements.push(render::states(&summary.counts));
                }
                _ => {}
            }
            return elements;
        };
        let ActionRef { id, queued_at, attempt, taken_by } = action;
        elements.push(Element::text("status", state_of(&told.facts).name()));
        elements.push(render::time("queued_time", queued_at));
        elements.extend(facts(&told.facts, queued_at));
        if attempt > 1 || (attempt > 0 && matches!(told.facts, Facts::Requeued { .. })) {
            elements.push(Element::text("attempt", attempt.to_string()));
        }
        if let Some(served) = self.queue(&told.queue) {
            let token = self.token(served, Submitted { id, queued_at, taken_by });
            elements.push(Element::text("token", token));
        }
        elements
    }
}

/// Returns the state of an action of which this is told.
const fn state_of(facts: &Facts) -> State {
    match facts {
        Facts::Queued | Facts::Requeued { .. } | Facts::Queue { .. } | Facts::Counts(_) => {
            State::Queued
        }
        Facts::Started { .. } => State::Processing,
        Facts::Progress { state, .. } | Facts::Is(state) => *state,
        Facts::Ended(end) => end.state,
    }
}

fn facts(facts: &Facts, queued_at: Timestamp) -> Vec<Element> {
    let text = |name, text: &Option<Box<str>>| {
        text.as_deref().map(|text| Element::text(name, text.to_owned()))
    };
    let waited = |until: Timestamp| {
        let millis = until.millis().saturating_sub(queued_at.millis());
        Element::text("time_in_queue", (millis / 1000).to_string())
    };
    match facts {
        Facts::Queued | Facts::Is(_) | Facts::Queue { .. } | Facts::Counts(_) => Vec::new(),
        Facts::Requeued { cause, error, after } => {
            let mut elements = vec![Element::text("cause", *cause)];
            elements.extend(text("error", error));
            let seconds = after.map(|after| after.as_secs_f64().to_string());
            elements.extend(seconds.map(|seconds| Element::text("next_attempt_in", seconds)));
            elements
        }
        Facts::Started { at } => vec![waited(*at), render::time("process_start_time", *at)],
        Facts::Progress { state, progress, processing } => {
            vec![render::progress_of(progress, *processing, state.is_running(), false, u32::MAX)]
        }
        Facts::Ended(end) => {
            let mut elements = vec![waited(end.started_at.unwrap_or(end.finished_at))];
            if let Some(started_at) = end.started_at {
                let seconds = end.processing.as_secs().to_string();
                elements.push(render::time("process_start_time", started_at));
                elements.push(Element::text("time_processing", seconds));
            }
            elements.push(render::time("process_end_time", end.finished_at));
            elements.extend(text("error", &end.error));
            elements
        }
    }
}
