//! The values of parameters that no log shows, and the text of a request without them.

use std::sync::LazyLock;

use actiond_actors::secrets::{MASK, SecretNames};
use percent_encoding::percent_decode_str;

use super::message::AciRequest;
use super::request_log::Noted;
use crate::aci::catalog::ParamSpec;
use crate::aci::queue_info::parameter;
use crate::aci::request::{PairValue, Pairs};
use crate::schedules::keys;

/// The secret parameters of actions that have none of their own: those that are well known.
pub(super) static WELL_KNOWN: SecretNames = SecretNames::WELL_KNOWN;

/// The parameters that the text of a request of a worker does not show: it says there what an action has come to, and the secrets of
/// the action may be in it.
pub(super) static OF_WORKERS: LazyLock<SecretNames> =
    LazyLock::new(|| ["Error", "Log", "Partial", "Result", "Stage"].into_iter().collect());

/// Returns the parameters that the text of a request about schedules does not show: those of any queue, and what holds others.
pub(super) fn of_schedules(of_queues: &SecretNames) -> SecretNames {
    of_queues.own().chain([keys::PARAMETERS]).collect()
}

/// Returns the names of the secret parameters of a queue: those that are marked where its parameters are described, and others.
pub(crate) fn secret_names(described: &[ParamSpec], others: &SecretNames) -> SecretNames {
    let marked = described.iter().filter(|param| param.is_secret).map(|param| &*param.name);
    marked.chain(others.own()).collect()
}

/// Returns the values that errors about a request must not show in the log.
pub(super) fn values(names: &SecretNames, pairs: &Pairs) -> Vec<String> {
    names.values(pairs.iter().map(|(name, value)| match value {
        PairValue::Text(text) => (of_filter(name), text.as_bytes()),
        PairValue::Bytes(bytes) => (of_filter(name), bytes.as_slice()),
    }))
}

/// Returns the name of the parameter that is looked for, if the name is that of a filter by one, else the name itself.
pub(super) fn of_filter(name: &str) -> &str {
    parameter(name).unwrap_or(name)
}

/// Notes the text for the log of a request whose target has secret values.
pub(super) fn hide_in(names: &SecretNames, request: &AciRequest, noted: &mut Noted) {
    if let Some(masked) = masked(&request.target, names) {
        noted.text = Some(masked);
    }
}

/// Returns true if each part of a target is one name with one value, so that the parameters that were read from it are all that
/// may be secret in it. So it is with nearly all, which then need not be searched.
pub(super) fn is_plain(target: &str) -> bool {
    let parts = target.trim_start_matches(['/', '?']);
    let count = |wanted: u8| parts.bytes().filter(|byte| *byte == wanted).count();
    count(b'=') <= count(b'&') + 1 && count(b'?') + count(b'/') == 0
}

/// Masks the values of secret parameters in a target; `None` if there are none. Whatever may be the name of one counts, so it may
/// mask more than that, and a target need not be well formed.
fn masked(target: &str, names: &SecretNames) -> Option<String> {
    if !target.split('&').any(|pair| secret_at(pair, names).is_some()) {
        return None;
    }
    let shown = target.split('&').map(|pair| match secret_at(pair, names) {
        Some(at) => format!("{}{MASK}", pair.split_at(at).0),
        None => pair.to_owned(),
    });
    Some(shown.collect::<Vec<_>>().join("&"))
}

/// Returns where the value begins that is to be masked in a part of a target.
fn secret_at(pair: &str, names: &SecretNames) -> Option<usize> {
    let ends = pair.bytes().enumerate().filter(|(_, byte)| *byte == b'=').map(|(at, _)| at);
    let is_secret = |end: &usize| {
        let before = pair.split_at(*end).0;
        // A name in the path, in the query, or behind a `?` that may belong to a value.
        let name = before.rsplit(['/', '?', '=']).next().unwrap_or_default();
        if name.contains(['%', '+']) {
            let name = name.replace('+', " ");
            return names.has(of_filter(percent_decode_str(&name).decode_utf8_lossy().trim()));
        }
        names.has(of_filter(name))
    };
    ends.filter(is_secret).map(|end| end + 1).find(|at| *at < pair.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_without_its_secrets() {
        let names = SecretNames::from_iter(["Pin"]);
        for (target, shown) in [
            ("/action=Run&Name=Ada", None),
            ("/action=Run&Name=Password=s3cret", Some("/action=Run&Name=Password=***")),
            ("/action=Run&Password=s3cret&Name=Ada", Some("/action=Run&Password=***&Name=Ada")),
            ("/action=Run&pin=1", Some("/action=Run&pin=***")),
            ("/Password=s3cret&action=Run", Some("/Password=***&action=Run")),
            ("/?Password=s3cret", Some("/?Password=***")),
            ("/action=Run?Password=a?b/c=d&x=1", Some("/action=Run?Password=***&x=1")),
            ("http://h/Password=s3cret", Some("http://h/Password=***")),
            ("/action=Run&Pass%77ord=s3cret", Some("/action=Run&Pass%77ord=***")),
            ("/action=Run&+Pin=s3cret", Some("/action=Run&+Pin=***")),
            ("/action=Run&%20Pin%20=a=b", Some("/action=Run&%20Pin%20=***")),
            ("/action=Run&Password=&Pin", None),
            ("/action=QueueInfo&Parameter.Pin=1", Some("/action=QueueInfo&Parameter.Pin=***")),
            ("/a=QueueInfo&parameter%2EPin=1", Some("/a=QueueInfo&parameter%2EPin=***")),
            ("/action=Run&Password=%zz", Some("/action=Run&Password=***")),
            ("", None),
        ] {
            assert_eq!(masked(target, &names).as_deref(), shown, "{target}");
        }
    }

    #[test]
    fn a_target_that_is_plain_has_no_secret_but_those_that_are_read() {
        for (target, is) in [
            ("/action=Run&Name=Ada", true),
            ("/?action=Run&Password=s3cret&Key=", true),
            ("action=Run", true),
            ("/action=Run?Password=a", false),
            ("/a/Password=s3cret", false),
            ("/action=Run&Name=Password=s3cret", false),
        ] {
            assert_eq!(is_plain(target), is, "{target}");
        }
    }
}
