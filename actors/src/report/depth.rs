//! The depth of a result: measured, bounded and taken apart without recursion, since the work chooses it, and recursion
//! could run out of stack.

use super::written::Unwritable;
use super::{Content, Node, Report};

/// Largest depth of a result. Each level is two levels of JSON, whose reader takes 128.
pub(super) const MAX_DEPTH: usize = 50;

/// Returns the depth of these nodes.
pub(super) fn depth(nodes: &[Node]) -> usize {
    let mut deepest = 0;
    let mut left: Vec<(usize, &Node)> = nodes.iter().map(|node| (1, node)).collect();
    while let Some((level, node)) = left.pop() {
        deepest = deepest.max(level);
        left.extend(node.nodes().iter().map(|node| (level + 1, node)));
    }
    deepest
}

/// Returns the report unless it is too deep to be kept; then it is dropped here, safely.
pub(crate) fn shallow(report: Report) -> Result<Report, Unwritable> {
    if depth(&report) > MAX_DEPTH {
        dismantle(report);
        return Err(Unwritable::too_deep());
    }
    Ok(report)
}

/// Cuts a report that is too deep to one level more than the limit: it is still too deep to be kept, and safe to drop.
pub(crate) fn cut(report: &mut Report) {
    let mut left = vec![(1, report)];
    while let Some((level, nodes)) = left.pop() {
        for node in nodes {
            match &mut node.content {
                Content::Nodes(inner) if level > MAX_DEPTH => dismantle(std::mem::take(inner)),
                Content::Nodes(inner) => left.push((level + 1, inner)),
                Content::Text(_) => {}
            }
        }
    }
}

/// Drops nodes without recursion.
pub(crate) fn dismantle(mut nodes: Report) {
    while let Some(node) = nodes.pop() {
        if let Content::Nodes(inner) = node.content {
            nodes.extend(inner);
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Written;

    #[test]
    fn what_is_far_too_deep_risks_nobodys_stack() {
        let nested =
            || vec![(1..500_000).fold(Node::new("n"), |inner, _| Node::new("n").node(inner))];
        let report = nested();
        assert!(Written::of(&report).is_err());
        assert!(shallow(report).is_err());
        let mut partial = nested();
        cut(&mut partial);
        assert_eq!(depth(&partial), MAX_DEPTH + 1);
        assert!(Written::of(&partial).is_err(), "it is cut, and must not seem whole");
    }
}
