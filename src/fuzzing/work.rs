//! The targets for what programs and workers say: results, and on Unix the command line and the lines of a program.

use actiond_actors::{Content, Node, Report};

use super::{escape_attribute, escape_text, sure};
use crate::aci::shown::STATUS_ELEMENTS;
use crate::kinds::results::{Form, MAX_DEPTH, OUTPUT, read};

#[cfg(unix)]
pub use crate::kinds::command::fuzzing::{command_line, program_lines};

/// Input: what a program wrote to its standard output, or a worker sent as its result.
pub fn result(data: &[u8]) {
    let report = read(data, Form::Any);
    assert!(report.iter().all(|node| !STATUS_ELEMENTS.contains(&&*node.name)), "{report:?}");
    assert!(depth(&report) <= MAX_DEPTH + 1, "{} levels", depth(&report));

    let text = String::from_utf8_lossy(data);
    let trimmed = text.strip_prefix('\u{FEFF}').unwrap_or(&text).trim_ascii();
    assert!(!trimmed.is_empty() || report.is_empty(), "{report:?}");
    if let [Node { name, attributes, content: Content::Text(kept) }] = &report[..]
        && name == OUTPUT
        && attributes.is_empty()
    {
        // Text is kept to the letter, but for the end of its last line; unless it is an element of that name.
        let end = text.strip_prefix(kept.as_str());
        let is_whole = end.is_some_and(|end| ["", "\n", "\r\n"].contains(&end));
        assert!(is_whole || trimmed.starts_with(['<', '{']), "{kept:?}");
        return;
    }

    // What was read from XML is written and read the same.
    if trimmed.starts_with('<') {
        let mut xml = Vec::new();
        write(&report, &mut xml);
        let again = read(&xml, Form::Any);
        assert_eq!(again, report, "{}", String::from_utf8_lossy(&xml));
        let inside = format!("<all>{}</all>", sure("a result", &"", std::str::from_utf8(&xml)));
        if !inside.contains(':') {
            sure("a result", &inside, roxmltree::Document::parse(&inside));
        }
    }
}

fn depth(report: &Report) -> usize {
    report.iter().map(|node| 1 + depth_below(node)).max().unwrap_or(0)
}

fn depth_below(node: &Node) -> usize {
    match &node.content {
        Content::Nodes(nodes) => depth(nodes),
        Content::Text(_) => 0,
    }
}

fn write(report: &Report, out: &mut Vec<u8>) {
    for node in report {
        out.extend(format!("<{}", node.name).bytes());
        for (name, value) in &node.attributes {
            out.extend(format!(" {name}=\"").bytes());
            escape_attribute(value, out);
            out.push(b'"');
        }
        out.push(b'>');
        match &node.content {
            Content::Nodes(nodes) => write(nodes, out),
            Content::Text(text) => escape_text(text, out),
        }
        out.extend(format!("</{}>", node.name).bytes());
    }
}
