//! How it went with the documents of an action, for its result and for an attempt that repeats it.

use actiond_actors::{Node, Report};
use serde::{Deserialize, Serialize};

use crate::kinds::shorten;

/// Of how many documents the reasons are told; there may be a million.
const MAX_REASONS: usize = 10;

/// Counts of documents, and why nothing was taken of some.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tally {
    /// Documents to add or update.
    documents: u64,
    /// Those to add in which no text was found.
    #[serde(skip_serializing_if = "is_zero")]
    withoutcontent: u64,
    /// Those to add whose source could not be read, or may not be.
    #[serde(skip_serializing_if = "is_zero")]
    failed: u64,
    /// The first reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    importerrors: Vec<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reason {
    reference: String,
    why: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Tally {
    /// Counts a document with what it was to have.
    pub(crate) fn good(&mut self) {
        self.documents += 1;
    }

    /// Counts a document without text; `why` if there is more to say.
    pub(crate) fn without_content(&mut self, reference: &str, why: Option<&str>) {
        self.documents += 1;
        self.withoutcontent += 1;
        if let Some(why) = why {
            self.reason(reference, why);
        }
    }

    /// Counts a document whose source failed.
    pub(crate) fn failed(&mut self, reference: &str, why: &str) {
        self.documents += 1;
        self.failed += 1;
        self.reason(reference, why);
    }

    fn reason(&mut self, reference: &str, why: &str) {
        if self.importerrors.len() < MAX_REASONS {
            let reference = shorten(reference).into_owned();
            self.importerrors.push(Reason { reference, why: why.to_owned() });
        }
    }

    /// Says so if there are documents, and nothing could be taken of any of them.
    pub(crate) fn total_failure(&self) -> Option<String> {
        if self.failed == 0 || self.failed < self.documents {
            return None;
        }
        let first = self.importerrors.first().map(|reason| reason.why.as_str()).unwrap_or_default();
        Some(match self.failed {
            1 => format!("the document could not be taken: {first}"),
            number => format!("none of {number} documents could be taken; the first: {first}"),
        })
    }

    /// Returns it as the result of the action.
    pub(crate) fn report(&self) -> Report {
        let count = |name: &'static str, number: u64| Node::text(name, number.to_string());
        let mut report = vec![
            count("documents", self.documents),
            count("withoutcontent", self.withoutcontent),
            count("failed", self.failed),
        ];
        if !self.importerrors.is_empty() {
            let reasons = self.importerrors.iter().map(|reason| {
                Node::text("importerror", reason.why.as_str())
                    .attribute("reference", &reason.reference)
            });
            report.push(reasons.fold(Node::new("importerrors"), Node::node));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_counted_and_the_first_reasons_kept() {
        let mut tally = Tally::default();
        assert_eq!(tally.total_failure(), None);
        tally.failed("first", "gone");
        assert_eq!(tally.total_failure().as_deref(), Some("the document could not be taken: gone"));
        for number in 0..1_000 {
            tally.failed(&format!("r{number}"), "gone too");
        }
        let all = tally.total_failure().unwrap();
        assert_eq!(all, "none of 1001 documents could be taken; the first: gone");
        tally.without_content("binary", Some("not text"));
        assert_eq!(tally.total_failure(), None);
        tally.without_content("empty", None);
        tally.good();
        let report = tally.report();
        let texts = ["1004", "2", "1001"];
        for (node, (name, text)) in
            report.iter().zip(["documents", "withoutcontent", "failed"].into_iter().zip(texts))
        {
            assert_eq!(*node, Node::text(name, text));
        }
        let reasons = report[3].nodes();
        assert_eq!(reasons.len(), MAX_REASONS);
        assert_eq!(reasons[0], Node::text("importerror", "gone").attribute("reference", "first"));
        assert!(Tally::default().report().len() == 3, "no list of reasons without one");

        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
        assert_eq!(serde_json::to_string(&Tally::default()).unwrap(), "{\"documents\":0}");
    }
}
