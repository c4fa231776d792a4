//! What a program gets beside its arguments: the parameters as JSON, and its environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use actiond_actors::{Parameters, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::template::Taken;
use crate::aci::catalog::{ASYNC_COMMON, COMMON};

/// The prefix of the variables that are the server's own.
pub(super) const OWN: &str = "ACTIOND_";
const PARAM: &str = "ACTIOND_PARAM_";

/// The largest variable, name and value together: Linux takes 128 KB.
const MAX_VARIABLE: usize = 130_000;

/// The largest size of all parameters in the environment: arguments and environment share 2 MB on most systems.
const MAX_ENVIRONMENT: usize = 500_000;

/// The variables of the server's own environment that every program gets.
pub(crate) const PASSED_ON: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// An environment.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// Returns the part of the server's environment that programs get.
pub(super) fn base(
    of_server: impl Iterator<Item = (OsString, OsString)>,
    inherits_all: bool,
) -> Environment {
    let is_passed_on = |name: &OsStr| match inherits_all {
        // Those of an action in which the server itself may run say nothing of its actions.
        true => !name.as_bytes().starts_with(OWN.as_bytes()),
        false => PASSED_ON.iter().any(|passed| name == *passed),
    };
    of_server.filter(|(name, _)| is_passed_on(name)).collect()
}

/// Returns the parameters for the program: without those by which a client tells the server what to do with the action, unless
/// the command takes them.
fn for_program<'a>(
    given: &'a Parameters,
    takes: &[Taken],
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    given.iter().filter(|(name, _)| {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        let is_of_server = COMMON.iter().chain(ASYNC_COMMON).any(|spec| is(&spec.name));
        !is_of_server || takes.iter().any(|taken| is(&taken.name))
    })
}

/// Adds a variable for each parameter, but for those that no environment can hold. Where two have the same variable, one that
/// the command takes wins, and of others the one that was sent last.
pub(super) fn add_parameters(environment: &mut Environment, given: &Parameters, takes: &[Taken]) {
    let mut of_parameters = BTreeMap::new();
    for (name, value) in for_program(given, takes) {
        of_parameters.insert(variable(name), value.as_bytes());
    }
    for taken in takes {
        if let Some(value) = given.get_value(&taken.name) {
            of_parameters.insert(variable(&taken.name), value.as_bytes());
        }
    }
    let mut left = MAX_ENVIRONMENT;
    for (name, value) in of_parameters {
        let size = name.len() + value.len();
        if size <= MAX_VARIABLE.min(left) && !value.contains(&0) {
            left -= size;
            environment.insert(name.into(), OsStr::from_bytes(value).to_owned());
        }
    }
}

/// Returns the name of the variable for a parameter.
fn variable(name: &str) -> String {
    let name = name.chars().map(|c| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    });
    PARAM.chars().chain(name).collect()
}

/// Returns the parameters as one line of JSON: an object in which each name stands once, with the value that was sent last.
/// Those that the command takes have the name by which it calls them. Bytes are `{"base64": "..."}`.
pub(super) fn json(given: &Parameters, takes: &[Taken]) -> Vec<u8> {
    let mut all = serde_json::Map::new();
    let mut sent: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in for_program(given, takes) {
        let taken = takes.iter().find(|taken| taken.name.eq_ignore_ascii_case(name));
        let name = taken.map_or(name, |taken| &taken.name);
        // Names are compared without regard to case.
        if let Some(before) = sent.insert(name.to_ascii_lowercase(), name.to_owned()) {
            all.remove(&before);
        }
        let value = match value {
            Value::Text(text) => serde_json::Value::from(text.as_str()),
            Value::Bytes(bytes) => serde_json::json!({ "base64": BASE64.encode(bytes) }),
        };
        all.insert(name.to_owned(), value);
    }
    let mut line = serde_json::Value::Object(all).to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::super::template::Template;
    use super::*;

    fn takes(command: &str) -> Vec<Taken> {
        Template::parse(command).unwrap().takes
    }

    #[test]
    fn the_json_has_each_name_once() {
        let given = Parameters::from_iter([
            ("input", Value::from("a \"b\"\n")),
            ("Other", Value::from("1")),
            ("File", Value::Bytes(vec![0, 255])),
            ("OTHER", Value::from("2")),
        ]);
        let line = String::from_utf8(json(&given, &takes("p {Input} {More?}"))).unwrap();
        let expected =
            "{\"File\":{\"base64\":\"AP8=\"},\"Input\":\"a \\\"b\\\"\\n\",\"OTHER\":\"2\"}\n";
        assert_eq!(line, expected);
        assert_eq!(json(&Parameters::default(), &[]), b"{}\n");
    }

    #[test]
    fn the_environment_has_what_it_can_hold() {
        let given = Parameters::from_iter([
            ("my-größe", Value::from("1")),
            ("a-b", Value::from("of the command")),
            ("a_b", Value::from("another")),
            ("Nul", Value::from("a\0b")),
            ("Bytes", Value::Bytes(vec![0xFF])),
            ("Large", Value::from("x".repeat(MAX_VARIABLE))),
        ]);
        let mut environment = Environment::new();
        add_parameters(&mut environment, &given, &takes("p {A-b}"));
        let names: Vec<_> = environment.keys().map(|name| name.to_str().unwrap()).collect();
        let expected = ["ACTIOND_PARAM_A_B", "ACTIOND_PARAM_BYTES", "ACTIOND_PARAM_MY_GR__E"];
        assert_eq!(names, expected);
        assert_eq!(environment[OsStr::new("ACTIOND_PARAM_A_B")], "of the command");

        let many = (0..10).map(|i| (format!("p{i}"), "x".repeat(100_000)));
        let mut environment = Environment::new();
        add_parameters(&mut environment, &Parameters::from_iter(many), &[]);
        assert_eq!(environment.len(), 4);
    }

    #[test]
    fn what_is_meant_for_the_server_is_none_of_the_programs() {
        let of_server = COMMON.iter().chain(ASYNC_COMMON).map(|spec| spec.name.to_lowercase());
        let names: Vec<_> = of_server.chain(["input".to_owned()]).collect();
        assert!(names.len() > 8, "{names:?}");
        let given = || Parameters::from_iter(names.iter().map(|name| (name.as_str(), "1")));
        let got = |command: &str| {
            let mut environment = Environment::new();
            add_parameters(&mut environment, &given(), &takes(command));
            let variables = environment.into_keys().map(|name| name.into_string().unwrap());
            let json = String::from_utf8(json(&given(), &takes(command))).unwrap();
            (json, variables.collect::<Vec<_>>())
        };
        let (json, variables) = got("p {Input}");
        assert_eq!(json, "{\"Input\":\"1\"}\n");
        assert_eq!(variables, ["ACTIOND_PARAM_INPUT"]);
        let (json, variables) = got("p {Priority:0} {ActionID?}");
        assert_eq!(json, "{\"ActionID\":\"1\",\"Priority\":\"1\",\"input\":\"1\"}\n");
        let own = ["ACTIONID", "INPUT", "PRIORITY"].map(|name| format!("ACTIOND_PARAM_{name}"));
        assert_eq!(variables, own);
    }

    #[test]
    fn little_of_the_servers_own_is_passed_on() {
        let of_server = || {
            let all = [("PATH", "/bin"), ("SECRET", "x"), ("ACTIOND_TOKEN", "y"), ("LANG", "C")];
            all.into_iter().map(|(name, value)| (name.into(), value.into()))
        };
        let shown = |environment: Environment| {
            let all = environment.iter();
            let all = all.map(|(n, v)| format!("{}={}", n.to_string_lossy(), v.to_string_lossy()));
            all.collect::<Vec<_>>()
        };
        assert_eq!(shown(base(of_server(), false)), ["LANG=C", "PATH=/bin"]);
        let all = shown(base(of_server(), true));
        assert_eq!(all, ["LANG=C", "PATH=/bin", "SECRET=x"]);
    }
}
