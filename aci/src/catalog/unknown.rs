//! Parameters that an action does not know, where it can't be left open what they were meant for.

use super::{ANY, ActionSpec};
use crate::error::AciError;
use crate::request::Pairs;
use crate::words::{nearest, shorten};

/// Number of parameters that a warning names.
const MAX_TOLD: usize = 5;

/// Refuses parameters that an action does not know, and those without a value, beside a command (`refuser`) that changes something:
/// they may have been meant to narrow it.
///
/// # Errors
///
/// [`AciError::unknown_parameter`] or [`AciError::invalid`], for the first of them.
pub fn refuse_unknown(spec: &ActionSpec<'_>, pairs: &Pairs, refuser: &str) -> Result<(), AciError> {
    for (name, _) in pairs.iter() {
        if !is_known(spec, name) {
            return Err(AciError::unknown_parameter(name, refuser, nearest(name, names(spec))));
        }
        if pairs.value(name).is_some() && pairs.given(name).is_none() {
            let allowed = format!("for {refuser}, a value for each parameter that is sent");
            return Err(AciError::invalid(name, "", &allowed));
        }
    }
    Ok(())
}

/// Returns a warning about parameters that an action does not know and that have no effect.
#[must_use]
pub fn warn_of_unknown(spec: &ActionSpec<'_>, pairs: &Pairs) -> Option<String> {
    let unknown = pairs.iter().map(|(name, _)| name).filter(|name| !is_known(spec, name));
    without_effect(unknown, || names(spec), spec.name)
}

/// Returns a warning about these parameters, which `whom` does not know; `known` are those that may have been meant.
pub(crate) fn without_effect<'p, 'k, K: Iterator<Item = &'k str>>(
    mut unknown: impl Iterator<Item = &'p str>,
    known: impl Fn() -> K,
    whom: &str,
) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for name in unknown.by_ref().take(MAX_TOLD) {
        let hint = nearest(name, known()).map(|near| format!(" (is {near} meant?)"));
        told.push(format!("'{}'{}", shorten(name), hint.unwrap_or_default()));
    }
    let more = unknown.count();
    if more > 0 {
        told.push(format!("{more} more"));
    }
    let one = told.len() == 1;
    (!told.is_empty()).then(|| {
        let parameters = if one { "This parameter is" } else { "These parameters are" };
        format!("{parameters} not known to {whom} and had no effect: {}.", told.join(", "))
    })
}

/// Goes through the names of all parameters of an action.
fn names<'s>(spec: &'s ActionSpec<'_>) -> impl Iterator<Item = &'s str> {
    let all = spec.params.iter().chain(spec.common().iter().copied().flatten());
    all.map(|param| &*param.name).filter(|name| *name != ANY)
}

/// Tells whether an action has a parameter of this name, in any case.
#[must_use]
pub fn is_known(spec: &ActionSpec<'_>, name: &str) -> bool {
    names(spec).any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::super::builtin::{EVENT_INFO, SCHEDULE_INFO};
    use super::*;

    fn pairs(sent: &[&str]) -> Pairs {
        Pairs::from_iter(sent.iter().map(|sent| sent.split_once('=').unwrap()))
    }

    #[test]
    fn what_a_command_does_not_know_is_refused() {
        for (sent, words) in [
            (&["EventAction=discard", "Hander=nope"][..], "Hander"),
            (&["EventAction=discard", "Hander=nope"], "Is Handler meant"),
            (&["EventAction=discard", "Handler="], "a value for each parameter"),
        ] {
            let error = refuse_unknown(&EVENT_INFO, &pairs(sent), "EventAction=discard");
            let error = error.unwrap_err().to_string();
            assert!(error.contains(words), "{sent:?}: {error}");
        }
        let known = ["eventaction=retry", "HANDLER=H", "ActionID=mine", "responseformat=json"];
        assert_eq!(refuse_unknown(&EVENT_INFO, &pairs(&known), "EventAction=retry"), Ok(()));
        let pause = ["ScheduleAction=pause", "ScheduleNam=Nightly"];
        assert!(refuse_unknown(&SCHEDULE_INFO, &pairs(&pause), "ScheduleAction=pause").is_err());
    }

    #[test]
    fn what_a_list_does_not_know_is_told() {
        assert_eq!(warn_of_unknown(&EVENT_INFO, &pairs(&["Handler=H"])), None);
        let one = warn_of_unknown(&EVENT_INFO, &pairs(&["Hander=H"])).unwrap();
        assert_eq!(
            one,
            "This parameter is not known to EventInfo and had no effect: 'Hander' (is Handler meant?)."
        );
        let many: Vec<String> =
            (0..7).map(|number| format!("{number}{number}{number}=1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let many = warn_of_unknown(&SCHEDULE_INFO, &pairs(&many)).unwrap();
        assert!(many.starts_with("These parameters are not known to ScheduleInfo"), "{many}");
        assert!(many.contains("'444', 2 more.") && !many.contains("'555'"), "{many}");
    }
}
