//! A scrape in Prometheus' text format, read into its series.

use std::collections::{BTreeMap, BTreeSet};

use crate::server::{Server, wait_until};

/// What one scrape has said.
pub(crate) struct Scrape {
    pub(crate) text: String,
    /// Values, by the series as it is written: `name{label="value"}`.
    pub(crate) series: BTreeMap<String, f64>,
}

/// A metric as a scrape describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) kind: String,
    /// Names of its labels, without `le`, in alphabetical order.
    pub(crate) labels: Vec<String>,
    pub(crate) help: String,
}

impl Scrape {
    pub(crate) fn of(server: &Server) -> Self {
        Self::read(server.get("/metrics"))
    }

    pub(crate) fn read(text: String) -> Self {
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line} in {text}"));
            let value = value.parse().unwrap_or_else(|_| panic!("{line} has no value"));
            let before = series.insert(name.to_owned(), value);
            assert!(before.is_none(), "{name} is there twice");
        }
        assert!(!series.is_empty(), "{text}");
        Self { text, series }
    }

    /// The value of a series, which must be there.
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// The sum of all series of a metric with these labels among theirs, which must be there.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of = |series: &&String| {
            let (of, rest) = series.split_once('{').unwrap_or((series, ""));
            of == name && labels.iter().all(|label| rest.contains(label))
        };
        let found: Vec<f64> = self.series.keys().filter(of).map(|key| self.value(key)).collect();
        assert!(!found.is_empty(), "no {name} {labels:?} in\n{}", self.text);
        found.iter().sum()
    }

    /// Waits until a series has this value.
    pub(crate) fn wait_for(server: &Server, series: &str, value: f64) -> Self {
        let mut found = None;
        let what = format!("{series} to be {value}");
        wait_until(&what, || {
            let scrape = Self::of(server);
            let is_so = (scrape.value(series) - value).abs() < f64::EPSILON;
            found = is_so.then_some(scrape);
            is_so
        });
        found.expect("it was found")
    }

    /// All metrics, by their names.
    pub(crate) fn described(&self) -> BTreeMap<String, Described> {
        let about = |what: &str| -> BTreeMap<String, String> {
            let prefix = format!("# {what} ");
            let lines = self.text.lines().filter_map(|line| line.strip_prefix(&prefix));
            lines
                .map(|line| line.split_once(' ').expect("a name and what is said of it"))
                .map(|(name, said)| (name.to_owned(), said.to_owned()))
                .collect()
        };
        let (kinds, help) = (about("TYPE"), about("HELP"));
        let of = |name: &str, kind: &str| -> Vec<String> {
            let own = |series: &str| {
                let rest = series.strip_prefix(name)?;
                let rest = match kind {
                    "histogram" => ["_bucket", "_sum", "_count"]
                        .iter()
                        .find_map(|end| rest.strip_prefix(end))?,
                    _ => rest,
                };
                (rest.is_empty() || rest.starts_with('{')).then(|| rest.to_owned())
            };
            let labels: BTreeSet<String> = self
                .series
                .keys()
                .filter_map(|series| own(series))
                .flat_map(|rest| {
                    let rest = rest.trim_matches(['{', '}']).to_owned();
                    let names = rest.split("\",").filter_map(|pair| pair.split_once('='));
                    names.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
                })
                .filter(|label| label != "le")
                .collect();
            labels.into_iter().collect()
        };
        let described = kinds.into_iter().map(|(name, kind)| {
            let (labels, help) = (of(&name, &kind), help[&name].clone());
            (name, Described { kind, labels, help })
        });
        described.collect()
    }
}
