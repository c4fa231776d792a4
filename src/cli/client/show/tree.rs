//! A result as a tree: a name and its text on each line, what is in it below, further in.

use super::{BOLD, DIM, block, line, painted};
use crate::aci::element::{Content, Element, MAX_DEPTH};

/// Number of columns by which each level stands further in.
const STEP: usize = 2;

/// Writes elements as a tree.
pub(crate) fn tree(elements: &[Element]) -> String {
    let mut out = String::new();
    for element in elements {
        write(element, 0, &mut out);
    }
    out
}

fn write(element: &Element, depth: usize, out: &mut String) {
    let margin = " ".repeat(depth.saturating_mul(STEP));
    let name = element.name.rsplit(':').next().unwrap_or_default();
    out.push_str(&margin);
    out.push_str(&painted(&line(name), BOLD));
    for (name, value) in &element.attributes {
        out.push_str(&painted(&format!(" {}=", line(name)), DIM));
        out.push_str(&quoted(value));
    }
    match &element.content {
        Content::Text(text) if text.is_empty() => out.push('\n'),
        Content::Text(text) if text.trim_end().contains('\n') => {
            out.push_str(":\n");
            for line in block(text).lines() {
                let rest = " ".repeat(STEP);
                out.push_str(format!("{margin}{rest}{line}").trim_end());
                out.push('\n');
            }
        }
        Content::Text(text) => {
            out.push_str(": ");
            out.push_str(&line(text.trim_end()));
            out.push('\n');
        }
        Content::Elements(elements) => {
            out.push('\n');
            if depth < MAX_DEPTH {
                for element in elements {
                    write(element, depth.saturating_add(1), out);
                }
            }
        }
    }
}

/// Writes the value of an attribute, in quotes where it would not be seen where it ends.
fn quoted(value: &str) -> String {
    let value = line(value);
    if value.is_empty() || value.contains([' ', '"']) {
        format!("{value:?}")
    } else {
        value.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_shown_as_a_tree() {
        let elements = [
            Element::text("status", "Finished"),
            Element::new("autn:counts")
                .child(Element::new("count").attribute("task", "DIR 1").attribute("seen", "3"))
                .child(Element::text("note", "two\nlines \u{1b}\n"))
                .child(Element::text("empty", "")),
        ];
        let shown = tree(&elements);
        let want = "status: Finished\ncounts\n  count task=\"DIR 1\" seen=3\n  note:\n    two\n    lines \\u{1b}\n  empty\n";
        assert_eq!(anstream::adapter::strip_str(&shown).to_string(), want);
    }
}
