//! What happened in a storm, counted by kind, and the illegal outcomes that were found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The events and the illegal outcomes of a storm.
#[derive(Default)]
pub(crate) struct Findings {
    /// Number of times that each kind of thing happened.
    happened: BTreeMap<String, usize>,
    wrong: BTreeMap<&'static str, Vec<String>>,
}

impl Findings {
    /// Notes an illegal outcome.
    pub(crate) fn found(&mut self, wrong: &'static str, what: String) {
        self.wrong.entry(wrong).or_default().push(what);
    }

    pub(crate) fn happened(&mut self, what: String) {
        *self.happened.entry(what).or_default() += 1;
    }

    pub(crate) fn has_happened(&self, what: &str) -> bool {
        self.happened.contains_key(what)
    }

    /// Prints what happened under this title, and returns it; fails if an illegal outcome was found.
    pub(crate) fn judge(&self, title: &str, seed: u64) -> String {
        let mut table = format!("storm of seed {seed}{title}\n");
        for (what, times) in &self.happened {
            writeln!(table, "{times:>6}  {what}").expect("text");
        }
        let illegal: usize = self.wrong.values().map(Vec::len).sum();
        writeln!(table, "{illegal:>6}  illegal outcomes").expect("text");
        for (wrong, found) in &self.wrong {
            writeln!(table, "{wrong} ({} times):", found.len()).expect("text");
            for what in found.iter().take(5) {
                writeln!(table, "    {what}").expect("text");
            }
        }
        eprintln!("{table}");
        assert!(illegal == 0, "to run this storm again: ACTIOND_STORM_SEED={seed}\n{table}");
        table
    }
}
