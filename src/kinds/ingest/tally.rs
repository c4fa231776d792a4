//! The tally of an action's documents, for its result and for an attempt that repeats it.

use actiond_actors::{Node, Report};
use serde::{Deserialize, Serialize};

use crate::kinds::shorten;

/// Number of documents whose reasons are kept; there may be a million documents.
const MAX_REASONS: usize = 10;

/// Counts of documents, and the reasons for which some have no text.
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
    /// Those to add with only the beginning of their text.
    #[serde(skip_serializing_if = "is_zero")]
    cut: u64,
    /// Those that held a source or pages which were not used.
    #[serde(skip_serializing_if = "is_zero")]
    unused: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    firstunused: Option<String>,
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
    /// Counts a document that is complete.
    pub(crate) fn good(&mut self) {
        self.documents += 1;
    }

    /// Counts a document with only the beginning of its text.
    pub(crate) fn cut(&mut self) {
        self.documents += 1;
        self.cut += 1;
    }

    /// Notes that a source or pages of a document were not used.
    pub(crate) fn unused(&mut self, reference: &str) {
        self.unused += 1;
        self.firstunused.get_or_insert_with(|| shorten(reference).into_owned());
    }

    /// Counts a document without text; `why` is the reason, if there is one to tell.
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

    /// Returns an error text if there are documents, and all have failed.
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
            count("cut", self.cut),
        ];
        if !self.importerrors.is_empty() {
            let reasons = self.importerrors.iter().map(|reason| {
                Node::text("importerror", reason.why.as_str())
                    .attribute("reference", &reason.reference)
            });
            report.push(reasons.fold(Node::new("importerrors"), Node::node));
        }
        if let Some(first) = &self.firstunused {
            let which = match self.unused {
                1 => format!("the source or pages of \"{first}\""),
                number => format!("the sources or pages of {number} documents, first \"{first}\""),
            };
            report.push(Node::text(
                "warning",
                format!(
                    "not used: {which}; an update changes fields only, and no source is read beside pages; no temporary source of them is deleted"
                ),
            ));
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
        tally.cut();
        let report = tally.report();
        let counts =
            [("documents", "1005"), ("withoutcontent", "2"), ("failed", "1001"), ("cut", "1")];
        for (node, (name, text)) in report.iter().zip(counts) {
            assert_eq!(*node, Node::text(name, text));
        }
        let reasons = report[4].nodes();
        assert_eq!(reasons.len(), MAX_REASONS);
        assert_eq!(reasons[0], Node::text("importerror", "gone").attribute("reference", "first"));
        assert_eq!(report.len(), 5, "no warning without a reason");
        assert_eq!(Tally::default().report().len(), 4, "no list of reasons without one");
        for (reference, told) in [
            ("one", "not used: the source or pages of \"one\"; "),
            ("two", "not used: the sources or pages of 2 documents, first \"one\"; "),
        ] {
            tally.unused(reference);
            let actiond_actors::Content::Text(warning) = &tally.report()[5].content else {
                panic!()
            };
            assert!(warning.starts_with(told), "{warning}");
        }

        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
        assert_eq!(serde_json::to_string(&Tally::default()).unwrap(), "{\"documents\":0}");
    }
}
