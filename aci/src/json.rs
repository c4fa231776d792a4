//! The tree of a reply as JSON, in the two forms that clients ask for: `json` and `simplejson`.
//!
//! In `json` each element is an object whose text stands under `$`; in `simplejson` an element that is nothing but text
//! is a plain string. In both, attributes are members `@name`, every value is a string, and the prefix `autn:` is
//! dropped (observed). The same tree as XML: [`super::element`].

use std::borrow::Cow;
use std::collections::HashMap;

use super::element::{Content, Element, MAX_DEPTH, each_attribute, json_name, legal_text};

/// One of the two JSON forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonStyle {
    /// `ResponseFormat=json`: text is always `{"$":"..."}`.
    Full,
    /// `ResponseFormat=simplejson`: an element with nothing but text is a string.
    Simple,
}

/// Elements that may repeat, each with its parent (`*`: any). They are always arrays, so that a reply with
/// one looks like a reply with two, as current servers have it (observed). `responsedata` is the top of a reply.
///
/// The parent matters: `action` is also the name of a single element of a progress reply.
const LISTS: &[(&str, &str)] = &[
    ("actions", "action"),
    ("actions", "section"),
    ("section", "action"),
    ("documentcounts", "documentcount"),
    ("*", "identifiers"),
    ("identifiers", "identifier"),
    ("tasks", "success"),
    ("tasks", "failed"),
    ("importerrors", "importerror"),
    ("*", "item"),
    ("*", "engine"),
    ("children", "child"),
    ("queues", "queue"),
    ("reasons", "reason"),
    ("responsedata", "logentry"),
    ("responsedata", "request"),
    ("responsedata", "work"),
    ("responsedata", "schedule"),
    ("workers", "worker"),
    ("parameters", "parameter"),
    ("handlers", "handler"),
    ("history", "attempt"),
    ("log", "line"),
    ("progress", "stage"),
    ("stage", "stage"),
];

/// The container that has its list even when that is empty: clients read `actions.action` without a check.
pub(crate) const LIST_EVEN_IF_EMPTY: (&str, &str) = ("actions", "action");

/// Number of children up to which a linear search for each name is quicker than a map.
const FEW: usize = 16;

/// Appends the members that these children of `parent` (a name without prefix) make, without the braces around them.
///
/// Members come in the order in which their names first occur; children of one name share one array.
pub fn write_members(parent: &str, children: &[Element], style: JsonStyle, out: &mut Vec<u8>) {
    write_members_at(parent, children, style, 0, true, out);
}

/// Appends a string with its quotes; characters that XML forbids are replaced here too, so that the forms agree.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and any string can be written.
    let _ = serde_json::to_writer(out, &*legal_text(text));
}

/// Appends an element that is nothing but text, as its form has it.
pub(crate) fn write_text(text: &str, style: JsonStyle, out: &mut Vec<u8>) {
    match style {
        JsonStyle::Simple => write_string(text, out),
        JsonStyle::Full => {
            out.extend_from_slice(b"{\"$\":");
            write_string(text, out);
            out.push(b'}');
        }
    }
}

/// Appends the value of an element at this depth of the reply's data, without its name.
pub(crate) fn write_value(element: &Element, style: JsonStyle, depth: usize, out: &mut Vec<u8>) {
    if let (Content::Text(text), []) = (&element.content, element.attributes.as_slice()) {
        return write_text(text, style, out);
    }
    let mut first = true;
    out.push(b'{');
    each_attribute(&element.attributes, json_name, |name, value| {
        separate(&mut first, out);
        write_string(&format!("@{name}"), out);
        out.push(b':');
        write_string(value, out);
    });
    match &element.content {
        Content::Text(text) => {
            separate(&mut first, out);
            out.extend_from_slice(b"\"$\":");
            write_string(text, out);
        }
        Content::Elements(_) if depth >= MAX_DEPTH => {}
        Content::Elements(children) => {
            let parent = json_name(&element.name);
            write_members_at(&parent, children, style, depth.saturating_add(1), first, out);
        }
    }
    out.push(b'}');
}

fn write_members_at(
    parent: &str,
    children: &[Element],
    style: JsonStyle,
    depth: usize,
    mut first: bool,
    out: &mut Vec<u8>,
) {
    if children.is_empty() && parent == LIST_EVEN_IF_EMPTY.0 {
        separate(&mut first, out);
        write_string(LIST_EVEN_IF_EMPTY.1, out);
        out.extend_from_slice(b":[]");
    }
    for (name, group) in groups(children) {
        separate(&mut first, out);
        write_string(&name, out);
        out.push(b':');
        match group.as_slice() {
            [only] if !is_list(parent, &name) => write_value(only, style, depth, out),
            members => {
                out.push(b'[');
                let mut first = true;
                for member in members {
                    separate(&mut first, out);
                    write_value(member, style, depth, out);
                }
                out.push(b']');
            }
        }
    }
}

/// Gathers children of one name, names in order of first occurrence, in time linear in the number of children.
fn groups(children: &[Element]) -> Vec<(Cow<'_, str>, Vec<&Element>)> {
    let mut groups: Vec<(Cow<'_, str>, Vec<&Element>)> = Vec::new();
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for child in children {
        let name = json_name(&child.name);
        let place = if children.len() <= FEW {
            groups.iter().position(|(known, _)| *known == name)
        } else {
            let next = groups.len();
            Some(*places.entry(name.clone()).or_insert(next))
        };
        match place.and_then(|place| groups.get_mut(place)) {
            Some((_, group)) => group.push(child),
            None => groups.push((name, vec![child])),
        }
    }
    groups
}

fn is_list(parent: &str, name: &str) -> bool {
    LISTS.iter().any(|&(within, list)| list == name && (within == "*" || within == parent))
}

fn separate(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(children: &[Element], style: JsonStyle) -> String {
        let mut out = vec![b'{'];
        write_members("responsedata", children, style, &mut out);
        out.push(b'}');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_forms_by_table() {
        let e = Element::new;
        let t = |name: &'static str, text: &str| Element::text(name, text);
        let table: Vec<(Vec<Element>, &str, &str)> = vec![
            (vec![], "{}", "{}"),
            (vec![t("token", "MTA=")], r#"{"token":{"$":"MTA="}}"#, r#"{"token":"MTA="}"#),
            (vec![t("token", "")], r#"{"token":{"$":""}}"#, r#"{"token":""}"#),
            (
                vec![t("token", "a"), t("token", "b")],
                r#"{"token":[{"$":"a"},{"$":"b"}]}"#,
                r#"{"token":["a","b"]}"#,
            ),
            (vec![e("actions")], r#"{"actions":{"action":[]}}"#, r#"{"actions":{"action":[]}}"#),
            (vec![e("output")], r#"{"output":{}}"#, r#"{"output":{}}"#),
            (
                vec![e("actions").child(e("action").child(t("status", "Queued")))],
                r#"{"actions":{"action":[{"status":{"$":"Queued"}}]}}"#,
                r#"{"actions":{"action":[{"status":"Queued"}]}}"#,
            ),
            (
                vec![
                    e("action").child(
                        e("progress")
                            .child(t("percent", "1"))
                            .child(e("stage").attribute("title", "S")),
                    ),
                ],
                r#"{"action":{"progress":{"percent":{"$":"1"},"stage":[{"@title":"S"}]}}}"#,
                r#"{"action":{"progress":{"percent":"1","stage":[{"@title":"S"}]}}}"#,
            ),
            (
                vec![e("log").child(t("line", "one"))],
                r#"{"log":{"line":[{"$":"one"}]}}"#,
                r#"{"log":{"line":["one"]}}"#,
            ),
            (
                vec![
                    e("documentcounts")
                        .child(e("documentcount").attribute("errors", "0").attribute("task", "T")),
                ],
                r#"{"documentcounts":{"documentcount":[{"@errors":"0","@task":"T"}]}}"#,
                r#"{"documentcounts":{"documentcount":[{"@errors":"0","@task":"T"}]}}"#,
            ),
            (
                vec![
                    e("identifiers")
                        .attribute("self", "true")
                        .child(t("identifier", "ID").attribute("name", "N")),
                ],
                r#"{"identifiers":[{"@self":"true","identifier":[{"@name":"N","$":"ID"}]}]}"#,
                r#"{"identifiers":[{"@self":"true","identifier":[{"@name":"N","$":"ID"}]}]}"#,
            ),
            (
                vec![
                    e("request").child(
                        e("parameters")
                            .child(e("parameter").attribute("name", "a").attribute("value", "b")),
                    ),
                ],
                r#"{"request":[{"parameters":{"parameter":[{"@name":"a","@value":"b"}]}}]}"#,
                r#"{"request":[{"parameters":{"parameter":[{"@name":"a","@value":"b"}]}}]}"#,
            ),
            (
                vec![e("schedule").child(t("name", "Nightly"))],
                r#"{"schedule":[{"name":{"$":"Nightly"}}]}"#,
                r#"{"schedule":[{"name":"Nightly"}]}"#,
            ),
            // That of an action is one.
            (
                vec![e("action").child(t("schedule", "Nightly"))],
                r#"{"action":{"schedule":{"$":"Nightly"}}}"#,
                r#"{"action":{"schedule":"Nightly"}}"#,
            ),
            (
                vec![e("logentry").child(t("autn:request", "action=x"))],
                r#"{"logentry":[{"request":{"$":"action=x"}}]}"#,
                r#"{"logentry":[{"request":"action=x"}]}"#,
            ),
            (
                vec![t("autn:version", "1"), t("a", "2"), t("version", "3")],
                r#"{"version":[{"$":"1"},{"$":"3"}],"a":{"$":"2"}}"#,
                r#"{"version":["1","3"],"a":"2"}"#,
            ),
            (
                vec![t("a", "\u{1}\"\\\u{FFFF}\n")],
                "{\"a\":{\"$\":\"\u{FFFD}\\\"\\\\\u{FFFD}\\n\"}}",
                "{\"a\":\"\u{FFFD}\\\"\\\\\u{FFFD}\\n\"}",
            ),
        ];
        for (elements, full, simple) in table {
            assert_eq!(json(&elements, JsonStyle::Full), full);
            assert_eq!(json(&elements, JsonStyle::Simple), simple);
        }
    }

    #[test]
    fn many_children_group_as_few_do() {
        let children: Vec<_> =
            (0..100).map(|n| Element::text(format!("n{}", n % 3), n.to_string())).collect();
        let read: serde_json::Value =
            serde_json::from_str(&json(&children, JsonStyle::Simple)).unwrap();
        assert_eq!(read["n0"].as_array().unwrap().len(), 34);
        assert_eq!(read["n2"][1], "5");
        assert!(json(&children, JsonStyle::Simple).starts_with("{\"n0\":[\"0\",\"3\""));
    }

    #[test]
    fn deep_trees_are_cut() {
        let mut element = Element::new("e");
        for _ in 0..500 {
            element = Element::new("e").child(element);
        }
        assert_eq!(json(&[element], JsonStyle::Full).matches("\"e\"").count(), MAX_DEPTH + 1);
    }

    const NASTY: &str = "[\\x00-\\x7F\u{FFFD}-\u{FFFF}\u{2028}ü]{0,12}|\\PC{0,20}";

    proptest! {
        #[test]
        fn any_text_and_name_make_json(name in NASTY, text in NASTY, value in NASTY) {
            let element = Element::text(name.clone(), text.clone()).attribute(name.clone(), value.clone());
            let read: serde_json::Value = serde_json::from_str(&json(&[element], JsonStyle::Full)).unwrap();
            let name = json_name(&name).into_owned();
            let object = match &read[&name] { serde_json::Value::Array(list) => list[0].clone(), other => other.clone() };
            prop_assert_eq!(object["$"].as_str().unwrap(), &*legal_text(&text));
            prop_assert_eq!(object[format!("@{name}")].as_str().unwrap(), &*legal_text(&value));
        }
    }
}
