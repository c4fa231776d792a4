//! Results and progress of actions.
//!
//! - [`Report`], a small tree of [`Node`]s: the result of an action. It is neutral on purpose: the runtime stores it and
//!   hands it out, and the program that speaks a protocol (ACI's XML and JSON, say) gives it a form.
//! - [`Written`]: a result in the form in which it is stored.
//! - [`Progress`] and [`Stage`]: the progress of a running action.

mod depth;
mod progress;
mod written;

use std::borrow::Cow;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use depth::{cut, dismantle, shallow};
pub use progress::{Progress, Stage, StageStatus};
pub(crate) use written::{MAX_BYTES, read};
pub use written::{Unwritable, Written};

/// The result of an action.
pub type Report = Vec<Node>;

/// One named node of a result: attributes, and either text or further nodes.
///
/// ```
/// use actiond_actors::Node;
/// let counts = Node::new("documentcounts")
///     .node(Node::new("documentcount").attribute("task", "DIR1").attribute("seen", 10));
/// assert_eq!(counts.nodes().len(), 1);
/// assert_eq!(format!("{counts:?}"), r#"documentcounts [documentcount task="DIR1" seen="10"]"#);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// The node's name. Choose a legal XML name if the result will be read over ACI.
    #[serde(rename = "n")]
    pub name: Cow<'static, str>,
    /// Attributes, in the order in which they are shown.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(Cow<'static, str>, String)>,
    /// Text, or further nodes.
    #[serde(rename = "c", default, skip_serializing_if = "Content::is_empty")]
    pub content: Content,
}

/// The content of a [`Node`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Text, kept to the letter.
    Text(String),
    /// Further nodes, in order.
    Nodes(Vec<Node>),
}

/// By hand: the derived one copies everything first, and each poll of a finished action reads this.
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

/// As people write it: the name, attributes, and the content.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}={value:?}")?;
        }
        match &self.content {
            Content::Text(text) => write!(f, ": {text:?}"),
            Content::Nodes(nodes) if nodes.is_empty() => Ok(()),
            Content::Nodes(nodes) => {
                f.write_str(" ")?;
                nodes.fmt(f)
            }
        }
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

    /// Adds an attribute after those it has.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        self.attributes.push((name.into(), value.to_string()));
        self
    }

    /// Adds a node after those it holds. Text that it held is dropped.
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

    /// Returns the size of all names, values and texts in bytes, the nodes inside included.
    ///
    /// ```
    /// use actiond_actors::Node;
    /// assert_eq!(Node::new("a").attribute("b", "cd").node(Node::text("e", "fg")).byte_len(), 7);
    /// ```
    #[must_use]
    pub fn byte_len(&self) -> usize {
        // Without recursion: the work chooses the depth.
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
