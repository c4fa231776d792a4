//! Results that come from outside: XML elements, a JSON object, or text.

use actiond_actors::{Content, Node, Report};
use serde_json::Value;

use crate::documents::xml::{Piece, StrictReader};

/// Largest number of elements and attributes of a result; one with more is shown as text. Each takes much more memory than
/// its shortest form.
const MAX_ELEMENTS: usize = 200_000;

/// Deepest nesting of elements that a result may have, here and when it is kept.
const MAX_DEPTH: usize = 50;

/// The name of the element that holds what is no structured result.
const OUTPUT: &str = "output";

/// Returns the result in these bytes; empty if they are only white space.
pub(crate) fn read(bytes: &[u8]) -> Report {
    let text = String::from_utf8_lossy(bytes);
    let trimmed = text.strip_prefix('\u{FEFF}').unwrap_or(&text).trim_ascii();
    if trimmed.is_empty() {
        return Report::new();
    }
    let structured = match trimmed.as_bytes().first() {
        Some(b'<') => elements(trimmed),
        Some(b'{') => members(trimmed),
        _ => None,
    };
    structured.unwrap_or_else(|| vec![Node::text(OUTPUT, without_last_end(&text))])
}

/// Leaves out the line end behind the last line, which most programs write.
fn without_last_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
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

    fn output(text: &str) -> Report {
        vec![Node::text(OUTPUT, text)]
    }

    #[test]
    fn each_form_becomes_elements() {
        let a = Node::new("a").node(Node::text("b", "x <y> & z"));
        let table = [
            ("<a>\n <b>x &lt;y&gt; <![CDATA[& z]]></b></a>\n", vec![a]),
            (
                "<?xml version=\"1.0\"?><a/> <c d='2'> 1\n</c>",
                vec![Node::new("a"), Node::text("c", " 1\n").attribute("d", 2)],
            ),
            (
                r#" {"a": "x", "b": [1, {"d": null}, [2, 3]], "e": [], "f": {"g": true}} "#,
                vec![
                    Node::text("a", "x"),
                    Node::text("b", "1"),
                    Node::new("b").node(Node::new("d")),
                    Node::new("b").node(Node::text("item", "2")).node(Node::text("item", "3")),
                    Node::new("f").node(Node::text("g", "true")),
                ],
            ),
            ("{}", Report::new()),
            (" \n", Report::new()),
        ];
        for (text, expected) in table {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_text() {
        for text in [" hello ", "<a>", "<a>x<b/></a>", "<!DOCTYPE a><a/>", "[1]", "{} {}", "<a/>{}"]
        {
            assert_eq!(read(text.as_bytes()), output(text), "{text}");
        }
        assert_eq!(read(b"a\r\n"), output("a"));
        assert_eq!(read(b"a\xFFb"), output("a\u{FFFD}b"));
        let nested = |depth| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert_eq!(read(nested(MAX_DEPTH).as_bytes())[0].name, "a");
        let deep = nested(MAX_DEPTH + 1);
        assert_eq!(read(deep.as_bytes()), output(&deep));
        let many = "<a/>".repeat(MAX_ELEMENTS + 1);
        assert_eq!(read(many.as_bytes())[0].name, OUTPUT);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[<>/a{}\\[\\]\":,1& ]{0,100}") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
