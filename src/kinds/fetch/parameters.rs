//! The parameters of a Fetch action: the tasks that it names, and requests that this server can't fulfil.
//!
//! A parameter that changes what is to be done, and is not supported, makes the action fail. Other unknown parameters are
//! named in a warning beside the result.

use actiond_actors::{Failure, Node, Parameters, Value};

use crate::aci::catalog::{ASYNC_COMMON, COMMON, ParamKind, ParamSpec};
use crate::kinds::shorten;

pub(super) const SYNCHRONIZE: &str = "Synchronize";
pub(super) const FETCH_ACTION: &str = "FetchAction";
pub(super) const TASK_SECTIONS: &str = "TaskSections";
const CONFIG_SECTION: &str = "ConfigSection";

/// The parameters of a Fetch action.
pub const PARAMS: &[ParamSpec] = &[
    ParamSpec::required(
        FETCH_ACTION,
        ParamKind::OneOf(&[SYNCHRONIZE]),
        "What to do: Synchronize tells Ingest what is new, changed or gone.",
    ),
    ParamSpec::optional(
        TASK_SECTIONS,
        ParamKind::Text,
        "The tasks to run, separated by commas; without it, all of them.",
    ),
    ParamSpec::optional(CONFIG_SECTION, ParamKind::Text, "The same as TaskSections."),
];

/// Parameters that narrow or change a run on servers that know them (source: the connectors' documentation of
/// Fetch), or acts for somebody who may see less.
const NARROWING: &[&str] =
    &["Identifiers", "IdentifiersXML", "IngestActions", "FailedDirectory", "SecurityInfo"];

/// Parameters that stand for settings of the configuration file: all of them, or one of a task or of `[Ingestion]`,
/// those that only other servers have too.
const SETTINGS: &[&str] = &[
    "Config",
    "AllowEmptyRoot",
    "DirectoryFileMatch",
    "DirectoryFileModifiedSince",
    "DirectoryPathCSVs",
    "DirectoryRecursive",
    "PathNoCrawlRegex",
    "ScheduleCycles",
    "ScheduleRepeatSecs",
    "ScheduleStartTime",
    "EnableIngestion",
    "IngestBatchSize",
    "IngesterType",
    "IngestHost",
    "IngestPort",
    "IngestQueue",
];

/// Number of ignored parameters that are named.
const NAMED: usize = 10;

/// Returns the value of a parameter without white space around it; an empty one counts as missing.
///
/// # Errors
///
/// It is not text.
pub(super) fn given<'p>(
    parameters: &'p Parameters,
    name: &str,
) -> Result<Option<&'p str>, Failure> {
    match parameters.get_value(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(Value::Bytes(bytes)) if bytes.is_empty() => Ok(None),
        Some(Value::Bytes(_)) => {
            Err(Failure::fatal(format!("{name}: bytes that are no UTF-8 text are not allowed")))
        }
    }
}

/// Returns the parameter by which the action names its tasks, and its value; `None` stands for all tasks.
///
/// # Errors
///
/// Two different lists, a value that is no text, or an empty list: a script whose variable is not set does not mean all of
/// them.
pub(super) fn sections(parameters: &Parameters) -> Result<Option<(&'static str, &str)>, Failure> {
    let [tasks, config] = [given(parameters, TASK_SECTIONS)?, given(parameters, CONFIG_SECTION)?];
    match (tasks, config) {
        (Some(tasks), Some(config)) if !tasks.eq_ignore_ascii_case(config) => {
            Err(Failure::fatal(format!(
                "{CONFIG_SECTION}: \"{}\" is not allowed beside {TASK_SECTIONS}=\"{}\"; both name the tasks to run, so give one of them",
                shorten(config),
                shorten(tasks)
            )))
        }
        (Some(tasks), _) => Ok(Some((TASK_SECTIONS, tasks))),
        (None, Some(config)) => Ok(Some((CONFIG_SECTION, config))),
        (None, None) => {
            let is_given = |name: &&str| parameters.get_value(name).is_some();
            match [TASK_SECTIONS, CONFIG_SECTION].into_iter().find(is_given) {
                Some(name) => Err(names_none(name)),
                None => Ok(None),
            }
        }
    }
}

/// The refusal of a list of tasks in which there is none.
pub(super) fn names_none(name: &str) -> Failure {
    Failure::fatal(format!(
        "{name}: it names no task; name those to run, or leave it out to run all of them"
    ))
}

/// Checks what the action is to do and how; returns a warning that names what is ignored, if anything is.
///
/// # Errors
///
/// A parameter without which something else would be done than was asked for.
pub(super) fn check(parameters: &Parameters) -> Result<Option<Node>, Failure> {
    match given(parameters, FETCH_ACTION)? {
        Some(name) if name.eq_ignore_ascii_case(SYNCHRONIZE) => {}
        None => {
            return Err(Failure::fatal(format!(
                "{FETCH_ACTION} is missing; allowed is {SYNCHRONIZE}"
            )));
        }
        Some(other) => {
            return Err(Failure::fatal(format!(
                "{FETCH_ACTION}: \"{}\" is not allowed; allowed is {SYNCHRONIZE}",
                shorten(other)
            )));
        }
    }
    let mut ignored: Vec<&str> = Vec::new();
    let mut more = 0;
    for (name, value) in parameters.iter() {
        let is_in = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let is_known =
            |specs: &[ParamSpec]| specs.iter().any(|p| p.name.eq_ignore_ascii_case(name));
        // An empty setting is a setting, but an empty parameter counts as missing.
        if name.trim_start().starts_with('[') || (is_in(SETTINGS) && !is_empty(value)) {
            return Err(Failure::fatal(format!(
                "{}: settings can't be given with an action here; set them in the configuration file",
                shorten(name)
            )));
        }
        if is_in(NARROWING) && !is_empty(value) {
            return Err(Failure::fatal(format!(
                "{}: {SYNCHRONIZE} can't take this into account; leave it out, and the tasks run as they are configured",
                shorten(name)
            )));
        }
        let is_told = ignored.iter().any(|known| known.eq_ignore_ascii_case(name));
        // An empty list of documents may be a mistake, so it is not ignored silently.
        if is_told
            || (is_empty(value) && !is_in(NARROWING))
            || [PARAMS, COMMON, ASYNC_COMMON].into_iter().any(is_known)
        {
            continue;
        }
        if ignored.len() < NAMED {
            ignored.push(name);
        } else {
            more += 1;
        }
    }
    if ignored.is_empty() {
        return Ok(None);
    }
    let names: Vec<_> = ignored.into_iter().map(shorten).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(Some(Node::text(
        "warning",
        format!(
            "{SYNCHRONIZE} does not know these parameters and ignored them: {}{more}",
            names.join(", ")
        ),
    )))
}

fn is_empty(value: &Value) -> bool {
    value.as_bytes().trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pairs: &[(&str, &str)]) -> Result<Option<Node>, String> {
        let sync = [("FetchAction", "synchronize")];
        let given = Parameters::from_iter(sync.iter().chain(pairs).copied());
        check(&given).map_err(|failure| failure.to_string())
    }

    #[test]
    fn there_is_one_fetch_action() {
        for (action, expected) in [
            ("SYNCHRONIZE ", Ok(None)),
            (" ", Err("FetchAction is missing; allowed is Synchronize")),
            ("Collect", Err("FetchAction: \"Collect\" is not allowed; allowed is Synchronize")),
        ] {
            let got = check(&Parameters::from_iter([("fetchAction", action)]));
            let expected = expected.map_err(ToOwned::to_owned);
            assert_eq!(got.map_err(|failure| failure.to_string()), expected, "{action}");
        }
        let error = check(&Parameters::default()).unwrap_err().to_string();
        assert_eq!(error, "FetchAction is missing; allowed is Synchronize");
    }

    #[test]
    fn what_would_change_the_run_is_refused_by_name() {
        for (name, value) in [
            ("Identifiers", "a,b"),
            ("identifiersxml", "<x/>"),
            ("IngestActions", "META:A=B"),
            ("Config", "W1NlcnZlcl0="),
            ("failedDirectory", "/tmp/failed"),
            ("SecurityInfo", "x"),
            ("[DIR1]DirectoryPathCSVs", "/etc"),
            ("[Ingestion]IngestHost", ""),
            ("directorypathcsvs", "/etc"),
            ("DirectoryFileModifiedSince", "2012-JAN-01 00:00:01"),
            ("EnableIngestion", "false"),
        ] {
            let error = checked(&[("Other", "1"), (name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        }
        for name in ["Config", "IngestHost"] {
            assert_eq!(checked(&[(name, " ")]), Ok(None), "{name}");
        }
        // It runs, and says that it took no notice.
        let told = checked(&[("Identifiers", "")]).unwrap().unwrap();
        assert!(format!("{:?}", told.content).contains("ignored them: Identifiers\""), "{told:?}");
    }

    #[test]
    fn every_setting_of_tasks_and_ingestion_is_known_as_such() {
        let text = crate::config::describe(&crate::kinds::Kinds::shipped());
        let mut section = String::new();
        let mut count = 0;
        for line in text.lines().map(|line| line.trim_start_matches("# ")) {
            if line.starts_with('[') {
                section = line.to_owned();
            } else if let ("[DIR1]" | "[Ingestion]", Some((key, _))) =
                (section.as_str(), line.split_once('=').filter(|_| !line.starts_with("//")))
            {
                assert!(SETTINGS.contains(&key), "{key}");
                count += 1;
            }
        }
        assert_eq!(count, 12);
    }

    #[test]
    fn what_is_not_known_is_named_in_a_warning() {
        let common =
            [("ActionID", "1"), ("responseformat", "json"), ("Priority", "1"), ("Sync", "true")];
        assert_eq!(checked(&common), Ok(None));
        assert_eq!(
            checked(&[("TaskSections", "a"), ("configSection", "a"), ("Empty", "")]),
            Ok(None)
        );
        let warned = |pairs: &[(&str, &str)]| {
            let node = checked(pairs).unwrap().unwrap();
            assert_eq!((&*node.name, node.attributes.len()), ("warning", 0));
            format!("{:?}", node.content)
        };
        let told =
            warned(&[("Destination", "/x"), ("ActionID", "1"), ("b", "1"), ("DESTINATION", "2")]);
        assert!(told.contains("ignored them: Destination, b\""), "{told}");
        let many: Vec<String> = (0..13).map(|i| format!("p{i}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
        let told = warned(&many);
        assert!(told.contains("p8, p9 and 3 more") && !told.contains("p10"), "{told}");
        assert!(warned(&[(&"x".repeat(5_000), "1")]).len() < 400);
    }

    #[test]
    fn the_tasks_have_two_names() {
        for (pairs, expected) in [
            (&[][..], Ok(None)),
            (&[("tasksections", "a,b")], Ok(Some(("TaskSections", "a,b")))),
            (&[("configSection", " MyTask0 ")], Ok(Some(("ConfigSection", "MyTask0")))),
            (&[("ConfigSection", "a"), ("TaskSections", "")], Ok(Some(("ConfigSection", "a")))),
            (
                &[("ConfigSection", "")],
                Err(
                    "ConfigSection: it names no task; name those to run, or leave it out to run all of them",
                ),
            ),
            (
                &[("configsection", " "), ("tasksections", "")],
                Err(
                    "TaskSections: it names no task; name those to run, or leave it out to run all of them",
                ),
            ),
            (&[("ConfigSection", "a"), ("TaskSections", "A")], Ok(Some(("TaskSections", "A")))),
            (
                &[("ConfigSection", "a"), ("TaskSections", "b")],
                Err(
                    "ConfigSection: \"a\" is not allowed beside TaskSections=\"b\"; both name the tasks to run, so give one of them",
                ),
            ),
        ] {
            let parameters = Parameters::from_iter(pairs.iter().copied());
            let got = sections(&parameters).map_err(|failure| failure.to_string());
            assert_eq!(got, expected.map_err(ToOwned::to_owned), "{pairs:?}");
        }
    }

    #[test]
    fn bytes_are_no_name() {
        for name in ["TaskSections", "ConfigSection", "FetchAction"] {
            let value = Value::Bytes(vec![0xFF, 0xFE]);
            let sync = ("FetchAction", Value::Text("Synchronize".into()));
            let parameters = Parameters::from_iter([sync, (name, value)]);
            let error = check(&parameters).and(sections(&parameters).map(drop)).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name}: bytes")), "{error}");
        }
    }
}
