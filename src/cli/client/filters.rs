//! The filters by which `getStatus` and commands to many select actions, as options.

use super::failure::Failure;

/// The beginning of an argument that selects actions by a parameter.
const PARAMETER: &str = "Parameter.";

/// The filters of lists and of commands to many.
///
/// Times are those of the server: `2026-11-30 17:00:00`, seconds since 1970, or `-3600` for an hour ago.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only actions in these states, with commas: queued, running, finished (all that have ended), processing, paused, stopping, error, cancelled, stopped
    #[arg(long, value_name = "STATES")]
    pub(crate) state: Option<String>,
    /// Only actions of this priority or a higher one
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) min_priority: Option<i64>,
    /// Only actions of this priority or a lower one
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_priority: Option<i64>,
    /// Only actions queued after this second: a time such as `2026-11-30T17:00:00`, or `-3600` for an hour ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) queued_after: Option<String>,
    /// Only actions queued before this second
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) queued_before: Option<String>,
    /// Only actions started after this second
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) started_after: Option<String>,
    /// Only actions started before this second
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) started_before: Option<String>,
    /// Only actions that ended after this second
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) finished_after: Option<String>,
    /// Only actions that ended before this second
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) finished_before: Option<String>,
    /// Only actions whose error has this text in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Only actions that were sent with this `ActionID`
    #[arg(long, value_name = "ID")]
    pub(crate) action_id: Option<String>,
    /// Only actions that were given this parameter with this value; also written as `Parameter.NAME=VALUE` without an option
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) parameter: Vec<String>,
}

/// The order of a list, and the part of it that is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct OrderArgs {
    /// Time to sort by: queue-time, start-time or finish-time [default: queue-time]
    #[arg(long, value_name = "KEY")]
    pub(crate) sort_by: Option<String>,
    /// Order: descending, the latest first, or ascending [default: descending]
    #[arg(long, value_name = "ORDER")]
    pub(crate) sort_order: Option<String>,
}

/// Parameters of a request.
pub(super) type Pairs = Vec<(String, String)>;

impl FilterArgs {
    /// Returns the parameters that these options mean; `further` are arguments of the form `Parameter.NAME=VALUE`.
    pub(super) fn pairs(&self, further: &[String]) -> Result<Pairs, Failure> {
        let text = |name: &'static str, value: &Option<String>| {
            value.clone().map(|value| (name.to_owned(), value))
        };
        let number = |name, value: Option<i64>| text(name, &value.map(|number| number.to_string()));
        let named = [
            text("State", &self.state),
            number("Min-Priority", self.min_priority),
            number("Max-Priority", self.max_priority),
            text("Queued-After", &self.queued_after),
            text("Queued-Before", &self.queued_before),
            text("Started-After", &self.started_after),
            text("Started-Before", &self.started_before),
            text("Finished-After", &self.finished_after),
            text("Finished-Before", &self.finished_before),
            text("Text", &self.text),
            text("ActionID", &self.action_id),
        ];
        let mut pairs: Pairs = named.into_iter().flatten().collect();
        for argument in &self.parameter {
            let (name, value) = split(argument)?;
            pairs.push((format!("{PARAMETER}{name}"), value));
        }
        for argument in further {
            pairs.push(split(argument)?);
        }
        // The server counts an empty one as not given, so whoever has an empty variable would reach all.
        if let Some((name, _)) = pairs.iter().find(|(_, value)| value.trim().is_empty()) {
            return Err(Failure::Usage(format!("the filter {name} has no value")));
        }
        Ok(pairs)
    }
}

impl OrderArgs {
    pub(super) fn pairs(&self) -> Pairs {
        let sort_by = self.sort_by.clone().map(|value| ("Sort-By".to_owned(), value));
        let sort_order = self.sort_order.clone().map(|value| ("Sort-Order".to_owned(), value));
        sort_by.into_iter().chain(sort_order).collect()
    }
}

/// Returns true for an argument that selects actions by a parameter.
pub(super) fn is_filter(argument: &str) -> bool {
    let start = argument.get(..PARAMETER.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(PARAMETER)) && argument.contains('=')
}

fn split(argument: &str) -> Result<(String, String), Failure> {
    let parts = argument.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    let parts = parts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    parts.ok_or_else(|| {
        let shown = super::show::cut(argument, 100);
        Failure::Usage(format!("'{shown}' is no filter by a parameter: write NAME=VALUE"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_parameters() {
        let args = FilterArgs {
            state: Some("error,stopped".to_owned()),
            max_priority: Some(-1),
            finished_before: Some("-3600".to_owned()),
            parameter: vec!["Name=Ada=x".to_owned()],
            ..FilterArgs::default()
        };
        let pairs = args.pairs(&["parameter.Title=The end".to_owned()]).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let want = [
            "State=error,stopped",
            "Max-Priority=-1",
            "Finished-Before=-3600",
            "Parameter.Name=Ada=x",
            "parameter.Title=The end",
        ];
        assert_eq!(pairs, want);
        for (empty, further) in [("", ""), ("x", "Parameter.a="), ("x", "Parameter.a")] {
            let args = FilterArgs { state: Some(empty.to_owned()), ..FilterArgs::default() };
            assert!(args.pairs(&[further.to_owned()]).is_err(), "{empty} {further}");
        }
    }

    #[test]
    fn a_filter_is_no_token() {
        let table = [
            ("Parameter.Name=Ada", true),
            ("PARAMETER.x=", true),
            ("Parameter.x", false),
            ("MTI3LjAuMC4x=", false),
            ("Pa", false),
        ];
        for (argument, want) in table {
            assert_eq!(is_filter(argument), want, "{argument}");
        }
    }
}
