//! What an action hands back: a small tree of named nodes, and how far it has come.
//!
//! The tree is neutral on purpose: the runtime stores it and hands it out, and whoever speaks a
//! protocol (ACI's XML and JSON, say) gives it a form.

use std::borrow::Cow;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The result of an action: the nodes that stand beside its status.
pub type Report = Vec<Node>;

/// One named node of a result: attributes, and either text or further nodes.
///
/// ```
/// use actiond_actors::Node;
/// let counts = Node::new("documentcounts")
///     .node(Node::new("documentcount").attribute("task", "DIR1").attribute("seen", 10));
/// assert_eq!(counts.nodes().len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The name; choose one that is a legal XML name if the result will be read over ACI.
    #[serde(rename = "n")]
    pub name: Cow<'static, str>,
    /// Attributes in the order they are to be shown.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(Cow<'static, str>, String)>,
    /// Text, or further nodes.
    #[serde(rename = "c", default, skip_serializing_if = "Content::is_empty")]
    pub content: Content,
}

/// What stands inside a [`Node`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Text, kept to the letter.
    Text(String),
    /// Further nodes, in order.
    Nodes(Vec<Node>),
}

/// By hand: serde's own reading of untagged values copies everything first, on a path that every poll
/// of a finished action takes.
impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNodes;

        impl<'de> Visitor<'de> for TextOrNodes {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a list of nodes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = seq.next_element()? {
                    nodes.push(node);
                }
                Ok(Content::Nodes(nodes))
            }
        }

        deserializer.deserialize_any(TextOrNodes)
    }
}

impl Content {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Nodes(nodes) if nodes.is_empty())
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Nodes(Vec::new())
    }
}

impl Node {
    /// Makes a node with neither attributes nor content.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), attributes: Vec::new(), content: Content::default() }
    }

    /// Makes a node that holds text.
    #[must_use]
    pub fn text(name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { name: name.into(), attributes: Vec::new(), content: Content::Text(text.into()) }
    }

    /// Adds an attribute behind those it has.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        self.attributes.push((name.into(), value.to_string()));
        self
    }

    /// Adds a node behind those it holds; text that it held is dropped.
    #[must_use]
    pub fn node(mut self, child: Self) -> Self {
        match &mut self.content {
            Content::Nodes(nodes) => nodes.push(child),
            Content::Text(_) => self.content = Content::Nodes(vec![child]),
        }
        self
    }

    /// Returns the nodes it holds; none if it holds text.
    #[must_use]
    pub fn nodes(&self) -> &[Self] {
        match &self.content {
            Content::Nodes(nodes) => nodes,
            Content::Text(_) => &[],
        }
    }

    /// Returns the size of all names, values and texts in bytes, those of the nodes inside too.
    ///
    /// ```
    /// use actiond_actors::Node;
    /// assert_eq!(Node::new("a").attribute("b", "cd").node(Node::text("e", "fg")).byte_len(), 7);
    /// ```
    #[must_use]
    pub fn byte_len(&self) -> usize {
        // Without recursion: how deep it is nested is the work's choice.
        let (mut bytes, mut node, mut left) = (0, self, Vec::new());
        loop {
            bytes += node.name.len();
            bytes +=
                node.attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
            match &node.content {
                Content::Text(text) => bytes += text.len(),
                Content::Nodes(nodes) => left.extend(nodes),
            }
            match left.pop() {
                Some(next) => node = next,
                None => return bytes,
            }
        }
    }
}

/// How deep a result may be nested: each level is two levels of JSON, whose reader takes 128.
const MAX_DEPTH: usize = 50;

/// How many bytes a result may take as JSON, and an error text: both fit into one row of SQLite's, which takes a
/// billion. An end that could never be written would hold up its whole queue.
pub(crate) const MAX_BYTES: usize = 400_000_000;

/// A result as stores keep it, in JSON. It is made by whoever ends the attempt, mostly where the nodes are at hand: the
/// thread that writes for all queues would have to fetch each of them from the memory of another core.
///
/// ```
/// use actiond_actors::Node;
/// use actiond_actors::report::Written;
/// let result = vec![Node::text("said", "hello")];
/// let written = Written::of(&result)?;
/// assert_eq!(written.as_str(), Some(r#"[{"n":"said","c":"hello"}]"#));
/// assert_eq!(Written::of(&[])?.as_str(), None);
/// # Ok::<(), actiond_actors::report::Unwritable>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(Option<String>);

/// Why a result can't be kept; the text is shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the result {0}")]
pub struct Unwritable(String);

impl Unwritable {
    fn too_deep() -> Self {
        Self(format!("is nested deeper than {MAX_DEPTH} levels"))
    }
}

impl Written {
    /// Writes a result down.
    ///
    /// # Errors
    ///
    /// If it is nested deeper than 50 levels or takes more than 400,000,000 bytes (our choice).
    pub fn of(report: &[Node]) -> Result<Self, Unwritable> {
        Self::within(MAX_BYTES, report)
    }

    fn within(max_bytes: usize, report: &[Node]) -> Result<Self, Unwritable> {
        if depth(report) > MAX_DEPTH {
            return Err(Unwritable::too_deep());
        }
        if report.is_empty() {
            return Ok(Self::default());
        }
        let text = serde_json::to_string(report)
            .map_err(|error| Unwritable(format!("can't be written down: {error}")))?;
        if text.len() > max_bytes {
            let length = text.len();
            return Err(Unwritable(format!("takes {length} bytes, more than {max_bytes}")));
        }
        Ok(Self(Some(text)))
    }

    /// Returns the text; none where the result is empty.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Reads the result, for a store that keeps it in another form.
    ///
    /// # Errors
    ///
    /// None that can be told how to come by: what was written can be read.
    pub fn nodes(&self) -> Result<Report, serde_json::Error> {
        read(self.as_str())
    }
}

/// Reads what [`Written`] wrote.
pub(crate) fn read(text: Option<&str>) -> Result<Report, serde_json::Error> {
    text.map_or_else(|| Ok(Report::new()), serde_json::from_str)
}

/// How deep these nodes are nested, without recursion: the depth is the work's choice.
fn depth(nodes: &[Node]) -> usize {
    let mut deepest = 0;
    let mut left: Vec<(usize, &Node)> = nodes.iter().map(|node| (1, node)).collect();
    while let Some((level, node)) = left.pop() {
        deepest = deepest.max(level);
        left.extend(node.nodes().iter().map(|node| (level + 1, node)));
    }
    deepest
}

/// Returns the report unless it is too deep to be kept: whoever went down into it, if only to drop it, could run
/// out of stack.
pub(crate) fn shallow(report: Report) -> Result<Report, Unwritable> {
    if depth(&report) > MAX_DEPTH {
        dismantle(report);
        return Err(Unwritable::too_deep());
    }
    Ok(report)
}

/// Cuts off what is too deep by more than one level: what is left is still too deep to be kept, and no risk.
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

/// How far a running action has come.
///
/// With stages, the percentage is their weighted mean; without, it is the figure that was set.
///
/// ```
/// use actiond_actors::{Progress, Stage, StageStatus};
/// let progress = Progress::of_stages(vec![
///     Stage::new("DIR1").weight(3.0).at(StageStatus::Finished),
///     Stage::new("DIR2").at(StageStatus::Processing).percent(20.0),
/// ]);
/// assert_eq!(progress.percent(), 80.0);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// The amount of work is still being measured, so the figures may jump.
    pub measuring: bool,
    /// The stages, in the order they are worked through.
    pub stages: Vec<Stage>,
    percent: f64,
}

impl Progress {
    /// Makes a progress without stages, `percent` from 0 to 100 (anything else is brought into that range).
    #[must_use]
    pub fn of_percent(percent: f64) -> Self {
        Self { measuring: false, stages: Vec::new(), percent: clamp(percent) }
    }

    /// Makes a progress of these stages.
    #[must_use]
    pub const fn of_stages(stages: Vec<Stage>) -> Self {
        Self { measuring: false, stages, percent: 0.0 }
    }

    /// Returns the percentage done, from 0 to 100.
    #[must_use]
    pub fn percent(&self) -> f64 {
        clamp(weighted(&self.stages).unwrap_or(self.percent))
    }
}

/// One stage of an action's work; stages nest.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What the stage is called.
    pub title: String,
    /// Its share of the whole, relative to the stages beside it; above 0.
    pub weight: f64,
    /// Whether it is still to come, under way or over.
    pub status: StageStatus,
    /// Units done and units in all, where they can be counted.
    pub counted: Option<(u64, u64)>,
    /// Its own stages.
    pub stages: Vec<Self>,
    percent: f64,
}

/// Whether a stage is still to come, under way or over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageStatus {
    /// Still to come.
    Pending,
    /// Under way.
    Processing,
    /// Over.
    Finished,
}

impl StageStatus {
    /// Returns its name, which is also its word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Processing => "Processing",
            Self::Finished => "Finished",
        }
    }
}

impl Stage {
    /// Makes a pending stage of weight 1.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            weight: 1.0,
            status: StageStatus::Pending,
            counted: None,
            stages: Vec::new(),
            percent: 0.0,
        }
    }

    /// Sets the weight; a weight that is not above 0 counts as 0.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the status.
    #[must_use]
    pub const fn at(mut self, status: StageStatus) -> Self {
        self.status = status;
        self
    }

    /// Sets the percentage done, from 0 to 100.
    #[must_use]
    pub fn percent(mut self, percent: f64) -> Self {
        self.percent = clamp(percent);
        self
    }

    /// Sets units done and units in all; the percentage follows from them.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 53 bits")]
    pub fn counted(mut self, done: u64, all: u64) -> Self {
        self.counted = Some((done, all));
        self.percent = if all == 0 { 0.0 } else { clamp(done as f64 * 100.0 / all as f64) };
        self
    }

    /// Returns the percentage done, from 0 to 100: 0 while pending, 100 once finished, else that of
    /// its own stages or the figure that was set.
    #[must_use]
    pub fn percentage(&self) -> f64 {
        match self.status {
            StageStatus::Pending => 0.0,
            StageStatus::Finished => 100.0,
            StageStatus::Processing => weighted(&self.stages).unwrap_or(self.percent),
        }
    }
}

fn weighted(stages: &[Stage]) -> Option<f64> {
    let all: f64 = stages.iter().map(|s| s.weight.max(0.0)).sum();
    (all > 0.0)
        .then(|| stages.iter().map(|s| s.weight.max(0.0) * s.percentage()).sum::<f64>() / all)
}

const fn clamp(percent: f64) -> f64 {
    if percent.is_nan() { 0.0 } else { percent.clamp(0.0, 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_what_is_too_deep_is_not_written() {
        let nested = |depth| (1..depth).fold(Node::new("n"), |inner, _| Node::new("n").node(inner));
        let deep = vec![Node::new("beside"), nested(MAX_DEPTH)];
        let written = Written::of(&deep).unwrap();
        assert_eq!(written.nodes().unwrap(), deep);
        let error = Written::of(&[Node::new("beside"), nested(MAX_DEPTH + 1)]).unwrap_err();
        assert_eq!(error.to_string(), "the result is nested deeper than 50 levels");
    }

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

    #[test]
    fn what_is_too_long_is_not_written() {
        let report = [Node::text("said", "hello")];
        let length = Written::of(&report).unwrap().as_str().unwrap().len();
        assert!(Written::within(length, &report).is_ok());
        let error = Written::within(length - 1, &report).unwrap_err();
        assert_eq!(error.to_string(), "the result takes 26 bytes, more than 25");
    }
}
