//! The failure of work.

use std::error::Error;
use std::fmt;

/// The reason why work ended without a result. The partial result that it published is kept.
///
/// Every error becomes a failure by `?`. Its text and those of its sources are shown to the client, so map an error that
/// names what clients must not know to another one first. An error with [`StopRequested`] among its sources becomes
/// [`Failure::Stopped`]. For the sake of `?`, a failure is no [`std::error::Error`] itself. What is none either, such as a
/// boxed error, becomes one by [`Failure::from_boxed`].
///
/// ```
/// use actiond_actors::{Failure, Node, Report};
///
/// fn half(of: &str) -> Result<Report, Failure> {
///     let number: u32 = of.parse()?;
///     Ok(vec![Node::text("half", (number / 2).to_string())])
/// }
///
/// assert_eq!(half("x"), Err(Failure::failed("invalid digit found in string")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The work was asked to stop and did.
    Stopped,
    /// The work failed; the text is shown to the client. Another attempt may succeed
    /// ([`QueueSettings::retry`](crate::QueueSettings::retry)).
    Failed(String),
    /// The work failed, and would fail again; the text is shown to the client.
    Fatal(String),
    /// The work was not done and is given back: the action goes back to the queue, and no attempt is counted.
    Released,
    /// The work is done elsewhere and was not heard of since the server went down; the text says so. Nobody can tell whether it
    /// had begun: the action goes back to the queue, and a restart is counted instead of an attempt
    /// ([`QueueSettings::max_restarts`](crate::QueueSettings::max_restarts)).
    Lost(String),
    /// The work was cancelled where it was to be done, before it began there.
    Cancelled,
}

impl Failure {
    /// Makes a failure with this text, which is shown to the client.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Makes a failure of a boxed error, or of what becomes one: a text, an error of a crate such as `anyhow`. It says the same as the
    /// error itself would by `?`.
    ///
    /// ```
    /// use actiond_actors::{Failure, Report};
    ///
    /// fn fetch() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    ///     Err("nobody answers".into())
    /// }
    ///
    /// fn work() -> Result<Report, Failure> {
    ///     let page = fetch().map_err(Failure::from_boxed)?;
    ///     Ok(vec![actiond_actors::Node::text("page", page)])
    /// }
    ///
    /// assert_eq!(work(), Err(Failure::failed("nobody answers")));
    /// ```
    pub fn from_boxed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(&*error.into())
    }

    /// Makes a failure of an error and its sources.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<StopRequested>() {
                return Self::Stopped;
            }
            let said = error.to_string();
            // Many errors repeat the text of their source in their own.
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        Self::Failed(text)
    }

    /// Makes a failure that another attempt would only repeat, with this text, which is shown to the client.
    pub fn fatal(text: impl Into<String>) -> Self {
        Self::Fatal(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped on request",
            Self::Failed(text) | Self::Fatal(text) | Self::Lost(text) => text,
            Self::Released => "given back undone",
            Self::Cancelled => "cancelled where it was to be done",
        })
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

/// The error of a checkpoint once the attempt has been asked to stop. Pass it up with `?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the action was asked to stop")]
pub struct StopRequested;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Node;
    use crate::report::Unwritable;
    use crate::report::Written;

    #[derive(Debug, thiserror::Error)]
    #[error("the shelf is empty")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("nobody was there: {0}")]
    struct Middle(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    enum Inner {
        #[error("the door is shut")]
        Shut,
        #[error("no more")]
        Asked(#[source] StopRequested),
    }

    #[test]
    fn errors_become_failures_with_all_that_they_say_once() {
        let failure = |error| -> Failure { Outer(Middle(error)).into() };
        let text = "the shelf is empty: nobody was there: the door is shut";
        assert_eq!(failure(Inner::Shut), Failure::failed(text));
        assert_eq!(failure(Inner::Asked(StopRequested)), Failure::Stopped);
        assert_eq!(Failure::from(StopRequested), Failure::Stopped);
        assert_eq!(Failure::from_boxed(StopRequested), Failure::Stopped);
        assert_eq!(
            Failure::from_boxed(Box::new(Outer(Middle(Inner::Shut)))),
            Failure::failed(text)
        );
        let io = std::io::Error::other("on fire");
        assert_eq!(Failure::from(io), Failure::failed("on fire"));
        let deep = (0..60).fold(Node::new("a"), |node, _| Node::new("a").node(node));
        let unwritable: Unwritable = Written::of(&[deep]).unwrap_err();
        let text = "the result is nested deeper than 50 levels";
        assert_eq!(Failure::from(unwritable), Failure::failed(text));
        assert_eq!(Failure::failed(text).to_string(), text);
        assert_eq!(Failure::Stopped.to_string(), "stopped on request");
    }
}
