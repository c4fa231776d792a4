//! Echo: an action for first tries and load tests. It ends at once and repeats its parameters.
//!
//! `Sleep=SECONDS` makes it run that long: it then reports progress, can pause, and obeys a stop at
//! once. `Fail=TEXT` makes it end in Error with that text, after the sleep. The names are our choice.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{
    ActionContext, Content, Failure, Node, OnRestart, Parameters, Perform, Progress, Report, Value,
    Work,
};

use super::{ConfiguredQueue, ConfiguredQueues, Kind, Site, shorten};
use crate::aci::catalog::{ANY, ParamKind, ParamSpec, parse_seconds};
use crate::aci::shown::ShownParameter;
use crate::config::KindReader;

/// The longest sleep, in seconds: 365 days.
pub const MAX_SLEEP_SECS: u32 = 31_536_000;

/// The parameters of an Echo action.
pub const PARAMS: &[ParamSpec] = &[
    ParamSpec::optional(
        "Sleep",
        ParamKind::Seconds { max: MAX_SLEEP_SECS },
        "How long the action runs, in seconds, before it ends.",
    ),
    ParamSpec::optional("Fail", ParamKind::Text, "Makes the action end in Error with this text."),
    ParamSpec::optional(ANY, ParamKind::Text, "Anything else is repeated in the result."),
];

/// `Type=Echo`.
#[derive(Debug, Clone, Copy, Default)]
pub struct EchoKind;

impl Kind for EchoKind {
    fn word(&self) -> &'static str {
        "Echo"
    }

    fn summary(&self) -> &'static str {
        "Repeats its parameters; for first tries and load tests."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Requeue
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        config.each_queue(|_| Arc::new(Echo))
    }
}

impl ConfiguredQueue for Echo {
    fn performer(&self, _: &Site<'_>) -> Arc<dyn Perform> {
        Arc::new(*self)
    }
}

/// The performer of Echo actions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Perform for Echo {
    fn perform(&self, context: ActionContext) -> Work {
        match sleep_of(context.parameters()) {
            Err(failure) => Work::done(Err(failure)),
            Ok(None) => Work::done(outcome(context.parameters())),
            Ok(Some(length)) => Work::task(async move {
                sleep(&context, length).await?;
                outcome(context.parameters())
            }),
        }
    }

    fn can_pause(&self) -> bool {
        true
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Requeue
    }
}

/// Sleeps in slices: each one moves the progress and the partial result on.
async fn sleep(context: &ActionContext, length: Duration) -> Result<(), Failure> {
    // At least 100 ms, so that a sleep costs next to nothing; longer ones for long sleeps, so that
    // what each timer is late by does not add up to anything that counts.
    let slice = (length / 200).clamp(Duration::from_millis(100), Duration::from_secs(1));
    let mut slept = Duration::ZERO;
    loop {
        context
            .set_progress(Progress::of_percent(slept.as_secs_f64() * 100.0 / length.as_secs_f64()));
        context.set_partial(vec![Node::text("slept_ms", slept.as_millis().to_string())]);
        if slept >= length {
            return Ok(());
        }
        let next = slice.min(length.saturating_sub(slept));
        context.sleep(next).await?;
        slept += next;
    }
}

/// Returns the length of the sleep, or `None` if there is none; an empty value counts as missing.
fn sleep_of(parameters: &Parameters) -> Result<Option<Duration>, Failure> {
    let Some(given) = parameters.get_value("Sleep") else { return Ok(None) };
    if given.as_bytes().trim_ascii().is_empty() {
        return Ok(None);
    }
    let seconds = given.as_text().and_then(parse_seconds);
    match seconds.filter(|&seconds| seconds <= f64::from(MAX_SLEEP_SECS)) {
        Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds)).filter(|d| !d.is_zero())),
        None => Err(Failure::fatal(format!(
            "Sleep: \"{}\" is not allowed; allowed is a number of seconds from 0 to {MAX_SLEEP_SECS}, \
             such as 1.5",
            shorten(&String::from_utf8_lossy(given.as_bytes()))
        ))),
    }
}

/// Returns the outcome of the action once it has slept.
fn outcome(parameters: &Parameters) -> Result<Report, Failure> {
    match parameters.get_value("Fail") {
        None => Ok(repeat(parameters)),
        Some(text) if text.as_bytes().is_empty() => {
            Err(Failure::failed("the action was asked to fail"))
        }
        Some(text) => Err(Failure::failed(String::from_utf8_lossy(text.as_bytes()))),
    }
}

/// Makes a result of all parameters, in the form of `getActionParameters`.
fn repeat(parameters: &Parameters) -> Report {
    let all = parameters.iter().fold(Node::new("parameters"), |all, (name, value)| {
        let ShownParameter { attributes, text } = match value {
            Value::Text(text) => ShownParameter::of_text(name, text),
            Value::Bytes(bytes) => ShownParameter::of_bytes(name, bytes),
        };
        let content = text.map_or_else(Content::default, Content::Text);
        all.node(Node { attributes, content, ..Node::new("parameter") })
    });
    vec![all]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_a_plain_number_of_seconds_in_range() {
        let year = Duration::from_secs(31_536_000);
        for (text, expected) in [
            ("", None),
            (" ", None),
            ("0", None),
            ("0.0", None),
            ("1", Some(Duration::from_secs(1))),
            (" 1.5 ", Some(Duration::from_millis(1500))),
            ("0.25", Some(Duration::from_millis(250))),
            ("31536000", Some(year)),
            ("31536000.0", Some(year)),
        ] {
            let given = Parameters::from_iter([("sleep", text)]);
            assert_eq!(sleep_of(&given), Ok(expected), "{text}");
        }
        assert_eq!(sleep_of(&Parameters::default()), Ok(None));
    }

    #[test]
    fn a_bad_sleep_names_parameter_value_and_what_is_allowed() {
        for text in ["x", "-1", "+1", "1e3", "inf", "NaN", ".", "1.2.3", "1,5", "31536000.1"] {
            let given = Parameters::from_iter([("Sleep", text)]);
            let error = sleep_of(&given).unwrap_err().to_string();
            assert!(error.starts_with(&format!("Sleep: \"{text}\" ")), "{error}");
            assert!(error.contains("from 0 to 31536000"), "{error}");
        }
        let long = Parameters::from_iter([("Sleep", "9".repeat(1000))]);
        assert!(sleep_of(&long).unwrap_err().to_string().len() < 250);
        let bytes = Parameters::from_iter([("Sleep", Value::Bytes(vec![0xFF]))]);
        assert!(sleep_of(&bytes).is_err());
    }

    #[test]
    fn the_result_repeats_all_parameters_in_order() {
        let given = Parameters::from_iter([
            ("b", Value::from("2")),
            ("File", Value::Bytes(vec![0, 255])),
            ("b", Value::from("")),
        ]);
        let pair = |n, v| Node::new("parameter").attribute("name", n).attribute("value", v);
        let expected = Node::new("parameters")
            .node(pair("b", "2"))
            .node(pair("File", "AP8=").attribute("encoding", "base64"))
            .node(pair("b", ""));
        assert_eq!(outcome(&given), Ok(vec![expected]));
        assert_eq!(outcome(&Parameters::default()), Ok(vec![Node::new("parameters")]));
    }

    /// One such value would make the list of the whole queue unreadable for many clients.
    #[test]
    fn a_large_value_is_the_text_of_its_element() {
        let large = "x".repeat(600_000);
        let given = Parameters::from_iter([("Large", large.as_str())]);
        let Ok(report) = outcome(&given) else { panic!("it fails") };
        let pair = Node::text("parameter", large).attribute("name", "Large");
        assert_eq!(report, [Node::new("parameters").node(pair.attribute("length", 600_000))]);
    }

    #[test]
    fn fail_gives_the_text_of_the_error() {
        let given = Parameters::from_iter([("FAIL", "no <luck>")]);
        assert_eq!(outcome(&given), Err(Failure::failed("no <luck>")));
        let empty = Parameters::from_iter([("Fail", "")]);
        assert!(!outcome(&empty).unwrap_err().to_string().is_empty());
    }
}
