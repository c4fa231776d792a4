//! Results that come from outside: XML elements, a JSON object, or text.

use std::sync::Arc;

use actiond_actors::{Content, Node, Report};
use serde_json::Value;

use crate::aci::shown::STATUS_ELEMENTS;
use crate::documents::xml::{Piece, StrictReader};

/// Largest number of elements and attributes of a result; one with more is shown as text. Each takes much more memory than
/// its shortest form.
const MAX_ELEMENTS: usize = 200_000;

/// Deepest nesting of elements that a result may have, here and when it is kept.
pub(crate) const MAX_DEPTH: usize = 50;

/// The name of the element that holds what is no structured result.
pub(crate) const OUTPUT: &str = "output";

/// The name of the element that tells whether a program that was stopped has ended by itself.
pub(crate) const STOPPED_BY: &str = "stopped_by";

/// The form that a result must have to be more than text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// XML elements, or a JSON object.
    Any,
    #[cfg(unix)]
    Xml,
    #[cfg(unix)]
    Json,
}

impl Form {
    const fn may_be_xml(self) -> bool {
        match self {
            Self::Any => true,
            #[cfg(unix)]
            Self::Xml => true,
            #[cfg(unix)]
            Self::Json => false,
        }
    }

    const fn may_be_json(self) -> bool {
        match self {
            Self::Any => true,
            #[cfg(unix)]
            Self::Xml => false,
            #[cfg(unix)]
            Self::Json => true,
        }
    }
}

/// Returns the element of a result that holds what the work has said.
pub(crate) fn log(said: &[Arc<str>]) -> Node {
    said.iter().fold(Node::new("log"), |log, line| log.node(Node::text("line", &**line)))
}

/// Returns the result in these bytes; empty if they are only white space.
pub(crate) fn read(bytes: &[u8], form: Form) -> Report {
    let text = String::from_utf8_lossy(bytes);
    let trimmed = text.strip_prefix('\u{FEFF}').unwrap_or(&text).trim_ascii();
    if trimmed.is_empty() {
        return Report::new();
    }
    let structured = match trimmed.as_bytes().first() {
        Some(b'<') if form.may_be_xml() => elements(trimmed),
        Some(b'{') if form.may_be_json() => members(trimmed),
        _ => None,
    };
    let is_status = |node: &Node| STATUS_ELEMENTS.contains(&&*node.name);
    match structured {
        // Beside those of getStatus nobody could tell which is which.
        Some(report) if report.iter().any(is_status) => {
            vec![Node { content: Content::Nodes(report), ..Node::new(OUTPUT) }]
        }
        Some(report) => report,
        None => vec![Node::text(OUTPUT, without_last_end(&text))],
    }
}

/// Leaves out the line end behind the last line, which most programs write.
fn without_last_end(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

/// Reads a sequence of XML elements; `None` if it is none, or holds what no result can.
fn elements(text: &str) -> Option<Report> {
    let mut reader = StrictReader::of_sequence(text).ok()?;
    let mut done = Report::new();
    let mut open: Vec<(Node, String)> = Vec::new();
    let mut count = 0;
    loop {
        match reader.next().ok()? {
            Piece::Start(tag) => {
                count += 1 + tag.attributes.len();
                if count > MAX_ELEMENTS || open.len() >= MAX_DEPTH {
                    return None;
                }
                let attributes = tag.attributes.into_iter();
                let attributes = attributes.map(|(name, value)| (name.into(), value)).collect();
                open.push((Node { attributes, ..Node::new(tag.name) }, String::new()));
            }
            Piece::Text(text) => open.last_mut()?.1.push_str(&text),
            Piece::End => {
                let (mut node, text) = open.pop()?;
                let is_mixed = !node.nodes().is_empty() && !text.trim_ascii().is_empty();
                if is_mixed {
                    // A node holds text or nodes: nothing may be lost.
                    return None;
                }
                if node.nodes().is_empty() && !text.is_empty() {
                    node.content = Content::Text(text);
                }
                match open.last_mut() {
                    Some((parent, _)) => push(parent, node),
                    None => done.push(node),
                }
            }
            Piece::Done => return Some(done),
        }
    }
}

fn push(parent: &mut Node, child: Node) {
    match &mut parent.content {
        Content::Nodes(nodes) => nodes.push(child),
        Content::Text(_) => parent.content = Content::Nodes(vec![child]),
    }
}

/// Reads a JSON object, whose members become elements; `None` if it is none, or is too deep or too large.
fn members(text: &str) -> Option<Report> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return None };
    let mut count = 0;
    let mut report = Report::new();
    for (name, value) in members {
        add(&mut report, &name, value, 1, &mut count)?;
    }
    Some(report)
}

/// Adds an element of this name, or one for each item of a list. The parser bounds the depth of the value.
fn add(to: &mut Report, name: &str, value: Value, depth: usize, count: &mut usize) -> Option<()> {
    *count += 1;
    if *count > MAX_ELEMENTS || depth > MAX_DEPTH {
        return None;
    }
    let name = name.to_owned();
    let node = match value {
        Value::Null => Node::new(name),
        Value::Bool(value) => Node::text(name, value.to_string()),
        Value::Number(value) => Node::text(name, value.to_string()),
        Value::String(value) => Node::text(name, value),
        Value::Object(members) => {
            let mut nodes = Report::new();
            for (name, value) in members {
                add(&mut nodes, &name, value, depth + 1, count)?;
            }
            Node { content: Content::Nodes(nodes), ..Node::new(name) }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    // A list in a list.
                    Value::Array(_) => {
                        let mut nodes = Report::new();
                        add(&mut nodes, "item", item, depth + 1, count)?;
                        to.push(Node { content: Content::Nodes(nodes), ..Node::new(name.clone()) });
                    }
                    item => add(to, &name, item, depth, count)?,
                }
            }
            return Some(());
        }
    };
    to.push(node);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::documents::xml::MAX_ATTRIBUTES;

    fn output(text: &str) -> Report {
        vec![Node::text(OUTPUT, text)]
    }

    #[test]
    fn xml_becomes_elements() {
        let a = || Node::new("a").node(Node::text("b", "x <y> & z"));
        let b = || Node::text("c", " 1\n").attribute("d", "2");
        for (text, expected) in [
            ("<a><b>x &lt;y&gt; <![CDATA[& z]]></b></a>\n", vec![a()]),
            (
                " <a>\n  <b>x &lt;y&gt; &amp; z</b>\n</a> <!-- and --> <c d='2'> 1\n</c>",
                vec![a(), b()],
            ),
            ("<?xml version=\"1.0\"?>\n<a/>", vec![Node::new("a")]),
            ("\u{FEFF}<a></a><a/>", vec![Node::new("a"), Node::new("a")]),
            ("<a> </a>", vec![Node::text("a", " ")]),
        ] {
            assert_eq!(read(text.as_bytes(), Form::Any), expected, "{text}");
        }
    }

    #[test]
    fn a_json_object_becomes_elements() {
        let text = r#" {"a": "x", "b": 1.50, "c": [1, {"d": null}, [2, 3]], "e": [], "f": {"g": true}, "h i": {}} "#;
        let expected = vec![
            Node::text("a", "x"),
            Node::text("b", "1.5"),
            Node::text("c", "1"),
            Node::new("c").node(Node::new("d")),
            Node::new("c").node(Node::text("item", "2")).node(Node::text("item", "3")),
            Node::new("f").node(Node::text("g", "true")),
            Node::new("h i"),
        ];
        assert_eq!(read(text.as_bytes(), Form::Any), expected);
        assert_eq!(read(b"{}", Form::Json), Report::new());
    }

    #[test]
    fn what_reads_like_a_status_is_set_apart() {
        let apart = |nodes| vec![Node { content: Content::Nodes(nodes), ..Node::new(OUTPUT) }];
        let ok = || vec![Node::text("n", "1"), Node::text("status", "ok")];
        assert_eq!(read(br#"{"n":1,"status":"ok"}"#, Form::Any), apart(ok()));
        assert_eq!(read(b"<n>1</n><status>ok</status>", Form::Any), apart(ok()));
        let inner = Node::new("a").node(Node::text("error", "none"));
        assert_eq!(read(br#"{"a":{"error":"none"}}"#, Form::Any), [inner]);
    }

    #[test]
    fn anything_else_is_text() {
        for text in [
            "hello",
            " hello ",
            "<a>",
            "<a/>text",
            "<a>x<b/></a>",
            "<a></b>",
            "<!DOCTYPE a><a/>",
            "<a>&x;</a>",
            "<1/>",
            "[1]",
            "1",
            "{\"a\":}",
            "{} {}",
            "<a/>{}",
            "{a: 1}",
        ] {
            assert_eq!(read(text.as_bytes(), Form::Any), output(text), "{text}");
        }
        assert_eq!(read(b"a\n", Form::Any), output("a"));
        assert_eq!(read(b"a\r\n", Form::Any), output("a"));
        assert_eq!(read(b"a\r", Form::Any), output("a\r"));
        assert_eq!(read(b"a\n\n", Form::Any), output("a\n"));
        assert_eq!(read(b"{\"a\":1}", Form::Xml), output("{\"a\":1}"));
        assert_eq!(read(b"<a/>", Form::Json), output("<a/>"));
        assert_eq!(read(b"a\xFFb", Form::Any), output("a\u{FFFD}b"));
        assert_eq!(read(b"<a>\xFF</a>", Form::Any), vec![Node::text("a", "\u{FFFD}")]);
        for blank in ["", " \n"] {
            assert_eq!(read(blank.as_bytes(), Form::Any), Report::new());
        }
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_text() {
        let nested = |depth| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert_eq!(read(nested(MAX_DEPTH).as_bytes(), Form::Any)[0].name, "a");
        let deep = nested(MAX_DEPTH + 1);
        assert_eq!(read(deep.as_bytes(), Form::Any), output(&deep));
        let nested = |depth| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        assert_eq!(read(nested(MAX_DEPTH).as_bytes(), Form::Any)[0].name, "a");
        for depth in [MAX_DEPTH + 1, 10_000] {
            let deep = nested(depth);
            assert_eq!(read(deep.as_bytes(), Form::Any), output(&deep));
        }
        for many in
            ["<a/>".repeat(MAX_ELEMENTS + 1), format!("{{\"a\":[1{}]}}", ",1".repeat(MAX_ELEMENTS))]
        {
            assert_eq!(read(many.as_bytes(), Form::Any)[0].name, OUTPUT);
        }
        let attributes: String = (0..MAX_ATTRIBUTES).map(|n| format!(" a{n}=''")).collect();
        let many = format!("<a{attributes}/>").repeat(MAX_ELEMENTS / MAX_ATTRIBUTES);
        assert_eq!(read(many.as_bytes(), Form::Any)[0].name, OUTPUT, "attributes count, too");
        let lists = format!("{{\"a\":{}{}}}", "[".repeat(60), "]".repeat(60));
        assert_eq!(read(lists.as_bytes(), Form::Any), output(&lists));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[<>/a{}\\[\\]\":,1& ]{0,100}") {
            let _ = read(&bytes, Form::Any);
            let _ = read(text.as_bytes(), Form::Any);
        }
    }
}
