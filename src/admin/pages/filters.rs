//! The filters of a list of actions. They have the names that `QueueInfo` knows them by, so the address of a page is the question to
//! the server.

use crate::aci::catalog::builtin::QUEUE_INFO;
use crate::aci::queue_info::{FILTERS, StateFilter, parameter};
use crate::aci::request::{PairValue, Pairs};
use crate::admin::request::{PageRequest, texts};
use crate::admin::view::query;

/// The filters of ours, which are shown behind those of every server.
const OWN_FILTERS: &[&str] = &["ActionID", "Text"];

/// Goes through the filters, in the order in which they are shown.
fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().chain(OWN_FILTERS).copied()
}

/// The order of a list.
const ORDER: &[&str] = &["Sort-By", "Sort-Order"];

/// Numbers of actions that a page may have.
pub(super) const SIZES: [usize; 4] = [25, 50, 100, 200];

/// The number that it has unless another is asked for.
const USUAL_SIZE: usize = 50;

/// The filters and the order of a list, as a page asks for them.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// Filters, with the values that were given.
    pairs: Vec<(String, String)>,
    order: Vec<(String, String)>,
    pub(super) size: usize,
}

/// A field of the form with filters.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) hint: String,
    pub(super) value: String,
}

impl Filters {
    pub(super) fn of(page: &PageRequest) -> Self {
        Self::of_pairs(&page.query)
    }

    /// Reads filters; names are compared without regard to case, and empty values count as not given.
    pub(super) fn of_pairs(given: &Pairs) -> Self {
        let mut filters = Self { size: USUAL_SIZE, ..Self::default() };
        let find = |names: &[&'static str], name: &str| {
            names.iter().find(|known| known.eq_ignore_ascii_case(name)).copied()
        };
        let mut states = Vec::new();
        // Two fields of the form that are one filter.
        let (mut of_name, mut of_value) = ("", "");
        for (name, value) in texts(given).filter(|(_, value)| !value.trim().is_empty()) {
            if name.eq_ignore_ascii_case("State") {
                states.extend(value.split(',').map(str::trim).filter(|word| !word.is_empty()));
            } else if let Some(name) = find(FILTERS, name).or_else(|| find(OWN_FILTERS, name)) {
                filters.pairs.push((name.to_owned(), value.to_owned()));
            } else if parameter(name).is_some() {
                filters.pairs.push((name.to_owned(), value.to_owned()));
            } else if let Some(name) = find(ORDER, name) {
                filters.order.push((name.to_owned(), value.to_owned()));
            } else if name.eq_ignore_ascii_case("MaxResults") {
                let size = value.trim().parse().ok().filter(|size| SIZES.contains(size));
                filters.size = size.unwrap_or(USUAL_SIZE);
            } else if name == "parameter-name" {
                of_name = value;
            } else if name == "parameter-value" {
                of_value = value;
            }
        }
        if !states.is_empty() {
            filters.pairs.insert(0, ("State".to_owned(), states.join(",")));
        }
        if !of_name.is_empty() && !of_value.is_empty() {
            filters.pairs.push((format!("Parameter.{of_name}"), of_value.to_owned()));
        }
        filters
    }

    /// Returns true if all actions of the queue are meant.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the filters alone.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the words of the filter by state.
    pub(super) fn states(&self) -> Vec<&str> {
        let state = self.pairs().find(|(name, _)| *name == "State");
        state.map(|(_, words)| words.split(',').collect()).unwrap_or_default()
    }

    /// Returns the filters in one line, for people.
    pub(super) fn said(&self) -> String {
        let each = self.pairs().map(|(name, value)| format!("{name}={value}"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Returns true if the newest come first.
    pub(super) fn is_descending(&self) -> bool {
        !self.order_of("Sort-Order").eq_ignore_ascii_case("ascending")
    }

    pub(super) fn order_of(&self, name: &str) -> &str {
        let found = self.order.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Returns all of it as a query, with these states in the place of its own if there are any.
    pub(super) fn query(&self, queue: &str, states: Option<&str>, more: &[(&str, &str)]) -> String {
        let size = self.size.to_string();
        let mut pairs = vec![("QueueName", queue)];
        pairs.extend(states.filter(|states| !states.is_empty()).map(|states| ("State", states)));
        pairs.extend(self.pairs().filter(|(name, _)| states.is_none() || *name != "State"));
        pairs.extend(self.order.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        if self.size != USUAL_SIZE {
            pairs.push(("MaxResults", &size));
        }
        pairs.extend_from_slice(more);
        query(pairs)
    }

    /// Returns the parameters of `QueueInfo` for a list in this order.
    pub(super) fn asked(&self, queue: &str, action: &str) -> Pairs {
        let mut pairs = Pairs::default();
        let mut push = |name: &str, value: &str| {
            pairs.push(name, PairValue::Text(value.to_owned()));
        };
        push("QueueAction", action);
        push("QueueName", queue);
        for (name, value) in self.pairs() {
            push(name, value);
        }
        pairs
    }

    /// Returns the fields of the form, but for state and order.
    pub(super) fn fields(&self) -> Vec<Field> {
        let value = |name: &str| {
            let given = self.pairs().find(|(known, _)| *known == name);
            given.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let known = names().filter(|name| *name != "State").map(|name| Field {
            name: name.to_owned(),
            label: name.replace('-', " "),
            hint: hint(name),
            value: value(name),
        });
        let parameters = self.pairs().filter(|(name, _)| parameter(name).is_some());
        let parameters = parameters.map(|(name, value)| Field {
            name: name.to_owned(),
            label: name.to_owned(),
            hint: "exactly this value".to_owned(),
            value: value.to_owned(),
        });
        known.chain(parameters).collect()
    }
}

/// Returns what a filter takes, in few words.
fn hint(name: &str) -> String {
    let time = name.ends_with("After") || name.ends_with("Before");
    let of = || QUEUE_INFO.params.iter().find(|param| param.name == name);
    match name {
        _ if time => "2026-11-30 12:00 or -3600".to_owned(),
        "Text" => "in the error".to_owned(),
        "ActionID" => "the name that its client gave it".to_owned(),
        _ => of().map(|param| param.kind.allowed()).unwrap_or_default(),
    }
}

/// The words by which states are chosen.
pub(super) fn state_words() -> impl Iterator<Item = &'static str> {
    StateFilter::WORDS.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_those_of_queue_info() {
        let known = |name: &str| QUEUE_INFO.params.iter().any(|param| param.name == name);
        assert!(names().chain(ORDER.iter().copied()).all(known), "a name is another one");
    }

    #[test]
    fn an_address_is_the_question() {
        let given = Pairs::from([
            ("state", "error,"),
            ("State", "queued"),
            ("text", "no & luck"),
            ("Parameter.Title", "A"),
            ("parameter-name", "n"),
            ("parameter-value", "7"),
            ("Sort-By", "start-time"),
            ("MaxResults", "100"),
            ("Min-Priority", " "),
            ("unknown", "x"),
        ]);
        let filters = Filters::of_pairs(&given);
        assert_eq!(
            filters.query("Q", None, &[]),
            "QueueName=Q&State=error%2Cqueued&Text=no%20%26%20luck&Parameter.Title=A&Parameter.n=7&\
             Sort-By=start-time&MaxResults=100"
        );
        assert_eq!(
            filters.query("Q", Some("running"), &[("After", "t")]),
            "QueueName=Q&State=running&Text=no%20%26%20luck&Parameter.Title=A&Parameter.n=7&\
             Sort-By=start-time&MaxResults=100&After=t"
        );
        let again = Filters::of_pairs(&filters.asked("Q", "getStatus"));
        assert_eq!(again.pairs, filters.pairs);
        assert_eq!(filters.states(), ["error", "queued"]);
        assert!(filters.is_descending() && !filters.is_empty());
        let sized = |size: &str| Filters::of_pairs(&Pairs::from([("MaxResults", size)])).size;
        assert_eq!(["25", "51", "-1", "1000000"].map(sized), [25, 50, 50, 50]);
    }
}
