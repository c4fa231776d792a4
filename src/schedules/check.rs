//! The check of the parameters of scheduled actions: that of a client's submission, before any is due.

use crate::aci::catalog::{ANY, ActionSpec, COMMON, ParamSpec, StandardRole, validate};
use crate::aci::error::AciError;
use crate::aci::request::{Pairs, RESERVED, is_reserved};
use crate::aci::words::nearest;

/// The parameters of every asynchronous action that mean something to a client that waits, or that a schedule has keys for.
const NOT_FOR_SCHEDULES: [(&str, &str); 6] = [
    ("Wait", "nobody waits for a scheduled action"),
    ("Synchronous", "nobody waits for a scheduled action"),
    ("Sync", "nobody waits for a scheduled action"),
    ("NotBefore", "a scheduled action starts when it is due"),
    ("CallbackURL", "OnFinish and its like name handlers for the end of such actions"),
    ("Idempotency-Key", "the schedule sees to it that each due time has one action"),
];

/// The common parameter that a scheduled action may have beside [`COMMON`].
const PRIORITY: &[ParamSpec] = &[ParamSpec::optional(
    "Priority",
    crate::aci::catalog::builtin::PRIORITY,
    "Actions of higher priority start first; 0 if not set.",
)];

/// A parameter that an action can't have, or that it lacks.
#[derive(Debug)]
pub(crate) struct BadParameter {
    /// Its place among those that were given; `None` if one is lacking.
    pub(crate) at: Option<usize>,
    /// The error of a request that has it.
    pub(crate) error: AciError,
}

/// Checks the parameters of actions of a queue that has these; also those that a client's submission may leave to the action.
///
/// # Errors
///
/// The first bad one.
pub(crate) fn check_parameters(
    params: &[ParamSpec],
    given: &[(String, String)],
    strict: bool,
) -> Result<(), BadParameter> {
    let spec =
        ActionSpec { name: "", summary: "", asynchronous: true, role: StandardRole::Query, params };
    let check = |pairs: &Pairs| validate(&spec, &[COMMON, PRIORITY], pairs, strict);
    for (at, (name, value)) in given.iter().enumerate() {
        let bad = |error: AciError| BadParameter { at: Some(at), error };
        if is_reserved(name) {
            return Err(bad(AciError::reserved(name, RESERVED)));
        }
        let unfit = NOT_FOR_SCHEDULES.iter().find(|(unfit, _)| unfit.eq_ignore_ascii_case(name));
        if let Some((unfit, why)) = unfit {
            return Err(bad(AciError::invalid(unfit, value, &format!("none: {why}"))));
        }
        // What it lacks beside this one is told below.
        if let Err(error) = check(&Pairs::from_iter([(name, value)]))
            && !error.is_missing()
        {
            return Err(bad(error));
        }
    }
    let all = Pairs::from_iter(given.iter().map(|(name, value)| (name, value)));
    check(&all).map_err(|error| BadParameter { at: None, error })
}

/// Returns which of these keys may have been meant by a parameter: one that is nearly called so, and that no action of the queue is
/// described with.
pub(crate) fn meant<'k>(
    params: &[ParamSpec],
    name: &str,
    keys: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let mut described = params.iter().chain(COMMON).chain(PRIORITY);
    match described.any(|param| param.name != ANY && param.is_for(name)) {
        true => None,
        false => nearest(name, keys),
    }
}

/// Returns what parameters give under a name, the last of several; an empty one counts as none.
pub(super) fn given<'p>(parameters: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let mut named = parameters.iter().rev().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

/// Returns the priority that parameters give, 0 if they give none.
pub(super) fn priority(parameters: &[(String, String)]) -> i32 {
    let given = given(parameters, "Priority").and_then(crate::aci::catalog::parse_integer);
    given.and_then(|priority| i32::try_from(priority).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aci::catalog::ParamKind;

    const PARAMS: &[ParamSpec] = &[
        ParamSpec::required("Name", ParamKind::Text, "Who is greeted."),
        ParamSpec::optional("Sleep", ParamKind::Seconds { max: 60 }, "How long."),
    ];

    /// Parameters, whether unknown ones are refused, and the place and the reason of the error.
    type Case =
        (&'static [(&'static str, &'static str)], bool, Option<(Option<usize>, &'static str)>);

    #[test]
    fn the_parameter_that_is_to_blame_is_named() {
        let table: [Case; 9] = [
            (&[("name", "Ada"), ("Sleep", "1.5"), ("Priority", "-3")], true, None),
            (&[("Name", "Ada"), ("Other", "x")], false, None),
            (&[("Name", "Ada"), ("Other", "x")], true, Some((Some(1), "no parameter 'Other'"))),
            (&[("Sleep", "1")], false, Some((None, "The parameter Name is required"))),
            (&[("Name", " ")], false, Some((None, "The parameter Name is required"))),
            (&[("Name", "Ada"), ("Sleep", "long")], false, Some((Some(1), "the value 'long'"))),
            (&[("Name", "Ada"), ("Priority", "high")], false, Some((Some(1), "a whole number"))),
            (&[("sync", "true"), ("Name", "Ada")], false, Some((Some(0), "nobody waits"))),
            (&[("Name", "Ada"), ("NotBefore", "+5")], false, Some((Some(1), "when it is due"))),
        ];
        for (given, strict, expected) in table {
            let pairs: Vec<_> = given
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let found = check_parameters(PARAMS, &pairs, strict).err();
            match (&found, expected) {
                (None, None) => {}
                (
                    Some(BadParameter { at, error: AciError { description: reason, .. } }),
                    Some((place, part)),
                ) => {
                    assert_eq!(*at, place, "{given:?}: {reason}");
                    assert!(reason.contains(part), "{given:?}: {reason}");
                }
                _ => panic!("{given:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_key_that_is_misspelt_is_no_parameter_unless_the_action_has_one_of_that_name() {
        let keys = super::super::keys::ALL;
        for (name, key) in [
            ("Enable", Some("Enabled")),
            ("timezon", Some("TimeZone")),
            ("RepeatSec", Some("RepeatSecs")),
            ("Name", None),
            ("Text", None),
            ("Priority", None),
        ] {
            assert_eq!(meant(PARAMS, name, keys), key, "{name}");
        }
        let own = [ParamSpec::optional("Enable", ParamKind::Text, "Its own.")];
        assert_eq!(meant(&own, "enable", keys), None);
        let any = [ParamSpec::optional(ANY, ParamKind::Text, "Whatever.")];
        assert_eq!(meant(&any, "Enable", keys), Some("Enabled"));
    }

    #[test]
    fn the_last_priority_counts() {
        let of = |values: &[&str]| {
            let pairs: Vec<_> =
                values.iter().map(|value| ("priority".to_owned(), (*value).to_owned())).collect();
            priority(&pairs)
        };
        assert_eq!([of(&[]), of(&["7"]), of(&["7", " -2 "])], [0, 7, -2]);
    }
}
