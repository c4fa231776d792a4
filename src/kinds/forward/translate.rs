//! The words of other servers in those of the runtime, and back: parameters, results and progress.

use actiond_actors::{
    Content as NodeContent, Node, Parameters, Progress, Report, Stage, StageStatus, Value,
};

use crate::aci::client::{Progress as Told, Stage as ToldStage};
use crate::aci::element::{Content, Element};
use crate::aci::request::{PairValue, Pairs, is_reserved};

/// Parameters that are for this server alone.
const OURS: &[&str] = &[
    "Action",
    "Wait",
    "Synchronous",
    "Sync",
    "Idempotency-Key",
    "NotBefore",
    "CallbackURL",
    "ResponseFormat",
];

/// Parameters that an actiond understands; to another server they would be unknown, or something else.
const OF_ACTIOND: &[&str] = &["A", "Priority"];

/// Returns the parameters to send to a server: those that came, without what is for this one, and the key under its name.
pub(super) fn parameters(
    came: &Parameters,
    is_actiond: bool,
    marker: &'static str,
    key: &str,
) -> Pairs {
    let among = |names: &[&str], name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let mut pairs = Pairs::default();
    for (name, value) in came.iter() {
        let is_left_out = is_reserved(name)
            || among(OURS, name)
            || name.eq_ignore_ascii_case(marker)
            || !is_actiond && among(OF_ACTIOND, name);
        if !is_left_out {
            pairs.push(
                name,
                match value {
                    Value::Text(text) => PairValue::Text(text.clone()),
                    Value::Bytes(bytes) => PairValue::Bytes(bytes.clone()),
                },
            );
        }
    }
    pairs.push(marker, PairValue::Text(key.to_owned()));
    pairs
}

/// Returns a result as a report.
pub(super) fn report(results: Vec<Element>) -> Report {
    results.into_iter().map(node).collect()
}

/// It may recurse, because the depth of a reply is bounded.
fn node(element: Element) -> Node {
    let Element { name, attributes, content } = element;
    let content = match content {
        Content::Text(text) => NodeContent::Text(text),
        Content::Elements(elements) => NodeContent::Nodes(report(elements)),
    };
    Node { attributes, content, ..Node::new(name) }
}

/// Returns a progress as it is told.
pub(super) fn progress(told: &Told) -> Progress {
    let stages: Vec<_> = told.stages.iter().map(stage).collect();
    let mut progress = match stages.is_empty() {
        true => Progress::of_percent(told.percent),
        false => Progress::of_stages(stages),
    };
    progress.measuring = told.measuring;
    progress
}

/// Returns a progress of one stage, which says what is waited for.
pub(super) fn waiting(title: String, so_far: Option<&Told>) -> Progress {
    let stage = Stage::new(title).at(StageStatus::Processing);
    let Some(told) = so_far else { return Progress::of_stages(vec![stage]) };
    let mut stage = stage.percent(told.percent);
    stage.stages = told.stages.iter().map(self::stage).collect();
    Progress::of_stages(vec![stage])
}

fn stage(told: &ToldStage) -> Stage {
    let status = match told.status.to_ascii_lowercase().as_str() {
        "finished" => StageStatus::Finished,
        "pending" => StageStatus::Pending,
        _ => StageStatus::Processing,
    };
    let mut stage = Stage::new(told.title.clone()).at(status).weight(told.weight.unwrap_or(1.0));
    if let Some((done, all)) = told.counted {
        stage = stage.counted(done, all);
    }
    if let Some(percent) = told.percent {
        stage = stage.percent(percent);
    }
    stage.stages = told.stages.iter().map(self::stage).collect();
    stage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aci::client::Status;

    #[test]
    fn parameters_go_on_as_they_came_but_for_ours() {
        let came = Parameters::from_iter([
            ("Source", Value::from("a & b")),
            ("wait", "5".into()),
            ("Sync", "true".into()),
            ("ResponseFormat", "json".into()),
            ("NotBefore", "+5".into()),
            ("callbackurl", "http://a.example/".into()),
            ("idempotency-key", "theirs".into()),
            ("actiond:found", "x".into()),
            ("Priority", "7".into()),
            ("a", "Stop".into()),
            ("ACTION", "Stop".into()),
            ("ActionID", "mine".into()),
            ("File", Value::Bytes(vec![0xFF])),
            ("Source", "twice".into()),
        ]);
        let names = |is_actiond, marker| -> String {
            let pairs = parameters(&came, is_actiond, marker, "k");
            assert_eq!(pairs.get(marker), Some("k"));
            let names: Vec<_> = pairs.iter().map(|(name, _)| name.to_owned()).collect();
            names.join(" ")
        };
        let key = "Idempotency-Key";
        assert_eq!(names(true, key), "Source Priority a ActionID File Source Idempotency-Key");
        assert_eq!(names(false, key), "Source ActionID File Source Idempotency-Key");
        assert_eq!(names(false, "ActionID"), "Source File Source ActionID");
        let pairs = parameters(&came, false, key, "k");
        assert_eq!(pairs.value("File"), Some(&PairValue::Bytes(vec![0xFF])));
    }

    #[test]
    fn results_keep_their_form() {
        let inner = Element::text("b", "c < d").attribute("x", "1");
        let report = report(vec![Element::new("a").child(inner), Element::text("autn:e", "")]);
        let expected = Node::new("a").node(Node::text("b", "c < d").attribute("x", 1));
        assert_eq!(report, [expected, Node::text("autn:e", "")]);
    }

    #[test]
    fn progress_keeps_its_stages() {
        let leaf = |title: &str, status: &str, percent, counted| ToldStage {
            title: title.to_owned(),
            status: status.to_owned(),
            weight: Some(2.0),
            percent,
            counted,
            stages: Vec::new(),
        };
        let mut told = Told {
            status: Status::Processing,
            measuring: true,
            percent: 26.4,
            processing: None,
            remaining: None,
            stages: Vec::new(),
        };
        let plain = progress(&told);
        assert!(plain.measuring && (plain.percent() - 26.4).abs() < 1e-9);
        told.stages = vec![
            leaf("A", "Finished", None, None),
            leaf("B", "Processing", None, Some((1, 4))),
            leaf("C", "Pending", None, None),
        ];
        let staged = progress(&told);
        assert!((staged.percent() - 125.0 / 3.0).abs() < 1e-9, "{}", staged.percent());
        assert_eq!(staged.stages[1].counted, Some((1, 4)));
        let statuses: Vec<_> = staged.stages.iter().map(|stage| stage.status).collect();
        let [finished, processing, pending] =
            [StageStatus::Finished, StageStatus::Processing, StageStatus::Pending];
        assert_eq!(statuses, [finished, processing, pending]);
        let held = waiting("paused at h".to_owned(), Some(&told));
        assert_eq!((held.stages.len(), held.stages[0].stages.len()), (1, 3));
        let mut expected = Stage::new("paused at h").at(processing).percent(told.percent);
        expected.stages = staged.stages;
        assert_eq!(held.stages, [expected]);

        let mut outer = leaf("D", "PROCESSING", Some(40.0), None);
        outer.weight = None;
        outer.stages = vec![leaf("E", "FINISHED", None, None)];
        let inner = Stage::new("E").at(finished).weight(2.0);
        let mut expected = Stage::new("D").at(processing).weight(1.0).percent(40.0);
        expected.stages = vec![inner];
        assert_eq!(stage(&outer), expected);
    }
}
