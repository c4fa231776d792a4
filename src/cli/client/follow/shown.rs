//! Progress in words.

use std::time::Duration;

use super::super::show::{cut, grouped, span};
use crate::aci::client::{Action, Progress, Stage, Status};

/// Number of characters to which a title or an error is cut.
const WORDS: usize = 60;

/// Percent by which progress has to grow for a line of its own.
const STEP: f64 = 10.0;

/// The progress of an action, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) status: Status,
    /// The part that is done, from 0 to 100, where the server tells it.
    pub(super) percent: Option<f64>,
    /// The stages that it is at.
    pub(super) stages: String,
    /// The time that is left, or what it waits for.
    pub(super) rest: String,
}

impl Shown {
    pub(super) fn of(action: &Action, progress: Option<&Progress>) -> Self {
        let stages = progress.map(|progress| stages(&progress.stages)).unwrap_or_default();
        let percent = progress.map(|progress| progress.percent.clamp(0.0, 100.0));
        let rest = match (&action.status, progress) {
            (Status::Queued, _) => waits_for(action),
            (_, Some(progress)) if progress.measuring => "measuring".to_owned(),
            (Status::Processing, Some(progress)) => {
                progress.remaining.map(left).unwrap_or_default()
            }
            _ => String::new(),
        };
        Self { status: action.status.clone(), percent, stages, rest }
    }

    /// Writes it as one line.
    pub(super) fn line(&self) -> String {
        let percent = self.percent.map(|percent| format!("{percent:.0} %"));
        let parts = [percent.unwrap_or_default(), self.stages.clone(), self.rest.clone()];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let parts = parts.collect::<Vec<_>>().join(", ");
        match parts.as_str() {
            "" => self.status.to_string(),
            parts => format!("{}: {parts}", self.status),
        }
    }

    /// Returns true if it deserves a line of its own after what was shown last.
    pub(super) fn is_news(&self, last: Option<&Self>) -> bool {
        let Some(last) = last else { return true };
        let (now, before) = (self.percent.unwrap_or(0.0), last.percent.unwrap_or(0.0));
        let stage = |shown: &Self| shown.stages.split(" (").next().unwrap_or_default().to_owned();
        self.status != last.status || stage(self) != stage(last) || now >= before + STEP
    }
}

fn left(time: Duration) -> String {
    format!("about {} left", span(time))
}

/// Writes what a queued action waits for.
fn waits_for(action: &Action) -> String {
    if let Some(next) = &action.next_attempt {
        let why = action.error.as_deref().map(|error| format!(", after: {}", cut(error, WORDS)));
        return format!("next attempt {}{}", cut(&next.text, WORDS), why.unwrap_or_default());
    }
    match (&action.not_before, action.position) {
        (Some(time), _) => format!("not before {}", cut(&time.text, WORDS)),
        (None, Some(1)) => "next to start".to_owned(),
        (None, Some(position)) => format!("number {} in the queue", grouped(position)),
        (None, None) => String::new(),
    }
}

/// Writes the stages that are being worked on, the outer one first: `copy, 2 of 3: files (12 of 40)`.
fn stages(stages: &[Stage]) -> String {
    let is_at = |stage: &Stage| stage.status.eq_ignore_ascii_case("Processing");
    let Some((at, stage)) = stages.iter().enumerate().find(|(_, stage)| is_at(stage)) else {
        return String::new();
    };
    let mut text = cut(&stage.title, WORDS);
    if stages.len() > 1 {
        text.push_str(&format!(", {} of {}", at.saturating_add(1), stages.len()));
    }
    let inner = self::stages(&stage.stages);
    if !inner.is_empty() {
        text.push_str(": ");
        text.push_str(&inner);
    } else if let Some((done, all)) = stage.counted {
        text.push_str(&format!(" ({} of {})", grouped(done), grouped(all)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aci::client::Time;
    use crate::aci::element::Element;

    fn action(status: &str, more: &[(&'static str, &str)]) -> Action {
        let element = Element::new("action").child(Element::text("status", status));
        let more = more.iter().map(|(name, text)| Element::text(*name, *text));
        let priority = Element::text("priority", "0");
        Action::read(element.child(priority).children(more)).unwrap()
    }

    fn stage(title: &str, status: &str, counted: Option<(u64, u64)>, stages: Vec<Stage>) -> Stage {
        let (title, status) = (title.to_owned(), status.to_owned());
        Stage { title, status, weight: None, percent: None, counted, stages }
    }

    fn progress(percent: f64, remaining: Option<u64>, stages: Vec<Stage>) -> Progress {
        Progress {
            status: Status::Processing,
            measuring: false,
            percent,
            processing: None,
            remaining: remaining.map(Duration::from_secs),
            stages,
        }
    }

    #[test]
    fn progress_is_one_line() {
        let inner = vec![stage("files", "Processing", Some((12, 4000)), vec![])];
        let nested = vec![
            stage("look", "Finished", None, vec![]),
            stage("copy\u{1b}", "Processing", None, inner),
            stage("tidy", "Pending", None, vec![]),
        ];
        let table = [
            (action("Queued", &[]), None, "Queued"),
            (action("Queued", &[("position", "1")]), None, "Queued: next to start"),
            (action("Queued", &[("position", "1200")]), None, "Queued: number 1,200 in the queue"),
            (action("Queued", &[("not_before", "then")]), None, "Queued: not before then"),
            (action("Processing", &[]), None, "Processing"),
            (
                action("Processing", &[]),
                Some(progress(42.4, Some(200), nested)),
                "Processing: 42 %, copy\\u{1b}, 2 of 3: files (12 of 4,000), about 3 min 20 s left",
            ),
            (
                action("Processing", &[]),
                Some(progress(420.0, None, vec![stage("all", "Processing", None, vec![])])),
                "Processing: 100 %, all",
            ),
            (action("Paused", &[]), Some(progress(1.0, Some(9), vec![])), "Paused: 1 %"),
            (action("Finished", &[]), None, "Finished"),
        ];
        for (action, progress, want) in table {
            assert_eq!(Shown::of(&action, progress.as_ref()).line(), want);
        }
        let measuring = Progress { measuring: true, ..progress(0.0, None, vec![]) };
        let shown = Shown::of(&action("Processing", &[]), Some(&measuring));
        assert_eq!(shown.line(), "Processing: 0 %, measuring");
    }

    #[test]
    fn the_next_attempt_says_why_there_is_one() {
        let time = Time { text: "12:00".to_owned(), local: None };
        let error = Some("no route".to_owned());
        let waiting = Action { next_attempt: Some(time), error, ..action("Queued", &[]) };
        let shown = Shown::of(&waiting, None).line();
        assert_eq!(shown, "Queued: next attempt 12:00, after: no route");
    }

    #[test]
    fn few_lines_are_news() {
        let at = |percent, title: &str| {
            let stages = vec![stage(title, "Processing", Some((1, 2)), vec![])];
            Shown::of(&action("Processing", &[]), Some(&progress(percent, None, stages)))
        };
        assert!(at(0.0, "a").is_news(None));
        assert!(!at(9.0, "a").is_news(Some(&at(0.0, "a"))));
        assert!(at(10.0, "a").is_news(Some(&at(0.0, "a"))));
        assert!(at(0.0, "b").is_news(Some(&at(0.0, "a"))));
        let queued = Shown::of(&action("Queued", &[("position", "3")]), None);
        let next = Shown::of(&action("Queued", &[("position", "2")]), None);
        assert!(!next.is_news(Some(&queued)));
        assert!(at(0.0, "a").is_news(Some(&queued)));
    }
}
