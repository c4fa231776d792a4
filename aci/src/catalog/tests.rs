//! Tests of how requests are checked, and of the help.

use proptest::prelude::*;

use super::builtin::QUEUE_INFO;
use super::*;
use crate::response::{ResponseFormat, success};

const SPEC: ActionSpec<'static> = ActionSpec {
    name: "Try",
    summary: "Tries <things>.",
    asynchronous: true,
    role: StandardRole::Query,
    params: &[
        ParamSpec::required("Text", ParamKind::Text, "Some text."),
        ParamSpec::optional("Number", ParamKind::Integer { min: -1, max: 5 }, "A number."),
        ParamSpec::optional("Delay", ParamKind::Seconds { max: 60 }, "A delay."),
    ],
};

fn verdict(spec: &ActionSpec<'_>, pairs: &[(&str, &str)], strict: bool) -> Result<(), AciError> {
    validate(spec, spec.common(), &pairs.iter().copied().collect(), strict)
}

#[test]
fn values_are_checked_by_kind() {
    let token = Token { host: "h".to_owned(), port: 1, queue: "Q".to_owned(), queued_ms: 1, id: 1 }
        .encode();
    let words: &[&str] = &["one", "two"];
    let table: [(ParamKind, &[&str], &[&str]); 10] = [
        (ParamKind::Text, &["", "x"], &[]),
        (
            ParamKind::Integer { min: -1, max: 5 },
            &["-1", "0", "+5", "5"],
            &["-2", "6", "1.0", "x", "", "99999999999999999999"],
        ),
        (
            ParamKind::Seconds { max: 60 },
            &["0", "60", "1.5", "1.", "60.0"],
            &["60.1", "-1", "+1", "1e1", "inf", "NaN", ".5", "1.2.3", ""],
        ),
        (ParamKind::Boolean, &["true", "FALSE", "1", "0", "Yes", "no"], &["", "on", "2", "truee"]),
        (ParamKind::OneOf(words), &["one", "TWO"], &["", "three", "one,two"]),
        (ParamKind::ListOf(words), &["one", "Two, ONE", "one,,"], &["three", "one;two", "one two"]),
        (
            ParamKind::Token,
            &[&token, token.trim_end_matches('=')],
            &["", "x", "MTAuMi4xMDUuMzQ6MTIzNDpGRVRDSDoxNDAyOTU3MzY4"],
        ),
        (ParamKind::Queue, &["Fetch"], &[""]),
        (ParamKind::Time, &["2014-07-17 15:00:00", "15:00", "0"], &["", "soon"]),
        (ParamKind::EarliestStart, &["+90", " 90", "15:00", "1405636260"], &["90", "soon", "-1"]),
    ];
    for (kind, good, bad) in table {
        good.iter().for_each(|text| assert!(kind.accepts(text), "{kind:?} {text}"));
        bad.iter().for_each(|text| assert!(!kind.accepts(text), "{kind:?} {text}"));
        assert!(!kind.allowed().is_empty());
    }
}

#[test]
fn requests_are_checked_by_table() {
    type Row<'a> = (&'a [(&'a str, &'a str)], bool, Result<(), &'a str>);
    let table: [Row<'_>; 17] = [
        (&[("text", "x")], false, Ok(())),
        (
            &[
                ("TEXT", "x"),
                ("number", " 5 "),
                ("delay", "0.5"),
                ("priority", "-3"),
                ("sync", "yes"),
            ],
            true,
            Ok(()),
        ),
        (&[], false, Err("The parameter Text is required")),
        (&[("Text", " ")], false, Err("The parameter Text is required")),
        (&[("Text", "x"), ("Number", "")], false, Ok(())),
        (&[("Text", "x"), ("Number", "6")], false, Err("The parameter Number has the value '6'.")),
        (
            &[("Text", "x"), ("Number", "six"), ("Number", "1")],
            false,
            Err("The parameter Number has the value 'six'."),
        ),
        (
            &[("Text", "x"), ("responseformat", "yaml")],
            false,
            Err("The parameter ResponseFormat has the value 'yaml'."),
        ),
        (
            &[("Text", "x"), ("Wait", "3601")],
            false,
            Err("The parameter Wait has the value '3601'."),
        ),
        (&[("Text", "x"), ("NotBefore", " 90")], false, Ok(())),
        (
            &[("Text", "x"), ("NotBefore", " ")],
            true,
            Err("The parameter NotBefore has the value ' '. Allowed: + and seconds from now"),
        ),
        (
            &[("Text", "x"), ("NotBefore", "+90"), ("notbefore", "")],
            false,
            Err("The parameter NotBefore has the value ''. Allowed: + and seconds from now"),
        ),
        (
            &[("Text", "x"), ("NotBefore", "90")],
            false,
            Err(
                "The parameter NotBefore has the value '90'. Allowed: + and seconds from now, such as +90",
            ),
        ),
        (&[("Text", "x"), ("Other", "1")], false, Ok(())),
        (&[("Text", "x"), ("Other", "1")], true, Err("The action has no parameter 'Other',")),
        (&[("Text", "x"), ("Idempotency-Key", "k"), ("ActionID", "me")], true, Ok(())),
        (&[("Text", "x"), ("", "1")], true, Err("The action has no parameter '',")),
    ];
    for (pairs, strict, expected) in table {
        match (verdict(&SPEC, pairs, strict), expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(begins)) => {
                assert!(error.description.starts_with(begins), "{pairs:?}: {error}");
            }
            (found, _) => panic!("{pairs:?}: {found:?}"),
        }
    }
}

#[test]
fn strict_errors_name_the_nearest_parameter() {
    let hint =
        |name: &str| verdict(&SPEC, &[("Text", "x"), (name, "1")], true).unwrap_err().description;
    assert!(hint("Numbr").ends_with(" Is Number meant?"));
    assert!(hint("responsformat").ends_with(" Is ResponseFormat meant?"));
    assert!(!hint("Elephant").contains("meant?"));
}

#[test]
fn an_action_may_take_any_parameter() {
    let any = ParamSpec::optional(ANY, ParamKind::Text, "Anything.");
    let spec = ActionSpec { params: &[any], ..SPEC };
    assert_eq!(verdict(&spec, &[("[Section]Key", "1")], true), Ok(()));
    assert!(verdict(&spec, &[("Priority", "high")], true).is_err());
}

#[test]
fn bytes_are_only_for_text() {
    for (name, expected) in [("Text", true), ("Number", false)] {
        let mut pairs: Pairs = [("Text", "x")].into_iter().collect();
        pairs.push(name, PairValue::Bytes(vec![0xFF]));
        assert_eq!(validate(&SPEC, SPEC.common(), &pairs, false).is_ok(), expected, "{name}");
    }
}

#[test]
fn an_argument_is_anything_without_a_nul_byte() {
    let specs = [
        ParamSpec::required("In", ParamKind::Argument, "A file."),
        ParamSpec::optional(ANY, ParamKind::Argument, "Anything."),
    ];
    let spec = ActionSpec { params: &specs, ..SPEC };
    for text in ["", " ", "-x", "a\nb"] {
        assert_eq!(verdict(&spec, &[("in", text), ("Other", text)], true), Ok(()), "{text:?}");
    }
    let names_it = |error: AciError, name: &str| assert!(error.description.contains(name));
    names_it(verdict(&spec, &[("In", "a\0b")], false).unwrap_err(), "parameter In ");
    names_it(
        verdict(&spec, &[("In", ""), ("Other", "\0")], false).unwrap_err(),
        "parameter Other ",
    );
    assert_eq!(verdict(&spec, &[], false).unwrap_err().code, "ERRORPARAMMISSING");
    for (name, bytes, expected) in [("In", 255, true), ("In", 0, false), ("Other", 0, true)] {
        let mut pairs: Pairs = [("In", "x")].into_iter().collect();
        pairs.push(name, PairValue::Bytes(vec![bytes]));
        assert_eq!(validate(&spec, spec.common(), &pairs, false).is_ok(), expected, "{name}");
    }
}

#[test]
fn no_table_has_a_name_twice() {
    for spec in BUILTIN {
        let common = spec.common().iter().copied().flatten();
        let common = common.map(|param| param.name.to_lowercase());
        let mut names: Vec<_> = spec
            .params
            .iter()
            .map(|param| param.name.to_lowercase())
            // An action may say more of a common one.
            .chain(common.filter(|name| spec.find(name).is_none()))
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{}", spec.name);
    }
}

#[test]
fn the_help_shows_every_action_and_parameter() {
    let actions: Vec<_> = BUILTIN.iter().chain([&SPEC]).collect();
    let xml =
        String::from_utf8(success("help", &help_elements(&actions), ResponseFormat::Xml)).unwrap();
    let page = help_html(&actions, "actiond & Co", "/aci");
    for spec in &actions {
        assert!(xml.contains(&format!("<name>{}</name>", spec.name)), "{}", spec.name);
        assert!(page.contains(&format!("<h2 id=\"{}\">", spec.name)), "{}", spec.name);
        for param in spec.params.iter().chain(spec.common().iter().copied().flatten()) {
            assert!(xml.contains(&format!("<parameter name=\"{}\"", param.name)), "{}", param.name);
            let shown = if param.name == ANY { "any other name" } else { &*param.name };
            assert!(page.contains(&format!("<code>{shown}</code>")), "{shown}");
        }
    }
    assert!(page.contains("<h1>actiond &amp; Co</h1>") && page.contains("Tries &lt;things&gt;."));
    // A link must not queue anything; one that only shows a queue may be followed.
    assert!(page.contains("<p><code>/aci/action=Try&amp;Text=...</code></p>"));
    assert!(page.contains(
        "<a href=\"/aci/action=QueueInfo&amp;QueueAction=getStatus&amp;QueueName=Try\">"
    ));
}

#[test]
fn the_example_requests_of_the_help_pass_the_check() {
    let actions: Vec<_> = BUILTIN.iter().chain([&SPEC]).collect();
    for spec in &actions {
        for example in help::examples(spec, &actions) {
            let raw = crate::request::RawRequest {
                target: &example,
                content_type: None,
                body: &[],
                max_input_string: 999,
                max_upload: 0,
            };
            let request = crate::request::parse(&raw).unwrap();
            assert_eq!(validate(spec, spec.common(), &request.pairs, true), Ok(()), "{example}");
        }
    }
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(name in "[A-Za-z-]{0,12}|\\PC{0,80}", text in any::<String>()) {
        for spec in [&QUEUE_INFO, &SPEC] {
            let _ = verdict(spec, &[(&name, &text)], true);
            for param in spec.params {
                let _ = verdict(spec, &[(&param.name, &text)], false);
            }
        }
    }
}
