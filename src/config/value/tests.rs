//! Texts that are values of each kind, and texts that are refused.

use proptest::prelude::*;

use super::*;

const NUMBER: ValueKind = ValueKind::Integer { min: 1, max: 9, unlimited: false };
const OPEN: ValueKind = ValueKind::Integer { min: 1, max: 9, unlimited: true };
const ONE: ValueKind = ValueKind::OneOf(&["Requeue", "Fail"]);
const SOME: ValueKind = ValueKind::ListOf(&["idx", "json"]);

#[test]
fn good_values() {
    let table = [
        (NUMBER, "1", "Integer(1)"),
        (NUMBER, "9", "Integer(9)"),
        (OPEN, "-1", "Integer(-1)"),
        (ValueKind::Seconds { max: 5 }, "0", "Integer(0)"),
        (ValueKind::Boolean, "TRUE", "Boolean(true)"),
        (ValueKind::Boolean, "no", "Boolean(false)"),
        (ValueKind::Boolean, "Y", "Boolean(true)"),
        (ValueKind::Boolean, "n", "Boolean(false)"),
        (ONE, "FAIL", "Word(\"Fail\")"),
        (SOME, "JSON, idx,json", "Words([\"json\", \"idx\"])"),
        (ValueKind::Addresses, "LocalHost", "Addresses([127.0.0.1])"),
        (ValueKind::Addresses, "[::1]", "Addresses([::1])"),
        (
            ValueKind::Addresses,
            "10.0.0.7, ::1,127.0.0.1,[::1],",
            "Addresses([10.0.0.7, ::1, 127.0.0.1])",
        ),
        (ValueKind::Host, "[2001:DB8::1]", "Text(\"2001:db8::1\")"),
        (ValueKind::Host, "a-b_c.example.org", "Text(\"a-b_c.example.org\")"),
        (ValueKind::Hosts, "A.example,[::1], *", "Texts([\"a.example\", \"::1\", \"*\"])"),
        (ValueKind::Origins, "HTTPS://A.org:443,*", "Texts([\"https://a.org\", \"*\"])"),
        (ValueKind::Name, "A_b-9", "Text(\"A_b-9\")"),
        (ValueKind::Path, "C:\\a b, c", "Text(\"C:\\\\a b, c\")"),
        (ValueKind::Paths, "a, \"b,c\"", "Texts([\"a\", \"b,c\"])"),
        (ValueKind::Regex, "^a/b$", "Regex(Regex(\"^a/b$\"))"),
    ];
    for (kind, text, want) in table {
        let got = kind.parse(text).map(|value| format!("{value:?}"));
        assert_eq!(got, Ok(want.to_owned()), "{kind:?} {text:?}");
    }
}

#[test]
fn bad_values_are_told_what_is_allowed() {
    let long = "a".repeat(254);
    let table = [
        (NUMBER, "0", "must be a whole number from 1 to 9"),
        (NUMBER, "-1", "must be a whole number from 1 to 9"),
        (NUMBER, "10", "must be a whole number from 1 to 9"),
        (NUMBER, "2.5", "must be a whole number"),
        (NUMBER, "99999999999999999999", "must be a whole number"),
        (NUMBER, "", "is empty: it must be a whole number from 1 to 9; without the line"),
        (NUMBER, "+1", "must be a whole number from 1 to 9"),
        (OPEN, "-2", "from 1 to 9, or -1 for unlimited"),
        (OPEN, "+1", "from 1 to 9, or -1 for unlimited"),
        (OPEN, "-01", "from 1 to 9, or -1 for unlimited"),
        (ValueKind::Seconds { max: 5 }, "+5", "whole seconds from 0 to 5"),
        (ValueKind::Seconds { max: 5 }, "-0", "whole seconds from 0 to 5"),
        (ValueKind::Seconds { max: 5 }, "6", "whole seconds from 0 to 5"),
        (ValueKind::Seconds { max: 5 }, "-1", "whole seconds from 0 to 5"),
        (ValueKind::Boolean, "maybe", "true or false"),
        (ONE, "Retry", "one of Requeue, Fail"),
        (SOME, "idx,xml", "one or more of idx, json"),
        (SOME, ",", "has no item"),
        (ValueKind::Addresses, "example.org", "IP addresses with commas"),
        (ValueKind::Addresses, "::1,example.org", "or localhost for 127.0.0.1"),
        (ValueKind::Addresses, ",", "has no item: must be IP addresses"),
        (ValueKind::Host, "a:b", "a host name"),
        (ValueKind::Host, "a b", "a host name"),
        (ValueKind::Host, &long, "a host name"),
        (ValueKind::Hosts, "a.org:80", "must be IP addresses or host names without ports"),
        (ValueKind::Hosts, ",", "has no item: must be"),
        (ValueKind::Origins, "a.org", "must be origins such as https://"),
        (ValueKind::Origins, "null", "must be origins such as https://"),
        (ValueKind::Name, "a b", "1 to 64 characters"),
        (ValueKind::Name, &long, "1 to 64 characters"),
        (ValueKind::Paths, "\"a", "has a double quote that is not closed"),
        (ValueKind::Regex, "a(b", "unclosed group"),
        (ValueKind::Regex, "(a{1000}){1000}", "exceeds size limit"),
    ];
    for (kind, text, want) in table {
        let got = kind.parse(text).unwrap_err();
        assert!(got.contains(want), "{kind:?} {text:?}: {got}");
    }
}

proptest! {
    #[test]
    fn no_value_makes_a_kind_panic(text in "\\PC{0,40}|[\"\",a ]{0,20}") {
        let kinds = [NUMBER, OPEN, ONE, SOME, ValueKind::Boolean, ValueKind::Addresses, ValueKind::Host,
            ValueKind::Hosts, ValueKind::Origins, ValueKind::Name, ValueKind::Path, ValueKind::Paths, ValueKind::Wildcards, ValueKind::Regex];
        for kind in kinds {
            if let Err(reason) = kind.parse(&text) {
                prop_assert!(reason.contains("must be"));
            }
        }
    }
}
