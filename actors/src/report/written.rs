//! The stored form of a result, and its limits.

use super::depth::{MAX_DEPTH, depth};
use super::{Node, Report};

/// Largest size of a result as JSON, and of an error text, in bytes. Both fit into one row of SQLite's, which takes a
/// billion: an end that could never be written would hold up its whole queue.
pub(crate) const MAX_BYTES: usize = 400_000_000;

/// A result as JSON, the form in which stores keep it. It is made where the attempt ends, since the nodes are in that
/// core's cache: the thread that writes for all queues would have to fetch each of them.
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

/// The reason why a result can't be kept; the text is shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the result {0}")]
pub struct Unwritable(String);

impl Unwritable {
    pub(super) fn too_deep() -> Self {
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

    /// Returns the text, or `None` if the result is empty.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Parses the result, for a store that keeps it in another form.
    ///
    /// # Errors
    ///
    /// None are known: what was written can be read.
    pub fn nodes(&self) -> Result<Report, serde_json::Error> {
        read(self.as_str())
    }
}

/// Reads what [`Written`] wrote.
pub(crate) fn read(text: Option<&str>) -> Result<Report, serde_json::Error> {
    text.map_or_else(|| Ok(Report::new()), serde_json::from_str)
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
    fn what_is_too_long_is_not_written() {
        let report = [Node::text("said", "hello")];
        let length = Written::of(&report).unwrap().as_str().unwrap().len();
        assert!(Written::within(length, &report).is_ok());
        let error = Written::within(length - 1, &report).unwrap_err();
        assert_eq!(error.to_string(), "the result takes 26 bytes, more than 25");
    }
}
